//! What the user fixed about the loop; everything else is decided from the task. Plain data.

use std::path::PathBuf;

use crate::task::Tier;

/// Settings of the loop, ready to use.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Candidates of the first round; `None` lets the budget decide.
    pub samples: Option<u32>,
    /// Revisions after the first attempt; `None` lets the budget decide.
    pub rounds: Option<u32>,
    pub seed: u64,
    /// Of the first round; `None` is the model profile's own.
    pub temperature: Option<f32>,
    /// Exactly the paper: one window for every task, greedy, its hint, no probe, no early stop.
    pub paper_exact: bool,
    /// Ask the model itself how hard a task is where its words leave a doubt.
    pub probe: bool,
    /// Refuse to run code behind weaker walls than these.
    pub min_tier: Tier,
    pub project: ProjectSettings,
}

/// Settings of tasks in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSettings {
    /// Where undo journals and remembered test commands are.
    pub state: PathBuf,
    /// Where repository maps are cached; `None` caches none.
    pub cache: Option<PathBuf>,
    pub consent: Consent,
    /// Commit an accepted change with git.
    pub commit: bool,
    /// Somebody is there who can say how the project is tested.
    pub asks: bool,
}

/// Whose word it takes to write a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// The user's, by a decision on the proposal.
    Ask,
    /// Given beforehand for every change that did not fail its check.
    Yes,
    /// Nothing is written; the change itself is the answer.
    #[default]
    Show,
}

impl Default for ProjectSettings {
    fn default() -> Self {
        Self { state: std::env::temp_dir().join("z1"), cache: None, consent: Consent::Show, commit: false, asks: false }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            samples: None,
            rounds: None,
            seed: 0,
            temperature: None,
            paper_exact: false,
            probe: true,
            min_tier: Tier::L,
            project: ProjectSettings::default(),
        }
    }
}

/// The window of the paper's evaluation, used by `paper_exact` where no other is given.
pub(super) const PAPER_WINDOW_TOKENS: u32 = 4096;
/// Repairs of crashes in a row; what two tracebacks do not mend is not mended by a third
/// (arXiv 2604.10508, 2604.21950).
pub(super) const REPAIRS_MAX: u32 = 2;
/// Unusable replies in a row after which the task ends.
pub(super) const FORMAT_PROBLEMS_MAX: u32 = 2;
/// Candidates of a round that resamples a wrong answer.
pub(super) const RESAMPLES_MAX: u32 = 4;
/// Temperature where several candidates, or another try, should differ (S*, arXiv 2502.14382).
pub(super) const TEMPERATURE_VARIED: f32 = 0.7;
/// Thinking of a single first candidate of an instruction-tuned model: greedy distilled models loop.
pub(super) const TEMPERATURE_FIRST: f32 = 0.6;
/// Candidates that are judged at the same time: each may take a project's memory limit and start as many threads as
/// it likes.
pub(super) fn judged_at_once() -> usize {
    const JUDGED_AT_ONCE_MAX: usize = 2;
    std::thread::available_parallelism().map_or(1, usize::from).min(JUDGED_AT_ONCE_MAX)
}
