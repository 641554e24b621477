//! From a reply to proposed edits: every format in which a small model states a change, read in one walk.
//!
//! Understood are whole files in fences headed by their path, SEARCH/REPLACE blocks, unified diffs,
//! `*** Begin Patch` envelopes and tool calls written as JSON or tags. What looks like an edit but cannot
//! be read becomes a [`Refusal`]; nothing is dropped silently.
//!
//! Not for: looking at file contents or the disk; `workspace::plan` decides whether an edit holds.

use serde::{Deserialize, Serialize};

use super::paths::{self, Head, Known, Meant};
use super::{apply_patch, blocks, search_replace, tool_call, unified_diff};
use crate::task::Edit;

/// One edit as a reply states it, with what helps to place it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    pub edit: Edit,
    pub origin: Origin,
    /// The line of the reply (from 1) where the edit begins.
    pub reply_line: u32,
    /// Where the reply says the region is; used only to choose between several exact matches.
    pub hint: Hint,
    /// The end of the block was seen. An open block may be a truncated one.
    pub closed: bool,
    /// The path was only mentioned in a sentence: the block may be a snippet rather than the file.
    pub weak: bool,
    /// An existing file that a whole-file block without a folder may mean instead of a new file.
    pub instead: Option<String>,
    /// The first line of the content, where it is a comment that served as the heading. It is content only
    /// if the file has it already.
    pub label: Option<String>,
    /// A move that goes with the edit.
    pub rename_to: Option<String>,
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
            label: None,
            rename_to: None,
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

/// Reads every edit out of a reply. Paths come back resolved against the project's files where that is
/// possible without guessing.
pub fn read(reply: &str, known: &Known) -> Reading {
    let text = blocks::proper(reply);
    let lines: Vec<&str> = text.lines().collect();
    let mut walk = Walk { lines: &lines, known, at: 0, free_from: 0, last_path: None, out: Reading::default() };
    while walk.at < lines.len() {
        walk.step();
    }
    let mut out = walk.out;
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
fn settle(out: &mut Reading, known: &Known) {
    let patched = out.edits.iter().any(|e| e.origin != Origin::WholeFile);
    let strong: Vec<String> = out.edits.iter().filter(|e| !e.weak).map(|e| e.edit.path().to_owned()).collect();
    let mut kept: Vec<Proposed> = Vec::with_capacity(out.edits.len());
    for proposed in std::mem::take(&mut out.edits) {
        let path = proposed.edit.path().to_owned();
        let whole = proposed.origin == Origin::WholeFile;
        if proposed.weak && (strong.contains(&path) || (patched && known.contains(&path))) {
            out.notes.push(format!("the block at line {} only illustrates {path}", proposed.reply_line));
        } else if kept.iter().any(|other| other.edit == proposed.edit) {
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

/// The state of one walk over a reply's lines.
pub(super) struct Walk<'a> {
    pub lines: &'a [&'a str],
    pub known: &'a Known,
    pub at: usize,
    /// Lines before this one belong to blocks already read and head nothing.
    pub free_from: usize,
    pub last_path: Option<String>,
    pub out: Reading,
}

impl Walk<'_> {
    fn step(&mut self) {
        let line = self.lines[self.at];
        if search_replace::is_head(line) {
            search_replace::read(self);
        } else if apply_patch::is_begin(line) {
            apply_patch::read(self);
        } else if tool_call::is_tag(line) {
            tool_call::read_tagged(self);
        } else if let Some(fence) = blocks::opening(line) {
            self.fenced(&fence);
        } else if unified_diff::begins_at(self.lines, self.at) {
            let end = unified_diff::bare_end(self.lines, self.at);
            unified_diff::read(self, self.at, end, None, true);
            self.consume(end);
        } else if tool_call::begins_bare(line) {
            tool_call::read_bare(self);
        } else {
            self.at += 1;
        }
    }

    /// Moves past a block.
    pub(super) fn consume(&mut self, to: usize) {
        self.at = to.max(self.at + 1);
        self.free_from = self.at;
    }

    fn fenced(&mut self, fence: &blocks::Opening) {
        let body_from = self.at + 1;
        let head = self
            .head_above(self.at)
            .or_else(|| paths::info_path(&fence.info, self.known).map(|path| Head { path, bare: true }));
        let in_info = paths::info_path(&fence.info, self.known);
        let markdown = in_info.as_deref().or(head.as_ref().map(|h| h.path.as_str())).is_some_and(is_markdown)
            || matches!(fence.info.to_lowercase().as_str(), "markdown" | "md" | "mdx");
        let (end, closed) = self.fence_end(body_from, fence, markdown);
        let body = &self.lines[body_from..end];
        // The markers of these formats carry their own structure; the fence around them is only wrapping.
        if body.iter().any(|line| search_replace::is_head(line) || apply_patch::is_begin(line)) {
            self.at = body_from;
            return;
        }
        let past = (end + usize::from(closed)).min(self.lines.len());
        let is_diff =
            matches!(fence.info.to_lowercase().as_str(), "diff" | "patch" | "udiff") || unified_diff::looks_like(body);
        if is_diff && !head.as_ref().is_some_and(|h| h.bare && is_diff_file(&h.path)) {
            unified_diff::read(self, body_from, end, head.as_ref().map(|h| h.path.as_str()), closed);
        } else if !head.as_ref().is_some_and(|h| h.bare) && tool_call::looks_like(&body.join("\n")) {
            tool_call::read_json(self, &body.join("\n"), body_from);
        } else {
            self.whole_file(fence, head, body_from, end, closed);
        }
        self.consume(past);
    }

    /// The end of a fenced body. A file block that was never closed ends where the next one is headed.
    fn fence_end(&self, from: usize, fence: &blocks::Opening, markdown: bool) -> (usize, bool) {
        let (end, closed) = blocks::body_end(self.lines, from, fence, markdown);
        if markdown {
            return (end, closed);
        }
        for index in from + 1..end {
            let reopened =
                blocks::opening(self.lines[index]).is_some_and(|o| !o.info.is_empty() && o.indent <= fence.indent);
            let headed = paths::head_path(self.lines[index - 1], self.known).is_some_and(|h| h.bare);
            if reopened && headed {
                return (index - 1, false);
            }
        }
        (end, closed)
    }

    fn whole_file(&mut self, fence: &blocks::Opening, head: Option<Head>, from: usize, end: usize, closed: bool) {
        let mut body: Vec<&str> = self.lines[from..end].to_vec();
        if fence.indent > 0 {
            body = body.iter().map(|line| dedent(line, fence.indent)).collect();
        }
        let mut head = head.filter(|h| h.bare || !is_console(&fence.info));
        let mut label = None;
        if !head.as_ref().is_some_and(|h| h.bare)
            && let Some((first, path)) = body.first().and_then(|l| Some((*l, paths::comment_path(l, self.known)?)))
        {
            label = Some(first.to_owned());
            head = Some(Head { path, bare: true });
        }
        let Some(head) = head.or_else(|| self.only_file(fence)) else { return };
        if let Some(at) = (from..end).find(|index| search_replace::is_end(self.lines[*index])) {
            let message = "a block has a >>>>>>> REPLACE line but no <<<<<<< SEARCH line";
            return self.refuse(RefusalKind::Malformed, Some(&head.path), at as u32 + 1, message);
        }
        let mut content = body.join("\n");
        if !content.is_empty() {
            content.push('\n');
        }
        let line = self.at as u32 + 1;
        let Some((path, instead)) = self.target(&head.path, line, true) else { return };
        let mut proposed = Proposed::new(Edit::Write { path, content }, Origin::WholeFile, line);
        proposed.closed = closed;
        proposed.weak = !head.bare;
        proposed.instead = instead;
        proposed.label = label;
        self.out.edits.push(proposed);
    }

    /// Without any heading, a block can only mean the project's one file.
    fn only_file(&self, fence: &blocks::Opening) -> Option<Head> {
        let only = self.known.only()?;
        let extension = only.rsplit_once('.').map_or("", |(_, extension)| extension);
        let language = crate::task::Language::from_extension(extension)?;
        let tagged = crate::task::Language::from_fence_tag(&fence.info);
        (tagged == Some(language)).then(|| Head { path: only.to_owned(), bare: false })
    }

    /// The path that the lines just above `index` give: the nearest line with text (fences skipped), and
    /// the one above it where that is nothing but a path.
    pub(super) fn head_above(&self, index: usize) -> Option<Head> {
        let mut texts = 0;
        for above in (self.free_from..index).rev().take(6) {
            let line = self.lines[above];
            if line.trim().is_empty() {
                continue;
            }
            if let Some(fence) = blocks::opening(line) {
                if let Some(path) = paths::info_path(&fence.info, self.known) {
                    return Some(Head { path, bare: true });
                }
                continue;
            }
            let head = paths::head_path(line, self.known);
            if let Some(head) = head.filter(|h| texts == 0 || h.bare) {
                return Some(head);
            }
            texts += 1;
            if texts == 2 {
                break;
            }
        }
        None
    }

    /// Resolves a written path, noting what was tolerated; refuses a made-up one. The second value is an
    /// existing file that may be meant where `whole` content is given without a folder.
    pub(super) fn target(&mut self, written: &str, reply_line: u32, whole: bool) -> Option<(String, Option<String>)> {
        match paths::meant(written, self.known) {
            Meant::Exact(path) => Some((path, None)),
            Meant::Loosely { path, written } if whole && !written.contains('/') && path.contains('/') => {
                Some((written, Some(path)))
            }
            Meant::Loosely { path, written } => {
                self.out.notes.push(format!("{written} was taken for {path}"));
                Some((path, None))
            }
            Meant::Placeholder(path) => {
                if let Some(only) = self.known.only() {
                    self.out.notes.push(format!("{path} was taken for {only}"));
                    return Some((only.to_owned(), None));
                }
                let message = format!("{path} is a placeholder; name a real file of the project");
                self.refuse(RefusalKind::NoPath, Some(&path), reply_line, message);
                None
            }
        }
    }

    pub(super) fn refuse(&mut self, kind: RefusalKind, path: Option<&str>, line: u32, message: impl Into<String>) {
        self.out.refused.push(Refusal::new(kind, path, line, message));
    }
}

fn is_markdown(path: &str) -> bool {
    matches!(paths::extension(path).as_str(), "md" | "mdx" | "markdown")
}

fn is_diff_file(path: &str) -> bool {
    matches!(paths::extension(path).as_str(), "diff" | "patch")
}

/// Info strings of blocks that show commands or their output rather than a file.
fn is_console(info: &str) -> bool {
    let tag = info.split_whitespace().next().unwrap_or("").to_lowercase();
    matches!(
        tag.as_str(),
        "bash" | "sh" | "shell" | "zsh" | "console" | "text" | "txt" | "output" | "powershell" | "cmd"
    )
}

fn dedent(line: &str, indent: usize) -> &str {
    let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
    &line[indent.min(blank)..]
}
