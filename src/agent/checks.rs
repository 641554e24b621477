//! What a task's own words say about how to check an answer: asserts, doctests, examples of input and
//! output, and the language that is asked for. Pure.
//!
//! Only what is stated is taken; nothing is invented. A task whose words hold no check ends `unverified`.
//!
//! Not for: running checks (that is `verify`).

use std::sync::LazyLock;

use regex::Regex;

use super::{asserts, examples};
use crate::reply::Wanted;
use crate::task::{Check, Language, StdioCase};

/// Checks taken from a prompt at most; a longer list repeats itself.
const CHECKS_MAX: usize = 200;

/// Everything a task's words say about its answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stated {
    pub checks: Vec<Check>,
    pub language: Option<Language>,
    /// The function that the prompt gives the signature of, and leaves open.
    pub entry: Option<String>,
    /// Code that the prompt gives before that signature.
    pub helpers: String,
}

/// Reads a prompt.
pub fn stated(prompt: &str) -> Stated {
    let language = language(prompt);
    let given = entry(prompt);
    let mut checks = Vec::new();
    if language.is_none_or(|language| language == Language::Python) {
        checks = python_checks(prompt, given.as_ref().map(|(name, _)| name.as_str()));
    }
    let python = !checks.is_empty();
    if !python {
        let cases: Vec<StdioCase> = examples::stdio(prompt);
        if !cases.is_empty() {
            checks.push(Check::Stdio { cases, hidden: false });
        }
    }
    let (entry, helpers) = given.unzip();
    Stated {
        checks,
        language: language.or((python || entry.is_some()).then_some(Language::Python)),
        helpers: helpers.unwrap_or_default(),
        entry,
    }
}

/// The checks of a prompt that may ask for Python, each kind of its own: doctests beside statements are neither. `given` is the
/// function that it leaves open.
fn python_checks(prompt: &str, given: Option<&str>) -> Vec<Check> {
    // Who has tests written for a function has the function.
    static TESTS_FOR: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)\b(?:write|add|create)\s+(?:\w+\s+){0,2}tests?\s+(?:for|to)\b|\binto a class\b")
    });
    if is_elsewhere(prompt) || TESTS_FOR.is_match(prompt) {
        return Vec::new();
    }
    let asserts::Found { doctests, mut asserts, tests } = asserts::found(prompt);
    let named = given.map(str::to_owned).or_else(|| examples::function_named(prompt));
    for check in examples::calls(prompt, named.as_deref()) {
        // Prose repeats its asserts; the same check twice proves no more.
        if !asserts.contains(&check) {
            asserts.push(check);
        }
    }
    if let Some(entry) = &named {
        asserts = of_known_names(asserts, prompt, entry);
    }
    let blocks = tests.into_iter().map(|test| vec![test]);
    [doctests, asserts].into_iter().chain(blocks).filter_map(together).collect()
}

/// Without those that call, in place of the function to be completed, one that the prompt speaks of nowhere else: a slip of
/// whoever wrote the examples, which no answer can hold.
fn of_known_names(checks: Vec<String>, prompt: &str, entry: &str) -> Vec<String> {
    let calls = |text: &str, name: &str| text.matches(&format!("{name}(")).count();
    let in_checks = |name: &str| checks.iter().map(|check| calls(check, name)).sum::<usize>();
    let given = |name: &str| {
        let mut lines = prompt.lines().filter(|line| line.contains(name));
        let told = |line: &str| {
            let line = line.to_ascii_lowercase();
            ["given", "you have", " api ", "provided", "existing"].iter().any(|word| line.contains(word))
        };
        lines.any(told)
    };
    let spoken_of = |name: &str| {
        let ways = [format!("`{name}`"), format!("function {name}"), format!("called {name}"), format!("named {name}")];
        calls(prompt, name) > in_checks(name) || ways.iter().any(|way| prompt.contains(way.as_str()))
    };
    let mut unknown = called_names(&checks.join("\n"));
    unknown.retain(|name| name != entry && (given(name) || !spoken_of(name)));
    let calls_none = |check: &String| unknown.iter().all(|name| calls(check, name) == 0);
    checks.into_iter().filter(calls_none).collect()
}

/// The checks that come with a task and those that its words state beside them.
pub fn beside(given: &[Check], prompt: &str) -> Vec<Check> {
    let shown: String = given.iter().filter_map(source).collect::<Vec<_>>().join("\n");
    let new = |check: &Check| {
        let mut lines = source(check).unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
        lines.any(|line| !shown.contains(line.trim()))
    };
    given.iter().cloned().chain(stated(prompt).checks.into_iter().filter(new)).collect()
}

fn source(check: &Check) -> Option<&str> {
    if let Check::Asserts { source, .. } = check { Some(source) } else { None }
}

/// Checks of one kind as one.
fn together(some: Vec<String>) -> Option<Check> {
    let lines = some.into_iter().filter(|check| !check.is_empty()).take(CHECKS_MAX);
    let source: String = lines.flat_map(|check| [check.trim_end().to_owned(), "\n".to_owned()]).collect();
    (!source.is_empty()).then_some(Check::Asserts { source, hidden: false })
}

/// What a reply must hold so that these checks can be run against it.
pub fn wanted(checks: &[Check], language: Option<Language>) -> Wanted {
    let mut wanted = Wanted { language, names: Vec::new(), stdin: false };
    for check in checks {
        match check {
            Check::Asserts { source, .. } => {
                wanted.language = wanted.language.or(Some(Language::Python));
                for name in called_names(source) {
                    if !wanted.names.contains(&name) {
                        wanted.names.push(name);
                    }
                }
            }
            Check::Stdio { .. } => wanted.stdin = true,
            Check::TestSource { language, .. } => wanted.language = wanted.language.or(Some(*language)),
            Check::Command { .. } => {}
        }
    }
    wanted
}

/// The visible checks as text for the prompt, where they are not already part of it.
pub fn unshown(checks: &[Check], prompt: &str) -> Option<String> {
    let mut text = String::new();
    for check in checks {
        let (Check::Asserts { source, hidden: false } | Check::TestSource { source, hidden: false, .. }) = check else {
            continue;
        };
        let new = source.lines().any(|line| !line.trim().is_empty() && !prompt.contains(line.trim()));
        if new && !stated(prompt).checks.contains(check) {
            text.push_str(source.trim_end());
            text.push('\n');
        }
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

/// Whether a prompt asks for a language that nothing here runs: its examples are not Python's.
fn is_elsewhere(prompt: &str) -> bool {
    static OTHER: LazyLock<Regex> = LazyLock::new(|| {
        compile(concat!(
            r"(?i)(?:\b(?:in|using|with|to|into)\s+(?:ruby|c#|csharp|kotlin|php|haskell|swift|scala|perl|lua|elixir|clojure|dart|ocaml|sql|html|js|vba|matlab|julia)(?:\W|$)",
            r"|\b(?:ruby|c#|csharp|kotlin|php|haskell|swift|scala|perl|lua|elixir|clojure|dart|ocaml|sql|html|js|vba|matlab|julia)\s+(?:function|program|script|code|class|method|module|solution|query|page))"
        ))
    });
    OTHER.is_match(prompt)
}

/// The language that a prompt asks for.
pub fn language(prompt: &str) -> Option<Language> {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)(?:\b(?:in|using|with)\s+(?P<a>(?:python3?|javascript|typescript|rust|java|bash|cpp|golang|node\.js)\b|c\+\+))|(?:\b(?P<b>python|javascript|typescript|rust|java|bash|shell|golang|node(?:\.js)?|c\+\+)\s+(?:\d[\d.]*\s+)?(?:function|program|script|code|class|method|module|solution|one-liner|implementation))",
        )
    });
    static C_OR_GO: LazyLock<Regex> = LazyLock::new(|| {
        // "23 degrees in C to F" is no program.
        compile(concat!(
            r"(?m)\b(?:in (?P<a>C|Go)(?:[.,;:!?)]|\s*$|\s+(?:that|which|using|with|please)\b)|(?P<b>C|Go) (?:function|program|code|package)",
            r"|(?:function|program|code|script|tool|library|parser|server|it|this)\s+in (?P<c>C|Go)\b)"
        ))
    });
    // What is translated into a language is not in it.
    static INTO: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)\b(?:translat\w+|convert\w*|port\w*|rewrite|migrate)\b[^.\n]{0,80}?\b(?:to|into|in)\s+(?P<to>python3?|javascript|js|typescript|rust|java|bash|cpp|golang)\b",
        )
    });
    let named = |text: &str| match text.to_ascii_lowercase().as_str() {
        "node" | "node.js" => Some(Language::JavaScript),
        other => Language::from_fence_tag(other),
    };
    let first = NAMED.captures_iter(prompt).find_map(|found| named(found.name("a").or(found.name("b"))?.as_str()));
    let into = || {
        let found = INTO.captures(prompt)?;
        let to = &found["to"];
        named(if to.eq_ignore_ascii_case("js") { "javascript" } else { to })
    };
    // "go" and "c" are words of English; only their capitals name a language.
    let by_letter = || {
        let found = C_OR_GO.captures(prompt)?;
        named(["a", "b", "c"].iter().find_map(|group| found.name(group))?.as_str())
    };
    let by_fence = || {
        crate::reply::fence::fences(prompt)
            .iter()
            .filter_map(crate::reply::Fence::language)
            .find(|language| *language != Language::Shell)
    };
    into().or(first).or_else(by_letter).or_else(by_fence)
}

/// The last function that the prompt gives as code, and the code before it where that defines something.
fn entry(prompt: &str) -> Option<(String, String)> {
    static DEF: LazyLock<Regex> = LazyLock::new(|| compile(r"(?m)^def (\w+)\(.*$"));
    let code = python_given(prompt)?;
    let last = DEF.captures_iter(&code).last()?;
    let (name, at) = (last.get(1)?.as_str().to_owned(), last.get(0)?.start());
    let before = code[..at].trim();
    let helpers =
        if before.contains("def ") || before.contains("class ") { format!("{before}\n") } else { String::new() };
    Some((name, helpers))
}

/// The Python that a prompt gives: its fences, or the whole prompt where it is code itself.
fn python_given(prompt: &str) -> Option<String> {
    let fenced: Vec<String> = crate::reply::fence::fences(prompt)
        .into_iter()
        .filter(|fence| fence.language().is_none_or(|language| language == Language::Python))
        .filter(|fence| fence.body.contains("def "))
        .map(|fence| fence.body)
        .collect();
    if !fenced.is_empty() {
        return Some(fenced.join("\n"));
    }
    let code = prompt.lines().find(|line| !line.trim().is_empty())?;
    let starts = ["def ", "from ", "import ", "class ", "@"];
    (starts.iter().any(|start| code.starts_with(start)) && prompt.contains("def ")).then(|| prompt.to_owned())
}

/// The names that asserts and doctests call, without Python's own and without what the checks define.
fn called_names(source: &str) -> Vec<String> {
    static CALL: LazyLock<Regex> = LazyLock::new(|| compile(r"\b[A-Za-z_]\w*\s*\("));
    // Doctest output is not code.
    let code: Vec<&str> = source
        .lines()
        .filter(|line| {
            !source.contains(">>>") || line.starts_with(">>>") || line.starts_with("...") || line.starts_with("assert")
        })
        .collect();
    let own: Vec<&str> = code.iter().flat_map(|line| names_made_by(line)).collect();
    let mut names = Vec::new();
    for line in &code {
        let plain = examples::without_strings(line);
        for found in CALL.find_iter(&plain).filter(|found| !plain[..found.start()].ends_with('.')) {
            let name = found.as_str().trim_end_matches('(').trim_end();
            if !own.contains(&name) && !examples::is_python_word(name) && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// What a line of a check defines, imports or assigns itself.
fn names_made_by(line: &str) -> Vec<&str> {
    static MADE: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?:\bdef |\bclass |\bas )(\w+)|^(?:(?:>>>|\.\.\.) )?\s*(\w+) *=[^=]"));
    let imported = line.split_once("import ").map(|(_, names)| names).unwrap_or_default();
    let imported = imported.split([',', ' ', '(', ')']).filter(|name| !name.is_empty());
    let made = MADE.captures_iter(line).filter_map(|found| Some(found.get(1).or(found.get(2))?.as_str()));
    imported.chain(made).collect()
}

pub(super) fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("invariant: a pattern of this file is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn asserts(prompt: &str) -> String {
        match stated(prompt).checks.as_slice() {
            [Check::Asserts { source, hidden: false }] => source.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn asserts_in_prose_in_fences_and_over_lines() {
        let prompt =
            "Write add.\n  assert add(1, 2) == 3\n```python\nassert add([\n    1,\n    \")\"\n], 2) == \\\n  3\n```\n";
        assert_eq!(
            asserts(prompt),
            "assert add(1, 2) == 3\nassert add([\n  1,\n  \")\"\n], 2) == \\\n3\n"
                .replace("\n  ", "\n    ")
                .replace("\\\n3", "\\\n  3")
        );
    }

    #[test]
    fn asserts_in_the_middle_of_a_sentence() {
        let prompt = "Write rev(s). assert rev(\"a. b\") == \"b .a\" and assert rev('') == ''; assert not rev(None).";
        assert_eq!(asserts(prompt), "assert rev(\"a. b\") == \"b .a\"\nassert rev('') == ''\nassert not rev(None)\n");
        assert_eq!(asserts("Make `assert f(1) == 2` hold."), "assert f(1) == 2\n");
        assert_eq!(stated("We assert things. It should assert (loudly) so.").checks, []);
    }

    #[test]
    fn doctests_keep_their_output() {
        let prompt =
            "def inc(x):\n    \"\"\" Adds one.\n    >>> inc(1)\n    2\n    >>> inc(\n    ...   5)\n    6\n    \"\"\"\n";
        assert_eq!(asserts(prompt), ">>> inc(1)\n2\n>>> inc(\n...   5)\n6\n");
        let stated = stated(prompt);
        assert_eq!((stated.entry.as_deref(), stated.language), (Some("inc"), Some(Language::Python)));
        assert_eq!(wanted(&stated.checks, None).names, ["inc"]);
    }

    #[test]
    fn doctests_and_statements_are_checks_of_their_own() {
        let prompt = "def fib(n):\n    \"\"\"\n    fib(0) -> 0\n    >>> fib(5)\n    4\n    \"\"\"\n";
        let check = |source: &str| Check::Asserts { source: source.to_owned(), hidden: false };
        assert_eq!(stated(prompt).checks, [check(">>> fib(5)\n4\n"), check("assert fib(0) == 0\n")]);
        assert_eq!(beside(&[check(">>> fib(5)\n4\n")], prompt).len(), 2);
        assert_eq!(beside(&[], "Write a poem."), []);
    }

    #[test]
    fn an_example_of_another_name_is_a_slip() {
        let stub = |example: &str| format!("def grades(xs):\n    \"\"\" Grades.\n    {example}\n    \"\"\"\n");
        assert_eq!(stated(&stub("grade_equation([4.0]) ==> ['A+']")).checks, []);
        assert_eq!(asserts(&stub("grades([4.0]) ==> ['A+']")), "assert grades([4.0]) == ['A+']\n");
        let asked = format!("{}\nWrite `mean` as well: assert mean([1]) == 1\n", stub(""));
        assert_eq!(asserts(&asked), "assert mean([1]) == 1\n");
        assert_eq!(asserts("Write f.\nassert f(2) => 3\n"), "assert f(2) == 3\n");
    }

    #[test]
    fn given_helpers_are_told_from_the_open_function() {
        let prompt = "import math\n\ndef poly(x):\n    return x\n\ndef zero(x):\n    \"\"\"\n    >>> zero(1)\n    0\n    \"\"\"\n";
        let stated = stated(prompt);
        assert_eq!(stated.entry.as_deref(), Some("zero"));
        assert_eq!(stated.helpers, "import math\n\ndef poly(x):\n    return x\n");
    }

    #[test]
    fn examples_in_words_become_asserts() {
        assert_eq!(
            asserts("Write `rev`.\n- rev(\"ab\") == \"ba\"\n- `rev([1])` -> `[1]`\n"),
            "assert rev(\"ab\") == \"ba\"\nassert rev([1]) == [1]\n"
        );
    }

    #[test]
    fn sample_input_and_output_become_cases() {
        let stated = stated(
            "Read n numbers and print their sum.\n\nInput\nThe first line contains an integer n.\n\nExample\nInput:\n2\n3 4\nOutput:\n7\n",
        );
        let cases = vec![StdioCase { input: "2\n3 4\n".into(), output: "7\n".into() }];
        assert_eq!(stated.checks, [Check::Stdio { cases, hidden: false }]);
        assert!(wanted(&stated.checks, None).stdin);
    }

    #[test]
    fn prose_is_no_check() {
        assert_eq!(stated("I assert that this works. Write quicksort.").checks, []);
        assert_eq!(stated("assert nothing at all here\nWrite a poem.").checks, []);
        assert_eq!(stated("Input: a list of numbers. Output: the sorted list.").checks, []);
    }

    #[test]
    fn languages_are_named_in_many_ways() {
        let check = |prompt: &str, expected: Option<Language>| assert_eq!(language(prompt), expected, "{prompt}");
        check("Write a Python function that adds", Some(Language::Python));
        check("Reverse a list in Rust.", Some(Language::Rust));
        check("Implement a stack in C++", Some(Language::Cpp));
        check("a C program that prints 1", Some(Language::C));
        check("Write it in Go, please", Some(Language::Go));
        check("let it go in c major", None);
        check("Write a bash script", Some(Language::Shell));
        check("sort numbers with node.js", Some(Language::JavaScript));
        check("Fix:\n```js\nlet x\n```", Some(Language::JavaScript));
        check("add two numbers", None);
        check("Write a function in C that adds", Some(Language::C));
        check("a program in C to sort lines", Some(Language::C));
        check("Convert a temperature in C to F", None);
        check("Write a function to sort a list using shell sort", None);
        check("the sum of all values in nodes of a binary tree", None);
    }

    #[test]
    fn names_are_those_the_candidate_must_define() {
        let source = "from math import isclose\nassert isclose(f(1), 2.0)\nassert sorted(g(x) for x in [1]) == [\"h(1)\"]\nassert Stack().push(1) is None\n";
        let checks = [Check::Asserts { source: source.into(), hidden: true }];
        assert_eq!(wanted(&checks, None).names, ["f", "g", "Stack"]);
    }

    #[test]
    fn tests_from_a_file_are_shown_and_hidden_ones_are_not() {
        let shown = Check::Asserts { source: "assert f(9) == 3\n".into(), hidden: false };
        let hidden = Check::Asserts { source: "assert f(4) == 2\n".into(), hidden: true };
        assert_eq!(unshown(&[shown.clone(), hidden], "Write f."), Some("assert f(9) == 3".to_owned()));
        assert_eq!(unshown(&[shown], "Write f.\nassert f(9) == 3"), None);
    }

    #[test]
    fn pasted_test_output_states_no_check() {
        let pytest = "This test fails, fix cache.py:\n\n    def test_fill():\n>       assert fill() == 3\nE       assert 2 == 3\nE        +  where 2 = fill()\n\ntests/test_cache.py:5: AssertionError\n";
        let section = "fix it\n=================== FAILURES ===================\n___________ test_fill ___________\n\n    def test_fill():\n        assert fill(1) == 1\n>       assert fill() == 3\n=========== short test summary info ===========\nFAILED tests/test_cache.py::test_fill - assert 2 == 3\n";
        let plain = "Traceback (most recent call last):\n  File \"test.py\", line 3, in <module>\n    assert fill() == 3\nAssertionError\n";
        for text in [pytest, section, plain] {
            assert!(stated(text).checks.is_empty(), "{text}: {:?}", stated(text).checks);
        }
        assert!(!stated("Write f. It must hold:\n\n    assert f(1) == 2\n\n>>> f(2)\n3\n").checks.is_empty());
    }
}
