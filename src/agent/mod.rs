//! The loop that joins the rooms: decide what is wanted, reply, read, judge, try again. The only place that loops back.
//!
//! An [`Agent`] holds what lasts over tasks (engine, judge, prompts); a [`Line`] is one task's connection to
//! the outside: events up, commands down, the transcript. `search.rs` is the loop itself and fits on a screen; programs
//! of their own (`program/`) and changes in a project (`project/`) are two kinds of it.
//!
//! Not for: rendering to a terminal or knowing llama.cpp.

use std::path::Path;
use std::sync::Arc;

use crate::engine::Engine;
use crate::error::UserError;
use crate::mcp::Toolset;
use crate::prompt::{ChatTemplate, Message, Prompts, Rendered};
use crate::task::{Outcome, Scope, Task};
use crate::traits::Traits;
use sessions::Session;

mod asserts;
mod attempt;
pub mod checks;
pub mod conversation;
mod deviate;
mod ending;
mod examples;
pub mod intent;
mod judge;
mod kind;
mod line;
mod plan;
mod policy;
mod program;
pub mod project;
mod purse;
mod round;
mod search;
pub mod sessions;
mod settings;
mod stream;
mod stub;
mod talk;
pub mod transcript;
mod trials;
mod ways;
pub mod worker;

pub use judge::{BoxFuture, Judge, NoJudge, Shell, Walls};
pub use line::Line;
pub use plan::Plan;
pub use settings::{Consent, ProjectSettings, Settings};
pub use transcript::Transcript;

/// What lasts over tasks.
pub struct Agent {
    pub engine: Engine,
    pub judge: Arc<dyn Judge>,
    pub prompts: Prompts,
    /// The model's own chat format; ChatML where the model brings none.
    pub template: ChatTemplate,
    /// What the user should know of how the model is used, a sentence each.
    pub notes: Vec<String>,
    pub settings: Settings,
    /// Tool servers that the user named.
    tools: Toolset,
}

impl Agent {
    /// Puts the parts together: the model's traits choose the prompts, its file the chat format.
    /// `overrides` is the folder whose prompt files replace the built-in ones.
    ///
    /// # Errors
    /// A prompt file that cannot be used.
    pub fn new(
        engine: Engine,
        judge: Arc<dyn Judge>,
        overrides: Option<&Path>,
        settings: Settings,
    ) -> Result<Self, UserError> {
        let info = engine.info();
        let traits = &settings.traits;
        let prompts = Prompts::load(traits.prompts, overrides).map_err(|problem| {
            UserError::usage(problem.to_string()).hint("mend or remove the file in the prompts folder")
        })?;
        let (template, note) = ChatTemplate::of_model(&info.label, traits);
        let notes = note.into_iter().collect();
        let tools = Toolset::new(settings.project.tools.clone(), judge.sandbox());
        Ok(Self { engine, judge, prompts, template, notes, settings, tools })
    }

    /// What the model is like.
    pub const fn traits(&self) -> &Traits {
        &self.settings.traits
    }

    /// Renders a conversation for the loaded model, the assistant's turn left open.
    ///
    /// # Errors
    /// A conversation that the model's template refuses.
    pub fn render(&self, messages: &[Message]) -> anyhow::Result<Rendered> {
        Ok(self.template.render(messages, true)?)
    }

    /// Works on one task to its end. Whatever happens, the line's transcript has it.
    ///
    /// # Errors
    /// What is nobody's expectation: the engine broke, a prompt file is wrong.
    pub async fn run(&self, task: &Task, line: &mut Line) -> anyhow::Result<Outcome> {
        self.run_in(task, &mut Session::new(None), line).await
    }

    /// Works on one task as the next turn of a session, which has it afterwards.
    ///
    /// # Errors
    /// What is nobody's expectation: the engine broke, a prompt file is wrong.
    pub async fn run_in(&self, task: &Task, session: &mut Session, line: &mut Line) -> anyhow::Result<Outcome> {
        line.transcript.begin(task, self);
        let result = match &task.scope {
            Scope::Standalone => program::run(self, task, session, line).await,
            Scope::Project { root } => project::run(self, task, root, session, line).await,
        };
        if let Ok(outcome) = &result {
            session.record(task, outcome);
        }
        if let Err(problem) = &result {
            line.transcript.failed(&format!("{problem:#}"));
        }
        result
    }
}
