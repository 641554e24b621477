//! From a trajectory to a candidate: fences, whole files, SEARCH/REPLACE, or what is wrong with the format.
//!
//! [`fence`] finds code fences while the text still streams, [`program`] chooses the stand-alone program
//! among them; [`edits`] reads changes to a project's files in every format that small models write, and
//! [`elision`] knows text that stands for left-out code. A malformed reply is a value ([`FormatProblem`]), never an error: it becomes the next prompt.
//!
//! Not for: touching the disk; applying edits is the workspace's work.

use serde::{Deserialize, Serialize};

mod apply_patch;
mod blocks;
pub mod edits;
pub mod elision;
pub mod fence;
mod names;
pub mod paths;
pub mod program;
mod search_replace;
mod tool_call;
mod unified_diff;

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

fn tags(languages: &[Language]) -> String {
    languages.iter().map(|language| language.fence_tag()).collect::<Vec<_>>().join(", ")
}
