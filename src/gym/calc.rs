//! Work out a number in words first, then write a function that has it as a constant.

use super::dice::Dice;
use super::pipeline::{Pipeline, Shown};
use super::trace::Line;
use super::value::Type;
use super::{Family, Problem, attempt, wording};

/// A number that comes from another by small steps up and down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub start: i64,
    /// Positive: added; negative: taken away.
    pub steps: Vec<i64>,
}

impl Chain {
    /// Draws a chain whose every value stays within 2..=99. With `big`, some steps have two digits.
    pub fn draw(count: usize, big: bool, dice: &mut Dice) -> Self {
        let start = dice.between(11, 89);
        let mut steps = Vec::with_capacity(count);
        let mut value = start;
        while steps.len() < count {
            let size = if big && dice.percent(30) { dice.between(10, 40) } else { dice.between(2, 9) };
            let step = if dice.percent(50) { size } else { -size };
            if (2..=99).contains(&(value + step)) {
                value += step;
                steps.push(step);
            }
        }
        Self { start, steps }
    }

    pub fn value(&self) -> i64 {
        self.start + self.steps.iter().sum::<i64>()
    }

    /// One sum a line.
    pub fn lines(&self) -> Vec<Line> {
        let mut value = self.start;
        self.steps
            .iter()
            .map(|&step| {
                let before = value;
                value += step;
                sum_line(before, step)
            })
            .collect()
    }

    /// `31 + 7 - 4`.
    pub fn expression(&self) -> String {
        self.steps.iter().fold(self.start.to_string(), |text, &step| {
            format!("{text} {} {}", if step < 0 { '-' } else { '+' }, step.abs())
        })
    }
}

/// `31+7=38`, and the skill that it takes.
pub fn sum_line(before: i64, step: i64) -> Line {
    let skill = match (step < 0, step.abs() > 9) {
        (false, false) => "add",
        (true, false) => "sub",
        (false, true) => "add2",
        (true, true) => "sub2",
    };
    let sign = if step < 0 { '-' } else { '+' };
    Line::new(skill, format!("{before}{sign}{}={}", step.abs(), before + step))
}

/// How a chain is told: the opening (`{s}` the start), the ways up and down (`{n}` the amount), what stands
/// between the steps, and the close.
struct Story {
    open: &'static str,
    up: &'static [&'static str],
    down: &'static [&'static str],
    between: &'static str,
    close: &'static str,
}

const STORIES: &[Story] = &[
    Story {
        open: "k starts at {s}. Then ",
        up: &["add {n}", "go up by {n}"],
        down: &["take away {n}", "go down by {n}"],
        between: ", ",
        close: ".",
    },
    Story {
        open: "Take {s}, ",
        up: &["add {n}", "plus {n}", "{n} more"],
        down: &["subtract {n}", "minus {n}", "{n} less"],
        between: ", ",
        close: "; call the result k.",
    },
    Story {
        open: "A box holds {s} balls. ",
        up: &["{n} are put in", "{n} come in"],
        down: &["{n} are taken out", "{n} fall out"],
        between: ". ",
        close: ". It now holds k.",
    },
    Story {
        open: "Ann has {s} points. She ",
        up: &["wins {n}", "gets {n} more"],
        down: &["loses {n}", "gives away {n}"],
        between: ", ",
        close: ". Now she has k.",
    },
    Story {
        open: "At first k is {s}. ",
        up: &["Add {n} to k", "Raise k by {n}"],
        down: &["Take {n} from k", "Lower k by {n}"],
        between: ". ",
        close: ".",
    },
];

/// Tells a chain, with the number called k at its end.
fn told(chain: &Chain, dice: &mut Dice) -> wording::Worded {
    let choice = dice.below(STORIES.len() + 1);
    if choice == STORIES.len() || chain.steps.is_empty() {
        return wording::Worded { text: format!("Let k = {}.", chain.expression()), key: "let".to_owned() };
    }
    let story = &STORIES[choice];
    let mut key = choice.to_string();
    let mut parts = Vec::with_capacity(chain.steps.len());
    for &step in &chain.steps {
        let ways = if step < 0 { story.down } else { story.up };
        let way = dice.below(ways.len());
        key.push_str(&format!(".{way}"));
        parts.push(ways[way].replace("{n}", &step.abs().to_string()));
    }
    let open = story.open.replace("{s}", &chain.start.to_string());
    wording::Worded { text: format!("{open}{}{}", parts.join(story.between), story.close), key }
}

/// Steps whose constant an example does not give away.
const DISCREET: &[&str] = &["above", "below", "without", "count", "exceed", "under"];

/// A problem of `level`: none to nine sums before the constant is known.
pub fn draw(level: u8, dice: &mut Dice) -> Option<Problem> {
    let count = match level {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 3 + dice.below(2),
        4 => 5 + dice.below(2),
        _ => 7 + dice.below(3),
    };
    let chain = Chain::draw(count, level >= 4, dice);
    let from = *dice.pick(&[Type::Ints, Type::Ints, Type::Ints, Type::Dict]);
    let mut pipeline = Pipeline::draw(from, 1 + usize::from(level >= 3), dice);
    let at = pipeline.ops.iter().position(|op| DISCREET.contains(&op.kind.name))?;
    pipeline.ops[at].constant = chain.value();
    let (shown, kept) = pipeline.cases(1, 4, Shown::Anywhere, dice)?;
    let name = wording::name(dice);
    let story = told(&chain, dice);
    let request = wording::request(&pipeline, &name, Some((at, "k")), dice);
    let visible = wording::asserts(&shown, &name, dice);
    Some(Problem {
        family: Family::Calc,
        level,
        composition: format!("calc:{}:{}", chain.expression(), pipeline.composition(false)),
        wording: format!("calc:{}:{}", story.key, request.key),
        task: format!("{} {}\n{}", story.text, request.text, visible.join("\n")),
        reference: pipeline.code(&name),
        visible,
        hidden: wording::asserts(&kept, &name, dice),
        work: chain.lines(),
        draft: wording::draft(&pipeline, &name),
        attempt: attempt::draw(&pipeline, &name, &shown, dice),
        project: None,
        entry: name,
    })
}
