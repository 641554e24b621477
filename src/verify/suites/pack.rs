//! HumanEvalPack (HumanEval-X with buggy solutions), in every language it comes in.

use std::collections::BTreeMap;

use crate::task::{Check, Language};

use super::functions::{before_last_declaration, blank, humaneval};
use super::rows::Row;
use super::{Assembly, Problem, Suite, multiple};

/// What some problems in C++ need besides the language.
const LIBRARIES: [&str; 2] = ["boost", "openssl"];
/// What the published runner includes before every program in C++, without the functions on plain C strings: an answer
/// may be called `strlen`, and would not be what is called.
const CPP_SETUP: &str = "\
#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <list>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <sstream>
#include <stack>
#include <string>
#include <vector>
using namespace std;
";

pub(super) fn humanevalpack(row: &Row) -> Result<Problem, String> {
    let language = language(row)?;
    let declaration = row.text(&["declaration", "prompt"]).unwrap_or_default();
    let wrong = row.text(&["buggy_solution"]).map(|body| format!("{declaration}{body}"));
    let mut texts: BTreeMap<&'static str, String> = wrong.into_iter().map(|code| ("buggy", code)).collect();
    if let Some(words) = row.text(&["docstring"]) {
        texts.insert("docstring", words.to_owned());
    }
    let group = row.text(&["bug_type"]).map(str::to_owned);
    if language == Language::Python {
        return Ok(Problem { suite: Suite::HumanEvalPack, group, texts, ..humaneval(row)? });
    }
    let prompt = row.need(&["prompt", "declaration"])?.to_owned();
    let entry = row.text(&["entry_point"]).map(str::to_owned);
    let setup = row.text(&["test_setup"]).unwrap_or_default();
    let source = format!("{setup}{}", row.need(&["test"])?);
    if matches!(language, Language::Cpp | Language::Java) {
        if let Some(library) = LIBRARIES.iter().find(|name| prompt.contains(**name) || source.contains(**name)) {
            return Err(format!("it needs {library}, a library of a third party"));
        }
        let (check, tests) = multiple::proved(language, &row.id(), &source)?;
        texts.insert("tests", tests);
        return Ok(Problem {
            names: entry.iter().cloned().collect(),
            entry,
            checks: vec![check],
            canonical: row.text(&["canonical_solution"]).map(str::to_owned),
            buggy: row.text(&["buggy_solution"]).map(str::to_owned),
            assembly: Assembly::Framed,
            prompt,
            suite: Suite::HumanEvalPack,
            group,
            texts,
            ..blank(row, language)
        });
    }
    Ok(Problem {
        // Some rows spell the entry point otherwise than their own tests do.
        entry: entry.filter(|entry| source.contains(entry.as_str())),
        helpers: before_last_declaration(language, &prompt),
        checks: vec![Check::TestSource { language, source, hidden: true }],
        canonical: row.text(&["canonical_solution"]).map(str::to_owned),
        buggy: row.text(&["buggy_solution"]).map(str::to_owned),
        assembly: Assembly::Continue,
        prompt,
        suite: Suite::HumanEvalPack,
        group,
        texts,
        ..blank(row, language)
    })
}

/// The program of an answer in C++ or Java and the tests around it; their main program prints the proof.
pub(super) fn framed(problem: &Problem, answer: &str) -> String {
    let tests = problem.texts.get("tests").map_or("", String::as_str);
    let entry = problem.entry.as_deref().unwrap_or_default();
    let answer = multiple::without_main(problem.language, answer);
    if problem.language == Language::Java {
        let whole = if answer.contains("class Solution") { answer } else { format!("{}{answer}", problem.prompt) };
        // A file that is run as it is begins with the class that has the main program; imports stand before all.
        let (imports, rest): (Vec<&str>, Vec<&str>) =
            problem.prompt.lines().chain(whole.lines()).partition(|line| line.starts_with("import "));
        let rest = &rest[problem.prompt.lines().filter(|line| !line.starts_with("import ")).count()..];
        return format!("{}\n{tests}\n{}\n", imports.join("\n"), rest.join("\n"));
    }
    let front = if multiple::declares(&answer, entry) {
        multiple::before_declaration(&problem.prompt, entry)
    } else {
        &problem.prompt
    };
    format!("{CPP_SETUP}{front}{answer}\n{tests}")
}

/// The language, from a field of its own or from an id like `JavaScript/12`.
fn language(row: &Row) -> Result<Language, String> {
    let named = row.text(&["language", "lang", "programming_language"]).map(str::to_owned);
    let id = row.id();
    let word = named.or_else(|| id.split_once('/').map(|(word, _)| word.to_owned()));
    let word = word.ok_or("neither a field `language` nor an id like `Python/0`")?;
    let word = if word.eq_ignore_ascii_case("humaneval") { "python" } else { &word };
    Language::from_fence_tag(word).ok_or_else(|| format!("the language `{word}` is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Problem, String> {
        humanevalpack(&Row { fields: serde_json::from_str(text).expect("the test's own JSON"), number: 1 })
    }

    #[test]
    fn java_begins_with_the_class_of_the_tests() {
        let row = r#"{"task_id":"Java/0","prompt":"import java.util.*;\n\nclass Solution {\n    public int add(int a) {\n","declaration":"class Solution {\n    public int add(int a) {\n","entry_point":"add","test":"public class Main {\n    public static void main(String[] args) {\n        if (new Solution().add(1) != 2) throw new AssertionError();\n    }\n}"}"#;
        let problem = read(row).expect("a row");
        for answer in [
            "        return a + 1;\n    }\n}",
            "import java.math.*;\nclass Solution {\n    public int add(int a) {\n        return a + 1;\n    }\n}",
        ] {
            let whole = framed(&problem, answer);
            assert!(whole.starts_with("import java.util.*;\n"), "{whole}");
            assert!(whole.find("class Main") < whole.find("class Solution"), "{whole}");
            assert_eq!(whole.matches("class Solution").count(), 1, "{whole}");
            assert_eq!(whole.matches('{').count(), whole.matches('}').count(), "{whole}");
        }
    }

    #[test]
    fn a_body_and_a_whole_function_in_cpp_are_one_program() {
        let row = r##"{"task_id":"CPP/0","prompt":"/*\nAdds.\n*/\n#include<string>\nusing namespace std;\nint add(int a){\n","declaration":"int add(int a){\n","entry_point":"add","test":"#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (add(1) == 2);\n}\n"}"##;
        let problem = read(row).expect("a row");
        for answer in ["    return a + 1;\n}\n", "int add(int a) {\n    return a + 1;\n}\nint main() { return 0; }\n"] {
            let whole = framed(&problem, answer);
            assert_eq!((whole.matches("int add(").count(), whole.matches("int main(").count()), (1, 1), "{whole}");
            assert!(whole.contains("puts(\""), "{whole}");
        }
        assert!(read(&row.replace("<string>", "<boost/any.hpp>")).is_err_and(|why| why.contains("boost")));
    }
}
