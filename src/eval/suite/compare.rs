//! Two sets of records on the same problems, by the exact test.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::eval::stats::mcnemar;

/// Two arms on the problems that both have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    pub first: String,
    pub second: String,
    pub common: u32,
    /// Solved by the first, and by the second.
    pub first_passed: u32,
    pub second_passed: u32,
    pub first_only: u32,
    pub second_only: u32,
    /// McNemar's exact two-sided p.
    pub p: f64,
    /// Means on the common problems.
    pub first_tokens: f64,
    pub second_tokens: f64,
}

/// Every two arms of one run.
pub fn pairs(records: &[Record]) -> Vec<Pair> {
    let mut names: Vec<&str> = Vec::new();
    for record in records {
        if !names.contains(&record.arm.as_str()) {
            names.push(&record.arm);
        }
    }
    let by = |name: &str| records.iter().filter(|record| record.arm == name).collect::<Vec<_>>();
    let mut found = Vec::new();
    for (at, first) in names.iter().enumerate() {
        for second in &names[at + 1..] {
            found.extend(pair((*first, &by(first)), (*second, &by(second))));
        }
    }
    found
}

/// Every arm that both runs have; where each has one arm only, these two.
pub fn runs(first: &[Record], second: &[Record]) -> Vec<Pair> {
    fn arms(records: &[Record]) -> BTreeMap<&str, Vec<&Record>> {
        let mut by_arm: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in records {
            by_arm.entry(&record.arm).or_default().push(record);
        }
        by_arm
    }
    let (mine, theirs) = (arms(first), arms(second));
    if mine.len() == 1 && theirs.len() == 1 {
        return mine.iter().zip(&theirs).filter_map(|((a, x), (b, y))| pair((*a, x), (*b, y))).collect();
    }
    mine.iter().filter_map(|(arm, x)| pair((*arm, x), (*arm, theirs.get(arm)?))).collect()
}

fn pair((first, mine): (&str, &Vec<&Record>), (second, theirs): (&str, &Vec<&Record>)) -> Option<Pair> {
    let by_id: HashMap<&str, &Record> =
        theirs.iter().filter(|record| record.counts()).map(|record| (record.task_id.as_str(), *record)).collect();
    let common: Vec<(&Record, &Record)> = mine
        .iter()
        .filter(|record| record.counts())
        .filter_map(|record| Some((*record, *by_id.get(record.task_id.as_str())?)))
        .collect();
    if common.is_empty() {
        return None;
    }
    let test = mcnemar(common.iter().map(|(a, b)| (a.passed(), b.passed())));
    let tokens = |of: fn(&(&Record, &Record)) -> u32| {
        common.iter().map(|both| f64::from(of(both))).sum::<f64>() / common.len() as f64
    };
    Some(Pair {
        first: first.to_owned(),
        second: second.to_owned(),
        common: common.len() as u32,
        first_passed: common.iter().filter(|(a, _)| a.passed()).count() as u32,
        second_passed: common.iter().filter(|(_, b)| b.passed()).count() as u32,
        first_only: test.first_only,
        second_only: test.second_only,
        p: test.p,
        first_tokens: tokens(|(a, _)| a.usage.generated_tokens()),
        second_tokens: tokens(|(_, b)| b.usage.generated_tokens()),
    })
}
