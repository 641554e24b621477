//! Replies made up at random and from this repository: every edit is carried out or refused, every file can be written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use z1::reply::edits;
use z1::reply::paths::Known;
use z1::reply::tolerant::{self, Shown};
use z1::workspace::plan::{self, FileState, Plan, Rules};

type Files = BTreeMap<String, String>;

fn states(before: &Files, edits: &[edits::Proposed]) -> plan::Before {
    plan::paths_needed(edits)
        .into_iter()
        .map(|path| {
            let state = before.get(&path).map_or(FileState::Missing, |text| FileState::Text(text.clone()));
            (path, state)
        })
        .collect()
}

fn planned(before: &Files, reply: &str) -> Plan {
    let reading = edits::read(reply, &Known::new(before.keys().cloned()));
    plan::plan(&states(before, &reading.edits), &reading, Rules::default())
}

fn applied(before: &Files, plan: &Plan) -> Files {
    let mut files = before.clone();
    for file in &plan.files {
        match &file.after {
            Some(text) => drop(files.insert(file.path.clone(), text.clone())),
            None => drop(files.remove(&file.path)),
        }
    }
    files
}

/// How one edit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    WholeNew,
    Search,
    SearchFenced,
    SearchFencedTag,
    SearchInside,
    Diff,
    DiffFenced,
    Patch,
    PatchFenced,
    Call,
    Delete,
}

const FORMS: [Form; 12] = [
    Form::Whole,
    Form::WholeNew,
    Form::Search,
    Form::SearchFenced,
    Form::SearchFencedTag,
    Form::SearchInside,
    Form::Diff,
    Form::DiffFenced,
    Form::Patch,
    Form::PatchFenced,
    Form::Call,
    Form::Delete,
];

const PROSE: [&str; 8] = [
    "",
    "Now the next one.\n",
    "\nThe value was wrong:\n\n",
    "* first\n* second\n\n",
    "1. A step\n\n",
    "Then run it:\n\n```bash\nmake test\n```\n\n",
    "It printed\n\n```text\n3\n```\n\n",
    "---\n\n### Next\n\n",
];

/// The edit of file number `n`, the file before and after it.
fn written(form: Form, n: usize) -> (String, String, Option<String>, Option<String>) {
    let path = format!("src/file{n}.py");
    let before = format!("a{n} = 1\nb{n} = 2\n\n\ndef f{n}():\n    return a{n}\n");
    let after = before.replace(&format!("b{n} = 2"), &format!("b{n} = 3"));
    let block = format!("<<<<<<< SEARCH\nb{n} = 2\n=======\nb{n} = 3\n>>>>>>> REPLACE\n");
    let diff = format!("--- a/{path}\n+++ b/{path}\n@@ -1,3 +1,3 @@\n a{n} = 1\n-b{n} = 2\n+b{n} = 3\n \n");
    let patch =
        format!("*** Begin Patch\n*** Update File: {path}\n@@\n a{n} = 1\n-b{n} = 2\n+b{n} = 3\n*** End Patch\n");
    let (old, new) = (Some(before), Some(after.clone()));
    let (text, old, new) = match form {
        Form::Whole => (format!("{path}\n```python\n{after}```\n"), old, new),
        Form::WholeNew => (format!("**{path}**\n\n```\n{after}```\n"), None, new),
        Form::Search => (format!("{path}\n{block}"), old, new),
        Form::SearchFenced => (format!("{path}\n```\n{block}```\n"), old, new),
        Form::SearchFencedTag => (format!("`{path}`:\n```python\n{block}```\n"), old, new),
        Form::SearchInside => (format!("~~~\n{path}\n{block}~~~\n"), old, new),
        Form::Diff => (diff, old, new),
        Form::DiffFenced => (format!("```diff\n{diff}```\n"), old, new),
        Form::Patch => (patch, old, new),
        Form::PatchFenced => (format!("```\n{patch}```\n"), old, new),
        Form::Call => {
            let call = serde_json::json!({"name": "edit", "arguments": {
                "path": path, "old_string": format!("b{n} = 2"), "new_string": format!("b{n} = 3")}});
            (format!("<tool_call>\n{call}\n</tool_call>\n"), old, new)
        }
        Form::Delete => (format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch\n"), old, None),
    };
    (path, text, old, new)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// 1 to 5 edits in mixed forms and every order, with prose between: all of them are carried out, and nothing else.
    #[test]
    fn every_edit_of_a_reply_is_carried_out(
        picks in proptest::collection::vec((0usize..FORMS.len(), 0usize..PROSE.len()), 1..6), end in 0usize..PROSE.len()
    ) {
        let (mut before, mut after, mut reply) = (Files::new(), Files::new(), String::new());
        before.insert("other.py".to_owned(), "pass\n".to_owned());
        after.insert("other.py".to_owned(), "pass\n".to_owned());
        for (n, (form, prose)) in picks.iter().enumerate() {
            let (path, text, old, new) = written(FORMS[*form], n);
            reply.push_str(PROSE[*prose]);
            reply.push_str(&text);
            // Without a fence only a blank line tells an edit from what follows.
            reply.push('\n');
            before.extend(old.map(|old| (path.clone(), old)));
            after.extend(new.map(|new| (path, new)));
        }
        reply.push_str(PROSE[end]);
        let plan = planned(&before, &reply);
        prop_assert!(plan.holds(), "{:?}\n{reply}", plan.refused);
        prop_assert_eq!(applied(&before, &plan), after, "{}", reply);
    }

    /// However the parts of a reply are mixed up, what is carried out is what some part says, and no other file.
    #[test]
    fn broken_replies_write_nothing_else(
        picks in proptest::collection::vec((0usize..FORMS.len(), 0usize..PROSE.len()), 1..5),
        drop in 0usize..60, twice in 0usize..60,
    ) {
        let (mut before, mut allowed) = (Files::new(), Files::new());
        let mut lines: Vec<String> = Vec::new();
        for (n, (form, prose)) in picks.iter().enumerate() {
            let (path, text, old, new) = written(FORMS[*form], n);
            lines.extend(format!("{}{text}\n", PROSE[*prose]).lines().map(str::to_owned));
            before.extend(old.map(|old| (path.clone(), old)));
            allowed.extend(new.map(|new| (path, new)));
        }
        if drop < lines.len() {
            lines.remove(drop);
        }
        if twice < lines.len() {
            let line = lines[twice].clone();
            lines.insert(twice, line);
        }
        let marks = ["<<<<<<<", ">>>>>>>", "=======", "```", "~~~", "***", "@@", "---", "+++", "<tool", "</tool", "{"];
        let plan = planned(&before, &lines.join("\n"));
        if plan.holds() {
            for file in &plan.files {
                prop_assert!(before.contains_key(&file.path) || allowed.contains_key(&file.path), "{}", file.path);
                let text = file.after.clone().unwrap_or_default();
                let has_mark = text.lines().any(|line| marks.iter().any(|mark| line.starts_with(mark)));
                prop_assert!(!has_mark, "{}:\n{}\n---\n{}", file.path, text, lines.join("\n"));
            }
        }
    }
}

fn files_of(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != ".git" && name != "target" {
            files_of(&path, found);
        } else if path.is_file() {
            found.push(path);
        }
    }
}

/// A fence that is longer than any in the text.
fn fence_for(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

#[test]
fn every_file_of_this_repository_can_be_written_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "tests", "docs", "prompts", "scripts", "examples", "grammars", "runs"] {
        if root.join(folder).is_dir() {
            files_of(&root.join(folder), &mut paths);
        }
    }
    for name in ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "Cargo.toml", "README.md", "build.rs"] {
        paths.extend(Some(root.join(name)).filter(|path| path.is_file()));
    }
    let (mut written, mut problems) = (0, Vec::new());
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let path = path.strip_prefix(root).unwrap().to_str().unwrap();
        // A fence holds whole lines, and a carriage return in a reply ends one.
        if text.is_empty() || !text.ends_with('\n') || text.contains(['\r', '\0']) {
            continue;
        }
        let fence = fence_for(&text);
        let reply = format!("Here it is.\n\n{path}\n{fence}\n{text}{fence}\n\nThat is all.\n");
        let plan = planned(&Files::new(), &reply);
        let after = plan.files.iter().find(|file| file.path == path).and_then(|file| file.after.clone());
        let is_elided = plan.refused.iter().all(|refusal| refusal.kind == edits::RefusalKind::Elided);
        if plan.files.len() != 1 || after.as_deref() != Some(&text) {
            // A file about elisions has lines that are some.
            if !(is_elided && !plan.refused.is_empty() && (path.contains("elision") || path.contains("tests/"))) {
                problems.push(format!("{path}: {:?}", plan.refused));
            }
        }
        written += 1;
    }
    assert!(written > 50, "{written}");
    assert!(problems.is_empty(), "{} of {written}:\n{}", problems.len(), problems.join("\n"));
}

/// What the tolerant reader makes of a reply about these files.
fn tolerated(files: &[(&str, &str)], reply: &str) -> (Files, Plan) {
    let before: Files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let shown: Vec<Shown<'_>> = files.iter().map(|(path, text)| Shown { path, text }).collect();
    let reading = tolerant::read(reply, &Known::new(before.keys().cloned()), &shown, "");
    let rules = Rules { each_file: true, reply_is_complete: true, ..Rules::default() };
    let plan = plan::plan(&states(&before, &reading.edits), &reading, rules);
    (applied(&before, &plan), plan)
}

#[track_caller]
fn check(files: &[(&str, &str)], reply: &str, path: &str, after: &str, weak: bool) {
    let (found, plan) = tolerated(files, reply);
    assert_eq!(found.get(path).map(String::as_str), Some(after), "{:?} {:?}", plan.refused, plan.notes);
    assert_eq!(plan.weak.iter().any(|p| p == path), weak, "{:?}", plan.notes);
    for (other, text) in files.iter().filter(|(other, _)| *other != path) {
        assert_eq!(found.get(*other).map(String::as_str), Some(*text));
    }
    assert_eq!(found.len(), files.len(), "no file is made up: {:?}", found.keys());
}

const STATS: &str = "\"\"\"Figures.\"\"\"\nimport math\n\n\ndef mean(xs):\n    return sum(xs) / len(xs)\n\n\n# The middle.\ndef median(xs):\n    return xs[0]\n\n\nclass Box:\n    def __init__(self, xs):\n        self.xs = xs\n\n    def total(self):\n        return 0\n";
const CONFIG: &str = "[a]\nx = 1\ny = \"2\n\n[b]\nz = 3\n";

#[test]
fn a_fence_without_a_path_is_matched_to_the_file_it_resembles() {
    let files = [("stats.py", STATS), ("cfg/station.toml", CONFIG), ("b.py", "def other():\n    pass\n")];
    let mended = CONFIG.replace("\"2\n", "\"2\"\n");
    check(&files, &format!("The fix:\n```python\n{mended}```\n"), "cfg/station.toml", &mended, true);
    let whole = STATS.replace("xs[0]", "sorted(xs)[len(xs) // 2]");
    check(&files, &format!("```python\n{whole}```\n"), "stats.py", &whole, true);
    check(&files, &format!("src/stats.py\n```python\n{whole}```\n"), "stats.py", &whole, true);
    check(&files, &format!("stats.py\n```python\n{whole}```\n"), "stats.py", &whole, false);
}

#[test]
fn definitions_are_put_into_their_file_and_the_rest_stays() {
    let files = [("stats.py", STATS), ("b.py", "def other():\n    pass\n")];
    let new = "def median(xs):\n    return sorted(xs)[len(xs) // 2]\n";
    let after = STATS.replace("def median(xs):\n    return xs[0]\n", new);
    for head in ["The fix:\n", "stats.py\n", "src/example.py\n", "app/stats.py\n", "In `stats.py`:\n"] {
        check(&files, &format!("{head}```python\n{new}```\n"), "stats.py", &after, true);
    }
    let elided = format!("stats.py\n```python\n# ... rest unchanged\n\n{new}\n# ... rest of the code\n```\n");
    check(&files, &elided, "stats.py", &after, true);
    // A method with and without its class, and an import.
    let total =
        STATS.replace("return 0", "return math.fsum(self.xs)").replace("import math\n", "import math\nimport os\n");
    let class = "import os\n\nclass Box:\n    def total(self):\n        return math.fsum(self.xs)\n";
    check(&files, &format!("stats.py\n```python\n{class}```\n"), "stats.py", &total, true);
    let method = "import os\n\ndef total(self):\n    return math.fsum(self.xs)\n";
    check(&files, &format!("stats.py\n```python\n{method}```\n"), "stats.py", &total, true);
    // A usage example below the definition is none of the file's.
    check(&files, &format!("```python\n{new}\nprint(median([1, 2]))\n```\n"), "stats.py", &after, true);
}

#[test]
fn definitions_of_every_grammar() {
    for (path, text, fence, after) in [
        (
            "a.rs",
            "use std::fmt;\n\n/// Adds.\nfn add(a: i32) -> i32 {\n    a\n}\n\nfn keep() {}\n\nstruct S;\n\nimpl S {\n    fn m(&self) -> i32 {\n        1\n    }\n}\n",
            "fn add(a: i32) -> i32 {\n    a + 1\n}\n",
            "use std::fmt;\n\n/// Adds.\nfn add(a: i32) -> i32 {\n    a + 1\n}\n\nfn keep() {}\n\nstruct S;\n\nimpl S {\n    fn m(&self) -> i32 {\n        1\n    }\n}\n",
        ),
        (
            "a.rs",
            "struct S;\n\nimpl S {\n    fn m(&self) -> i32 {\n        1\n    }\n\n    fn k(&self) {}\n}\n\nfn z() {}\n",
            "impl S {\n    fn m(&self) -> i32 {\n        2\n    }\n}\n",
            "struct S;\n\nimpl S {\n    fn m(&self) -> i32 {\n        2\n    }\n\n    fn k(&self) {}\n}\n\nfn z() {}\n",
        ),
        (
            "a.js",
            "const a = 1;\n\nfunction f() {\n  return 1;\n}\n\nclass C {\n  m() {\n    return 1;\n  }\n\n  k() {}\n}\n\nmodule.exports = { f };\n",
            "m() {\n  return 2;\n}\n",
            "const a = 1;\n\nfunction f() {\n  return 1;\n}\n\nclass C {\n  m() {\n    return 2;\n  }\n\n  k() {}\n}\n\nmodule.exports = { f };\n",
        ),
        (
            "a.ts",
            "export function f(x: number): number {\n  return x;\n}\n\nexport const g = (x: number) => x;\n\nexport function h() {}\n",
            "export const g = (x: number) => x + 1;\n",
            "export function f(x: number): number {\n  return x;\n}\n\nexport const g = (x: number) => x + 1;\n\nexport function h() {}\n",
        ),
        (
            "a.go",
            "package a\n\nimport (\n\t\"fmt\"\n)\n\nfunc F() int {\n\treturn 1\n}\n\nfunc (s *S) G() {}\n\ntype S struct{}\n",
            "package a\n\nimport \"os\"\n\nfunc F() int {\n\treturn len(os.Args)\n}\n",
            "package a\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc F() int {\n\treturn len(os.Args)\n}\n\nfunc (s *S) G() {}\n\ntype S struct{}\n",
        ),
        (
            "a.c",
            "#include <stdio.h>\n\nint f(int a)\n{\n\treturn a;\n}\n\nint g(void)\n{\n\treturn 2;\n}\n",
            "#include <string.h>\n\nint f(int a)\n{\n\treturn a + 1;\n}\n",
            "#include <stdio.h>\n#include <string.h>\n\nint f(int a)\n{\n\treturn a + 1;\n}\n\nint g(void)\n{\n\treturn 2;\n}\n",
        ),
        (
            "A.java",
            "import java.util.List;\n\nclass A {\n    int f() {\n        return 1;\n    }\n\n    int g() {\n        return 2;\n    }\n}\n",
            "int f() {\n    return 3;\n}\n",
            "import java.util.List;\n\nclass A {\n    int f() {\n        return 3;\n    }\n\n    int g() {\n        return 2;\n    }\n}\n",
        ),
        (
            "a.sh",
            "set -e\n\nf() {\n  echo 1\n}\n\ng() {\n  echo 2\n}\n\nf\ng\n",
            "f() {\n  echo 3\n}\n",
            "set -e\n\nf() {\n  echo 3\n}\n\ng() {\n  echo 2\n}\n\nf\ng\n",
        ),
        ("a.toml", "[a]\nx = 1\n\n[b]\ny = 2\n", "[b]\ny = 3\nz = 4\n", "[a]\nx = 1\n\n[b]\ny = 3\nz = 4\n"),
        (
            "v.sql",
            "CREATE TABLE t (a int);\n\nCREATE VIEW v AS SELECT a FROM t;\n",
            "CREATE VIEW v AS SELECT a + 1 FROM t;\n",
            "CREATE TABLE t (a int);\n\nCREATE VIEW v AS SELECT a + 1 FROM t;\n",
        ),
        (
            "Makefile",
            "CC = cc\n\nall: a\n\techo a\n\ntest: all\n\t./t\n",
            "test: all\n\t./t -v\n",
            "CC = cc\n\nall: a\n\techo a\n\ntest: all\n\t./t -v\n",
        ),
    ] {
        check(&[(path, text), ("other.txt", "x\n")], &format!("{path}\n```\n{fence}```\n"), path, after, true);
    }
}

#[test]
fn each_file_of_a_reply_by_itself() {
    let files = [("stats.py", STATS), ("b.py", "def other():\n    pass\n\n\ndef more():\n    pass\n")];
    let reply = "b.py\n```\n<<<<<<< SEARCH\nnot there at all\n=======\nx\n>>>>>>> REPLACE\n```\n\nstats.py\n```\n<<<<<<< SEARCH\n    return xs[0]\n=======\n    return xs[1]\n>>>>>>> REPLACE\n```\n";
    let (found, plan) = tolerated(&files, reply);
    assert!(plan.holds() && plan.left_out.len() == 1, "{:?}", plan.refused);
    assert_eq!(found["stats.py"], STATS.replace("xs[0]", "xs[1]"));
}

#[test]
fn nothing_is_made_up() {
    let files = [("stats.py", STATS), ("b.js", "function x() { return 1; }\n")];
    for reply in [
        "src/example.py\n```python\ndef total(items):\n    return total + 1\n```\n",
        "path/to/file.py\n```python\nx = 1\n```\n",
        "You can call it like this:\n```python\nprint(mean([1, 2, 3]))\n```\n",
        "It prints:\n```\n2\n```\n",
        "Run\n```bash\npython stats.py\n```\n",
    ] {
        let (found, plan) = tolerated(&files, reply);
        assert!(!plan.holds() || found.len() == 2 && plan.weak == ["stats.py"], "{reply}: {found:?}");
        assert_eq!(found["b.js"], files[1].1);
    }
}
