//! Words that end an answer. Pure.
//!
//! Not for: the model's own end of turn.

use super::split::beginning_at_end;

/// Looks for stop words in a stream of text.
#[derive(Debug, Default)]
pub(super) struct Stops {
    words: Vec<String>,
    held: String,
    found: Option<String>,
}

impl Stops {
    pub(super) fn new(words: Vec<String>) -> Self {
        Self { words, ..Self::default() }
    }

    /// The word that ended the answer.
    pub(super) fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    /// More text; returns what may be shown.
    pub(super) fn push(&mut self, text: &str) -> String {
        if self.found.is_some() {
            return String::new();
        }
        if self.words.is_empty() {
            return text.to_owned();
        }
        self.held.push_str(text);
        let first = self.words.iter().filter_map(|word| Some((self.held.find(word.as_str())?, word))).min();
        if let Some((at, word)) = first {
            self.found = Some(word.clone());
            self.held.truncate(at);
            return std::mem::take(&mut self.held);
        }
        let keep = self.words.iter().map(|word| beginning_at_end(&self.held, word)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        std::mem::replace(&mut self.held, rest)
    }

    /// What was held back at the end.
    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_ends_the_text_before_it_however_it_is_cut() {
        let mut stops = Stops::new(vec!["\nUser:".into(), "END".into()]);
        assert_eq!(stops.push("a\nUs"), "a");
        assert_eq!(stops.push("ed"), "\nUsed");
        assert_eq!(stops.push(" E"), " ");
        assert_eq!(stops.push("ND b"), "");
        assert_eq!(stops.push("more"), "");
        assert_eq!(stops.found(), Some("END"));
        let mut open = Stops::new(vec!["END".into()]);
        assert_eq!((open.push("x EN"), open.finish()), ("x ".into(), "EN".into()));
        assert_eq!(Stops::default().push("END"), "END");
    }
}
