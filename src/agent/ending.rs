//! Where a reply of code has said all that was asked: where a model begins to try its own function, or to copy the task's
//! tests below it. Pure.
//!
//! Not for: replies whose last block has closed (`round.rs`).

use std::sync::LazyLock;

use regex::Regex;

use super::checks::compile;
use super::stub;
use crate::reply::fence::fences;
use crate::task::Language;

/// What tells that a reply is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending<'a> {
    /// The words that the reply was begun with.
    pub(super) prefix: &'a str,
    /// What its code must define, where nothing beside it is asked for.
    pub(super) names: &'a [String],
    /// Something beside it is asked for: tests, a use.
    pub(super) more: bool,
}

/// Whether a task asks for more than the function that its checks call: tests, a use, words.
pub(super) fn asks_for_more(prompt: &str) -> bool {
    static MORE: LazyLock<Regex> = LazyLock::new(|| {
        compile(concat!(
            r"(?i)\b(?:(?:write|add|include|with|and|plus|show|give|provide|create|verify)\s+(?:\w+\s+|`){0,3}(?:tests?|asserts?|assertions?|assert|demo|usage|main|it with assertions)",
            r"|unit ?tests?|pytest|unittest|doctests?|test (?:cases|suite)|test_\w+|explain|explanation|describe|discuss|script|program|cli|command[ -]line",
            r"|stdin|standard input|driver code|benchmark|time it|how (?:it works|to use)|call it|use it|prints?|printing|__main__|main\(\))"
        ))
    });
    MORE.is_match(prompt)
}

impl Ending<'_> {
    /// Where in a reply it is over.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        if self.more {
            return None;
        }
        if stub::begins(self.prefix) {
            // Who was given the function's head has nothing else to say.
            return trial(
                text,
                self.prefix.len(),
                |line| tries(line) || comments(line),
                |written| !written.trim().is_empty(),
            );
        }
        if self.names.is_empty() {
            return None;
        }
        let from = open_python(text)?;
        let defined = |written: &str| self.names.iter().all(|name| defines(written, name));
        trial(text, from, |line| line.starts_with("assert ") || says_trial(line), defined)
    }
}

/// The first line at the margin from `from` on that `is_trial`, once what is written before it is enough.
fn trial(text: &str, from: usize, is_trial: impl Fn(&str) -> bool, enough: impl Fn(&str) -> bool) -> Option<usize> {
    let body = text.get(from..)?;
    let (mut at, mut quoted) = (0, false);
    for line in body.split_inclusive('\n') {
        if !quoted && line.starts_with("```") {
            return None;
        }
        if !quoted && is_trial(line) && enough(&body[..at]) {
            return Some(from + at);
        }
        quoted ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        at += line.len();
    }
    None
}

fn tries(line: &str) -> bool {
    ["print(", "assert ", "if __name__"].iter().any(|trial| line.starts_with(trial))
}

/// A comment at the margin that speaks of trying.
fn comments(line: &str) -> bool {
    static TRIES: LazyLock<Regex> = LazyLock::new(|| {
        compile(concat!(
            r"(?i)^#+\s*(?:(?:\w+ ){0,2}(?:tests?|testing|examples?|usage|asserts?|driver)\b",
            r"|(?:check|verify|print|output)\b(?: (?:the |your |my )?(?:\w+ ){0,1}(?:function|code|solution|results?|outputs?)\b|:|\s*$))"
        ))
    });
    line.ends_with('\n') && TRIES.is_match(line)
}

/// The same where nothing was begun, so that a whole program may be meant: a heading of trials.
fn says_trial(line: &str) -> bool {
    static HEADING: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^#+\s*(?:(?:unit )?tests?\b|testing\b|test cases?|examples?\b|(?:sample|example) usage|usage\b|asserts?\b)",
        )
    });
    line.ends_with('\n') && HEADING.is_match(line)
}

/// Where the body of an open block of Python begins, where the text ends in one.
fn open_python(text: &str) -> Option<usize> {
    let fence = fences(text).pop().filter(|fence| !fence.closed)?;
    if !fence.info.is_empty() && fence.language() != Some(Language::Python) {
        return None;
    }
    Some(fence.start + text[fence.start..].find('\n')? + 1)
}

/// Whether code defines a name at its margin.
fn defines(code: &str, name: &str) -> bool {
    code.lines().any(|line| {
        let heads = ["def ", "async def ", "class "];
        let rest = heads
            .iter()
            .find_map(|head| line.strip_prefix(head))
            .or(Some(line))
            .and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.trim_start().starts_with(['(', ':', '=']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_over_where_its_own_trial_begins() {
        let prefix = "```python\ndef f(x):\n    \"\"\"One.\"\"\"\n";
        let of = |body: &str| {
            Ending { prefix, names: &[], more: false }.find(&format!("{prefix}{body}")).map(|at| at - prefix.len())
        };
        let body = "    # a comment\n    return x\n\n";
        for trial in ["# Test cases\nprint(f(1))\n", "print(f(", "assert f(1) == 1\n", "if __name__ == '__main__':\n"] {
            assert_eq!(of(&format!("{body}{trial}")), Some(body.len()), "{trial}");
        }
        assert_eq!(of(&format!("{body}def g():\n    print(1)\n```\n# Done")), None);
        assert_eq!(of("# not yet\n    return x\n"), None, "nothing was written before");
        assert_eq!(of("    text = \"\"\"\n# in a text\n\"\"\"\n    return text\n"), None);
        assert_eq!(of(&format!("{body}# Return the greatest, latest one\ndef g():\n")), None, "no trial");
        assert_eq!(of(&format!("{body}# Helper: check if prime\ndef g():\n")), None, "no trial");
        let asked = Ending { prefix, names: &[], more: true };
        assert_eq!(asked.find(&format!("{prefix}{body}assert f(1) == 1\n")), None, "it is asked for");
        let program = Ending { prefix: "```python\n", names: &[], more: false };
        assert_eq!(program.find("```python\nx = 1\nprint(x)\n"), None, "a program prints");
    }

    #[test]
    fn so_is_a_reply_of_its_own_once_all_is_defined() {
        let names = ["f".to_owned(), "Stack".to_owned()];
        let of = |text: &str| Ending { prefix: "", names: &names, more: false }.find(text);
        let code = "Here it is:\n```python\nclass Stack:\n    pass\n\ndef f(x):\n    return x\n\n";
        for trial in ["# Test the function\n", "assert f(1) == 1", "# Example usage:\nprint(f(1))\n"] {
            assert_eq!(of(&format!("{code}{trial}")), Some(code.len()), "{trial}");
        }
        for more in
            ["# Check the arguments\n", "print(f(1))\n", "if __name__ == '__main__':\n", "# Tes", "```\n# Test\n"]
        {
            assert_eq!(of(&format!("{code}{more}")), None, "{more}");
        }
        assert_eq!(of("```python\ndef f(x):\n    return x\n\n# Test\n"), None, "`Stack` is still to come");
        assert_eq!(of("```sh\nf() { :; }\n# Test\n"), None);
    }

    #[test]
    fn who_asks_for_tests_gets_them() {
        for more in [
            "Write f with tests.",
            "Add a few unit tests.",
            "f, and explain it",
            "a script that prints f(1)",
            "and add some asserts",
        ] {
            assert!(asks_for_more(more), "{more}");
        }
        for plain in [
            "Write a function f. Your code should satisfy these tests:\nassert f(1) == 2",
            "For example: assert f(1) == 2",
        ] {
            assert!(!asks_for_more(plain), "{plain}");
        }
    }
}
