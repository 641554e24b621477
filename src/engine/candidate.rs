//! One candidate of a request while it is being written.
//!
//! Not for: decoding. `decode.rs` gives it logits, it says what is to be decoded next.

use std::collections::VecDeque;

use super::model::{Constraint, Vocabulary};
use super::sample::Sampler;
use super::session::Branch;
use super::{CandidateSampling, EngineError, EngineEvent, GenerateRequest, TokenId};
use crate::task::{Finish, Part, Trajectory, Usage};
use crate::thinking::{Phase, Step, TextStream, Window};

/// Grammar instances of one candidate; the answer after a shift has one of its own.
#[derive(Default)]
pub(super) struct Constraints {
    pub(super) now: Option<Box<dyn Constraint>>,
    pub(super) after_shift: Option<Box<dyn Constraint>>,
}

pub(super) struct Candidate {
    pub(super) number: u32,
    /// What is in the cache.
    pub(super) branch: Branch,
    /// What is to be decoded next: the rest of the prompt, a sampled token, the hint.
    pub(super) pending: VecDeque<TokenId>,
    pub(super) window: Window,
    pub(super) finish: Option<Finish>,
    prompt_tokens: u32,
    /// The reply's tokens, drawn, given and forced.
    reply: Vec<TokenId>,
    given_tokens: u32,
    sampling: CandidateSampling,
    sampler: Sampler,
    constraints: Constraints,
    text: String,
    stream: TextStream,
    /// Tokens whose text is still inside an unfinished character.
    unshown_tokens: u32,
    shift_at: Option<usize>,
    answer_at: usize,
    logprob_sum: f32,
}

/// What a candidate needs to know about the request it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Round<'a> {
    pub(super) request: &'a GenerateRequest,
    pub(super) vocabulary: &'a dyn Vocabulary,
}

impl Candidate {
    /// A candidate that has decoded nothing yet.
    pub(super) fn new(
        number: u32,
        request: &GenerateRequest,
        prompt_tokens: u32,
        window: Window,
        constraints: Constraints,
    ) -> Self {
        let own = request.candidate_samplings.get(number as usize).copied();
        Self {
            number,
            branch: Branch::default(),
            pending: VecDeque::new(),
            window,
            finish: None,
            prompt_tokens,
            reply: Vec::new(),
            given_tokens: 0,
            sampling: own
                .unwrap_or(CandidateSampling { thinking: request.thinking_sampling, answer: request.answer_sampling }),
            sampler: Sampler::new(request.seed, number),
            constraints,
            text: String::new(),
            stream: TextStream::default(),
            unshown_tokens: 0,
            shift_at: None,
            answer_at: 0,
            logprob_sum: 0.0,
        }
    }

    /// The reply's tokens so far.
    pub(super) fn reply_tokens(&self) -> &[TokenId] {
        &self.reply
    }

    /// How many of the reply's tokens were given with the request.
    pub(super) const fn given_tokens(&self) -> u32 {
        self.given_tokens
    }

    /// Whether the prompt is not yet decoded, but for its end.
    pub(super) fn is_prefilling(&self) -> bool {
        (self.branch.tokens.len() as u32) < self.prompt_tokens && self.pending.len() > 1
    }

    pub(super) const fn is_live(&self) -> bool {
        self.finish.is_none()
    }

    /// Opens the window; with an empty one the hint comes first. Then the request's given tokens run through it, as far
    /// as it lets them.
    pub(super) fn begin(&mut self, round: &Round<'_>, events: &mut dyn FnMut(EngineEvent)) {
        let step = self.window.begin();
        self.obey(step, None, round, events);
        for &token in &round.request.given {
            if !self.is_live() || self.window.phase() == Phase::Shifting {
                return;
            }
            self.given_tokens += 1;
            self.take_token(token, true, round, events);
        }
    }

    /// Takes the logits after the last pending token and decides what comes next.
    ///
    /// # Errors
    /// Where the grammar and its own choice disagree.
    pub(super) fn take_logits(
        &mut self,
        logits: &[f32],
        round: &Round<'_>,
        events: &mut dyn FnMut(EngineEvent),
    ) -> Result<(), EngineError> {
        if self.window.phase() == Phase::Shifting {
            self.window.hint_done();
        }
        let sampling = match self.window.phase() {
            Phase::Answering => &self.sampling.answer,
            _ => &self.sampling.thinking,
        };
        let drawn = self.sampler.draw(logits, sampling, self.constraints.now.as_deref_mut());
        if let Some(constraint) = &mut self.constraints.now {
            constraint.accept(drawn.token)?;
        }
        self.logprob_sum += drawn.logprob;
        self.take_token(drawn.token, false, round, events);
        Ok(())
    }

    fn take_token(&mut self, token: TokenId, given: bool, round: &Round<'_>, events: &mut dyn FnMut(EngineEvent)) {
        if round.vocabulary.is_end_of_turn(token) {
            let step = self.window.step(&[], true);
            return self.obey(step, None, round, events);
        }
        let part = if self.window.phase() == Phase::Answering { Part::Answer } else { Part::Thinking };
        let bytes = round.vocabulary.piece(token, false);
        let step = self.window.step(&bytes, false);
        self.show(&bytes, part, given, events);
        self.reply.push(token);
        self.obey(step, Some(token), round, events);
    }

    fn show(&mut self, bytes: &[u8], part: Part, given: bool, events: &mut dyn FnMut(EngineEvent)) {
        self.unshown_tokens += 1;
        let text = self.stream.push(bytes);
        if text.is_empty() {
            return;
        }
        self.text.push_str(&text);
        let tokens = std::mem::take(&mut self.unshown_tokens);
        events(EngineEvent::Piece { candidate: self.number, part, text, forced: given, tokens });
    }

    fn obey(&mut self, step: Step, token: Option<TokenId>, round: &Round<'_>, events: &mut dyn FnMut(EngineEvent)) {
        match step {
            Step::Keep => self.pending.extend(token),
            Step::Force(hint) => {
                self.pending.extend(token);
                self.shift(hint, round, events);
            }
            Step::Stop(finish) => self.finish = Some(finish),
        }
    }

    fn shift(&mut self, hint: Vec<TokenId>, round: &Round<'_>, events: &mut dyn FnMut(EngineEvent)) {
        self.stream.finish();
        self.unshown_tokens = 0;
        self.constraints.now = self.constraints.after_shift.take();
        let why = self.window.shifted().expect("invariant: a window that forces its hint has shifted");
        let thinking_tokens = self.window.counts().thinking_tokens;
        events(EngineEvent::Shifted { candidate: self.number, why, thinking_tokens });
        self.shift_at = Some(self.text.len());
        let text = round.request.window.hint.clone();
        self.text.push_str(&text);
        self.answer_at = self.text.len();
        let tokens = hint.len() as u32;
        self.reply.extend(&hint);
        self.pending.extend(hint);
        events(EngineEvent::Piece { candidate: self.number, part: Part::Shift, text, forced: true, tokens });
    }

    /// Ends the candidate for a reason from outside, if it has not ended.
    pub(super) fn stop(&mut self, finish: Finish) {
        if self.finish.is_none() {
            self.window.stop(finish);
            self.finish = Some(finish);
        }
    }

    /// The trajectory as it stands; call it once the candidate has ended.
    pub(super) fn trajectory(&self, reused_tokens: u32) -> Trajectory {
        let counts = self.window.counts();
        Trajectory {
            text: self.text.clone(),
            shift_at: self.shift_at,
            answer_at: self.answer_at,
            shifted: self.window.shifted(),
            finish: self.finish.expect("invariant: a trajectory is taken when its candidate has ended"),
            usage: Usage {
                prompt_tokens: self.prompt_tokens,
                reused_tokens,
                thinking_tokens: counts.thinking_tokens,
                forced_tokens: counts.forced_tokens,
                answer_tokens: counts.answer_tokens,
            },
            logprob_sum: Some(self.logprob_sum),
        }
    }
}
