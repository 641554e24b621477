//! What the user fixed about the loop; everything else is decided from the task. Plain data.

use std::path::PathBuf;

use super::intent::Wish;
use super::round::Drawing;
use crate::engine::Sampling;
use crate::mcp;
use crate::sandbox::Limits;
use crate::task::{Budget, Effort, Tier};
use crate::traits::Traits;

/// Settings of the loop, ready to use.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Candidates of the first round; `None` lets the budget decide.
    pub samples: Option<u32>,
    /// Revisions after the first attempt; `None` lets the budget decide.
    pub rounds: Option<u32>,
    /// Tokens that a task may cost in all; `None` lets the budget decide.
    pub task_tokens: Option<u32>,
    /// Seconds of the model's time that a task may cost in all; `None` lets the budget decide.
    pub task_seconds: Option<u32>,
    pub seed: u64,
    /// Of the first round; `None` leaves it to the makers' advice.
    pub temperature: Option<f32>,
    /// What the model is like.
    pub traits: Traits,
    /// What the user says that the task wants; `None` leaves it to the task's words.
    pub wish: Option<Wish>,
    /// Replies may be begun for the model where their form is known.
    pub prefixes: bool,
    /// It is looked where the model hesitates, once a first reply has failed.
    pub deviations: bool,
    /// Exactly the paper: one window for every task, greedy, its hint, no probe, no early stop.
    pub paper_exact: bool,
    /// Ask the model itself how hard a task is where its words leave a doubt.
    pub probe: bool,
    /// Refuse to run code behind weaker walls than these.
    pub min_tier: Tier,
    /// Bounds of a project's own check.
    pub check_limits: Limits,
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
    /// Tool servers that the user named.
    pub tools: Vec<mcp::Spec>,
}

/// Whose word it takes to write a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// The user's, by a decision on the proposal.
    Ask,
    /// Given beforehand for every change that was verified.
    Yes,
    /// Given beforehand for every change that did not fail its check, also where nothing could be checked.
    YesUnverified,
    /// Nothing is written; the change itself is the answer.
    #[default]
    Show,
}

impl Default for ProjectSettings {
    fn default() -> Self {
        Self {
            state: std::env::temp_dir().join("z1"),
            cache: None,
            consent: Consent::Show,
            commit: false,
            asks: false,
            tools: Vec::new(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            samples: None,
            rounds: None,
            task_tokens: None,
            task_seconds: None,
            seed: 0,
            temperature: None,
            traits: Traits::default(),
            wish: None,
            prefixes: true,
            deviations: true,
            paper_exact: false,
            probe: false,
            min_tier: Tier::L,
            check_limits: Limits::project(),
            project: ProjectSettings::default(),
        }
    }
}

impl Settings {
    /// How a reply is drawn: by the user's temperature, else the makers', else greedily. Draws must differ where there
    /// are `several` of one prompt, and where it is tried again.
    pub(super) fn sampling(&self, drawing: Drawing, several: bool) -> Sampling {
        let advised = self.traits.sampling.filter(|_| !self.paper_exact);
        let own = self.temperature.or(advised.map(|sampling| sampling.temperature)).unwrap_or(TEMPERATURE_FIRST);
        let temperature = match drawing {
            _ if self.paper_exact => 0.0,
            // The user means it.
            Drawing::First if self.temperature.is_some() => own,
            Drawing::First if !several => own,
            Drawing::First | Drawing::Varied => own.max(TEMPERATURE_VARIED),
            Drawing::Careful => own.max(TEMPERATURE_CAREFUL),
        };
        // Who advises greedy draws says nothing of where others should be cut.
        let cut = advised.filter(|sampling| sampling.temperature > 0.0);
        let cut = cut.unwrap_or(Sampling { top_p: TOP_P, ..Sampling::GREEDY });
        if temperature == 0.0 { Sampling::GREEDY } else { Sampling { temperature, ..cut } }
    }

    /// A budget as the makers' advice leaves it: a longer window costs time and gains nothing, unless it was asked for.
    pub(super) fn advised(&self, budget: Budget, effort: Effort) -> Budget {
        match self.traits.window_tokens {
            Some(most) if effort == Effort::Auto => {
                Budget { thinking_tokens_max: budget.thinking_tokens_max.min(most), ..budget }
            }
            _ => budget,
        }
    }
}

/// The window of the paper's evaluation, used by `paper_exact` where no other is given.
pub(super) const PAPER_WINDOW_TOKENS: u32 = 4096;
/// Temperature where candidates should differ (S*, arXiv 2502.14382, has 0.7).
pub(super) const TEMPERATURE_VARIED: f32 = 0.8;
/// Temperature where an attempt is mended: near the likeliest words, and not the same ones again. At 0.3 a model of 1.5 B
/// wrote the program again that it was shown.
pub(super) const TEMPERATURE_CAREFUL: f32 = 0.6;
/// Temperature of a first reply where nobody advises another.
pub(super) const TEMPERATURE_FIRST: f32 = 0.0;
/// Draws are cut to this mass where the makers advise nothing.
const TOP_P: f32 = 0.95;
/// Candidates that are judged at the same time: each may take a project's memory limit and start as many threads as
/// it likes.
pub(super) fn judged_at_once() -> usize {
    const JUDGED_AT_ONCE_MAX: usize = 2;
    std::thread::available_parallelism().map_or(1, usize::from).min(JUDGED_AT_ONCE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(temperature: f32) -> Settings {
        let sampling = Sampling { temperature, top_p: 0.8, top_k: 20, ..Sampling::GREEDY };
        let traits = Traits { window_tokens: Some(1000), sampling: Some(sampling), ..Traits::default() };
        Settings { traits, ..Settings::default() }
    }

    #[test]
    fn the_users_word_goes_before_the_makers_and_theirs_before_the_default() {
        use Drawing::{Careful, First, Varied};
        let drawn = |settings: &Settings, drawing, several| {
            let sampling = settings.sampling(drawing, several);
            (sampling.temperature, sampling.top_p, sampling.top_k)
        };
        assert_eq!(drawn(&Settings::default(), First, false), (0.0, 1.0, 0));
        assert_eq!(drawn(&Settings::default(), First, true), (TEMPERATURE_VARIED, TOP_P, 0));
        assert_eq!(drawn(&Settings::default(), Careful, false), (TEMPERATURE_CAREFUL, TOP_P, 0));
        assert_eq!(drawn(&advised(0.5), First, false), (0.5, 0.8, 20));
        assert_eq!(drawn(&advised(0.5), Careful, false), (TEMPERATURE_CAREFUL, 0.8, 20));
        assert_eq!(drawn(&advised(0.7), Careful, false), (0.7, 0.8, 20));
        assert_eq!(drawn(&advised(0.3), First, true), (TEMPERATURE_VARIED, 0.8, 20), "several should differ");
        assert_eq!(drawn(&advised(0.0), First, false), (0.0, 1.0, 0));
        assert_eq!(drawn(&advised(0.0), Varied, false), (TEMPERATURE_VARIED, TOP_P, 0));
        let by_hand = |temperature| Settings { temperature: Some(temperature), ..advised(0.3) };
        assert_eq!(drawn(&by_hand(1.1), First, false), (1.1, 0.8, 20));
        assert_eq!(drawn(&by_hand(0.2), First, true), (0.2, 0.8, 20), "the user means it");
        assert_eq!(drawn(&by_hand(0.0), First, false), (0.0, 1.0, 0));
        assert_eq!(drawn(&by_hand(0.0), Varied, false), (TEMPERATURE_VARIED, 0.8, 20), "a second try must differ");
        assert_eq!(drawn(&Settings { paper_exact: true, ..advised(0.3) }, First, false), (0.0, 1.0, 0));
    }

    #[test]
    fn the_advised_window_is_a_ceiling_for_what_the_task_decides() {
        let budget = |tokens| Budget { thinking_tokens_max: tokens, ..Budget::default() };
        let left = |settings: &Settings, tokens, effort| settings.advised(budget(tokens), effort).thinking_tokens_max;
        assert_eq!(left(&advised(0.3), 4096, Effort::Auto), 1000);
        assert_eq!(left(&advised(0.3), 512, Effort::Auto), 512);
        for asked in [Effort::Deep, Effort::Window(4096)] {
            assert_eq!(left(&advised(0.3), 4096, asked), 4096);
        }
        assert_eq!(left(&Settings::default(), 4096, Effort::Auto), 4096);
    }
}
