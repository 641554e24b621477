//! Replies as models really write them, against files before and after: `tests/data/edits/*.case`.
//!
//! A case is a description, then sections: `=== before PATH [crlf] [open]`, `=== reply [crlf]`, and either
//! `=== after PATH [crlf] [open]` and `=== gone PATH` for what changes, or `=== refused KIND`. `crlf` ends every line
//! in CR LF, `open` leaves off the last line break, `␍` stands for one CR.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use z1::reply::edits;
use z1::reply::paths::Known;
use z1::workspace::plan::{self, FileState, Plan, Rules};

#[derive(Default)]
struct Case {
    before: BTreeMap<String, String>,
    reply: String,
    after: BTreeMap<String, String>,
    gone: Vec<String>,
    refused: Vec<String>,
}

fn parse(text: &str) -> Case {
    let mut case = Case::default();
    for section in text.split("\n=== ").skip(1) {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let words: Vec<&str> = head.split_whitespace().collect();
        // The split took the last line's break, except at the end of the case.
        let mut body = if body.ends_with('\n') || body.is_empty() { body.to_owned() } else { format!("{body}\n") };
        if words.contains(&"open") {
            body.truncate(body.trim_end_matches('\n').len());
        }
        if words.contains(&"crlf") {
            body = body.replace('\n', "\r\n");
        }
        body = body.replace('␍', "\r");
        match words.as_slice() {
            ["before", path, ..] => drop(case.before.insert((*path).to_owned(), body)),
            ["after", path, ..] => drop(case.after.insert((*path).to_owned(), body)),
            ["gone", path] => case.gone.push((*path).to_owned()),
            ["reply", ..] => case.reply = body,
            ["refused", kinds @ ..] => case.refused = kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            other => panic!("an unknown section: {other:?}"),
        }
    }
    case
}

fn planned(before: &BTreeMap<String, String>, reply: &str) -> Plan {
    let reading = edits::read(reply, &Known::new(before.keys().cloned()));
    let states = plan::paths_needed(&reading.edits)
        .into_iter()
        .map(|path| {
            let state = before.get(&path).map_or(FileState::Missing, |text| FileState::Text(text.clone()));
            (path, state)
        })
        .collect();
    plan::plan(&states, &reading, Rules::default())
}

fn applied(before: &BTreeMap<String, String>, plan: &Plan) -> BTreeMap<String, String> {
    let mut files = before.clone();
    for file in &plan.files {
        match &file.after {
            Some(text) => drop(files.insert(file.path.clone(), text.clone())),
            None => drop(files.remove(&file.path)),
        }
    }
    files
}

fn kinds(plan: &Plan) -> Vec<String> {
    plan.refused.iter().map(|r| serde_json::to_value(r.kind).unwrap().as_str().unwrap().to_owned()).collect()
}

/// What is wrong with one case; nothing where it holds.
fn problem(case: &Case) -> Option<String> {
    let plan = planned(&case.before, &case.reply);
    if kinds(&plan) != case.refused {
        return Some(format!("refused {:?}, expected {:?}: {:?}", kinds(&plan), case.refused, plan.refused));
    }
    let files = applied(&case.before, &plan);
    let mut expected = case.before.clone();
    expected.extend(case.after.clone());
    expected.retain(|path, _| !case.gone.contains(path));
    (case.refused.is_empty() && files != expected).then(|| format!("got {files:#?}\nexpected {expected:#?}"))
}

#[test]
fn every_recorded_shape_of_reply_gives_the_files_it_means_or_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/edits");
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 80, "the corpus is there");
    let problems: Vec<String> = names
        .iter()
        .filter_map(|path| {
            let case = parse(&fs::read_to_string(path).unwrap());
            problem(&case).map(|what| format!("{}: {what}", path.file_name().unwrap().display()))
        })
        .collect();
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), names.len(), problems.join("\n\n"));
}

/// The public cases beside the project: files before, a reply, and the files after or `refused`.
#[test]
fn every_case_beside_the_project_ends_as_it_should() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/edit_cases.jsonl");
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let mut problems = Vec::new();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let files =
            |value: &serde_json::Value| -> BTreeMap<String, String> { serde_json::from_value(value.clone()).unwrap() };
        let before = files(&case["files"]);
        let plan = planned(&before, case["reply"].as_str().unwrap());
        let problem = match (plan.holds(), case["expected"].as_str()) {
            (false, Some("refused")) => None,
            (true, None) => {
                let after = applied(&before, &plan);
                (after != files(&case["expected"])).then(|| format!("{after:?}"))
            }
            (holds, _) => Some(format!("holds {holds}: {:?} {:?}", plan.refused, plan.files)),
        };
        problems.extend(problem.map(|what| format!("{}: {what}", case["name"])));
    }
    assert!(problems.is_empty(), "{} wrong:\n{}", problems.len(), problems.join("\n\n"));
}
