//! What the loop may ask of the loaded model, read from its traits in one place.

use super::Agent;
use crate::traits::PromptSet;

/// How a model is used by the loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ways {
    /// It goes on with a conversation: earlier tasks of a session, what a check showed, why a reply was of no use.
    /// One that does not is given its task afresh and draws again.
    pub(super) converses: bool,
    /// It was taught to mend a program of its own by what running it showed.
    pub(super) mends_programs: bool,
    /// Candidates of a round that draws again; 0 leaves it to the budget.
    pub(super) draws: u32,
    /// The task's level is a dose of thinking in parts of the context. Otherwise the model ends by itself, and its
    /// window is a safety net.
    pub(super) doses: bool,
    /// Code in its thinking is a draft: a reply is not over where a fence closes.
    pub(super) drafts: bool,
    /// Its reply may be begun for it.
    pub(super) begins: bool,
}

impl Ways {
    pub(super) fn of(agent: &Agent) -> Self {
        let traits = agent.traits();
        let tiny = traits.prompts == PromptSet::Nano;
        // Who marks its thinking or was taught to think in prose writes drafts before it answers.
        let thinks =
            traits.think.is_some() || traits.known_as.as_deref().is_some_and(|name| name.starts_with("z1") && !tiny);
        Self {
            converses: traits.remembers && traits.retries_in_words,
            mends_programs: true,
            draws: if traits.retries_in_words { 0 } else { traits.redraws },
            doses: tiny || !traits.ends_by_itself,
            drafts: thinks,
            begins: !tiny && !thinks,
        }
    }
}
