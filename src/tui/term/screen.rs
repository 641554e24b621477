//! The live area at the bottom, the finished rows above it, and how both get to the terminal.
//!
//! Inline, the finished rows go into the terminal's own scrollback: the area above the live one is made a
//! scroll region and rows are pushed through it, so that nothing below is redrawn. Where that is not
//! possible (fewer than two rows above, or a terminal that keeps no scrollback for regions) the live area
//! is erased, the rows are printed with plain line ends, and the live area is drawn again.
//! In fullscreen the live area is everything.
//!
//! Pure: every method returns bytes. The invariant: `before` is what stands on the terminal in rows
//! `top .. top + height`, and rows below it are blank.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint::Pen;
use crate::tui::text::{Row, wrap};

/// Where the cursor is shown: column and row within the live area; hidden where `None`.
pub type Cursor = Option<(u16, u16)>;

/// What is known of the terminal's screen.
#[derive(Debug)]
pub struct Screen {
    columns: u16,
    rows: u16,
    top: u16,
    before: Buffer,
    full: bool,
    /// Where the live area began before fullscreen.
    inline_top: u16,
    regions: bool,
}

impl Screen {
    /// A screen of `columns` × `rows`. `regions`: whether rows scrolled out of a region reach the
    /// terminal's scrollback.
    pub fn new(columns: u16, rows: u16, regions: bool) -> Self {
        Self { columns, rows, top: 0, before: blank(columns, 0), full: false, inline_top: 0, regions }
    }

    pub const fn size(&self) -> (u16, u16) {
        (self.columns, self.rows)
    }

    /// The row in which the live area begins.
    pub const fn top(&self) -> u16 {
        self.top
    }

    /// The first frame, drawn relative to wherever the cursor is: nothing is asked of the terminal.
    pub fn first_frame(&mut self, next: &Buffer, cursor: Cursor) -> Vec<u8> {
        let mut pen = Pen::begin();
        let height = next.area.height;
        for y in 0..height {
            pen.raw(if y == 0 { "\r\x1b[J" } else { "\r\n" });
            pen.row(&buffer_row(next, y));
        }
        let (x, y) = cursor.unwrap_or((0, height.saturating_sub(1)));
        let up = height.saturating_sub(1).saturating_sub(y);
        pen.raw("\r");
        if up > 0 {
            pen.raw(&format!("\x1b[{up}A"));
        }
        if x > 0 {
            pen.raw(&format!("\x1b[{x}C"));
        }
        pen.raw(if cursor.is_some() { "\x1b[?25h" } else { "" });
        self.before = next.clone();
        pen.end()
    }

    /// After [`Screen::first_frame`]: the terminal said in which row (from 0) the cursor stands.
    pub fn place(&mut self, cursor_row: u16, cursor: Cursor) {
        let y = cursor.map_or(self.before.area.height.saturating_sub(1), |(_, y)| y);
        self.top = cursor_row.saturating_sub(y).min(self.rows.saturating_sub(self.before.area.height));
    }

    /// After [`Screen::first_frame`]: the terminal did not say. Starts again at the bottom.
    pub fn place_at_bottom(&mut self, cursor: Cursor) -> Vec<u8> {
        let mut pen = Pen::begin();
        let height = self.before.area.height;
        let y = cursor.map_or(height.saturating_sub(1), |(_, y)| y);
        pen.raw("\r");
        if y > 0 {
            pen.raw(&format!("\x1b[{y}A"));
        }
        pen.raw("\x1b[J");
        self.top = self.rows.saturating_sub(height);
        self.before = blank(self.columns, height);
        pen.end()
    }

    /// Pushes `above` over the live area and draws `next` as the live area.
    pub fn frame(&mut self, above: &[Row], next: &Buffer, cursor: Cursor) -> Vec<u8> {
        let mut pen = Pen::begin();
        let height = next.area.height.min(self.rows);
        if !above.is_empty() && !self.full {
            self.shrink(&mut pen, height);
            let room_below = self.rows - (self.top + self.before.area.height).min(self.rows);
            let shift = room_below.min(u16::try_from(above.len()).unwrap_or(u16::MAX));
            if self.regions && self.top + shift >= 2 {
                self.push_through_region(&mut pen, above, shift);
            } else {
                self.push_by_line_ends(&mut pen, above, height);
            }
        }
        self.set_height(&mut pen, height);
        self.draw(&mut pen, next, cursor);
        pen.end()
    }

    /// After a resize, or when the rows above are to be shown differently: erases the screen (not the
    /// scrollback) and draws `above` and the live area from the top.
    pub fn repaint(&mut self, size: (u16, u16), above: &[Row], next: &Buffer, cursor: Cursor) -> Vec<u8> {
        (self.columns, self.rows) = size;
        let mut pen = Pen::begin();
        pen.raw("\x1b[r\x1b[H\x1b[J");
        let height = next.area.height.min(self.rows);
        let room = usize::from(self.rows - height);
        let shown = if self.full { &[] } else { &above[above.len().saturating_sub(room)..] };
        self.print(&mut pen, shown);
        if !shown.is_empty() {
            pen.raw("\r\n");
        }
        self.top = shown.len() as u16;
        self.before = blank(self.columns, height);
        self.draw(&mut pen, next, cursor);
        pen.end()
    }

    /// Goes to the alternate screen or back; the caller repaints.
    pub fn set_full(&mut self, full: bool) -> &'static str {
        if full && !self.full {
            self.inline_top = self.top;
        }
        self.full = full;
        self.top = 0;
        if full { "\x1b[?1049h" } else { "\x1b[?1049l" }
    }

    /// Back from the alternate screen: the terminal shows the main screen as it was left, with the cursor
    /// where it had been. Prints `fresh` at the bottom and draws the live area below.
    pub fn resume_inline(&mut self, size: (u16, u16), fresh: &[Row], next: &Buffer, cursor: Cursor) -> Vec<u8> {
        (self.columns, self.rows) = size;
        let height = next.area.height.min(self.rows);
        self.top = self.inline_top.min(self.rows.saturating_sub(1));
        self.before = blank(self.columns, 0);
        let mut pen = Pen::begin();
        pen.go(self.top, 0);
        pen.raw("\x1b[J");
        self.push_by_line_ends(&mut pen, fresh, height);
        self.draw(&mut pen, next, cursor);
        pen.end()
    }

    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Takes the live area away; what was pushed above it stays, and the cursor stands below that.
    pub fn leave(&mut self) -> Vec<u8> {
        let mut pen = Pen::begin();
        pen.go(self.top, 0);
        pen.raw("\x1b[J\x1b[?25h");
        self.before = blank(self.columns, 0);
        pen.end()
    }

    fn draw(&mut self, pen: &mut Pen, next: &Buffer, cursor: Cursor) {
        let mut next = next.clone();
        next.resize(Rect::new(0, 0, self.columns, next.area.height.min(self.rows)));
        pen.difference(self.top, &self.before, &next);
        if let Some((x, y)) = cursor {
            pen.go(self.top + y, x);
            pen.raw("\x1b[?25h");
        }
        self.before = next;
    }

    fn shrink(&mut self, pen: &mut Pen, height: u16) {
        if height < self.before.area.height {
            pen.go(self.top + height, 0);
            pen.raw("\x1b[J");
            self.before.resize(Rect::new(0, 0, self.columns, height));
        }
    }

    fn set_height(&mut self, pen: &mut Pen, height: u16) {
        self.shrink(pen, height);
        let over = (self.top + height).saturating_sub(self.rows);
        if over > 0 {
            pen.reset_style();
            pen.go(self.rows - 1, 0);
            pen.raw(&"\n".repeat(over.into()));
            pen.lost();
            self.top -= over;
        }
        self.before = grown(&self.before, self.columns, height);
    }

    fn push_through_region(&mut self, pen: &mut Pen, above: &[Row], shift: u16) {
        pen.reset_style();
        if shift > 0 {
            // The live area moves down into the free rows below it.
            pen.raw(&format!("\x1b[{};{}r", self.top + 1, self.rows));
            pen.lost();
            pen.go(self.top, 0);
            pen.raw(&format!("\x1b[{shift}L"));
        }
        let first_row = self.top;
        self.top += shift;
        pen.raw(&format!("\x1b[1;{}r", self.top));
        pen.lost();
        if shift > 0 {
            pen.go(first_row, 0);
        } else {
            pen.go(self.top - 1, 0);
            pen.raw("\r\n");
        }
        self.print(pen, above);
        pen.raw("\x1b[r");
        pen.lost();
    }

    fn push_by_line_ends(&mut self, pen: &mut Pen, above: &[Row], height: u16) {
        pen.go(self.top, 0);
        pen.raw("\x1b[J");
        self.print(pen, above);
        pen.raw("\r");
        pen.raw(&"\n".repeat(height.into()));
        pen.lost();
        let end = usize::from(self.top) + above.len() + usize::from(height);
        self.top = end.min(self.rows.into()) as u16 - height;
        self.before = blank(self.columns, height);
    }

    /// Prints rows one below the other; a soft continuation follows without a line end, so that the
    /// terminal knows it for one line.
    fn print(&self, pen: &mut Pen, rows: &[Row]) {
        let mut width_before = 0;
        for (at, row) in rows.iter().enumerate() {
            let joined = row.soft && width_before == usize::from(self.columns);
            if at > 0 && !joined {
                pen.raw("\r\n");
            }
            pen.row(row);
            width_before = row.line.spans.iter().map(|span| wrap::width_of(&span.content)).sum();
        }
    }
}

fn blank(columns: u16, height: u16) -> Buffer {
    Buffer::empty(Rect::new(0, 0, columns, height))
}

/// `before` with blank rows below, up to `height`.
fn grown(before: &Buffer, columns: u16, height: u16) -> Buffer {
    let mut next = before.clone();
    next.resize(Rect::new(0, 0, columns, height));
    next
}

/// A buffer's row as text, without the blanks at its end.
pub fn buffer_row(buffer: &Buffer, y: u16) -> Row {
    let mut spans: Vec<ratatui::text::Span<'static>> = Vec::new();
    let mut skip = 0;
    for x in 0..buffer.area.width {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let cell = &buffer[(x, y)];
        skip = wrap::grapheme_width(cell.symbol()).saturating_sub(1);
        match spans.last_mut() {
            Some(last) if last.style == cell.style() => last.content.to_mut().push_str(cell.symbol()),
            _ => spans.push(ratatui::text::Span::styled(cell.symbol().to_owned(), cell.style())),
        }
    }
    while let Some(last) = spans.last_mut() {
        let reversed = last.style.add_modifier.contains(ratatui::style::Modifier::REVERSED);
        let kept = last.content.trim_end_matches(' ').len();
        if reversed || kept == last.content.len() {
            break;
        }
        if kept > 0 {
            last.content.to_mut().truncate(kept);
            break;
        }
        spans.pop();
    }
    Row::new(ratatui::text::Line::from(spans))
}
