//! Where in a reply the final answer is.

use std::sync::LazyLock;

use regex::Regex;

use super::announce::{ANSWER_WORDS_MAX, Mark, announced, chosen};
use super::form;
use super::plain::{self, pattern};
use super::prose::{Formula, MONEY, concluding_number, formulas, said, sentence};

/// Longest text between two boxes that belong to one answer.
const BETWEEN_BOXES_MAX: usize = 60;

/// The final answer of a reply: what it boxes last, else what it says the answer is, else its last formula or number.
/// What stands in its thinking is not said. `None` where there is nothing of the kind.
pub fn answer(text: &str) -> Option<String> {
    let text = said(text)?;
    answer_said(&text).map(|found| found.replace(MONEY, ""))
}

fn answer_said(text: &str) -> Option<String> {
    if let Some((boxed, end)) = boxes(text) {
        let behind = &text[end..];
        // Who announces a final answer behind the last box means what is announced.
        let doubted = behind.trim_start_matches(['$', ' ', ')', '\\']).starts_with('?');
        let later = announced(behind, Mark::Final, true)
            .or_else(|| if doubted { announced(behind, Mark::Answer, true) } else { None });
        return Some(later.unwrap_or(boxed));
    }
    for mark in [Mark::Answer, Mark::Result] {
        if let Some(said) = announced(text, mark, false) {
            return Some(said);
        }
    }
    let few_words = text.split_whitespace().count() <= ANSWER_WORDS_MAX;
    if few_words && !text.is_empty() && !is_prose(text) && form::is_answer(text) {
        return Some(text.to_owned());
    }
    concluded(text)
}

static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:[a-zA-Z]{1,3}|\\[a-oq-z][a-z]+)(?:_\{?\w+\}?)?$"));

/// The last formula, or a number behind it in the sentence that ends the reply.
fn concluded(text: &str) -> Option<String> {
    let all = formulas(text);
    let Some((from, to, last)) = all.last() else { return concluding_number(text) };
    // What is said of a formula's number in its own sentence is no other answer: "there are 9 divisors of 196".
    let numeric = last.contains(|c: char| c.is_ascii_digit());
    let rest = &text[*to..];
    let later = if numeric { rest.get(sentence(rest).len()..).unwrap_or_default() } else { rest };
    if let Some(number) = concluding_number(later) {
        return Some(number);
    }
    let start = text[..*from].rfind(['.', '\n']).map_or(0, |at| at + 1);
    let ending: Vec<_> = all.iter().filter(|(from, ..)| *from >= start).cloned().collect();
    // "12 is the value of x"
    if NAME.is_match(last) {
        let before = ending.iter().rev().find(|(.., formula)| formula.contains(|c: char| c.is_ascii_digit()));
        let number = before.map(|(.., formula)| formula.clone()).or_else(|| concluding_number(&text[start..*from]));
        if number.is_some() {
            return number;
        }
    }
    if let Some(stated) = stated(text, &ending) {
        return Some(stated);
    }
    let joined = chosen(text, &ending);
    // Only what is joined to the last one, and no steps to it.
    let steps = ending.len() > 1 && ending.iter().any(|(.., formula)| formula.matches('=').count() > 1);
    Some(if joined.ends_with(last.as_str()) && !steps { joined } else { last.clone() })
}

/// "There are 6 of them below 20": what a sentence states, where its later formulas only say of what.
fn stated(text: &str, formulas: &[Formula]) -> Option<String> {
    static STATES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)\b(?:is|are|equals|was|were|be|get|gives|has|have|takes?|needs?) (?:thus |therefore |exactly |only |then )?$",
        )
    });
    static OF: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:by|than|of|when|for|with|from|in|where|on|if|below|above|under|over|modulo|mod) $")
    });
    let before = |index: usize| {
        let from = index.checked_sub(1).map_or(0, |before| formulas[before].1);
        &text[from..formulas[index].0]
    };
    let at = (0..formulas.len()).rfind(|index| STATES.is_match(before(*index)))?;
    let only_of = (at + 1..formulas.len()).all(|index| OF.is_match(before(index)));
    (at + 1 < formulas.len() && only_of).then(|| formulas[at].2.clone())
}

/// Whether a text has words besides those that belong to numbers.
fn is_prose(text: &str) -> bool {
    const OF_NUMBERS: [&str; 6] = ["and", "or", "pct", "percent", "degrees", "dollars"];
    let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_matches([',', ':', '.', ';'])).collect();
    let plain = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_alphabetic() || c == '\'');
    words.len() > 1 && words.iter().any(|word| plain(word) && !OF_NUMBERS.contains(word))
}

/// The right answer: the row's text, or the answer in it where the row has a whole solution.
pub(super) fn of_gold(text: &str) -> String {
    if let Some((boxed, _)) = boxes(text) {
        return boxed;
    }
    if text.split_whitespace().count() > 4 * ANSWER_WORDS_MAX
        && let Some(found) = answer(text)
    {
        return found;
    }
    text.to_owned()
}

/// A box: where it begins and ends, and what is in it.
type Box = Formula;

/// The last boxes of a text: one, or several that a comma or an "and" joins; and where they end.
fn boxes(text: &str) -> Option<(String, usize)> {
    let mut found: Vec<Box> = Vec::new();
    let mut inside = 0;
    for (at, mark) in marks(text) {
        // A box inside a box says nothing more.
        if at < inside {
            continue;
        }
        let after = at + mark;
        let rest = &text[after..];
        let lead = rest.len() - rest.trim_start().len();
        let Some(inner) = rest.trim_start().strip_prefix('{') else {
            let word: String = rest.trim_start().chars().take_while(|c| !c.is_whitespace() && *c != '$').collect();
            if !word.is_empty() {
                found.push((at, after + lead + word.len(), word));
            }
            continue;
        };
        let length = plain::group_length(inner);
        inside = (after + lead + 1 + length + 1).min(text.len());
        if !inner[..length].trim().is_empty() {
            found.push((at, inside, inner[..length].to_owned()));
        }
    }
    let last = found.pop()?;
    let end = last.1;
    let mut joined = vec![last];
    while let Some(before) = found.pop() {
        let between = text.get(before.1..joined[joined.len() - 1].0).unwrap_or_default();
        if !joins(between) {
            break;
        }
        joined.push(before);
    }
    let mut parts: Vec<String> = joined.into_iter().rev().map(|(.., inner)| inner).collect();
    parts.dedup();
    Some((parts.join(" , "), end))
}

/// Where boxes are begun, and the length of the command.
fn marks(text: &str) -> impl Iterator<Item = (usize, usize)> {
    static MARK: LazyLock<Regex> = LazyLock::new(|| pattern(r"\\(?:boxed|fbox)"));
    MARK.find_iter(text).map(|found| (found.start(), found.len()))
}

/// Whether what stands between two boxes makes one answer of them.
fn joins(between: &str) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:and|or)\b|[,;]"));
    static DOUBT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:wrong|not|no|so|thus|instead|wait|actually|but|hence|therefore|incorrect)\b")
    });
    static PART: LazyLock<Regex> = LazyLock::new(|| pattern(r"\([b-h]\)"));
    if between.len() > BETWEEN_BOXES_MAX || between.contains(". ") || DOUBT.is_match(between) {
        return false;
    }
    let bare: String =
        PART.replace_all(between, "").chars().filter(|c| !c.is_whitespace() && !"$\\()[]".contains(*c)).collect();
    bare.is_empty() || WORD.is_match(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_box_wins_and_joined_boxes_are_one_answer() {
        assert_eq!(answer("\\boxed{1} so \\boxed{\\frac{1}{2}}.").as_deref(), Some("\\frac{1}{2}"));
        assert_eq!(answer("$\\boxed{1}$ and $\\boxed{2}$").as_deref(), Some("1 , 2"));
        assert_eq!(answer("\\boxed{1} no no \\boxed{2}").as_deref(), Some("2"));
    }

    #[test]
    fn an_announced_answer_is_found_without_a_box() {
        for (text, want) in [
            ("… Final Answer: The final answer is $(0, 1)$. I hope it is correct.", Some("(0, 1)")),
            ("So the answer is 42.", Some("42")),
            ("She makes 9 * 2 = 18 dollars.\n#### 1,018", Some("1,018")),
            ("it is not 10 but 1,000.99€", Some("1,000.99")),
            ("AZYUK2A", None),
            ("I do not know what to say about it.", None),
            ("The answer is $15, because $5 * 3 = $15.", Some("15")),
            ("Answer:\n- 20", Some("20")),
            ("The answer is 20!", Some("20")),
            ("Since the answer is positive, we take $x = 7$.", Some("x = 7")),
            ("The answer is that $a=3$ and $b=4$, so $a+b=7$.", Some("a+b=7")),
            ("\\boxed{6}? No. Final Answer: 7", Some("7")),
            ("$\\boxed{5}$. I am sure that the final answer is correct.", Some("5")),
        ] {
            assert_eq!(answer(text).as_deref(), want, "{text}");
        }
    }
}
