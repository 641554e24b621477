//! Which files decide about the verdict: tests and the settings of runners. Whatever a change says of them, they are
//! judged as they stand in the project as well. Pure.

/// What a file is to the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// What is judged.
    Code,
    /// A test, or what belongs to tests.
    Test,
    /// Steers a test run or an interpreter's start.
    Steering,
    /// Says what is built, tests among it.
    Build,
    /// Settings of the runner among others.
    Mixed,
    /// Somebody else's code that lies in the project: a change of it changes the judge.
    Dependency,
}

/// Names of files, wherever they lie, that steer a test run or an interpreter's start.
const STEERING: [&str; 32] = [
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
    "noxfile.py",
    "sitecustomize.py",
    "usercustomize.py",
    ".coveragerc",
    ".npmrc",
    "setupTests.js",
    "setupTests.ts",
    "rust-toolchain",
    "rust-toolchain.toml",
    "clippy.toml",
    "nextest.toml",
    "go.work",
    "CTestTestfile.cmake",
    "Justfile",
    "justfile",
    ".justfile",
    "Rakefile",
    ".rspec",
    "spec_helper.rb",
    "rails_helper.rb",
    "phpunit.xml",
    "phpunit.xml.dist",
    "bunfig.toml",
    "deno.json",
    "deno.jsonc",
];

/// Names without their endings of settings that come in many of them.
const STEERING_STEMS: [&str; 14] = [
    "jest.config",
    "jest.setup",
    "vitest.config",
    "vitest.setup",
    "vitest.workspace",
    "vite.config",
    ".mocharc",
    "babel.config",
    ".babelrc",
    "karma.conf",
    "ava.config",
    "playwright.config",
    "cypress.config",
    "tsconfig",
];

const BUILD: [&str; 13] = [
    "build.rs",
    "Makefile",
    "makefile",
    "GNUmakefile",
    "CMakeLists.txt",
    "meson.build",
    "BUILD",
    "BUILD.bazel",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "settings.gradle",
    "settings.gradle.kts",
];

/// Folders of other people's code.
const DEPENDENCIES: [&str; 9] = [
    "site-packages",
    "dist-packages",
    "node_modules",
    "bower_components",
    "__pypackages__",
    ".venv",
    ".tox",
    ".nox",
    ".yarn",
];

/// Endings of files that are code or settings: what a run has no reason to write to.
const SOURCES: [&str; 36] = [
    "py", "pyi", "pth", "js", "mjs", "cjs", "ts", "mts", "cts", "jsx", "tsx", "rs", "go", "c", "cc", "cpp", "cxx", "h",
    "hpp", "java", "kt", "kts", "scala", "groovy", "rb", "php", "cs", "swift", "dart", "ex", "exs", "sh", "bats",
    "toml", "ini", "cmake",
];

/// The role of a path (relative, with `/`).
pub(crate) fn role(path: &str) -> Role {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folders = || path.split('/').rev().skip(1);
    if folders().any(|folder| DEPENDENCIES.contains(&folder)) {
        return Role::Dependency;
    }
    if is_test_file(name) || is_recorded(name) || folders().any(|folder| is_test_folder(folder, name)) {
        return Role::Test;
    }
    let stem = STEERING_STEMS
        .iter()
        .any(|stem| name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')));
    if STEERING.contains(&name) || stem || ending(name) == Some("pth") || folders().any(|f| f == ".cargo" || f == ".z1")
    {
        return Role::Steering;
    }
    match name {
        "package.json" | "pyproject.toml" | "Cargo.toml" | "go.mod" => Role::Mixed,
        _ if BUILD.contains(&name) || matches!(ending(name), Some("cmake" | "mk")) => Role::Build,
        _ => Role::Code,
    }
}

/// Whether what lies in such a folder belongs to tests; of some folders only what is no code.
fn is_test_folder(folder: &str, name: &str) -> bool {
    let is_data = || !ending(name).is_some_and(|ending| SOURCES.contains(&ending));
    match folder {
        "tests" | "test" | "__tests__" | "spec" | "specs" | "testdata" => true,
        "__snapshots__" | "__mocks__" | "__fixtures__" | "__image_snapshots__" => true,
        "snapshots" | "golden" | "goldens" | "golden_files" | "cassettes" => is_data(),
        _ => false,
    }
}

/// What a test compares with: recorded or written down, by its name.
fn is_recorded(name: &str) -> bool {
    const ENDINGS: [&str; 7] = ["snap", "ambr", "golden", "expected", "approved", "bats", "t"];
    let lower = name.to_lowercase();
    let Some((stem, end)) = lower.rsplit_once('.') else { return false };
    let is_expected = stem == "expected"
        || ["expected_", "expected-", "golden_", "golden-"].iter().any(|start| stem.starts_with(start))
        || ["_expected", "-expected", ".expected", ".approved", ".golden", ".snap", "_golden"]
            .iter()
            .any(|end| stem.ends_with(end));
    ENDINGS.contains(&end) || (is_expected && !SOURCES.contains(&end))
}

/// `run-tests`, `runtests.py`: what a project starts its tests with.
fn runs_tests(stem: &str) -> bool {
    let plain: String = stem.to_lowercase().chars().filter(|c| !matches!(c, '-' | '_')).collect();
    matches!(
        plain.as_str(),
        "runtest" | "runtests" | "testrunner" | "testhelp" | "testhelper" | "testhelpers" | "testutil" | "testutils"
    )
}

/// Whether a change of this path (relative, with `/`) is never what makes a change verified.
pub(crate) fn decides(path: &str) -> bool {
    matches!(role(path), Role::Test | Role::Steering)
}

/// Whether this is a test or a setting that a run has no reason to write to.
pub(crate) fn is_protected(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    decides(path) && (ending(name).is_some_and(|ending| SOURCES.contains(&ending)) || STEERING.contains(&name))
}

/// Whether a file that appears while the tests run can decide about them: by its name, not by where it lies.
pub(crate) fn decides_by_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    is_test_file(name) || role(name) == Role::Steering
}

pub(crate) fn is_source(path: &str) -> bool {
    ending(path).is_some_and(|ending| SOURCES.contains(&ending))
}

fn ending(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, ending)| ending)
}

pub(crate) fn is_python_test(name: &str) -> bool {
    name.strip_suffix(".py").is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test") || stem == "tests")
}

pub(crate) fn is_node_test(name: &str) -> bool {
    let stem =
        [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"].iter().find_map(|end| name.strip_suffix(end));
    stem.is_some_and(|stem| {
        stem == "test"
            || stem.starts_with("test-")
            || [".test", "-test", "_test", ".spec"].iter().any(|end| stem.ends_with(end))
    })
}

/// A file of tests by its name, in any language.
fn is_test_file(name: &str) -> bool {
    let Some((stem, ending)) = name.rsplit_once('.') else {
        return matches!(name, "test" | "tests" | "check" | "checks") || runs_tests(name);
    };
    if !SOURCES.contains(&ending) || ending == "toml" || ending == "ini" {
        return false;
    }
    let lower = stem.to_lowercase();
    let by_words = runs_tests(stem)
        || ["test_", "test-"].iter().any(|start| lower.starts_with(start))
        || ["_test", "-test", ".test", "_tests", "_spec", "-spec", ".spec"].iter().any(|end| lower.ends_with(end))
        || matches!(lower.as_str(), "test" | "tests");
    // `CalculatorTest.java`: by its capital.
    let camel = matches!(ending, "java" | "kt" | "scala" | "groovy" | "cs" | "swift" | "php" | "cpp" | "cc" | "dart");
    let by_case = camel
        && ["Test", "Tests", "Spec", "IT", "TestCase"].iter().any(|end| stem.len() > end.len() && stem.ends_with(end));
    by_words || by_case
}

/// Whether a change of a build file only adds sources to lists, or takes some out that are no tests: the case of a new
/// file that has to be named there.
pub(crate) fn only_lists_sources(before: &str, after: &str) -> bool {
    const WORDS: [&str; 9] = [
        "add_library",
        "target_link_libraries",
        "target_sources",
        "target_include_directories",
        "PRIVATE",
        "PUBLIC",
        "INTERFACE",
        "STATIC",
        "\\",
    ];
    let tokens = |text: &str| -> Vec<String> {
        let code = text.lines().map(|line| line.split('#').next().unwrap_or("")).collect::<Vec<_>>().join("\n");
        let words = code.split(|c: char| c.is_whitespace() || c == '(' || c == ')' || c == '"');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let (before, after) = (tokens(before), tokens(after));
    let less = |from: &[String], other: &[String]| -> Vec<String> {
        let mut left = other.to_vec();
        from.iter()
            .filter(|word| match left.iter().position(|known| known == *word) {
                Some(at) => {
                    left.swap_remove(at);
                    false
                }
                None => true,
            })
            .cloned()
            .collect()
    };
    let source = |word: &String| {
        let name = word.rsplit('/').next().unwrap_or(word);
        let listed = matches!(
            ending(name),
            Some("c" | "cc" | "cpp" | "cxx" | "h" | "hpp" | "o" | "java" | "rs" | "S" | "f90" | "cu")
        );
        listed && !is_test_file(name) && !word.contains(['$', '=', ':', ';'])
    };
    let added = less(&after, &before);
    let known = |word: &String| before.contains(word) || WORDS.contains(&word.as_str());
    !before.is_empty()
        && less(&before, &after).iter().all(source)
        && added.iter().all(|word| source(word) || known(word))
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
            "x.pth",
            "test_add.cpp",
            "add_test.c",
            "foo_spec.rb",
            "src/AddTest.kt",
            "src/parser/tests.rs",
            "pytest.toml",
            "babel.config.cjs",
            "tsconfig.json",
            "vitest.setup.ts",
            "web/jest.config.mjs",
            "Justfile",
            "phpunit.xml",
            "src/__snapshots__/a.test.js.snap",
            "src/snapshots/a__b.snap",
            "pkg/__snapshots__/a.ambr",
            "src/__mocks__/fs.js",
            "pkg/golden/a.json",
            "expected.txt",
            "cases/one.expected",
            "a.approved.txt",
            "scripts/test",
            "scripts/check",
            "run-tests",
            "run-tests.sh",
            "runtests.py",
            "test.bats",
            "testhelp.h",
        ] {
            assert!(decides(path), "{path}");
        }
        for path in [
            "src/lib.rs",
            "contest.py",
            "src/testing.py",
            "package.json",
            "latest.js",
            "Attest.java",
            "build.rs",
            "a.cmake",
            "src/snapshots/mod.rs",
            "golden/ratio.py",
            "src/expected.rs",
            "check.py",
            "src/checks.rs",
            "runner.py",
            "unexpected.txt",
            "tests.md",
        ] {
            assert!(!decides(path), "{path}");
        }
        assert_eq!(role("src/CMakeLists.txt"), Role::Build);
        for path in [".venv/lib/python3.11/site-packages/_pytest/python.py", "web/node_modules/jest/bin/jest.js"] {
            assert_eq!(role(path), Role::Dependency, "{path}");
        }
        assert!(is_protected("tests/test_a.py") && !is_protected("tests/out.json") && !is_protected("src/a.py"));
        assert!(decides_by_name("tests/conftest.py") && !decides_by_name("tests/out.json"));
    }

    #[test]
    fn a_new_source_in_a_list_is_not_a_change_of_how_things_are_tested() {
        let cmake = "add_library(calc add.c)\nadd_executable(one one.c)\nadd_test(NAME one COMMAND one)\n";
        assert!(only_lists_sources(cmake, &cmake.replace("add.c", "add.c sub.c")));
        assert!(only_lists_sources(cmake, &cmake.replace("add.c", "sum.c")));
        for (from, to) in
            [("COMMAND one", "COMMAND true"), ("add_test(NAME one COMMAND one)\n", ""), ("one.c", "test_two.c")]
        {
            assert!(!only_lists_sources(cmake, &cmake.replace(from, to)), "{to}");
        }
        let make = "OBJS = a.o \\\n  b.o\ntest: $(OBJS)\n\t./run\n";
        assert!(only_lists_sources(make, &make.replace("b.o", "b.o c.o")));
        assert!(!only_lists_sources(make, &make.replace("./run", "true")));
        assert!(!only_lists_sources("", make));
    }
}
