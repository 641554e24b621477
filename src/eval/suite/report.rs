//! What the records of a run come to: shares with intervals, tokens, exact tests between arms, replies that could not be
//! read. As data, as Markdown and as a plot.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::arm::Arm;
use super::compare::{Pair, pairs};
use super::record::{Outcome, Record};
use super::store::Identity;
use crate::eval::curve::{Point, svg};
use crate::eval::gym::Share;
use crate::eval::stats::wilson;
use crate::task::Status;

/// Unreadable replies shown.
const EXAMPLES_MAX: usize = 5;
/// Characters of each.
const EXAMPLE_CHARS_MAX: usize = 300;
/// Reasons shown why something was not judged, and rows that could not be used.
const REASONS_MAX: usize = 12;

/// A share with the interval that the number of trials allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    pub passed: f64,
    pub of: u32,
    pub rate: f64,
    pub low: f64,
    pub high: f64,
}

impl Rate {
    fn of(passed: u32, of: u32) -> Self {
        let (low, high) = wilson(passed, of);
        Self { passed: f64::from(passed), of, rate: f64::from(passed) / f64::from(of.max(1)), low, high }
    }
}

/// Several samples of each problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    pub k: u32,
    /// The mean over all samples: pass@1.
    pub pass_at_1: f64,
    pub pass_at_k: f64,
    /// The answer that most others behave like.
    pub majority: Rate,
    /// The first answer that passes the visible tests; over the problems that show any.
    pub best: Rate,
}

/// What the agent said of its answers, and how often it was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub verified: u32,
    pub verified_passed: u32,
    pub unverified: u32,
    pub unverified_passed: u32,
    /// Failed, or given up.
    pub failed: u32,
    pub failed_passed: u32,
}

/// One arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmSummary {
    pub arm: String,
    pub tests_seen: String,
    pub solved: Rate,
    pub unreadable: u32,
    pub too_long: u32,
    /// In no share: no judge could say.
    pub not_judged: u32,
    pub not_judged_why: BTreeMap<String, u32>,
    /// Means over the problems, of all answers together.
    pub thinking_tokens: f64,
    pub thought_tokens: f64,
    pub generated_tokens: f64,
    pub shifted: u32,
    pub tokens: u64,
    pub decoded_tokens: u64,
    pub seconds: f64,
    pub groups: BTreeMap<String, Rate>,
    pub samples: Option<Samples>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
}

/// A reply that z1 found no answer in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Example {
    pub task_id: String,
    pub arm: String,
    pub why: String,
    pub text: String,
}

/// The whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub suite: String,
    pub identity: Identity,
    pub arms: Vec<ArmSummary>,
    pub pairs: Vec<Pair>,
    pub unreadable: Vec<Example>,
    pub bad_rows: Vec<String>,
    /// What the words were, by their hash.
    pub words: BTreeMap<String, String>,
}

impl Report {
    pub fn of(suite: &str, identity: &Identity, records: &[Record], bad_rows: &[String]) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for record in records.iter().filter(|record| record.difficulty.is_none()) {
            if !names.contains(&record.arm.as_str()) {
                names.push(&record.arm);
            }
        }
        let by_arm = |name: &str| records.iter().filter(|record| record.arm == name).collect::<Vec<_>>();
        Self {
            suite: suite.to_owned(),
            identity: identity.clone(),
            arms: names.iter().map(|name| summary(name, &by_arm(name))).collect(),
            pairs: pairs(records),
            unreadable: examples(records),
            bad_rows: bad_rows.to_vec(),
            words: records.iter().map(|record| (record.words.clone(), record.words_sha256.clone())).collect(),
        }
    }

    /// Accuracy over average thinking tokens, a line for each kind of arm.
    pub fn svg(&self) -> String {
        let point = |arm: &ArmSummary| {
            let kind = Arm::from_name(&arm.arm);
            let share = Share { passed: arm.solved.passed as u32, of: arm.solved.of };
            Point {
                model: kind.map_or_else(|| arm.arm.clone(), |kind| kind.family().to_owned()),
                window: match kind {
                    Some(Arm::Window(tokens) | Arm::Force(tokens)) => Some(tokens),
                    _ => None,
                },
                all: share,
                hard: Share::default(),
                att: arm.thinking_tokens,
                thought: arm.thought_tokens,
                generated: arm.generated_tokens,
            }
        };
        let mut points: Vec<Point> = self.arms.iter().map(point).collect();
        // A window's line ends where nothing is cut.
        if points.iter().any(|point| point.model == "window") {
            let free = points.iter().filter(|point| point.model == "chat").cloned().collect::<Vec<_>>();
            points.extend(free.into_iter().map(|point| Point { model: "window".to_owned(), ..point }));
        }
        svg(&points)
    }

    /// The report for people.
    pub fn markdown(&self) -> String {
        let identity = &self.identity;
        let mut text = format!("# {} · {}\n\n", self.suite, identity.model_name);
        let _ = writeln!(
            text,
            "Model `{}`{}; words `{}`; hint {:?}; at most {} tokens an answer; seed {}; samples at temperature {}.\n",
            identity.model,
            identity.adapter.as_ref().map_or_else(String::new, |adapter| format!(" with adapter `{adapter}`")),
            identity.words,
            identity.hint,
            identity.tokens_max,
            identity.seed,
            identity.temperature
        );
        text.push_str(
            "| arm | solved | of | % | 95 % | unreadable | too long | not judged | thinking | thought | generated | shifted | tests seen |\n\
             |---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---|\n",
        );
        for arm in &self.arms {
            // Of nothing there is no share.
            let share = if arm.solved.of == 0 {
                "– | –".to_owned()
            } else {
                let percent = |share: f64| 100.0 * share;
                let (low, high) = (percent(arm.solved.low), percent(arm.solved.high));
                format!("{:.1} | {low:.1} to {high:.1}", percent(arm.solved.rate))
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {share} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {} | {} |",
                arm.arm,
                arm.solved.passed,
                arm.solved.of,
                arm.unreadable,
                arm.too_long,
                arm.not_judged,
                arm.thinking_tokens,
                arm.thought_tokens,
                arm.generated_tokens,
                arm.shifted,
                arm.tests_seen
            );
        }
        text.push_str(
            "\nThinking: tokens before a shift (all of them where the model ended by itself), generated: every token; means \
             over problems. Hidden tests judge and no arm sees them.\n",
        );
        self.tell_samples(&mut text);
        self.tell_claims(&mut text);
        self.tell_groups(&mut text);
        self.tell_pairs(&mut text);
        self.tell_oddities(&mut text);
        text
    }

    fn tell_samples(&self, text: &mut String) {
        for (arm, samples) in self.arms.iter().filter_map(|arm| Some((&arm.arm, arm.samples?))) {
            let _ = writeln!(
                text,
                "\n{arm}: pass@1 {:.1} %, pass@{} {:.1} %, majority by behaviour {:.1} % of {}, best of {} by visible tests {:.1} % of {} \
                 that show any.",
                100.0 * samples.pass_at_1,
                samples.k,
                100.0 * samples.pass_at_k,
                100.0 * samples.majority.rate,
                samples.majority.of,
                samples.k,
                100.0 * samples.best.rate,
                samples.best.of
            );
        }
    }

    fn tell_claims(&self, text: &mut String) {
        for (arm, claims) in self.arms.iter().filter_map(|arm| Some((&arm.arm, arm.claims?))) {
            let _ = writeln!(
                text,
                "\n{arm} said of its own answers: verified {}, of which {} pass the hidden tests; unverified {}, {}; failed {}, {}.",
                claims.verified,
                claims.verified_passed,
                claims.unverified,
                claims.unverified_passed,
                claims.failed,
                claims.failed_passed
            );
        }
    }

    fn tell_groups(&self, text: &mut String) {
        let mut groups: Vec<&String> = self.arms.iter().flat_map(|arm| arm.groups.keys()).collect();
        groups.sort();
        groups.dedup();
        if groups.is_empty() {
            return;
        }
        let heads: Vec<&str> = self.arms.iter().map(|arm| arm.arm.as_str()).collect();
        let _ = writeln!(text, "\n| group | {} |\n|---|{}", heads.join(" | "), "---:|".repeat(heads.len()));
        for group in groups {
            let cell = |arm: &ArmSummary| {
                arm.groups.get(group).map_or_else(String::new, |rate| {
                    format!("{} of {} ({:.0} %)", rate.passed, rate.of, 100.0 * rate.rate)
                })
            };
            let cells: Vec<String> = self.arms.iter().map(cell).collect();
            let _ = writeln!(text, "| {group} | {} |", cells.join(" | "));
        }
    }

    fn tell_pairs(&self, text: &mut String) {
        if self.pairs.is_empty() {
            return;
        }
        text.push_str(
            "\n| arms | common | only the first | only the second | McNemar's exact p |\n|---|---:|---:|---:|---:|\n",
        );
        for pair in &self.pairs {
            let _ = writeln!(
                text,
                "| {} against {} | {} | {} | {} | {:.4} |",
                pair.first, pair.second, pair.common, pair.first_only, pair.second_only, pair.p
            );
        }
    }

    fn tell_oddities(&self, text: &mut String) {
        let mut reasons: BTreeMap<&String, u32> = BTreeMap::new();
        for (why, count) in self.arms.iter().flat_map(|arm| &arm.not_judged_why) {
            *reasons.entry(why).or_default() += count;
        }
        if !reasons.is_empty() {
            text.push_str("\nNot judged, and in no share:\n\n");
            let mut sorted: Vec<_> = reasons.into_iter().collect();
            sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            for (why, count) in sorted.iter().take(REASONS_MAX) {
                let _ = writeln!(text, "* {count} × {why}");
            }
            if sorted.len() > REASONS_MAX {
                let _ = writeln!(text, "* and {} other reasons", sorted.len() - REASONS_MAX);
            }
        }
        if !self.bad_rows.is_empty() {
            let _ = writeln!(text, "\nRows that could not be used ({}):\n", self.bad_rows.len());
            for row in self.bad_rows.iter().take(REASONS_MAX) {
                let _ = writeln!(text, "* {row}");
            }
        }
        if !self.unreadable.is_empty() {
            text.push_str("\nReplies without a readable answer, for example:\n");
            for example in &self.unreadable {
                let shown = example.text.replace('\n', "\n    ");
                let _ = writeln!(text, "\n* {} ({}): {}\n\n    {shown}", example.task_id, example.arm, example.why);
            }
        }
    }
}

fn summary(name: &str, records: &[&Record]) -> ArmSummary {
    let counted: Vec<&&Record> = records.iter().filter(|record| record.counts()).collect();
    let of = counted.len() as u32;
    let count = |outcome: Outcome| records.iter().filter(|record| record.outcome == outcome).count() as u32;
    let mean = |value: fn(&Record) -> u32| {
        counted.iter().map(|record| f64::from(value(record))).sum::<f64>() / counted.len().max(1) as f64
    };
    let mut groups: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for record in &counted {
        if let Some(group) = &record.group {
            let cell = groups.entry(group.clone()).or_default();
            cell.0 += u32::from(record.passed());
            cell.1 += 1;
        }
    }
    let mut why: BTreeMap<String, u32> = BTreeMap::new();
    for record in records.iter().filter(|record| !record.counts()) {
        *why.entry(record.why.clone()).or_default() += 1;
    }
    ArmSummary {
        arm: name.to_owned(),
        tests_seen: Arm::from_name(name).map_or("", Arm::tests_seen).to_owned(),
        solved: Rate::of(count(Outcome::Passed), of),
        unreadable: count(Outcome::Unreadable),
        too_long: count(Outcome::TooLong),
        not_judged: count(Outcome::NotJudged),
        not_judged_why: why,
        thinking_tokens: mean(|record| record.usage.thinking_tokens),
        thought_tokens: mean(|record| record.thought_tokens),
        generated_tokens: mean(|record| record.usage.generated_tokens()),
        shifted: counted.iter().filter(|record| record.shifted).count() as u32,
        tokens: counted.iter().map(|record| u64::from(record.usage.generated_tokens())).sum(),
        decoded_tokens: counted.iter().map(|record| u64::from(record.decoded_tokens)).sum(),
        seconds: counted.iter().map(|record| record.seconds).sum(),
        groups: groups.into_iter().map(|(group, (passed, of))| (group, Rate::of(passed, of))).collect(),
        samples: match Arm::from_name(name) {
            Some(Arm::Samples(k)) => Some(samples(k, &counted)),
            _ => None,
        },
        claims: claims(&counted),
    }
}

fn claims(records: &[&&Record]) -> Option<Claims> {
    let said: Vec<(Status, bool)> =
        records.iter().filter_map(|record| Some((record.claim.as_ref()?.status, record.passed()))).collect();
    let count = |of: &dyn Fn(Status) -> bool, passed: bool| {
        said.iter().filter(|&&(status, right)| of(status) && (right || !passed)).count() as u32
    };
    let verified = |status| status == Status::Verified;
    let unverified = |status| status == Status::Unverified;
    let failed = |status| !verified(status) && !unverified(status);
    (!said.is_empty()).then(|| Claims {
        verified: count(&verified, false),
        verified_passed: count(&verified, true),
        unverified: count(&unverified, false),
        unverified_passed: count(&unverified, true),
        failed: count(&failed, false),
        failed_passed: count(&failed, true),
    })
}

fn samples(k: u32, records: &[&&Record]) -> Samples {
    let problems = records.len().max(1) as f64;
    let at = |j: u32| {
        records.iter().map(|record| pass_at(j, record.answers.len() as u32, record.passes())).sum::<f64>() / problems
    };
    let chosen = |pick: fn(&Record) -> Option<u32>| {
        let picked: Vec<bool> = records
            .iter()
            .filter_map(|record| Some(record.answers.get(pick(record)? as usize)?.outcome == Outcome::Passed))
            .collect();
        Rate::of(picked.iter().filter(|passed| **passed).count() as u32, picked.len() as u32)
    };
    Samples {
        k,
        pass_at_1: at(1),
        pass_at_k: at(k),
        majority: chosen(|record| record.majority),
        best: chosen(|record| record.best),
    }
}

/// The unbiased estimate of pass@k from `n` samples of which `c` passed (arXiv 2107.03374).
pub fn pass_at(k: u32, n: u32, c: u32) -> f64 {
    if n == 0 {
        return 0.0;
    }
    let k = k.min(n);
    if n - c < k {
        return 1.0;
    }
    1.0 - ((n - c + 1)..=n).map(|i| 1.0 - f64::from(k) / f64::from(i)).product::<f64>()
}

fn examples(records: &[Record]) -> Vec<Example> {
    let unreadable = records.iter().filter(|record| record.outcome == Outcome::Unreadable);
    let example = |record: &Record| {
        let text = &record.completion;
        let count = text.chars().count();
        let text = if count <= EXAMPLE_CHARS_MAX {
            text.clone()
        } else {
            format!("…{}", text.chars().skip(count - EXAMPLE_CHARS_MAX).collect::<String>())
        };
        Example { task_id: record.task_id.clone(), arm: record.arm.clone(), why: record.why.clone(), text }
    };
    unreadable.take(EXAMPLES_MAX).map(example).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pass_at_k_is_the_unbiased_estimate() {
        assert!((pass_at(1, 10, 3) - 0.3).abs() < 1e-12);
        // 1 - C(7,5)/C(10,5) = 1 - 21/252.
        assert!((pass_at(5, 10, 3) - (1.0 - 21.0 / 252.0)).abs() < 1e-12);
        assert!((pass_at(8, 10, 3) - 1.0).abs() < 1e-12);
        assert!(pass_at(4, 10, 0).abs() < 1e-12 && pass_at(4, 0, 0).abs() < 1e-12);
    }
}
