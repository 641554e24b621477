//! Folders of the user that no policy may open: what stands in them is nobody's business but the user's.
//!
//! The helper has an empty environment, so this is looked up here and travels with each order.

use std::path::{Path, PathBuf};

use crate::dirs::Dirs;

/// Folders of a home that hold accounts, keys, histories and settings of everything.
const OF_A_HOME: [&str; 16] = [
    "",
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".config",
    ".local",
    ".local/share",
    ".local/state",
    ".local/share/keyrings",
    ".mozilla",
    ".thunderbird",
    ".password-store",
    ".cache",
];

/// Folders beneath these are not granted either: nothing in them is a tool.
const SECRET: [&str; 8] = [".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", "keyrings", ".password-store"];

/// The folders, links resolved where they exist. Neither they nor anything that contains them may be granted; what lies
/// beneath some of them (a toolchain under `~/.local/share`) may.
pub(crate) fn folders() -> Vec<PathBuf> {
    let dirs = Dirs::find();
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let of_home = home.iter().flat_map(|home| OF_A_HOME.iter().map(move |name| home.join(name)));
    let mut folders: Vec<PathBuf> = of_home.chain([dirs.config, dirs.data, dirs.state, dirs.cache]).collect();
    let resolved: Vec<PathBuf> = folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
    folders.extend(resolved);
    folders.sort();
    folders.dedup();
    folders
}

/// Whether a path (links resolved) is no private folder, holds none and is not beneath keys.
pub(crate) fn may_open(resolved: &Path, private: &[PathBuf]) -> bool {
    !private.iter().any(|private| private.starts_with(resolved))
        && !resolved.components().any(|part| SECRET.iter().any(|name| part.as_os_str() == *name))
}

/// Whether the user that programs run as can get to this folder: anywhere that this user can, but root's programs run
/// as somebody who owns nothing.
pub fn can_be_reached(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let open =
        |folder: &Path| folder.metadata().is_ok_and(|found| !found.is_dir() || found.permissions().mode() & 0o001 != 0);
    let real = folder.canonicalize();
    !rustix::process::geteuid().is_root() || real.is_ok_and(|real| real.ancestors().all(open))
}

/// Whether this folder or file could be made readable to a program at all.
pub fn may_be_granted(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|resolved| may_open(&resolved, &folders()))
}
