//! Numbers: exact fractions while they are small enough, else points of the complex plane with a bound of their error.
//!
//! Not for: what expressions are (`expr.rs`).

use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::ToPrimitive;

/// Most binary digits of an exact number's parts; `9^{9^9}` is not worked out.
const BITS_MAX: u64 = 1 << 14;
/// Fractions up to this many digits are kept in lowest terms; beyond, that costs more than it saves.
const REDUCED_BITS_MAX: u64 = 1 << 11;
/// What one operation on floating-point numbers loses.
const EPS: f64 = 4.5e-16;
/// Whole powers of inexact numbers are multiplied out up to this one.
const POWER_MAX: i64 = 1 << 20;

/// A fraction; the lower part is positive.
#[derive(Clone, Debug)]
pub(super) struct Ratio {
    up: BigInt,
    down: BigInt,
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        &self.up * &other.down == &other.up * &self.down
    }
}

impl Ratio {
    /// `None` where the parts are too long or the lower one is zero.
    fn new(up: BigInt, down: BigInt) -> Option<Self> {
        let (up, down) = match down.sign() {
            Sign::NoSign => return None,
            Sign::Minus => (-up, -down),
            Sign::Plus => (up, down),
        };
        let bits = up.bits().max(down.bits());
        if down.bits() == 1 || bits > REDUCED_BITS_MAX {
            return (bits <= BITS_MAX).then_some(Self { up, down });
        }
        let common = up.gcd(&down);
        Some(Self { up: up / &common, down: down / common })
    }

    pub(super) fn of(whole: i64) -> Self {
        Self { up: BigInt::from(whole), down: BigInt::from(1) }
    }

    pub(super) fn fraction(up: i64, down: i64) -> Option<Self> {
        Self::new(BigInt::from(up), BigInt::from(down))
    }

    pub(super) fn from_digits(digits: &str, base: u32) -> Option<Self> {
        Self::new(BigInt::parse_bytes(digits.as_bytes(), base)?, BigInt::from(1))
    }

    /// `12.50`, and `0.1` whose digits after the last go on as `6666…`.
    pub(super) fn from_decimal(text: &str, repeating: &str) -> Option<Self> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| Self::from_digits(if text.is_empty() { "0" } else { text }, 10);
        let power = |length: usize| Self::of(10).pow(length as i64);
        let start = digits(&format!("{whole}{places}"))?.div(&power(places.len())?)?;
        if repeating.is_empty() {
            return Some(start);
        }
        let nines = Self::new(power(repeating.len())?.up - 1, BigInt::from(1))?.mul(&power(places.len())?)?;
        start.add(&digits(repeating)?.div(&nines)?)
    }

    pub(super) fn add(&self, other: &Self) -> Option<Self> {
        Self::new(&self.up * &other.down + &other.up * &self.down, &self.down * &other.down)
    }

    pub(super) fn neg(&self) -> Self {
        Self { up: -&self.up, down: self.down.clone() }
    }

    pub(super) fn mul(&self, other: &Self) -> Option<Self> {
        Self::new(&self.up * &other.up, &self.down * &other.down)
    }

    pub(super) fn div(&self, other: &Self) -> Option<Self> {
        Self::new(&self.up * &other.down, &self.down * &other.up)
    }

    pub(super) fn pow(&self, power: i64) -> Option<Self> {
        let bits = self.up.bits().max(self.down.bits());
        let size = u32::try_from(power.unsigned_abs()).ok()?;
        if bits > 1 && bits.checked_mul(u64::from(size))? > BITS_MAX {
            return None;
        }
        let (up, down) = (self.up.pow(size), self.down.pow(size));
        if power < 0 { Self::new(down, up) } else { Self::new(up, down) }
    }

    /// The root, where it is a fraction too.
    pub(super) fn root(&self, degree: u32) -> Option<Self> {
        if degree == 0 || self.up.sign() == Sign::Minus && degree.is_multiple_of(2) {
            return None;
        }
        let (up, down) = (self.up.nth_root(degree), self.down.nth_root(degree));
        (up.pow(degree) == self.up && down.pow(degree) == self.down).then_some(Self { up, down })
    }

    pub(super) fn is_negative(&self) -> bool {
        self.up.sign() == Sign::Minus
    }

    pub(super) fn floor(&self) -> Self {
        Self { up: self.up.div_floor(&self.down), down: BigInt::from(1) }
    }

    /// The whole number that it is.
    pub(super) fn whole(&self) -> Option<i64> {
        let (whole, rest) = self.up.div_rem(&self.down);
        if rest.sign() == Sign::NoSign { whole.to_i64() } else { None }
    }

    pub(super) fn is_whole(&self) -> bool {
        (&self.up % &self.down).sign() == Sign::NoSign
    }

    /// Both parts in lowest terms, where they are small.
    pub(super) fn parts(&self) -> Option<(i64, i64)> {
        let common = self.up.gcd(&self.down);
        Some(((&self.up / &common).to_i64()?, (&self.down / &common).to_i64()?))
    }

    /// Whether it has an end when it is written as a decimal.
    pub(super) fn is_decimal(&self) -> bool {
        let mut down = &self.down / self.up.gcd(&self.down);
        for prime in [2_u32, 5] {
            while (&down % prime).sign() == Sign::NoSign {
                down /= prime;
            }
        }
        down.bits() == 1
    }

    pub(super) fn to_f64(&self) -> Option<f64> {
        const BITS: u64 = 900;
        let excess = self.up.bits().max(self.down.bits()).saturating_sub(BITS);
        let (up, down) = (&self.up >> excess, &self.down >> excess);
        let value = up.to_f64()? / down.to_f64()?;
        value.is_finite().then_some(value)
    }
}

/// A number of the complex plane that is at most `err` from the true one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    pub(super) re: f64,
    pub(super) im: f64,
    pub(super) err: f64,
}

impl Near {
    pub(super) fn real(re: f64, err: f64) -> Self {
        Self { re, im: 0.0, err: err + EPS * re.abs() }
    }

    pub(super) fn abs(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn rounded(re: f64, im: f64, err: f64) -> Self {
        Self { re, im, err: err + EPS * re.hypot(im) }
    }

    fn add(self, other: Self) -> Self {
        Self::rounded(self.re + other.re, self.im + other.im, self.err + other.err)
    }

    fn neg(self) -> Self {
        Self { re: -self.re, im: -self.im, err: self.err }
    }

    pub(super) fn mul(self, other: Self) -> Self {
        let err = self.abs() * other.err + other.abs() * self.err + self.err * other.err;
        let (re, im) = (self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re);
        Self::rounded(re, im, err + EPS * self.abs() * other.abs())
    }

    fn div(self, other: Self) -> Option<Self> {
        let size = other.abs();
        // What may be zero is no divisor.
        if size <= 2.0 * other.err || size == 0.0 {
            return None;
        }
        let (up, norm) = (self.mul(Self { re: other.re, im: -other.im, err: 0.0 }), size * size);
        let err = 2.0 * (self.err + self.abs() / size * other.err) / size;
        Some(Self::rounded(up.re / norm, up.im / norm, err + 2.0 * EPS * self.abs() / size))
    }

    pub(super) fn exp(self) -> Self {
        let size = self.re.exp();
        Self::rounded(size * self.im.cos(), size * self.im.sin(), size * (2.0 * self.err + EPS * (1.0 + self.abs())))
    }

    pub(super) fn ln(self) -> Option<Self> {
        let size = self.abs();
        if size <= 2.0 * self.err || size == 0.0 {
            return None;
        }
        Some(Self::rounded(size.ln(), self.im.atan2(self.re), 2.0 * self.err / size + EPS))
    }

    pub(super) fn sqrt(self) -> Self {
        let err = if self.abs() > 2.0 * self.err { self.err / self.abs().sqrt() } else { (3.0 * self.err).sqrt() };
        if self.im == 0.0 {
            let root = self.re.abs().sqrt();
            return if self.re < 0.0 { Self::rounded(0.0, root, err) } else { Self::rounded(root, 0.0, err) };
        }
        let (size, angle) = (self.abs().sqrt(), self.im.atan2(self.re) / 2.0);
        Self::rounded(size * angle.cos(), size * angle.sin(), err + 2.0 * EPS * size)
    }

    fn whole_power(self, power: i64) -> Option<Self> {
        let (mut left, mut square) = (power.unsigned_abs(), self);
        let mut value = Self { re: 1.0, im: 0.0, err: 0.0 };
        while left > 0 {
            if left & 1 == 1 {
                value = value.mul(square);
            }
            left >>= 1;
            if left > 0 {
                square = square.mul(square);
            }
        }
        if power < 0 { Self::real(1.0, 0.0).div(value) } else { Some(value) }
    }
}

/// A number, exactly or nearly.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Exact(Ratio),
    Near(Near),
}

impl Value {
    pub(super) fn near(&self) -> Option<Near> {
        match self {
            Self::Exact(exact) => exact.to_f64().map(|value| Near::real(value, 0.0)),
            Self::Near(near) => Some(*near),
        }
    }

    /// The value, where it is finite.
    pub(super) fn inexact(near: Near) -> Option<Self> {
        (near.re.is_finite() && near.im.is_finite() && near.err.is_finite()).then_some(Self::Near(near))
    }

    fn both(
        &self,
        other: &Self,
        exact: impl Fn(&Ratio, &Ratio) -> Option<Ratio>,
        near: impl Fn(Near, Near) -> Option<Near>,
    ) -> Option<Self> {
        if let (Self::Exact(a), Self::Exact(b)) = (self, other)
            && let Some(value) = exact(a, b)
        {
            return Some(Self::Exact(value));
        }
        Self::inexact(near(self.near()?, other.near()?)?)
    }

    pub(super) fn add(&self, other: &Self) -> Option<Self> {
        self.both(other, Ratio::add, |a, b| Some(a.add(b)))
    }

    pub(super) fn neg(&self) -> Self {
        match self {
            Self::Exact(exact) => Self::Exact(exact.neg()),
            Self::Near(near) => Self::Near(near.neg()),
        }
    }

    pub(super) fn mul(&self, other: &Self) -> Option<Self> {
        self.both(other, Ratio::mul, |a, b| Some(a.mul(b)))
    }

    pub(super) fn div(&self, other: &Self) -> Option<Self> {
        self.both(other, Ratio::div, Near::div)
    }

    /// A power; `literal` where the exponent is a number as it is written, whose odd roots of negative numbers are real.
    pub(super) fn pow(&self, power: &Self, literal: bool) -> Option<Self> {
        if let Self::Exact(exponent) = power {
            if let Some(whole) = exponent.whole() {
                return self.whole_power(whole);
            }
            if let (Self::Exact(base), Some((up, down))) = (self, exponent.parts())
                && (literal || !base.is_negative())
                && let Ok(degree) = u32::try_from(down)
                && (!base.is_negative() || degree % 2 == 1)
            {
                return rational_power(base, up, degree);
            }
        }
        let base = self.near()?;
        if base.abs() == 0.0 {
            let positive = power.near()?.re > 0.0;
            return positive.then(|| Self::Exact(Ratio::of(0)));
        }
        Self::inexact(base.ln()?.mul(power.near()?).exp())
    }

    fn whole_power(&self, power: i64) -> Option<Self> {
        if let Self::Exact(base) = self
            && let Some(value) = base.pow(power)
        {
            return Some(Self::Exact(value));
        }
        if power.abs() > POWER_MAX {
            return None;
        }
        Self::inexact(self.near()?.whole_power(power)?)
    }

    /// Whether it is a real number, as far as that can be told.
    pub(super) fn is_real(&self) -> bool {
        match self {
            Self::Exact(_) => true,
            Self::Near(near) => near.im.abs() <= 4.0 * near.err,
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        self.same(&Self::Exact(Ratio::of(0))) == Some(true)
    }

    /// Whether two values are one; `None` where they are not known well enough.
    pub(super) fn same(&self, other: &Self) -> Option<bool> {
        if let (Self::Exact(a), Self::Exact(b)) = (self, other) {
            return Some(a == b);
        }
        let (a, b) = (self.near()?, other.near()?);
        let (err, size) = (a.err + b.err, a.abs().max(b.abs()));
        if err > 1e-8 * size && err > 1e-10 {
            return None;
        }
        Some((a.re - b.re).hypot(a.im - b.im) <= 4.0 * err)
    }
}

fn rational_power(base: &Ratio, up: i64, degree: u32) -> Option<Value> {
    if let Some(exact) = base.root(degree).and_then(|root| root.pow(up)) {
        return Some(Value::Exact(exact));
    }
    let value = base.to_f64()?;
    let root = value.abs().powf(1.0 / f64::from(degree));
    let root = Near::real(if value < 0.0 { -root } else { root }, 4.0 * EPS * root);
    if up.abs() > POWER_MAX { None } else { Value::inexact(root.whole_power(up)?) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_exact_and_bounded() {
        let third = Ratio::from_decimal("0.", "3").expect("a number");
        assert_eq!(third, Ratio::fraction(1, 3).expect("a fraction"));
        assert_eq!(Ratio::from_decimal("0.1", "6"), Ratio::fraction(1, 6));
        assert_eq!(Ratio::from_decimal("12.50", ""), Ratio::fraction(25, 2));
        assert_eq!(Ratio::of(8).root(3), Some(Ratio::of(2)));
        assert_eq!(Ratio::of(8).root(2), None);
        assert!(Ratio::of(9).pow(1 << 30).is_none());
        assert!(Ratio::of(2).pow(2005).is_some());
        assert!(!third.is_decimal() && Ratio::fraction(3, 40).is_some_and(|value| value.is_decimal()));
    }

    #[test]
    fn what_is_nearly_known_is_compared_within_its_error() {
        let two = Value::Exact(Ratio::of(2));
        let half = Value::Exact(Ratio::fraction(1, 2).expect("a fraction"));
        let root = two.pow(&half, true).expect("a root");
        let square = root.mul(&root).expect("a square");
        assert_eq!(square.same(&two), Some(true));
        assert_eq!(root.same(&Value::Near(Near::real(1.4, 0.0))), Some(false));
    }
}
