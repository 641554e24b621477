//! `z1 eval agent`: the loop around the model, measured as the model alone is (`z1 eval gym`).

use std::sync::Arc;

use anyhow::Context as _;

use super::gym::{Subject, counter, report, rows};
use crate::agent::{Agent, Settings, Walls};
use crate::error::{Exit, UserError};
use crate::eval::agent::run as measure;
use crate::model_store::registry::Registry;
use crate::prompt::Prompts;
use crate::task::Effort;
use crate::traits::{PromptSet, Traits};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    /// Candidates of the first attempt
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=32))]
    samples: u32,
    /// Revisions after it
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Of a first attempt with one candidate; others are drawn at 0.7 at least
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
}

/// Runs the subcommand.
///
/// # Errors
/// No usable model, no walls, no problem that stands alone, or a file that cannot be read or written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let prompts = Prompts::load(PromptSet::Nano, None)?;
    let mut rows = rows(&args.subject.problems, &prompts)?;
    rows.retain(|row| row.project.is_none());
    if rows.is_empty() {
        return Err(UserError::usage("there is no problem that stands alone")
            .hint("problems in a project are measured by `z1 eval gym --family edit`")
            .into());
    }
    let (sandbox, engine) = args.subject.start()?;
    let settings = Settings {
        samples: Some(args.samples),
        rounds: Some(args.rounds),
        seed: args.subject.problems.seed,
        // Several candidates must differ.
        temperature: (args.samples == 1 || args.temperature > 0.0).then_some(args.temperature),
        probe: false,
        traits: Traits { prompts: PromptSet::Nano, ..Registry::built_in().traits(&engine.info().label) },
        ..Settings::default()
    };
    let agent = Agent::new(engine, Arc::new(Walls { sandbox: sandbox.clone() }), None, settings)?;
    let effort = Effort::Window(args.subject.window());
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
    let records = runtime.block_on(measure(&agent, &sandbox, &rows, effort, counter(rows.len())))?;
    report(&args.subject, &records)
}
