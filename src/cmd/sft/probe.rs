//! Pass@1 during training: the model as it stands is written as a GGUF, asked held-out gym problems by the engine,
//! and judged by running what it writes, exactly as `z1 eval gym` does it.
//!
//! Not for: deciding what follows from the score; the training loop does that.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cmd::eval::gym::{UNLIMITED, load, walls};
use crate::error::UserError;
use crate::eval::run::{Settings, run};
use crate::gym::Split;
use crate::gym::corpus::Corpus;
use crate::gym::row::Row;
use crate::prompt::Prompts;
use crate::sandbox::Sandbox;
use crate::sft::core::model::Model;
use crate::sft::export::gguf_file::{self, Storage};
use crate::sft::export::vocabulary::Vocabulary;
use crate::sft::train::recipe::Recipe;
use crate::traits::PromptSet;

/// Always the same problems, whatever the run's seed is.
const SEED: u64 = 11;

/// Asks a model the problems of a sample.
pub(super) struct Probe {
    rows: Vec<Row>,
    settings: Settings,
    sandbox: Sandbox,
    runtime: tokio::runtime::Runtime,
    tokenizer: PathBuf,
    /// Holds the file that the engine reads; gone with the probe.
    folder: tempfile::TempDir,
}

impl Probe {
    /// The probe that a recipe asks for; `None` where it asks for none.
    ///
    /// # Errors
    /// No tokenizer, no walls, or no engine in this build.
    pub(super) fn of(recipe: &Recipe, out: &Path) -> anyhow::Result<Option<Self>> {
        let count = recipe.train.eval_problems;
        if count == 0 {
            return Ok(None);
        }
        let Some(tokenizer) = recipe.data.tokenizer.clone() else {
            return Err(UserError::usage("train.eval_problems needs data.tokenizer").into());
        };
        if cfg!(not(feature = "llama")) {
            let what = "train.eval_problems asks the model, and this build has no engine";
            return Err(UserError::usage(what).hint("build with the feature `llama`, or set it to 0").into());
        }
        let prompts = Prompts::load(PromptSet::Nano, None)?;
        let corpus = Corpus::measuring(SEED, Split::Valid);
        let rows = (0..count as u64).map(|index| corpus.row(index, &prompts)).collect::<Result<_, _>>()?;
        let settings = Settings {
            window: UNLIMITED,
            paper_exact: false,
            hint: prompts.hint(Some("python"), "")?,
            hint_project: prompts.hint(None, "")?,
            temperature: 0.0,
            seed: SEED,
            samples: 1,
        };
        let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
        let folder = tempfile::tempdir_in(out).with_context(|| format!("cannot write into {}", out.display()))?;
        Ok(Some(Self { rows, settings, sandbox: walls()?, runtime, tokenizer, folder }))
    }

    /// The share of the sample that the model solves.
    ///
    /// # Errors
    /// A file that cannot be written, a model that the engine does not take, walls that broke.
    pub(super) fn score(&self, model: &Model) -> anyhow::Result<f64> {
        let path = self.folder.path().join("probe.gguf");
        let vocabulary = Vocabulary::read(&self.tokenizer, model.config.vocab_size)?;
        gguf_file::write_model(&path, &model.merged(), ("probe", &vocabulary), Storage::F32)?;
        let engine = load(&path, 1)?;
        let records = self.runtime.block_on(run(&engine, &self.sandbox, &self.rows, &self.settings, |_| {}))?;
        let passed = records.iter().filter(|record| record.passed).count();
        Ok(passed as f64 / records.len().max(1) as f64)
    }
}
