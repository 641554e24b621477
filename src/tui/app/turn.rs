//! The task that runs: its phase, its budget, its candidates. What the gauge and the candidates' panel show.
//!
//! Not for: what is finished (that goes into the transcript).

use std::time::Duration;

use crate::task::{Budget, Level, Part, ShiftReason, Tier, Verdict};
use crate::tui::cell::Cell;
use crate::tui::text::clean;

/// Where the task stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// Handed over; nothing heard yet (the model may still be loading).
    Waiting,
    Prefill {
        done: u32,
        total: u32,
        reused: u32,
    },
    Thinking,
    /// The hint is being forced.
    Shifted,
    Answering,
    Verifying {
        tier: Tier,
        command: String,
    },
    /// A proposal waits for the user.
    Deciding,
    Stopping,
}

/// One candidate of the round.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// Clean text of the thinking, hint left out.
    pub thinking: String,
    pub hint: String,
    pub answer: String,
    pub thinking_tokens: u32,
    pub answer_tokens: u32,
    pub shifted: Option<ShiftReason>,
    pub tokens_per_second: Option<f32>,
    pub finished: bool,
    pub running: Option<Tier>,
    pub verdict: Option<Verdict>,
    /// Its thinking and answer are (being) shown in the transcript.
    pub shown: bool,
}

impl Lane {
    /// Takes a piece in.
    pub fn push(&mut self, part: Part, text: &str, tokens: u32) {
        let text = clean::visible(text);
        match part {
            Part::Thinking => {
                self.thinking.push_str(&text);
                self.thinking_tokens += tokens;
            }
            Part::Shift => self.hint.push_str(&text),
            Part::Answer => {
                self.answer.push_str(&text);
                self.answer_tokens += tokens;
            }
        }
    }

    /// What is to be shown as the answer: without a shift the model answered in its thinking; a hint that
    /// ends with an opened fence belongs to the answer.
    pub fn answer_text(&self) -> String {
        if self.answer.is_empty() {
            return self.thinking.clone();
        }
        format!("{}{}", self.opened_fence(), self.answer)
    }

    /// The thinking as a piece of the conversation, where there was any.
    pub fn thought(&self) -> Option<Cell> {
        let (tokens, shifted) = (self.thinking_tokens, self.shifted);
        let text = self.thinking[..self.answer_begins()].to_owned();
        (tokens > 0).then_some(Cell::Thought { text, tokens, shifted })
    }

    /// Where in the thinking the answer began by itself: at the block that the window found open and did not cut.
    /// Its end, where nothing was open or a hint was forced.
    fn answer_begins(&self) -> usize {
        if self.answer.is_empty() || !self.hint.is_empty() {
            return self.thinking.len();
        }
        let open = crate::scan::blocks(&self.thinking).pop().filter(|block| !block.closed);
        open.map_or(self.thinking.len(), |block| block.wrapped.unwrap_or(block.start))
    }

    /// What of the answer stands before its first piece: a block that began in the thinking, or the fence that the
    /// hint left open, with its line end.
    pub fn opened_fence(&self) -> String {
        let begun = &self.thinking[self.answer_begins()..];
        if !begun.is_empty() {
            return begun.to_owned();
        }
        let last = self.hint.trim_end_matches('\n').rsplit('\n').next().unwrap_or("");
        if last.trim_start().starts_with("```") { format!("{}\n", last.trim()) } else { String::new() }
    }

    /// One word for a list.
    pub fn state(&self) -> &'static str {
        match (&self.verdict, self.running.is_some(), self.finished) {
            (Some(Verdict::Passed(_)), ..) => "passed",
            (Some(Verdict::Failed(_)), ..) => "failed",
            (Some(_), ..) => "unverified",
            (None, true, _) => "running",
            (None, false, true) => "finished",
            (None, false, false) if self.shifted.is_some() || !self.answer.is_empty() => "answering",
            (None, false, false) if self.thinking_tokens > 0 => "thinking",
            _ => "waiting",
        }
    }
}

/// The task that runs.
#[derive(Clone, Debug)]
pub struct Turn {
    pub started: Duration,
    pub phase: Phase,
    /// When the phase began: verification shows its own clock.
    pub phase_since: Duration,
    pub complexity: Option<(Level, f32)>,
    pub budget: Option<Budget>,
    /// What *think more* added.
    pub more_tokens: u32,
    pub round: u32,
    pub lanes: Vec<Lane>,
    pub step: Option<String>,
    /// Tokens of the prompt, as the last prefill said.
    pub prompt_tokens: u32,
    /// Seconds since the first piece of this round, for a live speed.
    pub first_piece: Option<Duration>,
}

impl Turn {
    pub fn new(now: Duration) -> Self {
        Self {
            started: now,
            phase: Phase::Waiting,
            phase_since: now,
            complexity: None,
            budget: None,
            more_tokens: 0,
            round: 0,
            lanes: vec![Lane::default()],
            step: None,
            prompt_tokens: 0,
            first_piece: None,
        }
    }

    /// Several candidates are shown side by side, one is streamed.
    pub fn is_side_by_side(&self) -> bool {
        self.lanes.len() > 1
    }

    pub fn enter(&mut self, phase: Phase, now: Duration) {
        let same = std::mem::discriminant(&self.phase) == std::mem::discriminant(&phase);
        if self.phase != Phase::Stopping {
            if !same {
                // What somebody took to read is no part of how long the task takes.
                if self.phase == Phase::Deciding {
                    self.started += now.saturating_sub(self.phase_since);
                }
                self.phase_since = now;
            }
            self.phase = phase;
        }
    }

    /// How long it has worked: what somebody took to decide does not count.
    pub fn worked(&self, now: Duration) -> Duration {
        let until = if self.phase == Phase::Deciding { self.phase_since } else { now };
        until.saturating_sub(self.started)
    }

    /// The thinking window in force.
    pub fn window(&self) -> Option<u32> {
        self.budget.map(|budget| budget.thinking_tokens_max + self.more_tokens)
    }

    /// The candidate of this number; an unknown number is a candidate that nobody announced.
    pub fn lane(&mut self, candidate: u32) -> &mut Lane {
        const LANES_MAX: usize = 64;
        let at = (candidate as usize).min(LANES_MAX - 1);
        if self.lanes.len() <= at {
            self.lanes.resize_with(at + 1, Lane::default);
        }
        &mut self.lanes[at]
    }

    pub fn thinking_tokens(&self) -> u32 {
        self.lanes.iter().map(|lane| lane.thinking_tokens).max().unwrap_or(0)
    }

    pub fn answer_tokens(&self) -> u32 {
        self.lanes.iter().map(|lane| lane.answer_tokens).max().unwrap_or(0)
    }

    /// Tokens a second over all candidates since the round's first piece.
    pub fn live_speed(&self, now: Duration) -> Option<f32> {
        let seconds = now.checked_sub(self.first_piece?)?.as_secs_f32();
        let tokens: u32 = self.lanes.iter().map(|lane| lane.thinking_tokens + lane.answer_tokens).sum();
        (seconds > 0.5).then(|| tokens as f32 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_takes_to_decide_does_not_count() {
        let seconds = Duration::from_secs;
        let mut turn = Turn::new(seconds(10));
        turn.enter(Phase::Thinking, seconds(12));
        turn.enter(Phase::Deciding, seconds(30));
        assert_eq!((turn.worked(seconds(20)), turn.worked(seconds(500))), (seconds(20), seconds(20)));
        turn.enter(Phase::Thinking, seconds(130));
        assert_eq!(turn.worked(seconds(135)), seconds(25));
    }

    #[test]
    fn a_block_that_was_not_cut_is_shown_whole_in_the_answer() {
        let mut lane = Lane::default();
        lane.push(Part::Thinking, "Try ```x```.\n```\ndraft\n```\nSo:\n```python\ndef f():\n", 20);
        lane.push(Part::Answer, "    return 1\n```", 6);
        assert_eq!(lane.answer_text(), "```python\ndef f():\n    return 1\n```");
        assert!(matches!(lane.thought(), Some(Cell::Thought { text, .. }) if text.ends_with("So:\n")));
        let mut hinted = Lane::default();
        hinted.push(Part::Thinking, "Hm.\n```python\n", 5);
        hinted.push(Part::Shift, "\n\nthe answer:\n\n```python\n", 5);
        hinted.push(Part::Answer, "x = 1\n```", 5);
        assert_eq!(hinted.answer_text(), "```python\nx = 1\n```");
    }
}
