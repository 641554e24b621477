//! The language's own tool decides about syntax where it is there; a linked grammar only asks.

use std::path::Path;

use z1::cancel::Cancel;
use z1::task::{Candidate, Check, Edit, FailureKind, Verdict};
use z1::verify::{Opinion, Suspect, opinion};

use super::{options, walls};
use crate::sandbox::run_async;

/// What any tool of these languages cannot read, and what it is asked by.
const BROKEN: [(&str, &str, &str); 7] = [
    ("a.py", "python3", "def f(:\n    return 1\n"),
    ("a.js", "node", "function f( { return 1; }\n"),
    ("a.rs", "rustc", "fn f( { 1 }\n"),
    ("A.java", "javac", "class A { int f( { return 1; } }\n"),
    ("a.sh", "bash", "if true; then echo a\n"),
    ("a.c", "cc", "int f(void) { return 1 }}\n"),
    ("a.cpp", "c++", "int f() { return 1 }}\n"),
];

fn ask(root: &Path, path: &str, before: Option<&str>, after: &str) -> Option<Opinion> {
    let sandbox = walls()?;
    let suspect = Suspect::of(path, before, after).expect("the grammar stumbles");
    Some(run_async(opinion(root, &suspect, &sandbox, &options(), &Cancel::new())))
}

fn has(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

#[test]
fn what_a_tool_cannot_read_is_broken_and_says_the_line() {
    let root = tempfile::tempdir().unwrap();
    for (path, tool, text) in BROKEN {
        if !has(tool) {
            println!("skipped: {path}: no {tool}");
            continue;
        }
        match ask(root.path(), path, None, text) {
            None => return,
            Some(Opinion::Broken { command, said }) => {
                assert!(command.contains(path) && !said.is_empty(), "{path}: {command}: {said}");
            }
            // Root's own tools cannot be reached in every tier.
            Some(Opinion::None) => println!("skipped: {path}: {tool} cannot be asked here"),
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// Valid code that the linked grammars do not know (`tests/data/syntax.tsv`) and that tools have known for years.
#[test]
fn what_a_tool_reads_is_not_broken_whatever_the_grammar_says() {
    let root = tempfile::tempdir().unwrap();
    for (path, tool, text) in [
        ("a.rs", "rustc", "unsafe extern \"C\" {\n    safe fn f();\n}\n"),
        ("a.cpp", "c++", "#define LIST(X) X(a) X(b)\n#define F(n) int n;\nstruct S { LIST(F) };\n"),
    ] {
        let Some(suspect) = Suspect::of(path, None, text) else { continue };
        let Some(sandbox) = walls() else { return };
        let found = run_async(opinion(root.path(), &suspect, &sandbox, &options(), &Cancel::new()));
        assert!(!has(tool) || matches!(found, Opinion::Parses(_) | Opinion::None), "{path}: {found:?}");
    }
}

#[test]
fn what_was_no_such_language_before_either_is_not_judged() {
    let root = tempfile::tempdir().unwrap();
    let before = "import {{ name }}\n\n\ndef f():\n    return {% x %}\n";
    let after = format!("{before}\n\ndef g(:\n    return {{% y %}}\n");
    if let Some(found) = ask(root.path(), "a.py", Some(before), &after) {
        assert_eq!(found, Opinion::None);
    }
}

#[test]
fn a_header_that_is_not_there_says_nothing_about_syntax() {
    let root = tempfile::tempdir().unwrap();
    if let Some(found) = ask(root.path(), "a.c", None, "#include \"far.h\"\nint f(void) { return 1 }}\n") {
        assert_eq!(found, Opinion::None);
    }
}

#[test]
fn a_change_that_nothing_checks_fails_where_its_tool_cannot_read_it() {
    let Some(sandbox) = walls() else { return };
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("a.py"), "def f():\n    return 1\n").unwrap();
    let mut options = options();
    options.root = Some(root.path().to_owned());
    let judge = |content: &str, checks: &[Check]| {
        let edits = vec![Edit::Write { path: "a.py".to_owned(), content: content.to_owned() }];
        let candidate = Candidate::Edits { edits };
        run_async(z1::verify::verify(&candidate, checks, &sandbox, &options, &Cancel::new()))
    };
    let broken = judge("def f(:\n    return 1\n", &[]);
    let failures = super::failures(&broken);
    assert_eq!(failures.first().map(|failure| failure.kind), Some(FailureKind::Syntax), "{broken:?}");
    assert!(failures[0].got.contains("SyntaxError") && failures[0].got.contains("line 1"), "{broken:?}");
    assert!(matches!(judge("def f():\n    return 2\n", &[]), Verdict::NothingToCheck { .. }));
    // A check that passed stands.
    let check = [Check::Command { command: "true".to_owned() }];
    assert!(judge("def f(:\n    return 1\n", &check).passed());
}
