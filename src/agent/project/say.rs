//! One generation: the conversation fitted to the window, streamed out, continued where a limit cut it.
//!
//! Not for: reading the reply.

use super::race::Race;
use crate::agent::round::{Turn, request};
use crate::agent::{Agent, Line, Plan};
use crate::complexity::budget::{ANSWER_TOKENS_MIN, fit};
use crate::engine::{EngineEvent, GenerateRequest, Generation, Sampling, Steer, WindowSpec};
use crate::event::{Command, Event};
use crate::prompt::{Message, Segment};
use crate::task::{Budget, Finish, Part, Trajectory};

/// A reply that a limit cut is continued this often.
const CONTINUATIONS_MAX: u32 = 3;

/// What a generation is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) round: u32,
    pub(super) budget: Budget,
    /// Candidates should differ from each other and from earlier ones.
    pub(super) varied: bool,
}

/// Generates replies to these turns. `None` where there is no room for an answer.
///
/// # Errors
/// Where the engine broke.
pub(super) async fn say(
    agent: &Agent,
    plan: &Plan,
    messages: &[Message],
    ask: Ask,
    race: &mut Race<'_>,
    line: &mut Line,
) -> anyhow::Result<Option<Vec<Trajectory>>> {
    let prompt = agent.render(messages)?;
    let prompt_tokens = agent.engine.tokenize(&prompt).len() as u32;
    let hint_tokens = agent.engine.count_tokens(&plan.hint) as u32;
    let Some(budget) = fit(ask.budget, prompt_tokens, hint_tokens, agent.engine.info().context_tokens_max) else {
        return Ok(None);
    };
    line.drain();
    line.emit(Event::Round { round: ask.round, candidates: budget.samples }).await;
    let turn = Turn { round: ask.round, prompt, budget, varied: ask.varied };
    let first = request(agent, plan, &turn, budget.samples);
    let mut trajectories = stream(agent.engine.generate(first.clone()), None, race, line).await?;
    for (candidate, said) in (0_u32..).zip(&mut trajectories) {
        for _ in 0..CONTINUATIONS_MAX {
            let cut = said.finish == Finish::AnswerLimit && !race.is_won() && !line.cancel.is_cancelled();
            let next = cut.then(|| continuation(agent, &first, said)).flatten();
            let Some(next) = next else { break };
            line.emit(Event::Step { text: "the reply was cut by its limit and goes on".to_owned() }).await;
            let more = stream(agent.engine.generate(next), Some(candidate), race, line).await?;
            let Some(more) = more.into_iter().next() else { break };
            *said = joined(said, &more);
        }
    }
    for (candidate, trajectory) in (0..).zip(&trajectories) {
        line.transcript.trajectory(candidate, trajectory, 0.0);
    }
    Ok(Some(trajectories))
}

/// The request that goes on where a reply was cut; `None` where the context is full.
fn continuation(agent: &Agent, first: &GenerateRequest, said: &Trajectory) -> Option<GenerateRequest> {
    let mut prompt = first.prompt.clone();
    prompt.segments.push(Segment { text: said.text.clone(), special: false, learn: false });
    let used = agent.engine.tokenize(&prompt).len() as u32;
    let room = agent.engine.info().context_tokens_max.saturating_sub(used);
    (room >= ANSWER_TOKENS_MIN).then(|| GenerateRequest {
        prompt,
        // Nothing to think about any more, and no hint: the same answer goes on.
        window: WindowSpec { thinking_tokens_max: 0, hint: String::new(), ..first.window.clone() },
        thinking_sampling: Sampling::GREEDY,
        answer_sampling: Sampling::GREEDY,
        candidates: 1,
        ..first.clone()
    })
}

fn joined(said: &Trajectory, more: &Trajectory) -> Trajectory {
    let mut whole = said.clone();
    whole.text.push_str(&more.text);
    whole.finish = more.finish;
    whole.usage.answer_tokens += more.usage.thinking_tokens + more.usage.answer_tokens;
    whole
}

/// Until the generation ends: pieces out, commands in, verdicts in between. A continuation is shown as more of the
/// answer of the candidate that is `continued`.
async fn stream(
    mut generation: Generation,
    continued: Option<u32>,
    race: &mut Race<'_>,
    line: &mut Line,
) -> anyhow::Result<Vec<Trajectory>> {
    let cancel = line.cancel.clone();
    let mut cancelled = false;
    let mut done: Vec<(u32, Trajectory)> = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                generation.cancel();
                race.give_up();
            }
            Some(judged) = race.next() => {
                if race.take(judged, line).await {
                    generation.steer(Steer::StopAll);
                }
            }
            command = line.command() => match command {
                Command::AnswerNow => generation.steer(Steer::AnswerNow),
                Command::ThinkMore { tokens } => generation.steer(Steer::ThinkMore(tokens)),
                Command::Cancel => cancel.cancel(),
                Command::Decide { .. } | Command::Answer { .. } => {}
            },
            event = generation.next() => match event.transpose()? {
                None => break,
                Some(EngineEvent::Prefill { .. } | EngineEvent::Shifted { .. }) if continued.is_some() => {}
                Some(EngineEvent::Prefill { done, total, reused }) => line.emit(Event::Prefill { done, total, reused }).await,
                Some(EngineEvent::Piece { text, .. }) if continued.is_some() && text.is_empty() => {}
                Some(EngineEvent::Piece { candidate, part, text, forced, tokens }) => {
                    let (candidate, part) = continued.map_or((candidate, part), |candidate| (candidate, Part::Answer));
                    line.emit(Event::Piece { candidate, part, text, forced, tokens }).await;
                }
                Some(EngineEvent::Shifted { candidate, why, thinking_tokens }) => {
                    line.emit(Event::Shifted { candidate, why, thinking_tokens }).await;
                }
                Some(EngineEvent::Finished { candidate, trajectory, tokens_per_second, .. }) => {
                    if continued.is_none() {
                        line.emit(Event::Finished { candidate, tokens_per_second }).await;
                        race.finished(candidate, &trajectory, line).await;
                    }
                    done.push((candidate, trajectory));
                }
            },
        }
    }
    done.sort_by_key(|(candidate, _)| *candidate);
    Ok(done.into_iter().map(|(_, trajectory)| trajectory).collect())
}
