//! Markdown that is still arriving: what cannot change any more is rendered once and kept, only the tail
//! is rendered again.
//!
//! A top-level block cannot change once another block has begun after it. An open code fence is stable
//! line by line. The rows of the stable part may be written into the terminal's scrollback.

use std::cell::RefCell;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag};

use super::clean;
use super::highlight::State;
use super::markdown::{code_label, code_rows, dialect, render};
use super::wrap::Row;
use crate::tui::theme::Theme;

/// A growing Markdown text.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Clean text.
    source: String,
    /// Bytes of `source` that [`Stream::chunks`] cover.
    stable: usize,
    chunks: Vec<Chunk>,
    fence: Option<Fence>,
    cache: RefCell<Cache>,
}

/// A piece of stable text that is rendered by itself.
#[derive(Clone, Debug)]
enum Chunk {
    Block(Range<usize>),
    CodeHead { tag: String },
    CodeLine { line: Range<usize>, tag: String, state: State },
}

/// The fence that is open at the end of the stable part.
#[derive(Clone, Debug)]
struct Fence {
    tag: String,
    mark: char,
    length: usize,
    indent: usize,
    state: State,
}

/// The stable rows at one width.
#[derive(Clone, Debug, Default)]
struct Cache {
    width: usize,
    theme: Option<Theme>,
    chunks: usize,
    rows: Vec<Row>,
}

impl Stream {
    /// A text that is complete.
    pub fn finished(text: &str) -> Self {
        let mut stream = Self::default();
        stream.push(text);
        stream.finish();
        stream
    }

    /// The clean text so far.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Adds a piece, which is cleaned first.
    pub fn push(&mut self, piece: &str) {
        let piece = clean::visible(piece);
        self.source.push_str(&piece);
        if piece.contains('\n') {
            while self.advance() {}
        }
    }

    /// Declares that nothing more will come: everything becomes stable.
    pub fn finish(&mut self) {
        while self.advance() {}
        if self.stable < self.source.len() {
            let rest = self.stable..self.source.len();
            match self.fence.take() {
                // The closing fence itself may be the last thing said.
                Some(fence) if fence.is_closed_by(&self.source[rest.clone()]) => {}
                Some(fence) => self.code_line(&fence, rest),
                None => self.chunks.push(Chunk::Block(rest)),
            }
            self.stable = self.source.len();
        }
    }

    /// Calls `each` with the stable rows from `from` on; returns how many there are in all.
    pub fn stable_rows(&self, width: usize, theme: Theme, from: usize, mut each: impl FnMut(&Row)) -> usize {
        let mut cache = self.cache.borrow_mut();
        if cache.width != width || cache.theme != Some(theme) {
            *cache = Cache { width, theme: Some(theme), ..Cache::default() };
        }
        while cache.chunks < self.chunks.len() {
            let at = cache.chunks;
            self.render_chunk(at, &mut cache, theme);
            cache.chunks += 1;
        }
        cache.rows.iter().skip(from).for_each(&mut each);
        cache.rows.len()
    }

    /// The rows after the stable ones, rendered afresh.
    pub fn tail_rows(&self, width: usize, theme: Theme) -> Vec<Row> {
        let tail = &self.source[self.stable..];
        if tail.trim().is_empty() {
            return Vec::new();
        }
        if let Some(fence) = &self.fence {
            let (rows, _) = code_rows(outdented(tail, fence.indent), &fence.tag, fence.state, width, theme);
            return rows;
        }
        let mut rows = render(tail, width, theme);
        if !self.chunks.is_empty() && !rows.is_empty() {
            rows.insert(0, Row::default());
        }
        rows
    }

    /// Forgets the rendered rows (they are in the scrollback and will not be asked for soon).
    pub fn forget_rows(&self) {
        *self.cache.borrow_mut() = Cache::default();
    }

    fn render_chunk(&self, at: usize, cache: &mut Cache, theme: Theme) {
        let width = cache.width;
        let mut rows = match &self.chunks[at] {
            Chunk::Block(range) => render(&self.source[range.clone()], width, theme),
            Chunk::CodeHead { tag } => code_label(tag, theme).into_iter().collect(),
            Chunk::CodeLine { line, tag, state } => {
                cache.rows.extend(code_rows(&self.source[line.clone()], tag, *state, width, theme).0);
                return;
            }
        };
        // A fence without a language has no row of its own, but is set off all the same.
        let shows = !rows.is_empty() || matches!(self.chunks[at], Chunk::CodeHead { .. });
        if shows && !cache.rows.is_empty() {
            rows.insert(0, Row::default());
        }
        cache.rows.extend(rows);
    }

    /// Moves the stable border once; `false` where it cannot move.
    fn advance(&mut self) -> bool {
        match self.fence.take() {
            Some(fence) => self.advance_in_fence(fence),
            None => self.advance_between_blocks(),
        }
    }

    fn advance_in_fence(&mut self, mut fence: Fence) -> bool {
        let Some(end) = self.source[self.stable..].find('\n') else {
            self.fence = Some(fence);
            return false;
        };
        let line = self.stable..self.stable + end;
        self.stable = line.end + 1;
        if fence.is_closed_by(&self.source[line.clone()]) {
            return true;
        }
        self.code_line(&fence, line.clone());
        let text = outdented(&self.source[line], fence.indent);
        fence.state = code_rows(text, &fence.tag, fence.state, usize::MAX, Theme::PLAIN).1;
        self.fence = Some(fence);
        true
    }

    fn code_line(&mut self, fence: &Fence, line: Range<usize>) {
        let text = &self.source[line.clone()];
        let start = line.end - outdented(text, fence.indent).len();
        self.chunks.push(Chunk::CodeLine { line: start..line.end, tag: fence.tag.clone(), state: fence.state });
    }

    fn advance_between_blocks(&mut self) -> bool {
        let tail = &self.source[self.stable..];
        let blocks = top_blocks(tail);
        let Some(last) = blocks.last() else { return false };
        if blocks.len() > 1 {
            let start = line_start(tail, last.range.start);
            if start == 0 {
                return false;
            }
            for block in &blocks[..blocks.len() - 1] {
                self.chunks
                    .push(Chunk::Block(self.stable + block.range.start..self.stable + block.range.end.min(start)));
            }
            self.stable += start;
            return true;
        }
        let start = line_start(tail, last.range.start);
        let Some(head_end) = last.fenced.then(|| tail[start..].find('\n')).flatten() else { return false };
        let Some(fence) = Fence::opened_by(&tail[start..start + head_end]) else { return false };
        self.chunks.push(Chunk::CodeHead { tag: fence.tag.clone() });
        self.stable += start + head_end + 1;
        self.fence = Some(fence);
        true
    }
}

struct TopBlock {
    range: Range<usize>,
    fenced: bool,
}

/// The outermost blocks of a text.
fn top_blocks(text: &str) -> Vec<TopBlock> {
    let mut depth = 0_u32;
    let mut blocks = Vec::new();
    for (event, range) in Parser::new_ext(text, dialect()).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    blocks.push(TopBlock { range, fenced: matches!(tag, Tag::CodeBlock(CodeBlockKind::Fenced(_))) });
                }
                depth += 1;
            }
            Event::End(_) => depth -= 1,
            Event::Rule if depth == 0 => blocks.push(TopBlock { range, fenced: false }),
            _ => {}
        }
    }
    blocks
}

/// Where the line begins that `at` stands in: a block's own range leaves out its indentation.
fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

impl Fence {
    /// Reads an opening fence line (CommonMark §4.5).
    fn opened_by(line: &str) -> Option<Self> {
        let text = line.trim_start_matches(' ');
        let indent = line.len() - text.len();
        let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = text.chars().take_while(|c| *c == mark).count();
        let tag = text[length..].trim().to_owned();
        (indent < 4 && length >= 3).then_some(Self { tag, mark, length, indent, state: State::Code })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let text = line.trim_start_matches(' ');
        let run = text.chars().take_while(|c| *c == self.mark).count();
        line.len() - text.len() < 4 && run >= self.length && text[run..].trim().is_empty()
    }
}

/// Takes off as much indentation as the fence itself had.
fn outdented(line: &str, indent: usize) -> &str {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    &line[blanks.min(indent)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(stream: &Stream, width: usize) -> Vec<String> {
        let mut rows = Vec::new();
        stream.stable_rows(width, Theme::PLAIN, 0, |row| rows.push(row.text()));
        rows.extend(stream.tail_rows(width, Theme::PLAIN).iter().map(Row::text));
        rows
    }

    const TEXT: &str = "Intro *word*.\n\n- a\n- b\n\n```python\ndef f():\n    return '''x\n'''\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nEnd.";

    #[test]
    fn arriving_in_pieces_ends_like_arriving_at_once() {
        let whole = Stream::finished(TEXT);
        let mut slow = Stream::default();
        TEXT.chars().for_each(|c| slow.push(&c.to_string()));
        slow.finish();
        assert_eq!(all(&slow, 30), all(&whole, 30));
        let oneshot: Vec<String> = render(TEXT, 30, Theme::PLAIN).iter().map(Row::text).collect();
        assert_eq!(all(&whole, 30), oneshot);
    }

    #[test]
    fn stable_rows_only_grow() {
        let mut stream = Stream::default();
        let mut before: Vec<String> = Vec::new();
        for c in TEXT.chars() {
            stream.push(&c.to_string());
            let mut now = Vec::new();
            stream.stable_rows(30, Theme::PLAIN, 0, |row| now.push(row.text()));
            assert!(now.starts_with(&before), "{before:?} then {now:?}");
            before = now;
        }
    }

    #[test]
    fn an_open_fence_is_stable_line_by_line() {
        let mut stream = Stream::default();
        stream.push("```rust\nfn main() {\n    let x");
        assert_eq!(stream.stable_rows(30, Theme::PLAIN, 0, |_| {}), 2);
        assert_eq!(stream.tail_rows(30, Theme::PLAIN).len(), 1);
    }

    #[test]
    fn a_closing_fence_without_a_line_end_is_no_code() {
        let mut stream = Stream::default();
        stream.push("```\ncode\n```");
        stream.finish();
        assert_eq!(all(&stream, 30), ["code"]);
    }

    #[test]
    fn a_new_width_renders_from_the_source() {
        let stream = Stream::finished("one two three four");
        assert_eq!(all(&stream, 9), ["one two", "three", "four"]);
        assert_eq!(all(&stream, 30), ["one two three four"]);
    }
}
