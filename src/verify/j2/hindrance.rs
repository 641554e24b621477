//! What the walls themselves keep from working: recognised in what a run said, and told by name. Pure.
//!
//! A check that comes to nothing for such a reason says nothing about any change; no round is spent on it.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

use crate::sandbox::{End, LimitKind, Limits, Outcome};
use crate::task::Tier;

use super::evidence::{Ended, Evidence};

/// Which wall, or what is missing behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wall {
    /// A program that is not in PATH here, or an interpreter that a script names.
    NotFound,
    /// A port to listen on, in a tier without a loopback of its own.
    Port,
    /// Other machines.
    Network,
    /// Shared memory between processes (tier L).
    SharedMemory,
    /// Renames between folders that the layer cannot do.
    CrossDevice,
    Threads,
    Memory,
    Disk,
    Time,
    Output,
    /// Tracing another process: debuggers, leak checkers.
    Tracing,
    /// A graphics card or another device.
    Device,
    /// A place outside the project that is read only or not there.
    Outside,
    /// A line for the user in the list of accounts (tier L).
    Account,
    /// The project at its own absolute path (tier L).
    OwnPath,
    /// What the run printed or left cannot be read as results.
    Unreadable,
}

impl Wall {
    /// The wall's name, as a reason.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not found behind the walls",
            Self::Port => "needs a port, and this tier has no loopback of its own",
            Self::Network => "needs the network",
            Self::SharedMemory => "needs shared memory, which this tier does not have",
            Self::CrossDevice => "renames a folder of the project, which the throw-away layer cannot",
            Self::Threads => "the limit of processes and threads",
            Self::Memory => "the memory limit",
            Self::Disk => "the disk limit",
            Self::Time => "the time limit",
            Self::Output => "the output limit",
            Self::Tracing => "needs to trace another process",
            Self::Device => "needs a device",
            Self::Outside => "needs a file outside the project",
            Self::Account => "needs an account line, which this tier does not have",
            Self::OwnPath => "needs the project at its own absolute path, where this tier cannot show it",
            Self::Unreadable => "its results cannot be read",
        }
    }

    /// The setting that moves the wall, where there is one.
    pub const fn setting(self) -> Option<&'static str> {
        match self {
            Self::Threads => Some("limits.processes"),
            Self::Memory => Some("limits.memory"),
            Self::Disk => Some("limits.disk"),
            Self::Time => Some("limits.seconds"),
            _ => None,
        }
    }
}

/// Why a check cannot be run behind the walls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    pub wall: Wall,
    /// The line that shows it, or the figure.
    pub detail: String,
}

impl Hindrance {
    pub(crate) fn new(wall: Wall, line: &str) -> Self {
        Self { wall, detail: shortened(line) }
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the check cannot be run behind the walls: {}", self.wall.name())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        match self.wall.setting() {
            Some(setting) => write!(f, " (the setting {setting} raises it)"),
            None => Ok(()),
        }
    }
}

/// Longest line that is quoted.
const LINE_CHARS_MAX: usize = 160;

/// What a run's own report told of its tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Failures,
    Passes,
}

/// What a run of the whole check came to, where it was the walls that ended it or nothing but they spoke.
pub(crate) fn of_run(outcome: &Outcome, limits: &Limits, told: Told) -> Option<Hindrance> {
    let found = |wall, detail: String| Some(Hindrance { wall, detail });
    match &outcome.end {
        End::Limit(LimitKind::Wall) => return found(Wall::Time, format!("{} s", limits.wall.as_secs())),
        End::Limit(LimitKind::Cpu) => {
            return found(Wall::Time, format!("{} s of processor time", limits.cpu.as_secs()));
        }
        End::Limit(LimitKind::Memory) => return found(Wall::Memory, format!("{} MiB", limits.memory_bytes_max >> 20)),
        End::Limit(LimitKind::Disk) => return found(Wall::Disk, format!("{} MiB", limits.disk_bytes_max >> 20)),
        End::Limit(LimitKind::Output) => return found(Wall::Output, format!("{} MiB", limits.output_bytes_max >> 20)),
        End::SandboxError { step, message } if step == "exec" => return found(Wall::NotFound, message.clone()),
        End::Exit(0) | End::SandboxError { .. } | End::Cancelled => return None,
        End::Exit(_) | End::Signal(_) => {}
    }
    if told == Told::Passes {
        return None;
    }
    let text = format!("{}\n{}", outcome.stderr.text(), outcome.stdout.text());
    // Where tests were told of, the runner was found: mocha ends with the number of those that failed, also with 127.
    let code = if let (End::Exit(code), Told::Nothing) = (&outcome.end, told) { *code } else { 0 };
    not_found(&text, code).or_else(|| in_text(&text, outcome.isolation.tier))
}

/// The wall that every failure of a run speaks of, where nothing passed.
pub(crate) fn of_evidence(evidence: &Evidence, tier: Tier) -> Option<Hindrance> {
    let mut found = None;
    for ended in evidence.tests.values() {
        match ended {
            Ended::Failed { text, frame } => found = Some(in_failure(text, frame.as_deref(), tier)?),
            Ended::Passed => return None,
            Ended::Skipped => {}
        }
    }
    for text in &evidence.broken {
        found = Some(in_text(text, tier)?);
    }
    found
}

/// A sign of a wall in a failure: in a line of its text, or in the last one together with the place it comes from (an
/// error number says little without the call).
pub(crate) fn in_failure(text: &str, frame: Option<&str>, tier: Tier) -> Option<Hindrance> {
    in_text(text, tier).or_else(|| {
        let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
        in_text(&format!("{last} · {}", frame?), tier)
    })
}

/// A command that the shell, make, npm or Python could not find. A path in the project is none: a change may bring it.
fn not_found(text: &str, code: i32) -> Option<Hindrance> {
    static OWN_PATH: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)[‘'`: ](?:\./)?[\w.@+-]+/[\w./@+-]*['’]?: (?:not found|No such file or directory|Permission denied)\s*$|[‘'`: ]\./[\w.@+-]+['’]?: ")
            .expect("invariant: a valid pattern")
    });
    static MISSING: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"(?m)^(?:/\S*/)?(?:sh|bash|dash|zsh|env|make(?:\[\d+\])?|just|npm ERR!|timeout|xargs|nice|time)\b[^\n]*?",
            r"[‘'`: ](?P<a>[\w./+@-]+)['’]?: (?:command not found|not found|No such file or directory)\s*$",
            r"|No module named '?(?P<b>pytest|tox|nox|coverage|django|nose|hypothesis|build)\b",
            r"|command not found: (?P<c>\S+)",
            r"|error: no such (?:sub)?command: `(?P<d>[\w+.-]+)`",
        ))
        .expect("invariant: a valid pattern")
    });
    let named = MISSING.captures(text).and_then(|found| {
        ["a", "b", "c", "d"].iter().find_map(|group| found.name(group)).map(|name| name.as_str().to_owned())
    });
    let detail = match (named, code) {
        (Some(name), _) if name.contains('/') && !name.starts_with('/') => return None,
        (Some(name), _) => name,
        (None, 126 | 127) if OWN_PATH.is_match(text) || lacks_a_function(text) => return None,
        (None, 126 | 127) => text.lines().find(|line| !line.trim().is_empty()).map(shortened).unwrap_or_default(),
        _ => return None,
    };
    Some(Hindrance { wall: Wall::NotFound, detail })
}

/// Whether a script of the project calls what a change is to define in it: "test.sh: line 4: trim: command not found". Where it is
/// a tool that people install, the tool is missing.
fn lacks_a_function(text: &str) -> bool {
    const TOOLS: [&str; 40] = [
        "bats",
        "bc",
        "bun",
        "bundle",
        "cargo",
        "cc",
        "clang",
        "cmake",
        "composer",
        "ctest",
        "curl",
        "deno",
        "docker",
        "dotnet",
        "g++",
        "gcc",
        "git",
        "go",
        "gradle",
        "java",
        "javac",
        "jq",
        "make",
        "mvn",
        "node",
        "npm",
        "npx",
        "perl",
        "php",
        "pip",
        "pnpm",
        "prove",
        "pytest",
        "python",
        "python3",
        "ruby",
        "rustc",
        "shellcheck",
        "sqlite3",
        "yarn",
    ];
    static CALLED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^[\w./-]+\.(?:sh|bash|bats): line \d+: ([\w.+-]+): command not found\s*$")
            .expect("invariant: a valid pattern")
    });
    let mut called = CALLED.captures_iter(text).peekable();
    called.peek().is_some() && called.all(|found| !TOOLS.contains(&&found[1]))
}

/// A sign of a wall in what a test or a whole run said.
pub(crate) fn in_text(text: &str, tier: Tier) -> Option<Hindrance> {
    text.lines().find_map(|line| {
        let wall = of_line(line, tier)?;
        Some(Hindrance { wall, detail: shortened(line) })
    })
}

/// Words that speak of a wall by themselves.
const SAYS: [(&[&str], Wall); 8] = [
    (
        &[
            "EAI_AGAIN",
            "ENOTCACHED",
            "ENETUNREACH",
            "getaddrinfo ENOTFOUND",
            "Network is unreachable",
            "Temporary failure in name resolution",
            "Could not resolve host",
            "Name or service not known",
            "NetworkUnreachable",
            "failed to lookup address information",
            "attempting to make an HTTP request, but --offline was specified",
            "you're using offline mode",
            "module lookup disabled by GOPROXY=off",
            "Cannot access central",
            "No matching distribution found",
        ],
        Wall::Network,
    ),
    (&["EXDEV", "cross-device link"], Wall::CrossDevice),
    (
        &[
            "can't start new thread",
            "unable to create native thread",
            "pthread_create failed",
            "failed to spawn thread",
            "uv_thread_create",
            "fork: Resource temporarily unavailable",
            "fork: retry",
        ],
        Wall::Threads,
    ),
    (&["Cannot allocate memory", "ENOMEM", "std::bad_alloc", "JavaScript heap out of memory"], Wall::Memory),
    (&["No space left on device", "ENOSPC", "Disk quota exceeded"], Wall::Disk),
    (
        &[
            "LeakSanitizer does not work under ptrace",
            "LeakSanitizer has encountered a fatal error",
            "ptrace: Operation not permitted",
        ],
        Wall::Tracing,
    ),
    (
        &[
            "no CUDA-capable device",
            "CUDA driver version",
            "/dev/nvidia",
            "/dev/dri",
            "No CUDA GPUs are available",
            "/dev/kvm",
        ],
        Wall::Device,
    ),
    (&["Read-only file system", "EROFS"], Wall::Outside),
];

fn of_line(line: &str, tier: Tier) -> Option<Wall> {
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    let denied = has(&["EPERM", "EACCES", "peration not permitted", "ermission denied", "PermissionDenied"]);
    let net = has(&["socket", "listen", "bind", "Socket", "TcpListener", "connect", "127.0.0.1", "localhost"]);
    if tier == Tier::L && denied && net {
        return Some(Wall::Port);
    }
    if has(&["/dev/shm", "SemLock", "shm_open", "sem_open"])
        && (denied || has(&["No such file", "FileNotFound", "ENOSYS", "not implemented"]))
    {
        return Some(Wall::SharedMemory);
    }
    if tier == Tier::L && has(&["uid not found", "uv_os_get_passwd", "cannot find name for user ID", "unknown userid"])
    {
        return Some(Wall::Account);
    }
    if tier == Tier::L
        && has(&["CMakeCache.txt directory", "does not match the source"])
        && has(&["different", "not match"])
    {
        return Some(Wall::OwnPath);
    }
    SAYS.iter().find(|(words, _)| has(words)).map(|(_, wall)| *wall)
}

fn shortened(line: &str) -> String {
    let line = line.trim();
    if line.chars().count() <= LINE_CHARS_MAX {
        return line.to_owned();
    }
    line.chars().take(LINE_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Capture;

    fn ended(end: End, stderr: &str) -> Outcome {
        let stderr = Capture { head: stderr.as_bytes().to_vec(), tail: Vec::new(), total_bytes: stderr.len() as u64 };
        Outcome { stderr, ..crate::sandbox::without_run(Tier::L, end) }
    }

    fn wall(code: i32, stderr: &str) -> Option<(Wall, String)> {
        of_run(&ended(End::Exit(code), stderr), &Limits::PROJECT, Told::Nothing).map(|found| (found.wall, found.detail))
    }

    #[test]
    fn a_runner_that_told_of_tests_was_found_whatever_it_ended_with() {
        // mocha 12.0.3 ends with the number of failed tests.
        let run = ended(End::Exit(127), "");
        assert_eq!(of_run(&run, &Limits::PROJECT, Told::Nothing).map(|found| found.wall), Some(Wall::NotFound));
        assert_eq!(of_run(&run, &Limits::PROJECT, Told::Failures), None);
    }

    #[test]
    fn what_is_not_found_is_named() {
        for (code, text, name) in [
            (127, "bash: line 1: cargo: command not found", "cargo"),
            (127, "sh: 1: mocha: not found", "mocha"),
            (2, "make: cargo: No such file or directory\nmake: *** [Makefile:2: test] Error 127", "cargo"),
            (1, "/usr/bin/python3: No module named pytest", "pytest"),
            (127, "env: ‘node’: No such file or directory", "node"),
            (101, "error: no such command: `nextest`", "nextest"),
        ] {
            assert_eq!(wall(code, text), Some((Wall::NotFound, name.to_owned())), "{text}");
        }
        for text in [
            "bash: line 1: ./notes.sh: No such file or directory",
            "tests/run.sh: line 4: ./notes.sh: No such file or directory",
            "tests/run.sh: line 4: bin/notes: No such file or directory",
            "env: ‘scripts/go’: No such file or directory",
            "bash: ./notes.sh: Permission denied",
            "test.sh: line 4: trim: command not found",
        ] {
            assert_eq!(wall(127, text), None, "a change may bring it: {text}");
        }
        let tool = "tests/run.sh: line 4: pytest: command not found";
        assert_eq!(wall(127, tool), Some((Wall::NotFound, tool.to_owned())));
        assert_eq!(wall(127, "exit"), Some((Wall::NotFound, "exit".to_owned())));
        assert_eq!(wall(1, "AssertionError: user bob: not found"), None);
        assert_eq!(wall(1, "ModuleNotFoundError: No module named 'calc'"), None);
    }

    #[test]
    fn walls_are_told_by_what_they_say() {
        for (text, expected) in [
            ("Error: listen EPERM: operation not permitted 127.0.0.1", Wall::Port),
            ("getaddrinfo EAI_AGAIN registry.example", Wall::Network),
            ("RuntimeError: can't start new thread", Wall::Threads),
            ("failed to write x: Invalid cross-device link (os error 18)", Wall::CrossDevice),
            ("PermissionError: [Errno 13] Permission denied: '/dev/shm/x'", Wall::SharedMemory),
        ] {
            assert_eq!(in_text(text, Tier::L).map(|found| found.wall), Some(expected), "{text}");
        }
        assert_eq!(in_text("assert 1 == 2", Tier::L), None);
        assert_eq!(in_text("Permission denied: you are not an admin", Tier::F), None);
    }

    #[test]
    fn an_error_number_and_the_call_that_it_came_from_are_one_sign() {
        let frame = Some("t.py:9  server = socket.create_server(('localhost', 0))");
        let text = "PermissionError: [Errno 1] Operation not permitted";
        assert_eq!(in_failure(text, frame, Tier::L).map(|found| found.wall), Some(Wall::Port));
        assert_eq!(in_failure(text, None, Tier::L), None);
        assert_eq!(in_failure(text, frame, Tier::F), None);
        let failed = |text: &str| Ended::Failed { text: text.to_owned(), frame: None };
        let of = |ended: &[Ended]| {
            let tests = ended.iter().enumerate().map(|(at, ended)| (at.to_string(), ended.clone())).collect();
            of_evidence(&Evidence { tests, ..Evidence::default() }, Tier::L).map(|found| found.wall)
        };
        let walled = failed("KeyError: 'getpwuid(): uid not found: 7'");
        assert_eq!(of(&[walled.clone(), Ended::Skipped]), Some(Wall::Account));
        assert_eq!(of(&[walled.clone(), failed("assert 1 == 2")]), None);
        assert_eq!(of(&[walled, Ended::Passed]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_limit_names_its_figure_and_its_setting() {
        let found = of_run(&ended(End::Limit(LimitKind::Wall), ""), &Limits::PROJECT, Told::Passes).unwrap();
        let text = found.to_string();
        assert!(text.contains("the time limit: 300 s") && text.contains("limits.seconds"), "{text}");
    }
}
