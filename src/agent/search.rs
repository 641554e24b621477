//! The loop of every task, to be read aloud: a round is played, its attempts decide the next, until it is enough.
//!
//! A program of its own and a change in a project are two [`Kind`]s of the same round: they differ in how a reply is
//! read, how a candidate is judged, and in what is said about one that failed. `policy.rs` decides what follows,
//! `round.rs` plays, `purse.rs` keeps what it all may cost.

use super::attempt::{Attempt, Reply, best};
use super::deviate;
use super::kind::Kind;
use super::policy::{self, Limits, Move};
use super::purse::Purse;
use super::round::{self, Ask, Drawing};
use super::talk::Talk;
use super::ways::Ways;
use super::{Agent, Line, Plan};
use crate::complexity::budget::fit;
use crate::engine::SessionId;
use crate::event::Event;
use crate::prompt::Message;
use crate::task::{Budget, Effort, FailureKind, Report, Trajectory, Usage, Verdict};

/// The part of what is left of a task's allowance that deviations may take.
const DEVIATE_SHARE: f32 = 0.5;

/// What every round is played with.
#[derive(Clone, Copy)]
pub(super) struct With<'a> {
    pub(super) agent: &'a Agent,
    pub(super) plan: &'a Plan,
}

/// A task's rounds so far.
#[derive(Debug)]
pub(super) struct Search<W> {
    pub(super) attempts: Vec<Attempt<W>>,
    moves: Vec<Move>,
    pub(super) purse: Purse,
    /// Every reply, looks included.
    pub(super) replies: u32,
    /// What the replies cost that only asked to see something, and deviations that came to nothing.
    aside: Usage,
}

/// How a search came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Enough,
    /// The prompt has so many tokens and leaves no room for an answer.
    NoRoom(u32),
    /// Another round would cost more than the task may.
    Spent,
}

impl<W: Clone + PartialEq + std::fmt::Debug + Send + 'static> Search<W> {
    pub(super) fn new(budget: &Budget) -> Self {
        Self { attempts: Vec::new(), moves: Vec::new(), purse: Purse::new(budget), replies: 0, aside: Usage::default() }
    }

    /// Begins anew for what the user asks for next; what was tried is forgotten.
    pub(super) fn again(&mut self) {
        self.moves.clear();
        self.attempts.clear();
        self.aside = Usage::default();
        self.purse = self.purse.filled();
    }

    /// Rounds played, without deviations of which nothing came.
    pub(super) fn rounds(&self) -> u32 {
        let counts = |(at, made): &(u32, &Move)| {
            **made != Move::Deviate || self.attempts.iter().any(|attempt| attempt.round == *at)
        };
        (0..).zip(&self.moves).filter(counts).count() as u32
    }

    /// What all of it cost: the attempts, looks, and deviations that came to nothing.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = super::attempt::usage(&self.attempts);
        usage += self.aside;
        usage
    }

    #[cfg(test)]
    pub(super) fn played(&mut self, rounds: u32) {
        self.moves = vec![Move::Draw { samples: 1 }; rounds as usize];
    }

    pub(super) fn best(&self) -> Option<&Attempt<W>> {
        best(&self.attempts).map(|at| &self.attempts[at])
    }

    /// What the user should know of a pass that was found by deviations: the check chose it among many.
    pub(super) fn remark(&self) -> Option<String> {
        let best = self.best().filter(|best| best.verdict.as_ref().is_some_and(Verdict::passed))?;
        let found = self.moves.get(best.round as usize) == Some(&Move::Deviate);
        found.then(|| "it is one of several variants, and the check alone chose it: read it once".to_owned())
    }

    /// Plays rounds until it is enough.
    ///
    /// # Errors
    /// Where the engine broke.
    pub(super) async fn run<K: Kind<What = W>>(
        &mut self,
        with: With<'_>,
        kind: &mut K,
        talk: &mut Talk<'_>,
        line: &mut Line,
    ) -> anyhow::Result<End> {
        let limits = limits(with, kind);
        while let Some(next) = policy::next(&self.attempts, &self.moves, limits) {
            let Some(next) = self.paid_for(next) else { return Ok(End::Spent) };
            if line.cancel.is_cancelled() {
                break;
            }
            if next == Move::Deviate {
                self.deviate(with, kind, talk, line).await?;
            } else if let Some(prompt_tokens) = self.round(next, with, kind, talk, line).await? {
                return Ok(End::NoRoom(prompt_tokens));
            }
        }
        Ok(End::Enough)
    }

    /// The move with as many replies as are still paid for; `None` where none is. The first reply always is.
    fn paid_for(&self, next: Move) -> Option<Move> {
        if self.moves.is_empty() {
            return Some(next);
        }
        match next {
            Move::Draw { samples } => {
                let paid = (1..=samples).rev().find(|replies| self.purse.has_for(*replies))?;
                Some(Move::Draw { samples: paid })
            }
            other => self.purse.has_for(1).then_some(other),
        }
    }

    /// What the model would rather have said, in the place of replies.
    async fn deviate<K: Kind<What = W>>(
        &mut self,
        with: With<'_>,
        kind: &K,
        talk: &Talk<'_>,
        line: &mut Line,
    ) -> anyhow::Result<()> {
        let round = self.moves.len() as u32;
        let bases = kind.bases(&self.attempts);
        self.moves.push(Move::Deviate);
        if bases.is_empty() {
            return Ok(());
        }
        let ask = deviate::Ask {
            round,
            session: talk.log(),
            prompt: with.agent.render(&talk.messages(&[]))?,
            time_left: self.purse.time_left().map(|left| left.mul_f32(DEVIATE_SHARE)),
            tokens_left: (self.purse.left() as f32 * DEVIATE_SHARE) as u32,
        };
        let at = round::At { with, kind, earlier: &self.attempts, on: None, tail: &[] };
        let (played, cost) = deviate::play(&at, &ask, &bases, line).await?;
        // They are no replies: how long a reply is, they do not say.
        self.purse.spend(cost.answer_tokens, 0, played.spoken, played.decoded);
        if played.attempts.is_empty() {
            self.aside += cost.without_prompt();
        }
        self.attempts.extend(played.attempts);
        Ok(())
    }

    /// One round, with the commands that it wants to see the output of. `Some` where its prompt of so many tokens leaves
    /// no room for an answer.
    async fn round<K: Kind<What = W>>(
        &mut self,
        next: Move,
        with: With<'_>,
        kind: &mut K,
        talk: &mut Talk<'_>,
        line: &mut Line,
    ) -> anyhow::Result<Option<u32>> {
        let mut begun = with.plan.prefix.clone();
        let mut warning = String::new();
        let (tail, on) = match next {
            Move::Draw { .. } => {
                warning = kind.warning(&self.attempts)?;
                (Vec::new(), None)
            }
            Move::Mend { of } => (kind.mend(&self.attempts[of])?, self.attempts[of].candidate().cloned()),
            Move::Complete { of } => {
                let (tail, words) = kind.complete(&self.attempts[of])?;
                begun = words;
                (tail, self.attempts[of].candidate().cloned())
            }
            Move::Deviate => unreachable!("invariant: it is no round of replies"),
            Move::Remind { of } => {
                let why = match &self.attempts[of].reply {
                    Reply::Unusable(why) | Reply::Unchanged(why) => why.clone(),
                    Reply::Words(_) => "it holds words and no code".to_owned(),
                    _ => "no more commands are run; write the answer".to_owned(),
                };
                (kind.remind(&self.attempts[of], &why)?, None)
            }
        };
        let round = self.moves.len() as u32;
        let mut samples = if let Move::Draw { samples } = next { samples.max(1) } else { 1 };
        loop {
            let (ask, prompt_tokens) = self.ask((next, samples), (&tail, &warning, &begun), with, talk, line).await?;
            let Some(ask) = ask else { return Ok(Some(prompt_tokens)) };
            let at = round::At { with, kind, earlier: &self.attempts, on: on.as_ref(), tail: &tail };
            let played = round::play(&at, &Ask { session: talk.log(), round, ..ask }, line).await?;
            let tokens = played.attempts.iter().map(|attempt| attempt.said.usage.generated_tokens()).sum();
            self.purse.spend(tokens, played.attempts.len() as u32, played.spoken, played.decoded);
            self.replies += played.attempts.len() as u32;
            // Who proposes nothing and wants to see something is shown it; that is no round.
            if let Some((said, command)) = wish_to_look(&played.attempts)
                && !line.cancel.is_cancelled()
                && let Some(shown) = kind.look(command, line).await?
            {
                talk.push_look(said, command, &shown);
                self.aside += super::attempt::usage(&played.attempts).without_prompt();
                samples = 1;
                continue;
            }
            self.attempts.extend(played.attempts);
            self.moves.push(next);
            return Ok(None);
        }
    }

    /// The request for a round, fitted to the context and the purse; `None` and the prompt's tokens where there is no
    /// room.
    async fn ask(
        &self,
        (next, samples): (Move, u32),
        (tail, warning, begun): (&[Message], &str, &str),
        With { agent, plan }: With<'_>,
        talk: &mut Talk<'_>,
        line: &mut Line,
    ) -> anyhow::Result<(Option<Ask>, u32)> {
        if let Some(text) = talk.make_room(agent, plan, tail) {
            line.emit(Event::Step { text }).await;
        }
        let mut messages = talk.messages(tail);
        if let Some(last) = messages.last_mut().filter(|_| !warning.is_empty()) {
            last.content = format!("{}\n\n{warning}", last.content.trim_end());
        }
        let mut prompt = agent.render(&messages)?;
        let drawing = match next {
            Move::Draw { .. } if self.moves.is_empty() => Drawing::First,
            Move::Draw { .. } => Drawing::Varied,
            Move::Mend { .. } | Move::Complete { .. } | Move::Remind { .. } | Move::Deviate => Drawing::Careful,
        };
        // Where the form that was begun led to nothing, the model begins as it likes; and who begins as before writes the
        // same again. Who asks for long thought has it reason in words when code alone did not do.
        let again = matches!(next, Move::Mend { .. }) || drawing == Drawing::Varied;
        let freely = plan.intent.wish == super::intent::Wish::Change || plan.effort == Effort::Deep;
        let own = (again && freely) || self.stumbled();
        let prefix = if own { String::new() } else { begun.to_owned() };
        if !prefix.is_empty() {
            let text = prefix.clone();
            prompt.segments.push(crate::prompt::Segment { text, special: false, learn: false });
        }
        let prompt_tokens = agent.engine.tokenize(&prompt).len() as u32;
        let hint_tokens = agent.engine.count_tokens(&plan.hint) as u32;
        let left = (self.purse.left() / samples.max(1)).max(crate::complexity::budget::ANSWER_TOKENS_MIN);
        let mut budget = Budget { samples, ..plan.budget };
        if drawing != Drawing::First && self.ran_out_of_thought() {
            budget.thinking_tokens_max = budget.thinking_tokens_max.saturating_mul(2);
        }
        if !matches!(plan.effort, Effort::Window(_)) {
            budget.thinking_tokens_max = budget.thinking_tokens_max.min(left);
            budget.answer_tokens_max = budget.answer_tokens_max.min(left);
        }
        let fitted = fit(budget, prompt_tokens, hint_tokens, agent.engine.info().context_tokens_max);
        let ask = fitted.map(|budget| Ask {
            round: 0,
            session: SessionId(0),
            prompt,
            budget,
            samples,
            drawing,
            prefix,
            time_left: self.purse.time_left(),
            tokens_left: self.purse.left(),
        });
        Ok((ask, prompt_tokens))
    }

    /// Whether no reply so far could even be parsed: who does not go on from what was begun begins as it likes.
    fn stumbled(&self) -> bool {
        let unread = |attempt: &Attempt<W>| {
            let broken = |report: &Report| report.failures.iter().any(|failure| failure.kind == FailureKind::Syntax);
            attempt.candidate().is_none() || attempt.verdict.as_ref().and_then(Verdict::report).is_some_and(broken)
        };
        !self.attempts.is_empty() && self.attempts.iter().all(unread)
    }

    /// Whether the best attempt was made under a thought that its window cut.
    fn ran_out_of_thought(&self) -> bool {
        self.best().is_some_and(|best| best.said.shifted == Some(crate::task::ShiftReason::Budget))
    }
}

/// What this kind of task may do with this model.
fn limits<K: Kind>(With { agent, plan }: With<'_>, kind: &K) -> Limits {
    let (ways, settings, budget) = (Ways::of(agent), &agent.settings, plan.budget);
    let judged = kind.unjudged().is_none();
    // Where a check decides, more are drawn when the first has failed. Where none does and nothing can be compared,
    // more than one says nothing.
    let samples = match settings.samples {
        Some(samples) => samples,
        None if judged && plan.decides => 1,
        None if !judged => 1,
        None => budget.samples,
    };
    let draws = if ways.draws > 0 { ways.draws } else { budget.draws.max(settings.samples.unwrap_or(0)) };
    let candidates_max = agent.engine.info().candidates_max.max(1);
    Limits {
        rounds_max: if settings.paper_exact { 0 } else { budget.rounds_max },
        samples: if settings.paper_exact { 1 } else { samples.min(candidates_max) },
        draws: draws.clamp(1, candidates_max),
        mends: if K::IN_PROJECT { ways.converses } else { ways.mends_programs },
        reminds: !K::IN_PROJECT || ways.converses,
        words_do: kind.words_do(),
        persists: K::IN_PROJECT,
        insists: kind.insists(),
        // A deviation is a reply that is begun for the model.
        deviates: K::IN_PROJECT
            && judged
            && plan.decides
            && ways.begins
            && settings.deviations
            && !settings.paper_exact,
    }
}

/// The first reply that asks for a command, where none of a round proposes anything.
fn wish_to_look<W>(attempts: &[Attempt<W>]) -> Option<(&Trajectory, &str)> {
    if attempts.iter().any(|attempt| attempt.candidate().is_some()) {
        return None;
    }
    attempts.iter().find_map(|attempt| match &attempt.reply {
        Reply::Look(command) => Some((&attempt.said, command.as_str())),
        _ => None,
    })
}
