//! Sessions on disk: saved after every turn, listed, gone on with, exported.
//!
//! A session is one JSON file in the state folder: the turns as a person sees them, and the conversation as the
//! model sees it. Files are replaced whole, so that a kill leaves the turn before.
//!
//! Not for: the record of what happened token by token (that is the transcript).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::conversation::Conversation;
use super::transcript;
use crate::engine::SessionId;
use crate::error::{Exit, UserError};
use crate::task::{Outcome, Status, Task, Verdict};

/// Version of the files' format; fields are only ever added.
pub const VERSION: u32 = 1;
/// Older sessions are not listed.
pub const LISTED_MAX: usize = 200;

/// Token logs of sessions have this bit; those of requests without a session do not.
const LOGS_FIRST: u32 = 1 << 31;

/// One task of a session and how it ended, for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub task: String,
    /// The program, the diff or the words.
    pub answer: String,
    pub status: Status,
    /// The end in words: `verified: 3 passed (pytest)`.
    pub ended: String,
    pub at_unix_s: u64,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub version: u32,
    pub id: String,
    /// The project it was for, where it was for one.
    pub root: Option<PathBuf>,
    pub started_unix_s: u64,
    pub used_unix_s: u64,
    pub turns: Vec<Turn>,
    /// Each file that the model was shown, with the digest of what it was shown.
    #[serde(default)]
    pub shown: std::collections::BTreeMap<String, String>,
    /// The conversation about the project.
    pub conversation: Conversation,
    /// The conversation about programs of their own, which has another system prompt.
    #[serde(default)]
    pub alone: Conversation,
}

impl Session {
    /// The engine's token log of one of its two conversations. It follows from the session's id, so that sessions beside
    /// one another keep their own, and one that is gone on with finds its own again.
    pub(super) fn log(&self, in_project: bool) -> SessionId {
        let mut hasher = DefaultHasher::new();
        (&self.id, in_project).hash(&mut hasher);
        SessionId(LOGS_FIRST | hasher.finish() as u32)
    }

    /// A session without a turn.
    pub fn new(root: Option<PathBuf>) -> Self {
        let now = now();
        Self {
            version: VERSION,
            id: transcript::new_id(),
            root,
            started_unix_s: now,
            used_unix_s: now,
            turns: Vec::new(),
            shown: std::collections::BTreeMap::new(),
            conversation: Conversation::default(),
            alone: Conversation::default(),
        }
    }

    /// The first task's beginning.
    pub fn title(&self) -> String {
        const CHARS_MAX: usize = 80;
        let first = self.turns.first().map_or("", |turn| turn.task.as_str());
        first.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CHARS_MAX).collect()
    }

    /// Adds a finished task.
    pub fn record(&mut self, task: &Task, outcome: &Outcome) {
        self.used_unix_s = now();
        self.turns.push(Turn {
            task: task.prompt.clone(),
            answer: outcome.answer.clone(),
            status: outcome.status,
            ended: ended(outcome),
            at_unix_s: self.used_unix_s,
        });
    }

    /// The session as Markdown, for a file or a pager.
    pub fn markdown(&self) -> String {
        let mut out = format!("# {}\n\nSession {}", self.title(), self.id);
        if let Some(root) = &self.root {
            out.push_str(&format!(", {}", root.display()));
        }
        out.push('\n');
        for turn in &self.turns {
            let code = turn.answer.contains('\n');
            let tag = if turn.answer.starts_with("--- ") { "diff" } else { "" };
            let fenced = || crate::prompt::conversation::fenced(&turn.answer, Some(tag));
            let answer = if code { fenced() } else { turn.answer.clone() };
            out.push_str(&format!("\n## {}\n\n{answer}\n\n*{}*\n", turn.task.trim(), turn.ended));
        }
        out
    }
}

/// How an outcome ended, in a few words.
pub fn ended(outcome: &Outcome) -> String {
    let status = match outcome.status {
        Status::Verified => "verified",
        Status::Unverified => "unverified",
        Status::Failed => "failed",
        Status::LimitReached => "limit reached",
        Status::Refused => "refused",
        Status::Cancelled => "cancelled",
    };
    match &outcome.verdict {
        Some(Verdict::Passed(report)) => format!("{status}: {} passed ({})", report.passed, report.command),
        Some(Verdict::Failed(report)) => {
            format!("{status}: {} passed, {} failed ({})", report.passed, report.failed, report.command)
        }
        _ => status.to_owned(),
    }
}

/// One row of the list, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub root: Option<PathBuf>,
    pub used_unix_s: u64,
    pub tasks: usize,
    pub path: PathBuf,
}

/// The folder of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    folder: PathBuf,
}

impl Sessions {
    /// The sessions below `state` (see [`crate::dirs`]).
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("sessions") }
    }

    pub fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// Every session, the one used last first. A file that cannot be read is left out.
    pub fn list(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .ids()
            .into_iter()
            .rev()
            .take(LISTED_MAX)
            .filter_map(|id| {
                let session = self.read(&id).ok()?;
                Some(Row {
                    title: session.title(),
                    root: session.root,
                    used_unix_s: session.used_unix_s,
                    tasks: session.turns.len(),
                    path: self.path(&id),
                    id,
                })
            })
            .collect();
        rows.sort_by(|a, b| b.used_unix_s.cmp(&a.used_unix_s).then_with(|| b.id.cmp(&a.id)));
        rows
    }

    /// The session of this id, or the only one whose id begins with it; `last` is the one used last.
    ///
    /// # Errors
    /// No such session, several, or a damaged file.
    pub fn load(&self, id: &str) -> Result<Session, UserError> {
        if id == "last" {
            return self.latest(None)?.ok_or_else(|| UserError::usage("there is no session yet"));
        }
        let ids = self.ids();
        let found: Vec<&String> = ids.iter().filter(|known| known.starts_with(id)).collect();
        match found.as_slice() {
            [only] => self.read(only),
            [] => Err(UserError::usage(format!("no session begins with `{id}`")).hint("`z1 sessions` lists them")),
            several => {
                let several: Vec<&str> = several.iter().take(5).map(|id| id.as_str()).collect();
                Err(UserError::usage(format!("several sessions begin with `{id}`: {}", several.join(", "))))
            }
        }
    }

    /// The session that was used last; with a `root`, of that project.
    ///
    /// # Errors
    /// A damaged file.
    pub fn latest(&self, root: Option<&Path>) -> Result<Option<Session>, UserError> {
        let rows = self.list();
        let row = rows.iter().find(|row| root.is_none() || row.root.as_deref() == root);
        row.map(|row| self.read(&row.id)).transpose()
    }

    /// Writes a session, whole or not at all.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn save(&self, session: &Session) -> Result<(), UserError> {
        let failed = |problem: &dyn std::fmt::Display| {
            UserError::new(Exit::Error, format!("the session cannot be saved in {}: {problem}", self.folder.display()))
        };
        std::fs::create_dir_all(&self.folder).map_err(|problem| failed(&problem))?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(|problem| failed(&problem))?;
        let text = serde_json::to_vec(session).map_err(|problem| failed(&problem))?;
        // On a full disk the earlier state stays.
        std::io::Write::write_all(&mut file, &text).map_err(|problem| failed(&problem))?;
        file.as_file().sync_data().map_err(|problem| failed(&problem))?;
        file.persist(self.path(&session.id)).map_err(|problem| failed(&problem))?;
        Ok(())
    }

    fn read(&self, id: &str) -> Result<Session, UserError> {
        let path = self.path(id);
        let broken = |problem: &dyn std::fmt::Display| {
            UserError::new(Exit::Error, format!("the session {} cannot be read: {problem}", path.display()))
                .hint("remove the file, or go on with another: `z1 sessions`")
        };
        let text = std::fs::read_to_string(&path).map_err(|problem| broken(&problem))?;
        serde_json::from_str(&text).map_err(|problem| broken(&problem))
    }

    /// Ids by name, which begins with date and time.
    fn ids(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut ids: Vec<String> =
            entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned())).collect();
        ids.sort();
        ids
    }
}

/// How long ago a moment was, in words.
pub fn ago(unix_s: u64) -> String {
    let seconds = now().saturating_sub(unix_s);
    let (count, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Effort, Scope, Usage};

    fn with_turn(prompt: &str, root: Option<&str>) -> Session {
        let mut session = Session::new(root.map(PathBuf::from));
        let task = Task {
            id: "t".into(),
            prompt: prompt.into(),
            scope: Scope::Standalone,
            checks: vec![],
            language: None,
            effort: Effort::Auto,
        };
        let outcome = Outcome {
            status: Status::Unverified,
            candidate: None,
            answer: "--- a/x\n+++ b/x\n".into(),
            verdict: None,
            usage: Usage::default(),
            rounds: 1,
            notes: vec![],
        };
        session.record(&task, &outcome);
        session
    }

    #[test]
    fn sessions_are_listed_continued_and_exported() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path());
        assert!(sessions.list().is_empty() && sessions.latest(None).unwrap().is_none());
        let mut first = with_turn("mend  the\nparser", Some("/p"));
        first.id = "20260101-a".into();
        let mut second = with_turn("another", None);
        (second.id, second.used_unix_s) = ("20260102-b".into(), first.used_unix_s + 5);
        sessions.save(&first).unwrap();
        sessions.save(&second).unwrap();
        let rows = sessions.list();
        assert_eq!(rows.iter().map(|row| row.title.as_str()).collect::<Vec<_>>(), ["another", "mend the parser"]);
        assert_eq!(sessions.latest(Some(Path::new("/p"))).unwrap(), Some(first.clone()));
        assert_eq!(sessions.load("20260101").unwrap(), first);
        assert_eq!(sessions.load("last").unwrap(), second);
        assert!(sessions.load("2026").unwrap_err().message.contains("several"));
        assert!(sessions.load("x").unwrap_err().message.contains("no session"));
        let text = first.markdown();
        assert!(text.contains("## mend  the\nparser\n\n```diff\n--- a/x") && text.contains("*unverified*"), "{text}");
    }

    #[test]
    fn a_damaged_file_is_named_and_does_not_hide_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path());
        sessions.save(&with_turn("a", None)).unwrap();
        std::fs::write(sessions.path("00"), "{").unwrap();
        assert_eq!(sessions.list().len(), 1);
        assert!(sessions.load("00").unwrap_err().message.contains("00.json"));
    }
}
