//! Turns of a conversation as people store them: roles under several names, text in parts, thoughts apart, turns
//! that are not to be learnt.
//!
//! Not for: rows that are no conversations (`shape`).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::json;
use super::tags::Tags;
use crate::prompt::{Message, Role};

/// A conversation whose last turn is the assistant's and is learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Everything before the last answer.
    pub messages: Vec<Message>,
    pub response: String,
    /// Places in `messages` of assistant's turns that are shown and not learnt.
    pub unlearnt: Vec<usize>,
}

const WHO_KEYS: [&str; 2] = ["role", "from"];
const WHAT_KEYS: [&str; 3] = ["content", "value", "text"];
/// Where a turn's (or a row's) thought stands, apart from its answer.
pub const THOUGHT_KEYS: [&str; 4] = ["reasoning_content", "reasoning", "thinking", "thought"];
const LEARN_KEYS: [&str; 3] = ["weight", "train", "learn"];
const CALL_KEYS: [&str; 2] = ["tool_calls", "function_call"];

/// The turns under a key, whether they are a list, a list as JSON text, or a table of columns (`{"role": [..],
/// "content": [..]}`). `None` where the key has none of these.
///
/// # Errors
/// Text that is not JSON.
pub fn listed(key: &str, value: &Value) -> Result<Option<Vec<Value>>, String> {
    match value {
        Value::Array(turns) => Ok(Some(turns.clone())),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => match json::parse(text.as_bytes()) {
            Ok((inner @ (Value::Array(_) | Value::Object(_)), _)) => listed(key, &inner),
            Ok(_) => Ok(None),
            Err(problem) => {
                let python = text.trim_start().starts_with("[{'");
                let what =
                    if python { "a Python list as text; write it with json.dumps" } else { "text that is no JSON" };
                Err(format!("{key:?} is {what} ({problem})"))
            }
        },
        Value::Object(columns) => Ok(transposed(columns)),
        _ => Ok(None),
    }
}

/// Columns of equal length as a list of turns.
fn transposed(columns: &Map<String, Value>) -> Option<Vec<Value>> {
    let lists: Vec<(&String, &Vec<Value>)> =
        columns.iter().filter_map(|(key, value)| value.as_array().map(|list| (key, list))).collect();
    let length = lists.first()?.1.len();
    let turn = |at: usize| Value::Object(lists.iter().map(|(key, list)| ((*key).clone(), list[at].clone())).collect());
    lists.iter().all(|(_, list)| list.len() == length).then(|| (0..length).map(turn).collect())
}

/// Reads turns; keys that mean nothing here are added to `unused`.
///
/// # Errors
/// What is wrong with which turn.
pub fn conversation(
    system: Option<&str>,
    turns: &[Value],
    tags: Tags,
    unused: &mut BTreeSet<String>,
) -> Result<Conversation, String> {
    let mut messages: Vec<(Message, bool)> = Vec::with_capacity(turns.len() + 1);
    messages.extend(system.map(|text| (Message::new(Role::System, text), false)));
    for (index, turn) in turns.iter().enumerate() {
        let number = index + 1;
        let turn = turn.as_object().ok_or_else(|| format!("turn {number} is not an object"))?;
        messages.extend(read_turn(turn, number, tags, unused)?);
    }
    let last = messages.last().ok_or("no turns")?;
    if last.0.role != Role::Assistant {
        return Err("the last turn is not the assistant's".to_owned());
    }
    // What follows the last turn that is learnt teaches nothing.
    let learnt = messages.iter().rposition(|(_, learn)| *learn).ok_or("every answer has weight 0")?;
    messages.truncate(learnt + 1);
    let (last, _) = messages.pop().expect("invariant: the learnt turn is there");
    let unlearnt =
        |(at, (message, learn)): (usize, &(Message, bool))| (message.role == Role::Assistant && !learn).then_some(at);
    Ok(Conversation {
        unlearnt: messages.iter().enumerate().filter_map(unlearnt).collect(),
        messages: messages.into_iter().map(|(message, _)| message).collect(),
        response: last.content,
    })
}

/// One turn and whether it is learnt; `None` for a system's turn without words.
fn read_turn(
    turn: &Map<String, Value>,
    number: usize,
    tags: Tags,
    unused: &mut BTreeSet<String>,
) -> Result<Option<(Message, bool)>, String> {
    let known = |key: &String| {
        [&WHO_KEYS[..], &WHAT_KEYS[..], &THOUGHT_KEYS[..], &LEARN_KEYS[..], &CALL_KEYS[..]]
            .iter()
            .any(|keys| keys.contains(&key.as_str()))
    };
    let said = |value: &Value| !is_nothing(value);
    unused
        .extend(turn.iter().filter(|(key, value)| !known(key) && said(value)).map(|(key, _)| format!("turns: {key}")));
    let who = WHO_KEYS.iter().find_map(|key| turn.get(*key)).ok_or_else(|| format!("turn {number} has no \"role\""))?;
    let who = who.as_str().ok_or_else(|| format!("turn {number} has a role that is no text"))?;
    let role = match who {
        "system" | "developer" => Role::System,
        "user" | "human" | "prompter" => Role::User,
        "assistant" | "gpt" | "model" | "bot" => Role::Assistant,
        "tool" | "function" | "function_call" | "tool_call" | "tool_response" | "observation" | "ipython" => {
            return Err(format!("turn {number} is by {who:?}: rows that call tools are not learnt"));
        }
        other => return Err(format!("turn {number} is by {other:?}")),
    };
    if CALL_KEYS.iter().filter_map(|key| turn.get(*key)).any(said) {
        return Err(format!("turn {number} calls tools: rows that call tools are not learnt"));
    }
    let (parts_thought, content) = match WHAT_KEYS.iter().find_map(|key| turn.get(*key)) {
        Some(value) => content(value).map_err(|why| format!("turn {number} {why}"))?,
        None => return Err(format!("turn {number} has no \"content\"")),
    };
    let apart = THOUGHT_KEYS.iter().find_map(|key| turn.get(*key).filter(|value| said(value)));
    let thought = match apart {
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => return Err(format!("turn {number} has a thought that is no text")),
        None => parts_thought,
    };
    let content = match role {
        Role::Assistant => with_thought(thought.as_deref(), content.as_deref(), tags),
        _ => content,
    };
    let Some(content) = content else {
        return if role == Role::System { Ok(None) } else { Err(format!("turn {number} has no words")) };
    };
    let learn = learnt(turn).map_err(|why| format!("turn {number} {why}"))?;
    Ok(Some((Message::new(role, content), role == Role::Assistant && learn)))
}

/// An answer with its thought before it, its own marks treated as wanted.
pub fn with_thought(thought: Option<&str>, content: Option<&str>, tags: Tags) -> Option<String> {
    match (thought, content) {
        (Some(thought), content) => Some(tags.join(&tags.treat(thought), content.unwrap_or(""))),
        (None, content) => content.map(|content| tags.treat(content)),
    }
}

/// Whether a value says nothing.
pub fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty() || map.values().all(is_nothing),
        _ => false,
    }
}

fn learnt(turn: &Map<String, Value>) -> Result<bool, String> {
    let Some((key, value)) = LEARN_KEYS.iter().find_map(|key| Some((key, turn.get(*key)?))) else { return Ok(true) };
    match value {
        Value::Null => Ok(true),
        Value::Bool(learn) => Ok(*learn),
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Ok(false),
            Some(1.0) => Ok(true),
            _ => Err(format!("has {key} {number}; only 0 and 1 are known")),
        },
        _ => Err(format!("has a {key} that is no number")),
    }
}

/// Thought and text of a turn: one text, nothing, or parts.
fn content(value: &Value) -> Result<(Option<String>, Option<String>), String> {
    match value {
        Value::Null => Ok((None, None)),
        Value::String(text) => Ok((None, Some(text.clone()))),
        Value::Array(parts) => parts_of(parts),
        // One part without its list.
        Value::Object(_) => parts_of(std::slice::from_ref(value)),
        Value::Bool(_) | Value::Number(_) => Err("has a content that is no text".to_owned()),
    }
}

fn parts_of(parts: &[Value]) -> Result<(Option<String>, Option<String>), String> {
    let (mut thought, mut said) = (String::new(), String::new());
    for part in parts {
        if let Value::String(text) = part {
            said.push_str(text);
            continue;
        }
        let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
        let text_at = |key: &str| part.get(key).and_then(Value::as_str);
        match kind {
            "text" | "input_text" | "output_text" => {
                said.push_str(text_at("text").ok_or("has a part without text")?);
            }
            "thinking" | "reasoning" => {
                thought.push_str(text_at(kind).or_else(|| text_at("text")).ok_or("has a thought without text")?);
            }
            "tool_use" | "tool_call" | "tool_result" => {
                return Err("calls tools: rows that call tools are not learnt".to_owned());
            }
            other => return Err(format!("has a part of type {other:?}; only text can be learnt")),
        }
    }
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok((some(thought), some(said)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(turns: &Value) -> Result<Conversation, String> {
        let turns = listed("messages", turns)?.ok_or("not turns")?;
        conversation(None, &turns, Tags::Strip, &mut BTreeSet::new())
    }

    fn said(turns: &Value) -> (String, String) {
        let found = read(turns).unwrap_or_else(|why| panic!("{turns}: {why}"));
        (found.messages.last().map_or(String::new(), |m| m.content.clone()), found.response)
    }

    #[test]
    fn one_conversation_in_many_forms() {
        let text = r#"[{"role":"user","content":"q"},{"role":"assistant","content":"t\n\na"}]"#;
        for turns in [
            json!(text),
            json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nt\n</think>\n\na"}]),
            json!([{"from": "human", "value": "q"}, {"from": "gpt", "value": "t\n\na"}]),
            json!({"role": ["user", "assistant"], "content": ["q", "t\n\na"]}),
            json!([{"role": "system", "content": null}, {"role": "user", "content": ["q"]},
                {"role": "assistant", "content": "a", "reasoning_content": "t"}]),
            json!([{"role": "user", "content": [{"type": "text", "text": "q"}]},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]}]),
            json!([{"role": "user", "content": {"type": "text", "text": "q"}},
                {"role": "assistant", "content": "a", "reasoning": "t", "tool_calls": []}]),
        ] {
            assert_eq!(said(&turns), ("q".to_owned(), "t\n\na".to_owned()), "{turns}");
        }
    }

    #[test]
    fn a_turn_of_weight_zero_is_shown_and_not_learnt() {
        let turn = |role: &str, weight: f64| json!({"role": role, "content": role, "weight": weight});
        let user = json!({"role": "user", "content": "q"});
        let turns = json!([user, turn("assistant", 0.0), user, turn("assistant", 1.0), user, turn("assistant", 0.0)]);
        let found = read(&turns).unwrap();
        assert_eq!((found.messages.len(), found.unlearnt), (3, vec![1]));
        for (turns, word) in [
            (json!([user, turn("assistant", 0.0)]), "weight 0"),
            (json!([user, turn("assistant", 0.5)]), "only 0 and 1"),
        ] {
            assert!(read(&turns).unwrap_err().contains(word), "{turns}");
        }
    }

    #[test]
    fn what_cannot_be_learnt_is_named() {
        let user = json!({"role": "user", "content": "q"});
        for (turns, word) in [
            (json!([user, {"role": "assistant", "content": null, "tool_calls": [{"id": 1}]}]), "calls tools"),
            (json!([user, {"role": "tool", "content": "x"}]), "calls tools"),
            (json!([user, {"role": "tool", "content": "x"}]), "call tools"),
            (json!([{"role": "user", "content": [{"type": "image_url"}]}]), "image_url"),
            (json!([user, {"role": "assistant", "content": null}]), "turn 2 has no words"),
            (json!([user, {"role": "assistant", "content": 7}]), "no text"),
            (json!([user]), "not the assistant's"),
            (json!([7]), "not an object"),
            (json!("[{'role': 'user'}]"), "json.dumps"),
            (json!([]), "no turns"),
        ] {
            let problem = read(&turns).unwrap_err();
            assert!(
                problem.contains(word) || word == "calls tools" && problem.contains("call tools"),
                "{turns}: {problem}"
            );
        }
    }

    #[test]
    fn a_key_without_a_meaning_is_named() {
        let mut unused = BTreeSet::new();
        let turns = [
            json!({"role": "user", "content": "q", "name": "x"}),
            json!({"role": "assistant", "content": "a", "name": null}),
        ];
        conversation(Some("s"), &turns, Tags::Strip, &mut unused).unwrap();
        assert_eq!(unused, BTreeSet::from(["turns: name".to_owned()]));
    }
}
