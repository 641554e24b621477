//! "Replace this … with this …": two fences of which the first shows lines of a file and the second what they become.
//!
//! Not for: blocks with markers (`search_replace.rs`).

use std::sync::LazyLock;

use regex::Regex;

use super::compile;
use super::edits::{Origin, Proposed, Reading};
use super::paths::Known;
use super::splice;
use super::tolerant::Shown;
use super::walk::{Loose, home_of};
use crate::scan;
use crate::task::Edit;

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
    // A quotation before the new function, an example and what it prints look the same: where the words only say "before" and
    // "after", the old and the new are told for certain if the reply is nothing but pairs, none of which defines anything.
    let plain = fences.len().is_multiple_of(2) && out.edits.iter().all(|edit| edit.origin == Origin::WholeFile);
    let all: Option<Vec<Pair<'_>>> = fences.chunks_exact(2).map(|pair| pair_of(lines, shown, pair, true)).collect();
    let some = || fences.windows(2).filter_map(|pair| pair_of(lines, shown, pair, false)).collect();
    for (path, old, new) in all.filter(|_| plain).unwrap_or_else(some) {
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

/// A file, the fence that shows lines of it, and the one that shows what they become.
type Pair<'a> = (String, &'a Fenced, &'a Fenced);

fn pair_of<'a>(lines: &[&str], shown: &[Shown<'_>], pair: &'a [Fenced], alone: bool) -> Option<Pair<'a>> {
    let [old, new] = pair else { return None };
    Some((replaced(lines, shown, old, new, alone)?, old, new))
}

/// The file in which the first fence's lines become the second's. Where they are not `alone`, only an order says so.
fn replaced(lines: &[&str], shown: &[Shown<'_>], old: &Fenced, new: &Fenced, alone: bool) -> Option<String> {
    static REPLACE: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)\b(?:replace|change|swap)\b(?:[^.!?]|[.!?]\S)*\W*$"));
    static WITH: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)^\W*(?:with|to|by|into)\b(?:\s+[\w`']+){0,5}\W*$"));
    static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)^\W*(?:the )?(?:before|old|original|current|wrong|from)(?: code| lines?| version)?\W*$")
    });
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)^\W*(?:the )?(?:after|new|fixed|corrected|updated|right|to)(?: code| lines?| version)?\W*$")
    });
    let start = old.line as usize;
    let end = start + old.content.lines().count();
    let closed = lines.get(end).is_some_and(|line| scan::delimiter(line).is_some());
    let solid = |line: &&&str| !line.trim().is_empty();
    let between: Vec<&str> =
        lines.get(end + 1..(new.line as usize).checked_sub(1)?)?.iter().filter(solid).copied().collect();
    let above = lines[..start.saturating_sub(1)].iter().rev().find(solid).copied().unwrap_or("");
    let [between] = between.as_slice() else { return None };
    let told = (REPLACE.is_match(above) && WITH.is_match(between))
        || (alone && BEFORE.is_match(above) && AFTER.is_match(between));
    if !closed || !told || old.content == new.content {
        return None;
    }
    let wanted: Vec<String> = old.content.lines().map(str::to_owned).collect();
    let path = home_of(shown, &wanted)?;
    let meant = |fence: &Fenced| fence.path.as_ref().is_none_or(|named| *named == path);
    let defines = |fence: &Fenced| !splice::defined(&path, &fence.content).is_empty();
    (meant(old) && meant(new) && !defines(old) && !defines(new)).then_some(path)
}
