//! One round: generate, show what comes, verify each code fence as it closes, verify what is left at the end.
//!
//! A pass ends the generation of all candidates: no token is paid for an explanation nobody asked for.
//!
//! Not for: deciding whether there is another round (`revise.rs`).

use std::sync::Arc;

use super::trials::{Judged, Trials};
use super::{Agent, Line, Plan};
use crate::engine::{EngineEvent, GenerateRequest, Generation, Sampling, SessionId, Steer, WindowSpec};
use crate::event::{Command, Event};
use crate::prompt::Rendered;
use crate::reply::program::program_in;
use crate::reply::{Fence, FenceScanner, FormatProblem, program};
use crate::task::{Budget, Candidate, Check, Part, Task, Tier, Trajectory, Verdict};

/// The conversation's token log: every round of a task goes through one session, so that a revision
/// decodes only what is new.
const SESSION: SessionId = SessionId(1);

/// What a round is asked to do.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) round: u32,
    pub(super) prompt: Rendered,
    /// Already fitted to the context.
    pub(super) budget: Budget,
    /// Candidates should differ from each other and from earlier ones.
    pub(super) varied: bool,
}

/// What one candidate of a round came to.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Candidates in its round.
    pub(super) of: u32,
    pub(super) trajectory: Trajectory,
    pub(super) proposal: Result<Candidate, FormatProblem>,
    pub(super) verdict: Option<Verdict>,
}

/// One candidate while it streams.
#[derive(Default)]
struct Stream {
    scanner: FenceScanner,
    closed: Vec<Fence>,
    part: Option<Part>,
    trajectory: Option<Trajectory>,
    verdicts: Vec<(Candidate, Verdict)>,
}

/// Plays one round to its end.
///
/// # Errors
/// Where the engine broke.
pub(super) async fn play(
    agent: &Agent,
    task: &Task,
    plan: &Plan,
    turn: &Turn,
    line: &mut Line,
) -> anyhow::Result<Vec<Attempt>> {
    let samples = turn.budget.samples.max(1);
    line.emit(Event::Round { round: turn.round, candidates: samples }).await;
    let mut round = Round {
        agent,
        checks: task.checks.clone().into(),
        plan,
        streams: (0..samples).map(|_| Stream::default()).collect(),
        trials: Trials::new(),
        asked: Vec::new(),
    };
    let mut generation = agent.engine.generate(request(agent, plan, turn, samples));
    round.stream(&mut generation, line).await?;
    round.settle(line).await;
    Ok(round.attempts())
}

pub(super) fn request(agent: &Agent, plan: &Plan, turn: &Turn, samples: u32) -> GenerateRequest {
    let settings = &agent.settings;
    let thinking_sampling = settings.sampling(turn.varied, samples > 1);
    // Once a window has shifted the thinking is done: one candidate writes its likeliest code.
    let answer_sampling = if samples > 1 || turn.varied { thinking_sampling } else { Sampling::GREEDY };
    GenerateRequest {
        session: SESSION,
        prompt: turn.prompt.clone(),
        window: WindowSpec {
            thinking_tokens_max: turn.budget.thinking_tokens_max,
            answer_tokens_max: turn.budget.answer_tokens_max,
            hint: plan.hint.clone(),
            paper_exact: settings.paper_exact,
        },
        thinking_sampling,
        answer_sampling,
        candidates: samples,
        // Rounds must not repeat each other's draws.
        seed: settings.seed.wrapping_add(u64::from(turn.round)),
        ..GenerateRequest::default()
    }
}

struct Round<'a> {
    agent: &'a Agent,
    checks: Arc<[Check]>,
    plan: &'a Plan,
    streams: Vec<Stream>,
    /// The verifications of this round.
    trials: Trials<Candidate>,
    asked: Vec<Candidate>,
}

impl Round<'_> {
    /// Until the generation ends: pieces out, commands in, verdicts in between.
    async fn stream(&mut self, generation: &mut Generation, line: &mut Line) -> anyhow::Result<()> {
        let cancel = line.cancel.clone();
        let mut cancelled = false;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    generation.cancel();
                    self.trials.give_up();
                }
                Some(judged) = self.trials.next() => {
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
                event = generation.next() => match event {
                    Some(event) => self.engine_event(event?, line).await,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn engine_event(&mut self, event: EngineEvent, line: &mut Line) {
        match event {
            EngineEvent::Prefill { done, total, reused } => line.emit(Event::Prefill { done, total, reused }).await,
            EngineEvent::Piece { candidate, part, text, forced, tokens } => {
                let closed = self.streams[candidate as usize].push(part, &text);
                line.emit(Event::Piece { candidate, part, text, forced, tokens }).await;
                if closed {
                    self.try_early(candidate, line).await;
                }
            }
            EngineEvent::Shifted { candidate, why, thinking_tokens } => {
                line.emit(Event::Shifted { candidate, why, thinking_tokens }).await;
            }
            EngineEvent::Finished { candidate, trajectory, tokens_per_second, .. } => {
                line.transcript.trajectory(candidate, &trajectory, tokens_per_second);
                self.streams[candidate as usize].trajectory = Some(trajectory);
                line.emit(Event::Finished { candidate, tokens_per_second }).await;
            }
        }
    }

    /// A fence closed while the model still talks: judge it now.
    async fn try_early(&mut self, candidate: u32, line: &mut Line) {
        if self.checks.is_empty() || self.agent.settings.paper_exact || self.trials.winner().is_some() {
            return;
        }
        if let Some(program) = program_in(&self.streams[candidate as usize].closed, &self.plan.wanted) {
            self.ask(candidate, program, line).await;
        }
    }

    async fn ask(&mut self, candidate: u32, program: Candidate, line: &mut Line) {
        if !self.asked.contains(&program) {
            self.asked.push(program.clone());
            self.trials.ask(candidate, program);
            self.start_trials(line).await;
        }
    }

    async fn start_trials(&mut self, line: &mut Line) {
        while let Some((candidate, program)) = self.trials.take() {
            let tier = self.agent.judge.tier().unwrap_or(Tier::N);
            line.emit(Event::Verifying { candidate, tier, command: describe(&self.checks) }).await;
            let (judge, checks) = (Arc::clone(&self.agent.judge), Arc::clone(&self.checks));
            let (options, cancel, what) = (self.plan.options.clone(), self.trials.cancel.clone(), program.clone());
            self.trials.start(candidate, program, async move { judge.verify(&what, &checks, &options, &cancel).await });
        }
    }

    async fn judged(&mut self, judged: Judged<Candidate>, line: &mut Line) {
        let Judged { candidate, what, verdict, counts } = judged;
        line.transcript.verdict(candidate, &what, &verdict);
        if counts {
            line.emit(Event::Verified { candidate, verdict: verdict.clone() }).await;
            self.streams[candidate as usize].verdicts.push((what, verdict));
        }
        self.start_trials(line).await;
    }

    /// Judges the final proposals that no fence had brought before, unless something passed already.
    async fn settle(&mut self, line: &mut Line) {
        let cancel = line.cancel.clone();
        if self.trials.winner().is_none() && !self.checks.is_empty() && !cancel.is_cancelled() {
            for candidate in 0..self.streams.len() as u32 {
                if let Some(Ok(program)) = self.streams[candidate as usize].proposal(self.plan) {
                    self.ask(candidate, program, line).await;
                }
            }
        }
        let mut cancelled = false;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    self.trials.give_up();
                }
                command = line.command() => if command == Command::Cancel { cancel.cancel() },
                judged = self.trials.next() => match judged {
                    Some(judged) => self.judged(judged, line).await,
                    None => return,
                },
            }
        }
    }

    fn attempts(mut self) -> Vec<Attempt> {
        let of = self.streams.len() as u32;
        let verdicts: Vec<(Candidate, Verdict)> =
            self.streams.iter_mut().flat_map(|stream| std::mem::take(&mut stream.verdicts)).collect();
        let nothing = Verdict::NothingToCheck { why: "the task states no tests".to_owned() };
        let attempt = |stream: Stream| {
            let proposal = stream.proposal(self.plan)?;
            let trajectory = stream.trajectory.clone()?;
            let verdict = |program: &Candidate| {
                if self.checks.is_empty() {
                    return Some(nothing.clone());
                }
                verdicts.iter().find(|(judged, _)| judged == program).map(|(_, verdict)| verdict.clone())
            };
            // A fence that passed is the answer, whatever was written after it.
            let passed =
                verdicts.iter().find(|(program, verdict)| verdict.passed() && stream.wrote(program, self.plan));
            let (proposal, verdict) = match (passed, proposal) {
                (Some((program, verdict)), _) => (Ok(program.clone()), Some(verdict.clone())),
                (None, Ok(program)) => (Ok(program.clone()), verdict(&program)),
                (None, Err(problem)) => (Err(problem), None),
            };
            Some(Attempt { of, trajectory, proposal, verdict })
        };
        self.streams.drain(..).filter_map(attempt).collect()
    }
}

impl Stream {
    /// Takes a piece; says whether a fence closed with it.
    fn push(&mut self, part: Part, text: &str) -> bool {
        // The hint begins anew: code that the window cut is not code.
        if part == Part::Shift && self.part == Some(Part::Thinking) {
            self.scanner.abandon();
            self.closed.clear();
        }
        self.part = Some(part);
        let closed = self.scanner.push(text);
        let any = !closed.is_empty();
        self.closed.extend(closed);
        any
    }

    fn proposal(&self, plan: &Plan) -> Option<Result<Candidate, FormatProblem>> {
        Some(program(self.trajectory.as_ref()?, &plan.wanted))
    }

    /// Whether this stream is where the program came from.
    fn wrote(&self, program: &Candidate, plan: &Plan) -> bool {
        let at_the_end = self.proposal(plan).is_some_and(|proposal| proposal.as_ref() == Ok(program));
        at_the_end
            || (1..=self.closed.len()).any(|n| program_in(&self.closed[..n], &plan.wanted).as_ref() == Some(program))
    }
}

/// What is run, in words.
fn describe(checks: &[Check]) -> String {
    let part = |check: &Check| match check {
        Check::Asserts { .. } => "the task's examples".to_owned(),
        Check::Stdio { cases, .. } => format!("{} sample inputs", cases.len()),
        Check::TestSource { .. } => "the tests".to_owned(),
        Check::Command { command } => command.clone(),
    };
    checks.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::task::{Complexity, Failure, FailureKind, Finish, Language, Level, Report, Usage};
    use crate::verify::VerifyOptions;

    pub(in super::super) fn plan() -> Plan {
        Plan::bare(
            Complexity { level: Level::Simple, probabilities: [1.0, 0.0, 0.0], reasons: vec![], features: vec![] },
            Budget { thinking_tokens_max: 64, answer_tokens_max: 64, rounds_max: 3, samples: 1 },
            VerifyOptions::default(),
        )
    }

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

    pub(in super::super) fn attempt(source: &str, verdict: Option<Verdict>) -> Attempt {
        let trajectory = Trajectory {
            text: source.to_owned(),
            shift_at: None,
            answer_at: 0,
            shifted: None,
            finish: Finish::EndOfTurn,
            usage: Usage { prompt_tokens: 10, thinking_tokens: 5, ..Usage::default() },
            logprob_sum: None,
        };
        let proposal = Ok(Candidate::Program { language: Language::Python, source: source.to_owned() });
        Attempt { of: 1, trajectory, proposal, verdict }
    }
}
