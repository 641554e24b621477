//! Data, training and export of models: the z1-sft side of the house.
//!
//! The way of a model: samples (JSONL) → [`Sequence`]s → packed rows → `train` (which drives `core`, the
//! forward and backward of a Qwen2) → checkpoints → `export`.
//!
//! `hand_over` writes a run down for a trainer on many GPUs instead.
//!
//! Not for: inference; the engine does that.

pub mod core;
pub mod data;
pub mod export;
pub mod hand_over;
pub mod sample;
pub mod tensor_file;
pub mod tokenizer;
pub mod train;

/// One training sequence: a rendered and tokenised conversation, or any other run of tokens.
///
/// Where `learn[i]` is set, the loss is taken on predicting `ids[i]` from everything before it in the same
/// sequence. `learn[0]` therefore never counts: nothing stands before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    pub ids: Vec<u32>,
    /// As long as `ids`.
    pub learn: Vec<bool>,
}

impl Sequence {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many tokens the loss is taken on.
    pub fn learnt_tokens(&self) -> usize {
        self.learn.iter().skip(1).filter(|&&learn| learn).count()
    }
}

/// Several sequences side by side whose lengths together do not exceed the row length. Attention never
/// crosses from one sequence to another and positions restart at 0 in each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedRow {
    pub sequences: Vec<Sequence>,
}

impl PackedRow {
    /// Tokens in the row (padding does not exist: the kernels take rows of any length).
    pub fn len(&self) -> usize {
        self.sequences.iter().map(Sequence::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn learnt_tokens(&self) -> usize {
        self.sequences.iter().map(Sequence::learnt_tokens).sum()
    }
}
