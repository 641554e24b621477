//! The dimensions of a Qwen2 model.
//!
//! Not for: how it is trained.

use serde::{Deserialize, Serialize};

/// The largest sizes that are taken for a model rather than for a typing mistake.
const DIMENSION_MAX: usize = 1 << 20;

/// The shape of a Qwen2 model; the same facts as Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    pub vocab_size: usize,
    /// Hidden size d.
    pub hidden: usize,
    pub layers: usize,
    /// Query heads; d is divided among them.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Feed-forward size.
    pub ffn: usize,
    /// Positions the model is made for, in tokens.
    pub context: usize,
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f32,
    #[serde(default = "default_norm_eps")]
    pub norm_eps: f32,
    /// The head uses the embedding matrix.
    #[serde(default = "default_tied")]
    pub tied: bool,
}

const fn default_rope_theta() -> f32 {
    10_000.0
}

const fn default_norm_eps() -> f32 {
    1e-6
}

const fn default_tied() -> bool {
    true
}

impl ModelConfig {
    /// Size of one head.
    pub const fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    /// Columns of keys (and of values).
    pub const fn kv_dim(&self) -> usize {
        self.head_dim() * self.kv_heads
    }

    /// Columns of the fused q|k|v projection.
    pub const fn qkv_dim(&self) -> usize {
        self.hidden + 2 * self.kv_dim()
    }

    /// Says what is wrong with the dimensions.
    ///
    /// # Errors
    /// One sentence that names the field.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden", self.hidden),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("ffn", self.ffn),
            ("context", self.context),
        ];
        for (name, size) in sizes {
            if size == 0 || size > DIMENSION_MAX {
                return Err(format!("model.{name} is {size}; it must be between 1 and {DIMENSION_MAX}"));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(format!("model.hidden ({}) is not a multiple of model.heads ({})", self.hidden, self.heads));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(format!(
                "model.heads ({}) is not a multiple of model.kv_heads ({})",
                self.heads, self.kv_heads
            ));
        }
        if !self.head_dim().is_multiple_of(2) {
            return Err(format!("a head has {} columns; rotary positions need an even number", self.head_dim()));
        }
        if !(self.norm_eps > 0.0 && self.rope_theta > 1.0) {
            return Err("model.norm_eps must be positive and model.rope_theta above 1".to_owned());
        }
        Ok(())
    }

    /// Floating-point operations of one training step per token, attention at this mean context length.
    pub fn train_flop_per_token(&self, mean_context: f64, learnt_share: f64) -> f64 {
        let (d, f) = (self.hidden as f64, self.ffn as f64);
        let linear = d * self.qkv_dim() as f64 + d * d + 3.0 * d * f;
        let attention = 2.0 * d * mean_context;
        let head = d * self.vocab_size as f64 * learnt_share;
        // Forward is 2 operations per multiply-add, backward twice the forward.
        6.0 * (self.layers as f64 * (linear + attention) + head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> ModelConfig {
        ModelConfig {
            vocab_size: 64,
            hidden: 32,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            ffn: 48,
            context: 64,
            rope_theta: 1e4,
            norm_eps: 1e-6,
            tied: true,
        }
    }

    #[test]
    fn dimensions_that_do_not_divide_are_named() {
        assert!(tiny().check().is_ok());
        assert!(ModelConfig { heads: 3, ..tiny() }.check().unwrap_err().contains("model.heads"));
        assert!(ModelConfig { kv_heads: 3, ..tiny() }.check().unwrap_err().contains("model.kv_heads"));
        assert!(ModelConfig { layers: 0, ..tiny() }.check().unwrap_err().contains("model.layers"));
        assert!(ModelConfig { hidden: 36, ..tiny() }.check().unwrap_err().contains("even"));
    }
}
