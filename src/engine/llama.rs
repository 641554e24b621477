//! llama.cpp behind the seam.
//!
//! Not for: deciding how to load (`load.rs`), and unsafe code (`raw.rs`).

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, OnceLock, mpsc as std_mpsc};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llama_cpp_2::{DecodeError, LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use tokio::sync::mpsc;

use super::handle::{Request, serve, spawn};
use super::load::{LoadOptions, Offload, describe, fingerprint};
use super::model::{BatchToken, Constraint, Decoded, Sequence, TokenModel, Vocabulary};
use super::plan::{Gpu, KvType, Machine, Plan, Shape, plan, smaller};
use super::process::{memory_available_bytes, physical_threads};
use super::raw::{self, AbortSlot};
use super::states::States;
use super::worker::Worker;
use super::{Engine, EngineError, ModelInfo, OUTPUTS_MAX, REQUESTS_MAX, TokenId};
use crate::cancel::Cancel;
use crate::gguf::{Gguf, Metadata, Value};

/// GGUF's `token_type` of control tokens.
const TOKEN_TYPE_CONTROL: i32 = 3;

/// Caches outside the cache take at most this …
const PARKING_BYTES_MAX: u64 = 2 << 30;
/// … and at most one part in so many of the memory that is free once the model is loaded.
const PARKING_SHARE: u64 = 4;

/// The back end is initialised once and lives as long as the process.
fn backend() -> &'static LlamaBackend {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    BACKEND.get_or_init(|| {
        raw::install_log();
        load_modules();
        LlamaBackend::init().expect("invariant: nobody else initialises the back end")
    })
}

/// In a distributed build the code for CPUs and GPUs comes in modules, one for each generation of processors; they lie
/// beside the program (`scripts/dist`). In a build for this machine there is nothing to load.
pub fn load_modules() {
    #[cfg(feature = "dist")]
    {
        let beside = std::env::current_exe()
            .ok()
            .and_then(|program| Some(program.parent()?.parent()?.join("lib/z1/backends")))
            .filter(|folder| folder.is_dir());
        match beside {
            Some(folder) => llama_cpp_2::llama_backend::load_backends_from_path(&folder),
            None => llama_cpp_2::llama_backend::load_backends(),
        }
    }
}

/// What this machine has, as ggml and the system report it.
pub fn machine() -> Machine {
    backend();
    let devices = list_llama_ggml_backend_devices();
    // llama.cpp uses integrated GPUs only where there is no other.
    let of = |kind: LlamaBackendDeviceType| devices.iter().any(|device| device.device_type == kind);
    let used = if of(LlamaBackendDeviceType::Gpu) {
        LlamaBackendDeviceType::Gpu
    } else {
        LlamaBackendDeviceType::IntegratedGpu
    };
    let gpus = devices
        .into_iter()
        .filter(|device| device.device_type == used)
        .map(|device| Gpu {
            name: device.name,
            description: device.description,
            free_bytes: device.memory_free as u64,
            total_bytes: device.memory_total as u64,
        })
        .collect();
    Machine {
        gpus,
        memory_available_bytes: memory_available_bytes(),
        threads: physical_threads(),
        prefers_plain_weights: prefers_plain_weights(),
    }
}

#[cfg(target_arch = "x86_64")]
fn prefers_plain_weights() -> bool {
    std::arch::is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn prefers_plain_weights() -> bool {
    false
}

/// Starts the thread, waits until the model is loaded.
pub(super) fn start(
    options: LoadOptions,
    progress: impl FnMut(f32) + Send + 'static,
    cancel: &Cancel,
) -> Result<Engine, EngineError> {
    let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
    let (ready, loaded) = std_mpsc::sync_channel(1);
    let cancel = cancel.clone();
    let thread = spawn(move || run(&options, progress, &cancel, &ready, inbox));
    let (info, vocabulary) = loaded.recv().map_err(|_| EngineError::Gone)??;
    Ok(Engine::from_parts(requests, info, vocabulary, thread))
}

type Ready = Result<(ModelInfo, Arc<dyn Vocabulary>), EngineError>;

/// The engine's thread: load, tell, serve. Where memory that was said to be free is not, the next smaller plan
/// is tried, until nothing is left to give up.
fn run(
    options: &LoadOptions,
    mut progress: impl FnMut(f32),
    cancel: &Cancel,
    ready: &std_mpsc::SyncSender<Ready>,
    inbox: mpsc::Receiver<Request>,
) {
    let mut inbox = Some(inbox);
    let outcome = Wanted::read(options).and_then(|wanted| {
        let mut plan = plan(options, &wanted.shape, &wanted.machine)?;
        loop {
            let attempt = attempt(&wanted, &plan, (&mut progress, cancel), ready, &mut inbox);
            let Err(error) = attempt else { return Ok(()) };
            let next = raw::allocation_failed().then(|| smaller(options, &wanted.shape, &wanted.machine, &plan));
            plan = next.flatten().ok_or(error)?;
            tracing::warn!(given_up = ?plan.given_up, "an allocation failed; trying again with less");
        }
    });
    if let Err(error) = outcome {
        // Whoever started the load may have gone.
        drop(ready.send(Err(error)));
    }
}

/// What is to be loaded, and where.
struct Wanted<'a> {
    options: &'a LoadOptions,
    gguf: Gguf,
    shape: Shape,
    machine: Machine,
}

impl<'a> Wanted<'a> {
    fn read(options: &'a LoadOptions) -> Result<Self, EngineError> {
        let gguf = Gguf::open(&options.path)?;
        let shape = Shape::of(&gguf)?;
        Ok(Self { options, gguf, shape, machine: machine() })
    }
}

/// Loads by one plan and serves until every handle is gone.
fn attempt(
    wanted: &Wanted<'_>,
    plan: &Plan,
    (progress, cancel): (&mut dyn FnMut(f32), &Cancel),
    ready: &std_mpsc::SyncSender<Ready>,
    inbox: &mut Option<mpsc::Receiver<Request>>,
) -> Result<(), EngineError> {
    // The adapter belongs to the model and must be there as long as the context uses it.
    let Loaded { vocabulary: model, info, mut adapter } = load(wanted, plan, progress, cancel)?;
    let mut llama = Llama::new(&model, &info, plan)?;
    if let (Some(adapter), Some(wish)) = (&mut adapter, &wanted.options.adapter)
        && let Err(error) = llama.context.lora_adapter_set(adapter, wish.scale)
    {
        return Err(EngineError::Load {
            path: wish.path.clone(),
            reason: error.to_string(),
            hint: "the adapter must have been made for this model".to_owned(),
        });
    }
    let vocabulary: Arc<dyn Vocabulary> = model.clone();
    let states = wanted.options.prompt_states.clone().map(|folder| {
        let adapter = wanted.options.adapter.as_ref();
        let adapter = adapter.map(|adapter| (fingerprint(&adapter.path).unwrap_or_default(), adapter.scale));
        States::new(folder, &info.fingerprint, format!("{:?} {adapter:?}", plan.kv))
    });
    let inbox = inbox.take().expect("invariant: only one attempt succeeds");
    if ready.send(Ok((info, Arc::clone(&vocabulary)))).is_ok() {
        let worker = Worker::new(llama, vocabulary)
            .with_states(states, wanted.options.keep_seconds_min)
            .speculating(wanted.options.speculate);
        serve(worker, inbox);
    }
    Ok(())
}

struct Loaded {
    vocabulary: Arc<LlamaVocabulary>,
    info: ModelInfo,
    adapter: Option<llama_cpp_2::model::LlamaLoraAdapter>,
}

fn load(
    wanted: &Wanted<'_>,
    plan: &Plan,
    progress: &mut dyn FnMut(f32),
    cancel: &Cancel,
) -> Result<Loaded, EngineError> {
    backend();
    let options = wanted.options;
    let info = describe(&wanted.gguf, plan)?;
    let refuse = |path: &Path, fallback: &str, hint: &str| EngineError::Load {
        path: path.to_owned(),
        reason: raw::first_error_line().unwrap_or_else(|| fallback.to_owned()),
        hint: hint.to_owned(),
    };
    raw::clear_log_lines();
    let mut report = |fraction: f32| {
        progress(fraction);
        !cancel.is_cancelled()
    };
    let wish = raw::Wish { gpu_layers: plan.gpu_layers, repack: plan.repack, vocabulary_only: false };
    let model = raw::load_model(&options.path, wish, &mut report);
    if cancel.is_cancelled() {
        return Err(EngineError::LoadCancelled);
    }
    let hint = match (raw::allocation_failed(), options.offload) {
        (true, Offload::Layers(1..)) => {
            "so many layers do not fit on the GPU now: lower --gpu-layers, or leave it out and z1 chooses"
        }
        (true, _) => "there is too little memory for it: free some, or take a smaller quantisation",
        (false, _) => "the log has the details; a model of the qwen2 architecture is known to work",
    };
    let mut model = model.ok_or_else(|| refuse(&options.path, "llama.cpp cannot load it", hint))?;
    if model.is_recurrent() || model.is_hybrid() {
        return Err(refuse(&options.path, "recurrent models cannot be rewound", "use a transformer model"));
    }
    let adapter = match &options.adapter {
        None => None,
        Some(adapter) => {
            let path = &adapter.path;
            // The binding asserts that the file is there; a missing one is the user's mistake, not ours.
            let about = Gguf::open(path)?;
            let hint = "the adapter must have been made for this model";
            // Adapters of z1-sft say which weights they were trained on; over others they answer nonsense.
            let base = about.metadata.string("z1.base.fingerprint");
            if base.is_some_and(|base| base != info.fingerprint) {
                let name = about.metadata.string("z1.base.name").unwrap_or("another model");
                let reason = format!("it was trained on other weights: {name}");
                return Err(EngineError::Load { path: path.clone(), reason, hint: hint.to_owned() });
            }
            Some(model.lora_adapter_init(path).map_err(|_| refuse(path, "llama.cpp cannot load it", hint))?)
        }
    };
    let vocabulary = Arc::new(LlamaVocabulary::new(model, &wanted.gguf.metadata));
    Ok(Loaded { vocabulary, info, adapter })
}

/// Loads nothing but a model's vocabulary.
pub(super) fn load_vocabulary(path: &Path) -> Result<Arc<dyn Vocabulary>, EngineError> {
    let gguf = Gguf::open(path)?;
    super::inspect::vocabulary(&gguf)?;
    backend();
    raw::clear_log_lines();
    let wish = raw::Wish { gpu_layers: 0, repack: false, vocabulary_only: true };
    let model = raw::load_model(path, wish, &mut |_| true).ok_or_else(|| EngineError::Load {
        path: path.to_owned(),
        reason: raw::first_error_line().unwrap_or_else(|| "llama.cpp cannot load it".to_owned()),
        hint: "the file must hold a vocabulary".to_owned(),
    })?;
    Ok(Arc::new(LlamaVocabulary::new(model, &gguf.metadata)))
}

/// The model's vocabulary. What is a control token is read from the file, not from llama.cpp, which
/// promotes tokens by their spelling: Qwen's ordinary `</s>` would end every reply that contains it.
struct LlamaVocabulary {
    model: LlamaModel,
    control: Vec<bool>,
    end_of_turn: Vec<bool>,
    /// Tokens that llama.cpp, and only it, takes for an end.
    false_ends: Arc<[TokenId]>,
}

impl LlamaVocabulary {
    fn new(model: LlamaModel, metadata: &Metadata) -> Self {
        let vocab = model.vocab();
        let size = vocab.n_tokens() as usize;
        let kinds: &[i32] = match metadata.get("tokenizer.ggml.token_type") {
            Some(Value::I32s(kinds)) => kinds,
            _ => &[],
        };
        let declared_end: Vec<u64> = ["eos_token_id", "eot_token_id"]
            .iter()
            .filter_map(|key| metadata.unsigned(&format!("tokenizer.ggml.{key}")))
            .collect();
        let mut control = vec![false; size];
        let mut end_of_turn = vec![false; size];
        for id in 0..size {
            let token = LlamaToken::new(id as i32);
            let declared = declared_end.contains(&(id as u64));
            control[id] = declared || kinds.get(id).map_or(vocab.is_control(token), |&kind| kind == TOKEN_TYPE_CONTROL);
            // A model that opens the next turn by itself has ended its own.
            let opens_a_turn = control[id] && vocab.token_to_piece(token, true, None) == b"<|im_start|>";
            end_of_turn[id] = declared || opens_a_turn || (control[id] && vocab.is_eog(token));
        }
        let is_false_end = |&id: &TokenId| vocab.is_eog(LlamaToken::new(id)) && !end_of_turn[id as usize];
        let false_ends = (0..size as TokenId).filter(is_false_end).collect();
        Self { model, control, end_of_turn, false_ends }
    }
}

impl Vocabulary for LlamaVocabulary {
    fn tokenize(&self, text: &str, special: bool) -> Vec<TokenId> {
        self.model.vocab().tokenize(text.as_bytes(), false, special).into_iter().map(|token| token.0).collect()
    }

    fn piece(&self, token: TokenId, special: bool) -> Vec<u8> {
        if self.is_control(token) && !special {
            return Vec::new();
        }
        // `true` also for ordinary tokens: llama.cpp would hide those it takes for control tokens.
        self.model.vocab().token_to_piece(LlamaToken::new(token), true, None)
    }

    fn is_end_of_turn(&self, token: TokenId) -> bool {
        self.end_of_turn.get(token as usize).copied().unwrap_or(false)
    }

    fn is_control(&self, token: TokenId) -> bool {
        self.control.get(token as usize).copied().unwrap_or(false)
    }

    fn size(&self) -> usize {
        self.control.len()
    }
}

/// A context and what it needs. Fields are dropped in order: the context before the slot it points to.
struct Llama<'model> {
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    abort: Box<AbortSlot>,
    vocabulary: &'model LlamaVocabulary,
    info: ModelInfo,
    cells: u32,
    sequences_max: u32,
    /// Each sequence has a part of the cache for itself.
    apart: bool,
    parking_bytes_max: u64,
    /// For each row of logits, its index in the last batch.
    rows: Vec<i32>,
}

impl<'model> Llama<'model> {
    fn new(vocabulary: &'model LlamaVocabulary, info: &ModelInfo, plan: &Plan) -> Result<Self, EngineError> {
        let abort = Box::new(AbortSlot::default());
        let kv = match plan.kv {
            KvType::F16 => KvCacheType::F16,
            KvType::Q8_0 => KvCacheType::Q8_0,
            KvType::Q4_0 => KvCacheType::Q4_0,
        };
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(plan.cells))
            .with_n_batch(plan.batch_tokens)
            .with_n_ubatch(plan.batch_tokens)
            .with_n_seq_max(plan.sequences_max())
            .with_n_threads(plan.threads as i32)
            .with_n_threads_batch(plan.threads as i32)
            .with_type_k(kv)
            .with_type_v(kv)
            .with_offload_kqv(true)
            .with_no_perf(true)
            .with_kv_unified(!plan.apart);
        let params = raw::finish_params(params, OUTPUTS_MAX, &abort);
        raw::clear_log_lines();
        let context = vocabulary.model.new_context(backend(), params).map_err(|error| EngineError::Load {
            path: info.path.clone().unwrap_or_default(),
            reason: raw::first_error_line().unwrap_or_else(|| error.to_string()),
            hint: "use a smaller context, or fewer layers on the GPU".to_owned(),
        })?;
        let batch = LlamaBatch::new(plan.batch_tokens as usize, 1);
        Ok(Self {
            context,
            batch,
            abort,
            vocabulary,
            info: info.clone(),
            cells: plan.cells,
            sequences_max: plan.sequences_max(),
            apart: plan.apart,
            parking_bytes_max: (memory_available_bytes() / PARKING_SHARE).min(PARKING_BYTES_MAX),
            rows: Vec::new(),
        })
    }
}

fn to_llama(tokens: &[TokenId]) -> Vec<LlamaToken> {
    tokens.iter().map(|&token| LlamaToken::new(token)).collect()
}

impl TokenModel for Llama<'_> {
    type Parked = SeqState;

    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn cells_max(&self) -> u32 {
        self.cells
    }

    fn sequences_max(&self) -> u32 {
        self.sequences_max
    }

    fn keeps_apart(&self) -> bool {
        self.apart
    }

    fn parking_bytes_max(&self) -> u64 {
        self.parking_bytes_max
    }

    fn park(&mut self, sequence: Sequence) -> Option<(SeqState, u64)> {
        let state = self.context.state_seq_get(sequence as i32, LlamaStateSeqFlags::empty()).ok()?;
        let bytes = state.byte_len() as u64;
        Some((state, bytes))
    }

    fn unpark(&mut self, sequence: Sequence, parked: &SeqState) -> bool {
        let done = self.context.state_seq_set(parked, sequence as i32).is_ok();
        if !done {
            self.truncate_sequence(sequence, 0);
        }
        done
    }

    fn batch_tokens_max(&self) -> usize {
        self.context.n_batch() as usize
    }

    fn batch_logits_max(&self) -> usize {
        OUTPUTS_MAX as usize
    }

    fn decode(&mut self, batch: &[BatchToken], cancels: &[Cancel]) -> Result<Decoded, EngineError> {
        self.batch.clear();
        self.rows.clear();
        for (index, item) in (0..).zip(batch) {
            let sequence = [item.sequence as i32];
            self.batch
                .add(LlamaToken::new(item.token), item.position as i32, &sequence, item.logits)
                .expect("invariant: batches respect the limit");
            if item.logits {
                self.rows.push(index);
            }
        }
        self.abort.watch(cancels);
        raw::clear_log_lines();
        match self.context.decode(&mut self.batch) {
            Ok(()) => Ok(Decoded::Done),
            Err(DecodeError::NoKvCacheSlot) => Ok(Decoded::Full),
            Err(_) if cancels.iter().all(Cancel::is_cancelled) => Ok(Decoded::Aborted),
            Err(error) => Err(EngineError::Decode(raw::first_error_line().unwrap_or_else(|| error.to_string()))),
        }
    }

    fn logits(&self, row: usize) -> &[f32] {
        self.context.get_logits_ith(self.rows[row])
    }

    fn copy_sequence(&mut self, from: Sequence, to: Sequence, tokens: u32) {
        if self.apart {
            // llama.cpp copies from part to part only whole, used or not; a state has what is used.
            let (state, _) = self.park(from).expect("invariant: a sequence that exists has a state");
            assert!(self.unpark(to, &state), "invariant: parts are of one size");
            return self.truncate_sequence(to, tokens);
        }
        self.context
            .kv_cache_seq_cp(from as i32, to as i32, Some(0), Some(tokens))
            .expect("invariant: positions fit into 31 bits");
    }

    fn truncate_sequence(&mut self, sequence: Sequence, tokens: u32) {
        let removed = self.context.clear_kv_cache_seq(Some(sequence), Some(tokens), None);
        assert_eq!(removed, Ok(true), "invariant: a transformer's cache can be cut anywhere");
    }

    fn constraint(&self, grammar: &str) -> Result<Box<dyn Constraint>, EngineError> {
        let sampler = LlamaSampler::grammar(&self.vocabulary.model, grammar, "root")
            .map_err(|error| EngineError::Grammar(error.to_string()))?;
        Ok(Box::new(Grammar { sampler, false_ends: Arc::clone(&self.vocabulary.false_ends) }))
    }

    fn save_sequence(&mut self, sequence: Sequence, tokens: &[TokenId], path: &Path) -> Result<u64, EngineError> {
        self.context
            .state_seq_save_file(path, sequence as i32, &to_llama(tokens))
            .map(|bytes| bytes as u64)
            .map_err(|error| EngineError::State { path: path.to_owned(), reason: error.to_string() })
    }

    fn load_sequence(&mut self, sequence: Sequence, path: &Path) -> Result<Vec<TokenId>, EngineError> {
        let context_tokens_max = self.info.context_tokens_max as usize;
        raw::clear_log_lines();
        self.context
            .state_seq_load_file(path, sequence as i32, context_tokens_max)
            .map(|(tokens, _)| tokens.into_iter().map(|token| token.0).collect())
            .map_err(|error| EngineError::State {
                path: path.to_owned(),
                reason: raw::first_error_line().unwrap_or_else(|| error.to_string()),
            })
    }
}

/// A GBNF grammar. Always applied and accepted in two steps: the binding's `sample()` accepts by itself,
/// and accepting twice aborts the process.
struct Grammar {
    sampler: LlamaSampler,
    /// Allowed by llama.cpp at the grammar's end and nowhere else, but they end nothing for us: never
    /// allowed. The same text can be spelled with other tokens.
    false_ends: Arc<[TokenId]>,
}

impl Constraint for Grammar {
    fn permits(&mut self, token: TokenId) -> bool {
        if self.false_ends.contains(&token) {
            return false;
        }
        let data = LlamaTokenData::new(LlamaToken::new(token), 0.0, 0.0);
        let mut one = LlamaTokenDataArray::new(vec![data], false);
        self.sampler.apply(&mut one);
        one.data.first().is_some_and(|data| data.logit().is_finite())
    }

    fn mask(&mut self, logits: &mut [f32]) {
        let data = (0..).zip(logits.iter()).map(|(id, &logit)| LlamaTokenData::new(LlamaToken::new(id), logit, 0.0));
        let mut all = LlamaTokenDataArray::from_iter(data, false);
        self.sampler.apply(&mut all);
        for data in &all.data {
            logits[data.id().0 as usize] = data.logit();
        }
        for &token in self.false_ends.iter() {
            logits[token as usize] = f32::NEG_INFINITY;
        }
    }

    fn accept(&mut self, token: TokenId) -> Result<(), EngineError> {
        // llama.cpp throws where a token does not fit, and nothing may throw through Rust.
        if !self.permits(token) {
            return Err(EngineError::Grammar(format!("its own choice {token} does not fit it")));
        }
        self.sampler.accept(LlamaToken::new(token));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::tiny::{self, Tiny};

    fn tiny_vocabulary() -> Arc<LlamaVocabulary> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tiny.gguf");
        Tiny::default().write(&path).expect("written");
        let options = LoadOptions::from_path(path);
        let wanted = Wanted::read(&options).expect("the tiny model has a header");
        let plan = plan(&options, &wanted.shape, &wanted.machine).expect("it fits");
        load(&wanted, &plan, &mut |_| {}, &Cancel::new()).expect("the tiny model loads").vocabulary
    }

    #[test]
    fn an_ordinary_token_that_looks_like_a_control_token_stays_ordinary() {
        let vocabulary = tiny_vocabulary();
        // Qwen's splitting never lets a text become this token, but a model can say it.
        let named = tiny::vocabulary().iter().position(|token| token == "</s>");
        let token = named.expect("the merges spell it") as TokenId;
        assert!(vocabulary.model.vocab().is_eog(LlamaToken::new(token)), "or this test tests nothing");
        assert!(!vocabulary.is_end_of_turn(token) && !vocabulary.is_control(token));
        assert_eq!(vocabulary.piece(token, false), b"</s>");
        assert_eq!(vocabulary.false_ends.as_ref(), [token]);
    }

    #[test]
    fn the_chat_frames_tokens_end_a_turn_and_show_no_text() {
        let vocabulary = tiny_vocabulary();
        for word in ["<|im_end|>", "<|im_start|>", "<|endoftext|>"] {
            let tokens = vocabulary.tokenize(word, true);
            assert_eq!(tokens.len(), 1, "{word}");
            assert!(vocabulary.is_end_of_turn(tokens[0]), "{word}");
            assert_eq!(vocabulary.piece(tokens[0], false), b"", "{word}");
            assert_eq!(vocabulary.piece(tokens[0], true), word.as_bytes());
            let as_text = vocabulary.tokenize(word, false);
            assert!(as_text.len() > 1 && as_text.iter().all(|&token| !vocabulary.is_control(token)), "{word}");
        }
    }
}
