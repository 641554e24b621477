//! What a protocol's form must say, and the events of a stream. Pure.
//!
//! Not for: any one form.

use serde_json::Value;

use super::ask::{Ask, Fault};
use super::tools::Call;

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Turn,
    /// The limit of tokens, or the context's end.
    Limit,
    /// A word of the client's.
    Stop(String),
    Calls,
}

/// Tokens of one answer.
#[expect(clippy::struct_field_names, reason = "the unit comes last, here as everywhere")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) prompt_tokens: u32,
    pub(super) reused_tokens: u32,
    /// Everything that was generated.
    pub(super) generated_tokens: u32,
    /// Of these, thinking.
    pub(super) thinking_tokens: u32,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) thought: String,
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) ended: Ended,
    pub(super) spent: Spent,
    /// How the answer was verified, where that was asked for.
    pub(super) verified: Option<Value>,
}

/// What every answer begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Unique; without the form's prefix.
    pub(super) id: String,
    pub(super) created_unix_s: u64,
    pub(super) model: String,
    pub(super) prompt_tokens: u32,
}

/// A protocol's form of an answer. The streaming methods return events, ready to be sent.
pub(super) trait Form: Send {
    fn begin(&mut self) -> String;
    fn thought(&mut self, text: &str) -> String;
    fn text(&mut self, text: &str) -> String;
    fn call(&mut self, call: &Call) -> String;
    fn end(&mut self, answer: &Answer) -> String;
    /// A stream that breaks off says why.
    fn broken(&mut self, fault: &Fault) -> String;
    /// The answer in one piece.
    fn whole(&self, answer: &Answer) -> Value;
}

/// The protocols that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Completions,
    Responses,
    Messages,
}

impl Api {
    /// Reads a request.
    ///
    /// # Errors
    /// What has no sense in it.
    pub(super) fn read(self, body: &Value) -> Result<Ask, Fault> {
        match self {
            Self::Chat => super::chat::read(body),
            Self::Completions => super::completions::read(body),
            Self::Responses => super::responses::read(body),
            Self::Messages => super::messages::read(body),
        }
    }

    pub(super) fn form(self, opening: Opening, ask: &Ask) -> Box<dyn Form> {
        match self {
            Self::Chat => Box::new(super::chat::Chat::new(opening, ask.stream_usage)),
            Self::Completions => Box::new(super::completions::Completions::new(opening, ask.stream_usage)),
            Self::Responses => Box::new(super::responses::Responses::new(opening)),
            Self::Messages => Box::new(super::messages::Messages::new(opening)),
        }
    }

    /// A fault in the protocol's own words.
    pub(super) fn fault(self, fault: &Fault) -> Value {
        match self {
            Self::Messages => super::messages::fault(fault),
            _ => super::chat::fault(fault),
        }
    }
}

/// An event of a stream.
pub(super) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// An event with a name.
pub(super) fn event(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}
