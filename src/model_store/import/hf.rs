//! What a Hugging Face folder says about a Qwen2 model: dimensions, vocabulary, special tokens, chat template.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use super::special::{Sources, Specials};
use crate::error::{Exit, UserError};
use crate::gguf::qwen2;
use crate::gguf::rope::{Rope, RopeSettings};
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
    #[serde(default = "default_eps")]
    pub rms_norm_eps: f64,
    #[serde(default)]
    pub tie_word_embeddings: bool,
    #[serde(default)]
    pub use_sliding_window: bool,
    /// The kind of each layer's attention, in newer files.
    #[serde(default)]
    pub layer_types: Option<Vec<String>>,
    #[serde(default)]
    pub hidden_act: Option<String>,
    #[serde(default)]
    pub is_causal: Option<bool>,
    #[serde(default)]
    pub head_dim: Option<u64>,
    #[serde(flatten)]
    pub rope: RopeSettings,
    /// Everything else; the special tokens' ids are looked up here.
    #[serde(flatten)]
    pub special: HashMap<String, Value>,
}

/// Whose model it is.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    model_type: String,
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
    pub specials: Specials,
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
        && (0.0..1.0).contains(&config.rms_norm_eps)
        && config.heads_kv() > 0
        && heads.is_multiple_of(u64::from(config.heads_kv()));
    if !sane {
        return Err(UserError::new(Exit::Error, format!("{}: its dimensions make no sense", path.display())).into());
    }
    if let Some(why) = config.strange() {
        return Err(UserError::new(Exit::Error, format!("{} {why}", folder.display()))
            .hint("llama.cpp's qwen2 does not know it, and the model would work worse without")
            .into());
    }
    config.rope().map_err(|why| UserError::new(Exit::Error, format!("{}: {why}", path.display())))?;
    Ok(config)
}

impl Config {
    pub fn heads_kv(&self) -> u32 {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// How positions are turned.
    ///
    /// # Errors
    /// In words, what cannot be carried into a GGUF.
    pub fn rope(&self) -> Result<Rope, String> {
        self.rope.read(self.max_position_embeddings)
    }

    /// What makes it another model than llama.cpp's qwen2.
    fn strange(&self) -> Option<String> {
        let slides = self.layer_types.iter().flatten().any(|kind| kind != "full_attention");
        let own_width =
            self.head_dim.is_some_and(|width| width != self.hidden_size / u64::from(self.num_attention_heads));
        match self.hidden_act.as_deref() {
            _ if self.use_sliding_window || slides => Some("uses a sliding attention window".to_owned()),
            _ if self.is_causal == Some(false) => Some("looks ahead (is_causal is false)".to_owned()),
            _ if own_width => Some("has heads of another width than hidden_size / num_attention_heads".to_owned()),
            Some(other) if other != "silu" => Some(format!("uses the activation {other:?}")),
            _ => None,
        }
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
    let post_processor = read_post_processor(folder)?;
    let sources = Sources { settings: &settings, post_processor: &post_processor, config, tokens: &tokens };
    // The same splitting under the name that llama.cpp's converter gives the distilled models.
    let is_distilled = sources.named("bos") == Some("<｜begin▁of▁sentence｜>");
    Ok(Vocabulary {
        specials: Specials::read(&sources),
        pre_tokenizer: if is_distilled { "deepseek-r1-qwen" } else { "qwen2" },
        chat_template: read_template(folder, &settings)?,
        tokens,
        kinds,
        merges: bpe.merges,
    })
}

/// The last step of `tokenizer.json`; null where there is none.
fn read_post_processor(folder: &Path) -> anyhow::Result<Value> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        post_processor: Value,
    }
    let path = folder.join("tokenizer.json");
    if !path.is_file() {
        return Ok(Value::Null);
    }
    let file: File = serde_json::from_str(&read_json(&path, TOKENIZER_BYTES_MAX)?)
        .map_err(|problem| UserError::new(Exit::Error, format!("{}: {problem}", path.display())))?;
    Ok(file.post_processor)
}

/// How the makers draw from the model, as `generation_config.json` says: GGUF's name and the number.
///
/// # Errors
/// A file that does not parse.
pub fn read_sampling(folder: &Path) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let settings = optional_json(&folder.join("generation_config.json"))?;
    let number = |(name, gguf_name): (&str, &'static str)| {
        let number = settings.get(name)?.as_f64().filter(|number| number.is_finite())?;
        Some((gguf_name, number))
    };
    let names = [
        ("top_k", "top_k"),
        ("top_p", "top_p"),
        ("min_p", "min_p"),
        ("temperature", "temp"),
        ("repetition_penalty", "penalty_repeat"),
    ];
    Ok(names.into_iter().filter_map(number).collect())
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
