//! Styles and cells to bytes. The last wall: a symbol with a control character in it is not written.
//!
//! Not for: deciding where on the screen.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use unicode_segmentation::UnicodeSegmentation;

use crate::tui::text::{Row, clean, wrap};

/// Collects the bytes of one frame and remembers what the terminal's pen and cursor are at.
#[derive(Debug)]
pub struct Pen {
    out: Vec<u8>,
    style: Style,
    at: Option<(u16, u16)>,
}

/// What a style means to the terminal; `None` and `Reset` are the same to it.
fn normal(style: Style) -> Style {
    let mut style = style;
    style.fg = style.fg.filter(|colour| *colour != Color::Reset);
    style.bg = style.bg.filter(|colour| *colour != Color::Reset);
    style.underline_color = None;
    style.sub_modifier = Modifier::empty();
    style
}

impl Pen {
    /// Begins a frame: synchronized, the cursor hidden.
    pub fn begin() -> Self {
        let mut pen = Self { out: Vec::with_capacity(1024), style: Style::new(), at: None };
        pen.raw("\x1b[?2026h\x1b[?25l");
        pen
    }

    /// Ends the frame and returns its bytes.
    pub fn end(mut self) -> Vec<u8> {
        self.reset_style();
        self.raw("\x1b[?2026l");
        self.out
    }

    /// Writes an escape sequence of ours.
    pub fn raw(&mut self, sequence: &str) {
        self.out.extend_from_slice(sequence.as_bytes());
    }

    /// Moves to a cell; rows and columns count from 0.
    pub fn go(&mut self, row: u16, column: u16) {
        if self.at != Some((row, column)) {
            self.raw(&format!("\x1b[{};{}H", row + 1, column + 1));
            self.at = Some((row, column));
        }
    }

    /// After anything that moves the cursor by itself.
    pub fn lost(&mut self) {
        self.at = None;
    }

    /// Scrolled-in lines take the pen's background, so it is put back first.
    pub fn reset_style(&mut self) {
        self.style(Style::new());
    }

    fn style(&mut self, style: Style) {
        let style = normal(style);
        if style != self.style {
            self.raw(&sgr(style));
            self.style = style;
        }
    }

    fn symbol(&mut self, symbol: &str) {
        if symbol.chars().all(clean::is_harmless) {
            self.raw(symbol);
        } else {
            // Cannot happen while every cell comes from cleaned text; if it does, nothing leaks.
            self.raw("\u{FFFD}");
        }
    }

    /// Writes a row of text where the cursor stands.
    pub fn row(&mut self, row: &Row) {
        let (mut column, mut doubtful) = (0, false);
        for span in &row.line.spans {
            self.style(row.line.style.patch(span.style));
            for grapheme in span.content.graphemes(true).filter(|g| wrap::grapheme_width(g) > 0) {
                // Terminals disagree about the width of joined characters: say where the next one stands.
                if std::mem::replace(&mut doubtful, grapheme.chars().nth(1).is_some()) {
                    self.raw(&format!("\x1b[{}G", column + 1));
                }
                self.symbol(grapheme);
                column += wrap::grapheme_width(grapheme);
            }
        }
        self.reset_style();
        self.lost();
    }

    /// Writes what differs between two buffers, the first row at `top`.
    pub fn difference(&mut self, top: u16, before: &Buffer, after: &Buffer) {
        for (x, y, cell) in before.diff(after) {
            self.go(top + y, x);
            self.style(cell.style());
            let symbol = cell.symbol();
            self.symbol(symbol);
            // Terminals disagree about the width of everything beyond one plain character: ask nobody and
            // say the next position explicitly.
            let plain = symbol.len() == 1 || (symbol.chars().count() == 1 && wrap::grapheme_width(symbol) == 1);
            self.at = if plain && x + 1 < after.area.width { Some((top + y, x + 1)) } else { None };
        }
    }
}

/// The sequence that sets exactly this style, whatever was before.
pub fn sgr(style: Style) -> String {
    let mut codes = String::from("\x1b[0");
    for (modifier, code) in [
        (Modifier::BOLD, ";1"),
        (Modifier::DIM, ";2"),
        (Modifier::ITALIC, ";3"),
        (Modifier::UNDERLINED, ";4"),
        (Modifier::REVERSED, ";7"),
        (Modifier::CROSSED_OUT, ";9"),
    ] {
        if style.add_modifier.contains(modifier) {
            codes.push_str(code);
        }
    }
    for (colour, base) in [(style.fg, 30), (style.bg, 40)] {
        if let Some(number) = colour.and_then(colour_number) {
            let code = if number < 8 { base + number } else { base + 60 + number - 8 };
            codes.push_str(&format!(";{code}"));
        }
    }
    codes.push('m');
    codes
}

/// The number of one of the sixteen colours; the themes use no others.
pub const fn colour_number(colour: Color) -> Option<u16> {
    Some(match colour {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        _ => return None,
    })
}
