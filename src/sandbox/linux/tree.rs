//! Directory trees that untrusted code has written to, or may have: listing, filling, copying, removing.
//!
//! Every path is opened beneath a directory descriptor with symlinks refused, so that nothing that a
//! program leaves behind can lead the supervisor outside.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::ids::Ids;
use super::step::{Broken, Built, Named};
use crate::sandbox::{Change, ChangeKind};

/// Entries that are listed at most; a program cannot make the list of its changes arbitrarily long.
const ENTRIES_MAX: usize = 1 << 20;
/// A collected file is at most this long, in bytes.
pub(super) const COLLECT_BYTES_MAX: u64 = 16 << 20;
/// A project that has to be copied is at most this large, in bytes.
pub(super) const COPY_BYTES_MAX: u64 = 4 << 30;

/// What tells two states of a file apart. A program can forge the modification time, not the change time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) kind: FileType,
    pub(super) bytes: u64,
    pub(super) mode: u32,
    pub(super) device: u64,
    inode: u64,
    changed: (i64, u64),
}

pub(super) type Snapshot = BTreeMap<PathBuf, Mark>;

/// Opens `path` beneath `root`, following nothing. Never blocks on a FIFO.
pub(super) fn open_beneath(root: impl AsFd, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // With O_PATH, openat2 refuses flags that have no meaning.
    let cautious = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK | OFlags::NOCTTY };
    rustix::fs::openat2(root, path, flags | cautious | OFlags::CLOEXEC, mode, resolve)
}

/// Opens a directory beneath `root` for reading.
pub(super) fn open_dir(root: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    open_beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// Opens a directory by its absolute path.
pub(super) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(File::open(path)?.into())
}

/// The entries of a directory, `.` and `..` left out.
pub(super) fn entries(dir: impl AsFd) -> rustix::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(PathBuf::from(OsStr::from_bytes(name)));
        }
    }
    Ok(names)
}

fn mark(stat: &Stat) -> Mark {
    Mark {
        kind: FileType::from_raw_mode(stat.st_mode),
        bytes: stat.st_size as u64,
        mode: stat.st_mode & 0o7777,
        device: stat.st_rdev,
        inode: stat.st_ino,
        changed: (stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// The mark of one entry beneath `root`, links not followed.
pub(super) fn mark_of(root: impl AsFd, path: &Path) -> Option<Mark> {
    let entry = open_beneath(root, path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    Some(mark(&rustix::fs::fstat(entry).ok()?))
}

/// Lists a tree, directories included. What is too deep to be named by one path is left out; its topmost
/// directories are there.
pub(super) fn scan(root: impl AsFd) -> Snapshot {
    let root = root.as_fd();
    let mut found = Snapshot::new();
    let mut next = vec![PathBuf::new()];
    while let Some(folder) = next.pop() {
        let Ok(dir) = open_readable_dir(root, &folder) else { continue };
        for name in entries(&dir).unwrap_or_default() {
            let Ok(stat) = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let path = folder.join(&name);
            let mark = mark(&stat);
            if mark.kind == FileType::Directory {
                next.push(path.clone());
            }
            found.insert(path, mark);
            if found.len() >= ENTRIES_MAX {
                return found;
            }
        }
    }
    found
}

/// A program may have taken its own right to read a directory away; give it back.
fn open_readable_dir(root: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let root = root.as_fd();
    match open_dir(root, path) {
        Err(Errno::ACCESS) if !path.as_os_str().is_empty() => open_writable_dir(root, path),
        other => other,
    }
}

/// What changed between two listings of one tree. Directories count only by what is in them.
pub(super) fn diff(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let written = after.iter().filter_map(|(path, mark)| {
        let kind = match (before.get(path), mark.kind) {
            (Some(old), _) if old == mark => return None,
            (_, FileType::Directory) => return None,
            (_, FileType::Symlink) => ChangeKind::Symlink,
            (Some(_), FileType::RegularFile) => ChangeKind::Modified,
            (None, FileType::RegularFile) => ChangeKind::Added,
            _ => ChangeKind::Special,
        };
        Some(Change { path: path.clone(), kind, bytes: mark.bytes })
    });
    let deleted = before
        .iter()
        .filter(|(path, mark)| mark.kind != FileType::Directory && !after.contains_key(*path))
        .map(|(path, _)| Change { path: path.clone(), kind: ChangeKind::Deleted, bytes: 0 });
    let mut changes: Vec<Change> = written.chain(deleted).collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    changes
}

/// Bytes and entries that a tree occupies.
pub(super) fn usage(snapshot: &Snapshot) -> (u64, u64) {
    let regular = snapshot.values().filter(|mark| mark.kind == FileType::RegularFile);
    (regular.map(|mark| mark.bytes).sum(), snapshot.len() as u64)
}

/// Reads a file beneath `root`: regular, not through links, not too large; else `None`.
pub(super) fn read_regular(root: impl AsFd, path: &Path) -> Option<Vec<u8>> {
    let file = open_beneath(root, path, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_size as u64 > COLLECT_BYTES_MAX {
        return None;
    }
    let mut content = Vec::new();
    File::from(file).take(COLLECT_BYTES_MAX).read_to_end(&mut content).ok()?;
    Some(content)
}

/// Writes files beneath `root`, creating their folders and replacing what is there.
///
/// # Errors
/// Names the file where its path leaves `root` or leads through a link.
pub(super) fn place(root: impl AsFd, files: &[(PathBuf, Vec<u8>, bool)], ids: Ids) -> Built {
    let root = root.as_fd();
    for (path, content, executable) in files {
        let step = || format!("place {}", path.display());
        let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !plain || path.file_name().is_none() {
            return Err(Broken::new(step(), "the path is not inside the work directory"));
        }
        make_folders(root, path, ids).step(step())?;
        let mode = Mode::from_bits_truncate(if *executable { 0o755 } else { 0o644 });
        // A link of that name would be an error; what is replaced may be one.
        let _ = rustix::fs::unlinkat(root, path, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = File::from(open_beneath(root, path, flags, mode).step(step())?);
        file.write_all(content).step(step())?;
        rustix::fs::fchmod(&file, mode).step(step())?;
        own(&file, ids).step(step())?;
    }
    Ok(())
}

fn make_folders(root: impl AsFd, path: &Path, ids: Ids) -> rustix::io::Result<()> {
    let root = root.as_fd();
    let mut folders: Vec<&Path> = path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()).collect();
    folders.reverse();
    for folder in folders {
        match open_dir(root, folder) {
            Ok(_) => {}
            Err(Errno::NOENT) => {
                let parent = open_dir(root, folder.parent().unwrap_or(Path::new("")))?;
                let name = folder.file_name().ok_or(Errno::INVAL)?;
                rustix::fs::mkdirat(&parent, name, Mode::from_bits_truncate(0o755))?;
                own(open_dir(root, folder)?, ids)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives a file or folder to the user that the program will run as.
pub(super) fn own(file: impl AsFd, ids: Ids) -> rustix::io::Result<()> {
    if !ids.dropped {
        return Ok(());
    }
    let (uid, gid) = (rustix::fs::Uid::from_raw(ids.uid), rustix::fs::Gid::from_raw(ids.gid));
    rustix::fs::fchown(file, Some(uid), Some(gid))
}

/// Copies a project: folders, regular files and links with their modes and times; devices, sockets and FIFOs left out,
/// and everything in `hide` (relative). Returns what could not be read and was left out for that.
pub(super) fn copy(from: &Path, to: impl AsFd, hide: &[PathBuf], ids: Ids) -> Built<Vec<PathBuf>> {
    let source = open_root(from).step(format!("open {}", from.display()))?;
    let mut copying = Copying { from, ids, hide, left_out: Vec::new(), entries: 0, bytes: 0 };
    let to = rustix::io::dup(to).step("open the work directory")?;
    copying.folder(&source, &to, Path::new(""))?;
    Ok(copying.left_out)
}

/// What of a project is not in its copy, in a sentence; none where everything is.
pub(super) fn said(left_out: &[PathBuf]) -> Option<String> {
    let first = left_out.first()?;
    let more = if left_out.len() > 1 { format!(" and {} more", left_out.len() - 1) } else { String::new() };
    Some(format!("not readable and left out: {}{more}", first.display()))
}

/// A copy under way.
struct Copying<'a> {
    /// The project, without links.
    from: &'a Path,
    ids: Ids,
    hide: &'a [PathBuf],
    left_out: Vec<PathBuf>,
    entries: usize,
    bytes: u64,
}

/// Folders within one another that are copied; a project that is deeper is cut there.
const COPY_DEPTH_MAX: usize = 200;

impl Copying<'_> {
    fn folder(&mut self, from: &OwnedFd, to: &OwnedFd, path: &Path) -> Built {
        let step = |name: &Path| format!("copy {}", path.join(name).display());
        for name in entries(from).step(step(Path::new("")))? {
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
            match self.entry(from, to, &name, &inner, &stat) {
                Ok(()) => {}
                Err(Errno::ACCESS | Errno::PERM | Errno::NOENT | Errno::LOOP) => self.left_out.push(inner),
                Err(error) => return Err(Broken::new(step(&name), error)),
            }
        }
        Ok(())
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &Path, path: &Path, stat: &Stat) -> rustix::io::Result<()> {
        let mode = Mode::from_bits_truncate(stat.st_mode & 0o777);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let look = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let source = rustix::fs::openat(from, name, look, Mode::empty())?;
                rustix::fs::mkdirat(to, name, mode | Mode::RWXU)?;
                let target = rustix::fs::openat(to, name, look, Mode::empty())?;
                own(&target, self.ids)?;
                if path.components().count() < COPY_DEPTH_MAX {
                    // What is wrong deeper down has been said where it is.
                    self.folder(&source, &target, path).map_err(|_| Errno::IO)?;
                } else {
                    self.left_out.push(path.to_owned());
                }
                times(&target, stat)
            }
            FileType::RegularFile => self.file(from, to, name, stat, mode),
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(from, name, Vec::new())?;
                match self.out_of_the_project(path, Path::new(OsStr::from_bytes(link.as_bytes()))) {
                    Some(place) => rustix::fs::symlinkat(place, to, name),
                    None => rustix::fs::symlinkat(link, to, name),
                }
            }
            _ => Ok(()),
        }
    }

    /// Where a relative link leads that leaves the project: from the copy's place it would lead elsewhere.
    fn out_of_the_project(&self, path: &Path, link: &Path) -> Option<PathBuf> {
        let leaves = link.is_relative() && link.components().next() == Some(std::path::Component::ParentDir);
        let place = leaves.then(|| self.from.join(path.parent()?).join(link).canonicalize().ok())??;
        (!place.starts_with(self.from)).then_some(place)
    }

    fn file(&mut self, from: &OwnedFd, to: &OwnedFd, name: &Path, stat: &Stat, mode: Mode) -> rustix::io::Result<()> {
        let look = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source = rustix::fs::openat(from, name, look, Mode::empty())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?;
        self.bytes += stat.st_size as u64;
        // The same blocks where the file system can share them, else the bytes.
        if stat.st_size > 0 && rustix::fs::ioctl_ficlone(&target, &source).is_err() {
            let (mut source, mut target) = (File::from(source), File::from(rustix::io::dup(&target)?));
            io::copy(&mut source, &mut target).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        }
        rustix::fs::fchmod(&target, mode)?;
        own(&target, self.ids)?;
        times(&target, stat)
    }
}

/// Tools tell by the times what they need not make again.
fn times(file: &OwnedFd, stat: &Stat) -> rustix::io::Result<()> {
    let time = |seconds, nanoseconds| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    let (last_access, last_modification) =
        (time(stat.st_atime, stat.st_atime_nsec), time(stat.st_mtime, stat.st_mtime_nsec));
    rustix::fs::futimens(file, &rustix::fs::Timestamps { last_access, last_modification })
}

/// Removes a tree of any depth and any permissions: subfolders that are not empty are moved to the top
/// first, so that no path and no stack grows with the depth. Returns whether it is gone.
pub(super) fn remove(path: &Path) -> bool {
    let Ok(top) = open_root(path) else { return !path.exists() };
    let mut moved = 0_u64;
    // Each round either empties a folder or moves its subfolders up; the number of folders bounds it.
    for _ in 0..ENTRIES_MAX {
        let folders = unlink_files(&top);
        if folders.is_empty() {
            break;
        }
        for folder in folders {
            lift_subfolders(top.as_fd(), &folder, &mut moved);
        }
    }
    rustix::fs::rmdir(path).is_ok()
}

/// Unlinks what is not a folder; returns the folders.
fn unlink_files(dir: impl AsFd) -> Vec<PathBuf> {
    let dir = dir.as_fd();
    entries(dir)
        .unwrap_or_default()
        .into_iter()
        .filter(|name| {
            rustix::fs::unlinkat(dir, name, AtFlags::empty()).is_err()
                && rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR).is_err()
        })
        .collect()
}

fn lift_subfolders(top: impl AsFd, folder: &Path, moved: &mut u64) {
    let top = top.as_fd();
    let Ok(dir) = open_writable_dir(top, folder) else { return };
    for inner in unlink_files(&dir) {
        // A folder must be writable itself to get another parent.
        let _ = open_writable_dir(&dir, &inner);
        *moved += 1;
        let _ = rustix::fs::renameat(&dir, &inner, top, format!(".z1-lifted-{moved}"));
    }
    let _ = rustix::fs::unlinkat(top, folder, AtFlags::REMOVEDIR);
}

fn open_writable_dir(root: impl AsFd, path: &Path) -> rustix::io::Result<OwnedFd> {
    let root = root.as_fd();
    // This open proves that the path is a folder and no link; its writers are dead, so it stays one.
    open_beneath(root, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    rustix::fs::chmodat(root, path, Mode::RWXU, AtFlags::empty())?;
    open_dir(root, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn ids() -> Ids {
        Ids { uid: 0, gid: 0, dropped: false }
    }

    fn kinds(changes: &[Change]) -> Vec<(&str, ChangeKind)> {
        changes.iter().map(|change| (change.path.to_str().unwrap(), change.kind)).collect()
    }

    #[test]
    fn changes_are_listed_by_what_happened() {
        let dir = tempfile::tempdir().unwrap();
        let root = open_root(dir.path()).unwrap();
        let file = |name: &str, text: &str| (PathBuf::from(name), text.as_bytes().to_vec(), false);
        place(&root, &[file("a/keep", "1"), file("a/edit", "1"), file("gone", "1")], ids()).unwrap();
        let before = scan(&root);
        std::fs::write(dir.path().join("a/edit"), "22").unwrap();
        std::fs::write(dir.path().join("new"), "").unwrap();
        std::fs::remove_file(dir.path().join("gone")).unwrap();
        symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let changes = diff(&before, &scan(&root));
        assert_eq!(
            kinds(&changes),
            [
                ("a/edit", ChangeKind::Modified),
                ("gone", ChangeKind::Deleted),
                ("link", ChangeKind::Symlink),
                ("new", ChangeKind::Added)
            ]
        );
    }

    #[test]
    fn files_are_not_placed_outside_or_through_links() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("link")).unwrap();
        let root = open_root(dir.path()).unwrap();
        for path in ["../x", "/x", "a/../../x", "link/x", ""] {
            let broken = place(&root, &[(PathBuf::from(path), vec![], false)], ids()).unwrap_err();
            assert!(broken.step.starts_with("place"), "{path}: {broken:?}");
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn results_are_regular_files_only() {
        let dir = tempfile::tempdir().unwrap();
        let root = open_root(dir.path()).unwrap();
        symlink("/etc/passwd", dir.path().join("link")).unwrap();
        std::fs::write(dir.path().join("real"), "ok").unwrap();
        rustix::fs::mknodat(&root, "fifo", FileType::Fifo, Mode::RWXU, 0).unwrap();
        File::create(dir.path().join("huge")).unwrap().set_len(COLLECT_BYTES_MAX + 1).unwrap();
        for name in ["link", "fifo", "huge", ".", "missing", "../x"] {
            assert_eq!(read_regular(&root, Path::new(name)), None, "{name}");
        }
        assert_eq!(read_regular(&root, Path::new("real")).as_deref(), Some(&b"ok"[..]));
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
    fn deep_and_locked_trees_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("r");
        std::fs::create_dir(&root).unwrap();
        let mut here = open_root(&root).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            here = open_dir(&here, Path::new("d")).unwrap();
        }
        std::fs::create_dir_all(root.join("locked/in")).unwrap();
        std::fs::set_permissions(root.join("locked"), std::fs::Permissions::from_mode(0o0)).unwrap();
        assert!(remove(&root));
        assert!(!root.exists());
    }
}
