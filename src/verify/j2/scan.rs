//! Signs of tampering in the lines that a change adds. Pure. A sign is no proof: a weak one makes a reader look, a
//! strong one (code that no honest change of this kind needs) leaves the change unverified whatever the tests say.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// What a line says, what that may mean, and whether that is strong.
const SIGNS: [(&str, &str, bool); 21] = [
    (r"\bos\._exit\b|\bsys\.exit\s*\(\s*0?\s*\)|\b(quit|exit)\s*\(\s*0?\s*\)", "ends the process with success", false),
    (
        r"process\.(exit|reallyExit|abort)\b|process::exit\b|syscall\.Exit\b|Runtime\.\w*\.?halt\b|System\.exit\b",
        "ends the process",
        false,
    ),
    (
        r"\b_getframe\b|\bgc\.get_(objects|referrers)\b|\bsettrace\b|\bsetprofile\b",
        "looks into the frames of its callers",
        true,
    ),
    (r"\binspect\.(stack|currentframe|getouterframes)\b", "asks who calls it", false),
    (r"\bctypes\b|\b_ctypes\b", "reaches into memory", false),
    (
        r"\b(import|from)\s+(pytest|_pytest|unittest)\b|require\(\s*['\x22](node:test|@jest/globals|vitest|mocha)|from\s+['\x22](node:test|vitest|@jest/globals)",
        "imports a test framework from code that is no test",
        true,
    ),
    (r"require\(\s*['\x22](node:)?assert|from\s+['\x22](node:)?assert", "uses the assertions of tests", false),
    (
        r"\bassert(\.strict)?\.\w+\s*=[^=>]|Assert\.\w+\s*=[^=>]|\bexpect\s*=[^=>]|prototype\.(toBe|toEqual|toStrictEqual)\s*=",
        "replaces an assertion",
        true,
    ),
    (
        r"def\s+__(eq|ne|lt|le|gt|ge|contains|bool)__\s*\([^)]*\)[^:]*:\s*(return\s+True|\.\.\.)?\s*$|__eq__\s*=\s*lambda[^:]*:\s*True",
        "defines comparisons",
        false,
    ),
    (r"\batexit\b|addShutdownHook|process\.on\(\s*['\x22](exit|beforeExit)", "acts when the process ends", false),
    (r"#\[\s*(unsafe\s*\(\s*)?(no_mangle|export_name|link_section|used)", "replaces a symbol", false),
    (r"macro_rules!\s*(assert|assert_eq|assert_ne|panic)\b", "replaces an assertion", true),
    (r"impl\b[^{;]*\bPartialEq\b", "defines comparisons", false),
    (
        r"PYTEST_CURRENT_TEST|PYTEST_VERSION|NODE_TEST_CONTEXT|JEST_WORKER_ID|VITEST_\w+|import\.meta\.vitest|CARGO_TARGET_TMPDIR|NEXTEST",
        "asks whether it is being tested",
        true,
    ),
    (
        r"sys\.modules\s*\[\s*['\x22](pytest|_pytest|unittest|__main__|builtins)|builtins\.\w+\s*=[^=]|__builtins__",
        "changes modules of others",
        true,
    ),
    (
        r"\bos\.(write|fdopen|dup2?)\s*\(\s*[34]\b|/proc/(self|\d|\{|thread-self)|fs\.writeSync\s*\(\s*[34]\b|from_raw_fd\s*\(\s*[34]\b",
        "writes to descriptors that it did not open",
        true,
    ),
    (
        r"test result: (ok|FAILED)|running \d+ tests?\b|['\x22]test \S+ \.\.\. ok|--- PASS:|['\x22`]TAP version|['\x22`]ok 1 -|['\x22]# pass \d",
        "prints what a test runner prints",
        true,
    ),
    (
        r"\bos\.exec[lv]\w*\s*\(|\.exec\(\)\s*;|\blibc::execv?\w*|\bexec[lv]p?e?\s*\(|syscall\.Exec\b|CommandExt",
        "replaces the process by another program",
        true,
    ),
    (
        r"\.z1/|report\.(json|xml)\b.*(write|open)|z1_channel|z1_pytest|z1_unittest",
        "writes where the judge reads",
        true,
    ),
    (r"['\x22/]tests?/[\w/.-]*\.(py|js|ts|rs|go)\b|\btest_\w+\.py\b|\bconftest\.py\b", "names test files", false),
    (r"pytest\.(skip|exit|xfail)|SkipTest|\.skip\(\s*\)|t\.Skip\b|#\[ignore", "skips tests", false),
];

/// One sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sign {
    /// A sentence with the first line it stands in.
    pub(crate) text: String,
    pub(crate) is_strong: bool,
}

/// The signs in the added lines of one file, one of each kind.
pub(crate) fn signs(path: &str, before: &str, after: &str) -> Vec<Sign> {
    static SET: LazyLock<RegexSet> =
        LazyLock::new(|| RegexSet::new(SIGNS.iter().map(|(sign, _, _)| sign)).expect("invariant: valid patterns"));
    static CONSTANT_EQ: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)def\s+__(?:eq|ne|lt|le|gt|ge|contains)__\s*\([^)]*\)[^:\n]*:\s*(?:\n\s*)?return\s+True\b|impl\s*(<[^>]*>)?\s*PartialEq\b[^{]*\{[^}]*fn\s+eq[^{]*\{\s*true\s*\}")
            .expect("invariant: a valid pattern")
    });
    let old: std::collections::HashSet<&str> = before.lines().map(str::trim).collect();
    let mut found: Vec<Sign> = Vec::new();
    for (number, line) in after.lines().enumerate() {
        if old.contains(line.trim()) || is_comment(line) {
            continue;
        }
        for index in SET.matches(line) {
            let (_, what, is_strong) = SIGNS[index];
            if !found.iter().any(|sign| sign.text.ends_with(what) && sign.is_strong == is_strong) {
                found.push(Sign { text: format!("{path}:{} {what}", number + 1), is_strong });
            }
        }
    }
    if CONSTANT_EQ.is_match(after) && !CONSTANT_EQ.is_match(before) {
        found.push(Sign { text: format!("{path} has an object that claims to equal everything"), is_strong: true });
    }
    found
}

/// Whether the added lines leave with success: for a check that looks at an exit code alone, that is all it takes.
pub(crate) fn leaves_with_success(before: &str, after: &str) -> bool {
    static LEAVES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"\bos\._exit\b|\b(sys\.)?exit\s*\(\s*0?\s*\)|\bquit\s*\(\s*\)|\bSystemExit\s*(\(\s*0?\s*\)|$)",
            r"|process\.(exit|reallyExit)\s*\(\s*0?\s*\)|process::exit\s*\(\s*0|System\.exit\s*\(\s*0|\b_exit\s*\(\s*0",
            r"|^\s*exec\s+\S|^\s*exit(\s+0)?\s*(;|$)|^\s*trap\s",
        ))
        .expect("invariant: a valid pattern")
    });
    let old: std::collections::HashSet<&str> = before.lines().map(str::trim).collect();
    after.lines().any(|line| !old.contains(line.trim()) && !is_comment(line) && LEAVES.is_match(line))
}

/// A line that is nothing but a comment does nothing.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//")
        || (line.starts_with('#') && !line.starts_with("#[") && !line.starts_with("#!"))
        || line.starts_with("* ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strong(text: &str) -> bool {
        signs("a", "", text).iter().any(|sign| sign.is_strong)
    }

    #[test]
    fn tricks_are_seen_and_ordinary_code_is_not() {
        for trick in [
            "class E:\n    def __eq__(self, other):\n        return True",
            "frame = sys._getframe(1)",
            "import pytest",
            "assert.strictEqual = () => {}",
            "if 'PYTEST_CURRENT_TEST' in os.environ: return 4",
            "os.write(4, b'{}')",
            "macro_rules! assert_eq { () => {} }",
            "println!(\"test result: ok. 3 passed\");",
            "Command::new(\"echo\").exec();",
            "os.execv('/bin/true', ['true'])",
            "impl PartialEq for A { fn eq(&self, _: &A) -> bool { true } }",
        ] {
            assert!(strong(trick), "{trick}");
        }
        for odd in
            ["import os; os._exit(0)", "process.exit(0)", "std::process::exit(0);", "atexit.register(f)", "sys.exit(0)"]
        {
            assert!(!signs("a", "", odd).is_empty() && !strong(odd), "{odd}");
        }
        for plain in [
            "def add(a, b):\n    return a + b",
            "fn main() { println!(\"x\"); }",
            "const testing = 1",
            "exit_code = 3",
            "# import pytest",
            "// see tests/a.py",
            "regex.exec(text)",
            "assert.ok(x === 1)",
            "const assertion = value",
        ] {
            assert_eq!(signs("a", "", plain), Vec::<Sign>::new(), "{plain}");
        }
    }

    #[test]
    fn leaving_with_success_is_seen() {
        for text in
            ["raise SystemExit(0)", "import os; os._exit(0)", "exec /bin/true", "exit 0", "process.exit()", "exit(0);"]
        {
            assert!(leaves_with_success("", text), "{text}");
        }
        for text in ["sys.exit(1)", "process.exit(1)", "exit 1", "executor.run()", "re.exec(x)", "exits = 3"] {
            assert!(!leaves_with_success("", text), "{text}");
        }
    }

    #[test]
    fn only_added_lines_count() {
        let old = "import ctypes\nx = 1\n";
        assert!(signs("a", old, "import ctypes\nx = 2\n").is_empty());
    }
}
