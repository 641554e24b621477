//! What is kept of one problem and one arm: one line of JSON.

use serde::{Deserialize, Serialize};

use super::difficulty::Difficulty;
use crate::task::{Finish, Status, Tier, Usage};

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed,
    /// z1 finds no answer in the reply: a finding about the format, kept apart from wrong answers.
    Unreadable,
    /// The problem does not fit into the model's context.
    TooLong,
    /// No judge could say: a runner or a library is missing. Counts for nobody.
    NotJudged,
}

/// One reply of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The assistant's turn, words put into its mouth included.
    pub text: String,
    pub outcome: Outcome,
    /// Why not, in a few words; empty where it passed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    pub finish: Finish,
    pub shifted: bool,
    pub usage: Usage,
    /// Tokens before the first code fence or the hint: what was spent on thinking proper.
    pub thought_tokens: u32,
    /// Answers with the same key behave alike (or say the same).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether it passed the visible tests, where somebody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visible: Option<bool>,
}

/// What the agent said of its own answer, and how it came to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub status: Status,
    pub rounds: u32,
    /// What every candidate wrote, in the order in which they ended.
    pub replies: Vec<String>,
}

/// One problem answered by one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub task_id: String,
    pub suite: String,
    pub arm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Of the first answer, or of what the agent ended with.
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The reply as `z1 verify` reads it.
    pub completion: String,
    pub answers: Vec<Answer>,
    /// Which answer the majority chose, and which the visible tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub majority: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<u32>,
    /// Summed over all answers.
    pub usage: Usage,
    pub thought_tokens: u32,
    pub shifted: bool,
    /// Tokens that were decoded for it; fewer than `usage` says where a known beginning was reused.
    pub decoded_tokens: u32,
    pub seconds: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// What is asked and what decides, by their hashes; empty in records from before they were kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub question_sha256: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tests_sha256: String,
    /// SHA-256 of the rendered prompt.
    pub prompt_sha256: String,
    pub words: String,
    pub words_sha256: String,
    /// Fingerprint of the model's file, and of the adapter's where there was one.
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    pub seed: u64,
    /// Where the agent answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// What was foretold of it; such a record holds no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<Difficulty>,
}

impl Record {
    /// What a record is known by within one run.
    pub fn key(&self) -> (String, String) {
        (self.task_id.clone(), self.arm.clone())
    }

    pub const fn passed(&self) -> bool {
        matches!(self.outcome, Outcome::Passed)
    }

    /// Whether it says something about the model.
    pub const fn counts(&self) -> bool {
        !matches!(self.outcome, Outcome::NotJudged)
    }

    /// Answers that passed.
    pub fn passes(&self) -> u32 {
        self.answers.iter().filter(|answer| answer.outcome == Outcome::Passed).count() as u32
    }
}
