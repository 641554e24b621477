//! SEARCH/REPLACE blocks, with the marker variants that models really write.
//!
//! Not for: finding the text in a file (`workspace::matching`).

use std::sync::LazyLock;

use regex::Regex;

use super::blocks;
use super::edits::{Origin, Proposed, RefusalKind, Walk};
use super::paths;
use crate::task::Edit;

static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:(<{5,9})|-{5,9}) ?(?:SEARCH|ORIGINAL|HEAD|OLD|BEFORE|search|Search)\b[>:]?\s*(.*)$")
        .expect("invariant: the head pattern is valid")
});
static DIVIDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*(={5,9})\s*$").expect("invariant: the divider pattern is valid"));
static END: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(?:>{5,9}|\+{5,9}) ?(?:REPLACE|UPDATED|UPDATE|NEW|AFTER|HEAD|replace|Replace)?\b?[<:]?\s*$")
        .expect("invariant: the end pattern is valid")
});

/// Whether a line opens a block.
pub(super) fn is_head(line: &str) -> bool {
    HEAD.captures(line).is_some_and(|capture| {
        let rest = capture.get(2).map_or("", |m| m.as_str());
        rest.is_empty() || paths::is_path_like(rest.trim_matches(['`', '*', ' ', '>', '<']))
    })
}

/// Whether a line closes a block. (A bare row of `>` also closes one, but alone it means nothing.)
pub(super) fn is_end(line: &str) -> bool {
    END.is_match(line) && line.chars().any(char::is_alphabetic)
}

/// What stands between the markers.
struct Parts {
    search: Vec<String>,
    replace: Vec<String>,
    end: usize,
}

enum Fault {
    /// What is wrong, and where to read on.
    Malformed(&'static str, usize),
    Truncated,
}

/// Reads the block that opens at the walk's line.
pub(super) fn read(walk: &mut Walk<'_>) {
    let start = walk.at;
    let reply_line = start as u32 + 1;
    let on_marker = HEAD.captures(walk.lines[start]).and_then(|c| c.get(2)).map_or("", |m| m.as_str());
    let on_marker = on_marker.trim_matches(['`', '*', ' ', '>', '<']);
    let head = walk.head_above(start).map(|h| h.path);
    let written = if on_marker.is_empty() { head } else { Some(on_marker.to_owned()) };
    let parts = match parts(walk.lines, start) {
        Ok(parts) => parts,
        Err(fault) => return refuse(walk, &fault, written.as_deref(), reply_line),
    };
    walk.consume(parts.end + 1);
    let written = written.or_else(|| walk.last_path.clone()).or_else(|| walk.known.only().map(str::to_owned));
    let Some(written) = written else {
        let message = "a SEARCH/REPLACE block names no file; put its path on the line above the block";
        return walk.refuse(RefusalKind::NoPath, None, reply_line, message);
    };
    let Some((path, instead)) = walk.target(&written, reply_line, false) else { return };
    walk.last_path = Some(path.clone());
    let (search, line) = strip_line_hint(parts.search);
    let search = unwrap_fence(search, &path);
    let replace = unwrap_fence(parts.replace, &path);
    let edit = Edit::Replace { path, search: joined(&search), replace: joined(&replace) };
    let mut proposed = Proposed::new(edit, Origin::SearchReplace, reply_line);
    proposed.hint.line = line;
    proposed.instead = instead;
    walk.out.edits.push(proposed);
}

fn refuse(walk: &mut Walk<'_>, fault: &Fault, path: Option<&str>, reply_line: u32) {
    match fault {
        Fault::Malformed(what, next) => {
            walk.refuse(RefusalKind::Malformed, path, reply_line, *what);
            walk.consume(*next);
        }
        Fault::Truncated => {
            let message = "the reply ends inside a SEARCH/REPLACE block";
            walk.refuse(RefusalKind::Truncated, path, reply_line, message);
            walk.consume(walk.lines.len());
        }
    }
}

fn parts(lines: &[&str], start: usize) -> Result<Parts, Fault> {
    let width = HEAD.captures(lines[start]).and_then(|c| c.get(1)).map_or(7, |m| m.as_str().len());
    let bound = |from: usize| {
        (from..lines.len()).find(|index| END.is_match(lines[*index]) || is_head(lines[*index])).unwrap_or(lines.len())
    };
    let bound = bound(start + 1);
    let dividers: Vec<usize> = (start + 1..bound).filter(|index| DIVIDER.is_match(lines[*index])).collect();
    // A heading underlined with `=` is content: the divider has the width of the markers.
    let same_width: Vec<usize> = dividers.iter().copied().filter(|index| lines[*index].trim().len() == width).collect();
    let candidates = if same_width.is_empty() { &dividers } else { &same_width };
    let divider = match candidates.as_slice() {
        [only] => *only,
        [] if bound == lines.len() => return Err(Fault::Truncated),
        [] => return Err(Fault::Malformed("a SEARCH/REPLACE block has no ======= line", past(lines, bound))),
        _ => return Err(Fault::Malformed("a SEARCH/REPLACE block has more than one ======= line", past(lines, bound))),
    };
    if bound == lines.len() {
        return Err(Fault::Truncated);
    }
    if is_head(lines[bound]) {
        return Err(Fault::Malformed("a SEARCH/REPLACE block has no >>>>>>> REPLACE line", bound));
    }
    let owned = |from: usize, to: usize| lines[from..to].iter().map(|line| (*line).to_owned()).collect();
    Ok(Parts { search: owned(start + 1, divider), replace: owned(divider + 1, bound), end: bound })
}

/// Where to read on after a faulty block: after its end marker, or at the next block's head.
fn past(lines: &[&str], bound: usize) -> usize {
    bound + usize::from(END.is_match(lines[bound]))
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
        && lines
            .first()
            .and_then(|first| blocks::opening(first))
            .is_some_and(|fence| lines.last().is_some_and(|last| blocks::closes(last, &fence)));
    if wrapped { lines[1..lines.len() - 1].to_vec() } else { lines }
}

/// Lines to text: every line ended, nothing for no lines.
pub(super) fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}
