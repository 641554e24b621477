//! Code fences with their text, found while it still streams: what `scan` finds, with the bodies.
//!
//! Not for: telling what a fence is ([`crate::scan`]) and choosing among the fences ([`super::program`]).

use crate::scan::{Block, Event, Scanner, blocks, delimiter};
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

    /// The info string's first word in lower case, a file's extension where it names a file; empty for none.
    pub fn tag(&self) -> String {
        let word = self.info.trim_start_matches(['{', '.']).split([' ', ',', '{', '}', ':', '\t']).next().unwrap_or("");
        let word = word.rsplit_once('.').map_or(word, |(_, extension)| extension);
        word.to_ascii_lowercase()
    }

    /// The fence that a block is; nothing for an edit block that stands by itself or inside a fence.
    fn of(block: &Block, text: &str) -> Option<Self> {
        let opening = text.get(block.start..)?.lines().next()?;
        let marks = opening.find(['`', '~'])?;
        delimiter(&opening[marks..]).filter(|_| block.wrapped.is_none())?;
        Some(Self {
            info: block.info.clone(),
            body: block.body_of(text),
            start: block.start,
            end: block.end,
            // For a program, a fence that was opened anew was only never closed.
            closed: block.closed || block.interrupted,
        })
    }
}

/// An incremental reader of fences.
#[derive(Clone, Debug, Default)]
pub struct FenceScanner {
    scanner: Scanner,
    text: String,
}

impl FenceScanner {
    pub fn new() -> Self {
        Self { scanner: Scanner::new(), text: String::new() }
    }

    /// What the text is in the middle of.
    pub const fn scanner(&self) -> &Scanner {
        &self.scanner
    }

    /// Takes the next piece of text and returns the fences that it closed.
    pub fn push(&mut self, piece: &str) -> Vec<Fence> {
        self.text.push_str(piece);
        let events = self.scanner.push(piece);
        self.fences(events)
    }

    /// Drops an open fence: the text that follows begins anew (the window shifted in the middle of code).
    pub fn abandon(&mut self) {
        self.scanner.abandon();
    }

    /// Ends the text; returns what the last line closed, and the fence that was never closed.
    pub fn finish(mut self) -> Vec<Fence> {
        let events = std::mem::take(&mut self.scanner).finish();
        self.fences(events)
    }

    fn fences(&self, events: Vec<Event>) -> Vec<Fence> {
        events
            .into_iter()
            .filter_map(|event| if let Event::Closed(block) = event { Fence::of(&block, &self.text) } else { None })
            .collect()
    }
}

/// Every fence of a complete text; the last one may be unclosed. A draft inside think tags is none.
pub fn fences(text: &str) -> Vec<Fence> {
    blocks(text).iter().filter_map(|block| Fence::of(block, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, bool)]) {
        let found = fences(text);
        let seen: Vec<(&str, &str, bool)> =
            found.iter().map(|f| (f.info.as_str(), f.body.as_str(), f.closed)).collect();
        assert_eq!(seen, expected, "{text:?}");
    }

    #[test]
    fn fences_have_their_text() {
        check("a\n```python\nx = 1\n```\nb", &[("python", "x = 1\n", true)]);
        check("```py\n1\n```\n```js\n2\n```", &[("py", "1\n", true), ("js", "2\n", true)]);
        check("1. ```py\n   x\n   ```\n", &[("py", "x\n", true)]);
        check("```python\nx = 1\ny", &[("python", "x = 1\ny\n", false)]);
        check("```diff\n-a\n+b\n```\n", &[("diff", "-a\n+b\n", true)]);
        check("<<<<<<< SEARCH\n```py\nx\n```\n=======\n>>>>>>> REPLACE\n", &[]);
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
}
