//! Prompt states on disk: the cache of a prompt's first turn (the system prompt), so that a cold start need not
//! decode it again.
//!
//! A state belongs to one model file, one adapter, one cache type, one version of z1 and exactly these tokens; all of
//! it is in the file's name. Beside each lies its checksum: a damaged file is thrown away and never reaches llama.cpp.
//! The folder may be deleted at any time.
//!
//! Not for: whole sessions (`Engine::save_session`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::{EngineError, TokenId};
use crate::hex::hex;

/// What all states together may take; the ones used longest ago go first.
const FOLDER_BYTES_MAX: u64 = 1 << 30;
/// Shorter prefixes are decoded faster than they are worth a file.
const PREFIX_TOKENS_MIN: usize = 32;
/// Of states. The checksum has the same name with `sum`.
const EXTENSION: &str = "state";

/// The states of one loaded model.
#[derive(Debug)]
pub(super) struct States {
    folder: PathBuf,
    /// The model's fingerprint; begins every file's name.
    owner: String,
    /// Everything else that a state depends on.
    context: String,
}

impl States {
    pub(super) fn new(folder: PathBuf, owner: &str, context: String) -> Self {
        Self { folder, owner: owner.to_owned(), context }
    }

    fn path(&self, tokens: &[TokenId]) -> PathBuf {
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        hash.update([0]);
        hash.update(&self.context);
        hash.update([0]);
        for token in tokens {
            hash.update(token.to_le_bytes());
        }
        self.folder.join(format!("{}-{}.{EXTENSION}", self.owner, hex(&hash.finalize()[..12])))
    }

    /// The whole and undamaged state of exactly these tokens.
    pub(super) fn find(&self, tokens: &[TokenId]) -> Option<PathBuf> {
        let path = self.path(tokens);
        if !path.is_file() {
            return None;
        }
        let expected = fs::read_to_string(path.with_extension("sum")).unwrap_or_default();
        if checksum(&path).is_ok_and(|found| found == expected) {
            // Its age decides what goes first; where it cannot be set, a younger one may go.
            let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
            return Some(path);
        }
        tracing::warn!(path = %path.display(), "a saved prompt state is damaged and thrown away");
        forget(&path);
        None
    }

    /// Whether there is a file for these tokens, sound or not.
    pub(super) fn has(&self, tokens: &[TokenId]) -> bool {
        self.path(tokens).is_file()
    }

    /// Stores the state that `write` writes. A state that cannot be stored only costs time later.
    pub(super) fn store(&self, tokens: &[TokenId], write: impl FnOnce(&Path) -> Result<u64, EngineError>) {
        let path = self.path(tokens);
        let part = path.with_extension(format!("part{}", std::process::id()));
        let stored = fs::create_dir_all(&self.folder).map_err(|error| error.to_string()).and_then(|()| {
            write(&part).map_err(|error| error.to_string())?;
            let sum = checksum(&part).map_err(|error| error.to_string())?;
            // The checksum first: a state without one counts as damaged.
            fs::write(path.with_extension("sum"), sum).map_err(|error| error.to_string())?;
            fs::rename(&part, &path).map_err(|error| error.to_string())
        });
        if let Err(reason) = stored {
            tracing::warn!(path = %path.display(), reason, "a prompt state cannot be saved");
            let _ = fs::remove_file(&part);
        }
        trim(&self.folder, FOLDER_BYTES_MAX);
    }
}

/// How many of a prompt's tokens are its first turn: up to where the token that opens it comes again.
pub(super) fn first_turn(tokens: &[TokenId]) -> Option<usize> {
    let opening = tokens.first()?;
    let length = tokens.iter().skip(1).position(|token| token == opening)? + 1;
    (length >= PREFIX_TOKENS_MIN).then_some(length)
}

/// Removes a state.
pub(super) fn forget(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_file(path.with_extension("sum"));
}

/// Removes the states of the model with this fingerprint; the bytes that were freed.
pub fn remove_states(folder: &Path, fingerprint: &str) -> u64 {
    let own = states(folder).into_iter().filter(|(path, ..)| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(fingerprint)) && !fingerprint.is_empty()
    });
    own.map(|(path, bytes, _)| {
        forget(&path);
        bytes
    })
    .sum()
}

/// Paths, sizes and times of the states in a folder.
fn states(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let state = |entry: fs::DirEntry| {
        let path = entry.path();
        let about = entry.metadata().ok()?;
        let is_state = path.extension().is_some_and(|extension| extension == EXTENSION);
        is_state.then_some((path, about.len(), about.modified().unwrap_or(SystemTime::UNIX_EPOCH)))
    };
    entries.flatten().filter_map(state).collect()
}

fn trim(folder: &Path, bytes_max: u64) {
    let mut found = states(folder);
    found.sort_by_key(|(_, _, used)| *used);
    let mut total: u64 = found.iter().map(|(_, bytes, _)| bytes).sum();
    for (path, bytes, _) in found {
        if total <= bytes_max {
            break;
        }
        forget(&path);
        total -= bytes;
    }
}

fn checksum(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hash)?;
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "stands in for a write that can fail")]
    fn write(path: &Path) -> Result<u64, EngineError> {
        fs::write(path, vec![7; 100]).expect("written");
        Ok(100)
    }

    #[test]
    fn a_state_is_found_again_by_exactly_what_it_was_made_for() {
        let folder = tempfile::tempdir().unwrap();
        let states = |owner: &str, context: &str| States::new(folder.path().join("s"), owner, context.to_owned());
        let mine = states("aa", "f16");
        assert!(mine.find(&[1, 2]).is_none());
        mine.store(&[1, 2], write);
        assert!(mine.find(&[1, 2]).is_some() && mine.has(&[1, 2]));
        assert!(mine.find(&[1, 3]).is_none() && states("bb", "f16").find(&[1, 2]).is_none());
        assert!(states("aa", "q8_0").find(&[1, 2]).is_none());
        assert_eq!(remove_states(&folder.path().join("s"), "bb"), 0);
        assert_eq!(remove_states(&folder.path().join("s"), "aa"), 100);
        assert_eq!(fs::read_dir(folder.path().join("s")).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_state_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let states = States::new(folder.path().to_owned(), "aa", String::new());
        for damage in [&[7_u8; 99][..], &[8; 100], b""] {
            states.store(&[1], write);
            fs::write(states.path(&[1]), damage).unwrap();
            assert!(states.find(&[1]).is_none() && !states.has(&[1]));
        }
        states.store(&[1], |_| Err(EngineError::Gone));
        assert!(!states.has(&[1]));
    }

    #[test]
    fn the_folder_stays_small_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let states = States::new(folder.path().to_owned(), "aa", String::new());
        for (token, age_s) in [(1, 30), (2, 10), (3, 20)] {
            states.store(&[token], write);
            let then = SystemTime::now() - std::time::Duration::from_secs(age_s);
            fs::File::options().write(true).open(states.path(&[token])).unwrap().set_modified(then).unwrap();
        }
        trim(folder.path(), 250);
        assert_eq!([1, 2, 3].map(|token| states.has(&[token])), [false, true, true]);
    }

    #[test]
    fn the_first_turn_ends_where_the_next_begins() {
        let turn: Vec<TokenId> = std::iter::once(9).chain(100..140).collect();
        let two = [turn.clone(), vec![9, 1]].concat();
        assert_eq!(first_turn(&two), Some(41));
        assert_eq!((first_turn(&turn), first_turn(&[9, 1, 9]), first_turn(&[])), (None, None, None));
    }
}
