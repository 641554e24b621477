//! The record of a run: one JSON object a line, written as it happens, so that a kill loses nothing.
//!
//! A file that cannot be written is a warning, never a failed task. Format version [`VERSION`]; old lines
//! stay readable: fields are only ever added.
//!
//! Not for: continuing a conversation (that is a session) or showing it (that is `z1 log`).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};

use super::Agent;
use crate::event::Event;
use crate::task::{Candidate, Task, Trajectory, Verdict};

/// Version of the lines' format.
pub const VERSION: u32 = 1;
/// Streamed text is written when this much has come together, or a line ends.
const TEXT_BYTES: usize = 256;

/// An open transcript; without a file it records nothing.
#[derive(Debug)]
pub struct Transcript {
    file: Option<File>,
    path: Option<PathBuf>,
    started: Instant,
    /// Text of each candidate that is not written yet.
    text: Vec<String>,
    warning: Option<String>,
}

impl Transcript {
    /// A transcript that records nothing.
    pub fn none() -> Self {
        Self { file: None, path: None, started: Instant::now(), text: Vec::new(), warning: None }
    }

    /// Opens `ID.jsonl` in a folder, which is made where it is missing. What fails is kept as a warning.
    pub fn create(folder: &Path, id: &str) -> Self {
        let path = folder.join(format!("{id}.jsonl"));
        let opened =
            std::fs::create_dir_all(folder).and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
        let mut transcript = Self::none();
        match opened {
            Ok(file) => (transcript.file, transcript.path) = (Some(file), Some(path)),
            Err(problem) => {
                transcript.warning = Some(format!("the transcript cannot be kept: {}: {problem}", path.display()));
            }
        }
        transcript
    }

    /// The record of a task that never began, because there was no usable model or somebody had no patience;
    /// one that did begin has its record already.
    pub fn keep_unbegun(folder: &Path, task: &Task, why: &str) {
        if folder.join(format!("{}.jsonl", task.id)).exists() {
            return;
        }
        let mut transcript = Self::create(folder, &task.id);
        transcript.write("task", |line| first_fields(line, task));
        transcript.failed(why);
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What went wrong with the file, once.
    pub fn take_warning(&mut self) -> Option<String> {
        self.warning.take()
    }

    /// The first line: the task, the model, the words it was spoken to with.
    pub(super) fn begin(&mut self, task: &Task, agent: &Agent) {
        self.write("task", |line| {
            first_fields(line, task);
            line.insert("model".into(), json!(agent.engine.info().name));
            line.insert("fingerprint".into(), json!(agent.engine.info().fingerprint));
            line.insert("context_tokens_max".into(), json!(agent.engine.info().context_tokens_max));
            line.insert("prompt_set".into(), json!(agent.prompts.set()));
            line.insert("prompts".into(), json!(agent.prompts.hashes()));
            line.insert("tier".into(), json!(agent.judge.tier()));
            line.insert("settings".into(), json!(format!("{:?}", agent.settings)));
        });
    }

    /// An event; streamed text is gathered to lines.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Piece { candidate, text, .. } => self.piece(*candidate, text),
            // The trajectory and the verdict have lines of their own, with more in them.
            Event::Finished { .. } | Event::Verified { .. } | Event::Prefill { .. } => {}
            Event::Ended { outcome } => {
                self.flush_text();
                self.object("outcome", outcome);
            }
            other => self.object("event", other),
        }
    }

    pub(super) fn trajectory(&mut self, candidate: u32, trajectory: &Trajectory, tokens_per_second: f32) {
        self.flush_text();
        self.write("trajectory", |line| {
            line.insert("candidate".into(), json!(candidate));
            line.insert("tokens_per_second".into(), json!(tokens_per_second));
            line.insert("trajectory".into(), json!(trajectory));
        });
    }

    pub(super) fn verdict(&mut self, candidate: u32, program: &Candidate, verdict: &Verdict) {
        self.write("verdict", |line| {
            line.insert("candidate".into(), json!(candidate));
            line.insert("program".into(), json!(program));
            line.insert("verdict".into(), json!(verdict));
        });
    }

    /// A change to a project, as a diff, and its verdict.
    pub(super) fn judged(&mut self, candidate: u32, diff: &str, verdict: &Verdict) {
        self.write("verdict", |line| {
            line.insert("candidate".into(), json!(candidate));
            line.insert("diff".into(), json!(diff));
            line.insert("verdict".into(), json!(verdict));
        });
    }

    pub(super) fn failed(&mut self, message: &str) {
        self.flush_text();
        self.write("error", |line| {
            line.insert("message".into(), json!(message));
        });
    }

    fn piece(&mut self, candidate: u32, text: &str) {
        let at = candidate as usize;
        if self.text.len() <= at {
            self.text.resize(at + 1, String::new());
        }
        self.text[at].push_str(text);
        if self.text[at].len() >= TEXT_BYTES || self.text[at].ends_with('\n') {
            self.flush_text();
        }
    }

    fn flush_text(&mut self) {
        for (candidate, text) in std::mem::take(&mut self.text).into_iter().enumerate() {
            if !text.is_empty() {
                self.write("text", |line| {
                    line.insert("candidate".into(), json!(candidate));
                    line.insert("text".into(), json!(text));
                });
            }
        }
    }

    fn object(&mut self, kind: &str, value: impl Serialize) {
        self.write(kind, |line| {
            line.insert(kind.to_owned(), json!(value));
        });
    }

    fn write(&mut self, kind: &str, fill: impl FnOnce(&mut serde_json::Map<String, Value>)) {
        let Some(file) = &mut self.file else { return };
        let mut line = serde_json::Map::new();
        line.insert("line".into(), json!(kind));
        line.insert("ms".into(), json!(self.started.elapsed().as_millis() as u64));
        fill(&mut line);
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        // One write a line: a file of complete lines, whatever ends the process.
        if let Err(problem) = file.write_all(text.as_bytes()) {
            self.warning = Some(format!("the transcript is incomplete from here on: {problem}"));
            self.file = None;
        }
    }
}

fn first_fields(line: &mut serde_json::Map<String, Value>, task: &Task) {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    line.insert("version".into(), json!(VERSION));
    line.insert("z1".into(), json!(env!("CARGO_PKG_VERSION")));
    line.insert("unix_time".into(), json!(since_epoch));
    line.insert("task".into(), json!(task));
}

/// A new id: UTC date and time, and a few letters against collisions; sorts by time.
pub fn new_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (now.as_secs() / 86_400, now.as_secs() % 86_400);
    let (year, month, day) = civil(days as i64);
    let letters = (u64::from(now.subsec_nanos()) ^ (u64::from(std::process::id()) << 16)) % (36 * 36 * 36 * 36);
    let suffix: String =
        (0..4).map(|place| char::from_digit((letters / 36_u64.pow(place) % 36) as u32, 36).unwrap_or('0')).collect();
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}-{suffix}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of a number of days since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Part;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(20_780), (2026, 11, 23));
    }

    #[test]
    fn text_is_on_disk_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut transcript = Transcript::create(&folder.path().join("deep/er"), "x");
        let piece = |text: &str| Event::Piece {
            candidate: 1,
            part: Part::Thinking,
            text: text.into(),
            forced: false,
            tokens: 1,
        };
        transcript.event(&piece("half a "));
        let path = transcript.path().unwrap().to_owned();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        transcript.event(&piece("line\n"));
        let line: Value = serde_json::from_str(std::fs::read_to_string(&path).unwrap().trim()).unwrap();
        assert_eq!((line["line"].as_str(), line["text"].as_str()), (Some("text"), Some("half a line\n")));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_a_warning() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut transcript = Transcript::create(file.path(), "x");
        assert!(transcript.take_warning().unwrap().contains("cannot be kept"));
        assert!(transcript.take_warning().is_none());
        transcript.failed("no panic");
    }

    #[test]
    fn a_full_disk_is_a_warning_and_not_a_failure() {
        if !Path::new("/dev/full").exists() {
            eprintln!("skipped: there is no /dev/full here");
            return;
        }
        let mut transcript = Transcript::none();
        transcript.file = Some(OpenOptions::new().append(true).open("/dev/full").unwrap());
        transcript.failed("x");
        assert!(transcript.take_warning().unwrap().contains("incomplete"));
    }
}
