//! Whether a project can be the lower layer of an overlay, or has to be copied.
//!
//! In a user namespace with one id, writing to a lower file of another user or group fails (EOVERFLOW when
//! it is copied up). A project with such files is copied instead, and the trial says so.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a finding is believed.
const AGE_MAX: Duration = Duration::from_secs(60);
/// Files looked at; a project that has more is judged by these.
const FILES_MAX: usize = 200_000;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) copy_because: Option<String>,
    when: Instant,
}

impl Finding {
    pub(crate) fn is_fresh(&self) -> bool {
        self.when.elapsed() < AGE_MAX
    }
}

/// Looks through the project.
pub(crate) fn examine(root: &Path) -> Finding {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    // Root maps every id and lends the program the project through an id-mapped mount.
    let foreign = if uid == 0 { None } else { find_foreign(root, uid, gid) };
    let copy_because = foreign.map(|path| format!("{path} belongs to another user or group"));
    Finding { copy_because, when: Instant::now() }
}

fn find_foreign(root: &Path, uid: u32, gid: u32) -> Option<String> {
    let foreign = |metadata: &fs::Metadata| metadata.uid() != uid || metadata.gid() != gid;
    if fs::metadata(root).is_ok_and(|metadata| foreign(&metadata)) {
        return Some(root.display().to_string());
    }
    let mut next = vec![root.to_owned()];
    let mut seen = 0;
    while let Some(folder) = next.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if foreign(&metadata) {
                let path = entry.path();
                return Some(path.strip_prefix(root).unwrap_or(&path).display().to_string());
            }
            if metadata.is_dir() {
                next.push(entry.path());
            }
            seen += 1;
            if seen >= FILES_MAX {
                return None;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_group_is_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/f"), "").unwrap();
        let metadata = fs::metadata(dir.path().join("a/f")).unwrap();
        assert_eq!(find_foreign(dir.path(), metadata.uid(), metadata.gid()), None);
        assert!(find_foreign(dir.path(), metadata.uid(), metadata.gid() + 1).is_some());
    }
}
