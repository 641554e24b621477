//! The thinking gauge: phase, tokens against the window, why it shifted, budget and complexity.

use std::time::Duration;

use ratatui::text::Span;

use super::{fields, short_count};
use crate::task::{Level, Tier};
use crate::tui::app::App;
use crate::tui::app::keys::Action;
use crate::tui::app::turn::{Phase, Turn};
use crate::tui::cell::{seconds, shift_words};
use crate::tui::text::Row;

const SPINNER: [&str; 8] = ["⣾", "⣽", "⣻", "⢿", "⡿", "⣟", "⣯", "⣷"];
const SPIN_EVERY: Duration = Duration::from_millis(120);
const BAR_CELLS: usize = 12;

/// The gauge of the running task.
pub(super) fn row(app: &App, turn: &Turn) -> Row {
    let theme = app.theme;
    let sign = if turn.phase == Phase::Deciding { "?" } else { spinner(app.now) };
    let (word, style) = match &turn.phase {
        Phase::Waiting if app.status.loading.is_some() => ("waiting for the model".to_owned(), theme.faint()),
        Phase::Waiting => (turn.step.clone().unwrap_or_else(|| "waiting".to_owned()), theme.faint()),
        Phase::Prefill { done, total, reused } => (prefill(*done, *total, *reused), theme.faint()),
        Phase::Thinking => ("thinking".to_owned(), theme.accent()),
        Phase::Shifted => ("shifted".to_owned(), theme.warn()),
        Phase::Answering => ("answering".to_owned(), theme.good()),
        Phase::Verifying { tier, .. } => (format!("running, {}", tier_words(*tier)), theme.accent()),
        Phase::Deciding => ("your decision".to_owned(), theme.warn()),
        Phase::Stopping => ("stopping".to_owned(), theme.warn()),
    };
    let mut parts = vec![(0, Span::styled(format!("{sign} {word}"), style))];
    parts.extend(phase_fields(app, turn));
    if let Some((level, probability)) = turn.complexity {
        let text = format!("{} {:.0}%", level_word(level), probability * 100.0);
        parts.push((5, Span::styled(text, theme.faint())));
    }
    if let Some(speed) = turn.live_speed(app.now) {
        parts.push((4, Span::styled(format!("{speed:.0} tok/s"), theme.faint())));
    }
    let elapsed = app.now.saturating_sub(turn.started).as_millis() as u64;
    parts.push((3, Span::styled(seconds(elapsed), theme.faint())));
    if turn.phase == Phase::Thinking {
        let hint = format!("{} answers now", app.keymap.hint(Action::AnswerNow));
        parts.push((7, Span::styled(hint, theme.faint())));
    }
    parts.push((8, Span::styled(format!("{} stops", app.keymap.hint(Action::Stop)), theme.faint())));
    fields(parts, app.columns.into(), " · ", theme.faint())
}

fn phase_fields(app: &App, turn: &Turn) -> Vec<(u8, Span<'static>)> {
    let theme = app.theme;
    match &turn.phase {
        Phase::Thinking => window_fields(app, turn),
        Phase::Shifted | Phase::Answering => {
            let why = turn.lanes.iter().find_map(|lane| lane.shifted);
            let thought = match why {
                Some(why) => format!("thought {} ({})", turn.thinking_tokens(), shift_words(why)),
                None => format!("thought {}", turn.thinking_tokens()),
            };
            let answer = match turn.budget {
                Some(budget) => format!("{}/{}", turn.answer_tokens(), budget.answer_tokens_max),
                None => turn.answer_tokens().to_string(),
            };
            vec![(1, Span::styled(answer, theme.text())), (2, Span::styled(thought, theme.faint()))]
        }
        Phase::Verifying { command, .. } => {
            let since = app.now.saturating_sub(turn.phase_since).as_millis() as u64;
            let command = Span::styled(command.clone(), theme.text());
            vec![(2, command), (1, Span::styled(seconds(since), theme.text()))]
        }
        Phase::Prefill { done, total, .. } => vec![(2, Span::styled(bar(*done, *total), theme.accent()))],
        _ => Vec::new(),
    }
}

fn window_fields(app: &App, turn: &Turn) -> Vec<(u8, Span<'static>)> {
    let used = turn.thinking_tokens();
    let Some(window) = turn.window() else {
        return vec![(1, Span::styled(format!("{used} tokens"), app.theme.text()))];
    };
    let style = if u64::from(used) * 10 >= u64::from(window) * 9 { app.theme.warn() } else { app.theme.accent() };
    let count = format!("{used}/{window}");
    vec![(2, Span::styled(bar(used, window), style)), (1, Span::styled(count, app.theme.text()))]
}

/// The model is being loaded.
pub(super) fn loading(app: &App, fraction: f32) -> Row {
    let theme = app.theme;
    let percent = (fraction * 100.0) as u32;
    let parts = vec![
        (0, Span::styled("loading the model", theme.faint())),
        (1, Span::styled(bar(percent, 100), theme.accent())),
        (2, Span::styled(format!("{percent}%"), theme.text())),
        (3, Span::styled("you can type already", theme.faint())),
    ];
    fields(parts, app.columns.into(), " · ", theme.faint())
}

fn prefill(done: u32, total: u32, reused: u32) -> String {
    let reused = if reused > 0 { format!(" ({} known)", short_count(reused)) } else { String::new() };
    format!("reading {}/{}{reused}", short_count(done), short_count(total))
}

fn spinner(now: Duration) -> &'static str {
    SPINNER[(now.as_millis() / SPIN_EVERY.as_millis()) as usize % SPINNER.len()]
}

fn bar(done: u32, total: u32) -> String {
    let filled = (u64::from(done) * BAR_CELLS as u64 / u64::from(total.max(1))).min(BAR_CELLS as u64) as usize;
    format!("{}{}", "▓".repeat(filled), "░".repeat(BAR_CELLS - filled))
}

const fn level_word(level: Level) -> &'static str {
    match level {
        Level::Simple => "simple",
        Level::Moderate => "moderate",
        Level::Complex => "complex",
    }
}

/// A tier in words that need no manual.
pub(super) const fn tier_words(tier: Tier) -> &'static str {
    match tier {
        Tier::F => "tier F",
        Tier::B => "tier B",
        Tier::S => "tier S",
        Tier::L => "tier L (weaker walls)",
        Tier::N => "NO WALLS",
    }
}
