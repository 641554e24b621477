//! What a task's own words say about how to check an answer: asserts, doctests, examples of input and
//! output, and the language that is asked for. Pure.
//!
//! Only what is stated is taken; nothing is invented. A task whose words hold no check ends `unverified`.
//!
//! Not for: running checks (that is `verify`).

use std::sync::LazyLock;

use regex::Regex;

use super::examples;
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
    let mut checks = Vec::new();
    if language.is_none_or(|language| language == Language::Python) {
        let lines = python_checks(prompt);
        let given = entry(prompt).map(|(name, _)| name);
        let named = given.clone().or_else(|| examples::function_named(prompt));
        let from_words = examples::calls(prompt, named.as_deref());
        // Each kind of its own: doctests beside statements are neither.
        let all = lines.into_iter().chain(from_words).take(CHECKS_MAX);
        let (doctests, asserts): (Vec<_>, Vec<_>) = all.partition(|check| check.starts_with(">>>"));
        let asserts = match &given {
            Some(entry) => of_known_names(asserts, prompt, entry),
            None => asserts,
        };
        checks.extend([doctests, asserts].into_iter().filter_map(|some| together(&some)));
    }
    let python = !checks.is_empty();
    if !python {
        let cases: Vec<StdioCase> = examples::stdio(prompt);
        if !cases.is_empty() {
            checks.push(Check::Stdio { cases, hidden: false });
        }
    }
    let given = entry(prompt);
    Stated {
        checks,
        language: language.or(python.then_some(Language::Python)).or(given.is_some().then_some(Language::Python)),
        helpers: given.as_ref().map(|(_, helpers)| helpers.clone()).unwrap_or_default(),
        entry: given.map(|(name, _)| name),
    }
}

/// Without those that call, in place of the function to be completed, one that the prompt speaks of nowhere else: a slip of
/// whoever wrote the examples, which no answer can hold.
fn of_known_names(checks: Vec<String>, prompt: &str, entry: &str) -> Vec<String> {
    let calls = |text: &str, name: &str| text.matches(&format!("{name}(")).count();
    let in_checks = |name: &str| checks.iter().map(|check| calls(check, name)).sum::<usize>();
    let unknown: Vec<String> = called_names(&checks.join("\n"))
        .into_iter()
        .filter(|name| name != entry && prompt.matches(name.as_str()).count() <= in_checks(name))
        .collect();
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

/// Checks of one kind as one; prose repeats its asserts, and the same check twice proves no more.
fn together(some: &[String]) -> Option<Check> {
    let mut source = String::new();
    for check in some.iter().filter(|check| !check.is_empty()) {
        if !source.contains(check.as_str()) {
            source.push_str(check);
            source.push('\n');
        }
    }
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
    let named = |text: &str| match text.to_ascii_lowercase().as_str() {
        "node" | "node.js" => Some(Language::JavaScript),
        other => Language::from_fence_tag(other),
    };
    let first = NAMED.captures_iter(prompt).find_map(|found| named(found.name("a").or(found.name("b"))?.as_str()));
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
    first.or_else(by_letter).or_else(by_fence)
}

/// Asserts and doctests, each complete, margin taken off.
fn python_checks(prompt: &str) -> Vec<String> {
    let lines = without_traces(prompt);
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_start();
        let several = line.matches("assert").count() > 1;
        if !several && (line.starts_with("assert ") || line.starts_with("assert(")) {
            let (statement, used) = statement(&lines[at..]);
            // `assert f(2) => 3` is how some write it.
            found.extend(statement.map(|text| examples::stated_call(text["assert".len()..].trim()).unwrap_or(text)));
            at += used;
        } else if line.starts_with(">>> ") {
            let (example, used) = doctest(&lines[at..]);
            found.extend(example);
            at += used;
        } else {
            found.extend(asserts_within(line));
            at += 1;
        }
    }
    found
}

/// A prompt's lines without those of pasted test output: what a trace quotes is no check of the user's. Their places stay,
/// empty.
fn without_traces(prompt: &str) -> Vec<&str> {
    static SECTION: LazyLock<Regex> = LazyLock::new(|| compile(r"^(?:_{3,} .* _{3,}|=+ (?:FAILURES|ERRORS) =+)$"));
    static SECTION_END: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"^(?:=+ (?:short test summary|\d+ (?:failed|passed)|warnings).*|FAILED .*|\d+ (?:failed|passed).*)$")
    });
    static MARKED: LazyLock<Regex> = LazyLock::new(|| compile(r"^\s*(?:>(?:[^>]|$)|E\s{2,}|E$)"));
    static FRAME: LazyLock<Regex> = LazyLock::new(|| compile(r#"^\s*File ".*", line \d+"#));
    let (mut section, mut frame) = (false, false);
    let kept = |line| {
        section = (section || SECTION.is_match(line)) && !SECTION_END.is_match(line);
        let quoted = std::mem::replace(&mut frame, FRAME.is_match(line));
        if section || quoted || MARKED.is_match(line) { "" } else { line }
    };
    prompt.lines().map(kept).collect()
}

/// Asserts in the middle of a line of prose: "Write f. assert f(1) == 2; assert f(2) == 3".
fn asserts_within(line: &str) -> Vec<String> {
    static SPOT: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?:^|[\s`;(])(assert\s*\(?\s*(?:not\s+)?[A-Za-z_][\w.]*\()"));
    let plain = examples::without_strings_in_place(line);
    let starts: Vec<usize> = SPOT.captures_iter(&plain).filter_map(|found| Some(found.get(1)?.start())).collect();
    let ends = starts.iter().skip(1).copied().chain([line.len()]);
    let cut = |(from, to): (&usize, usize)| {
        let text = line.get(*from..to)?;
        // A statement ends at the mark that closes the code, or where the sentence goes on.
        let end = examples::without_strings_in_place(text).find(['`', ';']).unwrap_or(text.len());
        let text = text[..end].trim_end().trim_end_matches(['.', ',']).trim_end();
        let text = text.strip_suffix(" and").unwrap_or(text).trim_end_matches([' ', ',']);
        examples::balanced(text).then(|| text.to_owned())
    };
    starts.iter().zip(ends).filter_map(cut).collect()
}

/// One statement that may go on over several lines while a bracket is open.
fn statement(lines: &[&str]) -> (Option<String>, usize) {
    const LINES_MAX: usize = 40;
    let margin = indent(lines[0]);
    let mut text = String::new();
    for (at, line) in lines.iter().take(LINES_MAX).enumerate() {
        text.push_str(line.get(margin.min(indent(line))..).unwrap_or(line).trim_end());
        if examples::balanced(&text) {
            // Prose that happens to begin with the word is no statement.
            let code = text.contains('(') || text.contains("==");
            return (code.then_some(text), at + 1);
        }
        text.push('\n');
    }
    (None, 1)
}

/// `>>>` with its continuation lines and what it must print; an example without output only prepares.
fn doctest(lines: &[&str]) -> (Option<String>, usize) {
    let margin = indent(lines[0]);
    let cut = |line: &str| line.get(margin.min(indent(line))..).unwrap_or(line).trim_end().to_owned();
    let mut text = cut(lines[0]);
    let mut used = 1;
    for line in &lines[1..] {
        let plain = line.trim();
        if plain.is_empty()
            || plain.starts_with(">>>")
            || plain.starts_with("\"\"\"")
            || plain.starts_with("'''")
            || plain.starts_with("```")
        {
            break;
        }
        text.push('\n');
        text.push_str(&cut(line));
        used += 1;
    }
    (Some(text), used)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
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
