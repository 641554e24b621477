//! The end of a task in a project: which attempt, who says yes, one undoable step.
//!
//! Not for: what a decision makes of a plan (`propose.rs`).

use super::{Attempt, Patch, Work, attempt, context, propose};
use crate::agent::Consent;
use crate::task::{Outcome, Status};

impl Work<'_> {
    /// Proposes the best attempt; the remark where the user wants another.
    pub(super) async fn settle(&mut self) -> anyhow::Result<Result<Outcome, String>> {
        let Some(best) = self.best() else { return Ok(Ok(self.outcome_without_change())) };
        let status = self.status(&best);
        let settings = self.agent.settings.project.clone();
        if self.line.cancel.is_cancelled() {
            return Ok(Ok(self.outcome(&best, Status::Cancelled)));
        }
        if let Err(why) = propose::may_be_written(settings.consent, status == Status::Failed) {
            self.notes.push(why.to_owned());
            return Ok(Ok(self.outcome(&best, status)));
        }
        let mut word = propose::Word::Write { plan: best.patch.clone(), altered: false };
        if settings.consent == Consent::Ask {
            let patch_id = (u64::from(self.number) << 16) | self.attempts.len() as u64;
            self.line.emit(propose::event(patch_id, &best.patch)).await;
            word = propose::word(&best.patch, self.line.decision(patch_id).await);
        }
        match word {
            propose::Word::Again(remark) => Ok(Err(remark)),
            propose::Word::Refuse => {
                let status = if self.line.cancel.is_cancelled() { Status::Cancelled } else { Status::Refused };
                Ok(Ok(self.outcome(&best, status)))
            }
            propose::Word::Write { plan, altered } => Ok(Ok(self.write(plan, altered, best).await)),
        }
    }

    async fn write(&mut self, patch: Patch, altered: bool, best: Attempt) -> Outcome {
        let settings = self.agent.settings.project.clone();
        let attempt = if altered { Attempt { verdict: self.judge(&patch).await, patch } } else { best };
        let status = self.status(&attempt);
        match propose::write(self.tree, &settings.state, &attempt.patch, &self.task.prompt) {
            Ok(done) => {
                self.notes.push(done);
                for file in &attempt.patch.files {
                    let after = file.after.as_deref().map(context::digest);
                    self.session.shown.insert(file.path.clone(), after.unwrap_or_default());
                }
                if settings.commit {
                    self.notes.push(propose::commit(self.tree.root(), &attempt.patch, &self.task.prompt));
                }
                self.outcome(&attempt, status)
            }
            Err(problem) => {
                self.notes.push(format!("{problem:#}"));
                self.outcome(&attempt, Status::Refused)
            }
        }
    }

    pub(super) fn best(&self) -> Option<Attempt> {
        let by_rank = |attempt: &&Attempt| attempt::rank(&attempt.verdict);
        // Of equals the first: it was made with the least said against it.
        self.attempts[self.turned_down..].iter().rev().max_by_key(by_rank).cloned()
    }
}
