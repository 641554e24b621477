//! The project's check: which command it is, and what it says before any change.
//!
//! The command is what the user gave (and is then remembered for the project), what was remembered, or what the
//! project's files show.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::agent::{Agent, Line};
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

/// The command that decides whether a change holds, where one is known; a given one is remembered.
pub(super) fn command(task: &Task, state: &Path, root: &Path) -> Option<String> {
    let place = place(state, root);
    let given = task.checks.iter().find_map(|check| match check {
        Check::Command { command } => Some(command.clone()),
        _ => None,
    });
    if let Some(given) = given {
        let text = serde_json::to_string(&Remembered { check: Some(given.clone()) }).unwrap_or_default();
        // What cannot be remembered has to be given again; that is all.
        let _ = std::fs::create_dir_all(state.join("projects")).and_then(|()| std::fs::write(place, text));
        return Some(given);
    }
    let remembered = std::fs::read_to_string(place).ok();
    let remembered: Option<Remembered> = remembered.and_then(|text| serde_json::from_str(&text).ok());
    remembered.and_then(|remembered| remembered.check).or_else(|| verify::test_command(root))
}

/// Judges files as planned; an empty list is the project as it stands.
pub(super) async fn judge(agent: &Agent, root: &Path, command: &str, files: &[Planned], line: &Line) -> Verdict {
    let edits = files.iter().map(|file| match &file.after {
        Some(content) => Edit::Write { path: file.path.clone(), content: content.clone() },
        None => Edit::Delete { path: file.path.clone() },
    });
    let candidate = Candidate::Edits { edits: edits.collect() };
    let checks = [Check::Command { command: command.to_owned() }];
    let options =
        VerifyOptions { root: Some(root.to_owned()), min_tier: agent.settings.min_tier, ..VerifyOptions::default() };
    agent.judge.verify(&candidate, &checks, &options, &line.cancel).await
}

/// What the check says before any change; said to the user.
pub(super) async fn before(agent: &Agent, root: &Path, command: &str, line: &mut Line) -> Verdict {
    line.emit(Event::Step { text: format!("running `{command}` before any change") }).await;
    let verdict = judge(agent, root, command, &[], line).await;
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

/// Whether a failed verdict holds only what failed before the change as well.
pub(super) fn broke_nothing(verdict: &Verdict) -> bool {
    const MARK: &str = "(it failed before the change as well)";
    verdict.report().is_some_and(|report| {
        !report.failures.is_empty()
            && report.failures.len() == report.failed as usize
            && report.failures.iter().all(|failure| failure.name.ends_with(MARK))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Effort, Scope};

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
        let ask = |task: &Task, root: &Path| command(task, state.path(), root);
        assert_eq!(ask(&task, root.path()).as_deref(), Some("make check"));
        task.checks.clear();
        assert_eq!(ask(&task, root.path()).as_deref(), Some("make check"));
        assert_eq!(ask(&task, state.path()), None);
    }
}
