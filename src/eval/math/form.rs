//! What an answer is as a whole: one expression, several, a tuple, an interval, a set, a matrix, a relation, a name.

use super::expr::{self, Expr, Parsed};
use super::parse::parse;
use super::plain;

/// Items of a list, and readings of one answer.
const ITEMS_MAX: usize = 64;

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
    Matrix(Vec<Vec<Form>>),
    /// Sides with the relations between them.
    Relation(Vec<Parsed>, Vec<char>, Head),
    Name(String),
}

/// What stands on the left of a relation, where it merely names what is answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Head {
    Variable(String),
    /// A function by its name: `f(x)` and `f(n)` are the same.
    Function(String),
    /// Something else that is only a name: `|AB|`, `(p,q,r)`.
    Label,
    /// An expression that says something.
    None,
}

const RELATIONS: [char; 7] = ['=', '<', '>', '≤', '≥', '≠', '≈'];

/// Whether a text can be an answer by itself.
pub(super) fn is_answer(text: &str) -> bool {
    !readings(text).is_empty()
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
    let grouped = plain::thousands(&plain);
    add(form(&grouped));
    if grouped != plain {
        add(form(&plain));
    }
    // A decimal comma.
    if let Some((whole, rest)) = plain.split_once(',')
        && [whole, rest]
            .iter()
            .all(|part| !part.is_empty() && part.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()))
    {
        add(form(&format!("{whole}.{rest}")));
    }
    add(plain::name(text).map(Form::Name));
    found
}

fn form(text: &str) -> Option<Form> {
    let text = text.trim().trim_end_matches(['.', ',']).trim();
    let text = text.strip_prefix("x ∈").or_else(|| text.strip_prefix("x∈")).map_or(text, str::trim);
    if text.is_empty() {
        return None;
    }
    let text = bare(text);
    let unions = split(text, &['∪']);
    if unions.len() > 1 {
        return several(&unions).map(Form::Union);
    }
    let items = split(text, &[',', ';']);
    if items.len() > 1 {
        return several(&items).map(Form::Several);
    }
    if let Some(inner) = between(text, "\\{", "\\}") {
        let items = split(inner, &[',', ';']);
        return several(&items).map(Form::Several);
    }
    if let Some(matrix) = matrix(text) {
        return Some(matrix);
    }
    if let Some(tuple) = tuple(text) {
        return Some(tuple);
    }
    if let Some(relation) = relation(text) {
        return Some(relation);
    }
    value(text)
}

/// Without braces around the whole of it, which group and say nothing.
fn bare(text: &str) -> &str {
    match between(text, "{", "}") {
        Some(inner) if !text.starts_with("\\{") => bare(inner.trim()),
        _ => text,
    }
}

fn several(items: &[&str]) -> Option<Vec<Form>> {
    if items.len() > ITEMS_MAX {
        return None;
    }
    let mut forms = Vec::new();
    for item in items.iter().filter(|item| !item.trim().is_empty()) {
        match form(item).or_else(|| plain::name(item).map(Form::Name))? {
            // `1±√5` is two of them.
            Form::Several(two) => forms.extend(two),
            one => forms.push(one),
        }
    }
    Some(forms)
}

/// What stands between an opening and its own closing mark, where that is all of the text.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.trim().strip_prefix(open)?.strip_suffix(close)?;
    let mut depth = 0_i32;
    let signs: Vec<(usize, char)> = inner.char_indices().collect();
    for &(_, sign) in &signs {
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

/// Splits outside of brackets.
fn split<'a>(text: &'a str, marks: &[char]) -> Vec<&'a str> {
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

fn matrix(text: &str) -> Option<Form> {
    let rest = text.trim().strip_prefix("\\begin{")?;
    let (kind, rest) = rest.split_once('}')?;
    if !kind.ends_with("matrix") && kind != "array" {
        return None;
    }
    let rest = if kind == "array" { rest.split_once('}')?.1 } else { rest };
    let inner = rest.split("\\end{").next()?;
    let rows = inner.split(plain::ROW_END).map(str::trim).filter(|row| !row.is_empty());
    let rows: Option<Vec<Vec<Form>>> = rows
        .map(|row| row.split('&').map(|cell| form(cell).or_else(|| Some(Form::Name(plain::letters(cell))))).collect())
        .collect();
    Some(Form::Matrix(rows?))
}

fn tuple(text: &str) -> Option<Form> {
    let open = text.chars().next().filter(|sign| matches!(sign, '(' | '['))?;
    let close = text.chars().next_back().filter(|sign| matches!(sign, ')' | ']'))?;
    let inner = between(text, &open.to_string(), &close.to_string())?;
    let items = split(inner, &[',', ';']);
    if items.len() < 2 {
        return None;
    }
    let forms: Option<Vec<Form>> =
        items.iter().map(|item| form(item).or_else(|| plain::name(item).map(Form::Name))).collect();
    Some(Form::Tuple(open, forms?, close))
}

/// A chain of sides. Where something follows that is only near, the exact part counts.
fn relation(text: &str) -> Option<Form> {
    let sides = split(text, &RELATIONS);
    if sides.len() < 2 {
        return None;
    }
    let mut signs: Vec<char> = text
        .chars()
        .collect::<Vec<_>>()
        .into_iter()
        .scan(0_i32, |depth, sign| {
            match sign {
                '(' | '[' | '{' => *depth += 1,
                ')' | ']' | '}' => *depth -= 1,
                _ => {}
            }
            Some((*depth, sign))
        })
        .filter(|(depth, sign)| *depth == 0 && RELATIONS.contains(sign))
        .map(|(_, sign)| sign)
        .collect();
    let mut sides: Vec<&str> = sides.into_iter().map(str::trim).collect();
    if let Some(at) = signs.iter().position(|sign| *sign == '≈') {
        // `1/3 ≈ 0.33`
        signs.truncate(at);
        sides.truncate(at + 1);
        if signs.is_empty() {
            return form(sides.first()?);
        }
    }
    let head = head(sides.first()?);
    if signs.iter().all(|sign| *sign == '=') {
        let last = sides.last()?;
        // What is named may be a tuple or a set, which is no side of an equation.
        if head != Head::None
            && let Some(named) = form(last).filter(|form| !matches!(form, Form::Value(_)))
        {
            return Some(named);
        }
        let left = match head {
            Head::None => parse(sides.first()?, true)?,
            _ => parse(sides.first()?, true).unwrap_or(Parsed {
                expr: Expr::Name(plain::letters(sides.first()?)),
                decimal: false,
                percent: false,
            }),
        };
        // `x = 2 + 3 = 5`: the last is the answer.
        return Some(Form::Relation(vec![left, parse(last, true)?], vec!['='], head));
    }
    let sides: Option<Vec<Parsed>> = sides.into_iter().map(|side| parse(side, true)).collect();
    Some(Form::Relation(sides?, signs, head))
}

/// What a left side names.
fn head(text: &str) -> Head {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && !"\\{}".contains(*c)).collect();
    let letters = |text: &str| !text.is_empty() && text.chars().all(char::is_alphabetic);
    if let Some((name, rest)) = text.split_once('(')
        && letters(name)
        && rest.strip_suffix(')').is_some_and(|inner| inner.chars().all(|c| c.is_alphanumeric() || c == ','))
    {
        return Head::Function(name.to_owned());
    }
    let (name, index) = text.split_once('_').unwrap_or((&text, "0"));
    let greek = name.chars().count() > 1 && parse(&format!("\\{name}"), true).is_some();
    if (name.chars().count() == 1 || greek) && letters(name) && index.chars().all(char::is_alphanumeric) {
        return Head::Variable(text);
    }
    let capitals = |text: &str| text.len() <= 4 && !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase());
    let inside = text.trim_matches(['|', '(', ')']);
    let in_bars = text.starts_with('|') && capitals(inside);
    let of_names = text.starts_with('(') && inside.split(',').all(|part| letters(part) || part.contains('_'));
    let ratio = text.strip_prefix("frac").is_some_and(capitals_only);
    let angle = text.strip_prefix("angle").or_else(|| text.strip_prefix("triangle")).is_some_and(capitals);
    let words = letters(&text) && text.len() > 3;
    if in_bars || of_names || ratio || angle || capitals(&text) || words { Head::Label } else { Head::None }
}

fn capitals_only(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase())
}

fn value(text: &str) -> Option<Form> {
    if has_words(text) {
        return None;
    }
    let plus = parse(text, true)?;
    if text.contains(['±', '∓']) {
        let minus = parse(text, false)?;
        return Some(Form::Several(vec![Form::Value(plus), Form::Value(minus)]));
    }
    Some(Form::Value(plus))
}

/// Whether a run of letters is too long to be a product of variables.
fn has_words(text: &str) -> bool {
    const LETTERS_MAX: usize = 3;
    const FUNCTIONS: [&str; 7] = ["sqrt", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"];
    let mut rest = text;
    while let Some(at) = rest.find(char::is_alphabetic) {
        let command = rest[..at].ends_with('\\');
        let run: String = rest[at..].chars().take_while(|c| c.is_alphabetic()).collect();
        let function = FUNCTIONS.iter().any(|name| run.starts_with(name));
        if !command && !function && run.chars().count() > LETTERS_MAX {
            return true;
        }
        rest = &rest[at + run.len()..];
    }
    false
}

/// Whether two answers mean the same.
pub(super) fn equal(a: &Form, b: &Form) -> bool {
    match (a, b) {
        (Form::Value(a), Form::Value(b)) => expr::equal(a, b),
        (Form::Name(a), Form::Name(b)) => a == b,
        (Form::Several(a) | Form::Union(a), Form::Several(b) | Form::Union(b)) => matched(a, b),
        (Form::Tuple(open, a, close), Form::Tuple(other, b, end)) => (open, close) == (other, end) && in_order(a, b),
        (Form::Matrix(a), Form::Matrix(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| in_order(a, b)),
        (Form::Relation(a, signs, head), Form::Relation(b, others, heads)) => {
            relations(a, signs, b, others)
                || heads_agree(head, heads, (a, signs), (b, others))
                || as_intervals(a, b, signs, others)
        }
        // A point written as a list, or with other brackets.
        (Form::Tuple('(', a, ')'), Form::Several(b)) | (Form::Several(b), Form::Tuple('(', a, ')')) => in_order(a, b),
        (Form::Tuple(_, items, _), Form::Matrix(rows)) | (Form::Matrix(rows), Form::Tuple(_, items, _)) => {
            let flat: Vec<Form> = rows.iter().flatten().cloned().collect();
            (rows.len() == 1 || rows.iter().all(|row| row.len() == 1)) && in_order(items, &flat)
        }
        (Form::Relation(sides, signs, head), other) | (other, Form::Relation(sides, signs, head)) => {
            named(sides, signs, head, other)
        }
        (Form::Several(items), one) | (one, Form::Several(items)) => items.len() == 1 && equal(&items[0], one),
        _ => false,
    }
}

fn in_order(a: &[Form], b: &[Form]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
}

/// Whether both have the same items, however often.
fn matched(a: &[Form], b: &[Form]) -> bool {
    a.iter().all(|item| b.iter().any(|other| equal(item, other)))
        && b.iter().all(|item| a.iter().any(|other| equal(other, item)))
}

/// A relation that only names its answer, against the answer.
fn named(sides: &[Parsed], signs: &[char], head: &Head, other: &Form) -> bool {
    if signs == ['='] {
        return *head != Head::None && sides.last().is_some_and(|last| equal(&Form::Value(last.clone()), other));
    }
    match other {
        Form::Tuple(..) => interval(sides, signs).is_some_and(|interval| equal(&interval, other)),
        _ => false,
    }
}

/// Two equations for one name: what they say it is.
fn heads_agree(
    a: &Head,
    b: &Head,
    (mine, signs): (&[Parsed], &[char]),
    (theirs, others): (&[Parsed], &[char]),
) -> bool {
    let same = match (a, b) {
        (Head::Function(a), Head::Function(b)) | (Head::Variable(a), Head::Variable(b)) => a == b,
        (Head::Label, Head::Label) => true,
        _ => false,
    };
    let last = |sides: &[Parsed]| sides.last().cloned();
    same && signs == ['='] && others == ['='] && last(mine).zip(last(theirs)).is_some_and(|(a, b)| expr::equal(&a, &b))
}

/// The same relations between sides, up to a factor, read from either end.
fn relations(a: &[Parsed], signs: &[char], b: &[Parsed], others: &[char]) -> bool {
    let (mine, theirs) = (steps(a, signs), steps(b, others));
    mine.len() == theirs.len()
        && mine.iter().all(|(sign, one)| {
            theirs.iter().any(|(other, two)| sign == other && expr::proportional(one, two, matches!(sign, '<' | '≤')))
        })
}

/// Each step of a chain as `0 sign difference`, every inequality pointing one way.
fn steps(sides: &[Parsed], signs: &[char]) -> Vec<(char, Expr)> {
    let difference =
        |high: &Expr, low: &Expr| Expr::Sum(Box::new(high.clone()), Box::new(Expr::Negative(Box::new(low.clone()))));
    let pairs = sides.windows(2).zip(signs);
    pairs
        .map(|(pair, sign)| {
            let (left, right) = (&pair[0].expr, &pair[1].expr);
            match sign {
                '>' => ('<', difference(left, right)),
                '≥' => ('≤', difference(left, right)),
                other => (*other, difference(right, left)),
            }
        })
        .collect()
}

fn as_intervals(a: &[Parsed], b: &[Parsed], signs: &[char], others: &[char]) -> bool {
    interval(a, signs).zip(interval(b, others)).is_some_and(|(a, b)| equal(&a, &b))
}

/// The interval that inequalities for one name describe.
fn interval(sides: &[Parsed], signs: &[char]) -> Option<Form> {
    let is_name = |side: &Parsed| matches!(side.expr, Expr::Name(_));
    let infinite = |negative: bool| {
        let expr = Expr::Name("∞".to_owned());
        let expr = if negative { Expr::Negative(Box::new(expr)) } else { expr };
        Form::Value(Parsed { expr, decimal: false, percent: false })
    };
    let end = |sign: char, closed: char, open: char| if matches!(sign, '≤' | '≥') { closed } else { open };
    let value = |side: &Parsed| Form::Value(side.clone());
    match (sides, signs) {
        ([low, name, high], [first, second]) if is_name(name) => match (first, second) {
            ('<' | '≤', '<' | '≤') => {
                Some(Form::Tuple(end(*first, '[', '('), vec![value(low), value(high)], end(*second, ']', ')')))
            }
            ('>' | '≥', '>' | '≥') => {
                Some(Form::Tuple(end(*second, '[', '('), vec![value(high), value(low)], end(*first, ']', ')')))
            }
            _ => None,
        },
        ([left, right], [sign]) => {
            let (bound, sign) = match (is_name(left), is_name(right)) {
                (true, false) if expr::names(&right.expr).is_empty() => (right, *sign),
                (false, true) if expr::names(&left.expr).is_empty() => (
                    left,
                    match sign {
                        '<' => '>',
                        '>' => '<',
                        '≤' => '≥',
                        '≥' => '≤',
                        other => *other,
                    },
                ),
                _ => return None,
            };
            match sign {
                '<' | '≤' => Some(Form::Tuple('(', vec![infinite(true), value(bound)], end(sign, ']', ')'))),
                '>' | '≥' => Some(Form::Tuple(end(sign, '[', '('), vec![value(bound), infinite(false)], ')')),
                _ => None,
            }
        }
        _ => None,
    }
}
