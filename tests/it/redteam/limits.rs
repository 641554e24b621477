//! Cases 29 to 31, 34, 35, 37, 39, 40: time, processes, memory, disk, output. Every bomb is bounded by the sandbox
//! alone, so none is ever set off outside; the bounds here are small, since other programs run beside the tests.

use std::time::Duration;

use z1::sandbox::{End, LimitKind, Limits, Outcome, Policy, Request};
use z1::task::Tier;

use super::harness::{Walls, each_tier, empty, limited, marker, nothing_left};

/// Short times and little of everything.
fn small() -> Policy {
    limited(|limits| {
        limits.wall = Duration::from_secs(5);
        limits.memory_bytes_max = 256 << 20;
        limits.disk_bytes_max = 16 << 20;
        limits.file_bytes_max = 8 << 20;
        limits.inodes_max = 2000;
        limits.processes_max = 40;
    })
}

fn python(walls: &Walls<'_>, change: impl FnOnce(&mut Limits), source: &str) -> Outcome {
    let mut policy = small();
    change(&mut policy.limits);
    let word = marker();
    let outcome = walls.python(&policy, source, &[&word]);
    nothing_left(&word);
    assert!(!matches!(outcome.end, End::SandboxError { .. }), "{:?} {outcome:?}", walls.tier);
    outcome
}

/// Little processor time, and a wall that a loaded machine does not reach first.
fn busy(limits: &mut Limits) {
    limits.cpu = Duration::from_millis(500);
    limits.wall = Duration::from_secs(60);
}

const IGNORE: &str = "import os, signal, time\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n";

#[test]
fn case_29_what_does_not_end_is_ended() {
    each_tier(|walls| {
        for body in ["while True: pass", "time.sleep(1000)", "os.read(os.pipe()[0], 1)", "signal.pause()"] {
            let outcome = python(walls, |limits| limits.wall = Duration::from_millis(400), &format!("{IGNORE}{body}"));
            assert_eq!(outcome.end, End::Limit(LimitKind::Wall), "{body} {outcome:?}");
        }
        let outcome = python(walls, busy, &format!("{IGNORE}while True: pass"));
        assert_eq!(outcome.end, End::Limit(LimitKind::Cpu), "{outcome:?}");
    });
}

#[test]
fn case_30_processor_time_is_that_of_the_whole_tree() {
    each_tier(|walls| {
        // Children that take turns, each for less than the limit.
        let relay = "import os, time\nwhile True:\n    pid = os.fork()\n    if pid == 0:\n        end = time.process_time() + 0.1\n        while time.process_time() < end: pass\n        os._exit(0)\n    os.waitpid(pid, 0)";
        let outcome = python(walls, busy, relay);
        assert_eq!(outcome.end, End::Limit(LimitKind::Cpu), "{outcome:?}");
        let side_by_side = "import os\nfor _ in range(4): os.fork()\nwhile True: pass";
        let outcome = python(walls, busy, side_by_side);
        assert_eq!(outcome.end, End::Limit(LimitKind::Cpu), "{outcome:?}");
    });
}

#[test]
fn case_31_fork_and_thread_bombs_stay_small_and_die() {
    each_tier(|walls| {
        let forks = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass";
        let outcome = python(walls, |limits| limits.wall = Duration::from_millis(1500), forks);
        assert_eq!(outcome.end, End::Limit(LimitKind::Wall), "{outcome:?}");
        assert!((10..=60).contains(&outcome.leftovers_killed), "{outcome:?}");
        let sessions =
            "import os\nwhile True:\n    try:\n        if os.fork() == 0: os.setsid()\n    except OSError: pass";
        let outcome = python(walls, |limits| limits.wall = Duration::from_millis(1500), sessions);
        assert_eq!(outcome.end, End::Limit(LimitKind::Wall), "{outcome:?}");
        let threads = "import threading, time\nn = 0\ntry:\n    while n < 500:\n        threading.Thread(target=time.sleep, args=(100,), daemon=True).start()\n        n += 1\nexcept RuntimeError:\n    pass\nprint(n, flush=True)\nimport os\nos._exit(0)";
        let outcome = python(walls, |_| {}, threads);
        let started: u32 = outcome.stdout.text().trim().parse().unwrap();
        assert!((10..=60).contains(&started), "{outcome:?}");
    });
}

#[test]
fn case_34_private_memory_is_bounded() {
    each_tier(|walls| {
        let grow = "a = []\nwhile True: a.append(bytearray(1 << 20))";
        // The kernel refuses more than one process may have …
        let outcome = python(walls, |limits| limits.data_bytes_max = 128 << 20, grow);
        assert_eq!(outcome.end, End::Exit(1), "{outcome:?}");
        assert!(outcome.stderr.text().contains("MemoryError"));
        // … and what the tree has is looked at.
        let outcome = python(walls, |limits| limits.memory_bytes_max = 64 << 20, grow);
        assert_eq!(outcome.end, End::Limit(LimitKind::Memory), "{outcome:?}");
        let family = "import os, time\nfor _ in range(4):\n    if os.fork() == 0: break\na = bytearray(60 << 20)\ntime.sleep(100)";
        let outcome = python(walls, |limits| limits.memory_bytes_max = 128 << 20, family);
        assert_eq!(outcome.end, End::Limit(LimitKind::Memory), "{outcome:?}");
    });
}

#[test]
fn case_35_memory_that_no_process_owns_is_bounded_as_well() {
    each_tier(|walls| {
        let shared = "import mmap, time\nkeep = []\nwhile True:\n    m = mmap.mmap(-1, 8 << 20)\n    m.write(b'x' * (8 << 20))\n    keep.append(m)";
        let outcome = python(walls, |limits| limits.memory_bytes_max = 64 << 20, shared);
        assert_eq!(outcome.end, End::Limit(LimitKind::Memory), "{outcome:?}");
        // Files in memory count against the disk, which is of limited size.
        for folder in ["/dev/shm", "/tmp"] {
            let script = format!(
                "head -c 200M /dev/zero | split -b 4M - {folder}/z1- 2>&1; du -sm {folder} 2>/dev/null | cut -f1"
            );
            let outcome = walls.shell(&small(), &script);
            if walls.tier == Tier::F && outcome.end == End::Exit(0) {
                let text = outcome.stdout.text();
                assert!(text.contains("No space left") || text.contains("Cannot"), "{outcome:?}");
            }
            assert!(!matches!(outcome.end, End::SandboxError { .. }), "{outcome:?}");
        }
    });
}

#[test]
fn case_37_the_disk_is_bounded_by_size_and_by_number() {
    each_tier(|walls| {
        let one = "open('big', 'wb').write(b'x' * (32 << 20))";
        let outcome = python(walls, |_| {}, one);
        // Python ignores the signal and sees an error; a program that does not is ended by it.
        assert!(
            outcome.stderr.text().contains("File too large") || outcome.end == End::Limit(LimitKind::Disk),
            "{outcome:?}"
        );
        let many = "import itertools, os\nfor i in itertools.count():\n    with open(f'f{i}', 'wb') as f: f.write(bytes(4 << 20))";
        bounded(&python(walls, |_| {}, many));
        let empty_files = "import itertools\nfor i in itertools.count(): open(f'f{i}', 'w').close()";
        bounded(&python(walls, |_| {}, empty_files));
        let folders = "import itertools, os\nfor i in itertools.count(): os.mkdir(f'd{i}')";
        bounded(&python(walls, |_| {}, folders));
        let elsewhere = "import itertools, os, tempfile\nfor i in itertools.count():\n    with open(os.path.join(tempfile.gettempdir(), f'f{i}'), 'wb') as f: f.write(bytes(4 << 20))";
        bounded(&python(walls, |_| {}, elsewhere));
        let at_home = "import itertools, os\nfor i in itertools.count():\n    with open(os.path.expanduser(f'~/f{i}'), 'wb') as f: f.write(bytes(4 << 20))";
        bounded(&python(walls, |_| {}, at_home));
    });
}

/// The file system was full, or somebody looked.
fn bounded(outcome: &Outcome) {
    let full = outcome.end == End::Exit(1) && outcome.stderr.text().contains("No space left");
    assert!(full || outcome.end == End::Limit(LimitKind::Disk), "{outcome:?}");
}

#[test]
fn case_37_open_files_that_have_no_name_count_where_the_file_system_is_ours() {
    each_tier(|walls| {
        let unnamed = "import os\nkeep = []\nwhile True:\n    fd = os.open('f', os.O_RDWR | os.O_CREAT)\n    os.unlink('f')\n    os.write(fd, bytes(4 << 20))\n    keep.append(fd)";
        let outcome = python(walls, |limits| limits.wall = Duration::from_millis(1500), unnamed);
        if outcome.isolation.tier == Tier::F {
            bounded(&outcome);
        } else {
            assert!(outcome.end == End::Limit(LimitKind::Disk), "{outcome:?}");
        }
    });
}

#[test]
fn case_39_output_is_bounded_and_shown_without_tricks() {
    each_tier(|walls| {
        for flood in ["yes", "cat /dev/zero", "tr '\\0' x < /dev/zero", "yes >&2", "yes & yes >&2"] {
            let policy = limited(|limits| limits.output_bytes_max = 1 << 20);
            let outcome = walls.shell(&policy, flood);
            assert_eq!(outcome.end, End::Limit(LimitKind::Output), "{flood} {outcome:?}");
            let kept = outcome.stdout.head.len() + outcome.stdout.tail.len();
            assert!(kept <= policy.limits.head_bytes + policy.limits.tail_bytes);
        }
        let tricks = r"printf 'a\033[2Jb\033]52;c;ZXZpbA==\007c\033]0;title\033\\d\033[31me\233Kf\377\000g\rh\bi\177j\342\200\256k'";
        let outcome = walls.shell(&empty(), tricks);
        let text = outcome.stdout.text();
        let bad = |c: char| {
            (c.is_control() && !matches!(c, '\n' | '\t'))
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!text.chars().any(bad) && text.starts_with("ab"), "{text:?}");
        assert!(!text.contains("title") && !text.contains("52;"), "{text:?}");
    });
}

#[test]
fn case_40_a_pipe_that_somebody_keeps_open_holds_nobody_up() {
    each_tier(|walls| {
        let silent = walls.shell(&small(), "exec >&- 2>&- <&-; exit 4");
        assert_eq!(silent.end, End::Exit(4), "{silent:?}");
        // A grandchild in a session of its own holds the pipe; the trial ends with the program.
        let held = walls.shell(&small(), "setsid sleep 1000 & echo up; exit 6");
        assert_eq!((&held.end, held.stdout.text().as_str()), (&End::Exit(6), "up\n"), "{held:?}");
        assert!(held.leftovers_killed >= 1);
        let closed = walls.run(&small(), Request::new(["/bin/sh", "-c", "sleep 0.2; exit 5"]));
        assert_eq!(closed.end, End::Exit(5));
    });
}

#[test]
fn timers_and_queued_signals_are_bounded() {
    each_tier(|walls| {
        // Queued signals and timers are counted for each user: a program must not use up its user's share.
        let source = "import resource\nprint(resource.getrlimit(resource.RLIMIT_SIGPENDING)[1], resource.getrlimit(resource.RLIMIT_CORE)[1])";
        let outcome = python(walls, |_| {}, source);
        let text = outcome.stdout.text();
        let pending: u64 = text.split(' ').next().unwrap().parse().unwrap();
        assert!(pending <= 4096, "{text}");
        assert!(text.ends_with(" 0\n") || text.ends_with(" 1\n"), "{text}");
    });
}
