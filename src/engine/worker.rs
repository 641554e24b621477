//! What the engine's thread does with a request: find what can be reused, decode the rest of the prompt,
//! fork, decode the replies, keep the log.
//!
//! Not for: channels (`handle.rs`).

use std::path::Path;
use std::sync::Arc;

use super::candidate::{Candidate, Constraints, Round};
use super::decode::Outside;
use super::model::{BatchToken, Decoded, Sequence, TokenModel, Turn, Vocabulary};
use super::sample::log_sum_exp;
use super::session::{Branch, Sessions, common_prefix, tokenize_following};
use super::states::{States, first_turn, forget};
use super::{CANDIDATES_MAX, EngineError, EngineEvent, GenerateRequest, SessionId, SessionStats, TokenId};
use crate::cancel::Cancel;
use crate::prompt::Rendered;
use crate::thinking::Window;

/// The model and its sessions; lives on the engine's thread.
pub(super) struct Worker<M> {
    pub(super) model: M,
    vocabulary: Arc<dyn Vocabulary>,
    sessions: Sessions,
    /// States of earlier runs.
    states: Option<States>,
}

/// A session's trunk, ready to be continued: everything of the prompt but `rest` is in the cache.
struct Trunk {
    branch: Branch,
    rest: Vec<TokenId>,
    reused_tokens: u32,
}

impl<M: TokenModel> Worker<M> {
    pub(super) fn new(model: M, vocabulary: Arc<dyn Vocabulary>) -> Self {
        let sessions = Sessions::new(model.sequences_max());
        Self { model, vocabulary, sessions, states: None }
    }

    /// Keeps the states of system prompts there.
    #[cfg(feature = "llama")]
    pub(super) fn with_states(self, states: Option<States>) -> Self {
        Self { states, ..self }
    }

    /// Serves one request; everything it has to say goes through `outside`.
    ///
    /// # Errors
    /// Where the request cannot be served, or the model failed. The sessions stay consistent.
    pub(super) fn generate(&mut self, request: &GenerateRequest, outside: &mut Outside<'_>) -> Result<(), EngineError> {
        let count = request.candidates.max(1);
        if count > CANDIDATES_MAX.min(self.model.sequences_max()) {
            return Err(EngineError::TooManyCandidates(count));
        }
        let vocabulary = Arc::clone(&self.vocabulary);
        let tokens = self.tokenize_for(request.session, &request.prompt);
        let room = self.room(&tokens, count)?;
        let hint = vocabulary.tokenize(&request.window.hint, false);
        let constraints = self.constraints(request, count)?;
        let trunk = self.plan(request.session, &tokens, count == 1);
        let round = Round {
            request,
            vocabulary: vocabulary.as_ref(),
            prompt_tokens: tokens.len() as u32,
            reused_tokens: trunk.reused_tokens,
        };
        let trunk = self.prefill(request.session, trunk, &round, outside)?;
        let mut candidates = Vec::with_capacity(count as usize);
        for (number, constraints) in (0..count).zip(constraints) {
            let branch = if number == 0 { trunk.branch.clone() } else { self.fork(request.session, &trunk.branch) };
            let window = Window::new(&request.window, hint.clone(), room);
            let mut candidate = Candidate::new(number, branch, &trunk.rest, window, &round);
            candidate.constrain(constraints);
            candidates.push(candidate);
        }
        let outcome = self.begin_turn(&candidates, &round);
        let outcome = outcome.and_then(|()| self.decode_all(&mut candidates, &round, outside));
        self.keep(&round, candidates);
        self.save_first_turn(request.session, &tokens);
        outcome
    }

    /// Saves the cache of the prompt's first turn for the next run of the program, where it is not saved yet.
    fn save_first_turn(&mut self, id: SessionId, tokens: &[TokenId]) {
        let (Some(states), Some(length)) = (&self.states, first_turn(tokens)) else { return };
        let turn = &tokens[..length];
        if states.has(turn) {
            return;
        }
        let branches = self.sessions.get(id).map(|session| session.branches.as_slice()).unwrap_or_default();
        let Some(whole) = branches.iter().find(|branch| branch.tokens.starts_with(turn)) else { return };
        let from = whole.sequence;
        // A sequence of its own, because a file holds all that its sequence has.
        let Some(sequence) = self.sessions.take_free() else { return };
        self.model.copy_sequence(from, sequence, length as u32);
        states.store(turn, |path| self.model.save_sequence(sequence, turn, path));
        self.release(sequence);
    }

    /// Fills an empty sequence with the prompt's first turn from the disk.
    fn load_first_turn(&mut self, sequence: Sequence, tokens: &[TokenId]) -> Option<Branch> {
        let turn = &tokens[..first_turn(tokens)?];
        let path = self.states.as_ref()?.find(turn)?;
        match self.model.load_sequence(sequence, &path) {
            Ok(found) if found == turn => Some(Branch { sequence, tokens: found }),
            other => {
                tracing::warn!(path = %path.display(), error = ?other.err(), "a saved prompt state cannot be used");
                self.model.truncate_sequence(sequence, 0);
                forget(&path);
                None
            }
        }
    }

    fn begin_turn(&mut self, candidates: &[Candidate], round: &Round<'_>) -> Result<(), EngineError> {
        let sequences: Vec<Sequence> = candidates.iter().map(|candidate| candidate.branch.sequence).collect();
        let prompt = round.request.prompt.text();
        self.model.begin_turn(&Turn { prompt: &prompt, prompt_tokens: round.prompt_tokens, sequences: &sequences })
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
    fn room(&self, tokens: &[TokenId], count: u32) -> Result<u32, EngineError> {
        let context_tokens_max = self.model.info().context_tokens_max.min(self.model.cells_max());
        let prompt_tokens = tokens.len() as u32;
        if prompt_tokens == 0 {
            return Err(EngineError::PromptEmpty);
        }
        // Every candidate has its own copy of the prompt's last token (see `plan`).
        let shared_room = self.model.cells_max().saturating_sub(prompt_tokens + count) / count;
        let room = context_tokens_max.saturating_sub(prompt_tokens).min(shared_room);
        if room == 0 {
            return Err(EngineError::PromptTooLong { prompt_tokens, context_tokens_max });
        }
        Ok(room)
    }

    pub(super) fn tokenize_for(&mut self, session: SessionId, prompt: &Rendered) -> Vec<TokenId> {
        let empty = Vec::new();
        let branches = self.sessions.get(session).map_or(&empty, |session| &session.branches);
        branches
            .iter()
            .map(|branch| branch.tokens.as_slice())
            .chain([[].as_slice()])
            .map(|log| {
                let tokens = tokenize_following(self.vocabulary.as_ref(), prompt, log);
                (common_prefix(log, &tokens), tokens)
            })
            .max_by_key(|(shared, _)| *shared)
            .map(|(_, tokens)| tokens)
            .expect("invariant: the empty log is always among the logs")
    }

    /// Picks what to go on from and trims it to what it shares with `tokens`.
    ///
    /// The last chunk of the prompt stays undecoded: the decode loop takes it together with the first
    /// sampling. Where there will be forks, it is only the last token, so that they share all the rest.
    fn plan(&mut self, id: SessionId, tokens: &[TokenId], alone: bool) -> Trunk {
        let mut branches = std::mem::take(&mut self.sessions.touch(id).branches);
        branches.sort_by_key(|branch| common_prefix(&branch.tokens, tokens));
        let own = branches.pop().filter(|branch| common_prefix(&branch.tokens, tokens) > 0);
        for branch in branches {
            self.release(branch.sequence);
        }
        let mut branch = own.unwrap_or_else(|| self.adopt(id, tokens));
        let reused = common_prefix(&branch.tokens, tokens).min(tokens.len() - 1);
        branch.tokens.truncate(reused);
        self.model.truncate_sequence(branch.sequence, reused as u32);
        let new_tokens = tokens.len() - reused;
        let held_back = if alone {
            // A whole number of full chunks first, so that the held-back part is at most one chunk.
            let remainder = new_tokens % self.model.batch_tokens_max();
            if remainder == 0 { self.model.batch_tokens_max() } else { remainder }
        } else {
            1
        };
        branch.tokens.extend_from_slice(&tokens[reused..tokens.len() - held_back]);
        Trunk { branch, rest: tokens[tokens.len() - held_back..].to_vec(), reused_tokens: reused as u32 }
    }

    /// A new branch for a session that has none: a copy of the longest prefix any other session has.
    fn adopt(&mut self, id: SessionId, tokens: &[TokenId]) -> Branch {
        let sequence = self.allocate(id);
        let Some((from, shared)) = self.sessions.best_prefix(tokens) else {
            let saved = self.load_first_turn(sequence, tokens);
            return saved.unwrap_or_else(|| Branch { sequence, tokens: Vec::new() });
        };
        self.model.copy_sequence(from, sequence, shared as u32);
        Branch { sequence, tokens: tokens[..shared].to_vec() }
    }

    /// Decodes what `plan` put into the trunk's log beyond the reused tokens, chunk by chunk.
    fn prefill(
        &mut self,
        id: SessionId,
        mut trunk: Trunk,
        round: &Round<'_>,
        outside: &mut Outside<'_>,
    ) -> Result<Trunk, EngineError> {
        let (reused, total) = (trunk.reused_tokens, round.prompt_tokens);
        (outside.events)(EngineEvent::Prefill { done: reused, total, reused });
        let mut done = reused as usize;
        while done < trunk.branch.tokens.len() && !outside.cancel.is_cancelled() {
            let end = trunk.branch.tokens.len().min(done + self.model.batch_tokens_max());
            let decoded = self.decode_prompt(id, &trunk.branch, done..end, outside.cancel);
            if !matches!(decoded, Ok(Decoded::Done)) {
                self.model.truncate_sequence(trunk.branch.sequence, done as u32);
            }
            match decoded {
                Ok(Decoded::Done) => done = end,
                Ok(Decoded::Aborted) => break,
                Ok(Decoded::Full) | Err(_) => {
                    trunk.branch.tokens.truncate(done);
                    self.sessions.touch(id).branches.push(trunk.branch);
                    return Err(decoded.err().unwrap_or_else(|| EngineError::Decode("the cache is full".to_owned())));
                }
            }
            (outside.events)(EngineEvent::Prefill { done: done as u32, total, reused });
        }
        // Cut short by a cancel: what is decoded is kept, the rest is pending and never decoded.
        let undecoded = trunk.branch.tokens.split_off(done);
        trunk.rest.splice(0..0, undecoded);
        self.sessions.touch(id).stats.prefilled_tokens += u64::from(done as u32 - reused);
        Ok(trunk)
    }

    fn decode_prompt(
        &mut self,
        id: SessionId,
        branch: &Branch,
        range: std::ops::Range<usize>,
        cancel: &Cancel,
    ) -> Result<Decoded, EngineError> {
        let batch: Vec<BatchToken> = range
            .map(|at| BatchToken {
                token: branch.tokens[at],
                position: at as u32,
                sequence: branch.sequence,
                logits: false,
            })
            .collect();
        loop {
            match self.model.decode(&batch, cancel)? {
                Decoded::Full if self.make_room(id) => {}
                decoded => return Ok(decoded),
            }
        }
    }

    fn fork(&mut self, id: SessionId, trunk: &Branch) -> Branch {
        let sequence = self.allocate(id);
        self.model.copy_sequence(trunk.sequence, sequence, trunk.tokens.len() as u32);
        Branch { sequence, tokens: trunk.tokens.clone() }
    }

    /// Files the candidates as the session's branches and books what they cost.
    fn keep(&mut self, round: &Round<'_>, candidates: Vec<Candidate>) {
        for candidate in &candidates {
            // After an error the cache may hold more than the log says.
            let branch = &candidate.branch;
            self.model.truncate_sequence(branch.sequence, branch.tokens.len() as u32);
        }
        let session = self.sessions.touch(round.request.session);
        session.stats.requests += 1;
        session.stats.prompt_tokens += u64::from(round.prompt_tokens);
        session.stats.reused_tokens += u64::from(round.reused_tokens);
        for candidate in candidates {
            let counts = candidate.window.counts();
            session.stats.generated_tokens +=
                u64::from(counts.thinking_tokens + counts.forced_tokens + counts.answer_tokens);
            session.branches.push(candidate.branch);
        }
    }

    fn allocate(&mut self, id: SessionId) -> Sequence {
        loop {
            if let Some(sequence) = self.sessions.take_free() {
                return sequence;
            }
            assert!(self.make_room(id), "invariant: one session never has more branches than there are sequences");
        }
    }

    fn release(&mut self, sequence: Sequence) {
        self.model.truncate_sequence(sequence, 0);
        self.sessions.give_back(sequence);
    }

    /// Forgets the cache of the session that was used longest ago. Returns whether there was one.
    pub(super) fn make_room(&mut self, keep: SessionId) -> bool {
        let evicted = self.sessions.evict_oldest(keep);
        let any = !evicted.is_empty();
        for sequence in evicted {
            self.release(sequence);
        }
        any
    }

    /// How probable each of `choices` is as the next text, as log-probabilities that are normalised over
    /// the choices.
    pub(super) fn choose(&mut self, prompt: &Rendered, choices: &[String]) -> Result<Vec<f32>, EngineError> {
        let (id, cancel) = (SessionId::PROBE, Cancel::new());
        let tokens = self.tokenize_for(id, prompt);
        self.room(&tokens, 1)?;
        let mut trunk = self.plan(id, &tokens, false);
        let decoded = self.decode_chunks(id, &mut trunk, &cancel);
        let outcome = decoded.and_then(|()| {
            choices.iter().map(|choice| self.score(id, &trunk, choice, &cancel)).collect::<Result<Vec<f32>, _>>()
        });
        self.sessions.touch(id).branches.push(trunk.branch);
        let scores = outcome?;
        let total = log_sum_exp(&scores);
        Ok(scores.into_iter().map(|score| score - total).collect())
    }

    /// Decodes the trunk's tokens for a probe: no events, no cancelling; probes are short.
    fn decode_chunks(&mut self, id: SessionId, trunk: &mut Trunk, cancel: &Cancel) -> Result<(), EngineError> {
        let mut done = trunk.reused_tokens as usize;
        while done < trunk.branch.tokens.len() {
            let end = trunk.branch.tokens.len().min(done + self.model.batch_tokens_max());
            let decoded = self.decode_prompt(id, &trunk.branch, done..end, cancel);
            if !matches!(decoded, Ok(Decoded::Done)) {
                trunk.branch.tokens.truncate(done);
                self.model.truncate_sequence(trunk.branch.sequence, done as u32);
                return Err(decoded.err().unwrap_or_else(|| EngineError::Decode("the cache is full".to_owned())));
            }
            done = end;
        }
        Ok(())
    }

    /// The log-probability of `choice` after the trunk and its held-back token.
    fn score(&mut self, id: SessionId, trunk: &Trunk, choice: &str, cancel: &Cancel) -> Result<f32, EngineError> {
        let wanted = self.vocabulary.tokenize(choice, false);
        let fork = self.fork(id, &trunk.branch);
        // Each decoded token predicts the next one; the choice's last token need not be decoded.
        let decoded: Vec<TokenId> = trunk.rest.iter().chain(wanted.iter().rev().skip(1).rev()).copied().collect();
        let first = fork.tokens.len();
        let batch: Vec<BatchToken> = decoded
            .iter()
            .enumerate()
            .map(|(at, &token)| BatchToken {
                token,
                position: (first + at) as u32,
                sequence: fork.sequence,
                logits: at + 1 >= trunk.rest.len(),
            })
            .collect();
        if batch.len() > self.model.batch_tokens_max().min(self.model.batch_logits_max()) {
            self.release(fork.sequence);
            return Err(EngineError::Decode("a choice is too long to be weighed".to_owned()));
        }
        let outcome = self.model.decode(&batch, cancel);
        let score = match outcome {
            Ok(Decoded::Done) => Ok((0..)
                .zip(&wanted)
                .map(|(row, &token)| {
                    let logits = self.model.logits(row);
                    logits[token as usize] - log_sum_exp(logits)
                })
                .sum()),
            Ok(_) => Err(EngineError::Decode("the cache is full".to_owned())),
            Err(error) => Err(error),
        };
        self.release(fork.sequence);
        score
    }

    /// Writes a session's longest branch to a file.
    pub(super) fn save(&mut self, id: SessionId, path: &Path) -> Result<u64, EngineError> {
        let branches = self.sessions.get(id).map(|session| session.branches.as_slice()).unwrap_or_default();
        let Some(branch) = branches.iter().max_by_key(|branch| branch.tokens.len()) else {
            return Err(EngineError::State { path: path.to_owned(), reason: "the session is empty".to_owned() });
        };
        self.model.save_sequence(branch.sequence, &branch.tokens, path)
    }

    /// Fills an empty session from a file; returns how many tokens it holds now.
    pub(super) fn restore(&mut self, id: SessionId, path: &Path) -> Result<u32, EngineError> {
        self.end(id);
        let sequence = self.allocate(id);
        match self.model.load_sequence(sequence, path) {
            Ok(tokens) => {
                let count = tokens.len() as u32;
                self.sessions.touch(id).branches.push(Branch { sequence, tokens });
                Ok(count)
            }
            Err(error) => {
                self.release(sequence);
                Err(error)
            }
        }
    }

    /// Forgets a session.
    pub(super) fn end(&mut self, id: SessionId) {
        for sequence in self.sessions.remove(id) {
            self.release(sequence);
        }
    }

    pub(super) fn stats(&self, id: SessionId) -> Option<SessionStats> {
        self.sessions.stats(id)
    }
}
