//! How much thinking a request wants, by whichever name its client knows for it. Pure.
//!
//! The names are those that clients of the day send: `reasoning_effort`; `reasoning` as an object with `effort` or
//! `budget_tokens`; Anthropic's `thinking` and `output_config`; `thinking_budget`, `thinking_budget_tokens`,
//! `thinking_tokens`; llama.cpp's `reasoning_budget` and `reasoning_budget_tokens`; `enable_thinking`, also within
//! `chat_template_kwargs`. A number of tokens goes before a word, and a word before a switch.
//!
//! Not for: what is done with it (`window.rs`).

use serde_json::Value;

use super::ask::Fault;

/// What a request says about thinking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wish {
    #[default]
    Unsaid,
    Off,
    /// At most so many tokens.
    Tokens(u32),
    /// As much as there is room for.
    Free,
}

/// The tokens that an effort stands for. The steps double twice: what one is worth is a matter of the model.
const EFFORTS: [(&str, Wish); 9] = [
    ("none", Wish::Off),
    ("off", Wish::Off),
    ("minimal", Wish::Tokens(128)),
    ("low", Wish::Tokens(512)),
    ("medium", Wish::Tokens(2048)),
    ("high", Wish::Tokens(8192)),
    ("xhigh", Wish::Tokens(16_384)),
    ("max", Wish::Free),
    ("auto", Wish::Unsaid),
];

/// Fields that hold a number of tokens; -1 is "no limit", 0 is "none".
const NUMBERS: [&str; 8] = [
    "thinking_budget_tokens",
    "thinking_budget",
    "thinking_tokens",
    "reasoning_budget_tokens",
    "reasoning_budget",
    "thinking_tokens_max",
    "budget_tokens",
    "max_thinking_tokens",
];

/// Reads a request.
///
/// # Errors
/// A name of an effort that nobody knows, or a number that is none.
pub(super) fn wish(body: &Value) -> Result<Wish, Fault> {
    let kwargs = &body["chat_template_kwargs"];
    for place in [body, kwargs] {
        for field in NUMBERS {
            if let Some(wish) = tokens(&place[field], field)? {
                return Ok(wish);
            }
        }
    }
    let (thinking, reasoning) = (&body["thinking"], &body["reasoning"]);
    let kind = thinking["type"].as_str().unwrap_or_default();
    if kind == "disabled" {
        return Ok(Wish::Off);
    }
    for (value, field) in [
        (&thinking["budget_tokens"], "thinking"),
        (&reasoning["budget_tokens"], "reasoning"),
        (&reasoning["max_tokens"], "reasoning"),
    ] {
        if let Some(wish) = tokens(value, field)? {
            return Ok(wish);
        }
    }
    for (value, field) in [
        (&body["reasoning_effort"], "reasoning_effort"),
        (&reasoning["effort"], "reasoning"),
        (&body["output_config"]["effort"], "output_config"),
        (&kwargs["reasoning_effort"], "reasoning_effort"),
    ] {
        // An effort beside Anthropic's output is about the whole answer: it counts where thinking is on.
        let counts = field != "output_config" || !thinking.is_null();
        if let Some(wish) = effort(value, field)?.filter(|_| counts) {
            return Ok(wish);
        }
    }
    let switch = body["enable_thinking"].as_bool().or(kwargs["enable_thinking"].as_bool());
    let switch = switch.or(kwargs["thinking"].as_bool()).or(thinking.as_bool()).or(reasoning["enabled"].as_bool());
    Ok(match switch {
        Some(false) => Wish::Off,
        _ => Wish::Unsaid,
    })
}

fn tokens(value: &Value, field: &'static str) -> Result<Option<Wish>, Fault> {
    let wrong = || Fault::field(field, "a number of tokens; 0 for none, -1 for no limit");
    match value {
        Value::Null | Value::Bool(_) | Value::Object(_) => Ok(None),
        Value::Number(number) => match number.as_i64() {
            Some(-1) => Ok(Some(Wish::Free)),
            Some(0) => Ok(Some(Wish::Off)),
            Some(tokens) if tokens > 0 => Ok(Some(Wish::Tokens(tokens.min(i64::from(u32::MAX)) as u32))),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

fn effort(value: &Value, field: &'static str) -> Result<Option<Wish>, Fault> {
    match value {
        Value::Null => Ok(None),
        Value::String(word) => match EFFORTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            Some((_, wish)) => Ok(Some(*wish)),
            None => Err(Fault::field(field, "none, minimal, low, medium, high, xhigh or max")),
        },
        _ => Err(Fault::field(field, "a word: none, minimal, low, medium, high, xhigh or max")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_name_for_it_is_understood() {
        for (body, wanted) in [
            (json!({}), Wish::Unsaid),
            (json!({ "reasoning_effort": "low" }), Wish::Tokens(512)),
            (json!({ "reasoning_effort": "none" }), Wish::Off),
            (json!({ "reasoning_effort": null }), Wish::Unsaid),
            (json!({ "reasoning": { "effort": "HIGH" } }), Wish::Tokens(8192)),
            (json!({ "reasoning": { "summary": "auto" } }), Wish::Unsaid),
            (json!({ "reasoning": { "effort": "low", "budget_tokens": 700 } }), Wish::Tokens(700)),
            (json!({ "reasoning": { "max_tokens": 300 } }), Wish::Tokens(300)),
            (json!({ "thinking": { "type": "enabled", "budget_tokens": 64 } }), Wish::Tokens(64)),
            (json!({ "thinking": { "type": "disabled", "budget_tokens": 64 } }), Wish::Off),
            (
                json!({ "thinking": { "type": "adaptive" }, "output_config": { "effort": "medium" } }),
                Wish::Tokens(2048),
            ),
            (json!({ "output_config": { "effort": "medium" } }), Wish::Unsaid),
            (json!({ "thinking": { "type": "enabled" }, "reasoning_effort": "max" }), Wish::Free),
            (json!({ "thinking_budget": 99 }), Wish::Tokens(99)),
            (json!({ "thinking_budget_tokens": 0 }), Wish::Off),
            (json!({ "reasoning_budget": -1 }), Wish::Free),
            (json!({ "reasoning_budget_tokens": 12, "reasoning_effort": "high" }), Wish::Tokens(12)),
            (json!({ "enable_thinking": false }), Wish::Off),
            (json!({ "enable_thinking": true }), Wish::Unsaid),
            (json!({ "chat_template_kwargs": { "enable_thinking": false } }), Wish::Off),
            (json!({ "chat_template_kwargs": { "thinking_budget": 5 } }), Wish::Tokens(5)),
        ] {
            assert_eq!(wish(&body), Ok(wanted), "{body}");
        }
    }

    #[test]
    fn what_has_no_sense_is_named() {
        for (body, field) in [
            (json!({ "reasoning_effort": "extreme" }), "reasoning_effort"),
            (json!({ "reasoning_effort": 3 }), "reasoning_effort"),
            (json!({ "thinking_budget": "many" }), "thinking_budget"),
            (json!({ "thinking": { "type": "enabled", "budget_tokens": -7 } }), "thinking"),
            (json!({ "reasoning": { "effort": "x" } }), "reasoning"),
        ] {
            assert_eq!(wish(&body).unwrap_err().field, Some(field), "{body}");
        }
    }
}
