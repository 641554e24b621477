//! A frame as text with colours, or as an SVG picture. For the gallery and the README.

use std::fmt::Write;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use unicode_segmentation::UnicodeSegmentation;

use super::term::paint::{colour_number, sgr};
use super::term::screen::buffer_row;
use super::text::wrap;

const CELL_WIDTH: f32 = 8.4;
const CELL_HEIGHT: u16 = 18;
const MARGIN: u16 = 12;
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d8dbe2";
/// The sixteen colours as a common dark scheme shows them.
const PALETTE: [&str; 16] = [
    "#2b2e36", "#e0606c", "#8fc573", "#d9b36a", "#6aa4e8", "#c883d9", "#5fb8c4", "#c7cbd4", "#5c6370", "#ef7882",
    "#a3d987", "#e9c87f", "#7fb6f5", "#d99ae8", "#76ccd8", "#ffffff",
];

/// The frame's rows with the terminal's own colour sequences.
pub fn ansi(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        for span in buffer_row(buffer, y).line.spans {
            let style = Style { fg: span.style.fg, bg: span.style.bg, ..span.style };
            let _ = write!(text, "{}{}", sgr(style), span.content);
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

/// The frame as an SVG document.
pub fn svg(buffer: &Buffer, title: &str) -> String {
    let width = f32::from(buffer.area.width) * CELL_WIDTH + f32::from(2 * MARGIN);
    let height = buffer.area.height * CELL_HEIGHT + 2 * MARGIN;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height}\" role=\"img\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <g font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\">\n",
        escaped(title)
    );
    for y in 0..buffer.area.height {
        let mut column = 0;
        for span in buffer_row(buffer, y).line.spans {
            svg_span(&mut text, &span.content, span.style, column, y);
            column += wrap::width_of(&span.content);
        }
    }
    text.push_str("</g>\n</svg>\n");
    text
}

/// Writes a span in runs that every font sets to the cell: ASCII together, everything else by itself at its own
/// place, the lines of the interface as lines.
fn svg_span(out: &mut String, content: &str, style: Style, column: usize, row: u16) {
    let colour = style.fg.filter(|colour| *colour != Color::Reset).and_then(colour_number);
    let fill = colour.map_or(FOREGROUND, |number| PALETTE[usize::from(number)]);
    let mut column = column;
    let mut rest = content;
    while let Some(first) = rest.graphemes(true).next() {
        let length = match first {
            "─" | "━" => rest.len() - rest.trim_start_matches(first).len(),
            _ if first.is_ascii() => rest.find(|c: char| !c.is_ascii()).unwrap_or(rest.len()),
            _ => first.len(),
        };
        let (run, after) = rest.split_at(length);
        let cells = wrap::width_of(run);
        if first == "─" || first == "━" {
            svg_line(out, first == "━", cells, fill, column, row);
        } else if !run.trim().is_empty() {
            let lead = run.len() - run.trim_start().len();
            svg_text(out, run.trim(), style, fill, column + lead, row);
        }
        column += cells;
        rest = after;
    }
}

fn left(column: usize) -> f32 {
    column as f32 * CELL_WIDTH + f32::from(MARGIN)
}

fn svg_line(out: &mut String, heavy: bool, cells: usize, fill: &str, column: usize, row: u16) {
    let (x, width) = (left(column), cells as f32 * CELL_WIDTH);
    let thick = if heavy { 3.0 } else { 1.0 };
    let y = f32::from(row * CELL_HEIGHT + MARGIN) + f32::from(CELL_HEIGHT) / 2.0 - thick / 2.0;
    let _ = writeln!(out, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{thick}\" fill=\"{fill}\"/>");
}

fn svg_text(out: &mut String, text: &str, style: Style, fill: &str, column: usize, row: u16) {
    let (x, y) = (left(column), row * CELL_HEIGHT + MARGIN + 13);
    let length = wrap::width_of(text) as f32 * CELL_WIDTH;
    let has = |modifier| style.add_modifier.contains(modifier);
    let mut attributes = String::new();
    for (set, text) in [
        (has(Modifier::BOLD), " font-weight=\"bold\""),
        (has(Modifier::DIM), " opacity=\"0.6\""),
        (has(Modifier::ITALIC), " font-style=\"italic\""),
        (has(Modifier::UNDERLINED), " text-decoration=\"underline\""),
    ] {
        attributes.push_str(if set { text } else { "" });
    }
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y}\" fill=\"{fill}\" textLength=\"{length:.1}\" xml:space=\"preserve\"{attributes}>{}</text>",
        escaped(text)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
