//! The end of a task in a project: which attempt, who says yes, one undoable step.
//!
//! Not for: what a decision makes of a plan (`propose.rs`).

use super::changes::Changes;
use super::outcome::best;
use super::{Judged, Patch, Work, context, propose};
use crate::agent::Consent;
use crate::agent::kind::Kind;
use crate::agent::search::Search;
use crate::task::{Outcome, Status, Verdict};

impl Work<'_> {
    /// Proposes the best attempt; the remark where the user wants another.
    pub(super) async fn settle(
        &mut self,
        search: &Search<Patch>,
        kind: &Changes<'_>,
    ) -> anyhow::Result<Result<Outcome, String>> {
        let Some(best) = best(search) else { return Ok(Ok(self.outcome_without_change(search))) };
        let status = self.status(&best);
        let missing = kind.missing(&best.patch);
        self.notes
            .extend(missing.iter().map(|path| format!("the task asks for a change of {path}, which stays as it is")));
        if status == Status::Verified && matches!(self.before, Some(Verdict::Passed(_))) {
            self.notes.push("the check passed without the change as well: nothing broke, but it does not show that the task is done".to_owned());
        }
        let settings = self.agent.settings.project.clone();
        if self.line.cancel.is_cancelled() {
            return Ok(Ok(self.outcome(&best, Status::Cancelled)));
        }
        // A check that is there and could not be started has confirmed nothing either.
        let unstarted = matches!(self.before, Some(Verdict::Failed(_))) && self.check.is_none();
        let guessed = (!best.patch.weak.is_empty() || unstarted) && status != Status::Verified;
        if let Err(why) = propose::may_be_written(settings.consent, status, guessed) {
            self.notes.push(why.to_owned());
            return Ok(Ok(self.outcome(&best, status)));
        }
        let mut word = propose::Word::Write { plan: best.patch.clone(), altered: false };
        if settings.consent == Consent::Ask {
            let patch_id = (u64::from(self.number) << 16) | u64::from(self.rounds);
            self.line.emit(propose::event(patch_id, &best.patch)).await;
            word = propose::word(&best.patch, self.line.decision(patch_id).await);
        }
        match word {
            propose::Word::Again(remark) => Ok(Err(remark)),
            propose::Word::Refuse => {
                let status = if self.line.cancel.is_cancelled() { Status::Cancelled } else { Status::Refused };
                Ok(Ok(self.outcome(&best, status)))
            }
            propose::Word::Write { plan, altered } => {
                let judged = if altered { self.judge(kind, plan).await } else { best };
                self.write(&judged).map(Ok)
            }
        }
    }

    /// Judges a change that the user altered.
    async fn judge(&self, kind: &Changes<'_>, patch: Patch) -> Judged {
        let verdict = match kind.unjudged() {
            Some(verdict) => verdict,
            None => kind.trial(&patch, self.line.cancel.clone()).await,
        };
        Judged { patch, verdict, as_replied: false }
    }

    /// # Errors
    /// Where the files or the undo journal cannot be written: nothing was.
    fn write(&mut self, attempt: &Judged) -> anyhow::Result<Outcome> {
        let settings = self.agent.settings.project.clone();
        let status = self.status(attempt);
        match propose::write(self.tree, &settings.state, &attempt.patch, &self.task.prompt) {
            Ok(done) => {
                self.notes.push(done);
                for file in &attempt.patch.files {
                    let after = file.after.as_deref().filter(|_| attempt.as_replied).map(context::digest);
                    self.session.shown.insert(file.path.clone(), after.unwrap_or_default());
                }
                if settings.commit {
                    self.notes.push(propose::commit(self.tree.root(), &attempt.patch, &self.task.prompt));
                }
                Ok(self.outcome(attempt, status))
            }
            // A disk that is full or read-only is an error; what the files themselves forbid is a refusal.
            Err(problem) if is_of_the_disk(&problem) => Err(problem),
            Err(problem) => {
                self.notes.push(format!("{problem:#}"));
                Ok(self.outcome(attempt, Status::Refused))
            }
        }
    }
}

/// Whether something could not be written, rather than must not be.
fn is_of_the_disk(problem: &anyhow::Error) -> bool {
    problem.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some())
}
