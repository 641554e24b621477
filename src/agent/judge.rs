//! The seam to verification: the loop asks a judge and does not know the walls.
//!
//! Not for: judging; `verify` does that behind the sandbox's walls.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use crate::cancel::Cancel;
use crate::sandbox::{End, Limits, Request, Sandbox};
use crate::task::{Candidate, Check, Tier, Verdict};
use crate::verify::{self, Input, Observation, VerifyOptions};

/// A boxed future, so that judges can stand behind one pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whoever can say whether a candidate holds.
pub trait Judge: Send + Sync {
    /// Runs the checks against the candidate. Must not fail: what could not be run is a verdict.
    fn verify<'a>(
        &'a self,
        candidate: &'a Candidate,
        checks: &'a [Check],
        options: &'a VerifyOptions,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Verdict>;

    /// What a function of the candidate answers on these inputs; `None` where it cannot be run.
    fn behaviour<'a>(
        &'a self,
        candidate: &'a Candidate,
        entry: &'a str,
        inputs: &'a [Input],
        options: &'a VerifyOptions,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Option<Vec<Observation>>> {
        let _ = (candidate, entry, inputs, options, cancel);
        Box::pin(std::future::ready(None))
    }

    /// Whether a program that nothing can be checked against runs at all: parsed, imported or compiled, called on
    /// generated inputs. A crash is a failure; nothing else is known of it.
    fn smoke<'a>(
        &'a self,
        candidate: &'a Candidate,
        options: &'a VerifyOptions,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Verdict> {
        let _ = (candidate, options, cancel);
        let why = "the task states no tests".to_owned();
        Box::pin(std::future::ready(Verdict::NothingToCheck { why }))
    }

    /// Runs a shell command in a throw-away copy of a project: nothing that it changes is kept.
    ///
    /// # Errors
    /// Why it could not be run.
    fn shell<'a>(
        &'a self,
        root: &'a Path,
        command: &'a str,
        min_tier: Tier,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<Shell, String>> {
        let _ = (root, command, min_tier, cancel);
        Box::pin(std::future::ready(Err("nothing can be run here".to_owned())))
    }

    /// The walls themselves, for programs that are no trials; `None` where there are none.
    fn sandbox(&self) -> Option<Sandbox> {
        None
    }

    /// The walls that trials run behind; `None` where nothing can be run.
    fn tier(&self) -> Option<Tier>;
}

/// What a shell command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    /// stdout, then stderr.
    pub output: String,
    pub exit: Option<i32>,
    /// How it ended, where it did not exit by itself.
    pub ended: Option<String>,
    pub tier: Tier,
    pub wall_ms: u64,
}

/// A look around takes no longer than this.
const SHELL_WALL: Duration = Duration::from_secs(30);

/// Stands where nothing can be run, and says why.
#[derive(Clone, Debug)]
pub struct NoJudge {
    pub why: String,
}

impl Judge for NoJudge {
    fn verify<'a>(
        &'a self,
        _candidate: &'a Candidate,
        _checks: &'a [Check],
        _options: &'a VerifyOptions,
        _cancel: &'a Cancel,
    ) -> BoxFuture<'a, Verdict> {
        let why = self.why.clone();
        Box::pin(async move { Verdict::SandboxFailed { step: "start".to_owned(), why } })
    }

    fn tier(&self) -> Option<Tier> {
        None
    }
}

/// The real judge: `verify`, behind the sandbox's walls.
#[derive(Clone, Debug)]
pub struct Walls {
    pub sandbox: Sandbox,
}

impl Judge for Walls {
    fn verify<'a>(
        &'a self,
        candidate: &'a Candidate,
        checks: &'a [Check],
        options: &'a VerifyOptions,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Verdict> {
        Box::pin(verify::verify(candidate, checks, &self.sandbox, options, cancel))
    }

    fn behaviour<'a>(
        &'a self,
        candidate: &'a Candidate,
        entry: &'a str,
        inputs: &'a [Input],
        options: &'a VerifyOptions,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Option<Vec<Observation>>> {
        Box::pin(async move { verify::behaviour(candidate, entry, inputs, &self.sandbox, options, cancel).await.ok() })
    }

    fn smoke<'a>(
        &'a self,
        candidate: &'a Candidate,
        options: &'a VerifyOptions,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Verdict> {
        Box::pin(verify::smoke(candidate, &self.sandbox, options, cancel))
    }

    fn shell<'a>(
        &'a self,
        root: &'a Path,
        command: &'a str,
        min_tier: Tier,
        cancel: &'a Cancel,
    ) -> BoxFuture<'a, Result<Shell, String>> {
        Box::pin(async move {
            let limits = Limits { wall: SHELL_WALL, ..Limits::project() };
            let mut policy = verify::project_policy(root, limits, self.sandbox.tier());
            policy.min_tier = min_tier;
            let ran = self.sandbox.run(&policy, Request::new(["sh", "-c", command]), cancel).await;
            let ended = match &ran.end {
                End::SandboxError { step, message } => return Err(format!("the sandbox failed at {step}: {message}")),
                End::Exit(_) => None,
                End::Signal(signal) => Some(format!("killed by signal {signal}")),
                End::Limit(limit) => Some(format!("ended by the {limit:?} limit")),
                End::Cancelled => Some("cancelled".to_owned()),
            };
            let exit = if let End::Exit(code) = ran.end { Some(code) } else { None };
            let (stdout, stderr) = (ran.stdout.text(), ran.stderr.text());
            let gap = if stdout.is_empty() || stdout.ends_with('\n') { "" } else { "\n" };
            let work_dir = ran.work_dir.to_string_lossy().into_owned();
            let output = format!("{stdout}{gap}{stderr}").replace(&format!("{work_dir}/"), "").replace(&work_dir, ".");
            Ok(Shell { output, exit, ended, tier: ran.isolation.tier, wall_ms: ran.wall.as_millis() as u64 })
        })
    }

    fn sandbox(&self) -> Option<Sandbox> {
        Some(self.sandbox.clone())
    }

    fn tier(&self) -> Option<Tier> {
        Some(self.sandbox.tier())
    }
}
