//! A model against gym problems: generate within a window, take the program, run it behind walls.
//!
//! Not for: the agent's loop (`agent.rs`); this measures the model and the window alone.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::gym::{Record, faith, thought};
use crate::cancel::Cancel;
use crate::engine::{Engine, EngineError, EngineEvent, GenerateRequest, Sampling, SessionId, WindowSpec};
use crate::gym::edit::File;
use crate::gym::row::Row;
use crate::prompt::render_chatml;
use crate::reply::paths::Known;
use crate::reply::{self, Wanted, edits};
use crate::sandbox::Sandbox;
use crate::task::{Candidate, Check, Finish, Language, Trajectory, Usage, Verdict};
use crate::verify::{VerifyOptions, verify};
use crate::workspace::plan::{self, FileState, Rules};

/// Room for the answer after a shift; the longest reference has about two thirds of it.
const ANSWER_TOKENS: u32 = 384;

/// How the model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The thinking window in tokens.
    pub window: u32,
    /// Hard cut at the window, as the paper does it.
    pub paper_exact: bool,
    /// The words forced at the window, up to the program's fence.
    pub hint: String,
    /// The words forced at the window of a task in a project, whose answer begins with a path.
    pub hint_project: String,
    /// 0 is greedy.
    pub temperature: f32,
    pub seed: u64,
    /// Candidates of one prompt. With more than one, the first that passes the visible examples is taken.
    pub samples: u32,
}

/// Asks and judges every row; records come in the order of the rows. `progress` is told of each.
///
/// # Errors
/// The model failed, or walls that stood broke.
pub async fn run(
    engine: &Engine,
    sandbox: &Sandbox,
    rows: &[Row],
    settings: &Settings,
    mut progress: impl FnMut(&Record),
) -> anyhow::Result<Vec<Record>> {
    let cancel = Cancel::new();
    let options = Arc::new(VerifyOptions::default());
    let mut judging: JoinSet<anyhow::Result<(usize, Record)>> = JoinSet::new();
    let mut records: Vec<Option<Record>> = vec![None; rows.len()];
    let side_by_side = (sandbox.parallel() as usize).max(1) * 2;
    let mut keep = |done: (usize, Record)| {
        progress(&done.1);
        records[done.0] = Some(done.1);
    };
    for (index, row) in rows.iter().enumerate() {
        let trajectories = generate(engine, row, settings).await?;
        let thought_tokens = trajectories.iter().map(|t| engine.count_tokens(thought(row, t)) as u32).collect();
        while judging.len() >= side_by_side {
            keep(judging.join_next().await.expect("invariant: some are being judged")??);
        }
        let (row, sandbox, options, cancel) = (row.clone(), sandbox.clone(), Arc::clone(&options), cancel.clone());
        judging.spawn(async move {
            Ok((index, judged(&row, &trajectories, thought_tokens, &sandbox, &options, &cancel).await?))
        });
    }
    while let Some(done) = judging.join_next().await {
        keep(done??);
    }
    Ok(records.into_iter().map(|record| record.expect("invariant: every row was judged")).collect())
}

/// The candidates' trajectories in the order of their numbers.
async fn generate(engine: &Engine, row: &Row, settings: &Settings) -> Result<Vec<Trajectory>, EngineError> {
    let sampling = Sampling { temperature: settings.temperature, ..Sampling::GREEDY };
    let mut generation = engine.generate(GenerateRequest {
        session: SessionId(0),
        prompt: render_chatml(&row.messages, true),
        window: WindowSpec {
            thinking_tokens_max: settings.window,
            answer_tokens_max: ANSWER_TOKENS,
            hint: if row.project.is_some() { settings.hint_project.clone() } else { settings.hint.clone() },
            paper_exact: settings.paper_exact,
            ..WindowSpec::default()
        },
        thinking_sampling: sampling,
        answer_sampling: sampling,
        candidates: settings.samples,
        seed: settings.seed,
        ..GenerateRequest::default()
    });
    let mut found = Vec::with_capacity(settings.samples as usize);
    while let Some(event) = generation.next().await {
        if let EngineEvent::Finished { candidate, trajectory, .. } = event? {
            found.push((candidate, trajectory));
        }
    }
    found.sort_by_key(|(candidate, _)| *candidate);
    Ok(found.into_iter().map(|(_, trajectory)| trajectory).collect())
}

/// Judges the candidates of one row: chosen by the visible examples, counted by the hidden tests.
async fn judged(
    row: &Row,
    trajectories: &[Trajectory],
    thought_tokens: Vec<u32>,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> anyhow::Result<Record> {
    let programs: Vec<Result<Candidate, String>> = trajectories.iter().map(|t| program(row, t)).collect();
    let mut chosen = 0;
    if programs.len() > 1 && !row.visible.is_empty() {
        for (index, program) in programs.iter().enumerate() {
            let Ok(program) = program else { continue };
            if verify(program, &asserts(row.visible.iter(), false), sandbox, options, cancel).await.passed() {
                chosen = index;
                break;
            }
        }
    }
    let (passed, why) = match programs.get(chosen) {
        None => (false, "no reply".to_owned()),
        Some(Err(problem)) => (false, problem.clone()),
        Some(Ok(program)) => passes_all(row, program, sandbox, options, cancel).await?,
    };
    let trajectory = trajectories.get(chosen);
    let usage = trajectories.iter().fold(Usage::default(), |sum, t| Usage {
        prompt_tokens: t.usage.prompt_tokens,
        reused_tokens: sum.reused_tokens + t.usage.reused_tokens,
        thinking_tokens: sum.thinking_tokens + t.usage.thinking_tokens,
        forced_tokens: sum.forced_tokens + t.usage.forced_tokens,
        answer_tokens: sum.answer_tokens + t.usage.answer_tokens,
    });
    Ok(Record {
        id: row.id.clone(),
        family: row.family.name().to_owned(),
        level: row.level,
        passed,
        why,
        usage,
        thought_tokens: thought_tokens.iter().sum(),
        shifted: trajectory.is_some_and(|t| t.shifted.is_some()),
        faith: trajectory.and_then(|t| faith(row, t)),
        text: trajectory.map(|t| t.text.clone()).unwrap_or_default(),
    })
}

/// Whether a program passes the row's visible and hidden tests, and why not.
pub(super) async fn passes_all(
    row: &Row,
    program: &Candidate,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> anyhow::Result<(bool, String)> {
    let checks = asserts(row.visible.iter().chain(&row.hidden), true);
    verdict(verify(program, &checks, sandbox, options, cancel).await)
}

/// Tests as one check.
pub(super) fn asserts<'a>(tests: impl Iterator<Item = &'a String>, hidden: bool) -> [Check; 1] {
    let source = tests.map(String::as_str).collect::<Vec<_>>().join("\n");
    [Check::Asserts { source, hidden }]
}

/// What a reply comes to: its program or, in a project, the changed file as a program of its own.
fn program(row: &Row, trajectory: &Trajectory) -> Result<Candidate, String> {
    let Some(project) = &row.project else {
        let wanted = Wanted { language: Some(Language::Python), names: vec![row.entry.clone()], stdin: false };
        return reply::program(trajectory, &wanted).map_err(|problem| problem.to_string());
    };
    let reading = edits::read(trajectory.answer(), &Known::new(project.files.iter().map(|file| file.path.clone())));
    let state = |file: &File| (file.path.clone(), FileState::Text(file.content.clone()));
    let before = project.files.iter().map(state).collect();
    let rules = Rules { reply_is_complete: trajectory.finish == Finish::EndOfTurn, ..Rules::default() };
    let plan = plan::plan(&before, &reading, rules);
    if let Some(refusal) = plan.refused.first() {
        return Err(refusal.message.clone());
    }
    if let Some(other) = plan.files.iter().find(|file| file.path != project.path) {
        return Err(format!("it changes {}", other.path));
    }
    let after = plan.files.into_iter().find_map(|file| file.after);
    let source = after.ok_or_else(|| format!("it does not change {}", project.path))?;
    Ok(Candidate::Program { language: Language::Python, source })
}

/// Whether it passed, and why not.
fn verdict(verdict: Verdict) -> anyhow::Result<(bool, String)> {
    match verdict {
        Verdict::Passed(_) => Ok((true, String::new())),
        Verdict::Failed(report) => Ok((false, report.failures.first().map_or("failed", |f| f.got.as_str()).to_owned())),
        Verdict::NothingToCheck { why } => Ok((false, why)),
        Verdict::SandboxFailed { step, why } => anyhow::bail!("the sandbox failed at {step}: {why}"),
    }
}
