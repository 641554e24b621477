//! Steps in a row: a function, its code, and inputs that tell it from functions nearly like it.

use super::dice::Dice;
use super::op::{Op, OpKind, Param};
use super::op_table::OPS;
use super::value::{Type, Value};

/// How often inputs are drawn before a pipeline is given up as one that no test can pin down.
const DRAWS_MAX: usize = 24;
const WORDS: &[&str] = &[
    "sun", "tree", "apple", "river", "stone", "lamp", "oat", "nest", "iron", "letter", "rain", "salt", "tiger", "sail",
    "note", "orange", "leaf", "rose", "train", "island", "ant", "echo", "east", "linen",
];

/// A function as a row of steps; each takes what the one before gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    pub ops: Vec<Op>,
}

/// One call and what it must return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub input: Value,
    pub output: Value,
}

/// Which inputs the visible examples have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Close to the constants, where an example says most.
    Near,
    /// Anywhere, so that an example does not give a constant away.
    Anywhere,
}

impl Case {
    /// The case as a Python assert statement.
    pub fn assert(&self, name: &str, spaced: bool) -> String {
        let eq = if spaced { " == " } else { "==" };
        format!("assert {name}({}){eq}{}", self.input.literal(spaced), self.output.literal(spaced))
    }
}

impl Pipeline {
    /// Draws `count` different steps that begin with a value of type `from`.
    pub fn draw(from: Type, count: usize, dice: &mut Dice) -> Self {
        let mut ops: Vec<Op> = Vec::with_capacity(count);
        let mut kind = from;
        for position in 0..count {
            let last = position + 1 == count;
            let fitting: Vec<&'static OpKind> = OPS
                .iter()
                .filter(|k| {
                    let op = Op { kind: k, constant: 1 };
                    // A step that ends in a number stands at the end as a rule: what follows would be dull.
                    op.from() == kind
                        && !ops.iter().any(|o| o.kind.name == k.name)
                        && (last || op.to() != Type::Int || kind == Type::Int)
                })
                .collect();
            if fitting.is_empty() {
                break;
            }
            let op = Op::draw(fitting[dice.below(fitting.len())], dice);
            kind = op.to();
            ops.push(op);
        }
        Self { ops }
    }

    pub fn from(&self) -> Type {
        self.ops.first().map_or(Type::Int, Op::from)
    }

    pub fn run(&self, input: Value) -> Value {
        self.ops.iter().fold(input, |value, op| op.apply(value))
    }

    /// `name(parameter)`.
    pub fn signature(&self, name: &str) -> String {
        format!("{name}({})", self.from().variable())
    }

    /// The function in Python, one step a line, with a line end after the last.
    pub fn code(&self, name: &str) -> String {
        let mut code = format!("def {}:\n", self.signature(name));
        for (index, op) in self.ops.iter().enumerate() {
            let expression = op.code(op.from().variable());
            if index + 1 == self.ops.len() {
                code.push_str(&format!("    return {expression}\n"));
            } else {
                code.push_str(&format!("    {} = {expression}\n", op.to().variable()));
            }
        }
        code
    }

    /// The kinds of the steps in order; with constants where `exact`.
    pub fn composition(&self, exact: bool) -> String {
        self.ops.iter().map(|op| if exact { op.short() } else { op.kind.name.to_owned() }).collect::<Vec<_>>().join(">")
    }

    /// Draws `visible` short and `hidden` longer cases. The hidden ones tell the pipeline from each that
    /// lacks one of its steps or has a constant off by one; `None` where no such cases were found, which
    /// means that a step is idle.
    pub fn cases(
        &self,
        visible: usize,
        hidden: usize,
        shown: Shown,
        dice: &mut Dice,
    ) -> Option<(Vec<Case>, Vec<Case>)> {
        let constants: Vec<i64> = self.ops.iter().filter(|op| op.has_number()).map(|op| op.constant).collect();
        let near: &[i64] = if shown == Shown::Near { &constants } else { &[] };
        for _ in 0..DRAWS_MAX {
            let draw = |dice: &mut Dice, long: bool, near: &[i64]| {
                let input = self.input(long, near, dice);
                Case { output: self.run(input.clone()), input }
            };
            let shown: Vec<Case> = (0..visible).map(|_| draw(dice, false, near)).collect();
            let kept: Vec<Case> = (0..hidden).map(|_| draw(dice, true, &constants)).collect();
            let empty = shown.iter().any(|case| case.output.is_empty());
            let tame = shown.iter().chain(&kept).all(|case| tame(&case.output));
            let fresh = kept.iter().all(|case| shown.iter().all(|s| s.input != case.input));
            if !empty && tame && fresh && self.rivals().iter().all(|rival| !rival.agrees(&kept)) {
                return Some((shown, kept));
            }
        }
        None
    }

    fn agrees(&self, cases: &[Case]) -> bool {
        cases.iter().all(|case| self.run(case.input.clone()) == case.output)
    }

    /// Pipelines that differ from this one by a step left out or a constant off by one.
    fn rivals(&self) -> Vec<Self> {
        let mut rivals = Vec::new();
        for (index, op) in self.ops.iter().enumerate() {
            if op.from() == op.to() {
                let mut ops = self.ops.clone();
                ops.remove(index);
                rivals.push(Self { ops });
            }
            if !matches!(op.kind.param, Param::None | Param::Letter) {
                for constant in [op.constant - 1, op.constant + 1].into_iter().filter(|&c| c > 0) {
                    let mut ops = self.ops.clone();
                    ops[index].constant = constant;
                    rivals.push(Self { ops });
                }
            }
        }
        rivals
    }

    /// An input that is likely to make every step do something: near the constants, with repeats.
    fn input(&self, long: bool, near: &[i64], dice: &mut Dice) -> Value {
        let size = if long { dice.between(5, 8) } else { dice.between(3, 4) } as usize;
        match self.from() {
            Type::Int => Value::Int(number(near, dice)),
            Type::Ints => {
                let mut xs: Vec<i64> = (0..size).map(|_| number(near, dice)).collect();
                if dice.percent(30) {
                    let copy = xs[dice.below(size)];
                    xs[dice.below(size)] = copy;
                }
                Value::Ints(xs)
            }
            Type::Str => Value::Str(words(if long { 4 } else { 2 }, dice).join(" ")),
            Type::Words => Value::Words(words(size, dice)),
            Type::Dict => {
                let keys = words(size.min(5), dice);
                Value::Dict(keys.into_iter().map(|key| (key, number(near, dice))).collect())
            }
        }
    }
}

/// Small enough to print: what a prompt can show and a judge compares at once.
fn tame(value: &Value) -> bool {
    match value {
        Value::Int(n) => n.abs() < 100_000,
        Value::Ints(xs) => xs.iter().all(|x| x.abs() < 100_000),
        Value::Str(s) => s.len() < 240,
        Value::Words(_) | Value::Dict(_) => true,
    }
}

fn number(near: &[i64], dice: &mut Dice) -> i64 {
    if !near.is_empty() && dice.percent(45) {
        return dice.pick(near) + dice.between(-2, 2);
    }
    if dice.percent(12) { -dice.between(1, 30) } else { dice.between(0, 99) }
}

/// Different words, so that they can be the keys of a dict.
fn words(count: usize, dice: &mut Dice) -> Vec<String> {
    let mut all = WORDS.to_vec();
    dice.shuffle(&mut all);
    all.into_iter().take(count).map(str::to_owned).collect()
}
