//! The command line: clap types and nothing else. What was typed is turned into something ready to use by
//! the files in `cmd/`.

use clap::{Parser, Subcommand};

use crate::cmd;
use crate::dirs::Dirs;
use crate::error::UserError;

/// A coding agent that thinks within a budget and runs its code before it shows it, offline.
#[derive(Debug, Parser)]
#[command(name = "z1", version, args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub task: cmd::task::Args,
}

/// Everything but the main job.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List, pull, import, quantise and remove models
    Models(cmd::models::Args),
    /// Say what runs where, and why
    Doctor(cmd::doctor::Args),
    /// Run suites, curves and reports
    Eval(cmd::eval::Args),
    /// Show the settings in force and where each came from
    Config(cmd::config::Args),
    /// Build data, train and export models
    Sft(cmd::sft::Args),
    /// Print a shell's completion script
    Completions(cmd::completions::Args),
    /// Print the manual page
    Man(cmd::man::Args),
    /// Turn text into token ids and back
    Tokenize(cmd::tokenize::Args),
    /// Render messages to prompt text and token ids
    Render(cmd::render::Args),
    /// Replay a recorded stream of pieces through the thinking window
    Window(cmd::window::Args),
    /// Turn a reply into a candidate, or say what is wrong with it
    Extract(cmd::extract::Args),
    /// Turn a reply into a plan against a project, and with --write apply it
    Apply(cmd::apply::Args),
    /// Revert the last accepted change
    Undo(cmd::undo::Args),
    /// Judge programs against problems
    Verify(cmd::verify::Args),
    /// Print the map of a repository
    Map(cmd::map::Args),
    /// Run any command in the sandbox
    Run(cmd::run::Args),
    /// Serve an editor over the Agent Client Protocol on stdin and stdout
    Acp(cmd::acp::Args),
    /// Serve programs on this machine: the OpenAI and Anthropic interfaces
    Serve(cmd::serve::Args),
    /// Show what tool servers offer, and call a tool
    Mcp(cmd::mcp::Args),
    /// List and show transcripts
    Log(cmd::log::Args),
    /// List, show and export sessions
    Sessions(cmd::sessions::Args),
    /// Draw every named state of the terminal interface
    #[command(hide = true)]
    DebugRender(cmd::debug_render::Args),
}

impl Cli {
    /// Runs what was typed.
    ///
    /// # Errors
    /// Whatever the subcommand could not do; see [`crate::error::exit_of`] for the exit code.
    pub fn run(self) -> anyhow::Result<crate::error::Exit> {
        if let Some(path) = Dirs::roof_that_is_no_folder() {
            let message = format!("Z1_HOME is {}, which is not a folder", path.display());
            return Err(UserError::usage(message)
                .hint("name a folder (it need not exist yet), or unset Z1_HOME")
                .into());
        }
        match self.command {
            None => cmd::task::run(&self.task),
            Some(Command::Models(args)) => cmd::models::run(&args),
            Some(Command::Doctor(args)) => cmd::doctor::run(&args),
            Some(Command::Eval(args)) => cmd::eval::run(&args),
            Some(Command::Config(args)) => cmd::config::run(&args),
            Some(Command::Sft(args)) => cmd::sft::run(&args),
            Some(Command::Completions(args)) => cmd::completions::run(&args),
            Some(Command::Man(args)) => cmd::man::run(&args),
            Some(Command::Tokenize(args)) => cmd::tokenize::run(&args),
            Some(Command::Render(args)) => cmd::render::run(&args),
            Some(Command::Window(args)) => cmd::window::run(&args),
            Some(Command::Extract(args)) => cmd::extract::run(&args),
            Some(Command::Apply(args)) => cmd::apply::run(&args),
            Some(Command::Undo(args)) => cmd::undo::run(&args),
            Some(Command::Verify(args)) => cmd::verify::run(&args),
            Some(Command::Map(args)) => cmd::map::run(&args),
            Some(Command::Run(args)) => cmd::run::run(&args),
            Some(Command::Acp(args)) => cmd::acp::run(&args),
            Some(Command::Serve(args)) => cmd::serve::run(&args),
            Some(Command::Mcp(args)) => cmd::mcp::run(&args),
            Some(Command::Log(args)) => cmd::log::run(&args),
            Some(Command::Sessions(args)) => cmd::sessions::run(&args),
            Some(Command::DebugRender(args)) => cmd::debug_render::run(&args),
        }
    }
}
