//! What the model would rather have said: a text is given to it as its own reply, and where it would have gone on otherwise
//! it does, one place after the other, the likeliest first, until one of them passes.
//!
//! One that does not pass but comes nearer (more tests pass than before) is the text from which the next ones deviate.
//!
//! A small model that is asked for a corrected file often writes the wrong one again: it copies. But while it copies it
//! hesitates, and where it does is often where the mistake is. A draw leaves the text there by luck and costs the whole file;
//! a deviation costs the few tokens until it is back in the text, and each is another one.
//!
//! Not for: when this is worth while (`policy.rs`), and what the texts are ([`Kind::bases`]).

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::Line;
use super::attempt::{Attempt, Rank, Reply, rank};
use super::kind::Kind;
use super::round::{At, Played};
use super::trials::{Judged, Trials};
use crate::engine::{EngineEvent, GenerateRequest, SessionId, Steer, TokenId, WindowSpec};
use crate::event::{Command, Event};
use crate::prompt::Rendered;
use crate::task::{Finish, Language, Part, Tier, Trajectory, Usage, Verdict};
use places::Place;

mod places;
mod rejoin;

/// Deviations that are tried of all texts together, and of one that came nearer. Few, because each that is tried makes a pass say
/// less: of those found later most did only what the check looks at (`docs/bench/agent.md`).
const DEVIATIONS_MAX: usize = 10;
const DEVIATIONS_NEARER_MAX: usize = 6;
/// Times that one which came nearer is gone on from.
const NEARER_MAX: usize = 2;
/// What a place of a text counts less than one of the text before it (natural logarithm).
const NEXT_BASIS_LESS: f32 = 1.5;
/// Tokens until one must be back in its text or at its end.
const DEVIATION_TOKENS_MAX: u32 = 160;
/// Texts that are weighed.
const BASES_MAX: usize = 2;
/// A longer one is not.
const BASIS_TOKENS_MAX: usize = 2_000;

/// What ends a block: texts frame their code by plain fences.
const BLOCK_END: &str = "\n```";

/// A reply that deviations are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Basis {
    /// The file that it is, or a name that its language is known by.
    path: String,
    /// As the model would write it.
    text: String,
    /// The bytes of it that are code.
    area: Range<usize>,
    language: Option<Language>,
}

impl Basis {
    /// # Panics
    /// Where the area is no part of the text.
    pub(super) fn new(path: &str, text: String, area: Range<usize>) -> Self {
        assert!(text.get(area.clone()).is_some(), "invariant: the area is a part of its text");
        let language = path.rsplit_once('.').and_then(|(_, extension)| Language::from_extension(extension));
        Self { path: path.to_owned(), text, area, language }
    }

    /// The same with another text, which differs within the area only.
    fn with(self, text: String) -> Self {
        let behind = self.text.len() - self.area.end;
        let area = self.area.start..text.len().saturating_sub(behind).max(self.area.start);
        Self { text, area, ..self }
    }
}

/// What is asked.
pub(super) struct Ask {
    pub(super) round: u32,
    /// Where the prompt is in the cache.
    pub(super) session: SessionId,
    pub(super) prompt: Rendered,
    /// How long the model may speak, where that is counted.
    pub(super) time_left: Option<Duration>,
    /// Tokens that all deviations together may have.
    pub(super) tokens_left: u32,
}

/// One text, weighed.
struct Ground {
    basis: Basis,
    tokens: Vec<TokenId>,
}

/// What is still to be tried: which text, and where.
type Places = VecDeque<(usize, Place)>;

/// Tries deviations of these texts. The attempt that passes is played, or the best of those that do not; with what none of
/// them became an attempt for cost.
///
/// # Errors
/// Where the engine broke.
pub(super) async fn play<K: Kind>(
    at: &At<'_, K>,
    ask: &Ask,
    bases: &[Basis],
    line: &mut Line,
) -> anyhow::Result<(Played<K::What>, Usage)> {
    let mut search = Deviations {
        at,
        ask,
        trials: Trials::new(),
        tried: Vec::new(),
        grounds: Vec::new(),
        nearest: at
            .earlier
            .iter()
            .filter_map(|earlier| earlier.verdict.as_ref())
            .chain(at.kind.before())
            .map(rank)
            .max(),
        nearer: None,
        until: ask.time_left.and_then(|left| Instant::now().checked_add(left)),
        usage: Usage::default(),
        decoded: Duration::ZERO,
    };
    let begun = Instant::now();
    search.search(bases, line).await?;
    let spoken = begun.elapsed();
    while search.trials.is_running() {
        search.verdict(line).await;
    }
    let _ = at.with.agent.engine.end_session(ask.session.aside()).await;
    let decoded = search.decoded;
    let usage = search.usage;
    let attempts: Vec<Attempt<K::What>> = search.attempt(line).await.into_iter().collect();
    Ok((Played { attempts, spoken, decoded }, usage))
}

/// One that was judged, or is being.
struct Tried<W> {
    basis: Basis,
    what: W,
    /// With what the text loses.
    is_variant: bool,
    verdict: Option<Verdict>,
}

struct Deviations<'a, K: Kind> {
    at: &'a At<'a, K>,
    ask: &'a Ask,
    trials: Trials<K::What>,
    tried: Vec<Tried<K::What>>,
    grounds: Vec<Ground>,
    /// The best verdict so far, and the deviation that came to it and was not gone on from yet.
    nearest: Option<Rank>,
    nearer: Option<usize>,
    until: Option<Instant>,
    usage: Usage,
    /// How long tokens came.
    decoded: Duration,
}

impl<K: Kind> Deviations<'_, K> {
    async fn search(&mut self, bases: &[Basis], line: &mut Line) -> anyhow::Result<()> {
        let mut places = Places::new();
        for (number, basis) in bases.iter().enumerate() {
            if self.grounds.len() < BASES_MAX {
                let less = NEXT_BASIS_LESS * number as f32;
                places.extend(self.weigh(basis.clone(), less, line).await?);
            }
        }
        // Stable: of equals the one that stands first.
        places.make_contiguous().sort_by(|a, b| b.1.logprob.total_cmp(&a.1.logprob));
        places.truncate(DEVIATIONS_MAX);
        let mut steps = 0;
        loop {
            if let Some(nearer) = self.nearer.take().filter(|_| steps < NEARER_MAX) {
                steps += 1;
                let mut next = self.weigh(self.tried[nearer].basis.clone(), 0.0, line).await?;
                next.truncate(DEVIATIONS_NEARER_MAX);
                places = if next.is_empty() { places } else { next };
            }
            // Where nothing is left, one that is still being judged may come nearer.
            if places.is_empty() && self.trials.is_running() {
                self.verdict(line).await;
                continue;
            }
            let next = if self.is_over(line) { None } else { places.pop_front() };
            let Some((ground, place)) = next else { break };
            if let Some(basis) = self.deviation(ground, place, line).await? {
                self.judge(basis);
            }
        }
        Ok(())
    }

    /// Weighs a text; where it may be left, `less` likely by that much than it is.
    async fn weigh(&mut self, basis: Basis, less: f32, line: &mut Line) -> anyhow::Result<Places> {
        let engine = &self.at.with.agent.engine;
        let tokens = engine.tokenize_text(&basis.text, false);
        let bytes = |&token: &TokenId| engine.token_bytes(token);
        let as_written = tokens.iter().flat_map(bytes).eq(basis.text.bytes());
        if !as_written || tokens.len() > BASIS_TOKENS_MAX || self.is_over(line) {
            return Ok(Places::new());
        }
        line.emit(Event::Step { text: format!("looking where the model hesitates in {}", basis.path) }).await;
        let cancel = line.cancel.clone();
        let weighed = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(Places::new()),
            weighed = engine.weigh(self.ask.session, &self.ask.prompt, &tokens, places::OTHERS_MAX) => weighed,
        };
        // A text that does not fit beside the prompt is not gone through; the task goes on.
        let Ok(weighed) = weighed else { return Ok(Places::new()) };
        let number = self.grounds.len();
        let places = places::places(&basis, &weighed, |token| engine.token_bytes(token));
        self.grounds.push(Ground { basis, tokens });
        Ok(places.into_iter().map(|place| (number, Place { logprob: place.logprob - less, ..place })).collect())
    }

    fn is_over(&self, line: &Line) -> bool {
        let spent = self.usage.answer_tokens >= self.ask.tokens_left;
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        spent || late || line.cancel.is_cancelled() || self.trials.winner().is_some()
    }

    /// The text with one deviation, back in itself or at its end; `None` where it did not come back.
    async fn deviation(&mut self, ground: usize, place: Place, line: &mut Line) -> anyhow::Result<Option<Basis>> {
        let engine = &self.at.with.agent.engine;
        let ground = &self.grounds[ground];
        let mut given = ground.tokens[..place.at].to_vec();
        given.push(place.token);
        let length = given.len() as u32 + DEVIATION_TOKENS_MAX;
        let window = WindowSpec { thinking_tokens_max: length, answer_tokens_max: length, ..WindowSpec::default() };
        let request = GenerateRequest {
            session: self.ask.session.aside(),
            prompt: self.ask.prompt.clone(),
            window,
            given,
            ..GenerateRequest::default()
        };
        let begun = Instant::now();
        let mut generation = engine.generate(request);
        let basis = ground.basis.clone();
        let (kept, old) = basis.text.split_at(place.start);
        let (mut said, mut drawn, mut whole) = (String::new(), 0, None);
        let cancel = line.cancel.clone();
        loop {
            let event = tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(judged) = self.trials.next(|what| self.at.kind.missing(what).is_empty()) => {
                    self.judged(judged);
                    if self.trials.winner().is_some() {
                        break;
                    }
                    continue;
                }
                command = line.command() => {
                    if command == Command::Cancel {
                        cancel.cancel();
                    }
                    continue;
                }
                event = generation.next() => event.transpose()?,
            };
            match event {
                Some(EngineEvent::Piece { text, forced, tokens, part, .. }) if part != Part::Shift => {
                    said.push_str(&text);
                    drawn += if forced { 0 } else { tokens };
                    if whole.is_none() && said.len() > place.start {
                        whole = end_of(kept, old, said.get(place.start..).unwrap_or(""));
                    }
                    if whole.is_some() || drawn >= DEVIATION_TOKENS_MAX {
                        generation.steer(Steer::StopAll);
                    }
                }
                // It goes round in circles, and what was said is no longer what stands there.
                Some(EngineEvent::Rewound { .. }) => {
                    (said, drawn) = (String::new(), DEVIATION_TOKENS_MAX);
                    generation.steer(Steer::StopAll);
                }
                Some(EngineEvent::Finished { trajectory, .. }) => {
                    self.usage.prompt_tokens = trajectory.usage.prompt_tokens;
                    self.usage.reused_tokens = trajectory.usage.reused_tokens;
                }
                Some(_) => {}
                None => break,
            }
        }
        self.usage.answer_tokens += drawn;
        self.decoded += begun.elapsed();
        Ok(whole.map(|whole| basis.with(whole)))
    }

    /// Has a text judged, unless it is no change or was judged before.
    fn judge(&mut self, basis: Basis) {
        let said = Trajectory { finish: Finish::Stopped, ..Trajectory::ended(&basis.text) };
        let Reply::Candidate(what) = self.at.kind.read(&said, self.at.on) else { return };
        // What it loses on its way back is no part of it.
        let safer = self.at.kind.safer(&what);
        let (what, is_variant) = (safer.clone().unwrap_or(what), safer.is_some());
        if self.at.judged_earlier(&what).is_some() || self.tried.iter().any(|tried| tried.what == what) {
            return;
        }
        let number = self.tried.len() as u32;
        self.tried.push(Tried { basis, what: what.clone(), is_variant, verdict: None });
        self.trials.ask(number, what);
        self.start_trial();
    }

    /// One after the other while the next is written: of two that pass the likelier is the one that is meant.
    fn start_trial(&mut self) {
        if !self.trials.is_running()
            && let Some((number, what)) = self.trials.take()
        {
            let trial = self.at.kind.trial(&what, self.trials.cancel.clone());
            self.trials.start(number, what, trial);
        }
    }

    fn judged(&mut self, judged: Judged<K::What>) {
        let number = judged.candidate as usize;
        if let Some(tried) = self.tried.get_mut(number).filter(|_| judged.counts) {
            let rank = rank(&judged.verdict);
            let nearer = self.nearest.is_some_and(|nearest| rank > nearest);
            self.nearest = Some(self.nearest.map_or(rank, |nearest| nearest.max(rank)));
            // Of what nothing was known before, nothing is nearer; and what decides about nothing is no step.
            if nearer && matches!(judged.verdict, Verdict::Failed(_)) {
                self.nearer = Some(number);
            }
            tried.verdict = Some(judged.verdict);
        }
        self.start_trial();
    }

    /// Waits for the next verdict.
    async fn verdict(&mut self, line: &mut Line) {
        let enough = |what: &K::What| self.at.kind.missing(what).is_empty();
        if let Some(judged) = self.trials.next_hearing(line, enough).await {
            self.judged(judged);
        }
    }

    /// What it came to: the best that was judged, shown and told as a reply; what all of them cost is its cost.
    async fn attempt(self, line: &mut Line) -> Option<Attempt<K::What>> {
        let judged = self.tried.iter().filter(|tried| tried.verdict.is_some()).count();
        let best = self.tried.into_iter().filter_map(|tried| Some((rank(tried.verdict.as_ref()?), tried)));
        // Of equals the first: the likeliest.
        let best = best.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let passes = best.as_ref().is_some_and(|(_, tried)| tried.verdict.as_ref().is_some_and(Verdict::passed));
        let found = if passes { "one of them passes" } else { "none passes" };
        let text = format!("tried {judged} deviations, {} tokens: {found}", self.usage.answer_tokens);
        line.emit(Event::Step { text }).await;
        let (_, Tried { basis, what, is_variant, verdict }) = best?;
        let text = basis.text;
        let verdict = verdict?;
        let candidate = 0;
        let said = Trajectory { finish: Finish::Stopped, usage: self.usage, ..Trajectory::ended(&text) };
        let command = self.at.kind.check();
        let tier = self.at.with.agent.judge.tier().unwrap_or(Tier::N);
        if passes {
            let tokens = self.usage.answer_tokens;
            line.emit(Event::Round { round: self.ask.round, candidates: 1 }).await;
            line.emit(Event::Piece { candidate, part: Part::Answer, text, forced: false, tokens }).await;
            line.transcript.trajectory(candidate, &said, 0.0);
            line.emit(Event::Finished { candidate, tokens_per_second: 0.0 }).await;
            line.emit(Event::Verifying { candidate, tier, command }).await;
            line.emit(Event::Verified { candidate, verdict: verdict.clone() }).await;
        }
        self.at.kind.record(&mut line.transcript, candidate, &what, &verdict);
        let missing = self.at.kind.missing(&what);
        Some(Attempt {
            round: self.ask.round,
            said,
            reply: Reply::Candidate(what),
            is_variant,
            verdict: Some(verdict),
            repeats: false,
            missing,
            tail: Vec::new(),
        })
    }
}

/// The whole text once what is `new` behind `kept` is back in the `old` rest, or has closed its block; `None` until then.
fn end_of(kept: &str, old: &str, new: &str) -> Option<String> {
    if let Some((new_end, old_end)) = rejoin::rejoin(old, new) {
        return Some(format!("{kept}{}{}", &new[..new_end], &old[old_end..]));
    }
    // The text's own end of the block stays.
    let closed = new.find(BLOCK_END).filter(|at| new[at + BLOCK_END.len()..].contains('\n'))?;
    let rest = old.find(BLOCK_END)?;
    Some(format!("{kept}{}{}", &new[..closed], &old[rest..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_ends_in_its_text_or_with_its_block() {
        let (kept, old) = ("a.py\n```python\n", "x = 1\ny = 2\nprint(x + y)\nprint(y + x)\n```\n");
        assert_eq!(end_of(kept, old, "x = 2\ny = 2\nprint(x +"), None);
        let back = end_of(kept, old, "x = 2\ny = 2\nprint(x + y)\n").unwrap();
        assert_eq!(back, "a.py\n```python\nx = 2\ny = 2\nprint(x + y)\nprint(y + x)\n```\n");
        let other = end_of(kept, old, "print(3)\n```\nThis ").unwrap();
        assert_eq!(other, "a.py\n```python\nprint(3)\n```\n");
    }
}
