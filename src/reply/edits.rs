//! From a reply to proposed edits: every format in which a small model states a change, read in one walk.
//!
//! Understood are whole files in fences headed by their path, SEARCH/REPLACE blocks, unified diffs,
//! `*** Begin Patch` envelopes and tool calls written as JSON or tags. What looks like an edit but cannot
//! be read becomes a [`Refusal`]; nothing is dropped silently.
//!
//! Not for: looking at file contents or the disk; `workspace::plan` decides whether an edit holds.

use serde::{Deserialize, Serialize};

use super::paths::Known;
use super::walk::Walk;
use crate::scan;
use crate::task::Edit;

/// One edit as a reply states it, with what helps to place it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one edit")]
pub struct Proposed {
    pub edit: Edit,
    pub origin: Origin,
    /// The line of the reply (from 1) where the edit begins.
    pub reply_line: u32,
    /// Where the reply says the region is; used only to choose between several exact matches.
    pub hint: Hint,
    /// The end of the block was seen. An open block may be a truncated one.
    pub closed: bool,
    /// Which file is meant was inferred: the path was only mentioned in a sentence, or is another's. The block may be
    /// a snippet rather than the file.
    pub weak: bool,
    /// An existing file that is meant where the named one does not exist and the text to replace stands in this one.
    pub instead: Option<String>,
    /// Other readings of the same block, where its markers fit its content too. The one whose search text the file
    /// has is meant; several are none.
    pub others: Vec<Edit>,
    /// Replace every occurrence rather than the only one.
    pub all: bool,
    /// The edit only adds: where.
    pub insert: Option<Insert>,
    /// What the edit says about the file's mode.
    pub executable: Option<bool>,
    /// What the edit says about a line break at the file's end.
    pub final_newline: Option<bool>,
    /// The file must not exist yet.
    pub creates: bool,
    /// The content was held against the file before by the reader: it is the whole file, whatever it keeps.
    pub fitted: bool,
    /// Of a deletion: the content that the reply believes to delete.
    pub deletes: Option<String>,
    /// The first line of the content, where it is a comment that served as the heading. It is content only
    /// if the file has it already.
    pub label: Option<String>,
    /// A move that goes with the edit.
    pub rename_to: Option<String>,
    /// The words above the block say that it is added to what is there.
    pub adds: bool,
}

impl Proposed {
    pub fn new(edit: Edit, origin: Origin, reply_line: u32) -> Self {
        Self {
            edit,
            origin,
            reply_line,
            hint: Hint::default(),
            closed: true,
            weak: false,
            instead: None,
            others: Vec::new(),
            all: false,
            insert: None,
            executable: None,
            final_newline: None,
            creates: false,
            fitted: false,
            deletes: None,
            label: None,
            rename_to: None,
            adds: false,
        }
    }
}

/// The format that an edit was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    WholeFile,
    SearchReplace,
    UnifiedDiff,
    ApplyPatch,
    ToolCall,
}

/// Where an edit adds text that replaces nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Insert {
    /// After this line of the file before the reply (from 1; 0 is the beginning).
    AfterLine(u32),
    /// After the line that the hint's anchors name.
    AfterAnchor,
    /// At the end of the file.
    End,
}

/// Where a reply says a region is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// Line number (from 1) in the file before the reply.
    pub line: Option<u32>,
    /// Lines that stand somewhere above the region, outermost first.
    pub anchors: Vec<String>,
}

/// Why an edit was not taken. `kind` is stable and documented in `docs/apply.md`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    pub kind: RefusalKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub reply_line: u32,
    /// One or two sentences for a person or a model.
    pub message: String,
    /// The nearest region of the file, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Region>,
    /// Where the text occurs, where it occurs more than once (line numbers from 1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<u32>,
}

impl Refusal {
    pub fn new(kind: RefusalKind, path: Option<&str>, reply_line: u32, message: impl Into<String>) -> Self {
        let path = path.map(str::to_owned);
        Self { kind, path, reply_line, message: message.into(), nearest: None, lines: Vec::new() }
    }
}

/// Some lines of a file as they stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    pub first_line: u32,
    pub last_line: u32,
    pub text: String,
    /// 0..=1 against what was looked for.
    pub similarity: f32,
}

/// The class of a [`Refusal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The reply holds no edit at all.
    NoEdits,
    /// A block's markers are out of order or missing.
    Malformed,
    /// The reply ends inside a block.
    Truncated,
    /// A block names no file, or a made-up one.
    NoPath,
    /// The path is outside the project or may not be touched.
    Forbidden,
    /// The file is binary, not UTF-8, or too large.
    Unreadable,
    /// The file does not exist.
    Missing,
    /// The text to be replaced is not in the file.
    NotFound,
    /// The text to be replaced is in the file more than once.
    Ambiguous,
    /// The change stands in the file already.
    AlreadyApplied,
    /// The new text leaves code out ("rest unchanged").
    Elided,
    /// A whole-file block drops a large part of an existing file.
    Shrinks,
    /// The change brings in syntax errors.
    Syntax,
    /// The reply asks for something that is no edit here.
    Unsupported,
}

/// Everything found in a reply, in its order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub edits: Vec<Proposed>,
    pub refused: Vec<Refusal>,
    /// What was tolerated, one sentence each.
    pub notes: Vec<String>,
}

impl Reading {
    /// The edits alone, for a [`crate::task::Candidate`].
    pub fn plain(&self) -> Vec<Edit> {
        self.edits.iter().map(|proposed| proposed.edit.clone()).collect()
    }
}

/// Reads every edit out of a reply, strictly: a path means that path, and what is not said plainly is refused.
pub fn read(reply: &str, known: &Known) -> Reading {
    let text = scan::proper(reply);
    let mut out = Walk::over(&text, known, &[]).out;
    settle(&mut out, known);
    if out.edits.is_empty() && out.refused.is_empty() {
        out.refused.push(Refusal::new(
            RefusalKind::NoEdits,
            None,
            1,
            "the reply holds no edit: no file block with a path, no SEARCH/REPLACE block, no diff",
        ));
    }
    out
}

/// Cross-checks the edits of one reply: a weak block never overrides what was said plainly, a repeated
/// block counts once, and of two whole versions of a file the later is meant.
pub(super) fn settle(out: &mut Reading, known: &Known) {
    let patched = out.edits.iter().any(|e| e.origin != Origin::WholeFile);
    let strong: Vec<String> = out.edits.iter().filter(|e| !e.weak).map(|e| e.edit.path().to_owned()).collect();
    let mut kept: Vec<Proposed> = Vec::with_capacity(out.edits.len());
    for proposed in std::mem::take(&mut out.edits) {
        let path = proposed.edit.path().to_owned();
        let whole = proposed.origin == Origin::WholeFile;
        if proposed.weak && whole && (strong.contains(&path) || (patched && known.contains(&path))) {
            out.notes.push(format!("the block at line {} only illustrates {path}", proposed.reply_line));
        } else if proposed.insert.is_none()
            && kept.iter().any(|other| other.edit == proposed.edit && other.hint == proposed.hint)
        {
            out.notes.push(format!("the block at line {} repeats an earlier one", proposed.reply_line));
        } else {
            if whole
                && let Some(before) = kept.iter().position(|o| o.origin == Origin::WholeFile && o.edit.path() == path)
            {
                out.notes.push(format!("{path} is given twice; the later version counts"));
                kept.remove(before);
            }
            kept.push(proposed);
        }
    }
    out.edits = kept;
}
