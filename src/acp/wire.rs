//! Lines and JSON-RPC: what a line is, and how answers, requests and notices are written.
//!
//! Tolerant in what comes in: no `jsonrpc` is fine, carriage returns are fine, an empty line is nothing. A line that is
//! no message is answered with an error whose id is null; such an error coming in is never answered, or two programs
//! would talk about it for ever.
//!
//! Not for: what a method means.

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

/// The longest line that is read, as the protocol's own libraries have it.
pub const LINE_BYTES_MAX: usize = 32 << 20;

/// JSON-RPC's and the protocol's error codes.
pub(super) mod code {
    pub(in crate::acp) const PARSE: i64 = -32700;
    pub(in crate::acp) const INVALID_REQUEST: i64 = -32600;
    pub(in crate::acp) const NO_METHOD: i64 = -32601;
    pub(in crate::acp) const INVALID_PARAMS: i64 = -32602;
    pub(in crate::acp) const INTERNAL: i64 = -32603;
    /// No such session (or other resource).
    pub(in crate::acp) const NOT_FOUND: i64 = -32002;
}

/// An error in the protocol's form.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, message)
    }

    pub(super) fn no_session(id: &str) -> Self {
        let id: String = id.chars().take(80).collect();
        Self::new(code::NOT_FOUND, format!("there is no session `{id}`"))
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    Notice {
        method: String,
        params: Value,
    },
    /// The answer to a request of ours; an error's object where it failed.
    Answer {
        id: Value,
        result: Result<Value, Value>,
    },
    /// No message; `id` is null where it has none that can be read.
    Bad {
        id: Value,
        code: i64,
        message: String,
    },
    /// Nothing that wants an answer.
    Nothing,
}

/// Reads one line.
pub fn parse(line: &[u8]) -> Incoming {
    let bad = |id: Value, code, message: &str| Incoming::Bad { id, code, message: message.to_owned() };
    let Ok(text) = std::str::from_utf8(line) else {
        return bad(Value::Null, code::PARSE, "the line is not UTF-8");
    };
    if text.trim().is_empty() {
        return Incoming::Nothing;
    }
    let mut object = match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        Ok(Value::Array(_)) => return bad(Value::Null, code::INVALID_REQUEST, "batches are not taken"),
        Ok(_) => return bad(Value::Null, code::INVALID_REQUEST, "a message is a JSON object"),
        Err(problem) => return bad(Value::Null, code::PARSE, &format!("not JSON: {problem}")),
    };
    let id = object.remove("id");
    match object.remove("method") {
        Some(Value::String(method)) => called(id, method, object.remove("params")),
        Some(_) => bad(readable(id), code::INVALID_REQUEST, "`method` is a string"),
        None => answered(id, &mut object),
    }
}

fn called(id: Option<Value>, method: String, params: Option<Value>) -> Incoming {
    let params = params.unwrap_or_else(|| json!({}));
    match id {
        None => Incoming::Notice { method, params },
        Some(id @ (Value::String(_) | Value::Number(_))) => Incoming::Request { id, method, params },
        Some(_) => {
            let message = "`id` is a string or a number".to_owned();
            Incoming::Bad { id: Value::Null, code: code::INVALID_REQUEST, message }
        }
    }
}

fn answered(id: Option<Value>, object: &mut Map<String, Value>) -> Incoming {
    let (result, error) = (object.remove("result"), object.remove("error"));
    match (id, result, error) {
        (Some(id @ (Value::String(_) | Value::Number(_))), _, Some(error)) => {
            Incoming::Answer { id, result: Err(error) }
        }
        (Some(id @ (Value::String(_) | Value::Number(_))), Some(result), None) => {
            Incoming::Answer { id, result: Ok(result) }
        }
        // Somebody could not read a line of ours, or of somebody else's.
        (_, _, Some(_)) | (_, Some(_), _) => Incoming::Nothing,
        (id, None, None) => Incoming::Bad {
            id: readable(id),
            code: code::INVALID_REQUEST,
            message: "neither a request, a notification nor an answer".to_owned(),
        },
    }
}

fn readable(id: Option<Value>) -> Value {
    id.filter(|id| id.is_string() || id.is_number()).unwrap_or(Value::Null)
}

/// Reads lines until they end or nobody wants them; for a thread of its own.
pub fn read_lines(mut from: impl BufRead, to: &mpsc::Sender<Incoming>) {
    loop {
        let incoming = match line(&mut from) {
            Ok(Some(Line::Whole(bytes))) => parse(&bytes),
            Ok(Some(Line::TooLong)) => Incoming::Bad {
                id: Value::Null,
                code: code::INVALID_REQUEST,
                message: format!("the line is longer than {} MiB", LINE_BYTES_MAX >> 20),
            },
            Ok(None) | Err(_) => return,
        };
        if incoming != Incoming::Nothing && to.blocking_send(incoming).is_err() {
            return;
        }
    }
}

enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// The next line without its end; the rest of one that is too long is thrown away. `None` at the end.
fn line(from: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let (mut any, mut too_long) = (false, false);
    loop {
        let buffer = match from.fill_buf() {
            Ok(buffer) => buffer,
            Err(problem) if problem.kind() == io::ErrorKind::Interrupted => continue,
            Err(problem) => return Err(problem),
        };
        if buffer.is_empty() {
            break;
        }
        any = true;
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        if bytes.len() + part.len() > LINE_BYTES_MAX {
            too_long = true;
            bytes = Vec::new();
        }
        if !too_long {
            bytes.extend_from_slice(part);
        }
        let taken = part.len() + usize::from(end.is_some());
        from.consume(taken);
        if end.is_some() {
            break;
        }
    }
    Ok(match (any, too_long) {
        (false, _) => None,
        (true, true) => Some(Line::TooLong),
        (true, false) => Some(Line::Whole(bytes)),
    })
}

/// Writes lines until there are no more or the reader is gone; for a thread of its own.
pub fn write_lines(mut to: impl Write, mut from: mpsc::Receiver<String>) {
    while let Some(line) = from.blocking_recv() {
        let written = to.write_all(line.as_bytes()).and_then(|()| to.write_all(b"\n"));
        let flushed = if from.is_empty() { written.and_then(|()| to.flush()) } else { written };
        if flushed.is_err() {
            return;
        }
    }
    // Nobody is left to be told that it failed.
    let _ = to.flush();
}

/// The answer to a request, with its id as it came.
pub(super) fn answer(id: &Value, result: Result<Value, Refusal>) -> String {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
        Err(refusal) => {
            let mut error = json!({ "code": refusal.code, "message": refusal.message });
            if let Some(hint) = refusal.hint {
                error["data"] = json!({ "hint": hint });
            }
            json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()
        }
    }
}

pub(super) fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

pub(super) fn notice(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request_a_notice_an_answer_or_bad() {
        let request = |id: Value| Incoming::Request { id, method: "m".into(), params: json!({}) };
        assert_eq!(parse(br#"{"jsonrpc":"2.0","id":0,"method":"m"}"#), request(json!(0)));
        assert_eq!(parse(b"{\"id\":\"u-1\",\"method\":\"m\",\"params\":{}}\r"), request(json!("u-1")));
        assert_eq!(parse(br#"{"method":"m"}"#), Incoming::Notice { method: "m".into(), params: json!({}) });
        assert_eq!(parse(br#"{"id":3,"result":null}"#), Incoming::Answer { id: json!(3), result: Ok(Value::Null) });
        let failed = Incoming::Answer { id: json!(3), result: Err(json!({"code": 1})) };
        assert_eq!(parse(br#"{"id":3,"result":null,"error":{"code":1}}"#), failed);
        for (line, wanted, id) in [
            (&b"{nope"[..], code::PARSE, Value::Null),
            (b"\xff\xfe", code::PARSE, Value::Null),
            (b"42", code::INVALID_REQUEST, Value::Null),
            (b"[{\"id\":1,\"method\":\"m\"}]", code::INVALID_REQUEST, Value::Null),
            (b"{\"id\":null,\"method\":\"m\"}", code::INVALID_REQUEST, Value::Null),
            (b"{\"id\":7,\"method\":1}", code::INVALID_REQUEST, json!(7)),
            (b"{\"id\":7}", code::INVALID_REQUEST, json!(7)),
        ] {
            let Incoming::Bad { id: named, code, .. } = parse(line) else { panic!("{line:?}") };
            assert_eq!((code, named), (wanted, id), "{line:?}");
        }
    }

    #[test]
    fn what_must_not_be_answered_is_nothing() {
        for line in [&b""[..], b"  \r", br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700}}"#, br#"{"error":{}}"#] {
            assert_eq!(parse(line), Incoming::Nothing, "{line:?}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_the_next_one_read() {
        let mut text = vec![b'x'; LINE_BYTES_MAX + 1];
        text.extend_from_slice(b"\n{\"method\":\"m\"}");
        let (sender, mut lines) = mpsc::channel(4);
        read_lines(text.as_slice(), &sender);
        let Some(Incoming::Bad { message, .. }) = lines.blocking_recv() else { panic!() };
        assert!(message.contains("longer"), "{message}");
        assert!(matches!(lines.blocking_recv(), Some(Incoming::Notice { .. })));
    }

    #[test]
    fn answers_are_one_line_whatever_they_say() {
        let line = answer(&json!("1"), Err(Refusal::params("a\nb").hint("c\nd")));
        assert!(!line.contains('\n') && line.contains(r#""id":"1""#) && line.contains(r#"{"hint":"c\nd"}"#), "{line}");
    }
}
