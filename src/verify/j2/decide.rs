//! From the evidence before and after a change to a verdict. Pure.

use crate::sandbox::End;
use crate::task::{Failure, FailureKind, Report, Tier, Verdict};

use super::evidence::{CONSOLE_ASSERT, Ended, Evidence};
use crate::verify::j1;

/// Failures kept in a report.
const FAILURES_MAX: usize = 20;

/// What is known of the run besides its evidence.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) command: &'a str,
    pub(crate) end: &'a End,
    pub(crate) tier: Tier,
    pub(crate) wall_ms: u64,
    /// What a reader should look at.
    pub(crate) flags: Vec<String>,
}

/// A pass needs: the runner's end, exit code 0, every test that passed before, and no failure.
pub(crate) fn decide(before: Option<&Evidence>, after: &Evidence, run: Run<'_>) -> Verdict {
    let nothing_before = before.is_none_or(|before| before.tests.is_empty());
    let mut failures = broken(after, run.end);
    failures.extend(failed(before, after));
    failures.extend(before.into_iter().flat_map(|before| missing(before, after)));
    failures.extend(after.forged.iter().take(1).map(|what| failure(FailureKind::Cheat, "", what)));
    let passed = after.count(|ended| *ended == Ended::Passed);
    if failures.is_empty() && passed == 0 {
        if nothing_before {
            return Verdict::NothingToCheck { why: format!("`{}` found no test to run", run.command) };
        }
        failures.push(failure(FailureKind::Crash, "", "no test ran"));
    }
    if failures.is_empty() && (!after.complete || *run.end != End::Exit(0)) {
        failures.push(failure(FailureKind::Cheat, "", &early_end(run.end)));
    }
    let held = failures.is_empty();
    let count = failures.len() as u32;
    failures.truncate(FAILURES_MAX);
    let report = Report {
        command: run.command.to_owned(),
        passed,
        failed: count,
        failures,
        tier: run.tier,
        wall_ms: run.wall_ms,
        flags: run.flags,
    };
    if held { Verdict::Passed(report) } else { Verdict::Failed(report) }
}

fn failure(kind: FailureKind, name: &str, got: &str) -> Failure {
    Failure { kind, name: name.to_owned(), got: got.to_owned(), expected: None, frame: None }
}

fn early_end(end: &End) -> String {
    match end {
        End::Exit(code) => format!("the test run ended with exit code {code} before it had reported its end"),
        other => format!("the test run ended with {other:?} before it had reported its end"),
    }
}

/// A limit that struck, files that cannot be loaded.
fn broken(after: &Evidence, end: &End) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    if let End::Limit(limit) = end {
        let (kind, text) = j1::of_limit(*limit, "");
        failures.push(failure(kind, "", &text));
    }
    for text in &after.broken {
        let syntax = ["SyntaxError", "IndentationError", "error[", "error:"].iter().any(|word| text.contains(word));
        let kind = match text {
            _ if syntax => FailureKind::Syntax,
            _ if text.starts_with(CONSOLE_ASSERT) => FailureKind::WrongAnswer,
            _ => FailureKind::Crash,
        };
        failures.push(failure(kind, "", text));
    }
    failures
}

fn failed(before: Option<&Evidence>, after: &Evidence) -> Vec<Failure> {
    let failed_before = |id: &str| matches!(before.and_then(|before| before.tests.get(id)), Some(Ended::Failed { .. }));
    let failures = after.tests.iter().filter_map(|(id, ended)| {
        let Ended::Failed { text, frame } = ended else { return None };
        if id.starts_with("unittest.loader._FailedTest.") {
            return None;
        }
        let asserted = ["AssertionError", "assertion", "--- FAIL", "ERR_ASSERTION", "expect("]
            .iter()
            .any(|word| text.contains(word));
        let kind = if asserted { FailureKind::WrongAnswer } else { FailureKind::Crash };
        let note = if failed_before(id) { " (it failed before the change as well)" } else { "" };
        let got = if text.is_empty() { "failed" } else { text };
        Some(Failure { frame: frame.clone(), ..failure(kind, &format!("{id}{note}"), got) })
    });
    failures.collect()
}

/// Tests that passed before the change and now did not run.
fn missing(before: &Evidence, after: &Evidence) -> Vec<Failure> {
    let passed_before = before.tests.iter().filter(|(_, ended)| **ended == Ended::Passed);
    let gone = passed_before.filter_map(|(id, _)| match after.tests.get(id) {
        None => Some(failure(FailureKind::Crash, id, "did not run; before the change it passed")),
        Some(Ended::Skipped) => Some(failure(FailureKind::Cheat, id, "was skipped; before the change it passed")),
        Some(_) => None,
    });
    // Where nothing ran at all, the reason is told once and not once for each test.
    if after.tests.is_empty() { gone.take(1).collect() } else { gone.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(tests: &[(&str, Ended)], complete: bool) -> Evidence {
        Evidence {
            tests: tests.iter().map(|(id, ended)| ((*id).to_owned(), ended.clone())).collect(),
            complete,
            ..Evidence::default()
        }
    }

    fn fails() -> Ended {
        Ended::Failed { text: "AssertionError: assert 3 == 4".to_owned(), frame: None }
    }

    fn verdict(before: &[(&str, Ended)], after: &Evidence, end: &End) -> Verdict {
        let run = Run { command: "pytest", end, tier: Tier::F, wall_ms: 1, flags: vec![] };
        decide(Some(&evidence(before, true)), after, run)
    }

    fn kinds(verdict: &Verdict) -> Vec<FailureKind> {
        verdict.report().map(|report| report.failures.iter().map(|f| f.kind).collect()).unwrap_or_default()
    }

    #[test]
    fn every_test_that_passed_must_pass_again() {
        let before = [("a", Ended::Passed), ("b", fails())];
        let all = evidence(&[("a", Ended::Passed), ("b", Ended::Passed)], true);
        assert!(verdict(&before, &all, &End::Exit(0)).passed());
        let missing = evidence(&[("b", Ended::Passed)], true);
        assert_eq!(kinds(&verdict(&before, &missing, &End::Exit(0))), [FailureKind::Crash]);
        let skipped = evidence(&[("a", Ended::Skipped), ("b", Ended::Passed)], true);
        assert_eq!(kinds(&verdict(&before, &skipped, &End::Exit(0))), [FailureKind::Cheat]);
        let wrong = evidence(&[("a", Ended::Passed), ("b", fails())], true);
        assert_eq!(kinds(&verdict(&before, &wrong, &End::Exit(1))), [FailureKind::WrongAnswer]);
    }

    #[test]
    fn an_end_without_a_report_is_no_pass() {
        let before = [("a", Ended::Passed)];
        let half = evidence(&[("a", Ended::Passed)], false);
        assert_eq!(kinds(&verdict(&before, &half, &End::Exit(0))), [FailureKind::Cheat]);
        let bad_exit = evidence(&[("a", Ended::Passed)], true);
        assert_eq!(kinds(&verdict(&before, &bad_exit, &End::Exit(1))), [FailureKind::Cheat]);
    }

    #[test]
    fn no_test_is_no_pass() {
        let none = evidence(&[], true);
        assert!(matches!(verdict(&[], &none, &End::Exit(0)), Verdict::NothingToCheck { .. }));
        assert!(matches!(verdict(&[("a", Ended::Passed)], &none, &End::Exit(0)), Verdict::Failed(_)));
    }
}
