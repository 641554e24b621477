//! Why a record is left out: too long, repeating itself, seen before, or too near to an evaluation set.
//!
//! Each rule is a pure question about one record (with what was seen before); the reasons are counted.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Record;
use super::overlap::{self, Evaluation};

/// Rules that a record must pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Response tokens (the paper: 8,192).
    pub tokens_max: u32,
    pub tokens_min: u32,
    /// Drop responses whose end goes round in circles (the paper dropped about 3 %).
    pub repetition: bool,
    pub duplicates: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { tokens_max: 8192, tokens_min: 1, repetition: true, duplicates: true }
    }
}

/// Counts by reason, and the state that some rules need.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    pub kept: u64,
    pub dropped: BTreeMap<&'static str, u64>,
    seen: HashSet<u64>,
    /// What must not be trained on.
    evaluation: Evaluation,
}

impl Sieve {
    /// A sieve that keeps what evaluation sets say out.
    pub fn without(evaluation: Evaluation) -> Self {
        Self { evaluation, ..Self::default() }
    }

    /// Whether the record stays; counts it either way. The record's tokens must have been counted.
    pub fn keeps(&mut self, record: &Record, rules: &Rules) -> bool {
        match self.reason(record, rules) {
            None => {
                self.kept += 1;
                true
            }
            Some(reason) => {
                *self.dropped.entry(reason).or_insert(0) += 1;
                false
            }
        }
    }

    /// Takes back a record that was kept, for a reason found later.
    pub fn drop_kept(&mut self, reason: &'static str) {
        self.kept -= 1;
        *self.dropped.entry(reason).or_insert(0) += 1;
    }

    fn reason(&mut self, record: &Record, rules: &Rules) -> Option<&'static str> {
        let tokens = record.tokens.unwrap_or(0);
        if tokens > rules.tokens_max {
            return Some("too long");
        }
        if tokens < rules.tokens_min {
            return Some("too short");
        }
        if rules.repetition && repeats(&record.response) {
            return Some("repeats itself");
        }
        if let Some(reason) = self.evaluation.found_in(record) {
            return Some(reason);
        }
        if rules.duplicates {
            let mut hasher = DefaultHasher::new();
            overlap::words(record.question()).hash(&mut hasher);
            overlap::words(&record.response).hash(&mut hasher);
            if !self.seen.insert(hasher.finish()) {
                return Some("duplicate");
            }
        }
        None
    }
}

/// Fewest characters of a period, so that `====` or a table's border is no repetition.
const PERIOD_CHARS_MIN: usize = 20;
const PERIOD_CHARS_MAX: usize = 2000;
/// So many copies in a row at the end of a text are a loop.
const COPIES_MIN: usize = 4;
/// A line that makes up this share of a long text is one, too.
const LINE_SHARE: f64 = 0.2;
const LINES_MIN: usize = 50;

/// Whether a text goes round in circles: its end is one passage again and again, or one long line makes up a
/// large part of it.
pub fn repeats(text: &str) -> bool {
    let end: Vec<char> = text.trim_end().chars().rev().take(PERIOD_CHARS_MAX * COPIES_MIN).collect();
    let looping = (PERIOD_CHARS_MIN..=end.len() / COPIES_MIN).any(|period| {
        let first = &end[..period];
        first.iter().any(|c| c.is_alphanumeric())
            && (1..COPIES_MIN).all(|copy| &end[copy * period..(copy + 1) * period] == first)
    });
    if looping {
        return true;
    }
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| line.chars().count() >= PERIOD_CHARS_MIN).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &lines {
        *counts.entry(line).or_insert(0) += 1;
    }
    lines.len() >= LINES_MIN && counts.values().any(|&count| count as f64 > lines.len() as f64 * LINE_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::{Message, Role};

    fn record(question: &str, response: &str, tokens: u32) -> Record {
        Record {
            id: "x".into(),
            messages: vec![Message::new(Role::User, question)],
            unlearnt: Vec::new(),
            response: response.into(),
            tokens: Some(tokens),
            tests: None,
        }
    }

    #[test]
    fn lengths_duplicates_and_reasons_are_counted() {
        let rules = Rules { tokens_max: 10, tokens_min: 2, ..Rules::default() };
        let mut sieve = Sieve::default();
        let kept: Vec<bool> = [("a", 5), ("a", 5), ("A!", 5), ("b", 11), ("c", 1), ("d", 10)]
            .iter()
            .map(|(text, tokens)| sieve.keeps(&record("q", text, *tokens), &rules))
            .collect();
        assert_eq!(kept, [true, false, false, false, false, true]);
        assert_eq!(sieve.kept, 2);
        assert_eq!(sieve.dropped, BTreeMap::from([("duplicate", 2), ("too long", 1), ("too short", 1)]));
    }

    #[test]
    fn circles_are_seen_and_code_is_not_one() {
        let circle = format!("First we think. {}", "Wait, but I should check that once more. ".repeat(6));
        assert!(repeats(&circle));
        let code: String = (0..200).map(|i| format!("    result.append(values[{i}] * {})\n", i * 7 % 13)).collect();
        assert!(!repeats(&code));
        assert!(!repeats(&"=".repeat(400)));
        assert!(!repeats("short"));
        let line = "Let me look at the second example again, step by step.\n";
        let interleaved: String =
            (0..100).map(|i| format!("{line}And here is some other remark, number {i}, quite long.\n")).collect();
        assert!(repeats(&interleaved));
    }

    #[test]
    fn an_evaluation_set_is_kept_out_and_counted() {
        let mut evaluation = Evaluation::new(5);
        evaluation.forbid("Return the sum of all even numbers in a list");
        let mut sieve = Sieve::without(evaluation);
        let rules = Rules::default();
        assert!(!sieve.keeps(&record("Please RETURN the sum of all, even so", "a", 3), &rules));
        assert!(sieve.keeps(&record("Return the product of all even numbers", "b", 3), &rules));
        assert_eq!(sieve.dropped, BTreeMap::from([(overlap::IN_QUESTION, 1)]));
    }
}
