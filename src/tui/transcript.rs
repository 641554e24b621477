//! The conversation: finished cells, and at most one answer at the end that still grows.
//!
//! Not for: the live area, which the view makes from the turn.

use super::cell::{Cell, Look};
use super::text::Row;
use super::text::stream::Stream;

/// The cells in order.
#[derive(Debug, Default)]
pub struct Transcript {
    cells: Vec<Cell>,
    /// The last cell is an answer that still grows.
    open: bool,
}

/// How much was written into the scrollback: whole cells, and rows of the cell after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Emitted {
    cell: usize,
    rows: usize,
}

impl Transcript {
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Adds a finished cell.
    pub fn push(&mut self, cell: Cell) {
        self.close();
        self.cells.push(cell);
    }

    /// Adds a piece to the growing answer, or begins one.
    pub fn stream(&mut self, piece: &str) {
        if !self.open {
            self.cells.push(Cell::Answer(Stream::default()));
            self.open = true;
        }
        if let Some(Cell::Answer(stream)) = self.cells.last_mut() {
            stream.push(piece);
        }
    }

    /// The growing answer is complete.
    pub fn close(&mut self) {
        if std::mem::take(&mut self.open)
            && let Some(Cell::Answer(stream)) = self.cells.last_mut()
        {
            stream.finish();
        }
    }

    pub const fn is_streaming(&self) -> bool {
        self.open
    }

    /// Rows that are final and were not emitted yet; notes that they are now.
    pub fn fresh(&self, emitted: &mut Emitted, look: &Look) -> Vec<Row> {
        let mut rows = Vec::new();
        while let Some(cell) = self.cells.get(emitted.cell) {
            let new = final_rows(cell, look, emitted.rows);
            if emitted.rows == 0 && self.is_set_off(emitted.cell) && !new.is_empty() {
                rows.push(Row::default());
            }
            emitted.rows += new.len();
            rows.extend(new);
            if self.open && emitted.cell + 1 == self.cells.len() {
                break;
            }
            if let Cell::Answer(stream) | Cell::Report { body: stream, .. } = cell {
                stream.forget_rows();
            }
            *emitted = Emitted { cell: emitted.cell + 1, rows: 0 };
        }
        rows
    }

    /// The last `count` final rows after leaving out `skip` at the end, and whether there are more above.
    pub fn last_rows(&self, look: &Look, count: usize, skip: usize) -> (Vec<Row>, bool) {
        let wanted = count + skip;
        let mut parts: Vec<Vec<Row>> = Vec::new();
        let mut have = 0;
        for (at, cell) in self.cells.iter().enumerate().rev() {
            if have > wanted {
                break;
            }
            let mut rows = final_rows(cell, look, 0);
            if self.is_set_off(at) && !rows.is_empty() {
                rows.insert(0, Row::default());
            }
            have += rows.len();
            parts.push(rows);
        }
        let mut rows: Vec<Row> = parts.into_iter().rev().flatten().collect();
        rows.truncate(rows.len().saturating_sub(skip));
        let more = rows.len() > count;
        rows.drain(..rows.len().saturating_sub(count));
        (rows, more)
    }

    /// A blank row stands above the cell.
    fn is_set_off(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| !self.cells[at].joins(&self.cells[before]))
    }

    /// Everything final counts as emitted.
    pub fn all_emitted(&self, look: &Look) -> Emitted {
        match self.cells.last() {
            Some(cell) if self.open => Emitted { cell: self.cells.len() - 1, rows: final_rows(cell, look, 0).len() },
            _ => Emitted { cell: self.cells.len(), rows: 0 },
        }
    }

    /// The rows of the growing answer that may still change.
    pub fn tail(&self, look: &Look) -> Vec<Row> {
        match self.cells.last() {
            Some(Cell::Answer(stream)) if self.open => stream.tail_rows(look.width, look.theme),
            _ => Vec::new(),
        }
    }

    /// The whole conversation as Markdown, for a file.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for cell in &self.cells {
            let part = cell.markdown();
            if !part.trim().is_empty() {
                text.push_str(part.trim_end());
                text.push_str("\n\n");
            }
        }
        text
    }

    /// The content of the last fenced code block that was said.
    pub fn last_code(&self) -> Option<String> {
        self.cells.iter().rev().find_map(|cell| match cell {
            Cell::Answer(stream) => last_fence(stream.source()),
            _ => None,
        })
    }
}

fn final_rows(cell: &Cell, look: &Look, from: usize) -> Vec<Row> {
    if let Cell::Answer(stream) = cell {
        let mut rows = Vec::new();
        stream.stable_rows(look.width, look.theme, from, |row| rows.push(row.clone()));
        return rows;
    }
    let mut rows = cell.rows(look);
    rows.drain(..from.min(rows.len()));
    rows
}

fn last_fence(source: &str) -> Option<String> {
    let mut code = None;
    let mut last = None;
    for event in pulldown_cmark::Parser::new(source) {
        match event {
            pulldown_cmark::Event::Start(pulldown_cmark::Tag::CodeBlock(_)) => code = Some(String::new()),
            pulldown_cmark::Event::Text(text) => code.iter_mut().for_each(|code: &mut String| code.push_str(&text)),
            pulldown_cmark::Event::End(pulldown_cmark::TagEnd::CodeBlock) => last = code.take(),
            _ => {}
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::cell::Tone;
    use crate::tui::theme::Theme;

    const LOOK: Look = Look { width: 30, theme: Theme::PLAIN, thinking_open: false };

    fn text(rows: &[Row]) -> Vec<String> {
        rows.iter().map(Row::text).collect()
    }

    #[test]
    fn rows_are_emitted_once_and_in_order() {
        let mut transcript = Transcript::default();
        let mut emitted = Emitted::default();
        let mut all = Vec::new();
        transcript.push(Cell::User("hello".into()));
        for piece in ["One", " two.\n\nThr", "ee.\n\n```\nx\n", "y\n```\n", "End"] {
            transcript.stream(piece);
            all.extend(transcript.fresh(&mut emitted, &LOOK));
        }
        transcript.push(Cell::note(Tone::Plain, "done"));
        all.extend(transcript.fresh(&mut emitted, &LOOK));
        let whole = ["› hello", "", "One two.", "", "Three.", "", "x", "y", "", "End", "", "• done"];
        assert_eq!(text(&all), whole);
        assert_eq!(text(&transcript.last_rows(&LOOK, 99, 0).0), whole);
        assert_eq!(emitted, transcript.all_emitted(&LOOK));
    }

    #[test]
    fn a_window_into_the_rows() {
        let mut transcript = Transcript::default();
        transcript.push(Cell::User("a\nb\nc".into()));
        let (rows, more) = transcript.last_rows(&LOOK, 1, 1);
        assert_eq!((text(&rows), more), (vec!["  b".to_owned()], true));
    }

    #[test]
    fn the_last_code_block_is_found() {
        let mut transcript = Transcript::default();
        transcript.stream("```\na\n```\ntext\n```py\nb = 1\n```\n");
        assert_eq!(transcript.last_code().unwrap(), "b = 1\n");
    }
}
