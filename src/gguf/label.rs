//! What a GGUF says of its own model beside the weights: names, tokens that frame a prompt, the chat template, how its
//! makers draw.
//!
//! Not for: deciding what follows from it (`model_store` makes traits of it).

use serde::{Deserialize, Serialize};

use super::Gguf;
use super::metadata::{Metadata, Value};
use crate::traits::{Sampling, THINK_TAGS};

/// What is written on a model file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// What the model may be recognised by: its name, its base name with size, the file's name.
    pub names: Vec<String>,
    /// The text of the token that begins a prompt; empty where there is none.
    pub bos: String,
    /// The text of the token that ends a turn; empty where there is none.
    pub eos: String,
    /// Whether a prompt must begin with `bos`.
    pub adds_bos: bool,
    /// The Jinja template that the file carries.
    pub chat_template: Option<String>,
    /// Think tags that are tokens of its vocabulary.
    pub think_tags: Option<(String, String)>,
    /// How its makers draw (`general.sampling.*`).
    pub sampling: Option<Sampling>,
}

/// Pre-tokenisers of byte-pair vocabularies that llama.cpp begins with BOS where the file says nothing.
const PRE_WITH_BOS: [&str; 10] =
    ["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "tekken", "chameleon"];

impl Label {
    /// Reads a header's label.
    pub fn of(gguf: &Gguf) -> Self {
        let metadata = &gguf.metadata;
        let text = |key: &str| metadata.string(key).map(str::trim).filter(|text| !text.is_empty());
        let base = text("general.basename").map(|base| {
            let parts = [Some(base), text("general.size_label"), text("general.finetune")];
            parts.into_iter().flatten().collect::<Vec<_>>().join("-")
        });
        let stem = gguf.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let names = [text("general.name").map(str::to_owned), base, stem].into_iter().flatten().collect();
        let token = |key: &str| token_text(metadata, key).unwrap_or_default();
        Self {
            names,
            bos: token("bos_token_id"),
            eos: token("eos_token_id"),
            adds_bos: adds_bos(metadata),
            chat_template: metadata.string("tokenizer.chat_template").map(str::to_owned),
            think_tags: think_tags(metadata),
            sampling: sampling(metadata),
        }
    }
}

fn token_text(metadata: &Metadata, key: &str) -> Option<String> {
    let id = metadata.unsigned(&format!("tokenizer.ggml.{key}"))?;
    metadata.strings("tokenizer.ggml.tokens")?.get(usize::try_from(id).ok()?).cloned()
}

fn adds_bos(metadata: &Metadata) -> bool {
    if let Some(Value::Bool(adds)) = metadata.get("tokenizer.ggml.add_bos_token") {
        return *adds;
    }
    let pre = metadata.string("tokenizer.ggml.pre").unwrap_or_default();
    match metadata.string("tokenizer.ggml.model") {
        Some("llama") => true,
        Some("gpt2") => PRE_WITH_BOS.contains(&pre),
        _ => false,
    }
}

fn think_tags(metadata: &Metadata) -> Option<(String, String)> {
    let tokens = metadata.strings("tokenizer.ggml.tokens")?;
    // The tags are added last.
    let has = |tag: &str| tokens.iter().rev().any(|token| token == tag);
    let (open, close) = THINK_TAGS.iter().find(|(open, close)| has(close) && has(open))?;
    Some(((*open).to_owned(), (*close).to_owned()))
}

/// Values that cannot be are taken for none: a file is no authority over what it may do to the sampler.
fn sampling(metadata: &Metadata) -> Option<Sampling> {
    let number = |key: &str| {
        let key = format!("general.sampling.{key}");
        metadata.float(&key).or_else(|| metadata.unsigned(&key).map(|whole| whole as f64))
    };
    let share = |key: &str| number(key).filter(|share| (0.0..=1.0).contains(share)).map(|share| share as f32);
    let temperature = number("temp").filter(|temperature| (0.0..=2.0).contains(temperature))? as f32;
    Some(Sampling {
        temperature,
        top_k: number("top_k").filter(|k| (0.0..=1e6).contains(k)).unwrap_or(0.0) as u32,
        top_p: share("top_p").filter(|share| *share > 0.0).unwrap_or(1.0),
        min_p: share("min_p").unwrap_or(0.0),
        ..Sampling::GREEDY
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::tiny::Tiny;

    fn label(change: impl FnOnce(&mut Metadata)) -> Label {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Some-Model.gguf");
        Tiny::default().write(&path).unwrap();
        let mut gguf = Gguf::open(&path).unwrap();
        change(&mut gguf.metadata);
        Label::of(&gguf)
    }

    #[test]
    fn names_and_tokens_are_read_and_absent_ones_are_empty() {
        let found = label(|metadata| {
            metadata.set("general.name", "Qwen2.5 Coder 1.5B Instruct GGUF");
            metadata.set("general.basename", "Qwen2.5-Coder");
            metadata.set("general.size_label", "1.5B");
            metadata.set("tokenizer.ggml.bos_token_id", Value::U32(0));
            metadata.set("tokenizer.ggml.eos_token_id", Value::U32(u32::MAX));
        });
        assert_eq!(found.names, ["Qwen2.5 Coder 1.5B Instruct GGUF", "Qwen2.5-Coder-1.5B", "Some-Model"]);
        assert!(!found.bos.is_empty());
        assert_eq!((found.eos.as_str(), found.think_tags, found.sampling), ("", None, None));
    }

    #[test]
    fn bos_is_added_where_the_file_says_so_or_its_kind_of_vocabulary_wants_it() {
        let with = |key: &'static str, value: Value| label(|metadata| metadata.set(key, value)).adds_bos;
        assert!(with("tokenizer.ggml.add_bos_token", Value::Bool(true)));
        let without = |change: fn(&mut Metadata)| {
            label(|metadata| {
                metadata.set("tokenizer.ggml.add_bos_token", "nothing that is yes or no");
                change(metadata);
            })
            .adds_bos
        };
        assert!(!without(|_| {}));
        assert!(without(|metadata| metadata.set("tokenizer.ggml.model", "llama")));
        assert!(without(|metadata| metadata.set("tokenizer.ggml.pre", "llama-bpe")));
    }

    #[test]
    fn the_makers_sampling_is_read_and_nonsense_is_not() {
        let drawn = |temp: f32, top_p: f32| {
            label(|metadata| {
                metadata.set("general.sampling.temp", Value::F32(temp));
                metadata.set("general.sampling.top_p", Value::F32(top_p));
                metadata.set("general.sampling.top_k", Value::I32(20));
            })
            .sampling
        };
        let sampling = drawn(0.7, 0.8).unwrap();
        assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (0.7, 0.8, 20));
        assert_eq!(drawn(f32::NAN, 0.8), None);
        assert!((drawn(0.7, 7.0).unwrap().top_p - 1.0).abs() < f32::EPSILON);
    }

    #[test]
    fn think_tags_are_found_in_the_vocabulary() {
        let found = label(|metadata| {
            let Some(Value::Strings(mut tokens)) = metadata.get("tokenizer.ggml.tokens").cloned() else { return };
            tokens.extend(["<think>".to_owned(), "</think>".to_owned()]);
            metadata.set("tokenizer.ggml.tokens", Value::Strings(tokens));
        });
        assert_eq!(found.think_tags, Some(("<think>".to_owned(), "</think>".to_owned())));
    }
}
