//! A request as the server understands it, whichever form it came in; and what is said where it cannot be served. Pure.
//!
//! Fields that are not known are left alone: clients send many. A field that is known and has no sense is refused.
//!
//! Not for: the forms' own fields (`chat.rs`, `messages.rs`, `responses.rs`).

use serde_json::Value;

use super::content;
use super::thinking::{self, Wish};
use super::tools::{self, Tool};
use crate::engine::Sampling;
use crate::prompt::{Message, Role};
use crate::task::Check;

/// Words that end an answer; more are refused.
const STOPS_MAX: usize = 16;

/// A request, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    pub(super) messages: Vec<Message>,
    /// Go on with this text as it stands, without a chat.
    pub(super) raw: Option<String>,
    pub(super) thinking: Wish,
    /// Forced where thinking is cut; the model's own prompt file where it is not said.
    pub(super) hint: Option<String>,
    /// Everything that may be generated, thinking included.
    pub(super) tokens_max: Option<u32>,
    pub(super) draw: Draw,
    pub(super) seed: Option<u64>,
    pub(super) stops: Vec<String>,
    pub(super) grammar: Option<String>,
    pub(super) stream: bool,
    pub(super) stream_usage: bool,
    pub(super) tools: Vec<Tool>,
    /// What a call must be, in words, where one must be made.
    pub(super) must_call: Option<String>,
    pub(super) verify: Option<Vec<Check>>,
}

/// How tokens are drawn, as far as the request says it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Draw {
    pub(super) temperature: Option<f32>,
    pub(super) top_p: Option<f32>,
    pub(super) top_k: Option<u32>,
    pub(super) min_p: Option<f32>,
}

impl Draw {
    /// The request's words laid over what is best for the model.
    pub(super) fn over(self, otherwise: Sampling) -> Sampling {
        let temperature = self.temperature.unwrap_or(otherwise.temperature);
        if temperature == 0.0 {
            return Sampling::GREEDY;
        }
        Sampling {
            temperature,
            top_p: self.top_p.unwrap_or(otherwise.top_p),
            top_k: self.top_k.unwrap_or(otherwise.top_k),
            min_p: self.min_p.unwrap_or(otherwise.min_p),
            ..otherwise
        }
    }
}

/// What went wrong, in no protocol's words yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) message: String,
    /// The field that is meant.
    pub(super) field: Option<&'static str>,
}

/// Kinds of faults; each protocol has a status and a word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Invalid,
    /// The prompt is longer than the model's context.
    TooLong,
    NoKey,
    Forbidden,
    NotFound,
    Method,
    TooLarge,
    Slow,
    Busy,
    Broken,
}

impl Kind {
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Invalid | Self::TooLong => 400,
            Self::NoKey => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::TooLarge => 413,
            Self::Slow => 408,
            Self::Busy => 429,
            Self::Broken => 500,
        }
    }
}

impl Fault {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), field: None }
    }

    /// A field that has no sense.
    pub(super) fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self { kind: Kind::Invalid, message: format!("`{field}`: {}", message.into()), field: Some(field) }
    }
}

/// Where a form keeps what all of them have.
pub(super) struct Names<'a> {
    /// The most that may be generated; the first that is there counts.
    pub(super) tokens_max: &'a [&'static str],
    pub(super) stops: &'static str,
    /// What holds `grammar` and `response_format`.
    pub(super) format: &'a Value,
}

/// Reads what every form has. The conversation and the tools are the form's own, and not there yet.
///
/// # Errors
/// What has no sense in it.
pub(super) fn read(body: &Value, names: &Names<'_>) -> Result<Ask, Fault> {
    if body["n"].as_u64().is_some_and(|n| n != 1) {
        return Err(Fault::field("n", "one answer at a time; send the request again for another"));
    }
    if body["logprobs"].as_bool() == Some(true) || body["logprobs"].as_u64().is_some_and(|n| n > 0) {
        return Err(Fault::field("logprobs", "probabilities are not given; leave it out"));
    }
    if body["echo"].as_bool() == Some(true) {
        return Err(Fault::field("echo", "the prompt is not said again; leave it out"));
    }
    Ok(Ask {
        messages: Vec::new(),
        raw: None,
        thinking: thinking::wish(body)?,
        hint: hint(body)?,
        tokens_max: tokens_max(body, names.tokens_max)?,
        draw: draw(body)?,
        // Some clients draw theirs below zero.
        seed: body["seed"].as_u64().or_else(|| body["seed"].as_i64().map(i64::cast_unsigned)),
        stops: stops(body, names.stops)?,
        grammar: grammar(names.format)?,
        stream: yes(body, "stream")?,
        stream_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
        tools: Vec::new(),
        must_call: None,
        verify: verify(body)?,
    })
}

/// The list of messages of a chat.
///
/// # Errors
/// There is none, or it is empty.
pub(super) fn messages(body: &Value) -> Result<&[Value], Fault> {
    let list = body["messages"].as_array().filter(|messages| !messages.is_empty());
    list.map(Vec::as_slice).ok_or_else(|| Fault::field("messages", "a list with at least one message"))
}

/// A message's role, by its name and as templates know it.
///
/// # Errors
/// None, or nobody's.
pub(super) fn role<'a>(message: &'a Value, field: &'static str) -> Result<(&'a str, Role), Fault> {
    let name = message["role"].as_str().ok_or_else(|| Fault::field(field, "a message needs a `role`"))?;
    Ok((name, content::role(name)?))
}

impl Ask {
    /// With the tools that a request declares, and its choice among them.
    ///
    /// # Errors
    /// What has no sense in them.
    pub(super) fn with_tools(mut self, declared: &Value, choice: &Value) -> Result<Self, Fault> {
        (self.tools, self.must_call) = tools::choose(tools::read(declared)?, choice)?;
        Ok(self)
    }
}

/// An optional number.
fn number(body: &Value, field: &'static str) -> Result<Option<u64>, Fault> {
    match &body[field] {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or_else(|| Fault::field(field, "a whole number that is not negative")),
    }
}

fn fraction(body: &Value, field: &'static str, max: f64) -> Result<Option<f32>, Fault> {
    match &body[field] {
        Value::Null => Ok(None),
        value => match value.as_f64().filter(|value| (0.0..=max).contains(value)) {
            Some(value) => Ok(Some(value as f32)),
            None => Err(Fault::field(field, format!("a number between 0 and {max}"))),
        },
    }
}

/// `temperature`, `top_p`, `top_k`, `min_p`.
fn draw(body: &Value) -> Result<Draw, Fault> {
    // -1 is how some clients say "all of them".
    let top_k = match body["top_k"].as_i64() {
        Some(k) if k <= 0 => Some(0),
        _ => number(body, "top_k")?.map(|k| k.min(u64::from(u32::MAX)) as u32),
    };
    Ok(Draw {
        temperature: fraction(body, "temperature", 2.0)?,
        top_p: fraction(body, "top_p", 1.0)?,
        top_k,
        min_p: fraction(body, "min_p", 1.0)?,
    })
}

/// A yes or no; absent is no.
fn yes(body: &Value, field: &'static str) -> Result<bool, Fault> {
    match &body[field] {
        Value::Null => Ok(false),
        value => value.as_bool().ok_or_else(|| Fault::field(field, "true or false")),
    }
}

/// The most that may be generated, by the first of these fields that is there.
fn tokens_max(body: &Value, fields: &[&'static str]) -> Result<Option<u32>, Fault> {
    for field in fields {
        // -1 means "as many as there is room for" to llama.cpp's clients.
        if body[*field].as_i64().is_some_and(|value| value < 0) {
            return Ok(None);
        }
        match number(body, field)? {
            Some(0) => return Err(Fault::field(field, "at least 1")),
            Some(tokens) => return Ok(Some(tokens.min(u64::from(u32::MAX)) as u32)),
            None => {}
        }
    }
    Ok(None)
}

/// A string or a list of them.
fn stops(body: &Value, field: &'static str) -> Result<Vec<String>, Fault> {
    let wrong = || Fault::field(field, format!("a string, or up to {STOPS_MAX} of them"));
    let found: Vec<String> = match &body[field] {
        Value::Null => Vec::new(),
        Value::String(stop) => vec![stop.clone()],
        Value::Array(stops) if stops.len() <= STOPS_MAX => {
            stops.iter().map(|stop| stop.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        _ => return Err(wrong()),
    };
    Ok(found.into_iter().filter(|stop| !stop.is_empty()).collect())
}

/// `hint`: what is forced where thinking is cut.
fn hint(body: &Value) -> Result<Option<String>, Fault> {
    const BYTES_MAX: usize = 4096;
    // llama.cpp's name for the same thing.
    for field in ["hint", "reasoning_budget_message"] {
        match &body[field] {
            Value::Null => {}
            Value::String(hint) if hint.len() <= BYTES_MAX => return Ok(Some(hint.clone())),
            _ => return Err(Fault::field(field, format!("a string of up to {BYTES_MAX} bytes"))),
        }
    }
    Ok(None)
}

/// `verify` with `tests`: what the answer must pass.
fn verify(body: &Value) -> Result<Option<Vec<Check>>, Fault> {
    if !yes(body, "verify")? {
        return Ok(None);
    }
    let checks = match &body["tests"] {
        // The checks that the words of the task state, then.
        Value::Null => Vec::new(),
        Value::String(source) => vec![Check::Asserts { source: source.clone(), hidden: false }],
        Value::Array(cases) => {
            let case = |case: &Value| {
                Some(crate::task::StdioCase {
                    input: case["input"].as_str()?.to_owned(),
                    output: case["output"].as_str()?.to_owned(),
                })
            };
            let cases: Option<Vec<_>> = cases.iter().map(case).collect();
            let cases = cases.ok_or_else(|| Fault::field("tests", "each case needs `input` and `output`"))?;
            vec![Check::Stdio { cases, hidden: false }]
        }
        Value::Object(test) => {
            let language = test.get("language").and_then(Value::as_str);
            let language = language.and_then(crate::task::Language::from_fence_tag);
            let source = test.get("source").and_then(Value::as_str);
            let (Some(language), Some(source)) = (language, source) else {
                return Err(Fault::field("tests", "an object needs `language` and `source`"));
            };
            vec![Check::TestSource { language, source: source.to_owned(), hidden: false }]
        }
        _ => return Err(Fault::field("tests", "Python asserts as a string, a list of cases, or a test program")),
    };
    Ok(Some(checks))
}

/// `response_format` and `grammar`: rules for the answer.
fn grammar(body: &Value) -> Result<Option<String>, Fault> {
    match &body["grammar"] {
        Value::Null => {}
        Value::String(grammar) => {
            bounded(grammar)?;
            return Ok(Some(grammar.clone()).filter(|grammar| !grammar.trim().is_empty()));
        }
        _ => return Err(Fault::field("grammar", "GBNF as a string")),
    }
    match body["response_format"]["type"].as_str() {
        None | Some("text") => Ok(None),
        Some("json_object") => Ok(Some(JSON.to_owned())),
        Some(_) => Err(Fault::field(
            "response_format",
            "`text` and `json_object` are known; for a schema give a GBNF \
                                                         grammar in `grammar`",
        )),
    }
}

/// llama.cpp's parser goes down one stack for each bracket.
fn bounded(grammar: &str) -> Result<(), Fault> {
    const BYTES_MAX: usize = 64 << 10;
    const DEPTH_MAX: usize = 256;
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in grammar.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if grammar.len() > BYTES_MAX || deepest > DEPTH_MAX {
        let what = format!("at most {} KiB, and brackets at most {DEPTH_MAX} deep", BYTES_MAX >> 10);
        return Err(Fault::field("grammar", &what));
    }
    Ok(())
}

/// A JSON object, as GBNF.
const JSON: &str = include_str!("../../grammars/json.gbnf");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_out_of_range_are_named() {
        for (body, field) in [
            (json!({ "temperature": 3 }), "temperature"),
            (json!({ "top_p": "1" }), "top_p"),
            (json!({ "top_k": 1.5 }), "top_k"),
        ] {
            assert_eq!(draw(&body).unwrap_err().field, Some(field));
        }
        assert_eq!(draw(&json!({ "top_k": -1, "top_p": null })).unwrap(), Draw { top_k: Some(0), ..Draw::default() });
        assert_eq!(tokens_max(&json!({ "max_tokens": 0 }), &["max_tokens"]).unwrap_err().field, Some("max_tokens"));
        assert_eq!(tokens_max(&json!({ "b": 3 }), &["a", "b"]).unwrap(), Some(3));
        assert_eq!(tokens_max(&json!({ "b": -1 }), &["a", "b"]).unwrap(), None);
    }

    #[test]
    fn a_temperature_of_nothing_is_greedy_whatever_else_is_said() {
        let draw = Draw { temperature: Some(0.0), top_p: Some(0.5), ..Draw::default() };
        assert_eq!(draw.over(Sampling { temperature: 0.6, ..Sampling::GREEDY }), Sampling::GREEDY);
    }

    #[test]
    fn tests_come_in_three_kinds() {
        assert_eq!(verify(&json!({ "tests": "assert 1" })).unwrap(), None, "only where it was asked for");
        let of = |tests: Value| verify(&json!({ "verify": true, "tests": tests }));
        assert!(matches!(of(json!("assert f(1) == 2")).unwrap().unwrap()[0], Check::Asserts { .. }));
        assert!(matches!(of(json!([{ "input": "1", "output": "2" }])).unwrap().unwrap()[0], Check::Stdio { .. }));
        assert!(matches!(
            of(json!({ "language": "js", "source": "x" })).unwrap().unwrap()[0],
            Check::TestSource { .. }
        ));
        assert_eq!(of(Value::Null).unwrap(), Some(vec![]));
        assert!(of(json!([{ "input": 1 }])).is_err() && of(json!(1)).is_err());
        assert_eq!(verify(&json!({ "verify": "yes" })).unwrap_err().field, Some("verify"));
    }

    #[test]
    fn stops_are_strings() {
        assert_eq!(stops(&json!({ "stop": "a" }), "stop").unwrap(), ["a"]);
        assert_eq!(stops(&json!({ "stop": ["a", ""] }), "stop").unwrap(), ["a"]);
        assert!(stops(&json!({ "stop": [1] }), "stop").is_err());
        assert!(stops(&json!({ "stop": vec!["x"; 17] }), "stop").is_err());
    }
}
