//! `z1 sft train`: trains a model from scratch, or fine-tunes one.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::probe::Probe;
use super::recipe::RunArgs;
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::host::Interrupts;
use crate::sft::core::model::Model;
use crate::sft::export::load;
use crate::sft::tokenizer::Tokenizer;
use crate::sft::train::dataset::Dataset;
use crate::sft::train::memory::{self, Estimate};
use crate::sft::train::recipe::Recipe;
use crate::sft::train::run::{self, End, Job, Progress, Resume};
use crate::sft::{tensor_file, train};

/// Steps between two lines where stderr is a file.
const QUIET_STEPS: u64 = 20;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Folder for checkpoints, metrics and the final model
    #[arg(long, default_value = "adapter")]
    out: PathBuf,
    /// Go on with the newest checkpoint in the folder, exactly; start afresh where there is none
    #[arg(long)]
    resume: bool,
    /// As --resume, and accept changed data, batch, seed or precision
    #[arg(long)]
    resume_changed: bool,
    /// Threads; 0 is one for each core
    #[arg(long)]
    threads: Option<usize>,
}

impl Args {
    const fn resume(&self) -> Resume {
        match (self.resume, self.resume_changed) {
            (_, true) => Resume::Changed,
            (true, false) => Resume::Exact,
            (false, false) => Resume::No,
        }
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever [`run::train`] could not do.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let threads: Vec<String> = args.threads.iter().map(|threads| format!("train.threads={threads}")).collect();
    let recipe = args.run.recipe(&threads)?;
    eprintln!("{}", before_loading(&recipe)?);
    // The sandbox's helper is forked before the weights are there.
    std::fs::create_dir_all(&args.out)
        .map_err(|why| UserError::new(Exit::Error, format!("cannot make the folder {}: {why}", args.out.display())))?;
    let probe = Probe::of(&recipe, &args.out)?;
    let read = |paths: &[PathBuf]| read_data(paths, recipe.data.tokenizer.as_deref(), &args.out.join("cache"));
    let data = read(&recipe.data.train)?;
    let held_out = if recipe.data.held_out.is_empty() { None } else { Some(read(&recipe.data.held_out)?) };
    let model = start_model(&recipe)?;
    check_tokenizer(&recipe, model.config.vocab_size)?;
    let mut score = |model: &Model, _step: u64| probe.as_ref().map(|probe| probe.score(model)).transpose();
    let cancel = Cancel::new();
    cancel_on_signals(&cancel)?;
    let mut printer = Printer::default();
    let summary = run::train(Job {
        recipe: &recipe,
        model,
        data,
        held_out,
        folder: &args.out,
        resume: args.resume(),
        cancel: &cancel,
        observe: &mut |progress| printer.show(progress),
        probe: Some(&mut score),
    })?;
    printer.end_line();
    draw(&args.out)?;
    let loss = summary.last_loss.map_or(String::new(), |loss| format!(", loss {loss:.4}"));
    let how = match summary.end {
        End::Finished => "finished",
        End::StoppedEarly => "stopped early: the held-out loss no longer falls",
        End::Cancelled => "interrupted; --resume goes on",
    };
    eprintln!("{how} at step {}, {:.2} M tokens{loss}", summary.state.step, summary.state.tokens as f64 / 1e6);
    Ok(if summary.end == End::Cancelled { Exit::Interrupted } else { Exit::Success })
}

/// What the run will need of memory, from the file's header alone.
///
/// # Errors
/// A model that cannot be read, or a run that does not fit.
fn before_loading(recipe: &Recipe) -> anyhow::Result<String> {
    let (config, stays) = match (&recipe.model, &recipe.train.init) {
        (Some(config), _) => (config.clone(), None),
        (None, Some(path)) => {
            let described = load::describe(path)?;
            (described.config, described.stays_bytes.filter(|_| recipe.lora.is_some()))
        }
        (None, None) => unreachable!("invariant: a checked recipe has a model or an init"),
    };
    let load = run::load_of(recipe, &config, recipe.lora.clone(), stays, 0)?;
    Ok(Estimate::check(&load, memory::free_bytes())?.summary())
}

/// The model that a run starts from, its weights in memory, without the adapter that is to be trained.
pub(super) fn base_model(recipe: &Recipe) -> anyhow::Result<Model> {
    Ok(match (&recipe.model, &recipe.train.init) {
        (Some(config), _) => Model::init(config.clone(), recipe.train.seed),
        (None, Some(path)) => merged(load::load(path)?),
        (None, None) => unreachable!("invariant: a checked recipe has a model or an init"),
    })
}

fn start_model(recipe: &Recipe) -> anyhow::Result<Model> {
    let seed = recipe.train.seed;
    let (Some(path), Some(lora)) = (&recipe.train.init, &recipe.lora) else {
        return base_model(recipe);
    };
    let base = load::load_frozen(path)?;
    // An adapter on an adapter: the first becomes part of the base, which then has no file of its own.
    let (base, file) = match base.lora {
        Some(_) => (merged(base), None),
        None => (base, Some(load::base_file(path)?)),
    };
    let mut model = base.with_lora(lora.clone(), seed);
    model.base = file;
    Ok(model)
}

/// With its adapter in the weights, where it has one; not copied where it has none.
fn merged(model: Model) -> Model {
    if model.lora.is_some() { model.merged() } else { model }
}

/// Reads every file, through the tokenizer where it holds words; says what was left out.
pub(super) fn read_data(paths: &[PathBuf], tokenizer: Option<&Path>, cache: &Path) -> anyhow::Result<Dataset> {
    let mut all = Dataset::default();
    for path in paths {
        let (set, notes) = match tokenizer {
            _ if Dataset::is_tokenised(path)? => Dataset::read(path)?,
            Some(tokenizer) => Dataset::read_samples(path, tokenizer, cache)?,
            None => {
                let what = format!("{} holds words, and the recipe names no tokenizer", path.display());
                return Err(UserError::usage(what).hint("set data.tokenizer=tokenizer.json").into());
            }
        };
        for note in notes {
            eprintln!("note: {note}");
        }
        all.extend(&set);
    }
    Ok(all)
}

/// A tokenizer with more tokens than the model has rows is another model's.
pub(super) fn check_tokenizer(recipe: &Recipe, rows: usize) -> anyhow::Result<()> {
    let own = recipe.data.tokenizer == recipe.train.init;
    let Some(path) = recipe.data.tokenizer.as_ref().filter(|_| !own) else { return Ok(()) };
    let tokens = Tokenizer::load(path)?.vocab_size();
    if tokens > rows {
        let what = format!("{} has {tokens} tokens, the model only {rows}", path.display());
        return Err(UserError::usage(what).hint("use the model's own tokenizer, or set model.vocab_size").into());
    }
    Ok(())
}

/// Draws the run's picture beside its metrics.
fn draw(folder: &Path) -> anyhow::Result<()> {
    let records = train::metrics::read(&folder.join("metrics.jsonl"))?;
    let Some(picture) = train::plot::svg(&records) else { return Ok(()) };
    let path = folder.join("training.svg");
    tensor_file::replace_file(&path, picture.len() as u64, |file| file.write_all(picture.as_bytes()))
}

/// Lets an interrupt or a termination end the run after its current step, with a checkpoint.
pub(super) fn cancel_on_signals(cancel: &Cancel) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cancel = cancel.clone();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let Ok(mut interrupts) = Interrupts::listen() else { return };
            interrupts.next().await;
            cancel.cancel();
            // A second interrupt does not wait for the step.
            interrupts.next().await;
            std::process::exit(i32::from(Exit::Interrupted.code()));
        });
    })?;
    Ok(())
}

/// Shows progress on stderr: one line that changes on a terminal, a line now and then elsewhere.
#[derive(Default)]
struct Printer {
    open_line: bool,
}

impl Printer {
    fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Started { summary } => summary.iter().for_each(|line| eprintln!("{line}")),
            Progress::Step { record, steps, seconds_left } => {
                let line = format!(
                    "step {:>6}/{steps}  loss {:.4}  lr {:.2e}  |g| {:.2}  {:.0} tok/s  epoch {:.2}  {} left",
                    record.step,
                    record.loss,
                    record.lr,
                    record.gradient_norm,
                    record.tokens_per_second,
                    record.epoch,
                    duration(*seconds_left)
                );
                if std::io::stderr().is_terminal() {
                    eprint!("\r\x1b[K{line}");
                    self.open_line = true;
                } else if record.step.is_multiple_of(QUIET_STEPS) || record.step == *steps || record.step == 1 {
                    eprintln!("{line}");
                }
            }
            Progress::Evaluated { record, best } => {
                self.end_line();
                let part = |name: &str, value: Option<f64>| value.map_or(String::new(), |v| format!("  {name} {v:.4}"));
                let loss = part("held-out loss", record.held_out_loss);
                let pass = part("pass@1", record.pass_at_1);
                eprintln!("step {:>6}{loss}{pass}{}", record.step, if *best { "  (best)" } else { "" });
            }
            Progress::Saved { path } => {
                self.end_line();
                eprintln!("saved {}", path.display());
            }
            Progress::Warning(text) => {
                self.end_line();
                eprintln!("warning: {text}");
            }
        }
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.open_line) {
            eprintln!();
        }
    }
}

fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match minutes {
        0 => format!("{seconds:.0} s"),
        1..=99 => format!("{minutes} min"),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}
