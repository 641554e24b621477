//! `z1 sft plot`: the course of a run as an SVG picture.

use std::io::Write;
use std::path::PathBuf;

use crate::error::{Exit, UserError};
use crate::sft::tensor_file::replace_file;
use crate::sft::train::{metrics, plot};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a run, or its metrics.jsonl
    run: PathBuf,
    /// The picture; training.svg beside the metrics where absent
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
/// Where there are no metrics or the picture cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let file = if args.run.is_dir() { args.run.join("metrics.jsonl") } else { args.run.clone() };
    let records = metrics::read(&file)?;
    let empty = || UserError::new(Exit::Error, format!("{} has no step to draw", file.display()));
    let picture = plot::svg(&records).ok_or_else(empty)?;
    let out = args.out.clone().unwrap_or_else(|| file.with_file_name("training.svg"));
    replace_file(&out, picture.len() as u64, |output| output.write_all(picture.as_bytes()))?;
    eprintln!("wrote {}", out.display());
    Ok(Exit::Success)
}
