//! Definitions put into a file that a grammar knows: where each belongs, and the changed lines.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::{elision, paths, region};
use super::{Part, Spliced, heads, imports, is_java, is_python, joined};
use crate::repo_map::outline::{Definition, Outline};
use crate::repo_map::syntax;

/// A change of some of the file's lines.
struct Change {
    range: Range<usize>,
    lines: Vec<String>,
}

/// What one of the fence's definitions is to the file.
enum Found {
    /// It stands for this one, at the top level or inside a class.
    Top(Definition),
    Member(Definition),
    New,
    /// A new member of this class.
    NewMember(Definition),
    /// A use of the code rather than a part of it.
    Use,
}

pub(super) struct Edit<'a> {
    path: &'a str,
    text: &'a str,
    file: &'a Outline,
    old: Vec<String>,
    part: Part,
    changes: Vec<Change>,
    pub(super) replaced: Vec<String>,
    pub(super) added: Vec<String>,
}

impl<'a> Edit<'a> {
    pub(super) fn new(path: &'a str, text: &'a str, file: &'a Outline, part: Part) -> Self {
        let old = text.lines().map(str::to_owned).collect();
        Self { path, text, file, old, part, changes: Vec::new(), replaced: Vec::new(), added: Vec::new() }
    }

    /// Puts every definition of the fence in its place; nothing where one has none that is certain.
    pub(super) fn definitions(&mut self) -> Option<()> {
        let definitions = self.part.outline.definitions.clone();
        let found: Vec<Found> =
            definitions.iter().enumerate().map(|(at, new)| self.find(at, new)).collect::<Option<_>>()?;
        let mut at = 0;
        while at < found.len() {
            match &found[at] {
                Found::Top(old) | Found::Member(old) => self.replace(old, &definitions[at])?,
                Found::NewMember(class) => self.add_member(class, &definitions[at], None)?,
                Found::Use => {}
                Found::New => {
                    let end = (at..found.len()).find(|next| !matches!(found[*next], Found::New)).unwrap_or(found.len());
                    let top = |found: &Found| if let Found::Top(old) = found { Some(old.lines.clone()) } else { None };
                    let behind = at.checked_sub(1).and_then(|before| top(&found[before])).map(|lines| lines.end);
                    let before = found.get(end).and_then(top).map(|lines| lines.start);
                    self.add(&definitions[at..end], behind, before)?;
                    at = end;
                    continue;
                }
            }
            at += 1;
        }
        Some(())
    }

    fn find(&self, at: usize, new: &Definition) -> Option<Found> {
        let same: Vec<&Definition> = self.file.definitions.iter().filter(|d| d.name == new.name).collect();
        if !self.part.members {
            // A function and its prototype have one name.
            let alike: Vec<&&Definition> = same
                .iter()
                .filter(|d| d.is_function == new.is_function && d.is_container == new.is_container)
                .collect();
            match (same.as_slice(), alike.as_slice()) {
                ([only], _) => return Some(Found::Top((*only).clone())),
                ([], _) => {}
                (_, [only]) => return Some(Found::Top((**only).clone())),
                // Several `impl` blocks of one type: the one that has a member of the fence's, else the last.
                (several, _) if new.is_container && several.iter().all(|d| d.is_container) => {
                    let shares = |d: &&&Definition| d.inner.iter().any(|i| new.inner.iter().any(|n| n.name == i.name));
                    return Some(Found::Top((*several.iter().find(shares).or(several.last())?).clone()));
                }
                // Overloads, variants for several platforms: which one is meant cannot be told.
                _ => return None,
            }
        }
        let is_member = self.part.members || self.takes_self(new);
        let free = !is_member && is_python(self.path);
        match self.methods(&new.name).as_slice() {
            [old] if !free => return Some(Found::Member(old.clone())),
            [_, _, ..] if !free => return None,
            _ => {}
        }
        if is_member {
            return self.home_of_members().map(Found::NewMember);
        }
        Some(if self.is_use(at, new) { Found::Use } else { Found::New })
    }

    /// The methods of that name.
    fn methods(&self, name: &str) -> Vec<Definition> {
        let inner =
            self.file.definitions.iter().flat_map(|d| &d.inner).filter(|inner| inner.name == name && inner.is_function);
        inner.cloned().collect()
    }

    /// Whether a function is a method by its parameters, or can stand in a namespace only.
    fn takes_self(&self, new: &Definition) -> bool {
        if !new.is_function {
            return false;
        }
        let head: String = self.part.lines[new.lines.clone()]
            .iter()
            .skip_while(|line| !line.contains('('))
            .take(3)
            .flat_map(|line| [line.trim(), " "])
            .collect();
        let first = head.split_once('(').map_or("", |(_, rest)| rest.trim_start());
        let first = first.split([',', ')', ':']).next().unwrap_or("").trim();
        match paths::extension(self.path).as_str() {
            "py" | "pyi" => matches!(first, "self" | "cls"),
            "rs" => first.trim_start_matches(['&', ' ']).trim_start_matches("mut ").ends_with("self"),
            "cpp" | "cc" | "cxx" | "hpp" | "hh" | "hxx" => {
                !self.file.definitions.iter().any(|d| d.is_function) && !new.name.contains("::") && self.is_namespaced()
            }
            _ => false,
        }
    }

    /// Whether everything in the file stands in one namespace.
    fn is_namespaced(&self) -> bool {
        let containers: Vec<&Definition> = self.file.definitions.iter().filter(|d| d.is_container).collect();
        let [only] = containers.as_slice() else { return false };
        self.old[only.lines.clone()].iter().any(|line| line.trim_start().starts_with("namespace"))
    }

    /// The one class that new members can go into.
    fn home_of_members(&self) -> Option<Definition> {
        let stem = paths::file_name(self.path).split('.').next().unwrap_or("");
        let classes: Vec<&Definition> =
            self.file.definitions.iter().filter(|d| d.is_container && !self.is_tests(d)).collect();
        if is_java(self.path)
            && let Some(main) = classes.iter().find(|d| d.name == stem)
        {
            return Some((*main).clone());
        }
        if paths::extension(self.path) == "rs" {
            let own: Vec<&&Definition> =
                classes.iter().filter(|d| d.name.starts_with("impl ") && !d.name.contains(" for ")).collect();
            let last = own.last()?;
            return own.iter().all(|d| d.name == last.name).then(|| (**last).clone());
        }
        if let [only] = classes.as_slice() { Some((*only).clone()) } else { None }
    }

    fn is_tests(&self, definition: &Definition) -> bool {
        definition.is_container && definition.name == "tests" && paths::extension(self.path) == "rs"
    }

    /// Whether a value at the top level shows how the code is used. Where statements are run, one that stands behind
    /// the definitions and that none of them needs is one.
    fn is_use(&self, at: usize, new: &Definition) -> bool {
        let all = &self.part.outline.definitions;
        if new.is_function || new.is_container {
            // An example's entry point.
            let beside = all.iter().filter(|d| d.is_function || d.is_container).count() > 1;
            let stem = paths::file_name(self.path).split('.').next().unwrap_or("");
            return beside && matches!(new.name.as_str(), "main" | "Main") && !stem.eq_ignore_ascii_case("main");
        }
        let runs = matches!(
            paths::extension(self.path).as_str(),
            "py" | "pyi" | "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" | "sh" | "bash"
        );
        let line = self.part.lines.get(new.lines.start).map_or("", |line| line.trim_start());
        let declares = ["export ", "type ", "module.exports", "exports.", "declare "];
        if !runs || declares.iter().any(|word| line.starts_with(word)) {
            return false;
        }
        let is_code = |d: &Definition| d.is_function || d.is_container;
        let behind = all[..at].iter().any(is_code);
        (behind || (!all.iter().any(is_code) && !self.part.outline.statements.is_empty())) && !self.is_used(&new.name)
    }

    /// Whether what the fence defines uses this name.
    fn is_used(&self, name: &str) -> bool {
        let code = |d: &&Definition| d.is_function || d.is_container;
        let mut all = self.part.outline.definitions.iter().filter(code);
        all.any(|definition| imports::is_word_in(&self.part.lines[definition.lines.clone()], name))
    }

    /// A definition's lines; a comment above it that stands for left-out code is none of them.
    fn lines_of(&self, new: &Definition) -> Vec<String> {
        let lines = &self.part.lines[new.lines.clone()];
        let skipped = lines.iter().take_while(|line| elision::is_elision(line) || line.trim().is_empty()).count();
        lines[skipped.min(lines.len() - 1)..].to_vec()
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
        let head = heads::leading(&before);
        if head > 0 && heads::leading(&lines) == 0 {
            lines.splice(0..0, before[..head].iter().cloned());
        }
        heads::keep_modifiers(&before, &mut lines);
        if heads::is_export_list(&new.name) {
            let defined = |name: &str| self.file.definitions.iter().any(|d| d.name == name);
            lines = heads::united(&before, lines, &defined);
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
        let mut taken = false;
        for member in &new.inner {
            let same: Vec<&Definition> = old.inner.iter().filter(|d| d.name == member.name).collect();
            match same.as_slice() {
                [found] => {
                    let found = (*found).clone();
                    self.replace(&found, member)?;
                    self.replaced.pop();
                    last = Some(found.lines.end);
                    taken = true;
                }
                [] => {
                    self.add_member(old, member, last)?;
                    taken = true;
                }
                _ => return None,
            }
        }
        if let Some((at, line)) = heads::other_head(&self.old[old.lines.clone()], &self.lines_of(new), &old.name) {
            let at = old.lines.start + at;
            self.changes.push(Change { range: at..at + 1, lines: vec![line] });
            taken = true;
        }
        let (before, given) = (&self.old[old.lines.clone()], self.lines_of(new));
        if let Some((head, lines)) = heads::other_attributes(before, &given) {
            let range = old.lines.start..old.lines.start + head;
            self.changes.push(Change { range, lines: reindented(&lines, before) });
            taken = true;
        }
        if !taken {
            return None;
        }
        self.replaced.push(old.name.clone());
        Some(())
    }

    /// Adds a member to a class: behind `last`, else behind the last one of its kind.
    fn add_member(&mut self, class: &Definition, new: &Definition, last: Option<usize>) -> Option<()> {
        let of_kind = class.inner.iter().rev().find(|d| d.is_function == new.is_function);
        let like = of_kind.or(class.inner.last());
        let at = last.or_else(|| like.map(|d| d.lines.end)).unwrap_or(class.lines.end - 1);
        let own = self.lines_of(new);
        let mut lines = match like {
            Some(like) => reindented(&own, &self.old[like.lines.clone()]),
            None => reindented(&own, &[format!("{}x", self.inside(class))]),
        };
        self.check_elision(&[], &lines)?;
        let fields = !new.is_function && of_kind.is_some();
        if !fields && like.is_some() {
            lines.insert(0, String::new());
        }
        self.changes.push(Change { range: at..at, lines });
        self.added.push(format!("{}.{}", class.name, new.name));
        Some(())
    }

    /// The indentation inside a class that has no members.
    fn inside(&self, class: &Definition) -> String {
        let line = &self.old[class.lines.end - 1];
        let unit = if self.old.iter().any(|line| line.starts_with('\t')) { "\t" } else { "    " };
        format!("{}{unit}", &line[..line.len() - line.trim_start().len()])
    }

    /// Adds definitions that follow one another in the fence: `behind` or `before` their neighbours there, else where
    /// definitions of their kind end.
    fn add(&mut self, new: &[Definition], behind: Option<usize>, before: Option<usize>) -> Option<()> {
        let are_values = new.iter().all(|d| !d.is_function && !d.is_container);
        if self.reads_in_order() && !are_values && behind.is_none() && before.is_none() {
            // Constants stand before the functions that use them.
            let first = new.iter().position(|d| d.is_function || d.is_container).unwrap_or(0);
            if first > 0 {
                self.add(&new[..first], None, None)?;
                return self.add(&new[first..], None, None);
            }
        }
        let mut lines: Vec<String> = Vec::new();
        let gap = if is_python(self.path) && !are_values { 2 } else { 1 };
        for (at, definition) in new.iter().enumerate() {
            if let Some(previous) = at.checked_sub(1).map(|before| &new[before]) {
                let between = &self.part.lines[previous.lines.end..definition.lines.start.max(previous.lines.end)];
                let blank = if between.iter().all(|line| line.trim().is_empty()) { between.len() } else { gap };
                lines.extend(vec![String::new(); blank]);
            }
            lines.extend(self.lines_of(definition));
            self.added.push(definition.name.clone());
        }
        self.check_elision(&[], &lines)?;
        let blanks = vec![String::new(); gap];
        let change = if are_values {
            self.place_of_values(lines)
        } else {
            match (behind.or_else(|| self.end_of_kind(new).filter(|_| before.is_none())), before) {
                (Some(at), _) => Change { range: at..at, lines: [blanks, lines].concat() },
                (None, Some(at)) => Change { range: at..at, lines: [lines, blanks].concat() },
                (None, None) => {
                    let at = imports::place(&self.old, self.file);
                    Change { range: at..at, lines: [lines, blanks].concat() }
                }
            }
        };
        self.changes.push(change);
        Some(())
    }

    /// Whether a file's text is run from top to bottom, or declared before use.
    fn reads_in_order(&self) -> bool {
        !matches!(paths::extension(self.path).as_str(), "rs" | "go" | "java")
    }

    /// Constants go behind the file's own, before the first definition that is no value.
    fn place_of_values(&self, mut lines: Vec<String>) -> Change {
        let is_code = |d: &&Definition| d.is_function || d.is_container;
        let first = self.file.definitions.iter().find(is_code).map(|d| d.lines.start);
        let own =
            self.file.definitions.iter().filter(|d| !is_code(d) && first.is_none_or(|first| d.lines.end <= first));
        let outside = |d: &&Definition| !d.name.contains("exports");
        match (own.filter(outside).map(|d| d.lines.end).max(), first) {
            (Some(at), _) => Change { range: at..at, lines },
            (None, Some(at)) => {
                lines.push(String::new());
                Change { range: at..at, lines }
            }
            (None, None) => {
                let at = imports::place(&self.old, self.file);
                Change { range: at..at, lines }
            }
        }
    }

    /// Behind the last definition of the kind, before tests, the entry point and what is run.
    fn end_of_kind(&self, new: &[Definition]) -> Option<usize> {
        let last = matches!(paths::extension(self.path).as_str(), "c" | "cpp" | "cc" | "cxx" | "sh" | "bash" | "py");
        let all: Vec<&Definition> = self
            .file
            .definitions
            .iter()
            .filter(|d| !(self.is_tests(d) || d.name.contains("exports") || (last && d.name == "main")))
            .collect();
        let of = |fits: &dyn Fn(&&&Definition) -> bool| all.iter().filter(fits).map(|d| d.lines.end).max();
        let functions = new.iter().any(|d| d.is_function);
        // A file's functions may end before its classes do; a function goes behind whatever of either is last.
        let kind = if functions { of(&|d| d.is_function) } else { of(&|d| d.is_container) };
        kind.or_else(|| of(&|d| d.is_function || d.is_container)).or_else(|| of(&|_| true))
    }

    fn check_elision(&self, before: &[String], lines: &[String]) -> Option<()> {
        let (old, new) = (joined(before), joined(lines));
        elision::brought_in(&old, &new, is_python(self.path)).is_empty().then_some(())
    }

    pub(super) fn imports(&mut self) {
        let lines_of = |lines: &[String], range: &Range<usize>| lines[range.clone()].to_vec();
        let part = &self.part;
        let mut new: Vec<Vec<String>> = part.outline.imports.iter().map(|range| lines_of(&part.lines, range)).collect();
        let had: BTreeSet<&str> = self.old.iter().map(|line| line.trim()).collect();
        new.retain(|lines| !lines.iter().all(|line| had.contains(line.trim())));
        let is_go = paths::extension(self.path) == "go";
        // A longer list of names in the place of the file's own.
        for range in self.file.imports.iter().filter(|_| !is_go) {
            let old = imports::items(self.path, &self.old[range.clone()]);
            let named = old.iter().all(|item| !item.name.is_empty());
            let within = |lines: &Vec<String>| {
                let items = imports::items(self.path, lines);
                items.len() > old.len() && old.iter().all(|one| items.iter().any(|item| item.what == one.what))
            };
            if let Some(at) = new.iter().position(within).filter(|_| named && range.len() == 1 && !old.is_empty()) {
                self.changes.push(Change { range: range.clone(), lines: new.remove(at) });
            }
        }
        let old: Vec<Vec<String>> = self.file.imports.iter().map(|range| lines_of(&self.old, range)).collect();
        let taken: BTreeSet<String> =
            self.file.definitions.iter().chain(&part.outline.definitions).map(|d| d.name.clone()).collect();
        // An import that is not used is an error in Go.
        let used = |item: &imports::Item| !is_go || item.name.is_empty() || self.is_used(&item.name);
        let mut lines = imports::missing(self.path, &old, &new, &taken, used);
        if lines.is_empty() {
            return;
        }
        let mut at = imports::place(&self.old, self.file);
        let in_group = is_go && at > 0 && self.file.imports.last().is_some() && self.old[at - 1].trim() == ")";
        if in_group {
            let spec = |line: &String| format!("\t{}", line.trim().trim_start_matches("import ").trim());
            lines = lines.iter().filter(|line| line.contains('"')).map(spec).collect();
            at -= 1;
        } else if self.file.imports.is_empty() {
            lines.push(String::new());
        }
        // Before what else comes to that place: a constant may need them.
        self.changes.insert(0, Change { range: at..at, lines });
    }

    pub(super) fn finish(mut self) -> Option<Spliced> {
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
        let errors = |text: &str| syntax::check(self.path, text).map_or(0, |report| report.errors);
        if errors(&text) > errors(self.text) {
            return None;
        }
        // Statements go where they stand in the file in another form; what has no place there is rather an example.
        let mut left_out = 0;
        for range in &self.part.outline.statements {
            match region::placed(self.path, &text, &joined(&self.part.lines[range.clone()])) {
                Some(changed) if errors(&changed) <= errors(self.text) => text = changed,
                _ => left_out += range.len(),
            }
        }
        Some(Spliced { text, replaced: self.replaced, added: self.added, left_out })
    }
}

/// Whether the new container has every member of the old one.
fn covers(old: &Definition, new: &Definition) -> bool {
    old.inner.iter().all(|member| new.inner.iter().any(|other| other.name == member.name))
}

/// Lines with the indentation of those they replace.
fn reindented(lines: &[String], like: &[String]) -> Vec<String> {
    fn first(lines: &[String]) -> &str {
        lines.iter().find(|line| !line.trim().is_empty()).map_or("", String::as_str)
    }
    region::reindented(lines, first(lines), first(like))
}
