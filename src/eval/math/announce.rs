//! What a reply says its answer is, in words.

use std::sync::LazyLock;

use regex::Regex;

use super::form;
use super::plain::pattern;
use super::prose::{MONEY, concluding_number, formulas, sentence};

/// A text of more words than this is a solution and no answer.
pub(super) const ANSWER_WORDS_MAX: usize = 6;
/// Announcements that are tried, from the last one on.
const MARKS_MAX: usize = 16;

/// Longest text behind a result that is an answer.
const RESULT_MAX: usize = 200;

/// What announces an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mark {
    /// "The final answer is".
    Final,
    /// "The answer is", `####`.
    Answer,
    /// "The result is", "the solutions are".
    Result,
}

impl Mark {
    fn pattern(self) -> &'static Regex {
        static PATTERNS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
            let verb = r"(?:\s+(?:to|for|of) (?:the|this|our) (?:question|problem|exercise))?\s*(?:(?:is|are|was|=|:|：|would be|should be|must be|will be)[^\S\n]*)+";
            [
                format!(r"(?i)\bfinal answers?\b(?:{verb}|\W*\n)"),
                format!(r"(?i)(?:\banswers?\b(?:{verb})|####|(?m:^\W*(?:final |the )?answers?\W*$))"),
                format!(
                    r"(?i)\b(?:results?|solutions?|roots|values|(?:correct|right|final) (?:option|choice|value|statement))\b{verb}"
                ),
            ]
            .map(|text| pattern(&text))
        });
        let [last, answer, result] = &*PATTERNS;
        match self {
            Self::Final => last,
            Self::Answer => answer,
            Self::Result => result,
        }
    }
}

/// The answer behind the last announcement of this kind that has one. `only_direct` where a number somewhere in the
/// sentence does not do.
pub(super) fn announced(text: &str, mark: Mark, only_direct: bool) -> Option<String> {
    let found: Vec<(usize, usize)> = mark.pattern().find_iter(text).map(|found| (found.start(), found.end())).collect();
    let mut firm = found.iter().rev().take(MARKS_MAX).filter(|(from, _)| !is_aside(&text[..*from]));
    if mark != Mark::Result {
        return firm.find_map(|(from, end)| {
            // "Answer: Let x be …" begins a solution, whose end says more than its beginning.
            let begins = text[*from..*end].trim_end().ends_with(':') && is_solution(&text[*end..]);
            if begins { None } else { behind(&text[*end..], only_direct) }
        });
    }
    // On the way there are results too.
    let last = &text[firm.next()?.1..];
    let says = |found: &String| {
        let word = found.trim_matches(['(', ')', '.', ' ']);
        word.len() == 1 || found.contains(|c: char| c.is_ascii_digit() || c == '\\')
    };
    let rest = last.get(sentence(last).len()..).unwrap_or_default();
    let ends = last.len() <= RESULT_MAX && !rest.contains(|c: char| c.is_ascii_digit() || c == '$');
    if ends { behind(last, only_direct).filter(says) } else { None }
}

/// Whether a text is sentences that come to an answer in the end, and does not begin with it.
fn is_solution(text: &str) -> bool {
    static SAYS: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?:\b(?:is|are|equals)|[=:])\s*(?:\\\(|\\\[|[$¤\d-])[^.\n]*$"));
    let text = text.trim_start();
    let first = sentence(text);
    let goes_on = text[first.len()..].trim_start_matches(['.', '!', '?', ' ']);
    let same_paragraph = !goes_on.starts_with("\n\n") && goes_on.contains(|c: char| c.is_ascii_digit());
    let words = first.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).count();
    let begins_with_it = first.starts_with(|c: char| !c.is_alphabetic());
    same_paragraph && words > 1 && !begins_with_it && !SAYS.is_match(first)
}

/// Whether the sentence that leads to an announcement only speaks of the answer: "since the answer is positive".
fn is_aside(before: &str) -> bool {
    static ASIDE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:if|since|because|whether|check|verify|suppose|assume|assuming|when|until)\b")
    });
    let from = before.rfind(['.', ',', '\n', ';', '?', '!']).map_or(0, |at| at + 1);
    ASIDE.is_match(&before[from..])
}

static REASON: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i),?\s+(?:since|because|if|when|where|while|which|as)\b|,\s*(?:then|not|so|where|as)\b|[;—]")
});

fn behind(rest: &str, only_direct: bool) -> Option<String> {
    static LEAD: LazyLock<Regex> = LazyLock::new(|| {
        // A dash in a new line is the mark of a list.
        pattern(r#"^(?:\s*\n\s*(?:[-*•]\s+)?|[\s:*_"`#>]|\\boxed\{\s*\})+"#)
    });
    let rest = LEAD.find(rest).map_or(rest, |lead| &rest[lead.end()..]);
    let rest = rest.split("I hope").next().unwrap_or(rest);
    let paragraph = rest.split("\n\n").next().unwrap_or(rest);
    let said = sentence(paragraph);
    let said = without_fillers(said);
    // "that a is 3 and b is 4, so a + b is 7"
    if let Some(reasons) = said.strip_prefix("that ") {
        static SO: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?:so|thus|hence|therefore)\b(?: that)?"));
        if let Some(so) = SO.find_iter(reasons).last()
            && let Some(found) = in_clause(&reasons[so.end()..], only_direct)
        {
            return Some(found);
        }
    }
    let all = formulas(said);
    let mut inside = all.iter().peekable();
    let reason = REASON.find_iter(said).find(|found| {
        while inside.next_if(|(_, to, _)| *to <= found.start()).is_some() {}
        inside.peek().is_none_or(|(from, ..)| *from > found.start())
    });
    reason
        .and_then(|reason| in_clause(&said[..reason.start()], only_direct))
        .or_else(|| in_clause(said, only_direct))
        // A formula on lines of its own.
        .or_else(|| formulas(paragraph).into_iter().next().map(|(.., formula)| formula))
}

/// Without words that only lead to an answer.
fn without_fillers(text: &str) -> &str {
    static FILLER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"(?i)^(?:(?:therefore|thus|hence|so|simply|either|indeed|clearly|exactly|precisely|just|only|approximately|about|around|roughly|equal to|found to be|given by|now|then|option|choice|the final answer is|(?-i:the|a|an))\b|[\s,:="*≈])+\s*"#,
        )
    });
    FILLER.find(text).map_or(text, |filler| &text[filler.end()..])
}

/// The answer in a part of a sentence.
fn in_clause(text: &str, only_direct: bool) -> Option<String> {
    let text = text.trim();
    let all = formulas(text);
    if let Some(first) = all.first() {
        let lead = text[..first.0].trim().trim_end_matches([',', '(']).trim_end_matches(" or").trim_end_matches(',');
        if lead.contains(|c: char| c.is_ascii_digit()) && is_short_answer(lead) {
            return Some(lead.to_owned());
        }
        return Some(chosen(text, &all));
    }
    let line = text.trim_end_matches(['.', '*', '"', '!', '?', ' ', '_', '`']).trim_start_matches(['"', '“']);
    let before_note = line.split(" (").next().unwrap_or(line).trim_end_matches(',');
    for line in [line, before_note] {
        if is_short_answer(line) {
            return Some(line.replace(MONEY, ""));
        }
    }
    if only_direct {
        return None;
    }
    // "between 4 and 5" is not 5.
    if let Some(range) = RANGE.find(text) {
        return Some(text[range.start()..].to_owned());
    }
    concluding_number(text)
}

static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:between|at least|at most|not|(?:more|less|greater|fewer|larger|smaller) than) [^a-z]*\d")
});

/// Whether a few words are an answer, and no remark about it.
fn is_short_answer(text: &str) -> bool {
    const REMARKS: [&str; 32] = [
        "correct",
        "incorrect",
        "right",
        "wrong",
        "above",
        "below",
        "clear",
        "obvious",
        "unique",
        "given",
        "shown",
        "here",
        "found",
        "obtained",
        "follows",
        "this",
        "that",
        "it",
        "integer",
        "number",
        "valid",
        "reasonable",
        "consistent",
        "simple",
        "easy",
        "as",
        "by",
        "in",
        "therefore",
        "then",
        "not",
        "also",
    ];
    let is_word = |word: &&str| {
        !word.starts_with('\\') && word.as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_alphabetic))
    };
    let words: Vec<&str> = text.split_whitespace().filter(is_word).collect();
    let is_remark = |word: &&str| REMARKS.contains(&word.trim_matches(|c: char| !c.is_alphanumeric()));
    let numeric = text.contains(|c: char| c.is_ascii_digit());
    !text.is_empty()
        && words.len() <= ANSWER_WORDS_MAX
        && (numeric || words.len() <= 4)
        && !words.iter().any(is_remark)
        && form::is_short(text)
}

static NAMES: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(?:is|are|equals|equal|be|must be|has|=|:)\b"));

/// Of the formulas of a sentence: all where nothing but "and" or commas joins them, else the first that is more than
/// the name of what is answered.
pub(super) fn chosen(text: &str, all: &[(usize, usize, String)]) -> String {
    static JOINS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\s,;]*(?:and|or|,|;)[\s,;]*$"));
    let side = |formula: &str| formula.split_once('=').map(|(left, _)| left.trim().to_owned());
    let is_name = |formula: &str| !formula.contains(|c: char| c.is_ascii_digit() || c == '=') && formula.len() <= 8;
    let named = |(index, (_, to, formula)): (usize, &(usize, usize, String))| {
        index + 1 < all.len() && is_name(formula) && NAMES.is_match(&text[*to..])
    };
    let skipped = all.iter().enumerate().take_while(|(index, formula)| named((*index, formula))).count();
    let all = all.get(skipped..).unwrap_or_default();
    // `x = 2` and `x = 3` are two answers, `k - 1 = 1` and `k = 2` are a step and one.
    let one_kind = |a: &str, b: &str| match (side(a), side(b)) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let named = a.starts_with(|c: char| c.is_alphabetic() || c == '\\') && !a.contains(['+', '-', '*', '/']);
            a == b || named && a.len() <= 8
        }
        _ => false,
    };
    let joined =
        all.windows(2).all(|pair| JOINS.is_match(&text[pair[0].1..pair[1].0]) && one_kind(&pair[0].2, &pair[1].2));
    let formulas: Vec<String> = all.iter().map(|(.., formula)| formula.clone()).collect();
    if joined { formulas.join(" , ") } else { formulas.into_iter().next().unwrap_or_default() }
}
