//! MultiPL-E: HumanEval and MBPP in many languages. Python and JavaScript are judged as functions from outside; the
//! others come with a main program of asserts, which has to reach its end and print what only the judge knows.

use sha2::{Digest as _, Sha256};

use crate::hex::hex;
use crate::task::{Check, Language, StdioCase};

use super::functions::blank;
use super::rows::Row;
use super::{Assembly, Problem, Suite};

/// Types of Java's tuples, which are a library of a third party.
const JAVA_TUPLES: [&str; 6] = ["Pair<", "Triplet<", "Quartet<", "Quintet<", "Pair.with", "Triplet.with"];
const JAVA_TUPLES_IMPORT: &str = "import org.javatuples.*;";

pub(super) fn problem(row: &Row) -> Result<Problem, String> {
    let word = row.need(&["language", "lang"])?;
    let language = Language::from_fence_tag(word).ok_or_else(|| format!("the language `{word}` has no runner here"))?;
    let prompt = row.need(&["prompt"])?.replace(JAVA_TUPLES_IMPORT, "");
    let tests = row.need(&["tests", "test"])?.to_owned();
    if language == Language::Java && JAVA_TUPLES.iter().any(|name| prompt.contains(name) || tests.contains(name)) {
        return Err("it needs org.javatuples, a library of a third party".to_owned());
    }
    let entry = declared_name(language, &prompt).ok_or("no function is declared in the prompt")?;
    let base = Problem {
        names: vec![entry.clone()],
        entry: Some(entry),
        canonical: row.text(&["canonical_solution"]).map(str::to_owned),
        suite: Suite::MultiplE,
        ..blank(row, language)
    };
    let hidden = true;
    match language {
        Language::Python => Ok(Problem {
            checks: vec![Check::Asserts { source: tests, hidden }],
            assembly: Assembly::Continue,
            prompt,
            ..base
        }),
        Language::JavaScript => Ok(Problem {
            checks: vec![Check::TestSource { language, source: tests, hidden }],
            assembly: Assembly::Continue,
            prompt,
            ..base
        }),
        Language::TypeScript | Language::Rust | Language::Cpp | Language::Java | Language::Shell => {
            let (check, tests) = proved(language, &base.id, &tests)?;
            Ok(Problem {
                checks: vec![check],
                assembly: Assembly::Framed,
                texts: [("tests", tests)].into_iter().collect(),
                prompt,
                ..base
            })
        }
        _ => Err(format!("tests in {} are not run here", language.fence_tag())),
    }
}

/// Tests with a main program that print, where every assert has held, what only the check knows.
pub(super) fn proved(language: Language, id: &str, tests: &str) -> Result<(Check, String), String> {
    let proof = hex(&Sha256::digest(format!("{id}\n{tests}").as_bytes())[..12]);
    let case = StdioCase { input: String::new(), output: proof.clone() };
    Ok((Check::Stdio { cases: vec![case], hidden: true }, with_proof(language, tests, &proof)?))
}

/// The program of an answer and the tests around it.
pub(super) fn framed(problem: &Problem, answer: &str) -> String {
    let tests = problem.texts.get("tests").map_or("", String::as_str);
    let entry = problem.entry.as_deref().unwrap_or_default();
    let answer = without_main(problem.language, &answer.replace(JAVA_TUPLES_IMPORT, ""));
    if !declares(&answer, entry) {
        return format!("{}{answer}\n{tests}", problem.prompt);
    }
    // The tests begin by closing the function, which the answer has closed already.
    let tests = tests.trim_start().strip_prefix('}').unwrap_or(tests);
    if problem.language == Language::Java && answer.contains("class Problem") {
        let open = answer.trim_end().strip_suffix('}').unwrap_or(&answer).to_owned();
        let imports = problem.prompt.split("class Problem").next().unwrap_or_default();
        return format!("{imports}\n{open}\n{tests}");
    }
    format!("{}\n{answer}\n{tests}", before_declaration(&problem.prompt, entry))
}

/// The name of the function that a prompt ends with.
fn declared_name(language: Language, prompt: &str) -> Option<String> {
    let line = prompt.lines().rev().find(|line| is_declaration(language, line))?;
    let before = line.split('(').next()?.trim_end();
    let name: String = before.chars().rev().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let name: String = name.chars().rev().collect();
    (!name.is_empty()).then_some(name)
}

fn is_declaration(language: Language, line: &str) -> bool {
    let text = line.trim();
    match language {
        Language::Python => text.starts_with("def "),
        _ => {
            let comment = text.starts_with("//") || text.starts_with('#') || text.starts_with('*');
            text.contains('(') && text.ends_with('{') && !comment
        }
    }
}

/// The prompt up to the line that declares the function.
pub(super) fn before_declaration<'a>(prompt: &'a str, entry: &str) -> &'a str {
    let call = format!("{entry}(");
    let mut at = prompt.len();
    let mut offset = 0;
    for line in prompt.split_inclusive('\n') {
        let text = line.trim();
        if text.ends_with('{') && text.contains(&call) {
            at = offset;
        }
        offset += line.len();
    }
    &prompt[..at]
}

/// Whether an answer declares the function itself and not merely calls it.
pub(super) fn declares(answer: &str, entry: &str) -> bool {
    let call = format!("{entry}(");
    answer.lines().any(|line| {
        let text = line.trim();
        let named = text.contains(&call) || text.contains(&format!("{entry} (")) || text == format!("function {entry}");
        let calls = text.ends_with(';') || text.starts_with("//") || text.starts_with('#') || text.contains('=');
        named && !calls && (text.ends_with('{') || text.ends_with(')') || text.contains(") {"))
    })
}

/// An answer without a main program of its own: the tests bring one.
pub(super) fn without_main(language: Language, answer: &str) -> String {
    let opening: &[&str] = match language {
        Language::Rust => &["fn main()"],
        Language::Cpp => &["int main("],
        Language::Java => &["public static void main("],
        _ => &[],
    };
    let Some(at) = opening.iter().find_map(|opening| answer.find(opening)) else { return answer.to_owned() };
    let mut depth = 0_i32;
    for (index, sign) in answer[at..].char_indices() {
        match sign {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return format!("{}{}", &answer[..at], &answer[at + index + 1..]);
                }
            }
            _ => {}
        }
    }
    answer[..at].to_owned()
}

/// The tests, printing the proof where every assert has held.
fn with_proof(language: Language, tests: &str, proof: &str) -> Result<String, String> {
    let inside = |nth: usize, statement: &str| {
        let at = tests.rmatch_indices('}').nth(nth).map(|(at, _)| at).ok_or("the tests have no main program")?;
        Ok(format!("{}{statement}\n{}", &tests[..at], &tests[at..]))
    };
    match language {
        Language::Rust => inside(0, &format!("    println!(\"{proof}\");")),
        Language::Cpp => inside(0, &format!("    puts(\"{proof}\");")),
        // Asserts of Java are off unless asked for.
        Language::Java => inside(1, &format!("    System.out.println(\"{proof}\");")).map(|text| java_asserts(&text)),
        Language::Shell => Ok(format!("{tests}\necho {proof}\n")),
        _ => Ok(format!("{tests}\nconsole.log(\"{proof}\");\n")),
    }
}

fn java_asserts(tests: &str) -> String {
    let line = |line: &str| match line.trim().strip_prefix("assert(").and_then(|rest| rest.strip_suffix(");")) {
        Some(condition) => format!("    if (!({condition})) throw new AssertionError();\n"),
        None => format!("{line}\n"),
    };
    tests.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Problem, String> {
        problem(&Row { fields: serde_json::from_str(text).expect("the test's own JSON"), number: 1 })
    }

    const RUST: &str = r#"{"name":"a","language":"rs","prompt":"/// Adds (really).\nfn add(a: isize) -> isize {\n",
        "tests":"}\n\nfn main() {\n    assert_eq!(add(1), 2);\n}\n"}"#;

    #[test]
    fn a_body_and_a_whole_function_become_the_same_kind_of_program() {
        let problem = read(RUST).expect("a row");
        assert_eq!(problem.entry.as_deref(), Some("add"));
        let body = framed(&problem, "    a + 1");
        assert!(body.contains("isize {\n    a + 1\n}") && body.contains("println!"), "{body}");
        let whole = framed(&problem, "fn add(a: isize) -> isize {\n    a + 1\n}\n\nfn main() {\n    add(1);\n}\n");
        assert_eq!(whole.matches("fn main").count(), 1, "{whole}");
        assert_eq!(whole.matches("fn add").count(), 1, "{whole}");
        assert_eq!(whole.matches('{').count(), whole.matches('}').count(), "{whole}");
    }

    #[test]
    fn java_is_asked_for_its_asserts_and_needs_no_third_party() {
        let row = r#"{"name":"a","language":"java","prompt":"import java.util.*;\nimport org.javatuples.*;\nclass Problem {\n    public static long add(long a) {\n",
            "tests":"    }\n    public static void main(String[] args) {\n    assert(add((1l)) == (2l));\n    }\n\n}\n"}"#;
        let problem = read(row).expect("a row");
        let whole =
            framed(&problem, "class Problem {\n    public static long add(long a) {\n        return a + 1;\n    }\n}");
        assert!(whole.contains("if (!(add((1l)) == (2l))) throw") && !whole.contains("javatuples"), "{whole}");
        assert_eq!(whole.matches('{').count(), whole.matches('}').count(), "{whole}");
        assert!(read(&row.replace("(2l)", "Pair.with(1, 2)")).is_err_and(|why| why.contains("third party")));
    }

    #[test]
    fn a_language_without_a_runner_is_named() {
        assert!(read(&RUST.replace("\"rs\"", "\"lua\"")).is_err_and(|why| why.contains("`lua`")));
        assert!(read(&RUST.replace("\"rs\"", "\"go\"")).is_err_and(|why| why.contains("not run")));
    }
}
