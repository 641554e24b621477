//! How a request is put: frames, joiners and names. A wording's key names every choice, so that a
//! combination of choices can be held out.

use super::dice::Dice;
use super::op::Op;
use super::pipeline::{Case, Pipeline};
use super::trace::Line;

/// Function names; none of them says what the function does.
pub const NAMES: &[&str] = &[
    "f",
    "g",
    "h",
    "run",
    "work",
    "solve",
    "apply",
    "convert",
    "compute",
    "process",
    "build",
    "make",
    "clean",
    "prepare",
    "handle",
    "adjust",
    "refine",
    "select",
    "shape",
    "go",
    "task",
    "change",
    "update",
    "transform",
    "filter_it",
    "do_it",
    "get",
    "pick",
    "calc",
    "finish",
];
/// Frames of a request to write a function: `{sig}` is the signature, `{steps}` the steps.
const FRAMES: &[&str] = &[
    "Write {sig}: {steps}.",
    "Write a function {sig} to {steps}.",
    "{sig} should {steps}.",
    "Define {sig} so that it will {steps}.",
    "I need {sig} to {steps}.",
    "Python function {sig}: {steps}.",
    "Implement {sig}. It has to {steps}.",
    "Please write {sig} that can {steps}.",
    "Make a function {sig} which must {steps}.",
];
/// How steps follow one another: between all, before the last, before the first.
const JOINERS: &[(&str, &str, &str)] = &[
    (", then ", ", then ", ""),
    (", ", " and ", ""),
    ("; ", "; ", ""),
    (", then ", ", and finally ", "first "),
    (", next ", ", and last ", ""),
];

/// Text, and the key of the choices behind it.
#[derive(Clone, Debug, Default)]
pub struct Worded {
    pub text: String,
    pub key: String,
}

/// A function name: one of the list, or two of it joined, so that names are read rather than known.
pub fn name(dice: &mut Dice) -> String {
    let one = *dice.pick(NAMES);
    if dice.percent(80) { one.to_owned() } else { format!("{one}_{}", dice.pick(NAMES)) }
}

/// Asks for a pipeline; `named` says which step's constant is called by a name instead ("k").
pub fn request(pipeline: &Pipeline, name: &str, named: Option<(usize, &str)>, dice: &mut Dice) -> Worded {
    let frame = dice.below(FRAMES.len());
    let steps = steps(&pipeline.ops, named, dice);
    let text = FRAMES[frame].replace("{sig}", &pipeline.signature(name)).replace("{steps}", &steps.text);
    Worded { text, key: format!("{frame}/{}", steps.key) }
}

/// The steps in words, joined.
pub fn steps(ops: &[Op], named: Option<(usize, &str)>, dice: &mut Dice) -> Worded {
    let joiner = if ops.len() > 1 { dice.below(JOINERS.len()) } else { 0 };
    let (between, before_last, before_first) = JOINERS[joiner];
    let mut text = if ops.len() > 1 { before_first.to_owned() } else { String::new() };
    let mut key = joiner.to_string();
    for (index, op) in ops.iter().enumerate() {
        let variant = dice.below(op.kind.phrases.len());
        key.push_str(&format!(".{variant}"));
        if index > 0 {
            text.push_str(if index + 1 == ops.len() { before_last } else { between });
        }
        text.push_str(&op.phrase(variant, named.filter(|(at, _)| *at == index).map(|(_, name)| name)));
    }
    Worded { text, key }
}

/// The assert statements of cases. Most are written without spaces, as tokens are dear; some with.
pub fn asserts(cases: &[Case], name: &str, dice: &mut Dice) -> Vec<String> {
    let spaced = dice.percent(25);
    cases.iter().map(|case| case.assert(name, spaced)).collect()
}

/// The steps as a thinker at length would go through them: each in words with the code for it.
pub fn draft(pipeline: &Pipeline, name: &str) -> Vec<Line> {
    let mut lines = vec![Line::new("restate", format!("We need {}.", pipeline.signature(name)))];
    for (index, op) in pipeline.ops.iter().enumerate() {
        let phrase = op.phrase(0, None);
        lines.push(Line::new("restate", format!("Step {}: {phrase}.", index + 1)));
        lines.push(Line::new("draft", format!("In Python: {}", op.code(op.from().variable()))));
    }
    lines.push(Line::new("restate", "Now put the steps together."));
    lines
}
