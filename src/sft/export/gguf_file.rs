//! Writing a model or an adapter as GGUF.
//!
//! Key names and token tables follow llama.cpp's `qwen2`; norms and biases stay f32 in every type.

use std::io::Write;
use std::path::Path;

use super::vocabulary::{CHATML, Vocabulary};
use crate::gguf::{TensorType, Value, Writer};
use crate::sft::core::config::ModelConfig;
use crate::sft::core::model::{BaseFile, Lora, Model};
use crate::sft::core::params::TensorInfo;

/// Values that share one scale in Q8_0.
const BLOCK: usize = 32;

/// How matrices are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    F32,
    F16,
    /// 8 bits and a 16-bit scale for 32 values; columns must be a multiple of 32.
    Q8_0,
}

impl Storage {
    const fn tensor_type(self) -> TensorType {
        match self {
            Self::F32 => TensorType::F32,
            Self::F16 => TensorType::F16,
            Self::Q8_0 => TensorType::Q8_0,
        }
    }

    /// `general.file_type`, as llama.cpp counts.
    const fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q8_0 => 7,
        }
    }

    /// The type of one tensor: vectors stay f32, and so does what does not divide into blocks.
    const fn of(self, tensor: &TensorInfo) -> Self {
        match self {
            _ if tensor.is_vector() => Self::F32,
            Self::Q8_0 if !tensor.cols.is_multiple_of(BLOCK) => Self::F16,
            storage => storage,
        }
    }
}

/// Writes the model, with its adapter merged where it has one.
///
/// # Errors
/// Where the file cannot be written; an older one stays.
pub fn write_model(
    path: &Path,
    model: &Model,
    (name, vocabulary): (&str, &Vocabulary),
    storage: Storage,
) -> anyhow::Result<()> {
    let merged = model.merged();
    let mut writer = Writer::new();
    describe(&mut writer, &merged.config, name, storage);
    describe_vocabulary(&mut writer, vocabulary);
    for tensor in &merged.layout.tensors {
        let kind = storage.of(tensor).tensor_type();
        let (cols, rows) = (tensor.cols as u64, tensor.rows as u64);
        let dimensions = if tensor.is_vector() { vec![cols] } else { vec![cols, rows] };
        writer.tensor(tensor.name.clone(), kind, &dimensions);
    }
    let mut order = merged.layout.tensors.iter();
    writer.write(path, |_, output| {
        let tensor = order.next().expect("invariant: tensors are delivered in the order of announcement");
        write_values(output, tensor.of(&merged.params), storage.of(tensor))
    })?;
    Ok(())
}

/// Writes the adapter alone, for `llama.cpp --lora` (and `z1 --lora`).
///
/// # Errors
/// Where the file cannot be written; an older one stays.
pub fn write_adapter(path: &Path, lora: &Lora, name: &str, base: Option<&BaseFile>) -> anyhow::Result<()> {
    let mut writer = Writer::new();
    writer.set("general.type", "adapter");
    writer.set("general.architecture", "qwen2");
    writer.set("general.name", name);
    writer.set("adapter.type", "lora");
    // Readers divide by the rank, whatever the recipe divided by.
    writer.set("adapter.lora.alpha", Value::F32(lora.config.scale() * lora.config.rank as f32));
    if let Some(base) = base {
        let name = base.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        writer.set("z1.base.name", name.as_str());
        writer.set("z1.base.fingerprint", base.fingerprint.as_str());
    }
    for tensor in &lora.layout.tensors {
        writer.tensor(tensor.name.clone(), TensorType::F32, &[tensor.cols as u64, tensor.rows as u64]);
    }
    let mut order = lora.layout.tensors.iter();
    writer.write(path, |_, output| {
        let tensor = order.next().expect("invariant: tensors are delivered in the order of announcement");
        write_values(output, tensor.of(&lora.params), Storage::F32)
    })?;
    Ok(())
}

fn describe(writer: &mut Writer, config: &ModelConfig, name: &str, storage: Storage) {
    writer.set("general.architecture", "qwen2");
    writer.set("general.type", "model");
    writer.set("general.name", name);
    writer.set("general.file_type", Value::U32(storage.file_type()));
    writer.set("general.quantization_version", Value::U32(2));
    let numbers = [
        ("context_length", config.context),
        ("embedding_length", config.hidden),
        ("block_count", config.layers),
        ("feed_forward_length", config.ffn),
        ("attention.head_count", config.heads),
        ("attention.head_count_kv", config.kv_heads),
    ];
    for (key, number) in numbers {
        writer.set(format!("qwen2.{key}"), Value::U32(number as u32));
    }
    writer.set("qwen2.rope.freq_base", Value::F32(config.rope_theta));
    writer.set("qwen2.attention.layer_norm_rms_epsilon", Value::F32(config.norm_eps));
}

fn describe_vocabulary(writer: &mut Writer, vocabulary: &Vocabulary) {
    writer.set("tokenizer.ggml.model", "gpt2");
    writer.set("tokenizer.ggml.pre", "qwen2");
    writer.set("tokenizer.ggml.tokens", Value::Strings(vocabulary.tokens.clone()));
    writer.set("tokenizer.ggml.token_type", Value::I32s(vocabulary.types.iter().map(|&kind| kind as i32).collect()));
    writer.set("tokenizer.ggml.merges", Value::Strings(vocabulary.merges.clone()));
    writer.set("tokenizer.ggml.eos_token_id", Value::U32(vocabulary.end));
    writer.set("tokenizer.ggml.padding_token_id", Value::U32(vocabulary.padding));
    writer.set("tokenizer.ggml.bos_token_id", Value::U32(vocabulary.padding));
    writer.set("tokenizer.ggml.add_bos_token", Value::Bool(false));
    writer.set("tokenizer.chat_template", CHATML);
}

fn write_values(output: &mut dyn Write, values: &[f32], storage: Storage) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(1 << 14);
    for chunk in values.chunks(1 << 12) {
        bytes.clear();
        match storage {
            Storage::F32 => bytes.extend(chunk.iter().flat_map(|v| v.to_le_bytes())),
            Storage::F16 => bytes.extend(chunk.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes())),
            Storage::Q8_0 => chunk.chunks(BLOCK).for_each(|block| put_q8_0(&mut bytes, block)),
        }
        output.write_all(&bytes)?;
    }
    Ok(())
}

/// One block of Q8_0: the scale as f16, then 32 rounded values.
fn put_q8_0(bytes: &mut Vec<u8>, block: &[f32]) {
    let largest = block.iter().fold(0.0f32, |top, v| top.max(v.abs()));
    let scale = largest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    bytes.extend(half::f16::from_f32(scale).to_le_bytes());
    bytes.extend(block.iter().map(|v| ((v * inverse).round() as i8).cast_unsigned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q8_0_keeps_a_block_within_half_a_step() {
        let block: Vec<f32> = (0..32).map(|i| (i as f32 * 0.7).sin() * 3.0).collect();
        let mut bytes = Vec::new();
        put_q8_0(&mut bytes, &block);
        assert_eq!(bytes.len(), 34);
        let scale = half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        for (value, byte) in block.iter().zip(&bytes[2..]) {
            let back = f32::from(byte.cast_signed()) * scale;
            assert!((back - value).abs() <= 0.51 * scale + 2e-3, "{value} {back}");
        }
        bytes.clear();
        put_q8_0(&mut bytes, &[0.0; 32]);
        assert!(bytes.iter().all(|&b| b == 0));
    }
}
