//! How prompts are laid out as turns. Training builds its rows with exactly these functions.
//!
//! Past thinking never goes back into a conversation: an earlier reply is represented by the code it ended
//! with, so a window survives many rounds.

use serde::Serialize;

use super::{Message, PromptError, Prompts, Role};

/// What `task.md` may name.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct TaskContext<'a> {
    /// The request in the user's words.
    pub prompt: &'a str,
    /// Fence tag of the language wanted, where the task says so.
    pub language: Option<&'a str>,
    /// Visible tests that are not already part of `prompt`.
    pub checks: Option<&'a str>,
    /// The program reads standard input and writes standard output.
    pub stdio: bool,
}

/// What `project.md` may name: a task and what was gathered for it. The order of the parts is the file's: what
/// lasts over a session (the map, the house rules) stands first, so that its decoded prefix can be used again.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ProjectContext<'a> {
    /// The request in the user's words.
    pub prompt: &'a str,
    /// The repository's map, already fitted.
    pub map: Option<&'a str>,
    /// What AGENTS.md asks, already capped.
    pub instructions: Option<&'a str>,
    /// Files shown in full or in part.
    pub files: &'a [ProjectFile<'a>],
    /// Places elsewhere that mention the task's words, `path:line: text` lines.
    pub mentions: Option<&'a str>,
    /// What running the project's check showed before any change.
    pub failure: Option<&'a str>,
    /// The command that the change has to make succeed.
    pub check: Option<&'a str>,
    /// Words are wanted, and no change.
    pub question: bool,
    /// The files are all that the project has.
    pub whole: bool,
    /// A file is too long to be written whole: what changes of it is asked for.
    pub long: bool,
}

/// One file of a project as the model sees it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ProjectFile<'a> {
    /// Relative to the project's root, with `/`.
    pub path: &'a str,
    /// Fence tag; empty where the language is unknown.
    pub language: &'a str,
    /// Without its last line end.
    pub content: &'a str,
    /// At least three backticks, longer than any in `content`.
    pub fence: &'a str,
    /// Which lines of the file these are, where it is not all of it: `lines 10-80 of 900`.
    pub part: Option<&'a str>,
}

/// What `revise_crash.md` and `revise_wrong.md` may name.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReviseContext<'a> {
    /// What running it showed, already short.
    pub feedback: &'a str,
    /// The code that was run.
    pub code: &'a str,
    pub language: Option<&'a str>,
}

/// Why another attempt is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// It broke: mend it with the traceback.
    Crash,
    /// It ran and was wrong: think again.
    Wrong,
}

impl Revision {
    const fn prompt_name(self) -> &'static str {
        match self {
            Self::Crash => "revise_crash",
            Self::Wrong => "revise_wrong",
        }
    }
}

/// The turns that open a task: the system's (where the set has words for it) and the user's.
///
/// # Errors
/// A prompt file that names an unknown variable.
pub fn opening(prompts: &Prompts, task: TaskContext<'_>) -> Result<Vec<Message>, PromptError> {
    let mut messages = Vec::with_capacity(4);
    let system = prompts.render("system", ())?;
    if !system.is_empty() {
        messages.push(Message::new(Role::System, system));
    }
    messages.push(Message::new(Role::User, prompts.render("task", task)?));
    Ok(messages)
}

/// The turns that open a task in a project.
///
/// # Errors
/// A prompt file that names an unknown variable.
pub fn project(prompts: &Prompts, context: ProjectContext<'_>) -> Result<Vec<Message>, PromptError> {
    let mut messages = Vec::with_capacity(4);
    let system = prompts.render("project_system", ())?;
    if !system.is_empty() {
        messages.push(Message::new(Role::System, system));
    }
    messages.push(Message::new(Role::User, prompts.render("project", context)?));
    Ok(messages)
}

/// The opening, the code of the attempt before, and what running it showed.
///
/// # Errors
/// A prompt file that names an unknown variable.
pub fn revision(
    prompts: &Prompts,
    task: TaskContext<'_>,
    why: Revision,
    revise: ReviseContext<'_>,
) -> Result<Vec<Message>, PromptError> {
    let mut messages = opening(prompts, task)?;
    messages.push(Message::new(Role::Assistant, fenced(revise.code, revise.language)));
    messages.push(Message::new(Role::User, prompts.render(why.prompt_name(), revise)?));
    Ok(messages)
}

/// The opening and a reminder of the format, after a reply that held no usable code.
///
/// # Errors
/// A prompt file that names an unknown variable.
pub fn reminder(
    prompts: &Prompts,
    task: TaskContext<'_>,
    reply: &str,
    problem: &str,
) -> Result<Vec<Message>, PromptError> {
    #[derive(Serialize)]
    struct Context<'a> {
        problem: &'a str,
        language: Option<&'a str>,
    }
    let mut messages = opening(prompts, task)?;
    messages.push(Message::new(Role::Assistant, tail(reply, REPLY_BYTES_MAX)));
    messages.push(Message::new(
        Role::User,
        prompts.render("format_reminder", Context { problem, language: task.language })?,
    ));
    Ok(messages)
}

/// Of an unusable reply this much of the end is shown to the model again.
const REPLY_BYTES_MAX: usize = 1200;

/// A fence longer than any in the text, and at least three backticks.
pub fn fence_for(text: &str) -> String {
    let longest = text.lines().map(|line| line.trim_start().bytes().take_while(|b| *b == b'`').count()).max();
    "`".repeat(longest.unwrap_or(0).max(2) + 1)
}

/// Code as a reply that consists of it alone.
pub fn fenced(code: &str, language: Option<&str>) -> String {
    let fence = fence_for(code);
    format!("{fence}{}\n{}\n{fence}", language.unwrap_or(""), code.trim_end_matches('\n'))
}

fn tail(text: &str, bytes_max: usize) -> &str {
    let from = text.len().saturating_sub(bytes_max);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traits::PromptSet;

    fn roles(messages: &[Message]) -> Vec<Role> {
        messages.iter().map(|message| message.role).collect()
    }

    #[test]
    fn every_layout_renders_in_every_set() {
        for set in [PromptSet::Default, PromptSet::Nano] {
            let prompts = Prompts::load(set, None).unwrap();
            let task = TaskContext { prompt: "Add two numbers.", language: Some("python"), ..TaskContext::default() };
            let open = opening(&prompts, task).unwrap();
            assert_eq!(open.last().unwrap().role, Role::User);
            assert!(open.last().unwrap().content.starts_with("Add two numbers."));
            let revise = ReviseContext { feedback: "NameError: x", code: "print(x)\n", language: Some("python") };
            for why in [Revision::Crash, Revision::Wrong] {
                let turns = revision(&prompts, task, why, revise).unwrap();
                assert_eq!(roles(&turns[turns.len() - 2..]), [Role::Assistant, Role::User]);
                assert_eq!(turns[turns.len() - 2].content, "```python\nprint(x)\n```");
                assert!(turns.last().unwrap().content.contains("NameError: x"));
                assert_eq!(turns[..open.len()], open[..], "a revision keeps the prefix byte for byte");
            }
            reminder(&prompts, task, "Just prose.", "it holds no code").unwrap();
        }
    }

    #[test]
    fn the_task_shows_tests_and_says_where_input_comes_from() {
        let prompts = Prompts::load(PromptSet::Default, None).unwrap();
        let task = TaskContext { prompt: "P", language: None, checks: Some("assert f(1) == 2"), stdio: true };
        let text = prompts.render("task", task).unwrap();
        assert!(text.contains("assert f(1) == 2") && text.contains("standard input"), "{text}");
    }

    #[test]
    fn a_project_shows_its_files_and_ends_with_the_failure_or_the_task() {
        let file = ProjectFile {
            path: "calc.py",
            language: "python",
            content: "def add(a, b):\n    return a - b",
            fence: "```",
            part: None,
        };
        let files = [file];
        let context = ProjectContext {
            prompt: "Fix add.",
            files: &files,
            failure: Some("assert add(1, 2) == 3"),
            check: Some("pytest"),
            ..ProjectContext::default()
        };
        let nano = project(&Prompts::load(PromptSet::Nano, None).unwrap(), context).unwrap();
        assert_eq!(nano.len(), 1);
        let words =
            "Fix add.\ncalc.py\n```python\ndef add(a, b):\n    return a - b\n```\nError:\nassert add(1, 2) == 3";
        assert_eq!(nano[0].content, words);
        let full = project(&Prompts::load(PromptSet::Default, None).unwrap(), context).unwrap();
        assert_eq!(roles(&full), [Role::User]);
        let asked = &full[0].content;
        assert!(asked.contains("\ncalc.py\n```python\ndef add") && asked.contains("assert add(1, 2) == 3"), "{asked}");
        assert!(asked.contains("\nFix add. Show the code"), "{asked}");
        let question = ProjectContext { question: true, failure: None, ..context };
        let asked = project(&Prompts::load(PromptSet::Default, None).unwrap(), question).unwrap();
        assert!(asked[0].content.trim_end().ends_with("Fix add."), "{}", asked[0].content);
    }

    #[test]
    fn a_fence_is_longer_than_any_fence_inside() {
        assert_eq!(fenced("x = '''\n```\n'''", None), "````\nx = '''\n```\n'''\n````");
    }
}
