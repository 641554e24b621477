//! The course of a run as an SVG picture: loss, learning rate, tokens per second.
//!
//! Not for: the accuracy curves of `eval`.

use std::fmt::Write as _;

use super::metrics::{EvalRecord, Record, StepRecord};

const WIDTH: f64 = 760.0;
const PANEL: f64 = 190.0;
const GAP: f64 = 46.0;
const LEFT: f64 = 74.0;
/// Points of a drawn line; longer runs are averaged down to this.
const POINTS_MAX: usize = 400;

/// One line of a panel.
struct Series {
    name: &'static str,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws the picture; `None` where there is no step to draw.
pub fn svg(records: &[Record]) -> Option<String> {
    let steps: Vec<&StepRecord> =
        records.iter().filter_map(|r| if let Record::Step(s) = r { Some(s) } else { None }).collect();
    let evals: Vec<&EvalRecord> =
        records.iter().filter_map(|r| if let Record::Eval(e) = r { Some(e) } else { None }).collect();
    let last = steps.last()?.step as f64;
    let line = |name, colour, value: fn(&StepRecord) -> f64| Series {
        name,
        colour,
        points: thin(&steps.iter().map(|s| (s.step as f64, value(s))).collect::<Vec<_>>()),
    };
    let eval_line = |name, colour, value: fn(&EvalRecord) -> Option<f64>| Series {
        name,
        colour,
        points: evals.iter().filter_map(|e| Some((e.step as f64, value(e)?))).collect(),
    };
    let panels = [
        (
            "loss (nats a token)",
            vec![line("training", "#4878cf", |s| s.loss), eval_line("held out", "#d65f5f", |e| e.held_out_loss)],
        ),
        ("pass@1 of sampled problems", vec![eval_line("pass@1", "#6acc65", |e| e.pass_at_1)]),
        ("learning rate", vec![line("rate", "#b47cc7", |s| s.lr)]),
        ("tokens per second", vec![line("speed", "#c4ad66", |s| s.tokens_per_second)]),
    ];
    let shown: Vec<_> = panels.into_iter().filter(|(_, series)| series.iter().any(|s| !s.points.is_empty())).collect();
    let height = shown.len() as f64 * (PANEL + GAP) + 20.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, (title, series)) in shown.iter().enumerate() {
        panel(&mut out, GAP * 0.7 + index as f64 * (PANEL + GAP), title, series, last);
    }
    out.push_str("</svg>\n");
    Some(out)
}

fn panel(out: &mut String, top: f64, title: &str, series: &[Series], last: f64) {
    let values = || series.iter().flat_map(|s| s.points.iter().map(|p| p.1));
    let low = values().fold(f64::INFINITY, f64::min).min(0.0);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    let right = WIDTH - 20.0;
    let x = |step: f64| LEFT + (right - LEFT) * step / last.max(1.0);
    let y = |value: f64| top + PANEL - PANEL * (value - low) / span;
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>", top - 8.0);
    for tick in 0..=4 {
        let value = low + span * f64::from(tick) / 4.0;
        let at = y(value);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            label(value)
        );
        let step = last * f64::from(tick) / 4.0;
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{step:.0}</text>",
            x(step),
            top + PANEL + 15.0
        );
    }
    for (index, each) in series.iter().filter(|s| !s.points.is_empty()).enumerate() {
        let path: Vec<String> =
            each.points.iter().map(|&(step, value)| format!("{:.1},{:.1}", x(step), y(value))).collect();
        let colour = each.colour;
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            path.join(" ")
        );
        let at = right - 110.0 * (index as f64 + 1.0);
        let _ = writeln!(out, "<text x=\"{at:.1}\" y=\"{:.1}\" fill=\"{colour}\">— {}</text>", top - 8.0, each.name);
    }
}

/// A short number: three figures, with k and a power where that is shorter.
fn label(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 1000.0 => format!("{:.1}k", value / 1000.0),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

/// Averages neighbours so that at most [`POINTS_MAX`] points are left.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(POINTS_MAX).max(1);
    let mean = |group: &[(f64, f64)]| {
        let n = group.len() as f64;
        (group.iter().map(|p| p.0).sum::<f64>() / n, group.iter().map(|p| p.1).sum::<f64>() / n)
    };
    points.chunks(size).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_becomes_a_small_picture() {
        let step = |step: u64| {
            Record::Step(StepRecord {
                step,
                loss: 5.0 / step as f64,
                lr: 1e-3,
                gradient_norm: 1.0,
                tokens: 10,
                learnt_tokens: 5,
                tokens_seen: 10 * step,
                tokens_per_second: 2000.0,
                epoch: 0.1,
                seconds: step as f64,
            })
        };
        let mut records: Vec<Record> = (1..=5000).map(step).collect();
        records.push(Record::Eval(EvalRecord { step: 5000, held_out_loss: Some(0.4), pass_at_1: Some(0.5) }));
        let picture = svg(&records).unwrap();
        assert!(picture.len() < 40_000, "{}", picture.len());
        for word in ["loss", "pass@1", "learning rate", "tokens per second", "</svg>"] {
            assert!(picture.contains(word), "{word}");
        }
        assert!(!picture.contains("NaN"));
        assert!(svg(&[]).is_none());
    }
}
