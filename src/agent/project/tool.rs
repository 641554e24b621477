//! Tools of other programs in the explore step: which are offered, who says yes to a call, what came back.
//!
//! A tool that the user's rules allow is called; any other is asked for at each call, also where its server says that it
//! only reads. Where nobody can be asked only what the rules allow is offered.
//!
//! Not for: speaking to servers (`mcp`).

use std::path::Path;

use serde::Serialize;

use crate::agent::{Agent, Consent, Line};
use crate::event::Event;
use crate::mcp::{self, Call, Place, Reach, Word};
use crate::sandbox::text::clean;
use crate::traits::Share;

/// What is told of tools, in the window.
const TOLD: Share = Share { of_context: 1.0 / 16.0, tokens_max: 1024 };
/// Arguments are shown up to so many characters before somebody is asked.
const ARGUMENTS_CHARS_MAX: usize = 2_000;
/// Permissions are numbered from here within a task: other questions have lower numbers.
pub(super) const FIRST_ID: u64 = 1 << 12;

/// What `project_tools.md` may name.
#[derive(Serialize)]
pub(super) struct Words<'a> {
    pub(super) tools: &'a str,
}

/// The servers of one task.
#[derive(Debug)]
pub(super) struct Tools {
    running: mcp::Tools,
    reach: Reach,
    session: String,
    next_id: u64,
}

/// The user's word on a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Once,
    Always,
    No,
}

fn answer_of(text: &str) -> Answer {
    match text.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Answer::Once,
        "a" | "always" => Answer::Always,
        _ => Answer::No,
    }
}

impl Tools {
    /// Starts the servers for a task in this project; they and what the model is told of their tools. `None` where there
    /// is nothing to offer. `(session, id)`: what permissions are remembered for and numbered from.
    pub(super) async fn start(
        agent: &Agent,
        root: &Path,
        (session, id): (&str, u64),
        line: &mut Line,
    ) -> Option<(Self, String)> {
        if agent.tools.is_empty() {
            return None;
        }
        line.emit(Event::Step { text: "starting the tool servers".to_owned() }).await;
        let place = Place { root, min_tier: agent.settings.min_tier };
        let (running, warnings) = agent.tools.start(place, &line.cancel).await;
        for text in warnings {
            line.emit(Event::Warning { text }).await;
        }
        let asks = agent.settings.project.asks || agent.settings.project.consent == Consent::Ask;
        let reach = if asks { Reach::Asked } else { Reach::Allowed };
        let tokens_max = TOLD.tokens(agent.engine.info().context_tokens_max);
        let told = running.told(reach, tokens_max, &|text| agent.engine.count_tokens(text));
        line.emit(Event::Step { text: told.report() }).await;
        (told.offered > 0).then(|| (Self { running, reach, session: session.to_owned(), next_id: id }, told.text))
    }

    /// Whether a command is meant for a tool.
    pub(super) fn is_for(&self, command: &str) -> bool {
        self.running.is_meant(command, self.reach)
    }

    /// Calls the tool that a command names, where that is allowed: how it ended, and what it gave.
    pub(super) async fn take(&mut self, agent: &Agent, command: &str, line: &mut Line) -> (String, String) {
        let call = match self.running.find(command, self.reach) {
            Ok(call) => call,
            Err(why) => return ("an error".to_owned(), why),
        };
        if !self.may(agent, &call, line).await {
            return ("no result".to_owned(), "The user did not allow this call.".to_owned());
        }
        let called = self.running.call(&call, &line.cancel).await;
        if called.failed {
            let first = called.text.lines().next().unwrap_or_default();
            line.emit(Event::Step { text: format!("the tool {} failed: {first}", call.tool) }).await;
        }
        (if called.failed { "an error" } else { "no error" }.to_owned(), called.text)
    }

    async fn may(&mut self, agent: &Agent, call: &Call, line: &mut Line) -> bool {
        if call.word == Word::Allowed || agent.tools.is_permitted(&self.session, call) {
            return true;
        }
        if self.reach == Reach::Allowed || call.word == Word::Hidden {
            return false;
        }
        self.next_id += 1;
        let title = format!("mcp {} {}", call.server, call.tool);
        line.emit(Event::Permission { id: self.next_id, title, text: question(call) }).await;
        match line.answer(self.next_id).await.as_deref().map(answer_of) {
            Some(Answer::Always) => {
                agent.tools.permit(&self.session, call);
                true
            }
            Some(Answer::Once) => true,
            Some(Answer::No) | None => false,
        }
    }
}

fn question(call: &Call) -> String {
    let arguments = clean(&serde_json::Value::Object(call.arguments.clone()).to_string());
    let mut shown: String = arguments.chars().take(ARGUMENTS_CHARS_MAX).collect();
    if shown.len() < arguments.len() {
        shown.push_str(" … (cut here)");
    }
    let says = if call.read_only { "; the server says that it only reads" } else { "" };
    format!("Call the tool {} of {} with {shown}{says}?", call.tool, call.server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (text, answer) in [
            ("y", Answer::Once),
            (" Yes\n", Answer::Once),
            ("always", Answer::Always),
            ("a", Answer::Always),
            ("", Answer::No),
            ("yes, but not now", Answer::No),
            ("no", Answer::No),
        ] {
            assert_eq!(answer_of(text), answer, "{text:?}");
        }
    }

    #[test]
    fn a_question_shows_the_arguments_without_what_hides_them() {
        let mut arguments = serde_json::Map::new();
        arguments.insert("q".into(), "a\u{202e}b".into());
        let call = Call { server: "s".into(), tool: "t".into(), arguments, word: Word::Asked, read_only: true };
        assert_eq!(question(&call), "Call the tool t of s with {\"q\":\"ab\"}; the server says that it only reads?");
    }
}
