//! The row shapes in which reasoning data is published, recognised row by row.
//!
//! Z1 (`question`, `response`), messages (`messages: [{role, content}]`), ShareGPT and OpenThoughts
//! (`conversations: [{from, value}]`, with an optional `system`), s1K (`question`, `thinking_trajectories`,
//! `attempt`), s1K-1.1 (`deepseek_thinking_trajectory`, `deepseek_attempt` or the `gemini_` ones), Alpaca
//! (`instruction`, `input`, `output`).

use serde_json::{Map, Value};

use super::Record;
use crate::prompt::{Message, Role};

/// Marks that other data sets put around a thought. Z1's data has none: thinking and answer are one stream.
const THOUGHT_TAGS: &[&str] = &[
    "<think>",
    "</think>",
    "<|begin_of_thought|>",
    "<|end_of_thought|>",
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
];

/// What to do with a data set's own marks around thoughts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    /// One undivided stream, as the paper trains.
    #[default]
    Strip,
    Keep,
}

/// Turns a row into a record.
///
/// # Errors
/// A row of no known shape, or with an empty question or answer; says what is missing.
pub fn record(row: &Value, fallback_id: &str, tags: Tags) -> Result<Record, String> {
    let row = row.as_object().ok_or("not an object")?;
    let (messages, response) = conversation(row)?;
    let response = match tags {
        Tags::Keep => response,
        Tags::Strip => strip_tags(&response),
    };
    if response.trim().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    if !messages.iter().any(|m| m.role == Role::User && !m.content.trim().is_empty()) {
        return Err("the question is empty".to_owned());
    }
    let id = match row.get("id").or_else(|| row.get("task_id")) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => fallback_id.to_owned(),
    };
    Ok(Record { id, messages, response, tokens: None, tests: tests(row) })
}

fn conversation(row: &Map<String, Value>) -> Result<(Vec<Message>, String), String> {
    if let Some(turns) = array(row, "messages") {
        return split_turns(turns, "role", "content", row);
    }
    if let Some(turns) = array(row, "conversations").or_else(|| array(row, "conversation")) {
        let (who, what) =
            if turns.iter().any(|turn| turn.get("from").is_some()) { ("from", "value") } else { ("role", "content") };
        return split_turns(turns, who, what, row);
    }
    if row.contains_key("instruction") {
        let instruction = text(row, "instruction")?;
        let input = row.get("input").and_then(Value::as_str).unwrap_or("");
        let question =
            if input.trim().is_empty() { instruction.to_owned() } else { format!("{instruction}\n\n{input}") };
        return Ok((with_system(row, question), text(row, "output").or_else(|_| text(row, "response"))?.to_owned()));
    }
    let question =
        text(row, "question").or_else(|_| text(row, "problem")).or_else(|_| text(row, "prompt")).map_err(|_| {
            let keys: Vec<&str> = row.keys().map(String::as_str).take(12).collect();
            format!("no known shape; its columns are: {}", keys.join(", "))
        })?;
    Ok((with_system(row, question.trim().to_owned()), answer(row)?))
}

/// The answer of the shapes that have a `question`.
fn answer(row: &Map<String, Value>) -> Result<String, String> {
    if let Ok(response) = text(row, "response").or_else(|_| text(row, "completion")) {
        return Ok(response.to_owned());
    }
    let joined = |thought: &str, attempt: &str| match (thought.trim().is_empty(), attempt.trim().is_empty()) {
        (true, _) => attempt.to_owned(),
        (_, true) => thought.to_owned(),
        _ => format!("{}\n\n{}", thought.trim_end(), attempt.trim_start()),
    };
    for teacher in ["deepseek", "gemini"] {
        let thought = row.get(&format!("{teacher}_thinking_trajectory")).and_then(Value::as_str).unwrap_or("");
        let attempt = row.get(&format!("{teacher}_attempt")).and_then(Value::as_str).unwrap_or("");
        if !(thought.trim().is_empty() && attempt.trim().is_empty()) {
            return Ok(joined(thought, attempt));
        }
    }
    if let Some(thoughts) = array(row, "thinking_trajectories") {
        let thought: Vec<&str> = thoughts.iter().filter_map(Value::as_str).collect();
        return Ok(joined(&thought.join("\n\n"), row.get("attempt").and_then(Value::as_str).unwrap_or("")));
    }
    text(row, "solution")
        .or_else(|_| text(row, "answer"))
        .map(str::to_owned)
        .map_err(|_| "there is a question but no answer".to_owned())
}

fn split_turns(
    turns: &[Value],
    who: &str,
    what: &str,
    row: &Map<String, Value>,
) -> Result<(Vec<Message>, String), String> {
    let mut messages = Vec::with_capacity(turns.len() + 1);
    if let Some(system) = row.get("system").and_then(Value::as_str).filter(|system| !system.trim().is_empty()) {
        messages.push(Message::new(Role::System, system));
    }
    for (index, turn) in turns.iter().enumerate() {
        let name = turn.get(who).and_then(Value::as_str).ok_or_else(|| format!("turn {} has no {who:?}", index + 1))?;
        let content =
            turn.get(what).and_then(Value::as_str).ok_or_else(|| format!("turn {} has no {what:?}", index + 1))?;
        let role = match name {
            "system" => Role::System,
            "user" | "human" => Role::User,
            "assistant" | "gpt" | "model" => Role::Assistant,
            other => return Err(format!("turn {} is by {other:?}", index + 1)),
        };
        messages.push(Message::new(role, content));
    }
    match messages.pop() {
        Some(last) if last.role == Role::Assistant => Ok((messages, last.content)),
        Some(_) => Err("the last turn is not the assistant's".to_owned()),
        None => Err("no turns".to_owned()),
    }
}

fn with_system(row: &Map<String, Value>, question: String) -> Vec<Message> {
    let system = row.get("system").and_then(Value::as_str).filter(|system| !system.trim().is_empty());
    system
        .map(|text| Message::new(Role::System, text))
        .into_iter()
        .chain([Message::new(Role::User, question)])
        .collect()
}

/// Tests as several sources carry them: one string, or a list of asserts.
fn tests(row: &Map<String, Value>) -> Option<String> {
    let value = ["tests", "test", "test_list", "asserts"].iter().find_map(|key| row.get(*key))?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        _ => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

fn strip_tags(response: &str) -> String {
    let mut text = response.to_owned();
    for tag in THOUGHT_TAGS {
        text = text.replace(tag, "");
    }
    // The marks stood on lines of their own; what they leave is at most one empty line.
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    text.trim().to_owned()
}

fn array<'a>(row: &'a Map<String, Value>, key: &str) -> Option<&'a [Value]> {
    row.get(key)?.as_array().map(Vec::as_slice)
}

fn text<'a>(row: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    row.get(key).and_then(Value::as_str).ok_or_else(|| format!("no {key:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(row: &Value) -> Result<Record, String> {
        record(row, "f:1", Tags::Strip)
    }

    #[test]
    fn every_published_shape_is_read() {
        let rows = [
            json!({"id": 7, "question": "q", "response": "t a", "token_num_qwen": 2}),
            json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nt\n</think>\n\na"}]}),
            json!({"difficulty": 7, "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "t a"}]}),
            json!({"system": "s", "conversations": [{"from": "user", "value": "q"},
                {"from": "assistant", "value": "<|begin_of_thought|>\n\nt\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\na\n\n<|end_of_solution|>"}]}),
            json!({"question": "q", "cot": null, "thinking_trajectories": ["t"], "attempt": "a", "solution": "x"}),
            json!({"question": "q", "solution": "x", "gemini_attempt": "no", "deepseek_thinking_trajectory": "t", "deepseek_attempt": "a"}),
            json!({"instruction": "q", "input": "", "output": "t a"}),
        ];
        for row in rows {
            let record = read(&row).unwrap_or_else(|problem| panic!("{row}: {problem}"));
            assert_eq!(record.question(), "q", "{row}");
            let words: Vec<&str> = record.response.split_whitespace().collect();
            assert_eq!(words, ["t", "a"], "{row}");
        }
    }

    #[test]
    fn an_input_follows_its_instruction() {
        let record = read(&json!({"instruction": "Add", "input": "1 2", "output": "3"})).unwrap();
        assert_eq!(record.question(), "Add\n\n1 2");
    }

    #[test]
    fn what_is_missing_is_named() {
        for (row, word) in [
            (json!([]), "object"),
            (json!({"x": 1}), "columns are: x"),
            (json!({"question": "q"}), "no answer"),
            (json!({"question": "q", "response": " "}), "empty"),
            (json!({"question": " ", "response": "a"}), "question is empty"),
            (json!({"messages": [{"role": "user", "content": "q"}]}), "last turn"),
            (json!({"messages": [{"role": "tool", "content": "q"}]}), "tool"),
            (json!({"messages": [{"role": "user"}]}), "content"),
            (json!({"messages": []}), "no turns"),
        ] {
            let problem = read(&row).unwrap_err();
            assert!(problem.contains(word), "{row}: {problem}");
        }
    }

    #[test]
    fn tags_can_be_kept() {
        let row = json!({"question": "q", "response": "<think>t</think>a"});
        assert_eq!(record(&row, "", Tags::Keep).unwrap().response, "<think>t</think>a");
        assert_eq!(read(&row).unwrap().response, "ta");
    }
}
