//! The loop on a scripted model and a scripted judge: what a pass, a crash, a wrong answer, a cancel and a word of
//! the user's do to a task.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use z1::agent::conversation::Kind;
use z1::agent::{Agent, BoxFuture, Judge, Line, Settings, Transcript};
use z1::cancel::Cancel;
use z1::engine::{Engine, Reply, Script};
use z1::event::{COMMANDS_MAX, Command, EVENTS_MAX, Event};
use z1::task::{
    Candidate, Check, Effort, Failure, FailureKind, Outcome, Report, Scope, ShiftReason, Status, Task, Tier, Verdict,
};
use z1::traits::Traits;
use z1::verify::{Input, Observation, VerifyOptions};

/// Judges by words in the program: `boom` crashes, `right` passes, `# n of 9` passes n of 9 checks.
#[derive(Default)]
struct ByWords {
    asked: Mutex<Vec<String>>,
}

fn report(kind: Option<FailureKind>, passed: u32) -> Report {
    let failure = |kind| Failure {
        kind,
        name: "assert f() == 1".into(),
        got: "got 0, a word that only the judge says: quokka".into(),
        expected: None,
        frame: None,
    };
    let failures: Vec<Failure> = kind.into_iter().map(failure).collect();
    let failed = failures.len() as u32;
    Report { command: "by words".into(), passed, failed, failures, tier: Tier::L, wall_ms: 1, flags: vec![] }
}

fn source(candidate: &Candidate) -> &str {
    match candidate {
        Candidate::Program { source, .. } => source,
        Candidate::Edits { .. } => panic!("a stand-alone task has programs"),
    }
}

impl Judge for ByWords {
    fn verify<'a>(
        &'a self,
        candidate: &'a Candidate,
        _checks: &'a [Check],
        _options: &'a VerifyOptions,
        _cancel: &'a Cancel,
    ) -> BoxFuture<'a, Verdict> {
        let source = source(candidate);
        self.asked.lock().unwrap().push(source.to_owned());
        let passed =
            source.split_once(" of 9").and_then(|(before, _)| before.chars().last()?.to_digit(10)).unwrap_or(0);
        let verdict = if source.contains("right") {
            Verdict::Passed(report(None, 9))
        } else if source.contains("boom") {
            Verdict::Failed(report(Some(FailureKind::Crash), 0))
        } else {
            Verdict::Failed(report(Some(FailureKind::WrongAnswer), passed))
        };
        Box::pin(std::future::ready(verdict))
    }

    /// Programs that say `same` behave alike, all others each in their own way.
    fn behaviour<'a>(
        &'a self,
        candidate: &'a Candidate,
        _entry: &'a str,
        inputs: &'a [Input],
        _options: &'a VerifyOptions,
        _cancel: &'a Cancel,
    ) -> BoxFuture<'a, Option<Vec<Observation>>> {
        let source = source(candidate);
        let answer = if source.contains("same") { "same" } else { source };
        let observed = vec![Observation { input: format!("{} inputs", inputs.len()), answer: answer.into() }];
        Box::pin(std::future::ready(Some(observed)))
    }

    /// A program that says `boom` breaks when it is run at all.
    fn smoke<'a>(
        &'a self,
        candidate: &'a Candidate,
        _options: &'a VerifyOptions,
        _cancel: &'a Cancel,
    ) -> BoxFuture<'a, Verdict> {
        let verdict = if source(candidate).contains("boom") {
            Verdict::Failed(report(Some(FailureKind::Crash), 0))
        } else {
            Verdict::NothingToCheck { why: "nothing broke".into() }
        };
        Box::pin(std::future::ready(verdict))
    }

    fn tier(&self) -> Option<Tier> {
        Some(Tier::L)
    }
}

/// A task on a scripted model, ready to run.
struct Bench {
    agent: Agent,
    judge: Arc<ByWords>,
    task: Task,
    folder: tempfile::TempDir,
}

/// What was to be heard of a task.
struct Heard {
    result: anyhow::Result<Outcome>,
    events: Vec<Event>,
    transcript: String,
}

fn settings() -> Settings {
    Settings { probe: false, ..Settings::default() }
}

fn bench(script: Script, settings: Settings, effort: Effort) -> Bench {
    let judge = Arc::new(ByWords::default());
    let engine = Engine::start_scripted(script);
    let agent = Agent::new(engine, Arc::clone(&judge) as Arc<dyn Judge>, None, settings).unwrap();
    let task = Task {
        id: "t".into(),
        prompt: "Write a Python function f(). assert f() == 1".into(),
        scope: Scope::Standalone,
        checks: vec![Check::Asserts { source: "assert f() == 1\n".into(), hidden: false }],
        language: None,
        effort,
    };
    Bench { agent, judge, task, folder: tempfile::tempdir().unwrap() }
}

impl Bench {
    async fn run(&self) -> Heard {
        self.run_with(|_| None).await
    }

    /// Runs the task; `react` may answer each event with a command.
    async fn run_with(&self, react: impl FnMut(&Event) -> Option<Command>) -> Heard {
        self.run_and_tell(react, || {}).await
    }

    /// As [`Self::run_with`]; `taken` is called whenever the agent has taken a command from its queue.
    async fn run_and_tell(&self, mut react: impl FnMut(&Event) -> Option<Command>, taken: impl Fn()) -> Heard {
        let (events, mut heard) = mpsc::channel(EVENTS_MAX);
        let (say, commands) = mpsc::channel(COMMANDS_MAX);
        let transcript = Transcript::create(self.folder.path(), "t");
        let path: PathBuf = transcript.path().unwrap().to_owned();
        let run = async {
            let mut line = Line::new(events, commands, Cancel::new(), transcript);
            self.agent.run(&self.task, &mut line).await
        };
        let listen = async {
            let mut all = Vec::new();
            while let Some(event) = heard.recv().await {
                if let Some(command) = react(&event) {
                    say.send(command).await.unwrap();
                    while say.capacity() < COMMANDS_MAX && !say.is_closed() {
                        tokio::task::yield_now().await;
                    }
                    taken();
                }
                all.push(event);
            }
            all
        };
        let (result, events) = tokio::join!(run, listen);
        Heard { result, events, transcript: std::fs::read_to_string(path).unwrap() }
    }
}

impl Heard {
    fn outcome(&self) -> &Outcome {
        self.result.as_ref().unwrap()
    }

    /// Candidates of each round.
    fn rounds(&self) -> Vec<u32> {
        let of = |event: &Event| match event {
            Event::Round { candidates, .. } => Some(*candidates),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    fn shifts(&self) -> Vec<(ShiftReason, u32)> {
        let of = |event: &Event| match event {
            Event::Shifted { why, thinking_tokens, .. } => Some((*why, *thinking_tokens)),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    fn lines(&self, kind: &str) -> Vec<serde_json::Value> {
        let lines = self.transcript.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["line"] == kind).collect()
    }
}

fn code(body: &str) -> String {
    format!("So.\n\n```python\ndef f():\n    return {body}\n```\n")
}

/// Words that do not repeat themselves.
fn words(count: usize) -> String {
    (0..count).map(|n| format!(" w{n}")).collect()
}

#[tokio::test]
async fn a_reply_to_a_stub_goes_on_from_it_and_the_answer_is_the_whole_function() {
    let stub = "def f():\n    \"\"\"One.\n    >>> f()\n    1\n    \"\"\"\n";
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    let script = Script::answering(move |ask| {
        asked.lock().unwrap().push(ask.prompt.clone());
        let body = if ask.nth == 0 { "    return 0  # wrong\n" } else { "    return 1  # right\n" };
        Some(Reply::new(format!("{body}```\nThat is all there is to say about it.")))
    });
    let mut bench = bench(script, settings(), Effort::Auto);
    bench.task.prompt = format!("Complete this function:\n\n```python\n{stub}    pass\n```\n");
    let heard = bench.run().await;
    let outcome = heard.outcome();
    assert_eq!(
        (outcome.status, outcome.answer.as_str()),
        (Status::Verified, format!("{stub}    return 1  # right\n").as_str())
    );
    let prompts = seen.lock().unwrap();
    assert!(
        prompts.len() > 1 && prompts.iter().all(|prompt| prompt.ends_with(&format!("```python\n{stub}"))),
        "{prompts:?}"
    );
}

/// A model that does not go on from the stub but begins anew is heard to its end. (Slowly, so that a stop would come in time.)
#[tokio::test]
async fn a_reply_to_a_stub_that_begins_anew_is_not_cut_where_it_does() {
    let stub = "def f():\n    \"\"\"One.\n    >>> f()\n    1\n    \"\"\"\n";
    let anew = format!("Let me think.\n```python\n{stub}    value = 1\n    return value  # right\n```\n");
    let script = Script::answering(move |_| Some(Reply::new(anew.clone()).slow(Duration::from_millis(10))));
    let mut bench = bench(script, settings(), Effort::Auto);
    bench.task.prompt = format!("Complete this function:\n\n```python\n{stub}    pass\n```\n");
    let heard = bench.run().await;
    let outcome = heard.outcome();
    assert_eq!((outcome.status, outcome.rounds), (Status::Verified, 1), "{outcome:?}");
    assert!(outcome.answer.ends_with("    return value  # right\n"), "{}", outcome.answer);
}

#[tokio::test]
async fn a_pass_at_the_first_fence_ends_the_generation() {
    let chatter = Reply::new(code("right") + &words(2000)).slow(Duration::from_millis(2));
    let bench = bench(Script::new([chatter]), settings(), Effort::Window(4000));
    let heard = bench.run().await;
    let outcome = heard.outcome();
    assert_eq!((outcome.status, outcome.rounds), (Status::Verified, 1));
    assert_eq!(outcome.answer, "def f():\n    return right\n");
    assert_eq!(heard.lines("trajectory")[0]["trajectory"]["finish"], "stopped");
    assert!(outcome.usage.generated_tokens() < 2000, "{:?}", outcome.usage);
    assert_eq!(bench.judge.asked.lock().unwrap().len(), 1, "the same program is not run twice");
}

#[tokio::test]
async fn a_crash_is_repaired_with_its_traceback() {
    let prompts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&prompts);
    let script = Script::answering(move |ask| {
        seen.lock().unwrap().push(ask.prompt.clone());
        Some(Reply::new(code(if ask.nth < 4 { "boom" } else { "right" })))
    });
    let heard = bench(script, settings(), Effort::Auto).run().await;
    assert_eq!((heard.outcome().status, heard.outcome().rounds), (Status::Verified, 3));
    assert_eq!(heard.rounds(), [1, 3, 1], "drawn again before it is mended");
    let prompts = prompts.lock().unwrap();
    assert!(!prompts[0].contains("quokka"));
    let mended = prompts.last().unwrap();
    assert!(mended.contains("was run and broke") && mended.contains("quokka"), "{mended}");
    assert!(mended.contains("return boom"), "the model sees what it is to repair");
}

#[tokio::test]
async fn a_wrong_answer_is_thought_through_again_with_a_wider_window() {
    let script = Script::answering(|ask| {
        let answer = if ask.nth == 0 { "def f():\n    return 0\n```\n" } else { "def f():\n    return right\n```\n" };
        Some(Reply::new(words(400)).after_shift(answer))
    });
    let heard = bench(script, settings(), Effort::Window(40)).run().await;
    assert_eq!(heard.outcome().status, Status::Verified, "{:?}", heard.outcome());
    assert_eq!(heard.rounds(), [1, 3], "more candidates than before");
    let shifts = heard.shifts();
    assert_eq!(shifts[0], (ShiftReason::Budget, 40));
    assert_eq!(shifts[1], (ShiftReason::Budget, 80), "twice the thinking");
}

#[tokio::test]
async fn the_best_candidate_so_far_is_kept() {
    let script = Script::answering(|ask| {
        let passed = [3, 7, 5, 1, 2, 4, 6].get(ask.nth).copied().unwrap_or(0);
        Some(Reply::new(code(&format!("{}  # {passed} of 9", ask.nth))))
    });
    let heard = bench(script, Settings { rounds: Some(2), ..settings() }, Effort::Auto).run().await;
    let outcome = heard.outcome();
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.answer.contains("# 7 of 9"), "{}", outcome.answer);
    assert!(matches!(&outcome.verdict, Some(Verdict::Failed(report)) if report.passed == 7));
    assert_eq!(outcome.rounds, 3);
}

#[tokio::test]
async fn of_several_candidates_the_first_that_passes_stops_all() {
    let script = Script::answering(|ask| {
        let body = if ask.candidate == 2 { "right" } else { "0" };
        Some(Reply::new(code(body) + &words(1500)).slow(Duration::from_millis(2)))
    });
    let heard = bench(script, Settings { samples: Some(4), ..settings() }, Effort::Window(3500)).run().await;
    assert_eq!(heard.outcome().status, Status::Verified);
    assert_eq!(heard.rounds(), [4]);
    let trajectories = heard.lines("trajectory");
    assert_eq!(trajectories.len(), 4);
    assert!(trajectories.iter().all(|line| line["trajectory"]["finish"] == "stopped"), "{trajectories:?}");
}

#[tokio::test]
async fn with_nothing_to_run_candidates_are_grouped_by_behaviour_and_that_is_said() {
    let script = Script::answering(|ask| {
        let body = ["other", "same + 0", "0 + same"][ask.candidate as usize];
        Some(Reply::new(format!("```python\ndef f(n: int) -> int:\n    return {body}\n```\n")))
    });
    let mut bench = bench(script, Settings { samples: Some(3), ..settings() }, Effort::Auto);
    bench.task.checks.clear();
    bench.task.prompt = "Write a Python function f(n: int) -> int.".into();
    let heard = bench.run().await;
    let outcome = heard.outcome();
    assert_eq!(outcome.status, Status::Unverified);
    assert!(outcome.answer.contains("same + 0"), "{}", outcome.answer);
    assert!(outcome.notes.iter().any(|note| note.contains("of 3 candidates 2 behave alike")), "{:?}", outcome.notes);
    assert!(bench.judge.asked.lock().unwrap().is_empty(), "there is nothing to judge by");
}

#[tokio::test]
async fn a_cancelled_task_keeps_its_transcript_and_what_it_wrote() {
    let script = Script::new([Reply::new(words(2000)).slow(Duration::from_millis(5))]);
    let bench = bench(script, settings(), Effort::Window(4000));
    let (mut pieces, mut said) = (0, false);
    let heard = bench
        .run_with(|event| {
            pieces += usize::from(matches!(event, Event::Piece { .. }));
            (pieces == 5 && !std::mem::replace(&mut said, true)).then_some(Command::Cancel)
        })
        .await;
    assert_eq!(heard.outcome().status, Status::Cancelled);
    assert_eq!(heard.lines("task").len(), 1);
    assert!(heard.lines("text").iter().any(|line| line["text"].as_str().unwrap().contains("w1")));
    assert_eq!(heard.lines("trajectory")[0]["trajectory"]["finish"], "cancelled");
    assert_eq!(heard.lines("outcome")[0]["outcome"]["status"], "cancelled");
}

#[tokio::test]
async fn a_prompt_longer_than_the_context_is_a_value() {
    let mut bench = bench(Script::new(["never said"]), settings(), Effort::Auto);
    bench.task.prompt = words(9000);
    let outcome = bench.run().await.result.unwrap();
    assert_eq!((outcome.status, outcome.rounds), (Status::LimitReached, 0));
    assert!(outcome.notes.iter().any(|note| note.contains("no room for an answer")), "{:?}", outcome.notes);
}

#[tokio::test]
async fn a_context_that_fills_up_is_a_value() {
    // Without a word for "after the shift" the reply goes on until its allowance or the context ends.
    let mut script = Script::answering(|_| Some(Reply::new(words(3000))));
    script.context_tokens_max = 400;
    let outcome = bench(script, settings(), Effort::Deep).run().await.result.unwrap();
    assert_eq!(outcome.status, Status::LimitReached, "{outcome:?}");
    assert!(outcome.candidate.is_none());
}

#[tokio::test]
async fn the_user_can_ask_for_the_answer_now() {
    let reply = Reply::new(words(3000)).after_shift("def f():\n    return right\n```\n");
    let script = Script::new([reply.slow(Duration::from_millis(2))]);
    let bench = bench(script, settings(), Effort::Window(3500));
    let mut asked = false;
    let heard = bench
        .run_with(|event| {
            let first = matches!(event, Event::Piece { .. }) && !std::mem::replace(&mut asked, true);
            first.then_some(Command::AnswerNow)
        })
        .await;
    assert_eq!(heard.outcome().status, Status::Verified);
    let [(ShiftReason::AnswerNow, thinking)] = heard.shifts()[..] else { panic!("{:?}", heard.shifts()) };
    assert!(thinking < 3000, "{thinking}");
}

#[tokio::test]
async fn the_user_can_give_it_more_to_think() {
    // The model does not begin to speak before the agent has heard the user.
    let (hear, heard) = std::sync::mpsc::channel::<()>();
    let heard = std::sync::Mutex::new(heard);
    let script = Script::answering(move |_| {
        heard.lock().unwrap().recv_timeout(Duration::from_secs(60)).ok()?;
        Some(Reply::new(words(3000)).after_shift("def f():\n    return right\n```\n"))
    });
    let bench = bench(script, settings(), Effort::Window(60));
    let more = |event: &Event| matches!(event, Event::Round { .. }).then_some(Command::ThinkMore { tokens: 90 });
    let heard = bench.run_and_tell(more, || _ = hear.send(())).await;
    assert_eq!(heard.shifts(), [(ShiftReason::Budget, 150)]);
    assert_eq!(heard.outcome().usage.thinking_tokens, 150);
}

#[tokio::test]
async fn a_window_of_nothing_answers_at_once() {
    let script = Script::new([Reply::new("never said").after_shift("def f():\n    return right\n```\n")]);
    let heard = bench(script, settings(), Effort::Window(0)).run().await;
    assert_eq!(heard.outcome().status, Status::Verified);
    assert_eq!(heard.outcome().usage.thinking_tokens, 0);
    assert_eq!(heard.shifts(), [(ShiftReason::Budget, 0)]);
}

#[tokio::test]
async fn a_reply_without_code_is_reminded_once() {
    let heard = bench(Script::new(["Just words.".to_owned(), code("right")]), settings(), Effort::Auto).run().await;
    assert_eq!((heard.outcome().status, heard.outcome().rounds), (Status::Verified, 2));
    let heard = bench(Script::answering(|_| Some(Reply::new("Words."))), settings(), Effort::Auto).run().await;
    assert_eq!(
        (heard.outcome().status, heard.rounds()),
        (Status::Failed, vec![1, 1, 3]),
        "reminded, drawn again, ended"
    );
    assert_eq!(heard.outcome().answer, "Words.", "what was said is never kept from the user");
}

#[tokio::test]
async fn an_engine_that_breaks_is_an_error_and_is_in_the_transcript() {
    let heard = bench(Script::new([Reply::new(words(20)).failing_after(4)]), settings(), Effort::Auto).run().await;
    assert!(heard.result.is_err());
    assert_eq!(heard.lines("error").len(), 1, "{}", heard.transcript);
}

#[tokio::test]
async fn the_papers_mode_neither_stops_early_nor_revises() {
    let reply = Reply::new(code("0") + &words(50));
    let exact = Settings { paper_exact: true, ..settings() };
    let heard = bench(Script::new([reply]), exact, Effort::Window(2000)).run().await;
    assert_eq!((heard.outcome().status, heard.outcome().rounds), (Status::Failed, 1));
    assert_eq!(heard.lines("trajectory")[0]["trajectory"]["finish"], "end_of_turn", "judged only at its end");
    let heard = bench(Script::new([Reply::new(words(5000)).after_shift(code("right"))]), exact_again(), Effort::Auto)
        .run()
        .await;
    assert_eq!(heard.shifts(), [(ShiftReason::Budget, 4096)], "the paper's window, whatever the task");
    let text = heard.lines("trajectory")[0]["trajectory"]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("\n\nI overthought it, the final answer should be:\n\nSo."), "{}", &text[text.len() - 200..]);
}

#[tokio::test]
async fn the_makers_window_is_a_ceiling_unless_the_user_says_otherwise() {
    let long = || Script::new([Reply::new(words(5000)).after_shift(code("right"))]);
    let advised = || Settings { traits: Traits { window_tokens: Some(20), ..Traits::default() }, ..settings() };
    let heard = bench(long(), advised(), Effort::Auto).run().await;
    assert_eq!(heard.shifts(), [(ShiftReason::Budget, 20)]);
    let heard = bench(long(), advised(), Effort::Window(100)).run().await;
    assert_eq!(heard.shifts(), [(ShiftReason::Budget, 100)]);
}

fn exact_again() -> Settings {
    Settings { paper_exact: true, ..settings() }
}

#[tokio::test]
async fn a_following_task_sees_the_earlier_ones_and_decodes_only_what_is_new() {
    let script = Script::answering(|ask| {
        let body = if (1..5).contains(&ask.nth) { "boom" } else { "right" };
        Some(Reply::new(format!("Turn {}.\n\n{}", ask.nth, code(body))))
    });
    let mut bench = bench(script, settings(), Effort::Window(200));
    let mut session = z1::agent::sessions::Session::new(None);
    let mut said_before = 0;
    for turn in 0..5 {
        // The second task needs a second round; what is said in it stays as well.
        bench.task.prompt = format!("Write a Python function f(), number {turn}. assert f() == 1");
        let (events, mut heard) = mpsc::channel(EVENTS_MAX);
        let (_say, commands) = mpsc::channel(COMMANDS_MAX);
        let mut line = Line::new(events, commands, Cancel::new(), Transcript::none());
        let work = async {
            let outcome = bench.agent.run_in(&bench.task, &mut session, &mut line).await.unwrap();
            drop(line);
            outcome
        };
        let mut prefills = Vec::new();
        let listen = async {
            while let Some(event) = heard.recv().await {
                if let Event::Prefill { done, total, reused } = event {
                    assert!(done <= total);
                    prefills.push((total, reused));
                }
            }
        };
        let (outcome, ()) = tokio::join!(work, listen);
        assert_eq!(outcome.status, Status::Verified, "{outcome:?}");
        let reused = prefills.first().unwrap().1;
        // The last token of a reply that a pass ended was drawn and never decoded.
        assert!(reused + 1 >= said_before, "turn {turn}: of {said_before} said before {reused} were in the cache");
        let last_prompt = prefills.last().unwrap().0;
        said_before = last_prompt + if outcome.rounds == 1 { outcome.usage.generated_tokens() } else { 0 };
    }
    let said: String = session.alone.messages().iter().map(|message| message.content.clone() + "|").collect();
    assert!(said.contains("number 0") && said.contains("number 4") && said.contains("quokka"), "{said}");
    assert!(session.alone.entries.iter().filter(|entry| entry.kind == Kind::System).count() <= 1);
    assert!(session.conversation.entries.is_empty());
}

#[tokio::test]
async fn a_conversation_of_programs_that_outgrows_the_window_is_cut_and_that_is_said() {
    let mut script =
        Script::answering(|ask| Some(Reply::new(format!("{}{}", words(300), code(&format!("right + {}", ask.nth))))));
    script.context_tokens_max = 2048;
    let mut bench = bench(script, settings(), Effort::Window(400));
    let mut session = z1::agent::sessions::Session::new(None);
    let mut steps = Vec::new();
    for turn in 0..6 {
        bench.task.prompt = format!("Write a Python function f(), number {turn}. assert f() == 1");
        let (events, mut heard) = mpsc::channel(EVENTS_MAX);
        let (_say, commands) = mpsc::channel(COMMANDS_MAX);
        let mut line = Line::new(events, commands, Cancel::new(), Transcript::none());
        let work = async {
            let outcome = bench.agent.run_in(&bench.task, &mut session, &mut line).await.unwrap();
            drop(line);
            outcome
        };
        let listen = async {
            while let Some(event) = heard.recv().await {
                if let Event::Step { text } = event {
                    steps.push(text);
                }
            }
        };
        let (outcome, ()) = tokio::join!(work, listen);
        assert_eq!(outcome.status, Status::Verified, "turn {turn}: {outcome:?}");
    }
    assert!(steps.iter().any(|text| text.contains("the thinking of earlier tasks went")), "{steps:?}");
    let said: String = session.alone.messages().iter().map(|message| message.content.clone()).collect();
    assert!(said.contains("number 0") && said.contains("number 5"), "{said}");
}

/// A task that states no check.
fn unchecked(script: Script, prompt: &str) -> Bench {
    let mut bench = bench(script, Settings::default(), Effort::Auto);
    bench.task.checks.clear();
    bench.task.prompt = prompt.into();
    bench
}

#[tokio::test]
async fn any_language_and_any_words_are_an_answer() {
    let page = "Here is a page:\n\n```html\n<form></form>\n```\n\nIt has a form and this explanation goes on.\n";
    let heard = unchecked(Script::new([page]), "Write an HTML page with a login form").run().await;
    assert_eq!((heard.outcome().status, heard.outcome().answer.as_str()), (Status::Unverified, "<form></form>\n"));
    let three = "```html\n<b></b>\n```\n\n```css\nb { color: red }\n```\n\n```javascript\nlet a = 1;\n```\n";
    let heard = unchecked(Script::new([three]), "Create a web page with a red button").run().await;
    assert_eq!((heard.outcome().status, heard.outcome().answer.as_str()), (Status::Unverified, three.trim()));
    let words = "It maps keys to numbers:\n\n```python\nhash(1)\n```\n\nThat is all.";
    let heard = unchecked(Script::new([words]), "How does a hash function work?").run().await;
    assert_eq!((heard.outcome().status, heard.outcome().answer.as_str()), (Status::Unverified, words));
}

#[tokio::test]
async fn a_program_without_tests_is_run_before_it_is_shown() {
    let script = Script::answering(|ask| Some(Reply::new(code(if ask.nth == 0 { "boom" } else { "fine" }))));
    let heard = unchecked(script, "Write a Python function f().").run().await;
    assert_eq!((heard.outcome().status, heard.rounds()), (Status::Unverified, vec![1, 3]), "{:?}", heard.outcome());
    assert!(heard.outcome().answer.contains("fine"));
    let script = Script::answering(|_| Some(Reply::new(code("boom"))));
    let heard = unchecked(script, "Write a Python function f().").run().await;
    assert_eq!(heard.outcome().status, Status::Failed);
}

#[tokio::test]
async fn the_same_wrong_program_is_not_judged_or_paid_for_again_and_again() {
    let script = Script::answering(|_| Some(Reply::new(code("0") + &words(500)).slow(Duration::from_millis(1))));
    let bench = bench(script, Settings::default(), Effort::Auto);
    let heard = bench.run().await;
    assert_eq!(heard.outcome().status, Status::Failed);
    assert_eq!(bench.judge.asked.lock().unwrap().len(), 1, "one program, one trial");
    assert_eq!(heard.rounds(), [1, 3, 1], "drawn again, mended once, ended");
    let most = heard.outcome().usage.generated_tokens();
    assert!(most < 6 * 60, "a failed task costs a few replies that end at their fence: {most}");
}

#[tokio::test]
async fn what_a_task_may_cost_is_planned_and_kept() {
    // A model that never ends its turn and never writes a fence.
    let script = Script::answering(|_| Some(Reply::new(words(50)).endless()));
    let heard = bench(script, Settings::default(), Effort::Auto).run().await;
    let cost = heard.outcome().usage.generated_tokens();
    assert!(cost <= 4096 + 2 * 2048 + 64, "{cost}");
    let planned = heard
        .events
        .iter()
        .any(|event| matches!(event, Event::Step { text } if text.starts_with("planned: at most 4096")));
    assert!(planned, "{:?}", heard.events.first());
}
