//! Messages of any form as turns that a chat template takes: contents as parts, roles of every name, tool results. Pure.
//!
//! Templates know three roles, most want them in turn, and few take instructions in the middle. So instructions at the
//! beginning become one system turn, later ones the user's words, and turns of one role are joined.
//!
//! Not for: what a message's fields are called in each form.

use serde_json::Value;

use super::ask::Fault;
use crate::prompt::{Message, Role};

/// The text of a content: a string, or parts of which each has one.
///
/// # Errors
/// A part that is no text.
pub(super) fn text(content: &Value, field: &'static str) -> Result<String, Fault> {
    match content {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => {
            let mut text = String::new();
            for part in parts {
                let words = part_text(part, field)?;
                if !text.is_empty() && !words.is_empty() {
                    text.push('\n');
                }
                text.push_str(&words);
            }
            Ok(text)
        }
        _ => Err(Fault::field(field, "a content is a string or a list of parts")),
    }
}

fn part_text(part: &Value, field: &'static str) -> Result<String, Fault> {
    if let Value::String(text) = part {
        return Ok(text.clone());
    }
    let kind = part["type"].as_str().unwrap_or_default();
    match kind {
        "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text" | "refusal" => {
            let words = part["text"].as_str().or(part["refusal"].as_str());
            words
                .map(str::to_owned)
                .ok_or_else(|| Fault::field(field, format!("a part of type `{kind}` needs its text")))
        }
        // What was thought before comes back and is not said again.
        "thinking" | "redacted_thinking" | "reasoning" => Ok(String::new()),
        _ if part["text"].is_string() => Ok(part["text"].as_str().unwrap_or_default().to_owned()),
        _ => {
            let kind: String = kind.chars().take(40).collect();
            Err(Fault::field(field, format!("parts of type `{kind}` are not taken: this model reads text")))
        }
    }
}

/// The role that a name stands for.
///
/// # Errors
/// Nobody's role.
pub(super) fn role(name: &str) -> Result<Role, Fault> {
    match name {
        "system" | "developer" => Ok(Role::System),
        "user" | "tool" | "function" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        other => {
            let other: String = other.chars().take(40).collect();
            Err(Fault::field("messages", format!("`{other}` is no role")))
        }
    }
}

/// The conversation in the order that templates want; empty turns are left out.
pub(super) fn in_turn(messages: Vec<Message>) -> Vec<Message> {
    let mut turns: Vec<Message> = Vec::new();
    for mut message in messages {
        if message.content.trim().is_empty() {
            continue;
        }
        let begun = turns.iter().any(|turn| turn.role != Role::System);
        if message.role == Role::System && begun {
            message.role = Role::User;
        }
        match turns.last_mut() {
            Some(last) if last.role == message.role => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            _ => turns.push(message),
        }
    }
    turns
}

/// The same for a template that knows no system turn: its words begin the first turn of the user's.
pub(super) fn without_system(mut turns: Vec<Message>) -> Vec<Message> {
    if turns.first().is_none_or(|turn| turn.role != Role::System) {
        return turns;
    }
    let system = turns.remove(0);
    match turns.first_mut() {
        Some(first) if first.role == Role::User => first.content = format!("{}\n\n{}", system.content, first.content),
        _ => turns.insert(0, Message::new(Role::User, system.content)),
    }
    turns
}

/// How a call of a tool stands in the conversation.
pub(super) fn call(name: &str, arguments: &Value) -> String {
    // Arguments come as JSON in a string, or as they are.
    let arguments = match arguments {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
        other => other.clone(),
    };
    format!("<tool_call>\n{}\n</tool_call>", serde_json::json!({ "name": name, "arguments": arguments }))
}

/// How a tool's result stands in the conversation.
pub(super) fn result(text: &str) -> String {
    format!("<tool_response>\n{}\n</tool_response>", text.trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn contents_are_strings_parts_or_nothing() {
        let of = |content: Value| text(&content, "messages");
        assert_eq!(of(json!("a")).unwrap(), "a");
        assert_eq!(of(Value::Null).unwrap(), "");
        assert_eq!(
            of(json!([{ "type": "text", "text": "a" }, { "type": "input_text", "text": "b" }])).unwrap(),
            "a\nb"
        );
        assert_eq!(of(json!([{ "type": "thinking", "thinking": "x", "signature": "" }, "c"])).unwrap(), "c");
        let refused = of(json!([{ "type": "image_url", "image_url": {} }])).unwrap_err();
        assert!(refused.message.contains("image_url"), "{}", refused.message);
        assert!(of(json!(3)).is_err() && of(json!([{ "type": "text" }])).is_err());
    }

    #[test]
    fn turns_come_in_an_order_that_templates_take() {
        let turn = |role: &str, content: &str| Message::new(super::role(role).unwrap(), content);
        let turns = in_turn(vec![
            turn("system", "S"),
            turn("developer", "D"),
            turn("user", "U"),
            turn("assistant", ""),
            turn("tool", "T"),
            turn("system", "late"),
            turn("assistant", "A"),
        ]);
        let seen: Vec<(Role, &str)> = turns.iter().map(|turn| (turn.role, turn.content.as_str())).collect();
        assert_eq!(seen, [(Role::System, "S\n\nD"), (Role::User, "U\n\nT\n\nlate"), (Role::Assistant, "A")]);
        assert_eq!(without_system(turns)[0].content, "S\n\nD\n\nU\n\nT\n\nlate");
        assert!(super::role("wizard").is_err());
    }

    #[test]
    fn calls_hold_their_arguments_as_json_whichever_way_they_came() {
        let by_text = call("f", &json!("{\"a\": 1}"));
        assert_eq!(by_text, call("f", &json!({ "a": 1 })));
        assert!(by_text.contains(r#"{"name":"f","arguments":{"a":1}}"#), "{by_text}");
        assert!(call("f", &json!("not json")).contains("not json"));
    }
}
