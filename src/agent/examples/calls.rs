//! Calls with what they give: `f(2) -> 3`, "f(2) should be 3". Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::literal::{closing, is_python_word, literal, without_strings};
use super::{Example, consistent, told};
use crate::agent::checks::compile;

/// What the words of a prompt say that calls give, each as an assert: `f(args) == value` and the other ways of writing it on
/// lines of their own; values that are told where the function's name is known.
pub(in crate::agent) fn calls(prompt: &str, entry: Option<&str>) -> Vec<String> {
    static METHODS: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)\b(?:class|methods?|object|supporting|design an?)\b"));
    static TEXT: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)\bas (?:a )?strings?\b|\breturns? (?:a|the) string\b|\bformat(?:s|ted)?\b|\bpadd(?:ed|ing)\b")
    });
    static ADDED: LazyLock<Regex> = LazyLock::new(|| compile(r"(?m)^\+\s*[A-Za-z_]\w*\("));
    static CHANCE: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(?:returns?|generates?|picks?|chooses?|rolls?|draws?|at|a)\b[^.\n]{0,30}\brandom(?:ly)?\b|\bdice\b|\bshuffl|\bany order\b|\border does not matter\b|\basync\b|\bgenerator\b|\bpasswords?\b",
        )
    });
    // What comes by chance, or in whatever order, is no check.
    if CHANCE.is_match(prompt) {
        return Vec::new();
    }
    // "get(1) returns None, if the stack is empty" tells of a method.
    let of_an_object = METHODS.is_match(prompt) && !prompt.contains("class Solution");
    let told_of_a_method = |one: &Example| of_an_object && entry.is_none_or(|entry| !one.call.starts_with(entry));
    // A number of a function that gives texts is a text without its quotes.
    let (of_texts, is_diff) = (TEXT.is_match(prompt), ADDED.is_match(prompt));
    let unsaid = |one: &Example| of_texts && one.sort() == Some('0');
    let mut found: Vec<Example> = Vec::new();
    let mut wrong = false;
    for (at, line) in prompt.lines().enumerate() {
        let taken_out = is_diff && line.starts_with('-');
        if !taken_out && !line.trim().is_empty() {
            let own = on_line(line, at, entry);
            // What stands under "Currently:" is what is to be changed.
            if own.is_empty() {
                wrong = is_about_now(line);
            }
            found.extend(own.into_iter().filter(|one| !wrong && !told_of_a_method(one) && !unsaid(one)));
        }
    }
    if let Some(entry) = entry {
        found.extend(told::values(prompt, entry));
    }
    consistent(prompt, found).iter().map(Example::check).collect()
}

/// Whether a line says that what follows is what there is, and not what there should be.
pub(in crate::agent) fn is_about_now(line: &str) -> bool {
    static NOW: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^\W*(?:currently\b|right now\b|(?:current|actual(?:ly)?|now|got|wrong|before|the bug|bug)\b.*:\W*$)",
        )
    });
    NOW.is_match(line)
}

/// The same of one statement: `assert f(2) => 3`.
pub(in crate::agent) fn stated_call(text: &str) -> Option<String> {
    on_line(text, 0, None).first().map(Example::check)
}

/// `f(1) = 2, f(2) = 3; f(3) = 4`.
fn on_line(line: &str, at: usize, entry: Option<&str>) -> Vec<Example> {
    static START: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"^\s*(?:[-*•]\s+|\d+[.)]\s+)?(?:(?i:for example|examples?(?: \d+)?|tests?|e\.g\.|i\.e\.|for|so)(?:[:,]\s*|\s+))?`{0,2}(?P<call>[A-Za-z_]\w*)\(",
        )
    });
    static NEXT: LazyLock<Regex> =
        LazyLock::new(|| compile(r"^`{0,2}\s*(?:[,;]|and\b)\s*(?:and\s+)?`{0,2}(?P<call>[A-Za-z_]\w*)\("));
    static QUOTED: LazyLock<Regex> = LazyLock::new(|| compile(r"`([A-Za-z_]\w*)(\([^`]*)`"));
    static WRONG: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)\b(?:but|wrong|instead|incorrect\w*|currently|expected|actual|old|bug|not)\b"));
    static SHOULD: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)\bshould\b"));
    // "add(2, 3) returns 6, but it should return 5" says both.
    if WRONG.is_match(&without_strings(line)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let (mut rest, mut start) = (line, &*START);
    while let Some(name) = start.captures(rest).and_then(|begins| begins.name("call")) {
        let Some((example, after)) = call(&rest[name.start()..], name.len(), at) else { break };
        (rest, start) = (after, &*NEXT);
        // "returns 6, should be 5"
        if SHOULD.is_match(&without_strings(after)) {
            return Vec::new();
        }
        // Who writes one `=` may define another function, or this one.
        if !example.loose || entry == Some(name.as_str()) {
            found.push(example);
        }
    }
    if found.is_empty() {
        // "It must hold that `f(3) == 9` and `f(-2) == 4`."
        let quoted = QUOTED.captures_iter(line).filter_map(|found| {
            let text = found.get(0)?.as_str().trim_matches('`');
            let (example, after) = call(text, found[1].len(), at)?;
            (!example.loose && after.trim().is_empty()).then_some(example)
        });
        found.extend(quoted);
    }
    found
}

/// The example that a text begins with, and the text after it.
fn call(text: &str, name_bytes: usize, line: usize) -> Option<(Example, &str)> {
    static JOIN: LazyLock<Regex> = LazyLock::new(|| {
        compile(concat!(
            r"^`{0,2}\s*(?:(?:#|//)\s*)?(?:(?:=+>\s*)?(?:(?:should|must|will) )?(?:returns?|return|gives?|yields?|equals?|be)\b|evaluates to\b|is\b",
            r"|=+>|-+>|→|➞|⟶|⇒|==|(?P<loose>=))\s*:?\s*`{0,2}"
        ))
    });
    static ELSEWHERE: LazyLock<Regex> =
        LazyLock::new(|| compile(r#"^(?:load|read|open|fetch|download)\w*\(\s*['"]|['"]https?://"#));
    if is_python_word(&text[..name_bytes]) {
        return None;
    }
    let call = &text[..closing(text)?];
    // What is read from elsewhere is not there.
    if ELSEWHERE.is_match(call) {
        return None;
    }
    // "parse(text) returns None" describes; an example has values.
    arguments(&call[name_bytes + 1..call.len() - 1])?;
    let rest = &text[call.len()..];
    let join = JOIN.captures(rest)?;
    let (value, after) = value(&rest[join.get(0)?.end()..])?;
    let example = Example { call: call.to_owned(), value, loose: join.name("loose").is_some(), line };
    Some((example, after))
}

/// The value that a text begins with, and the text after it; `None` where the sentence goes on as something else.
pub(super) fn value(text: &str) -> Option<(String, &str)> {
    static ELSEWHERE: LazyLock<Regex> =
        LazyLock::new(|| compile(r"^(?i:(?P<yes>true)|(?P<no>false)|(?P<none>null|none))\b"));
    // `19 - 5 - 6 = 8`
    static SUM: LazyLock<Regex> = LazyLock::new(|| compile(r"^[-+*/%\s\d.()]*[-+*/%]\s*[\s\d.()]*=\s*"));
    let word = |text: &str| {
        let found = ELSEWHERE.captures(text)?;
        let value = if found.name("yes").is_some() {
            "True"
        } else if found.name("no").is_some() {
            "False"
        } else {
            "None"
        };
        Some((value.to_owned(), found[0].len()))
    };
    // "The output should be 1." ends a sentence.
    let number = |text: &str| text.strip_suffix('.').unwrap_or(text).to_owned();
    let read = |text: &str| literal(text).map(|end| (number(&text[..end]), end)).or_else(|| word(text));
    let (first, end) = read(text)?;
    // `("Venus")` may be meant as a tuple, and is none.
    if first.starts_with('(') && first != "()" && !without_strings(&first).contains(',') {
        return None;
    }
    if is_over(&text[end..]) {
        return Some((first, &text[end..]));
    }
    let sum = SUM.find(&text[end..])?.end() + end;
    let (last, end) = read(&text[sum..])?;
    is_over(&text[sum + end..]).then(|| (last, &text[sum + end..]))
}

/// Whether nothing of the value can still come: neither `1,000` nor `1, 3`, `3 and 1`, `1.2.4`, `1.618...`.
fn is_over(after: &str) -> bool {
    let plain = after.trim_start_matches('`').trim_start_matches(['*', '_']).trim();
    let word = |word: &str| plain.strip_prefix(word).is_some_and(|rest| rest.starts_with(' '));
    let more = plain.strip_prefix(',').or_else(|| plain.strip_prefix("and ")).map(str::trim_start);
    if more.is_some_and(|more| {
        literal(more.trim_start_matches('`')).is_some() || more.starts_with(|c: char| c.is_ascii_digit() || c == '.')
    }) {
        return false;
    }
    if plain
        .strip_prefix('.')
        .is_some_and(|rest| rest.starts_with(|c: char| !c.is_whitespace() && !matches!(c, ')' | '`' | '*')))
    {
        return false;
    }
    plain.is_empty()
        || plain.starts_with(['.', ',', ';', '#', '('])
        || ["because", "since", "as", "and", "//"].into_iter().any(word)
}

/// A call's arguments as they are written, where each is a literal, with or without its name.
pub(super) fn arguments(text: &str) -> Option<Vec<&str>> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| compile(r"^[A-Za-z_]\w*\s*=\s*"));
    let mut rest = text.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let named = NAME.find(rest).map_or(0, |name| name.end());
        let end = named + literal(&rest[named..])?;
        found.push(&rest[..end]);
        rest = rest[end..].trim_start();
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            // "nums = [2, 7] target = 9"
            None if rest.is_empty() || NAME.is_match(rest) => {}
            None => return None,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_many_spellings() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(on_line(line, 0, Some("f")).first().map(Example::check).as_deref(), expected, "{line}");
        };
        check("f(1) == 2", Some("assert f(1) == 2"));
        check("- `f(1, [2, 3])` → `{'a': (1, 2)}`", Some("assert f(1, [2, 3]) == {'a': (1, 2)}"));
        check("For example, f(\"a)\") returns -1.5.", Some("assert round(f(\"a)\"), 6) == -1.5"));
        check("1. f() => True  # yes", Some("assert f() == True"));
        check("f(x) -> int", None);
        check("- parse(text) returns None, if it is empty", None);
        check("f(n=3, k=[1]) == 2", Some("assert f(n=3, k=[1]) == 2"));
        check("f(1) == 2 or else", None);
        check("print(f(1)) -> 2", None);
        check("if f(1) == 2:", None);
        // As people write them in docstrings.
        check("    f([1, 3]) ==>9", Some("assert f([1, 3]) == 9"));
        check("f([1]) --> [1]", Some("assert f([1]) == [1]"));
        check("f(8, 2) => true", Some("assert f(8, 2) == True"));
        check("f(8) -> null", Some("assert f(8) == None"));
        check("f(12, 15) = 14", Some("assert f(12, 15) == 14"));
        check("g(12, 15) = 14", None);
        check("for f(7, 34, 12) == 34", Some("assert f(7, 34, 12) == 34"));
        check("f(15)   # returns \"db1111db\"", Some("assert f(15) == \"db1111db\""));
        check("f('a.txt') # => 'No' (it has no name)", Some("assert f('a.txt') == 'No'"));
        check("f(\"5 and 6\", 19) ->19 - 5 - 6 = 8", Some("assert f(\"5 and 6\", 19) == 8"));
        check("f(2) = 1 + (2 / 2) = 2", Some("assert f(2) == 2"));
        check("f(2) = 1 + f(1)", None);
        check("f(a) => False", None);
        check("f(1) == truest", None);
        // A value that is not over.
        for text in ["1,000", "1, 3", "3 and 1", "1.2.4", "1.618...", "[2, 3, ...]", "007"] {
            check(&format!("f(1) -> {text}"), None);
        }
        // What is wrong, or is to be changed.
        check("f(2, 3) returns 6, but it should return 5.", None);
        check("f(2, 3)  # returns 6, should be 5", None);
        check("`f(3)` returns 6; should be 9.", None);
        check("- f(2) -> 6 (wrong)", None);
        // More spellings.
        check("Example 1: f(3) -> 9", Some("assert f(3) == 9"));
        check("f(3) must return 9", Some("assert f(3) == 9"));
        check("f(3) # => returns \"a\"", Some("assert f(3) == \"a\""));
        check("f(5) -> 78.54", Some("assert round(f(5), 2) == 78.54"));
        check("f(0.1, 0.2) == 0.3", Some("assert round(f(0.1, 0.2), 6) == 0.3"));
        check("f(1996) is True", Some("assert f(1996) == True"));
        check("f(1) ==> (\"Venus\")", None);
        check("f(1) ==> (\"Venus\",)", Some("assert f(1) == (\"Venus\",)"));
    }

    #[test]
    fn several_on_a_line() {
        let found = calls("f(0) = 0, f(1) = 1 and `f(2)` = 4", Some("f"));
        assert_eq!(found, ["assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 4"]);
    }

    #[test]
    fn what_contradicts_itself_or_only_defines_is_left_out() {
        assert_eq!(calls("f(1) == 2\nf( 1 ) -> 3\nf(2) == 2", Some("f")), ["assert f(2) == 2"]);
        let tri = "tri(1) = 3\ntri(n) = 1 + n / 2, if n is even.\nFor example:\ntri(4) = 3\nExamples:\ntri(3) = [1, 3, 2, 8]\n";
        assert_eq!(calls(tri, Some("tri")), ["assert tri(3) == [1, 3, 2, 8]"]);
    }

    #[test]
    fn what_is_now_or_by_chance_is_no_example() {
        assert!(calls("Currently:\n\nf(2.5) == 2\n\nI want 3.", Some("f")).is_empty());
        assert_eq!(calls("Now write f(n).\nf(2) -> 4", Some("f")), ["assert f(2) == 4"]);
        assert!(calls("Roll some dice: roll(2, 6) -> 7", Some("roll")).is_empty());
        assert!(calls("It returns a string: to_binary(5)\nto_binary(5) -> 101", Some("to_binary")).is_empty());
        assert!(calls("load_csv('people.csv') -> []\nstatus('https://a.b') -> 200", None).is_empty());
        assert_eq!(calls("- f(3) -> 6\n+ f(4) -> 16\n", Some("f")).len(), 0);
        assert!(calls("Return them in any order.\nf(2) -> [1, 2]", Some("f")).is_empty());
        let quoted = calls("It must hold that `f(3) == 9` and `f(-2) == 4`, as always.", Some("f"));
        assert_eq!(quoted, ["assert f(3) == 9", "assert f(-2) == 4"]);
    }

    #[test]
    fn what_is_told_of_methods_is_no_example() {
        assert!(calls("Write a class Stack.\n- pop() returns None, if the stack is empty", None).is_empty());
        assert!(calls("Design a class Cache.\nget(1) -> 1\nput(2, 2) -> None", None).is_empty());
    }
}
