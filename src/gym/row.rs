//! A problem as a row of data: the conversation up to the model's turn, the turn it should learn, and what
//! is needed to judge another. The words around the task come from the prompt files, as at inference.
//!
//! Not for: tokens; cutting a trajectory at a token is left to `sft::sample`, which has the tokenizer.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Failed};
use super::dice::Dice;
use super::edit::Project;
use super::trace::{self, Line};
use super::{Family, Problem, Split, by_name, drill};
use crate::prompt::conversation::{self, ProjectContext, ProjectFile, ReviseContext, Revision, TaskContext};
use crate::prompt::{Message, PromptError, Prompts};
use crate::task::{Failure, FailureKind, Report, Tier, Verdict};
use crate::verify;

const PYTHON: &str = "python";

/// How much a trajectory thinks: the three ways to teach the same problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// Code at once, always.
    Short,
    /// Restating, working out and drafting, always.
    Long,
    /// Code at once where the words say it all, and exactly the working out where they do not: the harder the
    /// problem, the longer the trace.
    Mixed,
}

impl FromStr for Style {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text)
    }
}

/// What a row teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A whole trajectory.
    Whole,
    /// A trajectory cut at any token, the hint, and the answer.
    Hinted,
    /// A failed attempt, what running it showed, and the corrected code.
    Revised,
}

/// A stretch of the turn to learn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub text: String,
    pub learn: bool,
    /// Keep only this fraction of the part's tokens, from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<f32>,
}

/// One row of generated data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub id: String,
    pub family: Family,
    pub level: u8,
    pub split: Split,
    pub style: Style,
    pub kind: Kind,
    pub composition: String,
    pub wording: String,
    /// The task as a user would type it.
    pub task: String,
    /// The conversation before the turn to learn, as the agent would lay it out.
    pub messages: Vec<Message>,
    /// The turn to learn.
    pub reply: Vec<Part>,
    pub entry: String,
    pub reference: String,
    pub visible: Vec<String>,
    pub hidden: Vec<String>,
    /// The lines of thinking in `reply`, before any cut.
    pub trace: Vec<Line>,
    /// The project that the task is set in; `reference` is then the whole file that was to be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<Project>,
}

/// Names a row and says what it is to teach.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub id: String,
    pub split: Split,
    pub style: Style,
    pub kind: Kind,
}

impl Row {
    /// Makes a row of a problem. A problem without a failed attempt cannot be revised and a drill cannot be
    /// cut: both become whole trajectories.
    ///
    /// # Errors
    /// A prompt file that does not render.
    pub fn new(problem: Problem, wanted: Wanted, prompts: &Prompts, dice: &mut Dice) -> Result<Self, PromptError> {
        let task = TaskContext { prompt: &problem.task, language: Some(PYTHON), ..TaskContext::default() };
        let lines = thinking(&problem, wanted.style);
        let whole = match problem.family {
            Family::Drill => drill::answer(&problem),
            _ => trajectory(&lines, &answer(&problem)),
        };
        let part = |text: String| Part { text, learn: true, keep: None };
        let mut kind = wanted.kind;
        let opening = || match &problem.project {
            Some(project) => project_opening(prompts, &problem.task, project),
            None => conversation::opening(prompts, task),
        };
        let (messages, reply) = match (kind, &problem.attempt) {
            (Kind::Revised, Some(attempt)) => {
                let (why, feedback) = feedback(attempt, &problem.visible);
                // A crash is mended where it is; a wrong answer is thought about again.
                let reply = if why == Revision::Crash { fenced(&problem.reference) } else { whole };
                let revise = ReviseContext { feedback: &feedback, code: &attempt.code, language: Some(PYTHON) };
                (conversation::revision(prompts, task, why, revise)?, vec![part(reply)])
            }
            (Kind::Hinted, _) if problem.family != Family::Drill => {
                // A change to a project begins with a path, so nothing of its fence is forced.
                let (hint, rest) = match &problem.project {
                    Some(project) => (prompts.hint(None, "")?, project.answer.clone()),
                    None => {
                        let hint = prompts.hint(Some(PYTHON), "")?;
                        (hint, format!("{}```", problem.reference))
                    }
                };
                let reply = vec![
                    Part { text: whole, learn: true, keep: Some(dice.fraction()) },
                    Part { text: hint, learn: false, keep: None },
                    part(rest),
                ];
                (opening()?, reply)
            }
            _ => {
                kind = Kind::Whole;
                (opening()?, vec![part(whole)])
            }
        };
        Ok(Self {
            id: wanted.id,
            split: wanted.split,
            style: wanted.style,
            kind,
            messages,
            reply,
            family: problem.family,
            level: problem.level,
            composition: problem.composition,
            wording: problem.wording,
            task: problem.task,
            entry: problem.entry,
            reference: problem.reference,
            visible: problem.visible,
            hidden: problem.hidden,
            trace: lines,
            project: problem.project,
        })
    }
}

/// The lines of thinking that a style spends on a problem.
fn thinking(problem: &Problem, style: Style) -> Vec<Line> {
    match style {
        Style::Short => Vec::new(),
        Style::Mixed => problem.work.clone(),
        Style::Long => {
            // The function is restated first, then what must be known is worked out, then the code is drafted.
            let (restated, drafted) = problem.draft.split_at(problem.draft.len().min(1));
            [restated, &problem.work, drafted].concat()
        }
    }
}

/// One undivided stream: the thinking, a blank line, the answer.
fn trajectory(lines: &[Line], answer: &str) -> String {
    if lines.is_empty() {
        return answer.to_owned();
    }
    format!("{}\n{answer}", trace::text(lines))
}

/// What a model ends with: a fenced program, or a change to a project's file.
fn answer(problem: &Problem) -> String {
    problem.project.as_ref().map_or_else(|| fenced(&problem.reference), |project| project.answer.clone())
}

/// A task in a project, laid out as the agent lays it out.
fn project_opening(prompts: &Prompts, words: &str, project: &Project) -> Result<Vec<Message>, PromptError> {
    let files: Vec<ProjectFile<'_>> = project
        .files
        .iter()
        .map(|file| ProjectFile {
            path: &file.path,
            language: PYTHON,
            content: file.content.trim_end_matches('\n'),
            fence: "```",
            part: None,
        })
        .collect();
    let context = ProjectContext {
        prompt: words,
        files: &files,
        failure: project.failure.as_deref(),
        check: Some(&project.check),
        ..ProjectContext::default()
    };
    conversation::project(prompts, context)
}

fn fenced(code: &str) -> String {
    conversation::fenced(code, Some(PYTHON))
}

/// What the agent would tell the model about a failed attempt: the judge's own words for it.
fn feedback(attempt: &Attempt, visible: &[String]) -> (Revision, String) {
    let (why, failure) = match &attempt.failure {
        Failed::Crash { error, message, line } => {
            let source = attempt.code.lines().nth(line.saturating_sub(1)).unwrap_or("").trim();
            let failure = Failure {
                kind: FailureKind::Syntax,
                name: String::new(),
                got: format!("{error}: {message}"),
                expected: None,
                frame: Some(format!("candidate.py:{line}  {source}")),
            };
            (Revision::Crash, failure)
        }
        Failed::Wrong { case, got } => {
            let failure = Failure {
                kind: FailureKind::WrongAnswer,
                name: visible.first().cloned().unwrap_or_default(),
                got: got.clone(),
                expected: Some(case.output.literal(true)),
                frame: None,
            };
            (Revision::Wrong, failure)
        }
    };
    let report = Report {
        command: String::new(),
        passed: 0,
        failed: 1,
        failures: vec![failure],
        tier: Tier::F,
        wall_ms: 0,
        flags: Vec::new(),
    };
    (why, verify::feedback(&Verdict::Failed(report)))
}
