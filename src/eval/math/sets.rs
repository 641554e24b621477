//! Sets of real numbers as intervals in order, whatever notation describes them.

use super::expr::{self, Expr, Parsed};
use super::form::Form;
use super::relation::Relation;

/// Most intervals of a set.
const SPANS_MAX: usize = 64;

/// One end of an interval; `None` is infinity.
#[derive(Clone, Debug)]
struct End {
    at: Option<Parsed>,
    closed: bool,
}

/// An interval or a point.
#[derive(Clone, Debug)]
pub(super) struct Span {
    low: End,
    high: End,
}

impl End {
    const fn infinite() -> Self {
        Self { at: None, closed: false }
    }

    fn of(parsed: &Parsed, closed: bool) -> Option<Self> {
        if infinity(&parsed.expr).is_some() {
            // Nothing ends at infinity.
            return (!closed).then(Self::infinite);
        }
        let real = parsed.expr.has_names() || parsed.value()?.is_real();
        real.then(|| Self { at: Some(parsed.clone()), closed })
    }

    /// Whether it is no number, and has no place among others.
    fn is_named(&self) -> bool {
        self.at.as_ref().is_some_and(|at| at.expr.has_names())
    }

    fn place(&self, infinite: f64) -> f64 {
        self.at.as_ref().and_then(|at| at.value()?.near()).map_or(infinite, |near| near.re)
    }

    fn same(&self, other: &Self) -> bool {
        match (&self.at, &other.at) {
            (None, None) => true,
            (Some(a), Some(b)) => self.closed == other.closed && expr::equal(a, b),
            _ => false,
        }
    }
}

impl Span {
    fn low(&self) -> f64 {
        self.low.place(f64::NEG_INFINITY)
    }

    fn high(&self) -> f64 {
        self.high.place(f64::INFINITY)
    }

    fn point(parsed: &Parsed) -> Option<Self> {
        let end = End::of(parsed, true)?;
        Some(Self { low: end.clone(), high: end })
    }

    fn all() -> Self {
        Self { low: End::infinite(), high: End::infinite() }
    }
}

/// Whether a form can only be a set that has more than single numbers.
pub(super) fn is_region(form: &Form) -> bool {
    match form {
        Form::Union(_) | Form::Together(_) | Form::Reals | Form::Without(..) => true,
        Form::Relation(relation) => !relation.is_equation(),
        Form::Several(items) => items.iter().any(is_region),
        _ => false,
    }
}

/// Whether two sets have the same members.
pub(super) fn same(a: &Form, b: &Form) -> bool {
    let (Some(a), Some(b)) = (spans(a), spans(b)) else { return false };
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.low.same(&b.low) && a.high.same(&b.high))
}

/// The intervals of a set from left to right, joined where they touch.
fn spans(form: &Form) -> Option<Vec<Span>> {
    let found = part(form)?;
    if found.len() == 1 {
        return Some(found);
    }
    let placed = !found.iter().any(|span| span.low.is_named() || span.high.is_named());
    (placed && found.len() <= SPANS_MAX).then(|| joined(found))
}

fn part(form: &Form) -> Option<Vec<Span>> {
    match form {
        Form::Value(value) => Some(vec![Span::point(value)?]),
        Form::Reals => Some(vec![Span::all()]),
        Form::Union(items) | Form::Several(items) if items.len() <= SPANS_MAX => {
            let parts: Option<Vec<Vec<Span>>> = items.iter().map(part).collect();
            parts.map(|parts| parts.concat())
        }
        Form::Together(items) => {
            let mut parts = items.iter().map(part);
            let first = parts.next()??;
            parts.try_fold(first, |all, next| common(&all, &next?))
        }
        Form::Tuple(open, items, close) => match items.as_slice() {
            [Form::Value(low), Form::Value(high)] => {
                if infinity(&low.expr) == Some(true) || infinity(&high.expr) == Some(false) {
                    return None;
                }
                let (low, high) = (End::of(low, *open == '[')?, End::of(high, *close == ']')?);
                Some(vec![Span { low, high }])
            }
            _ => None,
        },
        Form::Without(whole, rest) => {
            let (whole, rest) = (joined(part(whole)?), part(rest)?);
            rest.iter().try_fold(whole, |left, hole| without(&left, hole))
        }
        Form::Relation(relation) => relation_spans(relation),
        _ => None,
    }
}

/// Whether an end is infinity, and the positive one.
fn infinity(expr: &Expr) -> Option<bool> {
    match expr {
        Expr::Name(name) => (name == "∞").then_some(true),
        Expr::Negative(inner) => infinity(inner).map(|positive| !positive),
        _ => None,
    }
}

/// Whether two places are one, as exactly as they are known.
fn meets(a: f64, b: f64) -> bool {
    let finite = a.is_finite() && b.is_finite();
    a.total_cmp(&b).is_eq() || finite && (a - b).abs() <= 1e-13 * a.abs().max(b.abs()).max(1.0)
}

/// Sorted, and joined where they touch.
fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|a, b| a.low().total_cmp(&b.low()).then(b.low.closed.cmp(&a.low.closed)));
    let mut found: Vec<Span> = Vec::new();
    for span in spans {
        match found.last_mut() {
            Some(last)
                if span.low() < last.high()
                    || meets(span.low(), last.high())
                        && (span.low.closed || last.high.closed)
                        && last.high.at.is_some() =>
            {
                if meets(span.high(), last.high()) {
                    last.high.closed |= span.high.closed;
                } else if span.high() > last.high() {
                    last.high = span.high;
                }
            }
            _ => found.push(span),
        }
    }
    found
}

/// A set without one point of it.
fn without(spans: &[Span], hole: &Span) -> Option<Vec<Span>> {
    if hole.low.at.is_none() || hole.low() < hole.high() {
        return None;
    }
    let (at, open) = (hole.low(), End { closed: false, ..hole.low.clone() });
    let cut = |span: &Span| {
        let (low, high) = (span.low.clone(), span.high.clone());
        let is_point = meets(span.low(), span.high());
        let (at_low, at_high) = (meets(at, span.low()), meets(at, span.high()));
        if is_point && at_low {
            Vec::new()
        } else if at_low {
            vec![Span { low: open.clone(), high }]
        } else if at_high {
            vec![Span { low, high: open.clone() }]
        } else if at < span.low() || at > span.high() {
            vec![span.clone()]
        } else {
            vec![Span { low, high: open.clone() }, Span { low: open.clone(), high }]
        }
    };
    Some(spans.iter().flat_map(cut).collect())
}

/// What two single intervals have in common.
fn common(a: &[Span], b: &[Span]) -> Option<Vec<Span>> {
    let ([a], [b]) = (a, b) else { return None };
    let low = if a.low() >= b.low() { &a.low } else { &b.low };
    let high = if a.high() <= b.high() { &a.high } else { &b.high };
    (low.place(f64::NEG_INFINITY) < high.place(f64::INFINITY))
        .then(|| vec![Span { low: low.clone(), high: high.clone() }])
}

fn is_variable(parsed: &Parsed) -> bool {
    matches!(&parsed.expr, Expr::Name(name) if name != "∞")
}

/// The numbers for which inequalities for one name hold.
fn relation_spans(relation: &Relation) -> Option<Vec<Span>> {
    let swapped = |sign: char| match sign {
        '<' => '>',
        '>' => '<',
        '≤' => '≥',
        '≥' => '≤',
        other => other,
    };
    match (relation.sides.as_slice(), relation.signs.as_slice()) {
        ([first, name, last], [one, two]) if is_variable(name) => {
            let (low, high) = match (one, two) {
                ('<' | '≤', '<' | '≤') => (End::of(first, *one == '≤')?, End::of(last, *two == '≤')?),
                ('>' | '≥', '>' | '≥') => (End::of(last, *two == '≥')?, End::of(first, *one == '≥')?),
                _ => return None,
            };
            Some(vec![Span { low, high }])
        }
        ([left, right], [sign]) if right.value().is_some() || is_variable(left) => ray(left, *sign, right),
        ([left, right], [sign]) if left.value().is_some() => ray(right, swapped(*sign), left),
        _ => None,
    }
}

/// The numbers on one side of a bound, or of its distance to a point.
fn ray(name: &Parsed, sign: char, bound: &Parsed) -> Option<Vec<Span>> {
    let closed = matches!(sign, '≤' | '≥');
    if let Expr::Call(call, arguments) = &name.expr
        && call == "abs"
    {
        return distance(arguments.first()?, sign, bound);
    }
    if !is_variable(name) {
        return None;
    }
    let end = End::of(bound, closed)?;
    let (below, above) =
        (Span { low: End::infinite(), high: end.clone() }, Span { low: end.clone(), high: End::infinite() });
    match sign {
        '<' | '≤' => Some(vec![below]),
        '>' | '≥' => Some(vec![above]),
        '≠' => Some(vec![below, above]),
        '=' => Span::point(bound).map(|point| vec![point]),
        _ => None,
    }
}

/// `|x - 1| < 3`
fn distance(inner: &Expr, sign: char, bound: &Parsed) -> Option<Vec<Span>> {
    let (name, middle) = match inner {
        Expr::Name(_) => (inner, Expr::whole(0)),
        Expr::Sum(a, b) if matches!(**a, Expr::Name(_)) => (&**a, b.as_ref().clone().negative()),
        _ => return None,
    };
    let size = bound.value()?.near()?.re;
    if matches!(name, Expr::Name(name) if name == "∞") || size <= 0.0 {
        return None;
    }
    let closed = matches!(sign, '≤' | '≥');
    let low = End::of(&Parsed::from(middle.clone().sum(bound.expr.clone().negative())), closed)?;
    let high = End::of(&Parsed::from(middle.sum(bound.expr.clone())), closed)?;
    match sign {
        '<' | '≤' => Some(vec![Span { low, high }]),
        '>' | '≥' => Some(vec![Span { low: End::infinite(), high: low }, Span { low: high, high: End::infinite() }]),
        _ => None,
    }
}
