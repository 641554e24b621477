//! What a command's own lines say test by test: `ok …`, `FAIL …`, `✗ …`, as hand-written runners print them. Pure.
//!
//! They can be printed by anybody, so they never make a pass: they say how near a failing run came and what to mend, and of
//! a run that ends with success that it should not have. Not for: runners whose reports are read (`evidence.rs`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::evidence::last_lines;

/// Lines after a failure's own that belong to it.
const DETAIL_LINES_MAX: usize = 3;
/// Most lines that are counted.
const TOLD_MAX: usize = 1_000;

/// Name to what was said where it failed, `None` where it passed.
pub(super) type Told = BTreeMap<String, Option<String>>;

/// Everything that a command's own lines say of its tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(super) each: Told,
    /// How many failed, by its sums: 0 is said as well.
    pub(super) failed: Option<u64>,
    /// The line of the last sum that speaks of a failure.
    pub(super) sum: String,
    /// Nothing that it printed was left out.
    pub(super) is_whole: bool,
}

impl Said {
    pub(super) fn of(stdout: &str, stderr: &str) -> Self {
        let each = read(stdout, stderr);
        let mut said = Self { is_whole: each.len() < TOLD_MAX, each, ..Self::default() };
        for line in stdout.lines().chain(stderr.lines()) {
            let Some(count) = failed_by_sum(line) else { continue };
            said.failed = Some(said.failed.unwrap_or(0).saturating_add(count));
            if count > 0 {
                line.trim().clone_into(&mut said.sum);
            }
        }
        said
    }

    /// Names that failed, where a run's sums do not say that nothing did (a test of a test runner prints such lines).
    pub(super) fn failing(&self) -> impl Iterator<Item = (&str, &str)> {
        let counts = self.failed != Some(0);
        self.each.iter().filter(move |_| counts).filter_map(|(name, text)| Some((name.as_str(), text.as_deref()?)))
    }

    /// Names that passed, as they last from run to run.
    fn passing(&self) -> impl Iterator<Item = String> {
        self.each.iter().filter(|(_, text)| text.is_none()).map(|(name, _)| lasting(name))
    }

    /// What passed in the run before and is not told of in this one, which says as much as that one did.
    pub(super) fn not_told_again(&self, before: &Self) -> Option<String> {
        if !self.is_whole || !before.is_whole {
            return None;
        }
        let again: Vec<String> = self.each.keys().map(|name| lasting(name)).collect();
        if let Some(gone) = before.passing().find(|name| !again.contains(name)) {
            return Some(gone);
        }
        // Who tells of what passes tells of what passes now as well.
        let (passed, failed) = (before.passing().count(), before.failing().count());
        let first = before.failing().next().filter(|_| passed > 0 && failed > 0 && self.passing().count() <= passed)?;
        Some(first.0.to_owned())
    }
}

/// A name without what changes from run to run: numbers (times among them), paths, and what stands in parentheses.
fn lasting(name: &str) -> String {
    static CHANGES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\([^)]*\)|\[[^\]]*\]|0x[0-9a-f]+|\d+(?:[.:]\d+)*\s*(?:ms|s|us|ns|µs|min)?\b|(?:^|\s)/\S+")
            .expect("invariant: a valid pattern")
    });
    CHANGES.replace_all(name, " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many tests failed, where a line is a sum of tests.
fn failed_by_sum(line: &str) -> Option<u64> {
    static SUM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"(?i)^\W*(?:(?:total|number of)\s+)?(?:(?:unit\s+)?(?:tests?|checks?|asserts?|assertions?|cases?|specs?)\s+)?",
            r"(?:(?:that|which|have)\s+)?fail(?:ed|ures?|s|ing)?(?:\s+(?:tests?|checks?|assertions?|cases?))?\s*(?:[:=]\s*|\s)(?P<a>\d+)\W*$",
            r"|^\W*(?P<b>\d+)\s+(?:of\s+\d+\s+)?(?:(?:tests?|checks?|assertions?|cases?|specs?)\s+)?(?:have\s+)?fail(?:ed|ing|ures?)\W*$",
            r"|\bFAILED \((?:failures|errors)=(?P<c>\d+)",
        ))
        .expect("invariant: a valid pattern")
    });
    // Beside what passed, or how many there were; not what failed in a test ("3 failed logins").
    static BESIDE: LazyLock<Regex> = LazyLock::new(|| {
        let ends = r"(?:\W*$|\s*[,.;)|/]|\s+(?:in|and|of|out)\b)";
        let words =
            r"\b(?:tests?|checks?|assertions?|cases?|specs?|passed|passing|passes|successes|succeeded|total|ran|ok)\b";
        let count = format!(r"\s+(?:of\s+\d+\s+)?(?:(?:tests?|checks?|assertions?|cases?)\s+)?fail(?:ed|ures?){ends}");
        Regex::new(&format!(
            r"(?i){words}.*?(?:\b(?P<a>\d+){count}|\bfail(?:ed|ures?|s)?\s*[:=]\s*(?P<b>\d+)\b)|\b(?P<c>\d+){count}.*{words}"
        ))
        .expect("invariant: a valid pattern")
    });
    const SUM_CHARS_MAX: usize = 100;
    let line = line.trim();
    if line.len() > SUM_CHARS_MAX || !line.to_ascii_lowercase().contains("fail") {
        return None;
    }
    let found = SUM.captures(line).or_else(|| BESIDE.captures(line))?;
    ["a", "b", "c"].iter().find_map(|group| found.name(group))?.as_str().parse().ok()
}

/// Reads what a command printed test by test.
fn read(stdout: &str, stderr: &str) -> Told {
    let mut told = Told::new();
    for text in [stdout, stderr] {
        let mut open: Option<(String, Vec<&str>)> = None;
        for line in text.lines() {
            if let Some((held, name)) = verdict(line) {
                close(&mut told, open.take());
                if held {
                    // What failed once is not mended by a later line.
                    told.entry(name).or_insert(None);
                } else {
                    open = Some((name, vec![line.trim()]));
                }
            } else if let Some((_, lines)) = open.as_mut().filter(|(_, lines)| lines.len() <= DETAIL_LINES_MAX) {
                lines.push(line);
            }
            if told.len() >= TOLD_MAX {
                break;
            }
        }
        close(&mut told, open);
    }
    told
}

fn close(told: &mut Told, open: Option<(String, Vec<&str>)>) {
    if let Some((name, lines)) = open {
        told.insert(name, Some(last_lines(&lines.join("\n"), DETAIL_LINES_MAX + 1)));
    }
}

/// Whether a line says that something passed or failed, and what. A sum (`FAILED 3 of 5`) is about no test.
fn verdict(line: &str) -> Option<(bool, String)> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"^\s*(?:(?P<ok>ok|OK|PASS(?:ED)?|Pass(?:ed)?|✓|✔|\[ *(?:ok|OK|PASS(?:ED)?|pass(?:ed)?) *\])",
            r"|(?:not ok|NOT OK|FAIL(?:ED|URE)?|Fail(?:ed)?|✗|✘|✕|×|\[ *(?:FAIL(?:ED)?|fail(?:ed)?) *\]))",
            r"(?:\s*[:\-]\s*|\s+)(?:\d+ (?:- )?)?(?P<name>\S.*)$"
        ))
        .expect("invariant: a valid pattern")
    });
    static SUM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)^(\d+|all|of|tests?|passed|failed)\b.*\b(of|tests?|passed|failed|checks?)\b|^\d+$|^=+$")
            .expect("invariant: a valid pattern")
    });
    let found = LINE.captures(line)?;
    let name = found["name"].split(": ").next().unwrap_or("").trim();
    // `ok 3 of 5` loses its number to the pattern.
    let is_sum = SUM.is_match(name) || name.starts_with("of ") || name.starts_with("tests");
    // In TAP what is still to be done or left out may fail.
    let is_excused = name.contains("# TODO") || name.contains("# SKIP");
    (!name.is_empty() && !is_sum && !is_excused).then(|| (found.name("ok").is_some(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(told: &Told) -> Vec<(&str, bool)> {
        told.iter().map(|(name, failed)| (name.as_str(), failed.is_none())).collect()
    }

    #[test]
    fn a_hand_written_runner_tells_its_tests() {
        let told = read("ok   list\nFAIL finds any case: got [3: Milk], want [2: milk\n3: Milk]\nok   remove\n", "");
        assert_eq!(names(&told), [("finds any case", false), ("list", true), ("remove", true)]);
        assert_eq!(
            told["finds any case"].as_deref(),
            Some("FAIL finds any case: got [3: Milk], want [2: milk\n3: Milk]")
        );
    }

    #[test]
    fn other_hands_write_other_words() {
        for (line, expected) in [
            ("ok 1 - adds", Some((true, "adds"))),
            ("not ok 2 adds two", Some((false, "adds two"))),
            ("[PASS] adds", Some((true, "adds"))),
            ("[ FAILED ] adds: 3 != 4", Some((false, "adds"))),
            ("  ✗ adds", Some((false, "adds"))),
            ("PASS: adds", Some((true, "adds"))),
            ("Failed - adds", Some((false, "adds"))),
            ("FAILED 3 of 5 tests", None),
            ("ok", None),
            ("okay then", None),
            ("FAIL", None),
            ("Passed 3 tests", None),
            ("failing is no shame", None),
        ] {
            assert_eq!(verdict(line), expected.map(|(held, name)| (held, name.to_owned())), "{line}");
        }
    }

    #[test]
    fn sums_of_failures_are_read_and_other_lines_are_not() {
        for (line, count) in [
            ("Tests failed: 3", 3),
            ("Tests failed: 0", 0),
            ("failed = 2", 2),
            ("# fail 1", 1),
            ("2 failed", 2),
            ("  1 failing", 1),
            ("3 tests failed.", 3),
            ("10 tests, 3 failures", 3),
            ("5 passed, 0 failed", 0),
            ("3 of 10 tests failed", 3),
            ("== 1 failed, 4 passed in 0.1s ==", 1),
            ("FAILED (failures=2)", 2),
            ("Passed: 4, Failed: 1", 1),
            ("Tests run: 4, Failures: 1, Errors: 0", 1),
        ] {
            assert_eq!(failed_by_sum(line), Some(count), "{line}");
        }
        for line in [
            "retrying 3 failed connections",
            "1 expected failure",
            "failed to open 3 files",
            "login failed",
            "3 xfailed",
            "Testing failing allocations: OK (tested 536 failing allocations)",
            "test of 3 failed logins: ok",
            "failover 3",
            "the build failed",
        ] {
            assert_eq!(failed_by_sum(line), None, "{line}");
        }
    }

    #[test]
    fn what_passed_is_told_again() {
        let before = Said::of("ok 1 - list (3 ms)\nok 2 - took 4 ms\nFAIL find\n", "");
        for whole in ["ok 1 - list (9 ms)\nok 2 - took 11 ms\nok 3 - find\n", "ok list\nok took 1 ms\nok find: yes\n"] {
            assert_eq!(Said::of(whole, "").not_told_again(&before), None, "{whole}");
        }
        assert_eq!(Said::of("ok 1 - list\n", "").not_told_again(&before).as_deref(), Some("took"));
        let cached = Said::of("ok  \ta.b/c\t(cached)\n", "");
        assert_eq!(Said::of("ok  \ta.b/c\t0.003s\n", "").not_told_again(&cached), None);
        assert_eq!(Said::of("ok list\nok took 4 ms\n", "").not_told_again(&before).as_deref(), Some("find"));
        let silent = Said::of("FAIL find\n", "");
        assert_eq!(Said::of("", "").not_told_again(&silent), None, "it never tells of what passes");
    }

    #[test]
    fn a_failure_stays_one() {
        assert_eq!(Said::of("ok a\nok b\nSegmentation fault\n", "").failing().count(), 0);
        assert_eq!(Said::of("FAIL a\n0 failed\n", "").failing().count(), 0);
        let told = read("FAIL a: once\nok a\n", "");
        assert_eq!(names(&told), [("a", false)]);
    }
}
