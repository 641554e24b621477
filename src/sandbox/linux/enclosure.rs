//! What the tiers have in common: an enclosure is a keeper process, a socket to it, and a work directory
//! that can be inspected from outside.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use super::ids::Ids;
use super::seccomp::{Filters, Sockets};
use super::step::{Built, Named};
use super::target::Plugs;
use super::tree::{self, Snapshot};
use super::{overlay, view};
use crate::sandbox::wire::Order;
use crate::sandbox::{Change, Net, Policy, Stdin, Workspace};
use crate::task::Tier;

/// A trial that is being built: the order, and what was decided about it.
pub(super) struct Site<'a> {
    pub(super) order: &'a Order,
    pub(super) filters: &'a Filters,
    pub(super) ids: Ids,
    pub(super) ro: Vec<PathBuf>,
    /// Readable as well, and writable in a throw-away layer where there is one.
    pub(super) layered: Vec<PathBuf>,
    /// Links that lead to what is readable.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
    pub(super) hide: Vec<PathBuf>,
    /// The work directory in a view of its own (tiers F and B).
    pub(super) seat: PathBuf,
}

impl<'a> Site<'a> {
    pub(super) fn new(order: &'a Order, filters: &'a Filters) -> Built<Self> {
        let ids = super::ids::choose(std::process::id())?;
        let policy = &order.policy;
        let mut ro = view::canonical(&policy.ro, &order.private)?;
        let mut more = view::canonical_where_possible(&policy.ro_if_possible, &order.private);
        let mut layered = view::canonical_where_possible(&policy.layered, &order.private);
        if ids.dropped && order.tier != Tier::F {
            // Where the view is not built by root, the program's user must get there by itself.
            ro.iter().try_for_each(|path| view::open_to_everybody(path))?;
            more.retain(|path| view::open_to_everybody(path).is_ok());
            layered.retain(|path| view::open_to_everybody(path).is_ok());
        }
        ro.extend(more);
        ro.sort();
        ro.dedup();
        let named: Vec<PathBuf> =
            [&policy.ro, &policy.ro_if_possible, &policy.layered].into_iter().flatten().cloned().collect();
        let seat = view::seat(policy);
        let mut hide = view::hidden(&policy.hide);
        if let Workspace::Overlay { lower, .. } = &policy.workspace
            && let Ok(lower) = lower.canonicalize()
        {
            // A project that is somebody's home does not show what is private in it.
            hide.extend(
                order
                    .private
                    .iter()
                    .filter(|path| path.starts_with(&lower) && **path != lower && path.exists())
                    .cloned(),
            );
            // What leads into the project is the project's own affair.
            ro.retain(|path| !path.starts_with(&lower));
            layered.retain(|path| !path.starts_with(&lower));
        }
        Ok(Self { order, filters, ids, ro, layered, links: view::links(&named), hide, seat })
    }

    pub(super) const fn policy(&self) -> &Policy {
        &self.order.policy
    }

    /// The program's environment: the sandbox's own variables, then the policy's, which win.
    pub(super) fn environment(&self, home: &Path, temp: &Path, work: &Path) -> Vec<(OsString, OsString)> {
        let own: [(&str, OsString); 11] = [
            ("PATH", view::PATH.into()),
            ("HOME", home.into()),
            ("USER", PROGRAM_USER.into()),
            ("LOGNAME", PROGRAM_USER.into()),
            ("TMPDIR", temp.into()),
            ("PWD", work.into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("NO_COLOR", "1".into()),
            ("CI", "1".into()),
            ("SOURCE_DATE_EPOCH", "315532800".into()),
        ];
        let given = &self.policy().env;
        let own = own.into_iter().map(|(name, value)| (OsString::from(name), value));
        own.filter(|(name, _)| !given.contains_key(name))
            .chain(given.iter().map(|(name, value)| (name.clone(), self.relocated(value, work))))
            .filter(|(name, value)| !value.is_empty() || !given.contains_key(name))
            .collect()
    }

    /// A text in which the project's own path is the one that the program sees.
    pub(super) fn relocated(&self, text: &OsStr, work: &Path) -> OsString {
        let Workspace::Overlay { lower, .. } = &self.policy().workspace else { return text.to_owned() };
        if lower.as_path() == work {
            return text.to_owned();
        }
        let (from, to) = (lower.as_os_str().as_bytes(), work.as_os_str().as_bytes());
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some(at) = find(rest, from) {
            let after = &rest[at + from.len()..];
            bytes.extend_from_slice(&rest[..at]);
            // `/a/project2` is not beneath `/a/project`.
            let ends = matches!(after.first(), None | Some(b'/' | b':' | b'"' | b'\'' | b' ' | b';'));
            let begins = at == 0 || !(rest[at - 1].is_ascii_alphanumeric() || rest[at - 1] == b'/');
            bytes.extend_from_slice(if ends && begins { to } else { from });
            rest = after;
        }
        bytes.extend_from_slice(rest);
        OsString::from_vec(bytes)
    }

    /// Which sockets the program may have in a network namespace of its own.
    pub(super) const fn sockets(&self) -> Sockets {
        match self.order.policy.net {
            Net::Off => Sockets::Unix,
            Net::Loopback => Sockets::Loopback,
        }
    }
}

/// The name that programs have, where a name is asked for.
pub(super) const PROGRAM_USER: &str = "z1";

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    if word.is_empty() {
        return None;
    }
    text.windows(word.len()).position(|window| window == word)
}

/// Makes the program's stdin, stdout and stderr. `channel` becomes its descriptors 3 and 4.
pub(super) fn plumb(stdin: &Stdin, channel: Option<(OwnedFd, OwnedFd)>) -> Built<(Plugs, [OwnedFd; 2])> {
    let (stdout, stdout_plug) = output().step("make pipes")?;
    let (stderr, stderr_plug) = output().step("make pipes")?;
    let stdin = match stdin {
        Stdin::Null => OwnedFd::from(File::open("/dev/null").step("open /dev/null")?),
        Stdin::Bytes(bytes) => input(bytes).step("make input")?,
    };
    let plugs = Plugs { stdin, stdout: stdout_plug, stderr: stderr_plug, channel };
    Ok((plugs, [stdout, stderr]))
}

/// A pipe whose reading end, and only that, never blocks.
fn output() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&read, OFlags::NONBLOCK)?;
    Ok((read, write))
}

/// A file in memory that holds the program's input: no writer has to feed it, no reader can block.
pub(super) fn input(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("input", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    // Opened anew and for reading only: the program cannot write to its own input.
    Ok(File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)))?.into())
}

/// How the supervisor finds out what the program did to its work directory.
pub(super) enum Work {
    /// Compare the directory with a listing from before.
    Listed { dir: OwnedFd, before: Snapshot },
    /// Read the overlay's upper layer, without what z1 itself had put there before.
    Overlaid { upper: OwnedFd, lower: OwnedFd, before: Snapshot },
}

/// A folder that is measured, and what lay in it before the program started.
pub(super) struct Footprint {
    pub(super) folder: PathBuf,
    pub(super) bytes_before: u64,
    pub(super) inodes_before: u64,
}

impl Work {
    /// What to measure where the work directory is a folder of the host: a project's copy is not the program's doing.
    pub(super) fn footprint(&self, ground: &Path) -> Footprint {
        let (Self::Listed { before, .. } | Self::Overlaid { before, .. }) = self;
        let (bytes_before, inodes_before) = tree::usage(before);
        Footprint { folder: ground.to_owned(), bytes_before, inodes_before }
    }

    /// What changed, and what was only touched.
    pub(super) fn changes(&self) -> (Vec<Change>, Vec<PathBuf>) {
        match self {
            Self::Listed { dir, before } => (tree::diff(before, &tree::scan(dir)), Vec::new()),
            Self::Overlaid { upper, lower, before } => overlay::changes(upper, lower, before),
        }
    }

    pub(super) fn read(&self, path: &Path) -> Option<Vec<u8>> {
        match self {
            Self::Listed { dir, .. } => tree::read_regular(dir, path),
            Self::Overlaid { upper, lower, .. } => overlay::read(upper, lower, path),
        }
    }
}

/// A directory of the host that the trial uses and that goes with it.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) path: PathBuf,
    /// Locked as long as the trial lives, which is seen also from where its processes are not (a container with the same
    /// temporary directory). None where the file system knows no locks.
    pub(super) _lock: Option<OwnedFd>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        if !tree::remove(&self.path) {
            tracing::warn!(path = %self.path.display(), "a sandbox folder could not be removed");
        }
    }
}

/// A running enclosure.
pub(super) struct Enclosure {
    pub(super) tier: Tier,
    pub(super) live: Live,
    pub(super) work: Work,
    pub(super) work_dir: PathBuf,
    pub(super) features: Vec<String>,
    /// Removed when the enclosure is dropped.
    pub(super) ground: Option<Ground>,
}

/// The part of an enclosure that is watched.
pub(super) struct Live {
    pub(super) keeper: libc::pid_t,
    /// Whether killing the keeper kills everything (it is process 1 of a pid namespace).
    pub(super) keeper_is_init: bool,
    pub(super) socket: OwnedFd,
    /// stdout and stderr.
    pub(super) outputs: [OwnedFd; 2],
    /// The process whose descendants are the trial, as seen from the supervisor.
    pub(super) root: libc::pid_t,
    /// Where the disk limit is kept by looking (no size-limited file system).
    pub(super) watch_disk: Option<Footprint>,
}

/// The order's socket and the program's ends of the private channel.
pub(super) struct Lines {
    pub(super) client: UnixStream,
    pub(super) channel: Option<(OwnedFd, OwnedFd)>,
}
