//! Unified diffs as models write them: wrong line numbers, missing counts, missing headers, forgotten
//! leading spaces.
//!
//! A hunk becomes a [`Edit::Replace`] of its old side by its new side; its line number is only a hint.

use std::sync::LazyLock;

use regex::Regex;

use super::edits::{Insert, Origin, Proposed, RefusalKind};
use super::joined;
use super::walk::{Walk, Want};
use crate::task::Edit;

static HUNK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^@@(?:\s*-(\d+)(?:,\d+)?\s+\+\d+(?:,\d+)?)?\s*(?:\.\.\.)?\s*(?:@@)?(.*)$")
        .expect("invariant: the hunk pattern is valid")
});

/// The time behind a path, where blanks stand before it.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\s+\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}.*$").expect("invariant: the pattern of times is valid")
});

/// Whether a line begins the signature under a mailed patch: `-- ` and git's version.
fn is_signature(lines: &[&str], at: usize) -> bool {
    let next = lines.get(at + 1).map_or("", |line| line.trim());
    let version = next.contains('.') && next.starts_with(|c: char| c.is_ascii_digit());
    lines[at].trim_end() == "--" && version && next.split('.').count() >= 2 && !next.contains(' ')
}

fn is_file_header(lines: &[&str], at: usize) -> bool {
    lines[at].starts_with("--- ") && lines.get(at + 1).is_some_and(|next| next.starts_with("+++ "))
}

/// A path as git quotes it: in double quotes, other characters than ASCII as octal bytes.
pub(super) fn unquoted(written: &str) -> String {
    let Some(inner) = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return written.to_owned();
    };
    let (mut bytes, mut rest) = (Vec::new(), inner.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let octal = rest.iter().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
        if octal == 3 {
            bytes.push(rest[..3].iter().fold(0_u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0')));
            rest = &rest[3..];
        } else if let Some((&next, after)) = rest.split_first() {
            bytes.push(match next {
                b'n' => b'\n',
                b't' => b'\t',
                other => other,
            });
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| inner.to_owned())
}

/// One file's part of a diff.
#[derive(Default)]
struct FilePart {
    /// The paths of the `---` and `+++` lines; nothing for `/dev/null`.
    old: Option<String>,
    new: Option<String>,
    /// The `---` and `+++` lines were seen.
    headed: bool,
    /// The paths of the `diff --git` line.
    git: Option<(String, String)>,
    rename: Option<(String, String)>,
    hunks: Vec<Hunk>,
    created: bool,
    deleted: bool,
    executable: Option<bool>,
    /// What is not carried out: a copy, a binary patch.
    unsupported: Option<&'static str>,
    at: usize,
}

struct Hunk {
    line: Option<u32>,
    anchor: Option<String>,
    search: Vec<String>,
    replace: Vec<String>,
    /// The last line of the old side, and of the new side, has no line break.
    open_old: bool,
    open_new: bool,
    /// What the last line was: `-`, `+` or a blank for context.
    last: char,
    /// Blank lines at the end that are neither removed nor added.
    blank_tail: usize,
    at: usize,
}

/// Reads the diff in the lines `from..end`; `head` is the path above it, for a diff without file headers.
pub(super) fn read(walk: &mut Walk<'_>, from: usize, end: usize, head: Option<&str>, closed: bool) {
    let parts = split(&walk.lines, from, end);
    for part in parts {
        let reply_line = part.at as u32 + 1;
        if let Some(what) = part.unsupported {
            walk.refuse(RefusalKind::Unsupported, None, reply_line, what);
            continue;
        }
        if let Some((from, to)) = &part.git
            && !part.headed
            && part.rename.is_none()
            && part.hunks.is_empty()
            && !part.created
            && !part.deleted
            && part.executable.is_none()
        {
            let message = format!("the diff of {to} says nothing (`diff --git` for {from} without a change)");
            walk.refuse(RefusalKind::Malformed, Some(to), reply_line, message);
            continue;
        }
        emit(walk, part, head, closed);
    }
}

/// The old and the new path of a part, without the prefixes that diffs put before them.
fn paths_of(walk: &Walk<'_>, part: &FilePart, head: Option<&str>) -> Option<(String, String)> {
    if let Some(rename) = &part.rename {
        return Some(rename.clone());
    }
    let known = |path: &str| walk.known.contains(path);
    let bare = |path: &str| {
        let stripped = ["a/", "b/", "i/", "w/", "c/", "o/"].iter().find_map(|prefix| path.strip_prefix(prefix));
        stripped.filter(|rest| known(rest) || !known(path)).unwrap_or(path).to_owned()
    };
    let (old, new) = match (&part.old, &part.new, &part.git) {
        (Some(old), Some(new), _) | (None, None, Some((old, new))) => {
            // The same path twice has no prefix, unless only the one without it exists.
            if old == new && (known(old) || !known(&bare(old))) {
                return Some((old.clone(), new.clone()));
            }
            (bare(old), bare(new))
        }
        (Some(old), None, _) => (bare(old), bare(old)),
        (None, Some(new), _) => (bare(new), bare(new)),
        (None, None, None) => {
            // The text to replace says it where nothing else does.
            let home = || part.hunks.first().and_then(|hunk| walk.home_of(&hunk.search));
            let named = head.map(str::to_owned).or_else(home).or_else(|| walk.last_path.clone());
            let named = named.or_else(|| walk.known.only().map(str::to_owned))?;
            (named.clone(), named)
        }
    };
    if old == new {
        return Some((old, new));
    }
    // Two names without a rename: the file that there is.
    match (known(&old), known(&new)) {
        (true, false) => Some((old.clone(), old)),
        (false, true) => Some((new.clone(), new)),
        _ => {
            let tail = |path: &str| path.split_once('/').map(|(_, rest)| rest.to_owned());
            match (tail(&old), tail(&new)) {
                (Some(a), Some(b)) if a == b && known(&a) => Some((a.clone(), a)),
                _ => Some((new.clone(), new)),
            }
        }
    }
}

fn emit(walk: &mut Walk<'_>, part: FilePart, head: Option<&str>, closed: bool) {
    let reply_line = part.at as u32 + 1;
    let Some((old, new)) = paths_of(walk, &part, head) else {
        if !part.hunks.is_empty() {
            walk.refuse(RefusalKind::NoPath, None, reply_line, "a diff names no file; give it ---/+++ lines");
        }
        return;
    };
    let creates = part.created || (part.headed && part.old.is_none() && part.new.is_some());
    let deletes = part.deleted || (part.headed && part.new.is_none());
    let moves = part.rename.is_some();
    let exact = creates || deletes || moves || part.hunks.is_empty();
    let want = if exact { Want::ThisPath } else { Want::ExistingText };
    let Some((path, instead)) = walk.target(&old, reply_line, want) else { return };
    let executable = part.executable;
    let weak = head.is_none() && !part.headed && part.git.is_none() && walk.only_inferred(&path);
    walk.last_path = Some(path.clone());
    let propose = |edit: Edit, at: usize| {
        let mut proposed = Proposed::new(edit, Origin::UnifiedDiff, at as u32 + 1);
        proposed.closed = closed;
        proposed.weak = weak;
        proposed.instead.clone_from(&instead);
        proposed.executable = executable;
        proposed
    };
    let text_of = |side: fn(&Hunk) -> &Vec<String>, open: fn(&Hunk) -> bool| {
        let mut text: String = part.hunks.iter().map(|hunk| joined(side(hunk))).collect();
        if part.hunks.last().is_some_and(open) {
            text.pop();
        }
        text
    };
    if deletes {
        let mut proposed = propose(Edit::Delete { path }, part.at);
        let content = text_of(|hunk| &hunk.search, |hunk| hunk.open_old);
        proposed.deletes = (!content.is_empty()).then_some(content);
        walk.out.edits.push(proposed);
        return;
    }
    let only_added = part.hunks.iter().all(|hunk| hunk.search.is_empty());
    if creates || (only_added && !part.hunks.is_empty() && !walk.known.contains(&path) && instead.is_none()) {
        let content = text_of(|hunk| &hunk.replace, |hunk| hunk.open_new);
        let mut proposed = propose(Edit::Write { path, content }, part.at);
        proposed.creates = true;
        walk.out.edits.push(proposed);
        return;
    }
    let mut rename_to = moves.then_some(new);
    let mut pushed = false;
    for hunk in part.hunks.into_iter().filter(|hunk| hunk.search != hunk.replace || hunk.open_old != hunk.open_new) {
        let edit = Edit::Replace { path: path.clone(), search: joined(&hunk.search), replace: joined(&hunk.replace) };
        let mut proposed = propose(edit, hunk.at);
        proposed.rename_to = rename_to.take();
        walk.out.edits.push(placed(proposed, hunk));
        pushed = true;
    }
    if !pushed && (rename_to.is_some() || executable.is_some()) {
        let edit = Edit::Replace { path, search: String::new(), replace: String::new() };
        let mut proposed = propose(edit, part.at);
        proposed.rename_to = rename_to.take();
        walk.out.edits.push(proposed);
    } else if !pushed {
        walk.out.notes.push(format!("the diff of {path} at line {reply_line} changes nothing"));
    }
}

/// An edit with what its hunk says of its place.
fn placed(mut proposed: Proposed, hunk: Hunk) -> Proposed {
    proposed.hint.line = hunk.line;
    proposed.hint.anchors = hunk.anchor.into_iter().collect();
    if hunk.search.is_empty() {
        proposed.insert = Some(match (hunk.line, proposed.hint.anchors.is_empty()) {
            (Some(line), _) => Insert::AfterLine(line),
            (None, false) => Insert::AfterAnchor,
            (None, true) => Insert::End,
        });
    }
    if hunk.open_old != hunk.open_new {
        proposed.final_newline = Some(!hunk.open_new);
    }
    proposed
}

fn split(lines: &[&str], from: usize, end: usize) -> Vec<FilePart> {
    let mut parts: Vec<FilePart> = Vec::new();
    let mut at = from;
    while at < end {
        if is_signature(lines, at) {
            at += 2;
            continue;
        }
        let line = lines[at];
        let headed = is_file_header(lines, at) && at + 1 < end && !removes_dashes(lines, at, parts.last());
        let begins = line.starts_with("diff --git ");
        if begins || (headed && !fresh(parts.last())) || (parts.is_empty() && !line.trim().is_empty()) {
            parts.push(FilePart { at, git: git_paths(line), ..FilePart::default() });
        }
        let Some(part) = parts.last_mut() else {
            at += 1;
            continue;
        };
        if headed {
            part.old = side(line);
            part.new = side(lines[at + 1]);
            part.headed = true;
            at += 2;
            continue;
        }
        if !begins {
            header_or_body(part, line, at);
        }
        at += 1;
    }
    for part in &mut parts {
        part.hunks.iter_mut().for_each(trim_blank_tail);
        part.hunks.retain(|hunk| !hunk.search.is_empty() || !hunk.replace.is_empty());
    }
    parts.retain(|part| {
        part.headed
            || part.git.is_some()
            || !part.hunks.is_empty()
            || part.rename.is_some()
            || part.unsupported.is_some()
    });
    parts
}

/// Whether a `--- x` line with a `+++ y` line below it is a hunk's own: a removed and an added line. A file's header is
/// followed by a hunk, or by nothing.
fn removes_dashes(lines: &[&str], at: usize, part: Option<&FilePart>) -> bool {
    let in_hunk = part.is_some_and(|part| !part.hunks.is_empty());
    in_hunk && !lines.get(at + 2).is_none_or(|line| line.starts_with("@@") || line.trim().is_empty())
}

/// A part that has seen its `diff --git` line but no file header yet.
fn fresh(part: Option<&FilePart>) -> bool {
    part.is_some_and(|part| !part.headed && part.hunks.is_empty())
}

/// The two paths of a `diff --git` line, their prefixes kept.
fn git_paths(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("diff --git ")?.trim();
    if let Some(inner) = rest.strip_prefix('"') {
        let (first, second) = inner.split_once("\" ")?;
        return Some((unquoted(&format!("\"{first}\"")), unquoted(second.trim())));
    }
    // A path may have blanks: the second begins where ` b/` does and the two have one length.
    let half = rest.len() / 2;
    if rest.is_char_boundary(half)
        && rest.as_bytes().get(half) == Some(&b' ')
        && rest.get(1..half) == rest.get(half + 2..)
    {
        return Some((rest[..half].to_owned(), rest[half + 1..].to_owned()));
    }
    rest.split_once(' ').map(|(first, second)| (unquoted(first), unquoted(second.trim())))
}

fn header_or_body(part: &mut FilePart, line: &str, at: usize) {
    let hunk = |line, anchor| Hunk {
        line,
        anchor,
        search: Vec::new(),
        replace: Vec::new(),
        open_old: false,
        open_new: false,
        last: ' ',
        blank_tail: 0,
        at,
    };
    if line.starts_with("@@") {
        let captures = HUNK.captures(line);
        let number = captures.as_ref().and_then(|c| c.get(1)).and_then(|m| m.as_str().parse().ok());
        let anchor = captures.and_then(|c| c.get(2)).map(|m| m.as_str().trim().to_owned()).filter(|a| !a.is_empty());
        part.hunks.push(hunk(number, anchor));
    } else if part.hunks.is_empty() {
        let mode = |line: &str| line.trim().ends_with("755");
        if let Some(from) = line.strip_prefix("rename from ") {
            part.rename = Some((unquoted(from.trim()), String::new()));
        } else if let Some(to) = line.strip_prefix("rename to ") {
            if let Some(rename) = &mut part.rename {
                rename.1 = unquoted(to.trim());
            }
        } else if line.starts_with("copy from ") {
            part.unsupported = Some("a copy of a file is not carried out; give the new file whole");
        } else if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
            part.unsupported = Some("a binary patch is not carried out");
        } else if line.starts_with("deleted file") {
            part.deleted = true;
        } else if line.starts_with("new file") {
            part.created = true;
            part.executable = mode(line).then_some(true);
        } else if line.starts_with("new mode ") {
            part.executable = Some(mode(line));
        } else if line.starts_with(['+', '-', ' ']) {
            part.hunks.push(hunk(None, None));
            body_line(part, line);
        }
    } else {
        body_line(part, line);
    }
}

fn body_line(part: &mut FilePart, line: &str) {
    let Some(hunk) = part.hunks.last_mut() else { return };
    match line.chars().next() {
        Some('+') => {
            hunk.replace.push(line[1..].to_owned());
            (hunk.last, hunk.blank_tail) = ('+', 0);
        }
        Some('-') => {
            hunk.search.push(line[1..].to_owned());
            (hunk.last, hunk.blank_tail) = ('-', 0);
        }
        Some('\\') => {
            hunk.open_old |= hunk.last != '+';
            hunk.open_new |= hunk.last != '-';
        }
        // A context line, perhaps one whose leading space was forgotten.
        _ => {
            let text = line.strip_prefix(' ').unwrap_or(line);
            hunk.search.push(text.to_owned());
            hunk.replace.push(text.to_owned());
            hunk.last = ' ';
            hunk.blank_tail = if text.is_empty() { hunk.blank_tail + 1 } else { 0 };
        }
    }
}

/// Blank lines at a hunk's end usually belong to the reply, not to the file.
fn trim_blank_tail(hunk: &mut Hunk) {
    hunk.search.truncate(hunk.search.len() - hunk.blank_tail);
    hunk.replace.truncate(hunk.replace.len() - hunk.blank_tail);
}

/// The path of a `---`/`+++` line, its prefix kept; nothing for `/dev/null`.
fn side(line: &str) -> Option<String> {
    let path = line.get(4..)?.split('\t').next()?.trim();
    let path = TIME.find(path).map_or(path, |time| &path[..time.start()]);
    (path != "/dev/null").then(|| unquoted(path))
}

#[cfg(test)]
mod tests {
    use super::unquoted;

    #[test]
    fn git_quotes_what_is_not_ascii() {
        assert_eq!(unquoted(r#""a/caf\303\251.py""#), "a/café.py");
        assert_eq!(unquoted(r#""a/q\"x.py""#), "a/q\"x.py");
        assert_eq!(unquoted("a/x.py"), "a/x.py");
    }
}
