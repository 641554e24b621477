//! From a name to files on the disk: what of a hub's repository is needed, and fetching it.
//!
//! Which files are needed is decided here, purely; each is fetched by `download`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::{check_space, part_path};
use super::download::{Download, Progress};
use super::hub::{Hub, HubError, RemoteFile};
use super::registry::{Entry, FileSpec};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};

const LISTING_ATTEMPTS_MAX: u32 = 5;
/// Small files of a checkpoint that are worth having.
const SIDE_FILES: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "model.safetensors.index.json",
];

/// What is fetched: a ready GGUF, or a checkpoint to convert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    Gguf(RemoteFile),
    Checkpoint(Vec<RemoteFile>),
}

impl Selection {
    pub fn files(&self) -> &[RemoteFile] {
        match self {
            Self::Gguf(file) => std::slice::from_ref(file),
            Self::Checkpoint(files) => files,
        }
    }

    /// Sum of the sizes that the hub knows.
    pub fn bytes(&self) -> u64 {
        self.files().iter().filter_map(|file| file.bytes).sum()
    }
}

/// Decides which of a repository's files are needed. A GGUF of the wanted quantisation spares the conversion.
///
/// # Errors
/// Neither a fitting GGUF nor safetensors there.
pub fn select(repo: &str, files: &[RemoteFile], quant: Option<&str>) -> anyhow::Result<Selection> {
    let gguf: Vec<&RemoteFile> = files
        .iter()
        .filter(|file| has_extension(&file.name, "gguf") && !file.name.to_ascii_lowercase().contains("mmproj"))
        .collect();
    let weights: Vec<&RemoteFile> =
        files.iter().filter(|file| has_extension(&file.name, "safetensors") && !file.name.contains('/')).collect();
    let wanted = quant.map(str::to_ascii_uppercase);
    let fitting: Vec<&&RemoteFile> = gguf
        .iter()
        .filter(|file| wanted.as_ref().is_none_or(|quant| names_quant(&file.name, quant)))
        .filter(|file| !file.name.contains("-of-"))
        .collect();
    if let (Some(file), true) = (fitting.first(), fitting.len() == 1 || (weights.is_empty() && wanted.is_some())) {
        return Ok(Selection::Gguf((**file).clone()));
    }
    if !weights.is_empty() {
        let side = files.iter().filter(|file| SIDE_FILES.contains(&file.name.as_str()));
        return Ok(Selection::Checkpoint(side.chain(weights).cloned().collect()));
    }
    let offer: Vec<&str> = gguf.iter().map(|file| file.name.as_str()).collect();
    let error = UserError::new(Exit::NoModel, format!("{repo} has no safetensors and no single GGUF that fits"));
    let hint = if offer.is_empty() {
        "pytorch_model.bin is not supported: it can run code when it is read".to_owned()
    } else {
        format!("choose one with --quant; there are: {}", offer.join(", "))
    };
    Err(error.hint(hint).into())
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// Whether a file name carries this quantisation as a word of its own (`Q4_K_M`, not `Q4_K` in `Q4_K_M`).
fn names_quant(name: &str, quant: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let word = |byte: Option<&u8>| byte.is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'_');
    upper.match_indices(quant).any(|(at, _)| {
        let bytes = upper.as_bytes();
        word(at.checked_sub(1).and_then(|i| bytes.get(i))) && word(bytes.get(at + quant.len()))
    })
}

/// Splits what the user typed into a hub repository and a revision: a registry entry's, or `owner/name`.
pub fn source_of<'a>(
    typed: &'a str,
    entry: Option<&'a Entry>,
    revision: Option<&'a str>,
) -> Option<(&'a str, &'a str)> {
    if let Some(entry) = entry {
        return entry.repo.as_deref().map(|repo| (repo, revision.unwrap_or(&entry.revision)));
    }
    let mut parts = typed.split('/');
    let plain = |part: Option<&str>| {
        part.is_some_and(|p| {
            !p.is_empty() && !p.starts_with('.') && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        })
    };
    (plain(parts.next()) && plain(parts.next()) && parts.next().is_none()).then(|| (typed, revision.unwrap_or("main")))
}

/// Asks the hub what a repository has, patiently.
///
/// # Errors
/// The hub's refusal, or too many failures in a row.
pub fn list(
    hub: &Hub,
    repo: &str,
    revision: &str,
    pause: Duration,
) -> anyhow::Result<(Vec<RemoteFile>, Option<String>)> {
    let mut wait = pause;
    for attempt in 1.. {
        match hub.list(repo, revision) {
            Ok(found) => return Ok(found),
            Err(HubError::Final(problem)) => return Err(problem.into()),
            Err(HubError::Transient { message, retry_after }) => {
                if attempt >= LISTING_ATTEMPTS_MAX {
                    return Err(UserError::new(Exit::Error, format!("cannot ask the hub about {repo}: {message}"))
                        .hint("is there a network? a mirror can be set with --mirror or HF_ENDPOINT; what is installed works without one")
                        .into());
                }
                std::thread::sleep(retry_after.unwrap_or(wait).min(Duration::from_secs(30)));
                wait = wait.saturating_mul(2);
            }
            Err(problem @ HubError::RangeBehindEnd { .. }) => return Err(problem.into()),
        }
    }
    unreachable!("invariant: the loop returns at its last attempt")
}

/// Lays what the registry knows beforehand over what the hub says: the registry wins.
///
/// # Errors
/// A file that the registry knows is not there: it is not the repository that was meant.
pub fn expect(repo: &str, files: &mut [RemoteFile], known: &BTreeMap<String, FileSpec>) -> anyhow::Result<()> {
    for (name, spec) in known {
        let Some(file) = files.iter_mut().find(|file| file.name == *name) else {
            return Err(UserError::new(Exit::Error, format!("{name}, whose checksum is known, is not in {repo}"))
                .hint("the repository was changed; name another --revision, or mend the entry in models.toml")
                .into());
        };
        file.bytes = spec.bytes.or(file.bytes);
        file.sha256 = spec.sha256.as_ref().map(|sum| sum.to_ascii_lowercase()).or_else(|| file.sha256.take());
    }
    Ok(())
}

/// The room that fetching, converting and quantising need together, at most.
pub fn bytes_in_all(selection: &Selection, quantised: bool) -> u64 {
    let fetched = selection.bytes();
    match selection {
        Selection::Gguf(_) => fetched,
        // The converted model is as large as the checkpoint, the quantised one about half of it at most.
        Selection::Checkpoint(_) => fetched * 2 + if quantised { fetched / 2 } else { 0 },
    }
}

/// Bytes of a selection that lie in the folder already, whole or in part.
pub fn bytes_there(selection: &Selection, folder: &Path) -> u64 {
    let paths = selection.files().iter().map(|file| folder.join(local_name(&file.name)));
    let abouts =
        paths.filter_map(|path| std::fs::metadata(&path).or_else(|_| std::fs::metadata(part_path(&path))).ok());
    abouts.map(|about| about.len()).sum()
}

/// Fetches a selection into a folder; `progress` hears the file's name and the bytes of the whole selection.
///
/// # Errors
/// See [`Download::fetch`]; also too little room on the disk, before the first byte.
pub fn fetch(
    hub: &Hub,
    (repo, revision): (&str, &str),
    selection: &Selection,
    folder: &Path,
    pause: Duration,
    cancel: &Cancel,
    mut progress: impl FnMut(&str, Progress),
) -> anyhow::Result<Vec<PathBuf>> {
    let total = selection.bytes();
    let present = bytes_there(selection, folder);
    check_space(&folder.join("x"), total.saturating_sub(present))?;
    let mut before = 0;
    let mut paths = Vec::new();
    for file in selection.files() {
        let target = folder.join(local_name(&file.name));
        let download = Download { hub, repo, revision, file: file.clone(), target: target.clone(), pause };
        download.fetch(cancel, |p| {
            let done_bytes = before + p.done_bytes;
            progress(&file.name, Progress { done_bytes, total_bytes: Some(total.max(done_bytes)), ..p });
        })?;
        before += std::fs::metadata(&target).map_or(0, |meta| meta.len());
        paths.push(target);
    }
    Ok(paths)
}

/// The last part of a remote path: a hub's folder never becomes a folder here.
fn local_name(remote: &str) -> &str {
    remote.rsplit(['/', '\\']).next().unwrap_or(remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> RemoteFile {
        RemoteFile { name: name.into(), bytes: Some(10), sha256: None }
    }

    #[test]
    fn a_checkpoint_is_taken_whole_and_without_the_rest() {
        let files = [
            file("README.md"),
            file("config.json"),
            file("model-00001-of-00002.safetensors"),
            file("model-00002-of-00002.safetensors"),
            file("pytorch_model.bin"),
            file("onnx/model.safetensors"),
        ];
        let Selection::Checkpoint(chosen) = select("o/n", &files, Some("Q5_K_M")).unwrap() else {
            panic!("a checkpoint")
        };
        let names: Vec<&str> = chosen.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
    }

    #[test]
    fn a_ready_gguf_spares_the_conversion() {
        let files = [file("m-Q4_K_M.gguf"), file("m-Q4_K_S.gguf"), file("m-Q8_0.gguf")];
        let Selection::Gguf(chosen) = select("o/n", &files, Some("q4_k_m")).unwrap() else { panic!("a gguf") };
        assert_eq!(chosen.name, "m-Q4_K_M.gguf");
        assert!(select("o/n", &files, None).is_err(), "ambiguous");
        assert!(select("o/n", &files, Some("Q4_K")).is_err(), "no such word");
        assert!(select("o/n", &[file("pytorch_model.bin")], None).is_err());
    }

    #[test]
    fn names_are_read() {
        assert_eq!(source_of("owner/name", None, None), Some(("owner/name", "main")));
        assert_eq!(source_of("owner/name", None, Some("v1")), Some(("owner/name", "v1")));
        for typed in ["name", "a/b/c", "../x", "a/", "a/b c", "https://h/a"] {
            assert_eq!(source_of(typed, None, None), None, "{typed}");
        }
    }

    #[test]
    fn a_remote_folder_is_not_a_local_one() {
        assert_eq!(local_name("../../etc/passwd"), "passwd");
    }
}
