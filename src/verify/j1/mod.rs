//! J1: functions judged from outside. The tests run in a judge's process, the candidate in a worker's, each in a
//! sandbox of its own; the parent carries calls and plain values between them.
//!
//! Expected values never enter the worker's sandbox, no line of the candidate runs where the tests are, and what
//! comes back is data of exact types: an object that claims to equal everything is simply not equal.
//!
//! Where tests and program have to share a process all the same, [`together`] runs them, and says so.
//!
//! Read [`relay`] for what is carried, `workers/wire.py` for the protocol, `workers/judge.py` for how a test program
//! is run against a candidate that is somewhere else.

pub(crate) mod relay;
mod report;
mod spec;
pub(crate) mod together;

use std::time::{Duration, Instant};

use tokio::net::unix::pipe::{Receiver, Sender};

use crate::cancel::Cancel;
use crate::sandbox::{Channel, End, Limits, Outcome, Request, Sandbox};
use crate::task::{Language, Verdict};

use super::VerifyOptions;
use super::setting::{self, File, Setting};
use relay::{Gone, Port, Transcript, relay};
use report::Circumstances;
pub(crate) use report::of_limit;
pub(crate) use spec::{Kind, Spec};

/// How much longer the judge may live than the worker: it must still tell what happened.
const JUDGE_GRACE: Duration = Duration::from_secs(5);
/// How long a process that has closed its channel may take to end.
const EXIT_GRACE: Duration = Duration::from_secs(2);

/// The programs of one language's judge and worker.
struct Workers {
    judge: &'static str,
    worker: &'static str,
    main_file: &'static str,
    candidate_file: &'static str,
    flags: &'static [&'static str],
}

const PYTHON: Workers = Workers {
    judge: concat!(
        include_str!("workers/wire.py"),
        "\n\n",
        include_str!("workers/remote.py"),
        "\n\n",
        include_str!("workers/shims.py"),
        "\n\n",
        include_str!("workers/judge.py")
    ),
    worker: concat!(include_str!("workers/wire.py"), "\n\n", include_str!("workers/worker.py")),
    main_file: "z1_main.py",
    candidate_file: "candidate.py",
    // Isolated from the environment and the user's own packages, without `.pth` files, no byte code written.
    flags: &["-I", "-S", "-B"],
};

const JAVASCRIPT: Workers = Workers {
    judge: concat!(include_str!("workers/wire.js"), "\n", include_str!("workers/judge.js")),
    worker: concat!(include_str!("workers/wire.js"), "\n", include_str!("workers/worker.js")),
    main_file: "z1_main.js",
    candidate_file: "candidate.js",
    flags: &["--no-warnings"],
};

const fn workers(language: Language) -> Option<Workers> {
    match language {
        Language::Python => Some(PYTHON),
        Language::JavaScript => Some(JAVASCRIPT),
        _ => None,
    }
}

/// Whether functions of this language can be judged from outside.
pub(crate) const fn speaks(language: Language) -> bool {
    workers(language).is_some()
}

/// A worker that answers calls, with its trial's end still to come.
pub(crate) struct Process {
    pub(crate) port: Port<Receiver, Sender>,
    stop: Cancel,
    end: tokio::task::JoinHandle<Outcome>,
}

impl Process {
    fn new(
        channel: Channel,
        end: impl Future<Output = Outcome> + Send + 'static,
        stop: Cancel,
    ) -> std::io::Result<Self> {
        let port =
            Port::new(Receiver::from_owned_fd(channel.from_program)?, Sender::from_owned_fd(channel.to_program)?);
        Ok(Self { port, stop, end: tokio::spawn(end) })
    }

    /// Closes the channel and waits for the end, with force where `patience` runs out.
    pub(crate) async fn finish(self, patience: Duration) -> End {
        drop(self.port);
        let mut end = self.end;
        if let Ok(outcome) = tokio::time::timeout(patience, &mut end).await {
            return ended(outcome).0;
        }
        self.stop.cancel();
        ended(end.await).0
    }

    async fn finish_with_stderr(self, patience: Duration) -> (End, String) {
        drop(self.port);
        let mut end = self.end;
        if let Ok(outcome) = tokio::time::timeout(patience, &mut end).await {
            return ended(outcome);
        }
        self.stop.cancel();
        ended(end.await)
    }
}

fn ended(outcome: Result<Outcome, tokio::task::JoinError>) -> (End, String) {
    match outcome {
        Ok(outcome) => (outcome.end, outcome.stderr.text()),
        Err(error) => {
            (End::SandboxError { step: "wait for the trial".to_owned(), message: error.to_string() }, String::new())
        }
    }
}

/// Opens the candidate's worker by itself (for observing behaviour without tests).
pub(crate) async fn open_worker(
    language: Language,
    source: &str,
    sandbox: &Sandbox,
    options: &VerifyOptions,
) -> Result<Process, Verdict> {
    let setting = setting::of(language)?;
    let Some(workers) = workers(language) else { return Err(unspoken(language)) };
    open(&setting, &workers, false, candidate_files(&workers, source), options.limits.clone(), sandbox, options).await
}

fn unspoken(language: Language) -> Verdict {
    Verdict::NothingToCheck { why: format!("functions in {} cannot be called from outside", language.fence_tag()) }
}

fn candidate_files(workers: &Workers, source: &str) -> Vec<File> {
    vec![
        setting::file(workers.main_file, workers.worker.as_bytes()),
        setting::file(workers.candidate_file, source.as_bytes()),
    ]
}

/// Judges a program's functions by a test program. `hidden` tests are not quoted in the verdict.
pub(crate) async fn judge(
    (language, source): (Language, &str),
    spec: &Spec,
    hidden: bool,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    let setting = match setting::of(language) {
        Ok(setting) => setting,
        Err(verdict) => return verdict,
    };
    let Some(workers) = workers(language) else { return unspoken(language) };
    let start = Instant::now();
    let (judge, worker) = match open_both(&setting, &workers, source, spec, sandbox, options).await {
        Ok(both) => both,
        Err(verdict) => return verdict,
    };
    let Some((transcript, worker_end, (judge_end, judge_stderr))) = converse(judge, worker, options, cancel).await
    else {
        return super::cancelled();
    };
    report::verdict(
        &transcript,
        &Circumstances {
            command: format!("{} tests on the program's functions", language.fence_tag()),
            worker: &worker_end,
            judge: &judge_end,
            judge_stderr,
            tier: sandbox.tier(),
            wall_ms: start.elapsed().as_millis() as u64,
            file: workers.candidate_file,
            hidden,
        },
    )
}

async fn open_both(
    setting: &Setting,
    workers: &Workers,
    source: &str,
    spec: &Spec,
    sandbox: &Sandbox,
    options: &VerifyOptions,
) -> Result<(Process, Process), Verdict> {
    let limits = &options.limits;
    let judge_limits = Limits { wall: limits.wall + JUDGE_GRACE, cpu: limits.cpu + JUDGE_GRACE, ..Limits::UNIT };
    let spec = serde_json::to_vec(spec).expect("invariant: a spec is plain data");
    let judge_files =
        vec![setting::file(workers.main_file, workers.judge.as_bytes()), setting::file("spec.json", &spec)];
    let judge = open(setting, workers, false, judge_files, judge_limits, sandbox, options).await?;
    let files = candidate_files(workers, source);
    match open(setting, workers, true, files, limits.clone(), sandbox, options).await {
        Ok(worker) => Ok((judge, worker)),
        Err(verdict) => {
            judge.finish(Duration::ZERO).await;
            Err(verdict)
        }
    }
}

/// Starts one of the two. `beside` means that it only works while the other waits, so that it needs no core.
async fn open(
    setting: &Setting,
    workers: &Workers,
    beside: bool,
    files: Vec<File>,
    limits: Limits,
    sandbox: &Sandbox,
    options: &VerifyOptions,
) -> Result<Process, Verdict> {
    let policy = setting.policy(files, limits, options.min_tier);
    let argv = std::iter::once(setting.program.clone().into_os_string())
        .chain(workers.flags.iter().map(Into::into))
        .chain([workers.main_file.into()]);
    let request = Request::new(argv);
    let stop = Cancel::new();
    let opened = if beside {
        sandbox.open_beside(&policy, request, &stop).await
    } else {
        sandbox.open(&policy, request, &stop).await
    };
    let trial = opened.map_err(|outcome| not_run(&outcome.end))?;
    let (channel, end) = trial.split();
    Process::new(channel, end, stop)
        .map_err(|error| Verdict::SandboxFailed { step: "open the channel".to_owned(), why: error.to_string() })
}

fn not_run(end: &End) -> Verdict {
    match end {
        End::SandboxError { step, message } => Verdict::SandboxFailed { step: step.clone(), why: message.clone() },
        End::Cancelled => super::cancelled(),
        other => Verdict::SandboxFailed { step: "start the trial".to_owned(), why: format!("{other:?}") },
    }
}

/// Lets the two talk to the end. `None` where the user cancelled.
async fn converse(
    mut judge: Process,
    mut worker: Process,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Option<(Transcript, End, (End, String))> {
    let talked = tokio::select! {
        transcript = relay(&mut judge.port, &mut worker.port, options.call_wall, options.limits.wall) => Some(transcript),
        () = cancel.cancelled() => None,
    };
    let Some(transcript) = talked else {
        tokio::join!(judge.finish(Duration::ZERO), worker.finish(Duration::ZERO));
        return None;
    };
    // How a worker ended matters only where it ended by itself.
    let patience = if transcript.gone == Some(Gone::Exit) { EXIT_GRACE } else { Duration::ZERO };
    let judge_patience = if transcript.out_of_time { Duration::ZERO } else { EXIT_GRACE };
    let (worker_end, judge_end) = tokio::join!(worker.finish(patience), judge.finish_with_stderr(judge_patience));
    // A limit that struck while the judge waited is the reason for what the judge saw.
    Some((transcript, worker_end, judge_end))
}
