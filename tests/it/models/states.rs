//! What was decoded once, a system prompt or a conversation, is not decoded again by the next run of the program.

use std::path::Path;

use z1::cancel::Cancel;
use z1::engine::{Engine, EngineEvent, GenerateRequest, LoadOptions, Sampling, SessionId, WindowSpec};
use z1::gguf::tiny::Tiny;
use z1::prompt::{Message, Role, render_chatml};
use z1::task::Trajectory;

use super::Home;

const RULES: &str = "You write short programs. Say nothing else, explain nothing, and end where the program ends.";

fn start(model: &Path, states: &Path) -> Engine {
    let options = LoadOptions {
        threads: Some(1),
        prompt_states: Some(states.to_owned()),
        keep_seconds_min: 0.0,
        ..LoadOptions::from_path(model)
    };
    Engine::start_llama(options, |_| {}, &Cancel::new()).expect("it loads")
}

async fn ask(model: &Path, states: &Path, rules: &str) -> Trajectory {
    let messages = [Message::new(Role::System, rules), Message::new(Role::User, "hello")];
    reply(&start(model, states), &messages).await
}

async fn reply(engine: &Engine, messages: &[Message]) -> Trajectory {
    let mut generation = engine.generate(GenerateRequest {
        session: SessionId(1),
        prompt: render_chatml(messages, true),
        window: WindowSpec {
            thinking_tokens_max: 20,
            answer_tokens_max: 8,
            hint: "\n\nSo:\n\n".into(),
            paper_exact: true,
            ..WindowSpec::default()
        },
        thinking_sampling: Sampling::GREEDY,
        answer_sampling: Sampling::GREEDY,
        candidates: 1,
        seed: 1,
        ..GenerateRequest::default()
    });
    let mut finished = None;
    while let Some(event) = generation.next().await {
        if let EngineEvent::Finished { trajectory, .. } = event.expect("no error") {
            finished = Some(trajectory);
        }
    }
    finished.expect("it ends")
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[tokio::test]
async fn the_next_run_goes_on_from_the_disk_and_says_the_same() {
    let home = Home::new();
    let model = home.path().join("tiny.gguf");
    Tiny::default().write(&model).unwrap();
    let states = home.path().join("cache/prompt-states");
    let cold = ask(&model, &states, RULES).await;
    assert_eq!(cold.usage.reused_tokens, 0);
    assert_eq!(files(&states).len(), 3, "a state, its tokens and its checksum");
    let warm = ask(&model, &states, RULES).await;
    assert!(warm.usage.reused_tokens > 30 && warm.usage.reused_tokens < warm.usage.prompt_tokens, "{:?}", warm.usage);
    assert_eq!(warm.text, cold.text);
    // Another prompt, another model: not theirs.
    let others = RULES.split(' ').rev().collect::<Vec<_>>().join(" ");
    assert_eq!(ask(&model, &states, &others).await.usage.reused_tokens, 0);
    let other = home.path().join("other.gguf");
    Tiny { seed: 2, ..Tiny::default() }.write(&other).unwrap();
    assert_eq!(ask(&other, &states, RULES).await.usage.reused_tokens, 0);
    // Damage is seen and mended.
    let damaged = files(&states).into_iter().filter(|path| path.extension().is_some_and(|e| e == "state"));
    for path in damaged {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(path, bytes).unwrap();
    }
    let mended = ask(&model, &states, RULES).await;
    assert_eq!((mended.usage.reused_tokens, &mended.text), (0, &cold.text));
    assert!(ask(&model, &states, RULES).await.usage.reused_tokens > 30);
    // Removing the model removes what was saved for it, and nothing else.
    let before = files(&states).len();
    home.succeed(&["models", "add", "tiny.gguf", "--name", "mine"]);
    home.succeed(&["models", "rm", "mine"]);
    assert!(files(&states).len() < before && model.exists());
}

/// Turns that are longer than what is kept at least.
fn long_talk() -> Vec<Message> {
    let words: Vec<String> = (0..95).map(|n| format!("word{n}")).collect();
    vec![Message::new(Role::System, RULES), Message::new(Role::User, words.join(" "))]
}

#[tokio::test]
async fn a_conversation_goes_on_from_the_disk_and_says_the_same() {
    let home = Home::new();
    let model = home.path().join("tiny.gguf");
    Tiny::default().write(&model).unwrap();
    let states = home.path().join("cache/prompt-states");
    let mut talk = long_talk();
    let engine = start(&model, &states);
    let first = reply(&engine, &talk).await;
    assert!(first.usage.prompt_tokens > 600, "{:?}", first.usage);
    talk.push(Message::new(Role::Assistant, first.text.as_str()));
    assert!(engine.keep_session(SessionId(1), &render_chatml(&talk, true)).await.unwrap());
    assert!(!engine.keep_session(SessionId(1), &render_chatml(&talk, true)).await.unwrap(), "it is there");
    assert!(!engine.keep_session(SessionId(7), &render_chatml(&talk, true)).await.unwrap(), "nobody said that");
    drop(engine);
    talk.push(Message::new(Role::User, "go on"));
    let cold = reply(&start(&model, &home.path().join("elsewhere")), &talk).await;
    let warm = reply(&start(&model, &states), &talk).await;
    assert!(warm.usage.reused_tokens > 600 && warm.usage.reused_tokens < warm.usage.prompt_tokens, "{:?}", warm.usage);
    assert_eq!(warm.text, cold.text);
    // Another task that begins as the talk did has as much of it as they share.
    let mut other = long_talk();
    other[1].content.push_str(" and more");
    let shared = reply(&start(&model, &states), &other).await;
    assert!(shared.usage.reused_tokens > 600, "{:?}", shared.usage);
    // A run in which the talk grew keeps the longer one in place of the shorter.
    let before = files(&states).len();
    let engine = start(&model, &states);
    let second = reply(&engine, &talk).await;
    talk.push(Message::new(Role::Assistant, second.text.as_str()));
    talk.push(Message::new(Role::User, long_talk()[1].content.as_str()));
    let third = reply(&engine, &talk).await;
    talk.push(Message::new(Role::Assistant, third.text.as_str()));
    assert!(engine.keep_session(SessionId(1), &render_chatml(&talk, true)).await.unwrap());
    assert_eq!(files(&states).len(), before);
}
