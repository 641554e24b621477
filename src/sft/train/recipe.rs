//! What a training run is: a TOML file with the sections `[model]`, `[data]`, `[train]` and `[lora]`.
//!
//! Every value can be overridden (`--set train.lr=1e-3`); a key that is not known is refused, because a
//! mistyped key would otherwise train something else than was meant.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::optimiser::{self, Kind};
use super::schedule::{Decay, Schedule};
use crate::error::UserError;
use crate::sft::core::config::ModelConfig;
use crate::sft::core::gemm::Precision;
use crate::sft::core::params::LoraConfig;

/// A training run. Paths are relative to the working directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The shape of a model that is trained from scratch; absent where `train.init` names a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelConfig>,
    pub data: DataRecipe,
    pub train: TrainRecipe,
    /// Present: an adapter is trained and the base frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

/// What is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Samples, sequences or `.seq` files.
    pub train: Vec<PathBuf>,
    /// Never trained on; their loss is reported.
    #[serde(default)]
    pub held_out: Vec<PathBuf>,
    /// `tokenizer.json`; needed for samples, and copied on export.
    #[serde(default)]
    pub tokenizer: Option<PathBuf>,
    /// Length of a packed row, in tokens.
    pub row_tokens: usize,
}

/// How it is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainRecipe {
    /// A model to start from: a checkpoint, a safetensors file or Hugging Face folder, or a GGUF file. Under an
    /// adapter a GGUF file's weights stay in it as they are, quantised.
    pub init: Option<PathBuf>,
    pub seed: u64,
    /// 0: one for each core.
    pub threads: usize,
    /// Gradient accumulators; part of the result's identity, unlike `threads`. At least `threads` keeps all
    /// threads busy; each costs one copy of the gradients.
    pub lanes: usize,
    /// `auto`, `f32` or `bf16`.
    pub precision: PrecisionChoice,
    /// Compute each layer again for its backward instead of keeping what the forward computed: a third more work for
    /// a tenth of the memory. Absent: where the base stays in its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recompute: Option<bool>,
    /// The run's length; exactly one of these three.
    pub steps: Option<u64>,
    pub epochs: Option<f64>,
    pub tokens: Option<u64>,
    /// Rows of one step before accumulation.
    pub batch_rows: usize,
    /// Batches added up before each update.
    pub accumulate: usize,
    pub optimiser: Kind,
    pub lr: f64,
    /// Muon's peak rate; `lr` where absent.
    pub lr_matrices: Option<f64>,
    /// At most a tenth of the run.
    pub warmup_steps: u64,
    pub decay: Decay,
    /// Share of the run at the peak before the decay begins.
    pub decay_from: f64,
    /// Rate at the end, as a share of the peak.
    pub lr_floor: f64,
    pub weight_decay: f32,
    /// 0: no clipping.
    pub clip: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub momentum: f32,
    /// 0: not by steps.
    pub checkpoint_steps: u64,
    /// 0: not by time.
    pub checkpoint_minutes: f64,
    pub keep_checkpoints: usize,
    /// 0: no evaluation during training.
    pub eval_steps: u64,
    /// Held-out rows of one evaluation.
    pub eval_rows_max: usize,
    /// Held-out gym problems asked and judged by execution at each evaluation; 0: none.
    pub eval_problems: usize,
    /// Evaluations without improvement after which the run stops; 0: never.
    pub patience: u32,
}

/// A precision, or the fastest this CPU has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrecisionChoice {
    #[default]
    Auto,
    F32,
    Bf16,
}

impl Default for TrainRecipe {
    fn default() -> Self {
        Self {
            init: None,
            seed: 1,
            threads: 0,
            lanes: 4,
            precision: PrecisionChoice::Auto,
            recompute: None,
            steps: None,
            epochs: None,
            tokens: None,
            batch_rows: 16,
            accumulate: 1,
            optimiser: Kind::Muon,
            lr: 2e-3,
            lr_matrices: None,
            warmup_steps: 100,
            decay: Decay::Cosine,
            decay_from: 0.0,
            lr_floor: 0.05,
            weight_decay: 0.05,
            clip: 1.0,
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-8,
            momentum: 0.95,
            checkpoint_steps: 0,
            checkpoint_minutes: 10.0,
            keep_checkpoints: 3,
            eval_steps: 0,
            eval_rows_max: 64,
            eval_problems: 0,
            patience: 0,
        }
    }
}

impl Recipe {
    /// Parses a recipe and applies overrides of the form `section.key=value`.
    ///
    /// # Errors
    /// Where the text is not TOML, a key is unknown, or a value makes no sense; names the key.
    pub fn parse(text: &str, overrides: &[String]) -> anyhow::Result<Self> {
        let wrong = |why: String| UserError::usage(format!("the recipe is wrong: {why}"));
        let table: toml::Table = text.parse().map_err(|why: toml::de::Error| wrong(why.to_string()))?;
        Self::of_table(table, overrides)
    }

    /// As [`Recipe::parse`], of a table that was read already.
    ///
    /// # Errors
    /// As [`Recipe::parse`].
    pub fn of_table(mut table: toml::Table, overrides: &[String]) -> anyhow::Result<Self> {
        let wrong = |why: String| UserError::usage(format!("the recipe is wrong: {why}"));
        for each in overrides {
            set(&mut table, each).map_err(wrong)?;
        }
        adapter_defaults(&mut table);
        let recipe: Self = table.try_into().map_err(|why: toml::de::Error| wrong(why.to_string()))?;
        recipe.check().map_err(wrong)?;
        Ok(recipe)
    }

    /// Reads and parses a recipe file.
    ///
    /// # Errors
    /// As [`Recipe::parse`], and where the file cannot be read.
    pub fn read(path: &Path, overrides: &[String]) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|why| UserError::usage(format!("cannot read the recipe {}: {why}", path.display())))?;
        Self::parse(&text, overrides)
    }

    fn check(&self) -> Result<(), String> {
        let train = &self.train;
        let lengths = [train.steps.is_some(), train.epochs.is_some(), train.tokens.is_some()];
        if lengths.into_iter().filter(|&given| given).count() != 1 {
            return Err("give exactly one of train.steps, train.epochs and train.tokens".into());
        }
        match (&self.model, &train.init) {
            (None, None) => {
                return Err("give [model] to start from scratch, or train.init to start from a model".into());
            }
            (Some(_), Some(_)) => return Err("train.init brings its own shape; leave [model] out".into()),
            (Some(model), None) => model.check()?,
            (None, Some(_)) => {}
        }
        if let Some(lora) = &self.lora {
            if lora.rank == 0 || lora.targets.is_empty() {
                return Err("lora.rank must be positive and lora.targets not empty".into());
            }
            if lora.layers == Some(0) {
                return Err("lora.layers must be at least 1".into());
            }
            if !(0.0..1.0).contains(&lora.dropout) {
                return Err(format!("lora.dropout is {}; it must be at least 0 and below 1", lora.dropout));
            }
            if self.model.is_some() {
                return Err("an adapter needs a base: give train.init".into());
            }
        }
        let positive = [
            ("data.row_tokens", self.data.row_tokens),
            ("train.lanes", train.lanes),
            ("train.batch_rows", train.batch_rows),
            ("train.accumulate", train.accumulate),
            ("train.keep_checkpoints", train.keep_checkpoints),
        ];
        if let Some((name, _)) = positive.into_iter().find(|&(_, value)| value == 0) {
            return Err(format!("{name} must be at least 1"));
        }
        let rates = [train.lr, train.lr_matrices.unwrap_or(train.lr), train.epochs.unwrap_or(1.0)];
        if rates.into_iter().any(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err("train.lr, train.lr_matrices and train.epochs must be positive".into());
        }
        if self.data.train.is_empty() {
            return Err("data.train names no file".into());
        }
        Ok(())
    }

    /// The schedule of a run of this many steps.
    pub fn schedule(&self, steps: u64) -> Schedule {
        let train = &self.train;
        Schedule {
            warmup_steps: train.warmup_steps.min((steps / WARMUP_PART).max(1)),
            steps,
            decay: train.decay,
            decay_from: train.decay_from,
            floor: train.lr_floor,
        }
    }

    /// The optimiser's settings.
    pub fn optimiser(&self, precision: Precision) -> optimiser::Settings {
        let train = &self.train;
        optimiser::Settings {
            kind: train.optimiser,
            weight_decay: train.weight_decay,
            beta1: train.beta1,
            beta2: train.beta2,
            eps: train.eps,
            momentum: train.momentum,
            clip: train.clip,
            precision,
        }
    }

    /// The precision to train in on this CPU.
    ///
    /// # Errors
    /// Where bf16 was asked for and the CPU has no fast bf16.
    pub fn precision(&self) -> anyhow::Result<Precision> {
        match self.train.precision {
            PrecisionChoice::Auto => Ok(Precision::best()),
            PrecisionChoice::F32 => Ok(Precision::F32),
            PrecisionChoice::Bf16 if Precision::Bf16.available() => Ok(Precision::Bf16),
            PrecisionChoice::Bf16 => Err(UserError::usage("this CPU has no bf16 products (AVX512-BF16)")
                .hint("set train.precision=f32")
                .into()),
        }
    }

    /// Rows of one optimiser step.
    pub fn rows_per_step(&self) -> usize {
        self.train.batch_rows * self.train.accumulate
    }
}

/// A warm-up takes at most one part in so many of a run: a short run would never leave it.
const WARMUP_PART: u64 = 10;

/// What is usual for an adapter, where the recipe says nothing: the defaults are those of a model from nothing.
fn adapter_defaults(table: &mut toml::Table) {
    if !table.contains_key("lora") {
        return;
    }
    let train = table.entry("train").or_insert_with(|| toml::Value::Table(toml::Table::new()));
    let Some(train) = train.as_table_mut() else { return };
    let usual: [(&str, toml::Value); 4] =
        [("optimiser", "adamw".into()), ("lr", 2e-4.into()), ("weight_decay", 0.0.into()), ("lanes", 2.into())];
    for (key, value) in usual {
        train.entry(key).or_insert(value);
    }
}

/// The three lengths of a run exclude one another: giving one takes the others back.
const LENGTHS: [&str; 3] = ["steps", "epochs", "tokens"];

/// Sets one dotted key.
fn set(table: &mut toml::Table, assignment: &str) -> Result<(), String> {
    let (key, value) = assignment.split_once('=').ok_or_else(|| format!("`{assignment}` is not KEY=VALUE"))?;
    let (section, name) = key.trim().split_once('.').ok_or_else(|| format!("`{key}` is not SECTION.KEY"))?;
    let value = value.trim();
    // What is not a TOML value by itself is a bare string: paths need no quotes.
    let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let section_value = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    let inner = section_value.as_table_mut().ok_or_else(|| format!("`{section}` is not a section"))?;
    if section == "train" && LENGTHS.contains(&name) {
        for other in LENGTHS {
            inner.remove(other);
        }
    }
    inner.insert(name.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        [model]
        vocab_size = 1024
        hidden = 256
        layers = 4
        heads = 4
        kv_heads = 2
        ffn = 512
        context = 1024
        [data]
        train = ['a.jsonl']
        row_tokens = 512
        [train]
        steps = 100
    ";

    #[test]
    fn values_can_be_overridden_and_lengths_replace_each_other() {
        let set = ["train.lr=0.5", "train.tokens=7", "data.tokenizer=t.json", "train.decay=linear"].map(String::from);
        let recipe = Recipe::parse(TEXT, &set).unwrap();
        assert_eq!((recipe.train.lr, recipe.train.steps, recipe.train.tokens), (0.5, None, Some(7)));
        assert_eq!(recipe.data.tokenizer, Some("t.json".into()));
        assert_eq!(recipe.train.decay, Decay::Linear);
    }

    #[test]
    fn mistakes_are_named() {
        let fails = |set: &str| Recipe::parse(TEXT, &[set.to_owned()]).unwrap_err().to_string();
        assert!(fails("train.learning_rate=1").contains("learning_rate"));
        assert!(fails("train.lr=-1").contains("train.lr"));
        assert!(fails("model.heads=7").contains("model.heads"));
        assert!(fails("train.init=x").contains("[model]"));
        assert!(fails("lora.dropout=1.0").contains("lora.dropout"));
        assert!(fails("lr=1").contains("SECTION.KEY"));
        assert!(Recipe::parse("[data", &[]).is_err());
    }
}
