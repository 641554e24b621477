//! Tells thinking from answer in what a model writes. Pure.
//!
//! Between tags where the model has them; before the shift where thinking was asked of one that has none. A tag may come
//! in pieces: what could be its beginning is held back until it is known.
//!
//! Not for: words that end an answer (`stops.rs`) or calls in it (`tools.rs`).

use crate::task::Part;
use crate::traits::ThinkTags;

/// A piece, told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Thought(String),
    Text(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing but white space yet.
    Start,
    /// The thinking has begun; line breaks before it are left out.
    Opened,
    Inside,
    /// The thinking is over; white space before the answer is left out.
    Before,
    Outside,
}

/// Reads one candidate's pieces.
#[derive(Debug)]
pub(super) struct Splitter {
    tags: Option<ThinkTags>,
    unmarked: bool,
    place: Place,
    held: String,
    shifted: bool,
    /// Of an unmarked model: what was taken for thinking until the shift proves it.
    thoughts: String,
}

impl Splitter {
    pub(super) fn new(tags: Option<ThinkTags>, opened: bool, unmarked: bool) -> Self {
        let place = match (&tags, opened) {
            (Some(_), true) => Place::Opened,
            (Some(_), false) => Place::Start,
            (None, _) => Place::Outside,
        };
        Self { tags, unmarked, place, held: String::new(), shifted: false, thoughts: String::new() }
    }

    /// Whether what comes next is thinking, as far as is known.
    pub(super) fn is_thinking(&self) -> bool {
        if self.unmarked { !self.shifted } else { matches!(self.place, Place::Opened | Place::Inside) }
    }

    /// Whether the model has closed its thinking itself.
    pub(super) fn has_closed(&self) -> bool {
        self.tags.is_some() && matches!(self.place, Place::Before | Place::Outside)
    }

    /// A piece of the generation.
    pub(super) fn push(&mut self, part: Part, text: &str) -> Vec<Told> {
        match part {
            Part::Shift => self.shift(text),
            Part::Thinking | Part::Answer if self.unmarked && !self.shifted => {
                self.thoughts.push_str(text);
                vec![Told::Thought(text.to_owned())]
            }
            Part::Thinking | Part::Answer => self.read(text),
        }
    }

    /// The hint is nobody's words; but a fence that it opens is where the answer's code stands.
    fn shift(&mut self, text: &str) -> Vec<Told> {
        let mut told = Vec::new();
        if !self.shifted && self.place == Place::Inside && !self.held.is_empty() {
            told.push(Told::Thought(std::mem::take(&mut self.held)));
        }
        self.shifted = true;
        self.held.clear();
        self.place = if self.tags.is_some() { Place::Before } else { Place::Outside };
        let last = text.lines().last().unwrap_or_default();
        if last.trim_start().starts_with("```") {
            self.place = Place::Outside;
            told.push(Told::Text(format!("{last}\n")));
        }
        told
    }

    fn read(&mut self, text: &str) -> Vec<Told> {
        let mut told = Vec::new();
        self.held.push_str(text);
        loop {
            let before = (self.place, self.held.len());
            self.step(&mut told);
            if (self.place, self.held.len()) == before {
                return told;
            }
        }
    }

    fn step(&mut self, told: &mut Vec<Told>) {
        let Some(tags) = &self.tags else {
            return push(told, Told::Text, std::mem::take(&mut self.held));
        };
        match self.place {
            Place::Start => {
                let start = self.held.trim_start();
                if let Some(rest) = start.strip_prefix(tags.open.as_str()) {
                    (self.held, self.place) = (rest.to_owned(), Place::Opened);
                } else if !tags.open.starts_with(start) {
                    self.place = Place::Outside;
                }
            }
            Place::Opened => {
                self.held = self.held.trim_start_matches('\n').to_owned();
                if !self.held.is_empty() {
                    self.place = Place::Inside;
                }
            }
            Place::Inside => {
                if let Some(at) = self.held.find(&tags.close) {
                    let rest = self.held[at + tags.close.len()..].to_owned();
                    self.held.truncate(at);
                    push(told, Told::Thought, std::mem::replace(&mut self.held, rest));
                    self.place = Place::Before;
                } else {
                    let keep = self.held.len() - beginning_at_end(&self.held, &tags.close);
                    let rest = self.held.split_off(keep);
                    push(told, Told::Thought, std::mem::replace(&mut self.held, rest));
                }
            }
            Place::Before => {
                self.held = self.held.trim_start().to_owned();
                if !self.held.is_empty() {
                    self.place = Place::Outside;
                }
            }
            Place::Outside => push(told, Told::Text, std::mem::take(&mut self.held)),
        }
    }

    /// The end: what was held back, and where an unmarked model ended by itself, that it was the answer.
    pub(super) fn finish(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        let held = std::mem::take(&mut self.held);
        let kind = if self.place == Place::Inside { Told::Thought } else { Told::Text };
        if !held.trim().is_empty() {
            push(&mut told, kind, held);
        }
        if self.unmarked && !self.shifted {
            push(&mut told, Told::Text, std::mem::take(&mut self.thoughts));
        }
        told
    }

    /// Whether what was streamed as thinking turned out to be the answer.
    pub(super) const fn was_answer(&self) -> bool {
        self.unmarked && !self.shifted
    }
}

fn push(told: &mut Vec<Told>, kind: fn(String) -> Told, text: String) {
    if !text.is_empty() {
        told.push(kind(text));
    }
}

/// The length of the longest end of `text` that `word` begins with.
pub(super) fn beginning_at_end(text: &str, word: &str) -> usize {
    let most = word.len().saturating_sub(1).min(text.len());
    (1..=most)
        .rev()
        .find(|&length| text.is_char_boundary(text.len() - length) && word.starts_with(&text[text.len() - length..]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> ThinkTags {
        ThinkTags { open: "<think>".into(), close: "</think>".into(), opened_by_template: false }
    }

    /// Thought and text of these pieces.
    fn read(mut splitter: Splitter, pieces: &[(Part, &str)]) -> (String, String) {
        let mut told: Vec<Told> = pieces.iter().flat_map(|(part, text)| splitter.push(*part, text)).collect();
        told.extend(splitter.finish());
        let (mut thought, mut text) = (String::new(), String::new());
        for told in told {
            match told {
                Told::Thought(words) => thought.push_str(&words),
                Told::Text(words) => text.push_str(&words),
            }
        }
        if splitter.was_answer() { (String::new(), text) } else { (thought, text) }
    }

    fn both(thought: &str, text: &str) -> (String, String) {
        (thought.to_owned(), text.to_owned())
    }

    #[test]
    fn tags_are_found_however_they_are_cut() {
        let whole = "<think>\nso é it <b> is</think>\n\nfour </think>";
        let wanted = both("so é it <b> is", "four </think>");
        for size in 1..whole.len() {
            let characters: Vec<char> = whole.chars().collect();
            let pieces: Vec<String> = characters.chunks(size).map(|chunk| chunk.iter().collect()).collect();
            let pieces: Vec<(Part, &str)> = pieces.iter().map(|piece| (Part::Thinking, piece.as_str())).collect();
            assert_eq!(read(Splitter::new(Some(tags()), false, false), &pieces), wanted, "in pieces of {size}");
        }
    }

    #[test]
    fn thinking_may_be_opened_by_the_prompt_or_missing() {
        let opened = Splitter::new(Some(tags()), true, false);
        assert_eq!(read(opened, &[(Part::Thinking, "a</think>b")]), both("a", "b"));
        let none = Splitter::new(Some(tags()), false, false);
        assert_eq!(read(none, &[(Part::Thinking, "<thin"), (Part::Thinking, "g>")]), both("", "<thing>"));
        let unclosed = Splitter::new(Some(tags()), true, false);
        assert_eq!(read(unclosed, &[(Part::Thinking, "a</thi")]), both("a</thi", ""));
    }

    #[test]
    fn a_shift_ends_thinking_and_its_hint_is_not_shown() {
        let pieces = [(Part::Thinking, "<think>mm"), (Part::Shift, "so\n</think>\n\n"), (Part::Answer, "4")];
        assert_eq!(read(Splitter::new(Some(tags()), false, false), &pieces), both("mm", "4"));
        let pieces = [(Part::Thinking, "mm"), (Part::Shift, "so:\n```python\n"), (Part::Answer, "x")];
        assert_eq!(read(Splitter::new(None, false, true), &pieces), both("mm", "```python\nx"));
    }

    #[test]
    fn an_unmarked_model_that_ends_by_itself_has_answered() {
        assert_eq!(read(Splitter::new(None, false, true), &[(Part::Thinking, "4")]), both("", "4"));
        assert_eq!(read(Splitter::new(None, false, false), &[(Part::Answer, "4")]), both("", "4"));
        assert_eq!(read(Splitter::new(None, false, false), &[(Part::Shift, ""), (Part::Answer, "4")]), both("", "4"));
    }
}
