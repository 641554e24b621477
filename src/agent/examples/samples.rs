//! Sample inputs and outputs of programs that read standard input. Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::told::function_named;
use crate::agent::checks::compile;
use crate::task::StdioCase;

/// Sample inputs and the outputs that belong to them, for programs that read standard input.
pub(in crate::agent) fn stdio(prompt: &str) -> Vec<StdioCase> {
    if !is_of_a_program(prompt) {
        return Vec::new();
    }
    let lines: Vec<&str> = prompt.lines().collect();
    // Where samples have a heading of their own, what stands before it is described.
    let samples_from = lines.iter().position(|line| heads_samples(line)).unwrap_or(0);
    let mut cases = Vec::new();
    let mut input: Option<String> = None;
    let mut at = samples_from;
    while at < lines.len() {
        let Some((is_input, rest)) = label(lines[at]) else {
            at += 1;
            continue;
        };
        let (block, used) = if rest.is_empty() { block(&lines[at + 1..]) } else { (format!("{rest}\n"), 0) };
        at += 1 + used;
        match (is_input, is_data(&block)) {
            (true, true) => input = Some(block),
            (false, true) => cases.extend(input.take().map(|input| StdioCase { input, output: block })),
            (_, false) => input = None,
        }
    }
    cases
}

/// Whether what goes in and comes out is read and printed: what a function takes and gives is not, and its labels say nothing
/// of that.
fn is_of_a_program(prompt: &str) -> bool {
    static READS: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)\b(?:stdin|standard input|standard output|stdout|prints?|outputs?|program|reads?)\b")
    });
    static NEVER: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)\b(?:do not|don't|not|instead of|without)\s+(?:need to\s+)?(?:print|read)\w*"));
    static FUNCTION: LazyLock<Regex> = LazyLock::new(|| {
        compile(concat!(
            r"(?i)\b(?:functions?|methods?|class|query|table|implement `?\w+`?\b|convert this|json|returns?|pandas|dataframe",
            r"|pytorch|algorithm)\b"
        ))
    });
    static LABELS: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?im)^.*\b(?:input|output)\b\s*(?:\d+\s*)?:.*$|^\W*(?:sample |example )?(?:input|output)\W*$")
    });
    let words = LABELS.replace_all(prompt, "");
    let reads = READS.is_match(&NEVER.replace_all(&words, ""));
    reads || (function_named(prompt).is_none() && !FUNCTION.is_match(prompt))
}

/// Whether a line heads samples: "Examples", "Sample Input 1".
fn heads_samples(line: &str) -> bool {
    static HEADING: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)^\W*(?:examples?|samples?)\b[\W\d]*$|^\W*(?:sample|example) (?:input|output)"));
    HEADING.is_match(line)
}

/// Whether a line labels an input (or an output), and what stands behind the label.
fn label(line: &str) -> Option<(bool, String)> {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^[\s#*_-]*(?:sample |example )?(?P<kind>input|output|stdin|stdout)(?: *(?:example|sample))?(?: *#?\d+)?[\s*_]*(?P<colon>:?)[\s*_]*(?P<rest>.*)$",
        )
    });
    let found = LABEL.captures(line)?;
    let rest = found["rest"].trim().to_owned();
    let is_input = matches!(found["kind"].to_ascii_lowercase().as_str(), "input" | "stdin");
    (rest.is_empty() || &found["colon"] == ":").then_some((is_input, rest))
}

/// Whether a line ends a sample: another label, an explanation.
fn ends_sample(line: &str) -> bool {
    static EXPLAINS: LazyLock<Regex> =
        LazyLock::new(|| compile(r"(?i)^\W*(?:explanation|note|constraints|example|hint)\b[\w ]*(?::|\W*$)"));
    label(line).is_some() || EXPLAINS.is_match(line)
}

/// Whether a block can be given to a program, rather than described, assigned or typed into a shell.
fn is_data(block: &str) -> bool {
    let text = block.trim_start();
    let commands = text.starts_with(['`', '$']) || text.starts_with("./");
    !text.is_empty() && !commands && !block.lines().any(is_prose) && !is_assignment(block)
}

/// A fence's content, or the lines up to the next blank line or label.
fn block(lines: &[&str]) -> (String, usize) {
    let blank = lines.iter().take_while(|line| line.trim().is_empty()).count();
    let rest = &lines[blank..];
    if rest.first().is_some_and(|line| line.trim_start().starts_with("```")) {
        let body: Vec<&str> =
            rest[1..].iter().copied().take_while(|line| !line.trim_start().starts_with("```")).collect();
        return (joined(&body), blank + body.len() + 2);
    }
    let body: Vec<&str> = rest
        .iter()
        .copied()
        .take_while(|line| !line.trim().is_empty() && !ends_sample(line) && !line.trim_start().starts_with("```"))
        .collect();
    (joined(&body), blank + body.len())
}

/// Lines without the margin that all have.
fn joined(lines: &[&str]) -> String {
    let margin = |line: &&&str| line.len() - line.trim_start_matches(' ').len();
    let margin = lines.iter().filter(|line| !line.trim().is_empty()).map(|line| margin(&line)).min().unwrap_or(0);
    lines.iter().flat_map(|line| [line.get(margin..).unwrap_or("").trim_end(), "\n"]).collect()
}

/// A line of a description rather than of data.
fn is_prose(line: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"\b(?:contains?|consists?|integers?|denot\w+|separated|lines?|numbers?|strings?|lists?|representing|an?|the|of)\b",
        )
    });
    static SORTS: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^(?:(?:a|an|the|their|its|two|three|some|n|any|sorted|compressed|dict|single)\s+)*(?:\w+\s+){0,2}(?:integers?|strings?|sums?|numbers?|lists?|arrays?|floats?|booleans?|bool|int|str|graph|dict(?:ionary)?|images?|labels?|matrix|tuples?|celsius|fahrenheit|distances?)\W*(?:\s+of\s+\w+)?$|^[\w-]+\.(?:csv|json|txt|ya?ml|xml|png|html)$",
        )
    });
    static ARTICLE: LazyLock<Regex> = LazyLock::new(|| compile(r"^(?:an?|its|their) (?:\w+ ?){1,5}\.?$"));
    let words = line
        .split_whitespace()
        .filter(|word| word.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ',' | '.' | ':')))
        .count();
    if ARTICLE.is_match(line.trim()) && !line.contains(|c: char| c.is_ascii_digit()) {
        return true;
    }
    let described = !line.contains(|c: char| c.is_ascii_digit()) && SORTS.is_match(line.trim());
    described || line.contains("in the following format") || (words >= 3 && WORDS.find_iter(line).count() >= 2)
}

fn is_assignment(block: &str) -> bool {
    static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| compile(r"^\w+ *= *\S"));
    ASSIGNMENT.is_match(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cases(prompt: &str, expected: &[(&str, &str)]) {
        let found = stdio(prompt);
        let pairs: Vec<(&str, &str)> = found.iter().map(|case| (case.input.as_str(), case.output.as_str())).collect();
        assert_eq!(pairs, expected, "{prompt}");
    }

    #[test]
    fn cases_by_label_and_fence() {
        let prompt =
            "### Sample Input 1\n```\n3\n1 2 3\n```\n### Sample Output 1\n```\n6\n```\n\nInput: 5\nOutput: 25\n";
        cases(prompt, &[("3\n1 2 3\n", "6\n"), ("5\n", "25\n")]);
        cases(
            "Read words.\n\nInput:\nthe quick fox\nOutput:\nfox quick the\n",
            &[("the quick fox\n", "fox quick the\n")],
        );
        cases("A program.\n\nSample Input\n\n    2\n    3 4\n\nSample Output\n\n    7\n", &[("2\n3 4\n", "7\n")]);
        cases("Read it.\nInput:\n1 2\nOutput:\n3\nExplanation: 1 + 2\n", &[("1 2\n", "3\n")]);
    }

    #[test]
    fn what_a_function_takes_is_not_read() {
        cases("Write a Python function to find the factorial.\nInput: 5\nOutput: 120", &[]);
        cases("Write reverse(s). Return it, do not print.\nInput: 5\nOutput: 120", &[]);
        cases("Given a string, return it reversed.\nInput: \"abc\"\nOutput: \"cba\"", &[]);
    }

    #[test]
    fn what_is_described_is_no_sample() {
        cases("Input: two integers\nOutput: their sum", &[]);
        cases("A program.\nInput: data.csv\nOutput: data.json", &[]);
        cases("A script.\nInput: a URL\nOutput: the title", &[]);
        cases("A tool.\nInput: `./tool --version`\nOutput: `tool 1.0`", &[]);
        let codeforces = "Input\nEach test contains multiple test cases.\n\nOutput\nPrint one number.\n\nExample\nInput\n1 2\nOutput\n3\n";
        cases(codeforces, &[("1 2\n", "3\n")]);
    }
}
