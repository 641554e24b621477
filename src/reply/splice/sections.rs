//! Files without a grammar that are made of parts with names: sections of TOML and INI, statements of SQL, rules of a
//! Makefile.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::{elision, paths};
use super::{Spliced, joined};

/// The file with the fence's parts in it; nothing where that is not safe.
pub(super) fn merged(path: &str, text: &str, fence: &str, named: bool) -> Option<Spliced> {
    let name = paths::file_name(path);
    let split: fn(&str) -> Vec<Section> = match paths::extension(path).as_str() {
        "toml" | "ini" | "cfg" => bracketed,
        "sql" => statements,
        "mk" => rules,
        _ if matches!(name, "Makefile" | "makefile" | "GNUmakefile") => rules,
        _ => return None,
    };
    let keyed = matches!(paths::extension(path).as_str(), "toml" | "ini" | "cfg");
    if !elision::brought_in(text, fence, false).is_empty() && split(fence).len() < 2 {
        return None;
    }
    let (mut old, new) = (split(text), split(fence));
    let (mut replaced, mut added) = (Vec::new(), Vec::new());
    for section in &new {
        let given = keys(section);
        if section.name.is_empty() && (!keyed || given.is_empty()) {
            continue;
        }
        if section.name.is_empty() {
            // Keys without their section: those of the one section that has them all.
            let homes: Vec<usize> = (0..old.len()).filter(|at| given.is_subset(&keys(&old[*at]))).collect();
            let [at] = homes.as_slice() else { return None };
            let own = &old[*at].lines;
            old[*at].lines = [with_keys(&own[..solid(own)], &section.lines)?, trailing_blank(own)].concat();
            replaced.extend(given);
            continue;
        }
        if section.lines.iter().any(|line| elision::is_elision(line)) {
            return None;
        }
        let places: Vec<usize> = (0..old.len()).filter(|at| old[*at].name == section.name).collect();
        match places.as_slice() {
            [at] => {
                let own = &old[*at].lines;
                let tail: Vec<String> = trailing_blank(own);
                let lines = if keys(&old[*at]).is_subset(&keys(section)) {
                    section.lines[..solid(&section.lines)].to_vec()
                } else if keyed {
                    // A section that leaves keys out would drop them.
                    with_keys(&own[..solid(own)], &section.lines)?
                } else {
                    return None;
                };
                old[*at].lines = [lines, tail].concat();
                replaced.push(section.name.clone());
            }
            [] => {
                let mut lines = section.lines.clone();
                if old.last().is_some_and(|last| last.lines.last().is_some_and(|line| !line.trim().is_empty())) {
                    lines.insert(0, String::new());
                }
                old.push(Section { name: section.name.clone(), lines });
                added.push(section.name.clone());
            }
            _ => return None,
        }
    }
    if replaced.is_empty() && (!named || added.is_empty()) {
        return None;
    }
    let mut out: String = old.iter().map(|section| joined(&section.lines)).collect();
    if !text.ends_with('\n') {
        out.pop();
    }
    Some(Spliced { text: out, replaced, added, left_out: 0 })
}

struct Section {
    name: String,
    lines: Vec<String>,
}

fn solid(lines: &[String]) -> usize {
    lines.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1)
}

fn trailing_blank(lines: &[String]) -> Vec<String> {
    lines[solid(lines)..].to_vec()
}

/// What a section says something about: the keys of `key = value`; for other parts nothing.
fn keys(section: &Section) -> BTreeSet<String> {
    let key = |line: &String| {
        let text = line.trim();
        let comment = text.starts_with(['#', ';', '-']);
        text.split_once('=').filter(|_| !comment && !section.name.contains(' ')).map(|(key, _)| key.trim().to_owned())
    };
    section.lines.iter().filter_map(key).collect()
}

/// The lines of `key = value` items, a value's further lines included; nothing where their brackets do not pair.
fn key_lines(lines: &[String]) -> Option<Vec<(String, Range<usize>)>> {
    let mut found: Vec<(String, Range<usize>)> = Vec::new();
    let mut depth = 0_i32;
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim();
        if depth > 0 {
            if let Some(last) = found.last_mut() {
                last.1.end = at + 1;
            }
        } else if let Some((key, _)) = text.split_once('=').filter(|_| !text.starts_with(['#', ';', '['])) {
            found.push((key.trim().to_owned(), at..at + 1));
        } else {
            continue;
        }
        if text.contains("\"\"\"") || text.contains("'''") {
            return None;
        }
        let mut quote = None;
        for c in text.chars() {
            match (quote, c) {
                (None, '#') => break,
                (None, '"' | '\'') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                (None, '[' | '{') => depth += 1,
                (None, ']' | '}') => depth -= 1,
                _ => {}
            }
        }
    }
    (depth == 0).then_some(found)
}

/// A section's lines with the fence's keys replaced or added.
fn with_keys(old: &[String], new: &[String]) -> Option<Vec<String>> {
    if old.iter().chain(new).any(|line| line.trim_start().starts_with("[[")) {
        return None;
    }
    let (own, given) = (key_lines(old)?, key_lines(new)?);
    let mut lines = old.to_vec();
    let mut changes: Vec<(Range<usize>, Vec<String>)> = Vec::new();
    let end = own.last().map_or(1, |(_, range)| range.end).min(old.len());
    for (key, range) in given {
        let text = new[range].to_vec();
        match own.iter().filter(|(name, _)| *name == key).collect::<Vec<_>>().as_slice() {
            [(_, place)] => changes.push((place.clone(), text)),
            [] => changes.push((end..end, text)),
            _ => return None,
        }
    }
    changes.sort_by_key(|(range, _)| (range.start, range.end));
    for (range, text) in changes.into_iter().rev() {
        lines.splice(range, text);
    }
    Some(lines)
}

fn sections(text: &str, mut name_of: impl FnMut(&str) -> Option<String>) -> Vec<Section> {
    let mut found = vec![Section { name: String::new(), lines: Vec::new() }];
    for line in text.lines() {
        if let Some(name) = name_of(line) {
            found.push(Section { name, lines: Vec::new() });
        }
        if let Some(last) = found.last_mut() {
            last.lines.push(line.to_owned());
        }
    }
    found
}

fn bracketed(text: &str) -> Vec<Section> {
    sections(text, |line| {
        let name = line.trim().split('#').next().unwrap_or("").trim();
        (name.starts_with('[') && name.ends_with(']') && !name.starts_with("[[") && !name.contains([',', '"']))
            .then(|| name.to_owned())
    })
}

fn rules(text: &str) -> Vec<Section> {
    sections(text, |line| {
        let (target, rest) = line.split_once(':')?;
        let fits = !line.starts_with(['\t', ' ', '#', '.']) && !rest.starts_with('=') && !target.contains(['=', '$']);
        fits.then(|| target.trim().to_owned())
    })
}

/// `CREATE … name` statements; what stands before a statement belongs to it.
fn statements(text: &str) -> Vec<Section> {
    let mut ended = true;
    sections(text, |line| {
        let words: Vec<String> = line.split(|c: char| c.is_whitespace() || c == '(').map(str::to_lowercase).collect();
        let creates = ended && words.first().is_some_and(|word| word == "create");
        if !line.trim().is_empty() {
            ended = line.trim_end().ends_with(';');
        }
        if !creates {
            return None;
        }
        let skip = ["create", "or", "replace", "if", "not", "exists", "temp", "temporary", "unique", "materialized"];
        let rest: Vec<&str> =
            words.iter().map(String::as_str).filter(|word| !skip.contains(word) && !word.is_empty()).collect();
        rest.get(..2).map(|parts| parts.join(" "))
    })
}
