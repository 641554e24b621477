//! The shifted thinking window as a pure phase machine, with its budgets and its loop detector.
//!
//! [`Window`] is told every sampled token's bytes and answers what to do next: keep going, force the hint,
//! or stop. The algorithm is that of the Z1 paper (arXiv 2504.00810, section on the shifted thinking
//! window): at most W tokens of thinking, then a hint is appended and the model answers from what it has.
//!
//! Beyond the paper (`paper_exact` is without all of it): an open fence or edit block *is* the answer, so the window never
//! cuts one; thinking between tags ends with its tag; a text that goes round in circles is taken back to where that
//! began, in both phases; and a [`StopPolicy`] says when a reply is complete.
//!
//! Not for: doing IO, sampling, or knowing which model speaks.

mod loops;
mod reader;
mod replay;
mod stop;
mod utf8;
mod window;

use serde::{Deserialize, Serialize};

pub use loops::LoopDetector;
pub use replay::{RecordedPiece, ReplayEvent, Said, replay};
pub use stop::StopPolicy;
pub use utf8::TextStream;
pub use window::{Counts, Hint, Phase, Step, Then, Window};

/// A token's number in the model's vocabulary.
pub type TokenId = i32;

/// The hint that the Z1 paper's code appends when the window is used up.
pub const PAPER_HINT: &str = "\n\nI overthought it, the final answer should be:\n\n";

/// The window's settings for one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSpec {
    /// The thinking window W, in tokens. 0 forces the hint before the first token.
    pub thinking_tokens_max: u32,
    /// Reserved for the answer after a shift, in tokens; thinking can never eat it.
    pub answer_tokens_max: u32,
    /// Forced when the window shifts; may end with an opened code fence.
    pub hint: String,
    /// Exactly the paper's algorithm: hard cut at W, no line-end allowance, no loop detection, no look at blocks or tags.
    pub paper_exact: bool,
    /// For models that think between tags.
    #[serde(default)]
    pub think: Option<ThinkSpec>,
    /// When the reply is complete before the model ends it.
    #[serde(default)]
    pub stop: StopPolicy,
}

/// The tags that a model thinks between. What stands between them is never the answer; a shift closes the tag before the
/// hint, where the hint does not close it itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThinkSpec {
    pub open: String,
    pub close: String,
    /// The prompt ends with the opening tag: the reply begins inside.
    pub opened: bool,
}

impl Default for WindowSpec {
    /// Wide enough that only a model that does not end by itself meets it.
    fn default() -> Self {
        Self { paper_exact: false, ..Self::paper(4096, 2048) }
    }
}

impl WindowSpec {
    /// The paper's own algorithm and hint at window `thinking_tokens_max`.
    pub fn paper(thinking_tokens_max: u32, answer_tokens_max: u32) -> Self {
        Self {
            thinking_tokens_max,
            answer_tokens_max,
            hint: PAPER_HINT.to_owned(),
            paper_exact: true,
            think: None,
            stop: StopPolicy::default(),
        }
    }
}
