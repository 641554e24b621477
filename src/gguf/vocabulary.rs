//! A byte-level BPE vocabulary: read from Hugging Face's tokenizer files, turned into the tables of a GGUF file.
//!
//! Not for: tokenising, or knowing which token ends a turn.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What a token is for, as GGUF numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TokenKind {
    Normal = 1,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
}

/// A token beside the merged ones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AddedToken {
    pub id: u32,
    pub content: String,
    #[serde(default)]
    pub special: bool,
}

/// A vocabulary as tokenizer files describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bpe {
    pub vocab: BTreeMap<String, u32>,
    /// `left right`, by rank.
    pub merges: Vec<String>,
    pub added: Vec<AddedToken>,
}

/// The tables of a GGUF file, in the order of the ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    pub tokens: Vec<String>,
    pub kinds: Vec<TokenKind>,
}

#[derive(Deserialize)]
struct File {
    model: Model,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct Model {
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

impl Bpe {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(json).map_err(|problem| problem.to_string())?;
        if !file.model.kind.is_empty() && file.model.kind != "BPE" {
            return Err(format!("it is a {} tokenizer; BPE is supported", file.model.kind));
        }
        let merges = file.model.merges.into_iter().map(|merge| match merge {
            Merge::Joined(text) => text,
            Merge::Pair(left, right) => format!("{left} {right}"),
        });
        Ok(Self { vocab: file.model.vocab, merges: merges.collect(), added: file.added_tokens })
    }

    /// The tables for a model with this many rows; ids that nothing has are filled up.
    ///
    /// # Errors
    /// A token beyond the rows.
    pub fn tables(&self, rows: usize) -> Result<Tables, String> {
        let mut slots: Vec<Option<(String, TokenKind)>> = vec![None; rows];
        let mut put = |id: u32, token: &str, kind: TokenKind| {
            let slot = slots.get_mut(id as usize);
            let slot = slot.ok_or_else(|| format!("token {token:?} with id {id} is beyond the model's {rows} rows"))?;
            *slot = Some((token.to_owned(), kind));
            Ok::<(), String>(())
        };
        for (token, &id) in &self.vocab {
            put(id, token, TokenKind::Normal)?;
        }
        for token in &self.added {
            let control = token.special || looks_like_control(&token.content);
            put(token.id, &token.content, if control { TokenKind::Control } else { TokenKind::UserDefined })?;
        }
        let fill = |(id, slot): (usize, Option<_>)| slot.unwrap_or_else(|| (format!("[PAD{id}]"), TokenKind::Unused));
        let (tokens, kinds) = slots.into_iter().enumerate().map(fill).unzip();
        Ok(Tables { tokens, kinds })
    }
}

/// Some models do not mark all of their control tokens as special; llama.cpp's converter goes by their spelling too.
fn looks_like_control(token: &str) -> bool {
    let between = |open: &str, close: &str| token.starts_with(open) && token.ends_with(close);
    between("<|", "|>") || between("<｜", "｜>") || matches!(token, "<pad>" | "<mask>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"added_tokens":[{"id":2,"content":"<|endoftext|>","special":true},
        {"id":3,"content":"<|fim_prefix|>","special":false},{"id":4,"content":"<tool_call>"}],
        "model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[["a","b"],"b a"]}}"#;

    #[test]
    fn tables_follow_the_ids_and_are_filled_up() {
        use TokenKind::{Control, Normal, Unused, UserDefined};
        let bpe = Bpe::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(bpe.merges, ["a b", "b a"]);
        let tables = bpe.tables(6).unwrap();
        assert_eq!(tables.tokens, ["a", "b", "<|endoftext|>", "<|fim_prefix|>", "<tool_call>", "[PAD5]"]);
        assert_eq!(tables.kinds, [Normal, Normal, Control, Control, UserDefined, Unused]);
        assert!(bpe.tables(3).unwrap_err().contains("beyond the model's 3 rows"));
    }

    #[test]
    fn what_is_no_bpe_tokenizer_is_refused() {
        assert!(Bpe::parse(TEXT.replace("BPE", "Unigram").as_bytes()).unwrap_err().contains("Unigram"));
        for broken in
            ["", "{}", "[]", r#"{"model":{"vocab":{"a":-1},"merges":[]}}"#, r#"{"model":{"vocab":{},"merges":[[1]]}}"#]
        {
            assert!(Bpe::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
