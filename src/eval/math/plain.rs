//! One notation of many: LaTeX's dress, units, currencies and separators taken off.

use std::sync::LazyLock;

use regex::Regex;

#[expect(clippy::unwrap_used, reason = "the patterns are constants and a test runs them")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

/// Units and things counted, as answers name them behind a number.
const UNITS: &str = "degrees?|deg|radians?|dollars?|cents?|euros?|yuan|yen|rupees?|pounds?|\
    (?:square |cubic |sq\\.? )?(?:millimeters?|centimeters?|meters?|metres?|kilometers?|inches|inch|feet|foot|yards?|miles?|units?|mm|cm|km|ft|mi|m)|\
    seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|kg|grams?|mph|km/h|liters?|litres?|gallons?|\
    people|students?|ways|times|items|apples|books|points?|square|cubic";

/// Stands for the end of a matrix's row, which LaTeX's `\\\\` would lose among its spaces.
pub(super) const ROW_END: char = '⏎';

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

/// An answer as letters and digits only, for those that are no mathematics.
pub(super) fn letters(text: &str) -> String {
    let text = words_out(&dressed_down(text));
    text.chars()
        .filter(|c| !c.is_whitespace() && !"${}\\".contains(*c))
        .collect::<String>()
        .trim_matches(['.', ','])
        .to_owned()
}

/// The name that an answer is, where it is one (`\text{(C)}` is `c`).
pub(super) fn name(text: &str) -> Option<String> {
    let text = words_out(&dressed_down(text));
    let text = text.trim().trim_matches(['(', ')', '.', ',', '"', '\'', '*', '$']).trim();
    let is_name = text.chars().count() > 0
        && text.chars().any(char::is_alphabetic)
        && text.chars().all(|c| c.is_alphabetic() || c == ' ' || c == '-' || c == '\'');
    is_name.then(|| text.to_lowercase())
}

/// LaTeX's frame, sizes and spaces off; operators in one spelling.
fn dressed_down(text: &str) -> String {
    static BEFORE: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
        let rules = [
            (r"(\\[a-zA-Z]+)(\d)", "$1 $2"),
            (r"\\(?:boxed|fbox)\s*\{", "{"),
            (r"\\(?:left|right|bigg?|Bigg?|displaystyle|limits|mathstrut)\b\.?", ""),
            (r"\\(?:dfrac|tfrac|cfrac)", r"\frac"),
            (r"\\(?:dbinom|tbinom)", r"\binom"),
            (r"\{,\}|,\s*\\!\s*|\\!", ""),
            (r"\\(?:quad|qquad)", " "),
            (r"\\[,;:> ]|~", " "),
            (r"\\(?:lbrace|lvert|lbrack)\b", r"\{"),
            (r"\\(?:rbrace|rbrack)\b", r"\}"),
            (r"\\(?:leqslant|leq|le)\b|<=|≤|⩽", "≤"),
            (r"\\(?:geqslant|geq|ge)\b|>=|≥|⩾", "≥"),
            (r"\\(?:neq|ne)\b|!=|≠", "≠"),
            (r"\\lt\b", "<"),
            (r"\\gt\b", ">"),
            (r"\\(?:approx|simeq|equiv)\b", "≈"),
            (r"\\in\b", "∈"),
            (r"\\cup\b", "∪"),
            (r"\\(?:infty|infin)\b", "∞"),
            (r"\\(?:cdot|times|ast)\b|×|·|⋅", "*"),
            (r"\\div\b|÷", "/"),
            (r"\\pm\b", "±"),
            (r"\\mp\b", "∓"),
            (r"\\pi\b", "π"),
            (r"−|–", "-"),
            (r"\\(?:mathbf|mathit|mathsf|boldsymbol|bm)\s*", ""),
            (r"\^\s*\{?\s*(?:\\circ|\\degree|∘)\s*\}?|\\degree\b|°", ""),
            (r"\\?%|\\?\bpercent(?:age)?\b|\bpct\b", " % "),
            (r"\\\$|€|£|¥", ""),
        ];
        rules.into_iter().map(|(from, to)| (pattern(from), to)).collect()
    });
    // A file that was escaped once too often; a matrix needs its line ends.
    static TWICE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\\\\([a-zA-Z{}\[\](%$,;! ])"));
    let matrix = text.contains("\\begin");
    let mut text = if matrix {
        text.replace("\\\\", &format!(" {ROW_END} "))
    } else {
        TWICE.replace_all(text, r"\$1").into_owned()
    };
    for (from, to) in BEFORE.iter() {
        text = from.replace_all(&text, *to).into_owned();
    }
    text
}

/// Words inside a formula: "and" and "or" are commas, a word alone stays, what follows a number is a unit.
fn words_out(text: &str) -> String {
    static TEXT: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\\(?:text|mbox|textbf|textit|textrm|mathrm|operatorname|hbox)\s*\{([^{}]*)\}"));
    TEXT.replace_all(text, " $1 ").into_owned()
}

/// An answer in one notation, ready to be read as a form.
pub(super) fn plain(text: &str) -> String {
    static AFTER: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
        let units = format!(r"(\d|\}}|\)|π)\s*\\?(?:{UNITS})\b\.?(?:\s*\^\s*\{{?\d\}}?|²|³)?");
        let joins = r"(\d|\}|\)|\b)\s*(?:and|or)\s*(\(|-|\d|\\|[a-zA-Z]\b|[a-zA-Z][=(_ ]|\{)";
        vec![(pattern(r"\\[\[\]()]|\$"), " "), (pattern(joins), "$1 , $2"), (pattern(&units), "$1")]
    });
    let mut text = words_out(&dressed_down(text));
    for (from, to) in AFTER.iter() {
        text = from.replace_all(&text, *to).into_owned();
    }
    let text = text.trim().trim_end_matches(['.', ',', ';', ':']).trim();
    text.to_owned()
}

/// Thousands in one piece: `1,000`, `1 000`. Only where nothing else can be meant.
pub(super) fn thousands(text: &str) -> String {
    static GROUPED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^([-+]?)(\d{1,3}(?:[, ]\d{3})+)(\.\d+)?( % ?)?$"));
    static INSIDE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\d{1,3}(?:,\d{3})+\b"));
    let trimmed = text.trim();
    if GROUPED.is_match(trimmed) {
        return trimmed.replace([',', ' '], "");
    }
    let bracketed = trimmed.contains(['(', '[', '{', ';']);
    if bracketed {
        return trimmed.to_owned();
    }
    INSIDE.replace_all(trimmed, |found: &regex::Captures<'_>| found[0].replace(',', "")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dress_units_and_words_come_off() {
        for (text, want) in [
            ("\\left( 3, \\dfrac{\\pi}{2} \\right)", "( 3, \\frac{π}{2} )"),
            ("15\\mbox{ cm}^2", "15"),
            ("\\frac{1}{3} \\textbf{meters}", "\\frac{1}{3}"),
            ("0.06 \\text{ yuan}", "0.06"),
            ("90^{\\circ}", "90"),
        ] {
            assert_eq!(plain(text), want, "{text}");
        }
        assert_eq!(thousands("12,000,023"), "12000023");
        assert_eq!(thousands("(3,100)"), "(3,100)");
        assert_eq!(name("\\text{(C)}").as_deref(), Some("c"));
        assert_eq!(name("x+1"), None);
    }
}
