//! Which problems `z1 eval suite` asks: rows of a file (or generated ones), and of these what the user wants.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::error::{Exit, UserError};
use crate::gym::Split;
use crate::gym::corpus::Corpus;
use crate::model_store::disk::sha256_of;
use crate::prompt::Prompts;
use crate::sft::data::read::values;
use crate::traits::PromptSet;
use crate::verify::suites::{Gold, Problem, RowError, Suite, problem_of_json, read_problems};

/// What is wanted.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// Problems as they are published (.json, .jsonl, .csv, these also .gz; .parquet), or `gym` for generated ones
    pub problems: PathBuf,
    /// Which suite the rows are of; `auto` goes by each row's fields
    #[arg(long, default_value = "auto")]
    suite: Suite,
    /// Problems asked, in the order of a shuffle by the seed; all of them without it
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    count: Option<usize>,
    /// Draws problems, samples and the order of options
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only problems of these groups (difficulty, level, subject)
    #[arg(long, value_delimiter = ',', value_name = "GROUP")]
    group: Vec<String>,
    /// Only these problems: a file of their ids, one a line
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// Only problems published on or after this day (YYYY-MM-DD)
    #[arg(long, value_name = "DAY", value_parser = day)]
    since: Option<String>,
    /// Only problems published before this day
    #[arg(long, value_name = "DAY", value_parser = day)]
    until: Option<String>,
    /// CRUXEval: ask for an input that leads to the output, instead of the output
    #[arg(long)]
    inputs: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| format!("`{text}` is no number of problems"))
}

fn day(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
            .flatten()
    };
    let known = match parts.as_slice() {
        [year, month, day] => {
            number(year, 4).is_some()
                && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
        }
        _ => false,
    };
    if known { Ok(text.to_owned()) } else { Err("a day is written 2024-10-05".to_owned()) }
}

/// What a run is about.
#[derive(Debug)]
pub struct Chosen {
    pub problems: Vec<Problem>,
    /// Rows that could not be used, and why.
    pub bad: Vec<String>,
    /// The suites of the file, by name.
    pub suites: String,
    /// Of the file; empty where the problems were generated.
    pub file_sha256: String,
}

impl Choice {
    /// Which problems a run is about, in words: the file's name, and which side of its rows is asked for.
    pub fn name(&self) -> String {
        let name = self.problems.file_name().unwrap_or(self.problems.as_os_str()).to_string_lossy();
        if self.inputs { format!("{name}, inputs") } else { name.into_owned() }
    }

    /// The problems that are wanted.
    ///
    /// # Errors
    /// A file that cannot be read, a group that there is not, or no problem that is wanted.
    pub fn chosen(&self) -> anyhow::Result<Chosen> {
        let (mut problems, mut bad) = (Vec::new(), Vec::new());
        for row in self.rows()? {
            match row.and_then(asked) {
                Ok(problem) => problems.push(problem),
                Err(error) => bad.push(error.to_string()),
            }
        }
        if self.inputs {
            for problem in problems.iter_mut().filter(|problem| problem.gold == Gold::Output) {
                problem.gold = Gold::Input;
            }
        }
        let suites: BTreeSet<String> = problems.iter().map(|problem| problem.suite.to_string()).collect();
        let found = problems.len();
        let mut problems = numbered(problems);
        self.check_groups(&problems)?;
        let ids = self.ids.as_deref().map(read_ids).transpose()?;
        tell_unknown(ids.as_ref(), &problems);
        problems.retain(|problem| self.wants(ids.as_ref(), problem));
        if problems.is_empty() {
            let why =
                bad.first().map_or_else(String::new, |first| format!("; the first that could not be used: {first}"));
            let what = format!("{} holds {found} problems and none that is wanted{why}", self.problems.display());
            return Err(UserError::new(Exit::Error, what)
                .hint("look at --suite, --group, --ids, --since and --until")
                .into());
        }
        tell_shown(&problems);
        if let Some(count) = self.count {
            // In the order of a hash, so that a larger count holds the smaller one's problems.
            problems.sort_by_cached_key(|problem| problem.rank(self.seed));
            problems.truncate(count);
        }
        Ok(Chosen {
            problems: problems.into_iter().map(|problem| problem.shuffled(self.seed)).collect(),
            bad,
            suites: suites.into_iter().collect::<Vec<_>>().join(", "),
            // Generated problems are in no file.
            file_sha256: sha256_of(&self.problems).unwrap_or_default(),
        })
    }

    fn rows(&self) -> anyhow::Result<Vec<Result<Problem, RowError>>> {
        if self.is_generated() {
            return self.drawn();
        }
        if !is_table(&self.problems) {
            return read_problems(&self.problems, self.suite).map_err(|error| {
                UserError::new(Exit::Error, format!("{error:#}"))
                    .hint("a file as the suite is published (.jsonl, .json, .csv, .gz, .parquet), or `gym`")
                    .into()
            });
        }
        let (mut rows, mut number) = (Vec::new(), 0);
        values(&self.problems, &mut |row| {
            number += 1;
            rows.push(match row {
                Ok((row, _)) => problem_of_json(row, number, self.suite),
                Err(why) => Err(RowError { id: format!("row {number}"), why }),
            });
            Ok(())
        })?;
        Ok(rows)
    }

    fn is_generated(&self) -> bool {
        self.problems.as_os_str() == "gym" && !self.problems.exists()
    }

    /// A group that no problem is of is a slip, and would leave a run with less than was meant.
    fn check_groups(&self, problems: &[Problem]) -> anyhow::Result<()> {
        let there: BTreeSet<&str> = problems.iter().flat_map(groups).collect();
        let unknown: Vec<&str> = self
            .group
            .iter()
            .map(String::as_str)
            .filter(|wanted| !there.iter().any(|group| group.eq_ignore_ascii_case(wanted)))
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let there: Vec<&str> = there.into_iter().take(40).collect();
        let hint = if there.is_empty() {
            "no problem here has a group".to_owned()
        } else {
            format!("there are {}", there.join(", "))
        };
        Err(UserError::usage(format!("no problem is of the group {}", unknown.join(", "))).hint(hint).into())
    }

    fn wants(&self, ids: Option<&HashSet<String>>, problem: &Problem) -> bool {
        let day = || problem.date.as_deref().unwrap_or_default();
        let of_group = |wanted: &String| groups(problem).any(|group| wanted.eq_ignore_ascii_case(group));
        (self.group.is_empty() || self.group.iter().any(of_group))
            && ids.is_none_or(|ids| ids.contains(&problem.id) || ids.contains(tail(problem)))
            && self.since.as_deref().is_none_or(|since| !day().is_empty() && day() >= since)
            && self.until.as_deref().is_none_or(|until| !day().is_empty() && day() < until)
    }

    /// Generated problems that no training saw.
    fn drawn(&self) -> anyhow::Result<Vec<Result<Problem, RowError>>> {
        const COUNT: u64 = 240;
        let prompts = Prompts::load(PromptSet::Nano, None)?;
        let corpus = Corpus::measuring(self.seed, Split::Test);
        let count = self.count.map_or(COUNT, |count| count as u64);
        let mut problems = Vec::new();
        // Some are set in projects, and those this cannot ask.
        for index in 0..count * 2 {
            let row = corpus.row(index, &prompts)?;
            if row.project.is_none() && !row.entry.is_empty() {
                problems.push(problem_of_json(serde_json::to_value(&row)?, index as usize + 1, Suite::Gym));
            }
            if problems.len() as u64 == count {
                break;
            }
        }
        Ok(problems)
    }
}

/// A problem that has words to ask with.
fn asked(problem: Problem) -> Result<Problem, RowError> {
    match problem.wordless() {
        None => Ok(problem),
        Some(why) => Err(RowError { id: problem.id, why }),
    }
}

fn groups(problem: &Problem) -> impl Iterator<Item = &str> {
    problem.group.as_deref().into_iter().chain(problem.subject.as_deref())
}

/// `12` of `HumanEval/12`.
fn tail(problem: &Problem) -> &str {
    problem.id.rsplit('/').next().unwrap_or_default()
}

/// One id a line; they may hold blanks.
fn read_ids(path: &Path) -> anyhow::Result<HashSet<String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|problem| UserError::new(Exit::Error, format!("cannot read {}: {problem}", path.display())))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Ids that are of no problem are named: a list made for another file would silently ask less.
fn tell_unknown(ids: Option<&HashSet<String>>, problems: &[Problem]) {
    const NAMED_MAX: usize = 8;
    let known: HashSet<&str> = problems.iter().flat_map(|problem| [problem.id.as_str(), tail(problem)]).collect();
    let mut unknown: Vec<&str> =
        ids.into_iter().flatten().map(String::as_str).filter(|id| !known.contains(id)).collect();
    if unknown.is_empty() {
        return;
    }
    unknown.sort_unstable();
    let more = if unknown.len() > NAMED_MAX { ", …" } else { "" };
    let named: Vec<&str> = unknown.iter().copied().take(NAMED_MAX).collect();
    eprintln!("{} of the ids are of no problem: {}{more}", unknown.len(), named.join(", "));
}

/// A contest's file without its private tests judges by what the words show, and says more than it should.
fn tell_shown(problems: &[Problem]) {
    let shown = problems.iter().filter(|problem| problem.suite == Suite::Stdio && problem.shows_every_test()).count();
    if shown > 0 {
        eprintln!("{shown} problems have no hidden tests (no `private_test_cases`): those that their words show judge");
    }
}

/// Rows that share an id are told apart by a number that makes no id of another row: records are found again by it.
fn numbered(problems: Vec<Problem>) -> Vec<Problem> {
    let own: HashSet<String> = problems.iter().map(|problem| problem.id.clone()).collect();
    let mut given: HashSet<String> = HashSet::new();
    let tell = |mut problem: Problem| {
        if !given.insert(problem.id.clone()) {
            let mut names = (2..).map(|number| format!("{}#{number}", problem.id));
            let free = names.find(|name| !own.contains(name) && !given.contains(name));
            problem.id = free.expect("invariant: numbers do not end");
            given.insert(problem.id.clone());
        }
        problem
    };
    problems.into_iter().map(tell).collect()
}

/// Whether a file is read as a table: Parquet by its first bytes, text by its name.
fn is_table(path: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 4];
    let is_parquet =
        std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"PAR1";
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name = name.trim_end_matches(".gz");
    is_parquet || Path::new(name).extension().is_some_and(|kind| kind == "csv" || kind == "tsv")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        choice: Choice,
    }

    fn choose(file: &str, text: &str, args: &[&str]) -> anyhow::Result<Vec<String>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(file);
        std::fs::write(&path, text)?;
        let path = path.to_string_lossy().into_owned();
        let line = Line::try_parse_from(["z1", path.as_str()].iter().chain(args))?;
        Ok(line.choice.chosen()?.problems.into_iter().map(|problem| problem.id).collect())
    }

    const MATHS: &str = r#"{"problem":"p","answer":"1","level":1,"subject":"Algebra","unique_id":"a/1"}
{"problem":"q","answer":"2","level":5,"subject":"Geometry"}
{"problem":"","answer":"3","level":5,"subject":"Geometry"}
"#;

    #[test]
    fn groups_are_levels_and_subjects_and_unknown_ones_are_named() {
        let of = |group: &str| choose("m.jsonl", MATHS, &["--group", group]);
        assert_eq!(of("algebra").unwrap(), ["a/1"]);
        assert_eq!(of("level 5").unwrap(), ["row 2"], "a row without words is not asked");
        let refusal = crate::error::render(&of("Topology").unwrap_err());
        assert!(refusal.contains("Topology") && refusal.contains("Geometry"), "{refusal}");
    }

    #[test]
    fn ids_stand_one_a_line_and_may_hold_blanks() {
        let folder = tempfile::tempdir().unwrap();
        let ids = folder.path().join("ids");
        std::fs::write(&ids, "row 2\nnobody\n").unwrap();
        assert_eq!(choose("m.jsonl", MATHS, &["--ids", ids.to_str().unwrap()]).unwrap(), ["row 2"]);
    }

    #[test]
    fn days_and_counts_are_checked() {
        for args in [["--since", "foo"], ["--since", "2024-13-01"], ["--until", "2024-1-1"], ["--count", "0"]] {
            assert!(choose("m.jsonl", MATHS, &args).is_err(), "{args:?}");
        }
        assert_eq!(choose("m.jsonl", MATHS, &["--count", "1"]).unwrap().len(), 1);
        assert_eq!(day("2024-10-05").as_deref(), Ok("2024-10-05"));
    }

    #[test]
    fn questions_are_read_from_a_table() {
        let text = "Record ID,Question,Correct Answer,Incorrect Answer 1,High-level domain\nrec1,\"Two, is it\neven?\",yes,no,Maths\n";
        assert_eq!(choose("gpqa.csv", text, &[]).unwrap(), ["rec1"]);
        assert_eq!(choose("gpqa.csv", text, &["--group", "maths"]).unwrap(), ["rec1"]);
    }

    #[test]
    fn a_number_makes_no_id_of_another_row() {
        let text = ["a", "a", "a#2", "a"].map(|id| format!(r#"{{"id":"{id}","problem":"p","answer":"1"}}"#)).join("\n");
        assert_eq!(choose("m.jsonl", &text, &[]).unwrap(), ["a", "a#3", "a#2", "a#4"]);
    }
}
