//! From a change to the disk: the proposal, the user's word on it, one undoable step, and a commit where asked for.
//!
//! Nothing here writes before the decision. Not for: making the change.

use std::path::Path;
use std::process::Command;

use crate::agent::Consent;
use crate::event::{Decision, Event};
use crate::task::Status;
use crate::workspace::diff;
use crate::workspace::journal::Journal;
use crate::workspace::plan::{Plan, Planned};
use crate::workspace::tree::Tree;

/// A title longer than this is cut.
const TITLE_CHARS_MAX: usize = 72;

/// The user's word, read against the plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// Write this; whether it differs from what was judged.
    Write {
        plan: Plan,
        altered: bool,
    },
    Refuse,
    Again(String),
}

/// The proposal as an event.
pub(super) fn event(patch_id: u64, plan: &Plan) -> Event {
    Event::Proposal { patch_id, diff: plan.diff(), files: plan.files.iter().map(Planned::file_change).collect() }
}

/// What a decision makes of a plan. Pure.
pub(super) fn word(plan: &Plan, decision: Decision) -> Word {
    let altered = |files: Vec<Planned>| {
        let files: Vec<Planned> = files.into_iter().filter(|file| file.before != file.after).collect();
        if files.is_empty() {
            Word::Refuse
        } else {
            Word::Write { plan: Plan { files, ..plan.clone() }, altered: true }
        }
    };
    match decision {
        Decision::Accept => Word::Write { plan: plan.clone(), altered: false },
        Decision::AcceptHunks(taken) => {
            let files = plan.files.iter().enumerate().map(|(number, file)| {
                let hunks: Vec<usize> = taken.iter().filter(|(of, _)| *of == number).map(|(_, hunk)| *hunk).collect();
                with_hunks(file, &hunks)
            });
            altered(files.collect())
        }
        Decision::AcceptEdited(edited) => {
            let mut files = plan.files.clone();
            for (number, content) in edited {
                if let Some(file) = files.get_mut(number) {
                    file.after = Some(content);
                }
            }
            altered(files)
        }
        Decision::Reject => Word::Refuse,
        Decision::AskAgain(remark) => Word::Again(remark),
    }
}

fn with_hunks(file: &Planned, hunks: &[usize]) -> Planned {
    let after = match (&file.before, &file.after) {
        // A new or a deleted file is taken whole or not at all.
        (None, _) | (_, None) => {
            if hunks.is_empty() {
                file.before.clone()
            } else {
                file.after.clone()
            }
        }
        (Some(before), Some(after)) => Some(diff::with_hunks(before, after, hunks)),
    };
    Planned { after, ..file.clone() }
}

/// The consent that a change needs, given how its check ended, and whether something of it was `guessed` that no check
/// has confirmed.
pub(super) fn may_be_written(consent: Consent, status: Status, guessed: bool) -> Result<(), &'static str> {
    match consent {
        Consent::Ask => Ok(()),
        Consent::Yes | Consent::YesUnverified if status == Status::Failed => {
            Err("nothing was written: the change fails its check")
        }
        Consent::Yes | Consent::YesUnverified if guessed => {
            Err("nothing was written: what was read as it seems to be meant needs a check that passes, or a person")
        }
        Consent::Yes if status != Status::Verified => {
            Err("nothing was written: the change is not verified (`--yes=unverified` writes such a change as well)")
        }
        Consent::Yes | Consent::YesUnverified => Ok(()),
        Consent::Show => Err("nothing was written: --yes writes a change that holds, `z1` in a terminal asks"),
    }
}

/// Writes a plan as one undoable step; says what was done.
///
/// # Errors
/// Where a file changed meanwhile or the disk refuses; the project is then as it was.
pub(super) fn write(tree: &Tree, state: &Path, plan: &Plan, prompt: &str) -> anyhow::Result<String> {
    let title = title(prompt);
    let step = Journal::new(state, tree).apply(plan, &title)?;
    let paths: Vec<&str> = step.files.iter().map(|file| file.path.as_str()).collect();
    Ok(format!("wrote {} (`z1 undo` takes it back)", paths.join(", ")))
}

/// The task on one short line.
fn title(prompt: &str) -> String {
    let line = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TITLE_CHARS_MAX {
        return line;
    }
    line.chars().take(TITLE_CHARS_MAX - 1).chain(['…']).collect()
}

/// Commits exactly these files, without hooks and without what else is staged; says what was done.
pub(super) fn commit(root: &Path, plan: &Plan, prompt: &str) -> String {
    let git = |args: &[&str], paths: &[&str]| -> Result<String, String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(root)
            .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "commit.gpgSign=false"])
            .args(args)
            .arg("--")
            .args(paths)
            .output()
            .map_err(|problem| problem.to_string())?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
    };
    let paths: Vec<&str> =
        plan.files.iter().flat_map(|f| [Some(f.path.as_str()), f.renamed_from.as_deref()]).flatten().collect();
    let done = git(&["add", "--all"], &paths)
        .and_then(|_| git(&["commit", "--quiet", "--no-verify", "--only", "-m", &title(prompt)], &paths));
    match done {
        Ok(_) => "committed".to_owned(),
        Err(why) => format!("not committed: {}", why.lines().next().unwrap_or("git failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let file = |path: &str, before: Option<&str>, after: Option<&str>| Planned {
            path: path.into(),
            renamed_from: None,
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        Plan { files: vec![file("a", Some("1\n"), Some("2\n")), file("b", None, Some("new\n"))], ..Plan::default() }
    }

    #[test]
    fn a_decision_chooses_hunks_files_and_edits() {
        let of = |decision| word(&plan(), decision);
        assert_eq!(of(Decision::Accept), Word::Write { plan: plan(), altered: false });
        let Word::Write { plan: one, altered: true } = of(Decision::AcceptHunks(vec![(1, 0)])) else { panic!() };
        assert_eq!(one.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["b"]);
        let Word::Write { plan: edited, .. } = of(Decision::AcceptEdited(vec![(0, "3\n".into())])) else { panic!() };
        assert_eq!(edited.files[0].after.as_deref(), Some("3\n"));
        assert_eq!(edited.files.len(), 2);
        assert_eq!(of(Decision::AcceptHunks(vec![])), Word::Refuse);
        assert_eq!(of(Decision::AskAgain("more".into())), Word::Again("more".into()));
    }

    #[test]
    fn a_failing_change_needs_a_person() {
        let may = |consent, status, guessed| may_be_written(consent, status, guessed).is_ok();
        assert!(may(Consent::Ask, Status::Failed, true) && may(Consent::Yes, Status::Verified, false));
        assert!(!may(Consent::Yes, Status::Failed, false) && !may(Consent::Show, Status::Verified, false));
        assert!(!may(Consent::Yes, Status::Unverified, false), "what was never run is written by a second word only");
        assert!(
            may(Consent::YesUnverified, Status::Unverified, false)
                && !may(Consent::YesUnverified, Status::Failed, false)
        );
        assert!(!may(Consent::YesUnverified, Status::Unverified, true), "a guess needs a check or a person");
    }
}
