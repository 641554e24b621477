//! `z1 eval`: suites, curves and reports.

use crate::error::{Exit, UserError};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
///
/// # Errors
/// Until the room behind it is furnished, always.
pub fn run(_args: &Args) -> anyhow::Result<Exit> {
    Err(UserError::new(Exit::Error, "`z1 eval` is not there yet").into())
}
