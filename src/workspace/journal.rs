//! Accepted changes as steps that can be taken back.
//!
//! One JSON file a step, in the state folder, written before the project is touched. Undoing brings back
//! what was there; where the user went on editing, their edits are kept by a three-way merge or the undo is
//! refused naming the file.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::merge;
use super::plan::{FileState, Plan};
use super::tree::Tree;
use crate::error::{Exit, UserError};

/// Older steps are forgotten.
const STEPS_MAX: usize = 200;

/// One accepted change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Counts up within a project.
    pub number: u64,
    pub root: PathBuf,
    /// What it was for, in a few words.
    pub title: String,
    pub at_unix_s: u64,
    pub files: Vec<Touched>,
}

/// One file of a step; `None` stands for a file that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    pub path: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub executable: bool,
}

/// The steps of one project.
#[derive(Debug)]
pub struct Journal<'a> {
    tree: &'a Tree,
    folder: PathBuf,
}

impl<'a> Journal<'a> {
    /// The journal of a project below `state` (see [`crate::dirs`]).
    pub fn new(state: &Path, tree: &'a Tree) -> Self {
        let digest = Sha256::digest(tree.root().as_os_str().as_encoded_bytes());
        let name = crate::hex::hex(&digest[..8]);
        Self { tree, folder: state.join("undo").join(name) }
    }

    /// Writes a plan to the project as one step and returns it.
    ///
    /// # Errors
    /// Where the plan does not hold, a file changed since it was read, or the disk refuses. The project is
    /// then as it was.
    pub fn apply(&self, plan: &Plan, title: &str) -> anyhow::Result<Step> {
        if !plan.holds() {
            return Err(UserError::new(Exit::Refused, "the plan has refused edits; nothing was written").into());
        }
        let files: Vec<Touched> = plan
            .files
            .iter()
            .map(|file| Touched {
                path: file.path.clone(),
                before: file.before.clone(),
                after: file.after.clone(),
                executable: self.tree.is_executable(file.renamed_from.as_deref().unwrap_or(&file.path)),
            })
            .collect();
        self.expect_unchanged(&files)?;
        let step = Step {
            number: self.numbers()?.last().map_or(1, |last| last + 1),
            root: self.tree.root().to_owned(),
            title: title.to_owned(),
            at_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            files,
        };
        self.save(&step)?;
        let wanted: Vec<(&Touched, Option<String>)> = step.files.iter().map(|f| (f, f.after.clone())).collect();
        if let Err(problem) = self.write_all(&wanted) {
            self.forget(step.number);
            return Err(problem);
        }
        self.trim()?;
        Ok(step)
    }

    /// The last step, where there is one.
    pub fn last(&self) -> anyhow::Result<Option<Step>> {
        self.numbers()?.last().map(|number| self.load(*number)).transpose()
    }

    /// Every step, oldest first.
    pub fn steps(&self) -> anyhow::Result<Vec<Step>> {
        self.numbers()?.into_iter().map(|number| self.load(number)).collect()
    }

    /// Takes the last step back and returns it.
    ///
    /// # Errors
    /// Where there is no step, or a file has been edited since in the same place. Nothing is then changed.
    pub fn undo(&self) -> anyhow::Result<Step> {
        let step =
            self.last()?.ok_or_else(|| UserError::new(Exit::Error, "there is nothing to undo in this project"))?;
        let wanted: Vec<(&Touched, Option<String>)> =
            step.files.iter().map(|file| Ok((file, self.taken_back(file)?))).collect::<anyhow::Result<_>>()?;
        self.write_all(&wanted)?;
        self.forget(step.number);
        Ok(step)
    }

    /// What a file becomes when its change is taken back.
    fn taken_back(&self, file: &Touched) -> anyhow::Result<Option<String>> {
        let refuse = |why: &str| {
            UserError::new(Exit::Refused, format!("cannot undo: {} {why}", file.path))
                .hint("nothing was changed; put the file right by hand, or take your edit back first")
        };
        let now = match self.tree.read(&file.path) {
            FileState::Text(text) => Some(text),
            FileState::Missing => None,
            FileState::Unfit(_, why) => return Err(refuse(&format!("cannot be read any more ({why})")).into()),
        };
        if now == file.after || now == file.before {
            return Ok(file.before.clone());
        }
        match (&file.before, &file.after, &now) {
            (Some(before), Some(after), Some(now)) => merge::merged(after, now, before)
                .map(Some)
                .ok_or_else(|| refuse("was edited in the same place since").into()),
            (None, Some(_), Some(_)) => Err(refuse("was made by the change and edited since").into()),
            (_, _, None) => Err(refuse("was deleted since").into()),
            (_, None, Some(_)) => Err(refuse("was made anew since the change deleted it").into()),
        }
    }

    fn expect_unchanged(&self, files: &[Touched]) -> anyhow::Result<()> {
        for file in files {
            let now = match self.tree.read(&file.path) {
                FileState::Text(text) => Some(text),
                FileState::Missing => None,
                FileState::Unfit(_, why) => return Err(UserError::new(Exit::Refused, why).into()),
            };
            if now != file.before {
                let message = format!("{} changed while the change was being made; nothing was written", file.path);
                return Err(UserError::new(Exit::Refused, message).hint("run the task again").into());
            }
        }
        Ok(())
    }

    /// Writes all files, or none: after a failure the ones already written are put back.
    fn write_all(&self, wanted: &[(&Touched, Option<String>)]) -> anyhow::Result<()> {
        let mut done: Vec<(&Touched, Option<String>)> = Vec::new();
        for (file, content) in wanted {
            let now = match self.tree.read(&file.path) {
                FileState::Text(text) => Some(text),
                FileState::Missing | FileState::Unfit(..) => None,
            };
            if now == *content {
                continue;
            }
            if let Err(problem) = self.tree.write(&file.path, content.as_deref(), file.executable) {
                for (file, before) in done.into_iter().rev() {
                    // A second failure here leaves the journal's step as the record of what was there.
                    let _ = self.tree.write(&file.path, before.as_deref(), file.executable);
                }
                return Err(problem);
            }
            done.push((file, now));
        }
        Ok(())
    }

    fn numbers(&self) -> anyhow::Result<Vec<u64>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(problem) => return Err(problem).context("cannot read the undo journal"),
        };
        let mut numbers: Vec<u64> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.json"))
    }

    fn load(&self, number: u64) -> anyhow::Result<Step> {
        let path = self.path(number);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).map_err(|problem| {
            UserError::new(Exit::Error, format!("the undo journal's {} is damaged: {problem}", path.display()))
                .hint("delete that file to go on with the step before it")
                .into()
        })
    }

    fn save(&self, step: &Step) -> anyhow::Result<()> {
        let failed = || format!("cannot write the undo journal in {}", self.folder.display());
        std::fs::create_dir_all(&self.folder).with_context(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).with_context(failed)?;
        serde_json::to_writer(&mut file, step).with_context(failed)?;
        file.as_file().sync_all().with_context(failed)?;
        file.persist(self.path(step.number)).with_context(failed)?;
        Ok(())
    }

    fn forget(&self, number: u64) {
        // A step that stays behind is harmless: undoing it finds the files as they were.
        let _ = std::fs::remove_file(self.path(number));
    }

    fn trim(&self) -> anyhow::Result<()> {
        let numbers = self.numbers()?;
        numbers.iter().take(numbers.len().saturating_sub(STEPS_MAX)).for_each(|number| self.forget(*number));
        Ok(())
    }
}
