//! From the evidence before and after a change to a verdict. Pure.

use crate::sandbox::End;
use crate::task::{Failure, FailureKind, Report, Tier, Verdict};

use super::evidence::{COMMAND, CONSOLE_ASSERT, Ended, Evidence};
use super::hindrance;
use crate::verify::j1;

/// Failures kept in a report.
const FAILURES_MAX: usize = 20;

/// How a failure is marked that is not the change's doing.
pub(crate) const FAILED_BEFORE: &str = " (it failed before the change as well)";

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
    let mut failures: Vec<Failure> =
        after.tampered.iter().take(3).map(|what| failure(FailureKind::Cheat, "", what)).collect();
    failures.extend(broken(before, after, run.end));
    failures.extend(failed(before, after, run.tier));
    failures.extend(before.into_iter().flat_map(|before| newly_told(before, after)));
    failures.extend(before.into_iter().flat_map(|before| missing(before, after)));
    failures.extend(after.forged.iter().take(1).map(|what| failure(FailureKind::Cheat, "", what)));
    if let Some(why) = &after.unreadable
        && failures.iter().all(|failure| failure.got.starts_with(MISSING))
    {
        return Verdict::NothingToCheck { why: format!("the results of `{}` are unreadable: {why}", run.command) };
    }
    let passed = after.count(|ended| *ended == Ended::Passed)
        + after.told.values().filter(|failed| failed.is_none()).count() as u32;
    if failures.is_empty() && passed == 0 {
        if nothing_before {
            return Verdict::NothingToCheck { why: format!("`{}` found no test to run", run.command) };
        }
        failures.push(failure(FailureKind::Crash, "", "no test ran"));
    }
    if failures.is_empty() && (!after.complete || *run.end != End::Exit(0)) {
        failures.push(failure(FailureKind::Cheat, "", &early_end(run.end)));
    }
    let mut flags = run.flags;
    if let Some(before) = before
        && !failures.is_empty()
        && failures.iter().all(|failure| failure.name.ends_with(FAILED_BEFORE))
    {
        let sum = mended(before, after);
        if let Some(walls) = all_by_walls(&failures, run.tier) {
            return Verdict::NothingToCheck { why: format!("{sum}: {walls}") };
        }
        flags.push(sum);
    }
    let held = failures.is_empty();
    if let Some(before) = before
        && let Some(why) = unproven(before, after, &failures)
    {
        return Verdict::NothingToCheck { why };
    }
    let count = failures.len() as u32;
    failures.truncate(FAILURES_MAX);
    let report = Report {
        command: run.command.to_owned(),
        passed,
        failed: count,
        failures,
        tier: run.tier,
        wall_ms: run.wall_ms,
        flags,
    };
    if held { Verdict::Passed(report) } else { Verdict::Failed(report) }
}

/// "mended 2, broke none, 3 fail as before": for a change after which something fails, and nothing that passed.
fn mended(before: &Evidence, after: &Evidence) -> String {
    let was = |id: &String| matches!(before.tests.get(id), Some(Ended::Failed { .. }) | None);
    let mended = after.tests.iter().filter(|(id, ended)| **ended == Ended::Passed && was(id)).count();
    let fail = after.count(|ended| matches!(ended, Ended::Failed { .. })) + after.unloaded.len() as u32;
    format!("mended {mended}, broke none, {fail} fail as before")
}

/// The walls that these failures speak of, where each speaks of one.
fn all_by_walls(failures: &[Failure], tier: Tier) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for failure in failures {
        let hindrance = hindrance::in_failure(&failure.got, failure.frame.as_deref(), tier)?;
        let text = format!("{} ({})", hindrance.wall.name(), hindrance.detail);
        if !found.iter().any(|known| known.starts_with(hindrance.wall.name())) {
            found.push(text);
        }
    }
    Some(found.join("; "))
}

/// How what did not run is told.
const MISSING: &str = "did not run; before the change it passed";

fn failure(kind: FailureKind, name: &str, got: &str) -> Failure {
    Failure { kind, name: name.to_owned(), got: got.to_owned(), expected: None, frame: None }
}

fn early_end(end: &End) -> String {
    match end {
        End::Exit(code) => format!("the test run ended with exit code {code} before it had reported its end"),
        other => format!("the test run ended with {other:?} before it had reported its end"),
    }
}

/// Why a change after which nothing new fails is not shown to be right: what failed before must pass, and not be gone.
fn unproven(before: &Evidence, after: &Evidence, failures: &[Failure]) -> Option<String> {
    if !failures.is_empty() {
        let nothing_ran = after.tests.is_empty() && failures.iter().all(|f| f.name.ends_with(FAILED_BEFORE));
        let first = failures.first().filter(|_| nothing_ran)?;
        let why = first.got.lines().last().unwrap_or("").trim();
        return Some(format!("no test could be loaded before the change, and none can be after it: {why}"));
    }
    if let Some((id, how)) = vanished(before, after) {
        return Some(format!("{id} failed before the change and now {how}: what failed must pass"));
    }
    // What is told of fails as it did, though the command ends with success.
    if let Some((name, text)) = after.said.failing().next() {
        let name = if text.contains(name) { text } else { name };
        let line = name.lines().next().unwrap_or(name);
        return Some(format!("the command ends with success, and its own output tells of a failure: {line}"));
    }
    let gone = after.said.not_told_again(&before.said)?;
    Some(format!(
        "the command ends with success, and its output no longer tells of `{gone}`, as it did before the change"
    ))
}

/// A test that failed before the change and now neither passed nor failed.
fn vanished(before: &Evidence, after: &Evidence) -> Option<(String, &'static str)> {
    let failed = before.tests.iter().filter(|(_, ended)| matches!(ended, Ended::Failed { .. }));
    let gone = failed.filter(|(id, _)| !is_no_test(id)).find_map(|(id, _)| match after.tests.get(id) {
        Some(Ended::Skipped) => Some((format!("`{id}`"), "was skipped")),
        // A suite that failed as a whole is told by its tests where it does not.
        None if !begins_others(id, after) => Some((format!("`{id}`"), "did not run")),
        _ => None,
    });
    gone.or_else(|| {
        let unloaded = before.unloaded.keys().find(|start| !after.tests.keys().any(|id| id.starts_with(*start)))?;
        let file = unloaded.trim_end_matches([':', '.', '>', ' ']);
        Some((format!("`{file}`"), "none of its tests ran"))
    })
}

/// What runners report in the place of tests that could not be started: gone once they can.
fn is_no_test(id: &str) -> bool {
    const HOOKS: [&str; 4] =
        ["\"before all\" hook", "\"before each\" hook", "\"after all\" hook", "\"after each\" hook"];
    const CLASSES: [&str; 4] = ["initializationError", "executionError", "classMethod", "_NOT_BUILT"];
    HOOKS.iter().any(|hook| id.contains(hook)) || id.ends_with('.') || CLASSES.iter().any(|name| id.ends_with(name))
}

fn begins_others(id: &str, after: &Evidence) -> bool {
    let starts = [format!("{id} > "), format!("{id}/"), format!("{id}::"), format!("{id} ")];
    after.tests.keys().any(|other| starts.iter().any(|start| other.starts_with(start)))
}

/// What a command's own lines say failed that did not fail before, though it ended with success.
fn newly_told(before: &Evidence, after: &Evidence) -> Vec<Failure> {
    let succeeded = after.tests.get(COMMAND) == Some(&Ended::Passed);
    let news =
        after.said.failing().filter(|(name, _)| succeeded && !matches!(before.said.each.get(*name), Some(Some(_))));
    news.map(|(name, text)| failure(FailureKind::WrongAnswer, name, text)).collect()
}

/// A limit that struck, files that cannot be loaded.
fn broken(before: Option<&Evidence>, after: &Evidence, end: &End) -> Vec<Failure> {
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
        failures.push(failure(kind, &name_of_broken(before, after, text), text));
    }
    failures
}

/// A file that could not be loaded before either, for the same reason, is marked as that.
fn name_of_broken(before: Option<&Evidence>, after: &Evidence, text: &str) -> String {
    let reason =
        |text: &str| text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
    let file = after.unloaded.iter().find(|(_, why)| *why == text).map(|(start, _)| start);
    let Some(file) = file else { return String::new() };
    let was = before.and_then(|before| before.unloaded.get(file));
    let same = was.is_some_and(|was| reason(was) == reason(text));
    if same { format!("{}{FAILED_BEFORE}", file.trim_end_matches([':', '.', '>', ' '])) } else { String::new() }
}

fn failed(before: Option<&Evidence>, after: &Evidence, tier: Tier) -> Vec<Failure> {
    let failed_before = |id: &str| matches!(before.and_then(|before| before.tests.get(id)), Some(Ended::Failed { .. }));
    // A wall that stands in the way is named by the command's last words, which then say it best.
    let walled = |text: &str| hindrance::in_failure(text, None, tier).is_some();
    let told_of = !after.told.is_empty()
        && !after.tests.values().any(|ended| matches!(ended, Ended::Failed { text, .. } if walled(text)));
    let told = after.told.iter().filter(|_| told_of).filter_map(|(name, failed)| {
        // Where nothing was told before, the tests did not come to run: what they say now is about the change.
        let before_told = before.map(|before| &before.told).filter(|told| !told.is_empty());
        let stood = before_told.is_some_and(|told| told.get(name) != Some(&None));
        let note = if failed_before(COMMAND) && stood { FAILED_BEFORE } else { "" };
        Some(failure(FailureKind::WrongAnswer, &format!("{name}{note}"), failed.as_deref()?))
    });
    let failures = after.tests.iter().filter_map(|(id, ended)| {
        let Ended::Failed { text, frame } = ended else { return None };
        // Its own lines say it better.
        if id == COMMAND && told_of {
            return None;
        }
        let asserted = ["AssertionError", "assertion", "--- FAIL", "ERR_ASSERTION", "expect("]
            .iter()
            .any(|word| text.contains(word));
        let kind = if asserted { FailureKind::WrongAnswer } else { FailureKind::Crash };
        let note = if failed_before(id) { FAILED_BEFORE } else { "" };
        let got = if text.is_empty() { "failed" } else { text };
        Some(Failure { frame: frame.clone(), ..failure(kind, &format!("{id}{note}"), got) })
    });
    failures.chain(told).collect()
}

/// Tests that passed before the change and now did not run.
fn missing(before: &Evidence, after: &Evidence) -> Vec<Failure> {
    let passed_before = before.tests.iter().filter(|(_, ended)| **ended == Ended::Passed);
    let gone = passed_before.filter_map(|(id, _)| match after.tests.get(id) {
        None => Some(failure(FailureKind::Crash, id, MISSING)),
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
    fn a_commands_own_lines_say_how_near_it_came_and_never_make_a_pass() {
        let told = |lines: &[(&str, Option<&str>)]| {
            let told = lines.iter().map(|(name, failed)| ((*name).to_owned(), failed.map(str::to_owned))).collect();
            Evidence { told, ..evidence(&[(COMMAND, fails())], true) }
        };
        let before = told(&[("list", None), ("search", Some("FAIL search")), ("find", Some("FAIL find"))]);
        let after = told(&[("list", None), ("search", None), ("find", Some("FAIL find: got []"))]);
        let run = || Run { command: "bash t.sh", end: &End::Exit(1), tier: Tier::F, wall_ms: 1, flags: vec![] };
        let verdict = decide(Some(&before), &after, run());
        let report = verdict.report().unwrap();
        assert_eq!((verdict.passed(), report.passed, report.failed), (false, 2, 1));
        assert_eq!(report.failures[0].got, "FAIL find: got []");
        assert!(report.failures[0].name.ends_with(FAILED_BEFORE), "{:?}", report.failures);
        let worse = told(&[("list", Some("FAIL list"))]);
        let verdict = decide(Some(&before), &worse, run());
        assert_eq!(verdict.report().unwrap().failures[0].name, "list", "it passed before");
        let unbuilt = evidence(&[(COMMAND, fails())], true);
        let verdict = decide(Some(&unbuilt), &worse, run());
        assert_eq!(verdict.report().unwrap().failures[0].name, "list", "it did not run before");
        let only_words = Evidence { told: after.told, ..evidence(&[(COMMAND, fails())], true) };
        assert!(!decide(Some(&before), &only_words, run()).passed());
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
    fn what_cannot_be_read_is_neither_failed_nor_cheating() {
        let unreadable = Evidence { unreadable: Some("dots".to_owned()), ..evidence(&[], true) };
        let verdict = verdict(&[("a", Ended::Passed)], &unreadable, &End::Exit(0));
        assert!(matches!(&verdict, Verdict::NothingToCheck { why } if why.contains("unreadable")), "{verdict:?}");
    }

    #[test]
    fn a_run_that_changes_its_tests_is_no_pass() {
        let changed =
            Evidence { tampered: vec!["tests/a.py changed".to_owned()], ..evidence(&[("a", Ended::Passed)], true) };
        assert_eq!(kinds(&verdict(&[("a", Ended::Passed)], &changed, &End::Exit(0))), [FailureKind::Cheat]);
    }

    #[test]
    fn what_fails_as_before_is_counted_and_the_walls_are_named() {
        let walled = Ended::Failed { text: "Error: listen EPERM 127.0.0.1".to_owned(), frame: None };
        let run = |before: &[(&str, Ended)], after: &[(&str, Ended)], tier| {
            let run = Run { command: "x", end: &End::Exit(1), tier, wall_ms: 1, flags: vec![] };
            decide(Some(&evidence(before, true)), &evidence(after, true), run)
        };
        let before = [("a", fails()), ("b", walled.clone())];
        let verdict = run(&before, &[("a", Ended::Passed), ("b", walled)], Tier::L);
        let Verdict::NothingToCheck { why } = &verdict else { panic!("{verdict:?}") };
        assert!(why.starts_with("mended 1, broke none, 1 fail as before: needs a port"), "{why}");
        let verdict = run(&[("a", fails()), ("b", fails())], &[("a", Ended::Passed), ("b", fails())], Tier::F);
        assert_eq!(verdict.report().unwrap().flags, ["mended 1, broke none, 1 fail as before"]);
    }

    #[test]
    fn what_failed_must_pass_and_not_be_gone() {
        let why = |before: &[(&str, Ended)], after: &[(&str, Ended)]| match verdict(
            before,
            &evidence(after, true),
            &End::Exit(0),
        ) {
            Verdict::NothingToCheck { why } => why,
            other => format!("{}", other.passed()),
        };
        let before = [("a", Ended::Passed), ("b", fails())];
        let skipped = why(&before, &[("a", Ended::Passed), ("b", Ended::Skipped)]);
        assert!(skipped.contains("`b` failed before the change and now was skipped"), "{skipped}");
        assert!(why(&before, &[("a", Ended::Passed)]).contains("did not run"));
        for (gone, instead) in [
            ("s \"before each\" hook for \"x\"", "s x"),
            ("s", "s > x"),
            ("p.A.initializationError", "p.A.x"),
            ("p.A.", "p.A.x"),
        ] {
            let after = [("a", Ended::Passed), (instead, Ended::Passed)];
            assert_eq!(why(&[("a", Ended::Passed), (gone, fails())], &after), "true", "{gone}");
        }
    }

    fn unloaded(tests: &[(&str, Ended)], file: &str, why: &str) -> Evidence {
        let mut evidence = evidence(tests, true);
        evidence.cannot_load(file.to_owned(), why.to_owned());
        evidence
    }

    #[test]
    fn a_file_that_cannot_be_loaded_as_before_is_told_as_that() {
        let run = || Run { command: "pytest", end: &End::Exit(1), tier: Tier::F, wall_ms: 1, flags: vec![] };
        let before = unloaded(&[("t.py::a", fails()), ("t.py::b", Ended::Passed)], "b.py::", "b.py: x\nE  no module y");
        let right = [("t.py::a", Ended::Passed), ("t.py::b", Ended::Passed)];
        let as_before = decide(Some(&before), &unloaded(&right, "b.py::", "b.py: z\nE  no module y"), run());
        let report = as_before.report().unwrap();
        assert_eq!(report.failures[0].name, format!("b.py{FAILED_BEFORE}"));
        assert_eq!(report.flags, ["mended 1, broke none, 1 fail as before"]);
        let anew = decide(Some(&before), &unloaded(&right, "b.py::", "b.py: SyntaxError"), run());
        assert_eq!((anew.report().unwrap().failures[0].name.as_str(), anew.passed()), ("", false));
        let none = unloaded(&[], "b.py::", "E  no module y");
        let verdict = decide(Some(&none), &none, run());
        assert!(matches!(&verdict, Verdict::NothingToCheck { why } if why.contains("no module y")), "{verdict:?}");
        let silent = decide(Some(&before), &evidence(&right, true), Run { end: &End::Exit(0), ..run() });
        assert!(
            matches!(&silent, Verdict::NothingToCheck { why } if why.contains("none of its tests ran")),
            "{silent:?}"
        );
    }

    #[test]
    fn a_success_whose_own_lines_tell_of_failures_is_none() {
        let said = |text: &str| Evidence {
            said: super::super::told::Said::of(text, ""),
            ..evidence(&[(COMMAND, Ended::Passed)], true)
        };
        let run = || Run { command: "make test", end: &End::Exit(0), tier: Tier::F, wall_ms: 1, flags: vec![] };
        let before = said("ok a\nFAIL b\n");
        assert!(decide(Some(&before), &said("ok a\nok b\n"), run()).passed());
        assert!(decide(Some(&said("ok a\n")), &said("ok a\nok b\n"), run()).passed());
        let as_before = decide(Some(&before), &said("ok a\nFAIL b\n"), run());
        assert!(matches!(&as_before, Verdict::NothingToCheck { why } if why.contains("FAIL b")), "{as_before:?}");
        let anew = decide(Some(&said("ok a\nok b\n")), &said("ok a\nFAIL b\n"), run());
        assert_eq!(kinds(&anew), [FailureKind::WrongAnswer]);
        let early = decide(Some(&said("ok a\nok b\n")), &said("ok a\n"), run());
        assert!(matches!(&early, Verdict::NothingToCheck { why } if why.contains("`b`")), "{early:?}");
        assert!(
            decide(Some(&said("FAIL b\nok a\n0 failed\n")), &said("FAIL b\nok a\n0 failed\n"), run()).passed(),
            "its sum"
        );
    }

    #[test]
    fn no_test_is_no_pass() {
        let none = evidence(&[], true);
        assert!(matches!(verdict(&[], &none, &End::Exit(0)), Verdict::NothingToCheck { .. }));
        assert!(matches!(verdict(&[("a", Ended::Passed)], &none, &End::Exit(0)), Verdict::Failed(_)));
    }
}
