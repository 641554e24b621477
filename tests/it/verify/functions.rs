//! J1: what test programs may do with a candidate that is in another process.

use z1::cancel::Cancel;
use z1::task::{Candidate, Check, FailureKind, Language, StdioCase, Verdict};
use z1::verify::{VerifyOptions, behaviour, generate_inputs};

use super::{asserts, failures, judge, judge_with, options, walls, within};
use crate::sandbox::run_async;

/// Programs with tests that they pass.
const HOLDS: [(&str, &str, &str); 17] = [
    (
        "plain values",
        "def f(x): return [x, (x,), {x}, {x: None}, 1.5, b'a']",
        "assert f(1) == [1, (1,), {1}, {1: None}, 1.5, b'a']",
    ),
    (
        "big and odd numbers",
        "def f(): return (10 ** 40, float('inf'), 1j)",
        "assert f() == (10 ** 40, float('inf'), 1j)",
    ),
    ("nan", "def f(): return float('nan')", "x = f()\nassert x != x"),
    ("lone surrogates", "def f(s): return s + '\\ud800'", "assert f('a') == 'a\\ud800'"),
    ("change in place", "def f(a): a.sort()", "a = [3, 1]\nf(a)\nassert a == [1, 3]"),
    ("the argument itself", "def f(a): return a", "a = [1]\nassert f(a) is a"),
    ("built-in as a name", "def sum(a, b): return a + b", "assert sum(1, 2) == 3"),
    (
        "functions that are called like modules",
        "def select(x): return copy(x) + 1\ndef copy(x): return x",
        "assert select(1) == 2\nassert copy(3) == 3",
    ),
    (
        "a class",
        "class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n    def __len__(self): return len(self.items)",
        "s = Stack()\ns.push(1)\nassert len(s) == 1\nassert s.items == [1]\nassert isinstance(s, Stack)",
    ),
    (
        "operators",
        "class V:\n    def __init__(self, x): self.x = x\n    def __add__(self, o): return V(self.x + o.x)\n    def __eq__(self, o): return isinstance(o, V) and self.x == o.x",
        "assert V(1) + V(2) == V(3)\nassert V(1) != V(2)",
    ),
    (
        "exceptions of its own",
        "class Wrong(ValueError): pass\ndef f(): raise Wrong('no')",
        "try:\n    f()\n    assert False\nexcept Wrong as e:\n    assert str(e) == 'no'",
    ),
    (
        "functions as arguments",
        "def f(g, xs): return [g(x) for x in xs]",
        "assert f(lambda x: x + 1, [1, 2]) == [2, 3]",
    ),
    (
        "objects of the tests",
        "def f(n): return n.value if n.next is None else f(n.next)",
        "class N:\n    def __init__(self, value, next=None): self.value, self.next = value, next\nassert f(N(1, N(2))) == 2",
    ),
    (
        "generators",
        "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
        "g = f()\nassert [next(g), next(g)] == [0, 1]",
    ),
    (
        "what is printed",
        "def f(): print('hi')",
        "import contextlib, io\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    f()\nassert out.getvalue() == 'hi\\n'",
    ),
    (
        "unittest",
        "def f(x): return x + 1",
        "import unittest\nfrom solution import f\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f(1), 2)\n        with self.assertRaises(TypeError):\n            f('a')",
    ),
    ("doctest", "def f(x): return x + 1", ">>> f(1)\n2\n>>> f(f(1))\n3\n"),
];

#[test]
fn tests_work_on_a_candidate_that_is_elsewhere() {
    let Some(sandbox) = walls() else { return };
    for (what, source, tests) in HOLDS {
        let verdict = judge(&sandbox, Language::Python, source, asserts(tests));
        assert!(verdict.passed(), "{what}: {verdict:?}");
    }
}

#[test]
fn a_failure_says_what_was_got_and_expected_and_where() {
    let Some(sandbox) = walls() else { return };
    let source = "def f(x):\n    if x == 3:\n        return x.missing\n    return x\n";
    let verdict =
        judge(&sandbox, Language::Python, source, asserts("assert f(1) == 1\nassert f(2) == 5\nassert f(3) == 3\n"));
    let report = verdict.report().unwrap();
    assert_eq!((report.passed, report.failed), (1, 2), "{verdict:?}");
    let wrong = &report.failures[0];
    assert_eq!(
        (wrong.kind, wrong.name.as_str(), wrong.got.as_str()),
        (FailureKind::WrongAnswer, "assert f(2) == 5", "2")
    );
    assert_eq!(wrong.expected.as_deref(), Some("5"));
    let crash = &report.failures[1];
    assert_eq!(crash.kind, FailureKind::Crash);
    assert!(crash.got.starts_with("AttributeError"), "{crash:?}");
    assert_eq!(crash.frame.as_deref(), Some("candidate.py:3  return x.missing"));
    let told = z1::verify::feedback(&verdict);
    assert!(told.starts_with("FAIL 2 of 3 checks (1 passed)"), "{told}");
}

#[test]
fn a_program_cannot_lend_the_tests_its_own_modules() {
    let Some(sandbox) = walls() else { return };
    let source = "class math:\n    sqrt = staticmethod(lambda x: 0)\ndef f(x): return 0\n";
    let verdict = judge(&sandbox, Language::Python, source, asserts("assert f(16) == math.sqrt(16)"));
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
}

#[test]
fn hidden_tests_stay_hidden() {
    let Some(sandbox) = walls() else { return };
    let check = Check::Asserts { source: "assert f(41) == 987654".to_owned(), hidden: true };
    let verdict = judge(&sandbox, Language::Python, "def f(x): return x", check);
    let whole = serde_json::to_string(&verdict).unwrap() + &z1::verify::feedback(&verdict);
    assert!(!verdict.passed());
    assert!(!whole.contains("987654") && !whole.contains("41"), "{whole}");
}

#[test]
fn what_cannot_be_judged_is_not_failed() {
    let Some(sandbox) = walls() else { return };
    let nothing = |tests: &str| {
        let verdict = judge(&sandbox, Language::Python, "def f(x): return x", asserts(tests));
        assert!(matches!(verdict, Verdict::NothingToCheck { .. }), "{tests}: {verdict:?}");
    };
    nothing("assert 1 == 1");
    nothing("f(1)  # and nothing is asserted\nif f(1): pass\nimport no_such_module_anywhere");
    nothing("assert f(1) ==");
    nothing("");
}

#[test]
fn limits_are_told_apart() {
    let Some(sandbox) = walls() else { return };
    let kind = |source: &str, options: &VerifyOptions| {
        let verdict = judge_with(&sandbox, Language::Python, source, asserts("assert f(1) == 1"), options);
        failures(&verdict).first().map(|failure| failure.kind)
    };
    assert_eq!(kind("def f(x):\n    while True: pass", &within(6)), Some(FailureKind::TimeLimit));
    assert_eq!(kind("def f(x) return x", &options()), Some(FailureKind::Syntax));
    assert_eq!(kind("def g(x): return x", &options()), Some(FailureKind::Crash));
    assert_eq!(kind("import ctypes\ndef f(x): ctypes.string_at(0)", &options()), Some(FailureKind::Crash));
}

#[test]
fn cancelling_ends_a_judgement_at_once() {
    let Some(sandbox) = walls() else { return };
    let candidate =
        Candidate::Program { language: Language::Python, source: "def f(x):\n    while True: pass".to_owned() };
    let cancel = Cancel::new();
    let mut patient = options();
    patient.call_wall = std::time::Duration::from_secs(600);
    patient.limits.wall = std::time::Duration::from_secs(600);
    let verdict = run_async(async {
        let stop = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            stop.cancel();
        });
        z1::verify::verify(&candidate, &[asserts("assert f(1) == 1")], &sandbox, &patient, &cancel).await
    });
    assert!(matches!(verdict, Verdict::NothingToCheck { .. }), "{verdict:?}");
}

#[test]
fn a_program_is_judged_by_what_it_prints() {
    let Some(sandbox) = walls() else { return };
    let cases = vec![
        StdioCase { input: "1 2\n".to_owned(), output: "3\n".to_owned() },
        StdioCase { input: "5 5\n".to_owned(), output: "10".to_owned() },
    ];
    let check = Check::Stdio { cases, hidden: false };
    let right = "a, b = map(int, input().split())\nprint(a + b, end='  ')";
    assert!(judge(&sandbox, Language::Python, right, check.clone()).passed());
    let wrong = judge(&sandbox, Language::Python, "input()\nprint(3)", check.clone());
    assert_eq!(failures(&wrong)[0].got, "\"3\"");
    assert_eq!(failures(&wrong)[0].expected.as_deref(), Some("\"10\""));
    let loud = judge(&sandbox, Language::Python, "print(3)\nprint(10)\nraise SystemExit(1)", check);
    assert_eq!(failures(&loud)[0].kind, FailureKind::Crash);
}

#[test]
fn a_command_finds_the_program_under_its_usual_name() {
    let Some(sandbox) = walls() else { return };
    let check = |command: &str| Check::Command { command: command.to_owned() };
    let judge = |command: &str| judge(&sandbox, Language::Python, "print(6 * 7)", check(command));
    assert!(judge("grep -q '6 . 7' main.py").passed());
    let failed = judge("echo no luck >&2; exit 4");
    assert!(
        failures(&failed)[0].got.contains("exit code 4") && failures(&failed)[0].got.contains("no luck"),
        "{failed:?}"
    );
}

#[test]
fn javascript_functions_are_judged_alike() {
    let Some(sandbox) = walls() else { return };
    if matches!(judge_js(&sandbox, "const f = 1", "console.assert(true)"), Verdict::NothingToCheck { why } if why.contains("no node"))
    {
        println!("skipped: there is no node");
        return;
    }
    assert!(
        judge_js(&sandbox, "const f = (x) => x.map((y) => 2 * y)", "console.assert(JSON.stringify(f([1])) === '[2]')")
            .passed()
    );
    // Node itself would exit with 0 here.
    let verdict = judge_js(&sandbox, "const f = (x) => x", "console.assert(f(1) === 2)");
    assert_eq!(failures(&verdict)[0].kind, FailureKind::WrongAnswer, "{verdict:?}");
}

fn judge_js(sandbox: &z1::sandbox::Sandbox, source: &str, tests: &str) -> Verdict {
    let check = Check::TestSource { language: Language::JavaScript, source: tests.to_owned(), hidden: false };
    judge(sandbox, Language::JavaScript, source, check)
}

#[test]
fn equal_behaviour_makes_one_cluster() {
    let Some(sandbox) = walls() else { return };
    let observe = |source: &str| {
        let inputs = generate_inputs("def f(xs: list[int]) -> int: pass", "f");
        let program = Candidate::Program { language: Language::Python, source: source.to_owned() };
        run_async(behaviour(&program, "f", &inputs, &sandbox, &options(), &Cancel::new())).unwrap()
    };
    let sum = observe("def f(xs): return sum(xs)");
    assert_eq!(sum, observe("def f(xs):\n    t = 0\n    for x in xs: t += x\n    return t"));
    assert_ne!(sum, observe("def f(xs): return len(xs)"));
    assert!(sum.len() > 3);
}
