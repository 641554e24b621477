//! Which files a map looks at: what `.gitignore` leaves, no links, bounded in number and size.

use std::path::Path;

/// Larger files are skipped.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
}

/// The files below `root`, sorted by path; what is left out becomes a note.
pub(super) fn files(root: &Path, files_max: usize, notes: &mut Vec<String>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut large = 0_u32;
    let walk =
        ignore::WalkBuilder::new(root).require_git(false).follow_links(false).sort_by_file_name(Ord::cmp).build();
    for entry in walk.flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file())) {
        let Some(path) = entry.path().strip_prefix(root).ok().and_then(Path::to_str) else { continue };
        if found.len() == files_max {
            notes.push(format!("only the first {files_max} files were looked at"));
            break;
        }
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        if bytes > FILE_BYTES_MAX {
            large += 1;
            continue;
        }
        found.push(Found { path: path.to_owned(), bytes });
    }
    if large > 0 {
        let files = if large == 1 { "1 file".to_owned() } else { format!("{large} files") };
        let were = if large == 1 { "was" } else { "were" };
        notes.push(format!("{files} larger than {} MiB {were} skipped", FILE_BYTES_MAX >> 20));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
