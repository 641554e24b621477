//! Is this a project, and is this task one for it?

use std::path::{Path, PathBuf};

use super::words::{Names, named};
use crate::task::Check;
use crate::workspace::tree::Tree;

/// A folder with one of these is a project's root.
const MANIFESTS: [&str; 12] = [
    ".git",
    "Cargo.toml",
    "package.json",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "CMakeLists.txt",
    ".z1",
];

/// The root of the project that `folder` is in: the nearest git root, else the nearest folder with a manifest. The
/// home folder and the file system's root are no projects, whatever lies in them.
pub fn root_of(folder: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let home = home.and_then(|home| home.canonicalize().ok());
    let inside = |above: &&Path| above.parent().is_some() && Some(*above) != home.as_deref();
    let above = || folder.ancestors().take_while(inside);
    let with = |name: &str| above().find(|folder| folder.join(name).exists()).map(Path::to_owned);
    with(".git").or_else(|| above().find(|f| MANIFESTS.iter().any(|name| f.join(name).exists())).map(Path::to_owned))
}

/// Whether a task states its own checks (asserts, examples, sample input and output): then its answer is a program of
/// its own, wherever z1 was started.
pub fn is_standalone(checks: &[Check]) -> bool {
    checks.iter().any(|check| !matches!(check, Check::Command { .. }))
}

/// Whether a task names a file that the project has: then it is about the project.
pub fn names_a_file(prompt: &str, root: &Path) -> bool {
    let Ok(tree) = Tree::open(root) else { return false };
    let listing = tree.listing();
    !named(prompt, &Names::new(&listing.paths)).files.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_root_wins_over_a_manifest_and_home_is_no_project() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("repo/pkg/src");
        std::fs::create_dir_all(&deep).unwrap();
        assert_eq!(root_of(&deep, Some(home.path())), None);
        std::fs::write(home.path().join("package.json"), "{}").unwrap();
        assert_eq!(root_of(&deep, Some(home.path())), None);
        let of = |path: &str| Some(home.path().canonicalize().unwrap().join(path));
        std::fs::write(home.path().join("repo/pkg/pyproject.toml"), "").unwrap();
        assert_eq!(root_of(&deep, Some(home.path())), of("repo/pkg"));
        std::fs::create_dir(home.path().join("repo/.git")).unwrap();
        assert_eq!(root_of(&deep, Some(home.path())), of("repo"));
    }

    #[test]
    fn asserts_make_a_task_stand_alone_and_a_command_does_not() {
        assert!(is_standalone(&[Check::Asserts { source: "assert f()".into(), hidden: false }]));
        assert!(!is_standalone(&[Check::Command { command: "make".into() }]) && !is_standalone(&[]));
    }
}
