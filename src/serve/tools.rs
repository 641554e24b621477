//! A client's tools: told to the model, and its calls found in what it writes. Pure.
//!
//! Calls stand between `<tool_call>` tags as one JSON object each, as models of the day are taught; small ones also
//! write the bare object, or put it into a fence. The client runs them: nothing is run here.
//!
//! Not for: the forms' own wording of tools and calls.

use serde_json::{Value, json};

use super::ask::Fault;
use super::split::beginning_at_end;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";
/// Tools of one request; more are refused.
const TOOLS_MAX: usize = 256;

/// A function that the model may ask for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tool {
    pub(super) name: String,
    description: String,
    parameters: Value,
}

/// A call that the model wrote.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// A JSON object.
    pub(super) arguments: Value,
}

/// Reads a list of tools in any of the forms; what is no function is left out, for nobody here could run it.
///
/// # Errors
/// A function without a name, or too many.
pub(super) fn read(tools: &Value) -> Result<Vec<Tool>, Fault> {
    let Some(tools) = tools.as_array() else {
        return if tools.is_null() { Ok(Vec::new()) } else { Err(Fault::field("tools", "a list")) };
    };
    let mut found = Vec::new();
    for tool in tools {
        let kind = tool["type"].as_str();
        // OpenAI's chat nests the function, its responses and Anthropic's messages do not.
        let function = if tool["function"].is_object() { &tool["function"] } else { tool };
        match kind {
            Some("namespace") => found.extend(read(&tool["tools"])?),
            None | Some("function" | "custom") => found.push(one(function)?),
            Some(_) => {}
        }
    }
    if found.len() > TOOLS_MAX {
        return Err(Fault::field("tools", format!("at most {TOOLS_MAX}")));
    }
    Ok(found)
}

fn one(function: &Value) -> Result<Tool, Fault> {
    let name = function["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Fault::field("tools", "a function needs a `name`"))?;
    let parameters = [&function["parameters"], &function["input_schema"]].into_iter().find(|value| value.is_object());
    Ok(Tool {
        name: name.to_owned(),
        description: function["description"].as_str().unwrap_or_default().to_owned(),
        parameters: parameters.cloned().unwrap_or_else(|| json!({ "type": "object", "properties": {} })),
    })
}

/// What `tool_choice` allows: the tools that are left, and what the next reply must be, in words.
///
/// # Errors
/// A choice of a tool that is not there.
pub(super) fn choose(tools: Vec<Tool>, choice: &Value) -> Result<(Vec<Tool>, Option<String>), Fault> {
    // `function_call`, the older field, names a function without saying that it is one.
    let named = if choice["name"].is_string() { "function" } else { "auto" };
    let word = choice.as_str().or(choice["type"].as_str()).unwrap_or(named);
    match word {
        "none" => Ok((Vec::new(), None)),
        "required" | "any" => Ok((tools, Some("a call".to_owned()))),
        "function" | "tool" => {
            let name = choice["function"]["name"].as_str().or(choice["name"].as_str()).unwrap_or_default();
            let only: Vec<Tool> = tools.into_iter().filter(|tool| tool.name == name).collect();
            if only.is_empty() {
                return Err(Fault::field("tool_choice", "names a tool that is not in `tools`"));
            }
            Ok((only, Some(format!("a call of `{name}`"))))
        }
        _ => Ok((tools, None)),
    }
}

/// How a reply begins that must be a call: small models do not follow the words alone. Where one tool is left, up to its
/// arguments (and not the blank before them, which belongs to their first token).
pub(super) fn begun(tools: &[Tool]) -> String {
    match tools {
        [only] => format!("{OPEN}\n{{\"name\": {}, \"arguments\":", json!(only.name)),
        _ => format!("{OPEN}\n{{\"name\": \""),
    }
}

/// The tools, one a line, for the prompt.
pub(super) fn lines(tools: &[Tool]) -> String {
    let line = |tool: &Tool| {
        json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters }).to_string()
    };
    tools.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Text or a call, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Text(String),
    Call(Call),
}

/// Looks for calls in a stream of text.
#[derive(Debug)]
pub(super) struct Scanner {
    names: Vec<String>,
    /// Distinguishes the ids of one answer's calls from another's.
    prefix: String,
    held: String,
    begun: bool,
    /// The answer begins as a call without tags would: nothing is shown until it is whole.
    bare: bool,
    calls: usize,
}

impl Scanner {
    pub(super) fn new(tools: &[Tool], prefix: &str) -> Self {
        let names = tools.iter().map(|tool| tool.name.clone()).collect();
        Self { names, prefix: prefix.to_owned(), held: String::new(), begun: false, bare: false, calls: 0 }
    }

    pub(super) const fn calls(&self) -> usize {
        self.calls
    }

    /// More text.
    pub(super) fn push(&mut self, text: &str) -> Vec<Found> {
        if self.names.is_empty() {
            return vec![Found::Text(text.to_owned())];
        }
        self.held.push_str(text);
        if !self.begun {
            let start = self.held.trim_start();
            if start.len() < "```json".len() && "```json".starts_with(start) {
                return Vec::new();
            }
            self.begun = true;
            self.bare = start.starts_with('{') || start.starts_with("```json");
        }
        if self.bare { Vec::new() } else { self.tagged() }
    }

    fn tagged(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        while let Some(at) = self.held.find(OPEN) {
            let Some(end) = self.held[at..].find(CLOSE).map(|end| at + end) else {
                let rest = self.held.split_off(at);
                push(&mut found, std::mem::replace(&mut self.held, rest).trim_end());
                return found;
            };
            let body = self.held[at + OPEN.len()..end].to_owned();
            let whole = self.held[at..end + CLOSE.len()].to_owned();
            push(&mut found, self.held[..at].trim_end());
            self.held = self.held[end + CLOSE.len()..].to_owned();
            match self.call(&body) {
                Some(call) => found.push(Found::Call(call)),
                // What is no call is shown as it was written.
                None => push(&mut found, &whole),
            }
        }
        // White space before a call is not part of the answer.
        let keep = beginning_at_end(&self.held, OPEN);
        let shown = self.held[..self.held.len() - keep].trim_end().len();
        let rest = self.held.split_off(shown);
        push(&mut found, &std::mem::replace(&mut self.held, rest));
        found
    }

    /// What was held back at the end.
    pub(super) fn finish(&mut self) -> Vec<Found> {
        let held = std::mem::take(&mut self.held);
        let text = held.trim();
        // The last call's closing tag may be the model's end of turn.
        let body = match text.strip_prefix(OPEN) {
            Some(body) => Some(body),
            None if self.bare => Some(unfenced(text)),
            None => None,
        };
        match body.and_then(|body| self.call(body)) {
            Some(call) => vec![Found::Call(call)],
            None if text.is_empty() && self.calls > 0 => Vec::new(),
            None if held.is_empty() => Vec::new(),
            None => vec![Found::Text(held)],
        }
    }

    fn call(&mut self, body: &str) -> Option<Call> {
        let object: Value = serde_json::from_str(body.trim()).ok()?;
        let name = object["name"].as_str().filter(|name| self.names.iter().any(|known| known == name))?;
        let arguments = match [&object["arguments"], &object["parameters"]].into_iter().find(|value| !value.is_null()) {
            None => json!({}),
            Some(arguments @ Value::Object(_)) => arguments.clone(),
            Some(Value::String(text)) => serde_json::from_str(text).ok().filter(Value::is_object)?,
            Some(_) => return None,
        };
        self.calls += 1;
        Some(Call { id: format!("call_{}_{}", self.prefix, self.calls), name: name.to_owned(), arguments })
    }
}

fn push(found: &mut Vec<Found>, text: &str) {
    if !text.is_empty() {
        found.push(Found::Text(text.to_owned()));
    }
}

/// The inside of a fence that is all there is.
fn unfenced(text: &str) -> &str {
    let Some(inner) = text.strip_prefix("```json") else { return text };
    inner.trim().strip_suffix("```").unwrap_or(inner).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Vec<Tool> {
        read(&json!([
            { "type": "function", "function": { "name": "read", "description": "Reads", "parameters": { "$schema": "x", "type": ["object", "null"] }, "strict": false } },
            { "type": "function", "name": "flat", "parameters": null },
            { "name": "anthropic", "input_schema": { "type": "object" } },
            { "type": "namespace", "name": "n", "tools": [{ "type": "function", "name": "inner" }] },
            { "type": "web_search" },
        ]))
        .unwrap()
    }

    fn found(pieces: &[&str]) -> (String, Vec<(String, Value)>) {
        let mut scanner = Scanner::new(&tools(), "x");
        let mut all: Vec<Found> = pieces.iter().flat_map(|piece| scanner.push(piece)).collect();
        all.extend(scanner.finish());
        let mut text = String::new();
        let mut calls = Vec::new();
        for found in all {
            match found {
                Found::Text(words) => text.push_str(&words),
                Found::Call(call) => calls.push((call.name, call.arguments)),
            }
        }
        (text, calls)
    }

    #[test]
    fn tools_come_in_every_form_and_what_is_no_function_is_left_out() {
        let names: Vec<String> = tools().into_iter().map(|tool| tool.name).collect();
        assert_eq!(names, ["read", "flat", "anthropic", "inner"]);
        assert!(read(&json!([{ "type": "function", "function": {} }])).is_err() && read(&json!("x")).is_err());
        assert_eq!(lines(&tools()).lines().count(), 4);
        assert_eq!(choose(tools(), &json!("none")).unwrap().0.len(), 0);
        let (only, must) = choose(tools(), &json!({ "type": "function", "function": { "name": "read" } })).unwrap();
        assert_eq!((only.len(), must.as_deref()), (1, Some("a call of `read`")));
        assert_eq!(begun(&only), "<tool_call>\n{\"name\": \"read\", \"arguments\":");
        let (older, must) = choose(tools(), &json!({ "name": "read" })).unwrap();
        assert_eq!((older.len(), must.is_some()), (1, true));
        assert!(choose(tools(), &json!({ "type": "tool", "name": "gone" })).is_err());
        assert!(choose(tools(), &json!({ "type": "any" })).unwrap().1.is_some());
    }

    #[test]
    fn calls_are_found_however_they_are_cut() {
        let whole = "I look.\n<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": \"a\"}}\n</tool_call>\n\
                     <tool_call>{\"name\": \"flat\"}</tool_call>";
        let calls = vec![("read".to_owned(), json!({ "path": "a" })), ("flat".to_owned(), json!({}))];
        for size in 1..whole.len() {
            let pieces: Vec<&str> =
                whole.as_bytes().chunks(size).map(|part| std::str::from_utf8(part).unwrap()).collect();
            assert_eq!(found(&pieces), ("I look.".to_owned(), calls.clone()), "in pieces of {size}");
        }
    }

    #[test]
    fn calls_without_tags_or_without_their_end_are_calls_and_other_words_stay_text() {
        let read = |arguments: Value| vec![("read".to_owned(), arguments)];
        let bare = "{\"name\": \"read\", \"arguments\": \"{\\\"p\\\": 1}\"}";
        assert_eq!(found(&[bare]), (String::new(), read(json!({ "p": 1 }))));
        assert_eq!(found(&["```json\n", "{\"name\": \"read\"}\n```"]), (String::new(), read(json!({}))));
        assert_eq!(found(&["x <tool_call>{\"name\": \"read\"}"]), ("x".into(), read(json!({}))));
        for text in
            ["{\"name\": \"unknown\"}", "<tool_call>{broken}</tool_call>", "{ not json", "a <b> c", "```js\nx\n```"]
        {
            assert_eq!(found(&[text]), (text.to_owned(), vec![]), "{text}");
        }
    }
}
