//! Tokenised sequences in memory, and their binary file.
//!
//! Read from that file (`.seq`) or from JSON lines `{"ids": [..], "learn": [..]}`.
//!
//! Not for: turning conversations into tokens (`sft::sample`, `sft::tokenizer`).

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::error::{Exit, UserError};
use crate::sft::data::json::BYTE_ORDER_MARK;
use crate::sft::tensor_file::replace_file;
use crate::sft::tokenizer::Tokenizer;
use crate::sft::{PackedRow, Sequence, sample};

/// First bytes of the binary file: a name and a version.
const MAGIC: &[u8; 8] = b"z1seq\x00\x00\x01";
/// Set in a stored token where the loss is taken on it.
const LEARN: u32 = 1 << 31;
/// A first line longer than this, in bytes, is taken for words.
const FIRST_LINE_MAX: u64 = 1 << 24;
/// Bad rows that are named; more are only counted.
const NAMED_MAX: usize = 5;

/// Many sequences, flat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Token ids, the highest bit set where learnt.
    tokens: Vec<u32>,
    /// Start of each sequence, and the number of tokens at the end.
    starts: Vec<u64>,
}

impl Default for Dataset {
    fn default() -> Self {
        Self { tokens: Vec::new(), starts: vec![0] }
    }
}

/// What was left out and why, one sentence a cause.
pub type Notes = Vec<String>;

impl Dataset {
    pub fn push(&mut self, sequence: &Sequence) {
        let mark = |(&id, &learn): (&u32, &bool)| if learn { id | LEARN } else { id };
        self.tokens.extend(sequence.ids.iter().zip(&sequence.learn).map(mark));
        self.starts.push(self.tokens.len() as u64);
    }

    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn tokens(&self) -> u64 {
        self.tokens.len() as u64
    }

    pub fn lengths(&self) -> Vec<u32> {
        self.starts.windows(2).map(|ends| (ends[1] - ends[0]) as u32).collect()
    }

    /// Tokens that the loss is taken on.
    pub fn learnt_tokens(&self) -> u64 {
        let learnt = |ends: &[u64]| {
            let inside = &self.tokens[ends[0] as usize..ends[1] as usize];
            inside.iter().skip(1).filter(|&&token| token & LEARN != 0).count() as u64
        };
        self.starts.windows(2).map(learnt).sum()
    }

    /// One sequence.
    pub fn sequence(&self, index: usize) -> Sequence {
        let inside = &self.tokens[self.starts[index] as usize..self.starts[index + 1] as usize];
        Sequence {
            ids: inside.iter().map(|token| token & !LEARN).collect(),
            learn: inside.iter().map(|token| token & LEARN != 0).collect(),
        }
    }

    /// The sequences of one row.
    pub fn row(&self, indices: &[u32]) -> PackedRow {
        PackedRow { sequences: indices.iter().map(|&index| self.sequence(index as usize)).collect() }
    }

    /// A fingerprint of the content.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for start in &self.starts {
            hash.update(start.to_le_bytes());
        }
        for token in &self.tokens {
            hash.update(token.to_le_bytes());
        }
        crate::hex::hex(&hash.finalize()[..8])
    }

    /// Leaves out what cannot be trained on: sequences longer than `tokens_max`, without a learnt token, or
    /// with an id outside the vocabulary (that is an error: the tokenizer is not the model's).
    ///
    /// # Errors
    /// Where an id is outside the vocabulary, or nothing is left.
    pub fn fit(self, tokens_max: usize, vocab_size: usize) -> anyhow::Result<(Self, Notes)> {
        let (mut kept, mut long, mut idle) = (Self::default(), 0u64, 0u64);
        let before = self.len();
        for index in 0..before {
            let sequence = self.sequence(index);
            if let Some(id) = sequence.ids.iter().find(|&&id| id as usize >= vocab_size) {
                let what = format!("token id {id} in the data is outside the model's vocabulary of {vocab_size}");
                let hint = "the data was tokenised with another tokenizer than the model's";
                return Err(UserError::new(Exit::Error, what).hint(hint).into());
            }
            match (sequence.len() > tokens_max, sequence.learnt_tokens()) {
                (true, _) => long += 1,
                (false, 0) => idle += 1,
                (false, _) => kept.push(&sequence),
            }
        }
        let mut notes = Notes::new();
        if long > 0 {
            notes.push(format!("left out {long} of {before} sequences longer than {tokens_max} tokens"));
        }
        if idle > 0 {
            notes.push(format!("left out {idle} of {before} sequences with nothing to learn"));
        }
        if kept.is_empty() {
            let what = format!("no sequence is left to train on ({})", notes.join("; "));
            return Err(UserError::new(Exit::Error, what)
                .hint("look at the data with `z1 sft data FILE --tokenizer FILE --preview`")
                .into());
        }
        Ok((kept, notes))
    }

    /// Appends another set.
    pub fn extend(&mut self, other: &Self) {
        let offset = self.tokens.len() as u64;
        self.tokens.extend(&other.tokens);
        self.starts.extend(other.starts.iter().skip(1).map(|start| start + offset));
    }

    /// Writes the binary file: magic, number of sequences, starts, tokens; all little-endian.
    ///
    /// # Errors
    /// Where it cannot be written; an older file stays.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let bytes = 16 + 8 * self.starts.len() + 4 * self.tokens.len();
        replace_file(path, bytes as u64, |file| {
            file.write_all(MAGIC)?;
            file.write_all(&(self.len() as u64).to_le_bytes())?;
            self.starts.iter().try_for_each(|start| file.write_all(&start.to_le_bytes()))?;
            self.tokens.iter().try_for_each(|token| file.write_all(&token.to_le_bytes()))
        })
    }

    /// Reads a `.seq` file or JSON lines of sequences.
    ///
    /// # Errors
    /// Where the file is missing, cut off, or holds no sequence.
    pub fn read(path: &Path) -> anyhow::Result<(Self, Notes)> {
        let mut file = File::open(path).map_err(|problem| {
            UserError::new(Exit::Error, format!("cannot read the data {}: {problem}", path.display()))
        })?;
        let mut magic = [0; 8];
        let length = file.read(&mut magic).with_context(|| format!("cannot read {}", path.display()))?;
        if &magic[..length] == MAGIC {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
            let set = Self::from_bytes(&bytes).ok_or_else(|| {
                UserError::new(Exit::Error, format!("{} is cut off or damaged", path.display()))
                    .hint("remove it; it is made again from the samples")
            })?;
            return Ok((set, Notes::new()));
        }
        Self::read_lines(path, BufReader::new(File::open(path)?))
    }

    /// Reads samples through a tokenizer and keeps the result in `cache`, under a name made of what both
    /// files hold: the second run finds it, and a change of either is never missed.
    ///
    /// # Errors
    /// Where a file cannot be read or holds no sample.
    pub fn read_samples(path: &Path, tokenizer: &Path, cache: &Path) -> anyhow::Result<(Self, Notes)> {
        let kept = cache.join(format!("{}.seq", content_name(&[path, tokenizer])?));
        if kept.exists()
            && let Ok((set, notes)) = Self::read(&kept)
        {
            return Ok((set, notes));
        }
        let tokenizer = Tokenizer::load(tokenizer)?;
        let loaded = sample::load(path, &tokenizer, usize::MAX)?;
        let mut set = Self::default();
        loaded.sequences.iter().for_each(|sequence| set.push(sequence));
        let named: Vec<String> =
            loaded.bad.iter().take(NAMED_MAX).map(|(line, why)| format!("row {line}: {why}")).collect();
        let mut notes = Notes::new();
        if loaded.bad_rows > 0 {
            notes.push(format!("{}: left out {} bad rows ({})", path.display(), loaded.bad_rows, named.join("; ")));
        }
        if set.is_empty() {
            let what = format!("{} holds no sample", path.display());
            return Err(UserError::new(Exit::Error, what).hint(notes.join("; ")).into());
        }
        set.write(&kept)?;
        Ok((set, notes))
    }

    /// Whether a file holds tokens already (a `.seq` file or rows with `ids`) rather than words.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn is_tokenised(path: &Path) -> anyhow::Result<bool> {
        let file = File::open(path).map_err(|why| {
            UserError::new(Exit::Error, format!("cannot read the data {}: {why}", path.display()))
                .hint("data.train and data.held_out are relative to the working directory")
        })?;
        let mut first = Vec::new();
        let mut reader = BufReader::new(file).take(FIRST_LINE_MAX);
        while first.trim_ascii().is_empty() {
            first.clear();
            if reader.read_until(b'\n', &mut first).with_context(|| format!("cannot read {}", path.display()))? == 0 {
                break;
            }
        }
        let row = crate::sft::data::json::parse(&first).map(|(row, _)| row);
        Ok(first.starts_with(MAGIC) || row.is_ok_and(|row| row.get("ids").is_some()))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (starts, tokens) = rest.split_at_checked(count.checked_add(1)?.checked_mul(8)?)?;
        let starts: Vec<u64> = starts.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        let tokens: Vec<u32> = tokens.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let sound = starts[0] == 0
            && starts.windows(2).all(|ends| ends[0] <= ends[1])
            && starts.last() == Some(&(tokens.len() as u64));
        sound.then_some(Self { tokens, starts })
    }

    fn read_lines(path: &Path, lines: impl BufRead) -> anyhow::Result<(Self, Notes)> {
        let (mut set, mut named, mut bad) = (Self::default(), Vec::new(), 0usize);
        for (number, line) in lines.split(b'\n').enumerate() {
            let line = line.with_context(|| format!("cannot read {}", path.display()))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line);
            let why = match serde_json::from_slice::<Sequence>(line) {
                Ok(sequence) if sequence.ids.len() != sequence.learn.len() => "ids and learn differ in length".into(),
                Ok(sequence) if sequence.ids.iter().any(|id| id & LEARN != 0) => "an id is above 2³¹".into(),
                Ok(sequence) => {
                    set.push(&sequence);
                    continue;
                }
                Err(problem) => problem.to_string(),
            };
            bad += 1;
            if named.len() < NAMED_MAX {
                named.push(format!("line {}: {why}", number + 1));
            }
        }
        let mut notes = Notes::new();
        if bad > 0 {
            notes.push(format!("{}: left out {bad} bad rows ({})", path.display(), named.join("; ")));
        }
        if set.is_empty() {
            let what = format!(
                "{} holds no sequence{}",
                path.display(),
                notes.first().map_or(String::new(), |n| format!(": {n}"))
            );
            let hint = "rows must be samples, or {\"ids\": [..], \"learn\": [..]}";
            return Err(UserError::new(Exit::Error, what).hint(hint).into());
        }
        Ok((set, notes))
    }
}

/// A short name made of the content of some files.
fn content_name(paths: &[&Path]) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    for path in paths {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")) {
            hash.update(crate::engine::fingerprint(path).with_context(|| format!("cannot read {}", path.display()))?);
            continue;
        }
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        crate::hex::absorb(&mut hash, file).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(crate::hex::hex(&hash.finalize()[..8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Dataset {
        let mut set = Dataset::default();
        set.push(&Sequence { ids: vec![1, 2, 3], learn: vec![false, true, true] });
        set.push(&Sequence { ids: vec![9], learn: vec![true] });
        set.push(&Sequence { ids: vec![4; 10], learn: vec![true; 10] });
        set
    }

    #[test]
    fn the_binary_file_brings_everything_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.seq");
        set().write(&path).unwrap();
        assert_eq!(Dataset::read(&path).unwrap().0, set());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(Dataset::read(&path).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn bad_lines_are_counted_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let text = b"{\"ids\":[1,2],\"learn\":[false,true]}\n{\"ids\":[1],\"learn\":[]}\n\xff\xfe\n\n";
        std::fs::write(&path, text).unwrap();
        let (set, notes) = Dataset::read(&path).unwrap();
        assert_eq!(set.len(), 1);
        assert!(notes[0].contains("2 bad rows") && notes[0].contains("line 2"), "{notes:?}");
    }

    #[test]
    fn what_cannot_be_trained_on_is_left_out_and_said() {
        let (kept, notes) = set().fit(5, 100).unwrap();
        assert_eq!((kept.len(), kept.tokens(), kept.learnt_tokens()), (1, 3, 2));
        assert_eq!(notes.len(), 2);
        assert!(set().fit(5, 4).unwrap_err().to_string().contains("vocabulary"));
        assert!(set().fit(2, 100).is_err());
    }
}
