//! The options that say which run is meant: a recipe, values over it, or a model and data alone.

use std::path::PathBuf;

use crate::sft::train::recipe::Recipe;

/// The recipe of a run that has none: an adapter for a real model. Rate and the rest are an adapter's defaults.
const ONE_LINE: &str = "
    [data]
    train = []
    row_tokens = 1024
    [lora]
    [train]
    epochs = 2.0
    batch_rows = 8
    warmup_steps = 20
    checkpoint_minutes = 5.0
    keep_checkpoints = 2
";

/// The same for every subcommand that takes a run.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The recipe: a TOML file with [model], [data], [train], [lora]; without it --model and --data train an adapter
    #[arg(required_unless_present_all = ["model", "data"])]
    recipe: Option<PathBuf>,
    /// Train on these rows (same as data.train)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Report the loss on these rows, which are not trained on (same as data.held_out)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    held_out: Vec<PathBuf>,
    /// Override a value of the recipe, e.g. --set train.lr=1e-3
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Start from this model (same as --set train.init=PATH)
    #[arg(long, value_name = "PATH", alias = "init")]
    model: Option<PathBuf>,
    /// Rank of the adapter (same as lora.rank)
    #[arg(long)]
    rank: Option<usize>,
    /// Train an adapter on the last N layers only (same as lora.layers)
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// How often every row is seen
    #[arg(long)]
    epochs: Option<f64>,
    /// Length of a row, in tokens (same as data.row_tokens)
    #[arg(long)]
    row_tokens: Option<usize>,
    /// Number of optimiser steps
    #[arg(long)]
    steps: Option<u64>,
    /// Peak learning rate
    #[arg(long)]
    lr: Option<f64>,
    #[arg(long)]
    seed: Option<u64>,
}

impl RunArgs {
    fn overrides(&self, more: &[String]) -> Vec<String> {
        let mut all = self.set.clone();
        let mut push = |key: &str, value: Option<String>| all.extend(value.map(|value| format!("{key}={value}")));
        let text = |path: &PathBuf| toml::Value::String(path.display().to_string()).to_string();
        let list = |paths: &[PathBuf]| {
            (!paths.is_empty()).then(|| format!("[{}]", paths.iter().map(text).collect::<Vec<_>>().join(", ")))
        };
        push("data.train", list(&self.data));
        push("data.held_out", list(&self.held_out));
        push("data.row_tokens", self.row_tokens.map(|value| value.to_string()));
        push("lora.rank", self.rank.map(|value| value.to_string()));
        push("lora.layers", self.layers.map(|value| value.to_string()));
        push("train.init", self.model.as_ref().map(text));
        push("train.epochs", self.epochs.map(|value| format!("{value:e}")));
        push("train.steps", self.steps.map(|value| value.to_string()));
        // With an exponent the value is a TOML float however large it is.
        push("train.lr", self.lr.map(|value| format!("{value:e}")));
        push("train.seed", self.seed.map(|value| value.to_string()));
        all.extend(more.iter().cloned());
        all
    }

    /// The recipe with all that was said over it, `more` (`SECTION.KEY=VALUE`) last.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn recipe(&self, more: &[String]) -> anyhow::Result<Recipe> {
        let overrides = self.overrides(more);
        let mut recipe = match &self.recipe {
            Some(path) => Recipe::read(path, &overrides)?,
            None => Recipe::parse(ONE_LINE, &overrides)?,
        };
        // A GGUF file brings its vocabulary with it.
        if let (None, Some(init)) = (&recipe.data.tokenizer, &recipe.train.init)
            && crate::gguf::is_named(init)
        {
            recipe.data.tokenizer = Some(init.clone());
        }
        Ok(recipe)
    }
}
