//! The real binary in a pseudo terminal, with a script in the model's place: what the terminal looks like while
//! it runs, and what is left of it afterwards.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use serde_json::{Value, json};

use super::emulator::{self, Leaks};

/// The longest wait for a condition; a machine that needs more is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);

/// What the terminal's side knows.
struct Side {
    parser: vt100::Parser<Leaks>,
    bytes: Vec<u8>,
    ended: bool,
}

/// Whether the terminal answers questions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Polite,
    Mute,
}

/// A terminal with z1 in it.
pub(super) struct Terminal {
    side: Arc<Mutex<Side>>,
    master: Box<dyn MasterPty + Send>,
    keys: Arc<Mutex<Box<dyn Write + Send>>>,
    child: Box<dyn Child + Send + Sync>,
    home: tempfile::TempDir,
    cooked: bool,
}

/// Keys as a terminal sends them.
pub(super) mod key {
    pub(in super::super) const ENTER: &str = "\r";
    pub(in super::super) const ESC: &str = "\u{1b}";
    pub(in super::super) const CTRL_C: &str = "\u{3}";
    pub(in super::super) const CTRL_D: &str = "\u{4}";
    pub(in super::super) const CTRL_N: &str = "\u{e}";
    pub(in super::super) const SHIFT_TAB: &str = "\u{1b}[Z";
}

impl Terminal {
    /// Starts `z1` with these arguments in a terminal of this size. Its home and its current folder are
    /// temporary.
    pub(super) fn start(columns: u16, rows: u16, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_program(Manner::Polite, (columns, rows), env!("CARGO_BIN_EXE_z1"), arguments, environment)
    }

    fn start_program(
        manner: Manner,
        (columns, rows): (u16, u16),
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env_clear();
        for (name, value) in [("TERM", "xterm-256color"), ("PATH", &std::env::var("PATH").unwrap_or_default())] {
            command.env(name, value);
        }
        command.env("Z1_HOME", home.path().join("home"));
        for (name, value) in environment {
            command.env(name, value);
        }
        let project = home.path().join("project");
        std::fs::create_dir_all(&project).unwrap();
        std::fs::write(project.join("notes.txt"), "some notes\n").unwrap();
        command.cwd(&project);
        let cooked = is_cooked(pair.master.as_ref());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let keys = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let parser = emulator::parser(columns, rows);
        let side = Arc::new(Mutex::new(Side { parser, bytes: Vec::new(), ended: false }));
        let reader = pair.master.try_clone_reader().unwrap();
        let (for_thread, answers) = (Arc::clone(&side), Arc::clone(&keys));
        std::thread::spawn(move || listen(reader, manner, &for_thread, &answers));
        Self { side, master: pair.master, keys, child, home, cooked }
    }

    /// Plays a script (see `src/tui/script.rs`) in the model's place.
    pub(super) fn play(columns: u16, rows: u16, script: &Value, more: &[&str]) -> Self {
        Self::play_in(Manner::Polite, columns, rows, script, more)
    }

    fn play_in(manner: Manner, columns: u16, rows: u16, script: &Value, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("script.json");
        std::fs::write(&path, script.to_string()).unwrap();
        let path = path.to_string_lossy().into_owned();
        let arguments: Vec<&str> = ["debug-render", "--play", &path].into_iter().chain(more.iter().copied()).collect();
        let terminal = Self::start_program(manner, (columns, rows), env!("CARGO_BIN_EXE_z1"), &arguments, &[]);
        terminal.wait("the first frame", |screen| screen.contents().contains('›'));
        terminal
    }

    fn side(&self) -> MutexGuard<'_, Side> {
        self.side.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands on the screen.
    pub(super) fn text(&self) -> String {
        self.side().parser.screen().contents()
    }

    /// Everything that was ever written, escapes included.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.side().bytes.clone()
    }

    pub(super) fn project(&self) -> PathBuf {
        self.home.path().join("project")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.home.path().join("home/state")
    }

    pub(super) fn send(&self, keys: &str) {
        let mut writer = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
    }

    pub(super) fn paste(&self, text: &str) {
        self.send(&format!("\u{1b}[200~{text}\u{1b}[201~"));
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        self.side().parser.screen_mut().set_size(emulator::side(rows), emulator::side(columns));
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Waits until the screen is as wanted; shows it where it never is.
    pub(super) fn wait(&self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            {
                let side = self.side();
                if wanted(side.parser.screen()) {
                    return;
                }
                let shown = side.parser.screen().contents();
                assert!(!side.ended, "it ended while waiting for {what}; the screen:\n{shown}");
                assert!(Instant::now() < deadline, "waited in vain for {what}; the screen:\n{shown}");
            }
            std::thread::sleep(POLL);
        }
    }

    pub(super) fn wait_for(&self, text: &str) {
        self.wait(&format!("{text:?}"), |screen| screen.contents().contains(text));
    }

    /// Waits until a task has ended: for the line that says how, how long it took and how many tokens.
    pub(super) fn wait_for_end(&self) {
        self.wait("the task's end", |screen| end_of_task(&screen.contents()).is_some());
    }

    pub(super) fn signal(&self, signal: i32) {
        let pid = self.child.process_id().unwrap();
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
    }

    /// Waits for the end and checks that the terminal is as it was found.
    pub(super) fn finish(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end; the screen:\n{}", self.text());
            std::thread::sleep(POLL);
        };
        while !self.side().ended && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        let cooked = is_cooked(self.master.as_ref());
        let side = self.side();
        let screen = side.parser.screen();
        let shown = screen.contents();
        assert!(!screen.alternate_screen(), "the alternate screen is still on:\n{shown}");
        assert!(!screen.hide_cursor(), "the cursor is hidden:\n{shown}");
        assert!(!screen.bracketed_paste(), "bracketed paste is still on:\n{shown}");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is still ours");
        assert_eq!(cooked, self.cooked, "the line discipline is not what it was");
        drop(side);
        (status, shown)
    }

    /// Starts z1 below a shell that stays and has something to do afterwards.
    #[cfg(target_os = "linux")]
    pub(super) fn under_a_shell(arguments: &[&str]) -> Self {
        let line = format!("{} {}; echo afterwards", env!("CARGO_BIN_EXE_z1"), arguments.join(" "));
        Self::start_program(Manner::Polite, (80, 24), "sh", &["-c", &line], &[])
    }

    /// Kills the shell, which takes the terminal away, and waits until z1 has ended as well.
    #[cfg(target_os = "linux")]
    pub(super) fn kill_the_shell(&self) {
        let shell = self.child.process_id().unwrap();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
        let z1: u32 = children.split_whitespace().next().expect("z1 runs below the shell").parse().unwrap();
        self.signal(libc::SIGKILL);
        let deadline = Instant::now() + PATIENCE;
        while is_alive(z1) {
            assert!(Instant::now() < deadline, "z1 outlives its terminal");
            std::thread::sleep(POLL);
        }
    }

    /// Sequences besides text, colours, movement and the modes that are ours.
    pub(super) fn leaks(&self) -> Vec<String> {
        let ours = ["[[6]] n", "[[0]] c", "[[0]] u", "osc [[49, 49]", "escape 0x5c"];
        let known = |leak: &&String| !ours.iter().any(|own| leak.contains(own));
        self.side().parser.callbacks().0.iter().filter(known).cloned().collect()
    }

    /// Presses Ctrl-C twice and finishes.
    pub(super) fn leave(self) -> (ExitStatus, String) {
        self.send(key::CTRL_C);
        self.wait_for("again to leave");
        self.send(key::CTRL_C);
        self.finish()
    }
}

/// Nothing that was started here outlives its test.
impl Drop for Terminal {
    fn drop(&mut self) {
        let group = self.child.process_id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32));
        if let Some(group) = group {
            // The child leads a session and a group of its own; what has ended already needs no signal.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.try_wait();
    }
}

/// Whether the process runs (a zombie does not).
#[cfg(target_os = "linux")]
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Reads what the program writes, and answers its questions as a terminal does.
fn listen(mut reader: Box<dyn Read + Send>, manner: Manner, side: &Mutex<Side>, keys: &Mutex<Box<dyn Write + Send>>) {
    let mut chunk = [0_u8; 4096];
    loop {
        let read = reader.read(&mut chunk).unwrap_or(0);
        let mut answer = String::new();
        {
            let mut side = side.lock().unwrap_or_else(PoisonError::into_inner);
            if read == 0 {
                side.ended = true;
                return;
            }
            side.bytes.extend_from_slice(&chunk[..read]);
            side.parser.process(&chunk[..read]);
            if chunk[..read].windows(4).any(|four| four == b"\x1b[6n") {
                let (row, column) = side.parser.screen().cursor_position();
                let _ = write!(answer, "\u{1b}[{};{}R", row + 1, column + 1);
            }
            if chunk[..read].windows(3).any(|three| three == b"\x1b[c") {
                answer.push_str("\u{1b}[?62;22c");
            }
        }
        if !answer.is_empty() && manner == Manner::Polite {
            let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
            // A program that is gone needs no answer.
            let _ = keys.write_all(answer.as_bytes()).and_then(|()| keys.flush());
        }
    }
}

/// Whether the terminal echoes and gathers lines, as a shell expects.
fn is_cooked(master: &dyn MasterPty) -> bool {
    let modes = format!("{:?}", master.get_termios().expect("a pty has modes").local_flags);
    modes.contains("ECHO") && modes.contains("ICANON")
}

fn ready() -> Value {
    json!({"send": {"type": "ready", "model": "script", "context_tokens_max": 4096, "offload": "cpu"}})
}

fn says(part: &str, text: &str, speed: u32) -> Value {
    json!({"text": {"part": part, "text": text, "tokens_per_second": speed}})
}

fn ended(status: &str) -> Value {
    json!({"send": {"type": "ended", "outcome": {
        "status": status, "candidate": null, "answer": "", "verdict": null, "rounds": 1, "notes": [],
        "usage": {"prompt_tokens": 1, "reused_tokens": 0, "thinking_tokens": 1, "forced_tokens": 0, "answer_tokens": 1}
    }}})
}

fn round() -> Value {
    json!({"send": {"type": "round", "round": 0, "candidates": 1}})
}

/// One task that says these steps.
fn script(steps: impl IntoIterator<Item = Value>) -> Value {
    let steps: Vec<Value> = steps.into_iter().collect();
    json!({"start": [ready()], "tasks": [steps]})
}

/// A task that thinks until it is told otherwise.
fn endless() -> Value {
    script(vec![round(), says("thinking", &"a thought. ".repeat(20_000), 100)])
}

#[test]
fn a_task_is_asked_and_answered_and_the_answer_stays() {
    let steps = vec![
        round(),
        says("thinking", "Let me see.\n", 2000),
        says("answer", "It is **42**.\n", 2000),
        ended("verified"),
    ];
    let terminal = Terminal::play(80, 24, &script(steps), &[]);
    terminal.send("what is it?\r");
    terminal.wait_for("verified");
    terminal.wait_for("It is 42.");
    assert!(terminal.leaks().is_empty(), "{:?}", terminal.leaks());
    let (status, shown) = terminal.leave();
    assert_eq!(status.exit_code(), 0);
    assert!(shown.contains("It is 42.") && !shown.contains("again to leave"), "{shown}");
}

#[test]
fn esc_stops_and_keeps_what_was_said() {
    let steps = vec![round(), says("answer", &format!("first words\n\n{}", "more and more ".repeat(5000)), 100)];
    let terminal = Terminal::play(80, 24, &script(steps), &[]);
    terminal.send("go\r");
    terminal.wait_for("first words");
    terminal.send(key::ESC);
    terminal.wait_for("stopped");
    terminal.wait_for("first words");
    terminal.leave();
}

#[test]
fn every_signal_that_ends_it_gives_the_terminal_back() {
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        for fullscreen in [&[][..], &["--fullscreen"]] {
            let terminal = Terminal::play(60, 16, &endless(), fullscreen);
            terminal.send("think\r");
            terminal.wait_for("a thought");
            terminal.signal(signal);
            let (status, _) = terminal.finish();
            assert_eq!(status.exit_code(), 130, "signal {signal}");
        }
    }
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_seen() {
    for fullscreen in [&[][..], &["--fullscreen"]] {
        let terminal = Terminal::play(80, 24, &script(vec![json!("panic_ui")]), fullscreen);
        terminal.send("boom\r");
        let (status, shown) = terminal.finish();
        assert!(!status.success());
        assert!(shown.contains("the script asked for a panic"), "{shown}");
    }
}

#[test]
fn a_worker_that_vanishes_is_said_and_typing_goes_on() {
    let terminal = Terminal::play(80, 24, &script(vec![json!("vanish")]), &[]);
    terminal.send("hello\r");
    terminal.wait_for("ended unexpectedly");
    terminal.send("still typing");
    terminal.wait_for("still typing");
    terminal.leave();
}

#[cfg(target_os = "linux")]
#[test]
fn when_the_parent_is_killed_and_the_terminal_gone_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.json");
    std::fs::write(&file, endless().to_string()).unwrap();
    let terminal = Terminal::under_a_shell(&["debug-render", "--play", &file.to_string_lossy()]);
    terminal.wait_for("every key");
    terminal.send("think\r");
    terminal.wait_for("a thought");
    terminal.kill_the_shell();
}

#[test]
fn resizing_while_it_streams_leaves_no_scars() {
    let text: String = (0..400).fold(String::new(), |mut text, n| {
        let _ = write!(text, "word{n} ");
        text
    });
    let steps = vec![round(), says("answer", &text, 300), says("answer", "\n\nThe end.\n", 300), ended("verified")];
    let terminal = Terminal::play(100, 30, &script(steps), &[]);
    terminal.send("go\r");
    for (columns, rows) in [(60, 20), (20, 6), (133, 40), (41, 11), (80, 24)] {
        terminal.wait_for("word");
        terminal.resize(columns, rows);
    }
    terminal.wait_for("The end.");
    terminal.wait_for("verified");
    // Exactly one live area: the composer's sign stands once below the conversation.
    terminal.wait("one live area", |screen| screen.contents().matches("auto ─").count() == 1);
    terminal.leave();
}

#[test]
fn five_hundred_pasted_lines_are_folded_and_sent_whole() {
    let steps = vec![round(), says("answer", "read\n", 500), ended("unverified")];
    let terminal = Terminal::play(80, 24, &script(steps), &[]);
    terminal.paste(&"a pasted line\r\n".repeat(500));
    terminal.wait_for("500 lines");
    terminal.send(key::ENTER);
    terminal.wait_for("unverified");
    terminal.leave();
}

#[test]
fn what_a_terminal_answers_late_is_no_typing() {
    let terminal = Terminal::play_in(Manner::Mute, 80, 24, &script(vec![ended("unverified")]), &[]);
    terminal.send("\u{1b}[7;1R\u{1b}]11;rgb:ffff/ffff/ffff\u{1b}\\\u{1b}[?62;22cok");
    terminal.wait("the typed letters", |screen| screen.contents().contains("ok"));
    assert!(!terminal.text().contains("rgb"), "{}", terminal.text());
    terminal.leave();
}

#[test]
fn hostile_answers_reach_the_terminal_as_text() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}]52;c;aGk=\u{7}\u{1b}[2J\u{1b}[?1049h end of evil\n";
    let steps = vec![round(), says("thinking", evil, 2000), says("answer", evil, 2000), ended("unverified")];
    let terminal = Terminal::play(80, 24, &script(steps), &[]);
    terminal.send("go\r");
    terminal.wait_for("unverified");
    terminal.wait_for("end of evil");
    assert!(terminal.leaks().is_empty(), "{:?}", terminal.leaks());
    terminal.leave();
}

#[test]
fn a_change_is_reviewed_and_accepted() {
    let change = json!({
        "path": "notes.txt", "added_lines": 1, "removed_lines": 1,
        "before": "some notes\n", "after": "better notes\n"
    });
    let proposal = json!({"send": {"type": "proposal", "patch_id": 3, "diff": "", "files": [change]}});
    let steps =
        vec![round(), says("answer", "Changed.\n", 500), proposal, json!({"wait": "decide"}), ended("verified")];
    let terminal = Terminal::play(80, 24, &script(steps), &[]);
    terminal.send("improve the notes\r");
    terminal.wait_for("better notes");
    terminal.wait_for("enter accept");
    terminal.send(key::ENTER);
    terminal.wait_for("accepted: notes.txt");
    terminal.leave();
}

#[test]
fn from_fullscreen_the_conversation_is_left_in_the_scrollback() {
    let steps = vec![round(), says("answer", "An answer to keep.\n", 500), ended("verified")];
    let terminal = Terminal::play(80, 24, &script(steps), &["--fullscreen"]);
    terminal.send("say it\r");
    terminal.wait_for("An answer to keep.");
    terminal.wait_for("verified");
    let (_, shown) = terminal.leave();
    assert!(shown.contains("say it") && shown.contains("An answer to keep."), "{shown}");
}

#[test]
fn plain_lines_have_no_escapes() {
    let steps = vec![round(), says("answer", "An *answer*.\n", 500), ended("verified")];
    let path = tempfile::tempdir().unwrap();
    let file = path.path().join("script.json");
    std::fs::write(&file, script(steps).to_string()).unwrap();
    let terminal = Terminal::start(80, 24, &["debug-render", "--play", &file.to_string_lossy(), "--plain"], &[]);
    terminal.wait_for("every key");
    terminal.send("ask\r");
    terminal.wait_for("verified");
    assert!(!terminal.bytes().contains(&0x1b), "an escape in plain output");
    terminal.send(key::CTRL_D);
    terminal.finish();
}

#[test]
fn the_history_survives_a_restart() {
    let terminal = Terminal::play(80, 24, &script(vec![ended("unverified")]), &[]);
    terminal.send("remember me\r");
    terminal.wait_for("unverified");
    terminal.send("\u{1b}[A");
    terminal.wait("the line comes back", |screen| screen.contents().matches("remember me").count() == 2);
    terminal.leave();
}

#[test]
fn a_pipe_instead_of_a_terminal_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file: &Path = &folder.path().join("script.json");
    std::fs::write(file, script([]).to_string()).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_z1"))
        .args(["debug-render", "--play"])
        .arg(file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("z1 -p"));
}

/// Where the line begins that says how the last task ended.
pub(super) fn end_of_task(text: &str) -> Option<usize> {
    const WORDS: [&str; 6] = ["verified", "unverified", "failed", "refused", "stopped", "limit"];
    let ends = |line: &&str| {
        WORDS.iter().any(|word| line.contains(word)) && line.contains(" s · ") && line.contains(" tokens")
    };
    text.lines().rfind(ends).and_then(|line| text.rfind(line))
}
