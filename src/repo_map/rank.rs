//! Which definitions matter to a task: personalised `PageRank` over "refers to" between files, towards the files and
//! words of the task (the idea of aider's repository map; see docs/decisions/repo-map.md).

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::tags::Tags;
use super::words::{is_stop_word, stems, wanted};

const DAMPING: f64 = 0.85;
const ROUNDS: usize = 30;
/// A name that more files define says nothing.
const DEFINERS_MAX: usize = 20;

/// What the task names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Focus {
    /// Files of the project (relative).
    pub files: BTreeSet<String>,
    /// Identifiers and other words.
    pub words: BTreeSet<String>,
}

/// Files by index and their definitions by index, best first, each with its weight.
pub(super) fn ranked(files: &[(String, Tags)], focus: &Focus) -> Vec<(usize, usize, f64)> {
    let likeness = Likeness::of(files, focus);
    let definers = definers(files);
    let asked = asked(focus, &definers);
    let start = start(files, focus, &asked, &likeness.files);
    let graph = Graph::of(files, &definers, focus, &asked);
    let ranks = graph.page_rank(&start);
    let mut referred: BTreeMap<(usize, &str), f64> = BTreeMap::new();
    for (from, rank) in ranks.iter().enumerate() {
        let total = graph.total(from);
        for (to, name, weight) in graph.out(from) {
            *referred.entry((to, name)).or_default() += rank * weight / total;
        }
    }
    let mut order: Vec<(usize, usize, f64)> = Vec::new();
    for (file, (path, tags)) in files.iter().enumerate() {
        let named = if focus.files.contains(path) { 0.05 } else { 0.0 };
        let base = named + ranks[file] * 1e-3 + start[file] * 0.5;
        let mut own: Vec<(usize, usize, f64)> = Vec::with_capacity(tags.definitions.len());
        for (index, definition) in tags.definitions.iter().enumerate() {
            let by_name = referred.get(&(file, definition.name.as_str())).copied().unwrap_or(0.0);
            let wanted = 0.1 * asked.get(definition.name.as_str()).copied().unwrap_or(0.0);
            let like = start[file].sqrt() * 0.1 * likeness.definition(&definition.name);
            own.push((file, index, by_name + wanted + like + base));
        }
        // Many files with their best beat few with everything.
        own.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.1.cmp(&b.1)));
        let damped = own.into_iter().enumerate().map(|(n, (file, index, weight))| (file, index, weight * damping(n)));
        order.extend(damped);
    }
    order.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)).then(a.1.cmp(&b.1)));
    order
}

/// What the `n`th definition of a file, by its weight, is worth beside the first.
fn damping(n: usize) -> f64 {
    1.0 / (1.0 + n as f64 / 4.0)
}

/// One name that a file refers to, and who defines it.
struct Reference<'a> {
    name: &'a str,
    definers: &'a [usize],
    weight: f64,
}

/// Which file refers to which: by names, so that its size is that of the references and not of all pairs.
struct Graph<'a> {
    references: Vec<Vec<Reference<'a>>>,
}

/// The definers of every name that few enough files define.
fn definers(files: &[(String, Tags)]) -> BTreeMap<&str, Vec<usize>> {
    let mut definers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, (_, tags)) in files.iter().enumerate() {
        for name in tags.definitions.iter().map(|d| d.name.as_str()).collect::<BTreeSet<_>>() {
            definers.entry(name).or_default().push(index);
        }
    }
    definers
}

/// The words of the task that are names here, each with its worth, 0..=1: a name that many files define is a word of
/// English that happens to be one.
fn asked<'a>(focus: &'a Focus, definers: &BTreeMap<&str, Vec<usize>>) -> BTreeMap<&'a str, f64> {
    let names = focus.words.iter().filter(|word| !is_stop_word(word));
    names.filter_map(|word| Some((word.as_str(), 1.0 / definers.get(word.as_str())?.len() as f64))).collect()
}

impl<'a> Graph<'a> {
    fn of(
        files: &'a [(String, Tags)],
        definers: &'a BTreeMap<&str, Vec<usize>>,
        focus: &Focus,
        asked: &BTreeMap<&str, f64>,
    ) -> Self {
        let out = |(path, tags): &'a (String, Tags)| {
            let reference = |(name, count): (&'a String, &u32)| {
                let definers = definers.get(name.as_str()).filter(|to| to.len() <= DEFINERS_MAX)?;
                let mut weight = f64::from(*count).sqrt() / definers.len() as f64;
                weight *= 1.0 + 9.0 * asked.get(name.as_str()).copied().unwrap_or(0.0);
                weight *= if focus.files.contains(path) { 10.0 } else { 1.0 };
                weight *= if name.starts_with('_') { 0.1 } else { 1.0 };
                weight *= if name.len() >= 8 { 2.0 } else { 1.0 };
                Some(Reference { name, definers, weight })
            };
            tags.references.iter().filter_map(reference).collect()
        };
        Self { references: files.iter().map(out).collect() }
    }

    /// The edges that leave a file; none leads back to itself.
    fn out(&self, from: usize) -> impl Iterator<Item = (usize, &'a str, f64)> {
        let others = move |reference: &Reference<'a>| {
            let (name, weight) = (reference.name, reference.weight);
            reference.definers.iter().filter(move |to| **to != from).map(move |to| (*to, name, weight))
        };
        self.references[from].iter().flat_map(others)
    }

    fn total(&self, from: usize) -> f64 {
        self.out(from).map(|(_, _, weight)| weight).sum()
    }

    fn page_rank(&self, start: &[f64]) -> Vec<f64> {
        let totals: Vec<f64> = (0..start.len()).map(|from| self.total(from)).collect();
        let mut ranks = start.to_vec();
        for _ in 0..ROUNDS {
            let mut next: Vec<f64> = start.iter().map(|share| share * (1.0 - DAMPING)).collect();
            let mut dangling = 0.0;
            for (from, total) in totals.iter().enumerate() {
                if *total == 0.0 {
                    dangling += ranks[from];
                    continue;
                }
                for (to, _, weight) in self.out(from) {
                    next[to] += DAMPING * ranks[from] * weight / total;
                }
            }
            next.iter_mut().zip(start).for_each(|(rank, share)| *rank += DAMPING * dangling * share);
            ranks = next;
        }
        ranks
    }
}

/// The share of each file in the task, summing to 1.
fn start(files: &[(String, Tags)], focus: &Focus, asked: &BTreeMap<&str, f64>, likeness: &[f64]) -> Vec<f64> {
    let share = |((path, tags), like): (&(String, Tags), &f64)| {
        let defined: f64 = tags.definitions.iter().filter_map(|d| asked.get(d.name.as_str())).sum();
        let named = if focus.files.contains(path) { 100.0 } else { 0.0 };
        1e-3 + named + 10.0 * defined.min(3.0) + 30.0 * like.powi(2)
    };
    let shares: Vec<f64> = files.iter().zip(likeness).map(share).collect();
    let total: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / total).collect()
}

/// How much files and definitions have of the task's words, by the words' stems; a word that few files have counts
/// more than one that many have.
struct Likeness {
    /// For each file, 0..=1 against the likest.
    files: Vec<f64>,
    /// What each stem of the task is worth, summing to 1.
    worth: BTreeMap<String, f64>,
}

/// Where a file has a word: in its own name, its folders, what it defines, what it says it is for.
#[derive(Clone, Copy, Default)]
struct Places {
    name: bool,
    folders: bool,
    defined: u32,
    about: bool,
}

impl Places {
    /// `definitions` is how many the file has in all: of many some are like anything.
    fn weight(self, definitions: usize) -> f64 {
        const DEFINED_MAX: u32 = 4;
        const FEW: f64 = 10.0;
        let of = |holds: bool, weight: f64| if holds { weight } else { 0.0 };
        let defined = if self.defined > 0 { 0.5 + 0.25 * f64::from(self.defined.min(DEFINED_MAX)) } else { 0.0 };
        let defined = defined / (1.0 + (1.0 + definitions as f64 / FEW).ln());
        of(self.name, 3.0) + of(self.folders, 0.7) + 1.5 * defined + of(self.about, 1.0)
    }

    const fn holds(self) -> bool {
        self.name || self.folders || self.about || self.defined > 0
    }
}

impl Likeness {
    fn of(files: &[(String, Tags)], focus: &Focus) -> Self {
        /// A test is rarely what is to be changed.
        const TEST: f64 = 0.4;
        let wanted: Vec<String> = wanted(&focus.words).into_iter().collect();
        let places: Vec<Vec<Places>> = files.par_iter().map(|(path, tags)| places(&wanted, path, tags)).collect();
        let worth: Vec<f64> = (0..wanted.len())
            .map(|word| {
                let having = places.iter().filter(|of| of[word].holds()).count();
                ((files.len() + 1) as f64 / (having + 1) as f64).ln()
            })
            .collect();
        let about_tests = wanted.iter().any(|word| word == "test");
        let score = |((path, tags), places): (&(String, Tags), &Vec<Places>)| {
            let weight = |place: &Places| place.weight(tags.definitions.len());
            let sum: f64 = places.iter().zip(&worth).map(|(place, worth)| weight(place) * worth).sum();
            if !about_tests && stems(path).contains("test") { sum * TEST } else { sum }
        };
        let scores: Vec<f64> = files.iter().zip(&places).map(score).collect();
        let best = scores.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let total: f64 = worth.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        Self {
            files: scores.into_iter().map(|score| score / best).collect(),
            worth: wanted.into_iter().zip(worth.into_iter().map(|worth| worth / total)).collect(),
        }
    }

    /// How much of the task a definition's name has, 0..=1.
    fn definition(&self, name: &str) -> f64 {
        if self.worth.is_empty() {
            return 0.0;
        }
        stems(name).iter().filter_map(|stem| self.worth.get(stem)).sum()
    }
}

/// A path's folders and the name that says what the file is: of `parser/mod.rs` that is `parser`.
fn own_name(path: &str) -> (&str, &str) {
    const DOORS: [&str; 6] = ["mod.rs", "lib.rs", "main.rs", "__init__.py", "index.js", "index.ts"];
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if DOORS.contains(&name) && !folders.is_empty() {
        return folders.rsplit_once('/').unwrap_or(("", folders));
    }
    (folders, name)
}

fn places(wanted: &[String], path: &str, tags: &Tags) -> Vec<Places> {
    let mut found = vec![Places::default(); wanted.len()];
    let mut mark = |text: &str, mark: fn(&mut Places)| {
        for stem in stems(text) {
            if let Ok(at) = wanted.binary_search(&stem) {
                mark(&mut found[at]);
            }
        }
    };
    if wanted.is_empty() {
        return found;
    }
    let (folders, name) = own_name(path);
    mark(name, |places| places.name = true);
    mark(folders, |places| places.folders = true);
    mark(&tags.about, |places| places.about = true);
    for definition in &tags.definitions {
        mark(&definition.name, |places| places.defined += 1);
    }
    found
}
