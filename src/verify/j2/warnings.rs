//! What a compiler warned of while a check ran, in the files of a change and not before it. Pure.
//!
//! A change that passes and is warned of is passed all the same; whoever looks at it should know.
//!
//! Not for: errors (`reports.rs`), and what linters say that nobody ran.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// Distinct warnings told of.
const TOLD_MAX: usize = 3;
/// Longest text told, in characters.
const CHARS_MAX: usize = 160;

/// How a sentence about one begins.
const SAID: &str = "the compiler warns of ";

/// Whether what is said of a passing change is a compiler's warning that may show a mistake, and not only untidiness.
pub fn is_doubt(flag: &str) -> bool {
    static UNTIDY: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)unused|never (?:used|read|constructed)|deprecat|removal|snake_case|camel_case"));
    flag.starts_with(SAID) && !UNTIDY.is_match(flag)
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Warning {
    /// As the compiler names it.
    file: String,
    line: String,
    text: String,
}

/// The warnings in what a run printed, as gcc, clang, javac, rustc and Python write them.
pub(super) fn of(printed: &str) -> Vec<Warning> {
    static ONE_LINE: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?m)^(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?:\d+:)? (?:warning|SyntaxWarning): (?P<text>[^\n]+)$")
    });
    static RUST: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?m)^warning: (?P<text>[^\n]+)\n\s*--> (?P<file>[^:\n]+):(?P<line>\d+)"));
    let found = ONE_LINE.captures_iter(printed).chain(RUST.captures_iter(printed));
    found
        .map(|found| Warning {
            file: found["file"].to_owned(),
            line: found["line"].to_owned(),
            text: found["text"].trim().to_owned(),
        })
        .collect()
}

/// Sentences about the warnings that are new and are of files that the change writes.
pub(super) fn news<'a>(
    now: &[Warning],
    before: &[Warning],
    changed: &(impl Iterator<Item = &'a Path> + Clone),
) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for warning in now {
        // Lines move with a change; what is said of a file does not.
        let is_old = before.iter().any(|old| old.file == warning.file && old.text == warning.text);
        let Some(path) = changed.clone().find(|path| is_same(path, &warning.file)).filter(|_| !is_old) else {
            continue;
        };
        let text: String = warning.text.chars().take(CHARS_MAX).collect();
        let sentence = format!("{SAID}{}:{}: {text}", path.display(), warning.line);
        if !told.contains(&sentence) && told.len() < TOLD_MAX {
            told.push(sentence);
        }
    }
    told
}

/// Whether a compiler's name for a file, from wherever it was run, is this path of the project.
fn is_same(path: &Path, named: &str) -> bool {
    let named = Path::new(named.trim_start_matches("./"));
    named.ends_with(path) || path.ends_with(named)
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("invariant: the patterns of warnings are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GCC: &str = "gcc -c src/a.c\nsrc/a.c: In function 'trim':\nsrc/a.c:45:37: warning: comparison of unsigned expression in '>= 0' is always true [-Wtype-limits]\n   45 |     for (; j >= 0;)\nsrc/b.c:3:5: warning: unused variable 'x' [-Wunused-variable]\nsrc/a.c:9:1: error: no\n";

    #[test]
    fn compilers_warnings_are_read() {
        let of_gcc = of(GCC);
        assert_eq!(of_gcc.len(), 2);
        assert_eq!((of_gcc[0].file.as_str(), of_gcc[0].line.as_str()), ("src/a.c", "45"));
        let rust =
            of("warning: unused variable: `x`\n  --> src/lib.rs:3:9\n   |\nwarning: `a` (lib) generated 1 warning\n");
        assert_eq!(
            rust,
            [Warning { file: "src/lib.rs".into(), line: "3".into(), text: "unused variable: `x`".into() }]
        );
        assert_eq!(of("Shop.java:3: warning: [removal] old() is old\n").len(), 1);
        assert_eq!(of("/tmp/p/a.py:2: SyntaxWarning: \"is\" with a literal\n").len(), 1);
        assert_eq!(of("it said warning: nothing\nwarning: no file\n"), []);
    }

    #[test]
    fn untidiness_is_no_doubt() {
        assert!(is_doubt("the compiler warns of a.c:45: comparison is always true [-Wtype-limits]"));
        assert!(!is_doubt("the compiler warns of src/lib.rs:1: unused import: `std::cmp::Ordering`"));
        assert!(!is_doubt("only the command's exit code was looked at"));
    }

    #[test]
    fn only_what_is_new_in_the_change_s_files_is_told() {
        let changed = [Path::new("src/a.c"), Path::new("src/c.h")];
        let told = |before: &[Warning]| news(&of(GCC), before, &changed.into_iter());
        assert_eq!(
            told(&[]),
            [
                "the compiler warns of src/a.c:45: comparison of unsigned expression in '>= 0' is always true [-Wtype-limits]"
            ]
        );
        let before = of(&GCC.replace(":45:", ":12:"));
        assert_eq!(told(&before), Vec::<String>::new(), "it was there before, elsewhere");
        let absolute = of(&GCC.replace("src/a.c:", "/home/u/p/src/a.c:"));
        assert_eq!(news(&absolute, &[], &changed.into_iter()).len(), 1);
    }
}
