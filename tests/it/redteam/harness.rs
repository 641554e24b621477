//! What the attacks on the walls have in common: one sandbox a tier, things worth attacking, attempts and controls.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use z1::sandbox::{End, Limits, Net, Outcome, Policy, Request, Sandbox, SandboxOptions, Workspace};
use z1::task::Tier;

use crate::sandbox::{run_async, sandbox};

const DRIVER: &str = include_str!("attempt.py");
/// How long a killed process may take to disappear from `/proc`. Not a promise, only patience.
pub(super) const GONE_MAX: Duration = Duration::from_secs(20);

/// The walls of every tier that can be built here; one helper for each.
static WALLS: LazyLock<Vec<(Tier, Sandbox)>> =
    LazyLock::new(|| [Tier::F, Tier::B, Tier::L].into_iter().filter_map(|tier| Some((tier, sandbox(tier)?))).collect());

/// Runs a test in every tier; says so where there is none.
pub(super) fn each_tier(test: impl Fn(&Walls<'_>)) {
    for (tier, sandbox) in WALLS.iter() {
        test(&Walls { tier: *tier, sandbox });
    }
    if WALLS.is_empty() {
        println!("skipped: no walls can be built here");
    }
}

/// One tier's sandbox.
pub(super) struct Walls<'a> {
    pub(super) tier: Tier,
    pub(super) sandbox: &'a Sandbox,
}

/// A sandbox of its own with another helper program; an error says why there is none.
pub(super) fn sandbox_with(tier: Tier, helper_exe: &Path) -> Result<Sandbox, String> {
    let options = SandboxOptions { tier: Some(tier), allow_unsandboxed: false, helper_exe: helper_exe.to_owned() };
    Sandbox::start(options).map_err(|unavailable| unavailable.to_string())
}

/// A program that does `script` and then becomes z1's helper, as the script sees fit.
pub(super) fn wrapper(folder: &tempfile::TempDir, interpreter: &str, script: &str) -> PathBuf {
    let path = folder.path().join("helper");
    let text = folder.path().join("helper.txt");
    std::fs::write(&text, format!("#!{interpreter}\n{script}\n")).unwrap();
    // By another process: what another test's thread forks meanwhile inherits every descriptor of this one, and a
    // program that somebody holds open for writing cannot be started (ETXTBSY).
    let mut copy = Command::new("/bin/sh");
    copy.args(["-c", "cp \"$0\" \"$1\" && chmod 755 \"$1\""]).args([&text, &path]);
    assert!(copy.status().unwrap().success());
    path
}

/// The attempts' names and what became of each.
pub(super) struct Results {
    told: BTreeMap<String, String>,
    context: String,
}

pub(super) type Given = Vec<(&'static str, Value)>;

impl Walls<'_> {
    pub(super) fn loose(&self) -> bool {
        self.tier == Tier::L
    }

    pub(super) fn run(&self, policy: &Policy, request: Request) -> Outcome {
        run_async(self.sandbox.run(policy, request, &z1::cancel::Cancel::new()))
    }

    /// Makes the attempts behind these walls.
    pub(super) fn attempt(&self, attempts: &[(&str, &str)], given: &Given) -> Results {
        self.attempt_under(empty(), attempts, given)
    }

    pub(super) fn attempt_under(&self, mut policy: Policy, attempts: &[(&str, &str)], given: &Given) -> Results {
        let files = match &mut policy.workspace {
            Workspace::Files(files) | Workspace::Overlay { extra: files, .. } => files,
        };
        files.push((PathBuf::from("attempt.py"), DRIVER.into(), false));
        files.push((PathBuf::from("attempts.json"), order(attempts, given).into_bytes(), false));
        let outcome = self.run(&policy, Request::new(["python3", "-S", "-B", "attempt.py"]));
        assert_eq!(outcome.end, End::Exit(0), "{:?} {outcome:?}", self.tier);
        Results::read(&outcome.stdout.text(), format!("tier {:?}", self.tier))
    }

    pub(super) fn shell(&self, policy: &Policy, script: &str) -> Outcome {
        self.run(policy, Request::new(["/bin/sh", "-c", script]))
    }

    /// Runs a Python program, with arguments by which its processes can be found.
    pub(super) fn python(&self, policy: &Policy, source: &str, arguments: &[&str]) -> Outcome {
        let argv = ["python3", "-S", "-B", "-c", source].into_iter().chain(arguments.iter().copied());
        self.run(policy, Request::new(argv))
    }
}

/// Makes the attempts without walls, in a folder of their own: they must succeed, or they show nothing.
pub(super) fn control(attempts: &[(&str, &str)], given: &Given) -> Results {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("attempt.py"), DRIVER).unwrap();
    std::fs::write(folder.path().join("attempts.json"), order(attempts, given)).unwrap();
    let output = Command::new("python3").args(["-S", "-B", "attempt.py"]).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Results::read(&String::from_utf8_lossy(&output.stdout), "no walls".to_owned())
}

fn order(attempts: &[(&str, &str)], given: &Given) -> String {
    let mut given: serde_json::Map<String, Value> =
        given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    given.insert("NR".to_owned(), numbers());
    json!({"attempts": attempts, "given": given}).to_string()
}

/// The numbers of the system calls that attempts make, which differ between architectures.
fn numbers() -> Value {
    macro_rules! numbers {
        ($($name:ident: $number:ident),* $(,)?) => { [$((stringify!($name), libc::$number)),*] };
    }
    let numbers = numbers! {
        acct: SYS_acct, add_key: SYS_add_key, bpf: SYS_bpf, chroot: SYS_chroot, clock_settime: SYS_clock_settime,
        clone: SYS_clone, clone3: SYS_clone3, fanotify_init: SYS_fanotify_init, fsopen: SYS_fsopen, ioctl: SYS_ioctl,
        io_uring_setup: SYS_io_uring_setup, ioprio_set: SYS_ioprio_set, kcmp: SYS_kcmp, kexec_load: SYS_kexec_load,
        keyctl: SYS_keyctl, memfd_create: SYS_memfd_create, memfd_secret: SYS_memfd_secret, mknodat: SYS_mknodat,
        migrate_pages: SYS_migrate_pages, mount: SYS_mount, move_mount: SYS_move_mount, move_pages: SYS_move_pages,
        mq_open: SYS_mq_open, msgget: SYS_msgget, name_to_handle_at: SYS_name_to_handle_at,
        open_by_handle_at: SYS_open_by_handle_at, open_tree: SYS_open_tree, openat2: SYS_openat2,
        perf_event_open: SYS_perf_event_open, pidfd_getfd: SYS_pidfd_getfd, pidfd_open: SYS_pidfd_open,
        pidfd_send_signal: SYS_pidfd_send_signal, pivot_root: SYS_pivot_root, prlimit64: SYS_prlimit64,
        process_madvise: SYS_process_madvise, process_vm_readv: SYS_process_vm_readv,
        process_vm_writev: SYS_process_vm_writev, ptrace: SYS_ptrace, quotactl: SYS_quotactl,
        renameat2: SYS_renameat2, request_key: SYS_request_key, rt_sigqueueinfo: SYS_rt_sigqueueinfo,
        sched_setaffinity: SYS_sched_setaffinity, sched_setattr: SYS_sched_setattr,
        sched_setparam: SYS_sched_setparam, sched_setscheduler: SYS_sched_setscheduler, semget: SYS_semget,
        setns: SYS_setns, setpriority: SYS_setpriority, setresuid: SYS_setresuid, settimeofday: SYS_settimeofday,
        shmget: SYS_shmget, swapoff: SYS_swapoff, syslog: SYS_syslog, tgkill: SYS_tgkill, umount2: SYS_umount2,
        unshare: SYS_unshare, userfaultfd: SYS_userfaultfd, vhangup: SYS_vhangup,
    };
    numbers.iter().map(|(name, number)| ((*name).to_owned(), json!(number))).collect::<serde_json::Map<_, _>>().into()
}

impl Results {
    fn read(text: &str, context: String) -> Self {
        let told = text.lines().map(|line| serde_json::from_str::<(String, String)>(line).unwrap()).collect();
        Self { told, context }
    }

    pub(super) fn of(&self, name: &str) -> &str {
        self.told.get(name).unwrap_or_else(|| panic!("{}: no attempt named {name}", self.context))
    }

    /// The attempt failed with one of these errors.
    pub(super) fn denied(&self, name: &str, errors: &[&str]) {
        let told = self.of(name);
        assert!(errors.contains(&told), "{}: {name}: {told}, not one of {errors:?}", self.context);
    }

    /// Every attempt failed, whatever the error; an attempt that is wrong in itself is a failed test.
    pub(super) fn all_denied(&self) {
        for (name, told) in &self.told {
            assert!(told != "OPEN" && !told.starts_with("BROKEN"), "{}: {name}: {told}", self.context);
        }
    }

    pub(super) fn open(&self, name: &str) {
        assert_eq!(self.of(name), "OPEN", "{}: {name}", self.context);
    }

    pub(super) fn all_open(&self) {
        self.told.keys().for_each(|name| self.open(name));
    }
}

/// The strictest policy over an empty folder, with room for the driver's processes, and patient: a busy machine may hold
/// up for seconds what ends at once.
pub(super) fn empty() -> Policy {
    let limits = Limits { wall: std::time::Duration::from_secs(60), ..Limits::UNIT };
    Policy::strict(Workspace::Files(Vec::new()), limits)
}

pub(super) fn with_loopback() -> Policy {
    Policy { net: Net::Loopback, ..empty() }
}

pub(super) fn limited(change: impl FnOnce(&mut Limits)) -> Policy {
    let mut policy = empty();
    change(&mut policy.limits);
    policy
}

/// A project folder under a throw-away layer.
pub(super) fn over(project: &Path, limits: Limits) -> Policy {
    Policy::strict(Workspace::Overlay { lower: project.to_owned(), extra: Vec::new() }, limits)
}

/// A home folder as an attacker would like it: everybody may read and write it, so that nothing but the walls keeps
/// a program out (as root, programs run as another user).
pub(super) struct Prey {
    folder: tempfile::TempDir,
}

impl Prey {
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("z1-prey-").tempdir().unwrap();
        let prey = Self { folder };
        for name in ["", ".ssh", "docs"] {
            std::fs::create_dir_all(prey.path().join(name)).unwrap();
            prey.mode(name, 0o777);
        }
        for (name, text) in [(".ssh/id_rsa", "SECRET KEY"), ("docs/letter", "dear"), (".bashrc", "true\n")] {
            std::fs::write(prey.path().join(name), text).unwrap();
            prey.mode(name, 0o666);
        }
        prey
    }

    fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn given(&self) -> Given {
        vec![("PREY", json!(self.path()))]
    }

    /// Nothing was added, changed or removed.
    pub(super) fn is_untouched(&self) {
        let mut names = Vec::new();
        for folder in ["", ".ssh", "docs"] {
            let entries = std::fs::read_dir(self.path().join(folder)).unwrap();
            names.extend(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()));
        }
        names.sort();
        assert_eq!(names, [".bashrc", ".ssh", "docs", "id_rsa", "letter"]);
        assert_eq!(std::fs::read_to_string(self.path().join(".ssh/id_rsa")).unwrap(), "SECRET KEY");
        assert_eq!(std::fs::read_to_string(self.path().join("docs/letter")).unwrap(), "dear");
    }
}

/// A process outside the sandbox, of the user that runs the tests.
pub(super) struct Bystander(Child);

impl Bystander {
    pub(super) fn new() -> Self {
        Self(Command::new("sleep").arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    pub(super) fn given(&self) -> Given {
        vec![("PID", json!(self.0.id()))]
    }

    pub(super) fn is_well(&mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "the bystander was ended");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A word that no other process has among its arguments.
pub(super) fn marker() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("z1-marked-{:016x}", RandomState::new().hash_one(Instant::now()))
}

/// Processes with this word among their arguments, zombies left out.
pub(super) fn marked(word: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
        })
        .collect()
}

/// Waits until `done`; panics where it never comes about.
pub(super) fn eventually(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + GONE_MAX;
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Nothing with this word among its arguments is left.
pub(super) fn nothing_left(word: &str) {
    eventually("processes of a trial outlived it", || marked(word).is_empty());
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The Landlock version that the walls were built with.
pub(super) fn landlock(outcome: &Outcome) -> u32 {
    let version = outcome.isolation.features.iter().find_map(|feature| feature.strip_prefix("landlock-abi"));
    version.and_then(|number| number.parse().ok()).unwrap_or(0)
}
