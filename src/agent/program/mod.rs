//! A program of its own as a kind of task: read from the reply's fences, judged by the task's own checks, or, where it
//! states none, by running it at all.
//!
//! Not for: changes in a project (`project/`), or the loop (`search.rs`).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::attempt::{Attempt, Reply, crashed};
use super::intent::Intent;
use super::kind::{Kind, Over};
use super::search::{End, Search, With};
use super::sessions::Session;
use super::talk::{self, Talk};
use super::{Agent, BoxFuture, Line, Plan, Transcript, plan, stub};
use crate::cancel::Cancel;
use crate::event::Event;
use crate::prompt::Message;
use crate::prompt::conversation::{self, ReviseContext, Revision, opening};
use crate::reply::program::program_in;
use crate::reply::{Fence, FormatProblem, fence, program};
use crate::task::{Candidate, Check, Finish, Language, Outcome, Status, Task, Trajectory, Verdict};
use crate::verify;

mod agreement;
mod choice;

/// Works on a task as the next turn of a session.
pub(super) async fn run(agent: &Agent, task: &Task, session: &mut Session, line: &mut Line) -> anyhow::Result<Outcome> {
    line.emit(Event::Started { task_id: task.id.clone() }).await;
    let plan = plan::plan(agent, task, line).await?;
    let with = With { agent, plan: &plan };
    let mut kind = Programs { agent, task, plan: &plan, checks: task.checks.clone().into() };
    talk::begin(agent, &mut session.alone);
    let mut talk = Talk::of(agent, session, false);
    talk.open(opening(&agent.prompts, plan.context(task))?, &task.prompt);
    let mut search = Search::new(&plan.budget);
    line.emit(Event::Step { text: format!("planned: {}", search.purse.plan()) }).await;
    let end = search.run(with, &mut kind, &mut talk, line).await?;
    let agreement = agreement::agreement(agent, &plan, &search.attempts, &line.cancel).await;
    let mut outcome = choice::outcome(&search, &plan, agreement.as_ref(), line.cancel.is_cancelled());
    match end {
        End::Enough => {}
        End::NoRoom(prompt_tokens) => {
            let context = agent.engine.info().context_tokens_max;
            choice::without_room(&mut outcome, prompt_tokens, context);
        }
        End::Spent => outcome.notes.push(format!("ended at what the task may cost: {}", search.purse.spent())),
    }
    match search.best().or(search.attempts.last()).filter(|_| outcome.status != Status::Cancelled) {
        Some(kept) => talk.keep(kept, &short(&outcome, kept)),
        None => talk.forget(),
    }
    line.emit(Event::Ended { outcome: Box::new(outcome.clone()) }).await;
    Ok(outcome)
}

/// What is left of the answer in the conversation when room is needed.
fn short(outcome: &Outcome, kept: &Attempt<Candidate>) -> String {
    match &outcome.candidate {
        Some(Candidate::Program { language, source }) => conversation::fenced(source, Some(language.fence_tag())),
        _ => kept.said.answer().to_owned(),
    }
}

struct Programs<'a> {
    agent: &'a Agent,
    task: &'a Task,
    plan: &'a Plan,
    checks: Arc<[Check]>,
}

impl Programs<'_> {
    fn intent(&self) -> &Intent {
        &self.plan.intent
    }

    /// A candidate with the imports that a reply begun behind them could not write.
    fn completed(&self, candidate: Candidate) -> Candidate {
        match candidate {
            Candidate::Program { language: Language::Python, source } if stub::begins(&self.plan.prefix) => {
                Candidate::Program { language: Language::Python, source: stub::with_imports(&source) }
            }
            other => other,
        }
    }

    /// Whether blocks belong together though they are of several languages, one of which nothing here runs: a page with
    /// its style and its script, a program with its settings. Then none of them alone is the answer.
    fn is_a_page(&self, blocks: &[Fence]) -> bool {
        let tags: BTreeSet<&str> = blocks
            .iter()
            .filter(|block| block.language() != Some(Language::Shell) && !block.info.is_empty())
            .filter(|block| !["text", "txt", "output", "console", "plaintext"].contains(&block.info.as_str()))
            .map(|block| block.info.as_str())
            .collect();
        let foreign = blocks.iter().any(|block| tags.contains(block.info.as_str()) && block.language().is_none());
        self.checks.is_empty() && self.task.language.is_none() && tags.len() > 1 && foreign
    }
}

impl Kind for Programs<'_> {
    type What = Candidate;

    const IN_PROJECT: bool = false;

    fn read(&self, said: &Trajectory, _on: Option<&Candidate>) -> Reply<Candidate> {
        let words = || Reply::Words(answer_of(said).trim().to_owned());
        if self.intent().is_question() && !said.text.trim().is_empty() {
            return words();
        }
        if self.is_a_page(&fence::fences(answer_of(said))) {
            return words();
        }
        match program(said, &self.plan.wanted) {
            Ok(candidate) => Reply::Candidate(self.completed(candidate)),
            // HTML, SQL, YAML, a page of three languages: an answer, though nothing here runs it.
            Err(FormatProblem::NoCode | FormatProblem::SeveralLanguages { .. })
                if self.checks.is_empty() && self.task.language.is_none() && has_fence(answer_of(said)) =>
            {
                Reply::Words(other_code(answer_of(said)))
            }
            Err(FormatProblem::NoCode) if self.checks.is_empty() && !self.plan.code => words(),
            Err(problem) => Reply::Unusable(problem.to_string()),
        }
    }

    fn early(&self, closed: &[Fence]) -> Option<Candidate> {
        if self.intent().is_question() || self.is_a_page(closed) {
            return None;
        }
        program_in(closed, &self.plan.wanted).map(|candidate| self.completed(candidate))
    }

    fn may_be_over(&self, _reply: &str, closed: &[Fence]) -> Over {
        match self.early(closed) {
            Some(_) if !self.plan.prefix.is_empty() || !self.plan.ends_with.is_empty() => Over::Yes,
            // A page comes as HTML, CSS and JavaScript; the first fence may be a step on the way. One that passes ends the reply.
            Some(_) => Over::Perhaps,
            None => Over::No,
        }
    }

    fn words_do(&self) -> bool {
        true
    }

    fn unjudged(&self) -> Option<Verdict> {
        None
    }

    fn trial(&self, what: &Candidate, cancel: Cancel) -> BoxFuture<'static, Verdict> {
        let (judge, checks) = (Arc::clone(&self.agent.judge), Arc::clone(&self.checks));
        let (options, what) = (self.plan.options.clone(), what.clone());
        Box::pin(async move {
            if checks.is_empty() {
                judge.smoke(&what, &options, &cancel).await
            } else {
                judge.verify(&what, &checks, &options, &cancel).await
            }
        })
    }

    fn check(&self) -> String {
        if self.checks.is_empty() { "whether it runs at all".to_owned() } else { describe(&self.checks) }
    }

    fn record(&self, transcript: &mut Transcript, candidate: u32, what: &Candidate, verdict: &Verdict) {
        transcript.verdict(candidate, what, verdict);
    }

    fn mend(&self, of: &Attempt<Candidate>) -> anyhow::Result<Vec<Message>> {
        let (prompts, context) = (&self.agent.prompts, self.plan.context(self.task));
        let opening = opening(prompts, context)?.len();
        let (Some(Candidate::Program { language, source }), Some(verdict)) = (of.candidate(), &of.verdict) else {
            return Ok(Vec::new());
        };
        let why = if crashed(verdict) { Revision::Crash } else { Revision::Wrong };
        let feedback = verify::feedback(verdict);
        let revise = ReviseContext { feedback: &feedback, code: source, language: Some(language.fence_tag()) };
        Ok(conversation::revision(prompts, context, why, revise)?.split_off(opening))
    }

    fn remind(&self, of: &Attempt<Candidate>, why: &str) -> anyhow::Result<Vec<Message>> {
        let (prompts, context) = (&self.agent.prompts, self.plan.context(self.task));
        let opening = opening(prompts, context)?.len();
        Ok(conversation::reminder(prompts, context, of.said.answer(), why)?.split_off(opening))
    }

    async fn look(&mut self, _command: &str, _line: &mut Line) -> anyhow::Result<Option<String>> {
        Ok(None)
    }
}

/// The part of a reply that counts: after the hint where the window shifted, else all of it.
fn answer_of(said: &Trajectory) -> &str {
    if said.shifted.is_some() { said.answer() } else { &said.text }
}

fn has_fence(text: &str) -> bool {
    fence::fences(text).iter().any(|fence| !fence.body.trim().is_empty())
}

/// The one block of a reply, or the reply as it stands where it has several.
fn other_code(text: &str) -> String {
    let found = fence::fences(text);
    match found.as_slice() {
        [one] if !one.body.trim().is_empty() => one.body.clone(),
        _ => text.trim().to_owned(),
    }
}

/// Whether a reply was cut by a limit.
const fn cut(said: &Trajectory) -> bool {
    matches!(said.finish, Finish::AnswerLimit | Finish::ContextFull | Finish::Loop)
}

/// What is run, in words.
fn describe(checks: &[Check]) -> String {
    let part = |check: &Check| match check {
        Check::Asserts { .. } => "the task's examples".to_owned(),
        Check::Stdio { cases, .. } => format!("{} sample inputs", cases.len()),
        Check::TestSource { .. } => "the tests".to_owned(),
        Check::Command { command } => command.clone(),
    };
    checks.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_of_any_language_is_the_answer_and_several_are_the_reply() {
        let page = "Here:\n\n```html\n<p>hi</p>\n```\n";
        assert_eq!(other_code(page), "<p>hi</p>\n");
        let several = format!("{page}and\n```css\np {{ color: red }}\n```\n");
        assert_eq!(other_code(&several), several.trim());
        assert!(has_fence(page) && !has_fence("no code"));
    }
}
