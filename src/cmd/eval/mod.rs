//! `z1 eval`: suites, curves and reports. One file a subcommand.

use std::io::Write as _;

use anyhow::Context as _;

use crate::error::Exit;

pub mod agent;
pub mod choose;
pub mod compare;
pub mod curve;
pub mod difficulty;
pub mod gym;
pub mod suite;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What can be measured.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The whole agent on held-out gym problems: what verified candidates and repair add to the model alone
    Agent(agent::Args),
    /// Two runs of `suite` on the same problems, by the exact test
    Compare(compare::Args),
    /// Accuracy against thinking tokens for several models and windows, with exact tests and a plot
    Curve(curve::Args),
    /// How well words, the model's own opinion and drafts foretell that an answer passes, from runs of `suite`
    Difficulty(difficulty::Args),
    /// Pass@1 on held-out gym problems, by family and level, and how far the thinking is right
    Gym(gym::Args),
    /// A public suite (HumanEval, MBPP, …) put to a model by several arms side by side
    Suite(Box<suite::Args>),
}

/// Prints a command's answer; a reader that has gone is no mistake.
fn print_out(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to stdout"),
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever the subcommand could not do.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Agent(args) => agent::run(args),
        Command::Curve(args) => curve::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Difficulty(args) => difficulty::run(args),
        Command::Gym(args) => gym::run(args),
        Command::Suite(args) => suite::run(args),
    }
}
