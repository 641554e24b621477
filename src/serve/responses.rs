//! `/v1/responses`. Pure.
//!
//! One client takes the answer from the item's end, another from the completed response, a third from the pieces: all
//! three say the same.
//!
//! Not for: keeping responses. Nothing is stored, so a request brings its whole conversation.

use serde_json::{Value, json};

use super::ask::{self, Ask, Fault, Names};
use super::content;
use super::form::{Answer, Ended, Form, Opening, Spent, event};
use super::tools::Call;
use crate::prompt::{Message, Role};

/// Reads a request.
///
/// # Errors
/// What has no sense in it.
pub(super) fn read(body: &Value) -> Result<Ask, Fault> {
    if body["previous_response_id"].is_string() {
        return Err(Fault::field("previous_response_id", "responses are not kept; send the whole conversation"));
    }
    let mut messages = vec![Message::new(Role::System, content::text(&body["instructions"], "instructions")?)];
    match &body["input"] {
        Value::String(text) => messages.push(Message::new(Role::User, text.as_str())),
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                messages.extend(turn(item)?);
            }
        }
        _ => return Err(Fault::field("input", "a text, or a list with at least one item")),
    }
    let format = json!({ "grammar": body["grammar"], "response_format": body["text"]["format"] });
    let names = Names { tokens_max: &["max_output_tokens", "max_tokens"], stops: "stop", format: &format };
    Ask { messages, stream_usage: true, ..ask::read(body, &names)? }.with_tools(&body["tools"], &body["tool_choice"])
}

fn turn(item: &Value) -> Result<Option<Message>, Fault> {
    let kind = item["type"].as_str().unwrap_or("message");
    Ok(match kind {
        "message" => {
            let (_, role) = ask::role(item, "input")?;
            Some(Message::new(role, content::text(&item["content"], "input")?))
        }
        "function_call" | "custom_tool_call" => {
            let arguments = if item["arguments"].is_null() { &item["input"] } else { &item["arguments"] };
            let call = content::call(item["name"].as_str().unwrap_or_default(), arguments);
            Some(Message::new(Role::Assistant, call))
        }
        "function_call_output" | "custom_tool_call_output" => {
            Some(Message::new(Role::User, content::result(&content::text(&item["output"], "input")?)))
        }
        // Thinking, and what other servers' tools have left.
        _ => None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Reasoning,
    Message,
}

/// The form of the answer.
pub(super) struct Responses {
    opening: Opening,
    /// Events so far.
    number: u64,
    open: Option<Item>,
    text: String,
    /// Items that are finished.
    output: Vec<Value>,
}

impl Responses {
    pub(super) const fn new(opening: Opening) -> Self {
        Self { opening, number: 0, open: None, text: String::new(), output: Vec::new() }
    }

    fn send(&mut self, name: &str, mut value: Value) -> String {
        value["type"] = json!(name);
        value["sequence_number"] = json!(self.number);
        self.number += 1;
        event(name, &value)
    }

    fn item_id(&self, item: Item) -> String {
        let prefix = if item == Item::Reasoning { "rs" } else { "msg" };
        format!("{prefix}_{}_{}", self.opening.id, self.output.len())
    }

    fn response(&self, status: &str, output: &[Value], ended: Option<(&Ended, Spent)>) -> Value {
        let limit = matches!(ended, Some((Ended::Limit, _)));
        json!({
            "id": format!("resp_{}", self.opening.id), "object": "response",
            "created_at": self.opening.created_unix_s, "status": status, "model": self.opening.model,
            "output": output, "error": null,
            "incomplete_details": limit.then(|| json!({ "reason": "max_output_tokens" })),
            "usage": ended.map(|(_, spent)| usage(spent)),
            "instructions": null, "max_output_tokens": null, "metadata": {}, "parallel_tool_calls": true,
            "previous_response_id": null, "reasoning": { "effort": null, "summary": null }, "store": false,
            "temperature": null, "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [],
            "top_p": null, "truncation": "disabled",
        })
    }

    /// Begins an item where another one is open, or none.
    fn within(&mut self, item: Item) -> String {
        if self.open == Some(item) {
            return String::new();
        }
        let mut out = self.close();
        (self.open, self.text) = (Some(item), String::new());
        let (id, at) = (self.item_id(item), self.output.len());
        let empty = object(item, &id, "", "in_progress");
        out.push_str(&self.send("response.output_item.added", json!({ "output_index": at, "item": empty })));
        if item == Item::Message {
            let part = json!({ "item_id": id, "output_index": at, "content_index": 0, "part": part("") });
            out.push_str(&self.send("response.content_part.added", part));
        }
        out
    }

    fn close(&mut self) -> String {
        let Some(item) = self.open.take() else { return String::new() };
        let (id, at, text) = (self.item_id(item), self.output.len(), std::mem::take(&mut self.text));
        let place = json!({ "item_id": id, "output_index": at, "content_index": 0 });
        let with = |field: &str, value: Value| {
            let mut event = place.clone();
            event[field] = value;
            event
        };
        let mut out = String::new();
        match item {
            Item::Reasoning => out.push_str(&self.send("response.reasoning_text.done", with("text", json!(text)))),
            Item::Message => {
                let mut done = with("text", json!(text));
                done["logprobs"] = json!([]);
                out.push_str(&self.send("response.output_text.done", done));
                out.push_str(&self.send("response.content_part.done", with("part", part(&text))));
            }
        }
        let whole = object(item, &id, &text, "completed");
        out.push_str(&self.send("response.output_item.done", json!({ "output_index": at, "item": whole })));
        self.output.push(whole);
        out
    }

    fn delta(&mut self, name: &str, item: Item, text: &str) -> String {
        self.text.push_str(text);
        let delta = json!({ "item_id": self.item_id(item), "output_index": self.output.len(), "content_index": 0, "delta": text });
        self.send(name, delta)
    }
}

impl Form for Responses {
    fn begin(&mut self) -> String {
        let response = self.response("in_progress", &[], None);
        self.send("response.created", json!({ "response": response }))
            + &self.send("response.in_progress", json!({ "response": response }))
    }

    fn thought(&mut self, text: &str) -> String {
        self.within(Item::Reasoning) + &self.delta("response.reasoning_text.delta", Item::Reasoning, text)
    }

    fn text(&mut self, text: &str) -> String {
        let mut out = self.within(Item::Message);
        self.text.push_str(text);
        let delta = json!({
            "item_id": self.item_id(Item::Message), "output_index": self.output.len(), "content_index": 0,
            "delta": text, "logprobs": [],
        });
        out.push_str(&self.send("response.output_text.delta", delta));
        out
    }

    fn call(&mut self, call: &Call) -> String {
        let mut out = self.close();
        let (at, whole) = (self.output.len(), call_object(call));
        let arguments = whole["arguments"].clone();
        let mut begun = whole.clone();
        (begun["arguments"], begun["status"]) = (json!(""), json!("in_progress"));
        let place = |field: &str| json!({ "item_id": whole["id"], "output_index": at, field: arguments });
        out.push_str(&self.send("response.output_item.added", json!({ "output_index": at, "item": begun })));
        out.push_str(&self.send("response.function_call_arguments.delta", place("delta")));
        let mut done = place("arguments");
        done["name"] = json!(call.name);
        out.push_str(&self.send("response.function_call_arguments.done", done));
        out.push_str(&self.send("response.output_item.done", json!({ "output_index": at, "item": whole })));
        self.output.push(whole);
        out
    }

    fn end(&mut self, answer: &Answer) -> String {
        let answered = self.open == Some(Item::Message) || self.output.iter().any(|item| item["type"] != "reasoning");
        let mut out = if answered { String::new() } else { self.within(Item::Message) };
        out.push_str(&self.close());
        let (status, name) = match answer.ended {
            Ended::Limit => ("incomplete", "response.incomplete"),
            _ => ("completed", "response.completed"),
        };
        let mut response = self.response(status, &self.output, Some((&answer.ended, answer.spent)));
        if let Some(verified) = &answer.verified {
            response["z1"] = verified.clone();
        }
        out.push_str(&self.send(name, json!({ "response": response })));
        out
    }

    fn broken(&mut self, fault: &Fault) -> String {
        let mut response = self.response("failed", &self.output, None);
        response["error"] = json!({ "code": "server_error", "message": fault.message });
        self.send("response.failed", json!({ "response": response }))
    }

    fn whole(&self, answer: &Answer) -> Value {
        let id = |prefix: &str, at: usize| format!("{prefix}_{}_{at}", self.opening.id);
        let mut output = Vec::new();
        if !answer.thought.is_empty() {
            output.push(object(Item::Reasoning, &id("rs", 0), &answer.thought, "completed"));
        }
        if !answer.text.is_empty() || answer.calls.is_empty() {
            output.push(object(Item::Message, &id("msg", output.len()), &answer.text, "completed"));
        }
        output.extend(answer.calls.iter().map(call_object));
        let status = if answer.ended == Ended::Limit { "incomplete" } else { "completed" };
        let mut whole = self.response(status, &output, Some((&answer.ended, answer.spent)));
        if let Some(verified) = &answer.verified {
            whole["z1"] = verified.clone();
        }
        whole
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

fn object(item: Item, id: &str, text: &str, status: &str) -> Value {
    match item {
        Item::Reasoning => {
            let content = if text.is_empty() { json!([]) } else { json!([{ "type": "reasoning_text", "text": text }]) };
            json!({ "id": id, "type": "reasoning", "summary": [], "content": content, "status": status })
        }
        Item::Message => {
            let content = if status == "completed" { json!([part(text)]) } else { json!([]) };
            json!({ "id": id, "type": "message", "role": "assistant", "content": content, "status": status })
        }
    }
}

fn call_object(call: &Call) -> Value {
    json!({
        "id": format!("fc_{}", call.id), "type": "function_call", "call_id": call.id, "name": call.name,
        "arguments": call.arguments.to_string(), "status": "completed",
    })
}

fn usage(spent: Spent) -> Value {
    json!({
        "input_tokens": spent.prompt_tokens, "input_tokens_details": { "cached_tokens": spent.reused_tokens },
        "output_tokens": spent.generated_tokens,
        "output_tokens_details": { "reasoning_tokens": spent.thinking_tokens },
        "total_tokens": spent.prompt_tokens + spent.generated_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Responses {
        Responses::new(Opening { id: "1".into(), created_unix_s: 0, model: "m".into(), prompt_tokens: 3 })
    }

    fn answer(ended: Ended) -> Answer {
        Answer {
            thought: "t".into(),
            text: "four".into(),
            calls: vec![],
            ended,
            spent: Spent { prompt_tokens: 3, reused_tokens: 0, generated_tokens: 9, thinking_tokens: 4 },
            verified: None,
        }
    }

    fn events(stream: &str) -> Vec<Value> {
        let data = |event: &str| serde_json::from_str(event.split_once("\ndata: ").unwrap().1).unwrap();
        stream.split("\n\n").filter(|event| !event.is_empty()).map(data).collect()
    }

    #[test]
    fn what_an_agent_sends_back_becomes_turns() {
        let ask = read(&json!({
            "instructions": null, "store": false, "include": ["reasoning.encrypted_content"],
            "reasoning": { "summary": "auto" },
            "tools": [{ "type": "web_search" }, { "type": "namespace", "name": "n", "tools": [{ "type": "function", "name": "f" }] }],
            "input": [
                { "type": "message", "role": "developer", "id": "x", "content": [{ "type": "input_text", "text": "D" }] },
                { "role": "user", "content": "U" },
                { "type": "reasoning", "summary": [], "encrypted_content": "zz" },
                { "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" },
                { "type": "function_call_output", "call_id": "c", "output": "R" },
            ],
        }))
        .unwrap();
        let roles: Vec<Role> = ask.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::System, Role::User, Role::Assistant, Role::User]);
        assert_eq!(ask.tools.len(), 1);
        assert!(read(&json!({ "input": [] })).is_err() && read(&json!({})).is_err());
        assert!(read(&json!({ "input": "x", "previous_response_id": "resp_1" })).is_err());
    }

    #[test]
    fn the_text_is_in_the_pieces_the_item_and_the_response() {
        let mut form = form();
        let answer = answer(Ended::Turn);
        let stream = form.begin() + &form.thought("t") + &form.text("fo") + &form.text("ur") + &form.end(&answer);
        let events = events(&stream);
        let of = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
        let pieces: String = of("response.output_text.delta").iter().filter_map(|e| e["delta"].as_str()).collect();
        let item = of("response.output_item.done")[1]["item"]["content"][0]["text"].clone();
        let whole = of("response.completed")[0]["response"]["output"][1]["content"][0]["text"].clone();
        assert_eq!((pieces.as_str(), item, whole), ("four", json!("four"), json!("four")));
        let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
        assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn an_answer_that_was_cut_is_incomplete_and_calls_are_items() {
        let mut form = form();
        let call = Call { id: "call_1".into(), name: "f".into(), arguments: json!({ "a": 1 }) };
        let stream = form.begin() + &form.call(&call) + &form.end(&answer(Ended::Limit));
        let events = events(&stream);
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
        assert_eq!(last["response"]["output"][0]["arguments"], "{\"a\":1}");
        assert_eq!(last["response"]["output"].as_array().unwrap().len(), 1, "no empty message beside a call");
    }
}
