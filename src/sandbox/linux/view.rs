//! Which parts of the host's file system a program may read: the system's own programs and libraries, and
//! what the policy names.

use std::path::{Path, PathBuf};

use super::step::{Broken, Built, Named};

/// Folders of programs and libraries. Where one is a link (merged `/usr`), the link itself is kept.
pub(super) const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"];

/// Devices without state or secrets.
pub(super) const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Files of `/etc` that toolchains read: the loader's cache, time zone, alternatives and run-time
/// configuration. No accounts, no hosts, no keys.
pub(super) const ETC: &[&str] = &[
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/mime.types",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs",
    "/etc/java-11-openjdk",
    "/etc/java-17-openjdk",
    "/etc/java-21-openjdk",
    "/etc/java-25-openjdk",
    "/etc/java",
    "/etc/python3",
];

/// Where programs are looked for when the policy sets no PATH.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Paths that a policy may not open: granting one of these would take the walls down.
const NEVER: &[&str] = &["/", "/proc", "/sys", "/dev", "/run"];

/// The paths of a policy, with links resolved; all must exist.
///
/// # Errors
/// Names a path that is missing, relative or never to be granted.
pub(super) fn canonical(paths: &[PathBuf], what: &str) -> Built<Vec<PathBuf>> {
    let mut resolved = paths.iter().map(|path| canonical_one(path, what)).collect::<Built<Vec<_>>>()?;
    resolved.sort();
    resolved.dedup();
    Ok(resolved)
}

fn canonical_one(path: &Path, what: &str) -> Built<PathBuf> {
    let step = || format!("{what} path {}", path.display());
    if !path.is_absolute() {
        return Err(Broken::new(step(), "the path is not absolute"));
    }
    let resolved = path.canonicalize().step(step())?;
    if what != "hidden" && NEVER.iter().any(|never| resolved == Path::new(never)) {
        return Err(Broken::new(step(), "this path is never given to a sandbox"));
    }
    Ok(resolved)
}

/// That a user who owns nothing can reach this path: as root, programs run as such a user.
///
/// # Errors
/// Names the folder that is in the way, and what would help.
pub(super) fn open_to_everybody(path: &Path) -> Built {
    use std::os::unix::fs::PermissionsExt;
    let closed = path
        .ancestors()
        .find(|folder| folder.metadata().is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o001 == 0));
    closed.map_or(Ok(()), |folder| {
        let message = format!(
            "only its owner can enter {0}, and in this tier root's programs run as another user; `chmod o+x {0}`, tools \
             outside that folder, or running z1 as an ordinary user would help",
            folder.display()
        );
        Err(Broken::new(format!("readable path {}", path.display()), message))
    })
}

/// The project's folder, with links resolved.
///
/// # Errors
/// Where it is none.
pub(super) fn project(lower: &Path) -> Built<PathBuf> {
    let step = || format!("open {}", lower.display());
    let path = lower.canonicalize().step(step())?;
    if !path.is_dir() || path == Path::new("/") {
        return Err(Broken::new(step(), "it is not a project folder"));
    }
    Ok(path)
}

/// Hidden paths: links resolved where they exist, as they are where they do not (nothing to hide).
pub(super) fn hidden(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().filter_map(|path| path.canonicalize().ok()).collect()
}

/// The grants that are left of `roots` when everything in `hide` is denied, where rules can only allow:
/// a root with something hidden beneath it is replaced by its entries, as deep as necessary.
pub(super) fn without_hidden(roots: &[PathBuf], hide: &[PathBuf]) -> Vec<PathBuf> {
    let mut granted = Vec::new();
    let mut next: Vec<PathBuf> = roots.to_vec();
    while let Some(path) = next.pop() {
        if hide.iter().any(|hidden| path.starts_with(hidden)) {
            continue;
        }
        if !hide.iter().any(|hidden| hidden.starts_with(&path)) {
            granted.push(path);
            continue;
        }
        let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
        // An entry that is a link is judged by where it leads.
        next.extend(entries.filter_map(|entry| entry.path().canonicalize().ok()));
    }
    granted.sort();
    granted.dedup();
    granted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_would_open_everything_are_refused() {
        for path in ["/", "/proc", "/dev/../", "usr", "/does/not/exist", "/usr/../proc/"] {
            assert!(canonical(&[PathBuf::from(path)], "readable").is_err(), "{path}");
        }
        assert_eq!(canonical(&[PathBuf::from("/usr/")], "readable").unwrap(), [PathBuf::from("/usr")]);
    }

    #[test]
    fn deny_beats_allow() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["a/x", "a/secret/k", "b"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("a/secret"), root.join("alias")).unwrap();
        let granted = without_hidden(std::slice::from_ref(&root), &[root.join("a/secret")]);
        assert_eq!(granted, [root.join("a/x"), root.join("b")]);
        assert!(without_hidden(std::slice::from_ref(&root), std::slice::from_ref(&root)).is_empty());
    }
}
