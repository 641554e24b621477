//! Bookkeeping of token logs: which sequence holds which tokens, and what can be reused.
//!
//! A session has one branch for each candidate of its last request. The next request goes on from the
//! branch that shares the longest prefix with it and gives the others back.
//!
//! Not for: touching the model. Everything here is plain data; `worker.rs` does what is decided.

use std::collections::BTreeMap;

use super::model::{Sequence, Vocabulary};
use super::{SessionId, SessionStats, TokenId};
use crate::prompt::Rendered;

/// A sequence of the cache and the tokens it holds, always equal to what was decoded into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) sequence: Sequence,
    pub(super) tokens: Vec<TokenId>,
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) branches: Vec<Branch>,
    pub(super) stats: SessionStats,
    used_at: u64,
}

/// All sessions and the sequences that nobody has.
#[derive(Debug)]
pub(super) struct Sessions {
    by_id: BTreeMap<SessionId, Session>,
    free: Vec<Sequence>,
    clock: u64,
}

impl Sessions {
    pub(super) fn new(sequences_max: u32) -> Self {
        Self { by_id: BTreeMap::new(), free: (0..sequences_max).rev().collect(), clock: 0 }
    }

    /// The session, marked as the one used last; created where there is none.
    pub(super) fn touch(&mut self, id: SessionId) -> &mut Session {
        self.clock += 1;
        let session = self.by_id.entry(id).or_default();
        session.used_at = self.clock;
        session
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    pub(super) fn stats(&self, id: SessionId) -> Option<SessionStats> {
        let session = self.by_id.get(&id)?;
        let log_tokens = session.branches.iter().map(|branch| branch.tokens.len() as u32).max().unwrap_or(0);
        Some(SessionStats { log_tokens, ..session.stats })
    }

    pub(super) fn take_free(&mut self) -> Option<Sequence> {
        self.free.pop()
    }

    pub(super) fn give_back(&mut self, sequence: Sequence) {
        self.free.push(sequence);
    }

    /// Forgets a session; its sequences are to be emptied and given back.
    pub(super) fn remove(&mut self, id: SessionId) -> Vec<Sequence> {
        let branches = self.by_id.remove(&id).map(|session| session.branches).unwrap_or_default();
        branches.into_iter().map(|branch| branch.sequence).collect()
    }

    /// Takes the branches of the session that was used longest ago. Its statistics stay.
    pub(super) fn evict_oldest(&mut self) -> Option<(SessionId, Vec<Branch>)> {
        let kept = self.by_id.iter_mut().filter(|(_, session)| !session.branches.is_empty());
        let (&id, oldest) = kept.min_by_key(|(_, session)| session.used_at)?;
        Some((id, std::mem::take(&mut oldest.branches)))
    }

    /// Calls everything by its new number.
    pub(super) fn rename(&mut self, renamed: impl Fn(&mut Sequence)) {
        self.by_id
            .values_mut()
            .flat_map(|session| &mut session.branches)
            .for_each(|branch| renamed(&mut branch.sequence));
        self.free.iter_mut().for_each(renamed);
    }

    /// What all sessions hold.
    pub(super) fn branches(&self) -> impl Iterator<Item = &Branch> {
        self.by_id.values().flat_map(|session| &session.branches)
    }
}

/// How many tokens two logs share from their beginning.
pub(super) fn common_prefix(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(left, right)| left == right).count()
}

/// Tokenises a prompt segment by segment, following `log` where it says the same.
///
/// The model's own reply comes back as text in the next prompt. Tokenised afresh it may split differently
/// from how the model wrote it, and everything after it would have to be decoded again. So a text segment
/// that stands in the log letter for letter keeps the log's tokens, also where the log ends in the middle of it.
pub(super) fn tokenize_following(vocabulary: &dyn Vocabulary, prompt: &Rendered, log: &[TokenId]) -> Vec<TokenId> {
    let mut tokens: Vec<TokenId> = Vec::new();
    for segment in &prompt.segments {
        let follows = !segment.special && log.len() > tokens.len() && log.starts_with(&tokens);
        let as_logged = follows.then(|| logged_tokens(vocabulary, &segment.text, &log[tokens.len()..])).flatten();
        tokens.extend(as_logged.unwrap_or_else(|| vocabulary.tokenize(&segment.text, segment.special)));
    }
    tokens
}

/// The tokens of `text` as far as `log` begins with it.
///
/// Either the log spells the whole text; or it ends before the text does, as after a reply whose last token was drawn
/// and never decoded: then the log's tokens stand and what is left is tokenised by itself. `None` where the log says
/// something else.
fn logged_tokens(vocabulary: &dyn Vocabulary, text: &str, log: &[TokenId]) -> Option<Vec<TokenId>> {
    let mut rest = text.as_bytes();
    let mut taken = 0;
    for &token in log {
        if rest.is_empty() {
            break;
        }
        if vocabulary.is_control(token) {
            return None;
        }
        rest = rest.strip_prefix(vocabulary.piece(token, false).as_slice())?;
        taken += 1;
    }
    let mut tokens = log[..taken].to_vec();
    if !rest.is_empty() {
        let ends_early = taken > 0 && taken == log.len();
        let rest = std::str::from_utf8(rest).ok().filter(|_| ends_early)?;
        // A prompt whose decoding was cut short keeps its own splitting.
        let whole = vocabulary.tokenize(text, false);
        if whole.starts_with(&tokens) {
            return Some(whole);
        }
        tokens.extend(vocabulary.tokenize(rest, false));
    }
    Some(tokens)
}
