//! Rows of inputs and outputs in the shapes of APPS, TACO, CodeContests, Codeforces and LiveCodeBench, and plain
//! ones. A row with a function's name asks for calls rather than for a program.

use serde_json::Value;

use crate::task::{Check, Language, StdioCase};

use super::calls;
use super::functions::blank;
use super::large;
use super::packed;
use super::rows::Row;
use super::{Assembly, Problem, Suite};

/// Most cases used of one row.
const CASES_MAX: usize = 1_000;
/// Answers with a fraction are taken as equal this near; the published checkers use the same.
const TOLERANCE: f64 = 1e-6;

/// Fields that hold cases, in any of the known shapes.
pub(super) const CASE_FIELDS: [&str; 16] = [
    "input_output",
    "test_cases",
    "tests",
    "cases",
    "official_tests",
    "public_tests",
    "private_tests",
    "generated_tests",
    "public_test_cases",
    "private_test_cases",
    "hidden_tests",
    "examples",
    "sample_tests",
    "io",
    "test",
    "ground_truth",
];

/// Those of them whose cases the problem's own words show.
const SHOWN_FIELDS: [&str; 5] = ["public_tests", "public_test_cases", "examples", "sample_tests", "official_examples"];

/// Names under which a case keeps its input and its output.
const INPUT_FIELDS: [&str; 5] = ["input", "inputs", "stdin", "in", "args"];
const OUTPUT_FIELDS: [&str; 9] =
    ["output", "outputs", "expected_output", "expected", "stdout", "out", "answer", "expected_outputs", "result"];

/// Everything a row says about its cases.
#[derive(Debug, Default)]
struct Found {
    cases: Vec<(Value, Value)>,
    function: Option<String>,
    /// The cases name the function, as those of APPS do, where answers may stand in a list of one.
    wrapped: bool,
}

/// What a row without cases is told; [`super::problem`] adds what it looks like.
pub(super) const NO_CASES: &str = "no inputs and outputs in any field that is known";

pub(super) fn problem(row: &Row) -> Result<Problem, String> {
    let mut found = Found { function: function_name(row)?, ..Found::default() };
    if row.fields.contains_key("private_test_cases") && blank_text(row.get("private_test_cases")) {
        return Err("`private_test_cases` is empty: only the cases that the words show could judge".to_owned());
    }
    for field in CASE_FIELDS {
        if let Some(value) = row.get(field) {
            collect(value, &mut found, 0).map_err(|why| format!("`{field}`: {why}"))?;
        }
    }
    if found.cases.is_empty() {
        collect(&Value::Object(row.fields.clone()), &mut found, 0)?;
    }
    found.cases.truncate(CASES_MAX);
    if found.cases.is_empty() {
        return Err(NO_CASES.to_owned());
    }
    let language = row.text(&["language", "lang"]).and_then(Language::from_fence_tag).unwrap_or(Language::Python);
    let prompt = row.text(&["prompt", "question_content", "question", "problem", "description", "text", "statement"]);
    let starter = row.text(&["starter_code", "starter"]).unwrap_or_default();
    let function = found.function.clone();
    let check = |cases: &[(Value, Value)], hidden| {
        Ok::<_, String>(match &function {
            Some(function) => {
                Check::Asserts { source: calls::asserts(function, starter, cases, found.wrapped)?, hidden }
            }
            None => Check::Stdio { cases: stdio_cases(cases)?, hidden },
        })
    };
    let mut shown = Found::default();
    for value in SHOWN_FIELDS.iter().filter_map(|field| row.get(field)) {
        collect(value, &mut shown, 0)?;
    }
    let visible = if shown.cases.is_empty() { Vec::new() } else { vec![check(&shown.cases, false)?] };
    let check = check(&found.cases, true)?;
    let texts = (!starter.trim().is_empty()).then(|| ("starter", starter.to_owned())).into_iter().collect();
    let of_class = starter.contains("class Solution");
    Ok(Problem {
        visible,
        texts,
        suite: Suite::Stdio,
        group: row.text(&["difficulty"]).map(str::to_owned),
        date: row.text(&["contest_date", "date", "release_date"]).map(str::to_owned),
        prompt: prompt.unwrap_or_default().to_owned(),
        names: if of_class { vec!["Solution".to_owned()] } else { found.function.iter().cloned().collect() },
        checks: vec![check],
        canonical: canonical(row),
        buggy: row.text(&["buggy_solution"]).map(str::to_owned),
        assembly: if is_furnished(row, &found, language) { Assembly::Furnished } else { Assembly::Whole },
        seconds: seconds(row),
        float_tolerance: Some(TOLERANCE),
        ..blank(row, language)
    })
}

/// The function that is to be called, where the row names one.
fn function_name(row: &Row) -> Result<Option<String>, String> {
    if let Some(name) = row.text(&["fn_name", "func_name", "function_name", "entry_point"]) {
        return Ok((!name.is_empty()).then(|| name.to_owned()));
    }
    let metadata: Value = match row.get("metadata") {
        None => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        // Whether it is to be called stands in it: a program judged by stdin instead would be judged wrongly.
        Some(Value::String(text)) => {
            serde_json::from_str(text).map_err(|error| format!("`metadata` is not JSON: {error}"))?
        }
        Some(other) => other.clone(),
    };
    Ok(metadata.get("func_name").and_then(Value::as_str).map(str::to_owned))
}

/// Whether a field holds nothing.
fn blank_text(value: Option<&Value>) -> bool {
    match value {
        None => true,
        Some(Value::String(text)) => matches!(text.trim(), "" | "[]"),
        Some(Value::Array(items)) => items.is_empty(),
        Some(_) => false,
    }
}

/// Whether the suite's own runner imports for the program: LiveCodeBench's, APPS' and TACO's do.
fn is_furnished(row: &Row, found: &Found, language: Language) -> bool {
    let theirs = ["public_test_cases", "private_test_cases", "input_output", "starter_code"];
    language == Language::Python && (found.function.is_some() || theirs.iter().any(|field| row.has(field)))
}

/// Gathers cases out of whatever shape `value` has.
fn collect(value: &Value, found: &mut Found, depth: usize) -> Result<(), String> {
    if depth > 6 {
        return Ok(());
    }
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(()),
        Value::String(text) => {
            let inner = match large::from_str(text) {
                Ok(inner) => inner,
                Err(_) => {
                    let unpacked = packed::unpack(text)?;
                    large::from_str(&unpacked).map_err(|error| format!("not JSON: {error}"))?
                }
            };
            if inner.is_string() {
                Err("a string of JSON that holds a string".to_owned())
            } else {
                collect(&inner, found, depth + 1)
            }
        }
        Value::Array(items) => items.iter().try_for_each(|item| collect_item(item, found, depth)),
        Value::Object(fields) => {
            if let Some(name) = fields.get("fn_name").and_then(Value::as_str) {
                found.function = Some(name.to_owned());
                found.wrapped = true;
            }
            let side = |names: &[&str]| names.iter().find_map(|name| fields.get(*name));
            match (side(&INPUT_FIELDS), side(&OUTPUT_FIELDS)) {
                (Some(inputs), Some(outputs)) => pair(inputs, outputs, fields.get("testtype"), found),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn collect_item(item: &Value, found: &mut Found, depth: usize) -> Result<(), String> {
    match item {
        // A case as a list of two: input and output.
        Value::Array(both) if both.len() == 2 => {
            found.cases.push((both[0].clone(), both[1].clone()));
            Ok(())
        }
        _ => collect(item, found, depth + 1),
    }
}

/// One input with one output, or as many of each.
fn pair(inputs: &Value, outputs: &Value, kind: Option<&Value>, found: &mut Found) -> Result<(), String> {
    let functional = kind.and_then(Value::as_str) == Some("functional");
    match (inputs, outputs) {
        (Value::Array(inputs), Value::Array(outputs)) => {
            if inputs.len() != outputs.len() {
                return Err(format!("{} inputs but {} outputs", inputs.len(), outputs.len()));
            }
            found.cases.extend(inputs.iter().cloned().zip(outputs.iter().cloned()));
        }
        (input, output) if functional => found.cases.push((json_lines(input), json_text(output))),
        (input, output) => found.cases.push((input.clone(), output.clone())),
    }
    Ok(())
}

/// LiveCodeBench writes the arguments of a call as one JSON value a line.
fn json_lines(value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let values: Result<Vec<Value>, _> = lines.map(large::from_str).collect();
    values.map_or_else(|_| value.clone(), Value::Array)
}

fn json_text(value: &Value) -> Value {
    match value {
        Value::String(text) => large::from_str(text).unwrap_or_else(|_| value.clone()),
        other => other.clone(),
    }
}

fn stdio_cases(cases: &[(Value, Value)]) -> Result<Vec<StdioCase>, String> {
    let case = |(input, output): &(Value, Value)| Some(StdioCase { input: as_text(input)?, output: as_text(output)? });
    cases.iter().map(case).collect::<Option<_>>().ok_or_else(|| "a case that is neither text nor lines".to_owned())
}

/// What stands on stdin or stdout: text, a list of lines, or a number.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(large::digits(text).unwrap_or(text).to_owned()),
        Value::Array(lines) => lines.iter().map(as_text).collect::<Option<Vec<_>>>().map(|lines| lines.join("\n")),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(if *truth { "True" } else { "False" }.to_owned()),
        Value::Null => Some(String::new()),
        Value::Object(_) => None,
    }
}

/// The first reference solution, wherever a row keeps it.
fn canonical(row: &Row) -> Option<String> {
    if let Some(text) = row.text(&["canonical_solution", "solution", "reference_solution", "code"]) {
        return Some(text.to_owned());
    }
    let solutions = match row.get("solutions")? {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    match solutions {
        Value::Array(list) => list.iter().find_map(|item| match item {
            Value::Object(fields) => fields.get("solution").or_else(|| fields.get("code"))?.as_str().map(str::to_owned),
            other => other.as_str().map(str::to_owned),
        }),
        Value::Object(fields) => {
            // CodeContests: language numbers beside sources; 3 is Python 3.
            let sources = fields.get("solution")?.as_array()?;
            let languages = fields.get("language").and_then(Value::as_array);
            let is_python = |index: &usize| {
                languages.is_none_or(|all| all.get(*index).and_then(Value::as_u64).is_none_or(|number| number == 3))
            };
            let index = (0..sources.len()).find(is_python)?;
            sources[index].as_str().map(str::to_owned)
        }
        _ => None,
    }
}

/// The problem's own time limit.
fn seconds(row: &Row) -> Option<f64> {
    let limit = row.get("time_limit").or_else(|| row.get("time_limit_seconds"))?;
    let seconds = match limit {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.split_whitespace().next()?.parse().ok()?,
        Value::Object(fields) => {
            let whole = fields.get("seconds").and_then(Value::as_f64).unwrap_or(0.0);
            whole + fields.get("nanos").and_then(Value::as_f64).unwrap_or(0.0) / 1e9
        }
        _ => return None,
    };
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Problem, String> {
        let fields = serde_json::from_str(text).expect("the test's own JSON");
        problem(&Row { fields, number: 1 })
    }

    fn cases(text: &str) -> Vec<(String, String)> {
        match read(text).expect("a readable row").checks.remove(0) {
            Check::Stdio { cases, .. } => cases.into_iter().map(|case| (case.input, case.output)).collect(),
            other => panic!("not a stdio check: {other:?}"),
        }
    }

    #[test]
    fn every_published_shape_gives_the_same_cases() {
        let want = vec![("1\n".to_owned(), "2\n".to_owned()), ("3\n".to_owned(), "4\n".to_owned())];
        for row in [
            r#"{"input_output": {"inputs": ["1\n","3\n"], "outputs": ["2\n","4\n"]}}"#,
            r#"{"input_output": "{\"inputs\": [\"1\\n\",\"3\\n\"], \"outputs\": [\"2\\n\",\"4\\n\"]}"}"#,
            r#"{"inputs": ["1\n","3\n"], "outputs": ["2\n","4\n"]}"#,
            r#"{"tests": [{"input": "1\n", "output": "2\n"}, {"input": "3\n", "output": "4\n"}]}"#,
            r#"{"test_cases": [{"input": "1\n", "expected_output": "2\n"}, {"stdin": "3\n", "stdout": "4\n"}]}"#,
            r#"{"public_tests": {"input": ["1\n"], "output": ["2\n"]}, "private_tests": {"input": ["3\n"], "output": ["4\n"]}}"#,
            r#"{"public_test_cases": "[{\"input\":\"1\\n\",\"output\":\"2\\n\",\"testtype\":\"stdin\"}]", "private_test_cases": [{"input":"3\n","output":"4\n"}]}"#,
            r#"{"examples": [["1\n", "2\n"], ["3\n", "4\n"]]}"#,
        ] {
            assert_eq!(cases(row), want, "{row}");
        }
        assert_eq!(cases(r#"{"input": "1", "output": "2"}"#), [("1".to_owned(), "2".to_owned())]);
        assert_eq!(cases(r#"{"inputs": [["1","2"]], "outputs": [["3"]]}"#), [("1\n2".to_owned(), "3".to_owned())]);
    }

    #[test]
    fn a_function_name_asks_for_calls() {
        for row in [
            r#"{"input_output": {"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}}"#,
            r#"{"public_test_cases": [{"input": "1\n2", "output": "3", "testtype": "functional"}], "metadata": "{\"func_name\": \"add\"}"}"#,
        ] {
            match &read(row).expect("a readable row").checks[0] {
                Check::Asserts { source, .. } => assert!(source.contains("add"), "{source}"),
                other => panic!("not asserts: {other:?}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        assert!(read("{}").is_err_and(|why| why.contains("no inputs")));
        assert!(
            read(r#"{"input_output": {"inputs": ["1"], "outputs": []}}"#).is_err_and(|why| why.contains("1 inputs"))
        );
        assert!(read(r#"{"private_test_cases": "???"}"#).is_err_and(|why| why.contains("base64")));
        let cases = r#""public_test_cases": [{"input": "1", "output": "2"}]"#;
        assert!(read(&format!(r#"{{{cases}, "metadata": "{{oops"}}"#)).is_err_and(|why| why.contains("`metadata`")));
        for empty in ["null", "\"\"", "[]", "\"[]\""] {
            let row = format!(r#"{{{cases}, "private_test_cases": {empty}}}"#);
            assert!(read(&row).is_err_and(|why| why.contains("`private_test_cases` is empty")), "{row}");
        }
    }
}
