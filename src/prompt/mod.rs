//! The only place where text for a model is put together: prompt files, strictly rendered, and the chat
//! template. Inference and training both come through here, so they cannot disagree.
//!
//! [`Prompts`] are the files (and which set of them a model is spoken to with), [`conversation`] lays them out as
//! turns, [`render_chatml`] and [`ChatTemplate`] turn the turns into [`Rendered`] segments.
//!
//! Not for: tokenising (the engine and `sft` do that, each with its own tokenizer, from the same
//! [`Rendered`] segments) and deciding what to say (the agent does).

use serde::{Deserialize, Serialize};

mod chatml;
pub mod conversation;
mod files;
mod table;
mod template;
mod words;

pub use chatml::render_chatml;
pub use files::{PromptError, Prompts};
pub use template::{ChatTemplate, Habits, TemplateError};
pub use words::{Asked, WordSet, Words, WordsContext, force_hint};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

impl Role {
    /// The role's name as chat templates spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

impl Message {
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// A stretch of prompt text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub text: String,
    /// The template's own frame: control tokens written in it count as control tokens. In all other text
    /// (`false`) something that looks like `<|im_end|>` stays ordinary text.
    pub special: bool,
    /// The loss is taken on these tokens when training (an assistant's words and its end-of-turn).
    pub learn: bool,
}

/// A conversation, rendered but not yet tokenised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    pub segments: Vec<Segment>,
}

impl Rendered {
    /// The prompt as one string (for people; tokenise the segments, not this).
    pub fn text(&self) -> String {
        self.segments.iter().map(|segment| segment.text.as_str()).collect()
    }
}
