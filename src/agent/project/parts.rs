//! A reply that answers with what changes and not with the file: its definitions put in the place of those of the same
//! name, new ones and new imports added. Pure.
//!
//! What comes of it is a guess that the project's check decides about; without a check nothing is read this way. Not for:
//! edits whose place a reply states (`reply::edits`).

use std::collections::BTreeSet;
use std::ops::Range;

use crate::repo_map;

/// Of a fence without a path so many of its lines must stand in the file that it is taken for, in parts of 1.
const SHARED_MIN: f64 = 0.3;

/// A definition with all its lines: what is written above it (comments, decorators, attributes) and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: String,
    lines: Range<usize>,
    indent: usize,
}

/// The share of a block's lines that stand in a file.
pub(super) fn likeness(block: &str, file: &str) -> f64 {
    let solid = |text: &str| -> BTreeSet<String> {
        text.lines().map(str::trim).filter(|line| line.len() > 2).map(str::to_owned).collect()
    };
    let (new, old) = (solid(block), solid(file));
    if new.is_empty() || old.is_empty() {
        return 0.0;
    }
    new.intersection(&old).count() as f64 / old.len().min(new.len()) as f64
}

/// Which of these files a block without a path is about: the one it resembles most, or whose definitions it has. `None`
/// where two fit alike.
pub(super) fn meant<'a>(block: &str, files: impl Iterator<Item = (&'a str, &'a str)>) -> Option<&'a str> {
    let mut found: Vec<(f64, &str)> = files
        .map(|(path, text)| {
            let own: BTreeSet<String> = outer(path, text).into_iter().map(|part| part.name).collect();
            let shared = outer(path, block).iter().filter(|part| own.contains(&part.name)).count();
            (likeness(block, text) + shared as f64, path)
        })
        .filter(|(points, _)| *points >= SHARED_MIN)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    match found.as_slice() {
        [only] => Some(only.1),
        [first, second, ..] if first.0 > second.0 * 1.2 => Some(first.1),
        _ => None,
    }
}

/// Whether a block leaves out definitions of the file: then it is not the file.
pub(super) fn leaves_out(path: &str, file: &str, block: &str) -> bool {
    let names = |text: &str| -> BTreeSet<String> { outer(path, text).into_iter().map(|part| part.name).collect() };
    let (old, new) = (names(file), names(block));
    if new.is_empty() {
        return false;
    }
    let missing = old.difference(&new).count();
    missing > 0 && block.lines().count() * 5 < file.lines().count() * 4
}

/// A block that is the whole file but for what opens it: the file's first comment and its imports, where the block brings
/// no import of its own.
pub(super) fn with_head(file: &str, block: &str) -> String {
    let lines: Vec<String> = file.lines().map(str::to_owned).collect();
    let Some(last) = lines.iter().rposition(|line| is_import(line)) else { return block.to_owned() };
    let is_head = lines[..last].iter().all(|line| is_import(line) || is_comment(line));
    if block.lines().any(is_import) || !is_head {
        return block.to_owned();
    }
    let mut head = lines[..=last].join("\n");
    head.push_str("\n\n");
    head.push_str(block.trim_start_matches('\n'));
    head
}

/// The file with the block's definitions in it. `None` where the block defines nothing.
pub(super) fn joined(path: &str, file: &str, block: &str) -> Option<String> {
    let block_lines: Vec<&str> = block.lines().collect();
    let parts = outer(path, block);
    if parts.is_empty() {
        return None;
    }
    let mut text: Vec<String> = file.lines().map(str::to_owned).collect();
    for part in &parts {
        let new = &block_lines[part.lines.clone()];
        place(path, &mut text, part, new);
    }
    let of_parts: BTreeSet<usize> = parts.iter().flat_map(|part| part.lines.clone()).collect();
    for (at, line) in block_lines.iter().enumerate().filter(|(at, _)| !of_parts.contains(at)) {
        loose(&mut text, line, &block_lines[at..]);
    }
    let mut joined = text.join("\n");
    joined.push('\n');
    Some(joined)
}

/// Puts one definition into the file: over the one of its name, else at the end.
fn place(path: &str, text: &mut Vec<String>, part: &Part, new: &[&str]) {
    let whole = text.join("\n");
    let same: Vec<Part> = all(path, &whole).into_iter().filter(|old| old.name == part.name).collect();
    let old = match same.as_slice() {
        [only] => Some(only.clone()),
        several => several.iter().find(|old| old.indent == part.indent).cloned(),
    };
    let Some(old) = old else { return append(text, part, new) };
    // A class that comes with some of its methods is not the class.
    let within = |of: &Part, text: &str| -> Vec<Part> {
        all(path, text).into_iter().filter(|p| p.lines.start > of.lines.start && p.lines.end <= of.lines.end).collect()
    };
    let block = new.join("\n");
    let inner: Vec<Part> = outer_of(all(path, &block).into_iter().filter(|p| p.indent > part.indent).collect());
    let had: BTreeSet<String> = within(&old, &whole).into_iter().map(|p| p.name).collect();
    let has: BTreeSet<String> = inner.iter().map(|p| p.name.clone()).collect();
    if !inner.is_empty() && had.difference(&has).next().is_some() {
        for method in &inner {
            let lines = &new[method.lines.clone()];
            if had.contains(&method.name) {
                place(path, text, method, lines);
            } else {
                let whole = text.join("\n");
                let end = all(path, &whole).into_iter().find(|p| p.name == old.name && p.indent == old.indent);
                let at = end.map_or(text.len(), |of| last_inside(text, &of));
                insert(text, at, lines, true);
            }
        }
        return;
    }
    let shift = old.indent as i64 - part.indent as i64;
    // What stands above the old one stays where the new one brings nothing of its own.
    let from = if starts_bare(new) { head_of(text, &old) } else { old.lines.start };
    let new: Vec<String> = new.iter().map(|line| moved(line, shift)).collect();
    text.splice(from..old.lines.end, new);
}

/// The line where a definition's own words begin, without what is written above it.
fn head_of(text: &[String], part: &Part) -> usize {
    (part.lines.clone()).find(|at| !is_above(&text[*at])).unwrap_or(part.lines.start)
}

fn starts_bare(new: &[&str]) -> bool {
    new.first().is_none_or(|line| !is_above(line))
}

/// The line after the last one inside a definition, before what closes it.
fn last_inside(text: &[String], part: &Part) -> usize {
    let mut at = part.lines.end;
    while at > part.lines.start + 1 && (text[at - 1].trim().is_empty() || closes(&text[at - 1])) {
        at -= 1;
    }
    at
}

/// A new definition goes to the end, before what stands there to be run or exported.
fn append(text: &mut Vec<String>, part: &Part, new: &[&str]) {
    const LAST: [&str; 9] = [
        "if __name__",
        "module.exports",
        "exports.",
        "export {",
        "export default",
        "#[cfg(test)]",
        "#endif",
        "main ",
        "main\t",
    ];
    let tail = text.iter().rposition(|line| LAST.iter().any(|start| line.starts_with(start)));
    let at = tail.unwrap_or(text.len());
    let shift = -(part.indent as i64);
    let new: Vec<String> = new.iter().map(|line| moved(line, shift)).collect();
    let lines: Vec<&str> = new.iter().map(String::as_str).collect();
    insert(text, at, &lines, false);
}

/// Inserts lines with the blank lines that the file's own definitions have between them.
fn insert(text: &mut Vec<String>, at: usize, new: &[&str], inside: bool) {
    let mut at = at;
    while at > 0 && text[at - 1].trim().is_empty() {
        at -= 1;
    }
    let gap = if !inside && text.windows(3).any(|w| w[0].trim().is_empty() && w[1].trim().is_empty()) { 2 } else { 1 };
    let mut lines: Vec<String> = vec![String::new(); if at == 0 { 0 } else { gap }];
    lines.extend(new.iter().map(|line| (*line).to_owned()));
    let follows = text.get(at).is_some_and(|line| !line.trim().is_empty());
    if follows && !inside {
        lines.extend(vec![String::new(); gap]);
    }
    text.splice(at..at, lines);
}

/// A line of the block that is of no definition: imports and exports are taken over, everything else is left.
fn loose(text: &mut Vec<String>, line: &str, rest: &[&str]) {
    let plain = line.trim_end();
    if plain.is_empty() || plain.starts_with(char::is_whitespace) || text.iter().any(|old| old.trim_end() == plain) {
        return;
    }
    for start in ["module.exports", "export {", "__all__"] {
        if plain.starts_with(start) {
            let length = |lines: &[&str]| statement(lines.iter().copied());
            let new: Vec<String> = rest[..length(rest)].iter().map(|line| (*line).to_owned()).collect();
            let old = text.iter().position(|old| old.starts_with(start));
            match old {
                Some(at) => {
                    let end = at + statement(text[at..].iter().map(String::as_str));
                    text.splice(at..end, new);
                }
                None => text.extend(new),
            }
            return;
        }
    }
    if is_import(plain) && statement(rest.iter().copied()) == 1 {
        let at = text.iter().rposition(|old| is_import(old)).map_or_else(|| first_code(text), |at| at + 1);
        text.insert(at, plain.to_owned());
    }
}

/// How many lines a statement at the margin has: until its brackets are closed.
fn statement<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let mut depth = 0_i64;
    let mut count = 0;
    for line in lines {
        count += 1;
        depth += line
            .chars()
            .map(|c| match c {
                '(' | '[' | '{' => 1,
                ')' | ']' | '}' => -1,
                _ => 0,
            })
            .sum::<i64>();
        if depth <= 0 {
            break;
        }
    }
    count
}

fn is_import(line: &str) -> bool {
    let starts = ["import ", "from ", "use ", "#include", "require ", "require_once", "using "];
    starts.iter().any(|start| line.starts_with(start))
        || (["const ", "let ", "var "].iter().any(|start| line.starts_with(start)) && line.contains("require("))
}

/// Where a file's code begins: after its first comment or documentation.
fn first_code(text: &[String]) -> usize {
    text.iter().position(|line| !is_comment(line)).unwrap_or(0)
}

fn is_comment(line: &str) -> bool {
    let plain = line.trim_start();
    ["#!", "# ", "//", "/*", "*", "\"\"\"", "'use strict'"].iter().any(|start| plain.starts_with(start))
        || plain.is_empty()
}

fn moved(line: &str, shift: i64) -> String {
    if line.trim().is_empty() || shift == 0 {
        return line.to_owned();
    }
    let indent = indent(line);
    if shift > 0 {
        format!("{}{line}", " ".repeat(shift as usize))
    } else {
        line[indent.min((-shift) as usize)..].to_owned()
    }
}

/// The outermost definitions of a text.
fn outer(path: &str, text: &str) -> Vec<Part> {
    outer_of(all(path, text))
}

fn outer_of(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_key(|part| (part.lines.start, std::cmp::Reverse(part.lines.end)));
    let mut kept: Vec<Part> = Vec::new();
    for part in parts {
        if kept.last().is_none_or(|last| part.lines.start >= last.lines.end) {
            kept.push(part);
        }
    }
    kept
}

/// Every definition of a text with its lines.
fn all(path: &str, text: &str) -> Vec<Part> {
    let lines: Vec<&str> = text.lines().collect();
    let mut parts: Vec<Part> = Vec::new();
    for found in repo_map::tags(path, text).definitions {
        let row = (found.line as usize).saturating_sub(1);
        let Some(line) = lines.get(row) else { continue };
        let part = Part { name: found.name, lines: extent(&lines, row), indent: indent(line) };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts
}

/// The lines of the definition that begins at `row`: what is written directly above it, and everything that is indented
/// deeper, up to what closes it.
fn extent(lines: &[&str], row: usize) -> Range<usize> {
    let depth = indent(lines[row]);
    let mut start = row;
    while start > 0 && is_above(lines[start - 1]) && indent(lines[start - 1]) == depth {
        start -= 1;
    }
    let mut end = row + 1;
    let mut at = row + 1;
    while at < lines.len() {
        let line = lines[at];
        if !line.trim().is_empty() {
            let inside = indent(line) > depth;
            // A bracket that closes or opens at the margin belongs to the definition.
            let edge = indent(line) == depth && (closes(line) || line.trim_start().starts_with('{'));
            if !inside && !edge {
                break;
            }
            end = at + 1;
            if edge && closes(line) && !opens(line) {
                break;
            }
        }
        at += 1;
    }
    start..end
}

fn is_above(line: &str) -> bool {
    let plain = line.trim_start();
    ["@", "#[", "///", "//", "/*", "*", "# "].iter().any(|start| plain.starts_with(start))
        && !plain.starts_with("#include")
}

fn closes(line: &str) -> bool {
    let plain = line.trim();
    plain.starts_with(['}', ')', ']']) || plain == "end" || plain == "fi" || plain == "done" || plain == "esac"
}

/// Whether a closing line opens again: `} else {`, `) -> int:`.
fn opens(line: &str) -> bool {
    line.trim_end().ends_with(['{', ':', '('])
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &str = "\"\"\"Statistics.\"\"\"\nimport math\n\n\n# Sums.\ndef total(values):\n    return sum(values)\n\n\nclass Row:\n    def one(self):\n        return 1\n\n    def two(self):\n        return 2\n\n\nif __name__ == \"__main__\":\n    print(total([1]))\n";

    #[test]
    fn a_definition_takes_the_place_of_the_one_of_its_name() {
        let joined = joined("a.py", PYTHON, "def total(values):\n    return math.fsum(values)\n").unwrap();
        assert_eq!(joined, PYTHON.replace("return sum(values)", "return math.fsum(values)"));
    }

    #[test]
    fn what_is_new_is_added_with_its_imports() {
        let block = "import statistics\n\n\ndef middle(values):\n    return statistics.median(values)\n";
        let joined = joined("a.py", PYTHON, block).unwrap();
        assert!(joined.contains("import math\nimport statistics\n"), "{joined}");
        let (new, main) = (joined.find("def middle").unwrap(), joined.find("if __name__").unwrap());
        assert!(new < main && joined.contains("        return 2\n\n\ndef middle"), "{joined}");
    }

    #[test]
    fn methods_are_put_into_their_class() {
        let block = "class Row:\n    def two(self):\n        return 22\n\n    def three(self):\n        return 3\n";
        let joined = joined("a.py", PYTHON, block).unwrap();
        assert!(
            joined.contains("def one(self):\n        return 1\n\n    def two(self):\n        return 22\n"),
            "{joined}"
        );
        assert!(
            joined.contains("        return 22\n\n    def three(self):\n        return 3\n\n\nif __name__"),
            "{joined}"
        );
        let bare = super::joined("a.py", PYTHON, "def two(self):\n    return 22\n").unwrap();
        assert_eq!(bare, PYTHON.replace("        return 2\n", "        return 22\n"));
    }

    #[test]
    fn other_languages_too() {
        let rust = "pub fn mean(v: &[f64]) -> f64 {\n    v[0]\n}\n\n/// The largest.\npub fn max(v: &[f64]) -> f64 {\n    v[0]\n}\n";
        let joined = super::joined("a.rs", rust, "pub fn max(v: &[f64]) -> f64 {\n    v[1]\n}\n").unwrap();
        assert_eq!(joined, rust.replace("max(v: &[f64]) -> f64 {\n    v[0]", "max(v: &[f64]) -> f64 {\n    v[1]"));
        let js = "function one() {\n  return 1;\n}\n\nmodule.exports = { one };\n";
        let block = "function two() {\n  return 2;\n}\n\nmodule.exports = { one, two };\n";
        let joined = super::joined("a.js", js, block).unwrap();
        assert_eq!(
            joined,
            "function one() {\n  return 1;\n}\n\nfunction two() {\n  return 2;\n}\n\nmodule.exports = { one, two };\n"
        );
        let c = "#include <ctype.h>\n\nint one(void)\n{\n    return 1;\n}\n";
        let joined = super::joined("a.c", c, "#include <string.h>\n\nint one(void)\n{\n    return 2;\n}\n").unwrap();
        assert_eq!(joined, "#include <ctype.h>\n#include <string.h>\n\nint one(void)\n{\n    return 2;\n}\n");
    }

    #[test]
    fn a_block_without_the_files_imports_gets_them() {
        let js = "// Offers.\nimport { percentOf } from './money.js';\n\nexport const a = 1;\n";
        let whole = with_head(js, "export const a = percentOf(2);\n");
        assert_eq!(whole, "// Offers.\nimport { percentOf } from './money.js';\n\nexport const a = percentOf(2);\n");
        let own = "import { b } from './b.js';\nexport const a = b;\n";
        assert_eq!(with_head(js, own), own);
        assert_eq!(with_head("x = 1\n", "x = 2\n"), "x = 2\n");
    }

    #[test]
    fn a_block_is_taken_for_the_file_that_it_resembles() {
        let toml = "[station]\nname = \"north\"\nheight = 12\n";
        let files = [("a.py", PYTHON), ("station.toml", toml)];
        let of = |block: &str| meant(block, files.iter().copied());
        assert_eq!(of("[station]\nname = \"north\"\nheight = 13\n"), Some("station.toml"));
        assert_eq!(of("def total(values):\n    return 0\n"), Some("a.py"));
        assert_eq!(of("print('use it')\n"), None);
        assert!(leaves_out("a.py", PYTHON, "def total(values):\n    return 0\n"));
        assert!(!leaves_out("a.py", PYTHON, PYTHON) && !leaves_out("station.toml", toml, "x = 1\n"));
    }
}
