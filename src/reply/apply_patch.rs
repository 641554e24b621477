//! The `*** Begin Patch` envelope: add, update, delete and move files, with `@@` anchors instead of line
//! numbers.

use super::edits::{Insert, Origin, Proposed, RefusalKind};
use super::joined;
use super::unified_diff::unquoted;
use super::walk::{Walk, Want};
use crate::task::Edit;

/// Reads the envelope that opens at the line `opening`. Without its end it is refused: it may be cut off.
pub(super) fn read(walk: &mut Walk<'_>, closed: bool, opening: usize, body: std::ops::Range<usize>) {
    let reply_line = opening as u32 + 1;
    if !closed {
        walk.refuse(RefusalKind::Truncated, None, reply_line, "the patch has no *** End Patch line");
        return;
    }
    let (mut at, end) = (body.start, body.end);
    while at < end {
        let section = (at + 1..end).find(|index| is_section(walk.lines[*index])).unwrap_or(end);
        read_section(walk, at, section);
        at = section;
    }
}

fn is_section(line: &str) -> bool {
    ["*** Add File:", "*** Update File:", "*** Delete File:"].iter().any(|mark| line.trim_start().starts_with(mark))
}

fn read_section(walk: &mut Walk<'_>, at: usize, end: usize) {
    let line = walk.lines[at].trim();
    let reply_line = at as u32 + 1;
    let Some((verb, path)) = line.split_once(':') else {
        if !line.is_empty() {
            walk.refuse(RefusalKind::Malformed, None, reply_line, "a patch line stands before any *** … File: line");
        }
        return;
    };
    let path = unquoted(path.trim());
    let want = if verb == "*** Update File" { Want::ExistingText } else { Want::ThisPath };
    let Some((path, instead)) = walk.target(&path, reply_line, want) else { return };
    walk.last_path = Some(path.clone());
    match verb {
        "*** Add File" => {
            let lines = &walk.lines[at + 1..end];
            let marked = lines.iter().filter(|line| line.starts_with('+')).count();
            if marked > 0 && lines.iter().any(|line| !line.starts_with('+') && !line.trim().is_empty()) {
                let message = format!("some lines of the new file {path} have no + before them");
                return walk.refuse(RefusalKind::Malformed, Some(&path), reply_line, message);
            }
            let mut content: Vec<String> =
                lines.iter().map(|line| line.strip_prefix('+').unwrap_or(line).to_owned()).collect();
            if marked > 0 {
                // A blank line without its mark is only a gap before the next section.
                let kept = lines.iter().rposition(|line| line.starts_with('+')).map_or(0, |last| last + 1);
                content.truncate(kept);
            }
            let edit = Edit::Write { path, content: joined(&content) };
            let mut proposed = Proposed::new(edit, Origin::ApplyPatch, reply_line);
            proposed.creates = true;
            walk.out.edits.push(proposed);
        }
        "*** Delete File" => {
            walk.out.edits.push(Proposed::new(Edit::Delete { path }, Origin::ApplyPatch, reply_line));
        }
        _ => read_update(walk, &path, instead.as_deref(), at, end),
    }
}

/// One chunk of an update: anchors, then old and new side.
#[derive(Default)]
struct Chunk {
    anchors: Vec<String>,
    search: Vec<String>,
    replace: Vec<String>,
    /// The region lies at the end of the file.
    last: bool,
    /// Blank lines at the end that are neither removed nor added.
    blank_tail: usize,
    at: usize,
}

fn read_update(walk: &mut Walk<'_>, path: &str, instead: Option<&str>, at: usize, end: usize) {
    let mut rename_to = None;
    let mut chunks: Vec<Chunk> = vec![Chunk { at, ..Chunk::default() }];
    for index in at + 1..end {
        let line = walk.lines[index];
        let chunk = chunks.last_mut().expect("invariant: there is always a chunk");
        if let Some(to) = line.strip_prefix("*** Move to:") {
            rename_to = Some(unquoted(to.trim()));
        } else if line.trim() == "*** End of File" {
            chunk.last = true;
        } else if let Some(anchor) = line.strip_prefix("@@") {
            let anchor = anchor.trim().trim_end_matches("@@").trim().to_owned();
            if chunk.search.is_empty() && chunk.replace.is_empty() {
                chunk.anchors.push(anchor);
            } else {
                chunks.push(Chunk { anchors: vec![anchor], at: index, ..Chunk::default() });
            }
        } else if let Some(added) = line.strip_prefix('+') {
            chunk.replace.push(added.to_owned());
            chunk.blank_tail = 0;
        } else if let Some(removed) = line.strip_prefix('-') {
            chunk.search.push(removed.to_owned());
            chunk.blank_tail = 0;
        } else {
            let context = line.strip_prefix(' ').unwrap_or(line).to_owned();
            chunk.blank_tail = if context.is_empty() { chunk.blank_tail + 1 } else { 0 };
            chunk.search.push(context.clone());
            chunk.replace.push(context);
        }
    }
    for chunk in &mut chunks {
        // Blank lines at a chunk's end usually belong to the patch, not to the file.
        chunk.search.truncate(chunk.search.len() - chunk.blank_tail);
        chunk.replace.truncate(chunk.replace.len() - chunk.blank_tail);
    }
    chunks.retain(|chunk| chunk.search != chunk.replace);
    if chunks.is_empty() && rename_to.is_none() {
        walk.out.notes.push(format!("the patch of {path} at line {} changes nothing", at + 1));
    }
    if chunks.is_empty() && rename_to.is_some() {
        chunks.push(Chunk { at, ..Chunk::default() });
    }
    for chunk in chunks {
        let edit =
            Edit::Replace { path: path.to_owned(), search: joined(&chunk.search), replace: joined(&chunk.replace) };
        let mut proposed = Proposed::new(edit, Origin::ApplyPatch, chunk.at as u32 + 1);
        proposed.hint.anchors = chunk.anchors.into_iter().filter(|anchor| !anchor.is_empty()).collect();
        proposed.instead = instead.map(str::to_owned);
        if chunk.search.is_empty() && !chunk.replace.is_empty() {
            let anchored = !proposed.hint.anchors.is_empty() && !chunk.last;
            proposed.insert = Some(if anchored { Insert::AfterAnchor } else { Insert::End });
        }
        proposed.rename_to = rename_to.take();
        walk.out.edits.push(proposed);
    }
}
