//! A stand-alone program beside a command of the user's: the program lies in an empty work directory under its
//! usual name (`main.py`, `main.rs`, …) and the command decides by its exit code.

use std::path::PathBuf;

use crate::cancel::Cancel;
use crate::sandbox::{End, Limits, Outcome, Request, Sandbox};
use crate::task::{Failure, FailureKind, Language, Report, Verdict};

use super::{VerifyOptions, feedback, j1, setting, stdio};

/// Lines of the command's last words that are kept.
const LINES_MAX: usize = 8;

pub(crate) async fn judge(
    (language, source): (Language, &str),
    command: &str,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    let mut setting = match setting::of(Language::Shell) {
        Ok(setting) => setting,
        Err(verdict) => return verdict,
    };
    // The command most likely wants the language's tool; where there is none it will say so itself.
    if let Ok(tool) = setting::of(language) {
        setting.ro.extend(tool.ro);
    }
    let file = setting::file(stdio::file_name(language, source), source.as_bytes());
    let limits =
        Limits { wall: options.limits.wall.max(options.project_limits.wall), ..options.project_limits.clone() };
    let policy = setting.policy(vec![file], limits, options.min_tier);
    let outcome = sandbox.run(&policy, Request::new(["sh", "-c", command]), cancel).await;
    verdict(command, &outcome)
}

fn verdict(command: &str, outcome: &Outcome) -> Verdict {
    let failure = match &outcome.end {
        End::SandboxError { step, message } => {
            return Verdict::SandboxFailed { step: step.clone(), why: message.clone() };
        }
        End::Cancelled => return super::cancelled(),
        End::Exit(0) => None,
        End::Limit(limit) => Some(j1::of_limit(*limit, "")),
        End::Exit(code) => Some((FailureKind::Crash, format!("exit code {code}\n{}", last_words(outcome)))),
        End::Signal(signal) => Some((FailureKind::Crash, format!("killed by signal {signal}"))),
    };
    let held = failure.is_none();
    let failures: Vec<Failure> = failure
        .into_iter()
        .map(|(kind, got)| Failure { kind, name: command.to_owned(), got, expected: None, frame: None })
        .collect();
    let report = Report {
        command: command.to_owned(),
        passed: u32::from(held),
        failed: u32::from(!held),
        failures,
        tier: outcome.isolation.tier,
        wall_ms: outcome.wall.as_millis() as u64,
        flags: vec!["only the command's exit code was looked at".to_owned()],
    };
    if held { Verdict::Passed(report) } else { Verdict::Failed(report) }
}

fn last_words(outcome: &Outcome) -> String {
    let told = [outcome.stderr.text(), outcome.stdout.text()];
    let told = told.iter().find(|text| !text.trim().is_empty()).map_or("", String::as_str);
    let text = feedback::clean(told);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

/// The file that the command finds the program in, for telling it to a model or a user.
pub fn program_file(language: Language, source: &str) -> PathBuf {
    PathBuf::from(stdio::file_name(language, source))
}
