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
use super::plan::{FileState, Plan, Planned};
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
    /// Its permission bits before the step; nothing where it was not there.
    #[serde(default)]
    pub mode_before: Option<u32>,
    /// Its permission bits after the step, where they are not those before.
    #[serde(default)]
    pub mode_after: Option<u32>,
}

/// What a file is to become.
struct Wanted<'s> {
    file: &'s Touched,
    content: Option<String>,
    mode: Option<u32>,
}

impl<'s> Wanted<'s> {
    fn after(file: &'s Touched) -> Self {
        Self { file, content: file.after.clone(), mode: file.mode_after }
    }

    /// A file that the step changed the mode of, or took away, gets its mode back.
    fn before(file: &'s Touched, content: Option<String>) -> Self {
        let mode = file.mode_before.filter(|_| file.mode_after.is_some() || file.after.is_none());
        Self { file, content, mode }
    }
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
        let _lock = self.lock()?;
        self.recovered()?;
        let files: Vec<Touched> = plan.files.iter().map(|file| self.touched(plan, file)).collect();
        self.expect_unchanged(&files)?;
        let step = Step {
            number: self.numbers()?.last().map_or(1, |last| last + 1),
            root: self.tree.root().to_owned(),
            title: title.to_owned(),
            at_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            files,
        };
        // Under another name until all of it is written, so that a step that was cut off is known as one.
        self.save(&step, &self.unfinished_path(step.number))?;
        let wanted: Vec<Wanted<'_>> = step.files.iter().map(Wanted::after).collect();
        if let Err(problem) = self.write_all(&wanted) {
            let _ = std::fs::remove_file(self.unfinished_path(step.number));
            return Err(problem);
        }
        std::fs::rename(self.unfinished_path(step.number), self.path(step.number))
            .context("cannot write the undo journal")?;
        self.trim()?;
        Ok(step)
    }

    /// One file of a plan, with its modes.
    fn touched(&self, plan: &Plan, file: &Planned) -> Touched {
        const EXECUTABLE: u32 = 0o111;
        let own = self.tree.mode(&file.path);
        let from = file.renamed_from.as_deref().and_then(|path| self.tree.mode(path));
        let base = own.or(from);
        let wanted = plan.modes.get(&file.path).map(|executable| match (base, executable) {
            (Some(mode), true) => mode | (mode & 0o444) >> 2,
            (Some(mode), false) => mode & !EXECUTABLE,
            (None, true) => 0o755,
            (None, false) => 0o644,
        });
        let mode_after = wanted.or(from).filter(|mode| Some(*mode) != own);
        let (path, before, after) = (file.path.clone(), file.before.clone(), file.after.clone());
        Touched { path, before, after, mode_before: own, mode_after }
    }

    /// Brings a step to its end that a program began and did not live to finish: it becomes one that can be undone.
    /// Returns what to tell the user. To be called at a start.
    ///
    /// # Errors
    /// Where the journal cannot be read or written.
    pub fn recover(&self) -> anyhow::Result<Option<String>> {
        if self.unfinished()?.is_empty() {
            return Ok(None);
        }
        let _lock = self.lock()?;
        self.recovered()
    }

    fn recovered(&self) -> anyhow::Result<Option<String>> {
        let mut told = None;
        for number in self.unfinished()? {
            let path = self.unfinished_path(number);
            let step = Self::load_from(&path)?;
            step.files.iter().for_each(|file| self.tree.sweep(&file.path));
            let is_now = |file: &Touched, text: &Option<String>| match self.tree.read(&file.path) {
                FileState::Text(now) => Some(now) == *text,
                FileState::Missing => text.is_none(),
                FileState::Unfit(..) => false,
            };
            let written = step.files.iter().filter(|file| !is_now(file, &file.before)).count();
            if written == 0 {
                std::fs::remove_file(&path).context("cannot write the undo journal")?;
                told = Some(format!("the change \"{}\" was cut off before anything was written", step.title));
                continue;
            }
            std::fs::rename(&path, self.path(number)).context("cannot write the undo journal")?;
            let (all, title) = (step.files.len(), &step.title);
            told = Some(format!(
                "the change \"{title}\" was cut off while it was being written ({written} of {all} files); `z1 undo` takes it back"
            ));
        }
        Ok(told)
    }

    fn unfinished(&self) -> anyhow::Result<Vec<u64>> {
        self.numbered(".unfinished")
    }

    fn unfinished_path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.unfinished"))
    }

    /// Keeps other programs from writing a step at the same time; waits for one that does.
    fn lock(&self) -> anyhow::Result<std::fs::File> {
        let failed = || format!("cannot write the undo journal in {}", self.folder.display());
        std::fs::create_dir_all(&self.folder).with_context(failed)?;
        let file = std::fs::File::create(self.folder.join("lock")).with_context(failed)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).with_context(failed)?;
        Ok(file)
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
        let _lock = self.lock()?;
        self.recovered()?;
        let step =
            self.last()?.ok_or_else(|| UserError::new(Exit::Error, "there is nothing to undo in this project"))?;
        let wanted: Vec<Wanted<'_>> = step
            .files
            .iter()
            .map(|file| Ok(Wanted::before(file, self.taken_back(file)?)))
            .collect::<anyhow::Result<_>>()?;
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
    fn write_all(&self, wanted: &[Wanted<'_>]) -> anyhow::Result<()> {
        let mut done: Vec<Wanted<'_>> = Vec::new();
        for one in wanted {
            let path = &one.file.path;
            let now = match self.tree.read(path) {
                FileState::Text(text) => Some(text),
                FileState::Missing | FileState::Unfit(..) => None,
            };
            let mode = self.tree.mode(path);
            if let Err(problem) = self.write_one(one, now.as_ref()) {
                for one in done.into_iter().rev() {
                    // A second failure here leaves the journal's step as the record of what was there.
                    let _ = self.tree.write(&one.file.path, one.content.as_deref(), one.mode);
                }
                return Err(problem);
            }
            done.push(Wanted { file: one.file, content: now, mode });
        }
        Ok(())
    }

    fn write_one(&self, one: &Wanted<'_>, now: Option<&String>) -> anyhow::Result<()> {
        let path = &one.file.path;
        if now != one.content.as_ref() {
            return self.tree.write(path, one.content.as_deref(), one.mode);
        }
        match one.mode.filter(|mode| now.is_some() && self.tree.mode(path) != Some(*mode)) {
            Some(mode) => self.tree.set_mode(path, mode),
            None => Ok(()),
        }
    }

    fn numbers(&self) -> anyhow::Result<Vec<u64>> {
        self.numbered(".json")
    }

    fn numbered(&self, end: &str) -> anyhow::Result<Vec<u64>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(problem) => return Err(problem).context("cannot read the undo journal"),
        };
        let mut numbers: Vec<u64> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.strip_suffix(end)?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.json"))
    }

    fn load(&self, number: u64) -> anyhow::Result<Step> {
        Self::load_from(&self.path(number))
    }

    fn load_from(path: &Path) -> anyhow::Result<Step> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).map_err(|problem| {
            UserError::new(Exit::Error, format!("the undo journal's {} is damaged: {problem}", path.display()))
                .hint("delete that file to go on with the step before it")
                .into()
        })
    }

    fn save(&self, step: &Step, path: &Path) -> anyhow::Result<()> {
        let failed = || format!("cannot write the undo journal in {}", self.folder.display());
        std::fs::create_dir_all(&self.folder).with_context(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).with_context(failed)?;
        serde_json::to_writer(&mut file, step).with_context(failed)?;
        file.as_file().sync_all().with_context(failed)?;
        file.persist(path).with_context(failed)?;
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
