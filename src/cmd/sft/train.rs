//! `z1 sft train`: trains a model from scratch, or fine-tunes one.

use crate::error::{Exit, UserError};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
///
/// # Errors
/// Until the room behind it is furnished, always.
pub fn run(_args: &Args) -> anyhow::Result<Exit> {
    Err(UserError::new(Exit::Error, "`z1 sft train` is not there yet").into())
}
