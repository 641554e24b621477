//! Several candidates before the judge: a few at a time, ended by the first that passes.
//!
//! Not for: what is judged and how (the caller makes the futures), nor for telling anybody.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::JoinSet;

use super::Line;
use super::settings::judged_at_once;
use crate::cancel::Cancel;
use crate::event::Command;
use crate::task::Verdict;

/// The trials of one round. `T` is what is judged.
pub(super) struct Trials<T> {
    running: JoinSet<(u32, T, Verdict)>,
    waiting: VecDeque<(u32, T)>,
    /// Ends every trial that runs.
    pub(super) cancel: Cancel,
    winner: Option<u32>,
}

/// One that ended.
#[derive(Debug)]
pub(super) struct Judged<T> {
    pub(super) candidate: u32,
    pub(super) what: T,
    pub(super) verdict: Verdict,
    /// It ran to its end. A trial that was cut short because another passed says nothing.
    pub(super) counts: bool,
}

impl<T: Send + 'static> Trials<T> {
    pub(super) fn new() -> Self {
        Self { running: JoinSet::new(), waiting: VecDeque::new(), cancel: Cancel::new(), winner: None }
    }

    /// Puts a candidate in line, unless one has passed already.
    pub(super) fn ask(&mut self, candidate: u32, what: T) {
        if self.winner.is_none() && !self.cancel.is_cancelled() {
            self.waiting.push_back((candidate, what));
        }
    }

    /// The next in line, where there is room for another trial.
    pub(super) fn take(&mut self) -> Option<(u32, T)> {
        if self.running.len() < judged_at_once() { self.waiting.pop_front() } else { None }
    }

    /// Starts the trial of what [`Trials::take`] gave.
    pub(super) fn start(&mut self, candidate: u32, what: T, trial: impl Future<Output = Verdict> + Send + 'static) {
        self.running.spawn(async move {
            let verdict = trial.await;
            (candidate, what, verdict)
        });
    }

    /// The next trial that ends; `None` where none runs. One that passes ends the others where it is `enough`. Cancel safe.
    pub(super) async fn next(&mut self, enough: impl Fn(&T) -> bool) -> Option<Judged<T>> {
        let ended = self.running.join_next().await?;
        let (candidate, what, verdict) = ended.expect("invariant: a trial neither panics nor is aborted");
        let first = verdict.passed() && self.winner.is_none() && enough(&what);
        let counts = verdict.passed() || !self.cancel.is_cancelled();
        if first {
            self.winner = Some(candidate);
            self.give_up();
        }
        Some(Judged { candidate, what, verdict, counts })
    }

    /// The same, hearing meanwhile whether the task is cancelled: that ends them all.
    pub(super) async fn next_hearing(&mut self, line: &mut Line, enough: impl Fn(&T) -> bool) -> Option<Judged<T>> {
        let cancel = line.cancel.clone();
        let mut cancelled = false;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.give_up();
                }
                command = line.command() => if command == Command::Cancel { cancel.cancel() },
                judged = self.next(&enough) => return judged,
            }
        }
    }

    /// Whether one runs.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// Ends what runs and forgets what waits.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
        self.cancel.cancel();
    }

    /// The candidate that passed first.
    pub(super) const fn winner(&self) -> Option<u32> {
        self.winner
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Report, Tier};

    fn report() -> Report {
        let (command, failures, flags) = (String::new(), Vec::new(), Vec::new());
        Report { command, passed: 1, failed: 0, failures, tier: Tier::L, wall_ms: 0, flags }
    }

    #[tokio::test]
    async fn the_first_pass_ends_the_others_and_what_waits_is_forgotten() {
        let mut trials = Trials::new();
        (0..5).for_each(|candidate| trials.ask(candidate, candidate));
        let mut started = 0;
        while let Some((candidate, what)) = trials.take() {
            let cancel = trials.cancel.clone();
            trials.start(candidate, what, async move {
                if candidate == 0 {
                    return Verdict::Passed(report());
                }
                cancel.cancelled().await;
                Verdict::Failed(report())
            });
            started += 1;
        }
        assert!((1..=judged_at_once()).contains(&started), "bounded: {started}");
        let first = trials.next(|_| true).await.unwrap();
        assert_eq!((first.candidate, first.counts, trials.winner()), (0, true, Some(0)));
        while let Some(other) = trials.next(|_| true).await {
            assert!(!other.counts);
        }
        trials.ask(9, 9);
        assert!(trials.take().is_none());
    }

    #[tokio::test]
    async fn a_pass_that_is_not_enough_ends_nothing() {
        let mut trials = Trials::new();
        for candidate in 0..2 {
            trials.start(candidate, candidate, async { Verdict::Passed(report()) });
        }
        let mut winners = Vec::new();
        while let Some(judged) = trials.next(|what| *what == 1).await {
            assert!(judged.counts);
            winners.extend(trials.winner());
        }
        assert!(!winners.is_empty() && winners.iter().all(|winner| *winner == 1), "{winners:?}");
    }
}
