//! Why a record is left out: too long, repeating itself, seen before, or too near to an evaluation set.
//!
//! Each rule is a pure question about one record (with what was seen before); the reasons are counted.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Record;

/// Rules that a record must pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Response tokens (the paper: 8,192).
    pub tokens_max: u32,
    pub tokens_min: u32,
    /// Drop responses whose end goes round in circles (the paper dropped about 3 %).
    pub repetition: bool,
    pub duplicates: bool,
    /// Words in a row shared with an evaluation set that make a record contaminated; 0 is off.
    pub overlap_words: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { tokens_max: 8192, tokens_min: 1, repetition: true, duplicates: true, overlap_words: 13 }
    }
}

/// Counts by reason, and the state that some rules need.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    pub kept: u64,
    pub dropped: BTreeMap<&'static str, u64>,
    seen: HashSet<u64>,
    /// Hashes of the evaluation sets' word n-grams.
    evaluation: HashSet<u64>,
}

impl Sieve {
    /// Adds a text of an evaluation set: records that share a run of words with it will be dropped.
    pub fn forbid(&mut self, text: &str, rules: &Rules) {
        if rules.overlap_words > 0 {
            self.evaluation.extend(ngrams(text, rules.overlap_words));
        }
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
        if !self.evaluation.is_empty()
            && ngrams(record.question(), rules.overlap_words).any(|gram| self.evaluation.contains(&gram))
        {
            return Some("too near to an evaluation set");
        }
        if rules.duplicates {
            let mut hasher = DefaultHasher::new();
            words(record.question()).for_each(|word| word.hash(&mut hasher));
            "\0".hash(&mut hasher);
            words(&record.response).for_each(|word| word.hash(&mut hasher));
            if !self.seen.insert(hasher.finish()) {
                return Some("duplicate");
            }
        }
        None
    }
}

/// Lower-case words; punctuation and white space do not count.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn ngrams(text: &str, size: usize) -> impl Iterator<Item = u64> {
    let words: Vec<String> = words(text).collect();
    let count = (words.len() + 1).saturating_sub(size.max(1));
    (0..count).map(move |at| {
        let mut hasher = DefaultHasher::new();
        words[at..at + size].hash(&mut hasher);
        hasher.finish()
    })
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
    fn an_evaluation_set_is_kept_out() {
        let rules = Rules { overlap_words: 5, ..Rules::default() };
        let mut sieve = Sieve::default();
        sieve.forbid("Return the sum of all even numbers in a list", &rules);
        assert!(!sieve.keeps(&record("Please RETURN the sum of all, even so", "a", 3), &rules));
        assert!(sieve.keeps(&record("Return the product of all even numbers", "b", 3), &rules));
    }

    #[test]
    fn a_question_shorter_than_the_overlap_is_not_contaminated() {
        let rules = Rules::default();
        let mut sieve = Sieve::default();
        sieve.forbid("one two three", &rules);
        assert!(sieve.keeps(&record("one two three", "a", 3), &rules));
    }
}
