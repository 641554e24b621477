//! `/v1/completions`: a text gone on with, without a chat. Pure.
//!
//! Not for: thinking; whoever wants it asks in a chat.

use serde_json::{Value, json};

use super::ask::{self, Ask, Fault, Names};
use super::chat::{closed, reason, usage};
use super::form::{Answer, Form, Opening, data};
use super::thinking::Wish;
use super::tools::Call;

/// Tokens where the request says nothing, as the interface has it.
const TOKENS_MAX: u32 = 16;

/// Reads a request.
///
/// # Errors
/// What has no sense in it.
pub(super) fn read(body: &Value) -> Result<Ask, Fault> {
    let prompt = match &body["prompt"] {
        Value::String(prompt) => prompt.clone(),
        Value::Array(prompts) => match prompts.as_slice() {
            [Value::String(prompt)] => prompt.clone(),
            _ => return Err(Fault::field("prompt", "one text; send several requests for several")),
        },
        _ => return Err(Fault::field("prompt", "a text")),
    };
    if prompt.is_empty() {
        return Err(Fault::field("prompt", "is empty"));
    }
    if body["suffix"].as_str().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(Fault::field("suffix", "filling in the middle is not known here"));
    }
    let ask = ask::read(body, &Names { tokens_max: &["max_tokens", "n_predict"], stops: "stop", format: body })?;
    Ok(Ask {
        raw: Some(prompt),
        // A text is gone on with as it stands.
        thinking: Wish::Off,
        hint: None,
        tokens_max: ask.tokens_max.or(Some(TOKENS_MAX)),
        verify: None,
        ..ask
    })
}

/// The form of the answer.
pub(super) struct Completions {
    opening: Opening,
    usage: bool,
}

impl Completions {
    pub(super) const fn new(opening: Opening, usage: bool) -> Self {
        Self { opening, usage }
    }

    fn object(&self, text: &str, finish: Option<&str>) -> Value {
        json!({
            "id": format!("cmpl-{}", self.opening.id), "object": "text_completion",
            "created": self.opening.created_unix_s, "model": self.opening.model,
            "choices": [{ "index": 0, "text": text, "logprobs": null, "finish_reason": finish }],
        })
    }
}

impl Form for Completions {
    fn begin(&mut self) -> String {
        String::new()
    }

    fn thought(&mut self, _text: &str) -> String {
        String::new()
    }

    fn text(&mut self, text: &str) -> String {
        data(&self.object(text, None))
    }

    fn call(&mut self, _call: &Call) -> String {
        String::new()
    }

    fn end(&mut self, answer: &Answer) -> String {
        let usage = self.usage.then(|| self.object("", None));
        closed(&self.object("", Some(reason(&answer.ended))), usage, answer.spent)
    }

    fn broken(&mut self, fault: &Fault) -> String {
        data(&super::chat::fault(fault))
    }

    fn whole(&self, answer: &Answer) -> Value {
        let mut whole = self.object(&answer.text, Some(reason(&answer.ended)));
        whole["usage"] = usage(answer.spent);
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_gone_on_with() {
        let ask = read(&json!({ "prompt": ["def f():"], "stop": "\n\n", "logprobs": null })).unwrap();
        assert_eq!((ask.raw.as_deref(), ask.tokens_max, ask.stops.len()), (Some("def f():"), Some(TOKENS_MAX), 1));
        for body in [json!({}), json!({ "prompt": "" }), json!({ "prompt": ["a", "b"] }), json!({ "prompt": [1] })] {
            assert_eq!(read(&body).unwrap_err().field, Some("prompt"), "{body}");
        }
        assert_eq!(read(&json!({ "prompt": "a", "suffix": "b" })).unwrap_err().field, Some("suffix"));
    }
}
