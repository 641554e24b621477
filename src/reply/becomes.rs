//! What a file becomes by a fence that is about it: the fence, where it is the whole file, or the file with the fence put into
//! it. Pure.
//!
//! Not for: which file a fence is about (`tolerant`), where a part goes (`splice`, `region`, `append`).

use std::collections::BTreeSet;

use super::{append, elision, joined, region, splice};

/// A fence that keeps this share of a file's lines can be the file.
pub(super) const WHOLE_KEPT_MIN: f64 = 0.6;
/// A file in which names were changed keeps at least this share of its lines.
const RENAMED_KEPT_MIN: f64 = 0.4;
/// Data that has this share of a file's keys can be the file.
const WHOLE_COVERAGE_MIN: f64 = 0.8;

/// What a file becomes by a fence.
pub(super) struct Became {
    pub(super) text: String,
    pub(super) how: How,
}

/// What the fence was taken for.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// The file.
    Whole,
    /// The file, but for its first line or imports that it left out.
    Mended,
    /// The file without some of its definitions.
    Shortened,
    /// Definitions or keys of the file.
    Spliced { left_out: usize },
}

/// What is known of a fence besides what it holds.
pub(super) struct Seen {
    pub(super) closed: bool,
    /// It is known to be about this file.
    pub(super) named: bool,
    /// It is said to be added to what is there.
    pub(super) adds: bool,
    /// The definitions that stand in another file's block now.
    pub(super) elsewhere: BTreeSet<String>,
}

impl Became {
    /// The file with a part put into it, nothing of which was left out.
    fn part(text: String) -> Self {
        Self { text, how: How::Spliced { left_out: 0 } }
    }
}

impl Seen {
    /// A closed fence that is about the file.
    pub(super) fn named() -> Self {
        Self { closed: true, named: true, adds: false, elsewhere: BTreeSet::new() }
    }
}

/// The lines of a new text that the old one has not.
fn added(old: &str, new: &str) -> String {
    let had: BTreeSet<&str> = old.lines().map(str::trim).collect();
    joined(new.lines().filter(|line| !had.contains(line.trim())))
}

/// Whether a fence begins as the file does: one of its first lines stands among the fence's.
fn begins_alike(text: &str, content: &str) -> bool {
    const OWN: usize = 2;
    const FENCE_S: usize = 5;
    let solid = |text: &str, count: usize| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| line.len() > 2).take(count).map(str::to_owned).collect()
    };
    let begins = solid(content, FENCE_S);
    solid(text, OWN).iter().any(|line| begins.contains(line))
}

fn imports(path: &str, text: &str) -> bool {
    text.lines().any(|line| append::is_import(path, line))
}

/// What the file becomes by this fence: the fence itself where it is the file, or the file with the fence's
/// definitions spliced in.
pub(super) fn become_file(path: &str, text: &str, content: &str, seen: Seen) -> Option<Became> {
    let Seen { closed, named, adds, elsewhere } = seen;
    let sure = named && closed;
    let elided = !elision::brought_in(text, content, splice::is_python(path)).is_empty();
    let share = kept(text, content);
    let (old, new) = (text.lines().count(), content.lines().count());
    let covers = splice::data::coverage(path, text, content).is_none_or(|share| share >= WHOLE_COVERAGE_MIN);
    let resembles = !elided && closed && share >= WHOLE_KEPT_MIN && covers;
    let is_whole = resembles && new * 10 >= old * 7;
    let gone = splice::dropped(path, text, content);
    let drops = !gone.is_empty();
    // From its beginning on and without a word of left-out code: what is missing was taken away (where most of the file
    // is there), has another name (where as much is new) or stands in another block now.
    let from_the_top = drops && sure && !elided && begins_alike(text, content);
    let runs = || splice::keeps_statements(path, text, content);
    let renamed = || share >= RENAMED_KEPT_MIN && new * 10 >= old * 7 && splice::renames(path, text, content);
    let moved = || gone.iter().all(|name| elsewhere.contains(name));
    // All that it defines and runs is there, and nothing else is meant to be: in a small file a new name changes most lines.
    let defines_it = || !drops && sure && !elided && new * 10 >= old * 7 && !splice::names(path, text).is_empty();
    let anew = || defines_it() && runs() && (!imports(path, text) || imports(path, content));
    if (is_whole && !drops) || anew() || (from_the_top && (resembles || (runs() && (renamed() || moved())))) {
        return Some(whole(path, text, content, drops));
    }
    if sure && !adds && append::imports_the_same(path, text, content) {
        return Some(whole(path, text, content, drops));
    }
    if let Some(spliced) = splice::spliced(path, text, content, named) {
        // Only its statements are new: they stand beside what the file has.
        let nothing = spliced.left_out > 0 && spliced.text.trim_end() == text.trim_end() && sure;
        let adds = |new: &String| kept(text, new) >= 1.0 && !append::only_shows(&added(text, new));
        if let Some(text) = nothing.then(|| region::placed(path, text, content)).flatten().filter(adds) {
            return Some(Became::part(text));
        }
        // All that the file has is in the block, and the block has nothing else: read either way it is the same.
        if closed && !elided && spliced.left_out == 0 && spliced.text.trim_end() == content.trim_end() {
            return Some(Became { text: content.to_owned(), how: How::Whole });
        }
        return Some(Became { text: spliced.text, how: How::Spliced { left_out: spliced.left_out } });
    }
    let imported = || sure.then(|| append::with_imports(path, text, content)).flatten();
    let appended = || (adds && closed && !elided).then(|| append::appended(path, text, content)).flatten();
    let placed = || sure.then(|| region::placed(path, text, content)).flatten();
    if let Some(text) = imported().or_else(appended).or_else(placed) {
        return Some(Became::part(text));
    }
    // A file written anew: it defines everything that the old one defined, or is as long where nothing is defined.
    let as_long =
        splice::is_outlined(path, text) || (share >= 0.3 && new * 10 >= old * 7 && covers) || (old <= 2 && new >= old);
    let rewritten = !elided && closed && as_long && !drops;
    // What stands by itself and has nothing of the file is one thing more.
    let more = || sure.then(|| append::appended(path, text, elision::stripped(content))).flatten();
    if rewritten { Some(whole(path, text, content, false)) } else { more().map(Became::part) }
}

/// A fence as the file, with the first line and the imports that it left out.
fn whole(path: &str, text: &str, content: &str, drops: bool) -> Became {
    let headed = with_head(text, content);
    let content = headed.as_deref().unwrap_or(content);
    let mended = splice::with_imports(path, text, content);
    let how = match (drops, mended.is_some() || headed.is_some()) {
        (true, _) => How::Shortened,
        (false, true) => How::Mended,
        (false, false) => How::Whole,
    };
    Became { text: mended.unwrap_or_else(|| content.to_owned()), how }
}

/// A whole file under the line that its language, or who runs it, wants at its top; `None` where it has one, or needs none.
fn with_head(text: &str, content: &str) -> Option<String> {
    const HEADS: [&str; 4] = ["package ", "<?php", "#!", "#pragma once"];
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))?;
    let kind = HEADS.iter().find(|kind| lines[at].starts_with(**kind))?;
    let has = content.lines().any(|line| line.trim_start().starts_with(*kind));
    let blank = lines.get(at + 1).filter(|next| next.is_empty() && content.starts_with(|c: char| c != '\n'));
    (!has).then(|| format!("{}\n{}{content}", lines[at], if blank.is_some() { "\n" } else { "" }))
}

/// How much a fence is (a part of) a file: the larger of the share of the file's lines that it keeps, the share of its
/// own lines that stand in the file, and the share of its definitions that the file has.
pub(super) fn likeness(path: &str, text: &str, content: &str) -> f64 {
    if text.trim().is_empty() {
        return 0.0;
    }
    let own = {
        let lines: std::collections::BTreeSet<&str> = text.lines().map(str::trim).collect();
        let solid: Vec<&str> = content.lines().map(str::trim).filter(|l| l.len() > 2).collect();
        let shared = solid.iter().filter(|line| lines.contains(*line)).count();
        if solid.is_empty() { 0.0 } else { shared as f64 / solid.len() as f64 }
    };
    let defined = splice::shared_definitions(path, text, content);
    kept(text, content).max(own * 0.9).max(defined)
}

/// The share of the file's lines with text that `content` keeps, in their order.
pub fn kept(text: &str, content: &str) -> f64 {
    let solid =
        |t: &str| -> Vec<String> { t.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned).collect() };
    let (old, new) = (solid(text), solid(content));
    let equal: usize = similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new)
        .iter()
        .map(|operation| if let similar::DiffOp::Equal { len, .. } = operation { *len } else { 0 })
        .sum();
    if old.is_empty() { 1.0 } else { equal as f64 / old.len() as f64 }
}
