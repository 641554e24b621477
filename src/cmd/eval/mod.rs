//! `z1 eval`: suites, curves and reports. One file a subcommand.

use crate::error::Exit;

pub mod gym;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What can be measured.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Pass@1 on held-out gym problems, by family and level, and how far the thinking is right
    Gym(gym::Args),
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever the subcommand could not do.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Gym(args) => gym::run(args),
    }
}
