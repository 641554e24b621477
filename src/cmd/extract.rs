//! `z1 extract`: turns a reply into a candidate, or says what is wrong with it.

use crate::error::{Exit, UserError};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
///
/// # Errors
/// Until the room behind it is furnished, always.
pub fn run(_args: &Args) -> anyhow::Result<Exit> {
    Err(UserError::new(Exit::Error, "`z1 extract` is not there yet").into())
}
