//! What import statements bring into a file: compared item by item, so that one that is there already is not imported
//! twice and one that is missing is.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::paths;
use crate::repo_map::outline::{Outline, outline};

/// One thing that a statement imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Where it comes from and what it is.
    pub what: String,
    /// The name that it has in the file; empty where it gives none, `*` for all of them.
    pub name: String,
    /// The statement that imports it alone.
    pub alone: String,
}

/// What the lines of one import statement bring.
pub(super) fn items(path: &str, lines: &[String]) -> Vec<Item> {
    let text = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    match paths::extension(path).as_str() {
        "py" | "pyi" | "pyw" => python(&text),
        "rs" => rust(&text),
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => javascript(&text),
        "go" => go(lines),
        "java" => java(&text),
        _ => {
            let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
            vec![Item { what: plain.clone(), name: String::new(), alone: plain }]
        }
    }
}

fn item(what: String, name: &str, alone: String) -> Item {
    Item { what, name: name.trim().to_owned(), alone }
}

fn python(text: &str) -> Vec<Item> {
    let code = text.split(" #").next().unwrap_or(text);
    if let Some((module, names)) = code.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")) {
        let names = names.trim().trim_start_matches('(').trim_end_matches(')');
        return names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| {
                let bound = name.split_once(" as ").map_or(name, |(_, alias)| alias);
                item(format!("{} : {name}", module.trim()), bound, format!("from {} import {name}", module.trim()))
            })
            .collect();
    }
    let names = code.strip_prefix("import ").unwrap_or("");
    names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let first = name.split('.').next().unwrap_or(name);
            let bound = name.split_once(" as ").map_or(first, |(_, alias)| alias);
            item(name.to_owned(), bound, format!("import {name}"))
        })
        .collect()
}

fn rust(text: &str) -> Vec<Item> {
    let whole = || vec![item(text.to_owned(), "", text.to_owned())];
    let Some((before, tree)) = text.split_once("use ").filter(|(before, _)| !before.contains("extern")) else {
        return whole();
    };
    let tree = tree.trim().trim_end_matches(';');
    let mut leaves = Vec::new();
    if !use_leaves("", tree, &mut leaves) {
        return whole();
    }
    let bound = |path: &str| match path.split_once(" as ") {
        Some((_, alias)) => alias.to_owned(),
        None => {
            let path = path.strip_suffix("::self").unwrap_or(path);
            path.rsplit("::").next().unwrap_or(path).to_owned()
        }
    };
    leaves.into_iter().map(|path| item(path.clone(), &bound(&path), format!("{before}use {path};"))).collect()
}

/// The paths that a `use` tree names; false where its brackets do not pair.
fn use_leaves(prefix: &str, tree: &str, out: &mut Vec<String>) -> bool {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        if !tree.is_empty() {
            let path = format!("{prefix}{tree}");
            out.push(path.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        return !tree.contains('}');
    };
    let Some(inner) = tree[open + 1..].strip_suffix('}') else { return false };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let (mut depth, mut from) = (0_i32, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !use_leaves(&prefix, &inner[from..at], out) {
                    return false;
                }
                from = at + 1;
            }
            _ => {}
        }
    }
    depth == 0 && use_leaves(&prefix, &inner[from..], out)
}

fn javascript(text: &str) -> Vec<Item> {
    let whole = |name: &str| vec![item(text.to_owned(), name, text.to_owned())];
    // `const { a, b: c } = require('m');`
    if !text.starts_with("import") {
        let Some((left, right)) = text.split_once('=') else { return whole("") };
        let (keyword, left) = left.trim().split_once(' ').unwrap_or(("const", left.trim()));
        let Some(inner) = left.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            return vec![item(format!("{} default {}", source(right), left.trim()), left, text.to_owned())];
        };
        let part = |name: &str| {
            let bound = name.split_once(':').map_or(name, |(_, alias)| alias);
            item(format!("{} {name}", source(right)), bound, format!("{keyword} {{ {name} }} ={right}"))
        };
        return inner.split(',').map(str::trim).filter(|name| !name.is_empty()).map(part).collect();
    }
    let Some((names, from)) = text.rsplit_once(" from ") else { return whole("") };
    let names = names.trim_start_matches("import").trim();
    let (kind, names) = names.strip_prefix("type ").map_or(("import", names), |rest| ("import type", rest.trim()));
    let module = source(from);
    let mut found = Vec::new();
    let (plain, braced) = match names.split_once('{') {
        Some((plain, braced)) => (plain, braced.split('}').next().unwrap_or("")),
        None => (names, ""),
    };
    for name in plain.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let bound = name.strip_prefix("* as ").unwrap_or(name);
        found.push(item(format!("{module} default {name}"), bound, format!("{kind} {name} from {from}")));
    }
    for name in braced.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let bound = name.split_once(" as ").map_or(name, |(_, alias)| alias);
        let bound = bound.strip_prefix("type ").unwrap_or(bound);
        found.push(item(format!("{module} {name}"), bound, format!("{kind} {{ {name} }} from {from}")));
    }
    found
}

/// The module in quotes, whichever quotes they are.
fn source(text: &str) -> String {
    text.split(['"', '\'', '`']).nth(1).unwrap_or(text).to_owned()
}

fn go(lines: &[String]) -> Vec<Item> {
    let spec = |line: &String| {
        let line = line.trim().trim_start_matches("import").trim().trim_start_matches('(').trim();
        let (alias, rest) = line.split_once('"')?;
        let path = rest.split('"').next()?;
        let last = path.rsplit('/').find(|part| !is_version(part)).unwrap_or(path);
        let (alias, spec) = (alias.trim(), format!("{}\"{path}\"", if alias.trim().is_empty() { "" } else { alias }));
        let name = if alias.is_empty() { last } else { alias };
        Some(item(spec.clone(), if name == "." || name == "_" { "" } else { name }, format!("import {spec}")))
    };
    lines.iter().filter_map(spec).collect()
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn java(text: &str) -> Vec<Item> {
    let path = text.trim_start_matches("import").trim().trim_end_matches(';').trim();
    let name = path.rsplit('.').next().unwrap_or(path);
    vec![item(path.to_owned(), name, text.to_owned())]
}

/// Whether a word stands in these lines as a name of its own.
pub(super) fn is_word_in(lines: &[String], word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    !word.is_empty()
        && lines.iter().any(|line| {
            line.match_indices(word).any(|(at, _)| {
                !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
            })
        })
}

/// Import lines for what `new` brings and `old` has not. `taken` are names that are defined where they would go.
pub(super) fn missing(
    path: &str,
    old: &[Vec<String>],
    new: &[Vec<String>],
    taken: &BTreeSet<String>,
    wanted: impl Fn(&Item) -> bool,
) -> Vec<String> {
    let had: Vec<Item> = old.iter().flat_map(|lines| items(path, lines)).collect();
    let mut whats: BTreeSet<String> = had.iter().map(|item| item.what.clone()).collect();
    let names: BTreeSet<&str> =
        had.iter().map(|item| item.name.as_str()).filter(|name| !matches!(*name, "" | "*" | "_")).collect();
    // Python may bind a name anew; elsewhere that is an error.
    let rebinds = super::is_python(path);
    let mut out = Vec::new();
    for lines in new {
        let all = items(path, lines);
        let fresh: Vec<&Item> = all
            .iter()
            .filter(|item| !whats.contains(&item.what) && !taken.contains(&item.name))
            .filter(|item| (rebinds || !names.contains(item.name.as_str())) && !is_own(path, item) && wanted(item))
            .collect();
        if fresh.len() == all.len() && !all.is_empty() {
            out.extend(lines.iter().cloned());
        } else {
            out.extend(fresh.iter().map(|item| item.alone.clone()));
        }
        whats.extend(all.iter().map(|item| item.what.clone()));
    }
    out
}

/// Whether an item is imported from the very file that it would be put into.
fn is_own(path: &str, item: &Item) -> bool {
    let name = paths::file_name(path);
    let stem = paths::stem(name);
    let module = item.what.split([' ', ':']).next().unwrap_or("");
    match paths::extension(path).as_str() {
        "py" | "pyi" | "pyw" => module.trim_start_matches('.').rsplit('.').next() == Some(stem) && module != item.what,
        "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx" => {
            let file = module.rsplit('/').next().unwrap_or("");
            module.starts_with("./") && (file == name || file == stem)
        }
        _ => false,
    }
}

/// Where import lines go in a file: behind its imports, else before its first code.
pub(super) fn place(lines: &[String], file: &Outline) -> usize {
    if let Some(last) = file.imports.last() {
        return last.end;
    }
    let starts = file.definitions.iter().map(|d| d.lines.start).chain(file.statements.iter().map(|s| s.start));
    let mut at = starts.min().unwrap_or(0);
    let opening = lines.get(at).map_or("", |line| line.trim());
    if opening.starts_with("\"\"\"") || opening.starts_with("'''") {
        return file.statements.iter().find(|s| s.start == at).map_or(at, |s| s.end);
    }
    let opens = |line: &String| {
        let line = line.trim();
        let directive = line.starts_with("'use ") || line.starts_with("\"use ");
        directive || line.starts_with("#!") || line.starts_with("//!") || line.starts_with("#ifndef")
    };
    while lines.get(at).is_some_and(opens) {
        at += 1;
    }
    at
}

/// A whole file with the imports that the file before had, that its code still uses and that it left out.
pub(super) fn kept(path: &str, text: &str, content: &str) -> Option<String> {
    let (old, new) = (outline(path, text)?, outline(path, content)?);
    let lines_of = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    let (old_lines, new_lines) = (lines_of(text), lines_of(content));
    let statements = |lines: &[String], ranges: &[Range<usize>]| -> Vec<Vec<String>> {
        ranges.iter().filter_map(|range| lines.get(range.clone()).map(<[String]>::to_vec)).collect()
    };
    let code: Vec<String> = new_lines
        .iter()
        .enumerate()
        .filter(|(at, _)| !new.imports.iter().any(|range| range.contains(at)))
        .map(|(_, line)| line.clone())
        .collect();
    let without = new.imports.is_empty();
    let defined: BTreeSet<String> = new.definitions.iter().map(|d| d.name.clone()).collect();
    // A line that stands in the file somewhere else (within a condition, say) is there.
    let stands = |item: &Item| new_lines.iter().any(|line| line.trim() == item.alone);
    let wanted = |item: &Item| match item.name.as_str() {
        "" | "*" | "_" => without && !stands(item),
        name => is_word_in(&code, name) && !stands(item),
    };
    let here = statements(&new_lines, &new.imports);
    let mut add = missing(path, &here, &statements(&old_lines, &old.imports), &defined, wanted);
    if add.is_empty() {
        return None;
    }
    let at = place(&new_lines, &new);
    if new.imports.is_empty() {
        add.push(String::new());
    }
    let mut lines = new_lines;
    lines.splice(at..at, add);
    Some(super::joined(&lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str, statement: &str) -> Vec<String> {
        let lines: Vec<String> = statement.lines().map(str::to_owned).collect();
        items(path, &lines).iter().map(|item| format!("{} = {}", item.name, item.what)).collect()
    }

    #[test]
    fn statements_are_read_item_by_item() {
        assert_eq!(shown("a.py", "from m import (\n    a as b,\n    c,\n)"), ["b = m : a as b", "c = m : c"]);
        assert_eq!(shown("a.py", "import os.path, sys as s"), ["os = os.path", "s = sys as s"]);
        assert_eq!(
            shown("a.rs", "use std::{fmt::{self, Debug}, io as i};"),
            ["fmt = std::fmt::self", "Debug = std::fmt::Debug", "i = std::io as i"]
        );
        assert_eq!(shown("a.ts", "import type d, { a as b } from \"./m\";"), ["d = ./m default d", "b = ./m a as b"]);
        assert_eq!(shown("a.js", "const { a, b: c } = require('m');"), ["a = m a", "c = m b: c"]);
        assert_eq!(shown("a.go", "import (\n\tx \"a/b\"\n\t\"c/d/v2\"\n)"), ["x = x \"a/b\"", "d = \"c/d/v2\""]);
        assert_eq!(shown("A.java", "import a.b.C;"), ["C = a.b.C"]);
        assert_eq!(shown("a.c", "#include  <x.h>"), [" = #include <x.h>"]);
    }

    #[test]
    fn a_file_keeps_the_imports_that_it_uses() {
        let old =
            "import { a, b } from './m.js';\nimport './side.css';\n\nexport function f() {\n  return a() + b();\n}\n";
        let new = "export function f() {\n  return a();\n}\n";
        let after = "import { a } from './m.js';\nimport './side.css';\n\nexport function f() {\n  return a();\n}\n";
        assert_eq!(kept("x.js", old, new).as_deref(), Some(after));
        assert_eq!(kept("x.js", old, old), None);
        let used = "from os import path\nimport sys\n\n\ndef f():\n    return sys\n";
        assert_eq!(kept("x.py", used, "import sys\n\n\ndef f():\n    return 1\n"), None, "what is used no more goes");
    }
}
