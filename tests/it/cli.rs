//! The real binary: what comes out where, with which exit code, and what is left on disk.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than any run here takes on a busy machine; a run that hangs ends the test.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder that is the whole world of some runs: settings, transcripts, scripts.
pub(crate) struct Home {
    folder: tempfile::TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the folder and returns its path.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A scripted model's `--model` word; each line is one reply.
    pub(crate) fn script(&self, replies: &[Value]) -> String {
        let lines: Vec<String> = replies.iter().map(Value::to_string).collect();
        format!("scripted:{}", self.write("script.jsonl", lines.join("\n")).display())
    }

    /// The binary with nothing of the user's around it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_z1"));
        command.args(arguments);
        self.at_home(command)
    }

    /// A command with this home and nothing else around it, and pipes.
    fn at_home(&self, mut command: Command) -> Command {
        command.current_dir(self.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path()).env("Z1_HOME", self.path().join("z1"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().unwrap())
    }

    /// Runs with these bytes on stdin. A reader that has enough is no failure.
    pub(crate) fn run_fed(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let feeding = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &input)));
        let ran = finish(child);
        feeding.join().unwrap();
        ran
    }

    /// The lines of the only transcript.
    #[track_caller]
    pub(crate) fn transcript(&self) -> Vec<Value> {
        let folder = self.path().join("z1/state/transcripts");
        let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [file] = files.as_slice() else { panic!("{files:?}") };
        std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Waits for a child, but not for ever.
pub(crate) fn finish(mut child: Child) -> Ran {
    let id = rustix::process::Pid::from_child(&child);
    let (sender, done) = std::sync::mpsc::channel();
    // Both pipes are read beside the waiting, so that a full one does not look like a hang.
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::spawn(move || {
        let reader = |pipe: Option<Box<dyn std::io::Read + Send>>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
                bytes
            })
        };
        let out = reader(out.map(|pipe| Box::new(pipe) as _));
        let err = reader(err.map(|pipe| Box::new(pipe) as _));
        let status = child.wait().unwrap();
        let _ = sender.send(Output { status, stdout: out.join().unwrap(), stderr: err.join().unwrap() });
    });
    let Ok(output) = done.recv_timeout(PATIENCE) else {
        let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
        panic!("it hangs");
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ran = Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
    assert!(!ran.err.contains("panicked"), "{ran:?}");
    ran
}

impl Ran {
    #[track_caller]
    pub(crate) fn ends(self, code: i32, word: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.err.contains(word), "`{word}` is not said: {self:?}");
        self
    }
}

/// A reply with one Python program in it.
pub(crate) fn reply(source: &str) -> Value {
    serde_json::json!({ "text": format!("So.\n\n```python\n{source}\n```\n") })
}

/// A reply that takes its time.
fn slow() -> Value {
    let words: String = (0..4000).map(|n| format!(" w{n}")).collect();
    serde_json::json!({ "text": words, "delay_ms": 5 })
}

const TASK: &str = "Write rev(s). assert rev(\"ab\") == \"ba\"";
const RIGHT: &str = "def rev(s):\n    return s[::-1]";
const WRONG: &str = "def rev(s):\n    return s";

/// Whether generated code can be run here; says so where not.
pub(crate) fn can_run_code() -> bool {
    crate::verify::walls().is_some()
}

#[test]
fn stdout_is_the_answer_and_nothing_else() {
    let home = Home::new();
    let model = home.script(&[reply("print(\"hello\")")]);
    let ran = home.run(&["-p", "--model", &model, "say hello"]).ends(0, "z1: unverified");
    assert_eq!(ran.out, "print(\"hello\")\n");
    assert!(!ran.err.contains('\r') && !ran.err.contains('\u{1b}'), "no progress line without a terminal: {ran:?}");
    let quiet = home.run(&["-p", "-q", "--model", &model, "say hello"]);
    assert_eq!((quiet.code, quiet.err.as_str()), (Some(0), ""));
}

#[test]
fn a_task_comes_from_stdin_too() {
    let home = Home::new();
    let model = home.script(&[reply("print(\"hello\")")]);
    for arguments in
        [&["--model", &model][..], &["-p", "--no-input", "--model", &model], &["-p", "--model", &model, "-"]]
    {
        let ran = home.run_fed(arguments, b"say hello\n").ends(0, "unverified");
        assert_eq!(ran.out, "print(\"hello\")\n");
    }
}

#[test]
fn verified_is_zero_and_failed_is_three() {
    if !can_run_code() {
        return;
    }
    let home = Home::new();
    let model = home.script(&[reply(WRONG), reply(RIGHT), reply(RIGHT), reply(RIGHT)]);
    let ran = home.run(&["-p", "--model", &model, TASK]).ends(0, "z1: verified (1 passed");
    assert_eq!(ran.out, format!("{RIGHT}\n"));
    let model = home.script(&[reply(WRONG)]);
    let ran = home.run(&["-p", "--rounds", "0", "--model", &model, TASK]).ends(3, "z1: failed (0 passed, 1 failed");
    assert_eq!(ran.out, format!("{WRONG}\n"), "the best candidate is printed all the same");
}

#[test]
fn the_other_exit_codes() {
    let home = Home::new();
    let model = home.script(&[reply("print(1)")]);
    home.run(&["-p", "--require-verified", "--model", &model, "say 1"]).ends(3, "unverified");
    let breaking = serde_json::json!({ "text": "a b c d e f", "fail_after": 2 });
    home.run(&["-p", "--model", &home.script(&[breaking]), "say 1"]).ends(1, "z1: script: told to fail here");
    home.run(&["-p", "--model", &model, "--effort"]).ends(2, "unexpected argument");
    home.run(&["-p", "--model", "no-such-model", "say 1"]).ends(4, "hint");
    let endless = serde_json::json!({ "text": "never any code, ", "endless": true });
    let model = home.script(&vec![endless; 8]);
    home.run(&["-p", "--model", &model, "--context", "512", "write code"]).ends(5, "limit reached");
    home.run_fed(&["apply", "--write"], b"b.py\n```python\nX = 1\n```\n").ends(0, "");
    home.write("b.py", "X = 2  # changed since\n");
    home.run(&["undo"]).ends(6, "cannot undo");
}

#[cfg(unix)]
fn signalled(signal: rustix::process::Signal) {
    let home = Home::new();
    let model = home.script(&[slow()]);
    let child = home.command(&["-p", "-v", "--model", &model, "--window", "6000", "think"]).spawn().unwrap();
    let id = rustix::process::Pid::from_child(&child);
    let folder = home.path().join("z1/state/transcripts");
    let started = Instant::now();
    // It thinks once its first words are on disk.
    let speaks = || {
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        files
            .filter_map(|file| std::fs::read_to_string(file.path()).ok())
            .any(|text| text.contains("\"line\":\"text\""))
    };
    while !speaks() {
        assert!(started.elapsed() < PATIENCE, "it never spoke");
        std::thread::sleep(Duration::from_millis(20));
    }
    rustix::process::kill_process(id, signal).unwrap();
    let ran = finish(child).ends(130, "");
    assert_eq!(ran.out, "");
    let lines = home.transcript();
    let last = lines.last().unwrap();
    assert_eq!((last["line"].as_str(), last["outcome"]["status"].as_str()), (Some("outcome"), Some("cancelled")));
    assert!(lines.iter().any(|line| line["line"] == "trajectory"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_the_transcript() {
    signalled(rustix::process::Signal::INT);
}

#[cfg(unix)]
#[test]
fn a_termination_keeps_the_transcript() {
    signalled(rustix::process::Signal::TERM);
}

#[cfg(unix)]
#[test]
fn a_closed_terminal_keeps_the_transcript() {
    if hang_ups_are_shut_out() {
        eprintln!("skipped: these tests were started with `nohup` or its like, and z1 keeps to that");
        return;
    }
    signalled(rustix::process::Signal::HUP);
}

/// Whether these tests themselves were started so that a closed terminal does not end them; their children inherit it.
#[cfg(unix)]
fn hang_ups_are_shut_out() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(target_os = "linux")]
#[test]
fn a_task_goes_on_where_hang_ups_are_shut_out() {
    let home = Home::new();
    let model = home.script(&[serde_json::json!({ "text": "```python\nprint(1)\n```", "delay_ms": 150 })]);
    // As `nohup` starts it, but with its own pipes.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_z1"), "-p", "--model", &model, "say 1"]);
    let child = home.at_home(shell).spawn().unwrap();
    let id = rustix::process::Pid::from_child(&child);
    let folder = home.path().join("z1/state/transcripts");
    let started = Instant::now();
    while std::fs::read_dir(&folder).into_iter().flatten().next().is_none() {
        assert!(started.elapsed() < PATIENCE, "it never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
    let ran = finish(child);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "print(1)\n"), "{ran:?}");
}

#[test]
fn a_reader_that_has_enough_ends_the_task_quietly() {
    let home = Home::new();
    let model = home.script(&[slow()]);
    let mut child = home
        .command(&["-p", "--output-format", "stream-json", "--model", &model, "--window", "6000", "think"])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = finish(child);
    assert_eq!((ran.code, ran.err.as_str()), (Some(130), ""), "{ran:?}");
    assert_eq!(home.transcript().last().unwrap()["outcome"]["status"], "cancelled");
}

fn documented() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap()
}

#[track_caller]
fn assert_documented(object: &Value) {
    let text = documented();
    for key in object.as_object().unwrap().keys() {
        assert!(text.contains(&format!("`{key}`")), "docs/json.md does not name `{key}`");
    }
}

#[test]
fn json_is_one_object_as_documented() {
    let home = Home::new();
    let model = home.script(&[reply("print(\"hello\")")]);
    let ran = home.run(&["--output-format", "json", "--model", &model, "say hello"]).ends(0, "");
    assert_eq!(ran.out.lines().count(), 1);
    let object: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(object["version"], z1::host::SCHEMA_VERSION);
    assert_eq!((object["type"].as_str(), object["status"].as_str()), (Some("result"), Some("unverified")));
    assert_eq!((object["exit"].as_u64(), object["answer"].as_str()), (Some(0), Some("print(\"hello\")\n")));
    assert!(object["usage"]["thinking_tokens"].as_u64().unwrap() > 0);
    assert!(object["verdict"]["nothing_to_check"]["why"].is_string(), "{object}");
    assert_documented(&object);
    assert_documented(&object["usage"]);
    assert_documented(&object["classified"]["complexity"]);
    assert_documented(&object["classified"]["budget"]);
}

#[test]
fn json_lines_are_events_and_the_result_as_documented() {
    let home = Home::new();
    let shifting = serde_json::json!({ "text": " a b c d e f g h i j k l m n o p q r s t u v w x y z", "after_shift": "print(1)\n```\n" });
    let model = home.script(&[shifting]);
    let ran = home.run(&["--output-format", "stream-json", "--window", "16", "--model", &model, "write code"]);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = documented();
    for line in &lines {
        assert_eq!(line["version"], z1::host::SCHEMA_VERSION);
        assert!(text.contains(&format!("`{}`", line["type"].as_str().unwrap())), "{line}");
        assert_documented(line);
    }
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    for kind in ["ready", "started", "classified", "round", "prefill", "piece", "shifted", "finished"] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    assert_eq!(kinds.iter().filter(|kind| **kind == "result").count(), 1);
    assert_eq!(kinds.last(), Some(&"result"));
    let told: String =
        lines.iter().filter(|line| line["type"] == "piece").map(|line| line["text"].as_str().unwrap()).collect();
    assert!(told.contains("I overthought it") && told.contains("print(1)"), "{told}");
}

#[test]
fn an_error_leaves_stdout_empty_in_json() {
    let ran = Home::new().run(&["--output-format", "json", "--model", "no-such-model", "x"]).ends(4, "hint");
    assert_eq!(ran.out, "");
}

#[test]
fn explain_says_why() {
    let home = Home::new();
    let model = home.script(&[reply("print(1)")]);
    let ran = home.run(&["-p", "--explain", "--fast", "--model", &model, "print 1"]).ends(0, "window");
    assert!(ran.err.contains("simple ") && ran.err.contains("answer "), "{ran:?}");
}

#[test]
fn a_window_of_nothing_answers_at_once() {
    let home = Home::new();
    let model = home.script(&[serde_json::json!({ "text": "never said", "after_shift": "print(1)\n```\n" })]);
    let ran = home.run(&["-p", "--window", "0", "--model", &model, "write code that prints 1"]).ends(0, "unverified");
    assert_eq!(ran.out, "print(1)\n");
}

#[test]
fn four_candidates_are_decoded_together() {
    let home = Home::new();
    let model = home.script(&[reply("print(1)"), reply("print(2)"), reply("print(2)"), reply("print(3)")]);
    let ran = home.run(&["-p", "--samples", "4", "--model", &model, "print a number"]);
    assert_eq!(ran.ends(0, "of 4 candidates 2 are the same program").out, "print(2)\n");
    let trajectories = home.transcript().into_iter().filter(|line| line["line"] == "trajectory").count();
    assert_eq!(trajectories, 4);
}

#[test]
fn runs_are_listed_and_shown() {
    let home = Home::new();
    home.run(&["log"]).ends(0, "no runs yet");
    let model = home.script(&[reply("print(\"hello\")")]);
    home.run(&["-p", "--model", &model, "say hello"]).ends(0, "");
    let list = home.run(&["log"]).out;
    assert!(list.contains("unverified") && list.contains("say hello"), "{list}");
    let shown = home.run(&["log", "last"]).out;
    assert!(shown.contains("task: say hello") && shown.contains("print(\"hello\")"), "{shown}");
    let lines = home.run(&["log", "last", "--json"]).out;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, home.transcript());
    home.run(&["log", "nothing-like-it"]).ends(2, "no run begins with");
}

#[test]
fn plumbing_reads_and_writes_json() {
    let home = Home::new();
    let rendered =
        home.run_fed(&["render", "--text"], br#"[{"role": "user", "content": "hi <|im_end|>"}]"#).ends(0, "");
    assert!(rendered.out.ends_with("<|im_start|>assistant\n"), "{rendered:?}");
    let replayed = home.run_fed(&["window", "--window", "2"], b"\"a \"\n\"b \"\n\"c \"\n").ends(0, "");
    let lines: Vec<Value> = replayed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line.to_string().contains("overthought")), "{lines:?}");
    let extracted = home.run_fed(&["extract"], b"So:\n```python\nprint(1)\n```\n").ends(0, "");
    assert!(serde_json::from_str::<Value>(&extracted.out).unwrap().to_string().contains("print(1)"));
}

/// The tests below need the embedded model, inference and walls.
#[cfg(feature = "llama")]
mod nano {
    use super::*;

    fn usable() -> bool {
        if !z1::model_store::resolve::carries_nano() {
            println!("skipped: this build carries no z1-nano");
            return false;
        }
        can_run_code()
    }

    /// The task of README's first command.
    fn readme_task() -> String {
        let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
        let (_, rest) = readme.split_once("scripts/run -v -p \"").expect("README begins with a command");
        rest.split_once('"').unwrap().0.to_owned()
    }

    #[test]
    fn readmes_first_command_holds() {
        if !usable() {
            return;
        }
        let home = Home::new();
        let ran = home.run(&["-v", "-p", &readme_task()]).ends(0, "z1: verified (");
        assert!(ran.out.starts_with("def select(xs):"), "{ran:?}");
        let usage = &home.transcript().into_iter().next_back().unwrap()["outcome"]["usage"];
        assert!(usage["thinking_tokens"].as_u64().unwrap() > 20, "it thinks: {usage}");
    }

    #[test]
    fn four_candidates_of_the_real_model_share_one_prefill() {
        if !usable() {
            return;
        }
        let home = Home::new();
        let ran = home.run(&["--output-format", "json", "--samples", "4", "--seed", "3", &readme_task()]);
        let object: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(object["classified"]["budget"]["samples"], 4);
        let prompt_tokens = object["usage"]["prompt_tokens"].as_u64().unwrap();
        let lines = home.transcript();
        let trajectories: Vec<&Value> = lines.iter().filter(|line| line["line"] == "trajectory").take(4).collect();
        assert_eq!(trajectories.len(), 4);
        assert!(prompt_tokens > 0 && matches!(ran.code, Some(0 | 3)), "{object}");
    }
}
