//! The review of a proposed change: files, hunks, what the user takes and leaves.
//!
//! Pure. Not for: writing anything; the decision goes to the agent.

use similar::TextDiff;

use crate::event::{Decision, FileChange};
use crate::tui::composer::Composer;
use crate::tui::text::clean;

/// Lines around a change.
const CONTEXT_LINES: usize = 3;

/// A line of a hunk, without its sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffLine {
    Same(String),
    Added(String),
    Removed(String),
    /// `\ No newline at end of file`
    Remark(String),
}

/// One stretch of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    pub header: String,
    pub lines: Vec<DiffLine>,
    pub taken: bool,
}

/// One file of the proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewFile {
    pub path: String,
    pub added: u32,
    pub removed: u32,
    pub hunks: Vec<Hunk>,
    pub after: Option<String>,
    /// The whole content as the user rewrote it.
    pub edited: Option<String>,
    before: Option<String>,
}

/// A proposal on the user's desk.
#[derive(Clone, Debug)]
pub struct Review {
    pub patch_id: u64,
    pub files: Vec<ReviewFile>,
    pub file: usize,
    pub hunk: usize,
    /// Rows scrolled past the selected hunk's head.
    pub scroll: usize,
    /// The remark being written for *ask again*.
    pub remark: Option<Composer>,
}

impl Review {
    /// Reads the proposal. The hunks are those of `diff`; a file that it does not show is compared here.
    pub fn new(patch_id: u64, diff: &str, files: &[FileChange]) -> Self {
        let mut sections = sections(diff);
        let files = files
            .iter()
            .map(|file| {
                let at = sections.iter().position(|(path, _)| path == &file.path);
                let hunks = at.map(|at| sections.swap_remove(at).1).filter(|hunks| !hunks.is_empty());
                let own = || compared(file.before.as_deref().unwrap_or(""), file.after.as_deref().unwrap_or(""));
                ReviewFile {
                    path: clean::one_line(&file.path),
                    added: file.added_lines,
                    removed: file.removed_lines,
                    hunks: hunks.unwrap_or_else(own),
                    after: file.after.clone(),
                    edited: None,
                    before: file.before.clone(),
                }
            })
            .collect();
        Self { patch_id, files, file: 0, hunk: 0, scroll: 0, remark: None }
    }

    /// Goes to the next or previous hunk, over the files' borders.
    pub fn step(&mut self, down: bool) {
        let all = self.positions();
        let at = all.iter().position(|p| *p == (self.file, self.hunk)).unwrap_or(0);
        let next = if down { (at + 1).min(all.len().saturating_sub(1)) } else { at.saturating_sub(1) };
        if let Some((file, hunk)) = all.get(next) {
            (self.file, self.hunk, self.scroll) = (*file, *hunk, 0);
        }
    }

    pub fn step_file(&mut self, down: bool) {
        let n = self.files.len().max(1);
        self.file = (self.file + if down { 1 } else { n - 1 }) % n;
        (self.hunk, self.scroll) = (0, 0);
    }

    fn positions(&self) -> Vec<(usize, usize)> {
        let hunks = |(file, f): (usize, &ReviewFile)| (0..f.hunks.len().max(1)).map(move |hunk| (file, hunk));
        self.files.iter().enumerate().flat_map(hunks).collect()
    }

    pub fn toggle_hunk(&mut self) {
        if let Some(hunk) = self.files.get_mut(self.file).and_then(|file| file.hunks.get_mut(self.hunk)) {
            hunk.taken = !hunk.taken;
        }
    }

    /// Takes the whole file, or leaves it where it is taken already.
    pub fn toggle_file(&mut self) {
        if let Some(file) = self.files.get_mut(self.file) {
            let take = !file.hunks.iter().all(|hunk| hunk.taken);
            file.hunks.iter_mut().for_each(|hunk| hunk.taken = take);
        }
    }

    /// The current file's content after the user rewrote it.
    pub fn set_edited(&mut self, content: String) {
        if let Some(file) = self.files.get_mut(self.file) {
            file.hunks = compared(file.before.as_deref().unwrap_or(""), &content);
            let count = |added: bool| {
                let hit = |line: &&DiffLine| {
                    matches!((line, added), (DiffLine::Added(_), true) | (DiffLine::Removed(_), false))
                };
                file.hunks.iter().flat_map(|hunk| &hunk.lines).filter(hit).count() as u32
            };
            (file.added, file.removed) = (count(true), count(false));
            file.edited = Some(content);
            (self.hunk, self.scroll) = (0, 0);
        }
    }

    /// The content that *edit* begins with.
    pub fn to_edit(&self) -> Option<(&str, &str)> {
        let file = self.files.get(self.file)?;
        Some((&file.path, file.edited.as_deref().or(file.after.as_deref())?))
    }

    /// The diff as plain lines.
    pub fn plain(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for file in &self.files {
            lines.push(format!("change {} (+{} -{})", file.path, file.added, file.removed));
            for hunk in &file.hunks {
                lines.push(hunk.header.trim_end().to_owned());
                lines.extend(hunk.lines.iter().map(|line| match line {
                    DiffLine::Same(text) => format!(" {text}"),
                    DiffLine::Added(text) => format!("+{text}"),
                    DiffLine::Removed(text) => format!("-{text}"),
                    DiffLine::Remark(text) => text.clone(),
                }));
            }
        }
        lines
    }

    /// Hunks taken, and hunks in all.
    pub fn counts(&self) -> (usize, usize) {
        let hunks = || self.files.iter().flat_map(|file| &file.hunks);
        (hunks().filter(|hunk| hunk.taken).count(), hunks().count())
    }

    /// What *accept* means as things stand.
    ///
    /// An edited file is accepted whole: its hunks are the user's own. Where some files are edited and
    /// hunks of others were left out, the others' content is put together here.
    pub fn decision(&self) -> Decision {
        let (taken, all) = self.counts();
        let edited: Vec<usize> = (0..self.files.len()).filter(|at| self.files[*at].edited.is_some()).collect();
        if taken == all && edited.is_empty() {
            return Decision::Accept;
        }
        if taken == 0 && all > 0 {
            return Decision::Reject;
        }
        if edited.is_empty() {
            let hunks = self.files.iter().enumerate().flat_map(|(file, f)| {
                f.hunks.iter().enumerate().filter(|(_, hunk)| hunk.taken).map(move |(hunk, _)| (file, hunk))
            });
            return Decision::AcceptHunks(hunks.collect());
        }
        let rewritten = |(at, file): (usize, &ReviewFile)| {
            let partial = file.hunks.iter().any(|hunk| !hunk.taken);
            (file.edited.is_some() || partial).then(|| (at, file.content_as_taken()))
        };
        Decision::AcceptEdited(self.files.iter().enumerate().filter_map(rewritten).collect())
    }
}

impl ReviewFile {
    /// The file with the taken hunks only.
    fn content_as_taken(&self) -> String {
        let before = self.before.as_deref().unwrap_or("");
        let after = self.edited.as_deref().or(self.after.as_deref()).unwrap_or("");
        let diff = TextDiff::from_lines(before, after);
        let old: Vec<&str> = before.split_inclusive('\n').collect();
        let mut content = String::new();
        let mut at = 0;
        for (group, hunk) in diff.grouped_ops(CONTEXT_LINES).iter().zip(&self.hunks) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            let range = first.old_range().start..last.old_range().end;
            content.extend(old[at..range.start].iter().copied());
            if hunk.taken {
                let lines = group.iter().flat_map(|op| diff.iter_changes(op));
                content.extend(lines.filter(|c| c.tag() != similar::ChangeTag::Delete).map(|c| c.value()));
            } else {
                content.extend(old[range.clone()].iter().copied());
            }
            at = range.end;
        }
        content.extend(old[at..].iter().copied());
        content
    }
}

/// The hunks between two texts.
fn compared(before: &str, after: &str) -> Vec<Hunk> {
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff()
        .context_radius(CONTEXT_LINES)
        .iter_hunks()
        .map(|hunk| {
            let lines = hunk.iter_changes().map(|change| {
                let text = clean::visible(change.value().trim_end_matches(['\n', '\r'])).into_owned();
                match change.tag() {
                    similar::ChangeTag::Equal => DiffLine::Same(text),
                    similar::ChangeTag::Insert => DiffLine::Added(text),
                    similar::ChangeTag::Delete => DiffLine::Removed(text),
                }
            });
            Hunk { header: hunk.header().to_string(), lines: lines.collect(), taken: true }
        })
        .collect()
}

/// A unified diff's files with their hunks. Line counts in the hunk heads are believed, so that content
/// that looks like a head is content.
fn sections(diff: &str) -> Vec<(String, Vec<Hunk>)> {
    let mut sections: Vec<(String, Vec<Hunk>)> = Vec::new();
    let mut lines = diff.lines().peekable();
    let mut old_path = String::new();
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("--- ") {
            old_path = bare_path(path);
        } else if let Some(path) = line.strip_prefix("+++ ") {
            let path = bare_path(path);
            sections.push((if path == "/dev/null" { std::mem::take(&mut old_path) } else { path }, Vec::new()));
        } else if let (Some((old, new)), Some((_, hunks))) = (counts_in(line), sections.last_mut()) {
            hunks.push(Hunk { header: clean::one_line(line), lines: body(&mut lines, old, new), taken: true });
        }
    }
    sections
}

fn bare_path(path: &str) -> String {
    let path = path.split('\t').next().unwrap_or(path).trim();
    path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path).to_owned()
}

/// The line counts of `@@ -a,b +c,d @@`.
fn counts_in(line: &str) -> Option<(usize, usize)> {
    let mut words = line.strip_prefix("@@ -")?.split(' ');
    let count = |word: &str| word.split_once(',').map_or(Some(1), |(_, n)| n.parse().ok());
    let old = count(words.next()?)?;
    let new = count(words.next()?.strip_prefix('+')?)?;
    Some((old, new))
}

fn body<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>, old: usize, new: usize) -> Vec<DiffLine> {
    let (mut old, mut new) = (old, new);
    let mut body = Vec::new();
    while let Some(line) = lines.peek() {
        let text = |from: usize| clean::visible(line.get(from..).unwrap_or("")).into_owned();
        let next = match line.chars().next() {
            Some('\\') => DiffLine::Remark(text(0)),
            _ if old == 0 && new == 0 => break,
            Some('+') if new > 0 => {
                new -= 1;
                DiffLine::Added(text(1))
            }
            Some('-') if old > 0 => {
                old -= 1;
                DiffLine::Removed(text(1))
            }
            // Some tools write an unchanged empty line without its blank.
            Some(' ') | None => {
                (old, new) = (old.saturating_sub(1), new.saturating_sub(1));
                DiffLine::Same(text(1))
            }
            _ => break,
        };
        body.push(next);
        lines.next();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n";
    const AFTER: &str = "A\nb\nc\nd\ne\nf\ng\nh\ni\nj\nK\n";

    fn change(path: &str) -> FileChange {
        FileChange {
            path: path.to_owned(),
            added_lines: 2,
            removed_lines: 2,
            before: Some(BEFORE.to_owned()),
            after: Some(AFTER.to_owned()),
        }
    }

    fn review() -> Review {
        let diff = TextDiff::from_lines(BEFORE, AFTER).unified_diff().header("a/x.txt", "b/x.txt").to_string();
        Review::new(7, &diff, &[change("x.txt"), change("y.txt")])
    }

    #[test]
    fn hunks_come_from_the_diff_or_from_the_contents() {
        let review = review();
        assert_eq!(review.files[0].hunks, review.files[1].hunks);
        assert_eq!(review.counts(), (4, 4));
        assert_eq!(review.decision(), Decision::Accept);
    }

    #[test]
    fn leaving_hunks_names_the_taken_ones() {
        let mut review = review();
        review.step(true);
        review.toggle_hunk();
        assert_eq!(review.decision(), Decision::AcceptHunks(vec![(0, 0), (1, 0), (1, 1)]));
        review.toggle_file();
        review.toggle_file();
        review.step_file(true);
        review.toggle_file();
        assert_eq!(review.decision(), Decision::Reject);
    }

    #[test]
    fn an_edited_file_goes_whole_and_the_others_as_taken() {
        let mut review = review();
        review.set_edited("mine\n".to_owned());
        review.step_file(true);
        review.toggle_hunk();
        let kept = BEFORE.replace("k\n", "K\n");
        assert_eq!(review.decision(), Decision::AcceptEdited(vec![(0, "mine\n".to_owned()), (1, kept)]));
    }

    #[test]
    fn content_that_looks_like_a_head_is_content() {
        let diff = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/y\n+++ b/y\n same\n\\ No newline at end of file\n";
        let found = sections(diff);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1[0].lines[0], DiffLine::Removed("-- a/y".to_owned()));
        assert_eq!(found[0].1[0].lines.len(), 4);
    }
}
