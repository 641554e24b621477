//! `z1 eval compare`: two runs of `z1 eval suite` on the same problems, by the exact test.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::error::{Exit, UserError};
use crate::eval::suite::compare::{runs, strangers};
use crate::eval::suite::store::read_records;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a run, or its records.jsonl
    first: PathBuf,
    /// Another
    second: PathBuf,
    /// Of the first, only this arm
    #[arg(long, value_name = "ARM")]
    first_arm: Option<String>,
    /// Of the second, only this arm
    #[arg(long, value_name = "ARM")]
    second_arm: Option<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// A file that cannot be read, or runs that have no problem in common.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let read = |path: &PathBuf, arm: &Option<String>| -> anyhow::Result<_> {
        let (mut records, damaged) = read_records(path)?;
        if damaged > 0 {
            eprintln!("{}: {damaged} lines are no records and are left out", path.display());
        }
        records.retain(|record| arm.as_ref().is_none_or(|arm| *arm == record.arm));
        Ok(records)
    };
    let (first, second) = (read(&args.first, &args.first_arm)?, read(&args.second, &args.second_arm)?);
    if let Some(why) = strangers(&first, &second) {
        return Err(UserError::usage(why).hint("compare runs on the same file of problems").into());
    }
    let pairs = runs(&first, &second);
    if pairs.is_empty() {
        let what = "the two have no arm with a common problem";
        return Err(UserError::usage(what).hint("--first-arm and --second-arm choose what is compared").into());
    }
    if args.json {
        super::print_out(&(serde_json::to_string_pretty(&pairs)? + "\n"))?;
        return Ok(Exit::Success);
    }
    let mut text = String::new();
    for pair in &pairs {
        let of = pair.common;
        let _ = writeln!(
            text,
            "{} ({} of {of}, {:.0} tokens) against {} ({} of {of}, {:.0} tokens): only the first {}, only the second {}; \
             McNemar's exact p = {:.4}",
            pair.first,
            pair.first_passed,
            pair.first_tokens,
            pair.second,
            pair.second_passed,
            pair.second_tokens,
            pair.first_only,
            pair.second_only,
            pair.p
        );
        if pair.other_tests > 0 {
            let _ = writeln!(
                text,
                "  {} of these {of} problems were judged by other tests in the second",
                pair.other_tests
            );
        }
        if pair.others > 0 {
            let _ =
                writeln!(text, "  {} more are called the same and ask something else; they are left out", pair.others);
        }
    }
    super::print_out(&text)?;
    Ok(Exit::Success)
}
