//! The execution filter: a trajectory stays only where the code it ends with passes the row's own tests, run
//! behind walls.
//!
//! Not for: rows without tests; those are counted apart, and the caller says whether they stay.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Record;
use crate::cancel::Cancel;
use crate::reply::{self, Wanted};
use crate::sandbox::Sandbox;
use crate::task::{Candidate, Check, Language, Trajectory, Verdict};
use crate::verify::{VerifyOptions, verify};

/// Why a record does not stay.
pub const NO_TESTS: &str = "has no tests to run";
pub const NO_CODE: &str = "has no code to run";
pub const FAILED: &str = "its code fails its tests";

/// Runs every record's code; for each, in order, `None` where it passed and otherwise why it does not stay.
///
/// # Errors
/// Walls that stood broke: then nothing is known of the rest.
pub async fn run(
    records: &[Record],
    sandbox: &Sandbox,
    cancel: &Cancel,
    mut progress: impl FnMut(usize),
) -> anyhow::Result<Vec<Option<&'static str>>> {
    let options = Arc::new(VerifyOptions::default());
    let mut found: Vec<Option<&'static str>> = vec![Some(NO_TESTS); records.len()];
    let mut running: JoinSet<(usize, Verdict)> = JoinSet::new();
    let side_by_side = (sandbox.parallel() as usize).max(1) * 2;
    let mut done = 0;
    let mut take = |(index, verdict): (usize, Verdict), found: &mut Vec<Option<&'static str>>| {
        done += 1;
        progress(done);
        found[index] = reason(verdict)?;
        anyhow::Ok(())
    };
    for (index, record) in records.iter().enumerate() {
        let Some(tests) = record.tests.clone() else { continue };
        let Some(candidate) = code(&record.response) else {
            found[index] = Some(NO_CODE);
            continue;
        };
        while running.len() >= side_by_side {
            take(running.join_next().await.expect("invariant: some are running")?, &mut found)?;
        }
        let (sandbox, options, cancel) = (sandbox.clone(), Arc::clone(&options), cancel.clone());
        running.spawn(async move {
            let checks = [Check::Asserts { source: tests, hidden: true }];
            (index, verify(&candidate, &checks, &sandbox, &options, &cancel).await)
        });
    }
    while let Some(ended) = running.join_next().await {
        take(ended?, &mut found)?;
    }
    Ok(found)
}

/// The Python program that a response ends with, found as the agent would find it.
fn code(response: &str) -> Option<Candidate> {
    let trajectory = Trajectory::ended(response);
    let wanted = Wanted { language: Some(Language::Python), ..Wanted::default() };
    reply::program(&trajectory, &wanted).ok()
}

fn reason(verdict: Verdict) -> anyhow::Result<Option<&'static str>> {
    match verdict {
        Verdict::Passed(_) => Ok(None),
        Verdict::Failed(_) => Ok(Some(FAILED)),
        Verdict::NothingToCheck { .. } => Ok(Some(NO_TESTS)),
        Verdict::SandboxFailed { step, why } => anyhow::bail!("the sandbox failed at {step}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_response_is_its_last_program() {
        let thought = "First try:\n```python\nx = 1\n```\nBetter:\n```python\ndef f():\n    return 2\n```";
        let Some(Candidate::Program { source, .. }) = code(thought) else { panic!("a program") };
        assert!(source.contains("return 2"), "{source}");
        assert!(code("The answer is 7.").is_none());
    }

    #[test]
    fn a_verdict_about_the_walls_is_no_verdict_about_the_row() {
        let broken = Verdict::SandboxFailed { step: "mount".to_owned(), why: "no".to_owned() };
        assert!(reason(broken).is_err());
        assert_eq!(reason(Verdict::NothingToCheck { why: String::new() }).unwrap(), Some(NO_TESTS));
    }
}
