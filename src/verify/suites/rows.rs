//! Files of JSON rows, whole or line by line, compressed or not.

use std::fmt;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value};

use super::stdio::CASE_FIELDS;

/// Largest file read, after decompression.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The row's own id where it has one, else `row N`.
    pub id: String,
    pub why: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.why)
    }
}

/// One JSON object and where it stood.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) fields: Map<String, Value>,
    /// Counted from 1.
    pub(crate) number: usize,
}

/// Fields that name a row, most specific first.
const ID_FIELDS: [&str; 10] = [
    "task_id",
    "question_id",
    "problem_id",
    "unique_id",
    "id",
    "_id",
    "name",
    "question_title",
    "problem_name",
    "Record ID",
];

impl Row {
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// The first of these fields that is a string.
    pub(crate) fn text(&self, fields: &[&str]) -> Option<&str> {
        fields.iter().find_map(|field| self.get(field)?.as_str())
    }

    /// The first of them that says something, or what is missing.
    pub(crate) fn need(&self, fields: &[&str]) -> Result<&str, String> {
        let said = fields.iter().filter_map(|field| self.get(field)?.as_str()).find(|text| !text.trim().is_empty());
        said.ok_or_else(|| no_text(fields))
    }

    /// The row's own id, where it has one.
    pub(crate) fn own_id(&self) -> Option<String> {
        ID_FIELDS.iter().find_map(|field| match self.get(field)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    }

    pub(crate) fn id(&self) -> String {
        self.own_id().unwrap_or_else(|| format!("row {}", self.number))
    }

    pub(crate) fn error(&self, why: String) -> RowError {
        RowError { id: self.id(), why }
    }
}

/// What is said of a row whose fields hold no words.
pub(crate) fn no_text(fields: &[&str]) -> String {
    format!("no text in the field `{}`", fields.join("` or `"))
}

/// Reads every row of a file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Result<Row, RowError>>> {
    let bytes = read_bytes(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let raw = std::fs::read(path)?;
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(raw.as_slice()).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A whole JSON document (a list of rows, or an object of rows by id), or one object a line.
fn parse(text: &str) -> Vec<Result<Row, RowError>> {
    let text = text.trim_start_matches('\u{feff}');
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) => items.into_iter().enumerate().map(|(index, item)| row(index, item)).collect(),
        Ok(Value::Object(fields)) => by_id(fields),
        _ => lines(text),
    }
}

fn by_id(fields: Map<String, Value>) -> Vec<Result<Row, RowError>> {
    // One row by itself is told from a row with one column of cases by the column's name.
    let is_row = |name: &String| CASE_FIELDS.contains(&name.as_str());
    let is_table = fields.values().all(Value::is_object) && (fields.len() > 1 || !fields.keys().all(is_row));
    if !is_table {
        return vec![Ok(Row { fields, number: 1 })];
    }
    let rows = fields.into_iter().enumerate().map(|(index, (id, item))| {
        let mut row = row(index, item)?;
        row.fields.entry("task_id").or_insert(Value::String(id));
        Ok(row)
    });
    rows.collect()
}

fn lines(text: &str) -> Vec<Result<Row, RowError>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(index, line)| match serde_json::from_str(line) {
        Ok(item) => row(index, item),
        Err(error) => Err(RowError { id: format!("row {}", index + 1), why: format!("not JSON: {error}") }),
    });
    rows.collect()
}

fn row(index: usize, item: Value) -> Result<Row, RowError> {
    let number = index + 1;
    match item {
        Value::Object(fields) => Ok(Row { fields, number }),
        _ => Err(RowError { id: format!("row {number}"), why: "not a JSON object".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<Result<String, String>> {
        parse(text).into_iter().map(|row| row.map(|row| row.id()).map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn lines_lists_and_tables_are_read_alike() {
        let want = vec![Ok("a".to_owned()), Ok("7".to_owned())];
        assert_eq!(ids("{\"id\":\"a\"}\n\n{\"task_id\":7}\n"), want);
        assert_eq!(ids("[{\"id\":\"a\"},{\"task_id\":7}]"), want);
        assert_eq!(ids("{\"a\":{\"x\":1},\"7\":{\"x\":2}}"), want);
        assert_eq!(ids("{\"id\":\"a\"}"), vec![Ok("a".to_owned())]);
        assert_eq!(ids("{\"a\":{\"x\":1}}"), vec![Ok("a".to_owned())]);
        assert_eq!(ids("{\"input_output\":{\"inputs\":[]}}"), vec![Ok("row 1".to_owned())]);
    }

    #[test]
    fn one_bad_row_spoils_only_itself() {
        let rows = ids("{\"id\":\"a\"}\n{oops\n[1]\n{\"id\":\"b\"}");
        assert_eq!(rows[0], Ok("a".to_owned()));
        assert!(rows[1].as_ref().is_err_and(|why| why.starts_with("row 2: not JSON")));
        assert_eq!(rows[2], Err("row 3: not a JSON object".to_owned()));
        assert_eq!(rows[3], Ok("b".to_owned()));
    }
}
