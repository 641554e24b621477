//! What was typed before, newest last, with the draft that was left to look at it.
//!
//! Not for: the file it is kept in (the runner appends to it).

/// How many entries are kept.
pub const ENTRIES_MAX: usize = 1_000;

/// Earlier inputs.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: Vec<String>,
    at: Option<usize>,
    draft: String,
}

impl History {
    pub fn new(mut entries: Vec<String>) -> Self {
        let over = entries.len().saturating_sub(ENTRIES_MAX);
        entries.drain(..over);
        Self { entries, at: None, draft: String::new() }
    }

    pub fn entries(&self) -> &[String] {
        &self.entries
    }

    /// Adds an input, unless it repeats the last one.
    pub fn push(&mut self, text: &str) {
        if !text.trim().is_empty() && self.entries.last().is_none_or(|last| last != text) {
            self.entries.push(text.to_owned());
            if self.entries.len() > ENTRIES_MAX {
                self.entries.remove(0);
            }
        }
        self.rewind();
    }

    /// Forgets where the user had been looking.
    pub fn rewind(&mut self) {
        self.at = None;
        self.draft.clear();
    }

    /// The entry before the one shown; `current` is kept as the draft on the first step.
    pub fn older(&mut self, current: &str) -> Option<&str> {
        let at = match self.at {
            None => self.entries.len().checked_sub(1)?,
            Some(at) => at.checked_sub(1)?,
        };
        if self.at.is_none() {
            current.clone_into(&mut self.draft);
        }
        self.at = Some(at);
        self.entries.get(at).map(String::as_str)
    }

    /// The entry after the one shown, at last the draft.
    pub fn newer(&mut self) -> Option<&str> {
        let at = self.at? + 1;
        if at >= self.entries.len() {
            self.at = None;
            return Some(&self.draft);
        }
        self.at = Some(at);
        self.entries.get(at).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draft_comes_back() {
        let mut history = History::new(vec!["a".into(), "b".into()]);
        assert_eq!(history.older("draft"), Some("b"));
        assert_eq!(history.older("b"), Some("a"));
        assert_eq!(history.older("a"), None);
        assert_eq!(history.newer(), Some("b"));
        assert_eq!(history.newer(), Some("draft"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn repetitions_and_blanks_are_not_kept() {
        let mut history = History::default();
        for text in ["x", "x", "  ", "y"] {
            history.push(text);
        }
        assert_eq!(history.entries(), ["x", "y"]);
    }
}
