//! Is a block that was given as a whole file a version of that file, or rather a part of it, or another text?
//!
//! Not for: putting parts into their file (`reply::splice`).

use std::collections::BTreeSet;

use crate::reply::becomes::kept;
use crate::reply::splice::{self, data};

/// A whole-file block may not shrink a file of at least this many lines …
const LARGE_FILE_LINES: usize = 100;
/// … nor, where it defines only a part of what the file defines, one of at least this many …
const PART_FILE_LINES: usize = 8;
/// … by more than this share.
const SHRINK_MAX: f64 = 0.30;
/// A block whose path was only mentioned keeps at least this share of the file's lines.
const WEAK_KEPT_MIN: f64 = 0.6;
/// A shorter block that keeps less than this share of the file's lines is no version of it.
const VERSION_KEPT_MIN: f64 = 0.2;
/// Code without a definition of the file's that keeps less than this share of its lines with words is none either …
const CODE_KEPT_MIN: f64 = 0.5;
/// … nor is data with less than this share of the file's keys.
const COVERAGE_MIN: f64 = 0.5;

/// A block that would be a file.
pub(super) struct Block<'a> {
    pub path: &'a str,
    pub before: &'a str,
    pub content: &'a str,
    /// Its path was only mentioned.
    pub weak: bool,
    /// The user lets it drop most of the file.
    pub may_shrink: bool,
}

impl Block<'_> {
    /// Why the block may not be the file; nothing where it is.
    pub(super) fn doubt(&self) -> Option<String> {
        let Self { path, before, content, .. } = self;
        let (old, new) = (before.lines().count(), content.lines().count());
        let shrinks = (new as f64) < old as f64 * (1.0 - SHRINK_MAX);
        let kept = kept(before, content);
        // A block that was only mentioned is held against the file whatever the user allows.
        if self.may_shrink && !self.weak {
            return None;
        }
        let instead = "change it with SEARCH/REPLACE blocks instead";
        if self.weak && old > 0 && (kept < WEAK_KEPT_MIN || (shrinks && old > 1)) {
            return Some(format!(
                "the block has little of {path}, and whether it is all of the file cannot be told; give the whole file under its path alone"
            ));
        }
        if old >= LARGE_FILE_LINES && shrinks {
            return Some(format!("the block has {new} lines, the file {old}: {instead}"));
        }
        if shrinks && ((old >= PART_FILE_LINES && self.drops_definitions()) || self.drops_functions()) {
            return Some(format!("the block holds only a part of {path}; {instead}"));
        }
        if shrinks && self.is_unread_part(kept) {
            return Some(format!("the block holds only a part of {path}; {instead}"));
        }
        if data::coverage(path, before, content).is_some_and(|share| share < COVERAGE_MIN) {
            return Some(format!("the block has less than half of the keys of {path}; {instead}"));
        }
        let is_other = old > 1 && new < old && kept < VERSION_KEPT_MIN;
        (is_other || self.is_other_code())
            .then(|| format!("the block would replace {path}, which it does not resemble; {instead}"))
    }

    /// The names that the map of the project would have of this text.
    fn tagged(&self, text: &str) -> BTreeSet<String> {
        crate::repo_map::tags(self.path, text).definitions.into_iter().map(|definition| definition.name).collect()
    }

    /// Whether the block defines some of what the file defines and leaves out more than half of it; without
    /// definitions, whether most lines are gone.
    fn drops_definitions(&self) -> bool {
        let (old, new) = (self.tagged(self.before), self.tagged(self.content));
        let shared = old.intersection(&new).count();
        if old.len() < 2 {
            return kept(self.before, self.content) < 0.5
                && self.content.lines().count() * 2 < self.before.lines().count();
        }
        shared * 2 <= old.len() && shared > 0 || (new.is_empty() && !self.content.trim().is_empty())
    }

    /// The same in a language without a grammar here, whatever the file's size: a definition is missing that a pattern
    /// finds, or, where none is found, the file's first line and most others.
    fn is_unread_part(&self, kept: f64) -> bool {
        if splice::is_outlined(self.path, self.before) || data::coverage(self.path, self.before, self.content).is_some()
        {
            return false;
        }
        let first = |text: &str| text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
        let (old, new) = (self.tagged(self.before), self.tagged(self.content));
        let changes = !new.is_empty() && old.iter().any(|name| !new.contains(name));
        changes || (old.is_empty() && first(self.before) != first(self.content) && kept < 0.5)
    }

    /// Whether the block has a changed function and leaves out half of them or more. What only takes lines away may be
    /// meant so.
    fn drops_functions(&self) -> bool {
        let (old, new) = (splice::defined(self.path, self.before), splice::defined(self.path, self.content));
        let shared = old.iter().filter(|name| new.contains(name)).count();
        let lines: BTreeSet<&str> = self.before.lines().map(str::trim_end).collect();
        old.len() > 1 && shared * 2 <= old.len() && self.content.lines().any(|line| !lines.contains(line.trim_end()))
    }

    /// Whether the block has functions or classes, and none of those that the file has.
    fn is_other_code(&self) -> bool {
        let (old, new) = (splice::defined(self.path, self.before), splice::defined(self.path, self.content));
        let worded = |text: &str| -> String {
            let has_words = |line: &&str| line.chars().filter(|c| c.is_alphanumeric()).count() > 2;
            text.lines().filter(has_words).flat_map(|line| [line, "\n"]).collect()
        };
        !old.is_empty()
            && !new.is_empty()
            && !old.iter().any(|name| new.contains(name))
            && kept(&worded(self.before), &worded(self.content)) < CODE_KEPT_MIN
    }
}
