//! The command that a project is tested with, by its files. Looks at which files there are; runs nothing.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::protect::{is_node_test, is_python_test};
use super::words;
use crate::verify::{python_env, toolbox};

/// The command for the project at `root`, as a user would type it there. Where `start` is a folder within it, the
/// nearest folder on the way up that says how it is tested decides.
pub(crate) fn detect(root: &Path, start: &Path) -> Option<String> {
    let mut way = start.ancestors().take_while(|folder| folder.starts_with(root));
    if let Some((folder, command)) = way.find_map(|folder| Some((folder, in_folder(folder, root)?))) {
        return Some(placed(root, folder, command));
    }
    // A project that is one folder further down.
    let mut below = subfolders(root).into_iter().filter_map(|folder| Some((in_folder(&folder, root)?, folder)));
    match (below.next(), below.next()) {
        (Some((command, folder)), None) => Some(placed(root, &folder, command)),
        _ => None,
    }
}

fn placed(root: &Path, folder: &Path, command: String) -> String {
    match folder.strip_prefix(root).ok().and_then(Path::to_str) {
        Some("") | None => command,
        Some(inner) => format!("cd {} && {command}", words::quoted(inner)),
    }
}

fn subfolders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| !is_skipped(name)))
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    folders
}

/// What the files of one folder say.
fn in_folder(folder: &Path, root: &Path) -> Option<String> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let has = |name: &str| folder.join(name).is_file();
    if has("Cargo.toml") {
        let text = read("Cargo.toml");
        // A root that is a package as well tests only itself unless it is told.
        let both = text.contains("[workspace]") && text.contains("[package]");
        return Some(if both { "cargo test --workspace" } else { "cargo test" }.to_owned());
    }
    if has("go.mod") {
        return Some("go test ./...".to_owned());
    }
    node(folder).or_else(|| python(folder, root)).or_else(|| {
        let cmake = read("CMakeLists.txt");
        if cmake.contains("enable_testing") || cmake.contains("include(CTest)") {
            return Some("ctest".to_owned());
        }
        if has("pom.xml") {
            return Some("mvn -o -q test".to_owned());
        }
        if has("gradlew") {
            return Some("./gradlew --offline test".to_owned());
        }
        let makes = ["Makefile", "makefile", "GNUmakefile"].iter().any(|name| has_test_target(&read(name)));
        makes.then(|| "make test".to_owned())
    })
}

/// Whether a Makefile has a target `test`, alone or among others.
fn has_test_target(text: &str) -> bool {
    static TARGET: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^(?:[\w./-]+ +)*test(?: +[\w./-]+)* *:(?:[^=]|$)").expect("invariant: a valid pattern")
    });
    TARGET.is_match(text)
}

/// The text of the script that `npm test` runs, where there is one that tests something.
pub(crate) fn test_script(folder: &Path) -> Option<String> {
    let package: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("package.json")).ok()?).ok()?;
    let script = package["scripts"]["test"].as_str()?.trim().to_owned();
    // What `npm init` writes where nobody says how it is tested.
    (!script.is_empty() && !script.contains("no test specified")).then_some(script)
}

fn node(folder: &Path) -> Option<String> {
    let package: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("package.json")).ok()?).ok()?;
    let depends =
        |name: &str| ["devDependencies", "dependencies"].iter().any(|field| package[*field].get(name).is_some());
    if let Some(script) = test_script(folder) {
        let manager = [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")];
        let manager = manager.iter().find(|(file, _)| folder.join(file).is_file()).map_or("npm", |(_, name)| name);
        // A root's own script may run its members; where it does not, they are run beside it.
        let runs_members = ["workspace", " -ws", "turbo", "lerna", "nx ", "wireit", " -r ", "--recursive"];
        if manager == "npm" && package.get("workspaces").is_some() && !runs_members.iter().any(|w| script.contains(w)) {
            return Some("npm test --workspaces --include-workspace-root --if-present".to_owned());
        }
        return Some(format!("{manager} test"));
    }
    if package.get("workspaces").is_some() {
        return Some("npm test --workspaces --if-present".to_owned());
    }
    if depends("vitest") {
        return Some("npx vitest run".to_owned());
    }
    if depends("jest") {
        return Some("npx jest".to_owned());
    }
    if depends("mocha") {
        return Some("npx mocha".to_owned());
    }
    any_file(folder, 0, &is_node_test).then(|| "node --test".to_owned())
}

fn python(folder: &Path, root: &Path) -> Option<String> {
    let says =
        |name: &str, word: &str| std::fs::read_to_string(folder.join(name)).is_ok_and(|text| text.contains(word));
    let has = |name: &str| folder.join(name).is_file();
    let configured = ["pytest.ini", "pytest.toml", ".pytest.ini", "conftest.py"].iter().any(|name| has(name))
        || says("pyproject.toml", "[tool.pytest")
        || says("setup.cfg", "[tool:pytest")
        || says("tox.ini", "[pytest]");
    if !configured && !any_file(folder, 0, &is_python_test) {
        return None;
    }
    if configured || has_pytest(folder, root) {
        return Some("pytest".to_owned());
    }
    if says("manage.py", "django") {
        return Some("python manage.py test".to_owned());
    }
    // unittest looks into packages only.
    let here = subfolders_have(folder, "tests") || subfolders_have(folder, "test");
    let name = if folder.join("tests").is_dir() { "tests" } else { "test" };
    Some(if here { format!("python -m unittest discover -s {name}") } else { "python -m unittest".to_owned() })
}

/// Whether the Python that the tests would be run with has pytest: the environment's where there is one, since no other has the
/// packages that the tests need.
fn has_pytest(folder: &Path, root: &Path) -> bool {
    let tools = toolbox::within(root, folder);
    let pythons: Vec<PathBuf> = match tools.environment() {
        Some(environment) => vec![environment.join("bin/python")],
        None => ["python", "python3"].iter().filter_map(|name| tools.find(name)).collect(),
    };
    pythons.iter().any(|python| python_env::has_module(python, "pytest"))
}

/// Tests lie in this folder, which is no package, and not beside it.
fn subfolders_have(folder: &Path, name: &str) -> bool {
    let tests = folder.join(name);
    let beside = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let beside = beside
        .filter(|entry| entry.path().is_file())
        .any(|entry| entry.file_name().to_str().is_some_and(is_python_test));
    !beside && !tests.join("__init__.py").exists() && any_file(&tests, 0, &is_python_test)
}

/// Folders that are looked into for test files.
const DEPTH_MAX: usize = 4;

fn is_skipped(name: &str) -> bool {
    name.starts_with('.') || matches!(name, "node_modules" | "target" | "venv" | "env" | "vendor" | "__pycache__")
}

fn any_file(folder: &Path, depth: usize, wanted: &dyn Fn(&str) -> bool) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return false };
        let Ok(kind) = entry.file_type() else { return false };
        if kind.is_dir() {
            return !is_skipped(name) && depth < DEPTH_MAX && any_file(&entry.path(), depth + 1, wanted);
        }
        kind.is_file() && wanted(name)
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

    fn command(files: &[(&str, &str)], start: &str) -> Option<String> {
        let root = project(files);
        detect(root.path(), &root.path().join(start))
    }

    #[test]
    fn a_project_says_how_it_is_tested() {
        let of = |files: &[(&str, &str)]| command(files, "");
        let is = |files: &[(&str, &str)], expected: &str| assert_eq!(of(files).as_deref(), Some(expected), "{files:?}");
        is(&[("Cargo.toml", "")], "cargo test");
        is(&[("Cargo.toml", "[package]\n[workspace]\n")], "cargo test --workspace");
        is(&[("go.mod", "")], "go test ./...");
        is(&[("package.json", r#"{"scripts":{"test":"jest --ci"}}"#)], "npm test");
        is(&[("package.json", r#"{"scripts":{"test":"jest"}}"#), ("yarn.lock", "")], "yarn test");
        is(&[("package.json", r#"{"devDependencies":{"vitest":"1"}}"#)], "npx vitest run");
        is(&[("package.json", "{}"), ("test/a.test.js", "")], "node --test");
        is(&[("package.json", r#"{"workspaces":["a"]}"#)], "npm test --workspaces --if-present");
        is(
            &[("package.json", r#"{"workspaces":["a"],"scripts":{"test":"node --test"}}"#)],
            "npm test --workspaces --include-workspace-root --if-present",
        );
        is(&[("package.json", r#"{"workspaces":["a"],"scripts":{"test":"npm test --workspaces"}}"#)], "npm test");
        is(&[("pytest.toml", "")], "pytest");
        is(&[("tox.ini", "[pytest]\n"), ("check_a.py", "")], "pytest");
        is(&[("Makefile", "all:\ntest: all\n")], "make test");
        is(&[("Makefile", "check test :\n\ttrue\n")], "make test");
        is(&[("CMakeLists.txt", "enable_testing()")], "ctest");
        is(&[("rust/Cargo.toml", "")], "cd rust && cargo test");
        is(&[("my app's/Cargo.toml", "")], "cd 'my app'\\''s' && cargo test");
        is(&[("R&D/go.mod", "")], "cd 'R&D' && go test ./...");
        let django =
            [("manage.py", "from django.core.management import x"), ("shop/tests.py", ""), ("venv/bin/python", "")];
        is(&django, "python manage.py test");
        assert!(of(&[("pkg/test_a.py", "")]).is_some_and(|found| found.contains("unittest") || found == "pytest"));
        assert_eq!(of(&[("readme.md", "")]), None);
        assert_eq!(of(&[("Makefile", "test := 1\n")]), None);
        // What `npm init` writes is no check.
        let placeholder = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
        assert_eq!(of(&[("package.json", placeholder)]), None);
        assert_eq!(of(&[("a/Cargo.toml", ""), ("b/Cargo.toml", "")]), None, "which one is not known");
    }

    #[test]
    fn the_nearest_manifest_decides() {
        let files = [
            ("backend/test_a.py", ""),
            ("backend/pytest.ini", ""),
            ("frontend/package.json", r#"{"scripts":{"test":"node --test"}}"#),
            ("frontend/src/a.js", ""),
        ];
        assert_eq!(command(&files, "frontend/src").as_deref(), Some("cd frontend && npm test"));
        assert_eq!(command(&files, "backend").as_deref(), Some("cd backend && pytest"));
    }
}
