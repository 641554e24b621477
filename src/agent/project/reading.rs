//! From a reply to a change that may be judged, or to what is said to the model about it. Pure.
//!
//! Not for: running anything (`check.rs`) or deciding what follows (`agent/policy.rs`).

use std::collections::{BTreeMap, BTreeSet};

use crate::reply::becomes;
use crate::reply::edits::{Reading, Refusal, RefusalKind};
use crate::reply::fence::{self, Fence};
use crate::reply::paths::Known;
use crate::reply::tolerant::{self, Shown};
use crate::task::{Finish, Language, Trajectory};
use crate::workspace::plan::{self, FileState, Plan, Planned, Rules};
use crate::workspace::tree::Tree;

/// What a reply turned out to be: a change is planned against the project as it stands on disk.
pub(super) type Reply = crate::agent::attempt::Reply<Plan>;

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

    /// The project's texts as the model believes them to be.
    fn texts(&self, tree: &Tree, known: &Known) -> Vec<(String, String)> {
        let paths: Vec<String> = known.iter().take(COMPARED_MAX).map(str::to_owned).collect();
        let text = |(path, state)| if let FileState::Text(text) = state { Some((path, text)) } else { None };
        self.before(tree, &paths).into_iter().filter_map(text).collect()
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

/// Files that a block without a path is compared with.
const COMPARED_MAX: usize = 200;

/// Reads a reply against the project, `base` laid over it, as it is meant rather than as it is written: what was inferred
/// is weak in the plan, and is never written without a check that passed or a person who looked.
pub(super) fn read(said: &Trajectory, tree: &Tree, known: &Known, base: &Base) -> Reply {
    if said.text.trim().is_empty() {
        return Reply::Unusable("it is empty".to_owned());
    }
    let texts = base.texts(tree, known);
    let shown: Vec<Shown<'_>> = texts.iter().map(|(path, text)| Shown { path, text }).collect();
    let (mut text, mut reading) = (answer_of(said), tolerant::read(answer_of(said), known, &shown, ""));
    // A window that ran out behind a finished block had the answer already.
    if reading.edits.is_empty() && text.len() < said.text.len() && !text.contains("```") {
        (text, reading) = (&said.text, tolerant::read(&said.text, known, &shown, ""));
    }
    let nothing = reading.edits.is_empty() && reading.refused.iter().all(|r| r.kind == RefusalKind::NoEdits);
    if nothing {
        let fences = fence::fences(text);
        return match repeated(&fences, &shown) {
            Some(path) => Reply::Unchanged(format!("what it shows stands in {path} already")),
            None => look(&fences).map_or_else(|| Reply::Words(text.trim().to_owned()), Reply::Look),
        };
    }
    let rules = Rules {
        reply_is_complete: matches!(said.finish, Finish::EndOfTurn | Finish::Stopped),
        each_file: true,
        ..Rules::default()
    };
    let paths = plan::paths_needed(&reading.edits);
    match planned(&reading, &base.before(tree, &paths), rules) {
        Ok(plan) => Reply::Candidate(base.with(plan)),
        Err(refused) if base.files.is_empty() => no_use(&refused),
        // The model may have begun again from the file as it stands on disk.
        Err(refused) => {
            let again = planned(&reading, &tree.before(&paths), rules);
            again.map_or_else(|_| no_use(&refused), Reply::Candidate)
        }
    }
}

fn no_use(refused: &[Refusal]) -> Reply {
    let stands = refused.iter().all(|refusal| refusal.kind == RefusalKind::AlreadyApplied);
    if stands { Reply::Unchanged(told(refused)) } else { Reply::Unusable(told(refused)) }
}

fn planned(reading: &Reading, before: &plan::Before, rules: Rules) -> Result<Plan, Vec<Refusal>> {
    let mut plan = plan::plan(before, reading, rules);
    let lost: Vec<String> = plan.files.iter().filter(|file| loses_all(file)).map(|file| file.path.clone()).collect();
    plan.weak.extend(lost);
    plan.weak.sort();
    plan.weak.dedup();
    if plan.holds() && !plan.files.is_empty() { Ok(plan) } else { Err(plan.refused) }
}

/// Whether a file is to lose everything that it defines: then the block was most likely a part to be added, and only a
/// check can say that it was the file.
fn loses_all(file: &Planned) -> bool {
    let names = |text: &str| -> BTreeSet<String> {
        crate::repo_map::tags(&file.path, text).definitions.into_iter().map(|defined| defined.name).collect()
    };
    match (&file.before, &file.after) {
        (Some(before), Some(after)) => {
            let old = names(before);
            !old.is_empty() && old.is_disjoint(&names(after))
        }
        _ => false,
    }
}

/// The part of a reply that counts: after the hint where the window shifted, else all of it.
pub(super) fn answer_of(said: &Trajectory) -> &str {
    if said.shifted.is_some() { said.answer() } else { &said.text }
}

/// Blocks with fewer lines are said in passing.
const BLOCK_LINES_MIN: usize = 3;

pub(super) fn lines_with_text(fence: &Fence) -> usize {
    fence.body.lines().filter(|line| !line.trim().is_empty()).count()
}

fn is_long(fence: &Fence) -> bool {
    lines_with_text(fence) >= BLOCK_LINES_MIN
}

/// The file that a block of the reply repeats, as a whole or in part.
fn repeated<'a>(fences: &[Fence], shown: &'a [Shown<'_>]) -> Option<&'a str> {
    fences
        .iter()
        .filter(|fence| is_long(fence))
        .find_map(|fence| shown.iter().find(|file| becomes::kept(&fence.body, file.text) >= 1.0).map(|file| file.path))
}

/// The command of a reply that ends with a shell block. A script is no command to look around with, and below other code
/// a command says how to run that.
fn look(fences: &[Fence]) -> Option<String> {
    const LINES_MAX: usize = 12;
    let (last, others) = fences.split_last().filter(|(last, _)| last.language() == Some(Language::Shell))?;
    let command = last.body.trim();
    let command = command.strip_prefix("$ ").unwrap_or(command);
    let is_script = command.starts_with("#!")
        || command.lines().count() > LINES_MAX
        || crate::reply::splice::defines_in_shell(command);
    (!command.is_empty() && !is_script && !others.iter().any(is_long)).then(|| command.to_owned())
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
        assert!(matches!(of("a.py\n```python\nx = 2\n```\n"), Reply::Candidate(plan) if plan.files.len() == 1));
        assert_eq!(of("Let me see.\n```bash\n$ ls -l\n```\n"), Reply::Look("ls -l".into()));
        assert_eq!(of("It adds.\n"), Reply::Words("It adds.".into()));
        let Reply::Unusable(told) = read(&block("nowhere = 9", "q"), &tree, &known, &Base::default()) else { panic!() };
        assert!(told.contains("is not in a.py"), "{told}");
        assert_eq!(of(" \n"), Reply::Unusable("it is empty".into()));
        let same = of("a.py\n```python\nx = 1\ny = 2\nz = 3\n```\n");
        assert!(matches!(&same, Reply::Unchanged(told) if told.contains("stands in the files already")), "{same:?}");
        let same = of("Run it:\n```bash\nx = 1\ny = 2\nz = 3\n```\n");
        assert!(matches!(&same, Reply::Unchanged(told) if told.contains("a.py already")), "{same:?}");
        let script = of("```bash\n#!/bin/bash\necho 1\n```\n");
        assert!(matches!(&script, Reply::Words(_)), "a script is no look: {script:?}");
        let function = of("```bash\ncopy_files() {\n    cp -p \"$1\"/* \"$2\"\n}\n```\n");
        assert!(matches!(&function, Reply::Words(_)), "nor is a function: {function:?}");
        let below = of("```\nx = 7\ny = 8\nfor q in z: pass\n```\nNow run it:\n```bash\npython3 a.py\n```\n");
        assert!(!matches!(&below, Reply::Look(_)), "{below:?}");
    }

    #[test]
    fn a_second_attempt_builds_on_the_first_or_begins_again() {
        let (_root, tree, known) = project();
        let Reply::Candidate(first) = read(&block("y = 2", "y = 20"), &tree, &known, &Base::default()) else {
            panic!()
        };
        let base = Base::of(&first);
        for (search, after) in [("y = 20", "x = 1\ny = 21\nz = 3\n"), ("y = 2", "x = 1\ny = 21\nz = 3\n")] {
            let Reply::Candidate(second) = read(&block(search, "y = 21"), &tree, &known, &base) else {
                panic!("{search}")
            };
            assert_eq!(second.files[0].before.as_deref(), Some("x = 1\ny = 2\nz = 3\n"));
            assert_eq!(second.files[0].after.as_deref(), Some(after));
        }
        let Reply::Candidate(other) = read(&block("z = 3", "z = 4"), &tree, &known, &base) else { panic!() };
        assert_eq!(other.files[0].after.as_deref(), Some("x = 1\ny = 20\nz = 4\n"));
    }

    #[test]
    fn right_parts_are_taken_and_the_rest_is_said() {
        let (_root, tree, known) = project();
        let of = |text: &str| read(&said(text), &tree, &known, &Base::default());
        let Reply::Candidate(plan) = of("The fix:\n```python\nx = 1\ny = 2\nz = 4\n```\n") else { panic!() };
        assert_eq!(
            (plan.files[0].path.as_str(), plan.files[0].after.as_deref()),
            ("a.py", Some("x = 1\ny = 2\nz = 4\n"))
        );
        assert_eq!(plan.weak, ["a.py"], "it is shown as guessed");
        let two = "a.py\n```python\nx = 1\ny = 2\nz = 4\n```\nb.py\n```python\n# ... (rest unchanged)\n```\n";
        let Reply::Candidate(plan) = of(two) else { panic!() };
        assert_eq!(plan.files.len(), 1);
    }
}
