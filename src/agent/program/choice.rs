//! From every attempt to the outcome: the best candidate, its verdict, what it all cost. Pure.

use super::agreement::Agreement;
use super::cut;
use crate::agent::Plan;
use crate::agent::attempt::{Attempt, Reply, rank};
use crate::agent::search::Search;
use crate::task::{Candidate, Finish, Outcome, Status, Verdict};

/// The outcome of a task from all its rounds.
pub(super) fn outcome(
    search: &Search<Candidate>,
    plan: &Plan,
    agreement: Option<&Agreement>,
    cancelled: bool,
) -> Outcome {
    let attempts = &search.attempts;
    let mut notes = Vec::new();
    let best = best(attempts, agreement, &mut notes);
    let last: Vec<&Attempt<Candidate>> =
        attempts.iter().filter(|attempt| attempt.round + 1 == search.rounds()).collect();
    let cancelled = cancelled || last.iter().any(|attempt| attempt.said.finish == Finish::Cancelled);
    let verdict = best.and_then(|attempt| attempt.verdict.clone());
    let candidate = best.and_then(Attempt::candidate).cloned();
    // Half a sentence is no answer.
    let words = words(attempts).filter(|_| !cancelled);
    let answers = words.as_ref().is_some_and(|(_, is_answer)| *is_answer || plan.intent.is_question());
    let status = match (&verdict, &candidate) {
        (Some(Verdict::Passed(_)), _) => Status::Verified,
        _ if cancelled => Status::Cancelled,
        (Some(Verdict::Failed(_)), _) => Status::Failed,
        (_, Some(_)) => Status::Unverified,
        (_, None) if answers => Status::Unverified,
        (_, None) if last.iter().any(|attempt| cut(&attempt.said)) => Status::LimitReached,
        (_, None) => Status::Failed,
    };
    let answer = match &candidate {
        Some(Candidate::Program { source, .. }) => source.clone(),
        // What the model said is never kept from the user, also where it is of no use.
        Some(Candidate::Edits { .. }) | None => words.map(|(words, _)| words).unwrap_or_default(),
    };
    note(&mut notes, status, verdict.as_ref(), &last);
    let verdict = verdict.or_else(|| {
        (status == Status::Unverified && candidate.is_none())
            .then(|| Verdict::NothingToCheck { why: "the answer is nothing that is run here".to_owned() })
    });
    let usage = search.usage();
    Outcome { status, candidate, answer, verdict, usage, rounds: search.rounds(), notes }
}

/// Says that the prompt leaves no room for an answer.
pub(super) fn without_room(outcome: &mut Outcome, prompt_tokens: u32, context_tokens_max: u32) {
    if outcome.rounds == 0 {
        outcome.status = Status::LimitReached;
    }
    outcome.notes.push(format!(
        "the prompt has {prompt_tokens} tokens and the model's context {context_tokens_max}: there is no room for an answer; \
         shorten the prompt or use a model with a larger context"
    ));
}

/// Passed before failed, more tests passed before fewer, earlier before later; among unchecked candidates
/// the one that most others agree with.
fn best<'a>(
    attempts: &'a [Attempt<Candidate>],
    agreement: Option<&Agreement>,
    notes: &mut Vec<String>,
) -> Option<&'a Attempt<Candidate>> {
    let rank = |attempt: &Attempt<Candidate>| attempt.verdict.as_ref().map_or((0, 0), rank);
    let usable: Vec<&Attempt<Candidate>> = attempts.iter().filter(|attempt| attempt.candidate().is_some()).collect();
    let top = usable.iter().map(|attempt| rank(attempt)).max()?;
    let tied: Vec<&Attempt<Candidate>> = usable.into_iter().filter(|attempt| rank(attempt) == top).collect();
    if let (2, Some(agreement)) = (top.0, agreement) {
        notes.push(format!(
            "nothing could be checked; of {} candidates {} behave alike on {} generated inputs, one of them was chosen",
            agreement.of, agreement.votes, agreement.inputs
        ));
        return tied.into_iter().find(|attempt| attempt.candidate() == Some(&agreement.chosen));
    }
    if top.0 == 2 && tied.len() > 1 {
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
fn most_agreed<'a>(attempts: &[&'a Attempt<Candidate>]) -> (&'a Attempt<Candidate>, usize) {
    let forms: Vec<Option<String>> = attempts.iter().map(|attempt| attempt.candidate().map(normal_form)).collect();
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

/// The best of what was said without a candidate, and whether it is an answer rather than a reply that went wrong.
fn words(attempts: &[Attempt<Candidate>]) -> Option<(String, bool)> {
    let as_answer = attempts.iter().find_map(|attempt| match &attempt.reply {
        Reply::Words(words) if !words.is_empty() => Some((words.clone(), true)),
        _ => None,
    });
    as_answer.or_else(|| {
        let said = attempts.iter().map(|attempt| super::answer_of(&attempt.said).trim()).find(|text| !text.is_empty());
        said.map(|text| (text.to_owned(), false))
    })
}

fn note(notes: &mut Vec<String>, status: Status, verdict: Option<&Verdict>, last: &[&Attempt<Candidate>]) {
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
        let problem = last.iter().find_map(|attempt| match &attempt.reply {
            Reply::Unusable(why) => Some(why.clone()),
            Reply::Words(_) => Some("it holds no code".to_owned()),
            _ => None,
        });
        notes.extend(problem.map(|problem| format!("the last reply could not be used: {problem}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::attempt::tests::failed;
    use crate::agent::intent::Intent;
    use crate::task::{Budget, FailureKind, Language, Trajectory, Usage};

    fn nothing() -> Verdict {
        Verdict::NothingToCheck { why: "no tests".into() }
    }

    fn attempt(round: u32, source: &str, verdict: Option<Verdict>) -> Attempt<Candidate> {
        let mut said = Trajectory::ended(source);
        said.usage = Usage { prompt_tokens: 10, thinking_tokens: 5, ..Usage::default() };
        let reply = Reply::Candidate(Candidate::Program { language: Language::Python, source: source.to_owned() });
        Attempt {
            round,
            said,
            reply,
            is_variant: false,
            verdict,
            repeats: false,
            missing: Vec::new(),
            tail: Vec::new(),
        }
    }

    fn of(attempts: Vec<Attempt<Candidate>>, plan: &Plan) -> Outcome {
        let mut search = Search::new(&Budget::default());
        search.attempts = attempts;
        search.replies = search.attempts.len() as u32;
        search.played(1 + search.attempts.iter().map(|attempt| attempt.round).max().unwrap_or(0));
        outcome(&search, plan, None, false)
    }

    fn plan() -> Plan {
        Plan::bare_for_tests()
    }

    #[test]
    fn the_best_so_far_is_kept() {
        let outcome = of(
            vec![
                attempt(0, "two", Some(failed(FailureKind::WrongAnswer, 2))),
                attempt(1, "one", Some(failed(FailureKind::WrongAnswer, 1))),
            ],
            &plan(),
        );
        assert_eq!((outcome.status, outcome.answer.as_str(), outcome.rounds), (Status::Failed, "two", 2));
        assert_eq!(outcome.usage.thinking_tokens, 10);
    }

    #[test]
    fn unchecked_candidates_vote() {
        let outcome = of(
            vec![
                attempt(0, "a = 1", Some(nothing())),
                attempt(0, "b = 2  # why", Some(nothing())),
                attempt(0, "# c\nb = 2\n", Some(nothing())),
            ],
            &plan(),
        );
        assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Unverified, "b = 2  # why"));
        assert!(outcome.notes[0].contains("2 are the same"), "{:?}", outcome.notes);
        assert_eq!(outcome.usage.prompt_tokens, 10, "one prefill for three candidates");
    }

    #[test]
    fn what_was_said_is_never_kept_from_the_user() {
        let said = |reply, finish| {
            let mut attempt = attempt(0, "Because.", None);
            (attempt.reply, attempt.said.finish) = (reply, finish);
            vec![attempt]
        };
        let words = || Reply::Words("Because.".to_owned());
        let unusable = || Reply::Unusable("it holds no code".to_owned());
        for (reply, finish, status) in [
            (words(), Finish::EndOfTurn, Status::Unverified),
            (unusable(), Finish::EndOfTurn, Status::Failed),
            (unusable(), Finish::AnswerLimit, Status::LimitReached),
        ] {
            let outcome = of(said(reply, finish), &plan());
            assert_eq!((outcome.status, outcome.answer.as_str()), (status, "Because."));
        }
        assert_eq!(of(said(unusable(), Finish::Cancelled), &plan()).status, Status::Cancelled);
        let question = Plan { intent: Intent::question("it asks"), ..plan() };
        assert_eq!(of(said(unusable(), Finish::AnswerLimit), &question).status, Status::Unverified);
    }

    #[test]
    fn a_pass_outlives_a_cancel_and_a_failure_does_not() {
        let passed = Verdict::Passed(crate::task::Report {
            failed: 0,
            failures: vec![],
            ..failed(FailureKind::Crash, 1).report().unwrap().clone()
        });
        for (verdict, status) in [(passed, Status::Verified), (failed(FailureKind::Crash, 0), Status::Cancelled)] {
            let mut late = attempt(0, "x", Some(verdict));
            late.said.finish = Finish::Cancelled;
            assert_eq!(of(vec![late], &plan()).status, status);
        }
    }
}
