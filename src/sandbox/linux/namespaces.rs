//! Tier F: user, mount, pid, network, IPC, UTS and cgroup namespaces around the program, an overlay or a
//! directory in memory for its work, then everything that tier L has.
//!
//! The keeper is process 1 of the pid namespace and builds the file system: a size-limited tmpfs as root,
//! the host's programs bound read-only, a project at its own path and everything else at [`WORK_DIR`]. The host's
//! tree is detached, and the layers are covered, before the program starts.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::enclosure::{Enclosure, Live, PROGRAM_USER, Site, Work, plumb};
use super::ids::Ids;
use super::keeper::{self, Reach};
use super::landlock::{self, Fences};
use super::mounts::{self, Bind};
use super::note::{self, Note};
use super::step::{Broken, Built, Named};
use super::sys::{self, Fork};
use super::target::{self, Launch, Plugs};
use super::{copy, tree, userns, view};
use crate::sandbox::policy::WORK_DIR;
use crate::sandbox::{Net, Workspace};
use crate::task::Tier;

const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// Where the host's tree is while the view is built.
const OLD_ROOT: &str = "/.old";
/// The overlay's three folders.
const LAYERS: &str = "/.z1";
const LOWER: &str = "/.z1/lower";
const UPPER: &str = "/.z1/upper";
/// A folder with nothing in it, to cover others with.
const EMPTY: &str = "/.z1/empty";
/// Inodes of the view itself, on top of the program's allowance.
const SKELETON_INODES: u64 = 1024;
/// How long the view may take to build, copying included.
const BUILD_MAX: Duration = Duration::from_secs(60);

/// The project under the overlay.
struct Lower {
    path: PathBuf,
    /// The project as a mount whose owners are mapped to the program's user; root only.
    lent: Option<OwnedFd>,
}

/// Builds the enclosure and starts the program in it.
pub(super) fn build(site: &Site<'_>, channel: Option<(OwnedFd, OwnedFd)>) -> Built<Enclosure> {
    let (lower, mut features) = lower(site)?;
    // Lent while this is root; the keeper is root of a namespace of its own only.
    let lend = |path: &PathBuf| if site.ids.dropped { userns::lend(path, site.ids).ok() } else { None };
    let layers: Vec<Option<OwnedFd>> = site.layered.iter().map(lend).collect();
    let (plugs, outputs) = plumb(&site.order.request.stdin, channel)?;
    let launch = launch(site);
    let (socket, inside) = note::packet_pair().step("make sockets")?;
    let keeper = match sys::fork(NAMESPACES).step("make namespaces")? {
        Fork::Child => {
            drop(socket);
            drop(outputs);
            enclose(inside, &launch, plugs, View { site, lower, layers })
        }
        Fork::Parent(pid) => pid,
    };
    drop((inside, plugs));
    let built = userns::map_ids(keeper, site.ids).and_then(|()| finish(&socket, lower.as_ref(), &mut features));
    match built {
        Ok(work) => {
            let live = Live { keeper, keeper_is_init: true, root: keeper, socket, outputs, watch_disk: None };
            let work_dir = site.seat.clone();
            Ok(Enclosure { tier: Tier::F, live, work, work_dir, features, ground: None })
        }
        Err(broken) => {
            sys::kill(keeper, libc::SIGKILL);
            sys::wait(keeper, true);
            Err(broken)
        }
    }
}

fn lower(site: &Site<'_>) -> Built<(Option<Lower>, Vec<String>)> {
    let mut features = Vec::new();
    let Workspace::Overlay { lower, .. } = &site.policy().workspace else { return Ok((None, features)) };
    let path = view::project(lower)?;
    let mut lent = None;
    if site.ids.dropped {
        match userns::lend(&path, site.ids) {
            Ok(tree) => lent = Some(tree),
            Err(error) => features.push(format!("no id-mapped mount ({error})")),
        }
    }
    Ok((Some(Lower { path, lent }), features))
}

/// Lets the keeper build, takes the work directory from it, lists that, and lets it start the program.
fn finish(socket: &OwnedFd, lower: Option<&Lower>, features: &mut Vec<String>) -> Built<Work> {
    note::send_packet(socket, b"build", &[]).step("start building")?;
    let timeout = Timespec::try_from(BUILD_MAX).expect("invariant: a minute fits a timespec");
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout)).step("build the view")?;
    if ready == 0 {
        return Err(Broken::new("build the view", "it took too long"));
    }
    let (note, fds) = note::receive(socket)
        .step("build the view")?
        .ok_or_else(|| Broken::new("build the view", "the keeper died"))?;
    let work = match note {
        Note::Built { features: built, overlaid } => {
            let dir = fds.into_iter().next().ok_or_else(|| Broken::new("build the view", "no work directory"))?;
            features.extend(built);
            let before = tree::scan(&dir);
            match lower.filter(|_| overlaid) {
                Some(lower) => {
                    let lower = tree::open_root(&lower.path).step("open the project")?;
                    Work::Overlaid { upper: dir, lower, before }
                }
                None => Work::Listed { dir, before },
            }
        }
        Note::Broken { step, message } => return Err(Broken { step, message }),
        other => return Err(Broken::new("build the view", format!("unexpected {other:?}"))),
    };
    note::send_packet(socket, b"start", &[]).step("start the program")?;
    Ok(work)
}

/// The keeper's process.
fn enclose(socket: OwnedFd, launch: &Launch, plugs: Plugs, view: View<'_, '_>) -> ! {
    let site = view.site;
    let prepared = hear(&socket, b"build").and_then(|()| {
        // Where memory runs out the kernel takes the whole trial first. A courtesy; it may not be possible.
        let _ = fs::write("/proc/self/oom_score_adj", "1000");
        let (dir, overlaid, features) = view.build()?;
        note::send(&socket, &Note::Built { features, overlaid }, &[dir.as_fd()]).step("report the view")?;
        hear(&socket, b"start")?;
        sys::set_dumpable(false).step("hide memory")
    });
    if let Err(broken) = prepared {
        let _ = note::send(&socket, &broken.into(), &[]);
        sys::exit(1)
    }
    let mut features: Vec<String> =
        ["userns", "mountns", "pidns", "netns", "ipcns", "seccomp", "rlimits"].map(str::to_owned).to_vec();
    features.push(format!("landlock-abi{}", landlock::abi()));
    features.extend(site.ids.dropped.then(|| "own-uid".to_owned()));
    let _ = note::send(&socket, &Note::Ready { features }, &[]);
    let filters = site.filters;
    keeper::keep(socket, Reach::Trial, move |_| target::launch(launch, &plugs, filters))
}

fn hear(socket: &OwnedFd, word: &[u8]) -> Built {
    let (bytes, _) = note::receive_packet(socket, 16).step("wait for the supervisor")?;
    if bytes == word { Ok(()) } else { Err(Broken::new("wait for the supervisor", "it went away")) }
}

/// The file system of a trial while it is built.
struct View<'a, 'b> {
    site: &'a Site<'b>,
    lower: Option<Lower>,
    /// The site's layered folders as mounts whose owners are mapped to the program's user; root only.
    layers: Vec<Option<OwnedFd>>,
}

impl View<'_, '_> {
    /// Builds everything; returns the work directory (or the overlay's upper layer), which of the two it
    /// is, and what else there is to say.
    fn build(self) -> Built<(OwnedFd, bool, Vec<String>)> {
        rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o022));
        let mut features = Vec::new();
        mounts::make_private().step("make mounts private")?;
        self.pivot()?;
        self.system()?;
        if mounts::proc(Path::new("/proc")).is_err() {
            // Inside a container with a masked /proc the kernel refuses a clear one.
            features.push("no-proc".to_owned());
        }
        self.layers(&mut features);
        let (dir, overlaid) = self.work(&mut features)?;
        self.hide()?;
        self.protect()?;
        // What is written is in there, and nobody but the overlay is to change it.
        mounts::bind(Path::new(EMPTY), Path::new(LAYERS), Bind::ReadOnly).step("cover the layers")?;
        mounts::detach(Path::new(OLD_ROOT)).step("detach the host's tree")?;
        fs::remove_dir(OLD_ROOT).step("detach the host's tree")?;
        let _ = rustix::system::sethostname(b"z1");
        if self.site.policy().net == Net::Loopback {
            sys::loopback_up().step("bring up the loopback")?;
        }
        Ok((dir, overlaid, features))
    }

    fn size_options(&self, more_bytes: u64, more_inodes: u64) -> CString {
        let limits = &self.site.policy().limits;
        let bytes = limits.disk_bytes_max.saturating_add(more_bytes);
        let inodes = limits.inodes_max.saturating_add(more_inodes).saturating_add(SKELETON_INODES);
        CString::new(format!("size={bytes},nr_inodes={inodes},mode=755")).expect("invariant: digits have no NUL")
    }

    /// A fresh root, with the host's tree beneath it for now.
    fn pivot(&self) -> Built {
        // Any folder does: it is covered for this namespace alone, and uncovered by the pivot.
        let base = ["/tmp", "/var", "/usr"].map(Path::new).into_iter().find(|path| path.is_dir());
        let base = base.ok_or_else(|| Broken::new("make a root", "no folder to put it on"))?;
        mounts::tmpfs(base, &self.size_options(0, 0)).step("make a root")?;
        fs::create_dir(base.join(&OLD_ROOT[1..])).step("make a root")?;
        mounts::pivot(base, c".old").step("change the root")
    }

    /// What every program needs: the system's folders, devices, and places to write.
    fn system(&self) -> Built {
        for path in view::SYSTEM.iter().map(Path::new) {
            let host = on_host(path);
            match fs::read_link(&host) {
                Ok(link) => symlink(link, path).step(format!("link {}", path.display()))?,
                Err(_) if host.is_dir() => bind(path, Bind::ReadOnly)?,
                Err(_) => {}
            }
        }
        for path in on_host_etc() {
            bind(&path, Bind::ReadOnly)?;
        }
        for path in view::DEVICES.iter().map(Path::new) {
            bind(path, Bind::Device)?;
        }
        for (name, fd) in [("stdin", "0"), ("stdout", "1"), ("stderr", "2"), ("fd", "")] {
            symlink(format!("/proc/self/fd/{fd}"), Path::new("/dev").join(name)).step("link /dev/fd")?;
        }
        for folder in ["/proc", LAYERS, LOWER, UPPER, "/.z1/work", EMPTY] {
            fs::create_dir_all(folder).step(format!("make {folder}"))?;
        }
        for folder in ["/tmp", "/tmp/home", "/dev/shm"] {
            fs::create_dir_all(folder).step(format!("make {folder}"))?;
            give(Path::new(folder), self.site.ids).step(format!("make {folder}"))?;
        }
        small_etc(Path::new("/etc"), self.site.ids).step("write /etc")?;
        // A kernel that gives no terminals here has programs without terminals.
        if mounts::terminals(Path::new("/dev/pts")).is_ok() {
            symlink("pts/ptmx", "/dev/ptmx").step("link /dev/ptmx")?;
        }
        for path in &self.site.ro {
            bind(path, Bind::ReadOnly)?;
        }
        for (at, to) in &self.site.links {
            // One that cannot be made leaves the program with the path that it leads to.
            if at.symlink_metadata().is_err() && at.parent().is_some_and(|parent| fs::create_dir_all(parent).is_ok()) {
                let _ = symlink(to, at);
            }
        }
        let work = &self.site.seat;
        fs::create_dir_all(work).step(format!("make {}", work.display()))?;
        if work == Path::new(WORK_DIR) {
            give(work, self.site.ids).step(format!("make {WORK_DIR}"))?;
        } else {
            symlink(work, WORK_DIR).step(format!("link {WORK_DIR}"))?;
        }
        Ok(())
    }

    /// Folders that the program may write to without anything of it being kept. Where the layer fails, they are read
    /// only.
    fn layers(&self, features: &mut Vec<String>) {
        for (number, path) in self.site.layered.iter().enumerate() {
            let [upper, work] = ["upper", "work"].map(|name| format!("{LAYERS}/{name}{number}"));
            let made = || -> std::io::Result<()> {
                fs::create_dir_all(path)?;
                fs::create_dir(&upper)?;
                fs::create_dir(&work)?;
                match &self.layers[number] {
                    Some(lent) => mounts::attach(lent, Path::new(LOWER))?,
                    None => mounts::attach(&mounts::detached(&on_host(path), false)?, Path::new(LOWER))?,
                }
                give(Path::new(&upper), self.site.ids)?;
                let mounted = mounts::overlay(path, LOWER, &upper, &work);
                mounts::detach(Path::new(LOWER))?;
                mounted
            };
            if let Err(error) = made() {
                features.push(format!("{} read only ({error})", path.display()));
                let _ = mounts::bind(&on_host(path), path, Bind::ReadOnly);
            }
        }
    }

    /// The work directory, filled. Where the overlay fails, a copy, and the reason.
    fn work(&self, features: &mut Vec<String>) -> Built<(OwnedFd, bool)> {
        let at = self.site.seat.as_path();
        let ids = self.site.ids;
        let (files, overlaid) = match &self.site.policy().workspace {
            Workspace::Files(files) => (files, false),
            Workspace::Overlay { extra, .. } => match self.overlay(at) {
                Ok(()) => (extra, true),
                Err(broken) => {
                    let left_out = self.copy(at)?;
                    features.push(format!("copy ({}: {})", broken.step, broken.message));
                    features.extend(copy::said(&left_out));
                    (extra, false)
                }
            },
        };
        features.extend(overlaid.then(|| "overlay".to_owned()));
        let merged = tree::open_root(at).step("open the work directory")?;
        tree::place(&merged, files, ids)?;
        let dir = if overlaid { tree::open_root(Path::new(UPPER)).step("open the layer")? } else { merged };
        Ok((dir, overlaid))
    }

    fn overlay(&self, at: &Path) -> Built {
        let Some(lower) = &self.lower else { return Ok(()) };
        match &lower.lent {
            Some(tree) => mounts::attach(tree, Path::new(LOWER)).step("attach the project")?,
            None if self.site.ids.dropped => return Err(Broken::new("overlay", "no id-mapped mount")),
            None => {
                let tree = mounts::detached(&on_host(&lower.path), true).step("attach the project")?;
                mounts::attach(&tree, Path::new(LOWER)).step("attach the project")?;
            }
        }
        give(Path::new(UPPER), self.site.ids).step("prepare the layer")?;
        let mounted = mounts::overlay(at, LOWER, UPPER, "/.z1/work").step("overlay");
        // The overlay keeps what it needs of it.
        mounts::detach(Path::new(LOWER)).step("detach the project")?;
        mounted
    }

    fn copy(&self, at: &Path) -> Built<Vec<PathBuf>> {
        let lower = self.lower.as_ref().map(|lower| on_host(&lower.path));
        let Some(lower) = lower else { return Ok(Vec::new()) };
        let (bytes, inodes) = tree::usage(&tree::scan(tree::open_root(&lower).step("open the project")?));
        mounts::tmpfs(at, &self.size_options(bytes, inodes)).step("make room for a copy")?;
        give(at, self.site.ids).step("make room for a copy")?;
        let hide: Vec<PathBuf> = self.hidden_in_project().collect();
        copy::copy(&lower, tree::open_root(at).step("open the work directory")?, &hide, self.site.ids)
    }

    fn hidden_in_project(&self) -> impl Iterator<Item = PathBuf> {
        let lower = self.lower.as_ref().map(|lower| lower.path.clone());
        self.site
            .hide
            .iter()
            .filter_map(move |path| Some(path.strip_prefix(lower.as_ref()?).ok()?.to_owned()))
            .filter(|path| !path.as_os_str().is_empty())
    }

    /// Covers what is to be hidden with something empty.
    fn hide(&self) -> Built {
        let in_project = self.hidden_in_project().map(|path| self.site.seat.join(path));
        let empty = Path::new(EMPTY);
        let mut hidden: Vec<PathBuf> = self.site.hide.iter().cloned().chain(in_project).collect();
        hidden.sort();
        hidden.dedup();
        for path in hidden {
            let Ok(metadata) = path.symlink_metadata() else { continue };
            let cover = if metadata.is_dir() { empty } else { Path::new("/dev/null") };
            mounts::bind(cover, &path, Bind::ReadOnly).step(format!("hide {}", path.display()))?;
        }
        Ok(())
    }

    /// Makes protected files and folders of the work directory read-only mounts of themselves.
    fn protect(&self) -> Built {
        let root = tree::open_root(&self.site.seat).step("protect")?;
        for path in &self.site.policy().protected {
            let step = || format!("protect {}", path.display());
            match tree::open_beneath(&root, path, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()) {
                Ok(_) => {
                    let path = self.site.seat.join(path);
                    mounts::bind(&path, &path, Bind::ReadOnly).step(step())?;
                }
                Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(Broken::new(step(), error)),
            }
        }
        Ok(())
    }
}

/// What of `/etc` is shown and there. The host's own `/etc` is under [`OLD_ROOT`] by now.
fn on_host_etc() -> Vec<PathBuf> {
    view::etc(&on_host(Path::new("/etc"))).into_iter().filter(|path| on_host(path).exists()).collect()
}

/// A host path while the host's tree is at [`OLD_ROOT`].
fn on_host(path: &Path) -> PathBuf {
    Path::new(OLD_ROOT).join(path.strip_prefix("/").unwrap_or(path))
}

fn bind(path: &Path, kind: Bind) -> Built {
    mounts::bind(&on_host(path), path, kind).step(format!("show {}", path.display()))
}

/// The few files of `/etc` that libraries expect, with nobody's data in them.
pub(super) fn small_etc(at: &Path, ids: Ids) -> std::io::Result<()> {
    let (uid, gid) = (ids.uid, ids.gid);
    fs::create_dir_all(at)?;
    fs::write(at.join("hosts"), "127.0.0.1 localhost z1\n::1 localhost z1\n")?;
    fs::write(at.join("hostname"), "z1\n")?;
    fs::write(
        at.join("nsswitch.conf"),
        "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
    )?;
    let me = format!("{PROGRAM_USER}:x:{uid}:{gid}:z1:/tmp/home:/bin/sh\n");
    let others = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";
    fs::write(at.join("passwd"), me + others)?;
    fs::write(at.join("group"), format!("{PROGRAM_USER}:x:{gid}:\nroot:x:0:\nnogroup:x:65534:\n"))
}

fn give(path: &Path, ids: Ids) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(tree::own(tree::open_root(path)?, ids)?)
}

/// How a program is started where the view alone holds what it may see.
pub(super) fn launch(site: &Site<'_>) -> Launch {
    let work = site.seat.as_path();
    let limits = site.policy().limits.clone();
    Launch {
        argv: site.order.request.argv.clone(),
        env: site.environment(Path::new("/tmp/home"), Path::new("/tmp"), work),
        cwd: work.join(&site.order.request.cwd),
        fences: Fences {
            // The view holds nothing that the program may not read.
            read: vec![PathBuf::from("/")],
            write: [work, Path::new("/tmp"), Path::new("/dev/shm")]
                .map(Path::to_owned)
                .into_iter()
                .chain(site.layered.clone())
                .collect(),
            devices: view::DEVICES.iter().copied().chain(["/dev/pts"]).map(PathBuf::from).collect(),
            no_tcp: false,
        },
        sockets: site.sockets(),
        // Counted within the user namespace; the keeper is one of the ordinary user's.
        tasks: u64::from(limits.processes_max) + u64::from(!site.ids.dropped),
        limits,
        ids: site.ids,
    }
}
