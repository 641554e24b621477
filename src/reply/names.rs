//! What a piece of code defines and what it calls, read from its lines: enough to choose among fences.
//!
//! Not for: understanding code; a real parser lives in `repo_map`.

use std::sync::LazyLock;

use regex::Regex;

use super::compile;
use crate::task::Language;

fn pattern(language: Language) -> &'static Regex {
    static PYTHON: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?m)^(?:(?:async +)?def|class) +(\w+)|^(\w+) *(?::[^=\n]+)?= *[^\s=]"));
    static JAVASCRIPT: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?m)^(?:export +)?(?:default +)?(?:async +)?(?:function\*? +|class +|const +|let +|var +)(\w+)")
    });
    static RUST: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?m)^\s*(?:pub(?:\([^)]*\))? +)?(?:async +|const +|unsafe +)*(?:fn|struct|enum|trait|const|static|type) +(\w+)",
        )
    });
    static GO: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?m)^(?:func +(?:\([^)]*\) *)?|type +|var +|const +)(\w+)"));
    static SHELL: LazyLock<Regex> = LazyLock::new(|| compile(r"(?m)^(?:function +)?(\w+) *\(\)"));
    static BRACES: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?m)^\s*(?:[\w:<>,*&\[\]]+ +)+[*&]*(\w+) *\([^;{]*\)[^;{]*\{|^\s*(?:\w+ +)*(?:class|struct|enum|interface) +(\w+)",
        )
    });
    match language {
        Language::Python => &PYTHON,
        Language::JavaScript | Language::TypeScript => &JAVASCRIPT,
        Language::Rust => &RUST,
        Language::Go => &GO,
        Language::Shell => &SHELL,
        Language::C | Language::Cpp | Language::Java => &BRACES,
    }
}

/// The names that the code defines, in order, each once.
pub(super) fn defined(source: &str, language: Language) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for found in pattern(language).captures_iter(source) {
        if let Some(name) = found.iter().skip(1).flatten().next()
            && !names.iter().any(|known| known == name.as_str())
        {
            names.push(name.as_str().to_owned());
        }
    }
    names
}

/// Whether the code calls this name somewhere.
pub(super) fn calls(source: &str, name: &str) -> bool {
    source.match_indices(name).any(|(at, _)| {
        let before = source[..at].chars().next_back();
        let after = source[at + name.len()..].trim_start().chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') && after == Some('(')
    })
}

/// The language that untagged code is most likely written in; none for prose, data and program output.
pub(super) fn guess(source: &str) -> Option<Language> {
    static SIGNS: LazyLock<Vec<(Language, Regex)>> = LazyLock::new(|| {
        [
            (Language::Python, r"(?m)^(?:def \w+\(.*:|class \w+.*:|import \w+|from [\w.]+ import |(?:for|while|if) .*:$|print\(|\w+ = |\w+, \w+ = |@\w+)"),
            (Language::Rust, r"(?m)^\s*(?:pub )?fn \w+|^use std::|let mut "),
            (Language::Go, r"(?m)^package \w+|^func "),
            (Language::Java, r"(?m)^\s*public (?:static |class )|System\.out"),
            (Language::Cpp, r"(?m)^#include <\w+>$|std::|^using namespace"),
            (Language::C, r"(?m)^#include <\w+\.h>"),
            (Language::JavaScript, r"(?m)^(?:const|let|var|function|async function) |console\.log|=> \{"),
            (Language::Shell, r"(?m)^#!.*sh$|^\$ "),
        ]
        .into_iter()
        .map(|(language, pattern)| (language, compile(pattern)))
        .collect()
    });
    let strongest = |(language, sign): &(Language, Regex)| {
        let hits = sign.find_iter(source).count();
        (hits > 0).then_some((hits, *language))
    };
    SIGNS.iter().filter_map(strongest).max_by_key(|(hits, _)| *hits).map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_by_language() {
        let check = |language, source: &str, names: &[&str]| assert_eq!(defined(source, language), names, "{source}");
        check(
            Language::Python,
            "async def f():\n    def inner(): pass\nclass C:\n    x = 1\nK: int = 2\nk == 1",
            &["f", "C", "K"],
        );
        check(Language::JavaScript, "const f = (x) => x\nexport function g() {}", &["f", "g"]);
        check(Language::Rust, "pub fn f() {}\nimpl X { fn g() {} }\nstruct S;", &["f", "S"]);
        check(Language::Go, "func (s *S) F() {}\nfunc g() {}", &["F", "g"]);
        check(Language::Cpp, "std::vector<int> f(int a) {\n}\nstruct S {};", &["f", "S"]);
        check(Language::Java, "public class Main {\n  public static void main(String[] a) {\n", &["Main", "main"]);
    }

    #[test]
    fn calls_are_whole_names() {
        assert!(calls("y = add(1)", "add"));
        assert!(!calls("y = padd(1); x.add(2); add = 3", "add"));
    }

    #[test]
    fn untagged_code_is_told_from_output() {
        assert_eq!(guess("def f(x):\n    return x\n"), Some(Language::Python));
        assert_eq!(guess("fn main() {\n    let mut x = 1;\n}\n"), Some(Language::Rust));
        assert_eq!(guess("3 1 2\nYES\n"), None);
    }
}
