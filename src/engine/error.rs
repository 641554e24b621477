//! What can go wrong in the engine, in words a user can act on.
//!
//! Not for: what is expected. A full context, a cancelled request and an exhausted budget are values
//! (`task::Finish`).

use std::path::PathBuf;

use crate::error::{Exit, UserError};

/// An engine that could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The file is no model that this engine can load; `reason` says why and `hint` what to do.
    #[error("cannot load the model {}: {reason}", path.display())]
    Load { path: PathBuf, reason: String, hint: String },
    #[error("the model {} needs about {needed_mib} MiB of memory, {available_mib} MiB are free", path.display())]
    TooLarge { path: PathBuf, needed_mib: u64, available_mib: u64 },
    #[error("loading the model was cancelled")]
    LoadCancelled,
    #[error("this build of z1 has no inference: it was built without the feature `llama`")]
    NotBuilt,
    #[error("the prompt is empty")]
    PromptEmpty,
    /// `context_tokens_max` includes room for at least one token of reply.
    #[error("the prompt has {prompt_tokens} tokens and the model's context only {context_tokens_max}")]
    PromptTooLong { prompt_tokens: u32, context_tokens_max: u32 },
    #[error("{0} candidates were asked for, at most {max} can be decoded together", max = super::CANDIDATES_MAX)]
    TooManyCandidates(u32),
    #[error("the grammar is not valid: {0}")]
    Grammar(String),
    #[error("llama.cpp could not decode: {0}")]
    Decode(String),
    #[error("the saved state {} cannot be used: {reason}", path.display())]
    State { path: PathBuf, reason: String },
    #[error("{max} requests are waiting for the model already", max = super::REQUESTS_MAX)]
    Busy,
    /// The engine's thread ended; the log says why.
    #[error("the model's thread is gone")]
    Gone,
    /// A scripted model has no reply left, or was told to fail here.
    #[error("script: {0}")]
    Script(String),
}

impl EngineError {
    /// The exit code that a run ending with this error has.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Load { .. } | Self::TooLarge { .. } | Self::NotBuilt => Exit::NoModel,
            Self::LoadCancelled => Exit::Interrupted,
            Self::PromptEmpty | Self::TooManyCandidates(_) => Exit::Usage,
            Self::PromptTooLong { .. } => Exit::LimitReached,
            Self::Grammar(_) | Self::Decode(_) | Self::State { .. } | Self::Busy | Self::Gone | Self::Script(_) => {
                Exit::Error
            }
        }
    }

    /// How to mend it, where there is a way.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Load { hint, .. } => hint.clone(),
            Self::TooLarge { .. } => "choose a smaller quantisation (`z1 models list`), a smaller context, or close \
                                      other programs"
                .to_owned(),
            Self::NotBuilt => "build with the default features: cargo build --release".to_owned(),
            Self::PromptEmpty => "say what is to be done: z1 -p \"…\"".to_owned(),
            Self::PromptTooLong { .. } => {
                "shorten the prompt, leave files out, or use a model with a larger context".to_owned()
            }
            Self::TooManyCandidates(_) => "use a smaller --samples".to_owned(),
            Self::State { .. } => "delete the file; the prompt is then decoded again".to_owned(),
            Self::Decode(_) | Self::Gone => "`z1 doctor` shows where the log is".to_owned(),
            Self::LoadCancelled | Self::Grammar(_) | Self::Busy | Self::Script(_) => return None,
        })
    }
}

impl From<EngineError> for UserError {
    fn from(error: EngineError) -> Self {
        Self { message: error.to_string(), hint: error.hint(), exit: error.exit() }
    }
}
