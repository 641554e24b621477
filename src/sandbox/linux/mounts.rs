//! Mounts, one function a kind, for a process that is root of its own mount namespace.
#![expect(unsafe_code, reason = "mount_setattr and pivot_root have no safe wrapper")]

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_change, move_mount,
    open_tree, unmount,
};

const ATTR_RDONLY: u64 = 0x1;
const ATTR_NOSUID: u64 = 0x2;
const ATTR_NODEV: u64 = 0x4;
const ATTR_IDMAP: u64 = 0x0010_0000;

/// What a bound tree may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bind {
    /// Read and execute.
    ReadOnly,
    /// Read and write; for device nodes.
    Device,
}

/// Nothing that is mounted from here on shows elsewhere, nor the other way round.
pub(super) fn make_private() -> io::Result<()> {
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// An empty file system in memory of limited size, with `options` such as `size=…`.
pub(super) fn tmpfs(at: &Path, options: &CStr) -> io::Result<()> {
    Ok(mount("tmpfs", at, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(options))?)
}

/// Terminals of this mount alone.
pub(super) fn terminals(at: &Path) -> io::Result<()> {
    fs::create_dir_all(at)?;
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    Ok(mount("devpts", at, "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, Some(options))?)
}

/// Makes the mount at `new` the root and puts the old one at `old` beneath it.
pub(super) fn pivot(new: &Path, old: &CStr) -> io::Result<()> {
    std::env::set_current_dir(new)?;
    // SAFETY: two C strings.
    if unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), old.as_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    std::env::set_current_dir("/")
}

/// The processes of this pid namespace.
pub(super) fn proc(at: &Path) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("proc", at, "proc", flags, None)?)
}

/// `lower` with a throw-away layer on top. The three paths contain nothing that options would split at.
pub(super) fn overlay(at: &Path, lower: &str, upper: &str, work: &str) -> io::Result<()> {
    let options = std::ffi::CString::new(format!("lowerdir={lower},upperdir={upper},workdir={work},userxattr"))?;
    Ok(mount("overlay", at, "overlay", MountFlags::NOSUID | MountFlags::NODEV, Some(options.as_c_str()))?)
}

/// Shows `source`, with everything mounted below it, at `target`, which is created where it is missing.
pub(super) fn bind(source: &Path, target: &Path, kind: Bind) -> io::Result<()> {
    let tree = detached(source, true)?;
    let attributes = match kind {
        Bind::ReadOnly => ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV,
        Bind::Device => ATTR_NOSUID,
    };
    set_attributes(&tree, attributes, true, None)?;
    make_place(target, fs::metadata(source)?.is_dir())?;
    attach(&tree, target)
}

/// A copy of the mount at `source` that is attached nowhere yet.
pub(super) fn detached(source: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(CWD, source, flags)?)
}

/// Shows the files of a detached mount with other owners, as the map of the user namespace `ids` says.
pub(super) fn map_owners(tree: &OwnedFd, ids: &File) -> io::Result<()> {
    set_attributes(tree, ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV | ATTR_IDMAP, false, Some(ids))
}

pub(super) fn attach(tree: &OwnedFd, at: &Path) -> io::Result<()> {
    Ok(move_mount(tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Takes a mount out of sight; what is open on it stays open.
pub(super) fn detach(at: &Path) -> io::Result<()> {
    Ok(unmount(at, UnmountFlags::DETACH)?)
}

/// Creates what a mount can be put on: a folder or an empty file, with its parents.
fn make_place(target: &Path, folder: bool) -> io::Result<()> {
    if folder {
        return fs::create_dir_all(target);
    }
    if target.symlink_metadata().is_ok() {
        return Ok(());
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    File::create(target).map(drop)
}

fn set_attributes(tree: impl AsFd, set: u64, recursive: bool, ids: Option<&File>) -> io::Result<()> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        userns_fd: u64,
    }
    let userns_fd = ids.map_or(0, |file| file.as_raw_fd() as u64);
    let attr = MountAttr { set, clear: 0, propagation: 0, userns_fd };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the structure is the kernel's `mount_attr` of its first version, whose size is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
