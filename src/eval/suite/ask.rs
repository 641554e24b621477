//! A problem, an arm and words become a request; a stream of events becomes a reply.
//!
//! Not for: judging the reply.

use sha2::{Digest as _, Sha256};

use crate::engine::{
    Engine, EngineError, EngineEvent, GenerateRequest, Sampling, SessionId, Steer, TokenId, WindowSpec,
};
use crate::hex::hex;
use crate::prompt::conversation::{self, TaskContext};
use crate::prompt::{
    Asked, ChatTemplate, Message, PromptError, Prompts, Rendered, Role, Segment, WordSet, Words, WordsContext,
    render_chatml,
};
use crate::task::{Check, Finish, Trajectory};
use crate::thinking::PAPER_HINT;
use crate::verify::suites::{Gold, Problem, Suite};

use super::arm::Arm;

/// Where the words come from.
#[derive(Clone, Debug)]
pub enum Source {
    Set(WordSet),
    /// One file of the user's for every problem.
    File(Box<Words>),
}

impl Source {
    /// The words for a problem.
    ///
    /// # Errors
    /// A file that does not parse.
    pub fn words(&self, problem: &Problem) -> Result<Words, PromptError> {
        match self {
            Self::Set(set) => Words::built_in(*set, kind(problem)),
            Self::File(words) => Ok((**words).clone()),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Set(set) => set.name(),
            Self::File(words) => &words.name,
        }
    }
}

/// What lies around the words: the model's template, and the agent's prompts for its own set.
#[derive(Clone, Debug)]
pub struct Frame {
    pub source: Source,
    pub prompts: Prompts,
    pub template: Option<ChatTemplate>,
}

/// A problem put into words, rendered for the model.
#[derive(Clone, Debug)]
pub struct Put {
    pub rendered: Rendered,
    /// What the assistant's turn begins with.
    pub prefill: String,
    pub stops: Vec<String>,
    pub prompt_sha256: String,
    pub words: String,
    pub words_sha256: String,
}

/// The file of words that a problem is asked with.
pub fn kind(problem: &Problem) -> &'static str {
    match (problem.suite, &problem.gold) {
        (_, Gold::Output) => "output",
        (_, Gold::Input) => "input",
        (_, Gold::Math(_)) => "math",
        (_, Gold::Choice(_)) => "choice",
        (Suite::Mbpp, _) => "mbpp",
        (Suite::HumanEvalPack, _) => "fix",
        (Suite::MultiplE, _) => "program",
        (Suite::BigCodeBench, _) => "bigcodebench",
        (Suite::Stdio, _) => "contest",
        (Suite::Gym, _) => "gym",
        _ => "humaneval",
    }
}

impl Frame {
    /// The words of a problem, before any template.
    ///
    /// # Errors
    /// Words that name what there is not.
    pub fn asked(&self, problem: &Problem) -> Result<(Asked, Words), PromptError> {
        let words = self.source.words(problem)?;
        let options: Vec<String> =
            ('A'..='Z').zip(&problem.options).map(|(at, text)| format!("({at}) {text}")).collect();
        let options = options.join("\n");
        let text = |name: &str| problem.texts.get(name).map_or("", String::as_str);
        let asked = words.ask(&WordsContext {
            prompt: &problem.prompt,
            language: problem.language.fence_tag(),
            entry: problem.entry.as_deref().unwrap_or_default(),
            example: text("example"),
            starter: text("starter"),
            instruct: text("instruct"),
            buggy: text("buggy"),
            code: text("code"),
            input: text("input"),
            output: text("output"),
            options: &options,
        })?;
        Ok((asked, words))
    }

    /// Renders a problem for the model, the assistant's turn begun.
    ///
    /// # Errors
    /// Words or a template that do not render.
    pub fn put(&self, problem: &Problem, arm: Arm) -> anyhow::Result<Put> {
        let (asked, words) = self.asked(problem)?;
        let messages = match self.source {
            Source::Set(WordSet::Z1) => self.as_the_agent(problem, &asked)?,
            _ => asked.messages,
        };
        let mut rendered = self.rendered(&messages)?;
        let prefill = match arm {
            Arm::NoThink if asked.prefill.is_empty() => asked.prefill_nothink,
            _ => asked.prefill,
        };
        if !prefill.is_empty() {
            rendered.segments.push(Segment { text: prefill.clone(), special: false, learn: false });
        }
        let prompt_sha256 = hex(&Sha256::digest(rendered.text().as_bytes()));
        Ok(Put { rendered, prefill, stops: asked.stops, prompt_sha256, words: words.name, words_sha256: words.sha256 })
    }

    /// Turns as the model reads them, its own begun.
    ///
    /// # Errors
    /// A template that does not render.
    pub fn rendered(&self, messages: &[Message]) -> anyhow::Result<Rendered> {
        match &self.template {
            Some(template) => Ok(template.render(messages, true)?),
            None => Ok(render_chatml(messages, true)),
        }
    }

    /// The turns as the agent would open a task with these words of a user.
    fn as_the_agent(&self, problem: &Problem, asked: &Asked) -> Result<Vec<Message>, PromptError> {
        let user = asked.messages.iter().rev().find(|message| message.role == Role::User);
        let prompt = user.map_or("", |message| message.content.as_str());
        let program = problem.gold == Gold::Program;
        let stdio = problem.checks.iter().any(|check| matches!(check, Check::Stdio { .. }));
        let context = TaskContext {
            prompt,
            language: program.then(|| problem.language.fence_tag()),
            checks: None,
            stdio: stdio && problem.suite == Suite::Stdio,
        };
        if program { conversation::opening(&self.prompts, context) } else { Ok(asked.messages.clone()) }
    }
}

/// How much may be written, and how it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Tokens of an answer; of all that is written where there is no window.
    pub tokens_max: u32,
    /// Of several samples; single answers are greedy.
    pub temperature: f32,
    pub seed: u64,
    /// The words forced at a window.
    pub hint: String,
}

/// The engine's request for one arm.
pub fn request(put: &Put, arm: Arm, drawing: &Drawing, session: SessionId) -> GenerateRequest {
    let window = match arm {
        Arm::Window(tokens) => WindowSpec {
            thinking_tokens_max: tokens,
            answer_tokens_max: drawing.tokens_max,
            hint: drawing.hint.clone(),
            paper_exact: true,
            ..WindowSpec::default()
        },
        Arm::Force(tokens) => WindowSpec {
            thinking_tokens_max: tokens,
            answer_tokens_max: drawing.tokens_max,
            hint: crate::prompt::force_hint(),
            paper_exact: true,
            ..WindowSpec::default()
        },
        // What is written is cut at the allowance; the shift there is the end, see `settle`.
        _ => WindowSpec {
            thinking_tokens_max: drawing.tokens_max,
            answer_tokens_max: 1,
            hint: "\n".to_owned(),
            paper_exact: true,
            ..WindowSpec::default()
        },
    };
    let (candidates, sampling) = match arm {
        Arm::Samples(count) => (count, Sampling { temperature: drawing.temperature, top_p: 0.95, ..Sampling::GREEDY }),
        _ => (1, Sampling::GREEDY),
    };
    GenerateRequest {
        session,
        prompt: put.rendered.clone(),
        window,
        thinking_sampling: sampling,
        answer_sampling: sampling,
        candidate_samplings: Vec::new(),
        candidates,
        seed: drawing.seed,
        given: Vec::new(),
        grammar: None,
    }
}

/// A reply and its tokens as they were decoded.
pub type Reply = (Trajectory, Vec<TokenId>);

/// Asks the model; the replies in the order of their numbers, cut at the words' stops.
///
/// # Errors
/// The engine refused or failed.
pub async fn generate(engine: &Engine, request: GenerateRequest, stops: &[String]) -> Result<Vec<Reply>, EngineError> {
    let count = request.candidates.max(1) as usize;
    let longest = stops.iter().map(String::len).max().unwrap_or(0);
    let mut texts = vec![String::new(); count];
    let mut found: Vec<Option<Reply>> = vec![None; count];
    let mut generation = engine.generate(request);
    while let Some(event) = generation.next().await {
        match event? {
            EngineEvent::Piece { candidate, text, .. } if longest > 0 => {
                let Some(so_far) = texts.get_mut(candidate as usize) else { continue };
                // A stop may begin in what was there before.
                let from = so_far.len().saturating_sub(longest);
                let from = (from..=so_far.len()).find(|at| so_far.is_char_boundary(*at)).unwrap_or(so_far.len());
                so_far.push_str(&text);
                if stops.iter().any(|stop| so_far[from..].contains(stop.as_str())) {
                    generation.steer(Steer::Stop(candidate));
                }
            }
            EngineEvent::Finished { candidate, trajectory, tokens, .. } => {
                if let Some(place) = found.get_mut(candidate as usize) {
                    *place = Some((trajectory, tokens));
                }
            }
            _ => {}
        }
    }
    Ok(found.into_iter().flatten().map(|(trajectory, tokens)| (cut_at(trajectory, stops), tokens)).collect())
}

/// Cuts a reply before the first stop in it.
fn cut_at(mut trajectory: Trajectory, stops: &[String]) -> Trajectory {
    let first = stops.iter().filter_map(|stop| trajectory.text.find(stop.as_str())).min();
    if let Some(at) = first {
        trajectory.text.truncate(at);
        trajectory.finish = Finish::EndOfTurn;
        if trajectory.shift_at.is_some_and(|shift| shift > at) {
            trajectory.shift_at = None;
            trajectory.answer_at = 0;
        }
    }
    trajectory
}

/// A reply as the arm means it: the words put into the model's mouth come first, and where an arm has no window, what
/// comes after its allowance is no shift but the end.
pub fn settle(put: &Put, arm: Arm, mut trajectory: Trajectory) -> Trajectory {
    if !matches!(arm, Arm::Window(_) | Arm::Force(_)) && trajectory.shifted.is_some() {
        if let Some(at) = trajectory.shift_at {
            trajectory.text.truncate(at);
        }
        trajectory.usage.forced_tokens = 0;
        trajectory.usage.answer_tokens = 0;
        (trajectory.shift_at, trajectory.answer_at, trajectory.shifted) = (None, 0, None);
        trajectory.finish = Finish::AnswerLimit;
    }
    let length = put.prefill.len();
    trajectory.text.insert_str(0, &put.prefill);
    trajectory.shift_at = trajectory.shift_at.map(|at| at + length);
    // Thinking that ended by itself has its end as well.
    if trajectory.shift_at.is_some() || trajectory.answer_at > 0 {
        trajectory.answer_at += length;
    }
    trajectory
}

/// The hint by its name: the paper's own words, or these with the code fence opened.
///
/// # Errors
/// A prompt file that does not render.
pub fn hint(prompts: &Prompts, with_fence: bool, language: &'static str) -> Result<String, PromptError> {
    if with_fence { prompts.hint(Some(language), "") } else { Ok(PAPER_HINT.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{ShiftReason, Usage};

    fn put(prefill: &str) -> Put {
        Put {
            rendered: Rendered::default(),
            prefill: prefill.to_owned(),
            stops: Vec::new(),
            prompt_sha256: String::new(),
            words: String::new(),
            words_sha256: String::new(),
        }
    }

    #[test]
    fn an_allowance_that_is_used_up_is_an_end_and_no_shift() {
        let usage = Usage { thinking_tokens: 5, forced_tokens: 1, answer_tokens: 1, ..Usage::default() };
        let cut = Trajectory {
            shift_at: Some(3),
            answer_at: 4,
            shifted: Some(ShiftReason::Budget),
            usage,
            finish: Finish::AnswerLimit,
            ..Trajectory::ended("abc\nx")
        };
        let plain = settle(&put("P"), Arm::Chat, cut.clone());
        assert_eq!((plain.text.as_str(), plain.usage.generated_tokens(), plain.shifted), ("Pabc", 5, None));
        assert_eq!(plain.finish, Finish::AnswerLimit);
        let windowed = settle(&put("P"), Arm::Window(5), cut);
        assert_eq!((windowed.shift_at, windowed.answer_at, windowed.usage.generated_tokens()), (Some(4), 5, 7));
        let by_itself = settle(&put("P"), Arm::Chat, Trajectory { answer_at: 2, ..Trajectory::ended("ab\nx") });
        assert_eq!(by_itself.answer(), "\nx");
    }

    #[test]
    fn a_reply_ends_before_the_first_stop() {
        let stops = ["\n```".to_owned(), "\nprint(".to_owned()];
        let cut = cut_at(Trajectory::ended("x = 1\nprint(x)\n```\nmore"), &stops);
        assert_eq!(cut.text, "x = 1");
        assert_eq!(cut_at(Trajectory::ended("x"), &stops).text, "x");
    }
}
