//! Sessions as the protocol speaks of them: which are open, which are listed, how one is told again.
//!
//! Not for: keeping them on disk (`agent::sessions`).

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::options::Chosen;
use super::telling::chunk;
use super::wire::Refusal;
use crate::agent::project;
use crate::agent::sessions::{Row, Session, Sessions};
use crate::prompt::conversation::fenced;
use crate::sandbox::text::clean;

/// A session that the client has open.
#[derive(Debug)]
pub(super) struct Open {
    /// The project's root; `None` where the folder is no project.
    pub(super) root: Option<PathBuf>,
    /// The folder that the client named.
    pub(super) cwd: PathBuf,
    /// `None` while the worker has it.
    pub(super) session: Option<Session>,
    pub(super) chosen: Chosen,
    /// Changes of this session that hold are written without asking.
    pub(super) accepts_all: bool,
}

impl Open {
    pub(super) fn new(cwd: PathBuf, root: Option<PathBuf>, session: Session) -> Self {
        Self { root, cwd, session: Some(session), chosen: Chosen::default(), accepts_all: false }
    }
}

/// The folder of a request, checked.
///
/// # Errors
/// No absolute path, or no folder.
pub(super) fn folder(params: &Value) -> Result<PathBuf, Refusal> {
    let cwd = params["cwd"].as_str().ok_or_else(|| Refusal::params("`cwd` is required"))?;
    let path = Path::new(cwd);
    if !path.is_absolute() {
        return Err(Refusal::params(format!("`cwd` is no absolute path: {cwd}")));
    }
    let real = path.canonicalize().ok().filter(|path| path.is_dir());
    real.ok_or_else(|| Refusal::params(format!("`cwd` is no folder: {cwd}")))
}

/// The project that a folder stands for: the one around it, else the folder itself. The home folder and the file
/// system's root are none.
pub(super) fn root(cwd: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let is_home = home.and_then(|home| home.canonicalize().ok()).as_deref() == Some(cwd);
    project::root_of(cwd, home).or_else(|| (cwd.parent().is_some() && !is_home).then(|| cwd.to_owned()))
}

/// The session of exactly this id.
///
/// # Errors
/// There is none, or its file is damaged.
pub(super) fn load(sessions: Option<&Sessions>, id: &str) -> Result<Session, Refusal> {
    let none = || Refusal::no_session(id);
    let sessions = sessions.ok_or_else(none)?;
    if !sessions.list().iter().any(|row| row.id == id) {
        return Err(none());
    }
    sessions.load(id).map_err(|problem| Refusal::new(super::wire::code::INTERNAL, problem.message))
}

/// `session/list`: newest first; with a folder, those of its project.
pub(super) fn listed(rows: Vec<Row>, root: Option<&Path>) -> Value {
    let rows = rows.into_iter().filter_map(|row| {
        let of = row.root?;
        let wanted = root.is_none_or(|root| root == of);
        wanted.then(|| {
            json!({ "sessionId": row.id, "cwd": of, "title": clean(&row.title), "updatedAt": rfc3339(row.used_unix_s) })
        })
    });
    json!({ "sessions": rows.collect::<Vec<_>>() })
}

/// What was said in a session, as updates.
pub(super) fn told_again(session: &Session) -> Vec<Value> {
    let mut updates = Vec::with_capacity(session.turns.len() * 2);
    for (number, turn) in session.turns.iter().enumerate() {
        let id = |what: &str| format!("{}-{number}-{what}", session.id);
        updates.push(chunk("user_message_chunk", &clean(&turn.task), &id("task")));
        let code = turn.answer.contains('\n');
        let tag = if turn.answer.starts_with("--- ") { "diff" } else { "" };
        let answer = if code { fenced(&turn.answer, Some(tag)) } else { turn.answer.clone() };
        let text = format!("{}\n\n*{}*\n", clean(&answer), clean(&turn.ended));
        updates.push(chunk("agent_message_chunk", &text, &id("answer")));
    }
    updates
}

/// A moment as the protocol writes it.
pub(super) fn rfc3339(unix_s: u64) -> String {
    let (days, seconds) = (unix_s / 86_400, unix_s % 86_400);
    // Howard Hinnant's `civil_from_days`, for days since 1970.
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let (year, day) = (year_of_era + era * 400 + u64::from(month <= 2), day_of_year - (153 * shifted + 2) / 5 + 1);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339_has_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_795_762_799), "2026-11-27T06:59:59Z");
    }

    #[test]
    fn folders_are_checked_and_home_is_no_project() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().canonicalize().unwrap();
        assert!(folder(&json!({})).unwrap_err().message.contains("required"));
        assert!(folder(&json!({ "cwd": "src" })).unwrap_err().message.contains("absolute"));
        assert!(folder(&json!({ "cwd": real.join("none") })).unwrap_err().message.contains("no folder"));
        assert_eq!(folder(&json!({ "cwd": real })).unwrap(), real);
        assert_eq!(root(&real, Some(&real)), None);
        let inside = real.join("work");
        std::fs::create_dir(&inside).unwrap();
        assert_eq!(root(&inside, Some(&real)), Some(inside));
    }

    #[test]
    fn only_the_whole_id_names_a_session() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(folder.path());
        let session = Session::new(Some("/p".into()));
        sessions.save(&session).unwrap();
        assert_eq!(load(Some(&sessions), &session.id).unwrap(), session);
        for id in ["", "last", &session.id[..4], "../x"] {
            assert_eq!(load(Some(&sessions), id).unwrap_err().code, -32002, "{id}");
        }
        let rows = listed(sessions.list(), Some(Path::new("/other")));
        assert_eq!(rows["sessions"], json!([]));
        assert_eq!(listed(sessions.list(), None)["sessions"][0]["sessionId"], json!(session.id));
    }
}
