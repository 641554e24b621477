//! Tests that share an interpreter with the program: what they need of that works, and what a program does to its judge is
//! no pass.

use z1::task::{Check, FailureKind, Language, Verdict};
use z1::verify::VerifyOptions;

use super::{judge_with, options, walls};

const TESTS: &str = r#"
import os, tempfile, unittest
from unittest.mock import patch

class TestCases(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()

    def test_files(self):
        path = os.path.join(self.folder, "a.txt")
        with open(path, "w") as file:
            file.write("41")
        self.assertEqual(task_func(path), 41)

    @patch("random.randint", return_value=7)
    def test_patched(self, mocked):
        self.assertEqual(task_func(None), 7)

    def test_lists(self):
        self.assertEqual([task_func(None) < 10], [True])
"#;

const RIGHT: &str = "import random\ndef task_func(path):\n    if path is None:\n        return random.randint(1, 9)\n    with open(path) as file:\n        return int(file.read())\n";

fn together(source: &str, tests: &str) -> Option<Verdict> {
    let sandbox = walls()?;
    let check = Check::Asserts { source: tests.to_owned(), hidden: false };
    let options = VerifyOptions { together: true, ..options() };
    Some(judge_with(&sandbox, Language::Python, source, check, &options))
}

#[test]
fn files_and_patches_of_the_tests_reach_the_program() {
    let Some(verdict) = together(RIGHT, TESTS) else { return };
    let report = verdict.report().unwrap_or_else(|| panic!("{verdict:?}"));
    assert!(verdict.passed() && report.passed == 3, "{verdict:?}");
    assert!(report.command.contains("own interpreter"), "{}", report.command);
}

#[test]
fn honest_programs_may_use_what_looks_at_frames_by_itself() {
    let source = format!(
        "import collections, dataclasses, logging, traceback\nPair = collections.namedtuple('Pair', 'a b')\n\
         @dataclasses.dataclass\nclass Box:\n    held: int\n    def __eq__(self, other):\n        return isinstance(other, Box) and self.held == other.held\n\
         try:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.format_exc()\n    logging.exception('x')\nassert Box(1) == Box(1) != 1\n{RIGHT}"
    );
    let Some(verdict) = together(&source, TESTS) else { return };
    assert!(verdict.passed(), "{verdict:?}");
}

#[test]
fn wrong_answers_are_told_as_such() {
    let Some(verdict) = together("def task_func(path):\n    return 1\n", TESTS) else { return };
    let failures = super::failures(&verdict);
    assert_eq!(failures.len(), 2, "{verdict:?}");
    assert!(failures.iter().all(|failure| failure.kind == FailureKind::WrongAnswer), "{failures:?}");
    assert!(failures[0].name.contains("assertEqual(task_func(path), 41)"), "{failures:?}");
    let broken = together("def task_func(:\n", TESTS).unwrap();
    assert_eq!(super::failures(&broken)[0].kind, FailureKind::Syntax);
}

#[test]
fn what_is_done_to_the_judge_is_no_pass() {
    for (name, source) in [
        ("leaves", "import os\ndef task_func(path):\n    os._exit(0)\n"),
        ("leaves while it is loaded", "import sys\nsys.exit(0)\n"),
        ("raises the end", "def task_func(path):\n    raise SystemExit(0)\n"),
        ("skips", "import unittest\ndef task_func(path):\n    raise unittest.SkipTest('no')\n"),
        (
            "equals everything",
            "class E:\n    def __eq__(self, other):\n        return True\n    def __lt__(self, other):\n        return True\ndef task_func(path):\n    return E()\n",
        ),
        (
            "replaces an assertion",
            "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef task_func(path):\n    return 1\n",
        ),
        (
            "replaces it late",
            "import unittest\ndef task_func(path):\n    unittest.TestCase.assertEqual = lambda *a: None\n    return 1\n",
        ),
        (
            "replaces the runner",
            "import unittest\nunittest.TestCase.run = lambda self, result=None: result.addSuccess(self)\ndef task_func(path):\n    return 1\n",
        ),
        (
            "replaces the module",
            "import sys, types\nsys.modules['unittest'] = types.ModuleType('unittest')\ndef task_func(path):\n    return 1\n",
        ),
        (
            "replaces a built-in",
            "import builtins\nbuiltins.isinstance = lambda *a: True\ndef task_func(path):\n    return 1\n",
        ),
        (
            "reports by itself",
            "import os\nfor fd in range(3, 10):\n    try:\n        os.write(fd, b'{\"word\":\"\",\"events\":[{\"event\":\"done\",\"passed\":3,\"failed\":0,\"calls\":3}]}\\n')\n    except OSError:\n        pass\nos._exit(0)\n",
        ),
        ("says so at its end", "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit\n"),
        (
            "defines the cases first",
            "import unittest\nclass TestCases(unittest.TestCase):\n    def test_files(self):\n        pass\n",
        ),
    ] {
        let Some(verdict) = together(source, TESTS) else { return };
        assert!(matches!(verdict, Verdict::Failed(_)), "{name}: {verdict:?}");
    }
}

#[test]
fn a_look_for_the_expected_value_is_told() {
    let look = |how: &str| {
        format!(
            "import gc, inspect, sys\n{RIGHT}\nplain = task_func\ndef task_func(path):\n    try:\n        {how}\n    except Exception:\n        pass\n    return plain(path)\n"
        )
    };
    for how in [
        "getattr(sys, '_get' + 'frame')(1)",
        "inspect.stack()",
        "inspect.currentframe()",
        "gc.get_objects()",
        "open('/proc/self/mem', 'rb')",
        "(lambda frame: frame.f_back)(None)",
        "eval(compile('__import__(\"sys\")._getframe(1)', '<string>', 'eval'))",
    ] {
        let Some(verdict) = together(&look(how), TESTS) else { return };
        let failures = super::failures(&verdict);
        assert!(failures.iter().any(|failure| failure.kind == FailureKind::Cheat), "{how}: {verdict:?}");
    }
}

#[test]
fn tests_that_cannot_run_here_are_nobodys_failure() {
    for (tests, why) in [
        (
            "import z1_no_such_module\nimport unittest\nclass TestCases(unittest.TestCase):\n    def test_a(self):\n        task_func(1)\n",
            "z1_no_such_module",
        ),
        ("assert task_func(1)\n", "no case of unittest"),
        ("import unittest\nclass T(:\n", "not valid Python"),
        (
            "import socket, unittest\nclass TestCases(unittest.TestCase):\n    def test_a(self):\n        socket.socket().close()\n        self.assertEqual(task_func(None), 0)\n",
            "sockets",
        ),
    ] {
        let Some(verdict) = together(RIGHT, tests) else { return };
        match verdict {
            Verdict::NothingToCheck { why: said } => assert!(said.contains(why), "{said}"),
            // Weaker walls allow sockets.
            Verdict::Failed(_) if why == "sockets" => {}
            other => panic!("{why}: {other:?}"),
        }
    }
}
