//! From a rendered prompt to a trajectory. The only room that knows llama.cpp.
//!
//! An [`Engine`] is a handle to one OS thread that owns the model and its contexts. Requests go down a
//! bounded channel, [`EngineEvent`]s come up another. A *session* is an append-only token log: a request's
//! tokens are compared with the log and only what differs is decoded.
//!
//! The seam is [`model::TokenModel`]: llama.cpp stands behind it, and so does a scripted model for tests
//! ([`Script`]). The decode loop (`decode.rs`) is written against the seam, so windows, forcing, steering,
//! cancelling, forks and prefix reuse are the same code in both.
//!
//! Several requests at once: load with [`LoadOptions::slots`] and call [`Engine::generate`] as often as you like, from
//! one task or from many (a clone of the handle costs nothing). Each call has its own [`Generation`]: its own events,
//! its own cancel. So many as there are slots are decoded in one batch, the others wait in order; where prompts begin
//! alike, the beginning is decoded once. A request that ends frees its slot at once. Give each its own [`SessionId`] and
//! call [`Engine::end_session`] when its text is not needed again: what stays in the cache is looked at by the others.
//!
//! ```no_run
//! # async fn several(prompts: Vec<z1::prompt::Rendered>) -> Result<(), z1::engine::EngineError> {
//! # use z1::engine::{Engine, EngineEvent, GenerateRequest, LoadOptions, SessionId};
//! let options = LoadOptions { slots: Some(4), context_tokens_max: Some(4096), ..LoadOptions::from_path("model.gguf") };
//! let engine = Engine::start_llama(options, |_| {}, &z1::cancel::Cancel::new())?;
//! let all = (0..).zip(prompts).map(|(number, prompt)| async {
//!     let session = SessionId(number);
//!     let mut generation = engine.generate(GenerateRequest { session, prompt, ..GenerateRequest::default() });
//!     while let Some(event) = generation.next().await {
//!         if let EngineEvent::Finished { trajectory, .. } = event? {
//!             println!("{}", trajectory.text);
//!         }
//!     }
//!     engine.end_session(session).await
//! });
//! # let _ = all.collect::<Vec<_>>();
//! # Ok(()) }
//! ```
//!
//! Copies come faster: what the last tokens were followed by where they stood before, in the prompt or in the reply, is
//! checked in the same batch as the next token, where that pays (`draft.rs`). The text stays what it would be.
//!
//! Not for: knowing what a prompt means, running code, or talking to a terminal.

mod apart;
mod candidate;
mod decode;
mod draft;
mod error;
mod handle;
mod inspect;
mod job;
#[cfg(feature = "llama")]
mod llama;
mod load;
pub mod model;
mod parking;
mod plan;
mod probe;
mod process;
#[cfg(feature = "llama")]
mod raw;
mod sample;
mod scripted;
mod session;
mod states;
mod trunk;
mod vocabulary;
mod weigh;
mod worker;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::gguf::Label;
use crate::task::{Part, ShiftReason, Trajectory};

pub use crate::thinking::{StopPolicy, ThinkSpec, TokenId, WindowSpec};
pub use crate::traits::Sampling;
pub use error::EngineError;
pub use handle::{Engine, Generation};
#[cfg(feature = "llama")]
pub use llama::{load_modules, machine};
pub use load::{Adapter, LoadOptions, Offload, describe, fingerprint};
pub use plan::{
    CONTEXT_TOKENS_WANTED, GPU_MARGIN_BYTES, Gpu, HOST_MARGIN_BYTES, KvType, Machine, Memory, Plan, Shape, plan,
    smaller,
};
#[cfg(not(feature = "llama"))]
pub use process::library;
#[cfg(not(feature = "llama"))]
pub use process::machine;
pub use process::{StderrGuard, memory_available_bytes, physical_threads, prepare_process};
#[cfg(feature = "llama")]
pub use raw::library;
pub use scripted::{Answerer, Ask, Reply, Script, Splitting, Tokens};
pub use states::remove_states;
pub use vocabulary::{vocabulary_of_json, vocabulary_of_model};
pub use weigh::Weighed;

/// Requests that may wait for the engine's thread.
pub const REQUESTS_MAX: usize = 64;
/// Requests that are decoded beside one another.
pub const SLOTS_MAX: u32 = 32;
/// Events that may wait for whoever listens to a generation; the engine pauses when they are not taken.
pub const EVENTS_MAX: usize = 256;
/// Candidates of one request.
pub const CANDIDATES_MAX: u32 = 32;
/// A conversation whose prompt is read in less time than this is not kept on the disk.
pub const KEEP_SECONDS_MIN: f32 = 3.0;
/// Sequences: a full set of candidates, a probe's fork, and some sessions beside them.
const SEQUENCES_MAX: u32 = CANDIDATES_MAX + 8;
/// Rows of logits that are reserved: llama.cpp wants at least one for each sequence.
const OUTPUTS_MAX: u32 = SEQUENCES_MAX;

/// Names a token log. Requests of one session share a KV prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub u32);

impl SessionId {
    /// Where [`Engine::choose`] keeps its prompt. Not for callers' own sessions.
    pub const PROBE: Self = Self(u32::MAX);

    /// Beside this session: where replies are kept that leave a text which was weighed in it ([`Engine::weigh`]), so that they
    /// do not take that text's place.
    #[must_use]
    pub const fn aside(self) -> Self {
        Self(self.0 ^ ASIDE)
    }
}

/// What tells a session's number from the one beside it; sessions are few, and their numbers far apart or small.
const ASIDE: u32 = 0x2AAA_AAAA;

/// How one candidate draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CandidateSampling {
    pub thinking: Sampling,
    pub answer: Sampling,
}

/// One request: a prompt, how to think about it, how often. Everything but the prompt has a default: greedy, one
/// candidate, the window of [`WindowSpec::default`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateRequest {
    pub session: SessionId,
    pub prompt: crate::prompt::Rendered,
    pub window: WindowSpec,
    pub thinking_sampling: Sampling,
    pub answer_sampling: Sampling,
    /// How each candidate draws, in order, where that is not the same for all: candidate `n` takes entry `n`; one that has
    /// none takes `thinking_sampling` and `answer_sampling`.
    pub candidate_samplings: Vec<CandidateSampling>,
    /// Sequences forked after one prefill and decoded in one batch; 0 counts as 1.
    pub candidates: u32,
    pub seed: u64,
    /// Tokens with which every candidate's reply begins, exactly: decoded (or found in the cache), never drawn. They run
    /// through the window as if they had been drawn, so the whole reply of an unlimited run may be given: what lies
    /// beyond the cut is dropped, and what comes out is what a run with this window would have said. Ask with the
    /// widest window first, in one session: the narrower ones then find everything up to their cut in the cache.
    /// [`EngineEvent::Finished`] brings a reply's own tokens.
    pub given: Vec<TokenId>,
    /// GBNF text with root rule `root`, applied from the first token on. The hint is not held to it: after
    /// a shift the grammar starts afresh with the answer.
    pub grammar: Option<String>,
}

/// What happens while a request is served. `candidate` counts from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineEvent {
    /// What each candidate may use: the window's wish, less what the context and the number of candidates leave no room
    /// for. The first event.
    Allotted {
        thinking_tokens_max: u32,
        answer_tokens_max: u32,
    },
    Prefill {
        done: u32,
        total: u32,
        reused: u32,
    },
    Piece {
        candidate: u32,
        part: Part,
        text: String,
        forced: bool,
        tokens: u32,
    },
    Shifted {
        candidate: u32,
        why: ShiftReason,
        thinking_tokens: u32,
    },
    /// The candidate's text went round in circles: its last `bytes` bytes, which were told as pieces, are taken back.
    /// What comes next is drawn more freely.
    Rewound {
        candidate: u32,
        tokens: u32,
        bytes: u32,
    },
    /// `tokens` are the reply's own, hint included, as they were decoded: fit to be [`GenerateRequest::given`].
    Finished {
        candidate: u32,
        trajectory: Trajectory,
        tokens: Vec<TokenId>,
        tokens_per_second: f32,
    },
}

/// A word to a running generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Shift every candidate now.
    AnswerNow,
    /// Widen every window by this many tokens.
    ThinkMore(u32),
    /// This candidate is no longer needed.
    Stop(u32),
    /// None is needed any more.
    StopAll,
}

/// What is known of the loaded model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// From the file's metadata, or the file's name.
    pub name: String,
    pub path: Option<PathBuf>,
    pub architecture: String,
    /// Tokens that one sequence (prompt and reply) may have.
    pub context_tokens_max: u32,
    /// Requests that are decoded beside one another.
    #[serde(default = "one")]
    pub slots: u32,
    /// Candidates that one request may have.
    #[serde(default = "all")]
    pub candidates_max: u32,
    /// What the file says of its own model.
    #[serde(default)]
    pub label: Label,
    pub quantisation: String,
    /// Where the layers are, in words: "CPU", "28 of 29 layers on CUDA0", …
    pub offload: String,
    /// Tells model files apart without reading them whole: size, metadata and a sample of the weights.
    pub fingerprint: String,
    pub parameters: u64,
    pub size_bytes: u64,
    /// What was given up at the load so that the model fits, in words.
    #[serde(default)]
    pub given_up: Vec<String>,
}

const fn one() -> u32 {
    1
}

const fn all() -> u32 {
    CANDIDATES_MAX
}

/// What a session has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStats {
    pub requests: u32,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Of these, tokens that were found in the log.
    pub reused_tokens: u64,
    /// Tokens decoded for prompts.
    pub prefilled_tokens: u64,
    /// Tokens of all replies, forced ones included.
    pub generated_tokens: u64,
    /// Tokens that were guessed from text that is there and checked beside others.
    #[serde(default)]
    pub drafted_tokens: u64,
    /// Of these, tokens that the model then said.
    #[serde(default)]
    pub held_tokens: u64,
    /// Tokens in the log now.
    pub log_tokens: u32,
}
