//! Turns what the judge reported, and how the two processes ended, into a verdict. Pure.

use crate::sandbox::{End, LimitKind};
use crate::task::{Failure, FailureKind, Report, Tier, Verdict};

use super::relay::{Event, Fail, Gone, Transcript};

/// Failures kept in a report.
const FAILURES_MAX: usize = 20;

/// What is known besides the transcript.
#[derive(Clone, Debug)]
pub(crate) struct Circumstances<'a> {
    /// What was run, in words.
    pub(crate) command: String,
    /// How the worker's process ended.
    pub(crate) worker: &'a End,
    /// How the judge's process ended, and the end of what it wrote to stderr.
    pub(crate) judge: &'a End,
    pub(crate) judge_stderr: String,
    pub(crate) tier: Tier,
    pub(crate) wall_ms: u64,
    /// The name under which frames of the candidate are shown.
    pub(crate) file: &'static str,
    pub(crate) hidden: bool,
}

/// The verdict on one set of tests.
pub(crate) fn verdict(transcript: &Transcript, around: &Circumstances<'_>) -> Verdict {
    for (who, end) in [("the judge", around.judge), ("the program", around.worker)] {
        if let End::SandboxError { step, message } = end {
            return Verdict::SandboxFailed { step: step.clone(), why: format!("{who}: {message}") };
        }
    }
    let mut failures = failures(transcript, around);
    let (passed, calls) = match transcript.events.last() {
        Some(Event::Unfit { why }) => return Verdict::NothingToCheck { why: why.clone() },
        Some(Event::Done { passed, failed, calls }) if *failed as usize == failures.len() => (*passed, *calls),
        _ => {
            failures.push(unfinished(transcript, around));
            (passed_so_far(transcript), 1)
        }
    };
    if failures.is_empty() && calls == 0 {
        return Verdict::NothingToCheck { why: "the tests never call the program".to_owned() };
    }
    if failures.is_empty() && passed == 0 {
        return Verdict::NothingToCheck { why: "the tests assert nothing".to_owned() };
    }
    let held = failures.is_empty();
    let failed = failures.len() as u32;
    failures.truncate(FAILURES_MAX);
    let report = Report {
        command: around.command.clone(),
        passed,
        failed,
        failures,
        tier: around.tier,
        wall_ms: around.wall_ms,
        flags: Vec::new(),
    };
    if held { Verdict::Passed(report) } else { Verdict::Failed(report) }
}

fn passed_so_far(transcript: &Transcript) -> u32 {
    let passed = |event: &Event| match event {
        Event::Fail(fail) => Some(fail.passed),
        Event::Done { passed, .. } => Some(*passed),
        Event::Unfit { .. } => None,
    };
    transcript.events.iter().filter_map(passed).max().unwrap_or(0)
}

fn failures(transcript: &Transcript, around: &Circumstances<'_>) -> Vec<Failure> {
    let fails = transcript.events.iter().filter_map(|event| match event {
        Event::Fail(fail) => Some(fail),
        Event::Done { .. } | Event::Unfit { .. } => None,
    });
    fails.enumerate().map(|(index, fail)| failure(index, fail, transcript, around)).collect()
}

fn failure(index: usize, fail: &Fail, transcript: &Transcript, around: &Circumstances<'_>) -> Failure {
    let (kind, got) = match fail.kind.as_str() {
        "syntax" => (FailureKind::Syntax, fail.got.clone()),
        "crash" => (FailureKind::Crash, fail.got.clone()),
        "cheat" => (FailureKind::Cheat, fail.got.clone()),
        "gone" => lost(transcript.gone, around.worker, fail.call.as_deref().filter(|_| !around.hidden)),
        _ => (FailureKind::WrongAnswer, fail.got.clone()),
    };
    let frame = fail.frame.as_ref().map(|(line, _, text)| {
        let line = line.as_str().map_or_else(|| line.to_string(), str::to_owned);
        format!("{}:{line}  {}", around.file, text.trim()).trim_end().to_owned()
    });
    if !around.hidden {
        return Failure { kind, name: fail.name.clone(), got, expected: fail.expected.clone(), frame };
    }
    let got = if kind == FailureKind::WrongAnswer { "a wrong answer".to_owned() } else { got };
    let name = if fail.name.is_empty() { String::new() } else { format!("hidden test {}", index + 1) };
    Failure { kind, name, got, expected: None, frame }
}

/// What to say of a worker that no longer answers.
fn lost(gone: Option<Gone>, end: &End, call: Option<&str>) -> (FailureKind, String) {
    let during = call.filter(|call| !call.is_empty()).map_or(String::new(), |call| format!(" during {call}"));
    if let End::Limit(limit) = end {
        return of_limit(*limit, &during);
    }
    match (gone, end) {
        (Some(Gone::Time), _) => (FailureKind::TimeLimit, format!("no answer within the time limit{during}")),
        (Some(Gone::Oversize), _) => (FailureKind::OutputLimit, format!("an answer beyond the size limit{during}")),
        (Some(Gone::Protocol), _) => {
            (FailureKind::Cheat, format!("the program interfered with the channel to the judge{during}"))
        }
        (_, End::Exit(0)) => (FailureKind::Cheat, format!("the program ended its own process with success{during}")),
        (_, End::Exit(code)) => (FailureKind::Crash, format!("the program ended with exit code {code}{during}")),
        (_, End::Signal(signal)) => (FailureKind::Crash, format!("the program was killed by signal {signal}{during}")),
        _ => (FailureKind::Crash, format!("the program stopped answering{during}")),
    }
}

/// A limit, as a kind and a sentence.
pub(crate) fn of_limit(limit: LimitKind, during: &str) -> (FailureKind, String) {
    match limit {
        LimitKind::Wall => (FailureKind::TimeLimit, format!("stopped by the time limit{during}")),
        LimitKind::Cpu => (FailureKind::TimeLimit, format!("stopped by the processor time limit{during}")),
        LimitKind::Memory => (FailureKind::MemoryLimit, format!("stopped by the memory limit{during}")),
        LimitKind::Output => (FailureKind::OutputLimit, format!("stopped because it printed too much{during}")),
        LimitKind::Disk => (FailureKind::OutputLimit, format!("stopped because it wrote too much to disk{during}")),
    }
}

/// The judge did not come to its end: the time is over, or the program's answers broke it.
fn unfinished(transcript: &Transcript, around: &Circumstances<'_>) -> Failure {
    let (kind, got) = match (around.worker, around.judge) {
        (End::Limit(limit), _) => of_limit(*limit, ""),
        _ if transcript.out_of_time => {
            (FailureKind::TimeLimit, "the tests did not end within the time limit".to_owned())
        }
        (_, End::Limit(limit)) => {
            let (kind, text) = of_limit(*limit, "");
            (kind, format!("the program's answers were too much for the tests: {text}"))
        }
        (_, end) => {
            let last = around.judge_stderr.trim().lines().last().unwrap_or("").to_owned();
            (FailureKind::Crash, format!("the tests did not run to their end ({end:?}) {last}").trim_end().to_owned())
        }
    };
    Failure { kind, name: String::new(), got, expected: None, frame: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around<'a>(worker: &'a End, judge: &'a End, hidden: bool) -> Circumstances<'a> {
        Circumstances {
            command: "asserts".to_owned(),
            worker,
            judge,
            judge_stderr: String::new(),
            tier: Tier::F,
            wall_ms: 1,
            file: "candidate.py",
            hidden,
        }
    }

    fn fail(kind: &str) -> Event {
        Event::Fail(Fail {
            kind: kind.to_owned(),
            name: "assert f(1) == 2".to_owned(),
            got: "3".to_owned(),
            expected: Some("2".to_owned()),
            call: Some("f(1)".to_owned()),
            frame: None,
            passed: 4,
        })
    }

    fn done(passed: u32, failed: u32, calls: u32) -> Event {
        Event::Done { passed, failed, calls }
    }

    fn judge_of(events: Vec<Event>, worker: &End, hidden: bool) -> Verdict {
        let transcript = Transcript { events, gone: Some(Gone::Exit), out_of_time: false };
        verdict(&transcript, &around(worker, &End::Exit(0), hidden))
    }

    #[test]
    fn a_pass_needs_the_end_a_call_and_something_that_held() {
        assert!(judge_of(vec![done(3, 0, 3)], &End::Exit(0), false).passed());
        assert!(matches!(judge_of(vec![done(3, 0, 0)], &End::Exit(0), false), Verdict::NothingToCheck { .. }));
        assert!(matches!(judge_of(vec![done(0, 0, 3)], &End::Exit(0), false), Verdict::NothingToCheck { .. }));
        assert!(matches!(judge_of(vec![], &End::Exit(0), false), Verdict::Failed(_)));
        // A count that does not agree with what was reported is not believed.
        assert!(matches!(judge_of(vec![fail("wrong"), done(3, 0, 3)], &End::Exit(0), false), Verdict::Failed(_)));
    }

    #[test]
    fn hidden_tests_tell_neither_the_assertion_nor_the_values() {
        let verdict = judge_of(vec![fail("wrong"), done(4, 1, 5)], &End::Exit(0), true);
        let failure = &verdict.report().expect("a failed verdict has a report").failures[0];
        assert_eq!((failure.name.as_str(), failure.got.as_str()), ("hidden test 1", "a wrong answer"));
        assert_eq!(failure.expected, None);
    }

    #[test]
    fn a_program_that_leaves_with_success_is_named_for_it() {
        for (end, kind) in [
            (End::Exit(0), FailureKind::Cheat),
            (End::Exit(1), FailureKind::Crash),
            (End::Signal(11), FailureKind::Crash),
            (End::Limit(LimitKind::Memory), FailureKind::MemoryLimit),
        ] {
            let verdict = judge_of(vec![fail("gone"), done(0, 1, 1)], &end, false);
            assert_eq!(verdict.report().expect("a failed verdict has a report").failures[0].kind, kind);
        }
    }

    #[test]
    fn broken_walls_are_nobodys_failure() {
        let end = End::SandboxError { step: "mount".to_owned(), message: "EPERM".to_owned() };
        assert!(matches!(judge_of(vec![done(1, 0, 1)], &end, false), Verdict::SandboxFailed { .. }));
    }
}
