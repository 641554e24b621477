//! What the attempts so far mean for the next round: enough, draw again, mend the best, or say why a reply was of no
//! use. Pure.
//!
//! Small models mend badly and draw well: what fails is first drawn again, some at a time on the same prompt, without the
//! wrong one in sight; then the best attempt is mended once, never a worse one. A round that brings nothing new ends the
//! task.

use super::attempt::{Attempt, Reply, best};
use crate::task::{Finish, Verdict};

/// What a round is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The task alone.
    Draw { samples: u32 },
    /// The attempt of this number, and what is wrong with it.
    Mend { of: usize },
    /// The attempt of this number, which passes, and what the task asks for beside it.
    Complete { of: usize },
    /// The reply of this number, and why it could not be used.
    Remind { of: usize },
    /// What the model would rather have said at single places of a text; not a round of replies.
    Deviate,
}

/// What a task may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Rounds after the first.
    pub(super) rounds_max: u32,
    /// Candidates of the first round.
    pub(super) samples: u32,
    /// Candidates of a round that draws again.
    pub(super) draws: u32,
    /// Whether it helps to talk about an attempt.
    pub(super) mends: bool,
    /// Whether it helps to say why a reply is of no use.
    pub(super) reminds: bool,
    /// Words are an answer.
    pub(super) words_do: bool,
    /// Whether one mend that brings nothing new still leaves other draws worth their tokens: changes differ more from draw
    /// to draw than programs do.
    pub(super) persists: bool,
    /// Whether it is looked where the model hesitates, once the first replies have failed.
    pub(super) deviates: bool,
    /// Whether only a pass is enough: a check fails now, and a change that it cannot decide about mends nothing.
    pub(super) insists: bool,
}

/// Decides the next round; `None` where it is enough.
pub(super) fn next<W>(attempts: &[Attempt<W>], moves: &[Move], limits: Limits) -> Option<Move> {
    // Deviations are no round of their own: what follows them follows the replies before.
    let Some(last) = moves.iter().rposition(|made| *made != Move::Deviate).map(|at| at as u32) else {
        return Some(Move::Draw { samples: limits.samples });
    };
    let round: Vec<&Attempt<W>> = attempts.iter().filter(|attempt| attempt.round == last).collect();
    let deviated = moves.iter().filter(|made| **made == Move::Deviate).count();
    let ended = round.is_empty()
        || moves.len() - deviated > limits.rounds_max as usize
        || round.iter().all(|attempt| attempt.said.finish == Finish::Cancelled);
    if let Some(of) = half(attempts).filter(|_| !ended && limits.mends) {
        let asked = moves.iter().any(|made| matches!(made, Move::Complete { .. }));
        return (!asked).then_some(Move::Complete { of });
    }
    let over = ended
        || attempts
            .iter()
            .filter_map(|attempt| attempt.verdict.as_ref())
            .any(|verdict| decided(verdict, limits.insists))
        || (limits.words_do && round.iter().any(|attempt| matches!(attempt.reply, Reply::Words(_))));
    if over {
        return None;
    }
    if limits.deviates && moves.len() == 1 {
        return Some(Move::Deviate);
    }
    let drawn = moves.iter().skip(1).filter(|made| matches!(made, Move::Draw { .. })).count();
    let draw = Move::Draw { samples: limits.draws };
    let Some(best) = best(attempts) else {
        // Who repeats what stands there has nothing to be told.
        if drawn == 0 && round.iter().all(|attempt| matches!(attempt.reply, Reply::Unchanged(_))) {
            return Some(draw);
        }
        let reminded = moves.iter().any(|made| matches!(made, Move::Remind { .. }));
        let of = attempts.iter().rposition(|attempt| attempt.round == last && attempt.candidate().is_none());
        return match of {
            Some(of) if limits.reminds && !reminded => Some(Move::Remind { of }),
            // Who never comes to an end does not do so because it is asked once more.
            _ => (drawn == 0 && !round.iter().all(|attempt| attempt.is_cut())).then_some(draw),
        };
    };
    if drawn == 0 {
        return Some(draw);
    }
    let mend = Move::Mend { of: best };
    let failed = attempts[best].verdict.as_ref().is_some_and(|verdict| matches!(verdict, Verdict::Failed(_)));
    if limits.mends && failed && !moves.contains(&mend) {
        return Some(mend);
    }
    let new = round.iter().any(|attempt| attempt.verdict.is_some() && !attempt.repeats);
    let persists = limits.persists && drawn == 1 && matches!(moves.last(), Some(Move::Mend { .. }));
    (new || persists).then_some(draw)
}

/// The best attempt, where it passes and still misses something that the task asks for.
fn half<W>(attempts: &[Attempt<W>]) -> Option<usize> {
    let best = best(attempts)?;
    let passes = attempts[best].verdict.as_ref().is_some_and(Verdict::passed);
    (passes && attempts[best].lacks() > 0).then_some(best)
}

/// Whether nothing is left to do: it holds, or nobody can say whether it does and that is enough.
const fn decided(verdict: &Verdict, insists: bool) -> bool {
    matches!(verdict, Verdict::Passed(_)) || !(insists || matches!(verdict, Verdict::Failed(_)))
}

#[cfg(test)]
mod tests {
    use super::super::attempt::tests::{attempt, failed};
    use super::*;
    use crate::task::FailureKind;

    const LIMITS: Limits = Limits {
        rounds_max: 9,
        samples: 1,
        draws: 2,
        mends: true,
        reminds: true,
        words_do: false,
        persists: false,
        deviates: false,
        insists: false,
    };
    const FIRST: Move = Move::Draw { samples: 1 };
    const AGAIN: Move = Move::Draw { samples: 2 };

    fn wrong(round: u32, what: &'static str, passed: u32) -> Attempt<&'static str> {
        attempt(round, what, Some(failed(FailureKind::WrongAnswer, passed)))
    }

    /// The first wrong answer once more.
    fn same_as(round: u32) -> Attempt<&'static str> {
        Attempt { repeats: true, ..wrong(round, "a", 2) }
    }

    fn unusable(round: u32) -> Attempt<&'static str> {
        Attempt { reply: Reply::Unusable("it holds no code".into()), ..attempt(round, "", None) }
    }

    #[test]
    fn a_wrong_answer_is_drawn_again_and_then_the_best_is_mended_once() {
        let mut attempts = vec![wrong(0, "a", 2)];
        assert_eq!(next(&attempts, &[], LIMITS), Some(FIRST));
        assert_eq!(next(&attempts, &[FIRST], LIMITS), Some(AGAIN));
        attempts.extend([wrong(1, "b", 0), wrong(1, "c", 1)]);
        assert_eq!(next(&attempts, &[FIRST, AGAIN], LIMITS), Some(Move::Mend { of: 0 }), "the best, not the last");
        attempts.push(wrong(2, "d", 3));
        let made = [FIRST, AGAIN, Move::Mend { of: 0 }];
        assert_eq!(next(&attempts, &made, LIMITS), Some(Move::Mend { of: 3 }), "a better one is mended in its turn");
        assert_eq!(next(&attempts, &made, Limits { rounds_max: 2, ..LIMITS }), None);
    }

    #[test]
    fn deviations_come_after_the_first_failure_and_are_no_round() {
        let limits = Limits { deviates: true, rounds_max: 1, ..LIMITS };
        let mut attempts = vec![wrong(0, "a", 2)];
        assert_eq!(next(&attempts, &[], limits), Some(FIRST));
        assert_eq!(next(&attempts, &[FIRST], limits), Some(Move::Deviate));
        // What came of them or did not: it goes on as without them, and no round is lost.
        assert_eq!(next(&attempts, &[FIRST, Move::Deviate], limits), Some(AGAIN));
        attempts.push(wrong(1, "b", 3));
        assert_eq!(next(&attempts, &[FIRST, Move::Deviate], limits), Some(AGAIN));
        attempts.push(wrong(2, "c", 1));
        let made = [FIRST, Move::Deviate, AGAIN];
        assert_eq!(next(&attempts, &made, limits), None, "one round after the first");
        let more = Limits { rounds_max: 2, ..limits };
        assert_eq!(next(&attempts, &made, more), Some(Move::Mend { of: 1 }), "the best, wherever it came from");
        let unread = vec![unusable(0)];
        assert_eq!(next(&unread, &[FIRST], limits), Some(Move::Deviate));
        assert_eq!(next(&unread, &[FIRST, Move::Deviate], limits), Some(Move::Remind { of: 0 }));
    }

    #[test]
    fn where_a_check_fails_what_it_cannot_decide_about_is_not_the_end() {
        let own_tests = || Some(Verdict::NothingToCheck { why: "it passes with its own tests".into() });
        let mut attempts = vec![attempt(0, "a", own_tests())];
        assert_eq!(next(&attempts, &[FIRST], LIMITS), None);
        let limits = Limits { insists: true, ..LIMITS };
        assert_eq!(next(&attempts, &[FIRST], limits), Some(AGAIN));
        attempts.push(attempt(1, "b", own_tests()));
        assert_eq!(next(&attempts, &[FIRST, AGAIN], limits), Some(AGAIN), "there is nothing in it to be mended");
        attempts.push(Attempt { repeats: true, ..attempt(2, "b", own_tests()) });
        assert_eq!(next(&attempts, &[FIRST, AGAIN, AGAIN], limits), None, "nothing new");
    }

    #[test]
    fn a_crash_is_drawn_again_like_any_failure() {
        let crash = vec![attempt(0, "a", Some(failed(FailureKind::Crash, 0)))];
        assert_eq!(next(&crash, &[FIRST], LIMITS), Some(AGAIN));
        let still = vec![crash[0].clone(), attempt(1, "b", Some(failed(FailureKind::Crash, 0)))];
        assert_eq!(next(&still, &[FIRST, AGAIN], LIMITS), Some(Move::Mend { of: 0 }));
        assert_eq!(next(&still, &[FIRST, AGAIN], Limits { mends: false, ..LIMITS }), Some(AGAIN));
    }

    #[test]
    fn a_round_that_brings_nothing_new_is_the_last() {
        let mut same = wrong(1, "a", 2);
        same.repeats = true;
        let attempts = vec![wrong(0, "a", 2), same.clone()];
        assert_eq!(next(&attempts, &[FIRST, AGAIN], Limits { mends: false, ..LIMITS }), None);
        let attempts = vec![wrong(0, "a", 2), same.clone(), Attempt { round: 2, ..same }];
        let made = [FIRST, AGAIN, Move::Mend { of: 0 }];
        assert_eq!(next(&attempts, &made, LIMITS), None);
        // Changes are drawn once more, and that is all.
        let persists = Limits { persists: true, ..LIMITS };
        assert_eq!(next(&attempts, &made, persists), Some(AGAIN));
        let attempts = [attempts, vec![Attempt { round: 3, ..same_as(0) }]].concat();
        assert_eq!(next(&attempts, &[FIRST, AGAIN, Move::Mend { of: 0 }, AGAIN], persists), None);
    }

    #[test]
    fn what_cannot_be_used_is_said_once_drawn_again_once_and_then_it_ends() {
        let mut attempts = vec![unusable(0)];
        assert_eq!(next(&attempts, &[FIRST], LIMITS), Some(Move::Remind { of: 0 }));
        attempts.push(unusable(1));
        let made = [FIRST, Move::Remind { of: 0 }];
        assert_eq!(next(&attempts, &made, LIMITS), Some(AGAIN));
        let mut endless = attempts.clone();
        endless[1].said.finish = Finish::AnswerLimit;
        assert_eq!(next(&endless, &made, LIMITS), None);
        attempts.push(unusable(2));
        assert_eq!(next(&attempts, &[FIRST, Move::Remind { of: 0 }, AGAIN], LIMITS), None);
    }

    #[test]
    fn a_reply_that_repeats_what_stands_there_is_drawn_again_before_anything_is_said() {
        let same = |round| Attempt { reply: Reply::Unchanged("it stands there".into()), ..attempt(round, "", None) };
        assert_eq!(next(&[same(0)], &[FIRST], LIMITS), Some(AGAIN));
        assert_eq!(next(&[same(0), same(1)], &[FIRST, AGAIN], LIMITS), Some(Move::Remind { of: 1 }));
        assert_eq!(next(&[same(0), unusable(0)], &[FIRST], LIMITS), Some(Move::Remind { of: 1 }));
    }

    #[test]
    fn a_pass_that_misses_something_is_completed_once() {
        let passed = Verdict::Passed(failed(FailureKind::Crash, 1).report().unwrap().clone());
        let half = Attempt { missing: vec!["a.h".into()], ..attempt(0, "a", Some(passed.clone())) };
        let attempts = vec![half.clone()];
        assert_eq!(next(&attempts, &[FIRST], LIMITS), Some(Move::Complete { of: 0 }));
        assert_eq!(next(&attempts, &[FIRST], Limits { rounds_max: 0, ..LIMITS }), None);
        let mut attempts = vec![half.clone(), Attempt { round: 1, ..half }];
        assert_eq!(next(&attempts, &[FIRST, Move::Complete { of: 0 }], LIMITS), None, "it is asked for once");
        attempts.push(attempt(1, "b", Some(passed)));
        assert_eq!(best(&attempts), Some(2), "what misses nothing is better");
    }

    #[test]
    fn a_pass_nothing_to_check_words_and_a_cancel_are_enough() {
        let nothing = Verdict::NothingToCheck { why: String::new() };
        assert_eq!(next(&[attempt(0, "a", Some(nothing))], &[FIRST], LIMITS), None);
        let words = Attempt { reply: Reply::Words("Because.".into()), ..attempt(0, "", None) };
        assert_eq!(next(std::slice::from_ref(&words), &[FIRST], Limits { words_do: true, ..LIMITS }), None);
        assert_eq!(next(&[words], &[FIRST], LIMITS), Some(Move::Remind { of: 0 }));
        let mut gone = unusable(0);
        gone.said.finish = Finish::Cancelled;
        assert_eq!(next(&[gone], &[FIRST], LIMITS), None);
    }
}
