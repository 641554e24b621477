//! What the user says, and what running the tests shows, in the judge's own words.
//!
//! Not for: the code itself.

use super::Layout;
use super::function::{Function, Tried};
use crate::gym::dice::Dice;
use crate::task::{Failure, FailureKind, Report, Tier, Verdict};
use crate::verify;

/// What the user asks for.
pub struct Request {
    pub text: String,
    pub key: String,
    /// The tests were run and failed; otherwise the words say what to change.
    pub fails: bool,
    /// The command that was run.
    pub check: String,
}

/// Requests that leave it to the failure; `{path}` and `{name}`.
const VAGUE: &[&str] = &[
    "make the tests pass",
    "fix the failing test",
    "the tests fail, fix it",
    "fix the bug",
    "fix the tests",
    "a test fails, please fix the code",
    "make the failing tests pass",
    "repair {path}",
    "fix {path}",
    "fix {name}",
    "{name} is wrong, correct it",
    "{name} in {path} does not work",
    "something is wrong in {path}",
    "mend {name} in {path}",
    "find the bug in {path} and fix it",
    "why does the test fail? repair it",
    "get the tests green",
    "please make the test pass",
    "correct the mistake in {path}",
    "the build is red, fix {name}",
    "debug {path}",
    "solve the failing test",
    "there is a bug in {name}",
    "tests are failing; find out why and fix the code",
];

/// Requests that say what to do: `{does}` is an imperative.
const PLAIN: &[&str] = &[
    "change {name} in {path}: it should {does}",
    "in {path}, {name} should {does}",
    "{name} has to {does}",
    "fix {name}, it must {does}",
    "correct {name} so that it will {does}",
    "make {name} {does}",
    "{path}: {name} is meant to {does}",
];

/// Draws the user's words.
pub fn request(broken: &[Function], file: &Layout, dice: &mut Dice) -> Request {
    let first = &broken[0];
    let plain = first.does.is_some() && dice.percent(22);
    let from = if plain { PLAIN } else { VAGUE };
    let at = dice.below(from.len());
    let mut text = from[at]
        .replace("{path}", &file.path)
        .replace("{name}", &first.name)
        .replace("{does}", first.does.as_deref().unwrap_or(""));
    let style = dice.below(4);
    if style & 1 == 1 {
        text = capitalised(&text);
    }
    if style & 2 == 2 {
        text.push('.');
    }
    let fails = !plain || dice.percent(40);
    let check = if dice.percent(70) { "python -m unittest" } else { "pytest" }.to_owned();
    Request { text, key: format!("{}{at}.{style}", if plain { "p" } else { "v" }), fails, check }
}

/// What the failing tests said.
pub fn failure(broken: &[Function], file: &Layout, check: &str, dice: &mut Dice) -> String {
    let plain = dice.percent(15);
    let failures: Vec<Failure> = broken.iter().map(|function| one(function, file, (check, plain), dice)).collect();
    let report = Report {
        command: check.to_owned(),
        passed: (file.functions.len() - broken.len()) as u32,
        failed: failures.len() as u32,
        failures,
        tier: Tier::F,
        wall_ms: 0,
        flags: Vec::new(),
    };
    verify::feedback(&Verdict::Failed(report))
}

fn one(function: &Function, file: &Layout, (check, plain): (&str, bool), dice: &mut Dice) -> Failure {
    let stem = file.module();
    let stem = stem.rsplit('.').next().unwrap_or("");
    let test = match dice.below(3) {
        0 => format!("test_{}_{}", function.name, dice.between(1, 3)),
        _ => format!("test_{}", function.name),
    };
    let tried = &function.calls[0];
    let (folder, line) = (if dice.percent(25) { "tests/" } else { "" }, dice.between(4, 24));
    let unittest = check != "pytest";
    let name = if unittest {
        format!("test_{stem}.{}.{test}", class_name(stem))
    } else {
        format!("{folder}test_{stem}.py::{test}")
    };
    let call = format!("{}({})", function.name, tried.arguments);
    let source = if unittest && !plain {
        format!("self.assertEqual({call}, {})", tried.right)
    } else {
        format!("assert {call} == {}", tried.right)
    };
    let (kind, got, frame) = match &function.crash {
        Some(bad) => {
            let (at, source) = file.line_of(bad).unwrap_or((1, String::new()));
            (
                FailureKind::Crash,
                format!("NameError: name '{bad}' is not defined"),
                format!("{}:{at}  {source}", file.path),
            )
        }
        None => {
            let got = if !unittest {
                by_pytest(tried, &call)
            } else if plain {
                "AssertionError".to_owned()
            } else {
                by_unittest(tried)
            };
            (FailureKind::WrongAnswer, got, format!("{folder}test_{stem}.py:{line}  {source}"))
        }
    };
    Failure { kind, name, got, expected: None, frame: Some(frame) }
}

/// `assertEqual`'s message.
fn by_unittest(tried: &Tried) -> String {
    let Tried { right, wrong, .. } = tried;
    if wrong.starts_with('[') {
        let (at, differing) = first_difference(wrong, right);
        return format!("AssertionError: Lists differ: {wrong} != {right}\n\n{differing} {at}");
    }
    if wrong.starts_with('\'') {
        let (wrong_bare, right_bare) = (wrong.trim_matches('\''), right.trim_matches('\''));
        return format!("AssertionError: {wrong} != {right}\n- {wrong_bare}\n+ {right_bare}\n");
    }
    format!("AssertionError: {wrong} != {right}")
}

fn items(list: &str) -> Vec<&str> {
    list.trim_matches(['[', ']']).split(", ").filter(|item| !item.is_empty()).collect()
}

/// Where two lists part, as `assertEqual` says it.
fn first_difference(wrong: &str, right: &str) -> (String, &'static str) {
    let (a, b) = (items(wrong), items(right));
    match a.iter().zip(&b).position(|(x, y)| x != y) {
        Some(at) => (format!("{at}:\n{}\n{}", a[at], b[at]), "First differing element"),
        None if a.len() > b.len() => (
            format!("{} additional elements.\nFirst extra element {}:\n{}", a.len() - b.len(), b.len(), a[b.len()]),
            "First list contains",
        ),
        None => (
            format!(
                "{} additional elements.\nFirst extra element {}:\n{}",
                b.len() - a.len(),
                a.len(),
                b.get(a.len()).unwrap_or(&"")
            ),
            "Second list contains",
        ),
    }
}

/// pytest's message for a bare assert.
fn by_pytest(tried: &Tried, call: &str) -> String {
    let Tried { right, wrong, .. } = tried;
    format!("AssertionError: assert {wrong} == {right}\n +  where {wrong} = {call}")
}

fn class_name(stem: &str) -> String {
    format!("Test{}", capitalised(stem))
}

/// The test file that goes with the failure.
pub fn tests(broken: &[Function], file: &Layout, check: &str) -> String {
    let module = file.module();
    let names: Vec<&str> = file.functions.iter().map(|f| f.name.as_str()).collect();
    let import = format!("from {module} import {}\n", names.join(", "));
    let stem = module.rsplit('.').next().unwrap_or("");
    let ordered = file.functions.iter().filter(|f| broken.iter().any(|b| b.name == f.name) || f.right == f.wrong);
    if check == "pytest" {
        let tests: Vec<String> = ordered
            .map(|f| {
                let call = &f.calls[0];
                format!("def test_{0}():\n    assert {0}({1}) == {2}\n", f.name, call.arguments, call.right)
            })
            .collect();
        return format!("{import}\n\n{}", tests.join("\n\n"));
    }
    let tests: Vec<String> = ordered
        .map(|f| {
            let call = &f.calls[0];
            format!(
                "    def test_{0}(self):\n        self.assertEqual({0}({1}), {2})\n",
                f.name, call.arguments, call.right
            )
        })
        .collect();
    let class = class_name(stem);
    format!("import unittest\n\n{import}\n\nclass {class}(unittest.TestCase):\n{}", tests.join("\n"))
}

/// A module's opening line.
pub fn heading(stem: &str, dice: &mut Dice) -> String {
    let forms = ["Small functions for {s}.", "{S} for the whole project.", "Helpers: {s}."];
    dice.pick(&forms).replace("{s}", stem).replace("{S}", &capitalised(stem))
}

/// With a capital at the front.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
