//! Expressions read from LaTeX or plain notation.
//!
//! Not for: what stands around them (`form.rs`).

use super::expr::{Expr, Parsed};

/// Depth of brackets and the like.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(String),
    Letter(char),
    Command(String),
    Sign(char),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            _ if sign.is_whitespace() => {}
            '0'..='9' | '.' => {
                let mut number = String::from(sign);
                while let Some(next) = signs.peek().filter(|next| next.is_ascii_digit() || **next == '.') {
                    number.push(*next);
                    signs.next();
                }
                found.push(Token::Number(number));
            }
            '\\' => {
                let mut name = String::new();
                while let Some(next) = signs.peek().filter(|next| next.is_ascii_alphabetic()) {
                    name.push(*next);
                    signs.next();
                }
                found.push(if name.is_empty() { Token::Sign(signs.next()?) } else { Token::Command(name) });
            }
            _ if sign.is_alphabetic() => found.push(Token::Letter(sign)),
            _ => found.push(Token::Sign(sign)),
        }
    }
    Some(words_joined(&found))
}

/// `sqrt`, `sin` and their like written without a backslash.
fn words_joined(tokens: &[Token]) -> Vec<Token> {
    const WORDS: [&str; 15] = [
        "arcsin", "arccos", "arctan", "sqrt", "sinh", "cosh", "tanh", "sin", "cos", "tan", "cot", "log", "exp", "ln",
        "pi",
    ];
    let mut found: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let letters: String =
            tokens[at..].iter().map_while(|token| if let Token::Letter(c) = token { Some(*c) } else { None }).collect();
        match WORDS.iter().find(|word| letters.starts_with(**word)) {
            Some(word) => {
                found.push(Token::Command((*word).to_owned()));
                at += word.len();
            }
            None => {
                found.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    found
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    decimal: bool,
    percent: bool,
    /// What `±` stands for in this reading.
    plus: bool,
}

/// Reads an expression; `plus` says how `±` is read. `None` where it is none, or something is left over.
pub(super) fn parse(text: &str, plus: bool) -> Option<Parsed> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, decimal: false, percent: false, plus };
    let expr = parser.sum()?;
    (parser.at == parser.tokens.len()).then_some(Parsed { expr, decimal: parser.decimal, percent: parser.percent })
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is(&self, sign: char) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    fn take(&mut self, sign: char) -> Option<()> {
        self.is(sign).then(|| self.at += 1)
    }

    fn sum(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let mut value = match self.sign() {
            Some(false) => Expr::Negative(Box::new(self.product()?)),
            _ => self.product()?,
        };
        while let Some(positive) = self.sign() {
            let next = self.product()?;
            let next = if positive { next } else { Expr::Negative(Box::new(next)) };
            value = Expr::Sum(Box::new(value), Box::new(next));
        }
        self.depth -= 1;
        Some(value)
    }

    /// A run of plus and minus: whether it comes to plus.
    fn sign(&mut self) -> Option<bool> {
        let mut positive = None;
        while let Some(Token::Sign(sign)) = self.peek() {
            let this = match sign {
                '+' => true,
                '-' => false,
                '±' => self.plus,
                '∓' => !self.plus,
                _ => break,
            };
            positive = Some(positive.unwrap_or(true) == this);
            self.at += 1;
        }
        positive
    }

    fn product(&mut self) -> Option<Expr> {
        let mut value = self.power()?;
        loop {
            if self.take('*').is_some() {
                let factor = self.signed_power()?;
                value = Expr::Product(Box::new(value), Box::new(factor));
            } else if self.take('/').is_some() {
                let divisor = self.signed_power()?;
                value = Expr::Quotient(Box::new(value), Box::new(divisor));
            } else if self.begins_factor() {
                let mixed = self.is_mixed(&value);
                let factor = self.power()?;
                // `1\frac{4}{5}` is a mixed number.
                let (value_box, factor) = (Box::new(value), Box::new(factor));
                value = if mixed { Expr::Sum(value_box, factor) } else { Expr::Product(value_box, factor) };
            } else {
                return Some(value);
            }
        }
    }

    fn is_mixed(&self, value: &Expr) -> bool {
        let whole = matches!(value, Expr::Number(number) if number.fract() == 0.0);
        let before = self.at.checked_sub(1).map(|at| &self.tokens[at]);
        let numeric = || {
            let rest: String = self.tokens[self.at + 1..]
                .iter()
                .take(6)
                .map(|token| match token {
                    Token::Number(_) => 'n',
                    Token::Sign(sign) => *sign,
                    _ => 'x',
                })
                .collect();
            rest.starts_with("{n}{n}") || rest.starts_with("{n}n") || rest.starts_with('n')
        };
        whole
            && matches!(before, Some(Token::Number(_)))
            && matches!(self.peek(), Some(Token::Command(name)) if name == "frac")
            && numeric()
    }

    fn signed_power(&mut self) -> Option<Expr> {
        match self.sign() {
            Some(false) => Some(Expr::Negative(Box::new(self.power()?))),
            _ => self.power(),
        }
    }

    fn begins_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Number(_) | Token::Letter(_)) => true,
            Some(Token::Command(name)) => !matches!(name.as_str(), "end" | "begin" | "to"),
            Some(Token::Sign(sign)) => matches!(sign, '(' | '{' | '[' | 'π' | '∞' | '√'),
            None => false,
        }
    }

    fn power(&mut self) -> Option<Expr> {
        let mut value = self.atom()?;
        loop {
            if self.take('^').is_some() {
                let power = self.argument()?;
                value = Expr::Power(Box::new(value), Box::new(power));
            } else if self.take('!').is_some() {
                value = Expr::Call("factorial".to_owned(), vec![value]);
            } else if self.take('%').is_some() {
                self.percent = true;
            } else {
                return Some(value);
            }
        }
    }

    /// A braced group, or one token: what stands behind `^`, `\frac`, `\sqrt`.
    fn argument(&mut self) -> Option<Expr> {
        if self.take('{').is_some() {
            let inner = self.sum()?;
            self.take('}')?;
            return Some(inner);
        }
        match self.sign() {
            Some(false) => return Some(Expr::Negative(Box::new(self.argument()?))),
            Some(true) => return self.argument(),
            None => {}
        }
        // `\frac12`: one digit each.
        if let Some(Token::Number(number)) = self.peek() {
            let mut digits = number.chars();
            let first = digits.next()?;
            let rest: String = digits.collect();
            let whole = number.contains('.') || rest.is_empty() || !self.after_fraction();
            if whole {
                return self.atom();
            }
            self.tokens[self.at] = Token::Number(rest);
            return Some(Expr::Number(f64::from(first.to_digit(10)?)));
        }
        self.atom()
    }

    /// Whether the token before is `\frac` or `\sqrt`, whose arguments may be single digits.
    fn after_fraction(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| &self.tokens[at]);
        matches!(before, Some(Token::Command(name)) if name == "frac" || name == "binom")
    }

    fn atom(&mut self) -> Option<Expr> {
        let token = self.peek()?.clone();
        self.at += 1;
        match token {
            Token::Number(number) => self.number(&number),
            Token::Letter(letter) => self.letter(letter),
            Token::Command(name) => self.command(&name),
            Token::Sign('π') => Some(Expr::Number(std::f64::consts::PI)),
            Token::Sign('∞') => Some(Expr::Name("∞".to_owned())),
            Token::Sign('√') => Some(Expr::Call("sqrt".to_owned(), vec![self.argument()?])),
            Token::Sign('|') => {
                let inner = self.sum()?;
                self.take('|')?;
                Some(Expr::Call("abs".to_owned(), vec![inner]))
            }
            Token::Sign(open @ ('(' | '[' | '{')) => {
                let inner = self.sum()?;
                self.take(match open {
                    '(' => ')',
                    '[' => ']',
                    _ => '}',
                })?;
                Some(inner)
            }
            Token::Sign(_) => None,
        }
    }

    fn number(&mut self, number: &str) -> Option<Expr> {
        if self.take('_').is_some() {
            let base = match self.argument()? {
                Expr::Number(base) if base.fract() == 0.0 && (2.0..=36.0).contains(&base) => base as u32,
                _ => return None,
            };
            return Some(Expr::Based(number.to_owned(), base));
        }
        let value: f64 = number.parse().ok()?;
        self.decimal |= number.contains('.');
        // `1e3`, as programs print.
        if self.peek() == Some(&Token::Letter('e')) {
            let rest: Vec<&Token> = self.tokens[self.at + 1..].iter().take(2).collect();
            let (digits, negative, length) = match rest.as_slice() {
                [Token::Number(digits), ..] => (digits.clone(), false, 2),
                [Token::Sign(sign @ ('-' | '+')), Token::Number(digits)] => (digits.clone(), *sign == '-', 3),
                _ => return Some(Expr::Number(value)),
            };
            let power: i32 = digits.parse().ok()?;
            self.at += length;
            return Some(Expr::Number(value * 10_f64.powi(if negative { -power } else { power })));
        }
        Some(Expr::Number(value))
    }

    fn letter(&mut self, letter: char) -> Option<Expr> {
        let mut name = letter.to_string();
        if self.take('_').is_some() {
            name.push('_');
            if self.take('{').is_some() {
                while !self.is('}') {
                    name.push_str(&self.text_of(self.at)?);
                    self.at += 1;
                }
                self.take('}')?;
            } else {
                name.push_str(&self.text_of(self.at)?);
                self.at += 1;
            }
        }
        while self.take('\'').is_some() {
            name.push('\'');
        }
        Some(match name.as_str() {
            "i" => Expr::Imaginary,
            "e" => Expr::Number(std::f64::consts::E),
            _ => Expr::Name(name),
        })
    }

    fn text_of(&self, at: usize) -> Option<String> {
        Some(match self.tokens.get(at)? {
            Token::Number(text) | Token::Command(text) => text.clone(),
            Token::Letter(letter) => letter.to_string(),
            Token::Sign(sign) => sign.to_string(),
        })
    }

    fn command(&mut self, name: &str) -> Option<Expr> {
        match name {
            "frac" => {
                let up = self.argument_of_fraction()?;
                let down = self.argument_of_fraction()?;
                Some(Expr::Quotient(Box::new(up), Box::new(down)))
            }
            "binom" => {
                let up = self.argument_of_fraction()?;
                let down = self.argument_of_fraction()?;
                Some(Expr::Call("binom".to_owned(), vec![up, down]))
            }
            "sqrt" => {
                if self.take('[').is_some() {
                    let degree = self.sum()?;
                    self.take(']')?;
                    let inner = self.argument()?;
                    let one = Expr::Quotient(Box::new(Expr::Number(1.0)), Box::new(degree));
                    return Some(Expr::Power(Box::new(inner), Box::new(one)));
                }
                Some(Expr::Call("sqrt".to_owned(), vec![self.argument_of_fraction()?]))
            }
            "pi" => Some(Expr::Number(std::f64::consts::PI)),
            "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "arcsin" | "arccos" | "arctan" | "sinh" | "cosh"
            | "tanh" | "exp" | "ln" | "log" | "lg" => self.function(name),
            "lfloor" | "lceil" => {
                let inner = self.sum()?;
                let end = if name == "lfloor" { "rfloor" } else { "rceil" };
                (self.peek() == Some(&Token::Command(end.to_owned()))).then(|| self.at += 1)?;
                Some(Expr::Call(name[1..].to_owned(), vec![inner]))
            }
            "overline" | "bar" | "vec" | "hat" | "overrightarrow" | "mathbb" | "mathcal" => {
                let inner = self.argument()?;
                Some(Expr::Call(name.to_owned(), vec![inner]))
            }
            _ if name.chars().all(char::is_alphabetic) && name.len() <= 10 && is_greek(name) => {
                let mut name = name.to_owned();
                if self.take('_').is_some() {
                    name.push_str(&self.text_of(self.at)?);
                    self.at += 1;
                }
                Some(Expr::Name(name))
            }
            _ => None,
        }
    }

    /// As [`Self::argument`], where bare numbers count digit by digit.
    fn argument_of_fraction(&mut self) -> Option<Expr> {
        if let Some(Token::Number(number)) = self.peek()
            && number.len() > 1
            && !number.contains('.')
        {
            let first = number.chars().next()?;
            self.tokens[self.at] = Token::Number(number[1..].to_owned());
            return Some(Expr::Number(f64::from(first.to_digit(10)?)));
        }
        self.argument()
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
        // `\sin 2x` is of the whole product, `\sin(x) y` is not.
        let inner = if self.is('(') || self.is('{') || self.is('[') { self.power()? } else { self.tight_product()? };
        let mut arguments = vec![inner];
        arguments.extend(base);
        let inverse = matches!(&power, Some(Expr::Negative(one)) if **one == Expr::Number(1.0));
        if inverse {
            return Some(Expr::Call(format!("arc{name}"), arguments));
        }
        let call = Expr::Call(name.to_owned(), arguments);
        Some(match power {
            Some(power) => Expr::Power(Box::new(call), Box::new(power)),
            None => call,
        })
    }

    fn tight_product(&mut self) -> Option<Expr> {
        let mut value = self.power()?;
        while self.begins_factor()
            && !matches!(self.peek(), Some(Token::Command(name)) if name != "frac" && name != "sqrt" && !is_greek(name))
        {
            let factor = self.power()?;
            value = Expr::Product(Box::new(value), Box::new(factor));
        }
        Some(value)
    }
}

fn is_greek(name: &str) -> bool {
    const GREEK: [&str; 25] = [
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
        "emptyset",
    ];
    GREEK.contains(&name.to_lowercase().as_str())
}
