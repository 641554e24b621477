//! Public suites through `z1 verify`: our own rows in the published shapes, and the real ones where they are.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

use super::walls;

fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/suites").join(name)
}

/// Public test material beside the checkout; `None`, said aloud, where it is not.
fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("Z1_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join("data").join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// Runs `z1 verify` and returns exit code, records and summary.
fn verify(args: &[&str]) -> (i32, Vec<Value>, String) {
    let output = Command::cargo_bin("z1").unwrap().arg("verify").args(args).output().unwrap();
    let records =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), records, String::from_utf8(output.stderr).unwrap())
}

fn words(records: &[Value]) -> Vec<(&str, &str)> {
    records.iter().map(|record| (record["task_id"].as_str().unwrap(), record["verdict"].as_str().unwrap())).collect()
}

/// The canonical solutions pass and the buggy ones do not, or there is no tool to run them with.
fn tells_apart(suite: &str, path: &Path) {
    let path = path.to_str().unwrap();
    for (which, want) in [("--canonical", "passed"), ("--buggy", "failed")] {
        let (_, records, summary) = verify(&["--suite", suite, which, path]);
        assert!(!records.is_empty(), "{summary}");
        for record in &records {
            // A compiler in a home folder that the sandbox's user may not enter cannot be run either.
            let no_tool =
                record["verdict"] == "sandbox_failed" && record["task_id"].as_str().unwrap().starts_with("Rust/");
            if record["verdict"] == "nothing_to_check" || no_tool {
                println!("skipped: {}: {}", record["task_id"], record["why"]);
                continue;
            }
            assert_eq!(record["verdict"], want, "{which} {record}");
        }
    }
}

#[test]
fn our_own_rows_are_told_apart() {
    if walls().is_none() {
        return;
    }
    tells_apart("humaneval", &own("humaneval.jsonl"));
    tells_apart("mbpp", &own("mbpp.jsonl"));
    tells_apart("humanevalpack", &own("humanevalpack_js.jsonl"));
    tells_apart("humanevalpack", &own("humanevalpack_rust.jsonl"));
    tells_apart("stdio", &own("stdio.jsonl"));
}

#[test]
fn cruxeval_rows_are_read() {
    if walls().is_none() {
        return;
    }
    let (code, records, _) = verify(&["--suite", "cruxeval", "--canonical", own("cruxeval.jsonl").to_str().unwrap()]);
    assert_eq!((code, words(&records)), (0, vec![("sample_0", "passed"), ("sample_1", "passed")]));
}

#[test]
fn answers_to_cruxeval_are_put_in_place() {
    if walls().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let row = |id: &str| format!(r#"{{"id":"{id}","code":"def f(x):\n    return x + 1","input":"1","output":"2"}}"#);
    let problems = write("problems.jsonl", &["a", "b", "c", "d", "e"].map(row).join("\n"));
    let answer = |id: &str, text: &str| serde_json::json!({"task_id": id, "completion": text}).to_string();
    let judge = |texts: [&str; 5], more: &[&str]| {
        let rows: Vec<String> =
            ["a", "b", "c", "d", "e"].iter().zip(texts).map(|(id, text)| answer(id, text)).collect();
        let answers = write("answers.jsonl", &rows.join("\n"));
        let (_, records, _) = verify(&[more, &[problems.as_str(), answers.as_str()]].concat());
        records.iter().map(|record| record["verdict"] == "passed").collect::<Vec<_>>()
    };
    let outputs = [
        "assert f(1) == 2",
        "So [ANSWER]2[/ANSWER]",
        "2",
        "def f(x):\n    return 2",
        "[ANSWER]assert f(1) == 3[/ANSWER]",
    ];
    assert_eq!(judge(outputs, &[]), [true, true, true, true, false]);
    let inputs = [
        "assert f(1) == 2",
        "So [ANSWER]1[/ANSWER]",
        "1",
        "[ANSWER]f(1)[/ANSWER]",
        "[ANSWER]assert f(3) == 2[/ANSWER]",
    ];
    assert_eq!(judge(inputs, &["--inputs"]), [true, true, true, true, false]);
}

#[test]
fn bigcodebench_s_own_solutions_pass_where_nothing_is_missing() {
    let (Some(path), Some(_)) = (shared("bigcodebench_hard/bigcodebench_hard.json.gz"), walls()) else { return };
    let (_, records, summary) = verify(&["--canonical", "--timeout", "60", path.to_str().unwrap()]);
    let passed = words(&records).iter().filter(|(_, word)| *word == "passed").count();
    assert!(passed >= 31, "{summary}");
    assert!(records.iter().all(|record| record["why"] != "" || record["verdict"] == "passed"), "{summary}");
}

#[test]
fn odd_rows_are_named_and_spoil_nothing() {
    if walls().is_none() {
        return;
    }
    let (code, records, summary) = verify(&["--canonical", own("odd.jsonl").to_str().unwrap()]);
    let passed: Vec<_> = words(&records).into_iter().filter(|(_, word)| *word == "passed").collect();
    assert_eq!(passed, [("fine", "passed")]);
    assert!(records.iter().filter(|record| record["verdict"] == "bad_row").all(|record| record["why"] != ""));
    assert_eq!((code, records.len()), (0, 8), "{summary}");
    assert!(summary.contains("7 unusable rows"), "{summary}");
}

#[test]
fn a_run_goes_on_where_it_stopped() {
    if walls().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("verdicts.jsonl");
    let problems = own("humaneval.jsonl");
    let (out, problems) = (out.to_str().unwrap(), problems.to_str().unwrap());
    let args = ["--suite", "humaneval", "--canonical", "--resume", out, problems];
    assert_eq!(verify(&args).0, 0);
    let whole = std::fs::read_to_string(out).unwrap();
    // As if it had been stopped in the middle of the fourth line.
    let cut: String = whole.split_inclusive('\n').take(3).collect::<String>() + "{\"task_id\":\"Own/3\",\"verd";
    std::fs::write(out, cut).unwrap();
    let (code, _, summary) = verify(&args);
    assert_eq!(code, 0, "{summary}");
    let again = std::fs::read_to_string(out).unwrap();
    let ids = |text: &str| {
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["task_id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&again), ids(&whole));
    assert!(summary.starts_with("11 of 11 passed"), "{summary}");
    // Verdicts of other walls are not mixed with these.
    let other = if again.contains("\"tier\":\"F\"") { "L" } else { "F" };
    std::fs::write(out, again.replace("\"tier\":\"F\"", "\"tier\":\"S\"").replace("\"tier\":\"L\"", "\"tier\":\"S\""))
        .unwrap();
    assert_eq!(verify(&args).0, 2, "{other}");
}

#[test]
fn mistakes_on_the_command_line_say_how_to_mend_them() {
    let run = |args: &[&str]| {
        let output = Command::cargo_bin("z1").unwrap().arg("verify").args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["problems.jsonl"]).0, 2);
    assert_eq!(run(&["--suite", "nonsense", "--canonical", "x"]).0, 2);
    assert_eq!(run(&["--timeout", "0", "--canonical", "x"]).0, 2);
    let (code, said) = run(&["--canonical", "/nowhere/at/all.jsonl"]);
    assert!(code == 1 && said.contains("/nowhere/at/all.jsonl"), "{said}");
}

/// Judges a published suite's own solutions; at least `least` must pass, and no buggy one may.
fn published(suite: &str, name: &str, least: usize, buggy: bool) {
    let (Some(path), Some(_)) = (shared(name), walls()) else { return };
    let path = path.to_str().unwrap();
    let (_, records, summary) = verify(&["--suite", suite, "--canonical", path]);
    let passed = words(&records).iter().filter(|(_, word)| *word == "passed").count();
    assert!(passed >= least, "{summary}");
    if buggy {
        let (_, records, summary) = verify(&["--suite", suite, "--buggy", path]);
        assert!(words(&records).iter().all(|(_, word)| *word == "failed"), "{summary}");
    }
}

#[test]
fn humaneval_passes_with_its_own_solutions() {
    published("humaneval", "humaneval/HumanEval.jsonl.gz", 164, false);
}

#[test]
fn humanevalpack_python_is_told_apart() {
    published("humanevalpack", "humanevalpack/python.jsonl.gz", 164, true);
}

#[test]
fn humanevalpack_javascript_is_told_apart() {
    published("humanevalpack", "humanevalpack/js.jsonl.gz", 163, true);
}
