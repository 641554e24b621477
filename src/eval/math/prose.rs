//! A reply's text: its thinking, its Markdown and its money out of the way; its sentences, formulas and numbers.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::plain::pattern;

/// Stands for a currency's sign, so that no formula begins at it.
pub(super) const MONEY: char = '¤';

/// A formula: where it begins and ends in a text, and what it is.
pub(super) type Formula = (usize, usize, String);

/// What a reply says after its thinking, without marks for emphasis. `None` where it never ended to think.
pub(super) fn said(text: &str) -> Option<String> {
    static FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"<\|(?:im_|end|eot)"));
    static BOLD: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|[^\w)*])\*\*([^\s*](?:[^*\n]*[^\s*])?)\*\*"));
    static UNDERLINED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|[\s(:])__([^\s_][^_\n]*)__"));
    static CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|[^`])`([^`\n]{1,200})`"));
    static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)</?answer>"));
    static DRAWING: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)\[asy\].*?\[/asy\]"));
    // What a chat's frame leaves behind.
    let text = FRAME.split(text).next().unwrap_or(text);
    let text = match text.rsplit_once("</think>") {
        Some((_, after)) => after,
        None if text.contains("<think>") => return None,
        None => text,
    };
    let text = DRAWING.replace_all(text, "");
    let text =
        TAG.replace_all(&text, |found: &Captures<'_>| if found[0].starts_with("</") { "\n\n" } else { "Answer: " });
    let text = BOLD.replace_all(&text, "$1$2");
    let text = UNDERLINED.replace_all(&text, "$1$2");
    let text = CODE.replace_all(&text, "$1$2");
    Some(with_money(text.trim()))
}

/// Dollar signs of prices in another sign: `$2 on pens and $3 on paper` has no formula.
fn with_money(text: &str) -> String {
    static PRICE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\$ ?-?(?:\d|\.\d)"));
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        let escaped = before.ends_with('\\');
        found.push_str(if escaped { &before[..at - 1] } else { before });
        if let Some(end) = from.strip_prefix("$$").filter(|_| !escaped).and_then(|display| display.find("$$")) {
            found.push_str(&from[..end + 4]);
            rest = &from[end + 4..];
            continue;
        }
        let end = if escaped { None } else { formula_end(&from[1..]) };
        let price = PRICE.is_match(from);
        // `20$, then …`
        let behind_price = before.ends_with(|c: char| c.is_ascii_digit()) && from[1..].starts_with([' ', ',', '.']);
        let is_formula =
            end.is_some_and(|end| !(price || behind_price) || !is_prose_between(&from[1..=end], &from[end + 2..]));
        if let Some(end) = end.filter(|_| is_formula) {
            found.push_str(&from[..end + 2]);
            rest = &from[end + 2..];
        } else {
            found.push(MONEY);
            rest = if price && !escaped { from[1..].trim_start_matches(' ') } else { &from[1..] };
        }
    }
    found.push_str(rest);
    found
}

/// Where the dollar sign is that closes a formula of this paragraph.
fn formula_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, sign) in text.char_indices() {
        match sign {
            '\n' if text[at + 1..].trim_start_matches(' ').starts_with('\n') => return None,
            '$' if !escaped => return Some(at),
            _ => {}
        }
        escaped = sign == '\\' && !escaped;
    }
    None
}

/// Whether what stands between two dollar signs is what is said between two prices.
fn is_prose_between(inner: &str, behind: &str) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[\s,(])[A-Za-z]{2,}(?:[\s,.)]|$)"));
    static COMMAND: LazyLock<Regex> = LazyLock::new(|| pattern(r"\\[a-zA-Z]+\s*(?:\{[^{}]*\})?"));
    let open = inner.contains('\n') || inner.trim_end().ends_with(['+', '-', '=', '*', '/', '(', '×', '−']);
    open || behind.starts_with(|c: char| c.is_ascii_digit()) || WORD.is_match(&COMMAND.replace_all(inner, " "))
}

/// What stands between dollar signs or in LaTeX's brackets, in order, with its place.
pub(super) fn formulas(text: &str) -> Vec<Formula> {
    static MATH: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?s)\$\$(.+?)\$\$|\\\[(.+?)\\\]|\\\((.+?)\\\)|\$((?:\\\$|[^$])+?)\$|\\begin\{align\*?\}(.+?)\\end\{align\*?\}",
        )
    });
    let inner = |found: Captures<'_>| {
        let whole = found.get(0)?;
        let inner = (1..=5).find_map(|group| found.get(group))?.as_str().trim();
        (!inner.is_empty()).then(|| (whole.start(), whole.end(), last_row(inner)))
    };
    MATH.captures_iter(text).filter_map(inner).collect()
}

/// Of equations in rows the last one: `&= 12`.
fn last_row(formula: &str) -> String {
    static FRAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"\\(?:begin|end)\{(?:align|gather|split)(?:ed)?\*?\}"));
    if !formula.contains('&') || !formula.contains("\\\\") || formula.contains("matrix}") || formula.contains("{array}")
    {
        return formula.to_owned();
    }
    let bare = FRAME.replace_all(formula, "");
    let row = bare.split("\\\\").map(str::trim).filter(|row| !row.is_empty()).last();
    row.map_or_else(|| formula.to_owned(), |row| row.replace('&', " ").trim().to_owned())
}

/// The sentence at the beginning of a text: up to a full stop outside of formulas, or the end of the line.
pub(super) fn sentence(text: &str) -> &str {
    const SHORT: [&str; 8] = ["i.e", "e.g", "a.m", "p.m", "vs", "approx", "No", "Eq"];
    let formulas = formulas(text);
    let mut inside = formulas.iter().peekable();
    for (at, sign) in text.char_indices() {
        while inside.next_if(|(_, to, _)| *to <= at).is_some() {}
        if inside.peek().is_some_and(|(from, ..)| *from <= at) {
            continue;
        }
        let rest = &text[at + sign.len_utf8()..];
        let ends = match sign {
            '\n' => true,
            '?' | '!' if !text[..at].ends_with('\\') => rest.is_empty() || rest.starts_with(char::is_whitespace),
            '.' => {
                let next = rest.trim_start_matches(' ').chars().next();
                let apart = rest.is_empty() || rest.starts_with(char::is_whitespace);
                apart && !next.is_some_and(char::is_lowercase) && !SHORT.iter().any(|word| text[..at].ends_with(word))
            }
            _ => false,
        };
        if ends {
            return &text[..at];
        }
    }
    text
}

/// The last number that stands as a word of its own.
pub(super) fn last_number(text: &str) -> Option<String> {
    numbers(text).pop().map(|(.., number)| number)
}

/// The number in which a sentence ends: what its last equation comes to, unless it goes on, else the last one.
pub(super) fn concluding_number(text: &str) -> Option<String> {
    static GOES_ON: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?i)[,;]|\b(?:so|thus|hence|means|gives|therefore|then)\b"));
    let line = text.trim_end().rsplit('\n').next().unwrap_or(text);
    let all = numbers(line);
    let of_equation = |(from, to, _): &&(usize, usize, String)| {
        line[..*from].trim_end_matches([' ', MONEY, '\\']).ends_with('=') && !GOES_ON.is_match(&line[*to..])
    };
    let found = all.iter().rev().find(of_equation).or(all.last());
    found.map(|(.., number)| number.clone()).or_else(|| last_number(text))
}

/// The numbers that stand as words of their own.
fn numbers(text: &str) -> Vec<(usize, usize, String)> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?:^|[^\w.])([-−]?\\?[$€£¤]?-?(?:\d+ \d+/\d+|(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:/\d+|:\d+)?)(?:%|\\%| ?percent\b| ?pct\b)?)",
        )
    });
    let number = |found: Captures<'_>| {
        let number = found.get(1)?;
        let after = text[number.end()..].chars().next();
        let stands = after.is_none_or(|c| !c.is_numeric() && c != '_' || "²³".contains(c));
        stands.then(|| (number.start(), number.end(), number.as_str().to_owned()))
    };
    NUMBER.captures_iter(text).filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_no_formulas() {
        for (text, want) in [
            ("$15 + $10 = $25.", "¤15 + ¤10 = ¤25."),
            ("He spends $2 on pens and $3 on paper.", "He spends ¤2 on pens and ¤3 on paper."),
            ("It is $70,000$ dollars, or $x = 3$.", "It is $70,000$ dollars, or $x = 3$."),
            ("costs \\$5", "costs ¤5"),
            ("$$x = 5$$ and $ 18", "$$x = 5$$ and ¤18"),
        ] {
            assert_eq!(with_money(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_thought_is_not_said() {
        assert_eq!(said("<think>\\boxed{4}</think> **5**").as_deref(), Some("5"));
        assert_eq!(said("<think>\\boxed{4}"), None);
        assert_eq!(said("2**3 and `20` and __7__").as_deref(), Some("2**3 and 20 and 7"));
    }

    #[test]
    fn a_sentence_ends_outside_of_formulas() {
        assert_eq!(sentence("it is $x. Y$. Then"), "it is $x. Y$");
        assert_eq!(sentence("5.5 or i.e. six. More"), "5.5 or i.e. six");
    }
}
