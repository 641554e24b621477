//! What a model is writing, while it writes: thinking, prose, fences, shell blocks and edit blocks.
//!
//! The one reader of a reply's anatomy. [`Scanner`] is fed pieces of text as they come and is asked what the text
//! is in the middle of ([`Scanner::inside_block`], [`Scanner::answer_has_begun`], …); [`blocks`] gives every block of
//! a complete text. Fences pair as CommonMark pairs them; beyond it stands what models do: fences within a Markdown
//! file, a fence opened anew without closing the one before, edit blocks with and without a fence around them.
//! Between the markers of an edit block nothing else is a marker, and inside any other block nothing is an edit.
//!
//! Not for: knowing files, paths or languages, reading an edit's parts, or choosing among blocks (`reply`).

mod fence;
pub mod marker;
mod scanner;
#[cfg(test)]
mod tests;
mod whole;

use std::ops::Range;

pub use fence::{Delimiter, dedented, delimiter};
pub use scanner::Scanner;
pub use whole::{blocks, proper, thinking_end};

/// The notation of an edit block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `<<<<<<< SEARCH` … `=======` … `>>>>>>> REPLACE`.
    SearchReplace,
    /// `---`/`+++` headers and hunks, or a fence tagged `diff`.
    UnifiedDiff,
    /// `*** Begin Patch` … `*** End Patch`.
    Patch,
    /// JSON or tags.
    ToolCall,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A fence: a program, a file, data, or an illustration.
    Code,
    /// A fence tagged as commands for a shell.
    Shell,
    /// A change in its own notation.
    Edit(Format),
}

/// One block. Offsets are bytes of everything pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about one block")]
pub struct Block {
    pub kind: Kind,
    /// What stands after the fence's opening marks, trimmed; empty for an edit block without a fence.
    pub info: String,
    /// Where the opening line begins.
    pub start: usize,
    /// The lines between the opening and the closing line.
    pub body: Range<usize>,
    /// After the closing line, or where the block was left.
    pub end: usize,
    /// The closing line was seen.
    pub closed: bool,
    /// Left because the next block began: the closing line may have been forgotten, or this was content.
    pub interrupted: bool,
    /// The fence's indentation in columns, which its lines carry too.
    pub indent: usize,
    /// Of an edit block inside a fence: where that fence's opening line begins.
    pub wrapped: Option<usize>,
    /// Of a SEARCH/REPLACE block: closed by a bare row of `>`, which may as well be content.
    pub soft: bool,
    /// A fence around a text that may show fences itself (Markdown).
    pub document: bool,
    /// The place of the closing line is uncertain: inside a string, or one of several that fit.
    pub doubtful: bool,
}

impl Block {
    /// Whether this may be (part of) an answer: anything but commands for a shell.
    pub const fn answers(&self) -> bool {
        !matches!(self.kind, Kind::Shell)
    }

    /// The body's lines in the text that was scanned: the fence's indentation is taken off, lines end in `\n`.
    pub fn body_of(&self, text: &str) -> String {
        let body = text.get(self.body.clone()).unwrap_or("");
        body.lines().flat_map(|line| [fence::dedented(line, self.indent), "\n"]).collect()
    }
}

/// What a piece of text brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A block began. A fence may turn out to wrap edits; then an edit's own event follows.
    Opened {
        kind: Kind,
        start: usize,
    },
    /// A block ended.
    Closed(Block),
    ThinkingBegan {
        at: usize,
    },
    /// Everything before `at` was thinking; its blocks are none of the answer's.
    ThinkingEnded {
        at: usize,
    },
}

/// The tags that a model's template puts around its thinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThinkTags {
    pub open: String,
    pub close: String,
}

impl ThinkTags {
    pub fn new(open: impl Into<String>, close: impl Into<String>) -> Self {
        Self { open: open.into(), close: close.into() }
    }

    /// The tags in common use, for a reply whose model is not known.
    pub fn common() -> Vec<Self> {
        vec![Self::new("<think>", "</think>"), Self::new("<thinking>", "</thinking>")]
    }
}
