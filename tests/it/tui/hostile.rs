//! Whatever a model, a program, a file name or a paste contains: nothing panics, nothing but text, colour and
//! cursor movement of our own reaches the terminal, and the screen stays what the state says.

use std::path::Path;

use proptest::prelude::*;
use z1::event::{Event, FileChange};
use z1::task::{
    Budget, Complexity, Failure, FailureKind, Level, Outcome, Part, Report as Evidence, Status, Tier, Usage, Verdict,
};
use z1::tui::app::Msg;
use z1::tui::text::stream::Stream;
use z1::tui::theme::Theme;
use z1::tui::{Incoming, ModelRow, PastTurn, Report, SessionRow, TuiOptions};

use super::emulator::Stage;

/// Sequences that terminals obey, and characters that terminals measure differently.
const GARBAGE: &[&str] = &[
    "\u{1b}]0;title\u{7}",
    "\u{1b}]2;title\u{1b}\\",
    "\u{1b}]52;c;ZXZpbA==\u{7}",
    "\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\",
    "\u{1b}]1337;File=:AAAA\u{7}",
    "\u{1b}]9;note\u{7}\u{7}\u{7}",
    "\u{1b}[2J\u{1b}[H\u{1b}[3J",
    "\u{1b}[?1049h\u{1b}[?1000h\u{1b}[?2004l\u{1b}[?25l",
    "\u{1b}[8;1;1t\u{1b}[6n\u{1b}[c\u{1b}[>c\u{1b}[?u",
    "\u{1b}[1;1r\u{1b}[5L\u{1b}[99A\u{1b}[31;1;5;8m",
    "\u{1b}P+q544e\u{1b}\\\u{1b}_G i=1;AAAA\u{1b}\\\u{1b}^x\u{1b}\\\u{1b}X\u{1b}\\",
    "\u{1b}c\u{1b}7\u{1b}8\u{1b}M\u{1b}D\u{1b}E\u{1b}(0\u{e}\u{f}",
    "\u{9b}2J\u{9d}0;t\u{9c}\u{90}q\u{9c}\u{85}\u{84}",
    "progress 10%\rprogress 99%\r\n\u{8}\u{8}\u{b}\u{c}\u{7f}\u{0}",
    "\u{1b}",
    "\u{1b}[",
    "\u{1b}]0;never ended",
    "adm\u{202e}nimda\u{2066}x\u{2069}\u{200f}\u{61c}",
    "\u{feff}zero\u{200b}width\u{2060}\u{ad}\u{2028}\u{2029}",
    "\u{200d}\u{200d}\u{fe0f}\u{20e3}\u{301}\u{301}",
    "👩‍💻👨‍👩‍👧‍👦🏳️‍🌈🇩🇪🇩1️⃣☺️☺︎",
    "漢字かな交じり文ﾊﾝｶｸ한글ก็็็็็็",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘",
    "\u{e0041}\u{e0042}\u{f0000}\u{10ffff}\u{fffe}\u{e000}",
    "```\n```` \n~~~\n| a |\n|-|\n|\u{1b}[31m|\n",
    "[x](javascript:\u{7}) <b>\u{1b}</b> ![i](\u{1b}]0;x\u{7})",
];

fn options(fullscreen: bool) -> TuiOptions {
    TuiOptions { fullscreen, ..TuiOptions::default() }
}

fn event(event: Event) -> Msg {
    Msg::Incoming(Incoming::Event(event))
}

fn report(report: Report) -> Msg {
    Msg::Incoming(Incoming::Report(report))
}

fn piece(part: Part, text: &str) -> Msg {
    event(Event::Piece { candidate: 0, part, text: text.to_owned(), forced: false, tokens: 1 })
}

/// Everything that can carry a text, with this text.
fn messages(text: &str) -> Vec<Msg> {
    let mut messages = of_a_task(text);
    messages.extend(besides_a_task(text));
    messages
}

fn of_a_task(text: &str) -> Vec<Msg> {
    let own = || text.to_owned();
    let failure =
        Failure { kind: FailureKind::Crash, name: own(), got: own(), expected: Some(own()), frame: Some(own()) };
    let evidence = Evidence {
        command: own(),
        passed: 1,
        failed: 1,
        failures: vec![failure],
        tier: Tier::L,
        wall_ms: 1,
        flags: vec![own()],
    };
    let (level, probabilities) = (Level::Complex, [0.1, 0.2, 0.7]);
    let complexity = Complexity { level, probabilities, reasons: vec![own()], features: Vec::new() };
    let budget =
        Budget { thinking_tokens_max: 10, answer_tokens_max: 10, rounds_max: 1, samples: 1, ..Budget::default() };
    let file = FileChange {
        path: own(),
        added_lines: 1,
        removed_lines: 1,
        before: Some(format!("a\n{text}\nb\n")),
        after: Some(format!("a\n{text}x\nb\n")),
    };
    let outcome = Outcome {
        status: Status::Failed,
        candidate: None,
        answer: own(),
        verdict: None,
        usage: Usage::default(),
        rounds: 1,
        notes: vec![own()],
    };
    vec![
        event(Event::Ready { model: own(), context_tokens_max: 100, offload: own() }),
        Msg::Files(vec![own()]),
        Msg::Paste(own()),
        Msg::Key(crossterm_enter()),
        event(Event::Started { task_id: own() }),
        event(Event::Classified { complexity, budget }),
        event(Event::Step { text: own() }),
        event(Event::Warning { text: own() }),
        piece(Part::Thinking, text),
        piece(Part::Shift, text),
        piece(Part::Answer, text),
        piece(Part::Answer, &format!("\n{text}\n\n")),
        Msg::Paste(own()),
        event(Event::Finished { candidate: 0, tokens_per_second: f32::NAN }),
        event(Event::Verifying { candidate: 0, tier: Tier::F, command: own() }),
        event(Event::Verified { candidate: 0, verdict: Verdict::Failed(evidence) }),
        event(Event::Verified { candidate: 9, verdict: Verdict::NothingToCheck { why: own() } }),
        event(Event::Verified { candidate: 9, verdict: Verdict::SandboxFailed { step: own(), why: own() } }),
        event(Event::Proposal { patch_id: 1, diff: own(), files: vec![file] }),
        report(Report::Text { title: own(), body: own() }),
        event(Event::Ended { outcome: Box::new(outcome) }),
    ]
}

fn besides_a_task(text: &str) -> Vec<Msg> {
    let own = || text.to_owned();
    let session = SessionRow { id: own(), title: own(), when: own(), tasks: 1 };
    let model = ModelRow { name: own(), detail: own(), current: false };
    let turn = PastTurn { task: own(), answer: own(), status: own() };
    vec![
        report(Report::Shell {
            command: own(),
            output: own(),
            exit: None,
            ended: Some(own()),
            tier: Tier::L,
            wall_ms: 1,
        }),
        report(Report::Sessions { sessions: vec![session] }),
        report(Report::Models { models: vec![model] }),
        report(Report::Resumed { id: own(), turns: vec![turn] }),
        report(Report::Refused { what: own(), why: own(), hint: Some(own()) }),
        Msg::Say { tone: z1::tui::cell::Tone::Bad, text: own() },
        event(Event::Fatal { message: own(), hint: Some(own()) }),
    ]
}

fn crossterm_enter() -> crossterm::event::KeyEvent {
    crossterm::event::KeyEvent::new(crossterm::event::KeyCode::Enter, crossterm::event::KeyModifiers::NONE)
}

fn survives(text: &str, fullscreen: bool) {
    let mut stage = Stage::new(40, 12, true, &options(fullscreen));
    for message in messages(text) {
        let shown = format!("{message:?}");
        stage.send(message);
        assert_eq!(stage.emulator.leaks(), [""; 0], "{text:?} leaked by {shown}");
    }
    stage.emulator.leave(&stage.app);
    let screen = stage.emulator.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && stage.emulator.leaks().is_empty(), "{text:?}");
}

#[test]
fn garbage_is_harmless_wherever_it_stands() {
    for text in GARBAGE {
        survives(text, false);
        survives(text, true);
    }
    survives(&GARBAGE.concat(), false);
    survives(&GARBAGE.concat().repeat(50), true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_that_nobody_thought_of_are_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&String::from_utf8_lossy(&bytes), false);
    }

    #[test]
    fn mixtures_cut_anywhere_are_harmless(parts in proptest::collection::vec((0..GARBAGE.len(), 1..40_usize), 1..12)) {
        let text: String = parts.iter().map(|(at, n)| GARBAGE[*at].chars().take(*n).collect::<String>()).collect();
        survives(&text, false);
    }
}

/// The examples of a Markdown specification; `None` where the shared data is not there.
fn examples(name: &str) -> Option<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/markdown").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    Some(rows.iter().map(|row| row["markdown"].as_str().unwrap().to_owned()).collect())
}

fn rows_of(stream: &Stream, width: usize) -> Vec<String> {
    let mut rows = Vec::new();
    stream.stable_rows(width, Theme::PLAIN, 0, |row| rows.push(row.text()));
    rows
}

#[test]
fn the_examples_of_the_specifications_stream_into_a_narrow_terminal() {
    for name in ["commonmark_spec.json", "gfm_spec.json"] {
        for (at, text) in examples(name).into_iter().flatten().enumerate() {
            let mut stage = Stage::new(24, 10, true, &options(false));
            stage.send(Msg::Key(crossterm_enter()));
            let mut stream = Stream::default();
            let mut before = Vec::new();
            for part in text.split_inclusive(['\n', '`', ' ']) {
                stream.push(part);
                let now = rows_of(&stream, 24);
                assert!(now.starts_with(&before), "{name} {at}: what was stable changed\n{before:?}\n{now:?}");
                before = now;
            }
            stream.finish();
            assert!(rows_of(&stream, 24).starts_with(&before), "{name} {at}");
            stage.send(report(Report::Text { title: name.to_owned(), body: text }));
            assert_eq!(stage.emulator.leaks(), [""; 0], "{name} {at}");
        }
    }
}
