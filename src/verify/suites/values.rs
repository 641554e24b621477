//! Replies that are values or calls and no programs: what a reply says that `f` returns, or what it is to be called
//! with, and the program that stands for it.

use std::borrow::Cow;

use crate::task::{Candidate, Check, Language};

use super::Problem;

const OPEN: &str = "[ANSWER]";
const CLOSE: &str = "[/ANSWER]";

/// The value that a reply says `f` returns.
pub fn output_of(text: &str) -> Option<String> {
    first_read(text, |said, tagged| match assertion(said) {
        Some(found) => found.value,
        None if tagged => bare(said.trim_start().trim_start_matches("==")),
        None => None,
    })
}

/// The input that a reply says leads to the output, as the arguments of a call.
pub fn input_of(text: &str) -> Option<String> {
    first_read(text, |said, tagged| match assertion(said) {
        Some(found) => Some(found.input),
        None if tagged && !said.starts_with("assert") => bare(said),
        None => None,
    })
}

/// A value by itself, as files of answers hold them.
pub(super) fn alone(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.contains('\n')).then(|| bare(text)).flatten()
}

/// The program that returns a value whatever it is called with.
pub fn returning(value: &str) -> Candidate {
    python(format!("def f(*args, **kwargs):\n    return (\n{value}\n)\n"))
}

/// A problem whose check is that the program of the row, called with this input, returns the row's output.
pub fn called_with(problem: &Problem, input: &str) -> Option<(Problem, Candidate)> {
    let (code, output) = (problem.texts.get("code")?, problem.texts.get("output")?);
    let source = format!("{code}\n\ndef z1_answer():\n    return f(\n{input}\n)\n");
    let check = Check::Asserts { source: format!("assert z1_answer() == {output}"), hidden: true };
    let names = vec!["z1_answer".to_owned()];
    Some((Problem { names, entry: None, checks: vec![check], ..problem.clone() }, python(source)))
}

fn python(source: String) -> Candidate {
    Candidate::Program { language: Language::Python, source }
}

/// What is read first of: answers between both tags from the last on, those that only begin, the last assertion.
fn first_read(text: &str, read: impl Fn(&str, bool) -> Option<String>) -> Option<String> {
    let tagged: Vec<&str> = text.match_indices(OPEN).map(|(at, _)| &text[at + OPEN.len()..]).collect();
    let within = |rest: &str, closed: bool| {
        let end = rest.find(CLOSE);
        // A tag that is only spoken of has another one before its end.
        let inner = &rest[..end.unwrap_or(rest.len())];
        (end.is_some() == closed && !inner.contains(OPEN)).then(|| read(&unfenced(inner), true)).flatten()
    };
    let closed = tagged.iter().rev().find_map(|rest| within(rest, true));
    let found = closed.or_else(|| tagged.iter().rev().find_map(|rest| within(rest, false)));
    found.or_else(|| if tagged.is_empty() { read(text, false) } else { None })
}

/// The inside of the first fence, where there is one.
fn unfenced(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let Some((_, after)) = text.split_once("```") else { return Cow::Borrowed(text.trim_matches('`').trim()) };
    let (first, rest) = after.split_once('\n').unwrap_or((after, ""));
    let is_tag = first.trim().chars().all(|c| c.is_alphanumeric() || c == '_') && !rest.is_empty();
    let inner = if is_tag { rest } else { after };
    Cow::Owned(inner.split("```").next().unwrap_or(inner).trim().to_owned())
}

/// `assert f(input) == value`, taken apart.
struct Assertion {
    input: String,
    value: Option<String>,
}

/// The last assertion about a call of `f`, or such a comparison by itself.
fn assertion(text: &str) -> Option<Assertion> {
    let about_f = |rest: &str| rest.starts_with([' ', '(', '\t']) && unbracketed(rest).is_some();
    let last = text.match_indices("assert").filter(|(at, word)| about_f(&text[at + word.len()..])).last();
    let rest = match last {
        Some((at, word)) => &text[at + word.len()..],
        None => text,
    };
    let inner = unbracketed(rest)?;
    let end = after_call(inner)?;
    let input = inner["f(".len()..end - 1].trim();
    let after = inner[end..].trim_start();
    let value = after.strip_prefix("==").or_else(|| after.strip_prefix("is ").filter(|rest| !rest.starts_with("not ")));
    // What stands behind a comma is the assertion's message.
    let value = value.map(|value| up_to(value, &['\n', ',', '#', ';', '`'])).and_then(settled);
    (input != "??").then(|| Assertion { input: input.to_owned(), value })
}

/// The text from `f(` on, without brackets around the whole.
fn unbracketed(text: &str) -> Option<&str> {
    let mut text = text.trim_start();
    while text.starts_with('(') {
        text = text[1..after_call(text)? - 1].trim();
    }
    text.starts_with("f(").then_some(text)
}

/// A value that stands by itself.
fn bare(text: &str) -> Option<String> {
    settled(up_to(text.trim(), &['\n', '#']))
}

fn settled(value: &str) -> Option<String> {
    let value = value.trim();
    // The end of a sentence; of a number it changes nothing.
    let value = value.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(value).trim();
    (!value.is_empty() && value != "??" && balanced(value)).then(|| value.to_owned())
}

/// Up to the first of these signs outside brackets and strings, or to a bracket that closes what was not opened.
fn up_to<'a>(text: &'a str, ends: &[char]) -> &'a str {
    let text = text.trim_start();
    let mut scan = Scan::default();
    for (at, sign) in text.char_indices() {
        if scan.depth == 0 && scan.quote.is_none() && ends.contains(&sign) {
            return &text[..at];
        }
        scan.step(sign);
        if scan.depth < 0 {
            return &text[..at];
        }
    }
    text
}

/// Where the bracket that opens first is closed.
fn after_call(text: &str) -> Option<usize> {
    let mut scan = Scan::default();
    let mut opened = false;
    for (at, sign) in text.char_indices() {
        scan.step(sign);
        opened |= scan.depth > 0;
        if opened && scan.depth == 0 {
            return Some(at + sign.len_utf8());
        }
    }
    None
}

/// Whether no bracket closes what the text has not opened, and all are closed.
fn balanced(text: &str) -> bool {
    let mut scan = Scan::default();
    text.chars().all(|sign| {
        scan.step(sign);
        scan.depth >= 0
    }) && scan.depth == 0
}

/// Follows brackets outside of Python's strings.
#[derive(Default)]
struct Scan {
    depth: i32,
    quote: Option<char>,
    escaped: bool,
}

impl Scan {
    fn step(&mut self, sign: char) {
        match self.quote {
            Some(_) if self.escaped => self.escaped = false,
            Some(_) if sign == '\\' => self.escaped = true,
            Some(quote) if sign == quote => self.quote = None,
            Some(_) => {}
            None => match sign {
                '"' | '\'' => self.quote = Some(sign),
                '(' | '[' | '{' => self.depth += 1,
                ')' | ']' | '}' => self.depth -= 1,
                _ => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_however_they_are_wrapped() {
        for (text, value) in [
            ("so\n[ANSWER]\nassert f(\"a)\", [1]) == {'x': (1, 2)}\n[/ANSWER]", "{'x': (1, 2)}"),
            ("[ANSWER] 'ab' [/ANSWER]", "'ab'"),
            ("[ANSWER]\nassert f(1) == 'a == b' # done", "'a == b'"),
            ("[ANSWER]f(17) == 17[/ANSWER]", "17"),
            ("[ANSWER]\n```python\nassert f(17) == 17\n```\n[/ANSWER]", "17"),
            ("[ANSWER]assert (f(17) == 17)[/ANSWER]", "17"),
            ("[ANSWER]assert f(17) == (17)[/ANSWER]", "(17)"),
            ("[ANSWER]assert f(17) is True[/ANSWER]", "True"),
            ("[ANSWER]assert f(17) == 17, 'm'[/ANSWER]", "17"),
            ("[ANSWER]assert f(17) == ')'[/ANSWER]", "')'"),
            ("[ANSWER]17 # note[/ANSWER]", "17"),
            ("[ANSWER](1, 2), 3[/ANSWER]", "(1, 2), 3"),
            ("**Answer**: `assert f(17) == 17`", "17"),
            ("assert f(17) == 17.", "17"),
            ("assert f(1) == [1,\n 2]\nas I said", "[1,\n 2]"),
            ("It is [ANSWER]assert f(17) == 17[/ANSWER] as required in [ANSWER] tags.", "17"),
            ("[ANSWER]assert f(1) == 1[/ANSWER] no, [ANSWER]assert f(1) == 2[/ANSWER]", "2"),
        ] {
            assert_eq!(output_of(text).as_deref(), Some(value), "{text}");
        }
        for text in ["[ANSWER]\nassert f(1) == ??", "no answer", "17", "[ANSWER]assert f(1) is not None[/ANSWER]"] {
            assert_eq!(output_of(text), None, "{text}");
        }
        assert!(!balanced("1) or (2"));
    }

    #[test]
    fn inputs_are_read_however_they_are_wrapped() {
        for (text, input) in [
            ("[ANSWER]\nassert f(\"a)\", [1]) == {'x': (1, 2)}\n[/ANSWER]", "\"a)\", [1]"),
            ("[ANSWER]assert f() == 3[/ANSWER]", ""),
            ("[ANSWER]assert f(1) if 0 else (3) == 3[/ANSWER]", "1"),
            ("[ANSWER]17[/ANSWER]", "17"),
            ("[ANSWER]f(17)[/ANSWER]", "17"),
            ("[ANSWER]\n```python\nassert f(17) == 17\n```\n[/ANSWER]", "17"),
            ("[ANSWER]assert f(\"==\") == 17[/ANSWER]", "\"==\""),
            ("[ANSWER]assert (f(x=17) == 17)[/ANSWER]", "x=17"),
        ] {
            assert_eq!(input_of(text).as_deref(), Some(input), "{text}");
        }
        assert_eq!(input_of("[ANSWER]assert f(??) == 17[/ANSWER]"), None);
        assert_eq!(input_of("nothing"), None);
    }

    #[test]
    fn a_file_of_answers_may_hold_values_alone() {
        assert_eq!(alone(" [1, 2] \n").as_deref(), Some("[1, 2]"));
        assert_eq!(alone("def f(x):\n    return 1"), None);
    }
}
