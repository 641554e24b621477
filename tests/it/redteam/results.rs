//! Cases 38, 41, 42: what a program leaves behind may lead the supervisor astray, and does not.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use z1::sandbox::{ChangeKind, End, Request};

use super::harness::{Prey, each_tier, empty, limited};

#[test]
fn case_38_odd_names_deep_folders_and_sparse_files_are_listed_and_removed() {
    each_tier(|walls| {
        let source = "import os\nopen(b'not\\xffutf8\\n\\x1b[2J', 'w').close()\nopen('n' * 255, 'w').close()\nopen('-rf', 'w').close()\ntry: os.truncate(os.open('sparse', os.O_CREAT | os.O_RDWR), 1 << 40)\nexcept OSError as e: print(e.errno)\nfor _ in range(300):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\nopen('deep', 'w').close()\nos.chmod('.', 0)";
        let outcome = walls.python(&empty(), source, &[]);
        assert_eq!(outcome.end, End::Exit(0), "{outcome:?}");
        assert_eq!(outcome.stdout.text(), "27\n", "a file of a terabyte is refused");
        let listed =
            |name: &[u8]| outcome.changed.iter().any(|change| change.path.as_os_str() == OsStr::from_bytes(name));
        assert!(listed(b"not\xffutf8\n\x1b[2J") && listed(&[b'n'; 255]) && listed(b"-rf") && listed(b"sparse"));
        assert!(!outcome.work_dir.starts_with(std::env::temp_dir()) || !outcome.work_dir.exists(), "the folder stays");
    });
}

#[test]
fn case_41_results_are_plain_files_of_the_work_folder_or_nothing() {
    let prey = Prey::new();
    let key = prey.path().join(".ssh/id_rsa");
    each_tier(|walls| {
        let script = format!(
            "ln -s {0} link; ln -s {1} folder; mkfifo fifo; ln -s /dev/zero device; ln -s /proc/self/environ magic; \
             ln -s loop loop; mkdir real; echo ok > real/file; ln -s real alias; : > huge; truncate -s 60M huge",
            key.display(),
            key.parent().unwrap().display()
        );
        let mut request = Request::new(["/bin/sh", "-c", &script]);
        let names = [
            "link",
            "folder/id_rsa",
            "fifo",
            "device",
            "magic",
            "loop",
            "real/file",
            "alias/file",
            "huge",
            "real",
            "../../../../etc/passwd",
            "/etc/passwd",
            "missing",
            "",
        ];
        request.collect = names.iter().map(PathBuf::from).collect();
        let outcome = walls.run(&empty(), request);
        assert_eq!(outcome.end, End::Exit(0), "{outcome:?}");
        assert_eq!(outcome.files, [(PathBuf::from("real/file"), b"ok\n".to_vec())]);
        let kind = |name: &str| outcome.changed.iter().find(|change| change.path.as_os_str() == name).map(|c| c.kind);
        assert_eq!(kind("link"), Some(ChangeKind::Symlink));
        assert_eq!(kind("fifo"), Some(ChangeKind::Special));
        assert_eq!(kind("huge"), Some(ChangeKind::Added));
    });
}

#[test]
fn case_42_a_folder_that_turns_into_a_link_is_not_followed() {
    let prey = Prey::new();
    // Until it is killed, something swaps a folder for a link to the prey.
    let source = format!(
        "import os\nos.makedirs('a/.ssh')\nos.symlink({:?}, 'b')\nopen('a/.ssh/id_rsa', 'w').write('own')\nif os.fork() == 0:\n    os.setsid()\n    while True:\n        os.rename('a', 'c'); os.rename('b', 'a'); os.rename('c', 'b')\n        os.rename('a', 'c'); os.rename('b', 'a'); os.rename('c', 'b')\nimport time\ntime.sleep(0.05)",
        prey.path()
    );
    each_tier(|walls| {
        for _ in 0..10 {
            let mut request = Request::new(["python3", "-S", "-c", &source]);
            request.collect = vec![PathBuf::from("a/.ssh/id_rsa"), PathBuf::from("b/.ssh/id_rsa")];
            let outcome = walls.run(&empty(), request);
            assert!(outcome.files.iter().all(|(_, content)| content == b"own"), "{outcome:?}");
        }
        prey.is_untouched();
    });
}

#[test]
fn case_42_the_disk_is_measured_while_it_is_being_rearranged() {
    let source = "import os, time\nend = time.time() + 1\nos.makedirs('a/b/c')\nos.symlink('/', 'link')\nwhile time.time() < end:\n    os.rename('a', 'z'); os.symlink('/usr', 'a'); os.unlink('a'); os.rename('z', 'a')";
    each_tier(|walls| {
        let outcome = walls.python(&limited(|limits| limits.wall = Duration::from_secs(60)), source, &[]);
        assert_eq!(outcome.end, End::Exit(0), "{outcome:?}");
    });
}

#[test]
fn a_crash_leaves_no_core_behind() {
    each_tier(|walls| {
        let outcome = walls.shell(&empty(), "kill -SEGV $$");
        assert_eq!(outcome.end, End::Signal(11), "{outcome:?}");
        assert_eq!(outcome.changed, []);
    });
}
