//! Which tokens begin, end and fill a text, by what a folder's files say together; written as llama.cpp's converter
//! writes it.

use serde_json::Value;

use super::hf::Config;
use crate::gguf::{Value as GgufValue, Writer};

/// Hugging Face's name of a special token, and GGUF's.
const ROLES: [(&str, &str); 7] = [
    ("bos", "bos"),
    ("eos", "eos"),
    ("unk", "unknown"),
    // GGUF spells it so.
    ("sep", "seperator"),
    ("pad", "padding"),
    ("cls", "cls"),
    ("mask", "mask"),
];
/// Tokens that a tokenizer may put around a text by itself.
const ADDED: [&str; 3] = ["bos", "eos", "sep"];

/// The special tokens of a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Specials {
    /// GGUF's name and the token's id.
    pub ids: Vec<(&'static str, u32)>,
    /// Whether a token is put before or after a text.
    pub adds: Vec<(&'static str, bool)>,
}

/// What says something about them.
pub(super) struct Sources<'a> {
    /// `tokenizer_config.json`
    pub(super) settings: &'a Value,
    /// `post_processor` of `tokenizer.json`
    pub(super) post_processor: &'a Value,
    pub(super) config: &'a Config,
    /// By id.
    pub(super) tokens: &'a [String],
}

impl Specials {
    /// The tokenizer's word goes before the model's: fine-tuned models change the former.
    pub(super) fn read(sources: &Sources<'_>) -> Self {
        let mut specials = Self::default();
        let template = template(sources);
        for (role, gguf_name) in ROLES {
            if let Some(id) =
                sources.named(role).and_then(|name| sources.id_of(name)).or_else(|| sources.of_model(role))
            {
                specials.ids.push((gguf_name, id));
            }
            let said = sources.settings.get(format!("add_{role}_token")).and_then(Value::as_bool);
            let by_template = template.iter().find(|(of, _)| *of == role).map(|(_, adds)| *adds);
            if let Some(adds) = by_template.or(said).filter(|_| ADDED.contains(&role)) {
                specials.adds.push((role, adds));
            }
        }
        specials
    }

    pub(super) fn describe(&self, writer: &mut Writer) {
        for (role, id) in &self.ids {
            writer.set(format!("tokenizer.ggml.{role}_token_id"), GgufValue::U32(*id));
        }
        for (role, adds) in &self.adds {
            writer.set(format!("tokenizer.ggml.add_{role}_token"), GgufValue::Bool(*adds));
        }
    }
}

impl Sources<'_> {
    pub(super) fn named(&self, role: &str) -> Option<&str> {
        match self.settings.get(format!("{role}_token"))? {
            Value::String(text) => Some(text),
            Value::Object(token) => token.get("content")?.as_str(),
            _ => None,
        }
    }

    fn id_of(&self, name: &str) -> Option<u32> {
        self.tokens.iter().position(|token| token == name).map(|id| id as u32)
    }

    /// What `config.json` says. Of several ends the first is the one that a turn ends with.
    fn of_model(&self, role: &str) -> Option<u32> {
        let value = self.config.special.get(&format!("{role}_token_id"))?;
        let value = value.as_array().map_or(Some(value), |several| several.first())?;
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.filter(|id| (*id as usize) < self.tokens.len())
    }
}

/// What the tokenizer's last step puts around a text.
fn template(sources: &Sources<'_>) -> Vec<(&'static str, bool)> {
    let one = [sources.post_processor.clone()];
    let steps = sources.post_processor.get("processors").and_then(Value::as_array).map_or(&one[..], Vec::as_slice);
    let mut found: Vec<(&'static str, bool)> = Vec::new();
    for step in steps {
        match step.get("type").and_then(Value::as_str) {
            Some("ByteLevel") => {
                for role in ["bos", "eos"] {
                    if found.iter().all(|(of, _)| *of != role) {
                        found.push((role, false));
                    }
                }
            }
            Some("TemplateProcessing") => {
                let single = step.get("single").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let special = |part: Option<&Value>| Some(part?.get("SpecialToken")?.get("id")?.as_str()?.to_owned());
                let ends = [("bos", special(single.first())), ("eos", special(single.last()))];
                for (role, token) in ends.into_iter().filter(|_| single.len() > 1) {
                    if let Some(token) = token {
                        found.retain(|(of, _)| *of != role);
                        found.push((role, sources.named(role) == Some(&token)));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(settings: &Value, post_processor: &Value, config: &Value) -> Specials {
        let mut whole = json!({ "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 1, "vocab_size": 3, "max_position_embeddings": 8 });
        whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let config = serde_json::from_value(whole).unwrap();
        let tokens = ["<|endoftext|>", "<|im_end|>", "a"].map(str::to_owned);
        Specials::read(&Sources { settings, post_processor, config: &config, tokens: &tokens })
    }

    #[test]
    fn the_tokenizer_goes_before_the_model() {
        let settings =
            json!({ "eos_token": "<|im_end|>", "pad_token": { "content": "<|endoftext|>" }, "bos_token": null });
        let found = read(&settings, &Value::Null, &json!({ "bos_token_id": 0, "eos_token_id": 2 }));
        assert_eq!(found.ids, [("bos", 0), ("eos", 1), ("padding", 0)]);
        assert_eq!(found.adds, []);
        let found = read(&Value::Null, &Value::Null, &json!({ "eos_token_id": [1, 0], "pad_token_id": 99 }));
        assert_eq!(found.ids, [("eos", 1)], "an id beyond the vocabulary is none");
    }

    #[test]
    fn what_is_put_around_a_text_is_the_last_steps_word() {
        let level = json!({ "type": "ByteLevel" });
        let settings = json!({ "add_bos_token": true, "bos_token": "<|endoftext|>" });
        assert_eq!(read(&settings, &level, &json!({})).adds, [("bos", false), ("eos", false)]);
        assert_eq!(read(&settings, &Value::Null, &json!({})).adds, [("bos", true)]);
        let first = |token: &str| {
            json!({ "type": "Sequence", "processors": [level, { "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": token } }, { "Sequence": { "id": "A" } }] }] })
        };
        assert_eq!(read(&settings, &first("<|endoftext|>"), &json!({})).adds, [("bos", true), ("eos", false)]);
        assert_eq!(read(&settings, &first("a"), &json!({})).adds, [("bos", false), ("eos", false)]);
    }
}
