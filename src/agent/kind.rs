//! What differs between the kinds of tasks: a program of its own and a change in a project.
//!
//! Not for: the loop, which is the same for both (`search.rs`).

use super::attempt::{Attempt, Reply};
use super::deviate::Basis;
use super::{BoxFuture, Line, Transcript};
use crate::cancel::Cancel;
use crate::engine::StopPolicy;
use crate::prompt::Message;
use crate::reply::Fence;
use crate::task::{Report, Trajectory, Verdict};

/// What differs between the kinds of tasks.
pub(super) trait Kind {
    /// What is judged.
    type What: Clone + PartialEq + std::fmt::Debug + Send + 'static;

    /// Whether it is a change in a project, whose conversation shows files.
    const IN_PROJECT: bool;

    /// What a reply is that has ended; `on` is the candidate that it mends.
    fn read(&self, said: &Trajectory, on: Option<&Self::What>) -> Reply<Self::What>;

    /// The candidate in the fences that have closed while the reply still streams, where it may be judged before the
    /// reply has ended.
    fn early(&self, closed: &[Fence]) -> Option<Self::What>;

    /// Whether the fences of a reply that have closed may be all of an answer: what then comes is prose, unless it is
    /// another block.
    fn may_be_over(&self, reply: &str, closed: &[Fence]) -> Over;

    /// Whether what follows an answer's last block shows that nothing more of use comes.
    fn is_beside(&self, after: &str) -> bool {
        let _ = after;
        false
    }

    /// Whether a reply that was ended after a block, and failed, may have been ended too early.
    fn goes_on(&self) -> bool {
        false
    }

    /// Whether something that the task asks for has not come yet.
    fn lacks(&self, reply: &str) -> bool {
        let _ = reply;
        false
    }

    /// Where the engine itself ends a reply, to the token.
    fn stop(&self) -> StopPolicy {
        StopPolicy::default()
    }

    /// Whether words, or code that nothing here runs, are an answer to the task.
    fn words_do(&self) -> bool;

    /// The verdict on every candidate where nothing is run.
    fn unjudged(&self) -> Option<Verdict>;

    /// Whether a candidate is to be tried although nothing decides about it: something of it can be known all the same.
    fn is_worth_a_look(&self, what: &Self::What) -> bool {
        let _ = what;
        false
    }

    fn trial(&self, what: &Self::What, cancel: Cancel) -> BoxFuture<'static, Verdict>;

    /// The candidate without what nobody asked for: tried first, and the candidate itself only where that fails.
    fn safer(&self, what: &Self::What) -> Option<Self::What> {
        let _ = what;
        None
    }

    /// The parts of a candidate that failed which are worth a trial of their own.
    fn parts(&self, what: &Self::What, failed: &Report) -> Vec<Self::What> {
        let _ = (what, failed);
        Vec::new()
    }

    /// What decides, in words.
    fn check(&self) -> String;

    fn record(&self, transcript: &mut Transcript, candidate: u32, what: &Self::What, verdict: &Verdict);

    /// The turns that show a failed attempt and ask to mend it.
    ///
    /// # Errors
    /// A prompt file that names an unknown variable.
    fn mend(&self, of: &Attempt<Self::What>) -> anyhow::Result<Vec<Message>>;

    /// What the task asks to have changed and this leaves as it is. A pass that misses something is not yet enough.
    fn missing(&self, what: &Self::What) -> Vec<String> {
        let _ = what;
        Vec::new()
    }

    /// The turns that ask a passing attempt for what it misses, and the words that the reply is begun with.
    ///
    /// # Errors
    /// A prompt file that names an unknown variable.
    fn complete(&self, of: &Attempt<Self::What>) -> anyhow::Result<(Vec<Message>, String)> {
        Ok((self.mend(of)?, String::new()))
    }

    /// Whether only a pass is enough.
    fn insists(&self) -> bool {
        false
    }

    /// What the check says without any change, where there is something that it can say so of.
    fn before(&self) -> Option<&Verdict> {
        None
    }

    /// Replies in which the model's hesitation says where to look, the likeliest first: none where nothing decides about
    /// what comes of it.
    fn bases(&self, attempts: &[Attempt<Self::What>]) -> Vec<Basis> {
        let _ = attempts;
        Vec::new()
    }

    /// What is added to the task for another draw: what the attempts so far came to know and the task does not say. Empty
    /// where there is nothing.
    ///
    /// # Errors
    /// A prompt file that names an unknown variable.
    fn warning(&self, attempts: &[Attempt<Self::What>]) -> anyhow::Result<String> {
        let _ = attempts;
        Ok(String::new())
    }

    /// The turns that say why a reply was of no use.
    ///
    /// # Errors
    /// A prompt file that names an unknown variable.
    fn remind(&self, of: &Attempt<Self::What>, why: &str) -> anyhow::Result<Vec<Message>>;

    /// Runs a command that a reply asked for; the turn that shows what it printed, `None` where no more are run.
    ///
    /// # Errors
    /// A prompt file that names an unknown variable.
    async fn look(&mut self, command: &str, line: &mut Line) -> anyhow::Result<Option<String>>;
}

/// What closed fences say about the end of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    No,
    /// It is over unless another block comes soon.
    Perhaps,
    /// Nothing more is wanted.
    Yes,
}
