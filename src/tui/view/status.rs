//! The status line: what is loaded, how full the context is, how fast, behind which walls, with what result.

use super::gauge::tier_words;
use super::{field, fields, short_count};
use crate::task::{Effort, Status};
use crate::tui::app::App;
use crate::tui::text::Row;

/// One row at the bottom; what matters least is left out first where it is narrow. The effort stands on the
/// composer's border already, unless it is too `low` for one.
pub(super) fn row(app: &App, low: bool) -> Row {
    let theme = app.theme;
    let status = &app.status;
    let faint = theme.faint();
    let mut left = Vec::new();
    if low {
        left.push(field(1, effort_word(app.effort), theme.effort(app.effort)));
    }
    match &status.model {
        _ if status.gone => left.push(field(0, "no model", theme.bad())),
        Some(model) => left.push(field(2, model.clone(), faint)),
        None => left.push(field(2, "no model yet", faint)),
    }
    if !status.offload.is_empty() && !status.gone {
        left.push(field(8, status.offload.clone(), faint));
    }
    if status.context_max > 0 {
        let text = format!("ctx {}/{}", short_count(status.context_used), short_count(status.context_max));
        let full = u64::from(status.context_used) * 10 >= u64::from(status.context_max) * 9;
        left.push(field(3, text, if full { theme.warn() } else { faint }));
    }
    if let Some(speed) = status.tokens_per_second.filter(|_| app.turn.is_none()) {
        left.push(field(6, format!("{speed:.0} tok/s"), faint));
    }
    let mut right = Vec::new();
    if let Some(verdict) = status.verdict {
        let (text, style) = verdict_words(verdict, app);
        right.push(field(4, text, style));
    }
    if let Some(tier) = status.tier {
        right.push(field(5, tier_words(tier), faint));
    }
    if let Some(branch) = &status.branch {
        right.push(field(7, format!("on {branch}"), faint));
    }
    right.push(field(9, "? help", faint));
    fields(left, right, app.columns.into(), faint)
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
