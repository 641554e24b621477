//! Folders of the user that no policy may open: what stands in them is nobody's business but the user's.
//!
//! The helper has an empty environment, so this is looked up here and travels with each order.

use std::path::PathBuf;

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

/// The folders, links resolved where they exist. Neither they nor anything that contains them may be granted; what lies
/// beneath some of them (a toolchain under `~/.local/share`) may.
pub(crate) fn folders() -> Vec<PathBuf> {
    let dirs = Dirs::find();
    let homes = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let of_homes = homes.iter().flat_map(|home| OF_A_HOME.iter().map(move |name| home.join(name)));
    let mut folders: Vec<PathBuf> = of_homes.chain([dirs.config, dirs.data, dirs.state, dirs.cache]).collect();
    let resolved: Vec<PathBuf> = folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect();
    folders.extend(resolved);
    // `join("")` leaves a slash at the end, which a comparison by components does not see.
    folders.sort();
    folders.dedup();
    folders
}
