//! From a rendered prompt to a trajectory. The only room that knows llama.cpp.
//!
//! An [`Engine`] is a handle to one OS thread that owns the model and its contexts. Requests go down a
//! bounded channel, [`EngineEvent`]s come up another. A *session* is an append-only token log: a request's
//! tokens are compared with the log and only what differs is decoded.
//!
//! Not for: knowing what a prompt means, running code, or talking to a terminal.

use serde::{Deserialize, Serialize};

use crate::task::{Part, ShiftReason, Trajectory};

/// Names a token log. Requests of one session share a KV prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u32);

/// How tokens are drawn in one phase. Every field is explicit: no hidden default of a library applies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// 0 keeps every token.
    pub top_k: u32,
    pub top_p: f32,
    pub min_p: f32,
    /// 1.0 is off. Never used in an answer: code repeats itself rightly.
    pub repeat_penalty: f32,
    pub repeat_last_n: u32,
}

impl Sampling {
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, repeat_last_n: 0 };
}

/// The window's settings for one generation (see [`crate::thinking`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSpec {
    pub thinking_tokens_max: u32,
    pub answer_tokens_max: u32,
    /// Forced when the window shifts; may end with an opened code fence.
    pub hint: String,
    /// Exactly the paper's algorithm: hard cut at W, no line-end allowance, no loop detection.
    pub paper_exact: bool,
}

/// One request: a prompt, how to think about it, how often.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    pub session: SessionId,
    pub prompt: crate::prompt::Rendered,
    pub window: WindowSpec,
    pub thinking_sampling: Sampling,
    pub answer_sampling: Sampling,
    /// Sequences forked after one prefill and decoded in one batch; at least 1.
    pub candidates: u32,
    pub seed: u64,
    /// GBNF text with root rule `root`, applied from the first token on.
    pub grammar: Option<String>,
}

/// What happens while a request is served. `candidate` counts from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum EngineEvent {
    Prefill { done: u32, total: u32, reused: u32 },
    Piece { candidate: u32, part: Part, text: String, forced: bool, tokens: u32 },
    Shifted { candidate: u32, why: ShiftReason, thinking_tokens: u32 },
    Finished { candidate: u32, trajectory: Trajectory, tokens_per_second: f32 },
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
