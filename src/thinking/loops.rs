//! Tells a text that goes round in circles from a text that repeats itself rightly.
//!
//! Small distilled models loop ("Wait, I should check that again." for ever). Two signs are looked for in
//! the last few kilobytes: an exactly periodic tail, and one long line of prose that keeps coming back.
//! Code repeats itself rightly, so inside a fence or an edit block only a very long exact repetition counts.
//!
//! Not for: judging whether the thinking is any good.

use std::collections::VecDeque;

/// How much of the text is looked at, in bytes.
const TAIL_BYTES_MAX: usize = 4096;
/// The tail is looked at once for so many new bytes.
const CHECK_EVERY_BYTES: usize = 48;
/// Inside a block a repetition must be this many times longer to count.
const BLOCK_FACTOR: usize = 5;
/// A line of prose counts from this length on …
const LINE_BYTES_MIN: usize = 24;
/// … and is a loop when it came this often …
const LINE_REPEATS: usize = 8;
/// … among so many lines of prose.
const LINES_MAX: usize = 32;

/// How often a unit of `period` bytes must stand in a row to be a loop. Short units occur in tables,
/// rulers and lists of zeros, so they need many repeats; a paragraph does not come three times by chance.
const fn repeats_min(period: usize) -> usize {
    match period {
        0 => usize::MAX,
        1..20 => 400 / period,
        20..60 => 8,
        60..200 => 4,
        _ => 3,
    }
}

/// A detector for one generation; costs a few kilobytes and microseconds.
#[derive(Clone, Debug, Default)]
pub struct LoopDetector {
    tail: VecDeque<u8>,
    unchecked_bytes: usize,
    line: Vec<u8>,
    /// Hashes of the last lines of prose, and where each ended.
    lines: VecDeque<(u64, usize)>,
    bytes: usize,
    /// Where what repeats itself was said for the first time to its end.
    first_end: Option<usize>,
}

impl LoopDetector {
    /// Adds text and returns whether it has begun to loop; `inside_block` says that the text is code. Once true it stays
    /// true.
    pub fn push(&mut self, bytes: &[u8], inside_block: bool) -> bool {
        for &byte in bytes {
            if self.tail.len() == TAIL_BYTES_MAX {
                self.tail.pop_front();
            }
            self.tail.push_back(byte);
            self.bytes += 1;
            if byte == b'\n' {
                self.end_line(inside_block);
            } else if self.line.len() < TAIL_BYTES_MAX {
                self.line.push(byte);
            }
        }
        self.unchecked_bytes += bytes.len();
        if self.unchecked_bytes >= CHECK_EVERY_BYTES && self.first_end.is_none() {
            self.unchecked_bytes = 0;
            self.first_end = self.periodic_bytes(inside_block).map(|repeated| self.bytes - repeated);
        }
        self.first_end.is_some()
    }

    /// How many bytes at the end say again what was said before; 0 where nothing loops.
    pub fn repeated_bytes(&self) -> usize {
        self.first_end.map_or(0, |end| self.bytes - end)
    }

    fn end_line(&mut self, inside_block: bool) {
        let line = std::mem::take(&mut self.line);
        let words = line.trim_ascii();
        if inside_block || words.len() < LINE_BYTES_MIN {
            return;
        }
        let hash = fnv1a(words);
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back((hash, self.bytes));
        let mut same = self.lines.iter().filter(|(seen, _)| *seen == hash);
        let first = same.next().map(|(_, end)| *end);
        if same.count() + 1 >= LINE_REPEATS && self.first_end.is_none() {
            self.first_end = first;
        }
    }

    /// Looks at every suffix of the tail for a period, by the prefix function of the reversed tail; how many bytes repeat
    /// the first period.
    fn periodic_bytes(&self, inside_block: bool) -> Option<usize> {
        let reversed: Vec<u8> = self.tail.iter().rev().copied().collect();
        let factor = if inside_block { BLOCK_FACTOR } else { 1 };
        let mut border = vec![0usize; reversed.len()];
        for end in 1..reversed.len() {
            let mut length = border[end - 1];
            while length > 0 && reversed[end] != reversed[length] {
                length = border[length - 1];
            }
            border[end] = length + usize::from(reversed[end] == reversed[length]);
            let period = end + 1 - border[end];
            // White space alone is a matter of layout, not of thought.
            if (end + 1) / period >= repeats_min(period).saturating_mul(factor)
                && !reversed[..period].iter().all(u8::is_ascii_whitespace)
            {
                // Further back it may have begun already.
                let further = (end + 1..reversed.len()).take_while(|&at| reversed[at] == reversed[at - period]).count();
                return Some(end + 1 + further - period);
            }
        }
        None
    }
}

/// FNV-1a, 64 bits: enough to tell lines apart, and the same on every run.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that `line` writes for 0, 1, 2, … below `count`.
    fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
        (0..count).map(line).collect()
    }

    fn loops(text: &str) -> bool {
        let mut detector = LoopDetector::default();
        let mut scanner = crate::scan::Scanner::new();
        text.split_inclusive(' ').any(|piece| {
            scanner.push(piece);
            detector.push(piece.as_bytes(), scanner.inside_block())
        })
    }

    #[test]
    fn it_knows_where_the_loop_began() {
        let (before, sentence) = ("First something else, said once. ", "Wait, I should check that again. ");
        let mut detector = LoopDetector::default();
        let text = format!("{before}{}", sentence.repeat(30));
        let mut said = 0;
        for chunk in text.as_bytes().chunks(4) {
            said += chunk.len();
            if detector.push(chunk, false) {
                break;
            }
        }
        // A period may be read from any of its letters on.
        let kept = said - detector.repeated_bytes();
        assert!((before.len()..=before.len() + sentence.len()).contains(&kept), "{kept}");
        let mut lines = LoopDetector::default();
        let line = |n: usize| format!("case number {}\nBut we need to handle the empty list too.\n", n * n);
        let text: String = (0..20).map(line).collect();
        let said = text.as_bytes().iter().take_while(|&&byte| !lines.push(&[byte], false)).count() + 1;
        assert_eq!(said - lines.repeated_bytes(), line(0).len(), "up to the first time");
        assert_eq!(LoopDetector::default().repeated_bytes(), 0);
    }

    #[test]
    fn an_edit_block_without_a_fence_is_code() {
        let methods =
            lines(14, |n| format!("    def method_{n}(self):\n        raise NotImplementedError(\"not yet\")\n\n"));
        let block = format!("src/base.py\n<<<<<<< SEARCH\n{methods}=======\n{methods}>>>>>>> REPLACE\n");
        assert!(!loops(&block));
    }

    #[test]
    fn a_sentence_that_comes_again_and_again_is_a_loop() {
        assert!(loops(&"Wait, I should check that again. ".repeat(12)));
        assert!(loops(&format!("First some thought about it.\n{}", "So the answer is 4.\nBut wait.\n".repeat(12))));
    }

    #[test]
    fn a_long_paragraph_needs_three_times() {
        let paragraph = "Let me think about the edge cases: an empty list, a list with one element, a list whose \
                         elements are all equal, negative numbers, and very large numbers that overflow. Then I \
                         will look at the complexity of the approach and see whether sorting would be better.\n";
        assert!(!loops(&paragraph.repeat(2)));
        assert!(loops(&paragraph.repeat(4)));
    }

    #[test]
    fn a_line_that_keeps_coming_back_between_others_is_a_loop() {
        let text = lines(12, |n| format!("case {n}\nBut we need to handle the empty list too.\n"));
        assert!(loops(&text));
    }

    #[test]
    fn one_character_for_ever_is_a_loop() {
        assert!(loops(&"!".repeat(900)));
    }

    #[test]
    fn repetitive_code_is_not_a_loop() {
        let asserts = lines(60, |n| format!("assert f({n}) == {}\n", n * n));
        let zeros = format!("```python\ngrid = [\n{}]\n```\n", "    [0, 0, 0, 0, 0, 0, 0, 0],\n".repeat(20));
        let calls = format!("```python\n{}```\n", "heapq.heappop(queue)\n".repeat(30));
        let ruler = format!("{}\n", "-".repeat(200));
        let spaces = format!("x{}y", " ".repeat(1000));
        for (name, text) in
            [("asserts", asserts), ("zeros", zeros), ("calls", calls), ("ruler", ruler), ("spaces", spaces)]
        {
            assert!(!loops(&text), "{name}");
        }
    }

    #[test]
    fn a_trace_of_a_list_is_not_a_loop() {
        let trace = lines(40, |n| format!("keep {n}: {} is even -> out\n", n * 2));
        assert!(!loops(&trace));
        assert!(!loops(&"drop 3\n".repeat(20)));
    }
}
