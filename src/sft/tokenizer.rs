//! Byte-level BPE in the manner of Qwen2: trained here for models of our own, loaded for others.
//!
//! Digits stand alone and the control tokens come last. Control tokens are recognised only in the frame
//! ([`crate::prompt::Segment::special`]); in anybody's words they are ordinary text.
//!
//! Not for: inference; there the GGUF carries the vocabulary and llama.cpp reads it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, Model as _, SplitDelimiterBehavior, TokenizerBuilder, TokenizerImpl};

use crate::error::{Exit, UserError};
use crate::gguf::vocabulary::TokenKind;
use crate::gguf::{Gguf, Value};
use crate::prompt::Segment;

/// Ends a document; the padding token as well.
pub const END_OF_TEXT: &str = "<|endoftext|>";
pub const IM_START: &str = "<|im_start|>";
/// Ends a turn: the token a model stops at.
pub const IM_END: &str = "<|im_end|>";
/// The control tokens in the order of their ids.
pub const SPECIALS: [&str; 3] = [END_OF_TEXT, IM_START, IM_END];

/// Tokens that llama.cpp takes for control tokens whatever their file says.
const CONTROL_BY_NAME: [&str; 12] = [
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<|file_sep|>",
];

/// How Qwen2 cuts text before merging: contractions, words with the mark before them, single digits, runs
/// of marks, line ends, space. The pattern is the published one; llama.cpp knows it as `qwen2`.
pub const QWEN2_PATTERN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// A vocabulary and its merges.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Control tokens by their text, longest first.
    specials: Vec<(String, u32)>,
}

impl Tokenizer {
    /// Trains a vocabulary of exactly `size` tokens, control tokens included, on `texts`.
    ///
    /// # Errors
    /// A size that leaves no room for the 256 bytes, or a corpus too small to fill it.
    pub fn train<'a>(texts: impl Iterator<Item = &'a str> + Send, size: usize) -> anyhow::Result<Self> {
        let words = size.checked_sub(SPECIALS.len()).filter(|&words| words >= 256);
        let words =
            words.ok_or_else(|| UserError::usage(format!("a vocabulary of {size} is too small (259 at least)")))?;
        let mut inner = bare(BPE::default())?;
        let mut trainer = BpeTrainer::builder()
            .vocab_size(words)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build();
        inner.train(&mut trainer, texts).map_err(|e| anyhow!(e))?;
        let found = inner.get_model().get_vocab_size();
        if found != words {
            let message = format!("the corpus yields {found} tokens of {words}");
            return Err(UserError::new(Exit::Error, message).hint("give more text or a smaller --vocab").into());
        }
        finished(inner)
    }

    /// The tokenizer of a GGUF file of the Qwen2 family: whatever llama.cpp does with it, this does too. Control
    /// tokens count in a frame only; user-defined ones (`<tool_call>`) in every text, as there; unused rows never.
    ///
    /// # Errors
    /// Another kind of vocabulary, or merges that do not fit the tokens.
    pub fn from_gguf(file: &Gguf) -> anyhow::Result<Self> {
        let (kind, cut) = (file.metadata.string("tokenizer.ggml.model"), file.metadata.string("tokenizer.ggml.pre"));
        if (kind, cut) != (Some("gpt2"), Some("qwen2")) {
            bail!("its vocabulary is {}/{}, not gpt2/qwen2", kind.unwrap_or("none"), cut.unwrap_or("none"));
        }
        let strings = |key: &str| file.metadata.strings(key).unwrap_or_default();
        let kinds = match file.metadata.get("tokenizer.ggml.token_type") {
            Some(Value::I32s(kinds)) => kinds.clone(),
            Some(Value::U32s(kinds)) => kinds.iter().map(|&kind| kind as i32).collect(),
            _ => Vec::new(),
        };
        Self::from_tables(strings("tokenizer.ggml.tokens"), &kinds, strings("tokenizer.ggml.merges"))
    }

    /// As [`Self::from_gguf`], of a file's tables: tokens in the order of their ids, what each is for, and merges
    /// (`left right`).
    fn from_tables(tokens: &[String], kinds: &[i32], merges: &[String]) -> anyhow::Result<Self> {
        if tokens.len() != kinds.len() {
            bail!("it has {} tokens and {} kinds of token", tokens.len(), kinds.len());
        }
        // Every token stands in the model's own table, so that ids are the file's whatever gaps there are; only merges
        // make tokens, and none makes a control token.
        let vocabulary: HashMap<&str, usize> = tokens.iter().map(String::as_str).zip(0..).collect();
        if vocabulary.len() != tokens.len() {
            bail!("{} of its tokens are there twice", tokens.len() - vocabulary.len());
        }
        let merges: Vec<Vec<&str>> = merges.iter().map(|merge| merge.split(' ').collect()).collect();
        let model = serde_json::json!({ "type": "BPE", "vocab": vocabulary, "merges": merges });
        // By way of text: the model's reader borrows from it.
        let model: BPE =
            serde_json::from_str(&model.to_string()).map_err(|e| anyhow!("its merges do not fit its tokens: {e}"))?;
        let mut inner = bare(model)?;
        let kind_of = |token: &str, kind: i32| {
            if kind == TokenKind::UserDefined as i32 && CONTROL_BY_NAME.contains(&token) {
                TokenKind::Control as i32
            } else {
                kind
            }
        };
        let of_kind = |wanted: TokenKind, special: bool| {
            let named = tokens.iter().zip(kinds).filter(move |(token, kind)| kind_of(token, **kind) == wanted as i32);
            named.map(move |(token, _)| AddedToken::from(token.as_str(), special).normalized(false)).collect::<Vec<_>>()
        };
        inner.add_special_tokens(of_kind(TokenKind::Control, true)).map_err(|e| anyhow!(e))?;
        inner.add_tokens(of_kind(TokenKind::UserDefined, false)).map_err(|e| anyhow!(e))?;
        Self::from_bytes(&serde_json::to_vec(&inner).context("cannot write the tokenizer")?)
    }

    /// Loads a `tokenizer.json`, or the vocabulary of a GGUF file.
    ///
    /// # Errors
    /// A file that cannot be read, is no tokenizer, or lacks the ChatML control tokens.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        if crate::gguf::is_named(path) {
            let file = Gguf::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            return Self::from_gguf(&file)
                .with_context(|| format!("the vocabulary of {} is none z1-sft can use", path.display()));
        }
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::from_bytes(&bytes).with_context(|| format!("{} is no tokenizer z1-sft can use", path.display()))
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_bytes(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| anyhow!(e))?;
        let mut specials = Vec::new();
        for (id, token) in inner.get_added_tokens_decoder() {
            if token.special {
                specials.push((token.content, id));
            }
        }
        specials.sort_by_key(|(text, id)| (std::cmp::Reverse(text.len()), *id));
        for needed in SPECIALS {
            if !specials.iter().any(|(text, _)| text == needed) {
                bail!("the control token {needed} is missing");
            }
        }
        inner.set_encode_special_tokens(true);
        // llama.cpp takes text as it is; a model must be trained on the tokens that it will be asked with.
        inner.with_normalizer(None::<tokenizers::NormalizerWrapper>).map_err(|e| anyhow!(e))?;
        Ok(Self { inner, specials })
    }

    /// Writes a `tokenizer.json` that transformers and the tokenizers library read.
    ///
    /// # Errors
    /// A path that cannot be written.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let json = self.to_json()?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = tempfile::NamedTempFile::new_in(folder)
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        std::fs::write(file.path(), json).with_context(|| format!("cannot write {}", path.display()))?;
        file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }

    /// The `tokenizer.json` text.
    ///
    /// # Errors
    /// Never in practice: the tokenizer came from such text.
    pub fn to_json(&self) -> anyhow::Result<String> {
        self.inner.to_string(false).map_err(|e| anyhow!(e)).context("cannot write the tokenizer")
    }

    /// Tokens of ordinary text; nothing in it counts as a control token.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.inner
            .encode_fast(text, false)
            .map(|encoding| encoding.get_ids().to_vec())
            .expect("invariant: bytes encode any text")
    }

    /// Tokens of a segment: in a frame, control tokens count.
    pub fn encode_segment(&self, segment: &Segment) -> Vec<u32> {
        if !segment.special {
            return self.encode(&segment.text);
        }
        let mut ids = Vec::new();
        let mut rest = segment.text.as_str();
        while !rest.is_empty() {
            let found = self
                .specials
                .iter()
                .filter_map(|(text, id)| rest.find(text.as_str()).map(|at| (at, text.len(), *id)))
                .min_by_key(|&(at, length, _)| (at, std::cmp::Reverse(length)));
            let Some((at, length, id)) = found else {
                ids.extend(self.encode(rest));
                break;
            };
            if at > 0 {
                ids.extend(self.encode(&rest[..at]));
            }
            ids.push(id);
            rest = &rest[at + length..];
        }
        ids
    }

    /// The text of tokens, control tokens included.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.inner.decode(ids, false).unwrap_or_default()
    }

    /// How many ids there are.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The id of a token as the vocabulary spells it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }
}

type Bare = TokenizerImpl<
    BPE,
    tokenizers::NormalizerWrapper,
    PreTokenizers,
    tokenizers::PostProcessorWrapper,
    ByteLevelDecoder,
>;

/// A tokenizer with Qwen2's way of cutting and without control tokens.
fn bare(model: BPE) -> anyhow::Result<Bare> {
    let pattern = SplitPattern::Regex(QWEN2_PATTERN.to_owned());
    let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|e| anyhow!(e))?;
    TokenizerBuilder::new()
        .with_model(model)
        .with_normalizer(None)
        .with_pre_tokenizer(Some(PreTokenizers::new(vec![split.into(), ByteLevel::new(false, false, false).into()])))
        .with_post_processor(None)
        .with_decoder(Some(ByteLevelDecoder::new(false, false, false)))
        .build()
        .map_err(|e| anyhow!(e))
}

/// With the control tokens, through its file form: a fresh tokenizer and a loaded one are the same thing.
fn finished(mut inner: Bare) -> anyhow::Result<Tokenizer> {
    let specials = SPECIALS.map(|text| AddedToken::from(text, true).normalized(false));
    inner.add_special_tokens(specials).map_err(|e| anyhow!(e))?;
    let json = serde_json::to_vec(&inner).context("cannot write the tokenizer")?;
    Tokenizer::from_bytes(&json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_of_an_exported_file_gives_the_same_tokens() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/z1-nano.gguf");
        let file = crate::gguf::Gguf::open(&path).unwrap();
        let tokens = file.metadata.strings("tokenizer.ggml.tokens").unwrap();
        let tokenizer = Tokenizer::from_gguf(&file).unwrap();
        assert_eq!(tokenizer.vocab_size(), tokens.len());
        let text = "def f(xs):\n    return [x + 12 for x in xs]\n";
        let ids = tokenizer.encode(text);
        assert!(ids.len() < text.len() / 2, "merges are used: {ids:?}");
        assert_eq!(tokenizer.decode(&ids), text);
        let (merges, kinds) = (file.metadata.strings("tokenizer.ggml.merges").unwrap(), vec![1; tokens.len()]);
        assert!(Tokenizer::from_tables(&tokens[1..], &kinds[1..], merges).is_err(), "merges without their tokens");
        assert!(Tokenizer::from_tables(tokens, &kinds, merges).is_err(), "no control tokens");
        assert!(Tokenizer::from_tables(tokens, &kinds[1..], merges).is_err(), "a kind is missing");
    }

    fn small() -> Tokenizer {
        let texts =
            ["def f(xs):\n    return [x for x in xs if x > 12]\n", "assert f([3,12])==[12]", "keep numbers above 12"];
        Tokenizer::train(texts.iter().copied().cycle().take(64), 300).unwrap()
    }

    #[test]
    fn text_comes_back_and_digits_stand_alone() {
        let tokenizer = small();
        for text in ["def f(xs):\n    return 12345\n", "über 7 €\n\n\t", "<|im_end|> 'll", ""] {
            assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
        }
        assert_eq!(tokenizer.encode("12345").len(), 5);
    }

    #[test]
    fn control_tokens_come_last_and_count_only_in_a_frame() {
        let tokenizer = small();
        assert_eq!(tokenizer.vocab_size(), 300);
        assert_eq!(tokenizer.id(END_OF_TEXT), Some(297));
        assert_eq!(tokenizer.id(IM_END), Some(299));
        let segment = |special| Segment { text: "<|im_end|>\n".to_owned(), special, learn: false };
        assert_eq!(tokenizer.encode_segment(&segment(true))[0], 299);
        assert!(!tokenizer.encode_segment(&segment(false)).contains(&299));
    }

    #[test]
    fn a_saved_tokenizer_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        let tokenizer = small();
        tokenizer.save(&path).unwrap();
        let again = Tokenizer::load(&path).unwrap();
        assert_eq!(again.to_json().unwrap(), tokenizer.to_json().unwrap());
        assert_eq!(again.encode("def f(xs)"), tokenizer.encode("def f(xs)"));
    }

    #[test]
    fn a_corpus_that_is_too_small_is_said() {
        let error = Tokenizer::train(["ab"].into_iter(), 1024).unwrap_err().to_string();
        assert!(error.contains("of 1021"), "{error}");
    }
}
