//! Cases 62 and 63: policies that would weaken the walls, and walls that cannot be built. The program never runs, and
//! the step that failed is named.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;
use z1::sandbox::{End, Limits, Outcome, Policy, Request, Sandbox, SandboxOptions, Workspace};
use z1::task::Tier;

use super::harness::{GONE_MAX, Walls, control, each_tier, empty, over, sandbox_with, wrapper};

/// The trial did not run, for a reason with this in its step's name.
fn refused(outcome: &Outcome, step: &str) {
    let End::SandboxError { step: named, message } = &outcome.end else { panic!("it ran: {outcome:?}") };
    assert!(named.contains(step), "{named}: {message}");
    assert_eq!(outcome.stdout.total_bytes + outcome.stderr.total_bytes, 0, "{outcome:?}");
    assert!(outcome.changed.is_empty());
}

#[test]
fn case_62_a_policy_that_opens_everything_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/", folder.path().join("root")).unwrap();
    std::os::unix::fs::symlink("/proc", folder.path().join("proc")).unwrap();
    each_tier(|walls| {
        for path in ["/", "/proc", "/sys/", "/dev", "/run", "/usr/..", "relative", "", "/no/such/folder"] {
            let policy = Policy { ro: vec![path.into()], ..empty() };
            refused(&walls.shell(&policy, "echo ran"), "path");
        }
        for name in ["root", "proc"] {
            let policy = Policy { ro: vec![folder.path().join(name)], ..empty() };
            refused(&walls.shell(&policy, "echo ran"), "path");
        }
        for lower in ["/", "/no/such/project", "/etc/hostname"] {
            refused(&walls.shell(&over(Path::new(lower), Limits::UNIT), "echo ran"), "open");
        }
        for path in ["../x", "/tmp/x", "a/../../x", ""] {
            let files = vec![(PathBuf::from(path), b"x".to_vec(), false)];
            refused(&walls.shell(&Policy::strict(Workspace::Files(files), Limits::UNIT), "echo ran"), "place");
        }
    });
}

#[test]
fn case_62_an_empty_list_allows_nothing_and_denying_beats_allowing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("open/secret")).unwrap();
    for name in ["open/file", "open/secret/key"] {
        std::fs::write(folder.path().join(name), name).unwrap();
    }
    std::os::unix::fs::symlink(folder.path().join("open"), folder.path().join("alias")).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let given = vec![("AT", json!(folder.path()))];
    let attempts = [("file", "read(AT + '/open/file')"), ("key", "read(AT + '/open/secret/key')")];
    control(&attempts, &given).all_open();
    each_tier(|walls| {
        walls.attempt(&attempts, &given).all_denied();
        // Granted through a link and with a slash; hidden by its own name and by a roundabout one.
        for hide in ["open/secret", "open/secret/", "alias/secret", "open/../open/secret"] {
            let policy =
                Policy { ro: vec![folder.path().join("alias/")], hide: vec![folder.path().join(hide)], ..empty() };
            let results = walls.attempt_under(policy, &attempts, &given);
            results.open("file");
            assert_ne!(results.of("key"), "OPEN", "{hide}");
        }
    });
}

#[test]
fn case_63_what_is_wrong_with_an_order_is_the_sandbox_s_error() {
    each_tier(|walls| {
        refused(&walls.run(&empty(), Request::new(["no-such-program"])), "exec");
        refused(&walls.run(&empty(), Request::new(Vec::<String>::new())), "exec");
        refused(&walls.run(&empty(), Request::new(["/bin/echo", "a\0b"])), "exec");
        refused(&walls.run(&empty(), Request::new(["/etc"])), "exec");
        let mut request = Request::new(["/bin/echo", "ran"]);
        request.cwd = PathBuf::from("no/such/folder");
        refused(&walls.run(&empty(), request), "enter");
        if walls.tier < Tier::F {
            let policy = Policy { min_tier: Tier::F, ..empty() };
            refused(&walls.shell(&policy, "echo ran"), "tier");
        }
    });
}

/// A helper in which one system call fails, as in a container or on a kernel that does not have it.
fn without(tier: Tier, call: libc::c_long) -> Result<Sandbox, String> {
    let folder = tempfile::tempdir().unwrap();
    // Loads the number, compares, answers EPERM or allows.
    let script = format!(
        "import ctypes, os, struct\n\
         code = [(0x20, 0, 0, 0), (0x15, 0, 1, {call}), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7fff0000)]\n\
         buffer = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in code))\n\
         program = ctypes.create_string_buffer(struct.pack('HxxxxxxP', len(code), ctypes.addressof(buffer)))\n\
         libc = ctypes.CDLL(None)\n\
         open('{}', 'w').write(str(os.getpid()))\n\
         assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0\n\
         os.execv({:?}, ['z1', '__sbxd'])",
        folder.path().join("pid").display(),
        env!("CARGO_BIN_EXE_z1")
    );
    let python = if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3 -S" } else { "/usr/bin/env python3" };
    let sandbox = sandbox_with(tier, &wrapper(&folder, python, &script));
    if sandbox.is_err() {
        // The helper was the head of a session of its own, and whatever got stuck on the way is still in it.
        session_ends(&std::fs::read_to_string(folder.path().join("pid")).unwrap());
    }
    sandbox
}

#[test]
fn case_63_what_is_killed_while_it_starts_leaves_nothing() {
    each_tier(|walls| {
        for delay in 0..24 {
            let folder = tempfile::tempdir().unwrap();
            let script =
                format!("echo $$ > '{}/pid'\nexec '{}' \"$@\"", folder.path().display(), env!("CARGO_BIN_EXE_z1"));
            let sandbox = sandbox_with(walls.tier, &wrapper(&folder, "/bin/sh", &script)).unwrap();
            let session = std::fs::read_to_string(folder.path().join("pid")).unwrap().trim().to_owned();
            std::thread::scope(|scope| {
                scope.spawn(|| Walls { tier: walls.tier, sandbox: &sandbox }.shell(&empty(), "exit 5"));
                std::thread::sleep(Duration::from_millis(delay));
                // Helper, supervisor and what it has begun to build, all at once.
                for stat in processes_of(&session) {
                    let pid = stat.split(' ').next().unwrap().parse().unwrap();
                    let pid = rustix::process::Pid::from_raw(pid).unwrap();
                    let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap();
                    if delay % 2 == 0 || pid.as_raw_nonzero().to_string() == session || parent == session {
                        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    }
                }
            });
            drop(sandbox);
            session_ends(&session);
        }
    });
}

/// Waits until no process of the session is left.
fn session_ends(session: &str) {
    let until = Instant::now() + GONE_MAX;
    loop {
        let left = processes_of(session);
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < until, "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The `stat` lines of the processes whose session this is; the dead that nobody has buried yet do not count.
fn processes_of(session: &str) -> Vec<String> {
    let stats = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let is_of = |stat: &String| {
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        fields.first() != Some(&"Z") && fields.get(3) == Some(&session)
    };
    stats.filter(is_of).collect()
}

#[test]
fn case_63_a_step_that_fails_closes_the_tier_and_is_named() {
    let everywhere: &[(libc::c_long, &[&str])] = &[
        (libc::SYS_landlock_create_ruleset, &["landlock"]),
        (libc::SYS_landlock_restrict_self, &["landlock"]),
        (libc::SYS_landlock_add_rule, &["landlock"]),
        (libc::SYS_seccomp, &["seccomp"]),
        (libc::SYS_capset, &["capabilities"]),
        (libc::SYS_capget, &["capabilities"]),
        (libc::SYS_setrlimit, &["limit"]),
        (libc::SYS_prlimit64, &["limit"]),
        (libc::SYS_close_range, &["descriptors"]),
        (libc::SYS_setsid, &["session"]),
        (libc::SYS_chdir, &["enter", "root"]),
        (libc::SYS_execve, &["exec"]),
    ];
    let with_namespaces: &[(libc::c_long, &[&str])] = &[
        (libc::SYS_mount, &["mounts", "root"]),
        (libc::SYS_pivot_root, &["root"]),
        (libc::SYS_move_mount, &["show", "attach"]),
        (libc::SYS_open_tree, &["show", "attach"]),
        (libc::SYS_mount_setattr, &["show"]),
        (libc::SYS_umount2, &["detach"]),
    ];
    each_tier(|walls| {
        assert!(without(walls.tier, libc::SYS_acct).is_ok(), "the wrapper itself is no obstacle");
        let more = if walls.tier == Tier::F { with_namespaces } else { &[] };
        for (call, steps) in everywhere.iter().chain(more) {
            match without(walls.tier, *call) {
                Err(why) => {
                    // Bubblewrap has words of its own.
                    let named = steps.iter().any(|step| why.contains(step)) || why.contains("does not answer");
                    assert!(named || walls.tier == Tier::B, "{:?} without {call}: {why}", walls.tier);
                }
                // The libraries of some systems do without the call.
                Ok(_) => assert_eq!(*call, libc::SYS_setrlimit, "{:?}: built without call {call}", walls.tier),
            }
        }
    });
}

#[test]
fn case_63_a_helper_that_is_no_helper_means_no_walls() {
    for exe in ["/bin/true", "/bin/cat", "/no/such/program", "/etc/passwd"] {
        let options = SandboxOptions { tier: None, allow_unsandboxed: false, helper_exe: exe.into() };
        assert!(Sandbox::start(options).is_err(), "{exe}");
    }
}

#[test]
fn case_64_bombs_side_by_side_leave_the_next_trial_well() {
    each_tier(|walls| {
        let bombs = [
            "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
            "a = []\nwhile True: a.append(bytearray(1 << 20))",
            "import itertools\nfor i in itertools.count(): open(f'f{i}', 'w').write('x' * 4096)",
            "while True: print('x' * 4096)",
        ];
        let policy = bombs_policy();
        crate::sandbox::run_async(async {
            let cancel = z1::cancel::Cancel::new();
            let trial = |source: &'static str| {
                walls.sandbox.run(&policy, Request::new(["python3", "-S", "-c", source]), &cancel)
            };
            let outcomes = tokio::join!(trial(bombs[0]), trial(bombs[1]), trial(bombs[2]), trial(bombs[3]));
            for outcome in [outcomes.0, outcomes.1, outcomes.2, outcomes.3] {
                assert!(!matches!(outcome.end, End::SandboxError { .. }), "{outcome:?}");
            }
        });
        well(walls);
    });
}

fn bombs_policy() -> Policy {
    super::harness::limited(|limits| {
        limits.wall = std::time::Duration::from_secs(2);
        limits.memory_bytes_max = 128 << 20;
        limits.disk_bytes_max = 16 << 20;
        limits.inodes_max = 2000;
        limits.processes_max = 30;
        limits.output_bytes_max = 1 << 20;
    })
}

fn well(walls: &Walls<'_>) {
    assert_eq!(walls.shell(&empty(), "echo well").stdout.text(), "well\n");
}
