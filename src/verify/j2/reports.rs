//! Report files of runners: the JSON of jest, vitest and mocha, the XML that JUnit made a habit. Pure.

use serde_json::Value;

use super::evidence::{Ended, Evidence, Left, failed, last_lines};
use crate::verify::feedback;

/// A test's name that was not there yet: equal titles are numbered.
fn unique(evidence: &Evidence, id: String) -> String {
    if !evidence.tests.contains_key(&id) {
        return id;
    }
    // One of so many names is free.
    let others = (2..evidence.tests.len() + 3).map(|count| format!("{id} #{count}"));
    others.into_iter().find(|id| !evidence.tests.contains_key(id)).unwrap_or(id)
}

/// A path as it is seen from the work directory.
fn relative<'a>(path: &'a str, left: &Left<'_>) -> &'a str {
    let inner = (!left.work_dir.is_empty()).then(|| path.strip_prefix(left.work_dir)).flatten();
    inner.map_or(path, |inner| inner.trim_start_matches('/'))
}

/// What is said of a failure, with the project's files named from its root.
fn clean(text: &str, left: &Left<'_>) -> String {
    feedback::clean(&feedback::from_folder(text, left.work_dir))
}

/// What is said where there is no report to read.
fn no_report(left: &Left<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    let told = if left.stderr.trim().is_empty() { left.stdout } else { left.stderr };
    let told = last_lines(told, 8);
    if left.exit_ok {
        evidence.unreadable = Some("the runner ended well and left no report".to_owned());
    } else if !told.is_empty() {
        evidence.broken.push(told);
    }
    evidence
}

/// The JSON report of jest, which vitest writes as well.
pub(super) fn jest(left: &Left<'_>) -> Evidence {
    let Some(report) = left.file.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok()) else {
        return no_report(left);
    };
    let mut evidence = Evidence::default();
    let mut passed = 0;
    for suite in report["testResults"].as_array().into_iter().flatten() {
        let tests = suite["assertionResults"].as_array().map(Vec::as_slice).unwrap_or_default();
        let file = relative(suite["name"].as_str().unwrap_or(""), left);
        if tests.is_empty() && suite["status"] == "failed" {
            let why = last_lines(suite["message"].as_str().unwrap_or("a test file failed"), 6);
            evidence.cannot_load(format!("{file} > "), why);
        }
        for test in tests {
            let id = unique(&evidence, format!("{file} > {}", test["fullName"].as_str().unwrap_or("")));
            let ended = match test["status"].as_str() {
                Some("passed") => Ended::Passed,
                Some("failed") => failed(&clean(test["failureMessages"][0].as_str().unwrap_or("failed"), left)),
                _ => Ended::Skipped,
            };
            passed += u64::from(ended == Ended::Passed);
            evidence.put(id, ended);
        }
    }
    evidence.complete = true;
    if report["numPassedTests"].as_u64() != Some(passed) {
        evidence.unreadable = Some("the report's sum and its tests do not agree".to_owned());
    }
    evidence
}

/// The JSON report of mocha.
///
/// Before 9.2 it has no option for a file and prints it, behind whatever the tests print.
pub(super) fn mocha(left: &Left<'_>) -> Evidence {
    let printed = || {
        let at = left.stdout.rfind("{\n  \"stats\": {")?;
        serde_json::Deserializer::from_str(&left.stdout[at..]).into_iter::<Value>().next()?.ok()
    };
    let written = left.file.filter(|bytes| !bytes.is_empty());
    let Some(report) = written.map_or_else(printed, |bytes| serde_json::from_slice::<Value>(bytes).ok()) else {
        return no_report(left);
    };
    let mut evidence = Evidence::default();
    let list = |name: &str| report[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let id = |test: &Value| {
        let file = relative(test["file"].as_str().unwrap_or(""), left);
        format!("{file} > {}", test["fullTitle"].as_str().unwrap_or(""))
    };
    for (name, of) in [("passes", 'p'), ("pending", 's'), ("failures", 'f')] {
        for test in list(name) {
            let ended = match of {
                'p' => Ended::Passed,
                's' => Ended::Skipped,
                _ => failed(&clean(test["err"]["message"].as_str().unwrap_or("failed"), left)),
            };
            let id = unique(&evidence, id(test));
            evidence.put(id, ended);
        }
    }
    evidence.complete = true;
    if report["stats"]["passes"].as_u64() != Some(list("passes").len() as u64) {
        evidence.unreadable = Some("the report's sum and its tests do not agree".to_owned());
    }
    evidence
}

/// XML in JUnit's manner: ctest's, Maven's, Gradle's, PHPUnit's; several files one behind another as well.
pub(super) fn junit(left: &Left<'_>) -> Evidence {
    let Some(text) = left.file.map(String::from_utf8_lossy).filter(|text| !text.trim().is_empty()) else {
        return no_report(left);
    };
    let mut evidence = Evidence::default();
    for case in text.split("<testcase").skip(1) {
        let (head, _) = case.split_once('>').unwrap_or((case, ""));
        let body = case.split("</testcase>").next().filter(|_| !head.ends_with('/')).unwrap_or(head);
        let attribute = |name: &str| {
            let mark = format!(" {name}=\"");
            let start = head.find(&mark)? + mark.len();
            head[start..].find('"').map(|end| head[start..start + end].to_owned())
        };
        let has = |tag: &str| body.contains(&format!("<{tag}"));
        let ended = match attribute("status").as_deref() {
            _ if has("failure") || has("error") || has("rerunFailure") => failed(&told(body)),
            Some("disabled" | "notrun") => Ended::Skipped,
            _ if has("skipped") => Ended::Skipped,
            Some("fail") => failed("failed"),
            _ => Ended::Passed,
        };
        let class = attribute("classname").map_or(String::new(), |class| format!("{class}."));
        let id = unique(&evidence, format!("{class}{}", attribute("name").unwrap_or_default()));
        evidence.put(id, ended);
    }
    evidence.complete = text.contains("</testsuite>") || text.contains("/>");
    evidence
}

/// What a failure says: its message, or the beginning of its text.
fn told(body: &str) -> String {
    let at = body.find("<failure").or_else(|| body.find("<error")).unwrap_or(0);
    let message = body[at..].find("message=\"").map(|start| &body[at + start + 9..]);
    let text = message.and_then(|text| text.split('"').next()).filter(|text| !text.is_empty()).unwrap_or("failed");
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#10;", "\n");
    feedback::clean(&text.replace("&apos;", "'").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(evidence: &Evidence) -> Vec<(&str, char)> {
        let word = |ended: &Ended| match ended {
            Ended::Passed => 'p',
            Ended::Failed { .. } => 'f',
            Ended::Skipped => 's',
        };
        evidence.tests.iter().map(|(id, ended)| (id.as_str(), word(ended))).collect()
    }

    fn left(file: &[u8]) -> Left<'_> {
        Left { file: Some(file), work_dir: "/box", ..Left::default() }
    }

    #[test]
    fn equal_names_in_two_folders_and_equal_titles_stay_apart() {
        let report = br#"{"numPassedTests":3,"testResults":[
            {"name":"/box/a/index.test.js","assertionResults":[{"fullName":"adds","status":"passed"},{"fullName":"adds","status":"passed"}]},
            {"name":"/box/b/index.test.js","assertionResults":[{"fullName":"adds","status":"passed"},{"fullName":"x","status":"failed","failureMessages":["no"]}]}]}"#;
        let evidence = jest(&left(report));
        assert!(evidence.complete && evidence.unreadable.is_none());
        assert_eq!(
            words(&evidence),
            [
                ("a/index.test.js > adds", 'p'),
                ("a/index.test.js > adds #2", 'p'),
                ("b/index.test.js > adds", 'p'),
                ("b/index.test.js > x", 'f')
            ]
        );
    }

    #[test]
    fn mocha_s_report_is_read() {
        let report = br#"{"stats":{"passes":1},"passes":[{"fullTitle":"sum adds","file":"/box/t/a.js"}],"pending":[],"failures":[{"fullTitle":"sum fails","file":"/box/t/a.js","err":{"message":"1 == 2"}}]}"#;
        assert_eq!(words(&mocha(&left(report))), [("t/a.js > sum adds", 'p'), ("t/a.js > sum fails", 'f')]);
    }

    #[test]
    fn an_older_mocha_prints_its_report() {
        // As mocha 5.2.0 prints it, behind what a test printed.
        let report = "debug { \"stats\": 1 }\n{\n  \"stats\": {\n    \"passes\": 1\n  },\n  \"passes\": [{\"fullTitle\": \"sum adds\"}],\n  \"pending\": [],\n  \"failures\": []\n}\nbye\n";
        assert_eq!(words(&mocha(&Left { stdout: report, exit_ok: true, ..Left::default() })), [(" > sum adds", 'p')]);
    }

    #[test]
    fn junit_files_of_several_makers_are_read() {
        let ctest = b"<testsuite><testcase name=\"t1\" status=\"run\"></testcase><testcase name=\"t2\" status=\"fail\"><failure/></testcase></testsuite>";
        assert_eq!(words(&junit(&left(ctest))), [("t1", 'p'), ("t2", 'f')]);
        let surefire = b"<testsuite name=\"A\"><testcase name=\"adds\" classname=\"p.A\" time=\"0\"/><testcase name=\"b\" classname=\"p.A\"><failure message=\"expected: &lt;3&gt;\" type=\"X\">trace</failure></testcase><testcase name=\"c\" classname=\"p.A\"><skipped/></testcase></testsuite><?xml version=\"1.0\"?><testsuite><testcase name=\"adds\" classname=\"p.B\"/></testsuite>";
        let evidence = junit(&left(surefire));
        assert_eq!(words(&evidence), [("p.A.adds", 'p'), ("p.A.b", 'f'), ("p.A.c", 's'), ("p.B.adds", 'p')]);
        assert_eq!(evidence.tests["p.A.b"], failed("expected: <3>"));
    }

    #[test]
    fn no_report_is_no_forgery() {
        let evidence = jest(&Left { exit_ok: true, ..Left::default() });
        assert!(evidence.unreadable.is_some() && evidence.forged.is_empty());
        assert_eq!(jest(&Left { stderr: "boom", ..Left::default() }).broken, ["boom"]);
    }
}
