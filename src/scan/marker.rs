//! The lines that open, divide and close edit blocks, told from content by their shape alone.

use std::sync::LazyLock;

use regex::Regex;

/// A fewer row of marks is content in any text.
pub const WIDTH_MIN: usize = 5;

/// The line that opens a SEARCH/REPLACE block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `<` or `-`.
    pub mark: char,
    pub width: usize,
    /// The word, in capitals.
    pub word: String,
    /// What stands after it: nothing, or a path.
    pub rest: String,
}

static HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s{0,12}(<{5,}|-{5,}) ?(SEARCH|ORIGINAL|HEAD|OLD|BEFORE|search|Search)\b[>:]?\s*(.*)$")
        .expect("invariant: the head pattern is valid")
});
static END: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s{0,12}(>{5,}|\+{5,}) ?(REPLACE|UPDATED|UPDATE|NEW|AFTER|HEAD|replace|Replace)\b[<:]?\s*$")
        .expect("invariant: the end pattern is valid")
});

/// Reads a line as the head of a SEARCH/REPLACE block.
pub fn head(line: &str) -> Option<Head> {
    if !line.trim_start().starts_with(['<', '-']) {
        return None;
    }
    let found = HEAD.captures(line)?;
    let part = |index| found.get(index).map_or("", |m| m.as_str());
    let rest = part(3).trim_matches(['`', '*', ' ', '>', '<', '\t']);
    let fits = rest.is_empty() || (!rest.contains(char::is_whitespace) && rest.contains(['.', '/']));
    fits.then(|| Head {
        mark: part(1).chars().next().unwrap_or('<'),
        width: part(1).len(),
        word: part(2).to_ascii_uppercase(),
        rest: rest.to_owned(),
    })
}

impl Head {
    const fn end_mark(&self) -> char {
        if self.mark == '-' { '+' } else { '>' }
    }

    /// The row between the parts.
    pub fn is_divider(&self, line: &str) -> bool {
        let row = line.trim();
        row.len() == self.width && row.bytes().all(|byte| byte == b'=')
    }

    /// The closing row with its word.
    pub fn is_end(&self, line: &str) -> bool {
        end(line).is_some_and(|(mark, width)| mark == self.end_mark() && width == self.width)
    }

    /// The closing row without a word, which may as well be content.
    pub fn is_bare_end(&self, line: &str) -> bool {
        let row = line.trim();
        row.len() == self.width && row.chars().all(|c| c == self.end_mark())
    }

    /// Whether another head inside this block can only be the next block's: the same marks with the same word.
    pub fn is_next(&self, other: &Self) -> bool {
        other.mark == self.mark && other.width == self.width && (other.word == self.word || other.word == "SEARCH")
    }
}

/// A closing row with a word, of whatever width: its mark and width.
pub fn end(line: &str) -> Option<(char, usize)> {
    if !line.trim_start().starts_with(['>', '+']) {
        return None;
    }
    let row = END.captures(line)?.get(1)?.as_str();
    Some((row.chars().next()?, row.len()))
}

pub fn is_patch_begin(line: &str) -> bool {
    line.trim() == "*** Begin Patch"
}

pub fn is_patch_end(line: &str) -> bool {
    line.trim() == "*** End Patch"
}

const TAGS: [&str; 9] = [
    "tool_call",
    "tools",
    "tool",
    "function_call",
    "tool_calls",
    "function_calls",
    "write_to_file",
    "write_file",
    "create_file",
];

/// The tag that a line of a tagged call opens with; `function` for `<function=…>`, `invoke` for `<invoke name=…>`.
pub fn tool_tag(line: &str) -> Option<&'static str> {
    let inner = line.trim_start().strip_prefix('<')?;
    if inner.starts_with("function=") {
        return Some("function");
    }
    if inner.starts_with("invoke name=") {
        return Some("invoke");
    }
    TAGS.into_iter().find(|tag| inner.strip_prefix(tag).is_some_and(|rest| rest.starts_with('>')))
}

/// The path of a line `<file path="…">`, which in plain text opens a file. In a fence it is a file's own line.
pub fn file_tag(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix("<file ")?.strip_suffix('>')?.trim();
    let value = ["path=", "name="].iter().find_map(|key| inner.strip_prefix(key))?;
    let path = value.trim().trim_matches(['"', '\'']);
    (!path.is_empty() && !path.contains(['"', '=', '\'', '>'])).then_some(path)
}

/// Whether a line of plain text begins a JSON call.
pub fn begins_json_call(line: &str) -> bool {
    static BARE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"^\s*[\[{]\s*(?:$|\{?\s*"(?:name|function|tool|tool_name|tool_calls|action|type|command|cmd)"\s*:)"#,
        )
        .expect("invariant: the JSON pattern is valid")
    });
    line.trim_start().starts_with(['[', '{']) && BARE.is_match(line)
}

/// Whether a line opens an edit block that carries its own end.
pub fn opens_edit(line: &str) -> bool {
    head(line).is_some() || is_patch_begin(line) || tool_tag(line).is_some()
}

/// Whether a fence's first line may stand before an edit's marker: a path, or in code a comment.
pub(super) fn may_head_edit(line: &str, document: bool) -> bool {
    let text = line.trim();
    let comment = ["#", "//", "--", "<!--", "/*"].iter().any(|mark| text.starts_with(mark));
    let bare = text.trim_matches(['*', '`', ':', ' ']);
    let path = !bare.contains(char::is_whitespace) && bare.contains(['.', '/']) && !bare.contains(['(', '=', '"', ';']);
    // A shell's way to hand over a patch.
    path || (comment && !document) || text.starts_with("apply_patch")
}

/// Lines of a diff that are neither context nor change.
const DIFF_HEADERS: [&str; 14] = [
    "diff --git ",
    "index ",
    "--- ",
    "+++ ",
    "@@",
    "new file mode",
    "deleted file mode",
    "rename ",
    "copy ",
    "similarity ",
    "dissimilarity ",
    "old mode",
    "new mode",
    "\\ ",
];

/// The numbers of old and new lines that a hunk's header announces.
pub(super) fn hunk_sizes(line: &str) -> Option<(i64, i64)> {
    static SIZES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@").expect("invariant: the hunk pattern is valid")
    });
    let found = line.starts_with("@@").then(|| SIZES.captures(line)).flatten()?;
    let size = |at: usize| found.get(at).map_or(Some(1), |m| m.as_str().parse().ok());
    Some((size(1)?, size(2)?))
}

/// Whether a line can belong to a diff in plain text.
pub fn is_diff_line(line: &str) -> bool {
    line.starts_with(['+', '-', ' ']) || DIFF_HEADERS.iter().any(|header| line.starts_with(header))
}
