//! Words around a number: units and things counted behind it, a sentence before it.
//!
//! Not for: which words mean something by themselves (`plain.rs` has "and", "choose", "percent").

use std::sync::LazyLock;

use regex::Regex;

use super::plain::{WORDS, pattern};

/// Units that are told apart where both answers have one, in all their spellings.
const UNITS: [(&str, &[&str]); 29] = [
    ("mm", &["mm", "millimeter", "millimeters", "millimetres"]),
    ("cm", &["cm", "centimeter", "centimeters", "centimetres"]),
    ("m", &["m", "meter", "meters", "metre", "metres"]),
    ("km", &["km", "kms", "kilometer", "kilometers", "kilometres"]),
    ("in", &["in", "inch", "inches"]),
    ("ft", &["ft", "foot", "feet"]),
    ("yd", &["yd", "yds", "yard", "yards"]),
    ("mi", &["mi", "mile", "miles"]),
    ("s", &["s", "sec", "secs", "second", "seconds"]),
    ("min", &["min", "mins", "minute", "minutes"]),
    ("h", &["h", "hr", "hrs", "hour", "hours"]),
    ("day", &["day", "days"]),
    ("week", &["week", "weeks", "wk", "wks"]),
    ("month", &["month", "months"]),
    ("year", &["year", "years", "yr", "yrs"]),
    ("mg", &["mg", "milligrams"]),
    ("g", &["g", "gram", "grams"]),
    ("kg", &["kg", "kgs", "kilogram", "kilograms"]),
    ("oz", &["oz", "ounce", "ounces"]),
    ("lb", &["lb", "lbs", "pound", "pounds"]),
    ("ton", &["ton", "tons", "tonne", "tonnes"]),
    ("ml", &["ml", "mL", "milliliters", "millilitres"]),
    ("l", &["l", "L", "liter", "liters", "litre", "litres"]),
    ("gal", &["gal", "gallon", "gallons"]),
    ("dollar", &["dollar", "dollars", "usd", "USD"]),
    ("cent", &["cent", "cents"]),
    ("euro", &["euro", "euros", "eur", "EUR"]),
    ("radian", &["rad", "radian", "radians"]),
    ("degree", &["deg", "degree", "degrees"]),
];
/// More short words that stand behind a number without marks.
const SHORT: [&str; 40] = [
    "sq", "cu", "mph", "kph", "kmh", "kmph", "rpm", "pt", "qt", "dm", "ha", "kb", "mb", "gb", "kw", "hz", "men", "cup",
    "egg", "pie", "box", "hat", "cat", "dog", "car", "bus", "cow", "pen", "kid", "toy", "fan", "bag", "can", "jar",
    "gbp", "cad", "aud", "inr", "per", "of",
];
/// Words that say more than what is counted.
const MEANT: [&str; 41] = [
    "not",
    "no",
    "non",
    "none",
    "never",
    "neither",
    "nor",
    "except",
    "if",
    "when",
    "where",
    "otherwise",
    "minus",
    "plus",
    "below",
    "squared",
    "cubed",
    "factorial",
    "half",
    "halves",
    "third",
    "thirds",
    "fourth",
    "fourths",
    "quarter",
    "quarters",
    "fifth",
    "fifths",
    "sixth",
    "sixths",
    "seventh",
    "sevenths",
    "eighth",
    "eighths",
    "ninth",
    "ninths",
    "tenth",
    "tenths",
    "hundredths",
    "thousandths",
    "twelfths",
];
/// Words before a number that make another answer of it.
const CHANGES: [&str; 28] = [
    "less", "more", "greater", "fewer", "least", "most", "under", "over", "above", "below", "between", "without",
    "half", "twice", "double", "triple", "negative", "square", "cube", "root", "exceeds", "before", "after", "than",
    "modulo", "base", "through", "from",
];

/// A value and the words around it that say no more than what it is of.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Bare {
    pub(super) text: String,
    /// What stands before it: "June", "the area is".
    pub(super) lead: Option<String>,
    /// Its unit, where it has a known one.
    pub(super) unit: Option<String>,
}

/// A value without the words around it. `None` where the words say more.
pub(super) fn without_words(text: &str) -> Option<Bare> {
    let sized = sized(text.trim());
    let (lead, rest) = without_lead(&sized)?;
    let mut text = rest.to_owned();
    let mut units = Vec::new();
    // From the last word to the first: `5 ⟦m⟧/⟦s⟧`.
    while let Some((rest, words)) = trailing(&text) {
        if words.split_whitespace().enumerate().any(|(index, word)| is_meant(index, word)) {
            return None;
        }
        units.push(known(&words));
        text = rest;
    }
    if text.contains(WORDS) {
        text = between_values(&text)?;
    }
    // Units that are made of others are not told apart.
    let unit = if units.len() == 1 { units.pop().flatten() } else { None };
    Some(Bare { text, lead, unit: unit.map(str::to_owned) })
}

/// `12 m` of an answer that is only a number: what is no variable there is a unit.
pub(super) fn without_letter(text: &str) -> Option<&str> {
    static LETTER: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\d(\s+[mgshLNJWVK]\s*(?:\^\s*(?:\{\s*[23]\s*\}|[23]))?)$"));
    LETTER.captures(text).and_then(|found| Some(&text[..found.get(1)?.start()]))
}

/// `5 million` and `7th` as they are meant.
fn sized(text: &str) -> String {
    static SIZE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)(\d)\s*⟦?\s*(hundred|thousand|million|billion|trillion)\b\s*([^⟧]*)⟧?"));
    static ORDINAL: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?i)(\d)\s*(?:\^\s*\{\s*⟦?\s*(?:st|nd|rd|th)\s*⟧?\s*\}|\^?\s*(?:⟦\s*(?:st|nd|rd|th)\s*⟧|(?:st|nd|rd|th)\b))",
        )
    });
    let text = SIZE.replace_all(text, |found: &regex::Captures<'_>| {
        let zeros = match found[2].to_lowercase().as_str() {
            "hundred" => 2,
            "thousand" => 3,
            "million" => 6,
            "billion" => 9,
            _ => 12,
        };
        let rest = if found[3].trim().is_empty() { String::new() } else { format!(" ⟦{}⟧", &found[3]) };
        format!("{}*10^{{{zeros}}}{rest}", &found[1])
    });
    ORDINAL.replace_all(&text, "$1").into_owned()
}

/// What stands before a value, and the value. `None` where it says more.
fn without_lead(text: &str) -> Option<(Option<String>, &str)> {
    static CURRENCY: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(?:USD|EUR|GBP|CAD|AUD|INR|US|Rs\.?|HK)\s*([-\d.])"));
    let mut rest = text;
    let mut lead = String::new();
    while let Some(inner) = rest.strip_prefix(WORDS[0]) {
        let (words, behind) = inner.split_once(WORDS[1])?;
        let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if words
            .split_whitespace()
            .any(|word| MEANT.contains(&plain(word).as_str()) || CHANGES.contains(&plain(word).as_str()))
            || behind.trim().is_empty()
            || behind.trim_start().starts_with(['^', '_', '/', '*'])
        {
            return None;
        }
        lead.push_str(&words.to_lowercase());
        rest = behind.trim_start().trim_start_matches([':', ',']).trim_start();
    }
    if rest.len() < text.len() {
        return Some((Some(lead), rest));
    }
    let currency = CURRENCY.captures(rest).and_then(|found| Some(found.get(1)?.start()));
    Some((None, &rest[currency.unwrap_or_default()..]))
}

/// The last words behind a value, and what stands before them.
fn trailing(text: &str) -> Option<(String, String)> {
    static MARKED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(.*?[\d)}\]π°%⟧a-zA-Z!.∞])\s*(?:[*/]\s*|\\cdot\s*)?⟦([^⟧]*)⟧\s*(?:\^\s*(?:\{\s*-?\d\s*\}|-?\d))?\s*\.?$",
        )
    });
    static FRACTION: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(.*\d)\s*\*?\s*\\frac\s*\{\s*⟦([^⟧]*)⟧\s*\}\s*\{\s*⟦([^⟧]*)⟧\s*\}\s*$"));
    static BARE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"^(.*?[\d)}π°%])(\s*|\s*[/-]\s*)([a-zA-Z]{2,}(?:[ /.'-]*[a-zA-Z]+)*?)\s*(?:\^\s*(?:\{\s*[23]\s*\}|[23]))?\s*\.?$",
        )
    });
    static NOTE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(.*[\d)}π%])\s*\(([a-zA-Z][a-zA-Z -]{3,})\)$"));
    if let Some(found) = FRACTION.captures(text) {
        return Some((found[1].to_owned(), format!("{}/{}", &found[2], &found[3])));
    }
    if let Some(found) = MARKED.captures(text).or_else(|| NOTE.captures(text)) {
        return Some((found[1].to_owned(), found[2].to_owned()));
    }
    let found = BARE.captures(text)?;
    let spaced = !found[2].is_empty();
    let first = found[3].split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    counts(first, spaced).then(|| (found[1].to_owned(), found[3].to_owned()))
}

/// Whether a word behind a value changes it; "units squared" does not.
fn is_meant(index: usize, word: &str) -> bool {
    let lower = word.to_lowercase();
    MEANT.contains(&lower.as_str()) && !(index > 0 && matches!(lower.as_str(), "squared" | "cubed"))
}

/// Whether a word without marks is what is counted, and no product of variables.
fn counts(word: &str, spaced: bool) -> bool {
    let lower = word.to_lowercase();
    let function = super::tokens::WORDS.iter().any(|name| lower.starts_with(name) && *name != "min" && *name != "sec");
    let vowels = lower.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    let known = SHORT.contains(&lower.as_str()) || UNITS.iter().any(|(_, names)| names.contains(&word));
    word.len() > 1 && (known || spaced && !function && word.len() > 3 && vowels && !is_run(&lower))
}

/// Letters that follow each other in the alphabet are variables: `abcd`.
pub(super) fn is_run(word: &str) -> bool {
    let mut letters: Vec<u32> = word.chars().map(u32::from).collect();
    letters.sort_unstable();
    letters.len() > 1 && letters.windows(2).all(|pair| pair[0] + 1 == pair[1])
}

/// Words inside a value, each behind a number: `3 ⟦cm⟧ * 4 ⟦cm⟧`.
fn between_values(text: &str) -> Option<String> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"([\d)}])\s*⟦([^⟧]*)⟧\s*(?:\^\s*(?:\{\s*\d\s*\}|\d))?"));
    let meant = |found: regex::Captures<'_>| found[2].split_whitespace().any(|word| MEANT.contains(&word));
    if WORD.captures_iter(text).any(meant) {
        return None;
    }
    let text = WORD.replace_all(text, "$1 ").into_owned();
    (!text.contains(WORDS)).then_some(text)
}

/// The name of a unit in one spelling; what its power is says the problem.
fn known(words: &str) -> Option<&'static str> {
    let words = words.trim();
    let rate = words.contains('/') || words.contains(" per ");
    let first =
        ["square ", "cubic ", "sq ", "sq. ", "cu "].iter().find_map(|lead| words.strip_prefix(lead)).unwrap_or(words);
    let name = first.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    let found = UNITS.iter().find(|(_, names)| names.contains(&name) || names.contains(&name.to_lowercase().as_str()));
    found.filter(|_| !rate).map(|(unit, _)| *unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_around_a_value_come_off() {
        for (text, want, unit) in [
            ("15 ⟦cm⟧ ^2", "15", Some("cm")),
            ("16 eggs per day", "16", None),
            ("5/8 of the pie", "5/8", None),
            ("9.8 ⟦m/s^2⟧", "9.8", None),
            ("⟦She has⟧ 3 ⟦apples⟧", "3", None),
            ("5 ⟦hours⟧", "5", Some("h")),
            ("7 ⟦th⟧", "7", None),
            ("USD 7", "7", None),
            ("5m", "5m", None),
            ("2 abcd", "2 abcd", None),
        ] {
            let found = without_words(text).map(|bare| (bare.text.trim().to_owned(), bare.unit));
            assert_eq!(found, Some((want.to_owned(), unit.map(str::to_owned))), "{text}");
        }
        assert_eq!(without_words("⟦not⟧ 5"), None);
        assert_eq!(without_words("⟦at least⟧ 5"), None);
    }
}
