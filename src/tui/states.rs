//! Every state of the interface that has a name, so that a person can look at it and a test can hold it.
//! Each is reached by messages only, like in life.
//!
//! Not for: real tasks.

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyModifiers};

use super::app::keys::Key;
use super::app::{App, Effect, Msg};
use super::backend::{Incoming, ModelRow, Report, SessionRow};
use super::options::TuiOptions;
use crate::event::{Event, FileChange};
use crate::model_store::offer::Offer;
use crate::model_store::recommend::Row;
use crate::task::{
    Budget, Complexity, Failure, FailureKind, Level, Outcome, Part, Report as Evidence, ShiftReason, Status, Tier,
    Usage, Verdict,
};

/// A name, what it shows, and how it is reached from a fresh start.
pub struct NamedState {
    pub name: &'static str,
    pub about: &'static str,
    reach: fn(&mut Player<'_>),
}

/// Every named state, in the order of a session.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of a type with a lifetime is no `fn` for all of them"
)]
pub const STATES: &[NamedState] = &[
    state("loading", "the model is being loaded", |p| p.event(Event::Loading { fraction: 0.42 })),
    state("empty", "ready, nothing asked yet", |p| p.ready()),
    state("offer", "only the model that z1 carries is there; a real one is offered", |p| p.offered()),
    state("declined", "the offer was declined", |p| {
        p.offered();
        p.key("ctrl+x");
    }),
    state("fetching", "the offered model is being fetched", |p| p.fetching()),
    state("fetched", "the offered model is there", |p| {
        p.fetching();
        p.report(Report::PullEnded { name: MODEL_OFFERED.to_owned(), why: None, hint: None });
    }),
    state("commands", "completing a command", |p| {
        p.ready();
        p.typed("/mo");
    }),
    state("files", "completing a file", |p| {
        p.ready();
        p.typed("look at @main");
    }),
    state("paste", "a large paste is folded", |p| {
        p.ready();
        p.typed("why does this fail? ");
        p.send(Msg::Paste("line\n".repeat(120)));
    }),
    state("prefill", "the prompt is being read", |p| {
        p.asked("sum the even numbers");
        p.event(Event::Prefill { done: 900, total: 2100, reused: 512 });
    }),
    state("thinking", "thinking against the window, folded", |p| p.thinking()),
    state("thinking_open", "thinking, opened", |p| {
        p.thinking();
        p.key("ctrl+o");
    }),
    state("think_more", "the window was widened", |p| {
        p.thinking();
        p.key("ctrl+t");
    }),
    state("shifted", "the window shifted: budget used up", |p| p.shifted()),
    state("answering", "the answer streams, a fence is open", |p| {
        p.shifted();
        p.piece(
            Part::Answer,
            "Every *even* number is added:\n\n```python\ndef sum_even(numbers):\n    return sum(n for",
        );
    }),
    state("queued", "typed during generation", |p| {
        p.shifted();
        p.typed("and then the odd ones");
        p.key("enter");
        p.typed("half typed");
    }),
    state("verifying", "the code runs behind walls", |p| p.verifying()),
    state("failed", "the check failed", |p| {
        p.verifying();
        p.event(Event::Verified { candidate: 0, verdict: Verdict::Failed(evidence(3, 2)) });
        p.ended(Status::Failed);
    }),
    state("verified", "the check passed", |p| p.verified()),
    state("stopped", "stopped by Esc, what was said stays", |p| {
        p.shifted();
        p.piece(Part::Answer, "Every even number is\n");
        p.key("esc");
        p.ended(Status::Cancelled);
    }),
    state("candidates", "four candidates side by side", |p| p.candidates()),
    state("review", "a change waits for the user", |p| p.review()),
    state("review_partial", "a hunk is left out", |p| {
        p.review();
        p.key("down");
        p.key("space");
    }),
    state("ask_again", "saying what should be different", |p| {
        p.review();
        p.key("s");
        p.send(Msg::Paste("keep the old name".to_owned()));
    }),
    state("accepted", "the change was accepted", |p| {
        p.review();
        p.key("enter");
        p.ended(Status::Verified);
    }),
    state("sessions", "choosing an earlier session", |p| p.sessions()),
    state("models", "choosing a model", |p| p.models()),
    state("help", "every key", |p| {
        p.ready();
        p.key("?");
    }),
    state("shell", "a command ran in the sandbox", |p| {
        p.ready();
        p.report(Report::Shell {
            command: "cargo test".to_owned(),
            output: "\u{1b}[32mrunning\u{1b}[0m 3 tests\ntest a ... ok\ntest b ... FAILED\n".to_owned(),
            exit: Some(101),
            ended: None,
            tier: Tier::F,
            wall_ms: 1420,
        });
    }),
    state("markdown", "headings, lists, a table, wide characters", |p| {
        p.ready();
        p.report(Report::Text { title: "notes".to_owned(), body: MARKDOWN.to_owned() });
    }),
    state("hostile", "the model tries to write to the terminal", |p| {
        p.shifted();
        p.piece(Part::Answer, "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}]52;c;aGk=\u{7} adm\u{202e}nimda \u{9b}31m done\n\n");
        p.ended(Status::Unverified);
    }),
    state("fatal", "the worker is gone", |p| {
        p.event(Event::Fatal {
            message: "the model needs 9.1 GiB, 5.2 GiB are free".to_owned(),
            hint: Some("take a smaller quantisation: z1 models pull z1-7b-q4".to_owned()),
        });
    }),
];

const MARKDOWN: &str = "# Title\n\nSome **bold**, *slanted* and `code` words, 漢字 and 👩‍💻 and a [link](https://example.org).\n\n- one\n- two\n  1. nested\n\n| name | 数量 |\n|:--|--:|\n| apples 🍎 | 3 |\n| a longer name that wraps in a narrow terminal | 12 |\n\n> quoted\n\n```rust\nfn main() { println!(\"hi\"); } // comment\n```\n";

const fn state(name: &'static str, about: &'static str, reach: fn(&mut Player<'_>)) -> NamedState {
    NamedState { name, about, reach }
}

impl NamedState {
    /// The application in this state.
    pub fn build(&self, columns: u16, rows: u16, options: &TuiOptions) -> App {
        self.play(columns, rows, options, |_, _| {})
    }

    /// Like [`NamedState::build`]; `seen` is shown the application and what is to be done, at the start
    /// and after every message.
    pub fn play(&self, columns: u16, rows: u16, options: &TuiOptions, mut seen: impl FnMut(&App, &[Effect])) -> App {
        let (app, effects) = App::new(options, columns, rows, vec!["an earlier input".to_owned()]);
        seen(&app, &effects);
        let mut player = Player { app, seen: &mut seen };
        (self.reach)(&mut player);
        player.app
    }
}

/// The state of this name.
pub fn named(name: &str) -> Option<&'static NamedState> {
    STATES.iter().find(|state| state.name == name)
}

/// Feeds messages to an application.
struct Player<'a> {
    app: App,
    seen: &'a mut dyn FnMut(&App, &[Effect]),
}

impl Player<'_> {
    fn send(&mut self, message: Msg) {
        let effects = self.app.update(message);
        (self.seen)(&self.app, &effects);
    }

    fn event(&mut self, event: Event) {
        self.send(Msg::Incoming(Incoming::Event(event)));
    }

    fn report(&mut self, report: Report) {
        self.send(Msg::Incoming(Incoming::Report(report)));
    }

    fn key(&mut self, name: &str) {
        let key = Key::parse(name).expect("the states use keys that exist");
        self.send(Msg::Key(KeyEvent::new(key.code, key.modifiers)));
    }

    fn typed(&mut self, text: &str) {
        for c in text.chars() {
            self.send(Msg::Key(KeyEvent::new(crossterm::event::KeyCode::Char(c), KeyModifiers::NONE)));
        }
    }

    fn ready(&mut self) {
        self.app.status.branch = Some("main".to_owned());
        let files = ["README.md", "src/main.rs", "src/domain.rs", "docs/main.md"];
        self.send(Msg::Files(files.map(str::to_owned).into()));
        let (model, offload) = ("Z1-7B Q4_K_M".to_owned(), "gpu 29/29".to_owned());
        self.event(Event::Ready { model, context_tokens_max: 16_384, offload });
    }

    fn offered(&mut self) {
        let (model, offload) = ("z1-nano".to_owned(), "cpu".to_owned());
        self.event(Event::Ready { model, context_tokens_max: 1024, offload });
        let fits = Some(Row {
            name: MODEL_OFFERED.to_owned(),
            quant: "Q4_K_M".to_owned(),
            bytes: 1_117_320_768,
            licence: "Apache-2.0".to_owned(),
            fits: true,
            tokens_per_second_max: Some(21.4),
        });
        self.report(Report::Offer { offer: Offer { installed: Vec::new(), fits } });
    }

    fn fetching(&mut self) {
        self.offered();
        self.key("ctrl+y");
        let pulling = |done_bytes| Report::Pulling {
            name: MODEL_OFFERED.to_owned(),
            done_bytes,
            total_bytes: Some(1_117_320_768),
        };
        self.report(pulling(4_000_000));
        self.send(Msg::Tick(Duration::from_secs(20)));
        self.report(pulling(404_000_000));
    }

    fn asked(&mut self, task: &str) {
        self.ready();
        self.typed(task);
        self.key("enter");
        self.event(Event::Started { task_id: "t".to_owned() });
    }

    fn classified(&mut self) {
        self.asked("sum the even numbers");
        self.event(Event::Prefill { done: 2100, total: 2100, reused: 512 });
        let probabilities = [0.1, 0.78, 0.12];
        let complexity =
            Complexity { level: Level::Moderate, probabilities, reasons: Vec::new(), features: Vec::new() };
        let budget = Budget {
            thinking_tokens_max: 1024,
            answer_tokens_max: 2048,
            rounds_max: 2,
            samples: 1,
            ..Budget::default()
        };
        self.event(Event::Classified { complexity, budget });
    }

    fn piece(&mut self, part: Part, text: &str) {
        let tokens = text.len() as u32 / 4;
        let text = text.to_owned();
        self.event(Event::Piece { candidate: 0, part, text, forced: part == Part::Shift, tokens });
    }

    fn thinking(&mut self) {
        self.classified();
        self.event(Event::Round { round: 0, candidates: 1 });
        self.piece(Part::Thinking, &THINKING.repeat(8));
        self.send(Msg::Tick(Duration::from_millis(12_400)));
    }

    fn shifted(&mut self) {
        self.thinking();
        self.event(Event::Shifted { candidate: 0, why: ShiftReason::Budget, thinking_tokens: 1024 });
        self.piece(Part::Shift, "I overthought it, the final answer should be:\n");
    }

    fn verifying(&mut self) {
        self.shifted();
        self.piece(
            Part::Answer,
            "```python\ndef sum_even(numbers):\n    return sum(n for n in numbers if n % 2 == 0)\n```\n",
        );
        self.event(Event::Finished { candidate: 0, tokens_per_second: 38.2 });
        let command = "python3 tests.py".to_owned();
        self.event(Event::Verifying { candidate: 0, tier: Tier::F, command });
        self.send(Msg::Tick(Duration::from_millis(13_900)));
    }

    fn verified(&mut self) {
        self.verifying();
        self.event(Event::Verified { candidate: 0, verdict: Verdict::Passed(evidence(5, 0)) });
        self.ended(Status::Verified);
    }

    fn ended(&mut self, status: Status) {
        let usage = Usage { thinking_tokens: 1024, forced_tokens: 10, answer_tokens: 41, ..Usage::default() };
        let (candidate, answer, verdict, rounds, notes) = (None, String::new(), None, 1, Vec::new());
        let outcome = Outcome { status, candidate, answer, verdict, usage, rounds, notes };
        self.event(Event::Ended { outcome: Box::new(outcome) });
    }

    fn candidates(&mut self) {
        self.classified();
        self.event(Event::Round { round: 0, candidates: 4 });
        for candidate in 0..4 {
            let text = THINKING.repeat(candidate as usize + 1);
            let (part, forced, tokens) = (Part::Thinking, false, 40 * (candidate + 1));
            self.event(Event::Piece { candidate, part, text, forced, tokens });
        }
        self.event(Event::Finished { candidate: 1, tokens_per_second: 90.0 });
        let command = "python3 tests.py".to_owned();
        self.event(Event::Verifying { candidate: 1, tier: Tier::F, command });
        self.event(Event::Verified { candidate: 0, verdict: Verdict::Failed(evidence(3, 2)) });
        self.event(Event::Verified { candidate: 3, verdict: Verdict::Passed(evidence(5, 0)) });
    }

    fn review(&mut self) {
        self.verifying();
        self.event(Event::Verified { candidate: 0, verdict: Verdict::Passed(evidence(5, 0)) });
        let before = EVEN_BEFORE.to_owned();
        let after = EVEN_AFTER.to_owned();
        let change = |path: &str, before: Option<String>, after: Option<String>| FileChange {
            path: path.to_owned(),
            added_lines: if before.is_some() { 4 } else { 6 },
            removed_lines: u32::from(before.is_some()),
            before,
            after,
        };
        let files = vec![
            change("report/sums.py", Some(before), Some(after)),
            change("tests/test_even.py", None, Some(EVEN_TEST.to_owned())),
        ];
        self.event(Event::Proposal { patch_id: 1, diff: String::new(), files });
    }

    fn sessions(&mut self) {
        self.ready();
        let row = |id: &str, title: &str, when: &str, tasks| SessionRow {
            id: id.to_owned(),
            title: title.to_owned(),
            when: when.to_owned(),
            tasks,
        };
        let sessions =
            vec![row("a1", "sum the even numbers", "2 hours ago", 3), row("b2", "parse the log", "yesterday", 1)];
        self.report(Report::Sessions { sessions });
    }

    fn models(&mut self) {
        self.ready();
        let row =
            |name: &str, detail: &str, current| ModelRow { name: name.to_owned(), detail: detail.to_owned(), current };
        let models = vec![row("z1-nano", "Q8_0, fits", false), row("z1-7b", "Q4_K_M, 4.7 GB, fits", true)];
        self.report(Report::Models { models });
    }
}

const MODEL_OFFERED: &str = "qwen2.5-coder-1.5b";

const EVEN_BEFORE: &str = "\"\"\"Sums for the report.\"\"\"\n\nfrom report.reader import read\n\n\ndef sum_even(numbers):\n    \"\"\"The sum of the even numbers.\"\"\"\n    return sum(n for n in numbers if n % 2)\n\n\ndef sum_odd(numbers):\n    \"\"\"The sum of the odd numbers.\"\"\"\n    return sum(n for n in numbers if n % 2 == 1)\n\n\ndef main(path):\n    numbers = read(path)\n    print(sum_even(numbers), sum_odd(numbers))\n";

const EVEN_AFTER: &str = "\"\"\"Sums for the report.\"\"\"\n\nfrom report.reader import read\n\n\ndef sum_even(numbers):\n    \"\"\"The sum of the even numbers.\"\"\"\n    return sum(n for n in numbers if n % 2 == 0)\n\n\ndef sum_odd(numbers):\n    \"\"\"The sum of the odd numbers.\"\"\"\n    return sum(n for n in numbers if n % 2 == 1)\n\n\ndef main(path):\n    numbers = read(path)\n    if not numbers:\n        print(\"nothing to sum\")\n        return\n    print(sum_even(numbers), sum_odd(numbers))\n";

const EVEN_TEST: &str = "from report.sums import sum_even\n\n\ndef test_even():\n    assert sum_even([1, 2, 4]) == 6\n    assert sum_even([]) == 0\n";

const THINKING: &str = "The list may be empty, so the sum begins at zero. A number is even when the remainder by 2 is 0;\nthat holds for negative numbers in Python as well: -3 % 2 is 1.\nLet me check with [1, 2, 4]: 1 is left out, 2 + 4 gives 6.\n";

fn evidence(passed: u32, failed: u32) -> Evidence {
    let failure = Failure {
        kind: FailureKind::WrongAnswer,
        name: "sum_even([1, 2, 4])".to_owned(),
        got: "got 1".to_owned(),
        expected: Some("6".to_owned()),
        frame: Some("sums.py:8  return sum(n for n in numbers if n % 2)".to_owned()),
    };
    Evidence {
        command: "python3 tests.py".to_owned(),
        passed,
        failed,
        failures: if failed > 0 { vec![failure] } else { Vec::new() },
        tier: Tier::F,
        wall_ms: 214,
        flags: Vec::new(),
    }
}
