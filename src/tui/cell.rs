//! One finished (or streaming) piece of the conversation. A cell keeps its source, so that it can be
//! rendered again at another width; rows are made when they are asked for.
//!
//! Not for: where a cell goes (`transcript`).

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text::stream::Stream;
use super::text::wrap::{Wrap, wrap_indented};
use super::text::{Row, clean, wrap};
use super::theme::Theme;
use crate::task::{Failure, Report, ShiftReason, Tier, Verdict};

/// How cells are to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub width: usize,
    pub theme: Theme,
    /// Thinking is shown in full, not as one row.
    pub thinking_open: bool,
}

/// How much a note wants to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Faint,
    Plain,
    Good,
    Warn,
    Bad,
}

/// A piece of the conversation.
#[derive(Clone, Debug)]
pub enum Cell {
    Welcome { title: String, lines: Vec<String> },
    User(String),
    Thought { text: String, tokens: u32, shifted: Option<ShiftReason> },
    Answer(Stream),
    Verdict { candidate: Option<u32>, verdict: Verdict },
    Shell { command: String, output: String, end: String, ok: bool, tier: Tier, wall_ms: u64 },
    Note { tone: Tone, text: String, hint: Option<String> },
    Report { title: String, body: Stream },
}

/// Lines of a `!command`'s output that are shown; the middle is left out.
const SHELL_LINES_MAX: usize = 200;

impl Cell {
    /// A note, cleaned.
    pub fn note(tone: Tone, text: &str) -> Self {
        Self::Note { tone, text: clean::visible(text).into_owned(), hint: None }
    }

    /// All rows of the cell.
    pub fn rows(&self, look: &Look) -> Vec<Row> {
        match self {
            Self::Welcome { title, lines } => welcome(title, lines, look),
            Self::User(text) => user(text, look),
            Self::Thought { text, tokens, shifted } => thought(text, *tokens, *shifted, look),
            Self::Answer(stream) => all_rows(stream, look),
            Self::Verdict { candidate, verdict } => verdict_rows(*candidate, verdict, look),
            Self::Shell { command, output, end, ok, tier, wall_ms } => {
                let head = format!("! {command}");
                let tail = format!("{} {end} · {} · tier {tier:?}", if *ok { "✔" } else { "✘" }, seconds(*wall_ms));
                shell(&head, output, &tail, *ok, look)
            }
            Self::Note { tone, text, hint } => note(*tone, text, hint.as_deref(), look),
            Self::Report { title, body } => {
                let mut rows = vec![Row::styled(format!("── {title}"), look.theme.accent())];
                rows.extend(all_rows(body, look));
                rows
            }
        }
    }

    /// The cell as plain lines, for append-only output.
    pub fn plain(&self, width: usize) -> Vec<String> {
        let look = Look { width, theme: Theme::PLAIN, thinking_open: false };
        self.rows(&look).iter().map(Row::text).collect()
    }
}

fn all_rows(stream: &Stream, look: &Look) -> Vec<Row> {
    let mut rows = Vec::new();
    stream.stable_rows(look.width, look.theme, 0, |row| rows.push(row.clone()));
    rows
}

fn words(text: &str, style: Style, look: &Look, first: &str, rest: &str) -> Vec<Row> {
    let first = [Span::styled(first.to_owned(), style)];
    let rest = [Span::raw(rest.to_owned())];
    text.split('\n')
        .enumerate()
        .flat_map(|(at, line)| {
            let line = Line::from(Span::styled(line.to_owned(), style));
            wrap_indented(&line, look.width, Wrap::Words, if at == 0 { &first } else { &rest }, &rest)
        })
        .collect()
}

fn welcome(title: &str, lines: &[String], look: &Look) -> Vec<Row> {
    let mut rows = words(title, look.theme.accent().patch(look.theme.strong()), look, "", "");
    rows.extend(lines.iter().flat_map(|line| words(line, look.theme.faint(), look, "", "")));
    rows
}

fn user(text: &str, look: &Look) -> Vec<Row> {
    let first = [Span::styled("› ", look.theme.accent())];
    let rest = [Span::raw("  ")];
    text.split('\n')
        .enumerate()
        .flat_map(|(at, line)| {
            let line = Line::from(Span::styled(line.to_owned(), look.theme.strong()));
            wrap_indented(&line, look.width, Wrap::Words, if at == 0 { &first } else { &rest }, &rest)
        })
        .collect()
}

/// Why a window shifted, in words.
pub const fn shift_words(why: ShiftReason) -> &'static str {
    match why {
        ShiftReason::Budget => "budget used up",
        ShiftReason::AnswerNow => "you asked for the answer",
        ShiftReason::Loop => "it began to repeat itself",
    }
}

fn thought(text: &str, tokens: u32, shifted: Option<ShiftReason>, look: &Look) -> Vec<Row> {
    let sign = if look.thinking_open { "▾" } else { "▸" };
    let why = shifted.map_or(String::new(), |why| format!(" · shifted: {}", shift_words(why)));
    let head = Line::from(Span::styled(format!("{sign} thought {tokens} tokens{why}"), look.theme.faint()));
    let mut rows = wrap::wrap(&head, look.width, Wrap::Words);
    if look.thinking_open {
        rows.extend(words(text.trim_end(), look.theme.faint(), look, "  ", "  "));
    }
    rows
}

/// `0.4 s`, `1 min 12 s`.
pub fn seconds(ms: u64) -> String {
    if ms < 60_000 {
        format!("{:.1} s", ms as f64 / 1000.0)
    } else {
        format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000)
    }
}

fn verdict_rows(candidate: Option<u32>, verdict: &Verdict, look: &Look) -> Vec<Row> {
    let who = candidate.map_or(String::new(), |n| format!("candidate {}: ", n + 1));
    let theme = look.theme;
    match verdict {
        Verdict::Passed(report) => {
            let mut rows = words(&format!("✔ {who}{}", evidence("passed", report)), theme.good(), look, "", "  ");
            rows.extend(flags(report, look));
            rows
        }
        Verdict::Failed(report) => {
            let mut rows = words(&format!("✘ {who}{}", evidence("failed", report)), theme.bad(), look, "", "  ");
            rows.extend(report.failures.iter().take(3).flat_map(|failure| failure_rows(failure, look)));
            rows.extend(flags(report, look));
            rows
        }
        Verdict::NothingToCheck { why } => {
            words(&format!("○ {who}unverified: {}", clean::one_line(why)), theme.warn(), look, "", "  ")
        }
        Verdict::SandboxFailed { step, why } => {
            let text = format!("! {who}the sandbox failed at {step}: {why} (not the code's fault)");
            words(&clean::one_line(&text), theme.warn(), look, "", "  ")
        }
    }
}

fn evidence(word: &str, report: &Report) -> String {
    let total = report.passed + report.failed;
    let count = match (word, total) {
        (_, 0) => word.to_owned(),
        ("passed", _) => format!("passed {total} of {total}"),
        _ => format!("failed {} of {total}", report.failed),
    };
    let command = clean::one_line(&report.command);
    format!("{count} · {command} · {} · tier {:?}", seconds(report.wall_ms), report.tier)
}

fn failure_rows(failure: &Failure, look: &Look) -> Vec<Row> {
    let name = if failure.name.is_empty() { String::new() } else { format!("{}: ", failure.name) };
    let expected = failure.expected.as_deref().map_or(String::new(), |e| format!(", expected {e}"));
    let text = format!("{name}{}{expected}", failure.got);
    let mut rows = words(clean::visible(&text).trim_end(), look.theme.text(), look, "  ", "    ");
    if let Some(frame) = &failure.frame {
        rows.extend(words(&clean::one_line(frame), look.theme.faint(), look, "    at ", "       "));
    }
    rows
}

fn flags(report: &Report, look: &Look) -> Vec<Row> {
    let flag = |flag: &String| words(&clean::one_line(flag), look.theme.warn(), look, "  ⚑ ", "    ");
    report.flags.iter().flat_map(flag).collect()
}

fn shell(head: &str, output: &str, tail: &str, ok: bool, look: &Look) -> Vec<Row> {
    let mut rows = words(head, look.theme.accent(), look, "", "  ");
    let lines: Vec<&str> = output.lines().collect();
    let half = SHELL_LINES_MAX / 2;
    for (at, line) in lines.iter().enumerate() {
        let left_out = lines.len() > SHELL_LINES_MAX && (half..lines.len() - half).contains(&at);
        if !left_out {
            rows.extend(wrap::wrap(&Line::from((*line).to_owned()), look.width, Wrap::Anywhere));
        } else if at == half {
            let text = format!("… {} lines left out …", lines.len() - SHELL_LINES_MAX);
            rows.push(Row::styled(text, look.theme.faint()));
        }
    }
    rows.extend(words(tail, if ok { look.theme.faint() } else { look.theme.bad() }, look, "", "  "));
    rows
}

fn note(tone: Tone, text: &str, hint: Option<&str>, look: &Look) -> Vec<Row> {
    let theme = look.theme;
    let (sign, style) = match tone {
        Tone::Faint => ("· ", theme.faint()),
        Tone::Plain => ("• ", theme.text()),
        Tone::Good => ("✔ ", theme.good()),
        Tone::Warn => ("! ", theme.warn()),
        Tone::Bad => ("✘ ", theme.bad()),
    };
    let mut rows = words(text, style, look, sign, "  ");
    if let Some(hint) = hint {
        rows.extend(words(hint, theme.faint(), look, "  ", "  "));
    }
    rows
}
