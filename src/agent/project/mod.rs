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

use super::conversation::Kind as Entry;
use super::search::{End, Search, With};
use super::sessions::Session;
use super::talk::{self, Talk};
use super::ways::Ways;
use super::{Agent, Line, Plan, plan};
use crate::event::Event;
use crate::reply::paths::{self, Known, is_header};
use crate::reply::wanted;
use crate::task::{Outcome, Task, Usage, Verdict};
use crate::verify;
use crate::workspace::journal::Journal;
use crate::workspace::plan::Plan as Patch;
use crate::workspace::tree::Tree;
use changes::{Again, Changes};
use gather::{Gathered, Search as Looking, Worth, gather};

mod bases;
mod changes;
mod check;
mod context;
mod gather;
mod grep;
mod keeping;
mod look;
mod outcome;
mod parts;
mod propose;
mod reading;
mod scope;
mod settle;
mod tool;
mod words;

pub use check::{is_command, remember, remembered};
pub use scope::{is_standalone, names_a_file, root_of};

/// A task that names more files is not begun for the model: which comes first is its own to say.
const BEGUN_NAMED_MAX: usize = 3;
/// Times that the user may ask again.
const ASKED_AGAIN_MAX: u32 = 5;

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
    // What an earlier run was writing when it was cut off is said before anything else.
    match Journal::new(&agent.settings.project.state, &tree).recover() {
        Ok(None) => {}
        Ok(Some(told)) => line.emit(Event::Warning { text: told }).await,
        Err(problem) => line.emit(Event::Warning { text: format!("{problem:#}") }).await,
    }
    let mut work = Work::begin(agent, task, &tree, session, line).await?;
    let outcome = if work.passes_already() {
        work.outcome_of_nothing()
    } else {
        work.open().await?;
        work.search().await?
    };
    work.line.emit(Event::Ended { outcome: Box::new(outcome.clone()) }).await;
    Ok(outcome)
}

/// A change that was judged.
#[derive(Clone, Debug)]
struct Judged {
    patch: Patch,
    verdict: Verdict,
    /// Whether it is all of what the reply proposed, and nothing else: then the model knows its files.
    as_replied: bool,
}

/// A task under way.
struct Work<'a> {
    agent: &'a Agent,
    task: &'a Task,
    tree: &'a Tree,
    session: &'a mut Session,
    line: &'a mut Line,
    plan: Plan,
    check: Option<String>,
    /// What the check said before any change.
    before: Option<Verdict>,
    /// The session's turn that this task is.
    number: u32,
    /// What every reply so far has cost.
    usage: Usage,
    rounds: u32,
    notes: Vec<String>,
    /// Ignored files that the task names.
    unlisted: Vec<String>,
    /// Files that the task asks to change.
    asked: Vec<String>,
    /// Files that the model was shown whole and may change, the likeliest first.
    shown: Vec<String>,
    /// Tests are to be written.
    wants_tests: bool,
    /// The task names one file, and no tests are to be written.
    sole: bool,
    /// Tool servers that were started for it.
    tools: Option<tool::Tools>,
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
        let number = session.turns.len() as u32;
        talk::begin(agent, &mut session.conversation);
        let mut work = Work {
            agent,
            task,
            tree,
            session,
            line,
            plan,
            check: None,
            before: None,
            number,
            usage: Usage::default(),
            rounds: 0,
            notes: Vec::new(),
            unlisted: Vec::new(),
            asked: Vec::new(),
            shown: Vec::new(),
            wants_tests: false,
            sole: false,
            tools: None,
        };
        work.look_at_check().await;
        work.plan.decides = work.check.is_some();
        Ok(work)
    }

    /// Rounds until one is enough, then the user's word.
    async fn search(&mut self) -> anyhow::Result<Outcome> {
        let (agent, plan, check) = (self.agent, self.plan.clone(), self.check.clone());
        let with = With { agent, plan: &plan };
        let mut kind = Changes {
            agent,
            plan: &plan,
            task: &self.task.prompt,
            tree: self.tree,
            known: self.known(),
            check: check.as_deref(),
            before: self.before.clone(),
            failure: self.failing().map(verify::feedback).unwrap_or_default(),
            unjudged: self.unjudged(),
            looks: look::Looks::default(),
            asked: self.asked.clone(),
            wants_tests: self.wants_tests,
            sole: self.sole,
            tools: self.tools.take(),
            on: None,
            shown: self.shown.clone(),
        };
        let mut search = Search::new(&plan.budget);
        self.line.emit(Event::Step { text: format!("planned: {}", search.purse.plan()) }).await;
        for asked in 0.. {
            let mut talk = Talk::of(agent, self.session, true);
            let end = search.run(with, &mut kind, &mut talk, self.line).await?;
            // What is proposed is what the conversation shows: the best, made on all that it had answered.
            if let Some(kept) = search.best().or(search.attempts.last()) {
                let short = kept.candidate().map(Patch::diff).unwrap_or_default();
                talk.keep(kept, &short);
            }
            self.account(&search);
            if let End::NoRoom(prompt_tokens) = end {
                if outcome::best(&search).is_none() {
                    return Ok(self.outcome_without_room(&search, prompt_tokens));
                }
                // What was made before is there all the same.
                self.notes.push(self.no_room("the next round would have", prompt_tokens));
            }
            if end == End::Spent {
                self.notes.push(format!("ended at what the task may cost: {}", search.purse.spent()));
            }
            self.notes.extend(search.remark());
            match self.settle(&search, &kind).await? {
                Ok(outcome) => return Ok(outcome),
                Err(remark) if asked < ASKED_AGAIN_MAX => {
                    let text = kind.again(Again { remark: &remark, ..Again::default() })?;
                    Talk::of(agent, self.session, true).remark(text);
                    kind.on = outcome::best(&search).map(|best| best.patch);
                    search.again();
                }
                Err(_) => break,
            }
        }
        Ok(self.outcome_refused(outcome::best(&search).as_ref()))
    }

    /// The verdict where nothing can be run.
    fn unjudged(&self) -> Verdict {
        match &self.before {
            Some(verdict @ (Verdict::SandboxFailed { .. } | Verdict::NothingToCheck { .. })) => verdict.clone(),
            Some(Verdict::Failed(_)) if self.check.is_none() => {
                Verdict::NothingToCheck { why: "the check cannot be started, with or without a change".to_owned() }
            }
            _ => Verdict::NothingToCheck { why: "the project has no known test command".to_owned() },
        }
    }

    async fn look_at_check(&mut self) {
        if self.plan.intent.is_question() {
            return;
        }
        let Some((command, from)) = self.command().await else { return };
        self.check = Some(command.clone());
        let before = check::before(self.agent, self.tree.root(), &command, self.line).await;
        if let Some(why) = check::cannot_start(&before, &command) {
            self.notes.push(format!("the check cannot be started, which is not about the code: {why}"));
            if from == check::REMEMBERED {
                self.notes.push("it is a remembered check: --check CMD gives another, --check - forgets it".to_owned());
            }
            self.check = None;
        } else if from == check::GIVEN && matches!(before, Verdict::Passed(_) | Verdict::Failed(_)) {
            // What cannot be remembered has to be given again; that is all.
            let _ = check::remember(&self.agent.settings.project.state, self.tree.root(), Some(&command));
        } else if !matches!(before, Verdict::Passed(_) | Verdict::Failed(_)) {
            self.check = None;
        }
        self.before = Some(before);
    }

    /// The command that tests the project; the user is asked where nobody has said anything yet.
    async fn command(&mut self) -> Option<(String, &'static str)> {
        let settings = &self.agent.settings.project;
        match check::known(self.task, &settings.state, self.tree.root()) {
            check::Known::Command(command, from) => {
                self.line.emit(Event::Step { text: format!("check: `{command}` ({from})") }).await;
                Some((command, from))
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
    async fn ask_for_command(&mut self) -> Option<(String, &'static str)> {
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
        Some((answer, check::REMEMBERED))
    }

    /// The tests were to pass, and they do.
    fn passes_already(&self) -> bool {
        self.before.as_ref().is_some_and(Verdict::passed) && words::is_about_tests(&self.task.prompt)
    }

    fn failing(&self) -> Option<&Verdict> {
        self.before.as_ref().filter(|verdict| matches!(verdict, Verdict::Failed(_)) && self.check.is_some())
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
        let mut fitted = context::fit(&gathered, self.tree, &failure, self.check.as_deref(), &frame);
        fitted.question = self.plan.intent.is_question();
        let mut turns = context::messages(&self.agent.prompts, &self.task.prompt, &fitted)?;
        let mut bare = context::Context { files: Vec::new(), mentions: None, failure: None, ..fitted.clone() };
        bare.check = None;
        let short = context::messages(&self.agent.prompts, &self.task.prompt, &bare)?.pop();
        if self.plan.intent.is_question() && self.agent.traits().looks {
            let mut invitation = self.agent.prompts.render("project_explore", ())?;
            if let Some(tools) = self.start_tools().await? {
                invitation = format!("{}\n\n{tools}", invitation.trim_end());
            }
            if let Some(last) = turns.last_mut() {
                last.content = format!("{}\n\n{invitation}", last.content.trim_end());
            }
        }
        let short = short.map(|message| message.content).unwrap_or_default();
        Talk::of(self.agent, self.session, true).open(turns, &short);
        self.asked = self.asked_for(&gathered);
        self.wants_tests = words::wants_tests(&self.task.prompt);
        let mut named = gathered.files.iter().filter(|worth| worth.named);
        // What a header declares is written elsewhere.
        let only = named.next().filter(|worth| named.next().is_none() && !is_header(&worth.path));
        self.sole = only.is_some() && !self.wants_tests && !words::reaches_further(&self.task.prompt);
        self.plan.prefix = self.prefix(&fitted, &gathered);
        self.shown = fitted.likeliest(&gathered);
        self.session.shown.extend(fitted.digests);
        self.unlisted = gathered.unlisted;
        let mut report = gathered.notes;
        report.extend(fitted.report);
        self.line.emit(Event::Step { text: format!("context:\n  {}", report.join("\n  ")) }).await;
        Ok(())
    }

    /// Starts the user's tool servers; what the model is told of their tools, where there are any.
    async fn start_tools(&mut self) -> anyhow::Result<Option<String>> {
        let id = (u64::from(self.number) << 16) | tool::FIRST_ID;
        let started = tool::Tools::start(self.agent, self.tree.root(), (&self.session.id, id), self.line).await;
        let Some((tools, told)) = started else { return Ok(None) };
        self.tools = Some(tools);
        Ok(Some(self.agent.prompts.render("project_tools", tool::Words { tools: &told })?))
    }

    /// The words that a reply is begun with where the task names its files: the path and the fence of the first. Then the
    /// form is right, nothing is said before it, and another file follows in the same form.
    fn prefix(&self, fitted: &context::Context, gathered: &Gathered) -> String {
        let quick = !self.plan.intent.is_question() && !fitted.long && self.agent.settings.prefixes;
        if !quick || !Ways::of(self.agent).begins || self.agent.settings.paper_exact {
            return String::new();
        }
        // What is ignored (`@.env`) is named to be read.
        let begins = |worth: &&Worth| worth.named && !worth.is_test && !gathered.unlisted.contains(&worth.path);
        let named: Vec<&str> = gathered.files.iter().filter(begins).map(|worth| worth.path.as_str()).collect();
        let named: Vec<&str> = if self.asked.is_empty() {
            // Which of several is meant, nobody has said; a text is rather named to be read.
            let only = named.len() == 1 && !paths::is_prose(named[0]) && !self.wants_tests;
            named.into_iter().filter(|_| only).collect()
        } else {
            self.asked.iter().map(String::as_str).filter(|path| named.contains(path)).collect()
        };
        let shown = |path: &str| fitted.files.iter().find(|file| file.path == path && file.part.is_none());
        if named.len() > BEGUN_NAMED_MAX {
            return String::new();
        }
        // A header is half of what its change takes: the other half comes first.
        let body_of = |header: &str| {
            fitted
                .files
                .iter()
                .map(|file| file.path.as_str())
                .find(|path| !is_header(path) && paths::stem(path) == paths::stem(header))
        };
        let first = named.iter().copied().find(|path| !is_header(path));
        let first = first.or_else(|| named.iter().find_map(|header| body_of(header)));
        first.and_then(shown).map(context::Shown::begun).unwrap_or_default()
    }

    /// The project's files, and those that the task names and that are to be made.
    fn known(&self) -> Known {
        let known = Known::new(self.tree.listing().paths.into_iter().chain(self.unlisted.clone()));
        let new = wanted::named(&self.task.prompt, &known);
        known.wanting(new)
    }

    /// The files that the task asks to change by their names, tests aside.
    fn asked_for(&self, gathered: &Gathered) -> Vec<String> {
        if self.plan.intent.is_question() {
            return Vec::new();
        }
        let paths = self.tree.listing().paths;
        let names = words::Names::new(&paths);
        let named = gathered.files.iter().filter(|worth| worth.named && !worth.is_test).map(|worth| &worth.path);
        let named: Vec<&str> = named.map(String::as_str).collect();
        let file = |word: &str| names.file(word).filter(|path| named.contains(path));
        words::asked_to_change(&self.task.prompt, file).into_iter().map(str::to_owned).collect()
    }

    async fn gather(&self) -> anyhow::Result<Gathered> {
        let settings = &self.agent.settings.project;
        let (state, cache) = (settings.state.clone(), settings.cache.clone());
        let (prompt, failing) = (self.task.prompt.clone(), self.failing().cloned());
        let (engine, root) = (self.agent.engine.clone(), self.tree.root().to_owned());
        let map_tokens_max = self.agent.traits().shares.map.tokens(engine.info().context_tokens_max);
        let gathered = tokio::task::spawn_blocking(move || -> anyhow::Result<Gathered> {
            let tree = Tree::open(&root)?;
            let search = Looking {
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
        while entries.last().is_some_and(|entry| entry.kind != Entry::Reply) {
            if entries.pop().is_some_and(|entry| entry.kind == Entry::Opening) {
                self.session.shown.clear();
            }
        }
    }

    /// Cuts the conversation's past so far that this task's files have room.
    fn make_room_for_files(&mut self) -> Option<String> {
        let (shares, context) = (&self.agent.traits().shares, self.agent.engine.info().context_tokens_max);
        let extra = [shares.files, shares.failure, shares.mentions].iter().map(|share| share.tokens(context)).sum();
        let before = self.session.conversation.clone();
        let (cut, said) = {
            let fits = |messages: &[crate::prompt::Message]| self.plan.has_room(self.agent, messages, extra);
            let (cut, how) = before.compacted(self.number, fits);
            if how >= super::conversation::Cut::PastOutput {
                self.session.shown.clear();
            }
            (cut, how.sentence())
        };
        if before.entries.is_empty() || cut == before {
            return None;
        }
        self.session.conversation = cut;
        Some(said)
    }
}
