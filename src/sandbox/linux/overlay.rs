//! Reading the throw-away layer of an overlay: it is the exact list of what the program changed.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::tree::{self, Mark, Snapshot};
use crate::sandbox::{Change, ChangeKind};

/// Files up to this long are compared with the project's before they are called modified, in bytes.
const COMPARE_BYTES_MAX: u64 = 1 << 20;

/// The changes in the layer `upper` over the project `lower`, other than what stood in the layer `before`; then the
/// files that were opened for writing and say what they said.
pub(super) fn changes(upper: impl AsFd, lower: impl AsFd, before: &Snapshot) -> (Vec<Change>, Vec<PathBuf>) {
    let (upper, lower) = (upper.as_fd(), lower.as_fd());
    let after = tree::scan(upper);
    let (mut changes, mut touched) = (Vec::new(), Vec::new());
    for (path, mark) in after.iter().filter(|(path, mark)| before.get(*path) != Some(mark)) {
        if is_whiteout(mark) {
            changes.extend(beneath(lower, path).into_iter().map(deleted));
        } else if mark.kind == FileType::Directory {
            if replaces_folder(upper, path) {
                let gone = beneath(lower, path).into_iter().filter(|path| !after.contains_key(path));
                changes.extend(gone.map(deleted));
            }
        } else {
            match written(upper, lower, path, mark, before) {
                Some(change) => changes.push(change),
                None => touched.push(path.clone()),
            }
        }
    }
    let forgotten = before.iter().filter(|(path, mark)| mark.kind != FileType::Directory && !after.contains_key(*path));
    changes.extend(forgotten.map(|(path, _)| deleted(path.clone())));
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    (changes, touched)
}

/// Reads a file as the program saw it last: from the layer, else from the project unless deleted.
pub(super) fn read(upper: impl AsFd, lower: impl AsFd, path: &Path) -> Option<Vec<u8>> {
    let (upper, lower) = (upper.as_fd(), lower.as_fd());
    if tree::mark_of(upper, path).is_some() {
        return tree::read_regular(upper, path);
    }
    let covered = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).any(|folder| {
        tree::mark_of(upper, folder)
            .is_some_and(|mark| mark.kind != FileType::Directory || replaces_folder(upper, folder))
    });
    if covered { None } else { tree::read_regular(lower, path) }
}

fn written(upper: impl AsFd, lower: impl AsFd, path: &Path, mark: &Mark, before: &Snapshot) -> Option<Change> {
    let old = tree::mark_of(&lower, path);
    let existed = old.is_some() || before.contains_key(path);
    let kind = match mark.kind {
        FileType::Symlink => ChangeKind::Symlink,
        FileType::RegularFile if existed => ChangeKind::Modified,
        FileType::RegularFile => ChangeKind::Added,
        _ => ChangeKind::Special,
    };
    // Opening for writing copies a file up; what says the same as before is not a change.
    let same_shape = old.is_some_and(|old| (old.kind, old.bytes, old.mode) == (mark.kind, mark.bytes, mark.mode));
    let same = kind == ChangeKind::Modified
        && same_shape
        && mark.bytes <= COMPARE_BYTES_MAX
        && !before.contains_key(path)
        && tree::read_regular(upper, path) == tree::read_regular(lower, path);
    (!same).then(|| Change { path: path.to_owned(), kind, bytes: mark.bytes })
}

/// The overlay's sign that the project's entry of this name is gone.
fn is_whiteout(mark: &Mark) -> bool {
    mark.kind == FileType::CharacterDevice && mark.device == 0
}

/// Whether a folder of the layer hides the project's folder of the same name ("opaque") rather than adding
/// to it.
fn replaces_folder(upper: impl AsFd, path: &Path) -> bool {
    let Ok(folder) = tree::open_dir(upper, path) else { return false };
    let mut value = [0; 1];
    matches!(rustix::fs::fgetxattr(folder, "user.overlay.opaque", &mut value), Ok(1)) && value == *b"y"
}

/// The path itself, or, where it is a folder, every file below it.
fn beneath(lower: impl AsFd, path: &Path) -> Vec<PathBuf> {
    match tree::open_dir(&lower, path) {
        Ok(folder) => tree::scan(folder)
            .into_iter()
            .filter(|(_, mark)| mark.kind != FileType::Directory)
            .map(|(inner, _)| path.join(inner))
            .collect(),
        Err(_) => vec![path.to_owned()],
    }
}

fn deleted(path: PathBuf) -> Change {
    Change { path, kind: ChangeKind::Deleted, bytes: 0 }
}
