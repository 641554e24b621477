//! What a caller wants of a load, and what can be told of a model without loading it.
//!
//! Not for: deciding how to load (`plan.rs`) or doing it (`llama.rs`).

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::plan::{KvType, Plan};
use super::{CANDIDATES_MAX, EngineError, KEEP_SECONDS_MIN, ModelInfo};
use crate::gguf::{Gguf, GgufError, Label};

/// Bytes that the fingerprint looks at: this many blocks, evenly spread, and the header's beginning.
const FINGERPRINT_BLOCKS: u64 = 64;
const FINGERPRINT_BLOCK_BYTES: usize = 4096;

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
    /// Requests that are decoded beside one another, each with a whole context's cells; without a wish, one. Where the
    /// memory is too small for all, there are fewer ([`ModelInfo::slots`]).
    pub slots: Option<u32>,
    /// Give each of several slots a part of the cache for itself: faster where requests have one candidate each and little in
    /// common, because none looks past the others' tokens; a request has at most as many candidates as there are slots.
    pub apart: bool,
    pub offload: Offload,
    /// Without a wish: F16, or Q8_0 where that lets more of the model fit.
    pub kv: Option<KvType>,
    pub adapter: Option<Adapter>,
    /// Rearrange weights for the CPU while loading; without a wish, where it is known to be faster.
    pub repack: Option<bool>,
    /// Where the states of system prompts and of conversations are kept between runs; without it none are.
    pub prompt_states: Option<PathBuf>,
    /// A conversation whose prompt is read in less time is not kept.
    pub keep_seconds_min: f32,
    /// Guess what comes next from text that is there, where it pays. Off only to measure what it brings.
    pub speculate: bool,
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
            slots: None,
            apart: false,
            offload: Offload::Auto,
            kv: None,
            adapter: None,
            repack: None,
            prompt_states: None,
            keep_seconds_min: KEEP_SECONDS_MIN,
            speculate: true,
            check_memory: true,
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
        slots: plan.slots,
        candidates_max: CANDIDATES_MAX.min(plan.sequences_max()),
        label: Label::of(gguf),
        quantisation: gguf.main_type().map(crate::gguf::TensorType::name).unwrap_or_default(),
        offload: plan.offload.clone(),
        fingerprint: fingerprint(&gguf.path).map_err(|error| load_error(&gguf.path, &error.to_string()))?,
        parameters: gguf.parameters(),
        size_bytes: gguf.file_bytes,
        given_up: plan.given_up.clone(),
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
    Ok(crate::hex::hex(&hash.finalize()[..16]))
}
