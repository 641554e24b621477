//! Reads what is said, token by token: which block it stands in, what was closed last, whether it goes round in circles,
//! and where the tokens lie, so that the end can be taken back.
//!
//! Not for: deciding anything (`window.rs`).

use super::utf8::TextStream;
use super::{LoopDetector, ThinkSpec};
use crate::scan::{Event, Kind, Scanner, ThinkTags};

/// What a line begins with that is about to open a block.
const OPENING: [&str; 3] = ["``", "~~", "<<<<"];

#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    /// As it was where this phase began.
    begun: Scanner,
    scanner: Scanner,
    stream: TextStream,
    /// Bytes said in this phase, and where each token ends in them.
    bytes: Vec<u8>,
    token_ends: Vec<usize>,
    loops: LoopDetector,
    /// What stands on the line that is being written.
    line: String,
    /// The block that was closed last, outside thinking.
    closed: Option<Kind>,
    thinking_ended_at: Option<usize>,
}

/// What a token brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) thinking_ended: bool,
    pub(super) loops: bool,
}

impl Reader {
    pub(super) fn new(think: Option<&ThinkSpec>) -> Self {
        let scanner = think.map_or_else(Scanner::new, |think| {
            Scanner::with_thinking(ThinkTags::new(think.open.clone(), think.close.clone()), think.opened)
        });
        Self { begun: scanner.clone(), scanner, ..Self::default() }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) -> Read {
        self.bytes.extend_from_slice(bytes);
        self.token_ends.push(self.bytes.len());
        let text = self.stream.push(bytes);
        let thinking_ended = self.scan(&text);
        Read { thinking_ended, loops: self.loops.push(bytes, self.scanner.inside_block()) }
    }

    fn scan(&mut self, text: &str) -> bool {
        match text.rfind('\n') {
            Some(at) => text[at + 1..].clone_into(&mut self.line),
            None => self.line.push_str(text),
        }
        let mut thinking_ended = false;
        for event in self.scanner.push(text) {
            match event {
                Event::Opened { .. } | Event::ThinkingBegan { .. } => self.closed = None,
                Event::Closed(block) => self.closed = (!self.scanner.is_thinking()).then_some(block.kind),
                Event::ThinkingEnded { at } => {
                    (self.closed, self.thinking_ended_at, thinking_ended) = (None, Some(at), true);
                }
            }
        }
        thinking_ended
    }

    /// Whether a cut here would break (the beginning of) an answer.
    pub(super) fn inside_answer(&self) -> bool {
        let opening = OPENING.iter().any(|opening| self.line.trim_start().starts_with(opening));
        !self.scanner.is_thinking() && (self.scanner.inside_block() || opening)
    }

    pub(super) const fn is_thinking(&self) -> bool {
        self.scanner.is_thinking()
    }

    /// The block that was closed last and nothing opened since; lines of prose after it; the line that is being written.
    pub(super) fn after_block(&self) -> Option<(Kind, usize, &str)> {
        let kind = self.closed.filter(|_| !self.scanner.inside_block() && !self.scanner.is_thinking())?;
        Some((kind, self.scanner.prose_lines_after(), &self.line))
    }

    /// Where thinking between tags ended, in bytes of the text.
    pub(super) const fn thinking_ended_at(&self) -> Option<usize> {
        self.thinking_ended_at
    }

    /// Takes back what repeats itself, the first time it was said excepted; returns how many tokens that are.
    pub(super) fn rewind(&mut self) -> u32 {
        let mut keep_bytes = self.bytes.len().saturating_sub(self.loops.repeated_bytes());
        let kept = loop {
            let kept = self.token_ends.partition_point(|&end| end <= keep_bytes);
            keep_bytes = kept.checked_sub(1).map_or(0, |last| self.token_ends[last]);
            let whole = std::str::from_utf8(&self.bytes[..keep_bytes]).map_err(|error| error.error_len());
            // No token is kept that ends inside a character.
            if keep_bytes == 0 || whole != Err(None) {
                break kept;
            }
            keep_bytes -= 1;
        };
        let taken_back = self.token_ends.len() - kept;
        self.token_ends.truncate(kept);
        self.bytes.truncate(keep_bytes);
        self.scanner = self.begun.clone();
        (self.stream, self.loops) = (TextStream::default(), LoopDetector::default());
        self.line.clear();
        self.closed = None;
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        self.scan(&text);
        taken_back as u32
    }

    /// A new phase begins after this forced text; a block that was open is left.
    pub(super) fn begin_answer(&mut self, hint: &str) {
        self.scanner.abandon();
        self.line.clear();
        self.scan(hint);
        self.begun = self.scanner.clone();
        (self.stream, self.loops) = (TextStream::default(), LoopDetector::default());
        self.bytes.clear();
        self.token_ends.clear();
    }
}
