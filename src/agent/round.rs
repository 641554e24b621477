//! One round: generate, show what comes, judge what is complete, end what is over.
//!
//! A pass ends the generation of all candidates, and a reply that holds its answer ends there: no token is paid for an
//! explanation nobody asked for. Not for: deciding whether there is another round (`policy.rs`).

use std::time::{Duration, Instant};

use super::Line;
use super::attempt::{Attempt, Reply};
use super::ending::Ending;
use super::kind::{Kind, Over};
use super::search::With;
use super::stream::{Stream, begun_with, grows, joined};
use super::trials::{Judged, Trials};
use super::ways::Ways;
use crate::complexity::budget::ANSWER_TOKENS_MIN;
use crate::engine::{
    CandidateSampling, EngineEvent, GenerateRequest, Generation, Sampling, SessionId, Steer, StopPolicy, ThinkSpec,
    WindowSpec,
};
use crate::event::{Command, Event};
use crate::prompt::{Message, Rendered, Segment};
use crate::reply::fence;
use crate::task::{Budget, Finish, Part, Report, Tier, Trajectory, Verdict};

/// Tokens after a complete answer in which another block may still begin.
const PROSE_TOKENS_MAX: u32 = 40;
/// The same where a reply that was ended so has failed and might have gone on.
const PROSE_AGAIN_TOKENS_MAX: u32 = 160;
/// A reply that a limit cut inside a block is continued this often.
const CONTINUATIONS_MAX: u32 = 3;

/// How a round's replies are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawing {
    /// The likeliest words, or as the makers of a model that thinks advise.
    First,
    /// They should differ from each other and from earlier ones.
    Varied,
    /// An attempt is to be mended: near the likeliest, and not the same again.
    Careful,
}

/// What a round is asked to do.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) round: u32,
    pub(super) session: SessionId,
    /// With the beginning of the reply, where one is given.
    pub(super) prompt: Rendered,
    /// Already fitted to the context.
    pub(super) budget: Budget,
    pub(super) samples: u32,
    pub(super) drawing: Drawing,
    /// The words that every reply begins with; they are part of the prompt.
    pub(super) prefix: String,
    /// How long the model may speak in this round, where that is counted.
    pub(super) time_left: Option<Duration>,
    /// Tokens that the task may still cost.
    pub(super) tokens_left: u32,
}

/// What replies are read and judged against.
pub(super) struct At<'a, K: Kind> {
    pub(super) with: With<'a>,
    pub(super) kind: &'a K,
    /// What was tried before: it is not judged again.
    pub(super) earlier: &'a [Attempt<K::What>],
    /// The candidate that the replies mend.
    pub(super) on: Option<&'a K::What>,
    /// The turns after the opening that the replies answer.
    pub(super) tail: &'a [Message],
}

impl<K: Kind> At<'_, K> {
    /// The attempt that proposed the same before.
    pub(super) fn judged_earlier(&self, what: &K::What) -> Option<&Attempt<K::What>> {
        self.earlier.iter().find(|earlier| earlier.candidate() == Some(what))
    }
}

/// What a round came to.
pub(super) struct Played<W> {
    pub(super) attempts: Vec<Attempt<W>>,
    /// How long the model spoke.
    pub(super) spoken: Duration,
    /// Of that, how long it was from the first token on.
    pub(super) decoded: Duration,
}

/// Plays one round to its end.
///
/// # Errors
/// Where the engine broke.
pub(super) async fn play<K: Kind>(at: &At<'_, K>, ask: &Ask, line: &mut Line) -> anyhow::Result<Played<K::What>> {
    // What is said before the first round waits for it; what was said to an earlier one is over.
    if ask.round > 0 {
        line.drain();
    }
    line.emit(Event::Round { round: ask.round, candidates: ask.samples }).await;
    let mut round = Round {
        at,
        ask,
        streams: (0..ask.samples).map(|_| Stream::begun(&ask.prefix)).collect(),
        trials: Trials::new(),
        asked: Vec::new(),
        variants: Vec::new(),
        verdicts: Vec::new(),
        until: ask.time_left.and_then(|left| Instant::now().checked_add(left)),
        late: false,
        first: None,
        patient: is_patient(at),
    };
    let request = request(at.with, ask, at.kind.stop());
    let begun = Instant::now();
    if !ask.prefix.is_empty() {
        for candidate in 0..ask.samples {
            let text = ask.prefix.clone();
            line.emit(Event::Piece { candidate, part: Part::Answer, text, forced: true, tokens: 0 }).await;
        }
    }
    round.stream(at.with.agent.engine.generate(request.clone()), None, line).await?;
    round.go_on(&request, line).await?;
    let spoken = begun.elapsed();
    let decoded = round.first.map_or(spoken, |first| first.elapsed());
    round.settle(line).await;
    Ok(Played { attempts: round.attempts(), spoken, decoded })
}

/// Whether replies may go on for longer behind a block: some that were ended there have failed. Where one file was thought
/// to be all that is wanted, only once two rounds of them have.
fn is_patient<K: Kind>(at: &At<'_, K>) -> bool {
    let stopped = at.earlier.iter().filter(|earlier| earlier.said.finish == Finish::Stopped);
    let rounds: std::collections::BTreeSet<u32> = stopped.map(|earlier| earlier.round).collect();
    rounds.len() >= if at.kind.goes_on() { 1 } else { 2 }
}

fn request(With { agent, plan }: With<'_>, ask: &Ask, stop: StopPolicy) -> GenerateRequest {
    let settings = &agent.settings;
    let alone = ask.samples == 1 && ask.drawing == Drawing::First;
    // What makers advise is for chats; of a model that does not think the likeliest code is the best single draw.
    let likeliest = alone && !Ways::of(agent).drafts && settings.temperature.is_none();
    let thinking_sampling = if likeliest { Sampling::GREEDY } else { settings.sampling(ask.drawing, ask.samples > 1) };
    // Once a window has shifted the thinking is done: one candidate writes its likeliest code.
    let answer_sampling = if alone { Sampling::GREEDY } else { thinking_sampling };
    // Of several first draws one is the likeliest.
    let first = (ask.drawing == Drawing::First && !alone && settings.temperature.is_none())
        .then(|| CandidateSampling { thinking: settings.sampling(Drawing::First, false), answer: Sampling::GREEDY });
    GenerateRequest {
        session: ask.session,
        prompt: ask.prompt.clone(),
        window: WindowSpec {
            thinking_tokens_max: ask.budget.thinking_tokens_max,
            answer_tokens_max: ask.budget.answer_tokens_max,
            hint: plan.hint.clone(),
            paper_exact: settings.paper_exact,
            think: settings.traits.think.as_ref().map(|tags| ThinkSpec {
                open: tags.open.clone(),
                close: tags.close.clone(),
                opened: tags.opened_by_template,
            }),
            stop: if settings.paper_exact { StopPolicy::default() } else { stop },
        },
        thinking_sampling,
        answer_sampling,
        candidates: ask.samples,
        // Rounds must not repeat each other's draws.
        seed: settings.seed.wrapping_add(u64::from(ask.round)),
        candidate_samplings: first.into_iter().collect(),
        ..GenerateRequest::default()
    }
}

/// Another form of a candidate that is tried by itself.
struct Variant<W> {
    of: W,
    what: W,
    /// It is tried before the candidate (`Kind::safer`), and not after it has failed (`Kind::parts`).
    first: bool,
}

struct Round<'a, K: Kind> {
    at: &'a At<'a, K>,
    ask: &'a Ask,
    streams: Vec<Stream>,
    trials: Trials<K::What>,
    asked: Vec<K::What>,
    variants: Vec<Variant<K::What>>,
    /// What was judged in this round, in the order in which it ended.
    verdicts: Vec<(K::What, Verdict)>,
    /// A reply that ended because its last block seemed to have come has failed, in a task where more may come.
    patient: bool,
    /// When the first token came.
    first: Option<Instant>,
    /// When the model has spoken as long as it may.
    until: Option<Instant>,
    /// It has: what was still being said is cut off.
    late: bool,
}

impl<K: Kind> Round<'_, K> {
    /// Until the generation ends: pieces out, commands in, verdicts in between. A continuation is shown as more of the
    /// answer of the candidate that is `continued`.
    async fn stream(
        &mut self,
        mut generation: Generation,
        continued: Option<u32>,
        line: &mut Line,
    ) -> anyhow::Result<Vec<Trajectory>> {
        let cancel = line.cancel.clone();
        let mut cancelled = false;
        let mut more = Vec::new();
        let (until, counted) =
            (tokio::time::Instant::from_std(self.until.unwrap_or_else(Instant::now)), self.until.is_some());
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until), if counted && !self.late => {
                    self.late = true;
                    generation.steer(Steer::StopAll);
                }
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    generation.cancel();
                    self.trials.give_up();
                }
                Some(judged) = self.trials.next(|what| self.at.kind.missing(what).is_empty()) => {
                    self.judged(judged, line).await;
                    if self.trials.winner().is_some() {
                        generation.steer(Steer::StopAll);
                    }
                }
                command = line.command() => match command {
                    Command::AnswerNow => generation.steer(Steer::AnswerNow),
                    Command::ThinkMore { tokens } => generation.steer(Steer::ThinkMore(tokens)),
                    Command::Cancel => cancel.cancel(),
                    Command::Decide { .. } | Command::Answer { .. } => {}
                },
                event = generation.next() => match (event.transpose()?, continued) {
                    (None, _) => return Ok(more),
                    (Some(EngineEvent::Finished { trajectory, .. }), Some(_)) => more.push(trajectory),
                    (
                        Some(
                            EngineEvent::Allotted { .. }
                            | EngineEvent::Prefill { .. }
                            | EngineEvent::Shifted { .. }
                            | EngineEvent::Rewound { .. },
                        ),
                        Some(_),
                    ) => {}
                    (Some(EngineEvent::Piece { text, .. }), Some(_)) if text.is_empty() => {}
                    (Some(EngineEvent::Piece { text, forced, tokens, .. }), Some(candidate)) => {
                        let part = Part::Answer;
                        line.emit(Event::Piece { candidate, part, text, forced, tokens }).await;
                    }
                    (Some(event), None) => self.heard(event, &generation, line).await,
                },
            }
        }
    }

    fn ending(&self) -> Ending<'_> {
        let plan = self.at.with.plan;
        Ending { prefix: &self.ask.prefix, names: &plan.ends_with, more: plan.more }
    }

    async fn heard(&mut self, event: EngineEvent, generation: &Generation, line: &mut Line) {
        match event {
            EngineEvent::Prefill { done, total, reused } => line.emit(Event::Prefill { done, total, reused }).await,
            EngineEvent::Piece { candidate, part, text, forced, tokens } => {
                self.first.get_or_insert_with(Instant::now);
                let stream = &mut self.streams[candidate as usize];
                let closed = stream.push(part, &text, tokens);
                let over = self.ending().find(&self.streams[candidate as usize].text).is_some();
                let stream = &mut self.streams[candidate as usize];
                if over {
                    stream.stop(candidate, generation);
                }
                line.emit(Event::Piece { candidate, part, text, forced, tokens }).await;
                if closed {
                    self.closed(candidate, generation, line).await;
                } else {
                    self.end_of_prose(candidate, generation);
                }
            }
            EngineEvent::Shifted { candidate, why, thinking_tokens } => {
                line.emit(Event::Shifted { candidate, why, thinking_tokens }).await;
            }
            EngineEvent::Allotted { .. } => {}
            EngineEvent::Rewound { candidate, tokens, bytes } => {
                self.streams[candidate as usize].take_back(bytes as usize);
                let text = format!("the reply went round in circles: its last {tokens} tokens are taken back");
                line.emit(Event::Step { text }).await;
            }
            EngineEvent::Finished { candidate, trajectory, tokens_per_second, .. } => {
                let mut said = begun_with(self.ending(), trajectory);
                if self.late && said.finish == Finish::Stopped && !self.streams[candidate as usize].is_stopped() {
                    said.finish = Finish::AnswerLimit;
                }
                self.streams[candidate as usize].cut_off(&mut said);
                line.transcript.trajectory(candidate, &said, tokens_per_second);
                line.emit(Event::Finished { candidate, tokens_per_second }).await;
                // One that a limit cut may still be continued.
                let whole = matches!(said.finish, Finish::EndOfTurn | Finish::Stopped);
                let reply = if whole { Some(self.at.kind.read(&said, self.at.on)) } else { None };
                self.streams[candidate as usize].said = Some(said);
                if let Some(Reply::Candidate(what)) = reply {
                    self.judge(candidate, what, line).await;
                }
            }
        }
    }

    /// A fence closed while the model still talks: judge what is complete, and end what is over.
    async fn closed(&mut self, candidate: u32, generation: &Generation, line: &mut Line) {
        let agent = self.at.with.agent;
        if agent.settings.paper_exact {
            return;
        }
        let stream = &mut self.streams[candidate as usize];
        if stream.repeats() {
            stream.stop(candidate, generation);
        }
        let early = self.at.kind.early(&stream.closed);
        // What is drafted in a thought is not what will be answered, unless it passes.
        let drafts = Ways::of(agent).drafts && stream.part == Some(Part::Thinking) && self.ask.prefix.is_empty();
        if !drafts {
            stream.closed_at = stream.text.len();
            // A block that another one interrupts is not the end: the next has begun.
            let over = if stream.is_open() { Over::No } else { self.at.kind.may_be_over(&stream.text, &stream.closed) };
            match over {
                Over::No => {}
                Over::Yes if !self.patient => stream.stop(candidate, generation),
                Over::Yes | Over::Perhaps => stream.since = Some(0),
            }
        }
        if let Some(what) = early {
            self.judge(candidate, what, line).await;
        }
    }

    fn end_of_prose(&mut self, candidate: u32, generation: &Generation) {
        let stream = &mut self.streams[candidate as usize];
        let Some(since) = stream.since else { return };
        let lacks = self.at.kind.lacks(&stream.text);
        let beside = !lacks && self.at.kind.is_beside(stream.text.get(stream.closed_at..).unwrap_or(""));
        let prose_max = if self.patient || lacks { PROSE_AGAIN_TOKENS_MAX } else { PROSE_TOKENS_MAX };
        if since > prose_max || beside {
            stream.since = None;
            if beside || !stream.is_open() {
                stream.stop(candidate, generation);
            }
        }
    }

    /// Has a candidate judged, unless it was judged before or another has passed.
    async fn judge(&mut self, candidate: u32, what: K::What, line: &mut Line) {
        if self.was_asked(&what) || self.trials.winner().is_some() {
            return;
        }
        self.asked.push(what.clone());
        match self.at.kind.unjudged().filter(|_| !self.at.kind.is_worth_a_look(&what)) {
            Some(verdict) => self.verdicts.push((what, verdict)),
            None => {
                let safer = self.at.kind.safer(&what).filter(|safer| !self.asked.contains(safer));
                if let Some(safer) = safer {
                    self.ask_variant(candidate, Variant { of: what, what: safer, first: true });
                } else {
                    self.trials.ask(candidate, what);
                }
                self.start_trials(line).await;
            }
        }
    }

    async fn start_trials(&mut self, line: &mut Line) {
        while let Some((candidate, what)) = self.trials.take() {
            // Variants are tried without a word, unless one passes.
            if !self.is_variant(&what) {
                let tier = self.at.with.agent.judge.tier().unwrap_or(Tier::N);
                line.emit(Event::Verifying { candidate, tier, command: self.at.kind.check() }).await;
            }
            let trial = self.at.kind.trial(&what, self.trials.cancel.clone());
            self.trials.start(candidate, what, trial);
        }
    }

    /// Whether it was judged before, or is to be.
    fn was_asked(&self, what: &K::What) -> bool {
        self.asked.contains(what) || self.at.judged_earlier(what).is_some()
    }

    fn ask_variant(&mut self, candidate: u32, variant: Variant<K::What>) {
        self.asked.push(variant.what.clone());
        self.trials.ask(candidate, variant.what.clone());
        self.variants.push(variant);
    }

    fn is_variant(&self, what: &K::What) -> bool {
        self.variants.iter().any(|variant| variant.what == *what)
    }

    async fn judged(&mut self, judged: Judged<K::What>, line: &mut Line) {
        let Judged { candidate, what, verdict, counts } = judged;
        let is_told = verdict.passed() || !self.is_variant(&what);
        if is_told {
            self.at.kind.record(&mut line.transcript, candidate, &what, &verdict);
        }
        if counts {
            if is_told {
                line.emit(Event::Verified { candidate, verdict: verdict.clone() }).await;
            }
            if let Verdict::Failed(report) = &verdict {
                self.try_others(candidate, &what, report);
            }
            self.verdicts.push((what, verdict));
        }
        self.start_trials(line).await;
    }

    /// What is tried after one has failed: the candidate of which it was the safer variant, else its parts, in line behind
    /// everything else.
    fn try_others(&mut self, candidate: u32, whole: &K::What, failed: &Report) {
        if let Some(variant) = self.variants.iter().find(|variant| variant.what == *whole) {
            if variant.first {
                self.trials.ask(candidate, variant.of.clone());
            }
            return;
        }
        for part in self.at.kind.parts(whole, failed) {
            if !self.was_asked(&part) {
                self.ask_variant(candidate, Variant { of: whole.clone(), what: part, first: false });
            }
        }
    }

    /// The variant of a candidate that passed.
    fn passing_variant(&self, of: &K::What) -> Option<&K::What> {
        let passed =
            |variant: &K::What| self.verdicts.iter().any(|(what, verdict)| what == variant && verdict.passed());
        self.variants.iter().find(|variant| variant.of == *of && passed(&variant.what)).map(|variant| &variant.what)
    }

    /// Replies that a limit cut inside a block go on: half a file is of no use.
    async fn go_on(&mut self, first: &GenerateRequest, line: &mut Line) -> anyhow::Result<()> {
        if self.at.with.agent.settings.paper_exact {
            return Ok(());
        }
        for candidate in 0..self.streams.len() as u32 {
            for _ in 0..CONTINUATIONS_MAX {
                let Some(said) = self.streams[candidate as usize].said.clone() else { break };
                let open =
                    said.finish == Finish::AnswerLimit && fence::fences(&said.text).last().is_some_and(|f| !f.closed);
                let wanted = open
                    && !self.late
                    && self.trials.winner().is_none()
                    && !line.cancel.is_cancelled()
                    && grows(&said.text);
                let Some(next) = wanted.then(|| self.continuation(first, &said)).flatten() else { break };
                line.emit(Event::Step { text: "the reply was cut by its limit and goes on".to_owned() }).await;
                let generation = self.at.with.agent.engine.generate(next);
                let Some(more) = self.stream(generation, Some(candidate), line).await?.into_iter().next() else {
                    break;
                };
                let said = joined(&said, &more);
                line.transcript.trajectory(candidate, &said, 0.0);
                self.streams[candidate as usize].said = Some(said);
            }
        }
        Ok(())
    }

    /// The request that goes on where a reply was cut; `None` where the context or the task's allowance is used up.
    fn continuation(&self, first: &GenerateRequest, said: &Trajectory) -> Option<GenerateRequest> {
        let agent = self.at.with.agent;
        let mut prompt = first.prompt.clone();
        let begun = &self.ask.prefix;
        let text = said.text.get(begun.len()..)?.to_owned();
        prompt.segments.push(Segment { text, special: false, learn: false });
        let used = agent.engine.tokenize(&prompt).len() as u32;
        let room = agent.engine.info().context_tokens_max.saturating_sub(used);
        let spent = said.usage.generated_tokens();
        let paid = self.ask.tokens_left.saturating_sub(spent);
        (room.min(paid) >= ANSWER_TOKENS_MIN).then(|| GenerateRequest {
            prompt,
            // Nothing to think about any more, and no hint: the same answer goes on.
            window: WindowSpec {
                thinking_tokens_max: 0,
                answer_tokens_max: first.window.answer_tokens_max.min(paid),
                hint: String::new(),
                ..first.window.clone()
            },
            thinking_sampling: first.answer_sampling,
            answer_sampling: first.answer_sampling,
            candidates: 1,
            ..first.clone()
        })
    }

    /// Judges what was not judged yet, unless something passed already, and waits for the verdicts.
    async fn settle(&mut self, line: &mut Line) {
        for candidate in 0..self.streams.len() as u32 {
            let Some(said) = self.streams[candidate as usize].said.clone() else { continue };
            if said.finish == Finish::Cancelled || line.cancel.is_cancelled() {
                continue;
            }
            if let Reply::Candidate(what) = self.at.kind.read(&said, self.at.on) {
                self.judge(candidate, what, line).await;
            }
        }
        while let Some(judged) = self.trials.next_hearing(line, |what| self.at.kind.missing(what).is_empty()).await {
            self.judged(judged, line).await;
        }
    }

    fn attempts(mut self) -> Vec<Attempt<K::What>> {
        let streams = std::mem::take(&mut self.streams);
        streams.iter().filter_map(|stream| self.attempt(stream)).collect()
    }

    fn attempt(&self, stream: &Stream) -> Option<Attempt<K::What>> {
        let said = stream.said.clone()?;
        let own = |what: &K::What| self.verdicts.iter().find(|(judged, _)| judged == what).map(|(_, v)| v.clone());
        // A fence that passed is the answer, whatever was written after it.
        let passed = self.verdicts.iter().filter(|(_, verdict)| verdict.passed()).find(|(what, _)| {
            (1..=stream.closed.len()).any(|n| self.at.kind.early(&stream.closed[..n]).as_ref() == Some(what))
        });
        let reply = match passed {
            Some((what, _)) => Reply::Candidate(what.clone()),
            None => self.at.kind.read(&said, self.at.on),
        };
        let variant = reply.candidate().and_then(|of| self.passing_variant(of)).cloned();
        let is_variant = variant.is_some();
        let reply = variant.map_or(reply, Reply::Candidate);
        let (verdict, repeats) = match &reply {
            Reply::Candidate(what) => match self.at.judged_earlier(what) {
                Some(earlier) => (earlier.verdict.clone(), true),
                None => (own(what), false),
            },
            _ => (None, false),
        };
        let missing = match &reply {
            Reply::Candidate(what) => self.at.kind.missing(what),
            _ => Vec::new(),
        };
        let (round, tail) = (self.ask.round, self.at.tail.to_vec());
        Some(Attempt { round, said, reply, is_variant, verdict, repeats, missing, tail })
    }
}
