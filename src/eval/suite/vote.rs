//! Which of several answers to take when nobody may look at the hidden tests: the one most others agree with, and the
//! one that passes the visible tests.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::judge::{Bench, Judged};
use super::record::{Answer, Outcome};
use crate::eval::math;
use crate::hex::hex;
use crate::task::{Candidate, Language};
use crate::verify::suites::{Gold, Problem};
use crate::verify::{Input, behaviour, generate_inputs};

/// Gives every readable answer a key that it shares with those that behave alike.
///
/// Python functions are called on the same generated inputs behind the walls; other programs count as alike where their
/// text is; mathematics where it is equal.
pub async fn keys(problem: &Problem, judged: &[Judged], bench: &Bench) -> Vec<Option<String>> {
    if matches!(problem.gold, Gold::Math(_)) {
        return equal_answers(judged);
    }
    let inputs = inputs(problem, judged);
    let mut keys = Vec::with_capacity(judged.len());
    for one in judged {
        let key = match (&one.said, &one.candidate, &inputs) {
            (Some(said), ..) => Some(said.split_whitespace().collect::<String>()),
            (None, Some(candidate), Some((entry, inputs))) => {
                let options = problem.options(&bench.options);
                let seen = behaviour(candidate, entry, inputs, &bench.sandbox, &options, &bench.cancel).await;
                // What cannot be run behaves like nothing else.
                seen.ok().map(|seen| {
                    let text: String = seen.iter().map(|one| format!("{}\n{}\n", one.input, one.answer)).collect();
                    digest(&text)
                })
            }
            (None, Some(Candidate::Program { source, .. }), None) => {
                Some(digest(&source.split_whitespace().collect::<String>()))
            }
            _ => None,
        };
        keys.push(key);
    }
    keys
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes())[..8])
}

/// The function that is called and what with; `None` where the problem is about no Python function.
fn inputs(problem: &Problem, judged: &[Judged]) -> Option<(String, Vec<Input>)> {
    if problem.language != Language::Python || problem.gold != Gold::Program {
        return None;
    }
    let entry = problem.entry.clone().or_else(|| problem.wanted_names().into_iter().next())?;
    let sources = judged.iter().filter_map(|one| match &one.candidate {
        Some(Candidate::Program { source, .. }) => Some(source),
        _ => None,
    });
    let inputs = sources.map(|source| generate_inputs(source, &entry)).find(|inputs| !inputs.is_empty())?;
    Some((entry, inputs))
}

fn equal_answers(judged: &[Judged]) -> Vec<Option<String>> {
    let mut groups: Vec<String> = Vec::new();
    let key = |one: &Judged| {
        let said = one.said.as_ref()?;
        let at = groups.iter().position(|group| math::same(group, said)).unwrap_or_else(|| {
            groups.push(said.clone());
            groups.len() - 1
        });
        Some(at.to_string())
    };
    judged.iter().map(key).collect()
}

/// The first answer of the largest group; of equal groups the one whose first answer came first.
pub fn majority(answers: &[Answer]) -> Option<u32> {
    let mut counts: HashMap<&str, (u32, usize)> = HashMap::new();
    for (at, answer) in answers.iter().enumerate() {
        if let Some(key) = &answer.key {
            counts.entry(key).or_insert((0, at)).0 += 1;
        }
    }
    counts.into_values().max_by_key(|(count, at)| (*count, std::cmp::Reverse(*at))).map(|(_, at)| at as u32)
}

/// The first answer that passed the visible tests, else the first readable one; `None` where nobody asked.
pub fn best(answers: &[Answer]) -> Option<u32> {
    if answers.iter().all(|answer| answer.visible.is_none()) {
        return None;
    }
    let readable = |answer: &Answer| answer.outcome != Outcome::Unreadable;
    let passed = answers.iter().position(|answer| answer.visible == Some(true));
    passed.or_else(|| answers.iter().position(readable)).map(|at| at as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Finish, Usage};

    fn answer(key: Option<&str>, visible: Option<bool>) -> Answer {
        Answer {
            text: String::new(),
            outcome: Outcome::Failed,
            why: String::new(),
            finish: Finish::EndOfTurn,
            shifted: false,
            usage: Usage::default(),
            thought_tokens: 0,
            key: key.map(str::to_owned),
            visible,
        }
    }

    #[test]
    fn the_largest_group_wins_and_the_earlier_of_a_tie() {
        let of = |keys: &[Option<&str>]| majority(&keys.iter().map(|key| answer(*key, None)).collect::<Vec<_>>());
        assert_eq!(of(&[Some("a"), Some("b"), Some("b"), None]), Some(1));
        assert_eq!(of(&[Some("a"), Some("b")]), Some(0));
        assert_eq!(of(&[None, None]), None);
    }

    #[test]
    fn visible_tests_choose_the_first_that_passes_them() {
        let of = |seen: &[Option<bool>]| best(&seen.iter().map(|seen| answer(None, *seen)).collect::<Vec<_>>());
        assert_eq!(of(&[Some(false), Some(true), Some(true)]), Some(1));
        assert_eq!(of(&[Some(false), Some(false)]), Some(0));
        assert_eq!(of(&[None, None]), None);
    }
}
