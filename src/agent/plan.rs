//! Before the first token: how hard, how much, in which language, checked by what.
//!
//! Not for: the loop.

use serde::Serialize;

use super::settings::PAPER_WINDOW_TOKENS;
use super::{Agent, Line, checks};
use crate::complexity::{self, Facts};
use crate::event::Event;
use crate::prompt::Message;
use crate::prompt::conversation::TaskContext;
use crate::reply::Wanted;
use crate::task::{Budget, Complexity, Effort, Language, Scope, Task};
use crate::thinking::PAPER_HINT;
use crate::verify::VerifyOptions;

/// What is fixed before the first round.
#[derive(Clone, Debug)]
pub struct Plan {
    pub complexity: Complexity,
    pub budget: Budget,
    /// What a reply must hold.
    pub wanted: Wanted,
    /// Forced where the window shifts.
    pub hint: String,
    pub options: VerifyOptions,
    /// The task asks for code rather than for words.
    pub code: bool,
    /// Visible checks that the prompt does not show yet.
    pub(super) shown_checks: Option<String>,
}

impl Plan {
    /// A plan for code that nothing is known of yet.
    pub(super) fn bare(complexity: Complexity, budget: Budget, options: VerifyOptions) -> Self {
        Self {
            complexity,
            budget,
            wanted: Wanted::default(),
            hint: String::new(),
            options,
            code: true,
            shown_checks: None,
        }
    }

    /// What `task.md` is rendered with.
    pub(super) fn context<'a>(&'a self, task: &'a Task) -> TaskContext<'a> {
        TaskContext {
            prompt: &task.prompt,
            language: task.language.map(Language::fence_tag),
            checks: self.shown_checks.as_deref(),
            stdio: self.wanted.stdin,
        }
    }

    /// Whether these turns leave room for thinking and an answer, with `extra_tokens` still to come.
    pub(super) fn has_room(&self, agent: &Agent, messages: &[Message], extra_tokens: usize) -> bool {
        let context = agent.engine.info().context_tokens_max;
        let Ok(prompt) = agent.render(messages) else { return false };
        let tokens = agent.engine.tokenize(&prompt).len() + agent.engine.count_tokens(&self.hint) + extra_tokens;
        let thinking = self.budget.thinking_tokens_max.min(context / 8);
        tokens as u32 + self.budget.answer_tokens_max + thinking <= context
    }

    /// The language that code is expected in.
    pub(super) fn language(&self) -> Language {
        self.wanted.language.unwrap_or(Language::Python)
    }
}

/// Judges the task and fixes what it may spend; tells the outside.
pub(super) async fn plan(agent: &Agent, task: &Task, line: &mut Line) -> anyhow::Result<Plan> {
    let settings = &agent.settings;
    let complexity = classify(agent, task, line).await?;
    let context = agent.engine.info().context_tokens_max;
    let mut budget = settings.advised(complexity::budget(complexity.level, task.effort, context), task.effort);
    if settings.paper_exact {
        budget = Budget { samples: 1, rounds_max: 0, ..budget };
        if !matches!(task.effort, Effort::Window(_)) {
            budget.thinking_tokens_max = PAPER_WINDOW_TOKENS.min(context / 2);
        }
    }
    budget.samples = settings.samples.unwrap_or(budget.samples);
    budget.rounds_max = settings.rounds.unwrap_or(budget.rounds_max);
    line.emit(Event::Classified { complexity: complexity.clone(), budget }).await;

    let stated = checks::stated(&task.prompt);
    let wanted = checks::wanted(&task.checks, task.language);
    let code = !task.checks.is_empty() || task.language.is_some() || asks_for_code(&task.prompt);
    let options = VerifyOptions {
        entry: stated.entry,
        names: wanted.names.clone(),
        helpers: stated.helpers,
        min_tier: settings.min_tier,
        ..VerifyOptions::default()
    };
    let shown_checks = checks::unshown(&task.checks, &task.prompt);
    let mut plan = Plan { wanted, code, shown_checks, ..Plan::bare(complexity, budget, options) };
    plan.hint = hint(agent, &plan)?;
    Ok(plan)
}

async fn classify(agent: &Agent, task: &Task, line: &mut Line) -> anyhow::Result<Complexity> {
    let facts =
        Facts { prompt: &task.prompt, project: matches!(task.scope, Scope::Project { .. }), ..Facts::default() };
    let signals = complexity::signals(facts);
    let by_word = task.effort != Effort::Auto || agent.settings.paper_exact;
    if by_word || !agent.traits().probes || !agent.settings.probe || signals.certainty() >= complexity::SURE {
        return Ok(complexity::combine(&signals, None));
    }
    let messages = complexity::probe::messages(&agent.prompts, &task.prompt)?;
    let rendered = agent.render(&messages)?;
    let asked = tokio::select! {
        asked = complexity::probe(&agent.engine, &rendered) => asked,
        () = line.cancel.cancelled() => return Ok(complexity::combine(&signals, None)),
    };
    match asked {
        Ok(asked) => Ok(complexity::combine(&signals, Some(asked))),
        // A probe is a help, not a need.
        Err(problem) => {
            line.emit(Event::Warning { text: format!("the model could not be asked how hard the task is: {problem}") })
                .await;
            Ok(complexity::combine(&signals, None))
        }
    }
}

#[derive(Serialize)]
struct HintContext {
    language: &'static str,
    /// Closes the thinking of a model that marks it.
    close: String,
}

/// The hint of an answer that does not begin with code.
pub(super) fn bare_hint(agent: &Agent) -> anyhow::Result<String> {
    Ok(agent.prompts.render("hint", HintContext { language: "", close: agent.traits().hint_close() })?)
}

fn hint(agent: &Agent, plan: &Plan) -> anyhow::Result<String> {
    if agent.settings.paper_exact {
        return Ok(PAPER_HINT.to_owned());
    }
    let name = if plan.code { "hint_code" } else { "hint" };
    Ok(agent
        .prompts
        .render(name, HintContext { language: plan.language().fence_tag(), close: agent.traits().hint_close() })?)
}

/// Whether the words ask for a program rather than an explanation.
fn asks_for_code(prompt: &str) -> bool {
    let lower = prompt.to_ascii_lowercase();
    let verbs = [
        "write",
        "implement",
        "code",
        "program",
        "function",
        "script",
        "class ",
        "solve",
        "fix",
        "def ",
        "create",
        "refactor",
        "return",
    ];
    verbs.iter().any(|verb| lower.contains(verb))
}
