//! Accuracy against thinking tokens: points, comparisons on the same problems, and the plot.
//!
//! Not for: producing the records (`run`).

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::gym::{Record, Share};
use super::stats::{Paired, mcnemar, wilson};

/// From this level on a problem counts as hard: direct code is out of a small model's reach.
pub const HARD_LEVEL_MIN: u8 = 3;

/// One model at one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub model: String,
    /// `None`: as long as it likes.
    pub window: Option<u32>,
    pub all: Share,
    pub hard: Share,
    /// Tokens before a shift, on average: thinking as the paper counts it.
    pub att: f64,
    /// Tokens of thinking proper, on average.
    pub thought: f64,
    /// Every token that was decoded, on average.
    pub generated: f64,
}

impl Point {
    pub fn of(model: &str, window: Option<u32>, records: &[Record]) -> Self {
        let share = |level_min: u8| {
            let counted: Vec<&Record> = records.iter().filter(|record| record.level >= level_min).collect();
            Share { passed: counted.iter().filter(|record| record.passed).count() as u32, of: counted.len() as u32 }
        };
        let mean = |tokens: fn(&Record) -> u32| {
            records.iter().map(|record| f64::from(tokens(record))).sum::<f64>() / records.len().max(1) as f64
        };
        Self {
            model: model.to_owned(),
            window,
            all: share(0),
            hard: share(HARD_LEVEL_MIN),
            att: mean(|record| record.usage.thinking_tokens),
            thought: mean(|record| record.thought_tokens),
            generated: mean(|record| record.usage.generated_tokens()),
        }
    }
}

/// Two runs on the same problems, all of them and the hard ones.
pub fn compare(first: &[Record], second: &[Record]) -> (Paired, Paired) {
    let by_id: HashMap<&str, bool> = second.iter().map(|record| (record.id.as_str(), record.passed)).collect();
    let pairs = |level_min: u8| {
        let common = first.iter().filter(move |record| record.level >= level_min);
        mcnemar(common.filter_map(|record| by_id.get(record.id.as_str()).map(|&other| (record.passed, other))))
    };
    (pairs(0), pairs(HARD_LEVEL_MIN))
}

/// The points as a table.
pub fn table(points: &[Point]) -> String {
    let mut text = format!(
        "{:<10}{:>8}{:>9}{:>17}{:>9}{:>9}{:>9}{:>11}\n",
        "model", "window", "pass@1", "95 %", "hard", "ATT", "thought", "generated"
    );
    for point in points {
        let (low, high) = wilson(point.all.passed, point.all.of);
        let _ = writeln!(
            text,
            "{:<10}{:>8}{:>8.1}%{:>17}{:>8.1}%{:>9.1}{:>9.1}{:>11.1}",
            point.model,
            point.window.map_or_else(|| "-".to_owned(), |window| window.to_string()),
            100.0 * point.all.rate(),
            format!("{:.1} to {:.1}", 100.0 * low, 100.0 * high),
            100.0 * point.hard.rate(),
            point.att,
            point.thought,
            point.generated,
        );
    }
    text
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 52.0;
const COLOURS: [&str; 6] = ["#1b6ca8", "#c8553d", "#3a7d44", "#7a4ea3", "#b8860b", "#444444"];

/// The plot: pass@1 over average thinking tokens (logarithmic), a line for each model, whiskers of 95 %.
pub fn svg(points: &[Point]) -> String {
    let least = points.iter().map(|p| p.att).fold(f64::INFINITY, f64::min).max(1.0).log2().floor();
    let most = points.iter().map(|p| p.att).fold(1.0, f64::max).log2().ceil().max(least + 1.0);
    let x = |att: f64| LEFT + (WIDTH - LEFT - RIGHT) * (att.max(1.0).log2() - least) / (most - least);
    let y = |rate: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - rate);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    for tenth in (0..=10).step_by(2) {
        let at = y(f64::from(tenth) / 10.0);
        let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#dddddd\"/>", WIDTH - RIGHT);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            tenth * 10
        );
    }
    for power in least as i32..=most as i32 {
        let at = x(2.0_f64.powi(power));
        let _ = writeln!(svg, "<path d=\"M{at:.1} {TOP}V{:.1}\" stroke=\"#eeeeee\"/>", HEIGHT - BOTTOM);
        let label = 2_u64.pow(power.max(0) as u32);
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            HEIGHT - BOTTOM + 16.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">average thinking tokens</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 12.0
    );
    let _ = writeln!(svg, "<text x=\"12\" y=\"{:.1}\">pass@1, %</text>", TOP - 8.0);
    for (index, model) in models(points).into_iter().enumerate() {
        line(&mut svg, points, model, (COLOURS[index % COLOURS.len()], index), &x, &y);
    }
    svg + "</svg>\n"
}

/// The models in the order in which they come.
fn models(points: &[Point]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for point in points {
        if !names.contains(&point.model.as_str()) {
            names.push(&point.model);
        }
    }
    names
}

fn line(
    svg: &mut String,
    points: &[Point],
    model: &str,
    (colour, index): (&str, usize),
    x: &impl Fn(f64) -> f64,
    y: &impl Fn(f64) -> f64,
) {
    let mut mine: Vec<&Point> = points.iter().filter(|point| point.model == model).collect();
    mine.sort_by(|a, b| a.att.total_cmp(&b.att));
    let path: Vec<String> = mine.iter().map(|p| format!("{:.1} {:.1}", x(p.att), y(p.all.rate()))).collect();
    let _ = writeln!(svg, "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join("L"));
    for point in &mine {
        let (low, high) = wilson(point.all.passed, point.all.of);
        let at = x(point.att);
        let _ = writeln!(svg, "<path d=\"M{at:.1} {:.1}V{:.1}\" stroke=\"{colour}\"/>", y(low), y(high));
        let _ = writeln!(svg, "<circle cx=\"{at:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{colour}\"/>", y(point.all.rate()));
    }
    let height = TOP + 16.0 + 18.0 * index as f64;
    let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>", LEFT + 14.0, height - 4.0);
    let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{height:.1}\">{}</text>", LEFT + 24.0, escaped(model));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Usage;

    fn record(id: u32, level: u8, passed: bool, thinking_tokens: u32) -> Record {
        Record {
            id: id.to_string(),
            family: "calc".to_owned(),
            level,
            passed,
            why: String::new(),
            usage: Usage { thinking_tokens, ..Usage::default() },
            thought_tokens: 0,
            shifted: false,
            faith: None,
            text: String::new(),
        }
    }

    #[test]
    fn points_count_hard_problems_apart_and_pairs_go_by_id() {
        let mixed: Vec<Record> = (0..20).map(|id| record(id, (id % 6) as u8, true, 40)).collect();
        let short: Vec<Record> = (0..20).rev().map(|id| record(id, (id % 6) as u8, id % 6 < 3, 20)).collect();
        let point = Point::of("mixed", None, &mixed);
        assert_eq!((point.all.of, point.hard.of), (20, 9));
        assert!((point.att - 40.0).abs() < 1e-9);
        let (all, hard) = compare(&mixed, &short);
        assert_eq!((all.first_only, all.second_only), (9, 0));
        assert_eq!(hard.first_only, 9);
        assert!(all.p < 0.01);
        let points = [point, Point::of("a<b", Some(16), &short)];
        assert!(table(&points).contains("100.0%"));
        let svg = svg(&points);
        assert!(svg.ends_with("</svg>\n") && svg.contains("a&lt;b") && svg.matches("<circle").count() == 4);
    }
}
