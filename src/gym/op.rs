//! One step of a generated function: how people ask for it, how Python writes it, what it does.
//!
//! The steps themselves are in [`super::op_table`]. Not for: putting steps together (see `pipeline`).

use super::dice::Dice;
use super::value::{Type, Value};

/// What a step's constant may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    None,
    /// 1..=3: how many elements.
    Count,
    /// 2..=9: a factor, divisor or repetition.
    Factor,
    /// 2..=99: drawn wide, so that it cannot be guessed.
    Number,
    /// A lower-case letter, kept as its code point.
    Letter,
}

/// A dict's entries in order.
type Entries = Vec<(String, i64)>;

/// What a step does, by the types it joins. The second argument is the constant.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    IntsInts(fn(Vec<i64>, i64) -> Vec<i64>),
    IntsInt(fn(&[i64], i64) -> i64),
    IntInt(fn(i64, i64) -> i64),
    StrStr(fn(&str, char) -> String),
    StrStrN(fn(&str, usize) -> String),
    StrInt(fn(&str, char) -> i64),
    StrWords(fn(&str) -> Vec<String>),
    WordsWords(fn(Vec<String>, i64) -> Vec<String>),
    WordsInts(fn(&[String]) -> Vec<i64>),
    WordsStr(fn(&[String]) -> String),
    DictDict(fn(Entries, i64) -> Entries),
    DictWords(fn(&[(String, i64)]) -> Vec<String>),
    DictInts(fn(&[(String, i64)]) -> Vec<i64>),
    DictInt(fn(&[(String, i64)]) -> i64),
}

/// A kind of step.
#[derive(Debug)]
pub struct OpKind {
    /// What traces call it.
    pub name: &'static str,
    pub param: Param,
    /// Imperatives; `{k}` stands for the constant.
    pub phrases: &'static [&'static str],
    /// A Python expression of `{v}` and `{k}`.
    pub code: &'static str,
    pub run: Run,
}

/// A step: its kind and its constant (0 where it has none).
#[derive(Clone, Copy, Debug)]
pub struct Op {
    pub kind: &'static OpKind,
    pub constant: i64,
}

impl PartialEq for Op {
    fn eq(&self, other: &Self) -> bool {
        self.kind.name == other.kind.name && self.constant == other.constant
    }
}

impl Op {
    /// This kind of step with a constant drawn for it.
    pub fn draw(kind: &'static OpKind, dice: &mut Dice) -> Self {
        let constant = match kind.param {
            Param::None => 0,
            Param::Count => dice.between(1, 3),
            Param::Factor => dice.between(2, 9),
            Param::Number => dice.between(2, 99),
            Param::Letter => i64::from(*dice.pick(b"aeionrstl")),
        };
        Self { kind, constant }
    }

    pub const fn from(&self) -> Type {
        match self.kind.run {
            Run::IntsInts(_) | Run::IntsInt(_) => Type::Ints,
            Run::IntInt(_) => Type::Int,
            Run::StrStr(_) | Run::StrStrN(_) | Run::StrInt(_) | Run::StrWords(_) => Type::Str,
            Run::WordsWords(_) | Run::WordsInts(_) | Run::WordsStr(_) => Type::Words,
            Run::DictDict(_) | Run::DictWords(_) | Run::DictInts(_) | Run::DictInt(_) => Type::Dict,
        }
    }

    pub const fn to(&self) -> Type {
        match self.kind.run {
            Run::IntsInts(_) | Run::WordsInts(_) | Run::DictInts(_) => Type::Ints,
            Run::IntsInt(_) | Run::IntInt(_) | Run::StrInt(_) | Run::DictInt(_) => Type::Int,
            Run::StrStr(_) | Run::StrStrN(_) | Run::WordsStr(_) => Type::Str,
            Run::StrWords(_) | Run::WordsWords(_) | Run::DictWords(_) => Type::Words,
            Run::DictDict(_) => Type::Dict,
        }
    }

    /// Applies the step. The value must be of the type that the step takes.
    pub fn apply(&self, value: Value) -> Value {
        let k = self.constant;
        let letter = u8::try_from(k).map_or('?', char::from);
        match (self.kind.run, value) {
            (Run::IntsInts(run), Value::Ints(xs)) => Value::Ints(run(xs, k)),
            (Run::IntsInt(run), Value::Ints(xs)) => Value::Int(run(&xs, k)),
            (Run::IntInt(run), Value::Int(n)) => Value::Int(run(n, k)),
            (Run::StrStr(run), Value::Str(s)) => Value::Str(run(&s, letter)),
            (Run::StrStrN(run), Value::Str(s)) => Value::Str(run(&s, k as usize)),
            (Run::StrInt(run), Value::Str(s)) => Value::Int(run(&s, letter)),
            (Run::StrWords(run), Value::Str(s)) => Value::Words(run(&s)),
            (Run::WordsWords(run), Value::Words(ws)) => Value::Words(run(ws, k)),
            (Run::WordsInts(run), Value::Words(ws)) => Value::Ints(run(&ws)),
            (Run::WordsStr(run), Value::Words(ws)) => Value::Str(run(&ws)),
            (Run::DictDict(run), Value::Dict(d)) => Value::Dict(run(d, k)),
            (Run::DictWords(run), Value::Dict(d)) => Value::Words(run(&d)),
            (Run::DictInts(run), Value::Dict(d)) => Value::Ints(run(&d)),
            (Run::DictInt(run), Value::Dict(d)) => Value::Int(run(&d)),
            (_, value) => panic!("invariant: `{}` is given the type it takes, not {value:?}", self.kind.name),
        }
    }

    fn constant_text(&self) -> String {
        match self.kind.param {
            Param::Letter => u8::try_from(self.constant).map_or('?', char::from).to_string(),
            _ => self.constant.to_string(),
        }
    }

    /// The step in words; `constant` stands in for the number where given ("k").
    pub fn phrase(&self, variant: usize, constant: Option<&str>) -> String {
        let phrase = self.kind.phrases[variant % self.kind.phrases.len()];
        constant.map_or_else(|| phrase.replace("{k}", &self.constant_text()), |name| phrase.replace("{k}", name))
    }

    /// The step as traces write it: its name and its constant.
    pub fn short(&self) -> String {
        if self.kind.param == Param::None {
            self.kind.name.to_owned()
        } else {
            format!("{} {}", self.kind.name, self.constant_text())
        }
    }

    /// The Python expression over `variable`.
    pub fn code(&self, variable: &str) -> String {
        self.kind.code.replace("{v}", variable).replace("{k}", &self.constant_text())
    }

    pub fn has_number(&self) -> bool {
        self.kind.param == Param::Number
    }
}
