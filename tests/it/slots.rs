//! Several requests on one engine: slots, the queue, cancelling, and given tokens.

use std::path::Path;
use std::time::Duration;

use z1::cancel::Cancel;
use z1::engine::{
    CandidateSampling, Engine, EngineError, EngineEvent, GenerateRequest, LoadOptions, REQUESTS_MAX, Reply, Sampling,
    Script, SessionId, Steer, TokenId, WindowSpec,
};
use z1::prompt::{Message, Rendered, Role, render_chatml};
use z1::task::{Finish, Part, Trajectory};

fn ask(text: &str) -> Rendered {
    render_chatml(&[Message::new(Role::User, text)], true)
}

fn request(session: u32, text: &str) -> GenerateRequest {
    GenerateRequest { session: SessionId(session), prompt: ask(text), ..GenerateRequest::default() }
}

/// A model that answers every prompt with a text of its own: what stands between `say(` and `)`, word by word.
fn echo(slots: u32, delay: Duration) -> Script {
    let script = Script::answering(move |ask| {
        let words = ask.prompt.rsplit("say(").next()?.split(')').next()?.to_owned();
        Some(Reply::new(words).slow(delay))
    });
    Script { slots, ..script }
}

async fn run(engine: &Engine, request: GenerateRequest) -> Result<Vec<(Trajectory, Vec<TokenId>)>, EngineError> {
    let mut generation = engine.generate(request);
    let mut finished = Vec::new();
    while let Some(event) = generation.next().await {
        if let EngineEvent::Finished { candidate, trajectory, tokens, .. } = event? {
            finished.push((candidate, trajectory, tokens));
        }
    }
    finished.sort_by_key(|(candidate, ..)| *candidate);
    Ok(finished.into_iter().map(|(_, trajectory, tokens)| (trajectory, tokens)).collect())
}

async fn one(engine: &Engine, request: GenerateRequest) -> (Trajectory, Vec<TokenId>) {
    run(engine, request).await.expect("no error").remove(0)
}

fn words(count: usize, name: &str) -> String {
    (0..count).map(|n| format!(" {name}{n}")).collect()
}

#[tokio::test]
async fn requests_run_beside_one_another_and_each_hears_its_own() {
    let engine = Engine::start_scripted(echo(3, Duration::from_millis(1)));
    let long = request(1, &format!("say({})", words(200, "a")));
    let mut slow = engine.generate(long);
    slow.next().await.expect("it begins").expect("no error");
    let texts = ["one two", "three", "four five six"];
    for (session, text) in (2..).zip(texts) {
        let (done, _) = one(&engine, request(session, &format!("say({text})"))).await;
        assert_eq!(done.text, text);
    }
    slow.cancel();
    let mut last = None;
    while let Some(event) = slow.next().await {
        if let EngineEvent::Finished { trajectory, .. } = event.expect("no error") {
            last = Some(trajectory);
        }
    }
    let last = last.expect("a cancelled generation still finishes");
    assert_eq!(last.finish, Finish::Cancelled, "the others did not wait for it: {}", last.text);
    assert!(last.text.starts_with(" a0"));
}

#[tokio::test]
async fn more_requests_than_slots_are_served_in_order() {
    let engine = Engine::start_scripted(echo(2, Duration::ZERO));
    let texts: Vec<String> = (0..20).map(|n| words(1 + n % 7, &format!("t{n}x"))).collect();
    let started: Vec<_> =
        (0..).zip(&texts).map(|(session, text)| engine.generate(request(session, &format!("say({text})")))).collect();
    for (mut generation, text) in started.into_iter().zip(&texts) {
        let mut said = String::new();
        let mut finished = None;
        while let Some(event) = generation.next().await {
            match event.expect("no error") {
                EngineEvent::Piece { text, .. } => said.push_str(&text),
                EngineEvent::Finished { trajectory, .. } => finished = Some(trajectory),
                _ => {}
            }
        }
        assert_eq!(&said, text);
        assert_eq!(&finished.expect("finished").text, text);
    }
}

#[tokio::test]
async fn candidates_of_several_requests_share_the_batches() {
    let script = Script::answering(|ask| {
        let name = ask.prompt.rsplit("name ").next()?.split('<').next()?.trim().to_owned();
        Some(Reply::new(format!("{name} candidate {}", ask.candidate)))
    });
    let engine = Engine::start_scripted(Script { slots: 3, batch_tokens_max: 16, ..script });
    let asked = |session: u32, name: &str| {
        let words = "long rules ".repeat(30);
        run(&engine, GenerateRequest { candidates: 4, ..request(session, &format!("{words} name {name}")) })
    };
    let (a, b, c) = tokio::join!(asked(1, "anna"), asked(2, "bert"), asked(3, "carl"));
    for (name, replies) in [("anna", a), ("bert", b), ("carl", c)] {
        let texts: Vec<String> = replies.expect("no error").into_iter().map(|(done, _)| done.text).collect();
        let wanted: Vec<String> = (0..4).map(|candidate| format!("{name} candidate {candidate}")).collect();
        assert_eq!(texts, wanted);
    }
}

#[tokio::test]
async fn a_beginning_that_two_prompts_share_is_decoded_once() {
    let engine = Engine::start_scripted(Script { batch_tokens_max: 16, ..echo(2, Duration::ZERO) });
    let rules = "long rules ".repeat(100);
    let asked = |session, text: &str| {
        let messages = [Message::new(Role::System, rules.clone()), Message::new(Role::User, text)];
        one(&engine, GenerateRequest { prompt: render_chatml(&messages, true), ..request(session, "") })
    };
    let (first, second) = tokio::join!(asked(1, "say(x)"), asked(2, "say(y)"));
    assert_eq!((first.0.text.as_str(), second.0.text.as_str()), ("x", "y"));
    assert_eq!(first.0.usage.reused_tokens, 0);
    assert!(second.0.usage.reused_tokens > 170, "{:?}", second.0.usage);
}

#[tokio::test]
async fn who_does_not_listen_holds_up_nobody() {
    let engine = Engine::start_scripted(echo(2, Duration::ZERO));
    // More words than the channel holds: the first generation has to wait for its listener.
    let deaf = engine.generate(request(1, &format!("say({})", words(900, "d"))));
    for session in 2..5 {
        let (done, _) = one(&engine, request(session, &format!("say({})", words(600, "e")))).await;
        assert_eq!(done.finish, Finish::EndOfTurn);
    }
    let mut deaf = deaf;
    let mut pieces = 0;
    while let Some(event) = deaf.next().await {
        pieces += usize::from(matches!(event.expect("no error"), EngineEvent::Piece { .. }));
    }
    assert_eq!(pieces, 900, "nothing is lost");
}

#[tokio::test]
async fn a_request_that_waits_can_be_cancelled_and_too_many_are_refused() {
    let engine = Engine::start_scripted(echo(1, Duration::from_millis(1)));
    let mut first = engine.generate(request(0, &format!("say({})", words(4000, "a"))));
    first.next().await.expect("it begins").expect("no error");
    let mut waiting = engine.generate(request(1, "say(b)"));
    waiting.cancel();
    let event = waiting.next().await.expect("an event").expect("no error");
    assert!(matches!(&event, EngineEvent::Finished { trajectory, .. } if trajectory.finish == Finish::Cancelled));
    assert!(waiting.next().await.is_none());
    let many: Vec<_> = (0..3 * REQUESTS_MAX as u32).map(|n| engine.generate(request(n + 2, "say(c)"))).collect();
    let mut refused = 0;
    first.cancel();
    for mut generation in many {
        while let Some(event) = generation.next().await {
            refused += usize::from(matches!(event, Err(EngineError::Busy)));
        }
    }
    assert!(refused >= REQUESTS_MAX - 1, "{refused}");
    assert_eq!(one(&engine, request(999, "say(alive)")).await.0.text, "alive");
}

#[tokio::test]
async fn a_word_about_a_session_waits_for_what_the_session_is_doing() {
    let engine = Engine::start_scripted(echo(2, Duration::from_millis(1)));
    let generation = engine.generate(request(1, &format!("say({})", words(30, "a"))));
    let stats = engine.session_stats(SessionId(1)).await.expect("engine lives").expect("session exists");
    assert_eq!(stats.generated_tokens, 30, "the generation is over by then");
    engine.end_session(SessionId(1)).await.expect("ended");
    assert_eq!(engine.session_stats(SessionId(1)).await, Ok(None));
    drop(generation);
}

#[tokio::test]
async fn a_slot_cannot_take_the_others_cells() {
    let script = Script { slots: 2, context_tokens_max: 100, cells_max: 200, ..echo(2, Duration::ZERO) };
    let engine = Engine::start_scripted(script);
    let endless = |name: &str| format!("say({})", words(300, name));
    let (a, b) = tokio::join!(run(&engine, request(1, &endless("a"))), run(&engine, request(2, "say(short)")),);
    assert!(matches!(a, Err(EngineError::PromptTooLong { context_tokens_max: 100, .. })), "{a:?}");
    assert_eq!(b.expect("no error")[0].0.text, "short");
}

#[tokio::test]
async fn given_tokens_are_not_drawn_again_and_the_window_cuts_them_as_if_they_were() {
    let reply = Reply::new("one two three four five six").after_shift("The answer.");
    let engine = Engine::start_scripted(Script::answering(move |_| Some(reply.clone())));
    let window = |thinking_tokens_max| WindowSpec {
        thinking_tokens_max,
        answer_tokens_max: 20,
        hint: "\n\nSo:\n".to_owned(),
        paper_exact: true,
        ..WindowSpec::default()
    };
    let asked = |thinking_tokens_max, given| GenerateRequest {
        window: window(thinking_tokens_max),
        given,
        ..request(1, "count")
    };
    let (whole, tokens) = one(&engine, asked(1000, Vec::new())).await;
    assert_eq!(whole.text, "one two three four five six");
    for cut in [5, 3, 1, 0] {
        let (plain, own) = one(&engine, GenerateRequest { session: SessionId(9), ..asked(cut, Vec::new()) }).await;
        let (replayed, same) = one(&engine, asked(cut, tokens.clone())).await;
        assert_eq!(replayed.text, plain.text, "window {cut}");
        assert_eq!(
            (replayed.shifted, replayed.shift_at, replayed.answer_at),
            (plain.shifted, plain.shift_at, plain.answer_at)
        );
        assert_eq!(same, own);
        assert_eq!(replayed.usage.reused_tokens, replayed.usage.prompt_tokens, "the session had it all");
        engine.end_session(SessionId(9)).await.expect("ended");
    }
    // What was given is a beginning: the model goes on from there.
    let (ahead, _) = one(&engine, asked(1000, tokens[..2].to_vec())).await;
    assert_eq!(ahead.text, whole.text);
}

#[tokio::test]
async fn candidates_share_what_is_given_and_each_tells_it() {
    let script = Script::answering(|ask| Some(Reply::new(format!("think hard about c{}", ask.candidate))));
    let engine = Engine::start_scripted(script);
    let given = engine.tokenize_text("think hard", false);
    let mut generation = engine.generate(GenerateRequest { candidates: 3, given, ..request(1, "x") });
    let mut texts = vec![String::new(); 3];
    let mut forced = 0;
    while let Some(event) = generation.next().await {
        if let EngineEvent::Piece { candidate, text, forced: given, part, .. } = event.expect("no error") {
            assert_eq!(part, Part::Thinking);
            texts[candidate as usize].push_str(&text);
            forced += usize::from(given);
        }
    }
    assert_eq!(texts, ["think hard about c0", "think hard about c1", "think hard about c2"]);
    assert_eq!(forced, 6, "two given tokens for each of three");
}

#[tokio::test]
async fn stopping_the_first_candidate_while_the_prompt_is_read_leaves_the_others() {
    let script = Script::answering(|ask| Some(Reply::new(format!("reply {}", ask.candidate))));
    let slow = Script { prefill_delay: Duration::from_millis(1), batch_tokens_max: 8, ..script };
    let engine = Engine::start_scripted(slow);
    let mut generation = engine.generate(GenerateRequest { candidates: 2, ..request(1, &"long words ".repeat(30)) });
    generation.next().await.expect("it begins").expect("no error");
    generation.steer(Steer::Stop(0));
    let mut finished = Vec::new();
    while let Some(event) = generation.next().await {
        if let EngineEvent::Finished { candidate, trajectory, .. } = event.expect("no error") {
            finished.push((candidate, trajectory.finish, trajectory.text));
        }
    }
    finished.sort_by_key(|(candidate, ..)| *candidate);
    assert_eq!(finished[0].1, Finish::Stopped);
    assert_eq!((finished[1].1, finished[1].2.as_str()), (Finish::EndOfTurn, "reply 1"));
}

fn nano(slots: u32) -> Option<Engine> {
    nano_with(slots, false)
}

fn nano_with(slots: u32, apart: bool) -> Option<Engine> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/z1-nano.gguf");
    if !path.is_file() {
        println!("skipped: there is no models/z1-nano.gguf here");
        return None;
    }
    // One thread: tests run beside one another, and OpenMP's waiting threads would fight.
    let options = LoadOptions { threads: Some(1), slots: Some(slots), apart, ..LoadOptions::from_path(path) };
    Some(Engine::start_llama(options, |_| {}, &Cancel::new()).expect("the shipped model loads"))
}

/// A batch of another shape rounds otherwise, and where two tokens are all but equally probable that can tip the scales.
#[tokio::test]
async fn greedy_texts_beside_others_are_those_alone_but_for_ties() {
    for apart in [false, true] {
        let Some(engine) = nano_with(4, apart) else { return };
        assert_eq!((engine.info().slots, engine.info().candidates_max == 4), (4, apart));
        beside_others_as_alone(&engine).await;
    }
}

async fn beside_others_as_alone(engine: &Engine) {
    let tasks = [
        "the largest of a list",
        "the sum of even numbers",
        "a word backwards",
        "how often x is in a",
        "the number of vowels in a word",
        "the second smallest element of a list",
        "the list without duplicates",
        "a + b",
    ];
    let asked = |session: u32, task: &str| GenerateRequest {
        window: WindowSpec { thinking_tokens_max: 120, answer_tokens_max: 80, ..WindowSpec::default() },
        ..request(session, &format!("Write a Python function f that returns {task}."))
    };
    let mut alone = Vec::new();
    for (session, task) in (100..).zip(tasks) {
        alone.push(one(engine, asked(session, task)).await);
        engine.end_session(SessionId(session)).await.expect("ended");
    }
    let together = (0..).zip(tasks).map(|(session, task)| {
        let engine = engine.clone();
        let request = asked(session, task);
        tokio::spawn(async move {
            let done = one(&engine, request).await;
            engine.end_session(SessionId(session)).await.expect("ended");
            done
        })
    });
    let together: Vec<_> = together.collect();
    let (mut ties, mut tokens) = (0, 0);
    for ((task, alone), beside) in tasks.iter().zip(&alone).zip(together) {
        let beside = beside.await.expect("it ends");
        assert!(!alone.1.is_empty(), "{task}");
        tokens += alone.1.len();
        ties += usize::from(beside.1 != alone.1);
    }
    println!("{ties} of {} greedy texts ({tokens} tokens) differ from those alone", tasks.len());
    assert!(tokens > 100, "{tokens} tokens say little");
    assert!(ties <= 1, "{ties} of {} differ: more than rounding", tasks.len());
}

#[tokio::test]
async fn each_candidate_draws_as_it_is_told() {
    let Some(engine) = nano(1) else { return };
    let warm = Sampling { temperature: 1.5, ..Sampling::GREEDY };
    let asked = GenerateRequest {
        window: WindowSpec { thinking_tokens_max: 60, answer_tokens_max: 8, ..WindowSpec::default() },
        ..request(1, "Write a Python function f that returns the largest of a list.")
    };
    let (greedy, tokens) = one(&engine, asked.clone()).await;
    let each = CandidateSampling { thinking: warm, answer: warm };
    let samplings = vec![CandidateSampling::default(), each, each];
    let many = GenerateRequest {
        session: SessionId(2),
        candidates: 3,
        candidate_samplings: samplings,
        thinking_sampling: warm,
        ..asked
    };
    let replies = run(&engine, many).await.expect("no error");
    assert_eq!(replies[0].1[..10], tokens[..10], "the first is greedy: {}", greedy.text);
    assert!(replies[1].0.text != replies[2].0.text && replies[1].0.text != greedy.text);
}

/// A prompt that is long enough to be worth keeping, and begins as no other does.
fn long(session: u32) -> GenerateRequest {
    let text = format!("{session}: write a Python function f that returns {}.", words(60, &format!("thing{session}_")));
    GenerateRequest {
        window: WindowSpec { thinking_tokens_max: 8, answer_tokens_max: 8, ..WindowSpec::default() },
        ..request(session, &text)
    }
}

#[tokio::test]
async fn slots_that_keep_apart_share_beginnings_and_fork_by_copies() {
    let Some(engine) = nano_with(3, true) else { return };
    let (first, _) = one(&engine, long(1)).await;
    let (again, _) = one(&engine, GenerateRequest { session: SessionId(2), ..long(1) }).await;
    assert_eq!(again.text, first.text);
    assert_eq!(again.usage.reused_tokens, again.usage.prompt_tokens - 1, "of another session");
    let forked = run(&engine, GenerateRequest { candidates: 3, ..long(1) }).await.expect("as many as there are slots");
    assert!(forked.iter().all(|(done, _)| done.text == first.text), "greedy candidates say the same");
    let refused = run(&engine, GenerateRequest { candidates: 4, ..long(1) }).await;
    assert!(matches!(refused, Err(EngineError::TooManyCandidates(4))), "{refused:?}");
}

#[tokio::test]
async fn a_session_that_made_room_comes_back_without_being_read_again() {
    for apart in [false, true] {
        let Some(engine) = nano_with(2, apart) else { return };
        let (first, _) = one(&engine, long(1)).await;
        // Enough others that the first one's place is taken where there is one for each slot.
        for session in 2..=5 {
            one(&engine, long(session)).await;
        }
        let (again, _) = one(&engine, long(1)).await;
        assert_eq!(again.text, first.text);
        assert_eq!(again.usage.reused_tokens, again.usage.prompt_tokens - 1, "apart: {apart}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("state");
        engine.save_session(SessionId(3), &path).await.expect("what made room is saved as well");
        assert!(engine.restore_session(SessionId(9), &path).await.expect("restored") > 60);
    }
}

#[tokio::test]
async fn a_session_that_ended_is_not_kept() {
    let Some(engine) = nano_with(2, true) else { return };
    one(&engine, long(1)).await;
    for session in 2..=4 {
        one(&engine, long(session)).await;
    }
    engine.end_session(SessionId(1)).await.expect("ended");
    let (again, _) = one(&engine, long(1)).await;
    assert!(again.usage.reused_tokens < 60, "{:?}", again.usage);
}
