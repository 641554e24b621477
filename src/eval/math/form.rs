//! What an answer is as a whole: one expression, several, a tuple, an interval, a set, a matrix, a relation, a name.
//!
//! Not for: whether two of them mean the same (`equal.rs`).

use std::sync::LazyLock;

use regex::Regex;

use super::expr::{Expr, Parsed};
use super::parse::parse;
use super::plain::{self, WORDS, pattern};
use super::relation::{self, Relation};
use super::{matrix, units};

/// Items of a list, and readings of one answer.
const ITEMS_MAX: usize = 64;
/// Brackets in brackets.
const DEPTH_MAX: usize = 12;

/// One answer, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    Value(Parsed),
    /// Several answers, in any order.
    Several(Vec<Form>),
    /// In this order, with these brackets: a point, a vector, an interval.
    Tuple(char, Vec<Form>, char),
    /// Intervals, in any order.
    Union(Vec<Form>),
    /// Inequalities that hold together.
    Together(Vec<Form>),
    /// All real numbers.
    Reals,
    /// All of the first but what the second has.
    Without(Box<Form>, Box<Form>),
    Matrix(Vec<Vec<Form>>),
    Relation(Relation),
    Ratio(Vec<Parsed>),
    /// The first modulo the second.
    Modulo(Parsed, Parsed),
    /// The hour, the minute, and whether it is before noon.
    Clock(u32, u32, Option<bool>),
    /// The letter of an option, and what the option says.
    Choice(char, Box<Form>),
    Name(String),
}

/// Whether a text can be an answer by itself.
pub(super) fn is_answer(text: &str) -> bool {
    text.len() <= super::CHARS_MAX && !readings(text).is_empty()
}

/// Whether a few words are one answer, or several of one kind: no number beside words that say something else.
pub(super) fn is_short(text: &str) -> bool {
    let mixed = |form: &Form| match form {
        Form::Several(items) => {
            let names = items.iter().filter(|item| matches!(item, Form::Name(_))).count();
            names > 0 && names < items.len()
        }
        _ => false,
    };
    text.len() <= super::CHARS_MAX && readings(text).iter().any(|form| !mixed(form))
}

/// Everything that an answer may mean.
pub(super) fn readings(text: &str) -> Vec<Form> {
    let plain = plain::plain(text);
    let mut found = Vec::new();
    let mut add = |form: Option<Form>| {
        if let Some(form) = form
            && !found.contains(&form)
        {
            found.push(form);
        }
    };
    let clock = clock(&plain);
    if let Some(Form::Clock(.., Some(_))) = clock {
        return clock.into_iter().collect();
    }
    add(clock);
    if let Some(choice) = choice(&plain) {
        return vec![choice];
    }
    let grouped = plain::thousands(&plain);
    add(form(&grouped, 0));
    if grouped != plain && !plain::only_thousands(&plain) {
        add(form(&plain, 0));
    }
    // The number that something exact comes to, nearly.
    add(grouped.rsplit_once('≈').and_then(|(_, near)| form(near, 0)));
    add(plain::name(&plain).map(named));
    found
}

/// A number with one letter behind it, which is a unit where the right answer is only a number.
pub(super) fn letter_as_unit(gold: &[Form], text: &str) -> Option<Form> {
    let number = |form: &Form| matches!(form, Form::Value(parsed) if parsed.value().is_some());
    if !gold.iter().any(number) {
        return None;
    }
    side(units::without_letter(&plain::plain(text))?).map(Form::Value)
}

/// A number that is written with a decimal comma. Only against a number with a point: else it is a list of two.
pub(super) fn decimal_comma(text: &str) -> Option<Form> {
    static COMMA: LazyLock<Regex> = LazyLock::new(|| pattern(r"^-?(?:\d{2,},\d|\d+,\d\d|\d+,\d{4,}|0,\d+)$"));
    let plain = plain::plain(text);
    if !COMMA.is_match(&plain) {
        return None;
    }
    parse(&plain.replace(',', "."), true).map(Form::Value)
}

/// Names that stand for something else.
fn named(name: String) -> Form {
    match name.as_str() {
        "empty set" | "the empty set" | "no solution" | "no solutions" | "no real solution" | "no real solutions" => {
            Form::Several(Vec::new())
        }
        "all real numbers" | "all reals" | "all real" | "the real numbers" | "real numbers" | "reals" => Form::Reals,
        _ => {
            let option = ["option ", "choice ", "answer "].iter().find_map(|lead| name.strip_prefix(lead));
            let letter = option.map(|rest| rest.trim_matches(['(', ')', ' '])).filter(|rest| rest.len() == 1);
            Form::Name(letter.map(str::to_owned).unwrap_or(name))
        }
    }
}

pub(super) fn form(text: &str, depth: usize) -> Option<Form> {
    let text = text.trim().trim_end_matches(['.', ',']).trim();
    let text = bare(member_of(text));
    if text.is_empty() || depth > DEPTH_MAX {
        return None;
    }
    match text {
        "∅" => return Some(Form::Several(Vec::new())),
        "ℝ" => return Some(Form::Reals),
        _ => {}
    }
    let text = &open_ends(text);
    if let Some(modulo) = modulo(text) {
        return Some(modulo);
    }
    if let Some((whole, rest)) = text.split_once('∖') {
        return Some(Form::Without(Box::new(form(whole, depth + 1)?), Box::new(form(rest, depth + 1)?)));
    }
    let unions = split(text, &['∪']);
    if unions.len() > 1 {
        return several(&unions, depth).map(Form::Union);
    }
    let items = split(text, &[',', ';']);
    if items.len() > 1 {
        let mut forms = several(&items, depth)?;
        // `x ∈ ℝ, x ≠ 3`
        if forms.iter().any(is_inequality) {
            forms.retain(|form| *form != Form::Reals);
        }
        // "x > 1 and x < 6"
        let together = split(text, &[';']).len() == items.len() && forms.iter().all(is_inequality);
        return Some(if together { Form::Together(forms) } else { Form::Several(forms) });
    }
    if let Some(inner) = between(text, "\\{", "\\}") {
        return set(inner, depth);
    }
    matrix::matrix(text, depth)
        .or_else(|| tuple(text, depth))
        .or_else(|| relation::relation(text, depth))
        .or_else(|| ratio(text))
        .or_else(|| value(text))
}

fn is_inequality(form: &Form) -> bool {
    matches!(form, Form::Relation(relation) if !relation.is_equation())
}

/// Without `x ∈` before a set.
fn member_of(text: &str) -> &str {
    static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^\(?\s*\\?[\p{L}]+(?:_\s*\{?\w+\}?)?'?(?:\s*,\s*\p{L}(?:_\s*\{?\w+\}?)?)*\s*\)?\s*∈\s*")
    });
    MEMBER.find(text).map_or(text, |found| &text[found.end()..])
}

/// Without braces around the whole of it, which group and say nothing.
fn bare(mut text: &str) -> &str {
    while !text.starts_with("\\{")
        && let Some(inner) = between(text, "{", "}")
    {
        text = inner.trim();
    }
    text
}

/// `]2,5[` as `(2,5)`.
fn open_ends(text: &str) -> String {
    static OPEN: LazyLock<Regex> = LazyLock::new(|| pattern(r"(^|∪)(\s*)\]([^\[\]]*,[^\[\]]*)([\[\]])"));
    static CLOSE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[([^\[\]()]*,[^\[\]()]*)\[(\s*)($|∪)"));
    if !text.contains(']') && !text.contains('[') {
        return text.to_owned();
    }
    let text = OPEN.replace_all(text, |found: &regex::Captures<'_>| {
        format!("{}{}({}{}", &found[1], &found[2], &found[3], if &found[4] == "[" { ")" } else { "]" })
    });
    CLOSE.replace_all(&text, "[$1)$2$3").into_owned()
}

fn several(items: &[&str], depth: usize) -> Option<Vec<Form>> {
    if items.len() > ITEMS_MAX {
        return None;
    }
    let mut forms = Vec::new();
    for item in items.iter().filter(|item| !item.trim().is_empty()) {
        match form(item, depth + 1).or_else(|| plain::name(item).map(named))? {
            // `1±√5` is two of them.
            Form::Several(two) if !two.is_empty() => forms.extend(two),
            one => forms.push(one),
        }
    }
    (!forms.is_empty()).then_some(forms)
}

/// What braces enclose: items, or what is said of the members.
fn set(inner: &str, depth: usize) -> Option<Form> {
    static BUILDER: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^\s*\p{L}\s*(?:∈\s*ℝ\s*)?(?:[:|]|⟦such that⟧|⟦s\.t\.⟧)\s*(.+)$"));
    if let Some(found) = BUILDER.captures(inner) {
        return form(&found[1], depth + 1);
    }
    several(&split(inner, &[',', ';']), depth).map(Form::Several)
}

/// What stands between an opening and its own closing mark, where that is all of the text.
pub(super) fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.trim().strip_prefix(open)?.strip_suffix(close)?;
    let mut depth = 0_i32;
    for sign in inner.chars() {
        match sign {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        // Half-open intervals close with another bracket than they open: only the balance counts.
        if depth < 0 {
            return None;
        }
    }
    (depth == 0).then(|| inner.trim())
}

/// Splits outside of brackets and matrices.
pub(super) fn split<'a>(text: &'a str, marks: &[char]) -> Vec<&'a str> {
    let (mut depth, mut from, mut parts) = (0_i32, 0, Vec::new());
    let mut inside_matrix = 0_i32;
    for (at, sign) in text.char_indices() {
        if text[at..].starts_with("\\begin") {
            inside_matrix += 1;
        } else if text[at..].starts_with("\\end") {
            inside_matrix -= 1;
        }
        match sign {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ if sign == WORDS[0] => depth += 1,
            _ if sign == WORDS[1] => depth -= 1,
            _ if depth == 0 && inside_matrix == 0 && marks.contains(&sign) => {
                parts.push(&text[from..at]);
                from = at + sign.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn tuple(text: &str, depth: usize) -> Option<Form> {
    if text.matches(['±', '∓']).count() == 1 {
        // `(±2, 3)` is two points.
        let either = ["+", "-"].map(|sign| tuple(&text.replace(['±', '∓'], sign), depth));
        let [Some(plus), Some(minus)] = either else { return None };
        return Some(Form::Several(vec![plus, minus]));
    }
    let open = text.chars().next().filter(|sign| matches!(sign, '(' | '['))?;
    let close = text.chars().next_back().filter(|sign| matches!(sign, ')' | ']'))?;
    let inner = between(text, &open.to_string(), &close.to_string())?;
    let items = split(inner, &[',', ';']);
    if !(2..=ITEMS_MAX).contains(&items.len()) {
        return None;
    }
    let item = |item: &&str| form(item, depth + 1).or_else(|| plain::name(item).map(Form::Name));
    let forms: Option<Vec<Form>> = items.iter().map(item).collect();
    Some(Form::Tuple(open, forms?, close))
}

/// `3:2`; a time of day is read by [`clock`] before.
fn ratio(text: &str) -> Option<Form> {
    let parts = split(text, &[':']);
    if !(2..=8).contains(&parts.len()) {
        return None;
    }
    parts.into_iter().map(side).collect::<Option<Vec<Parsed>>>().map(Form::Ratio)
}

fn modulo(text: &str) -> Option<Form> {
    let (value, modulus) = text.split_once("\\pmod")?;
    let value = value.trim().trim_end_matches('(').trim();
    let value = value.rsplit(['≡', '=']).next()?;
    let modulus = modulus.trim().trim_matches(['{', '}', '(', ')', ' ', '.']);
    Some(Form::Modulo(side(value)?, parse(modulus, true)?))
}

fn clock(text: &str) -> Option<Form> {
    static CLOCK: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(\d{1,2})\s*:\s*(\d\d)\s*(?:⟦?\s*(?i:([ap])\.?\s*m\.?|noon)\s*⟧?)?\s*\.?$"));
    let found = CLOCK.captures(text)?;
    let half = found.get(3).map(|half| half.as_str().eq_ignore_ascii_case("a"));
    let (hour, minute) = (found[1].parse().ok()?, found[2].parse().ok()?);
    (hour <= 24 && minute < 60).then_some(Form::Clock(hour, minute, half))
}

/// `(B) 12`
fn choice(text: &str) -> Option<Form> {
    static CHOICE: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^\s*(?:\(([A-J])\)\s*[:.]?|([A-J])[.):]\s)\s*([^\s=+*/^_,;<>≤≥:)!'∈∪-].*|\s-.*)$"));
    let text: String = text.chars().map(|c| if WORDS.contains(&c) { ' ' } else { c }).collect();
    let found = CHOICE.captures(&text)?;
    let letter = found.get(1).or_else(|| found.get(2))?.as_str().chars().next()?;
    let rest = found[3].trim();
    let rest = form(rest, 1).or_else(|| plain::name(rest).map(Form::Name))?;
    Some(Form::Choice(letter, Box::new(rest)))
}

/// An expression with the words around it taken off.
pub(super) fn side(text: &str) -> Option<Parsed> {
    signed(text, true)
}

fn signed(text: &str, plus: bool) -> Option<Parsed> {
    static GOES_ON: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\.\d+)\s*(?:\\[lc]?dots|\.\.\.|…)\s*$"));
    if let Some(found) = GOES_ON.captures(text) {
        return goes_on(&text[..text.len() - found[0].len()], &found[1]);
    }
    let bare = units::without_words(text)?;
    if let Some(digits) = digits_with_letters(&bare.text) {
        return Some(digits.into());
    }
    if has_words(&bare.text) {
        return None;
    }
    let mut parsed = parse(&bare.text, plus)?;
    (parsed.unit, parsed.lead) = (bare.unit, bare.lead);
    Some(parsed)
}

/// `2A_{16}`
fn digits_with_letters(text: &str) -> Option<Expr> {
    static DIGITS: LazyLock<Regex> = LazyLock::new(|| pattern(r"^([0-9A-F]+)_\{?(1[1-6])\}?$"));
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let found = DIGITS.captures(&text)?;
    let mixed = found[1].len() > 1 && found[1].contains(|c: char| c.is_ascii_digit());
    (mixed && found[1].contains(char::is_alphabetic))
        .then(|| found[2].parse().ok().map(|base| Expr::Based(found[1].to_owned(), base)))?
}

/// `0.333…`: digits that repeat go on, others are as exact as they are written.
fn goes_on(whole: &str, places: &str) -> Option<Parsed> {
    let digits = &places[1..];
    let repeats = (1..=digits.len() / 2).find_map(|length| {
        let tail = &digits[digits.len() - length..];
        let times = digits.as_bytes().rchunks(length).take_while(|chunk| *chunk == tail.as_bytes()).count();
        (times >= 2 && times * length >= 3).then(|| (&digits[..digits.len() - times * length], tail))
    });
    match repeats {
        Some((start, tail)) => parse(&format!("{whole}.{start}\\overline{{{tail}}}"), true),
        None => parse(&format!("{whole}{places}"), true),
    }
}

fn value(text: &str) -> Option<Form> {
    let plus = side(text)?;
    if text.contains(['±', '∓']) {
        let minus = signed(text, false)?;
        return Some(Form::Several(vec![Form::Value(plus), Form::Value(minus)]));
    }
    Some(Form::Value(plus))
}

/// Whether a run of letters is too long to be a product of variables.
fn has_words(text: &str) -> bool {
    const LETTERS_MAX: usize = 3;
    let mut rest = text;
    while let Some(at) = rest.find(char::is_alphabetic) {
        let command = rest[..at].ends_with('\\');
        let run: String = rest[at..].chars().take_while(|c| c.is_alphabetic()).collect();
        let function = super::tokens::WORDS.iter().any(|name| run.starts_with(name));
        if !command && !function && run.chars().count() > LETTERS_MAX && !units::is_run(&run) {
            return true;
        }
        rest = &rest[at + run.len()..];
    }
    false
}
