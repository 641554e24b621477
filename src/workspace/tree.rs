//! The project on disk: reading and writing below one root, never through a link.
//!
//! Every component is opened relative to its parent's descriptor and links are not followed, so that a link
//! planted between the check and the write changes nothing.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::guard;
use super::plan::{Before, FileState};
use crate::error::{Exit, UserError};
use crate::reply::edits::RefusalKind;

/// Larger files are neither read into a prompt nor edited.
pub const FILE_BYTES_MAX: u64 = 4 << 20;
/// More files than this are not listed.
pub const LISTED_MAX: usize = 100_000;

/// A project's folder, held open.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    folder: OwnedFd,
}

/// The project's files as git sees them: ignored ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Relative, sorted.
    pub paths: Vec<String>,
    /// There are more files than were listed.
    pub cut: bool,
}

/// A path's parent could not be opened.
enum Blocked {
    Missing,
    Link(String),
    Io(Errno),
}

impl Tree {
    /// Opens a project by its root.
    ///
    /// # Errors
    /// Where the root is no folder that can be read.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let unfit = |problem: &dyn std::fmt::Display| {
            UserError::new(Exit::Usage, format!("cannot open the project {}: {problem}", root.display()))
                .hint("name an existing folder with --root")
        };
        let root = root.canonicalize().map_err(|problem| unfit(&problem))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&root, flags, Mode::empty()).map_err(|problem| unfit(&problem))?;
        Ok(Self { root, folder })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files below the root, `.gitignore` respected, hidden ones included, `.git` never.
    pub fn listing(&self) -> Listing {
        let mut listing = Listing::default();
        let walk = ignore::WalkBuilder::new(&self.root)
            .hidden(false)
            .require_git(false)
            .follow_links(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        for entry in walk.flatten() {
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            let Some(path) = entry.path().strip_prefix(&self.root).ok().and_then(Path::to_str) else { continue };
            if listing.paths.len() == LISTED_MAX {
                listing.cut = true;
                break;
            }
            listing.paths.push(path.to_owned());
        }
        listing.paths.sort();
        listing
    }

    /// What stands at each of these paths.
    pub fn before(&self, paths: &[String]) -> Before {
        paths.iter().map(|path| (path.clone(), self.read(path))).collect()
    }

    /// What stands at a path.
    pub fn read(&self, path: &str) -> FileState {
        let unfit = |why: &str| FileState::Unfit(RefusalKind::Unreadable, format!("{path}: {why}"));
        if let Err(why) = guard::check(path) {
            return FileState::Unfit(RefusalKind::Forbidden, why);
        }
        let (parent, name) = match self.parent(path, false) {
            Ok(found) => found,
            Err(Blocked::Missing) => return FileState::Missing,
            Err(Blocked::Link(why)) => return FileState::Unfit(RefusalKind::Forbidden, why),
            Err(Blocked::Io(problem)) => return unfit(&problem.to_string()),
        };
        match kind_of(&parent, name) {
            Ok(None) => return FileState::Missing,
            Ok(Some(FileType::RegularFile)) => {}
            Ok(Some(FileType::Symlink)) => {
                return FileState::Unfit(RefusalKind::Forbidden, format!("{path} is a link; links are not followed"));
            }
            Ok(Some(_)) => return FileState::Unfit(RefusalKind::Forbidden, format!("{path} is not a regular file")),
            Err(problem) => return unfit(&problem.to_string()),
        }
        match read_text(&parent, name) {
            Ok(text) => FileState::Text(text),
            Err(why) => unfit(&why),
        }
    }

    /// Writes a file whole, or deletes it: beside it first, then by renaming. An existing file keeps its mode, owner,
    /// extended attributes and access lists; `mode` sets other permission bits, of a new file as well. Folders are made
    /// as needed.
    ///
    /// # Errors
    /// Where the path may not be written or the disk refuses; the file is then as it was.
    pub fn write(&self, path: &str, content: Option<&str>, mode: Option<u32>) -> anyhow::Result<()> {
        guard::check(path).map_err(|why| UserError::new(Exit::Refused, why))?;
        let opened = self.parent(path, content.is_some()).map_err(|blocked| match blocked {
            Blocked::Missing => UserError::new(Exit::Error, format!("{path} does not exist")),
            Blocked::Link(why) => UserError::new(Exit::Refused, why),
            Blocked::Io(problem) => UserError::new(Exit::Error, format!("cannot write {path}: {problem}"))
                .hint("check the folder's permissions and the free space of the disk"),
        });
        let (parent, name) = opened?;
        let old = match kind_of(&parent, name)? {
            None => None,
            Some(FileType::RegularFile) => Some(rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?),
            Some(_) => return Err(UserError::new(Exit::Refused, format!("{path} is not a regular file")).into()),
        };
        if let Some(content) = content {
            return replace_file(&parent, name, content, old.as_ref(), mode)
                .with_context(|| format!("cannot write {path}"));
        }
        rustix::fs::unlinkat(&parent, name, AtFlags::empty()).with_context(|| format!("cannot delete {path}"))?;
        self.prune_empty_parents(path);
        Ok(())
    }

    /// A file's permission bits; nothing where there is no regular file.
    pub fn mode(&self, path: &str) -> Option<u32> {
        Some(self.stat(path)?.st_mode & 0o7777)
    }

    /// Sets a file's permission bits.
    ///
    /// # Errors
    /// Where there is no such file, or it is another user's.
    pub fn set_mode(&self, path: &str, mode: u32) -> anyhow::Result<()> {
        let failed = || format!("cannot change the mode of {path}");
        let Ok((parent, name)) = self.parent(path, false) else {
            return Err(UserError::new(Exit::Error, format!("{path} does not exist")).into());
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&parent, name, flags, Mode::empty()).with_context(failed)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).with_context(failed)
    }

    /// What a user should know before this file is replaced: that it has other names.
    pub fn remark(&self, path: &str) -> Option<String> {
        let links = self.stat(path)?.st_nlink;
        (links > 1).then(|| {
            format!(
                "{path} has {links} names (hard links); only this one gets the change, the others keep what they have"
            )
        })
    }

    fn stat(&self, path: &str) -> Option<rustix::fs::Stat> {
        let (parent, name) = self.parent(path, false).ok()?;
        let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(stat)
    }

    /// Removes what a program that died left beside a file while it wrote it.
    pub fn sweep(&self, path: &str) {
        let Ok((parent, _)) = self.parent(path, false) else { return };
        let Ok(entries) = rustix::fs::Dir::read_from(&parent) else { return };
        for entry in entries.flatten() {
            let Some(owner) = entry.file_name().to_str().ok().and_then(temporary_owner) else { continue };
            let alive = rustix::process::Pid::from_raw(owner)
                .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(Errno::SRCH));
            if !alive {
                let _ = rustix::fs::unlinkat(&parent, entry.file_name(), AtFlags::empty());
            }
        }
    }

    /// Opens the folder that a path is in, making folders with `create`.
    fn parent<'p>(&self, path: &'p str, create: bool) -> Result<(OwnedFd, &'p str), Blocked> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut current = rustix::io::fcntl_dupfd_cloexec(&self.folder, 0).map_err(Blocked::Io)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
            match kind_of(&current, folder).map_err(Blocked::Io)? {
                Some(FileType::Directory) => {}
                Some(FileType::Symlink) => {
                    return Err(Blocked::Link(format!(
                        "{path} goes through the link {folder}; links are not followed"
                    )));
                }
                Some(_) => return Err(Blocked::Link(format!("{path}: {folder} is not a folder"))),
                None if create => {
                    const NEW_FOLDER: u32 = 0o777;
                    match rustix::fs::mkdirat(&current, folder, Mode::from_raw_mode(NEW_FOLDER)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(problem) => return Err(Blocked::Io(problem)),
                    }
                }
                None => return Err(Blocked::Missing),
            }
            current = rustix::fs::openat(&current, folder, flags, Mode::empty()).map_err(Blocked::Io)?;
        }
        Ok((current, name))
    }

    /// Removes folders that a deletion left empty, as git does; the root stays.
    fn prune_empty_parents(&self, path: &str) {
        let mut folder = path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            let Ok((parent, name)) = self.parent(above, false) else { return };
            if rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).is_err() {
                return;
            }
            folder = above;
        }
    }
}

fn kind_of(parent: &OwnedFd, name: &str) -> Result<Option<FileType>, Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(problem) => Err(problem),
    }
}

fn read_text(parent: &OwnedFd, name: &str) -> Result<String, String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(|problem| problem.to_string())?;
    let mut bytes = Vec::new();
    File::from(file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|problem| problem.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    if bytes.contains(&0) {
        return Err("binary".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
}

/// The process that a temporary file's name speaks of.
fn temporary_owner(name: &str) -> Option<i32> {
    let (process, number) = name.strip_prefix(".z1-")?.strip_suffix(".tmp")?.split_once('-')?;
    number.parse::<u32>().ok()?;
    process.parse().ok()
}

/// Gives the new file the old one's extended attributes, access lists among them.
fn copy_attributes(parent: &OwnedFd, name: &str, to: &File) {
    const ATTRIBUTES_BYTES_MAX: usize = 64 << 10;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(from) = rustix::fs::openat(parent, name, flags, Mode::empty()) else { return };
    let mut names = vec![0_u8; ATTRIBUTES_BYTES_MAX];
    let Ok(length) = rustix::fs::flistxattr(&from, &mut names[..]) else { return };
    let mut value = vec![0_u8; ATTRIBUTES_BYTES_MAX];
    for attribute in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if let Ok(size) = rustix::fs::fgetxattr(&from, attribute, &mut value[..]) {
            // Some belong to the system (`security.*`) and are not for everybody to set.
            let _ = rustix::fs::fsetxattr(to, attribute, &value[..size], rustix::fs::XattrFlags::empty());
        }
    }
}

fn replace_file(
    parent: &OwnedFd,
    name: &str,
    content: &str,
    old: Option<&rustix::fs::Stat>,
    mode: Option<u32>,
) -> anyhow::Result<()> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    const NEW_FILE: u32 = 0o666;
    let temporary = format!(".z1-{}-{}.tmp", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(parent, &temporary, flags, Mode::from_raw_mode(NEW_FILE))?);
    let written = (|| -> anyhow::Result<()> {
        file.write_all(content.as_bytes())?;
        if let Some(old) = old {
            let owner = (rustix::fs::Uid::from_raw(old.st_uid), rustix::fs::Gid::from_raw(old.st_gid));
            // Only root may give files away; for everybody else the owner is right already.
            let _ = rustix::fs::fchown(&file, Some(owner.0), Some(owner.1));
            copy_attributes(parent, name, &file);
            rustix::fs::fchmod(&file, Mode::from_raw_mode(old.st_mode & 0o7777))?;
        }
        if let Some(mode) = mode {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        file.sync_all()?;
        rustix::fs::renameat(parent, &temporary, parent, name)?;
        Ok(())
    })();
    if written.is_err() {
        let _ = rustix::fs::unlinkat(parent, &temporary, AtFlags::empty());
    }
    written?;
    // The rename itself reaches the disk with the folder.
    let _ = rustix::fs::fsync(parent);
    Ok(())
}
