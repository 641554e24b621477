//! Which parts of the host's file system a program may read: the system's own programs and libraries, and
//! what the policy names.

use std::path::{Path, PathBuf};

use super::step::{Broken, Built, Named};
use crate::sandbox::policy::WORK_DIR;
use crate::sandbox::private::may_open;
use crate::sandbox::{Policy, Workspace};

/// Folders of programs and libraries. Where one is a link (merged `/usr`), the link itself is kept.
pub(super) const SYSTEM: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32", "/nix/store", "/gnu/store"];

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
    "/etc/magic",
    "/etc/os-release",
    "/etc/debian_version",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/java",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/terminfo",
    "/etc/ant",
    "/etc/maven",
    "/etc/gradle",
    "/etc/groovy",
    "/etc/nodejs",
    "/etc/perl",
    "/etc/R",
    "/etc/texmf",
];

/// Beginnings of names in `/etc` whose folders are configuration of language runtimes, with versions in their names.
const ETC_BEGINNINGS: &[&str] = &["java", "python", "php", "ruby", "lua", "julia", "erlang", "ghc", "ImageMagick"];

/// Everything of `/etc` that is shown: [`ETC`] and the runtimes' folders that there are.
/// `host` is where the host's `/etc` is now.
pub(super) fn etc(host: &Path) -> Vec<PathBuf> {
    let mut shown: Vec<PathBuf> = ETC.iter().map(PathBuf::from).collect();
    let entries = std::fs::read_dir(host).into_iter().flatten().flatten();
    shown.extend(entries.filter_map(|entry| {
        let name = entry.file_name();
        let begins = ETC_BEGINNINGS.iter().any(|beginning| name.to_string_lossy().starts_with(beginning));
        (begins && entry.path().is_dir()).then(|| Path::new("/etc").join(name))
    }));
    shown
}

/// Where programs are looked for when the policy sets no PATH.
pub(super) const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Paths that a policy may not open: granting one of these would take the walls down.
const NEVER: &[&str] = &["/", "/proc", "/sys", "/dev", "/run"];

/// The paths of a policy, with links resolved; all must exist.
///
/// # Errors
/// Names a path that is missing, relative or never to be granted.
pub(super) fn canonical(paths: &[PathBuf], private: &[PathBuf]) -> Built<Vec<PathBuf>> {
    let mut resolved = paths.iter().map(|path| canonical_one(path, private)).collect::<Built<Vec<_>>>()?;
    resolved.sort();
    resolved.dedup();
    Ok(resolved)
}

/// Those of these paths that exist and may be granted.
pub(super) fn canonical_where_possible(paths: &[PathBuf], private: &[PathBuf]) -> Vec<PathBuf> {
    let mut resolved: Vec<PathBuf> = paths.iter().filter_map(|path| canonical_one(path, private).ok()).collect();
    resolved.sort();
    resolved.dedup();
    resolved
}

fn canonical_one(path: &Path, private: &[PathBuf]) -> Built<PathBuf> {
    let step = || format!("readable path {}", path.display());
    if !path.is_absolute() {
        return Err(Broken::new(step(), "the path is not absolute"));
    }
    let resolved = path.canonicalize().step(step())?;
    if NEVER.iter().any(|never| resolved == Path::new(never)) {
        return Err(Broken::new(step(), "this path is never given to a sandbox"));
    }
    if !may_open(&resolved, private) {
        let message = "this path holds the user's home, keys or settings and is never given to a sandbox; name the \
                       folder in it that is needed";
        return Err(Broken::new(step(), message));
    }
    Ok(resolved)
}

/// Links on the way of these paths, and what they say: a view that shows only where a path leads must show them as
/// well, or a program that was told the path does not find it.
pub(super) fn links(paths: &[PathBuf]) -> Vec<(PathBuf, PathBuf)> {
    /// Links followed for one path.
    const LINKS_MAX: usize = 16;
    let mut found = Vec::new();
    for path in paths {
        let mut path = path.clone();
        for _ in 0..LINKS_MAX {
            let mut parents: Vec<&Path> = path.ancestors().collect();
            parents.reverse();
            let Some((at, to)) =
                parents.iter().find_map(|parent| Some((parent.to_path_buf(), std::fs::read_link(parent).ok()?)))
            else {
                break;
            };
            let rest = path.strip_prefix(&at).unwrap_or(Path::new("")).to_owned();
            let led = at.parent().unwrap_or(Path::new("/")).join(&to);
            found.push((at, to));
            path = if rest.as_os_str().is_empty() { led } else { led.join(rest) };
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Where a program finds its work directory in a view of its own: a project at its own path, unless something else of
/// the view must be there.
pub(super) fn seat(policy: &Policy) -> PathBuf {
    const TAKEN: [&str; 8] = ["/tmp/home", "/dev/shm", "/proc", "/sys", "/.z1", "/.old", WORK_DIR, "/etc"];
    let Workspace::Overlay { lower, .. } = &policy.workspace else { return WORK_DIR.into() };
    let Ok(path) = lower.canonicalize() else { return WORK_DIR.into() };
    let covers = |taken: &str| Path::new(taken).starts_with(&path);
    let within = ["/proc", "/sys", "/dev", "/.z1", "/.old", "/etc"].iter().any(|folder| path.starts_with(folder));
    let is_taken = within || TAKEN.iter().copied().chain(SYSTEM.iter().copied()).any(covers);
    if is_taken { WORK_DIR.into() } else { path }
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
            assert!(canonical(&[PathBuf::from(path)], &[]).is_err(), "{path}");
        }
        assert_eq!(canonical(&[PathBuf::from("/usr/")], &[]).unwrap(), [PathBuf::from("/usr")]);
    }

    #[test]
    fn a_home_and_what_holds_keys_are_never_granted() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap().join("u");
        for name in [".local/share/tool/bin", ".ssh/x", "go/bin"] {
            std::fs::create_dir_all(home.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&home, dir.path().join("alias")).unwrap();
        let private = [home.clone(), home.join(".local"), home.join(".local/share"), home.join(".ssh")];
        let granted = |path: PathBuf| canonical(&[path], &private).is_ok();
        for path in ["", ".local", ".local/share", ".ssh", ".ssh/x", "go/.."] {
            assert!(!granted(home.join(path)), "{path}");
        }
        assert!(!granted(dir.path().join("alias")) && !granted(dir.path().to_owned()));
        assert!(granted(home.join("go/bin")) && granted(home.join(".local/share/tool")));
        assert_eq!(canonical_where_possible(&[home.clone(), home.join("go")], &private), [home.join("go")]);
    }

    #[test]
    fn links_on_the_way_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("real/bin")).unwrap();
        std::os::unix::fs::symlink("real", root.join("now")).unwrap();
        assert_eq!(links(&[root.join("now/bin")]), [(root.join("now"), PathBuf::from("real"))]);
        assert_eq!(links(&[root.join("real/bin")]), []);
    }

    #[test]
    fn a_project_is_at_its_own_path_where_nothing_else_must_be_there() {
        use crate::sandbox::Limits;
        let at = |path: &Path| {
            let workspace = Workspace::Overlay { lower: path.to_owned(), extra: Vec::new() };
            seat(&Policy::strict(workspace, Limits::UNIT))
        };
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        assert_eq!(at(&root), root);
        for path in ["/tmp", "/usr", "/", "/dev", "/proc/self", "/no/such"] {
            assert_eq!(at(Path::new(path)), Path::new(WORK_DIR), "{path}");
        }
        assert_eq!(seat(&Policy::strict(Workspace::Files(Vec::new()), Limits::UNIT)), Path::new(WORK_DIR));
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
