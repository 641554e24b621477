//! The loop for stand-alone problems, to be read aloud: plan; then each round plays a turn and its attempts
//! decide the next turn, until it is enough.

use super::agreement::agreement;
use super::plan::{Plan, plan};
use super::revise::{Next, next};
use super::round::{Attempt, Turn, play};
use super::sessions::Session;
use super::talk::Talk;
use super::{Agent, Line, choice};
use crate::complexity::budget::fit;
use crate::event::Event;
use crate::prompt::Message;
use crate::prompt::conversation::{self, ReviseContext};
use crate::task::{Budget, Outcome, Task};
use crate::verify;

/// Works on a task as the next turn of a session.
pub(super) async fn standalone(
    agent: &Agent,
    task: &Task,
    session: &mut Session,
    line: &mut Line,
) -> anyhow::Result<Outcome> {
    line.emit(Event::Started { task_id: task.id.clone() }).await;
    let plan = plan(agent, task, line).await?;
    let mut rounds: Vec<Vec<Attempt>> = Vec::new();
    let talk = Talk::open(agent, task, &plan, session, line).await?;
    let mut wish = Wish { tail: Vec::new(), budget: plan.budget, varied: false };
    let outcome = loop {
        let turn = match wish.turn(agent, &plan, &talk, rounds.len() as u32)? {
            Ok(turn) => turn,
            Err(prompt_tokens) => {
                let context = agent.engine.info().context_tokens_max;
                break choice::no_room(&rounds, &plan, prompt_tokens, context);
            }
        };
        rounds.push(play(agent, task, &plan, &turn, line).await?);
        let decision = next(&rounds, &plan);
        if decision == Next::Enough || rounds.len() as u32 > plan.budget.rounds_max || line.cancel.is_cancelled() {
            let agreement = agreement(agent, &plan, &rounds, &line.cancel).await;
            break choice::outcome(&rounds, &plan, agreement.as_ref());
        }
        wish = wish.after(agent, task, &plan, decision)?;
    };
    talk.close(&wish.tail, rounds.last().map_or(&[], Vec::as_slice), &outcome);
    line.emit(Event::Ended { outcome: Box::new(outcome.clone()) }).await;
    Ok(outcome)
}

/// What the next round should do, before it is fitted to the context.
struct Wish {
    /// The turns after the task's own: the attempt before, and what running it showed.
    tail: Vec<Message>,
    budget: Budget,
    varied: bool,
}

impl Wish {
    /// Renders the wish and fits its budget; where there is no room for an answer, the prompt's tokens.
    fn turn(&self, agent: &Agent, plan: &Plan, talk: &Talk<'_>, round: u32) -> anyhow::Result<Result<Turn, u32>> {
        let prompt = agent.render(&talk.messages(&self.tail))?;
        let prompt_tokens = agent.engine.tokenize(&prompt).len() as u32;
        let hint_tokens = agent.engine.count_tokens(&plan.hint) as u32;
        let context = agent.engine.info().context_tokens_max;
        Ok(match fit(self.budget, prompt_tokens, hint_tokens, context) {
            Some(budget) => Ok(Turn { round, prompt, budget, varied: self.varied }),
            None => Err(prompt_tokens),
        })
    }

    fn after(self, agent: &Agent, task: &Task, plan: &Plan, decision: Next) -> anyhow::Result<Self> {
        let opening = conversation::opening(&agent.prompts, plan.context(task))?.len();
        match decision {
            Next::Enough => Ok(self),
            Next::Remind { reply, problem } => {
                let problem = problem.to_string();
                let mut messages = conversation::reminder(&agent.prompts, plan.context(task), &reply, &problem)?;
                Ok(Self { tail: messages.split_off(opening), ..self })
            }
            Next::Revise { why, code, language, verdict, samples, wider } => {
                let feedback = verify::feedback(&verdict);
                let revise = ReviseContext { feedback: &feedback, code: &code, language: Some(language.fence_tag()) };
                let mut messages = conversation::revision(&agent.prompts, plan.context(task), why, revise)?;
                let thinking = self.budget.thinking_tokens_max;
                let thinking_tokens_max = if wider { thinking.saturating_mul(2) } else { thinking };
                let budget = Budget { thinking_tokens_max, samples, ..self.budget };
                Ok(Self { tail: messages.split_off(opening), budget, varied: wider })
            }
        }
    }
}
