//! Where each grapheme of the composer stands at a width.

use unicode_segmentation::UnicodeSegmentation;

use super::Composer;
use crate::tui::text::wrap;

/// The composer's rows at one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub rows: Vec<VisualRow>,
    /// Column and row.
    pub cursor: (usize, usize),
}

/// One row: what is shown, and the bytes of the text behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VisualRow {
    /// `(byte offset, column, shown text, is a label)`
    pub cells: Vec<(usize, usize, String, bool)>,
    pub start: usize,
    pub end: usize,
}

impl Layout {
    pub fn new(composer: &Composer, width: usize) -> Self {
        let width = width.max(2);
        let mut layout = Self { rows: vec![VisualRow::default()], cursor: (0, 0) };
        let mut x = 0;
        for (at, grapheme) in composer.text().grapheme_indices(true) {
            let label = grapheme.chars().next().and_then(|c| composer.label(c));
            let shown = match (&label, grapheme) {
                (Some(label), _) => wrap::fit(label, width - 1),
                (None, "\n") => String::new(),
                (None, "\t") => "  ".to_owned(),
                (None, other) => other.to_owned(),
            };
            let cells = wrap::width_of(&shown);
            // One column stays free for the cursor behind the last character.
            if x + cells >= width && x > 0 {
                layout.break_row(at);
                x = 0;
            }
            if at == composer.cursor() {
                layout.cursor = (x, layout.rows.len() - 1);
            }
            if grapheme == "\n" {
                layout.break_row(at + 1);
                if let Some(row) = layout.rows.iter_mut().rev().nth(1) {
                    row.end = at;
                }
                x = 0;
            } else {
                layout.last().cells.push((at, x, shown, label.is_some()));
                layout.last().end = at + grapheme.len();
                x += cells;
            }
        }
        if composer.cursor() == composer.text().len() {
            layout.cursor = (x, layout.rows.len() - 1);
        }
        layout
    }

    /// The byte offset nearest to column `x` in row `y`.
    pub fn index_at(&self, composer: &Composer, y: usize, x: usize) -> Option<usize> {
        let row = self.rows.get(y)?;
        let hit = row.cells.iter().find(|(_, column, shown, _)| column + wrap::width_of(shown) > x);
        let end = if y + 1 < self.rows.len() { row.end } else { composer.text().len() };
        Some(hit.map_or(end, |(at, ..)| *at))
    }

    fn last(&mut self) -> &mut VisualRow {
        self.rows.last_mut().expect("a layout has at least one row")
    }

    fn break_row(&mut self, start: usize) {
        self.rows.push(VisualRow { cells: Vec::new(), start, end: start });
    }
}
