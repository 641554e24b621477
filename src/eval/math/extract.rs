//! Where in a reply the final answer is.

use std::sync::LazyLock;

use regex::Regex;

use super::{form, plain};

/// Longest text between two boxes that belong to one answer.
const BETWEEN_BOXES_MAX: usize = 60;
/// A text of more words than this is a solution and no answer.
const ANSWER_WORDS_MAX: usize = 6;

#[expect(clippy::unwrap_used, reason = "the pattern is a constant and a test runs it")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

/// The final answer of a reply: what it boxes last, else what it says the answer is, else its last formula or number.
/// `None` where there is nothing of the kind.
pub fn answer(text: &str) -> Option<String> {
    // What a chat's frame leaves behind.
    let text = text.split("<|im_").next().unwrap_or(text).trim();
    // Who announces a final answer behind the last box means what is announced.
    let last_box = text.rfind("\\boxed");
    let announced_last =
        text.to_lowercase().rfind("final answer is").is_some_and(|at| last_box.is_none_or(|of| of < at));
    if !announced_last && let Some(boxed) = boxes(text) {
        return Some(boxed);
    }
    if let Some(said) = announced(text).or_else(|| boxes(text)) {
        return Some(said);
    }
    let few_words = text.split_whitespace().count() <= ANSWER_WORDS_MAX;
    if few_words && !text.is_empty() && !is_prose(text) && form::is_answer(text) {
        return Some(text.to_owned());
    }
    // A number behind the last formula, in the sentence that ends the reply.
    let last = formulas(text).pop();
    let end = last.as_ref().and_then(|formula| Some(text.rfind(formula.as_str())? + formula.len())).unwrap_or(0);
    let behind = text.get(end..).unwrap_or_default().trim_start_matches(['$', '\\', ')', ']', '}', '.', ' ']);
    if !behind.is_empty()
        && last.is_some()
        && let Some(number) = last_number(behind)
    {
        return Some(number);
    }
    last.or_else(|| last_number(text))
}

/// Whether a text has words besides those that belong to numbers.
fn is_prose(text: &str) -> bool {
    const OF_NUMBERS: [&str; 6] = ["and", "or", "pct", "percent", "degrees", "dollars"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_alphabetic() || c == '\'');
    words.len() > 1 && words.iter().any(|word| plain(word) && !OF_NUMBERS.contains(word))
}

/// The right answer: the row's text, or the answer in it where the row has a whole solution.
pub(super) fn of_gold(text: &str) -> String {
    if let Some(boxed) = boxes(text) {
        return boxed;
    }
    if text.split_whitespace().count() > 4 * ANSWER_WORDS_MAX
        && let Some(found) = answer(text)
    {
        return found;
    }
    text.to_owned()
}

/// The last boxes of a text: one, or several that a comma or an "and" joins.
fn boxes(text: &str) -> Option<String> {
    let mut found: Vec<(usize, usize, String)> = Vec::new();
    for (at, mark) in text.match_indices("\\boxed").chain(text.match_indices("\\fbox")) {
        let after = at + mark.len();
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
        let end = (after + lead + 1 + length + 1).min(text.len());
        found.push((at, end, inner[..length].to_owned()));
    }
    found.retain(|(.., inner)| !inner.trim().is_empty());
    // A box inside a box says nothing more.
    let spans: Vec<(usize, usize)> = found.iter().map(|(at, end, _)| (*at, *end)).collect();
    found.retain(|(at, end, _)| !spans.iter().any(|(from, to)| from < at && end <= to));
    let mut joined = vec![found.pop()?];
    while let Some(before) = found.pop() {
        let between = text.get(before.1..joined[joined.len() - 1].0).unwrap_or_default();
        if !joins(between) {
            break;
        }
        joined.push(before);
    }
    let mut parts: Vec<String> = joined.into_iter().rev().map(|(.., inner)| inner).collect();
    parts.dedup();
    Some(parts.join(" , "))
}

/// Whether what stands between two boxes makes one answer of them.
fn joins(between: &str) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(?:and|or)\b|[,;]"));
    let bare: String = between.chars().filter(|c| !c.is_whitespace() && !"$\\()[]".contains(*c)).collect();
    between.len() <= BETWEEN_BOXES_MAX && !between.contains(". ") && (bare.is_empty() || WORD.is_match(between))
}

/// What a reply says the answer is.
fn announced(text: &str) -> Option<String> {
    static MARK: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(?:final answer\s*(?:is|:)+|(?:the|our|so the)?\s*answer\s*(?:is|:|=)+|####)\s*:?\s*(?:the final answer is)?",
        )
    });
    let found = MARK.find_iter(text).last()?;
    let rest = text[found.end()..].trim_start_matches([':', '*', ' ', '\n', '"', '\\']);
    let rest = text.get(text.len() - rest.len()..)?;
    // `\(` and `\[` begin with what was trimmed.
    let bracket = text[found.end()..text.len() - rest.len()].ends_with('\\');
    let rest = if bracket { &text[text.len() - rest.len() - 1..] } else { rest };
    let rest = rest.split("I hope").next().unwrap_or(rest);
    let sentence = rest.split("\n\n").next().unwrap_or(rest);
    let all = formulas(sentence);
    if !all.is_empty() {
        return Some(joined_formulas(sentence, &all));
    }
    let line = sentence.lines().next().unwrap_or_default().trim().trim_end_matches(['.', '*', '"']).trim();
    if line.split_whitespace().count() <= ANSWER_WORDS_MAX && form::is_answer(line) {
        return Some(line.to_owned());
    }
    last_number(sentence)
}

/// All formulas of a sentence as one answer where nothing but "and" or commas stands between them, else the first.
fn joined_formulas(sentence: &str, all: &[String]) -> String {
    let mut outside = sentence.to_owned();
    for formula in all {
        outside = outside.replacen(formula.as_str(), "", 1);
    }
    let words = outside.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let only_joins = words.into_iter().all(|word| word == "and" || word == "or");
    if all.len() > 1 && only_joins { all.join(" , ") } else { all[0].clone() }
}

/// What stands between dollar signs or in LaTeX's brackets, in order.
fn formulas(text: &str) -> Vec<String> {
    static MATH: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?s)\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$((?:\\\$|[^$\n])+?)\$|\\begin\{align\*?\}(.+?)\\end\{align\*?\}",
        )
    });
    let inner = |found: regex::Captures<'_>| {
        (1..=5).find_map(|group| found.get(group)).map(|found| found.as_str().trim().to_owned())
    };
    MATH.captures_iter(text).filter_map(inner).filter(|formula| !formula.is_empty()).collect()
}

/// The last number that stands as a word of its own.
fn last_number(text: &str) -> Option<String> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:^|[^\w.])([-−]?\\?[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:/\d+)?)(%|\\%| ?percent| ?pct)?(?:$|[^\w]|[a-zA-Z°²³])",
        )
    });
    let numbers = NUMBER.captures_iter(text).filter(|found| found[1].chars().any(|c| c.is_ascii_digit()));
    numbers.last().map(|found| format!("{}{}", &found[1], found.get(2).map_or("", |percent| percent.as_str())))
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
        assert_eq!(
            answer("… Final Answer: The final answer is $(0, 1)$. I hope it is correct.").as_deref(),
            Some("(0, 1)")
        );
        assert_eq!(answer("So the answer is 42.").as_deref(), Some("42"));
        assert_eq!(answer("She makes 9 * 2 = 18 dollars.\n#### 1,018").as_deref(), Some("1,018"));
        assert_eq!(answer("it is not 10 but 1,000.99€").as_deref(), Some("1,000.99"));
        assert_eq!(answer("AZYUK2A"), None);
        assert_eq!(answer("I do not know what to say about it."), None);
    }
}
