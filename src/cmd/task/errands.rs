//! Requests of the terminal that are no tasks: a shell command in the sandbox, the map, undo. Each is served on
//! a thread of its own, so that no key ever waits for the disk or for a program.
//!
//! Not for: tasks (the worker) or what the answers look like (`tui`).

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::agent::project;
use crate::agent::sessions::{self, Session, Sessions};
use crate::cancel::Cancel;
use crate::dirs::Dirs;
use crate::error::UserError;
use crate::model_store::resolve;
use crate::model_store::store::{Manifest, Store};
use crate::repo_map::{Bounds, Focus, build, estimate};
use crate::sandbox::{End, LimitKind, Limits, Outcome, Request, Sandbox};
use crate::tui::{ModelRow, PastTurn, Report, SessionRow};
use crate::verify;
use crate::workspace::journal::Journal;
use crate::workspace::tree::Tree;

/// Errands whose answers wait to be taken.
const ANSWERS_MAX: usize = 16;
/// A shell command may take as long as a person is willing to wait; Esc ends it.
const SHELL_WALL: Duration = Duration::from_secs(600);
const SHELL_OUTPUT_BYTES: usize = 1 << 20;
/// The map that is shown is a little larger than the model's own, for an overview.
const MAP_TOKENS: usize = 2048;
const MAP_TIME: Duration = Duration::from_secs(60);

/// The errands under way.
pub(super) struct Errands {
    sender: mpsc::SyncSender<Report>,
    answers: mpsc::Receiver<Report>,
    cancel: Cancel,
}

impl Errands {
    pub(super) fn new() -> Self {
        let (sender, answers) = mpsc::sync_channel(ANSWERS_MAX);
        Self { sender, answers, cancel: Cancel::new() }
    }

    /// Starts one; its answer comes from [`Errands::try_next`].
    pub(super) fn start(&mut self, work: impl FnOnce(&Cancel) -> Report + Send + 'static) {
        self.cancel = Cancel::new();
        let (sender, cancel) = (self.sender.clone(), self.cancel.clone());
        std::thread::spawn(move || {
            // Where the interface is gone nobody waits for the answer.
            let _ = sender.send(work(&cancel));
        });
    }

    /// Starts one that is no errand of the user's: it may say several things or none, and [`Errands::cancel`] leaves it
    /// alone.
    pub(super) fn beside(&self, work: impl FnOnce(&mut dyn FnMut(Report)) + Send + 'static) {
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            work(&mut |report| {
                // Where the interface is gone nobody listens any more; where it does not listen just now, because an editor
                // has the terminal, nothing waits to say how far it is.
                let _ = match report {
                    Report::Pulling { .. } => sender.try_send(report).is_ok(),
                    _ => sender.send(report).is_ok(),
                };
            });
        });
    }

    pub(super) fn try_next(&self) -> Option<Report> {
        self.answers.try_recv().ok()
    }

    /// Ends the errand that was started last, where it can be ended.
    pub(super) fn cancel(&self) {
        self.cancel.cancel();
    }
}

/// A request that could not be served.
pub(super) fn refused(what: &str, why: impl Into<String>, hint: Option<String>) -> Report {
    Report::Refused { what: what.to_owned(), why: why.into(), hint }
}

pub(super) fn refused_by(what: &str, problem: &anyhow::Error) -> Report {
    let hint = problem.downcast_ref::<UserError>().and_then(|error| error.hint.clone());
    refused(what, format!("{problem:#}"), hint)
}

/// Runs `command` by a shell on the project under a throw-away layer.
pub(super) fn shell(sandbox: &Sandbox, project: &Path, command: String, cancel: &Cancel) -> Report {
    let limits = Limits { wall: SHELL_WALL, cpu: SHELL_WALL, head_bytes: SHELL_OUTPUT_BYTES, ..Limits::project() };
    let policy = crate::verify::project_policy(project, limits, sandbox.tier());
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(problem) => return refused("the shell command", problem.to_string(), None),
    };
    let outcome = runtime.block_on(sandbox.run(&policy, Request::new(["sh", "-c", &command]), cancel));
    shell_report(command, &outcome)
}

fn shell_report(command: String, outcome: &Outcome) -> Report {
    let mut output = outcome.stdout.text();
    let errors = outcome.stderr.text();
    if !output.is_empty() && !output.ends_with('\n') && !errors.is_empty() {
        output.push('\n');
    }
    output.push_str(&errors);
    let exit = if let End::Exit(code) = outcome.end { Some(code) } else { None };
    Report::Shell {
        command,
        output,
        exit,
        ended: ended(outcome),
        tier: outcome.isolation.tier,
        wall_ms: outcome.wall.as_millis() as u64,
    }
}

/// How it ended, where that is not an ordinary exit; and that written files are gone.
fn ended(outcome: &Outcome) -> Option<String> {
    let end = match &outcome.end {
        End::Exit(_) if outcome.changed.is_empty() => return None,
        End::Exit(code) => format!("exit {code}"),
        End::Signal(signal) => format!("ended by signal {signal}"),
        End::Limit(kind) => format!("ended by its {} limit", limit_word(*kind)),
        End::Cancelled => "stopped".to_owned(),
        End::SandboxError { step, message } => format!("the sandbox failed at {step}: {message}"),
    };
    Some(match outcome.changed.len() {
        0 => end,
        1 => format!("{end} · 1 changed file was not kept"),
        n => format!("{end} · {n} changed files were not kept"),
    })
}

const fn limit_word(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Wall => "time",
        LimitKind::Cpu => "processor-time",
        LimitKind::Memory => "memory",
        LimitKind::Output => "output",
        LimitKind::Disk => "disk",
    }
}

/// The repository map.
pub(super) fn map(project: &Path, dirs: &Dirs) -> Report {
    let cache = Some(dirs.cache.join("repo_map"));
    let bounds = Bounds::new(MAP_TOKENS, MAP_TIME, cache);
    let map = build(project, &Focus::default(), &bounds, &estimate);
    if map.text.trim().is_empty() {
        return refused("the map", "there is no source here that could be mapped", None);
    }
    let mut body = format!("```\n{}\n```\n", map.text.trim_end());
    body.extend(map.notes.iter().map(|note| format!("\n{note}\n")));
    Report::Text { title: "repository map".to_owned(), body }
}

/// The sessions that could be gone on with.
pub(super) fn sessions(dirs: &Dirs) -> Report {
    let row = |row: sessions::Row| SessionRow {
        id: row.id,
        title: row.title,
        when: sessions::ago(row.used_unix_s),
        tasks: row.tasks as u32,
    };
    Report::Sessions { sessions: Sessions::new(&dirs.state).list().into_iter().map(row).collect() }
}

/// What a session that is gone on with has said so far.
pub(super) fn resumed(session: Session) -> Report {
    let turn = |turn: sessions::Turn| PastTurn { task: turn.task, answer: turn.answer, status: turn.ended };
    Report::Resumed { id: session.id, turns: session.turns.into_iter().map(turn).collect() }
}

/// What runs where, and why. Nothing of it forks this process: programs are started, not copied.
pub(super) fn doctor(dirs: &Dirs) -> Report {
    Report::Text { title: "doctor".to_owned(), body: crate::cmd::doctor::beside_a_model(dirs) }
}

/// The models that could be used.
pub(super) fn models(dirs: &Dirs, current: &str) -> Report {
    let (found, _broken) = match Store::new(&dirs.data).list() {
        Ok(found) => found,
        Err(problem) => return refused_by("/model", &problem),
    };
    let row = |manifest: Manifest| ModelRow {
        current: manifest.name == current,
        detail: format!("{}, {} MiB", manifest.quant, manifest.bytes >> 20),
        name: manifest.name,
    };
    let mut models: Vec<ModelRow> = found.into_iter().map(row).collect();
    let mut add = |name: &str, detail: &str, current| {
        if !name.is_empty() && models.iter().all(|model| model.name != name) {
            models.insert(0, ModelRow { name: name.to_owned(), detail: detail.to_owned(), current });
        }
    };
    add(current, "loaded", true);
    if resolve::carries_nano() {
        add(resolve::NANO, "comes with z1", false);
    }
    Report::Models { models }
}

/// Shows, sets or forgets the command that tests the project.
pub(super) fn check(root: &Path, dirs: &Dirs, command: Option<&str>) -> Report {
    const WHAT: &str = "the project's test command";
    let to = match command {
        None => return Report::Text { title: WHAT.to_owned(), body: check_known(root, dirs) },
        Some("none") => Some(""),
        Some("forget") => None,
        Some(command) => Some(command),
    };
    match project::remember(&dirs.state, root, to) {
        Err(problem) => refused(WHAT, problem.to_string(), None),
        Ok(()) => Report::Text { title: WHAT.to_owned(), body: check_known(root, dirs) },
    }
}

fn check_known(root: &Path, dirs: &Dirs) -> String {
    let detected = || verify::test_command(root);
    match project::remembered(&dirs.state, root) {
        Some(command) if command.is_empty() => "none: nothing is tested here (remembered)".to_owned(),
        Some(command) => format!("`{command}` (remembered)"),
        None => detected().map_or_else(
            || "not known: the next task asks".to_owned(),
            |command| format!("`{command}` (found by the project's files)"),
        ),
    }
}

/// Takes the last accepted change back.
pub(super) fn undo(project: &Path, dirs: &Dirs) -> Report {
    let undone = Tree::open(project).and_then(|tree| Journal::new(&dirs.state, &tree).undo());
    match undone {
        Err(problem) => refused_by("undo", &problem),
        Ok(step) => {
            let line = |file: &crate::workspace::journal::Touched| match (&file.before, &file.after) {
                (None, _) => format!("- removed `{}`\n", file.path),
                (_, None) => format!("- brought back `{}`\n", file.path),
                _ => format!("- restored `{}`\n", file.path),
            };
            let body = step.files.iter().map(line).collect();
            Report::Text { title: format!("undone: {}", step.title), body }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errand_answers_from_its_own_thread() {
        let mut errands = Errands::new();
        errands.start(|cancel| {
            while !cancel.is_cancelled() {
                std::thread::yield_now();
            }
            refused("it", "it was ended", None)
        });
        assert!(errands.try_next().is_none());
        errands.cancel();
        let answer = errands.answers.recv().expect("the errand answers");
        assert_eq!(answer, refused("it", "it was ended", None));
    }

    #[test]
    fn the_test_command_is_shown_set_and_forgotten() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dirs = Dirs::of(Some(folder.path().join("home")));
        let said = |command: Option<&str>| match check(folder.path(), &dirs, command) {
            Report::Text { body, .. } => body,
            other => panic!("{other:?}"),
        };
        assert!(said(None).starts_with("not known"));
        assert_eq!(said(Some("make check")), "`make check` (remembered)");
        assert_eq!(said(None), "`make check` (remembered)");
        assert!(said(Some("none")).starts_with("none"));
        assert!(said(Some("forget")).starts_with("not known"));
    }

    #[test]
    fn undo_without_a_change_says_so() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dirs = Dirs::of(Some(folder.path().join("home")));
        let Report::Refused { why, .. } = undo(folder.path(), &dirs) else { panic!("there was nothing to undo") };
        assert!(why.contains("nothing to undo"), "{why}");
    }
}
