//! What the model will see, token by token: learnt tokens in one colour, the rest dim, control tokens marked.
//! And the check that has saved more trainings than any other: is the end of the turn in the loss?

use crate::sft::Sequence;

/// How a preview is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// ANSI colours.
    Colour,
    /// Learnt stretches between `⟦` and `⟧`.
    Plain,
}

/// Paints one sequence; `text_of` gives the text of a run of tokens. Runs are decoded whole, since the bytes
/// of one character can be spread over tokens.
pub fn preview(sequence: &Sequence, paint: Paint, text_of: impl Fn(&[u32]) -> String) -> String {
    let (open, close, dim, undim) = match paint {
        Paint::Colour => ("\x1b[32m", "\x1b[0m", "\x1b[2m", "\x1b[0m"),
        Paint::Plain => ("⟦", "⟧", "", ""),
    };
    let mut text = String::new();
    let mut start = 0;
    while start < sequence.len() {
        let learn = sequence.learn[start];
        let end = sequence.learn[start..].iter().position(|&l| l != learn).map_or(sequence.len(), |n| start + n);
        text.push_str(if learn { open } else { dim });
        text.extend(text_of(&sequence.ids[start..end]).chars().map(|c| if c == '\x1b' { '␛' } else { c }));
        text.push_str(if learn { close } else { undim });
        start = end;
    }
    text
}

/// What would make training on this sequence useless, in words; empty where all is well.
pub fn problems(sequence: &Sequence, end_of_turn: u32) -> Vec<String> {
    let mut found = Vec::new();
    if sequence.learnt_tokens() == 0 {
        found.push("nothing is learnt: the loss mask is empty".to_owned());
        return found;
    }
    let last = sequence.learn.iter().rposition(|&learn| learn);
    if last.map(|at| sequence.ids[at]) != Some(end_of_turn) {
        found.push("the end of the turn is not learnt: the model would never stop".to_owned());
    }
    if sequence.learn.first() == Some(&true) {
        found.push("the first token is marked as learnt, but nothing stands before it".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence() -> Sequence {
        Sequence { ids: vec![1, 2, 3, 9], learn: vec![false, false, true, true] }
    }

    #[test]
    fn learnt_stretches_are_marked() {
        assert_eq!(preview(&sequence(), Paint::Plain, |ids| format!("{ids:?}")), "[1, 2]⟦[3, 9]⟧");
        assert_eq!(preview(&sequence(), Paint::Colour, |_| "\x1b[2J".into()).matches("␛[2J").count(), 2);
    }

    #[test]
    fn a_mask_without_an_end_is_a_problem() {
        assert!(problems(&sequence(), 9).is_empty());
        assert_eq!(problems(&sequence(), 8).len(), 1);
        assert_eq!(problems(&Sequence { ids: vec![1], learn: vec![false] }, 9).len(), 1);
    }
}
