//! The only place where text for a model is put together: prompt files, strictly rendered, and the chat
//! template. Inference and training both come through here, so they cannot disagree.
//!
//! Not for: tokenising (the engine and `sft` do that, each with its own tokenizer, from the same
//! [`Rendered`] segments) and deciding what to say (the agent does).

use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
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

/// Renders a conversation as ChatML (the format of Qwen2 and of z1-nano). With `open`, the assistant's
/// turn is left open for the model to fill.
pub fn render_chatml(messages: &[Message], open: bool) -> Rendered {
    let mut segments = Vec::with_capacity(messages.len() * 3 + 1);
    let frame = |text: String, learn: bool| Segment { text, special: true, learn };
    for message in messages {
        let name = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let learn = message.role == Role::Assistant;
        segments.push(frame(format!("<|im_start|>{name}\n"), false));
        segments.push(Segment { text: message.content.clone(), special: false, learn });
        // The end-of-turn is learnt, the line break after it is only frame.
        segments.push(frame("<|im_end|>".to_owned(), learn));
        segments.push(frame("\n".to_owned(), false));
    }
    if open {
        segments.push(frame("<|im_start|>assistant\n".to_owned(), false));
    }
    Rendered { segments }
}
