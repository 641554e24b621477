//! Public benchmarks, read as they are published: problems with their checks, programs, and how the two are put
//! together. One row that makes no sense is one named error, never the end of the reading.
//!
//! Not for: judging (`verify::verify` does that) and for asking a model (`eval` does that).

pub mod batch;
mod calls;
mod functions;
mod gym;
pub mod imports;
mod knowledge;
mod large;
mod multiple;
mod nearest;
mod pack;
mod packed;
mod programs;
mod rows;
mod stdio;
pub mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::hex::hex;
use crate::reply::{self, FormatProblem, Wanted};
use crate::task::{Candidate, Check, Language, Trajectory};

use super::VerifyOptions;

/// A problem's own time limit is meant for a judge's machine: here it is this many times longer, and never shorter
/// than the least.
const SLOWER_HERE: f64 = 3.0;
const SECONDS_MIN: f64 = 3.0;
const SECONDS_MAX: f64 = 86_400.0;

pub use knowledge::last_boxed;
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
    /// HumanEval and MBPP in other languages, as MultiPL-E publishes them.
    MultiplE,
    /// Library use with unittest tests (`instruct_prompt`, `code_prompt`, `test`).
    BigCodeBench,
    /// Rows of inputs and outputs, in the shapes of APPS, TACO, CodeContests and LiveCodeBench.
    Stdio,
    /// Grade-school mathematics, the answer behind `####`.
    Gsm8k,
    /// Competition mathematics with a final answer.
    Math,
    /// Questions with one right and some wrong answers.
    Gpqa,
    /// Problems that `z1 sft gym` wrote.
    Gym,
    /// Decide by each row's fields.
    Auto,
}

impl Suite {
    /// Every suite by the name that is typed.
    pub const NAMES: [(&'static str, Self); 13] = [
        ("humaneval", Self::HumanEval),
        ("mbpp", Self::Mbpp),
        ("humanevalpack", Self::HumanEvalPack),
        ("cruxeval", Self::Cruxeval),
        ("multiple", Self::MultiplE),
        ("bigcodebench", Self::BigCodeBench),
        ("stdio", Self::Stdio),
        ("livecodebench", Self::Stdio),
        ("gsm8k", Self::Gsm8k),
        ("math", Self::Math),
        ("gpqa", Self::Gpqa),
        ("gym", Self::Gym),
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
    /// The suite that this row was read as; never [`Suite::Auto`].
    pub suite: Suite,
    /// What the report counts it under: a difficulty, a level, a subject.
    pub group: Option<String>,
    /// What it may be asked for by besides: the subject of what is counted by level.
    pub subject: Option<String>,
    /// When the problem was published, as the row has it (`2024-10-05…`).
    pub date: Option<String>,
    /// Tests that the problem's own words show; no hidden one is among them.
    pub visible: Vec<Check>,
    /// What an answer is and how it is known to be right.
    pub gold: Gold,
    /// The options of a question, in the order in which they are shown.
    pub options: Vec<String>,
    /// Further texts of the row that words to a model may show, by name.
    pub texts: BTreeMap<&'static str, String>,
}

/// What the answer to a problem is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gold {
    /// A program that passes the problem's checks.
    #[default]
    Program,
    /// The value that the program in `canonical` returns for the input in `texts`.
    Output,
    /// An input for which the program in `canonical` returns the output in `texts`.
    Input,
    /// Mathematics, compared by meaning with this.
    Math(String),
    /// The letter of one of the options.
    Choice(char),
}

/// How a completion becomes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assembly {
    /// The completion is the program.
    Whole,
    /// The same, behind what the suite's own runner imports for it.
    Furnished,
    /// The completion continues the prompt, unless it repeats the declaration.
    Continue,
    /// As [`Assembly::Continue`], and the tests follow it in the same program.
    Framed,
}

impl Problem {
    /// The program that a completion stands for.
    pub fn program(&self, completion: &str) -> Candidate {
        let source = match self.assembly {
            Assembly::Whole => completion.to_owned(),
            Assembly::Furnished => calls::furnished(completion),
            Assembly::Continue => self.continued(completion),
            Assembly::Framed if self.suite == Suite::HumanEvalPack => pack::framed(self, completion),
            Assembly::Framed => multiple::framed(self, completion),
        };
        Candidate::Program { language: self.language, source }
    }

    /// The program that a reply proposes, read as the agent reads one.
    ///
    /// # Errors
    /// What is wrong with the reply's format.
    pub fn read(&self, reply: &Trajectory) -> Result<Candidate, FormatProblem> {
        let wanted = Wanted {
            language: Some(self.language),
            names: self.wanted_names(),
            stdin: self.checks.iter().any(|check| matches!(check, Check::Stdio { .. })),
        };
        let found = reply::program(reply, &wanted);
        match found {
            Ok(Candidate::Program { source, .. }) => Ok(self.program(&source)),
            Ok(other) => Ok(other),
            // A fence may hold only what completes the function that the prompt began.
            Err(problem) if !matches!(self.assembly, Assembly::Whole | Assembly::Furnished) => {
                match reply::program::body(reply, &wanted) {
                    Some(body) => Ok(self.program(&body)),
                    None => Err(problem),
                }
            }
            Err(problem) => Err(problem),
        }
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

    /// What is asked, whatever the words around it and the order of options.
    pub fn question_sha256(&self) -> String {
        let mut options = self.options.clone();
        options.sort();
        let asked = (self.suite.to_string(), &self.prompt, options, self.gold == Gold::Input, &self.texts);
        hex(&Sha256::digest(format!("{asked:?}").as_bytes()))
    }

    /// What decides about an answer.
    pub fn tests_sha256(&self) -> String {
        let gold = match &self.gold {
            Gold::Choice(letter) => self.options.get((*letter as u8).wrapping_sub(b'A') as usize).cloned(),
            Gold::Math(gold) => Some(gold.clone()),
            Gold::Program | Gold::Output | Gold::Input => None,
        };
        let checks = self.texts.get("tests").map(String::as_str);
        hex(&Sha256::digest(format!("{:?}", (&self.checks, gold, checks)).as_bytes()))
    }

    /// Where the problem stands in the shuffle of a seed.
    pub fn rank(&self, seed: u64) -> Vec<u8> {
        Sha256::digest(format!("{seed}\n{}", self.id).as_bytes()).to_vec()
    }

    /// The same question with its options in an order that the seed and the problem's name decide.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        let Gold::Choice(right) = self.gold else { return self };
        let right = self.options.get((right as u8).wrapping_sub(b'A') as usize).cloned();
        // Options stand in the order of a hash, so that no generator's version can change them.
        let hash = |option: &String| Sha256::digest(format!("{seed}\n{}\n{option}", self.id).as_bytes()).to_vec();
        let mut options = std::mem::take(&mut self.options);
        options.sort_by_cached_key(hash);
        let at = right.and_then(|right| options.iter().position(|option| *option == right)).unwrap_or(0);
        self.options = options;
        self.gold = Gold::Choice((b'A' + at as u8) as char);
        self
    }

    /// What is missing where the row has no words to ask a model with; judging may do without.
    pub fn wordless(&self) -> Option<String> {
        let missing = |text: &str, fields: &[&str]| text.trim().is_empty().then(|| rows::no_text(fields));
        let text = |name: &str| self.texts.get(name).map_or("", String::as_str);
        match self.suite {
            Suite::Mbpp => missing(&self.prompt, &["text", "prompt"]),
            Suite::Cruxeval => missing(text("code"), &["code"]),
            Suite::HumanEvalPack => missing(text("buggy"), &["buggy_solution"]),
            Suite::Stdio => missing(&self.prompt, &["question_content", "question", "prompt", "description"]),
            _ => missing(&self.prompt, &["prompt"]),
        }
    }

    /// The names that an answer has to define: of those that the reference defines, the ones that the tests call.
    pub fn wanted_names(&self) -> Vec<String> {
        let sources: Vec<&str> = self.checks.iter().filter_map(source_of).collect();
        let called = |name: &String| sources.iter().any(|source| mentions(source, name));
        let wanted: Vec<String> = self.names.iter().filter(|name| called(name)).cloned().collect();
        if wanted.is_empty() { self.names.clone() } else { wanted }
    }

    /// Whether the words show every test that judges.
    pub fn shows_every_test(&self) -> bool {
        let plain = |check: &Check| match check.clone() {
            Check::Asserts { source, .. } => Check::Asserts { source, hidden: false },
            Check::Stdio { cases, .. } => Check::Stdio { cases, hidden: false },
            other => other,
        };
        !self.checks.is_empty() && self.checks.iter().map(plain).eq(self.visible.iter().map(plain))
    }

    /// The tests that the problem's words show, as text; empty where they show none.
    pub fn visible_text(&self) -> String {
        self.visible.iter().filter_map(source_of).collect::<Vec<_>>().join("\n")
    }

    /// What `verify` needs to know besides the program.
    pub fn options(&self, base: &VerifyOptions) -> VerifyOptions {
        let mut options = base.clone();
        options.entry.clone_from(&self.entry);
        options.names.clone_from(&self.names);
        options.helpers.clone_from(&self.helpers);
        options.together = self.suite == Suite::BigCodeBench;
        options.float_tolerance = options.float_tolerance.or(self.float_tolerance);
        if let Some(seconds) = self.seconds {
            // The limits of the base are the user's, and the most there is.
            let own = Duration::from_secs_f64((seconds * SLOWER_HERE).clamp(SECONDS_MIN, SECONDS_MAX));
            for limit in [&mut options.limits.wall, &mut options.limits.cpu, &mut options.call_wall] {
                *limit = own.min(*limit);
            }
        }
        options
    }
}

fn source_of(check: &Check) -> Option<&str> {
    match check {
        Check::Asserts { source, .. } | Check::TestSource { source, .. } => Some(source),
        Check::Stdio { .. } | Check::Command { .. } => None,
    }
}

/// Whether `name` stands in a text as a word of its own.
fn mentions(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_word)
            && !text[at + name.len()..].chars().next().is_some_and(is_word)
    })
}

/// Reads a file of problems (`.json`, `.jsonl`, either also `.gz`).
///
/// # Errors
/// Where the file cannot be read at all; rows that make no sense are errors of their own in the list.
pub fn read_problems(path: &Path, suite: Suite) -> anyhow::Result<Vec<Result<Problem, RowError>>> {
    let rows = rows::read(path)?;
    Ok(rows.into_iter().map(|row| row.and_then(|row| problem(&row, suite).map_err(|why| row.error(why)))).collect())
}

/// One row as a problem.
///
/// # Errors
/// A row that makes no sense.
pub fn problem_of_json(row: Value, number: usize, suite: Suite) -> Result<Problem, RowError> {
    let Value::Object(fields) = row else {
        return Err(RowError { id: format!("row {number}"), why: "not a JSON object".to_owned() });
    };
    let row = rows::Row { fields, number };
    problem(&row, suite).map_err(|why| row.error(why))
}

fn problem(row: &rows::Row, suite: Suite) -> Result<Problem, String> {
    match if suite == Suite::Auto { guess(row) } else { suite } {
        Suite::HumanEval => functions::humaneval(row),
        Suite::Mbpp => functions::mbpp(row),
        Suite::Cruxeval => functions::cruxeval(row),
        Suite::HumanEvalPack => pack::humanevalpack(row),
        Suite::MultiplE => multiple::problem(row),
        Suite::BigCodeBench => functions::bigcodebench(row),
        Suite::Gsm8k => knowledge::gsm8k(row),
        Suite::Math => knowledge::math(row),
        Suite::Gpqa => knowledge::gpqa(row),
        Suite::Gym => gym::problem(row),
        Suite::Stdio | Suite::Auto => stdio::problem(row).map_err(|why| match (why == stdio::NO_CASES, suite) {
            // Nobody said that these are programs with inputs and outputs.
            (true, Suite::Auto) => nearest::missing(row),
            _ => why,
        }),
    }
}

fn guess(row: &rows::Row) -> Suite {
    let has = |fields: &[&str]| fields.iter().all(|field| row.has(field));
    let boxed = || row.text(&["solution"]).is_some_and(|text| text.contains("\\boxed"));
    if has(&["visible", "hidden", "task"]) {
        Suite::Gym
    } else if has(&["test_list"]) || has(&["assertion", "entry_point"]) {
        Suite::Mbpp
    } else if has(&["tests", "stop_tokens"]) || has(&["tests", "doctests", "name"]) {
        Suite::MultiplE
    } else if has(&["instruct_prompt", "test"]) || has(&["code_prompt", "test"]) {
        Suite::BigCodeBench
    } else if has(&["declaration", "test"]) {
        Suite::HumanEvalPack
    } else if has(&["test", "entry_point"]) {
        Suite::HumanEval
    } else if has(&["code", "input", "output"]) {
        Suite::Cruxeval
    } else if row.has("Correct Answer") || row.has("correct_answer") || has(&["question", "choices"]) {
        Suite::Gpqa
    } else if row.text(&["answer"]).is_some_and(|answer| answer.contains("####")) {
        Suite::Gsm8k
    } else if row.has("problem") && (row.has("answer") || boxed()) {
        Suite::Math
    } else {
        Suite::Stdio
    }
}
