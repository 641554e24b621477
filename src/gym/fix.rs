//! Mend a function that fails an example: a slip of the pen, a wrong step, or a wrong constant that only
//! the example gives away.

use super::calc::sum_line;
use super::dice::Dice;
use super::infer::product_line;
use super::op::Op;
use super::op_table::OPS;
use super::pipeline::{Case, Pipeline, Shown};
use super::trace::Line;
use super::value::{Type, Value};
use super::{Family, Problem, attempt, wording};

const INTRODUCTIONS: &[&str] = &[
    "Fix this:",
    "Mend the function:",
    "This fails. Repair it:",
    "Correct this code:",
    "There is a bug here:",
    "What is wrong here? Give the right code:",
    "Debug this:",
];
const MEANT: &[&str] = &["It should {steps}.", "It is meant to {steps}.", "What it must do: {steps}."];
const CONSTANT: &[&str] = &[
    "The number it adds is wrong.",
    "It adds the wrong number.",
    "The last constant is wrong.",
    "Only the number in its last line is wrong.",
];

/// A problem of `level`: 0..=2 are slips and wrong steps in one to three steps, 3..=5 a wrong constant
/// behind one to three multiplications and sums.
pub fn draw(level: u8, dice: &mut Dice) -> Option<Problem> {
    if level <= 2 { wrong_step(level, dice) } else { wrong_constant(level, dice) }
}

fn wrong_step(level: u8, dice: &mut Dice) -> Option<Problem> {
    let from = *dice.pick(&[Type::Ints, Type::Ints, Type::Ints, Type::Str, Type::Words]);
    let count = usize::from(level) + 1;
    let pipeline = Pipeline::draw(from, count, dice);
    if pipeline.ops.len() != count {
        return None;
    }
    let (shown, kept) = pipeline.cases(1, 4, Shown::Near, dice)?;
    let name = wording::name(dice);
    let broken = attempt::draw(&pipeline, &name, &shown, dice)?.code;
    let steps = wording::steps(&pipeline.ops, None, dice);
    let (intro, meant) = (dice.below(INTRODUCTIONS.len()), dice.below(MEANT.len()));
    let text =
        format!("{}\n```python\n{broken}```\n{}", INTRODUCTIONS[intro], MEANT[meant].replace("{steps}", &steps.text));
    let worded = format!("fix:{intro}.{meant}.{}", steps.key);
    Some(finish(level, &pipeline, worded, &text, (shown, kept), Vec::new(), name, dice))
}

/// `n * a + b` and longer, with b wrong: run the function by hand up to b, then see what is missing.
fn wrong_constant(level: u8, dice: &mut Dice) -> Option<Problem> {
    let named = |name: &str, constant: i64| {
        let kind = OPS.iter().find(|kind| kind.name == name).expect("invariant: the table has these steps");
        Op { kind, constant }
    };
    let n = dice.between(2, 9);
    let a = dice.between(2, 9);
    let mut ops = vec![named("times", a)];
    let mut work = vec![product_line(n, a)];
    let mut value = n * a;
    for _ in 3..level {
        let step = dice.between(2, 9) * if value > 20 && dice.percent(50) { -1 } else { 1 };
        ops.push(named(if step < 0 { "minus" } else { "plus" }, step.abs()));
        work.push(sum_line(value, step));
        value += step;
    }
    let right = dice.between(11, 60);
    let wrong = dice.between(11, 60);
    if right == wrong {
        return None;
    }
    work.push(sum_line(value + right, -value));
    ops.push(named("plus", right));
    let pipeline = Pipeline { ops };
    let mut mistaken = pipeline.clone();
    mistaken.ops.last_mut()?.constant = wrong;
    let name = wording::name(dice);
    let input = Value::Int(n);
    let shown = vec![Case { output: pipeline.run(input.clone()), input }];
    let (_, kept) = pipeline.cases(0, 4, Shown::Near, dice)?;
    let (intro, say) = (dice.below(INTRODUCTIONS.len()), dice.below(CONSTANT.len()));
    let text = format!("{}\n```python\n{}```\n{}", INTRODUCTIONS[intro], mistaken.code(&name), CONSTANT[say]);
    let worded = format!("fix:constant:{intro}.{say}");
    Some(finish(level, &pipeline, worded, &text, (shown, kept), work, name, dice))
}

#[expect(clippy::too_many_arguments, reason = "the parts of a problem, put together in one place for both kinds")]
fn finish(
    level: u8,
    pipeline: &Pipeline,
    wording: String,
    text: &str,
    (shown, kept): (Vec<Case>, Vec<Case>),
    work: Vec<Line>,
    name: String,
    dice: &mut Dice,
) -> Problem {
    let visible = wording::asserts(&shown, &name, dice);
    Problem {
        family: Family::Fix,
        level,
        composition: format!("fix:{}", pipeline.composition(pipeline.ops.len() == 1 || level > 2)),
        wording,
        task: format!("{text}\n{}", visible.join("\n")),
        reference: pipeline.code(&name),
        visible,
        hidden: wording::asserts(&kept, &name, dice),
        work,
        draft: wording::draft(pipeline, &name),
        attempt: attempt::draw(pipeline, &name, &shown, dice),
        project: None,
        entry: name,
    }
}
