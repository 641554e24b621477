//! What a Hugging Face folder says about a Qwen2 model: dimensions, vocabulary, special tokens, chat template.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Exit, UserError};

/// A JSON file of a model is small; more than this is something else.
const JSON_BYTES_MAX: u64 = 64 << 20;
/// More tokens than any Qwen2 has, by an order of magnitude.
const VOCABULARY_MAX: u64 = 4_000_000;

/// `config.json` of a Qwen2 model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    #[serde(default)]
    pub architectures: Vec<String>,
    #[serde(default)]
    pub model_type: String,
    pub hidden_size: u64,
    pub intermediate_size: u64,
    pub num_hidden_layers: u32,
    pub num_attention_heads: u32,
    #[serde(default)]
    pub num_key_value_heads: Option<u32>,
    pub vocab_size: u64,
    pub max_position_embeddings: u32,
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    #[serde(default = "default_eps")]
    pub rms_norm_eps: f64,
    #[serde(default)]
    pub tie_word_embeddings: bool,
    #[serde(default)]
    pub use_sliding_window: bool,
    #[serde(default)]
    pub rope_scaling: Option<Value>,
    #[serde(default)]
    pub bos_token_id: Option<u32>,
    #[serde(default)]
    pub eos_token_id: Option<Value>,
    #[serde(default)]
    pub pad_token_id: Option<u32>,
}

fn default_rope_theta() -> f64 {
    10_000.0
}

fn default_eps() -> f64 {
    1e-6
}

/// Token kinds as GGUF numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenKind {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
}

/// A byte-level BPE vocabulary with everything that GGUF wants to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// By id; padded to the embedding's rows.
    pub tokens: Vec<String>,
    pub kinds: Vec<TokenKind>,
    /// `left right`, by rank.
    pub merges: Vec<String>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub pad: Option<u32>,
    pub add_bos: Option<bool>,
    pub chat_template: Option<String>,
}

#[derive(Deserialize)]
struct TokenizerFile {
    model: BpeModel,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct BpeModel {
    #[serde(rename = "type", default)]
    kind: String,
    vocab: BTreeMap<String, u32>,
    merges: Vec<Merge>,
}

/// Older files write `"a b"`, newer ones `["a", "b"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Joined(String),
    Pair(String, String),
}

#[derive(Clone, Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

/// Reads and checks `config.json`.
///
/// # Errors
/// Missing, broken, another architecture (with what is supported), or dimensions that make no sense.
pub fn read_config(folder: &Path) -> anyhow::Result<Config> {
    let path = folder.join("config.json");
    let config: Config = serde_json::from_str(&read_json(&path)?)
        .map_err(|p| UserError::new(Exit::Error, format!("{}: {p}", path.display())))?;
    let named = config.architectures.first().map_or(config.model_type.as_str(), String::as_str);
    if named != "Qwen2ForCausalLM" && named != "qwen2" {
        return Err(UserError::new(Exit::Error, format!("{} is a {named:?} model", folder.display()))
            .hint("Qwen2ForCausalLM is supported (Qwen2, Qwen2.5, Z1, R1-Distill-Qwen); for others use a ready GGUF: z1 models add FILE")
            .into());
    }
    let heads = u64::from(config.num_attention_heads);
    let sane = heads > 0
        && config.hidden_size.is_multiple_of(heads)
        && config.num_hidden_layers > 0
        && config.num_hidden_layers <= 1024
        && (1..=1 << 20).contains(&config.hidden_size)
        && (1..=1 << 22).contains(&config.intermediate_size)
        && (1..=VOCABULARY_MAX).contains(&config.vocab_size)
        && config.heads_kv() > 0
        && heads.is_multiple_of(u64::from(config.heads_kv()));
    if !sane {
        return Err(UserError::new(Exit::Error, format!("{}: its dimensions make no sense", path.display())).into());
    }
    if config.use_sliding_window {
        return Err(UserError::new(Exit::Error, format!("{} uses a sliding attention window", folder.display()))
            .hint("llama.cpp's qwen2 does not know it; set use_sliding_window to false if the model works without")
            .into());
    }
    Ok(config)
}

impl Config {
    pub fn heads_kv(&self) -> u32 {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }
}

/// Reads the vocabulary from `tokenizer.json`, or from `vocab.json` and `merges.txt`, with what
/// `tokenizer_config.json`, `generation_config.json` and `config.json` say about special tokens.
///
/// # Errors
/// Missing or broken files, or ids that do not fit the model.
pub fn read_vocabulary(folder: &Path, config: &Config) -> anyhow::Result<Vocabulary> {
    let settings = optional_json(&folder.join("tokenizer_config.json"))?;
    let (vocab, merges, mut added) = read_bpe(folder)?;
    added.extend(added_of_settings(&settings));
    let rows = config.vocab_size as usize;
    let mut tokens: Vec<Option<String>> = vec![None; rows];
    let mut kinds = vec![TokenKind::Unused; rows];
    let outside = |id: u32, token: &str| {
        UserError::new(Exit::Error, format!("token {token:?} has id {id}, but the model has {rows} rows"))
            .hint("tokenizer and model do not belong together")
    };
    for (token, id) in vocab {
        let slot = tokens.get_mut(id as usize).ok_or_else(|| outside(id, &token))?;
        *slot = Some(token);
        kinds[id as usize] = TokenKind::Normal;
    }
    for token in &added {
        let slot = tokens.get_mut(token.id as usize).ok_or_else(|| outside(token.id, &token.content))?;
        *slot = Some(token.content.clone());
        kinds[token.id as usize] = if token.special { TokenKind::Control } else { TokenKind::UserDefined };
    }
    let id_of = |name: &str| -> Option<u32> {
        let text = match settings.get(name)? {
            Value::String(text) => text.as_str(),
            Value::Object(token) => token.get("content")?.as_str()?,
            _ => return None,
        };
        tokens.iter().position(|t| t.as_deref() == Some(text)).map(|id| id as u32)
    };
    let first_id = |value: Option<&Value>| -> Option<u32> {
        match value? {
            Value::Array(ids) => ids.first()?.as_u64(),
            value => value.as_u64(),
        }
        .and_then(|id| u32::try_from(id).ok())
    };
    let (bos, eos, pad) = (
        id_of("bos_token").or(config.bos_token_id),
        id_of("eos_token").or_else(|| first_id(config.eos_token_id.as_ref())),
        id_of("pad_token").or(config.pad_token_id),
    );
    Ok(Vocabulary {
        bos,
        eos,
        pad,
        tokens: tokens
            .into_iter()
            .enumerate()
            .map(|(id, token)| token.unwrap_or_else(|| format!("[PAD{id}]")))
            .collect(),
        kinds,
        merges,
        add_bos: settings.get("add_bos_token").and_then(Value::as_bool),
        chat_template: read_template(folder, &settings)?,
    })
}

type Bpe = (BTreeMap<String, u32>, Vec<String>, Vec<AddedToken>);

fn read_bpe(folder: &Path) -> anyhow::Result<Bpe> {
    let whole = folder.join("tokenizer.json");
    if whole.is_file() {
        let file: TokenizerFile = serde_json::from_str(&read_json(&whole)?)
            .map_err(|p| UserError::new(Exit::Error, format!("{}: {p}", whole.display())))?;
        if !file.model.kind.is_empty() && file.model.kind != "BPE" {
            return Err(UserError::new(
                Exit::Error,
                format!("{}: a {} tokenizer; BPE is supported", whole.display(), file.model.kind),
            )
            .into());
        }
        let merges = file
            .model
            .merges
            .into_iter()
            .map(|merge| match merge {
                Merge::Joined(text) => text,
                Merge::Pair(left, right) => format!("{left} {right}"),
            })
            .collect();
        return Ok((file.model.vocab, merges, file.added_tokens));
    }
    let vocab_path = folder.join("vocab.json");
    let merges_path = folder.join("merges.txt");
    if !vocab_path.is_file() || !merges_path.is_file() {
        return Err(UserError::new(
            Exit::Error,
            format!("{}: neither tokenizer.json nor vocab.json with merges.txt", folder.display()),
        )
        .hint("download the tokenizer's files too")
        .into());
    }
    let vocab = serde_json::from_str(&read_json(&vocab_path)?)
        .map_err(|p| UserError::new(Exit::Error, format!("{}: {p}", vocab_path.display())))?;
    let merges = read_json(&merges_path)?
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.trim().is_empty())
        .map(str::to_owned)
        .collect();
    Ok((vocab, merges, Vec::new()))
}

/// `added_tokens_decoder` of `tokenizer_config.json`; needed where there is no `tokenizer.json`.
fn added_of_settings(settings: &Value) -> Vec<AddedToken> {
    let Some(map) = settings.get("added_tokens_decoder").and_then(Value::as_object) else { return Vec::new() };
    map.iter()
        .filter_map(|(id, token)| {
            Some(AddedToken {
                id: id.parse().ok()?,
                content: token.get("content")?.as_str()?.to_owned(),
                special: token.get("special").and_then(Value::as_bool).unwrap_or(false),
            })
        })
        .collect()
}

fn read_template(folder: &Path, settings: &Value) -> anyhow::Result<Option<String>> {
    let file = folder.join("chat_template.jinja");
    if file.is_file() {
        return Ok(Some(read_json(&file)?));
    }
    Ok(match settings.get("chat_template") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(templates)) => templates
            .iter()
            .find(|template| template.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|template| template.get("template")?.as_str().map(str::to_owned)),
        _ => None,
    })
}

fn optional_json(path: &Path) -> anyhow::Result<Value> {
    if !path.is_file() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&read_json(path)?)
        .map_err(|p| UserError::new(Exit::Error, format!("{}: {p}", path.display())).into())
}

fn read_json(path: &Path) -> anyhow::Result<String> {
    let size = fs::metadata(path)
        .map_err(|p| {
            UserError::new(Exit::Error, format!("{}: {p}", path.display()))
                .hint("a model folder has config.json, tokenizer.json and *.safetensors")
        })?
        .len();
    if size > JSON_BYTES_MAX {
        return Err(UserError::new(
            Exit::Error,
            format!("{} is {size} bytes long; that is no settings file", path.display()),
        )
        .into());
    }
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// GGUF's name of a Hugging Face tensor; `None` for tensors that are derived and not stored.
///
/// # Errors
/// A name that is not Qwen2's.
pub fn gguf_name(name: &str, tied: bool) -> Result<Option<String>, String> {
    match name {
        "model.embed_tokens.weight" => return Ok(Some("token_embd.weight".into())),
        "model.norm.weight" => return Ok(Some("output_norm.weight".into())),
        // A tied checkpoint may still carry the copy.
        "lm_head.weight" => return Ok((!tied).then(|| "output.weight".into())),
        _ if name.ends_with("rotary_emb.inv_freq") => return Ok(None),
        _ => {}
    }
    let unknown = || format!("tensor {name:?} is not one of Qwen2's");
    let (layer, rest) = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')).ok_or_else(unknown)?;
    let layer: u32 = layer.parse().map_err(|_| unknown())?;
    let (stem, kind) = rest.rsplit_once('.').ok_or_else(unknown)?;
    let part = match (stem, kind) {
        ("input_layernorm", "weight") => "attn_norm",
        ("post_attention_layernorm", "weight") => "ffn_norm",
        ("self_attn.q_proj", "weight" | "bias") => "attn_q",
        ("self_attn.k_proj", "weight" | "bias") => "attn_k",
        ("self_attn.v_proj", "weight" | "bias") => "attn_v",
        ("self_attn.o_proj", "weight") => "attn_output",
        ("mlp.gate_proj", "weight") => "ffn_gate",
        ("mlp.up_proj", "weight") => "ffn_up",
        ("mlp.down_proj", "weight") => "ffn_down",
        _ => return Err(unknown()),
    };
    Ok(Some(format!("blk.{layer}.{part}.{kind}")))
}

/// Every tensor that a complete model has, with its shape (outermost dimension first).
pub fn expected_tensors(config: &Config) -> BTreeMap<String, Vec<u64>> {
    let (d, ff, vocab) = (config.hidden_size, config.intermediate_size, config.vocab_size);
    let kv = d / u64::from(config.num_attention_heads) * u64::from(config.heads_kv());
    let mut expected =
        BTreeMap::from([("token_embd.weight".to_owned(), vec![vocab, d]), ("output_norm.weight".to_owned(), vec![d])]);
    if !config.tie_word_embeddings {
        expected.insert("output.weight".to_owned(), vec![vocab, d]);
    }
    for layer in 0..config.num_hidden_layers {
        let mut add = |part: &str, shape: Vec<u64>| expected.insert(format!("blk.{layer}.{part}"), shape);
        add("attn_norm.weight", vec![d]);
        add("ffn_norm.weight", vec![d]);
        for (part, rows) in [("attn_q", d), ("attn_k", kv), ("attn_v", kv)] {
            add(&format!("{part}.weight"), vec![rows, d]);
            add(&format!("{part}.bias"), vec![rows]);
        }
        add("attn_output.weight", vec![d, d]);
        add("ffn_gate.weight", vec![ff, d]);
        add("ffn_up.weight", vec![ff, d]);
        add("ffn_down.weight", vec![d, ff]);
    }
    expected
}

/// The names of the weight files, in order: those of the index where there is one, else every `*.safetensors`.
///
/// # Errors
/// None there, or a file that the index names is missing or not a plain name.
pub fn weight_files(folder: &Path) -> anyhow::Result<Vec<String>> {
    let index = optional_json(&folder.join("model.safetensors.index.json"))?;
    let mut names = BTreeSet::new();
    if let Some(map) = index.get("weight_map").and_then(Value::as_object) {
        for file in map.values().filter_map(Value::as_str) {
            if file.contains(['/', '\\']) || file.starts_with('.') {
                return Err(UserError::new(
                    Exit::Error,
                    format!("the index names {file:?}, which is not a plain file name"),
                )
                .into());
            }
            if !folder.join(file).is_file() {
                return Err(UserError::new(Exit::Error, format!("{} is missing in {}", file, folder.display()))
                    .hint("the index names it: download the rest of the model")
                    .into());
            }
            names.insert(file.to_owned());
        }
    } else {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".safetensors") {
                names.insert(name);
            }
        }
    }
    if names.is_empty() {
        return Err(UserError::new(Exit::Error, format!("no *.safetensors in {}", folder.display()))
            .hint("pytorch_model.bin is not supported: it can run code when it is read")
            .into());
    }
    Ok(names.into_iter().collect())
}
