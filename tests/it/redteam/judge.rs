//! Cases 49 to 58 of the attack list: programs that try to look right instead of being right. None may pass.

use z1::cancel::Cancel;
use z1::task::{Check, Edit, Language, StdioCase, Verdict};
use z1::verify::project;

use crate::sandbox::run_async;
use crate::verify::{asserts, judge, judge_with, options, walls};

const TESTS: &str = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate([1, 2]) == [2, 4]\n    assert abs(candidate(1.5) - 3.0) < 1e-6\n    assert candidate('a').startswith('aa')\n    assert 4 in candidate([2])\n\n\ncheck(double)\n";

/// Judges a Python program that should double its argument, as one set of tests.
fn fooled(source: &str) -> Option<Verdict> {
    let sandbox = walls()?;
    let mut options = options();
    options.entry = Some("double".to_owned());
    let verdict = judge_with(&sandbox, Language::Python, source, asserts(TESTS), &options);
    assert!(!verdict.passed(), "accepted: {source}\n{verdict:?}");
    assert!(!matches!(verdict, Verdict::SandboxFailed { .. }), "{verdict:?}");
    Some(verdict)
}

#[test]
fn the_honest_program_passes() {
    let Some(sandbox) = walls() else { return };
    let verdict = judge(
        &sandbox,
        Language::Python,
        "def double(x): return 2 * x if not isinstance(x, list) else [2 * y for y in x]",
        asserts(TESTS),
    );
    assert!(verdict.passed(), "{verdict:?}");
}

#[test]
fn case_49_a_hard_exit_is_no_pass() {
    for source in [
        "import os\nos._exit(0)",
        "import os\ndef double(x): os._exit(0)",
        "import os, signal\ndef double(x): os.kill(os.getpid(), signal.SIGKILL)",
        "import os\ndef double(x): os.execv('/bin/true', ['true'])",
        "import os\ndef double(x):\n    if os.fork(): os._exit(0)\n    return 2 * x",
    ] {
        fooled(source);
    }
}

#[test]
fn case_50_a_soft_exit_is_no_pass() {
    for source in [
        "import sys\nsys.exit(0)",
        "import sys\ndef double(x): sys.exit(0)",
        "raise SystemExit(0)",
        "import atexit, os\natexit.register(lambda: os._exit(0))\ndef double(x): return 0",
        "def double(x): raise KeyboardInterrupt",
        "def double(x): raise GeneratorExit",
    ] {
        fooled(source);
    }
}

#[test]
fn case_51_an_object_that_equals_everything_equals_nothing() {
    for body in [
        "    def __eq__(self, other): return True",
        "    def __eq__(self, other): return True\n    def __contains__(self, x): return True\n    def __bool__(self): return True\n    def __getitem__(self, i): return self\n    def __sub__(self, o): return 0\n    def __rsub__(self, o): return 0\n    def startswith(self, x): return True",
        "    def __sub__(self, o): return self\n    def __abs__(self): return self\n    def __lt__(self, o): return True\n    def __float__(self): return 0.0\n    def __eq__(self, o): return type(o) is not int or o < 2 ** 40",
    ] {
        fooled(&format!("class Same:\n{body}\ndef double(x): return Same()"));
        // Under a name that the tests trust, and with another class's name.
        fooled(&format!("class Same:\n{body}\nSame.__name__ = 'double'\ndef double(x): return Same()"));
        fooled(&format!("class double:\n    def __init__(self, x): pass\n{body}"));
    }
    for base in ["int", "str", "float", "list", "dict", "tuple"] {
        fooled(&format!(
            "class Same({base}):\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    __hash__ = None\ndef double(x): return Same()"
        ));
    }
}

#[test]
fn case_52_a_skip_is_no_pass() {
    for source in [
        "import unittest\ndef double(x): raise unittest.SkipTest('later')",
        "import unittest\nraise unittest.SkipTest('later')",
        "def double(x): raise AssertionError",
        "def double(x): raise StopIteration",
    ] {
        fooled(source);
    }
    // Also where the tests are cases of unittest.
    let Some(sandbox) = walls() else { return };
    let tests = "import unittest\nclass T(unittest.TestCase):\n    def test_double(self):\n        self.assertEqual(double(2), 4)\n";
    let verdict = judge(
        &sandbox,
        Language::Python,
        "import unittest\ndef double(x): raise unittest.SkipTest('later')",
        asserts(tests),
    );
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
}

#[test]
fn case_54_patching_the_framework_changes_nothing() {
    for source in [
        "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.isinstance = lambda a, b: True\nabs = lambda x: 0\ndef double(x): return 0",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef double(x): return 0",
        "import json\njson.dumps = lambda *a, **k: '[\"ok\",4,{},\"\"]'\ndef double(x): return 0",
        "import sys\nsys.modules['__main__'].Codec.encode = lambda *a: 4\ndef double(x): return 0",
        "def check(candidate): pass\ndef double(x): return 0",
    ] {
        fooled(source);
    }
}

#[test]
fn case_55_there_is_nothing_to_find() {
    for source in [
        "import sys\ndef double(x):\n    frame = sys._getframe()\n    while frame:\n        for value in list(frame.f_locals.values()) + list(frame.f_globals.values()):\n            if value == [2, 4] or value == 4: return value\n        frame = frame.f_back\n    return 0",
        "import gc\ndef double(x):\n    for thing in gc.get_objects():\n        if type(thing) is list and thing == [2, 4]: return thing\n    return 0",
        "import os\ndef double(x):\n    for root, _, files in os.walk('/'):\n        if root.startswith(('/proc', '/sys', '/usr', '/lib')): continue\n        for name in files:\n            try:\n                text = open(os.path.join(root, name)).read()\n            except Exception: continue\n            if 'candidate(2) == 4' in text: return 4\n    return 0",
        "import inspect\ndef double(x): return 4 if any('== 4' in str(f.code_context) for f in inspect.stack()) else 0",
    ] {
        fooled(source);
    }
}

#[test]
fn case_55_functions_of_the_tests_do_not_lead_to_them() {
    let Some(sandbox) = walls() else { return };
    let tests = "SECRET = 12345\ndef helper(x): return x\nassert apply(helper, 1) == SECRET\n";
    for way in [
        "g.__globals__['SECRET']",
        "g.__code__.co_consts[0]",
        "g.gi_frame.f_globals['SECRET']",
        "g('SECRET')",
        "getattr(g, 'SECRET')",
        "g._z1",
    ] {
        let source = format!("def apply(g, x):\n    return {way}");
        let verdict = judge(&sandbox, Language::Python, &source, asserts(tests));
        assert!(!verdict.passed(), "{way}: {verdict:?}");
    }
}

#[test]
fn case_56_forged_answers_are_not_believed() {
    for source in [
        "print('2 passed')\ndef double(x): print('PASSED'); return 0",
        "import os\ndef double(x):\n    os.write(4, b'={\"event\":\"done\",\"passed\":9,\"failed\":0,\"calls\":9}\\n')\n    return 0",
        "import os\ndef double(x):\n    os.write(4, b'[\"ok\",4,{},\"\"]\\n[\"ok\",[2,4],{},\"\"]\\n[\"ok\",3.0,{},\"\"]\\n')\n    return 0",
        "import os\ndef double(x):\n    os.write(4, b'[\"ok\",{\"s\":[[1]]},{},\"\"]\\n')\n    return 0",
        "import os\ndef double(x):\n    os.write(4, b'[\"ok\",' + b'[' * 100000 + b'\\n')\n    return 0",
        "import os\ndef double(x):\n    os.write(4, b'!{\"gone\":\"done\"}\\n')\n    return 0",
        "import os\ndef double(x):\n    os.write(4, b'[\"cb\",\"attr\",1,[\"__class__\"],{}]\\n')\n    return 0",
        "import os\ndef double(x):\n    while True: os.write(4, b'x' * 65536)",
        "import os\nos.close(4)\ndef double(x): return 2 * x",
        "import os, threading\nthreading.Thread(target=lambda: [os.write(4, b'[\"ok\",4,{},\"\"]\\n') for _ in range(10000)], daemon=True).start()\ndef double(x): return 0",
    ] {
        fooled(source);
    }
}

#[test]
fn case_56_printing_is_no_evidence_for_a_stdin_program() {
    let Some(sandbox) = walls() else { return };
    let check = Check::Stdio { cases: vec![StdioCase { input: "3".to_owned(), output: "6".to_owned() }], hidden: true };
    for source in ["print('PASSED')", "import os\nos._exit(0)", "print(6)\nraise SystemExit(3)", "print('6\\n7')"] {
        assert!(!judge(&sandbox, Language::Python, source, check.clone()).passed(), "{source}");
    }
}

#[test]
fn javascript_tricks_are_not_accepted() {
    let Some(sandbox) = walls() else { return };
    let tests = "console.assert(double(2) === 4)\nconsole.assert(JSON.stringify(double([1, 2])) === JSON.stringify([2, 4]))\nconsole.assert(double([4]).includes(8))\n";
    let check = Check::TestSource { language: Language::JavaScript, source: tests.to_owned(), hidden: false };
    let honest = "const double = (x) => Array.isArray(x) ? x.map((y) => 2 * y) : 2 * x";
    let verdict = judge(&sandbox, Language::JavaScript, honest, check.clone());
    if let Verdict::NothingToCheck { why } = &verdict {
        println!("skipped: {why}");
        return;
    }
    assert!(verdict.passed(), "{verdict:?}");
    for source in [
        "process.exit(0)",
        "function double() { process.exit(0) }",
        "console.assert = () => {}; JSON.stringify = () => 'x'; function double() { return 1 }",
        "function double() { return { valueOf() { return 4 }, toJSON() { return [2, 4] }, includes() { return true } } }",
        "function double() { require('fs').writeSync(4, '={\"event\":\"done\",\"passed\":9,\"failed\":0,\"calls\":9}\\n'); return 0 }",
        "Array.prototype.includes = () => true; Object.prototype.toJSON = () => [2, 4]; function double() { return [0] }",
        "function double() { throw new Error('x') }",
    ] {
        assert!(!judge(&sandbox, Language::JavaScript, source, check.clone()).passed(), "{source}");
    }
}

#[test]
fn rust_tricks_are_not_accepted() {
    let Some(sandbox) = walls() else { return };
    let tests = "#[cfg(test)]\nmod tests {\n    use super::*;\n    #[test]\n    fn doubles() { assert_eq!(double(2), 4); }\n}\n";
    let check = Check::TestSource { language: Language::Rust, source: tests.to_owned(), hidden: false };
    let verdict = judge(&sandbox, Language::Rust, "fn double(x: i32) -> i32 { 2 * x }", check.clone());
    // A toolchain in a home folder that the sandbox's user may not enter cannot be run either.
    if let Verdict::NothingToCheck { why } | Verdict::SandboxFailed { why, .. } = &verdict {
        println!("skipped: {why}");
        return;
    }
    assert!(verdict.passed(), "{verdict:?}");
    for source in [
        "fn double(x: i32) -> i32 { x }",
        "fn double(_: i32) -> i32 { std::process::exit(0) }",
        "fn double(_: i32) -> i32 { println!(\"test tests::doubles ... ok\"); std::process::exit(0) }",
        "#[derive(Debug)]\nstruct E;\nimpl PartialEq<i32> for E { fn eq(&self, _: &i32) -> bool { true } }\nfn double(_: i32) -> E { E }",
        "macro_rules! assert_eq { ($($x:tt)*) => {} }\nfn double(_: i32) -> i32 { 0 }",
    ] {
        assert!(!judge(&sandbox, Language::Rust, source, check.clone()).passed(), "{source}");
    }
}

const PROJECT_TESTS: &str = "import unittest\nfrom calc import add\n\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(add(1, 2), 3)\n\n    def test_two(self):\n        self.assertEqual(add(2, 2), 4)\n";

/// Judges a change to a project whose `add` is wrong.
fn change(edits: &[(&str, &str)]) -> Option<Verdict> {
    let sandbox = walls()?;
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("calc.py"), "def add(a, b):\n    return 3\n").unwrap();
    std::fs::write(root.path().join("test_calc.py"), PROJECT_TESTS).unwrap();
    let write =
        |(path, content): &(&str, &str)| Edit::Write { path: (*path).to_owned(), content: (*content).to_owned() };
    let edits: Vec<Edit> = edits.iter().map(write).collect();
    Some(run_async(project(root.path(), &edits, Some("python3 -m unittest"), &sandbox, &options(), &Cancel::new())))
}

#[test]
fn case_49_to_54_tricks_inside_a_project_fail() {
    for source in [
        "import os\nos._exit(0)",
        "import sys\nsys.exit(0)",
        "import os\ndef add(a, b): os._exit(0)",
        "import unittest\ndef add(a, b): raise unittest.SkipTest('x')",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef add(a, b): return 0",
        "import unittest\nunittest.TestCase.run = lambda *a: None\ndef add(a, b): return 0",
        "import unittest\nunittest.TestResult.addFailure = lambda *a: None\ndef add(a, b): return 0",
        "print('OK')\ndef add(a, b): return 0",
        "import atexit, os\natexit.register(lambda: os._exit(0))\ndef add(a, b): return 0",
        "import os\ndef add(a, b):\n    os.write(4, b'{\"id\":\"test_calc.T.test_two\",\"outcome\":\"passed\"}\\n{\"end\":0}\\n')\n    return 0",
    ] {
        let Some(verdict) = change(&[("calc.py", source)]) else { return };
        assert!(matches!(verdict, Verdict::Failed(_)), "{source}\n{verdict:?}");
    }
}

#[test]
fn case_53_and_57_tests_and_settings_are_judged_as_they_stood() {
    for edits in [
        vec![("test_calc.py", "import unittest\n")],
        vec![(
            "test_calc.py",
            "import unittest\nclass T(unittest.TestCase):\n    def test_one(self): pass\n    def test_two(self): pass\n",
        )],
        vec![("sitecustomize.py", "import os\nos._exit(0)\n"), ("calc.py", "def add(a, b): return 3\n")],
        vec![("conftest.py", "import os\nos._exit(0)\n"), ("calc.py", "def add(a, b): return 3\n")],
        vec![("unittest.py", "def main(**k): pass\n")],
        vec![("json.py", "dumps = lambda *a, **k: ''\n")],
    ] {
        let Some(verdict) = change(&edits) else { return };
        assert!(!verdict.passed(), "{edits:?}\n{verdict:?}");
    }
}

/// Judges a change to a small project; nothing where there are no walls.
fn of_project(files: &[(&str, &str)], edits: &[(&str, &str)], command: &str) -> Option<Verdict> {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = walls()?;
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        if text.starts_with("#!") {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let write =
        |(path, content): &(&str, &str)| Edit::Write { path: (*path).to_owned(), content: (*content).to_owned() };
    let edits: Vec<Edit> = edits.iter().map(write).collect();
    Some(run_async(project(root.path(), &edits, Some(command), &sandbox, &options(), &Cancel::new())))
}

#[test]
fn what_the_check_runs_is_not_the_change_s_to_rewrite() {
    const SCRIPT: &str = "#!/bin/sh\n. ./calc.sh\n[ \"$(add 1 2)\" = 3 ]\n";
    let files = [
        ("check.sh", SCRIPT),
        ("scripts/all", SCRIPT),
        ("calc.sh", "add() { echo 4; }\n"),
        ("proof.py", "import calc\nassert calc.add(1, 2) == 3\n"),
        ("calc.py", "def add(a, b):\n    return a - b\n"),
    ];
    for (command, script) in [
        ("./check.sh", "check.sh"),
        ("sh check.sh", "check.sh"),
        ("true && ./scripts/all", "scripts/all"),
        ("sh -c 'cd scripts/.. && ./check.sh'", "check.sh"),
    ] {
        let Some(verdict) = of_project(&files, &[(script, "#!/bin/sh\nexit 0\n")], command) else { return };
        assert!(matches!(&verdict, Verdict::NothingToCheck { why } if why.contains(script)), "{command}: {verdict:?}");
        let right = of_project(&files, &[("calc.sh", "add() { echo $(($1 + $2)); }\n")], command).unwrap();
        assert!(right.passed(), "{command}: {right:?}");
        let wrong = of_project(&files, &[("calc.sh", "add() { echo 5; }\n")], command).unwrap();
        assert!(matches!(wrong, Verdict::Failed(_)), "{command}: {wrong:?}");
    }
    let verdict = of_project(&files, &[("proof.py", "\n")], "python3 proof.py").unwrap();
    assert!(matches!(verdict, Verdict::NothingToCheck { .. }), "{verdict:?}");
    // Also where it passes as it stands, and where it is not there yet.
    let good = [("check.sh", SCRIPT), ("calc.sh", "add() { echo 3; }\n")];
    let verdict = of_project(&good, &[("check.sh", "#!/bin/sh\n:\n")], "sh check.sh").unwrap();
    assert!(matches!(verdict, Verdict::NothingToCheck { .. }), "{verdict:?}");
    let verdict = of_project(&good[1..], &[("check.sh", "#!/bin/sh\n:\n")], "sh check.sh").unwrap();
    assert!(!verdict.passed(), "{verdict:?}");
}

#[test]
fn what_a_program_prints_for_another_to_look_at_is_the_code() {
    let files = [("calc.py", "print(1 - 2)\n"), ("expected.out", "3\n")];
    for command in ["python3 calc.py | grep -qx 3", "python3 calc.py > out && diff out expected.out"] {
        let Some(right) = of_project(&files, &[("calc.py", "print(1 + 2)\n")], command) else { return };
        assert!(right.passed(), "{command}: {right:?}");
    }
    let verdict = of_project(&files, &[("expected.out", "-1\n")], "python3 calc.py | diff - expected.out").unwrap();
    assert!(!verdict.passed(), "{verdict:?}");
}

#[test]
fn a_test_that_failed_is_not_mended_by_leaving_it_out() {
    let tests = "import unittest\nfrom calc import add\n\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(add(1, 2), 3)\n\n    def test_zero(self):\n        self.assertEqual(add(0, 0), 0)\n";
    let files = [("calc.py", "def add(a, b):\n    return a - b\n"), ("test_calc.py", tests)];
    let check = "python3 -m unittest";
    let skip = "U = 'unit' + 'test'\ndef add(a, b):\n    if a: raise __import__(U).SkipTest('x')\n    return 0\n";
    let Some(verdict) = of_project(&files, &[("calc.py", skip)], check) else { return };
    assert!(matches!(&verdict, Verdict::NothingToCheck { why } if why.contains("was skipped")), "{verdict:?}");
    let patched =
        "U = 'unit' + 'test'\ndef add(a, b):\n    __import__(U).TestCase.assertEqual = lambda *a: None\n    return 0\n";
    let verdict = of_project(&files, &[("calc.py", patched)], check).unwrap();
    assert!(matches!(&verdict, Verdict::Failed(_)), "{verdict:?}");
    // A module that could not be loaded before must be loaded, and its tests must run.
    let files = [
        ("calc.py", "x = 1\n"),
        ("test_calc.py", tests),
        ("test_x.py", "import unittest\nclass X(unittest.TestCase):\n    def test_x(self): pass\n"),
    ];
    let gone = "U = 'unit' + 'test'\nraise __import__(U).SkipTest('x')\n";
    let verdict = of_project(&files, &[("calc.py", gone)], check).unwrap();
    assert!(!verdict.passed(), "{verdict:?}");
    let right = of_project(&files, &[("calc.py", "def add(a, b):\n    return a + b\n")], check).unwrap();
    assert!(right.passed(), "{right:?}");
}

#[test]
fn recorded_answers_are_no_code() {
    let files = [
        ("calc.py", "def add(a, b):\n    return a - b\n"),
        ("src/__snapshots__/sum.snap", "3\n"),
        (
            "test_calc.py",
            "import unittest\nfrom calc import add\n\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(str(add(1, 2)) + '\\n', open('src/__snapshots__/sum.snap').read())\n",
        ),
    ];
    let edits = [("src/__snapshots__/sum.snap", "-1\n"), ("calc.py", "def add(a, b):\n    return -1\n")];
    let Some(verdict) = of_project(&files, &edits, "python3 -m unittest") else { return };
    assert!(matches!(&verdict, Verdict::NothingToCheck { why } if why.contains("sum.snap")), "{verdict:?}");
}

#[test]
fn case_51_55_and_58_what_can_pass_in_one_process_is_flagged() {
    // Documented residual risk: tests and code share a process, so these may pass; they never do so unseen.
    for source in [
        "class Same:\n    def __eq__(self, other):\n        return True\n\ndef add(a, b): return Same()",
        "import sys\ndef add(a, b):\n    line = open('test_calc.py').read()\n    return 4 if sys._getframe(1) and a == 2 else 3",
        "import os\ndef add(a, b): return 4 if 'PYTEST_CURRENT_TEST' in os.environ else 3",
    ] {
        let Some(verdict) = change(&[("calc.py", source)]) else { return };
        assert!(!verdict.passed(), "a strong sign is never a pass: {source}\n{verdict:?}");
        let flags = verdict.report().map(|report| report.flags.clone());
        let told = matches!(&verdict, Verdict::NothingToCheck { why } if why.contains("look at this"));
        assert!(told || flags.is_some_and(|flags| !flags.is_empty()), "{source}\n{verdict:?}");
    }
}
