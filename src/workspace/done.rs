//! Whether an edit was made before: its outcome stands in the file already, told apart no more strictly than the place it
//! would be made at was found. Pure.
//!
//! Not for: finding the place (`matching.rs`).

use super::matching::{self, Found, Miss, Rung};
use super::splice;
use crate::reply::edits::Hint;

/// Whether an edit that only adds lines was made before: the new text stands around the place where its old lines are,
/// told apart no more strictly than the place was found.
pub(super) fn stands_around(file: &[&str], found: &Found, search: &[&str], replace: &[&str]) -> bool {
    if !adds_only(search, replace) {
        return false;
    }
    let shifted = found.rung >= Rung::Indentation;
    let same = |f: &str, r: &str| if shifted { f.trim() == r.trim() } else { f.trim_end() == r.trim_end() };
    let earliest = found.range.end.saturating_sub(replace.len());
    (earliest..=found.range.start).any(|at| {
        file.get(at..at + replace.len()).is_some_and(|window| window.iter().zip(replace).all(|(f, r)| same(f, r)))
    })
}

/// Whether both sides have the same lines but for blank ones.
pub(super) fn changes_blanks_only(search: &[&str], replace: &[&str]) -> bool {
    let solid = |lines: &[&str]| -> Vec<String> {
        lines.iter().filter(|line| !line.trim().is_empty()).map(|line| line.trim_end().to_owned()).collect()
    };
    solid(search) == solid(replace)
}

/// Whether every old line stays and there are more.
pub(super) fn adds_only(search: &[&str], replace: &[&str]) -> bool {
    replace.len() > search.len() && splice::touched(search, replace).iter().all(|touched| !touched)
}

/// Whether any of the lines says something.
pub(super) fn has_words(lines: &[&str]) -> bool {
    lines.iter().any(|line| line.chars().any(char::is_alphanumeric))
}

/// Whether the replacement, with something in it that the search text has not, is in the file.
pub(super) fn stands_already(text: &str, search: &[&str], replace: &[&str]) -> bool {
    let is_new = |line: &&&str| line.chars().any(char::is_alphanumeric) && !search.contains(*line);
    if replace.iter().filter(is_new).count() == 0 {
        return false;
    }
    let file: Vec<&str> = text.lines().collect();
    let untouched = vec![true; replace.len()];
    matching::find(&file, replace, &untouched, &Hint::default()).is_ok_and(|found| found.rung < Rung::Close)
}

/// Whether the text that the edit would make stands in the file more exactly than the text that it replaces: a longer one, or
/// what is left of a shorter one where that says enough.
pub(super) fn stands_better(text: &str, search: &[&str], replace: &[&str], rung: Rung) -> bool {
    const SAYING_LINES_MIN: usize = 2;
    let file: Vec<&str> = text.lines().collect();
    let untouched = vec![true; replace.len()];
    let says = replace.iter().filter(|line| line.chars().any(char::is_alphanumeric)).count();
    let comparable = replace.len() > search.len() || (replace.len() < search.len() && says >= SAYING_LINES_MIN);
    comparable
        && match matching::find(&file, replace, &untouched, &Hint::default()) {
            // Where lines are only added, the longer text is found wherever the shorter one is not yet done.
            Ok(found) => found.rung < rung || (found.rung == rung && adds_only(search, replace)),
            Err(Miss::Ambiguous(_)) => true,
            Err(Miss::NotFound(_) | Miss::Done) => false,
        }
}
