//! J2: a project's own tests, which share a process with the code that they test.
//!
//! A change is judged with the tests and the runners' settings as they stand in the project; where it changes those as
//! well, it is also judged as it is, and the verdict says which of the two held. A pass needs positive evidence for
//! every test that passed before the change; what is printed is never evidence where a private channel or a report file
//! can be had; a run that changes what decides about it is no pass. What the walls themselves keep from working is
//! recognised before any change ([`Hindrance`]). What remains possible to a program that aims at this very judge is
//! looked for in the change's text: a strong sign leaves the change unverified.

mod cargo;
mod decide;
mod detect;
mod evidence;
mod hindrance;
mod leaving;
mod named;
mod own_paths;
mod packages;
mod protect;
mod recipes;
mod reports;
mod runner;
mod scan;
mod settings;
mod signs;
mod snapshot;
mod told;
mod trial;
mod warnings;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cancel::Cancel;
use crate::sandbox::{End, Sandbox};
use crate::task::{Edit, Failure, Report, Verdict};

use super::{VerifyOptions, syntax};
use decide::{Run, decide};
pub use hindrance::{Hindrance, Wall};
use snapshot::Overlay;
use trial::{Ran, Stage, trial};
pub use warnings::is_doubt;

/// The command that this project is tested with, as a user would type it at its root; `None` where none is found. Where
/// this process was started in a folder within the project, the nearest one that says how it is tested decides.
pub fn test_command(root: &Path) -> Option<String> {
    let root = root.canonicalize().ok()?;
    let here = std::env::current_dir().ok().filter(|here| here.starts_with(&root));
    detect::detect(&root, here.as_deref().unwrap_or(&root))
}

/// Whether a file (relative path, with `/`) is a test or steers how tests run. A change of such a file is never what
/// makes a change verified: it is judged as it stands in the project as well.
pub fn decides_about_tests(path: &str) -> bool {
    protect::decides(path)
}

/// The wall that a failure's words and place speak of, where they speak of one.
pub fn wall_of(failure: &Failure, tier: crate::task::Tier) -> Option<Wall> {
    hindrance::in_failure(&failure.got, failure.frame.as_deref(), tier).map(|found| found.wall)
}

/// Whether the verdict is that of a change which passes the tests that it brings, and not those that were there.
pub fn passes_only_its_own_tests(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::NothingToCheck { why } if why.starts_with(OWN_TESTS_ONLY))
}

const OWN_TESTS_ONLY: &str = "it passes with its own tests";

/// What the check comes to without any change, and what of the walls is in its way, where something is.
pub async fn standing(
    root: &Path,
    command: Option<&str>,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> (Verdict, Option<Hindrance>) {
    match Judging::begin(root, command, sandbox, options, cancel).await {
        Err(verdict) => (verdict, None),
        Ok(judging) => {
            let hindrance = judging.before.hindrance.clone();
            (judging.untouched(), hindrance)
        }
    }
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
    let judging = match Judging::begin(root, command, sandbox, options, cancel).await {
        Ok(judging) => judging,
        Err(verdict) => return verdict,
    };
    let overlay = match Overlay::of(&judging.root, edits, &judging.standing.run) {
        Ok(overlay) => overlay,
        Err(why) => return super::nothing(&why),
    };
    if overlay.as_is.is_empty() {
        return judging.untouched();
    }
    let verdict = if judging.before.hindrance.is_some() {
        judging.untouched()
    } else {
        match judging.change(&overlay).await {
            Ok(verdict) | Err(verdict) => suspected(verdict, &overlay, judging.before.exit_codes),
        }
    };
    syntax::judged(root, &overlay.suspects, verdict, sandbox, options, cancel).await
}

/// A change that nothing is run against: whether its files parse, as the languages' own tools say.
pub(super) async fn unchecked(
    root: &Path,
    edits: &[Edit],
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    let unchecked = super::nothing("there is nothing to check it against");
    match Overlay::of(root, edits, &BTreeSet::new()) {
        Ok(overlay) => syntax::judged(root, &overlay.suspects, unchecked, sandbox, options, cancel).await,
        Err(why) => super::nothing(&why),
    }
}

/// A pass of a change with a strong sign of tampering is none.
fn suspected(verdict: Verdict, overlay: &Overlay, by_exit_codes: bool) -> Verdict {
    match verdict {
        // What decides was judged beside itself: nothing else changes that could be.
        Verdict::Passed(report) if overlay.stood.is_empty() && overlay.holds_run => Verdict::NothingToCheck {
            why: format!(
                "only what the check itself runs changes ({}); {} passed",
                overlay.held_back.join(", "),
                report.passed
            ),
        },
        Verdict::Passed(report) if !overlay.strong.is_empty() || (by_exit_codes && !overlay.leaving.is_empty()) => {
            let leaving = overlay.leaving.iter().filter(|_| by_exit_codes);
            let signs = overlay.strong.iter().chain(leaving).cloned().collect::<Vec<_>>().join("; ");
            Verdict::NothingToCheck { why: format!("{} passed, but look at this: {signs}", report.passed) }
        }
        Verdict::Failed(mut report) => {
            report.flags.extend(overlay.strong.iter().cloned());
            Verdict::Failed(report)
        }
        other => other,
    }
}

/// A check that is under way: the project, its runner, and what its tests say as it stands.
struct Judging<'a> {
    root: PathBuf,
    runner: runner::Runner,
    standing: snapshot::Standing,
    before: Ran,
    sandbox: &'a Sandbox,
    options: &'a VerifyOptions,
    cancel: &'a Cancel,
    start: Instant,
}

impl<'a> Judging<'a> {
    async fn begin(
        root: &Path,
        command: Option<&str>,
        sandbox: &'a Sandbox,
        options: &'a VerifyOptions,
        cancel: &'a Cancel,
    ) -> Result<Self, Verdict> {
        let start = Instant::now();
        let root =
            root.canonicalize().map_err(|error| super::nothing(&format!("cannot open {}: {error}", root.display())))?;
        let command = command.map(str::to_owned).or_else(|| test_command(&root));
        let command = command
            .ok_or_else(|| super::nothing("no test command was found in the project (give one with --check)"))?;
        let runner = runner::from_command(&command, &|folder| detect::test_script(&root.join(folder)));
        let standing = snapshot::standing(&root, &command).await;
        let stage = Stage { root: &root, runner: &runner, standing: &standing, sandbox, options, cancel };
        let before = snapshot::baseline(&stage).await?;
        Ok(Self { root, runner, standing, before, sandbox, options, cancel, start })
    }

    fn stage(&self) -> Stage<'_> {
        Stage {
            root: &self.root,
            runner: &self.runner,
            standing: &self.standing,
            sandbox: self.sandbox,
            options: self.options,
            cancel: self.cancel,
        }
    }

    /// What the check says of the project as it stands.
    fn untouched(&self) -> Verdict {
        match &self.before.hindrance {
            Some(hindrance) => Verdict::NothingToCheck { why: hindrance.to_string() },
            None => self.decide(false, &self.before, Vec::new()),
        }
    }

    async fn change(&self, overlay: &Overlay) -> Result<Verdict, Verdict> {
        let stage = self.stage();
        let stood = if overlay.stood.is_empty() {
            self.decide(false, &self.before, overlay.flags.clone())
        } else {
            let after = trial(&stage, &overlay.stood, Some(&self.before)).await?;
            let mut flags = overlay.flags.clone();
            let written = overlay.stood.writes.iter().map(|(path, _)| path.as_path());
            flags.extend(warnings::news(&after.warnings, &self.before.warnings, &written));
            self.decide(true, &after, flags)
        };
        if overlay.held_back.is_empty() || matches!(stood, Verdict::SandboxFailed { .. }) || self.cancel.is_cancelled()
        {
            return Ok(stood);
        }
        let after = trial(&stage, &overlay.as_is, Some(&self.before)).await?;
        Ok(of_both(stood, self.decide(false, &after, overlay.flags.clone()), &overlay.held_back.join(", ")))
    }

    fn decide(&self, against_before: bool, ran: &Ran, mut flags: Vec<String>) -> Verdict {
        if let End::SandboxError { step, message } = &ran.end {
            return Verdict::SandboxFailed { step: step.clone(), why: message.clone() };
        }
        if ran.only_exit_code {
            flags.push("only the command's exit code was looked at".to_owned());
        }
        flags.extend(ran.notes.iter().cloned());
        let wall_ms = self.start.elapsed().as_millis() as u64;
        let before = against_before.then_some(&self.before.evidence);
        let run = Run { command: &self.runner.command, end: &ran.end, tier: self.sandbox.tier(), wall_ms, flags };
        decide(before, &ran.evidence, run)
    }
}

/// The verdict of a change that touches what decides (`held`): with that as it stands in the project, and as it is.
fn of_both(stood: Verdict, as_is: Verdict, held: &str) -> Verdict {
    let told = |report: &Report| {
        report.failures.first().map_or(String::new(), |first| format!(", among them {} ({})", first.name, first.got))
    };
    match (stood, as_is) {
        (Verdict::Passed(mut report), Verdict::Passed(own)) => {
            let passed = own.passed;
            report.flags.push(format!(
                "{held} decides about the tests; it passes with it as it stands and as changed ({passed} passed)"
            ));
            Verdict::Passed(report)
        }
        (Verdict::Passed(_) | Verdict::NothingToCheck { .. }, Verdict::Failed(mut own)) => {
            own.flags.push(format!("{held} decides about the tests; it fails with its own version"));
            Verdict::Failed(own)
        }
        (Verdict::Failed(report), Verdict::Passed(own)) => Verdict::NothingToCheck {
            why: format!(
                "{OWN_TESTS_ONLY} ({} passed), not with yours as they stand: {} failed{}; look at {held} first",
                own.passed,
                report.failed,
                told(&report)
            ),
        },
        (Verdict::NothingToCheck { why }, Verdict::Passed(own)) => {
            Verdict::NothingToCheck { why: format!("{OWN_TESTS_ONLY} ({} passed); without them: {why}", own.passed) }
        }
        (Verdict::Failed(mut report), _) => {
            report.flags.push(format!(
                "{held} decides about the tests and was judged as it stands in the project, and as changed"
            ));
            Verdict::Failed(report)
        }
        (stood, _) => stood,
    }
}
