//! The words of a task and the words inside names, so that "the CSV parser drops rows" finds `csv.py` and
//! `parse_row`. Pure.
//!
//! Not for: ranking (`rank.rs`). A rough stem is enough here: a wrong one costs a place in the order, no more.

use std::collections::BTreeSet;

/// Words that nearly every request has; they say nothing about where in a project.
const STOP: [&str; 76] = [
    "a", "about", "add", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "before", "both", "but",
    "by", "can", "change", "do", "does", "each", "every", "fix", "for", "from", "has", "have", "how", "if", "in",
    "instead", "into", "is", "it", "its", "let", "make", "more", "no", "not", "of", "on", "one", "only", "or", "out",
    "please", "should", "so", "than", "that", "the", "their", "them", "then", "there", "they", "this", "to", "too",
    "two", "up", "use", "used", "was", "we", "what", "when", "where", "which", "why", "will", "with", "without",
    "wrong",
];

/// The stems of a request's words, without those that say nothing.
pub(super) fn wanted<'a>(words: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for word in words {
        if !is_stop_word(word) {
            all.extend(stems(word));
        }
    }
    all
}

/// Whether a word says nothing about where in a project.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP.contains(&word.to_lowercase().as_str())
}

/// The stems of a name's parts, and of the name as a whole: `parseRows`, `parse_rows` and `parse-rows` alike.
pub(super) fn stems(name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let parts = parts(word);
        if parts.len() > 1 {
            found.extend(parts.iter().filter(|part| part.len() > 1).map(|part| stem(part)));
        }
        if word.len() > 1 {
            found.insert(stem(word));
        }
    }
    found
}

/// Where a camel-case word turns: `HTTPServer` is `HTTP` and `Server`.
fn parts(word: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let mut starts = vec![0];
    for at in 1..chars.len() {
        let (before, here) = (chars[at - 1].1, chars[at].1);
        let next_is_lower = chars.get(at + 1).is_some_and(|next| next.1.is_lowercase());
        if here.is_uppercase() && (before.is_lowercase() || before.is_numeric() || next_is_lower) {
            starts.push(chars[at].0);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([word.len()]);
    starts.iter().zip(ends).map(|(from, to)| &word[*from..to]).filter(|part| !part.is_empty()).collect()
}

/// What `parse`, `parser`, `parsed` and `parsing` have in common.
fn stem(word: &str) -> String {
    const ENDINGS: [&str; 8] = ["ings", "ing", "ers", "er", "ed", "es", "e", "s"];
    const REST_MIN: usize = 4;
    let word = word.to_lowercase();
    if word.ends_with("ss") {
        return word;
    }
    for ending in ENDINGS {
        let rest_min = if ending == "s" { REST_MIN - 1 } else { REST_MIN };
        if let Some(rest) = word.strip_suffix(ending).filter(|rest| rest.len() >= rest_min) {
            return rest.to_owned();
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_meet_in_their_stems() {
        for (name, word) in
            [("parseRows", "parser"), ("HTTPServer", "server"), ("cache_key", "caching"), ("Url", "urls")]
        {
            assert!(!stems(name).is_disjoint(&stems(word)), "{:?} {:?}", stems(name), stems(word));
        }
        assert!(stems("urlparse").contains("urlpars"));
        assert!(stems("naïveÄrger").contains("ärg") || stems("naïveÄrger").contains("ärger"));
    }

    #[test]
    fn words_that_say_nothing_are_left_out() {
        let words = ["The", "parser", "is", "wrong"].map(str::to_owned);
        assert_eq!(wanted(&words).into_iter().collect::<Vec<_>>(), ["pars"]);
    }
}
