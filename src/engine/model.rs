//! The seam: what the decode loop needs of a model, and nothing else.
//!
//! Not for: policy. Which tokens to decode, when to stop and what to keep is decided above the seam.

use std::path::Path;

use super::{EngineError, ModelInfo, TokenId};
use crate::cancel::Cancel;

/// A sequence in the KV cache, numbered from 0.
pub type Sequence = u32;

/// A model's vocabulary. Immutable and shared: text can be tokenised while the model decodes.
pub trait Vocabulary: Send + Sync {
    /// Tokenises text. Only with `special` do control tokens written in it count as control tokens.
    fn tokenize(&self, text: &str, special: bool) -> Vec<TokenId>;

    /// The token's bytes, which may be part of a character. Control tokens have their written form only
    /// with `special`, and nothing without.
    fn piece(&self, token: TokenId, special: bool) -> Vec<u8>;

    /// Whether the model ends its turn with this token.
    fn is_end_of_turn(&self, token: TokenId) -> bool;

    /// Whether the token is part of the chat frame and never of a text.
    fn is_control(&self, token: TokenId) -> bool;

    /// Number of tokens.
    fn size(&self) -> usize;
}

/// One token of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchToken {
    pub token: TokenId,
    /// Position in its sequence, from 0.
    pub position: u32,
    pub sequence: Sequence,
    /// Whether the logits after this token are wanted.
    pub logits: bool,
}

/// How decoding a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    Done,
    /// The cache has no room for the batch; nothing was stored.
    Full,
    /// The cancel flags were seen inside the batch. What was stored of it is undefined: the caller removes
    /// the batch's positions.
    Aborted,
}

/// A rule for what may come next. One instance follows one sequence.
pub trait Constraint {
    /// Whether the token is allowed next. Cheap: used to check the unconstrained choice first.
    fn permits(&mut self, token: TokenId) -> bool;

    /// Sets the logits of all tokens that are not allowed next to minus infinity.
    fn mask(&mut self, logits: &mut [f32]);

    /// The token was chosen.
    ///
    /// # Errors
    /// Where the token was not allowed.
    fn accept(&mut self, token: TokenId) -> Result<(), EngineError>;
}

/// What is asked of the model at the start of a generation; only a scripted model cares.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    pub prompt: &'a str,
    /// Positions below this one are the prompt's, wherever they are decoded.
    pub prompt_tokens: u32,
    /// The candidates' sequences, in order.
    pub sequences: &'a [Sequence],
}

/// A model that decodes batches of tokens into logits.
pub trait TokenModel {
    /// A sequence's cache outside the cache.
    type Parked;

    fn info(&self) -> &ModelInfo;

    /// Tokens that all sequences together may keep in the cache.
    fn cells_max(&self) -> u32;

    /// Sequences that may exist at a time.
    fn sequences_max(&self) -> u32;

    /// Whether each sequence has a part of the cache for itself, an equal one: then `cells_max` is divided by
    /// `sequences_max`, and what two of them have in common is there twice.
    fn keeps_apart(&self) -> bool {
        false
    }

    /// Bytes of memory that caches outside the cache may take together.
    fn parking_bytes_max(&self) -> u64 {
        0
    }

    /// Copies a sequence's cache out of the cache; with how many bytes that takes. `None` where that failed.
    fn park(&mut self, _sequence: Sequence) -> Option<(Self::Parked, u64)> {
        None
    }

    /// Puts a parked cache into an empty sequence. Where that fails, the sequence is empty again.
    fn unpark(&mut self, _sequence: Sequence, _parked: &Self::Parked) -> bool {
        false
    }

    /// Tokens that one call of [`TokenModel::decode`] takes.
    fn batch_tokens_max(&self) -> usize;

    /// Tokens of a batch whose logits may be asked for.
    fn batch_logits_max(&self) -> usize;

    /// Requests whose cells were planned for.
    fn slots(&self) -> u32 {
        self.info().slots.max(1)
    }

    /// A generation starts now.
    ///
    /// # Errors
    /// Where a scripted model has no reply left.
    fn begin_turn(&mut self, _turn: &Turn<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    /// The generation in these sequences is over.
    fn end_turn(&mut self, _sequences: &[Sequence]) {}

    /// Decodes a batch. Where each of `cancels` (there is at least one) is set it may return early.
    ///
    /// # Errors
    /// Where the computation itself failed.
    fn decode(&mut self, batch: &[BatchToken], cancels: &[Cancel]) -> Result<Decoded, EngineError>;

    /// The logits of the `row`-th token that asked for them in the last decoded batch.
    fn logits(&self, row: usize) -> &[f32];

    /// Lets `to` share the first `tokens` positions of `from`. `to` is empty before.
    fn copy_sequence(&mut self, from: Sequence, to: Sequence, tokens: u32);

    /// Forgets the sequence from this position on. What comes next there is as if it had never been longer.
    fn truncate_sequence(&mut self, sequence: Sequence, tokens: u32);

    /// Compiles a GBNF grammar.
    ///
    /// # Errors
    /// Where it is not valid, or the model has no grammars.
    fn constraint(&self, grammar: &str) -> Result<Box<dyn Constraint>, EngineError>;

    /// Writes a sequence's state to a file; returns its size in bytes.
    ///
    /// # Errors
    /// Where the file cannot be written.
    fn save_sequence(&mut self, sequence: Sequence, tokens: &[TokenId], path: &Path) -> Result<u64, EngineError>;

    /// Reads a sequence's state from a file into an empty sequence; returns its tokens.
    ///
    /// # Errors
    /// Where the file is missing, damaged or of another model.
    fn load_sequence(&mut self, sequence: Sequence, path: &Path) -> Result<Vec<TokenId>, EngineError>;
}
