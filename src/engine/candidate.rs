//! One candidate of a request while it is being written.
//!
//! Not for: decoding. `decode.rs` gives it logits, it says what is to be decoded next.

use std::collections::VecDeque;

use super::draft::Drafter;
use super::model::{Constraint, Vocabulary};
use super::sample::{Look, Sampler};
use super::session::Branch;
use super::{CandidateSampling, EngineError, EngineEvent, GenerateRequest, TokenId};
use crate::task::{Finish, Part, Trajectory, Usage};
use crate::thinking::{Hint, Phase, Step, TextStream, Then, Window};

/// How freely is drawn, at least, after a text that went round in circles.
const LOOP_TEMPERATURE: f32 = 0.6;

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
    /// Where each of them ends in the text.
    reply_ends: Vec<usize>,
    given_tokens: u32,
    drafter: Drafter,
    has_looped: bool,
    /// The cache holds more than the branch says.
    is_cut: bool,
    sampling: CandidateSampling,
    sampler: Sampler,
    constraints: Constraints,
    text: String,
    stream: TextStream,
    /// Tokens whose text is still inside an unfinished character.
    unshown_tokens: u32,
    shift_at: Option<usize>,
    answer_at: usize,
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
            reply_ends: Vec::new(),
            has_looped: false,
            is_cut: false,
            given_tokens: 0,
            drafter: Drafter::default(),
            sampling: own
                .unwrap_or(CandidateSampling { thinking: request.thinking_sampling, answer: request.answer_sampling }),
            sampler: Sampler::new(request.seed, number),
            constraints,
            text: String::new(),
            stream: TextStream::default(),
            unshown_tokens: 0,
            shift_at: None,
            answer_at: 0,
        }
    }

    /// Reads the prompt: what the reply may copy.
    pub(super) fn read(&mut self, prompt: &[TokenId]) {
        self.drafter.extend(prompt);
    }

    pub(super) const fn drafter(&self) -> &Drafter {
        &self.drafter
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
        self.obey(step, None, events);
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
        look: &Look,
        round: &Round<'_>,
        events: &mut dyn FnMut(EngineEvent),
    ) -> Result<(), EngineError> {
        if self.window.phase() == Phase::Shifting {
            self.window.hint_done();
        }
        let mut sampling = match self.window.phase() {
            Phase::Answering => self.sampling.answer,
            _ => self.sampling.thinking,
        };
        if self.has_looped {
            sampling.temperature = sampling.temperature.max(LOOP_TEMPERATURE);
        }
        let token = self.sampler.draw(logits, look, &sampling, self.constraints.now.as_deref_mut());
        if let Some(constraint) = &mut self.constraints.now {
            constraint.accept(token)?;
        }
        self.take_token(token, false, round, events);
        Ok(())
    }

    fn take_token(&mut self, token: TokenId, given: bool, round: &Round<'_>, events: &mut dyn FnMut(EngineEvent)) {
        if round.vocabulary.is_end_of_turn(token) {
            let step = self.window.step(&[], true);
            return self.obey(step, None, events);
        }
        let part = if self.window.phase() == Phase::Answering { Part::Answer } else { Part::Thinking };
        let bytes = round.vocabulary.piece(token, false);
        let step = self.window.step(&bytes, false);
        if let Step::Drop(finish) = step {
            self.finish = Some(finish);
            return;
        }
        self.show(&bytes, part, given, events);
        self.reply.push(token);
        self.reply_ends.push(self.text.len());
        self.drafter.extend(&[token]);
        self.obey(step, Some(token), events);
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

    fn obey(&mut self, step: Step, token: Option<TokenId>, events: &mut dyn FnMut(EngineEvent)) {
        match step {
            Step::Keep => self.pending.extend(token),
            Step::Force(hint) => {
                self.pending.extend(token);
                self.shift(hint, events);
            }
            Step::Stop(finish) | Step::Drop(finish) => self.finish = Some(finish),
            Step::Rewind { tokens, then } => self.rewind(tokens, then, events),
        }
    }

    /// Takes the reply's last tokens back, from the text and from the cache.
    fn rewind(&mut self, tokens: u32, then: Then, events: &mut dyn FnMut(EngineEvent)) {
        let kept = self.reply.len().saturating_sub(tokens as usize);
        self.reply.truncate(kept);
        self.reply_ends.truncate(kept);
        self.stream.finish();
        self.unshown_tokens = 0;
        let end = self.reply_ends.last().copied().unwrap_or(0);
        let bytes = (self.text.len() - end) as u32;
        self.text.truncate(end);
        let length = self.prompt_tokens as usize + kept;
        self.drafter.truncate(length);
        if self.branch.tokens.len() >= length {
            self.branch.tokens.truncate(length);
            self.pending.clear();
            self.is_cut = true;
        } else {
            // Given tokens that nobody has decoded yet.
            self.pending.truncate(kept);
        }
        self.has_looped = true;
        events(EngineEvent::Rewound { candidate: self.number, tokens, bytes });
        match then {
            Then::Force(hint) => self.shift(hint, events),
            // The last token is decoded once more, for its logits.
            Then::Retry => self.pending.extend(self.branch.tokens.pop()),
            Then::Stop(finish) => self.finish = Some(finish),
        }
    }

    /// Whether the cache is to be cut to what the branch holds.
    pub(super) fn take_cut(&mut self) -> bool {
        std::mem::take(&mut self.is_cut)
    }

    fn shift(&mut self, hint: Hint, events: &mut dyn FnMut(EngineEvent)) {
        self.stream.finish();
        self.unshown_tokens = 0;
        self.constraints.now = self.constraints.after_shift.take();
        let why = self.window.shifted().expect("invariant: a window that forces its hint has shifted");
        let thinking_tokens = self.window.counts().thinking_tokens;
        events(EngineEvent::Shifted { candidate: self.number, why, thinking_tokens });
        self.shift_at = Some(self.text.len());
        let Hint { text, tokens: hint } = hint;
        self.text.push_str(&text);
        self.answer_at = self.text.len();
        let tokens = hint.len() as u32;
        self.reply.extend(&hint);
        self.reply_ends.resize(self.reply.len(), self.text.len());
        self.drafter.extend(&hint);
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
            answer_at: self.shift_at.map_or_else(|| self.window.thinking_ended_at().unwrap_or(0), |_| self.answer_at),
            shifted: self.window.shifted(),
            finish: self.finish.expect("invariant: a trajectory is taken when its candidate has ended"),
            usage: Usage {
                prompt_tokens: self.prompt_tokens,
                reused_tokens,
                thinking_tokens: counts.thinking_tokens,
                forced_tokens: counts.forced_tokens,
                answer_tokens: counts.answer_tokens,
            },
        }
    }
}
