//! Hugging Face's layout: `model.safetensors`, `config.json`, `generation_config.json` and the tokenizer's files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::names;
use super::vocabulary::{CHATML, Vocabulary};
use crate::error::UserError;
use crate::gguf::qwen2;
use crate::sft::core::model::Model;
use crate::sft::tensor_file::{self, Tensor};

/// Tokenizer files that are copied where they lie beside `tokenizer.json`.
const BESIDE: [&str; 4] = ["tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"];

/// Writes the model (its adapter merged) with its tokenizer into a folder.
///
/// # Errors
/// Where something cannot be written.
pub fn write_model(folder: &Path, model: &Model, vocabulary: &Vocabulary, tokenizer: &Path) -> anyhow::Result<()> {
    if crate::gguf::is_named(tokenizer) {
        let what = format!("a Hugging Face folder needs a tokenizer.json; {} is a GGUF file", tokenizer.display());
        return Err(UserError::usage(what).hint("`z1 sft tokenizer` writes one of a GGUF file, too").into());
    }
    let merged = model.merged();
    let tensors: Vec<Tensor<'_>> =
        merged.layout.tensors.iter().map(|tensor| tensor_of(tensor, &merged.params)).collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    tensor_file::write(&folder.join("model.safetensors"), &tensors, &metadata)?;
    let mut config = names::hf_config(&merged.config);
    config["bos_token_id"] = vocabulary.padding.into();
    config["eos_token_id"] = vocabulary.end.into();
    write_json(&folder.join("config.json"), &config)?;
    let generation = serde_json::json!({
        "bos_token_id": vocabulary.padding,
        "eos_token_id": [vocabulary.end, vocabulary.padding],
        "pad_token_id": vocabulary.padding,
        "do_sample": false,
    });
    write_json(&folder.join("generation_config.json"), &generation)?;
    copy(tokenizer, &folder.join("tokenizer.json"))?;
    for name in BESIDE {
        let from = tokenizer.with_file_name(name);
        if from.exists() {
            copy(&from, &folder.join(name))?;
        }
    }
    let settings = folder.join("tokenizer_config.json");
    if settings.exists() { Ok(()) } else { write_json(&settings, &tokenizer_config()) }
}

fn tensor_of<'a>(tensor: &crate::sft::core::params::TensorInfo, params: &'a [f32]) -> Tensor<'a> {
    let name = qwen2::to_hf(&tensor.name).expect("invariant: every tensor of a model has a name outside");
    let shape = if tensor.is_vector() { vec![tensor.cols] } else { vec![tensor.rows, tensor.cols] };
    Tensor { name, shape, data: tensor.of(params) }
}

fn tokenizer_config() -> serde_json::Value {
    serde_json::json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "clean_up_tokenization_spaces": false,
        "add_bos_token": false,
        "chat_template": CHATML,
    })
}

/// Writes a JSON file, complete or not at all.
///
/// # Errors
/// Where it cannot be written.
pub fn write_json(path: &Path, value: &serde_json::Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    tensor_file::replace_file(path, text.len() as u64, |file| file.write_all(text.as_bytes()))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    tensor_file::replace_file(to, bytes.len() as u64, |file| file.write_all(&bytes))
}
