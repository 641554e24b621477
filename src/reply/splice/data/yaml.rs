//! The mappings of a YAML document by their lines; what is in lists and long texts is left alone.

use std::collections::BTreeSet;
use std::ops::Range;

pub(super) struct Doc {
    /// Where each line lies, without its end.
    lines: Vec<Range<usize>>,
    text: String,
    pub nodes: Vec<Node>,
}

pub(super) struct Node {
    pub key: String,
    pub indent: usize,
    /// Lines, those inside included.
    rows: Range<usize>,
    pub inside: Vec<Node>,
    pub is_list: bool,
    /// It has neither a value nor anything inside.
    pub is_empty: bool,
}

impl Doc {
    pub(super) fn bytes(&self, node: &Node) -> Range<usize> {
        self.lines[node.rows.start].start..self.lines[node.rows.end - 1].end
    }

    /// A node's lines with this indentation.
    pub(super) fn lines_of(&self, node: &Node, indent: usize) -> Vec<String> {
        let line = |range: &Range<usize>| {
            let line = &self.text[range.clone()];
            let blank = line.len() - line.trim_start_matches(' ').len();
            if line.trim().is_empty() {
                String::new()
            } else {
                format!("{}{}", " ".repeat((blank + indent).saturating_sub(node.indent)), line.trim())
            }
        };
        self.lines[node.rows.clone()].iter().map(line).collect()
    }
}

struct Entry {
    indent: usize,
    key: String,
    row: usize,
    has_value: bool,
    is_list: bool,
}

/// Reads one document of mappings; nothing where it is something else.
pub(super) fn read(text: &str) -> Option<Doc> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        lines.push(at..at + line.trim_end_matches(['\n', '\r']).len());
        at += line.len();
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut skipped: Option<usize> = None;
    for (row, range) in lines.iter().enumerate() {
        let line = &text[range.clone()];
        let words = line.trim_start_matches(' ');
        let indent = line.len() - words.len();
        let item = words.starts_with("- ") || words.trim_end() == "-";
        if words.trim().is_empty() || words.starts_with('#') {
            continue;
        }
        if skipped.is_some_and(|key| indent > key || (indent == key && item)) {
            continue;
        }
        skipped = None;
        if line.starts_with("---") && entries.is_empty() {
            continue;
        }
        let last = entries.last_mut();
        if item {
            let last = last.filter(|last| !last.has_value && last.indent <= indent)?;
            last.is_list = true;
            skipped = Some(last.indent);
            continue;
        }
        if last.as_ref().is_some_and(|last| last.has_value && indent > last.indent) {
            // A value that goes on.
            continue;
        }
        let (key, value) = key_of(words)?;
        if matches!(value.chars().next(), Some('|' | '>')) {
            skipped = Some(indent);
        }
        entries.push(Entry { indent, key, row, has_value: !value.is_empty(), is_list: false });
    }
    if entries.is_empty() {
        return None;
    }
    let solid = |rows: Range<usize>| {
        let text = |row: &usize| {
            let line = text[lines[*row].clone()].trim();
            !line.is_empty() && !line.starts_with('#')
        };
        let end = rows.clone().rev().find(text).map_or(rows.start, |row| row) + 1;
        rows.start..end
    };
    let nodes = level(&entries, 0..entries.len(), lines.len(), &solid)?;
    Some(Doc { lines, text: text.to_owned(), nodes })
}

fn level(
    entries: &[Entry],
    range: Range<usize>,
    end_row: usize,
    solid: &dyn Fn(Range<usize>) -> Range<usize>,
) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    let Some(first) = entries.get(range.start).filter(|_| !range.is_empty()) else { return Some(nodes) };
    let mut at = range.start;
    while at < range.end {
        let entry = &entries[at];
        if entry.indent != first.indent {
            return None;
        }
        let next = (at + 1..range.end).find(|other| entries[*other].indent <= entry.indent).unwrap_or(range.end);
        let end = if next < range.end { entries[next].row } else { end_row };
        let inside = level(entries, at + 1..next, end, solid)?;
        nodes.push(Node {
            key: entry.key.clone(),
            indent: entry.indent,
            rows: solid(entry.row..end),
            is_empty: inside.is_empty() && !entry.has_value && !entry.is_list,
            inside,
            is_list: entry.is_list,
        });
        at = next;
    }
    Some(nodes)
}

/// A line's key and the value behind it.
fn key_of(words: &str) -> Option<(String, &str)> {
    let quote = words.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end = match quote {
        Some(quote) => words[1..].find(quote)? + 2,
        None => words.match_indices(':').map(|(at, _)| at).find(|at| {
            let rest = &words[at + 1..];
            rest.is_empty() || rest.starts_with([' ', '\t'])
        })?,
    };
    let (key, rest) = (words[..end].trim(), words[end..].trim_start().strip_prefix(':')?);
    let fits = !key.is_empty() && !key.starts_with(['{', '[', '?', '&', '*', '!', '|', '>', '%', '@']);
    let value = rest.trim();
    let value = if value.starts_with('#') { "" } else { value };
    fits.then(|| (key.to_owned(), value))
}

/// The one mapping inside a document that has all the keys of a part, where its top level has none of them.
pub(super) fn home<'a>(nodes: &'a [Node], part: &[Node]) -> Option<&'a [Node]> {
    fn inside<'a>(nodes: &'a [Node], fits: &dyn Fn(&[Node]) -> bool, out: &mut Vec<&'a [Node]>) {
        for node in nodes {
            if fits(&node.inside) {
                out.push(&node.inside);
            }
            inside(&node.inside, fits, out);
        }
    }
    let has = |nodes: &[Node], key: &str| nodes.iter().any(|node| node.key == key);
    if part.is_empty() || part.iter().any(|node| has(nodes, &node.key)) {
        return None;
    }
    let mut homes = Vec::new();
    inside(nodes, &|nodes| part.iter().all(|node| has(nodes, &node.key)), &mut homes);
    if let [only] = homes.as_slice() { Some(*only) } else { None }
}

pub(super) fn keys(text: &str) -> Option<BTreeSet<String>> {
    fn leaves(prefix: &str, nodes: &[Node], out: &mut BTreeSet<String>) {
        for node in nodes {
            let path = format!("{prefix}/{}", node.key);
            if node.inside.is_empty() {
                out.insert(path);
            } else {
                leaves(&path, &node.inside, out);
            }
        }
    }
    let mut out = BTreeSet::new();
    leaves("", &read(text)?.nodes, &mut out);
    Some(out)
}
