//! Where models live on the disk, and what is known about each file.
//!
//! `MODELS/NAME/` holds `model.gguf` (or points to a file elsewhere) and `manifest.json`. A manifest is written
//! last, so a folder without one is an unfinished pull and never offered as a model.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::{disk_error, sync_parent};
use crate::error::{Exit, UserError};

/// The newest manifest that this version writes; older ones are read, newer ones refused.
const MANIFEST_VERSION: u32 = 1;

/// What is known about an installed model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub name: String,
    /// Absolute, or relative to the manifest's folder.
    pub file: PathBuf,
    pub bytes: u64,
    pub sha256: Option<String>,
    pub quant: String,
    pub licence: String,
    /// `owner/name@commit`, or the path it was imported from.
    pub source: String,
    /// The registry's name of what it was made of, whatever it is called here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_as: Option<String>,
}

/// The folder of installed models.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store under a data folder. Nothing is created until something is written.
    pub fn new(data_dir: &Path) -> Self {
        Self { root: data_dir.join("models") }
    }

    /// The folder of all models.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that holds everything about one model.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The user's own registry file.
    pub fn registry_file(&self) -> PathBuf {
        self.root.join("models.toml")
    }

    /// Every installed model, by name.
    ///
    /// # Errors
    /// A store that cannot be read. A broken manifest, or a file that is gone, is reported in the second list, not fatal.
    pub fn list(&self) -> anyhow::Result<(Vec<Manifest>, Vec<String>)> {
        let mut found = Vec::new();
        let mut broken = Vec::new();
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Ok((found, broken)),
            Err(problem) => return Err(disk_error(&self.root, &problem)),
        };
        for entry in entries {
            let folder = entry.map_err(|p| disk_error(&self.root, &p))?.path();
            if !folder.is_dir() {
                continue;
            }
            match read_manifest(&folder) {
                Ok(Some(manifest)) => match whole(&folder, &manifest) {
                    Ok(_) => found.push(manifest),
                    Err(problem) => broken.push(problem.message),
                },
                Ok(None) => broken.push(format!("{}: unfinished (no manifest)", folder.display())),
                Err(problem) => broken.push(format!("{problem:#}")),
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        broken.sort();
        Ok((found, broken))
    }

    /// The installed model of this name and the path of its file.
    ///
    /// # Errors
    /// Not installed, or its file is gone.
    pub fn get(&self, name: &str) -> anyhow::Result<(Manifest, PathBuf)> {
        check_name(name)?;
        let folder = self.folder(name);
        let manifest = read_manifest(&folder)?.ok_or_else(|| {
            UserError::new(Exit::NoModel, format!("model {name:?} is not installed"))
                .hint("`z1 models list` shows what is there and what can be pulled")
        })?;
        let path = whole(&folder, &manifest)?;
        Ok((manifest, path))
    }

    /// Writes the manifest: from now on the model is installed.
    ///
    /// # Errors
    /// The disk's.
    pub fn install(&self, manifest: &Manifest) -> anyhow::Result<()> {
        check_name(&manifest.name)?;
        let folder = self.folder(&manifest.name);
        fs::create_dir_all(&folder).map_err(|p| disk_error(&folder, &p))?;
        let text = serde_json::to_string_pretty(manifest)?;
        write_whole(&folder.join("manifest.json"), text.as_bytes())
    }

    /// Removes a model: its own file, its manifest, and what an unfinished pull left. A file that was added
    /// from elsewhere stays where it is. Returns the bytes freed.
    ///
    /// # Errors
    /// Not there, or the disk's.
    pub fn remove(&self, name: &str) -> anyhow::Result<u64> {
        check_name(name)?;
        let folder = self.folder(name);
        if !folder.is_dir() {
            return Err(UserError::new(Exit::NoModel, format!("model {name:?} is not installed")).into());
        }
        let bytes = folder_bytes(&folder);
        fs::remove_dir_all(&folder).map_err(|p| disk_error(&folder, &p))?;
        if self.default_name()?.as_deref() == Some(name) {
            self.clear_default()?;
        }
        Ok(bytes)
    }

    /// From now on the embedded model is used where none is named.
    ///
    /// # Errors
    /// The disk's.
    pub fn clear_default(&self) -> anyhow::Result<()> {
        let file = self.root.join("default");
        match fs::remove_file(&file) {
            Err(problem) if problem.kind() != std::io::ErrorKind::NotFound => Err(disk_error(&file, &problem)),
            _ => Ok(()),
        }
    }

    /// The model that is used where none is named.
    ///
    /// # Errors
    /// The disk's.
    pub fn default_name(&self) -> anyhow::Result<Option<String>> {
        let file = self.root.join("default");
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(problem) => Err(disk_error(&file, &problem)),
        }
    }

    /// Makes a model the one that is used where none is named.
    ///
    /// # Errors
    /// Not installed, or the disk's.
    pub fn set_default(&self, name: &str) -> anyhow::Result<()> {
        self.get(name)?;
        write_whole(&self.root.join("default"), format!("{name}\n").as_bytes())
    }
}

/// Names become folders: keep them to letters, digits, `.`, `_` and `-`.
///
/// # Errors
/// Anything else.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if !plain || name.is_empty() || name.starts_with('.') || name.len() > 100 {
        return Err(UserError::usage(format!("{name:?} cannot be a model's name"))
            .hint("use letters, digits, '.', '_' and '-'")
            .into());
    }
    Ok(())
}

fn read_manifest(folder: &Path) -> anyhow::Result<Option<Manifest>> {
    let file = folder.join("manifest.json");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(problem) => return Err(disk_error(&file, &problem)),
    };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|p| {
        UserError::new(Exit::NoModel, format!("{} is broken: {p}", file.display())).hint("remove it with z1 models rm")
    })?;
    if manifest.version > MANIFEST_VERSION {
        return Err(UserError::new(Exit::NoModel, format!("{} was written by a newer z1", file.display())).into());
    }
    Ok(Some(manifest))
}

/// The path of a model's file.
///
/// # Errors
/// It is gone.
fn whole(folder: &Path, manifest: &Manifest) -> Result<PathBuf, UserError> {
    let path = folder.join(&manifest.file);
    if path.is_file() {
        return Ok(path);
    }
    let name = &manifest.name;
    Err(UserError::new(Exit::NoModel, format!("the file of model {name:?} is gone: {}", path.display()))
        .hint(format!("z1 models rm {name}, then pull or add it again")))
}

/// Writes beside, syncs, renames: a reader sees the old file or the new one, never half of one.
///
/// # Errors
/// The disk's.
pub fn write_whole(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|p| disk_error(folder, &p))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|p| disk_error(folder, &p))?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(|p| disk_error(path, &p))?;
    file.persist(path).map_err(|p| disk_error(path, &p.error))?;
    sync_parent(path);
    Ok(())
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str) -> Manifest {
        Manifest {
            version: MANIFEST_VERSION,
            name: name.into(),
            file: "model.gguf".into(),
            bytes: 3,
            sha256: None,
            quant: "Q8_0".into(),
            licence: "MIT".into(),
            source: "test".into(),
            known_as: None,
        }
    }

    #[test]
    fn a_model_is_installed_listed_used_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        assert!(store.list().unwrap().0.is_empty());
        store.install(&manifest("a")).unwrap();
        assert_eq!(crate::error::exit_of(&store.get("a").unwrap_err()), Exit::NoModel, "its file is missing");
        let (found, broken) = store.list().unwrap();
        assert!(found.is_empty() && broken[0].contains("is gone"), "{broken:?}");
        std::fs::write(store.folder("a").join("model.gguf"), "abc").unwrap();
        store.set_default("a").unwrap();
        assert_eq!(store.default_name().unwrap().as_deref(), Some("a"));
        assert_eq!(store.list().unwrap().0, vec![manifest("a")]);
        assert!(store.remove("a").unwrap() > 3);
        assert_eq!(store.default_name().unwrap(), None);
    }

    #[test]
    fn an_unfinished_pull_is_not_a_model() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        std::fs::create_dir_all(store.folder("half")).unwrap();
        let (found, broken) = store.list().unwrap();
        assert!(found.is_empty());
        assert_eq!(broken.len(), 1);
    }

    #[test]
    fn names_cannot_leave_the_store() {
        for name in ["", "..", ".hidden", "a/b", "a\\b", "ä", "a\0"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("qwen2.5-coder-7b").is_ok());
    }
}
