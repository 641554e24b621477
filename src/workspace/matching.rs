//! Where in a file does a piece of text stand? A ladder from exact to close, each rung taken only where it
//! gives one place.
//!
//! Not for: building the changed file (`splice`) and for reading replies.

use std::ops::Range;

use super::indent::Reindent;
use crate::reply::edits::{Hint, Region};
use crate::reply::words;

/// Which tolerance found the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    Exact,
    /// White space at line ends differs.
    TrailingSpace,
    /// Every line is indented differently by the same amount.
    Indentation,
    /// Blank lines or typographic punctuation differ.
    BlankLines,
    /// Lines at the ends that the edit leaves alone are nowhere in the file.
    Invented,
    /// Lines that the edit leaves alone differ a little.
    Close,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub range: Range<usize>,
    /// For every line of the search text, the file's line it stands for.
    pub aligned: Vec<Option<usize>>,
    pub(super) reindent: Reindent,
    pub rung: Rung,
}

/// No place, or too many.
#[derive(Clone, Debug, PartialEq)]
pub enum Miss {
    /// The places' first lines (from 0), all at one rung.
    Ambiguous(Vec<usize>),
    NotFound(Option<Region>),
    /// The change stands there already.
    Done,
}

/// The least similarity that a close match must have.
const CLOSE_MIN: f32 = 0.9;
/// A close match needs this many lines to be told apart.
const CLOSE_LINES_MIN: usize = 3;
/// Beyond this many lines no similarity is computed.
const NEAREST_LINES_MAX: usize = 20_000;

/// Finds the one place of `search` in `file`. `touched` says for each search line whether the edit removes
/// or replaces it: a close match may differ only in lines that stay.
pub fn find(file: &[&str], search: &[&str], touched: &[bool], hint: &Hint) -> Result<Found, Miss> {
    type Rule = fn(&[&str], &[&str], usize) -> Option<Found>;
    const RULES: [Rule; 3] = [exact_at, trailing_at, indented_at];
    for rule in RULES {
        let hits: Vec<Found> =
            (0..(file.len() + 1).saturating_sub(search.len())).filter_map(|at| rule(file, search, at)).collect();
        if let Some(result) = choose(hits, file, hint) {
            return result;
        }
    }
    if let Some(result) = choose(without_blanks(file, search), file, hint) {
        return result;
    }
    if let Some(result) = choose(without_invented(file, search, touched), file, hint) {
        return result;
    }
    let windows = similar_windows(file, search);
    // Windows that overlap are one place; the best of them stands first.
    let mut places: Vec<&Window> = Vec::new();
    for window in windows.iter().filter(|w| w.similarity >= CLOSE_MIN && search.len() >= CLOSE_LINES_MIN) {
        if places.iter().all(|place| place.at.abs_diff(window.at) >= search.len()) {
            places.push(window);
        }
    }
    if let [only] = places.as_slice()
        && only.at + search.len() <= file.len()
    {
        let found = straight(only.at, search.len(), Rung::Close);
        if keeps_what_differs(file, search, touched, &found) {
            return Ok(found);
        }
    }
    Err(Miss::NotFound(windows.first().map(|window| region(file, window, search.len()))))
}

/// One hit is taken; several are, where the hint names one of them.
fn choose(hits: Vec<Found>, file: &[&str], hint: &Hint) -> Option<Result<Found, Miss>> {
    match hits.len() {
        0 => None,
        1 => hits.into_iter().next().map(Ok),
        _ => {
            let starts: Vec<usize> = hits.iter().map(|found| found.range.start).collect();
            let hinted = hinted(&starts, file, hint).and_then(|index| hits.into_iter().nth(index));
            Some(hinted.ok_or(Miss::Ambiguous(starts)))
        }
    }
}

fn hinted(starts: &[usize], file: &[&str], hint: &Hint) -> Option<usize> {
    if let Some(line) = hint.line
        && let Some(index) = starts.iter().position(|start| start + 1 == line as usize)
    {
        return Some(index);
    }
    if hint.anchors.is_empty() {
        return None;
    }
    let from = anchored(file, &hint.anchors)?;
    starts.iter().position(|start| *start >= from)
}

/// The line that the anchors name: the last of them, each found once behind the one before.
pub(super) fn anchored(file: &[&str], anchors: &[String]) -> Option<usize> {
    let mut from = 0;
    let mut found = None;
    for anchor in anchors {
        let wanted = anchor.trim();
        let whole: Vec<usize> = (from..file.len()).filter(|index| file[*index].trim() == wanted).collect();
        let begun = || (from..file.len()).filter(|index| file[*index].trim().starts_with(wanted)).collect::<Vec<_>>();
        let hits = if whole.is_empty() { begun() } else { whole };
        let [hit] = hits.as_slice() else { return None };
        found = Some(*hit);
        from = *hit;
    }
    found
}

fn straight(at: usize, length: usize, rung: Rung) -> Found {
    Found { range: at..at + length, aligned: (at..at + length).map(Some).collect(), reindent: Reindent::Keep, rung }
}

fn exact_at(file: &[&str], search: &[&str], at: usize) -> Option<Found> {
    (file[at..at + search.len()] == *search).then(|| straight(at, search.len(), Rung::Exact))
}

fn trailing_at(file: &[&str], search: &[&str], at: usize) -> Option<Found> {
    let window = &file[at..at + search.len()];
    let equal = window.iter().zip(search).all(|(f, s)| f.trim_end() == s.trim_end());
    equal.then(|| straight(at, search.len(), Rung::TrailingSpace))
}

fn indented_at(file: &[&str], search: &[&str], at: usize) -> Option<Found> {
    let window = &file[at..at + search.len()];
    if !window.iter().zip(search).all(|(f, s)| f.trim() == s.trim()) {
        return None;
    }
    let reindent = Reindent::between(search, window)?;
    Some(Found { reindent, ..straight(at, search.len(), Rung::Indentation) })
}

/// Matches over the lines with text alone, typographic punctuation made plain.
fn without_blanks(file: &[&str], search: &[&str]) -> Vec<Found> {
    let solid = |lines: &[&str]| -> Vec<(usize, String)> {
        lines.iter().enumerate().filter(|(_, l)| !l.trim().is_empty()).map(|(i, l)| (i, plain(l.trim_end()))).collect()
    };
    let (file_solid, search_solid) = (solid(file), solid(search));
    if !search_solid.iter().any(|(_, line)| line.chars().any(char::is_alphanumeric)) {
        return Vec::new();
    }
    file_solid
        .windows(search_solid.len())
        .filter(|window| window.iter().zip(&search_solid).all(|(f, s)| f.1 == s.1))
        .map(|window| {
            let solid: Vec<(usize, usize)> = search_solid.iter().zip(window).map(|(s, f)| (s.0, f.0)).collect();
            let first = window.first().map_or(0, |w| w.0);
            let last = window.last().map_or(0, |w| w.0);
            let aligned = align(&solid, search.len());
            Found { range: first..last + 1, aligned, reindent: Reindent::Keep, rung: Rung::BlankLines }
        })
        .collect()
}

/// Matches without the lines at the ends that the file has nowhere: models remember context that is not there. A line
/// that opens something says where the rest is, and is not left out.
fn without_invented(file: &[&str], search: &[&str], touched: &[bool]) -> Vec<Found> {
    const LINES_MAX: usize = 2;
    let known: std::collections::HashSet<&str> = file.iter().map(|line| line.trim()).collect();
    let invented = |at: &usize, opens: bool| {
        let line = search[*at].trim();
        !touched[*at]
            && !line.is_empty()
            && !known.contains(line)
            && !line.ends_with([':', '{', '(', '[', ','])
            && !opens
    };
    // A heading, a comment or a decorator belongs to what is below it.
    let from = (0..search.len()).take_while(|at| invented(at, search[*at].trim().starts_with(['#', '@', '/']))).count();
    let behind = (0..search.len()).rev().take_while(|at| invented(at, false)).count();
    if from + behind == 0 || from.max(behind) > LINES_MAX || from + behind >= search.len() {
        return Vec::new();
    }
    let rest = from..search.len() - behind;
    let (core, core_touched) = (&search[rest.clone()], &touched[rest.clone()]);
    let words = |line: &str| line.chars().filter(|c| c.is_alphanumeric()).count() > 1;
    // What is left must say where it is: a changed line with words, with another line beside it.
    let removes = core.iter().zip(core_touched).any(|(line, touched)| *touched && words(line));
    if !removes || core.iter().filter(|line| words(line)).count() < 2 {
        return Vec::new();
    }
    (0..(file.len() + 1).saturating_sub(core.len()))
        .filter_map(|at| trailing_at(file, core, at))
        .map(|found| {
            let aligned = [vec![None; from], found.aligned, vec![None; behind]].concat();
            Found { aligned, rung: Rung::Invented, ..found }
        })
        .collect()
}

/// Extends the pairs of solid lines by the blank lines between them, paired in order.
fn align(solid: &[(usize, usize)], length: usize) -> Vec<Option<usize>> {
    let mut aligned = vec![None; length];
    for pair in solid {
        aligned[pair.0] = Some(pair.1);
    }
    for pair in solid.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let blanks = (to.0 - from.0).min(to.1 - from.1);
        for offset in 1..blanks {
            aligned[from.0 + offset] = Some(from.1 + offset);
        }
    }
    aligned
}

/// Letters with combining marks as the single letters that are the same (NFC).
fn composed(line: &str) -> std::borrow::Cow<'_, str> {
    if !line.chars().any(|c| ('\u{300}'..='\u{36f}').contains(&c)) {
        return std::borrow::Cow::Borrowed(line);
    }
    std::borrow::Cow::Owned(unicode_normalization::UnicodeNormalization::nfc(line).collect())
}

/// Typographic quotes, dashes and spaces as their plain counterparts.
fn plain(line: &str) -> String {
    composed(line)
        .chars()
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' | '\u{201b}' => '\'',
            '\u{201c}' | '\u{201d}' | '\u{201f}' => '"',
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
            other => other,
        })
        .collect()
}

/// Whether every line that the edit removes or replaces is in the file as the edit has it, and what differs
/// is only context: a line that begins with the same words at the same depth.
fn keeps_what_differs(file: &[&str], search: &[&str], touched: &[bool], found: &Found) -> bool {
    const WORDS: usize = 2;
    let depth = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &'_ str| -> Vec<String> { words(line).take(WORDS).map(str::to_owned).collect() };
    let window = &file[found.range.clone()];
    window.iter().zip(search).zip(touched).all(|((f, s), touched)| {
        let alike = depth(f) == depth(s) && begins(f) == begins(s);
        f.trim_end() == s.trim_end() || (!touched && !f.trim().is_empty() && !s.trim().is_empty() && alike)
    })
}

/// A window of the file and how much it resembles the search text.
struct Window {
    at: usize,
    similarity: f32,
}

/// The windows most like `search`, best first; at most a handful.
fn similar_windows(file: &[&str], search: &[&str]) -> Vec<Window> {
    const FINALISTS: usize = 8;
    if file.is_empty() || search.is_empty() || file.len() > NEAREST_LINES_MAX || search.len() > 400 {
        return Vec::new();
    }
    let length = search.len().min(file.len());
    let wanted: std::collections::HashSet<&str> =
        search.iter().map(|l| l.trim()).filter(|l| l.chars().any(char::is_alphanumeric)).collect();
    let hit: Vec<usize> = file.iter().map(|line| usize::from(wanted.contains(line.trim()))).collect();
    let mut sum: usize = hit[..length].iter().sum();
    let mut scored = vec![(sum, 0)];
    for at in 1..=file.len() - length {
        sum = sum + hit[at + length - 1] - hit[at - 1];
        scored.push((sum, at));
    }
    if scored.iter().all(|(sum, _)| *sum == 0) {
        return by_first_line(file, search);
    }
    scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let search_text = search.join("\n");
    let mut windows: Vec<Window> = scored
        .iter()
        .take(FINALISTS)
        .map(|(_, at)| Window { at: *at, similarity: ratio(&file[*at..*at + length].join("\n"), &search_text) })
        .collect();
    windows.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.at.cmp(&b.at)));
    windows
}

/// Without one common line, the place whose line is most like the search text's first.
fn by_first_line(file: &[&str], search: &[&str]) -> Vec<Window> {
    const COMPARED_MAX: usize = 2_000;
    const WORTH_SHOWING: f32 = 0.6;
    let Some(offset) = search.iter().position(|line| line.chars().any(char::is_alphanumeric)) else {
        return Vec::new();
    };
    let first = search[offset].trim();
    file.iter()
        .take(COMPARED_MAX)
        .enumerate()
        .map(|(index, line)| (ratio(line.trim(), first), index))
        .filter(|(similarity, _)| *similarity >= WORTH_SHOWING)
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(similarity, index)| {
            let at = index.saturating_sub(offset).min(file.len().saturating_sub(search.len()));
            // One line of many agrees: the place is worth showing, not worth editing.
            vec![Window { at, similarity: similarity.min(CLOSE_MIN - 0.01) }]
        })
        .unwrap_or_default()
}

fn ratio(a: &str, b: &str) -> f32 {
    const CHARS_MAX: usize = 20_000;
    if a.len() > CHARS_MAX || b.len() > CHARS_MAX {
        return similar::TextDiff::from_lines(a, b).ratio();
    }
    similar::TextDiff::from_chars(a, b).ratio()
}

fn region(file: &[&str], window: &Window, length: usize) -> Region {
    const SHOWN_MAX: usize = 30;
    let end = (window.at + length.min(SHOWN_MAX)).min(file.len());
    Region {
        first_line: window.at as u32 + 1,
        last_line: end as u32,
        text: file[window.at..end].join("\n"),
        similarity: window.similarity,
    }
}
