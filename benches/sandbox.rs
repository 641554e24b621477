//! What the walls cost, and whether they hold under eight candidates with bombs of every kind.
//!
//! `scripts/bench-sandbox [ROUNDS]` prints spawn overhead beside the system's bubblewrap with the same mounts, trials
//! per second, and how fast a bomb is gone. `scripts/soak [ROUNDS]` runs the bombs side by side and fails where
//! anything is left behind. Nothing here attacks anything outside the sandbox.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use z1::cancel::Cancel;
use z1::sandbox::{End, Limits, Outcome, Policy, Request, Sandbox, SandboxOptions, Workspace};
use z1::task::Tier;

/// Processes of the bomb whose end is timed.
const BOMB_PROCESSES: u32 = 150;
/// Candidates at once in the soak.
const CANDIDATES: usize = 8;
/// How often the thread that stands for the user interface wakes.
const TICK: Duration = Duration::from_millis(10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let (mode, rounds) = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["spawn", rounds] => ("spawn", rounds.parse().expect("a number of rounds")),
        ["soak", rounds] => ("soak", rounds.parse().expect("a number of rounds")),
        [] => ("spawn", 20),
        other => panic!("unknown arguments {other:?}; give `spawn ROUNDS` or `soak ROUNDS`"),
    };
    let walls: Vec<Sandbox> = [Tier::F, Tier::B, Tier::L].into_iter().filter_map(start).collect();
    assert!(!walls.is_empty(), "no tier can be built here");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    match mode {
        "spawn" => {
            // Programs behind walls run at nice 10; so that nothing else is compared, everything here does.
            rustix::process::setpriority_process(None, 10).expect("everybody may be nicer");
            spawn(&walls, rounds, &runtime);
            throughput(&walls, &runtime);
            for walls in &walls {
                kill(walls, &runtime);
            }
        }
        _ => {
            // Every tier is soaked, also after one that left something.
            let ends: Vec<bool> = walls.iter().map(|walls| soak(walls, rounds, &runtime)).collect();
            let clean = ends.iter().all(|clean| *clean);
            std::process::exit(i32::from(!clean));
        }
    }
}

fn start(tier: Tier) -> Option<Sandbox> {
    let helper_exe = PathBuf::from(env!("CARGO_BIN_EXE_z1"));
    match Sandbox::start(SandboxOptions { tier: Some(tier), allow_unsandboxed: false, helper_exe }) {
        Ok(sandbox) => Some(sandbox),
        Err(unavailable) => {
            println!("tier {tier:?} cannot be built here: {unavailable}");
            None
        }
    }
}

fn policy(change: impl FnOnce(&mut Limits)) -> Policy {
    let mut policy = Policy::strict(Workspace::Files(Vec::new()), Limits::UNIT);
    change(&mut policy.limits);
    policy
}

/// The sorted values at these shares of the way, as milliseconds.
fn shares(values: &mut [Duration], shares: &[f64]) -> Vec<f64> {
    values.sort();
    let at = |share: f64| values.get(((values.len() - 1) as f64 * share) as usize).copied().unwrap_or_default();
    shares.iter().map(|share| at(*share).as_secs_f64() * 1000.0).collect()
}

/// Times each way of starting a program, one after the other in every round.
fn spawn(walls: &[Sandbox], rounds: usize, runtime: &tokio::runtime::Runtime) {
    let programs: [(&str, &[&str]); 2] =
        [("/bin/true", &["/bin/true"]), ("python3 -I -S -c pass", &["/usr/bin/python3", "-I", "-S", "-c", "pass"])];
    let bwrap = Path::new("/usr/bin/bwrap");
    println!("| program | way | median ms | p10 | p90 | beside bwrap |\n|---|---|---|---|---|---|");
    for (name, argv) in programs.iter().filter(|(_, argv)| Path::new(argv[0]).exists()) {
        let mut times: Vec<(String, Vec<Duration>)> = Vec::new();
        let mut note = |way: &str, time: Duration| match times.iter_mut().find(|(known, _)| known == way) {
            Some((_, values)) => values.push(time),
            None => times.push((way.to_owned(), vec![time])),
        };
        let policy = policy(|_| {});
        for _ in 0..rounds {
            note("no walls", timed(|| finished(Command::new(argv[0]).args(&argv[1..]))));
            if bwrap.exists() {
                note("bwrap", timed(|| finished(&mut same_mounts(bwrap, argv))));
            }
            for walls in walls {
                let request = Request::new(argv.iter().copied());
                let time = timed(|| {
                    let outcome = runtime.block_on(walls.run(&policy, request, &Cancel::new()));
                    assert_eq!(outcome.end, End::Exit(0), "{outcome:?}");
                });
                note(&format!("tier {:?}", walls.tier()), time);
            }
        }
        let peer = times.iter_mut().find(|(way, _)| way == "bwrap").map(|(_, values)| shares(values, &[0.5])[0]);
        for (way, values) in &mut times {
            let figures = shares(values, &[0.5, 0.1, 0.9]);
            let ratio = peer.map_or_else(|| "–".to_owned(), |peer| format!("{:.2}", figures[0] / peer));
            println!("| `{name}` | {way} | {:.1} | {:.1} | {:.1} | {ratio} |", figures[0], figures[1], figures[2]);
        }
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn finished(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("the program starts");
    assert!(status.success());
}

/// Bubblewrap with all its namespaces and the mounts that tier F makes.
fn same_mounts(bwrap: &Path, argv: &[&str]) -> Command {
    let mut command = Command::new(bwrap);
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--proc", "/proc"]);
    for folder in ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"] {
        match std::fs::read_link(folder) {
            Ok(link) => drop(command.arg("--symlink").arg(link).arg(folder)),
            Err(_) if Path::new(folder).is_dir() => drop(command.args(["--ro-bind", folder, folder])),
            Err(_) => {}
        }
    }
    for path in ["alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "mime.types"] {
        let path = format!("/etc/{path}");
        command.args(["--ro-bind-try", &path, &path]);
    }
    for path in ["/etc/ssl/openssl.cnf", "/etc/ssl/certs", "/etc/python3", "/etc/java-17-openjdk"] {
        command.args(["--ro-bind-try", path, path]);
    }
    for device in ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"] {
        command.args(["--dev-bind", device, device]);
    }
    command.args(["--tmpfs", "/tmp", "--tmpfs", "/dev/shm", "--tmpfs", "/box", "--chdir", "/box", "--"]);
    command.args(argv);
    command
}

/// Trials per second with two workers.
fn throughput(walls: &[Sandbox], runtime: &tokio::runtime::Runtime) {
    const TRIALS: usize = 60;
    println!("\n| tier | trials of `python3 -I -S -c pass` per second, 2 workers |\n|---|---|");
    for walls in walls {
        let policy = Arc::new(policy(|_| {}));
        let start = Instant::now();
        runtime.block_on(async {
            let worker = || {
                let (walls, policy) = (walls.clone(), Arc::clone(&policy));
                tokio::spawn(async move {
                    for _ in 0..TRIALS / 2 {
                        let request = Request::new(["python3", "-I", "-S", "-c", "pass"]);
                        let trial = walls.open_beside(&policy, request, &Cancel::new()).await.expect("it starts");
                        assert_eq!(trial.wait().await.end, End::Exit(0));
                    }
                })
            };
            let (first, second) = (worker(), worker());
            first.await.expect("a worker");
            second.await.expect("a worker");
        });
        println!("| {:?} | {:.0} |", walls.tier(), TRIALS as f64 / start.elapsed().as_secs_f64());
    }
}

/// How long a tree of many processes takes to be gone after it was cancelled.
fn kill(walls: &Sandbox, runtime: &tokio::runtime::Runtime) {
    const ROUNDS: usize = 10;
    let source = format!(
        "import os, signal, time\nfor _ in range({BOMB_PROCESSES} - 1):\n    if os.fork() == 0:\n        os.setsid()\n        for s in range(1, 32):\n            try: signal.signal(s, signal.SIG_IGN)\n            except (OSError, ValueError): pass\n        time.sleep(1000)\nos.write(4, b'x')\ntime.sleep(1000)"
    );
    let policy = policy(|limits| {
        limits.processes_max = BOMB_PROCESSES + 8;
        limits.wall = Duration::from_secs(60);
        limits.cpu = Duration::from_secs(60);
    });
    let ticker = Ticker::start();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let word = format!("z1-bench-{}-{round}", std::process::id());
        runtime.block_on(async {
            let cancel = Cancel::new();
            let request = Request::new(["python3", "-I", "-S", "-c", &source, &word]);
            let trial = walls.open_beside(&policy, request, &cancel).await.expect("it starts");
            let (channel, outcome) = trial.split();
            let ready = tokio::task::spawn_blocking(move || {
                let mut byte = [0];
                std::io::Read::read_exact(&mut std::fs::File::from(channel.from_program), &mut byte)
            });
            ready.await.expect("the wait").expect("the bomb is ready");
            let start = Instant::now();
            cancel.cancel();
            let outcome = outcome.await;
            times.push(start.elapsed());
            assert_eq!(outcome.end, End::Cancelled, "{outcome:?}");
            assert!(outcome.leftovers_killed + 1 >= BOMB_PROCESSES, "{outcome:?}");
        });
        assert_eq!(marked(&word), Vec::<u32>::new(), "something is left");
    }
    let lag = ticker.stop();
    let figures = shares(&mut times, &[0.5, 1.0]);
    println!(
        "\ntier {:?}: a tree of {BOMB_PROCESSES} processes that ignore signals is gone after {:.0} ms (median of {ROUNDS}), {:.0} ms at worst; a \
         {} ms tick of this process was late by {:.1} ms (p99), {:.1} ms at worst",
        walls.tier(),
        figures[0],
        figures[1],
        TICK.as_millis(),
        lag[0],
        lag[1]
    );
}

/// A thread that stands for a user interface: sleeps, wakes, notes how late it was.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Duration>>,
}

impl Ticker {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut late = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let start = Instant::now();
                std::thread::sleep(TICK);
                late.push(start.elapsed().saturating_sub(TICK));
            }
            late
        });
        Self { stop, thread }
    }

    /// How late the tick was in 99 of 100 cases, and at worst, in milliseconds.
    fn stop(self) -> Vec<f64> {
        self.stop.store(true, Ordering::Relaxed);
        shares(&mut self.thread.join().expect("the ticking thread"), &[0.99, 1.0])
    }
}

/// Bombs, each a Python program; every one is bounded by its sandbox alone.
const BOMBS: [(&str, &str); 8] = [
    ("fork", "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"),
    ("memory", "a = []\nwhile True: a.append(bytearray(1 << 20))"),
    ("disk", "import itertools\nfor i in itertools.count(): open(f'f{i}', 'wb').write(bytes(1 << 20))"),
    ("inodes", "import itertools\nfor i in itertools.count(): open(f'f{i}', 'w').close()"),
    ("output", "import os\nwhile True: os.write(1, b'\\x1b]0;x\\x07' * 8192)"),
    (
        "threads",
        "import threading, time\nwhile True:\n    try: threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\n    except RuntimeError: time.sleep(0.01)",
    ),
    (
        "signals",
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass",
    ),
    (
        "daemons",
        "import os, time\nfor _ in range(10):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n            os.setsid()\n            open('/tmp/left', 'w').write('x')\n            time.sleep(1000)\n        os._exit(0)",
    ),
];

/// What of the machine must be as it was before.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    processes: Vec<u32>,
    mounts: usize,
    work_folders: usize,
    shared_memory: usize,
}

impl Traces {
    fn look(word: &str) -> Self {
        let count = |folder: &Path, prefix: &str| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
        };
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines().count();
        Self {
            processes: marked(word),
            mounts,
            work_folders: count(&std::env::temp_dir(), "z1-box-"),
            shared_memory: count(Path::new("/dev/shm"), ""),
        }
    }
}

/// Rounds of eight bombs at once; returns whether nothing was left behind and the next trial was well.
fn soak(walls: &Sandbox, rounds: usize, runtime: &tokio::runtime::Runtime) -> bool {
    let word = format!("z1-soak-{}-{:?}", std::process::id(), walls.tier());
    let idle = Ticker::start();
    std::thread::sleep(Duration::from_secs(2));
    let idle = idle.stop();
    let before = Traces::look(&word);
    let ticker = Ticker::start();
    let mut ends = String::new();
    let mut well = true;
    for round in 0..rounds {
        let outcomes = runtime.block_on(bombs(walls, &word));
        well &= outcomes.iter().all(|(_, outcome)| !matches!(outcome.end, End::SandboxError { .. }));
        if round == 0 || !well {
            for (name, outcome) in &outcomes {
                write!(ends, " {name} {:?};", outcome.end).expect("a string takes everything");
            }
        }
        let next = runtime.block_on(walls.run(&policy(|_| {}), Request::new(["echo", "well"]), &Cancel::new()));
        well &= next.stdout.text() == "well\n";
    }
    let lag = ticker.stop();
    let after = Traces::look(&word);
    let clean = well && before == after;
    println!(
        "tier {:?}: {rounds} rounds of {CANDIDATES} bombs at once; tick late by {:.1} ms (p99), {:.1} ms at worst; without \
         bombs {:.1} and {:.1} ms\n  first round:{ends}\n  left behind: {}",
        walls.tier(),
        lag[0],
        lag[1],
        idle[0],
        idle[1],
        if clean { "nothing".to_owned() } else { format!("before {before:?}, after {after:?}, well: {well}") }
    );
    clean
}

async fn bombs(walls: &Sandbox, word: &str) -> Vec<(&'static str, Outcome)> {
    let policy = policy(|limits| {
        limits.wall = Duration::from_secs(3);
        limits.cpu = Duration::from_secs(3);
        limits.memory_bytes_max = 128 << 20;
        limits.data_bytes_max = 512 << 20;
        limits.disk_bytes_max = 32 << 20;
        limits.inodes_max = 5000;
        limits.processes_max = 60;
        limits.output_bytes_max = 2 << 20;
    });
    let mut running = Vec::with_capacity(CANDIDATES);
    for (name, source) in BOMBS {
        let request = Request::new(["python3", "-I", "-S", "-c", source, word]);
        // Not in turn, as the budget would have them: all at once is the point.
        match walls.open_beside(&policy, request, &Cancel::new()).await {
            Ok(trial) => running.push((name, tokio::spawn(trial.wait()))),
            Err(outcome) => panic!("{name} does not start: {outcome:?}"),
        }
    }
    let mut outcomes = Vec::with_capacity(CANDIDATES);
    for (name, outcome) in running {
        outcomes.push((name, outcome.await.expect("a trial's wait")));
    }
    outcomes
}

/// Processes with this word among their arguments.
fn marked(word: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    })
    .collect()
}
