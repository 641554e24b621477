//! The files of a project as replies that the model might have written: what deviations are made of.
//!
//! Not for: which files, and when (`changes.rs`).

use super::{Patch, context};
use crate::agent::deviate::Basis;
use crate::workspace::plan::{FileState, Planned};
use crate::workspace::tree::Tree;

/// What frames a file that holds no fence itself.
const PLAIN_FENCE: &str = "```";
/// So many lines more than there were are something new.
const NEW_LINES_MIN: usize = 3;

/// A file as it stands; `None` for what cannot be written as a reply.
pub(super) fn as_it_stands(tree: &Tree, path: &str) -> Option<Basis> {
    let FileState::Text(text) = tree.read(path) else { return None };
    as_reply(path, text.trim_end_matches('\n'))
}

fn as_reply(path: &str, content: &str) -> Option<Basis> {
    let (begun, fence) = context::framed(path, content);
    // One that holds fences itself is framed by longer ones, which a deviation would not know as its end.
    if fence != PLAIN_FENCE || content.trim().is_empty() {
        return None;
    }
    let area = begun.len()..begun.len() + content.len();
    Some(Basis::new(path, format!("{begun}{content}\n{PLAIN_FENCE}\n"), area))
}

/// Whether a change brings more than other words for what was there.
pub(super) fn brings_something_new(patch: &Patch) -> bool {
    patch.files.iter().any(is_new_in_part)
}

fn is_new_in_part(file: &Planned) -> bool {
    let lines = |text: &Option<String>| text.as_deref().map_or(0, |text| text.lines().count());
    !crate::verify::decides_about_tests(&file.path) && lines(&file.after) >= lines(&file.before) + NEW_LINES_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brings(before: Option<&str>, after: &str) -> bool {
        let (path, before) = ("lib/a.js".to_owned(), before.map(str::to_owned));
        let file = Planned { path, renamed_from: None, before, after: Some(after.to_owned()) };
        brings_something_new(&Patch { files: vec![file], ..Patch::default() })
    }

    #[test]
    fn a_function_more_is_something_new_and_a_line_for_a_line_is_not() {
        let before = "let a = 1;\nexport { a };\n";
        assert!(brings(Some(before), &before.replace("export", "function b() {\n  return a;\n}\nexport")));
        assert!(brings(None, "one\ntwo\nthree\n") && !brings(Some(before), &before.replace('1', "2")));
    }

    #[test]
    fn a_file_that_holds_fences_is_none() {
        assert!(as_reply("a.md", "x\n```\ny\n```").is_none() && as_reply("a.py", " ").is_none());
        let text = "a.py\n```python\nx = 1\n```\n";
        assert_eq!(as_reply("a.py", "x = 1"), Some(Basis::new("a.py", text.to_owned(), 15..20)));
    }
}
