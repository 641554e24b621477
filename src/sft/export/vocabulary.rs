//! A `tokenizer.json` as the tables that a GGUF file holds.
//!
//! Not for: tokenising (`sft::tokenizer`).

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use crate::error::{Exit, UserError};

/// ChatML, the format that `prompt::render_chatml` writes, for programs that render by template.
pub const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + \
                          message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}\
                          {{ '<|im_start|>assistant\\n' }}{% endif %}";

/// Token types as GGUF counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenType {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
}

/// Everything a GGUF file says about a byte-level BPE vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// In the order of the ids, filled up to the model's rows.
    pub tokens: Vec<String>,
    pub types: Vec<TokenType>,
    /// `left right`, by rank.
    pub merges: Vec<String>,
    /// Ends a turn.
    pub end: u32,
    /// Fills up a batch and ends a document.
    pub padding: u32,
}

impl Vocabulary {
    /// Reads a `tokenizer.json` for a model with this many rows.
    ///
    /// # Errors
    /// Where the file is not a byte-level BPE tokenizer with ChatML's control tokens, or has more tokens than
    /// the model has rows.
    pub fn read(path: &Path, rows: usize) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, rows).map_err(|why| {
            UserError::new(Exit::Error, format!("{} cannot be exported: {why:#}", path.display()))
                .hint("give the tokenizer.json that the model was trained with")
                .into()
        })
    }

    fn parse(text: &[u8], rows: usize) -> anyhow::Result<Self> {
        let json: Value = serde_json::from_slice(text).context("not JSON")?;
        let model = json.get("model").context("it has no model")?;
        anyhow::ensure!(model.get("type").is_none_or(|kind| kind == "BPE"), "it is not a BPE tokenizer");
        let vocab = model.get("vocab").and_then(Value::as_object).context("it has no vocabulary")?;
        let mut slots: Vec<Option<(String, TokenType)>> = vec![None; rows];
        let mut put = |id: u64, token: &str, kind: TokenType| -> anyhow::Result<()> {
            let slot = usize::try_from(id).ok().and_then(|id| slots.get_mut(id));
            *slot.with_context(|| format!("token {id} is beyond the model's {rows} rows"))? =
                Some((token.to_owned(), kind));
            Ok(())
        };
        for (token, id) in vocab {
            put(id.as_u64().context("a token's id is no number")?, token, TokenType::Normal)?;
        }
        for added in json.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
            let id = added.get("id").and_then(Value::as_u64).context("an added token has no id")?;
            let token = added.get("content").and_then(Value::as_str).context("an added token has no text")?;
            let special = added.get("special").and_then(Value::as_bool).unwrap_or(false);
            put(id, token, if special { TokenType::Control } else { TokenType::UserDefined })?;
        }
        let fill = |(id, slot): (usize, Option<_>)| slot.unwrap_or_else(|| (format!("[PAD{id}]"), TokenType::Unused));
        let (tokens, types): (Vec<String>, Vec<TokenType>) = slots.into_iter().enumerate().map(fill).unzip();
        let id_of = |token: &str| {
            let id = tokens.iter().position(|known| known == token);
            id.map(|id| id as u32).with_context(|| format!("it lacks the control token {token}"))
        };
        let (end, padding) = (id_of("<|im_end|>")?, id_of("<|endoftext|>")?);
        let merges = model.get("merges").and_then(Value::as_array).context("it has no merges")?;
        let merges = merges.iter().map(merge).collect::<Option<_>>().context("a merge is malformed")?;
        Ok(Self { tokens, types, merges, end, padding })
    }
}

/// A merge is `"left right"` or `["left", "right"]`.
fn merge(value: &Value) -> Option<String> {
    match value {
        Value::String(pair) => Some(pair.clone()),
        Value::Array(pair) => Some(format!("{} {}", pair.first()?.as_str()?, pair.get(1)?.as_str()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"added_tokens":[{"id":2,"content":"<|endoftext|>","special":true},
        {"id":3,"content":"<|im_end|>","special":true}],
        "model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[["a","b"],"b a"]}}"#;

    #[test]
    fn tables_follow_the_ids_and_are_filled_up() {
        let vocabulary = Vocabulary::parse(TEXT.as_bytes(), 5).unwrap();
        assert_eq!(vocabulary.tokens, ["a", "b", "<|endoftext|>", "<|im_end|>", "[PAD4]"]);
        assert_eq!(vocabulary.types[3..], [TokenType::Control, TokenType::Unused]);
        assert_eq!(vocabulary.merges, ["a b", "b a"]);
        assert_eq!((vocabulary.end, vocabulary.padding), (3, 2));
    }

    #[test]
    fn a_tokenizer_that_does_not_match_is_refused() {
        assert!(Vocabulary::parse(TEXT.as_bytes(), 3).unwrap_err().to_string().contains("beyond the model's 3 rows"));
        let without = TEXT.replace("<|im_end|>", "<end>");
        assert!(Vocabulary::parse(without.as_bytes(), 5).unwrap_err().to_string().contains("<|im_end|>"));
    }
}
