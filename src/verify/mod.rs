//! Does a candidate hold: the judge outside the sandbox (J1), a project's own tests (J2), and feedback for the model.
//!
//! Start at [`verify`]. Functions are judged by [`j1`] (two processes, calls carried between them), programs that
//! read stdin by [`stdio`], a project by [`j2`]. [`suites`] reads public benchmarks, [`feedback()`] says to the model
//! what it may know of a verdict, [`behaviour()`] tells apart candidates that nothing can be checked against.
//!
//! Three rules hold everywhere: a pass needs positive evidence, never the absence of a failure; what a program is
//! expected to answer is not where the program runs; walls that could not be built are never a failed test.
//!
//! Not for: building walls or revising code.

mod behaviour;
mod combine;
mod command;
mod feedback;
mod j1;
mod j2;
mod options;
mod packages;
mod python_env;
mod rust_tests;
mod setting;
mod smoke;
mod stdio;
pub mod suites;
mod syntax;
mod toolbox;

use crate::cancel::Cancel;
use crate::sandbox::Sandbox;
use crate::task::{Candidate, Check, Edit, Language, Verdict};

pub use behaviour::{Input, Observation, behaviour, generate_inputs};
pub use command::program_file;
pub use feedback::{CHARS_MAX as FEEDBACK_CHARS_MAX, feedback};
pub use j2::{
    Hindrance, Wall, decides_about_tests, is_doubt, passes_only_its_own_tests, project, standing, test_command, wall_of,
};
pub use options::VerifyOptions;
pub use smoke::smoke;
pub use syntax::{Opinion, Suspect, opinion};
pub use toolbox::{program_grants, project_policy};

/// Every language that can be run, and the program that runs it where there is one.
pub fn tools() -> Vec<(Language, Option<std::path::PathBuf>)> {
    let tool = |language| setting::of(language).ok().map(|setting| setting.program);
    Language::ALL.into_iter().map(|language| (language, tool(language))).collect()
}

/// Whether test programs in this language, given by themselves, are run (beside inputs and outputs, and a project's
/// command).
pub const fn runs_test_programs(language: Language) -> bool {
    j1::speaks(language) || matches!(language, Language::Rust)
}

/// Judges a candidate by every check, stopping at the first that fails.
///
/// Never fails itself: what could not be judged is [`Verdict::NothingToCheck`] or [`Verdict::SandboxFailed`].
pub async fn verify(
    candidate: &Candidate,
    checks: &[Check],
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    if let (Candidate::Edits { edits }, [], Some(root)) = (candidate, checks, &options.root) {
        // Nothing to run it against: whether it parses can be known all the same.
        return j2::unchecked(root, edits, sandbox, options, cancel).await;
    }
    let mut verdicts = Vec::with_capacity(checks.len());
    for check in checks {
        let verdict = match candidate {
            Candidate::Program { language, source } => {
                program((*language, source), check, sandbox, options, cancel).await
            }
            Candidate::Edits { edits } => change(edits, check, sandbox, options, cancel).await,
        };
        let go_on = matches!(verdict, Verdict::Passed(_) | Verdict::NothingToCheck { .. });
        verdicts.push(verdict);
        if !go_on || cancel.is_cancelled() {
            break;
        }
    }
    combine::combine(verdicts)
}

/// A change to a project is judged by commands that run in the project.
async fn change(edits: &[Edit], check: &Check, sandbox: &Sandbox, options: &VerifyOptions, cancel: &Cancel) -> Verdict {
    match (check, &options.root) {
        (Check::Command { command }, Some(root)) => project(root, edits, Some(command), sandbox, options, cancel).await,
        (Check::Command { .. }, None) => nothing("it is not known which project the change is for"),
        _ => nothing("a change to a project is checked by a command"),
    }
}

async fn program(
    candidate: (Language, &str),
    check: &Check,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    let (language, source) = candidate;
    match check {
        Check::Stdio { cases, hidden } => stdio::judge(candidate, cases, *hidden, sandbox, options, cancel).await,
        // Asserts are Python; of a program in another language they can say nothing.
        Check::Asserts { source, hidden } if language == Language::Python => {
            functions(candidate, source, *hidden, sandbox, options, cancel).await
        }
        Check::Asserts { .. } => nothing("the asserts are Python and the program is not"),
        Check::TestSource { language: of_tests, .. } if *of_tests != language => {
            nothing("the tests are in another language than the program")
        }
        Check::TestSource { source, hidden, .. } if j1::speaks(language) => {
            functions(candidate, source, *hidden, sandbox, options, cancel).await
        }
        Check::TestSource { source: tests, hidden, .. } if language == Language::Rust => {
            rust_tests::judge(source, tests, *hidden, sandbox, options, cancel).await
        }
        Check::TestSource { .. } => {
            nothing(&format!("test programs in {} are not run; give input and output", language.fence_tag()))
        }
        Check::Command { command } => command::judge(candidate, command, sandbox, options, cancel).await,
    }
}

async fn functions(
    candidate: (Language, &str),
    tests: &str,
    hidden: bool,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    let spec = j1::Spec {
        kind: if candidate.0 == Language::Python { j1::Kind::of(tests) } else { j1::Kind::Source },
        tests: tests.to_owned(),
        helpers: options.helpers.clone(),
        entry: options.entry.clone(),
        names: options.names.clone(),
    };
    if options.together && candidate.0 == Language::Python {
        return j1::together::judge(candidate.1, &spec, hidden, sandbox, options, cancel).await;
    }
    j1::judge(candidate, &spec, hidden, sandbox, options, cancel).await
}

fn nothing(why: &str) -> Verdict {
    Verdict::NothingToCheck { why: why.to_owned() }
}

/// What is known of a candidate when the user has cancelled.
pub(crate) fn cancelled() -> Verdict {
    nothing("cancelled")
}
