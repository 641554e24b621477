//! Which Python a project is run with.

use std::path::{Path, PathBuf};

use crate::verify::setting;

/// The project's own environment, relative to its root, where it has one.
pub(crate) fn environment(root: &Path) -> Option<&'static str> {
    [".venv/bin/python", "venv/bin/python", "env/bin/python"].into_iter().find(|path| root.join(path).exists())
}

/// Whether the Python that would be used has this module installed.
pub(crate) fn has_module(root: &Path, module: &str) -> bool {
    let program = environment(root).map(|path| root.join(path)).or_else(|| setting::real_program("python3"));
    let Some(prefix) = program.as_deref().and_then(|program| program.parent()?.parent().map(Path::to_owned)) else {
        return false;
    };
    site_folders(&prefix)
        .iter()
        .any(|folder| folder.join(module).is_dir() || folder.join(format!("{module}.py")).is_file())
}

fn site_folders(prefix: &Path) -> Vec<PathBuf> {
    let libs = [prefix.join("lib"), prefix.join("local/lib")];
    let versions = libs.iter().filter_map(|lib| std::fs::read_dir(lib).ok()).flatten().flatten();
    versions
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        .flat_map(|entry| [entry.path().join("site-packages"), entry.path().join("dist-packages")])
        .collect()
}
