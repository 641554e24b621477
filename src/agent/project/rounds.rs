//! The rounds of a task in a project: reply, judge, ask again, until it is enough; then the user's word.
//!
//! Not for: what is gathered before the first round (`mod.rs`) or writing (`settle.rs`).

use serde::Serialize;

use super::attempt::{self, Base, Reply};
use super::race::{Against, Race};
use super::{Attempt, Patch, Work, look, say};
use crate::agent::conversation::Kind;
use crate::event::Event;
use crate::reply::paths::Known;
use crate::task::{Budget, Finish, Outcome, Trajectory, Verdict};
use crate::verify;

/// Unusable replies in a row after which the task ends.
const UNUSABLE_MAX: u32 = 2;
/// Times that the user may ask again.
const ASKED_AGAIN_MAX: u32 = 5;

/// What a round leads to.
enum Next {
    /// The best attempt so far is to be proposed.
    Enough,
    /// The words that the task ends with.
    Words(String),
    Again {
        varied: bool,
        samples: u32,
    },
    /// There is no room for an answer in the context.
    NoRoom,
}

impl Work<'_> {
    /// Replies until one is enough, then the user's word.
    pub(super) async fn rounds(&mut self) -> anyhow::Result<Outcome> {
        let (mut varied, mut samples) = (false, self.plan.budget.samples);
        let (mut rounds, mut asked) = (0, 0);
        loop {
            match self.round(varied, samples, rounds).await? {
                Next::Again { varied: next_varied, samples: next_samples } if !self.line.cancel.is_cancelled() => {
                    (varied, samples) = (next_varied, next_samples);
                    rounds += 1;
                    if rounds <= self.plan.budget.rounds_max {
                        continue;
                    }
                }
                Next::Words(words) => return Ok(self.outcome_of_words(words)),
                Next::NoRoom => return Ok(self.outcome_without_room()),
                Next::Again { .. } | Next::Enough => {}
            }
            match self.settle().await? {
                Ok(outcome) => return Ok(outcome),
                Err(remark) if asked < ASKED_AGAIN_MAX => {
                    asked += 1;
                    rounds = 0;
                    self.turned_down = self.attempts.len();
                    self.push_remark(&remark)?;
                }
                Err(_) => return Ok(self.outcome_refused()),
            }
        }
    }

    async fn round(&mut self, varied: bool, samples: u32, round: u32) -> anyhow::Result<Next> {
        let budget = Budget { samples, ..self.plan.budget };
        let mut looks = look::Looks::default();
        let known = Known::new(self.tree.listing().paths);
        let (base, unchecked) = (self.base(), self.unchecked());
        loop {
            if let Some(text) = self.compact(0) {
                self.line.emit(Event::Step { text }).await;
            }
            let ask = say::Ask { round, budget, varied };
            let messages = self.session.conversation.messages();
            let mut race = Race::new(Against {
                agent: self.agent,
                tree: self.tree,
                known: &known,
                base: &base,
                check: self.check.as_deref(),
                unchecked: &unchecked,
                earlier: &self.attempts,
            });
            let Some(said) = say::say(self.agent, &self.plan, &messages, ask, &mut race, self.line).await? else {
                return Ok(Next::NoRoom);
            };
            self.said.push(said.clone());
            let replies: Vec<Reply> = said.iter().map(|trajectory| race.read(trajectory)).collect();
            let mut repeated = 0;
            if !self.line.cancel.is_cancelled() {
                for (candidate, reply) in (0..).zip(&replies) {
                    if let Reply::Change(patch) = reply {
                        repeated += u32::from(race.ask(candidate, patch.clone(), self.line).await);
                    }
                }
            }
            let judged = race.settle(self.line).await;
            if said.iter().all(|trajectory| trajectory.finish == Finish::Cancelled) {
                self.attempts.extend(judged.into_iter().map(|(_, attempt)| attempt));
                return Ok(Next::Enough);
            }
            // One candidate that wants to look around is followed; several are judged by what they change.
            if let [Reply::Look(command)] = replies.as_slice()
                && let Some(shown) = looks.take(self, command).await?
            {
                self.push_reply(&said[0], command);
                self.session.conversation.push(Kind::Output, self.number, shown, "");
                continue;
            }
            return self.take(&said, &replies, judged, repeated, round);
        }
    }

    /// The verdict where nothing can be run.
    fn unchecked(&self) -> Verdict {
        match &self.before {
            Some(verdict @ (Verdict::SandboxFailed { .. } | Verdict::NothingToCheck { .. })) => verdict.clone(),
            _ => Verdict::NothingToCheck { why: "the project has no known test command".to_owned() },
        }
    }

    /// What the model builds on: its last attempt, which its conversation shows, where it is told of it in words.
    fn base(&self) -> Base {
        match self.attempts.last() {
            Some(last) if self.agent.traits().retries_in_words => Base::of(&last.patch),
            _ => Base::default(),
        }
    }

    /// Decides what follows from the attempts of a round.
    fn take(
        &mut self,
        said: &[Trajectory],
        replies: &[Reply],
        judged: Vec<(u32, Attempt)>,
        repeated: u32,
        round: u32,
    ) -> anyhow::Result<Next> {
        let best = judged.iter().rev().max_by_key(|(_, attempt)| attempt::rank(&attempt.verdict)).cloned();
        // The best comes last: it is what the conversation shows and what the next attempt builds on.
        let others = judged.into_iter().filter(|(at, _)| best.as_ref().is_none_or(|(best, _)| best != at));
        self.attempts.extend(others.map(|(_, attempt)| attempt));
        self.attempts.extend(best.iter().map(|(_, attempt)| attempt.clone()));
        let (told, redraws) = (self.agent.traits().retries_in_words, self.agent.traits().redraws);
        let again = Next::Again { varied: !told || repeated > 0, samples: if told { 1 } else { redraws.max(1) } };
        if let Some((at, attempt)) = best {
            self.push_reply(&said[at as usize], &attempt.patch.diff());
            if !matches!(attempt.verdict, Verdict::Failed(_)) || round >= self.plan.budget.rounds_max {
                return Ok(Next::Enough);
            }
            self.push_again(Again { feedback: &verify::feedback(&attempt.verdict), ..Again::default() })?;
            return Ok(again);
        }
        self.push_reply(&said[0], attempt::answer_of(&said[0]));
        if repeated > 0 {
            // The same change again: more words will not move it, another draw may.
            let twice = self.said.len() as u32 > UNUSABLE_MAX;
            self.push_again(Again {
                refused: "the change is the same as before, and it was not right",
                ..Again::default()
            })?;
            return Ok(if twice { Next::Enough } else { again });
        }
        self.unusable(&replies[0], again)
    }

    fn unusable(&mut self, reply: &Reply, again: Next) -> anyhow::Result<Next> {
        let (told, words) = match reply {
            Reply::Refused(refused) => (attempt::told(refused), None),
            Reply::Words(words) => {
                ("it holds no change: no file block, no SEARCH/REPLACE block".to_owned(), Some(words))
            }
            _ => ("no more commands are run; write the change, or the answer in words".to_owned(), None),
        };
        if let Some(words) = words.filter(|_| self.question) {
            return Ok(Next::Words(words.clone()));
        }
        let unusable = self.said.len().saturating_sub(self.attempts.len()) as u32;
        if unusable >= UNUSABLE_MAX {
            self.notes.push(format!(
                "the last reply could not be used: {}",
                told.lines().next().unwrap_or("").trim_start_matches("* ")
            ));
            return Ok(match words {
                Some(words) if self.attempts.is_empty() => Next::Words(words.clone()),
                _ => Next::Enough,
            });
        }
        self.push_again(Again { refused: &told, ..Again::default() })?;
        Ok(again)
    }

    /// Judges a change that the user altered.
    pub(super) async fn judge(&mut self, patch: &Patch) -> Verdict {
        let (known, base, unchecked) = (Known::new(Vec::new()), Base::default(), self.unchecked());
        let mut race = Race::new(Against {
            agent: self.agent,
            tree: self.tree,
            known: &known,
            base: &base,
            check: self.check.as_deref(),
            unchecked: &unchecked,
            earlier: &[],
        });
        race.ask(0, patch.clone(), self.line).await;
        let judged = race.settle(self.line).await;
        judged.into_iter().next().map_or(unchecked, |(_, attempt)| attempt.verdict)
    }

    fn push_reply(&mut self, said: &Trajectory, short: &str) {
        if self.agent.traits().retries_in_words {
            let short = if short.trim().is_empty() { attempt::answer_of(said) } else { short };
            self.session.conversation.push(Kind::Reply, self.number, said.text.as_str(), short);
        }
    }

    fn push_again(&mut self, again: Again<'_>) -> anyhow::Result<()> {
        if self.agent.traits().retries_in_words {
            let again = Again { check: self.check.as_deref().unwrap_or(""), ..again };
            let text = self.agent.prompts.render("project_again", again)?;
            self.session.conversation.push(Kind::Output, self.number, text, "");
        }
        Ok(())
    }

    /// The user's remark; a question that the harness had put last gives way to it.
    fn push_remark(&mut self, remark: &str) -> anyhow::Result<()> {
        if self.session.conversation.entries.last().is_some_and(|entry| entry.kind == Kind::Output) {
            self.session.conversation.entries.pop();
        }
        self.push_again(Again { remark, ..Again::default() })
    }
}

/// What `project_again.md` may name.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Again<'a> {
    refused: &'a str,
    feedback: &'a str,
    check: &'a str,
    remark: &'a str,
}
