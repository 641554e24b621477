//! Data from one's own model: the shortest pass is kept, thinking only where code at once failed, and every row says
//! where it comes from.

use z1::cancel::Cancel;
use z1::engine::{Engine, Reply, Script, SessionId};
use z1::prompt::{Message, Role};
use z1::sandbox::{Sandbox, SandboxOptions};
use z1::sft::data::own::{self, Asking, Problem};
use z1::sft::sample::Sample;

fn walls() -> Option<Sandbox> {
    let helper_exe = env!("CARGO_BIN_EXE_z1").into();
    match Sandbox::start(SandboxOptions { tier: None, allow_unsandboxed: false, helper_exe }) {
        Ok(sandbox) => Some(sandbox),
        Err(why) => {
            println!("skipped: {why}");
            None
        }
    }
}

const HINT: &str = "\n\nSo:\n\n";
const HINT_CODE: &str = "\n\nSo:\n\n```python\n";

fn asking() -> Asking {
    Asking {
        samples: 2,
        window: 200,
        answer_tokens: 200,
        temperature: 0.8,
        seed: 1,
        hint: HINT.to_owned(),
        hint_code: HINT_CODE.to_owned(),
        hinted_percent: 100,
        model: "the model".to_owned(),
        prompts: "the prompts".to_owned(),
    }
}

fn problem(id: &str) -> Problem {
    Problem {
        id: id.to_owned(),
        messages: vec![Message::new(Role::User, "Write f that doubles.")],
        names: vec!["f".to_owned()],
        tests: "assert f(2) == 4\nassert f(5) == 10".to_owned(),
    }
}

const RIGHT: &str = "def f(x):\n    return 2 * x\n```";
const LONGER: &str = "def f(x):\n    y = x + x\n    z = y\n    return z\n```";
const WRONG: &str = "def f(x):\n    return x * x\n```";

#[tokio::test]
async fn the_shortest_pass_at_once_is_kept_and_nothing_is_thought() {
    let Some(sandbox) = walls() else { return };
    // The one that ends after its program, the one that explains it and the one that never closes it.
    let script = Script::answering(|ask| {
        let code = match ask.candidate {
            0 => LONGER.to_owned(),
            1 => format!("{RIGHT}\n\nThis doubles `x`, and so on."),
            _ => RIGHT.trim_end_matches('`').to_owned(),
        };
        Some(Reply::new("To double is to add to itself. So first of all we").after_shift(code))
    });
    let engine = Engine::start_scripted(script);
    let asking = Asking { samples: 3, window: 8, ..asking() };
    let found = own::sample(&engine, &sandbox, SessionId(0), &problem("p"), &asking, &Cancel::new()).await.unwrap();
    assert_eq!((found.tried, found.passed, found.rows.len()), (3, 2, 2), "{found:?}");
    let row = &found.rows[0];
    assert_eq!((row["id"].as_str(), row["model"].as_str()), (Some("p/at_once"), Some("the model")));
    assert!(row["tests"].as_str().unwrap().contains("f(5)") && row["prompts"] == "the prompts");
    let whole = format!("```python\n{RIGHT}");
    assert_eq!(parts(row), [(whole.clone(), true)], "the fence is learnt with the program, and nothing after it");
    let cut = parts(&found.rows[1]);
    assert!("To double is to add to itself. So first of all we".starts_with(&cut[0].0) && !cut[0].1, "{cut:?}");
    let ways = [[(HINT.to_owned(), false), (whole, true)], [(HINT_CODE.to_owned(), false), (RIGHT.to_owned(), true)]];
    assert!(ways.iter().any(|way| cut[1..] == *way), "{cut:?}");
}

fn parts(row: &serde_json::Value) -> Vec<(String, bool)> {
    let sample: Sample = serde_json::from_value(row.clone()).unwrap();
    sample.reply.into_iter().map(|part| (part.text, part.learn)).collect()
}

#[tokio::test]
async fn thinking_is_kept_only_where_code_at_once_fails() {
    let Some(sandbox) = walls() else { return };
    let thought = format!("Twice two is four, so it doubles.\n\n```python\n{RIGHT}");
    let script = Script::answering(move |_| Some(Reply::new(thought.clone()).after_shift(WRONG)));
    let engine = Engine::start_scripted(script);
    let found = own::sample(&engine, &sandbox, SessionId(0), &problem("p"), &asking(), &Cancel::new()).await.unwrap();
    assert_eq!((found.tried, found.passed), (4, 2), "{found:?}");
    let kinds: Vec<&str> = found.rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["thought", "cut"]);
    let cut: Sample = serde_json::from_value(found.rows[1].clone()).unwrap();
    assert!(cut.reply[0].keep.is_some() && cut.reply[1].text == HINT_CODE && cut.reply[2].text == RIGHT);
    let engine = Engine::start_scripted(Script::answering(|_| Some(Reply::new("no code").after_shift(WRONG))));
    let found = own::sample(&engine, &sandbox, SessionId(0), &problem("q"), &asking(), &Cancel::new()).await.unwrap();
    assert_eq!((found.tried, found.passed, found.rows.len()), (4, 0, 0), "what fails is not kept");
}
