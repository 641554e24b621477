//! Does a model fit, and how: computed from metadata alone, before anything is loaded.
//!
//! Three things take memory: the weights, the KV cache (per token of context), and the compute buffers (per
//! token of a batch). A plan says what goes where and what was given up for it. Pure: free memory comes in
//! as numbers.

use serde::{Deserialize, Serialize};

/// Kept free on a device for the desktop and the driver.
pub const DEVICE_RESERVE_BYTES: u64 = 512 << 20;
/// Kept free in the host's memory.
pub const HOST_RESERVE_BYTES: u64 = 1 << 30;
/// What a GPU back end takes for itself.
pub const DEVICE_OVERHEAD_BYTES: u64 = 400 << 20;
/// Wanted where nothing else is said.
pub const CONTEXT_TOKENS_WANTED: u32 = 16_384;
/// Below this z1 is of no use with a project.
pub const CONTEXT_TOKENS_MIN: u32 = 4_096;
/// Rows of logits kept per batch; the engine sets the same number.
pub const OUTPUTS_MAX: u64 = 64;

/// What the memory of a model depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    pub layers: u32,
    pub embedding: u64,
    pub feed_forward: u64,
    pub heads: u32,
    pub heads_kv: u32,
    pub vocabulary: u64,
    /// Trained context.
    pub context_tokens_max: u32,
    /// Bytes of the tensors of each layer.
    pub layer_bytes: Vec<u64>,
    /// Token embeddings: they stay in the host's memory.
    pub embedding_bytes: u64,
    /// Output norm and output matrix: they go to the device with the last layer.
    pub output_bytes: u64,
}

/// How keys and values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvType {
    F16,
    Q8_0,
    Q4_0,
}

impl KvType {
    /// Bytes of 32 values: a block of the quantised types carries one half-precision scale.
    const fn bytes_of_32(self) -> u64 {
        match self {
            Self::F16 => 64,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
        }
    }

    /// The name that the command line and llama.cpp use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }
}

/// A GPU and its free memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub name: String,
    pub total_bytes: u64,
    pub free_bytes: u64,
}

/// What the user insists on; `None` leaves the choice to the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub context_tokens: Option<u32>,
    pub gpu_layers: Option<u32>,
    pub kv: Option<KvType>,
    pub batch_tokens: Option<u32>,
}

/// Where everything goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub context_tokens: u32,
    pub kv: KvType,
    pub batch_tokens: u32,
    /// Layers on the device; `layers + 1` includes the output matrix.
    pub gpu_layers: u32,
    pub device_bytes: u64,
    pub host_bytes: u64,
    pub weights_bytes: u64,
    pub kv_bytes: u64,
    pub compute_bytes: u64,
    /// What was given up so that it fits, in the order in which it was.
    pub given_up: Vec<String>,
    pub fits: bool,
}

impl Shape {
    /// Bytes of keys and values for one token in one layer.
    pub fn kv_bytes_of_token_and_layer(&self, kv: KvType) -> u64 {
        let values = 2 * u64::from(self.heads_kv) * (self.embedding / u64::from(self.heads.max(1)));
        values * kv.bytes_of_32() / 32
    }

    /// Bytes of the compute buffer: the larger of the feed-forward's and the logits' peak, and the mask.
    pub fn compute_bytes(&self, batch_tokens: u32, context_tokens: u32) -> u64 {
        let batch = u64::from(batch_tokens);
        let feed_forward = batch * 4 * (4 * self.feed_forward + self.embedding);
        let logits = OUTPUTS_MAX.min(batch) * self.vocabulary * 4 + batch * 4 * (self.feed_forward + self.embedding);
        feed_forward.max(logits) + batch * u64::from(context_tokens) * 2
    }

    /// Bytes of all weights.
    pub fn weights_bytes(&self) -> u64 {
        self.layer_bytes.iter().sum::<u64>() + self.embedding_bytes + self.output_bytes
    }

    fn place(&self, gpu_layers: u32, context_tokens: u32, kv: KvType, batch_tokens: u32) -> Plan {
        let on_device = gpu_layers.min(self.layers) as usize;
        // llama.cpp offloads from the last layer backwards.
        let first = self.layer_bytes.len().saturating_sub(on_device);
        let device_layers: u64 = self.layer_bytes[first..].iter().sum();
        let output = if gpu_layers > self.layers { self.output_bytes } else { 0 };
        let kv_layer = self.kv_bytes_of_token_and_layer(kv) * u64::from(context_tokens);
        let compute = self.compute_bytes(batch_tokens, context_tokens);
        let kv_bytes = kv_layer * u64::from(self.layers);
        let device_kv = kv_layer * on_device as u64;
        let (device, host_compute) = if gpu_layers == 0 {
            (0, compute)
        } else {
            (device_layers + output + device_kv + compute + DEVICE_OVERHEAD_BYTES, compute / 4)
        };
        let host = self.weights_bytes() - device_layers - output + kv_bytes - device_kv + host_compute;
        Plan {
            context_tokens,
            kv,
            batch_tokens,
            gpu_layers,
            device_bytes: device,
            host_bytes: host,
            weights_bytes: self.weights_bytes(),
            kv_bytes,
            compute_bytes: compute,
            given_up: Vec::new(),
            fits: true,
        }
    }
}

/// Finds the best plan: whole model on the device with the wanted context, else smaller keys and values, else a
/// shorter context, else fewer layers on the device, else the CPU alone.
pub fn plan(shape: &Shape, devices: &[Device], host_free_bytes: u64, wish: Wish) -> Plan {
    let context = wish.context_tokens.unwrap_or(CONTEXT_TOKENS_WANTED).min(shape.context_tokens_max).max(1);
    let device_room =
        devices.iter().map(|device| device.free_bytes.saturating_sub(DEVICE_RESERVE_BYTES)).max().unwrap_or(0);
    let host_room = host_free_bytes.saturating_sub(HOST_RESERVE_BYTES);
    let batch = wish.batch_tokens.unwrap_or(if devices.is_empty() { 128 } else { 512 });
    let kvs: Vec<KvType> = wish.kv.map_or_else(|| vec![KvType::F16, KvType::Q8_0], |kv| vec![kv]);
    let contexts: Vec<u32> = match wish.context_tokens {
        Some(_) => vec![context],
        None => halvings(context),
    };
    let all = shape.layers + 1;
    let layer_counts: Vec<u32> = match wish.gpu_layers {
        Some(layers) => vec![layers.min(all)],
        None if devices.is_empty() => vec![0],
        None => (0..=all).rev().collect(),
    };
    // Full offload is worth a smaller context; anything less than full is not worth more than q8_0 keys.
    for &layers in &layer_counts {
        for &tokens in &contexts {
            for &kv in &kvs {
                let mut found = shape.place(layers, tokens, kv, batch);
                if (layers == 0 || found.device_bytes <= device_room) && found.host_bytes <= host_room {
                    found.given_up = given_up(&found, context, wish, all, devices.is_empty());
                    return found;
                }
            }
        }
    }
    let smallest = *contexts.last().expect("invariant: there is at least one context length");
    let kv = *kvs.last().expect("invariant: there is at least one type");
    Plan { fits: false, ..shape.place(wish.gpu_layers.unwrap_or(0).min(all), smallest, kv, batch) }
}

fn halvings(context: u32) -> Vec<u32> {
    let mut lengths = vec![context];
    let mut shorter = context / 2;
    while shorter >= CONTEXT_TOKENS_MIN {
        lengths.push(shorter);
        shorter /= 2;
    }
    lengths
}

fn given_up(plan: &Plan, context: u32, wish: Wish, all_layers: u32, no_device: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if wish.kv.is_none() && plan.kv != KvType::F16 {
        notes.push(format!("keys and values kept as {} instead of f16", plan.kv.name()));
    }
    if plan.context_tokens < context {
        notes.push(format!("a context of {} tokens instead of {context}", plan.context_tokens));
    }
    if wish.gpu_layers.is_none() && !no_device && plan.gpu_layers < all_layers {
        notes.push(format!("{} of {all_layers} layers on the device", plan.gpu_layers));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Qwen2.5-7B as Q4_K_M.
    fn seven_b() -> Shape {
        Shape {
            layers: 28,
            embedding: 3584,
            feed_forward: 18944,
            heads: 28,
            heads_kv: 4,
            vocabulary: 152_064,
            context_tokens_max: 32_768,
            layer_bytes: vec![133 * MIB + 600 * 1024; 28],
            embedding_bytes: 292 * MIB,
            output_bytes: 426 * MIB,
        }
    }

    fn gpu(free_mib: u64) -> Vec<Device> {
        vec![Device { name: "gpu".into(), total_bytes: 8 << 30, free_bytes: free_mib * MIB }]
    }

    #[test]
    fn keys_and_values_are_as_measured() {
        let shape = seven_b();
        assert_eq!(shape.kv_bytes_of_token_and_layer(KvType::F16) * 28, 56 * 1024);
        assert_eq!(shape.kv_bytes_of_token_and_layer(KvType::Q8_0) * 28, 30_464);
        assert_eq!(shape.kv_bytes_of_token_and_layer(KvType::Q4_0) * 28, 16_128);
    }

    #[test]
    fn the_compute_buffer_is_near_what_was_measured() {
        // llama.cpp took 154 MiB for this shape at 8k, a micro-batch of 512 and 64 outputs.
        let mib = seven_b().compute_bytes(512, 8192) / MIB;
        assert!((146..=170).contains(&mib), "{mib}");
    }

    #[test]
    fn eight_gigabytes_hold_all_layers() {
        let plan = plan(&seven_b(), &gpu(7600), 16 << 30, Wish::default());
        assert!(plan.fits);
        assert_eq!((plan.gpu_layers, plan.context_tokens, plan.kv), (29, 16_384, KvType::F16));
        assert!(plan.given_up.is_empty());
    }

    #[test]
    fn six_gigabytes_give_up_precision_before_context_and_context_before_layers() {
        let plan = plan(&seven_b(), &gpu(5800), 16 << 30, Wish::default());
        assert_eq!(plan.gpu_layers, 29);
        assert_eq!(plan.kv, KvType::Q8_0);
        assert!(!plan.given_up.is_empty());
    }

    #[test]
    fn four_gigabytes_hold_some_layers() {
        let plan = plan(&seven_b(), &gpu(4000), 16 << 30, Wish::default());
        assert!(plan.fits && plan.gpu_layers > 0 && plan.gpu_layers < 28, "{plan:?}");
        assert!(plan.device_bytes + DEVICE_RESERVE_BYTES <= 4000 * MIB);
    }

    #[test]
    fn without_a_device_everything_is_on_the_host() {
        let plan = plan(&seven_b(), &[], 16 << 30, Wish::default());
        assert_eq!((plan.gpu_layers, plan.device_bytes), (0, 0));
        assert!(plan.fits && plan.host_bytes > seven_b().weights_bytes());
    }

    #[test]
    fn what_cannot_fit_is_said() {
        assert!(!plan(&seven_b(), &[], 3 << 30, Wish::default()).fits);
    }

    #[test]
    fn a_wish_is_obeyed() {
        let wish =
            Wish { context_tokens: Some(8192), gpu_layers: Some(10), kv: Some(KvType::Q4_0), batch_tokens: Some(64) };
        let plan = plan(&seven_b(), &gpu(7600), 16 << 30, wish);
        assert_eq!((plan.context_tokens, plan.gpu_layers, plan.kv, plan.batch_tokens), (8192, 10, KvType::Q4_0, 64));
    }
}
