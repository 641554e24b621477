//! Published reasoning data → samples to train on: reading, filtering, choosing, looking.
//!
//! `read` brings rows of any published shape into one [`Record`]; `shape` knows the shapes; `filter` says why a
//! record is left out, `overlap` what an evaluation set says; `select` spends a token budget as the paper's ablation does; `stats` and `preview` show
//! what a model will see. Every step takes records and returns records; what is dropped is counted by reason.
//!
//! Not for: the gym's own rows (they are samples already), tokenising for training (`sample`). `execute` runs
//! the code in a trajectory, behind the judge's walls; `own` asks a model for trajectories and keeps what passes.

pub mod execute;
pub mod filter;
pub mod json;
pub mod overlap;
pub mod own;
pub mod preview;
pub mod read;
pub mod select;
pub mod shape;
pub mod stats;
pub mod tags;
pub mod turns;

use serde::{Deserialize, Serialize};

use crate::prompt::{Message, Role};

/// One question with one undivided answer, whatever shape it was published in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The source's own id, or `FILE:ROW`.
    pub id: String,
    /// Everything before the last answer. Ends with a user's turn.
    pub messages: Vec<Message>,
    /// Places in `messages` of assistant's turns that are shown and not learnt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlearnt: Vec<usize>,
    /// The target: thinking and answer in one stream.
    pub response: String,
    /// Tokens of the response, where they have been counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
    /// Python asserts that the code in the response must pass, where the source has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tests: Option<String>,
}

impl Record {
    /// The last thing the user said.
    pub fn question(&self) -> &str {
        self.messages.iter().rev().find(|m| m.role == Role::User).map_or("", |m| m.content.as_str())
    }

    /// The row that `z1 sft train` reads.
    pub fn to_sample(&self) -> serde_json::Value {
        let mut messages = self.messages.clone();
        messages.push(Message::new(Role::Assistant, self.response.clone()));
        let mut row = serde_json::json!({ "id": self.id, "messages": messages, "tokens": self.tokens });
        if !self.unlearnt.is_empty() {
            row["unlearnt"] = self.unlearnt.clone().into();
        }
        if let Some(tests) = &self.tests {
            row["tests"] = tests.clone().into();
        }
        row
    }
}
