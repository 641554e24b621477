//! The whole agent against gym problems: what verified candidates and repair add, every token counted.
//!
//! Not for: the model and the window alone (`run.rs`), and problems set in a project.

use tokio::sync::mpsc;

use super::gym::Record;
use super::run::{asserts, passes_all};
use crate::agent::{Agent, Line, Transcript};
use crate::cancel::Cancel;
use crate::event::Event;
use crate::gym::row::Row;
use crate::sandbox::Sandbox;
use crate::task::{Effort, Language, Outcome, Part, Scope, Task};
use crate::verify::VerifyOptions;

/// Events that may wait for the one who counts.
const EVENTS_MAX: usize = 64;

/// Gives every row to the agent as a user would, with its visible examples as checks, and judges the answer by the
/// hidden tests as well, which the agent never sees. Records come in the order of the rows; `progress` is told of each.
///
/// # Errors
/// The agent failed, or walls that stood broke.
pub async fn run(
    agent: &Agent,
    sandbox: &Sandbox,
    rows: &[Row],
    effort: Effort,
    mut progress: impl FnMut(&Record),
) -> anyhow::Result<Vec<Record>> {
    let (cancel, options) = (Cancel::new(), VerifyOptions::default());
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        let (outcome, thought_tokens) = answer(agent, row, effort).await?;
        let (passed, why) = match &outcome.candidate {
            Some(candidate) => passes_all(row, candidate, sandbox, &options, &cancel).await?,
            None => (false, outcome.notes.first().cloned().unwrap_or_else(|| "no program".to_owned())),
        };
        let record = Record {
            id: row.id.clone(),
            family: row.family.name().to_owned(),
            level: row.level,
            passed,
            why,
            thought_tokens,
            usage: outcome.usage,
            shifted: outcome.usage.forced_tokens > 0,
            faith: None,
            text: outcome.answer,
        };
        progress(&record);
        records.push(record);
    }
    Ok(records)
}

/// One task from its words to its outcome, and the tokens before its programs; nothing is kept.
async fn answer(agent: &Agent, row: &Row, effort: Effort) -> anyhow::Result<(Outcome, u32)> {
    let task = Task {
        id: row.id.clone(),
        prompt: row.task.clone(),
        scope: Scope::Standalone,
        checks: asserts(row.visible.iter(), false).to_vec(),
        language: Some(Language::Python),
        effort,
    };
    let (events, mut heard) = mpsc::channel(EVENTS_MAX);
    // The agent waits for ever where commands could still come, and none will.
    let (_commands, silent) = mpsc::channel(1);
    let mut line = Line::new(events, silent, Cancel::new(), Transcript::none());
    let listener = tokio::spawn(async move {
        let mut thought_tokens = 0;
        while let Some(event) = heard.recv().await {
            if let Event::Piece { part: Part::Thinking, tokens, .. } = event {
                thought_tokens += tokens;
            }
        }
        thought_tokens
    });
    let outcome = agent.run(&task, &mut line).await;
    drop(line);
    Ok((outcome?, listener.await?))
}
