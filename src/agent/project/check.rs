//! The project's check: which command it is, and what it says before any change.
//!
//! The command is what the user gave (and is then remembered for the project), what was remembered, or what the
//! project's files show. Where none of it says anything and somebody is there, the user is asked once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::agent::{Agent, BoxFuture, Line};
use crate::cancel::Cancel;
use crate::event::Event;
use crate::task::{Candidate, Check, Edit, Task, Verdict};
use crate::verify::{self, VerifyOptions};
use crate::workspace::plan::Planned;

/// What is remembered of a project.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    check: Option<String>,
}

fn place(state: &Path, root: &Path) -> PathBuf {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    state.join("projects").join(format!("{name}.json"))
}

/// What is known about how a project is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The command, and where it is from.
    Command(String, &'static str),
    /// The user was asked and said that there is none.
    None,
    /// Nobody has said anything and the files show nothing.
    Unknown,
}

/// Where a command is from that the user gave with the task. It is remembered once it has been seen to start.
pub(super) const GIVEN: &str = "given";
/// Where a command is from that was given or asked for earlier.
pub(super) const REMEMBERED: &str = "remembered";

/// Whether a text is a command at all, and not blanks and comments alone.
pub fn is_command(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The command that decides whether a change holds: given, remembered, or found.
pub(super) fn known(task: &Task, state: &Path, root: &Path) -> Known {
    let given = task.checks.iter().find_map(|check| match check {
        Check::Command { command } => Some(command.clone()),
        _ => None,
    });
    if let Some(given) = given {
        return Known::Command(given, GIVEN);
    }
    match remembered(state, root) {
        Some(command) if command.is_empty() => Known::None,
        Some(command) => Known::Command(command, REMEMBERED),
        None => match verify::test_command(root) {
            Some(command) => Known::Command(command, "found by the project's files"),
            None => Known::Unknown,
        },
    }
}

/// What was said about how the project at `root` is tested; an empty command says that it is not.
pub fn remembered(state: &Path, root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(place(state, root)).ok()?;
    serde_json::from_str::<Remembered>(&text).ok()?.check
}

/// Remembers the command that tests the project at `root`, an empty one for "there is none"; `None` forgets.
///
/// # Errors
/// Where the state folder cannot be written.
pub fn remember(state: &Path, root: &Path, command: Option<&str>) -> std::io::Result<()> {
    let place = place(state, root);
    let Some(command) = command else {
        return match std::fs::remove_file(place) {
            Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => Err(problem),
            _ => Ok(()),
        };
    };
    let text = serde_json::to_string(&Remembered { check: Some(command.trim().to_owned()) })?;
    std::fs::create_dir_all(state.join("projects"))?;
    std::fs::write(place, text)
}

/// A trial of files as planned, on its own layer; an empty list is the project as it stands. Without a command only
/// whether the files parse is asked.
pub(super) fn trial(
    agent: &Agent,
    root: &Path,
    command: Option<&str>,
    files: &[Planned],
    cancel: Cancel,
) -> BoxFuture<'static, Verdict> {
    let edits = files.iter().map(|file| match &file.after {
        Some(content) => Edit::Write { path: file.path.clone(), content: content.clone() },
        None => Edit::Delete { path: file.path.clone() },
    });
    let candidate = Candidate::Edits { edits: edits.collect() };
    let checks: Vec<Check> =
        command.into_iter().map(|command| Check::Command { command: command.to_owned() }).collect();
    let options = VerifyOptions {
        root: Some(root.to_owned()),
        min_tier: agent.settings.min_tier,
        project_limits: agent.settings.check_limits.clone(),
        ..VerifyOptions::default()
    };
    let judge = Arc::clone(&agent.judge);
    Box::pin(async move { judge.verify(&candidate, &checks, &options, &cancel).await })
}

/// The verdict on a change that nothing decides about: that it does not parse, or why it is not judged and what is
/// known of it.
pub(super) fn or_unjudged(tried: Verdict, unjudged: Verdict) -> Verdict {
    match (tried, unjudged) {
        (failed @ Verdict::Failed(_), _) => failed,
        (Verdict::NothingToCheck { why: more }, Verdict::NothingToCheck { why }) => {
            let known = more.split_once("; ").map_or(String::new(), |(_, known)| format!("; {known}"));
            Verdict::NothingToCheck { why: why + &known }
        }
        (_, unjudged) => unjudged,
    }
}

/// What the check says before any change; said to the user.
pub(super) async fn before(agent: &Agent, root: &Path, command: &str, line: &mut Line) -> Verdict {
    line.emit(Event::Step { text: format!("running `{command}` before any change") }).await;
    let verdict = trial(agent, root, Some(command), &[], line.cancel.clone()).await;
    let text = match &verdict {
        Verdict::Passed(report) => format!("before any change {} passed ({command})", report.passed),
        Verdict::Failed(report) => {
            format!("before any change {} passed, {} failed ({command})", report.passed, report.failed)
        }
        Verdict::NothingToCheck { why } => format!("nothing can be checked: {why}"),
        Verdict::SandboxFailed { step, why } => {
            format!("the check could not be run: the sandbox failed at {step}: {why}")
        }
    };
    line.emit(Event::Step { text }).await;
    verdict
}

/// Why a check that failed before any change could not even be started: the command is not there, or its own arguments
/// are wrong. No change of the code mends that.
///
/// What tests, compilers and programs of the project say of arguments and of things not found is about the code.
pub(super) fn cannot_start(before: &Verdict, command: &str) -> Option<String> {
    if let Verdict::NothingToCheck { why } = before {
        return why.contains(verify::Wall::NotFound.name()).then(|| why.clone());
    }
    let Verdict::Failed(report) = before else { return None };
    let [only] = report.failures.as_slice() else { return None };
    if report.passed > 0 {
        return None;
    }
    only.got.lines().map(str::trim).find(|line| is_not_started(line, command)).map(str::to_owned)
}

/// Whether a line says that a shell found no program of this name (a path may still be made by a change), or that a program
/// does not take what the command itself says.
fn is_not_started(line: &str, command: &str) -> bool {
    static NO_PROGRAM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:\S*/)?(?:ba|da|z|k)?sh: (?:(?:line )?\d+: )?([^\s/:]+): (?:command )?not found$")
            .expect("invariant: a valid pattern")
    });
    static NO_ARGUMENT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?x) unexpected\ argument\ '([^']+)'
            | the\ argument\ '([^'\s]+)[^']*'\ cannot\ be\ used
            | unrecognized\ arguments:\ (\S+)
            | no\ such\ (?:sub)?command:?\ [`'\x22]?([^`'\x22\s]+)
            | (?i:missing\ script):\ [`'\x22]?([^`'\x22\s]+)
            | (?i:no\ module\ named)\ '?(pytest)'?$",
        )
        .expect("invariant: a valid pattern")
    });
    if NO_PROGRAM.is_match(line) {
        return true;
    }
    // A program of the project may learn it by the change.
    if command.split_whitespace().any(is_own) {
        return false;
    }
    let named = NO_ARGUMENT.captures(line).and_then(|found| found.iter().skip(1).flatten().next());
    named.is_some_and(|named| {
        command
            .split_whitespace()
            .any(|word| word == named.as_str() || word.starts_with(&format!("{}=", named.as_str())))
    })
}

/// Whether a word of a command is a program of the project: `./run`, `plan.py`; or a module that is no known tool.
fn is_own(word: &str) -> bool {
    const SCRIPTS: [&str; 10] = ["py", "js", "mjs", "cjs", "ts", "sh", "bash", "rb", "pl", "php"];
    let script =
        word.rsplit_once('.').is_some_and(|(stem, extension)| !stem.is_empty() && SCRIPTS.contains(&extension));
    (script && !word.starts_with('-') && !word.ends_with("manage.py")) || word.starts_with("./")
}

/// Whether a failed verdict holds only what failed before the change as well.
pub(super) fn broke_nothing(verdict: &Verdict) -> bool {
    const MARK: &str = "(it failed before the change as well)";
    // Where nothing passed, nothing is known to have been spared.
    verdict.report().is_some_and(|report| {
        report.passed > 0
            && !report.failures.is_empty()
            && report.failures.len() == report.failed as usize
            && report.failures.iter().all(|failure| failure.name.ends_with(MARK))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Effort, Scope};

    #[test]
    fn blanks_and_comments_are_no_command() {
        for text in ["", "  \n", "# make test", " # a\n\n#b"] {
            assert!(!is_command(text), "{text:?}");
        }
        assert!(is_command("make test # all") && is_command("# all\nmake test"));
    }

    #[test]
    fn a_check_that_cannot_start_is_told_from_one_that_fails() {
        let failed = |got: &str, passed| {
            let failure = crate::task::Failure {
                kind: crate::task::FailureKind::Crash,
                name: "check".into(),
                got: got.into(),
                expected: None,
                frame: None,
            };
            Verdict::Failed(crate::task::Report {
                command: "check".into(),
                passed,
                failed: 1,
                failures: vec![failure],
                tier: crate::task::Tier::L,
                wall_ms: 1,
                flags: vec![],
            })
        };
        let starts = |got: &str, command: &str| cannot_start(&failed(got, 0), command).is_none();
        for (got, command) in [
            ("exit code 127\nsh: 1: pytset: not found", "pytset -q"),
            ("exit code 2\n/bin/sh: 1: pytset: not found\nmake: *** [Makefile:3: test] Error 127", "make test"),
            ("exit code 127\nbash: line 1: foo: command not found", "foo"),
            ("error: the argument '--offline' cannot be used multiple times", "cargo test --offline"),
            ("error: unexpected argument '--quick' found", "cargo test --quick"),
            ("error: no such command: `tset`", "cargo tset"),
            ("__main__.py: error: unrecognized arguments: --numprocess", "python -m pytest --numprocess 4"),
            ("npm error Missing script: \"tests\"", "npm run tests"),
            ("/usr/bin/python3: No module named pytest", "python3 -m pytest"),
        ] {
            assert!(!starts(got, command), "{got}");
        }
        for (got, command) in [
            ("plan.py: error: unrecognized arguments: --limit 3", "python3 plan.py --limit 3"),
            ("run: error: unexpected argument '--limit' found", "./run --limit 3"),
            ("AssertionError: 2 != 3", "python -m unittest"),
            // What the change is to bring.
            (
                "error[E0061]: this enum variant takes 1 argument\n  ^^^ unexpected argument #2 of type `u32`",
                "cargo test",
            ),
            ("usage: plan.py [-h]\nplan.py: error: unrecognized arguments: --limit 3", "python -m unittest"),
            ("exit code 127\ntests/run.sh: line 4: ./notes.sh: No such file or directory", "bash tests/run.sh"),
            ("exit code 127\nbash: line 4: ./notes.sh: command not found", "bash tests/run.sh"),
            ("AssertionError: 'key: not found' != 'key: found'", "make check"),
            ("ModuleNotFoundError: No module named 'shop.tax'", "pytest"),
            ("exit code 127", "make"),
        ] {
            assert!(starts(got, command), "{got}");
        }
        assert!(cannot_start(&failed("sh: 1: pytset: not found", 2), "pytset").is_none(), "something passed");
    }

    #[test]
    fn a_given_command_is_remembered_for_its_project() {
        let (state, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut task = Task {
            id: "t".into(),
            prompt: "p".into(),
            scope: Scope::Project { root: root.path().to_owned() },
            checks: vec![Check::Command { command: "make check".into() }],
            language: None,
            effort: Effort::Auto,
        };
        let ask = |task: &Task, root: &Path| known(task, state.path(), root);
        assert_eq!(ask(&task, root.path()), Known::Command("make check".into(), "given"));
        task.checks.clear();
        assert_eq!(ask(&task, root.path()), Known::Unknown, "it is remembered once it has started");
        remember(state.path(), root.path(), Some("make check")).unwrap();
        assert_eq!(ask(&task, root.path()), Known::Command("make check".into(), "remembered"));
        assert_eq!(ask(&task, state.path()), Known::Unknown);
        remember(state.path(), root.path(), Some("")).unwrap();
        assert_eq!(ask(&task, root.path()), Known::None);
        for _ in 0..2 {
            remember(state.path(), root.path(), None).unwrap();
        }
        assert_eq!(ask(&task, root.path()), Known::Unknown);
    }
}
