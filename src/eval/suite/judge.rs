//! From a reply to an outcome: a program is run behind walls, a value is put where the program's answer would be,
//! mathematics and letters are compared.

use crate::cancel::Cancel;
use crate::eval::math;
use crate::reply::FormatProblem;
use crate::sandbox::Sandbox;
use crate::task::{Candidate, Check, Language, Tier, Trajectory, Verdict};
use crate::verify::suites::{Assembly, Gold, Problem, last_boxed};
use crate::verify::{VerifyOptions, verify};

use super::record::Outcome;

/// Where programs are run.
#[derive(Clone, Debug)]
pub struct Bench {
    pub sandbox: Sandbox,
    pub options: VerifyOptions,
    pub cancel: Cancel,
}

/// What became of one reply.
#[derive(Clone, Debug)]
pub struct Judged {
    pub outcome: Outcome,
    pub why: String,
    pub tier: Option<Tier>,
    /// The program that was run.
    pub candidate: Option<Candidate>,
    /// The answer where it is no program.
    pub said: Option<String>,
}

impl Judged {
    fn of(outcome: Outcome, why: impl Into<String>) -> Self {
        Self { outcome, why: why.into(), tier: None, candidate: None, said: None }
    }

    fn verdict(verdict: Verdict, candidate: Candidate) -> Self {
        let tier = verdict.report().map(|report| report.tier);
        let (outcome, why) = match verdict {
            Verdict::Passed(_) => (Outcome::Passed, String::new()),
            Verdict::Failed(report) => {
                let first = report.failures.first();
                let why =
                    first.map_or_else(|| "failed".to_owned(), |failure| format!("{:?}: {}", failure.kind, failure.got));
                (Outcome::Failed, why)
            }
            Verdict::NothingToCheck { why } => (Outcome::NotJudged, why),
            Verdict::SandboxFailed { step, why } => (Outcome::NotJudged, format!("the walls failed at {step}: {why}")),
        };
        Self { tier, candidate: Some(candidate), ..Self::of(outcome, why) }
    }
}

impl Bench {
    /// Judges one reply by the problem's hidden tests or its answer.
    pub async fn judge(&self, problem: &Problem, reply: &Trajectory) -> Judged {
        match &problem.gold {
            Gold::Program => self.program(problem, reply).await,
            Gold::Output => match output_of(&reply.text) {
                Some(value) => {
                    let source = format!("def f(*args, **kwargs):\n    return ({value})\n");
                    let mut judged = self.run(problem, python(source), &problem.checks).await;
                    judged.said = Some(value);
                    judged
                }
                None => Judged::of(Outcome::Unreadable, "there is no value after `==` in the answer"),
            },
            Gold::Input => self.input(problem, reply).await,
            Gold::Math(gold) => mathematics(gold, reply),
            Gold::Choice(right) => match letter_of(reply.answer(), problem.options.len()) {
                None => Judged::of(Outcome::Unreadable, "there is no letter of an option in it"),
                Some(said) if said == *right => {
                    Judged { said: Some(said.to_string()), ..Judged::of(Outcome::Passed, "") }
                }
                Some(said) => {
                    Judged { said: Some(said.to_string()), ..Judged::of(Outcome::Failed, format!("answered {said}")) }
                }
            },
        }
    }

    /// Whether a program passes the tests that the problem's words show; `None` where they show none.
    pub async fn passes_visible(&self, problem: &Problem, candidate: &Candidate) -> Option<bool> {
        if problem.visible.is_empty() {
            return None;
        }
        let options = problem.options(&self.options);
        match verify(candidate, &problem.visible, &self.sandbox, &options, &self.cancel).await {
            Verdict::Passed(_) => Some(true),
            Verdict::Failed(_) => Some(false),
            Verdict::NothingToCheck { .. } | Verdict::SandboxFailed { .. } => None,
        }
    }

    /// Judges a program by the problem's hidden tests.
    pub async fn run(&self, problem: &Problem, candidate: Candidate, checks: &[Check]) -> Judged {
        let options = problem.options(&self.options);
        let mut verdict = verify(&candidate, checks, &self.sandbox, &options, &self.cancel).await;
        if matches!(verdict, Verdict::SandboxFailed { .. }) && !self.cancel.is_cancelled() {
            // Once more: a machine that was full for a moment is no finding about the program.
            verdict = verify(&candidate, checks, &self.sandbox, &options, &self.cancel).await;
        }
        Judged::verdict(verdict, candidate)
    }

    async fn program(&self, problem: &Problem, reply: &Trajectory) -> Judged {
        match problem.read(reply) {
            Ok(candidate) => self.run(problem, candidate, &problem.checks).await,
            Err(why) => self.unreadable(problem, reply, &why).await,
        }
    }

    /// A reply without a fence may be what completes the prompt, and only running it tells.
    async fn unreadable(&self, problem: &Problem, reply: &Trajectory, why: &FormatProblem) -> Judged {
        if problem.assembly == Assembly::Continue && !reply.text.contains("```") && !reply.text.trim().is_empty() {
            let judged = self.run(problem, problem.program(&reply.text), &problem.checks).await;
            if judged.outcome == Outcome::Passed {
                return judged;
            }
        }
        Judged::of(Outcome::Unreadable, why.to_string())
    }

    async fn input(&self, problem: &Problem, reply: &Trajectory) -> Judged {
        let (Some(code), Some(output)) = (problem.texts.get("code"), problem.texts.get("output")) else {
            return Judged::of(Outcome::NotJudged, "the row has no program or no output");
        };
        let Some(input) = input_of(&reply.text) else {
            return Judged::of(Outcome::Unreadable, "there is no call `f(…)` in the answer");
        };
        let source = format!("{code}\n\ndef z1_answer():\n    return f({input})\n");
        let check = Check::Asserts { source: format!("assert z1_answer() == {output}"), hidden: true };
        let mut of_answer = problem.clone();
        (of_answer.names, of_answer.entry) = (vec!["z1_answer".to_owned()], None);
        let mut judged = self.run(&of_answer, python(source), &[check]).await;
        judged.said = Some(input);
        judged
    }
}

/// What a reply says at its end against the right answer; what stands in its thinking is tried there, and not said.
fn mathematics(gold: &str, reply: &Trajectory) -> Judged {
    let Some(said) = math::answer(reply.answer()) else {
        return Judged::of(Outcome::Unreadable, "there is no final answer in it");
    };
    let right = math::same(gold, &said);
    let why = if right { String::new() } else { format!("answered {}", short(&said)) };
    let outcome = if right { Outcome::Passed } else { Outcome::Failed };
    Judged { said: Some(said), ..Judged::of(outcome, why) }
}

fn python(source: String) -> Candidate {
    Candidate::Program { language: Language::Python, source }
}

fn short(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    if text.chars().count() <= CHARS_MAX {
        text.to_owned()
    } else {
        text.chars().take(CHARS_MAX).collect::<String>() + "…"
    }
}

/// The last answer between its tags, or the last assertion of a reply without tags.
fn assertion(text: &str) -> Option<&str> {
    if let Some((_, after)) = text.rsplit_once("[ANSWER]") {
        return Some(after.split("[/ANSWER]").next().unwrap_or(after).trim());
    }
    text.rfind("assert f(").map(|at| text[at..].lines().next().unwrap_or_default().trim())
}

/// The value that a reply says `f` returns.
fn output_of(text: &str) -> Option<String> {
    let said = assertion(text)?.trim_matches('`').trim();
    let value = match said.strip_prefix("assert") {
        Some(rest) => &rest[after_call(rest)?..],
        None => said,
    };
    let value = value.trim().trim_start_matches("==").trim();
    let value = value.strip_suffix("# done").unwrap_or(value).trim();
    (!value.is_empty() && !value.contains("??") && balanced(value)).then(|| value.to_owned())
}

/// The input that a reply says leads to the output.
fn input_of(text: &str) -> Option<String> {
    let said = assertion(text)?.trim_matches('`').trim();
    let rest = said.strip_prefix("assert").unwrap_or(said).trim_start();
    let call = rest.strip_prefix("f(")?;
    let end = after_call(rest).unwrap_or(rest.len());
    // Up to the bracket that closes the call.
    let input = rest[2..end].trim_end().trim_end_matches("==").trim_end();
    let input = input.strip_suffix(')').unwrap_or(call).trim();
    (!input.contains("??") && balanced(input)).then(|| input.to_owned())
}

/// Where the call `f(…)` at the beginning of an assertion has ended.
fn after_call(text: &str) -> Option<usize> {
    let mut scan = Scan::default();
    let mut opened = false;
    for (at, sign) in text.char_indices() {
        scan.step(sign);
        opened |= scan.depth > 0;
        if opened && scan.depth == 0 {
            return Some(at + sign.len_utf8());
        }
    }
    None
}

/// Whether no bracket closes what the text has not opened, and all are closed.
fn balanced(text: &str) -> bool {
    let mut scan = Scan::default();
    text.chars().all(|sign| {
        scan.step(sign);
        scan.depth >= 0
    }) && scan.depth == 0
}

/// Follows brackets outside of Python's strings.
#[derive(Default)]
struct Scan {
    depth: i32,
    quote: Option<char>,
    escaped: bool,
}

impl Scan {
    fn step(&mut self, sign: char) {
        match self.quote {
            Some(_) if self.escaped => self.escaped = false,
            Some(_) if sign == '\\' => self.escaped = true,
            Some(quote) if sign == quote => self.quote = None,
            Some(_) => {}
            None => match sign {
                '"' | '\'' => self.quote = Some(sign),
                '(' | '[' | '{' => self.depth += 1,
                ')' | ']' | '}' => self.depth -= 1,
                _ => {}
            },
        }
    }
}

/// The letter of the option that a reply settles on.
fn letter_of(text: &str, options: usize) -> Option<char> {
    let fits = |letter: char| {
        let letter = letter.to_ascii_uppercase();
        (letter.is_ascii_uppercase() && ((letter as u8 - b'A') as usize) < options).then_some(letter)
    };
    let alone = |text: &str| {
        let text = text.trim().trim_start_matches("\\text{").trim_start_matches("\\textbf{");
        let text = text.trim_matches(['(', ')', '{', '}', '.', ':', '*', '$', ' ', '\\']);
        let mut letters = text.chars();
        let first = letters.next().filter(char::is_ascii_alphabetic)?;
        // `A`, `A.` or `A) words`, but no word that begins with A.
        if letters.next().is_some_and(char::is_alphanumeric) { None } else { fits(first) }
    };
    if let Some(letter) = last_boxed(text).and_then(|inner| alone(&inner)) {
        return Some(letter);
    }
    let lower = text.to_ascii_lowercase();
    for mark in ["answer is", "answer:", "answer:**", "correct option is", "correct choice is"] {
        if let Some(at) = lower.rfind(mark)
            && let Some(letter) = alone(text.get(at + mark.len()..)?.trim_start_matches(['*', ':', ' ', '(', '$']))
        {
            return Some(letter);
        }
    }
    let bracketed = text.match_indices('(').filter_map(|(at, _)| {
        let mut rest = text[at + 1..].chars();
        let letter = rest.next()?;
        (rest.next() == Some(')')).then_some(letter)
    });
    let last = bracketed.filter(char::is_ascii_uppercase).filter_map(fits).fold(None, |_, letter| Some(letter));
    let short = text.split_whitespace().next().is_some_and(|word| word.trim_matches(['(', ')', '.', ':']).len() == 1);
    let marked = text.trim().len() <= 2 || text.trim_start().chars().nth(1).is_some_and(|c| ").:".contains(c));
    last.or_else(|| if short && marked { alone(text) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_inputs_are_read_from_assertions() {
        let tagged = "so\n[ANSWER]\nassert f(\"a)\", [1]) == {'x': (1, 2)}\n[/ANSWER]";
        assert_eq!(output_of(tagged).as_deref(), Some("{'x': (1, 2)}"));
        assert_eq!(input_of(tagged).as_deref(), Some("\"a)\", [1]"));
        assert_eq!(output_of("[ANSWER] 'ab' [/ANSWER]").as_deref(), Some("'ab'"));
        assert_eq!(output_of("[ANSWER]\nassert f(1) == ??"), None);
        assert_eq!(output_of("[ANSWER]\nassert f(1) == 'a == b' # done").as_deref(), Some("'a == b'"));
        assert_eq!(output_of("no answer"), None);
        assert_eq!(input_of("[ANSWER]assert f() == 3[/ANSWER]").as_deref(), Some(""));
        assert_eq!(input_of("[ANSWER]assert f(1) if 0 else (3) == 3[/ANSWER]").as_deref(), Some("1"));
        assert!(!balanced("1) or (2"));
    }

    #[test]
    fn what_is_only_thought_is_no_answer() {
        let thinking = "maybe \\boxed{4}";
        let reply =
            |answer: &str| Trajectory { answer_at: thinking.len(), ..Trajectory::ended(format!("{thinking}{answer}")) };
        assert_eq!(mathematics("5", &reply("\nThe answer is 5.")).outcome, Outcome::Passed);
        assert_eq!(mathematics("4", &reply("\nThe answer is 5.")).outcome, Outcome::Failed);
        assert_eq!(mathematics("4", &reply("")).outcome, Outcome::Unreadable);
        let tagged = Trajectory::ended("<think>\\boxed{4}</think>The answer is 5.");
        assert_eq!(mathematics("5", &tagged).outcome, Outcome::Passed);
    }

    #[test]
    fn a_letter_is_found_where_a_reply_settles() {
        for (text, letter) in [
            ("… \\boxed{C}", Some('C')),
            ("\\boxed{(B)}", Some('B')),
            ("\\boxed{\\text{D}}", Some('D')),
            ("I think (A) no, the answer is (B).", Some('B')),
            ("**Answer: C**", Some('C')),
            ("The answer is D because", Some('D')),
            ("Between (A) and (C) it is (C)", Some('C')),
            ("B", Some('B')),
            ("A long story about nothing", None),
            ("\\boxed{E}", None),
        ] {
            assert_eq!(letter_of(text, 4), letter, "{text}");
        }
    }
}
