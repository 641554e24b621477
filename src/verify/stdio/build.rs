//! Compiles a program in the sandbox and says how to run what came of it.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cancel::Cancel;
use crate::sandbox::{End, Limits, Outcome, Request, Sandbox};
use crate::task::{Failure, FailureKind, Language, Report, Verdict};

use super::recipe::{ARTEFACT, Recipe};
use crate::verify::setting::{self, File, Setting};
use crate::verify::{VerifyOptions, feedback, j1};

/// Lines of a compiler's message that are kept.
const MESSAGE_LINES_MAX: usize = 12;

/// Something that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) setting: Setting,
    pub(crate) files: Vec<File>,
    pub(crate) argv: Vec<OsString>,
    pub(crate) compile_ms: u64,
}

/// Builds the program, or returns the verdict that ends the matter.
pub(crate) async fn build(
    (language, source): (Language, &str),
    recipe: Recipe,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Result<Built, Verdict> {
    let setting = setting::of(language)?;
    let source_file = setting::file(&recipe.file, source.as_bytes());
    let Some(compile) = recipe.compile else {
        let argv = argv(&setting, &recipe.run);
        return Ok(Built { setting, files: vec![source_file], argv, compile_ms: 0 });
    };
    let limits = Limits { wall: options.project_limits.wall.min(COMPILE_WALL), ..options.project_limits.clone() };
    let policy = setting.policy(vec![source_file], limits, options.min_tier);
    let mut request = Request::new(argv(&setting, &compile));
    request.collect = vec![PathBuf::from(ARTEFACT)];
    let outcome = sandbox.run(&policy, request, cancel).await;
    let compile_ms = outcome.wall.as_millis() as u64;
    let artefact = outcome.files.iter().find(|(path, _)| path.as_os_str() == ARTEFACT).map(|(_, bytes)| bytes.clone());
    match (&outcome.end, artefact) {
        (End::Exit(0), Some(bytes)) => {
            let argv = vec![OsString::from(format!("./{ARTEFACT}"))];
            Ok(Built { setting, files: vec![(PathBuf::from(ARTEFACT), bytes, true)], argv, compile_ms })
        }
        _ => Err(not_built(language, &outcome)),
    }
}

/// Longest time for one file.
const COMPILE_WALL: std::time::Duration = std::time::Duration::from_secs(60);

fn argv(setting: &Setting, args: &[String]) -> Vec<OsString> {
    std::iter::once(setting.program.clone().into_os_string()).chain(args.iter().map(Into::into)).collect()
}

fn not_built(language: Language, outcome: &Outcome) -> Verdict {
    let (kind, got) = match &outcome.end {
        End::SandboxError { step, message } => {
            return Verdict::SandboxFailed { step: step.clone(), why: message.clone() };
        }
        End::Cancelled => return crate::verify::cancelled(),
        End::Limit(limit) => {
            let (kind, text) = j1::of_limit(*limit, " while compiling");
            (kind, text)
        }
        End::Exit(0) => {
            let why = "the compiler left no program that is small enough to take".to_owned();
            return Verdict::SandboxFailed { step: "collect the program".to_owned(), why };
        }
        _ => (FailureKind::Syntax, message(&outcome.stderr.text())),
    };
    Verdict::Failed(Report {
        command: format!("compile {}", language.fence_tag()),
        passed: 0,
        failed: 1,
        failures: vec![Failure { kind, name: "compile".to_owned(), got, expected: None, frame: None }],
        tier: outcome.isolation.tier,
        wall_ms: outcome.wall.as_millis() as u64,
        flags: Vec::new(),
    })
}

/// The first errors of a compiler's message, without warnings and notes.
fn message(stderr: &str) -> String {
    let cleaned = feedback::clean(stderr);
    let lines: Vec<&str> = cleaned.lines().collect();
    let first = lines.iter().position(|line| line.contains("error")).unwrap_or(0);
    lines.iter().skip(first).take(MESSAGE_LINES_MAX).copied().collect::<Vec<_>>().join("\n")
}
