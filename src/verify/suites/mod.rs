//! Public benchmarks, read as they are published: problems with their checks, programs, and how the two are put
//! together. One row that makes no sense is one named error, never the end of the reading.
//!
//! Not for: judging (`verify::verify` does that) and for asking a model (`eval` does that).

pub mod batch;
mod calls;
mod functions;
mod pack;
mod packed;
mod programs;
mod rows;
mod stdio;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::task::{Candidate, Check, Language};

use super::VerifyOptions;

pub use programs::{Program, read_programs};
pub use rows::RowError;

/// A family of row shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// `prompt`, `test` with `check(candidate)`, `entry_point` (also HumanEval+ and MBPP+ in that shape).
    HumanEval,
    /// `test_list` of asserts, with `test_setup_code` or `test_imports`.
    Mbpp,
    /// HumanEval in other languages, with `buggy_solution`.
    HumanEvalPack,
    /// `code`, `input`, `output`: what does `f(input)` return.
    Cruxeval,
    /// Rows of inputs and outputs, in the shapes of APPS, TACO, CodeContests and LiveCodeBench.
    Stdio,
    /// Decide by each row's fields.
    Auto,
}

impl Suite {
    /// Every suite by the name that is typed.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("humaneval", Self::HumanEval),
        ("mbpp", Self::Mbpp),
        ("humanevalpack", Self::HumanEvalPack),
        ("cruxeval", Self::Cruxeval),
        ("stdio", Self::Stdio),
        ("auto", Self::Auto),
    ];
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, suite)| suite == self).map_or("auto", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = text.to_ascii_lowercase().replace(['-', '_'], "");
        Self::NAMES.iter().find(|(name, _)| *name == wanted).map(|(_, suite)| *suite).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("no suite is called `{text}` (there are {})", names.join(", "))
        })
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub id: String,
    pub language: Language,
    /// The text that a completion continues (code for HumanEval, prose for the others).
    pub prompt: String,
    pub checks: Vec<Check>,
    pub entry: Option<String>,
    /// Names that the reference solution defines.
    pub names: Vec<String>,
    /// Trusted code of the prompt that the tests may use.
    pub helpers: String,
    pub canonical: Option<String>,
    pub buggy: Option<String>,
    pub assembly: Assembly,
    /// Time limit of the problem itself, in seconds, where it states one.
    pub seconds: Option<f64>,
    /// Numbers with a fraction on stdout may differ by this much.
    pub float_tolerance: Option<f64>,
}

/// How a completion becomes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assembly {
    /// The completion is the program.
    Whole,
    /// The completion continues the prompt, unless it repeats the declaration.
    Continue,
}

impl Problem {
    /// The program that a completion stands for.
    pub fn program(&self, completion: &str) -> Candidate {
        let source = match self.assembly {
            Assembly::Whole => completion.to_owned(),
            Assembly::Continue => self.continued(completion),
        };
        Candidate::Program { language: self.language, source }
    }

    fn continued(&self, completion: &str) -> String {
        // Python allows both at once: the prompt's function keeps its docstring as a body and is replaced.
        let repeats = self.language != Language::Python
            && self.entry.as_deref().is_some_and(|entry| functions::declares(self.language, completion, entry));
        if repeats {
            format!("{}\n{completion}", functions::before_last_declaration(self.language, &self.prompt))
        } else {
            format!("{}{completion}", self.prompt)
        }
    }

    /// What `verify` needs to know besides the program.
    pub fn options(&self, base: &VerifyOptions) -> VerifyOptions {
        let mut options = base.clone();
        options.entry.clone_from(&self.entry);
        options.names.clone_from(&self.names);
        options.helpers.clone_from(&self.helpers);
        options.float_tolerance = options.float_tolerance.or(self.float_tolerance);
        options
    }
}

/// Reads a file of problems (`.json`, `.jsonl`, either also `.gz`).
///
/// # Errors
/// Where the file cannot be read at all; rows that make no sense are errors of their own in the list.
pub fn read_problems(path: &Path, suite: Suite) -> anyhow::Result<Vec<Result<Problem, RowError>>> {
    let rows = rows::read(path)?;
    Ok(rows.into_iter().map(|row| row.and_then(|row| problem(&row, suite).map_err(|why| row.error(why)))).collect())
}

fn problem(row: &rows::Row, suite: Suite) -> Result<Problem, String> {
    match if suite == Suite::Auto { guess(row) } else { suite } {
        Suite::HumanEval => functions::humaneval(row),
        Suite::Mbpp => functions::mbpp(row),
        Suite::Cruxeval => functions::cruxeval(row),
        Suite::HumanEvalPack => pack::humanevalpack(row),
        Suite::Stdio | Suite::Auto => stdio::problem(row),
    }
}

fn guess(row: &rows::Row) -> Suite {
    if row.has("test_list") {
        Suite::Mbpp
    } else if row.has("declaration") && row.has("test") {
        Suite::HumanEvalPack
    } else if row.has("test") && row.has("entry_point") {
        Suite::HumanEval
    } else if row.has("code") && row.has("input") && row.has("output") {
        Suite::Cruxeval
    } else {
        Suite::Stdio
    }
}
