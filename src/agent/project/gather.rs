//! What of the project might belong into the prompt, each with points and a reason. Reads, decides nothing.
//!
//! Not for: fitting it into the window (`context.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::grep::{self, Hit};
use super::words::{Named, Names, named};
use crate::repo_map::{self, Bounds, Focus, RepoMap};
use crate::task::Verdict;
use crate::verify;
use crate::workspace::journal::Journal;
use crate::workspace::plan::FileState;
use crate::workspace::tree::Tree;

/// Reading the repository for its map takes no longer than this.
const MAP_TIME_MAX: Duration = Duration::from_secs(20);
/// Identifiers that are looked for.
const IDENTIFIERS_MAX: usize = 12;
/// Fewer points than this do not bring a file into the prompt, unless nothing has more.
pub(super) const POINTS_MIN: u32 = 100;
/// Words of requests that are names in code by chance.
const COMMON: [&str; 8] = ["tests", "build", "check", "error", "write", "value", "print", "should"];
/// Rules are read from the first of these that a folder has; the one in the nearest folder comes first.
const RULES: [&str; 6] = ["AGENTS.md", "agents.md", "Agents.md", "AGENT.md", "CLAUDE.md", "claude.md"];
/// Longer rules are no rules for a small model; what is shown of them is cut further to their share.
const RULES_BYTES_MAX: u64 = 256 << 10;

/// What is looked at, by whom.
pub(super) struct Search<'a> {
    pub(super) tree: &'a Tree,
    /// Folder of undo journals and the like.
    pub(super) state: &'a Path,
    pub(super) cache: Option<PathBuf>,
    pub(super) prompt: &'a str,
    /// What the check said before any change, where it failed.
    pub(super) failing: Option<&'a Verdict>,
    pub(super) map_tokens_max: usize,
}

/// A file that may be worth showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Worth {
    pub(super) path: String,
    pub(super) points: u32,
    pub(super) why: &'static str,
    /// The task names it.
    pub(super) named: bool,
    /// Lines (from 1) that matter, where the file cannot be shown whole.
    pub(super) lines: BTreeSet<u32>,
    pub(super) is_test: bool,
}

/// Everything found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Best first.
    pub(super) files: Vec<Worth>,
    pub(super) map: RepoMap,
    /// Path and text, nearest first.
    pub(super) rules: Vec<(String, String)>,
    pub(super) hits: Vec<Hit>,
    /// Files that the task names though the project's list has them not: ignored ones.
    pub(super) unlisted: Vec<String>,
    /// Sentences for the user.
    pub(super) notes: Vec<String>,
}

/// Looks through the project. Takes as long as the project is large; bounded.
pub(super) fn gather(search: &Search<'_>, count: &dyn Fn(&str) -> usize) -> Gathered {
    let listing = search.tree.listing();
    let names = Names::new(&listing.paths);
    let mut asked = named(search.prompt, &names);
    // Who names an ignored file means it.
    let (unlisted, unknown): (Vec<String>, Vec<String>) =
        asked.unknown.drain(..).partition(|name| matches!(search.tree.read(name), FileState::Text(_)));
    asked.unknown = unknown;
    asked.files.splice(0..0, unlisted.iter().cloned());
    let shown = search.failing.map(verify::feedback).unwrap_or_default();
    let failed = named(&format!("{shown}\n{}", tests_named(search.failing)), &names);
    let mut notes = Vec::new();
    if listing.cut {
        notes.push(format!("only the first {} files of the project were looked at", listing.paths.len()));
    }
    notes.extend(asked.unknown.iter().map(|name| format!("@{name} is no file of the project")));

    let map = map_of(search, &asked, &failed, count);
    notes.extend(map.notes.iter().cloned());
    let identifiers: Vec<String> =
        asked.identifiers.iter().chain(&failed.identifiers).take(IDENTIFIERS_MAX).cloned().collect();
    let hits = grep::find(search.tree.root(), &listing.paths, &identifiers);
    let files = weigh(search, &asked, &failed, &map, &hits);
    let (rules, said) =
        rules(search.tree, files.iter().filter(|worth| worth.points >= POINTS_MIN).map(|worth| worth.path.as_str()));
    notes.extend(said);
    Gathered { files, map, rules, hits, unlisted, notes }
}

fn map_of(search: &Search<'_>, asked: &Named, failed: &Named, count: &dyn Fn(&str) -> usize) -> RepoMap {
    let focus = Focus {
        files: asked.files.iter().chain(&failed.files).cloned().collect(),
        words: asked.words.iter().chain(&asked.identifiers).chain(&failed.identifiers).cloned().collect(),
    };
    let bounds = Bounds::new(search.map_tokens_max, MAP_TIME_MAX, search.cache.clone());
    repo_map::build(search.tree.root(), &focus, &bounds, count)
}

/// The points of every file that has any, best first.
fn weigh(search: &Search<'_>, asked: &Named, failed: &Named, map: &RepoMap, hits: &[Hit]) -> Vec<Worth> {
    let mut all: BTreeMap<String, Worth> = BTreeMap::new();
    let mut add = |path: &str, points: u32, why: &'static str, line: Option<u32>| {
        let worth = all.entry(path.to_owned()).or_insert_with(|| Worth {
            path: path.to_owned(),
            points: 0,
            why,
            named: asked.files.iter().any(|named| named == path),
            lines: BTreeSet::new(),
            is_test: verify::decides_about_tests(path),
        });
        if points > worth.points {
            (worth.points, worth.why) = (points, why);
        } else {
            // A second reason counts a little, so that of two files the one with more reasons comes first.
            worth.points += points / 50;
        }
        worth.lines.extend(line);
    };
    for path in &asked.files {
        add(path, 1000, "named in the task", None);
    }
    for (path, line) in frames(search.failing) {
        let points = if verify::decides_about_tests(&path) { 300 } else { 600 };
        add(&path, points, "in the failing test's trace", Some(line));
    }
    for path in &failed.files {
        add(path, 300, "the failing test", None);
    }
    for place in &map.defined {
        let (points, why) = if asked.identifiers.contains(&place.word) {
            (500, "defines a name of the task")
        } else if failed.identifiers.contains(&place.word) {
            (400, "defines what the failing test uses")
        } else if place.word.len() > 4 && !COMMON.contains(&place.word.as_str()) {
            (120, "defines a word of the task")
        } else {
            continue;
        };
        // A test that bears the name is not what is to be changed.
        let points = if verify::decides_about_tests(&place.path) { points.min(150) } else { points };
        add(&place.path, points, why, Some(place.line));
    }
    for path in recent(search) {
        add(&path, 110, "changed by the last task", None);
    }
    for hit in hits {
        add(&hit.path, 60, "mentions a name of the task", Some(hit.line));
    }
    for (rank, path) in map.ranking.iter().take(10).enumerate() {
        add(path, 40 - 3 * rank as u32, "high in the map", None);
    }
    let mut files: Vec<Worth> = all.into_values().collect();
    files.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.path.cmp(&b.path)));
    files
}

/// Files and lines in the failures' frames.
fn frames(failing: Option<&Verdict>) -> Vec<(String, u32)> {
    let failures = failing.and_then(Verdict::report).map(|report| report.failures.as_slice()).unwrap_or_default();
    let place = |frame: &String| {
        let (path, rest) = frame.split_once(':')?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some((path.to_owned(), digits.parse().ok()?))
    };
    failures.iter().filter_map(|failure| place(failure.frame.as_ref()?)).collect()
}

/// The test files that ids of failed tests name: `tests.test_a.Case.test_b` and `tests/test_a.py::test_b`.
fn tests_named(failing: Option<&Verdict>) -> String {
    let failures = failing.and_then(Verdict::report).map(|report| report.failures.as_slice()).unwrap_or_default();
    let mut out = String::new();
    for failure in failures {
        let id = failure.name.split([' ', ':']).next().unwrap_or("");
        let parts: Vec<&str> = id.split('.').collect();
        for end in 1..=parts.len() {
            out.push_str(&format!("{}.py\n", parts[..end].join("/")));
        }
    }
    out
}

fn recent(search: &Search<'_>) -> Vec<String> {
    let journal = Journal::new(search.state, search.tree);
    let last = journal.last().ok().flatten();
    last.map(|step| step.files.into_iter().map(|file| file.path).collect()).unwrap_or_default()
}

/// The rules that hold for these files: nearest folder first, the root last.
fn rules<'a>(tree: &Tree, paths: impl Iterator<Item = &'a str>) -> (Vec<(String, String)>, Vec<String>) {
    let (mut rules, mut notes) = (Vec::new(), Vec::new());
    let mut folders: BTreeSet<String> = BTreeSet::from([String::new()]);
    for path in paths {
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            folders.insert(format!("{above}/"));
            folder = above;
        }
    }
    let mut folders: Vec<String> = folders.into_iter().collect();
    folders.sort_by(|a, b| b.matches('/').count().cmp(&a.matches('/').count()).then_with(|| a.cmp(b)));
    for folder in folders {
        let found = RULES.iter().filter_map(|name| {
            let path = format!("{folder}{name}");
            tree.root().join(&path).symlink_metadata().is_ok().then_some(path)
        });
        let mut first: Option<String> = None;
        for path in found {
            match &first {
                // On file systems that do not tell them apart two spellings are one file.
                Some(first) if first.eq_ignore_ascii_case(&path) => {}
                Some(first) => notes.push(format!("{path} is not read: {first} goes first")),
                None => match rules_text(tree, &path) {
                    Ok(text) if text.trim().is_empty() => first = Some(path),
                    Ok(text) => {
                        rules.push((path.clone(), text));
                        first = Some(path);
                    }
                    Err(why) => notes.push(format!("{path} is not read: {why}")),
                },
            }
        }
    }
    (rules, notes)
}

/// The text of a file of rules, also through a link that stays in the project.
fn rules_text(tree: &Tree, path: &str) -> Result<String, String> {
    if let FileState::Text(text) = tree.read(path) {
        return Ok(text);
    }
    let place = tree.root().join(path).canonicalize().map_err(|problem| problem.to_string())?;
    let root = tree.root().canonicalize().map_err(|problem| problem.to_string())?;
    if !place.starts_with(&root) {
        return Err("it is a link that leads out of the project".to_owned());
    }
    let size = place.metadata().map_err(|problem| problem.to_string())?.len();
    if size > RULES_BYTES_MAX {
        return Err(format!("it has {size} bytes"));
    }
    std::fs::read_to_string(&place).map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo_map::estimate;
    use crate::task::{Failure, FailureKind, Report, Tier};

    fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = Tree::open(root.path()).unwrap();
        (root, tree)
    }

    fn failing(name: &str, frame: &str) -> Verdict {
        let failure = Failure {
            kind: FailureKind::WrongAnswer,
            name: name.into(),
            got: "AssertionError: 2 != 3".into(),
            expected: None,
            frame: Some(frame.into()),
        };
        Verdict::Failed(Report {
            command: "python -m unittest".into(),
            passed: 1,
            failed: 1,
            failures: vec![failure],
            tier: Tier::F,
            wall_ms: 1,
            flags: vec![],
        })
    }

    const FILES: &[(&str, &str)] = &[
        ("pkg/rows.py", "def total(rows):\n    return sum(rows)\n"),
        ("pkg/other.py", "def circle(r):\n    return r\n"),
        (
            "tests/test_rows.py",
            "from pkg.rows import total\n\n\nclass T:\n    def test_total(self):\n        self.assertEqual(total([1, 2]), 3)\n",
        ),
        ("AGENTS.md", "Use tabs.\n"),
        ("pkg/AGENTS.md", "Use spaces.\n"),
    ];

    #[test]
    fn a_failing_test_leads_to_what_it_tests() {
        let (root, tree) = project(FILES);
        let verdict =
            failing("tests.test_rows.T.test_total", "tests/test_rows.py:6  self.assertEqual(total([1, 2]), 3)");
        let search = Search {
            tree: &tree,
            state: root.path(),
            cache: None,
            prompt: "make the tests pass",
            failing: Some(&verdict),
            map_tokens_max: 200,
        };
        let gathered = gather(&search, &estimate);
        let order: Vec<&str> = gathered.files.iter().map(|worth| worth.path.as_str()).take(2).collect();
        assert_eq!(order, ["pkg/rows.py", "tests/test_rows.py"], "{:?}", gathered.files);
        assert!(gathered.files[1].is_test && gathered.files[1].lines.contains(&6));
        let rules: Vec<&str> = gathered.rules.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(rules, ["pkg/AGENTS.md", "AGENTS.md"]);
    }

    #[test]
    #[cfg(unix)]
    fn rules_are_read_in_other_spellings_and_through_links_and_what_is_not_read_is_said() {
        let (_root, tree) =
            project(&[("pkg/a.py", "x = 1\n"), ("CLAUDE.md", "Use tabs.\n"), ("docs/rules.md", "Use spaces.\n")]);
        let of = |path: &'static str| rules(&tree, std::iter::once(path));
        assert_eq!(of("pkg/a.py").0, [("CLAUDE.md".to_owned(), "Use tabs.\n".to_owned())]);
        std::os::unix::fs::symlink("docs/rules.md", tree.root().join("AGENTS.md")).unwrap();
        let (found, said) = of("pkg/a.py");
        assert_eq!(found, [("AGENTS.md".to_owned(), "Use spaces.\n".to_owned())]);
        assert_eq!(said, ["CLAUDE.md is not read: AGENTS.md goes first"]);
        std::fs::remove_file(tree.root().join("AGENTS.md")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", tree.root().join("AGENTS.md")).unwrap();
        let (found, said) = of("pkg/a.py");
        assert_eq!(found, [("CLAUDE.md".to_owned(), "Use tabs.\n".to_owned())]);
        assert!(said.len() == 1 && said[0].contains("leads out of the project"), "{said:?}");
    }

    #[test]
    fn an_ignored_file_can_be_named() {
        let (root, tree) = project(&[("a.py", "x = 1\n"), (".env", "KEY=1\n"), (".gitignore", ".env\n")]);
        std::fs::create_dir(root.path().join(".git")).unwrap();
        let search = Search {
            tree: &tree,
            state: root.path(),
            cache: None,
            prompt: "what is in @.env",
            failing: None,
            map_tokens_max: 0,
        };
        let gathered = gather(&search, &estimate);
        assert_eq!(gathered.files[0].path, ".env", "{:?}", gathered.notes);
    }

    #[test]
    fn a_named_file_comes_first_and_an_unknown_one_is_said() {
        let (root, tree) = project(FILES);
        let search = Search {
            tree: &tree,
            state: root.path(),
            cache: None,
            prompt: "in @other.py rename `circle`, as @missing.py does",
            failing: None,
            map_tokens_max: 200,
        };
        let gathered = gather(&search, &estimate);
        assert_eq!((gathered.files[0].path.as_str(), gathered.files[0].why), ("pkg/other.py", "named in the task"));
        assert!(gathered.notes.iter().any(|note| note.contains("missing.py")));
    }
}
