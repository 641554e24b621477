//! Files before and proposed edits in, files after or refusals out. Pure: no disk, no clock.
//!
//! A plan holds whole or not at all: where one edit is refused, nothing is to be written.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::change;
use super::{diff, guard, parsing};
use crate::event::FileChange;
use crate::reply::edits::{Proposed, Reading, Refusal, RefusalKind};
use crate::task::Edit;

/// What stands at a path before the edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    Missing,
    Text(String),
    /// It is there and must not be edited: binary, too large, a link, a folder. Says which.
    Unfit(RefusalKind, String),
}

/// Every path that the edits speak of, with its state.
pub type Before = BTreeMap<String, FileState>;

/// What a plan may do and must check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The reply is known to have ended by itself, so an open fence was only forgotten.
    pub reply_is_complete: bool,
    /// A whole-file block may drop most of a large file.
    pub may_shrink: bool,
    /// Each file by itself: where one of a file's edits is refused, that file is left out and the others stay. For
    /// a plan whose outcome a check decides.
    pub each_file: bool,
}

/// What is to happen to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    pub path: String,
    /// The path it had, where it moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl Planned {
    /// The change as a unified diff; what has no lines to show (a move, an empty file) as git's headers.
    pub fn diff(&self) -> String {
        let lines = diff::unified(&self.path, self.before.as_deref(), self.after.as_deref());
        if let Some(from) = &self.renamed_from {
            return format!("diff --git a/{from} b/{0}\nrename from {from}\nrename to {0}\n{lines}", self.path);
        }
        match (&self.before, &self.after) {
            (None, Some(_)) if lines.is_empty() => format!("diff --git a/{0} b/{0}\nnew file mode 100644\n", self.path),
            (Some(_), None) if lines.is_empty() => {
                format!("diff --git a/{0} b/{0}\ndeleted file mode 100644\n", self.path)
            }
            _ => lines,
        }
    }

    /// The change as events carry it.
    pub fn file_change(&self) -> FileChange {
        let (added_lines, removed_lines) = diff::counts(self.before.as_deref(), self.after.as_deref());
        let (path, before, after) = (self.path.clone(), self.before.clone(), self.after.clone());
        FileChange { path, added_lines, removed_lines, before, after }
    }
}

/// The outcome of planning.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    pub files: Vec<Planned>,
    pub refused: Vec<Refusal>,
    /// What a reader should look at: text that the linked grammar does not know. Never a refusal: a grammar is older than
    /// its language (`verify::opinion` asks the language's own tool).
    pub warnings: Vec<Refusal>,
    pub notes: Vec<String>,
    /// Files whose change was read weakly: which file was meant, or that the block is the whole file, was inferred.
    /// Shown as such, and never written without a look or a check that passed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weak: Vec<String>,
    /// Files whose mode the reply changes: executable or not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<String, bool>,
    /// What was refused of files that were left out (see [`Rules::each_file`]).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Refusal>,
}

impl Plan {
    /// Whether it may be written.
    pub fn holds(&self) -> bool {
        self.refused.is_empty()
    }

    pub fn diff(&self) -> String {
        self.files.iter().map(|file| self.diff_of(file)).collect()
    }

    /// One file's diff, with what the plan says of its mode.
    pub fn diff_of(&self, file: &Planned) -> String {
        let mode = match self.modes.get(&file.path) {
            None => String::new(),
            Some(true) if file.before.is_none() => "new file mode 100755\n".to_owned(),
            Some(true) => "old mode 100644\nnew mode 100755\n".to_owned(),
            Some(false) => "old mode 100755\nnew mode 100644\n".to_owned(),
        };
        let diff = file.diff();
        if mode.is_empty() || diff.starts_with("diff --git") {
            return diff + &mode;
        }
        format!("diff --git a/{0} b/{0}\n{mode}{diff}", file.path)
    }
}

/// The paths whose state a plan of these edits needs.
pub fn paths_needed(edits: &[Proposed]) -> Vec<String> {
    let mut paths: Vec<String> = edits
        .iter()
        .flat_map(|e| [Some(e.edit.path().to_owned()), e.instead.clone(), e.rename_to.clone()])
        .flatten()
        .filter(|path| guard::check(path).is_ok())
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Plans what a reply proposes. Edits of one file apply in their order, each to what the one before left.
pub fn plan(before: &Before, reading: &Reading, rules: Rules) -> Plan {
    let mut work = Work { before, rules, now: BTreeMap::new(), plan: Plan::default(), rewrites: Vec::new() };
    work.plan.refused.clone_from(&reading.refused);
    work.plan.notes.clone_from(&reading.notes);
    for proposed in &reading.edits {
        if let Err(refusal) = work.take(proposed) {
            work.plan.refused.push(*refusal);
        }
    }
    let plan = work.finish();
    if rules.each_file { without_refused(plan, before, reading, rules) } else { plan }
}

/// The plan of those files of which nothing was refused. Where that is none, the plan stays refused.
fn without_refused(plan: Plan, before: &Before, reading: &Reading, rules: Rules) -> Plan {
    if plan.refused.is_empty() {
        return plan;
    }
    let bad: BTreeSet<&str> = plan.refused.iter().filter_map(|refusal| refusal.path.as_deref()).collect();
    let named = |edit: &Proposed| {
        let paths = [Some(edit.edit.path()), edit.instead.as_deref(), edit.rename_to.as_deref()];
        paths.into_iter().flatten().any(|path| bad.contains(path))
    };
    let edits: Vec<Proposed> = reading.edits.iter().filter(|edit| !named(edit)).cloned().collect();
    if edits.is_empty() || edits.len() == reading.edits.len() && reading.refused.is_empty() {
        return plan;
    }
    let rest = Reading { edits, refused: Vec::new(), notes: reading.notes.clone() };
    let mut kept = self::plan(before, &rest, Rules { each_file: false, ..rules });
    if kept.files.is_empty() || !kept.refused.is_empty() {
        return plan;
    }
    for refusal in &plan.refused {
        let what = refusal.path.as_deref().unwrap_or("a block");
        kept.notes.push(format!("{what} was left out: {}", refusal.message));
    }
    kept.left_out = plan.refused;
    kept
}

pub(super) type Refused = Box<Refusal>;

/// A file in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub text: Option<String>,
    pub renamed_from: Option<String>,
    /// How many lines the edits so far have added, with the line (of the original) they were added at.
    pub shifts: Vec<(u32, i64)>,
    pub reply_line: u32,
}

struct Work<'a> {
    before: &'a Before,
    rules: Rules,
    now: BTreeMap<String, Draft>,
    plan: Plan,
    /// Whole files that say the same text: they may be meant to change line ends or the file's end alone.
    rewrites: Vec<(String, String)>,
}

impl Work<'_> {
    fn take(&mut self, proposed: &Proposed) -> Result<(), Refused> {
        let path = self.path_of(proposed);
        self.no_namesake(proposed)?;
        let refuse = |kind, message: String| Box::new(Refusal::new(kind, Some(&path), proposed.reply_line, message));
        guard::check(&path).map_err(|why| refuse(RefusalKind::Forbidden, why))?;
        if !self.now.contains_key(&path) {
            let text = match self.before.get(&path) {
                Some(FileState::Text(text)) => Some(text.clone()),
                Some(FileState::Unfit(kind, why)) => return Err(refuse(*kind, why.clone())),
                Some(FileState::Missing) | None => None,
            };
            self.now.insert(path.clone(), Draft { text, reply_line: proposed.reply_line, ..Draft::default() });
        }
        let draft = self.now.get(&path).cloned().expect("invariant: the draft was inserted above");
        let original = self.original(&path);
        let chosen = change::chosen(&draft, proposed, &path)?;
        let (next, note) = change::applied(&draft, &chosen, &path, original.as_deref(), self.rules)?;
        self.plan.notes.extend(note);
        if proposed.weak && next.text != draft.text {
            let line = proposed.reply_line;
            self.plan.notes.push(format!("{path}: how the block at line {line} is meant was inferred; look at it"));
            self.plan.weak.push(path.clone());
        }
        if let (Edit::Write { content, .. }, true) = (&chosen.edit, next.text == original) {
            self.rewrites.push((path.clone(), content.clone()));
        }
        if let Some(executable) = proposed.executable {
            self.plan.modes.insert(path.clone(), executable);
        }
        self.now.insert(path.clone(), next);
        if let Some(to) = &proposed.rename_to {
            self.rename(&path, to, proposed)?;
        }
        Ok(())
    }

    fn original(&self, path: &str) -> Option<String> {
        match self.before.get(path) {
            Some(FileState::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// The file that is meant: where the named one does not exist, the one that has the text to replace.
    fn path_of(&mut self, proposed: &Proposed) -> String {
        let written = proposed.edit.path().to_owned();
        let exists =
            self.now.contains_key(&written) || !matches!(self.before.get(&written), Some(FileState::Missing) | None);
        let Some(instead) = proposed.instead.clone().filter(|_| !exists) else { return written };
        let text = self.now.get(&instead).map_or_else(|| self.original(&instead), |draft| draft.text.clone());
        let found = text.is_some_and(|text| {
            let readings = std::iter::once(&proposed.edit).chain(&proposed.others);
            readings.into_iter().any(|edit| match edit {
                Edit::Replace { search, .. } => change::stands_in(&text, search),
                Edit::Write { .. } | Edit::Delete { .. } => false,
            })
        });
        if !found {
            return written;
        }
        self.plan.notes.push(format!("{written} does not exist; its text stands in {instead}, which was taken"));
        instead
    }

    /// Refuses a new file with a bare name whose content is another version of a file in a folder.
    fn no_namesake(&self, proposed: &Proposed) -> Result<(), Refused> {
        const KEPT_MIN: f64 = 0.6;
        let (Edit::Write { path, content }, Some(other)) = (&proposed.edit, &proposed.instead) else { return Ok(()) };
        let is_new = !self.now.contains_key(path) && self.original(path).is_none();
        let looks_like = |text: String| text.lines().count() > 2 && change::kept(&text, content) >= KEPT_MIN;
        if is_new && self.original(other).is_some_and(looks_like) {
            let message =
                format!("{path} does not exist, and the block looks like {other}; name the file with its folder");
            return Err(Box::new(Refusal::new(RefusalKind::NoPath, Some(path), proposed.reply_line, message)));
        }
        Ok(())
    }

    fn rename(&mut self, path: &str, to: &str, proposed: &Proposed) -> Result<(), Refused> {
        let refuse = |kind, message: String| Box::new(Refusal::new(kind, Some(to), proposed.reply_line, message));
        guard::check(to).map_err(|why| refuse(RefusalKind::Forbidden, why))?;
        let occupied = !matches!(self.before.get(to), Some(FileState::Missing) | None) || self.now.contains_key(to);
        if occupied {
            return Err(refuse(RefusalKind::Forbidden, format!("{to} exists; nothing is moved over it")));
        }
        let draft = self.now.remove(path).unwrap_or_default();
        self.now.insert(path.to_owned(), Draft { text: None, ..draft.clone() });
        self.now.insert(to.to_owned(), Draft { renamed_from: Some(path.to_owned()), ..draft });
        Ok(())
    }

    /// Checks the files as wholes and lays out the plan, sorted by path.
    fn finish(mut self) -> Plan {
        let changes =
            self.now.iter().any(|(path, draft)| self.original(path) != draft.text) || !self.plan.modes.is_empty();
        if !changes && self.plan.refused.is_empty() {
            // Nothing but line ends differs: then that is what was asked for.
            for (path, content) in std::mem::take(&mut self.rewrites) {
                if let Some(draft) = self.now.get_mut(&path).filter(|draft| draft.text.is_some()) {
                    draft.text = Some(content);
                }
            }
        }
        for (path, draft) in std::mem::take(&mut self.now) {
            let before = self.original(&path);
            if before == draft.text && !(before.is_some() && self.plan.modes.contains_key(&path)) {
                continue;
            }
            if let Some(after) = &draft.text {
                let old = before.clone().or_else(|| draft.renamed_from.as_deref().and_then(|p| self.original(p)));
                let suspicion = parsing::suspicion(&path, old.as_deref(), after);
                let told = suspicion.map(|why| Refusal::new(RefusalKind::Syntax, Some(&path), draft.reply_line, why));
                self.plan.warnings.extend(told);
            }
            self.plan.files.push(Planned { path, renamed_from: draft.renamed_from, before, after: draft.text });
        }
        if self.plan.files.is_empty() && self.plan.refused.is_empty() {
            let message = "the reply changes nothing: what it proposes stands in the files already";
            self.plan.refused.push(Refusal::new(RefusalKind::AlreadyApplied, None, 1, message));
        }
        self.plan
    }
}
