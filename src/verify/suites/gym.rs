//! Rows of `z1 sft gym`: a task in a user's words, visible and hidden asserts.

use serde_json::Value;

use crate::task::{Check, Language};

use super::functions::blank;
use super::rows::Row;
use super::{Problem, Suite};

pub(super) fn problem(row: &Row) -> Result<Problem, String> {
    if row.has("project") {
        return Err("it is set in a project, which `z1 eval gym` measures".to_owned());
    }
    let entry = row.need(&["entry"])?.to_owned();
    let list = |field: &str| match row.get(field) {
        Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    let (visible, hidden): (Vec<String>, Vec<String>) = (list("visible"), list("hidden"));
    let all: Vec<String> = visible.iter().chain(&hidden).cloned().collect();
    if entry.is_empty() || all.is_empty() {
        return Err("no function and no tests: nothing can be judged".to_owned());
    }
    let asserts = |tests: &[String], hidden| Check::Asserts { source: tests.join("\n"), hidden };
    Ok(Problem {
        prompt: row.need(&["task"])?.to_owned(),
        names: vec![entry],
        checks: vec![asserts(&all, true)],
        visible: if visible.is_empty() { Vec::new() } else { vec![asserts(&visible, false)] },
        canonical: row.text(&["reference"]).map(str::to_owned),
        group: row.get("level").and_then(Value::as_u64).map(|level| format!("level {level}")),
        suite: Suite::Gym,
        ..blank(row, Language::Python)
    })
}
