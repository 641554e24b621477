//! Reads the tags of many files: from the cache where the content is known, by grammar as far as bytes and time
//! allow, then by patterns, which are much quicker and see definitions only.
//!
//! The files most like the task are read first, so that what a limit cuts matters least. What was read by grammar
//! is cached, so that the next map goes on where this one stopped.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::build::Bounds;
use super::tags::{Parsers, Tags, by_pattern};
use super::walk::Found;

/// Changes whenever tags are read differently.
const CACHE_VERSION: u32 = 2;
/// Threads that read at the same time; each may hold one file and its syntax tree.
const THREADS_MAX: usize = 8;

#[derive(Default, Serialize, Deserialize)]
struct Cache {
    version: u32,
    /// By the SHA-256 of extension and content.
    tags: BTreeMap<String, Tags>,
}

/// How a file's tags were come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Known,
    Grammar,
    Pattern,
}

struct Entry {
    key: String,
    tags: Tags,
    how: How,
}

/// Reads `files`; `urgency` orders them, highest first. Binary and unreadable files are left out.
pub(super) fn read(
    root: &Path,
    files: &[Found],
    urgency: impl Fn(&str) -> usize,
    bounds: &Bounds,
    notes: &mut Vec<String>,
) -> Vec<(String, Tags)> {
    let name = format!("{}.json", digest(root.as_os_str().as_encoded_bytes(), b""));
    let place = bounds.cache.as_ref().map(|folder| folder.join(name));
    let mut cache = place.as_deref().and_then(load).unwrap_or_default();
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_cached_key(|at| (std::cmp::Reverse(urgency(&files[*at].path)), files[*at].bytes, *at));
    let parsed = parsed_first(files, &order, bounds.parsed_bytes_max);
    let work = Work { root, files, order, parsed, cache: &cache.tags, bounds, start: Instant::now() };
    let entries = work.all();

    let missing = entries.iter().filter(|entry| entry.is_none()).count();
    let by_pattern = entries.iter().flatten().filter(|entry| entry.how == How::Pattern).count();
    if work.out_of_time() {
        notes.push(format!("reading took longer than {} s and was cut short", bounds.time_max.as_secs()));
    }
    if by_pattern > 0 {
        let next = if place.is_some() { "; the next map goes on" } else { "" };
        notes.push(format!("{by_pattern} of {} files were only skimmed{next}", files.len() - missing));
    }
    let cut = by_pattern > 0 || work.out_of_time();
    if let Some(place) = place {
        keep(&place, &mut cache, &entries, cut);
    }
    let named = |(file, entry): (&Found, Option<Entry>)| entry.map(|entry| (file.path.clone(), entry.tags));
    files.iter().zip(entries).filter_map(named).collect()
}

/// For each file whether grammars may read it: the first of the order, up to so many bytes.
fn parsed_first(files: &[Found], order: &[usize], bytes_max: u64) -> Vec<bool> {
    let mut parsed = vec![false; files.len()];
    let mut bytes = 0;
    for at in order {
        bytes += files[*at].bytes;
        parsed[*at] = bytes <= bytes_max;
    }
    parsed
}

struct Work<'a> {
    root: &'a Path,
    files: &'a [Found],
    order: Vec<usize>,
    parsed: Vec<bool>,
    cache: &'a BTreeMap<String, Tags>,
    bounds: &'a Bounds,
    start: Instant,
}

impl Work<'_> {
    /// Every file's entry, in the files' order.
    fn all(&self) -> Vec<Option<Entry>> {
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<Option<Entry>>> = Mutex::new(self.files.iter().map(|_| None).collect());
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let mut parsers = Parsers::default();
                    while let Some(at) = self.order.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let entry = self.one(*at, &mut parsers);
                        done.lock().expect("invariant: no reader panics")[*at] = entry;
                    }
                });
            }
        });
        done.into_inner().expect("invariant: no reader panics")
    }

    fn one(&self, at: usize, parsers: &mut Parsers) -> Option<Entry> {
        if self.out_of_time() {
            return None;
        }
        let path = &self.files[at].path;
        let bytes = std::fs::read(self.root.join(path)).ok().filter(|bytes| !bytes.contains(&0))?;
        let key = digest(&bytes, path.rsplit('.').next().unwrap_or("").as_bytes());
        if let Some(known) = self.cache.get(&key) {
            return Some(Entry { key, tags: known.clone(), how: How::Known });
        }
        let text = String::from_utf8_lossy(&bytes);
        // A quarter of the time is left for skimming the rest.
        let in_time = self.start.elapsed() < self.bounds.time_max.mul_f32(0.75);
        Some(if self.parsed[at] && in_time {
            Entry { key, tags: parsers.tags(path, &text), how: How::Grammar }
        } else {
            Entry { key, tags: by_pattern(path, &text), how: How::Pattern }
        })
    }

    fn out_of_time(&self) -> bool {
        self.start.elapsed() >= self.bounds.time_max
    }
}

/// Saves what is new. After a map that was cut short earlier entries stay: their files may not have been reached.
fn keep(place: &Path, cache: &mut Cache, entries: &[Option<Entry>], cut: bool) {
    if entries.iter().flatten().all(|entry| entry.how != How::Grammar) {
        return;
    }
    let read = || entries.iter().flatten().filter(|entry| entry.how != How::Pattern);
    let new = read().map(|entry| (entry.key.clone(), entry.tags.clone()));
    if cut {
        cache.tags.extend(new);
    } else {
        cache.tags = new.collect();
    }
    cache.version = CACHE_VERSION;
    // A map without a cache is only slower.
    let _ = save(place, cache);
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
    std::io::Write::write_all(&mut file, &serde_json::to_vec(cache)?)?;
    file.persist(place)?;
    Ok(())
}
