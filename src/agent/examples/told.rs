//! Values that are told beside the function's name: "Input: nums = [2, 7], target = 9 / Output: [0, 1]", "For lst = [1, 2] the
//! output should be 5". Pure.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use regex::Regex;

use super::Example;
use super::calls::{arguments, value};
use super::literal::{closing, is_python_word, literal};
use crate::agent::checks::compile;

/// The function that a prompt names to be written: `a function max_product(nums)`.
pub(in crate::agent) fn function_named(prompt: &str) -> Option<String> {
    static NAMED: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)\b(?:function\s+(?:called\s+|named\s+)?|def\s+)`?([A-Za-z_]\w*)`?\("));
    static ASKED: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(?:write|implement|create|define|complete)\s+(?:(?:an?|the|python|async|function|generator|decorator)\s+)*`?([A-Za-z_]\w*)`?\(",
        )
    });
    let found = NAMED.captures(prompt).or_else(|| ASKED.captures(prompt));
    found.map(|found| found[1].to_owned()).filter(|name| !is_python_word(name))
}

/// What the prompt tells of a function's inputs and outputs.
pub(super) fn values(prompt: &str, entry: &str) -> Vec<Example> {
    // Built structures are not what is written, what is changed in place is not what is returned, and of a method there is no
    // saying whose it is.
    static OTHERWISE: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"\b[Ii]n[- ]place\b|\b(?:ListNode|TreeNode|Node)\b|\(self\b|\b[Pp]rints?\b|\b[Ll]inked lists?\b|\b[Bb]inary tree",
        )
    });
    if OTHERWISE.is_match(prompt) || entry == "main" || entry.starts_with('_') || several_named(prompt) {
        return Vec::new();
    }
    let parameters = parameters(prompt, entry);
    let lines: Vec<&str> = prompt.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let told = in_a_sentence(line).or_else(|| labelled(&lines[at..]));
        found.extend(told.and_then(|told| told.example(entry, parameters.as_ref(), at)));
    }
    found
}

/// Whether more than one function is spoken of with its parameters: nobody knows whose inputs are told.
fn several_named(prompt: &str) -> bool {
    static SIGNATURE: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"\b([A-Za-z_]\w*)\((?:self\s*,\s*)?[A-Za-z_]\w*(?:\s*:[^,()]*)?(?:\s*,\s*[A-Za-z_]\w*(?:\s*:[^,()]*)?)*\)",
        )
    });
    let names = SIGNATURE.captures_iter(prompt).map(|found| found[1].to_owned()).filter(|name| !is_python_word(name));
    names.collect::<std::collections::BTreeSet<_>>().len() > 1
}

/// Arguments, by name where they have one, and what is given for them.
struct Told {
    given: Vec<(Option<String>, String)>,
    value: String,
}

impl Told {
    fn example(self, entry: &str, parameters: Option<&Parameters>, line: usize) -> Option<Example> {
        let named = self.given.iter().filter(|(name, _)| name.is_some()).count();
        let fits = |known: &Parameters| known.count.contains(&self.given.len());
        let by_name = |known: &Parameters| {
            self.given.iter().all(|(name, _)| name.as_ref().is_some_and(|name| known.names.contains(name)))
        };
        let named_as_written = parameters.is_some_and(by_name);
        let usable = if named == self.given.len() {
            // Where no signature says how the parameters are called, they come in the order that they are told in.
            parameters.is_none_or(fits)
        } else {
            named == 0 && parameters.is_some_and(fits)
        };
        let argument = |(name, value): &(Option<String>, String)| match name {
            Some(name) if named_as_written => format!("{name}={value}"),
            _ => value.clone(),
        };
        let call = || format!("{entry}({})", self.given.iter().map(argument).collect::<Vec<_>>().join(", "));
        // `arr = {5, 1, 4}` is an array of another language.
        let braced = |value: &str| value.starts_with('{') && !value.contains(':');
        let foreign = braced(&self.value) || self.given.iter().any(|(_, value)| braced(value));
        (usable && !foreign && !self.given.is_empty()).then(|| Example {
            call: call(),
            value: self.value.clone(),
            loose: false,
            line,
        })
    }
}

/// "For s = "abcde", c = "ae", the result should be ('bcd', False)".
fn in_a_sentence(line: &str) -> Option<Told> {
    static GIVEN: LazyLock<Regex> = LazyLock::new(|| compile(r"^\W*(?i:for|if|given|when|with)\s+`?[A-Za-z_]\w*\s*="));
    static OUTPUT: LazyLock<Regex> = LazyLock::new(|| {
        compile(concat!(
            r"(?i)\b(?:output|result|answer|return value|function|it)s?\s+(?:(?:should|must|will)\s+(?:be|return|equal|give)",
            r"|is|returns|gives|equals)\s*:?\s*`?"
        ))
    });
    static WRONG: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)\b(?:but|wrong|instead|currently)\b"));
    let begins = GIVEN.find(line).filter(|_| !WRONG.is_match(line))?;
    let before = line[..begins.end() - 1].trim_end();
    let no_name = |(at, c): (usize, char)| (!(c.is_alphanumeric() || c == '_')).then(|| at + c.len_utf8());
    let name_at = before.char_indices().rev().find_map(no_name).unwrap_or(0);
    let (given, rest) = assignments(&line[name_at..], '=');
    let output = OUTPUT.find(rest)?;
    let (value, _) = value(&rest[output.end()..])?;
    (!given.is_empty()).then_some(Told { given, value })
}

/// "Input: nums = [2, 7], target = 9" or "Input: [1, 2]", with "Output: …" below it; also with one argument a line.
fn labelled(lines: &[&str]) -> Option<Told> {
    static INPUT: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)^\W*input\W*?:[\s`*]*(?P<rest>.*)$"));
    static OUTPUT: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)^\W*output\W*?:[\s`*]*(?P<rest>.+)$"));
    const ARGUMENTS_MAX: usize = 8;
    let input = INPUT.captures(lines.first()?)?["rest"].trim().trim_end_matches(['`', '*']).trim().to_owned();
    let below: Vec<&str> =
        lines[1..].iter().copied().filter(|line| !line.trim().is_empty()).take(ARGUMENTS_MAX + 1).collect();
    let at = below.iter().position(|line| OUTPUT.is_match(line))?;
    let given = match (input.as_str(), at) {
        ("", 1..) => below[..at].iter().map(|line| argument_line(line)).collect::<Option<Vec<_>>>()?,
        ("", _) => return None,
        (input, 0) => {
            let (given, rest) = assignments(input, '=');
            if given.is_empty() { bare(input)? } else { rest.trim().is_empty().then_some(given)? }
        }
        _ => return None,
    };
    let output = OUTPUT.captures(below[at])?["rest"].trim().to_owned();
    let (value, after) = value(&output)?;
    // "Output: 5, 6" are two values.
    let over = after.trim().trim_matches(['`', '*', ' ']);
    (over.is_empty() || over.starts_with(['#', '('])).then_some(Told { given, value })
}

/// `grid : [[1]]`, `k = 3`.
fn argument_line(line: &str) -> Option<(Option<String>, String)> {
    let line = line.trim();
    let (mut given, rest) = assignments(line, if line.contains(':') && !line.contains('=') { ':' } else { '=' });
    let only = given.pop().filter(|_| given.is_empty() && rest.trim().is_empty())?;
    Some(only)
}

fn bare(input: &str) -> Option<Vec<(Option<String>, String)>> {
    let given = arguments(input)?;
    Some(given.into_iter().map(|value| (None, value.to_owned())).collect())
}

/// The assignments that a text begins with, and what follows them.
fn assignments(text: &str, sign: char) -> (Vec<(Option<String>, String)>, &str) {
    static NAME: LazyLock<Regex> =
        LazyLock::new(|| compile(r"^`?(?:and\s+)?`?(?P<name>[A-Za-z_]\w*)\s*(?P<sign>[=:])\s*"));
    let (mut given, mut rest) = (Vec::new(), text.trim_start());
    while let Some(found) = NAME.captures(rest).filter(|found| found["sign"].starts_with(sign)) {
        let from = &rest[found[0].len()..];
        let Some(end) = literal(from) else { break };
        given.push((Some(found["name"].to_owned()), from[..end].to_owned()));
        rest = from[end..].trim_start_matches(['`', ' ', '\t']);
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    (given, rest)
}

/// What a prompt says of a function's parameters.
struct Parameters {
    names: Vec<String>,
    /// Arguments at least and at most.
    count: RangeInclusive<usize>,
}

/// `max_product(nums)`, `def add(a: int, b: int = 0)`.
fn parameters(prompt: &str, entry: &str) -> Option<Parameters> {
    prompt.match_indices(entry).find_map(|(at, _)| {
        let before = prompt[..at].chars().next_back();
        let rest = &prompt[at + entry.len()..];
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') || !rest.starts_with('(') {
            return None;
        }
        let inside = &rest[1..closing(rest)? - 1];
        // A call with values is an example of its own.
        if inside.trim().is_empty() || arguments(inside).is_some() {
            return None;
        }
        let mut depth = 0_i32;
        let parameters: Vec<&str> = inside
            .trim_end()
            .trim_end_matches(',')
            .split(|c: char| {
                depth += i32::from(matches!(c, '[' | '(' | '{')) - i32::from(matches!(c, ']' | ')' | '}'));
                depth == 0 && c == ','
            })
            .collect();
        let takes_many = |parameter: &&str| parameter.trim_start().starts_with('*');
        let needed = parameters.iter().filter(|parameter| !parameter.contains('=') && !takes_many(parameter)).count();
        let most = if parameters.iter().any(takes_many) { usize::MAX } else { parameters.len() };
        let name = |parameter: &&str| {
            let parameter = parameter.trim();
            let end = parameter.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(parameter.len());
            parameter[..end].to_owned()
        };
        Some(Parameters { names: parameters.iter().map(name).collect(), count: needed..=most })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::examples::{calls, stdio};

    fn read(prompt: &str, entry: &str) -> Vec<String> {
        values(prompt, entry).iter().map(Example::check).collect()
    }

    #[test]
    fn inputs_and_outputs_of_a_function_are_no_sample_of_a_program() {
        let prompt = "Write a function max_product(nums).\n\nInput: [1, 2, 3]\nOutput: 6\n";
        assert!(stdio(prompt).is_empty());
        assert_eq!(calls(prompt, function_named(prompt).as_deref()), ["assert max_product([1, 2, 3]) == 6"]);
        let prompt = "Write a function add(a, b).\n\nInput: 2, 3\nOutput: 5\n\nInput: [1, 2]\nOutput: 3\n";
        assert_eq!(calls(prompt, Some("add")), ["assert add(2, 3) == 5"]);
        assert!(calls("Write `f`.\n\nInput: 2\nOutput: 5\n", Some("f")).is_empty());
        let prompt = "def total(items: list[tuple[int, int]], start: int = 0) -> int:\n\nInput: [(1, 2)]\nOutput: 3\n";
        assert_eq!(calls(prompt, function_named(prompt).as_deref()), ["assert total([(1, 2)]) == 3"]);
        assert!(stdio(prompt).is_empty());
        let prompt = "Write a function add(*numbers).\n\nInput: 1, 2, 3\nOutput: 6\n";
        assert_eq!(calls(prompt, Some("add")), ["assert add(1, 2, 3) == 6"]);
        assert_eq!(stdio("Read numbers and print their sum.\n\nInput:\n1 2\n\nOutput:\n3\n").len(), 1);
    }

    #[test]
    fn names_count_where_the_signature_has_them() {
        let told =
            "Input: nums = [2, 7], target = 9\nOutput: [0, 1]\n\n**Input:** nums = [], target = x\n**Output:** []\n";
        assert_eq!(read(told, "two_sum"), ["assert two_sum([2, 7], 9) == [0, 1]"]);
        assert!(stdio(told).is_empty());
        let with = format!("def two_sum(nums, target):\n{told}");
        assert_eq!(read(&with, "two_sum"), ["assert two_sum(nums=[2, 7], target=9) == [0, 1]"]);
        let other = format!("def two_sum(xs, goal):\n{told}");
        assert_eq!(read(&other, "two_sum"), ["assert two_sum([2, 7], 9) == [0, 1]"]);
        assert!(read(&format!("def two_sum(xs):\n{told}"), "two_sum").is_empty());
        let without_comma = "Input: nums = [2, 7] target = 9\nOutput: [0, 1]\n";
        assert_eq!(read(without_comma, "two_sum"), ["assert two_sum([2, 7], 9) == [0, 1]"]);
        let comment = "Input: arr = [111,21], k = 4\n    Output: 24 # sum of 21 + 3";
        assert_eq!(read(comment, "f"), ["assert f([111,21], 4) == 24"]);
    }

    #[test]
    fn one_argument_a_line() {
        let prompt =
            "def f(grid, capacity):\n    Input: \n        grid : [[0,1], [1,1]]\n        capacity : 1\n    Output: 6\n";
        assert_eq!(read(prompt, "f"), ["assert f(grid=[[0,1], [1,1]], capacity=1) == 6"]);
    }

    #[test]
    fn sentences_tell_values() {
        let check = |line: &str, expected: &[&str]| assert_eq!(read(line, "f"), expected, "{line}");
        check("For lst = [1,2,3] the output should be 14", &["assert f([1,2,3]) == 14"]);
        check("For num = \"AB\" the output should be 1.", &["assert f(\"AB\") == 1"]);
        check("For N = 1000, the sum of digits will be 1 the output should be \"1\".", &["assert f(1000) == \"1\""]);
        check(
            "For s = \"ab\", c = \"a\", the result should be ('b',False)",
            &["assert f(\"ab\", \"a\") == ('b',False)"],
        );
        check("- If `n = 4` and `k = 2`, the function returns true.", &["assert f(4, 2) == True"]);
        check("For n = 3 it is faster", &[]);
        check("If x = 1 the result is better", &[]);
        check("For all lists the output should be 1", &[]);
        check("For\u{a0}x = 3 the output should be 9", &["assert f(3) == 9"]);
        check("For n = 0 the function returns 1, but it should return 0", &[]);
    }

    #[test]
    fn what_cannot_be_called_as_told_is_left_out() {
        assert!(read("def f(a, b):\nIf b = 0, the function should return None.", "f").is_empty());
        assert!(read("Given is_prime(n), write next_prime(n).\nInput: 7\nOutput: 11", "is_prime").is_empty());
        assert!(read("def f(nums):\nModify nums in-place.\nInput: nums = [1]\nOutput: [1]", "f").is_empty());
        assert!(read("class Solution:\n    def f(self, n):\nInput: n = 1\nOutput: 2", "f").is_empty());
        assert!(read("def main(a, b):\nInput: a = 2, b = 3\nOutput: 5", "main").is_empty());
    }
}
