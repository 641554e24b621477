//! What the engine costs beyond llama.cpp, and what sessions, forks and the forced hint save.
//!
//! Every figure is a ratio of two child processes that run one after the other, again and again, so that a
//! busy machine slows both. There are two peers: the barest possible loop over `llama-cpp-2` (decode, argmax,
//! decode), and what llama.cpp's own `llama-bench` does (`llama_bench.cpp`, linked with the same libraries).
//!
//! Run it with `scripts/bench-engine [MODEL.gguf]`; `scripts/bench-engine drafts MODEL.gguf` measures what drafts from text
//! that is there bring to replies that copy, and to one that does not.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use z1::cancel::Cancel;
use z1::engine::{
    Engine, EngineEvent, GenerateRequest, LoadOptions, Sampling, SessionId, WindowSpec, load_modules, machine,
    physical_threads, prepare_process,
};
use z1::gguf::tiny::Tiny;
use z1::prompt::{Message, Rendered, Role, Segment, render_chatml};
use z1::task::Trajectory;

/// Interleaved rounds, unless ROUNDS in the environment says otherwise; medians are taken of each side's figures and of
/// their ratios, round by round.
const ROUNDS: usize = 9;
/// Rounds in which sessions are measured as well: what they save is large, and takes its time.
const SESSION_ROUNDS: usize = 3;
const PREFILL_TOKENS: usize = 512;
const DECODE_TOKENS: u32 = 96;
/// Of a reply that is measured with and without drafts, at most.
const REPLY_TOKENS: u32 = 400;

fn main() {
    prepare_process();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["child", "peer", model] => peer(Path::new(model)),
        ["child", "engine", model] => block_on(engine(Path::new(model))),
        ["child", "sessions", model] => block_on(sessions(Path::new(model))),
        ["child", "drafts", model, speculate] => block_on(drafts(Path::new(model), *speculate == "on")),
        ["drafts", model] => compare_drafts(Path::new(model)),
        [model] => compare(PathBuf::from(model)),
        [] => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("random-30m.gguf");
            let shape = Tiny { layers: 8, width: 512, heads: 8, kv_heads: 2, feed_forward: 2048, ..Tiny::default() };
            Tiny { context_tokens_max: 4096, ..shape }.write(&path).expect("written");
            compare(path);
        }
        other => panic!("unknown arguments {other:?}; give the path of a GGUF or nothing"),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Runs one child and returns its figures by name.
fn child(kind: &str, model: &Path) -> Vec<(String, f64)> {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args(["child", kind]).arg(model).output().expect("the child runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    figures(&output.stdout)
}

/// The figures of the program that does what llama-bench does; none where it was not built.
fn llama_bench(model: &Path) -> Vec<(String, f64)> {
    let Some(program) = std::env::var_os("Z1_BENCH_PEER") else { return Vec::new() };
    let layers = if machine().gpus.is_empty() { "0" } else { "999" };
    let words = [&physical_threads().to_string(), layers];
    let output = Command::new(program).arg(model).args(words).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    figures(&output.stdout)
}

/// Lines of a name and a number.
fn figures(output: &[u8]) -> Vec<(String, f64)> {
    let text = String::from_utf8_lossy(output);
    let pair = |line: &str| line.split_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    text.lines().filter_map(pair).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn compare(model: PathBuf) {
    let model = std::fs::canonicalize(model).expect("the model is there");
    let bytes = std::fs::metadata(&model).expect("the model is readable").len();
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let mut seen: Vec<(String, Vec<f64>)> = Vec::new();
    for round in 0..rounds {
        for kind in ["peer", "engine", "sessions"] {
            if kind == "sessions" && round >= SESSION_ROUNDS {
                continue;
            }
            let beside = if kind == "engine" { llama_bench(&model) } else { Vec::new() };
            for (name, value) in beside.into_iter().chain(child(kind, &model)) {
                match seen.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, values)) => values.push(value),
                    None => seen.push((name, vec![value])),
                }
            }
        }
    }
    let values =
        |name: &str| seen.iter().find(|(known, _)| known == name).map(|(_, values)| values.clone()).unwrap_or_default();
    for gpu in machine().gpus {
        println!("{} {}", gpu.name, gpu.description);
    }
    println!("{} MiB of weights, {} threads, {rounds} interleaved rounds\n", bytes >> 20, physical_threads());
    println!("| what | z1 | beside | ratio |\n|---|---|---|---|");
    let row = |what: &str, ours: &str, beside: &str, unit: &str| {
        let (ours, beside) = (values(ours), values(beside));
        let ratio = median(ours.iter().zip(&beside).map(|(ours, beside)| ours / beside).collect());
        println!("| {what} | {:.1} {unit} | {:.1} {unit} | {ratio:.2} |", median(ours), median(beside));
    };
    row("prefill of 512 tokens, beside llama-bench's loop", "engine_prefill", "bench_prefill", "t/s");
    row("decoding after 512 tokens, beside llama-bench's loop", "engine_decode", "bench_decode", "t/s");
    row("prefill of 512 tokens, beside a bare loop", "engine_prefill", "peer_prefill", "t/s");
    row("decoding, beside a bare loop", "engine_decode", "peer_decode", "t/s");
    row("4 candidates in one batch, beside one after the other", "batch4", "single4", "t/s");
    row("8 candidates in one batch, beside one after the other", "batch8", "single8", "t/s");
    row("second turn to its first token, beside the first turn", "second_ms", "first_ms", "ms");
    row("tokens decoded in the second turn, beside its new tokens", "second_decoded", "second_new", "");
    row("decoded for a forced hint, beside the hint's own tokens", "hint_decoded", "hint_tokens", "");
    let value = |name: &str| median(values(name));
    println!("\nResident beyond the weights, cache included: {:.0} MiB", value("rss_mib") - (bytes >> 20) as f64);
}

/// What drafts from text that is there bring: each kind of reply with and without, one after the other, again and again.
fn compare_drafts(model: &Path) {
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SESSION_ROUNDS);
    let program = std::env::current_exe().expect("this program has a path");
    let run = |speculate: &str| {
        let output = Command::new(&program).args(["child", "drafts"]).arg(model).arg(speculate).output();
        let output = output.expect("the child runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        figures(&output.stdout)
    };
    let pairs: Vec<_> = (0..rounds).map(|_| (run("on"), run("off"))).collect();
    let value = |figures: &[(String, f64)], name: &str| {
        figures.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, value)| *value)
    };
    println!("{} threads, {rounds} interleaved rounds\n", physical_threads());
    println!("| reply | with drafts | without | ratio | drafted | held | same text |\n|---|---|---|---|---|---|---|");
    for (name, _) in REPLIES {
        let on = |of: &str| median(pairs.iter().map(|(on, _)| value(on, &format!("{name}_{of}"))).collect());
        let off = median(pairs.iter().map(|(_, off)| value(off, &format!("{name}_rate"))).collect());
        let rate = |pair: &[(String, f64)]| value(pair, &format!("{name}_rate"));
        let ratio = median(pairs.iter().map(|(on, off)| rate(on) / rate(off)).collect());
        let hash = |pair: &[(String, f64)]| value(pair, &format!("{name}_hash")).to_bits();
        let same = if pairs.iter().all(|(on, off)| hash(on) == hash(off)) { "yes" } else { "no" };
        println!(
            "| {} | {:.1} t/s | {off:.1} t/s | {ratio:.2} | {:.0} | {:.0} | {same} |",
            name.replace('_', " "),
            on("rate"),
            on("drafted"),
            on("held"),
        );
    }
}

/// A reply's name and what is asked for; `{file}` is a file of 150 lines.
const REPLIES: [(&str, &str); 3] = [
    (
        "whole_file",
        "In this file, rename the parameter of `area_7` to `size`. Give the whole new file in one code fence and \
                    nothing else.\n\nshapes.py\n```python\n{file}```",
    ),
    (
        "one_block",
        "In this file, make `area_7` return 0 for negative numbers. Give all of its class, changed, in one code \
                   fence.\n\nshapes.py\n```python\n{file}```",
    ),
    ("new_text", "Explain in plain words, without any code, how a hash table works and what it is good for."),
];

/// 150 lines of Python, no two functions alike.
fn file_of_150_lines() -> String {
    let units = ["meters", "inches", "feet", "yards", "miles", "points", "pixels", "cells", "grams", "tons"];
    let class = |n: usize| {
        let unit = units[n % units.len()];
        format!(
            "class Shape{n}:\n    \"\"\"Number {n}, measured in {unit}.\"\"\"\n\n    sides = {}\n\n    def area_{n}(self, x):\n        \
             total = x * {} + len(\"{unit}\")\n        return total - self.sides\n\n",
            n * 3 % 11,
            n * n % 17
        )
    };
    let file: String = (0..15).map(class).collect();
    file.lines().take(150).map(|line| format!("{line}\n")).collect()
}

/// Replies of this model, greedy; how fast, what was drafted, and a number that tells texts apart.
async fn drafts(path: &Path, speculate: bool) {
    let threads = Some(physical_threads());
    let options = LoadOptions { context_tokens_max: Some(8192), threads, speculate, ..LoadOptions::from_path(path) };
    let engine = Engine::start_llama(options, |_| {}, &Cancel::new()).expect("the model loads");
    let file = file_of_150_lines();
    for (session, (name, question)) in (0..).zip(REPLIES) {
        let messages = [Message::new(Role::User, question.replace("{file}", &file))];
        let asked = GenerateRequest {
            session: SessionId(session),
            prompt: render_chatml(&messages, true),
            window: WindowSpec::paper(REPLY_TOKENS, 1),
            ..GenerateRequest::default()
        };
        let (_, seconds, replies) = timed(&engine, asked).await;
        let stats = engine.session_stats(SessionId(session)).await.expect("alive").expect("a session");
        let hash = replies[0].text.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        println!("{name}_rate {}\n{name}_hash {hash}", written(&replies) / seconds);
        println!("{name}_drafted {}\n{name}_held {}", stats.drafted_tokens, stats.held_tokens);
        engine.end_session(SessionId(session)).await.expect("alive");
    }
}

/// The bare loop.
fn peer(path: &Path) {
    load_modules();
    let mut backend = LlamaBackend::init().expect("the back end starts");
    backend.void_logs();
    let model = LlamaModel::load_from_file(&backend, path, &LlamaModelParams::default()).expect("the model loads");
    let threads = physical_threads() as i32;
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(2048))
        .with_n_batch(512)
        .with_n_ubatch(512)
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    let mut context = model.new_context(&backend, params).expect("a context");
    let text = prompt_text(PREFILL_TOKENS * 8, 0);
    let mut tokens = model.vocab().tokenize(text.as_bytes(), false, true);
    tokens.truncate(PREFILL_TOKENS);
    let mut batch = LlamaBatch::new(512, 1);
    // The first pass warms caches up and is not counted.
    for pass in 0..2 {
        context.clear_kv_cache();
        batch.clear();
        for (position, &token) in (0..).zip(&tokens) {
            batch.add(token, position, &[0], position as usize + 1 == tokens.len()).expect("room");
        }
        let started = Instant::now();
        context.decode(&mut batch).expect("decoded");
        let mut next = argmax(context.get_logits_ith(batch.n_tokens() - 1));
        let prefill = started.elapsed();
        let started = Instant::now();
        for step in 0..DECODE_TOKENS as i32 {
            batch.clear();
            batch.add(LlamaToken::new(next), tokens.len() as i32 + step, &[0], true).expect("room");
            context.decode(&mut batch).expect("decoded");
            next = argmax(context.get_logits_ith(0));
        }
        if pass == 1 {
            println!("peer_prefill {}", tokens.len() as f64 / prefill.as_secs_f64());
            println!("peer_decode {}", f64::from(DECODE_TOKENS) / started.elapsed().as_secs_f64());
        }
    }
}

fn argmax(logits: &[f32]) -> i32 {
    (0..).zip(logits).max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(token, _)| token)
}

/// A text of about so many characters; different numbers share no prefix.
fn prompt_text(characters: usize, number: usize) -> String {
    let words = ["sort", "the", "list", "and", "return", "every", "number", "that", "is", "even"];
    let mut text = format!("{number}: ");
    let mut at = number;
    while text.len() < characters {
        text.push_str(words[at % words.len()]);
        text.push(' ');
        at = at * 7 + 3;
        at %= 1009;
    }
    text
}

fn load(path: &Path) -> Engine {
    Engine::start_llama(LoadOptions::from_path(path), |_| {}, &Cancel::new()).expect("the model loads")
}

/// A prompt of exactly so many tokens.
fn prompt(engine: &Engine, tokens: usize, number: usize) -> Rendered {
    let mut ids = engine.tokenize_text(&prompt_text(tokens * 8, number), false);
    ids.truncate(tokens);
    Rendered { segments: vec![Segment { text: engine.detokenize(&ids), special: false, learn: false }] }
}

fn request(session: u32, prompt: Rendered, candidates: u32) -> GenerateRequest {
    GenerateRequest {
        session: SessionId(session),
        prompt,
        window: WindowSpec { paper_exact: true, hint: String::new(), ..WindowSpec::paper(DECODE_TOKENS, 1) },
        thinking_sampling: Sampling::GREEDY,
        answer_sampling: Sampling::GREEDY,
        candidates,
        seed: 1,
        // A random model would end its turn at some point; a grammar without an end keeps it talking, but
        // costs time of its own: so instead each figure is taken per token that was really written.
        ..GenerateRequest::default()
    }
}

/// What one request took: seconds to the end of the prompt and from there to the end, and its replies.
async fn timed(engine: &Engine, request: GenerateRequest) -> (f64, f64, Vec<Trajectory>) {
    let started = Instant::now();
    let mut generation = engine.generate(request);
    let (mut prefilled, mut replies) = (0.0, Vec::new());
    while let Some(event) = generation.next().await {
        match event.expect("no error") {
            EngineEvent::Prefill { done, total, .. } if done == total => prefilled = started.elapsed().as_secs_f64(),
            EngineEvent::Finished { trajectory, .. } => replies.push(trajectory),
            _ => {}
        }
    }
    (prefilled, started.elapsed().as_secs_f64() - prefilled, replies)
}

fn written(replies: &[Trajectory]) -> f64 {
    replies.iter().map(|reply| f64::from(reply.usage.generated_tokens())).sum()
}

async fn engine(path: &Path) {
    let engine = load(path);
    timed(&engine, request(0, prompt(&engine, PREFILL_TOKENS, 1), 1)).await;
    // The peers clear their cache after the warm-up as well: what another session left would be looked at.
    engine.end_session(SessionId(0)).await.expect("alive");
    let (prefill, decode, replies) = timed(&engine, request(1, prompt(&engine, PREFILL_TOKENS, 2), 1)).await;
    println!("engine_prefill {}", PREFILL_TOKENS as f64 / prefill);
    println!("engine_decode {}", written(&replies) / decode);
}

async fn sessions(path: &Path) {
    let engine = load(path);
    let warm = Sampling { temperature: 0.8, ..Sampling::GREEDY };
    for count in [4u32, 8] {
        let asked = GenerateRequest { thinking_sampling: warm, ..request(1, prompt(&engine, 256, 3), count) };
        let (_, seconds, replies) = timed(&engine, asked.clone()).await;
        println!("batch{count} {}", written(&replies) / seconds);
        let (mut seconds, mut tokens) = (0.0, 0.0);
        for seed in 0..u64::from(count) {
            let alone = GenerateRequest { candidates: 1, seed, ..asked.clone() };
            let (_, took, replies) = timed(&engine, alone).await;
            seconds += took;
            tokens += written(&replies);
        }
        println!("single{count} {}", tokens / seconds);
    }
    second_turn(&engine).await;
    forced_hint(&engine).await;
    println!("rss_mib {}", resident_mib());
}

async fn second_turn(engine: &Engine) {
    let mut conversation = prompt(engine, 2048.min(engine.info().context_tokens_max as usize - 512), 4);
    let (first, _, replies) = timed(engine, request(2, conversation.clone(), 1)).await;
    let frame = |text: &str| Segment { text: text.to_owned(), special: true, learn: false };
    conversation.segments.push(Segment { text: replies[0].text.clone(), special: false, learn: false });
    conversation.segments.push(frame("<|im_end|>\n<|im_start|>user\nand now?<|im_end|>\n<|im_start|>assistant\n"));
    let new = engine.tokenize_text(&conversation.segments[2].text, true).len() as f64;
    let (second, _, replies) = timed(engine, request(2, conversation, 1)).await;
    let usage = replies[0].usage;
    println!("first_ms {}\nsecond_ms {}", first * 1e3, second * 1e3);
    println!("second_decoded {}\nsecond_new {new}", usage.prompt_tokens - usage.reused_tokens);
}

async fn forced_hint(engine: &Engine) {
    let hint = "\n\nI overthought it, the final answer should be:\n\n";
    let window = WindowSpec::paper(8, 8);
    let asked = GenerateRequest { window, ..request(3, prompt(engine, 256, 5), 1) };
    let (_, _, replies) = timed(engine, asked).await;
    let usage = replies[0].usage;
    let stats = engine.session_stats(SessionId(3)).await.expect("alive").expect("a session");
    // What is in the log beyond the prompt and the sampled tokens was decoded for the hint; the last
    // sampled token is never decoded.
    let sampled = usage.thinking_tokens + usage.answer_tokens - 1;
    println!("hint_decoded {}", stats.log_tokens - usage.prompt_tokens - sampled);
    println!("hint_tokens {}", engine.count_tokens(hint));
}

/// Resident memory of this process.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map_or(f64::NAN, |kib: f64| kib / 1024.0)
}
