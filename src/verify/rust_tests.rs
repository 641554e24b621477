//! Rust programs with a module of tests: compiled together and run, with evidence asked for every test by name.
//!
//! Tests and candidate share a process here, so a program that aims at this judge can forge what it prints; what
//! is known to be used for that is refused by [`suspicious`].

use std::sync::LazyLock;

use regex::Regex;

use crate::cancel::Cancel;
use crate::sandbox::{End, Sandbox};
use crate::task::{Failure, FailureKind, Language, Report, Verdict};

use super::{VerifyOptions, feedback, j1, stdio};

/// Crates that published problems import whether or not they use them.
const CRATES: [(&str, &str); 3] = [("use rand::Rng;", "rand"), ("use regex::Regex;", "Regex"), ("use md5;", "md5")];

/// Compiles the program with the tests and runs them.
pub(crate) async fn judge(
    source: &str,
    tests: &str,
    hidden: bool,
    sandbox: &Sandbox,
    options: &VerifyOptions,
    cancel: &Cancel,
) -> Verdict {
    let expected = test_names(tests);
    if expected.is_empty() {
        return Verdict::NothingToCheck { why: "there is no `#[test]` in the tests".to_owned() };
    }
    let whole = match without_unused_crates(&format!("{source}\n{tests}")) {
        Ok(whole) => whole,
        Err(name) => {
            return Verdict::NothingToCheck {
                why: format!("the program needs the crate `{name}`, which is not there"),
            };
        }
    };
    let built = stdio::build((Language::Rust, &whole), stdio::rust_tests(), sandbox, options, cancel).await;
    let mut built = match built {
        Ok(built) => built,
        Err(verdict) => return verdict,
    };
    built.argv.push("--test-threads=1".into());
    let outcome = stdio::run(&built, b"", sandbox, options, cancel).await;
    if let End::SandboxError { step, message } = &outcome.end {
        return Verdict::SandboxFailed { step: step.clone(), why: message.clone() };
    }
    if outcome.end == End::Cancelled {
        return super::cancelled();
    }
    let printed = outcome.stdout.text();
    let (passed, mut failures) = evidence(&expected, &printed, &outcome.end);
    failures.extend(suspicious(source));
    if hidden {
        failures.iter_mut().for_each(hide);
    }
    let report = Report {
        command: "the tests of the Rust program".to_owned(),
        passed,
        failed: failures.len() as u32,
        tier: sandbox.tier(),
        wall_ms: built.compile_ms + outcome.wall.as_millis() as u64,
        flags: failures.iter().filter(|f| f.kind == FailureKind::Cheat).map(|f| f.got.clone()).collect(),
        failures,
    };
    if report.failures.is_empty() { Verdict::Passed(report) } else { Verdict::Failed(report) }
}

fn hide(failure: &mut Failure) {
    if failure.kind == FailureKind::WrongAnswer {
        "a wrong answer".clone_into(&mut failure.got);
    }
    failure.expected = None;
}

/// The names of the functions behind `#[test]`.
fn test_names(tests: &str) -> Vec<String> {
    static TEST: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"#\[test\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\s+)?fn\s+(\w+)").expect("invariant: a valid pattern")
    });
    TEST.captures_iter(tests).map(|found| found[1].to_owned()).collect()
}

/// Leaves out imports of foreign crates that nothing uses; names the crate where something does.
fn without_unused_crates(source: &str) -> Result<String, &'static str> {
    let mut kept = source.to_owned();
    for (line, name) in CRATES {
        if !kept.contains(line) {
            continue;
        }
        kept = kept.replace(line, "");
        let word = Regex::new(&format!(r"\b{name}\b")).expect("invariant: a crate's name is a valid pattern");
        let crate_name = if name == "Regex" { "regex" } else { name };
        if word.is_match(&kept) {
            return Err(crate_name);
        }
    }
    Ok(kept)
}

/// Every expected test must have said `ok`, exactly once, and the summary must agree.
fn evidence(expected: &[String], printed: &str, end: &End) -> (u32, Vec<Failure>) {
    let mut passed = 0;
    let mut failures = Vec::new();
    for name in expected {
        let says = |word: &str| {
            let ending = format!("::{name} ... {word}");
            let plain = format!("test {name} ... {word}");
            printed.lines().filter(|line| line.trim_end() == plain || line.trim_end().ends_with(&ending)).count()
        };
        if says("ok") == 1 && says("FAILED") == 0 {
            passed += 1;
        } else {
            failures.push(failed_test(name, printed, end));
        }
    }
    let summary = format!("test result: ok. {} passed; 0 failed", expected.len());
    if failures.is_empty() && (*end != End::Exit(0) || !printed.contains(&summary)) {
        let got = "the tests did not run to their end".to_owned();
        failures.push(Failure { kind: FailureKind::Cheat, name: String::new(), got, expected: None, frame: None });
    }
    (passed, failures)
}

fn failed_test(name: &str, printed: &str, end: &End) -> Failure {
    let (kind, got, expected) = match end {
        End::Limit(limit) => {
            let (kind, text) = j1::of_limit(*limit, "");
            (kind, text, None)
        }
        End::Exit(101) => panicked(name, printed),
        End::Exit(code) => (FailureKind::Cheat, format!("the tests ended early with exit code {code}"), None),
        other => (FailureKind::Crash, format!("the tests ended with {other:?}"), None),
    };
    Failure { kind, name: name.to_owned(), got, expected, frame: None }
}

/// What a panic said.
fn panicked(name: &str, printed: &str) -> (FailureKind, String, Option<String>) {
    let start = printed.find(&format!("{name} stdout ----")).map_or("", |at| &printed[at..]);
    let value = |side: &str| {
        start.lines().find_map(|line| line.trim().strip_prefix(side)).map(|value| feedback::clean(value.trim()))
    };
    if let (Some(left), Some(right)) = (value("left:"), value("right:")) {
        return (FailureKind::WrongAnswer, left, Some(right));
    }
    let message = start.lines().skip_while(|line| !line.contains("panicked at")).nth(1).unwrap_or("a test panicked");
    let kind = if message.contains("assertion") { FailureKind::WrongAnswer } else { FailureKind::Crash };
    (kind, feedback::clean(message), None)
}

/// Ways to fool a test that shares the program's process.
fn suspicious(source: &str) -> Option<Failure> {
    const SIGNS: [(&str, &str); 6] = [
        (r"process\s*::\s*(exit|abort)|libc::_?exit|\b_exit\s*\(", "ends the process"),
        (r"macro_rules!\s*(assert|assert_eq|assert_ne|panic)\b", "replaces an assertion"),
        (r"impl\s*(<[^>]*>)?\s*PartialEq\b[^{]*\{[^}]*fn\s+eq[^{]*\{\s*true\s*\}", "claims to equal everything"),
        (r"#\[\s*(no_mangle|export_name|link_section)", "replaces a symbol"),
        (r"panic::(set_hook|catch_unwind)|take_hook", "catches a test's panic"),
        (r"from_raw_fd|/proc/self|test result:", "writes past the test runner"),
    ];
    SIGNS.iter().find_map(|(sign, what)| {
        let sign = Regex::new(sign).expect("invariant: a valid pattern");
        sign.is_match(source).then(|| Failure {
            kind: FailureKind::Cheat,
            name: String::new(),
            got: format!("the program {what}"),
            expected: None,
            frame: None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "running 2 tests\ntest tests::a ... ok\ntest tests::b ... ok\n\ntest result: ok. 2 passed; 0 failed; 0 ignored\n";

    fn names() -> Vec<String> {
        test_names("#[test]\nfn a() {}\n#[test]\n  #[ignore]\n pub fn b() {}\nfn c() {}")
    }

    #[test]
    fn every_test_must_say_ok_once() {
        assert_eq!(names(), ["a", "b"]);
        assert_eq!(evidence(&names(), PRINTED, &End::Exit(0)), (2, vec![]));
        let (_, twice) = evidence(&names(), &format!("test tests::a ... ok\n{PRINTED}"), &End::Exit(0));
        assert_eq!(twice.len(), 1);
        let (_, early) = evidence(&names(), "running 2 tests\n", &End::Exit(0));
        assert!(early.iter().all(|failure| failure.kind == FailureKind::Cheat) && early.len() == 2);
        let (_, no_end) = evidence(&names(), "test tests::a ... ok\ntest tests::b ... ok\n", &End::Exit(0));
        assert_eq!(no_end.len(), 1);
    }

    #[test]
    fn imports_go_only_where_nothing_uses_them() {
        assert_eq!(without_unused_crates("use md5;\nfn f() {}"), Ok("\nfn f() {}".to_owned()));
        assert_eq!(without_unused_crates("use md5;\nfn f() { md5::compute(1) }"), Err("md5"));
    }

    #[test]
    fn known_tricks_are_seen() {
        for trick in [
            "fn f() { std::process::exit(0) }",
            "macro_rules! assert_eq { ($($x:tt)*) => {} }",
            "impl PartialEq<i32> for E { fn eq(&self, _: &i32) -> bool { true } }",
        ] {
            assert!(suspicious(trick).is_some(), "{trick}");
        }
        assert_eq!(suspicious("fn add(a: i32) -> i32 { a }"), None);
    }
}
