//! Which conversation has which session of the engine, so that a second turn decodes only what is new. Pure.
//!
//! A request goes on with the session whose conversation is the longest beginning of its own; without one it takes a
//! free session, or the one that was used longest ago. A session is never given to two requests at a time.
//!
//! Not for: what the engine keeps of a session; it may have forgotten it, and then decodes it again.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use super::REQUESTS_MAX;
use crate::engine::SessionId;
use crate::prompt::Message;

/// The server's sessions begin here; smaller numbers are the agent's.
const FIRST: u32 = 1000;
/// Conversations that are remembered: as many as may run, and some that wait for their next turn.
const SLOTS_MAX: usize = REQUESTS_MAX + 16;

#[derive(Clone, Debug, Default)]
struct Slot {
    /// A digest of each beginning of the conversation, shortest first.
    beginnings: Vec<u64>,
    busy: bool,
    used_at: u64,
}

/// The table of sessions.
#[derive(Debug)]
pub(super) struct Slots {
    table: Mutex<(Vec<Slot>, u64)>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { table: Mutex::new((vec![Slot::default(); SLOTS_MAX], 0)) }
    }
}

/// A session that one request has; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    slots: &'a Slots,
    at: usize,
}

impl Taken<'_> {
    pub(super) const fn session(&self) -> SessionId {
        SessionId(FIRST + self.at as u32)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut table = self.slots.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.0[self.at].busy = false;
    }
}

impl Slots {
    /// A session for this conversation; `None` where all are in use.
    pub(super) fn take(&self, messages: &[Message]) -> Option<Taken<'_>> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let (slots, clock) = &mut *table;
        *clock += 1;
        let own = beginnings(messages);
        let shared = |slot: &Slot| slot.beginnings.iter().zip(&own).take_while(|(a, b)| a == b).count();
        let free = (0..slots.len()).filter(|&at| !slots[at].busy);
        // The longest common beginning; among equals the one that was used longest ago. One message alone is the
        // system prompt of every conversation of a client: taking that one would throw its conversation away.
        let at = free.max_by_key(|&at| {
            let slot = &slots[at];
            let goes_on = shared(slot) == slot.beginnings.len() || shared(slot) > 1;
            (if goes_on { shared(slot) } else { 0 }, std::cmp::Reverse(slot.used_at))
        })?;
        slots[at] = Slot { beginnings: own, busy: true, used_at: *clock };
        Some(Taken { slots: self, at })
    }
}

fn beginnings(messages: &[Message]) -> Vec<u64> {
    let mut hasher = DefaultHasher::new();
    let digest = |message: &Message| {
        (message.role, &message.content).hash(&mut hasher);
        hasher.finish()
    };
    messages.iter().map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Role;

    fn talk(words: &[&str]) -> Vec<Message> {
        let role = |at: usize| [Role::System, Role::User, Role::Assistant][if at == 0 { 0 } else { 2 - at % 2 }];
        words.iter().enumerate().map(|(at, word)| Message::new(role(at), *word)).collect()
    }

    #[test]
    fn a_conversation_keeps_its_session_and_others_get_their_own() {
        let slots = Slots::default();
        let first = slots.take(&talk(&["S", "a"])).unwrap().session();
        let second = slots.take(&talk(&["S", "b"])).unwrap().session();
        assert_ne!(first, second);
        assert_eq!(slots.take(&talk(&["S", "a", "A", "more"])).unwrap().session(), first);
        assert_eq!(slots.take(&talk(&["S", "b", "B", "more"])).unwrap().session(), second);
    }

    #[test]
    fn two_requests_at_a_time_never_share_one() {
        let slots = Slots::default();
        let all: Vec<_> = (0..SLOTS_MAX).map(|_| slots.take(&talk(&["S", "a"])).unwrap()).collect();
        let mut sessions: Vec<u32> = all.iter().map(|taken| taken.session().0).collect();
        sessions.sort_unstable();
        sessions.dedup();
        assert_eq!(sessions.len(), SLOTS_MAX);
        assert!(slots.take(&talk(&["S"])).is_none());
        drop(all);
        assert!(slots.take(&talk(&["S"])).is_some());
    }
}
