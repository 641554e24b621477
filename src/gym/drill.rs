//! The skills of thinking, each by itself: a row of sums, a revision of a plan, a scan of a list. Short, so
//! that many fit into a training run; their lines are the very lines of the other families' traces.

use super::calc::{Chain, sum_line};
use super::dice::Dice;
use super::infer::{product_line, quotient_line, scan_lines};
use super::plan::{Revision, list_steps, revision_lines, state};
use super::trace::{self, Line};
use super::{Family, Problem};

/// Tries at a revision that fits before the draw is given up.
const REVISIONS_MAX: usize = 16;

/// A drill. Its task is the exercise and its work the answer; there is no code.
pub fn draw(level: u8, dice: &mut Dice) -> Option<Problem> {
    let (task, work) = match dice.below(8) {
        0..3 => sums(dice),
        3..5 => revision(dice)?,
        5..7 => tables(dice),
        _ => scan(dice),
    };
    Some(Problem {
        family: Family::Drill,
        level,
        composition: format!("drill:{task}"),
        // A drill has no wording of its own: the exercise alone decides its split.
        wording: format!("drill:{task}"),
        entry: String::new(),
        reference: String::new(),
        visible: Vec::new(),
        hidden: Vec::new(),
        draft: Vec::new(),
        attempt: None,
        project: None,
        work,
        task,
    })
}

fn sums(dice: &mut Dice) -> (String, Vec<Line>) {
    let count = 2 + dice.below(5);
    let big = dice.percent(40);
    let chain = Chain::draw(count, big, dice);
    (chain.expression(), chain.lines())
}

fn revision(dice: &mut Dice) -> Option<(String, Vec<Line>)> {
    let count = 2 + dice.below(4);
    let before = list_steps(count, dice);
    let revision = (0..REVISIONS_MAX).find_map(|_| Revision::draw(&before, 5, dice))?;
    let after = revision.apply(before.clone());
    let [read, result] = revision_lines(revision, &after);
    Some((format!("{}\n{}", state(&before), read.text), vec![result]))
}

/// Products and quotients of small numbers and differences of any.
fn tables(dice: &mut Dice) -> (String, Vec<Line>) {
    let mut work = Vec::new();
    for _ in 0..5 {
        let (a, b) = (dice.between(2, 9), dice.between(2, 12));
        work.push(match dice.below(3) {
            0 => product_line(a, b),
            1 => quotient_line(a * b, b),
            _ => {
                let high = dice.between(20, 120);
                sum_line(high, -dice.between(10, high - 2))
            }
        });
    }
    let asked: Vec<&str> = work.iter().filter_map(|line| line.text.split('=').next()).collect();
    (asked.join("\n"), work)
}

fn scan(dice: &mut Dice) -> (String, Vec<Line>) {
    let size = 4 + dice.below(4);
    let xs: Vec<i64> = (0..size).map(|_| dice.between(1, 99)).collect();
    let limit = *dice.pick(&xs);
    let kept: Vec<String> = xs.iter().filter(|&&x| x > limit).map(ToString::to_string).collect();
    let all: Vec<String> = xs.iter().map(ToString::to_string).collect();
    (format!("[{}] [{}]", all.join(","), kept.join(",")), scan_lines(&xs, limit))
}

/// The whole answer of a drill.
pub fn answer(problem: &Problem) -> String {
    trace::text(&problem.work).trim_end().to_owned()
}
