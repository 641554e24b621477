//! Cases 20 to 24: the kernel's larger surfaces, namespaces and mounts, foreign system calls, setuid programs.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use z1::sandbox::Request;

use super::harness::{control, each_tier, empty, is_root};

#[test]
fn case_20_large_surfaces_of_the_kernel_are_closed() {
    let attempts = [
        ("io_uring", "call(NR['io_uring_setup'], 8, bytes(120))"),
        ("keyctl", "call(NR['keyctl'], 0, -3, 0)"),
        ("add_key", "call(NR['add_key'], b'user', b'z1', b'x', 1, -3)"),
        ("request_key", "call(NR['request_key'], b'user', b'z1', 0, -3)"),
        ("bpf", "call(NR['bpf'], 0, bytes(128), 128)"),
        ("perf", "call(NR['perf_event_open'], struct.pack('II', 1, 112) + bytes(104), 0, -1, -1, 0)"),
        ("userfaultfd", "call(NR['userfaultfd'], 1)"),
        ("fanotify", "call(NR['fanotify_init'], 0x200, 0)"),
        ("quota", "call(NR['quotactl'], 0, 0, 0, 0)"),
        ("accounting", "call(NR['acct'], 0)"),
        ("kernel log", "call(NR['syslog'], 10, 0, 0)"),
        ("swap", "call(NR['swapoff'], b'/none')"),
        ("clock", "call(NR['clock_settime'], 0, struct.pack('qq', 0, 0))"),
        ("time of day", "call(NR['settimeofday'], struct.pack('qq', 0, 0), 0)"),
        ("kexec", "call(NR['kexec_load'], 0, 0, 0, 0)"),
        ("handle", "call(NR['open_by_handle_at'], -100, bytes(16), 0)"),
    ];
    each_tier(|walls| {
        let results = walls.attempt(&attempts, &Vec::new());
        for (name, _) in &attempts {
            results.denied(name, &["EPERM"]);
        }
        let absent =
            [("memory file", "call(NR['memfd_create'], b'z1', 0)"), ("secret memory", "call(NR['memfd_secret'], 0)")];
        let results = walls.attempt(&absent, &Vec::new());
        for (name, _) in &absent {
            results.denied(name, &["ENOSYS"]);
        }
    });
}

#[test]
fn case_21_no_new_namespaces() {
    let mut attempts: Vec<(String, String)> = Vec::new();
    for (name, flag) in [
        ("user", 0x1000_0000_u32),
        ("mount", 0x0002_0000),
        ("pid", 0x2000_0000),
        ("net", 0x4000_0000),
        ("ipc", 0x0800_0000),
        ("uts", 0x0400_0000),
        ("cgroup", 0x0200_0000),
        ("time", 0x80),
    ] {
        attempts.push((format!("unshare {name}"), format!("call(NR['unshare'], {flag})")));
        if name != "time" {
            let code = format!("pid = call(NR['clone'], {flag} | 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)");
            attempts.push((format!("clone {name}"), code));
        }
    }
    let code = "pid = call(NR['clone'], 0x10000000 | 1 << 40 | 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)";
    attempts.push(("clone user with high bits".to_owned(), code.to_owned()));
    attempts.push(("setns".to_owned(), "call(NR['setns'], os.open('.', os.O_RDONLY), 0)".to_owned()));
    let attempts: Vec<(&str, &str)> = attempts.iter().map(|(name, code)| (name.as_str(), code.as_str())).collect();
    each_tier(|walls| {
        let results = walls.attempt(&attempts, &Vec::new());
        for (name, _) in &attempts {
            results.denied(name, &["EPERM"]);
        }
        let clone3 = "pid = call(NR['clone3'], struct.pack('QQQQQQQQ', 0x10000000, 0, 0, 0, 17, 0, 0, 0), 64)\nif pid == 0: os._exit(0)";
        walls.attempt(&[("clone3", clone3)], &Vec::new()).denied("clone3", &["ENOSYS"]);
    });
}

#[test]
fn case_22_no_mounts_no_new_root_no_devices() {
    let attempts = [
        ("mount", "os.mkdir('m'); call(NR['mount'], b'tmpfs', b'm', b'tmpfs', 0, 0)"),
        ("bind", "call(NR['mount'], b'/', b'/tmp', 0, 4096, 0)"),
        ("remount", "call(NR['mount'], 0, b'/usr', 0, 32 | 4096, 0)"),
        ("unmount", "call(NR['umount2'], b'/proc', 2)"),
        ("chroot", "call(NR['chroot'], b'.')"),
        ("pivot_root", "call(NR['pivot_root'], b'.', b'.')"),
        ("new mounts", "call(NR['fsopen'], b'tmpfs', 0)"),
        ("open_tree", "call(NR['open_tree'], -100, b'.', 1)"),
        ("move_mount", "call(NR['move_mount'], -100, b'/usr', -100, b'/tmp', 0)"),
        ("character device", "os.mknod('dev', 0o20666, os.makedev(1, 1))"),
        ("block device", "os.mknod('dev', 0o60666, os.makedev(8, 0))"),
        ("whiteout", "os.mknod('dev', 0o20000, 0)"),
    ];
    each_tier(|walls| {
        let results = walls.attempt(&attempts, &Vec::new());
        for (name, _) in &attempts {
            results.denied(name, &["EPERM", "EACCES"]);
        }
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn case_23_calls_of_another_architecture_kill() {
    // mov eax, 20 (getpid of 32 bits); int 0x80; ret
    let i386 = ("i386", r"machine_code(b'\xb8\x14\0\0\0\xcd\x80\xc3')");
    // mov eax, 0x40000027 (getpid of x32); syscall; ret
    let x32 = ("x32", r"machine_code(b'\xb8\x27\0\0\x40\x0f\x05\xc3')");
    let honest = ("honest", r"assert machine_code(b'\xb8\x27\0\0\0\x0f\x05\xc3') == os.getpid()");
    control(&[honest], &Vec::new()).all_open();
    each_tier(|walls| {
        let results = walls.attempt(&[i386, x32, honest], &Vec::new());
        results.denied("i386", &["SIGNAL 31"]);
        results.denied("x32", &["SIGNAL 31"]);
        results.open("honest");
    });
}

#[test]
fn case_24_setuid_programs_gain_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("id");
    // By another process, so that nobody holds it open for writing when it is started.
    assert!(std::process::Command::new("cp").arg("/usr/bin/id").arg(&program).status().unwrap().success());
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o6755)).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    each_tier(|walls| {
        let mut policy = empty();
        policy.ro = vec![folder.path().to_owned()];
        let expected = walls.run(&policy, Request::new(["/usr/bin/id", "-u"])).stdout.text();
        let outcome = walls.run(&policy, Request::new([program.as_os_str(), "-u".as_ref()]));
        if is_root() {
            // Every trial has a user of its own; what matters is that it is not the file's.
            assert!(!outcome.stdout.text().is_empty() && outcome.stdout.text() != "0\n", "{outcome:?}");
        } else {
            assert_eq!(outcome.stdout.text(), expected);
        }
        let attempts = [
            (
                "su",
                "import subprocess; r = subprocess.run(['su', '-c', 'id -u'], stdin=subprocess.DEVNULL, capture_output=True); exec('raise PermissionError(1, 1)') if r.stdout.strip() != b'0' else None",
            ),
            (
                "own copy",
                "import shutil; shutil.copy('/usr/bin/id', 'id'); os.chmod('id', 0o6755); os.chown('id', 0, 0)",
            ),
            (
                "capability",
                "open('c', 'w').close(); os.setxattr('c', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))",
            ),
        ];
        walls.attempt_under(policy, &attempts, &vec![("PROGRAM", json!(program))]).all_denied();
        let status = walls.shell(&empty(), "while read line; do echo \"$line\"; done < /proc/self/status");
        let text = status.stdout.text();
        assert!(
            text.contains("CapPrm:\t0000000000000000") && text.contains("CapBnd:\t0000000000000000") || !is_root(),
            "{text}"
        );
        assert!(text.contains("NoNewPrivs:\t1") && text.contains("Seccomp:\t2"), "{text}");
    });
}
