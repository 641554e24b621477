//! What a runner reported, test by test. Pure: reads lines and files, runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::runner::Kind;
use super::told::Said;
use crate::verify::feedback;

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    /// With what was said and the innermost frame in the project.
    Failed {
        text: String,
        frame: Option<String>,
    },
    Skipped,
}

/// Everything a run told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) tests: BTreeMap<String, Ended>,
    /// The runner itself said that it came to its end.
    pub(crate) complete: bool,
    /// What went wrong before any test (a file that cannot be imported or compiled).
    pub(crate) broken: Vec<String>,
    /// Reports that no honest run makes.
    pub(crate) forged: Vec<String>,
    /// What the run did to files that decide about it.
    pub(crate) tampered: Vec<String>,
    /// What a failing command's own lines say; it never makes a pass.
    pub(crate) told: super::told::Told,
    /// What the lines of a command say that has nothing but an exit code, however that was.
    pub(crate) said: super::told::Said,
    /// Files whose tests could not be loaded, by the beginning of their tests' names, and why.
    pub(crate) unloaded: BTreeMap<String, String>,
    /// Parts of the runner that are not what they were when it began.
    pub(crate) replaced: BTreeSet<String>,
    /// Why the results cannot be read. That says nothing about the code.
    pub(crate) unreadable: Option<String>,
}

impl Evidence {
    pub(super) fn put(&mut self, id: String, ended: Ended) {
        if self.tests.len() >= TESTS_MAX {
            return;
        }
        match self.tests.get(&id) {
            // A test that is reported twice counts by its worse report.
            Some(Ended::Failed { .. }) => {}
            Some(Ended::Skipped) if ended == Ended::Passed => {}
            _ => {
                self.tests.insert(id, ended);
            }
        }
    }

    pub(super) fn cannot_load(&mut self, tests: String, why: String) {
        self.broken.push(why.clone());
        self.unloaded.insert(tests, why);
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Ended) -> bool) -> u32 {
        self.tests.values().filter(|ended| wanted(ended)).count() as u32
    }
}

/// How a failed assertion of node's console begins.
pub(crate) const CONSOLE_ASSERT: &str = "console.assert";
/// The one test of a command that only has an exit code.
pub(super) const COMMAND: &str = "the command";
/// How unittest calls a module that it could not load.
const UNLOADED: &str = "unittest.loader._FailedTest.";
/// Most tests kept of one run.
const TESTS_MAX: usize = 100_000;

/// What the run left for us to read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Left<'a> {
    pub(crate) channel: &'a [u8],
    pub(crate) nonce: &'a str,
    pub(crate) stdout: &'a str,
    pub(crate) stderr: &'a str,
    /// The report file, for runners that write one.
    pub(crate) file: Option<&'a [u8]>,
    pub(crate) exit_ok: bool,
    /// Nothing of what was printed is left out.
    pub(crate) is_whole: bool,
    /// The work directory, to be cut out of paths.
    pub(crate) work_dir: &'a str,
}

/// Reads the evidence of this kind of runner.
pub(crate) fn read(kind: Kind, left: &Left<'_>) -> Evidence {
    match kind {
        Kind::Pytest | Kind::Unittest => channel(left),
        Kind::Cargo => super::cargo::read(left),
        Kind::Go => go(left.stdout),
        Kind::Node => tap(left.stdout),
        Kind::Jest | Kind::Vitest => super::reports::jest(left),
        Kind::Mocha => super::reports::mocha(left),
        Kind::Ctest | Kind::Junit => super::reports::junit(left),
        Kind::Shell => shell(left),
    }
}

pub(super) fn failed(text: &str) -> Ended {
    Ended::Failed { text: text.to_owned(), frame: None }
}

/// Our own reporters' lines. A line without the nonce was written by somebody else.
fn channel(left: &Left<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for line in left.channel.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let event: Value = serde_json::from_slice(line).unwrap_or(Value::Null);
        if event["nonce"].as_str() != Some(left.nonce) {
            evidence.forged.push("something other than the reporter wrote to its channel".to_owned());
            continue;
        }
        let text = &feedback::from_folder(event["text"].as_str().unwrap_or(""), left.work_dir);
        if let Some(id) = event["id"].as_str() {
            let ended = match event["outcome"].as_str() {
                Some("passed") => Ended::Passed,
                Some("skipped" | "xfailed") => Ended::Skipped,
                _ => Ended::Failed { text: text.clone(), frame: event["frame"].as_str().map(str::to_owned) },
            };
            // A module that cannot be loaded is no test.
            match id.strip_prefix(UNLOADED) {
                Some(module) => evidence.cannot_load(format!("{module}."), text.clone()),
                None => evidence.put(id.to_owned(), ended),
            }
        } else if let Some(node) = event["collect"].as_str() {
            evidence.cannot_load(format!("{node}::"), format!("{node}: {}", last_lines(text, 4)));
        } else if let Some(parts) = event["replaced"].as_array() {
            evidence.replaced.extend(parts.iter().filter_map(Value::as_str).map(str::to_owned));
        } else if event.get("end").is_some() {
            evidence.complete = true;
        }
    }
    evidence
}

pub(super) fn last_lines(text: &str, count: usize) -> String {
    let text = feedback::clean(text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// `go test -json`: a test counts by its own event and its own `--- PASS` line, never by its package's.
fn go(stdout: &str) -> Evidence {
    let mut evidence = Evidence::default();
    let mut printed: BTreeMap<String, String> = BTreeMap::new();
    let (mut started, mut ended) = (0, 0);
    for line in stdout.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            if line.contains(".go:") || line.starts_with('#') {
                evidence.broken.push(line.to_owned());
            }
            continue;
        };
        let package = event["Package"].as_str().unwrap_or("");
        let Some(test) = event["Test"].as_str() else {
            match event["Action"].as_str() {
                Some("start") => started += 1,
                Some("pass" | "fail" | "skip") => ended += 1,
                _ => {}
            }
            continue;
        };
        let id = format!("{package}.{test}");
        let output = printed.entry(id.clone()).or_default();
        match event["Action"].as_str() {
            Some("output") => output.push_str(event["Output"].as_str().unwrap_or("")),
            Some("pass") if output.contains(&format!("--- PASS: {test} ")) => evidence.put(id, Ended::Passed),
            Some("pass" | "fail") => {
                let text = last_lines(output, 4);
                evidence.put(id, failed(&text));
            }
            Some("skip") => evidence.put(id, Ended::Skipped),
            _ => {}
        }
    }
    evidence.broken.truncate(10);
    evidence.complete = ended > 0 && ended >= started;
    evidence
}

/// TAP of `node --test`: leaves of the tree by their path; a file alone is no test.
fn tap(stdout: &str) -> Evidence {
    let mut evidence = Evidence::default();
    let mut parents: Vec<String> = Vec::new();
    let mut pending: Option<(String, bool)> = None;
    let mut detail = String::new();
    for line in stdout.lines() {
        let depth = (line.len() - line.trim_start().len()) / 4;
        let text = line.trim();
        if let Some(name) = text.strip_prefix("# Subtest: ") {
            parents.truncate(depth);
            parents.push(name.to_owned());
        } else if let Some((held, rest)) = text
            .strip_prefix("ok ")
            .map(|rest| (true, rest))
            .or_else(|| text.strip_prefix("not ok ").map(|rest| (false, rest)))
        {
            let name = rest.split_once(" - ").map_or(rest, |(_, name)| name);
            let skipped = name.contains(" # SKIP") || name.contains(" # TODO");
            let name = name.split(" # ").next().unwrap_or(name);
            parents.truncate(depth);
            let id = parents.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" > ");
            let ended = if skipped {
                Ended::Skipped
            } else if held {
                Ended::Passed
            } else {
                failed("failed")
            };
            evidence.put(id.clone(), ended);
            pending = (!held && !skipped).then_some((id, true));
            detail.clear();
        } else if let Some((id, _)) = &pending {
            if let Some(message) = text.strip_prefix("error: ") {
                message.trim_matches(['\'', '"', '|', '-', ' ']).clone_into(&mut detail);
            } else if let Some(value) = text.strip_prefix("expected: ").or_else(|| text.strip_prefix("actual: ")) {
                let word = if text.starts_with("expected") { "expected" } else { "actual" };
                detail.push_str(&format!(" {word}: {value}"));
            } else if text == "..." {
                if !detail.is_empty() {
                    evidence.tests.insert(id.clone(), failed(detail.trim()));
                }
                pending = None;
            }
        } else if text.starts_with("# pass ") {
            evidence.complete = true;
        } else if let Some(what) = text.strip_prefix("# ").and_then(console_assert) {
            evidence.broken.push(what);
        }
    }
    forget_parents(&mut evidence);
    evidence
}

/// What node prints where a `console.assert` does not hold; node itself goes on as if nothing were the matter.
fn console_assert(line: &str) -> Option<String> {
    let said = line.trim().strip_prefix("Assertion failed")?;
    (said.is_empty() || said.starts_with(':')).then(|| format!("{CONSOLE_ASSERT} failed{said}"))
}

/// Files and suites say nothing beside their own tests.
fn forget_parents(evidence: &mut Evidence) {
    let ids: Vec<String> = evidence.tests.keys().cloned().collect();
    evidence.tests.retain(|id, _| {
        let is_parent = ids.iter().any(|other| other.len() > id.len() && other.starts_with(&format!("{id} > ")));
        let ends = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"];
        let is_file = !id.contains(" > ") && ends.iter().any(|end| id.ends_with(end));
        !is_parent && !is_file
    });
}

/// A command that only has an exit code is one test.
fn shell(left: &Left<'_>) -> Evidence {
    let told = if left.stderr.trim().is_empty() { left.stdout } else { left.stderr };
    let asserted = left.stderr.lines().find_map(console_assert);
    let mut said = Said::of(left.stdout, left.stderr);
    said.is_whole &= left.is_whole;
    let ended = match asserted {
        Some(what) if left.exit_ok => failed(&what),
        _ if left.exit_ok && said.failed.is_some_and(|count| count > 0) => {
            failed(&format!("it ended with success, and its own output says: {}", said.sum))
        }
        _ if left.exit_ok => Ended::Passed,
        _ => failed(&last_lines(told, 8)),
    };
    // Where no line tells of a failure there is nothing to learn of one.
    let tells = !left.exit_ok && said.each.values().any(Option::is_some);
    let told = if tells { said.each.clone() } else { BTreeMap::new() };
    Evidence { tests: BTreeMap::from([(COMMAND.to_owned(), ended)]), complete: true, told, said, ..Evidence::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(evidence: &Evidence) -> Vec<(&str, &str)> {
        let word = |ended: &Ended| match ended {
            Ended::Passed => "passed",
            Ended::Failed { .. } => "failed",
            Ended::Skipped => "skipped",
        };
        evidence.tests.iter().map(|(id, ended)| (id.as_str(), word(ended))).collect()
    }

    fn of(kind: Kind, stdout: &str) -> Evidence {
        read(kind, &Left { stdout, ..Left::default() })
    }

    #[test]
    fn lines_without_the_nonce_are_forgeries() {
        let channel = b"{\"nonce\":\"n\",\"id\":\"a\",\"outcome\":\"failed\",\"text\":\"x\"}\n{\"id\":\"a\",\"outcome\":\"passed\"}\n{\"nonce\":\"n\",\"end\":1}\n";
        let evidence = read(Kind::Pytest, &Left { channel, nonce: "n", ..Left::default() });
        assert_eq!(words(&evidence), [("a", "failed")]);
        assert!(evidence.complete);
        assert_eq!(evidence.forged.len(), 1);
    }

    #[test]
    fn a_console_assert_that_fails_is_a_failure() {
        let tap = "# Subtest: a\nok 1 - a\n# Assertion failed: no\n1..1\n# pass 1\n";
        assert_eq!(of(Kind::Node, tap).broken, ["console.assert failed: no"]);
        let left = Left { stderr: "Assertion failed\n", exit_ok: true, ..Left::default() };
        assert_eq!(words(&read(Kind::Shell, &left)), [("the command", "failed")]);
        assert!(of(Kind::Node, "# Assertion failures are told here\n").broken.is_empty());
    }

    #[test]
    fn a_command_s_success_is_none_where_its_own_sum_says_so() {
        let of = |stdout| read(Kind::Shell, &Left { stdout, exit_ok: true, ..Left::default() });
        assert_eq!(words(&of("Tests failed: 2\nTests passed: 3\n")), [("the command", "failed")]);
        for fine in ["Tests failed: 0\n", "FAIL a\nTests failed: 0\n", "ok a\n", "FAIL a\n", ""] {
            assert_eq!(words(&of(fine)), [("the command", "passed")], "{fine}");
        }
    }

    #[test]
    fn a_module_that_cannot_be_loaded_is_no_test() {
        let channel = b"{\"nonce\":\"n\",\"id\":\"unittest.loader._FailedTest.test_b\",\"outcome\":\"failed\",\"text\":\"ImportError: no x\"}\n{\"nonce\":\"n\",\"collect\":\"a.py\",\"text\":\"E  no y\"}\n{\"nonce\":\"n\",\"replaced\":[\"p.Function.runtest\"]}\n";
        let evidence = read(Kind::Unittest, &Left { channel, nonce: "n", ..Left::default() });
        assert!(evidence.tests.is_empty() && evidence.replaced.contains("p.Function.runtest"));
        assert_eq!(evidence.broken, ["ImportError: no x", "a.py: E  no y"]);
        assert_eq!(evidence.unloaded.keys().collect::<Vec<_>>(), ["a.py::", "test_b."]);
    }

    #[test]
    fn go_tests_count_by_their_own_lines() {
        let stdout = r#"{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- PASS: TestA (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p"}"#;
        let evidence = of(Kind::Go, stdout);
        assert_eq!(words(&evidence), [("p.TestA", "passed"), ("p.TestB", "failed")]);
        assert!(evidence.complete);
    }

    #[test]
    fn tap_gives_leaves_and_no_files() {
        let stdout = "TAP version 13\n# Subtest: suite\n    # Subtest: one\n    ok 1 - one\n    # Subtest: two\n    not ok 2 - two\n      ---\n      error: 'boom'\n      ...\n    1..2\nnot ok 1 - suite\n# Subtest: a.test.js\nok 2 - a.test.js\nok 3 - later # SKIP\n# pass 1\n";
        let evidence = of(Kind::Node, stdout);
        assert_eq!(words(&evidence), [("later", "skipped"), ("suite > one", "passed"), ("suite > two", "failed")]);
        assert!(evidence.complete);
    }
}
