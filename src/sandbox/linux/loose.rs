//! Tier L: no namespaces. The program works in a folder of the host's temporary directory, behind Landlock,
//! seccomp and rlimits.
//!
//! What that leaves open is in SECURITY.md: files elsewhere can be seen to exist, and their mode and times
//! changed where the user owns them (not as root: the program then runs as nobody's user).

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::enclosure::{Enclosure, Ground, Live, Site, Work, plumb};
use super::ids::Ids;
use super::keeper::{self, Reach};
use super::landlock::{self, Fences};
use super::note::{self, Note};
use super::seccomp::Sockets;
use super::step::{Broken, Built, Named};
use super::sys::{self, Fork};
use super::target::{self, Launch, Plugs};
use super::{copy, tree, view};
use crate::sandbox::{Net, Workspace};
use crate::task::Tier;

/// Landlock learnt to forbid truncating files in its third version; before that, this tier would let a
/// program empty any file of the user.
const ABI_MIN: u32 = 3;

/// Parts of `/proc` that describe the machine and not its users.
const PROC: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/version",
    "/proc/filesystems",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/threads-max",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/max_map_count",
];

/// What runtimes read of their own process.
const OWN: &[&str] = &[
    "auxv",
    "cgroup",
    "cmdline",
    "comm",
    "environ",
    "exe",
    "fd",
    "fdinfo",
    "io",
    "limits",
    "maps",
    "oom_score_adj",
    "smaps",
    "smaps_rollup",
    "stat",
    "statm",
    "status",
];

/// Without these not even `localhost` has an address.
const NAMES: &[&str] = &["/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"];

/// Builds the enclosure and starts the program in it.
pub(super) fn build(site: &Site<'_>, channel: Option<(OwnedFd, OwnedFd)>) -> Built<Enclosure> {
    let abi = landlock::abi();
    if abi < ABI_MIN {
        return Err(Broken::new("landlock", format!("the kernel's version is {abi}; tier L needs {ABI_MIN}")));
    }
    if site.policy().net == Net::Loopback {
        return Err(Broken::new("network", "tier L has no loopback of its own; a stronger tier is needed"));
    }
    let ground = lay_ground(&site.order.temp_dir, site.ids, &["box", "tmp", "home"])?;
    let work_dir = ground.path.join("box");
    let (work, features) = fill(site, &work_dir)?;
    let (plugs, outputs) = plumb(&site.order.request.stdin, channel)?;
    let launch = launch(site, &ground.path, &work_dir);
    let (socket, inside) = note::packet_pair().step("make sockets")?;
    let keeper = match sys::fork(0).step("fork keeper")? {
        Fork::Child => {
            drop(socket);
            enclose(inside, &launch, &plugs, site)
        }
        Fork::Parent(pid) => pid,
    };
    let watch_disk = Some(work.footprint(&ground.path));
    let live = Live { keeper, keeper_is_init: false, root: keeper, socket, outputs, watch_disk };
    Ok(Enclosure { tier: Tier::L, live, work, work_dir, features, ground: Some(ground) })
}

/// The keeper's process.
fn enclose(socket: OwnedFd, launch: &Launch, plugs: &Plugs, site: &Site<'_>) -> ! {
    let prepared = sys::become_subreaper().step("become subreaper").and_then(|()| {
        sys::no_new_privileges().step("no new privileges")?;
        landlock::scope_signals()
    });
    let scoped = match prepared {
        Ok(scoped) => scoped,
        Err(broken) => {
            let _ = note::send(&socket, &broken.into(), &[]);
            sys::exit(1)
        }
    };
    let mut features = vec![format!("landlock-abi{}", landlock::abi()), "seccomp".into(), "rlimits".into()];
    features.extend(scoped.then(|| "signal-scope".to_owned()));
    features.extend(site.ids.dropped.then(|| "own-uid".to_owned()));
    let _ = note::send(&socket, &Note::Ready { features }, &[]);
    let reach = if scoped { Reach::Trial } else { Reach::Everybody };
    keeper::keep(socket, reach, |_| {
        // Where memory runs out the kernel takes the program first. A courtesy; it may not be possible.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        target::launch(launch, plugs, site.filters)
    })
}

/// A fresh folder with what the program needs: its work directory, a home, a temporary directory and the like.
pub(super) fn lay_ground(temp_dir: &Path, ids: Ids, folders: &[&str]) -> Built<Ground> {
    let prefix = format!("{GROUND_PREFIX}{}-", std::process::id());
    // A copy of the project is as private as the project.
    let private = std::fs::Permissions::from_mode(0o700);
    let root = tempfile::Builder::new().prefix(&prefix).permissions(private).tempdir_in(temp_dir);
    let root = root.step("make a work folder")?.keep();
    let path = root.canonicalize().step("make a work folder")?;
    let ground = Ground { _lock: lock(&path), path };
    for name in [""].iter().chain(folders) {
        let path = ground.path.join(name);
        if !name.is_empty() {
            std::fs::create_dir(&path).step("make a work folder")?;
        }
        tree::own(tree::open_root(&path).step("make a work folder")?, ids).step("give the work folder away")?;
    }
    Ok(ground)
}

/// What the names of work folders begin with; the supervisor's number follows.
const GROUND_PREFIX: &str = "z1-box-";

/// Removes the work folders of this user whose supervisors are gone: killed before they could clean up.
pub(crate) fn sweep(temp_dir: &Path) {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(temp_dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(GROUND_PREFIX)) else { continue };
        let Some(pid) = rest.split('-').next().and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        let Ok(found) = entry.path().symlink_metadata() else { continue };
        let ours = found.is_dir() && (found.uid() == me || me == 0);
        // A number that lives again as another process keeps its folder until the next start; one that is unknown here
        // may be a process of another container.
        if ours && !Path::new("/proc").join(pid.to_string()).exists() && !is_taken(&entry.path()) {
            tree::remove(&entry.path());
        }
    }
}

/// Takes a work folder for as long as the descriptor is open; `None` where the file system knows no locks.
fn lock(folder: &Path) -> Option<OwnedFd> {
    let folder = tree::open_root(folder).ok()?;
    rustix::fs::flock(&folder, FlockOperation::NonBlockingLockShared).ok()?;
    Some(folder)
}

/// Whether somebody has a work folder.
fn is_taken(folder: &Path) -> bool {
    let folder = tree::open_root(folder);
    folder.is_ok_and(|folder| {
        rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    })
}

/// Puts the workspace's files into the work directory and lists them; says what was left out.
pub(super) fn fill(site: &Site<'_>, work_dir: &Path) -> Built<(Work, Vec<String>)> {
    let mut features = Vec::new();
    let dir = tree::open_root(work_dir).step("open the work folder")?;
    match &site.policy().workspace {
        Workspace::Files(files) => tree::place(dir.as_fd(), files, site.ids)?,
        Workspace::Overlay { lower, extra } => {
            let lower = view::project(lower)?;
            let hide: Vec<PathBuf> =
                site.hide.iter().filter_map(|path| path.strip_prefix(&lower).ok()).map(Path::to_owned).collect();
            let left_out = copy::copy(&lower, dir.as_fd(), &hide, site.ids)?;
            features.push("copy".to_owned());
            features.extend(copy::said(&left_out));
            tree::place(dir.as_fd(), extra, site.ids)?;
        }
    }
    let before = tree::scan(dir.as_fd());
    Ok((Work::Listed { dir, before }, features))
}

fn launch(site: &Site<'_>, ground: &Path, work_dir: &Path) -> Launch {
    let system = view::SYSTEM.iter().map(PathBuf::from).chain(view::etc(Path::new("/etc")));
    let system = system.chain(NAMES.iter().map(PathBuf::from));
    let roots: Vec<PathBuf> = system.chain(site.ro.clone()).chain(site.layered.clone()).collect();
    let mut read = view::without_hidden(&roots, &site.hide);
    read.extend(PROC.iter().map(PathBuf::from));
    // The program's own entry, resolved in the process that becomes the program; not what it says of the host's
    // network and mounts.
    read.extend(OWN.iter().map(|name| Path::new("/proc/self").join(name)));
    let limits = site.policy().limits.clone();
    Launch {
        argv: site.order.request.argv.iter().map(|word| site.relocated(word, work_dir)).collect(),
        env: site.environment(&ground.join("home"), &ground.join("tmp"), work_dir),
        cwd: work_dir.join(&site.order.request.cwd),
        fences: Fences {
            read,
            write: ["box", "tmp", "home"].map(|name| ground.join(name)).to_vec(),
            devices: view::DEVICES.iter().map(PathBuf::from).collect(),
            no_tcp: true,
        },
        sockets: Sockets::PairsOnly,
        // The limit counts all that the user has; a user made for this trial has nothing yet.
        tasks: u64::from(limits.processes_max) + if site.ids.dropped { 0 } else { site.order.user_tasks },
        limits,
        ids: site.ids,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_swept_and_what_another_container_uses_is_not() {
        let folder = tempfile::tempdir().unwrap();
        // No process has a number beyond the kernel's greatest.
        let of = |name: &str| folder.path().join(format!("{GROUND_PREFIX}{name}"));
        let (left, used) = (of("4194999-left"), of("4194999-used"));
        let mine = of(&format!("{}-mine", std::process::id()));
        for path in [&left, &used, &mine, &folder.path().join("z1-other")] {
            std::fs::create_dir(path).unwrap();
        }
        let held = lock(&used);
        assert!(held.is_some());
        sweep(folder.path());
        assert_eq!((left.exists(), used.exists(), mine.exists()), (false, true, true));
        drop(held);
        sweep(folder.path());
        assert_eq!((used.exists(), mine.exists(), folder.path().join("z1-other").exists()), (false, true, true));
    }
}
