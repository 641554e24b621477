//! One candidate's reply while it streams: its text, its closed fences, how it goes on and how it ends. Pure but for
//! telling the engine to stop.
//!
//! Not for: what a round does with it (`round.rs`).

use super::ending::Ending;
use crate::engine::{Generation, Steer};
use crate::reply::{Fence, FenceScanner, fence};
use crate::task::{Finish, Part, Trajectory};

/// One candidate while it streams.
pub(super) struct Stream {
    pub(super) text: String,
    scanner: FenceScanner,
    /// Where in the text the answer's blocks begin to count.
    counts_from: usize,
    pub(super) closed: Vec<Fence>,
    pub(super) part: Option<Part>,
    /// Tokens since the fence closed that may have been the last, and where in the text that was.
    pub(super) since: Option<u32>,
    pub(super) closed_at: usize,
    stopped: bool,
    pub(super) said: Option<Trajectory>,
}

impl Stream {
    pub(super) fn begun(prefix: &str) -> Self {
        let mut scanner = FenceScanner::default();
        scanner.push(prefix);
        Self {
            text: prefix.to_owned(),
            scanner,
            counts_from: 0,
            closed: Vec::new(),
            part: None,
            since: None,
            closed_at: 0,
            stopped: false,
            said: None,
        }
    }

    /// Takes a piece; says whether a fence closed with it.
    pub(super) fn push(&mut self, part: Part, text: &str, tokens: u32) -> bool {
        // The hint begins anew: code that the window cut is not code.
        if part == Part::Shift && self.part == Some(Part::Thinking) {
            self.scanner.abandon();
            self.counts_from = self.text.len();
            self.closed.clear();
            self.since = None;
        }
        self.part = Some(part);
        self.text.push_str(text);
        self.since = self.since.map(|since| since + tokens);
        let closed = self.scanner.push(text);
        let any = !closed.is_empty();
        self.closed.extend(closed);
        any
    }

    /// Forgets the last `bytes` bytes, which the engine has taken back.
    pub(super) fn take_back(&mut self, bytes: usize) {
        let mut left = self.text.len().saturating_sub(bytes);
        while !self.text.is_char_boundary(left) {
            left -= 1;
        }
        self.text.truncate(left);
        self.scanner = FenceScanner::default();
        self.closed = self.scanner.push(self.text.get(self.counts_from..).unwrap_or(""));
        self.since = None;
        self.closed_at = self.closed_at.min(self.text.len());
    }

    /// Whether the text ends within a fence.
    pub(super) fn is_open(&self) -> bool {
        fence::fences(&self.text).last().is_some_and(|last| !last.closed)
    }

    /// Whether the block that closed last says again what an earlier one said: from there on a small model goes round in
    /// circles that are too wide to be found token by token.
    pub(super) fn repeats(&self) -> bool {
        const LINES_MIN: usize = 5;
        let Some((last, earlier)) = self.closed.split_last() else { return false };
        last.body.lines().count() >= LINES_MIN && earlier.iter().any(|fence| fence.body == last.body)
    }

    /// Whether the engine was told to end it.
    pub(super) const fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes off what came of a further block between the last one and the end that z1 put to the reply.
    pub(super) fn cut_off(&self, said: &mut Trajectory) {
        let ours = self.stopped && said.finish == Finish::Stopped && self.closed_at > said.answer_at;
        let Some(before) = self.text.get(..self.closed_at).filter(|_| ours) else { return };
        let open = said
            .text
            .strip_prefix(before)
            .is_some_and(|rest| fence::fences(rest).last().is_some_and(|last| !last.closed));
        if open {
            said.text.truncate(self.closed_at);
        }
    }

    /// Has the engine end it, once.
    pub(super) fn stop(&mut self, candidate: u32, generation: &Generation) {
        if !std::mem::replace(&mut self.stopped, true) {
            generation.steer(Steer::Stop(candidate));
        }
    }
}

/// A reply whose beginning may have been given, without what comes when it is over.
pub(super) fn begun_with(ending: Ending<'_>, said: Trajectory) -> Trajectory {
    let prefix = ending.prefix;
    let mut text = format!("{prefix}{}", unbegun(prefix, &said.text));
    let over = ending.find(&text).filter(|_| said.shift_at.is_none());
    if prefix.is_empty() && over.is_none() {
        return said;
    }
    if let Some(at) = over {
        text.truncate(at);
        text = format!("{}\n```\n", text.trim_end());
    }
    let finish = if over.is_some() && said.finish == Finish::AnswerLimit { Finish::Stopped } else { said.finish };
    // Where nothing was thought, what was given belongs to the answer.
    let moved = |at: usize| if said.shift_at == Some(0) { 0 } else { at + prefix.len() };
    Trajectory {
        text,
        finish,
        shift_at: said.shift_at.map(moved),
        answer_at: if said.shift_at.is_some() { moved(said.answer_at) } else { 0 },
        ..said
    }
}

/// What goes on from a beginning that ends in an open fence, without the path and the fence that the model says once more.
fn unbegun<'a>(prefix: &str, text: &'a str) -> &'a str {
    let Some(fence) = prefix.lines().last().filter(|line| line.starts_with("```") && prefix.ends_with('\n')) else {
        return text;
    };
    let mut rest = text.trim_start_matches('\n');
    if let Some((first, more)) = rest.split_once('\n')
        && prefix.lines().next() == Some(first.trim())
        && first.trim() != fence
    {
        rest = more;
    }
    match rest.split_once('\n') {
        Some((first, more)) if first.trim() == fence && fence.len() > 3 => more,
        _ => text,
    }
}

pub(super) fn joined(said: &Trajectory, more: &Trajectory) -> Trajectory {
    let mut whole = said.clone();
    whole.text.push_str(&more.text);
    whole.finish = more.finish;
    whole.usage.answer_tokens += more.usage.thinking_tokens + more.usage.answer_tokens;
    whole
}

/// Whether the end of a text is more than the same lines again and again.
pub(super) fn grows(text: &str) -> bool {
    const LINES: usize = 24;
    let lines: Vec<&str> = text.lines().rev().filter(|line| !line.trim().is_empty()).take(LINES).collect();
    let different: std::collections::BTreeSet<&str> = lines.iter().copied().collect();
    (lines.len() < LINES || different.len() * 4 > lines.len()) && !turns_round(text)
}

/// Whether the last words of a text are the same few again and again, in whatever lines they stand.
fn turns_round(text: &str) -> bool {
    const TAIL: usize = 480;
    const PERIOD_MAX: usize = 160;
    let tail: Vec<char> = text.chars().rev().take(TAIL).collect();
    tail.len() == TAIL && (1..=PERIOD_MAX).any(|period| (period..TAIL).all(|at| tail[at] == tail[at - period]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_whose_beginning_was_given_is_read_whole() {
        let python = Ending { prefix: "```python\n", names: &[], more: false };
        let mut said = Trajectory::ended("x = 1\n```\nhint```py\ny");
        (said.shift_at, said.answer_at) = (Some(10), 14);
        let whole = begun_with(python, said);
        assert_eq!(&whole.text[whole.shift_at.unwrap()..whole.answer_at], "hint");
        assert!(whole.text.starts_with("```python\nx = 1\n```\n"));
        let mut at_once = Trajectory::ended("x = 1\n```\n");
        (at_once.shift_at, at_once.answer_at) = (Some(0), 0);
        assert_eq!(begun_with(python, at_once).answer(), "```python\nx = 1\n```\n");
    }

    #[test]
    fn what_is_taken_back_was_never_said() {
        let mut stream = Stream::begun("```python\n");
        assert!(!stream.push(Part::Answer, "x = 1\n", 4));
        assert!(stream.push(Part::Answer, "```\nand é", 4));
        stream.take_back("```\nand é".len());
        assert_eq!((stream.text.as_str(), stream.closed.len()), ("```python\nx = 1\n", 0));
        assert!(stream.push(Part::Answer, "y = 2\n```\n", 4));
        assert_eq!(stream.closed[0].body, "x = 1\ny = 2\n");
        stream.take_back(1000);
        assert_eq!(stream.text, "");
    }

    #[test]
    fn a_block_that_is_said_again_is_told() {
        let block = "```js\na();\nb();\nc();\nd();\ne();\n```\n";
        let mut stream = Stream::begun("");
        assert!(stream.push(Part::Answer, block, 9) && !stream.repeats());
        assert!(stream.push(Part::Answer, "```js\na();\nb();\nc();\nd();\nf();\n```\n", 9) && !stream.repeats());
        assert!(stream.push(Part::Answer, block, 9) && stream.repeats());
        let mut short = Stream::begun("");
        assert!(short.push(Part::Answer, "```sh\nls\n```\n", 3) && short.push(Part::Answer, "```sh\nls\n```\n", 3));
        assert!(!short.repeats(), "a command may be said twice");
    }

    #[test]
    fn the_same_lines_again_and_again_do_not_grow() {
        let file: String = (0..40).map(|n| format!("value_{n} = {n}\n")).collect();
        assert!(grows(&file) && grows("short\n"));
        assert!(!grows(&"    pass\n".repeat(40)) && !grows(&"a\nb\n".repeat(40)));
        assert!(!grows(&"never any code, ".repeat(40)) && grows(&file.replace('\n', " ")));
    }
}
