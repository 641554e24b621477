//! Functions by their names.

use num_integer::Integer;

use super::number::{Near, Ratio, Value};

/// Largest number whose factorial is worked out.
const FACTORIAL_MAX: i64 = 1_500;
/// Most factors of a binomial coefficient.
const CHOSEN_MAX: i64 = 1_500;

/// Whether it marks a name (`\vec{v}`) and has no value of its own.
pub(super) fn is_mark(name: &str) -> bool {
    matches!(
        name,
        "overline" | "bar" | "vec" | "hat" | "overrightarrow" | "mathbb" | "mathcal" | "widehat" | "tilde" | "norm"
    )
}

/// The value of a function; `None` where it has none there.
pub(super) fn call(name: &str, values: &[Value]) -> Option<Value> {
    let of = values.first()?;
    match name {
        "sqrt" => of.pow(&Value::Exact(Ratio::fraction(1, 2)?), true).or_else(|| Value::inexact(of.near()?.sqrt())),
        "abs" => absolute(of),
        "exp" => Value::inexact(of.near()?.exp()),
        "ln" => Value::inexact(of.near()?.ln()?),
        "log" | "lg" => logarithm(of, values.get(1)),
        "factorial" => factorial(exact(of)?.whole()?),
        "binom" => binomial(exact(of)?.whole()?, exact(values.get(1)?)?.whole()?),
        "floor" | "ceil" => rounded(of, name == "floor"),
        "mod" | "gcd" | "lcm" => whole_numbers(name, values),
        "max" | "min" => extreme(name, values),
        "cis" => Value::inexact(Near { re: 0.0, im: 1.0, err: 0.0 }.mul(of.near()?).exp()),
        _ => real_function(name, of),
    }
}

fn exact(value: &Value) -> Option<&Ratio> {
    if let Value::Exact(exact) = value { Some(exact) } else { None }
}

fn absolute(of: &Value) -> Option<Value> {
    match of {
        Value::Exact(exact) => Some(Value::Exact(if exact.is_negative() { exact.neg() } else { exact.clone() })),
        Value::Near(near) => Value::inexact(Near::real(near.abs(), near.err)),
    }
}

fn logarithm(of: &Value, base: Option<&Value>) -> Option<Value> {
    let ten = Value::Exact(Ratio::of(10));
    let base = base.unwrap_or(&ten).near()?;
    Value::inexact(of.near()?.ln()?)?.div(&Value::inexact(base.ln()?)?)
}

fn factorial(of: i64) -> Option<Value> {
    if !(0..=FACTORIAL_MAX).contains(&of) {
        return None;
    }
    (1..=of).try_fold(Ratio::of(1), |value, factor| value.mul(&Ratio::of(factor))).map(Value::Exact)
}

fn binomial(n: i64, k: i64) -> Option<Value> {
    if n < 0 || k < 0 {
        return None;
    }
    let k = if k > n { return Some(Value::Exact(Ratio::of(0))) } else { k.min(n - k) };
    if k > CHOSEN_MAX {
        return None;
    }
    let step = |value: Ratio, i: i64| value.mul(&Ratio::fraction(n - k + i, i)?);
    (1..=k).try_fold(Ratio::of(1), step).map(Value::Exact)
}

fn rounded(of: &Value, down: bool) -> Option<Value> {
    match of {
        Value::Exact(exact) if down => Some(Value::Exact(exact.floor())),
        Value::Exact(exact) => Some(Value::Exact(exact.neg().floor().neg())),
        Value::Near(near) if of.is_real() && near.re.abs() < 1e15 => {
            let nearest = near.re.round();
            // `⌊√2·√2⌋`: what may be a whole number is one.
            let value = match (near.re - nearest).abs() <= 4.0 * near.err {
                true => nearest,
                false if down => near.re.floor(),
                false => near.re.ceil(),
            };
            Some(Value::Exact(Ratio::of(value as i64)))
        }
        Value::Near(_) => None,
    }
}

fn whole_numbers(name: &str, values: &[Value]) -> Option<Value> {
    const MAX: i64 = 1 << 60;
    let small = |value: &Value| exact(value)?.whole().filter(|number| (-MAX..=MAX).contains(number));
    let numbers: Option<Vec<i64>> = values.iter().map(small).collect();
    let (first, rest) = numbers.as_ref()?.split_first()?;
    let value = match (name, rest) {
        ("mod", [modulus]) if *modulus > 0 => first.mod_floor(modulus),
        ("gcd", _) => rest.iter().fold(first.abs(), |a, b| a.gcd(b)),
        ("lcm", _) => rest.iter().try_fold(*first, |a, b| (a / a.gcd(b).max(1)).checked_mul(*b))?.checked_abs()?,
        _ => return None,
    };
    Some(Value::Exact(Ratio::of(value)))
}

fn extreme(name: &str, values: &[Value]) -> Option<Value> {
    let mut best = values.first()?;
    for value in values {
        let (this, that) = (value.near()?.re, best.near()?.re);
        if value.is_real() && if name == "max" { this > that } else { this < that } {
            best = value;
        }
    }
    Some(best.clone())
}

fn real_function(name: &str, of: &Value) -> Option<Value> {
    const EPS: f64 = 4.5e-16;
    let near = of.near().filter(|_| of.is_real())?;
    let x = near.re;
    let wave = |value: f64| Value::inexact(Near::real(value, near.err + EPS * (1.0 + x.abs())));
    let one = Value::Exact(Ratio::of(1));
    match name {
        "sin" => wave(x.sin()),
        "cos" => wave(x.cos()),
        "tan" => wave(x.sin())?.div(&wave(x.cos())?),
        "cot" => wave(x.cos())?.div(&wave(x.sin())?),
        "sec" => one.div(&wave(x.cos())?),
        "csc" => one.div(&wave(x.sin())?),
        "arcsin" | "arccos" if x.abs() <= 1.0 => {
            let err = match of {
                Value::Exact(_) => EPS,
                Value::Near(_) if x.abs() < 0.999 => 30.0 * near.err,
                Value::Near(_) => 2.0 * near.err.sqrt(),
            };
            Value::inexact(Near::real(if name == "arcsin" { x.asin() } else { x.acos() }, err))
        }
        "arctan" => Value::inexact(Near::real(x.atan(), near.err)),
        "arccot" => Value::inexact(Near::real(std::f64::consts::FRAC_PI_2 - x.atan(), near.err + EPS)),
        "arcsec" | "arccsc" => real_function(if name == "arcsec" { "arccos" } else { "arcsin" }, &one.div(of)?),
        "sinh" | "cosh" if x.abs() < 300.0 => {
            let value = if name == "sinh" { x.sinh() } else { x.cosh() };
            Value::inexact(Near::real(value, x.cosh() * (near.err + EPS)))
        }
        "tanh" => Value::inexact(Near::real(x.tanh(), near.err)),
        _ => None,
    }
}
