//! A stand-alone task as a turn of its session: the turns before it, its own opening, and what stays of it.
//!
//! Not for: tasks in a project (`project/`), which gather context for their opening.

use super::conversation::{Conversation, Cut, Kind};
use super::round::Attempt;
use super::sessions::Session;
use super::{Agent, Line, Plan};
use crate::event::Event;
use crate::prompt::conversation::opening;
use crate::prompt::{Message, Role};
use crate::task::{Candidate, Outcome, Status, Task};

/// The conversation while one task of it runs.
pub(super) struct Talk<'a> {
    conversation: &'a mut Conversation,
    /// Which task of the session this is.
    number: u32,
}

impl<'a> Talk<'a> {
    /// Opens the task's turn, and makes room for it where the window has none.
    ///
    /// # Errors
    /// A prompt file that names an unknown variable.
    pub(super) async fn open(
        agent: &Agent,
        task: &Task,
        plan: &Plan,
        session: &'a mut Session,
        line: &mut Line,
    ) -> anyhow::Result<Self> {
        let number = session.turns.len() as u32;
        let conversation = &mut session.alone;
        // The paper measures single tasks.
        if !agent.traits().remembers || agent.settings.paper_exact {
            *conversation = Conversation::default();
        }
        let first = conversation.entries.is_empty();
        for turn in opening(&agent.prompts, plan.context(task))? {
            match turn.role {
                Role::System if !first => {}
                Role::System => conversation.push(Kind::System, number, turn.content, ""),
                _ => conversation.push(Kind::Opening, number, turn.content, task.prompt.as_str()),
            }
        }
        let (cut, how) = conversation.compacted(number, |messages| plan.has_room(agent, messages, 0));
        if how != Cut::Whole && cut != *conversation {
            *conversation = cut;
            line.emit(Event::Step { text: how.sentence() }).await;
        }
        Ok(Self { conversation, number })
    }

    /// Every turn up to this task's own, then `tail`.
    pub(super) fn messages(&self, tail: &[Message]) -> Vec<Message> {
        let mut messages = self.conversation.messages();
        messages.extend_from_slice(tail);
        messages
    }

    /// Keeps what the last round said, as it was written: all of it is in the cache already.
    pub(super) fn close(self, tail: &[Message], last: &[Attempt], outcome: &Outcome) {
        let passed = |attempt: &&Attempt| attempt.verdict.as_ref().is_some_and(crate::task::Verdict::passed);
        let reply = last.iter().find(passed).or_else(|| last.first());
        let Some(reply) = reply.filter(|_| outcome.status != Status::Cancelled) else {
            return self.conversation.forget(self.number);
        };
        for message in tail {
            let kind = if message.role == Role::Assistant { Kind::Reply } else { Kind::Output };
            self.conversation.push(kind, self.number, message.content.as_str(), message.content.as_str());
        }
        let short = match &outcome.candidate {
            Some(Candidate::Program { language, source }) => {
                crate::prompt::conversation::fenced(source, Some(language.fence_tag()))
            }
            _ => reply.trajectory.answer().to_owned(),
        };
        self.conversation.push(Kind::Reply, self.number, reply.trajectory.text.as_str(), short);
    }
}
