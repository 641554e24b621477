//! The judges through their public interface.

mod corpus;
mod forms;
mod functions;
mod languages;
mod projects;
mod suites;
mod syntax;
mod together;
mod tools;

use z1::cancel::Cancel;
use z1::sandbox::Sandbox;
use z1::task::{Candidate, Check, Failure, Language, Tier, Verdict};
use z1::verify::VerifyOptions;

use crate::sandbox::{run_async, sandbox};

/// The strongest walls that this machine can build; `None`, said aloud, where it can build none.
pub(crate) fn walls() -> Option<Sandbox> {
    [Tier::F, Tier::L].into_iter().find_map(sandbox)
}

/// Patient limits: a busy machine may hold up for seconds what ends at once.
pub(crate) fn options() -> VerifyOptions {
    within(60)
}

/// Limits for what would run for ever.
pub(crate) fn within(seconds: u64) -> VerifyOptions {
    let wall = std::time::Duration::from_secs(seconds);
    let mut options = VerifyOptions { call_wall: wall / 2, ..VerifyOptions::default() };
    options.limits.wall = wall;
    options
}

pub(crate) fn judge(sandbox: &Sandbox, language: Language, source: &str, check: Check) -> Verdict {
    judge_with(sandbox, language, source, check, &options())
}

pub(crate) fn judge_with(
    sandbox: &Sandbox,
    language: Language,
    source: &str,
    check: Check,
    options: &VerifyOptions,
) -> Verdict {
    let candidate = Candidate::Program { language, source: source.to_owned() };
    run_async(z1::verify::verify(&candidate, &[check], sandbox, options, &Cancel::new()))
}

pub(crate) fn asserts(source: &str) -> Check {
    Check::Asserts { source: source.to_owned(), hidden: false }
}

pub(crate) fn failures(verdict: &Verdict) -> &[Failure] {
    verdict.report().map(|report| report.failures.as_slice()).unwrap_or_default()
}
