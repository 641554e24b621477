//! Expressions read from LaTeX or plain notation.
//!
//! Not for: what stands around them (`form.rs`).

use super::expr::{Decimal, Expr, Parsed};
use super::functions::is_function;
use super::number::Ratio;
use super::tokens::{Kind, Token, tokens};

/// Depth of brackets and the like.
const DEPTH_MAX: usize = 64;

pub(super) struct Parser {
    tokens: Vec<Token>,
    pub(super) at: usize,
    depth: usize,
    /// Bars that are open: `|x|` begins with the one that ends it.
    bars: usize,
    percent: bool,
    pub(super) degrees: bool,
    /// What `±` stands for in this reading.
    plus: bool,
}

/// Reads an expression; `plus` says how `±` is read. `None` where it is none, or something is left over.
pub(super) fn parse(text: &str, plus: bool) -> Option<Parsed> {
    let tokens = tokens(text)?;
    let decimal = decimal(&tokens);
    let mut parser = Parser { tokens, at: 0, depth: 0, bars: 0, percent: false, degrees: false, plus };
    let expr = parser.group()?;
    (parser.at == parser.tokens.len()).then(|| Parsed::new(expr, decimal, parser.percent))
}

/// How the number is written that the whole of an expression is.
fn decimal(tokens: &[Token]) -> Option<Decimal> {
    let mut numbers = tokens.iter().filter(|token| !matches!(token.kind, Kind::Sign('+' | '-' | '%')));
    let (Some(Token { kind: Kind::Number(number), .. }), None) = (numbers.next(), numbers.next()) else { return None };
    let (whole, places) = number.split_once('.')?;
    let digits = format!("{whole}{places}").trim_start_matches('0').len();
    (!places.is_empty()).then_some(Decimal { places: places.len() as u32, digits: digits as u32 })
}

impl Parser {
    pub(super) fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    pub(super) fn is(&self, sign: char) -> bool {
        self.peek() == Some(&Kind::Sign(sign))
    }

    pub(super) fn take(&mut self, sign: char) -> Option<()> {
        self.is(sign).then(|| self.at += 1)
    }

    pub(super) fn take_command(&mut self, name: &str) -> Option<()> {
        matches!(self.peek(), Some(Kind::Command(command)) if command == name).then(|| self.at += 1)
    }

    /// What stands in a bracket: a sum, or two that `\over` or `\choose` joins.
    pub(super) fn group(&mut self) -> Option<Expr> {
        let value = self.sum()?;
        if self.take_command("over").is_some() {
            return Some(value.over(self.sum()?));
        }
        if self.take_command("choose").is_some() {
            return Some(Expr::Call("binom".to_owned(), vec![value, self.sum()?]));
        }
        Some(value)
    }

    /// Items between commas up to a closing bracket.
    pub(super) fn items(&mut self, close: char) -> Option<Vec<Expr>> {
        let mut items = vec![self.sum()?];
        while self.take(',').is_some() {
            items.push(self.sum()?);
        }
        self.take(close)?;
        Some(items)
    }

    fn sum(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let mut value = match self.sign() {
            Some(false) => self.product()?.negative(),
            _ => self.product()?,
        };
        while let Some(positive) = self.sign() {
            let next = self.product()?;
            value = value.sum(if positive { next } else { next.negative() });
        }
        self.depth -= 1;
        Some(value)
    }

    /// A run of plus and minus: whether it comes to plus.
    pub(super) fn sign(&mut self) -> Option<bool> {
        let mut positive = None;
        while let Some(Kind::Sign(sign)) = self.peek() {
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
                value = value.times(self.signed_power()?);
            } else if self.take('/').is_some() {
                value = value.over(self.signed_power()?);
            } else if self.take_command("bmod").is_some() {
                value = Expr::Call("mod".to_owned(), vec![value, self.signed_power()?]);
            } else if self.begins_factor() {
                value = self.beside(value)?;
            } else {
                return Some(value);
            }
        }
    }

    /// What follows a factor without a sign: another factor, or the fraction of a mixed number.
    fn beside(&mut self, value: Expr) -> Option<Expr> {
        let whole = self.at.checked_sub(1).is_some_and(
            |at| matches!(&self.tokens[at].kind, Kind::Number(digits) if !digits.contains('.') && is_literal(&value)),
        );
        let kinds: Vec<&Kind> = self.tokens[self.at..].iter().take(4).map(|token| &token.kind).collect();
        let spaced = self.tokens.get(self.at).is_some_and(|token| token.spaced);
        if whole && let [Kind::Number(up), Kind::Sign('/'), Kind::Number(down), rest @ ..] = kinds.as_slice() {
            // `3 1/2`
            let fits = spaced && !up.contains('.') && !down.contains('.');
            let goes_on = matches!(rest, [Kind::Sign('^' | '!' | '/'), ..]);
            let (up, down) = (Ratio::from_decimal(up, "")?, Ratio::from_decimal(down, "")?);
            self.at += 3;
            return (fits && !goes_on).then(|| value.sum(Expr::Number(up).over(Expr::Number(down))));
        }
        // `1 2` is no number, and no product that anybody writes.
        if spaced && is_literal(&value) && matches!(kinds.as_slice(), [Kind::Number(_), ..]) {
            return None;
        }
        // `1\frac{4}{5}` is a mixed number.
        let mixed = whole && self.numeric_fraction();
        let factor = self.power()?;
        Some(if mixed { value.sum(factor) } else { value.times(factor) })
    }

    /// Whether `\frac` and two numbers come next.
    fn numeric_fraction(&self) -> bool {
        let rest: String = self.tokens[self.at..]
            .iter()
            .take(7)
            .map(|token| match &token.kind {
                Kind::Number(_) => 'n',
                Kind::Sign(sign) => *sign,
                Kind::Command(name) if name == "frac" => 'f',
                _ => 'x',
            })
            .collect();
        ["f{n}{n}", "f{n}n", "fn"].iter().any(|shape| rest.starts_with(shape))
    }

    fn signed_power(&mut self) -> Option<Expr> {
        match self.sign() {
            Some(false) => Some(self.power()?.negative()),
            _ => self.power(),
        }
    }

    pub(super) fn begins_factor(&self) -> bool {
        match self.peek() {
            Some(Kind::Number(_) | Kind::Letter(_)) => true,
            Some(Kind::Command(name)) => {
                !matches!(name.as_str(), "end" | "begin" | "to" | "over" | "choose" | "bmod" | "rfloor" | "rceil")
            }
            Some(Kind::Sign('|')) => self.bars == 0,
            Some(Kind::Sign(sign)) => matches!(sign, '(' | '{' | '[' | '∞' | '√' | '∛' | '∜'),
            None => false,
        }
    }

    pub(super) fn power(&mut self) -> Option<Expr> {
        let mut value = self.atom()?;
        loop {
            if self.take('^').is_some() {
                let power = self.argument()?;
                value = Expr::Power(Box::new(value), Box::new(power));
            } else if self.take('!').is_some() {
                value = Expr::Call("factorial".to_owned(), vec![value]);
            } else if self.take('%').is_some() {
                self.percent = true;
            } else if self.take('°').is_some() {
                self.degrees = true;
            } else {
                return Some(value);
            }
        }
    }

    /// A braced group, or one token: what stands behind `^`, `√`.
    pub(super) fn argument(&mut self) -> Option<Expr> {
        match self.sign() {
            Some(false) => Some(self.atom()?.negative()),
            _ => self.atom(),
        }
    }

    /// As [`Self::argument`], where bare numbers count digit by digit: `\frac12`.
    pub(super) fn argument_of_fraction(&mut self) -> Option<Expr> {
        if let Some(Kind::Number(number)) = self.peek()
            && number.len() > 1
            && !number.contains('.')
        {
            let (first, rest) = number.split_at(1);
            let (first, rest) = (Ratio::from_digits(first, 10)?, rest.to_owned());
            self.tokens[self.at] = Token { kind: Kind::Number(rest), spaced: false };
            return Some(Expr::Number(first));
        }
        self.argument()
    }

    pub(super) fn atom(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let token = self.peek()?.clone();
        self.at += 1;
        let atom = match token {
            Kind::Number(number) => self.number(&number),
            Kind::Letter(letter) => self.letter(letter),
            Kind::Command(name) => self.command(&name),
            Kind::Sign('∞') => Some(Expr::Name("∞".to_owned())),
            Kind::Sign('√') => Some(Expr::Call("sqrt".to_owned(), vec![self.argument()?])),
            Kind::Sign(root @ ('∛' | '∜')) => {
                let degree = Expr::whole(if root == '∛' { 3 } else { 4 });
                Some(Expr::Power(Box::new(self.argument()?), Box::new(Expr::whole(1).over(degree))))
            }
            Kind::Sign('|') => {
                self.bars += 1;
                let inner = self.sum()?;
                self.bars -= 1;
                self.take('|')?;
                Some(Expr::Call("abs".to_owned(), vec![inner]))
            }
            Kind::Sign(open @ ('(' | '[' | '{')) => self.bracket(open),
            Kind::Sign(_) => None,
        };
        self.depth -= 1;
        atom
    }

    fn bracket(&mut self, open: char) -> Option<Expr> {
        // A bracket has its own bars.
        let bars = std::mem::take(&mut self.bars);
        let inner = self.group()?;
        self.take(match open {
            '(' => ')',
            '[' => ']',
            _ => '}',
        })?;
        self.bars = bars;
        Some(inner)
    }

    fn number(&mut self, number: &str) -> Option<Expr> {
        if self.take('_').is_some() {
            let base = match self.argument()? {
                Expr::Number(base) => base.whole().filter(|base| (2..=36).contains(base))?,
                _ => return None,
            };
            return Some(Expr::Based(number.to_owned(), base as u32));
        }
        if number.contains('.')
            && let Some(repeating) = self.repeating(number.ends_with('.'))
        {
            return Ratio::from_decimal(number, &repeating).map(Expr::Number);
        }
        let value = Ratio::from_decimal(number, "")?;
        // `1e3`, as programs print.
        if self.peek() == Some(&Kind::Letter('e')) && !self.tokens[self.at].spaced {
            let rest: Vec<&Kind> = self.tokens[self.at + 1..].iter().take(2).map(|token| &token.kind).collect();
            let (digits, sign, length) = match rest.as_slice() {
                [Kind::Number(digits), ..] => (digits, 1, 2),
                [Kind::Sign(sign @ ('-' | '+')), Kind::Number(digits)] => {
                    (digits, if *sign == '-' { -1 } else { 1 }, 3)
                }
                _ => return Some(Expr::Number(value)),
            };
            let power = Ratio::of(10).pow(sign * digits.parse::<i64>().ok()?)?;
            self.at += length;
            return value.mul(&power).map(Expr::Number);
        }
        Some(Expr::Number(value))
    }

    /// The digits that a decimal repeats: `0.\overline{3}`, `0.(3)`.
    fn repeating(&mut self, at_once: bool) -> Option<String> {
        let kinds: Vec<&Kind> = self.tokens[self.at..].iter().take(4).map(|token| &token.kind).collect();
        let (digits, length) = match kinds.as_slice() {
            [Kind::Command(over), Kind::Sign('{'), Kind::Number(digits), Kind::Sign('}')]
                if matches!(over.as_str(), "overline" | "bar" | "dot" | "overset") =>
            {
                (digits, 4)
            }
            [Kind::Command(over), Kind::Number(digits), ..] if over == "bar" || over == "dot" => (digits, 2),
            [Kind::Sign('('), Kind::Number(digits), Kind::Sign(')'), ..] if at_once => (digits, 3),
            _ => return None,
        };
        let digits = digits.clone();
        self.at += length;
        digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(digits)
    }

    fn letter(&mut self, letter: char) -> Option<Expr> {
        let mut name = letter.to_string();
        // `C(10, 3)`
        if letter == 'C' && self.is('(') {
            let from = self.at;
            self.at += 1;
            if let Some(items) = self.items(')')
                && items.len() == 2
            {
                return Some(Expr::Call("binom".to_owned(), items));
            }
            self.at = from;
        }
        name.push_str(&self.index()?);
        while self.take('\'').is_some() {
            name.push('\'');
        }
        Some(match name.as_str() {
            "i" => Expr::Imaginary,
            "e" => Expr::Euler,
            _ => Expr::Name(name),
        })
    }

    /// The index behind a name, with its `_`; empty where there is none.
    pub(super) fn index(&mut self) -> Option<String> {
        let mut name = String::new();
        if self.take('_').is_none() {
            return Some(name);
        }
        name.push('_');
        let braced = self.take('{').is_some();
        loop {
            let token = self.tokens.get(self.at)?;
            self.at += 1;
            match &token.kind {
                Kind::Sign('}') if braced => return Some(name),
                Kind::Number(text) | Kind::Command(text) => name.push_str(text),
                Kind::Letter(letter) => name.push(*letter),
                Kind::Sign(sign) => name.push(*sign),
            }
            if !braced {
                return Some(name);
            }
        }
    }

    /// A product without signs, as far as the argument of `\sin` reaches.
    pub(super) fn tight_product(&mut self) -> Option<Expr> {
        let mut value = self.power()?;
        while self.begins_factor() && !matches!(self.peek(), Some(Kind::Command(name)) if is_function(name)) {
            value = value.times(self.power()?);
        }
        Some(value)
    }
}

fn is_literal(value: &Expr) -> bool {
    matches!(value, Expr::Number(_))
}
