//! `metrics.jsonl`: one line a step, and lines for evaluations.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// One optimiser step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Steps done, this one included.
    pub step: u64,
    /// Mean loss of the learnt tokens of this step (nats a token).
    pub loss: f64,
    pub lr: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Tokens of this step, and those learnt.
    pub tokens: u64,
    pub learnt_tokens: u64,
    pub tokens_seen: u64,
    pub tokens_per_second: f64,
    /// Passes over the data done, in epochs.
    pub epoch: f64,
    pub seconds: f64,
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalRecord {
    pub step: u64,
    /// Mean loss of the held-out tokens (nats a token).
    pub held_out_loss: Option<f64>,
    /// Share of sampled problems solved, where a probe is set.
    pub pass_at_1: Option<f64>,
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Record {
    Step(StepRecord),
    Eval(EvalRecord),
}

impl Record {
    const fn step(&self) -> u64 {
        match self {
            Self::Step(record) => record.step,
            Self::Eval(record) => record.step,
        }
    }
}

/// The open file.
#[derive(Debug)]
pub struct Metrics {
    file: File,
    path: PathBuf,
}

/// Reads all records; a half-written last line (of a killed run) is passed over.
///
/// # Errors
/// Where the file cannot be read.
pub fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

impl Metrics {
    /// Opens the file for a run that stands at `step`: records of later steps, which a killed run left, go.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn open(path: &Path, step: u64) -> anyhow::Result<Self> {
        let kept: Vec<Record> = if path.exists() { read(path)? } else { Vec::new() };
        let mut text = String::new();
        for record in kept.iter().filter(|record| record.step() <= step) {
            text.push_str(&serde_json::to_string(record)?);
            text.push('\n');
        }
        crate::sft::tensor_file::replace_file(path, text.len() as u64, |file| file.write_all(text.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self { file: file.with_context(|| format!("cannot write {}", path.display()))?, path: path.to_owned() })
    }

    /// Appends one record.
    ///
    /// # Errors
    /// Where the disk is full.
    pub fn append(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_takes_back_what_it_will_do_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let eval = |step| Record::Eval(EvalRecord { step, held_out_loss: Some(1.0), pass_at_1: None });
        let mut metrics = Metrics::open(&path, 0).unwrap();
        for step in 1..=5 {
            metrics.append(&eval(step)).unwrap();
        }
        metrics.file.write_all(b"{\"step\": 6, \"lo").unwrap();
        drop(Metrics::open(&path, 3).unwrap());
        assert_eq!(read(&path).unwrap(), [eval(1), eval(2), eval(3)]);
    }
}
