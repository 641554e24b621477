//! The files of a project as replies that the model might have written: what deviations are made of.
//!
//! Not for: which files, and when (`changes.rs`).

use std::ops::Range;

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
    let Some(FileState::Text(text)) = tree.before(&[path.to_owned()]).remove(path) else { return None };
    let (reply, start) = reply(&[(path, &text)], path)?;
    let area = start..start + text.trim_end_matches('\n').len();
    Some(Basis::new(path, reply, area).standing())
}

/// The files as a change leaves them, each to be deviated from in what is new of it; none where nothing is new. Where what it
/// failed by (`told`) names lines of its files, in the file alone that is named first.
pub(super) fn of_what_is_new(patch: &Patch, told: &str) -> Vec<Basis> {
    let named =
        patch.files.iter().filter_map(|file| Some((names_a_line_of(told, &file.path)?, file.path.as_str()))).min();
    let is_meant = |file: &&&Planned| named.is_none_or(|(_, path)| path == file.path);
    let counts = |file: &&Planned| !crate::verify::decides_about_tests(&file.path);
    let files: Vec<&Planned> = patch.files.iter().filter(counts).collect();
    let all: Vec<(&str, &str)> =
        files.iter().filter_map(|file| Some((file.path.as_str(), file.after.as_deref()?))).collect();
    let basis = |file: &&Planned| {
        let (before, after) = (file.before.as_deref().unwrap_or(""), file.after.as_deref()?);
        if !is_new_in_part(file) {
            return None;
        }
        let (reply, start) = reply(&all, &file.path)?;
        let (part, end) = (changed(before, after), after.trim_end_matches('\n').len());
        Some(Basis::new(&file.path, reply, start + part.start.min(end)..start + part.end.min(end)))
    };
    files.iter().filter(is_meant).filter_map(basis).collect()
}

/// Where a text speaks of a line of a file, as compilers and tracebacks do: `a/b.c:12:`, `File "a/b.py", line 3`.
fn names_a_line_of(text: &str, path: &str) -> Option<usize> {
    text.match_indices(path).map(|(at, _)| at).find(|at| {
        let behind = &text[at + path.len()..];
        let number = behind.strip_prefix(':').or_else(|| behind.strip_prefix("\", line ")).unwrap_or("");
        number.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Whether a change brings more than other words for what was there.
pub(super) fn brings_something_new(patch: &Patch) -> bool {
    patch.files.iter().any(is_new_in_part)
}

fn is_new_in_part(file: &Planned) -> bool {
    let lines = |text: &Option<String>| text.as_deref().map_or(0, |text| text.lines().count());
    !crate::verify::decides_about_tests(&file.path) && lines(&file.after) >= lines(&file.before) + NEW_LINES_MIN
}

/// The bytes of the lines between the first and the last that differ.
fn changed(before: &str, after: &str) -> Range<usize> {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(old, new)| old == new).count();
    let bytes = |lines: &[&str]| lines.iter().map(|line| line.len()).sum::<usize>();
    bytes(&new[..head])..after.len() - bytes(&new[new.len() - tail..])
}

/// A reply that writes these files, and where in it the content of `path` begins; `None` where one cannot be written so.
fn reply(files: &[(&str, &str)], path: &str) -> Option<(String, usize)> {
    let (mut text, mut start) = (String::new(), None);
    for &(name, content) in files {
        let (begun, fence) = context::framed(name, content);
        // One that holds fences itself is framed by longer ones, which a deviation would not know as its end.
        if fence != PLAIN_FENCE || content.trim().is_empty() {
            return None;
        }
        text.push_str(if text.is_empty() { "" } else { "\n" });
        text.push_str(&begun);
        if name == path {
            start = Some(text.len());
        }
        text.push_str(&format!("{}\n{PLAIN_FENCE}\n", content.trim_end_matches('\n')));
    }
    Some((text, start?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(files: &[(&str, Option<&str>, &str)]) -> Patch {
        let planned = |&(path, before, after): &(&str, Option<&str>, &str)| Planned {
            path: path.into(),
            renamed_from: None,
            before: before.map(str::to_owned),
            after: Some(after.to_owned()),
        };
        Patch { files: files.iter().map(planned).collect(), ..Patch::default() }
    }

    #[test]
    fn what_is_new_is_the_lines_that_came() {
        let before = "let a = 1;\nexport { a };\n";
        let after = "let a = 1;\nfunction b() {\n  return a;\n}\nexport { a };\n";
        assert_eq!(&after[changed(before, after)], "function b() {\n  return a;\n}\n");
        let two = patch(&[("lib/b.js", Some("x\n"), "y\n"), ("lib/a.js", Some(before), after)]);
        let text = format!("lib/b.js\n```javascript\ny\n```\n\nlib/a.js\n```javascript\n{after}```\n");
        let start = text.find("function").unwrap();
        assert_eq!(of_what_is_new(&two, ""), [Basis::new("lib/a.js", text, start..start + 29)]);
        assert_eq!(of_what_is_new(&patch(&[("lib/a.js", None, after)]), "").len(), 1, "a file that is new");
        assert!(of_what_is_new(&patch(&[("lib/a.js", Some(before), &before.replace('1', "2"))]), "").is_empty());
        assert_eq!(of_what_is_new(&two, "lib/a.js:3: oops, in lib/b.js:1").len(), 1);
        assert!(of_what_is_new(&two, "  File \"lib/b.js\", line 1").is_empty(), "what is new of it did not fail");
        assert_eq!(changed("a\n", "a\na\n"), 2..4);
        assert_eq!(changed("a\na\n", "a\n"), 2..2);
    }

    #[test]
    fn a_file_that_holds_fences_is_none() {
        assert!(reply(&[("a.md", "x\n```\ny\n```\n")], "a.md").is_none() && reply(&[("a.py", "\n")], "a.py").is_none());
        assert_eq!(reply(&[("a.py", "x = 1\n")], "a.py").unwrap().1, "a.py\n```python\n".len());
    }
}
