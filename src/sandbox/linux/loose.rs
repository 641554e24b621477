//! Tier L: no namespaces. The program works in a folder of the host's temporary directory, behind Landlock,
//! seccomp and rlimits.
//!
//! What that leaves open is in SECURITY.md: files elsewhere can be seen to exist, and their mode and times
//! changed where the user owns them (not as root: the program then runs as nobody's user).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::enclosure::{Enclosure, Ground, Live, Site, Work, plumb};
use super::ids::Ids;
use super::keeper::{self, Reach};
use super::landlock::{self, Fences};
use super::note::{self, Note};
use super::seccomp::Sockets;
use super::step::{Broken, Built, Named};
use super::sys::{self, Fork};
use super::target::{self, Launch, Plugs};
use super::{tree, view};
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
    let work_dir = ground.0.join("box");
    let work = fill(site, &work_dir)?;
    let (plugs, outputs) = plumb(&site.order.request.stdin, channel)?;
    let launch = launch(site, &ground.0, &work_dir);
    let (socket, inside) = note::packet_pair().step("make sockets")?;
    let keeper = match sys::fork(0).step("fork keeper")? {
        Fork::Child => {
            drop(socket);
            enclose(inside, &launch, &plugs, site)
        }
        Fork::Parent(pid) => pid,
    };
    let watch_disk = Some(work.footprint(&ground.0));
    let live = Live { keeper, keeper_is_init: false, root: keeper, socket, outputs, watch_disk };
    Ok(Enclosure { tier: Tier::L, live, work, work_dir, features: Vec::new(), ground: Some(ground) })
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
    let prefix = format!("z1-box-{}-", std::process::id());
    let root = tempfile::Builder::new().prefix(&prefix).tempdir_in(temp_dir).step("make a work folder")?.keep();
    let ground = Ground(root.canonicalize().step("make a work folder")?);
    for name in [""].iter().chain(folders) {
        let path = ground.0.join(name);
        if !name.is_empty() {
            std::fs::create_dir(&path).step("make a work folder")?;
        }
        tree::own(tree::open_root(&path).step("make a work folder")?, ids).step("give the work folder away")?;
    }
    Ok(ground)
}

/// Puts the workspace's files into the work directory and lists them.
pub(super) fn fill(site: &Site<'_>, work_dir: &Path) -> Built<Work> {
    let dir = tree::open_root(work_dir).step("open the work folder")?;
    match &site.policy().workspace {
        Workspace::Files(files) => tree::place(dir.as_fd(), files, site.ids)?,
        Workspace::Overlay { lower, extra } => {
            let lower = view::project(lower)?;
            let hide: Vec<PathBuf> =
                site.hide.iter().filter_map(|path| path.strip_prefix(&lower).ok()).map(Path::to_owned).collect();
            tree::copy(&lower, dir.as_fd(), &hide, site.ids)?;
            tree::place(dir.as_fd(), extra, site.ids)?;
        }
    }
    let before = tree::scan(dir.as_fd());
    Ok(Work::Listed { dir, before })
}

fn launch(site: &Site<'_>, ground: &Path, work_dir: &Path) -> Launch {
    let system = view::SYSTEM.iter().chain(view::ETC).map(PathBuf::from);
    let mut read = view::without_hidden(&system.chain(site.ro.clone()).collect::<Vec<_>>(), &site.hide);
    read.extend(PROC.iter().map(PathBuf::from));
    // The program's own entry, resolved in the process that becomes the program.
    read.push(PathBuf::from("/proc/self"));
    let limits = site.policy().limits.clone();
    Launch {
        argv: site.order.request.argv.clone(),
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
