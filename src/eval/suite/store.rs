//! A run's folder: what was asked for (`run.json`), one line a record as it ends (`records.jsonl`), the reports.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::record::{Outcome, Record};
use crate::error::{Exit, UserError};

/// What must be the same for two sets of records to be one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    pub model: String,
    pub model_name: String,
    pub adapter: Option<String>,
    pub words: String,
    /// Of a file of one's own words, its hash; empty for those that come with z1, and in runs from before it was kept.
    #[serde(default)]
    pub words_sha256: String,
    /// The file of problems, and what of it is asked; empty in runs from before it was kept.
    #[serde(default)]
    pub problems: String,
    /// Of that file; empty where the problems were generated, and in runs from before it was kept.
    #[serde(default)]
    pub problems_sha256: String,
    /// The suites of its rows; empty in runs from before it was kept.
    #[serde(default)]
    pub suite: String,
    /// Seconds that one program may run; `None` in runs from before it was kept.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// Tokens of a problem and its answer, 0 for what the model allows; `None` in runs from before it was kept.
    #[serde(default)]
    pub context: Option<u32>,
    pub hint: String,
    pub tokens_max: u32,
    pub temperature: f32,
    pub seed: u64,
}

impl Identity {
    /// What differs, in words.
    fn differences(&self, other: &Self) -> Vec<String> {
        let table = |one: &Self| serde_json::to_value(one).ok().and_then(|value| value.as_object().cloned());
        let (Some(mine), Some(theirs)) = (table(self), table(other)) else { return vec!["everything".to_owned()] };
        let differs = |(name, value): (&String, &serde_json::Value)| {
            let before = theirs.get(name)?;
            // What an earlier z1 did not write down contradicts nothing.
            let may_lack = ["words_sha256", "problems", "problems_sha256", "suite", "timeout", "context"];
            let lacks = (before.as_str() == Some("") || before.is_null()) && may_lack.contains(&name.as_str());
            (!lacks && before != value).then(|| format!("{name} was {before} and is {value}"))
        };
        mine.iter().filter_map(differs).collect()
    }
}

/// The folder, open for more.
#[derive(Debug)]
pub struct Store {
    pub folder: PathBuf,
    /// What an earlier run left, judged answers only: what no judge could run is asked again.
    pub known: Vec<Record>,
    file: File,
    /// Held as long as this run writes here.
    _lock: File,
}

const RECORDS: &str = "records.jsonl";
const IDENTITY: &str = "run.json";
const LOCK: &str = "run.lock";

impl Store {
    /// Opens a new folder, or goes on with an earlier one.
    ///
    /// # Errors
    /// The folder holds another run, or records and nobody asked to go on; it cannot be written.
    pub fn open(folder: &Path, identity: &Identity, resume: bool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = locked(folder)?;
        let path = folder.join(RECORDS);
        let before = if path.exists() { read_records(&path)?.0 } else { Vec::new() };
        if !before.is_empty() && !resume {
            let what = format!("{} holds {} records already", folder.display(), before.len());
            return Err(UserError::usage(what).hint("--resume goes on with them; or choose another --out").into());
        }
        let named = folder.join(IDENTITY);
        if !before.is_empty() && named.exists() {
            let text = std::fs::read_to_string(&named).with_context(|| format!("cannot read {}", named.display()))?;
            let earlier: Identity =
                serde_json::from_str(&text).with_context(|| format!("{} is damaged", named.display()))?;
            let differences = identity.differences(&earlier);
            if !differences.is_empty() {
                let what = format!("{} is another run: {}", folder.display(), differences.join("; "));
                return Err(UserError::usage(what).hint("choose another --out, or the settings of that run").into());
            }
        }
        write_whole(&named, &serde_json::to_string_pretty(identity)?)?;
        let known: Vec<Record> = before.into_iter().filter(|record| record.outcome != Outcome::NotJudged).collect();
        // Written anew, so that a line that was cut off, or is to be judged again, goes.
        let lines: Vec<String> = known.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        write_whole(&path, &lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
        let file =
            OpenOptions::new().append(true).open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self { folder: folder.to_owned(), known, file, _lock: lock })
    }

    /// Appends a record; it is in the file when this returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line).with_context(|| format!("cannot write into {}", self.folder.display()))
    }

    /// Writes one of the run's other files.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        write_whole(&self.folder.join(name), text)
    }
}

/// The folder's lock: two runs at once would each write the records anew.
fn locked(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    let lock = OpenOptions::new().create(true).append(true).open(&path);
    let lock = lock.with_context(|| format!("cannot write into {}", folder.display()))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let what = format!("another run is writing into {}", folder.display());
            Err(UserError::new(Exit::Error, what).hint("wait for its end, or choose another --out").into())
        }
        // A file system without locks holds nobody up.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(lock),
    }
}

/// Replaces a file at once.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut fresh =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
    fresh.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    fresh.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// The records of a folder or a file, and how many lines were none.
///
/// # Errors
/// There is no such file, or nothing in it is a record.
pub fn read_records(path: &Path) -> anyhow::Result<(Vec<Record>, usize)> {
    let path = if path.is_dir() { path.join(RECORDS) } else { path.to_owned() };
    let shown = path.display();
    let file =
        File::open(&path).map_err(|problem| UserError::new(Exit::Error, format!("cannot read {shown}: {problem}")))?;
    let (mut records, mut damaged) = (Vec::new(), 0);
    // By bytes: a last line may have been cut within a character.
    for line in BufReader::new(file).split(b'\n') {
        let line = line.with_context(|| format!("cannot read {shown}"))?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(record) => records.push(record),
            Err(_) => damaged += 1,
        }
    }
    if records.is_empty() && damaged > 1 {
        let error = UserError::new(Exit::Error, format!("{shown} holds no records of `z1 eval suite`"));
        return Err(error.hint("give the folder that --out named, or its records.jsonl").into());
    }
    Ok((records, damaged))
}
