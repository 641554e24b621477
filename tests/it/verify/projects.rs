//! J2: a project's own tests with a change laid over it.

use std::path::Path;

use z1::cancel::Cancel;
use z1::sandbox::Sandbox;
use z1::task::{Candidate, Check, Edit, FailureKind, Verdict};
use z1::verify::{project, test_command};

use super::{failures, options, walls};
use crate::sandbox::run_async;

const TESTS: &str = "import unittest\nfrom calc import add, double\n\nclass T(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(add(1, 2), 3)\n\n    def test_double(self):\n        self.assertEqual(double(4), 8)\n";
const BROKEN: &str = "def add(a, b):\n    return a - b\n\ndef double(x):\n    return 2 * x\n";
const MENDED: &str = "def add(a, b):\n    return a + b\n\ndef double(x):\n    return 2 * x\n";

fn python_project() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("calc.py"), BROKEN).unwrap();
    std::fs::write(root.path().join("test_calc.py"), TESTS).unwrap();
    root
}

fn write(path: &str, content: &str) -> Edit {
    Edit::Write { path: path.to_owned(), content: content.to_owned() }
}

fn judge(sandbox: &Sandbox, root: &Path, edits: &[Edit], command: &str) -> Verdict {
    run_async(project(root, edits, Some(command), sandbox, &options(), &Cancel::new()))
}

fn unittest(sandbox: &Sandbox, root: &Path, edits: &[Edit]) -> Verdict {
    judge(sandbox, root, edits, "python3 -m unittest")
}

#[test]
fn a_mending_change_passes_and_nothing_is_written() {
    let Some(sandbox) = walls() else { return };
    let root = python_project();
    assert!(test_command(root.path()).is_some());
    let verdict = unittest(&sandbox, root.path(), &[write("calc.py", MENDED)]);
    assert!(verdict.passed(), "{verdict:?}");
    assert_eq!(verdict.report().unwrap().passed, 2);
    assert_eq!(std::fs::read_to_string(root.path().join("calc.py")).unwrap(), BROKEN);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2);
}

#[test]
fn the_agent_comes_in_by_the_same_door() {
    let Some(sandbox) = walls() else { return };
    let root = python_project();
    let mut options = options();
    options.root = Some(root.path().to_owned());
    let edit = Edit::Replace { path: "calc.py".to_owned(), search: "a - b".to_owned(), replace: "a + b".to_owned() };
    let check = Check::Command { command: "python3 -m unittest".to_owned() };
    let candidate = Candidate::Edits { edits: vec![edit] };
    let verdict = run_async(z1::verify::verify(&candidate, &[check], &sandbox, &options, &Cancel::new()));
    assert!(verdict.passed(), "{verdict:?}");
}

#[test]
fn a_failure_names_test_message_and_place() {
    let Some(sandbox) = walls() else { return };
    let root = python_project();
    let verdict = unittest(&sandbox, root.path(), &[write("calc.py", &MENDED.replace("2 * x", "x.no"))]);
    let failure = &failures(&verdict)[0];
    assert!(failure.name.contains("test_double") && failure.got.starts_with("AttributeError"), "{verdict:?}");
    assert_eq!(failure.frame.as_deref(), Some("calc.py:5  return x.no"));
    let untouched = unittest(&sandbox, root.path(), &[]);
    assert_eq!(failures(&untouched).len(), 1, "{untouched:?}");
    let syntax = unittest(&sandbox, root.path(), &[write("calc.py", "def add(")]);
    assert!(failures(&syntax).iter().any(|failure| failure.kind == FailureKind::Syntax), "{syntax:?}");
}

#[test]
fn a_deleted_file_is_gone_for_the_tests() {
    let Some(sandbox) = walls() else { return };
    let root = python_project();
    let verdict = unittest(&sandbox, root.path(), &[Edit::Delete { path: "calc.py".to_owned() }]);
    assert!(!verdict.passed(), "{verdict:?}");
    assert!(root.path().join("calc.py").exists());
}

#[test]
fn any_command_is_judged_by_its_exit_code_and_says_so() {
    let Some(sandbox) = walls() else { return };
    let root = python_project();
    let held = judge(&sandbox, root.path(), &[write("new.txt", "x")], "test -f new.txt");
    assert!(held.passed(), "{held:?}");
    assert!(held.report().unwrap().flags.iter().any(|flag| flag.contains("exit code")));
    assert!(!judge(&sandbox, root.path(), &[write("new.txt", "x")], "test -f other.txt").passed());
}

#[test]
fn a_project_without_tests_is_not_verified() {
    let Some(sandbox) = walls() else { return };
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("calc.py"), MENDED).unwrap();
    let verdict = unittest(&sandbox, root.path(), &[write("calc.py", BROKEN)]);
    assert!(matches!(verdict, Verdict::NothingToCheck { .. }), "{verdict:?}");
    let none = run_async(project(root.path(), &[], None, &sandbox, &options(), &Cancel::new()));
    assert!(matches!(none, Verdict::NothingToCheck { .. }), "{none:?}");
}

#[test]
fn a_file_that_cannot_be_loaded_as_before_is_no_doing_of_the_change() {
    let Some(sandbox) = walls() else { return };
    let root = python_project();
    std::fs::write(root.path().join("test_other.py"), "import package_that_is_not_there\n").unwrap();
    for command in ["python3 -m unittest", "python3 -m pytest"] {
        let verdict = judge(&sandbox, root.path(), &[write("calc.py", MENDED)], command);
        if let Verdict::NothingToCheck { why } | Verdict::SandboxFailed { why, .. } = &verdict {
            println!("skipped: {command}: {why}");
            continue;
        }
        let failures = failures(&verdict);
        assert!(
            failures.iter().all(|failure| failure.name.ends_with("(it failed before the change as well)")),
            "{verdict:?}"
        );
        let report = verdict.report().unwrap();
        assert!(report.flags.iter().any(|flag| flag == "mended 1, broke none, 1 fail as before"), "{verdict:?}");
        let broken = judge(&sandbox, root.path(), &[write("calc.py", "def add(")], command);
        assert!(broken.report().is_some_and(|report| report.failures.iter().any(|f| f.name.is_empty())), "{broken:?}");
    }
    std::fs::remove_file(root.path().join("test_calc.py")).unwrap();
    let none = unittest(&sandbox, root.path(), &[write("calc.py", MENDED)]);
    assert!(matches!(&none, Verdict::NothingToCheck { why } if why.contains("package_that_is_not_there")), "{none:?}");
}

#[test]
fn node_tests_count_by_name() {
    let Some(sandbox) = walls() else { return };
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("package.json"), "{}").unwrap();
    std::fs::write(root.path().join("calc.js"), "exports.add = (a, b) => a - b;\n").unwrap();
    let tests = "const test = require('node:test');\nconst assert = require('node:assert');\nconst { add } = require('./calc');\ntest('adds', () => assert.strictEqual(add(1, 2), 3));\ntest('zero', () => assert.strictEqual(add(0, 0), 0));\n";
    std::fs::write(root.path().join("calc.test.js"), tests).unwrap();
    let judge = |source: &str| judge(&sandbox, root.path(), &[write("calc.js", source)], "node --test");
    let mended = judge("exports.add = (a, b) => a + b;\n");
    if let Verdict::NothingToCheck { why } = &mended {
        println!("skipped: {why}");
        return;
    }
    assert!(mended.passed(), "{mended:?}");
    assert!(!judge("exports.add = (a, b) => a * b;\n").passed());
    let leaves = judge("exports.add = (a, b) => process.exit(0);\n");
    assert!(!leaves.passed(), "{leaves:?}");
}
