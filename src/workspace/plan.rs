//! Files before and proposed edits in, files after or refusals out. Pure: no disk, no clock.
//!
//! A plan holds whole or not at all: where one edit is refused, nothing is to be written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::change;
use super::{diff, guard};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The reply is known to have ended by itself, so an open fence was only forgotten.
    pub reply_is_complete: bool,
    /// A whole-file block may drop most of a large file.
    pub may_shrink: bool,
    /// Refuse a change that raises the number of syntax errors (otherwise it is only reported).
    pub check_syntax: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { reply_is_complete: false, may_shrink: false, check_syntax: true }
    }
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
    pub fn diff(&self) -> String {
        diff::unified(&self.path, self.before.as_deref(), self.after.as_deref())
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
    /// What would be refused under stricter rules: new syntax errors, where they are only reported.
    pub warnings: Vec<Refusal>,
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether it may be written.
    pub fn holds(&self) -> bool {
        self.refused.is_empty()
    }

    pub fn diff(&self) -> String {
        self.files.iter().map(Planned::diff).collect()
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
    let mut work = Work { before, rules, now: BTreeMap::new(), plan: Plan::default() };
    work.plan.refused.clone_from(&reading.refused);
    work.plan.notes.clone_from(&reading.notes);
    for proposed in &reading.edits {
        if let Err(refusal) = work.take(proposed) {
            work.plan.refused.push(*refusal);
        }
    }
    work.finish()
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
}

impl Work<'_> {
    fn take(&mut self, proposed: &Proposed) -> Result<(), Refused> {
        let path = self.path_of(proposed);
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
        let (next, note) = change::applied(&draft, proposed, &path, original.as_deref(), self.rules)?;
        self.plan.notes.extend(note);
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

    /// The file that is meant: a bare name may stand for an existing file in a folder.
    fn path_of(&mut self, proposed: &Proposed) -> String {
        let written = proposed.edit.path().to_owned();
        let exists = self.now.contains_key(&written) || self.original(&written).is_some();
        let Some(instead) = proposed.instead.clone().filter(|_| !exists) else { return written };
        let meant = match (&proposed.edit, self.original(&instead)) {
            (Edit::Write { content, .. }, Some(text)) => change::resembles(content, &text),
            (_, text) => text.is_some(),
        };
        if !meant {
            return written;
        }
        self.plan.notes.push(format!("{written} was taken for {instead}"));
        instead
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
        for (path, draft) in std::mem::take(&mut self.now) {
            let before = self.original(&path);
            if before == draft.text {
                continue;
            }
            if let Some(after) = &draft.text {
                let old = before.clone().or_else(|| draft.renamed_from.as_deref().and_then(|p| self.original(p)));
                let worse = change::syntax_worsened(&path, old.as_deref(), after);
                let worse = worse.map(|why| Refusal::new(RefusalKind::Syntax, Some(&path), draft.reply_line, why));
                let list = if self.rules.check_syntax { &mut self.plan.refused } else { &mut self.plan.warnings };
                list.extend(worse);
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
