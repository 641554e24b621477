//! Writes the GGUF: metadata and token tables as llama.cpp's own converter writes them, tensors streamed from the
//! shards with a buffer of a few megabytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::hf::{self, Config, Vocabulary};
use super::safetensors::{Dtype, Shard};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::gguf::rope::Rope;
use crate::gguf::{TensorType, Value, Writer};
use crate::model_store::disk::check_space;

/// Values converted at once.
const CHUNK_VALUES: usize = 1 << 20;

/// How matrices are stored; vectors are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    F32,
    F16,
    Bf16,
}

impl Storage {
    const fn tensor_type(self) -> TensorType {
        match self {
            Self::F32 => TensorType::F32,
            Self::F16 => TensorType::F16,
            Self::Bf16 => TensorType::BF16,
        }
    }

    /// `general.file_type`, as llama.cpp counts.
    const fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bf16 => 32,
        }
    }
}

/// A Hugging Face folder that was read and found whole: everything but the weights' values.
#[derive(Debug)]
pub struct Plan {
    config: Config,
    rope: Rope,
    sampling: Vec<(&'static str, f64)>,
    vocabulary: Vocabulary,
    shards: Vec<Shard>,
    sources: BTreeMap<String, (usize, usize)>,
}

impl Plan {
    /// Reads and checks the folder.
    ///
    /// # Errors
    /// Everything that is wrong with it (see [`hf`] and [`super::safetensors`]), a tensor that is missing, unknown or
    /// of another shape.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let config = hf::read_config(folder)?;
        // Headers before vocabulary: they are small, and more often broken.
        let mut shards = Vec::new();
        for file in hf::weight_files(folder)? {
            shards.push(Shard::open(&folder.join(file))?);
        }
        let sources = locate(folder, &config, &shards)?;
        let vocabulary = hf::read_vocabulary(folder, &config)?;
        let rope = config.rope().map_err(|why| UserError::new(Exit::Error, format!("{}: {why}", folder.display())))?;
        Ok(Self { rope, sampling: hf::read_sampling(folder)?, config, vocabulary, shards, sources })
    }

    /// Writes the GGUF; `progress` hears (bytes read, bytes in all).
    ///
    /// # Errors
    /// A full disk, a file that changed, a cancel. The output is whole or absent.
    pub fn write(
        mut self,
        output: &Path,
        name: &str,
        storage: Option<Storage>,
        cancel: &Cancel,
        mut progress: impl FnMut(u64, u64),
    ) -> anyhow::Result<()> {
        let stored = storage.unwrap_or_else(|| own_storage(&self.shards));
        let mut writer = Writer::new();
        describe(&mut writer, &self.config, name, stored);
        self.rope.describe(&mut writer);
        describe_sampling(&mut writer, &self.sampling);
        describe_vocabulary(&mut writer, &self.vocabulary);
        let mut total = 0;
        let mut written = 0;
        for (gguf_name, &(shard, index)) in &self.sources {
            let tensor = &self.shards[shard].tensors[index];
            total += tensor.bytes;
            let dimensions: Vec<u64> = tensor.shape.iter().rev().copied().collect();
            let kind = kind(&dimensions, stored);
            written += kind.bytes(&dimensions).unwrap_or(0);
            writer.tensor(gguf_name.clone(), kind, &dimensions);
        }
        check_space(output, written)?;
        let (sources, shards) = (&self.sources, &mut self.shards);
        let mut done = 0;
        let outcome = writer.write(output, |tensor, out| {
            let &(shard, index) = sources.get(&tensor.name).expect("invariant: every announced tensor has a source");
            let dtype = shards[shard].tensors[index].dtype;
            let mut count = |bytes: u64| {
                anyhow::ensure!(!cancel.is_cancelled(), "interrupted");
                done += bytes;
                progress(done, total);
                Ok(())
            };
            let copied = if dtype.tensor_type() == tensor.kind {
                shards[shard].for_each_raw(index, CHUNK_VALUES, |raw| {
                    count(raw.len() as u64)?;
                    Ok(out.write_all(raw)?)
                })
            } else {
                shards[shard].for_each_chunk(index, CHUNK_VALUES, |values| {
                    count(values.len() as u64 * dtype.bytes())?;
                    Ok(encode(out, values, tensor.kind)?)
                })
            };
            copied.map_err(std::io::Error::other)
        });
        if cancel.is_cancelled() {
            return Err(UserError::new(Exit::Interrupted, "interrupted; nothing was written").into());
        }
        // Here the file is not one that could not be read: it could not be written.
        let hint = "free some room, or set Z1_HOME to a folder on another disk";
        Ok(outcome.map_err(|problem| UserError::new(Exit::Error, problem.to_string()).hint(hint))?)
    }
}

/// Where each tensor of the model lies: (shard, index), in llama.cpp's order of writing (by name within layers).
fn locate(folder: &Path, config: &Config, shards: &[Shard]) -> anyhow::Result<BTreeMap<String, (usize, usize)>> {
    let wrong = |why: String| UserError::new(Exit::Error, format!("{}: {why}", folder.display()));
    let expected = hf::expected_tensors(config);
    let mut found = BTreeMap::new();
    for (shard_index, shard) in shards.iter().enumerate() {
        for (index, tensor) in shard.tensors.iter().enumerate() {
            let Some(name) = hf::gguf_name(&tensor.name, config.tie_word_embeddings).map_err(wrong)? else { continue };
            match expected.get(&name) {
                None => {
                    return Err(wrong(format!("tensor {:?} is beyond what config.json announces", tensor.name)).into());
                }
                Some(shape) if *shape != tensor.shape => {
                    return Err(wrong(format!(
                        "tensor {:?} has shape {:?}, config.json means {shape:?}",
                        tensor.name, tensor.shape
                    ))
                    .into());
                }
                Some(_) => {}
            }
            if found.insert(name, (shard_index, index)).is_some() {
                return Err(wrong(format!("tensor {:?} is there twice", tensor.name)).into());
            }
        }
    }
    if let Some(missing) = expected.keys().find(|name| !found.contains_key(*name)) {
        return Err(wrong(format!("{missing} is missing in the weights"))
            .hint("download the rest of the model; every shard is needed")
            .into());
    }
    Ok(found)
}

/// The type that the checkpoint's own matrices have.
fn own_storage(shards: &[Shard]) -> Storage {
    let matrix = shards.iter().flat_map(|shard| &shard.tensors).find(|tensor| tensor.shape.len() > 1);
    match matrix.map(|tensor| tensor.dtype) {
        Some(Dtype::Bf16) => Storage::Bf16,
        Some(Dtype::F16) => Storage::F16,
        Some(Dtype::F32) | None => Storage::F32,
    }
}

fn kind(dimensions: &[u64], stored: Storage) -> TensorType {
    if dimensions.len() > 1 { stored.tensor_type() } else { TensorType::F32 }
}

fn encode(out: &mut dyn Write, values: &[f32], kind: TensorType) -> std::io::Result<()> {
    let bytes: Vec<u8> = match kind {
        TensorType::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
        TensorType::BF16 => values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    out.write_all(&bytes)
}

fn describe(writer: &mut Writer, config: &Config, name: &str, stored: Storage) {
    writer.set("general.architecture", "qwen2");
    writer.set("general.type", "model");
    writer.set("general.name", name);
    writer.set("qwen2.block_count", Value::U32(config.num_hidden_layers));
    writer.set("qwen2.context_length", Value::U32(config.max_position_embeddings));
    writer.set("qwen2.embedding_length", Value::U32(config.hidden_size as u32));
    writer.set("qwen2.feed_forward_length", Value::U32(config.intermediate_size as u32));
    writer.set("qwen2.attention.head_count", Value::U32(config.num_attention_heads));
    writer.set("qwen2.attention.head_count_kv", Value::U32(config.heads_kv()));
    writer.set("qwen2.attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32));
    writer.set("general.file_type", Value::U32(stored.file_type()));
    if let Some(width) = config.head_dim {
        writer.set("qwen2.attention.key_length", Value::U32(width as u32));
        writer.set("qwen2.attention.value_length", Value::U32(width as u32));
    }
    writer.set("general.quantization_version", Value::U32(2));
}

fn describe_sampling(writer: &mut Writer, sampling: &[(&'static str, f64)]) {
    for &(key, number) in sampling {
        let value = if key == "top_k" { Value::I32(number as i32) } else { Value::F32(number as f32) };
        writer.set(format!("general.sampling.{key}"), value);
    }
}

fn describe_vocabulary(writer: &mut Writer, vocabulary: &Vocabulary) {
    writer.set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", vocabulary.pre_tokenizer);
    writer.set("tokenizer.ggml.tokens", Value::Strings(vocabulary.tokens.clone()));
    writer.set("tokenizer.ggml.token_type", Value::I32s(vocabulary.kinds.iter().map(|kind| *kind as i32).collect()));
    writer.set("tokenizer.ggml.merges", Value::Strings(vocabulary.merges.clone()));
    vocabulary.specials.describe(writer);
    if let Some(template) = &vocabulary.chat_template {
        writer.set("tokenizer.chat_template", template.as_str());
    }
}
