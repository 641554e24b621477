//! One step: everything that is to be decoded next, of all requests, in one batch.
//!
//! Written against [`TokenModel`]; the scripted model and llama.cpp run the very same lines.
//!
//! Not for: sessions and slots (`worker.rs`), phases (`thinking`), sampling (`sample.rs`).

use super::draft::{DRAFT_TOKENS_MAX, Draft, Pace};
use super::job::Job;
use super::model::{BatchToken, Decoded, TokenModel};
use super::sample::Look;
use super::worker::Worker;
use std::time::Instant;

use crate::cancel::Cancel;
use crate::task::Finish;

/// Seconds that prompts take of one batch, about: the grain of progress.
const CHUNK_S: f32 = 2.0;
/// The same while others are being answered, for each that waits to be read: they must not wait long, unless more wait than
/// are answered.
const CHUNK_BESIDE_S: f32 = 0.5;
/// Every so many batches the prompt that came first is read first, however long it is.
const FIRST_COME_EVERY: usize = 4;
/// Fewer tokens at once are not worth their batch, whatever they take.
const CHUNK_TOKENS_MIN: usize = 128;

/// How fast prompts are read, and so how much of one goes into a batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Grain {
    tokens_per_s: Option<f32>,
}

impl Grain {
    fn learn(&mut self, tokens: usize, seconds: f32) {
        if tokens * 2 >= CHUNK_TOKENS_MIN && seconds > 0.0 {
            self.tokens_per_s = Some(tokens as f32 / seconds);
        }
    }

    /// How long so many tokens of a prompt take to read, where that has been seen.
    pub(super) fn seconds(self, tokens: usize) -> Option<f32> {
        self.tokens_per_s.map(|rate| tokens as f32 / rate)
    }

    /// Tokens of prompts for one batch of at most `tokens_max`: `waiting` are read, `answering` wait meanwhile.
    fn tokens(self, waiting: usize, answering: usize, tokens_max: usize) -> usize {
        let beside = answering > 0;
        let urgent = waiting > answering;
        let (seconds, min) = if beside {
            let share = waiting as f32 / answering as f32;
            ((CHUNK_BESIDE_S * share.max(1.0)).min(CHUNK_S), CHUNK_TOKENS_MIN / 2)
        } else {
            (CHUNK_S, CHUNK_TOKENS_MIN)
        };
        let paid = self.tokens_per_s.map_or(min, |rate| (rate * seconds) as usize);
        let most = if beside && !urgent { tokens_max / 2 } else { tokens_max };
        paid.max(min).min(most)
    }
}

/// A batch and whose parts it has.
#[derive(Default)]
struct Batch {
    tokens: Vec<BatchToken>,
    shares: Vec<Share>,
}

impl Batch {
    /// Puts the parts in the order of their sequences.
    fn sort(&mut self) {
        let mut rest = self.tokens.as_slice();
        let mut parts: Vec<(Share, Vec<BatchToken>)> = Vec::with_capacity(self.shares.len());
        for share in std::mem::take(&mut self.shares) {
            let (own, others) = rest.split_at(share.taken);
            parts.push((share, own.to_vec()));
            rest = others;
        }
        parts.sort_by_key(|(_, tokens)| tokens.first().map(|token| token.sequence));
        self.tokens.clear();
        for (share, tokens) in parts {
            self.shares.push(share);
            self.tokens.extend(tokens);
        }
    }
}

/// One candidate's part.
struct Share {
    job: usize,
    candidate: usize,
    /// Tokens taken from its pending ones.
    taken: usize,
    /// Whether its logits come back.
    has_logits: bool,
    /// A guess at what comes after these tokens; the logits after each come back as well.
    draft: Draft,
}

/// What a batch may hold.
#[derive(Clone, Copy)]
struct Limits {
    tokens: usize,
    rows: usize,
    grain: Grain,
}

impl<M: TokenModel> Worker<M> {
    /// Decodes one batch for all requests that are ready. Returns whether there was anything to decode.
    pub(super) fn step(&mut self) -> bool {
        for job in &mut self.jobs {
            fork_where_due(&mut self.model, job);
        }
        self.close_gaps();
        let limits =
            Limits { tokens: self.model.batch_tokens_max(), rows: self.model.batch_logits_max(), grain: self.grain };
        self.steps = self.steps.wrapping_add(1);
        let mut batch = build_batch(&self.jobs, self.steps, limits);
        if self.model.keeps_apart() {
            batch.sort();
        }
        if batch.tokens.is_empty() {
            return false;
        }
        let mut served: Vec<usize> = batch.shares.iter().map(|share| share.job).collect();
        served.sort_unstable();
        served.dedup();
        // Guesses are checked beside tokens, not beside prompts: how long those take says nothing about them.
        let plain = batch.tokens.len();
        let answering = batch.shares.iter().all(|share| share.has_logits && share.taken == 1);
        // Parts of the cache of their own are gone through in passes of equal length: guesses of several would each cost one.
        let in_one_pass = batch.shares.len() == 1 || !self.model.keeps_apart();
        if answering && self.speculate && in_one_pass {
            add_drafts(&mut batch, &self.jobs, &self.pace, limits);
        }
        let drafted = batch.tokens.len() - plain;
        let started = Instant::now();
        let cancels: Vec<Cancel> = served.iter().map(|&job| self.jobs[job].call.cancel.clone()).collect();
        match self.model.decode(&batch.tokens, &cancels) {
            Ok(Decoded::Done) => {
                self.hand_out(&batch);
                let seconds = started.elapsed().as_secs_f32();
                if answering {
                    self.pace.learn_cost(plain, drafted, seconds);
                } else {
                    self.grain.learn(plain, seconds);
                }
            }
            // Only the cancel flags abort; the next look at them ends every candidate.
            Ok(Decoded::Aborted) => self.undo(&batch),
            Ok(Decoded::Full) => {
                if !self.make_room() {
                    self.sacrifice();
                }
            }
            Err(error) => {
                self.undo(&batch);
                for job in served {
                    self.jobs[job].fail(error.clone());
                }
            }
        }
        true
    }

    /// Books what was decoded and gives every candidate its logits.
    fn hand_out(&mut self, batch: &Batch) {
        let rows = batch.shares.iter().filter(|share| share.has_logits).map(|share| 1 + share.draft.tokens.len());
        let rows: Vec<&[f32]> = (0..rows.sum()).map(|row| self.model.logits(row)).collect();
        let looks = Look::at_all(&rows);
        let mut row = 0;
        for share in &batch.shares {
            let job = &mut self.jobs[share.job];
            let candidate = &mut job.candidates[share.candidate];
            let before = candidate.branch.tokens.len() as u32;
            candidate.branch.tokens.extend(candidate.pending.drain(..share.taken));
            if share.candidate == 0 {
                // After a fork each candidate decodes the prompt's last token for itself.
                let for_all = !job.forked || job.announced.len() == 1;
                let of_prompt = (before + share.taken as u32).min(job.prompt_tokens).saturating_sub(before);
                job.prefilled_tokens += if for_all { of_prompt } else { 0 };
            }
            job.tell_prefill(share.has_logits);
            if share.has_logits {
                self.check(share, row, &looks[row..]);
                row += 1 + share.draft.tokens.len();
            }
        }
    }

    /// Draws after a candidate's last token, and on, as long as what is drawn is what was guessed. `row` is the first of
    /// its logits, `looks` what was seen of them.
    fn check(&mut self, share: &Share, row: usize, looks: &[Look]) {
        let job = &mut self.jobs[share.job];
        let mut held = 0;
        let failed = loop {
            let logits = self.model.logits(row + held);
            job.take_logits(share.candidate, logits, &looks[held], self.vocabulary.as_ref());
            let candidate = &mut job.candidates[share.candidate];
            let Some(&guess) = share.draft.tokens.get(held) else { break false };
            if !candidate.is_live() || candidate.pending.len() != 1 || candidate.pending[0] != guess {
                // Where the reply is over or the window has shifted the guess was not wrong.
                break candidate.is_live() && candidate.pending.len() == 1;
            }
            candidate.pending.clear();
            candidate.branch.tokens.push(guess);
            held += 1;
        };
        let candidate = &mut job.candidates[share.candidate];
        if !candidate.take_cut() && share.draft.tokens.is_empty() {
            return;
        }
        let branch = &candidate.branch;
        self.model.truncate_sequence(branch.sequence, branch.tokens.len() as u32);
        job.drafted_tokens += share.draft.tokens.len() as u32;
        job.held_tokens += held as u32;
        if !share.draft.tokens.is_empty() {
            self.pace.learn_held(share.draft.matched, held, failed);
        }
    }

    /// Takes back what a batch may have left in the cache.
    fn undo(&mut self, batch: &Batch) {
        for share in &batch.shares {
            let branch = &self.jobs[share.job].candidates[share.candidate].branch;
            self.model.truncate_sequence(branch.sequence, branch.tokens.len() as u32);
        }
    }

    /// Ends the longest candidate, whose cells the others need.
    fn sacrifice(&mut self) {
        let all = self.jobs.iter_mut().flat_map(|job| {
            let prompt_tokens = job.prompt_tokens as usize;
            job.candidates.iter_mut().map(move |candidate| (prompt_tokens, candidate))
        });
        let (prompt_tokens, longest) = all
            .filter(|(_, candidate)| candidate.is_live())
            .max_by_key(|(_, candidate)| candidate.branch.tokens.len())
            .expect("invariant: a batch is built from live candidates");
        longest.stop(Finish::ContextFull);
        let kept = longest.branch.tokens.len().min(prompt_tokens);
        longest.branch.tokens.truncate(kept);
        self.model.truncate_sequence(longest.branch.sequence, kept as u32);
    }
}

/// Once the first candidate has decoded all but the last token that all have in common, the others fork from it.
fn fork_where_due<M: TokenModel>(model: &mut M, job: &mut Job) {
    let Some((first, others)) = job.candidates.split_first_mut() else { return };
    if job.forked || first.pending.len() != 1 || !first.is_live() {
        return;
    }
    job.forked = true;
    for other in others {
        model.copy_sequence(first.branch.sequence, other.branch.sequence, first.branch.tokens.len() as u32);
        other.branch.tokens.clone_from(&first.branch.tokens);
        other.pending.clone_from(&first.pending);
    }
}

/// Every ready candidate's pending tokens, as far as the batch has room; the last one of a candidate asks for logits.
/// First come those that are being answered, then, in what room is left, prompts. `turn` moves who comes first among the
/// answered; of the prompts the shortest comes first, so that as many as can be begin soon.
fn build_batch(jobs: &[Job], turn: usize, limits: Limits) -> Batch {
    let mut batch = Batch::default();
    let mut rows = 0;
    let in_turn = |jobs: &[Job]| {
        let count = jobs.len().max(1);
        (0..jobs.len())
            .map(|offset| (turn + offset) % count)
            .filter(|&index| jobs[index].is_ready())
            .collect::<Vec<_>>()
    };
    let mut order = in_turn(jobs);
    for prefilling in [false, true] {
        let mut room = limits.tokens;
        if prefilling {
            let unread =
                |job: &Job| job.candidates.first().filter(|first| first.is_prefilling()).map(|c| c.pending.len());
            let waiting = order.iter().filter(|&&job| unread(&jobs[job]).is_some()).count();
            room = limits.grain.tokens(waiting, batch.shares.len(), limits.tokens);
            let first_come = turn.is_multiple_of(FIRST_COME_EVERY);
            order.sort_by_key(|&job| (unread(&jobs[job]).filter(|_| !first_come), job));
        }
        let room = room.min(limits.tokens - batch.tokens.len());
        let tokens_max = batch.tokens.len() + room;
        for &job in &order {
            let forked = jobs[job].forked;
            let candidates = if forked { jobs[job].candidates.as_slice() } else { &jobs[job].candidates[..1] };
            for (index, candidate) in candidates.iter().enumerate() {
                if !candidate.is_live() || candidate.is_prefilling() != prefilling {
                    continue;
                }
                // Before the fork the last token stays: every candidate decodes it for itself.
                let all = candidate.pending.len() - usize::from(!forked);
                let taken = all.min(tokens_max - batch.tokens.len());
                let has_logits = taken == candidate.pending.len();
                if taken == 0 || (has_logits && rows == limits.rows) {
                    continue;
                }
                rows += usize::from(has_logits);
                let first = candidate.branch.tokens.len();
                batch.tokens.extend(candidate.pending.iter().take(taken).enumerate().map(|(offset, &token)| {
                    BatchToken {
                        token,
                        position: (first + offset) as u32,
                        sequence: candidate.branch.sequence,
                        logits: has_logits && offset + 1 == taken,
                    }
                }));
                batch.shares.push(Share { job, candidate: index, taken, has_logits, draft: Draft::default() });
            }
        }
    }
    batch
}

/// Gives each candidate of the batch a guess as long as it pays.
fn add_drafts(batch: &mut Batch, jobs: &[Job], pace: &Pace, limits: Limits) {
    let plain = batch.tokens.len();
    let mut drafted = 0;
    let mut tokens = Vec::with_capacity(plain);
    for (share, &own) in batch.shares.iter_mut().zip(&batch.tokens) {
        tokens.push(own);
        let candidate = &jobs[share.job].candidates[share.candidate];
        let room = limits.tokens.min(limits.rows) - plain - drafted;
        let room = room.min(DRAFT_TOKENS_MAX).min(candidate.window.tokens_left().saturating_sub(1) as usize);
        let Some(mut draft) = candidate.drafter().draft(room) else { continue };
        draft.tokens.truncate(pace.length(&draft, plain, drafted));
        drafted += draft.tokens.len();
        let after = own.position + 1;
        tokens.extend((after..).zip(&draft.tokens).map(|(position, &token)| BatchToken { token, position, ..own }));
        share.draft = draft;
    }
    batch.tokens = tokens;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_read_in_parts_that_take_about_as_long_on_every_machine() {
        let mut grain = Grain::default();
        // Nobody, one and two answered.
        let tokens = |grain: Grain| [0, 1, 2].map(|answering| grain.tokens(1, answering, 512));
        assert_eq!(tokens(grain), [128, 64, 64], "nothing is known");
        grain.learn(128, 0.64);
        assert_eq!(tokens(grain), [400, 100, 100]);
        assert_eq!([2, 3, 9].map(|waiting| grain.tokens(waiting, 1, 512)), [200, 300, 400], "many wait for one");
        grain.learn(128, 8.0);
        assert_eq!(tokens(grain), [128, 64, 64], "a slow machine");
        grain.learn(512, 0.05);
        assert_eq!(tokens(grain), [512, 256, 256], "a fast one");
        assert_eq!(grain.tokens(1, 0, 16), 16);
        grain.learn(3, 5.0);
        assert_eq!(grain.tokens(1, 0, 512), 512, "a few tokens say nothing");
    }
}
