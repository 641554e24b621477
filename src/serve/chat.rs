//! `/v1/chat/completions`. Pure.
//!
//! Thinking goes out as `reasoning_content`, which clients read and send back; it comes in under either name and is not
//! said again. Usage is streamed where it was asked for, in a last chunk without choices.
//!
//! Not for: the words of a request that the forms share (`ask.rs`).

use serde_json::{Value, json};

use super::ask::{self, Ask, Fault, Kind, Names};
use super::content;
use super::form::{Answer, Ended, Form, Opening, Spent, data};
use super::tools::Call;
use crate::prompt::{Message, Role};

/// Reads a request.
///
/// # Errors
/// What has no sense in it.
pub(super) fn read(body: &Value) -> Result<Ask, Fault> {
    let messages = ask::messages(body)?.iter().map(message).collect::<Result<Vec<_>, _>>()?;
    let declared = if body["tools"].is_null() { &body["functions"] } else { &body["tools"] };
    let names =
        Names { tokens_max: &["max_completion_tokens", "max_tokens", "n_predict"], stops: "stop", format: body };
    let choice = if body["tool_choice"].is_null() { &body["function_call"] } else { &body["tool_choice"] };
    Ask { messages, ..ask::read(body, &names)? }.with_tools(declared, choice)
}

fn message(message: &Value) -> Result<Message, Fault> {
    let (name, role) = ask::role(message, "messages")?;
    let mut text = content::text(&message["content"], "messages")?;
    if name == "tool" || name == "function" {
        text = content::result(&text);
    }
    if role == Role::Assistant {
        let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["function"]);
        // Clients of before 2024 have one call, beside the content.
        let older = Some(&message["function_call"]).filter(|function| function.is_object());
        for function in calls.chain(older) {
            let call = content::call(function["name"].as_str().unwrap_or_default(), &function["arguments"]);
            text = if text.is_empty() { call } else { format!("{text}\n{call}") };
        }
    }
    Ok(Message::new(role, text))
}

/// The form of the answer.
pub(super) struct Chat {
    opening: Opening,
    usage: bool,
    calls: usize,
}

impl Chat {
    pub(super) const fn new(opening: Opening, usage: bool) -> Self {
        Self { opening, usage, calls: 0 }
    }

    fn frame(&self, object: &str) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.opening.id), "object": object, "created": self.opening.created_unix_s,
            "model": self.opening.model,
        })
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> String {
        let mut chunk = self.frame("chat.completion.chunk");
        chunk["choices"] = json!([{ "index": 0, "delta": delta, "finish_reason": finish }]);
        data(&chunk)
    }
}

impl Form for Chat {
    fn begin(&mut self) -> String {
        self.chunk(&json!({ "role": "assistant", "content": "" }), None)
    }

    fn thought(&mut self, text: &str) -> String {
        self.chunk(&json!({ "reasoning_content": text }), None)
    }

    fn text(&mut self, text: &str) -> String {
        self.chunk(&json!({ "content": text }), None)
    }

    fn call(&mut self, call: &Call) -> String {
        let mut object = call_object(call);
        object["index"] = json!(self.calls);
        self.calls += 1;
        self.chunk(&json!({ "tool_calls": [object] }), None)
    }

    fn end(&mut self, answer: &Answer) -> String {
        let mut last = self.frame("chat.completion.chunk");
        last["choices"] = json!([{ "index": 0, "delta": {}, "finish_reason": reason(&answer.ended) }]);
        if let Some(verified) = &answer.verified {
            last["z1"] = verified.clone();
        }
        let usage = self.usage.then(|| self.frame("chat.completion.chunk"));
        closed(&last, usage, answer.spent)
    }

    fn broken(&mut self, fault: &Fault) -> String {
        data(&self::fault(fault))
    }

    fn whole(&self, answer: &Answer) -> Value {
        let text = if answer.text.is_empty() && !answer.calls.is_empty() { Value::Null } else { json!(answer.text) };
        let mut message = json!({ "role": "assistant", "content": text });
        if !answer.thought.is_empty() {
            message["reasoning_content"] = json!(answer.thought);
        }
        if !answer.calls.is_empty() {
            message["tool_calls"] = answer.calls.iter().map(call_object).collect();
        }
        let mut whole = self.frame("chat.completion");
        whole["choices"] = json!([{ "index": 0, "message": message, "finish_reason": reason(&answer.ended) }]);
        whole["usage"] = usage(answer.spent);
        if let Some(verified) = &answer.verified {
            whole["z1"] = verified.clone();
        }
        whole
    }
}

fn call_object(call: &Call) -> Value {
    json!({
        "id": call.id, "type": "function",
        "function": { "name": call.name, "arguments": call.arguments.to_string() },
    })
}

/// The end of a stream: its last chunk, and where it was asked for one of usage on this frame, without choices.
pub(super) fn closed(last: &Value, usage_on: Option<Value>, spent: Spent) -> String {
    let mut out = data(last);
    if let Some(mut chunk) = usage_on {
        chunk["choices"] = json!([]);
        chunk["usage"] = usage(spent);
        out.push_str(&data(&chunk));
    }
    out.push_str("data: [DONE]\n\n");
    out
}

/// Why it ended, in OpenAI's words.
pub(super) const fn reason(ended: &Ended) -> &'static str {
    match ended {
        Ended::Turn | Ended::Stop(_) => "stop",
        Ended::Limit => "length",
        Ended::Calls => "tool_calls",
    }
}

/// Tokens in OpenAI's words.
pub(super) fn usage(spent: Spent) -> Value {
    json!({
        "prompt_tokens": spent.prompt_tokens, "completion_tokens": spent.generated_tokens,
        "total_tokens": spent.prompt_tokens + spent.generated_tokens,
        "prompt_tokens_details": { "cached_tokens": spent.reused_tokens },
        "completion_tokens_details": { "reasoning_tokens": spent.thinking_tokens },
    })
}

/// A fault in OpenAI's words.
pub(super) fn fault(fault: &Fault) -> Value {
    let (kind, code) = match fault.kind {
        Kind::Invalid => ("invalid_request_error", Value::Null),
        Kind::TooLong => ("invalid_request_error", json!("context_length_exceeded")),
        Kind::NoKey => ("invalid_request_error", json!("invalid_api_key")),
        Kind::Forbidden => ("invalid_request_error", json!("forbidden")),
        Kind::NotFound => ("invalid_request_error", json!("not_found")),
        Kind::Method => ("invalid_request_error", json!("method_not_allowed")),
        Kind::TooLarge => ("invalid_request_error", json!("request_too_large")),
        Kind::Slow => ("invalid_request_error", json!("timeout")),
        Kind::Busy => ("rate_limit_error", json!("rate_limit_exceeded")),
        Kind::Broken => ("server_error", Value::Null),
    };
    json!({ "error": { "message": fault.message, "type": kind, "param": fault.field, "code": code } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::thinking::Wish;

    fn opening() -> Opening {
        Opening { id: "1".into(), created_unix_s: 5, model: "m".into(), prompt_tokens: 3 }
    }

    fn answer() -> Answer {
        Answer {
            thought: "hm".into(),
            text: "4".into(),
            calls: vec![],
            ended: Ended::Turn,
            spent: Spent { prompt_tokens: 3, reused_tokens: 1, generated_tokens: 5, thinking_tokens: 2 },
            verified: None,
        }
    }

    #[test]
    fn what_real_clients_send_is_taken() {
        let body = json!({
            "model": "any", "stream": true, "store": false, "stream_options": { "include_usage": true },
            "max_completion_tokens": 32000, "reasoning_effort": "low", "some_new_field": { "x": 1 },
            "messages": [
                { "role": "developer", "content": "D" },
                { "role": "user", "content": [{ "type": "text", "text": "U" }] },
                { "role": "assistant", "content": null, "reasoning_content": "t", "tool_calls": [
                    { "id": "c", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } }] },
                { "role": "tool", "tool_call_id": "c", "content": [{ "type": "text", "text": "R" }] },
            ],
            "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "$schema": "s" }, "strict": false } }],
            "tool_choice": "auto",
        });
        let ask = read(&body).unwrap();
        let roles: Vec<Role> = ask.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User]);
        assert!(ask.messages[2].content.starts_with("<tool_call>"), "thinking is not said again");
        assert!(ask.messages[3].content.contains("<tool_response>\nR\n"));
        assert_eq!((ask.thinking, ask.tokens_max, ask.tools.len()), (Wish::Tokens(512), Some(32000), 1));
        assert!(ask.stream && ask.stream_usage);
    }

    #[test]
    fn what_has_no_sense_is_named() {
        for (body, field) in [
            (json!({}), "messages"),
            (json!({ "messages": [] }), "messages"),
            (json!({ "messages": [{ "content": "x" }] }), "messages"),
            (json!({ "messages": [{ "role": "user", "content": 7 }] }), "messages"),
            (json!({ "messages": [{ "role": "user", "content": "x" }], "n": 2 }), "n"),
            (json!({ "messages": [{ "role": "user", "content": "x" }], "stream": "yes" }), "stream"),
        ] {
            assert_eq!(read(&body).unwrap_err().field, Some(field), "{body}");
        }
    }

    #[test]
    fn an_answer_is_the_same_whole_and_in_pieces() {
        let mut chat = Chat::new(opening(), true);
        let whole = chat.whole(&answer());
        assert_eq!(whole["choices"][0]["message"]["reasoning_content"], "hm");
        assert_eq!(whole["usage"]["completion_tokens_details"]["reasoning_tokens"], 2);
        let stream = chat.begin() + &chat.thought("hm") + &chat.text("4") + &chat.end(&answer());
        let chunks: Vec<&str> = stream.split("\n\n").filter(|chunk| !chunk.is_empty()).collect();
        assert_eq!(chunks.last(), Some(&"data: [DONE]"));
        let last: Value = serde_json::from_str(chunks[4].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(8)));
        assert!(!Chat::new(opening(), false).end(&answer()).contains("usage"));
    }

    #[test]
    fn calls_have_their_arguments_as_text() {
        let call = Call { id: "call_1".into(), name: "f".into(), arguments: json!({ "a": 1 }) };
        let answer = Answer { calls: vec![call], text: String::new(), ended: Ended::Calls, ..answer() };
        let whole = Chat::new(opening(), false).whole(&answer);
        let choice = &whole["choices"][0];
        assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
        assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&Value::Null, &json!("tool_calls")));
    }
}
