//! `z1 eval curve`: accuracy against thinking tokens, several models on the same problems.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::gym::{Problems, UNLIMITED, load, read_lines, rows, walls, write_records};
use crate::error::{Exit, UserError};
use crate::eval::curve::{HARD_LEVEL_MIN, Point, compare, svg, table};
use crate::eval::gym::Record;
use crate::eval::run::{Settings, run as measure};
use crate::gym::row::Row;
use crate::prompt::Prompts;
use crate::sandbox::Sandbox;
use crate::traits::PromptSet;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A model and what to call it; repeat for each: --model short=short.gguf
    #[arg(long, short, value_name = "NAME=FILE", value_parser = named, required = true)]
    model: Vec<(String, PathBuf)>,
    #[command(flatten)]
    problems: Problems,
    /// Windows in tokens; the unlimited one is always measured
    #[arg(long, value_delimiter = ',', default_value = "16,32,64,128,256,512")]
    window: Vec<u32>,
    /// Threads of the engine
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Folder for records, points and plot; records that are there are not measured again
    #[arg(long, short)]
    out: PathBuf,
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or_else(|| format!("`{text}` is not NAME=FILE"))?;
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if plain { Ok((name.to_owned(), path.into())) } else { Err(format!("`{name}` cannot name a file")) }
}

/// Runs the subcommand.
///
/// # Errors
/// No usable model, no walls, or a folder that cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let prompts = Prompts::load(PromptSet::Nano, None)?;
    let rows = rows(&args.problems, &prompts)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let sandbox = walls()?;
    // The unlimited one first: what ends by itself within a window is the same with it.
    let windows: Vec<Option<u32>> = std::iter::once(None).chain(args.window.iter().copied().map(Some)).collect();
    let mut points = Vec::new();
    let mut unlimited: Vec<(&str, Vec<Record>)> = Vec::new();
    for (name, path) in &args.model {
        let mut measured = measured(args, (name, path), &windows, &rows, &prompts, &sandbox)?;
        // In the order of the windows again, so that the plot's line ends where nothing is cut.
        measured.rotate_left(1);
        for (window, records) in measured {
            points.push(Point::of(name, window, &records));
            if window.is_none() {
                unlimited.push((name, records));
            }
        }
    }
    let plot = args.out.join("curve.svg");
    std::fs::write(&plot, svg(&points)).with_context(|| format!("cannot write {}", plot.display()))?;
    let data = args.out.join("curve.json");
    std::fs::write(&data, serde_json::to_string_pretty(&points)?)
        .with_context(|| format!("cannot write {}", data.display()))?;
    print!("{}", table(&points));
    for (index, (first, mine)) in unlimited.iter().enumerate() {
        for (second, theirs) in &unlimited[index + 1..] {
            let (all, hard) = compare(mine, theirs);
            println!(
                "{first} against {second}, unlimited: only {first} {}, only {second} {}, McNemar's exact p = {:.2e}; \
                 levels from {HARD_LEVEL_MIN} on: {} and {}, p = {:.2e}",
                all.first_only, all.second_only, all.p, hard.first_only, hard.second_only, hard.p
            );
        }
    }
    Ok(Exit::Success)
}

/// The records of one model at every window, from the folder where they are there already.
fn measured(
    args: &Args,
    (name, path): (&str, &Path),
    windows: &[Option<u32>],
    rows: &[Row],
    prompts: &Prompts,
    sandbox: &Sandbox,
) -> anyhow::Result<Vec<(Option<u32>, Vec<Record>)>> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
    let mut engine = None;
    let mut found: Vec<(Option<u32>, Vec<Record>)> = Vec::with_capacity(windows.len());
    for &window in windows {
        let label = window.map_or_else(|| "unlimited".to_owned(), |window| window.to_string());
        let file = args.out.join(format!("{name}.{label}.jsonl"));
        if file.exists() {
            found.push((window, known(&file, rows)?));
            continue;
        }
        let engine = match &engine {
            Some(engine) => engine,
            None => engine.insert(load(path, args.threads)?),
        };
        let settings = Settings {
            window: window.unwrap_or(UNLIMITED),
            // The curve is the paper's: a hard cut, nothing of ours beside it.
            paper_exact: true,
            hint: prompts.hint(Some("python"), "")?,
            hint_project: prompts.hint(None, "")?,
            temperature: 0.0,
            seed: 0,
            samples: 1,
        };
        let free = found.first().map(|(_, records)| records.as_slice());
        let cut: Vec<usize> = (0..rows.len()).filter(|&row| reaches(window, free.map(|free| &free[row]))).collect();
        let asked: Vec<Row> = cut.iter().map(|&row| rows[row].clone()).collect();
        let mut measured = runtime.block_on(measure(engine, sandbox, &asked, &settings, |_| {}))?;
        if let Some(free) = free {
            let mut whole = free.to_vec();
            cut.into_iter().zip(measured).for_each(|(row, record)| whole[row] = record);
            measured = whole;
        }
        write_records(&file, &measured)?;
        if std::io::stderr().is_terminal() {
            let passed = measured.iter().filter(|record| record.passed).count();
            eprintln!("{name} at {label}: {passed} of {} passed", measured.len());
        }
        found.push((window, measured));
    }
    Ok(found)
}

/// Whether a window changes what a model does that, greedily and without one, did `free`: everything that it wrote
/// counts before a shift. The end of the turn counts as a token.
fn reaches(window: Option<u32>, free: Option<&Record>) -> bool {
    window.zip(free).is_none_or(|(window, free)| free.usage.generated_tokens() + 1 >= window)
}

/// Records of an earlier run; refused where they are of other problems.
fn known(file: &Path, rows: &[Row]) -> anyhow::Result<Vec<Record>> {
    let records: Vec<Record> = read_lines(file)?;
    let same = records.len() == rows.len() && records.iter().zip(rows).all(|(record, row)| record.id == row.id);
    if !same {
        let error = UserError::new(Exit::Error, format!("{} holds the records of other problems", file.display()));
        return Err(error.hint("choose another --out, or the same --count and --seed as before").into());
    }
    Ok(records)
}
