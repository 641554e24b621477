//! How a task in a project ends: its status, its answer, what the user should know. Pure.

use super::{Judged, Patch, Work, check, reading, words};
use crate::agent::attempt::Reply;
use crate::agent::search::Search;
use crate::task::{Candidate, Edit, Outcome, Status, Verdict};
use crate::verify;

impl Work<'_> {
    /// The status that an attempt's verdict stands for.
    pub(super) fn status(&self, attempt: &Judged) -> Status {
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
                    && !words::speaks_of_tests(&self.task.prompt)
                    && !names_a_failure(&self.task.prompt, verdict) =>
            {
                Status::Unverified
            }
            Verdict::Failed(_) => Status::Failed,
        }
    }

    pub(super) fn outcome(&self, attempt: &Judged, status: Status) -> Outcome {
        let edits = attempt.patch.files.iter().map(|file| match &file.after {
            Some(content) => Edit::Write { path: file.path.clone(), content: content.clone() },
            None => Edit::Delete { path: file.path.clone() },
        });
        let mut notes = self.notes.clone();
        notes.extend(attempt.patch.notes.iter().cloned());
        notes.extend(
            attempt.patch.weak.iter().map(|path| format!("{path} was read as it seems to be meant: look at the diff")),
        );
        if !matches!(attempt.verdict, Verdict::Passed(_)) {
            notes.extend(attempt.patch.warnings.iter().map(|warning| format!("look at this: {}", warning.message)));
        }
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

    /// The end of a task for which no change was proposed: what the model said is the answer, whatever it is worth.
    pub(super) fn outcome_without_change(&self, search: &Search<Patch>) -> Outcome {
        let words = search.attempts.iter().rev().find_map(|attempt| match &attempt.reply {
            Reply::Words(words) if !words.is_empty() => Some(words.clone()),
            _ => None,
        });
        let said = || search.attempts.iter().rev().map(|a| reading::answer_of(&a.said).trim()).find(|t| !t.is_empty());
        let answers = self.plan.intent.is_question();
        let answer = words.clone().or_else(|| said().map(str::to_owned)).unwrap_or_default();
        let status = match search.attempts.last() {
            _ if self.line.cancel.is_cancelled() => Status::Cancelled,
            Some(last) if last.is_cut() && words.is_none() => Status::LimitReached,
            _ if answers && !answer.is_empty() => Status::Unverified,
            _ => Status::Failed,
        };
        let mut notes = self.notes.clone();
        let unusable = search.attempts.iter().rev().find_map(|attempt| match &attempt.reply {
            Reply::Unusable(why) | Reply::Unchanged(why) => {
                Some(why.lines().next().unwrap_or("").trim_start_matches("* ").to_owned())
            }
            _ => None,
        });
        match unusable {
            Some(why) if !answers => notes.push(format!("the last reply could not be used: {why}")),
            None if status == Status::Failed => notes.push(
                "no reply held a change of a file: no block under a path, none that resembles a file of the project"
                    .to_owned(),
            ),
            _ => {}
        }
        let why = "the answer is words, not a change".to_owned();
        let verdict = (!answer.is_empty()).then_some(Verdict::NothingToCheck { why });
        Outcome { status, answer, verdict, ..self.blank(notes) }
    }

    /// Says that `what` so many tokens and that no answer fits beside them.
    pub(super) fn no_room(&self, what: &str, prompt_tokens: u32) -> String {
        let context = self.agent.engine.info().context_tokens_max;
        format!("{what} {prompt_tokens} tokens and leave no room for an answer in a context of {context}")
    }

    /// No reply could be asked for, or none that holds a change.
    pub(super) fn outcome_without_room(&self, search: &Search<Patch>, prompt_tokens: u32) -> Outcome {
        let mut outcome = self.outcome_without_change(search);
        outcome.notes.push(self.no_room("the task and its files have", prompt_tokens));
        Outcome { status: Status::LimitReached, ..outcome }
    }

    pub(super) fn outcome_refused(&self, best: Option<&Judged>) -> Outcome {
        match best {
            Some(best) => self.outcome(best, Status::Refused),
            None => Outcome { status: Status::Refused, ..self.blank(self.notes.clone()) },
        }
    }

    fn blank(&self, notes: Vec<String>) -> Outcome {
        Outcome {
            status: Status::Failed,
            candidate: None,
            answer: String::new(),
            verdict: None,
            usage: self.usage,
            rounds: self.rounds,
            notes,
        }
    }

    /// Takes in what a search has cost; looks are replies too.
    pub(super) fn account(&mut self, search: &Search<Patch>) {
        self.usage += search.usage();
        self.rounds += search.rounds();
    }
}

/// The best change that was judged.
pub(super) fn best(search: &Search<Patch>) -> Option<Judged> {
    let best = search.best()?;
    Some(Judged { patch: best.candidate()?.clone(), verdict: best.verdict.clone()?, as_replied: !best.is_variant })
}

/// Whether the task names what still fails: then to mend it was the task.
fn names_a_failure(prompt: &str, verdict: &Verdict) -> bool {
    verdict.report().is_some_and(|report| report.failures.iter().any(|failure| words::names(prompt, &failure.name)))
}
