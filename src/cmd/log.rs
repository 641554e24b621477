//! `z1 log`: lists and shows transcripts.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::dirs::Dirs;
use crate::error::{Exit, UserError};

/// Transcripts live here, under the state folder.
pub const FOLDER: &str = "transcripts";

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  z1 log               the newest runs\n  z1 log last          the newest run, readable\n  z1 log ID --json     its lines as they were written"
)]
pub struct Args {
    /// A run's id (or its beginning), or `last`; without it, a list
    id: Option<String>,
    /// Print the transcript's lines as they are
    #[arg(long)]
    json: bool,
    /// How many runs to list
    #[arg(long, short = 'n', default_value_t = 20)]
    count: usize,
}

/// Runs the subcommand.
///
/// # Errors
/// No such run, or an unreadable folder.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let folder = Dirs::find().state.join(FOLDER);
    let mut found = transcripts(&folder)?;
    found.reverse();
    let Some(id) = &args.id else {
        if found.is_empty() {
            eprintln!("no runs yet; they are kept in {}", folder.display());
        }
        for path in found.iter().take(args.count) {
            println!("{}", summary(path));
        }
        return Ok(Exit::Success);
    };
    let stem = |path: &Path| path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let matching: Vec<&PathBuf> = if id == "last" {
        found.iter().take(1).collect()
    } else {
        found.iter().filter(|path| stem(path).starts_with(id)).collect()
    };
    let path = match matching.as_slice() {
        [path] => path,
        [] => return Err(UserError::usage(format!("no run begins with {id:?}")).hint("z1 log lists them").into()),
        several => {
            let names: Vec<String> = several.iter().take(5).map(|path| stem(path)).collect();
            return Err(UserError::usage(format!("several runs begin with {id:?}: {}", names.join(", "))).into());
        }
    };
    let text =
        std::fs::read_to_string(path).map_err(|p| UserError::new(Exit::Error, format!("{}: {p}", path.display())))?;
    if args.json {
        print!("{text}");
    } else {
        let mut said = Said::default();
        for line in text.lines() {
            show(line, &mut said);
        }
        said.rest();
    }
    Ok(Exit::Success)
}

/// Transcripts by name, which begins with date and time.
fn transcripts(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(problem) => return Err(UserError::new(Exit::Error, format!("{}: {problem}", folder.display())).into()),
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    found.sort();
    Ok(found)
}

/// One line: id, how it ended, tokens, the prompt's beginning. A run that was killed has no outcome.
fn summary(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |kind: &str| lines.iter().rev().find(|line| line["line"] == kind);
    let status = of("outcome").and_then(|line| line["outcome"]["status"].as_str()).unwrap_or("unfinished");
    let usage = of("outcome").map(|line| &line["outcome"]["usage"]);
    let count = |key: &str| usage.and_then(|usage| usage[key].as_u64()).unwrap_or(0);
    let tokens = count("thinking_tokens") + count("forced_tokens") + count("answer_tokens");
    let prompt = of("task").and_then(|line| line["task"]["prompt"].as_str()).unwrap_or("").replace('\n', " ");
    let id = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    format!("{id}  {status:<13} {tokens:>6} tokens  {}", clean(&prompt.chars().take(60).collect::<String>()))
}

/// What candidates wrote, told when each has ended: several write at the same time.
#[derive(Debug, Default)]
struct Said(std::collections::BTreeMap<u64, String>);

impl Said {
    fn take(&mut self, candidate: u64) -> String {
        clean(&self.0.remove(&candidate).unwrap_or_default())
    }

    /// What was written by candidates that never ended.
    fn rest(&mut self) {
        for (candidate, text) in std::mem::take(&mut self.0) {
            println!("candidate {candidate}, without an end:\n{}", clean(&text));
        }
    }
}

fn show(line: &str, said: &mut Said) {
    let Ok(value) = serde_json::from_str::<Value>(line) else { return };
    let at = value["ms"].as_u64().unwrap_or(0) as f64 / 1000.0;
    match value["line"].as_str() {
        Some("task") => println!("[{at:8.2}] task: {}", clean(value["task"]["prompt"].as_str().unwrap_or(""))),
        Some("text") => {
            let candidate = value["candidate"].as_u64().unwrap_or(0);
            said.0.entry(candidate).or_default().push_str(value["text"].as_str().unwrap_or(""));
        }
        Some("trajectory") => {
            let trajectory = &value["trajectory"];
            print!("{}", said.take(value["candidate"].as_u64().unwrap_or(0)));
            println!("\n[{at:8.2}] candidate {}: {} {}", value["candidate"], trajectory["finish"], trajectory["usage"]);
        }
        Some("verdict") => println!("[{at:8.2}] verdict: {}", value["verdict"]),
        Some("outcome") => println!("[{at:8.2}] {}", value["outcome"]["status"].as_str().unwrap_or("?")),
        Some("error") => println!("[{at:8.2}] error: {}", clean(value["message"].as_str().unwrap_or(""))),
        Some("event") => println!("[{at:8.2}] {}", value["event"]),
        _ => {}
    }
}

/// What a model wrote must not steer the terminal.
fn clean(text: &str) -> String {
    crate::sandbox::text::clean(text)
}
