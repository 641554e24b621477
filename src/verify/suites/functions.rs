//! Python suites that test functions: HumanEval, MBPP, CRUXEval; and what all function suites share.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::task::{Check, Language};

use super::rows::{Row, no_text};
use super::{Assembly, Gold, Problem, Suite};

/// A problem with nothing filled in but its row's name.
pub(super) fn blank(row: &Row, language: Language) -> Problem {
    Problem {
        id: row.id(),
        language,
        prompt: String::new(),
        checks: Vec::new(),
        entry: None,
        names: Vec::new(),
        helpers: String::new(),
        canonical: None,
        buggy: None,
        assembly: Assembly::Whole,
        seconds: None,
        float_tolerance: None,
        suite: Suite::HumanEval,
        group: None,
        subject: None,
        date: None,
        visible: Vec::new(),
        gold: Gold::Program,
        options: Vec::new(),
        texts: BTreeMap::new(),
    }
}

pub(super) fn humaneval(row: &Row) -> Result<Problem, String> {
    let prompt = row.need(&["prompt", "complete_prompt"])?.to_owned();
    let entry = row.need(&["entry_point"])?.to_owned();
    let source = row.need(&["test"])?.to_owned();
    Ok(Problem {
        helpers: before_last_declaration(Language::Python, &prompt),
        names: vec![entry.clone()],
        entry: Some(entry),
        checks: vec![Check::Asserts { source, hidden: true }],
        canonical: row.text(&["canonical_solution"]).map(str::to_owned),
        buggy: row.text(&["buggy_solution"]).map(str::to_owned),
        visible: doctests(&prompt).map(|source| Check::Asserts { source, hidden: false }).into_iter().collect(),
        assembly: Assembly::Continue,
        prompt,
        ..blank(row, Language::Python)
    })
}

/// Library use: the words of `instruct_prompt`, an answer that begins as `code_prompt` does, unittest tests.
pub(super) fn bigcodebench(row: &Row) -> Result<Problem, String> {
    let base = humaneval(row)?;
    let code = row.text(&["code_prompt"]).unwrap_or(&base.prompt).to_owned();
    let instruct = row.text(&["instruct_prompt"]).unwrap_or(&base.prompt).to_owned();
    let canonical = base.canonical.as_ref().map(|body| format!("{code}{body}"));
    let texts = BTreeMap::from([("instruct", instruct), ("code", code), ("complete", base.prompt.clone())]);
    // The answer is a whole program; what the words begin it with is part of it.
    Ok(Problem { assembly: Assembly::Whole, suite: Suite::BigCodeBench, canonical, visible: Vec::new(), texts, ..base })
}

/// The examples of a docstring: every `>>>` line with what is shown below it.
fn doctests(prompt: &str) -> Option<String> {
    let mut found = String::new();
    let mut inside = false;
    for line in prompt.lines() {
        let text = line.trim_start();
        let ends = text.is_empty() || text.starts_with("\"\"\"") || text.starts_with("'''");
        inside = text.starts_with(">>> ") || (inside && !ends);
        if inside {
            found.push_str(text);
            found.push('\n');
        }
    }
    (!found.is_empty()).then_some(found)
}

pub(super) fn mbpp(row: &Row) -> Result<Problem, String> {
    let mut tests = Vec::new();
    for field in ["test_imports", "test_setup_code"] {
        tests.extend(texts(row.get(field)));
    }
    let setup = tests.len();
    for field in ["test_list", "assertion", "challenge_test_list"] {
        tests.extend(texts(row.get(field)));
    }
    if tests.len() == setup {
        return Err("no asserts in the field `test_list`".to_owned());
    }
    let canonical = row.text(&["code", "canonical_solution", "solution"]).map(str::to_owned);
    let (prompt, shown) = mbpp_words(row.text(&["text", "prompt"]).unwrap_or_default());
    // One test says how the function is called, as the published prompts do; the others stay hidden.
    let shown = shown.or_else(|| tests.get(setup).and_then(|test| test.trim().lines().next()).map(str::to_owned));
    let before: Vec<String> = tests[..setup].to_vec();
    let visible = before.into_iter().chain(shown.clone()).collect::<Vec<_>>().join("\n").replace('\r', "");
    let mut checks = vec![Check::Asserts { source: tests.join("\n").replace('\r', ""), hidden: true }];
    // MBPP+ brings its many inputs as a program of their own.
    if let Some(more) = row.text(&["test"]) {
        checks.push(Check::Asserts { source: more.replace('\r', ""), hidden: true });
    }
    let entry = row.text(&["entry_point"]).map(str::to_owned);
    let names = canonical.as_deref().map(top_level_names).unwrap_or_default();
    Ok(Problem {
        prompt,
        names: if names.is_empty() { entry.into_iter().collect() } else { names },
        checks,
        visible: vec![Check::Asserts { source: visible, hidden: false }],
        texts: shown.map(|test| ("example", test.replace('\r', ""))).into_iter().collect(),
        suite: Suite::Mbpp,
        canonical,
        buggy: row.text(&["buggy_solution"]).map(str::to_owned),
        ..blank(row, Language::Python)
    })
}

/// The words of a problem and the test that they show: EvalPlus writes both into one docstring.
fn mbpp_words(text: &str) -> (String, Option<String>) {
    let plain = text.replace('\r', "");
    let Some(inner) = plain.trim().strip_prefix("\"\"\"").and_then(|rest| rest.strip_suffix("\"\"\"")) else {
        return (plain, None);
    };
    let at = inner.find("\nassert ").unwrap_or(inner.len());
    let (words, tests) = inner.split_at(at);
    let tests = tests.trim();
    (words.trim().to_owned(), (!tests.is_empty()).then(|| tests.to_owned()))
}

pub(super) fn cruxeval(row: &Row) -> Result<Problem, String> {
    // A call without arguments has an empty input.
    let input = row.text(&["input"]).ok_or_else(|| no_text(&["input"]))?;
    let output = row.need(&["output"])?;
    let code = row.text(&["code"]).unwrap_or_default().to_owned();
    Ok(Problem {
        prompt: code.clone(),
        gold: Gold::Output,
        suite: Suite::Cruxeval,
        texts: BTreeMap::from([("code", code), ("input", input.to_owned()), ("output", output.to_owned())]),
        entry: Some("f".to_owned()),
        names: vec!["f".to_owned()],
        checks: vec![Check::Asserts { source: format!("assert f({input}) == {output}"), hidden: true }],
        canonical: row.text(&["code"]).map(str::to_owned),
        ..blank(row, Language::Python)
    })
}

/// A string, or a list of strings.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) if !text.trim().is_empty() => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

/// The functions and classes that Python source defines at its outermost level.
fn top_level_names(source: &str) -> Vec<String> {
    let starts = ["def ", "async def ", "class "];
    let name = |line: &str| {
        let rest = starts.iter().find_map(|start| line.strip_prefix(start))?;
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        (end > 0).then(|| rest[..end].to_owned())
    };
    source.lines().filter_map(name).collect()
}

/// How a declaration begins, by language.
fn openings(language: Language) -> &'static [&'static str] {
    match language {
        Language::Python => &["def ", "async def ", "class ", "@"],
        Language::JavaScript | Language::TypeScript => {
            &["const ", "let ", "var ", "function ", "function* ", "async function ", "class ", "export "]
        }
        Language::Rust => &["fn ", "pub fn ", "impl ", "struct ", "pub struct ", "enum ", "trait "],
        Language::Go => &["func ", "type "],
        _ => &[],
    }
}

/// The code in front of the last declaration of a prompt: its imports and helpers, without the function that
/// is to be completed (whose text ends in the middle).
pub(super) fn before_last_declaration(language: Language, prompt: &str) -> String {
    let mut kept = 0;
    let mut offset = 0;
    let mut decorated = false;
    for line in prompt.split_inclusive('\n') {
        let text = if language == Language::Python { line } else { line.trim_start() };
        if openings(language).iter().any(|opening| text.starts_with(opening)) {
            if !decorated {
                kept = offset;
            }
            decorated = text.starts_with('@');
        }
        offset += line.len();
    }
    prompt[..kept].to_owned()
}

/// Whether this code declares the name itself.
pub(super) fn declares(language: Language, code: &str, name: &str) -> bool {
    code.lines().any(|line| {
        // Only at the outermost level: a helper inside may have the same name.
        let line = line.trim_start_matches("export ").trim_start_matches("pub ");
        openings(language).iter().any(|opening| {
            line.strip_prefix(opening).is_some_and(|rest| {
                rest.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_are_what_stands_before_the_function_to_complete() {
        let prompt = "import math\n\ndef poly(xs, x):\n    return 1\n\n\ndef find_zero(xs):\n    \"\"\" find x\n";
        assert_eq!(
            before_last_declaration(Language::Python, prompt),
            "import math\n\ndef poly(xs, x):\n    return 1\n\n\n"
        );
        let script = "const poly = (a) => {\n  return a;\n}\n\n/* doc */\nconst findZero = (xs) => {\n";
        assert!(before_last_declaration(Language::JavaScript, script).ends_with("/* doc */\n"));
    }

    #[test]
    fn names_and_declarations_are_found() {
        assert_eq!(top_level_names("import x\ndef sum(a):\n  def in_(): 0\nclass Pair(object):\n  0"), ["sum", "Pair"]);
        assert!(declares(Language::Rust, "pub fn add(a: i32)", "add"));
        assert!(!declares(Language::JavaScript, "const addAll = 1", "add"));
    }
}
