//! Sample inputs and outputs of programs that read standard input. Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::told::function_named;
use crate::agent::checks::compile;
use crate::task::StdioCase;

/// Sample inputs and the outputs that belong to them, for programs that read standard input.
pub(in crate::agent) fn stdio(prompt: &str) -> Vec<StdioCase> {
    static LABEL: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"(?i)^[\s#*_-]*(?:sample |example )?(?P<kind>input|output|stdin|stdout)(?: *(?:example|sample))?(?: *#?\d+)?[\s*_]*(?P<colon>:?)[\s*_]*(?P<rest>.*)$",
        )
    });
    static READS: LazyLock<Regex> = LazyLock::new(|| {
        compile(r"(?i)\b(?:stdin|standard input|standard output|stdout|print|prints|program|reads?)\b")
    });
    // What a function takes and gives is not read and printed.
    if function_named(prompt).is_some() && !READS.is_match(prompt) {
        return Vec::new();
    }
    let lines: Vec<&str> = prompt.lines().collect();
    let label = |line: &str| {
        let found = LABEL.captures(line)?;
        let rest = found["rest"].trim().to_owned();
        (rest.is_empty() || &found["colon"] == ":")
            .then(|| (matches!(found["kind"].to_ascii_lowercase().as_str(), "input" | "stdin"), rest))
    };
    let mut cases = Vec::new();
    let mut input: Option<String> = None;
    let mut at = 0;
    while at < lines.len() {
        let Some((is_input, rest)) = label(lines[at]) else {
            at += 1;
            continue;
        };
        let (block, used) = if rest.is_empty() {
            block(&lines[at + 1..], |line| label(line).is_some())
        } else {
            (format!("{rest}\n"), 0)
        };
        at += 1 + used;
        let usable = !block.trim().is_empty() && !block.lines().any(is_prose) && !is_assignment(&block);
        match (is_input, usable) {
            (true, true) => input = Some(block),
            (false, true) => cases.extend(input.take().map(|input| StdioCase { input, output: block })),
            (_, false) => input = None,
        }
    }
    cases
}

/// A fence's content, or the lines up to the next blank line or label.
fn block(lines: &[&str], is_label: impl Fn(&str) -> bool) -> (String, usize) {
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
        .take_while(|line| !line.trim().is_empty() && !is_label(line) && !line.trim_start().starts_with("```"))
        .collect();
    (joined(&body), blank + body.len())
}

fn joined(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// A line of a description rather than of data.
fn is_prose(line: &str) -> bool {
    static WORDS: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            r"\b(?:contains?|consists?|integers?|denot\w+|separated|lines?|numbers?|strings?|lists?|representing|an?|the|of)\b",
        )
    });
    let words = line
        .split_whitespace()
        .filter(|word| word.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, ',' | '.' | ':')))
        .count();
    words >= 3 && WORDS.find_iter(line).count() >= 2
}

fn is_assignment(block: &str) -> bool {
    static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| compile(r"^\w+ *= *\S"));
    ASSIGNMENT.is_match(block)
}
