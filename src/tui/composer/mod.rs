//! The line where the user types: a text with a cursor, undo, folded pastes, history and completion.
//!
//! Pure. Not for: keys (`app/` turns them into calls) and reading files.

pub mod complete;
pub mod history;
mod layout;

use unicode_segmentation::UnicodeSegmentation;

pub use complete::Completion;
pub use history::History;
pub use layout::Layout;

use super::text::clean;

/// A pasted text longer than this is folded to a label.
const PASTE_LINES_SHOWN_MAX: usize = 8;
const PASTE_BYTES_SHOWN_MAX: usize = 800;
/// A paste is cut here; nobody types this much, and no context holds it.
pub const PASTE_BYTES_MAX: usize = 4 << 20;
const UNDO_STEPS_MAX: usize = 200;
/// A folded paste is one character of this private plane, numbered from here.
const PASTE_MARK: u32 = 0xF_0000;
const PASTES_MAX: u32 = 0xFFFD;

/// What the last change was: typing is undone in runs, everything else by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Change {
    #[default]
    None,
    Typing,
    Erasing,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Snapshot {
    text: String,
    cursor: usize,
}

/// A text being written.
#[derive(Clone, Debug, Default)]
pub struct Composer {
    text: String,
    /// A byte offset, always between graphemes.
    cursor: usize,
    pastes: Vec<String>,
    undo: Vec<Snapshot>,
    redo: Vec<Snapshot>,
    change: Change,
    pub history: History,
    pub completion: Option<Completion>,
}

impl Composer {
    /// An empty composer that remembers.
    pub fn with_history(history: History) -> Self {
        Self { history, ..Self::default() }
    }

    /// The text as shown, each folded paste one private character.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text with its pastes unfolded.
    pub fn full_text(&self) -> String {
        let mut full = String::with_capacity(self.text.len());
        for c in self.text.chars() {
            match paste_index(c).and_then(|index| self.pastes.get(index)) {
                Some(paste) => full.push_str(paste),
                None => full.push(c),
            }
        }
        full
    }

    /// Takes the text out, leaving an empty composer; pastes are unfolded.
    pub fn take(&mut self) -> String {
        let full = self.full_text();
        let history = std::mem::take(&mut self.history);
        *self = Self { history, ..Self::default() };
        self.history.rewind();
        full
    }

    /// Replaces the whole text, as one undoable step.
    pub fn set(&mut self, text: &str) {
        self.remember(Change::None);
        self.text = typed(text);
        self.cursor = self.text.len();
        self.completion = None;
    }

    /// Inserts typed text at the cursor.
    pub fn insert(&mut self, text: &str) {
        let text = typed(text);
        self.remember(if text.trim().is_empty() { Change::None } else { Change::Typing });
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
    }

    /// Inserts pasted text; a large one is folded.
    pub fn paste(&mut self, text: &str) {
        let mut end = text.len().min(PASTE_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = typed(&text[..end].replace("\r\n", "\n").replace('\r', "\n"));
        self.remember(Change::None);
        let large = text.len() > PASTE_BYTES_SHOWN_MAX || text.lines().count() > PASTE_LINES_SHOWN_MAX;
        match paste_mark(self.pastes.len()).filter(|_| large) {
            Some(mark) => {
                self.pastes.push(text);
                self.text.insert(self.cursor, mark);
                self.cursor += mark.len_utf8();
            }
            None => {
                self.text.insert_str(self.cursor, &text);
                self.cursor += text.len();
            }
        }
    }

    /// The label of a folded paste, where the character is one.
    pub fn label(&self, c: char) -> Option<String> {
        let index = paste_index(c)?;
        let paste = self.pastes.get(index)?;
        Some(format!("[paste #{}: {} lines]", index + 1, paste.lines().count()))
    }

    // Moving.

    pub fn left(&mut self) {
        self.cursor = self.before(self.cursor);
        self.change = Change::None;
    }

    pub fn right(&mut self) {
        self.cursor = self.after(self.cursor);
        self.change = Change::None;
    }

    pub fn word_left(&mut self) {
        self.cursor = self.word_start();
    }

    pub fn word_right(&mut self) {
        let rest = &self.text[self.cursor..];
        let blank = rest.len() - rest.trim_start_matches(|c: char| !c.is_alphanumeric()).len();
        let word = rest[blank..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - blank);
        self.cursor += blank + word;
    }

    pub fn line_start(&mut self) {
        self.cursor = self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1);
    }

    pub fn line_end(&mut self) {
        self.cursor += self.text[self.cursor..].find('\n').unwrap_or(self.text.len() - self.cursor);
    }

    /// Moves by screen rows at this width; `false` where there is no such row.
    pub fn vertical(&mut self, width: usize, down: bool) -> bool {
        let layout = Layout::new(self, width);
        let (x, y) = layout.cursor;
        let target = if down { y + 1 } else { y.wrapping_sub(1) };
        let Some(at) = layout.index_at(self, target, x) else { return false };
        self.cursor = at;
        self.change = Change::None;
        true
    }

    // Erasing.

    pub fn backspace(&mut self) {
        self.erase(self.before(self.cursor), self.cursor, Change::Erasing);
    }

    pub fn delete(&mut self) {
        self.erase(self.cursor, self.after(self.cursor), Change::Erasing);
    }

    pub fn erase_word(&mut self) {
        self.erase(self.word_start(), self.cursor, Change::None);
    }

    pub fn erase_to_start(&mut self) {
        let end = self.cursor;
        let start = self.text[..end].rfind('\n').map_or(0, |at| at + 1);
        // At a line's beginning the line end itself goes.
        self.erase(if start == end { self.before(end) } else { start }, end, Change::None);
    }

    pub fn erase_to_end(&mut self) {
        let start = self.cursor;
        let end = start + self.text[start..].find('\n').unwrap_or(self.text.len() - start);
        self.erase(start, if start == end { self.after(end) } else { end }, Change::None);
    }

    /// Replaces a range by a text and puts the cursor after it.
    pub fn replace(&mut self, range: std::ops::Range<usize>, text: &str) {
        self.remember(Change::None);
        let text = typed(text);
        self.cursor = range.start + text.len();
        self.text.replace_range(range, &text);
    }

    fn erase(&mut self, start: usize, end: usize, change: Change) {
        if start < end {
            self.remember(change);
            self.text.replace_range(start..end, "");
            self.cursor = start;
        }
    }

    // Undo.

    pub fn undo(&mut self) {
        self.swap_state(true);
    }

    pub fn redo(&mut self) {
        self.swap_state(false);
    }

    fn swap_state(&mut self, back: bool) {
        let (from, to) = if back { (&mut self.undo, &mut self.redo) } else { (&mut self.redo, &mut self.undo) };
        if let Some(other) = from.pop() {
            to.push(Snapshot { text: std::mem::replace(&mut self.text, other.text), cursor: self.cursor });
            self.cursor = other.cursor;
            self.change = Change::None;
        }
    }

    fn remember(&mut self, change: Change) {
        self.redo.clear();
        if change == Change::None || change != self.change {
            self.undo.push(Snapshot { text: self.text.clone(), cursor: self.cursor });
            if self.undo.len() > UNDO_STEPS_MAX {
                self.undo.remove(0);
            }
        }
        self.change = change;
    }

    // Graphemes.

    fn before(&self, at: usize) -> usize {
        self.text[..at].grapheme_indices(true).next_back().map_or(0, |(start, _)| start)
    }

    fn after(&self, at: usize) -> usize {
        self.text[at..].graphemes(true).next().map_or(at, |grapheme| at + grapheme.len())
    }

    fn word_start(&self) -> usize {
        let text = self.text[..self.cursor].trim_end_matches(|c: char| !c.is_alphanumeric());
        text.rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8))
    }
}

fn paste_index(c: char) -> Option<usize> {
    (c as u32).checked_sub(PASTE_MARK).filter(|index| *index < PASTES_MAX).map(|index| index as usize)
}

fn paste_mark(index: usize) -> Option<char> {
    u32::try_from(index).ok().filter(|index| *index < PASTES_MAX).and_then(|index| char::from_u32(PASTE_MARK + index))
}

/// Clean, and without characters that would pass for a folded paste.
fn typed(text: &str) -> String {
    clean::visible(text).chars().filter(|c| paste_index(*c).is_none()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composer(text: &str) -> Composer {
        let mut composer = Composer::default();
        composer.insert(text);
        composer
    }

    #[test]
    fn the_cursor_moves_by_graphemes() {
        let mut c = composer("a👩‍💻é");
        c.left();
        c.left();
        assert_eq!(c.cursor(), 1);
        c.right();
        c.backspace();
        assert_eq!(c.text(), "aé");
    }

    #[test]
    fn words_and_lines_are_erased() {
        let mut c = composer("one two_three\nfour five");
        c.erase_word();
        assert_eq!(c.text(), "one two_three\nfour ");
        c.erase_to_start();
        assert_eq!(c.text(), "one two_three\n");
        c.erase_to_start();
        c.erase_word();
        assert_eq!(c.text(), "one ");
    }

    #[test]
    fn typing_is_undone_in_runs() {
        let mut c = Composer::default();
        for letter in ["h", "i", " ", "y", "o"] {
            c.insert(letter);
        }
        c.undo();
        assert_eq!(c.text(), "hi ");
        c.undo();
        c.undo();
        assert_eq!(c.text(), "");
        c.redo();
        assert_eq!(c.text(), "hi");
    }

    #[test]
    fn a_large_paste_is_one_character_that_unfolds() {
        let long = "line\r\n".repeat(20);
        let mut c = composer("see ");
        c.paste(&long);
        assert_eq!(c.text().chars().count(), 5);
        assert_eq!(c.label(c.text().chars().last().unwrap()).unwrap(), "[paste #1: 20 lines]");
        assert_eq!(c.full_text(), format!("see {}", "line\n".repeat(20)));
        c.backspace();
        assert_eq!(c.take(), "see ");
    }

    #[test]
    fn nobody_can_type_a_folded_paste_or_an_escape() {
        assert_eq!(composer("a\u{F0000}b\u{1B}[2J").text(), "ab␛[2J");
    }

    #[test]
    fn up_and_down_follow_the_screen() {
        let mut c = composer("abcdef\nxy");
        assert!(c.vertical(4, false));
        assert!(c.vertical(4, false));
        assert_eq!(c.cursor(), 2);
        assert!(!c.vertical(4, false));
    }
}
