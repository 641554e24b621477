//! A `tokenizer.json` as the tables that a GGUF file holds.
//!
//! Not for: tokenising (`sft::tokenizer`).

use std::path::Path;

use anyhow::Context;

use crate::error::{Exit, UserError};
use crate::gguf::vocabulary::{Bpe, Tables};
use crate::gguf::{Gguf, Value};

pub use crate::gguf::vocabulary::TokenKind;

/// ChatML, the format that `prompt::render_chatml` writes, for programs that render by template.
pub const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + \
                          message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}\
                          {{ '<|im_start|>assistant\\n' }}{% endif %}";

/// Everything a GGUF file says about a byte-level BPE vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// In the order of the ids, filled up to the model's rows.
    pub tokens: Vec<String>,
    pub types: Vec<TokenKind>,
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
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
            return Self::of_gguf(&Gguf::open(path)?, rows)
                .with_context(|| format!("the vocabulary of {} cannot be used", path.display()));
        }
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, rows).map_err(|why| {
            UserError::new(Exit::Error, format!("{} cannot be exported: {why:#}", path.display()))
                .hint("give the tokenizer.json that the model was trained with")
                .into()
        })
    }

    /// The tables of a GGUF file.
    fn of_gguf(file: &Gguf, rows: usize) -> anyhow::Result<Self> {
        let strings = |key: &str| file.metadata.strings(key).unwrap_or_default().to_vec();
        let (tokens, merges) = (strings("tokenizer.ggml.tokens"), strings("tokenizer.ggml.merges"));
        anyhow::ensure!(tokens.len() == rows, "it has {} tokens, the model {rows}", tokens.len());
        let kinds: Vec<i32> = match file.metadata.get("tokenizer.ggml.token_type") {
            Some(Value::I32s(kinds)) if kinds.len() == rows => kinds.clone(),
            _ => anyhow::bail!("it does not say what its tokens are for"),
        };
        let kind = |kind: i32| match kind {
            3 => TokenKind::Control,
            4 => TokenKind::UserDefined,
            5 => TokenKind::Unused,
            _ => TokenKind::Normal,
        };
        let id = |key: &str, token: &str| {
            let named = file.metadata.unsigned(&format!("tokenizer.ggml.{key}")).map(|id| id as u32);
            named.or_else(|| tokens.iter().position(|known| known == token).map(|id| id as u32))
        };
        let end = id("eos_token_id", "<|im_end|>").context("it does not say what ends a turn")?;
        let padding = id("padding_token_id", "<|endoftext|>").unwrap_or(end);
        Ok(Self { types: kinds.into_iter().map(kind).collect(), tokens, merges, end, padding })
    }

    fn parse(text: &[u8], rows: usize) -> anyhow::Result<Self> {
        let bpe = Bpe::parse(text).map_err(anyhow::Error::msg)?;
        let Tables { tokens, kinds } = bpe.tables(rows).map_err(anyhow::Error::msg)?;
        let id_of = |token: &str| {
            let id = tokens.iter().position(|known| known == token);
            id.map(|id| id as u32).with_context(|| format!("it lacks the control token {token}"))
        };
        let (end, padding) = (id_of("<|im_end|>")?, id_of("<|endoftext|>")?);
        Ok(Self { tokens, types: kinds, merges: bpe.merges, end, padding })
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
        assert_eq!(vocabulary.types[3..], [TokenKind::Control, TokenKind::Unused]);
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
