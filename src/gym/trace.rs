//! Thinking as lines of one easy step each, and the check that a free-running model takes those steps.
//!
//! Not for: whether the code holds; that is judged by running it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of thinking and the skill that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub skill: String,
    pub text: String,
}

impl Line {
    pub fn new(skill: &str, text: impl Into<String>) -> Self {
        Self { skill: skill.to_owned(), text: text.into() }
    }
}

/// The lines as the model writes them, each ended by a line break.
pub fn text(lines: &[Line]) -> String {
    lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect()
}

/// How often a skill was called for and how often the line was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub asked: u32,
    pub right: u32,
}

/// What became of a trace that a model wrote by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faith {
    /// By skill. Lines after the first wrong one are not asked: they stand on wrong ground.
    pub skills: BTreeMap<String, Tally>,
    /// Every line is right, and none is missing.
    pub faithful: bool,
}

impl Faith {
    /// Adds another trace's tallies to these.
    pub fn add(&mut self, other: &Self) {
        for (skill, tally) in &other.skills {
            let mine = self.skills.entry(skill.clone()).or_default();
            mine.asked += tally.asked;
            mine.right += tally.right;
        }
    }
}

/// Compares what a model thought with the reference lines, line by line up to the first that differs.
///
/// `thought` is everything before the code fence or the hint. Space around a line does not count.
pub fn check(reference: &[Line], thought: &str) -> Faith {
    let mut written = thought.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut faith = Faith { faithful: true, ..Faith::default() };
    for line in reference {
        let tally = faith.skills.entry(line.skill.clone()).or_default();
        tally.asked += 1;
        if written.next() == Some(line.text.trim()) {
            tally.right += 1;
        } else {
            faith.faithful = false;
            return faith;
        }
    }
    faith.faithful = written.next().is_none();
    faith
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_first_wrong_one_are_not_asked() {
        let reference = [Line::new("add", "3+4=7"), Line::new("sub", "7-2=5"), Line::new("add", "5+1=6")];
        let faith = check(&reference, "3+4=7\n7-2=4\n5+1=6\n");
        assert!(!faith.faithful);
        assert_eq!(faith.skills["add"], Tally { asked: 1, right: 1 });
        assert_eq!(faith.skills["sub"], Tally { asked: 1, right: 0 });
    }

    #[test]
    fn a_trace_that_goes_on_is_not_faithful() {
        let reference = [Line::new("add", "3+4=7")];
        assert!(check(&reference, "3+4=7\n").faithful);
        assert!(!check(&reference, "3+4=7\n7+1=8\n").faithful);
        assert!(!check(&reference, "").faithful);
    }
}
