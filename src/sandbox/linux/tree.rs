//! Directory trees that untrusted code has written to, or may have: listing, filling, removing.
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
pub(super) const ENTRIES_MAX: usize = 1 << 20;
/// A collected file is at most this long, in bytes.
pub(super) const COLLECT_BYTES_MAX: u64 = 48 << 20;

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
