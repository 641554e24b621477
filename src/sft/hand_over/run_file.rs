//! `run.json`: everything about a handed-over run that is no data. `train.py` reads it and nothing else.

use std::path::PathBuf;

use serde::Serialize;

use super::rows::Shard;
use crate::sft::core::config::ModelConfig;
use crate::sft::core::params::LoraConfig;
use crate::sft::train::recipe::Recipe;
use crate::sft::train::schedule::{Decay, Schedule};

/// What the file is and which version of it.
const FORMAT: &str = "z1 hand-over 1";
/// Checkpoints of a run whose recipe counts them in minutes.
const CHECKPOINTS: u64 = 20;

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunFile {
    pub format: &'static str,
    pub model: Start,
    pub lora: Option<LoraConfig>,
    pub data: Data,
    pub steps: u64,
    pub seed: u64,
    pub optimiser: AdamW,
    pub schedule: Rate,
    /// Compute activations again instead of keeping them.
    pub recompute: bool,
    pub checkpoint_steps: u64,
    pub keep_checkpoints: usize,
    /// 0: no evaluation.
    pub eval_steps: u64,
}

/// The model that the run starts from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Start {
    /// A folder in Hugging Face's layout, relative to the hand-over's where it is in it.
    pub path: PathBuf,
    pub shape: ModelConfig,
}

/// What is trained on. All rows are there, epoch after epoch, in their order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    pub train: Vec<Shard>,
    pub held_out: Vec<Shard>,
    /// Rows of one optimiser step, on however many devices.
    pub rows_per_step: usize,
    /// Tokens of the longest row that there may be.
    pub row_tokens: usize,
    /// Of the sequences before packing; the same as in checkpoints of z1-sft.
    pub fingerprint: String,
}

/// AdamW's settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AdamW {
    pub lr: f64,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    /// Decoupled; not for norms and biases.
    pub weight_decay: f32,
    /// 0: none.
    pub clip: f32,
}

/// The rate's course.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    pub warmup_steps: u64,
    pub decay: Decay,
    pub decay_from: f64,
    pub floor: f64,
}

impl RunFile {
    /// The run of a recipe that takes so many steps.
    pub fn of(recipe: &Recipe, model: Start, data: Data, steps: u64) -> Self {
        let train = &recipe.train;
        let Schedule { warmup_steps, decay, decay_from, floor, .. } = recipe.schedule(steps);
        let by_steps = Some(train.checkpoint_steps).filter(|&every| every > 0);
        Self {
            format: FORMAT,
            model,
            lora: recipe.lora.clone(),
            eval_steps: if data.held_out.is_empty() { 0 } else { train.eval_steps },
            data,
            steps,
            seed: train.seed,
            optimiser: AdamW {
                lr: train.lr,
                beta1: train.beta1,
                beta2: train.beta2,
                eps: train.eps,
                weight_decay: train.weight_decay,
                clip: train.clip,
            },
            schedule: Rate { warmup_steps, decay, decay_from, floor },
            recompute: train.recompute.unwrap_or(true),
            checkpoint_steps: by_steps.unwrap_or_else(|| steps.div_ceil(CHECKPOINTS)),
            keep_checkpoints: train.keep_checkpoints,
        }
    }
}
