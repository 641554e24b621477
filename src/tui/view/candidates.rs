//! Candidates side by side: what each says, whether it ran, and why it failed.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::task::Verdict;
use crate::tui::app::App;
use crate::tui::app::turn::{Lane, Turn};
use crate::tui::text::wrap::Wrap;
use crate::tui::text::{Row, clean, wrap};

const COLUMN_WIDTH_MIN: usize = 20;
const TEXT_ROWS: usize = 6;
/// Rows of a candidate's failure.
const FAILURE_ROWS: usize = 3;
const GAP: usize = 2;

pub(super) fn rows(app: &App, turn: &Turn, room: usize) -> Vec<Row> {
    let width = usize::from(app.columns);
    let columns = turn.lanes.len();
    let each = (width + GAP) / columns;
    let tall = room >= TEXT_ROWS + 3;
    let mut rows = vec![Row::default()];
    if each >= COLUMN_WIDTH_MIN + GAP && tall {
        rows.extend(side_by_side(app, &turn.lanes, each - GAP));
        rows.push(Row::default());
    } else {
        rows.extend(turn.lanes.iter().enumerate().map(|(at, lane)| one_row(app, at, lane)));
    }
    rows
}

fn side_by_side(app: &App, lanes: &[Lane], width: usize) -> Vec<Row> {
    let columns: Vec<Vec<Row>> = lanes.iter().enumerate().map(|(at, lane)| column(app, at, lane, width)).collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|y| {
            let mut spans = Vec::new();
            for (at, column) in columns.iter().enumerate() {
                let row = column.get(y).cloned().unwrap_or_default();
                let taken = wrap::width_of(&row.text());
                spans.extend(row.line.spans);
                if at + 1 < columns.len() {
                    spans.push(Span::raw(" ".repeat(width.saturating_sub(taken) + GAP)));
                }
            }
            Row::new(Line::from(spans))
        })
        .collect()
}

fn column(app: &App, at: usize, lane: &Lane, width: usize) -> Vec<Row> {
    let head = head(at, lane);
    let mut rows = vec![Row::styled(wrap::fit(&head, width), style(app, lane))];
    let text = if lane.answer.is_empty() { &lane.thinking } else { &lane.answer };
    let faint = if lane.answer.is_empty() { app.theme.faint() } else { app.theme.text() };
    let mut said = super::last_rows_of(text, width, TEXT_ROWS, faint);
    said.resize(TEXT_ROWS, Row::default());
    rows.extend(said);
    if let Some(failure) = first_failure(lane) {
        let line = Line::from(Span::styled(failure, app.theme.bad()));
        rows.extend(wrap::wrap(&line, width, Wrap::Words).into_iter().take(FAILURE_ROWS));
    }
    rows
}

fn one_row(app: &App, at: usize, lane: &Lane) -> Row {
    let failure = first_failure(lane).map_or(String::new(), |failure| format!(" · {failure}"));
    Row::styled(wrap::fit(&format!("{}{failure}", head(at, lane)), app.columns.into()), style(app, lane))
}

fn head(at: usize, lane: &Lane) -> String {
    let sign = match lane.state() {
        "passed" => "✔",
        "failed" => "✘",
        "running" => "▶",
        "unverified" => "○",
        _ => "●",
    };
    let tokens = lane.thinking_tokens + lane.answer_tokens;
    format!("{sign} {} {} · {tokens}", at + 1, lane.state())
}

fn style(app: &App, lane: &Lane) -> Style {
    match lane.state() {
        "passed" => app.theme.good(),
        "failed" => app.theme.bad(),
        "running" => app.theme.accent(),
        _ => app.theme.strong(),
    }
}

fn first_failure(lane: &Lane) -> Option<String> {
    let Some(Verdict::Failed(report)) = &lane.verdict else { return None };
    let failure = report.failures.first()?;
    let name = if failure.name.is_empty() { String::new() } else { format!("{}: ", failure.name) };
    let expected = failure.expected.as_deref().map_or(String::new(), |expected| format!(", expected {expected}"));
    Some(clean::one_line(&format!("{name}{}{expected}", failure.got)))
}
