//! Examples written in words: `f(2) -> 3`, "Input: … Output: …". Pure.
//!
//! Not for: deciding which of them are checks (see [`super::checks`]).

use std::sync::LazyLock;

use regex::Regex;

use super::checks::compile;
use crate::task::StdioCase;

/// Names that a check may call without the candidate defining them.
const PYTHON_WORDS: &[&str] = &[
    "abs",
    "all",
    "and",
    "any",
    "assert",
    "bin",
    "bool",
    "bytes",
    "bytearray",
    "callable",
    "chr",
    "complex",
    "dict",
    "dir",
    "divmod",
    "elif",
    "enumerate",
    "except",
    "filter",
    "float",
    "for",
    "format",
    "frozenset",
    "getattr",
    "hasattr",
    "hash",
    "hex",
    "id",
    "if",
    "in",
    "input",
    "int",
    "is",
    "isclose",
    "isinstance",
    "issubclass",
    "iter",
    "lambda",
    "len",
    "list",
    "map",
    "max",
    "min",
    "next",
    "not",
    "object",
    "oct",
    "open",
    "or",
    "ord",
    "pow",
    "print",
    "range",
    "repr",
    "return",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "str",
    "sum",
    "super",
    "tuple",
    "type",
    "while",
    "with",
    "zip",
    "Counter",
    "OrderedDict",
    "defaultdict",
    "deque",
    "Decimal",
    "Fraction",
    "datetime",
    "date",
    "timedelta",
];

pub(super) fn is_python_word(name: &str) -> bool {
    PYTHON_WORDS.contains(&name)
}

/// `f(args) == value`, `f(args) -> value`, `f(args) returns value` on a line of their own, and
/// "Input: a = 1, b = 2 / Output: 3" where the function's name is known; each as an assert.
pub(super) fn calls(prompt: &str, entry: Option<&str>) -> Vec<String> {
    static METHODS: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)\b(?:class|methods?|object)\b"));
    // "pop() returns None, if the stack is empty" tells of a method.
    let of_an_object = METHODS.is_match(prompt);
    let told = |check: &String| of_an_object && check.contains("() ==");
    let mut found: Vec<String> = prompt.lines().filter_map(call_example).filter(|check| !told(check)).collect();
    if let Some(entry) = entry {
        found.extend(keyword_examples(prompt, entry));
        found.extend(value_examples(prompt, entry));
    }
    found
}

fn call_example(line: &str) -> Option<String> {
    static START: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"^\s*(?:[-*•]\s+|\d+[.)]\s+)?(?:(?i:for example|example|e\.g\.|i\.e\.)[:,]?\s*)?`{0,2}(?P<call>[A-Za-z_]\w*)\(",
        )
    });
    static JOIN: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"^`{0,2}\s*(?:==|->|=>|→|➞|(?:should )?(?:returns?|return|gives|equals|be)\b|should be\b)\s*`{0,2}")
    });
    let found = START.captures(line)?;
    let name = found.name("call")?;
    if is_python_word(name.as_str()) {
        return None;
    }
    let from = &line[name.start()..];
    let call = &from[..closing(from)?];
    // "parse(text) returns None" describes; an example has values.
    arguments(&call[name.as_str().len() + 1..call.len() - 1])?;
    let rest = &from[call.len()..];
    let join = JOIN.find(rest)?;
    let value = &rest[join.end()..];
    let value = &value[..literal(value)?];
    let after = rest[join.end() + value.len()..].trim_start_matches('`').trim();
    let ends = after.is_empty() || after.starts_with(['.', ',', ';', '#', '(']) || after.starts_with("because");
    ends.then(|| format!("assert {call} == {value}"))
}

/// A call's arguments as they are written, where each is a literal, with or without its name.
fn arguments(text: &str) -> Option<Vec<&str>> {
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

/// The function that a prompt names to be written: `a function max_product(nums)`.
pub(super) fn function_named(prompt: &str) -> Option<String> {
    static NAMED: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)\b(?:function\s+(?:called\s+|named\s+)?|def\s+)`?([A-Za-z_]\w*)\("));
    NAMED.captures(prompt).map(|found| found[1].to_owned())
}

/// How many arguments the prompt says that the function takes, at least and at most: `max_product(nums)`,
/// `def add(a: int, b: int = 0)`.
fn arity(prompt: &str, entry: &str) -> Option<std::ops::RangeInclusive<usize>> {
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
        let needed = parameters.iter().filter(|parameter| !parameter.contains('=') && !takes_many(parameter));
        let most = if parameters.iter().any(takes_many) { usize::MAX } else { parameters.len() };
        Some(needed.count()..=most)
    })
}

/// "Input: [1, 2, 3] / Output: 6" of a function with one argument, "Input: 2, 3 / Output: 5" of one with two.
fn value_examples(prompt: &str, entry: &str) -> Vec<String> {
    static PAIR: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?im)^\W*input\W*?:[ *`]*(?P<input>[^\s=].*)\n+\W*output\W*?:[ *`]*(?P<output>.+)$")
    });
    let bare = |text: &str| text.trim().trim_matches(['`', '*']).trim().to_owned();
    let Some(arity) = arity(prompt, entry) else { return Vec::new() };
    PAIR.captures_iter(prompt)
        .filter_map(|found| {
            let (input, output) = (bare(&found["input"]), bare(&found["output"]));
            literal(&output).filter(|end| *end == output.len())?;
            let given = arguments(&input).filter(|given| arity.contains(&given.len()))?.join(", ");
            // The names are told by those who read them.
            (!input.contains('=')).then(|| format!("assert {entry}({given}) == {output}"))
        })
        .collect()
}

fn keyword_examples(prompt: &str, entry: &str) -> Vec<String> {
    static PAIR: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?im)^\W*input\W*?:\W*?(?P<input>\w+ *=.+)\n+\W*output\W*?:[ *`]*(?P<output>.+)$"));
    static SPACED: LazyLock<Regex> = LazyLock::new(|| compile(r"\s*=\s*"));
    PAIR.captures_iter(prompt)
        .filter_map(|found| {
            let given = arguments(found["input"].trim().trim_matches('`'))?;
            let output = found["output"].trim();
            let end = literal(output)?;
            output[end..].trim_matches(['`', '*', ' ']).is_empty().then(|| {
                let given: Vec<_> = given.iter().map(|argument| SPACED.replacen(argument, 1, "=")).collect();
                format!("assert {entry}({}) == {}", given.join(", "), &output[..end])
            })
        })
        .collect()
}

/// Sample inputs and the outputs that belong to them, for programs that read standard input.
pub(super) fn stdio(prompt: &str) -> Vec<StdioCase> {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^[\s#*_-]*(?:sample |example )?(?P<kind>input|output|stdin|stdout)(?: *(?:example|sample))?(?: *#?\d+)?[\s*_]*(?P<colon>:?)[\s*_]*(?P<rest>.*)$",
        )
    });
    static READS: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)\b(?:stdin|standard input|standard output|stdout|print|prints|program|reads?)\b")
    });
    // What a function takes and gives is not read and printed.
    if function_named(prompt).is_some() && !READS.is_match(prompt) {
        return Vec::new();
    }
    let lines: Vec<&str> = prompt.lines().collect();
    let label = |line: &str| {
        let found = LABEL.captures(line)?;
        let rest = found["rest"].trim().to_owned();
        (rest.is_empty() || &found["colon"] == ":")
            .then(|| (matches!(found["kind"].to_ascii_lowercase().as_str(), "input" | "stdin"), rest))
    };
    let mut cases = Vec::new();
    let mut input: Option<String> = None;
    let mut at = 0;
    while at < lines.len() {
        let Some((is_input, rest)) = label(lines[at]) else {
            at += 1;
            continue;
        };
        let (block, used) = if rest.is_empty() {
            block(&lines[at + 1..], |line| label(line).is_some())
        } else {
            (format!("{rest}\n"), 0)
        };
        at += 1 + used;
        let usable = !block.trim().is_empty() && !block.lines().any(is_prose) && !is_assignment(&block);
        match (is_input, usable) {
            (true, true) => input = Some(block),
            (false, true) => cases.extend(input.take().map(|input| StdioCase { input, output: block })),
            (_, false) => input = None,
        }
    }
    cases
}

/// A fence's content, or the lines up to the next blank line or label.
fn block(lines: &[&str], is_label: impl Fn(&str) -> bool) -> (String, usize) {
    let blank = lines.iter().take_while(|line| line.trim().is_empty()).count();
    let rest = &lines[blank..];
    if rest.first().is_some_and(|line| line.trim_start().starts_with("```")) {
        let body: Vec<&str> =
            rest[1..].iter().copied().take_while(|line| !line.trim_start().starts_with("```")).collect();
        return (joined(&body), blank + body.len() + 2);
    }
    let body: Vec<&str> = rest
        .iter()
        .copied()
        .take_while(|line| !line.trim().is_empty() && !is_label(line) && !line.trim_start().starts_with("```"))
        .collect();
    (joined(&body), blank + body.len())
}

fn joined(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// A line of a description rather than of data.
fn is_prose(line: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"\b(?:contains?|consists?|integers?|denot\w+|separated|lines?|numbers?|strings?|lists?|representing|an?|the|of)\b",
        )
    });
    let words = line
        .split_whitespace()
        .filter(|word| word.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ',' | '.' | ':')))
        .count();
    words >= 3 && WORDS.find_iter(line).count() >= 2
}

fn is_assignment(block: &str) -> bool {
    static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| compile(r"^\w+ *= *\S"));
    ASSIGNMENT.is_match(block)
}

/// The byte after the bracket that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + c.len_utf8());
                }
            }
            (None, _) => {}
        }
    }
    None
}

/// Whether every bracket and quote of a statement is closed and no line is continued.
pub(super) fn balanced(text: &str) -> bool {
    let plain = without_strings(text);
    let open = plain.matches(['(', '[', '{']).count();
    let close = plain.matches([')', ']', '}']).count();
    open <= close && !text.trim_end().ends_with('\\') && text.matches("\"\"\"").count().is_multiple_of(2)
}

/// The text with the contents of quotes taken out.
pub(super) fn without_strings(text: &str) -> String {
    strings().replace_all(text, "\"\"").into_owned()
}

/// The text with what is quoted replaced by as many bytes of `_`, so that places stay what they are.
pub(super) fn without_strings_in_place(text: &str) -> String {
    strings().replace_all(text, |found: &regex::Captures<'_>| "_".repeat(found[0].len())).into_owned()
}

fn strings() -> &'static Regex {
    static STRING: LazyLock<Regex> = LazyLock::new(|| {
        compile(r#"(?s)"""(?:\\.|[^\\])*?"""|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"#)
    });
    &STRING
}

/// The length of the Python literal that a text begins with.
fn literal(text: &str) -> Option<usize> {
    static SCALAR: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r#"^(?:[-+]?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?|True|False|None|[rbu]?"(?:\\.|[^"\\\n])*"|[rbu]?'(?:\\.|[^'\\\n])*')"#,
        )
    });
    static INSIDE: LazyLock<Regex> = LazyLock::new(|| compile(r"[A-Za-z_]\w*"));
    if text.starts_with(['[', '(', '{']) {
        let end = closing(text)?;
        // Names inside mean that it is no literal (or that it is JSON, which Python does not read).
        let plain = without_strings(&text[..end]);
        let known = |name: &str| matches!(name, "True" | "False" | "None") || name.starts_with(['e', 'E']);
        return INSIDE.find_iter(&plain).all(|name| known(name.as_str())).then_some(end);
    }
    SCALAR.find(text).map(|found| found.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_many_spellings() {
        let check = |line: &str, expected: Option<&str>| assert_eq!(call_example(line).as_deref(), expected, "{line}");
        check("f(1) == 2", Some("assert f(1) == 2"));
        check("- `f(1, [2, 3])` → `{'a': (1, 2)}`", Some("assert f(1, [2, 3]) == {'a': (1, 2)}"));
        check("For example, f(\"a)\") returns -1.5.", Some("assert f(\"a)\") == -1.5"));
        check("1. f() => True  # yes", Some("assert f() == True"));
        check("f(x) -> int", None);
        check("- parse(text) returns None, if it is empty", None);
        check("f(n=3, k=[1]) == 2", Some("assert f(n=3, k=[1]) == 2"));
        check("f(1) == 2 or else", None);
        check("print(f(1)) -> 2", None);
        check("if f(1) == 2:", None);
    }

    #[test]
    fn what_is_told_of_methods_and_functions_is_no_sample_of_a_program() {
        assert!(calls("Write a class Stack.\n- pop() returns None, if the stack is empty", None).is_empty());
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
        let prompt = "Input: nums = [2, 7] target = 9\nOutput: [0, 1]\n";
        assert_eq!(calls(prompt, Some("two_sum")), ["assert two_sum(nums=[2, 7], target=9) == [0, 1]"]);
        assert_eq!(stdio("Read numbers and print their sum.\n\nInput:\n1 2\n\nOutput:\n3\n").len(), 1);
    }

    #[test]
    fn keyword_inputs_need_the_functions_name() {
        let prompt =
            "Input: nums = [2, 7], target = 9\nOutput: [0, 1]\n\n**Input:** nums = [], target = x\n**Output:** []\n";
        assert_eq!(keyword_examples(prompt, "two_sum"), ["assert two_sum(nums=[2, 7], target=9) == [0, 1]"]);
        assert!(stdio(prompt).is_empty());
    }

    #[test]
    fn cases_by_label_and_fence() {
        let prompt =
            "### Sample Input 1\n```\n3\n1 2 3\n```\n### Sample Output 1\n```\n6\n```\n\nInput: 5\nOutput: 25\n";
        let cases = stdio(prompt);
        assert_eq!(cases.len(), 2);
        assert_eq!((cases[0].input.as_str(), cases[0].output.as_str()), ("3\n1 2 3\n", "6\n"));
        assert_eq!((cases[1].input.as_str(), cases[1].output.as_str()), ("5\n", "25\n"));
    }

    #[test]
    fn statements_end_when_all_is_closed() {
        assert!(balanced("assert f('(') == 1"));
        assert!(!balanced("assert f("));
        assert!(!balanced("assert f(1) == \\"));
    }
}
