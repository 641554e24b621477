//! What the engine's thread does: requests wait in order, get a slot, are decoded together, and give the slot back.
//!
//! Not for: channels (`handle.rs`), what a request can go on from (`trunk.rs`), batches (`decode.rs`).

use std::collections::VecDeque;
use std::sync::Arc;

use super::candidate::{Candidate, Constraints};
use super::decode::Grain;
use super::draft::Pace;
use super::handle::Request;
use super::job::{Call, Job};
use super::model::{Sequence, TokenModel, Turn, Vocabulary};
use super::parking::Parking;
use super::session::{Branch, Sessions, common_prefix};
use super::states::States;
use super::{EngineError, GenerateRequest, KEEP_SECONDS_MIN, REQUESTS_MAX, SessionId, SessionStats, TokenId};
use crate::thinking::Window;

/// A request waits for another's prompt where it saves at least so many tokens.
const PREFIX_WORTH_TOKENS: usize = 32;
/// Sequences that a probe needs: its prompt and one choice.
const PROBE_SEQUENCES: usize = 2;

/// The model, its sessions, and the requests; lives on the engine's thread.
pub(super) struct Worker<M: TokenModel> {
    pub(super) model: M,
    pub(super) vocabulary: Arc<dyn Vocabulary>,
    pub(super) sessions: Sessions,
    /// States of earlier runs.
    pub(super) states: Option<States>,
    /// What is being served; at most one for each slot.
    pub(super) jobs: Vec<Job>,
    waiting: VecDeque<Request>,
    /// Batches so far.
    pub(super) steps: usize,
    /// Whether what is likely to come is guessed and checked.
    pub(super) speculate: bool,
    pub(super) pace: Pace,
    /// How fast prompts are read.
    pub(super) grain: Grain,
    /// A conversation that was read in less is not worth a file.
    pub(super) keep_seconds_min: f32,
    /// What made room for others.
    pub(super) parking: Parking<M::Parked>,
}

impl<M: TokenModel> Worker<M> {
    pub(super) fn new(model: M, vocabulary: Arc<dyn Vocabulary>) -> Self {
        let sessions = Sessions::new(model.sequences_max());
        let (jobs, waiting) = (Vec::new(), VecDeque::new());
        let pace = Pace::default();
        let parking = Parking::new(model.parking_bytes_max());
        Self {
            model,
            vocabulary,
            sessions,
            states: None,
            jobs,
            waiting,
            steps: 0,
            speculate: true,
            pace,
            grain: Grain::default(),
            keep_seconds_min: KEEP_SECONDS_MIN,
            parking,
        }
    }

    /// Keeps the states of system prompts there, and of conversations whose prompts took so long to read.
    #[cfg(feature = "llama")]
    pub(super) fn with_states(self, states: Option<States>, keep_seconds_min: f32) -> Self {
        Self { states, keep_seconds_min, ..self }
    }

    /// Whether to guess.
    #[cfg(feature = "llama")]
    pub(super) fn speculating(self, speculate: bool) -> Self {
        Self { speculate, ..self }
    }

    /// Whether nothing is served and nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty() && self.waiting.is_empty()
    }

    /// Whether another request may wait here.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < REQUESTS_MAX
    }

    pub(super) fn take(&mut self, request: Request) {
        self.waiting.push_back(request);
    }

    /// One round: who can be served is, one batch is decoded, what ended is told and filed. Returns whether anything
    /// moved; where nothing did, all wait for their listeners.
    pub(super) fn turn(&mut self) -> bool {
        let mut moved = self.serve_waiting();
        for job in &mut self.jobs {
            job.steer();
            job.announce();
            job.flush();
        }
        moved |= self.step();
        for index in 0..self.jobs.len() {
            self.jobs[index].announce();
            if self.jobs[index].is_over() {
                moved |= self.file(index);
            }
        }
        let served = self.jobs.len();
        self.jobs.retain_mut(|job| !(job.flush() && job.is_over()));
        moved || self.jobs.len() < served
    }

    /// Goes through what waits, in order. A generation or a probe overtakes none; a word about a session waits for what
    /// that session is doing, and for nothing else.
    fn serve_waiting(&mut self) -> bool {
        let (mut still_waiting, mut blocked) = (VecDeque::new(), false);
        let before = self.waiting.len();
        while let Some(request) = self.waiting.pop_front() {
            let ready = match &request {
                Request::Generate(call) if call.cancel.is_cancelled() => true,
                Request::Generate(call) => !blocked && self.has_slot_for(call),
                Request::Choose { .. } => {
                    let sequences = self.live_sequences() + PROBE_SEQUENCES <= self.model.sequences_max() as usize;
                    !blocked && sequences && self.jobs.len() < self.model.slots() as usize
                }
                other => {
                    let session = other.session();
                    let earlier = still_waiting.iter().map(Request::session);
                    !self.jobs.iter().map(|job| job.call.request.session).chain(earlier).any(|busy| busy == session)
                }
            };
            if ready {
                self.serve(request);
            } else {
                blocked |= matches!(request, Request::Generate(_) | Request::Choose { .. });
                still_waiting.push_back(request);
            }
        }
        self.waiting = still_waiting;
        self.waiting.len() < before
    }

    /// An answer that nobody waits for any more is not an error.
    fn serve(&mut self, request: Request) {
        match request {
            Request::Generate(call) if call.cancel.is_cancelled() => Job::refuse_cancelled(&call),
            Request::Generate(call) => self.admit(call),
            Request::Choose { prompt, choices, cancel, answer } => {
                drop(answer.send(self.choose(&prompt, &choices, &cancel)));
            }
            Request::Weigh(weigh) => {
                let super::handle::Weigh { session, prompt, given, others_max, cancel, answer } = *weigh;
                drop(answer.send(self.weigh(session, &prompt, &given, others_max, &cancel)));
            }
            Request::Save { session, path, answer } => drop(answer.send(self.save(session, &path))),
            Request::Restore { session, path, answer } => drop(answer.send(self.restore(session, &path))),
            Request::Keep { session, prompt, answer } => drop(answer.send(Ok(self.keep(session, &prompt)))),
            Request::Stats { session, answer } => drop(answer.send(Ok(self.stats(session)))),
            Request::End { session, answer } => {
                self.end(session);
                drop(answer.send(Ok(())));
            }
        }
    }

    fn live_sequences(&self) -> usize {
        self.jobs.iter().map(|job| job.candidates.len()).sum()
    }

    /// Whether the request can be served now: there is a slot, there are sequences, and nobody is about to decode what
    /// it begins with. What can never be served gets its slot too, and its error there.
    fn has_slot_for(&mut self, call: &Call) -> bool {
        let count = call.request.candidates.max(1).min(self.model.sequences_max()) as usize;
        if self.jobs.is_empty() {
            return true;
        }
        if self.jobs.len() >= self.model.slots() as usize
            || self.live_sequences() + count > self.model.sequences_max() as usize
        {
            return false;
        }
        if !self.jobs.iter().any(Job::is_prefilling) {
            return true;
        }
        let tokens = self.tokenize_for(call.request.session, &call.request.prompt);
        let decoded = self.longest_prefix(&tokens).map_or(0, |(_, shared)| shared);
        let coming = self.jobs.iter().map(|job| job.prefix_to_come(&tokens)).max().unwrap_or(0);
        coming < decoded + PREFIX_WORTH_TOKENS
    }

    /// Gives a request its slot.
    fn admit(&mut self, call: Call) {
        match self.prepare(&call.request) {
            Err(error) => {
                tracing::warn!(%error, "generation refused");
                drop(call.events.try_send(Err(error)));
            }
            Ok((candidates, tokens)) => self.start(call, candidates, tokens),
        }
    }

    /// The candidates before they have a sequence, and the prompt's tokens.
    fn prepare(&mut self, request: &GenerateRequest) -> Result<(Vec<Candidate>, Vec<TokenId>), EngineError> {
        let count = request.candidates.max(1);
        if count > self.model.info().candidates_max {
            return Err(EngineError::TooManyCandidates(count));
        }
        let tokens = self.tokenize_for(request.session, &request.prompt);
        let room = self.room(&tokens, count)?;
        let vocabulary = Arc::clone(&self.vocabulary);
        // Our own words: a closing tag in them is the control token that it spells.
        let tokenize = |text: &str| vocabulary.tokenize(text, true);
        let prompt_tokens = tokens.len() as u32;
        let candidates = (0..count).zip(self.constraints(request, count)?).map(|(number, constraints)| {
            let window = Window::new(&request.window, &tokenize, room);
            Candidate::new(number, request, prompt_tokens, window, constraints)
        });
        Ok((candidates.collect(), tokens))
    }

    fn start(&mut self, call: Call, candidates: Vec<Candidate>, mut tokens: Vec<TokenId>) {
        let session = call.request.session;
        let mut job = Job::new(call, tokens.len() as u32, candidates);
        for candidate in &mut job.candidates {
            candidate.read(&tokens);
        }
        job.open(self.vocabulary.as_ref());
        // What is given or forced at once is the same for all candidates: the first decodes it for them.
        tokens.extend(&job.candidates[0].pending);
        let branch = self.trunk(session, &tokens);
        job.reused_tokens = (branch.tokens.len() as u32).min(job.prompt_tokens);
        job.candidates[0].pending = tokens.split_off(branch.tokens.len()).into();
        job.candidates[0].branch = branch;
        for candidate in &mut job.candidates[1..] {
            candidate.branch.sequence = self.allocate();
        }
        let sequences: Vec<Sequence> = job.candidates.iter().map(|candidate| candidate.branch.sequence).collect();
        let prompt = job.call.request.prompt.text();
        let turn = Turn { prompt: &prompt, prompt_tokens: job.prompt_tokens, sequences: &sequences };
        job.tell_prefill(false);
        if let Err(error) = self.model.begin_turn(&turn) {
            job.fail(error);
        }
        self.jobs.push(job);
    }

    /// Grammar instances for every candidate: one from the first token on, one for an answer after a shift.
    fn constraints(&self, request: &GenerateRequest, count: u32) -> Result<Vec<Constraints>, EngineError> {
        let Some(grammar) = &request.grammar else { return Ok((0..count).map(|_| Constraints::default()).collect()) };
        (0..count)
            .map(|_| {
                let now = Some(self.model.constraint(grammar)?);
                Ok(Constraints { now, after_shift: Some(self.model.constraint(grammar)?) })
            })
            .collect()
    }

    /// Tokens of context that each of `count` candidates may use after the prompt.
    pub(super) fn room(&self, tokens: &[TokenId], count: u32) -> Result<u32, EngineError> {
        let cells = self.model.cells_max() / self.model.slots();
        let context_tokens_max = self.model.info().context_tokens_max.min(cells);
        let prompt_tokens = tokens.len() as u32;
        if prompt_tokens == 0 {
            return Err(EngineError::PromptEmpty);
        }
        // Every candidate has its own copy of the prompt's last token.
        let shared_room = cells.saturating_sub(prompt_tokens + count) / count;
        let room = context_tokens_max.saturating_sub(prompt_tokens).min(shared_room);
        if room == 0 {
            return Err(EngineError::PromptTooLong { prompt_tokens, context_tokens_max });
        }
        Ok(room)
    }

    /// Files an ended request's candidates as its session's branches and books what they cost. Returns whether that was
    /// still to be done.
    fn file(&mut self, index: usize) -> bool {
        let job = &mut self.jobs[index];
        let candidates = std::mem::take(&mut job.candidates);
        if candidates.is_empty() {
            return false;
        }
        let sequences: Vec<Sequence> = candidates.iter().map(|candidate| candidate.branch.sequence).collect();
        self.model.end_turn(&sequences);
        let id = job.call.request.session;
        let session = self.sessions.touch(id);
        session.stats.requests += 1;
        session.stats.prompt_tokens += u64::from(job.prompt_tokens);
        session.stats.reused_tokens += u64::from(job.reused_tokens);
        session.stats.prefilled_tokens += u64::from(job.prefilled_tokens);
        session.stats.drafted_tokens += u64::from(job.drafted_tokens);
        session.stats.held_tokens += u64::from(job.held_tokens);
        let prompt_tokens = job.prompt_tokens as usize;
        let mut unused = Vec::new();
        let mut prompt = None;
        for candidate in candidates {
            // After an error the cache may hold more than the log says.
            let branch = candidate.branch;
            self.model.truncate_sequence(branch.sequence, branch.tokens.len() as u32);
            let counts = candidate.window.counts();
            session.stats.generated_tokens +=
                u64::from(counts.thinking_tokens + counts.forced_tokens + counts.answer_tokens);
            if branch.tokens.is_empty() {
                unused.push(branch.sequence);
                continue;
            }
            prompt.get_or_insert_with(|| branch.tokens[..branch.tokens.len().min(prompt_tokens)].to_vec());
            session.branches.push(branch);
        }
        for sequence in unused {
            self.release(sequence);
        }
        if let Some(tokens) = prompt {
            self.save_first_turn(id, &tokens);
        }
        true
    }

    pub(super) fn allocate(&mut self) -> Sequence {
        loop {
            if let Some(sequence) = self.sessions.take_free() {
                return sequence;
            }
            assert!(self.make_room(), "invariant: requests get a slot only where there are sequences for them");
        }
    }

    pub(super) fn release(&mut self, sequence: Sequence) {
        self.model.truncate_sequence(sequence, 0);
        self.sessions.give_back(sequence);
    }

    /// Takes the session that was used longest ago out of the cache. Returns whether there was one.
    pub(super) fn make_room(&mut self) -> bool {
        let Some((id, branches)) = self.sessions.evict_oldest() else { return false };
        let longest = branches.iter().max_by_key(|branch| branch.tokens.len());
        if let Some(branch) = longest.filter(|branch| self.parking.wants(branch.tokens.len()))
            && let Some((state, bytes)) = self.model.park(branch.sequence)
        {
            self.parking.put(id, branch.tokens.clone(), state, bytes);
        }
        for branch in branches {
            self.release(branch.sequence);
        }
        true
    }

    /// The sequence that shares the longest beginning with `tokens`, and how long that is; of sessions and of what is
    /// being decoded.
    pub(super) fn longest_prefix(&self, tokens: &[TokenId]) -> Option<(Sequence, usize)> {
        let running = self.jobs.iter().flat_map(|job| &job.candidates).map(|candidate| &candidate.branch);
        let shared = |branch: &Branch| (branch.sequence, common_prefix(&branch.tokens, tokens));
        self.sessions
            .branches()
            .chain(running)
            .map(shared)
            .filter(|&(_, length)| length > 0)
            .max_by_key(|&(_, length)| length)
    }

    /// Forgets a session.
    pub(super) fn end(&mut self, id: SessionId) {
        for sequence in self.sessions.remove(id) {
            self.release(sequence);
        }
        self.parking.forget(id);
    }

    fn stats(&self, id: SessionId) -> Option<SessionStats> {
        self.sessions.stats(id)
    }
}
