//! How a task in a project ends: its status, its answer, what the user should know. Pure.

use super::{Attempt, Work, attempt, check, words};
use crate::task::{Candidate, Edit, Finish, Outcome, Status, Usage, Verdict};
use crate::verify;

impl Work<'_> {
    /// The status that an attempt's verdict stands for.
    pub(super) fn status(&self, attempt: &Attempt) -> Status {
        match &attempt.verdict {
            // Tests are judged as they stand: a change of nothing else was not run at all.
            Verdict::Passed(_) if attempt.patch.files.iter().all(|f| verify::decides_about_tests(&f.path)) => {
                Status::Unverified
            }
            Verdict::Passed(_) => Status::Verified,
            Verdict::NothingToCheck { .. } | Verdict::SandboxFailed { .. } => Status::Unverified,
            // What fails was broken before, and it was not the task to mend it.
            verdict @ Verdict::Failed(_)
                if check::broke_nothing(verdict)
                    && !words::is_about_tests(&self.task.prompt)
                    && !names_a_failure(&self.task.prompt, verdict) =>
            {
                Status::Unverified
            }
            Verdict::Failed(_) => Status::Failed,
        }
    }

    pub(super) fn outcome(&self, attempt: &Attempt, status: Status) -> Outcome {
        let edits = attempt.patch.files.iter().map(|file| match &file.after {
            Some(content) => Edit::Write { path: file.path.clone(), content: content.clone() },
            None => Edit::Delete { path: file.path.clone() },
        });
        let mut notes = self.notes.clone();
        notes.extend(attempt.patch.notes.iter().cloned());
        match &attempt.verdict {
            Verdict::NothingToCheck { why } => notes.push(format!("not verified: {why}")),
            Verdict::SandboxFailed { step, why } => {
                notes.push(format!("not verified: the sandbox failed at {step}: {why}"));
            }
            Verdict::Passed(report) | Verdict::Failed(report) => {
                notes.extend(report.flags.iter().map(|flag| format!("look at this: {flag}")));
            }
        }
        if matches!(attempt.verdict, Verdict::Failed(_)) && status == Status::Unverified {
            notes.push("not verified: what failed before the change still fails; nothing that passed broke".to_owned());
        }
        if matches!(attempt.verdict, Verdict::Passed(_)) && status == Status::Unverified {
            notes.push("not verified: only tests change, and tests are judged as they stand in the project".to_owned());
        }
        Outcome {
            status,
            candidate: Some(Candidate::Edits { edits: edits.collect() }),
            answer: attempt.patch.diff(),
            verdict: Some(attempt.verdict.clone()),
            ..self.blank(notes)
        }
    }

    /// The tests pass as they are.
    pub(super) fn outcome_of_nothing(&self) -> Outcome {
        let notes = vec!["nothing was changed: the check passes as it is".to_owned()];
        Outcome { status: Status::Verified, verdict: self.before.clone(), ..self.blank(notes) }
    }

    pub(super) fn outcome_of_words(&self, words: String) -> Outcome {
        let why = "the answer is words, not a change".to_owned();
        let status = if self.question { Status::Unverified } else { Status::Failed };
        let verdict = Some(Verdict::NothingToCheck { why });
        Outcome { status, answer: words, verdict, ..self.blank(self.notes.clone()) }
    }

    pub(super) fn outcome_without_change(&self) -> Outcome {
        let last = self.said.last().and_then(|said| said.first());
        let status = match last.map(|trajectory| trajectory.finish) {
            _ if self.line.cancel.is_cancelled() => Status::Cancelled,
            Some(Finish::AnswerLimit | Finish::ContextFull) => Status::LimitReached,
            _ => Status::Failed,
        };
        let answer = last.map(|said| attempt::answer_of(said).trim().to_owned()).unwrap_or_default();
        Outcome { status, answer, ..self.blank(self.notes.clone()) }
    }

    pub(super) fn outcome_without_room(&self) -> Outcome {
        let context = self.agent.engine.info().context_tokens_max;
        let note = format!("the task and its files leave no room for an answer in a context of {context} tokens");
        match self.best() {
            Some(best) => {
                let status = self.status(&best);
                let mut outcome = self.outcome(&best, status);
                outcome.notes.push(note);
                outcome
            }
            None => Outcome { status: Status::LimitReached, ..self.blank(vec![note]) },
        }
    }

    pub(super) fn outcome_refused(&self) -> Outcome {
        match self.best() {
            Some(best) => self.outcome(&best, Status::Refused),
            None => Outcome { status: Status::Refused, ..self.blank(self.notes.clone()) },
        }
    }

    fn blank(&self, notes: Vec<String>) -> Outcome {
        let mut usage = Usage::default();
        for round in &self.said {
            for (at, said) in round.iter().enumerate() {
                if at == 0 {
                    usage.prompt_tokens += said.usage.prompt_tokens;
                    usage.reused_tokens += said.usage.reused_tokens;
                }
                usage.thinking_tokens += said.usage.thinking_tokens;
                usage.forced_tokens += said.usage.forced_tokens;
                usage.answer_tokens += said.usage.answer_tokens;
            }
        }
        Outcome {
            status: Status::Failed,
            candidate: None,
            answer: String::new(),
            verdict: None,
            usage,
            rounds: self.said.len() as u32,
            notes,
        }
    }
}

/// Whether the task names what still fails: then to mend it was the task.
fn names_a_failure(prompt: &str, verdict: &Verdict) -> bool {
    verdict.report().is_some_and(|report| report.failures.iter().any(|failure| words::names(prompt, &failure.name)))
}
