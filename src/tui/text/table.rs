//! Lays a Markdown table out in a width: columns shrink and their cells wrap; where even that is too
//! narrow, every record becomes a short list.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::wrap::{Row, Wrap, width_of, wrap};
use crate::tui::theme::Theme;

/// A cell's styled text.
pub type Cell = Vec<Span<'static>>;

/// A table as parsed; every row may have fewer cells than the head.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub head: Vec<Cell>,
    pub rows: Vec<Vec<Cell>>,
    /// Columns whose text stands at the right.
    pub right: Vec<bool>,
}

const COLUMN_WIDTH_MIN: usize = 4;
const GAP: &str = "  ";

impl Table {
    /// The table's rows, none wider than `width`.
    pub fn layout(&self, width: usize, theme: Theme) -> Vec<Row> {
        let Some(widths) = self.widths(width) else { return self.as_list(width, theme) };
        let mut rows = Vec::new();
        if self.head.iter().any(|cell| !cell.is_empty()) {
            rows.extend(self.record(&self.head, &widths, theme.strong()));
            let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            rows.push(Row::styled(rule.join(GAP), theme.faint()));
        }
        for record in &self.rows {
            rows.extend(self.record(record, &widths, Style::new()));
        }
        rows
    }

    /// Natural widths where they fit; else the widest columns give way first.
    fn widths(&self, width: usize) -> Option<Vec<usize>> {
        let columns = self.head.len();
        let room = width.checked_sub(GAP.len() * columns.saturating_sub(1))?;
        if columns == 0 || room < columns * COLUMN_WIDTH_MIN {
            return None;
        }
        let mut widths = vec![1; columns];
        for record in std::iter::once(&self.head).chain(&self.rows) {
            for (cell, widest) in record.iter().zip(&mut widths) {
                *widest = (*widest).max(cell_width(cell)).min(room);
            }
        }
        let mut over = widths.iter().sum::<usize>().saturating_sub(room);
        while over > 0 {
            let widest = widths.iter_mut().max().expect("there is at least one column");
            *widest -= 1;
            over -= 1;
        }
        Some(widths)
    }

    fn record(&self, record: &[Cell], widths: &[usize], style: Style) -> Vec<Row> {
        let cells: Vec<Vec<Row>> = widths
            .iter()
            .enumerate()
            .map(|(at, width)| {
                let line = Line::from(record.get(at).cloned().unwrap_or_default()).style(style);
                wrap(&line, *width, Wrap::Words)
            })
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        (0..height).map(|at| self.joined(&cells, widths, at)).collect()
    }

    /// The `at`th screen row of a record, without blanks at its end.
    fn joined(&self, cells: &[Vec<Row>], widths: &[usize], at: usize) -> Row {
        let mut spans = Vec::new();
        let mut owed = 0;
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let text = cell.get(at).map(|row| row.line.spans.clone()).unwrap_or_default();
            let blank = width.saturating_sub(cell_width(&text));
            let before = if self.right.get(column) == Some(&true) { blank } else { 0 };
            if text.is_empty() {
                owed += *width;
            } else {
                spans.push(Span::raw(" ".repeat(owed + before)));
                spans.extend(text);
                owed = blank - before;
            }
            owed += GAP.len();
        }
        Row::new(Line::from(spans))
    }

    /// `head: cell`, one to a row, records apart by a blank row.
    fn as_list(&self, width: usize, theme: Theme) -> Vec<Row> {
        let mut rows = Vec::new();
        for record in &self.rows {
            if !rows.is_empty() {
                rows.push(Row::default());
            }
            for (at, cell) in record.iter().enumerate() {
                let mut spans: Vec<Span<'static>> =
                    self.head.get(at).into_iter().flatten().cloned().map(|s| s.patch_style(theme.strong())).collect();
                if !spans.is_empty() {
                    spans.push(Span::raw(": "));
                }
                spans.extend(cell.iter().cloned());
                rows.extend(wrap(&Line::from(spans), width, Wrap::Words));
            }
        }
        rows
    }
}

fn cell_width(cell: &[Span<'_>]) -> usize {
    cell.iter().map(|span| width_of(&span.content)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let cell = |text: &str| vec![Span::raw(text.to_owned())];
        Table {
            head: vec![cell("name"), cell("n")],
            rows: vec![vec![cell("漢字 and more words"), cell("10")], vec![cell("b")]],
            right: vec![false, true],
        }
    }

    #[test]
    fn columns_shrink_and_wrap() {
        let rows: Vec<String> = table().layout(16, Theme::PLAIN).iter().map(Row::text).collect();
        assert!(rows.iter().all(|row| width_of(row) <= 16), "{rows:?}");
        assert!(rows.len() > 4);
    }

    #[test]
    fn a_very_narrow_table_becomes_a_list() {
        let rows: Vec<String> = table().layout(7, Theme::PLAIN).iter().map(Row::text).collect();
        assert_eq!(rows[0], "name:");
        assert!(rows.iter().all(|row| width_of(row) <= 7), "{rows:?}");
    }
}
