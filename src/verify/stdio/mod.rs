//! Programs that read stdin and write stdout: built and run in the sandbox, compared outside it. What a program
//! should print is never where it runs.

mod build;
mod compare;
mod recipe;

use std::time::Instant;

use crate::cancel::Cancel;
use crate::sandbox::{End, Limits, Outcome, Request, Sandbox, Stdin};
use crate::task::{Failure, FailureKind, Language, Report, StdioCase, Verdict};

use super::{VerifyOptions, feedback, j1};
pub(crate) use build::{Built, build};
pub(crate) use recipe::rust_tests;

/// After this many failed cases the rest is not run.
const FAILURES_MAX: usize = 3;
/// Longest output compared.
const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// The usual name of a program's file.
pub(crate) fn file_name(language: Language, source: &str) -> String {
    recipe::program(language, source).file
}

/// Runs a program on every case.
pub(crate) async fn judge(
    (language, source): (Language, &str),
    cases: &[StdioCase],
    hidden: bool,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    if cases.is_empty() {
        return Verdict::NothingToCheck { why: "there is no input and output to compare".to_owned() };
    }
    let start = Instant::now();
    let recipe = recipe::program(language, source);
    let built = match build((language, source), recipe, sandbox, options, cancel).await {
        Ok(built) => built,
        Err(verdict) => return verdict,
    };
    let mut report = Report {
        command: format!(
            "{} program on {} input{}",
            language.fence_tag(),
            cases.len(),
            if cases.len() == 1 { "" } else { "s" }
        ),
        passed: 0,
        failed: 0,
        failures: Vec::new(),
        tier: sandbox.tier(),
        wall_ms: 0,
        flags: Vec::new(),
    };
    for (index, case) in cases.iter().enumerate() {
        let outcome = run(&built, case.input.as_bytes(), sandbox, options, cancel).await;
        match check(index, case, hidden, &outcome, options.float_tolerance) {
            Ok(None) => report.passed += 1,
            Ok(Some(failure)) => {
                // A limit costs its whole length again for every further case.
                let costly = matches!(failure.kind, FailureKind::TimeLimit | FailureKind::MemoryLimit);
                report.failures.push(failure);
                report.failed += 1;
                if costly || report.failures.len() >= FAILURES_MAX {
                    let left = cases.len() - index - 1;
                    if left > 0 {
                        report.flags.push(format!("{left} further inputs were not run"));
                    }
                    break;
                }
            }
            Err(verdict) => return verdict,
        }
    }
    report.wall_ms = start.elapsed().as_millis() as u64;
    if report.failed == 0 { Verdict::Passed(report) } else { Verdict::Failed(report) }
}

/// Whether the program compiles, for languages that are compiled.
///
/// # Errors
/// The compiler's verdict, or why nothing could be built.
pub(crate) async fn built(
    language: Language,
    source: &str,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Result<(), Verdict> {
    let recipe = recipe::program(language, source);
    if recipe.compile.is_none() {
        return Err(super::nothing("it is not compiled before it runs"));
    }
    build((language, source), recipe, sandbox, options, cancel).await.map(|_| ())
}

/// Runs what was built once, with this on stdin.
pub(crate) async fn run(
    built: &Built,
    input: &[u8],
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Outcome {
    let limits = Limits { head_bytes: OUTPUT_BYTES_MAX, tail_bytes: 0, ..options.limits.clone() };
    let policy = built.setting.policy(built.files.clone(), limits, options.min_tier);
    let mut request = Request::new(built.argv.clone());
    request.stdin = Stdin::Bytes(input.to_vec());
    sandbox.run(&policy, request, cancel).await
}

/// `Ok(None)` where the case holds; an error is a verdict that ends the matter.
fn check(
    index: usize,
    case: &StdioCase,
    hidden: bool,
    outcome: &Outcome,
    tolerance: Option<f64>,
) -> Result<Option<Failure>, Verdict> {
    let (kind, got, expected) = match &outcome.end {
        End::SandboxError { step, message } => {
            return Err(Verdict::SandboxFailed { step: step.clone(), why: message.clone() });
        }
        End::Cancelled => return Err(super::cancelled()),
        End::Limit(limit) => {
            let (kind, text) = j1::of_limit(*limit, "");
            (kind, text, None)
        }
        End::Signal(signal) => (FailureKind::Crash, format!("killed by signal {signal}"), None),
        End::Exit(code) if *code != 0 => (FailureKind::Crash, crash(*code, outcome), None),
        End::Exit(_) => {
            let printed = String::from_utf8_lossy(&outcome.stdout.head).into_owned();
            if outcome.stdout.complete().is_some() && compare::same_output(&case.output, &printed, tolerance) {
                return Ok(None);
            }
            wrong(&case.output, &printed, hidden, tolerance)
        }
    };
    let name = if hidden { format!("hidden input {}", index + 1) } else { format!("stdin {}", shown(&case.input)) };
    let expected = expected.filter(|_| !hidden);
    Ok(Some(Failure { kind, name, got, expected, frame: None }))
}

fn wrong(want: &str, have: &str, hidden: bool, tolerance: Option<f64>) -> (FailureKind, String, Option<String>) {
    if have.trim().is_empty() {
        return (FailureKind::WrongAnswer, "printed nothing".to_owned(), Some(shown(want)));
    }
    if hidden {
        return (FailureKind::WrongAnswer, "a wrong answer".to_owned(), None);
    }
    if want.trim_end().lines().count() <= 1 && have.trim_end().lines().count() <= 1 {
        return (FailureKind::WrongAnswer, shown(have), Some(shown(want)));
    }
    match compare::first_difference(want, have, tolerance) {
        Some((line, want, have)) => {
            (FailureKind::WrongAnswer, format!("line {line}: {}", shown(have)), Some(shown(want)))
        }
        None => (FailureKind::WrongAnswer, shown(have), Some(shown(want))),
    }
}

/// The last line of a traceback says what, the exit code only that.
fn crash(code: i32, outcome: &Outcome) -> String {
    let text = feedback::clean(&outcome.stderr.text());
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(last) => format!("exit code {code}: {}", last.trim()),
        None => format!("exit code {code}"),
    }
}

fn shown(text: &str) -> String {
    let text = text.trim_end();
    let mut quoted: String = text.chars().take(160).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    format!("{quoted:?}")
}
