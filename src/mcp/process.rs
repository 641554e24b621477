//! Starting a server that is a program: behind walls, in a throw-away copy of the project, without a network; or, where
//! the user says so, without walls.
//!
//! Behind walls its stdin and stdout are the private channel of a trial. It takes no place in the budget of trials: a
//! server waits whenever something else works.
//!
//! Not for: what is said to it (`server.rs`).

use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::task::JoinHandle;

use super::Place;
use super::link::{Lines, shortened};
use super::spec::Program;
use crate::cancel::Cancel;
use crate::sandbox::{End, Limits, Net, Outcome, Request, Sandbox, can_be_reached, may_be_granted};
use crate::verify;

/// A server may live as long as a long task.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Processor time of a server and all it starts.
const CPU_MAX: Duration = Duration::from_secs(1800);
const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// What a server may print on stderr in all.
const STDERR_BYTES_MAX: u64 = 64 << 20;
/// What is kept of the stderr of a server without walls.
const STDERR_KEPT_BYTES: usize = 4096;
/// A server that has closed its output gets this long to say how it ended.
const END_WITHIN: Duration = Duration::from_secs(1);
/// A server without walls whose stdin was closed gets this long to end by itself.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// What is shown of its last words.
const LAST_WORDS_CHARS_MAX: usize = 300;

/// Variables of the user's that a server without walls gets; everything else is named in its `env`.
const HANDED_ON: [&str; 11] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "TERM"];

/// A program that runs. Dropped, it is ended.
#[derive(Debug)]
pub(super) struct Process {
    /// Closed before the program is ended: fields are dropped in this order.
    pub(super) lines: Lines,
    end: Ending,
    /// What it runs behind, in words.
    pub(super) walls: String,
}

#[derive(Debug)]
enum Ending {
    Walled(JoinHandle<Outcome>),
    Bare(Bare),
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Self::Walled(outcome) = self {
            // A trial that nobody waits for is killed.
            outcome.abort();
        }
    }
}

/// A program without walls, and the end of what it wrote to stderr.
#[derive(Debug)]
struct Bare {
    child: Option<Child>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Drop for Bare {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Its stdin is closed. Who does not leave is killed, with all that it started.
        let _ = std::thread::Builder::new().name("mcp-end".to_owned()).spawn(move || {
            let since = Instant::now();
            while since.elapsed() < LEAVE_WITHIN && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
            if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.wait();
        });
    }
}

impl Process {
    /// Starts the program.
    ///
    /// # Errors
    /// Why it cannot be started, in words.
    pub(super) async fn start(
        program: &Program,
        sandbox: Option<&Sandbox>,
        place: Place<'_>,
        cancel: &Cancel,
    ) -> Result<Self, String> {
        if !program.walls {
            return bare(program, place.root);
        }
        let sandbox = sandbox.ok_or(
            "there are no walls to run it behind (`z1 doctor` says what is missing; `walls = false` runs it without)",
        )?;
        walled(program, sandbox, place, cancel).await
    }

    /// How it ended, where it has: for somebody who found its output closed.
    pub(super) async fn last_words(&mut self) -> Option<String> {
        match &mut self.end {
            Ending::Walled(outcome) => {
                let outcome = tokio::time::timeout(END_WITHIN, outcome).await.ok()?.ok()?;
                Some(with_stderr(&ended(&outcome.end), &outcome.stderr.text()))
            }
            Ending::Bare(bare) => {
                let child = bare.child.as_mut()?;
                let since = Instant::now();
                let status = loop {
                    match child.try_wait().ok()? {
                        Some(status) => break status,
                        None if since.elapsed() > END_WITHIN => return None,
                        None => tokio::time::sleep(Duration::from_millis(10)).await,
                    }
                };
                let text = bare.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Some(with_stderr(&status.to_string(), &String::from_utf8_lossy(&text)))
            }
        }
    }
}

fn ended(end: &End) -> String {
    match end {
        End::Exit(code) => format!("exit code {code}"),
        End::Signal(signal) => format!("killed by signal {signal}"),
        End::Limit(limit) => format!("ended by the {limit:?} limit"),
        End::Cancelled => "cancelled".to_owned(),
        End::SandboxError { step, message } => format!("the sandbox failed at {step}: {message}"),
    }
}

fn with_stderr(how: &str, stderr: &str) -> String {
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match shortened(last, LAST_WORDS_CHARS_MAX) {
        last if last.is_empty() => how.to_owned(),
        last => format!("{how}, its last line on stderr: {last}"),
    }
}

async fn walled(program: &Program, sandbox: &Sandbox, place: Place<'_>, cancel: &Cancel) -> Result<Process, String> {
    let project = Limits::project();
    let limits = Limits {
        wall: LIFE_MAX,
        cpu: CPU_MAX,
        memory_bytes_max: MEMORY_BYTES_MAX.min(project.memory_bytes_max),
        output_bytes_max: STDERR_BYTES_MAX,
        ..project
    };
    let tier = sandbox.tier();
    let mut policy = verify::project_policy(place.root, limits, tier);
    policy.min_tier = place.min_tier;
    policy.net = if program.loopback { Net::own(tier) } else { Net::Off };
    let path = Path::new(&program.command);
    if program.command.contains('/') {
        let real = place.root.join(path);
        if !real.is_file() {
            return Err(format!("there is no program {}", real.display()));
        }
        policy.ro_if_possible.extend(verify::program_grants(&real));
    }
    for folder in &program.read {
        let shown = folder.display();
        if !folder.exists() {
            return Err(format!("it is to read {shown}, which is not there"));
        }
        if !may_be_granted(folder) {
            return Err(format!(
                "it is to read {shown}, which holds settings, keys or a whole home: name a folder in it"
            ));
        }
        if !can_be_reached(folder) {
            return Err(format!("it is to read {shown}, which the user that programs run as cannot reach"));
        }
        policy.ro.push(folder.canonicalize().map_err(|problem| format!("{shown}: {problem}"))?);
    }
    policy.env.extend(program.env.iter().map(|(name, value)| (name.into(), value.into())));
    // The channel is on descriptors 3 and 4; a server speaks on 0 and 1.
    let mut argv: Vec<OsString> = ["sh", "-c", "exec \"$@\" <&3 >&4 3<&- 4>&-", "sh"].map(OsString::from).to_vec();
    argv.push(program.command.clone().into());
    argv.extend(program.args.iter().map(OsString::from));
    let trial = sandbox.open_beside(&policy, Request::new(argv), cancel).await;
    let trial = trial.map_err(|outcome| ended(&outcome.end))?;
    let (channel, outcome) = trial.split();
    let broken = |problem: std::io::Error| format!("its channel: {problem}");
    let reader = Receiver::from_owned_fd(channel.from_program).map_err(broken)?;
    let writer = Sender::from_owned_fd(channel.to_program).map_err(broken)?;
    let net = if policy.net == Net::Loopback { ", a loopback of its own" } else { "" };
    Ok(Process {
        lines: Lines::new(reader, writer),
        end: Ending::Walled(tokio::spawn(outcome)),
        walls: format!("walls of tier {tier:?}, no network{net}"),
    })
}

fn bare(program: &Program, root: &Path) -> Result<Process, String> {
    let mut command = Command::new(&program.command);
    command.args(&program.args).current_dir(root).env_clear().process_group(0);
    for name in HANDED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(&program.env).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|problem| format!("`{}` cannot be started: {problem}", program.command))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let kept = Arc::new(Mutex::new(Vec::new()));
    let bare = Bare { child: Some(child), stderr: Arc::clone(&kept) };
    let (Some(stdin), Some(stdout), Some(mut stderr)) = (stdin, stdout, stderr) else {
        return Err("it has no pipes".to_owned());
    };
    let drain = move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut chunk) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&chunk[..read]);
            let over = kept.len().saturating_sub(STDERR_KEPT_BYTES);
            kept.drain(..over);
        }
    };
    // A pipe that nobody reads would hold the server up.
    std::thread::Builder::new().name("mcp-stderr".to_owned()).spawn(drain).map_err(|problem| problem.to_string())?;
    let broken = |problem: std::io::Error| format!("its pipes: {problem}");
    let reader = Receiver::from_owned_fd(OwnedFd::from(stdout)).map_err(broken)?;
    let writer = Sender::from_owned_fd(OwnedFd::from(stdin)).map_err(broken)?;
    let walls = "no walls: it has your rights".to_owned();
    Ok(Process { lines: Lines::new(reader, writer), end: Ending::Bare(bare), walls })
}
