//! Attempts that fail: code with one mistake and what running it on the visible example shows.

use super::dice::Dice;
use super::op::Op;
use super::pipeline::{Case, Pipeline};

/// Tries at a mistake that shows in the visible example.
const MISTAKES_MAX: usize = 8;

/// Code that is nearly right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub code: String,
    pub failure: Failed,
}

/// How an attempt fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Python does not run it: the exception's class, its message and the line.
    Crash { error: &'static str, message: String, line: usize },
    /// The example's input gives this instead.
    Wrong { case: Case, got: String },
}

/// Slips of the pen: what is written instead of what, and what Python says to it.
const SLIPS: &[(&str, &str, &str)] = &[
    ("return ", "retrun ", "invalid syntax"),
    ("):\n", ")\n", "expected ':'"),
    ("return ", "return (", "'(' was never closed"),
];

/// Draws an attempt at `pipeline` that fails on the first of `shown`; `None` where none was found.
pub fn draw(pipeline: &Pipeline, name: &str, shown: &[Case], dice: &mut Dice) -> Option<Attempt> {
    if dice.percent(30) {
        return Some(slip(&pipeline.code(name), dice));
    }
    let case = shown.first()?;
    (0..MISTAKES_MAX).find_map(|_| {
        let other = mistaken(pipeline, dice)?;
        let got = other.run(case.input.clone());
        let fails = got != case.output && other != *pipeline;
        fails.then(|| Attempt {
            code: other.code(name),
            failure: Failed::Wrong { case: case.clone(), got: got.literal(true) },
        })
    })
}

fn slip(right: &str, dice: &mut Dice) -> Attempt {
    let &(from, to, message) = dice.pick(SLIPS);
    let at = right.find(from).expect("invariant: every function has a head and returns something");
    Attempt {
        code: right.replacen(from, to, 1),
        failure: Failed::Crash {
            error: "SyntaxError",
            message: message.to_owned(),
            line: right[..at].lines().count() + usize::from(right[..at].ends_with('\n')),
        },
    }
}

/// A pipeline that runs and does something else: a step missing, two steps in the other order, or another
/// step in the place of one.
pub(super) fn mistaken(pipeline: &Pipeline, dice: &mut Dice) -> Option<Pipeline> {
    let mut ops = pipeline.ops.clone();
    let at = dice.below(ops.len());
    let plain = |op: &Op| op.from() == op.to();
    match dice.below(3) {
        0 if ops.len() > 1 && plain(&ops[at]) => {
            ops.remove(at);
        }
        1 if at > 0 && plain(&ops[at]) && plain(&ops[at - 1]) => ops.swap(at - 1, at),
        _ => {
            let other = Pipeline::draw(ops[at].from(), 1, dice).ops.into_iter().next()?;
            if other.to() != ops[at].to() {
                return None;
            }
            let constant = if other.kind.param == ops[at].kind.param { ops[at].constant } else { other.constant };
            ops[at] = Op { constant, ..other };
        }
    }
    Some(Pipeline { ops })
}
