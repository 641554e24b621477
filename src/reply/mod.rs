//! From a trajectory to a candidate: fences, whole files, SEARCH/REPLACE, or what is wrong with the format.
//!
//! [`crate::scan`] tells what stands where. [`fence`] gives code fences while the text still streams, [`program`]
//! chooses the stand-alone program among them; [`elision`] knows text that stands for left-out code. Changes to a
//! project's files are read in two ways:
//!
//! * [`edits::read`], strictly: a path means that path, and what is not said plainly is refused. For `z1 apply`, where
//!   nothing but the reply decides.
//! * [`tolerant::read`], for an agent whose check decides: given the files that the model was shown, a fence without a
//!   path is matched to the file it resembles, definitions are put into their file ([`splice`]), an echo of the prompt
//!   is cut. What was inferred is `weak`. Plan it with `Rules { each_file: true, .. }`, so that a right part is usable
//!   though another is refused (`Plan::left_out`), and write files of `Plan::weak` only after a check has passed or a
//!   person has looked:
//!
//!       let shown = [Shown { path: "src/a.py", text: &text }];
//!       let reading = tolerant::read(&reply, &known, &shown, &prompt);
//!       let before = tree.before(&plan::paths_needed(&reading.edits));
//!       let plan = plan::plan(&before, &reading, Rules { each_file: true, ..Rules::default() });
//!
//! A malformed reply is a value ([`FormatProblem`], [`edits::Refusal`]), never an error: it becomes the next prompt.
//!
//! Not for: touching the disk; applying edits is the workspace's work.

use serde::{Deserialize, Serialize};

mod append;
mod apply_patch;
pub mod becomes;
pub mod edits;
pub mod elision;
pub mod fence;
mod heredoc;
mod names;
mod pairs;
pub mod paths;
pub mod program;
mod region;
mod search_replace;
pub mod splice;
pub mod tolerant;
mod tool_call;
mod unified_diff;
mod walk;
pub mod wanted;

pub use fence::{Fence, FenceScanner};
pub use program::{Wanted, program};

use crate::task::Language;

/// Why a reply holds no usable program. `Display` is a clause that a reminder to the model can quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum FormatProblem {
    #[error("it is empty")]
    Empty,
    #[error("it holds no code")]
    NoCode,
    /// A limit cut the reply inside its code.
    #[error("it was cut off before the code was complete")]
    Truncated,
    #[error("its code is {}, not {}", found.fence_tag(), wanted.fence_tag())]
    WrongLanguage { wanted: Language, found: Language },
    #[error("it holds code in several languages ({})", tags(languages))]
    SeveralLanguages { languages: Vec<Language> },
    #[error("its code does not define `{}`", names.join("`, `"))]
    MissingNames { names: Vec<String> },
}

/// A pattern of this room.
fn compile(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).expect("invariant: a pattern of the reader is valid")
}

/// What comes, where exactly one does: of several nobody is guessed.
fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    found.next().filter(|_| found.next().is_none())
}

/// The words of a text, as code has them.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// Lines to text: every line ended, nothing for no lines.
fn joined<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) -> String {
    lines.into_iter().fold(String::new(), |text, line| text + line.as_ref() + "\n")
}

fn tags(languages: &[Language]) -> String {
    languages.iter().map(|language| language.fence_tag()).collect::<Vec<_>>().join(", ")
}
