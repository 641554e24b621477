//! Examples written in words: `f(2) -> 3`, "for n = 2 the output should be 3", "Input: … Output: …". Pure.
//!
//! Not for: deciding which of them are checks (see [`super::checks`]).

use std::collections::{BTreeMap, BTreeSet};

mod calls;
mod literal;
mod samples;
mod told;

pub(super) use calls::{calls, is_about_now, stated_call};
pub(super) use literal::{balanced, is_python_word, is_value, without_strings, without_strings_in_place};
pub(super) use samples::stdio;
pub(super) use told::function_named;

/// One call and what it must give, as Python.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Example {
    call: String,
    value: String,
    /// Written with a single `=`, which definitions and recurrences are written with as well.
    loose: bool,
    /// The line of the prompt that it stands on.
    line: usize,
}

impl Example {
    /// A number with a fraction is as exact as it is written: nobody writes the last digits of a sum of floats.
    fn check(&self) -> String {
        const EXACT_DIGITS: usize = 6;
        let digits = self.value.split_once('.').map_or("", |(_, digits)| digits);
        let is_fraction =
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && self.sort() == Some('0');
        match digits.len() {
            0 | 1 if is_fraction => format!("assert round({}, {EXACT_DIGITS}) == {}", self.call, self.value),
            2.. if is_fraction => format!("assert round({}, {}) == {}", self.call, digits.len(), self.value),
            _ => format!("assert {} == {}", self.call, self.value),
        }
    }

    /// What sort of value it gives, by its first character; `None` of `None`, which goes with every sort.
    fn sort(&self) -> Option<char> {
        match self.value.chars().next()? {
            'N' => None,
            'T' | 'F' => Some('T'),
            '"' | '\'' | 'r' | 'b' | 'u' => Some('"'),
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => Some('0'),
            other => Some(other),
        }
    }
}

/// Without what contradicts itself, and without what only defines: `tri(1) = 3` beside `tri(3) = [1, 3, 2, 8]`.
fn consistent(prompt: &str, mut found: Vec<Example>) -> Vec<Example> {
    let plain = |text: &str| text.replace(char::is_whitespace, "").replace('\'', "\"");
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in &found {
        values.entry(plain(&one.call)).or_default().insert(plain(&one.value));
    }
    found.retain(|one| values.get(&plain(&one.call)).is_none_or(|values| values.len() == 1));
    let mut sorts = found.iter().filter(|one| one.loose).filter_map(Example::sort);
    let first = sorts.next();
    if sorts.all(|sort| Some(sort) == first) {
        return found;
    }
    let heading = |line: &str| line.trim_start().to_ascii_lowercase().starts_with("example");
    let from = prompt.lines().enumerate().filter(|(_, line)| heading(line)).last().map_or(usize::MAX, |(at, _)| at);
    found.retain(|one| !one.loose || one.line >= from);
    found
}
