//! Signs of tampering in the lines that a change adds. Pure. A sign is no proof: it makes the verdict "look at this".

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// What a line says and what that may mean.
const SIGNS: [(&str, &str); 15] = [
    (r"\bos\._exit\b|\bsys\.exit\s*\(\s*0?\s*\)|\b(quit|exit)\s*\(\s*0?\s*\)", "ends the process with success"),
    (
        r"process\.(exit|reallyExit|abort)\b|process::exit\b|syscall\.Exit\b|Runtime\.\w*\.?halt\b|System\.exit\b",
        "ends the process",
    ),
    (
        r"\b_getframe\b|\binspect\.(stack|currentframe|getouterframes)\b|\bgc\.get_(objects|referrers)\b|\bsettrace\b",
        "looks into the frames of its callers",
    ),
    (r"\bctypes\b|\b_ctypes\b", "reaches into memory"),
    (
        r"\b(import|from)\s+(pytest|_pytest|unittest)\b|require\(\s*['\x22](node:test|assert|node:assert|@jest/globals|vitest)",
        "imports a test framework from code that is no test",
    ),
    (
        r"def\s+__(eq|ne|lt|le|gt|ge|contains|bool)__\s*\([^)]*\)[^:]*:\s*(return\s+True|\.\.\.)?\s*$|__eq__\s*=\s*lambda[^:]*:\s*True",
        "defines comparisons",
    ),
    (r"\batexit\b|addShutdownHook|process\.on\(\s*['\x22](exit|beforeExit)", "acts when the process ends"),
    (r"#\[\s*(no_mangle|export_name)", "replaces a symbol"),
    (r"macro_rules!\s*(assert|assert_eq|assert_ne|panic)\b", "replaces an assertion"),
    (r"impl\b[^{;]*\bPartialEq\b", "defines comparisons"),
    (
        r"PYTEST_CURRENT_TEST|PYTEST_VERSION|NODE_TEST_CONTEXT|JEST_WORKER_ID|VITEST\b|CARGO_TARGET_TMPDIR",
        "asks whether it is being tested",
    ),
    (r"sys\.modules\s*\[|builtins\.\w+\s*=|__builtins__", "changes modules of others"),
    (
        r"\bos\.(write|fdopen|dup2?)\s*\(|/proc/self|fs\.writeSync\s*\(\s*[34]\b|from_raw_fd",
        "writes to descriptors that it did not open",
    ),
    (r"['\x22/]tests?/[\w/.-]*\.(py|js|ts|rs|go)\b|test_\w+\.py\b", "names test files"),
    (r"pytest\.skip|SkipTest|\bxfail\b|\.skip\(\s*\)|t\.Skip\b|#\[ignore", "skips tests"),
];

/// The signs in the added lines of one file, one sentence each, with the first line they stand in.
pub(crate) fn signs(path: &str, before: &str, after: &str) -> Vec<String> {
    static SET: LazyLock<RegexSet> =
        LazyLock::new(|| RegexSet::new(SIGNS.iter().map(|(sign, _)| sign)).expect("invariant: valid patterns"));
    static CONSTANT_EQ: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)def\s+__(?:eq|ne|lt|le|gt|ge|contains)__\s*\([^)]*\)[^:\n]*:\s*(?:\n\s*)?return\s+True\b")
            .expect("invariant: a valid pattern")
    });
    let old: std::collections::HashSet<&str> = before.lines().map(str::trim).collect();
    let mut found: Vec<String> = Vec::new();
    for (number, line) in after.lines().enumerate() {
        if old.contains(line.trim()) {
            continue;
        }
        for index in SET.matches(line) {
            let what = SIGNS[index].1;
            if !found.iter().any(|sign| sign.ends_with(what)) {
                found.push(format!("{path}:{} {what}", number + 1));
            }
        }
    }
    if CONSTANT_EQ.is_match(after) && !CONSTANT_EQ.is_match(before) {
        found.push(format!("{path} has an object that claims to equal everything"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tricks_are_seen_and_ordinary_code_is_not() {
        for trick in [
            "import os; os._exit(0)",
            "class E:\n    def __eq__(self, other):\n        return True",
            "frame = sys._getframe(1)",
            "import pytest",
            "process.exit(0)",
            "std::process::exit(0);",
            "if 'PYTEST_CURRENT_TEST' in os.environ: return 4",
            "atexit.register(f)",
            "raise unittest.SkipTest('x')",
            "os.write(4, b'{}')",
            "macro_rules! assert_eq { () => {} }",
            "open('tests/test_a.py').read()",
        ] {
            assert!(!signs("a", "", trick).is_empty(), "{trick}");
        }
        for plain in
            ["def add(a, b):\n    return a + b", "fn main() { println!(\"x\"); }", "const testing = 1", "exit_code = 3"]
        {
            assert_eq!(signs("a", "", plain), Vec::<String>::new(), "{plain}");
        }
    }

    #[test]
    fn only_added_lines_count() {
        let old = "import ctypes\nx = 1\n";
        assert!(signs("a", old, "import ctypes\nx = 2\n").is_empty());
    }
}
