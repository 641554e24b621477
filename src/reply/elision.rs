//! Lines that stand for code somebody left out: `# ... rest of the code ...`, `// existing code here`.
//!
//! Written into a file they would delete what they stand for, so an edit that brings one in is refused.

use std::sync::LazyLock;

use regex::Regex;

/// What a comment calls code that it stands for.
const CODE: &str = r"(?:code|file|functions?|methods?|class(?:es)?|implementations?|script|module|program|contents?|tests?|logic|imports?|lines?|body|definitions?|component|constructors?|fields?|handlers?|routes?|properties|styles?|stuff|setup|everything)";

static DOTTED: LazyLock<Regex> = LazyLock::new(|| {
    // Dots first, then at most a few words: `... constructor`, `... rest of the code ...`, `... (unchanged)`.
    let first = r"^(?:\.{3,}|…)\s*(?:\(?\s*[\w'’,/-]+(?:\s+[\w'’,/-]+){0,7}\s*\)?\s*(?:\.{3,}|…)?)?$";
    let last = format!(
        r"^\(?(?:the\s+|your\s+|all\s+|any\s+|other\s+|keep\s+)*(?:rest|existing|remaining|remainder|previous|other|same|omitted|unchanged|original|more)\b(?:\s+\w+){{0,4}}?(?:\s+{CODE})?(?:\s+(?:here|as before|above|below|unchanged|omitted))?\s*(?:\.{{3,}}|…)\)?$"
    );
    Regex::new(&format!("(?i)(?:{first})|(?:{last})")).expect("invariant: the elision pattern is valid")
});
static CODE_WORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(r"(?i)\b(?:{CODE}|rest|unchanged|as before|same|omitted|here|above)\b"))
        .expect("invariant: the pattern of code words is valid")
});
static SAID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(
        r"(?ix)^[\s(\[]*(?:
          (?:the\s+)?(?:rest|remainder)\s+of\s+(?:the|your|this)\s+(?:\w+\s+){{0,3}}?{CODE}\b.*
        | (?:(?:all|the|your|other|previous|keep)\s+)*(?:existing|previous|remaining|unchanged|original)\s+(?:\w+\s+)?(?:code|methods|functions|implementation|content|imports|logic|lines)(?:\s+(?:here|goes\s+here|unchanged|as\s+before|remains?.*|stays?.*|above|below))?
        | (?:(?:all|the|your|other|any)\s+)*(?:rest|remaining|other|existing|everything)\b.{{0,40}}\b(?:remains?|stays?|is|are|left)\s+(?:unchanged|the\s+same|as\s+(?:before|is))
        | (?:the\s+)?(?:rest|remainder)\s+unchanged
        | (?:unchanged|same\s+as\s+(?:before|above)|no\s+changes?(?:\s+(?:here|needed))?|omitted\s+for\s+brevity|code\s+omitted.*|snip)
        )[\s).\]]*$"
    ))
    .expect("invariant: the elision sentence pattern is valid")
});

/// Whether a line stands for left-out code.
pub fn is_elision(line: &str) -> bool {
    let Some(words) = comment_text(line) else { return is_bare_dots(line) };
    if matches!(words, "..." | "…") || SAID.is_match(words) {
        return true;
    }
    let begins = words.starts_with(['.', '…']);
    DOTTED.is_match(words) && (begins || CODE_WORD.is_match(words))
}

/// A text without the lines at its ends that stand for left-out code.
pub fn stripped(text: &str) -> &str {
    let skipped = |line: &&str| line.trim().is_empty() || is_elision(line);
    let before: usize = text.split_inclusive('\n').take_while(skipped).map(str::len).sum();
    let after: usize = text[before..].split_inclusive('\n').rev().take_while(skipped).map(str::len).sum();
    &text[before..text.len() - after]
}

/// Whether a line is nothing but an ellipsis (which in Python is also code).
pub fn is_bare_dots(line: &str) -> bool {
    matches!(line.trim(), "..." | "…" | "[...]" | "[…]" | "(...)")
}

/// The words of a line that is nothing but a comment.
fn comment_text(line: &str) -> Option<&str> {
    let line = line.trim();
    let inner = ["//", "#", "--", ";", "%"].iter().find_map(|mark| line.strip_prefix(mark));
    let inner = inner.or_else(|| line.strip_prefix("/*").map(|rest| rest.strip_suffix("*/").unwrap_or(rest)));
    let inner = inner.or_else(|| line.strip_prefix("{/*").and_then(|rest| rest.strip_suffix("*/}")));
    let inner = inner.or_else(|| line.strip_prefix("<!--").map(|rest| rest.strip_suffix("-->").unwrap_or(rest)));
    // `#[derive]`, `#!` and `#include` are code.
    inner.filter(|text| !text.starts_with(['[', '!'])).map(|text| text.trim().trim_matches(['#', '/', '-', '*']).trim())
}

/// The elisions that `new` has and `old` has not: line numbers in `new` (from 1) with their text. A bare
/// `...` counts only where it cannot be Python's.
pub fn brought_in<'a>(old: &str, new: &'a str, python: bool) -> Vec<(u32, &'a str)> {
    let had: std::collections::BTreeSet<&str> = old.lines().map(str::trim).collect();
    new.lines()
        .enumerate()
        .filter(|(_, line)| is_elision(line) && !had.contains(line.trim()))
        .filter(|(_, line)| !(python && is_bare_dots(line) && line.starts_with([' ', '\t'])))
        .filter(|(index, line)| !goes_on(new, *index, line))
        .map(|(index, line)| (index as u32 + 1, line.trim()))
        .collect()
}

/// Whether a comment with leading dots goes on with the comment line before it.
fn goes_on(text: &str, index: usize, line: &str) -> bool {
    let begins =
        comment_text(line).is_some_and(|words| words.starts_with(['.', '…']) && words.contains(char::is_alphabetic));
    begins
        && index > 0
        && text.lines().nth(index - 1).and_then(comment_text).is_some_and(|before| before.ends_with(['.', '…', ',']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_stands_for_left_out_code() {
        for line in [
            "# ... rest of the code ...",
            "    // ... existing code ...",
            "// rest of the file remains the same",
            "/* ... */",
            "# (rest unchanged)",
            "// Rest of your code here",
            "<!-- ... existing content ... -->",
            "    # existing code here",
            "# ... (other methods remain unchanged)",
            "// The remaining functions are unchanged",
            "...",
            "# …",
            "{/* ... rest of the component ... */}",
            "# Rest of the existing code...",
            "# ... constructor",
            "    # ... validation logic",
            "// ... other methods ...",
        ] {
            assert!(is_elision(line), "{line}");
        }
    }

    #[test]
    fn leaves_ordinary_comments_alone() {
        for line in [
            "# compute the rest of the division",
            "// existing users keep their token",
            "#[derive(Debug)]",
            "x = [...]",
            "# Wait for more...",
            "# the same key twice is an error",
            "// TODO: handle the rest",
            "return ...",
            "# Loading...",
            "-- previous balance",
            "# Loads the remaining items...",
            "# keep existing tests unchanged",
            "# the cache key stays the same",
            "// Remaining budget is carried over...",
            "# Existing sessions stay valid...",
            "// unchanged since version 2",
        ] {
            assert!(!is_elision(line), "{line}");
        }
    }

    #[test]
    fn python_stubs_are_code() {
        assert!(brought_in("", "class P:\n    ...\n", true).is_empty());
        assert_eq!(brought_in("", "def f():\n...\n", true), vec![(2, "...")]);
        assert!(brought_in("# ... rest of the code\n", "# ... rest of the code\n", true).is_empty());
    }
}
