//! `z1 eval suite`: a public suite's problems put to a model by several arms.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::choose::{Choice, Chosen};
use super::gym::walls;
use super::print_out;
use crate::agent::{Agent, Settings, Walls};
use crate::cancel::Cancel;
use crate::engine::{Adapter, Engine, LoadOptions, fingerprint};
use crate::error::{Exit, UserError};
use crate::eval::suite::arm::{AgentEffort, Arm};
use crate::eval::suite::ask::{Drawing, Frame, Source, hint};
use crate::eval::suite::judge::Bench;
use crate::eval::suite::record::{Outcome, Record};
use crate::eval::suite::report::Report;
use crate::eval::suite::run::{Job, Setup, run as measure, verify_options};
use crate::eval::suite::store::{Identity, Store, read_records};
use crate::model_store::registry::Registry;
use crate::prompt::{WordSet, Words};
use crate::sandbox::Sandbox;
use crate::verify::suites::Problem;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  z1 eval suite HumanEval.jsonl.gz --model M.gguf --slots 8 --out runs/he
  z1 eval suite mbpp.jsonl.gz --model M.gguf --words paper --chat --window 256,1024 --agent auto --out runs/mbpp
  z1 eval suite HumanEval.jsonl.gz --model M.gguf --words paper --curve --max-tokens 2048 --out runs/curve
  z1 eval suite math500.jsonl --model M.gguf --samples 8 --count 100 --out runs/math --resume
  z1 eval suite gym --model z1-nano.gguf --words z1 --count 240")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    /// A GGUF file
    #[arg(long, short)]
    model: PathBuf,
    /// A LoRA adapter laid over the model
    #[arg(long, value_name = "FILE")]
    lora: Option<PathBuf>,
    /// Whose words ask: makers, paper, z1, or a file of yours
    #[arg(long, value_name = "SET|FILE", default_value = "makers")]
    words: String,

    /// Arm: the words alone (this is what is asked where no arm is named)
    #[arg(long, help_heading = "Arms")]
    chat: bool,
    /// Arm: the answer begun for the model, so that it cannot think
    #[arg(long, help_heading = "Arms")]
    no_think: bool,
    /// Arm: the shifted thinking window of so many tokens, with the paper's hint
    #[arg(long, value_delimiter = ',', value_name = "TOKENS", help_heading = "Arms")]
    window: Vec<u32>,
    /// Arms: the words alone and the window at 0, 64, 128, 256, 512, 1024 and 2048, the curve of the paper
    #[arg(long, help_heading = "Arms")]
    curve: bool,
    /// Arm: so many tokens, then the words that force an answer in the paper's baselines
    #[arg(long, value_delimiter = ',', value_name = "TOKENS", help_heading = "Arms")]
    force: Vec<u32>,
    /// Arm: the whole agent (auto, fast, deep)
    #[arg(long, value_delimiter = ',', value_name = "EFFORT", value_parser = agent_effort, help_heading = "Arms")]
    agent: Vec<AgentEffort>,
    /// Arm: so many samples of each problem (pass@k, majority by behaviour, best by visible tests)
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..=32), help_heading = "Arms")]
    samples: Option<u32>,

    /// No answers: what the words and the model itself say of each problem's difficulty (see `z1 eval difficulty`)
    #[arg(long, help_heading = "Arms")]
    difficulty: bool,

    /// Of several samples
    #[arg(long, default_value_t = 0.7, value_parser = temperature)]
    temperature: f32,
    /// Tokens of an answer
    #[arg(long, default_value_t = 1024, value_name = "N")]
    max_tokens: u32,
    /// What is forced at a window: `paper`, or `code` (the same and an opened code fence)
    #[arg(long, default_value = "paper", value_parser = ["paper", "code"])]
    hint: String,
    /// Different problems decoded at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    slots: u8,
    /// Threads of the engine; otherwise the physical cores
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Tokens that one problem and its answer may have together; otherwise what the model allows, up to 16 k
    #[arg(long, value_name = "N")]
    context: Option<u32>,
    /// Seconds that one program may run, at most; a problem's own limit is three times as long as it says, at least 3 s
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    timeout: f64,
    /// The run's folder: records as they come, and the reports
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Go on with what the folder holds
    #[arg(long, requires = "out")]
    resume: bool,
    /// Print the report as JSON instead of Markdown
    #[arg(long)]
    json: bool,
}

/// The windows of a curve, in tokens.
const CURVE_TOKENS: [u32; 7] = [0, 64, 128, 256, 512, 1024, 2048];

fn agent_effort(text: &str) -> Result<AgentEffort, String> {
    match text {
        "auto" => Ok(AgentEffort::Auto),
        "fast" => Ok(AgentEffort::Fast),
        "deep" => Ok(AgentEffort::Deep),
        _ => Err("there are auto, fast and deep".to_owned()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
    if (0.1..=3600.0).contains(&number) { Ok(number) } else { Err("between 0.1 and 3600 seconds".to_owned()) }
}

fn temperature(text: &str) -> Result<f32, String> {
    let number: f32 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.0..=2.0).contains(&number) { Ok(number) } else { Err("between 0 and 2".to_owned()) }
}

impl Args {
    fn arms(&self) -> Vec<Arm> {
        let mut arms = Vec::new();
        let mut windows = self.window.clone();
        if self.curve {
            windows.extend(CURVE_TOKENS);
        }
        // The widest first: a narrower one finds what it has in common with it.
        windows.sort_unstable_by(|a, b| b.cmp(a));
        windows.dedup();
        let others = !windows.is_empty()
            || !self.force.is_empty()
            || !self.agent.is_empty()
            || self.no_think
            || self.difficulty
            || self.samples.is_some();
        // First, because windows go on from what it wrote.
        if self.chat || self.curve || !others {
            arms.push(Arm::Chat);
        }
        if self.no_think {
            arms.push(Arm::NoThink);
        }
        arms.extend(windows.into_iter().map(Arm::Window));
        arms.extend(self.force.iter().copied().map(Arm::Force));
        arms.extend(self.agent.iter().copied().map(Arm::Agent));
        arms.extend(self.samples.map(Arm::Samples));
        arms.extend(self.difficulty.then_some(Arm::Difficulty));
        arms
    }

    fn source(&self) -> anyhow::Result<Source> {
        if let Some((_, set)) = WordSet::NAMES.iter().find(|(name, _)| *name == self.words) {
            return Ok(Source::Set(*set));
        }
        let path = Path::new(&self.words);
        if !path.is_file() {
            let names: Vec<&str> = WordSet::NAMES.iter().map(|(name, _)| *name).collect();
            let what = format!("there are no words `{}` and no such file", self.words);
            return Err(UserError::usage(what).hint(format!("there are {}", names.join(", "))).into());
        }
        let words = Words::read(path).map_err(|error| UserError::usage(error.to_string()))?;
        Ok(Source::File(Box::new(words)))
    }
}

/// Runs the subcommand.
///
/// # Errors
/// No usable model, no walls, no problem, or a file that cannot be read or written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let source = args.source()?;
    let chosen = args.choice.chosen()?;
    let arms = args.arms();
    // The walls first: the sandbox's helper must never hold the model.
    let sandbox = walls()?;
    let cancel = Cancel::new();
    let engine = load(args, &cancel)?;
    let identity = identity(args, &source, &engine, &chosen)?;
    if let Some(folder) = args.out.as_deref().filter(|folder| args.resume && folder.join("records.jsonl").exists()) {
        refuse_other_problems(&read_records(folder)?.0, &chosen)?;
    }
    let mut store = args.out.as_deref().map(|folder| Store::open(folder, &identity, args.resume)).transpose()?;
    let mut records = store.as_ref().map(|store| store.known.clone()).unwrap_or_default();
    // Of an earlier run only what this one is about is reported.
    let wanted: HashSet<&str> = chosen.problems.iter().map(|problem| problem.id.as_str()).collect();
    records.retain(|record| wanted.contains(record.task_id.as_str()));
    let jobs: Vec<Job> = chosen
        .problems
        .into_iter()
        .map(|problem| Job {
            known: records.iter().filter(|record| record.task_id == problem.id).cloned().collect(),
            problem: Arc::new(problem),
        })
        .collect();
    let mut progress = Progress::new(&jobs, &arms);
    let setup = Arc::new(setup(args, engine, sandbox, (source, arms), &identity, &cancel)?);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
    let finished = runtime.block_on(async {
        crate::host::cancel_when_asked(&cancel);
        measure(setup, jobs, |record| {
            if let Some(store) = &mut store {
                store.put(record)?;
            }
            progress.tell(record);
            records.push(record.clone());
            Ok(())
        })
        .await
    });
    progress.end();
    // What was measured is reported also where the run broke.
    let report = Report::of(&chosen.suites, &identity, &records, &chosen.bad);
    let written = store.as_ref().map_or(Ok(()), |store| write_reports(store, &report));
    // A record that could not be written matters more than a report.
    finished.and(written)?;
    let text = if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { report.markdown() };
    print_out(&text)?;
    if cancel.is_cancelled() {
        if let Some(store) = &store {
            eprintln!("interrupted; `--resume --out {}` goes on", store.folder.display());
        }
        return Ok(Exit::Interrupted);
    }
    let says = |record: &Record| record.counts() || record.difficulty.is_some();
    Ok(if records.iter().any(says) { Exit::Success } else { Exit::Error })
}

fn write_reports(store: &Store, report: &Report) -> anyhow::Result<()> {
    store.write("report.md", &report.markdown())?;
    store.write("report.json", &serde_json::to_string_pretty(report)?)?;
    store.write("report.svg", &report.svg())
}

/// An earlier run's answer to another question under the same id is not this run's.
fn refuse_other_problems(records: &[Record], chosen: &Chosen) -> anyhow::Result<()> {
    let by_id: HashMap<&str, &Problem> = chosen.problems.iter().map(|problem| (problem.id.as_str(), problem)).collect();
    let other = records.iter().find(|record| {
        // Also of problems that this run is not about: the file has none of such a suite.
        !chosen.suites.split(", ").any(|suite| suite == record.suite)
            || by_id.get(record.task_id.as_str()).is_some_and(|problem| {
                record.suite != problem.suite.to_string()
                    || (!record.question_sha256.is_empty() && record.question_sha256 != problem.question_sha256())
            })
    });
    let Some(record) = other else { return Ok(()) };
    let what = format!("the earlier run's `{}` ({}) is another problem than this file's", record.task_id, record.suite);
    Err(UserError::usage(what).hint("choose another --out").into())
}

fn identity(args: &Args, source: &Source, engine: &Engine, chosen: &Chosen) -> anyhow::Result<Identity> {
    let adapter = args.lora.as_deref().map(fingerprint).transpose();
    Ok(Identity {
        model: engine.info().fingerprint.clone(),
        model_name: model_name(&args.model),
        adapter: adapter.context("cannot read the adapter")?,
        words: source.name().to_owned(),
        words_sha256: if let Source::File(words) = source { words.sha256.clone() } else { String::new() },
        problems: args.choice.name(),
        problems_sha256: chosen.file_sha256.clone(),
        suite: chosen.suites.clone(),
        timeout: Some(args.timeout),
        context: Some(args.context.unwrap_or(0)),
        hint: args.hint.clone(),
        tokens_max: args.max_tokens,
        temperature: args.temperature,
        seed: args.choice.seed,
    })
}

fn setup(
    args: &Args,
    engine: Engine,
    sandbox: Sandbox,
    (source, arms): (Source, Vec<Arm>),
    identity: &Identity,
    cancel: &Cancel,
) -> anyhow::Result<Setup> {
    // The agent knows how the model is spoken to, whether or not an arm is its own.
    let traits = Registry::built_in().traits(&engine.info().label);
    // Problems beside one another share the machine's seconds: only tokens are counted against a task.
    let settings = Settings { seed: args.choice.seed, traits, task_seconds: Some(u32::MAX), ..Settings::default() };
    let agent = Agent::new(engine.clone(), Arc::new(Walls { sandbox: sandbox.clone() }), None, settings)?;
    let (prompts, template) = (agent.prompts.clone(), agent.template.clone());
    Ok(Setup {
        engine,
        bench: Bench { sandbox, options: verify_options(args.timeout), cancel: cancel.clone() },
        drawing: Drawing {
            tokens_max: args.max_tokens,
            temperature: args.temperature,
            seed: args.choice.seed,
            hint: hint(&prompts, args.hint == "code", "python")?,
        },
        frame: Frame { source, prompts, template: Some(template) },
        arms,
        slots: usize::from(args.slots),
        adapter: identity.adapter.clone(),
        agent: Some(Arc::new(agent)),
    })
}

fn model_name(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn load(args: &Args, cancel: &Cancel) -> anyhow::Result<Engine> {
    let options = LoadOptions {
        threads: args.threads,
        slots: Some(u32::from(args.slots)),
        // Whole replies of one candidate each have nothing in common but their words.
        apart: args.agent.is_empty() && args.samples.is_none(),
        context_tokens_max: args.context,
        adapter: args.lora.clone().map(|path| Adapter { path, scale: 1.0 }),
        ..LoadOptions::from_path(&args.model)
    };
    Ok(Engine::start_llama(options, |_| {}, cancel).map_err(UserError::from)?)
}

/// What is done and how long the rest will take, on a terminal; a line now and then where there is none.
struct Progress {
    live: bool,
    started: Instant,
    told: Instant,
    total: usize,
    done: usize,
    passed: usize,
    tokens: u64,
}

const TOLD_EVERY: Duration = Duration::from_secs(60);

impl Progress {
    fn new(jobs: &[Job], arms: &[Arm]) -> Self {
        let has = |job: &Job, arm: &Arm| job.known.iter().any(|record| record.arm == arm.to_string());
        let known = jobs.iter().map(|job| arms.iter().filter(|arm| has(job, arm)).count()).sum::<usize>();
        let now = Instant::now();
        let live = std::io::stderr().is_terminal();
        Self { live, started: now, told: now, total: jobs.len() * arms.len() - known, done: 0, passed: 0, tokens: 0 }
    }

    fn tell(&mut self, record: &Record) {
        self.done += 1;
        self.passed += usize::from(record.outcome == Outcome::Passed);
        self.tokens += u64::from(record.decoded_tokens);
        if self.live {
            eprint!("\r\x1b[K{}", self.sentence());
        } else if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            eprintln!("{}", self.sentence());
        }
    }

    fn sentence(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let left = seconds / self.done.max(1) as f64 * (self.total.saturating_sub(self.done)) as f64;
        format!(
            "{} of {} asked, {} solved, {:.1} tokens/s, {:.1} problems a minute, {} left",
            self.done,
            self.total,
            self.passed,
            self.tokens as f64 / seconds.max(0.001),
            60.0 * self.done as f64 / seconds.max(0.001),
            duration(left)
        )
    }

    fn end(&self) {
        let start = if self.live { "\r\x1b[K" } else { "" };
        eprintln!("{start}{} · {} in all", self.sentence(), duration(self.started.elapsed().as_secs_f64()));
    }
}

fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
