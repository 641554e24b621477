//! One function of a file: how it should read, how it reads with a slip in it, and calls that tell the two apart.
//!
//! Not for: the file around it and the words of the request (see the room's front).

use super::known::{KNOWN, Known};
use crate::gym::calc::sum_line;
use crate::gym::dice::Dice;
use crate::gym::infer::{product_line, quotient_line};
use crate::gym::op::Op;
use crate::gym::op_table::OPS;
use crate::gym::pipeline::{Pipeline, Shown};
use crate::gym::trace::Line;
use crate::gym::value::{Type, Value};
use crate::gym::{attempt, wording};

/// Tries at a slip that shows in a call.
const SLIPS_MAX: usize = 8;
/// Calls of a function: one that a test shows and those that judge.
const CALLS: usize = 5;
/// Tries at calls that tell a slip from the right function.
const CALLS_MAX: usize = 24;

/// A call of a function: its arguments, what it gives and what the function with the slip gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub arguments: String,
    pub right: String,
    pub wrong: String,
}

/// A function, right and with a slip.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub name: String,
    /// The name says what it does.
    pub named: bool,
    /// What it does, in words, where the file or the request may say so.
    pub does: Option<String>,
    pub right: String,
    pub wrong: String,
    /// The name that Python does not know, where the slip is a misspelt one.
    pub crash: Option<String>,
    /// The first tells right from wrong and is what a test shows.
    pub calls: Vec<Tried>,
    /// How the right constant follows from what the test shows.
    pub work: Vec<Line>,
    /// Names function and slip for the split.
    pub key: String,
    /// Names the words in `does`.
    pub worded: String,
}

/// A function that its name describes.
pub fn known(dice: &mut Dice) -> Option<Function> {
    let known = dice.pick(KNOWN);
    let at = dice.below(known.wrong.len());
    let wrong = known.wrong[at];
    let name = (*dice.pick(known.names)).to_owned();
    let params = *dice.pick(known.params);
    let written = |text: &str| {
        params.split(", ").enumerate().fold(text.to_owned(), |text, (i, p)| text.replace(&format!("{{{i}}}"), p))
    };
    let source = |body: &str| format!("def {name}({params}):\n    {}\n", written(body));
    let mut calls: Vec<Tried> = Vec::new();
    for _ in 0..CALLS_MAX {
        let (call, arguments) = known.takes.draw(dice);
        let tried = Tried { arguments, right: (known.right.1)(&call), wrong: (wrong.1)(&call) };
        // The first call has to show the slip; the others come as they are.
        if (!calls.is_empty() || tried.right != tried.wrong) && !calls.contains(&tried) {
            calls.push(tried);
        }
        if calls.len() == CALLS {
            break;
        }
    }
    let said = dice.below(known.does.len());
    if calls.len() < CALLS {
        return None;
    }
    Some(Function {
        does: Some(written(known.does[said])),
        right: source(known.right.0),
        wrong: source(wrong.0),
        crash: None,
        calls,
        work: Vec::new(),
        key: format!("{}/{}{at}", known.names[0], params_key(known, params)),
        worded: format!("{said}"),
        named: true,
        name,
    })
}

fn params_key(known: &Known, params: &str) -> usize {
    known.params.iter().position(|p| *p == params).unwrap_or(0)
}

/// A function of `count` steps, one of them wrong, left out or in the wrong place.
pub fn steps(count: usize, dice: &mut Dice) -> Option<Function> {
    let from = *dice.pick(&[Type::Ints, Type::Ints, Type::Int, Type::Str, Type::Words]);
    let right = Pipeline::draw(from, count, dice);
    if right.ops.len() != count {
        return None;
    }
    let (shown, kept) = right.cases(1, CALLS - 1, Shown::Near, dice)?;
    let wrong = (0..SLIPS_MAX).find_map(|_| {
        let other = attempt::mistaken(&right, dice)?;
        (other.run(shown[0].input.clone()) != shown[0].output).then_some(other)
    })?;
    let said = wording::steps(&right.ops, None, dice);
    let calls = shown.iter().chain(&kept).map(|case| tried(&wrong, &case.input, &case.output)).collect();
    let key = format!("{}~{}", right.composition(count == 1), wrong.composition(false));
    Some(function(&right, &wrong, Some(said.text), calls, (key, said.key), Vec::new(), dice))
}

/// A function whose last constant is wrong; a failing test says by how much.
pub fn constant(multiplied: bool, dice: &mut Dice) -> Option<Function> {
    let step = |name: &str, constant: i64| {
        let kind = OPS.iter().find(|kind| kind.name == name).expect("invariant: the table has these steps");
        Op { kind, constant }
    };
    let (mut ops, on_list) = (Vec::new(), !multiplied && dice.percent(35));
    if multiplied {
        ops.push(step("times", dice.between(2, 9)));
    }
    let (good, bad) = (dice.between(11, 60), dice.between(11, 60));
    let last = if on_list { "add" } else { "plus" };
    // Far enough apart to matter; the same would be no slip.
    if good == bad {
        return None;
    }
    let mut mistaken = ops.clone();
    ops.push(step(last, good));
    mistaken.push(step(last, bad));
    let (right, wrong) = (Pipeline { ops }, Pipeline { ops: mistaken });
    let n = dice.between(2, 9);
    let input = if on_list { Value::Ints(vec![n, dice.between(2, 30)]) } else { Value::Int(n) };
    let shown = tried(&wrong, &input, &right.run(input.clone()));
    let base = if multiplied { n * right.ops[0].constant } else { n };
    let (got, expected) = (base + bad, base + good);
    let difference = (expected - got).abs();
    let work = vec![
        sum_line(got.max(expected), -got.min(expected)),
        sum_line(bad, if expected > got { difference } else { -difference }),
    ];
    let (_, kept) = right.cases(0, CALLS - 1, Shown::Near, dice)?;
    let others = kept.iter().map(|case| tried(&wrong, &case.input, &case.output));
    let calls = [shown].into_iter().chain(others).collect();
    let key = format!("{}~{bad}@{n}", right.composition(true));
    Some(function(&right, &wrong, None, calls, (key, "constant".to_owned()), work, dice))
}

/// A function whose only factor is wrong.
pub fn factor(dice: &mut Dice) -> Option<Function> {
    let kind = OPS.iter().find(|kind| kind.name == "times").expect("invariant: the table has this step");
    let (good, bad, n) = (dice.between(2, 9), dice.between(2, 9), dice.between(3, 12));
    if good == bad {
        return None;
    }
    let of = |constant| Pipeline { ops: vec![Op { kind, constant }] };
    let (right, wrong) = (of(good), of(bad));
    let input = Value::Int(n);
    let shown = tried(&wrong, &input, &Value::Int(n * good));
    let (_, kept) = right.cases(0, CALLS - 1, Shown::Near, dice)?;
    let others = kept.iter().map(|case| tried(&wrong, &case.input, &case.output));
    let calls = [shown].into_iter().chain(others).collect();
    let work = vec![quotient_line(n * good, n), product_line(n, good)];
    let key = format!("times {good}~{bad}@{n}");
    Some(function(&right, &wrong, None, calls, (key, "constant".to_owned()), work, dice))
}

fn tried(wrong: &Pipeline, input: &Value, output: &Value) -> Tried {
    let got = wrong.run(input.clone());
    Tried { arguments: input.literal(true), right: output.literal(true), wrong: got.literal(true) }
}

fn function(
    right: &Pipeline,
    wrong: &Pipeline,
    does: Option<String>,
    calls: Vec<Tried>,
    (key, worded): (String, String),
    work: Vec<Line>,
    dice: &mut Dice,
) -> Function {
    let name = wording::name(dice);
    let from = right.from().variable();
    let parameter = *dice.pick(parameters(right.from()));
    let source = |pipeline: &Pipeline| rename(&pipeline.code(&name), from, parameter);
    Function {
        right: source(right),
        wrong: source(wrong),
        crash: None,
        does,
        calls,
        work,
        key,
        worded,
        named: false,
        name,
    }
}

/// Names that people give a parameter; none of them is a variable or a function of the steps' code.
const fn parameters(kind: Type) -> &'static [&'static str] {
    match kind {
        Type::Int => &["n", "n", "number", "value", "amount"],
        Type::Str => &["s", "s", "text", "line"],
        Type::Ints => &["xs", "xs", "numbers", "values", "items"],
        Type::Words => &["ws", "ws", "names", "words"],
        Type::Dict => &["d", "d", "table", "stock"],
    }
}

/// Replaces an identifier throughout; longer identifiers that contain it stay.
fn rename(code: &str, from: &str, to: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while !rest.is_empty() {
        let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
        if length == 0 {
            let next = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..next]);
            rest = &rest[next..];
            continue;
        }
        let word = &rest[..length];
        out.push_str(if word == from { to } else { word });
        rest = &rest[length..];
    }
    out
}

/// The function with a misspelt name in its body in place of its slip; `None` where there is no name to misspell.
pub fn misspelt(mut function: Function, dice: &mut Dice) -> Option<Function> {
    let body_at = function.right.find("return ")? + "return ".len();
    let (head, body) = function.right.split_at(body_at);
    let name_at = body.find(|c: char| c.is_ascii_alphabetic())?;
    let length = body[name_at..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    let word = &body[name_at..name_at + length];
    if length < 2 || matches!(word, "for" | "if" | "in" | "True" | "not") {
        return None;
    }
    let cut = 1 + dice.below(length - 1);
    let bad = format!("{}{}", &word[..cut], &word[cut + 1..]);
    // What is still a name of Python or of the function would be another mistake.
    if function.right.contains(&format!("{bad},")) || matches!(bad.as_str(), "s" | "n" | "x" | "d" | "c" | "w" | "mi") {
        return None;
    }
    function.wrong = format!("{head}{}{bad}{}", &body[..name_at], &body[name_at + length..]);
    function.key = format!("{}~{bad}", function.key.split('~').next().unwrap_or(""));
    function.crash = Some(bad);
    function.work = Vec::new();
    Some(function)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_identifiers_are_renamed() {
        assert_eq!(
            rename("def f(n):\n    return len(n) + n\n", "n", "value"),
            "def f(value):\n    return len(value) + value\n"
        );
    }

    #[test]
    fn a_misspelt_function_differs_in_one_name() {
        let mut dice = Dice::new(3, 1);
        let found = (0..50).find_map(|_| misspelt(known(&mut dice)?, &mut dice)).unwrap();
        let bad = found.crash.unwrap();
        assert!(found.wrong.contains(&bad) && found.wrong.len() + 1 == found.right.len(), "{}", found.wrong);
    }
}
