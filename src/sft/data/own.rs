//! Data from one's own model: a problem is asked several times, every program is run behind walls against the
//! problem's tests, and the shortest trajectory that passes is kept. Code at once is tried first, its fence opened for
//! the model; thinking is kept only where code at once failed, so that a model learns to think where it pays. Of some
//! problems a reply is also cut at any token, hinted, and answered with what passed, as it will be when the window ends.
//!
//! Not for: choosing problems and writing files (`cmd`), the user's own sessions (they are rows already).

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::cancel::Cancel;
use crate::engine::{Engine, EngineEvent, GenerateRequest, Sampling, SessionId, StopPolicy, WindowSpec};
use crate::gym::row::Part;
use crate::prompt::{Message, render_chatml};
use crate::reply::{self, Wanted};
use crate::sandbox::Sandbox;
use crate::scan;
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
    /// The words forced where thinking ends.
    pub hint: String,
    /// The same, and the program's fence opened.
    pub hint_code: String,
    /// Of a hundred problems with a reply that passed, so many bring a cut and hinted row as well.
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

/// How a problem is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The program's fence is opened for the model, so that it cannot think.
    AtOnce,
    Thought,
    /// So many tokens of a reply, to be cut off.
    Cut(u32),
}

/// The longest reply that is cut: where windows are short, a cut hurts most.
const CUT_TOKENS_MAX: u32 = 128;

impl Asking {
    /// The opened fence alone.
    fn opening(&self) -> String {
        let fence = self.hint_code.trim_end().rsplit('\n').next().unwrap_or_default();
        format!("{fence}\n")
    }

    fn window(&self, way: Way) -> WindowSpec {
        let spec = |thinking_tokens_max, answer_tokens_max, hint| WindowSpec {
            thinking_tokens_max,
            answer_tokens_max,
            hint,
            paper_exact: false,
            ..WindowSpec::default()
        };
        match way {
            Way::AtOnce => WindowSpec {
                stop: StopPolicy { after_code: Some(0), ..StopPolicy::default() },
                ..spec(0, self.answer_tokens, self.opening())
            },
            Way::Thought => spec(self.window, self.answer_tokens, self.hint_code.clone()),
            Way::Cut(tokens) => WindowSpec { paper_exact: true, ..spec(tokens, 1, "\n".to_owned()) },
        }
    }
}

/// Asks, judges and keeps; `session` is nobody else's meanwhile.
///
/// # Errors
/// The model failed, or walls that stood broke.
pub async fn sample(
    engine: &Engine,
    sandbox: &Sandbox,
    session: SessionId,
    problem: &Problem,
    asking: &Asking,
    cancel: &Cancel,
) -> anyhow::Result<Sampled> {
    let mut sampled = Sampled::default();
    let dice = dice(asking.seed, &problem.id);
    let is_cut = dice % 100 < asking.hinted_percent;
    for way in [Way::AtOnce, Way::Thought] {
        if way == Way::Thought && asking.window == 0 || cancel.is_cancelled() {
            break;
        }
        let mut passed = Vec::new();
        for trajectory in generate(engine, session, problem, asking, way).await? {
            sampled.tried += 1;
            // A reply that was cut would teach not to end.
            let ended = if way == Way::AtOnce { program_alone(&trajectory) } else { ended(trajectory) };
            let Some(trajectory) = ended else { continue };
            if passes(problem, &trajectory, sandbox, cancel).await? {
                passed.push(trajectory);
            }
        }
        sampled.passed += passed.len() as u32;
        let length = |t: &Trajectory| (t.usage.thinking_tokens + t.usage.answer_tokens, t.text.len());
        let Some(shortest) = passed.into_iter().min_by_key(length) else { continue };
        let kind = if way == Way::AtOnce { "at_once" } else { "thought" };
        sampled.rows.push(row(problem, asking, kind, &parts(&shortest)));
        if is_cut && asking.window > 0 {
            let parts = if way == Way::AtOnce {
                let tokens = 1 + (dice / 100 % u64::from(asking.window.min(CUT_TOKENS_MAX))) as u32;
                let begun = generate(engine, session, problem, asking, Way::Cut(tokens)).await?;
                begun.first().and_then(|begun| hinted(begun, &shortest.text, asking, dice))
            } else {
                cut(&shortest, asking, dice)
            };
            sampled.rows.extend(parts.map(|parts| row(problem, asking, "cut", &parts)));
        }
        break;
    }
    Ok(sampled)
}

async fn generate(
    engine: &Engine,
    session: SessionId,
    problem: &Problem,
    asking: &Asking,
    way: Way,
) -> anyhow::Result<Vec<Trajectory>> {
    let sampling = Sampling { temperature: asking.temperature, ..Sampling::GREEDY };
    let mut generation = engine.generate(GenerateRequest {
        session,
        prompt: render_chatml(&problem.messages, true),
        window: asking.window(way),
        thinking_sampling: sampling,
        answer_sampling: sampling,
        candidates: if matches!(way, Way::Cut(_)) { 1 } else { asking.samples },
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

fn ended(trajectory: Trajectory) -> Option<Trajectory> {
    (trajectory.finish == Finish::EndOfTurn).then_some(trajectory)
}

/// The opened fence and what the model wrote up to where it closed it, as one reply; `None` where it did not.
fn program_alone(trajectory: &Trajectory) -> Option<Trajectory> {
    // Where the window is empty a line break may stand before what was forced.
    let from = trajectory.text.find("```")?;
    let text = &trajectory.text[from..];
    let block = scan::blocks(text).into_iter().find(|block| block.start == 0 && block.closed)?;
    Some(Trajectory { usage: trajectory.usage, ..Trajectory::ended(text[..block.end].trim_end()) })
}

/// Whether a reply holds a program that passes.
async fn passes(
    problem: &Problem,
    trajectory: &Trajectory,
    sandbox: &Sandbox,
    cancel: &Cancel,
) -> anyhow::Result<bool> {
    let wanted = Wanted { language: Some(Language::Python), names: problem.names.clone(), stdin: false };
    let Ok(candidate) = reply::program(trajectory, &wanted) else { return Ok(false) };
    let checks = [Check::Asserts { source: problem.tests.clone(), hidden: true }];
    match verify(&candidate, &checks, sandbox, &VerifyOptions::default(), cancel).await {
        Verdict::Passed(_) => Ok(true),
        Verdict::Failed(_) | Verdict::NothingToCheck { .. } => Ok(false),
        Verdict::SandboxFailed { step, why } => anyhow::bail!("the sandbox failed at {step}: {why}"),
    }
}

fn part(text: &str, learn: bool) -> Part {
    Part { text: text.to_owned(), learn, keep: None }
}

/// What the model said is learnt; the words that were forced on it are not.
pub fn parts(trajectory: &Trajectory) -> Vec<Part> {
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
        part(&asking.hint_code, false),
        part(program, true),
    ])
}

/// What a reply began with, the hint, and a program that passed; `None` where the reply ended before it could be cut.
/// Only the program is learnt: nobody knows whether what was begun led anywhere. Half of the hints open the fence.
fn hinted(begun: &Trajectory, program: &str, asking: &Asking, dice: u64) -> Option<Vec<Part>> {
    let said = begun.text.get(..begun.shift_at?)?;
    let opening = asking.opening();
    let (hint, learnt) = match program.strip_prefix(&opening) {
        Some(rest) if dice / 100_000 % 2 == 1 => (&asking.hint_code, rest),
        _ => (&asking.hint, program),
    };
    Some(vec![part(said, false), part(hint, false), part(learnt, true)])
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
            hint: "\n\nHINT\n\n".to_owned(),
            hint_code: "\n\nHINT\n\n```python\n".to_owned(),
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

    #[test]
    fn code_at_once_is_learnt_from_its_fence_on_and_ends_with_it() {
        let said = |text: &str| Trajectory {
            shift_at: Some(0),
            answer_at: "```python\n".len(),
            shifted: Some(ShiftReason::Budget),
            ..Trajectory::ended(text)
        };
        let alone = program_alone(&said("```python\nx = 1\n```\nThis sets x.")).unwrap();
        let learnt: Vec<(String, bool)> = parts(&alone).into_iter().map(|part| (part.text, part.learn)).collect();
        assert_eq!(learnt, [("```python\nx = 1\n```".to_owned(), true)]);
        assert_eq!(
            program_alone(&said("```python\nx = 1\n")),
            None,
            "a fence that is never closed teaches not to close it"
        );
    }

    #[test]
    fn a_reply_cut_anywhere_is_answered_with_what_passed() {
        let begun = Trajectory { shift_at: Some(6), ..Trajectory::ended("To add\n") };
        let of = |dice| hinted(&begun, "```python\nx = 1\n```", &asking(), dice).unwrap();
        let texts = |parts: &[Part]| parts.iter().map(|part| (part.text.clone(), part.learn)).collect::<Vec<_>>();
        let want = |parts: [(&str, bool); 3]| parts.map(|(text, learn)| (text.to_owned(), learn)).to_vec();
        assert_eq!(texts(&of(0)), want([("To add", false), ("\n\nHINT\n\n", false), ("```python\nx = 1\n```", true)]));
        assert_eq!(
            texts(&of(100_000)),
            want([("To add", false), ("\n\nHINT\n\n```python\n", false), ("x = 1\n```", true)])
        );
        assert_eq!(hinted(&Trajectory::ended("x"), "```python\nx\n```", &asking(), 0), None, "it ended by itself");
    }
}
