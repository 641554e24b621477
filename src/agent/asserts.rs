//! Checks that a prompt holds as Python: asserts, doctests, whole blocks of tests. Pure.
//!
//! What is only quoted is none: output of tests, code that is to be changed, behaviour that is wrong. Nor is what no program can
//! hold, because it uses names that nobody defines.
//!
//! Not for: examples in other notations (`examples/`).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::checks::compile;
use super::examples;
use crate::reply::fence::{self, Fence};
use crate::repo_map::modules::is_standard;
use crate::repo_map::names::{Names, of_python};
use crate::task::Language;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// One after the other: later ones go on from earlier ones.
    pub(super) doctests: Vec<String>,
    pub(super) asserts: Vec<String>,
    /// Blocks that are tests as a whole.
    pub(super) tests: Vec<String>,
}

/// Reads a prompt.
pub(super) fn found(prompt: &str) -> Found {
    let mut lines = without_traces(prompt);
    let mut found = Found { tests: whole_blocks(prompt, &mut lines), ..Found::default() };
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_start();
        let several = line.matches("assert").count() > 1;
        if !several && (line.starts_with("assert ") || line.starts_with("assert(")) {
            let (statement, used) = statement(&lines[at..]);
            // `assert f(2) => 3` is how some write it.
            let plain = |text: String| examples::stated_call(text["assert".len()..].trim()).unwrap_or(text);
            found.asserts.extend(statement.filter(|_| !is_of_other_code(&lines[..at], lines[at])).map(plain));
            at += used;
        } else if line.starts_with(">>>") {
            let (example, used) = doctest(&lines[at..]);
            let wrong = is_told_wrong(&lines[..at], &lines[(at + used).min(lines.len())..]);
            found.doctests.extend(example.filter(|_| !wrong));
            at += used;
        } else {
            found.asserts.extend(asserts_within(line));
            at += 1;
        }
    }
    found.asserts = found.asserts.into_iter().filter_map(|text| sound(&text, prompt)).collect();
    found.doctests = in_order(found.doctests, prompt);
    found
}

/// Blocks that only test: taken as they are, and their lines out of the rest. One with plain asserts alone is read line by line.
fn whole_blocks(prompt: &str, lines: &mut [&str]) -> Vec<String> {
    static PROGRAM: LazyLock<Regex> = LazyLock::new(|| compile(r"(?m)^(?:async )?(?:def|class) (?P<name>\w+)"));
    let is_python = |fence: &Fence| fence.language().is_none_or(|language| language == Language::Python);
    let mut tests = Vec::new();
    for fence in fence::fences(prompt).into_iter().filter(|fence| fence.closed && is_python(fence)) {
        let body = fence.body.trim_end();
        let indented =
            body.lines().any(|line| line.starts_with([' ', '\t']) && line.trim_start().starts_with("assert"));
        let Some(names) = of_python(body).filter(|_| body.contains("assert") && !body.contains(">>>")) else {
            continue;
        };
        let is_test = |name: &str| name.to_ascii_lowercase().starts_with("test") || name == "check";
        let tests_only = PROGRAM.captures_iter(body).all(|found| is_test(&found["name"]));
        let more_than_asserts = indented || !names.bound.is_empty();
        if !more_than_asserts || !tests_only || !is_free_of_strangers(&names, prompt) {
            continue;
        }
        let own: Vec<&str> = body.lines().collect();
        if let Some(from) = lines.windows(own.len()).position(|window| window == own) {
            lines[from..from + own.len()].fill("");
            tests.push(format!("{body}\n"));
        }
    }
    tests
}

/// Whether an indented statement belongs to code that is pasted: a function that is to be changed, a loop. Tests and docstrings
/// are none.
fn is_of_other_code(before: &[&str], line: &str) -> bool {
    static HEAD: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"^\s*(?:async def|def|for|if|elif|else|while|with|class|try|except|finally)\b.*:\s*(?:#.*)?$")
    });
    let margin = indent(line);
    let Some(at) = before.iter().rposition(|other| !other.trim().is_empty() && indent(other) < margin) else {
        return false;
    };
    let marks = |mark: &str| before[at..].iter().map(|other| other.matches(mark).count()).sum::<usize>();
    let in_docstring = marks("\"\"\"") % 2 == 1 || marks("'''") % 2 == 1;
    HEAD.is_match(before[at]) && !before[at].trim_start().starts_with("def test") && !in_docstring
}

/// Whether what stands around an example says that it shows what is wrong.
fn is_told_wrong(before: &[&str], after: &[&str]) -> bool {
    static AFTER: LazyLock<Regex> = LazyLock::new(|| {
        compile(concat!(
            r"(?i)^\W*(?:but\b|expected\b|instead\b|which is wrong|(?:it )?should (?:be|give|return|print|yield)\s+(?:[\d'\x22\[({-]|true|false|none)",
            r"|i (?:want|expect)(?:ed)?\s+(?:it to (?:be|give|return)\s+)?[\d'\x22\[({-])"
        ))
    });
    let text = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with("```");
    let above = before.iter().rev().find(text).is_some_and(|line| examples::is_about_now(line));
    above || after.iter().find(text).is_some_and(|line| AFTER.is_match(line))
}

/// A prompt's lines without those of pasted test output: what a trace quotes is no check of the user's. Their places stay,
/// empty.
fn without_traces(prompt: &str) -> Vec<&str> {
    static SECTION: LazyLock<Regex> = LazyLock::new(|| compile(r"^(?:_{3,} .* _{3,}|=+ (?:FAILURES|ERRORS) =+)$"));
    static SECTION_END: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"^(?:=+ (?:short test summary|\d+ (?:failed|passed)|warnings).*|FAILED .*|\d+ (?:failed|passed).*)$")
    });
    static MARKED: LazyLock<Regex> = LazyLock::new(|| compile(r"^\s*(?:>(?:[^>]|$)|E\s{2,}|E$)"));
    static TOLD: LazyLock<Regex> = LazyLock::new(|| compile(r"^\s*(?:FAILED\b|AssertionError\b|[❱│]|#)"));
    static FRAME: LazyLock<Regex> = LazyLock::new(|| compile(r#"^\s*File ".*", line \d+"#));
    let (mut section, mut frame) = (false, false);
    let kept = |line| {
        section = (section || SECTION.is_match(line)) && !SECTION_END.is_match(line);
        let quoted = std::mem::replace(&mut frame, FRAME.is_match(line));
        if section || quoted || MARKED.is_match(line) || TOLD.is_match(line) { "" } else { line }
    };
    prompt.lines().map(kept).collect()
}

/// Asserts in the middle of a line of prose: "Write f. assert f(1) == 2; assert f(2) == 3".
fn asserts_within(line: &str) -> Vec<String> {
    static SPOT: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?:^|[\s`;(])(assert(?:\s+|\s*\(\s*)(?:not\s+)?[A-Za-z_][\w.]* ?\()"));
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
    static RAISES: LazyLock<Regex> = LazyLock::new(|| compile(r"^\w*(?:Error|Exception|Warning)\b"));
    let margin = indent(lines[0]);
    let cut = |line: &str| line.get(margin.min(indent(line))..).unwrap_or(line).trim_end().to_owned();
    // `>>>f(2)` is not what doctest reads, and is meant so.
    let spaced = |line: &str, mark: &str| match line.strip_prefix(mark) {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{mark} {rest}"),
        _ => line.to_owned(),
    };
    let mut code = spaced(&cut(lines[0]), ">>>");
    let mut used = 1;
    while let Some(line) = lines.get(used).filter(|line| line.trim_start().starts_with("...")) {
        code.push('\n');
        code.push_str(&spaced(&cut(line), "..."));
        used += 1;
    }
    let ends =
        |line: &str| ["\"\"\"", "'''", ">>>", "```"].iter().any(|mark| line.starts_with(mark)) || line.is_empty();
    let mut output: Vec<String> = Vec::new();
    while let Some(line) = lines.get(used).filter(|line| !ends(line.trim())) {
        let (line, closed) =
            match line.trim_end().strip_suffix("\"\"\"").or_else(|| line.trim_end().strip_suffix("'''")) {
                Some(rest) if rest.matches(['"', '\'']).count() % 2 == 0 => (rest, true),
                _ => (*line, false),
            };
        output.push(cut(line));
        used += 1;
        // What follows a value that is complete is prose.
        if closed || (output.len() == 1 && examples::is_value(output[0].trim())) {
            break;
        }
    }
    if output.len() == 1 && RAISES.is_match(&output[0]) {
        output.insert(0, "Traceback (most recent call last):\n    ...".to_owned());
    }
    let skipped = code.contains("doctest: +SKIP") || code.contains("await ");
    let whole = std::iter::once(code).chain(output).collect::<Vec<_>>().join("\n");
    ((!skipped).then_some(whole), used)
}

/// A statement that a program can hold, without words of the sentence behind it.
fn sound(text: &str, prompt: &str) -> Option<String> {
    const WORDS_MAX: usize = 8;
    let mut text = text.trim_end();
    for _ in 0..WORDS_MAX {
        if let Some(names) = of_python(text) {
            // `assert 6 == 9` is what a test printed.
            let asks = !names.called.is_empty() || text.contains('.') || !names.used.is_empty();
            return (asks && is_free_of_strangers(&names, prompt)).then(|| text.to_owned());
        }
        text = text.rsplit_once(' ')?.0.trim_end_matches([' ', ',', '.']);
    }
    None
}

/// Doctests that a program can hold, each after what the earlier ones bind. Modules that only the writer has are not imported:
/// what comes from them is what is to be written.
fn in_order(examples: Vec<String>, prompt: &str) -> Vec<String> {
    static FOREIGN: LazyLock<Regex> = LazyLock::new(|| compile(r"^>>> (?:from|import) (?P<module>\w+)"));
    /// Beside Python's own: what is there on most machines, and what no task asks to be written.
    const COMMON: [&str; 2] = ["numpy", "pandas"];
    let is_known = |module: &str| is_standard(module) || COMMON.contains(&module);
    let mut bound = BTreeSet::new();
    let mut kept = Vec::new();
    for example in examples {
        let code: Vec<&str> = example
            .lines()
            .take_while(|line| line.starts_with(">>>") || line.starts_with("..."))
            .map(|line| line.get(4..).unwrap_or(""))
            .collect();
        if FOREIGN.captures(&example).is_some_and(|found| !is_known(&found["module"])) {
            continue;
        }
        let Some(mut names) = of_python(&code.join("\n")) else { continue };
        names.used.retain(|name| !bound.contains(name));
        if is_free_of_strangers(&names, prompt) {
            bound.extend(names.bound);
            kept.push(example);
        }
    }
    kept
}

/// Whether nothing is used that neither Python has nor the task can mean: a variable of code that is not there.
fn is_free_of_strangers(names: &Names, prompt: &str) -> bool {
    names.used.iter().all(|name| {
        examples::is_python_word(name)
            || name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().any(|c| c.is_ascii_lowercase())
            || prompt.contains(&format!("{name}("))
            || name.starts_with("__")
    })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn asserts(prompt: &str, expected: &[&str]) {
        assert_eq!(found(prompt).asserts, expected, "{prompt}");
    }

    #[test]
    fn code_that_is_pasted_states_no_check() {
        asserts("Add type hints:\n\ndef mean(xs):\n    assert isinstance(xs, list)\n    return sum(xs)\n", &[]);
        asserts("class Cart:\n    def pop(self):\n        assert len(self.items) > 0\n", &[]);
        asserts("Write f.\n\nresult = f(2)\nassert result == 4\n", &[]);
        asserts("for n in range(3):\n    assert f(n) == n\n", &[]);
        // A docstring and a test are not code to be changed.
        asserts("def f(x):\n    \"\"\" One.\n    assert f(1) == 2\n    \"\"\"\n", &["assert f(1) == 2"]);
        asserts("def test_f():\n    assert f(1) == 2\n", &["assert f(1) == 2"]);
        asserts("Write add.\n  assert add(1, 2) == 3\n", &["assert add(1, 2) == 3"]);
    }

    #[test]
    fn what_only_looks_like_an_assert_is_none() {
        asserts("It calls assertEqual(add(1, 2), 3) and assert_allclose(f(1), 2).", &[]);
        asserts("# assert f(3) == 8  (old)\n", &[]);
        asserts("assert 6 == 9\n", &[]);
        asserts("FAILED test_a.py::test_f - AssertionError: assert add(1, 2) == 4\n", &[]);
        asserts("Make sure assert square(3) == 9 holds.", &["assert square(3) == 9"]);
        asserts("Write it: assert is_diff (12345) == False", &["assert is_diff (12345) == False"]);
    }

    #[test]
    fn a_block_of_tests_is_taken_whole() {
        let block = "s = Stack()\ns.push(1)\nassert s.pop() == 1\n";
        assert_eq!(found(&format!("Write Stack.\n\n```python\n{block}```\n")).tests, [block]);
        let tests = "from math import isclose\n\ndef test_half():\n    for n in (1, 2):\n        assert isclose(half(n), n / 2)\n";
        assert_eq!(
            found(&format!("Write half.\n\n```python\n{tests}```\n")),
            Found { tests: vec![tests.to_owned()], ..Found::default() }
        );
        // A program with its asserts is no test as a whole.
        let program = "```python\ndef f(x):\n    assert x > 0\n    return x\n\nassert f(1) == 2\n```\n";
        assert_eq!(found(program), Found { asserts: vec!["assert f(1) == 2".to_owned()], ..Found::default() });
    }

    #[track_caller]
    fn doctests(prompt: &str, expected: &[&str]) {
        assert_eq!(found(prompt).doctests, expected, "{prompt}");
    }

    #[test]
    fn a_doctest_ends_where_its_value_does() {
        doctests(">>> f(2)\n5\nThe function must be fast.\n", &[">>> f(2)\n5"]);
        doctests("def f(x):\n    \"\"\"\n    >>> f(2)\n    5\"\"\"\n", &[">>> f(2)\n5"]);
        doctests(">>>f(2)\n5\n", &[">>> f(2)\n5"]);
        doctests(
            ">>> root(-1)\nValueError: negative\n",
            &[">>> root(-1)\nTraceback (most recent call last):\n    ...\nValueError: negative"],
        );
        doctests(">>> f(2)  # doctest: +SKIP\n5\n", &[]);
        doctests(">>> f([1,\n...    2])\n[1,\n 2]\n", &[">>> f([1,\n...    2])\n[1,\n 2]"]);
    }

    #[test]
    fn doctests_go_on_from_one_another() {
        doctests(
            ">>> c = Counter()\n>>> c.inc()\n>>> c.inc()\n>>> c.value\n2\n",
            &[">>> c = Counter()", ">>> c.inc()", ">>> c.inc()", ">>> c.value\n2"],
        );
        doctests(">>> c.value\n2\n", &[]);
        doctests(">>> from utils import slugify\n>>> slugify('a b')\n'a-b'\n", &[">>> slugify('a b')\n'a-b'"]);
        doctests(">>> import math\n>>> f(math.pi)\n3\n", &[">>> import math", ">>> f(math.pi)\n3"]);
    }

    #[test]
    fn what_is_wrong_is_no_doctest() {
        doctests(">>> add(2, 3)\n6\n\nIt should give 5.\n", &[]);
        doctests(">>> add(2, 3)\n5\n\nIt should be fast.\n", &[">>> add(2, 3)\n5"]);
        doctests(
            "Current:\n>>> slug('a b')\n'a b'\n\nExpected:\n>>> slug('a b')\n'a-b'\n",
            &[">>> slug('a b')\n'a-b'"],
        );
    }
}
