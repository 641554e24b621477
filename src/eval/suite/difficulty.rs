//! What is known of a problem's difficulty before it is answered, beside whether the plain answer passed.
//!
//! Not for: spending by it (`complexity/budget.rs`).

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::arm::Arm;
use super::record::Record;

/// What was foretold of one problem: probabilities of simple, moderate, complex.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difficulty {
    /// By the task's words.
    pub words: [f32; 3],
    /// By the model itself.
    pub asked: [f32; 3],
    /// By both, as a task would join them.
    pub both: [f32; 3],
}

/// How well one way foretells that the plain answer passes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Foretelling {
    pub way: &'static str,
    /// The probability that of a problem that passed and one that did not it ranks the first higher; 0.5 is a guess.
    pub auc: f64,
    /// Half of the 95 % interval (Hanley and McNeil 1982).
    pub error: f64,
    pub passed: usize,
    pub failed: usize,
}

/// Every way that the records hold, against the outcome of `arm`.
pub fn foretellings(records: &[Record], arm: Arm) -> Vec<Foretelling> {
    let outcome: HashMap<&str, bool> = records
        .iter()
        .filter(|record| record.arm == arm.to_string() && record.counts())
        .map(|record| (record.task_id.as_str(), record.passed()))
        .collect();
    let by = |way: &'static str, score: &dyn Fn(&Record) -> Option<f64>| {
        let scored: Vec<(f64, bool)> = records
            .iter()
            .filter_map(|record| Some((score(record)?, *outcome.get(record.task_id.as_str())?)))
            .collect();
        foretelling(way, &scored)
    };
    let told =
        |pick: fn(&Difficulty) -> [f32; 3]| move |record: &Record| record.difficulty.as_ref().map(pick).map(ease);
    let drafts = |record: &Record| {
        let [first, second, ..] = record.answers.as_slice() else { return None };
        Some(f64::from(u8::from(first.key.is_some() && first.key == second.key)))
    };
    let majority = |record: &Record| {
        let keys: Vec<&String> = record.answers.iter().filter_map(|answer| answer.key.as_ref()).collect();
        let most = keys.iter().map(|key| keys.iter().filter(|other| *other == key).count()).max().unwrap_or(0);
        (record.answers.len() > 2).then(|| most as f64 / record.answers.len() as f64)
    };
    [
        by("the task's words", &told(|told| told.words)),
        by("the model, asked", &told(|told| told.asked)),
        by("both", &told(|told| told.both)),
        by("two drafts behave alike", &drafts),
        by("the share of drafts that behave alike", &majority),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One number out of three: the larger the easier.
fn ease([simple, moderate, _]: [f32; 3]) -> f64 {
    f64::from(simple) + f64::from(moderate) / 2.0
}

fn foretelling(way: &'static str, scored: &[(f64, bool)]) -> Option<Foretelling> {
    let of = |wanted: bool| scored.iter().filter(move |(_, passed)| *passed == wanted).map(|(score, _)| *score);
    let (passed, failed): (Vec<f64>, Vec<f64>) = (of(true).collect(), of(false).collect());
    if passed.is_empty() || failed.is_empty() {
        return None;
    }
    let mut won = 0.0;
    for right in &passed {
        for wrong in &failed {
            won += if right > wrong { 1.0 } else { 0.5 * f64::from(u8::from(right >= wrong)) };
        }
    }
    let (n, m) = (passed.len() as f64, failed.len() as f64);
    let auc = won / (n * m);
    let square = auc * auc;
    let spread = (n - 1.0) * (auc / (2.0 - auc) - square) + (m - 1.0) * (2.0 * square / (1.0 + auc) - square);
    let error = 1.96 * ((auc * (1.0 - auc) + spread) / (n * m)).max(0.0).sqrt();
    Some(Foretelling { way, auc, error, passed: passed.len(), failed: failed.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_is_worth_what_it_tells_apart() {
        let auc = |scored: &[(f64, bool)]| foretelling("w", scored).map(|found| found.auc);
        assert_eq!(auc(&[(0.9, true), (0.8, true), (0.2, false)]), Some(1.0));
        assert_eq!(auc(&[(0.1, true), (0.2, false)]), Some(0.0));
        assert_eq!(auc(&[(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auc(&[(0.9, true), (0.3, false), (0.5, true), (0.7, false)]), Some(0.75));
        assert_eq!(auc(&[(0.9, true)]), None);
        let few = foretelling("w", &[(0.9, true), (0.3, false), (0.5, true), (0.7, false)]).unwrap();
        let many: Vec<_> = [(0.9, true), (0.3, false), (0.5, true), (0.7, false)].repeat(50);
        assert!(foretelling("w", &many).unwrap().error < few.error / 4.0);
        assert!(ease([1.0, 0.0, 0.0]) > ease([0.0, 1.0, 0.0]) && ease([0.0, 1.0, 0.0]) > ease([0.0, 0.0, 1.0]));
    }
}
