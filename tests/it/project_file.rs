//! `.project` files: a small project and changes of it in one text. Lines `key: value` first, then files (`--- path`) and
//! the files of changes (`+++ change path`).

use std::path::{Path, PathBuf};

/// A file of the project, or of a change.
pub(crate) struct Part {
    /// The change; empty for the project's own files.
    pub(crate) change: String,
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What a `.project` file holds, in its order.
#[derive(Default)]
pub(crate) struct ProjectFile {
    pub(crate) name: String,
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) parts: Vec<Part>,
}

fn read(path: &Path) -> ProjectFile {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut file = ProjectFile { name, ..ProjectFile::default() };
    for line in text.lines() {
        let change = line.strip_prefix("+++ ").and_then(|rest| rest.split_once(' '));
        if let Some((change, path)) = line.strip_prefix("--- ").map(|path| ("", path)).or(change) {
            file.parts.push(Part { change: change.to_owned(), path: path.to_owned(), text: String::new() });
        } else if let Some(part) = file.parts.last_mut() {
            part.text.push_str(line);
            part.text.push('\n');
        } else if let Some((key, value)) = line.split_once(": ") {
            file.keys.push((key.to_owned(), value.to_owned()));
        }
    }
    file
}

/// The `.project` files of a folder under `tests/data`, by name.
pub(crate) fn all(folder: &str) -> Vec<ProjectFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "project"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}
