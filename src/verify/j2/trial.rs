//! One run of a project's tests behind the walls.

use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::cancel::Cancel;
use crate::sandbox::{ChangeKind, Channel, End, Limits, Net, Outcome, Policy, Request, Sandbox, Workspace};
use crate::task::{Tier, Verdict};
use crate::verify::setting::{self, File};
use crate::verify::toolbox::{self, Toolbox};
use crate::verify::{VerifyOptions, feedback, python_env};

use super::evidence::{self, Ended, Evidence, Left};
use super::hindrance::{self, Hindrance, Told};
use super::own_paths;
use super::protect;
use super::runner::{self, Kind, OUR_DIR, Runner, Tool};
use super::snapshot::{Layer, Standing};
use super::warnings::{self, Warning};

const CHANNEL: &[u8] = include_bytes!("plugins/z1_channel.py");
const PARTS: &[u8] = include_bytes!("plugins/z1_parts.py");
const PYTEST_RUNNER: &[u8] = include_bytes!("plugins/z1_pytest.py");
const UNITTEST_RUNNER: &[u8] = include_bytes!("plugins/z1_unittest.py");

const GIT_SETTINGS: &[u8] = b"[include]\n\tpath = /etc/gitconfig\n[user]\n\tname = A User\n\temail = user@localhost\n";

/// Most bytes read from a reporter.
const CHANNEL_BYTES_MAX: u64 = 64 << 20;

/// What a run is made of.
#[derive(Clone, Copy)]
pub(crate) struct Stage<'a> {
    pub(crate) root: &'a Path,
    pub(crate) runner: &'a Runner,
    pub(crate) standing: &'a Standing,
    pub(crate) sandbox: &'a Sandbox,
    pub(crate) options: &'a VerifyOptions,
    pub(crate) cancel: &'a Cancel,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) evidence: Evidence,
    pub(crate) end: End,
    /// There was nothing to read but the exit code.
    pub(crate) only_exit_code: bool,
    /// Its tests are judged by exit codes.
    pub(crate) exit_codes: bool,
    /// Why the check cannot be run here at all; looked for where nothing was changed.
    pub(crate) hindrance: Option<Hindrance>,
    /// What a reader should know of the walls.
    pub(crate) notes: Vec<String>,
    pub(super) warnings: Vec<Warning>,
    wall: Duration,
    /// Files that decide and that the run wrote to.
    wrote: Vec<PathBuf>,
}

/// Runs the tests with a layer's files; `before` is the run without any change.
///
/// # Errors
/// The verdict, where nothing could be run.
pub(crate) async fn trial(stage: &Stage<'_>, layer: &Layer, before: Option<&Ran>) -> Result<Ran, Verdict> {
    let Stage { root, runner, sandbox, cancel, .. } = *stage;
    let mut tools = toolbox::within(root, &root.join(&runner.folder));
    if sandbox.tier() != Tier::F {
        tools.keep_reachable(root);
    }
    let tool = tool(root, runner, &tools)?;
    if let Some(environment) = environment_of(root, runner) {
        tools.ro.extend(python_env::grants(&environment));
    }
    let limits = limits(stage, before);
    let policy = policy(stage, layer, &tools, limits.clone());
    let mut request = Request::new(argv(runner, layer, runner::argv(runner, &tool)));
    request.cwd = PathBuf::from(&runner.folder);
    request.collect = runner.kind.report().map(|name| PathBuf::from(OUR_DIR).join(name)).into_iter().collect();
    let nonce = nonce();
    let (outcome, channel) = if matches!(runner.kind, Kind::Pytest | Kind::Unittest) {
        with_channel(&policy, request, &nonce, sandbox, cancel).await?
    } else {
        (sandbox.run(&policy, request, cancel).await, Vec::new())
    };
    if outcome.end == End::Cancelled {
        return Err(crate::verify::cancelled());
    }
    let work_dir = outcome.work_dir.to_string_lossy().into_owned();
    let from_work = |text: String| feedback::from_folder(&text, &work_dir);
    let left = Left {
        channel: &channel,
        nonce: &nonce,
        stdout: &from_work(outcome.stdout.text()),
        stderr: &from_work(outcome.stderr.text()),
        file: outcome.files.first().map(|(_, bytes)| bytes.as_slice()),
        exit_ok: outcome.end == End::Exit(0),
        is_whole: outcome.stdout.complete().is_some() && outcome.stderr.complete().is_some(),
        work_dir: &work_dir,
    };
    let mut evidence = evidence::read(runner.kind, &left);
    if evidence.tests.is_empty() && evidence.broken.is_empty() && evidence.unreadable.is_none() && !left.exit_ok {
        let told = if left.stderr.trim().is_empty() { left.stdout } else { left.stderr };
        evidence.broken.extend(last_words(told));
    }
    let wrote = wrote(&outcome, stage.standing);
    if let Some(before) = before {
        evidence.tampered = tampered(&wrote, &evidence, before);
    }
    let has_passed = evidence.count(|ended| *ended == evidence::Ended::Passed) > 0;
    let told = told(runner.kind, &evidence, has_passed);
    let hindrance = match before {
        None => hindrance::of_run(&outcome, &limits, told)
            .or_else(|| hindrance::of_evidence(&evidence, sandbox.tier()))
            .or_else(|| (!has_passed && !left.exit_ok).then(|| own_path(root, &left, &evidence, sandbox.tier()))?)
            .map(|found| named(found, &tools)),
        Some(_) => None,
    };
    Ok(Ran {
        evidence,
        hindrance,
        notes: notes(&outcome),
        warnings: [left.stdout, left.stderr].into_iter().flat_map(warnings::of).collect(),
        only_exit_code: runner.kind == Kind::Shell,
        exit_codes: matches!(runner.kind, Kind::Shell | Kind::Ctest),
        wall: outcome.wall,
        wrote,
        end: match outcome.end {
            // What cannot be found is the check's affair, not a wall that broke.
            End::SandboxError { step, .. } if step == "exec" => End::Exit(127),
            end => end,
        },
    })
}

/// What a run's report told; of a check that only has an exit code it tells nothing.
fn told(kind: Kind, evidence: &Evidence, has_passed: bool) -> Told {
    match (has_passed, kind == Kind::Shell || evidence.tests.is_empty()) {
        (true, _) => Told::Passes,
        (false, true) => Told::Nothing,
        (false, false) => Told::Failures,
    }
}

/// Whether a run in tier L came to nothing because a file of the project names it by its absolute path.
fn own_path(root: &Path, left: &Left<'_>, evidence: &Evidence, tier: Tier) -> Option<Hindrance> {
    const SIGNS: [&str; 5] = ["No module named", "No such file", "Cannot find module", "not found", "cannot open"];
    let own = root.to_str()?;
    if let Some(line) = left.stderr.lines().chain(left.stdout.lines()).find(|line| line.contains(own)) {
        return (tier == Tier::L).then(|| Hindrance::new(hindrance::Wall::OwnPath, line));
    }
    let said = |text: &str| SIGNS.iter().any(|sign| text.contains(sign));
    let is_lost = said(left.stderr) || said(left.stdout) || evidence.broken.iter().any(|text| said(text));
    let file = (tier == Tier::L && is_lost).then(|| own_paths::naming_file(root)).flatten()?;
    Some(Hindrance { wall: hindrance::Wall::OwnPath, detail: format!("{} names it", file.display()) })
}

/// A toolchain that the project wants and that is not there explains a tool that is not found.
fn named(hindrance: Hindrance, tools: &Toolbox) -> Hindrance {
    match &tools.missing {
        Some(missing) if hindrance.wall == hindrance::Wall::NotFound => {
            Hindrance { detail: missing.clone(), ..hindrance }
        }
        None if hindrance.wall == hindrance::Wall::NotFound => match tools.why_unreachable(&hindrance.detail) {
            Some(why) => Hindrance { detail: why, ..hindrance },
            None => hindrance,
        },
        _ => hindrance,
    }
}

/// What of the walls' state concerns a verdict.
fn notes(outcome: &Outcome) -> Vec<String> {
    let features = outcome.isolation.features.iter();
    features.filter(|feature| feature.starts_with("not readable and left out")).cloned().collect()
}

/// What a run did to what decides about it, and the run before the change did not.
fn tampered(wrote: &[PathBuf], evidence: &Evidence, before: &Ran) -> Vec<String> {
    let files = wrote.iter().filter(|path| !before.wrote.contains(path));
    let files = files.take(3).map(|path| format!("while the tests ran, {} was written to", path.display()));
    // Plugins of the project may replace parts of a runner, and do so in every run.
    let parts = evidence.replaced.difference(&before.evidence.replaced);
    let parts = parts.take(3).map(|part| format!("while the tests ran, {part} of the test runner was replaced"));
    files.chain(parts).collect()
}

/// Files that decide (or are other people's code) and that a run changed, added, deleted or opened for writing.
fn wrote(outcome: &Outcome, standing: &Standing) -> Vec<PathBuf> {
    /// Folders that tools write to by themselves.
    const MADE: [&str; 9] =
        ["__pycache__", ".pytest_cache", ".cache", "target", "build", ".vite", ".vitest", "coverage", ".git"];
    let concerns = |path: &Path, is_new: bool| {
        let Some(text) = path.to_str() else { return false };
        let made = path.components().any(|part| MADE.iter().any(|name| part.as_os_str() == *name));
        let ours = path.starts_with(OUR_DIR);
        if standing.run.contains(text) && standing.protected.iter().any(|own| own == path) {
            return !is_new;
        }
        if made || (ours && path.extension().is_none_or(|ending| ending != "py")) {
            return false;
        }
        match protect::role(text) {
            protect::Role::Test | protect::Role::Steering => ours || !is_new || protect::decides_by_name(text),
            protect::Role::Dependency => !is_new && protect::is_source(text),
            _ => false,
        }
    };
    let changed = outcome.changed.iter().filter(|change| concerns(&change.path, change.kind == ChangeKind::Added));
    let touched = outcome.touched.iter().filter(|path| concerns(path, false));
    changed.map(|change| change.path.clone()).chain(touched.cloned()).collect()
}

/// The limits of a run. A candidate that needs many times what the project needed hangs; where tests failed before any
/// change, others of them passed, so that what is started before the first one is known as well.
fn limits(stage: &Stage<'_>, before: Option<&Ran>) -> Limits {
    const PATIENCE: u32 = 5;
    const WALL_MIN: Duration = Duration::from_secs(60);
    let mut limits = stage.options.project_limits.clone();
    // Who stops at the first failure says nothing of how long all tests take.
    let stops =
        stage.runner.command.split_whitespace().chain(stage.runner.args.iter().map(String::as_str)).any(|word| {
            matches!(word, "-x" | "-f" | "--exitfirst" | "--failfast" | "-failfast" | "--bail" | "-b" | "--fail-fast")
                || word.starts_with("--maxfail")
                || word.starts_with("--bail=")
        });
    let ran = |before: &&Ran| {
        let passed = before.evidence.tests.values().any(|ended| *ended == Ended::Passed);
        before.evidence.complete && (before.end == End::Exit(0) || (passed && !stops))
    };
    if let Some(before) = before.filter(ran) {
        limits.wall = limits.wall.min((before.wall * PATIENCE).max(WALL_MIN));
    }
    if stage.runner.kind.prints_evidence() {
        // Evidence on stdout must be complete.
        limits.head_bytes = limits.head_bytes.max(16 << 20);
        limits.output_bytes_max = limits.output_bytes_max.max(32 << 20);
    } else {
        // What is printed is no evidence: the middle is dropped, and the run goes on.
        limits.output_bytes_max = u64::MAX / 4;
    }
    limits
}

/// The end of what a run said that came to nothing; pytest's "no tests" is no error.
fn last_words(told: &str) -> Option<String> {
    let text = crate::verify::feedback::clean(told);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let none = ["no tests ran", "NO TESTS RAN", "Ran 0 tests", "No tests were found", "No test files found"];
    let tail = lines[lines.len().saturating_sub(6)..].join("\n");
    (!tail.is_empty() && !none.iter().any(|word| told.contains(word))).then_some(tail)
}

/// The environment whose interpreter the command names by its path.
fn environment_of(root: &Path, runner: &Runner) -> Option<PathBuf> {
    let is_python = matches!(runner.kind, Kind::Pytest | Kind::Unittest);
    let python = runner.via.first().filter(|_| is_python)?;
    let environment = root.join(&runner.folder).join(python).parent()?.parent()?.canonicalize().ok()?;
    environment.join("pyvenv.cfg").is_file().then_some(environment)
}

/// The interpreter for a runner in Python: as it is started, and where it is here. The one that the command names by its
/// path, else the first in PATH that has what is needed.
fn python(root: &Path, runner: &Runner, tools: &Toolbox) -> Result<(String, PathBuf), Verdict> {
    let nothing = |why: &str| Err(crate::verify::nothing(why));
    let fits = |file: &PathBuf| runner.kind == Kind::Unittest || python_env::has_module(file, "pytest");
    if let Some(named) = runner.via.first() {
        let file = root.join(&runner.folder).join(named);
        if !file.is_file() {
            return nothing(&Hindrance::new(hindrance::Wall::NotFound, named).to_string());
        }
        // As it was written: in some tiers the project is elsewhere.
        return if fits(&file) {
            Ok((named.clone(), file))
        } else {
            nothing(&format!("pytest is not installed for {named}"))
        };
    }
    // What the tests import is in the project's environment, where it has one, and for no other Python.
    let environment = tools.environment().map(|environment| environment.join("bin"));
    let folders = environment.as_ref().map_or(tools.path.as_slice(), std::slice::from_ref);
    let files = folders.iter().flat_map(|folder| ["python", "python3"].map(|name| folder.join(name)));
    if let Some(file) = files.filter(|file| file.is_file()).find(fits) {
        return Ok((file.to_string_lossy().into_owned(), file));
    }
    if let (Kind::Pytest, Some(folder)) = (runner.kind, tools.environment()) {
        return nothing(&format!("pytest is not installed in the environment {}", folder.display()));
    }
    let (names, why) = match runner.kind {
        Kind::Pytest => (["pytest", "py.test"], "pytest is not installed for the Python that this project uses"),
        _ => (["python3", "python"], "there is no python3 on this machine to run the tests with"),
    };
    nothing(&names.iter().find_map(|name| tools.why_unreachable(name)).unwrap_or_else(|| why.to_owned()))
}

/// What is known of the runner's tool.
fn tool(root: &Path, runner: &Runner, tools: &Toolbox) -> Result<Tool, Verdict> {
    let mut tool = Tool { bash: Path::new("/bin/bash").exists(), ..Tool::default() };
    if matches!(runner.kind, Kind::Pytest | Kind::Unittest) {
        let (program, file) = python(root, runner, tools)?;
        tool.has_xdist = python_env::has_module(&file, "xdist");
        tool.program = program;
    }
    let needs = match runner.kind {
        Kind::Cargo => Some("cargo"),
        Kind::Go => Some("go"),
        Kind::Node => Some("node"),
        Kind::Ctest => Some("cmake"),
        _ => None,
    };
    match needs {
        Some(name) if tools.find(name).is_none() => {
            let missing = tools.missing.as_ref().map(|missing| format!("there is no {missing}"));
            let why = missing.or_else(|| tools.why_unreachable(name));
            let why = why.unwrap_or_else(|| format!("there is no {name} on this machine to run the tests with"));
            Err(crate::verify::nothing(&why))
        }
        _ => {
            debug_assert!(root.is_absolute());
            Ok(tool)
        }
    }
}

fn policy(stage: &Stage<'_>, layer: &Layer, tools: &Toolbox, limits: Limits) -> Policy {
    let Stage { root, runner, sandbox, options, .. } = *stage;
    let mut extra: Vec<File> = layer
        .writes
        .iter()
        .map(|(path, content)| (path.clone(), content.clone().into_bytes(), is_executable(root, path)))
        .collect();
    let mut protected: Vec<PathBuf> = stage.standing.protected.clone();
    protected.retain(|path| !layer.deletes.contains(path));
    let mut own = |name: &str, content: &[u8]| {
        extra.push(setting::file(format!("{OUR_DIR}/{name}"), content));
        if Path::new(name).extension().is_some_and(|ending| ending == "py") {
            protected.push(PathBuf::from(OUR_DIR).join(name));
        }
    };
    match runner.kind {
        Kind::Pytest => own("z1_pytest.py", PYTEST_RUNNER),
        Kind::Unittest => own("z1_unittest.py", UNITTEST_RUNNER),
        // A place for the report.
        _ => own(".keep", b""),
    }
    if matches!(runner.kind, Kind::Pytest | Kind::Unittest) {
        own("z1_channel.py", CHANNEL);
        own("z1_parts.py", PARTS);
    }
    own("gitconfig", GIT_SETTINGS);
    let mut policy = Policy::strict(Workspace::Overlay { lower: root.to_owned(), extra }, limits);
    policy.protected = protected;
    policy.net = Net::own(sandbox.tier());
    policy.min_tier = options.min_tier;
    tools.open(&mut policy);
    if matches!(runner.kind, Kind::Jest | Kind::Vitest) {
        // As at the user's desk: on CI both fail a test whose snapshot is not there yet.
        policy.env.insert("CI".into(), "".into());
    }
    if matches!(runner.kind, Kind::Pytest | Kind::Unittest) {
        policy.env.insert("PYTHONHASHSEED".into(), "0".into());
    }
    // The user's own settings of git are not shown, and without a name nothing can be committed. A project's or a test's own settings
    // win over these.
    policy.env.insert("GIT_CONFIG_SYSTEM".into(), root.join(OUR_DIR).join("gitconfig").into());
    // What was compiled before is no news to anybody, and lies beside tests.
    policy.env.insert("PYTHONDONTWRITEBYTECODE".into(), "1".into());
    policy.env.extend(runner.variables.iter().map(|(name, value)| (name.into(), value.into())));
    if sandbox.tier() == Tier::L {
        // What an editable install names by its absolute path is found by its new one.
        own_paths::python_path(&mut policy.env, own_paths::editable(root, &tools.path));
    }
    policy
}

#[cfg(unix)]
fn is_executable(root: &Path, path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(root.join(path)).is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
}

/// The arguments, behind a step that removes what the change deletes.
fn argv(runner: &Runner, layer: &Layer, argv: Vec<String>) -> Vec<OsString> {
    if layer.deletes.is_empty() {
        return argv.into_iter().map(OsString::from).collect();
    }
    let script = "count=$1; shift; while [ \"$count\" -gt 0 ]; do rm -f -- \"$1\"; shift; count=$((count - 1)); done; exec \"$@\"";
    let mut whole: Vec<OsString> = ["sh", "-c", script, "sh"].map(OsString::from).to_vec();
    whole.push(layer.deletes.len().to_string().into());
    whole.extend(layer.deletes.iter().map(|path| Path::new(&runner.to_root()).join(path).into_os_string()));
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
