//! Unified diffs as models write them: wrong line numbers, missing counts, missing headers, forgotten
//! leading spaces.
//!
//! A hunk becomes a [`Edit::Replace`] of its old side by its new side; its line number is only a hint.

use std::sync::LazyLock;

use regex::Regex;

use super::edits::{Origin, Proposed, RefusalKind, Walk};
use super::search_replace::joined;
use crate::task::Edit;

static HUNK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^@@(?:\s*-(\d+)(?:,\d+)?\s+\+\d+(?:,\d+)?)?\s*(?:\.\.\.)?\s*(?:@@)?(.*)$")
        .expect("invariant: the hunk pattern is valid")
});

/// Whether a diff in plain text (outside a fence) begins here.
pub(super) fn begins_at(lines: &[&str], at: usize) -> bool {
    lines[at].starts_with("diff --git ") || is_file_header(lines, at)
}

fn is_file_header(lines: &[&str], at: usize) -> bool {
    lines[at].starts_with("--- ") && lines.get(at + 1).is_some_and(|next| next.starts_with("+++ "))
}

/// Whether a fenced body is a diff although its info string does not say so.
pub(super) fn looks_like(body: &[&str]) -> bool {
    (0..body.len()).any(|at| {
        is_file_header(body, at)
            && body.get(at + 2).is_some_and(|line| line.starts_with("@@") || line.starts_with(['+', '-', ' ']))
    }) || body.first().is_some_and(|line| line.starts_with("diff --git "))
}

/// The end of a diff in plain text: the first line that can belong to none.
pub(super) fn bare_end(lines: &[&str], from: usize) -> usize {
    const HEADERS: [&str; 12] = [
        "diff --git ",
        "index ",
        "--- ",
        "+++ ",
        "@@",
        "new file",
        "deleted file",
        "rename ",
        "similarity ",
        "old mode",
        "new mode",
        "\\ ",
    ];
    let belongs = |index: usize| {
        let line = lines[index];
        HEADERS.iter().any(|header| line.starts_with(header))
            || line.starts_with(['+', '-', ' '])
            || (line.is_empty() && lines.get(index + 1).is_some_and(|next| next.starts_with(['+', '-', ' ', '@'])))
    };
    (from..lines.len()).find(|index| !belongs(*index)).unwrap_or(lines.len())
}

/// One file's part of a diff.
#[derive(Default)]
struct FilePart {
    old: Option<String>,
    new: Option<String>,
    rename: Option<(String, String)>,
    hunks: Vec<Hunk>,
    deleted: bool,
    at: usize,
}

struct Hunk {
    line: Option<u32>,
    anchor: Option<String>,
    search: Vec<String>,
    replace: Vec<String>,
    at: usize,
}

/// Reads the diff in `lines[from..end]`; `head` is the path above it, for a diff without file headers.
pub(super) fn read(walk: &mut Walk<'_>, from: usize, end: usize, head: Option<&str>, closed: bool) {
    let parts = split(walk.lines, from, end);
    for part in parts {
        let named = part.new.clone().or_else(|| part.old.clone()).or_else(|| head.map(str::to_owned));
        let written = named.or_else(|| walk.last_path.clone()).or_else(|| walk.known.only().map(str::to_owned));
        let reply_line = part.at as u32 + 1;
        let Some(written) = written else {
            if !part.hunks.is_empty() {
                walk.refuse(RefusalKind::NoPath, None, reply_line, "a diff names no file; give it ---/+++ lines");
            }
            continue;
        };
        emit(walk, part, &written, closed);
    }
}

fn emit(walk: &mut Walk<'_>, part: FilePart, written: &str, closed: bool) {
    let reply_line = part.at as u32 + 1;
    let old = part.rename.as_ref().map_or(written, |(from, _)| from.as_str()).to_owned();
    let creates = part.old.is_none() && part.new.is_some();
    let Some((path, instead)) = walk.target(&old, reply_line, creates) else { return };
    walk.last_path = Some(path.clone());
    let propose = |edit: Edit, at: usize| {
        let mut proposed = Proposed::new(edit, Origin::UnifiedDiff, at as u32 + 1);
        proposed.closed = closed;
        proposed.instead.clone_from(&instead);
        proposed
    };
    if part.deleted {
        walk.out.edits.push(propose(Edit::Delete { path }, part.at));
        return;
    }
    let only_added = part.hunks.iter().all(|hunk| hunk.search.is_empty());
    if only_added && !part.hunks.is_empty() && (creates || !walk.known.contains(&path)) {
        let content = part.hunks.iter().map(|hunk| joined(&hunk.replace)).collect();
        walk.out.edits.push(propose(Edit::Write { path, content }, part.at));
        return;
    }
    let mut rename_to = part.rename.map(|(_, to)| to);
    if part.hunks.is_empty() && rename_to.is_some() {
        let edit = Edit::Replace { path: path.clone(), search: String::new(), replace: String::new() };
        let mut proposed = propose(edit, part.at);
        proposed.rename_to = rename_to.take();
        walk.out.edits.push(proposed);
    }
    for hunk in part.hunks.into_iter().filter(|hunk| hunk.search != hunk.replace) {
        let edit = Edit::Replace { path: path.clone(), search: joined(&hunk.search), replace: joined(&hunk.replace) };
        let mut proposed = propose(edit, hunk.at);
        proposed.hint.line = hunk.line;
        proposed.hint.anchors = hunk.anchor.into_iter().collect();
        proposed.rename_to = rename_to.take();
        walk.out.edits.push(proposed);
    }
}

fn split(lines: &[&str], from: usize, end: usize) -> Vec<FilePart> {
    let mut parts: Vec<FilePart> = Vec::new();
    let mut at = from;
    while at < end {
        let line = lines[at];
        let headed = is_file_header(lines, at) && at + 1 < end;
        if line.starts_with("diff --git ") || (headed && !fresh(parts.last())) || parts.is_empty() {
            parts.push(FilePart { at, ..FilePart::default() });
        }
        let part = parts.last_mut().expect("invariant: a part was pushed before the first line is read");
        if headed {
            part.old = side(line);
            part.new = side(lines[at + 1]);
            part.deleted |= part.new.is_none();
            at += 2;
            continue;
        }
        header_or_body(part, line, at);
        at += 1;
    }
    for part in &mut parts {
        part.hunks.iter_mut().for_each(trim_blank_tail);
        part.hunks.retain(|hunk| !hunk.search.is_empty() || !hunk.replace.is_empty());
    }
    parts
}

/// A part that has seen its `diff --git` line but no file header yet.
fn fresh(part: Option<&FilePart>) -> bool {
    part.is_some_and(|part| part.old.is_none() && part.new.is_none() && part.hunks.is_empty())
}

fn header_or_body(part: &mut FilePart, line: &str, at: usize) {
    if line.starts_with("@@") {
        let captures = HUNK.captures(line);
        let number = captures.as_ref().and_then(|c| c.get(1)).and_then(|m| m.as_str().parse().ok());
        let anchor = captures.and_then(|c| c.get(2)).map(|m| m.as_str().trim().to_owned()).filter(|a| !a.is_empty());
        part.hunks.push(Hunk { line: number, anchor, search: Vec::new(), replace: Vec::new(), at });
    } else if part.hunks.is_empty() {
        if let Some(from) = line.strip_prefix("rename from ") {
            part.rename = Some((from.trim().to_owned(), String::new()));
        } else if let Some(to) = line.strip_prefix("rename to ") {
            if let Some(rename) = &mut part.rename {
                to.trim().clone_into(&mut rename.1);
            }
        } else if line.starts_with("deleted file") {
            part.deleted = true;
        } else if line.starts_with(['+', '-', ' ']) {
            part.hunks.push(Hunk { line: None, anchor: None, search: Vec::new(), replace: Vec::new(), at });
            body_line(part, line);
        }
    } else {
        body_line(part, line);
    }
}

fn body_line(part: &mut FilePart, line: &str) {
    let Some(hunk) = part.hunks.last_mut() else { return };
    match line.chars().next() {
        Some('+') => hunk.replace.push(line[1..].to_owned()),
        Some('-') => hunk.search.push(line[1..].to_owned()),
        Some('\\') => {}
        Some(' ') => {
            hunk.search.push(line[1..].to_owned());
            hunk.replace.push(line[1..].to_owned());
        }
        // A context line whose leading space was forgotten.
        _ => {
            hunk.search.push(line.to_owned());
            hunk.replace.push(line.to_owned());
        }
    }
}

/// Blank lines at a hunk's end usually belong to the reply, not to the file.
fn trim_blank_tail(hunk: &mut Hunk) {
    while hunk.search.last().is_some_and(String::is_empty) && hunk.replace.last().is_some_and(String::is_empty) {
        hunk.search.pop();
        hunk.replace.pop();
    }
}

/// The path of a `---`/`+++` line; nothing for `/dev/null`.
fn side(line: &str) -> Option<String> {
    let path = line.get(4..)?.split('\t').next()?.trim();
    if path == "/dev/null" {
        return None;
    }
    let path = path.trim_matches('"');
    Some(path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path).to_owned())
}
