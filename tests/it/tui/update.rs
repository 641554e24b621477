//! What a message does to the state, and which effects it asks for. Nothing here draws or waits.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use z1::error::Exit;
use z1::event::{Command, Decision, Event, FileChange};
use z1::model_store::offer::Offer;
use z1::model_store::recommend::Row;
use z1::task::{Budget, Complexity, Effort, Level, Outcome, Part, ShiftReason, Status, Tier, Usage, Verdict};
use z1::tui::app::keys::Key;
use z1::tui::app::turn::Phase;
use z1::tui::app::{App, Asked, EditPurpose, Effect, Msg, Panel, QUEUE_MAX};
use z1::tui::cell::Cell;
use z1::tui::{Incoming, Notify, PastTurn, Report, Request, SessionRow, Submit, TuiOptions};

/// An application that is talked to by hand.
struct Desk {
    app: App,
}

impl Desk {
    fn new() -> Self {
        Self::with(&TuiOptions::default())
    }

    fn with(options: &TuiOptions) -> Self {
        Self { app: App::new(options, 80, 24, vec!["older".to_owned(), "newer".to_owned()]).0 }
    }

    /// Ready, with a model.
    fn ready() -> Self {
        let mut desk = Self::new();
        desk.event(Event::Ready { model: "m".to_owned(), context_tokens_max: 4096, offload: "cpu".to_owned() });
        desk
    }

    /// A task is thinking.
    fn thinking() -> Self {
        let mut desk = Self::ready();
        desk.typed("a task");
        desk.key("enter");
        let complexity = Complexity {
            level: Level::Simple,
            probabilities: [0.9, 0.1, 0.0],
            reasons: Vec::new(),
            features: Vec::new(),
        };
        let budget =
            Budget { thinking_tokens_max: 100, answer_tokens_max: 50, rounds_max: 1, samples: 1, ..Budget::default() };
        desk.event(Event::Classified { complexity, budget });
        desk.event(Event::Round { round: 0, candidates: 1 });
        desk.piece(Part::Thinking, "hm");
        desk
    }

    fn reviewing() -> Self {
        let mut desk = Self::thinking();
        let change = |path: &str| FileChange {
            path: path.to_owned(),
            added_lines: 1,
            removed_lines: 1,
            before: Some("a\nb\n".to_owned()),
            after: Some("a\nc\n".to_owned()),
        };
        desk.event(Event::Proposal { patch_id: 7, diff: String::new(), files: vec![change("x.py"), change("y.py")] });
        desk
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        self.app.update(Msg::Incoming(Incoming::Event(event)))
    }

    fn report(&mut self, report: Report) -> Vec<Effect> {
        self.app.update(Msg::Incoming(Incoming::Report(report)))
    }

    fn piece(&mut self, part: Part, text: &str) -> Vec<Effect> {
        self.event(Event::Piece { candidate: 0, part, text: text.to_owned(), forced: false, tokens: 1 })
    }

    fn ended(&mut self, status: Status) -> Vec<Effect> {
        let (candidate, answer, verdict, usage) = (None, String::new(), None, Usage::default());
        let outcome = Outcome { status, candidate, answer, verdict, usage, rounds: 1, notes: Vec::new() };
        self.event(Event::Ended { outcome: Box::new(outcome) })
    }

    fn key(&mut self, name: &str) -> Vec<Effect> {
        let key = Key::parse(name).unwrap_or_else(|| panic!("{name} is no key"));
        self.app.update(Msg::Key(KeyEvent::new(key.code, key.modifiers)))
    }

    fn typed(&mut self, text: &str) {
        for c in text.chars() {
            self.app.update(Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
        }
    }

    fn line(&mut self, text: &str) -> Vec<Effect> {
        self.typed(text);
        self.key("esc");
        self.key("enter")
    }

    fn at(&mut self, seconds: u64) -> Vec<Effect> {
        self.app.update(Msg::Tick(Duration::from_secs(seconds)))
    }

    fn phase(&self) -> Option<&Phase> {
        self.app.turn.as_ref().map(|turn| &turn.phase)
    }

    fn last_note(&self) -> String {
        let note = |cell: &Cell| match cell {
            Cell::Note { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.app.transcript.cells().iter().rev().find_map(note).unwrap_or_default()
    }
}

fn command(command: Command) -> Effect {
    Effect::Send(Request::Command(command))
}

fn submits(effects: &[Effect]) -> Option<&Submit> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send(Request::Submit(submit)) => Some(submit),
        _ => None,
    })
}

#[test]
fn a_task_is_remembered_and_submitted_with_effort_and_files() {
    let mut desk = Desk::ready();
    desk.app.update(Msg::Files(vec!["src/a.rs".to_owned()]));
    desk.key("shift+tab");
    desk.app.update(Msg::Paste("look at @src/a.rs and @nope".to_owned()));
    let effects = desk.key("enter");
    assert_eq!(effects[0], Effect::Remember("look at @src/a.rs and @nope".to_owned()));
    let submit = submits(&effects).unwrap();
    assert_eq!((submit.effort, submit.files.as_slice()), (Effort::Deep, &["src/a.rs".to_owned()][..]));
    assert_eq!(desk.phase(), Some(&Phase::Waiting));
    assert!(desk.app.composer.is_empty());
}

#[test]
fn the_first_task_of_the_command_line_is_submitted_before_the_model_is_there() {
    let options = TuiOptions { first_task: Some("do it".to_owned()), ..TuiOptions::default() };
    let (app, effects) = App::new(&options, 80, 24, Vec::new());
    assert_eq!(submits(&effects).unwrap().text, "do it");
    assert!(app.turn.is_some() && app.status.loading.is_some());
}

#[test]
fn nothing_is_sent_for_an_empty_line() {
    let mut desk = Desk::ready();
    assert!(desk.key("enter").is_empty());
    desk.typed("  ");
    assert!(desk.key("enter").is_empty());
}

#[test]
fn what_is_typed_during_a_task_waits_and_is_sent_afterwards() {
    let mut desk = Desk::thinking();
    desk.typed("next");
    assert_eq!(submits(&desk.key("enter")), None);
    assert_eq!(desk.app.queue, ["next"]);
    let effects = desk.ended(Status::Verified);
    assert_eq!(submits(&effects).unwrap().text, "next");
    assert!(desk.app.queue.is_empty() && desk.app.turn.is_some());
}

#[test]
fn after_a_stop_the_queue_comes_back_to_be_edited() {
    let mut desk = Desk::thinking();
    for text in ["one", "two"] {
        desk.typed(text);
        desk.key("enter");
    }
    desk.typed("half");
    desk.key("esc");
    assert_eq!(submits(&desk.ended(Status::Cancelled)), None);
    assert_eq!(desk.app.composer.full_text(), "one\ntwo\nhalf");
}

#[test]
fn the_newest_queued_input_can_be_taken_back_by_arrow_up() {
    let mut desk = Desk::thinking();
    desk.typed("queued");
    desk.key("enter");
    desk.key("up");
    assert_eq!((desk.app.composer.full_text().as_str(), desk.app.queue.len()), ("queued", 0));
}

#[test]
fn the_queue_has_a_limit_and_loses_nothing() {
    let mut desk = Desk::thinking();
    for n in 0..=QUEUE_MAX {
        desk.typed(&n.to_string());
        desk.key("enter");
    }
    assert_eq!(desk.app.queue.len(), QUEUE_MAX);
    assert_eq!(desk.app.composer.full_text(), QUEUE_MAX.to_string());
}

#[test]
fn one_key_goes_round_the_efforts() {
    let mut desk = Desk::ready();
    let mut seen = Vec::new();
    for _ in 0..3 {
        desk.key("shift+tab");
        seen.push(desk.app.effort);
    }
    assert_eq!(seen, [Effort::Deep, Effort::Fast, Effort::Auto]);
}

#[test]
fn answer_now_acts_while_it_thinks_and_only_then() {
    assert_eq!(Desk::thinking().key("ctrl+n"), [command(Command::AnswerNow)]);
    assert!(Desk::ready().key("ctrl+n").is_empty());
    let mut desk = Desk::thinking();
    desk.piece(Part::Answer, "x");
    assert!(desk.key("ctrl+n").is_empty());
}

#[test]
fn think_more_widens_the_window_that_is_shown() {
    let mut desk = Desk::thinking();
    assert_eq!(desk.key("ctrl+t"), [command(Command::ThinkMore { tokens: 512 })]);
    assert_eq!(desk.app.turn.as_ref().unwrap().window(), Some(612));
}

#[test]
fn the_gauge_goes_from_thinking_over_the_shift_to_the_answer() {
    let mut desk = Desk::thinking();
    assert_eq!(desk.phase(), Some(&Phase::Thinking));
    desk.event(Event::Shifted { candidate: 0, why: ShiftReason::Budget, thinking_tokens: 100 });
    assert_eq!(desk.phase(), Some(&Phase::Shifted));
    desk.piece(Part::Answer, "x");
    assert_eq!(desk.phase(), Some(&Phase::Answering));
    let lane = &desk.app.turn.as_ref().unwrap().lanes[0];
    assert_eq!((lane.shifted, lane.thinking_tokens), (Some(ShiftReason::Budget), 100));
}

#[test]
fn esc_stops_once_and_what_was_said_stays() {
    let mut desk = Desk::thinking();
    desk.piece(Part::Answer, "kept words\n");
    assert_eq!(desk.key("esc"), [command(Command::Cancel)]);
    assert!(desk.key("esc").is_empty());
    desk.piece(Part::Answer, "late words\n");
    desk.ended(Status::Cancelled);
    let said = desk.app.transcript.markdown();
    assert!(said.contains("kept words") && !said.contains("late words"), "{said}");
}

#[test]
fn esc_gives_up_a_model_that_is_being_loaded_unless_something_was_typed() {
    let mut desk = Desk::new();
    desk.typed("x");
    assert!(desk.key("esc").is_empty());
    desk.key("backspace");
    assert_eq!(desk.key("esc"), [Effect::Send(Request::CancelLoad)]);
}

#[test]
fn ctrl_c_stops_then_leaves_and_forgets_in_between() {
    let mut desk = Desk::thinking();
    assert_eq!(desk.key("ctrl+c"), [command(Command::Cancel)]);
    assert_eq!(desk.key("ctrl+c"), [Effect::Leave(Exit::Interrupted)]);
    let mut desk = Desk::ready();
    desk.typed("x");
    desk.key("ctrl+c");
    assert!(desk.app.composer.is_empty());
    desk.at(10);
    assert!(desk.key("ctrl+c").is_empty());
    assert_eq!(desk.key("ctrl+c"), [Effect::Leave(Exit::Success)]);
}

#[test]
fn ctrl_d_leaves_an_empty_line_and_deletes_in_a_full_one() {
    let mut desk = Desk::ready();
    desk.typed("ab");
    desk.key("home");
    assert!(desk.key("ctrl+d").is_empty());
    assert_eq!(desk.app.composer.text(), "b");
    desk.key("ctrl+d");
    assert_eq!(desk.key("ctrl+d"), [Effect::Leave(Exit::Success)]);
}

#[test]
fn a_signal_stops_the_task_and_leaves() {
    let effects = Desk::thinking().app.update(Msg::Terminate);
    assert_eq!(effects, [command(Command::Cancel), Effect::Leave(Exit::Interrupted)]);
}

#[test]
fn the_exit_code_is_the_last_tasks() {
    let mut desk = Desk::thinking();
    desk.ended(Status::Failed);
    assert_eq!(desk.key("ctrl+d"), [Effect::Leave(Exit::VerificationFailed)]);
}

#[test]
fn commands_become_requests() {
    let sent = |line: &str| {
        let effects = Desk::ready().line(line);
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Remember(_))).collect::<Vec<_>>()
    };
    assert_eq!(sent("/map"), [Effect::Send(Request::Map)]);
    assert_eq!(sent("/undo"), [Effect::Send(Request::Undo)]);
    assert_eq!(sent("/doctor"), [Effect::Send(Request::Doctor)]);
    assert_eq!(sent("/check"), [Effect::Send(Request::Check { command: None })]);
    let given = Request::Check { command: Some("make test".to_owned()) };
    assert_eq!(sent("/check make test"), [Effect::Send(given)]);
    assert_eq!(sent("/compact"), [Effect::Send(Request::Compact)]);
    assert_eq!(sent("/new"), [Effect::Send(Request::NewSession)]);
    assert_eq!(sent("/resume"), [Effect::Send(Request::ListSessions)]);
    assert_eq!(sent("/resume a1"), [Effect::Send(Request::Resume { id: "a1".to_owned() })]);
    assert_eq!(sent("/model"), [Effect::Send(Request::ListModels)]);
    assert_eq!(sent("/model x"), [Effect::Send(Request::SwitchModel { name: "x".to_owned() })]);
    assert_eq!(sent("!ls -l"), [Effect::Send(Request::Shell { command: "ls -l".to_owned() })]);
    assert_eq!(sent("/quit"), [Effect::Leave(Exit::Success)]);
    assert!(matches!(&sent("/export a.md")[0], Effect::Export { path: Some(path), .. } if path == "a.md"));
    assert!(sent("/nonsense").is_empty() && sent("!").is_empty());
}

#[test]
fn a_window_by_hand_goes_with_the_next_task() {
    let mut desk = Desk::ready();
    desk.line("/window 300");
    desk.typed("a task");
    assert_eq!(submits(&desk.key("enter")).unwrap().effort, Effort::Window(300));
}

#[test]
fn a_sentence_that_begins_with_a_path_is_a_task() {
    let effects = Desk::ready().line("/usr/lib is missing");
    assert_eq!(submits(&effects).unwrap().text, "/usr/lib is missing");
}

#[test]
fn one_errand_at_a_time_and_esc_ends_it() {
    let mut desk = Desk::ready();
    desk.line("!sleep 9");
    assert!(desk.line("!ls").iter().all(|effect| matches!(effect, Effect::Remember(_))));
    assert_eq!(desk.key("esc"), [command(Command::Cancel)]);
    desk.report(Report::Shell {
        command: "sleep 9".to_owned(),
        output: String::new(),
        exit: None,
        ended: Some("stopped".to_owned()),
        tier: Tier::F,
        wall_ms: 10,
    });
    assert!(desk.app.errand.is_none());
    assert!(!desk.line("!ls").is_empty());
}

#[test]
fn history_is_recalled_and_the_draft_kept() {
    let mut desk = Desk::ready();
    desk.typed("draft");
    desk.key("up");
    desk.key("up");
    assert_eq!(desk.app.composer.text(), "older");
    desk.key("down");
    desk.key("down");
    assert_eq!(desk.app.composer.text(), "draft");
}

#[test]
fn history_is_searched() {
    let mut desk = Desk::ready();
    desk.key("ctrl+r");
    desk.typed("old");
    desk.key("enter");
    assert_eq!(desk.app.composer.text(), "older");
}

#[test]
fn a_large_paste_is_folded_on_the_screen_and_whole_in_the_task() {
    let mut desk = Desk::ready();
    let paste = "line\n".repeat(500);
    desk.app.update(Msg::Paste(paste.clone()));
    assert_eq!(desk.app.composer.text().chars().count(), 1);
    assert_eq!(submits(&desk.key("enter")).unwrap().text, paste.trim_end());
}

#[test]
fn a_file_is_completed_by_a_few_letters() {
    let mut desk = Desk::ready();
    desk.app.update(Msg::Files(vec!["src/tui/mod.rs".to_owned(), "README.md".to_owned()]));
    desk.typed("see @rdm");
    desk.key("tab");
    assert_eq!(desk.app.composer.text(), "see @README.md ");
}

#[test]
fn a_command_is_completed_and_a_whole_one_is_run() {
    let mut desk = Desk::ready();
    desk.typed("/und");
    assert!(desk.key("enter").is_empty());
    assert_eq!(desk.app.composer.text(), "/undo");
    assert!(desk.key("enter").contains(&Effect::Send(Request::Undo)));
}

#[test]
fn enter_accepts_a_change() {
    let mut desk = Desk::reviewing();
    let decision = Decision::Accept;
    assert_eq!(desk.key("enter"), [command(Command::Decide { patch_id: 7, decision })]);
    assert!(matches!(desk.app.panel, Panel::None));
}

#[test]
fn hunks_are_left_out_one_by_one() {
    let mut desk = Desk::reviewing();
    desk.key("space");
    let decision = Decision::AcceptHunks(vec![(1, 0)]);
    assert_eq!(desk.key("a"), [command(Command::Decide { patch_id: 7, decision })]);
}

#[test]
fn a_change_is_rejected_or_asked_for_again() {
    let rejected = Desk::reviewing().key("r");
    assert_eq!(rejected, [command(Command::Decide { patch_id: 7, decision: Decision::Reject })]);
    let mut desk = Desk::reviewing();
    desk.key("s");
    desk.typed("rename it");
    let decision = Decision::AskAgain("rename it".to_owned());
    assert_eq!(desk.key("enter"), [command(Command::Decide { patch_id: 7, decision })]);
}

#[test]
fn a_file_is_edited_before_it_is_accepted() {
    let mut desk = Desk::reviewing();
    let effects = desk.key("e");
    let Effect::OpenEditor { purpose, text, name } = &effects[0] else { panic!("{effects:?}") };
    assert_eq!((*purpose, text.as_str(), name.as_str()), (EditPurpose::ReviewFile, "a\nc\n", "x.py"));
    desk.app.update(Msg::Edited { purpose: EditPurpose::ReviewFile, text: Some("a\nmine\n".to_owned()) });
    let decision = Decision::AcceptEdited(vec![(0, "a\nmine\n".to_owned())]);
    assert_eq!(desk.key("enter"), [command(Command::Decide { patch_id: 7, decision })]);
}

#[test]
fn stopping_in_a_review_says_no_first() {
    let effects = Desk::reviewing().key("ctrl+c");
    let no = command(Command::Decide { patch_id: 7, decision: Decision::Reject });
    assert_eq!(effects, [no, command(Command::Cancel)]);
}

#[test]
fn a_session_is_picked_and_shown() {
    let mut desk = Desk::ready();
    let row = |id: &str| SessionRow {
        id: id.to_owned(),
        title: format!("title of {id}"),
        when: "today".to_owned(),
        tasks: 1,
    };
    desk.report(Report::Sessions { sessions: vec![row("a1"), row("b2")] });
    desk.typed("b2");
    assert_eq!(desk.key("enter"), [Effect::Send(Request::Resume { id: "b2".to_owned() })]);
    let turn = PastTurn { task: "old task".to_owned(), answer: "old answer".to_owned(), status: "verified".to_owned() };
    desk.report(Report::Resumed { id: "b2".to_owned(), turns: vec![turn] });
    let said = desk.app.transcript.markdown();
    assert!(said.contains("old task") && said.contains("old answer"), "{said}");
}

#[test]
fn without_a_worker_the_text_stays_and_a_model_can_be_chosen() {
    let mut desk = Desk::ready();
    desk.app.update(Msg::Gone);
    desk.typed("a task");
    assert_eq!(submits(&desk.key("enter")), None);
    assert_eq!(desk.app.composer.full_text(), "a task");
    desk.event(Event::Loading { fraction: 0.1 });
    desk.event(Event::Ready { model: "n".to_owned(), context_tokens_max: 10, offload: String::new() });
    assert!(submits(&desk.key("enter")).is_some());
}

#[test]
fn a_candidate_that_passed_is_the_one_that_is_shown() {
    let mut desk = Desk::thinking();
    desk.event(Event::Round { round: 0, candidates: 3 });
    for candidate in 0..3 {
        let text = format!("answer {candidate}\n");
        desk.event(Event::Piece { candidate, part: Part::Answer, text, forced: false, tokens: 1 });
        desk.event(Event::Finished { candidate, tokens_per_second: 1.0 });
    }
    let report = z1::task::Report {
        command: "tests".to_owned(),
        passed: 1,
        failed: 0,
        failures: Vec::new(),
        tier: Tier::F,
        wall_ms: 1,
        flags: Vec::new(),
    };
    desk.event(Event::Verified { candidate: 1, verdict: Verdict::Passed(report) });
    desk.ended(Status::Verified);
    let said = desk.app.transcript.markdown();
    assert!(said.contains("answer 1") && !said.contains("answer 0") && said.contains("candidate 2"), "{said}");
}

#[test]
fn long_work_is_announced_and_short_work_is_not() {
    let mut desk = Desk::thinking();
    assert!(desk.ended(Status::Verified).is_empty());
    let mut desk = Desk::thinking();
    desk.at(60);
    assert_eq!(desk.ended(Status::Verified), [Effect::Notify("z1: verified".to_owned())]);
    let mut desk = Desk::with(&TuiOptions { notify: Notify::Off, ..TuiOptions::default() });
    desk.line("a task");
    desk.at(60);
    assert!(desk.ended(Status::Verified).is_empty());
}

#[test]
fn keys_follow_the_settings() {
    let keys = [("answer_now".to_owned(), vec!["f5".to_owned()])].into();
    let mut desk = Desk::with(&TuiOptions { keys, ..TuiOptions::default() });
    desk.line("a task");
    assert_eq!(desk.key("f5"), [command(Command::AnswerNow)]);
    assert!(desk.key("ctrl+n").is_empty());
}

#[test]
fn a_mistake_in_the_settings_is_said_at_the_start() {
    let keys = [("nonsense".to_owned(), vec!["f5".to_owned()])].into();
    let desk = Desk::with(&TuiOptions { keys, ..TuiOptions::default() });
    assert!(desk.last_note().contains("nonsense"), "{}", desk.last_note());
}

#[test]
fn a_key_that_is_let_go_does_nothing() {
    let mut desk = Desk::ready();
    let mut event = KeyEvent::new(KeyCode::Char('x'), KeyModifiers::NONE);
    event.kind = KeyEventKind::Release;
    desk.app.update(Msg::Key(event));
    assert!(desk.app.composer.is_empty());
}

#[test]
fn fullscreen_scrolls_back_and_a_task_comes_back_to_the_end() {
    let mut desk = Desk::with(&TuiOptions { fullscreen: true, ..TuiOptions::default() });
    desk.key("pageup");
    assert_eq!(desk.app.scroll, 12);
    desk.line("a task");
    assert_eq!(desk.app.scroll, 0);
    assert_eq!(desk.key("f11"), [Effect::Fullscreen(false)]);
}

#[test]
fn the_light_theme_is_taken_over_from_the_terminal() {
    let mut desk = Desk::ready();
    assert_eq!(desk.app.update(Msg::Light(true)), [Effect::Repaint]);
    assert!(desk.app.update(Msg::Light(true)).is_empty());
}

#[test]
fn a_question_has_the_composer_until_it_is_answered() {
    let mut desk = Desk::thinking();
    desk.typed("a draft");
    desk.event(Event::Question { id: 3, text: "Which command?".to_owned() });
    assert_eq!((desk.last_note().as_str(), desk.phase()), ("Which command?", Some(&Phase::Deciding)));
    assert!(desk.app.composer.is_empty(), "the draft waits");
    desk.typed("make test");
    let answer = |text: &str| command(Command::Answer { id: 3, text: text.to_owned() });
    assert_eq!(desk.key("enter"), [answer("make test")]);
    assert_eq!((desk.app.composer.full_text().as_str(), desk.phase()), ("a draft", Some(&Phase::Waiting)));
    let mut desk = Desk::thinking();
    desk.event(Event::Question { id: 3, text: "Which command?".to_owned() });
    assert_eq!(desk.key("enter"), [answer("")], "enter alone says that there is none");
    let mut desk = Desk::thinking();
    desk.event(Event::Question { id: 3, text: "Which command?".to_owned() });
    assert_eq!(desk.key("esc"), [command(Command::Cancel)]);
    desk.ended(Status::Cancelled);
    assert!(desk.app.question.is_none(), "a question that is moot is gone");
}

#[test]
fn a_call_is_allowed_once_or_always_or_denied_by_keys() {
    let ask = || {
        let mut desk = Desk::thinking();
        desk.typed("a draft");
        let (title, text) = ("mcp git log".to_owned(), "Call the tool log of git with {}?".to_owned());
        desk.event(Event::Permission { id: 9, title, text });
        assert!(
            desk.last_note().starts_with("Call the tool log of git") && desk.last_note().contains("a: yes for this")
        );
        assert_eq!(desk.app.question.as_ref().map(|question| question.kind), Some(Asked::Call));
        desk
    };
    let answer = |text: &str| command(Command::Answer { id: 9, text: text.to_owned() });
    for keys in ["y", "a", "", "no, look at the file"] {
        let mut desk = ask();
        desk.typed(keys);
        assert_eq!(desk.key("enter"), [answer(keys)], "{keys:?}");
        assert_eq!((desk.app.composer.full_text().as_str(), desk.phase()), ("a draft", Some(&Phase::Waiting)));
        assert!(desk.app.question.is_none());
    }
    assert_eq!(ask().key("esc"), [command(Command::Cancel)], "a stop is no yes");
}

fn offer(fits: bool) -> Report {
    let row = Row {
        name: "m-1b".to_owned(),
        quant: "Q4_K_M".to_owned(),
        bytes: 1000,
        licence: "MIT".to_owned(),
        fits,
        tokens_per_second_max: None,
    };
    Report::Offer { offer: Offer { installed: Vec::new(), fits: fits.then_some(row) } }
}

fn ended_pull(why: Option<&str>) -> Report {
    Report::PullEnded { name: "m-1b".to_owned(), why: why.map(str::to_owned), hint: None }
}

#[test]
fn nothing_is_fetched_before_the_user_says_so() {
    let mut desk = Desk::ready();
    assert!(desk.report(offer(true)).is_empty());
    assert!(desk.last_note().contains("only a demonstration") && desk.last_note().contains("m-1b fits this machine"));
    desk.typed("y");
    assert_eq!(desk.app.composer.full_text(), "y", "the composer is the user's all the time");
    desk.key("backspace");
    let pull = Effect::Send(Request::Pull { name: "m-1b".to_owned() });
    assert_eq!(desk.key("ctrl+y"), std::slice::from_ref(&pull));
    assert!(desk.key("ctrl+y").is_empty() && desk.key("ctrl+x").is_empty(), "it was answered");
    assert_eq!(desk.line("/pull other"), [Effect::Remember("/pull other".to_owned())], "one after the other");
    assert!(desk.last_note().contains("m-1b is being fetched"));
    desk.report(Report::Pulling { name: "m-1b".to_owned(), done_bytes: 10, total_bytes: Some(1000) });
    assert!(desk.app.pull.as_ref().is_some_and(|pull| pull.done_bytes == 10) && desk.app.is_moving());
    desk.report(ended_pull(None));
    assert!(desk.app.pull.is_none() && desk.last_note().contains("m-1b is here"));
    // Without the key, by its command.
    let mut desk = Desk::ready();
    desk.report(offer(true));
    assert_eq!(desk.line("/pull"), [Effect::Remember("/pull".to_owned()), pull]);
    let mut desk = Desk::ready();
    assert!(desk.key("ctrl+y").is_empty(), "nothing is offered");
    desk.line("/pull");
    assert!(desk.last_note().contains("needs a name"));
    desk.report(offer(false));
    assert!(desk.last_note().contains("None of the known models fits") && desk.key("ctrl+y").is_empty());
}

#[test]
fn a_pull_is_stopped_after_whatever_else_is() {
    let mut desk = Desk::ready();
    desk.report(offer(true));
    desk.key("ctrl+y");
    desk.typed("a task");
    desk.key("enter");
    assert_eq!(desk.key("esc"), [command(Command::Cancel)], "the task first");
    desk.ended(Status::Cancelled);
    assert_eq!(desk.key("esc"), [Effect::Send(Request::CancelPull)]);
    assert!(desk.key("esc").is_empty(), "once is enough");
    desk.report(ended_pull(Some("stopped")));
    assert!(desk.app.pull.is_none() && desk.last_note().contains("fetching m-1b: stopped"));
    assert_eq!(desk.line("/pull").len(), 2, "what was offered can still be had");
}

#[test]
fn an_offer_that_is_declined_is_gone_and_says_how_to_come_back() {
    for by_command in [false, true] {
        let mut desk = Desk::ready();
        desk.report(offer(true));
        let effects = if by_command { desk.line("/pull no") } else { desk.key("ctrl+x") };
        assert!(effects.contains(&Effect::Send(Request::DeclineOffer)), "{effects:?}");
        assert!(desk.last_note().contains("z1 models pull m-1b"), "{}", desk.last_note());
        assert!(desk.key("ctrl+y").is_empty());
        assert!(desk.line("/pull").contains(&Effect::Send(Request::Pull { name: "m-1b".to_owned() })));
    }
}

#[test]
fn an_offer_cuts_no_answer_in_two() {
    let mut desk = Desk::thinking();
    desk.piece(Part::Answer, "one ");
    desk.report(offer(true));
    desk.piece(Part::Answer, "two");
    assert!(!desk.last_note().contains("demonstration"));
    desk.ended(Status::Unverified);
    assert!(desk.last_note().contains("demonstration"));
    let answers = desk.app.transcript.cells().iter().filter(|cell| matches!(cell, Cell::Answer(_))).count();
    assert_eq!(answers, 1);
}
