//! How much memory a run will take, said before it starts.

use crate::error::{Exit, UserError};
use crate::sft::core::gemm::Precision;
use crate::sft::core::model::Model;

/// Bytes by purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub parts: Vec<(&'static str, u64)>,
}

/// What the estimate depends on beside the model.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub threads: usize,
    pub lanes: usize,
    pub row_tokens: usize,
    pub precision: Precision,
    /// Values of AdamW's second moments.
    pub second_moments: usize,
    pub data_tokens: u64,
}

impl Estimate {
    pub fn of(model: &Model, load: Load) -> Self {
        let config = &model.config;
        let trained = model.trainable().0.len as u64;
        let base = model.layout.len as u64;
        let adapter = if model.lora.is_some() { trained } else { 0 };
        let (d, f, qkv) = (config.hidden, config.ffn, config.qkv_dim());
        // What `layer.rs` keeps of each layer, and its buffers, in values per token.
        let layer = 3 * d + qkv + 3 * f + config.heads + 2;
        let buffers = 4 * d + qkv + f + (config.vocab_size + 4 * d).min(64 * d.max(config.vocab_size));
        let activations = load.row_tokens * (config.layers * layer + buffers);
        let packed = if load.precision == Precision::Bf16 { 4 * base } else { 0 };
        Self {
            parts: vec![
                ("parameters", 4 * (base + adapter)),
                ("packed weights", packed),
                ("gradients", 4 * trained * load.lanes as u64),
                ("optimiser", 4 * (trained + load.second_moments as u64)),
                ("activations", 4 * (load.threads * activations) as u64),
                ("data", 4 * load.data_tokens),
            ],
        }
    }

    pub fn total(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes).sum()
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
        let parts: Vec<String> =
            self.parts.iter().map(|(name, bytes)| format!("{name} {}", megabytes(*bytes))).collect();
        format!("about {} of memory ({})", megabytes(self.total()), parts.join(", "))
    }

    /// Refuses a run that does not fit into what is free now.
    ///
    /// # Errors
    /// Where it does not fit; the hint names the largest part.
    pub fn check(&self, free: Option<u64>) -> anyhow::Result<()> {
        let Some(free) = free.filter(|&free| free < self.total()) else { return Ok(()) };
        let largest = self.parts.iter().max_by_key(|(_, bytes)| bytes).map_or("", |(name, _)| name);
        let hint = match largest {
            "gradients" => "lower train.lanes",
            "activations" => "lower data.row_tokens or train.threads",
            "data" => "train on less data at a time",
            _ => "use a smaller model, or train an adapter with [lora]",
        };
        let what = format!("the run needs {}, but only {:.0} MB are free", self.summary(), free as f64 / 1e6);
        Err(UserError::new(Exit::Error, what).hint(hint).into())
    }
}

/// Memory that can be taken now, where the system says so.
pub fn free_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
