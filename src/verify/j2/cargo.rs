//! What `cargo test` printed, test by test. Pure.
//!
//! libtest's lines share stdout with whatever the tests' threads and children print, with line ends or without; so a
//! test's line is looked for anywhere, and its result up to the next one's. Summaries must agree with what was found;
//! where they do not, the run cannot be read, which says nothing about the code.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use super::evidence::{Ended, Evidence, Left, failed};
use crate::verify::feedback;

/// Reads a run.
pub(super) fn read(left: &Left<'_>) -> Evidence {
    static RUNNING: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"running (\d+) tests?\r?\n").expect("invariant: a valid pattern"));
    let mut evidence = Evidence::default();
    let starts: Vec<(usize, u32)> = RUNNING
        .captures_iter(left.stdout)
        .filter_map(|found| Some((found.get(0)?.end(), found[1].parse().ok()?)))
        .collect();
    let mut complete = !starts.is_empty();
    for (number, (start, announced)) in starts.iter().enumerate() {
        let end = starts.get(number + 1).map_or(left.stdout.len(), |(next, _)| *next);
        let section = &left.stdout[*start..end];
        match summary(section) {
            None => complete = false,
            Some((at, counted)) => {
                let found = tests(&section[..at], section);
                let passed = found.values().filter(|ended| **ended == Ended::Passed).count() as u32;
                if counted.total != *announced || counted.passed != passed || found.len() as u32 != *announced {
                    let why = format!(
                        "{} tests were announced, {} summed up and {} found",
                        announced,
                        counted.total,
                        found.len()
                    );
                    evidence.unreadable = Some(why);
                }
                for (name, ended) in found {
                    evidence.put(format!("{}:{name}", number + 1), ended);
                }
                continue;
            }
        }
        for (name, ended) in tests(section, section) {
            evidence.put(format!("{}:{name}", number + 1), ended);
        }
    }
    evidence.complete = complete;
    if evidence.tests.is_empty() && left.stderr.contains("error") {
        evidence.broken.push(compile_errors(left.stderr));
    }
    evidence
}

struct Counted {
    passed: u32,
    total: u32,
}

/// Where a binary's summary stands, and what it counts. The last one counts: what is printed by tests stands before it.
fn summary(section: &str) -> Option<(usize, Counted)> {
    static RESULT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored; (\d+) measured; (\d+) filtered out")
            .expect("invariant: a valid pattern")
    });
    let found = RESULT.captures_iter(section).last()?;
    let number = |group: usize| found[group].parse::<u32>().unwrap_or(0);
    let total = (1..=4).map(number).sum();
    Some((found.get(0)?.start(), Counted { passed: number(1), total }))
}

/// The tests of one binary by name; names that come twice (examples of one item) are numbered.
fn tests(lines: &str, section: &str) -> BTreeMap<String, Ended> {
    static TEST: LazyLock<Regex> =
        // A result without a line end may stand right before the next test.
        LazyLock::new(|| {
            Regex::new(r"(?:\b|ok|FAILED|ignored)(test ([^\n]{1,400}?) \.\.\. )").expect("invariant: a valid pattern")
        });
    static WORD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)(ok|FAILED|ignored)(?:, [^\n]*)?(?: <[\d.]+m?s>)?\s*$|^(bench): ")
            .expect("invariant: a valid pattern")
    });
    let places: Vec<_> =
        TEST.captures_iter(lines).filter_map(|found| Some((found.get(1)?, found[2].to_owned()))).collect();
    let mut found = BTreeMap::new();
    for (number, (place, name)) in places.iter().enumerate() {
        let end = places.get(number + 1).map_or(lines.len(), |(next, _)| next.start());
        let ended = match WORD.captures(&lines[place.end()..end]).and_then(|word| word.get(1).or(word.get(2))) {
            Some(word) if word.as_str() == "ok" || word.as_str() == "bench" => Ended::Passed,
            Some(word) if word.as_str() == "ignored" => Ended::Skipped,
            _ => failed(&panic_of(section, name)),
        };
        let plain = plain(name);
        let mut key = plain.clone();
        let mut count = 1;
        while found.contains_key(&key) {
            count += 1;
            key = format!("{plain} #{count}");
        }
        found.insert(key, ended);
    }
    found
}

/// A test's name without what changes when lines move or how it is to end.
fn plain(name: &str) -> String {
    static LINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r" \(line \d+\)").expect("invariant: a valid pattern"));
    LINE.replace_all(name, "").trim_end_matches(" - should panic").trim_end_matches(" - compile").to_owned()
}

fn panic_of(stdout: &str, name: &str) -> String {
    let mark = format!("---- {} stdout ----", name.trim_end_matches(" - should panic"));
    let Some(start) = stdout.find(&mark) else { return "failed".to_owned() };
    let lines = stdout[start + mark.len()..].lines().map(str::trim).filter(|line| !line.is_empty());
    let told: Vec<&str> =
        lines.take_while(|line| !line.starts_with("----") && !line.starts_with("note:")).take(6).collect();
    told.join("\n")
}

fn compile_errors(stderr: &str) -> String {
    let text = feedback::clean(stderr);
    let errors = text.lines().skip_while(|line| !line.starts_with("error")).take(10);
    errors.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stdout: &str) -> Evidence {
        read(&Left { stdout, ..Left::default() })
    }

    fn words(evidence: &Evidence) -> Vec<(&str, char)> {
        let word = |ended: &Ended| match ended {
            Ended::Passed => 'p',
            Ended::Failed { .. } => 'f',
            Ended::Skipped => 's',
        };
        evidence.tests.iter().map(|(id, ended)| (id.as_str(), word(ended))).collect()
    }

    const END: &str =
        "\ntest result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn lines_and_summary_agree() {
        let honest = format!("running 2 tests\ntest a::b ... ok\ntest c ... ignored, later\n{END}");
        let evidence = of(&honest);
        assert_eq!(words(&evidence), [("1:a::b", 'p'), ("1:c", 's')]);
        assert!(evidence.complete && evidence.unreadable.is_none());
        assert!(!of("running 2 tests\ntest a::b ... ok\n").complete);
        assert!(of(&honest.replace("ok\n", "ok\ntest forged ... ok\n")).unreadable.is_some());
    }

    #[test]
    fn what_tests_print_in_between_does_no_harm() {
        for printed in [
            "running 2 tests\nhello, no line end test a::b ... ok\ntest c ... ignored\n",
            "running 2 tests\ntest a::b ... said by a child\nok\ntest c ... ignored\n",
            "running 2 tests\ntest a::b ... said oktest c ... ignored\n",
            "running 2 tests\nnoise\ntest a::b ... ok\nmore noise\nis not ok at all, no\ntest c ... ignored\n",
        ] {
            let evidence = of(&format!("{printed}{END}"));
            assert_eq!(evidence.unreadable, None, "{printed}");
            assert_eq!(words(&evidence), [("1:a::b", 'p'), ("1:c", 's')], "{printed}");
        }
        // Dots instead of lines: nothing to read, and nothing forged.
        let quiet = of(&format!("running 2 tests\n.i\n{END}"));
        assert!(quiet.unreadable.is_some() && quiet.forged.is_empty() && quiet.complete);
    }

    #[test]
    fn an_example_keeps_its_name_when_lines_move() {
        let of = |line: u32| {
            format!(
                "running 2 tests\ntest src/lib.rs - add (line {line}) ... ok\ntest src/lib.rs - add (line {}) ... ignored\n{END}",
                line + 5
            )
        };
        assert_eq!(
            words(&super::read(&Left { stdout: &of(3), ..Left::default() })),
            [("1:src/lib.rs - add", 'p'), ("1:src/lib.rs - add #2", 's')]
        );
    }
}
