//! How much memory a run will take, said before it starts.

use super::optimiser::{self, Kind};
use crate::error::{Exit, UserError};
use crate::sft::core::config::ModelConfig;
use crate::sft::core::gemm::Precision;
use crate::sft::core::head::chunk_positions;
use crate::sft::core::params::{Layout, LoraConfig};

/// Bytes by purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub parts: Vec<(&'static str, u64)>,
}

/// What a run is, as far as memory goes; all of it is known before any weight is read.
#[derive(Clone, Debug)]
pub struct Load {
    pub config: ModelConfig,
    pub lora: Option<LoraConfig>,
    /// Bytes of weights that stay in their file, mapped; `None` where they are in memory as f32.
    pub stays_bytes: Option<u64>,
    pub threads: usize,
    pub lanes: usize,
    pub row_tokens: usize,
    pub recompute: bool,
    pub precision: Precision,
    pub optimiser: Kind,
    pub data_tokens: u64,
}

/// Queries of one block of attention, and values dequantised at a time.
const SCORE_ROWS: usize = 64;
const DEQUANTISED: usize = 1 << 20;
/// No row is made shorter than this to make a run fit.
const ROW_TOKENS_MIN: usize = 256;

impl Estimate {
    pub fn of(load: &Load) -> Self {
        let config = &load.config;
        let full = Layout::full(config);
        let base = full.len as u64;
        let adapter = load.lora.as_ref().map(|lora| Layout::lora(config, lora));
        let trained = adapter.as_ref().unwrap_or(&full);
        let second = optimiser::second_moments(load.optimiser, trained) as u64;
        let (d, f, qkv, t) = (config.hidden, config.ffn, config.qkv_dim(), load.row_tokens);
        // What `layer.rs` keeps of a layer in values per token, and of how many layers.
        let layer = 2 * d + qkv + 3 * f + config.heads + 2;
        let kept = if load.recompute { 1 } else { config.layers };
        let streams = (config.layers + 2) * d;
        let buffers = 2 * d + qkv + f;
        let head = t.min(chunk_positions(config.vocab_size)) * (config.vocab_size + 4 * d);
        let scratch = 2 * SCORE_ROWS * t + if load.stays_bytes.is_some() { DEQUANTISED } else { 0 };
        let dropped = load.lora.as_ref().map_or(0, |lora| if lora.dropout > 0.0 { t * d.max(f) } else { 0 });
        let scratch = scratch + dropped;
        let activations = t * (kept * layer + streams + buffers) + head + scratch;
        let packed = if load.precision == Precision::Bf16 && load.stays_bytes.is_none() { 4 * base } else { 0 };
        let weights = load.stays_bytes.unwrap_or(4 * base);
        let trained = trained.len as u64;
        Self {
            parts: vec![
                (if load.stays_bytes.is_some() { "weights in their file" } else { "parameters" }, weights),
                ("adapter", if adapter.is_some() { 4 * trained } else { 0 }),
                ("packed weights", packed),
                ("gradients", 4 * trained * load.lanes as u64),
                ("optimiser", 4 * (trained + second)),
                ("activations", 4 * (load.threads.min(load.lanes) * activations) as u64),
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
    /// Where it does not fit; the hint says what would, or else names the largest part.
    pub fn check(load: &Load, free: Option<u64>) -> anyhow::Result<Self> {
        let estimate = Self::of(load);
        let Some(free) = free.filter(|&free| free < estimate.total()) else { return Ok(estimate) };
        let hint = fitting(load, free).unwrap_or_else(|| {
            let largest = estimate.parts.iter().max_by_key(|(_, bytes)| bytes).map_or("", |(name, _)| name);
            match largest {
                "gradients" => "lower train.lanes",
                "activations" => "lower data.row_tokens",
                "data" => "train on less data at a time",
                "weights in their file" => "use a smaller model, or one with fewer bits a weight",
                _ => "use a smaller model, or train an adapter with [lora] on its GGUF file",
            }
            .to_owned()
        });
        let what = format!("the run needs {}, but only {:.0} MB are free", estimate.summary(), free as f64 / 1e6);
        Err(UserError::new(Exit::Error, what).hint(hint).into())
    }
}

/// Settings with which the run would fit, the cheapest change first.
fn fitting(load: &Load, free: u64) -> Option<String> {
    let (mut tried, mut said) = (load.clone(), Vec::new());
    let fits = |tried: &Load, said: &[String]| {
        let need = Estimate::of(tried).total();
        (need <= free).then(|| format!("this would fit ({:.0} MB): {}", need as f64 / 1e6, said.join(" ")))
    };
    if !tried.recompute {
        tried.recompute = true;
        said.push("train.recompute=true".to_owned());
        if let Some(found) = fits(&tried, &said) {
            return Some(found);
        }
    }
    if tried.lanes > 1 {
        (tried.lanes, tried.threads) = (1, 1);
        said.push("train.lanes=1".to_owned());
        if let Some(found) = fits(&tried, &said) {
            return Some(found);
        }
    }
    while tried.row_tokens / 2 >= ROW_TOKENS_MIN {
        tried.row_tokens /= 2;
        let with = [said.clone(), vec![format!("data.row_tokens={}", tried.row_tokens)]].concat();
        if let Some(found) = fits(&tried, &with) {
            return Some(found);
        }
    }
    None
}

/// Memory that can be taken now, where the system says so.
pub fn free_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Qwen2.5-Coder-0.5B.
    fn half_billion() -> Load {
        let config = ModelConfig {
            vocab_size: 151_936,
            hidden: 896,
            layers: 24,
            heads: 14,
            kv_heads: 2,
            ffn: 4864,
            context: 32_768,
            rope_theta: 1e6,
            norm_eps: 1e-6,
            tied: true,
        };
        Load {
            config,
            lora: Some(LoraConfig::default()),
            stays_bytes: Some(485_000_000),
            threads: 2,
            lanes: 2,
            row_tokens: 1024,
            recompute: true,
            precision: Precision::F32,
            optimiser: Kind::AdamW,
            data_tokens: 0,
        }
    }

    #[test]
    fn a_real_model_with_an_adapter_is_small_and_a_long_row_does_not_multiply_the_vocabulary() {
        let estimate = Estimate::of(&half_billion());
        assert!((1.0e9..1.3e9).contains(&(estimate.total() as f64)), "{}", estimate.summary());
        let long = Estimate::of(&Load { row_tokens: 8192, lanes: 1, threads: 1, ..half_billion() });
        assert!((1.8e9..2.5e9).contains(&(long.total() as f64)), "{}", long.summary());
    }

    #[test]
    fn what_would_fit_is_said() {
        let greedy = Load { recompute: false, lanes: 4, threads: 4, row_tokens: 4096, ..half_billion() };
        let refused = Estimate::check(&greedy, Some(2_000_000_000)).unwrap_err();
        let said = crate::error::render(&refused);
        assert!(said.contains("this would fit") && said.contains("train.recompute=true train.lanes=1"), "{said}");
        assert!(Estimate::check(&greedy, None).is_ok());
        let hopeless = Estimate::check(&half_billion(), Some(1_000_000)).unwrap_err();
        assert!(crate::error::render(&hopeless).contains("hint"));
    }
}
