//! What a row looks like that no suite can use, and which of that suite's columns it lacks. Pure.

use super::rows::Row;

/// The columns of the suites, each under any of its names; enough to tell what is missing.
const COLUMNS: [(&str, &[&[&str]]); 9] = [
    ("humaneval", &[&["prompt"], &["entry_point"], &["test"]]),
    ("mbpp", &[&["text", "prompt"], &["code"], &["test_list"]]),
    ("bigcodebench", &[&["instruct_prompt", "code_prompt"], &["entry_point"], &["test"]]),
    ("humanevalpack", &[&["declaration"], &["buggy_solution"], &["test"]]),
    ("multiple", &[&["prompt"], &["language"], &["tests"]]),
    ("cruxeval", &[&["code"], &["input"], &["output"]]),
    ("gpqa", &[&["Question", "question"], &["Correct Answer", "correct_answer", "choices", "options"]]),
    ("math", &[&["problem"], &["answer"]]),
    (
        "stdio",
        &[&["question_content", "question", "description"], &["input_output", "public_test_cases", "public_tests"]],
    ),
];

/// Why a row can be read as no suite.
pub(super) fn missing(row: &Row) -> String {
    if row.has("question") && row.has("answer") {
        return "it looks like a row of gsm8k whose `answer` has no `####` (--suite math takes an answer alone)"
            .to_owned();
    }
    let lacks = |columns: &[&[&str]]| -> Vec<String> {
        let absent = columns.iter().filter(|names| !names.iter().any(|name| row.has(name)));
        absent.map(|names| format!("`{}`", names.join("` or `"))).collect()
    };
    let of = |(name, columns): &(&'static str, &'static [&'static [&'static str]])| {
        let lacks = lacks(columns);
        (lacks.len() < columns.len()).then(|| (lacks.len(), *name, lacks.join(" and ")))
    };
    // Of suites that lack as little the first one named.
    match COLUMNS.iter().filter_map(of).min_by_key(|(count, ..)| *count) {
        Some((_, name, lacks)) if !lacks.is_empty() => format!("it looks like a row of {name} without {lacks}"),
        _ => {
            let names: Vec<String> = row.fields.keys().take(8).map(|name| format!("`{name}`")).collect();
            format!("no suite has such columns: {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_suite_s_missing_column_is_named() {
        for (text, wanted) in [
            (r#"{"problem":"p","level":5}"#, "math without `answer`"),
            (r#"{"question":"q","answer":"4"}"#, "gsm8k whose `answer` has no `####`"),
            (r#"{"prompt":"p","entry_point":"f"}"#, "humaneval without `test`"),
            (r#"{"text":"p","code":"c"}"#, "mbpp without `test_list`"),
            (r#"{"question":"q"}"#, "gpqa without `Correct Answer`"),
            (r#"{"foo":1}"#, "no suite has such columns: `foo`"),
        ] {
            let row = Row { fields: serde_json::from_str(text).expect("the test's own JSON"), number: 1 };
            assert!(missing(&row).contains(wanted), "{text}: {}", missing(&row));
        }
    }
}
