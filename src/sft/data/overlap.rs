//! What an evaluation set says, and whether a record says it too.
//!
//! A question of enough words is known by any run of so many words (13, as is usual). A shorter one is known as a
//! whole: alone, or word by word inside a longer question. Tests are known line by line, since a generated answer
//! often repeats them. Responses are looked at as well as questions.
//!
//! Not for: duplicates within the data (`filter`).

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Record;
use crate::prompt::Role;

/// A short question of at least so many words is also looked for inside others; below that it would be found
/// everywhere.
const INSIDE_WORDS_MIN: usize = 6;
/// In a response, which speaks of many things, it must be longer.
const INSIDE_RESPONSE_WORDS_MIN: usize = 8;
/// A test line shorter than this, in characters without space, says too little.
const TEST_CHARS_MIN: usize = 16;

/// Where a record says what an evaluation set says.
pub const IN_QUESTION: &str = "too near to an evaluation set";
pub const IN_RESPONSE: &str = "its answer quotes an evaluation set";
pub const IN_TESTS: &str = "has tests of an evaluation set";

/// The sayings of evaluation sets, as hashes.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Runs of so many words; 0 is off.
    run_words: usize,
    runs: HashSet<u64>,
    /// Whole questions of fewer words, by their number of words.
    short: BTreeMap<usize, HashSet<u64>>,
    /// Whole questions, case and white space apart.
    whole: HashSet<u64>,
    tests: HashSet<u64>,
}

impl Evaluation {
    /// An empty set that knows questions by runs of so many words; 0 knows nothing.
    pub fn new(run_words: usize) -> Self {
        Self { run_words, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.whole.is_empty() && self.tests.is_empty()
    }

    /// Adds a question.
    pub fn forbid(&mut self, question: &str) {
        if self.run_words == 0 || question.trim().is_empty() {
            return;
        }
        self.whole.insert(normal(question));
        let words = words(question);
        if words.len() >= self.run_words {
            self.runs.extend(runs(&words, self.run_words));
        } else if words.len() >= INSIDE_WORDS_MIN {
            self.short.entry(words.len()).or_default().extend(runs(&words, words.len()));
        }
    }

    /// Adds tests; `entry` is what they call `candidate`, where they do.
    pub fn forbid_tests(&mut self, tests: &str, entry: Option<&str>) {
        if self.run_words > 0 {
            let tests =
                entry.map_or_else(|| tests.to_owned(), |entry| tests.replace("candidate(", &format!("{entry}(")));
            self.tests.extend(test_lines(&tests));
        }
    }

    /// Where the record says what is forbidden.
    pub fn found_in(&self, record: &Record) -> Option<&'static str> {
        if self.is_empty() {
            return None;
        }
        let asked = record.messages.iter().filter(|message| message.role == Role::User);
        for question in asked.map(|message| message.content.as_str()) {
            if self.whole.contains(&normal(question)) || self.said_in(question, INSIDE_WORDS_MIN) {
                return Some(IN_QUESTION);
            }
        }
        let tested = |text: &str| test_lines(text).any(|line| self.tests.contains(&line));
        if record.tests.as_deref().is_some_and(tested) {
            return Some(IN_TESTS);
        }
        let quoted = self.said_in(&record.response, INSIDE_RESPONSE_WORDS_MIN) || tested(&record.response);
        quoted.then_some(IN_RESPONSE)
    }

    fn said_in(&self, text: &str, short_words_min: usize) -> bool {
        let words = words(text);
        let mut longer = runs(&words, self.run_words).any(|run| self.runs.contains(&run));
        for (length, known) in self.short.range(short_words_min..) {
            longer = longer || runs(&words, *length).any(|run| known.contains(&run));
        }
        longer
    }
}

/// Lower-case words; punctuation and white space do not count.
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn runs(words: &[String], size: usize) -> impl Iterator<Item = u64> + '_ {
    words.windows(size.max(1)).map(hash)
}

/// A text as far as case and white space are no difference.
fn normal(text: &str) -> u64 {
    let parts: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    hash(parts.join(" ").trim_end_matches(['.', '?', '!', ':']))
}

/// The asserts of a text, white space and kinds of quotes apart.
fn test_lines(text: &str) -> impl Iterator<Item = u64> + '_ {
    text.lines().map(str::trim).filter(|line| line.starts_with("assert")).filter_map(|line| {
        let bare: String =
            line.chars().filter(|c| !c.is_whitespace()).map(|c| if c == '"' { '\'' } else { c }).collect();
        (bare.chars().count() >= TEST_CHARS_MIN).then(|| hash(bare.as_str()))
    })
}

fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Message;

    fn record(question: &str, response: &str, tests: Option<&str>) -> Record {
        Record {
            id: "x".into(),
            messages: vec![Message::new(Role::User, question)],
            unlearnt: Vec::new(),
            response: response.into(),
            tokens: None,
            tests: tests.map(str::to_owned),
        }
    }

    fn asked(evaluation: &Evaluation, question: &str) -> bool {
        evaluation.found_in(&record(question, "a", None)).is_some()
    }

    #[test]
    fn a_long_question_is_known_by_a_run_of_its_words() {
        let mut evaluation = Evaluation::new(5);
        evaluation.forbid("Return the sum of all even numbers in a list");
        assert!(asked(&evaluation, "Please RETURN the sum of all, even so"));
        assert!(!asked(&evaluation, "Return the product of all even numbers"));
    }

    #[test]
    fn a_short_question_is_known_as_a_whole() {
        let mut evaluation = Evaluation::new(13);
        for question in ["Reverse a string.", "Write a function to sort a tuple", "$2+3$", "求和"] {
            evaluation.forbid(question);
        }
        for question in ["reverse  a string", "Task: write a function, to sort a tuple! Tests: …", "$2+3$", "求和"]
        {
            assert!(asked(&evaluation, question), "{question}");
        }
        for question in ["reverse a string twice", "write a function to sort a list", "$2-3$", "求", ""] {
            assert!(!asked(&evaluation, question), "{question}");
        }
        assert_eq!(evaluation.found_in(&record("q", "Write a function to sort a tuple", None)), None, "seven words");
        evaluation.forbid("Write a function to sort a tuple by length");
        let quoting = record("q", "The task: write a function to sort a tuple by length.", None);
        assert_eq!(evaluation.found_in(&quoting), Some(IN_RESPONSE));
    }

    #[test]
    fn tests_are_known_line_by_line() {
        let mut evaluation = Evaluation::new(13);
        evaluation.forbid_tests("def check(candidate):\n    assert candidate([1, 2], \"a\") == 3\n", Some("total"));
        evaluation.forbid_tests("assert f(1)", None);
        let line = "assert total([1,2], 'a') == 3";
        assert_eq!(evaluation.found_in(&record("q", "a", Some(line))), Some(IN_TESTS));
        assert_eq!(evaluation.found_in(&record("q", &format!("```\n{line}\n```"), None)), Some(IN_RESPONSE));
        assert_eq!(evaluation.found_in(&record("q", "assert f(1)", Some("assert total([1, 3]) == 4"))), None);
    }

    #[test]
    fn nothing_is_known_where_it_is_off() {
        let mut evaluation = Evaluation::new(0);
        evaluation.forbid("Reverse a string");
        evaluation.forbid_tests("assert reverse('abc') == 'cba'", None);
        assert!(evaluation.is_empty() && !asked(&evaluation, "Reverse a string"));
    }
}
