//! Many programs against many problems: pairing them, judging them side by side, one record for each. Records say
//! which walls stood, and records of different tiers are not mixed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};

use crate::cancel::Cancel;
use crate::sandbox::Sandbox;
use crate::task::{Candidate, Failure, Tier, Trajectory, Verdict};

use super::{Gold, Problem, Program, RowError, imports, values};
use crate::verify::{VerifyOptions, verify};

/// Verdicts on their way to the writer.
const RECORDS_MAX: usize = 256;

/// One line of output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub task_id: String,
    #[serde(default)]
    pub sample: u32,
    pub verdict: Word,
    #[serde(default)]
    pub passed: u32,
    #[serde(default)]
    pub failed: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    #[serde(default)]
    pub wall_ms: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// The verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Passed,
    Failed,
    NothingToCheck,
    SandboxFailed,
    /// The problem's or the program's row could not be used.
    BadRow,
}

impl Record {
    fn blank(task_id: String, sample: u32, verdict: Word) -> Self {
        Self {
            task_id,
            sample,
            verdict,
            passed: 0,
            failed: 0,
            tier: None,
            wall_ms: 0,
            command: String::new(),
            why: String::new(),
            failures: Vec::new(),
            flags: Vec::new(),
        }
    }

    fn bad(task_id: String, sample: u32, why: String) -> Self {
        Self { why, ..Self::blank(task_id, sample, Word::BadRow) }
    }

    /// The record of a verdict.
    pub fn new(task_id: String, sample: u32, verdict: Verdict) -> Self {
        let (word, report) = match verdict {
            Verdict::Passed(report) => (Word::Passed, report),
            Verdict::Failed(report) => (Word::Failed, report),
            Verdict::NothingToCheck { why } => {
                return Self { why, ..Self::blank(task_id, sample, Word::NothingToCheck) };
            }
            Verdict::SandboxFailed { step, why } => {
                let why = format!("{step}: {why}");
                return Self { why, ..Self::blank(task_id, sample, Word::SandboxFailed) };
            }
        };
        Self {
            passed: report.passed,
            failed: report.failed,
            tier: Some(report.tier),
            wall_ms: report.wall_ms,
            command: report.command,
            failures: report.failures,
            flags: report.flags,
            ..Self::blank(task_id, sample, word)
        }
    }
}

/// One thing to do, or what stands in its way.
#[derive(Clone, Debug)]
pub enum Item {
    Judge { problem: Arc<Problem>, sample: u32, candidate: Candidate },
    Known(Box<Record>),
}

impl Item {
    /// Problem and sample, which name a record.
    pub fn key(&self) -> (String, u32) {
        match self {
            Self::Judge { problem, sample, .. } => (problem.id.clone(), *sample),
            Self::Known(record) => (record.task_id.clone(), record.sample),
        }
    }
}

type Read<T> = Vec<Result<T, RowError>>;

/// Puts programs beside their problems: by id, or in order where the programs name none.
pub fn pair(problems: Read<Problem>, programs: Read<Program>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut by_id = HashMap::new();
    let mut in_order = Vec::new();
    for problem in problems {
        match problem {
            Ok(problem) => {
                let problem = Arc::new(problem);
                by_id.insert(problem.id.clone(), Arc::clone(&problem));
                in_order.push(problem);
            }
            Err(error) => items.push(bad(error)),
        }
    }
    for (index, program) in programs.into_iter().enumerate() {
        let program = match program {
            Ok(program) => program,
            Err(error) => {
                items.push(bad(error));
                continue;
            }
        };
        let found = if program.id.is_empty() { in_order.get(index).cloned() } else { by_id.get(&program.id).cloned() };
        items.push(match found {
            Some(problem) => {
                let sample = if program.id.is_empty() { 0 } else { program.sample };
                let (problem, candidate) = put(problem, &program.completion);
                Item::Judge { problem, sample, candidate }
            }
            None => {
                let why = format!("no problem is called `{}`", program.id);
                Item::Known(Box::new(Record::bad(program.id, program.sample, why)))
            }
        });
    }
    items
}

/// The suite's own solutions as programs: `buggy` ones or the canonical ones.
pub fn own_solutions(problems: Read<Problem>, buggy: bool) -> Vec<Item> {
    let item = |problem: Result<Problem, RowError>| match problem {
        Err(error) => bad(error),
        Ok(problem) => {
            let solution = if buggy { problem.buggy.clone() } else { problem.canonical.clone() };
            match solution {
                Some(solution) => {
                    Item::Judge { candidate: problem.program(&solution), problem: Arc::new(problem), sample: 0 }
                }
                None => {
                    let kind = if buggy { "buggy" } else { "canonical" };
                    Item::Known(Box::new(Record::bad(problem.id, 0, format!("the row has no {kind} solution"))))
                }
            }
        }
    };
    problems.into_iter().map(item).collect()
}

fn bad(error: RowError) -> Item {
    Item::Known(Box::new(Record::bad(error.id, 0, error.why)))
}

/// A completion and what it is judged by: a value stands in for what the row's program returns, an input calls it.
fn put(problem: Arc<Problem>, completion: &str) -> (Arc<Problem>, Candidate) {
    let is_program = completion.contains("def f(");
    let value = match problem.gold {
        Gold::Output if !is_program => values::output_of(completion).or_else(|| values::alone(completion)),
        _ => None,
    };
    if let Some(value) = value {
        return (problem, values::returning(&value));
    }
    if problem.gold == Gold::Input
        && let Some(input) = values::input_of(completion).or_else(|| values::alone(completion))
        && let Some((problem, candidate)) = values::called_with(&problem, &input)
    {
        return (Arc::new(problem), candidate);
    }
    let candidate = candidate(&problem, completion);
    (problem, candidate)
}

/// A completion as a program; a whole reply with fences is read as the agent reads one.
fn candidate(problem: &Problem, completion: &str) -> Candidate {
    if !completion.contains("```") && !completion.contains("~~~") {
        return problem.program(completion);
    }
    problem.read(&Trajectory::ended(completion)).unwrap_or_else(|_| problem.program(completion))
}

/// Judges every item, at most `jobs` at once, and hands each record on in the items' order. Ends early where the
/// receiver is gone or the user cancels.
pub async fn judge_all(
    items: Vec<Item>,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    jobs: usize,
    cancel: &Cancel,
    mut each: impl FnMut(Record) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let (sender, mut receiver) = mpsc::channel::<(usize, Record)>(RECORDS_MAX);
    let places = Arc::new(Semaphore::new(jobs.max(1)));
    let (sandbox, options, cancel_all) = (sandbox.clone(), options.clone(), cancel.clone());
    let feeding = tokio::spawn(async move {
        for (index, item) in items.into_iter().enumerate() {
            let place = Arc::clone(&places).acquire_owned().await.expect("invariant: the semaphore is never closed");
            if cancel_all.is_cancelled() || sender.is_closed() {
                return;
            }
            let (sandbox, options) = (sandbox.clone(), options.clone());
            let (sender, cancel) = (sender.clone(), cancel_all.clone());
            tokio::spawn(async move {
                let record = judge(item, &sandbox, &options, &cancel).await;
                if !cancel.is_cancelled() {
                    // A receiver that is gone wants no more records.
                    let _ = sender.send((index, record)).await;
                }
                drop(place);
            });
        }
    });
    let mut waiting = HashMap::new();
    let mut next = 0;
    while let Some((index, record)) = receiver.recv().await {
        waiting.insert(index, record);
        while let Some(record) = waiting.remove(&next) {
            each(record)?;
            next += 1;
        }
    }
    feeding.abort();
    Ok(())
}

async fn judge(item: Item, sandbox: &Sandbox, base: &VerifyOptions, cancel: &Cancel) -> Record {
    match item {
        Item::Known(record) => *record,
        Item::Judge { problem, sample, candidate } => {
            if let Some(why) = imports::hindrance(&problem) {
                return Record::new(problem.id.clone(), sample, Verdict::NothingToCheck { why });
            }
            let options = problem.options(base);
            let mut verdict = verify(&candidate, &problem.checks, sandbox, &options, cancel).await;
            if matches!(verdict, Verdict::SandboxFailed { .. }) && !cancel.is_cancelled() {
                // Once more: a machine that was full for a moment is no finding about the program.
                verdict = verify(&candidate, &problem.checks, sandbox, &options, cancel).await;
            }
            Record::new(problem.id.clone(), sample, verdict)
        }
    }
}

/// Records that an earlier run left: those that need not be made again, and the tier they were made in.
///
/// A last line that was cut off is left out. Records of walls that failed are made again.
pub fn already_judged(text: &str) -> (Vec<Record>, HashSet<Tier>) {
    let records: Vec<Record> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let kept: Vec<Record> = records.into_iter().filter(|record| record.verdict != Word::SandboxFailed).collect();
    let tiers = kept.iter().filter_map(|record| record.tier).collect();
    (kept, tiers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::suites::{Suite, read_problems, read_programs};

    fn write(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("the file can be written");
        file
    }

    fn keys(problems: &str, programs: &str) -> Vec<(String, u32, Option<String>)> {
        let (problems, programs) = (write(problems), write(programs));
        let problems = read_problems(problems.path(), Suite::Auto).expect("a readable file");
        let programs = read_programs(programs.path()).expect("a readable file");
        let describe = |item: Item| {
            let (id, sample) = item.key();
            let why = match item {
                Item::Known(record) => Some(record.why),
                Item::Judge { .. } => None,
            };
            (id, sample, why)
        };
        pair(problems, programs).into_iter().map(describe).collect()
    }

    const PROBLEMS: &str =
        "{\"id\":\"a\",\"input\":\"1\",\"output\":\"2\"}\n{\"id\":\"b\",\"input\":\"1\",\"output\":\"2\"}\n";

    #[test]
    fn programs_find_their_problems_by_id_or_in_order() {
        let by_id = "{\"id\":\"b\",\"code\":\"x\"}\n{\"id\":\"b\",\"code\":\"y\"}\n{\"id\":\"c\",\"code\":\"z\"}\n";
        assert_eq!(
            keys(PROBLEMS, by_id),
            [
                ("b".to_owned(), 0, None),
                ("b".to_owned(), 1, None),
                ("c".to_owned(), 0, Some("no problem is called `c`".to_owned())),
            ]
        );
        let in_order = "{\"code\":\"x\"}\n{\"code\":\"y\"}\n";
        assert_eq!(keys(PROBLEMS, in_order), [("a".to_owned(), 0, None), ("b".to_owned(), 0, None)]);
    }

    #[test]
    fn what_was_judged_is_not_judged_again() {
        let line = |id: &str, word: &str| format!("{{\"task_id\":\"{id}\",\"verdict\":\"{word}\",\"tier\":\"F\"}}\n");
        let text = format!("{}{}{{\"task_id\":\"c\",\"ver", line("a", "passed"), line("b", "sandbox_failed"));
        let (records, tiers) = already_judged(&text);
        assert_eq!(records.iter().map(|record| record.task_id.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(tiers, HashSet::from([Tier::F]));
    }
}
