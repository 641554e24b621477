//! What the model is told of a verdict: short, clean, and nothing that it is not to know. Pure.
//!
//! Not for: what the user is shown (hosts show the [`Report`] itself).

use std::sync::LazyLock;

use regex::Regex;

use crate::task::{Failure, FailureKind, Report, Verdict};

/// Longest feedback, in characters.
pub const CHARS_MAX: usize = 1_200;
/// Distinct failures described.
const FAILURES_MAX: usize = 3;
/// Longest value shown.
const VALUE_CHARS_MAX: usize = 200;

/// Describes a verdict to the model. Empty where there is nothing that it could mend.
pub fn feedback(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed(report) => format!("PASS {}", counted(report.passed, "check")),
        Verdict::Failed(report) => failed(report),
        Verdict::NothingToCheck { .. } | Verdict::SandboxFailed { .. } => String::new(),
    }
}

fn failed(report: &Report) -> String {
    let total = report.passed + report.failed;
    let mut text = if total > 0 && report.failed > 0 {
        format!("FAIL {} of {} ({} passed)\n", report.failed, counted(total, "check"), report.passed)
    } else {
        "FAIL\n".to_owned()
    };
    let groups = group(&report.failures);
    let left: u32 = groups.iter().skip(FAILURES_MAX).map(|(_, count)| count).sum();
    for (index, (failure, count)) in groups.iter().take(FAILURES_MAX).enumerate() {
        let entry = describe(index + 1, failure, *count);
        // A later entry is left out whole rather than cut in the middle.
        if index > 0 && text.chars().count() + entry.chars().count() > CHARS_MAX {
            break;
        }
        text.push_str(&entry);
    }
    if left > 0 {
        text.push_str(&format!("… and {left} more\n"));
    }
    clip(text.trim_end(), CHARS_MAX)
}

fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Failures that say the same are one, with a count.
fn group(failures: &[Failure]) -> Vec<(&Failure, u32)> {
    let mut groups: Vec<(&Failure, u32)> = Vec::new();
    for failure in failures {
        let same = groups.iter_mut().find(|(first, _)| alike(first, failure));
        match same {
            Some((_, count)) => *count += 1,
            None => groups.push((failure, 1)),
        }
    }
    groups
}

/// Two crashes at one place, or two failures of one assertion, are one finding.
fn alike(a: &Failure, b: &Failure) -> bool {
    if a.kind != b.kind {
        return false;
    }
    let by_place = a.frame.is_some() && a.frame == b.frame && a.kind.is_crash();
    let by_name = !a.name.is_empty() && a.name == b.name;
    let by_words = a.kind != FailureKind::WrongAnswer && clean(&a.got) == clean(&b.got);
    let hidden = a.expected.is_none() && b.expected.is_none() && a.got == b.got && a.name.starts_with("hidden test");
    by_place || by_name || by_words || hidden
}

fn describe(number: usize, failure: &Failure, count: u32) -> String {
    let name = shorten(&clean(&failure.name), VALUE_CHARS_MAX);
    let mut got = shorten(&clean(&failure.got), VALUE_CHARS_MAX);
    if failure.kind == FailureKind::Cheat {
        got = format!("not accepted: {got}");
    }
    let mut entry = format!("{number}) ");
    if !name.is_empty() {
        entry.push_str(&name);
        entry.push_str("\n   ");
    }
    let word = if failure.kind == FailureKind::WrongAnswer && failure.expected.is_some() { "got: " } else { "" };
    entry.push_str(&format!("{word}{got}"));
    if let Some(expected) = &failure.expected {
        entry.push_str(&format!("\n   expected: {}", shorten(&clean(expected), VALUE_CHARS_MAX)));
    }
    if let Some(frame) = &failure.frame {
        entry.push_str(&format!("\n   at {}", shorten(&clean(frame), VALUE_CHARS_MAX)));
    }
    if count > 1 {
        entry.push_str(&format!("\n   (+{} like this)", count - 1));
    }
    entry.push('\n');
    entry
}

/// Removes what says nothing about the code: escape sequences, addresses, folders of the machine, frames of
/// frameworks, times.
pub(crate) fn clean(text: &str) -> String {
    static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-9;?]*[@-~]")
            .expect("invariant: a valid pattern")
    });
    static ADDRESSES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r" at 0x[0-9a-fA-F]+|0x[0-9a-fA-F]{8,}").expect("invariant: a valid pattern"));
    // A path begins where a word does, at one of the folders that a machine's root has: neither an address nor the end of a relative
    // path is one, nor a value such as "/api/v1".
    static PATHS: LazyLock<Regex> = LazyLock::new(|| {
        let tops = "tmp|home|root|var|usr|opt|private|Users|nix|builds?|workspaces?|mnt|srv|proc|run|box";
        Regex::new(&format!(r#"(?P<before>^|[\s"'`(\[{{<=,|]|file://)(?P<path>/(?:{tops})(?:/[\w.@+~-]+)+)"#))
            .expect("invariant: a valid pattern")
    });
    let text = ESCAPES.replace_all(text, "");
    let text = ADDRESSES.replace_all(&text, "");
    let lines = text.lines().filter(|line| !of_a_framework(line));
    let text = lines.map(|line| PATHS.replace_all(line, within_project).into_owned()).collect::<Vec<_>>().join("\n");
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect::<String>().trim().to_owned()
}

/// An absolute path as it is seen from a project: from its `src`, `tests` or `lib` on, or only the file's name.
fn within_project(found: &regex::Captures<'_>) -> String {
    let before = Some(&found["before"]).filter(|before| **before != *"file://").unwrap_or_default();
    let path = &found["path"];
    let root = ["/src/", "/tests/", "/test/", "/lib/"].iter().filter_map(|mark| path.find(mark)).min();
    let start = root.or_else(|| path.rfind('/').filter(|_| path.contains('.')));
    format!("{before}{}", start.map_or(path, |start| &path[start + 1..]))
}

/// A text without the way to a folder: what lies in it is named from there.
pub(crate) fn from_folder(text: &str, folder: &str) -> String {
    let folder = folder.trim_end_matches('/');
    if folder.len() < 2 || !text.contains(folder) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(folder) {
        let (before, after) = (&rest[..at], &rest[at + folder.len()..]);
        let begins = !before
            .chars()
            .next_back()
            .or_else(|| out.chars().next_back())
            .is_some_and(|c| c.is_alphanumeric() || "._-~@".contains(c));
        let is_url = before.ends_with("file://");
        out.push_str(before.strip_suffix("file://").unwrap_or(before));
        match after.strip_prefix('/') {
            Some(inner) if begins && (is_url || !before.ends_with('/')) => rest = inner,
            _ => {
                out.push_str(if is_url { "file://" } else { "" });
                out.push_str(folder);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Whether a line of a trace is about the tools rather than the project.
fn of_a_framework(line: &str) -> bool {
    const SIGNS: [&str; 12] = [
        "site-packages/",
        "/_pytest/",
        "/unittest/",
        "/pluggy/",
        "node:internal",
        "node_modules/",
        "/rustc/",
        "library/std/src",
        "library/core/src",
        "/usr/lib/python",
        "/usr/local/go/src",
        "importlib._bootstrap",
    ];
    SIGNS.iter().any(|sign| line.contains(sign))
}

fn shorten(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    clip(if text.contains('\n') { &line } else { text }, chars_max)
}

fn clip(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Tier;

    fn failure(kind: FailureKind, name: &str, got: &str, expected: Option<&str>) -> Failure {
        Failure {
            kind,
            name: name.to_owned(),
            got: got.to_owned(),
            expected: expected.map(str::to_owned),
            frame: Some("candidate.py:3  return x".to_owned()),
        }
    }

    fn told(failures: Vec<Failure>) -> String {
        let report = Report {
            command: "asserts".to_owned(),
            passed: 12,
            failed: failures.len() as u32,
            failures,
            tier: Tier::F,
            wall_ms: 5,
            flags: Vec::new(),
        };
        feedback(&Verdict::Failed(report))
    }

    #[test]
    fn only_paths_of_the_machine_are_shortened() {
        for same in [
            "AssertionError: assert 'https://host/api/v3/bob' == 'https://host/api/v1/users/bob'",
            "app/core/mul.c:1:37: error: expected",
            "tests/lib/package_helpers.bash: line 3",
            "\"@borderless/ts-scripts/configs/tsconfig.json\"",
            "assert '/api/v1/src/x.json' == '/lib/b.js'",
            "../src/a.js",
        ] {
            assert_eq!(clean(same), same);
        }
        for (text, short) in [
            ("at f (/home/me/shop/src/a.js:3:1)", "at f (src/a.js:3:1)"),
            ("file:///tmp/x/tests/a.mjs:1", "tests/a.mjs:1"),
            ("/root/x/a.py:3: error", "a.py:3: error"),
        ] {
            assert_eq!(clean(text), short);
        }
    }

    #[test]
    fn a_folders_own_files_are_named_from_it() {
        let of = |text: &str| from_folder(text, "/srv/p");
        assert_eq!(of("/srv/p/packages/web/src/a.js:1 and (/srv/p/b.js)"), "packages/web/src/a.js:1 and (b.js)");
        assert_eq!(of("file:///srv/p/a.mjs:3"), "a.mjs:3");
        for same in ["/srv/p2/a", "https://x/srv/p/a", "in /srv/p", "a/srv/p/b"] {
            assert_eq!(of(same), same);
        }
    }

    #[test]
    fn a_failure_reads_like_a_sentence() {
        let text = told(vec![failure(FailureKind::WrongAnswer, "assert f(1) == 2", "3", Some("2"))]);
        assert_eq!(
            text,
            "FAIL 1 of 13 checks (12 passed)\n1) assert f(1) == 2\n   got: 3\n   expected: 2\n   at candidate.py:3  return x"
        );
    }

    #[test]
    fn feedback_is_bounded_and_groups_what_is_alike() {
        let long = "x".repeat(5_000);
        let many: Vec<_> = (0..20)
            .map(|n| failure(FailureKind::WrongAnswer, &format!("assert f({n}) == {long}"), &long, Some(&long)))
            .collect();
        let text = told(many);
        assert!(text.chars().count() <= CHARS_MAX);
        assert!(!text.contains("4) "));
        let same = vec![failure(FailureKind::Crash, "a", "boom", None), failure(FailureKind::Crash, "b", "boom", None)];
        let text = told(same);
        assert!(text.contains("(+1 like this)") && !text.contains("2) "), "{text}");
    }

    #[test]
    fn the_machine_does_not_show_through() {
        let dirty = "\x1b[31mE\x1b[0m <Foo object at 0x7f00deadbeef> in /tmp/x-1/box/src/a.py:3\n  File \"/usr/lib/python3.11/unittest/case.py\", line 1\nok\x07";
        assert_eq!(clean(dirty), "E <Foo object> in src/a.py:3\nok");
        assert_eq!(clean("a/b and 1/2"), "a/b and 1/2");
        assert_eq!(clean("\x1b]52;c;aGk=\x07x"), "x");
    }

    #[test]
    fn what_the_model_cannot_mend_is_not_told() {
        let why = "no toolchain".to_owned();
        assert_eq!(feedback(&Verdict::NothingToCheck { why: why.clone() }), "");
        assert_eq!(feedback(&Verdict::SandboxFailed { step: "mount".to_owned(), why }), "");
    }
}
