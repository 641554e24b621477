//! J2 with the real test runners: for each a change that mends, one that fails, a project without tests, and changes
//! that tamper. A runner that this machine does not have is skipped, visibly.

use z1::cancel::Cancel;
use z1::task::{Edit, Verdict};
use z1::verify::project;

use super::{options, walls};
use crate::sandbox::run_async;

type Files<'a> = &'a [(&'a str, &'a str)];

/// Judges a change to a project of these files; `None`, said aloud, where it cannot be judged here.
fn judged(files: Files<'_>, change: Files<'_>, command: &str) -> Option<Verdict> {
    let sandbox = walls()?;
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let write =
        |(path, content): &(&str, &str)| Edit::Write { path: (*path).to_owned(), content: (*content).to_owned() };
    let edits: Vec<Edit> = change.iter().map(write).collect();
    let mut options = options();
    options.project_limits.wall = std::time::Duration::from_secs(100);
    let verdict = run_async(project(root.path(), &edits, Some(command), &sandbox, &options, &Cancel::new()));
    match &verdict {
        Verdict::NothingToCheck { why }
            if ["there is no", "not installed", "not found behind the walls"].iter().any(|word| why.contains(word)) =>
        {
            println!("skipped: {command}: {why}");
            None
        }
        // Tier L as root, and the tools in root's home.
        Verdict::SandboxFailed { step, why } if step.starts_with("readable path") => {
            println!("skipped: {command}: {why}");
            None
        }
        _ => Some(verdict),
    }
}

/// A runner, a project with a wrong `add`, and changes to it.
struct Tool<'a> {
    command: &'a str,
    files: Files<'a>,
    /// The changed file, right.
    mended: (&'a str, &'a str),
    /// Tests that then pass.
    tests: u32,
    /// Still wrong.
    wrong: &'a str,
    /// Changes that make the runner look content.
    tampering: &'a [Files<'a>],
    /// The project with nothing to run.
    without_tests: Files<'a>,
}

fn hold(tool: &Tool<'_>) {
    let Some(verdict) = judged(tool.files, &[tool.mended], tool.command) else { return };
    assert!(verdict.passed(), "{verdict:?}");
    assert_eq!(verdict.report().unwrap().passed, tool.tests, "{verdict:?}");
    let wrong = judged(tool.files, &[(tool.mended.0, tool.wrong)], tool.command).unwrap();
    assert!(matches!(&wrong, Verdict::Failed(report) if !report.failures.is_empty()), "{wrong:?}");
    for change in tool.tampering {
        let verdict = judged(tool.files, change, tool.command).unwrap();
        assert!(
            !verdict.passed() && !matches!(verdict, Verdict::SandboxFailed { .. }),
            "accepted: {change:?}\n{verdict:?}"
        );
    }
    let none = judged(tool.without_tests, &[tool.mended], tool.command).unwrap();
    assert!(!none.passed(), "{none:?}");
}

const PYTHON_TESTS: &str = "from calc import add\n\ndef test_one():\n    assert add(1, 2) == 3\n\ndef test_two():\n    assert add(2, 2) == 4\n";

#[test]
fn pytest() {
    hold(&Tool {
        command: "pytest",
        files: &[("calc.py", "def add(a, b): return a - b\n"), ("tests/test_calc.py", PYTHON_TESTS)],
        mended: ("calc.py", "def add(a, b): return a + b\n"),
        tests: 2,
        wrong: "def add(a, b): return 3\n",
        tampering: &[
            &[("calc.py", "import os\nos._exit(0)\n")],
            &[("calc.py", "import os\ndef add(a, b): os._exit(0)\n")],
            &[("calc.py", "import pytest\ndef add(a, b): pytest.skip('later')\n")],
            &[("calc.py", "import pytest\ndef add(a, b): pytest.xfail('later')\n")],
            &[("calc.py", "import pytest\ndef add(a, b): pytest.exit('done', 0)\n")],
            &[("calc.py", "import _pytest.reports as r\nr.TestReport.outcome = 'passed'\ndef add(a, b): return 0\n")],
            &[(
                "calc.py",
                "import _pytest.runner as r\nr.call_and_report = lambda *a, **k: None\ndef add(a, b): return 0\n",
            )],
            &[("calc.py", "import atexit, os\natexit.register(lambda: os._exit(0))\ndef add(a, b): return 0\n")],
            &[("calc.py", "print('2 passed')\ndef add(a, b): return 0\n")],
            &[("conftest.py", "def pytest_collection_modifyitems(items): items[:] = []\n")],
            &[("pytest.ini", "[pytest]\naddopts = --collect-only\n")],
            &[("tests/test_calc.py", "def test_one(): pass\ndef test_two(): pass\n")],
            &[
                ("z1_channel.py", "def send(**k): pass\ndef send_test(*a): pass\ndef clip(t): return t\nROOT = '.'\n"),
                ("calc.py", "def add(a, b): return 0\n"),
            ],
            &[("pytest.py", "import sys\nsys.exit(0)\n")],
            &[("json.py", "dumps = lambda *a, **k: ''\n")],
            &[("_pytest/__init__.py", "import sys\nsys.exit(0)\n")],
        ],
        without_tests: &[("calc.py", "def add(a, b): return a - b\n")],
    });
}

#[test]
fn pytest_counts_parameters_classes_fixtures_and_skips() {
    let tests = "import pytest\nfrom calc import add\n\n@pytest.fixture\ndef two(): return 2\n\nclass TestAdd:\n    @pytest.mark.parametrize('a', [1, 2, 3])\n    def test_each(self, a, two): assert add(a, two) == a + 2\n\n@pytest.mark.skip\ndef test_not(): assert False\n\n@pytest.mark.xfail\ndef test_hard(): assert add(1, 1) == 3\n";
    let files = [("calc.py", "def add(a, b): return 4\n"), ("test_calc.py", tests)];
    let Some(verdict) = judged(&files, &[("calc.py", "def add(a, b): return a + b\n")], "pytest") else { return };
    assert!(verdict.passed(), "{verdict:?}");
    assert_eq!(verdict.report().unwrap().passed, 3);
}

#[test]
fn unittest() {
    let tests = "import unittest\nfrom calc import add\n\nclass T(unittest.TestCase):\n    def test_one(self): self.assertEqual(add(1, 2), 3)\n    def test_two(self):\n        for n in range(3):\n            with self.subTest(n=n): self.assertEqual(add(n, 2), n + 2)\n";
    hold(&Tool {
        command: "python3 -m unittest",
        files: &[("calc.py", "def add(a, b): return a - b\n"), ("test_calc.py", tests)],
        mended: ("calc.py", "def add(a, b): return a + b\n"),
        tests: 2,
        wrong: "def add(a, b): return 3\n",
        tampering: &[
            &[("calc.py", "import os\ndef add(a, b): os._exit(0)\n")],
            &[
                ("z1_channel.py", "def send(**k): pass\ndef send_test(*a): pass\nROOT = '.'\n"),
                ("calc.py", "def add(a, b): return 0\n"),
            ],
            &[(
                "test_calc.py",
                "import unittest\nclass T(unittest.TestCase):\n    def test_one(self): pass\n    def test_two(self): pass\n",
            )],
        ],
        without_tests: &[("calc.py", "def add(a, b): return a - b\n")],
    });
}

#[test]
fn cargo() {
    let manifest = "[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    let wrong = "pub fn add(a: i32, b: i32) -> i32 { a - b }\n";
    let tests = "use calc::add;\n#[test]\nfn one() { assert_eq!(add(1, 2), 3); }\n#[test]\nfn two() { assert_eq!(add(2, 2), 4); }\n";
    hold(&Tool {
        command: "cargo test",
        files: &[("Cargo.toml", manifest), ("src/lib.rs", wrong), ("tests/calc.rs", tests)],
        mended: ("src/lib.rs", "pub fn add(a: i32, b: i32) -> i32 { a + b }\n"),
        tests: 2,
        wrong: "pub fn add(_: i32, _: i32) -> i32 { 3 }\n",
        tampering: &[
            &[("src/lib.rs", "pub fn add(_: i32, _: i32) -> i32 { std::process::exit(0) }\n")],
            &[(
                "src/lib.rs",
                "pub fn add(_: i32, _: i32) -> i32 { println!(\"test result: ok. 2 passed; 0 failed; 0 ignored\"); std::process::exit(0) }\n",
            )],
            &[("tests/calc.rs", "#[test]\nfn one() {}\n#[test]\nfn two() {}\n")],
            &[("build.rs", "fn main() { std::process::exit(0) }\n"), ("src/lib.rs", wrong)],
        ],
        without_tests: &[("Cargo.toml", manifest), ("src/lib.rs", wrong)],
    });
}

#[test]
fn go() {
    let module = "module calc\n\ngo 1.19\n";
    let wrong = "package calc\n\nfunc Add(a, b int) int { return a - b }\n";
    let tests = "package calc\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal(Add(1, 2))\n\t}\n}\n\nfunc TestTwo(t *testing.T) {\n\tt.Run(\"sub\", func(t *testing.T) {\n\t\tif Add(2, 2) != 4 {\n\t\t\tt.Fatal(Add(2, 2))\n\t\t}\n\t})\n}\n";
    hold(&Tool {
        command: "go test ./...",
        files: &[("go.mod", module), ("calc.go", wrong), ("calc_test.go", tests)],
        mended: ("calc.go", "package calc\n\nfunc Add(a, b int) int { return a + b }\n"),
        tests: 3,
        wrong: "package calc\n\nfunc Add(a, b int) int { return 3 }\n",
        tampering: &[
            &[("calc.go", "package calc\n\nimport \"os\"\n\nfunc Add(a, b int) int { os.Exit(0); return 0 }\n")],
            &[(
                "calc.go",
                "package calc\n\nimport \"syscall\"\n\nfunc Add(a, b int) int { syscall.Exit(0); return 0 }\n",
            )],
            &[(
                "calc.go",
                "package calc\n\nimport \"os\"\n\nfunc init() { os.Exit(0) }\n\nfunc Add(a, b int) int { return 0 }\n",
            )],
            &[(
                "calc.go",
                "package calc\n\nimport \"runtime\"\n\nfunc Add(a, b int) int { runtime.Goexit(); return 0 }\n",
            )],
            &[("calc_test.go", "package calc\n\nimport \"testing\"\n\nfunc TestOne(t *testing.T) {}\n")],
        ],
        without_tests: &[("go.mod", module), ("calc.go", wrong)],
    });
}

#[test]
fn node() {
    let tests = "const test = require('node:test');\nconst assert = require('node:assert');\nconst { add } = require('./calc');\ntest('one', () => assert.strictEqual(add(1, 2), 3));\ntest.describe('more', () => test('two', () => assert.strictEqual(add(2, 2), 4)));\n";
    hold(&Tool {
        command: "node --test",
        files: &[("package.json", "{}"), ("calc.js", "exports.add = (a, b) => a - b;\n"), ("calc.test.js", tests)],
        mended: ("calc.js", "exports.add = (a, b) => a + b;\n"),
        tests: 2,
        wrong: "exports.add = () => 3;\n",
        tampering: &[
            &[("calc.js", "process.exit(0);\n")],
            &[("calc.js", "exports.add = () => process.exit(0);\n")],
            &[("calc.js", "require('node:assert').strictEqual = () => {};\nprocess.exit(0);\n")],
            &[("calc.js", "console.log('ok 1 - one'); exports.add = () => 0;\n")],
            &[("calc.test.js", "require('node:test')('one', () => {});\n")],
            &[("calc.js", "exports.add = (a, b) => { console.assert(false, 'soft'); return a + b; };\n")],
        ],
        without_tests: &[("package.json", "{}"), ("calc.js", "exports.add = 1;\n")],
    });
}

#[test]
fn a_script_of_node_whose_console_assert_fails_has_failed() {
    let script = "const { add } = require('./calc');\nconsole.assert(add(1, 2) === 3, 'adds');\n";
    let package = "{\"scripts\": {\"test\": \"node check.js\"}}";
    let files = [("package.json", package), ("calc.js", "exports.add = (a, b) => a - b;\n"), ("check.js", script)];
    let right = judged(&files, &[("calc.js", "exports.add = (a, b) => a + b;\n")], "npm test");
    let wrong = judged(&files, &[("calc.js", "exports.add = (a, b) => a * b;\n")], "npm test");
    let (Some(right), Some(wrong)) = (right, wrong) else { return };
    assert!(right.passed(), "{right:?}");
    assert!(matches!(wrong, Verdict::Failed(_)), "{wrong:?}");
}

#[test]
fn ctest() {
    if ["cmake", "ctest", "cc"].iter().any(|name| !std::path::Path::new("/usr/bin").join(name).exists()) {
        println!("skipped: ctest: it is not installed");
        return;
    }
    let recipe = "cmake_minimum_required(VERSION 3.10)\nproject(calc C)\nenable_testing()\nadd_executable(one one.c calc.c)\nadd_test(NAME one COMMAND one)\n";
    let test = "int add(int a, int b);\nint main(void) { return add(1, 2) == 3 ? 0 : 1; }\n";
    let empty = "cmake_minimum_required(VERSION 3.10)\nproject(calc C)\nenable_testing()\nadd_library(calc calc.c)\n";
    hold(&Tool {
        command: "ctest",
        files: &[("CMakeLists.txt", recipe), ("one.c", test), ("calc.c", "int add(int a, int b) { return a - b; }\n")],
        mended: ("calc.c", "int add(int a, int b) { return a + b; }\n"),
        tests: 1,
        wrong: "int add(int a, int b) { return a * b; }\n",
        tampering: &[
            &[("CMakeLists.txt", empty)],
            &[("CTestTestfile.cmake", "add_test(one true)\n")],
            &[("calc.c", "#error no\n")],
        ],
        without_tests: &[("CMakeLists.txt", empty), ("calc.c", "int add(int a, int b) { return a - b; }\n")],
    });
}

#[test]
fn make_test_is_judged_by_its_exit_code_and_says_so() {
    if !std::path::Path::new("/usr/bin/make").exists() {
        println!("skipped: make: it is not installed");
        return;
    }
    let recipe = "test:\n\tpython3 -c 'from calc import add; assert add(1, 2) == 3'\n";
    let files = [("Makefile", recipe), ("calc.py", "def add(a, b): return a - b\n")];
    let Some(right) = judged(&files, &[("calc.py", "def add(a, b): return a + b\n")], "make test") else { return };
    assert!(right.passed() && right.report().unwrap().flags.iter().any(|flag| flag.contains("exit code")), "{right:?}");
    let wrong = judged(&files, &[("calc.py", "def add(a, b): return 0\n")], "make test").unwrap();
    assert!(matches!(wrong, Verdict::Failed(_)), "{wrong:?}");
    let tampered = judged(&files, &[("Makefile", "test:\n\ttrue\n")], "make test").unwrap();
    assert!(!tampered.passed(), "{tampered:?}");
}
