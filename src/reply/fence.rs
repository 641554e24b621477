//! Code fences, found while the text still streams: push pieces, get each fence as it closes.
//!
//! Reads fences as CommonMark does (three or more backticks or tildes, closed by at least as many), and
//! beyond it what models do: fences inside fences, a fence opened anew without closing the one before,
//! fences indented in a list, CRLF.
//!
//! Not for: choosing among the fences; that is [`super::program`]'s work.

use crate::task::Language;

/// One fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// What stands after the opening backticks, trimmed.
    pub info: String,
    /// The content: lines end in `\n`, the fence's own indentation is taken off.
    pub body: String,
    /// Byte offset of the opening line in everything pushed.
    pub start: usize,
    /// Byte offset after the closing line (or after the last text, where it never closed).
    pub end: usize,
    pub closed: bool,
}

impl Fence {
    /// The language that the info string names.
    pub fn language(&self) -> Option<Language> {
        Language::from_fence_tag(self.info.trim_start_matches(['{', '.']))
    }
}

/// An incremental scanner. It never goes back over text it has seen.
#[derive(Clone, Debug, Default)]
pub struct FenceScanner {
    /// Text after the last line end.
    line: String,
    /// Bytes of all complete lines.
    consumed: usize,
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    mark: char,
    /// Number of backticks or tildes.
    len: usize,
    indent: usize,
    info: String,
    body: String,
    start: usize,
    /// Fences opened inside this one and not closed yet.
    nested: u32,
    /// Whether a delimiter inside three quotes would be part of a string.
    python: bool,
    /// Prose may show whole fences; code may not.
    prose: bool,
}

/// What a line is to a fence.
struct Delimiter<'a> {
    mark: char,
    len: usize,
    indent: usize,
    info: &'a str,
}

impl FenceScanner {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of text and returns the fences that it closed.
    pub fn push(&mut self, piece: &str) -> Vec<Fence> {
        let mut closed = Vec::new();
        for part in piece.split_inclusive('\n') {
            self.line.push_str(part);
            if part.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line, &mut closed);
            }
        }
        closed
    }

    /// Drops an open fence: the text that follows begins anew (the window shifted in the middle of code).
    pub fn abandon(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.consumed += line.len();
        self.open = None;
    }

    /// Ends the text; returns what the last line closed, and the fence that was never closed.
    pub fn finish(mut self) -> Vec<Fence> {
        let mut closed = Vec::new();
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, &mut closed);
        }
        closed.extend(self.open.take().map(|open| open.into_fence(self.consumed, false)));
        closed
    }

    fn take_line(&mut self, raw: &str, closed: &mut Vec<Fence>) {
        let start = self.consumed;
        self.consumed += raw.len();
        let line = raw.trim_end_matches('\n').trim_end_matches('\r');
        let delimiter = delimiter(line);
        let Some(mut open) = self.open.take() else {
            self.open = delimiter.map(|d| Open::at(&d, start));
            return;
        };
        match delimiter.filter(|d| open.concerns(d)) {
            Some(d) if d.info.is_empty() && open.nested == 0 => closed.push(open.into_fence(self.consumed, true)),
            Some(d) if d.info.is_empty() => {
                open.nested -= 1;
                open.add(line);
                self.open = Some(open);
            }
            // A model that opens a second fence in the middle of code forgot to close the first one.
            Some(d) if !open.prose && !open.in_string() => {
                closed.push(open.into_fence(start, true));
                self.open = Some(Open::at(&d, start));
            }
            Some(_) => {
                open.nested += 1;
                open.add(line);
                self.open = Some(open);
            }
            None => {
                open.add(line);
                self.open = Some(open);
            }
        }
    }
}

impl Open {
    fn at(delimiter: &Delimiter<'_>, start: usize) -> Self {
        let word = delimiter.info.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        Self {
            mark: delimiter.mark,
            len: delimiter.len,
            indent: delimiter.indent,
            info: delimiter.info.to_owned(),
            body: String::new(),
            start,
            nested: 0,
            python: Language::from_fence_tag(&word) == Some(Language::Python),
            prose: matches!(word.as_str(), "" | "markdown" | "md" | "text" | "txt"),
        }
    }

    /// Whether a delimiter line can be about this fence at all (rather than be part of its text).
    fn concerns(&self, delimiter: &Delimiter<'_>) -> bool {
        delimiter.mark == self.mark && delimiter.len >= self.len && delimiter.indent <= self.indent + 3
    }

    fn in_string(&self) -> bool {
        self.python && (self.body.matches("\"\"\"").count() % 2 == 1 || self.body.matches("'''").count() % 2 == 1)
    }

    fn add(&mut self, line: &str) {
        let spaces = line.bytes().take_while(|byte| *byte == b' ').count();
        self.body.push_str(&line[spaces.min(self.indent)..]);
        self.body.push('\n');
    }

    fn into_fence(self, end: usize, closed: bool) -> Fence {
        Fence { info: self.info, body: self.body, start: self.start, end, closed }
    }
}

fn delimiter(line: &str) -> Option<Delimiter<'_>> {
    let trimmed = line.trim_start_matches([' ', '\t']);
    let indent = line.len() - trimmed.len();
    let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = trimmed.trim_start_matches(mark);
    let len = trimmed.len() - rest.len();
    let info = rest.trim();
    // "```x```" on one line is inline code.
    (len >= 3 && !(mark == '`' && info.contains('`'))).then_some(Delimiter { mark, len, indent, info })
}

/// Every fence of a complete text; the last one may be unclosed.
pub fn fences(text: &str) -> Vec<Fence> {
    let mut scanner = FenceScanner::new();
    let mut found = scanner.push(text);
    found.extend(scanner.finish());
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, bool)]) {
        let found = fences(text);
        let seen: Vec<(&str, &str, bool)> =
            found.iter().map(|f| (f.info.as_str(), f.body.as_str(), f.closed)).collect();
        assert_eq!(seen, expected, "{text:?}");
    }

    #[test]
    fn plain_fences_of_both_marks() {
        check("a\n```python\nx = 1\n```\nb", &[("python", "x = 1\n", true)]);
        check("~~~\nx\n~~~\n", &[("", "x\n", true)]);
        check("```py\n1\n```\n```js\n2\n```", &[("py", "1\n", true), ("js", "2\n", true)]);
        check("````\n```\n````\n", &[("", "```\n", true)]);
    }

    #[test]
    fn carriage_returns_and_indentation_are_taken_off() {
        check("```py\r\nif x:\r\n    y\r\n```\r\n", &[("py", "if x:\n    y\n", true)]);
        check("1. so:\n   ```py\n   def f():\n       pass\n   ```\n", &[("py", "def f():\n    pass\n", true)]);
    }

    #[test]
    fn an_unclosed_fence_is_reported_as_such() {
        check("```python\nx = 1\ny", &[("python", "x = 1\ny\n", false)]);
        check("no code, only ```inline``` text", &[]);
        check("```x``` on one line", &[]);
    }

    #[test]
    fn fences_within_fences() {
        check("```markdown\nUse:\n```sh\nls\n```\ndone\n```\n", &[("markdown", "Use:\n```sh\nls\n```\ndone\n", true)]);
        check(
            "```python\ndef f():\n    \"\"\"\n    ```\n    f()\n    ```\n    \"\"\"\n```\n",
            &[("python", "def f():\n    \"\"\"\n    ```\n    f()\n    ```\n    \"\"\"\n", true)],
        );
        check(
            "```python\nS = \"\"\"\n```sh\nls\n```\n\"\"\"\n```\n",
            &[("python", "S = \"\"\"\n```sh\nls\n```\n\"\"\"\n", true)],
        );
    }

    #[test]
    fn a_second_opening_closes_a_forgotten_fence() {
        check("```python\na = 1\n```python\nb = 2\n```\n", &[("python", "a = 1\n", true), ("python", "b = 2\n", true)]);
    }

    #[test]
    fn a_shift_abandons_the_code_it_cut() {
        let mut scanner = FenceScanner::new();
        assert!(scanner.push("```python\ndef half(").is_empty());
        scanner.abandon();
        let closed = scanner.push("\n\nthe answer:\n\n```python\ndef f(): pass\n```\n");
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0].body, "def f(): pass\n");
    }

    #[test]
    fn a_fence_closes_with_its_line_and_not_before() {
        let mut scanner = FenceScanner::new();
        assert!(scanner.push("```py\nx\n``").is_empty());
        assert!(scanner.push("`").is_empty());
        assert_eq!(scanner.push("\n").len(), 1);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[`~a\\n \r\"]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let mut scanner = FenceScanner::new();
            let mut found = Vec::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                found.extend(scanner.push(&text[pair[0]..pair[1]]));
            }
            found.extend(scanner.finish());
            prop_assert_eq!(&found, &fences(&text));
            for fence in &found {
                prop_assert!(fence.start < fence.end && fence.end <= text.len());
            }
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,200}") {
            fences(&text);
        }
    }
}
