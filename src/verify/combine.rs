//! Several verdicts as one. Pure.

use crate::task::{Report, Verdict};

/// Failures kept in all.
const FAILURES_MAX: usize = 20;

/// One failure fails all; a check that could not be made is said in the flags where others passed; walls that
/// broke are never a failure.
pub(crate) fn combine(verdicts: Vec<Verdict>) -> Verdict {
    let mut whole: Option<Report> = None;
    let mut reasons = Vec::new();
    let mut held = true;
    for verdict in verdicts {
        match verdict {
            Verdict::SandboxFailed { .. } => return verdict,
            Verdict::NothingToCheck { why } => reasons.push(why),
            Verdict::Passed(report) => whole = Some(join(whole, report)),
            Verdict::Failed(report) => {
                held = false;
                whole = Some(join(whole, report));
            }
        }
    }
    reasons.dedup();
    match whole {
        None if reasons.is_empty() => {
            Verdict::NothingToCheck { why: "there is nothing to check it against".to_owned() }
        }
        None => Verdict::NothingToCheck { why: reasons.join("; ") },
        Some(mut report) => {
            report.flags.extend(reasons.into_iter().map(|why| format!("not checked: {why}")));
            if held { Verdict::Passed(report) } else { Verdict::Failed(report) }
        }
    }
}

fn join(before: Option<Report>, next: Report) -> Report {
    let Some(mut whole) = before else { return next };
    if whole.command != next.command {
        whole.command = format!("{}; {}", whole.command, next.command);
    }
    whole.passed += next.passed;
    whole.failed += next.failed;
    whole.failures.extend(next.failures);
    whole.failures.truncate(FAILURES_MAX);
    whole.tier = whole.tier.min(next.tier);
    whole.wall_ms += next.wall_ms;
    whole.flags.extend(next.flags);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Tier;

    fn report(passed: u32, failed: u32) -> Report {
        Report { command: "x".to_owned(), passed, failed, failures: vec![], tier: Tier::F, wall_ms: 1, flags: vec![] }
    }

    fn nothing() -> Verdict {
        Verdict::NothingToCheck { why: "no node".to_owned() }
    }

    #[test]
    fn one_failure_fails_all_and_nothing_is_not_a_pass() {
        assert!(combine(vec![Verdict::Passed(report(1, 0)), Verdict::Passed(report(2, 0))]).passed());
        assert!(!combine(vec![Verdict::Passed(report(1, 0)), Verdict::Failed(report(2, 1))]).passed());
        assert_eq!(combine(vec![nothing(), nothing()]), nothing());
        assert!(matches!(combine(vec![]), Verdict::NothingToCheck { .. }));
    }

    #[test]
    fn what_could_not_be_checked_is_said() {
        let verdict = combine(vec![Verdict::Passed(report(1, 0)), nothing()]);
        assert_eq!(verdict.report().expect("passed").flags, ["not checked: no node"]);
    }
}
