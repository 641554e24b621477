//! Caches of sessions that had to make room, kept in memory until their session goes on.
//!
//! Not for: what survives the program (`states.rs`), and what is in the cache (`session.rs`).

use super::session::common_prefix;
use super::{SessionId, TokenId};

/// A cache that makes fewer tokens spare is not worth its memory.
const TOKENS_MIN: usize = 64;

/// One sequence's cache outside the cache.
#[derive(Debug)]
struct Parked<P> {
    session: SessionId,
    tokens: Vec<TokenId>,
    state: P,
    bytes: u64,
}

/// Caches outside the cache, the one parked longest ago first.
#[derive(Debug)]
pub(super) struct Parking<P> {
    bytes_max: u64,
    all: Vec<Parked<P>>,
}

impl<P> Parking<P> {
    pub(super) const fn new(bytes_max: u64) -> Self {
        Self { bytes_max, all: Vec::new() }
    }

    /// Whether a log of so many tokens is worth a place.
    pub(super) const fn wants(&self, tokens: usize) -> bool {
        self.bytes_max > 0 && tokens >= TOKENS_MIN
    }

    /// Keeps a cache; those parked longest ago go where it needs their room. What the session parked before goes too.
    pub(super) fn put(&mut self, session: SessionId, tokens: Vec<TokenId>, state: P, bytes: u64) {
        self.forget(session);
        if bytes > self.bytes_max {
            return;
        }
        self.all.push(Parked { session, tokens, state, bytes });
        let mut taken: u64 = self.all.iter().map(|parked| parked.bytes).sum();
        while taken > self.bytes_max {
            taken -= self.all.remove(0).bytes;
        }
    }

    /// The longest beginning that a parked cache shares with `tokens`, where that is more than the `known` ones: the
    /// cache, and how long.
    pub(super) fn longest(&self, tokens: &[TokenId], known: usize) -> Option<(&P, usize)> {
        let shared = |parked: &Parked<P>| common_prefix(&parked.tokens, tokens);
        let best = self.all.iter().max_by_key(|parked| shared(parked))?;
        Some((&best.state, shared(best))).filter(|&(_, length)| length >= known + TOKENS_MIN)
    }

    /// What the session parked.
    pub(super) fn of(&self, session: SessionId) -> Option<(&P, &[TokenId])> {
        let own = self.all.iter().find(|parked| parked.session == session)?;
        Some((&own.state, &own.tokens))
    }

    pub(super) fn forget(&mut self, session: SessionId) {
        self.all.retain(|parked| parked.session != session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(first: TokenId, length: usize) -> Vec<TokenId> {
        (first..).take(length).collect()
    }

    #[test]
    fn the_longest_beginning_wins_and_little_is_not_worth_a_copy() {
        let mut parking = Parking::new(1000);
        parking.put(SessionId(1), log(0, 200), "one", 10);
        parking.put(SessionId(2), log(5000, 200), "two", 10);
        assert_eq!(parking.longest(&log(5000, 150), 0), Some((&"two", 150)));
        assert_eq!(parking.longest(&log(5000, 150), 100), None, "fifty more are read sooner than copied");
        assert_eq!(parking.longest(&log(9000, 150), 0), None);
        assert!(parking.wants(64) && !parking.wants(63) && !Parking::<()>::new(0).wants(1000));
    }

    #[test]
    fn what_was_parked_longest_ago_goes_first_and_a_session_has_one_place() {
        let mut parking = Parking::new(30);
        for session in 1..=4 {
            parking.put(SessionId(session), log(session as TokenId * 1000, 100), session, 10);
        }
        assert!(parking.of(SessionId(1)).is_none() && parking.of(SessionId(2)).is_some());
        parking.put(SessionId(3), log(0, 100), 33, 10);
        assert_eq!(parking.all.iter().map(|parked| parked.state).collect::<Vec<_>>(), [2, 4, 33]);
        parking.put(SessionId(5), log(0, 100), 5, 31);
        assert!(parking.of(SessionId(5)).is_none(), "larger than all there is");
        parking.forget(SessionId(4));
        assert_eq!(parking.all.len(), 2);
    }
}
