//! One request while it is served: its candidates, its listener, and what is said to it.
//!
//! Not for: which request is served when (`worker.rs`), and decoding (`decode.rs`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::candidate::{Candidate, Round};
use super::handle::Steering;
use super::model::Vocabulary;
use super::sample::Look;
use super::{EngineError, EngineEvent, GenerateRequest, Steer, TokenId};
use crate::cancel::Cancel;
use crate::task::{Finish, Trajectory};

/// Where a generation's events go.
pub(super) type Events = mpsc::Sender<Result<EngineEvent, EngineError>>;

/// A request that waits for a slot.
pub(super) struct Call {
    pub(super) request: Box<GenerateRequest>,
    pub(super) events: Events,
    pub(super) steering: Arc<Steering>,
    pub(super) cancel: Cancel,
}

/// A request that is being served.
pub(super) struct Job {
    pub(super) call: Call,
    pub(super) prompt_tokens: u32,
    pub(super) reused_tokens: u32,
    /// The first one leads: what all have in common is decoded by it alone, then the others fork from it.
    pub(super) candidates: Vec<Candidate>,
    pub(super) forked: bool,
    /// Tokens of the prompt that were decoded for this request alone.
    pub(super) prefilled_tokens: u32,
    /// Guessed tokens that were checked, and those of them that held.
    pub(super) drafted_tokens: u32,
    pub(super) held_tokens: u32,
    /// When the first token could be drawn.
    started: Option<Instant>,
    /// The last word about the prompt.
    told_tokens: Option<u32>,
    /// What happened before the first token was decoded; told once the prompt is done.
    early: Vec<EngineEvent>,
    outbox: VecDeque<Result<EngineEvent, EngineError>>,
    pub(super) announced: Vec<bool>,
    /// Words that wait for the fork.
    said: Vec<Steer>,
    failed: bool,
}

impl Job {
    pub(super) fn new(call: Call, prompt_tokens: u32, candidates: Vec<Candidate>) -> Self {
        let count = candidates.len();
        Self {
            call,
            prompt_tokens,
            reused_tokens: 0,
            candidates,
            forked: count == 1,
            prefilled_tokens: 0,
            drafted_tokens: 0,
            held_tokens: 0,
            started: None,
            told_tokens: None,
            early: Vec::new(),
            outbox: VecDeque::new(),
            announced: vec![false; count],
            said: Vec::new(),
            failed: false,
        }
    }

    /// Opens every window and hands the given tokens on; what that has to say waits for the prompt.
    pub(super) fn open(&mut self, vocabulary: &dyn Vocabulary) {
        let Self { call, candidates, early, outbox, .. } = self;
        let round = Round { request: &call.request, vocabulary };
        if let Some(first) = candidates.first() {
            let (thinking_tokens_max, answer_tokens_max) =
                (first.window.thinking_tokens_max(), first.window.answer_tokens_max());
            outbox.push_back(Ok(EngineEvent::Allotted { thinking_tokens_max, answer_tokens_max }));
        }
        for candidate in candidates {
            candidate.begin(&round, &mut |event| early.push(event));
        }
    }

    /// Whether the prompt is not yet decoded.
    pub(super) fn is_prefilling(&self) -> bool {
        self.candidates.first().is_some_and(|first| first.is_live() && first.is_prefilling())
    }

    /// How long a beginning of `tokens` will be in the cache once this request's prompt is decoded.
    pub(super) fn prefix_to_come(&self, tokens: &[TokenId]) -> usize {
        let Some(first) = self.candidates.first().filter(|_| self.is_prefilling()) else { return 0 };
        let all = first.branch.tokens.iter().chain(&first.pending);
        all.zip(tokens).take_while(|(left, right)| left == right).count()
    }

    fn say(&mut self, event: EngineEvent) {
        self.outbox.push_back(Ok(event));
    }

    /// Ends the request with an error, which is the last its listener hears.
    pub(super) fn fail(&mut self, error: EngineError) {
        tracing::warn!(%error, "generation failed");
        self.failed = true;
        for candidate in &mut self.candidates {
            candidate.stop(Finish::Stopped);
        }
        self.outbox.push_back(Err(error));
    }

    /// Whether there is something to decode and somebody to hear of it.
    pub(super) fn is_ready(&self) -> bool {
        self.outbox.is_empty() && self.candidates.iter().any(Candidate::is_live)
    }

    /// Whether every candidate has ended and been told of.
    pub(super) fn is_over(&self) -> bool {
        self.failed || self.announced.iter().all(|&announced| announced)
    }

    /// Tells the listener of a request that was cancelled before it was served.
    pub(super) fn refuse_cancelled(call: &Call) {
        for candidate in 0..call.request.candidates.max(1) {
            let trajectory = Trajectory { finish: Finish::Cancelled, ..Trajectory::ended("") };
            let event = EngineEvent::Finished { candidate, trajectory, tokens: Vec::new(), tokens_per_second: 0.0 };
            // There is room for all: nothing was sent before.
            drop(call.events.try_send(Ok(event)));
        }
    }

    /// Hands the listener what it has room for; returns whether all is handed over. Where nobody listens any more the
    /// request is cancelled.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(item) = self.outbox.pop_front() {
            match self.call.events.try_send(item) {
                Ok(()) => {}
                Err(TrySendError::Full(item)) => {
                    self.outbox.push_front(item);
                    return false;
                }
                Err(TrySendError::Closed(_)) => {
                    self.call.cancel.cancel();
                    self.outbox.clear();
                }
            }
        }
        true
    }

    /// Applies what the outside said since the last step.
    pub(super) fn steer(&mut self) {
        let mut words = std::mem::take(&mut self.said);
        words.extend(self.call.steering.take());
        if self.call.cancel.is_cancelled() {
            for candidate in &mut self.candidates {
                candidate.stop(Finish::Cancelled);
            }
            return;
        }
        for word in words {
            // Before the fork the first candidate carries them all.
            if !self.forked && word != Steer::StopAll {
                self.said.push(word);
                continue;
            }
            for candidate in &mut self.candidates {
                match word {
                    Steer::AnswerNow => _ = candidate.window.answer_now(),
                    Steer::ThinkMore(tokens) => _ = candidate.window.think_more(tokens),
                    Steer::Stop(number) if number != candidate.number => {}
                    Steer::Stop(_) | Steer::StopAll => candidate.stop(Finish::Stopped),
                }
            }
        }
    }

    /// Says how far the prompt is; with the first token `drawn` it is done, and what happened before that token is told.
    pub(super) fn tell_prefill(&mut self, drawn: bool) {
        if self.started.is_some() {
            return;
        }
        let (total, reused) = (self.prompt_tokens, self.reused_tokens);
        let decoded = self.candidates[0].branch.tokens.len() as u32;
        let done = if drawn { total } else { decoded.min(total) };
        if drawn {
            self.started = Some(Instant::now());
        }
        if drawn || self.told_tokens != Some(done) {
            self.told_tokens = Some(done);
            self.say(EngineEvent::Prefill { done, total, reused });
        }
        if drawn {
            self.tell_early();
        }
    }

    fn tell_early(&mut self) {
        self.outbox.extend(self.early.drain(..).map(Ok));
    }

    /// Takes the logits after a candidate's last pending token.
    pub(super) fn take_logits(&mut self, candidate: usize, logits: &[f32], look: &Look, vocabulary: &dyn Vocabulary) {
        let Self { call, candidates, outbox, .. } = self;
        let round = Round { request: &call.request, vocabulary };
        let mut say = |event| outbox.push_back(Ok(event));
        if let Err(error) = candidates[candidate].take_logits(logits, look, &round, &mut say) {
            self.fail(error);
        }
    }

    /// Says of every candidate that has ended since the last step that it has.
    pub(super) fn announce(&mut self) {
        if self.failed {
            return;
        }
        for index in 0..self.candidates.len() {
            let candidate = &self.candidates[index];
            if candidate.is_live() || self.announced[index] {
                continue;
            }
            let trajectory = candidate.trajectory(self.reused_tokens);
            let seconds = self.started.map_or(0.0, |started| started.elapsed().as_secs_f32());
            let tokens = trajectory.usage.generated_tokens().saturating_sub(candidate.given_tokens()) as f32;
            let event = EngineEvent::Finished {
                candidate: candidate.number,
                trajectory,
                tokens: candidate.reply_tokens().to_vec(),
                tokens_per_second: if seconds > 0.0 { tokens / seconds } else { 0.0 },
            };
            self.tell_early();
            self.announced[index] = true;
            self.say(event);
        }
    }
}
