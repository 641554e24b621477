//! The status line: what is loaded, how full the context is, how fast, behind which walls, with what result.

use ratatui::text::Span;

use super::gauge::tier_words;
use super::{fields, short_count};
use crate::task::{Effort, Status};
use crate::tui::app::App;
use crate::tui::text::Row;

/// One row at the bottom; what matters least is dropped first where it is narrow.
pub(super) fn row(app: &App) -> Row {
    let theme = app.theme;
    let status = &app.status;
    let mut parts = Vec::new();
    let faint = |text: String| Span::styled(text, theme.faint());
    if status.gone {
        parts.push((0, Span::styled("no worker", theme.bad())));
    }
    parts.push((1, Span::styled(effort_word(app.effort), theme.effort(app.effort))));
    match &status.model {
        Some(model) => parts.push((2, faint(model.clone()))),
        None if status.loading.is_some() => parts.push((2, faint("no model yet".to_owned()))),
        None => {}
    }
    if status.context_max > 0 {
        let text = format!("ctx {}/{}", short_count(status.context_used), short_count(status.context_max));
        let full = u64::from(status.context_used) * 10 >= u64::from(status.context_max) * 9;
        parts.push((3, Span::styled(text, if full { theme.warn() } else { theme.faint() })));
    }
    if let Some(speed) = status.tokens_per_second {
        parts.push((6, faint(format!("{speed:.0} tok/s"))));
    }
    if let Some(tier) = status.tier {
        parts.push((5, faint(tier_words(tier).to_owned())));
    }
    if let Some(verdict) = status.verdict {
        let (text, style) = verdict_words(verdict, app);
        parts.push((4, Span::styled(text, style)));
    }
    if let Some(branch) = &status.branch {
        parts.push((7, faint(format!("⎇ {branch}"))));
    }
    if !status.offload.is_empty() {
        parts.push((8, faint(status.offload.clone())));
    }
    parts.push((9, faint("? help".to_owned())));
    fields(parts, app.columns.into(), " · ", theme.faint())
}

fn verdict_words(status: Status, app: &App) -> (String, ratatui::style::Style) {
    let word = crate::tui::app::status_word(status);
    match status {
        Status::Verified => (format!("✔ {word}"), app.theme.good()),
        Status::Failed | Status::LimitReached => (format!("✘ {word}"), app.theme.bad()),
        Status::Unverified | Status::Refused | Status::Cancelled => (format!("○ {word}"), app.theme.faint()),
    }
}

/// The effort as it is shown.
pub(super) fn effort_word(effort: Effort) -> String {
    match effort {
        Effort::Fast => "fast".to_owned(),
        Effort::Auto => "auto".to_owned(),
        Effort::Deep => "deep".to_owned(),
        Effort::Window(tokens) => format!("window {tokens}"),
    }
}
