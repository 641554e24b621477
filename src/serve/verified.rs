//! `verify: true`: the request as a task of the agent's, with what its answer must pass.
//!
//! The last message of the user's is the task; it stands alone, as tasks with tests do. What the model writes on the way
//! is streamed as thinking, and the answer is the program that held, or the best there was, and says which.
//!
//! Not for: judging (`verify`), or the rounds (`agent`).

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Server;
use super::ask::{Ask, Fault, Kind};
use super::form::{Answer, Ended, Spent};
use super::generate::Stream;
use super::thinking::Wish;
use crate::agent::{Line, Transcript, checks, transcript};
use crate::cancel::Cancel;
use crate::event::{COMMANDS_MAX, EVENTS_MAX, Event};
use crate::prompt::Role;
use crate::prompt::conversation::fenced;
use crate::task::{Candidate, Check, Effort, Outcome, Scope, Status, Task};

/// Cancels a task when the request is given up, however that comes.
struct GivenUp(Cancel);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Works on a request until its answer holds or its rounds are used up.
///
/// # Errors
/// The engine broke, or the client has gone.
pub(super) async fn answer(
    server: &Server,
    ask: &Ask,
    given: &[Check],
    mut stream: Option<&mut Stream>,
) -> Result<Answer, Fault> {
    let task = task(ask, given)?;
    let _turn = server.verifying.lock().await;
    let (events, mut happened) = mpsc::channel(EVENTS_MAX);
    // Nobody can speak to it; the sender lives as long as the task.
    let (_commands, orders) = mpsc::channel(COMMANDS_MAX);
    let cancel = Cancel::new();
    let _given_up = GivenUp(cancel.clone());
    let mut line = Line::new(events, orders, cancel, Transcript::none());
    let work = server.agent.run(&task, &mut line);
    tokio::pin!(work);
    let outcome = loop {
        tokio::select! {
            biased;
            event = happened.recv() => {
                if let (Some(Event::Piece { candidate: 0, text, .. }), Some(stream)) = (event, &mut stream) {
                    let events = stream.form.thought(&text);
                    stream.send(events).await?;
                }
            }
            outcome = &mut work => break outcome,
        }
    };
    let outcome = outcome.map_err(|problem| Fault::new(Kind::Broken, format!("{problem:#}")))?;
    let answer = answered(&outcome);
    if let Some(stream) = stream {
        let events = stream.form.text(&answer.text);
        stream.send(events).await?;
    }
    Ok(answer)
}

fn task(ask: &Ask, given: &[Check]) -> Result<Task, Fault> {
    let last =
        ask.messages.iter().rev().find(|message| message.role == Role::User && !message.content.trim().is_empty());
    let last = last.ok_or_else(|| Fault::field("messages", "there is no task: no message of role `user`"))?;
    let stated = checks::stated(&last.content);
    let mut checks = stated.checks;
    checks.extend(given.iter().cloned());
    let language = stated.language.or_else(|| checks::wanted(&checks, None).language);
    let effort = match ask.thinking {
        Wish::Unsaid => Effort::Auto,
        Wish::Off => Effort::Window(0),
        Wish::Tokens(tokens) => Effort::Window(tokens),
        Wish::Free => Effort::Deep,
    };
    let (id, prompt) = (transcript::new_id(), last.content.clone());
    Ok(Task { id, prompt, scope: Scope::Standalone, checks, language, effort })
}

fn answered(outcome: &Outcome) -> Answer {
    let text = match &outcome.candidate {
        Some(Candidate::Program { language, source }) => fenced(source, Some(language.fence_tag())),
        _ => outcome.answer.clone(),
    };
    let usage = outcome.usage;
    Answer {
        thought: String::new(),
        text,
        calls: Vec::new(),
        ended: if outcome.status == Status::LimitReached { Ended::Limit } else { Ended::Turn },
        spent: Spent {
            prompt_tokens: usage.prompt_tokens,
            reused_tokens: usage.reused_tokens,
            generated_tokens: usage.generated_tokens(),
            thinking_tokens: usage.thinking_tokens,
        },
        verified: Some(verdict(outcome)),
    }
}

fn verdict(outcome: &Outcome) -> Value {
    json!({
        "status": outcome.status, "verdict": outcome.verdict, "rounds": outcome.rounds, "notes": outcome.notes,
    })
}
