//! Python as far as an example needs it: literals, brackets, quotes, names that everybody has. Pure.

use std::sync::LazyLock;

use regex::Regex;

use crate::agent::checks::compile;

/// Names that a check may call without the candidate defining them.
const PYTHON_WORDS: &[&str] = &[
    "abs",
    "all",
    "and",
    "any",
    "assert",
    "bin",
    "bool",
    "bytes",
    "bytearray",
    "callable",
    "chr",
    "complex",
    "dict",
    "dir",
    "divmod",
    "elif",
    "enumerate",
    "except",
    "filter",
    "float",
    "for",
    "format",
    "frozenset",
    "getattr",
    "hasattr",
    "hash",
    "hex",
    "id",
    "if",
    "in",
    "input",
    "int",
    "is",
    "isclose",
    "isinstance",
    "issubclass",
    "iter",
    "lambda",
    "len",
    "list",
    "map",
    "max",
    "min",
    "next",
    "not",
    "object",
    "oct",
    "open",
    "or",
    "ord",
    "pow",
    "print",
    "range",
    "repr",
    "return",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "str",
    "sum",
    "super",
    "tuple",
    "type",
    "while",
    "with",
    "zip",
    "Counter",
    "OrderedDict",
    "defaultdict",
    "deque",
    "Decimal",
    "Fraction",
    "datetime",
    "date",
    "timedelta",
];

pub(in crate::agent) fn is_python_word(name: &str) -> bool {
    PYTHON_WORDS.contains(&name)
}

/// The byte after the bracket that closes the first one.
pub(super) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + c.len_utf8());
                }
            }
            (None, _) => {}
        }
    }
    None
}

/// Whether every bracket and quote of a statement is closed and no line is continued.
pub(in crate::agent) fn balanced(text: &str) -> bool {
    let plain = without_strings(text);
    let open = plain.matches(['(', '[', '{']).count();
    let close = plain.matches([')', ']', '}']).count();
    open <= close && !text.trim_end().ends_with('\\') && text.matches("\"\"\"").count().is_multiple_of(2)
}

/// The text with the contents of quotes taken out.
pub(in crate::agent) fn without_strings(text: &str) -> String {
    strings().replace_all(text, "\"\"").into_owned()
}

/// The text with what is quoted replaced by as many bytes of `_`, so that places stay what they are.
pub(in crate::agent) fn without_strings_in_place(text: &str) -> String {
    strings().replace_all(text, |found: &regex::Captures<'_>| "_".repeat(found[0].len())).into_owned()
}

fn strings() -> &'static Regex {
    static STRING: LazyLock<Regex> = LazyLock::new(|| {
        compile(r#"(?s)"""(?:\\.|[^\\])*?"""|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"#)
    });
    &STRING
}

/// Whether a text is one Python literal and nothing else.
pub(in crate::agent) fn is_value(text: &str) -> bool {
    literal(text) == Some(text.len())
}

/// The length of the Python literal that a text begins with.
pub(super) fn literal(text: &str) -> Option<usize> {
    static SCALAR: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r#"^(?:[-+]?\d[\d_]*(?:\.\d*)?(?:[eE][-+]?\d+)?|True|False|None|[rbu]?"(?:\\.|[^"\\\n])*"|[rbu]?'(?:\\.|[^'\\\n])*')"#,
        )
    });
    static INSIDE: LazyLock<Regex> = LazyLock::new(|| compile(r"[A-Za-z_]\w*"));
    if text.starts_with(['[', '(', '{']) {
        let end = closing(text)?;
        // Names inside mean that it is no literal (or that it is JSON, which Python does not read).
        let plain = without_strings(&text[..end]);
        if plain.contains("..") {
            return None;
        }
        let known = |name: &str| matches!(name, "True" | "False" | "None") || name.starts_with(['e', 'E']);
        return INSIDE.find_iter(&plain).all(|name| known(name.as_str())).then_some(end);
    }
    // `007` is no number.
    let octal = |found: &str| {
        found.len() > 1
            && found.trim_start_matches(['-', '+']).starts_with('0')
            && found.chars().all(|c| c.is_ascii_digit())
    };
    SCALAR.find(text).filter(|found| !octal(found.as_str())).map(|found| found.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_when_all_is_closed() {
        assert!(balanced("assert f('(') == 1"));
        assert!(!balanced("assert f("));
        assert!(!balanced("assert f(1) == \\"));
    }

    #[test]
    fn values_are_told_from_what_only_begins_like_one() {
        for value in ["1", "-2.5", "'a'", "[1, (2, None)]", "{'a': True}", "0"] {
            assert!(is_value(value), "{value}");
        }
        for other in ["007", "[1, ...]", "[a]", "1 2", "int", "{1, ..}"] {
            assert!(!is_value(other), "{other}");
        }
    }
}
