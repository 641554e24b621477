//! Does a file parse? Counts what the grammar could not make sense of.
//!
//! Grammars have gaps, so the count is only ever compared with the count before a change, and what comes of it is a
//! suspicion: the language's own tool decides where it is there (`verify/syntax.rs`).

use std::time::{Duration, Instant};

use super::grammar::Grammar;
use super::indentation;

/// Larger files are not checked.
const BYTES_MAX: usize = 1 << 20;
/// A file that takes longer to parse counts as unchecked.
const PARSE_MAX: Duration = Duration::from_secs(2);

/// What the grammar stumbled over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// ERROR and MISSING nodes, or 1 where nothing but the indentation is wrong.
    pub errors: u32,
    pub first: Option<Place>,
}

/// One stumbling block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: u32,
    pub what: String,
}

/// Parses a file by its path's grammar; nothing where there is none for it or it is too large.
pub fn check(path: &str, text: &str) -> Option<Report> {
    let grammar = Grammar::of_path(path)?;
    let report = check_as(grammar, text)?;
    // A header may be C or C++; whichever reads it better is right.
    if grammar == Grammar::C && report.errors > 0 && path.rsplit('.').next() == Some("h") {
        let other = check_as(Grammar::Cpp, text)?;
        return Some(if other.errors < report.errors { other } else { report });
    }
    Some(report)
}

/// Where a grammar first stumbles in `after`, if it stumbles more often than in `before`. A suspicion: a grammar does not
/// know every construct of its language.
pub fn worsened(path: &str, before: Option<&str>, after: &str) -> Option<Place> {
    let new = with_indentation(path, after)?;
    let old = before.and_then(|text| with_indentation(path, text)).map_or(0, |report| report.errors);
    new.first.filter(|_| new.errors > old)
}

/// [`check`], and where that finds nothing in a file of Python's whether its lines are indented as they have to be.
fn with_indentation(path: &str, text: &str) -> Option<Report> {
    if Grammar::of_path(path) != Some(Grammar::Python) {
        return check(path, text);
    }
    let (report, tree) = read_as(Grammar::Python, text)?;
    let wrong = if report.errors == 0 { indentation::first_wrong(&tree, text) } else { None };
    Some(wrong.map_or(report, |place| Report { errors: 1, first: Some(place) }))
}

fn check_as(grammar: Grammar, text: &str) -> Option<Report> {
    read_as(grammar, text).map(|(report, _)| report)
}

fn read_as(grammar: Grammar, text: &str) -> Option<(Report, tree_sitter::Tree)> {
    if text.len() > BYTES_MAX {
        return None;
    }
    let tree = match grammar {
        // These grammars stumble over a lone `&` in JSX text; `|` is as good anywhere that `&` may stand.
        Grammar::JavaScript | Grammar::Tsx => parse(grammar, &text.replace(" & ", " | "))?,
        _ => parse(grammar, text)?,
    };
    let mut report = Report { errors: 0, first: None };
    let mut pending = vec![tree.root_node()];
    while let Some(node) = pending.pop() {
        if node.is_error() || node.is_missing() {
            report.errors += 1;
            let place = Place { line: node.start_position().row as u32 + 1, what: describe(&node, text) };
            if report.first.as_ref().is_none_or(|first| place.line < first.line) {
                report.first = Some(place);
            }
        }
        if node.has_error() {
            let mut cursor = node.walk();
            pending.extend(node.children(&mut cursor));
        }
    }
    Some((report, tree))
}

/// Parses within the time allowed.
pub(super) fn parse(grammar: Grammar, text: &str) -> Option<tree_sitter::Tree> {
    parse_with(&mut grammar.parser(), text)
}

/// Parses within the time allowed, with a parser that may have parsed before.
pub(super) fn parse_with(parser: &mut tree_sitter::Parser, text: &str) -> Option<tree_sitter::Tree> {
    let until = Instant::now() + PARSE_MAX;
    let mut in_time = |_: &tree_sitter::ParseState| {
        if Instant::now() > until { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    };
    let options = tree_sitter::ParseOptions::new().progress_callback(&mut in_time);
    let bytes = text.as_bytes();
    let mut read = |at: usize, _: tree_sitter::Point| bytes.get(at..).unwrap_or(&[]);
    let tree = parser.parse_with_options(&mut read, None, Some(options));
    // What was given up half-way must not be gone on with in the next text.
    parser.reset();
    tree
}

fn describe(node: &tree_sitter::Node<'_>, text: &str) -> String {
    if node.is_missing() {
        return format!("missing `{}`", node.kind());
    }
    format!("not understood: `{}`", shown(text.lines().nth(node.start_position().row).unwrap_or("")))
}

/// A line as it is quoted.
pub(super) fn shown(line: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    line.trim().chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn finds_what_does_not_parse() {
        assert_eq!(check("a.py", "def f():\n    return 1\n").unwrap().errors, 0);
        let broken = check("a.py", "x = 1\ndef f(:\n    return 1\n").unwrap();
        assert!(broken.errors > 0);
        assert_eq!(broken.first.unwrap().line, 2);
        assert!(check("a.rs", "fn f() { let x = ; }").unwrap().errors > 0);
        assert_eq!(check("a.h", "class A { public: int f(); };").unwrap().errors, 0);
        assert_eq!(check("a.txt", "(((").map(|r| r.errors), None);
        for (path, text) in [
            ("a.tsx", "const A = () => <b>{x as any}</b>;"),
            ("a.ts", "const x: number = <any>y;"),
            ("a.jsx", "const A = () => <b>this & that</b>;"),
            ("a.go", "package a\nfunc f() {}\n"),
            ("a.java", "class A { void f() {} }"),
            ("a.sh", "if true; then echo a; fi\n"),
            ("a.cpp", "template <class T> T f(T x) { return x; }"),
        ] {
            assert_eq!(check(path, text).unwrap().errors, 0, "{path}");
        }
    }
}
