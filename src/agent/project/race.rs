//! The candidates of one round before the project's check: each judged as soon as its reply is there, a few at a time,
//! on a layer of its own; the first that passes ends the others.
//!
//! Not for: deciding what follows (`rounds.rs`).

use std::path::Path;

use super::attempt::{self, Base, Reply};
use super::{Attempt, Patch, check};
use crate::agent::trials::{Judged, Trials};
use crate::agent::{Agent, Line};
use crate::event::Event;
use crate::reply::paths::Known;
use crate::task::{Finish, Tier, Trajectory, Verdict};
use crate::workspace::tree::Tree;

/// What replies are read and judged against.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) agent: &'a Agent,
    pub(super) tree: &'a Tree,
    pub(super) known: &'a Known,
    pub(super) base: &'a Base,
    /// The command that decides; without one `unchecked` is every change's verdict.
    pub(super) check: Option<&'a str>,
    pub(super) unchecked: &'a Verdict,
    /// Changes that were judged in earlier rounds; they are not judged again.
    pub(super) earlier: &'a [Attempt],
}

/// One round's candidates on their way.
pub(super) struct Race<'a> {
    against: Against<'a>,
    trials: Trials<Patch>,
    asked: Vec<Patch>,
    judged: Vec<(u32, Attempt)>,
}

impl<'a> Race<'a> {
    pub(super) fn new(against: Against<'a>) -> Self {
        Self { against, trials: Trials::new(), asked: Vec::new(), judged: Vec::new() }
    }

    pub(super) fn read(&self, said: &Trajectory) -> Reply {
        attempt::read(said, self.against.tree, self.against.known, self.against.base)
    }

    /// A candidate's reply is there while others still talk: judged now, where it is whole.
    pub(super) async fn finished(&mut self, candidate: u32, said: &Trajectory, line: &mut Line) {
        if said.finish == Finish::EndOfTurn
            && let Reply::Change(patch) = self.read(said)
        {
            self.ask(candidate, patch, line).await;
        }
    }

    /// Judges a change, unless it was judged before or another has passed. Says whether it is a repetition of an
    /// earlier round's.
    pub(super) async fn ask(&mut self, candidate: u32, patch: Patch, line: &mut Line) -> bool {
        if self.against.earlier.iter().any(|earlier| earlier.patch.files == patch.files) {
            return true;
        }
        if self.asked.iter().any(|asked| asked.files == patch.files) {
            return false;
        }
        self.asked.push(patch.clone());
        if self.against.check.is_some() {
            self.trials.ask(candidate, patch);
            self.start(line).await;
        } else {
            self.judged.push((candidate, Attempt { patch, verdict: self.against.unchecked.clone() }));
        }
        false
    }

    async fn start(&mut self, line: &mut Line) {
        let Some(command) = self.against.check else { return };
        while let Some((candidate, patch)) = self.trials.take() {
            let agent = self.against.agent;
            let tier = agent.judge.tier().unwrap_or(Tier::N);
            line.emit(Event::Verifying { candidate, tier, command: command.to_owned() }).await;
            let root: &Path = self.against.tree.root();
            let trial = check::trial(agent, root, command, &patch.files, self.trials.cancel.clone());
            self.trials.start(candidate, patch, trial);
        }
    }

    /// The next trial that ends; `None` where none runs. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Judged<Patch>> {
        self.trials.next().await
    }

    /// Takes a trial's verdict in; says whether it is the one that ends the race.
    pub(super) async fn take(&mut self, judged: Judged<Patch>, line: &mut Line) -> bool {
        let Judged { candidate, what: patch, verdict, counts } = judged;
        line.transcript.judged(candidate, &patch.diff(), &verdict);
        if counts {
            line.emit(Event::Verified { candidate, verdict: verdict.clone() }).await;
            self.judged.push((candidate, Attempt { patch, verdict }));
        }
        self.start(line).await;
        self.trials.winner() == Some(candidate)
    }

    /// Whether one has passed: then nothing of the others is needed.
    pub(super) const fn is_won(&self) -> bool {
        self.trials.winner().is_some()
    }

    pub(super) fn give_up(&mut self) {
        self.trials.give_up();
    }

    /// Waits for what still runs and returns every attempt that was judged, in the order in which they ended.
    pub(super) async fn settle(mut self, line: &mut Line) -> Vec<(u32, Attempt)> {
        let cancel = line.cancel.clone();
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !self.trials.cancel.is_cancelled() => self.give_up(),
                judged = self.next() => match judged {
                    Some(judged) => _ = self.take(judged, line).await,
                    None => return self.judged,
                },
            }
        }
    }
}
