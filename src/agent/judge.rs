//! The seam to verification: the loop asks a judge and does not know the walls.
//!
//! Not for: judging; `verify` does that behind the sandbox's walls.

use std::future::Future;
use std::pin::Pin;

use crate::cancel::Cancel;
use crate::sandbox::Sandbox;
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

    /// The walls that trials run behind; `None` where nothing can be run.
    fn tier(&self) -> Option<Tier>;
}

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

    fn tier(&self) -> Option<Tier> {
        Some(self.sandbox.tier())
    }
}
