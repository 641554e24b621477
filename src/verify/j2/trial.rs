//! One run of a project's tests behind the walls.

use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::cancel::Cancel;
use crate::sandbox::{Channel, End, Outcome, Policy, Request, Sandbox, Workspace};
use crate::task::{Language, Verdict};
use crate::verify::VerifyOptions;
use crate::verify::setting::{self, File, Setting};

use super::evidence::{self, Evidence, Left};
use super::python;
use super::runner::{self, Kind, OUR_DIR, Runner};
use super::snapshot::Overlay;

const CHANNEL: &[u8] = include_bytes!("plugins/z1_channel.py");
const PYTEST_RUNNER: &[u8] = include_bytes!("plugins/z1_pytest.py");
const UNITTEST_RUNNER: &[u8] = include_bytes!("plugins/z1_unittest.py");

/// Most bytes read from a reporter.
const CHANNEL_BYTES_MAX: u64 = 64 << 20;

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) evidence: Evidence,
    pub(crate) end: End,
    /// There was nothing to read but the exit code.
    pub(crate) only_exit_code: bool,
}

/// Runs the tests with the overlay's files.
pub(crate) async fn trial(
    root: &Path,
    overlay: &Overlay,
    runner: &Runner,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Result<Ran, Verdict> {
    let (tool, setting) = tool(root, runner)?;
    let policy = policy(root, overlay, runner, &setting, options);
    let mut request = Request::new(argv(overlay, runner::argv(runner, &tool)));
    request.collect = match runner.kind {
        Kind::Jest | Kind::Vitest => vec![PathBuf::from(OUR_DIR).join("report.json")],
        Kind::Ctest => vec![PathBuf::from(OUR_DIR).join("report.xml")],
        _ => Vec::new(),
    };
    let nonce = nonce();
    let (outcome, channel) = if matches!(runner.kind, Kind::Pytest | Kind::Unittest) {
        with_channel(&policy, request, &nonce, sandbox, cancel).await?
    } else {
        (sandbox.run(&policy, request, cancel).await, Vec::new())
    };
    if outcome.end == End::Cancelled {
        return Err(crate::verify::cancelled());
    }
    let left = Left {
        channel: &channel,
        nonce: &nonce,
        stdout: &outcome.stdout.text(),
        stderr: &outcome.stderr.text(),
        file: outcome.files.first().map(|(_, bytes)| bytes.as_slice()),
        exit_ok: outcome.end == End::Exit(0),
    };
    let mut evidence = evidence::read(runner.kind, &left);
    if evidence.tests.is_empty() && evidence.broken.is_empty() && !left.exit_ok {
        let told = if left.stderr.trim().is_empty() { left.stdout } else { left.stderr };
        evidence.broken.extend(last_words(told));
    }
    Ok(Ran { evidence, end: outcome.end, only_exit_code: runner.kind == Kind::Shell })
}

/// The end of what a run said that came to nothing; pytest's "no tests" is no error.
fn last_words(told: &str) -> Option<String> {
    let text = crate::verify::feedback::clean(told);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let none = ["no tests ran", "NO TESTS RAN", "Ran 0 tests", "No tests were found", "No test files found"];
    let tail = lines[lines.len().saturating_sub(6)..].join("\n");
    (!tail.is_empty() && !none.iter().any(|word| told.contains(word))).then_some(tail)
}

/// The program to start (as the sandbox sees it) and what it must be able to read.
fn tool(root: &Path, runner: &Runner) -> Result<(String, Setting), Verdict> {
    let language = match runner.kind {
        Kind::Pytest | Kind::Unittest => Language::Python,
        Kind::Cargo => Language::Rust,
        Kind::Go => Language::Go,
        Kind::Node | Kind::Jest | Kind::Vitest => Language::JavaScript,
        Kind::Ctest | Kind::Shell => Language::Shell,
    };
    let mut setting = setting::of(language)?;
    let mut program = setting.program.clone();
    match runner.kind {
        Kind::Pytest | Kind::Unittest => {
            if let Some(own) = python::environment(root) {
                // The environment's interpreter is a link to another, whose folder must be readable.
                program = PathBuf::from(format!("./{own}"));
                setting.ro.extend(root.join(own).canonicalize().ok().and_then(|real| setting::tool_root(&real)));
            }
            if runner.kind == Kind::Pytest && !python::has_module(root, "pytest") {
                return Err(crate::verify::nothing("pytest is not installed for the Python that this project uses"));
            }
            setting.env.extend([("PYTHONDONTWRITEBYTECODE".into(), "1".into()), ("PYTHONHASHSEED".into(), "0".into())]);
        }
        Kind::Cargo => {
            program = cargo(&mut setting)?;
        }
        Kind::Go => {
            for (name, value) in
                [("GOFLAGS", "-mod=mod"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOTELEMETRY", "off")]
            {
                setting.env.push((name.into(), value.into()));
            }
        }
        _ => {}
    }
    Ok((program.to_string_lossy().into_owned(), setting))
}

/// Cargo beside rustc, its registry readable, everything offline.
fn cargo(setting: &mut Setting) -> Result<PathBuf, Verdict> {
    let missing = || crate::verify::nothing("there is no cargo on this machine to run the tests with");
    let program = setting::real_program("cargo").ok_or_else(missing)?;
    let mut path = program.parent().map(Path::as_os_str).unwrap_or_default().to_owned();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    if let Some(home) = home {
        setting.ro.extend(["registry", "git"].iter().map(|folder| home.join(folder)).filter(|folder| folder.is_dir()));
        setting.env.push(("CARGO_HOME".into(), home.into_os_string()));
    }
    setting.env.extend([
        ("PATH".into(), path),
        ("CARGO_NET_OFFLINE".into(), "true".into()),
        ("CARGO_TERM_COLOR".into(), "never".into()),
        ("RUST_BACKTRACE".into(), "0".into()),
    ]);
    Ok(program)
}

fn policy(root: &Path, overlay: &Overlay, runner: &Runner, setting: &Setting, options: &VerifyOptions) -> Policy {
    let mut extra: Vec<File> = overlay
        .writes
        .iter()
        .map(|(path, content)| (path.clone(), content.clone().into_bytes(), is_executable(root, path)))
        .collect();
    let mut own = |name: &str, content: &[u8]| extra.push(setting::file(format!("{OUR_DIR}/{name}"), content));
    match runner.kind {
        Kind::Pytest => own("z1_pytest.py", PYTEST_RUNNER),
        Kind::Unittest => own("z1_unittest.py", UNITTEST_RUNNER),
        // A place for the report.
        _ => own(".keep", b""),
    }
    if matches!(runner.kind, Kind::Pytest | Kind::Unittest) {
        own("z1_channel.py", CHANNEL);
    }
    let workspace = Workspace::Overlay { lower: root.to_owned(), extra };
    let mut limits = options.project_limits.clone();
    // Evidence on stdout must be complete.
    limits.head_bytes = limits.head_bytes.max(8 << 20);
    limits.output_bytes_max = limits.output_bytes_max.max(16 << 20);
    setting.policy_in(workspace, limits, options.min_tier)
}

#[cfg(unix)]
fn is_executable(root: &Path, path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(root.join(path)).is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
}

/// The arguments, behind a step that removes what the change deletes.
fn argv(overlay: &Overlay, argv: Vec<String>) -> Vec<OsString> {
    if overlay.deletes.is_empty() {
        return argv.into_iter().map(OsString::from).collect();
    }
    let script = "count=$1; shift; while [ \"$count\" -gt 0 ]; do rm -f -- \"$1\"; shift; count=$((count - 1)); done; exec \"$@\"";
    let mut whole: Vec<OsString> = ["sh", "-c", script, "sh"].map(OsString::from).to_vec();
    whole.push(overlay.deletes.len().to_string().into());
    whole.extend(overlay.deletes.iter().map(|path| path.clone().into_os_string()));
    whole.extend(argv.into_iter().map(OsString::from));
    whole
}

/// Runs with the reporter's private channel: the nonce goes in, its lines come out.
async fn with_channel(
    policy: &Policy,
    request: Request,
    nonce: &str,
    sandbox: &Sandbox,
    cancel: &Cancel,
) -> Result<(Outcome, Vec<u8>), Verdict> {
    let broken = |why: String| Verdict::SandboxFailed { step: "open the channel".to_owned(), why };
    let trial = match sandbox.open(policy, request, cancel).await {
        Ok(trial) => trial,
        Err(outcome) => return Ok((outcome, Vec::new())),
    };
    let (Channel { from_program, to_program }, end) = trial.split();
    let mut sender = Sender::from_owned_fd(to_program).map_err(|error| broken(error.to_string()))?;
    let receiver = Receiver::from_owned_fd(from_program).map_err(|error| broken(error.to_string()))?;
    let hello = format!("{nonce}\n");
    // A program that ends at once has no ear for the nonce; its outcome says what happened.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut sender, hello.as_bytes()).await;
    let mut lines = Vec::new();
    let reading = async {
        let _ = receiver.take(CHANNEL_BYTES_MAX).read_to_end(&mut lines).await;
    };
    let (outcome, ()) = tokio::join!(end, reading);
    drop(sender);
    Ok((outcome, lines))
}

/// A word that only the reporter knows.
fn nonce() -> String {
    // Seeded by the system; one way, so that one nonce says nothing of the next.
    let word = |salt: u8| RandomState::new().hash_one((salt, std::time::SystemTime::now()));
    format!("{:016x}{:016x}", word(1), word(2))
}
