//! A change of the project as a kind of task: read from the reply in any form, judged by the project's own check.
//!
//! Not for: what is gathered before the first round (`mod.rs`), writing (`settle.rs`).

use serde::Serialize;

use super::look::Looks;
use super::reading::{self, Base};
use super::tool::Tools;
use super::{Patch, bases, check, context, keeping, parts};
use crate::agent::attempt::{Attempt, Reply, best, common_build_failure};
use crate::agent::deviate::Basis;
use crate::agent::kind::{Kind, Over};
use crate::agent::ways::Ways;
use crate::agent::{Agent, BoxFuture, Line, Plan, Transcript};
use crate::cancel::Cancel;
use crate::engine::StopPolicy;
use crate::prompt::{Message, Role};
use crate::reply::Fence;
use crate::reply::paths::{Known, comment_path, file_name, head_path, info_path};
use crate::task::{Language, Report, Trajectory, Verdict};
use crate::verify;
use crate::workspace::tree::Tree;

/// What replies of one task are read and judged against.
pub(super) struct Changes<'a> {
    pub(super) agent: &'a Agent,
    pub(super) plan: &'a Plan,
    /// What the user asked for.
    pub(super) task: &'a str,
    pub(super) tree: &'a Tree,
    pub(super) known: Known,
    /// The command that decides; without one `unjudged` is every change's verdict.
    pub(super) check: Option<&'a str>,
    /// What it says before any change.
    pub(super) before: Option<Verdict>,
    /// How, as the task's turn says it.
    pub(super) failure: String,
    pub(super) unjudged: Verdict,
    pub(super) looks: Looks,
    /// Files that the task asks to change.
    pub(super) asked: Vec<String>,
    /// Tests are to be written.
    pub(super) wants_tests: bool,
    /// The task names one file, which is more than half of a change, and no tests are to be written.
    pub(super) sole: bool,
    pub(super) tools: Option<Tools>,
    /// The change that the user's remark is about: what comes next builds on it.
    pub(super) on: Option<Patch>,
    /// Files that the model was shown whole, the likeliest first.
    pub(super) shown: Vec<String>,
}

impl Kind for Changes<'_> {
    type What = Patch;

    const IN_PROJECT: bool = true;

    fn read(&self, said: &Trajectory, on: Option<&Patch>) -> Reply<Patch> {
        let base = on.or(self.on.as_ref()).map(Base::of).unwrap_or_default();
        match reading::read(said, self.tree, &self.known, &base) {
            // What a question's answer shows as code is an illustration.
            Reply::Candidate(_) | Reply::Unusable(_) | Reply::Unchanged(_)
                if self.plan.intent.is_question() && !said.text.trim().is_empty() =>
            {
                Reply::Words(reading::answer_of(said).trim().to_owned())
            }
            // A path in a fence of the wrong kind is no command.
            Reply::Look(command) if self.known.contains(command.trim()) => {
                Reply::Unusable("it holds no change: no file, no block".to_owned())
            }
            // What the check says is known, and stands in the conversation.
            Reply::Look(command)
                if !self.plan.intent.is_question()
                    && self.check.is_some_and(|check| command.lines().any(|line| line.trim() == check.trim())) =>
            {
                Reply::Words(reading::answer_of(said).trim().to_owned())
            }
            reply => reply,
        }
    }

    /// A change is judged when it is whole: one file of two that passes is half of what was meant.
    fn early(&self, _closed: &[Fence]) -> Option<Patch> {
        None
    }

    fn may_be_over(&self, reply: &str, closed: &[Fence]) -> Over {
        match closed.last() {
            None => Over::No,
            // A command is run, and what the model makes up as its output is not read.
            Some(last) if last.language() == Some(Language::Shell) && self.plan.intent.is_question() => {
                if Ways::of(self.agent).converses { Over::Yes } else { Over::Perhaps }
            }
            Some(_) if self.plan.intent.is_question() => Over::No,
            // The one file that the task asks to change has come; what follows explains it.
            Some(last) if self.is_all_that_is_asked(reply, last) => Over::Yes,
            Some(_) => Over::Perhaps,
        }
    }

    /// Tests are judged as they stand: a test that is written again is paid for and thrown away.
    fn is_beside(&self, after: &str) -> bool {
        if self.wants_tests {
            return false;
        }
        let complete = after.rfind('\n').map_or("", |end| &after[..end]);
        let above = std::iter::once("").chain(complete.lines());
        complete.lines().zip(above).any(|(line, above)| {
            // A path heads a block, or stands in a comment that is its first line.
            let head = head_path(line, &self.known).map(|head| head.path);
            let label = || above.trim_start().starts_with("```").then(|| comment_path(line, &self.known)).flatten();
            head.or_else(label).is_some_and(|path| verify::decides_about_tests(&path))
        })
    }

    /// A change of several files may have more to say between them.
    fn goes_on(&self) -> bool {
        !self.sole
    }

    /// A file that the task asks to change is named where its block is.
    fn lacks(&self, reply: &str) -> bool {
        self.asked.len() > 1 && self.asked.iter().any(|path| !reply.contains(file_name(path)))
    }

    /// A command ends its turn: what would come next is made up.
    fn stop(&self) -> StopPolicy {
        let after_shell = self.plan.intent.is_question() && Ways::of(self.agent).converses;
        StopPolicy { after_shell, ..StopPolicy::default() }
    }

    fn words_do(&self) -> bool {
        self.plan.intent.is_question()
    }

    fn unjudged(&self) -> Option<Verdict> {
        self.check.is_none().then(|| self.unjudged.clone())
    }

    /// What the linked grammar does not know, the language's own tool is asked about.
    fn is_worth_a_look(&self, what: &Patch) -> bool {
        !what.warnings.is_empty()
    }

    fn trial(&self, what: &Patch, cancel: Cancel) -> BoxFuture<'static, Verdict> {
        let trial = check::trial(self.agent, self.tree.root(), self.check, &what.files, cancel);
        match self.unjudged() {
            None => trial,
            Some(unjudged) => Box::pin(async move { check::or_unjudged(trial.await, unjudged) }),
        }
    }

    fn safer(&self, what: &Patch) -> Option<Patch> {
        keeping::keeping(what, self.task)
    }

    fn parts(&self, what: &Patch, failed: &Report) -> Vec<Patch> {
        // A check that passes without a change passes with a harmless part of a wrong one.
        if self.fails_now() { parts::parts(what, failed.wall_ms) } else { Vec::new() }
    }

    fn check(&self) -> String {
        self.check.unwrap_or_default().to_owned()
    }

    fn record(&self, transcript: &mut Transcript, candidate: u32, what: &Patch, verdict: &Verdict) {
        transcript.judged(candidate, &what.diff(), verdict);
    }

    fn mend(&self, of: &Attempt<Patch>) -> anyhow::Result<Vec<Message>> {
        let feedback = of.verdict.as_ref().map(verify::feedback).unwrap_or_default();
        // Where the project has no check, what failed says what it was.
        let ran = of.verdict.as_ref().and_then(Verdict::report).map_or("", |report| report.command.as_str());
        self.answered(of, Again { feedback: &feedback, check: self.check.unwrap_or(ran), ..Again::default() })
    }

    fn missing(&self, what: &Patch) -> Vec<String> {
        let touches = |path: &String| what.files.iter().any(|file| &file.path == path);
        self.asked.iter().filter(|path| !touches(path)).cloned().collect()
    }

    fn complete(&self, of: &Attempt<Patch>) -> anyhow::Result<(Vec<Message>, String)> {
        let (missing, warned) = (of.missing.join(", "), of.doubts().collect::<Vec<_>>().join("\n"));
        let turns = self.answered(of, Again { missing: &missing, warned: &warned, ..Again::default() })?;
        let first = of.missing.first().filter(|_| !self.plan.prefix.is_empty());
        Ok((turns, first.map(|path| context::begun(self.tree, path)).unwrap_or_default()))
    }

    fn before(&self) -> Option<&Verdict> {
        self.before.as_ref()
    }

    /// A check that fails and is to pass: a change that it cannot decide about, because it changes the tests, is not what was
    /// asked for as long as there may be another.
    fn insists(&self) -> bool {
        self.check.is_some() && self.fails_now() && !self.wants_tests
    }

    /// The files as they stand, those first that the task names or replies would have changed. None where the best change
    /// brings something new: then it is no mistake of one place.
    fn bases(&self, attempts: &[Attempt<Patch>]) -> Vec<Basis> {
        let best = best(attempts).and_then(|at| attempts[at].candidate());
        if !self.fails_now() || self.plan.intent.is_question() || best.is_some_and(bases::brings_something_new) {
            return Vec::new();
        }
        let proposed = attempts.iter().filter_map(Attempt::candidate).flat_map(|patch| &patch.files);
        let asked = self.asked.iter().map(String::as_str);
        let likeliest =
            asked.chain(proposed.map(|file| file.path.as_str())).chain(self.shown.iter().map(String::as_str));
        let mut paths: Vec<&str> = Vec::new();
        for path in likeliest.filter(|path| !verify::decides_about_tests(path)) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths.into_iter().filter_map(|path| bases::as_it_stands(self.tree, path)).collect()
    }

    /// Whoever has not seen a compiler's objection makes the same mistake again. What a test expects stands in the tests.
    fn warning(&self, attempts: &[Attempt<Patch>]) -> anyhow::Result<String> {
        let Some(broken) = common_build_failure(attempts, &self.failure).filter(|_| Ways::of(self.agent).converses)
        else {
            return Ok(String::new());
        };
        let (check, feedback) = (self.check.unwrap_or_default(), verify::feedback(broken));
        Ok(self.agent.prompts.render("project_warning", Warning { check, feedback: &feedback })?)
    }

    fn remind(&self, of: &Attempt<Patch>, why: &str) -> anyhow::Result<Vec<Message>> {
        self.answered(of, Again { refused: why, ..Again::default() })
    }

    async fn look(&mut self, command: &str, line: &mut Line) -> anyhow::Result<Option<String>> {
        if !Ways::of(self.agent).converses {
            return Ok(None);
        }
        self.looks.take(self.agent, self.tree.root(), command, self.tools.as_mut(), line).await
    }
}

/// Whether a block can be this file or definitions of it, rather than a word or two in passing.
fn is_of(block: &Fence, path: &str) -> bool {
    const LINES_MIN: usize = 4;
    let language = path.rsplit_once('.').and_then(|(_, extension)| Language::from_extension(extension));
    reading::lines_with_text(block) >= LINES_MIN
        && language.is_some()
        && block.language() == language
        && block.language() != Some(Language::Shell)
}

impl Changes<'_> {
    /// The check fails before any change.
    const fn fails_now(&self) -> bool {
        matches!(self.before, Some(Verdict::Failed(_)))
    }

    /// Whether a block is the one file that the task asks to change, and stands under no other's name.
    fn is_all_that_is_asked(&self, reply: &str, block: &Fence) -> bool {
        let [only] = self.asked.as_slice() else { return false };
        let above = reply.get(..block.start).and_then(|above| above.lines().rev().find(|line| !line.trim().is_empty()));
        let head = above.and_then(|line| head_path(line, &self.known)).map(|head| head.path);
        let label = || block.body.lines().next().and_then(|line| comment_path(line, &self.known));
        let named = head.or_else(|| info_path(&block.info, &self.known)).or_else(label);
        self.sole && is_of(block, only) && named.is_none_or(|named| file_name(&named) == file_name(only))
    }

    /// The attempt with all that it had answered, and what is said to it.
    fn answered(&self, of: &Attempt<Patch>, again: Again<'_>) -> anyhow::Result<Vec<Message>> {
        let mut turns = of.tail.clone();
        turns.push(Message::new(Role::Assistant, of.said.text.as_str()));
        turns.push(Message::new(Role::User, self.again(again)?));
        Ok(turns)
    }

    pub(super) fn again(&self, again: Again<'_>) -> anyhow::Result<String> {
        let again = Again { check: self.check.unwrap_or(again.check), ..again };
        Ok(self.agent.prompts.render("project_again", again)?)
    }
}

/// What `project_warning.md` may name.
#[derive(Clone, Copy, Debug, Serialize)]
struct Warning<'a> {
    check: &'a str,
    feedback: &'a str,
}

/// What `project_again.md` may name.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Again<'a> {
    pub(super) refused: &'a str,
    pub(super) feedback: &'a str,
    pub(super) check: &'a str,
    pub(super) remark: &'a str,
    /// Files that the task asks to change and a passing change leaves as they are.
    pub(super) missing: &'a str,
    /// What a compiler says of a passing change.
    pub(super) warned: &'a str,
}
