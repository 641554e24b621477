//! llama.cpp behind the seam, on a tiny model with random weights that the test writes itself.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use z1::cancel::Cancel;
use z1::engine::{Engine, EngineError, EngineEvent, GenerateRequest, LoadOptions, Sampling, SessionId, WindowSpec};
use z1::gguf::tiny::{CHAT_TEMPLATE, Tiny};
use z1::gguf::{TensorType, Value, Writer};
use z1::prompt::{Message, Rendered, Role, render_chatml};
use z1::task::{Finish, ShiftReason, Trajectory};

struct Loaded {
    engine: Engine,
    _folder: tempfile::TempDir,
}

fn tiny_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tiny.gguf");
    Tiny::default().write(&path).expect("written");
    (folder, path)
}

fn options(path: &Path) -> LoadOptions {
    // One thread: tests run beside one another, and OpenMP's waiting threads would fight.
    LoadOptions { threads: Some(1), ..LoadOptions::from_path(path) }
}

fn tiny() -> Loaded {
    let (folder, path) = tiny_file();
    let engine = Engine::start_llama(options(&path), |_| {}, &Cancel::new()).expect("the tiny model loads");
    Loaded { engine, _folder: folder }
}

fn ask(text: &str) -> Rendered {
    render_chatml(&[Message::new(Role::User, text)], true)
}

fn request(session: u32, prompt: Rendered) -> GenerateRequest {
    GenerateRequest {
        session: SessionId(session),
        prompt,
        window: WindowSpec {
            thinking_tokens_max: 24,
            answer_tokens_max: 12,
            hint: "\n\nThe answer:\n\n".to_owned(),
            paper_exact: true,
            ..WindowSpec::default()
        },
        thinking_sampling: Sampling::GREEDY,
        answer_sampling: Sampling::GREEDY,
        candidates: 1,
        seed: 7,
        ..GenerateRequest::default()
    }
}

async fn run(engine: &Engine, request: GenerateRequest) -> Result<Vec<Trajectory>, EngineError> {
    let mut generation = engine.generate(request);
    let mut finished = Vec::new();
    while let Some(event) = generation.next().await {
        if let EngineEvent::Finished { candidate, trajectory, .. } = event? {
            finished.push((candidate, trajectory));
        }
    }
    finished.sort_by_key(|(candidate, _)| *candidate);
    Ok(finished.into_iter().map(|(_, trajectory)| trajectory).collect())
}

async fn one(engine: &Engine, request: GenerateRequest) -> Trajectory {
    run(engine, request).await.expect("no error").remove(0)
}

#[tokio::test]
async fn a_model_loads_says_what_it_is_and_shows_progress() {
    let (_folder, path) = tiny_file();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let progress = move |fraction| sink.lock().expect("unpoisoned").push(fraction);
    let engine = Engine::start_llama(options(&path), progress, &Cancel::new()).expect("loads");
    let info = engine.info();
    assert_eq!((info.architecture.as_str(), info.name.as_str()), ("qwen2", "tiny random qwen2"));
    assert_eq!((info.context_tokens_max, info.quantisation.as_str()), (2048, "F32"));
    assert_eq!(info.label.chat_template.as_deref(), Some(CHAT_TEMPLATE));
    assert_eq!(info.path.as_deref(), Some(path.as_path()));
    assert_eq!(info.fingerprint.len(), 32);
    let seen = seen.lock().expect("unpoisoned");
    assert!(seen.is_sorted() && seen.last() == Some(&1.0), "{seen:?}");
}

#[tokio::test]
async fn it_thinks_within_the_window_and_answers_after_the_hint() {
    let Loaded { engine, _folder } = tiny();
    let done = one(&engine, request(1, ask("hello"))).await;
    assert_eq!(done.shifted, Some(ShiftReason::Budget));
    assert!((24..=27).contains(&done.usage.thinking_tokens), "{:?}", done.usage);
    assert_eq!(done.usage.forced_tokens as usize, engine.count_tokens("\n\nThe answer:\n\n"));
    assert!(done.usage.answer_tokens > 0);
    assert_eq!(&done.text[done.shift_at.expect("shifted")..done.answer_at], "\n\nThe answer:\n\n");
}

#[tokio::test]
async fn the_same_request_gives_the_same_text_fresh_or_reused() {
    let Loaded { engine, _folder } = tiny();
    let fresh = one(&engine, request(1, ask("hello there"))).await;
    let again = one(&engine, request(1, ask("hello there"))).await;
    assert_eq!(again.usage.reused_tokens, again.usage.prompt_tokens - 1);
    assert_eq!(again.text, fresh.text);
    let other = Tiny { seed: 2, ..Tiny::default() };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("other.gguf");
    other.write(&path).expect("written");
    let stranger = Engine::start_llama(options(&path), |_| {}, &Cancel::new()).expect("loads");
    assert_ne!(one(&stranger, request(1, ask("hello there"))).await.text, fresh.text, "weights matter");
}

#[tokio::test]
async fn a_second_turn_decodes_only_what_is_new() {
    let Loaded { engine, _folder } = tiny();
    let mut messages = vec![Message::new(Role::User, "tell me about the rain in spain ".repeat(20))];
    let first = one(&engine, request(1, render_chatml(&messages, true))).await;
    messages.push(Message::new(Role::Assistant, first.text.clone()));
    messages.push(Message::new(Role::User, "and now?"));
    let second = one(&engine, request(1, render_chatml(&messages, true))).await;
    let new = second.usage.prompt_tokens - second.usage.reused_tokens;
    let frame = "<|im_end|>\n<|im_start|>user\nand now?<|im_end|>\n<|im_start|>assistant\n";
    // The reply's last token was sampled but not decoded; text that is no UTF-8 cannot come back as it was.
    let at_most = engine.tokenize_text(frame, true).len() as u32 + 1;
    if first.text.contains('\u{FFFD}') {
        println!("skipped: the random model's reply is no text");
    } else {
        assert!(new <= at_most, "{new} of at most {at_most}");
    }
    let fresh =
        one(&engine, GenerateRequest { session: SessionId(9), ..request(9, render_chatml(&messages, true)) }).await;
    assert_eq!(fresh.usage.prompt_tokens, second.usage.prompt_tokens);
}

/// The figure of `docs/bench/turns.md`: run with `--nocapture`.
#[tokio::test]
async fn five_turns_of_the_shipped_model_decode_nothing_twice() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/z1-nano.gguf");
    if !path.is_file() {
        return println!("skipped: there is no models/z1-nano.gguf here");
    }
    let engine = Engine::start_llama(options(&path), |_| {}, &Cancel::new()).expect("the shipped model loads");
    let tasks =
        ["the largest of a list", "the sum of even numbers", "a word backwards", "how often x is in a", "a + b"];
    let (mut messages, mut before) = (Vec::new(), 0);
    println!("| turn | prompt | found in the cache | new | decoded again |\n|---|---|---|---|---|");
    for (turn, task) in (1..).zip(tasks) {
        messages.push(Message::new(Role::User, format!("Write a Python function f that returns {task}.")));
        let said = one(&engine, request(1, render_chatml(&messages, true))).await;
        let (prompt, reused) = (said.usage.prompt_tokens, said.usage.reused_tokens);
        let (new, decoded) = (prompt - before, prompt - reused);
        println!("| {turn} | {prompt} | {reused} | {new} | {} |", decoded.saturating_sub(new));
        // The last token of a reply that a limit cut was drawn but never decoded.
        assert!(decoded <= new + 1, "turn {turn}: {decoded} decoded, {new} new");
        before = prompt + said.usage.generated_tokens();
        messages.push(Message::new(Role::Assistant, said.text));
    }
}

#[tokio::test]
async fn forks_of_one_prefill_follow_their_own_seeds() {
    let Loaded { engine, _folder } = tiny();
    let warm = Sampling { temperature: 1.5, ..Sampling::GREEDY };
    let many = GenerateRequest { candidates: 4, thinking_sampling: warm, ..request(1, ask("hello")) };
    let texts: Vec<String> =
        run(&engine, many).await.expect("no error").into_iter().map(|trajectory| trajectory.text).collect();
    assert_eq!(texts.len(), 4);
    assert!((1..4).all(|other| texts[other] != texts[0]), "{texts:?}");
    let greedy = GenerateRequest { candidates: 3, ..request(2, ask("hello")) };
    let same = run(&engine, greedy).await.expect("no error");
    let alone = one(&engine, request(3, ask("hello"))).await;
    // Batched arithmetic may differ in the last bits; the beginning of a greedy reply does not hang on them.
    for trajectory in same {
        assert_eq!(trajectory.text.chars().take(4).collect::<String>(), alone.text.chars().take(4).collect::<String>());
    }
}

#[tokio::test]
async fn a_grammar_decides_what_can_be_said() {
    let Loaded { engine, _folder } = tiny();
    let grammar = Some("root ::= \"yes\" | \"no\"".to_owned());
    for seed in 0..4 {
        let warm = Sampling { temperature: 2.0, ..Sampling::GREEDY };
        let asked = GenerateRequest {
            grammar: grammar.clone(),
            thinking_sampling: warm,
            seed,
            candidates: 2,
            ..request(1, ask("well?"))
        };
        for done in run(&engine, asked).await.expect("no error") {
            assert!(done.text == "yes" || done.text == "no", "{:?}", done.text);
            assert_eq!(done.finish, Finish::EndOfTurn);
        }
    }
    let broken = GenerateRequest { grammar: Some("root ::= (".to_owned()), ..request(1, ask("well?")) };
    assert!(matches!(run(&engine, broken).await, Err(EngineError::Grammar(_))));
    let html = GenerateRequest {
        grammar: Some("root ::= \"<s>x</s>y\"".to_owned()),
        window: WindowSpec { thinking_tokens_max: 60, ..request(1, ask("")).window },
        ..request(1, ask("html"))
    };
    assert_eq!(one(&engine, html).await.text, "<s>x</s>y");
}

#[tokio::test]
async fn every_shipped_grammar_compiles_and_holds() {
    let Loaded { engine, _folder } = tiny();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grammars");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        let grammar = Some(std::fs::read_to_string(&path).expect("a text"));
        let done = one(&engine, GenerateRequest { grammar, ..request(1, ask("well?")) }).await;
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if name == "json" {
            assert!(done.text.starts_with('{'), "{done:?}");
        }
        names.push(name);
    }
    assert!(!names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn after_a_shift_the_grammar_holds_the_answer() {
    let Loaded { engine, _folder } = tiny();
    let asked = GenerateRequest {
        grammar: Some("root ::= [a-z] [a-z] [a-z]".to_owned()),
        window: WindowSpec { thinking_tokens_max: 2, ..request(1, ask("")).window },
        ..request(1, ask("three letters"))
    };
    let done = one(&engine, asked).await;
    assert_eq!(done.shifted, Some(ShiftReason::Budget));
    assert!(done.answer().len() == 3 && done.answer().bytes().all(|byte| byte.is_ascii_lowercase()), "{done:?}");
}

#[tokio::test]
async fn cancel_stops_a_prefill_and_the_engine_goes_on() {
    let Loaded { engine, _folder } = tiny();
    let long = ask(&"the rain in spain ".repeat(100));
    let mut generation = engine.generate(request(1, long.clone()));
    generation.cancel();
    let mut last = None;
    while let Some(event) = generation.next().await {
        if let EngineEvent::Finished { trajectory, .. } = event.expect("no error") {
            last = Some(trajectory);
        }
    }
    assert_eq!(last.map(|trajectory| trajectory.finish), Some(Finish::Cancelled));
    let after = one(&engine, request(1, long.clone())).await;
    let fresh = tiny();
    assert_eq!(after.text, one(&fresh.engine, request(1, long)).await.text, "the cache is as if nothing had happened");
}

#[tokio::test]
async fn a_full_cache_forgets_the_oldest_session_first() {
    let (_folder, path) = tiny_file();
    let small = LoadOptions { context_tokens_max: Some(256), ..options(&path) };
    let engine = Engine::start_llama(small, |_| {}, &Cancel::new()).expect("loads");
    for session in 0..20 {
        let done = one(&engine, request(session, ask(&format!("{session} is a number ").repeat(8)))).await;
        assert!(done.usage.answer_tokens > 0, "{done:?}");
    }
    let long = run(&engine, request(1, ask(&"word ".repeat(300)))).await;
    assert!(matches!(long, Err(EngineError::PromptTooLong { context_tokens_max: 256, .. })), "{long:?}");
}

#[tokio::test]
async fn choices_are_probabilities() {
    let Loaded { engine, _folder } = tiny();
    let scores = engine.choose(&ask("how hard?"), &["simple", "moderate", "complex"]).await.expect("works");
    assert!((scores.iter().map(|score| score.exp()).sum::<f32>() - 1.0).abs() < 1e-4, "{scores:?}");
    let again = engine.choose(&ask("how hard?"), &["complex", "simple", "moderate"]).await.expect("works");
    assert!((scores[2] - again[0]).abs() < 1e-3, "the order does not matter: {scores:?} {again:?}");
}

#[tokio::test]
async fn a_text_is_weighed_as_a_reply() {
    let Loaded { engine, _folder } = tiny();
    let (prompt, given) = (ask("say something"), engine.tokenize_text("let it = \"be\";\n".repeat(20).as_str(), false));
    let weighed = engine.weigh(SessionId(1), &prompt, &given, 3).await.expect("weighed");
    assert_eq!(weighed.iter().map(|weighed| weighed.token).collect::<Vec<_>>(), given);
    for one in &weighed {
        let all: f32 = one.others.iter().map(|(_, logprob)| logprob.exp()).sum::<f32>() + one.logprob.exp();
        assert!(all < 1.0 && one.others.len() == 3 && one.others.is_sorted_by(|a, b| a.1 >= b.1), "{one:?}");
        assert!(one.others.iter().all(|(token, _)| *token != one.token), "{one:?}");
    }
    // What the model says by itself is likelier than anything else.
    let (likeliest, logprob) = weighed[0].others[0];
    let own = engine.weigh(SessionId(2), &prompt, &[likeliest], 1).await.expect("weighed");
    assert!((own[0].logprob - logprob).abs() < 1e-3 && own[0].others[0].1 <= own[0].logprob, "{own:?} {weighed:?}");
    // The cache of it is the one that a reply goes on from, and weighing it again is the same.
    let again = engine.weigh(SessionId(1), &prompt, &given, 3).await.expect("weighed");
    assert!(again.iter().zip(&weighed).all(|(a, b)| (a.logprob - b.logprob).abs() < 1e-3));
    let begun = given[..10].to_vec();
    let done = one(&engine, GenerateRequest { given: begun, ..request(1, prompt.clone()) }).await;
    assert_eq!(done.usage.reused_tokens, done.usage.prompt_tokens, "with what was given, all of it was there");
    let long = engine.tokenize_text(&"word ".repeat(5000), false);
    assert!(matches!(engine.weigh(SessionId(1), &prompt, &long, 3).await, Err(EngineError::PromptTooLong { .. })));
}

#[tokio::test]
async fn a_session_survives_on_disk() {
    let Loaded { engine, _folder } = tiny();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("session.bin");
    let before = one(&engine, request(1, ask("remember me"))).await;
    assert!(engine.save_session(SessionId(1), &path).await.expect("saved") > 0);
    engine.end_session(SessionId(1)).await.expect("ended");
    engine.restore_session(SessionId(1), &path).await.expect("restored");
    let after = one(&engine, request(1, ask("remember me"))).await;
    assert_eq!(after.usage.reused_tokens, after.usage.prompt_tokens - 1);
    assert_eq!(after.text, before.text);
    std::fs::write(&path, b"rubbish").expect("written");
    assert!(matches!(engine.restore_session(SessionId(2), &path).await, Err(EngineError::State { .. })));
}

/// The error that loading this file gives.
fn refusal(path: &Path) -> EngineError {
    Engine::start_llama(options(path), |_| {}, &Cancel::new()).expect_err("this is no model")
}

#[test]
fn what_cannot_be_loaded_is_refused_in_words() {
    let (folder, path) = tiny_file();
    let write = |name: &str, build: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new();
        build(&mut writer);
        let path = folder.path().join(name);
        writer.write(&path, |tensor, out| out.write_all(&vec![0; tensor.bytes as usize])).expect("written");
        path
    };
    let shaped = |writer: &mut Writer, architecture: &str| {
        writer.set("general.architecture", architecture);
        for key in ["block_count", "attention.head_count", "embedding_length", "context_length"] {
            writer.set(format!("{architecture}.{key}"), Value::U32(32));
        }
        writer.tensor("token_embd.weight", TensorType::F32, &[32, 8]);
    };
    let unknown = write("unknown.gguf", &|writer| shaped(writer, "nonsense"));
    let incomplete = write("incomplete.gguf", &|writer| shaped(writer, "qwen2"));
    let encoder = write("encoder.gguf", &|writer| shaped(writer, "bert"));
    let adapter = write("adapter.gguf", &|writer| {
        writer.set("general.type", "adapter");
        shaped(writer, "qwen2");
    });
    let empty = write("empty.gguf", &|writer| writer.set("general.architecture", "qwen2"));
    let cut = folder.path().join("cut.gguf");
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    for (path, expected) in [
        (unknown, "nonsense"),
        (incomplete, ""),
        (encoder, "does not write text"),
        (adapter, "LoRA adapter"),
        (empty, "no weights"),
        (cut, "truncated"),
        (folder.path().join("missing.gguf"), "no such file"),
    ] {
        let error = refusal(&path);
        let EngineError::Load { reason, hint, .. } = &error else { panic!("{error:?}") };
        assert!(reason.contains(expected) && !reason.is_empty() && !hint.is_empty(), "{}: {error}", path.display());
        println!("{error}");
    }
}

#[test]
fn loading_can_be_cancelled() {
    let (_folder, path) = tiny_file();
    let cancel = Cancel::new();
    cancel.cancel();
    let error = Engine::start_llama(options(&path), |_| {}, &cancel).expect_err("cancelled");
    assert_eq!(error, EngineError::LoadCancelled);
}
