//! The whole agent against gym problems: what verified candidates and repair add, every token counted.
//!
//! Not for: the model and the window alone (`run.rs`), and problems set in a project.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::gym::{Record, before_answer};
use super::run::{asserts, passes_all};
use crate::agent::{Agent, Line, Transcript};
use crate::cancel::Cancel;
use crate::event::Event;
use crate::gym::row::Row;
use crate::sandbox::Sandbox;
use crate::task::{Effort, Language, Outcome, Part, Scope, Task};
use crate::verify::VerifyOptions;

/// Events that may wait for the one who listens.
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
        let (outcome, thoughts) = answer(agent, row, effort).await?;
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
            thought_tokens: thoughts.iter().map(|text| agent.engine.count_tokens(before_answer(text)) as u32).sum(),
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

/// One task from its words to its outcome, and what every candidate wrote before its shift or its end; nothing is kept.
async fn answer(agent: &Agent, row: &Row, effort: Effort) -> anyhow::Result<(Outcome, Vec<String>)> {
    let task = Task {
        id: row.id.clone(),
        prompt: row.task.clone(),
        scope: Scope::Standalone,
        checks: asserts(row.visible.iter(), false).to_vec(),
        language: Some(Language::Python),
        effort,
    };
    listened(agent, &task, Cancel::new()).await
}

/// Gives the agent one task and hears what every candidate wrote before its shift or its end.
///
/// # Errors
/// The agent failed.
pub(super) async fn listened(agent: &Agent, task: &Task, cancel: Cancel) -> anyhow::Result<(Outcome, Vec<String>)> {
    let (events, mut heard) = mpsc::channel(EVENTS_MAX);
    // The agent waits for ever where commands could still come, and none will.
    let (_commands, silent) = mpsc::channel(1);
    let mut line = Line::new(events, silent, cancel, Transcript::none());
    let listener = tokio::spawn(async move {
        let (mut under_way, mut ended) = (BTreeMap::<u32, String>::new(), Vec::new());
        while let Some(event) = heard.recv().await {
            match event {
                Event::Piece { candidate, part: Part::Thinking, text, .. } => {
                    under_way.entry(candidate).or_default().push_str(&text);
                }
                // What a reply was begun with: nothing before it was thought.
                Event::Piece { candidate, part: Part::Answer, text, forced: true, .. } => {
                    under_way.entry(candidate).or_insert(text);
                }
                // The next round numbers its candidates from nought again.
                Event::Finished { candidate, .. } => ended.extend(under_way.remove(&candidate)),
                _ => {}
            }
        }
        ended.extend(under_way.into_values());
        ended
    });
    let outcome = agent.run(task, &mut line).await;
    drop(line);
    Ok((outcome?, listener.await?))
}
