//! Many problems at once: each asked by every arm, judged while the model decodes for others, handed on as it ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;

use super::arm::{AgentEffort, Arm};
use super::ask::{Drawing, Frame, Put, generate, request, settle};
use super::difficulty::Difficulty;
use super::judge::{Bench, Judged};
use super::record::{Answer, Claim, Outcome, Record};
use super::vote;
use crate::agent::{Agent, checks};
use crate::cancel::Cancel;
use crate::complexity;
use crate::engine::{Engine, EngineError, SessionId, TokenId};
use crate::eval::agent::listened;
use crate::eval::gym::before_answer;
use crate::task::{Candidate, Check, Finish, Language, Scope, Task, Trajectory, Usage};
use crate::verify::suites::{Gold, Problem, imports};
use crate::verify::{VerifyOptions, runs_test_programs, tools};

/// Records on their way to the writer.
const RECORDS_MAX: usize = 64;
/// Problems that are judged or wait for a slot, beside those that are decoded.
const WAITING_PER_SLOT: usize = 2;
/// Sessions of the slots begin here, so that none is the agent's.
const SESSION_FIRST: u32 = 100;

/// Everything that lasts over a run.
pub struct Setup {
    pub engine: Engine,
    pub bench: Bench,
    pub frame: Frame,
    pub drawing: Drawing,
    pub arms: Vec<Arm>,
    /// Different problems decoded at the same time.
    pub slots: usize,
    /// Fingerprint of the adapter's file.
    pub adapter: Option<String>,
    /// The whole agent, where an arm wants it.
    pub agent: Option<Arc<Agent>>,
}

/// A problem and what an earlier run has of it.
#[derive(Clone, Debug)]
pub struct Job {
    pub problem: Arc<Problem>,
    pub known: Vec<Record>,
}

/// Free slots, each with a session of its own.
struct Slots {
    places: Semaphore,
    free: Mutex<Vec<u32>>,
}

struct Slot<'a> {
    slots: &'a Slots,
    number: u32,
    _place: SemaphorePermit<'a>,
}

impl Slots {
    fn new(count: usize) -> Self {
        Self { places: Semaphore::new(count), free: Mutex::new((0..count as u32).rev().collect()) }
    }

    async fn take(&self) -> Slot<'_> {
        let place = self.places.acquire().await.expect("invariant: the semaphore is never closed");
        let number = self.lock().pop().expect("invariant: as many numbers as places");
        Slot { slots: self, number, _place: place }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.slots.lock().push(self.number);
    }
}

impl Slot<'_> {
    const fn session(&self) -> SessionId {
        SessionId(SESSION_FIRST + self.number)
    }
}

/// Asks and judges every job by every arm, and hands each record on as it ends. Ends early where `each` fails or the
/// user cancels; what was under way then is not handed on.
///
/// # Errors
/// The engine failed, or `each` did.
pub async fn run(
    setup: Arc<Setup>,
    jobs: Vec<Job>,
    mut each: impl FnMut(&Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (sender, mut records) = mpsc::channel::<anyhow::Result<Record>>(RECORDS_MAX);
    let slots = Arc::new(Slots::new(setup.slots.max(1)));
    let places = Arc::new(Semaphore::new(setup.slots.max(1) * (1 + WAITING_PER_SLOT)));
    let cancel = setup.bench.cancel.clone();
    let feeding = tokio::spawn({
        let cancel = cancel.clone();
        async move {
            let mut tasks = JoinSet::new();
            for job in jobs {
                let place =
                    Arc::clone(&places).acquire_owned().await.expect("invariant: the semaphore is never closed");
                if cancel.is_cancelled() || sender.is_closed() {
                    break;
                }
                let (setup, slots, sender) = (Arc::clone(&setup), Arc::clone(&slots), sender.clone());
                tasks.spawn(async move {
                    let done = one(&setup, &slots, &job, &sender).await;
                    if let Err(error) = done {
                        // A receiver that is gone wants no error either.
                        let _ = sender.send(Err(error)).await;
                    }
                    drop(place);
                });
                while tasks.try_join_next().is_some() {}
            }
            while tasks.join_next().await.is_some() {}
        }
    });
    let mut outcome = Ok(());
    while let Some(record) = records.recv().await {
        outcome = record.and_then(|record| each(&record));
        if outcome.is_err() {
            cancel.cancel();
            break;
        }
    }
    drop(records);
    feeding.await?;
    outcome
}

/// A greedy reply without a window.
struct Free {
    record: Record,
    tokens: Vec<TokenId>,
}

/// One problem by every arm that has no record yet.
async fn one(
    setup: &Setup,
    slots: &Slots,
    job: &Job,
    sender: &mpsc::Sender<anyhow::Result<Record>>,
) -> anyhow::Result<()> {
    let problem = &*job.problem;
    let known = |arm: Arm| job.known.iter().find(|record| record.arm == arm.to_string());
    // What was written without a window, and (where this run wrote it) its tokens: a window goes on from them.
    let mut free = known(Arm::Chat).map(|record| Free { record: record.clone(), tokens: Vec::new() });
    for &arm in &setup.arms {
        if setup.bench.cancel.is_cancelled() {
            return Ok(());
        }
        if known(arm).is_some() {
            continue;
        }
        let (record, tokens) = match hindrance(problem, arm) {
            Some(why) => (not_judged(setup, problem, arm, why)?, Vec::new()),
            None => match arm {
                Arm::Difficulty => (foretold(setup, slots, problem).await?, Vec::new()),
                Arm::Agent(effort) => (by_the_agent(setup, slots, problem, arm, effort).await?, Vec::new()),
                _ => by_the_model(setup, slots, problem, arm, free.as_ref()).await?,
            },
        };
        if setup.bench.cancel.is_cancelled() {
            return Ok(());
        }
        if arm == Arm::Chat {
            free = Some(Free { record: record.clone(), tokens });
        }
        if sender.send(Ok(record)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// What stands in the way of judging any answer to a problem; nobody is asked then.
fn hindrance(problem: &Problem, arm: Arm) -> Option<String> {
    if matches!(arm, Arm::Agent(_)) && problem.gold != Gold::Program {
        return Some("the agent writes programs, and this asks for none".to_owned());
    }
    if !matches!(problem.gold, Gold::Program | Gold::Output | Gold::Input) {
        return None;
    }
    if let Some(why) = imports::hindrance(problem) {
        return Some(why);
    }
    let runner = |language: Language| tools().into_iter().any(|(other, tool)| other == language && tool.is_some());
    let tag = problem.language.fence_tag();
    if !runner(problem.language) {
        return Some(format!("there is nothing here to run {tag} with"));
    }
    let programs = |check: &Check| matches!(check, Check::TestSource { .. });
    (problem.checks.iter().any(programs) && !runs_test_programs(problem.language))
        .then(|| format!("test programs in {tag} are not run"))
}

/// A record with nothing in it but the names.
fn blank(setup: &Setup, problem: &Problem, arm: Arm, put: Option<&Put>) -> Record {
    Record {
        task_id: problem.id.clone(),
        suite: problem.suite.to_string(),
        arm: arm.to_string(),
        group: problem.group.clone(),
        outcome: Outcome::NotJudged,
        why: String::new(),
        completion: String::new(),
        answers: Vec::new(),
        majority: None,
        best: None,
        usage: Usage::default(),
        thought_tokens: 0,
        shifted: false,
        decoded_tokens: 0,
        seconds: 0.0,
        tier: None,
        question_sha256: problem.question_sha256(),
        tests_sha256: problem.tests_sha256(),
        prompt_sha256: put.map(|put| put.prompt_sha256.clone()).unwrap_or_default(),
        words: put.map(|put| put.words.clone()).unwrap_or_default(),
        words_sha256: put.map(|put| put.words_sha256.clone()).unwrap_or_default(),
        model: setup.engine.info().fingerprint.clone(),
        adapter: setup.adapter.clone(),
        seed: setup.drawing.seed,
        claim: None,
        difficulty: None,
    }
}

fn not_judged(setup: &Setup, problem: &Problem, arm: Arm, why: String) -> anyhow::Result<Record> {
    let put = setup.frame.put(problem, arm)?;
    Ok(Record { why, ..blank(setup, problem, arm, Some(&put)) })
}

async fn by_the_model(
    setup: &Setup,
    slots: &Slots,
    problem: &Problem,
    arm: Arm,
    free: Option<&Free>,
) -> anyhow::Result<(Record, Vec<TokenId>)> {
    let put = setup.frame.put(problem, arm)?;
    let blank = blank(setup, problem, arm, Some(&put));
    if let Some(free) = free.filter(|free| ends_within(arm, &free.record, &blank)) {
        let same = Record { arm: blank.arm, decoded_tokens: 0, seconds: 0.0, ..free.record.clone() };
        return Ok((same, Vec::new()));
    }
    let mut request = request(&put, arm, &setup.drawing, SessionId(0));
    let windowed = matches!(arm, Arm::Window(_) | Arm::Force(_));
    let same_prompt = |free: &&Free| windowed && free.record.prompt_sha256 == blank.prompt_sha256;
    request.given = free.filter(same_prompt).map(|free| free.tokens.clone()).unwrap_or_default();
    let given = request.given.len() as u32;
    let slot = slots.take().await;
    let started = Instant::now();
    request.session = slot.session();
    let asked = tokio::select! {
        asked = generate(&setup.engine, request, &put.stops) => asked,
        // Dropping the generation ends it; nothing of this record is kept.
        () = setup.bench.cancel.cancelled() => return Ok((blank, Vec::new())),
    };
    let seconds = started.elapsed().as_secs_f64();
    drop(slot);
    let replies = match asked {
        Ok(replies) => replies,
        Err(error @ EngineError::PromptTooLong { .. }) => {
            return Ok((Record { outcome: Outcome::TooLong, why: error.to_string(), ..blank }, Vec::new()));
        }
        Err(error) => return Err(error.into()),
    };
    let tokens = replies.first().map(|(_, tokens)| tokens.clone()).unwrap_or_default();
    let replies: Vec<Trajectory> = replies.into_iter().map(|(reply, _)| settle(&put, arm, reply)).collect();
    let mut judged = Vec::with_capacity(replies.len());
    for reply in &replies {
        judged.push(setup.bench.judge(problem, reply).await);
    }
    let mut answers: Vec<Answer> =
        replies.iter().zip(&judged).map(|(reply, judged)| answer(&setup.engine, reply, judged)).collect();
    if matches!(arm, Arm::Samples(_)) {
        choose(setup, problem, &judged, &mut answers).await;
    }
    let record = whole(blank, answers, &judged);
    // What was given and lies before the shift was not drawn again.
    let reused = given.min(record.usage.thinking_tokens);
    let decoded_tokens = record.decoded_tokens - reused;
    Ok((Record { decoded_tokens, seconds, ..record }, tokens))
}

/// What the words and the model itself say of a problem before it is answered.
async fn foretold(setup: &Setup, slots: &Slots, problem: &Problem) -> anyhow::Result<Record> {
    let (asked, _) = setup.frame.asked(problem)?;
    let prompt = asked.messages.last().map(|message| message.content.clone()).unwrap_or_default();
    let signals = complexity::signals(complexity::Facts { prompt: &prompt, ..complexity::Facts::default() });
    let messages = complexity::probe::messages(&setup.frame.prompts, &prompt)?;
    let rendered = setup.frame.rendered(&messages)?;
    let slot = slots.take().await;
    let started = Instant::now();
    let said = complexity::probe(&setup.engine, &rendered).await?;
    let seconds = started.elapsed().as_secs_f64();
    drop(slot);
    let both = complexity::combine(&signals, Some(said)).probabilities;
    let difficulty = Some(Difficulty { words: signals.probabilities, asked: said, both });
    let why = "it was asked how hard this is, and for no answer".to_owned();
    Ok(Record { why, seconds, difficulty, ..blank(setup, problem, Arm::Difficulty, None) })
}

/// The record of all answers; the first one is what the arm is judged by.
fn whole(blank: Record, answers: Vec<Answer>, judged: &[Judged]) -> Record {
    let usage = answers.iter().fold(Usage::default(), |sum, answer| Usage {
        prompt_tokens: answer.usage.prompt_tokens,
        reused_tokens: sum.reused_tokens.max(answer.usage.reused_tokens),
        thinking_tokens: sum.thinking_tokens + answer.usage.thinking_tokens,
        forced_tokens: sum.forced_tokens + answer.usage.forced_tokens,
        answer_tokens: sum.answer_tokens + answer.usage.answer_tokens,
    });
    let first = answers.first();
    Record {
        outcome: first.map_or(Outcome::Unreadable, |answer| answer.outcome),
        why: first.map_or_else(|| "no reply".to_owned(), |answer| answer.why.clone()),
        completion: first.map(|answer| answer.text.clone()).unwrap_or_default(),
        thought_tokens: answers.iter().map(|answer| answer.thought_tokens).sum(),
        shifted: answers.iter().any(|answer| answer.shifted),
        decoded_tokens: usage.generated_tokens(),
        tier: judged.iter().find_map(|judged| judged.tier),
        majority: vote::majority(&answers),
        best: vote::best(&answers),
        usage,
        answers,
        ..blank
    }
}

/// Whether a window changes nothing of what the model wrote greedily without one.
fn ends_within(arm: Arm, free: &Record, asked: &Record) -> bool {
    let (Arm::Window(tokens) | Arm::Force(tokens)) = arm else { return false };
    // The end of the turn counts as a token.
    free.prompt_sha256 == asked.prompt_sha256
        && matches!(free.outcome, Outcome::Passed | Outcome::Failed | Outcome::Unreadable)
        && free.answers.first().is_some_and(|answer| answer.finish == Finish::EndOfTurn)
        && free.usage.generated_tokens() < tokens
}

fn answer(engine: &Engine, reply: &Trajectory, judged: &Judged) -> Answer {
    let before_hint = &reply.text[..reply.shift_at.unwrap_or(reply.text.len())];
    Answer {
        text: reply.text.clone(),
        outcome: judged.outcome,
        why: judged.why.clone(),
        finish: reply.finish,
        shifted: reply.shifted.is_some(),
        usage: reply.usage,
        thought_tokens: engine.count_tokens(before_answer(before_hint)) as u32,
        key: None,
        visible: None,
    }
}

/// Finds out which of several answers the majority and the visible tests would choose.
async fn choose(setup: &Setup, problem: &Problem, judged: &[Judged], answers: &mut [Answer]) {
    for (answer, key) in answers.iter_mut().zip(vote::keys(problem, judged, &setup.bench).await) {
        answer.key = key;
    }
    for (answer, judged) in answers.iter_mut().zip(judged) {
        if let Some(candidate) = &judged.candidate {
            answer.visible = setup.bench.passes_visible(problem, candidate).await;
        }
    }
}

/// The agent works on it as on a user's task: its checks are the visible tests and what the words say, as for everybody.
async fn by_the_agent(
    setup: &Setup,
    slots: &Slots,
    problem: &Problem,
    arm: Arm,
    effort: AgentEffort,
) -> anyhow::Result<Record> {
    let Some(agent) = &setup.agent else { anyhow::bail!("invariant: an arm of the agent's brings the agent") };
    let (asked, words) = setup.frame.asked(problem)?;
    let prompt = asked.messages.last().map(|message| message.content.clone()).unwrap_or_default();
    let python = problem.language == Language::Python;
    let checks = if python { checks::beside(&problem.visible, &prompt) } else { problem.visible.clone() };
    let task = Task {
        id: problem.id.clone(),
        prompt,
        scope: Scope::Standalone,
        checks,
        language: Some(problem.language),
        effort: effort.effort(),
    };
    let slot = slots.take().await;
    let started = Instant::now();
    let (outcome, replies) = work(Arc::clone(agent), task, setup.bench.cancel.clone()).await?;
    let seconds = started.elapsed().as_secs_f64();
    drop(slot);
    let reply = Trajectory { usage: outcome.usage, ..Trajectory::ended(outcome.answer.clone()) };
    let judged = match outcome.candidate {
        Some(candidate) => {
            let candidate = match candidate {
                Candidate::Program { source, .. } => problem.program(&source),
                other @ Candidate::Edits { .. } => other,
            };
            setup.bench.run(problem, candidate, &problem.checks).await
        }
        None => setup.bench.judge(problem, &reply).await,
    };
    let mut blank = blank(setup, problem, arm, None);
    (blank.words, blank.words_sha256) = (words.name, words.sha256);
    let mut one = answer(&setup.engine, &reply, &judged);
    one.text = conversation_text(&judged, &outcome.answer, problem.language);
    one.thought_tokens = replies.iter().map(|text| setup.engine.count_tokens(before_answer(text)) as u32).sum();
    one.shifted = outcome.usage.forced_tokens > 0;
    let claim = Some(Claim { status: outcome.status, rounds: outcome.rounds, replies });
    Ok(Record { seconds, claim, ..whole(blank, vec![one], &[judged]) })
}

/// What `z1 verify` can read: the program in a fence.
fn conversation_text(judged: &Judged, answer: &str, language: Language) -> String {
    if answer.contains("```") || judged.candidate.is_none() {
        return answer.to_owned();
    }
    crate::prompt::conversation::fenced(answer, Some(language.fence_tag()))
}

/// One task from its words to its outcome, and what every candidate wrote; nothing is kept. On a thread of its own,
/// because the agent's work may not move between threads.
async fn work(agent: Arc<Agent>, task: Task, cancel: Cancel) -> anyhow::Result<(crate::task::Outcome, Vec<String>)> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(listened(&agent, &task, cancel))).await?
}

/// The limits of one judgement: the problem's own where it states one.
pub fn verify_options(seconds: f64) -> VerifyOptions {
    let mut options = VerifyOptions::default();
    let wall = std::time::Duration::from_secs_f64(seconds);
    (options.limits.wall, options.limits.cpu, options.call_wall) = (wall, wall, wall);
    options
}
