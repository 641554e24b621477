//! What every writer of large files needs: room, checksums, durable renames, and errors that say how to mend them.

use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Exit, UserError};
use crate::hex::{absorb, hex};

/// Left free on the disk after a write.
const DISK_RESERVE_BYTES: u64 = 256 << 20;

/// The SHA-256 of a file's content, in lower-case hexadecimal.
///
/// # Errors
/// A file that cannot be read.
pub fn sha256_of(path: &Path) -> anyhow::Result<String> {
    let file = File::open(path).map_err(|p| disk_error(path, &p))?;
    let mut hash = Sha256::new();
    absorb(&mut hash, file).map_err(|p| disk_error(path, &p))?;
    Ok(hex(&hash.finalize()))
}

/// Refuses where the disk has not room for `bytes` more.
///
/// # Errors
/// Too little room, with both numbers.
pub fn check_space(path: &Path, bytes: u64) -> anyhow::Result<()> {
    let folder = path.ancestors().skip(1).find(|p| p.exists()).unwrap_or(Path::new("."));
    let Some(free) = free_bytes(folder) else { return Ok(()) };
    if free < bytes.saturating_add(DISK_RESERVE_BYTES) {
        return Err(UserError::new(
            Exit::Error,
            format!(
                "{} has {} free and {} are needed, with {} to spare",
                folder.display(),
                gigabytes(free),
                gigabytes(bytes),
                gigabytes(DISK_RESERVE_BYTES)
            ),
        )
        .hint("free some room, remove a model with `z1 models rm`, or set Z1_HOME to a folder on another disk")
        .into());
    }
    Ok(())
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    rustix::fs::statvfs(folder).ok().map(|stat| stat.f_bavail * stat.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

/// A size for people.
pub fn gigabytes(bytes: u64) -> String {
    match bytes {
        0..=999_999 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..=999_999_999 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// An IO error on a path, with the mend where there is one.
pub fn disk_error(path: &Path, problem: &std::io::Error) -> anyhow::Error {
    let error = UserError::new(Exit::Error, format!("{}: {problem}", path.display()));
    match problem.kind() {
        std::io::ErrorKind::StorageFull => error.hint("the disk is full; what has arrived is kept"),
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            error.hint("set Z1_HOME to a folder that can be written")
        }
        _ => error,
    }
    .into()
}

/// Makes a rename durable. A file system that cannot sync a folder is no reason to fail.
pub fn sync_parent(path: &Path) {
    if let Some(folder) = path.parent().and_then(|parent| File::open(parent).ok()) {
        let _ = folder.sync_all();
    }
}

/// The name under which a file is collected before it is whole.
pub fn part_path(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    target.with_file_name(name)
}
