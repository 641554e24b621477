//! One notation of many: LaTeX's dress, currencies and separators taken off, words marked.

use std::sync::LazyLock;

use regex::Regex;

use super::signs;

#[expect(clippy::unwrap_used, reason = "the patterns are constants and a test runs them")]
pub(super) fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

/// Stands for the end of a matrix's row, which LaTeX's `\\\\` would lose among its spaces.
pub(super) const ROW_END: char = '⏎';
/// Words inside a formula stand between these.
pub(super) const WORDS: [char; 2] = ['⟦', '⟧'];

/// The length of what stands before the brace that closes a group whose opening brace was just read; all of it where
/// none does.
pub(super) fn group_length(text: &str) -> usize {
    let mut depth = 1_i32;
    let mut escaped = false;
    for (at, sign) in text.char_indices() {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// How an answer is written, without what says nothing: braces around one sign, spaces where nothing would join.
/// Answers of one spelling are the same, whether they can be read or not.
pub(super) fn spelling(text: &str) -> String {
    let text = plain(text);
    let text = text.trim().trim_end_matches(['.', ',']);
    let mut spelled = String::with_capacity(text.len());
    spell(text, 0, &mut spelled);
    spelled
}

fn spell(text: &str, depth: usize, spelled: &mut String) {
    const DEPTH_MAX: usize = 64;
    let is_one = |inner: &str| {
        let rest = inner.strip_prefix('\\').map(|name| name.trim_end_matches(|c: char| c.is_ascii_alphabetic()));
        inner.chars().count() == 1 || inner.len() > 1 && rest.is_some_and(str::is_empty)
    };
    let mut rest = text;
    while let Some(sign) = rest.chars().next() {
        rest = &rest[sign.len_utf8()..];
        match sign {
            '\\' if rest.starts_with(['{', '}', '\\']) => {
                spelled.push('\\');
                spelled.push_str(&rest[..1]);
                rest = &rest[1..];
            }
            '{' if depth < DEPTH_MAX => {
                let length = group_length(rest);
                let inner = rest[..length].trim();
                if is_one(inner) {
                    spelled.push_str(inner);
                } else {
                    spelled.push('{');
                    spell(inner, depth + 1, spelled);
                    spelled.push('}');
                }
                rest = rest.get(length + 1..).unwrap_or_default();
            }
            _ if sign.is_whitespace() => {
                // `1 2` is not 12.
                let joins = spelled.ends_with(|c: char| c.is_ascii_digit())
                    && rest.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '.');
                if joins && !rest.starts_with(char::is_whitespace) {
                    spelled.push(' ');
                }
            }
            _ if WORDS.contains(&sign) || sign == '$' => {}
            _ => spelled.push(sign),
        }
    }
}

/// The name that an answer is, where it is one (`\text{(C)}` is `c`).
pub(super) fn name(plain: &str) -> Option<String> {
    let text: String = plain.chars().map(|c| if WORDS.contains(&c) { ' ' } else { c }).collect();
    let text = text.trim().trim_matches(['(', ')', '.', ',', '"', '\'', '*', '$', '{', '}']).trim();
    // "Option (B)", "answer: B"
    let text: String = text.chars().map(|c| if matches!(c, '(' | ':') { ' ' } else { c }).collect();
    let is_name = text.chars().any(char::is_alphabetic)
        && text.chars().all(|c| c.is_alphabetic() || c == ' ' || c == '-' || c == '\'');
    is_name.then(|| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
}

/// LaTeX's frame, sizes and spaces off; operators in one spelling.
fn dressed_down(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
        let rules = [
            (r"(\\[a-zA-Z]+)(\d)", "$1 $2"),
            (r"\\(?:boxed|fbox|underline|uline|ensuremath|mathop|pmb)\s*\{", "{"),
            (r"\\(?:text|math)?color(?:box)?\s*\{[^{}]*\}", ""),
            (r"\\(?:left|right|middle|[bB]igg?[lrm]?|limits|mathstrut|strut|(?:display|text|script)style)\b\.?", ""),
            (r"\\(?:bf|rm|it|sf|tt|sl|em|tiny|small|normalsize|large|Large|LARGE|huge|Huge|boldmath)\b\s*", ""),
            (r"\\[dtc]frac(?:\b|\s)", r"\frac "),
            (r"\\[dt]binom\b", r"\binom"),
            (r"\{,\}|,\s*\\!\s*|\\!", ""),
            (r"\\(?:quad|qquad|enspace|hspace\*?\s*\{[^{}]*\}|phantom\s*\{[^{}]*\})", " "),
            (r"\\[,;:> ]|~", " "),
            (r"\\(?:lbrace|lbrack)\b", r"\{"),
            (r"\\(?:rbrace|rbrack)\b", r"\}"),
            (r"\\(?:langle)\b", "("),
            (r"\\(?:rangle)\b", ")"),
            (r"\\(?:[lr]?vert|mid)\b", "|"),
            (r"\\\||\\[lr]?Vert\b|‖", " ‖ "),
            (r"\\(?:leqslant|leqq|leq|le)\b|<=|⩽|≦", "≤"),
            (r"\\(?:geqslant|geqq|geq|ge)\b|>=|⩾|≧", "≥"),
            (r"\\(?:neq|ne|not\s*=)(?:\b|)|(?:^|\s)!=", "≠"),
            (r"\\lt\b", "<"),
            (r"\\gt\b", ">"),
            (r"\\(?:approx|simeq|thickapprox|doteq)\b|≃", "≈"),
            (r"\\equiv\b", "≡"),
            (r"\\in\b", "∈"),
            (r"\\cup\b", "∪"),
            (r"\\cap\b", "∩"),
            (r"\\(?:setminus|backslash|smallsetminus)\b", "∖"),
            (r"\\(?:infty|infin)\b|\b(?i:infinity|infty|inf|oo)\b", "∞"),
            (r"\\(?:cdot|times|ast|cross)\b", "*"),
            (r"\\div\b", "/"),
            (r"\\pm\b|\+/-", "±"),
            (r"\\mp\b", "∓"),
            (r"\\pi\b", "π"),
            (r"\\(?:varnothing|emptyset)\b|\\\{\s*\\\}", "∅"),
            (r"\\(?:mathbb|mathbf|Bbb)\s*(?:\{\s*R\s*\}|R\b)|\\(?:R|reals|Reals)\b", "ℝ"),
            (r"\\(?:mathbf|mathit|mathsf|boldsymbol|bm|textnormal)\b\s*", ""),
            (r"\^\s*\{\s*(?:\\circ\b|\\degree\b|°)\s*\}|\^\s*(?:\\circ\b|\\degree\b|°)|\\(?:degree|circ)\b", "°"),
            (r"°\s*(?:\\(?:text|mathrm)\s*\{\s*[CF]\s*\}|[CF]\b)", "°"),
            (r"\.\.\.|…", r"\ldots "),
            (r"\\?%|\\?\b(?i:percent(?:age)?|pct)\b", " % "),
            (r"\\\$|€|£|¥|₹|¤|¢|\\checkmark\b|✓", ""),
            (
                r"(?:\{\s*\})?\s*[_^]\s*(?:\{\s*(\w+)\s*\}|(\d))\s*C\s*_\s*(?:\{\s*(\w+)\s*\}|(\d))",
                r"\binom{$1$2}{$3$4}",
            ),
            (r"\(\s*(\w+)\s*\)\s*_\s*(\{\s*\d+\s*\}|\d)", "${1}_$2"),
            (r"\\(?:pmod|mod|pod)\b|\bmod\b|\(\s*\\?bmod\b", r" \pmod "),
            (r"([\w)}])\s*\*\*\s*([\w({-])", "$1^$2"),
            (r"\^\s*\{\s*(\d+)\s*\}\s*/\s*_\s*\{\s*(\d+)\s*\}", r"\frac{$1}{$2}"),
            (r"\^\s*(\d)\s*/\s*_\s*(\d)", r"\frac{$1}{$2}"),
        ];
        rules.into_iter().map(|(from, to)| (pattern(from), to)).collect()
    });
    // A file that was escaped once too often; a matrix needs its line ends.
    static TWICE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\\\\([a-zA-Z{}\[\](%$,;! ])"));
    let mut text = signs::spelled_out(text);
    text = if text.contains("\\begin") {
        text.replace("\\\\", &format!(" {ROW_END} "))
    } else {
        TWICE.replace_all(&text, r"\$1").into_owned()
    };
    for (from, to) in RULES.iter() {
        text = from.replace_all(&text, *to).into_owned();
    }
    text
}

/// Whether what ends here is a value.
fn behind(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_digit() || ")}]π".contains(c))
}

/// Words inside a formula between their marks; "and" and "or" are commas, and what is no word stands without marks.
fn words_marked(text: &str) -> String {
    static TEXT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"\\(?:text|mbox|textbf|textit|textrm|textsf|texttt|textup|mathrm|operatorname\*?|hbox)\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}",
        )
    });
    static FUNCTION: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^(?:cis|(?:arc)?(?:sin|cos|tan|cot|sec|csc)|[sct]inh|log|ln|lg|exp|gcd|lcm|max|min|det)$")
    });
    let mut marked = String::with_capacity(text.len());
    let mut from = 0;
    for found in TEXT.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        marked.push_str(&text[from..whole.start()]);
        from = whole.end();
        if found[1].contains('\\') && found[1].trim() != "\\" {
            // A formula that is set as text.
            marked.push_str(&format!(" {} ", &found[1]));
            continue;
        }
        let inner = found[1].replace(['{', '}'], "");
        let word = inner.trim();
        let lower = word.to_lowercase();
        let one_letter = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
        // `⟦kg⟧*m/s`, `\frac{m}{s}`
        let before = marked.trim_end_matches([' ', '*', '/', '{', '}']).trim_end_matches("\\frac").trim_end();
        let of_unit = before.ends_with(WORDS[1]) || before.len() < marked.trim_end().len() && behind(before);
        let behind_value = of_unit || behind(marked.trim_end());
        let as_letter = one_letter && (!behind_value || matches!(word, "i" | "e") || text[from..].starts_with('_'));
        let mixed = word.chars().any(|c| c.is_ascii_digit()) && !UNIT_POWER.is_match(word);
        match lower.as_str() {
            "choose" => marked.push_str(" \\choose "),
            "to" => marked.push_str(" : "),
            _ if FUNCTION.is_match(word) => marked.push_str(&format!("\\{word} ")),
            _ if lower.is_empty() || as_letter || mixed || !lower.contains(char::is_alphabetic) => {
                marked.push_str(&format!(" {inner} "));
            }
            // A list of words, and what only joins.
            _ if AND.is_match(&lower) || lower.contains(',') && marked.trim().is_empty() => {
                marked.push_str(&format!(" {inner} "));
            }
            _ => marked.push_str(&format!(" ⟦{word}⟧ ")),
        }
    }
    marked.push_str(&text[from..]);
    marked
}

/// `m/s^2`: the only digits that a unit has.
static UNIT_POWER: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-zμ./· *-]+\^?-?[1-4]$"));
static AND: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?:and|or)\b"));

/// An answer in one notation, ready to be read as a form.
pub(super) fn plain(text: &str) -> String {
    static AFTER: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
        let bases = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|sixteen";
        let named = format!(r"_\s*\{{?\s*⟦?\s*(?i:{bases})\s*⟧?\s*\}}?");
        vec![
            (pattern(&named), ""),
            (pattern(r"(?i)\s*⟦?\s*\b(?:in )?base\s*⟧?\s*(\d{1,2})\b\s*⟧?"), "_{$1}"),
            (pattern(r"\{\s*(\\(?:gcd|lcm|max|min))\s*\}"), "$1 "),
            (pattern(r"ℝ\s*-\s*(\\\{)"), "ℝ∖$1"),
            (
                pattern(r"(?i)^\s*⟦?\s*all real(?:s| numbers)?,? (?:except|but|other than)(?: for)?\s*⟧?(.*\d\s*)$"),
                r"ℝ∖\{$1\}",
            ),
            (pattern(r"\\[\[\]()]|\$"), " "),
            (pattern(r"(\d)\s+to\s+(\d)"), "$1 : $2"),
            (pattern(r"(\d|\}|\))(?:and|or)(\(|-|\d|\\|[a-zA-Z]\b|[a-zA-Z][=(_ ]|\{)"), "$1 , $2"),
            (pattern(r"(?i)[,;]?\s*⟦?\s*\bor\b\s*⟧?\s*"), " , "),
            (pattern(r"(?i)[,;]?\s*⟦?\s*\band\b\s*⟧?\s*"), " ; "),
        ]
    });
    let mut text = words_marked(&dressed_down(text));
    for (index, (from, to)) in AFTER.iter().enumerate() {
        text = if index == 0 {
            from.replace_all(&text, |found: &regex::Captures<'_>| base_in_digits(&found[0])).into_owned()
        } else {
            from.replace_all(&text, *to).into_owned()
        };
    }
    text.trim().trim_end_matches(['.', ',', ';', ':', '\\']).trim().to_owned()
}

fn base_in_digits(index: &str) -> String {
    const NAMES: [(&str, u32); 12] = [
        ("two", 2),
        ("three", 3),
        ("four", 4),
        ("five", 5),
        ("sixteen", 16),
        ("six", 6),
        ("seven", 7),
        ("eight", 8),
        ("nine", 9),
        ("ten", 10),
        ("eleven", 11),
        ("twelve", 12),
    ];
    let lower = index.to_lowercase();
    NAMES
        .iter()
        .find(|(name, _)| lower.contains(name))
        .map_or_else(|| index.to_owned(), |(_, base)| format!("_{{{base}}}"))
}

/// Thousands in one piece: `1,000`, `1 000`. Only where nothing else can be meant.
pub(super) fn thousands(text: &str) -> String {
    static GROUPED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^([-+]?)\s*(\d{1,3}(?:[, ]\d{3})+)(\.\d+)?\b([^,.\d].*)?$"));
    static DOTTED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^[-+]?\d{1,3}(?:\.\d{3}){2,}$|^[-+]?\d{1,3}(?:\.\d{3})+,\d+$"));
    static INSIDE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{1,3}(?:,\d{3})+\b"));
    let trimmed = text.trim();
    if DOTTED.is_match(trimmed) {
        return trimmed.replace('.', "").replace(',', ".");
    }
    if let Some(found) = GROUPED.captures(trimmed) {
        let rest = found.get(4).map_or("", |rest| rest.as_str());
        let places = found.get(3).map_or("", |places| places.as_str());
        return format!("{}{}{places}{rest}", &found[1], found[2].replace([',', ' '], ""));
    }
    if trimmed.contains(['(', '[', '{']) {
        return trimmed.to_owned();
    }
    INSIDE.replace_all(trimmed, |found: &regex::Captures<'_>| found[0].replace(',', "")).into_owned()
}

/// Whether a text can only be a number with its thousands apart: `70,000` is no list of 70 and 0.
pub(super) fn only_thousands(text: &str) -> bool {
    static ZEROS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-+]?\d{1,3}(?:,\d{3})*,0\d\d(?:,\d{3})*\b"));
    ZEROS.is_match(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dress_comes_off_and_words_are_marked() {
        for (text, want) in [
            ("\\left( 3, \\dfrac{\\pi}{2} \\right)", "( 3, \\frac {π}{2} )"),
            ("15\\mbox{ cm}^2", "15 ⟦cm⟧ ^2"),
            ("\\textbf{(B)}", "⟦(B)⟧"),
            ("90^{\\circ}", "90°"),
            ("3½ x²", "3\\frac{1}{2} x^{2}"),
            ("413_{\\text{five}}", "413_{5}"),
        ] {
            assert_eq!(plain(text), want, "{text}");
        }
        assert_eq!(thousands("12,000,023"), "12000023");
        assert_eq!(thousands("(3,100)"), "(3,100)");
        assert!(only_thousands("70,000") && !only_thousands("12,345"));
        assert_eq!(name("⟦(C)⟧").as_deref(), Some("c"));
        assert_eq!(name("x+1"), None);
    }

    #[test]
    fn a_spelling_keeps_what_groups() {
        assert_eq!(spelling("x^{2}"), spelling("x^2"));
        for (one, other) in
            [("2^{n+1}", "2^n+1"), ("\\frac{12}{3}", "\\frac{1}{23}"), ("1 2", "12"), ("31/2", "3\\ 1/2")]
        {
            assert_ne!(spelling(one), spelling(other), "{one} {other}");
        }
    }
}
