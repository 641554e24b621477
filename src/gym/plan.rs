//! Carry out a plan of steps after several revisions of it. The code is that of the last version, which
//! has to be worked out: one revision at a time.

use super::dice::Dice;
use super::op::Op;
use super::pipeline::{Pipeline, Shown};
use super::trace::Line;
use super::value::Type;
use super::{Family, Problem, attempt, wording};

/// One revision; positions count from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Revision {
    Swap(usize, usize),
    Remove(usize),
    Replace(usize, Op),
    /// Behind this position.
    Insert(usize, Op),
    /// To the front.
    Front(usize),
}

impl Revision {
    /// Draws a revision that fits `plan` and brings no step in twice.
    pub fn draw(plan: &[Op], longest: usize, dice: &mut Dice) -> Option<Self> {
        let position = |dice: &mut Dice| dice.below(plan.len()) + 1;
        let fresh = |dice: &mut Dice| {
            let op = list_steps(1, dice).into_iter().next()?;
            (!plan.iter().any(|o| o.kind.name == op.kind.name)).then_some(op)
        };
        Some(match dice.below(5) {
            0 => {
                let (one, other) = (position(dice), position(dice));
                if one == other {
                    return None;
                }
                Self::Swap(one.min(other), one.max(other))
            }
            1 if plan.len() > 2 => Self::Remove(position(dice)),
            2 => Self::Replace(position(dice), fresh(dice)?),
            3 if plan.len() < longest => Self::Insert(position(dice), fresh(dice)?),
            4 if plan.len() > 1 => Self::Front(dice.below(plan.len() - 1) + 2),
            _ => return None,
        })
    }

    /// The plan after the revision.
    pub fn apply(self, mut plan: Vec<Op>) -> Vec<Op> {
        match self {
            Self::Swap(one, other) => plan.swap(one - 1, other - 1),
            Self::Remove(at) => {
                plan.remove(at - 1);
            }
            Self::Replace(at, op) => plan[at - 1] = op,
            Self::Insert(at, op) => plan.insert(at, op),
            Self::Front(at) => {
                let op = plan.remove(at - 1);
                plan.insert(0, op);
            }
        }
        plan
    }

    const fn skill(self) -> &'static str {
        match self {
            Self::Swap(..) => "swap",
            Self::Remove(_) => "remove",
            Self::Replace(..) => "replace",
            Self::Insert(..) => "insert",
            Self::Front(_) => "front",
        }
    }

    /// The revision as traces write it.
    pub fn short(self) -> String {
        match self {
            Self::Swap(one, other) => format!("swap {one} {other}"),
            Self::Remove(at) => format!("remove {at}"),
            Self::Replace(at, op) => format!("replace {at}: {}", op.short()),
            Self::Insert(at, op) => format!("insert {at}: {}", op.short()),
            Self::Front(at) => format!("front {at}"),
        }
    }

    /// The revision in words.
    fn told(self, variant: usize, phrase: usize) -> String {
        let words = |forms: [&str; 3]| forms[variant % 3].to_owned();
        let text = match self {
            Self::Swap(..) => {
                words(["swap steps {i} and {j}", "exchange steps {i} and {j}", "let steps {i} and {j} change places"])
            }
            Self::Remove(_) => words(["remove step {i}", "delete step {i}", "leave out step {i}"]),
            Self::Replace(..) => {
                words(["replace step {i} by: {p}", "instead of step {i}, {p}", "change step {i} to: {p}"])
            }
            Self::Insert(..) => {
                words(["after step {i} insert: {p}", "behind step {i}, {p}", "add after step {i}: {p}"])
            }
            Self::Front(_) => words(["move step {i} to the front", "make step {i} the first", "begin with step {i}"]),
        };
        let (i, j, op) = match self {
            Self::Swap(one, other) => (one, other, None),
            Self::Remove(at) | Self::Front(at) => (at, 0, None),
            Self::Replace(at, op) | Self::Insert(at, op) => (at, 0, Some(op)),
        };
        let step = op.map_or_else(String::new, |op| op.phrase(phrase, None));
        text.replace("{i}", &i.to_string()).replace("{j}", &j.to_string()).replace("{p}", &step)
    }
}

/// Steps from lists to lists, each of another kind.
pub fn list_steps(count: usize, dice: &mut Dice) -> Vec<Op> {
    loop {
        let ops = Pipeline::draw(Type::Ints, count, dice).ops;
        if ops.len() == count && ops.iter().all(|op| op.to() == Type::Ints) {
            return ops;
        }
    }
}

/// A plan as traces write it: `1 sort,2 above 7`.
pub fn state(plan: &[Op]) -> String {
    plan.iter().enumerate().map(|(i, op)| format!("{} {}", i + 1, op.short())).collect::<Vec<_>>().join(",")
}

/// The lines that carry out one revision: what it says, then the plan after it.
pub fn revision_lines(revision: Revision, after: &[Op]) -> [Line; 2] {
    [Line::new("read", revision.short()), Line::new(revision.skill(), state(after))]
}

/// How the plan, its revisions and the request are framed: `{sig}`, `{plan}`, `{changes}`; then what stands
/// between two revisions.
const FRAMES: &[(&str, &str)] = &[
    ("Plan for {sig}: {plan}. Changes: {changes}. Write it.", "; "),
    ("{sig} does this: {plan}. But {changes}.", ", then "),
    ("Write {sig} by this plan: {plan}. Revise it first: {changes}.", "; then "),
    ("Steps of {sig}: {plan}. Now {changes}. Code the result.", ". Then "),
    ("Here is a plan: {plan}. For {sig}, {changes}.", ", and then "),
];
/// Frames of a plan that nobody revised.
const CALM_FRAMES: &[&str] =
    &["Plan for {sig}: {plan}. Write it.", "{sig} does this: {plan}.", "Write {sig} by this plan: {plan}."];

/// A problem of `level`: as many revisions as the level says, of three to five steps.
pub fn draw(level: u8, dice: &mut Dice) -> Option<Problem> {
    let revisions = usize::from(level);
    let start = list_steps(2 + usize::from(level > 0) + usize::from(level > 3), dice);
    let longest = 5.min(3 + revisions / 2);
    let mut plan = start.clone();
    let mut work = vec![Line::new("start", state(&plan))];
    let mut told = Vec::with_capacity(revisions);
    let mut wording_key = String::new();
    let mut kinds = String::new();
    while told.len() < revisions {
        let Some(revision) = Revision::draw(&plan, longest, dice) else { continue };
        plan = revision.apply(plan);
        work.extend(revision_lines(revision, &plan));
        let (variant, phrase) = (dice.below(3), dice.below(3));
        told.push(revision.told(variant, phrase));
        wording_key.push_str(&format!(".{variant}{phrase}"));
        kinds.push_str(&format!("/{}", revision.short()));
    }
    let before = Pipeline { ops: start };
    let pipeline = Pipeline { ops: plan };
    if pipeline.ops == before.ops && revisions > 0 {
        return None;
    }
    let (shown, kept) = pipeline.cases(1, 4, Shown::Near, dice)?;
    let name = wording::name(dice);
    let (text, frame_key) = frame(&before, &told, &name, dice);
    let visible = wording::asserts(&shown, &name, dice);
    Some(Problem {
        family: Family::Plan,
        level,
        composition: format!("plan:{}{kinds}", before.composition(false)),
        wording: format!("plan:{frame_key}{wording_key}"),
        task: format!("{text}\n{}", visible.join("\n")),
        reference: pipeline.code(&name),
        visible,
        hidden: wording::asserts(&kept, &name, dice),
        work: if revisions == 0 { Vec::new() } else { work },
        draft: wording::draft(&pipeline, &name),
        attempt: attempt::draw(&pipeline, &name, &shown, dice),
        project: None,
        entry: name,
    })
}

/// The request in words and the key of its wording.
fn frame(plan: &Pipeline, told: &[String], name: &str, dice: &mut Dice) -> (String, String) {
    let mut key = String::new();
    let steps: Vec<String> = plan
        .ops
        .iter()
        .enumerate()
        .map(|(index, op)| {
            let variant = dice.below(op.kind.phrases.len());
            key.push_str(&variant.to_string());
            format!("{}. {}", index + 1, op.phrase(variant, None))
        })
        .collect();
    let steps = steps.join(" ");
    let signature = plan.signature(name);
    if told.is_empty() {
        let choice = dice.below(CALM_FRAMES.len());
        return (
            CALM_FRAMES[choice].replace("{sig}", &signature).replace("{plan}", &steps),
            format!("c{choice}.{key}"),
        );
    }
    let choice = dice.below(FRAMES.len());
    let (frame, between) = FRAMES[choice];
    let text = frame.replace("{sig}", &signature).replace("{plan}", &steps).replace("{changes}", &told.join(between));
    (text, format!("{choice}.{key}"))
}
