//! Where nothing can be checked: which candidates behave alike. Each one's function is called on the same
//! generated inputs behind the walls; the largest group is the best guess, and its size is said.
//!
//! Inputs are generated, expected outputs never are: a small model's own tests mislead
//! (arXiv 2502.14382, 2506.11021).

use std::sync::LazyLock;

use regex::Regex;

use crate::agent::attempt::Attempt;
use crate::agent::checks::compile;
use crate::agent::{Agent, Plan};
use crate::cancel::Cancel;
use crate::task::{Candidate, Verdict};
use crate::verify::{Observation, generate_inputs};

/// The largest group of candidates that behave alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Agreement {
    pub(super) chosen: Candidate,
    pub(super) votes: usize,
    /// Candidates that could be run.
    pub(super) of: usize,
    pub(super) inputs: usize,
}

/// Runs the unchecked candidates side by side; `None` where there is nothing to compare.
pub(super) async fn agreement(
    agent: &Agent,
    plan: &Plan,
    attempts: &[Attempt<Candidate>],
    cancel: &Cancel,
) -> Option<Agreement> {
    let unchecked = |attempt: &&Attempt<Candidate>| matches!(attempt.verdict, Some(Verdict::NothingToCheck { .. }));
    let candidates: Vec<&Candidate> = attempts.iter().filter(unchecked).filter_map(Attempt::candidate).collect();
    if candidates.len() < 2 {
        return None;
    }
    let Candidate::Program { source, .. } = candidates[0] else { return None };
    let entry = plan.options.entry.clone().or_else(|| only_function(source))?;
    let inputs = candidates.iter().find_map(|candidate| match candidate {
        Candidate::Program { source, .. } => Some(generate_inputs(source, &entry)).filter(|inputs| !inputs.is_empty()),
        Candidate::Edits { .. } => None,
    })?;
    let mut observed: Vec<(&Candidate, Vec<Observation>)> = Vec::new();
    for candidate in candidates {
        if let Some(answers) = agent.judge.behaviour(candidate, &entry, &inputs, &plan.options, cancel).await {
            observed.push((candidate, answers));
        }
    }
    largest_group(&observed, inputs.len())
}

fn largest_group(observed: &[(&Candidate, Vec<Observation>)], inputs: usize) -> Option<Agreement> {
    let votes = |answers: &Vec<Observation>| observed.iter().filter(|(_, other)| other == answers).count();
    let (chosen, answers) = observed.iter().rev().max_by_key(|(_, answers)| votes(answers))?;
    Some(Agreement { chosen: (*chosen).clone(), votes: votes(answers), of: observed.len(), inputs })
}

/// The function that a program is about, where it defines exactly one at its top level.
fn only_function(source: &str) -> Option<String> {
    static DEF: LazyLock<Regex> = LazyLock::new(|| compile(r"(?m)^def (\w+)\("));
    let mut names = DEF.captures_iter(source).map(|found| found[1].to_owned());
    names.next().filter(|_| names.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Language;

    #[test]
    fn the_largest_group_wins_and_the_first_of_a_tie() {
        let program = |source: &str| Candidate::Program { language: Language::Python, source: source.to_owned() };
        let said = |answer: &str| vec![Observation { input: "[1]".into(), answer: answer.into() }];
        let (a, b, c) = (program("a"), program("b"), program("c"));
        let found = largest_group(&[(&a, said("1")), (&b, said("2")), (&c, said("2"))], 1).unwrap();
        assert_eq!((found.chosen, found.votes, found.of), (b.clone(), 2, 3));
        assert_eq!(largest_group(&[(&a, said("1")), (&b, said("2"))], 1).unwrap().chosen, a);
        assert_eq!(largest_group(&[], 1), None);
    }

    #[test]
    fn a_program_with_one_function_is_about_it() {
        assert_eq!(only_function("import os\ndef f(x):\n    def g(): pass\n"), Some("f".to_owned()));
        assert_eq!(only_function("def f(): pass\ndef g(): pass\n"), None);
    }
}
