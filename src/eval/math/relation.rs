//! Equations and inequalities: their sides, and what the left one names.

use super::expr::{self, Expr, Parsed};
use super::form::{Form, form, side, split};
use super::functions::is_greek;
use super::plain::spelling;

/// Sides with the relations between them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Relation {
    pub(super) sides: Vec<Parsed>,
    pub(super) signs: Vec<char>,
    pub(super) head: Head,
}

/// What stands on the left of a relation, where it merely names what is answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Head {
    Variable(String),
    /// A function by its name, and of what number; `f(x)` and `f(n)` are the same.
    Function(String, Option<String>),
    /// Something else that is only a name: `|AB|`, `(p,q,r)`, "the area".
    Label(String),
    /// An expression that says something.
    None,
}

const RELATIONS: [char; 8] = ['=', '<', '>', '≤', '≥', '≠', '≈', '≡'];
/// Most sides of a chain.
const SIDES_MAX: usize = 32;

/// A chain of sides. Where something follows that is only near, the exact part counts.
pub(super) fn relation(text: &str, depth: usize) -> Option<Form> {
    let mut sides: Vec<&str> = split(text, &RELATIONS).into_iter().map(str::trim).collect();
    if !(2..=SIDES_MAX).contains(&sides.len()) {
        return None;
    }
    let mut signs = signs_between(text, &sides);
    // `≈ 7.07`, `= 15`
    if sides.first()?.is_empty() && matches!(signs.first()?, '≈' | '=') {
        return form(&text[text.len() - text.trim_start().len() + signs.first()?.len_utf8()..], depth + 1);
    }
    let left = *sides.first()?;
    let mut head = head(left);
    if let Some(at) = signs.iter().position(|sign| *sign == '≈') {
        if at == 0 && head == Head::None {
            return form(left, depth + 1);
        }
        // `x = 1/3 ≈ 0.33`, but `x ≈ 0.33`
        if at > 0 {
            signs.truncate(at);
            sides.truncate(at + 1);
        }
    }
    if signs.iter().all(|sign| matches!(sign, '=' | '≈' | '≡')) {
        let mut last = *sides.last()?;
        let mut first = left;
        // `5 = x`
        if head == Head::None
            && let named @ Head::Variable(_) = self::head(last)
        {
            (head, last, first) = (named, left, last);
        }
        // What is named may be a tuple or a set, which is no side of an equation.
        let last = form(last, depth + 1).or_else(|| super::plain::name(last).map(Form::Name))?;
        let value = match last {
            Form::Value(value) => value,
            Form::Relation(_) | Form::Modulo(..) => return None,
            other => return (head != Head::None || side(first).is_none()).then_some(other),
        };
        let name = match side(first) {
            Some(name) => name,
            // `\gcd(12, 18) = 6`: what cannot be read can only be a name.
            None => {
                let spelled = spelling(first);
                if head == Head::None {
                    head = Head::Label(spelled.clone());
                }
                Expr::Name(spelled).into()
            }
        };
        return Some(Form::Relation(Relation { sides: vec![name, value], signs: vec!['='], head }));
    }
    let sides: Option<Vec<Parsed>> = sides.into_iter().map(side).collect();
    Some(Form::Relation(Relation { sides: sides?, signs, head }))
}

fn signs_between(text: &str, sides: &[&str]) -> Vec<char> {
    // Each sign stands right before a side, which is a part of the text.
    let place = |side: &&str| side.as_ptr() as usize - text.as_ptr() as usize;
    let before = |side: &&str| text[..place(side)].trim_end().chars().next_back();
    sides.iter().skip(1).filter_map(before).collect()
}

/// What a left side names.
fn head(text: &str) -> Head {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && !"\\{}°⟦⟧".contains(*c)).collect();
    let letters = |text: &str| !text.is_empty() && text.chars().all(char::is_alphabetic);
    if let Some((name, rest)) = text.split_once('(')
        && letters(name.trim_end_matches("^-1").trim_end_matches('\''))
        && rest.strip_suffix(')').is_some_and(|inner| inner.chars().all(|c| c.is_alphanumeric() || c == ','))
    {
        let of = rest.trim_end_matches(')');
        return Head::Function(name.to_owned(), of.contains(char::is_numeric).then(|| of.to_owned()));
    }
    let unprimed = text.trim_end_matches('\'');
    let (name, index) = unprimed.split_once('_').unwrap_or((unprimed, "0"));
    let one = name.chars().count() == 1 || is_greek(name);
    if one && letters(name) && index.chars().all(|c| c.is_alphanumeric() || "+-,".contains(c)) {
        return Head::Variable(text);
    }
    let inside = text.trim_matches(['|', '(', ')', '‖', '[', ']']);
    let in_bars = text.starts_with(['|', '‖', '[']) && (capitals(inside) || letters(inside) && inside.len() == 1);
    let of_names = text.starts_with('(') && inside.split(',').all(|part| letters(part) || part.contains('_'));
    let fraction = text.strip_prefix("frac").is_some_and(|text| text.len() <= 8 && capitals(text));
    let mark =
        ["mangle", "angle", "triangle", "overline", "vec", "overrightarrow", "mathbf", "operatorname", "det", "hat"];
    let marked = mark
        .iter()
        .find_map(|mark| text.strip_prefix(mark))
        .is_some_and(|rest| rest.chars().count() <= 4 && letters(rest));
    let words = letters(&text) && text.len() > 3 && !super::units::is_run(&text);
    if in_bars || of_names || fraction || marked || capitals(&text) && text.len() <= 4 || words {
        Head::Label(text)
    } else {
        Head::None
    }
}

fn capitals(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase())
}

impl Relation {
    pub(super) fn is_equation(&self) -> bool {
        self.signs == ['=']
    }

    /// What an equation says that something is.
    pub(super) fn last(&self) -> Option<&Parsed> {
        self.sides.last()
    }

    /// Each step of a chain as `0 sign difference`, every inequality pointing one way.
    pub(super) fn steps(&self) -> Vec<(char, Parsed)> {
        let difference = |high: &Expr, low: &Expr| Parsed::from(high.clone().sum(low.clone().negative()));
        let pairs = self.sides.windows(2).zip(&self.signs);
        let step = |(pair, sign): (&[Parsed], &char)| {
            let (left, right) = (&pair[0].expr, &pair[1].expr);
            match sign {
                '>' => ('<', difference(left, right)),
                '≥' => ('≤', difference(left, right)),
                other => (*other, difference(right, left)),
            }
        };
        pairs.map(step).collect()
    }

    /// Whether both are the same relations between sides, up to a factor, read from either end.
    pub(super) fn same_steps(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.steps(), other.steps());
        let same = |(sign, one): &(char, Parsed), (other, two): &(char, Parsed)| {
            sign == other && expr::proportional(one, two, matches!(sign, '<' | '≤'))
        };
        mine.len() == theirs.len() && mine.iter().all(|step| theirs.iter().any(|other| same(step, other)))
    }
}
