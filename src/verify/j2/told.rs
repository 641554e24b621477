//! What a command's own lines say test by test: `ok …`, `FAIL …`, `✗ …`, as hand-written runners print them. Pure.
//!
//! Its exit code alone decides whether it passed; these lines say how near a failing run came, and what to mend. They can
//! be printed by anybody, so they never make a pass. Not for: runners whose reports are read (`evidence.rs`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::evidence::last_lines;

/// Lines after a failure's own that belong to it.
const DETAIL_LINES_MAX: usize = 3;
/// Most lines that are counted.
const TOLD_MAX: usize = 1_000;

/// Name to what was said where it failed, `None` where it passed. Empty where no line tells of a failure: then there is
/// nothing to learn.
pub(super) type Told = BTreeMap<String, Option<String>>;

/// Reads what a command printed before it failed.
pub(super) fn read(stdout: &str, stderr: &str) -> Told {
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
    if told.values().all(Option::is_none) { Told::new() } else { told }
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
            r"|(?:not ok|NOT OK|FAIL(?:ED|URE)?|Fail(?:ed)?|✗|✘|×|\[ *(?:FAIL(?:ED)?|fail(?:ed)?) *\]))",
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
    (!name.is_empty() && !is_sum).then(|| (found.name("ok").is_some(), name.to_owned()))
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
    fn without_a_failure_nothing_is_told_and_a_failure_stays_one() {
        assert!(read("ok a\nok b\nSegmentation fault\n", "").is_empty());
        let told = read("FAIL a: once\nok a\n", "");
        assert_eq!(names(&told), [("a", false)]);
    }
}
