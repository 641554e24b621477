//! A task as a turn of its session: the turns before it, its own opening, what was looked at, and what stays of it.
//!
//! Not for: what is gathered for an opening (`project/`), or what is said about an attempt (`kind::Kind`).

use super::attempt::Attempt;
use super::conversation::{Conversation, Cut, Kind};
use super::sessions::Session;
use super::ways::Ways;
use super::{Agent, Plan};
use crate::engine::SessionId;
use crate::prompt::{Message, Role};
use crate::task::Trajectory;

/// The conversation while one task of it runs.
pub(super) struct Talk<'a> {
    conversation: &'a mut Conversation,
    /// Which task of the session this is.
    number: u32,
    converses: bool,
    log: SessionId,
}

/// Prepares the conversation for one more task. A model that does not converse is given each task alone, and so does the
/// paper.
pub(super) fn begin(agent: &Agent, conversation: &mut Conversation) {
    if !converses(agent) {
        *conversation = Conversation::default();
    }
}

fn converses(agent: &Agent) -> bool {
    Ways::of(agent).converses && !agent.settings.paper_exact
}

/// Has the engine keep a session's conversations for the next run of the program: who goes on with it need not wait until
/// they are read again.
pub(super) async fn keep_for_later(agent: &Agent, session: &Session) {
    for (conversation, in_project) in [(&session.conversation, true), (&session.alone, false)] {
        let messages = conversation.messages();
        if messages.is_empty() || !converses(agent) {
            continue;
        }
        if let Ok(prompt) = agent.render(&messages) {
            // What is not kept is read again.
            let _ = agent.engine.keep_session(session.log(in_project), &prompt).await;
        }
    }
}

impl<'a> Talk<'a> {
    pub(super) fn of(agent: &Agent, session: &'a mut Session, in_project: bool) -> Self {
        let (number, log) = (session.turns.len() as u32, session.log(in_project));
        let conversation = if in_project { &mut session.conversation } else { &mut session.alone };
        Self { conversation, number, converses: converses(agent), log }
    }

    /// The engine's token log of this conversation.
    pub(super) const fn log(&self) -> SessionId {
        self.log
    }

    /// Opens the task's turn; `short` is what is left of it when room is needed.
    pub(super) fn open(&mut self, turns: Vec<Message>, short: &str) {
        let first = self.conversation.entries.is_empty();
        for turn in turns {
            match turn.role {
                Role::System if !first => {}
                Role::System => self.conversation.push(Kind::System, self.number, turn.content, ""),
                _ => self.conversation.push(Kind::Opening, self.number, turn.content, short),
            }
        }
    }

    /// Cuts the conversation where the window has no room for an answer after `tail`; says what went.
    pub(super) fn make_room(&mut self, agent: &Agent, plan: &Plan, tail: &[Message]) -> Option<String> {
        let fits = |messages: &[Message]| {
            let all: Vec<Message> = messages.iter().chain(tail).cloned().collect();
            plan.has_room(agent, &all, 0)
        };
        let (cut, how) = self.conversation.compacted(self.number, fits);
        if how == Cut::Whole || cut == *self.conversation {
            return None;
        }
        *self.conversation = cut;
        Some(how.sentence())
    }

    /// Every turn up to this task's own, then `tail`.
    pub(super) fn messages(&self, tail: &[Message]) -> Vec<Message> {
        let mut messages = self.conversation.messages();
        messages.extend_from_slice(tail);
        messages
    }

    /// A command that the model asked for, and what it printed.
    pub(super) fn push_look(&mut self, said: &Trajectory, command: &str, shown: &str) {
        if self.converses {
            self.conversation.push(Kind::Reply, self.number, said.text.as_str(), command);
            self.conversation.push(Kind::Output, self.number, shown, "");
        }
    }

    /// Keeps an attempt: the turns that it answers and its words as they were written, all of which is in the cache.
    pub(super) fn keep<W>(&mut self, attempt: &Attempt<W>, short: &str) {
        for message in &attempt.tail {
            let kind = if message.role == Role::Assistant { Kind::Reply } else { Kind::Output };
            let short = if kind == Kind::Reply { message.content.as_str() } else { "" };
            self.conversation.push(kind, self.number, message.content.as_str(), short);
        }
        let short = if short.trim().is_empty() { attempt.said.answer() } else { short };
        // What was not kept of a reply was never proposed.
        let text = if attempt.is_variant { short } else { attempt.said.text.as_str() };
        self.conversation.push(Kind::Reply, self.number, text, short);
    }

    /// The user's remark about the attempt that was kept last.
    pub(super) fn remark(&mut self, text: String) {
        self.conversation.push(Kind::Output, self.number, text, "");
    }

    /// Forgets the task, which then was never asked.
    pub(super) fn forget(self) {
        self.conversation.forget(self.number);
    }
}
