//! J2: a project's own tests, which share a process with the code that they test.
//!
//! Tests and the runners' settings are judged as they stand in the project, whatever a change says of them; a pass
//! needs positive evidence for every test that passed before the change; what is printed is never evidence where a
//! private channel or a report file can be had. What remains possible to a program that aims at this very judge is
//! looked for in the change's text and said in the verdict's flags.

mod decide;
mod evidence;
mod protect;
mod python;
mod runner;
mod scan;
mod snapshot;
mod trial;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cancel::Cancel;
use crate::sandbox::{End, Sandbox};
use crate::task::{Edit, Verdict};

use super::VerifyOptions;
use decide::{Run, decide};
use snapshot::Overlay;
use trial::trial;

/// The command that this project is tested with, as a user would type it; `None` where none is found.
pub fn test_command(root: &Path) -> Option<String> {
    runner::detect(root).map(|runner| runner.command)
}

/// Whether a file (relative path, with `/`) is a test or steers how tests run. A change of such a file is never what
/// makes a change verified: the file is judged as it stands in the project.
pub fn decides_about_tests(path: &str) -> bool {
    protect::decides(path)
}

/// Runs a project's tests with a change laid over it. Nothing is written to the project. Without a `command` the
/// runner is found by the project's files.
pub async fn project(
    root: &Path,
    edits: &[Edit],
    command: Option<&str>,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    let start = Instant::now();
    let root: PathBuf = match root.canonicalize() {
        Ok(root) => root,
        Err(error) => return super::nothing(&format!("cannot open {}: {error}", root.display())),
    };
    let found = command.map(|command| runner::from_command(command, &root)).or_else(|| runner::detect(&root));
    let Some(runner) = found else {
        return super::nothing("no test command was found in the project (give one with --check)");
    };
    let overlay = match Overlay::of(&root, edits) {
        Ok(overlay) => overlay,
        Err(why) => return super::nothing(&why),
    };
    let before = match snapshot::baseline(&root, &runner, sandbox, options, cancel).await {
        Ok(before) => before,
        Err(verdict) => return verdict,
    };
    if overlay.is_empty() {
        return finish(None, &before, &runner.command, &overlay, sandbox, start);
    }
    let after = match trial(&root, &overlay, &runner, sandbox, options, cancel).await {
        Ok(after) => after,
        Err(verdict) => return verdict,
    };
    finish(Some(&before.evidence), &after, &runner.command, &overlay, sandbox, start)
}

fn finish(
    before: Option<&evidence::Evidence>,
    after: &trial::Ran,
    command: &str,
    overlay: &Overlay,
    sandbox: &Sandbox,
    start: Instant,
) -> Verdict {
    if let End::SandboxError { step, message } = &after.end {
        return Verdict::SandboxFailed { step: step.clone(), why: message.clone() };
    }
    let mut flags = overlay.flags.clone();
    if after.only_exit_code {
        flags.push("only the command's exit code was looked at".to_owned());
    }
    let wall_ms = start.elapsed().as_millis() as u64;
    decide(before, &after.evidence, Run { command, end: &after.end, tier: sandbox.tier(), wall_ms, flags })
}
