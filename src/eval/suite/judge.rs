//! From a reply to an outcome: a program is run behind walls, a value is put where the program's answer would be,
//! mathematics and letters are compared.

use crate::cancel::Cancel;
use crate::eval::math;
use crate::reply::FormatProblem;
use crate::sandbox::Sandbox;
use crate::task::{Candidate, Check, Tier, Trajectory, Verdict};
use crate::verify::suites::{Assembly, Gold, Problem, values};
use crate::verify::{VerifyOptions, verify};

use super::letter::letter_of;
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
            Gold::Output => match values::output_of(&reply.text) {
                Some(value) => {
                    let mut judged = self.run(problem, values::returning(&value), &problem.checks).await;
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
        let Some(input) = values::input_of(&reply.text) else {
            return Judged::of(Outcome::Unreadable, "there is no call `f(…)` in the answer");
        };
        let Some((of_answer, candidate)) = values::called_with(problem, &input) else {
            return Judged::of(Outcome::NotJudged, "the row has no program or no output");
        };
        let mut judged = self.run(&of_answer, candidate, &of_answer.checks).await;
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

fn short(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    if text.chars().count() <= CHARS_MAX {
        text.to_owned()
    } else {
        text.chars().take(CHARS_MAX).collect::<String>() + "…"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
