//! The project as it stands: what a change may lay over it, and what its tests said before the change.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::repo_map::inline_tests;
use crate::sandbox::End;
use crate::task::{Edit, Tier, Verdict};

use super::named;
use super::protect::{self, Role};
use super::runner::Runner;
use super::scan;
use super::settings;
use super::trial::{Ran, Stage, trial};
use crate::verify::syntax::Suspect;

/// Baselines kept.
const BASELINES_MAX: usize = 32;
/// Files looked at to see whether a project has changed.
const FILES_MAX: usize = 200_000;

/// Files to lay over the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Relative path and whole new content.
    pub(crate) writes: Vec<(PathBuf, String)>,
    pub(crate) deletes: Vec<PathBuf>,
}

impl Layer {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.deletes.is_empty()
    }

    fn put(&mut self, path: &str, content: Option<&str>) {
        match content {
            Some(content) => self.writes.push((path.into(), content.to_owned())),
            None => self.deletes.push(path.into()),
        }
    }
}

/// A change, twice: without what decides about the verdict, and as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    /// With the tests and the runners' settings as they stand in the project.
    pub(crate) stood: Layer,
    pub(crate) as_is: Layer,
    /// What is in one and not in the other.
    pub(crate) held_back: Vec<String>,
    /// What a reader should look at.
    pub(crate) flags: Vec<String>,
    /// Signs of tampering that leave the change unverified.
    pub(crate) strong: Vec<String>,
    /// Files that end the process with success: a strong sign where an exit code is all that is looked at.
    pub(crate) leaving: Vec<String>,
    /// Some of what is held back is so because the check runs it, and not by its name.
    pub(crate) holds_run: bool,
    /// Files that may not parse.
    pub(crate) suspects: Vec<Suspect>,
}

impl Overlay {
    /// Resolves edits against the project; `run` are the files that the check itself runs.
    ///
    /// # Errors
    /// A sentence, where an edit does not fit, or is of other people's code.
    pub(crate) fn of(root: &Path, edits: &[Edit], run: &BTreeSet<String>) -> Result<Self, String> {
        let mut files: Vec<(String, Option<String>)> = Vec::new();
        for edit in edits {
            let path = edit.path().to_owned();
            if !is_inside(&path) {
                return Err(format!("the change names `{path}`, which is not inside the project"));
            }
            if is_dependency(root, &path) {
                return Err(format!("the change edits `{path}`, which is installed and no part of the project"));
            }
            let known = files.iter().position(|(other, _)| *other == path);
            let current = match known {
                Some(at) => files[at].1.clone(),
                None => std::fs::read_to_string(root.join(&path)).ok(),
            };
            let content = apply(edit, current)?;
            match known {
                Some(at) => files[at].1 = content,
                None => files.push((path, content)),
            }
        }
        let mut overlay = Self::default();
        for (path, content) in files {
            let before = std::fs::read_to_string(root.join(&path)).ok();
            let suspect = content.as_deref().and_then(|after| Suspect::of(&path, before.as_deref(), after));
            overlay.suspects.extend(suspect);
            overlay.add(&path, &before.unwrap_or_default(), content.as_deref(), run.contains(&path));
        }
        Ok(overlay)
    }

    fn add(&mut self, path: &str, before: &str, content: Option<&str>, is_run: bool) {
        self.as_is.put(path, content);
        let after = content.unwrap_or("");
        let steers = match protect::role(path) {
            Role::Test | Role::Steering => true,
            _ if is_run => true,
            Role::Build if protect::only_lists_sources(before, after) => {
                self.flags.push(format!("{path} says what is built and was changed as well"));
                false
            }
            Role::Build => true,
            Role::Mixed => settings::steers_tests(path, before, after),
            Role::Code | Role::Dependency => false,
        };
        if steers {
            self.holds_run |= is_run && !protect::decides(path);
            self.held_back.push(path.to_owned());
            return;
        }
        let code = scan::Code::of(path, before, after);
        for sign in code.signs() {
            if sign.is_strong { self.strong.push(sign.text) } else { self.flags.push(sign.text) }
        }
        if code.leaves_with_success() {
            self.leaving.push(format!("{path} ends the process with success, and only exit codes were looked at"));
        }
        if inline_tests::examples_lost(path, before, after) {
            self.strong.push(format!("{path} changes examples that are tests"));
        }
        match inline_tests::with_old_tests(path, before, after) {
            Some(old_tests) => {
                self.held_back.push(format!("the tests in {path}"));
                self.stood.put(path, Some(&old_tests));
            }
            None => self.stood.put(path, content),
        }
    }
}

/// Whether a path lies in a folder of other people's code.
fn is_dependency(root: &Path, path: &str) -> bool {
    protect::role(path) == Role::Dependency
        || Path::new(path).ancestors().skip(1).any(|folder| {
            let folder = root.join(folder);
            let made = folder.join("CACHEDIR.TAG").is_file() && folder != root;
            let vendored = folder.ends_with("vendor")
                && ["modules.txt", "autoload.php"].iter().any(|name| folder.join(name).is_file());
            folder.join("pyvenv.cfg").is_file() || made || vendored
        })
}

fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(name) if name != ".git"))
}

fn apply(edit: &Edit, current: Option<String>) -> Result<Option<String>, String> {
    match edit {
        Edit::Write { content, .. } => Ok(Some(content.clone())),
        Edit::Delete { .. } => Ok(None),
        Edit::Replace { path, search, replace } => {
            let current = current.ok_or_else(|| format!("the change edits `{path}`, which is not there"))?;
            match current.matches(search.as_str()).count() {
                1 => Ok(Some(current.replacen(search.as_str(), replace, 1))),
                0 => Err(format!("the change does not fit `{path}`: the text to replace is not there")),
                count => Err(format!("the change does not fit `{path}`: the text to replace is there {count} times")),
            }
        }
    }
}

type Key = (PathBuf, Runner, Tier, u64);

static BASELINES: LazyLock<Mutex<HashMap<Key, Ran>>> = LazyLock::new(Mutex::default);

/// The project as it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// A number that changes when any file does that version control does not ignore.
    state: u64,
    /// Files that decide and that no run has a reason to write to, relative.
    pub(crate) protected: Vec<PathBuf>,
    /// Files that the check itself runs, relative; some may not be there yet.
    pub(crate) run: BTreeSet<String>,
}

/// Looks through the project that is checked with this command.
pub(crate) async fn standing(root: &Path, command: &str) -> Standing {
    let (root, command) = (root.to_owned(), command.to_owned());
    let look = move || {
        let run = run_by(&root, &command);
        let standing = standing_of(&root, &run);
        Standing { run, ..standing }
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// The files that a check runs by itself.
fn run_by(root: &Path, command: &str) -> BTreeSet<String> {
    let command = match root.to_str() {
        Some(root) => command.replace(&format!("{root}/"), ""),
        None => command.to_owned(),
    };
    let folders = |path: &str| -> Vec<String> {
        let entries = std::fs::read_dir(root.join(path)).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.path().is_dir());
        folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    named::by_check(&command, &named::Files { read: &|path| text_of(root, path), folders: &folders })
}

/// The text of a file, where it is one of a size that people write.
fn text_of(root: &Path, path: &str) -> Option<String> {
    const BYTES_MAX: u64 = 1 << 20;
    let path = root.join(path);
    let is_small = std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= BYTES_MAX);
    is_small.then(|| std::fs::read_to_string(&path).ok())?
}

/// What the tests say of the project without any change; remembered until a file of the project changes.
///
/// # Errors
/// The verdict, where nothing could be run.
pub(crate) async fn baseline(stage: &Stage<'_>) -> Result<Ran, Verdict> {
    let key = (stage.root.to_owned(), stage.runner.clone(), stage.sandbox.tier(), stage.standing.state);
    let known = BASELINES.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let ran = trial(stage, &Layer::default(), None).await?;
    if let End::SandboxError { step, message } = &ran.end {
        return Err(Verdict::SandboxFailed { step: step.clone(), why: message.clone() });
    }
    let mut all = BASELINES.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= BASELINES_MAX {
        all.clear();
    }
    all.insert(key, ran.clone());
    Ok(ran)
}

/// Whether a file that the check runs is one that people write, and not made by a build.
fn is_written(root: &Path, path: &str) -> bool {
    let is_made = |folder: &str| matches!(folder, "dist" | "build" | "out" | "target" | "bin" | "obj" | "_build");
    !path.split('/').rev().skip(1).any(is_made) && text_of(root, path).is_some()
}

fn standing_of(root: &Path, run: &BTreeSet<String>) -> Standing {
    /// Files that are shown read-only one by one.
    const PROTECTED_MAX: usize = 400;
    let mut hasher = DefaultHasher::new();
    let mut protected = Vec::new();
    let walk = ignore::WalkBuilder::new(root)
        .hidden(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_name(Ord::cmp)
        .build();
    for entry in walk.flatten().take(FILES_MAX) {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_file() {
            entry.path().hash(&mut hasher);
            metadata.len().hash(&mut hasher);
            metadata.modified().ok().hash(&mut hasher);
            let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let decides = |path: &str| protect::is_protected(path) || (run.contains(path) && is_written(root, path));
            if protected.len() < PROTECTED_MAX && relative.to_str().is_some_and(decides) {
                protected.push(relative.to_owned());
            }
        }
    }
    Standing { state: hasher.finish(), protected, run: BTreeSet::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &str, content: &str) -> Edit {
        Edit::Write { path: path.to_owned(), content: content.to_owned() }
    }

    fn of(root: &Path, edits: &[Edit]) -> Result<Overlay, String> {
        Overlay::of(root, edits, &BTreeSet::new())
    }

    #[test]
    fn what_the_check_runs_is_held_back() {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(root.path().join("Makefile"), "test:\n\t./scripts/all.sh\n").expect("files can be written");
        let run = run_by(root.path(), "make test");
        let edits = [write("scripts/all.sh", "exit 0"), write("lib.sh", "f() { :; }")];
        let overlay = Overlay::of(root.path(), &edits, &run).expect("edits that fit");
        assert_eq!((overlay.held_back.len(), overlay.stood.writes.len()), (1, 1), "{overlay:?}");
        assert!(overlay.leaving.is_empty());
        let named = format!("bash {}/scripts/all.sh", root.path().display());
        assert_eq!(run_by(root.path(), &named), run, "by its absolute path");
    }

    #[test]
    fn tests_stay_as_they_are_and_paths_stay_inside() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let edits = [write("a.py", "x = 1"), write("tests/test_a.py", ""), write("conftest.py", "")];
        let overlay = of(root.path(), &edits).expect("edits that fit");
        assert_eq!(overlay.stood.writes, [(PathBuf::from("a.py"), "x = 1".to_owned())]);
        assert_eq!((overlay.as_is.writes.len(), overlay.held_back.len()), (3, 2));
        for path in ["../x", "/etc/passwd", ".git/hooks/pre-commit", "", ".venv/lib/a.py", "web/node_modules/jest/a.js"]
        {
            assert!(of(root.path(), &[write(path, "")]).is_err(), "{path}");
        }
        std::fs::create_dir(root.path().join("myenv")).expect("folders can be made");
        std::fs::write(root.path().join("myenv/pyvenv.cfg"), "").expect("files can be written");
        assert!(of(root.path(), &[write("myenv/lib/x.py", "")]).is_err());
    }

    #[test]
    fn tests_within_code_are_held_back_and_the_code_is_not() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let old =
            "pub fn one() -> i32 { 2 }\n#[cfg(test)]\nmod tests { #[test] fn t() { assert_eq!(super::one(), 1); } }\n";
        std::fs::write(root.path().join("lib.rs"), old).expect("files can be written");
        let new = old.replace("{ 2 }", "{ 3 }").replace(", 1)", ", 3)");
        let overlay = of(root.path(), &[write("lib.rs", &new)]).expect("an edit that fits");
        assert_eq!(overlay.stood.writes[0].1, old.replace("{ 2 }", "{ 3 }"));
        assert_eq!((overlay.as_is.writes[0].1.as_str(), overlay.held_back.len()), (new.as_str(), 1));
    }

    #[test]
    fn a_replacement_must_fit_once() {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(root.path().join("a.py"), "x = 1\ny = 1\n").expect("the file can be written");
        let replace = |search: &str| Edit::Replace {
            path: "a.py".to_owned(),
            search: search.to_owned(),
            replace: "z".to_owned(),
        };
        let overlay = of(root.path(), &[replace("x = 1"), replace("y = 1")]).expect("edits that fit");
        assert_eq!(overlay.stood.writes[0].1, "z\nz\n");
        assert!(of(root.path(), &[replace("= 1")]).is_err_and(|why| why.contains("2 times")));
        assert!(of(root.path(), &[replace("q")]).is_err());
    }

    #[test]
    fn a_project_s_state_changes_with_its_files() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let run = BTreeSet::from(["all.sh".to_owned(), "dist/all.js".to_owned(), "app".to_owned()]);
        let before = standing_of(root.path(), &run).state;
        std::fs::write(root.path().join("test_a.py"), "x").expect("the file can be written");
        std::fs::create_dir(root.path().join("dist")).expect("folders can be made");
        for (path, text) in [("all.sh", &b"x"[..]), ("dist/all.js", b"x"), ("app", b"\xff\xfe")] {
            std::fs::write(root.path().join(path), text).expect("files can be written");
        }
        let after = standing_of(root.path(), &run);
        assert_ne!(before, after.state);
        assert_eq!(after.protected, ["all.sh", "test_a.py"].map(PathBuf::from), "and not what is built");
    }
}
