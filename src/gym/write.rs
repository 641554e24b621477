//! Write a function: one to five steps over numbers, lists, text, words and dicts. The code follows the
//! words, so that no thinking is needed at any level.

use super::dice::Dice;
use super::pipeline::{Pipeline, Shown};
use super::value::Type;
use super::{Family, Problem, attempt, wording};

/// Input types, as often as they are drawn.
const TYPES: &[Type] = &[Type::Ints, Type::Ints, Type::Ints, Type::Ints, Type::Int, Type::Str, Type::Words, Type::Dict];

/// A problem of `level`: level 0 has one step, levels 4 and 5 have five. `None` where the draw was dull.
pub fn draw(level: u8, dice: &mut Dice) -> Option<Problem> {
    let count = (usize::from(level) + 1).min(5);
    let pipeline = Pipeline::draw(*dice.pick(TYPES), count, dice);
    if pipeline.ops.len() != count {
        return None;
    }
    let (shown, kept) = pipeline.cases(1, 4, Shown::Near, dice)?;
    let name = wording::name(dice);
    let request = wording::request(&pipeline, &name, None, dice);
    let visible = wording::asserts(&shown, &name, dice);
    Some(Problem {
        family: Family::Write,
        level,
        // A single step is known everywhere; only with its constant can it be new.
        composition: format!("write:{}", pipeline.composition(count == 1)),
        wording: format!("write:{}", request.key),
        task: format!("{}\n{}", request.text, visible.join("\n")),
        reference: pipeline.code(&name),
        visible,
        hidden: wording::asserts(&kept, &name, dice),
        work: Vec::new(),
        draft: wording::draft(&pipeline, &name),
        attempt: attempt::draw(&pipeline, &name, &shown, dice),
        project: None,
        entry: name,
    })
}
