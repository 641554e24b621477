//! Edits written as tool calls: bare JSON, JSON in a fence, `<tool_call>` and `<tools>` tags, and
//! `<function=…><parameter=…>` tags. Small models write them unasked.
//!
//! Raw line breaks inside JSON strings are mended, because models write code that way; JSON that ends
//! early is not, because a truncated argument must never be written.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::edits::{Origin, Proposed, RefusalKind, Walk};
use crate::task::Edit;

const TAGS: [&str; 6] = ["tool_call", "tools", "tool", "function_call", "tool_calls", "function_calls"];
const PATH_KEYS: [&str; 8] =
    ["path", "file_path", "filepath", "filename", "file", "target_file", "file_name", "relative_path"];
const OLD_KEYS: [&str; 9] =
    ["old_string", "old_str", "search", "old_text", "old", "original", "find", "old_code", "oldText"];
const NEW_KEYS: [&str; 9] =
    ["new_string", "new_str", "replace", "new_text", "new", "updated", "replacement", "new_code", "newText"];
const CONTENT_KEYS: [&str; 6] = ["content", "contents", "file_text", "text", "code", "code_edit"];

static XML_CALL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<function=([\w.-]+)>").expect("invariant: the call pattern is valid"));
static XML_PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)<parameter=([\w.-]+)>\n?(.*?)\n?</parameter>").expect("invariant: the parameter pattern is valid")
});

/// Whether a line opens a tagged call.
pub(super) fn is_tag(line: &str) -> bool {
    tag_of(line).is_some() || line.trim_start().starts_with("<function=")
}

fn tag_of(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    TAGS.into_iter()
        .find(|tag| line.strip_prefix('<').and_then(|l| l.strip_prefix(tag)).is_some_and(|l| l.starts_with('>')))
}

/// Whether a line of plain text begins a JSON call.
pub(super) fn begins_bare(line: &str) -> bool {
    static BARE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^\s*[\[{]\s*(?:$|\{?\s*"(?:name|function|tool|tool_name|tool_calls|action|type)"\s*:)"#)
            .expect("invariant: the JSON pattern is valid")
    });
    BARE.is_match(line)
}

/// Whether a fenced body is a JSON call rather than a file.
pub(super) fn looks_like(body: &str) -> bool {
    let body = body.trim_start();
    body.starts_with(['{', '['])
        && ["\"name\"", "\"function\"", "\"tool\"", "\"tool_name\"", "\"tool_calls\"", "\"action\""]
            .iter()
            .any(|key| body.contains(key))
        && ["\"arguments\"", "\"parameters\"", "\"input\"", "\"args\"", "\"old_str", "\"file_text\"", "\"params\""]
            .iter()
            .any(|key| body.contains(key))
}

/// Reads a tagged call that opens at the walk's line.
pub(super) fn read_tagged(walk: &mut Walk<'_>) {
    let start = walk.at;
    let close = tag_of(walk.lines[start]).map_or_else(|| "</function>".to_owned(), |tag| format!("</{tag}>"));
    let end = (start..walk.lines.len()).find(|index| walk.lines[*index].contains(&close));
    // Models open a tag that they never close: then the JSON itself must be whole.
    let last = end.unwrap_or(walk.lines.len() - 1);
    let text = walk.lines[start..=last].join("\n");
    if let Some(first) = XML_CALL.find(&text) {
        read_xml(walk, &text[first.start()..], start);
    } else {
        let inner = text.trim_start().split_once('>').map_or("", |(_, rest)| rest);
        let inner = inner.rsplit_once(&close).map_or(inner, |(inner, _)| inner);
        let inner: Vec<&str> = inner.lines().filter(|line| super::blocks::opening(line).is_none()).collect();
        read_json(walk, &inner.join("\n"), start);
    }
    walk.consume(last + 1);
}

fn read_xml(walk: &mut Walk<'_>, text: &str, at: usize) {
    let starts: Vec<usize> = XML_CALL.find_iter(text).map(|m| m.start()).collect();
    for (number, start) in starts.iter().enumerate() {
        let call = &text[*start..starts.get(number + 1).copied().unwrap_or(text.len())];
        let name = XML_CALL.captures(call).and_then(|c| c.get(1)).map_or("", |m| m.as_str()).to_owned();
        if call.matches("<parameter=").count() != call.matches("</parameter>").count() {
            let message = "the reply ends inside a tool call";
            walk.refuse(RefusalKind::Truncated, None, at as u32 + 1, message);
            continue;
        }
        let arguments: Map<String, Value> =
            XML_PARAMETER.captures_iter(call).map(|c| (c[1].to_owned(), Value::String(c[2].to_owned()))).collect();
        take(walk, &name, &arguments, at);
    }
}

/// Reads a JSON call in plain text: as many lines as make it whole.
pub(super) fn read_bare(walk: &mut Walk<'_>) {
    let start = walk.at;
    let text = walk.lines[start..].join("\n");
    let Some(length) = json_length(&text) else {
        if looks_like(&text) {
            let message = "the reply ends inside a tool call";
            walk.refuse(RefusalKind::Truncated, None, start as u32 + 1, message);
            return walk.consume(walk.lines.len());
        }
        return walk.consume(start + 1);
    };
    let body = text[..length].to_owned();
    if looks_like(&body) {
        read_json(walk, &body, start);
    }
    walk.consume(start + body.lines().count());
}

/// Reads one or several JSON calls, one after another or in a list.
pub(super) fn read_json(walk: &mut Walk<'_>, text: &str, at: usize) {
    let mut rest = text.trim();
    while rest.starts_with(['{', '[']) {
        let Some(length) = json_length(rest) else {
            let message = "the reply ends inside a tool call";
            return walk.refuse(RefusalKind::Truncated, None, at as u32 + 1, message);
        };
        match parse(&rest[..length]) {
            Some(value) => take_value(walk, &value, at),
            None => walk.refuse(RefusalKind::Malformed, None, at as u32 + 1, "a tool call is not valid JSON"),
        }
        rest = rest[length..].trim_start_matches([',', ' ', '\n', '\t']);
    }
}

/// The length of the JSON value that `text` begins with, by its brackets; nothing where it ends early.
fn json_length(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '{' | '[' if !in_string => depth += 1,
            '}' | ']' if !in_string => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&escape_raw_controls(text)).ok())
}

/// Escapes line breaks and tabs that stand raw inside JSON strings.
fn escape_raw_controls(text: &str) -> String {
    let (mut out, mut in_string, mut escaped) = (String::with_capacity(text.len() + 64), false, false);
    for c in text.chars() {
        match c {
            '\n' if in_string => out.push_str("\\n"),
            '\t' if in_string => out.push_str("\\t"),
            _ => out.push(c),
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    out
}

fn take_value(walk: &mut Walk<'_>, value: &Value, at: usize) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| take_value(walk, item, at)),
        Value::Object(object) => {
            if let Some(calls) = object.get("tool_calls") {
                return take_value(walk, calls, at);
            }
            let inner = object.get("function").and_then(Value::as_object).unwrap_or(object);
            let name = ["name", "tool", "tool_name", "action", "command", "function"]
                .iter()
                .find_map(|key| inner.get(*key).and_then(Value::as_str))
                .unwrap_or("");
            let arguments = ["arguments", "parameters", "input", "args", "params", "action_input"]
                .iter()
                .find_map(|key| inner.get(*key));
            match arguments {
                Some(Value::Object(arguments)) => take(walk, name, arguments, at),
                // OpenAI's form: the arguments are JSON inside a string.
                Some(Value::String(text)) => match parse(text) {
                    Some(Value::Object(arguments)) => take(walk, name, &arguments, at),
                    _ => {
                        walk.refuse(
                            RefusalKind::Malformed,
                            None,
                            at as u32 + 1,
                            "a tool call's arguments are not JSON",
                        );
                    }
                },
                _ => take(walk, name, inner, at),
            }
        }
        _ => {}
    }
}

fn text_of<'a>(arguments: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| arguments.get(*key).and_then(Value::as_str))
}

/// Turns one call into edits, by the shape of its arguments.
fn take(walk: &mut Walk<'_>, name: &str, arguments: &Map<String, Value>, at: usize) {
    let reply_line = at as u32 + 1;
    let verb = text_of(arguments, &["command"]).filter(|c| !c.contains(' ')).unwrap_or(name).to_lowercase();
    let Some(written) = text_of(arguments, &PATH_KEYS) else {
        walk.out.notes.push(format!("the call of `{name}` at line {reply_line} is no edit and was not run"));
        return;
    };
    let parts = arguments.get("edits").or_else(|| arguments.get("replacements")).and_then(Value::as_array);
    let old = text_of(arguments, &OLD_KEYS);
    let new = text_of(arguments, &NEW_KEYS);
    let content = text_of(arguments, &CONTENT_KEYS);
    let whole = old.is_none() && parts.is_none();
    if whole && content.is_none() && !verb.contains("delete") && !verb.contains("remove") {
        if verb.contains("insert") {
            let message = "insertion by line number is not taken; use a SEARCH/REPLACE block";
            walk.refuse(RefusalKind::Unsupported, Some(written), reply_line, message);
        } else {
            walk.out.notes.push(format!("the call of `{name}` at line {reply_line} is no edit and was not run"));
        }
        return;
    }
    if old.is_some() && new.is_none() {
        let message = "the call says what to replace but not by what";
        return walk.refuse(RefusalKind::Malformed, Some(written), reply_line, message);
    }
    let Some((path, instead)) = walk.target(written, reply_line, whole) else { return };
    walk.last_path = Some(path.clone());
    let mut push = |edit: Edit| {
        let mut proposed = Proposed::new(edit, Origin::ToolCall, reply_line);
        proposed.instead.clone_from(&instead);
        walk.out.edits.push(proposed);
    };
    let replace = |old: &str, new: &str| Edit::Replace { path: path.clone(), search: old.into(), replace: new.into() };
    match (parts, old, content) {
        (Some(parts), ..) => {
            for part in parts.iter().filter_map(Value::as_object) {
                push(replace(text_of(part, &OLD_KEYS).unwrap_or(""), text_of(part, &NEW_KEYS).unwrap_or("")));
            }
        }
        (None, Some(old), _) => push(replace(old, new.unwrap_or(""))),
        (None, None, Some(_)) if verb.contains("append") || verb.contains("insert") => {
            let message = "appending is not taken; use a SEARCH/REPLACE block";
            walk.refuse(RefusalKind::Unsupported, Some(&path), reply_line, message);
        }
        (None, None, Some(content)) => push(Edit::Write { path: path.clone(), content: content.to_owned() }),
        (None, None, None) => push(Edit::Delete { path: path.clone() }),
    }
}
