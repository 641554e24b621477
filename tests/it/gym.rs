//! The gym's problems against the judges: what it calls a solution passes its tests behind walls, and what it calls a
//! mistake does not.

use std::sync::Arc;

use z1::agent::{Agent, Settings as LoopSettings, Walls};
use z1::engine::{Engine, Reply, Script, Tokens};
use z1::eval::agent;
use z1::eval::gym::Record;
use z1::eval::run::{Settings, run};
use z1::gym::corpus::Corpus;
use z1::gym::row::{Kind, Row};
use z1::gym::{Family, Split};
use z1::prompt::Prompts;
use z1::task::Effort;
use z1::traits::PromptSet;

fn rows(corpus: &Corpus, count: u64) -> Vec<Row> {
    let prompts = Prompts::load(PromptSet::Nano, None).unwrap();
    (0..count).map(|number| corpus.row(number, &prompts).unwrap()).collect()
}

/// What becomes of the rows when a model says these replies, one a row.
fn judged(rows: &[Row], replies: Vec<String>) -> Option<Vec<Record>> {
    let sandbox = crate::verify::walls()?;
    let replies: Vec<Reply> = replies.into_iter().map(Reply::new).collect();
    let engine = Engine::start_scripted(Script { tokens: Tokens::Words, ..Script::new(replies) });
    let settings = Settings {
        window: 100_000,
        paper_exact: false,
        hint: String::new(),
        hint_project: String::new(),
        temperature: 0.0,
        seed: 1,
        samples: 1,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    Some(runtime.block_on(run(&engine, &sandbox, rows, &settings, |_| {})).unwrap())
}

/// The row's own trajectory, thinking included.
fn reply(row: &Row) -> String {
    row.reply.iter().map(|part| part.text.as_str()).collect()
}

#[test]
fn every_reference_passes_its_own_tests() {
    for split in [Split::Train, Split::Test] {
        let rows = rows(&Corpus::measuring(5, split), 120);
        let Some(records) = judged(&rows, rows.iter().map(reply).collect()) else { return };
        for (row, record) in rows.iter().zip(&records) {
            assert!(record.passed, "{}: {}\n{}\n{}", row.id, record.why, row.task, record.text);
            assert!(record.faith.as_ref().is_none_or(|faith| faith.faithful), "{}", row.id);
        }
        for family in Family::JUDGED {
            assert!(rows.iter().any(|row| row.family == family), "{family:?} was drawn");
        }
    }
}

#[test]
fn the_solution_of_another_problem_does_not_pass() {
    let rows = rows(&Corpus::measuring(6, Split::Test), 60);
    let programs: Vec<&Row> = rows.iter().filter(|row| row.project.is_none()).collect();
    let asked: Vec<Row> = programs.iter().map(|&row| row.clone()).collect();
    // Under the right name, so that only what it does can tell.
    let other = |(number, row): (usize, &&Row)| {
        let next = programs[(number + 7) % programs.len()];
        format!("```python\n{}```\n", next.reference.replace(next.entry.as_str(), &row.entry))
    };
    let Some(records) = judged(&asked, programs.iter().enumerate().map(other).collect()) else { return };
    let passed: Vec<&str> = records.iter().filter(|record| record.passed).map(|record| record.id.as_str()).collect();
    // Two draws may ask for the same thing; that must stay rare.
    assert!(passed.len() <= 1, "passed with another's program: {passed:?}");
}

#[test]
fn a_shown_attempt_fails() {
    let corpus = Corpus { revised_percent: 100, ..Corpus::training(2) };
    let revised: Vec<Row> = rows(&corpus, 120).into_iter().filter(|row| row.kind == Kind::Revised).take(40).collect();
    assert!(revised.len() > 20);
    let attempts = revised.iter().map(|row| row.messages[1].content.clone()).collect();
    let Some(records) = judged(&revised, attempts) else { return };
    for (row, record) in revised.iter().zip(&records) {
        assert!(!record.passed, "{}: the failed attempt passes\n{}", row.id, row.messages[1].content);
    }
}

#[test]
fn the_agent_is_measured_with_its_repairs_and_every_token() {
    let Some(sandbox) = crate::verify::walls() else { return };
    let row = rows(&Corpus { families: vec![(Family::Write, 1)], ..Corpus::measuring(5, Split::Test) }, 1).remove(0);
    let program = |source: &str| Reply::new(format!("First then second\n```python\n{source}\n```\n"));
    let wrong = format!("def {}(*_):\n    return 'no'", row.entry);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let measured = |rounds| {
        let replies: Vec<Reply> = std::iter::once(program(&wrong)).chain(vec![program(&row.reference); 8]).collect();
        let engine = Engine::start_scripted(Script { tokens: Tokens::Words, ..Script::new(replies) });
        let settings = LoopSettings { samples: Some(1), rounds: Some(rounds), probe: false, ..LoopSettings::default() };
        let judge = Arc::new(Walls { sandbox: sandbox.clone() });
        let agent = Agent::new(engine, judge, None, settings).unwrap();
        let rows = std::slice::from_ref(&row);
        runtime.block_on(agent::run(&agent, &sandbox, rows, Effort::Window(500), |_| {})).unwrap().remove(0)
    };
    let (once, again) = (measured(0), measured(2));
    assert!(!once.passed && !once.why.is_empty(), "{}", once.text);
    assert!(again.passed, "{}: {}", again.why, again.text);
    assert!(once.thought_tokens > 0 && once.thought_tokens < once.usage.generated_tokens(), "without its program");
    assert!(again.thought_tokens >= 2 * once.thought_tokens, "{} and {}", once.thought_tokens, again.thought_tokens);
    assert!(again.usage.generated_tokens() > once.usage.generated_tokens(), "the first attempt counts as well");
}
