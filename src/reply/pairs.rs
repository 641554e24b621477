//! "Replace this … with this …": two fences of which the first shows lines of a file and the second what they become.
//!
//! Not for: blocks with markers (`search_replace.rs`).

use std::sync::LazyLock;

use regex::Regex;

use super::edits::{Origin, Proposed, Reading};
use super::paths::Known;
use super::tolerant::Shown;
use super::walk::{Loose, home_of};
use crate::scan;
use crate::task::Edit;

/// Lines with words that may stand between the two fences.
const BETWEEN_MAX: usize = 3;

/// One fence, whatever the walk took it for.
struct Fenced {
    path: Option<String>,
    content: String,
    line: u32,
}

/// Takes such pairs out of what the walk found, and puts a weak edit in the place of each. A pair is one only where the
/// first fence's lines stand in one file and the words say which of the two is the new one.
pub(super) fn join(lines: &[&str], known: &Known, shown: &[Shown<'_>], texts: &mut Vec<Loose>, out: &mut Reading) {
    let mut fences: Vec<Fenced> = texts
        .iter()
        .map(|loose| Fenced { path: None, content: loose.content.clone(), line: loose.reply_line })
        .collect();
    fences.extend(out.edits.iter().filter(|edit| edit.origin == Origin::WholeFile).filter_map(|proposed| {
        let Edit::Write { path, content } = &proposed.edit else { return None };
        let path = known.contains(path).then(|| path.clone());
        Some(Fenced { path, content: content.clone(), line: proposed.reply_line })
    }));
    fences.sort_by_key(|fence| fence.line);
    let mut at = 0;
    while let [old, new, ..] = &fences[at..] {
        let Some(path) = replaced(lines, shown, old, new) else {
            at += 1;
            continue;
        };
        at += 2;
        let gone = |line: u32| line == old.line || line == new.line;
        texts.retain(|loose| !gone(loose.reply_line));
        out.edits.retain(|proposed| !gone(proposed.reply_line));
        out.refused.retain(|refusal| !gone(refusal.reply_line));
        out.notes.push(format!(
            "the blocks at lines {} and {} were taken for lines of {path} and what they become",
            old.line, new.line
        ));
        let edit = Edit::Replace { path, search: old.content.clone(), replace: new.content.clone() };
        let mut proposed = Proposed::new(edit, Origin::SearchReplace, new.line);
        proposed.weak = true;
        out.edits.push(proposed);
    }
}

/// The file in which the first fence's lines become the second's.
fn replaced(lines: &[&str], shown: &[Shown<'_>], old: &Fenced, new: &Fenced) -> Option<String> {
    static OLD: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(?:replace|change|from|instead of|before|old|original|current(?:ly)?|existing|find|this line|these lines)\b",
        )
    });
    static NEW: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)\b(?:with|by|to|into|after|new|updated?|fixed|corrected|becomes?|should be|instead)\b")
    });
    let start = old.line as usize;
    let end = start + old.content.lines().count();
    let closed = lines.get(end).is_some_and(|line| scan::delimiter(line).is_some());
    let between: Vec<&str> = lines
        .get(end + 1..(new.line as usize).checked_sub(1)?)?
        .iter()
        .copied()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let above =
        lines[..start.saturating_sub(1)].iter().rev().find(|line| !line.trim().is_empty()).copied().unwrap_or("");
    let told = !between.is_empty() && between.len() <= BETWEEN_MAX && between.iter().any(|line| NEW.is_match(line));
    // A fence between them is another block.
    let apart = between.iter().any(|line| scan::delimiter(line).is_some());
    if !closed || apart || !told || !OLD.is_match(above) || old.content == new.content {
        return None;
    }
    let wanted: Vec<String> = old.content.lines().map(str::to_owned).collect();
    let path = home_of(shown, &wanted)?;
    let meant = |fence: &Fenced| fence.path.as_ref().is_none_or(|named| *named == path);
    // The whole file and the whole file again are read as what they are.
    let whole = shown.iter().any(|file| file.path == path && super::tolerant::kept(file.text, &old.content) >= 1.0);
    (meant(old) && meant(new) && !whole).then_some(path)
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("invariant: the patterns of pairs are valid")
}
