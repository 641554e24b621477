//! Before the first token: how hard, how much, in which language, checked by what.
//!
//! Not for: the loop.

use super::intent::{self, Intent, Wish};
use super::settings::PAPER_WINDOW_TOKENS;
use super::ways::Ways;
use super::{Agent, Line, checks, ending, stub};
use crate::complexity::{self, Facts};
use crate::event::Event;
use crate::prompt::Message;
use crate::prompt::conversation::TaskContext;
use crate::reply::Wanted;
use crate::task::{Budget, Check, Complexity, Effort, Language, Scope, Task};
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
    pub intent: Intent,
    pub effort: Effort,
    /// The task asks for code rather than for words.
    pub code: bool,
    /// Something decides whether a candidate holds.
    pub decides: bool,
    /// The words that every reply begins with; empty where the model begins as it likes.
    pub prefix: String,
    /// What a reply's code must define and is over with; empty where it may have more to say.
    pub(super) ends_with: Vec<String>,
    /// The task asks for more than the function that its checks call.
    pub(super) more: bool,
    /// Visible checks that the prompt does not show yet.
    pub(super) shown_checks: Option<String>,
}

impl Plan {
    /// A plan for code that nothing is known of yet.
    #[cfg(test)]
    pub(super) fn bare_for_tests() -> Self {
        let complexity = Complexity {
            level: crate::task::Level::Simple,
            probabilities: [1.0, 0.0, 0.0],
            reasons: vec![],
            features: vec![],
        };
        Self {
            complexity,
            budget: Budget::default(),
            wanted: Wanted::default(),
            hint: String::new(),
            options: VerifyOptions::default(),
            intent: Intent::program("it speaks of code"),
            effort: Effort::Auto,
            code: true,
            decides: true,
            prefix: String::new(),
            ends_with: Vec::new(),
            more: false,
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

/// Replies of a round that draws a change again, at least.
const PROJECT_DRAWS_MIN: u32 = 4;

/// Judges the task and fixes what it may spend; tells the outside.
pub(super) async fn plan(agent: &Agent, task: &Task, line: &mut Line) -> anyhow::Result<Plan> {
    let settings = &agent.settings;
    let stated = checks::stated(&task.prompt);
    let intent = intent_of(agent, task);
    let complexity = classify(agent, task, line).await?;
    let context = agent.engine.info().context_tokens_max;
    let doses = Ways::of(agent).doses;
    let mut budget = settings.advised(complexity::budget(complexity.level, task.effort, context, doses), task.effort);
    // A change is longer than its task says, and its check decides well: it is drawn once more.
    if matches!(task.scope, Scope::Project { .. }) && task.effort != Effort::Fast {
        budget.rounds_max += 1;
        budget.draws = budget.draws.max(PROJECT_DRAWS_MIN);
    }
    if settings.paper_exact {
        budget = Budget { samples: 1, rounds_max: 0, ..budget };
        if !matches!(task.effort, Effort::Window(_)) {
            budget.thinking_tokens_max = PAPER_WINDOW_TOKENS.min(context / 2);
        }
    }
    budget.samples = settings.samples.unwrap_or(budget.samples);
    budget.rounds_max = settings.rounds.unwrap_or(budget.rounds_max);
    budget.task_tokens_max = settings.task_tokens.unwrap_or(budget.task_tokens_max);
    budget.task_seconds_max = settings.task_seconds.unwrap_or(budget.task_seconds_max);
    line.emit(Event::Step { text: format!("taken for a {}: {}", intent.wish.name(), intent.why) }).await;
    line.emit(Event::Classified { complexity: complexity.clone(), budget }).await;

    let wanted = checks::wanted(&task.checks, task.language);
    let code = intent.wish == Wish::Program
        && (!task.checks.is_empty() || task.language.is_some() || intent::speaks_of_code(&task.prompt));
    let options = VerifyOptions {
        entry: stated.entry,
        names: wanted.names.clone(),
        helpers: stated.helpers,
        min_tier: settings.min_tier,
        ..VerifyOptions::default()
    };
    let shown_checks = checks::unshown(&task.checks, &task.prompt);
    let (decides, effort) = (!task.checks.is_empty(), task.effort);
    let mut plan = Plan {
        complexity,
        budget,
        wanted,
        hint: String::new(),
        options,
        intent,
        effort,
        code,
        decides,
        prefix: String::new(),
        ends_with: Vec::new(),
        more: ending::asks_for_more(&task.prompt),
        shown_checks,
    };
    plan.hint = hint(agent, &plan)?;
    plan.prefix = begun(agent, task, &plan);
    // What is drafted in a thought may be tried there; a window that is to be as in the paper is not cut.
    let may_end = matches!(task.scope, Scope::Standalone) && !Ways::of(agent).drafts && !settings.paper_exact;
    if may_end && plan.language() == Language::Python && !plan.more {
        plan.ends_with = plan.wanted.names.clone();
    }
    Ok(plan)
}

/// The words that a reply is begun with.
fn begun(agent: &Agent, task: &Task, plan: &Plan) -> String {
    let (settings, ways) = (&agent.settings, Ways::of(agent));
    if !plan.code || settings.paper_exact {
        return String::new();
    }
    // What the model would copy is given to it, unless it is to think first.
    let may = ways.begins && settings.prefixes && matches!(task.scope, Scope::Standalone);
    if may
        && !matches!(plan.effort, Effort::Window(_))
        && let Some((language, text)) = stub::stub(&task.prompt, plan.wanted.language)
    {
        return format!("```{}\n{text}", language.fence_tag());
    }
    // An answer without thinking is one that begins with its code.
    let quick = plan.effort == Effort::Fast && !ways.doses;
    let language = plan.wanted.language.filter(|_| quick);
    language.map_or_else(String::new, |language| format!("```{}\n", language.fence_tag()))
}

/// What the task wants, given where it is to be worked on.
fn intent_of(agent: &Agent, task: &Task) -> Intent {
    let project = matches!(task.scope, Scope::Project { .. });
    let states_checks = task.checks.iter().any(|check| !matches!(check, Check::Command { .. }));
    let facts = intent::Facts {
        prompt: &task.prompt,
        project,
        // Where the task works has been decided; in a project it is not a program of its own.
        project_named: project,
        states_checks: states_checks || (!project && !task.checks.is_empty()),
        names_a_file: false,
        check_given: project && task.checks.iter().any(|check| matches!(check, Check::Command { .. })),
        language: task.language.is_some(),
        said: agent.settings.wish,
    };
    intent::decide(facts)
}

async fn classify(agent: &Agent, task: &Task, line: &mut Line) -> anyhow::Result<Complexity> {
    let facts = Facts { prompt: &task.prompt, project: matches!(task.scope, Scope::Project { .. }) };
    let signals = complexity::signals(facts);
    let by_word = task.effort != Effort::Auto || agent.settings.paper_exact;
    // A model that is given doses was never taught to judge; its opinion would be noise.
    if by_word || !agent.traits().probes || !agent.settings.probe || signals.certainty() >= complexity::SURE {
        return Ok(complexity::combine(&signals, None));
    }
    line.emit(Event::Step { text: "asking the model how hard the task is".to_owned() }).await;
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

/// The hint of an answer that does not begin with code.
pub(super) fn bare_hint(agent: &Agent) -> anyhow::Result<String> {
    Ok(agent.prompts.hint(None, &agent.traits().hint_close())?)
}

fn hint(agent: &Agent, plan: &Plan) -> anyhow::Result<String> {
    if agent.settings.paper_exact {
        return Ok(PAPER_HINT.to_owned());
    }
    let code = plan.code.then(|| plan.language().fence_tag());
    Ok(agent.prompts.hint(code, &agent.traits().hint_close())?)
}
