//! Where a reply that left a text comes back to it. Pure.

/// Letters and digits that two lines in a row must have together to be a place that is known again, and one line alone.
const LETTERS_MIN: usize = 6;
const LETTERS_ALONE_MIN: usize = 12;

/// Lines of the old text that the new one may leave out until they meet; it may bring as many as it likes.
const LINES_APART_MAX: usize = 12;

/// How far the new text goes until it says what the old one says, and where the old one goes on: both in bytes. `old` and
/// `new` begin at the same place of a text; what comes first is the rest of a line.
///
/// A line that stands in both is where they meet, as near as possible; one that says little, with the line behind it.
pub(super) fn rejoin(old: &str, new: &str) -> Option<(usize, usize)> {
    let (old, new) = (lines(old), lines(new));
    let same = |at: usize, line: &Line<'_>| old.get(at).is_some_and(|old| old.text == line.text);
    let near = |at: usize| 1..old.len().min(at + LINES_APART_MAX + 1);
    (1..new.len()).find_map(|at| {
        let (one, next) = (&new[at], new.get(at + 1));
        if letters(one.text) >= LETTERS_ALONE_MIN {
            let known = near(at).find(|&known| same(known, one))?;
            return Some((one.end, old[known].end));
        }
        let next = next.filter(|next| letters(one.text) + letters(next.text) >= LETTERS_MIN)?;
        let known = near(at).find(|&known| same(known, one) && same(known + 1, next))?;
        Some((next.end, old[known + 1].end))
    })
}

struct Line<'a> {
    text: &'a str,
    /// Behind its line break.
    end: usize,
}

/// The lines that have an end.
fn lines(text: &str) -> Vec<Line<'_>> {
    let mut end = 0;
    let mut all = Vec::new();
    for text in text.split_inclusive('\n').filter(|text| text.ends_with('\n')) {
        end += text.len();
        all.push(Line { text, end });
    }
    all
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "of(a) {\n  call(a);\n  count += 1;\n}\nreturn count;\n";

    fn joined(new: &str) -> Option<String> {
        rejoin(OLD, new).map(|(new_end, old_end)| format!("{}{}", &new[..new_end], &OLD[old_end..]))
    }

    #[test]
    fn two_known_lines_are_where_the_texts_meet() {
        let new = "of([...a]) {\n  call(a);\n  count += 1;\n";
        assert_eq!(joined(new).as_deref(), Some("of([...a]) {\n  call(a);\n  count += 1;\n}\nreturn count;\n"));
        assert_eq!(joined(&new[..new.len() - 1]), None, "a line is known by its end");
        let left_out = "of(a) {\n  count += 1;\n}\n";
        assert_eq!(joined(left_out).as_deref(), Some("of(a) {\n  count += 1;\n}\nreturn count;\n"));
    }

    #[test]
    fn one_line_that_says_enough_is_a_place() {
        let (old, new) = ("1\nlet listeners = this.all;\nb()\n", "2\nlet listeners = this.all;\n");
        assert_eq!(rejoin(old, new), Some((new.len(), old.len() - 4)));
        assert_eq!(rejoin(old, &new[2..]), None, "what comes first is the rest of a line");
    }

    #[test]
    fn much_may_come_and_little_may_go() {
        let line = "let total = this.sum;\n";
        let brings = format!("2\n{}{line}", "more();\n".repeat(30));
        let old = format!("1\n{line}");
        assert_eq!(rejoin(&old, &brings), Some((brings.len(), old.len())));
        let far = |lines: usize| format!("1\n{}{line}", "gone();\n".repeat(lines));
        assert!(rejoin(&far(10), &format!("2\n{line}")).is_some() && rejoin(&far(20), &format!("2\n{line}")).is_none());
    }

    #[test]
    fn brackets_alone_are_no_place() {
        assert_eq!(rejoin("a\n}\n}\nb()\n", "x\n}\n}\n"), None);
        assert_eq!(joined("of(a) {\n  other(a);\n  and(more);\n"), None);
        assert_eq!(joined(""), None);
    }
}
