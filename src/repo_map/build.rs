//! Walks a repository, reads tags in parallel with a cache keyed by content, and fits the map into a budget.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::rank::{Focus, ranked};
use super::tags::{Tags, tags};

/// More files than this are not looked at.
const FILES_MAX: usize = 100_000;
/// Larger files are skipped.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Changes whenever tags are read differently.
const CACHE_VERSION: u32 = 1;

/// What bounds a map.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub tokens_max: usize,
    /// Reading stops here; the map is made of what was read.
    pub time_max: Duration,
    /// The folder for the cache; nothing is cached without it.
    pub cache: Option<PathBuf>,
}

/// A finished map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepoMap {
    pub text: String,
    pub tokens: usize,
    pub files_read: usize,
    /// Files by their best definition, best first; at most fifty.
    pub ranking: Vec<String>,
    /// Where the words in focus are defined.
    pub defined: Vec<Defined>,
    /// What was left out, one sentence each.
    pub notes: Vec<String>,
}

/// Files that [`RepoMap::ranking`] names at most.
const RANKED_MAX: usize = 50;
/// Places that [`RepoMap::defined`] names at most.
const DEFINED_MAX: usize = 200;

/// A definition of a word in focus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Defined {
    pub word: String,
    pub path: String,
    /// From 1.
    pub line: u32,
}

/// A rough token count for where no tokenizer is loaded: 3.5 bytes a token.
pub fn estimate(text: &str) -> usize {
    text.len() * 2 / 7
}

/// Makes the map of the repository at `root`. `count` gives a text's tokens.
pub fn build(root: &Path, focus: &Focus, bounds: &Bounds, count: &dyn Fn(&str) -> usize) -> RepoMap {
    let mut notes = Vec::new();
    let paths = walk(root, &mut notes);
    let files = read(root, &paths, bounds, &mut notes);
    let order = ranked(&files, focus);
    let wanted: Vec<(usize, usize)> = order.iter().map(|(file, definition, _)| (*file, *definition)).collect();
    // The most definitions whose text fits: more definitions never make a shorter map.
    let (mut low, mut high) = (0, wanted.len().min(bounds.tokens_max));
    while low < high {
        let middle = (low + high).div_ceil(2);
        if count(&render(&files, &wanted[..middle])) <= bounds.tokens_max {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let text = render(&files, &wanted[..low]);
    let (ranking, defined) = (ranking(&files, &wanted), defined(&files, focus));
    RepoMap { tokens: count(&text), text, files_read: files.len(), ranking, defined, notes }
}

fn ranking(files: &[(String, Tags)], order: &[(usize, usize)]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let first = order.iter().filter(|(file, _)| seen.insert(*file));
    first.take(RANKED_MAX).map(|(file, _)| files[*file].0.clone()).collect()
}

fn defined(files: &[(String, Tags)], focus: &Focus) -> Vec<Defined> {
    let of_file = |(path, tags): &(String, Tags)| -> Vec<Defined> {
        let wanted = tags.definitions.iter().filter(|definition| focus.words.contains(&definition.name));
        wanted.map(|d| Defined { word: d.name.clone(), path: path.clone(), line: d.line }).collect()
    };
    files.iter().flat_map(of_file).take(DEFINED_MAX).collect()
}

fn walk(root: &Path, notes: &mut Vec<String>) -> Vec<String> {
    let mut paths = Vec::new();
    let mut large = 0_u32;
    let walk =
        ignore::WalkBuilder::new(root).require_git(false).follow_links(false).sort_by_file_name(Ord::cmp).build();
    for entry in walk.flatten().filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file())) {
        let Some(path) = entry.path().strip_prefix(root).ok().and_then(Path::to_str) else { continue };
        if paths.len() == FILES_MAX {
            notes.push(format!("only the first {FILES_MAX} files were looked at"));
            break;
        }
        if entry.metadata().is_ok_and(|metadata| metadata.len() > FILE_BYTES_MAX) {
            large += 1;
            continue;
        }
        paths.push(path.to_owned());
    }
    if large > 0 {
        notes.push(format!("{large} files larger than {} MiB were skipped", FILE_BYTES_MAX >> 20));
    }
    paths.sort();
    paths
}

#[derive(Default, Serialize, Deserialize)]
struct Cache {
    version: u32,
    /// By the SHA-256 of extension and content.
    tags: BTreeMap<String, Tags>,
}

fn read(root: &Path, paths: &[String], bounds: &Bounds, notes: &mut Vec<String>) -> Vec<(String, Tags)> {
    let place = bounds
        .cache
        .as_ref()
        .map(|folder| folder.join(format!("{}.json", digest(root.as_os_str().as_encoded_bytes(), b""))));
    let cache = place.as_deref().and_then(load).unwrap_or_default();
    let until = Instant::now() + bounds.time_max;
    let read: Vec<Option<(String, String, Tags)>> = paths
        .par_iter()
        .map(|path| {
            if Instant::now() > until {
                return None;
            }
            let text = std::fs::read(root.join(path)).ok().filter(|bytes| !bytes.contains(&0))?;
            let key = digest(&text, path.rsplit('.').next().unwrap_or("").as_bytes());
            let found = cache.tags.get(&key).cloned().unwrap_or_else(|| tags(path, &String::from_utf8_lossy(&text)));
            Some((path.clone(), key, found))
        })
        .collect();
    if Instant::now() > until {
        notes.push(format!("reading stopped after {} s; the map is made of what was read", bounds.time_max.as_secs()));
    }
    let read: Vec<(String, String, Tags)> = read.into_iter().flatten().collect();
    if let Some(place) = place
        && read.iter().any(|(_, key, _)| !cache.tags.contains_key(key))
    {
        let tags = read.iter().map(|(_, key, tags)| (key.clone(), tags.clone())).collect();
        // A map without a cache is only slower.
        let _ = save(&place, &Cache { version: CACHE_VERSION, tags });
    }
    read.into_iter().map(|(path, _, tags)| (path, tags)).collect()
}

fn digest(text: &[u8], salt: &[u8]) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update([0]).chain_update(text).finalize();
    crate::hex::hex(&digest[..16])
}

/// A damaged or older cache counts as none.
fn load(place: &Path) -> Option<Cache> {
    let cache: Cache = serde_json::from_slice(&std::fs::read(place).ok()?).ok()?;
    (cache.version == CACHE_VERSION).then_some(cache)
}

fn save(place: &Path, cache: &Cache) -> anyhow::Result<()> {
    let folder = place.parent().expect("invariant: the cache lies in a folder");
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(std::io::BufWriter::new(&mut file), cache)?;
    file.persist(place)?;
    Ok(())
}

/// Files in order of their best definition, definitions in order of their lines, gaps marked.
fn render(files: &[(String, Tags)], wanted: &[(usize, usize)]) -> String {
    let mut order: Vec<usize> = Vec::new();
    let mut lines: BTreeMap<usize, BTreeMap<u32, &str>> = BTreeMap::new();
    for (file, index) in wanted {
        let definition = &files[*file].1.definitions[*index];
        lines.entry(*file).or_insert_with(|| {
            order.push(*file);
            BTreeMap::new()
        });
        lines.entry(*file).or_default().insert(definition.line, &definition.text);
    }
    let mut out = String::new();
    for file in order {
        out.push_str(&format!("{}:\n", files[file].0));
        for (line, text) in &lines[&file] {
            out.push_str(&format!("{line:>5} {text}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> tempfile::TempDir {
        let root = tempfile::TempDir::new().unwrap();
        for (path, text) in [
            ("csv.py", "def parse_rows(text):\n    return split_line(text)\n"),
            ("line.py", "def split_line(text):\n    return text.split(',')\n"),
            ("other.py", "def draw_circle(r):\n    return r\n"),
            (".gitignore", "skipped.py\n"),
            ("skipped.py", "def never():\n    pass\n"),
            ("broken.py", "def half(:\n"),
        ] {
            std::fs::write(root.path().join(path), text).unwrap();
        }
        std::fs::write(root.path().join("bin.dat"), b"def\0x").unwrap();
        std::fs::write(root.path().join("huge.py"), vec![b'#'; 2 << 20]).unwrap();
        root
    }

    fn bounds(tokens_max: usize, cache: Option<PathBuf>) -> Bounds {
        Bounds { tokens_max, time_max: Duration::from_mins(1), cache }
    }

    #[test]
    fn the_map_turns_towards_the_task_and_fits() {
        let root = project();
        let focus = Focus { words: ["parse_rows".to_owned()].into(), ..Focus::default() };
        let map = build(root.path(), &focus, &bounds(30, None), &estimate);
        assert!(map.tokens <= 30);
        assert!(map.text.contains("parse_rows") && map.text.contains("split_line"), "{}", map.text);
        let all = build(root.path(), &focus, &bounds(1000, None), &estimate);
        assert!(!all.text.contains("never") && all.text.contains("draw_circle"));
        assert!(all.notes.iter().any(|note| note.contains("larger")));
    }

    #[test]
    fn the_same_map_twice_is_the_same_bytes_with_a_cold_a_warm_and_a_damaged_cache() {
        let root = project();
        let cache = tempfile::TempDir::new().unwrap();
        let bounds = bounds(200, Some(cache.path().to_owned()));
        let cold = build(root.path(), &Focus::default(), &bounds, &estimate);
        assert_eq!(build(root.path(), &Focus::default(), &bounds, &estimate), cold);
        for entry in std::fs::read_dir(cache.path()).unwrap() {
            std::fs::write(entry.unwrap().path(), "{").unwrap();
        }
        assert_eq!(build(root.path(), &Focus::default(), &bounds, &estimate), cold);
    }
}
