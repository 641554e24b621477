//! Expressions: what they are, their values at points, and whether two are equal.
//!
//! Not for: reading them (`parse.rs`).

use std::cell::OnceCell;

use super::calls;
use super::number::{Near, Ratio, Value};

/// Points at which two expressions are compared: near one, negative, large, of either sign, whole.
const POINTS: u32 = 22;
/// From this point on all names are whole numbers.
const WHOLE_FROM: u32 = 10;
/// Points at which two expressions must both have a value.
const COMPARED_MIN: usize = 3;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Number(Ratio),
    Pi,
    Euler,
    /// Digits in another base than ten.
    Based(String, u32),
    Imaginary,
    Name(String),
    Sum(Box<Expr>, Box<Expr>),
    Negative(Box<Expr>),
    Product(Box<Expr>, Box<Expr>),
    Quotient(Box<Expr>, Box<Expr>),
    Power(Box<Expr>, Box<Expr>),
    Call(String, Vec<Expr>),
}

/// How a number alone is written, where it has a decimal point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Decimal {
    pub(super) places: u32,
    /// Digits from the first that is not zero.
    pub(super) digits: u32,
}

/// An expression, and what its notation says besides.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    pub(super) expr: Expr,
    /// It is a decimal, whose last digit may have been rounded.
    pub(super) decimal: Option<Decimal>,
    pub(super) percent: bool,
    /// The unit behind it, in one spelling.
    pub(super) unit: Option<String>,
    /// The words before it.
    pub(super) lead: Option<String>,
    values: OnceCell<Vec<Option<Value>>>,
}

impl PartialEq for Parsed {
    fn eq(&self, other: &Self) -> bool {
        (&self.expr, self.decimal, self.percent) == (&other.expr, other.decimal, other.percent)
    }
}

impl From<Expr> for Parsed {
    fn from(expr: Expr) -> Self {
        Self::new(expr, None, false)
    }
}

impl Parsed {
    pub(super) const fn new(expr: Expr, decimal: Option<Decimal>, percent: bool) -> Self {
        Self { expr, decimal, percent, unit: None, lead: None, values: OnceCell::new() }
    }

    /// Its values at all points, or the one that it has without names.
    fn values(&self) -> &[Option<Value>] {
        self.values.get_or_init(|| {
            let points = if self.expr.has_names() { POINTS } else { 1 };
            (0..points).map(|point| self.expr.at(point)).collect()
        })
    }

    /// Its value, where it has no names.
    pub(super) fn value(&self) -> Option<&Value> {
        if self.expr.has_names() { None } else { self.values().first()?.as_ref() }
    }
}

/// The value of a name at a point: the same for the same name.
fn value_of(name: &str, point: u32) -> Option<Ratio> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(point).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 29;
    let part = i64::try_from(hash % 1_009).ok()?;
    let up = match point {
        // Between 0.35 and 2.4.
        0..=3 => 353 + 2 * part,
        4 | 5 => -353 - 2 * part,
        6 => 5_003 + 17 * part,
        7 => -5_003 - 17 * part,
        _ if point < WHOLE_FROM => (353 + 4 * part) * if hash & 1 << 40 == 0 { 1 } else { -1 },
        // From one point to the next, odd ones and even ones.
        _ => return Some(Ratio::of(1 + (part + i64::from(point)) % 9)),
    };
    Ratio::fraction(up, 1_009)
}

impl Expr {
    pub(super) fn whole(number: i64) -> Self {
        Self::Number(Ratio::of(number))
    }

    pub(super) fn negative(self) -> Self {
        Self::Negative(Box::new(self))
    }

    pub(super) fn sum(self, other: Self) -> Self {
        Self::Sum(Box::new(self), Box::new(other))
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self::Product(Box::new(self), Box::new(other))
    }

    pub(super) fn over(self, other: Self) -> Self {
        Self::Quotient(Box::new(self), Box::new(other))
    }

    /// The value at a point; `None` where it has none.
    pub(super) fn at(&self, point: u32) -> Option<Value> {
        let constant = |value: f64| Some(Value::Near(Near::real(value, 0.0)));
        match self {
            Self::Number(number) => Some(Value::Exact(number.clone())),
            Self::Pi => constant(std::f64::consts::PI),
            Self::Euler => constant(std::f64::consts::E),
            Self::Based(digits, base) => Ratio::from_digits(digits, *base).map(Value::Exact),
            Self::Imaginary => Some(Value::Near(Near { re: 0.0, im: 1.0, err: 0.0 })),
            Self::Name(name) => value_of(name, point).map(Value::Exact),
            Self::Sum(a, b) => a.at(point)?.add(&b.at(point)?),
            Self::Negative(a) => Some(a.at(point)?.neg()),
            Self::Product(a, b) => a.at(point)?.mul(&b.at(point)?),
            Self::Quotient(a, b) => a.at(point)?.div(&b.at(point)?),
            Self::Power(a, b) if **a == Self::Euler => Value::inexact(b.at(point)?.near()?.exp()),
            Self::Power(a, b) => a.at(point)?.pow(&b.at(point)?, !b.has_names()),
            Self::Call(name, arguments) => {
                let values: Option<Vec<Value>> = arguments.iter().map(|argument| argument.at(point)).collect();
                let values = values?;
                if calls::is_mark(name) {
                    return values.first()?.mul(&Value::Exact(value_of(name, point)?));
                }
                calls::call(name, &values)
            }
        }
    }

    /// Whether a part of it is so.
    fn any(&self, is: &impl Fn(&Self) -> bool) -> bool {
        is(self)
            || match self {
                Self::Negative(a) => a.any(is),
                Self::Sum(a, b) | Self::Product(a, b) | Self::Quotient(a, b) | Self::Power(a, b) => {
                    a.any(is) || b.any(is)
                }
                Self::Call(_, arguments) => arguments.iter().any(|argument| argument.any(is)),
                _ => false,
            }
    }

    /// Whether a name occurs in it.
    pub(super) fn has_names(&self) -> bool {
        self.any(&|part| matches!(part, Self::Name(_)))
    }

    /// Whether a name of it occurs in the other too.
    pub(super) fn shares_name(&self, other: &Self) -> bool {
        self.any(&|part| matches!(part, Self::Name(name) if name != "∞" && other.any(&|one| one == part)))
    }

    fn is_complex(&self) -> bool {
        self.any(&|part| *part == Self::Imaginary)
    }

    /// The unsigned digits in a base that it is.
    fn based(&self) -> Option<(&str, u32)> {
        if let Self::Based(digits, base) = self { Some((digits, *base)) } else { None }
    }
}

/// Whether the right expression and one that is said are equal.
pub(super) fn equal(gold: &Parsed, said: &Parsed) -> bool {
    match (gold.expr.based(), said.expr.based()) {
        (Some((digits, base)), Some((others, other))) => return base == other && same_digits(digits, others),
        // The base that a problem asks for may be left out; a number in a base that nobody asked for is no answer.
        (Some((digits, _)), None) => {
            let plain = Ratio::from_digits(digits, 10).map(Expr::Number);
            return plain.is_some_and(|plain| plain == said.expr);
        }
        (None, Some(_)) => return false,
        (None, None) => {}
    }
    // 5 cm is not 5 m, and June 20 not July 20; who leaves such words out means the same.
    let other = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
    if other(&gold.unit, &said.unit) || other(&gold.lead, &said.lead) {
        return false;
    }
    if gold.expr == said.expr && gold.percent == said.percent {
        return true;
    }
    // 28 % is 28 of a hundred: written either way.
    let hundredth = if gold.percent == said.percent { None } else { Ratio::fraction(1, 100) };
    let scales = [Some(Ratio::of(1)), hundredth];
    scales.into_iter().flatten().any(|scale| {
        let scale = Value::Exact(scale);
        agree(gold, said, |a, b| {
            let (a, b) = if gold.percent { (a.mul(&scale)?, b.clone()) } else { (a.clone(), b.mul(&scale)?) };
            let rounded = said.decimal.is_some_and(|decimal| is_rounded(decimal, &b, &a))
                || gold.decimal.is_some_and(|decimal| is_rounded(decimal, &a, &b));
            if rounded { Some(true) } else { a.same(&b) }
        })
    })
}

fn same_digits(a: &str, b: &str) -> bool {
    a.trim_start_matches('0').eq_ignore_ascii_case(b.trim_start_matches('0'))
}

/// Whether a decimal is the other value, rounded where that one goes on.
fn is_rounded(decimal: Decimal, written: &Value, other: &Value) -> bool {
    /// Fewer digits are an estimate and no answer.
    const DIGITS_MIN: u32 = 6;
    /// From here on the last digit may have been cut off, as programs do.
    const CUT_FROM: u32 = 10;
    /// All digits that a program has.
    const DIGITS_ALL: u32 = 15;
    let (Some(mine), Some(theirs)) = (written.near(), other.near()) else { return false };
    if !other.is_real() {
        return false;
    }
    let apart = (mine.re - theirs.re).abs();
    if decimal.digits > DIGITS_ALL && apart <= 1e-15 * mine.abs() {
        return true;
    }
    let ends = matches!(other, Value::Exact(exact) if exact.is_decimal());
    if ends || decimal.digits < DIGITS_MIN || decimal.places < DIGITS_MIN {
        return false;
    }
    let last = 0.1_f64.powi(decimal.places as i32);
    apart <= if decimal.digits >= CUT_FROM { last } else { 0.500_001 * last }
}

/// Whether the differences of two relations' sides are multiples of each other; positive ones where `positive`.
pub(super) fn proportional(a: &Parsed, b: &Parsed, positive: bool) -> bool {
    let mut ratios: Vec<Value> = Vec::new();
    for (a, b) in pairs(a, b) {
        match (a.is_zero(), b.is_zero()) {
            (true, true) => {}
            (false, false) => ratios.extend(a.div(b)),
            _ => return false,
        }
    }
    let named = a.expr.has_names() || b.expr.has_names();
    let Some(first) = ratios.first() else { return false };
    ratios.len() >= if named { COMPARED_MIN } else { 1 }
        && (!positive || first.near().is_some_and(|ratio| ratio.re > 0.0))
        && ratios.iter().filter_map(|ratio| ratio.same(first)).all(|same| same)
}

/// The values at the points where both have one that is real, or any where the imaginary unit is written.
fn pairs<'a>(a: &'a Parsed, b: &'a Parsed) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let complex = a.expr.is_complex() || b.expr.is_complex();
    let (mine, theirs) = (a.values(), b.values());
    let of = |values: &'a [Option<Value>], point: usize| {
        // What has no names has one value for all points.
        values.get(if values.len() == 1 { 0 } else { point })?.as_ref()
    };
    let points = mine.len().max(theirs.len());
    let named = points > 1;
    (0..points)
        .filter_map(move |point| Some((of(mine, point)?, of(theirs, point)?)))
        .filter(move |(a, b)| complex || !named || a.is_real() && b.is_real())
}

fn agree(a: &Parsed, b: &Parsed, same: impl Fn(&Value, &Value) -> Option<bool>) -> bool {
    let needed = if a.expr.has_names() || b.expr.has_names() { COMPARED_MIN } else { 1 };
    let mut compared = 0;
    for (a, b) in pairs(a, b) {
        match same(a, b) {
            Some(true) => compared += 1,
            Some(false) => return false,
            None => {}
        }
    }
    compared >= needed
}
