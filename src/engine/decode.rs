//! The decode loop: N candidates, one batch a step, until the last has ended.
//!
//! Written against [`TokenModel`]; the scripted model and llama.cpp run the very same lines.
//!
//! Not for: sessions and prefill (`worker.rs`), phases (`thinking`), sampling (`sample.rs`).

use std::time::Instant;

use super::candidate::{Candidate, Round};
use super::handle::Steering;
use super::model::{BatchToken, Decoded, TokenModel};
use super::worker::Worker;
use super::{EngineError, EngineEvent, Steer};
use crate::cancel::Cancel;
use crate::task::Finish;

/// The outside of one generation: who listens, who steers, who cancels.
pub(super) struct Outside<'a> {
    pub(super) events: &'a mut dyn FnMut(EngineEvent),
    pub(super) steering: &'a Steering,
    pub(super) cancel: &'a Cancel,
}

/// A batch and where each candidate's part of it is.
struct Batch {
    tokens: Vec<BatchToken>,
    /// (candidate's index, tokens taken from its pending ones, whether its logits come back).
    shares: Vec<(usize, usize, bool)>,
}

impl<M: TokenModel> Worker<M> {
    /// Decodes until every candidate has ended. Each one's `Finished` is sent as it ends.
    pub(super) fn decode_all(
        &mut self,
        candidates: &mut [Candidate],
        round: &Round<'_>,
        outside: &mut Outside<'_>,
    ) -> Result<(), EngineError> {
        let mut started: Option<Instant> = None;
        for candidate in candidates.iter_mut() {
            candidate.begin(round, outside.events);
        }
        let mut announced = vec![false; candidates.len()];
        loop {
            steer(candidates, outside);
            announce(candidates, &mut announced, started, round, outside);
            if !candidates.iter().any(Candidate::is_live) {
                return Ok(());
            }
            if !self.step(candidates, round, outside)? {
                continue;
            }
            if started.is_none() {
                started = Some(Instant::now());
                let total = round.prompt_tokens;
                (outside.events)(EngineEvent::Prefill { done: total, total, reused: round.reused_tokens });
            }
        }
    }

    /// One batch. Returns whether anything was decoded.
    fn step(
        &mut self,
        candidates: &mut [Candidate],
        round: &Round<'_>,
        outside: &mut Outside<'_>,
    ) -> Result<bool, EngineError> {
        let batch = build_batch(candidates, self.model.batch_tokens_max());
        match self.model.decode(&batch.tokens, outside.cancel)? {
            Decoded::Done => {}
            Decoded::Aborted => {
                // Only the cancel flag aborts; the next look at it ends every candidate.
                for &(index, ..) in &batch.shares {
                    let branch = &candidates[index].branch;
                    self.model.truncate_sequence(branch.sequence, branch.tokens.len() as u32);
                }
                return Ok(false);
            }
            Decoded::Full => {
                if !self.make_room(round.request.session) {
                    self.sacrifice(candidates, round);
                }
                return Ok(false);
            }
        }
        let mut row = 0;
        for &(index, taken, has_logits) in &batch.shares {
            let candidate = &mut candidates[index];
            candidate.branch.tokens.extend(candidate.pending.drain(..taken));
            if has_logits {
                candidate.take_logits(self.model.logits(row), round, outside.events)?;
                row += 1;
            }
        }
        Ok(true)
    }

    /// Ends the longest candidate, whose cells the others need.
    fn sacrifice(&mut self, candidates: &mut [Candidate], round: &Round<'_>) {
        let longest = candidates
            .iter_mut()
            .filter(|candidate| candidate.is_live())
            .max_by_key(|candidate| candidate.branch.tokens.len())
            .expect("invariant: a batch is built from live candidates");
        longest.stop(Finish::ContextFull);
        let kept = longest.branch.tokens.len().min(round.prompt_tokens as usize);
        longest.branch.tokens.truncate(kept);
        self.model.truncate_sequence(longest.branch.sequence, kept as u32);
    }
}

/// Every live candidate's pending tokens, as far as the batch has room; the last one of a candidate asks
/// for logits.
fn build_batch(candidates: &[Candidate], tokens_max: usize) -> Batch {
    let mut batch = Batch { tokens: Vec::new(), shares: Vec::new() };
    for (index, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| candidate.is_live()) {
        let taken = candidate.pending.len().min(tokens_max - batch.tokens.len());
        if taken == 0 {
            continue;
        }
        let whole = taken == candidate.pending.len();
        let first = candidate.branch.tokens.len();
        for (offset, &token) in candidate.pending.iter().take(taken).enumerate() {
            batch.tokens.push(BatchToken {
                token,
                position: (first + offset) as u32,
                sequence: candidate.branch.sequence,
                logits: whole && offset + 1 == taken,
            });
        }
        batch.shares.push((index, taken, whole));
    }
    assert!(!batch.tokens.is_empty(), "invariant: a live candidate has something to decode");
    batch
}

/// Applies what the outside said since the last step.
fn steer(candidates: &mut [Candidate], outside: &Outside<'_>) {
    let mut words = outside.steering.take();
    if outside.cancel.is_cancelled() {
        for candidate in candidates.iter_mut() {
            candidate.stop(Finish::Cancelled);
        }
        words.clear();
    }
    for word in words {
        for candidate in candidates.iter_mut() {
            match word {
                Steer::AnswerNow => _ = candidate.window.answer_now(),
                Steer::ThinkMore(tokens) => _ = candidate.window.think_more(tokens),
                Steer::Stop(number) if number != candidate.number => {}
                Steer::Stop(_) | Steer::StopAll => candidate.stop(Finish::Stopped),
            }
        }
    }
}

/// Sends `Finished` for every candidate that has ended since the last step.
fn announce(
    candidates: &[Candidate],
    announced: &mut [bool],
    started: Option<Instant>,
    round: &Round<'_>,
    outside: &mut Outside<'_>,
) {
    for (candidate, announced) in candidates.iter().zip(announced) {
        if candidate.is_live() || *announced {
            continue;
        }
        *announced = true;
        let trajectory = candidate.trajectory(round);
        let seconds = started.map_or(0.0, |started| started.elapsed().as_secs_f32());
        let tokens = trajectory.usage.generated_tokens() as f32;
        let tokens_per_second = if seconds > 0.0 { tokens / seconds } else { 0.0 };
        (outside.events)(EngineEvent::Finished { candidate: candidate.number, trajectory, tokens_per_second });
    }
}
