//! Edits written as tool calls: bare JSON, JSON in a fence, `<tool_call>` and `<tools>` tags, and
//! `<function=…><parameter=…>` tags. Small models write them unasked.
//!
//! Raw line breaks inside JSON strings are mended, because models write code that way; JSON that ends
//! early is not, because a truncated argument must never be written.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::edits::{Insert, Origin, Proposed, Refusal, RefusalKind};
use super::walk::{Walk, Want};
use crate::scan::marker;
use crate::task::Edit;

/// Keys are compared in lower case and without `_` and `-`: `filePath` is `file_path`.
const PATH_KEYS: [&str; 8] =
    ["path", "filepath", "filename", "file", "targetfile", "relativepath", "absolutepath", "uri"];
const OLD_KEYS: [&str; 10] =
    ["oldstring", "oldstr", "search", "oldtext", "old", "original", "find", "oldcode", "oldcontent", "searchtext"];
const NEW_KEYS: [&str; 11] = [
    "newstring",
    "newstr",
    "replace",
    "newtext",
    "new",
    "updated",
    "replacement",
    "newcode",
    "newcontent",
    "replacetext",
    "replacewith",
];
const CONTENT_KEYS: [&str; 6] = ["content", "contents", "filetext", "text", "code", "codeedit"];
const INSERT_KEYS: [&str; 5] = ["newstr", "inserttext", "text", "content", "newtext"];
const LINE_KEYS: [&str; 3] = ["insertline", "line", "afterline"];
const ALL_KEYS: [&str; 3] = ["replaceall", "all", "allowmultiple"];
const FROM_KEYS: [&str; 6] = ["source", "sourcepath", "from", "oldpath", "src", "frompath"];
const TO_KEYS: [&str; 7] = ["destination", "destinationpath", "to", "newpath", "dest", "topath", "target"];

static XML_CALL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"<(?:function=|invoke name=")([\w.-]+)"?>"#).expect("invariant: the call pattern is valid")
});
static TAGGED_PATH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"<(?:path|file_path|file|filename)>\s*([^<\n]+?)\s*</").expect("invariant: the path pattern is valid")
});
static XML_PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?s)<parameter(?:=| name=")([\w.-]+)"?>\n?(.*?)</parameter>"#)
        .expect("invariant: the parameter pattern is valid")
});

/// Whether a fenced body is a JSON call rather than a file.
pub(super) fn looks_like(body: &str) -> bool {
    let body = body.trim_start();
    let hands_patch = body.contains("*** Begin Patch") && (body.contains("\"command\"") || body.contains("\"cmd\""));
    body.starts_with(['{', '[']) && (hands_patch || is_call(body))
}

fn is_call(body: &str) -> bool {
    ["\"name\"", "\"function\"", "\"tool\"", "\"tool_name\"", "\"tool_calls\"", "\"action\""]
        .iter()
        .any(|key| body.contains(key))
        && ["\"arguments\"", "\"parameters\"", "\"input\"", "\"args\"", "\"old_str", "\"file_text\"", "\"params\""]
            .iter()
            .any(|key| body.contains(key))
}

/// Reads the call in the lines `from..end`: tagged, or bare JSON.
pub(super) fn read_block(walk: &mut Walk<'_>, from: usize, end: usize) {
    let text = walk.lines[from..end].join("\n");
    if let Some(path) = marker::file_tag(walk.lines[from]) {
        return read_file(walk, path, (&text, "</file>"), from, end);
    }
    let Some(tag) = marker::tool_tag(walk.lines[from]) else { return read_json(walk, &text, from) };
    let close = format!("</{tag}>");
    if let Some(path) = TAGGED_PATH.captures(&text).and_then(|found| found.get(1)).filter(|_| tag.ends_with("_file")) {
        return read_file(walk, path.as_str(), (&text, "</content>"), from, end);
    }
    if let Some(first) = XML_CALL.find(&text) {
        read_xml(walk, &text[first.start()..], from);
    } else {
        let inner = text.trim_start().split_once('>').map_or("", |(_, rest)| rest);
        let inner = inner.rsplit_once(&close).map_or(inner, |(inner, _)| inner);
        let inner: Vec<&str> = inner.lines().filter(|line| crate::scan::delimiter(line).is_none()).collect();
        read_json(walk, &inner.join("\n"), from);
    }
}

/// A file between tags: `<file path="…">`, or `<content>` beside `<path>`.
fn read_file(walk: &mut Walk<'_>, path: &str, (text, close): (&str, &str), from: usize, end: usize) {
    let reply_line = from as u32 + 1;
    let opening = if close == "</file>" { ">" } else { "<content>" };
    let inner = text.split_once(opening).and_then(|(_, rest)| rest.rsplit_once(close)).map(|(inner, _)| inner);
    let Some(inner) = inner else {
        return walk.refuse(RefusalKind::Truncated, Some(path), reply_line, "the reply ends inside a file's tags");
    };
    // The tag may be a line of the file's own.
    let goes_on =
        walk.lines[end..].iter().take_while(|line| marker::file_tag(line).is_none()).any(|line| line.contains(close));
    if goes_on {
        let message = "where this file ends cannot be told: its closing tag stands more than once";
        return walk.refuse(RefusalKind::Malformed, Some(path), reply_line, message);
    }
    let inner = inner.strip_prefix('\n').unwrap_or(inner).trim_end_matches(' ');
    let content = if inner.is_empty() || inner.ends_with('\n') { inner.to_owned() } else { format!("{inner}\n") };
    let Some((path, _)) = walk.target(path, reply_line, Want::ThisPath) else { return };
    walk.last_path = Some(path.clone());
    walk.out.edits.push(Proposed::new(Edit::Write { path, content }, Origin::WholeFile, reply_line));
}

/// The patch that a call hands to a program, where it does.
fn patch_of(arguments: &Map<String, Value>) -> Option<&str> {
    let is_patch = |text: &&str| text.contains("*** Begin Patch");
    arguments.values().find_map(|value| match value {
        Value::String(text) => Some(text.as_str()).filter(is_patch),
        Value::Array(items) => items.iter().filter_map(Value::as_str).find(is_patch),
        _ => None,
    })
}

/// Reads a patch that stands inside a call.
fn take_patch(walk: &mut Walk<'_>, patch: &str, at: usize) {
    let from = patch.find("*** Begin Patch").unwrap_or(0);
    let inner = Walk::over(&patch[from..], walk.known, &[]).out;
    let line = at as u32 + 1;
    walk.out.edits.extend(inner.edits.into_iter().map(|edit| Proposed { reply_line: line, ..edit }));
    walk.out.refused.extend(inner.refused.into_iter().map(|refusal| Refusal { reply_line: line, ..refusal }));
    walk.out.notes.extend(inner.notes);
}

fn read_xml(walk: &mut Walk<'_>, text: &str, at: usize) {
    let starts: Vec<usize> = XML_CALL.find_iter(text).map(|m| m.start()).collect();
    for (number, start) in starts.iter().enumerate() {
        let call = &text[*start..starts.get(number + 1).copied().unwrap_or(text.len())];
        let name = XML_CALL.captures(call).and_then(|c| c.get(1)).map_or("", |m| m.as_str()).to_owned();
        if call.matches("<parameter=").count() + call.matches("<parameter name=").count()
            != call.matches("</parameter>").count()
        {
            let message = "the reply ends inside a tool call";
            walk.refuse(RefusalKind::Truncated, None, at as u32 + 1, message);
            continue;
        }
        // The line break before the closing tag is a file's own, and no part of anything else.
        let value = |key: &str, text: &str| {
            let whole = CONTENT_KEYS.contains(&plain_key(key).as_str());
            Value::String(if whole { text } else { text.strip_suffix('\n').unwrap_or(text) }.to_owned())
        };
        let arguments: Map<String, Value> =
            XML_PARAMETER.captures_iter(call).map(|c| (c[1].to_owned(), value(&c[1], &c[2]))).collect();
        take(walk, &name, &arguments, at);
    }
}

/// Reads one or several JSON calls, one after another or in a list.
pub(super) fn read_json(walk: &mut Walk<'_>, text: &str, at: usize) {
    let mut rest = text.trim();
    if !rest.starts_with(['{', '[']) && walk.lines.get(at).is_some_and(|line| marker::tool_tag(line).is_some()) {
        let message = "a tool call holds no JSON; its form is not understood";
        return walk.refuse(RefusalKind::Malformed, None, at as u32 + 1, message);
    }
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

fn value_of<'a>(arguments: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| arguments.iter().find(|(name, _)| plain_key(name) == *key).map(|(_, value)| value))
}

fn plain_key(key: &str) -> String {
    key.to_lowercase().replace(['_', '-'], "")
}

fn text_of<'a>(arguments: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    value_of(arguments, keys).and_then(Value::as_str)
}

fn number_of(arguments: &Map<String, Value>, keys: &[&str]) -> Option<u32> {
    let value = value_of(arguments, keys)?;
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    u32::try_from(number).ok()
}

fn is_true(arguments: &Map<String, Value>, keys: &[&str]) -> bool {
    value_of(arguments, keys).is_some_and(|value| {
        value.as_bool().unwrap_or(false) || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    })
}

/// Turns one call into edits, by the shape of its arguments.
fn take(walk: &mut Walk<'_>, name: &str, arguments: &Map<String, Value>, at: usize) {
    let reply_line = at as u32 + 1;
    let verb = text_of(arguments, &["command"]).filter(|c| !c.contains(' ')).unwrap_or(name).to_lowercase();
    let is = |word: &str| verb.contains(word);
    if is("move") || is("rename") {
        return take_move(walk, arguments, reply_line);
    }
    let Some(written) = text_of(arguments, &PATH_KEYS) else {
        if let Some(patch) = patch_of(arguments) {
            take_patch(walk, patch, at);
        } else if value_of(arguments, &OLD_KEYS).is_some() && value_of(arguments, &NEW_KEYS).is_some() {
            walk.refuse(RefusalKind::NoPath, None, reply_line, "a tool call changes text but names no file");
        } else {
            walk.out.notes.push(format!("the call of `{name}` at line {reply_line} is no edit and was not run"));
        }
        return;
    };
    let parts = value_of(arguments, &["edits", "replacements", "changes"]).and_then(Value::as_array);
    let old = text_of(arguments, &OLD_KEYS);
    let new = text_of(arguments, &NEW_KEYS);
    let content = text_of(arguments, &CONTENT_KEYS);
    let inserts = (is("insert") || is("append")) && old.is_none();
    let deletes = is("delete") || is("remove");
    if old.is_none() && parts.is_none() && content.is_none() && !deletes && !inserts {
        walk.out.notes.push(format!("the call of `{name}` at line {reply_line} is no edit and was not run"));
        return;
    }
    if old.is_some() && new.is_none() {
        let message = "the call says what to replace but not by what";
        return walk.refuse(RefusalKind::Malformed, Some(written), reply_line, message);
    }
    let existing = old.is_some_and(|old| !old.trim().is_empty()) || parts.is_some();
    let want = if existing { Want::ExistingText } else { Want::ThisPath };
    let Some((path, instead)) = walk.target(written, reply_line, want) else { return };
    walk.last_path = Some(path.clone());
    let all = is_true(arguments, &ALL_KEYS);
    let push = |walk: &mut Walk<'_>, edit: Edit, all: bool, insert: Option<Insert>| {
        let mut proposed = Proposed::new(edit, Origin::ToolCall, reply_line);
        proposed.instead.clone_from(&instead);
        proposed.all = all;
        proposed.insert = insert;
        walk.out.edits.push(proposed);
    };
    let replace = |old: &str, new: &str| Edit::Replace { path: path.clone(), search: old.into(), replace: new.into() };
    if let Some(parts) = parts {
        for part in parts {
            let part = part.as_object();
            let sides = part.and_then(|part| Some((text_of(part, &OLD_KEYS)?, text_of(part, &NEW_KEYS)?)));
            let Some((old, new)) = sides else {
                let message = "one of a call's edits does not say what to replace by what";
                walk.refuse(RefusalKind::Malformed, Some(&path), reply_line, message);
                continue;
            };
            push(walk, replace(old, new), all || part.is_some_and(|part| is_true(part, &ALL_KEYS)), None);
        }
    } else if let Some(old) = old {
        push(walk, replace(old, new.unwrap_or("")), all, None);
    } else if inserts {
        let end = is("append").then_some(Insert::End);
        let place = end.or_else(|| number_of(arguments, &LINE_KEYS).map(Insert::AfterLine));
        if let Some((text, place)) = text_of(arguments, &INSERT_KEYS).or(content).zip(place) {
            push(walk, replace("", text), false, Some(place));
        } else {
            let message = "the call does not say what to insert after which line";
            walk.refuse(RefusalKind::Malformed, Some(&path), reply_line, message);
        }
    } else if let Some(content) = content.filter(|_| !deletes) {
        push(walk, Edit::Write { path: path.clone(), content: content.to_owned() }, false, None);
    } else {
        push(walk, Edit::Delete { path: path.clone() }, false, None);
    }
}

fn take_move(walk: &mut Walk<'_>, arguments: &Map<String, Value>, reply_line: u32) {
    let from = text_of(arguments, &FROM_KEYS).or_else(|| text_of(arguments, &PATH_KEYS));
    let Some((from, to)) = from.zip(text_of(arguments, &TO_KEYS)) else {
        let message = "a call moves a file but does not say which, or where to";
        return walk.refuse(RefusalKind::Malformed, None, reply_line, message);
    };
    let Some((path, _)) = walk.target(from, reply_line, Want::ThisPath) else { return };
    let edit = Edit::Replace { path, search: String::new(), replace: String::new() };
    let mut proposed = Proposed::new(edit, Origin::ToolCall, reply_line);
    proposed.rename_to = Some(to.trim().to_owned());
    walk.out.edits.push(proposed);
}
