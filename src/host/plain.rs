//! Plain text: the answer to stdout, a progress line and what must be said to stderr.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::Show;
use crate::error::Exit;
use crate::event::Event;
use crate::task::{Budget, Outcome, Part, Status, Verdict};

/// How much is said on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// The verdict, and progress on a terminal.
    #[default]
    Normal,
    /// Every step, and the thinking.
    Verbose,
}

/// The progress line is redrawn at most this often.
const REDRAW: Duration = Duration::from_millis(100);

/// The plain host.
#[derive(Debug)]
pub struct Plain {
    verbosity: Verbosity,
    explain: bool,
    progress: bool,
    drawn: bool,
    last: Option<Instant>,
    budget: Option<Budget>,
    tokens: u32,
    since: Option<Instant>,
    doing: String,
    told: OneByOne,
    /// The last thing shown ended within a line.
    open_line: bool,
}

/// Several replies at once, told one after the other: the one that is being told comes as it streams, what the others say
/// meanwhile is kept until it is their turn.
#[derive(Debug, Default)]
struct OneByOne {
    /// Of each candidate what was not told yet, and whether it has ended.
    waiting: Vec<(String, bool)>,
    telling: usize,
}

impl OneByOne {
    fn begin(&mut self, candidates: u32) {
        *self = Self { waiting: vec![(String::new(), false); candidates as usize], telling: 0 };
    }

    /// Takes a piece in; returns what can be told now.
    fn piece(&mut self, candidate: u32, text: &str) -> String {
        let at = candidate as usize;
        if self.waiting.len() <= at {
            self.waiting.resize(at + 1, (String::new(), false));
        }
        if at == self.telling {
            return text.to_owned();
        }
        self.waiting[at].0.push_str(text);
        String::new()
    }

    /// A candidate has ended; returns what can be told now: the next ones, as far as they are.
    fn ended(&mut self, candidate: u32) -> String {
        if let Some(waiting) = self.waiting.get_mut(candidate as usize) {
            waiting.1 = true;
        }
        let mut text = String::new();
        while self.waiting.get(self.telling).is_some_and(|(_, ended)| *ended) {
            self.telling += 1;
            let Some((next, _)) = self.waiting.get_mut(self.telling) else { break };
            text.push_str(&format!("\n--- candidate {} ---\n{}", self.telling, std::mem::take(next)));
        }
        text
    }
}

impl Plain {
    pub fn new(verbosity: Verbosity, explain: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self {
            verbosity,
            explain,
            progress: verbosity == Verbosity::Normal && io::stderr().is_terminal() && !dumb,
            drawn: false,
            last: None,
            budget: None,
            tokens: 0,
            since: None,
            doing: "starting".to_owned(),
            told: OneByOne::default(),
            open_line: false,
        }
    }

    /// Shows the model's own words, which end where they like.
    fn tell(&mut self, text: &str) {
        let text = crate::sandbox::text::clean(text);
        if let Some(last) = text.chars().next_back() {
            self.open_line = last != '\n';
        }
        let _ = write!(io::stderr(), "{text}");
    }

    /// Prints a line to stderr. Where stderr is gone there is nobody to tell.
    fn say(&mut self, text: &str) {
        self.clear();
        let apart = if std::mem::take(&mut self.open_line) && !text.starts_with('\n') { "\n" } else { "" };
        let _ = writeln!(io::stderr(), "{apart}{text}");
    }

    fn draw(&mut self, now: bool) {
        if !self.progress || (!now && self.last.is_some_and(|last| last.elapsed() < REDRAW)) {
            return;
        }
        self.last = Some(Instant::now());
        self.drawn = true;
        let mut line = self.doing.clone();
        if let Some(since) = self.since.filter(|_| self.tokens > 0) {
            let speed = f64::from(self.tokens) / since.elapsed().as_secs_f64().max(0.001);
            let window = self.budget.map_or(0, |budget| budget.thinking_tokens_max);
            line.push_str(&format!(" · {} tokens (window {window}) · {speed:.0} tok/s", self.tokens));
        }
        let _ = write!(io::stderr(), "\r\x1b[K{line}").and_then(|()| io::stderr().flush());
    }

    fn doing(&mut self, what: impl Into<String>) {
        self.doing = what.into();
        self.draw(true);
    }

    fn step(&mut self, text: &str) {
        if self.verbosity == Verbosity::Verbose {
            self.say(text);
        }
    }
}

impl Show for Plain {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Loading { fraction } => self.doing(format!("loading the model {:.0} %", fraction * 100.0)),
            Event::Ready { model, context_tokens_max, offload } => {
                self.step(&format!("model {model}, context {context_tokens_max} tokens, {offload}"));
            }
            Event::Prefill { done, total, .. } => self.doing(format!("reading {done}/{total}")),
            Event::Classified { complexity, budget } => {
                self.budget = Some(*budget);
                if self.explain || self.verbosity == Verbosity::Verbose {
                    self.say(&explained(complexity, *budget));
                }
            }
            Event::Round { round, candidates } => {
                (self.tokens, self.since) = (0, None);
                self.told.begin(*candidates);
                self.step(&format!("round {round}: {candidates} candidate(s)"));
            }
            Event::Piece { candidate, part, text, tokens, .. } => {
                self.since.get_or_insert_with(Instant::now);
                self.tokens += tokens;
                if *part == Part::Answer { "answering" } else { "thinking" }.clone_into(&mut self.doing);
                if self.verbosity == Verbosity::Verbose {
                    let text = self.told.piece(*candidate, text);
                    self.tell(&text);
                }
                self.draw(false);
            }
            Event::Shifted { why, thinking_tokens, .. } => {
                self.step(&format!("\nshifted after {thinking_tokens} tokens ({why:?})"));
            }
            Event::Finished { candidate, .. } if self.verbosity == Verbosity::Verbose => {
                let text = self.told.ended(*candidate);
                self.tell(&text);
            }
            Event::Verifying { command, tier, .. } => self.doing(format!("running {command} (tier {tier:?})")),
            Event::Verified { verdict, .. } => self.step(&verdict_line(Some(verdict))),
            Event::Step { text } if self.explain => self.say(&format!("z1: {text}")),
            Event::Step { text } => self.step(text),
            Event::Warning { text } if self.verbosity > Verbosity::Quiet => self.say(&format!("z1: warning: {text}")),
            Event::Warning { .. }
            | Event::Started { .. }
            | Event::Finished { .. }
            | Event::Proposal { .. }
            | Event::Question { .. }
            | Event::Permission { .. }
            | Event::Ended { .. }
            | Event::Fatal { .. } => {}
        }
        Ok(())
    }

    fn end(&mut self, outcome: &Outcome, _exit: Exit) -> io::Result<()> {
        self.clear();
        let mut stdout = io::stdout().lock();
        stdout.write_all(outcome.answer.as_bytes())?;
        if !outcome.answer.is_empty() && !outcome.answer.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()?;
        if self.verbosity > Verbosity::Quiet {
            for note in &outcome.notes {
                self.say(&format!("z1: {note}"));
            }
            let status = match outcome.status {
                Status::Verified => "verified",
                Status::Unverified => "unverified",
                Status::Failed => "failed",
                Status::LimitReached => "limit reached without a candidate",
                Status::Refused => "refused",
                Status::Cancelled => "cancelled",
            };
            let tokens = outcome.usage.generated_tokens();
            let verdict = match &outcome.verdict {
                Some(verdict @ (Verdict::Passed(_) | Verdict::Failed(_))) => {
                    format!(" ({})", verdict_line(Some(verdict)))
                }
                _ => String::new(),
            };
            let rounds = if outcome.rounds == 1 { "round" } else { "rounds" };
            self.say(&format!("z1: {status}{verdict}, {tokens} tokens, {} {rounds}", outcome.rounds));
        }
        Ok(())
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(io::stderr(), "\r\x1b[K").and_then(|()| io::stderr().flush());
        }
    }
}

fn explained(complexity: &crate::task::Complexity, budget: Budget) -> String {
    let [simple, moderate, complex] = complexity.probabilities;
    let mut text = format!(
        "z1: {} (simple {simple:.2}, moderate {moderate:.2}, complex {complex:.2}): window {} tokens, answer {}, \
         {} revision(s), {} candidate(s)",
        crate::complexity::name(complexity.level),
        budget.thinking_tokens_max,
        budget.answer_tokens_max,
        budget.rounds_max,
        budget.samples
    );
    for reason in &complexity.reasons {
        text.push_str(&format!("\n      {reason}"));
    }
    text
}

fn verdict_line(verdict: Option<&Verdict>) -> String {
    match verdict {
        Some(Verdict::Passed(report)) => {
            format!("{} passed: {}, tier {:?}, {} ms", report.passed, report.command, report.tier, report.wall_ms)
        }
        Some(Verdict::Failed(report)) => {
            let first = report.failures.first().map(|failure| format!(": {} {}", failure.name, failure.got));
            let text = format!("{} passed, {} failed{}", report.passed, report.failed, first.unwrap_or_default());
            text.lines().next().unwrap_or_default().to_owned()
        }
        Some(Verdict::NothingToCheck { why }) => format!("nothing to check: {why}"),
        Some(Verdict::SandboxFailed { step, why }) => format!("the sandbox failed at {step}: {why}"),
        None => "not run".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_told_one_after_the_other() {
        let mut told = OneByOne::default();
        told.begin(3);
        let mut text = String::new();
        for (candidate, piece) in [(0, "a"), (2, "c"), (1, "b"), (0, "A"), (2, "C")] {
            text.push_str(&told.piece(candidate, piece));
        }
        assert_eq!(text, "aA");
        text.push_str(&told.ended(2));
        text.push_str(&told.ended(0));
        text.push_str(&told.piece(1, "B"));
        text.push_str(&told.ended(1));
        assert_eq!(text, "aA\n--- candidate 1 ---\nbB\n--- candidate 2 ---\ncC");
    }
}
