//! The loop for a task in a project: look at its check, gather, think, change, judge, propose, write.
//!
//! ```text
//! check before ─► gather ─► fit into the window ─► reply ─► plan ─► judge ─► proposal ─► one undoable step
//!                                                    ▲         │       │         │
//!                                                    └─────────┴───────┴─────────┘ what was wrong (bounded)
//! ```
//!
//! The harness holds the reins: a small model fills slots. Nothing touches the project before the user's word. Not
//! for: stand-alone programs (`agent/run.rs`), judging (`verify`), writing (`workspace`).

use std::path::Path;

use super::conversation::{Conversation, Cut, Kind};
use super::sessions::Session;
use super::{Agent, Line, Plan, plan};
use crate::event::Event;
use crate::prompt::{Message, Role};
use crate::task::{Outcome, Task, Trajectory, Verdict};
use crate::verify;
use crate::workspace::plan::Plan as Patch;
use crate::workspace::tree::Tree;
use gather::{Gathered, Search, gather};

mod attempt;
mod check;
mod context;
mod gather;
mod grep;
mod look;
mod outcome;
mod propose;
mod race;
mod rounds;
mod say;
mod scope;
mod settle;
mod words;

pub use check::{remember, remembered};
pub use scope::{is_standalone, root_of};

/// Revisions after the first attempt, whatever the budget says.
const ROUNDS_MAX: u32 = 3;

/// Works on a task in the project at `root`, as the next turn of a session.
///
/// # Errors
/// Where the engine broke, a prompt file is wrong, or the root is no folder.
pub(super) async fn run(
    agent: &Agent,
    task: &Task,
    root: &Path,
    session: &mut Session,
    line: &mut Line,
) -> anyhow::Result<Outcome> {
    line.emit(Event::Started { task_id: task.id.clone() }).await;
    let tree = Tree::open(root)?;
    if session.root.as_deref().is_some_and(|other| other != tree.root()) {
        // Another project's conversation says nothing about this one.
        *session = Session::new(None);
    }
    session.root = Some(tree.root().to_owned());
    let mut work = Work::begin(agent, task, &tree, session, line).await?;
    let outcome = if work.passes_already() {
        work.outcome_of_nothing()
    } else {
        work.open().await?;
        work.rounds().await?
    };
    work.line.emit(Event::Ended { outcome: Box::new(outcome.clone()) }).await;
    Ok(outcome)
}

/// One attempt that can be judged.
#[derive(Clone, Debug)]
struct Attempt {
    patch: Patch,
    verdict: Verdict,
}

/// A task under way.
struct Work<'a> {
    agent: &'a Agent,
    task: &'a Task,
    tree: &'a Tree,
    session: &'a mut Session,
    line: &'a mut Line,
    plan: Plan,
    question: bool,
    check: Option<String>,
    /// What the check said before any change.
    before: Option<Verdict>,
    /// The session's turn that this task is.
    number: u32,
    /// Every generation, for the sum of what it cost.
    said: Vec<Vec<Trajectory>>,
    attempts: Vec<Attempt>,
    /// Attempts before this one were turned down by the user.
    turned_down: usize,
    notes: Vec<String>,
}

impl<'a> Work<'a> {
    async fn begin(
        agent: &'a Agent,
        task: &'a Task,
        tree: &'a Tree,
        session: &'a mut Session,
        line: &'a mut Line,
    ) -> anyhow::Result<Self> {
        let mut plan = plan::plan(agent, task, line).await?;
        // The answer begins with a path and not with code.
        plan.hint = plan::bare_hint(agent)?;
        plan.budget.rounds_max = plan.budget.rounds_max.min(ROUNDS_MAX);
        let number = session.turns.len() as u32;
        if !agent.traits().remembers {
            session.conversation = Conversation::default();
        }
        let question = words::is_question(&task.prompt);
        let mut work = Work {
            agent,
            task,
            tree,
            session,
            line,
            plan,
            question,
            check: None,
            before: None,
            number,
            said: Vec::new(),
            attempts: Vec::new(),
            turned_down: 0,
            notes: Vec::new(),
        };
        work.look_at_check().await;
        Ok(work)
    }

    async fn look_at_check(&mut self) {
        if self.question {
            return;
        }
        let Some(command) = self.command().await else { return };
        self.check = Some(command.clone());
        let before = check::before(self.agent, self.tree.root(), &command, self.line).await;
        if !matches!(before, Verdict::Passed(_) | Verdict::Failed(_)) {
            self.check = None;
        }
        self.before = Some(before);
    }

    /// The command that tests the project; the user is asked where nobody has said anything yet.
    async fn command(&mut self) -> Option<String> {
        let settings = &self.agent.settings.project;
        match check::known(self.task, &settings.state, self.tree.root()) {
            check::Known::Command(command, from) => {
                self.line.emit(Event::Step { text: format!("check: `{command}` ({from})") }).await;
                Some(command)
            }
            check::Known::Unknown if settings.asks => self.ask_for_command().await,
            check::Known::Unknown => {
                self.notes.push(
                    "nothing is tested: the project has no known test command (give one with --check; it is remembered)"
                        .to_owned(),
                );
                None
            }
            check::Known::None => {
                self.notes.push(
                    "nothing is tested: the project has no test command, as you said (--check or /check changes that)"
                        .to_owned(),
                );
                None
            }
        }
    }

    /// Asked once for a project: the answer is remembered, also that there is none.
    async fn ask_for_command(&mut self) -> Option<String> {
        let id = u64::from(self.number) << 16;
        let text = "Which command runs this project's tests? It is remembered; enter alone: there is none".to_owned();
        self.line.emit(Event::Question { id, text }).await;
        let answer = self.line.answer(id).await?.trim().to_owned();
        let state = &self.agent.settings.project.state;
        if let Err(problem) = check::remember(state, self.tree.root(), Some(&answer)) {
            self.notes.push(format!("the test command could not be remembered: {problem}"));
        }
        if answer.is_empty() {
            self.notes.push("nothing is tested: the project has no test command (/check changes that)".to_owned());
            return None;
        }
        self.line.emit(Event::Step { text: format!("check: `{answer}` (asked, and remembered)") }).await;
        Some(answer)
    }

    /// The tests were to pass, and they do.
    fn passes_already(&self) -> bool {
        self.before.as_ref().is_some_and(Verdict::passed) && words::is_about_tests(&self.task.prompt)
    }

    fn failing(&self) -> Option<&Verdict> {
        self.before.as_ref().filter(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// Gathers, fits, and opens the task's turn in the conversation.
    async fn open(&mut self) -> anyhow::Result<()> {
        self.forget_unanswered();
        if let Some(text) = self.make_room_for_files() {
            self.line.emit(Event::Step { text }).await;
        }
        let gathered = self.gather().await?;
        let failure = self.failing().map(verify::feedback).unwrap_or_default();
        let engine = &self.agent.engine;
        let frame = context::Frame {
            traits: self.agent.traits(),
            context_tokens_max: engine.info().context_tokens_max,
            count: &|text| engine.count_tokens(text),
            shown: &self.session.shown,
            first: self.session.conversation.entries.is_empty(),
        };
        let fitted = context::fit(&gathered, self.tree, &failure, self.check.as_deref(), &frame);
        let mut turns = context::messages(&self.agent.prompts, &self.task.prompt, &fitted)?;
        let mut bare = context::Context { files: Vec::new(), mentions: None, failure: None, ..fitted.clone() };
        bare.check = None;
        let short = context::messages(&self.agent.prompts, &self.task.prompt, &bare)?.pop();
        if self.question && self.agent.traits().looks {
            let invitation = self.agent.prompts.render("project_explore", ())?;
            if let Some(last) = turns.last_mut() {
                last.content = format!("{}\n\n{invitation}", last.content.trim_end());
            }
        }
        for turn in turns {
            let short = short.as_ref().map_or("", |message| message.content.as_str());
            match turn.role {
                Role::System if !frame.first => {}
                Role::System => self.session.conversation.push(Kind::System, self.number, turn.content, ""),
                _ => self.session.conversation.push(Kind::Opening, self.number, turn.content, short),
            }
        }
        self.session.shown.extend(fitted.digests);
        let mut report = gathered.notes;
        report.extend(fitted.report);
        self.line.emit(Event::Step { text: format!("context:\n  {}", report.join("\n  ")) }).await;
        Ok(())
    }

    async fn gather(&self) -> anyhow::Result<Gathered> {
        let settings = &self.agent.settings.project;
        let (state, cache) = (settings.state.clone(), settings.cache.clone());
        let (prompt, failing) = (self.task.prompt.clone(), self.failing().cloned());
        let (engine, root) = (self.agent.engine.clone(), self.tree.root().to_owned());
        let map_tokens_max = self.agent.traits().shares.map.tokens(engine.info().context_tokens_max);
        let gathered = tokio::task::spawn_blocking(move || -> anyhow::Result<Gathered> {
            let tree = Tree::open(&root)?;
            let search = Search {
                tree: &tree,
                state: &state,
                cache,
                prompt: &prompt,
                failing: failing.as_ref(),
                map_tokens_max,
            };
            Ok(gather(&search, &|text| engine.count_tokens(text)))
        });
        gathered.await.expect("invariant: gathering neither panics nor is aborted")
    }

    /// What a cancelled or failed task left without a reply.
    fn forget_unanswered(&mut self) {
        let entries = &mut self.session.conversation.entries;
        while entries.last().is_some_and(|entry| entry.kind != Kind::Reply) {
            if entries.pop().is_some_and(|entry| entry.kind == Kind::Opening) {
                self.session.shown.clear();
            }
        }
    }

    /// Cuts the conversation's past so far that this task's files have room.
    fn make_room_for_files(&mut self) -> Option<String> {
        let (shares, context) = (&self.agent.traits().shares, self.agent.engine.info().context_tokens_max);
        let extra = [shares.files, shares.failure, shares.mentions].iter().map(|share| share.tokens(context)).sum();
        self.compact(extra)
    }

    fn compact(&mut self, extra_tokens: usize) -> Option<String> {
        if self.session.conversation.entries.is_empty() {
            return None;
        }
        let fits = |messages: &[Message]| self.plan.has_room(self.agent, messages, extra_tokens);
        let (cut, how) = self.session.conversation.compacted(self.number, fits);
        if how == Cut::Whole {
            return None;
        }
        if cut == self.session.conversation {
            return None;
        }
        self.session.conversation = cut;
        if how >= Cut::PastOutput {
            self.session.shown.clear();
        }
        Some(how.sentence())
    }
}
