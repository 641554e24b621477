//! From every attempt to the outcome: the best candidate, its verdict, what it all cost. Pure.

use super::Plan;
use super::agreement::Agreement;
use super::round::Attempt;
use crate::task::{Candidate, Finish, Outcome, Status, Trajectory, Usage, Verdict};

/// The outcome of a task from all its rounds.
pub(super) fn outcome(rounds: &[Vec<Attempt>], plan: &Plan, agreement: Option<&Agreement>) -> Outcome {
    let mut notes = Vec::new();
    let best = best(rounds, agreement, &mut notes);
    let last = rounds.last().map_or(&[][..], Vec::as_slice);
    let cancelled = last.iter().any(|attempt| attempt.trajectory.finish == Finish::Cancelled);
    let verdict = best.and_then(|attempt| attempt.verdict.clone());
    let candidate = best.and_then(|attempt| attempt.proposal.as_ref().ok()).cloned();
    // Half a sentence is no answer.
    let words = words(last, plan).filter(|_| !cancelled);
    let status = match (&verdict, &candidate) {
        (Some(Verdict::Passed(_)), _) => Status::Verified,
        _ if cancelled => Status::Cancelled,
        (Some(Verdict::Failed(_)), _) => Status::Failed,
        (_, Some(_)) => Status::Unverified,
        (_, None) if words.is_some() => Status::Unverified,
        (_, None) if last.iter().any(|attempt| cut(&attempt.trajectory)) => Status::LimitReached,
        (_, None) => Status::Failed,
    };
    let answer = match &candidate {
        Some(Candidate::Program { source, .. }) => source.clone(),
        Some(Candidate::Edits { .. }) | None => words.unwrap_or_default(),
    };
    note(&mut notes, status, verdict.as_ref(), last);
    let verdict = verdict.or_else(|| {
        (status == Status::Unverified && candidate.is_none())
            .then(|| Verdict::NothingToCheck { why: "the answer is words, not a program".to_owned() })
    });
    let rounds_played = rounds.len() as u32;
    Outcome { status, candidate, answer, verdict, usage: usage(rounds), rounds: rounds_played, notes }
}

/// An outcome where the prompt leaves no room for an answer.
pub(super) fn no_room(rounds: &[Vec<Attempt>], plan: &Plan, prompt_tokens: u32, context_tokens_max: u32) -> Outcome {
    let note = format!(
        "the prompt has {prompt_tokens} tokens and the model's context {context_tokens_max}: there is no room for an answer; \
         shorten the prompt or use a model with a larger context"
    );
    let mut outcome = outcome(rounds, plan, None);
    if rounds.is_empty() {
        outcome.status = Status::LimitReached;
    }
    outcome.notes.push(note);
    outcome
}

/// Passed before failed, more tests passed before fewer, earlier before later; among unchecked candidates
/// the one that most others agree with.
fn best<'a>(rounds: &'a [Vec<Attempt>], agreement: Option<&Agreement>, notes: &mut Vec<String>) -> Option<&'a Attempt> {
    let rank = |attempt: &Attempt| match &attempt.verdict {
        Some(Verdict::Passed(_)) => (3, 0),
        Some(Verdict::Failed(report)) => (2, report.passed),
        Some(Verdict::NothingToCheck { .. } | Verdict::SandboxFailed { .. }) => (1, 0),
        None => (0, 0),
    };
    let usable: Vec<&Attempt> = rounds.iter().flatten().filter(|attempt| attempt.proposal.is_ok()).collect();
    let top = usable.iter().map(|attempt| rank(attempt)).max()?;
    let tied: Vec<&Attempt> = usable.into_iter().filter(|attempt| rank(attempt) == top).collect();
    if let (1, Some(agreement)) = (top.0, agreement) {
        notes.push(format!(
            "nothing could be checked; of {} candidates {} behave alike on {} generated inputs, one of them was chosen",
            agreement.of, agreement.votes, agreement.inputs
        ));
        return tied.into_iter().find(|attempt| attempt.proposal.as_ref() == Ok(&agreement.chosen));
    }
    if top.0 == 1 && tied.len() > 1 {
        let (chosen, votes) = most_agreed(&tied);
        notes.push(format!(
            "nothing could be run; of {} candidates {votes} are the same program, which was chosen",
            tied.len()
        ));
        return Some(chosen);
    }
    tied.first().copied()
}

/// The first member of the largest group of equal programs, and the group's size.
fn most_agreed<'a>(attempts: &[&'a Attempt]) -> (&'a Attempt, usize) {
    let forms: Vec<Option<String>> =
        attempts.iter().map(|attempt| attempt.proposal.as_ref().ok().map(normal_form)).collect();
    let votes = |at: usize| forms.iter().filter(|form| **form == forms[at]).count();
    let chosen = (0..attempts.len()).max_by_key(|at| (votes(*at), attempts.len() - at));
    let chosen = chosen.expect("invariant: a choice is made among at least one");
    (attempts[chosen], votes(chosen))
}

/// A program without comments, blank lines and spacing: equal forms behave equally.
fn normal_form(candidate: &Candidate) -> String {
    let Candidate::Program { source, .. } = candidate else { return format!("{candidate:?}") };
    source
        .lines()
        .map(|line| line.split_once(" #").map_or(line, |(code, _)| code).trim_end())
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with(['#']))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The prose of a reply to a task that asked for prose.
fn words(last: &[Attempt], plan: &Plan) -> Option<String> {
    let attempt = last.iter().find(|attempt| attempt.proposal.is_err())?;
    let answer = attempt.trajectory.answer().trim();
    (!plan.code && !answer.is_empty()).then(|| answer.to_owned())
}

fn cut(trajectory: &Trajectory) -> bool {
    matches!(trajectory.finish, Finish::AnswerLimit | Finish::ContextFull)
}

fn note(notes: &mut Vec<String>, status: Status, verdict: Option<&Verdict>, last: &[Attempt]) {
    match verdict {
        Some(Verdict::NothingToCheck { why }) => notes.push(format!("not verified: {why}")),
        Some(Verdict::SandboxFailed { step, why }) => {
            notes.push(format!("not verified: the sandbox failed at {step}: {why}"));
        }
        Some(Verdict::Passed(report) | Verdict::Failed(report)) => {
            notes.extend(report.flags.iter().map(|flag| format!("look at this: {flag}")));
        }
        None => {}
    }
    if matches!(status, Status::LimitReached | Status::Failed) && verdict.is_none() {
        let problem = last.iter().find_map(|attempt| attempt.proposal.as_ref().err());
        notes.extend(problem.map(|problem| format!("the last reply could not be used: {problem}")));
    }
}

/// Everything that was decoded; the prompt of a round counts once for all its candidates.
fn usage(rounds: &[Vec<Attempt>]) -> Usage {
    let mut sum = Usage::default();
    for round in rounds {
        for (at, attempt) in round.iter().enumerate() {
            let own = attempt.trajectory.usage;
            if at == 0 {
                sum.prompt_tokens += own.prompt_tokens;
                sum.reused_tokens += own.reused_tokens;
            }
            sum.thinking_tokens += own.thinking_tokens;
            sum.forced_tokens += own.forced_tokens;
            sum.answer_tokens += own.answer_tokens;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::round::tests::{attempt, failed, plan};
    use super::*;
    use crate::reply::FormatProblem;
    use crate::task::FailureKind;

    fn nothing() -> Verdict {
        Verdict::NothingToCheck { why: "no tests".into() }
    }

    #[test]
    fn the_best_so_far_is_kept() {
        let rounds = vec![
            vec![attempt("two", Some(failed(FailureKind::WrongAnswer, 2)))],
            vec![attempt("one", Some(failed(FailureKind::WrongAnswer, 1)))],
        ];
        let outcome = outcome(&rounds, &plan(), None);
        assert_eq!((outcome.status, outcome.answer.as_str(), outcome.rounds), (Status::Failed, "two", 2));
        assert_eq!(outcome.usage.thinking_tokens, 10);
    }

    #[test]
    fn unchecked_candidates_vote() {
        let rounds = vec![vec![
            attempt("a = 1", Some(nothing())),
            attempt("b = 2  # why", Some(nothing())),
            attempt("# c\nb = 2\n", Some(nothing())),
        ]];
        let outcome = outcome(&rounds, &plan(), None);
        assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Unverified, "b = 2  # why"));
        assert!(outcome.notes[0].contains("2 are the same"), "{:?}", outcome.notes);
        assert_eq!(outcome.usage.prompt_tokens, 10, "one prefill for three candidates");
    }

    #[test]
    fn words_answer_a_question_and_a_cut_reply_is_a_limit() {
        let mut prose = attempt("Because.", None);
        prose.proposal = Err(FormatProblem::NoCode);
        let words = Plan { code: false, ..plan() };
        let said = outcome(&[vec![prose.clone()]], &words, None);
        assert_eq!((said.status, said.answer.as_str()), (Status::Unverified, "Because."));
        assert_eq!(outcome(&[vec![prose.clone()]], &plan(), None).status, Status::Failed);
        prose.trajectory.finish = Finish::AnswerLimit;
        prose.proposal = Err(FormatProblem::Truncated);
        assert_eq!(outcome(&[vec![prose.clone()]], &plan(), None).status, Status::LimitReached);
        prose.trajectory.finish = Finish::Cancelled;
        assert_eq!(outcome(&[vec![prose]], &plan(), None).status, Status::Cancelled);
    }

    #[test]
    fn a_pass_outlives_a_cancel_and_a_failure_does_not() {
        let passed = Verdict::Passed(crate::task::Report {
            failed: 0,
            failures: vec![],
            ..failed(FailureKind::Crash, 1).report().unwrap().clone()
        });
        for (verdict, status) in [(passed, Status::Verified), (failed(FailureKind::Crash, 0), Status::Cancelled)] {
            let mut late = attempt("x", Some(verdict));
            late.trajectory.finish = Finish::Cancelled;
            assert_eq!(outcome(&[vec![late]], &plan(), None).status, status);
        }
    }
}
