//! Does a program that nothing can be checked against run at all: parsed, imported or compiled, called on generated
//! inputs. A crash is found; that an answer is right is never claimed.
//!
//! Not for: comparing candidates by what they answer (`behaviour`).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cancel::Cancel;
use crate::sandbox::{End, Sandbox};
use crate::task::{Candidate, Failure, FailureKind, Language, Report, Verdict};

use super::behaviour::generate_inputs;
use super::j1::{self, relay::Gone};
use super::{VerifyOptions, nothing, stdio};

/// Calls made on generated inputs.
const CALLS_MAX: usize = 8;
/// Exceptions that no input explains: the program is broken, whatever it is given.
const BROKEN: [&str; 7] = [
    "NameError",
    "UnboundLocalError",
    "ImportError",
    "SyntaxError",
    "IndentationError",
    "ReferenceError",
    "RecursionError",
];
/// Exceptions that say that the machine lacks something, not the program.
const LACKS: [&str; 3] = ["ModuleNotFoundError", "EOFError", "SystemExit"];

/// Runs a program without any check. [`Verdict::Failed`] where it breaks; else [`Verdict::NothingToCheck`], which says
/// what was tried.
pub async fn smoke(candidate: &Candidate, sandbox: &Sandbox, options: &VerifyOptions, cancel: &Cancel) -> Verdict {
    let Candidate::Program { language, source } = candidate else { return nothing("the task states no tests") };
    let start = Instant::now();
    let failed = |kind, name: &str, got: String| {
        let failure = Failure { kind, name: name.to_owned(), got, expected: None, frame: None };
        Verdict::Failed(Report {
            command: "does it run at all".to_owned(),
            passed: 0,
            failed: 1,
            failures: vec![failure],
            tier: sandbox.tier(),
            wall_ms: start.elapsed().as_millis() as u64,
            flags: Vec::new(),
        })
    };
    if j1::speaks(*language) {
        // A program that reads its input when it starts can only be parsed without one.
        let parsed = format!("import ast\nast.parse({})\n", Value::String(source.clone()));
        let source = match language {
            Language::Python if reads_input(source) => &parsed,
            _ if reads_input(source) => return nothing("the task states no tests; the program reads its input"),
            _ => source,
        };
        let tried = functions(*language, source, sandbox, options, cancel).await;
        return tried.unwrap_or_else(|(kind, name, got)| failed(kind, &name, got));
    }
    match stdio::built(*language, source, sandbox, options, cancel).await {
        Ok(()) => nothing("the task states no tests; the program compiles"),
        Err(verdict @ Verdict::Failed(_)) => verdict,
        Err(Verdict::NothingToCheck { why }) => nothing(&format!("the task states no tests; {why}")),
        Err(verdict) => verdict,
    }
}

type Broken = (FailureKind, String, String);

/// Imports the program and calls its functions.
async fn functions(
    language: Language,
    source: &str,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Result<Verdict, Broken> {
    let mut worker = match j1::open_worker(language, source, sandbox, options).await {
        Ok(worker) => worker,
        Err(verdict) => return Ok(verdict),
    };
    let tried = tokio::select! {
        tried = calls(&mut worker.port, language, source, options) => tried,
        () = cancel.cancelled() => Ok(super::cancelled()),
    };
    let end = worker.finish(Duration::ZERO).await;
    if let End::SandboxError { step, message } = end {
        return Ok(Verdict::SandboxFailed { step, why: message });
    }
    tried
}

type Port = j1::relay::Port<tokio::net::unix::pipe::Receiver, tokio::net::unix::pipe::Sender>;

async fn calls(port: &mut Port, language: Language, source: &str, options: &VerifyOptions) -> Result<Verdict, Broken> {
    let wall = options.call_wall;
    let loaded = match ask(port, &json!(["load"]), wall).await {
        Ok(loaded) => loaded,
        // A server, a game or a program that waits is not broken; it is only not known to be right.
        Err(Gone::Time) => {
            return Ok(nothing("the task states no tests; the program runs on and on when it is started"));
        }
        Err(gone) => {
            return Ok(nothing(&format!("the task states no tests; it could not be imported ({})", gone.word())));
        }
    };
    if loaded[0] == "ex" {
        let (name, text) = exception(&loaded);
        if LACKS.contains(&name.as_str()) {
            return Ok(nothing(&format!("the task states no tests; here the program cannot be run: {text}")));
        }
        let kind = if name.ends_with("SyntaxError") || name == "IndentationError" {
            FailureKind::Syntax
        } else {
            FailureKind::Crash
        };
        return Err((kind, "starting the program".to_owned(), text));
    }
    if language != Language::Python {
        return Ok(nothing("the task states no tests; the program loads without an error"));
    }
    let entries = entries(source, options.entry.as_deref());
    let mut tried = 0;
    for entry in &entries {
        let inputs = generate_inputs(source, entry);
        let names = ask(port, &json!(["names", [entry]]), wall).await.unwrap_or_default();
        let Some(handle) = names[1][entry.as_str()]["h"].as_u64() else { continue };
        let mut raised: Vec<(String, String, String)> = Vec::new();
        let wanted = inputs.len().min(CALLS_MAX);
        for input in inputs.iter().take(CALLS_MAX) {
            let Ok(reply) = ask(port, &json!(["call", {"b": handle}, null, input.arguments, {}]), wall).await else {
                return Ok(nothing("the task states no tests; a call on generated inputs did not come back"));
            };
            tried += 1;
            if reply[0] == "ex" {
                let (name, text) = exception(&reply);
                let shown = Value::Array(input.arguments.clone()).to_string();
                let call = format!("{entry}({})", shown.trim_start_matches('[').trim_end_matches(']'));
                if BROKEN.contains(&name.as_str()) {
                    return Err((FailureKind::Crash, call, text));
                }
                raised.push((name, call, text));
            }
        }
        // One exception for every input, of a kind that wrong code raises: it works for nothing.
        let works_for_none =
            wanted >= 3 && raised.len() == wanted && raised.iter().all(|(name, ..)| *name == raised[0].0);
        if works_for_none && ["TypeError", "AttributeError"].contains(&raised[0].0.as_str()) && hinted(source, entry) {
            let (_, call, text) = raised.swap_remove(0);
            return Err((FailureKind::Crash, call, text));
        }
    }
    Ok(nothing(&match tried {
        0 => "the task states no tests; the program loads without an error".to_owned(),
        n => format!("the task states no tests; {n} calls on generated inputs broke nothing"),
    }))
}

/// The functions at the program's top level, the task's own first.
fn entries(source: &str, own: Option<&str>) -> Vec<String> {
    const ENTRIES_MAX: usize = 3;
    let named = source.lines().filter_map(|line| line.strip_prefix("def ")?.split('(').next());
    let mut all: Vec<String> = own.into_iter().chain(named).map(|name| name.trim().to_owned()).collect();
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|name| !name.starts_with('_') && name != "main" && seen.insert(name.clone()));
    all.truncate(ENTRIES_MAX);
    all
}

/// Whether every parameter has a type: only then a generated input is known to be of the right one.
fn hinted(source: &str, entry: &str) -> bool {
    let Some(at) = source.find(&format!("def {entry}(")) else { return false };
    let head = source[at..].split("):").next().unwrap_or("").split(") ->").next().unwrap_or("");
    let Some((_, parameters)) = head.split_once('(') else { return false };
    !parameters.trim().is_empty() && parameters.matches(':').count() > parameters.matches(',').count()
}

/// Whether a program reads its input when it starts; then importing it says nothing.
fn reads_input(source: &str) -> bool {
    ["input(", "sys.stdin", "open(0)", "process.stdin", "readline", "sys.argv"].iter().any(|sign| source.contains(sign))
}

/// The name and the text of an exception in a worker's reply, with where it was raised.
fn exception(reply: &Value) -> (String, String) {
    let of = &reply[1];
    let name = of["classes"][0].as_str().unwrap_or("error");
    let text = of["text"].as_str().unwrap_or("");
    let place = of["frames"]
        .as_array()
        .and_then(|frames| frames.last())
        .map(|frame| format!(" (line {}: {})", frame[0], frame[2].as_str().unwrap_or("")));
    (name.to_owned(), format!("{name}: {text}{}", place.unwrap_or_default()))
}

async fn ask(port: &mut Port, request: &Value, wall: Duration) -> Result<Value, Gone> {
    let reply = j1::relay::ask(port, request.to_string().as_bytes(), wall).await?;
    serde_json::from_slice(&reply).map_err(|_| Gone::Protocol)
}
