//! From a name to files on the disk: what of a hub's repository is needed, and fetching it.
//!
//! Which files are needed is decided here, purely; each is fetched by `download`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::disk::{check_space, part_path};
use super::download::{Download, Progress, check_cancel, rest};
use super::hub::{Hub, HubError, RemoteFile};
use super::registry::{Entry, FileSpec, Source};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::gguf::split;

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

/// What is fetched: a ready GGUF in one file or in parts, or a checkpoint to convert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    Gguf(Vec<RemoteFile>),
    Checkpoint(Vec<RemoteFile>),
}

impl Selection {
    pub fn files(&self) -> &[RemoteFile] {
        match self {
            Self::Gguf(files) | Self::Checkpoint(files) => files,
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
        .filter(|file| split::place_of(&file.name).is_none())
        .collect();
    if let (Some(file), true) = (fitting.first(), fitting.len() == 1 || (weights.is_empty() && wanted.is_some())) {
        return Ok(Selection::Gguf(vec![(**file).clone()]));
    }
    if let Some(quant) = &wanted {
        let fitting: Vec<&RemoteFile> = gguf.iter().copied().filter(|file| names_quant(&file.name, quant)).collect();
        if let Some(parts) = parts_of(repo, &fitting)? {
            return Ok(Selection::Gguf(parts));
        }
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

/// The parts of the one model in parts that is among these files, in order.
///
/// # Errors
/// Parts that are not in the repository, by name.
fn parts_of(repo: &str, files: &[&RemoteFile]) -> anyhow::Result<Option<Vec<RemoteFile>>> {
    let places = files.iter().filter_map(|file| split::place_of(&file.name));
    let mut models: Vec<(&str, u32)> = places.map(|(before, _, count)| (before, count)).collect();
    models.sort_unstable();
    models.dedup();
    let &[(before, count)] = models.as_slice() else { return Ok(None) };
    let part = |number: u32| {
        let name = split::name_of(before, number, count);
        files.iter().find(|file| file.name == name).map(|file| (*file).clone()).ok_or_else(|| {
            UserError::new(Exit::NoModel, format!("{repo} lacks {name}, one of {count} parts"))
                .hint("its upload may not be finished; choose another --quant or --revision")
        })
    };
    Ok(Some((1..=count).map(part).collect::<Result<_, _>>()?))
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

/// Where what the user typed comes from: a registry entry's ready GGUF, its checkpoint, or `owner/name`. The ready file
/// is taken where no revision and no other quantisation is asked for.
pub fn source_of<'a>(
    typed: &'a str,
    entry: Option<&'a Entry>,
    revision: Option<&'a str>,
    quant: Option<&'a str>,
) -> Option<Source<'a>> {
    static NONE: BTreeMap<String, FileSpec> = BTreeMap::new();
    if let Some(entry) = entry {
        if let Some(ready) = entry
            .gguf
            .as_ref()
            .filter(|ready| revision.is_none() && quant.is_none_or(|quant| quant.eq_ignore_ascii_case(&ready.quant)))
        {
            let quant = Some(ready.quant.as_str());
            return Some(Source { repo: &ready.repo, revision: &ready.revision, quant, files: &ready.files });
        }
        let (repo, revision) = (entry.repo.as_deref()?, revision.unwrap_or(&entry.revision));
        return Some(Source { repo, revision, quant: quant.or(entry.quant.as_deref()), files: &entry.files });
    }
    let mut parts = typed.split('/');
    let plain = |part: Option<&str>| {
        part.is_some_and(|p| {
            !p.is_empty() && !p.starts_with('.') && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        })
    };
    let is_repo = plain(parts.next()) && plain(parts.next()) && parts.next().is_none();
    is_repo.then(|| Source { repo: typed, revision: revision.unwrap_or("main"), quant, files: &NONE })
}

/// Asks the hub what a repository has, patiently.
///
/// # Errors
/// The hub's refusal, too many failures in a row, or a cancel.
pub fn list(
    hub: &Hub,
    repo: &str,
    revision: &str,
    pause: Duration,
    cancel: &Cancel,
) -> anyhow::Result<(Vec<RemoteFile>, Option<String>)> {
    let mut wait = pause;
    for attempt in 1.. {
        check_cancel(cancel)?;
        match hub.list(repo, revision) {
            Ok(found) => return Ok(found),
            Err(HubError::Final(problem)) => return Err(problem.into()),
            Err(HubError::Transient { message, retry_after }) => {
                if attempt >= LISTING_ATTEMPTS_MAX {
                    return Err(UserError::new(Exit::Error, format!("cannot ask the hub about {repo}: {message}"))
                        .hint("is there a network? a mirror can be set with --mirror or HF_ENDPOINT; what is installed works without one")
                        .into());
                }
                rest(retry_after.unwrap_or(wait).min(Duration::from_secs(30)), cancel)?;
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
        assert_eq!(chosen[0].name, "m-Q4_K_M.gguf");
        assert!(select("o/n", &files, None).is_err(), "ambiguous");
        assert!(select("o/n", &files, Some("Q4_K")).is_err(), "no such word");
        assert!(select("o/n", &[file("pytorch_model.bin")], None).is_err());
    }

    #[test]
    fn a_model_in_parts_is_taken_whole_or_not_at_all() {
        let mut files =
            vec![file("README.md"), file("q8/m-q8_0-00002-of-00002.gguf"), file("q8/m-q8_0-00001-of-00002.gguf")];
        files.push(file("m-q4_k_m-00001-of-00003.gguf"));
        let Selection::Gguf(chosen) = select("o/n", &files, Some("Q8_0")).unwrap() else { panic!("a gguf") };
        let names: Vec<&str> = chosen.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["q8/m-q8_0-00001-of-00002.gguf", "q8/m-q8_0-00002-of-00002.gguf"]);
        let refusal = select("o/n", &files, Some("Q4_K_M")).unwrap_err().to_string();
        assert!(refusal.contains("lacks m-q4_k_m-00002-of-00003.gguf"), "{refusal}");
        files.push(file("m-q8_0.gguf"));
        let Selection::Gguf(chosen) = select("o/n", &files, Some("Q8_0")).unwrap() else { panic!("a gguf") };
        assert_eq!(chosen[0].name, "m-q8_0.gguf", "one file rather than parts");
    }

    #[test]
    fn a_known_name_leads_to_its_makers_ready_file_unless_something_else_is_asked_for() {
        let registry = crate::model_store::registry::Registry::built_in();
        let entry = registry.get("qwen2.5-coder-1.5b").unwrap();
        let ready = source_of("qwen2.5-coder-1.5b", Some(entry), None, None).unwrap();
        assert_eq!((ready.repo, ready.quant), ("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", Some("Q4_K_M")));
        assert_eq!(ready.files.values().filter(|spec| spec.sha256.is_some()).count(), 1);
        let other = source_of("qwen2.5-coder-1.5b", Some(entry), None, Some("Q5_K_M")).unwrap();
        assert_eq!((other.repo, other.quant), ("Qwen/Qwen2.5-Coder-1.5B-Instruct", Some("Q5_K_M")));
        let z1 = source_of("z1-7b", Some(registry.get("z1-7b").unwrap()), None, None).unwrap();
        assert_eq!((z1.repo, z1.quant), ("efficientscaling/Z1-7B", Some("Q5_K_M")));
    }

    #[test]
    fn names_are_read() {
        let named =
            |revision| source_of("owner/name", None, revision, None).map(|source| (source.repo, source.revision));
        assert_eq!(named(None), Some(("owner/name", "main")));
        assert_eq!(named(Some("v1")), Some(("owner/name", "v1")));
        for typed in ["name", "a/b/c", "../x", "a/", "a/b c", "https://h/a"] {
            assert_eq!(source_of(typed, None, None, None), None, "{typed}");
        }
    }

    #[test]
    fn a_remote_folder_is_not_a_local_one() {
        assert_eq!(local_name("../../etc/passwd"), "passwd");
    }
}
