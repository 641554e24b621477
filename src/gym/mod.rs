//! Generated coding problems with reference solutions, visible examples and hidden tests, on a ladder of
//! difficulty, in many wordings; and the trajectories a model learns from.
//!
//! A [`Problem`] is drawn by family, level, seed and split ([`draw`]); a [`row::Row`] is a problem with the
//! conversation that a model is trained on or asked with. Problems of different splits share neither the
//! composition of steps nor the combination of wordings.
//!
//! Not for: training (`sft`), running code (`verify`), or measuring a model (`eval`).

pub mod attempt;
pub mod calc;
pub mod corpus;
pub mod dice;
pub mod drill;
pub mod edit;
pub mod fix;
pub mod infer;
pub mod op;
pub mod op_table;
pub mod pipeline;
pub mod plan;
pub mod row;
pub mod trace;
pub mod value;
pub mod wording;
pub mod write;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::attempt::Attempt;
use self::dice::{Dice, stable_hash};
use self::trace::Line;

/// The highest level of the ladder.
pub const LEVEL_MAX: u8 = 5;
/// How often a problem is drawn anew until one falls into the wanted split.
const DRAWS_MAX: u32 = 20_000;
/// One composition (and one wording) in this many is kept for each of test and validation.
const SPLIT_PARTS: u64 = 8;

/// What kind of work a problem asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Write a function of one to five steps.
    Write,
    /// Work out a constant in words first, then write the function.
    Calc,
    /// Carry out a plan after its revisions.
    Plan,
    /// Find a constant from examples.
    Infer,
    /// Mend a function that fails an example.
    Fix,
    /// Mend a file of a small project after a failing test.
    Edit,
    /// The skills of thinking by themselves: lines of a trace and no code. For training only.
    Drill,
}

impl Family {
    /// The families that are judged by running code.
    pub const JUDGED: [Self; 6] = [Self::Write, Self::Calc, Self::Plan, Self::Infer, Self::Fix, Self::Edit];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Calc => "calc",
            Self::Plan => "plan",
            Self::Infer => "infer",
            Self::Fix => "fix",
            Self::Edit => "edit",
            Self::Drill => "drill",
        }
    }
}

/// Reads a value by the name that data files give it, for command lines.
fn by_name<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(serde_json::Value::from(text)).map_err(|problem| problem.to_string())
}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text)
    }
}

/// Which part of the data a problem belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    Train,
    Valid,
    Test,
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text)
    }
}

impl Split {
    /// The split that a key (a composition or a wording) falls into.
    pub fn of(key: &str) -> Self {
        match stable_hash(key) % SPLIT_PARTS {
            0 => Self::Test,
            1 => Self::Valid,
            _ => Self::Train,
        }
    }
}

/// A problem, its solution and its tests.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub family: Family,
    /// 0 (answered at once) to [`LEVEL_MAX`].
    pub level: u8,
    /// What is asked, without the words: problems of different splits never share it.
    pub composition: String,
    /// Which words were chosen: problems of different splits never share it.
    pub wording: String,
    /// The task in words, its visible examples last.
    pub task: String,
    /// The function's name.
    pub entry: String,
    /// The solution in Python; empty for drills.
    pub reference: String,
    /// Assert statements that the task shows.
    pub visible: Vec<String>,
    /// Assert statements that it does not.
    pub hidden: Vec<String>,
    /// The thinking that the solution needs; empty where it needs none.
    pub work: Vec<Line>,
    /// What a thinker writes who thinks at length whether or not it helps.
    pub draft: Vec<Line>,
    /// A solution that is nearly right, as a failed attempt would be.
    pub attempt: Option<Attempt>,
    /// The project that the task is set in; `reference` is then the whole file, and `task` the user's words alone.
    pub project: Option<edit::Project>,
}

impl Problem {
    /// The same problem without examples in its task: as people often ask. Not for problems whose examples
    /// say what is wanted.
    #[must_use]
    pub fn unillustrated(mut self) -> Self {
        for example in &self.visible {
            self.task = self.task.replace(&format!("\n{example}"), "");
        }
        self.visible.clear();
        self
    }
}

/// Draws the problem that `seed` and `index` name, in the wanted split.
///
/// # Panics
/// Where no draw falls into the split, which means that a family has too few compositions or wordings.
pub fn draw(family: Family, level: u8, split: Split, seed: u64, index: u64) -> Problem {
    let mut dice = Dice::new(seed ^ stable_hash(family.name()) ^ (u64::from(level) << 56), index);
    for _ in 0..DRAWS_MAX {
        let drawn = match family {
            Family::Write => write::draw(level, &mut dice),
            Family::Calc => calc::draw(level, &mut dice),
            Family::Plan => plan::draw(level, &mut dice),
            Family::Infer => infer::draw(level, &mut dice),
            Family::Fix => fix::draw(level, &mut dice),
            Family::Edit => edit::draw(level, &mut dice),
            Family::Drill => drill::draw(level, &mut dice),
        };
        let Some(problem) = drawn else { continue };
        if Split::of(&problem.composition) == split && Split::of(&problem.wording) == split {
            return problem;
        }
    }
    panic!("invariant: family {} has level {level} problems in split {split:?}", family.name());
}

#[cfg(test)]
mod tests;
