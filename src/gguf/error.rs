//! What is wrong with a file that was meant to be a GGUF.
//!
//! Not for: deciding whether a good file can be used (wrong architecture, too large): its user does that.

use std::path::PathBuf;

use crate::error::{Exit, UserError};

/// A file that cannot be read or written as GGUF. Each variant says what it is instead; [`GgufError::hint`]
/// says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    #[error("{}: {reason}", path.display())]
    Io { path: PathBuf, reason: String, missing: bool },
    /// The file is something else; `what` names it.
    #[error("{}: not a GGUF file but {what}", path.display())]
    NotGguf { path: PathBuf, what: &'static str, hint: &'static str },
    #[error("{}: GGUF version {version} is not supported (2 and 3 are)", path.display())]
    Version { path: PathBuf, version: u32 },
    #[error("{}: the header is damaged at byte {at}: {what}", path.display())]
    Damaged { path: PathBuf, at: u64, what: String },
    /// A model in several files whose parts are not together.
    #[error("{}: {what}", path.display())]
    Parts { path: PathBuf, what: String },
    #[error("{}: truncated, the file has {have_bytes} bytes and its header speaks of {need_bytes}", path.display())]
    Truncated { path: PathBuf, have_bytes: u64, need_bytes: u64 },
}

impl GgufError {
    pub(super) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let reason = if missing { "there is no such file".to_owned() } else { error.to_string() };
        Self::Io { path: path.to_owned(), reason, missing }
    }

    /// The file that it is about.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Io { path, .. }
            | Self::NotGguf { path, .. }
            | Self::Version { path, .. }
            | Self::Damaged { path, .. }
            | Self::Parts { path, .. }
            | Self::Truncated { path, .. } => path,
        }
    }

    /// What the user can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Io { missing: true, .. } => "check the path; `z1 models list` shows the models that are there",
            Self::Io { .. } => "check that the file can be read, and that the disk is not full",
            Self::NotGguf { hint, .. } => hint,
            Self::Version { .. } => "convert the model again with a current converter",
            Self::Damaged { .. } => "download or convert the file again; compare its checksum with the source's",
            Self::Parts { .. } => {
                "all parts lie in one folder under the names that they were published with; fetch those that are missing"
            }
            Self::Truncated { .. } => "the download or copy was cut short: fetch the file again",
        }
    }
}

impl From<GgufError> for UserError {
    fn from(error: GgufError) -> Self {
        let hint = error.hint();
        Self::new(Exit::NoModel, error.to_string()).hint(hint)
    }
}

/// What a file is that does not begin with the magic, from its first bytes.
pub(super) fn recognise(start: &[u8]) -> (&'static str, &'static str) {
    let text = String::from_utf8_lossy(start).trim_start().to_ascii_lowercase();
    let fetch_again = "fetch the file itself, not the page about it";
    if start.is_empty() {
        ("an empty file", "fetch the file again")
    } else if text.starts_with("version https://git-lfs") {
        ("a Git LFS pointer", "fetch the real file: git lfs pull")
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") || text.starts_with("<?xml") {
        ("a web page", fetch_again)
    } else if start.starts_with(b"PK\x03\x04") {
        ("a zip archive (PyTorch weights?)", "convert it first: z1 models import")
    } else if start.len() > 9 && start[8] == b'{' && start[4..8] == [0; 4] {
        ("a safetensors file", "convert it first: z1 models import")
    } else if start.starts_with(&[0x1F, 0x8B]) || start.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        ("a compressed file", "decompress it first (gunzip, unzstd)")
    } else if matches!(start.get(..4), Some(b"lmgg" | b"tjgg" | b"fmgg" | b"algg")) {
        ("a model in a format older than GGUF", "fetch or convert a current GGUF of the same model")
    } else if text.starts_with('{') || text.starts_with('[') {
        ("a JSON text", fetch_again)
    } else {
        ("something unknown", "give the path of a .gguf file")
    }
}
