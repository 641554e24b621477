//! What the replies of a task came to, and the one order among them. Pure.
//!
//! Not for: reading replies or judging candidates; those differ by the kind of task ([`super::kind::Kind`]).

use crate::prompt::Message;
use crate::task::{FailureKind, Finish, Trajectory, Usage, Verdict};
use crate::verify;

/// What a reply turned out to be. `W` is what is judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply<W> {
    Candidate(W),
    /// It wants to see what a command prints.
    Look(String),
    /// An answer that nothing here can run: words, or code of a language without a runner.
    Words(String),
    /// It was meant as an answer and cannot be used; says why, in words for the model.
    Unusable(String),
    /// What it proposes stands there already; says so, in words for the model.
    Unchanged(String),
}

impl<W> Reply<W> {
    pub(super) const fn candidate(&self) -> Option<&W> {
        if let Self::Candidate(what) = self { Some(what) } else { None }
    }
}

/// One reply with what became of it.
#[derive(Clone, Debug)]
pub(super) struct Attempt<W> {
    pub(super) round: u32,
    pub(super) said: Trajectory,
    pub(super) reply: Reply<W>,
    /// The candidate is not just what the reply proposes: a part of it, or with what it left out.
    pub(super) is_variant: bool,
    /// `None` where nothing was judged.
    pub(super) verdict: Option<Verdict>,
    /// An earlier attempt had proposed the same; the verdict is that one's.
    pub(super) repeats: bool,
    /// What the task asks to have changed and this leaves as it is.
    pub(super) missing: Vec<String>,
    /// The turns after the task's opening that it answers.
    pub(super) tail: Vec<Message>,
}

impl<W> Attempt<W> {
    pub(super) const fn candidate(&self) -> Option<&W> {
        self.reply.candidate()
    }

    /// What a compiler warns of where it passes and that may show a mistake.
    pub(super) fn doubts(&self) -> impl Iterator<Item = &str> {
        let passed = self.verdict.as_ref().filter(|verdict| verdict.passed()).and_then(Verdict::report);
        let flags = passed.into_iter().flat_map(|report| &report.flags).map(String::as_str);
        flags.filter(|flag| verify::is_doubt(flag))
    }

    /// How much is left to do where it passes.
    pub(super) fn lacks(&self) -> usize {
        self.missing.len() + self.doubts().count()
    }

    /// Whether it was cut by a limit.
    pub(super) const fn is_cut(&self) -> bool {
        matches!(self.said.finish, Finish::AnswerLimit | Finish::ContextFull | Finish::Loop)
    }
}

/// More than any run has failures.
const PASSED_WORTH: i64 = 1 << 24;

/// How good a verdict is; the greater the better.
pub(super) type Rank = (u8, i64);

/// How good a verdict is: passed, then nothing known against it, then by what passed, then by what failed.
pub(super) fn rank(verdict: &Verdict) -> Rank {
    match verdict {
        Verdict::Passed(_) => (3, 0),
        Verdict::NothingToCheck { .. } | Verdict::SandboxFailed { .. } => (2, 0),
        // What does not even start has one failure; what passes two of seven has five, and is better.
        Verdict::Failed(report) => (1, i64::from(report.passed) * PASSED_WORTH - i64::from(report.failed)),
    }
}

/// The best attempt that was judged: by [`rank`], of equals one that misses nothing, and of these the first, which was
/// made with the least said against it.
pub(super) fn best<W>(attempts: &[Attempt<W>]) -> Option<usize> {
    let ranked = attempts.iter().enumerate().filter_map(|(at, attempt)| {
        attempt.candidate()?;
        Some((rank(attempt.verdict.as_ref()?), std::cmp::Reverse(attempt.lacks()), std::cmp::Reverse(at)))
    });
    ranked.max().map(|(_, _, at)| at.0)
}

/// Everything that was decoded; the prompt of a round counts once for all its candidates.
pub(super) fn usage<W>(attempts: &[Attempt<W>]) -> Usage {
    let mut sum = Usage::default();
    let mut round = None;
    for attempt in attempts {
        let own = attempt.said.usage;
        let first = round.replace(attempt.round) != Some(attempt.round);
        sum += if first { own } else { own.without_prompt() };
    }
    sum
}

/// Whether every failure is one that a traceback explains.
pub(super) fn crashed(verdict: &Verdict) -> bool {
    verdict.report().is_some_and(|report| {
        !report.failures.is_empty() && report.failures.iter().all(|failure| failure.kind.is_crash())
    })
}

/// The verdict that stands for what most attempts could not be built for, the newest of those that say the same. `known`
/// is what was said before the first: what stands there is nothing new.
pub(super) fn common_build_failure<'a, W>(attempts: &'a [Attempt<W>], known: &str) -> Option<&'a Verdict> {
    let says = |verdict: &'a Verdict| -> Option<&'a str> {
        let first = verdict.report()?.failures.first().filter(|failure| failure.kind == FailureKind::Syntax)?;
        first.got.lines().next().filter(|line| !line.trim().is_empty() && !known.contains(line.trim()))
    };
    let broken: Vec<(&str, &Verdict)> = attempts
        .iter()
        .filter_map(|attempt| attempt.verdict.as_ref())
        .filter_map(|verdict| Some((says(verdict)?, verdict)))
        .collect();
    let often = |line: &str| broken.iter().filter(|(other, _)| *other == line).count();
    broken.iter().max_by_key(|(line, _)| often(line)).map(|(_, verdict)| *verdict)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::task::{Failure, FailureKind, Report, Tier};

    pub(in super::super) fn failed(kind: FailureKind, passed: u32) -> Verdict {
        let failure = Failure { kind, name: "t".into(), got: "g".into(), expected: None, frame: None };
        Verdict::Failed(Report {
            command: "c".into(),
            passed,
            failed: 1,
            failures: vec![failure],
            tier: Tier::L,
            wall_ms: 1,
            flags: vec![],
        })
    }

    pub(in super::super) fn attempt(round: u32, what: &'static str, verdict: Option<Verdict>) -> Attempt<&'static str> {
        let mut said = Trajectory::ended(what);
        said.usage = Usage { prompt_tokens: 10, thinking_tokens: 5, ..Usage::default() };
        let (reply, missing, tail) = (Reply::Candidate(what), Vec::new(), Vec::new());
        Attempt { round, said, reply, is_variant: false, verdict, repeats: false, missing, tail }
    }

    #[test]
    fn one_order_and_the_first_of_equals() {
        let wrong = |round, what, passed| attempt(round, what, Some(failed(FailureKind::WrongAnswer, passed)));
        assert_eq!(best(&[wrong(0, "a", 1), wrong(1, "b", 3), wrong(1, "c", 3)]), Some(1));
        let unknown = attempt(2, "d", Some(Verdict::NothingToCheck { why: String::new() }));
        assert_eq!(best(&[wrong(0, "a", 9), unknown]), Some(1), "what is known to be wrong is worse");
        assert_eq!(best(&[attempt(0, "a", None)]), None);
        // One failure that stands for all, and five beside what passes.
        let mut partly = wrong(1, "b", 2);
        if let Some(Verdict::Failed(report)) = &mut partly.verdict {
            report.failed = 5;
        }
        assert_eq!(best(&[attempt(0, "a", Some(failed(FailureKind::Syntax, 0))), partly]), Some(1));
    }

    #[test]
    fn a_round_has_one_prefill() {
        let sum = usage(&[attempt(0, "a", None), attempt(1, "b", None), attempt(1, "c", None)]);
        assert_eq!((sum.prompt_tokens, sum.thinking_tokens), (20, 15));
    }
}
