//! From a repository's files to a map that fits into a budget: read, rank, render.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::rank::{Focus, ranked};
use super::tags::Tags;
use super::{read, walk, words};

/// What bounds a map.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub tokens_max: usize,
    /// Reading stops here; the map is made of what was read.
    pub time_max: Duration,
    /// The folder for the cache; nothing is cached without it.
    pub cache: Option<PathBuf>,
    /// More files than this are not looked at.
    pub files_max: usize,
    /// Beyond this many bytes of source, files are skimmed by patterns instead of read by grammar.
    pub parsed_bytes_max: u64,
}

impl Bounds {
    /// The usual bounds of what is looked at.
    pub const fn new(tokens_max: usize, time_max: Duration, cache: Option<PathBuf>) -> Self {
        Self { tokens_max, time_max, cache, files_max: 100_000, parsed_bytes_max: 256 << 20 }
    }
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
    let found = walk::files(root, bounds.files_max, &mut notes);
    let files = read::read(root, &found, urgency(focus), bounds, &mut notes);
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

/// How much a path has of the task: such files are read first.
fn urgency(focus: &Focus) -> impl Fn(&str) -> usize + '_ {
    const NAMED: usize = 100;
    let wanted = words::wanted(&focus.words);
    move |path: &str| {
        let named = if focus.files.contains(path) { NAMED } else { 0 };
        named + words::stems(path).intersection(&wanted).count()
    }
}

fn ranking(files: &[(String, Tags)], order: &[(usize, usize)]) -> Vec<String> {
    let mut seen = BTreeSet::new();
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
        Bounds::new(tokens_max, Duration::from_mins(1), cache)
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
