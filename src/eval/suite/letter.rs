//! Which option a reply settles on. Pure.

use std::sync::LazyLock;

use regex::Regex;

use crate::verify::suites::last_boxed;

/// Words behind a bare `A` that make a letter of it and not an article.
const REASONS: [&str; 9] = ["because", "since", "as", "for", "due", "given", "is", "by", "with"];

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("invariant: a valid pattern")
}

macro_rules! patterns {
    ($($name:ident = $pattern:expr;)*) => {
        $(static $name: LazyLock<Regex> = LazyLock::new(|| regex($pattern));)*
    };
}

patterns! {
    // LaTeX's fonts and blanks say nothing.
    FONT = r"\\(?:text(?:bf|rm|it|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|bf|rm|boldsymbol|displaystyle)\b";
    BLANK = r"\\[,;:! ]|\\q?quad\b|~";
    DOLLAR = r"\\[()\[\]]";
    WRAPPED = "[*\"'`$\\[{(_\u{201c}\u{2018}]+\\s*([A-Za-z])\\s*[.]?[*\"'`$\\]})_\u{201d}\u{2019}]+";
    // Where a reply gives its answer, and where it may.
    ANSWER = r"(?i)\banswer\s+(?:is|was|must be|should be|would be|will be)\b|\banswer\s*:|\bcorrect\s+(?:option|choice|answer|letter)\s*(?:is\b|:)";
    CHOICE = r"(?i)\b(?:choose|pick|select|go with)\b|\bmust be\b|\b(?:option|choice)\s+is\b";
    TAGGED = r"(?is)<answer>(.*?)</answer>";
    LEAD = r"(?i)^(?:the\s+|correct\s+|option\s+|choice\s+|letter\s+|answer\s+|[\s:=\-])+";
    BRACKETED = r"\(([A-Z])\)|\*\*\(?([A-Z])\)?[.:]?\*\*|\[([A-Z])\]";
    OPTION = r"\b(?:[Oo]ption|[Cc]hoice|OPTION|CHOICE)\s+\(?([A-Z])\b";
    RIGHT = r"\b(?i:option|choice)\s+\(?([A-Z])\)?\s+(?i:is|seems|must be)\s+(?:the\s+)?(?i:correct|right|true|best)\b";
    SEVERAL = r"^\)?\s*(?:,|&|/|and\b|or\b)\s*(?:and\s+|or\s+)?\(?[A-Z]\b\)?\s*(?:[.!]|$|\n|,|and\b|&)";
}

/// The letter of the option that a reply settles on.
pub fn letter_of(text: &str, options: usize) -> Option<char> {
    let fits = |letter: char| {
        let letter = letter.to_ascii_uppercase();
        (letter.is_ascii_uppercase() && ((letter as u8 - b'A') as usize) < options).then_some(letter)
    };
    if let Some(inner) = last_boxed(text) {
        let inner = plain(&inner);
        match begun(&inner).or_else(|| behind(&ANSWER, &inner)) {
            Some(Said::One(letter)) if fits(letter).is_some() => return fits(letter),
            Some(Said::Several) => return None,
            _ => {}
        }
    }
    if let Some(inner) = TAGGED.captures_iter(text).last() {
        return one(begun(&plain(&inner[1]))).and_then(fits);
    }
    let flat = plain(text);
    for mark in [&ANSWER, &CHOICE] {
        match behind(mark, &flat) {
            Some(Said::One(letter)) => return fits(letter),
            Some(Said::Several) => return None,
            None => {}
        }
    }
    let first_group =
        |found: &regex::Captures<'_>| found.iter().skip(1).flatten().next().and_then(|m| m.as_str().chars().next());
    let letters = |pattern: &Regex| {
        pattern.captures_iter(text).filter_map(|found| first_group(&found)).filter_map(fits).collect::<Vec<_>>()
    };
    let options_named = letters(&OPTION);
    letters(&RIGHT)
        .last()
        .copied()
        .or_else(|| letters(&BRACKETED).last().copied())
        .or_else(|| options_named.first().copied().filter(|first| options_named.iter().all(|other| other == first)))
        .or_else(|| one(lone_line(&flat)).and_then(fits))
}

/// What stands where an answer is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    One(char),
    Several,
}

fn one(said: Option<Said>) -> Option<char> {
    match said {
        Some(Said::One(letter)) => Some(letter),
        _ => None,
    }
}

/// A text without fonts, a letter in quotes, stars, dollars or braces standing in brackets.
fn plain(text: &str) -> String {
    let text = FONT.replace_all(text, "");
    let text = DOLLAR.replace_all(&text, "$");
    let text = BLANK.replace_all(&text, " ");
    let text = WRAPPED.replace_all(&text, "($1)");
    text.chars().filter(|sign| !"{}$*`\"".contains(*sign)).collect::<String>().trim().to_owned()
}

/// What the last of these marks is followed by, of those that a letter follows.
fn behind(mark: &Regex, text: &str) -> Option<Said> {
    let marks: Vec<usize> = mark.find_iter(text).map(|found| found.end()).collect();
    marks.into_iter().rev().find_map(|at| begun(&text[at..]))
}

/// The letter that a text begins with, unless it begins a word or is an article.
fn begun(text: &str) -> Option<Said> {
    let text = LEAD.replace(text, "");
    let mut signs = text.chars();
    let first = signs.next()?;
    let (letter, rest) = if first == '(' {
        let letter = signs.next()?;
        (letter, signs.as_str().strip_prefix(')')?)
    } else {
        (first, signs.as_str())
    };
    if !letter.is_ascii_alphabetic() || rest.starts_with(|c: char| c.is_alphanumeric() || "'\u{2019}_".contains(c)) {
        return None;
    }
    if SEVERAL.is_match(rest) {
        return Some(Said::Several);
    }
    let in_brackets = first == '(';
    let goes_on =
        rest.strip_prefix(' ').map(|rest| rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default());
    let is_article = goes_on.is_some_and(|word| !word.is_empty() && !REASONS.contains(&word.to_lowercase().as_str()));
    // `a bit subtle`, `A mixture`, `I think`; any other small letter is one only by itself.
    let needs_care = letter.is_ascii_lowercase() || matches!(letter, 'A' | 'I');
    (in_brackets || !(needs_care && is_article)).then_some(Said::One(letter))
}

/// A letter that has the first or the last line for itself, or begins the text as options are listed.
fn lone_line(text: &str) -> Option<Said> {
    static ALONE: LazyLock<Regex> = LazyLock::new(|| regex(r"^\(?[A-Za-z]\)?[.:]?$"));
    static LISTED: LazyLock<Regex> = LazyLock::new(|| regex(r"^\(?[A-Z](?:[).:]|\)\.)(?:\s|$)"));
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (first, last) = (lines.first()?, lines.last()?);
    [first, last]
        .into_iter()
        .find(|line| ALONE.is_match(line))
        .or(Some(first).filter(|line| LISTED.is_match(line)))
        .and_then(|line| begun(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_found_where_a_reply_settles() {
        for text in [
            "… \\boxed{C}",
            "\\boxed{(C)}",
            "\\boxed{\\text{C}}",
            "\\boxed{\\mathrm{C}}",
            "\\boxed{\\textrm{C}}",
            "\\boxed{Option C}",
            "\\boxed{\\text{Option C}}",
            "\\boxed{\\;C\\;}",
            "\\boxed{\\mathbf{(C)}}",
            "\\boxed{\\bf C}",
            "\\boxed{c}",
            "\\boxed{C. 4}",
            "\\boxed{C: 4}",
            "\\boxed{(C)\\ 4}",
            "\\boxed{A} hmm, no. \\boxed{C}",
            "\\boxed{\\text{The answer is C}}",
            "Answer: $\\boxed{C}$",
            "I think (A) no, the answer is (C).",
            "**Answer: C**",
            "**Answer:** C",
            "The answer is C because",
            "Between (A) and (C) it is (C)",
            "C",
            "(c)",
            "**C**",
            "[C]",
            "\"C\"",
            "`C`",
            "C) 4",
            "C. 4",
            "Option C",
            "option C is correct",
            "Choice C",
            "The correct answer is option C.",
            "The correct answer is (C) 4 m/s.",
            "Therefore, the answer is **(C)**.",
            "The answer is: C",
            "Answer: C) 4",
            "The answer is \\(C\\).",
            "The answer is \\( \\text{C} \\).",
            "The answer is $C$.",
            "The answer is $\\text{C}$",
            "The answer is \"C\".",
            "The answer is `C`.",
            "Answer is C",
            "final answer: C",
            "The correct choice is C.",
            "The correct option is **C**",
            "Correct answer: C",
            "<answer>C</answer>",
            "I pick C because A is wrong",
            "The answer is\n\nC",
            "The answer is\n\n**C**",
            "The answer is choice (C).",
            "So it must be C",
            "The answer is not (A) but (C).",
            "The correct answer is a mixture of both, so (C).",
            "The answer is a bit subtle. I choose (C).",
            "The answer is (C). Option (A) is wrong, and so is (D).",
            "Answer: C\n\nExplanation: (A) is wrong",
            "The answer isn't (A), so (C)",
            "Long reasoning.\nC",
        ] {
            assert_eq!(letter_of(text, 4), Some('C'), "{text}");
        }
        assert_eq!(letter_of("Answer: A. The other options (B), (C) are wrong", 4), Some('A'));
        assert_eq!(letter_of("The answer is A because of B", 4), Some('A'));
        assert_eq!(letter_of("a", 4), Some('A'));
    }

    #[test]
    fn no_letter_and_several_are_none() {
        for text in [
            "A long story about nothing",
            "\\boxed{E}",
            "\\boxed{AC}",
            "\\boxed{A, C}",
            "\\boxed{4}",
            "A and C",
            "I am not sure",
            "The answer is E.",
            "The answer is (A) and (C).",
            "Option A or option B",
            "",
            "The answer is a mixture.",
        ] {
            assert_eq!(letter_of(text, 4), None, "{text}");
        }
    }
}
