//! Which definitions matter to a task: personalised `PageRank` over "refers to" between files, towards the
//! files and words of the task (the idea of aider's repository map; see docs/decisions/repo-map.md).

use std::collections::{BTreeMap, BTreeSet};

use super::tags::Tags;

const DAMPING: f64 = 0.85;
const ROUNDS: usize = 30;

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
    let mut definers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, (_, tags)) in files.iter().enumerate() {
        for name in tags.definitions.iter().map(|d| d.name.as_str()).collect::<BTreeSet<_>>() {
            definers.entry(name).or_default().push(index);
        }
    }
    let edges = edges(files, &definers, focus);
    let start = start(files, focus);
    let ranks = page_rank(&edges, &start);
    let mut weights: BTreeMap<(usize, &str), f64> = BTreeMap::new();
    for (from, out) in edges.iter().enumerate() {
        let total: f64 = out.iter().map(|(_, _, weight)| weight).sum();
        for (to, name, weight) in out {
            *weights.entry((*to, name)).or_default() += ranks[from] * weight / total;
        }
    }
    let mut order: Vec<(usize, usize, f64)> = Vec::new();
    for (file, (path, tags)) in files.iter().enumerate() {
        let named = if focus.files.contains(path) { 0.05 } else { 0.0 };
        for (index, definition) in tags.definitions.iter().enumerate() {
            let referred = weights.get(&(file, definition.name.as_str())).copied().unwrap_or(0.0);
            let wanted = if focus.words.contains(&definition.name) { 0.1 } else { 0.0 };
            order.push((file, index, referred + wanted + named + ranks[file] * 1e-3 + start[file] * 1e-2));
        }
    }
    order.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)).then(a.1.cmp(&b.1)));
    order
}

type Edges<'a> = Vec<Vec<(usize, &'a str, f64)>>;

fn edges<'a>(files: &'a [(String, Tags)], definers: &BTreeMap<&str, Vec<usize>>, focus: &Focus) -> Edges<'a> {
    /// A name that everybody defines says nothing.
    const DEFINERS_MAX: usize = 20;
    let out = |from: usize, path: &str, tags: &'a Tags| {
        let mut out = Vec::new();
        for (name, count) in &tags.references {
            let Some(to) = definers.get(name.as_str()).filter(|to| to.len() <= DEFINERS_MAX) else { continue };
            let mut weight = f64::from(*count).sqrt() / to.len() as f64;
            weight *= if focus.words.contains(name) { 10.0 } else { 1.0 };
            weight *= if focus.files.contains(path) { 10.0 } else { 1.0 };
            weight *= if name.starts_with('_') { 0.1 } else { 1.0 };
            weight *= if name.len() >= 8 { 2.0 } else { 1.0 };
            out.extend(to.iter().filter(|to| **to != from).map(|to| (*to, name.as_str(), weight)));
        }
        out
    };
    files.iter().enumerate().map(|(from, (path, tags))| out(from, path, tags)).collect()
}

/// The share of each file in the task, summing to 1.
fn start(files: &[(String, Tags)], focus: &Focus) -> Vec<f64> {
    let share = |(path, tags): &(String, Tags)| {
        let lower = path.to_lowercase();
        let in_path = focus
            .words
            .iter()
            .filter(|w| w.len() > 2)
            .filter(|word| lower.split(['/', '.', '_', '-']).any(|part| part == word.to_lowercase()))
            .count();
        let defined = tags.definitions.iter().filter(|d| focus.words.contains(&d.name)).count();
        let named = if focus.files.contains(path) { 100.0 } else { 0.0 };
        1e-3 + named + 10.0 * in_path as f64 + 10.0 * defined.min(3) as f64
    };
    let shares: Vec<f64> = files.iter().map(share).collect();
    let total: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / total).collect()
}

fn page_rank(edges: &Edges<'_>, start: &[f64]) -> Vec<f64> {
    let mut ranks = start.to_vec();
    for _ in 0..ROUNDS {
        let mut next: Vec<f64> = start.iter().map(|share| share * (1.0 - DAMPING)).collect();
        let mut dangling = 0.0;
        for (from, out) in edges.iter().enumerate() {
            let total: f64 = out.iter().map(|(_, _, weight)| weight).sum();
            if total == 0.0 {
                dangling += ranks[from];
            }
            for (to, _, weight) in out {
                next[*to] += DAMPING * ranks[from] * weight / total;
            }
        }
        next.iter_mut().zip(start).for_each(|(rank, share)| *rank += DAMPING * dangling * share);
        ranks = next;
    }
    ranks
}
