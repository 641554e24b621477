//! The project as it stands: what a change may lay over it, and what its tests said before the change.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Component, Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::cancel::Cancel;
use crate::sandbox::{End, Sandbox};
use crate::task::{Edit, Tier, Verdict};
use crate::verify::VerifyOptions;

use super::runner::Runner;
use super::trial::{Ran, trial};
use super::{protect, scan};

/// Baselines kept.
const BASELINES_MAX: usize = 32;
/// Files looked at to see whether a project has changed.
const FILES_MAX: usize = 200_000;

/// A change as files, without what it may not touch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    /// Relative path and whole new content.
    pub(crate) writes: Vec<(PathBuf, String)>,
    pub(crate) deletes: Vec<PathBuf>,
    /// What a reader should look at.
    pub(crate) flags: Vec<String>,
}

impl Overlay {
    /// Resolves edits against the project. Edits of tests and of runners' settings are left out and flagged.
    pub(crate) fn of(root: &Path, edits: &[Edit]) -> Result<Self, String> {
        let mut files: Vec<(String, Option<String>)> = Vec::new();
        for edit in edits {
            let path = edit.path().to_owned();
            if !is_inside(&path) {
                return Err(format!("the change names `{path}`, which is not inside the project"));
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
        Ok(Self::protected(root, files))
    }

    fn protected(root: &Path, files: Vec<(String, Option<String>)>) -> Self {
        let mut overlay = Self::default();
        for (path, content) in files {
            let before = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
            if protect::decides(&path) {
                overlay
                    .flags
                    .push(format!("{path} decides about the tests and was judged as it stands in the project"));
                continue;
            }
            let Some(content) = content else {
                overlay.deletes.push(PathBuf::from(path));
                continue;
            };
            if protect::is_mixed(&path) && protect::steers_tests(&path, &before, &content) {
                overlay.flags.push(format!("{path} changes how the tests are run"));
            }
            overlay.flags.extend(scan::signs(&path, &before, &content));
            overlay.writes.push((PathBuf::from(path), content));
        }
        overlay
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.deletes.is_empty()
    }
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

/// What the tests say of the project without any change; remembered until a file of the project changes.
pub(crate) async fn baseline(
    root: &Path,
    runner: &Runner,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Result<Ran, Verdict> {
    let walked = root.to_owned();
    let state = tokio::task::spawn_blocking(move || state_of(&walked)).await.unwrap_or_default();
    let key = (root.to_owned(), runner.clone(), sandbox.tier(), state);
    let known = BASELINES.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let ran = trial(root, &Overlay::default(), runner, sandbox, options, cancel).await?;
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

/// A number that changes when any file does that version control does not ignore.
fn state_of(root: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
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
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &str, content: &str) -> Edit {
        Edit::Write { path: path.to_owned(), content: content.to_owned() }
    }

    #[test]
    fn tests_stay_as_they_are_and_paths_stay_inside() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let edits = [write("a.py", "x = 1"), write("tests/test_a.py", ""), write("conftest.py", "")];
        let overlay = Overlay::of(root.path(), &edits).expect("edits that fit");
        assert_eq!(overlay.writes, [(PathBuf::from("a.py"), "x = 1".to_owned())]);
        assert_eq!(overlay.flags.len(), 2);
        for path in ["../x", "/etc/passwd", ".git/hooks/pre-commit", ""] {
            assert!(Overlay::of(root.path(), &[write(path, "")]).is_err(), "{path}");
        }
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
        let overlay = Overlay::of(root.path(), &[replace("x = 1"), replace("y = 1")]).expect("edits that fit");
        assert_eq!(overlay.writes[0].1, "z\nz\n");
        assert!(Overlay::of(root.path(), &[replace("= 1")]).is_err_and(|why| why.contains("2 times")));
        assert!(Overlay::of(root.path(), &[replace("q")]).is_err());
    }

    #[test]
    fn a_project_s_state_changes_with_its_files() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let before = state_of(root.path());
        std::fs::write(root.path().join("a.py"), "x").expect("the file can be written");
        assert_ne!(before, state_of(root.path()));
    }
}
