//! Fences line by line: what opens one, what closes it, what is its content.

use super::{Block, Format, Kind, marker};

/// A row of back ticks or tildes that may open or close a fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delimiter<'a> {
    pub mark: char,
    pub length: usize,
    /// In columns, a list's marker on the same line included.
    pub indent: usize,
    pub info: &'a str,
}

/// Reads a line as a fence's delimiter, at whatever indentation.
pub fn delimiter(line: &str) -> Option<Delimiter<'_>> {
    let trimmed = line.trim_start_matches([' ', '\t']);
    let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = trimmed.trim_start_matches(mark);
    let length = trimmed.len() - rest.len();
    let info = rest.trim();
    // "```x```" on one line is inline code.
    let fence = length >= 3 && !(mark == '`' && info.contains('`'));
    fence.then(|| Delimiter { mark, length, indent: columns(&line[..line.len() - trimmed.len()]), info })
}

/// The width of white space, with tab stops at every fourth column.
pub(super) fn columns(blank: &str) -> usize {
    blank.chars().fold(0, |at, c| if c == '\t' { at + 4 - at % 4 } else { at + 1 })
}

/// A line without the indentation of the fence that it stands in.
pub fn dedented(line: &str, indent: usize) -> &str {
    let blank = line.len() - line.trim_start_matches(' ').len();
    &line[blank.min(indent)..]
}

/// A list's marker at the beginning of a line: the column where the item's text begins, and its byte.
pub(super) fn list_item(line: &str) -> Option<(usize, usize)> {
    let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
    let rest = &line[blank..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let mark = match rest.as_bytes().get(digits) {
        Some(b'-' | b'*' | b'+') if digits == 0 => 1,
        Some(b'.' | b')') if (1..=9).contains(&digits) => digits + 1,
        _ => return None,
    };
    let after = &rest[mark..];
    let gap = after.len() - after.trim_start_matches([' ', '\t']).len();
    if gap == 0 && !after.is_empty() {
        return None;
    }
    // Five and more blanks after the marker belong to the text.
    let gap = if gap > 4 { 1 } else { gap.max(1) };
    let byte = (blank + mark + gap).min(line.len());
    Some((columns(&line[..blank]) + mark + gap, byte))
}

/// Info strings of commands for a shell.
const SHELLS: [&str; 16] = [
    "bash",
    "sh",
    "shell",
    "zsh",
    "fish",
    "ksh",
    "console",
    "terminal",
    "shell-session",
    "shellsession",
    "sh-session",
    "powershell",
    "pwsh",
    "ps1",
    "cmd",
    "bat",
];
/// Info strings of texts that show whole fences themselves.
const DOCUMENTS: [&str; 6] = ["markdown", "md", "mdx", "rst", "qmd", "rmd"];
const DIFFS: [&str; 3] = ["diff", "patch", "udiff"];

/// What stands in a fence, as far as its lines have told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// Nothing yet but lines that may stand before an edit's first marker.
    Unknown {
        /// Lines that may be a heading of the edit.
        heads: u32,
        /// The line before may have been a diff's `---`.
        dashes: bool,
    },
    Code,
    /// A text that may show fences of its own.
    Document,
    Diff,
    /// Edit blocks, for which the fence is only wrapping.
    Wrapper,
}

/// An open fence.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    mark: char,
    length: usize,
    pub(super) indent: usize,
    container: usize,
    pub(super) info: String,
    word: String,
    /// It is a Markdown file's, by name.
    named: bool,
    pub(super) start: usize,
    pub(super) body: usize,
    pub(super) inside: Inside,
    /// Fences opened inside this one and not closed yet.
    nested: u32,
    quotes: [u32; 3],
}

/// What a line is to an open fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Content,
    Closes,
    /// It opens another fence: this one was never closed.
    Reopens,
    /// It opens an edit block inside.
    Edit,
    /// It opens the fence that this one is only put around: the text of a reply as "Markdown".
    Unwraps,
}

impl Fence {
    /// `headed` says that the line above names a Markdown file.
    pub(super) fn open(delimiter: &Delimiter<'_>, container: usize, start: usize, body: usize, headed: bool) -> Self {
        let word = delimiter.info.trim_start_matches(['{', '.']);
        let word = word.split([' ', ',', '{', '}', ':', '\t']).next().unwrap_or("").to_ascii_lowercase();
        let named = delimiter.info.split_whitespace().any(|word| is_document_name(word.trim_matches(['"', '\'', '}'])));
        let mut fence = Self {
            mark: delimiter.mark,
            length: delimiter.length,
            indent: delimiter.indent,
            container,
            info: delimiter.info.to_owned(),
            word,
            named: headed || named,
            start,
            body,
            inside: Inside::Unknown { heads: 0, dashes: false },
            nested: 0,
            quotes: [0; 3],
        };
        if (headed && fence.tag_fits_document()) || named {
            "markdown".clone_into(&mut fence.word);
        }
        fence
    }

    fn tag_fits_document(&self) -> bool {
        matches!(self.word.as_str(), "" | "text" | "txt" | "plaintext") || self.is_document()
    }

    fn is_document(&self) -> bool {
        DOCUMENTS.contains(&self.word.as_str())
    }

    fn has_diff_tag(&self) -> bool {
        DIFFS.contains(&self.word.as_str())
    }

    pub(super) fn kind(&self) -> Kind {
        if self.inside == Inside::Diff || self.has_diff_tag() {
            Kind::Edit(Format::UnifiedDiff)
        } else if SHELLS.contains(&self.word.as_str()) {
            Kind::Shell
        } else {
            Kind::Code
        }
    }

    /// Whether the line can be about this fence at all, rather than be part of its text.
    fn concerns(&self, delimiter: &Delimiter<'_>) -> bool {
        const DEEPER_MAX: usize = 3;
        // A fence indented deeper than its list allows is measured by itself.
        let base = if self.indent > self.container + DEEPER_MAX { self.indent } else { self.container };
        delimiter.mark == self.mark && delimiter.length >= self.length && delimiter.indent <= base + DEEPER_MAX
    }

    pub(super) fn in_string(&self) -> bool {
        match self.word.as_str() {
            "python" | "py" | "python3" => self.quotes[0] % 2 == 1 || self.quotes[1] % 2 == 1,
            "javascript" | "js" | "typescript" | "ts" | "jsx" | "tsx" => self.quotes[2] % 2 == 1,
            _ => false,
        }
    }

    /// Reads one more line.
    pub(super) fn take(&mut self, line: &str) -> Role {
        if let Some(found) = delimiter(line).filter(|d| self.concerns(d)) {
            if let Some(role) = self.fenced(&found) {
                return role;
            }
        } else if let Inside::Unknown { heads, dashes } = self.inside
            && self.decide(line, heads, dashes)
        {
            return Role::Edit;
        } else if self.inside == Inside::Wrapper && marker::opens_edit(line) {
            return Role::Edit;
        }
        let count = |quote: &str| line.matches(quote).count() as u32;
        self.quotes[0] += count("\"\"\"");
        self.quotes[1] += count("'''");
        self.quotes[2] += count("`") - count("\\`");
        Role::Content
    }

    /// A delimiter that concerns this fence.
    fn fenced(&mut self, found: &Delimiter<'_>) -> Option<Role> {
        if found.info.is_empty() {
            if self.nested == 0 {
                return Some(Role::Closes);
            }
            self.nested -= 1;
            return None;
        }
        if self.inside == Inside::Wrapper {
            return Some(Role::Reopens);
        }
        // Nothing but another fence stands in it, and no file's name above it.
        let first = self.inside == Inside::Unknown { heads: 0, dashes: false } && self.nested == 0;
        if first && !self.named && self.is_document() {
            return Some(Role::Unwraps);
        }
        if self.is_document() || self.in_string() {
            self.nested += 1;
            return None;
        }
        // Nothing tells an untagged fence's content from the next fence; CommonMark says it is content.
        let tagged = !self.word.is_empty() && !matches!(self.word.as_str(), "text" | "txt" | "plaintext");
        tagged.then_some(Role::Reopens)
    }

    /// Finds out what stands inside; true where the line opens an edit block.
    fn decide(&mut self, line: &str, heads: u32, dashes: bool) -> bool {
        let unknown = |heads, dashes| Inside::Unknown { heads, dashes };
        self.inside = if marker::opens_edit(line) {
            self.inside = Inside::Wrapper;
            return true;
        } else if line.trim().is_empty() {
            unknown(heads, false)
        } else if line.starts_with("diff --git ") || (dashes && line.starts_with("+++ ")) {
            Inside::Diff
        } else if line.starts_with("--- ") && heads < 2 {
            unknown(heads, true)
        } else if heads == 0 && marker::may_head_edit(line, self.is_document()) {
            unknown(1, false)
        } else if self.has_diff_tag() {
            Inside::Diff
        } else if self.is_document() {
            Inside::Document
        } else {
            Inside::Code
        };
        false
    }

    pub(super) fn into_block(self, body_end: usize, end: usize, closed: bool, interrupted: bool) -> Block {
        Block {
            kind: self.kind(),
            document: self.is_document(),
            doubtful: closed && self.in_string(),
            info: self.info,
            start: self.start,
            body: self.body.min(body_end)..body_end,
            end,
            closed,
            interrupted,
            indent: self.indent,
            wrapped: None,
            soft: false,
        }
    }
}

/// Whether a word is the name of a Markdown file.
pub(super) fn is_document_name(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    [".md", ".mdx", ".markdown", ".rst", ".qmd"].iter().any(|end| lower.ends_with(end))
}
