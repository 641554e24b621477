//! The sandbox through its public interface: what programs can do, how they end, what is reported.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use z1::cancel::Cancel;
use z1::sandbox::{
    ChangeKind, End, LimitKind, Limits, Outcome, Policy, Request, Sandbox, SandboxOptions, Stdin, Workspace,
};
use z1::task::Tier;

/// The sandbox at this tier; `None`, said aloud, where this machine cannot build it.
pub(crate) fn sandbox(tier: Tier) -> Option<Sandbox> {
    let helper_exe = PathBuf::from(env!("CARGO_BIN_EXE_z1"));
    match Sandbox::start(SandboxOptions { tier: Some(tier), allow_unsandboxed: false, helper_exe }) {
        Ok(sandbox) => Some(sandbox),
        Err(unavailable) => {
            println!("skipped: tier {tier:?}: {unavailable}");
            None
        }
    }
}

pub(crate) fn run_async<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

pub(crate) fn empty(limits: Limits) -> Policy {
    Policy::strict(Workspace::Files(Vec::new()), limits)
}

pub(crate) fn shell(sandbox: &Sandbox, policy: &Policy, script: &str) -> Outcome {
    run_async(sandbox.run(policy, Request::new(["/bin/sh", "-c", script]), &Cancel::new()))
}

const TIERS: [Tier; 3] = [Tier::F, Tier::B, Tier::L];

fn for_each_tier(test: impl Fn(Tier, &Sandbox)) {
    for tier in TIERS {
        if let Some(sandbox) = sandbox(tier) {
            test(tier, &sandbox);
        }
    }
}

#[test]
fn a_program_runs_and_its_outputs_and_exit_code_come_back() {
    for_each_tier(|tier, sandbox| {
        let outcome = shell(sandbox, &empty(Limits::UNIT), "echo out; echo err >&2; exit 7");
        assert_eq!(outcome.end, End::Exit(7), "{tier:?} {outcome:?}");
        assert_eq!(outcome.stdout.text(), "out\n");
        assert_eq!(outcome.stderr.text(), "err\n");
        assert_eq!(outcome.isolation.tier, tier);
        assert!(outcome.isolation.features.iter().any(|feature| feature == "seccomp"));
    });
}

#[test]
fn stdin_files_and_collected_results_travel() {
    for_each_tier(|tier, sandbox| {
        let files = vec![(PathBuf::from("in/run.sh"), b"cat > result; cat run.sh | wc -l".to_vec(), true)];
        let policy = Policy::strict(Workspace::Files(files), Limits::UNIT);
        let mut request = Request::new(["sh", "run.sh"]);
        request.cwd = PathBuf::from("in");
        request.stdin = Stdin::Bytes(b"fed".to_vec());
        request.collect = vec![PathBuf::from("in/result"), PathBuf::from("in/missing")];
        let outcome = run_async(sandbox.run(&policy, request, &Cancel::new()));
        assert_eq!(outcome.end, End::Exit(0), "{tier:?} {outcome:?}");
        assert_eq!(outcome.files, [(PathBuf::from("in/result"), b"fed".to_vec())]);
        let changed: Vec<_> = outcome.changed.iter().map(|c| (c.path.clone(), c.kind, c.bytes)).collect();
        assert_eq!(changed, [(PathBuf::from("in/result"), ChangeKind::Added, 3)]);
    });
}

#[test]
fn a_private_channel_carries_questions_and_answers() {
    for_each_tier(|tier, sandbox| {
        let outcome = run_async(async {
            let policy = empty(Limits::UNIT);
            let script = "while read line <&3; do echo \"got $line\" >&4; done";
            let request = Request::new(["/bin/sh", "-c", script]);
            let trial = sandbox.open(&policy, request, &Cancel::new()).await.unwrap();
            let (channel, outcome) = trial.split();
            let worker = tokio::task::spawn_blocking(move || {
                let mut to = std::fs::File::from(channel.to_program);
                let mut from = std::fs::File::from(channel.from_program);
                to.write_all(b"one\ntwo\n").unwrap();
                drop(to);
                let mut answers = String::new();
                from.read_to_string(&mut answers).unwrap();
                answers
            });
            let outcome = outcome.await;
            assert_eq!(worker.await.unwrap(), "got one\ngot two\n", "{tier:?}");
            outcome
        });
        assert_eq!(outcome.end, End::Exit(0), "{tier:?} {outcome:?}");
    });
}

#[test]
fn limits_end_a_trial_and_are_named() {
    for_each_tier(|tier, sandbox| {
        let short = Limits { wall: Duration::from_millis(300), ..Limits::UNIT };
        assert_eq!(shell(sandbox, &empty(short), "sleep 100").end, End::Limit(LimitKind::Wall), "{tier:?}");
        let busy = Limits { cpu: Duration::from_millis(300), ..Limits::UNIT };
        let spin = "while :; do :; done & while :; do :; done";
        assert_eq!(shell(sandbox, &empty(busy), spin).end, End::Limit(LimitKind::Cpu), "{tier:?}");
        let quiet = Limits { output_bytes_max: 1 << 20, ..Limits::UNIT };
        let outcome = shell(sandbox, &empty(quiet), "yes");
        assert_eq!(outcome.end, End::Limit(LimitKind::Output), "{tier:?}");
        assert!(outcome.stdout.head.starts_with(b"y\ny\n"));
        assert!(outcome.stdout.text().contains("bytes left out"));
    });
}

/// A program behind walls that has not started by then never will.
const START_SECONDS_MAX: Duration = Duration::from_secs(60);

/// How many processes sleep for exactly `long` seconds.
fn sleepers(long: &str) -> usize {
    let wanted = format!("sleep\0{long}\0");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|process| std::fs::read_to_string(process.path().join("cmdline")).is_ok_and(|line| line == wanted))
        .count()
}

#[test]
fn cancelling_kills_the_whole_tree() {
    for_each_tier(|tier, sandbox| {
        let outcome = run_async(async {
            let cancel = Cancel::new();
            let policy = empty(Limits::UNIT);
            // The programs are told from others by how long they sleep.
            let long = (1_000_000 + std::process::id()).to_string();
            let script = format!("echo up; setsid sleep {long} & sleep {long}");
            let request = Request::new(["/bin/sh", "-c", &script]);
            let trial = sandbox.run(&policy, request, &cancel);
            let later = async {
                let _ = tokio::time::timeout(START_SECONDS_MAX, async {
                    while sleepers(&long) < 2 {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                })
                .await;
                cancel.cancel();
            };
            tokio::join!(trial, later).0
        });
        assert_eq!(outcome.end, End::Cancelled, "{tier:?}");
        assert_eq!(outcome.stdout.text(), "up\n");
        assert!(outcome.leftovers_killed >= 1, "{tier:?} {outcome:?}");
    });
}

#[test]
fn what_cannot_be_started_is_the_sandboxs_error_and_never_the_programs() {
    for_each_tier(|tier, sandbox| {
        let request = Request::new(["no-such-program-anywhere"]);
        let outcome = run_async(sandbox.run(&empty(Limits::UNIT), request, &Cancel::new()));
        let End::SandboxError { step, message } = &outcome.end else { panic!("{tier:?} {outcome:?}") };
        assert_eq!(step, "exec");
        assert!(message.contains("no-such-program-anywhere: not found"), "{message}");

        let mut policy = empty(Limits::UNIT);
        policy.ro = vec![PathBuf::from("/no/such/folder")];
        let outcome = shell(sandbox, &policy, "echo ran");
        assert!(matches!(&outcome.end, End::SandboxError { step, .. } if step.contains("/no/such/folder")));
        assert_eq!(outcome.stdout.total_bytes, 0);
    });
}
