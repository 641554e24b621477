//! A model's parameters, with or without an adapter.
//!
//! Not for: files (`export`) and optimiser state (`train`).

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::config::ModelConfig;
use super::frozen::FrozenBase;
use super::gemm::{Mat, MatMut, Store, Take, Weight, product_f32};
use super::params::{Layout, LoraConfig, Target};

/// A low-rank adapter.
#[derive(Clone, Debug)]
pub struct Lora {
    pub config: LoraConfig,
    pub layout: Layout,
    pub params: Vec<f32>,
}

impl Lora {
    /// A fresh adapter for a model of this shape; the same seed gives the same bits.
    pub fn fresh(config: &ModelConfig, lora: LoraConfig, seed: u64) -> Self {
        let layout = Layout::lora(config, &lora);
        let params = layout.init(config.layers, seed ^ 0x4c6f_5241);
        Self { config: lora, layout, params }
    }
}

/// The file that an adapter's base came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseFile {
    pub path: PathBuf,
    /// What is in the file, in short: weights of the same shape are not the same base.
    pub fingerprint: String,
}

/// A model. With an adapter the adapter is trained and the base is frozen; without one everything is trained.
#[derive(Clone, Debug)]
pub struct Model {
    pub config: ModelConfig,
    pub layout: Layout,
    /// Empty where the base is frozen in its file.
    pub params: Vec<f32>,
    pub lora: Option<Lora>,
    pub frozen: Option<Arc<FrozenBase>>,
    /// Where the base came from; an adapter is saved without a base that has a file of its own.
    pub base: Option<BaseFile>,
}

impl Model {
    /// A fresh model; the same seed gives the same bits.
    pub fn init(config: ModelConfig, seed: u64) -> Self {
        let layout = Layout::full(&config);
        let params = layout.init(config.layers, seed);
        Self { config, layout, params, lora: None, frozen: None, base: None }
    }

    /// A model of given parameters, in the order of [`Layout::full`].
    pub fn from_params(config: ModelConfig, params: Vec<f32>) -> Self {
        let layout = Layout::full(&config);
        assert_eq!(params.len(), layout.len, "invariant: parameters fill the layout");
        Self { config, layout, params, lora: None, frozen: None, base: None }
    }

    /// A model whose weights stay in their file; only an adapter on it can be trained.
    pub fn from_frozen(config: ModelConfig, frozen: FrozenBase) -> Self {
        let layout = Layout::full(&config);
        Self { config, layout, params: Vec::new(), lora: None, frozen: Some(Arc::new(frozen)), base: None }
    }

    /// Norms and biases from this offset of the layout on.
    pub fn vector(&self, offset: usize, len: usize) -> &[f32] {
        match &self.frozen {
            Some(frozen) => frozen.vector(offset, len),
            None => &self.params[offset..offset + len],
        }
    }

    /// The matrix at this offset of the layout, several side by side where they lie so.
    pub fn weight(&self, offset: usize, outputs: usize, inputs: usize) -> Weight<'_> {
        match &self.frozen {
            Some(frozen) => Weight::Blocks(frozen.blocks(offset, outputs, inputs)),
            None => Weight::Plain(Mat::new(&self.params[offset..offset + outputs * inputs], outputs, inputs)),
        }
    }

    /// The head's matrix.
    pub fn head(&self) -> Weight<'_> {
        let (offset, outputs, inputs) = (self.layout.head(), self.config.vocab_size, self.config.hidden);
        match &self.frozen {
            Some(frozen) => Weight::Blocks(frozen.head(offset, outputs, inputs)),
            None => self.weight(offset, outputs, inputs),
        }
    }

    /// The embedding of a token.
    pub fn embed(&self, id: u32, out: &mut [f32]) {
        // The embedding is the first tensor of the layout.
        match &self.frozen {
            Some(frozen) => frozen.blocks(0, self.config.vocab_size, self.config.hidden).row(id as usize, out),
            None => out.copy_from_slice(&self.params[id as usize * out.len()..][..out.len()]),
        }
    }

    /// The same model with weights in memory, as f32.
    #[must_use]
    pub fn thawed(mut self) -> Self {
        let Some(frozen) = self.frozen.take() else { return self };
        self.params = vec![0.0; self.layout.len];
        for tensor in &self.layout.tensors {
            let to = tensor.of_mut(&mut self.params);
            if tensor.is_vector() {
                to.copy_from_slice(frozen.vector(tensor.offset, tensor.cols));
            } else {
                to.copy_from_slice(&frozen.blocks(tensor.offset, tensor.rows, tensor.cols).to_vec());
            }
        }
        self
    }

    /// Puts a fresh adapter on the model; its output is zero, so the model's is unchanged.
    #[must_use]
    pub fn with_lora(mut self, lora: LoraConfig, seed: u64) -> Self {
        self.lora = Some(Lora::fresh(&self.config, lora, seed));
        self
    }

    /// What is trained: its layout and values.
    pub fn trainable(&self) -> (&Layout, &[f32]) {
        self.lora.as_ref().map_or((&self.layout, &self.params), |lora| (&lora.layout, &lora.params))
    }

    /// What is trained, to write.
    pub fn trainable_mut(&mut self) -> (&Layout, &mut [f32]) {
        match &mut self.lora {
            Some(lora) => (&lora.layout, &mut lora.params),
            None => (&self.layout, &mut self.params),
        }
    }

    /// The model with its adapter added into the weights: `W + s·B·A`.
    #[must_use]
    pub fn merged(&self) -> Self {
        let mut merged = Self { lora: None, ..self.clone() }.thawed();
        let Some(lora) = &self.lora else { return merged };
        for layer in lora.config.first_layer(self.config.layers)..self.config.layers {
            for &target in &lora.config.targets {
                let name = target.weight_name(layer);
                let weight = self.layout.find(&name).expect("invariant: a full layout has every projection");
                let part = |suffix: &str| {
                    let tensor = lora.layout.find(&format!("{name}.{suffix}"));
                    let tensor = tensor.expect("invariant: the adapter has both sides of its targets");
                    Mat::new(tensor.of(&lora.params), tensor.rows, tensor.cols)
                };
                let to = MatMut::new(weight.of_mut(&mut merged.params), weight.rows, weight.cols);
                let (a, b) = (part("lora_a"), part("lora_b"));
                product_f32(to, Store::Add, lora.config.scale(), (b, Take::AsIs), (a, Take::AsIs));
            }
        }
        merged
    }

    /// Targets of the adapter, in the order of [`Target::ALL`]; empty without one.
    pub fn lora_targets(&self) -> Vec<Target> {
        let wanted = |target: &Target| self.lora.as_ref().is_some_and(|lora| lora.config.targets.contains(target));
        Target::ALL.into_iter().filter(wanted).collect()
    }
}
