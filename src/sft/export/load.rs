//! A model to start from: a checkpoint of ours, a Hugging Face folder, or a GGUF file of floats or Q8_0.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::error::{Exit, UserError};
use crate::gguf::rope::RopeSettings;
use crate::gguf::{Gguf, TensorType, qwen2};
use crate::sft::core::config::ModelConfig;
use crate::sft::core::model::Model;
use crate::sft::core::params::Layout;
use crate::sft::tensor_file;
use crate::sft::train::checkpoint;

/// Reads a model from whatever is at `path`.
///
/// # Errors
/// Where it is missing, damaged, not a Qwen2, or quantised.
pub fn load(path: &Path) -> anyhow::Result<Model> {
    if path.is_dir() {
        return from_hf(path);
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
        return from_gguf(path);
    }
    let loaded = tensor_file::read(path)?;
    match checkpoint::load_model(loaded)? {
        Some(model) => Ok(model),
        // A bare model.safetensors: the folder around it has the shape.
        None => from_hf(path.parent().unwrap_or(Path::new("."))),
    }
}

fn not_ours(path: &Path, why: &str) -> anyhow::Error {
    UserError::new(Exit::Error, format!("{} cannot be trained on: {why}", path.display()))
        .hint("give a checkpoint of z1-sft, a Hugging Face folder of a Qwen2 model, or its GGUF in F32, F16 or Q8_0")
        .into()
}

/// Fills a model tensor by tensor; `find` gives the values of a GGUF name.
fn assemble(config: ModelConfig, mut find: impl FnMut(&str) -> anyhow::Result<Vec<f32>>) -> anyhow::Result<Model> {
    config.check().map_err(anyhow::Error::msg)?;
    let layout = Layout::full(&config);
    let mut params = vec![0.0; layout.len];
    for tensor in &layout.tensors {
        let values = find(&tensor.name)?;
        anyhow::ensure!(
            values.len() == tensor.len(),
            "the tensor {} has {} values, not {}",
            tensor.name,
            values.len(),
            tensor.len()
        );
        tensor.of_mut(&mut params).copy_from_slice(&values);
    }
    Ok(Model::from_params(config, params))
}

fn from_hf(folder: &Path) -> anyhow::Result<Model> {
    let text =
        std::fs::read(folder.join("config.json")).map_err(|why| not_ours(folder, &format!("config.json: {why}")))?;
    let json: Value = serde_json::from_slice(&text).context("config.json")?;
    if json.get("model_type").and_then(Value::as_str) != Some("qwen2") {
        return Err(not_ours(folder, "its config.json is not of a qwen2 model"));
    }
    let config = config_of(&json).map_err(|why| not_ours(folder, &format!("its config.json {why}")))?;
    let mut tensors = std::collections::BTreeMap::new();
    for shard in shards(folder)? {
        tensors.extend(tensor_file::read(&shard)?.tensors);
    }
    let model = assemble(config, |name| {
        let hf = qwen2::to_hf(name).expect("invariant: every tensor of a model has a name outside");
        let found = tensors.remove(&hf).map(|(_, values)| values);
        found.with_context(|| format!("the tensor {hf} is missing"))
    });
    model.map_err(|why| not_ours(folder, &format!("{why:#}")))
}

fn shards(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let is_weights = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        name.starts_with("model") && name.ends_with(".safetensors")
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_weights).collect();
    found.sort();
    Ok(found)
}

/// The trainer turns positions plainly; weights trained so would not fit a model that is run otherwise.
const STRETCHED: &str = "stretches its context (rope scaling), which the trainer does not know";

/// The shape in a `config.json`; the error says what is wrong with it.
fn config_of(json: &Value) -> Result<ModelConfig, String> {
    let number =
        |key: &str| json.get(key).and_then(Value::as_u64).map(|n| n as usize).ok_or_else(|| format!("has no {key}"));
    let float = |key: &str, default: f64| json.get(key).and_then(Value::as_f64).unwrap_or(default) as f32;
    let context = number("max_position_embeddings")?;
    let rope: RopeSettings = serde_json::from_value(json.clone()).map_err(|problem| format!("is broken: {problem}"))?;
    let rope = rope.read(context.min(u32::MAX as usize) as u32).map_err(|why| format!("cannot be followed: {why}"))?;
    if rope.scaling.is_some() {
        return Err(STRETCHED.to_owned());
    }
    Ok(ModelConfig {
        vocab_size: number("vocab_size")?,
        hidden: number("hidden_size")?,
        layers: number("num_hidden_layers")?,
        heads: number("num_attention_heads")?,
        kv_heads: number("num_key_value_heads").or_else(|_| number("num_attention_heads"))?,
        ffn: number("intermediate_size")?,
        context,
        rope_theta: rope.theta as f32,
        norm_eps: float("rms_norm_eps", 1e-6),
        tied: json.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
    })
}

/// Blocks of 32 signed bytes behind their scale, as floats.
fn q8_0(bytes: &[u8]) -> Vec<f32> {
    let block = |block: &[u8]| {
        let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
        block[2..].iter().map(|&value| scale * f32::from(value.cast_signed())).collect::<Vec<_>>()
    };
    bytes.chunks_exact(34).flat_map(block).collect()
}

fn from_gguf(path: &Path) -> anyhow::Result<Model> {
    let file = Gguf::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    if file.architecture() != "qwen2" {
        return Err(not_ours(path, &format!("its architecture is `{}`, not qwen2", file.architecture())));
    }
    if file.metadata.string("qwen2.rope.scaling.type").is_some_and(|kind| kind != "none") {
        return Err(not_ours(path, &format!("it {STRETCHED}")));
    }
    let number = |key: &str| {
        let value = file.architecture_number(key).map(|n| n as usize);
        value.ok_or_else(|| not_ours(path, &format!("it does not say qwen2.{key}")))
    };
    let float = |key: &str, default: f64| file.metadata.float(&format!("qwen2.{key}")).unwrap_or(default) as f32;
    let embedding = file.tensor("token_embd.weight").ok_or_else(|| not_ours(path, "it has no token_embd.weight"))?;
    let config = ModelConfig {
        vocab_size: embedding.dimensions.get(1).copied().unwrap_or(0) as usize,
        hidden: number("embedding_length")?,
        layers: number("block_count")?,
        heads: number("attention.head_count")?,
        kv_heads: number("attention.head_count_kv")?,
        ffn: number("feed_forward_length")?,
        context: number("context_length")?,
        rope_theta: float("rope.freq_base", 10_000.0),
        norm_eps: float("attention.layer_norm_rms_epsilon", 1e-6),
        tied: file.tensor("output.weight").is_none(),
    };
    let model = assemble(config, |name| {
        let tensor = file.tensor(name).with_context(|| format!("the tensor {name} is missing"))?;
        let values = match tensor.kind {
            TensorType::Q8_0 => Some(q8_0(&file.read_tensor(tensor)?)),
            _ => file.read_floats(tensor)?,
        };
        values.with_context(|| format!("{name} is {}: quantised models cannot be trained on", tensor.kind.name()))
    });
    model.map_err(|why| not_ours(path, &format!("{why:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bit_blocks_become_floats() {
        let mut bytes = half::f16::from_f32(0.5).to_le_bytes().to_vec();
        bytes.extend((0..32).map(|value: i8| if value == 1 { -128_i8 } else { value }.cast_unsigned()));
        let values = q8_0(&bytes);
        assert_eq!((values.len(), values[0], values[1], values[31]), (32, 0.0, -64.0, 15.5));
    }

    #[test]
    fn a_stretched_context_is_refused_and_both_spellings_of_the_base_are_read() {
        let mut json = super::super::names::hf_config(&ModelConfig {
            vocab_size: 8,
            hidden: 8,
            layers: 1,
            heads: 2,
            kv_heads: 1,
            ffn: 8,
            context: 64,
            rope_theta: 5e5,
            norm_eps: 1e-6,
            tied: true,
        });
        assert_eq!(config_of(&json).unwrap().rope_theta.to_bits(), 5e5_f32.to_bits());
        json["rope_parameters"] = serde_json::json!({ "rope_type": "default", "rope_theta": 1e6 });
        assert_eq!(config_of(&json).unwrap().rope_theta.to_bits(), 1e6_f32.to_bits());
        json["rope_parameters"] = serde_json::json!({ "rope_type": "yarn", "factor": 4.0 });
        assert!(config_of(&json).unwrap_err().contains("rope scaling"));
        json.as_object_mut().unwrap().remove("num_hidden_layers");
        json["rope_parameters"] = Value::Null;
        assert!(config_of(&json).unwrap_err().contains("num_hidden_layers"));
    }

    #[test]
    fn the_shipped_model_can_be_trained_further() {
        let model = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/z1-nano.gguf")).unwrap();
        assert_eq!(model.config.vocab_size, 1024);
        assert!(model.params.iter().all(|value| value.is_finite()));
    }
}
