//! Data from one's own model: a problem is asked several times, every program is run behind walls against the
//! problem's tests, and the shortest trajectory that passes is kept. Code at once is tried first; thinking is kept
//! only where code at once failed, so that a model learns to think where it pays. Some thoughts are cut at any token
//! and hinted, as they will be when the window ends.
//!
//! Not for: choosing problems and writing files (`cmd`), the user's own sessions (they are rows already).

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::cancel::Cancel;
use crate::engine::{Engine, EngineEvent, GenerateRequest, Sampling, SessionId, WindowSpec};
use crate::gym::row::Part;
use crate::prompt::{Message, render_chatml};
use crate::reply::{self, Wanted};
use crate::sandbox::Sandbox;
use crate::task::{Check, Finish, Language, Trajectory, Verdict};
use crate::verify::{VerifyOptions, verify};

/// A problem as the agent would ask it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub id: String,
    pub messages: Vec<Message>,
    /// Functions that the tests call; empty where that is not known.
    pub names: Vec<String>,
    /// Python asserts, setup before them.
    pub tests: String,
}

/// How the model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asking {
    /// Trajectories of each of the two ways.
    pub samples: u32,
    /// Thinking tokens of the second way; 0 tries code at once only.
    pub window: u32,
    pub answer_tokens: u32,
    pub temperature: f32,
    pub seed: u64,
    /// The words forced where thinking ends, up to the program's fence.
    pub hint: String,
    /// Of a hundred kept thoughts, so many become a cut and hinted row as well.
    pub hinted_percent: u64,
    /// Stand in every row: which model said it, and in whose words it was asked.
    pub model: String,
    pub prompts: String,
}

/// What came of a problem.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampled {
    pub tried: u32,
    pub passed: u32,
    pub rows: Vec<Value>,
}

/// Asks, judges and keeps.
///
/// # Errors
/// The model failed, or walls that stood broke.
pub async fn sample(
    engine: &Engine,
    sandbox: &Sandbox,
    problem: &Problem,
    asking: &Asking,
    cancel: &Cancel,
) -> anyhow::Result<Sampled> {
    let mut sampled = Sampled::default();
    for (way, window) in [("at_once", 0), ("thought", asking.window)] {
        if way == "thought" && window == 0 || cancel.is_cancelled() {
            break;
        }
        let mut passed = Vec::new();
        for trajectory in generate(engine, problem, asking, window).await? {
            sampled.tried += 1;
            if passes(problem, &trajectory, sandbox, cancel).await? {
                passed.push(trajectory);
            }
        }
        sampled.passed += passed.len() as u32;
        let length = |t: &Trajectory| (t.usage.thinking_tokens + t.usage.answer_tokens, t.text.len());
        if let Some(shortest) = passed.into_iter().min_by_key(length) {
            sampled.rows.push(row(problem, asking, way, &parts(&shortest)));
            let dice = dice(asking.seed, &problem.id);
            if way == "thought" && dice % 100 < asking.hinted_percent {
                sampled.rows.extend(cut(&shortest, asking, dice).map(|parts| row(problem, asking, "cut", &parts)));
            }
            break;
        }
    }
    Ok(sampled)
}

async fn generate(engine: &Engine, problem: &Problem, asking: &Asking, window: u32) -> anyhow::Result<Vec<Trajectory>> {
    let sampling = Sampling { temperature: asking.temperature, ..Sampling::GREEDY };
    let mut generation = engine.generate(GenerateRequest {
        session: SessionId(0),
        prompt: render_chatml(&problem.messages, true),
        window: WindowSpec {
            thinking_tokens_max: window,
            answer_tokens_max: asking.answer_tokens,
            hint: asking.hint.clone(),
            paper_exact: false,
            ..WindowSpec::default()
        },
        thinking_sampling: sampling,
        answer_sampling: sampling,
        candidates: asking.samples,
        seed: asking.seed ^ dice(asking.seed, &problem.id),
        ..GenerateRequest::default()
    });
    let mut found = Vec::new();
    while let Some(event) = generation.next().await {
        if let EngineEvent::Finished { candidate, trajectory, .. } = event? {
            found.push((candidate, trajectory));
        }
    }
    found.sort_by_key(|(candidate, _)| *candidate);
    Ok(found.into_iter().map(|(_, trajectory)| trajectory).collect())
}

/// Whether a trajectory ended by itself with a program that passes.
async fn passes(
    problem: &Problem,
    trajectory: &Trajectory,
    sandbox: &Sandbox,
    cancel: &Cancel,
) -> anyhow::Result<bool> {
    // A reply that was cut would teach not to end.
    if trajectory.finish != Finish::EndOfTurn {
        return Ok(false);
    }
    let wanted = Wanted { language: Some(Language::Python), names: problem.names.clone(), stdin: false };
    let Ok(candidate) = reply::program(trajectory, &wanted) else { return Ok(false) };
    let checks = [Check::Asserts { source: problem.tests.clone(), hidden: true }];
    match verify(&candidate, &checks, sandbox, &VerifyOptions::default(), cancel).await {
        Verdict::Passed(_) => Ok(true),
        Verdict::Failed(_) | Verdict::NothingToCheck { .. } => Ok(false),
        Verdict::SandboxFailed { step, why } => anyhow::bail!("the sandbox failed at {step}: {why}"),
    }
}

/// What the model said is learnt; the words that were forced on it are not.
pub fn parts(trajectory: &Trajectory) -> Vec<Part> {
    let part = |text: &str, learn: bool| Part { text: text.to_owned(), learn, keep: None };
    let text = trajectory.text.as_str();
    let shift = trajectory.shift_at.and_then(|at| Some((text.get(..at)?, text.get(at..trajectory.answer_at)?)));
    let parts = match shift {
        Some((thought, hint)) => vec![part(thought, true), part(hint, false), part(trajectory.answer(), true)],
        None => vec![part(text, true)],
    };
    parts.into_iter().filter(|part| !part.text.is_empty()).collect()
}

/// A thought cut at any token, the hint, and the program that followed; `None` where there is no thought to cut.
fn cut(trajectory: &Trajectory, asking: &Asking, dice: u64) -> Option<Vec<Part>> {
    if trajectory.shift_at.is_some() {
        return None;
    }
    let fence = trajectory.text.rfind("```python\n")?;
    let (thought, program) = trajectory.text.split_at(fence);
    let program = program.strip_prefix("```python\n")?;
    if thought.trim().is_empty() {
        return None;
    }
    let keep = (dice / 100 % 1000) as f32 / 1000.0;
    Some(vec![
        Part { text: thought.to_owned(), learn: true, keep: Some(keep) },
        Part { text: asking.hint.clone(), learn: false, keep: None },
        Part { text: program.to_owned(), learn: true, keep: None },
    ])
}

fn row(problem: &Problem, asking: &Asking, kind: &str, parts: &[Part]) -> Value {
    json!({
        "id": format!("{}/{kind}", problem.id),
        "kind": kind,
        "messages": problem.messages,
        "reply": parts,
        "tests": problem.tests,
        "model": asking.model,
        "prompts": asking.prompts,
    })
}

/// A number that is always the same for a problem and a seed.
fn dice(seed: u64, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, id).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ShiftReason;

    fn asking() -> Asking {
        Asking {
            samples: 2,
            window: 100,
            answer_tokens: 100,
            temperature: 0.8,
            seed: 1,
            hint: "HINT```python\n".to_owned(),
            hinted_percent: 100,
            model: "m".to_owned(),
            prompts: "p".to_owned(),
        }
    }

    #[test]
    fn forced_words_are_not_learnt() {
        let text = "thinkHINTcode";
        let shifted = Trajectory {
            shift_at: Some(5),
            answer_at: 9,
            shifted: Some(ShiftReason::Budget),
            ..Trajectory::ended(text)
        };
        let learnt: Vec<(String, bool)> = parts(&shifted).into_iter().map(|part| (part.text, part.learn)).collect();
        let want = [("think", true), ("HINT", false), ("code", true)].map(|(text, learn)| (text.to_owned(), learn));
        assert_eq!(learnt, want);
        assert_eq!(parts(&Trajectory::ended(text)).len(), 1);
    }

    #[test]
    fn a_cut_thought_keeps_its_program() {
        let whole = Trajectory::ended("First x.\n```python\nx = 1\n```");
        let parts = cut(&whole, &asking(), 12_345).unwrap();
        assert_eq!((parts[0].text.as_str(), parts[2].text.as_str()), ("First x.\n", "x = 1\n```"));
        assert!(parts[0].keep.unwrap() < 1.0 && !parts[1].learn);
        assert!(cut(&Trajectory::ended("```python\nx\n```"), &asking(), 0).is_none(), "nothing was thought");
    }
}
