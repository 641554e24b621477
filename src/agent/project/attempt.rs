//! From a reply to a change that may be judged, or to what is said to the model about it. Pure.
//!
//! Not for: running anything (`check.rs`) or asking again (`mod.rs`).

use std::collections::BTreeMap;

use crate::reply::edits::{self, Reading, Refusal, RefusalKind};
use crate::reply::fence;
use crate::reply::paths::Known;
use crate::task::{Finish, Language, Trajectory, Verdict};
use crate::workspace::plan::{self, FileState, Plan, Planned, Rules};
use crate::workspace::tree::Tree;

/// What a reply turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// A change, planned against the project as it stands on disk.
    Change(Plan),
    /// It wants to see what a command prints.
    Look(String),
    /// It looks like a change and cannot be used.
    Refused(Vec<Refusal>),
    /// Words alone.
    Words(String),
}

/// The project with the changes of earlier attempts laid over it.
#[derive(Clone, Debug, Default)]
pub(super) struct Base {
    files: BTreeMap<String, Planned>,
}

impl Base {
    pub(super) fn of(plan: &Plan) -> Self {
        Self { files: plan.files.iter().map(|file| (file.path.clone(), file.clone())).collect() }
    }

    /// What stands at these paths as the model believes: disk, then what it changed.
    fn before(&self, tree: &Tree, paths: &[String]) -> plan::Before {
        let mut before = tree.before(paths);
        for (path, state) in &mut before {
            if let Some(file) = self.files.get(path) {
                *state = file.after.clone().map_or(FileState::Missing, FileState::Text);
            }
        }
        before
    }

    /// This base's changes and then `plan`'s, as one plan against the disk.
    fn with(&self, plan: Plan) -> Plan {
        let mut files = self.files.clone();
        for file in plan.files {
            let before = files.get(&file.path).map_or_else(|| file.before.clone(), |earlier| earlier.before.clone());
            files.insert(file.path.clone(), Planned { before, ..file });
        }
        let files = files.into_values().filter(|file| file.before != file.after).collect();
        Plan { files, ..plan }
    }
}

/// Reads a reply against the project, `base` laid over it.
pub(super) fn read(said: &Trajectory, tree: &Tree, known: &Known, base: &Base) -> Reply {
    let text = answer_of(said);
    let reading = edits::read(text, known);
    let nothing = reading.edits.is_empty() && reading.refused.iter().all(|r| r.kind == RefusalKind::NoEdits);
    if nothing {
        return match look(text) {
            Some(command) => Reply::Look(command),
            None => Reply::Words(text.trim().to_owned()),
        };
    }
    let rules = Rules { reply_is_complete: said.finish == Finish::EndOfTurn, ..Rules::default() };
    let paths = plan::paths_needed(&reading.edits);
    let planned = planned(&reading, &base.before(tree, &paths), rules);
    // The model may have begun again from the file as it stands on disk.
    let fresh = |refused: Vec<Refusal>| {
        let again = planned_or(&reading, &tree.before(&paths), rules);
        again.map_or(Reply::Refused(refused), Reply::Change)
    };
    match planned {
        Ok(plan) => Reply::Change(base.with(plan)),
        Err(refused) if base.files.is_empty() => Reply::Refused(refused),
        Err(refused) => fresh(refused),
    }
}

fn planned(reading: &Reading, before: &plan::Before, rules: Rules) -> Result<Plan, Vec<Refusal>> {
    let plan = plan::plan(before, reading, rules);
    if plan.holds() { Ok(plan) } else { Err(plan.refused) }
}

fn planned_or(reading: &Reading, before: &plan::Before, rules: Rules) -> Option<Plan> {
    planned(reading, before, rules).ok()
}

/// The part of a reply that counts: after the hint where the window shifted, else all of it.
pub(super) fn answer_of(said: &Trajectory) -> &str {
    if said.shifted.is_some() { said.answer() } else { &said.text }
}

/// The command of a reply that ends with a shell block.
fn look(text: &str) -> Option<String> {
    let fences = fence::fences(text);
    let last = fences.last().filter(|fence| fence.language() == Some(Language::Shell))?;
    let command = last.body.trim();
    let command = command.strip_prefix("$ ").unwrap_or(command);
    (!command.is_empty()).then(|| command.to_owned())
}

/// Refusals as the model is told of them: what, why, and the nearest lines as they stand.
pub(super) fn told(refused: &[Refusal]) -> String {
    const TOLD_MAX: usize = 4;
    const REGION_LINES_MAX: usize = 30;
    let mut out = String::new();
    for refusal in refused.iter().take(TOLD_MAX) {
        out.push_str(&format!("* {}\n", refusal.message));
        if let Some(region) = &refusal.nearest {
            let path = refusal.path.as_deref().unwrap_or("the file");
            out.push_str(&format!("  Lines {}-{} of {path} are:\n\n", region.first_line, region.last_line));
            let lines: Vec<&str> = region.text.lines().take(REGION_LINES_MAX).collect();
            out.push_str(&format!("```\n{}\n```\n", lines.join("\n")));
        }
    }
    if refused.len() > TOLD_MAX {
        out.push_str(&format!("* and {} more\n", refused.len() - TOLD_MAX));
    }
    out.trim_end().to_owned()
}

/// How good an attempt is: passed, nothing to check, then fewer failures.
pub(super) fn rank(verdict: &Verdict) -> (u8, i64) {
    match verdict {
        Verdict::Passed(_) => (3, 0),
        Verdict::NothingToCheck { .. } | Verdict::SandboxFailed { .. } => (2, 0),
        Verdict::Failed(report) => (1, i64::from(report.passed) - i64::from(report.failed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Trajectory {
        Trajectory::ended(text)
    }

    fn project() -> (tempfile::TempDir, Tree, Known) {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("a.py"), "x = 1\ny = 2\nz = 3\n").unwrap();
        std::fs::write(root.path().join("b.py"), "pass\n").unwrap();
        let tree = Tree::open(root.path()).unwrap();
        let known = Known::new(tree.listing().paths);
        (root, tree, known)
    }

    fn block(search: &str, replace: &str) -> Trajectory {
        said(&format!("a.py\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"))
    }

    #[test]
    fn replies_are_changes_looks_or_words() {
        let (_root, tree, known) = project();
        let of = |text: &str| read(&said(text), &tree, &known, &Base::default());
        assert!(matches!(of("a.py\n```python\nx = 2\n```\n"), Reply::Change(plan) if plan.files.len() == 1));
        assert_eq!(of("Let me see.\n```bash\n$ ls -l\n```\n"), Reply::Look("ls -l".into()));
        assert_eq!(of("It adds.\n"), Reply::Words("It adds.".into()));
        let Reply::Refused(refused) = read(&block("nowhere = 9", "q"), &tree, &known, &Base::default()) else {
            panic!()
        };
        assert_eq!(refused[0].kind, RefusalKind::NotFound);
        assert!(told(&refused).contains("a.py"), "{}", told(&refused));
    }

    #[test]
    fn a_second_attempt_builds_on_the_first_or_begins_again() {
        let (_root, tree, known) = project();
        let Reply::Change(first) = read(&block("y = 2", "y = 20"), &tree, &known, &Base::default()) else { panic!() };
        let base = Base::of(&first);
        for (search, after) in [("y = 20", "x = 1\ny = 21\nz = 3\n"), ("y = 2", "x = 1\ny = 21\nz = 3\n")] {
            let Reply::Change(second) = read(&block(search, "y = 21"), &tree, &known, &base) else {
                panic!("{search}")
            };
            assert_eq!(second.files[0].before.as_deref(), Some("x = 1\ny = 2\nz = 3\n"));
            assert_eq!(second.files[0].after.as_deref(), Some(after));
        }
        let Reply::Change(other) = read(&block("z = 3", "z = 4"), &tree, &known, &base) else { panic!() };
        assert_eq!(other.files[0].after.as_deref(), Some("x = 1\ny = 20\nz = 4\n"));
    }
}
