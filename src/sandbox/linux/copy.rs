//! Copies of a project, for where it cannot be laid under a layer of its own: as private as the project, with its modes and
//! times, blocks shared where the file system can, bytes on all processors elsewhere.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

use super::ids::Ids;
use super::step::{Broken, Built, Named};
use super::tree::{self, ENTRIES_MAX};

/// A project that has to be copied is at most this large, in bytes.
pub(super) const COPY_BYTES_MAX: u64 = 4 << 30;
/// Folders within one another that are copied; a project that is deeper is cut there.
const DEPTH_MAX: usize = 200;
/// Files that one worker takes at a time.
const PORTION_FILES: usize = 64;
/// More workers wait for one another in the file system.
const WORKERS_MAX: usize = 4;
/// Files up to this size are read and written in one call each, in bytes.
const WHOLE_BYTES_MAX: usize = 128 << 10;

/// Copies a project: folders, regular files and links with their modes and times; devices, sockets and FIFOs left out,
/// and everything in `hide` (relative). Returns what could not be read and was left out for that.
///
/// # Errors
/// Where the project is too large, or a file cannot be written.
pub(super) fn copy(from: &Path, to: impl AsFd, hide: &[PathBuf], ids: Ids) -> Built<Vec<PathBuf>> {
    let to = to.as_fd();
    let source = tree::open_root(from).step(format!("open {}", from.display()))?;
    let mut walk = Walk { from, ids, hide, folders: Vec::new(), left_out: Vec::new(), entries: 0, bytes: 0 };
    walk.folder(source.as_fd(), to, Path::new(""))?;
    let Walk { folders, mut left_out, .. } = walk;
    left_out.extend(Filling::new(source.as_fd(), to, &folders, ids).run()?);
    left_out.sort();
    // What was put into a folder changed its times: the innermost last.
    for folder in folders.iter().rev() {
        if let (Some(meta), Ok(dir)) = (&folder.meta, tree::open_dir(to, &folder.path)) {
            meta.set_times(&dir).step(format!("copy {}", folder.path.display()))?;
        }
    }
    Ok(left_out)
}

/// What of a project is not in its copy, in a sentence; none where everything is.
pub(super) fn said(left_out: &[PathBuf]) -> Option<String> {
    let first = left_out.first()?;
    let more = if left_out.len() > 1 { format!(" and {} more", left_out.len() - 1) } else { String::new() };
    Some(format!("not readable and left out: {}{more}", first.display()))
}

/// What a copy keeps of a file or folder besides its content.
struct Meta {
    mode: Mode,
    bytes: u64,
    times: Timestamps,
}

impl Meta {
    fn new(stat: &Stat) -> Self {
        let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
        Self {
            mode: Mode::from_bits_truncate(stat.st_mode & 0o777),
            bytes: stat.st_size as u64,
            times: Timestamps {
                last_access: time(stat.st_atime, stat.st_atime_nsec),
                last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
            },
        }
    }

    /// Tools tell by the times what they need not make again.
    fn set_times(&self, file: &OwnedFd) -> rustix::io::Result<()> {
        rustix::fs::futimens(file, &self.times)
    }
}

/// A folder that has been made in the copy, and the files that belong into it.
struct Folder {
    path: PathBuf,
    /// None for the project itself, whose folder is there already.
    meta: Option<Meta>,
    files: Vec<(PathBuf, Meta)>,
}

/// The first pass: folders and links are made, files are listed.
struct Walk<'a> {
    /// The project, without links.
    from: &'a Path,
    ids: Ids,
    hide: &'a [PathBuf],
    folders: Vec<Folder>,
    left_out: Vec<PathBuf>,
    entries: usize,
    bytes: u64,
}

/// Not there any more, not for this user, or too deep for one path.
fn is_left_out(error: Errno) -> bool {
    matches!(error, Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::LOOP | Errno::NAMETOOLONG)
}

fn named(path: &Path) -> String {
    format!("copy {}", path.display())
}

impl Walk<'_> {
    fn folder(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, path: &Path) -> Built {
        let at = self.folders.len();
        self.folders.push(Folder { path: path.to_owned(), meta: None, files: Vec::new() });
        for name in tree::entries(from).step(named(path))? {
            let inner = path.join(&name);
            if self.hide.iter().any(|hidden| inner.starts_with(hidden)) {
                continue;
            }
            // What vanishes meanwhile is as if it had never been.
            let Ok(stat) = rustix::fs::statat(from, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            self.entries += 1;
            if self.entries >= ENTRIES_MAX || self.bytes > COPY_BYTES_MAX {
                let message =
                    format!("it is larger than {} GiB or has more than {ENTRIES_MAX} files", COPY_BYTES_MAX >> 30);
                return Err(Broken::new("copy the project", message));
            }
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => self.subfolder(from, to, &name, &inner, &stat)?,
                FileType::RegularFile => {
                    let meta = Meta::new(&stat);
                    self.bytes += meta.bytes;
                    self.folders[at].files.push((name, meta));
                }
                FileType::Symlink => self.link(from, to, &name, &inner)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn subfolder(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path, path: &Path, stat: &Stat) -> Built {
        let (look, meta) = (OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Meta::new(stat));
        let made = rustix::fs::openat(from, name, look, Mode::empty()).and_then(|source| {
            rustix::fs::mkdirat(to, name, meta.mode | Mode::RWXU)?;
            let target = rustix::fs::openat(to, name, look, Mode::empty())?;
            tree::own(&target, self.ids)?;
            Ok((source, target))
        });
        let (source, target) = match made {
            Ok(made) => made,
            Err(error) if is_left_out(error) => {
                self.left_out.push(path.to_owned());
                return Ok(());
            }
            Err(error) => return Err(Broken::new(named(path), error)),
        };
        if path.components().count() >= DEPTH_MAX {
            self.left_out.push(path.to_owned());
            return Ok(());
        }
        let at = self.folders.len();
        self.folder(source.as_fd(), target.as_fd(), path)?;
        self.folders[at].meta = Some(meta);
        Ok(())
    }

    fn link(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &Path, path: &Path) -> Built {
        let made = rustix::fs::readlinkat(from, name, Vec::new()).and_then(|link| {
            match self.out_of_the_project(path, Path::new(OsStr::from_bytes(link.as_bytes()))) {
                Some(place) => rustix::fs::symlinkat(place, to, name),
                None => rustix::fs::symlinkat(link, to, name),
            }
        });
        match made {
            Err(error) if is_left_out(error) => self.left_out.push(path.to_owned()),
            made => made.step(named(path))?,
        }
        Ok(())
    }

    /// Where a relative link leads that leaves the project: from the copy's place it would lead elsewhere.
    fn out_of_the_project(&self, path: &Path, link: &Path) -> Option<PathBuf> {
        let leaves = link.is_relative() && link.components().next() == Some(Component::ParentDir);
        let place = leaves.then(|| self.from.join(path.parent()?).join(link).canonicalize().ok())??;
        (!place.starts_with(self.from)).then_some(place)
    }
}

/// The second pass: the files' bytes, on several processors.
struct Filling<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    folders: &'a [Folder],
    ids: Ids,
    /// Bits that the system takes from the mode of a new file.
    umask: u32,
    /// Whether the two file systems may share blocks; tried until they said no.
    shares: AtomicBool,
    portions: Vec<(usize, std::ops::Range<usize>)>,
    next: AtomicUsize,
}

impl<'a> Filling<'a> {
    fn new(from: BorrowedFd<'a>, to: BorrowedFd<'a>, folders: &'a [Folder], ids: Ids) -> Self {
        let portions = folders.iter().enumerate().flat_map(|(at, folder)| {
            let count = folder.files.len();
            (0..count).step_by(PORTION_FILES).map(move |first| (at, first..count.min(first + PORTION_FILES)))
        });
        Self {
            from,
            to,
            folders,
            ids,
            umask: umask(),
            shares: AtomicBool::new(true),
            portions: portions.collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Returns what was left out.
    fn run(&self) -> Built<Vec<PathBuf>> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let helpers = processors.min(WORKERS_MAX).min(self.portions.len()).saturating_sub(1);
        std::thread::scope(|scope| {
            let started: Vec<_> = (0..helpers)
                // One that cannot be started is not needed.
                .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, || self.work()).ok())
                .collect();
            let mut left_out = self.work()?;
            for helper in started {
                left_out.extend(helper.join().expect("invariant: a copying thread does not panic")?);
            }
            Ok(left_out)
        })
    }

    fn work(&self) -> Built<Vec<PathBuf>> {
        let (mut left_out, mut buffer) = (Vec::new(), vec![0; WHOLE_BYTES_MAX]);
        while let Some((at, files)) = self.portions.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let folder = &self.folders[*at];
            let open = |root| tree::open_dir(root, &folder.path);
            let (from, to) = match (open(self.from), open(self.to)) {
                (Ok(from), Ok(to)) => (from, to),
                (Err(error), _) | (_, Err(error)) if is_left_out(error) => {
                    left_out.push(folder.path.clone());
                    continue;
                }
                (Err(error), _) | (_, Err(error)) => return Err(Broken::new(named(&folder.path), error)),
            };
            for (name, meta) in &folder.files[files.clone()] {
                match self.file(&from, &to, name, meta, &mut buffer) {
                    Ok(()) => {}
                    Err(error) if is_left_out(error) => left_out.push(folder.path.join(name)),
                    Err(error) => return Err(Broken::new(named(&folder.path.join(name)), error)),
                }
            }
        }
        Ok(left_out)
    }

    fn file(
        &self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &Path,
        meta: &Meta,
        buffer: &mut [u8],
    ) -> rustix::io::Result<()> {
        let look = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source = rustix::fs::openat(from, name, look, Mode::empty())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // The descriptor may write whatever the mode says.
        let target = rustix::fs::openat(to, name, flags, meta.mode)?;
        let (source, target) = (File::from(source), File::from(target));
        if meta.bytes > 0 && !self.shared(&source, &target) {
            copy_bytes(&source, &target, meta.bytes, buffer)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        if meta.mode.bits() & self.umask != 0 {
            rustix::fs::fchmod(&target, meta.mode)?;
        }
        tree::own(&target, self.ids)?;
        meta.set_times(&target.into())
    }

    /// Gives the copy the file's own blocks, where both lie in a file system that can.
    fn shared(&self, source: &File, target: &File) -> bool {
        if !self.shares.load(Ordering::Relaxed) {
            return false;
        }
        match rustix::fs::ioctl_ficlone(target, source) {
            Ok(()) => true,
            Err(error) => {
                let never = matches!(error, Errno::OPNOTSUPP | Errno::XDEV | Errno::NOTTY | Errno::NOSYS);
                self.shares.fetch_and(!never, Ordering::Relaxed);
                false
            }
        }
    }
}

fn copy_bytes(mut source: &File, mut target: &File, bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
    if bytes > buffer.len() as u64 {
        return io::copy(&mut source, &mut target).map(drop);
    }
    let mut left = bytes;
    // A file that grows meanwhile is as if it had been copied before.
    while left > 0 {
        let read = source.read(&mut buffer[..left as usize])?;
        if read == 0 {
            break;
        }
        target.write_all(&buffer[..read])?;
        left -= read as u64;
    }
    Ok(())
}

/// This process's umask, which only asking the kernel's own file does not change for a moment.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    told.and_then(|bits| u32::from_str_radix(bits.trim(), 8).ok()).unwrap_or(0o777)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::tree::open_root;
    use super::*;

    fn ids() -> Ids {
        Ids { uid: 0, gid: 0, dropped: false }
    }

    #[test]
    fn a_copy_keeps_links_and_modes_and_leaves_hidden_things_out() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(from.path().join("d")).unwrap();
        std::fs::write(from.path().join("d/run"), "x").unwrap();
        std::fs::set_permissions(from.path().join("d/run"), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(from.path().join("d/secret"), "x").unwrap();
        symlink("run", from.path().join("d/link")).unwrap();
        copy(from.path(), open_root(to.path()).unwrap(), &[PathBuf::from("d/secret")], ids()).unwrap();
        assert_eq!(std::fs::read_link(to.path().join("d/link")).unwrap(), Path::new("run"));
        assert_eq!(std::fs::metadata(to.path().join("d/run")).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(!to.path().join("d/secret").exists());
        let time = |root: &tempfile::TempDir| std::fs::metadata(root.path().join("d/run")).unwrap().modified().unwrap();
        assert_eq!(time(&from), time(&to));
    }

    #[test]
    fn a_link_out_of_the_project_leads_where_it_led() {
        let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("p/d")).unwrap();
        std::fs::create_dir(root.join("env")).unwrap();
        for (target, link) in [("../../env", "p/d/out"), ("..", "p/d/up"), ("../../nowhere", "p/d/broken")] {
            symlink(target, root.join(link)).unwrap();
        }
        copy(&root.join("p"), open_root(to.path()).unwrap(), &[], ids()).unwrap();
        let led = |name: &str| std::fs::read_link(to.path().join("d").join(name)).unwrap();
        assert_eq!((led("out"), led("up"), led("broken")), (root.join("env"), "..".into(), "../../nowhere".into()));
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_said() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(from.path().join("a"), "x").unwrap();
        std::fs::write(from.path().join("locked"), "x").unwrap();
        std::fs::set_permissions(from.path().join("locked"), std::fs::Permissions::from_mode(0o0)).unwrap();
        let left_out = copy(from.path(), open_root(to.path()).unwrap(), &[], ids()).unwrap();
        assert!(to.path().join("a").exists());
        // Root reads everything.
        let expected: &[PathBuf] = if rustix::process::geteuid().is_root() { &[] } else { &[PathBuf::from("locked")] };
        assert_eq!(left_out, expected);
        assert_eq!(said(&[]), None);
        assert!(said(&[PathBuf::from("a"), PathBuf::from("b")]).unwrap().ends_with("a and 1 more"));
    }

    #[test]
    fn many_files_are_copied_whole_whatever_their_size_and_mode() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text = |number: usize| vec![number as u8; [0, 1, 5000, WHOLE_BYTES_MAX, WHOLE_BYTES_MAX + 1][number % 5]];
        for number in 0..3 * PORTION_FILES {
            let folder = from.path().join(format!("d{}", number % 2));
            std::fs::create_dir_all(&folder).unwrap();
            let (path, mode) = (folder.join(number.to_string()), [0o444, 0o664, 0o600, 0o777][number % 4]);
            std::fs::write(&path, text(number)).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        File::open(from.path().join("d1")).unwrap().set_modified(old).unwrap();
        assert!(copy(from.path(), open_root(to.path()).unwrap(), &[], ids()).unwrap().is_empty());
        for number in 0..3 * PORTION_FILES {
            let path = to.path().join(format!("d{}/{number}", number % 2));
            assert!(std::fs::read(&path).unwrap() == text(number), "{number}");
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, [0o444, 0o664, 0o600, 0o777][number % 4], "{number}");
        }
        assert_eq!(to.path().join("d1").metadata().unwrap().modified().unwrap(), old);
    }
}
