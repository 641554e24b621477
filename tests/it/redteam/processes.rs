//! Cases 9 to 13, 26, 27, 32, 33, 36: other processes, terminals, descriptors, survivors.

use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use z1::sandbox::{End, Request};

use super::harness::{
    Bystander, Given, Walls, control, each_tier, empty, eventually, limited, marked, marker, nothing_left,
    sandbox_with, wrapper,
};

#[test]
fn case_09_nothing_is_read_about_other_processes() {
    let names = ["environ", "cmdline", "maps", "mem", "auxv", "syscall", "stack"];
    let mut attempts: Vec<(String, String)> =
        names.iter().map(|name| ((*name).to_owned(), format!("read('/proc/%d/{name}' % PID)"))).collect();
    for (name, code) in [
        ("fd", "os.listdir('/proc/%d/fd' % PID)"),
        ("cwd", "os.listdir('/proc/%d/cwd' % PID)"),
        ("exe", "read('/proc/%d/exe' % PID)"),
        ("task", "read('/proc/%d/task/%d/environ' % (PID, PID))"),
    ] {
        attempts.push((name.to_owned(), code.to_owned()));
    }
    let attempts: Vec<(&str, &str)> = attempts.iter().map(|(name, code)| (name.as_str(), code.as_str())).collect();
    let bystander = Bystander::new();
    let unprotected = control(&attempts, &bystander.given());
    for name in ["environ", "cmdline", "maps", "fd", "cwd"] {
        unprotected.open(name);
    }
    each_tier(|walls| {
        // The bystander, and this very process, which holds the sandbox's handle.
        walls.attempt(&attempts, &bystander.given()).all_denied();
        walls.attempt(&attempts, &vec![("PID", json!(std::process::id()))]).all_denied();
        let list = "others = [n for n in os.listdir('/proc') if n.isdigit() and os.path.exists('/proc/' + n + '/comm')]\nassert all(os.getpgid(int(n)) >= 0 for n in others), others";
        let results = walls.attempt(&[("list", list)], &Vec::new());
        if walls.loose() {
            results.denied("list", &["EACCES"]);
        } else {
            results.open("list");
        }
    });
}

#[test]
fn case_09_the_keeper_that_guards_a_trial_keeps_its_secrets() {
    let attempts = [
        ("memory", "read('/proc/%d/mem' % KEEPER)"),
        ("environment", "read('/proc/%d/environ' % KEEPER)"),
        ("descriptors", "os.listdir('/proc/%d/fd' % KEEPER)"),
        ("root", "os.listdir('/proc/%d/root' % KEEPER)"),
        ("folder", "os.listdir('/proc/%d/cwd' % KEEPER)"),
        ("descriptor", "call(NR['pidfd_getfd'], call(NR['pidfd_open'], KEEPER, 0), 4, 0)"),
        ("trace", "call(NR['ptrace'], 16, KEEPER, 0, 0)"),
        ("limits", "call(NR['prlimit64'], KEEPER, 0, struct.pack('QQ', 1, 1), 0)"),
    ];
    each_tier(|walls| walls.attempt(&attempts, &Vec::new()).all_denied());
}

#[test]
fn case_10_no_signal_reaches_a_process_outside() {
    let attempts = [
        ("test", "os.kill(PID, 0)"),
        ("kill", "os.kill(PID, 9)"),
        ("stop", "os.kill(PID, 19)"),
        ("group", "os.killpg(PID, 15)"),
        ("thread", "call(NR['tgkill'], PID, PID, 15)"),
        ("queue", "call(NR['rt_sigqueueinfo'], PID, 15, struct.pack('iii', 15, 0, -1) + bytes(116))"),
        ("descriptor", "call(NR['pidfd_send_signal'], call(NR['pidfd_open'], PID, 0), 15, 0, 0)"),
    ];
    let mut bystander = Bystander::new();
    control(&attempts[..1], &bystander.given()).all_open();
    let bystander_id = bystander.given();
    each_tier(|walls| {
        let kernel_scopes = !walls.loose() || scoped(walls);
        if !kernel_scopes {
            println!("documented: before Linux 6.12 tier L leaves signals to the user's own processes");
            return;
        }
        walls.attempt(&attempts, &bystander_id).all_denied();
        // Everybody in reach is the trial itself, and not even its keeper.
        let outcome = walls.shell(&empty(), "sleep 100 & kill -9 -1; wait; echo still here");
        assert_eq!((&outcome.end, outcome.stdout.text().as_str()), (&End::Exit(0), "still here\n"), "{outcome:?}");
    });
    bystander.is_well();
}

fn scoped(walls: &Walls<'_>) -> bool {
    walls.sandbox.report().features.iter().any(|feature| feature == "signal-scope")
}

#[test]
fn case_10_a_descriptor_does_not_send_signals_either() {
    // A pipe that signals its owner when something can be read; the owner is to be somebody else.
    let code = "import fcntl, time\nr, w = os.pipe()\nfcntl.fcntl(r, 10, 15)\nfcntl.fcntl(r, fcntl.F_SETOWN, PID)\nfcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)\nos.write(w, b'x')\ntime.sleep(0.05)";
    let mut victim = Bystander::new();
    control(&[("signal", code)], &victim.given());
    eventually("the control has no effect", || marked_zombie(&victim));
    victim = Bystander::new();
    let given = victim.given();
    each_tier(|walls| {
        if !walls.loose() || scoped(walls) {
            walls.attempt(&[("signal", code)], &given);
        }
    });
    std::thread::sleep(Duration::from_millis(50));
    victim.is_well();
}

/// The process has ended and waits to be buried.
fn marked_zombie(bystander: &Bystander) -> bool {
    let pid = bystander.given()[0].1.clone();
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

/// The process has ended and may be buried already.
fn ended(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn case_11_to_13_no_process_outside_is_traced_read_or_limited() {
    let attempts = [
        ("attach", "call(NR['ptrace'], 16, PID, 0, 0)"),
        ("seize", "call(NR['ptrace'], 0x4206, PID, 0, 0)"),
        ("own tracer", "call(NR['ptrace'], 0, 0, 0, 0)"),
        (
            "read",
            "b = ctypes.create_string_buffer(8); call(NR['process_vm_readv'], PID, struct.pack('PL', ctypes.addressof(b), 8), 1, struct.pack('PL', 4096, 8), 1, 0)",
        ),
        ("write", "call(NR['process_vm_writev'], PID, 0, 0, 0, 0, 0)"),
        ("descriptor", "call(NR['pidfd_getfd'], call(NR['pidfd_open'], PID, 0), 0, 0)"),
        ("compare", "call(NR['kcmp'], PID, os.getpid(), 0, 0, 0)"),
        ("advise", "call(NR['process_madvise'], 3, 0, 0, 4, 0)"),
        ("move pages", "call(NR['move_pages'], PID, 0, 0, 0, 0, 0)"),
        ("migrate pages", "call(NR['migrate_pages'], PID, 0, 0, 0)"),
        ("files limit", "call(NR['prlimit64'], PID, 7, struct.pack('QQ', 1, 1), 0)"),
        ("cpu limit", "call(NR['prlimit64'], PID, 0, struct.pack('QQ', 1, 1), 0)"),
        ("priority", "call(NR['setpriority'], 0, PID, 19)"),
        ("priority of a user", "call(NR['setpriority'], 2, 0, 19)"),
        ("scheduler", "call(NR['sched_setscheduler'], PID, 5, struct.pack('i', 0))"),
        ("parameters", "call(NR['sched_setparam'], PID, struct.pack('i', 0))"),
        ("attributes", "call(NR['sched_setattr'], PID, struct.pack('IIQiIQQQ', 48, 5, 0, 0, 0, 0, 0, 0), 0)"),
        ("affinity", "call(NR['sched_setaffinity'], PID, 8, struct.pack('Q', 1))"),
        ("io priority", "call(NR['ioprio_set'], 1, PID, 0x6000)"),
    ];
    let mut bystander = Bystander::new();
    let unprotected = control(&attempts, &bystander.given());
    for name in ["files limit", "priority", "scheduler", "affinity"] {
        unprotected.open(name);
    }
    let given = bystander.given();
    each_tier(|walls| {
        let results = walls.attempt(&attempts, &given);
        for (name, _) in &attempts {
            results.denied(name, &["EPERM", "ESRCH"]);
        }
    });
    bystander.is_well();
}

#[test]
fn case_26_nothing_is_typed_into_a_terminal() {
    let attempts = [
        ("push", "call(NR['ioctl'], 0, 0x5412, b'x')"),
        ("push with high bits", "call(NR['ioctl'], 0, 0x5412 | 1 << 40, b'x')"),
        ("console", "call(NR['ioctl'], 0, 0x541C, b'x')"),
        ("discipline", "call(NR['ioctl'], 0, 0x5423, struct.pack('i', 0))"),
    ];
    each_tier(|walls| {
        let results = walls.attempt(&attempts, &Vec::new());
        for (name, _) in &attempts {
            results.denied(name, &["EPERM"]);
        }
        let terminals = [
            ("tty", "os.open('/dev/tty', os.O_RDWR)"),
            ("console", "os.open('/dev/console', os.O_RDWR)"),
            ("hang up", "call(NR['vhangup'])"),
        ];
        walls.attempt(&terminals, &Vec::new()).all_denied();
        // A program may have terminals of its own where nobody else's can be seen; nothing is pushed into those either.
        let own = [
            ("ptmx", "os.open('/dev/ptmx', os.O_RDWR)"),
            ("pts", "assert os.listdir('/dev/pts') == ['ptmx'], os.listdir('/dev/pts')"),
            ("pair", "os.openpty()"),
        ];
        let results = walls.attempt(&own, &Vec::new());
        if walls.loose() {
            results.all_denied();
        } else {
            results.all_open();
        }
        let push = "import fcntl; fcntl.ioctl(os.openpty()[1], 0x5412, b'x')";
        walls.attempt(&[("push into its own", push)], &Vec::new()).all_denied();
    });
}

#[test]
fn case_27_no_descriptor_is_inherited() {
    let secret = tempfile::tempfile().unwrap();
    // Without the close-on-exec mark, as a library that knows nothing of it would leave it.
    rustix::io::fcntl_setfd(&secret, rustix::io::FdFlags::empty()).unwrap();
    assert!(secret.as_raw_fd() > 2);
    let count = "import os\nn = 0\nfor fd in range(3, 4096):\n    try:\n        os.fstat(fd)\n        n += 1\n    except OSError:\n        pass\nprint(n)";
    each_tier(|walls| {
        // A helper that was started while the descriptor was open.
        let fresh = crate::sandbox::sandbox(walls.tier).unwrap();
        let walls = Walls { tier: walls.tier, sandbox: &fresh };
        let outcome = walls.python(&empty(), count, &[]);
        assert_eq!(outcome.stdout.text(), "0\n", "{outcome:?}");
    });
    let unprotected = Command::new("python3").args(["-c", count]).output().unwrap();
    assert_ne!(String::from_utf8_lossy(&unprotected.stdout), "0\n");
}

#[test]
fn case_32_daemons_do_not_outlive_their_trial() {
    // The children are waited for, so that all five daemons are there when their parent ends.
    let daemon = "import os, sys, time, signal\nfor s in set(range(1, 65)) - {signal.SIGCHLD}:\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n            os.setsid()\n            time.sleep(1000)\n        os._exit(0)\nfor _ in range(5): os.wait()\nos._exit(0)";
    each_tier(|walls| {
        let word = marker();
        let outcome = walls.python(&empty(), daemon, &[&word]);
        assert_eq!(outcome.end, End::Exit(0), "{outcome:?}");
        assert!(outcome.leftovers_killed >= 5, "{outcome:?}");
        assert!(marked(&word).is_empty(), "{:?}", walls.tier);
        let nohup = walls.shell(&empty(), &format!("nohup setsid sh -c 'sleep 1000' {word} >/dev/null 2>&1 & exit 0"));
        assert!(matches!(nohup.end, End::Exit(0)), "{nohup:?}");
        assert!(marked(&word).is_empty(), "{:?}", walls.tier);
        // Others that would start something later are not there to be asked.
        let services = [
            ("bus", "socket.socket(socket.AF_UNIX).connect('/run/dbus/system_bus_socket')"),
            ("cron", "os.listdir('/var/spool/cron')"),
            ("at", "os.listdir('/var/spool/at')"),
            ("systemd", "os.listdir('/run/systemd')"),
        ];
        walls.attempt(&services, &Vec::new()).all_denied();
    });
}

#[test]
fn case_33_killing_z1_ends_its_trials() {
    each_tier(|walls| {
        let (word, folders) = (marker(), work_folders());
        let tier = format!("{:?}", walls.tier);
        let script = "import os, time\nif os.fork() == 0: os.setsid()\ntime.sleep(1000)";
        let mut z1 = Command::new(env!("CARGO_BIN_EXE_z1"))
            .args(["run", "--tier", &tier, "--empty", "--", "python3", "-S", "-c", script, &word])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // z1's own argument list holds the word as well.
        let of_trial = || marked(&word).into_iter().filter(|pid| *pid != z1.id()).count();
        eventually("the trial does not start", || of_trial() >= 2);
        z1.kill().unwrap();
        z1.wait().unwrap();
        nothing_left(&word);
        eventually("the work folder stays", || work_folders().is_subset(&folders));
    });
}

/// Work folders of supervisors that are gone. (Other tests run at the same time.)
fn work_folders() -> std::collections::BTreeSet<String> {
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| {
            let pid = name.strip_prefix("z1-box-").and_then(|rest| rest.split('-').next());
            pid.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists())
        })
        .collect()
}

#[test]
fn case_33_a_killed_helper_is_replaced() {
    each_tier(|walls| {
        // A helper that can be told from the others by its arguments.
        let (folder, word) = (tempfile::tempdir().unwrap(), marker());
        let script = format!("exec '{}' \"$@\" {word}", env!("CARGO_BIN_EXE_z1"));
        let fresh = sandbox_with(walls.tier, &wrapper(&folder, "/bin/sh", &script)).unwrap();
        let walls = Walls { tier: walls.tier, sandbox: &fresh };
        for _ in 0..2 {
            // A child that the helper has just forked carries its arguments too.
            let helpers = marked(&word);
            assert!(!helpers.is_empty());
            for pid in &helpers {
                let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            nothing_left(&word);
            // Its arguments are gone before its sockets are: an order that it can still take is lost with it, and says so.
            eventually("a helper does not end", || helpers.iter().all(|pid| ended(*pid)));
            assert_eq!(walls.shell(&empty(), "exit 5").end, End::Exit(5));
        }
    });
}

#[test]
fn case_36_limits_and_priorities_are_not_raised() {
    let attempts = [
        ("oom score", "put('/proc/self/oom_score_adj', os.O_WRONLY, b'0')"),
        ("old oom score", "put('/proc/self/oom_adj', os.O_WRONLY, b'0')"),
        ("files", "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))"),
        ("processes", "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (1 << 20, 1 << 20))"),
        ("memory", "call(NR['prlimit64'], 0, 2, struct.pack('QQ', 1 << 50, 1 << 50), 0)"),
        ("real time", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"),
        ("deadline", "call(NR['sched_setattr'], 0, struct.pack('IIQiIQQQ', 48, 6, 0, 0, 0, 10**7, 10**8, 10**8), 0)"),
        ("nice", "os.nice(-5)"),
        (
            "locked memory",
            "import mmap; m = mmap.mmap(-1, 1 << 20); r = libc.mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m))), 1 << 20); exec('raise OSError(ctypes.get_errno(), 1)') if r else None",
        ),
        ("user", "call(NR['setresuid'], 0, 0, 0)"),
        ("limits file", "put('/proc/self/limits')"),
    ];
    each_tier(|walls| {
        let results = walls.attempt(&attempts, &Vec::new());
        for (name, _) in &attempts {
            let told = results.of(name);
            // Python reports a limit that may not be raised as a ValueError.
            assert!(
                told != "OPEN" && (!told.starts_with("BROKEN") || told.contains("not allowed to raise")),
                "{name}: {told}"
            );
        }
    });
}

#[test]
fn a_stopped_or_unkillable_looking_program_still_ends_at_its_limit() {
    each_tier(|walls| {
        let word = marker();
        let policy = limited(|limits| limits.wall = Duration::from_millis(500));
        let source = "import os, signal, time\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\npid = os.getpid()\nif os.fork() == 0:\n    os.setsid()\n    while True: os.kill(pid, signal.SIGSTOP); time.sleep(0.01)\nwhile True: time.sleep(1)";
        let outcome = walls.python(&policy, source, &[&word]);
        assert_eq!(outcome.end, End::Limit(z1::sandbox::LimitKind::Wall), "{outcome:?}");
        assert!(marked(&word).is_empty(), "{:?}", walls.tier);
    });
}

#[test]
fn a_program_cannot_end_or_stop_its_keeper() {
    each_tier(|walls| {
        if walls.loose() && !scoped(walls) {
            return;
        }
        let keeper = if walls.loose() { "$PPID" } else { "1" };
        let script = format!("kill -STOP {keeper}; kill -KILL {keeper}; kill -TERM {keeper}; echo done; exit 3");
        let outcome = walls.run(&empty(), Request::new(["/bin/sh", "-c", &script]));
        assert_eq!((outcome.end, outcome.stdout.text().as_str()), (End::Exit(3), "done\n"));
    });
}

#[test]
fn the_driver_tells_a_broken_attempt_from_a_denied_one() {
    let attempts =
        [("broken", "no_such_name"), ("denied", "os.rmdir('/proc')"), ("open", "pass"), ("dies", "os.abort()")];
    let results = control(&attempts, &Given::new());
    assert!(results.of("broken").starts_with("BROKEN") && results.of("dies").starts_with("SIGNAL"));
    assert!(results.of("denied").starts_with('E') && results.of("open") == "OPEN");
}
