//! What the agent tells the outside, and what the outside may tell it.
//!
//! Events go up, commands go down, both over bounded channels; nobody writes to its own inbox. The agent
//! knows no terminal: it knows a sender of [`Event`] and a receiver of [`Command`]. Keep [`Event`] under
//! about 20 variants (held by `tests/it/tidy.rs`).

use serde::{Deserialize, Serialize};

use crate::task::{Budget, Complexity, Outcome, Part, ShiftReason, Tier, Verdict};

/// Capacity of the channel that carries events up.
pub const EVENTS_MAX: usize = 256;
/// Capacity of the channel that carries commands down.
pub const COMMANDS_MAX: usize = 8;

/// Something that happened, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The model is being loaded; `fraction` in 0..=1.
    Loading {
        fraction: f32,
    },
    /// The model is loaded.
    Ready {
        model: String,
        context_tokens_max: u32,
        offload: String,
    },
    Started {
        task_id: String,
    },
    /// The prompt is being decoded.
    Prefill {
        done: u32,
        total: u32,
        reused: u32,
    },
    Classified {
        complexity: Complexity,
        budget: Budget,
    },
    /// A generation begins; round 0 is the first attempt.
    Round {
        round: u32,
        candidates: u32,
    },
    /// Generated text, in order within its candidate.
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
    /// A candidate's reply ended.
    Finished {
        candidate: u32,
        tokens_per_second: f32,
    },
    /// A candidate is being run.
    Verifying {
        candidate: u32,
        tier: Tier,
        command: String,
    },
    Verified {
        candidate: u32,
        verdict: Verdict,
    },
    /// The harness is doing something worth a line: gathering context, running the explore step, …
    Step {
        text: String,
    },
    /// A change waits for the user's yes; answered by [`Command::Decide`].
    Proposal {
        patch_id: u64,
        diff: String,
        files: Vec<FileChange>,
    },
    /// Something that only the user knows; answered by [`Command::Answer`]. Comes only where somebody can be asked.
    Question {
        id: u64,
        text: String,
    },
    /// A call of another program's tool waits for the user's yes; answered by [`Command::Answer`]: `yes`, `always` (this
    /// tool, in this session), anything else is a no.
    Permission {
        id: u64,
        /// What is to be called, short.
        title: String,
        /// The question, with the arguments.
        text: String,
    },
    Warning {
        text: String,
    },
    Ended {
        outcome: Box<Outcome>,
    },
    /// Nothing more will come: the worker is gone.
    Fatal {
        message: String,
        hint: Option<String>,
    },
}

/// One file of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    pub path: String,
    pub added_lines: u32,
    pub removed_lines: u32,
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Something the user wants of a running task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Shift every candidate to its answer now.
    AnswerNow,
    /// Widen the window by this many tokens.
    ThinkMore {
        tokens: u32,
    },
    Decide {
        patch_id: u64,
        decision: Decision,
    },
    /// The answer to [`Event::Question`], empty for "none"; or to [`Event::Permission`].
    Answer {
        id: u64,
        text: String,
    },
    Cancel,
}

/// The user's word on a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Accept,
    /// Accept these hunks only: `(file index, hunk index)` in the proposal's order.
    AcceptHunks(Vec<(usize, usize)>),
    /// Accept, with these files as the user edited them: `(file index, whole new content)`. The other
    /// files are taken as proposed.
    AcceptEdited(Vec<(usize, String)>),
    Reject,
    /// Reject, and try again with this remark.
    AskAgain(String),
}
