//! Copies that come faster: drafts from text that is there change when a reply comes, never what it says.

use std::path::Path;
use std::time::Duration;

use z1::cancel::Cancel;
use z1::engine::{
    Engine, EngineEvent, GenerateRequest, LoadOptions, Reply, Sampling, Script, SessionId, SessionStats, StopPolicy,
    ThinkSpec, TokenId, WindowSpec,
};
use z1::prompt::{Message, Rendered, Role, render_chatml};
use z1::task::{Finish, ShiftReason, Trajectory};

fn ask(text: &str) -> Rendered {
    render_chatml(&[Message::new(Role::User, text)], true)
}

/// Every candidate's trajectory, tokens, and what was told of it as pieces, less what was taken back.
async fn run(engine: &Engine, request: GenerateRequest) -> Vec<(Trajectory, Vec<TokenId>, String)> {
    let mut told = vec![String::new(); request.candidates.max(1) as usize];
    let mut generation = engine.generate(request);
    let mut finished = Vec::new();
    while let Some(event) = generation.next().await {
        match event.expect("no error") {
            EngineEvent::Piece { candidate, text, .. } => told[candidate as usize].push_str(&text),
            EngineEvent::Rewound { candidate, bytes, .. } => {
                let text = &mut told[candidate as usize];
                text.truncate(text.len() - bytes as usize);
            }
            EngineEvent::Finished { candidate, trajectory, tokens, .. } => {
                finished.push((candidate, trajectory, tokens));
            }
            _ => {}
        }
    }
    finished.sort_by_key(|(candidate, ..)| *candidate);
    finished.into_iter().map(|(at, trajectory, tokens)| (trajectory, tokens, told[at as usize].clone())).collect()
}

async fn stats(engine: &Engine, session: u32) -> SessionStats {
    engine.session_stats(SessionId(session)).await.expect("engine lives").expect("session exists")
}

/// A file of thirty lines that differ.
fn file() -> String {
    (0..30).map(|n| format!("def function_{n}(x):\n    return x * {n} + offset_{n}\n")).collect()
}

#[tokio::test]
async fn a_copied_file_is_drafted_and_stays_letter_for_letter() {
    let copy = file().replace("x * 7 +", "x - 7 -");
    let wanted = copy.clone();
    // Drafts are cheap here and a token is slow: a delay for each token is not, so the first is what is measured.
    let script = Script::answering(move |_| Some(Reply::new(wanted.clone()).slow(Duration::from_micros(50))));
    let engine = Engine::start_scripted(script);
    let request = GenerateRequest {
        session: SessionId(1),
        prompt: ask(&format!("Change one line of this file:\n{}", file())),
        ..GenerateRequest::default()
    };
    let done = run(&engine, request.clone()).await.remove(0);
    assert_eq!((done.0.text.as_str(), done.2.as_str()), (copy.as_str(), copy.as_str()));
    assert_eq!(done.0.finish, Finish::EndOfTurn);
    assert_eq!(done.0.usage.thinking_tokens as usize, engine.count_tokens(&copy));
    // What was decoded is in the log as it was said, drafts that failed are not.
    let again = run(&engine, GenerateRequest { given: done.1.clone(), ..request }).await.remove(0);
    assert_eq!(again.0.text, copy);
    assert_eq!(stats(&engine, 1).await.reused_tokens, u64::from(again.0.usage.prompt_tokens));
}

fn nano(speculate: bool) -> Option<Engine> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/z1-nano.gguf");
    if !path.is_file() {
        println!("skipped: there is no models/z1-nano.gguf here");
        return None;
    }
    let options = LoadOptions { threads: Some(1), speculate, ..LoadOptions::from_path(path) };
    Some(Engine::start_llama(options, |_| {}, &Cancel::new()).expect("the shipped model loads"))
}

/// Prompts whose replies repeat much of them.
fn repetitive(session: u32) -> GenerateRequest {
    let tasks = ["the largest of a list", "the sum of even numbers", "how often x is in a", "a word backwards"];
    let task = tasks[session as usize % tasks.len()];
    let text = format!("Write a Python function f that returns {task}. Write a Python function f that returns {task}.");
    GenerateRequest {
        session: SessionId(session),
        prompt: ask(&text),
        // The paper's window does not look for loops: the text is the same whatever it says.
        window: WindowSpec::paper(150, 150),
        ..GenerateRequest::default()
    }
}

#[tokio::test]
async fn greedy_texts_with_drafts_are_those_without_but_for_ties() {
    let (Some(with), Some(without)) = (nano(true), nano(false)) else { return };
    let (mut ties, mut tokens, mut held) = (0, 0, 0);
    for session in 0..8 {
        let fast = run(&with, repetitive(session)).await.remove(0);
        let plain = run(&without, repetitive(session)).await.remove(0);
        tokens += plain.1.len();
        ties += usize::from(fast.1 != plain.1);
        held += stats(&with, session).await.held_tokens;
        assert_eq!(stats(&without, session).await.drafted_tokens, 0);
    }
    println!("{ties} of 8 greedy texts ({tokens} tokens, {held} of them drafted) differ from those without drafts");
    assert!(ties <= 1, "{ties} of 8 differ: more than rounding");
}

/// A draft never decides what is drawn: the same seed draws the same tokens.
#[tokio::test]
async fn sampled_texts_with_drafts_are_those_of_the_same_seeds_without() {
    let (Some(with), Some(without)) = (nano(true), nano(false)) else { return };
    let warm = Sampling { temperature: 0.8, ..Sampling::GREEDY };
    let (mut same, mut all) = (0, 0);
    for seed in 0..6 {
        let asked = GenerateRequest {
            seed,
            candidates: 2,
            thinking_sampling: warm,
            answer_sampling: warm,
            ..repetitive(seed as u32)
        };
        let fast = run(&with, asked.clone()).await;
        let plain = run(&without, asked).await;
        for (fast, plain) in fast.iter().zip(&plain) {
            all += 1;
            same += usize::from(fast.1 == plain.1);
        }
    }
    println!("{same} of {all} sampled texts are the same token for token");
    assert!(same + 2 >= all, "{same} of {all}: more than rounding");
}

#[tokio::test]
async fn a_loop_is_taken_back_from_the_text_and_from_the_cache() {
    let circle = "Wait, I have to check this again. ";
    let reply = Reply::new(format!("One thought. {}", circle.repeat(80))).after_shift("42");
    let engine = Engine::start_scripted(Script::new([reply]));
    let request = GenerateRequest { session: SessionId(1), prompt: ask("x"), ..GenerateRequest::default() };
    let (done, tokens, told) = run(&engine, request).await.remove(0);
    assert_eq!((done.shifted, done.answer()), (Some(ShiftReason::Loop), "42"));
    assert_eq!(told, done.text);
    assert!(done.text.matches("check this again").count() <= 2, "{}", done.text);
    assert!(done.text.starts_with("One thought. "));
    assert_eq!(engine.detokenize(&tokens), done.text);
    let stats = stats(&engine, 1).await;
    assert!(stats.log_tokens <= done.usage.prompt_tokens + tokens.len() as u32, "{stats:?}");
}

#[tokio::test]
async fn a_complete_answer_ends_the_generation() {
    let stop = StopPolicy { after_code: Some(0), after_shell: true, ..StopPolicy::default() };
    let window = WindowSpec { stop, ..WindowSpec::default() };
    let program = "```python\ndef f():\n    return 1\n```\n";
    let shell = "I will look.\n```bash\ncat cache.py\n```\n";
    let script = Script::new([
        format!("{program}\nThis function returns one, as was asked."),
        format!("{shell}Output:\n```\nreturn 42\n```\nSo it returns 42."),
    ]);
    let engine = Engine::start_scripted(script);
    let asked = |session| GenerateRequest {
        session: SessionId(session),
        prompt: ask("x"),
        window: window.clone(),
        ..GenerateRequest::default()
    };
    for (session, wanted) in [(1, format!("{program}\n")), (2, shell.to_owned())] {
        let (done, _, told) = run(&engine, asked(session)).await.remove(0);
        assert_eq!(
            (done.text.as_str(), told.as_str(), done.finish),
            (wanted.as_str(), wanted.as_str(), Finish::Stopped)
        );
    }
}

#[tokio::test]
async fn a_window_closes_the_tag_that_the_template_opened() {
    let think = Some(ThinkSpec { open: "<think>".into(), close: "</think>".into(), opened: true });
    let window = WindowSpec { thinking_tokens_max: 6, think, ..WindowSpec::default() };
    let reply = Reply::new("first second third fourth fifth sixth seventh eighth").after_shift("It is 4.");
    let engine = Engine::start_scripted(Script::new([reply, Reply::new("short.\n</think>\nIt is 5.")]));
    let asked = |session| GenerateRequest {
        session: SessionId(session),
        prompt: ask("x"),
        window: window.clone(),
        ..GenerateRequest::default()
    };
    let (cut, ..) = run(&engine, asked(1)).await.remove(0);
    assert_eq!(cut.answer(), "It is 4.");
    assert!(cut.text.contains("sixth\n</think>\n\nI overthought it"), "{}", cut.text);
    let window = WindowSpec { thinking_tokens_max: 100, ..window.clone() };
    let (ends, ..) = run(&engine, GenerateRequest { window, ..asked(2) }).await.remove(0);
    assert_eq!((ends.answer().trim(), ends.shifted), ("It is 5.", None));
}
