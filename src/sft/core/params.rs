//! Where each tensor lies in the flat array that holds a model's (or an adapter's) parameters.
//!
//! One flat `Vec<f32>` makes gradients, optimiser state, reduction and checkpoints one loop each. Tensors
//! carry their GGUF names. q, k, v (and gate, up) lie side by side, so that one product serves all.
//!
//! Not for: file formats.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::config::ModelConfig;

/// What a tensor is, which decides its initial value and its optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorKind {
    /// Token embedding or output head: rows are tokens.
    Embedding,
    /// A projection matrix.
    Matrix,
    /// A projection that writes into the residual stream: starts smaller the deeper the model is.
    Residual,
    Norm,
    Bias,
    /// Adapter input side: starts random.
    LoraA,
    /// Adapter output side: starts at zero, so that training starts at the base model.
    LoraB,
}

impl TensorKind {
    /// Whether the tensor is a matrix of a layer: what Muon is for.
    pub const fn is_layer_matrix(self) -> bool {
        matches!(self, Self::Matrix | Self::Residual)
    }

    /// Whether weight decay applies.
    pub const fn decays(self) -> bool {
        !matches!(self, Self::Norm | Self::Bias)
    }
}

/// One tensor of the flat array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// GGUF name, for adapters with `.lora_a` or `.lora_b` behind it.
    pub name: String,
    pub kind: TensorKind,
    pub rows: usize,
    /// 1 row means a vector of this length.
    pub cols: usize,
    pub offset: usize,
}

impl TensorInfo {
    pub const fn len(&self) -> usize {
        self.rows * self.cols
    }

    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the tensor has one dimension.
    pub const fn is_vector(&self) -> bool {
        matches!(self.kind, TensorKind::Norm | TensorKind::Bias)
    }

    /// This tensor's part of the flat array.
    pub fn of<'a>(&self, flat: &'a [f32]) -> &'a [f32] {
        &flat[self.offset..self.offset + self.len()]
    }

    /// This tensor's part of the flat array, to write.
    pub fn of_mut<'a>(&self, flat: &'a mut [f32]) -> &'a mut [f32] {
        &mut flat[self.offset..self.offset + self.len()]
    }
}

/// The order and place of all tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub tensors: Vec<TensorInfo>,
    pub len: usize,
}

/// Offsets of one layer's tensors in the flat array of [`Layout::full`].
#[derive(Clone, Copy, Debug)]
pub struct LayerOffsets {
    pub attn_norm: usize,
    pub wqkv: usize,
    pub bqkv: usize,
    pub wo: usize,
    pub ffn_norm: usize,
    pub w_gate_up: usize,
    pub w_down: usize,
}

/// A projection of a layer that an adapter can sit on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
}

impl Target {
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// The GGUF name of the projection's weight in this layer.
    pub fn weight_name(self, layer: usize) -> String {
        let part = match self {
            Self::Q => "attn_q",
            Self::K => "attn_k",
            Self::V => "attn_v",
            Self::O => "attn_output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
        };
        format!("blk.{layer}.{part}.weight")
    }

    /// Rows (out) and columns (in) of the projection.
    pub const fn shape(self, config: &ModelConfig) -> (usize, usize) {
        match self {
            Self::Q | Self::O => (config.hidden, config.hidden),
            Self::K | Self::V => (config.kv_dim(), config.hidden),
            Self::Gate | Self::Up => (config.ffn, config.hidden),
            Self::Down => (config.hidden, config.ffn),
        }
    }
}

/// A low-rank adapter's shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    pub rank: usize,
    pub alpha: f32,
    pub targets: Vec<Target>,
    /// Only so many layers, the last ones; all where absent. The layers below are not walked backward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// Divide alpha by √rank instead of rank (rsLoRA).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rank_stabilised: bool,
    /// Share of an adapter's inputs that a step leaves out, drawn anew for each row and projection; below 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

impl Default for LoraConfig {
    /// What is usual for a real model: rank 16, alpha 32, every projection.
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            targets: Target::ALL.to_vec(),
            layers: None,
            rank_stabilised: false,
            dropout: 0.0,
        }
    }
}

impl LoraConfig {
    /// What `B·A` is multiplied by.
    pub fn scale(&self) -> f32 {
        let rank = self.rank as f32;
        self.alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }

    /// The first layer that has an adapter, in a model of so many.
    pub fn first_layer(&self, layers: usize) -> usize {
        layers - self.layers.unwrap_or(layers).min(layers)
    }
}

impl Layout {
    /// All tensors of a model.
    pub fn full(config: &ModelConfig) -> Self {
        let mut layout = Self::default();
        let d = config.hidden;
        layout.push("token_embd.weight", TensorKind::Embedding, config.vocab_size, d);
        for layer in 0..config.layers {
            let mut vector = |name: &str, kind, len| layout.push(&format!("blk.{layer}.{name}"), kind, 1, len);
            vector("attn_norm.weight", TensorKind::Norm, d);
            vector("ffn_norm.weight", TensorKind::Norm, d);
            vector("attn_q.bias", TensorKind::Bias, d);
            vector("attn_k.bias", TensorKind::Bias, config.kv_dim());
            vector("attn_v.bias", TensorKind::Bias, config.kv_dim());
            for target in Target::ALL {
                let (rows, cols) = target.shape(config);
                let residual = matches!(target, Target::O | Target::Down);
                let kind = if residual { TensorKind::Residual } else { TensorKind::Matrix };
                layout.push(&target.weight_name(layer), kind, rows, cols);
            }
        }
        layout.push("output_norm.weight", TensorKind::Norm, 1, d);
        if !config.tied {
            layout.push("output.weight", TensorKind::Embedding, config.vocab_size, d);
        }
        layout
    }

    /// The tensors of an adapter.
    pub fn lora(config: &ModelConfig, lora: &LoraConfig) -> Self {
        let mut layout = Self::default();
        for layer in lora.first_layer(config.layers)..config.layers {
            for target in Target::ALL.into_iter().filter(|target| lora.targets.contains(target)) {
                let (rows, cols) = target.shape(config);
                let name = target.weight_name(layer);
                layout.push(&format!("{name}.lora_a"), TensorKind::LoraA, lora.rank, cols);
                layout.push(&format!("{name}.lora_b"), TensorKind::LoraB, rows, lora.rank);
            }
        }
        layout
    }

    fn push(&mut self, name: &str, kind: TensorKind, rows: usize, cols: usize) {
        let offset = self.len;
        self.len += rows * cols;
        self.tensors.push(TensorInfo { name: name.to_owned(), kind, rows, cols, offset });
    }

    /// The tensor of this name.
    pub fn find(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The offset of a tensor that this layout is known to have.
    fn offset_of(&self, name: &str) -> usize {
        self.find(name).expect("invariant: a full layout has every tensor of its model").offset
    }

    /// The places of one layer's tensors; only for [`Layout::full`].
    pub fn layer(&self, layer: usize) -> LayerOffsets {
        let at = |name: &str| self.offset_of(&format!("blk.{layer}.{name}"));
        LayerOffsets {
            attn_norm: at("attn_norm.weight"),
            wqkv: at("attn_q.weight"),
            bqkv: at("attn_q.bias"),
            wo: at("attn_output.weight"),
            ffn_norm: at("ffn_norm.weight"),
            w_gate_up: at("ffn_gate.weight"),
            w_down: at("ffn_down.weight"),
        }
    }

    /// Offset of the last norm.
    pub fn output_norm(&self) -> usize {
        self.offset_of("output_norm.weight")
    }

    /// Offset of the head's matrix: the embedding where it is tied.
    pub fn head(&self) -> usize {
        self.find("output.weight").map_or(0, |tensor| tensor.offset)
    }

    /// Fresh parameters: norms 1, biases 0, matrices normal with the deviation of GPT-2 (0.02, residual
    /// projections divided by √(2·layers)), adapters as in the LoRA paper. The same seed gives the same bits.
    pub fn init(&self, layers: usize, seed: u64) -> Vec<f32> {
        let mut flat = vec![0.0; self.len];
        for (index, tensor) in self.tensors.iter().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            // One stream a tensor: a tensor's values do not depend on the sizes of those before it.
            rng.set_stream(index as u64);
            let deviation = match tensor.kind {
                TensorKind::Norm => {
                    tensor.of_mut(&mut flat).fill(1.0);
                    continue;
                }
                TensorKind::Bias | TensorKind::LoraB => continue,
                TensorKind::Embedding | TensorKind::Matrix => 0.02,
                TensorKind::Residual => 0.02 / (2.0 * layers as f32).sqrt(),
                TensorKind::LoraA => 1.0 / (tensor.cols as f32).sqrt(),
            };
            for value in tensor.of_mut(&mut flat) {
                *value = deviation * normal(&mut rng);
            }
        }
        flat
    }
}

/// One draw from the normal distribution (Box and Muller).
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let radius: f64 = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let angle: f64 = std::f64::consts::TAU * rng.random::<f64>();
    (radius * angle.cos()) as f32
}
