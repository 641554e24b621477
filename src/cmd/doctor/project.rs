//! `z1 doctor --project`: runs the project's check once, unchanged, and says what of the walls is in its way.

use std::path::Path;

use super::Finding;
use crate::cancel::Cancel;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::task::Verdict;
use crate::verify::{self, VerifyOptions};

/// Failures that are told one by one.
const FAILURES_MAX: usize = 10;

/// Looks at the project at `root`, with this command or the one that its files show.
pub(super) fn look(root: &Path, command: Option<&str>) -> Vec<Finding> {
    let found = command.map(str::to_owned).or_else(|| verify::test_command(root));
    let Some(command) = found else {
        return vec![Finding::warning("project", "it has no known test command", "give one with --check")];
    };
    let mut findings = vec![Finding::ok("project", format!("{} is tested with `{command}`", root.display()))];
    let started = std::env::current_exe().map_err(|problem| problem.to_string()).and_then(|helper_exe| {
        Sandbox::start(SandboxOptions { tier: None, allow_unsandboxed: false, helper_exe })
            .map_err(|unavailable| unavailable.to_string())
    });
    let (sandbox, runtime) = match (started, tokio::runtime::Runtime::new()) {
        (Ok(sandbox), Ok(runtime)) => (sandbox, runtime),
        (Err(why), _) => {
            findings.push(Finding::broken("check", why, "see the line about the sandbox"));
            return findings;
        }
        (_, Err(problem)) => {
            findings.push(Finding::broken("check", problem.to_string(), "close other programs and try again"));
            return findings;
        }
    };
    let options = VerifyOptions { root: Some(root.to_owned()), ..VerifyOptions::default() };
    let cancel = Cancel::new();
    let (verdict, hindrance) = runtime.block_on(verify::standing(root, Some(&command), &sandbox, &options, &cancel));
    let tier = sandbox.tier();
    findings.push(match (&verdict, hindrance) {
        (_, Some(hindrance)) => Finding::warning("check", hindrance.to_string(), mend(&hindrance)),
        (Verdict::Passed(report), None) => {
            Finding::ok("check", format!("{} passed in tier {tier:?}, {} ms", report.passed, report.wall_ms))
        }
        (Verdict::Failed(report), None) => Finding::warning(
            "check",
            format!("{} passed, {} failed in tier {tier:?}; see below", report.passed, report.failed),
            "where these pass outside, the walls are in the way; the lines below say which",
        ),
        (Verdict::NothingToCheck { why }, None) => Finding::warning("check", why, "give a command with --check"),
        (Verdict::SandboxFailed { step, why }, None) => {
            Finding::broken("check", format!("the sandbox failed at {step}: {why}"), "see the line about the sandbox")
        }
    });
    let failures = verdict.report().map(|report| report.failures.as_slice()).unwrap_or_default();
    findings.extend(failures.iter().take(FAILURES_MAX).map(|failure| {
        let first = failure.got.lines().next().unwrap_or("").to_owned();
        match verify::wall_of(failure, tier) {
            Some(wall) => {
                Finding::warning("failure", format!("{}: {}: {first}", failure.name, wall.name()), "see SECURITY.md")
            }
            None => Finding::warning("failure", format!("{}: {first}", failure.name), "no wall is known to cause this"),
        }
    }));
    findings
}

fn mend(hindrance: &verify::Hindrance) -> String {
    match (hindrance.wall, hindrance.wall.setting()) {
        (_, Some(setting)) => format!("set {setting} in config.toml (`z1 config` says where that is)"),
        (verify::Wall::NotFound, _) => {
            "put its folder into PATH, or, for a module of Python's, install it in the project's \
                                        environment; the home itself is never shown"
                .to_owned()
        }
        (verify::Wall::Network, _) if hindrance.detail.contains("--offline") => {
            "run `cargo fetch` once; what it brings is read behind the walls".to_owned()
        }
        (verify::Wall::Port | verify::Wall::SharedMemory, _) => {
            "a stronger tier has it; `z1 doctor` says what would raise it".to_owned()
        }
        _ => "another command with --check that does not need it".to_owned(),
    }
}
