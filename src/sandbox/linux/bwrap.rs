//! Tier B: the system's bubblewrap builds the namespaces and the view, where this user may not; z1's keeper is
//! started inside as process 1 and puts the program behind Landlock, seccomp and rlimits as in the other tiers.
//!
//! Bubblewrap gets no descriptor of the program's but those that the keeper takes over. It needs no privilege, and
//! the keeper none from it. The work directory is a folder of the host, as in tier L.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::enclosure::{self, Enclosure, Live, Site, plumb};
use super::ids::Ids;
use super::keeper::{self, Reach};
use super::landlock;
use super::note::{self, Note};
use super::seccomp::Filters;
use super::step::{Broken, Built, Named};
use super::sys::{self, Fork};
use super::target::{self, Launch, Plugs};
use super::{loose, meter, namespaces, tree, view};
use crate::sandbox::HELPER_WORD;
use crate::sandbox::policy::WORK_DIR;
use crate::task::Tier;

/// Behind [`HELPER_WORD`]: the process is to be the keeper inside.
pub(super) const KEEPER_WORD: &str = "keeper";

/// Descriptors that the keeper inside is started with.
const SOCKET: RawFd = 3;
const ORDERS: RawFd = 4;
const PROGRAM: RawFd = 5;
const FIRST_PLUG: RawFd = 6;

/// How long bubblewrap may take until the keeper answers.
const START_MAX: Duration = Duration::from_secs(10);
/// How long is tried to be rid of a bubblewrap that did not start.
const BURY_MAX: Duration = Duration::from_secs(2);
/// What is read of bubblewrap's complaint, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 1000;

/// What the keeper inside is told.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    launch: Launch,
    channel: bool,
}

/// Builds the enclosure; the program starts when everything is known about it.
pub(super) fn build(site: &Site<'_>, channel: Option<(OwnedFd, OwnedFd)>) -> Built<Enclosure> {
    let bwrap = site.order.bwrap.as_ref().ok_or_else(|| Broken::new("find bubblewrap", "it is not installed"))?;
    let ground = loose::lay_ground(&site.order.temp_dir, site.ids, &["box", "tmp", "tmp/home", "shm", "etc"])?;
    namespaces::small_etc(&ground.path.join("etc"), site.ids).step("write /etc")?;
    let (work, features) = loose::fill(site, &ground.path.join("box"))?;
    let orders = Orders { launch: launch(site), channel: channel.is_some() };
    let (plugs, outputs) = plumb(&site.order.request.stdin, channel)?;
    let (socket, inside) = note::packet_pair().step("make sockets")?;
    let (complaint, complains) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("make pipes")?;
    let argv = argv(bwrap, site, &ground.path)?;
    let json = serde_json::to_vec(&orders).map_err(|error| Broken::new("write the orders", error))?;
    let orders = enclosure::input(&json).step("write the orders")?;
    let program = File::open("/proc/self/exe").step("open z1's own program")?.into();
    let keeper = match sys::fork(0).step("fork bubblewrap")? {
        Fork::Child => {
            let broken = start(&argv, site.ids, &[&inside, &orders, &program], &plugs, &complains);
            let _ = note::send(&inside, &broken.into(), &[]);
            sys::exit(1)
        }
        Fork::Parent(pid) => pid,
    };
    drop((inside, plugs, complains));
    match await_keeper(&socket, keeper, complaint) {
        Ok(root) => {
            let watch_disk = Some(work.footprint(&ground.path));
            let live = Live { keeper, keeper_is_init: false, root, socket, outputs, watch_disk };
            let work_dir = site.seat.clone();
            Ok(Enclosure { tier: Tier::B, live, work, work_dir, features, ground: Some(ground) })
        }
        Err(broken) => {
            // Bubblewrap may be dead, and its child be waiting for it for ever: that one is this process's child then.
            keeper::kill_descendants(keeper);
            sys::kill(keeper, libc::SIGKILL);
            sys::wait(keeper, true);
            keeper::bury_orphans(Instant::now() + BURY_MAX);
            Err(broken)
        }
    }
}

/// Becomes bubblewrap; returns only what went wrong.
fn start(argv: &[CString], ids: Ids, own: &[&OwnedFd; 3], plugs: &Plugs, complains: &OwnedFd) -> Broken {
    let become_it = || -> Built<std::convert::Infallible> {
        // Where memory runs out the kernel takes the trial first. A courtesy; it may not be possible.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let null: OwnedFd = File::options().read(true).write(true).open("/dev/null").step("open /dev/null")?.into();
        let mut wanted = vec![&null, &null, complains];
        wanted.extend(own);
        wanted.extend([&plugs.stdin, &plugs.stdout, &plugs.stderr]);
        wanted.extend(plugs.channel.iter().flat_map(|(read, write)| [read, write]));
        // Out of the way first: an end may sit on a number that another end is to have.
        let lifted = wanted
            .iter()
            .map(|fd| sys::duplicate_above(fd.as_fd(), 32))
            .collect::<std::io::Result<Vec<_>>>()
            .step("arrange descriptors")?;
        for (fd, at) in lifted.iter().zip(0..) {
            sys::install(fd.as_fd(), at).step("arrange descriptors")?;
        }
        sys::close_from(lifted.len() as RawFd, false).step("arrange descriptors")?;
        if ids.dropped {
            sys::become_user(ids.uid, ids.gid).step("drop root")?;
        }
        sys::reset_signals();
        Err(Broken::new("exec bubblewrap", sys::execve(OsStr::new(argv[0].to_str().unwrap_or("")), argv, &[])))
    };
    let Err(broken) = become_it();
    broken
}

/// Waits for the keeper's first word; returns its process, as seen from here. Where none comes, bubblewrap has said why.
fn await_keeper(socket: &OwnedFd, bwrap: libc::pid_t, complaint: OwnedFd) -> Built<libc::pid_t> {
    let timeout = Timespec::try_from(START_MAX).expect("invariant: seconds fit a timespec");
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout)).step("start bubblewrap")?;
    if ready == 0 {
        return Err(Broken::new("start bubblewrap", "it took too long"));
    }
    match note::receive(socket).step("start bubblewrap")? {
        Some((Note::Built { .. }, _)) => {}
        Some((Note::Broken { step, message }, _)) => return Err(Broken { step, message }),
        Some((other, _)) => return Err(Broken::new("start bubblewrap", format!("unexpected {other:?}"))),
        None => {
            let mut text = String::new();
            let _ = File::from(complaint).take(COMPLAINT_BYTES_MAX).read_to_string(&mut text);
            return Err(Broken::new("start bubblewrap", text.lines().next().unwrap_or("it ended without a word")));
        }
    }
    let root = match meter::descendants(bwrap).as_slice() {
        [only] => *only,
        other => return Err(Broken::new("find the keeper", format!("{} processes", other.len()))),
    };
    note::send_packet(socket, b"start", &[]).step("start the program")?;
    Ok(root)
}

/// Bubblewrap's arguments: the same view as in tier F.
fn argv(bwrap: &Path, site: &Site<'_>, ground: &Path) -> Built<Vec<CString>> {
    let mut argv = Argv(vec![bwrap.into()]);
    argv.words(&["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]);
    // Not `--die-with-parent`: killed while it starts, bubblewrap would leave a child that waits for it for ever.
    // The keeper inside ends by itself when the supervisor's end of its socket closes, and bubblewrap with it.
    argv.words(&["--unshare-cgroup-try", "--hostname", "z1", "--new-session", "--as-pid-1"]);
    argv.words(&["--cap-drop", "ALL", "--clearenv"]);
    for path in view::SYSTEM.iter().map(Path::new) {
        match std::fs::read_link(path) {
            Ok(link) => argv.pair("--symlink", &link, path),
            Err(_) if path.is_dir() => argv.pair("--ro-bind", path, path),
            Err(_) => {}
        }
    }
    argv.words(&["--dir", "/etc", "--dev", "/dev"]);
    for name in ["hosts", "hostname", "nsswitch.conf", "passwd", "group"] {
        argv.pair("--ro-bind", &ground.join("etc").join(name), &Path::new("/etc").join(name));
    }
    for path in view::etc(Path::new("/etc")) {
        argv.pair("--ro-bind-try", &path, &path);
    }
    for (from, to) in [("tmp", "/tmp"), ("shm", "/dev/shm")] {
        argv.pair("--bind", &ground.join(from), Path::new(to));
    }
    site.ro.iter().chain(&site.layered).for_each(|path| argv.pair("--ro-bind", path, path));
    let covered =
        |at: &Path| view::SYSTEM.iter().map(PathBuf::from).chain(site.ro.clone()).any(|root| at.starts_with(root));
    for (at, to) in site.links.iter().filter(|(at, _)| !covered(at)) {
        argv.pair("--symlink", to, at);
    }
    argv.pair("--bind", &ground.join("box"), &site.seat);
    if site.seat != Path::new(WORK_DIR) {
        argv.pair("--symlink", &site.seat, Path::new(WORK_DIR));
    }
    argv.words(&["--proc", "/proc"]);
    hide(&mut argv, site);
    protect(&mut argv, site, ground)?;
    argv.words(&["--remount-ro", "/", "--chdir", "/", "--"]);
    argv.words(&[&format!("/proc/self/fd/{PROGRAM}"), HELPER_WORD, KEEPER_WORD]);
    argv.finish()
}

/// Covers what is to be hidden. What is hidden in the project was not copied.
fn hide(argv: &mut Argv, site: &Site<'_>) {
    let shown =
        || view::SYSTEM.iter().map(PathBuf::from).chain(view::etc(Path::new("/etc"))).chain(site.ro.iter().cloned());
    for path in site.hide.iter().filter(|path| shown().any(|root| path.starts_with(root))) {
        if path.is_dir() {
            argv.words(&["--tmpfs"]);
            argv.0.push(path.into());
        } else {
            argv.pair("--ro-bind", Path::new("/dev/null"), path);
        }
    }
}

/// Makes protected files and folders read-only mounts of themselves.
fn protect(argv: &mut Argv, site: &Site<'_>, ground: &Path) -> Built {
    let root = tree::open_root(&ground.join("box")).step("protect")?;
    for path in &site.policy().protected {
        match tree::open_beneath(&root, path, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()) {
            Ok(_) => argv.pair("--ro-bind", &ground.join("box").join(path), &site.seat.join(path)),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(Broken::new(format!("protect {}", path.display()), error)),
        }
    }
    Ok(())
}

struct Argv(Vec<OsString>);

impl Argv {
    fn words(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }

    fn pair(&mut self, option: &str, from: &Path, to: &Path) {
        self.0.extend([option.into(), from.into(), to.into()]);
    }

    fn finish(self) -> Built<Vec<CString>> {
        use std::os::unix::ffi::OsStringExt;
        let words = self.0.into_iter().map(|word| CString::new(word.into_vec()));
        words.collect::<Result<_, _>>().map_err(|_| Broken::new("start bubblewrap", "a path contains a NUL"))
    }
}

fn launch(site: &Site<'_>) -> Launch {
    Launch {
        // Counted within bubblewrap's user namespace; the keeper is one of them.
        tasks: u64::from(site.policy().limits.processes_max) + 1,
        // Root was left before bubblewrap was started.
        ids: Ids { dropped: false, ..site.ids },
        ..namespaces::launch(site)
    }
}

/// The keeper's process: takes over its descriptors, says that it is there, and keeps the program.
pub(super) fn inside() -> i32 {
    let Ok(socket) = sys::inherited(SOCKET) else { return 1 };
    let prepared = prepare(&socket);
    let (launch, plugs, filters) = match prepared {
        Ok(prepared) => prepared,
        Err(broken) => {
            let _ = note::send(&socket, &broken.into(), &[]);
            return 1;
        }
    };
    let mut features: Vec<String> =
        ["bubblewrap", "userns", "mountns", "pidns", "netns", "ipcns", "seccomp", "rlimits"]
            .map(str::to_owned)
            .to_vec();
    features.push(format!("landlock-abi{}", landlock::abi()));
    let _ = note::send(&socket, &Note::Ready { features }, &[]);
    keeper::keep(socket, Reach::Trial, move |_| target::launch(&launch, &plugs, &filters))
}

fn prepare(socket: &OwnedFd) -> Built<(Launch, Plugs, Filters)> {
    // That every process of the namespace can be signalled from here, and nobody else, is so because of this.
    if std::process::id() != 1 {
        return Err(Broken::new("start the keeper", "it is not process 1 of a namespace"));
    }
    sys::set_name(c"z1-keeper");
    sys::set_dumpable(false).step("hide memory")?;
    let mut json = Vec::new();
    File::from(sys::inherited(ORDERS).step("take the orders")?).read_to_end(&mut json).step("take the orders")?;
    let orders: Orders = serde_json::from_slice(&json).map_err(|error| Broken::new("take the orders", error))?;
    drop(sys::inherited(PROGRAM).step("take descriptors")?);
    let plug = |offset: RawFd| sys::inherited(FIRST_PLUG + offset).step("take descriptors");
    let channel = if orders.channel { Some((plug(3)?, plug(4)?)) } else { None };
    let plugs = Plugs { stdin: plug(0)?, stdout: plug(1)?, stderr: plug(2)?, channel };
    let filters = Filters::compile()?;
    note::send(socket, &Note::Built { features: Vec::new(), overlaid: false }, &[]).step("report the view")?;
    let (word, _) = note::receive_packet(socket, 16).step("wait for the supervisor")?;
    if word != b"start" {
        return Err(Broken::new("wait for the supervisor", "it went away"));
    }
    Ok((orders.launch, plugs, filters))
}
