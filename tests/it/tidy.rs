//! The shape of the house, held by a test: imports point down, one foreign library has one room, files
//! stay small, every file says what it is for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Rooms from the ground up. A room may import rooms of a lower number only.
const LEVELS: &[(u8, &[&str])] = &[
    (0, &["cancel", "dirs", "hex", "scan", "signals", "task", "traits"]),
    (1, &["error", "event"]),
    (2, &["config", "gguf", "thinking", "sandbox", "repo_map"]),
    (3, &["prompt"]),
    (4, &["engine", "reply"]),
    (5, &["workspace"]),
    (6, &["complexity", "verify"]),
    (7, &["gym", "mcp", "model_store"]),
    (8, &["agent", "sft"]),
    (9, &["acp", "eval", "host", "serve", "tui"]),
    (10, &["cmd"]),
    (11, &["cli"]),
];

/// Imports against the order, each with the reason why it stands.
const IMPORT_EXCEPTIONS: &[(&str, &str, &str)] =
    &[("cmd", "cli", "the manual page and the completions are made from the command line's own definitions")];

/// A foreign library and the only places (path prefixes under `src/`) that may name it.
const FOREIGN: &[(&str, &[&str])] = &[
    ("llama_cpp_2", &["engine/", "model_store/"]),
    ("llama_cpp_sys_2", &["engine/", "model_store/"]),
    ("ratatui", &["tui/"]),
    ("crossterm", &["tui/"]),
    ("pulp", &["engine/sample.rs"]),
    ("gemm_f32", &["sft/core/"]),
    ("gemm_common", &["sft/core/"]),
    ("tree_sitter", &["repo_map/"]),
    ("landlock", &["sandbox/"]),
    ("seccompiler", &["sandbox/"]),
    ("directories", &["dirs.rs"]),
    ("signal_hook", &["signals.rs"]),
    ("ureq", &["model_store/"]),
    ("hyper", &["serve/", "mcp/http.rs"]),
    ("http_body_util", &["serve/", "mcp/http.rs"]),
    ("parquet", &["sft/data/", "sft/hand_over/rows.rs"]),
    ("minijinja", &["prompt.rs", "prompt/"]),
    ("clap", &["cli.rs", "cmd/", "main.rs", "bin/"]),
];

/// Files longer than this are split, whatever the reason.
const FILE_LINES_MAX: usize = 600;
const EVENT_VARIANTS_MAX: usize = 20;

struct Source {
    /// Relative to `src/`, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// The text up to the file's own test module.
    fn code(&self) -> &str {
        self.text.find("#[cfg(test)]\nmod ").map_or(&self.text, |at| &self.text[..at])
    }

    fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or("").trim_end_matches(".rs")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the source tree is readable") {
        let path = entry.expect("the source tree is readable").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|file| Source {
            path: file.strip_prefix(&src).expect("found under src").to_string_lossy().replace('\\', "/"),
            text: fs::read_to_string(&file).expect("sources are UTF-8"),
        })
        .collect()
}

fn check(problems: &[String]) {
    assert!(problems.is_empty(), "{} problem(s):\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn imports_point_down() {
    let level: BTreeMap<&str, u8> =
        LEVELS.iter().flat_map(|(level, rooms)| rooms.iter().map(move |room| (*room, *level))).collect();
    let import = Regex::new(r"\bcrate::(?:\{([^}]*)\}|([a-z_]+))").expect("a valid pattern");
    let mut problems = Vec::new();
    for source in sources() {
        let room = source.room();
        if matches!(room, "main" | "lib" | "bin") {
            continue;
        }
        let Some(own) = level.get(room) else {
            problems.push(format!("src/{}: the room `{room}` is not in the table of this test", source.path));
            continue;
        };
        for line in source.code().lines().filter(|line| !line.trim_start().starts_with("//")) {
            for found in import.captures_iter(line) {
                let names = found.get(1).or(found.get(2)).map_or("", |m| m.as_str());
                for name in names.split(',').map(|n| n.trim().split("::").next().unwrap_or("")) {
                    let Some(other) = level.get(name) else { continue };
                    let excepted = IMPORT_EXCEPTIONS.iter().any(|(from, to, _)| *from == room && *to == name);
                    if name != room && other >= own && !excepted {
                        problems.push(format!(
                            "src/{}: `{room}` may not import `{name}`: {}",
                            source.path,
                            line.trim()
                        ));
                    }
                }
            }
        }
    }
    check(&problems);
}

#[test]
fn a_foreign_library_has_one_room() {
    let mut problems = Vec::new();
    for source in sources() {
        for (library, rooms) in FOREIGN {
            if rooms.iter().any(|room| source.path.starts_with(room)) {
                continue;
            }
            let named = Regex::new(&format!(r"(?:^|[^:\w]){library}(_[a-z]+)?::")).expect("a valid pattern");
            for line in source.code().lines().filter(|line| !line.trim_start().starts_with("//")) {
                if named.is_match(line) {
                    problems.push(format!("src/{}: names `{library}`: {}", source.path, line.trim()));
                }
            }
        }
    }
    check(&problems);
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    let mut problems = Vec::new();
    for source in sources() {
        let lines = source.code().lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("src/{}: {lines} lines, more than {FILE_LINES_MAX}", source.path));
        }
        if !source.text.starts_with("//!") {
            problems.push(format!("src/{}: does not open with `//!`", source.path));
        }
        if source.path.ends_with("/mod.rs") && source.path.matches('/').count() == 1 {
            let front = source.text.lines().take_while(|line| line.starts_with("//!")).collect::<String>();
            if !front.contains("Not for") && !front.contains("not for") {
                problems.push(format!("src/{}: the front door does not say what it is not for", source.path));
            }
        }
    }
    check(&problems);
}

#[test]
fn the_event_enum_stays_small() {
    let text = fs::read_to_string(root().join("src/event.rs")).expect("the file exists");
    let body =
        text.split("pub enum Event {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("the enum exists");
    let variants = body
        .lines()
        .filter(|line| {
            line.starts_with("    ") && !line.starts_with("     ") && !line.trim_start().starts_with(['/', '}', '#'])
        })
        .count();
    assert!((5..=EVENT_VARIANTS_MAX).contains(&variants), "{variants} variants");
}

#[test]
fn the_changelog_knows_this_version() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).expect("the file exists");
    assert!(text.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn text_files_end_with_a_line_break_and_have_no_trailing_space() {
    let mut problems = Vec::new();
    for source in sources() {
        if !source.text.ends_with('\n') {
            problems.push(format!("src/{}: no line break at the end", source.path));
        }
        if source.text.lines().any(|line| line.ends_with([' ', '\t'])) {
            problems.push(format!("src/{}: trailing white space", source.path));
        }
    }
    check(&problems);
}
