//! From a reply to a change that may be judged, or to what is said to the model about it. Pure.
//!
//! Not for: running anything (`check.rs`) or deciding what follows (`agent/policy.rs`).

use std::collections::BTreeMap;

use super::parts;
use crate::reply::edits::{self, Origin, Proposed, Reading, Refusal, RefusalKind};
use crate::reply::fence;
use crate::reply::paths::Known;
use crate::task::{Edit, Finish, Language, Trajectory};
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

/// Reads a reply against the project, `base` laid over it. What a reply states plainly is taken as it is stated; what it
/// states in part, or without a place, is guessed at where a check decides (`guesses`).
pub(super) fn read(said: &Trajectory, tree: &Tree, known: &Known, base: &Base, guesses: bool) -> Reply {
    let text = answer_of(said);
    let mut reading = edits::read(text, known);
    let nothing = reading.edits.is_empty() && reading.refused.iter().all(|r| r.kind == RefusalKind::NoEdits);
    if nothing && text.trim().is_empty() {
        return Reply::Unusable("it is empty".to_owned());
    }
    let rules = Rules {
        reply_is_complete: matches!(said.finish, Finish::EndOfTurn | Finish::Stopped),
        may_shrink: false,
        check_syntax: true,
    };
    let files = Files { tree, base, known };
    if guesses {
        files.relocate(&mut reading);
        files.join_parts(&mut reading);
    }
    let refused = match files.plan(&reading, rules) {
        Ok(plan) => return Reply::Candidate(base.with(plan)),
        Err(refused) => refused,
    };
    // The model may have begun again from the file as it stands on disk.
    if !base.files.is_empty()
        && let Some(plan) = planned_or(&reading, &tree.before(&plan::paths_needed(&reading.edits)), rules)
    {
        return Reply::Candidate(plan);
    }
    if guesses && let Some(plan) = files.rest(&reading, &refused, rules).or_else(|| files.by_likeness(text, rules)) {
        return Reply::Candidate(base.with(plan));
    }
    if !nothing {
        return Reply::Unusable(told(&refused));
    }
    match look(text) {
        Some(command) => Reply::Look(command),
        None => Reply::Words(text.trim().to_owned()),
    }
}

/// The project's files as a reply may mean them.
struct Files<'a> {
    tree: &'a Tree,
    base: &'a Base,
    known: &'a Known,
}

/// Files that a block without a path is compared with.
const COMPARED_MAX: usize = 200;

impl Files<'_> {
    fn plan(&self, reading: &Reading, rules: Rules) -> Result<Plan, Vec<Refusal>> {
        planned(reading, &self.base.before(self.tree, &plan::paths_needed(&reading.edits)), rules)
    }

    fn text(&self, path: &str) -> Option<String> {
        let path = path.to_owned();
        match self.base.before(self.tree, std::slice::from_ref(&path)).remove(&path)? {
            FileState::Text(text) => Some(text),
            FileState::Missing | FileState::Unfit(..) => None,
        }
    }

    /// A path in a folder that is none, with the name of one file alone, is that file where its content fits.
    fn relocate(&self, reading: &mut Reading) {
        for proposed in &mut reading.edits {
            let written = proposed.edit.path().to_owned();
            if self.known.contains(&written) || self.text(&written).is_some() {
                continue;
            }
            let name = written.rsplit('/').next().unwrap_or(&written);
            let mut same = self.known.iter().filter(|path| path.rsplit('/').next() == Some(name));
            let (Some(only), None) = (same.next(), same.next()) else { continue };
            let Some(text) = self.text(only) else { continue };
            let fits = match &proposed.edit {
                Edit::Write { content, .. } => parts::meant(content, std::iter::once((only, text.as_str()))).is_some(),
                Edit::Replace { search, .. } => text.contains(search.trim()),
                Edit::Delete { .. } => false,
            };
            if fits {
                reading.notes.push(format!("{written} was taken for {only}"));
                set_path(&mut proposed.edit, only);
                proposed.instead = None;
            }
        }
    }

    /// A block that is headed by a file's path and leaves most of it out is what changes of the file.
    fn join_parts(&self, reading: &mut Reading) {
        for proposed in &mut reading.edits {
            let Edit::Write { path, content } = &proposed.edit else { continue };
            let path = proposed.instead.as_ref().filter(|_| self.text(path).is_none()).unwrap_or(path).clone();
            let Some(file) = self.text(&path) else { continue };
            if !parts::leaves_out(&path, &file, content) {
                continue;
            }
            if let Some(joined) = parts::joined(&path, &file, content) {
                reading.notes.push(format!("the block for {path} holds parts of it, which were put in their places"));
                proposed.edit = Edit::Write { path, content: joined };
            }
        }
    }

    /// What can be used of a reply of which something cannot.
    fn rest(&self, reading: &Reading, refused: &[Refusal], rules: Rules) -> Option<Plan> {
        let bad: Vec<&str> = refused.iter().filter_map(|refusal| refusal.path.as_deref()).collect();
        let good: Vec<_> = reading.edits.iter().filter(|edit| !bad.contains(&edit.edit.path())).cloned().collect();
        if good.is_empty() || good.len() == reading.edits.len() && reading.refused.is_empty() {
            return None;
        }
        let mut notes = reading.notes.clone();
        notes.extend(refused.iter().map(|refusal| format!("left out: {}", refusal.message)));
        self.plan(&Reading { edits: good, refused: Vec::new(), notes }, rules).ok()
    }

    /// Blocks without a path, each taken for the file that it resembles.
    fn by_likeness(&self, text: &str, rules: Rules) -> Option<Plan> {
        let texts: Vec<(String, String)> =
            self.known.iter().take(COMPARED_MAX).filter_map(|path| Some((path.to_owned(), self.text(path)?))).collect();
        let mut reading = Reading::default();
        for found in fence::fences(text).into_iter().filter(|fence| fence.language() != Some(Language::Shell)) {
            let files = texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
            let Some(path) = parts::meant(&found.body, files) else { continue };
            let file = &texts.iter().find(|(known, _)| known == path)?.1;
            let content = if parts::leaves_out(path, file, &found.body) {
                parts::joined(path, file, &found.body)?
            } else {
                parts::with_head(file, &found.body)
            };
            let line = text[..found.start].matches('\n').count() as u32 + 1;
            let edit = Edit::Write { path: path.to_owned(), content };
            let mut proposed = Proposed::new(edit, Origin::WholeFile, line);
            (proposed.closed, proposed.weak) = (found.closed, true);
            reading.notes.push(format!("a block without a path was taken for {path}, which it resembles"));
            // Of two versions the later is meant.
            reading.edits.retain(|earlier: &Proposed| earlier.edit.path() != path);
            reading.edits.push(proposed);
        }
        if reading.edits.is_empty() {
            return None;
        }
        self.plan(&reading, rules).ok()
    }
}

fn set_path(edit: &mut Edit, to: &str) {
    match edit {
        Edit::Write { path, .. } | Edit::Replace { path, .. } | Edit::Delete { path } => to.clone_into(path),
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
        let of = |text: &str| read(&said(text), &tree, &known, &Base::default(), true);
        assert!(matches!(of("a.py\n```python\nx = 2\n```\n"), Reply::Candidate(plan) if plan.files.len() == 1));
        assert_eq!(of("Let me see.\n```bash\n$ ls -l\n```\n"), Reply::Look("ls -l".into()));
        assert_eq!(of("It adds.\n"), Reply::Words("It adds.".into()));
        let Reply::Unusable(told) = read(&block("nowhere = 9", "q"), &tree, &known, &Base::default(), true) else {
            panic!()
        };
        assert!(told.contains("is not in a.py"), "{told}");
        assert_eq!(of(" \n"), Reply::Unusable("it is empty".into()));
    }

    #[test]
    fn a_second_attempt_builds_on_the_first_or_begins_again() {
        let (_root, tree, known) = project();
        let Reply::Candidate(first) = read(&block("y = 2", "y = 20"), &tree, &known, &Base::default(), true) else {
            panic!()
        };
        let base = Base::of(&first);
        for (search, after) in [("y = 20", "x = 1\ny = 21\nz = 3\n"), ("y = 2", "x = 1\ny = 21\nz = 3\n")] {
            let Reply::Candidate(second) = read(&block(search, "y = 21"), &tree, &known, &base, true) else {
                panic!("{search}")
            };
            assert_eq!(second.files[0].before.as_deref(), Some("x = 1\ny = 2\nz = 3\n"));
            assert_eq!(second.files[0].after.as_deref(), Some(after));
        }
        let Reply::Candidate(other) = read(&block("z = 3", "z = 4"), &tree, &known, &base, true) else { panic!() };
        assert_eq!(other.files[0].after.as_deref(), Some("x = 1\ny = 20\nz = 4\n"));
    }

    #[test]
    fn right_parts_are_taken_and_the_rest_is_said() {
        let (_root, tree, known) = project();
        let of = |text: &str, guesses| read(&said(text), &tree, &known, &Base::default(), guesses);
        let Reply::Candidate(plan) = of("The fix:\n```python\nx = 1\ny = 2\nz = 4\n```\n", true) else { panic!() };
        assert_eq!(
            (plan.files[0].path.as_str(), plan.files[0].after.as_deref()),
            ("a.py", Some("x = 1\ny = 2\nz = 4\n"))
        );
        assert!(plan.notes.iter().any(|note| note.contains("without a path")), "{:?}", plan.notes);
        let Reply::Candidate(plan) = of("src/a.py\n```python\nx = 1\ny = 2\nz = 4\n```\n", true) else { panic!() };
        assert_eq!(plan.files[0].path, "a.py");
        let two = "a.py\n```python\nx = 1\ny = 2\nz = 4\n```\nb.py\n```python\n# ... (rest unchanged)\n```\n";
        let Reply::Candidate(plan) = of(two, true) else { panic!() };
        assert_eq!(plan.files.len(), 1);
        assert!(plan.notes.iter().any(|note| note.starts_with("left out")), "{:?}", plan.notes);
        assert!(matches!(of(two, false), Reply::Unusable(_)), "without a check nothing is guessed");
    }
}
