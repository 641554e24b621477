//! Environments of Python: which ones a project is run with, what they need to read, what is installed in them.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::toolbox::Variable;
use crate::sandbox::may_be_granted;

/// The environments for a command in a folder of the project at `root`, the one that is asked first in front: the
/// activated one, the folder's own, the project's own, and those that poetry and pipenv keep elsewhere.
pub(crate) fn environments(root: &Path, folder: &Path, variable: Variable<'_>) -> Vec<PathBuf> {
    let is_one = |folder: &PathBuf| folder.join("bin/python").exists();
    let resolved = |folder: PathBuf| folder.canonicalize().unwrap_or(folder);
    let activated = variable("VIRTUAL_ENV").map(PathBuf::from).filter(|folder| may_be_granted(folder));
    let own = [folder, root].into_iter().flat_map(|place| [".venv", "venv", "env"].map(|name| place.join(name)));
    let home = variable("HOME").map(PathBuf::from);
    let places = [folder, root].into_iter().flat_map(|place| home.iter().map(move |home| (place, home)));
    let elsewhere = places.flat_map(|(place, home)| poetry(place, home).into_iter().chain(pipenv(place, home)));
    let all = activated.map(resolved).into_iter().chain(own).chain(elsewhere);
    let mut found: Vec<PathBuf> = all.filter(is_one).collect();
    let mut seen = std::collections::HashSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

/// Poetry's environments of this project: their names end with a digest of its path.
fn poetry(root: &Path, home: &Path) -> Vec<PathBuf> {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let mark = format!("-{}-py", url_safe(&digest));
    in_folder(&home.join(".cache/pypoetry/virtualenvs"), |folder| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().contains(&mark))
    })
}

/// The first eight characters of base64 in its form for addresses.
fn url_safe(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = bytes.iter().take(6).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    (0..8).rev().map(|at| char::from(LETTERS[(bits >> (6 * at)) as usize & 63])).collect()
}

/// Pipenv's: each holds the path of its project.
fn pipenv(root: &Path, home: &Path) -> Vec<PathBuf> {
    in_folder(&home.join(".local/share/virtualenvs"), |folder| {
        std::fs::read_to_string(folder.join(".project")).is_ok_and(|text| Path::new(text.trim()) == root)
    })
}

fn in_folder(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| wanted(path)).collect();
    found.sort();
    found
}

/// What has to be readable for an environment: itself, and the Python that it was made from. A project's own
/// environment may point anywhere; only what is an installation of Python is granted for it.
pub(crate) fn grants(environment: &Path) -> Vec<PathBuf> {
    /// Links from an environment's interpreter to the real one.
    const LINKS_MAX: usize = 8;
    let mut grants = vec![environment.to_owned()];
    let mut program = environment.join("bin/python");
    for _ in 0..LINKS_MAX {
        let Ok(to) = std::fs::read_link(&program) else { break };
        program = program.parent().unwrap_or(Path::new("/")).join(to);
        let above = program.parent().and_then(Path::parent);
        grants.extend(above.filter(|above| is_python(above)).map(Path::to_owned));
    }
    let text = std::fs::read_to_string(environment.join("pyvenv.cfg")).unwrap_or_default();
    let home = text.lines().find_map(|line| line.split_once('=').filter(|(key, _)| key.trim() == "home"));
    let base = home.and_then(|(_, bin)| Path::new(bin.trim()).parent().map(Path::to_owned));
    grants.extend(base.filter(|base| is_python(base)));
    grants.retain(|path| !["/usr", "/"].iter().any(|system| path == Path::new(system)));
    grants
}

/// Whether a folder is where Python was installed.
fn is_python(prefix: &Path) -> bool {
    libraries(prefix).iter().any(|library| library.join("os.py").is_file())
}

fn libraries(prefix: &Path) -> Vec<PathBuf> {
    let folders = [prefix.join("lib"), prefix.join("lib64"), prefix.join("local/lib")];
    folders
        .iter()
        .flat_map(|folder| {
            in_folder(folder, |path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python3")))
        })
        .collect()
}

/// Whether the Python at this path (an environment's or an installed one) has a module.
pub(crate) fn has_module(program: &Path, module: &str) -> bool {
    let Some(prefix) = program.parent().and_then(Path::parent) else { return false };
    let mut prefixes = vec![prefix.to_owned()];
    let settings = std::fs::read_to_string(prefix.join("pyvenv.cfg"));
    let shares = settings.as_ref().map_or(true, |text| {
        text.lines().any(|line| line.replace(' ', "").eq_ignore_ascii_case("include-system-site-packages=true"))
    });
    if shares {
        prefixes.extend(program.canonicalize().ok().and_then(|real| real.parent()?.parent().map(Path::to_owned)));
        prefixes.extend(std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local")));
        // Debian's packages lie beside the library.
        prefixes.extend(prefix.starts_with("/usr").then(|| PathBuf::from("/usr")));
    }
    let sites = prefixes.iter().flat_map(|prefix| libraries(prefix).into_iter().chain([prefix.join("lib/python3")]));
    sites
        .flat_map(|library| [library.join("site-packages"), library.join("dist-packages")])
        .any(|site| site.join(module).is_dir() || site.join(format!("{module}.py")).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(at: &Path) {
        std::fs::create_dir_all(at.join("bin")).unwrap();
        std::fs::write(at.join("bin/python"), "").unwrap();
    }

    #[test]
    fn the_activated_environment_comes_before_the_project_s_own() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        environment(&root.join("p/.venv"));
        environment(&root.join("other"));
        let found = |activated: Option<PathBuf>| {
            environments(&root.join("p"), &root.join("p"), &|name| {
                (name == "VIRTUAL_ENV").then(|| activated.clone().map(PathBuf::into_os_string)).flatten()
            })
        };
        assert_eq!(found(None), [root.join("p/.venv")]);
        assert_eq!(found(Some(root.join("other"))), [root.join("other"), root.join("p/.venv")]);
        assert_eq!(found(Some(root.join("none"))), [root.join("p/.venv")]);
    }

    #[test]
    fn environments_kept_elsewhere_are_found_by_the_project_s_path() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let root = Path::new("/home/user/shop");
        // As poetry names it: base64 of SHA-256 of the path, for addresses, eight characters.
        let digest = url_safe(&Sha256::digest(b"/home/user/shop"));
        environment(&home.join(format!(".cache/pypoetry/virtualenvs/shop-{digest}-py3.11")));
        environment(&home.join(".cache/pypoetry/virtualenvs/other-AAAAAAAA-py3.11"));
        environment(&home.join(".local/share/virtualenvs/shop-x"));
        std::fs::write(home.join(".local/share/virtualenvs/shop-x/.project"), "/home/user/shop\n").unwrap();
        let found = environments(root, root, &|name| (name == "HOME").then(|| home.clone().into_os_string()));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(url_safe(b"\xff\xff\xff\xff\xff\xff"), "________");
    }

    #[test]
    fn an_environment_may_not_choose_what_else_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("secret/bin")).unwrap();
        std::fs::write(root.join("secret/bin/python3"), "").unwrap();
        std::fs::create_dir_all(root.join("v/bin")).unwrap();
        std::os::unix::fs::symlink(root.join("secret/bin/python3"), root.join("v/bin/python")).unwrap();
        assert_eq!(grants(&root.join("v")), [root.join("v")]);
        std::fs::create_dir_all(root.join("secret/lib/python3.11")).unwrap();
        std::fs::write(root.join("secret/lib/python3.11/os.py"), "").unwrap();
        assert_eq!(grants(&root.join("v")), [root.join("v"), root.join("secret")]);
    }
}
