//! Completion: `@` names a file of the project, `/` at the beginning names a command.
//!
//! Pure: the list of files comes from outside.

use std::ops::Range;

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// How many entries are offered.
pub const ENTRIES_MAX: usize = 50;

/// One thing that could be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What replaces the word.
    pub insert: String,
    pub about: String,
}

/// The list under the composer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The bytes of the composer's text that an entry replaces.
    pub range: Range<usize>,
    pub entries: Vec<Entry>,
    pub selected: usize,
}

impl Completion {
    pub fn move_by(&mut self, down: bool) {
        let n = self.entries.len().max(1);
        self.selected = (self.selected + if down { 1 } else { n - 1 }) % n;
    }

    pub fn chosen(&self) -> Option<&Entry> {
        self.entries.get(self.selected)
    }
}

/// The word that ends at the cursor, where it begins with a mark that can be completed.
pub fn word_at(text: &str, cursor: usize) -> Option<(char, Range<usize>)> {
    let before = &text[..cursor];
    let start =
        before.rfind(char::is_whitespace).map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    match before[start..].chars().next()? {
        '@' => Some(('@', start..cursor)),
        '/' if start == 0 => Some(('/', 0..cursor)),
        _ => None,
    }
}

/// The best matches of `query` among `names`, best first.
pub fn best<'a>(query: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let pattern = Pattern::parse(query, CaseMatching::Smart, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let mut buffer = Vec::new();
    let mut scored: Vec<(u32, &str)> = names
        .filter_map(|name| pattern.score(Utf32Str::new(name, &mut buffer), &mut matcher).map(|score| (score, name)))
        .collect();
    // Among equals the shorter path, then the order of the alphabet.
    scored.sort_by(|(a, x), (b, y)| b.cmp(a).then(x.len().cmp(&y.len())).then(x.cmp(y)));
    scored.truncate(ENTRIES_MAX);
    scored.into_iter().map(|(_, name)| name).collect()
}

/// Files that the text names with `@`, in order, each once, as far as they are in `known`.
pub fn mentioned(text: &str, known: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split_whitespace().filter_map(|word| word.strip_prefix('@')) {
        let word = word.trim_end_matches([',', ';', ':', ')', '?', '!']);
        let hit = [word, word.trim_end_matches('.')].into_iter().find(|w| known.iter().any(|k| k == w));
        if let Some(path) = hit
            && !found.iter().any(|f| f == path)
        {
            found.push(path.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_can_be_completed() {
        assert_eq!(word_at("fix @src/ma", 11), Some(('@', 4..11)));
        assert_eq!(word_at("/he", 3), Some(('/', 0..3)));
        assert_eq!(word_at("a /he", 5), None);
        assert_eq!(word_at("mail@x", 6), None);
    }

    #[test]
    fn the_file_meant_comes_first() {
        let files = ["src/domain.rs", "src/main.rs", "README.md", "docs/main.md"];
        assert_eq!(best("main.rs", files.into_iter())[0], "src/main.rs");
        assert!(best("zzz", files.into_iter()).is_empty());
        assert_eq!(best("", files.into_iter()).len(), 4);
    }

    #[test]
    fn mentions_are_files_that_exist() {
        let known = ["a.rs".to_owned(), "b/c.py".to_owned()];
        assert_eq!(mentioned("see @a.rs, @b/c.py. and @nope @a.rs", &known), ["a.rs", "b/c.py"]);
    }
}
