//! Whether a change of a file that holds settings of the tests among others touches those. Pure: the files are read as what
//! they are, so that it does not matter how they are written down.

use std::collections::BTreeMap;

use serde_json::Value;

/// Tables of `pyproject.toml` below `tool` that say how tests run.
const PYTHON: [&str; 12] =
    ["pytest", "tox", "nox", "hatch", "pdm", "poe", "taskipy", "coverage", "rye", "pytest-enabler", "nose", "ward"];

/// Fields of `package.json` that do.
const NODE: [&str; 23] = [
    "scripts",
    "jest",
    "vitest",
    "mocha",
    "nyc",
    "c8",
    "ava",
    "tap",
    "babel",
    "jasmine",
    "karma",
    "qunit",
    "wireit",
    "workspaces",
    "config",
    "ts-node",
    "tsd",
    "cypress",
    "playwright",
    "xo",
    "standard",
    "eslintConfig",
    "imports",
];

/// Tables and fields of `Cargo.toml` that do, by their path.
const CARGO: [&[&str]; 12] = [
    &["test"],
    &["profile"],
    &["patch"],
    &["replace"],
    &["lib", "test"],
    &["lib", "doctest"],
    &["lib", "harness"],
    &["package", "autotests"],
    &["package", "autobins"],
    &["package", "autoexamples"],
    &["package", "autobenches"],
    &["package", "build"],
];

/// Whether a change of a mixed file touches what steers the tests.
pub(crate) fn steers_tests(path: &str, before: &str, after: &str) -> bool {
    let read: fn(&str) -> Option<Settings> = match path.rsplit('/').next() {
        Some("package.json") => node,
        Some("pyproject.toml") => python,
        Some("Cargo.toml") => cargo,
        Some("go.mod") => |text| Some(go(text)),
        _ => return false,
    };
    let empty = |text: &str| text.trim().is_empty().then(Settings::new);
    match (empty(before).or_else(|| read(before)), empty(after).or_else(|| read(after))) {
        (Some(before), Some(after)) => {
            // What tests depend on may be added to; what is there may not become something else.
            let depends = |name: &str| name.starts_with(DEPENDS);
            let changed = before.iter().any(|(name, value)| after.get(name) != Some(value));
            changed || after.keys().any(|name| !depends(name) && !before.contains_key(name))
        }
        // What cannot be read may say anything.
        _ => before != after,
    }
}

/// Name to what is said of it.
type Settings = BTreeMap<String, Value>;

/// How the names of what tests depend on begin.
const DEPENDS: &str = "depends ";

fn put(settings: &mut Settings, name: &str, value: Option<&Value>) {
    if let Some(value) = value {
        settings.insert(name.to_owned(), value.clone());
    }
}

fn toml(text: &str) -> Option<Value> {
    let table: toml::Table = text.parse().ok()?;
    serde_json::to_value(table).ok()
}

fn python(text: &str) -> Option<Settings> {
    let all = toml(text)?;
    let mut settings = Settings::new();
    for (name, value) in all["tool"].as_object().into_iter().flatten() {
        if PYTHON.contains(&name.as_str()) || name.starts_with("pytest") {
            settings.insert(format!("tool.{name}"), value.clone());
        }
    }
    for (name, value) in all["project"]["entry-points"].as_object().into_iter().flatten() {
        if name.starts_with("pytest") {
            settings.insert(format!("entry-points.{name}"), value.clone());
        }
    }
    Some(settings)
}

fn node(text: &str) -> Option<Settings> {
    let all: Value = serde_json::from_str(text).ok()?;
    let mut settings = Settings::new();
    for name in NODE {
        put(&mut settings, name, all.get(name));
    }
    Some(settings)
}

fn cargo(text: &str) -> Option<Settings> {
    let all = toml(text)?;
    let mut settings = Settings::new();
    for path in CARGO {
        let value = path.iter().try_fold(&all, |value, name| value.get(name));
        put(&mut settings, &path.join("."), value);
    }
    for list in ["bin", "example", "bench"] {
        for target in all[list].as_array().into_iter().flatten() {
            let name = target["name"].as_str().unwrap_or_default();
            for field in ["test", "harness", "doctest"] {
                put(&mut settings, &format!("{list}.{name}.{field}"), target.get(field));
            }
        }
    }
    for (name, value) in all["dev-dependencies"].as_object().into_iter().flatten() {
        settings.insert(format!("{DEPENDS}{name}"), value.clone());
    }
    Some(settings)
}

/// Another module in the place of one that tests use.
fn go(text: &str) -> Settings {
    let mut settings = Settings::new();
    let mut is_within = false;
    for line in text.lines().map(|line| line.split("//").next().unwrap_or("").trim()) {
        if line.starts_with("replace") || line.starts_with("exclude") || is_within {
            settings.insert(line.to_owned(), Value::Null);
        }
        is_within = (is_within
            || ((line.starts_with("replace") || line.starts_with("exclude")) && line.ends_with('(')))
            && line != ")";
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_pytest_count_however_they_are_written() {
        let before =
            "[project]\nname = 'a'\n[tool.pytest.ini_options]\naddopts = [\n  '-q',\n]\n[tool.ruff]\nline-length = 9\n";
        let steers = |after: &str| steers_tests("pyproject.toml", before, after);
        for (from, to) in [
            ("  '-q',\n", "  '-q',\n  '--deselect=test_a.py::test_b',\n"),
            ("addopts", "python_functions = [\n 'test_z*' ]\naddopts"),
            ("[project]\n", "tool.nox.x = 1\n[project]\n"),
            ("[tool.ruff]", "[project.entry-points.pytest11]\nx = 'x'\n[tool.ruff]"),
            ("[project]", "[project"),
        ] {
            assert!(steers(&before.replace(from, to)), "{to}");
        }
        for (from, to) in [
            ("name = 'a'", "name = 'b'"),
            ("= 9", "= 10"),
            ("  '-q',\n]", "'-q']  # quiet"),
            ("[project]", "# tool.pytest\n[project]\ndependencies = ['x']"),
        ] {
            assert!(!steers(&before.replace(from, to)), "{to}");
        }
        assert!(!steers_tests("pyproject.toml", "", "[project]\nname = 'a'\n"));
        assert!(steers_tests("pyproject.toml", "", "[tool.pytest.ini_options]\naddopts = '-x'\n"));
    }

    #[test]
    fn all_scripts_and_runners_of_a_package_count() {
        let before = "{\"name\": \"a\", \"scripts\": {\"test\": \"npm run unit\", \"unit\": \"mocha\"}, \"mocha\": {\"recursive\": true}, \"dependencies\": {}}";
        let steers = |after: &str| steers_tests("package.json", before, after);
        for (from, to) in [
            ("\"unit\": \"mocha\"", "\"unit\": \"true\""),
            ("\"recursive\": true", "\"recursive\": true, \"grep\": \"sum\""),
            ("\"name\"", "\"nyc\": {\"x\": 1}, \"name\""),
        ] {
            assert!(steers(&before.replace(from, to)), "{to}");
        }
        for (from, to) in
            [("\"a\"", "\"b\""), ("\"dependencies\": {}", "\"dependencies\": {\"x\": \"1\"}"), (", ", ",\n  ")]
        {
            assert!(!steers(&before.replace(from, to)), "{to}");
        }
    }

    #[test]
    fn what_cargo_and_go_build_for_tests_counts() {
        let before =
            "[package]\nname = 'a'\n[dependencies]\nb = '1'\n[dev-dependencies]\nc = '1'\n[[bin]]\nname = 'd'\n";
        let steers = |from: &str, to: &str| steers_tests("Cargo.toml", before, &before.replace(from, to));
        for (from, to) in [
            ("[dependencies]", "[lib]\ntest = false\n[dependencies]"),
            ("[dependencies]", "[[test]]\nname = 'x'\n[dependencies]"),
            ("[dependencies]", "[profile.test]\nopt-level = 3\n[dependencies]"),
            ("name = 'd'", "name = 'd'\nharness = false"),
            ("c = '1'", "c = { path = 'fake' }"),
            ("c = '1'", ""),
            ("[dependencies]", "[patch.crates-io]\nc = { path = 'fake' }\n[dependencies]"),
        ] {
            assert!(steers(from, to), "{to}");
        }
        for (from, to) in [
            ("b = '1'", "b = '2'\ne = '1'"),
            ("c = '1'", "c = '1'\ne = '1'"),
            ("[dependencies]", "[lib]\ncrate-type = ['cdylib']\n[dependencies]"),
        ] {
            assert!(!steers(from, to), "{to}");
        }
        let module = "module a\n\nrequire b v1.0.0\n";
        assert!(!steers_tests("go.mod", module, &module.replace("v1.0.0", "v1.1.0")));
        assert!(steers_tests("go.mod", module, &format!("{module}replace b => ./fake\n")));
        assert!(steers_tests("go.mod", module, &format!("{module}replace (\n\tb => ./fake\n)\n")));
    }
}
