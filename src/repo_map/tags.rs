//! What one file defines, what it refers to and what it says it is for: by tree-sitter where a grammar is linked in
//! and time allows, else by patterns.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{LazyLock, OnceLock};

use regex::Regex;
use serde::{Deserialize, Serialize};
use streaming_iterator::StreamingIterator;
use tree_sitter::{Parser, Query, QueryCursor};

use super::grammar::Grammar;
use super::syntax;

/// A definition: its name, its line (from 1) and that line's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    pub name: String,
    pub line: u32,
    pub text: String,
}

/// What one file defines and what it refers to, with how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    pub definitions: Vec<Definition>,
    pub references: BTreeMap<String, u32>,
    /// The beginning of the comment that opens the file.
    pub about: String,
}

/// Longer lines are cut in the map.
const LINE_CHARS_MAX: usize = 100;
/// A file with more definitions than this is generated; the rest are left out.
const DEFINITIONS_MAX: usize = 2_000;
/// Different names that a file refers to; the rest are left out.
const REFERENCES_MAX: usize = 2_000;
/// What patterns look at of a line; longer ones are data, not code.
const PATTERN_LINE_CHARS_MAX: usize = 400;

/// Reads the tags of a file.
pub fn tags(path: &str, text: &str) -> Tags {
    Parsers::default().tags(path, text)
}

/// One thread's parsers: making one costs more than reading a small file.
#[derive(Default)]
pub(super) struct Parsers {
    parsers: HashMap<Grammar, Parser>,
    cursor: QueryCursor,
}

impl Parsers {
    pub(super) fn tags(&mut self, path: &str, text: &str) -> Tags {
        let Some(grammar) = Grammar::of_path(path) else { return by_pattern(path, text) };
        let parser = self.parsers.entry(grammar).or_insert_with(|| grammar.parser());
        let Some(tree) = syntax::parse_with(parser, text) else { return by_pattern(path, text) };
        let query = query(grammar);
        let lines: Vec<&str> = text.lines().collect();
        let mut tags = Tags { about: about(text), ..Tags::default() };
        let mut matches = self.cursor.matches(query, tree.root_node(), text.as_bytes());
        while let Some(found) = matches.next() {
            for capture in found.captures() {
                let Ok(name) = capture.node.utf8_text(text.as_bytes()) else { continue };
                if query.capture_names()[capture.index as usize] == "ref" {
                    refer(&mut tags, name);
                } else {
                    define(&mut tags, name, capture.node.start_position().row, &lines);
                }
            }
        }
        if tree.root_node().has_error() {
            // What the grammar lost sight of behind an error may still look like a definition.
            let seen: HashSet<u32> = tags.definitions.iter().map(|definition| definition.line).collect();
            let skimmed = by_pattern(path, text).definitions;
            tags.definitions.extend(skimmed.into_iter().filter(|definition| !seen.contains(&definition.line)));
        }
        tags.definitions.sort_by(|a, b| a.line.cmp(&b.line).then_with(|| a.name.cmp(&b.name)));
        tags.definitions.dedup();
        tags
    }
}

fn query(grammar: Grammar) -> &'static Query {
    static QUERIES: [OnceLock<Query>; Grammar::ALL.len()] = [const { OnceLock::new() }; Grammar::ALL.len()];
    QUERIES[grammar as usize].get_or_init(|| {
        Query::new(&grammar.language(), grammar.tags_query()).expect("invariant: the queries fit the linked grammars")
    })
}

fn refer(tags: &mut Tags, name: &str) {
    if let Some(count) = tags.references.get_mut(name) {
        *count += 1;
    } else if tags.references.len() < REFERENCES_MAX {
        tags.references.insert(name.to_owned(), 1);
    }
}

fn define(tags: &mut Tags, name: &str, row: usize, lines: &[&str]) {
    if tags.definitions.len() < DEFINITIONS_MAX {
        let text: String = lines.get(row).unwrap_or(&"").trim_end().chars().take(LINE_CHARS_MAX).collect();
        tags.definitions.push(Definition { name: name.to_owned(), line: row as u32 + 1, text });
    }
}

/// Files that hold data or prose; words in them that look like definitions are none.
const NO_CODE: [&str; 20] = [
    "json", "jsonl", "md", "rst", "txt", "csv", "tsv", "xml", "html", "htm", "css", "svg", "lock", "toml", "yaml",
    "yml", "ini", "cfg", "log", "po",
];

/// What most languages write in front of a name that they define; no references.
pub(super) fn by_pattern(path: &str, text: &str) -> Tags {
    static DEFINES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^\s*(?:(?:pub(?:\(\w+\))?|public|private|protected|internal|static|abstract|final|open|export|default|local|override|sealed|data|async|unsafe|const|extern|inline)\s+)*(?:def|class|module|function|func|fun|fn|sub|struct|enum|interface|trait|object|protocol|extension|record|namespace|procedure|macro|type|mod)\s+(?:\([^)]*\)\s*)?([A-Za-z_][\w.:]*)",
        )
    });
    // A function of C at the beginning of a line, which does not end as a declaration or a call does.
    static C_DEFINES: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^[A-Za-z_][\w\s*&:<>,]*?[\s*&:]([A-Za-z_]\w*)\s*\([^;]*$"));
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, end)| end);
    let lines: Vec<&str> = text.lines().collect();
    let mut tags = Tags { about: about(text), ..Tags::default() };
    if NO_CODE.contains(&extension) {
        return tags;
    }
    let is_c = matches!(Grammar::of_path(path), Some(Grammar::C | Grammar::Cpp));
    for (row, line) in lines.iter().enumerate() {
        let line = line.char_indices().nth(PATTERN_LINE_CHARS_MAX).map_or(*line, |(end, _)| &line[..end]);
        let found = DEFINES.captures(line).or_else(|| C_DEFINES.captures(line).filter(|_| is_c));
        if let Some(name) = found.and_then(|found| found.get(1)) {
            // Colons and points belong to a name only within it.
            define(&mut tags, name.as_str().trim_end_matches(['.', ':']), row, &lines);
        }
    }
    tags
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("invariant: the pattern is valid")
}

/// The comment or documentation that opens a file, its marks taken off; of prose its first lines.
fn about(text: &str) -> String {
    const LINES_MAX: usize = 12;
    const CHARS_MAX: usize = 240;
    let mut out = String::new();
    let mut quoted = false;
    for line in text.lines().take(LINES_MAX).map(str::trim) {
        let quotes = line.matches("\"\"\"").count() + line.matches("'''").count();
        let bare = line.trim_start_matches(['/', '*', '#', '!', '"', '\'', ';', '%', '-', '<', ' ']);
        let marked = bare.len() < line.len() && !line.starts_with("#include") && !line.starts_with("#[");
        if quoted || quotes > 0 || marked {
            out.extend(bare.chars().take(CHARS_MAX.saturating_sub(out.len())));
            out.push(' ');
        }
        quoted ^= quotes % 2 == 1;
        if out.len() >= CHARS_MAX {
            break;
        }
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_definitions_and_references() {
        for (path, text, defined, referred) in [
            ("a.py", "class A:\n    def f(self):\n        g()\n", vec!["A", "f"], "g"),
            ("a.rs", "struct A; impl A { fn f() { g(); } }", vec!["A", "f"], "g"),
            ("a.js", "class A { f() { g() } }\nconst h = () => 1;", vec!["A", "f", "h"], "g"),
            ("a.ts", "interface A { f(): void }\nfunction h() { g() }", vec!["A", "f", "h"], "g"),
            ("a.tsx", "function H() { g(); return <B/> }", vec!["H"], "g"),
            ("a.go", "package a\ntype A struct{}\nfunc f() { g() }\n", vec!["A", "f"], "g"),
            ("a.c", "struct A { int x; };\nint f(void) { return g(); }\n", vec!["A", "f"], "g"),
            ("a.cpp", "class A { void f(); };\nvoid A::h() { g(); }\n", vec!["A", "f", "h"], "g"),
            ("a.java", "class A { void f() { g(); } }", vec!["A", "f"], "g"),
            ("a.sh", "f() { g; }\n", vec!["f"], "g"),
        ] {
            let tags = tags(path, text);
            let mut names: Vec<&str> = tags.definitions.iter().map(|d| d.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names, defined, "{path}");
            assert!(tags.references.contains_key(referred), "{path}: {tags:?}");
        }
        assert_eq!(tags("a.rb", "class A\n  def f\n").definitions.len(), 2);
    }

    #[test]
    fn patterns_see_the_definitions_that_grammars_see() {
        for (path, text, names) in [
            ("a.py", "class A:\n    async def f(self):\n        g()\n", vec!["A", "f"]),
            ("a.rs", "pub(crate) struct A;\n    pub const fn f() {\n", vec!["A", "f"]),
            ("a.go", "func (a *A) Name() {\nfunc f() {\n", vec!["Name", "f"]),
            ("a.c", "static int f(void)\n{\n  return g(1);\n}\nint h(int);\n", vec!["f"]),
            ("a.json", "{\n  \"x\": 1\n class A\n", vec![]),
        ] {
            let tags = by_pattern(path, text);
            assert_eq!(tags.definitions.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), names, "{path}");
        }
    }

    #[test]
    fn the_opening_comment_says_what_a_file_is_for() {
        for (text, said) in [
            ("//! Reads rows.\n\nfn f() {}\n", "Reads rows."),
            ("#!/usr/bin/env python3\n\"\"\"Reads\nrows.\n\"\"\"\nimport os\n", "usr/bin/env python3 Reads rows."),
            ("/*\n * Reads rows.\n */\n#include <a.h>\n", "Reads rows."),
            ("fn f() {}\n", ""),
        ] {
            assert_eq!(about(text).split_whitespace().collect::<Vec<_>>().join(" "), said, "{text}");
        }
    }
}
