//! Expressions: what they are, their values at points, and whether two are equal.
//!
//! Not for: reading them (`parse.rs`).

use std::collections::BTreeMap;

/// Points at which two expressions are compared.
const POINTS: u32 = 5;

/// A number of the complex plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

impl Complex {
    const fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn neg(self) -> Self {
        Self { re: -self.re, im: -self.im }
    }

    fn mul(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn div(self, other: Self) -> Self {
        let norm = other.re * other.re + other.im * other.im;
        let up = self.mul(Self { re: other.re, im: -other.im });
        Self { re: up.re / norm, im: up.im / norm }
    }

    fn abs(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn exp(self) -> Self {
        let size = self.re.exp();
        Self { re: size * self.im.cos(), im: size * self.im.sin() }
    }

    fn ln(self) -> Self {
        Self { re: self.abs().ln(), im: self.im.atan2(self.re) }
    }

    fn pow(self, power: Self) -> Self {
        if power.im == 0.0 && power.re.fract() == 0.0 && power.re.abs() <= 512.0 {
            let mut value = Self::real(1.0);
            for _ in 0..power.re.abs() as u32 {
                value = value.mul(self);
            }
            return if power.re < 0.0 { Self::real(1.0).div(value) } else { value };
        }
        if self.re == 0.0 && self.im == 0.0 {
            return Self::real(0.0);
        }
        if self.im == 0.0 && power.im == 0.0 && self.re > 0.0 {
            return Self::real(self.re.powf(power.re));
        }
        self.ln().mul(power).exp()
    }

    fn is_finite(self) -> bool {
        self.re.is_finite() && self.im.is_finite()
    }
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Number(f64),
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

/// An expression, and what its notation says besides.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parsed {
    pub(super) expr: Expr,
    /// It has decimals, whose last digit may have been rounded.
    pub(super) decimal: bool,
    pub(super) percent: bool,
}

/// The value of a name at a point: the same for the same name, and no round number.
fn value_of(name: &str, point: u32) -> f64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(point).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 29;
    0.35 + (hash % 1_000_003) as f64 / 1_000_003.0 * 1.9
}

impl Expr {
    /// The value at a point; `None` where it has none.
    pub(super) fn at(&self, point: u32) -> Option<Complex> {
        let value = match self {
            Self::Number(number) => Complex::real(*number),
            Self::Based(digits, base) => Complex::real(u64::from_str_radix(digits, *base).ok()? as f64),
            Self::Imaginary => Complex { re: 0.0, im: 1.0 },
            Self::Name(name) => Complex::real(value_of(name, point)),
            Self::Sum(a, b) => a.at(point)?.add(b.at(point)?),
            Self::Negative(a) => a.at(point)?.neg(),
            Self::Product(a, b) => a.at(point)?.mul(b.at(point)?),
            Self::Quotient(a, b) => a.at(point)?.div(b.at(point)?),
            Self::Power(a, b) => a.at(point)?.pow(b.at(point)?),
            Self::Call(name, arguments) => {
                let values: Option<Vec<Complex>> = arguments.iter().map(|argument| argument.at(point)).collect();
                call(name, &values?)?
            }
        };
        value.is_finite().then_some(value)
    }

    /// Whether a name occurs in it.
    fn has_names(&self) -> bool {
        match self {
            Self::Number(_) | Self::Based(..) | Self::Imaginary => false,
            Self::Name(_) => true,
            Self::Negative(a) => a.has_names(),
            Self::Sum(a, b) | Self::Product(a, b) | Self::Quotient(a, b) | Self::Power(a, b) => {
                a.has_names() || b.has_names()
            }
            Self::Call(_, arguments) => arguments.iter().any(Self::has_names),
        }
    }

    /// Whether two digits-in-a-base are of one base, or neither is one.
    fn base(&self) -> Option<u32> {
        if let Self::Based(_, base) = self { Some(*base) } else { None }
    }
}

fn call(name: &str, values: &[Complex]) -> Option<Complex> {
    let of = *values.first()?;
    let real = (of.im == 0.0).then_some(of.re);
    Some(match (name, real) {
        ("sqrt", _) => match real {
            Some(value) if value < 0.0 => Complex { re: 0.0, im: (-value).sqrt() },
            Some(value) => Complex::real(value.sqrt()),
            None => of.pow(Complex::real(0.5)),
        },
        ("abs", _) => Complex::real(of.abs()),
        ("exp", _) => of.exp(),
        ("ln", _) => of.ln(),
        ("log" | "lg", _) => {
            let base = values.get(1).map_or(std::f64::consts::LN_10, |base| base.re.ln());
            of.ln().div(Complex::real(base))
        }
        ("factorial", Some(value)) if value.fract() == 0.0 && (0.0..=170.0).contains(&value) => {
            Complex::real((1..=value as u32).map(f64::from).product())
        }
        ("binom", Some(n)) => {
            let k = values.get(1)?.re;
            if n.fract() != 0.0 || k.fract() != 0.0 || !(0.0..=n).contains(&k) || n > 1000.0 {
                return None;
            }
            Complex::real((1..=k as u32).map(|i| (n - k + f64::from(i)) / f64::from(i)).product::<f64>().round())
        }
        ("floor", Some(value)) => Complex::real(value.floor()),
        ("ceil", Some(value)) => Complex::real(value.ceil()),
        ("sin", Some(value)) => Complex::real(value.sin()),
        ("cos", Some(value)) => Complex::real(value.cos()),
        ("tan", Some(value)) => Complex::real(value.tan()),
        ("cot", Some(value)) => Complex::real(value.tan().recip()),
        ("sec", Some(value)) => Complex::real(value.cos().recip()),
        ("csc", Some(value)) => Complex::real(value.sin().recip()),
        ("arcsin", Some(value)) => Complex::real(value.asin()),
        ("arccos", Some(value)) => Complex::real(value.acos()),
        ("arctan", Some(value)) => Complex::real(value.atan()),
        ("sinh", Some(value)) => Complex::real(value.sinh()),
        ("cosh", Some(value)) => Complex::real(value.cosh()),
        ("tanh", Some(value)) => Complex::real(value.tanh()),
        ("overline" | "bar" | "vec" | "hat" | "overrightarrow" | "mathbb" | "mathcal", _) => {
            of.mul(Complex::real(value_of(name, 0)))
        }
        _ => return None,
    })
}

/// Whether two values are one, as exactly as their notation is.
fn near(a: Complex, b: Complex, rounded: bool) -> bool {
    let size = a.abs().max(b.abs());
    let exact = 1e-9 * size.max(1e-3);
    let allowed = if rounded { exact.max(1e-6) } else { exact };
    (a.re - b.re).hypot(a.im - b.im) <= allowed
}

/// Whether two expressions are equal at every point where both have a value.
pub(super) fn equal(a: &Parsed, b: &Parsed) -> bool {
    if a.expr.base() != b.expr.base() {
        return false;
    }
    let rounded = a.decimal || b.decimal;
    // 28 % is 28 of a hundred: written either way.
    let scales: &[f64] = match (a.percent, b.percent) {
        (true, false) => &[1.0, 0.01],
        (false, true) => &[1.0, 100.0],
        _ => &[1.0],
    };
    scales.iter().any(|scale| agree(&a.expr, &b.expr, |x, y| near(x.mul(Complex::real(*scale)), y, rounded)))
}

/// Whether the differences of two relations' sides are multiples of each other; positive ones where `positive`.
pub(super) fn proportional(a: &Expr, b: &Expr, positive: bool) -> bool {
    let ratio = |point| Some(a.at(point)?.div(b.at(point)?)).filter(|ratio| ratio.is_finite());
    let ratios: Vec<Complex> = (0..POINTS).filter_map(ratio).collect();
    let Some(first) = ratios.first() else { return false };
    ratios.len() >= 3
        && first.abs() > 1e-9
        && (!positive || first.re > 0.0)
        && ratios.iter().all(|ratio| near(*ratio, *first, false))
}

fn agree(a: &Expr, b: &Expr, same: impl Fn(Complex, Complex) -> bool) -> bool {
    let points = if a.has_names() || b.has_names() { POINTS } else { 1 };
    let values: Vec<(Complex, Complex)> = (0..points).filter_map(|point| Some((a.at(point)?, b.at(point)?))).collect();
    values.len() as u32 >= points.min(3) && values.into_iter().all(|(a, b)| same(a, b))
}

/// The names in an expression, for those that want to know what a relation is about.
pub(super) fn names(expr: &Expr) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    collect(expr, &mut found);
    found
}

fn collect(expr: &Expr, found: &mut BTreeMap<String, u32>) {
    match expr {
        Expr::Name(name) => *found.entry(name.clone()).or_default() += 1,
        Expr::Negative(a) => collect(a, found),
        Expr::Sum(a, b) | Expr::Product(a, b) | Expr::Quotient(a, b) | Expr::Power(a, b) => {
            collect(a, found);
            collect(b, found);
        }
        Expr::Call(_, arguments) => arguments.iter().for_each(|argument| collect(argument, found)),
        Expr::Number(_) | Expr::Based(..) | Expr::Imaginary => {}
    }
}
