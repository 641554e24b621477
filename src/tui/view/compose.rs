//! The composer: its border in the effort's colour, the text, and the completion above it.

use ratatui::text::{Line, Span};

use super::Stack;
use super::gauge;
use super::status::effort_word;
use crate::tui::app::{App, Asked};
use crate::tui::composer::{Completion, Composer, Layout};
use crate::tui::text::{Row, clean, wrap};

/// Cells of the border before its word and after its numbers.
const EDGE: usize = 2;
const ROWS_MAX: usize = 8;
const ENTRIES_SHOWN: usize = 6;
const PLACEHOLDER: &str = "a task · / commands · @ files · ! sandbox";
const QUESTION: &str = "the command, or enter alone for none";
const CALL: &str = "y, a for always in this session, enter alone for no";
const PROMPT: &str = "› ";

pub(super) fn stack(app: &App, height: usize) -> Stack {
    let mut stack = Stack::default();
    let small = super::is_low(height);
    if let Some(completion) = &app.composer.completion {
        let shown = if small { 2 } else { ENTRIES_SHOWN };
        stack.add_rows(completion_rows(app, completion, shown));
    }
    if !small {
        stack.add_rows(vec![rule(app)]);
    }
    let rows = ROWS_MAX.min((height / 3).max(1));
    let placeholder = match app.question.as_ref().map(|question| question.kind) {
        Some(Asked::Check) => QUESTION,
        Some(Asked::Call) => CALL,
        None => PLACEHOLDER,
    };
    stack.add(text(app, &app.composer, rows, placeholder));
    stack
}

/// The border: its colour and its word say the effort. While something runs it is the gauge as well: the heavy
/// part is what is used up, the numbers stand at its right.
fn rule(app: &App) -> Row {
    let width = usize::from(app.columns);
    let style = app.theme.effort(app.effort);
    let word = format!(" {} ", effort_word(app.effort));
    let gauge = gauge::measure(app);
    let count = gauge.as_ref().map_or(String::new(), |gauge| format!(" {} ", gauge.count));
    let count = if wrap::width_of(&word) + wrap::width_of(&count) + 2 * EDGE < width { count } else { String::new() };
    let filled = gauge.as_ref().map_or(0, |gauge| (gauge.fraction * width as f32).round() as usize);
    let fill = gauge.map_or(style, |gauge| gauge.style);
    let mut spans = Vec::new();
    let line = |spans: &mut Vec<Span<'static>>, from: usize, to: usize| {
        let border = filled.clamp(from, to.max(from));
        spans.push(Span::styled("━".repeat(border - from), fill));
        spans.push(Span::styled("─".repeat(to.saturating_sub(border)), style));
    };
    line(&mut spans, 0, EDGE.min(width));
    let word = wrap::cut(&word, width.saturating_sub(EDGE)).to_owned();
    let after_word = EDGE + wrap::width_of(&word);
    spans.push(Span::styled(word, style));
    let before_count = width.saturating_sub(wrap::width_of(&count) + if count.is_empty() { 0 } else { EDGE });
    line(&mut spans, after_word, before_count.max(after_word));
    if !count.is_empty() {
        spans.push(Span::styled(count, app.theme.text()));
        line(&mut spans, width - EDGE, width);
    }
    spans.retain(|span| !span.content.is_empty());
    Row::new(Line::from(spans))
}

/// A composer's visible rows with the cursor in them.
pub(super) fn text(app: &App, composer: &Composer, rows_max: usize, placeholder: &str) -> Stack {
    let width = usize::from(app.columns).saturating_sub(PROMPT.chars().count()).max(2);
    let layout = Layout::new(composer, width);
    let (x, y) = layout.cursor;
    let first = (y + 1).saturating_sub(rows_max);
    let mut rows: Vec<Row> = Vec::new();
    for (at, row) in layout.rows.iter().enumerate().skip(first).take(rows_max) {
        let mut spans =
            vec![if at == 0 { Span::styled(PROMPT, app.theme.effort(app.effort)) } else { Span::raw("  ") }];
        for (_, _, shown, label) in &row.cells {
            let style = if *label { app.theme.accent() } else { app.theme.text() };
            spans.push(Span::styled(shown.clone(), style));
        }
        if composer.is_empty() {
            spans.push(Span::styled(wrap::cut(placeholder, width).to_owned(), app.theme.faint()));
        }
        rows.push(Row::new(Line::from(spans)));
    }
    Stack { rows, cursor: Some(((x + PROMPT.chars().count()) as u16, (y - first) as u16)) }
}

fn completion_rows(app: &App, completion: &Completion, shown: usize) -> Vec<Row> {
    let width = usize::from(app.columns);
    let first = (completion.selected + 1).saturating_sub(shown);
    let entries = completion.entries.iter().enumerate().skip(first).take(shown);
    entries
        .map(|(at, entry)| {
            let chosen = at == completion.selected;
            let name = clean::one_line(entry.insert.trim_end());
            let mut spans = vec![Span::styled(
                wrap::fit(&format!("{} {name}", if chosen { "❯" } else { " " }), width),
                if chosen { app.theme.accent() } else { app.theme.text() },
            )];
            let taken = wrap::width_of(&spans[0].content);
            if !entry.about.is_empty() && taken + 4 < width {
                let pad = 14_usize.saturating_sub(taken);
                let about = wrap::fit(&entry.about, (width - taken).saturating_sub(pad + 2));
                spans.push(Span::styled(format!("{}  {about}", " ".repeat(pad)), app.theme.faint()));
            }
            Row::new(Line::from(spans))
        })
        .collect()
}
