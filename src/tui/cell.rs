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
    Welcome { title: String, about: String, lines: Vec<String> },
    User(String),
    Thought { text: String, tokens: u32, shifted: Option<ShiftReason> },
    Answer(Stream),
    Verdict { candidate: Option<u32>, verdict: Verdict },
    Shell { command: String, output: String, end: String, ok: bool, tier: Tier, wall_ms: u64 },
    Note { tone: Tone, text: String, hint: Option<String> },
    Report { title: String, body: Stream },
}

/// Notes are wrapped to this width in an exported file.
const EXPORT_WIDTH: usize = 100;
/// Lines of a `!command`'s output that are shown; the middle is left out.
const SHELL_LINES_MAX: usize = 200;

impl Cell {
    /// A note, cleaned.
    pub fn note(tone: Tone, text: &str) -> Self {
        Self::Note { tone, text: clean::visible(text).into_owned(), hint: None }
    }

    /// Stands directly below `before`: remarks, and the end of a task below its verdict.
    pub const fn joins(&self, before: &Self) -> bool {
        matches!(self, Self::Note { .. }) && matches!(before, Self::Note { .. } | Self::Verdict { .. })
    }

    /// All rows of the cell.
    pub fn rows(&self, look: &Look) -> Vec<Row> {
        match self {
            Self::Welcome { title, about, lines } => welcome(title, about, lines, look),
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

    /// The cell as Markdown. What was a note on the screen is a quote.
    pub fn markdown(&self) -> String {
        let look = Look { width: EXPORT_WIDTH, theme: Theme::PLAIN, thinking_open: false };
        let quoted = || self.rows(&look).iter().map(|row| format!("> {}\n", row.text())).collect::<String>();
        match self {
            Self::Welcome { title, .. } => format!("# {title}"),
            Self::User(text) => format!("## {}", text.trim().replacen('\n', "\n\n", 1)),
            Self::Thought { text, tokens, .. } => {
                let fence = "`".repeat(longest_run(text, '`').max(2) + 1);
                format!(
                    "<details><summary>thought {tokens} tokens</summary>\n\n{fence}\n{}\n{fence}\n\n</details>",
                    text.trim()
                )
            }
            Self::Answer(stream) => stream.source().to_owned(),
            Self::Report { title, body } => format!("### {title}\n\n{}", body.source()),
            Self::Shell { command, output, .. } => {
                let fence = "`".repeat(longest_run(output, '`').max(2) + 1);
                format!("{fence}\n! {command}\n{}\n{fence}", output.trim_end())
            }
            Self::Verdict { .. } | Self::Note { .. } => quoted(),
        }
    }
}

fn longest_run(text: &str, mark: char) -> usize {
    text.split(|c| c != mark).map(str::len).max().unwrap_or(0)
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

fn welcome(title: &str, about: &str, lines: &[String], look: &Look) -> Vec<Row> {
    let head = vec![
        Span::styled(title.to_owned(), look.theme.accent().patch(look.theme.strong())),
        Span::styled(about.to_owned(), look.theme.faint()),
    ];
    let mut rows = wrap::wrap(&Line::from(head), look.width, Wrap::Words);
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
