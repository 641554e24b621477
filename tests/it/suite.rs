//! Public problems put to a scripted model: every arm, every kind of answer, and what is counted apart.

use std::path::Path;
use std::sync::Arc;

use z1::agent::{Agent, Settings, Walls};
use z1::cancel::Cancel;
use z1::engine::{Engine, Reply, Script, Tokens};
use z1::eval::suite::arm::{AgentEffort, Arm};
use z1::eval::suite::ask::{Drawing, Frame, Source};
use z1::eval::suite::compare::{runs, strangers};
use z1::eval::suite::judge::Bench;
use z1::eval::suite::record::{Outcome, Record};
use z1::eval::suite::report::Report;
use z1::eval::suite::run::{Job, Setup, run, verify_options};
use z1::eval::suite::store::{Identity, Store, read_records};
use z1::prompt::{Prompts, WordSet};
use z1::traits::PromptSet;
use z1::verify::suites::{Problem, Suite, read_problems};

const HUMANEVAL: &str = r#"{"task_id":"H/0","prompt":"def add(a: int, b: int) -> int:\n    \"\"\"Adds.\n    >>> add(1, 2)\n    3\n    \"\"\"\n","entry_point":"add","canonical_solution":"    return a + b\n","test":"def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(5, 5) == 10\n"}"#;
const MBPP: &str = r#"{"task_id":7,"text":"Write a function to double a number.","code":"def helper(x):\n    return x\ndef double(x):\n    return helper(x) * 2","test_setup_code":"","test_list":["assert double(2) == 4","assert double(3) == 6"],"challenge_test_list":[]}"#;
const CRUX: &str = r#"{"id":"sample_0","code":"def f(x):\n    return [x] * 2","input":"3","output":"[3, 3]"}"#;
const GSM: &str = r#"{"question":"What is 2 + 2?","answer":"2 + 2 = <<2+2=4>>4\n#### 4"}"#;
const GPQA: &str = r#"{"Record ID":"r1","Question":"Which is even?","Correct Answer":"2","Incorrect Answer 1":"3","Incorrect Answer 2":"5","Incorrect Answer 3":"7"}"#;
const NUMPY: &str = r#"{"task_id":"B/1","complete_prompt":"import numpy as np\ndef task_func(x):\n    pass\n","instruct_prompt":"Do it.","code_prompt":"import numpy as np\ndef task_func(x):\n","canonical_solution":"    return x","entry_point":"task_func","test":"import unittest\nclass TestCases(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(task_func(1), 1)\n"}"#;

fn problems(rows: &[&str]) -> Vec<Problem> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rows.join("\n")).unwrap();
    read_problems(file.path(), Suite::Auto).unwrap().into_iter().map(|row| row.unwrap().shuffled(1)).collect()
}

/// A model that answers by what it is asked.
fn setup(arms: &[Arm], words: WordSet, answer: fn(&str, u32) -> String) -> Option<Arc<Setup>> {
    let sandbox = crate::verify::walls()?;
    let answerer = Arc::new(move |ask: &z1::engine::Ask| Some(Reply::new(answer(&ask.prompt, ask.candidate))));
    let engine = Engine::start_scripted(Script { answerer, tokens: Tokens::Words, ..Script::new(Vec::<Reply>::new()) });
    let judge = Arc::new(Walls { sandbox: sandbox.clone() });
    let agent = Agent::new(engine.clone(), judge, None, Settings { probe: false, ..Settings::default() }).unwrap();
    Some(Arc::new(Setup {
        engine,
        bench: Bench { sandbox, options: verify_options(60.0), cancel: Cancel::new() },
        frame: Frame {
            source: Source::Set(words),
            prompts: Prompts::load(PromptSet::Default, None).unwrap(),
            template: None,
        },
        drawing: Drawing { tokens_max: 200, temperature: 0.7, seed: 1, hint: "\n\nHINT\n\n".to_owned() },
        arms: arms.to_vec(),
        slots: 3,
        adapter: None,
        agent: Some(Arc::new(agent)),
    }))
}

fn records(setup: &Arc<Setup>, problems: Vec<Problem>) -> Vec<Record> {
    let jobs = problems.into_iter().map(|problem| Job { problem: Arc::new(problem), known: Vec::new() }).collect();
    let mut found = Vec::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(run(Arc::clone(setup), jobs, |record| {
            found.push(record.clone());
            Ok(())
        }))
        .unwrap();
    found
}

fn of<'a>(records: &'a [Record], id: &str, arm: &str) -> &'a Record {
    records.iter().find(|record| record.task_id == id && record.arm == arm).unwrap()
}

fn identity() -> Identity {
    Identity {
        words_sha256: String::new(),
        problems: String::new(),
        problems_sha256: String::new(),
        suite: String::new(),
        timeout: None,
        context: None,
        model: "m".to_owned(),
        model_name: "m".to_owned(),
        adapter: None,
        words: "paper".to_owned(),
        hint: "paper".to_owned(),
        tokens_max: 200,
        temperature: 0.7,
        seed: 1,
    }
}

#[test]
fn every_kind_of_answer_is_judged_by_its_own_means() {
    let right = |prompt: &str, _: u32| {
        let text = match prompt {
            _ if prompt.contains("def add") => "Thinking.\n```python\ndef add(a, b):\n    return a + b\n```",
            _ if prompt.contains("double") => "```python\ndef double(x):\n    return 2 * x\n```",
            _ if prompt.contains("[x] * 2") => "So [ANSWER]assert f(3) == [3, 3][/ANSWER] and more",
            _ if prompt.contains("2 + 2") => "That is $\\boxed{4.0}$.",
            _ if prompt.contains("even") => {
                let at = prompt.find(") 2").unwrap();
                return format!("The answer is ({}).", &prompt[at - 1..at]);
            }
            _ => "?",
        };
        text.to_owned()
    };
    let Some(setup) = setup(&[Arm::Chat], WordSet::Paper, right) else { return };
    let found = records(&setup, problems(&[HUMANEVAL, MBPP, CRUX, GSM, GPQA, NUMPY]));
    assert_eq!(found.len(), 6);
    for record in &found {
        let expected = if record.task_id == "B/1" { Outcome::NotJudged } else { Outcome::Passed };
        assert_eq!(record.outcome, expected, "{}: {} ({})", record.task_id, record.why, record.completion);
    }
    assert!(of(&found, "B/1", "chat").why.contains("numpy"));
    assert!(!of(&found, "sample_0", "chat").completion.contains("more"), "the words' stop ends it");
    let report = Report::of("mixed", &identity(), &found, &[]);
    assert_eq!((report.arms[0].solved.of, report.arms[0].not_judged), (5, 1));
    assert!(report.markdown().contains("numpy") && report.svg().ends_with("</svg>\n"));
}

#[test]
fn wrong_and_unreadable_are_not_the_same() {
    let answer = |prompt: &str, _: u32| match prompt {
        _ if prompt.contains("def add") => "```python\ndef add(a, b):\n    return a - b\n```".to_owned(),
        _ if prompt.contains("double") => "I would rather not.".to_owned(),
        _ => "no".to_owned(),
    };
    let Some(setup) = setup(&[Arm::Chat], WordSet::Makers, answer) else { return };
    let found = records(&setup, problems(&[HUMANEVAL, MBPP, CRUX, GSM, GPQA]));
    assert_eq!(of(&found, "H/0", "chat").outcome, Outcome::Failed);
    for id in ["sample_0", "r1"] {
        assert_eq!(of(&found, id, "chat").outcome, Outcome::Unreadable, "{id}");
    }
    let report = Report::of("mixed", &identity(), &found, &["row 3: no text".to_owned()]);
    assert!(report.unreadable.iter().any(|example| example.task_id == "sample_0"));
    assert!(report.markdown().contains("row 3"));
}

#[test]
fn arms_stand_side_by_side_and_a_window_that_is_not_reached_costs_nothing() {
    let answer = |prompt: &str, candidate: u32| {
        let wrong = "a - b";
        let right = "a + b";
        let how = if candidate.is_multiple_of(2) { right } else { wrong };
        if prompt.ends_with("```python\n") {
            format!("def add(a: int, b: int):\n    return {how}\n```")
        } else {
            format!("Let me think.\n```python\ndef add(a: int, b: int):\n    return {how}\n```")
        }
    };
    let arms = [
        Arm::Chat,
        Arm::NoThink,
        Arm::Window(2),
        Arm::Window(150),
        Arm::Force(150),
        Arm::Agent(AgentEffort::Fast),
        Arm::Samples(4),
    ];
    let Some(setup) = setup(&arms, WordSet::Paper, answer) else { return };
    let found = records(&setup, problems(&[HUMANEVAL]));
    assert_eq!(found.len(), arms.len());
    let names: Vec<&str> = found.iter().map(|record| record.arm.as_str()).collect();
    assert_eq!(names, ["chat", "nothink", "window-2", "window-150", "force-150", "fast", "samples-4"]);
    for name in ["chat", "nothink", "window-150", "force-150", "fast"] {
        let record = of(&found, "H/0", name);
        // In this order, so that what went wrong stands first.
        assert_eq!((name, record.why.as_str(), record.outcome), (name, "", Outcome::Passed), "{record:?}");
    }
    assert!(of(&found, "H/0", "window-2").shifted);
    assert_eq!(of(&found, "H/0", "window-150").decoded_tokens, 0, "it goes on from the chat");
    let samples = of(&found, "H/0", "samples-4");
    assert_eq!((samples.answers.len(), samples.passes()), (4, 2));
    assert_eq!(samples.best, Some(0));
    let keys: Vec<_> = samples.answers.iter().map(|answer| answer.key.clone().unwrap()).collect();
    assert!(keys[0] == keys[2] && keys[1] == keys[3] && keys[0] != keys[1], "{keys:?}");
    let report = Report::of("humaneval", &identity(), &found, &[]);
    let summary = report.arms.last().unwrap().samples.unwrap();
    assert!((summary.pass_at_1 - 0.5).abs() < 1e-9 && (summary.pass_at_k - 1.0).abs() < 1e-9);
    assert!(report.markdown().contains("the visible ones, run"));
}

#[test]
fn a_run_goes_on_where_it_stopped_and_refuses_to_be_another() {
    let answer = |_: &str, _: u32| "```python\ndef add(a, b):\n    return a + b\n```".to_owned();
    let Some(setup) = setup(&[Arm::Chat], WordSet::Paper, answer) else { return };
    let found = records(&setup, problems(&[HUMANEVAL]));
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), &identity(), false).unwrap();
    store.put(&found[0]).unwrap();
    drop(store);
    // As a kill in the middle of a line leaves it.
    let path = folder.path().join("records.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{}", &text[..text.len() / 2])).unwrap();
    assert!(Store::open(folder.path(), &identity(), false).is_err());
    let other = Identity { seed: 2, ..identity() };
    let refusal = Store::open(folder.path(), &other, true).unwrap_err().to_string();
    assert!(refusal.contains("seed was 1 and is 2"), "{refusal}");
    let again = Store::open(folder.path(), &identity(), true).unwrap();
    assert_eq!(again.known.len(), 1);
    assert_eq!(read_records(folder.path()).unwrap(), (again.known.clone(), 0));
}

/// HumanEvalPack in languages whose test programs are whole programs.
const PACKED: [(z1::task::Language, &str, &str, &str); 2] = [
    (
        z1::task::Language::Java,
        r#"{"task_id":"Java/0","prompt":"import java.util.*;\n\nclass Solution {\n    public int add(int a) {\n","declaration":"class Solution {\n    public int add(int a) {\n","buggy_solution":"","entry_point":"add","test":"public class Main {\n    public static void main(String[] args) {\n        List<Boolean> right = Arrays.asList(new Solution().add(1) == 2);\n        if (right.contains(false)) {\n            throw new AssertionError();\n        }\n    }\n}"}"#,
        "```java\nimport java.util.*;\n\nclass Solution {\n    public int add(int a) {\n        return a + 1;\n    }\n}\n```",
        "```java\nclass Solution {\n    public int add(int a) {\n        return a;\n    }\n}\n```",
    ),
    (
        z1::task::Language::Cpp,
        r##"{"task_id":"CPP/0","prompt":"/*\nAdds.\n*/\n#include<string>\nusing namespace std;\nint add(int a){\n","declaration":"int add(int a){\n","buggy_solution":"","entry_point":"add","test":"#undef NDEBUG\n#include<assert.h>\nint main(){\n    assert (add(1) == 2);\n}\n"}"##,
        "```cpp\n#include <vector>\nint add(int a) {\n    return a + 1;\n}\n```",
        "```cpp\nint add(int a) {\n    return a;\n}\nint main() { return 0; }\n```",
    ),
];

#[test]
fn multipl_e_programs_run_where_their_tools_are() {
    let tools = z1::verify::tools();
    let rows = [
        (
            z1::task::Language::Rust,
            r#"{"name":"m_rs","language":"rs","prompt":"fn add(a: isize) -> isize {\n","tests":"}\n\nfn main() {\n    let candidate = add;\n    assert_eq!(candidate(1), 2);\n}\n","stop_tokens":["\n}"]}"#,
            "```rust\nfn add(a: isize) -> isize {\n    a + 1\n}\n```",
            "```rust\nfn add(a: isize) -> isize {\n    a + 2\n}\n```",
        ),
        (
            z1::task::Language::Shell,
            r##"{"name":"m_sh","language":"sh","prompt":"#!/bin/bash\n#\n# $1 is an integer\nadd() {\n","tests":"}\n\ncandidate() {\n    add \"$@\"\n}\n\nset -e\nrun_test() {\n    [[ $(candidate \"1\") = \"2\" ]]\n}\n\nrun_test","stop_tokens":["\n}"]}"##,
            "```bash\nadd() {\n  echo $(($1 + 1))\n}\n```",
            "```bash\nadd() {\n  echo 3\n}\nexit 0\n```",
        ),
        (
            z1::task::Language::Cpp,
            r##"{"name":"m_cpp","language":"cpp","prompt":"#include<assert.h>\n#include<bits/stdc++.h>\nlong add(long a) {\n","tests":"}\nint main() {\n    auto candidate = add;\n    assert(candidate((1)) == (2));\n}\n","stop_tokens":["\n}"]}"##,
            "```cpp\nlong add(long a) {\n    return a + 1;\n}\nint main() { return 0; }\n```",
            "```cpp\nlong add(long a) {\n    return a;\n}\n```",
        ),
        (
            z1::task::Language::JavaScript,
            r#"{"name":"m_js","language":"js","prompt":"function add(a){\n","tests":"const assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = add;\n  assert.deepEqual(candidate(1),2);\n}\n\ntest();","stop_tokens":["\nfunction "]}"#,
            "```javascript\nfunction add(a) {\n  return a + 1;\n}\n```",
            "```javascript\nfunction add(a) {\n  return a;\n}\n```",
        ),
        (
            z1::task::Language::Java,
            r#"{"name":"m_java","language":"java","prompt":"import java.util.*;\nimport org.javatuples.*;\nclass Problem {\n    public static long add(long a) {\n","tests":"    }\n    public static void main(String[] args) {\n    assert(add((1l)) == (2l));\n    }\n\n}\n","stop_tokens":["\n    }\n"]}"#,
            "```java\nclass Problem {\n    public static long add(long a) {\n        return a + 1;\n    }\n}\n```",
            "```java\nclass Problem {\n    public static long add(long a) {\n        return a;\n    }\n}\n```",
        ),
    ];
    let Some(sandbox) = crate::verify::walls() else { return };
    let bench = Bench { sandbox, options: verify_options(60.0), cancel: Cancel::new() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (language, row, right, wrong) in rows.into_iter().chain(PACKED) {
        if !tools.iter().any(|(other, tool)| *other == language && tool.is_some()) {
            eprintln!("skipped: no {language:?} here");
            continue;
        }
        let problem = problems(&[row]).remove(0);
        for (reply, expected) in [(right, Outcome::Passed), (wrong, Outcome::Failed)] {
            let judged = runtime.block_on(bench.judge(&problem, &z1::task::Trajectory::ended(reply)));
            assert_eq!(judged.outcome, expected, "{language:?}: {} {:?}", judged.why, judged.candidate);
        }
    }
}

/// The outcome of one reply to one row.
fn judged(bench: &Bench, row: &str, reply: &str) -> (Outcome, String) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let judged = runtime.block_on(bench.judge(&problems(&[row])[0], &z1::task::Trajectory::ended(reply)));
    (judged.outcome, judged.why)
}

fn bench() -> Option<Bench> {
    let sandbox = crate::verify::walls()?;
    Some(Bench { sandbox, options: verify_options(60.0), cancel: Cancel::new() })
}

const PLUS: &str = r#"{"task_id":"H/23","prompt":"def half(x: int) -> float:\n    \"\"\"Halves.\"\"\"\n","entry_point":"half","canonical_solution":"    return x / 2\n","test":"import numpy as np\n\ndef is_floats(x) -> bool:\n    if isinstance(x, float):\n        return True\n    if isinstance(x, (list, tuple)):\n        return all(isinstance(i, float) for i in x)\n    if isinstance(x, np.ndarray):\n        return x.dtype == np.float64 or x.dtype == np.float32\n    return False\n\ndef assertion(out, exp, atol):\n    exact_match = out == exp\n    if atol == 0 and is_floats(exp):\n        atol = 1e-6\n    if not exact_match and atol != 0:\n        assert np.allclose(out, exp, rtol=1e-07, atol=atol)\n    else:\n        assert exact_match\n\ndef check(candidate):\n    inputs = [[1], [3]]\n    results = [0.5, 1.50000001]\n    for i, (inp, exp) in enumerate(zip(inputs, results)):\n        assertion(candidate(*inp), exp, 0)\n"}"#;

#[test]
fn the_larger_tests_of_humaneval_need_no_numpy() {
    let Some(bench) = bench() else { return };
    assert_eq!(
        judged(&bench, PLUS, "```python\ndef half(x):\n    return x / 2\n```"),
        (Outcome::Passed, String::new())
    );
    for wrong in ["x / 3", "None", "[x / 2, 1.0]"] {
        let reply = format!("```python\ndef half(x):\n    return {wrong}\n```");
        assert_eq!(judged(&bench, PLUS, &reply).0, Outcome::Failed, "{wrong}");
    }
    // What is not done without numpy is nobody's failure where it is not installed.
    let more = PLUS.replace("inputs = [[1], [3]]", "np.linspace(0, 1, 3); inputs = [[1], [3]]");
    let (outcome, why) = judged(&bench, &more, "```python\ndef half(x):\n    return x / 2\n```");
    assert!(outcome == Outcome::Passed || (outcome == Outcome::NotJudged && why.contains("linspace")), "{why}");
}

#[test]
fn calls_are_judged_with_what_the_runner_brings_and_exactly() {
    let Some(bench) = bench() else { return };
    let row = |output: &str, kind: &str| {
        format!(
            r#"{{"question_content":"q","question_id":"1","starter_code":"class Solution:\n    def f(self, nums: List[int]) -> int:\n","public_test_cases":"[{{\"input\":\"[3, 1]\",\"output\":\"{output}\",\"testtype\":\"functional\"}}]","metadata":"{{\"func_name\":\"f\"}}"{kind}}}"#
        )
    };
    let answer = |value: &str| {
        format!("```python\nclass Solution:\n    def f(self, nums: List[int]) -> int:\n        return {value}\n```")
    };
    for (output, value, passes) in [
        ("1", "heappop(nums) if heapify(nums) is None else 0", true),
        ("2", "max(Counter('aab').values()) + int(floor(0.5)) + bisect_left([1], 0)", true),
        ("[5]", "[5]", true),
        ("[5]", "5", false),
        ("[[1, 2]]", "[1, 2]", false),
        ("[1, 2]", "(1, 2)", true),
        ("12345678", "12345678", true),
        ("12345678", "12345679.0", false),
        ("0.5", "0.5000001", true),
        ("0.5", "0.51", false),
    ] {
        let (outcome, why) = judged(&bench, &row(output, ""), &answer(value));
        assert_eq!(outcome == Outcome::Passed, passes, "{output} {value}: {why}");
    }
    // Where APPS names the function, its answers may be wrapped.
    let apps = r#"{"question":"q","id":1,"input_output":{"fn_name":"f","inputs":[[1]],"outputs":[[5]]}}"#;
    assert_eq!(judged(&bench, apps, "```python\ndef f(x):\n    return 5\n```").0, Outcome::Passed);
    // What the program defines itself holds.
    let own = "```python\nfrom __future__ import annotations\ndef floor(x):\n    return 7\nclass Solution:\n    def f(self, nums: List[int]) -> int:\n        return floor(1)\n```";
    assert_eq!(judged(&bench, &row("7", ""), own), (Outcome::Passed, String::new()));
}

#[test]
fn a_problem_s_own_time_limit_holds_within_the_user_s() {
    let row = |limit: &str| format!(r#"{{"name":"a","question":"q","input":"1","output":"1","time_limit":{limit}}}"#);
    let seconds = |limit: &str, most: f64| {
        let problem = problems(&[&row(limit)]).remove(0);
        problem.options(&verify_options(most)).limits.wall.as_secs_f64()
    };
    for (limit, most, expected) in [
        ("2", 60.0, 6.0),
        ("\"2.0 seconds\"", 60.0, 6.0),
        ("{\"seconds\":0,\"nanos\":500000000}", 60.0, 3.0),
        ("100", 10.0, 10.0),
        ("null", 10.0, 10.0),
    ] {
        assert!((seconds(limit, most) - expected).abs() < 1e-9, "{limit}");
    }
}

#[test]
fn nobody_is_asked_what_no_judge_here_can_run() {
    const GO: &str = r#"{"task_id":"Go/0","prompt":"package main\nfunc Add(a int) int {\n","declaration":"package main\nfunc Add(a int) int {\n","buggy_solution":"    return a\n}\n","entry_point":"Add","test":"func TestAdd(t *testing.T) {}\n"}"#;
    let Some(setup) = setup(&[Arm::Chat], WordSet::Makers, |_, _| "I would rather not.".to_owned()) else { return };
    let found = records(&setup, problems(&[GO]));
    assert_eq!(found[0].outcome, Outcome::NotJudged, "{}", found[0].why);
    let report = Report::of("humanevalpack", &identity(), &found, &[]).markdown();
    assert!(report.contains("| chat | 0 | 0 | – | – |"), "of nothing there is no share: {report}");
}

#[test]
fn a_folder_is_one_run_s() {
    let folder = tempfile::tempdir().unwrap();
    let Some(setup) = setup(&[Arm::Chat], WordSet::Paper, |_, _| "?".to_owned()) else { return };
    let found = records(&setup, problems(&[GSM]));
    let mine = Identity {
        problems_sha256: "a".to_owned(),
        suite: "gsm8k".to_owned(),
        timeout: Some(10.0),
        context: Some(0),
        ..identity()
    };
    let mut store = Store::open(folder.path(), &mine, false).unwrap();
    store.put(&found[0]).unwrap();
    let refusal = Store::open(folder.path(), &mine, true).unwrap_err().to_string();
    assert!(refusal.contains("another run is writing"), "{refusal}");
    drop(store);
    for (other, word) in [
        (Identity { problems_sha256: "b".to_owned(), ..mine.clone() }, "problems_sha256"),
        (Identity { suite: "math".to_owned(), ..mine.clone() }, "suite was \"gsm8k\" and is \"math\""),
        (Identity { timeout: Some(2.0), ..mine.clone() }, "timeout"),
        (Identity { context: Some(4096), ..mine.clone() }, "context"),
    ] {
        let refusal = Store::open(folder.path(), &other, true).unwrap_err().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
    // A run from before these were kept contradicts nothing.
    let path = folder.path().join("run.json");
    let mut old: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for field in ["problems_sha256", "suite", "timeout", "context"] {
        old.as_object_mut().unwrap().remove(field);
    }
    std::fs::write(&path, old.to_string()).unwrap();
    assert_eq!(Store::open(folder.path(), &mine, true).unwrap().known.len(), 1);
}

#[test]
fn runs_on_other_problems_are_not_compared() {
    let Some(setup) = setup(&[Arm::Chat], WordSet::Paper, |_, _| "?".to_owned()) else { return };
    let gsm = records(&setup, problems(&[GSM]));
    let math = records(&setup, problems(&[r#"{"problem":"What is 1 + 1?","answer":"2"}"#]));
    let other = records(&setup, problems(&[&GSM.replace("2 + 2", "3 + 3")]));
    for stranger in [&math, &other] {
        assert_eq!(stranger[0].task_id, gsm[0].task_id);
        let why = strangers(&gsm, stranger).unwrap();
        assert!(why.contains("row 1") && why.contains("gsm8k"), "{why}");
        assert!(runs(&gsm, stranger).is_empty());
    }
    assert_eq!(strangers(&gsm, &gsm), None);
    let named = records(&setup, problems(&[r#"{"unique_id":"m/1","problem":"What is 1 + 1?","answer":"2"}"#]));
    assert!(strangers(&gsm, &named).unwrap().contains("gsm8k and math"));
    // The same question by other tests is compared, and it is said.
    let more = HUMANEVAL.replace("assert candidate(5, 5) == 10", "assert candidate(5, 6) == 11");
    let (first, second) = (records(&setup, problems(&[HUMANEVAL])), records(&setup, problems(&[&more])));
    assert_eq!(strangers(&first, &second), None);
    let pair = &runs(&first, &second)[0];
    assert_eq!((pair.common, pair.other_tests, pair.others), (1, 1, 0));
    assert_eq!(runs(&first, &first)[0].other_tests, 0);
}

/// Every row of the public file is read, and its own solution passes; skipped where the file is not there.
#[test]
fn public_rows_become_problems() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    for (file, suite, count) in [
        ("humaneval/HumanEval.jsonl.gz", Suite::HumanEval, 164),
        ("mbpp/mbpp.jsonl.gz", Suite::Mbpp, 974),
        ("cruxeval/cruxeval.jsonl", Suite::Cruxeval, 800),
        ("humanevalpack/rust.jsonl.gz", Suite::HumanEvalPack, 164),
        ("bigcodebench_hard/bigcodebench_hard.json.gz", Suite::BigCodeBench, 148),
        ("gsm8k/test.jsonl", Suite::Gsm8k, 1319),
        ("math500/math500.jsonl", Suite::Math, 500),
    ] {
        let path = data.join(file);
        if !path.exists() {
            eprintln!("skipped: {} is not there", path.display());
            continue;
        }
        let rows = read_problems(&path, Suite::Auto).unwrap();
        assert_eq!(rows.len(), count, "{file}");
        let frame = Frame {
            source: Source::Set(WordSet::Makers),
            prompts: Prompts::load(PromptSet::Default, None).unwrap(),
            template: None,
        };
        for row in rows {
            let problem = row.unwrap();
            assert_eq!(problem.suite, suite, "{}", problem.id);
            frame.put(&problem, Arm::Chat).unwrap();
            assert!(problem.names.is_empty() || !problem.wanted_names().is_empty());
        }
    }
}
