//! The list of keys and commands, made from the tables that the dispatch reads.

use ratatui::text::{Line, Span};

use super::Stack;
use crate::tui::app::App;
use crate::tui::app::keys::{ACTIONS, Place};
use crate::tui::app::slash::COMMANDS;
use crate::tui::text::Row;
use crate::tui::text::wrap::{self, Wrap, wrap_indented};

const KEYS_WIDTH: usize = 22;
const NAMES_WIDTH_MIN: usize = 70;

pub(super) fn stack(app: &App, scroll: usize, height: usize) -> Stack {
    let rows = rows(app);
    let room = height.saturating_sub(1).max(1);
    let start = scroll.min(rows.len().saturating_sub(room));
    let more = rows.len() > start + room;
    let mut shown: Vec<Row> = rows.into_iter().skip(start).take(room).collect();
    let foot = if more { "down, space: more · any other key closes" } else { "any other key closes" };
    shown.push(Row::styled(wrap::fit(foot, app.columns.into()), app.theme.faint()));
    Stack { rows: shown, cursor: None }
}

fn rows(app: &App) -> Vec<Row> {
    let mut rows = Vec::new();
    for (place, title) in [(Place::Main, "Keys"), (Place::Review, "In a review"), (Place::Picker, "In a list")] {
        rows.push(Row::styled(title, app.theme.strong()));
        for binding in ACTIONS.iter().filter(|binding| binding.place == place) {
            let keys = app.keymap.keys_of(binding.action);
            let keys = if keys.is_empty() { "(no key)".to_owned() } else { keys.join(", ") };
            rows.extend(entry(app, &keys, binding.about, binding.name));
        }
    }
    rows.push(Row::styled("Commands", app.theme.strong()));
    for (name, argument, about) in COMMANDS {
        rows.extend(entry(app, format!("{name} {argument}").trim_end(), about, ""));
    }
    rows.push(Row::styled("Lines that begin with", app.theme.strong()));
    rows.extend(entry(app, "!COMMAND", "run it in the sandbox; nothing it writes reaches the project", ""));
    rows.extend(entry(app, "@FILE", "name a file, anywhere in a line", ""));
    rows
}

/// `name`: what the settings call it; shown where there is room.
fn entry(app: &App, keys: &str, about: &str, name: &str) -> Vec<Row> {
    let width = usize::from(app.columns);
    let indent = if width < 50 { 4 } else { KEYS_WIDTH + 2 };
    let keys_span = Span::styled(format!("  {keys}"), app.theme.accent());
    let mut line = Line::from(about.to_owned());
    if !name.is_empty() && width >= NAMES_WIDTH_MIN {
        line.push_span(Span::styled(format!("  {name}"), app.theme.faint()));
    }
    let rest = [Span::raw(" ".repeat(indent))];
    if wrap::width_of(&keys_span.content) < indent {
        let pad = indent - wrap::width_of(&keys_span.content);
        let first = [keys_span, Span::raw(" ".repeat(pad))];
        return wrap_indented(&line, width, Wrap::Words, &first, &rest);
    }
    let mut rows = wrap::wrap(&Line::from(keys_span), width, Wrap::Words);
    rows.extend(wrap_indented(&line, width, Wrap::Words, &rest, &rest));
    rows
}
