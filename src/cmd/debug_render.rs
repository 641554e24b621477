//! `z1 debug-render`: plays a script in the terminal interface.

use std::path::PathBuf;

use crate::error::Exit;
use crate::tui::script::{Script, ScriptedBackend};
use crate::tui::{self, TuiOptions};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the interface on a script instead of a model (see src/tui/script.rs)
    #[arg(long, value_name = "FILE")]
    pub play: PathBuf,
    /// Use the alternate screen
    #[arg(long)]
    pub fullscreen: bool,
    /// Print append-only lines
    #[arg(long)]
    pub plain: bool,
    /// The project's folder
    #[arg(long, default_value = ".")]
    pub project: PathBuf,
}

/// Runs the subcommand.
///
/// # Errors
/// Where the script cannot be read, or there is no terminal.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let script = Script::read(&args.play)?;
    let options = TuiOptions {
        fullscreen: args.fullscreen,
        plain: args.plain,
        project: args.project.clone(),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        ..TuiOptions::default()
    };
    tui::run(&options, Box::new(ScriptedBackend::new(script)))
}
