//! What a Hugging Face folder says about a Qwen2 model: dimensions, vocabulary, special tokens, chat template.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Exit, UserError};
use crate::gguf::qwen2;
use crate::gguf::vocabulary::{AddedToken, Bpe, Tables, TokenKind};

/// Settings files have kilobytes, an index of shards a few hundred; more than this is something else.
const SETTINGS_BYTES_MAX: u64 = 4 << 20;
/// The largest vocabularies of Qwen2 models have 12 MB.
const TOKENIZER_BYTES_MAX: u64 = 24 << 20;
/// More tokens than any Qwen2 has, by an order of magnitude.
const VOCABULARY_MAX: u64 = 4_000_000;

/// `config.json` of a Qwen2 model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
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

/// Whose model it is.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    model_type: String,
}

fn default_rope_theta() -> f64 {
    10_000.0
}

fn default_eps() -> f64 {
    1e-6
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
    /// How text is split before merging, by llama.cpp's name.
    pub pre_tokenizer: &'static str,
    pub chat_template: Option<String>,
}

/// Reads and checks `config.json`.
///
/// # Errors
/// Missing, broken, another architecture (with what is supported), or dimensions that make no sense.
pub fn read_config(folder: &Path) -> anyhow::Result<Config> {
    let path = folder.join("config.json");
    let text = read_json(&path, SETTINGS_BYTES_MAX)?;
    let broken = |problem: serde_json::Error| UserError::new(Exit::Error, format!("{}: {problem}", path.display()));
    // Whose model it is comes first: others lack keys that are Qwen2's.
    let Named { architectures, model_type } = serde_json::from_str(&text).map_err(broken)?;
    let named = architectures.first().map_or(model_type.as_str(), String::as_str);
    if named != "Qwen2ForCausalLM" && named != "qwen2" {
        let what = if named.is_empty() { "of no named architecture".to_owned() } else { format!("a {named:?} model") };
        return Err(UserError::new(Exit::Error, format!("{} is {what}", folder.display()))
            .hint("Qwen2ForCausalLM is supported (Qwen2, Qwen2.5, Z1, R1-Distill-Qwen); for others use a ready GGUF: z1 models add FILE")
            .into());
    }
    let config: Config = serde_json::from_str(&text).map_err(broken)?;
    let heads = u64::from(config.num_attention_heads);
    let sane = heads > 0
        && config.hidden_size.is_multiple_of(heads)
        && config.num_hidden_layers > 0
        && config.num_hidden_layers <= 1024
        && (1..=1 << 20).contains(&config.hidden_size)
        && (1..=1 << 22).contains(&config.intermediate_size)
        && (1..=VOCABULARY_MAX).contains(&config.vocab_size)
        && config.rope_theta.is_finite()
        && config.rope_theta > 0.0
        && (0.0..1.0).contains(&config.rms_norm_eps)
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
    let mut bpe = read_bpe(folder)?;
    bpe.added.extend(added_of_settings(&settings));
    let rows = config.vocab_size as usize;
    let Tables { tokens, kinds } = bpe.tables(rows).map_err(|why| {
        UserError::new(Exit::Error, format!("{}: {why}", folder.display()))
            .hint("tokenizer and model do not belong together")
    })?;
    let named = |name: &str| -> Option<&str> {
        match settings.get(name)? {
            Value::String(text) => Some(text),
            Value::Object(token) => token.get("content")?.as_str(),
            _ => None,
        }
    };
    let id_of = |name: &str| -> Option<u32> {
        let text = named(name)?;
        tokens.iter().position(|token| token == text).map(|id| id as u32)
    };
    let inside = |id: &u32| (*id as usize) < rows;
    let first_id = |value: Option<&Value>| -> Option<u32> {
        let id = match value? {
            Value::Array(ids) => ids.first()?.as_u64(),
            value => value.as_u64(),
        };
        id.and_then(|id| u32::try_from(id).ok()).filter(inside)
    };
    let (bos, eos, pad) = (
        id_of("bos_token").or(config.bos_token_id.filter(inside)),
        id_of("eos_token").or_else(|| first_id(config.eos_token_id.as_ref())),
        id_of("pad_token").or(config.pad_token_id.filter(inside)),
    );
    // The same splitting under the name that llama.cpp's converter gives the distilled models.
    let is_distilled = named("bos_token") == Some("<｜begin▁of▁sentence｜>");
    Ok(Vocabulary {
        bos,
        eos,
        pad,
        pre_tokenizer: if is_distilled { "deepseek-r1-qwen" } else { "qwen2" },
        add_bos: settings.get("add_bos_token").and_then(Value::as_bool),
        chat_template: read_template(folder, &settings)?,
        tokens,
        kinds,
        merges: bpe.merges,
    })
}

fn read_bpe(folder: &Path) -> anyhow::Result<Bpe> {
    let broken = |path: &Path, why: &dyn std::fmt::Display| {
        UserError::new(Exit::Error, format!("{}: {why}", path.display()))
            .hint("download the file again; a git-lfs pointer or a web page in its place is a common cause")
    };
    let whole = folder.join("tokenizer.json");
    if whole.is_file() {
        let text = read_json(&whole, TOKENIZER_BYTES_MAX)?;
        return Bpe::parse(text.as_bytes()).map_err(|why| broken(&whole, &why).into());
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
    let vocab =
        serde_json::from_str(&read_json(&vocab_path, TOKENIZER_BYTES_MAX)?).map_err(|why| broken(&vocab_path, &why))?;
    let merges = read_json(&merges_path, TOKENIZER_BYTES_MAX)?
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.trim().is_empty())
        .map(|line| if line.split(' ').count() == 2 { Ok(line.to_owned()) } else { Err(line) })
        .collect::<Result<_, _>>()
        .map_err(|line| {
            broken(&merges_path, &format!("{:?} is no merge", line.chars().take(60).collect::<String>()))
        })?;
    Ok(Bpe { vocab, merges, added: Vec::new() })
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
        return Ok(Some(read_json(&file, SETTINGS_BYTES_MAX)?));
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
    serde_json::from_str(&read_json(path, SETTINGS_BYTES_MAX)?)
        .map_err(|p| UserError::new(Exit::Error, format!("{}: {p}", path.display())).into())
}

fn read_json(path: &Path, bytes_max: u64) -> anyhow::Result<String> {
    let wrong = |why: String| UserError::new(Exit::Error, format!("{}: {why}", path.display()));
    let hint = "a model folder has config.json, tokenizer.json and *.safetensors";
    let about = fs::metadata(path).map_err(|problem| wrong(problem.to_string()).hint(hint))?;
    if !about.is_file() {
        return Err(wrong("it is no file".to_owned()).hint(hint).into());
    }
    if about.len() > bytes_max {
        return Err(wrong(format!("{} bytes are too many for such a file", about.len())).into());
    }
    let bytes = fs::read(path).map_err(|problem| wrong(problem.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        wrong(format!("it is not text: no UTF-8 at byte {at}")).hint("download the file again").into()
    })
}

/// GGUF's name of a Hugging Face tensor; `None` for tensors that are derived and not stored.
///
/// # Errors
/// A name that is not Qwen2's.
pub fn gguf_name(name: &str, tied: bool) -> Result<Option<String>, String> {
    // A tied checkpoint may still carry the copy.
    if name.ends_with("rotary_emb.inv_freq") || (tied && name == "lm_head.weight") {
        return Ok(None);
    }
    qwen2::from_hf(name).map(Some).ok_or_else(|| format!("tensor {name:?} is not one of Qwen2's"))
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
