//! Functions that everybody knows by their names, and the slips that are made in them.
//!
//! Not for: functions made of steps; those are in [`crate::gym::pipeline`].

use crate::gym::dice::Dice;

/// What a known function is called with.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub a: i64,
    pub b: i64,
    pub c: i64,
    pub xs: Vec<i64>,
    pub s: String,
}

/// Which arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    One,
    Two,
    Three,
    List,
    Text,
}

/// A function body and what it gives, as Python writes it.
pub type Body = (&'static str, fn(&Call) -> String);

/// A function that its name describes.
#[derive(Debug)]
pub struct Known {
    pub names: &'static [&'static str],
    /// Parameters, several ways to call them.
    pub params: &'static [&'static str],
    pub takes: Takes,
    /// What it does, for a docstring or a request; `{0}`, `{1}`, `{2}` are the parameters, in text and in code.
    pub does: &'static [&'static str],
    pub right: Body,
    pub wrong: &'static [Body],
}

impl Takes {
    /// Draws arguments: what the bodies see, and how Python writes them.
    pub fn draw(self, dice: &mut Dice) -> (Call, String) {
        let mut call = Call::default();
        let text = match self {
            Self::One => {
                call.a = dice.between(2, 30);
                call.a.to_string()
            }
            Self::Two => {
                (call.a, call.b) = (dice.between(2, 60), dice.between(2, 30));
                format!("{}, {}", call.a, call.b)
            }
            Self::Three => {
                (call.a, call.b, call.c) = (dice.between(0, 60), dice.between(2, 20), dice.between(21, 50));
                format!("{}, {}, {}", call.a, call.b, call.c)
            }
            Self::List => {
                let size = dice.between(2, 5);
                call.xs = (0..size).map(|_| dice.between(1, 40)).collect();
                format!("{:?}", call.xs)
            }
            Self::Text => {
                let words = ["sun", "level", "Apple", "river run", "noon", "a red leaf", "Stone", "oat", "radar"];
                (*dice.pick(&words)).clone_into(&mut call.s);
                format!("'{}'", call.s)
            }
        };
        (call, text)
    }
}

fn boolean(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}

fn quoted(text: impl std::fmt::Display) -> String {
    format!("'{text}'")
}

fn total(xs: &[i64]) -> i64 {
    xs.iter().sum()
}

fn largest(xs: &[i64]) -> i64 {
    xs.iter().copied().max().unwrap_or(0)
}

fn smallest(xs: &[i64]) -> i64 {
    xs.iter().copied().min().unwrap_or(0)
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

fn sum_where(xs: &[i64], wanted: fn(i64) -> bool) -> String {
    xs.iter().filter(|&&x| wanted(x)).sum::<i64>().to_string()
}

fn count_where(xs: &[i64], wanted: fn(i64) -> bool) -> String {
    xs.iter().filter(|&&x| wanted(x)).count().to_string()
}

fn list(xs: &[i64]) -> String {
    format!("{xs:?}")
}

const ONE: &[&str] = &["n", "x", "number", "value"];
const TWO: &[&str] = &["a, b", "x, y", "left, right", "first, second"];
const SIDES: &[&str] = &["width, height", "w, h", "a, b", "length, width"];
const PRICE: &[&str] = &["price, percent", "amount, percent", "cost, rate"];
const RANGE: &[&str] = &["x, low, high", "value, low, high", "n, least, most"];
const LIST: &[&str] = &["xs", "numbers", "values", "items", "prices", "nums"];
const TEXT: &[&str] = &["s", "text", "word", "name"];

/// Every known function.
pub static KNOWN: &[Known] = &[
    Known {
        names: &["add", "plus", "add_numbers"],
        params: TWO,
        takes: Takes::Two,
        does: &["return the sum of {0} and {1}", "add {0} and {1}"],
        right: ("return {0} + {1}", |c| (c.a + c.b).to_string()),
        wrong: &[("return {0} - {1}", |c| (c.a - c.b).to_string()), ("return {0} * {1}", |c| (c.a * c.b).to_string())],
    },
    Known {
        names: &["subtract", "minus", "difference"],
        params: TWO,
        takes: Takes::Two,
        does: &["return {0} minus {1}", "subtract {1} from {0}"],
        right: ("return {0} - {1}", |c| (c.a - c.b).to_string()),
        wrong: &[("return {0} + {1}", |c| (c.a + c.b).to_string()), ("return {1} - {0}", |c| (c.b - c.a).to_string())],
    },
    Known {
        names: &["multiply", "product", "times"],
        params: TWO,
        takes: Takes::Two,
        does: &["return {0} times {1}", "multiply {0} and {1}"],
        right: ("return {0} * {1}", |c| (c.a * c.b).to_string()),
        wrong: &[("return {0} + {1}", |c| (c.a + c.b).to_string()), ("return {0} - {1}", |c| (c.a - c.b).to_string())],
    },
    Known {
        names: &["bigger", "larger", "maximum"],
        params: TWO,
        takes: Takes::Two,
        does: &["return the larger of {0} and {1}"],
        right: ("return max({0}, {1})", |c| c.a.max(c.b).to_string()),
        wrong: &[("return min({0}, {1})", |c| c.a.min(c.b).to_string()), ("return {0}", |c| c.a.to_string())],
    },
    Known {
        names: &["smaller", "lesser", "minimum"],
        params: TWO,
        takes: Takes::Two,
        does: &["return the smaller of {0} and {1}"],
        right: ("return min({0}, {1})", |c| c.a.min(c.b).to_string()),
        wrong: &[("return max({0}, {1})", |c| c.a.max(c.b).to_string()), ("return {1}", |c| c.b.to_string())],
    },
    Known {
        names: &["distance", "gap"],
        params: TWO,
        takes: Takes::Two,
        does: &["return how far {0} and {1} are apart"],
        right: ("return abs({0} - {1})", |c| (c.a - c.b).abs().to_string()),
        wrong: &[
            ("return {1} - {0}", |c| (c.b - c.a).to_string()),
            ("return abs({0} + {1})", |c| (c.a + c.b).to_string()),
        ],
    },
    Known {
        names: &["area", "rectangle_area"],
        params: SIDES,
        takes: Takes::Two,
        does: &["return the area of a rectangle"],
        right: ("return {0} * {1}", |c| (c.a * c.b).to_string()),
        wrong: &[
            ("return {0} + {1}", |c| (c.a + c.b).to_string()),
            ("return 2 * {0} * {1}", |c| (2 * c.a * c.b).to_string()),
        ],
    },
    Known {
        names: &["perimeter", "outline"],
        params: SIDES,
        takes: Takes::Two,
        does: &["return the perimeter of a rectangle"],
        right: ("return 2 * ({0} + {1})", |c| (2 * (c.a + c.b)).to_string()),
        wrong: &[
            ("return 2 * {0} + {1}", |c| (2 * c.a + c.b).to_string()),
            ("return {0} + {1}", |c| (c.a + c.b).to_string()),
        ],
    },
    Known {
        names: &["discount", "reduced", "discounted"],
        params: PRICE,
        takes: Takes::Two,
        does: &["take {1} per cent off {0}"],
        right: ("return {0} - {0} * {1} // 100", |c| (c.a - c.a * c.b / 100).to_string()),
        wrong: &[
            ("return {0} + {0} * {1} // 100", |c| (c.a + c.a * c.b / 100).to_string()),
            ("return {0} * {1} // 100", |c| (c.a * c.b / 100).to_string()),
        ],
    },
    Known {
        names: &["with_tax", "raised", "with_fee"],
        params: PRICE,
        takes: Takes::Two,
        does: &["add {1} per cent to {0}"],
        right: ("return {0} + {0} * {1} // 100", |c| (c.a + c.a * c.b / 100).to_string()),
        wrong: &[
            ("return {0} - {0} * {1} // 100", |c| (c.a - c.a * c.b / 100).to_string()),
            ("return {0} * {1} // 100", |c| (c.a * c.b / 100).to_string()),
        ],
    },
    Known {
        names: &["clamp", "limit", "bounded"],
        params: RANGE,
        takes: Takes::Three,
        does: &["keep {0} between {1} and {2}"],
        right: ("return max({1}, min({0}, {2}))", |c| c.a.min(c.c).max(c.b).to_string()),
        wrong: &[
            ("return min({1}, max({0}, {2}))", |c| c.a.max(c.c).min(c.b).to_string()),
            ("return max({1}, {0})", |c| c.a.max(c.b).to_string()),
        ],
    },
    Known {
        names: &["in_range", "is_between"],
        params: RANGE,
        takes: Takes::Three,
        does: &["tell whether {0} lies from {1} to {2}"],
        right: ("return {1} <= {0} <= {2}", |c| boolean((c.b..=c.c).contains(&c.a))),
        wrong: &[
            ("return {0} <= {1} <= {2}", |c| boolean(c.a <= c.b && c.b <= c.c)),
            ("return {1} <= {0}", |c| boolean(c.b <= c.a)),
        ],
    },
    Known {
        names: &["double", "twice"],
        params: ONE,
        takes: Takes::One,
        does: &["return twice {0}"],
        right: ("return {0} * 2", |c| (c.a * 2).to_string()),
        wrong: &[("return {0} * 3", |c| (c.a * 3).to_string()), ("return {0} + 2", |c| (c.a + 2).to_string())],
    },
    Known {
        names: &["half", "halve"],
        params: ONE,
        takes: Takes::One,
        does: &["return half of {0}, rounded down"],
        right: ("return {0} // 2", |c| (c.a / 2).to_string()),
        wrong: &[("return {0} * 2", |c| (c.a * 2).to_string()), ("return {0} - 2", |c| (c.a - 2).to_string())],
    },
    Known {
        names: &["square", "squared"],
        params: ONE,
        takes: Takes::One,
        does: &["return the square of {0}"],
        right: ("return {0} * {0}", |c| (c.a * c.a).to_string()),
        wrong: &[("return {0} * 2", |c| (c.a * 2).to_string()), ("return {0} + {0}", |c| (c.a + c.a).to_string())],
    },
    Known {
        names: &["is_even", "even"],
        params: ONE,
        takes: Takes::One,
        does: &["tell whether {0} is even"],
        right: ("return {0} % 2 == 0", |c| boolean(c.a % 2 == 0)),
        wrong: &[
            ("return {0} % 2 == 1", |c| boolean(c.a % 2 == 1)),
            ("return {0} % 2 != 0", |c| boolean(c.a % 2 != 0)),
        ],
    },
    Known {
        names: &["sum_to", "sum_up_to"],
        params: ONE,
        takes: Takes::One,
        does: &["return the sum of 1 to {0}"],
        right: ("return sum(range({0} + 1))", |c| (c.a * (c.a + 1) / 2).to_string()),
        wrong: &[
            ("return sum(range({0}))", |c| (c.a * (c.a - 1) / 2).to_string()),
            ("return sum(range({0} - 1))", |c| ((c.a - 1) * (c.a - 2) / 2).to_string()),
        ],
    },
    Known {
        names: &["total", "sum_all", "sum_of"],
        params: LIST,
        takes: Takes::List,
        does: &["return the sum of {0}", "add up all {0}"],
        right: ("return sum({0})", |c| total(&c.xs).to_string()),
        wrong: &[
            ("return len({0})", |c| c.xs.len().to_string()),
            ("return max({0})", |c| largest(&c.xs).to_string()),
            ("return sum({0}[1:])", |c| total(&c.xs[1..]).to_string()),
        ],
    },
    Known {
        names: &["count", "how_many", "count_all"],
        params: LIST,
        takes: Takes::List,
        does: &["return how many {0} there are"],
        right: ("return len({0})", |c| c.xs.len().to_string()),
        wrong: &[
            ("return sum({0})", |c| total(&c.xs).to_string()),
            ("return len({0}) - 1", |c| (c.xs.len() - 1).to_string()),
        ],
    },
    Known {
        names: &["largest", "biggest", "highest"],
        params: LIST,
        takes: Takes::List,
        does: &["return the largest of {0}"],
        right: ("return max({0})", |c| largest(&c.xs).to_string()),
        wrong: &[("return min({0})", |c| smallest(&c.xs).to_string()), ("return {0}[0]", |c| c.xs[0].to_string())],
    },
    Known {
        names: &["smallest", "lowest", "cheapest"],
        params: LIST,
        takes: Takes::List,
        does: &["return the smallest of {0}"],
        right: ("return min({0})", |c| smallest(&c.xs).to_string()),
        wrong: &[("return max({0})", |c| largest(&c.xs).to_string()), ("return {0}[0]", |c| c.xs[0].to_string())],
    },
    Known {
        names: &["average", "mean"],
        params: LIST,
        takes: Takes::List,
        does: &["return the average of {0}, rounded down"],
        right: ("return sum({0}) // len({0})", |c| (total(&c.xs) / c.xs.len() as i64).to_string()),
        wrong: &[
            ("return sum({0}) // 2", |c| (total(&c.xs) / 2).to_string()),
            ("return sum({0}) * len({0})", |c| (total(&c.xs) * c.xs.len() as i64).to_string()),
            ("return len({0}) // sum({0})", |c| (c.xs.len() as i64 / total(&c.xs)).to_string()),
        ],
    },
    Known {
        names: &["first", "first_of"],
        params: LIST,
        takes: Takes::List,
        does: &["return the first of {0}"],
        right: ("return {0}[0]", |c| c.xs[0].to_string()),
        wrong: &[("return {0}[1]", |c| c.xs[1].to_string()), ("return {0}[-1]", |c| c.xs[c.xs.len() - 1].to_string())],
    },
    Known {
        names: &["last", "last_of"],
        params: LIST,
        takes: Takes::List,
        does: &["return the last of {0}"],
        right: ("return {0}[-1]", |c| c.xs[c.xs.len() - 1].to_string()),
        wrong: &[("return {0}[0]", |c| c.xs[0].to_string()), ("return {0}[-2]", |c| c.xs[c.xs.len() - 2].to_string())],
    },
    Known {
        names: &["span", "spread"],
        params: LIST,
        takes: Takes::List,
        does: &["return the largest minus the smallest of {0}"],
        right: ("return max({0}) - min({0})", |c| (largest(&c.xs) - smallest(&c.xs)).to_string()),
        wrong: &[
            ("return max({0}) + min({0})", |c| (largest(&c.xs) + smallest(&c.xs)).to_string()),
            ("return min({0}) - max({0})", |c| (smallest(&c.xs) - largest(&c.xs)).to_string()),
        ],
    },
    Known {
        names: &["sum_even", "even_total"],
        params: LIST,
        takes: Takes::List,
        does: &["return the sum of the even {0}"],
        right: ("return sum(x for x in {0} if x % 2 == 0)", |c| sum_where(&c.xs, |x| x % 2 == 0)),
        wrong: &[
            ("return sum(x for x in {0} if x % 2 == 1)", |c| sum_where(&c.xs, |x| x % 2 == 1)),
            ("return sum(x for x in {0})", |c| sum_where(&c.xs, |_| true)),
        ],
    },
    Known {
        names: &["count_even", "evens"],
        params: LIST,
        takes: Takes::List,
        does: &["return how many {0} are even"],
        right: ("return len([x for x in {0} if x % 2 == 0])", |c| count_where(&c.xs, |x| x % 2 == 0)),
        wrong: &[
            ("return len([x for x in {0} if x % 2 == 1])", |c| count_where(&c.xs, |x| x % 2 == 1)),
            ("return len({0})", |c| count_where(&c.xs, |_| true)),
        ],
    },
    Known {
        names: &["doubled", "double_all"],
        params: LIST,
        takes: Takes::List,
        does: &["double each of {0}"],
        right: ("return [x * 2 for x in {0}]", |c| list(&c.xs.iter().map(|x| x * 2).collect::<Vec<_>>())),
        wrong: &[
            ("return [x + 2 for x in {0}]", |c| list(&c.xs.iter().map(|x| x + 2).collect::<Vec<_>>())),
            ("return {0} * 2", |c| list(&c.xs.repeat(2))),
        ],
    },
    Known {
        names: &["without_first", "rest"],
        params: LIST,
        takes: Takes::List,
        does: &["return {0} without the first"],
        right: ("return {0}[1:]", |c| list(&c.xs[1..])),
        wrong: &[("return {0}[:1]", |c| list(&c.xs[..1])), ("return {0}[:-1]", |c| list(&c.xs[..c.xs.len() - 1]))],
    },
    Known {
        names: &["shout", "loud", "to_upper"],
        params: TEXT,
        takes: Takes::Text,
        does: &["return {0} in capitals"],
        right: ("return {0}.upper()", |c| quoted(c.s.to_uppercase())),
        wrong: &[("return {0}.lower()", |c| quoted(c.s.to_lowercase())), ("return {0}", |c| quoted(&c.s))],
    },
    Known {
        names: &["backwards", "reversed_text", "mirror"],
        params: TEXT,
        takes: Takes::Text,
        does: &["return {0} backwards"],
        right: ("return {0}[::-1]", |c| quoted(reversed(&c.s))),
        wrong: &[("return {0}[::1]", |c| quoted(&c.s)), ("return {0}[1:]", |c| quoted(&c.s[1..]))],
    },
    Known {
        names: &["count_words", "word_count"],
        params: TEXT,
        takes: Takes::Text,
        does: &["return how many words {0} has"],
        right: ("return len({0}.split())", |c| c.s.split(' ').count().to_string()),
        wrong: &[
            ("return len({0})", |c| c.s.len().to_string()),
            ("return len({0}.split()) + 1", |c| (c.s.split(' ').count() + 1).to_string()),
        ],
    },
    Known {
        names: &["is_palindrome", "same_backwards"],
        params: TEXT,
        takes: Takes::Text,
        does: &["tell whether {0} reads the same backwards"],
        right: ("return {0} == {0}[::-1]", |c| boolean(c.s == reversed(&c.s))),
        wrong: &[
            ("return {0} != {0}[::-1]", |c| boolean(c.s != reversed(&c.s))),
            ("return {0}[0] == {0}[::-1]", |c| boolean(c.s.len() == 1)),
        ],
    },
    Known {
        names: &["greet", "hello", "greeting"],
        params: TEXT,
        takes: Takes::Text,
        does: &["greet {0}"],
        right: ("return 'Hello, ' + {0}", |c| quoted(format!("Hello, {}", c.s))),
        wrong: &[
            ("return {0} + 'Hello, '", |c| quoted(format!("{}Hello, ", c.s))),
            ("return 'Hello, '", |_| quoted("Hello, ")),
        ],
    },
];
