//! What a function does on generated inputs, so that candidates which nothing can be checked against can be put
//! together by behaviour: those that answer alike are one cluster.

mod inputs;

use std::time::Duration;

use serde_json::{Value, json};

use crate::cancel::Cancel;
use crate::sandbox::Sandbox;
use crate::task::{Candidate, Verdict};

use super::VerifyOptions;
use super::j1::{self, relay::Gone};
pub use inputs::{Input, generate_inputs};

/// Longest answer kept; two longer ones are told apart by their beginning and their length.
const ANSWER_CHARS_MAX: usize = 4_000;

/// What came of one call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observation {
    /// The call's arguments as JSON, for people.
    pub input: String,
    /// The answer (with changed arguments) in canonical form, or how the call failed. Equal observations are
    /// equal behaviour.
    pub answer: String,
}

/// Calls `entry` of a Python or JavaScript program on every input.
///
/// # Errors
/// The verdict that says why nothing could be observed (no toolchain, no walls, the program does not load).
pub async fn behaviour(
    program: &Candidate,
    entry: &str,
    inputs: &[Input],
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Result<Vec<Observation>, Verdict> {
    let Candidate::Program { language, source } = program else {
        return Err(super::nothing("only a program's functions can be observed"));
    };
    let mut worker = j1::open_worker(*language, source, sandbox, options).await?;
    let observed = tokio::select! {
        observed = observe(&mut worker.port, entry, inputs, options.call_wall) => observed,
        () = cancel.cancelled() => Err(super::cancelled()),
    };
    worker.finish(Duration::ZERO).await;
    observed
}

type WorkerPort = j1::relay::Port<tokio::net::unix::pipe::Receiver, tokio::net::unix::pipe::Sender>;

async fn observe(
    worker: &mut WorkerPort,
    entry: &str,
    inputs: &[Input],
    wall: Duration,
) -> Result<Vec<Observation>, Verdict> {
    let loaded = ask(worker, &json!(["load"]), wall).await;
    if !loaded.is_ok_and(|reply| reply[0] == "ok") {
        return Err(super::nothing("the program does not load"));
    }
    let names = ask(worker, &json!(["names", [entry]]), wall).await.unwrap_or_default();
    let Some(handle) = names[1][entry]["h"].as_u64() else {
        return Err(super::nothing(&format!("the program does not define `{entry}`")));
    };
    let mut observations = Vec::with_capacity(inputs.len());
    let mut gone = None;
    for input in inputs {
        let answer = match gone {
            Some(word) => format!("gone: {word}"),
            None => match ask(worker, &json!(["call", {"b": handle}, null, input.arguments, {}]), wall).await {
                Ok(reply) => canonical(&reply),
                Err(why) => {
                    gone = Some(why.word());
                    format!("gone: {}", why.word())
                }
            },
        };
        observations.push(Observation { input: Value::Array(input.arguments.clone()).to_string(), answer });
    }
    Ok(observations)
}

async fn ask(worker: &mut WorkerPort, request: &Value, wall: Duration) -> Result<Value, Gone> {
    let reply = j1::relay::ask(worker, request.to_string().as_bytes(), wall).await?;
    serde_json::from_slice(&reply).map_err(|_| Gone::Protocol)
}

/// The part of a reply that is behaviour: not what was printed, not messages, not the order of sets.
fn canonical(reply: &Value) -> String {
    let text = match reply[0].as_str() {
        Some("ex") => {
            let name = reply[1]["classes"][0].as_str().or_else(|| reply[1]["name"].as_str()).unwrap_or("error");
            format!("raises {name} {}", sorted(&reply[2]))
        }
        _ => format!("{} {}", sorted(&reply[1]), sorted(&reply[2])),
    };
    match text.char_indices().nth(ANSWER_CHARS_MAX) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text,
    }
}

/// Sets and dictionaries in one order; two objects of the program's are alike by their class alone.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(fields) if fields.contains_key("h") => json!({"object": fields.get("n")}),
        Value::Object(fields) => {
            let field = |(key, inner): (&String, &Value)| {
                let mut inner = sorted(inner);
                if let (true, Value::Array(items)) = (matches!(key.as_str(), "s" | "S" | "d" | "o" | "m"), &mut inner) {
                    items.sort_by_key(Value::to_string);
                }
                (key.clone(), inner)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_sets_and_texts_of_errors_are_not_behaviour() {
        let one = canonical(&json!(["ok", {"s": [2, 1]}, {}, "printed"]));
        let other = canonical(&json!(["ok", {"s": [1, 2]}, {}, ""]));
        assert_eq!(one, other);
        assert_ne!(one, canonical(&json!(["ok", [1, 2], {}, ""])));
        let error = |text: &str| canonical(&json!(["ex", {"classes": ["ValueError"], "text": text}, {}, ""]));
        assert_eq!(error("a"), error("b"));
    }
}
