//! A run for another trainer, on many GPUs: the rows that z1-sft would train on, in its order, the run's settings,
//! and a script for `torchrun`, so that each step is the step that z1-sft would have taken.
//!
//! Everything is written beside the folder and appears under its name when it is whole.
//!
//! Not for: training; `train.py` is the other trainer's, handed over with the rest.

pub mod adapter;
pub mod rows;
pub mod run_file;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::sft::core::config::ModelConfig;
use crate::sft::core::model::{Lora, Model};
use crate::sft::export::hf;
use crate::sft::export::vocabulary::Vocabulary;
use crate::sft::tensor_file::replace_file;
use crate::sft::train::dataset::Dataset;
use crate::sft::train::feed::{self, Feed, Place};
use crate::sft::train::optimiser::Kind;
use crate::sft::train::recipe::Recipe;
use rows::{Shard, Shards};
use run_file::{Data, RunFile, Start};

const TRAIN: &str = include_str!("train.py");
const REQUIREMENTS: &str = include_str!("requirements.txt");
const README: &str = include_str!("README.md");
/// Where a model that was z1-sft's own is written.
const MODEL_FOLDER: &str = "model";

/// The weights that the run starts from.
pub enum Base {
    /// A folder in Hugging Face's layout; it stays where it is.
    Folder(PathBuf),
    /// One that only z1-sft reads: written out, with its `tokenizer.json`.
    Own(Box<Model>, PathBuf),
}

/// What is handed over.
pub struct Job<'a> {
    pub recipe: &'a Recipe,
    pub base: Base,
    /// The base's shape.
    pub config: ModelConfig,
    pub data: Dataset,
    pub held_out: Option<Dataset>,
    /// How many GPUs the README speaks of; the folder serves any number.
    pub gpus: usize,
    pub cancel: &'a Cancel,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub steps: u64,
    pub rows: u64,
    pub tokens: u64,
    pub learnt_tokens: u64,
    /// What was left out, and what of the recipe the other trainer does not do.
    pub notes: Vec<String>,
}

/// Refuses a recipe that the other trainer cannot follow.
///
/// # Errors
/// Muon: its update needs whole matrices, which no device of a sharded run has.
pub fn check(recipe: &Recipe) -> anyhow::Result<()> {
    if recipe.train.optimiser == Kind::Muon {
        return Err(UserError::usage("a run with train.optimiser = \"muon\" cannot be handed over")
            .hint("its update needs whole matrices, which a sharded run has nowhere; --set train.optimiser=adamw, with a rate for it")
            .into());
    }
    Ok(())
}

/// Refuses a folder that is there already.
///
/// # Errors
/// Where anything has this name.
pub fn check_free(folder: &Path) -> anyhow::Result<()> {
    if folder.symlink_metadata().is_ok() {
        let what = format!("{} is there already", folder.display());
        return Err(UserError::usage(what).hint("give another --out, or remove it first").into());
    }
    Ok(())
}

/// A folder beside `folder`, removed again unless it is [`publish`]ed.
///
/// # Errors
/// Where it cannot be made.
pub fn stage(folder: &Path) -> anyhow::Result<tempfile::TempDir> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let make = || {
        fs::create_dir_all(parent)?;
        tempfile::Builder::new().prefix(".z1-hand-over-").tempdir_in(parent)
    };
    make().map_err(|why| {
        UserError::new(Exit::Error, format!("cannot make a folder in {}: {why}", parent.display()))
            .hint("give an --out where you may write")
            .into()
    })
}

/// Gives a whole hand-over its name.
///
/// # Errors
/// Where something took the name meanwhile.
pub fn publish(staged: tempfile::TempDir, folder: &Path) -> anyhow::Result<()> {
    check_free(folder)?;
    let rename = || -> std::io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // A temporary folder is its owner's alone.
            fs::set_permissions(staged.path(), fs::Permissions::from_mode(0o755))?;
        }
        fs::rename(staged.path(), folder)?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()
    };
    rename().with_context(|| format!("could not write {}", folder.display()))?;
    // It has another name now, and is not removed.
    let _ = staged.keep();
    Ok(())
}

/// Writes everything into `folder`, which exists and is empty.
///
/// # Errors
/// Data that do not fit the model, a tokenizer that is not the model's, a full disk, an interrupt.
pub fn write(folder: &Path, job: Job<'_>) -> anyhow::Result<Summary> {
    let Job { recipe, base, config, data, held_out, gpus, cancel } = job;
    check(recipe)?;
    let tokens_max = recipe.data.row_tokens.min(config.context);
    let (data, mut notes) = data.fit(tokens_max, config.vocab_size)?;
    let held_out = match held_out {
        Some(set) => {
            let (set, more) = set.fit(tokens_max, config.vocab_size)?;
            notes.extend(more.into_iter().map(|note| format!("held out: {note}")));
            feed::held_out(&set, recipe)
        }
        None => Vec::new(),
    };
    notes.extend(left_to_z1(recipe));
    fs::create_dir(folder.join("data")).with_context(|| format!("cannot write into {}", folder.display()))?;
    let start = match base {
        Base::Folder(path) => Start { path, shape: config },
        Base::Own(model, tokenizer) => {
            let vocabulary = Vocabulary::read(&tokenizer, config.vocab_size)?;
            hf::write_model(&folder.join(MODEL_FOLDER), &model, &vocabulary, &tokenizer)?;
            Start { path: MODEL_FOLDER.into(), shape: config }
        }
    };
    if let Some(lora) = &recipe.lora {
        let fresh = Lora::fresh(&start.shape, lora.clone(), recipe.train.seed);
        adapter::write(&folder.join("adapter"), &fresh, &start.shape, &start.path)?;
    }
    let mut feed = Feed::new(data, recipe);
    let steps = feed.total_steps(recipe);
    let train = write_rows(folder, &mut feed, (recipe.rows_per_step(), steps), cancel)?;
    let mut shards = Shards::new(folder, "held-out");
    held_out.iter().try_for_each(|row| shards.push(row))?;
    let data = Data {
        train,
        held_out: shards.finish()?,
        rows_per_step: recipe.rows_per_step(),
        row_tokens: tokens_max,
        fingerprint: feed.data().fingerprint(),
    };
    let sum = |count: fn(&Shard) -> u64| data.train.iter().map(count).sum::<u64>();
    let (rows, tokens, learnt_tokens) = (sum(|s| s.rows), sum(|s| s.tokens), sum(|s| s.learnt_tokens));
    let summary = Summary { steps, rows, tokens, learnt_tokens, notes };
    let run = RunFile::of(recipe, start, data, steps);
    put(folder, "run.json", &(serde_json::to_string_pretty(&run)? + "\n"))?;
    put(folder, "train.py", TRAIN)?;
    put(folder, "requirements.txt", REQUIREMENTS)?;
    put(folder, "README.md", &readme(&run, &summary, gpus))?;
    Ok(summary)
}

/// Every row of the run, in its order.
fn write_rows(
    folder: &Path,
    feed: &mut Feed,
    (rows_per_step, steps): (usize, u64),
    cancel: &Cancel,
) -> anyhow::Result<Vec<Shard>> {
    let mut shards = Shards::new(folder, "train");
    let mut at = Place::default();
    for _ in 0..steps {
        if cancel.is_cancelled() {
            return Err(UserError::new(Exit::Interrupted, "interrupted; nothing was written").into());
        }
        let (rows, next) = feed.take(rows_per_step, at);
        rows.iter().try_for_each(|row| shards.push(row))?;
        at = next;
    }
    shards.finish()
}

/// What of a recipe stays undone in the other trainer.
fn left_to_z1(recipe: &Recipe) -> Vec<String> {
    let train = &recipe.train;
    let settings = [
        ("train.eval_problems", train.eval_problems > 0, "it runs no problems; `z1 eval` does, afterwards"),
        ("the draws of lora.dropout", recipe.lora.as_ref().is_some_and(|lora| lora.dropout > 0.0), "PEFT has its own"),
        ("train.patience", train.patience > 0, "it runs to the end and keeps its checkpoints"),
    ];
    settings
        .into_iter()
        .filter(|(_, set, _)| *set)
        .map(|(name, _, why)| format!("not handed over: {name} ({why})"))
        .collect()
}

fn put(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    replace_file(&folder.join(name), text.len() as u64, |file| file.write_all(text.as_bytes()))
}

/// The README with this run's figures.
fn readme(run: &RunFile, summary: &Summary, gpus: usize) -> String {
    let rows = run.data.rows_per_step;
    let moments = rows.div_ceil(gpus);
    let empty = moments * gpus - rows;
    let what = match (&run.lora, empty) {
        (None, _) => "all weights".to_owned(),
        (Some(lora), _) => format!("an adapter of rank {}", lora.rank),
    };
    let places = match empty {
        0 => "every device has one each time".to_owned(),
        _ => format!(
            "of those {} places {empty} stay empty, for a step takes no other rows than z1-sft's",
            moments * gpus
        ),
    };
    let figures = [
        ("WHAT", what),
        ("MODEL", run.model.path.display().to_string()),
        ("STEPS", run.steps.to_string()),
        ("ROWS_PER_STEP", rows.to_string()),
        ("ROW_TOKENS", run.data.row_tokens.to_string()),
        ("ROWS", summary.rows.to_string()),
        ("TOKENS", format!("{:.2} M", summary.tokens as f64 / 1e6)),
        ("LEARNT", format!("{:.2} M", summary.learnt_tokens as f64 / 1e6)),
        ("GPUS", gpus.to_string()),
        ("MOMENTS", moments.to_string()),
        ("PLACES", places),
    ];
    figures.iter().fold(README.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_is_refused_and_a_staged_folder_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b");
        let staged = stage(&out).unwrap();
        let place = staged.path().to_owned();
        drop(staged);
        assert!(!place.exists() && check_free(&out).is_ok());
        publish(stage(&out).unwrap(), &out).unwrap();
        assert!(check_free(&out).unwrap_err().to_string().contains("there already"));
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }
}
