//! Programs to be judged: rows that name a problem and bring one completion or several.

use std::path::Path;

use serde_json::Value;

use super::rows::{self, Row, RowError};

/// One completion for one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The problem's id; empty where the row names none (then rows are taken in order).
    pub id: String,
    /// Which of the problem's completions this is, counted from 0.
    pub sample: u32,
    pub completion: String,
}

/// Fields that hold one completion, and fields that hold several.
const ONE: [&str; 11] = [
    "completion",
    "solution",
    "program",
    "code",
    "generation",
    "canonical_solution",
    "answer",
    "output",
    "response",
    "text",
    "source",
];
const MANY: [&str; 7] = ["completions", "solutions", "programs", "generations", "outputs", "code_list", "samples"];

/// Reads a file of programs (`.json`, `.jsonl`, either also `.gz`).
///
/// # Errors
/// Where the file cannot be read at all; rows that make no sense are errors of their own in the list.
pub fn read_programs(path: &Path) -> anyhow::Result<Vec<Result<Program, RowError>>> {
    let mut seen = std::collections::HashMap::<String, u32>::new();
    let mut programs = Vec::new();
    for row in rows::read(path)? {
        let found = row.and_then(|row| completions(&row).map_err(|why| row.error(why)).map(|texts| (row, texts)));
        match found {
            Err(error) => programs.push(Err(error)),
            Ok((row, texts)) => {
                let id = row.own_id().unwrap_or_default();
                for completion in texts {
                    let next = seen.entry(id.clone()).or_default();
                    let sample = *next;
                    *next += 1;
                    programs.push(Ok(Program { id: id.clone(), sample, completion }));
                }
            }
        }
    }
    Ok(programs)
}

fn completions(row: &Row) -> Result<Vec<String>, String> {
    if let Some(list) = MANY.iter().find_map(|field| row.get(field)?.as_array()) {
        let texts: Option<Vec<String>> = list.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        return texts.ok_or_else(|| "a list of completions that are not text".to_owned());
    }
    let found = ONE.iter().find_map(|field| match row.get(field)? {
        Value::String(text) => Some(text.clone()),
        // Some runs write a list of one.
        Value::Array(items) if items.len() == 1 => items[0].as_str().map(str::to_owned),
        _ => None,
    });
    found.map(|text| vec![text]).ok_or_else(|| format!("no program in the fields `{}`", ONE.join("`, `")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<Program, RowError>> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("the file can be written");
        read_programs(file.path()).expect("the file can be read")
    }

    #[test]
    fn one_and_many_completions_are_counted_by_problem() {
        let text =
            "{\"task_id\":\"a\",\"completion\":\"x\"}\n{\"task_id\":\"a\",\"generations\":[\"y\",\"z\"]}\n{\"id\":1}\n";
        let rows = read(text);
        let seen: Vec<_> = rows.iter().flatten().map(|p| (p.id.as_str(), p.sample, p.completion.as_str())).collect();
        assert_eq!(seen, [("a", 0, "x"), ("a", 1, "y"), ("a", 2, "z")]);
        assert!(rows[3].as_ref().is_err_and(|error| error.to_string().starts_with("1: no program")));
    }
}
