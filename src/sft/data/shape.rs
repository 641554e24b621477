//! The row shapes in which reasoning data is published, recognised row by row.
//!
//! Z1 (`question`, `response`), messages (`messages: [{role, content}]`), ShareGPT and OpenThoughts
//! (`conversations: [{from, value}]`, with an optional `system`), prompt and completion as lists of turns, s1K
//! (`question`, `thinking_trajectories`, `attempt`), s1K-1.1 (`deepseek_thinking_trajectory`, `deepseek_attempt` or the
//! `gemini_` ones), Alpaca and Dolly (`instruction`, `input` or `context`, `output` or `response`, `history`), Orca
//! (`system_prompt`). Text is taken as it is written; columns that mean nothing here are named.
//!
//! Not for: what a conversation's turns hold (`turns`), marks around thoughts (`tags`).

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Record;
pub use super::tags::Tags;
use super::turns::{self, Conversation, THOUGHT_KEYS, is_nothing};
use crate::prompt::{Message, Role};

/// A record, and the columns of its row that hold something and were not used.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaped {
    pub record: Record,
    pub unused: BTreeSet<String>,
}

const SYSTEM_KEYS: [&str; 3] = ["system", "system_prompt", "system_message"];

/// A row whose columns are ticked off as they are used.
struct Row<'a> {
    columns: &'a Map<String, Value>,
    used: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Row<'a> {
    /// A column that holds something; it counts as used from now on.
    fn take(&self, key: &'static str) -> Option<&'a Value> {
        let value = self.columns.get(key).filter(|value| !value.is_null())?;
        self.used.borrow_mut().insert(key);
        Some(value)
    }

    fn text(&self, key: &'static str) -> Result<&'a str, String> {
        let value = self.columns.get(key).filter(|value| !value.is_null()).ok_or_else(|| format!("no {key:?}"))?;
        let text = value.as_str().ok_or_else(|| format!("{key:?} is {}, not text", kind_of(value)))?;
        self.used.borrow_mut().insert(key);
        Ok(text)
    }

    /// The first of these columns that is there.
    fn first(&self, keys: &[&'static str]) -> Option<Result<&'a str, String>> {
        keys.iter().find(|key| self.columns.get(**key).is_some_and(|value| !value.is_null())).map(|key| self.text(key))
    }

    /// The first of these columns that holds words.
    fn words(&self, keys: &[&'static str]) -> Option<&'a str> {
        let filled = |key: &&&'static str| {
            self.columns.get(**key).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
        };
        keys.iter().find(filled).and_then(|key| self.text(key).ok())
    }

    /// The turns of a column that has some.
    fn turns(&self, key: &'static str) -> Result<Option<Vec<Value>>, String> {
        let Some(value) = self.columns.get(key) else { return Ok(None) };
        let found = turns::listed(key, value)?;
        if found.is_some() {
            self.used.borrow_mut().insert(key);
        }
        Ok(found)
    }

    fn unused(&self) -> impl Iterator<Item = String> + '_ {
        let used = self.used.borrow();
        let idle: Vec<String> = self
            .columns
            .iter()
            .filter(|(key, value)| !used.contains(key.as_str()) && !is_nothing(value))
            .map(|(key, _)| key.clone())
            .collect();
        idle.into_iter()
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Turns a row into a record.
///
/// # Errors
/// A row of no known shape, or with an empty question or answer; says what is missing.
pub fn record(row: &Value, fallback_id: &str, tags: Tags) -> Result<Shaped, String> {
    let columns = row.as_object().ok_or("not an object")?;
    let row = Row { columns, used: RefCell::default() };
    let mut unused = BTreeSet::new();
    let Conversation { messages, response, unlearnt } = conversation(&row, tags, &mut unused)?;
    if response.trim().is_empty() {
        return Err("the answer is empty".to_owned());
    }
    if !messages.iter().any(|m| m.role == Role::User && !m.content.trim().is_empty()) {
        return Err("the question is empty".to_owned());
    }
    let id = match row.take("id").or_else(|| row.take("task_id")) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => fallback_id.to_owned(),
    };
    // Counted anew wherever it matters.
    row.take("tokens");
    let tests = tests(&row);
    unused.extend(row.unused());
    Ok(Shaped { record: Record { id, messages, unlearnt, response, tokens: None, tests }, unused })
}

fn conversation(row: &Row<'_>, tags: Tags, unused: &mut BTreeSet<String>) -> Result<Conversation, String> {
    for key in ["messages", "conversations", "conversation"] {
        if let Some(turns) = row.turns(key)? {
            let mut found = turns::conversation(row.words(&SYSTEM_KEYS), &turns, tags, unused)?;
            if let Some(places) = row.columns.get("unlearnt").and_then(Value::as_array) {
                row.take("unlearnt");
                found.unlearnt.extend(places.iter().filter_map(Value::as_u64).map(|place| place as usize));
            }
            return Ok(found);
        }
    }
    if let (Some(mut turns), Some(answer)) = (turns_of(row, "prompt"), turns_of(row, "completion")) {
        row.take("prompt");
        row.take("completion");
        turns.extend(answer);
        return turns::conversation(row.words(&SYSTEM_KEYS), &turns, tags, unused);
    }
    let question = question(row)?;
    let mut messages: Vec<Message> =
        row.words(&SYSTEM_KEYS).map(|text| Message::new(Role::System, text)).into_iter().collect();
    messages.extend(history(row)?);
    messages.push(Message::new(Role::User, question));
    Ok(Conversation { messages, response: answer(row, tags)?, unlearnt: Vec::new() })
}

/// Turns in a column that could also be plain text.
fn turns_of(row: &Row<'_>, key: &str) -> Option<Vec<Value>> {
    let value = row.columns.get(key)?;
    let text_is_turns = value.as_str().is_none_or(|text| text.trim_start().starts_with("[{"));
    let turns = turns::listed(key, value).ok().flatten().filter(|_| text_is_turns)?;
    turns.iter().all(|turn| turn.get("role").is_some() || turn.get("from").is_some()).then_some(turns)
}

/// The question of the shapes without turns, with what it is asked about behind it.
fn question(row: &Row<'_>) -> Result<String, String> {
    let (asked, about) = match row.first(&["instruction"]) {
        Some(instruction) => (instruction?, row.words(&["input"]).or_else(|| row.words(&["context"]))),
        None => {
            let asked = row.first(&["question", "problem", "prompt", "query"]).unwrap_or_else(|| {
                let keys: Vec<&str> = row.columns.keys().map(String::as_str).take(12).collect();
                Err(format!("no known shape; its columns are: {}", keys.join(", ")))
            })?;
            (asked, row.words(&["context"]))
        }
    };
    Ok(about.map_or_else(|| asked.to_owned(), |about| format!("{asked}\n\n{about}")))
}

/// Earlier exchanges: pairs of question and answer, or turns.
fn history(row: &Row<'_>) -> Result<Vec<Message>, String> {
    let Some(entries) = row.turns("history")? else { return Ok(Vec::new()) };
    let mut messages = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let wrong = || format!("entry {} of \"history\" is neither a pair of texts nor a turn", index + 1);
        if let Some(pair) = entry.as_array() {
            let [Some(asked), Some(said)] = [0, 1].map(|at| pair.get(at).and_then(Value::as_str)) else {
                return Err(wrong());
            };
            messages.extend([Message::new(Role::User, asked), Message::new(Role::Assistant, said)]);
            continue;
        }
        let role = match entry.get("role").and_then(Value::as_str) {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => return Err(wrong()),
        };
        messages.push(Message::new(role, entry.get("content").and_then(Value::as_str).ok_or_else(wrong)?));
    }
    Ok(messages)
}

/// The answer of the shapes without turns.
fn answer(row: &Row<'_>, tags: Tags) -> Result<String, String> {
    let whole: &[&'static str] = &["response", "completion", "output"];
    if let Some(response) = row.first(whole) {
        let response = response?;
        // A thought in a column of its own stands before an answer that has none.
        let marked = ["<think>", "<|begin_of_thought|>"].iter().any(|mark| response.trim_start().starts_with(mark));
        let thought = if marked { None } else { row.words(&THOUGHT_KEYS) };
        return Ok(turns::with_thought(thought, Some(response), tags).unwrap_or_default());
    }
    for [thought, attempt] in
        [["deepseek_thinking_trajectory", "deepseek_attempt"], ["gemini_thinking_trajectory", "gemini_attempt"]]
    {
        let (thought, attempt) = (row.words(&[thought]), row.words(&[attempt]));
        if thought.is_some() || attempt.is_some() {
            return Ok(tags.join(thought.unwrap_or(""), attempt.unwrap_or("")));
        }
    }
    if let Some(thoughts) = row.columns.get("thinking_trajectories").and_then(Value::as_array) {
        row.take("thinking_trajectories");
        let thought: Vec<&str> = thoughts.iter().filter_map(Value::as_str).collect();
        return Ok(tags.join(&thought.join("\n\n"), row.words(&["attempt"]).unwrap_or("")));
    }
    let plain = row.first(&["solution", "answer"]).ok_or("there is a question but no answer")??;
    Ok(turns::with_thought(row.words(&THOUGHT_KEYS), Some(plain), tags).unwrap_or_default())
}

/// Tests as several sources carry them: one string, or a list of asserts.
fn tests(row: &Row<'_>) -> Option<String> {
    let value = ["tests", "test", "test_list", "asserts"].into_iter().find_map(|key| row.take(key))?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"),
        _ => return None,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(row: &Value) -> Result<Record, String> {
        record(row, "f:1", Tags::Strip).map(|shaped| shaped.record)
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
        assert_eq!(record(&row, "", Tags::Keep).unwrap().record.response, "<think>t</think>a");
        assert_eq!(read(&row).unwrap().response, "ta");
    }

    #[test]
    fn a_response_is_taken_as_it_is_written() {
        let quoted = "import os\n\n\n\ndef f():\n    return \"\"\"a\n\n\n\nb\"\"\"\n";
        for text in [quoted, "    return x\n", "s.split('</think>')[-1]"] {
            let turn = |role: &str, content: &str| json!({"role": role, "content": content});
            for row in [
                json!({"question": " q", "response": text}),
                json!({"instruction": " q", "output": text}),
                json!({"messages": [turn("user", " q"), turn("assistant", text)]}),
                json!({"prompt": " q", "completion": text}),
                json!({"prompt": [turn("user", " q")], "completion": [turn("assistant", text)]}),
                json!({"question": " q", "thinking_trajectories": [], "attempt": text}),
            ] {
                let found = read(&row).unwrap();
                assert_eq!((found.question(), found.response.as_str()), (" q", text), "{row}");
            }
        }
    }

    #[test]
    fn columns_with_a_meaning_are_used_and_others_named() {
        let row =
            json!({"instruction": "When?", "context": "In 1902.", "response": "1902", "category": "qa", "x": null});
        let found = record(&row, "", Tags::Strip).unwrap();
        assert_eq!(found.record.question(), "When?\n\nIn 1902.");
        assert_eq!(found.unused, BTreeSet::from(["category".to_owned()]));
        let orca = read(&json!({"system_prompt": "Be short.", "question": "q", "response": "a"})).unwrap();
        assert_eq!(orca.messages[0], Message::new(Role::System, "Be short."));
        let earlier = json!({"instruction": "q", "input": "", "output": "a", "history": [["q0", "a0"]]});
        let found = read(&earlier).unwrap();
        assert_eq!((found.messages.len(), found.messages[1].content.as_str()), (3, "a0"));
        let apart = json!({"problem": "q", "reasoning_content": "t", "answer": "a", "weight": 0.5});
        let found = record(&apart, "", Tags::Strip).unwrap();
        assert_eq!((found.record.response.as_str(), found.unused.len()), ("t\n\na", 1));
        assert!(read(&json!({"question": "q", "response": {"bytes": 3}})).unwrap_err().contains("an object, not text"));
    }

    #[test]
    fn what_was_written_is_read_again() {
        let turn = |role: &str, weight: u8| json!({"role": role, "content": role, "weight": weight});
        let user = json!({"role": "user", "content": "q"});
        let turns = json!([user, turn("assistant", 0), user, turn("assistant", 1)]);
        let first = read(&json!({"id": "i", "messages": turns, "tests": "assert f"})).unwrap();
        assert_eq!((first.unlearnt.as_slice(), first.tests.as_deref()), (&[1][..], Some("assert f")));
        let again = record(&first.to_sample(), "", Tags::Strip).unwrap();
        assert_eq!(again, Shaped { record: first, unused: BTreeSet::new() });
    }
}
