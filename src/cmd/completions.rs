//! `z1 completions`: prints a shell's completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::error::Exit;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete in
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// Never; writing to stdout is the shell's business.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    clap_complete::generate(args.shell, &mut crate::cli::Cli::command(), "z1", &mut std::io::stdout());
    Ok(Exit::Success)
}
