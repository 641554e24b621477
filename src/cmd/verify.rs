//! `z1 verify`: judges programs against the problems of a public suite.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::agent::checks;
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::task::{Check, Language, Tier};
use crate::verify::VerifyOptions;
use crate::verify::suites::batch::{Item, Record, Word, already_judged, judge_all, own_solutions, pair};
use crate::verify::suites::{Gold, Problem, RowError, Suite, read_problems, read_programs};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  z1 verify --suite humaneval HumanEval.jsonl.gz completions.jsonl
  z1 verify --suite humanevalpack --buggy python.jsonl.gz
  z1 verify --canonical --examples HumanEval.jsonl.gz
  z1 verify --suite stdio --resume verdicts.jsonl problems.jsonl programs.jsonl")]
pub struct Args {
    /// Problems as they are published (.json, .jsonl, either also .gz)
    problems: PathBuf,
    /// Programs: rows with the problem's id and a completion (`-` reads stdin)
    #[arg(required_unless_present_any = ["canonical", "buggy"], conflicts_with_all = ["canonical", "buggy"])]
    programs: Option<PathBuf>,
    /// humaneval, mbpp, humanevalpack, cruxeval, stdio, or auto (by each row's fields)
    #[arg(long, default_value = "auto")]
    suite: Suite,
    /// Judge the suite's own solutions instead of programs
    #[arg(long)]
    canonical: bool,
    /// Judge the suite's own wrong solutions instead of programs
    #[arg(long, conflicts_with = "canonical")]
    buggy: bool,
    /// How many to judge at once [default: one a core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Append verdicts to this file and leave out what it already holds
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Seconds that one program may run
    #[arg(long, default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Only this isolation tier: F, B, S or L
    #[arg(long, value_parser = tier)]
    tier: Option<Tier>,
    /// Numbers with a fraction on stdout may differ by this much
    #[arg(long)]
    float_tolerance: Option<f64>,
    /// CRUXEval: the answers are inputs that lead to the output, not outputs
    #[arg(long)]
    inputs: bool,
    /// Quote the tests and what they expect in the failures
    #[arg(long)]
    show_tests: bool,
    /// Judge by the examples that z1 reads in each problem's words, not by the suite's tests
    #[arg(long)]
    examples: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
    if (0.1..=86_400.0).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err("between 0.1 and 86400 seconds".to_owned())
    }
}

fn tier(text: &str) -> Result<Tier, String> {
    match text.to_ascii_uppercase().as_str() {
        "F" => Ok(Tier::F),
        "B" => Ok(Tier::B),
        "S" => Ok(Tier::S),
        "L" => Ok(Tier::L),
        _ => Err("there are F, B, S and L".to_owned()),
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Where a file cannot be read or written, or no walls can be built.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let items = items(args)?;
    let helper_exe = std::env::current_exe().context("cannot find this program's own file")?;
    let sandbox = Sandbox::start(SandboxOptions { tier: args.tier, allow_unsandboxed: false, helper_exe })
        .map_err(UserError::from)?;
    let mut output = Output::open(args.resume.as_deref(), sandbox.tier())?;
    let items: Vec<Item> = items.into_iter().filter(|item| !output.done.contains(&item.key())).collect();
    let start = Instant::now();
    let cancel = Cancel::new();
    let options = options(args);
    let jobs = args.jobs.map_or(sandbox.parallel() as usize, usize::from);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
    let written = runtime.block_on(async {
        crate::host::cancel_when_asked(&cancel);
        judge_all(items, &sandbox, &options, jobs, &cancel, |record| output.put(&record)).await
    });
    written.context("cannot write the verdicts")?;
    eprintln!("{}", output.tally.sentence(sandbox.tier(), start.elapsed()));
    Ok(if cancel.is_cancelled() { Exit::Interrupted } else { output.tally.exit() })
}

fn items(args: &Args) -> anyhow::Result<Vec<Item>> {
    let mut problems = read_problems(readable(&args.problems)?, args.suite)?;
    if problems.is_empty() {
        let error = UserError::new(Exit::Error, format!("{} holds no problem", args.problems.display()));
        return Err(error.hint("one JSON object a line, as the suite is published").into());
    }
    if args.inputs {
        let asked = problems.iter_mut().flatten().filter(|problem| problem.gold == Gold::Output);
        asked.for_each(|problem| problem.gold = Gold::Input);
    }
    if args.examples {
        problems.iter_mut().flatten().for_each(only_examples);
    }
    if args.show_tests {
        problems.iter_mut().flatten().for_each(show_tests);
    }
    let problems: Vec<Result<Problem, RowError>> = problems;
    match &args.programs {
        None => Ok(own_solutions(problems, args.buggy)),
        Some(path) => {
            let path = if path.as_os_str() == "-" { Path::new("/dev/stdin") } else { readable(path)? };
            Ok(pair(problems, read_programs(path)?))
        }
    }
}

/// What an agent is told of the problem is all that decides; with the suite's own solutions this says how well words are read.
fn only_examples(problem: &mut Problem) {
    let stated = checks::stated(&problem.prompt).checks;
    problem.checks = if problem.language == Language::Python { stated } else { Vec::new() };
}

fn show_tests(problem: &mut Problem) {
    for check in &mut problem.checks {
        match check {
            Check::Asserts { hidden, .. } | Check::Stdio { hidden, .. } | Check::TestSource { hidden, .. } => {
                *hidden = false;
            }
            Check::Command { .. } => {}
        }
    }
}

fn readable(path: &Path) -> anyhow::Result<&Path> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(UserError::new(Exit::Error, format!("{} is a folder, not a file", path.display())).into())
        }
        Ok(_) => Ok(path),
        Err(error) => Err(UserError::new(Exit::Error, format!("cannot read {}: {error}", path.display())).into()),
    }
}

fn options(args: &Args) -> VerifyOptions {
    let mut options = VerifyOptions::default();
    options.limits.wall = args.timeout;
    options.limits.cpu = args.timeout;
    options.call_wall = args.timeout;
    options.float_tolerance = args.float_tolerance;
    options
}

/// Where records go, and what was there before.
struct Output {
    file: Option<BufWriter<File>>,
    done: HashSet<(String, u32)>,
    tally: Tally,
}

impl Output {
    fn open(resume: Option<&Path>, tier: Tier) -> anyhow::Result<Self> {
        let mut output = Self { file: None, done: HashSet::new(), tally: Tally::default() };
        let Some(path) = resume else { return Ok(output) };
        let before = match std::fs::read(path) {
            // A last line that was cut within a character is one that is damaged.
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let (records, tiers) = already_judged(&before);
        if let Some(other) = tiers.iter().find(|other| **other != tier) {
            let what = format!("{} holds verdicts of tier {other:?} and this is tier {tier:?}", path.display());
            let error = UserError::usage(what).hint(format!("write to another file, or ask for --tier {other:?}"));
            return Err(error.into());
        }
        for record in &records {
            output.tally.count(record);
            output.done.insert((record.task_id.clone(), record.sample));
        }
        output.file = Some(rewrite(path, &records).with_context(|| format!("cannot write {}", path.display()))?);
        Ok(output)
    }

    fn put(&mut self, record: &Record) -> std::io::Result<()> {
        self.tally.count(record);
        let line = serde_json::to_string(record)?;
        if let Some(file) = &mut self.file {
            // At once, so that an interrupted run keeps all it has done.
            writeln!(file, "{line}")?;
            return file.flush();
        }
        match writeln!(std::io::stdout().lock(), "{line}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            other => other,
        }
    }
}

/// Writes what is kept of an earlier run anew (a line that was cut off goes) and goes on behind it.
fn rewrite(path: &Path, records: &[Record]) -> std::io::Result<BufWriter<File>> {
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record)?);
        text.push('\n');
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
    fresh.write_all(text.as_bytes())?;
    fresh.persist(path).map_err(|error| error.error)?;
    Ok(BufWriter::new(OpenOptions::new().append(true).open(path)?))
}

/// How many of each verdict.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: u32,
    nothing: u32,
    sandbox: u32,
    bad: u32,
    flagged: u32,
}

impl Tally {
    fn count(&mut self, record: &Record) {
        match record.verdict {
            Word::Passed => self.passed += 1,
            Word::Failed => self.failed += 1,
            Word::NothingToCheck => self.nothing += 1,
            Word::SandboxFailed => self.sandbox += 1,
            Word::BadRow => self.bad += 1,
        }
        self.flagged += u32::from(!record.flags.is_empty());
    }

    fn sentence(&self, tier: Tier, wall: Duration) -> String {
        let judged = self.passed + self.failed;
        let mut text = format!("{} of {judged} passed, {} failed", self.passed, self.failed);
        for (count, what) in [
            (self.nothing, "could not be checked"),
            (self.sandbox, "not run (sandbox)"),
            (self.bad, "unusable rows"),
            (self.flagged, "flagged"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        format!("{text} · tier {tier:?} · {:.1} s", wall.as_secs_f64())
    }

    fn exit(&self) -> Exit {
        if self.sandbox > 0 || (self.passed + self.failed == 0) {
            Exit::Error
        } else if self.failed > 0 {
            Exit::VerificationFailed
        } else {
            Exit::Success
        }
    }
}
