//! A model to start from: a checkpoint of ours, a Hugging Face folder, or a GGUF file, quantised or not.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::engine::fingerprint;
use crate::error::{Exit, UserError};
use crate::gguf::rope::RopeSettings;
use crate::gguf::{Gguf, TensorType, qwen2};
use crate::sft::core::config::ModelConfig;
use crate::sft::core::frozen::FrozenBase;
use crate::sft::core::model::{BaseFile, Model};
use crate::sft::core::params::{Layout, LoraConfig};
use crate::sft::tensor_file;
use crate::sft::train::checkpoint;

/// What a model file says of itself before its weights are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub config: ModelConfig,
    /// Bytes of the file's weights where they can stay in it (a GGUF file).
    pub stays_bytes: Option<u64>,
    /// The adapter in the file, where it is one of ours.
    pub lora: Option<LoraConfig>,
}

/// Reads the shape of the model at `path`, and none of its weights.
///
/// # Errors
/// As [`load`].
pub fn describe(path: &Path) -> anyhow::Result<Described> {
    if path.is_dir() {
        return Ok(Described { config: hf_shape(path)?, stays_bytes: None, lora: None });
    }
    if crate::gguf::is_named(path) {
        let file = open_gguf(path)?;
        let bytes = file.tensors.iter().map(|tensor| tensor.bytes).sum();
        return Ok(Described { config: gguf_shape(&file)?, stays_bytes: Some(bytes), lora: None });
    }
    match checkpoint::described(&tensor_file::metadata(path)?)? {
        Some((config, lora)) => Ok(Described { config, stays_bytes: None, lora }),
        None => describe(folder_of(path)),
    }
}

/// Reads a model from whatever is at `path`, its weights as f32 in memory. An adapter brings its base with it.
///
/// # Errors
/// Where it is missing, damaged, or not a Qwen2.
pub fn load(path: &Path) -> anyhow::Result<Model> {
    read(path, false)
}

/// As [`load`], but weights that can stay in their file stay there, quantised: such a model takes an adapter and
/// cannot be trained itself.
///
/// # Errors
/// As [`load`].
pub fn load_frozen(path: &Path) -> anyhow::Result<Model> {
    read(path, true)
}

fn read(path: &Path, frozen: bool) -> anyhow::Result<Model> {
    if path.is_dir() {
        return from_hf(path);
    }
    if crate::gguf::is_named(path) {
        return from_gguf(path, frozen);
    }
    let loaded = tensor_file::read(path)?;
    if let Some(base) = checkpoint::base_of(&loaded)? {
        let model = read(&checked(&base)?, frozen)?;
        return checkpoint::with_adapter(model, base, loaded);
    }
    match checkpoint::load_model(loaded)? {
        Some(model) => Ok(model),
        // A bare model.safetensors: the folder around it has the shape.
        None => from_hf(folder_of(path)),
    }
}

/// The file of an adapter's base, where it still is what the adapter was trained on.
fn checked(base: &BaseFile) -> anyhow::Result<PathBuf> {
    let found = base_file(&base.path).map_err(|why| {
        UserError::new(Exit::Error, format!("the adapter's base {} cannot be read: {why:#}", base.path.display()))
            .hint("put it back where it was; the adapter holds no weights of it")
    })?;
    if found.fingerprint != base.fingerprint {
        let what = format!("{} is not the base that the adapter was trained on", base.path.display());
        let hint = format!("its fingerprint is {}, the adapter's base had {}", found.fingerprint, base.fingerprint);
        return Err(UserError::new(Exit::Error, what).hint(hint).into());
    }
    Ok(found.path)
}

/// Names a base and what is in it.
///
/// # Errors
/// Where it cannot be read.
pub fn base_file(path: &Path) -> anyhow::Result<BaseFile> {
    let path = path.canonicalize().with_context(|| format!("cannot read {}", path.display()))?;
    let fingerprint = if path.is_dir() {
        let parts: Vec<String> = shards(&path)?.iter().map(|shard| fingerprint(shard)).collect::<Result<_, _>>()?;
        parts.join("+")
    } else {
        fingerprint(&path)?
    };
    Ok(BaseFile { path, fingerprint })
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn not_ours(path: &Path, why: &str) -> anyhow::Error {
    UserError::new(Exit::Error, format!("{} cannot be trained on: {why}", path.display()))
        .hint("give a checkpoint of z1-sft, a Hugging Face folder of a Qwen2 model, or a Qwen2 model's GGUF file")
        .into()
}

/// Fills a model tensor by tensor; `find` gives the values of a GGUF name.
fn assemble(config: ModelConfig, mut find: impl FnMut(&str) -> anyhow::Result<Vec<f32>>) -> anyhow::Result<Model> {
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

fn hf_shape(folder: &Path) -> anyhow::Result<ModelConfig> {
    let text =
        std::fs::read(folder.join("config.json")).map_err(|why| not_ours(folder, &format!("config.json: {why}")))?;
    let json: Value = serde_json::from_slice(&text).context("config.json")?;
    if json.get("model_type").and_then(Value::as_str) != Some("qwen2") {
        return Err(not_ours(folder, "its config.json is not of a qwen2 model"));
    }
    if json.get("use_sliding_window").and_then(Value::as_bool) == Some(true) {
        return Err(not_ours(folder, "its attention slides over a window, which the trainer does not know"));
    }
    let config = config_of(&json).map_err(|why| not_ours(folder, &format!("its config.json {why}")))?;
    config.check().map_err(|why| not_ours(folder, &why))?;
    Ok(config)
}

/// Tensors go straight from the mapped shards into their places.
fn from_hf(folder: &Path) -> anyhow::Result<Model> {
    let config = hf_shape(folder)?;
    let layout = Layout::full(&config);
    let mut params = vec![0.0; layout.len];
    let mut missing: std::collections::BTreeSet<&str> = layout.tensors.iter().map(|t| t.name.as_str()).collect();
    let shards = shards(folder)?;
    for shard in &shards {
        tensor_file::visit(
            shard,
            |_| {},
            |hf, stored| {
                let name = qwen2::from_hf(hf);
                let Some(tensor) = name.and_then(|name| layout.find(&name)) else { return Ok(()) };
                missing.remove(tensor.name.as_str());
                stored.widen(tensor.of_mut(&mut params))
            },
        )?;
    }
    if let Some(name) = missing.first() {
        let hf = qwen2::to_hf(name).unwrap_or_default();
        return Err(not_ours(folder, &format!("the tensor {hf} is missing from its {} shards", shards.len())));
    }
    Ok(Model::from_params(config, params))
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

fn open_gguf(path: &Path) -> anyhow::Result<Gguf> {
    let file = Gguf::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    if file.architecture() != "qwen2" {
        return Err(not_ours(path, &format!("its architecture is `{}`, not qwen2", file.architecture())));
    }
    if file.metadata.string("qwen2.rope.scaling.type").is_some_and(|kind| kind != "none") {
        return Err(not_ours(path, &format!("it {STRETCHED}")));
    }
    Ok(file)
}

fn gguf_shape(file: &Gguf) -> anyhow::Result<ModelConfig> {
    let path = &file.path;
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
        tied: is_tied(file)?,
    };
    config.check().map_err(|why| not_ours(path, &why))?;
    Ok(config)
}

/// Rows by which two copies of a matrix are told from two matrices.
const COMPARED_ROWS: u64 = 16;
/// Two quantisations of one matrix differ by a few hundredths of its length; two matrices by more than it.
const COPY_DISTANCE: f64 = 0.3;

/// Whether the head is the embedding: the file has one of them, or two copies in different quantisations, as the
/// makers' own files have.
fn is_tied(file: &Gguf) -> anyhow::Result<bool> {
    let (Some(embedding), Some(head)) = (file.tensor("token_embd.weight"), file.tensor("output.weight")) else {
        return Ok(true);
    };
    if embedding.dimensions != head.dimensions || !(embedding.kind.is_readable() && head.kind.is_readable()) {
        return Ok(false);
    }
    // Two floats that are the same weights would have been stored once.
    if embedding.kind == TensorType::F32 && head.kind == TensorType::F32 {
        return Ok(false);
    }
    let data = file.map()?;
    let rows = embedding.dimensions.get(1).copied().unwrap_or(0).max(1);
    let cols = embedding.dimensions[0] as usize;
    let (mut apart, mut length) = (0.0, 0.0);
    for row in (0..COMPARED_ROWS).map(|n| n * (rows - 1) / COMPARED_ROWS) {
        let [a, b] = [embedding, head].map(|tensor| {
            let place = crate::gguf::Mapped::place(tensor);
            let row_bytes = tensor.bytes / rows;
            let at = place.start + (row * row_bytes) as usize;
            let mut values = vec![0.0; cols];
            tensor.kind.dequantise(&data.bytes()[at..at + row_bytes as usize], &mut values);
            values
        });
        apart += a.iter().zip(&b).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
        length += a.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    }
    Ok(apart.sqrt() < COPY_DISTANCE * length.sqrt())
}

fn from_gguf(path: &Path, frozen: bool) -> anyhow::Result<Model> {
    let file = open_gguf(path)?;
    let config = gguf_shape(&file)?;
    if frozen {
        let base = FrozenBase::open(&file, &config).map_err(|why| not_ours(path, &why))?;
        return Ok(Model::from_frozen(config, base));
    }
    let tied = config.tied;
    let model = assemble(config, |name| {
        let tensor = file.tensor(name).with_context(|| format!("the tensor {name} is missing"))?;
        // Of two copies of a tied head the finer one is the model's.
        let finer = file.tensor("output.weight").filter(|head| tied && head.bytes > tensor.bytes);
        let tensor = if name == "token_embd.weight" { finer.unwrap_or(tensor) } else { tensor };
        let values = file.read_numbers(tensor)?;
        values.with_context(|| format!("{name} is {}, which cannot be read", tensor.kind.name()))
    });
    model.map_err(|why| not_ours(path, &format!("{why:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

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
