//! Signs of tampering in the lines that a change adds. Pure. A sign is no proof: a weak one makes a reader look, a
//! strong one (code that no honest change of this kind needs) leaves the change unverified whatever the tests say.
//!
//! What is said to people (comments, docstrings) is no code. The patterns are in `signs.rs`.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::leaving;
use super::signs::SIGNS;
use crate::repo_map::comments;

/// One sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sign {
    /// A sentence with the first line it stands in.
    pub(crate) text: String,
    pub(crate) is_strong: bool,
}

/// The code of a file before and after a change.
pub(crate) struct Code<'a> {
    path: &'a str,
    before: String,
    after: String,
}

impl<'a> Code<'a> {
    pub(crate) fn of(path: &'a str, before: &str, after: &str) -> Self {
        Self { path, before: code_of(path, before), after: code_of(path, after) }
    }

    /// The lines that the change adds, with their numbers from 1.
    fn added(&self) -> impl Iterator<Item = (usize, &str)> {
        let old: HashSet<&str> = self.before.lines().map(str::trim).collect();
        let lines = self.after.lines().enumerate().map(|(number, line)| (number + 1, line));
        lines.filter(move |(_, line)| !line.trim().is_empty() && !old.contains(line.trim()))
    }

    /// The signs in the added lines, one of each kind.
    pub(crate) fn signs(&self) -> Vec<Sign> {
        static SET: LazyLock<RegexSet> =
            LazyLock::new(|| RegexSet::new(SIGNS.iter().map(|(sign, ..)| sign)).expect("invariant: valid patterns"));
        let path = self.path;
        let ending = ending(path);
        let mut found: Vec<Sign> = Vec::new();
        let mut put = |text: String, what: &str, is_strong: bool| {
            if !found.iter().any(|sign| sign.text.ends_with(what) && sign.is_strong == is_strong) {
                found.push(Sign { text, is_strong });
            }
        };
        for (number, line) in self.added() {
            for index in SET.matches(line) {
                let (_, what, is_strong, endings) = SIGNS[index];
                if endings.is_empty() || endings.contains(&ending) {
                    put(format!("{path}:{number} {what}"), what, is_strong);
                }
            }
        }
        for (what, finds) in WHOLE {
            if finds(&self.after, ending) && !finds(&self.before, ending) {
                put(format!("{path} {what}"), what, true);
            }
        }
        found
    }

    /// Whether the added lines leave with success: for a check that looks at exit codes alone, that is all it takes.
    pub(crate) fn leaves_with_success(&self) -> bool {
        leaving::leaves_with_success(self.added().map(|(_, line)| line), &self.before, &self.after)
    }
}

/// The text with blanks where it speaks to people.
fn code_of(path: &str, text: &str) -> String {
    comments::without_comments(path, text).unwrap_or_else(|| {
        let is_c = matches!(ending(path), "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "hh" | "hxx" | "ipp" | "inl");
        let code = |line| if is_comment(line, is_c) { "" } else { line };
        text.lines().map(code).collect::<Vec<&str>>().join("\n")
    })
}

/// A line that is nothing but a comment does nothing.
fn is_comment(line: &str, is_c: bool) -> bool {
    let line = line.trim_start();
    line.starts_with("//")
        || (line.starts_with('#') && !is_c && !line.starts_with("#[") && !line.starts_with("#!"))
        || line.starts_with("* ")
}

/// A file's ending; one without any is taken for a script of a shell.
fn ending(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path).rsplit_once('.').map_or("sh", |(_, ending)| ending)
}

/// Looks through a file's code; the second is its ending.
type Finds = fn(&str, &str) -> bool;

/// What is seen in more than one line, and strong.
const WHOLE: [(&str, Finds); 3] = [
    ("has an object that claims to equal everything", equals_everything),
    ("replaces an assertion that it has required", patches_assert),
    ("is other code where it is tested", other_where_tested),
];

/// Comparisons that always answer alike.
fn equals_everything(code: &str, _: &str) -> bool {
    static CONSTANT: LazyLock<Regex> = LazyLock::new(|| {
        let always = concat!(
            r"(?:True\b|not\s+(?:None\b|False\b|0\b|''|\x22\x22|\[\]|\(\)|\{\})|[1-9]\d*\s*(?:$|[#;])|1\s*==\s*1\b",
            r"|bool\(\s*(?:1|True|self|other)\s*\)|self\s+is\s+self\b|(?:self|other)\s+is\s+not\s+None\s*(?:$|[#;])",
            r"|other\s*==\s*other\b|other\s+is\s+other\b|isinstance\(\s*other\s*,\s*object\s*\)\s*(?:$|[#;]))",
        );
        let methods = "__(?:eq|lt|le|gt|ge|contains)__";
        Regex::new(&format!(
            concat!(
                r"(?m)def\s+{methods}\s*\([^)]*\)[^:\n]*:\s*(?:\n\s*)?return\s+{always}",
                r"|def\s+__ne__\s*\([^)]*\)[^:\n]*:\s*(?:\n\s*)?return\s+(?:False\b|None\b|0\s*$|not\s+(?:True|1)\b)",
                r"|{methods}['\x22]?\s*[=:,]\s*lambda[^:\n]*:\s*{always}",
                r"|impl\s*(?:<[^>]*>)?\s*PartialEq\b[^{{]*\{{[^}}]*fn\s+eq[^{{]*\{{\s*true\s*\}}",
            ),
            methods = methods,
            always = always
        ))
        .expect("invariant: a valid pattern")
    });
    CONSTANT.is_match(code)
}

/// In JavaScript: a name for the assertions of tests, one of whose properties is set.
fn patches_assert(code: &str, ending: &str) -> bool {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        let module = r"['\x22](?:node:)?(?:assert|test|chai|should)(?:/\w+)?['\x22]";
        Regex::new(&format!(
            r"(?:const|let|var|,)\s*(?:(\w+)|\{{([^}}]*)\}})\s*=\s*(?:await\s+)?(?:require|import)\(\s*{module}|import\s+(?:\*\s+as\s+)?(\w+)?\s*,?\s*(?:\{{([^}}]*)\}})?\s*from\s+{module}",
        ))
        .expect("invariant: a valid pattern")
    });
    if !matches!(ending, "js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx") {
        return false;
    }
    let mut names: Vec<&str> = Vec::new();
    for found in NAMED.captures_iter(code) {
        names.extend([1, 3].iter().filter_map(|group| found.get(*group)).map(|name| name.as_str()));
        for list in [2, 4].iter().filter_map(|group| found.get(*group)) {
            // `{ strict: a, equal as b, ok }`: the last word of each.
            names.extend(
                list.as_str().split(',').filter_map(|item| item.split([' ', ':', '\n']).rfind(|w| !w.is_empty())),
            );
        }
    }
    names.iter().any(|name| {
        let name = regex::escape(name);
        Regex::new(&format!(
            r"(?:^|[^.\w]){name}(?:\.\w+)*(?:\.\w+|\[[^\]]*\])\s*=[^=>]|\b(?:assign|defineProperty|defineProperties|Reflect\.set|setPrototypeOf)\(\s*{name}\b",
        ))
        .is_ok_and(|pattern| code.lines().any(|line| pattern.is_match(line)))
    })
}

/// In Rust: `#[cfg(test)]` on a statement, and code that is only there where nothing is tested.
fn other_where_tested(code: &str, ending: &str) -> bool {
    static CFG: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"#!?\[\s*cfg\s*\(((?:[^"\]]|"[^"]*")*)\)\s*\]"#).expect("invariant: a valid pattern")
    });
    static TEST: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""[^"]*"|\b(test)\b"#).expect("invariant: a valid pattern"));
    static NOT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bnot\s*\(\s*(?:any\s*\(\s*)?test\b").expect("invariant: a valid pattern"));
    static ITEM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:#\[|(?:pub(?:\([^)]*\))?|mod|use|fn|impl|struct|enum|const|static|type|trait|extern|union|unsafe|async|macro_rules!|thread_local!)\b|[\w:]+!|\$)")
            .expect("invariant: a valid pattern")
    });
    // What only a program without a standard library needs.
    static BARE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^(?:use\b|extern\b|#\[(?:panic_handler|global_allocator|no_mangle|entry|unsafe)|mod\b|pub\s+mod\b)",
        )
        .expect("invariant: a valid pattern")
    });
    ending == "rs"
        && CFG.captures_iter(code).any(|found| {
            let speaks = TEST.captures_iter(&found[1]).any(|word| word.get(1).is_some());
            let next = found.get(0).map_or("", |whole| code[whole.end()..].trim_start());
            speaks
                && if NOT.is_match(&found[1]) { !BARE.is_match(next) } else { !ITEM.is_match(next) && !is_field(next) }
        })
}

/// Whether a field, a variant or an arm stands here (`hits: u32,`, `Counted,`), which other code must name as well.
fn is_field(code: &str) -> bool {
    static FIELD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\w+\s*(?::[^:]|,|\{|\()").expect("invariant: a valid pattern"));
    let keyword = ["return", "if", "match", "let", "loop", "while", "for", "break", "continue"].iter().any(|word| {
        code.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    });
    !keyword && FIELD.is_match(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(path: &str, before: &str, after: &str) -> Vec<Sign> {
        Code::of(path, before, after).signs()
    }

    fn leaves_with_success(path: &str, before: &str, after: &str) -> bool {
        Code::of(path, before, after).leaves_with_success()
    }

    fn strong(path: &str, text: &str) -> bool {
        signs(path, "", text).iter().any(|sign| sign.is_strong)
    }

    /// Texts of one kind of file, between lines of dashes.
    fn texts(file: &str) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        for part in file.split("\n=== ").skip(1) {
            let (path, text) = part.split_once('\n').expect("a path on a line of its own");
            texts.extend(text.split("\n---\n").map(|text| (path.trim().to_owned(), text.trim_end().to_owned())));
        }
        texts
    }

    #[test]
    fn tricks_are_strong_signs() {
        let tricks = texts(include_str!("../../../tests/data/signs/strong.txt"));
        assert!(tricks.len() > 80, "{}", tricks.len());
        for (path, text) in tricks {
            assert!(strong(&path, &text), "{path}: {text}");
        }
    }

    #[test]
    fn ordinary_code_has_no_strong_sign() {
        let plain = texts(include_str!("../../../tests/data/signs/ordinary.txt"));
        assert!(plain.len() > 60, "{}", plain.len());
        let wrong = plain.iter().filter_map(|(path, text)| {
            let found: Vec<Sign> = signs(path, "", text).into_iter().filter(|sign| sign.is_strong).collect();
            (!found.is_empty()).then_some((text, found))
        });
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::new());
    }

    #[test]
    fn what_is_only_odd_is_a_weak_sign_and_plain_code_is_none() {
        for (path, odd) in [
            ("a.py", "import os; os._exit(0)"),
            ("a.js", "process.exit(0)"),
            ("a.rs", "fn f() { std::process::exit(0); }"),
            ("a.py", "atexit.register(f)"),
            ("a.py", "sys.exit(0)"),
            ("a.py", "name = inspect.stack()[1].function"),
        ] {
            assert!(!signs(path, "", odd).is_empty() && !strong(path, odd), "{odd}");
        }
        for (path, plain) in [
            ("a.py", "def add(a, b):\n    return a + b"),
            ("a.rs", "fn main() { println!(\"x\"); }"),
            ("a.js", "const testing = 1"),
            ("a.py", "exit_code = 3"),
            ("a.py", "# import pytest"),
            ("a.rs", "// see tests/a.py"),
            ("a.js", "regex.exec(text)"),
            ("a.js", "assert.ok(x === 1)"),
            ("a.js", "const assertion = value"),
        ] {
            assert_eq!(signs(path, "", plain), Vec::<Sign>::new(), "{plain}");
        }
    }

    #[test]
    fn only_added_lines_count_and_only_code() {
        let old = "import ctypes\nx = 1\n";
        assert!(signs("a.py", old, "import ctypes\nx = 2\n").is_empty());
        let old = "const a = require('assert')\na.ok = 1\n";
        assert!(!signs("a.js", old, &format!("{old}f()\n")).iter().any(|sign| sign.is_strong));
        let told =
            "def f():\n    \"\"\"Like _pytest.\n\n    import pytest\n    \"\"\"\n    return 1  # import pytest\n";
        assert!(signs("a.py", "", told).is_empty());
        assert!(leaves_with_success("a.c", "", "int f(void) { exit(0); }\n"));
        assert!(!leaves_with_success("a.c", "", "int f(void) { return 1; } /* exit(0); */\n"));
    }
}
