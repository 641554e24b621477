//! Two sets of records on the same problems, by the exact test.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::eval::stats::mcnemar;

/// Two arms on the problems that both have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    pub first: String,
    pub second: String,
    pub common: u32,
    /// Of these, problems that the two judged by other tests.
    #[serde(default)]
    pub other_tests: u32,
    /// Problems that are called the same in both and are others; they are left out.
    #[serde(default)]
    pub others: u32,
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

/// Why two runs are not to be compared: under the same names they hold other problems.
///
/// A few that differ (a suite's later edition) are left out by [`runs`]; where it is half of them it is another suite.
pub fn strangers(first: &[Record], second: &[Record]) -> Option<String> {
    let theirs: HashMap<&str, &Record> = second.iter().map(|record| (record.task_id.as_str(), record)).collect();
    let common: Vec<(&Record, &Record)> =
        first.iter().filter_map(|record| Some((record, *theirs.get(record.task_id.as_str())?))).collect();
    let suites = |records: &[Record]| records.iter().map(|record| record.suite.clone()).collect::<BTreeSet<_>>();
    let (mine, others) = (suites(first), suites(second));
    if common.is_empty() && !mine.is_empty() && !others.is_empty() && mine.is_disjoint(&others) {
        let names = |suites: BTreeSet<String>| suites.into_iter().collect::<Vec<_>>().join(", ");
        return Some(format!("the two are about different problems: {} and {}", names(mine), names(others)));
    }
    let others: Vec<&(&Record, &Record)> = common.iter().filter(|(a, b)| !same_problem(a, b)).collect();
    let (a, b) = others.first().filter(|_| 2 * others.len() > common.len())?;
    let suites =
        if a.suite == b.suite { format!("of {}", a.suite) } else { format!("of {} and of {}", a.suite, b.suite) };
    Some(format!("the two are about different problems: `{}` {suites} is not the same", a.task_id))
}

/// Whether two records of one name are about one problem. Of records from before questions were kept, the rendered
/// prompt tells it, where the same words asked the same model by the same arm.
fn same_problem(a: &Record, b: &Record) -> bool {
    if a.suite != b.suite {
        return false;
    }
    if !a.question_sha256.is_empty() && !b.question_sha256.is_empty() {
        return a.question_sha256 == b.question_sha256;
    }
    let alike = a.arm == b.arm && a.model == b.model && a.words_sha256 == b.words_sha256 && a.seed == b.seed;
    !alike || a.prompt_sha256.is_empty() || b.prompt_sha256.is_empty() || a.prompt_sha256 == b.prompt_sha256
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
    let found = common.len();
    let common: Vec<(&Record, &Record)> = common.into_iter().filter(|(a, b)| same_problem(a, b)).collect();
    let by_others = |(a, b): &&(&Record, &Record)| {
        !a.tests_sha256.is_empty() && !b.tests_sha256.is_empty() && a.tests_sha256 != b.tests_sha256
    };
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
        other_tests: common.iter().filter(by_others).count() as u32,
        others: (found - common.len()) as u32,
        first_passed: common.iter().filter(|(a, _)| a.passed()).count() as u32,
        second_passed: common.iter().filter(|(_, b)| b.passed()).count() as u32,
        first_only: test.first_only,
        second_only: test.second_only,
        p: test.p,
        first_tokens: tokens(|(a, _)| a.usage.generated_tokens()),
        second_tokens: tokens(|(_, b)| b.usage.generated_tokens()),
    })
}
