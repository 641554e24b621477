//! The decode loop, sessions and the handle, through the scripted model.

use std::time::Duration;

use z1::engine::{
    Engine, EngineError, EngineEvent, GenerateRequest, Generation, Reply, Sampling, Script, SessionId, Steer, Tokens,
    WindowSpec,
};
use z1::prompt::{Message, Rendered, Role, Segment, render_chatml};
use z1::task::{Finish, Part, ShiftReason, Trajectory};

const HINT: &str = "\n\nSo the answer is:\n\n";

fn window(thinking_tokens_max: u32) -> WindowSpec {
    WindowSpec { thinking_tokens_max, answer_tokens_max: 50, hint: HINT.to_owned(), ..WindowSpec::default() }
}

fn ask(text: &str) -> Rendered {
    render_chatml(&[Message::new(Role::User, text)], true)
}

fn request(prompt: Rendered, window: WindowSpec) -> GenerateRequest {
    GenerateRequest {
        session: SessionId(1),
        prompt,
        window,
        thinking_sampling: Sampling::GREEDY,
        answer_sampling: Sampling::GREEDY,
        candidates: 1,
        seed: 1,
        ..GenerateRequest::default()
    }
}

/// Everything a generation had to say.
#[derive(Default)]
struct Heard {
    events: Vec<EngineEvent>,
    finished: Vec<Trajectory>,
    error: Option<EngineError>,
}

impl Heard {
    fn text_of(&self, candidate: u32, wanted: Part) -> String {
        let pieces = self.events.iter().filter_map(|event| match event {
            EngineEvent::Piece { candidate: c, part, text, .. } if *c == candidate && *part == wanted => Some(text),
            _ => None,
        });
        pieces.map(String::as_str).collect()
    }

    fn prefilled(&self) -> Vec<(u32, u32, u32)> {
        let prefill = self.events.iter().filter_map(|event| match event {
            EngineEvent::Prefill { done, total, reused } => Some((*done, *total, *reused)),
            _ => None,
        });
        prefill.collect()
    }
}

async fn listen(mut generation: Generation) -> Heard {
    let mut heard = Heard::default();
    while let Some(item) = generation.next().await {
        assert!(heard.error.is_none(), "something came after an error");
        match item {
            Ok(event) => {
                if let EngineEvent::Finished { trajectory, .. } = &event {
                    heard.finished.push(trajectory.clone());
                }
                heard.events.push(event);
            }
            Err(error) => heard.error = Some(error),
        }
    }
    heard
}

async fn run(engine: &Engine, request: GenerateRequest) -> Heard {
    listen(engine.generate(request)).await
}

#[tokio::test]
async fn a_simple_answer_streams_and_ends_by_itself() {
    let engine = Engine::start_scripted(Script::new(["It is 4. Naïve? Nein – 🦀!"]));
    let heard = run(&engine, request(ask("2+2?"), window(100))).await;
    let done = &heard.finished[0];
    assert_eq!(done.text, "It is 4. Naïve? Nein – 🦀!");
    assert_eq!(done.answer(), done.text);
    assert_eq!((done.finish, done.shifted, done.shift_at), (Finish::EndOfTurn, None, None));
    assert_eq!(heard.text_of(0, Part::Thinking), done.text);
    assert_eq!(done.usage.prompt_tokens as usize, engine.tokenize(&ask("2+2?")).len());
    assert_eq!(done.usage.thinking_tokens as usize, engine.count_tokens(&done.text));
    assert_eq!((done.usage.forced_tokens, done.usage.answer_tokens), (0, 0));
}

#[tokio::test]
async fn at_the_cap_the_hint_is_forced_and_the_model_answers() {
    let script = Script::new([Reply::new("one two three four five six seven eight").after_shift("The answer.")]);
    let engine = Engine::start_scripted(script);
    let heard = run(&engine, request(ask("hard"), window(3))).await;
    let done = &heard.finished[0];
    assert_eq!(done.text, format!("one two three{HINT}The answer."));
    assert_eq!(done.answer(), "The answer.");
    assert_eq!(done.shift_at, Some("one two three".len()));
    assert_eq!(done.shifted, Some(ShiftReason::Budget));
    assert_eq!(done.usage.thinking_tokens, 3);
    assert_eq!(done.usage.forced_tokens as usize, engine.count_tokens(HINT));
    assert_eq!(done.usage.answer_tokens, 3, "two words and a full stop");
    assert_eq!(heard.text_of(0, Part::Thinking), "one two three");
    assert_eq!(heard.text_of(0, Part::Shift), HINT);
    assert_eq!(heard.text_of(0, Part::Answer), "The answer.");
    let shifted = EngineEvent::Shifted { candidate: 0, why: ShiftReason::Budget, thinking_tokens: 3 };
    assert!(heard.events.contains(&shifted));
}

#[tokio::test]
async fn the_hint_costs_its_own_tokens_and_no_second_prefill() {
    let script = Script::new([Reply::new("a b c d e f").after_shift("x")]);
    let engine = Engine::start_scripted(script);
    let heard = run(&engine, request(ask("hard"), window(3))).await;
    let total = heard.finished[0].usage.prompt_tokens;
    assert_eq!(heard.prefilled(), [(0, total, 0), (total, total, 0)]);
    let stats = engine.session_stats(SessionId(1)).await.expect("engine lives").expect("session exists");
    // Everything sampled or forced but the last sampled token is in the log, and nothing else.
    assert_eq!(stats.log_tokens, total + heard.finished[0].usage.generated_tokens());
}

#[tokio::test]
async fn an_empty_window_forces_the_hint_first() {
    let engine = Engine::start_scripted(Script::new([Reply::new("never").after_shift("42")]));
    let heard = run(&engine, request(ask("quick"), window(0))).await;
    assert_eq!(heard.finished[0].text, format!("{HINT}42"));
    let empty = WindowSpec { hint: String::new(), ..window(0) };
    let engine = Engine::start_scripted(Script::new(["42"]));
    let heard = run(&engine, request(ask("quick"), empty)).await;
    assert_eq!(heard.finished[0].answer(), "42");
    assert_eq!(heard.finished[0].usage.thinking_tokens, 0);
    assert_eq!(heard.finished[0].usage.answer_tokens, 1);
}

#[tokio::test]
async fn a_second_turn_decodes_only_what_is_new() {
    let engine = Engine::start_scripted(Script::new(["first answer", "second answer"]));
    let first = vec![Message::new(Role::System, "You are terse."), Message::new(Role::User, "one?")];
    let heard = run(&engine, request(render_chatml(&first, true), window(100))).await;
    let before = engine.tokenize(&render_chatml(&first, true)).len() as u32 + 2;
    let mut second = first;
    second.push(Message::new(Role::Assistant, heard.finished[0].text.clone()));
    second.push(Message::new(Role::User, "two?"));
    let prompt = render_chatml(&second, true);
    let heard = run(&engine, request(prompt.clone(), window(100))).await;
    let usage = heard.finished[0].usage;
    assert_eq!(usage.prompt_tokens as usize, engine.tokenize(&prompt).len());
    assert_eq!(usage.reused_tokens, before, "the first prompt and the first reply are in the log");
    assert_eq!(heard.prefilled()[0], (before, usage.prompt_tokens, before));
}

#[tokio::test]
async fn a_reply_that_would_split_differently_keeps_the_models_own_tokens() {
    // The model writes byte by byte what the tokenizer would write in words.
    let reply: String = "abc".to_owned();
    let engine = Engine::start_scripted(Script { tokens: Tokens::Bytes, ..Script::new([reply, "x".to_owned()]) });
    let first = vec![Message::new(Role::User, "one?")];
    run(&engine, request(render_chatml(&first, true), window(100))).await;
    let mut second = first.clone();
    second.extend([Message::new(Role::Assistant, "abc"), Message::new(Role::User, "two?")]);
    let heard = run(&engine, request(render_chatml(&second, true), window(100))).await;
    let prompt = engine.tokenize(&render_chatml(&first, true)).len() as u32;
    assert_eq!(heard.finished[0].usage.reused_tokens, prompt + 3);
}

#[tokio::test]
async fn another_session_shares_the_system_prompt() {
    let engine = Engine::start_scripted(Script::new(["a", "b"]));
    let with = |text: &str| {
        render_chatml(&[Message::new(Role::System, "long rules ".repeat(50)), Message::new(Role::User, text)], true)
    };
    run(&engine, request(with("one"), window(10))).await;
    let other = GenerateRequest { session: SessionId(2), ..request(with("two"), window(10)) };
    let heard = run(&engine, other).await;
    assert!(heard.finished[0].usage.reused_tokens > 100, "{:?}", heard.finished[0].usage);
}

#[tokio::test]
async fn the_same_prompt_again_decodes_one_token() {
    let engine = Engine::start_scripted(Script::new(["a", "b"]));
    run(&engine, request(ask("again"), window(10))).await;
    let usage = run(&engine, request(ask("again"), window(10))).await.finished[0].usage;
    assert_eq!(usage.reused_tokens, usage.prompt_tokens - 1);
}

#[tokio::test]
async fn candidates_share_one_prefill_and_differ() {
    let engine = Engine::start_scripted(Script::new(["one", "two longer reply", "three"]));
    let heard = run(&engine, GenerateRequest { candidates: 3, ..request(ask("many"), window(20)) }).await;
    assert_eq!(heard.finished.len(), 3);
    for (candidate, text) in [(0, "one"), (1, "two longer reply"), (2, "three")] {
        assert_eq!(heard.text_of(candidate, Part::Thinking), text);
    }
    let stats = engine.session_stats(SessionId(1)).await.expect("engine lives").expect("session exists");
    let prompt = u64::from(heard.finished[0].usage.prompt_tokens);
    assert_eq!(stats.prefilled_tokens, prompt - 1, "the prompt is decoded once, its last token by every candidate");
    assert_eq!(stats.generated_tokens, 5);
}

#[tokio::test]
async fn the_next_turn_goes_on_from_whichever_candidate_was_taken() {
    let engine = Engine::start_scripted(Script::new(["one", "second candidate", "third", "next"]));
    let first = vec![Message::new(Role::User, "many")];
    run(&engine, GenerateRequest { candidates: 3, ..request(render_chatml(&first, true), window(20)) }).await;
    let mut second = first.clone();
    second.extend([Message::new(Role::Assistant, "second candidate"), Message::new(Role::User, "go on")]);
    let heard = run(&engine, request(render_chatml(&second, true), window(20))).await;
    let prompt = engine.tokenize(&render_chatml(&first, true)).len() as u32;
    assert_eq!(heard.finished[0].usage.reused_tokens, prompt + 2);
}

#[tokio::test]
async fn one_candidate_can_be_stopped_while_the_others_go_on() {
    let slow = Duration::from_millis(2);
    let endless = Reply::new("on and on it goes ").endless().slow(slow);
    let engine = Engine::start_scripted(Script::new([endless, Reply::new("a b c d e f g h").slow(slow)]));
    let mut generation = engine.generate(GenerateRequest { candidates: 2, ..request(ask("x"), window(4000)) });
    let mut finished = Vec::new();
    while let Some(item) = generation.next().await {
        match item.expect("no error") {
            EngineEvent::Piece { candidate: 0, .. } => generation.steer(Steer::Stop(0)),
            EngineEvent::Finished { candidate, trajectory, .. } => finished.push((candidate, trajectory.finish)),
            _ => {}
        }
    }
    assert_eq!(finished, [(0, Finish::Stopped), (1, Finish::EndOfTurn)]);
}

#[tokio::test]
async fn answer_now_shifts_a_running_generation() {
    let reply = Reply::new("let me think ").endless().after_shift("done").slow(Duration::from_millis(1));
    let engine = Engine::start_scripted(Script::new([reply]));
    let mut generation = engine.generate(request(ask("x"), WindowSpec { paper_exact: true, ..window(4000) }));
    let mut last = None;
    while let Some(item) = generation.next().await {
        match item.expect("no error") {
            EngineEvent::Piece { forced: false, .. } => generation.steer(Steer::AnswerNow),
            EngineEvent::Finished { trajectory, .. } => last = Some(trajectory),
            _ => {}
        }
    }
    let done = last.expect("finished");
    assert_eq!((done.shifted, done.answer(), done.finish), (Some(ShiftReason::AnswerNow), "done", Finish::EndOfTurn));
}

#[tokio::test]
async fn think_more_widens_a_running_window() {
    let words: Vec<String> = (0..60).map(|n| format!(" w{n}")).collect();
    let reply = Reply::new(words.concat()).after_shift("done").slow(Duration::from_millis(2));
    let engine = Engine::start_scripted(Script::new([reply]));
    let mut generation = engine.generate(request(ask("x"), window(20)));
    let mut steered = false;
    let mut thinking = 0;
    while let Some(item) = generation.next().await {
        match item.expect("no error") {
            EngineEvent::Piece { .. } if !steered => {
                generation.steer(Steer::ThinkMore(25));
                steered = true;
            }
            EngineEvent::Finished { trajectory, .. } => thinking = trajectory.usage.thinking_tokens,
            _ => {}
        }
    }
    assert_eq!(thinking, 45);
}

#[tokio::test]
async fn a_loop_is_cut_short() {
    let reply = Reply::new("Wait, I have to check this again. ").endless().after_shift("42");
    let engine = Engine::start_scripted(Script::new([reply]));
    let done = run(&engine, request(ask("x"), window(4000))).await.finished.remove(0);
    assert_eq!(done.shifted, Some(ShiftReason::Loop));
    assert!(done.usage.thinking_tokens < 200, "{}", done.usage.thinking_tokens);
    assert_eq!(done.answer(), "42");
}

#[tokio::test]
async fn an_answer_that_never_ends_is_stopped_at_its_allowance() {
    let engine = Engine::start_scripted(Script::new([Reply::new("a b c ").endless()]));
    let done = run(&engine, request(ask("x"), WindowSpec { paper_exact: true, ..window(10) })).await.finished.remove(0);
    assert_eq!((done.finish, done.usage.answer_tokens), (Finish::AnswerLimit, 50));
}

#[tokio::test]
async fn cancel_ends_a_generation_and_keeps_what_was_written() {
    let engine = Engine::start_scripted(Script::new([
        Reply::new("on and on ").endless().slow(Duration::from_millis(1)),
        Reply::new("alive"),
    ]));
    let mut generation = engine.generate(request(ask("x"), WindowSpec { paper_exact: true, ..window(100_000) }));
    let mut last = None;
    while let Some(item) = generation.next().await {
        match item.expect("no error") {
            EngineEvent::Piece { .. } => generation.cancel(),
            EngineEvent::Finished { trajectory, .. } => last = Some(trajectory),
            _ => {}
        }
    }
    let done = last.expect("a cancelled generation still finishes");
    assert_eq!(done.finish, Finish::Cancelled);
    assert!(done.text.starts_with("on"));
    let heard = run(&engine, request(ask("y"), window(10))).await;
    assert_eq!(heard.finished[0].text, "alive", "the engine serves on");
}

#[tokio::test]
async fn cancel_during_prefill_ends_between_chunks_and_the_log_stays_true() {
    let script =
        Script { prefill_delay: Duration::from_millis(1), batch_tokens_max: 16, ..Script::new(["never", "after all"]) };
    let engine = Engine::start_scripted(script);
    let long = ask(&"word ".repeat(400));
    let mut generation = engine.generate(request(long.clone(), window(10)));
    let mut done_tokens = 0;
    let mut finish = None;
    while let Some(item) = generation.next().await {
        match item.expect("no error") {
            EngineEvent::Prefill { done, .. } if done > 30 => {
                done_tokens = done;
                generation.cancel();
            }
            EngineEvent::Finished { trajectory, .. } => finish = Some(trajectory.finish),
            _ => {}
        }
    }
    assert_eq!(finish, Some(Finish::Cancelled));
    let heard = run(&engine, request(long, window(10))).await;
    let usage = heard.finished[0].usage;
    assert!(usage.reused_tokens >= done_tokens && usage.reused_tokens < usage.prompt_tokens - 16, "{usage:?}");
    assert_eq!(heard.finished[0].text, "after all");
}

#[tokio::test]
async fn dropping_a_generation_frees_the_engine() {
    let engine = Engine::start_scripted(Script::new([Reply::new("on and on ").endless(), Reply::new("next")]));
    let mut generation = engine.generate(request(ask("x"), WindowSpec { paper_exact: true, ..window(100_000) }));
    generation.next().await;
    drop(generation);
    assert_eq!(run(&engine, request(ask("y"), window(10))).await.finished[0].text, "next");
}

#[tokio::test]
async fn a_full_context_is_a_value() {
    let script =
        Script { context_tokens_max: 60, cells_max: 60, ..Script::new([Reply::new("a b c d e f ").endless()]) };
    let engine = Engine::start_scripted(script);
    let spec = WindowSpec { answer_tokens_max: 4000, paper_exact: true, ..window(4000) };
    let done = run(&engine, request(ask("x"), spec)).await.finished.remove(0);
    assert!(done.usage.prompt_tokens + done.usage.generated_tokens() <= 60, "{:?}", done.usage);
    assert!(done.usage.answer_tokens > 10 && done.usage.thinking_tokens > 10, "both have had room: {:?}", done.usage);
}

#[tokio::test]
async fn a_crowd_shares_the_cells_and_nobody_crashes() {
    let script = Script {
        context_tokens_max: 200,
        cells_max: 200,
        ..Script::answering(|ask| Some(Reply::new(format!(" c{} x y z w v", ask.candidate)).endless()))
    };
    let engine = Engine::start_scripted(script);
    let spec = WindowSpec { answer_tokens_max: 4000, paper_exact: true, ..window(4000) };
    for session in 1..4 {
        let many = GenerateRequest { session: SessionId(session), candidates: 6, ..request(ask("x"), spec.clone()) };
        let heard = run(&engine, many).await;
        assert_eq!(heard.error, None);
        assert_eq!(heard.finished.len(), 6);
        assert!(heard.finished.iter().all(|done| done.usage.answer_tokens > 0), "{:?}", heard.finished);
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_in_words() {
    let script = Script { context_tokens_max: 50, ..Script::new(["x"]) };
    let engine = Engine::start_scripted(script);
    let long = run(&engine, request(ask(&"word ".repeat(100)), window(10))).await;
    assert!(matches!(long.error, Some(EngineError::PromptTooLong { context_tokens_max: 50, .. })), "{:?}", long.error);
    let empty = run(&engine, request(Rendered::default(), window(10))).await;
    assert_eq!(empty.error, Some(EngineError::PromptEmpty));
    let crowd = run(&engine, GenerateRequest { candidates: 1000, ..request(ask("x"), window(10)) }).await;
    assert_eq!(crowd.error, Some(EngineError::TooManyCandidates(1000)));
    let fine = run(&engine, request(ask("x"), window(10))).await;
    assert_eq!(fine.finished[0].text, "x");
}

#[tokio::test]
async fn a_failing_model_is_the_streams_last_word_and_the_engine_lives() {
    let engine = Engine::start_scripted(Script::new([Reply::new("a b c d").failing_after(2), Reply::new("fine")]));
    let heard = run(&engine, request(ask("x"), window(10))).await;
    assert!(matches!(heard.error, Some(EngineError::Script(_))));
    assert!(heard.finished.is_empty());
    assert_eq!(run(&engine, request(ask("x"), window(10))).await.finished[0].text, "fine");
    assert!(matches!(run(&engine, request(ask("x"), window(10))).await.error, Some(EngineError::Script(_))));
}

#[tokio::test]
async fn control_tokens_in_a_users_text_stay_text() {
    let engine = Engine::start_scripted(Script::new(["x"]));
    let frame = |special| Rendered { segments: vec![Segment { text: "<|im_end|>".to_owned(), special, learn: false }] };
    assert_eq!(engine.tokenize(&frame(true)).len(), 1);
    assert!(engine.tokenize(&frame(false)).len() > 1);
    assert_eq!(engine.detokenize(&engine.tokenize(&frame(false))), "<|im_end|>");
}

#[tokio::test]
async fn choices_are_weighed_by_their_logits() {
    let script = Script {
        leanings: vec![("simple".to_owned(), 1.0), ("complex".to_owned(), 3.0)],
        ..Script::new(Vec::<Reply>::new())
    };
    let engine = Engine::start_scripted(script);
    let scores = engine.choose(&ask("how hard?"), &["simple", "complex"]).await.expect("choose works");
    assert!((scores[1] - scores[0] - 2.0).abs() < 1e-3, "{scores:?}");
    assert!((scores.iter().map(|score| score.exp()).sum::<f32>() - 1.0).abs() < 1e-4);
}

#[tokio::test]
async fn a_saved_session_comes_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("session");
    let engine = Engine::start_scripted(Script::new(["a", "b"]));
    assert!(matches!(engine.save_session(SessionId(1), &path).await, Err(EngineError::State { .. })));
    run(&engine, request(ask("hello there"), window(10))).await;
    engine.save_session(SessionId(1), &path).await.expect("saved");
    engine.end_session(SessionId(1)).await.expect("ended");
    assert_eq!(engine.session_stats(SessionId(1)).await, Ok(None));
    let tokens = engine.restore_session(SessionId(1), &path).await.expect("restored");
    let usage = run(&engine, request(ask("hello there"), window(10))).await.finished[0].usage;
    assert_eq!(usage.reused_tokens, usage.prompt_tokens - 1);
    assert!(tokens >= usage.prompt_tokens);
    std::fs::write(&path, "not numbers").expect("written");
    assert!(matches!(engine.restore_session(SessionId(1), &path).await, Err(EngineError::State { .. })));
}

#[tokio::test]
async fn paper_mode_is_the_papers_algorithm() {
    let reply = Reply::new("a\nb\nc\nd\ne\nf\n").after_shift("42");
    let engine = Engine::start_scripted(Script::new([reply]));
    let done = run(&engine, request(ask("x"), WindowSpec::paper(5, 20))).await.finished.remove(0);
    assert_eq!(done.text, "a\nb\nc\n\nI overthought it, the final answer should be:\n\n42");
    assert_eq!(done.usage.thinking_tokens, 5);
}
