//! `z1 eval difficulty`: how well what is known before an answer foretells whether it passes.

use std::path::PathBuf;

use crate::error::{Exit, UserError};
use crate::eval::suite::arm::Arm;
use crate::eval::suite::difficulty::foretellings;
use crate::eval::suite::store::read_records;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of runs of the same problems and model (or their records.jsonl): one with `--difficulty`, one with the arm
    /// that is foretold, one with `--samples` where drafts are to be judged too
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The arm whose outcome is foretold
    #[arg(long, default_value = "chat")]
    arm: String,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// A file that cannot be read, or records that foretell nothing.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let arm = Arm::from_name(&args.arm).ok_or_else(|| {
        UserError::usage(format!("there is no arm `{}`", args.arm)).hint("chat, nothink, auto, fast, …")
    })?;
    let mut records = Vec::new();
    for path in &args.runs {
        let (read, damaged) = read_records(path)?;
        if damaged > 0 {
            eprintln!("{}: {damaged} lines are no records and are left out", path.display());
        }
        records.extend(read);
    }
    let found = foretellings(&records, arm);
    if found.is_empty() {
        let what = format!("nothing here is set against answers of `{arm}` that passed and others that did not");
        return Err(UserError::usage(what)
            .hint("`z1 eval suite … --chat --difficulty --samples 4` measures it")
            .into());
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
        return Ok(Exit::Success);
    }
    println!("| foretold by | AUC | 95 % | passed | failed |\n|---|---|---|---|---|");
    for way in &found {
        let (low, high) = ((way.auc - way.error).max(0.0), (way.auc + way.error).min(1.0));
        println!("| {} | {:.2} | {low:.2}–{high:.2} | {} | {} |", way.way, way.auc, way.passed, way.failed);
    }
    Ok(Exit::Success)
}
