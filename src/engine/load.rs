//! Decides how a model is loaded: how much context, how many layers on which device, how many threads.
//!
//! [`plan`] is pure: it sees the model's header and the machine's figures and says what to do or why not.
//!
//! Not for: doing it (`llama.rs`).

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{EngineError, ModelInfo};
use crate::gguf::{Gguf, GgufError};

/// Without a wish, a sequence gets at most this much context: more costs memory that few tasks use.
const CONTEXT_TOKENS_DEFAULT_MAX: u32 = 16_384;
const CONTEXT_TOKENS_MIN: u32 = 128;
/// Candidates share the cache's cells. It is made this many contexts large …
const CONTEXTS_SHARED: u32 = 8;
/// … unless that needs more memory than this.
const SHARED_CACHE_BYTES_MAX: u64 = 512 << 20;
/// llama.cpp rounds the cache up to this.
const CELLS_MULTIPLE: u32 = 256;
/// For compute buffers, the logits and the rest of the process.
const OVERHEAD_BYTES: u64 = 256 << 20;
/// Left free on every GPU: its driver and the desktop need some.
const GPU_MARGIN_BYTES: u64 = 512 << 20;
/// Weights are repacked only where twice their size is free.
const REPACK_MEMORY_FACTOR: u64 = 2;
/// Bytes that the fingerprint looks at: this many blocks, evenly spread, and the header's beginning.
const FINGERPRINT_BLOCKS: u64 = 64;
const FINGERPRINT_BLOCK_BYTES: usize = 4096;

/// Element type of the KV cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KvType {
    /// F16, or Q8_0 where that lets the whole model fit on the GPU.
    #[default]
    Auto,
    F16,
    Q8_0,
}

/// How much of the model goes to the GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offload {
    /// As many layers as the devices' free memory holds.
    #[default]
    Auto,
    /// Exactly so many layers, the output layer included; 0 is CPU only.
    Layers(u32),
}

/// A LoRA adapter laid over the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    pub path: PathBuf,
    pub scale: f32,
}

/// What the caller wants of a load.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    pub path: PathBuf,
    /// Tokens that one sequence may have; without a wish, the model's own limit up to 16 k.
    pub context_tokens_max: Option<u32>,
    /// Without a wish: physical cores that this process may use.
    pub threads: Option<u32>,
    pub offload: Offload,
    pub kv: KvType,
    pub adapter: Option<Adapter>,
    /// Rearrange weights for the CPU while loading; without a wish, where it is known to be faster.
    pub repack: Option<bool>,
    /// Refuse a model that is larger than the free memory.
    pub check_memory: bool,
}

impl LoadOptions {
    /// Everything automatic.
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            context_tokens_max: None,
            threads: None,
            offload: Offload::Auto,
            kv: KvType::Auto,
            adapter: None,
            repack: None,
            check_memory: true,
        }
    }
}

/// A GPU as ggml reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    pub name: String,
    pub free_bytes: u64,
}

/// What the machine has to offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub gpus: Vec<Gpu>,
    pub memory_available_bytes: u64,
    pub threads: u32,
    /// The CPU's own matrix kernels beat repacked weights (AVX-512 VNNI; measured).
    pub prefers_plain_weights: bool,
}

/// What the header says about size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub context_tokens_trained: u32,
    pub layer_bytes: Vec<u64>,
    /// The output matrix and norm; a tied embedding counts here too.
    pub output_bytes: u64,
    pub total_bytes: u64,
    /// Elements of keys and values that one token has in one layer.
    pub kv_elements_per_layer: u64,
}

/// How the model is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub context_tokens_max: u32,
    pub cells: u32,
    pub gpu_layers: u32,
    pub kv_q8: bool,
    pub threads: u32,
    pub batch_tokens: u32,
    pub repack: bool,
    /// Where the layers are, in words.
    pub offload: String,
}

impl Shape {
    /// Reads the sizes from a header.
    ///
    /// # Errors
    /// Where it is no language model that can be run.
    pub fn of(gguf: &Gguf) -> Result<Self, EngineError> {
        let refuse = |reason: String, hint: &str| {
            Err(EngineError::Load { path: gguf.path.clone(), reason, hint: hint.to_owned() })
        };
        match gguf.metadata.string("general.type") {
            Some("adapter") => return refuse("it is a LoRA adapter, not a model".to_owned(), "pass it as --adapter"),
            Some("mmproj" | "imatrix") => {
                return refuse("it belongs to a model but is none".to_owned(), "give the path of the model itself");
            }
            _ => {}
        }
        if matches!(gguf.architecture(), "clip" | "whisper" | "bert" | "nomic-bert" | "jina-bert-v2" | "t5encoder" | "")
        {
            let reason = format!("its architecture `{}` does not write text", gguf.architecture());
            return refuse(reason, "use a language model, for example of the qwen2 architecture");
        }
        if gguf.tensors.is_empty() {
            return refuse("it has a vocabulary but no weights".to_owned(), "give the path of the whole model");
        }
        let number = |key: &str| gguf.architecture_number(key);
        let (Some(layers), Some(heads), Some(width)) =
            (number("block_count"), number("attention.head_count"), number("embedding_length"))
        else {
            let reason = format!("its architecture `{}` has no attention layers that z1 knows", gguf.architecture());
            return refuse(reason, "use a transformer model, for example of the qwen2 architecture");
        };
        let layers = layers.min(1 << 12) as usize;
        let mut layer_bytes = vec![0; layers];
        for tensor in &gguf.tensors {
            let layer = tensor.name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            if let Some(bytes) = layer.and_then(|layer| layer_bytes.get_mut(layer)) {
                *bytes += tensor.bytes;
            }
        }
        let bytes_of = |name: &str| gguf.tensor(name).map(|tensor| tensor.bytes);
        let output = bytes_of("output.weight").or_else(|| bytes_of("token_embd.weight")).unwrap_or(0);
        let head = width / heads.max(1);
        let per_head =
            number("attention.key_length").unwrap_or(head) + number("attention.value_length").unwrap_or(head);
        Ok(Self {
            context_tokens_trained: number("context_length").unwrap_or(4096).min(u64::from(u32::MAX)) as u32,
            layer_bytes,
            output_bytes: output + bytes_of("output_norm.weight").unwrap_or(0),
            total_bytes: gguf.tensors.iter().map(|tensor| tensor.bytes).sum(),
            kv_elements_per_layer: number("attention.head_count_kv").unwrap_or(heads).saturating_mul(per_head),
        })
    }

    /// Bytes of cache that one token has in one layer.
    fn kv_bytes_per_layer(&self, q8: bool) -> u64 {
        // Q8_0 stores 32 elements in 34 bytes.
        if q8 { self.kv_elements_per_layer * 34 / 32 } else { self.kv_elements_per_layer * 2 }
    }

    fn kv_bytes(&self, tokens: u32, q8: bool) -> u64 {
        self.kv_bytes_per_layer(q8) * self.layer_bytes.len() as u64 * u64::from(tokens)
    }
}

/// Decides how to load.
///
/// # Errors
/// [`EngineError::TooLarge`] with the figures, where the memory is too small.
pub fn plan(options: &LoadOptions, shape: &Shape, machine: &Machine) -> Result<Plan, EngineError> {
    let wished = options.context_tokens_max.unwrap_or(shape.context_tokens_trained.min(CONTEXT_TOKENS_DEFAULT_MAX));
    let context_tokens_max = wished.clamp(CONTEXT_TOKENS_MIN, shape.context_tokens_trained.max(CONTEXT_TOKENS_MIN));
    let (kv_q8, gpu_layers) = choose_offload(options, shape, machine, context_tokens_max);
    let cells = cells_for(shape, context_tokens_max, kv_q8);
    let layers = shape.layer_bytes.len() as u32;
    let on_gpu = gpu_bytes(shape, gpu_layers, cells, kv_q8);
    let needed = (shape.total_bytes + shape.kv_bytes(cells, kv_q8) + OVERHEAD_BYTES).saturating_sub(on_gpu);
    if options.check_memory && needed > machine.memory_available_bytes {
        return Err(EngineError::TooLarge {
            path: options.path.clone(),
            needed_mib: needed >> 20,
            available_mib: machine.memory_available_bytes >> 20,
        });
    }
    let ample = shape.total_bytes.saturating_mul(REPACK_MEMORY_FACTOR) < machine.memory_available_bytes;
    let cpu_only = gpu_layers == 0;
    Ok(Plan {
        context_tokens_max,
        cells,
        gpu_layers,
        kv_q8,
        // With everything on the GPU the CPU only feeds it.
        threads: options.threads.unwrap_or(if gpu_layers > layers { 2 } else { machine.threads }).max(1),
        // On a CPU a chunk is also the grain of progress and cancelling.
        batch_tokens: if cpu_only { 128 } else { 512 },
        repack: options.repack.unwrap_or(cpu_only && ample && !machine.prefers_plain_weights),
        offload: match (gpu_layers, machine.gpus.as_slice()) {
            (0, _) | (_, []) => "CPU".to_owned(),
            (some, gpus) => {
                let names: Vec<&str> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
                format!("{} of {} layers on {}", some.min(layers + 1), layers + 1, names.join(", "))
            }
        },
    })
}

fn cells_for(shape: &Shape, context_tokens_max: u32, q8: bool) -> u32 {
    let per_token = shape.kv_bytes(1, q8).max(1);
    let affordable = (SHARED_CACHE_BYTES_MAX / per_token).min(u64::from(u32::MAX)) as u32;
    let shared = context_tokens_max.saturating_mul(CONTEXTS_SHARED).min(affordable);
    shared.max(context_tokens_max).next_multiple_of(CELLS_MULTIPLE)
}

/// Bytes on the GPU with so many layers there. The output layer goes first, then the last layers.
fn gpu_bytes(shape: &Shape, gpu_layers: u32, cells: u32, q8: bool) -> u64 {
    if gpu_layers == 0 {
        return 0;
    }
    let blocks = shape.layer_bytes.iter().rev().take(gpu_layers as usize - 1);
    let count = blocks.len() as u64;
    shape.output_bytes + blocks.sum::<u64>() + shape.kv_bytes_per_layer(q8) * u64::from(cells) * count
}

fn choose_offload(options: &LoadOptions, shape: &Shape, machine: &Machine, context: u32) -> (bool, u32) {
    let all = shape.layer_bytes.len() as u32 + 1;
    let free: u64 = machine.gpus.iter().map(|gpu| gpu.free_bytes.saturating_sub(GPU_MARGIN_BYTES)).sum();
    let fitting = |q8: bool| {
        let cells = cells_for(shape, context, q8);
        let fits = |layers: u32| gpu_bytes(shape, layers, cells, q8) + OVERHEAD_BYTES <= free;
        (1..=all).rev().find(|&layers| fits(layers)).unwrap_or(0)
    };
    match (options.offload, options.kv) {
        (Offload::Layers(layers), kv) => {
            (kv == KvType::Q8_0, if machine.gpus.is_empty() { 0 } else { layers.min(all) })
        }
        (Offload::Auto, KvType::F16) => (false, fitting(false)),
        (Offload::Auto, KvType::Q8_0) => (true, fitting(true)),
        (Offload::Auto, KvType::Auto) => {
            let (plain, small) = (fitting(false), fitting(true));
            if small > plain { (true, small) } else { (false, plain) }
        }
    }
}

/// What can be told of a model from its header.
///
/// # Errors
/// Where the file cannot be read.
pub fn describe(gguf: &Gguf, plan: &Plan) -> Result<ModelInfo, EngineError> {
    let file_name = gguf.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(ModelInfo {
        name: gguf
            .metadata
            .string("general.name")
            .filter(|name| !name.trim().is_empty())
            .map_or(file_name, str::to_owned),
        path: Some(gguf.path.clone()),
        architecture: gguf.architecture().to_owned(),
        context_tokens_max: plan.context_tokens_max,
        chat_template: gguf.metadata.string("tokenizer.chat_template").map(str::to_owned),
        quantisation: gguf.main_type().map(crate::gguf::TensorType::name).unwrap_or_default(),
        offload: plan.offload.clone(),
        fingerprint: fingerprint(&gguf.path).map_err(|error| load_error(&gguf.path, &error.to_string()))?,
        parameters: gguf.parameters(),
        size_bytes: gguf.file_bytes,
    })
}

fn load_error(path: &Path, reason: &str) -> EngineError {
    EngineError::Load {
        path: path.to_owned(),
        reason: reason.to_owned(),
        hint: "check that the file can be read".to_owned(),
    }
}

impl From<GgufError> for EngineError {
    fn from(error: GgufError) -> Self {
        let text = error.to_string();
        let path = error.path().to_owned();
        let prefix = format!("{}: ", path.display());
        let reason = text.strip_prefix(&prefix).unwrap_or(&text).to_owned();
        Self::Load { path, reason, hint: error.hint().to_owned() }
    }
}

/// Tells model files apart without reading gigabytes: SHA-256 over the length and blocks spread evenly
/// over the file.
///
/// # Errors
/// Where the file cannot be read.
pub fn fingerprint(path: &Path) -> std::io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let mut hash = Sha256::new();
    hash.update(length.to_le_bytes());
    let mut block = vec![0; FINGERPRINT_BLOCK_BYTES];
    let last = length.saturating_sub(FINGERPRINT_BLOCK_BYTES as u64);
    for number in 0..FINGERPRINT_BLOCKS {
        file.seek(SeekFrom::Start(last / (FINGERPRINT_BLOCKS - 1) * number))?;
        let mut filled = 0;
        while filled < block.len() {
            let read = file.read(&mut block[filled..])?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        hash.update(&block[..filled]);
    }
    Ok(hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// The published 7B at about Q4_K_M.
    fn seven_b() -> Shape {
        Shape {
            context_tokens_trained: 32_768,
            layer_bytes: vec![140 << 20; 28],
            output_bytes: 426 << 20,
            total_bytes: 4460 << 20,
            kv_elements_per_layer: 4 * 256,
        }
    }

    fn machine(available: u64, gpu: Option<u64>) -> Machine {
        Machine {
            gpus: gpu.into_iter().map(|free_bytes| Gpu { name: "CUDA0".to_owned(), free_bytes }).collect(),
            memory_available_bytes: available,
            threads: 8,
            prefers_plain_weights: true,
        }
    }

    fn options() -> LoadOptions {
        LoadOptions::from_path("model.gguf")
    }

    #[test]
    fn a_laptop_without_a_gpu_uses_its_cpu() {
        let plan = plan(&options(), &seven_b(), &machine(16 * GIB, None)).expect("fits");
        assert_eq!((plan.gpu_layers, plan.context_tokens_max, plan.threads), (0, 16_384, 8));
        assert_eq!(plan.offload, "CPU");
        assert_eq!(plan.cells, 16_384, "a cache of several contexts would be too large");
        assert!(!plan.repack && !plan.kv_q8);
    }

    #[test]
    fn a_model_larger_than_memory_is_refused_with_figures() {
        let Err(EngineError::TooLarge { needed_mib, available_mib, .. }) =
            plan(&options(), &seven_b(), &machine(4 * GIB, None))
        else {
            panic!("4 GiB are not enough")
        };
        assert_eq!(available_mib, 4096);
        assert!((5000..6000).contains(&needed_mib), "{needed_mib}");
        let careless = LoadOptions { check_memory: false, ..options() };
        assert!(plan(&careless, &seven_b(), &machine(4 * GIB, None)).is_ok());
    }

    #[test]
    fn an_eight_gigabyte_gpu_takes_everything() {
        let plan = plan(&options(), &seven_b(), &machine(8 * GIB, Some(15 * GIB / 2))).expect("fits");
        assert_eq!((plan.gpu_layers, plan.kv_q8, plan.threads), (29, false, 2));
        assert_eq!(plan.offload, "29 of 29 layers on CUDA0");
    }

    #[test]
    fn a_smaller_gpu_gets_a_smaller_cache_or_fewer_layers() {
        let tight = plan(&options(), &seven_b(), &machine(8 * GIB, Some(11 * GIB / 2))).expect("fits");
        assert_eq!((tight.gpu_layers, tight.kv_q8), (29, true));
        let small = plan(&options(), &seven_b(), &machine(8 * GIB, Some(4 * GIB))).expect("fits");
        assert!((10..29).contains(&small.gpu_layers), "{}", small.gpu_layers);
        let none = plan(&options(), &seven_b(), &machine(8 * GIB, Some(GIB / 2))).expect("fits");
        assert_eq!(none.gpu_layers, 0);
        let by_hand = LoadOptions { offload: Offload::Layers(5), ..options() };
        assert_eq!(plan(&by_hand, &seven_b(), &machine(8 * GIB, Some(4 * GIB))).expect("fits").gpu_layers, 5);
    }

    #[test]
    fn a_tiny_model_shares_a_roomy_cache() {
        let nano = Shape {
            context_tokens_trained: 2048,
            layer_bytes: vec![1 << 20; 6],
            output_bytes: 1 << 20,
            total_bytes: 8 << 20,
            kv_elements_per_layer: 256,
        };
        let plan = plan(&options(), &nano, &machine(2 * GIB, None)).expect("fits");
        assert_eq!((plan.context_tokens_max, plan.cells), (2048, 8 * 2048));
        let wish = LoadOptions { context_tokens_max: Some(1_000_000), ..options() };
        let plan = super::plan(&wish, &nano, &machine(2 * GIB, None)).expect("fits");
        assert_eq!(plan.context_tokens_max, 2048, "not more than it was trained for");
    }
}
