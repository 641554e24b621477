//! What a round's attempts mean for the next one: stop, repair, think again, or remind of the format. Pure.
//!
//! Crashes are repaired with the traceback (at most twice in a row), wrong answers are thought through
//! again, wider and varied; a reply without code is reminded once.

use super::Plan;
use super::round::Attempt;
use super::settings::{FORMAT_PROBLEMS_MAX, REPAIRS_MAX, RESAMPLES_MAX};
use crate::prompt::conversation::Revision;
use crate::reply::FormatProblem;
use crate::task::{Candidate, Finish, Language, Verdict};

/// What comes after a round.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    Enough,
    Revise {
        why: Revision,
        code: String,
        language: Language,
        verdict: Verdict,
        samples: u32,
        /// Twice the thinking of the round before.
        wider: bool,
    },
    Remind {
        reply: String,
        problem: FormatProblem,
    },
}

/// Decides from every attempt so far; the last element is the last round.
pub(super) fn next(rounds: &[Vec<Attempt>], plan: &Plan) -> Next {
    let Some(last) = rounds.last() else { return Next::Enough };
    let passed = last.iter().any(|attempt| attempt.verdict.as_ref().is_some_and(Verdict::passed));
    let cancelled = last.iter().any(|attempt| attempt.trajectory.finish == Finish::Cancelled);
    if passed || cancelled || last.is_empty() {
        return Next::Enough;
    }
    match best_failed(last) {
        Some((attempt, candidate, verdict)) => revise(rounds, attempt, candidate, verdict),
        None => remind(rounds, last, plan),
    }
}

fn revise(rounds: &[Vec<Attempt>], attempt: &Attempt, candidate: &Candidate, verdict: &Verdict) -> Next {
    let Candidate::Program { language, source } = candidate else { return Next::Enough };
    let crashes_before =
        rounds.iter().rev().skip(1).take_while(|round| best_failed(round).is_some_and(|(_, _, v)| crashed(v))).count();
    let seen_before =
        rounds[..rounds.len() - 1].iter().flatten().any(|earlier| earlier.proposal.as_ref().ok() == Some(candidate));
    // The same code again, or a third traceback: another patch will not do it.
    let repair = crashed(verdict) && (crashes_before as u32) < REPAIRS_MAX && !seen_before;
    let samples = if repair { 1 } else { (attempt.of * 2).clamp(2, RESAMPLES_MAX) };
    Next::Revise {
        why: if crashed(verdict) { Revision::Crash } else { Revision::Wrong },
        code: source.clone(),
        language: *language,
        verdict: verdict.clone(),
        samples,
        wider: !repair,
    }
}

fn remind(rounds: &[Vec<Attempt>], last: &[Attempt], plan: &Plan) -> Next {
    let unusable = |round: &Vec<Attempt>| round.iter().all(|attempt| attempt.proposal.is_err());
    let in_a_row = rounds.iter().rev().take_while(|round| unusable(round)).count() as u32;
    let Some((attempt, problem)) = last.iter().find_map(|a| Some((a, a.proposal.as_ref().err()?))) else {
        return Next::Enough;
    };
    // Words are a fine answer to a task that asks for words.
    let words_will_do = !plan.code && matches!(problem, FormatProblem::NoCode);
    if !unusable(&last.to_vec()) || words_will_do || in_a_row >= FORMAT_PROBLEMS_MAX {
        return Next::Enough;
    }
    Next::Remind { reply: attempt.trajectory.answer().to_owned(), problem: problem.clone() }
}

/// The attempt that failed its checks with the most of them passed.
fn best_failed(round: &[Attempt]) -> Option<(&Attempt, &Candidate, &Verdict)> {
    round
        .iter()
        .filter_map(|attempt| {
            let (Ok(candidate), Some(verdict @ Verdict::Failed(report))) = (&attempt.proposal, &attempt.verdict) else {
                return None;
            };
            Some((report.passed, (attempt, candidate, verdict)))
        })
        .rev()
        .max_by_key(|(passed, _)| *passed)
        .map(|(_, found)| found)
}

/// Whether every failure is one that a traceback explains.
fn crashed(verdict: &Verdict) -> bool {
    verdict.report().is_some_and(|report| {
        !report.failures.is_empty() && report.failures.iter().all(|failure| failure.kind.is_crash())
    })
}

#[cfg(test)]
mod tests {
    use super::super::round::tests::{attempt, failed, plan};
    use super::*;
    use crate::task::FailureKind;

    #[track_caller]
    fn why(rounds: &[Vec<Attempt>]) -> Option<(Revision, u32, bool)> {
        match next(rounds, &plan()) {
            Next::Revise { why, samples, wider, .. } => Some((why, samples, wider)),
            Next::Enough => None,
            Next::Remind { .. } => panic!("a reminder"),
        }
    }

    #[test]
    fn crashes_are_repaired_twice_and_then_thought_again() {
        let crash = |source: &str| vec![attempt(source, Some(failed(FailureKind::Crash, 0)))];
        let mut rounds = vec![crash("a")];
        assert_eq!(why(&rounds), Some((Revision::Crash, 1, false)));
        rounds.push(crash("b"));
        assert_eq!(why(&rounds), Some((Revision::Crash, 1, false)));
        rounds.push(crash("c"));
        assert_eq!(why(&rounds), Some((Revision::Crash, 2, true)));
        let same = vec![crash("a"), crash("a")];
        assert_eq!(why(&same), Some((Revision::Crash, 2, true)));
    }

    #[test]
    fn wrong_answers_are_resampled_wider() {
        let rounds = vec![vec![attempt("a", Some(failed(FailureKind::WrongAnswer, 1)))]];
        assert_eq!(why(&rounds), Some((Revision::Wrong, 2, true)));
    }

    #[test]
    fn the_best_of_a_round_is_revised() {
        let rounds = vec![vec![
            attempt("worse", Some(failed(FailureKind::WrongAnswer, 1))),
            attempt("better", Some(failed(FailureKind::WrongAnswer, 3))),
        ]];
        let Next::Revise { code, .. } = next(&rounds, &plan()) else { panic!("a revision") };
        assert_eq!(code, "better");
    }

    #[test]
    fn a_format_problem_is_reminded_once() {
        let mut bad = attempt("", None);
        bad.proposal = Err(FormatProblem::NoCode);
        let rounds = vec![vec![bad.clone()]];
        assert!(matches!(next(&rounds, &plan()), Next::Remind { problem: FormatProblem::NoCode, .. }));
        let twice = vec![vec![bad.clone()], vec![bad.clone()]];
        assert_eq!(next(&twice, &plan()), Next::Enough);
        let words = Plan { code: false, ..plan() };
        assert_eq!(next(&rounds, &words), Next::Enough);
    }

    #[test]
    fn nothing_to_check_and_a_broken_sandbox_end_the_task() {
        let nothing = Verdict::NothingToCheck { why: String::new() };
        let broken = Verdict::SandboxFailed { step: String::new(), why: String::new() };
        for verdict in [nothing, broken] {
            assert_eq!(next(&[vec![attempt("a", Some(verdict))]], &plan()), Next::Enough);
        }
    }
}
