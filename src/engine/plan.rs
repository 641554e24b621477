//! What a model takes of which memory, and where its parts go: computed from the header alone.
//!
//! Three things take memory: the weights, the KV cache (per token of context), and the compute buffers (per
//! token of a batch). [`plan`] goes through the possible loads, best first, and takes the first that fits;
//! [`smaller`] is the next one where an allocation failed nevertheless. Pure: the machine comes in as numbers.
//!
//! Not for: loading (`llama.rs`), or showing the figures to a person (`model_store::fit`).

use serde::Serialize;

use super::load::{LoadOptions, Offload};
use super::{EngineError, SEQUENCES_MAX, SLOTS_MAX, inspect};
use crate::gguf::Gguf;

/// Without a wish, a sequence gets at most this much context: more costs memory that few tasks use.
pub const CONTEXT_TOKENS_WANTED: u32 = 16_384;
/// Without a wish, no plan goes below this: with less, z1 is of no use in a project.
const CONTEXT_TOKENS_ENOUGH: u32 = 4_096;
/// A model that is only partly on the GPU is slow anyway: it does not give up layers for more context than this.
const CONTEXT_TOKENS_PARTIAL: u32 = 8_192;
const CONTEXT_TOKENS_MIN: u32 = 128;
/// Candidates share the cache's cells. It is made this many contexts large …
const CONTEXTS_SHARED: u32 = 8;
/// … unless that needs more memory than this.
const SHARED_CACHE_BYTES_MAX: u64 = 512 << 20;
/// llama.cpp rounds the cache up to this.
const CELLS_MULTIPLE: u32 = 256;
/// Left free in the host's memory.
pub const HOST_MARGIN_BYTES: u64 = 256 << 20;
/// Left free on every GPU: its driver and the desktop need some.
pub const GPU_MARGIN_BYTES: u64 = 512 << 20;
/// What a GPU back end takes for itself on each device: context, kernels, staging. An H100 with CUDA 13 takes 200 MiB more
/// (`docs/bench/gpu.md`), which the margin covers; the cards that are short of memory have fewer kernels to hold.
const GPU_OVERHEAD_BYTES: u64 = 400 << 20;
/// Weights are repacked only where twice their size is free.
const REPACK_MEMORY_FACTOR: u64 = 2;
/// Most tokens of a batch; how many of a prompt's go into one follows from how fast they are read (`decode.rs`).
const BATCH_TOKENS_CPU: u32 = 512;
const BATCH_TOKENS_CPU_SMALL: u32 = 128;
const BATCH_TOKENS_GPU: u32 = 512;
const BATCH_TOKENS_GPU_SMALL: u32 = 256;

/// Element type of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KvType {
    F16,
    #[serde(rename = "q8_0")]
    Q8_0,
    #[serde(rename = "q4_0")]
    Q4_0,
}

impl KvType {
    /// The type of this name, as the setting `kv` and llama.cpp spell it.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::F16, Self::Q8_0, Self::Q4_0].into_iter().find(|kv| kv.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        }
    }

    /// Bytes of 32 elements: a block of the quantised types carries one half-precision scale.
    const fn bytes_of_32(self) -> u64 {
        match self {
            Self::F16 => 64,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
        }
    }
}

/// llama.cpp's quantised caches hold each head's keys and values in blocks of so many elements.
const KV_BLOCK_ELEMENTS: u64 = 32;

/// A GPU as ggml reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    pub name: String,
    /// What the driver calls it.
    pub description: String,
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// What the machine has to offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    pub gpus: Vec<Gpu>,
    pub memory_available_bytes: u64,
    pub threads: u32,
    /// The CPU's own matrix kernels beat repacked weights (AVX-512 VNNI; measured).
    pub prefers_plain_weights: bool,
}

impl Machine {
    /// Bytes that a plan may use of all GPUs together.
    fn gpu_room(&self) -> u64 {
        self.gpus.iter().map(|gpu| gpu.free_bytes.saturating_sub(GPU_MARGIN_BYTES)).sum()
    }
}

/// What the header says about size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    pub context_tokens_trained: u32,
    pub layer_bytes: Vec<u64>,
    /// The output matrix and norm. Where the matrix is the embedding, a GPU needs a copy of it.
    pub output_bytes: u64,
    pub output_is_embedding: bool,
    pub total_bytes: u64,
    /// Elements of keys and values that one token has in one layer.
    pub kv_elements_per_layer: u64,
    /// A head's keys and values fill the blocks of the quantised caches.
    pub kv_in_blocks: bool,
    pub embedding: u64,
    pub feed_forward: u64,
    pub heads: u64,
    pub vocabulary: u64,
}

/// Bytes of one memory, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    pub weights_bytes: u64,
    pub kv_bytes: u64,
    /// Intermediate results, logits, and what the back end needs for itself.
    pub compute_bytes: u64,
}

impl Memory {
    pub const fn total(&self) -> u64 {
        self.weights_bytes.saturating_add(self.kv_bytes).saturating_add(self.compute_bytes)
    }
}

/// How the model is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub context_tokens_max: u32,
    /// Tokens that all sequences together may keep; at least one context.
    pub cells: u32,
    /// Requests that are decoded beside one another; each has an equal part of the cells.
    pub slots: u32,
    /// Whether each slot's part is its own, with one sequence in it.
    pub apart: bool,
    /// Layers on the GPU; one more than the model's layers includes the output matrix.
    pub gpu_layers: u32,
    pub kv: KvType,
    pub threads: u32,
    pub batch_tokens: u32,
    pub repack: bool,
    /// Where the layers are, in words.
    pub offload: String,
    pub host: Memory,
    /// Of all GPUs together.
    pub gpu: Memory,
    /// What was given up so that it fits, in words; empty for the best plan.
    pub given_up: Vec<String>,
}

impl Plan {
    /// Sequences that may exist at a time.
    pub const fn sequences_max(&self) -> u32 {
        if self.apart { self.slots } else { SEQUENCES_MAX }
    }
}

/// One way to load, before it is known whether it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice {
    gpu_layers: u32,
    context: u32,
    kv: KvType,
    batch: u32,
    pool: Pool,
}

/// How large the cache is, in contexts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pool {
    /// One context.
    One,
    /// Some more, as far as that costs little: for candidates beside one another.
    Candidates,
    /// So many whole contexts: requests beside one another.
    Slots(u32),
}

impl Pool {
    /// What is tried for so many slots, best first.
    fn choices(slots: u32) -> Vec<Self> {
        if slots <= 1 {
            return vec![Self::Candidates, Self::One];
        }
        let fewer = std::iter::successors(Some(slots), |slots| Some(slots / 2)).take_while(|&slots| slots > 1);
        fewer.map(Self::Slots).chain([Self::One]).collect()
    }

    const fn slots(self) -> u32 {
        match self {
            Self::One | Self::Candidates => 1,
            Self::Slots(slots) => slots,
        }
    }
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
            Some("adapter") => return refuse("it is a LoRA adapter, not a model".to_owned(), "pass it as --lora"),
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
        inspect::check(gguf)?;
        let number = |key: &str| gguf.architecture_number(key).map(|number| number.min(u64::from(u32::MAX)));
        let (Some(layers), Some(heads), Some(width)) =
            (number("block_count"), number("attention.head_count"), number("embedding_length"))
        else {
            let reason = format!("its architecture `{}` has no attention layers that z1 knows", gguf.architecture());
            return refuse(reason, "use a transformer model, for example of the qwen2 architecture");
        };
        let layers = layers.min(1 << 12) as usize;
        let mut layer_bytes = vec![0_u64; layers];
        for tensor in &gguf.tensors {
            let layer = tensor.name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            if let Some(bytes) = layer.and_then(|layer| layer_bytes.get_mut(layer)) {
                *bytes = bytes.saturating_add(tensor.bytes);
            }
        }
        let bytes_of = |name: &str| gguf.tensor(name).map(|tensor| tensor.bytes);
        let own_output = bytes_of("output.weight");
        let output = own_output.or_else(|| bytes_of("token_embd.weight")).unwrap_or(0);
        let head = width / heads.max(1);
        let (key, value) =
            (number("attention.key_length").unwrap_or(head), number("attention.value_length").unwrap_or(head));
        let per_head = key.saturating_add(value);
        let rows = gguf.tensor("token_embd.weight").and_then(|tensor| tensor.dimensions.get(1).copied());
        Ok(Self {
            context_tokens_trained: number("context_length").unwrap_or(4096) as u32,
            layer_bytes,
            output_bytes: output.saturating_add(bytes_of("output_norm.weight").unwrap_or(0)),
            output_is_embedding: own_output.is_none(),
            total_bytes: gguf.tensors.iter().fold(0, |total, tensor| total.saturating_add(tensor.bytes)),
            kv_elements_per_layer: number("attention.head_count_kv").unwrap_or(heads).saturating_mul(per_head),
            kv_in_blocks: key.is_multiple_of(KV_BLOCK_ELEMENTS) && value.is_multiple_of(KV_BLOCK_ELEMENTS),
            embedding: width,
            feed_forward: number("feed_forward_length").unwrap_or(4 * width),
            heads,
            vocabulary: rows.unwrap_or(0).min(u64::from(u32::MAX)),
        })
    }

    pub const fn layers(&self) -> u32 {
        self.layer_bytes.len() as u32
    }

    /// Bytes of cache that one token has in all layers.
    pub const fn kv_bytes_per_token(&self, kv: KvType) -> u64 {
        self.kv_bytes_per_layer(kv).saturating_mul(self.layer_bytes.len() as u64)
    }

    const fn kv_bytes_per_layer(&self, kv: KvType) -> u64 {
        self.kv_elements_per_layer.saturating_mul(kv.bytes_of_32()) / 32
    }

    /// llama.cpp's compute buffer for batches of this size: the largest set of intermediate results that live at
    /// the same time is the feed-forward's, or the logits' beside it.
    fn graph_bytes(&self, batch: u32, mask_tokens: u32) -> u64 {
        let batch = u64::from(batch);
        let row = |floats: u64| floats.saturating_mul(4).saturating_mul(batch);
        let feed_forward = row(self.feed_forward.saturating_mul(4).saturating_add(self.embedding));
        let logits = OUTPUTS.min(batch).saturating_mul(self.vocabulary).saturating_mul(4);
        let mask = batch.saturating_mul(u64::from(mask_tokens)).saturating_mul(MASK_BYTES_OF_2) / 2;
        feed_forward.max(logits.saturating_add(row(self.embedding))).saturating_add(mask)
    }

    /// What the process needs beside weights, cache and compute buffer: logits that are handed out, the vocabulary's
    /// tables, the kernels' scratch memory, the graph itself.
    fn process_bytes(&self, batch: u32) -> u64 {
        let logits = OUTPUTS.saturating_mul(self.vocabulary).saturating_mul(4);
        let vocabulary = self.vocabulary.saturating_mul(VOCABULARY_BYTES_PER_TOKEN);
        let scratch = self.feed_forward.saturating_mul(u64::from(batch)).saturating_mul(5) / 4;
        let graph = GRAPH_BYTES_PER_LAYER.saturating_mul(self.layer_bytes.len() as u64);
        PROCESS_BYTES.saturating_add(logits).saturating_add(vocabulary).saturating_add(scratch).saturating_add(graph)
    }

    fn cells(&self, choice: Choice) -> u32 {
        let per_token = self.kv_bytes_per_token(choice.kv).max(1);
        let affordable = (SHARED_CACHE_BYTES_MAX / per_token).min(u64::from(u32::MAX / 2)) as u32;
        let wanted = match choice.pool {
            Pool::One => choice.context,
            Pool::Candidates => choice.context.saturating_mul(CONTEXTS_SHARED).min(affordable).max(choice.context),
            // Each slot's part is a multiple by itself, so that none is cut short by another's rounding.
            Pool::Slots(slots) => {
                choice.context.min(u32::MAX / 2).next_multiple_of(CELLS_MULTIPLE).saturating_mul(slots)
            }
        };
        wanted.min(u32::MAX - CELLS_MULTIPLE).next_multiple_of(CELLS_MULTIPLE)
    }

    /// Host's and GPU's share.
    fn memory(&self, choice: Choice, cells: u32, gpus: usize) -> (Memory, Memory) {
        let layers = self.layer_bytes.len();
        let kv_layer = self.kv_bytes_per_layer(choice.kv).saturating_mul(u64::from(cells));
        let kv = kv_layer.saturating_mul(layers as u64);
        // Of the host's buffers only what is used takes memory; a GPU's are taken whole.
        let graph = self.graph_bytes(choice.batch, choice.context);
        let process = self.process_bytes(choice.batch);
        if choice.gpu_layers == 0 {
            let host =
                Memory { weights_bytes: self.total_bytes, kv_bytes: kv, compute_bytes: graph.saturating_add(process) };
            return (host, Memory::default());
        }
        // The output layer goes first, then the last layers.
        let blocks = layers.min(choice.gpu_layers as usize - 1);
        let block_bytes = self.layer_bytes.iter().rev().take(blocks).fold(0_u64, |sum, &b| sum.saturating_add(b));
        let kept = if self.output_is_embedding { 0 } else { self.output_bytes };
        let gpu_kv = kv_layer.saturating_mul(blocks as u64);
        let gpu = Memory {
            weights_bytes: block_bytes.saturating_add(self.output_bytes),
            kv_bytes: gpu_kv,
            compute_bytes: self
                .graph_bytes(choice.batch, cells)
                .saturating_add(GPU_OVERHEAD_BYTES)
                .saturating_mul(gpus.max(1) as u64),
        };
        // The host computes the layers that stay with it; without any it only looks embeddings up.
        let host_graph = if blocks == layers { graph / 4 } else { graph };
        let host = Memory {
            weights_bytes: self.total_bytes.saturating_sub(block_bytes.saturating_add(kept)),
            kv_bytes: kv - gpu_kv,
            compute_bytes: host_graph.saturating_add(process),
        };
        (host, gpu)
    }
}

/// Rows of logits that the engine reserves.
const OUTPUTS: u64 = super::OUTPUTS_MAX as u64;
/// Bytes of the attention mask for one token of a batch and two tokens that it may look at.
const MASK_BYTES_OF_2: u64 = 5;
/// llama.cpp's and our tables for one token, its merge included.
const VOCABULARY_BYTES_PER_TOKEN: u64 = 400;
/// The graph's nodes and the reserved allocations.
const GRAPH_BYTES_PER_LAYER: u64 = 64 << 10;
/// Threads, buffers, and what the allocator keeps.
const PROCESS_BYTES: u64 = 8 << 20;

/// Decides how to load.
///
/// # Errors
/// [`EngineError::TooLarge`] with the figures, where the memory is too small for every way to load.
pub fn plan(options: &LoadOptions, shape: &Shape, machine: &Machine) -> Result<Plan, EngineError> {
    if let Some(kv) = options.kv.filter(|kv| *kv != KvType::F16 && !shape.kv_in_blocks) {
        return Err(EngineError::Load {
            path: options.path.clone(),
            reason: format!(
                "its attention heads are no multiple of {KV_BLOCK_ELEMENTS} wide, as a {} cache needs",
                kv.name()
            ),
            hint: "leave the setting `kv` out, or use `f16`".to_owned(),
        });
    }
    let all = choices(options, shape, machine);
    let best = *all.first().expect("invariant: there is at least one way to load");
    let plans = all.iter().map(|&choice| realise(options, shape, machine, (choice, best)));
    let mut smallest: Option<Plan> = None;
    for plan in plans {
        if fits(options, &plan, machine) {
            return Ok(plan);
        }
        if smallest.as_ref().is_none_or(|known| plan.host.total() <= known.host.total()) {
            smallest = Some(plan);
        }
    }
    let smallest = smallest.expect("invariant: there is at least one way to load");
    if options.check_memory {
        return Err(EngineError::TooLarge {
            path: options.path.clone(),
            needed_mib: smallest.host.total() >> 20,
            available_mib: machine.memory_available_bytes >> 20,
        });
    }
    Ok(smallest)
}

/// The next plan after one whose allocation failed; `None` where nothing is left to give up.
pub fn smaller(options: &LoadOptions, shape: &Shape, machine: &Machine, failed: &Plan) -> Option<Plan> {
    let all = choices(options, shape, machine);
    let best = *all.first()?;
    let plans = all.iter().map(|&choice| realise(options, shape, machine, (choice, best)));
    let mut plans = plans.skip_while(|plan| !same_way(plan, failed)).skip(1);
    // A little less would most likely fail again.
    let eases = |plan: &Plan| {
        if failed.gpu_layers > 0 {
            plan.gpu.total() <= failed.gpu.total() / 10 * 9
        } else {
            plan.host.kv_bytes + plan.host.compute_bytes <= (failed.host.kv_bytes + failed.host.compute_bytes) / 10 * 9
        }
    };
    plans.find(|plan| eases(plan) && (plan.gpu_layers > 0 || fits(options, plan, machine)))
}

fn same_way(a: &Plan, b: &Plan) -> bool {
    let way = |p: &Plan| (p.gpu_layers, p.context_tokens_max, p.cells, p.slots, p.kv, p.batch_tokens);
    way(a) == way(b)
}

fn fits(options: &LoadOptions, plan: &Plan, machine: &Machine) -> bool {
    // Layers that were asked for by number are taken at their word.
    let on_gpu = matches!(options.offload, Offload::Layers(_)) || plan.gpu.total() <= machine.gpu_room();
    let on_host = plan.host.total().saturating_add(HOST_MARGIN_BYTES) <= machine.memory_available_bytes;
    (plan.gpu_layers == 0 || on_gpu) && (on_host || !options.check_memory)
}

/// Every way to load, best first.
fn choices(options: &LoadOptions, shape: &Shape, machine: &Machine) -> Vec<Choice> {
    let trained = shape.context_tokens_trained.max(CONTEXT_TOKENS_MIN);
    let wished = options.context_tokens_max.unwrap_or(trained.min(CONTEXT_TOKENS_WANTED));
    let wished = wished.clamp(CONTEXT_TOKENS_MIN, trained);
    let contexts = if options.context_tokens_max.is_some() { vec![wished] } else { halvings(wished) };
    let kvs = match options.kv {
        Some(kv) => vec![kv],
        None if shape.kv_in_blocks => vec![KvType::F16, KvType::Q8_0],
        None => vec![KvType::F16],
    };
    let (first, last) = (kvs[0], kvs[kvs.len() - 1]);
    let all = shape.layers() + 1;
    let pools = Pool::choices(options.slots.unwrap_or(1).min(SLOTS_MAX));
    let mut found = Vec::new();
    let mut add = |gpu_layers: u32, context: u32, kv: KvType, batch: u32| {
        for &pool in &pools {
            found.push(Choice { gpu_layers, context, kv, batch, pool });
        }
    };
    let mut with_all_contexts = |layers: u32, batch: u32, least: u32, small_batch: Option<u32>| {
        for &context in contexts.iter().filter(|&&context| context >= least.min(wished)) {
            for &kv in &kvs {
                add(layers, context, kv, batch);
            }
            if let Some(small) = small_batch {
                add(layers, context, last, small);
            }
        }
    };
    match options.offload {
        _ if machine.gpus.is_empty() => with_all_contexts(0, BATCH_TOKENS_CPU, 0, Some(BATCH_TOKENS_CPU_SMALL)),
        Offload::Layers(0) => with_all_contexts(0, BATCH_TOKENS_CPU, 0, Some(BATCH_TOKENS_CPU_SMALL)),
        Offload::Layers(layers) => {
            with_all_contexts(layers.min(all), BATCH_TOKENS_GPU, 0, Some(BATCH_TOKENS_GPU_SMALL));
        }
        Offload::Auto => {
            with_all_contexts(all, BATCH_TOKENS_GPU, CONTEXT_TOKENS_PARTIAL, Some(BATCH_TOKENS_GPU_SMALL));
            let partial =
                if options.context_tokens_max.is_some() { wished } else { wished.min(CONTEXT_TOKENS_PARTIAL) };
            let kv = if options.kv.is_some() { first } else { last };
            for layers in (1..all).rev() {
                add(layers, partial, kv, BATCH_TOKENS_GPU);
            }
            for &context in &contexts {
                for &kv in &kvs {
                    add(0, context, kv, BATCH_TOKENS_CPU);
                }
                add(0, context, last, BATCH_TOKENS_CPU_SMALL);
            }
        }
    }
    found
}

fn halvings(context: u32) -> Vec<u32> {
    let shorter = std::iter::successors(Some(context / 2), |tokens| Some(tokens / 2));
    std::iter::once(context).chain(shorter.take_while(|&tokens| tokens >= CONTEXT_TOKENS_ENOUGH)).collect()
}

fn realise(options: &LoadOptions, shape: &Shape, machine: &Machine, (choice, best): (Choice, Choice)) -> Plan {
    let cells = shape.cells(choice);
    let (host, gpu) = shape.memory(choice, cells, machine.gpus.len());
    let layers = shape.layers();
    let ample = shape.total_bytes.saturating_mul(REPACK_MEMORY_FACTOR) < machine.memory_available_bytes;
    let cpu_only = choice.gpu_layers == 0;
    let all_on_gpu = choice.gpu_layers > layers;
    Plan {
        context_tokens_max: choice.context,
        cells,
        slots: choice.pool.slots(),
        apart: options.apart && choice.pool.slots() > 1,
        gpu_layers: choice.gpu_layers,
        kv: choice.kv,
        // With everything on the GPU the CPU only feeds it.
        threads: options.threads.unwrap_or(if all_on_gpu { 2 } else { machine.threads }).max(1),
        batch_tokens: choice.batch,
        repack: options.repack.unwrap_or(cpu_only && ample && !machine.prefers_plain_weights),
        offload: place(choice.gpu_layers, layers, &machine.gpus),
        host,
        gpu,
        given_up: given_up(choice, best, layers),
    }
}

fn place(gpu_layers: u32, layers: u32, gpus: &[Gpu]) -> String {
    if gpu_layers == 0 || gpus.is_empty() {
        return "CPU".to_owned();
    }
    let names: Vec<&str> = gpus.iter().map(|gpu| gpu.name.as_str()).collect();
    format!("{} of {} layers on {}", gpu_layers.min(layers + 1), layers + 1, names.join(", "))
}

fn given_up(choice: Choice, best: Choice, layers: u32) -> Vec<String> {
    let mut notes = Vec::new();
    if choice.gpu_layers < best.gpu_layers {
        notes.push(match choice.gpu_layers {
            0 => "the GPU is not used".to_owned(),
            some => format!("{some} of {} layers on the GPU", layers + 1),
        });
    }
    if choice.context < best.context {
        notes.push(format!("a context of {} tokens instead of {}", choice.context, best.context));
    }
    if choice.kv != best.kv {
        notes.push(format!("a KV cache of {} instead of {}", choice.kv.name(), best.kv.name()));
    }
    if choice.pool.slots() < best.pool.slots() {
        notes.push(format!("{} requests beside one another instead of {}", choice.pool.slots(), best.pool.slots()));
    } else if choice.pool == Pool::One {
        notes.push("no room in the cache for many candidates beside one another".to_owned());
    }
    if choice.batch < best.batch && choice.gpu_layers > 0 {
        notes.push(format!("batches of {} tokens instead of {}", choice.batch, best.batch));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    /// The published 7B at about Q4_K_M.
    fn seven_b() -> Shape {
        Shape {
            context_tokens_trained: 32_768,
            layer_bytes: vec![133 * MIB + 600 * 1024; 28],
            output_bytes: 426 * MIB,
            output_is_embedding: false,
            total_bytes: 4460 * MIB,
            kv_elements_per_layer: 4 * 256,
            kv_in_blocks: true,
            embedding: 3584,
            feed_forward: 18_944,
            heads: 28,
            vocabulary: 152_064,
        }
    }

    fn nano() -> Shape {
        Shape {
            context_tokens_trained: 2048,
            layer_bytes: vec![MIB; 6],
            output_bytes: MIB,
            output_is_embedding: true,
            total_bytes: 8 * MIB,
            kv_elements_per_layer: 256,
            kv_in_blocks: true,
            embedding: 256,
            feed_forward: 768,
            heads: 4,
            vocabulary: 4096,
        }
    }

    fn machine(available: u64, gpu: Option<u64>) -> Machine {
        let gpu_of =
            |free_bytes| Gpu { name: "CUDA0".into(), description: "a GPU".into(), free_bytes, total_bytes: 8 * GIB };
        Machine {
            gpus: gpu.into_iter().map(gpu_of).collect(),
            memory_available_bytes: available,
            threads: 8,
            prefers_plain_weights: true,
        }
    }

    fn options() -> LoadOptions {
        LoadOptions::from_path("model.gguf")
    }

    #[test]
    fn keys_and_values_are_as_measured() {
        let shape = seven_b();
        assert_eq!(shape.kv_bytes_per_token(KvType::F16), 56 * 1024);
        assert_eq!(shape.kv_bytes_per_token(KvType::Q8_0), 30_464);
        assert_eq!(shape.kv_bytes_per_token(KvType::Q4_0), 16_128);
    }

    #[test]
    fn a_laptop_without_a_gpu_uses_its_cpu() {
        let plan = plan(&options(), &seven_b(), &machine(16 * GIB, None)).expect("fits");
        assert_eq!((plan.gpu_layers, plan.context_tokens_max, plan.threads), (0, 16_384, 8));
        assert_eq!(plan.offload, "CPU");
        assert_eq!(plan.cells, 16_384, "a cache of several contexts would be too large");
        assert!(!plan.repack && plan.kv == KvType::F16 && plan.given_up.is_empty());
        assert_eq!(plan.gpu.total(), 0);
    }

    #[test]
    fn a_model_larger_than_memory_is_refused_with_figures() {
        let Err(EngineError::TooLarge { needed_mib, available_mib, .. }) =
            plan(&options(), &seven_b(), &machine(4 * GIB, None))
        else {
            panic!("4 GiB are not enough")
        };
        assert_eq!(available_mib, 4096);
        assert!((4500..5500).contains(&needed_mib), "{needed_mib}");
        let careless = LoadOptions { check_memory: false, ..options() };
        assert!(plan(&careless, &seven_b(), &machine(4 * GIB, None)).is_ok());
    }

    #[test]
    fn heads_that_do_not_fill_blocks_keep_a_plain_cache() {
        let narrow = Shape { kv_in_blocks: false, ..seven_b() };
        let ways = choices(&options(), &narrow, &machine(6 * GIB, Some(4 * GIB)));
        assert!(ways.iter().all(|choice| choice.kv == KvType::F16));
        let wished = LoadOptions { kv: Some(KvType::Q8_0), ..options() };
        let refusal = plan(&wished, &narrow, &machine(16 * GIB, None)).unwrap_err().to_string();
        assert!(refusal.contains("multiple of 32"), "{refusal}");
    }

    #[test]
    fn a_small_memory_gets_a_smaller_cache_and_says_so() {
        let plan = plan(&options(), &seven_b(), &machine(5500 * MIB, None)).expect("fits");
        assert!(plan.kv == KvType::Q8_0 || plan.context_tokens_max < 16_384, "{plan:?}");
        assert!(!plan.given_up.is_empty());
        assert!(plan.host.total() + HOST_MARGIN_BYTES <= 5500 * MIB);
    }

    #[test]
    fn an_eight_gigabyte_gpu_takes_everything() {
        let plan = plan(&options(), &seven_b(), &machine(8 * GIB, Some(15 * GIB / 2))).expect("fits");
        assert_eq!((plan.gpu_layers, plan.kv, plan.threads), (29, KvType::F16, 2));
        assert_eq!(plan.offload, "29 of 29 layers on CUDA0");
        assert!(plan.given_up.is_empty());
    }

    #[test]
    fn six_gigabytes_give_up_precision_before_context_and_context_before_layers() {
        let tight = plan(&options(), &seven_b(), &machine(8 * GIB, Some(5900 * MIB))).expect("fits");
        assert_eq!((tight.gpu_layers, tight.kv, tight.context_tokens_max), (29, KvType::Q8_0, 16_384));
        let tighter = plan(&options(), &seven_b(), &machine(8 * GIB, Some(5550 * MIB))).expect("fits");
        assert_eq!((tighter.gpu_layers, tighter.context_tokens_max), (29, 8192));
        assert_eq!(tighter.given_up.len(), 3, "{:?}", tighter.given_up);
    }

    #[test]
    fn a_smaller_gpu_gets_some_layers_and_the_desktop_keeps_its_room() {
        let small = plan(&options(), &seven_b(), &machine(8 * GIB, Some(4 * GIB))).expect("fits");
        assert!((10..29).contains(&small.gpu_layers), "{}", small.gpu_layers);
        assert!(small.gpu.total() + GPU_MARGIN_BYTES <= 4 * GIB);
        let none = plan(&options(), &seven_b(), &machine(8 * GIB, Some(GIB / 2))).expect("fits");
        assert_eq!(none.gpu_layers, 0);
    }

    #[test]
    fn a_wish_is_obeyed() {
        let by_hand = LoadOptions { offload: Offload::Layers(5), ..options() };
        assert_eq!(plan(&by_hand, &seven_b(), &machine(8 * GIB, Some(4 * GIB))).expect("fits").gpu_layers, 5);
        let by_hand = LoadOptions { kv: Some(KvType::Q4_0), context_tokens_max: Some(8192), ..options() };
        let found = plan(&by_hand, &seven_b(), &machine(8 * GIB, None)).expect("fits");
        assert_eq!((found.kv, found.context_tokens_max), (KvType::Q4_0, 8192));
    }

    #[test]
    fn a_tiny_model_shares_a_roomy_cache() {
        let found = plan(&options(), &nano(), &machine(2 * GIB, None)).expect("fits");
        assert_eq!((found.context_tokens_max, found.cells), (2048, 8 * 2048));
        let wish = LoadOptions { context_tokens_max: Some(1_000_000), ..options() };
        let found = plan(&wish, &nano(), &machine(2 * GIB, None)).expect("fits");
        assert_eq!(found.context_tokens_max, 2048, "not more than it was trained for");
    }

    #[test]
    fn slots_get_a_whole_context_each_and_fewer_of_them_where_memory_is_short() {
        let wish = LoadOptions { slots: Some(8), context_tokens_max: Some(2048), ..options() };
        let found = plan(&wish, &seven_b(), &machine(16 * GIB, None)).expect("fits");
        assert_eq!((found.slots, found.cells, found.context_tokens_max), (8, 8 * 2048, 2048));
        assert_eq!(found.host.kv_bytes, seven_b().kv_bytes_per_token(KvType::F16) * 8 * 2048);
        assert!(found.given_up.is_empty());
        let tight = plan(&wish, &seven_b(), &machine(5500 * MIB, None)).expect("fits");
        assert!(tight.slots < 8 && tight.cells == tight.slots.max(1) * 2048, "{tight:?}");
        assert!(tight.given_up.iter().any(|note| note.contains("beside one another instead of 8")), "{tight:?}");
    }

    #[test]
    fn failed_allocations_lead_step_by_step_to_the_cpu_and_end() {
        for machine in [machine(16 * GIB, Some(8 * GIB)), machine(16 * GIB, None)] {
            let mut now = plan(&options(), &seven_b(), &machine).expect("fits");
            let mut steps = 0;
            while let Some(next) = smaller(&options(), &seven_b(), &machine, &now) {
                assert!(next.gpu.total() < now.gpu.total() || next.host.total() < now.host.total());
                assert!(!next.given_up.is_empty());
                now = next;
                steps += 1;
                assert!(steps < 40, "it ends");
            }
            assert!(steps >= 2);
            assert_eq!(now.gpu_layers, 0);
        }
    }

    #[test]
    fn figures_that_make_no_sense_do_not_overflow() {
        let absurd = Shape {
            feed_forward: u64::from(u32::MAX),
            vocabulary: u64::from(u32::MAX),
            kv_elements_per_layer: u64::MAX,
            kv_in_blocks: true,
            total_bytes: u64::MAX,
            layer_bytes: vec![u64::MAX; 3],
            ..seven_b()
        };
        assert!(plan(&options(), &absurd, &machine(1 << 40, Some(u64::MAX / 2))).is_err());
    }
}
