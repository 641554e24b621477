//! Where a project names its own absolute path: in tier L it is not there, since nothing can be shown at a path of its
//! own without a view of its own.
//!
//! Editable installs of Python are helped (their folders are put in `PYTHONPATH`); for the rest the file is named.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// Files looked at, and how large one may be, in bytes.
const FILES_MAX: usize = 4000;
const FILE_BYTES_MAX: u64 = 256 << 10;

/// The folders of the project that its environments find by their absolute path: lines of `.pth` files and the tables of
/// editable installs, in the `site-packages` beside these folders of PATH.
pub(super) fn editable(root: &Path, path: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for library in path.iter().filter_map(|folder| folder.parent()).flat_map(|prefix| entries(&prefix.join("lib"))) {
        for file in entries(&library.join("site-packages")) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let ends = |with: &str| file.extension().is_some_and(|ending| ending == with);
            let is_table = name.starts_with("__editable__") && ends("py");
            if !is_table && !ends("pth") {
                continue;
            }
            let Some(text) = small_text(&file) else { continue };
            found.extend(if is_table { of_table(&text) } else { of_lines(&text) });
        }
    }
    found.retain(|folder| folder.starts_with(root) && folder.is_dir());
    let mut seen = std::collections::HashSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

/// A `.pth` file has a folder a line; lines of code begin with `import`.
fn of_lines(text: &str) -> Vec<PathBuf> {
    text.lines().map(str::trim).filter(|line| line.starts_with('/')).map(PathBuf::from).collect()
}

/// The table of an editable install: `{'package': '/project/src/package'}`.
fn of_table(text: &str) -> Vec<PathBuf> {
    static QUOTED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"'(/[^'\n]+)'|"(/[^"\n]+)""#).expect("invariant: a valid pattern"));
    let paths = QUOTED.captures_iter(text).filter_map(|found| Some(found.get(1).or_else(|| found.get(2))?.as_str()));
    paths.filter_map(|path| Path::new(path).parent().map(Path::to_owned)).collect()
}

/// Puts folders behind what `PYTHONPATH` says already.
pub(super) fn python_path(env: &mut BTreeMap<OsString, OsString>, folders: Vec<PathBuf>) {
    if folders.is_empty() {
        return;
    }
    let before = env.get(std::ffi::OsStr::new("PYTHONPATH")).cloned().unwrap_or_default();
    let known: Vec<PathBuf> = std::env::split_paths(&before).filter(|path| !path.as_os_str().is_empty()).collect();
    if let Ok(joined) = std::env::join_paths(known.into_iter().chain(folders)) {
        env.insert("PYTHONPATH".into(), joined);
    }
}

/// The first file of the project (relative) that holds its absolute path, among those that git does not ignore.
pub(super) fn naming_file(root: &Path) -> Option<PathBuf> {
    let own = root.to_str()?;
    let walk = ignore::WalkBuilder::new(root)
        .hidden(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .sort_by_file_name(Ord::cmp)
        .build();
    let mut files = walk.flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file())).take(FILES_MAX);
    files.find_map(|entry| {
        let text = small_text(entry.path())?;
        text.contains(own).then(|| entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned())
    })
}

fn small_text(file: &Path) -> Option<String> {
    let found = file.metadata().ok()?;
    (found.is_file() && found.len() <= FILE_BYTES_MAX).then(|| std::fs::read_to_string(file).ok()).flatten()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_editable_installs_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let site = root.join("env/lib/python3.11/site-packages");
        std::fs::create_dir_all(&site).unwrap();
        std::fs::create_dir_all(root.join("src/calc")).unwrap();
        std::fs::create_dir_all(root.join("other")).unwrap();
        std::fs::write(site.join("a.pth"), format!("{}/other\n/usr/lib\nimport os\n", root.display())).unwrap();
        let table = format!("MAPPING: dict[str, str] = {{'calc': '{}/src/calc'}}\n", root.display());
        std::fs::write(site.join("__editable___calc_finder.py"), table).unwrap();
        let found = editable(&root, &[root.join("env/bin")]);
        assert_eq!(found, [root.join("src"), root.join("other")]);
        let mut env = BTreeMap::from([("PYTHONPATH".into(), "lib".into())]);
        python_path(&mut env, vec!["/p/src".into()]);
        assert_eq!(env[std::ffi::OsStr::new("PYTHONPATH")], "lib:/p/src");
    }

    #[test]
    fn the_file_that_names_the_project_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::write(root.join("a.txt"), "nothing").unwrap();
        assert_eq!(naming_file(&root), None);
        std::fs::write(root.join("where"), format!("{}/src\n", root.display())).unwrap();
        assert_eq!(naming_file(&root), Some("where".into()));
    }
}
