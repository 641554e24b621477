//! One problem's record and the report over many: pass@1 by family and level, thinking tokens, and how
//! far the thinking was right, by skill.
//!
//! Not for: generating or running anything.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::stats::wilson;
use crate::gym::row::Row;
use crate::gym::trace::{self, Faith, Tally};
use crate::task::{Trajectory, Usage};

/// What became of one problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub id: String,
    pub family: String,
    pub level: u8,
    pub passed: bool,
    /// Why not, in a few words; empty where it passed.
    pub why: String,
    pub usage: Usage,
    /// Tokens before the code: what was spent on thinking proper.
    pub thought_tokens: u32,
    pub shifted: bool,
    /// Absent where the problem needs no thinking, or where the window cut it.
    pub faith: Option<Faith>,
    pub text: String,
}

/// The thinking in a trajectory: what comes before the answer's fence, block or path, and before any hint.
pub fn thought<'a>(row: &Row, trajectory: &'a Trajectory) -> &'a str {
    let before_hint = &trajectory.text[..trajectory.shift_at.unwrap_or(trajectory.text.len())];
    let before_answer = before_answer(before_hint);
    let Some(project) = &row.project else { return before_answer };
    before_answer.trim_end_matches('\n').strip_suffix(&project.path).unwrap_or(before_answer)
}

/// What comes before the first fence or block of a text.
pub fn before_answer(text: &str) -> &str {
    let ends = ["```", "<<<<<<<"].iter().filter_map(|mark| text.find(mark)).min();
    &text[..ends.unwrap_or(text.len())]
}

/// How faithful the thinking is to the problem's own; `None` where there is nothing to compare.
pub fn faith(row: &Row, trajectory: &Trajectory) -> Option<Faith> {
    if row.trace.is_empty() || trajectory.shift_at.is_some() {
        return None;
    }
    Some(trace::check(&row.trace, thought(row, trajectory)))
}

/// Passes among trials, with the interval that the number of trials allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub passed: u32,
    pub of: u32,
}

impl Share {
    fn count(&mut self, passed: bool) {
        self.passed += u32::from(passed);
        self.of += 1;
    }

    pub fn rate(self) -> f64 {
        f64::from(self.passed) / f64::from(self.of.max(1))
    }
}

/// A report over records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub all: Share,
    pub by_family: BTreeMap<String, Share>,
    pub by_level: BTreeMap<u8, Share>,
    /// Family, then level.
    pub cells: BTreeMap<String, BTreeMap<u8, Share>>,
    pub thought_tokens_mean: f64,
    /// As the paper counts thinking: every token before a shift.
    pub att_mean: f64,
    pub generated_tokens_mean: f64,
    pub shifted: u32,
    /// Free-running correctness of trace lines, by skill.
    pub skills: BTreeMap<String, Tally>,
    /// Whole traces that were right from the first line to the last.
    pub faithful: Share,
    /// Passes whose trace was not right: luck, or another way to the answer.
    pub passed_unfaithful: u32,
}

impl Report {
    pub fn of(records: &[Record]) -> Self {
        let mut report = Self::default();
        let mut faiths = Faith::default();
        for record in records {
            report.all.count(record.passed);
            report.by_family.entry(record.family.clone()).or_default().count(record.passed);
            report.by_level.entry(record.level).or_default().count(record.passed);
            let levels = report.cells.entry(record.family.clone()).or_default();
            levels.entry(record.level).or_default().count(record.passed);
            report.shifted += u32::from(record.shifted);
            if let Some(faith) = &record.faith {
                faiths.add(faith);
                report.faithful.count(faith.faithful);
                report.passed_unfaithful += u32::from(record.passed && !faith.faithful);
            }
        }
        report.skills = faiths.skills;
        let mean = |tokens: fn(&Record) -> u32| {
            records.iter().map(|record| f64::from(tokens(record))).sum::<f64>() / records.len().max(1) as f64
        };
        report.thought_tokens_mean = mean(|record| record.thought_tokens);
        report.att_mean = mean(|record| record.usage.thinking_tokens);
        report.generated_tokens_mean = mean(|record| record.usage.generated_tokens());
        report
    }

    /// The report as plain text: a table by family and level, then the skills from the worst on.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let levels: Vec<u8> = self.by_level.keys().copied().collect();
        let _ = write!(text, "{:<8}", "");
        for level in &levels {
            let _ = write!(text, "{:>8}", format!("L{level}"));
        }
        let _ = writeln!(text, "{:>8}", "all");
        for (family, cells) in &self.cells {
            let _ = write!(text, "{family:<8}");
            for level in &levels {
                let _ = write!(text, "{:>8}", cells.get(level).map_or_else(|| "-".to_owned(), |s| percent(*s)));
            }
            let _ = writeln!(text, "{:>8}", percent(self.by_family[family]));
        }
        let _ = write!(text, "{:<8}", "all");
        for level in &levels {
            let _ = write!(text, "{:>8}", percent(self.by_level[level]));
        }
        let _ = writeln!(text, "{:>8}", percent(self.all));
        let (low, high) = wilson(self.all.passed, self.all.of);
        let _ = writeln!(
            text,
            "\npass@1 {} of {} = {:.1} % (95 %: {:.1} to {:.1}); tokens on average: {:.1} thought, {:.1} before a shift, {:.1} in all; {} shifted",
            self.all.passed,
            self.all.of,
            100.0 * self.all.rate(),
            100.0 * low,
            100.0 * high,
            self.thought_tokens_mean,
            self.att_mean,
            self.generated_tokens_mean,
            self.shifted
        );
        if self.faithful.of == 0 {
            return text;
        }
        let _ = writeln!(
            text,
            "traces right throughout: {} of {}; passed with a wrong trace: {}",
            self.faithful.passed, self.faithful.of, self.passed_unfaithful
        );
        let mut skills: Vec<(&String, &Tally)> = self.skills.iter().collect();
        skills.sort_by(|a, b| rate(*a.1).total_cmp(&rate(*b.1)));
        for (skill, tally) in skills {
            let _ =
                writeln!(text, "  {skill:<9}{:>5} of {:<5} {:>6.1} %", tally.right, tally.asked, 100.0 * rate(*tally));
        }
        text
    }
}

fn rate(tally: Tally) -> f64 {
    f64::from(tally.right) / f64::from(tally.asked.max(1))
}

fn percent(share: Share) -> String {
    format!("{:.0} %", 100.0 * share.rate())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::trace::Line;

    fn record(family: &str, level: u8, passed: bool, faith: Option<Faith>) -> Record {
        Record {
            id: format!("{family}-{level}"),
            family: family.to_owned(),
            level,
            passed,
            why: String::new(),
            usage: Usage { thinking_tokens: 10, ..Usage::default() },
            thought_tokens: 4,
            shifted: false,
            faith,
            text: String::new(),
        }
    }

    #[test]
    fn the_report_counts_by_cell_and_keeps_luck_apart() {
        let lines = [Line::new("add", "1+2=3")];
        let wrong = trace::check(&lines, "1+2=4");
        let right = trace::check(&lines, "1+2=3");
        let records = [
            record("calc", 2, true, Some(wrong)),
            record("calc", 2, false, Some(right)),
            record("write", 0, true, None),
        ];
        let report = Report::of(&records);
        assert_eq!(report.all, Share { passed: 2, of: 3 });
        assert_eq!(report.cells["calc"][&2], Share { passed: 1, of: 2 });
        assert_eq!(report.passed_unfaithful, 1);
        assert_eq!(report.skills["add"], Tally { asked: 2, right: 1 });
        assert!(report.table().contains("66.7 %"), "{}", report.table());
    }

    #[test]
    fn thinking_ends_at_the_fence_or_at_the_hint() {
        let whole = |text: &str, shift_at| Trajectory {
            text: text.to_owned(),
            shift_at,
            answer_at: 0,
            shifted: None,
            finish: crate::task::Finish::EndOfTurn,
            usage: Usage::default(),
        };
        let prompts = crate::prompt::Prompts::load(crate::traits::PromptSet::Nano, None).unwrap();
        let row = |family| {
            let families = vec![(family, 1)];
            let corpus = crate::gym::corpus::Corpus { families, ..crate::gym::corpus::Corpus::training(1) };
            corpus.row(0, &prompts).unwrap()
        };
        let write = row(crate::gym::Family::Write);
        assert_eq!(thought(&write, &whole("1+2=3\n\n```python\nx\n```", None)), "1+2=3\n\n");
        assert_eq!(thought(&write, &whole("1+2=\n\nI over", Some(4))), "1+2=");
        assert_eq!(thought(&write, &whole("no code", None)), "no code");
        let edit = row(crate::gym::Family::Edit);
        let path = &edit.project.as_ref().unwrap().path;
        let text = format!("3-1=2\n\n{path}\n```python\nx\n```");
        assert_eq!(thought(&edit, &whole(&text, None)), "3-1=2\n\n");
    }
}
