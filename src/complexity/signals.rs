//! What the task's words show about its difficulty: counted, weighted, explained. Pure.
//!
//! Not for: learning the weights; every feature is kept in the transcript so that a learned judge can
//! replace this table.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

/// What is known of a task before any token is spent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub prompt: &'a str,
    /// The task changes a project (rather than asking for a program of its own).
    pub project: bool,
}

/// The judgement from words alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// Simple, moderate, complex; sums to 1.
    pub probabilities: [f32; 3],
    /// Strongest first.
    pub reasons: Vec<String>,
    pub features: Vec<(String, f32)>,
}

impl Signals {
    /// Probability of the likeliest level.
    pub fn certainty(&self) -> f32 {
        self.probabilities.iter().copied().fold(0.0, f32::max)
    }
}

/// One row of the table: a feature, what a unit of it weighs, up to how many units count, and its words.
#[expect(clippy::struct_field_names, reason = "`weight` is the field's name for what a unit counts")]
struct Weight {
    feature: &'static str,
    weight: f32,
    units_max: f32,
    reason: &'static str,
}

/// The whole judgement. A score below 0 is simple, above [`COMPLEX_AT`] complex.
const WEIGHTS: &[Weight] = &[
    Weight { feature: "log_words", weight: 0.55, units_max: 3.0, reason: "the description is long" },
    Weight {
        feature: "hard_terms",
        weight: 0.9,
        units_max: 3.0,
        reason: "it names demanding techniques or properties",
    },
    Weight { feature: "easy_terms", weight: -0.9, units_max: 2.0, reason: "it names everyday operations" },
    Weight { feature: "requirements", weight: 0.22, units_max: 8.0, reason: "it states several requirements" },
    Weight { feature: "big_bounds", weight: 0.9, units_max: 1.0, reason: "its bounds rule out the obvious solution" },
    Weight { feature: "code_lines", weight: 0.02, units_max: 60.0, reason: "it comes with code to understand" },
    Weight { feature: "project", weight: 0.9, units_max: 1.0, reason: "it changes a project" },
    Weight { feature: "question", weight: -0.5, units_max: 1.0, reason: "it only asks a question" },
];
const BIAS: f32 = 0.2;
const COMPLEX_AT: f32 = 2.2;
/// How sharply a score turns into a probability.
const SLOPE: f32 = 1.6;
/// A description of this many words is neither short nor long.
const WORDS_USUAL: f32 = 45.0;

/// Judges a task by its words.
pub fn signals(facts: Facts<'_>) -> Signals {
    let features = features(facts);
    let value = |name: &str| features.iter().find(|(known, _)| known == name).map_or(0.0, |(_, value)| *value);
    let mut contributions: Vec<(f32, &str)> = WEIGHTS
        .iter()
        .map(|row| (row.weight * value(row.feature).clamp(-row.units_max, row.units_max), row.reason))
        .collect();
    let score = BIAS + contributions.iter().map(|(part, _)| part).sum::<f32>();
    contributions.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let reason = |(part, reason): &(f32, &str)| match *reason {
        "the description is long" if *part < 0.0 => "the description is short".to_owned(),
        reason => reason.to_owned(),
    };
    let reasons = contributions.iter().filter(|(part, _)| part.abs() >= 0.2).take(4).map(reason).collect();
    let at_least = |threshold: f32| 1.0 / (1.0 + (-(score - threshold) * SLOPE).exp());
    let (moderate, complex) = (at_least(0.0), at_least(COMPLEX_AT));
    Signals { probabilities: [1.0 - moderate, moderate - complex, complex], reasons, features }
}

fn features(facts: Facts<'_>) -> Vec<(String, f32)> {
    static HARD: LazyLock<RegexSet> = LazyLock::new(|| {
        set(&[
            r"dynamic programming|memoi[sz]|knapsack|subsequence|palindromic partition",
            r"\b(?:shortest|longest|minimum|maximum|minimal|maximal|fewest|largest) (?:\w+ )?(?:path|cost|number of|sum|time|distance|length|subarray|substring|cycle)",
            r"optimal|optimi[sz]e|efficient(?:ly)?|O\((?:n|log|1|m)",
            r"\b(?:sub)?graphs?\b|\b\w*trees?\b|dijkstra|topological|spanning|backtrack|n-queens|sudoku|trie|union.find",
            r"concurren|thread|async|race condition|deadlock|lock-free",
            r"pars(?:er|e an?|ing)|tokeni[sz]er|interpreter|compiler|regular expression engine|grammar|expression evaluat",
            r"modulo 10|mod 1e9|10\^9\s*\+\s*7|1000000007|combinatori|permutation|number of ways|probability",
            r"refactor|migrate|architecture|backward.compatib|across (?:the|all) (?:files|modules)",
            r"\bcache\b|\bLRU\b|scheduler|allocator|state machine|simulat",
            r"bug|fails?\b|wrong result|regression|flaky",
        ])
    });
    static EASY: LazyLock<RegexSet> = LazyLock::new(|| {
        set(&[
            r"hello,? world|fizz ?buzz",
            r"\b(?:add|sum|multiply|subtract) (?:\w+ ){0,3}(?:numbers?|integers?|values?)|sum of|product of",
            r"\breverse|upper ?case|lower ?case|capitali[sz]e|count (?:the )?(?:vowels|words|characters)",
            r"\b(?:even|odd|prime|factorial|fibonacci|leap year|celsius|fahrenheit|area of|average)\b",
            r"rename|typo|comment|docstring|print\b",
        ])
    });
    static REQUIREMENT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?m)^\s*(?:[-*•]|\d+[.)])\s|\b(?:must|should|ensure|handle|support|except|unless|at least|at most)\b",
        )
        .expect("invariant: a valid pattern")
    });
    static BOUNDS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"10\^\{?[5-9]|10\^\{?1\d|1e[5-9]|\b[1-9]0{5,}\b|10\*\*[5-9]|large inputs?")
            .expect("invariant: a valid pattern")
    });
    let (prose, code_lines) = split_code(facts.prompt);
    let words = prose.split_whitespace().count() as f32;
    let starts = ["what", "why", "how", "explain", "which", "is ", "does ", "can "];
    let lower = prose.trim_start().to_ascii_lowercase();
    let named = |name: &str, value: f32| (name.to_owned(), value);
    vec![
        named("log_words", ((words + 1.0) / WORDS_USUAL).ln()),
        named("hard_terms", HARD.matches(&lower).iter().count() as f32),
        named("easy_terms", EASY.matches(&lower).iter().count() as f32),
        named("requirements", REQUIREMENT.find_iter(&prose).count() as f32),
        named("big_bounds", f32::from(u8::from(BOUNDS.is_match(facts.prompt)))),
        named("code_lines", code_lines as f32),
        named("project", f32::from(u8::from(facts.project))),
        named(
            "question",
            f32::from(u8::from(starts.iter().any(|start| lower.starts_with(start)) && lower.contains('?'))),
        ),
    ]
}

/// The prompt's words without its code (fences, doctests, asserts), and how many lines of code there were.
fn split_code(prompt: &str) -> (String, usize) {
    let mut prose = String::new();
    let (mut code, mut fenced) = (0, false);
    for line in prompt.lines() {
        let plain = line.trim_start();
        if plain.starts_with("```") {
            fenced = !fenced;
        } else if fenced
            || [">>>", "assert ", "def ", "import ", "from ", "return ", "class "].iter().any(|s| plain.starts_with(s))
        {
            code += 1;
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    (prose, code)
}

fn set(patterns: &[&str]) -> RegexSet {
    RegexSet::new(patterns.iter().map(|pattern| format!("(?i){pattern}")))
        .expect("invariant: patterns of this file are valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::complexity::combine;
    use crate::task::Level;

    #[track_caller]
    fn check(prompt: &str, expected: Level) {
        let found = combine(&signals(Facts { prompt, ..Facts::default() }), None);
        assert_eq!(found.level, expected, "{found:#?}");
        assert!((found.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(found.probabilities.iter().all(|p| *p >= 0.0));
    }

    #[test]
    fn plain_cases_are_told_apart() {
        check("Write a Python function add(a, b) that returns the sum of two numbers.", Level::Simple);
        check("Print hello world in Rust", Level::Simple);
        check(
            "Write a function that merges two sorted lists, keeps duplicates, and should handle empty lists and None.",
            Level::Moderate,
        );
        check(
            "You are given a weighted graph with n nodes and m edges (n, m <= 10^5). Find the shortest path from 1 to n \
             such that at most k edges have their weight halved. Each test contains several queries; answers must be \
             printed modulo 10^9+7. The solution must run in O(m log n). Ensure that unreachable nodes print -1 and \
             handle self loops and multiple edges. Input is read from standard input; the first line holds n, m, k, and \
             each of the next m lines holds u, v, w. Print the minimum cost for every query on its own line.",
            Level::Complex,
        );
    }

    #[test]
    fn a_project_is_harder_than_the_same_words_alone() {
        let prompt = "Add a --verbose flag to the command line.";
        let alone = signals(Facts { prompt, ..Facts::default() });
        let project = signals(Facts { prompt, project: true });
        assert!(project.probabilities[0] < alone.probabilities[0]);
    }

    #[test]
    fn only_terms_that_occur_count() {
        let found = signals(Facts { prompt: "Reverse the list.", ..Facts::default() });
        let value = |name: &str| found.features.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!((value("hard_terms"), value("easy_terms")), (0.0, 1.0));
    }

    #[test]
    fn anything_can_be_judged() {
        for prompt in ["", "\u{0}", &"x ".repeat(100_000), "```"] {
            let found = signals(Facts { prompt, ..Facts::default() });
            assert!(found.probabilities.iter().all(|p| p.is_finite()), "{prompt:.20}");
        }
    }
}
