//! `z1 eval gym`: a model against generated problems that it never saw.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cancel::Cancel;
use crate::engine::{Engine, LoadOptions};
use crate::error::{Exit, UserError};
use crate::eval::gym::{Record, Report};
use crate::eval::run::{Settings, run as measure};
use crate::eval::stats::mcnemar;
use crate::gym::corpus::Corpus;
use crate::gym::row::Row;
use crate::gym::{Family, LEVEL_MAX, Split};
use crate::prompt::Prompts;
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::traits::PromptSet;

/// A window that no gym problem reaches.
pub(in crate::cmd) const UNLIMITED: u32 = 640;

/// Which problems are asked.
#[derive(Debug, clap::Args)]
pub struct Problems {
    /// How many problems
    #[arg(long, default_value_t = 240)]
    count: u64,
    /// The same seed draws the same problems
    #[arg(long, default_value_t = 3)]
    pub(super) seed: u64,
    /// Rows written by `z1 sft gym` instead of drawn ones
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Only these families: write, calc, plan, infer, fix, edit
    #[arg(long, value_delimiter = ',')]
    family: Vec<Family>,
    /// Only these levels
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(..=i64::from(LEVEL_MAX)))]
    level: Vec<u8>,
}

/// What every measurement of one model is told: the model, the problems, and where the records go.
#[derive(Debug, clap::Args)]
pub struct Subject {
    /// A GGUF file
    #[arg(long, short)]
    model: PathBuf,
    #[command(flatten)]
    pub(super) problems: Problems,
    /// The thinking window, in tokens; without it the model thinks as long as it likes
    #[arg(long)]
    window: Option<u32>,
    /// Threads of the engine
    #[arg(long, default_value_t = 1)]
    threads: u32,
    /// Write the records as JSON lines, one a problem
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// Compare with the records of another run on the same problems
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Print the report as JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Subject {
    /// The thinking window in tokens.
    pub(super) fn window(&self) -> u32 {
        self.window.unwrap_or(UNLIMITED)
    }

    /// The walls and the model, in this order: the sandbox's helper must never hold it.
    pub(super) fn start(&self) -> anyhow::Result<(Sandbox, Engine)> {
        Ok((walls()?, load(&self.model, self.threads)?))
    }
}

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    /// Cut exactly at the window, even within a line
    #[arg(long)]
    paper_exact: bool,
    /// 0 is greedy
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Candidates of each problem; the first that passes the visible examples is taken
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=32))]
    samples: u32,
}

/// Runs the subcommand.
///
/// # Errors
/// No usable model, no walls, or a file that cannot be read or written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let prompts = Prompts::load(PromptSet::Nano, None)?;
    let rows = rows(&args.subject.problems, &prompts)?;
    let (sandbox, engine) = args.subject.start()?;
    let settings = Settings {
        window: args.subject.window(),
        paper_exact: args.paper_exact,
        hint: prompts.hint(Some("python"), "")?,
        hint_project: prompts.hint(None, "")?,
        temperature: args.temperature,
        seed: args.subject.problems.seed,
        samples: args.samples,
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
    let records = runtime.block_on(measure(&engine, &sandbox, &rows, &settings, counter(rows.len())))?;
    report(&args.subject, &records)
}

/// Counts judged problems on a terminal.
pub(super) fn counter(count: usize) -> impl FnMut(&Record) {
    let live = std::io::stderr().is_terminal();
    let (mut done, mut passed) = (0, 0);
    move |record| {
        done += 1;
        passed += u32::from(record.passed);
        if live {
            let end = if done == count { "\n" } else { "" };
            eprint!("\r{done} of {count} judged, {passed} passed {end}");
        }
    }
}

/// The sandbox that judges; refuses where there are no walls.
pub(in crate::cmd) fn walls() -> anyhow::Result<Sandbox> {
    let helper_exe = std::env::current_exe().context("cannot find this program's own file")?;
    let options = SandboxOptions { tier: None, allow_unsandboxed: false, helper_exe };
    Ok(Sandbox::start(options).map_err(UserError::from)?)
}

/// The engine, with a model in it.
pub(in crate::cmd) fn load(model: &Path, threads: u32) -> anyhow::Result<Engine> {
    let options = LoadOptions { threads: Some(threads), ..LoadOptions::from_path(model) };
    Ok(Engine::start_llama(options, |_| {}, &Cancel::new()).map_err(UserError::from)?)
}

pub(super) fn rows(args: &Problems, prompts: &Prompts) -> anyhow::Result<Vec<Row>> {
    let rows: Vec<Row> = match &args.rows {
        Some(path) => read_lines(path)?,
        None => {
            let mut corpus = Corpus::measuring(args.seed, Split::Test);
            if !args.family.is_empty() {
                corpus.families = args.family.iter().map(|&family| (family, 1)).collect();
            }
            if !args.level.is_empty() {
                corpus.levels.clone_from(&args.level);
            }
            (0..args.count).map(|index| corpus.row(index, prompts)).collect::<Result<_, _>>()?
        }
    };
    let wanted = |row: &Row| {
        (args.family.is_empty() || args.family.contains(&row.family))
            && (args.level.is_empty() || args.level.contains(&row.level))
            && !row.entry.is_empty()
    };
    let rows: Vec<Row> = rows.into_iter().filter(wanted).take(args.count as usize).collect();
    if rows.is_empty() {
        return Err(UserError::usage("there is no problem to judge").into());
    }
    Ok(rows)
}

pub(super) fn read_lines<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let shown = path.display();
    let file = std::fs::File::open(path)
        .map_err(|problem| UserError::new(Exit::Error, format!("cannot read {shown}: {problem}")))?;
    let mut items = Vec::new();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {shown}"))?;
        let item = serde_json::from_str(&line)
            .map_err(|problem| UserError::new(Exit::Error, format!("{shown}, line {}: {problem}", index + 1)))?;
        items.push(item);
    }
    Ok(items)
}

pub(super) fn write_records(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
    for record in records {
        writeln!(file, "{}", serde_json::to_string(record)?).context("cannot write the records")?;
    }
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Keeps the records where they are wanted, and prints what they come to.
pub(super) fn report(args: &Subject, records: &[Record]) -> anyhow::Result<Exit> {
    if let Some(path) = &args.records {
        write_records(path, records)?;
    }
    let report = Report::of(records);
    let compared = match &args.against {
        None => None,
        Some(path) => {
            let others: Vec<Record> = read_lines(path)?;
            let pairs: Vec<(bool, bool)> = records
                .iter()
                .filter_map(|mine| others.iter().find(|other| other.id == mine.id).map(|o| (mine.passed, o.passed)))
                .collect();
            Some((pairs.len(), mcnemar(pairs)))
        }
    };
    if args.json {
        let paired = compared.map(|(_, paired)| paired);
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "report": report, "against": paired }))?);
        return Ok(Exit::Success);
    }
    print!("{}", report.table());
    if let Some((count, paired)) = compared {
        println!(
            "against {}: {count} common problems, only this solved {}, only that {}; McNemar's exact p = {:.4}",
            args.against.as_deref().unwrap_or(Path::new("")).display(),
            paired.first_only,
            paired.second_only,
            paired.p
        );
    }
    Ok(Exit::Success)
}
