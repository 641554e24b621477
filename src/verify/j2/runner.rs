//! Which runner a project's tests are for, and how it is started so that it gives evidence. Pure but for a look at
//! which files there are.

use std::path::Path;

/// Where our own reporters lie in the work directory.
pub(crate) const OUR_DIR: &str = ".z1";

/// A test runner whose evidence can be read, or just a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Pytest,
    Unittest,
    Cargo,
    Go,
    Node,
    Jest,
    Vitest,
    Ctest,
    /// Only its exit code says anything.
    Shell,
}

/// A runner and what the user gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Runner {
    pub(crate) kind: Kind,
    /// As a user would type it.
    pub(crate) command: String,
    /// Arguments behind the runner's own.
    pub(crate) args: Vec<String>,
}

impl Runner {
    fn new(kind: Kind, command: &str) -> Self {
        Self { kind, command: command.to_owned(), args: Vec::new() }
    }
}

/// Finds the runner of a project by its files.
pub(crate) fn detect(root: &Path) -> Option<Runner> {
    let has = |name: &str| root.join(name).is_file();
    let says = |name: &str, word: &str| std::fs::read_to_string(root.join(name)).is_ok_and(|text| text.contains(word));
    if has("Cargo.toml") {
        return Some(Runner::new(Kind::Cargo, "cargo test"));
    }
    if has("go.mod") {
        return Some(Runner::new(Kind::Go, "go test ./..."));
    }
    if let Some(runner) = detect_node(root) {
        return Some(runner);
    }
    let python = has("pytest.ini")
        || has("conftest.py")
        || says("pyproject.toml", "[tool.pytest")
        || says("setup.cfg", "[tool:pytest");
    if python || any_file(root, 0, &is_python_test) {
        let kind = if super::python::has_module(root, "pytest") { Kind::Pytest } else { Kind::Unittest };
        return Some(Runner::new(kind, if kind == Kind::Pytest { "pytest" } else { "python -m unittest" }));
    }
    if says("CMakeLists.txt", "enable_testing") || says("CMakeLists.txt", "include(CTest)") {
        return Some(Runner::new(Kind::Ctest, "ctest"));
    }
    let target = |name: &str| {
        std::fs::read_to_string(root.join(name)).is_ok_and(|text| text.lines().any(|line| line.starts_with("test:")))
    };
    ["Makefile", "makefile", "GNUmakefile"]
        .iter()
        .any(|name| target(name))
        .then(|| Runner::new(Kind::Shell, "make test"))
}

fn detect_node(root: &Path) -> Option<Runner> {
    let package = std::fs::read_to_string(root.join("package.json")).ok()?;
    let package: serde_json::Value = serde_json::from_str(&package).ok()?;
    let script = package["scripts"]["test"].as_str().unwrap_or("");
    let depends =
        |name: &str| ["devDependencies", "dependencies"].iter().any(|field| package[*field].get(name).is_some());
    if script.contains("vitest") || (script.is_empty() && depends("vitest")) {
        Some(Runner::new(Kind::Vitest, "vitest run"))
    } else if script.contains("jest") || (script.is_empty() && depends("jest")) {
        Some(Runner::new(Kind::Jest, "jest"))
    } else if script.contains("node --test") || script.contains("node:test") || script.is_empty() {
        any_file(root, 0, &is_node_test).then(|| Runner::new(Kind::Node, "node --test"))
    } else {
        Some(Runner::new(Kind::Shell, script))
    }
}

/// Reads a command that the user gave. Known runners are started our way; anything else by the shell.
pub(crate) fn from_command(command: &str, root: &Path) -> Runner {
    let shell = Runner::new(Kind::Shell, command);
    if command.contains(['|', '&', ';', '<', '>', '(', ')', '$', '`', '"', '\'', '*', '\\', '\n', '=']) {
        return shell;
    }
    let words: Vec<&str> = command.split_whitespace().collect();
    let (kind, used) = match words.as_slice() {
        ["npm" | "yarn" | "pnpm", "test"] => return detect_node(root).unwrap_or(shell),
        ["npx" | "pnpx", rest @ ..] => match node_runner(rest) {
            Some((kind, used)) => (kind, used + 1),
            None => return shell,
        },
        ["pytest" | "py.test", ..] => (Kind::Pytest, 1),
        ["python" | "python3", "-m", "pytest", ..] => (Kind::Pytest, 3),
        ["python" | "python3", "-m", "unittest", ..] => (Kind::Unittest, 3),
        ["cargo", "test", ..] => (Kind::Cargo, 2),
        ["go", "test", ..] => (Kind::Go, 2),
        ["node", "--test", ..] => (Kind::Node, 2),
        ["ctest"] => (Kind::Ctest, 1),
        rest => match node_runner(rest) {
            Some(found) => found,
            None => return shell,
        },
    };
    let args = words[used..].iter().map(|word| (*word).to_owned()).collect();
    Runner { kind, command: command.to_owned(), args }
}

fn node_runner(words: &[&str]) -> Option<(Kind, usize)> {
    match words {
        ["jest", ..] => Some((Kind::Jest, 1)),
        ["vitest", "run", ..] => Some((Kind::Vitest, 2)),
        ["vitest", ..] => Some((Kind::Vitest, 1)),
        _ => None,
    }
}

/// The arguments that start the runner, given its interpreter or tool.
pub(crate) fn argv(runner: &Runner, tool: &str) -> Vec<String> {
    let report = format!("--outputFile={OUR_DIR}/report.json");
    let (pytest, unittest) = (format!("{OUR_DIR}/z1_pytest.py"), format!("{OUR_DIR}/z1_unittest.py"));
    let own: Vec<&str> = match runner.kind {
        Kind::Pytest => vec![tool, "-B", &pytest, "-p", "no:cacheprovider", "-q"],
        Kind::Unittest => vec![tool, "-B", &unittest],
        Kind::Cargo => vec![tool, "test", "--offline", "--no-fail-fast"],
        Kind::Go => vec![tool, "test", "-json", "-count=1"],
        Kind::Node => vec![tool, "--test", "--test-reporter=tap"],
        Kind::Jest => {
            vec![tool, "node_modules/jest/bin/jest.js", "--json", &report, "--ci", "--watchman=false", "--runInBand"]
        }
        Kind::Vitest => vec![tool, "node_modules/vitest/vitest.mjs", "run", "--reporter=json", &report],
        Kind::Ctest => {
            let script = "cmake -S . -B .z1/build >/dev/null && cmake --build .z1/build >/dev/null \
                          && ctest --test-dir .z1/build --output-junit ../report.xml";
            return vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        }
        Kind::Shell => return vec!["sh".to_owned(), "-c".to_owned(), runner.command.clone()],
    };
    let mut argv: Vec<String> = own.into_iter().map(str::to_owned).collect();
    // Cargo hands everything behind `--` to the test program; ours must stand before it.
    argv.extend(runner.args.iter().cloned());
    if runner.kind == Kind::Go && runner.args.is_empty() {
        argv.push("./...".to_owned());
    }
    argv
}

/// Folders that are looked into for test files.
const DEPTH_MAX: usize = 4;

fn any_file(folder: &Path, depth: usize, wanted: &dyn Fn(&str) -> bool) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return false };
        let Ok(kind) = entry.file_type() else { return false };
        if kind.is_dir() {
            let skipped = name.starts_with('.') || matches!(name, "node_modules" | "target" | "venv" | "__pycache__");
            return !skipped && depth < DEPTH_MAX && any_file(&entry.path(), depth + 1, wanted);
        }
        kind.is_file() && wanted(name)
    })
}

pub(super) fn is_python_test(name: &str) -> bool {
    name.strip_suffix(".py").is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test") || stem == "tests")
}

pub(super) fn is_node_test(name: &str) -> bool {
    let stem =
        [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"].iter().find_map(|end| name.strip_suffix(end));
    stem.is_some_and(|stem| {
        stem == "test"
            || stem.starts_with("test-")
            || [".test", "-test", "_test", ".spec"].iter().any(|end| stem.ends_with(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a parent")).expect("folders can be made");
            std::fs::write(path, text).expect("files can be written");
        }
        root
    }

    #[test]
    fn a_project_says_how_it_is_tested() {
        let kind = |files: &[(&str, &str)]| detect(project(files).path()).map(|runner| runner.kind);
        assert_eq!(kind(&[("Cargo.toml", "")]), Some(Kind::Cargo));
        assert_eq!(kind(&[("go.mod", "")]), Some(Kind::Go));
        assert_eq!(kind(&[("package.json", r#"{"scripts":{"test":"jest --ci"}}"#)]), Some(Kind::Jest));
        assert_eq!(kind(&[("package.json", r#"{"devDependencies":{"vitest":"1"}}"#)]), Some(Kind::Vitest));
        assert_eq!(kind(&[("package.json", "{}"), ("test/a.test.js", "")]), Some(Kind::Node));
        assert!(matches!(kind(&[("pkg/test_a.py", "")]), Some(Kind::Unittest | Kind::Pytest)));
        assert_eq!(kind(&[("Makefile", "all:\ntest: all\n")]), Some(Kind::Shell));
        assert_eq!(kind(&[("CMakeLists.txt", "enable_testing()")]), Some(Kind::Ctest));
        assert_eq!(kind(&[("readme.md", "")]), None);
    }

    #[test]
    fn a_command_is_started_our_way_where_we_know_it() {
        let root = project(&[]);
        let kind = |command: &str| from_command(command, root.path());
        assert_eq!(kind("pytest -k fast tests").kind, Kind::Pytest);
        assert_eq!(kind("python3 -m unittest tests.test_a").args, ["tests.test_a"]);
        assert_eq!(kind("cargo test --lib").kind, Kind::Cargo);
        assert_eq!(kind("npx vitest run").kind, Kind::Vitest);
        for command in ["make check", "pytest; echo ok", "FOO=1 pytest", "pytest || true", "./run.sh"] {
            assert_eq!(kind(command).kind, Kind::Shell, "{command}");
        }
    }
}
