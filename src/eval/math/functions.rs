//! Commands of LaTeX inside an expression: fractions, roots, functions, letters.

use super::expr::Expr;
use super::parse::Parser;
use super::tokens::WORDS;

/// Whether a command is a function of what follows it.
pub(super) fn is_function(name: &str) -> bool {
    WORDS.contains(&name) || matches!(name, "lg" | "arccot" | "arcsec" | "arccsc")
}

/// Whether the argument of a function may be in degrees.
fn is_of_angles(name: &str) -> bool {
    matches!(name, "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "cis")
}

impl Parser {
    pub(super) fn command(&mut self, name: &str) -> Option<Expr> {
        match name {
            "frac" => {
                let up = self.argument_of_fraction()?;
                Some(up.over(self.argument_of_fraction()?))
            }
            "binom" => {
                let up = self.argument_of_fraction()?;
                Some(Expr::Call("binom".to_owned(), vec![up, self.argument_of_fraction()?]))
            }
            "sqrt" => self.root(),
            "pi" => Some(Expr::Pi),
            "lfloor" | "lceil" => {
                let inner = self.group()?;
                self.take_command(if name == "lfloor" { "rfloor" } else { "rceil" })?;
                Some(Expr::Call(name[1..].to_owned(), vec![inner]))
            }
            "gcd" | "lcm" | "max" | "min" => {
                self.take('(')?;
                Some(Expr::Call(name.to_owned(), self.items(')')?))
            }
            _ if is_function(name) => self.function(name),
            _ if super::calls::is_mark(name) => Some(Expr::Call(name.to_owned(), vec![self.argument()?])),
            _ if is_greek(name) => Some(Expr::Name(name.to_owned() + &self.index()?)),
            _ => None,
        }
    }

    fn root(&mut self) -> Option<Expr> {
        if self.take('[').is_none() {
            return Some(Expr::Call("sqrt".to_owned(), vec![self.argument_of_fraction()?]));
        }
        let degree = self.group()?;
        self.take(']')?;
        let inner = self.argument()?;
        Some(Expr::Power(Box::new(inner), Box::new(Expr::whole(1).over(degree))))
    }

    fn function(&mut self, name: &str) -> Option<Expr> {
        let base = match self.take('_') {
            Some(()) => Some(self.argument_of_fraction()?),
            None => None,
        };
        let power = match self.take('^') {
            Some(()) => Some(self.argument()?),
            None => None,
        };
        let outside = std::mem::take(&mut self.degrees);
        // `\sin 2x` is of the whole product, `\sin(x) y` and `\sin(x)^2` are not.
        let bracketed = ['(', '{', '[', '|'].iter().any(|open| self.is(*open));
        let mut inner = if bracketed { self.atom()? } else { self.tight_product()? };
        let degrees = std::mem::replace(&mut self.degrees, outside) || bracketed && self.take('°').is_some();
        if degrees && is_of_angles(name) {
            inner = inner.times(Expr::Pi).over(Expr::whole(180));
        }
        let mut arguments = vec![inner];
        arguments.extend(base);
        let inverse = matches!(&power, Some(Expr::Negative(one)) if **one == Expr::whole(1));
        if inverse && (is_of_angles(name)) {
            return Some(Expr::Call(format!("arc{name}"), arguments));
        }
        let call = Expr::Call(name.to_owned(), arguments);
        Some(match power {
            Some(power) => Expr::Power(Box::new(call), Box::new(power)),
            None => call,
        })
    }
}

pub(super) fn is_greek(name: &str) -> bool {
    const GREEK: [&str; 24] = [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "ell",
    ];
    GREEK.contains(&name.to_lowercase().as_str())
}
