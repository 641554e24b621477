//! A model's parameters, with or without an adapter.
//!
//! Not for: files (`export`) and optimiser state (`train`).

use super::config::ModelConfig;
use super::gemm::{Mat, MatMut, Store, Take, product_f32};
use super::params::{Layout, LoraConfig, Target};

/// A low-rank adapter.
#[derive(Clone, Debug)]
pub struct Lora {
    pub config: LoraConfig,
    pub layout: Layout,
    pub params: Vec<f32>,
}

/// A model. With an adapter the adapter is trained and the base is frozen; without one everything is trained.
#[derive(Clone, Debug)]
pub struct Model {
    pub config: ModelConfig,
    pub layout: Layout,
    pub params: Vec<f32>,
    pub lora: Option<Lora>,
}

impl Model {
    /// A fresh model; the same seed gives the same bits.
    pub fn init(config: ModelConfig, seed: u64) -> Self {
        let layout = Layout::full(&config);
        let params = layout.init(config.layers, seed);
        Self { config, layout, params, lora: None }
    }

    /// A model of given parameters, in the order of [`Layout::full`].
    pub fn from_params(config: ModelConfig, params: Vec<f32>) -> Self {
        let layout = Layout::full(&config);
        assert_eq!(params.len(), layout.len, "invariant: parameters fill the layout");
        Self { config, layout, params, lora: None }
    }

    /// Puts a fresh adapter on the model; its output is zero, so the model's is unchanged.
    #[must_use]
    pub fn with_lora(mut self, lora: LoraConfig, seed: u64) -> Self {
        let layout = Layout::lora(&self.config, &lora);
        let params = layout.init(self.config.layers, seed ^ 0x4c6f_5241);
        self.lora = Some(Lora { config: lora, layout, params });
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
        let mut merged = Self { lora: None, ..self.clone() };
        let Some(lora) = &self.lora else { return merged };
        for layer in 0..self.config.layers {
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
