//! The commands that a prompt may begin with: undo, and how the project is tested. They are the terminal's `/undo`
//! and `/check`.
//!
//! Not for: tasks.

use std::path::Path;

use serde_json::{Value, json};

use crate::agent::project;
use crate::verify;
use crate::workspace::journal::Journal;
use crate::workspace::tree::Tree;

/// A command of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Undo,
    /// Empty: say which command it is.
    Check(String),
}

/// Reads a prompt; `None` where it is a task.
pub(super) fn read(prompt: &str) -> Option<Said> {
    let prompt = prompt.trim();
    let (word, rest) = prompt.split_once(char::is_whitespace).unwrap_or((prompt, ""));
    match word {
        "/undo" => Some(Said::Undo),
        "/check" => Some(Said::Check(rest.trim().to_owned())),
        _ => None,
    }
}

/// The list that the client offers.
pub(super) fn available() -> Value {
    json!([
        { "name": "undo", "description": "Take the last accepted change back" },
        {
            "name": "check",
            "description": "Show or set the command that tests this project",
            "input": { "hint": "COMMAND, `none` for no tests, or `forget`" },
        },
    ])
}

/// Does what was said and tells how it went.
pub(super) fn act(said: &Said, root: Option<&Path>, state: &Path) -> String {
    let Some(root) = root else { return "This folder is no project.".to_owned() };
    match said {
        Said::Undo => undo(root, state),
        Said::Check(command) => check(command, root, state),
    }
}

fn undo(root: &Path, state: &Path) -> String {
    match Tree::open(root).and_then(|tree| Journal::new(state, &tree).undo()) {
        Err(problem) => format!("Nothing was taken back: {problem:#}."),
        Ok(step) => {
            let paths: Vec<&str> = step.files.iter().map(|file| file.path.as_str()).collect();
            format!("Taken back: {} ({}).", step.title, paths.join(", "))
        }
    }
}

fn check(command: &str, root: &Path, state: &Path) -> String {
    let to = match command {
        "" => return known(root, state),
        "none" => Some(""),
        "forget" => None,
        command => Some(command),
    };
    match project::remember(state, root, to) {
        Err(problem) => format!("The command could not be remembered: {problem}."),
        Ok(()) => known(root, state),
    }
}

fn known(root: &Path, state: &Path) -> String {
    match project::remembered(state, root) {
        Some(command) if command.is_empty() => "Nothing is tested here, as you said.".to_owned(),
        Some(command) => format!("The project is tested with `{command}` (remembered)."),
        None => verify::test_command(root).map_or_else(
            || "It is not known how this project is tested: `/check COMMAND` says it.".to_owned(),
            |command| format!("The project is tested with `{command}` (found by its files)."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_first_word() {
        assert_eq!(read("  /undo\n"), Some(Said::Undo));
        assert_eq!(read("/check  make test "), Some(Said::Check("make test".into())));
        assert_eq!(read("undo it"), None);
        assert_eq!(read("/undone"), None);
    }

    #[test]
    fn commands_say_what_they_did() {
        let folder = tempfile::tempdir().unwrap();
        let state = tempfile::tempdir().unwrap();
        let say = |said: &Said| act(said, Some(folder.path()), state.path());
        assert!(say(&Said::Undo).starts_with("Nothing was taken back"));
        assert!(say(&Said::Check(String::new())).contains("not known"));
        assert!(say(&Said::Check("make t".into())).contains("`make t`"));
        assert!(say(&Said::Check("none".into())).contains("Nothing is tested"));
        assert!(say(&Said::Check("forget".into())).contains("not known"));
        assert!(act(&Said::Undo, None, state.path()).contains("no project"));
    }
}
