//! `/v1/messages`, in Anthropic's form. Pure.
//!
//! Every event has its `event:` line, blocks are numbered without gaps, and thinking has a block of its own with a
//! signature, which means nothing here.
//!
//! Not for: the words of a request that the forms share (`ask.rs`).

use serde_json::{Value, json};

use super::ask::{self, Ask, Fault, Kind, Names};
use super::content;
use super::form::{Answer, Ended, Form, Opening, Spent, event};
use super::tools::Call;
use crate::prompt::{Message, Role};

/// What stands for a signature.
const SIGNATURE: &str = "z1";

/// Reads a request.
///
/// # Errors
/// What has no sense in it.
pub(super) fn read(body: &Value) -> Result<Ask, Fault> {
    let mut messages = vec![Message::new(Role::System, content::text(&body["system"], "system")?)];
    for message in ask::messages(body)? {
        let (_, role) = ask::role(message, "messages")?;
        messages.push(Message::new(role, blocks(&message["content"])?));
    }
    // The form's temperature ends at 1, but a larger one has a meaning.
    let names = Names { tokens_max: &["max_tokens"], stops: "stop_sequences", format: body };
    Ask { messages, stream_usage: true, ..ask::read(body, &names)? }.with_tools(&body["tools"], &body["tool_choice"])
}

fn blocks(value: &Value) -> Result<String, Fault> {
    let Some(list) = value.as_array() else { return content::text(value, "messages") };
    let mut parts = Vec::with_capacity(list.len());
    for block in list {
        let text = match block["type"].as_str() {
            Some("tool_use") => content::call(block["name"].as_str().unwrap_or_default(), &block["input"]),
            Some("tool_result") => content::result(&content::text(&block["content"], "messages")?),
            _ => content::text(&json!([block]), "messages")?,
        };
        if !text.is_empty() {
            parts.push(text);
        }
    }
    Ok(parts.join("\n"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Thinking,
    Text,
}

/// The form of the answer.
pub(super) struct Messages {
    opening: Opening,
    open: Option<Block>,
    /// Blocks that were begun.
    begun: usize,
}

impl Messages {
    pub(super) const fn new(opening: Opening) -> Self {
        Self { opening, open: None, begun: 0 }
    }

    fn id(&self) -> String {
        format!("msg_{}", self.opening.id)
    }

    fn start(&mut self, block: &Value) -> String {
        let at = self.begun;
        self.begun += 1;
        event("content_block_start", &json!({ "type": "content_block_start", "index": at, "content_block": block }))
    }

    fn delta(&self, delta: &Value) -> String {
        let at = self.begun.saturating_sub(1);
        event("content_block_delta", &json!({ "type": "content_block_delta", "index": at, "delta": delta }))
    }

    fn stop(&mut self) -> String {
        let Some(open) = self.open.take() else { return String::new() };
        let at = self.begun.saturating_sub(1);
        let mut out = String::new();
        if open == Block::Thinking {
            out = self.delta(&json!({ "type": "signature_delta", "signature": SIGNATURE }));
        }
        out.push_str(&event("content_block_stop", &json!({ "type": "content_block_stop", "index": at })));
        out
    }

    /// Begins a block where another one is open, or none.
    fn within(&mut self, block: Block) -> String {
        if self.open == Some(block) {
            return String::new();
        }
        let mut out = self.stop();
        let empty = match block {
            Block::Thinking => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Block::Text => json!({ "type": "text", "text": "" }),
        };
        out.push_str(&self.start(&empty));
        self.open = Some(block);
        out
    }
}

impl Form for Messages {
    fn begin(&mut self) -> String {
        let message = json!({
            "id": self.id(), "type": "message", "role": "assistant", "model": self.opening.model, "content": [],
            "stop_reason": null, "stop_sequence": null,
            "usage": { "input_tokens": self.opening.prompt_tokens, "output_tokens": 0 },
        });
        event("message_start", &json!({ "type": "message_start", "message": message }))
    }

    fn thought(&mut self, text: &str) -> String {
        self.within(Block::Thinking) + &self.delta(&json!({ "type": "thinking_delta", "thinking": text }))
    }

    fn text(&mut self, text: &str) -> String {
        self.within(Block::Text) + &self.delta(&json!({ "type": "text_delta", "text": text }))
    }

    fn call(&mut self, call: &Call) -> String {
        let mut out = self.stop();
        out.push_str(&self.start(&json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} })));
        let arguments = call.arguments.to_string();
        out.push_str(&self.delta(&json!({ "type": "input_json_delta", "partial_json": arguments })));
        let at = self.begun - 1;
        out.push_str(&event("content_block_stop", &json!({ "type": "content_block_stop", "index": at })));
        out
    }

    fn end(&mut self, answer: &Answer) -> String {
        // A message without a block is read as an error by some.
        let mut out = if self.begun == 0 { self.within(Block::Text) } else { String::new() };
        out.push_str(&self.stop());
        let (reason, sequence) = reason(&answer.ended);
        let mut last = json!({
            "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": sequence },
            "usage": usage(answer.spent),
        });
        if let Some(verified) = &answer.verified {
            last["z1"] = verified.clone();
        }
        out.push_str(&event("message_delta", &last));
        out.push_str(&event("message_stop", &json!({ "type": "message_stop" })));
        out
    }

    fn broken(&mut self, fault: &Fault) -> String {
        event("error", &self::fault(fault))
    }

    fn whole(&self, answer: &Answer) -> Value {
        let mut blocks = Vec::new();
        if !answer.thought.is_empty() {
            blocks.push(json!({ "type": "thinking", "thinking": answer.thought, "signature": SIGNATURE }));
        }
        if !answer.text.is_empty() || answer.calls.is_empty() {
            blocks.push(json!({ "type": "text", "text": answer.text }));
        }
        let call =
            |call: &Call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments });
        blocks.extend(answer.calls.iter().map(call));
        let (reason, sequence) = reason(&answer.ended);
        let mut whole = json!({
            "id": self.id(), "type": "message", "role": "assistant", "model": self.opening.model, "content": blocks,
            "stop_reason": reason, "stop_sequence": sequence, "usage": usage(answer.spent),
        });
        if let Some(verified) = &answer.verified {
            whole["z1"] = verified.clone();
        }
        whole
    }
}

fn reason(ended: &Ended) -> (&'static str, Option<&str>) {
    match ended {
        Ended::Turn => ("end_turn", None),
        Ended::Limit => ("max_tokens", None),
        Ended::Stop(word) => ("stop_sequence", Some(word)),
        Ended::Calls => ("tool_use", None),
    }
}

fn usage(spent: Spent) -> Value {
    json!({
        "input_tokens": spent.prompt_tokens.saturating_sub(spent.reused_tokens),
        "cache_read_input_tokens": spent.reused_tokens, "cache_creation_input_tokens": 0,
        "output_tokens": spent.generated_tokens, "thinking_tokens": spent.thinking_tokens,
    })
}

/// A fault in Anthropic's words.
pub(super) fn fault(fault: &Fault) -> Value {
    let kind = match fault.kind {
        Kind::Invalid | Kind::TooLong | Kind::Method => "invalid_request_error",
        Kind::NoKey => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::TooLarge => "request_too_large",
        Kind::Slow => "timeout_error",
        Kind::Busy => "rate_limit_error",
        Kind::Broken => "api_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": fault.message } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::thinking::Wish;

    #[test]
    fn blocks_of_every_kind_become_turns() {
        let ask = read(&json!({
            "max_tokens": 64, "system": [{ "type": "text", "text": "S", "cache_control": {} }],
            "thinking": { "type": "enabled", "budget_tokens": 40 },
            "tools": [{ "name": "f", "input_schema": {} }], "tool_choice": { "type": "auto" },
            "messages": [
                { "role": "user", "content": "U" },
                { "role": "assistant", "content": [
                    { "type": "thinking", "thinking": "t", "signature": "s" }, { "type": "text", "text": "A" },
                    { "type": "tool_use", "id": "i", "name": "f", "input": { "a": 1 } } ] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "i", "content": [{ "type": "text", "text": "R" }] }] },
            ],
        }))
        .unwrap();
        let texts: Vec<&str> = ask.messages.iter().map(|message| message.content.as_str()).collect();
        assert_eq!(texts[..2], ["S", "U"]);
        assert!(texts[2].starts_with("A\n<tool_call>") && texts[3].contains("\nR\n"), "{texts:?}");
        assert_eq!((ask.thinking, ask.tokens_max), (Wish::Tokens(40), Some(64)));
    }

    #[test]
    fn a_stream_has_blocks_without_gaps_and_named_events() {
        let opening = Opening { id: "1".into(), created_unix_s: 0, model: "m".into(), prompt_tokens: 3 };
        let mut form = Messages::new(opening);
        let call = Call { id: "c".into(), name: "f".into(), arguments: json!({ "a": 1 }) };
        let answer = Answer {
            thought: "t".into(),
            text: "x".into(),
            calls: vec![call.clone()],
            ended: Ended::Calls,
            spent: Spent { prompt_tokens: 3, reused_tokens: 1, generated_tokens: 9, thinking_tokens: 4 },
            verified: None,
        };
        let stream = form.begin() + &form.thought("t") + &form.text("x") + &form.call(&call) + &form.end(&answer);
        let events: Vec<(&str, Value)> = stream
            .split("\n\n")
            .filter(|event| !event.is_empty())
            .map(|event| {
                let (name, data) = event.split_once('\n').unwrap();
                (name.strip_prefix("event: ").unwrap(), serde_json::from_str(&data["data: ".len()..]).unwrap())
            })
            .collect();
        assert!(events.iter().all(|(name, data)| data["type"] == *name));
        let starts: Vec<u64> = events
            .iter()
            .filter(|(name, _)| *name == "content_block_start")
            .filter_map(|(_, d)| d["index"].as_u64())
            .collect();
        let stops = events.iter().filter(|(name, _)| *name == "content_block_stop").count();
        assert_eq!((starts, stops), (vec![0, 1, 2], 3));
        let (_, last) = events.iter().find(|(name, _)| *name == "message_delta").unwrap();
        assert_eq!((&last["delta"]["stop_reason"], &last["usage"]["output_tokens"]), (&json!("tool_use"), &json!(9)));
        assert_eq!(form.whole(&answer)["content"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn an_empty_answer_still_has_a_block() {
        let opening = Opening { id: "1".into(), created_unix_s: 0, model: "m".into(), prompt_tokens: 3 };
        let answer = Answer {
            thought: String::new(),
            text: String::new(),
            calls: vec![],
            ended: Ended::Limit,
            spent: Spent::default(),
            verified: None,
        };
        assert!(Messages::new(opening).end(&answer).contains("content_block_start"));
    }
}
