//! Definitions of a fence put into a file: those of the same name are replaced, new ones added, imports merged; the
//! rest of the file stays.
//!
//! Pure, and careful: where it cannot be told which definition is meant, where the result would parse worse, or where
//! the fence leaves code out inside a definition, there is no result.

use std::collections::BTreeSet;
use std::ops::Range;

use super::elision;
use super::paths;
use crate::repo_map::outline::{Definition, Outline, outline};
use crate::repo_map::syntax;

/// A file with definitions put into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    pub text: String,
    pub replaced: Vec<String>,
    pub added: Vec<String>,
}

/// The file with the fence's definitions in it; nothing where that is not safe.
pub fn spliced(path: &str, text: &str, fence: &str) -> Option<Spliced> {
    let Some(file) = outline(path, text) else { return by_sections(path, text, fence) };
    let part = Part::read(path, fence)?;
    let mut edit = Edit::new(path, text, &file, part);
    edit.definitions()?;
    if edit.replaced.is_empty() {
        // New definitions alone say nothing of the file that they belong to.
        return None;
    }
    edit.imports();
    edit.finish()
}

/// The share of the fence's definitions that the file has.
pub fn shared_definitions(path: &str, text: &str, fence: &str) -> f64 {
    let (Some(file), Some(part)) = (outline(path, text), Part::read(path, fence)) else {
        return by_sections(path, text, fence).map_or(0.0, |_| 0.6);
    };
    let names: BTreeSet<String> = all_names(&file);
    let own: Vec<&String> = part.outline.definitions.iter().map(|d| &d.name).collect();
    if own.is_empty() {
        0.0
    } else {
        own.iter().filter(|name| names.contains(**name)).count() as f64 / own.len() as f64
    }
}

/// Whether the fence leaves out definitions that the file has.
pub fn drops_definitions(path: &str, text: &str, fence: &str) -> bool {
    !defines_all(path, text, fence)
}

/// Whether the fence has every definition that the file has (always true where there is no grammar).
pub fn defines_all(path: &str, text: &str, fence: &str) -> bool {
    let (Some(file), Some(new)) = (outline(path, text), outline(path, fence)) else { return true };
    let new: BTreeSet<String> = new.names().into_iter().collect();
    file.names().iter().all(|name| new.contains(name))
}

/// Whether a file is Python's, where `...` and a second import are code.
pub(super) fn is_python(path: &str) -> bool {
    matches!(paths::extension(path).as_str(), "py" | "pyi")
}

/// Whether the file has definitions that a grammar knows of.
pub fn is_outlined(path: &str, text: &str) -> bool {
    outline(path, text).is_some_and(|outline| !outline.definitions.is_empty())
}

fn all_names(outline: &Outline) -> BTreeSet<String> {
    let inner = outline.definitions.iter().flat_map(|d| d.inner.iter().map(|i| i.name.clone()));
    outline.definitions.iter().map(|d| d.name.clone()).chain(inner).collect()
}

/// A fence as definitions: as it stands, or as the inside of a class.
struct Part {
    lines: Vec<String>,
    outline: Outline,
}

impl Part {
    fn read(path: &str, fence: &str) -> Option<Self> {
        let lines: Vec<String> = undented(fence);
        let found = outline(path, &joined(&lines))?;
        if !found.has_errors && !found.definitions.is_empty() {
            return Some(Self { lines, outline: found });
        }
        // Methods without their class.
        if matches!(paths::extension(path).as_str(), "java" | "js" | "ts" | "jsx" | "tsx" | "mjs" | "cjs" | "mts") {
            let wrapped = format!("class Wrapper {{\n{}}}\n", joined(&lines));
            let inside = outline(path, &wrapped).filter(|found| !found.has_errors)?;
            let [class] = inside.definitions.as_slice() else { return None };
            let shift = |range: &Range<usize>| range.start - 1..range.end - 1;
            let definitions =
                class.inner.iter().map(|d| Definition { lines: shift(&d.lines), ..d.clone() }).collect::<Vec<_>>();
            let all = Outline { definitions, ..Outline::default() };
            return (!all.definitions.is_empty()).then_some(Self { lines, outline: all });
        }
        // What surrounds the definitions may be cut short; the definitions themselves must not be.
        (!found.has_errors || found.definitions.iter().all(|d| parses(path, &lines[d.lines.clone()])))
            .then_some(Self { lines, outline: found })
            .filter(|part| !part.outline.definitions.is_empty())
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

fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

/// A change of some of the file's lines.
struct Change {
    range: Range<usize>,
    lines: Vec<String>,
}

struct Edit<'a> {
    path: &'a str,
    text: &'a str,
    file: &'a Outline,
    old: Vec<String>,
    part: Part,
    changes: Vec<Change>,
    replaced: Vec<String>,
    added: Vec<String>,
}

impl<'a> Edit<'a> {
    fn new(path: &'a str, text: &'a str, file: &'a Outline, part: Part) -> Self {
        let old = text.lines().map(str::to_owned).collect();
        Self { path, text, file, old, part, changes: Vec::new(), replaced: Vec::new(), added: Vec::new() }
    }

    fn definitions(&mut self) -> Option<()> {
        let definitions = self.part.outline.definitions.clone();
        let mut after: Option<usize> = None;
        for new in &definitions {
            let same: Vec<Definition> = self.file.definitions.iter().filter(|d| d.name == new.name).cloned().collect();
            match same.as_slice() {
                [old] => {
                    self.replace(old, new)?;
                    after = Some(old.lines.end);
                }
                [] => match self.methods(&new.name).as_slice() {
                    [old] => {
                        self.replace(old, new)?;
                        after = None;
                    }
                    [_, ..] => return None,
                    [] if new.is_function || new.is_container => self.add(new, after),
                    [] if self.is_used(&new.name) => self.add_value(new),
                    [] => {}
                },
                // Overloads, variants for several platforms: which one is meant cannot be told.
                _ => return None,
            }
        }
        Some(())
    }

    /// The methods of that name.
    fn methods(&self, name: &str) -> Vec<Definition> {
        let inner =
            self.file.definitions.iter().flat_map(|d| &d.inner).filter(|inner| inner.name == name && inner.is_function);
        inner.cloned().collect()
    }

    fn lines_of(&self, new: &Definition) -> Vec<String> {
        self.part.lines[new.lines.clone()].to_vec()
    }

    fn replace(&mut self, old: &Definition, new: &Definition) -> Option<()> {
        if old.is_container && new.is_container && !covers(old, new) {
            return self.merge(old, new);
        }
        if old.is_container != new.is_container && old.is_container {
            return None;
        }
        let before = self.old[old.lines.clone()].to_vec();
        let mut lines = reindented(&self.lines_of(new), &before);
        // Comments and decorators above stay where the fence has none.
        let head = leading(&before);
        if head > 0 && leading(&lines) == 0 {
            lines.splice(0..0, before[..head].iter().cloned());
        }
        self.check_elision(&before, &lines)?;
        if lines != before {
            self.changes.push(Change { range: old.lines.clone(), lines });
        }
        self.replaced.push(new.name.clone());
        Some(())
    }

    /// Puts the members that the fence has into the file's class; its other members stay.
    fn merge(&mut self, old: &Definition, new: &Definition) -> Option<()> {
        let mut last: Option<usize> = None;
        let mut shared = false;
        for member in &new.inner {
            let same: Vec<&Definition> = old.inner.iter().filter(|d| d.name == member.name).collect();
            match same.as_slice() {
                [found] => {
                    let found = (*found).clone();
                    self.replace(&found, member)?;
                    self.replaced.pop();
                    last = Some(found.lines.end);
                    shared = true;
                }
                [] if member.is_function => {
                    let at = last.or_else(|| old.inner.last().map(|d| d.lines.end))?;
                    let like = old.inner.last().map(|d| self.old[d.lines.clone()].to_vec())?;
                    let mut lines = vec![String::new()];
                    lines.extend(reindented(&self.lines_of(member), &like));
                    self.check_elision(&[], &lines)?;
                    self.changes.push(Change { range: at..at, lines });
                    self.added.push(format!("{}.{}", old.name, member.name));
                }
                [] => {}
                _ => return None,
            }
        }
        if !shared && self.added.is_empty() {
            return None;
        }
        self.replaced.push(old.name.clone());
        Some(())
    }

    fn add(&mut self, new: &Definition, after: Option<usize>) {
        let lines = self.lines_of(new);
        if self.check_elision(&[], &lines).is_none() {
            return;
        }
        let at = after.unwrap_or_else(|| self.end_of_definitions());
        let gap = if is_python(self.path) { 2 } else { 1 };
        let mut block = vec![String::new(); gap];
        block.extend(lines);
        self.changes.push(Change { range: at..at, lines: block });
        self.added.push(new.name.clone());
    }

    /// Puts a constant before the first definition that is no value.
    fn add_value(&mut self, new: &Definition) {
        let lines = self.lines_of(new);
        let first = self.file.definitions.iter().find(|d| d.is_function || d.is_container).map(|d| d.lines.start);
        let at = first.unwrap_or_else(|| self.end_of_definitions());
        let mut block = lines;
        block.push(String::new());
        self.changes.push(Change { range: at..at, lines: block });
        self.added.push(new.name.clone());
    }

    /// Whether what the fence defines uses this name.
    fn is_used(&self, name: &str) -> bool {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        self.part.outline.definitions.iter().filter(|d| d.is_function || d.is_container).any(|definition| {
            let text = joined(&self.part.lines[definition.lines.clone()]);
            text.match_indices(name).any(|(at, _)| {
                !is_word(text[..at].chars().next_back()) && !is_word(text[at + name.len()..].chars().next())
            })
        })
    }

    /// Behind the last definition, before tests and what is run.
    fn end_of_definitions(&self) -> usize {
        let tests = self.file.definitions.iter().find(|d| d.name == "tests" && d.is_container).map(|d| d.lines.start);
        let last = self
            .file
            .definitions
            .iter()
            .filter(|d| d.name != "tests" && !d.name.contains("exports"))
            .map(|d| d.lines.end);
        tests.unwrap_or_else(|| last.max().unwrap_or(self.old.len()))
    }

    fn check_elision(&self, before: &[String], lines: &[String]) -> Option<()> {
        let (old, new) = (joined(before), joined(lines));
        elision::brought_in(&old, &new, is_python(self.path)).is_empty().then_some(())
    }

    fn imports(&mut self) {
        let had: BTreeSet<String> = self.old.iter().map(|line| line.trim().to_owned()).collect();
        let mut new: Vec<String> = Vec::new();
        for range in self.part.outline.imports.clone() {
            let lines = self.part.lines[range].to_vec();
            if lines.iter().all(|line| had.contains(line.trim())) {
                continue;
            }
            let names = words(&lines);
            let twin = self.file.imports.iter().find(|old| {
                let old = words(&self.old[(*old).clone()]);
                names.iter().any(|name| old.contains(name))
            });
            match twin {
                // Every name is there already, however it is written.
                Some(old) if names.is_subset(&words(&self.old[old.clone()])) => {}
                Some(old) if words(&self.old[old.clone()]).is_subset(&names) => {
                    let range = old.clone();
                    if !self.changes.iter().any(|change| change.range == range) {
                        self.changes.push(Change { range, lines });
                    }
                }
                // Python may import a name twice; elsewhere that is an error.
                Some(_) if !is_python(self.path) => {}
                _ => new.extend(lines),
            }
        }
        if new.is_empty() {
            return;
        }
        let last = self.file.imports.last().map(|range| range.end);
        let is_group = last.is_some_and(|end| self.old[end - 1].trim() == ")" && paths::extension(self.path) == "go");
        let at = match last {
            Some(end) if is_group => end - 1,
            Some(end) => end,
            None => self.first_code(),
        };
        if is_group {
            new = new
                .iter()
                .filter(|line| line.contains('"'))
                .map(|line| format!("\t{}", line.trim().trim_start_matches("import ").trim()))
                .collect();
        }
        if last.is_none() {
            new.push(String::new());
        }
        self.changes.push(Change { range: at..at, lines: new });
    }

    /// Where the first code stands, behind the comments and the documentation that open the file.
    fn first_code(&self) -> usize {
        let starts =
            self.file.definitions.iter().map(|d| d.lines.start).chain(self.file.statements.iter().map(|s| s.start));
        let first = starts.min().unwrap_or(0);
        let opening = self.old.get(first).map_or("", |line| line.trim());
        if opening.starts_with("\"\"\"") || opening.starts_with("'''") {
            return self.file.statements.iter().find(|s| s.start == first).map_or(first, |s| s.end);
        }
        first
    }

    fn finish(mut self) -> Option<Spliced> {
        self.changes.sort_by_key(|change| (change.range.start, change.range.end));
        if self.changes.windows(2).any(|pair| pair[0].range.end > pair[1].range.start) {
            return None;
        }
        let mut lines = self.old.clone();
        for change in self.changes.iter().rev() {
            lines.splice(change.range.clone(), change.lines.iter().cloned());
        }
        let mut text = joined(&lines);
        if !self.text.ends_with('\n') {
            text.pop();
        }
        if self.text.contains("\r\n") {
            // The workspace gives lines the file's own ends.
            text = text.replace("\r\n", "\n");
        }
        let errors = |text: &str| syntax::check(self.path, text).map_or(0, |report| report.errors);
        if errors(&text) > errors(self.text) {
            return None;
        }
        Some(Spliced { text, replaced: self.replaced, added: self.added })
    }
}

/// Whether the new container has every member of the old one.
fn covers(old: &Definition, new: &Definition) -> bool {
    old.inner.iter().all(|member| new.inner.iter().any(|other| other.name == member.name))
}

/// The names that import lines speak of.
fn words(lines: &[String]) -> BTreeSet<String> {
    const KEYWORDS: [&str; 12] =
        ["import", "from", "use", "as", "pub", "crate", "self", "super", "type", "include", "const", "require"];
    let text = lines.join(" ");
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '@' | '-')))
        .filter(|word| !word.is_empty() && !KEYWORDS.contains(word))
        .map(str::to_owned)
        .collect()
}

/// How many lines stand above the definition proper: comments, decorators, attributes.
fn leading(lines: &[String]) -> usize {
    let is_above = |line: &&String| {
        let text = line.trim_start();
        text.starts_with(['@', '#']) || text.starts_with("//") || text.starts_with("/*") || text.starts_with('*')
    };
    lines.iter().take_while(is_above).count()
}

/// Lines with the indentation of those they replace.
fn reindented(lines: &[String], like: &[String]) -> Vec<String> {
    let blank = |line: &str| line[..line.len() - line.trim_start().len()].to_owned();
    let first =
        |lines: &[String]| lines.iter().find(|line| !line.trim().is_empty()).map_or(String::new(), |line| blank(line));
    let (own, wanted) = (first(lines), first(like));
    // One step of indentation, where the two use different characters or widths.
    lines
        .iter()
        .map(|line| {
            if line.trim().is_empty() {
                return String::new();
            }
            line.strip_prefix(own.as_str()).map_or_else(|| line.clone(), |rest| format!("{wanted}{rest}"))
        })
        .collect()
}

/// Files without a grammar that are made of parts with names: sections of TOML and INI, statements of SQL, rules of a
/// Makefile.
fn by_sections(path: &str, text: &str, fence: &str) -> Option<Spliced> {
    let name = paths::file_name(path);
    let split: fn(&str) -> Vec<Section> = match paths::extension(path).as_str() {
        "toml" | "ini" | "cfg" => bracketed,
        "sql" => statements,
        "mk" => rules,
        _ if matches!(name, "Makefile" | "makefile" | "GNUmakefile") => rules,
        _ => return None,
    };
    let fence = joined(&undented_if_code(fence));
    if !elision::brought_in(text, &fence, false).is_empty() && split(&fence).len() < 2 {
        return None;
    }
    let (mut old, new) = (split(text), split(&fence));
    let (mut replaced, mut added) = (Vec::new(), Vec::new());
    for section in new.iter().filter(|section| !section.name.is_empty()) {
        if section.lines.iter().any(|line| elision::is_elision(line)) {
            return None;
        }
        let places: Vec<usize> = (0..old.len()).filter(|at| old[*at].name == section.name).collect();
        match places.as_slice() {
            [at] => {
                // A section that leaves keys out would drop them.
                if !keys(&old[*at]).is_subset(&keys(section)) {
                    return None;
                }
                let tail: Vec<String> = trailing_blank(&old[*at].lines);
                old[*at].lines = section.lines.iter().take(solid(&section.lines)).cloned().chain(tail).collect();
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
    if replaced.is_empty() {
        return None;
    }
    let mut out: String = old.iter().map(|section| joined(&section.lines)).collect();
    if !text.ends_with('\n') {
        out.pop();
    }
    Some(Spliced { text: out, replaced, added })
}

fn undented_if_code(fence: &str) -> Vec<String> {
    // A Makefile's tabs are its own.
    fence.lines().map(str::to_owned).collect()
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
