//! The review: the files, the diff of the current one, the keys.

use ratatui::text::{Line, Span};

use super::{Stack, compose};
use crate::tui::app::App;
use crate::tui::app::review::{DiffLine, Hunk, Review, ReviewFile};
use crate::tui::text::Row;
use crate::tui::text::highlight::{self, State};
use crate::tui::text::languages::{self, Syntax};
use crate::tui::text::wrap::{self, Wrap};
use crate::tui::theme::Theme;

/// From this height on blank rows set the parts apart.
const ROOMY: usize = 18;

pub(super) fn stack(app: &App, review: &Review, height: usize) -> Stack {
    let width = usize::from(app.columns);
    let mut bottom = Stack::default();
    if let Some((text, _)) = &app.flash {
        bottom.add_rows(wrap::wrap(&Line::from(text.clone()), width, Wrap::Words));
    }
    match &review.remark {
        Some(remark) => bottom.add(compose::text(app, remark, 3, "what should be different?")),
        None => {
            let hint = Line::from(Span::styled(app.review_hint(), app.theme.faint()));
            let mut rows = wrap::wrap(&hint, width, Wrap::Words);
            rows.truncate(if height < 12 { 1 } else { 3 });
            bottom.add_rows(rows);
        }
    }
    let mut stack = Stack { rows: vec![head(app, review)], cursor: None };
    stack.add_rows(file_rows(app, review, height));
    // Air, where there is room for it.
    if height >= ROOMY {
        stack.add_rows(vec![Row::default()]);
        bottom.rows.insert(0, Row::default());
        bottom.cursor = bottom.cursor.map(|(x, y)| (x, y + 1));
    }
    let room = height.saturating_sub(stack.rows.len() + bottom.rows.len());
    stack.add_rows(diff_window(app, review, room));
    stack.add(bottom);
    let over = stack.rows.len().saturating_sub(height);
    stack.rows.drain(..over);
    stack.cursor = stack.cursor.map(|(x, y)| (x, y.saturating_sub(over as u16)));
    stack
}

fn head(app: &App, review: &Review) -> Row {
    let (taken, all) = review.counts();
    let text = format!("── review · {} files · {taken} of {all} hunks taken ", review.files.len());
    let rest = usize::from(app.columns).saturating_sub(wrap::width_of(&text));
    Row::styled(wrap::cut(&format!("{text}{}", "─".repeat(rest)), app.columns.into()).to_owned(), app.theme.warn())
}

/// The list of files; only the current one where it is low.
fn file_rows(app: &App, review: &Review, height: usize) -> Vec<Row> {
    let shown = if height < 14 { 1 } else { 6 };
    let first = if review.files.len() <= shown { 0 } else { (review.file + 1).saturating_sub(shown) };
    let files = review.files.iter().enumerate().skip(first).take(shown);
    files.map(|(at, file)| file_row(app, file, at == review.file)).collect()
}

fn file_row(app: &App, file: &ReviewFile, current: bool) -> Row {
    let theme = app.theme;
    let taken = file.hunks.iter().filter(|hunk| hunk.taken).count();
    let mark = match taken {
        0 if !file.hunks.is_empty() => "[ ]",
        n if n == file.hunks.len() => "[x]",
        _ => "[~]",
    };
    let edited = if file.edited.is_some() { " edited" } else { "" };
    let counts = format!("  +{} -{}{edited}", file.added, file.removed);
    let room = usize::from(app.columns).saturating_sub(wrap::width_of(&counts) + 6);
    let style = if current { theme.accent() } else { theme.text() };
    Row::new(Line::from(vec![
        Span::styled(format!("{} {mark} {}", if current { "❯" } else { " " }, wrap::fit(&file.path, room)), style),
        Span::styled(counts, theme.faint()),
    ]))
}

fn diff_window(app: &App, review: &Review, room: usize) -> Vec<Row> {
    let Some(file) = review.files.get(review.file) else { return Vec::new() };
    let width = usize::from(app.columns);
    let syntax = languages::by_path(&file.path);
    let mut rows: Vec<Row> = Vec::new();
    let mut start = 0;
    for (at, hunk) in file.hunks.iter().enumerate() {
        if at == review.hunk {
            start = rows.len();
        }
        rows.extend(hunk_rows(hunk, at == review.hunk, syntax, width, app.theme));
    }
    if file.hunks.is_empty() {
        let text = if file.after.is_none() { "(the file is deleted)" } else { "(nothing to show)" };
        rows.push(Row::styled(text, app.theme.faint()));
    }
    // The current hunk stands at the top, unless everything fits or the end is near.
    let start = (start + review.scroll).min(rows.len().saturating_sub(room));
    rows.into_iter().skip(start).take(room).collect()
}

fn hunk_rows(hunk: &Hunk, current: bool, syntax: Option<&Syntax>, width: usize, theme: Theme) -> Vec<Row> {
    let mark = if hunk.taken { "[x]" } else { "[ ]" };
    let head = format!("{} {mark} {}", if current { "❯" } else { " " }, hunk.header.trim_end());
    let mut rows = vec![Row::styled(wrap::fit(&head, width), if current { theme.accent() } else { theme.faint() })];
    let mut state = State::Code;
    let (mut old, mut new) = starts(&hunk.header);
    let digits = (old.max(new) + hunk.lines.len()).to_string().len();
    for line in &hunk.lines {
        let (sign, text, style, number) = match line {
            DiffLine::Same(text) => (" ", text, theme.faint(), new),
            DiffLine::Added(text) => ("+", text, theme.good(), new),
            DiffLine::Removed(text) => ("-", text, theme.bad(), old),
            DiffLine::Remark(text) => ("\\", text, theme.faint(), 0),
        };
        old += usize::from(matches!(line, DiffLine::Same(_) | DiffLine::Removed(_)));
        new += usize::from(matches!(line, DiffLine::Same(_) | DiffLine::Added(_)));
        let mut spans = Vec::new();
        if matches!(line, DiffLine::Same(_)) && syntax.is_some() {
            let (coloured, next) = highlight::colour(text, syntax, state, &theme);
            spans.extend(coloured.spans);
            state = next;
        } else {
            spans.push(Span::styled(text.clone(), style));
        }
        let number = if number > 0 { number.to_string() } else { String::new() };
        let first =
            [Span::styled(format!("{number:>digits$} "), theme.faint()), Span::styled(format!("{sign} "), style)];
        let rest = [Span::raw(" ".repeat(digits + 3))];
        rows.extend(wrap::wrap_indented(&Line::from(spans), width, Wrap::Anywhere, &first, &rest));
    }
    rows
}

/// The first line numbers of `@@ -old,… +new,… @@`; 1 where there are none.
fn starts(header: &str) -> (usize, usize) {
    let number = |mark: char| {
        let word = header.split(' ').find_map(|word| word.strip_prefix(mark))?;
        word.split(',').next()?.parse().ok()
    };
    (number('-').unwrap_or(1), number('+').unwrap_or(1))
}
