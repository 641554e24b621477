//! Definitions and references in one file: by tree-sitter where a grammar is linked in, else by patterns.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;
use serde::{Deserialize, Serialize};
use streaming_iterator::StreamingIterator;
use tree_sitter::{Query, QueryCursor};

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
}

/// Longer lines are cut in the map.
const LINE_CHARS_MAX: usize = 100;
/// A file with more definitions than this is generated; the rest are left out.
const DEFINITIONS_MAX: usize = 2_000;

/// Reads the tags of a file.
pub fn tags(path: &str, text: &str) -> Tags {
    Grammar::of_path(path).map_or_else(|| by_pattern(text), |grammar| by_grammar(grammar, text))
}

fn query(grammar: Grammar) -> &'static Query {
    static QUERIES: [OnceLock<Query>; Grammar::ALL.len()] = [const { OnceLock::new() }; Grammar::ALL.len()];
    QUERIES[grammar as usize].get_or_init(|| {
        Query::new(&grammar.language(), grammar.tags_query()).expect("invariant: the queries fit the linked grammars")
    })
}

fn by_grammar(grammar: Grammar, text: &str) -> Tags {
    let Some(tree) = syntax::parse(grammar, text) else { return Tags::default() };
    let query = query(grammar);
    let lines: Vec<&str> = text.lines().collect();
    let mut tags = Tags::default();
    let mut cursor = QueryCursor::new();
    let mut captures = cursor.captures(query, tree.root_node(), text.as_bytes());
    while let Some((found, index)) = captures.next() {
        let capture = found.captures[*index];
        let Ok(name) = capture.node.utf8_text(text.as_bytes()) else { continue };
        if query.capture_names()[capture.index as usize] == "ref" {
            *tags.references.entry(name.to_owned()).or_default() += 1;
        } else {
            define(&mut tags, name, capture.node.start_position().row, &lines);
        }
    }
    tags.definitions.sort_by(|a, b| a.line.cmp(&b.line).then_with(|| a.name.cmp(&b.name)));
    tags.definitions.dedup();
    tags
}

fn define(tags: &mut Tags, name: &str, row: usize, lines: &[&str]) {
    if tags.definitions.len() < DEFINITIONS_MAX {
        let text: String = lines.get(row).unwrap_or(&"").trim_end().chars().take(LINE_CHARS_MAX).collect();
        tags.definitions.push(Definition { name: name.to_owned(), line: row as u32 + 1, text });
    }
}

/// What most languages write in front of a name that they define.
fn by_pattern(text: &str) -> Tags {
    static DEFINES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*(?:(?:pub|public|private|protected|internal|static|abstract|final|open|export|local|override|sealed|data|async)\s+)*(?:def|class|module|function|func|fun|fn|sub|struct|enum|interface|trait|object|protocol|extension|record|namespace|procedure|macro)\s+([A-Za-z_][\w.:]*)")
            .expect("invariant: the pattern is valid")
    });
    let lines: Vec<&str> = text.lines().collect();
    let mut tags = Tags::default();
    for (row, line) in lines.iter().enumerate().filter(|(_, line)| line.len() < 400) {
        if let Some(name) = DEFINES.captures(line).and_then(|c| c.get(1)) {
            define(&mut tags, name.as_str(), row, &lines);
        }
    }
    tags
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
}
