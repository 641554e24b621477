//! Tells a text that goes round in circles from a text that repeats itself rightly.
//!
//! Small distilled models loop ("Wait, I should check that again." for ever). Two signs are looked for in
//! the last few kilobytes: an exactly periodic tail, and one long line of prose that keeps coming back.
//! Code repeats itself rightly, so inside a code fence only a very long exact repetition counts.
//!
//! Not for: judging whether the thinking is any good.

use std::collections::VecDeque;

/// How much of the text is looked at, in bytes.
const TAIL_BYTES_MAX: usize = 4096;
/// The tail is looked at once for so many new bytes.
const CHECK_EVERY_BYTES: usize = 48;
/// Inside a fence a repetition must be this many times longer to count.
const FENCE_FACTOR: usize = 5;
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
    /// Hashes of the last lines of prose.
    lines: VecDeque<u64>,
    in_fence: bool,
    found: bool,
}

impl LoopDetector {
    /// Adds text and returns whether it has begun to loop. Once true it stays true.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if self.tail.len() == TAIL_BYTES_MAX {
                self.tail.pop_front();
            }
            self.tail.push_back(byte);
            if byte == b'\n' {
                self.end_line();
            } else if self.line.len() < TAIL_BYTES_MAX {
                self.line.push(byte);
            }
        }
        self.unchecked_bytes += bytes.len();
        if self.unchecked_bytes >= CHECK_EVERY_BYTES && !self.found {
            self.unchecked_bytes = 0;
            self.found = self.tail_is_periodic();
        }
        self.found
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let words = line.trim_ascii();
        if words.starts_with(b"```") {
            self.in_fence = !self.in_fence;
            return;
        }
        if self.in_fence || words.len() < LINE_BYTES_MIN {
            return;
        }
        let hash = fnv1a(words);
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(hash);
        self.found |= self.lines.iter().filter(|&&seen| seen == hash).count() >= LINE_REPEATS;
    }

    /// Looks at every suffix of the tail for a period, by the prefix function of the reversed tail.
    fn tail_is_periodic(&self) -> bool {
        let reversed: Vec<u8> = self.tail.iter().rev().copied().collect();
        let factor = if self.in_fence { FENCE_FACTOR } else { 1 };
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
                return true;
            }
        }
        false
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
        text.as_bytes().chunks(4).any(|chunk| detector.push(chunk))
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
