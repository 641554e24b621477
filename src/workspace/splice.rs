//! Putting a replacement in a found place: what the edit leaves alone keeps its bytes, what it adds takes
//! the file's indentation and line ending.

use similar::{Algorithm, DiffOp};

use super::lines::{Ending, Line, Lines};
use super::matching::Found;

/// Which lines of `search` the edit removes or replaces.
pub(super) fn touched(search: &[&str], replace: &[&str]) -> Vec<bool> {
    let mut touched = vec![true; search.len()];
    for operation in similar::capture_diff_slices(Algorithm::Myers, search, replace) {
        if let DiffOp::Equal { old_index, len, .. } = operation {
            touched[old_index..old_index + len].fill(false);
        }
    }
    touched
}

/// The file with `replace` in the place of `search`. Nothing where a new line cannot take the file's
/// indentation.
pub(super) fn spliced(file: &Lines, found: &Found, search: &[&str], replace: &[&str]) -> Option<Lines> {
    let mut builder = Builder { file, found, out: Vec::new(), next: found.range.start };
    for operation in similar::capture_diff_slices(Algorithm::Myers, search, replace) {
        match operation {
            DiffOp::Equal { old_index, len, .. } => (old_index..old_index + len).for_each(|at| builder.keep(at)),
            DiffOp::Delete { old_index, old_len, .. } => builder.drop_lines(old_index..old_index + old_len),
            DiffOp::Insert { new_index, new_len, .. } => builder.add(&replace[new_index..new_index + new_len], &[])?,
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                let ends = builder.ends(old_index..old_index + old_len);
                builder.drop_lines(old_index..old_index + old_len);
                builder.add(&replace[new_index..new_index + new_len], &ends)?;
            }
        }
    }
    let Builder { mut out, next, .. } = builder;
    out.extend(file.lines[next..found.range.end].iter().cloned());
    Some(file.splice(found.range.clone(), out))
}

struct Builder<'a> {
    file: &'a Lines,
    found: &'a Found,
    out: Vec<Line>,
    /// The first line of the region that is not yet dealt with.
    next: usize,
}

impl Builder<'_> {
    /// Keeps the file's line behind a search line, and lines the search text left out before it.
    fn keep(&mut self, at: usize) {
        if let Some(index) = self.found.aligned[at] {
            self.out.extend(self.file.lines[self.next..=index].iter().cloned());
            self.next = index + 1;
        }
    }

    fn drop_lines(&mut self, range: std::ops::Range<usize>) {
        let indices: Vec<usize> = range.filter_map(|at| self.found.aligned[at]).collect();
        if let (Some(first), Some(last)) = (indices.first(), indices.last()) {
            self.out.extend(self.file.lines[self.next..*first].iter().cloned());
            self.next = last + 1;
        }
    }

    /// How the file's lines behind these search lines end.
    fn ends(&self, range: std::ops::Range<usize>) -> Vec<Ending> {
        range.filter_map(|at| self.found.aligned[at]).map(|index| self.file.lines[index].ending).collect()
    }

    /// Adds lines; one that takes another's place ends as that did.
    fn add(&mut self, texts: &[&str], ends: &[Ending]) -> Option<()> {
        let convention = self.file.convention();
        for (at, text) in texts.iter().enumerate() {
            let ending = ends.get(at).copied().filter(|ending| *ending != Ending::None).unwrap_or(convention);
            self.out.push(Line { text: self.found.reindent.apply(text)?, ending });
        }
        Some(())
    }
}
