//! Find a constant from examples: what is added, by how much something is multiplied, where a limit lies.

use super::calc::sum_line;
use super::dice::Dice;
use super::op::Op;
use super::op_table::OPS;
use super::pipeline::{Case, Pipeline, Shown};
use super::trace::Line;
use super::value::{Type, Value};
use super::{Family, Problem, attempt, wording};

/// `7*3=21`.
pub fn product_line(a: i64, b: i64) -> Line {
    Line::new("times", format!("{a}*{b}={}", a * b))
}

/// `21/3=7`; the division must leave no rest.
pub fn quotient_line(product: i64, by: i64) -> Line {
    Line::new("over", format!("{product}/{by}={}", product / by))
}

/// Goes through a list whose elements above `limit` are kept: `3 out 3`, `12 in`; behind `out` stands the
/// largest that is out so far. The last line states the limit.
pub fn scan_lines(xs: &[i64], limit: i64) -> Vec<Line> {
    let mut largest = None;
    let mut lines: Vec<Line> = xs
        .iter()
        .map(|&x| {
            if x > limit {
                return Line::new("in", format!("{x} in"));
            }
            let top = largest.map_or(x, |top: i64| top.max(x));
            largest = Some(top);
            Line::new("out", format!("{x} out {top}"))
        })
        .collect();
    lines.push(Line::new("limit", format!("limit {limit}")));
    lines
}

/// What a puzzle is about: the function, what is said of it, its examples and the way to the constants.
struct Puzzle {
    pipeline: Pipeline,
    /// Forms of "what it does" with `{sig}`; the constant is not in them.
    told: &'static [&'static str],
    shown: Vec<Case>,
    work: Vec<Line>,
}

/// The step called `name` that takes a value of type `from`.
fn step(name: &str, from: Type, constant: i64) -> Op {
    OPS.iter()
        .map(|kind| Op { kind, constant })
        .find(|op| op.kind.name == name && op.from() == from)
        .expect("invariant: the table has the step that a puzzle names")
}

fn example(pipeline: &Pipeline, input: Value) -> Case {
    Case { output: pipeline.run(input.clone()), input }
}

fn numbers(pipeline: &Pipeline, inputs: &[i64]) -> Vec<Case> {
    inputs.iter().map(|&n| example(pipeline, Value::Int(n))).collect()
}

/// `n + b` or `n - b`.
fn shift(most: i64, dice: &mut Dice) -> Puzzle {
    let b = dice.between(2, most);
    let up = dice.percent(60);
    let pipeline = Pipeline { ops: vec![step(if up { "plus" } else { "minus" }, Type::Int, b)] };
    let n = dice.between(b + 1, 99);
    let after = if up { n + b } else { n - b };
    let work = vec![if up { sum_line(after, -n) } else { sum_line(n, -after) }];
    let told: &[&str] = if up {
        &["{sig} adds a fixed number.", "{sig} adds a constant to n.", "{sig} gives n plus some constant."]
    } else {
        &["{sig} subtracts a fixed number.", "{sig} takes a constant from n.", "{sig} gives n minus some constant."]
    };
    Puzzle { shown: numbers(&pipeline, &[n]), pipeline, told, work }
}

/// `n * a`.
fn scale(dice: &mut Dice) -> Puzzle {
    let a = dice.between(2, 9);
    let n = dice.between(3, 12);
    let pipeline = Pipeline { ops: vec![step("times", Type::Int, a)] };
    Puzzle {
        shown: numbers(&pipeline, &[n]),
        work: vec![quotient_line(n * a, n)],
        pipeline,
        told: &[
            "{sig} multiplies by a fixed number.",
            "{sig} scales n by a constant.",
            "{sig} gives n times some constant.",
        ],
    }
}

/// Every element plus a constant.
fn shift_list(dice: &mut Dice) -> Puzzle {
    let k = dice.between(11, 60);
    let pipeline = Pipeline { ops: vec![step("add", Type::Ints, k)] };
    let xs: Vec<i64> = (0..3).map(|_| dice.between(2, 39)).collect();
    Puzzle {
        work: vec![sum_line(xs[0] + k, -xs[0])],
        shown: vec![example(&pipeline, Value::Ints(xs))],
        pipeline,
        told: &[
            "{sig} adds a fixed number to each element.",
            "{sig} raises every number by a constant.",
            "{sig} increases all of xs by some constant.",
        ],
    }
}

/// `n * a + b` from two examples that are `gap` apart.
fn affine(gap: i64, dice: &mut Dice) -> Puzzle {
    let (a, b, n) = (dice.between(2, 9), dice.between(2, 40), dice.between(2, 9));
    let pipeline = Pipeline { ops: vec![step("times", Type::Int, a), step("plus", Type::Int, b)] };
    let (low, high) = (n * a + b, (n + gap) * a + b);
    let mut work = vec![sum_line(high, -low)];
    if gap > 1 {
        work.push(quotient_line(high - low, gap));
    }
    work.push(product_line(a, n));
    work.push(sum_line(low, -(a * n)));
    Puzzle {
        shown: numbers(&pipeline, &[n, n + gap]),
        work,
        pipeline,
        told: &[
            "{sig} multiplies by a fixed number, then adds another.",
            "{sig} scales n by a constant and adds a second constant.",
            "{sig} gives n times a constant plus a constant.",
        ],
    }
}

/// A limit among the elements, then perhaps another step in plain words.
fn limit(size: usize, dice: &mut Dice) -> Puzzle {
    let mut xs: Vec<i64> = (0..size).map(|_| dice.between(1, 99)).collect();
    let mut ranked = xs.clone();
    ranked.sort_unstable();
    ranked.dedup();
    let limit = ranked[ranked.len() / 2 - usize::from(ranked.len() > 3 && dice.percent(50))];
    dice.shuffle(&mut xs);
    let pipeline = Pipeline { ops: vec![step("above", Type::Ints, limit)] };
    Puzzle {
        work: scan_lines(&xs, limit),
        shown: vec![example(&pipeline, Value::Ints(xs))],
        pipeline,
        told: &[
            "{sig} keeps numbers above a limit; the limit is the largest it drops.",
            "{sig} drops everything up to a limit. The largest number dropped is the limit.",
            "{sig} keeps what is greater than the largest number it drops in the example.",
        ],
    }
}

fn puzzle(level: u8, dice: &mut Dice) -> Puzzle {
    match (level, dice.below(3)) {
        (0, _) => shift(9, dice),
        (1, 0 | 1) => shift(60, dice),
        (1, _) | (2, 0) => scale(dice),
        (2, 1) => shift_list(dice),
        (2, _) => limit(3, dice),
        (3, 0 | 1) => affine(1, dice),
        (3, _) => limit(4, dice),
        (4, 0 | 1) => affine(2, dice),
        (4, _) => limit(6, dice),
        (_, 0) => limit(8, dice),
        _ => {
            let gap = dice.between(3, 6);
            affine(gap, dice)
        }
    }
}

const FRAMES: &[&str] = &[
    "{told} Find it from the example.",
    "{told} Write it.",
    "Write {sig}. {told}",
    "{told} Work out which.",
    "Find the function: {told}",
    "{told} Which one? Give the code.",
    "Define {sig}. {told} The example says which.",
    "Guess {sig} from the example. {told}",
];

/// A problem of `level`: one subtraction on levels 0 and 1, up to four sums or eight comparisons above.
pub fn draw(level: u8, dice: &mut Dice) -> Option<Problem> {
    let Puzzle { pipeline, told, shown, work } = puzzle(level, dice);
    if shown.iter().any(|case| case.output.is_empty()) {
        return None;
    }
    let (_, kept) = pipeline.cases(0, 4, Shown::Near, dice)?;
    let name = wording::name(dice);
    let (frame, form) = (dice.below(FRAMES.len()), dice.below(told.len()));
    // A frame that names the signature itself says "it" of the function afterwards.
    let subject = if FRAMES[frame].contains("{sig}") { "It".to_owned() } else { pipeline.signature(&name) };
    let text = FRAMES[frame]
        .replace("{told}", &told[form].replace("{sig}", &subject))
        .replace("{sig}", &pipeline.signature(&name));
    let visible = wording::asserts(&shown, &name, dice);
    Some(Problem {
        family: Family::Infer,
        level,
        composition: format!("infer:{}:{}", pipeline.composition(true), shown[0].input.literal(false)),
        wording: format!("infer:{}:{frame}.{form}", pipeline.composition(false)),
        task: format!("{text}\n{}", visible.join("\n")),
        reference: pipeline.code(&name),
        visible,
        hidden: wording::asserts(&kept, &name, dice),
        work,
        draft: wording::draft(&pipeline, &name),
        attempt: attempt::draw(&pipeline, &name, &shown, dice),
        project: None,
        entry: name,
    })
}
