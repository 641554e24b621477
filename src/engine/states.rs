//! Prompt states on disk: the cache of a prompt's first turn (the system prompt) and of whole conversations, so that a cold
//! start need not decode them again.
//!
//! A state belongs to one model file, one adapter, one cache type and one version of z1, which are in the file's name. Beside
//! each lie its tokens, so that the longest beginning of a prompt is found, and its checksum: a damaged file is thrown away
//! and never reaches llama.cpp. The folder may be deleted at any time.
//!
//! Not for: files that the caller names (`Engine::save_session`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::session::common_prefix;
use super::{EngineError, TokenId};
use crate::hex::{absorb, hex};

/// What all states together may take; the ones used longest ago go first.
const FOLDER_BYTES_MAX: u64 = 1 << 30;
/// Shorter prefixes are decoded faster than they are worth a file.
const PREFIX_TOKENS_MIN: usize = 32;
/// Conversations shorter than this are not kept.
const SESSION_TOKENS_MIN: usize = 512;
/// A conversation that ends in so few tokens of its own is the one that goes on beyond it.
const OWN_END_TOKENS_MAX: usize = 64;
/// A state is loaded whole; it must bring at least this part of its tokens.
const USED_PART_MIN: usize = 4;
/// Nothing is written for so long.
const PART_AGE_MAX: Duration = Duration::from_secs(3600);
/// Of states. The checksum has the same name with `sum`, the tokens with `tokens`.
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

    /// What the names of all states begin with that this model can use.
    fn own(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        hash.update([0]);
        hash.update(&self.context);
        format!("{}-{}-", self.owner, hex(&hash.finalize()[..4]))
    }

    fn path(&self, tokens: &[TokenId]) -> PathBuf {
        let hash = Sha256::digest(bytes_of(tokens));
        self.folder.join(format!("{}{}.{EXTENSION}", self.own(), hex(&hash[..12])))
    }

    /// The states that this model can use, with their tokens.
    fn entries(&self) -> Vec<(PathBuf, Vec<TokenId>)> {
        let own = self.own();
        let mine = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&own));
        let paths = states(&self.folder).into_iter().map(|(path, ..)| path).filter(mine);
        let read = |path: PathBuf| {
            let bytes = fs::read(path.with_extension("tokens")).ok()?;
            Some((path, tokens_of(&bytes)))
        };
        paths.filter_map(read).collect()
    }

    /// The whole and undamaged state that has most of these tokens from the first on, and how many: more than the `known`
    /// ones by what is worth a file, and none of more than `tokens_max`.
    pub(super) fn longest(&self, tokens: &[TokenId], known: usize, tokens_max: usize) -> Option<(PathBuf, usize)> {
        if tokens.len() < known + PREFIX_TOKENS_MIN {
            return None;
        }
        let mut found: Vec<(usize, PathBuf)> = Vec::new();
        for (path, own) in self.entries() {
            let shared = common_prefix(&own, tokens);
            let brings = shared.saturating_sub(known);
            if own.len() <= tokens_max && brings >= PREFIX_TOKENS_MIN && brings * USED_PART_MIN >= own.len() {
                found.push((shared, path));
            }
        }
        found.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
        found.into_iter().find_map(|(shared, path)| is_sound(&path).then_some((path, shared)))
    }

    /// Whether there is a file for these tokens, sound or not.
    pub(super) fn has(&self, tokens: &[TokenId]) -> bool {
        self.path(tokens).is_file()
    }

    /// Whether a conversation is worth a file: long enough, and not there already. `paid` says that it took long to read; one
    /// that began on the disk did once.
    pub(super) fn wants(&self, tokens: &[TokenId], paid: bool) -> bool {
        if tokens.len() < SESSION_TOKENS_MIN {
            return false;
        }
        let entries = self.entries();
        let shared = |own: &[TokenId]| common_prefix(own, tokens);
        let there = entries.iter().any(|(_, own)| shared(own) + OWN_END_TOKENS_MAX >= tokens.len());
        !there && (paid || entries.iter().any(|(_, own)| shared(own) >= SESSION_TOKENS_MIN))
    }

    /// Stores the state that `write` writes, in place of the conversations that it goes on from. A state that cannot be stored
    /// only costs time later.
    pub(super) fn store(&self, tokens: &[TokenId], write: impl FnOnce(&Path) -> Result<u64, EngineError>) {
        let path = self.path(tokens);
        let part = path.with_extension(format!("part{}", std::process::id()));
        let before = self.entries();
        let stored = private_folder(&self.folder).map_err(|error| error.to_string()).and_then(|()| {
            write(&part).map_err(|error| error.to_string())?;
            let sum = checksum(&part).map_err(|error| error.to_string())?;
            // What describes it first: a state without a checksum counts as damaged, and one without tokens is never found.
            fs::write(path.with_extension("sum"), sum).map_err(|error| error.to_string())?;
            fs::write(path.with_extension("tokens"), bytes_of(tokens)).map_err(|error| error.to_string())?;
            fs::rename(&part, &path).map_err(|error| error.to_string())
        });
        if stored.is_ok() {
            let goes_on = |own: &[TokenId]| common_prefix(own, tokens) + OWN_END_TOKENS_MAX >= own.len();
            for (earlier, own) in before {
                if own.len() >= SESSION_TOKENS_MIN && goes_on(&own) && earlier != path {
                    forget(&earlier);
                }
            }
        }
        if let Err(reason) = stored {
            tracing::warn!(path = %path.display(), reason, "a prompt state cannot be saved");
            let _ = fs::remove_file(&part);
            if !path.is_file() {
                forget(&path);
            }
        }
        trim(&self.folder, FOLDER_BYTES_MAX);
    }
}

/// Makes a folder that nobody else can look into: states hold what was said.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

fn bytes_of(tokens: &[TokenId]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.to_le_bytes()).collect()
}

fn tokens_of(bytes: &[u8]) -> Vec<TokenId> {
    bytes
        .chunks_exact(size_of::<TokenId>())
        .filter_map(|four| Some(TokenId::from_le_bytes(four.try_into().ok()?)))
        .collect()
}

/// How many of a prompt's tokens are its first turn: up to where the token that opens it comes again.
pub(super) fn first_turn(tokens: &[TokenId]) -> Option<usize> {
    let opening = tokens.first()?;
    let length = tokens.iter().skip(1).position(|token| token == opening)? + 1;
    (length >= PREFIX_TOKENS_MIN).then_some(length)
}

/// Whether a state is what was written; one that is not goes.
fn is_sound(path: &Path) -> bool {
    let expected = fs::read_to_string(path.with_extension("sum")).unwrap_or_default();
    if checksum(path).is_ok_and(|found| found == expected) {
        // Its age decides what goes first; where it cannot be set, a younger one may go.
        let _ = fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
        return true;
    }
    tracing::warn!(path = %path.display(), "a saved prompt state is damaged and thrown away");
    forget(path);
    false
}

/// Removes a state.
pub(super) fn forget(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_file(path.with_extension("sum"));
    let _ = fs::remove_file(path.with_extension("tokens"));
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
    // What a run that was killed had begun.
    let old = |entry: &fs::DirEntry| {
        let age = entry.metadata().ok()?.modified().ok()?.elapsed().ok()?;
        let part = entry.path().extension()?.to_string_lossy().starts_with("part");
        Some(part && age > PART_AGE_MAX)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| old(entry) == Some(true)) {
        let _ = fs::remove_file(entry.path());
    }
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
    absorb(&mut hash, fs::File::open(path)?)?;
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

    fn said(length: u32) -> Vec<TokenId> {
        (0..length as TokenId).collect()
    }

    #[test]
    fn a_state_is_found_again_by_what_it_was_made_for() {
        let folder = tempfile::tempdir().unwrap();
        let states = |owner: &str, context: &str| States::new(folder.path().join("s"), owner, context.to_owned());
        let (mine, turn) = (states("aa", "f16"), said(40));
        let find =
            |states: &States, tokens: &[TokenId], known| states.longest(tokens, known, 1000).map(|(_, shared)| shared);
        assert_eq!(find(&mine, &turn, 0), None);
        mine.store(&turn, write);
        assert!(mine.has(&turn));
        assert_eq!(find(&mine, &said(50), 0), Some(40));
        // It brings too little, it is too long for the context, it is another's.
        assert_eq!((find(&mine, &said(50), 9), find(&mine, &[1, 2, 3], 0)), (None, None));
        assert_eq!(mine.longest(&said(50), 0, 39), None);
        assert_eq!((find(&states("bb", "f16"), &turn, 0), find(&states("aa", "q8_0"), &turn, 0)), (None, None));
        assert_eq!(remove_states(&folder.path().join("s"), "bb"), 0);
        assert_eq!(remove_states(&folder.path().join("s"), "aa"), 100);
        assert_eq!(fs::read_dir(folder.path().join("s")).unwrap().count(), 0);
    }

    #[test]
    fn a_conversation_is_kept_once_and_in_place_of_what_it_goes_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let states = States::new(folder.path().to_owned(), "aa", String::new());
        states.store(&said(40), write);
        assert!(!states.wants(&said(500), true), "too short");
        assert!(states.wants(&said(600), true) && !states.wants(&said(600), false));
        states.store(&said(600), write);
        assert!(!states.wants(&said(600), true) && !states.wants(&said(650), true), "it is there");
        assert!(states.wants(&said(900), false), "it began on the disk");
        states.store(&[said(580), vec![7; 400]].concat(), write);
        assert!(!states.has(&said(600)) && states.has(&said(40)));
        assert_eq!(states.longest(&said(700), 0, 4096).map(|(_, shared)| shared), Some(580));
    }

    #[test]
    fn a_damaged_state_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let states = States::new(folder.path().to_owned(), "aa", String::new());
        let turn = said(40);
        for damage in [&[7_u8; 99][..], &[8; 100], b""] {
            states.store(&turn, write);
            fs::write(states.path(&turn), damage).unwrap();
            assert!(states.longest(&turn, 0, 100).is_none() && !states.has(&turn));
        }
        states.store(&turn, |_| Err(EngineError::Gone));
        assert!(!states.has(&turn));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_folder_stays_small_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let states = States::new(folder.path().to_owned(), "aa", String::new());
        for (token, age_s) in [(1, 30), (2, 10), (3, 20)] {
            states.store(&[token], write);
            let then = SystemTime::now() - Duration::from_secs(age_s);
            fs::File::options().write(true).open(states.path(&[token])).unwrap().set_modified(then).unwrap();
        }
        for (name, age_s) in [("x.part1", 4000), ("y.part2", 10)] {
            let then = SystemTime::now() - Duration::from_secs(age_s);
            fs::File::create(folder.path().join(name)).unwrap().set_modified(then).unwrap();
        }
        trim(folder.path(), 250);
        assert_eq!(["x.part1", "y.part2"].map(|name| folder.path().join(name).exists()), [false, true]);
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
