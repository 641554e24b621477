//! A list to choose from.

use ratatui::text::{Line, Span};

use super::Stack;
use crate::tui::app::App;
use crate::tui::app::picker::Picker;
use crate::tui::text::{Row, wrap};

const SHOWN_MAX: usize = 12;

pub(super) fn stack(app: &App, picker: &Picker, height: usize) -> Stack {
    let theme = app.theme;
    let width = usize::from(app.columns);
    let choices = picker.shown();
    let head = format!("{} ({})  {}", picker.title, choices.len(), picker.filter);
    let head = wrap::fit(&head, width.saturating_sub(1));
    let cursor = Some((wrap::width_of(&head) as u16, 0));
    let mut rows = vec![Row::styled(head, theme.strong())];
    let shown = SHOWN_MAX.min(height.saturating_sub(2).max(1));
    let first = (picker.selected + 1).saturating_sub(shown);
    for (at, choice) in choices.iter().enumerate().skip(first).take(shown) {
        let chosen = at == picker.selected;
        let label = format!("{} {}", if chosen { "❯" } else { " " }, choice.label);
        let room = if choice.detail.is_empty() { width } else { width.saturating_sub(width / 3) };
        let label = wrap::fit(&label, room);
        let left = width.saturating_sub(wrap::width_of(&label) + 2);
        let detail = format!("  {}", wrap::fit(&choice.detail, left));
        let style = if chosen { theme.accent() } else { theme.text() };
        rows.push(Row::new(Line::from(vec![Span::styled(label, style), Span::styled(detail, theme.faint())])));
    }
    if choices.is_empty() {
        rows.push(Row::styled("  nothing matches", theme.faint()));
    }
    let keys = "enter chooses · esc closes · type to filter";
    rows.push(Row::styled(wrap::fit(keys, width), theme.faint()));
    Stack { rows, cursor }
}
