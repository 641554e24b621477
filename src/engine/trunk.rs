//! What a request goes on from: the longest beginning that its session, another one, or the disk has.
//!
//! Not for: deciding when a request is served (`worker.rs`).

use std::path::Path;

use super::model::{Sequence, TokenModel};
use super::session::{Branch, common_prefix, tokenize_following};
use super::states::{first_turn, forget};
use super::worker::Worker;
use super::{EngineError, SessionId, TokenId};
use crate::prompt::Rendered;

/// What llama.cpp says where other sequences hold the cells that a state needs.
const NO_CELLS: &str = "available cells";

impl<M: TokenModel> Worker<M> {
    /// The prompt's tokens, split as the session has them already.
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

    /// Picks what to go on from and trims it to what it shares with `tokens`; the last of them is never part of it, since
    /// its logits are wanted.
    ///
    /// The longest wins: of the session's own branches, of all others, of the disk. At equal length the own one is
    /// cheapest.
    pub(super) fn trunk(&mut self, id: SessionId, tokens: &[TokenId]) -> Branch {
        let usable = tokens.len().saturating_sub(1);
        let mut branches = std::mem::take(&mut self.sessions.touch(id).branches);
        branches.sort_by_key(|branch| common_prefix(&branch.tokens, tokens));
        let own = branches.pop();
        for branch in branches {
            self.release(branch.sequence);
        }
        let own_tokens = own.as_ref().map_or(0, |own| common_prefix(&own.tokens, tokens).min(usable));
        let sequence = own.map_or_else(|| self.allocate(), |own| own.sequence);
        let of_others = |worker: &Self| worker.longest_prefix(tokens).map(|(from, shared)| (from, shared.min(usable)));
        let known = |other: Option<(Sequence, usize)>| other.map_or(0, |(_, shared)| shared).max(own_tokens);
        if let Some(branch) = self.unpark(id, sequence, tokens, known(of_others(self))) {
            return branch;
        }
        // Making room for it may have taken what others had; so may making room for what the disk has.
        let here = known(of_others(self));
        if let Some(branch) = self.load_state(sequence, &tokens[..usable], here) {
            return branch;
        }
        let other = of_others(self);
        let reused = match other {
            Some((from, shared)) if shared > own_tokens => {
                self.model.truncate_sequence(sequence, 0);
                self.model.copy_sequence(from, sequence, shared as u32);
                shared
            }
            _ => {
                self.model.truncate_sequence(sequence, own_tokens as u32);
                own_tokens
            }
        };
        Branch { sequence, tokens: tokens[..reused].to_vec() }
    }

    /// Fills a sequence with what was parked, where that is more than the `known` tokens that are in the cache anyway.
    fn unpark(&mut self, id: SessionId, sequence: Sequence, tokens: &[TokenId], known: usize) -> Option<Branch> {
        self.parking.longest(tokens, known)?;
        self.model.truncate_sequence(sequence, 0);
        let shared = loop {
            // Making room parks others, and may cost this one its place.
            let Some((state, shared)) = self.parking.longest(tokens, known) else { break 0 };
            if self.model.unpark(sequence, state) {
                break shared.min(tokens.len() - 1);
            }
            if !self.make_room() {
                break 0;
            }
        };
        self.model.truncate_sequence(sequence, shared as u32);
        self.parking.forget(id);
        Some(Branch { sequence, tokens: tokens[..shared].to_vec() })
    }

    /// Saves the cache of the prompt's first turn for the next run of the program, where it is not saved yet.
    pub(super) fn save_first_turn(&mut self, id: SessionId, tokens: &[TokenId]) {
        let (Some(states), Some(length)) = (&self.states, first_turn(tokens)) else { return };
        let turn = &tokens[..length];
        if states.has(turn) {
            return;
        }
        let branches = self.sessions.get(id).map(|session| session.branches.as_slice()).unwrap_or_default();
        let Some(whole) = branches.iter().find(|branch| branch.tokens.starts_with(turn)) else { return };
        self.store_state(whole.sequence, turn);
    }

    /// Stores the beginning of a sequence, which has these tokens. Returns whether there was a sequence for it: a file holds
    /// all that its sequence has.
    fn store_state(&mut self, from: Sequence, tokens: &[TokenId]) -> bool {
        let Some(sequence) = self.sessions.take_free() else { return false };
        self.model.copy_sequence(from, sequence, tokens.len() as u32);
        if let Some(states) = &self.states {
            states.store(tokens, |path| self.model.save_sequence(sequence, tokens, path));
        }
        self.release(sequence);
        true
    }

    /// Reads a file into a free sequence; others make room for it as long as there are any.
    fn load_with_room(&mut self, sequence: Sequence, path: &Path) -> Result<Vec<TokenId>, EngineError> {
        loop {
            match self.model.load_sequence(sequence, path) {
                Err(EngineError::State { reason, .. }) if reason.contains(NO_CELLS) && self.make_room() => {}
                loaded => return loaded,
            }
        }
    }

    /// Fills a sequence with the longest beginning of the prompt that the disk has, where that is more than the `known`
    /// tokens that are in the cache anyway. The sequence keeps what it had where nothing is loaded.
    fn load_state(&mut self, sequence: Sequence, tokens: &[TokenId], known: usize) -> Option<Branch> {
        let tokens_max = self.model.info().context_tokens_max as usize;
        let (path, shared) = self.states.as_ref()?.longest(tokens, known, tokens_max)?;
        let spare = self.sessions.take_free()?;
        match self.load_with_room(spare, &path) {
            Ok(found) if found.get(..shared) == tokens.get(..shared) => {
                self.model.truncate_sequence(sequence, 0);
                self.model.copy_sequence(spare, sequence, shared as u32);
                self.release(spare);
                Some(Branch { sequence, tokens: tokens[..shared].to_vec() })
            }
            // Nothing is wrong with the file.
            Err(EngineError::State { reason, .. }) if reason.contains(NO_CELLS) => {
                self.release(spare);
                None
            }
            other => {
                tracing::warn!(path = %path.display(), error = ?other.err(), "a saved prompt state cannot be used");
                self.release(spare);
                forget(&path);
                None
            }
        }
    }

    /// Keeps a conversation for the next run of the program: of the session's branches the one that the prompt goes on from,
    /// as far as it does. Returns whether it was worth a file.
    pub(super) fn keep(&mut self, id: SessionId, prompt: &Rendered) -> bool {
        let tokens = self.tokenize_for(id, prompt);
        self.recall(id);
        let branches = self.sessions.get(id).map(|session| session.branches.as_slice()).unwrap_or_default();
        let shared = |branch: &&Branch| common_prefix(&branch.tokens, &tokens);
        let (Some(states), Some(whole)) = (&self.states, branches.iter().max_by_key(shared)) else { return false };
        let kept = &tokens[..shared(&whole)];
        let paid = self.grain.seconds(kept.len()).is_some_and(|seconds| seconds >= self.keep_seconds_min);
        states.wants(kept, paid) && self.store_state(whole.sequence, kept)
    }

    /// Writes a session's longest branch to a file.
    pub(super) fn save(&mut self, id: SessionId, path: &Path) -> Result<u64, EngineError> {
        self.recall(id);
        let branches = self.sessions.get(id).map(|session| session.branches.as_slice()).unwrap_or_default();
        let Some(branch) = branches.iter().max_by_key(|branch| branch.tokens.len()) else {
            return Err(EngineError::State { path: path.to_owned(), reason: "the session is empty".to_owned() });
        };
        self.model.save_sequence(branch.sequence, &branch.tokens, path)
    }

    /// Brings a session back into the cache that had to make room.
    fn recall(&mut self, id: SessionId) {
        let is_here = self.sessions.get(id).is_some_and(|session| !session.branches.is_empty());
        let Some(tokens) = self.parking.of(id).map(|(_, tokens)| tokens.to_vec()).filter(|_| !is_here) else { return };
        let sequence = self.allocate();
        // Another one that made room for it may have taken its place.
        if self.parking.of(id).is_some_and(|(state, _)| self.model.unpark(sequence, state)) {
            self.parking.forget(id);
            self.sessions.touch(id).branches.push(Branch { sequence, tokens });
        } else {
            self.release(sequence);
        }
    }

    /// Fills an empty session from a file; returns how many tokens it holds now.
    pub(super) fn restore(&mut self, id: SessionId, path: &Path) -> Result<u32, EngineError> {
        self.end(id);
        let sequence = self.allocate();
        match self.load_with_room(sequence, path) {
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
}
