//! `z1 sft` (and `z1-sft`): builds data, trains and exports models. One file a subcommand.
//!
//! To add a subcommand: a file with `Args` and `run`, a variant and an arm here.

use crate::error::Exit;

pub mod data;
pub mod eval_loss;
pub mod export;
pub mod gym;
pub mod hand_over;
pub mod plot;
mod probe;
pub mod recipe;
pub mod sample;
pub mod tokenizer;
pub mod train;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What `z1 sft` can do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Turn published reasoning data into samples to train on: filter, choose, look
    Data(data::Args),
    /// Print the mean loss of a model on data
    EvalLoss(eval_loss::Args),
    /// Write a trained model as GGUF, as a Hugging Face folder, or as an adapter
    Export(export::Args),
    /// Write generated problems with their trajectories and tests
    Gym(gym::Args),
    /// Write a run down for a trainer on many GPUs: its rows, settings and a script for torchrun
    HandOver(hand_over::Args),
    /// Draw the course of a run
    Plot(plot::Args),
    /// Make data with your own model: ask it problems, keep what passes its tests
    Sample(sample::Args),
    /// Train a vocabulary on rows of data
    Tokenizer(tokenizer::Args),
    /// Train a model from scratch, or fine-tune one (full or LoRA)
    Train(train::Args),
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever the subcommand could not do.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Data(args) => data::run(args),
        Command::EvalLoss(args) => eval_loss::run(args),
        Command::Export(args) => export::run(args),
        Command::Gym(args) => gym::run(args),
        Command::HandOver(args) => hand_over::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Tokenizer(args) => tokenizer::run(args),
        Command::Train(args) => train::run(args),
    }
}
