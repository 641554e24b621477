//! The thinking gauge: phase, tokens against the window, why it shifted, budget and complexity.
//!
//! It has two parts: the composer's border is filled as far as the window is ([`measure`]), and one row above it
//! says the rest in words ([`row`]).

use std::time::Duration;

use ratatui::style::Style;

use super::{Field, field, fields, short_count};
use crate::model_store::disk::gigabytes;
use crate::task::{Level, Tier};
use crate::tui::app::App;
use crate::tui::app::keys::Action;
use crate::tui::app::offer::{Offered, Pull};
use crate::tui::app::turn::{Phase, Turn};
use crate::tui::cell::{seconds, shift_words};
use crate::tui::text::Row;

const SPINNER: [&str; 8] = ["⣾", "⣽", "⣻", "⢿", "⡿", "⣟", "⣯", "⣷"];
const SPIN_EVERY: Duration = Duration::from_millis(120);

/// How far something has come.
pub(super) struct Measure {
    /// 0..=1
    pub(super) fraction: f32,
    pub(super) count: String,
    pub(super) style: Style,
}

/// What the composer's border shows, while there is something to show.
pub(super) fn measure(app: &App) -> Option<Measure> {
    let theme = app.theme;
    let of = |done: u32, total: u32, style| Measure {
        fraction: (done as f32 / total.max(1) as f32).clamp(0.0, 1.0),
        count: format!("{done}/{total}"),
        style,
    };
    let Some(turn) = &app.turn else {
        let fraction = app.status.loading.or_else(|| app.pull.as_ref()?.fraction())?;
        return Some(Measure { fraction, count: format!("{:.0}%", fraction * 100.0), style: theme.accent() });
    };
    match &turn.phase {
        Phase::Prefill { done, total, .. } => Some(of(*done, *total, theme.faint())),
        Phase::Thinking => {
            let (used, window) = (turn.thinking_tokens(), turn.window()?);
            let nearly = u64::from(used) * 10 >= u64::from(window) * 9;
            Some(of(used, window, if nearly { theme.warn() } else { theme.accent() }))
        }
        Phase::Shifted | Phase::Answering => {
            Some(of(turn.answer_tokens(), turn.budget?.answer_tokens_max, theme.good()))
        }
        _ => None,
    }
}

/// The words of the running task. Where it is too `low` for a border the numbers stand here.
pub(super) fn row(app: &App, turn: &Turn, low: bool) -> Row {
    let theme = app.theme;
    let faint = theme.faint();
    let sign = if turn.phase == Phase::Deciding { "?" } else { spinner(app.now) };
    let (word, style) = match &turn.phase {
        Phase::Waiting if app.status.loading.is_some() => ("waiting for the model".to_owned(), faint),
        Phase::Waiting => (turn.step.clone().unwrap_or_else(|| "waiting".to_owned()), faint),
        Phase::Prefill { reused: 0, .. } => ("reading".to_owned(), faint),
        Phase::Prefill { reused, .. } => (format!("reading, {} known", short_count(*reused)), faint),
        Phase::Thinking => ("thinking".to_owned(), theme.accent()),
        Phase::Shifted => ("shifted".to_owned(), theme.warn()),
        Phase::Answering => ("answering".to_owned(), theme.good()),
        Phase::Verifying { .. } => ("running".to_owned(), theme.accent()),
        Phase::Deciding => ("your decision".to_owned(), theme.warn()),
        Phase::Stopping => ("stopping".to_owned(), theme.warn()),
    };
    let mut left = vec![field(0, format!("{sign} {word}"), style)];
    if let Some(measure) = measure(app).filter(|_| low) {
        left.push(field(1, measure.count, theme.text()));
    }
    left.extend(phase_fields(app, turn));
    if let Some((level, probability)) = turn.complexity {
        left.push(field(6, format!("{} {:.0}%", level_word(level), probability * 100.0), faint));
    }
    if let Some(speed) = turn.live_speed(app.now) {
        left.push(field(5, format!("{speed:.0} tok/s"), faint));
    }
    let elapsed = turn.worked(app.now).as_millis() as u64;
    left.push(field(3, seconds(elapsed), faint));
    let mut right = Vec::new();
    if turn.phase == Phase::Thinking {
        right.push(field(7, format!("{} answers now", app.keymap.hint(Action::AnswerNow)), faint));
        right.push(field(9, format!("{} thinks more", app.keymap.hint(Action::ThinkMore)), faint));
    }
    right.push(field(8, format!("{} stops", app.keymap.hint(Action::Stop)), faint));
    fields(left, right, app.columns.into(), faint)
}

fn phase_fields(app: &App, turn: &Turn) -> Vec<Field> {
    let theme = app.theme;
    match &turn.phase {
        Phase::Thinking if turn.window().is_none() => {
            vec![field(1, format!("{} tokens", turn.thinking_tokens()), theme.text())]
        }
        Phase::Thinking if turn.more_tokens > 0 => {
            vec![field(4, format!("window +{}", turn.more_tokens), theme.text())]
        }
        Phase::Shifted | Phase::Answering => {
            let why = turn.lanes.iter().find_map(|lane| lane.shifted);
            let why = why.map_or(String::new(), |why| format!(", {}", shift_words(why)));
            vec![field(2, format!("thought {} tokens{why}", turn.thinking_tokens()), theme.faint())]
        }
        Phase::Verifying { tier, command } => {
            let since = app.now.saturating_sub(turn.phase_since).as_millis() as u64;
            vec![
                field(2, command.clone(), theme.text()),
                field(1, seconds(since), theme.text()),
                field(4, tier_words(*tier), theme.faint()),
            ]
        }
        _ => Vec::new(),
    }
}

/// Something besides a task is under way.
pub(super) fn errand(app: &App, what: &str, since: Duration) -> Row {
    let theme = app.theme;
    let elapsed = app.now.saturating_sub(since).as_millis() as u64;
    let left = vec![
        field(0, format!("{} {what}", spinner(app.now)), theme.accent()),
        field(1, seconds(elapsed), theme.faint()),
    ];
    let right = vec![field(2, format!("{} stops", app.keymap.hint(Action::Stop)), theme.faint())];
    fields(left, right, app.columns.into(), theme.faint())
}

/// The model is being loaded.
pub(super) fn loading(app: &App, fraction: f32, low: bool) -> Row {
    let theme = app.theme;
    let mut left = vec![field(0, "loading the model", theme.accent())];
    if low {
        left.push(field(1, format!("{:.0}%", fraction * 100.0), theme.text()));
    }
    left.push(field(3, "you can type already", theme.faint()));
    let right = vec![field(2, format!("{} gives up", app.keymap.hint(Action::Stop)), theme.faint())];
    fields(left, right, app.columns.into(), theme.faint())
}

/// A model is being fetched.
pub(super) fn pull(app: &App, pull: &Pull) -> Row {
    let theme = app.theme;
    let faint = theme.faint();
    let word = match pull {
        Pull { stopping: true, .. } => "stopping to fetch",
        _ if pull.is_checked() => "checking",
        _ => "fetching",
    };
    let mut left = vec![field(0, format!("{} {word} {}", spinner(app.now), pull.name), theme.accent())];
    let of = pull.total_bytes.map_or_else(String::new, |total| format!(" of {}", gigabytes(total)));
    if pull.done_bytes > 0 {
        left.push(field(1, format!("{}{of}", gigabytes(pull.done_bytes)), theme.text()));
    }
    if let Some(speed) = pull.bytes_per_second(app.now) {
        left.push(field(4, format!("{}/s", gigabytes(speed as u64)), faint));
    }
    if let Some(seconds) = pull.seconds_left(app.now) {
        left.push(field(3, format!("{}:{:02} left", seconds / 60, seconds % 60), faint));
    }
    let right = vec![field(2, format!("{} stops", app.keymap.hint(Action::Stop)), faint)];
    fields(left, right, app.columns.into(), faint)
}

/// A real model could be fetched.
pub(super) fn offer(app: &App, offered: &Offered) -> Row {
    let theme = app.theme;
    let key = |action| app.keymap.hint(action);
    let left = vec![
        field(0, format!("{} fetches {}", key(Action::AcceptOffer), offered.name), theme.accent()),
        field(3, gigabytes(offered.bytes), theme.text()),
    ];
    let right = vec![field(1, format!("{} no, never ask", key(Action::DeclineOffer)), theme.faint())];
    fields(left, right, app.columns.into(), theme.faint())
}

fn spinner(now: Duration) -> &'static str {
    SPINNER[(now.as_millis() / SPIN_EVERY.as_millis()) as usize % SPINNER.len()]
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
