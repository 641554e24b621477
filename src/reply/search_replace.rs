//! SEARCH/REPLACE blocks, with the marker variants that models really write.
//!
//! Not for: finding the text in a file (`workspace::matching`).

use std::ops::Range;

use super::edits::{Origin, Proposed, RefusalKind};
use super::walk::{Walk, Want};
use super::{joined, paths};
use crate::scan::{Block, delimiter, marker};
use crate::task::Edit;

/// More readings of one block than this are not tried.
const READINGS_MAX: usize = 6;

/// Reads the block whose head is the line `from`; `until` is where the next block begins.
pub(super) fn read(walk: &mut Walk<'_>, block: &Block, from: usize, body: Range<usize>, until: usize) {
    let reply_line = from as u32 + 1;
    let Some(head) = marker::head(walk.lines[from]) else { return };
    let above = walk.head_above(from).map(|h| h.path);
    let written = if head.rest.is_empty() { above } else { Some(head.rest.clone()) };
    let lines: Vec<&str> = walk.lines[body.clone()].to_vec();
    let dividers: Vec<usize> = (0..lines.len()).filter(|at| head.is_divider(lines[*at])).collect();
    let mut splits = splits(&lines, &dividers, head.width);
    // Without a path the text to replace says which file is meant; it was not written, so the edit is weak.
    let home = if written.is_none() { splits.first().and_then(|(search, _)| walk.home_of(search)) } else { None };
    let weak = home.as_deref().is_some_and(|home| walk.only_inferred(home));
    let written = written.or(home);
    let named = written.clone().or_else(|| walk.last_path.clone());
    if let Some((kind, message)) =
        fault(walk, block, &head, (&lines, &dividers, &splits), body.end..until, named.as_deref())
    {
        walk.refuse(kind, named.as_deref(), reply_line, message);
        walk.last_path = named;
        return;
    }
    let written = written.or_else(|| walk.last_path.clone()).or_else(|| walk.known.only().map(str::to_owned));
    let Some(written) = written else {
        let message = "a SEARCH/REPLACE block names no file; put its path on the line above the block";
        return walk.refuse(RefusalKind::NoPath, None, reply_line, message);
    };
    let fills = splits.iter().all(|(search, _)| search.iter().all(|line| line.trim().is_empty()));
    let want = if fills { Want::ThisPath } else { Want::ExistingText };
    let Some((path, instead)) = walk.target(&written, reply_line, want) else { return };
    walk.last_path = Some(path.clone());
    let mut line = None;
    let mut edits: Vec<Edit> = splits
        .drain(..)
        .map(|(search, replace)| {
            let (search, hint) = strip_line_hint(search);
            line = line.or(hint);
            let search = unwrap_fence(search, &path);
            let replace = unwrap_fence(replace, &path);
            Edit::Replace { path: path.clone(), search: joined(&search), replace: joined(&replace) }
        })
        .collect();
    let mut proposed = Proposed::new(edits.remove(0), Origin::SearchReplace, reply_line);
    proposed.others = edits;
    proposed.hint.line = line;
    proposed.instead = instead;
    proposed.weak = weak;
    walk.out.edits.push(proposed);
}

/// What is wrong with a block's markers. `behind` are the lines from the closing one to the next block.
fn fault(
    walk: &Walk<'_>,
    block: &Block,
    head: &marker::Head,
    (body, dividers, splits): (&[&str], &[usize], &[Split]),
    behind: Range<usize>,
    path: Option<&str>,
) -> Option<(RefusalKind, &'static str)> {
    let malformed = |message| Some((RefusalKind::Malformed, message));
    let closing = behind.start;
    if !block.closed {
        return match (closing >= walk.lines.len(), dividers.is_empty()) {
            (true, _) => Some((RefusalKind::Truncated, "the reply ends inside a SEARCH/REPLACE block")),
            (false, true) => malformed("a SEARCH/REPLACE block has no ======= line"),
            (false, false) => malformed("a SEARCH/REPLACE block has no >>>>>>> REPLACE line"),
        };
    }
    if behind.skip(1).any(|at| head.is_end(walk.lines[at])) {
        return malformed("a SEARCH/REPLACE block has two closing lines: where it ends cannot be told");
    }
    if splits.is_empty() {
        return malformed("a SEARCH/REPLACE block has no ======= line");
    }
    if splits.len() > READINGS_MAX {
        return malformed("a SEARCH/REPLACE block has too many ======= lines");
    }
    if matches!(dividers, [_, last] if *last + 1 == body.len()) && path.is_some_and(paths::is_prose) {
        return malformed("a SEARCH/REPLACE block has two ======= lines, of which the second may underline a heading");
    }
    // In code a row of `=` right behind the divider is a slip; in prose it may be what underlines a heading.
    if dividers.windows(2).any(|two| two[0] + 1 == two[1]) && !path.is_some_and(paths::is_prose) {
        return malformed("a SEARCH/REPLACE block has two ======= lines one after the other");
    }
    let ends_with_fence = body.last().and_then(|line| delimiter(line)).is_some_and(|d| d.info.is_empty());
    let goes_on = walk.lines.get(closing + 1).is_none_or(|line| delimiter(line).is_none());
    if block.wrapped.is_some() && ends_with_fence && fences_in(body) % 2 == 1 && goes_on {
        return malformed("the fence closes before the SEARCH/REPLACE block's last line");
    }
    None
}

fn fences_in(lines: &[&str]) -> usize {
    lines.iter().filter(|line| delimiter(line).is_some()).count()
}

type Split = (Vec<String>, Vec<String>);

/// The ways to part the lines at a divider. Several rows of the divider's width make several ways; a second one just
/// before the end is one that models write for good measure.
fn splits(lines: &[&str], dividers: &[usize], width: usize) -> Vec<Split> {
    let owned = |lines: &[&str]| -> Vec<String> { lines.iter().map(|line| (*line).to_owned()).collect() };
    let part = |at: usize, end: usize| (owned(&lines[..at]), owned(&lines[at + 1..end]));
    match dividers {
        [] => {
            // A divider of another width, where there is only one.
            let row = |line: &str| line.len() >= marker::WIDTH_MIN && line.bytes().all(|byte| byte == b'=');
            let others: Vec<usize> = (0..lines.len()).filter(|at| row(lines[*at].trim())).collect();
            match others.as_slice() {
                [only] if lines[*only].trim().len().abs_diff(width) <= 2 => vec![part(*only, lines.len())],
                _ => Vec::new(),
            }
        }
        [only] => vec![part(*only, lines.len())],
        [first, last] if *last + 1 == lines.len() => vec![part(*first, *last)],
        several => several.iter().map(|at| part(*at, lines.len())).collect(),
    }
}

/// Takes off a `:start_line: 12` preamble with the rule beneath it.
fn strip_line_hint(mut lines: Vec<String>) -> (Vec<String>, Option<u32>) {
    let mut hint = None;
    while let Some(rest) = lines.first().and_then(|line| line.trim().strip_prefix(':')) {
        let Some((key, value)) = rest.split_once(':').filter(|(key, _)| matches!(*key, "start_line" | "end_line"))
        else {
            break;
        };
        if key == "start_line" {
            hint = value.trim().parse().ok();
        }
        lines.remove(0);
    }
    if hint.is_some() && lines.first().is_some_and(|line| line.len() >= 3 && line.chars().all(|c| c == '-')) {
        lines.remove(0);
    }
    (lines, hint)
}

/// Takes off a fence that wraps the text inside the markers.
fn unwrap_fence(lines: Vec<String>, path: &str) -> Vec<String> {
    let wrapped = lines.len() >= 2
        && paths::extension(path) != "md"
        && lines.first().and_then(|first| delimiter(first)).is_some_and(|fence| {
            lines
                .last()
                .and_then(|last| delimiter(last))
                .is_some_and(|last| last.mark == fence.mark && last.length >= fence.length && last.info.is_empty())
        });
    if wrapped { lines[1..lines.len() - 1].to_vec() } else { lines }
}
