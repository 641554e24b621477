//! Vocabularies without a model: from a GGUF, or from a `tokenizer.json`.
//!
//! The two can disagree: Hugging Face's Qwen2 tokenizer normalises text to NFC, llama.cpp does not. On text
//! that is in NFC already (nearly all is) they give the same ids.
//!
//! Not for: chat templates (`prompt`).

use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer;

use super::model::Vocabulary;
use super::{EngineError, TokenId};

/// The vocabulary of a GGUF file; weights are not read and need not be there.
///
/// # Errors
/// Where the file is no GGUF or has no vocabulary, or z1 was built without inference.
pub fn vocabulary_of_model(path: &Path) -> Result<Arc<dyn Vocabulary>, EngineError> {
    #[cfg(feature = "llama")]
    return super::llama::load_vocabulary(path);
    #[cfg(not(feature = "llama"))]
    {
        let _ = path;
        Err(EngineError::NotBuilt)
    }
}

/// The vocabulary of a `tokenizer.json`, as Hugging Face publishes it.
///
/// # Errors
/// Where the file is missing or is no tokenizer.
pub fn vocabulary_of_json(path: &Path) -> Result<Arc<dyn Vocabulary>, EngineError> {
    let mut with_control = Tokenizer::from_file(path).map_err(|error| EngineError::Load {
        path: path.to_owned(),
        reason: format!("it is no tokenizer.json: {error}"),
        hint: "give the path of a model's tokenizer.json".to_owned(),
    })?;
    let control = with_control
        .get_added_tokens_decoder()
        .into_iter()
        .filter(|(_, token)| token.special)
        .map(|(id, token)| (id as TokenId, token.content))
        .collect();
    let mut plain = with_control.clone();
    plain.set_encode_special_tokens(true);
    with_control.set_encode_special_tokens(false);
    Ok(Arc::new(Json { with_control, plain, control }))
}

struct Json {
    /// Control tokens written in the text are found.
    with_control: Tokenizer,
    /// They stay text.
    plain: Tokenizer,
    control: std::collections::BTreeMap<TokenId, String>,
}

impl Vocabulary for Json {
    fn tokenize(&self, text: &str, special: bool) -> Vec<TokenId> {
        let tokenizer = if special { &self.with_control } else { &self.plain };
        let encoding = tokenizer.encode_fast(text, false);
        // A byte-level vocabulary has a token for every byte; one that has not, has none for this text.
        encoding.map(|encoding| encoding.get_ids().iter().map(|&id| id as TokenId).collect()).unwrap_or_default()
    }

    fn piece(&self, token: TokenId, special: bool) -> Vec<u8> {
        if self.is_control(token) && !special {
            return Vec::new();
        }
        let Some(written) = self.with_control.id_to_token(token as u32) else { return Vec::new() };
        if self.control.contains_key(&token) {
            return written.into_bytes();
        }
        written.chars().flat_map(bytes_of_character).collect()
    }

    fn is_end_of_turn(&self, token: TokenId) -> bool {
        let ends = ["<|im_end|>", "<|endoftext|>", "<|im_start|>"];
        self.control.get(&token).is_some_and(|word| ends.contains(&word.as_str()))
    }

    fn is_control(&self, token: TokenId) -> bool {
        self.control.contains_key(&token)
    }

    fn size(&self) -> usize {
        self.with_control.get_vocab_size(true)
    }
}

/// Undoes the byte-level alphabet (see [`crate::gguf::tiny::byte_character`]).
fn bytes_of_character(character: char) -> Vec<u8> {
    let found = (0..=255).find(|&byte| crate::gguf::tiny::byte_character(byte) == character);
    found.map_or_else(|| character.to_string().into_bytes(), |byte| vec![byte])
}
