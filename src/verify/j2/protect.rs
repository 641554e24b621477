//! Which files decide about the verdict: tests and the settings of runners. A change under test may not change
//! them; they are judged as they stand in the project. Pure.

use super::runner::{is_node_test, is_python_test};

/// Names of files, wherever they lie, that steer a test run or an interpreter's start.
const STEERING: [&str; 38] = [
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "tox.ini",
    "setup.cfg",
    "noxfile.py",
    "sitecustomize.py",
    "usercustomize.py",
    ".coveragerc",
    "jest.config.js",
    "jest.config.ts",
    "jest.config.mjs",
    "jest.config.cjs",
    "jest.config.json",
    "jest.setup.js",
    "jest.setup.ts",
    "vitest.config.js",
    "vitest.config.ts",
    "vitest.config.mts",
    "vitest.config.mjs",
    "vitest.workspace.ts",
    "vite.config.js",
    "vite.config.ts",
    ".mocharc.json",
    ".mocharc.js",
    ".npmrc",
    "build.rs",
    "rust-toolchain",
    "rust-toolchain.toml",
    "clippy.toml",
    "go.work",
    "Makefile",
    "makefile",
    "GNUmakefile",
    "CMakeLists.txt",
    "CTestTestfile.cmake",
    "pom.xml",
    "build.gradle",
];

/// Whether this path (relative, with `/`) decides about the verdict.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "Python compares the ending of a .pth file so")]
pub(crate) fn decides(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_tests = path.split('/').rev().skip(1).any(|folder| {
        matches!(folder, "tests" | "test" | "__tests__" | "spec" | "specs" | "testdata" | ".cargo" | ".z1")
    });
    in_tests
        || STEERING.contains(&name)
        || is_python_test(name)
        || is_node_test(name)
        || name.ends_with("_test.go")
        || name.ends_with(".pth")
        || (name.ends_with("Test.java") || name.ends_with("Tests.java"))
}

/// Files that hold settings of the runner among others: a change of them is shown, not undone.
pub(crate) fn is_mixed(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("package.json" | "pyproject.toml" | "Cargo.toml" | "go.mod"))
}

/// Whether a change of a mixed file touches what steers the tests.
pub(crate) fn steers_tests(path: &str, before: &str, after: &str) -> bool {
    let marks: &[&str] = match path.rsplit('/').next() {
        Some("package.json") => &["\"scripts\"", "\"test\"", "\"jest\"", "\"vitest\"", "\"pretest\"", "\"posttest\""],
        Some("pyproject.toml") => &["[tool.pytest", "addopts", "testpaths", "python_files", "filterwarnings"],
        Some("Cargo.toml") => &["[[test]]", "harness", "autotests", "[profile", "[lib]", "test ="],
        _ => &[],
    };
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| marks.iter().any(|mark| line.contains(mark)))
            .map(|line| line.trim().to_owned())
            .collect()
    };
    lines(before) != lines(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_and_their_settings_decide_and_code_does_not() {
        for path in [
            "tests/test_a.py",
            "pkg/conftest.py",
            "a_test.go",
            "src/x.test.ts",
            ".cargo/config.toml",
            "build.rs",
            "x.pth",
        ] {
            assert!(decides(path), "{path}");
        }
        for path in ["src/lib.rs", "contest.py", "src/testing.py", "package.json", "latest.js"] {
            assert!(!decides(path), "{path}");
        }
    }

    #[test]
    fn a_mixed_file_counts_where_its_test_settings_change() {
        let before = "[project]\nname='a'\n[tool.pytest.ini_options]\naddopts='-q'\n";
        assert!(!steers_tests("pyproject.toml", before, &before.replace("name='a'", "name='b'")));
        assert!(steers_tests("pyproject.toml", before, &before.replace("-q", "--collect-only")));
        assert!(steers_tests("package.json", "{\"test\": \"jest\"}", "{\"test\": \"true\"}"));
    }
}
