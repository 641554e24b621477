//! The `*** Begin Patch` envelope: add, update, delete and move files, with `@@` anchors instead of line
//! numbers.

use super::edits::{Origin, Proposed, RefusalKind, Walk};
use super::search_replace::joined;
use crate::task::Edit;

pub(super) fn is_begin(line: &str) -> bool {
    line.trim() == "*** Begin Patch"
}

/// Reads the envelope that opens at the walk's line. Without its end it is refused: it may be cut off.
pub(super) fn read(walk: &mut Walk<'_>) {
    let from = walk.at + 1;
    let reply_line = walk.at as u32 + 1;
    let Some(end) = (from..walk.lines.len()).find(|index| walk.lines[*index].trim() == "*** End Patch") else {
        walk.refuse(RefusalKind::Truncated, None, reply_line, "the patch has no *** End Patch line");
        return walk.consume(walk.lines.len());
    };
    let mut at = from;
    while at < end {
        let section = (at + 1..end).find(|index| is_section(walk.lines[*index])).unwrap_or(end);
        read_section(walk, at, section);
        at = section;
    }
    walk.consume(end + 1);
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
    let path = path.trim();
    let adds = verb == "*** Add File";
    let Some((path, _)) = walk.target(path, reply_line, adds) else { return };
    walk.last_path = Some(path.clone());
    match verb {
        "*** Add File" => {
            let content: Vec<String> =
                walk.lines[at + 1..end].iter().map(|line| line.strip_prefix('+').unwrap_or(line).to_owned()).collect();
            let edit = Edit::Write { path, content: joined(&content) };
            walk.out.edits.push(Proposed::new(edit, Origin::ApplyPatch, reply_line));
        }
        "*** Delete File" => {
            walk.out.edits.push(Proposed::new(Edit::Delete { path }, Origin::ApplyPatch, reply_line));
        }
        _ => read_update(walk, &path, at, end),
    }
}

/// One chunk of an update: anchors, then old and new side.
#[derive(Default)]
struct Chunk {
    anchors: Vec<String>,
    search: Vec<String>,
    replace: Vec<String>,
    at: usize,
}

fn read_update(walk: &mut Walk<'_>, path: &str, at: usize, end: usize) {
    let mut rename_to = None;
    let mut chunks: Vec<Chunk> = vec![Chunk { at, ..Chunk::default() }];
    for index in at + 1..end {
        let line = walk.lines[index];
        let chunk = chunks.last_mut().expect("invariant: there is always a chunk");
        if let Some(to) = line.strip_prefix("*** Move to:") {
            rename_to = Some(to.trim().to_owned());
        } else if line.trim() == "*** End of File" {
            // The region then lies at the end; a unique match needs no such help.
        } else if let Some(anchor) = line.strip_prefix("@@") {
            let anchor = anchor.trim().trim_end_matches("@@").trim().to_owned();
            if chunk.search.is_empty() && chunk.replace.is_empty() {
                chunk.anchors.push(anchor);
            } else {
                chunks.push(Chunk { anchors: vec![anchor], at: index, ..Chunk::default() });
            }
        } else if let Some(added) = line.strip_prefix('+') {
            chunk.replace.push(added.to_owned());
        } else if let Some(removed) = line.strip_prefix('-') {
            chunk.search.push(removed.to_owned());
        } else {
            let context = line.strip_prefix(' ').unwrap_or(line).to_owned();
            chunk.search.push(context.clone());
            chunk.replace.push(context);
        }
    }
    chunks.retain(|chunk| chunk.search != chunk.replace);
    if chunks.is_empty() && rename_to.is_some() {
        chunks.push(Chunk { at, ..Chunk::default() });
    }
    for chunk in chunks {
        let edit =
            Edit::Replace { path: path.to_owned(), search: joined(&chunk.search), replace: joined(&chunk.replace) };
        let mut proposed = Proposed::new(edit, Origin::ApplyPatch, chunk.at as u32 + 1);
        proposed.hint.anchors = chunk.anchors.into_iter().filter(|anchor| !anchor.is_empty()).collect();
        proposed.rename_to = rename_to.take();
        walk.out.edits.push(proposed);
    }
}
