//! Definitions of a fence put into a file: those of the same name are replaced, new ones added, imports merged; the
//! rest of the file stays.
//!
//! Pure, and careful: where it cannot be told which definition is meant, where the result would parse worse, or where
//! the fence leaves code out inside a definition, there is no result.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{elision, joined, paths};
use crate::repo_map::outline::{Definition, Outline, outline};
use crate::repo_map::syntax;

pub mod data;
mod edit;
mod heads;
mod imports;
mod sections;

use edit::Edit;

/// A file with definitions put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    pub text: String,
    pub replaced: Vec<String>,
    pub added: Vec<String>,
    /// Lines of code in the fence that are no definitions, and were left out.
    pub left_out: usize,
}

/// The file with the fence's definitions in it; nothing where that is not safe. `named` says that the fence is known to
/// be about this file: then it may hold new definitions alone.
pub fn spliced(path: &str, text: &str, fence: &str, named: bool) -> Option<Spliced> {
    let Some(file) = outline(path, text) else {
        let fence = elision::stripped(fence);
        return data::merged(path, text, fence, named).or_else(|| sections::merged(path, text, fence, named));
    };
    let part = Part::read(path, fence)?;
    let mut edit = Edit::new(path, text, &file, part);
    edit.definitions()?;
    if edit.replaced.is_empty() && !(named && !edit.added.is_empty() && !file.definitions.is_empty()) {
        // New definitions alone say nothing of the file that they belong to.
        return None;
    }
    edit.imports();
    edit.finish()
}

/// A whole file with the imports that the file before had, that it still uses and that it left out; nothing where none
/// is missing.
pub fn with_imports(path: &str, text: &str, content: &str) -> Option<String> {
    imports::kept(path, text, content)
}

/// The names of functions and classes that a fence defines; none where it cannot be read as definitions.
pub fn defined(path: &str, fence: &str) -> Vec<String> {
    let part = Part::read(path, fence).map_or_else(Vec::new, |part| part.outline.definitions);
    part.into_iter().filter(|d| d.is_function || d.is_container).map(|d| d.name).collect()
}

/// Whether a text defines a function of the shell: that is no command to be run.
pub fn defines_in_shell(text: &str) -> bool {
    !defined("script.sh", text).is_empty()
}

/// The share of the fence's definitions that the file has.
pub fn shared_definitions(path: &str, text: &str, fence: &str) -> f64 {
    let (Some(file), Some(part)) = (outline(path, text), Part::read(path, fence)) else {
        let put = data::merged(path, text, fence, false).or_else(|| sections::merged(path, text, fence, false));
        return put.map_or(0.0, |_| 0.6);
    };
    let names: BTreeSet<String> = all_names(&file);
    let own: Vec<&String> = part.outline.definitions.iter().map(|d| &d.name).collect();
    if own.is_empty() {
        0.0
    } else {
        own.iter().filter(|name| names.contains(**name)).count() as f64 / own.len() as f64
    }
}

/// The definitions that the file has and the fence leaves out (none where there is no grammar).
pub fn dropped(path: &str, text: &str, fence: &str) -> Vec<String> {
    let (Some(file), Some(new)) = (outline(path, text), outline(path, fence)) else { return Vec::new() };
    let new: BTreeSet<String> = new.names().into_iter().collect();
    file.names().into_iter().filter(|name| !new.contains(name)).collect()
}

/// A definition of whose lines so many hundredths stand somewhere was renamed or moved, not lost.
const MOVED_PER_CENT: usize = 90;

/// Whether a definition of a text with these lines stands among `now` under whatever name.
pub fn stands_in(lines: &[&str], definition: &Definition, now: &BTreeSet<&str>) -> bool {
    let own = lines.get(definition.lines.clone()).unwrap_or_default();
    // The first line has the name; a bracket alone says nothing.
    let told: Vec<&str> = own.iter().skip(1).map(|line| line.trim()).filter(|line| line.len() > 2).collect();
    let stands = told.iter().filter(|line| now.contains(**line)).count();
    !told.is_empty() && stands * 100 >= told.len() * MOVED_PER_CENT
}

/// The lines of what `after` defines and `before` does not: where a definition can stand under another name, or that of
/// another file. All lines where there is no grammar.
pub fn new_lines<'a>(path: &str, before: &str, after: &'a str) -> BTreeSet<&'a str> {
    let lines: Vec<&str> = after.lines().map(str::trim).collect();
    let Some(new) = outline(path, after) else { return lines.into_iter().collect() };
    let old: BTreeSet<String> =
        outline(path, before).map_or_else(BTreeSet::new, |old| old.names().into_iter().collect());
    let is_new = |(name, _): &(String, &Definition)| !old.contains(name);
    let found = new.each().into_iter().filter(is_new).flat_map(|(_, definition)| definition.lines.clone());
    found.filter_map(|at| lines.get(at).copied()).collect()
}

/// Whether each definition that the fence leaves out stands in it under another name.
pub fn renames(path: &str, text: &str, fence: &str) -> bool {
    let (Some(file), Some(new)) = (outline(path, text), outline(path, fence)) else { return false };
    let names: BTreeSet<String> = new.names().into_iter().collect();
    let lines: Vec<&str> = text.lines().collect();
    let now = new_lines(path, text, fence);
    let stays =
        |(name, definition): &(String, &Definition)| names.contains(name) || stands_in(&lines, definition, &now);
    file.each().iter().all(stays)
}

/// The names of the definitions of a file that a block about another one has now and that it did not have before.
pub fn moved(path: &str, text: &str, other: &str, before: &str, content: &str) -> Vec<String> {
    let has: BTreeSet<String> = dropped(other, content, before).into_iter().collect();
    let Some(file) = outline(path, text).filter(|_| !has.is_empty()) else { return Vec::new() };
    let lines: Vec<&str> = text.lines().collect();
    let now = new_lines(other, before, content);
    let came = file.each().into_iter().filter(|(name, of)| has.contains(name) && stands_in(&lines, of, &now));
    came.map(|(name, _)| name).collect()
}

/// Whether what a file runs when it is loaded is all in a fence.
pub fn keeps_statements(path: &str, text: &str, fence: &str) -> bool {
    let Some(file) = outline(path, text) else { return true };
    let now: BTreeSet<&str> = fence.lines().map(str::trim).collect();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    file.statements
        .iter()
        .all(|range| lines.get(range.start).is_none_or(|first| first.len() < 3 || now.contains(first)))
}

/// The names of all that a text defines, methods with their class's before them.
pub fn names(path: &str, text: &str) -> BTreeSet<String> {
    outline(path, text).map_or_else(BTreeSet::new, |found| found.names().into_iter().collect())
}

/// Whether the fence has every definition that the file has (always true where there is no grammar).
pub fn defines_all(path: &str, text: &str, fence: &str) -> bool {
    dropped(path, text, fence).is_empty()
}

/// Whether a file is Python's, where `...` and a second import are code.
pub(super) fn is_python(path: &str) -> bool {
    matches!(paths::extension(path).as_str(), "py" | "pyi")
}

/// Whether the file has definitions that a grammar knows of.
pub fn is_outlined(path: &str, text: &str) -> bool {
    outline(path, text).is_some_and(|outline| !outline.definitions.is_empty())
}

fn is_java(path: &str) -> bool {
    paths::extension(path) == "java"
}

fn all_names(outline: &Outline) -> BTreeSet<String> {
    let inner = outline.definitions.iter().flat_map(|d| d.inner.iter().map(|i| i.name.clone()));
    outline.definitions.iter().map(|d| d.name.clone()).chain(inner).collect()
}

/// A fence as definitions: as it stands, or as the inside of a class.
struct Part {
    lines: Vec<String>,
    outline: Outline,
    /// They can only be members of a class.
    members: bool,
}

impl Part {
    fn read(path: &str, fence: &str) -> Option<Self> {
        let lines: Vec<String> = undented(fence);
        let found = outline(path, &joined(&lines))?;
        if !found.has_errors && !found.definitions.is_empty() {
            let members = is_java(path) && found.definitions.iter().all(|d| !d.is_container);
            return Some(Self { lines, outline: found, members });
        }
        if let Some(part) = Self::of_members(path, &lines) {
            return Some(part);
        }
        // What surrounds the definitions may be cut short; the definitions themselves must not be.
        (!found.has_errors || found.definitions.iter().all(|d| parses(path, &lines[d.lines.clone()])))
            .then_some(Self { lines, outline: found, members: false })
            .filter(|part| !part.outline.definitions.is_empty())
    }

    /// Methods without their class.
    fn of_members(path: &str, lines: &[String]) -> Option<Self> {
        if !matches!(paths::extension(path).as_str(), "java" | "js" | "ts" | "jsx" | "tsx" | "mjs" | "cjs" | "mts") {
            return None;
        }
        let wrapped = format!("class Wrapper {{\n{}}}\n", joined(lines));
        let inside = outline(path, &wrapped).filter(|found| !found.has_errors)?;
        let [class] = inside.definitions.as_slice() else { return None };
        let shift = |range: &Range<usize>| range.start - 1..range.end - 1;
        let definitions =
            class.inner.iter().map(|d| Definition { lines: shift(&d.lines), ..d.clone() }).collect::<Vec<_>>();
        let all = Outline { definitions, ..Outline::default() };
        (!all.definitions.is_empty()).then(|| Self { lines: lines.to_vec(), outline: all, members: true })
    }
}

fn parses(path: &str, lines: &[String]) -> bool {
    syntax::check(path, &joined(lines)).is_none_or(|report| report.errors == 0)
}

fn undented(text: &str) -> Vec<String> {
    let blank = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let least = text.lines().filter(|line| !line.trim().is_empty()).map(blank).min().unwrap_or(0);
    text.lines().map(|line| line.get(least..).unwrap_or("").to_owned()).collect()
}
