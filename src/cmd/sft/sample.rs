//! `z1 sft sample`: data from one's own model, and from one's own sessions.

use std::collections::{HashSet, VecDeque};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::data::{forbid, walls};
use crate::agent::conversation::{Conversation, Kind};
use crate::agent::sessions::Sessions;
use crate::cancel::Cancel;
use crate::dirs::Dirs;
use crate::engine::{Engine, LoadOptions, SessionId};
use crate::error::{Exit, UserError};
use crate::gguf::{Gguf, Label};
use crate::gym::Split;
use crate::gym::corpus::Corpus;
use crate::model_store::registry::Registry;
use crate::prompt::conversation::{self, TaskContext};
use crate::prompt::{ChatTemplate, Message, Prompts, Role};
use crate::sandbox::Sandbox;
use crate::sft::data::Record;
use crate::sft::data::overlap::Evaluation;
use crate::sft::data::own::{self, Asking, Problem, Sampled};
use crate::sft::data::read;
use crate::task::Status;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Problems with tests: rows with `question`, `prompt` or `text`, and `tests`, `test` or `test_list` (MBPP)
    files: Vec<PathBuf>,
    /// Ask so many of the problems that z1 makes itself, none of which is used for measuring
    #[arg(long, value_name = "N", default_value_t = 0)]
    gym: u64,
    /// The model to ask: a .gguf file
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Take the tasks of your own z1 sessions that ended as verified; no model is asked
    #[arg(long)]
    sessions: bool,
    /// Where to write the rows; a file that is there is gone on with
    #[arg(long, short)]
    out: PathBuf,
    /// Replies to each problem, of each of the two ways (code at once; thinking first)
    #[arg(long, default_value_t = 4)]
    samples: u32,
    /// Thinking tokens of the second way; 0 tries code at once only
    #[arg(long, default_value_t = 512)]
    window: u32,
    /// Room for the answer, in tokens
    #[arg(long, default_value_t = 512)]
    answer_tokens: u32,
    #[arg(long, default_value_t = 0.8)]
    temperature: f32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Of a hundred problems that were solved, so many also bring a reply that is cut and hinted
    #[arg(long, default_value_t = 15)]
    hinted_percent: u64,
    /// Leave out problems that say what these evaluation sets say
    #[arg(long, value_name = "FILE", num_args = 1..)]
    decontaminate: Vec<PathBuf>,
    /// Threads of the model; its own choice where absent
    #[arg(long)]
    threads: Option<u32>,
}

/// Words in a row that count as shared with an evaluation set.
const OVERLAP_WORDS: usize = 13;

/// Runs the subcommand.
///
/// # Errors
/// No problems, a model that does not load, no walls, or a file that cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut evaluation = Evaluation::new(OVERLAP_WORDS);
    for file in &args.decontaminate {
        forbid(file, &mut evaluation)?;
    }
    if args.sessions {
        return from_sessions(args, &evaluation);
    }
    let Some(model) = &args.model else {
        return Err(UserError::usage("nobody is asked").hint("add --model FILE, or --sessions").into());
    };
    // The sandbox's helper is forked before the model is there.
    let sandbox = walls()?;
    let file = Gguf::open(model)?;
    let prompts = Prompts::load(Registry::built_in().traits(&Label::of(&file)).prompts, None)?;
    let mut problems = problems(args, &prompts, &evaluation)?;
    // The agent asks by the model's own template, which may put a system text before the task.
    if let Some(system) = own_system(&file) {
        for problem in problems.iter_mut().filter(|problem| problem.messages.iter().all(|m| m.role != Role::System)) {
            problem.messages.insert(0, Message::new(Role::System, system.clone()));
        }
    }
    drop(file);
    let done = done(&args.out)?;
    let all = problems.len();
    let left: Vec<Problem> = problems.into_iter().filter(|problem| !done.contains(&problem.id)).collect();
    eprintln!("{all} problems, {} of them done before", all - left.len());
    let cancel = Cancel::new();
    super::train::cancel_on_signals(&cancel)?;
    let options = LoadOptions { threads: args.threads, slots: Some(LANES as u32), ..LoadOptions::from_path(model) };
    let engine = Engine::start_llama(options, |_| {}, &cancel)?;
    let asking = Asking {
        samples: args.samples.max(1),
        window: args.window,
        answer_tokens: args.answer_tokens,
        temperature: args.temperature,
        seed: args.seed,
        hint: prompts.hint(None, "")?,
        hint_code: prompts.hint(Some("python"), "")?,
        hinted_percent: args.hinted_percent,
        model: engine.info().fingerprint.clone(),
        prompts: hash_of(&prompts),
    };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
    let count = left.len();
    let lanes = Arc::new(Lanes { engine, sandbox, asking, cancel: cancel.clone() });
    let (mut number, mut tried, mut passed, mut rows) = (0, 0, 0, 0);
    runtime.block_on(lanes.ask_all(left, |id, sampled| {
        number += 1;
        append(&args.out, &sampled.rows)?;
        let line = json!({ "id": id, "tried": sampled.tried, "passed": sampled.passed });
        append(&progress_of(&args.out), &[line])?;
        eprintln!("{number}/{count} {id}: {} of {} passed", sampled.passed, sampled.tried);
        (tried, passed, rows) = (tried + sampled.tried, passed + sampled.passed, rows + sampled.rows.len());
        Ok(())
    }))?;
    if cancel.is_cancelled() {
        eprintln!("interrupted; the same command goes on");
        return Ok(Exit::Interrupted);
    }
    eprintln!("{rows} rows kept of {passed} passes in {tried} replies: {}", args.out.display());
    Ok(Exit::Success)
}

/// Problems that are asked side by side: the programs of one are run while the other is decoded.
const LANES: usize = 2;

struct Lanes {
    engine: Engine,
    sandbox: Sandbox,
    asking: Asking,
    cancel: Cancel,
}

impl Lanes {
    /// Asks every problem; `each` gets them in their order. What was under way at a cancel is not handed on.
    async fn ask_all(
        self: Arc<Self>,
        problems: Vec<Problem>,
        mut each: impl FnMut(&str, Sampled) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut problems = problems.into_iter().enumerate();
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < LANES
                && !self.cancel.is_cancelled()
                && let Some((number, problem)) = problems.next()
            {
                let lanes = Arc::clone(&self);
                // No two under way have one session.
                let session = SessionId((number % LANES) as u32);
                under_way.push_back(tokio::spawn(async move {
                    let Self { engine, sandbox, asking, cancel } = &*lanes;
                    (own::sample(engine, sandbox, session, &problem, asking, cancel).await, problem)
                }));
            }
            let Some(next) = under_way.pop_front() else { return Ok(()) };
            let (sampled, problem) = next.await?;
            let sampled = sampled?;
            if self.cancel.is_cancelled() {
                return Ok(());
            }
            each(&problem.id, sampled)?;
        }
    }
}

/// The system text that a model's own chat template puts in where nobody gives one.
pub(super) fn own_system(file: &Gguf) -> Option<String> {
    let label = Label::of(file);
    let template = ChatTemplate::new(file.metadata.string("tokenizer.chat_template")?, &label.bos, &label.eos).ok()?;
    let text = template.render(&[Message::new(Role::User, "x")], true).ok()?.text();
    let (_, rest) = text.split_once("<|im_start|>system\n")?;
    rest.split_once("<|im_end|>").map(|(system, _)| system.to_owned())
}

fn problems(args: &Args, prompts: &Prompts, evaluation: &Evaluation) -> anyhow::Result<Vec<Problem>> {
    let mut found = Vec::new();
    let mut near = 0;
    let corpus = Corpus::measuring(args.seed, Split::Train);
    let mut index = 0;
    while found.len() < args.gym as usize {
        let row = corpus.row(index, prompts)?;
        index += 1;
        // A change to a project is judged as files, not as a program.
        if row.project.is_none() {
            let tests = row.visible.iter().chain(&row.hidden).cloned().collect::<Vec<_>>().join("\n");
            found.push(Problem { id: row.id, messages: row.messages, names: vec![row.entry], tests });
        }
    }
    for file in &args.files {
        let stem = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let (mut number, mut bad) = (0u64, 0u64);
        read::values(file, &mut |row| {
            number += 1;
            let problem =
                row.ok().and_then(|(row, _)| problem_of(&row, &format!("{stem}:{number}"), prompts).transpose());
            match problem.transpose()? {
                None => bad += 1,
                Some(problem) if evaluation.found_in(&record_of(&problem)).is_some() => near += 1,
                Some(problem) => found.push(problem),
            }
            Ok(())
        })?;
        if bad > 0 {
            eprintln!("{}: {bad} of {number} rows are no problem with tests", file.display());
        }
    }
    if near > 0 {
        eprintln!("left out: {near} problems too near to an evaluation set");
    }
    if found.is_empty() {
        return Err(UserError::usage("there are no problems")
            .hint("give a file of problems with tests, or --gym N")
            .into());
    }
    Ok(found)
}

/// A row's question and tests in the words in which the agent asks; `None` where it lacks one of them.
fn problem_of(row: &Value, fallback: &str, prompts: &Prompts) -> anyhow::Result<Option<Problem>> {
    let text = |keys: &[&str]| keys.iter().find_map(|key| row.get(*key)?.as_str().map(str::to_owned));
    let Some(question) = text(&["question", "problem", "text", "prompt", "instruction"]) else { return Ok(None) };
    let list = ["test_list", "tests", "asserts"].iter().find_map(|key| row.get(*key)?.as_array());
    let lines: Vec<&str> = list.into_iter().flatten().filter_map(Value::as_str).collect();
    let (shown, tests) = match (lines.first(), text(&["tests", "test"])) {
        // Without one test nobody could know the function's name.
        (Some(first), _) => (Some((*first).to_owned()), lines.join("\n")),
        (None, Some(tests)) => (None, tests),
        (None, None) => return Ok(None),
    };
    let setup = text(&["test_setup_code"]).filter(|setup| !setup.trim().is_empty());
    let tests = setup.map_or_else(|| tests.clone(), |setup| format!("{setup}\n{tests}"));
    let context = TaskContext { prompt: &question, language: Some("python"), checks: shown.as_deref(), stdio: false };
    let id = match row.get("id").or_else(|| row.get("task_id")) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => format!("{}:{id}", fallback.split(':').next().unwrap_or("")),
        _ => fallback.to_owned(),
    };
    let names = text(&["entry_point"]).into_iter().collect();
    Ok(Some(Problem { id, messages: conversation::opening(prompts, context)?, names, tests }))
}

fn record_of(problem: &Problem) -> Record {
    Record {
        id: problem.id.clone(),
        messages: problem.messages.clone(),
        unlearnt: Vec::new(),
        response: String::new(),
        tokens: None,
        tests: Some(problem.tests.clone()),
    }
}

/// Which problems an earlier run has done.
fn done(out: &Path) -> anyhow::Result<HashSet<String>> {
    let path = progress_of(out);
    if !path.exists() {
        return Ok(HashSet::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let id = |line: &str| serde_json::from_str::<Value>(line).ok()?.get("id")?.as_str().map(str::to_owned);
    Ok(text.lines().filter_map(id).collect())
}

fn progress_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".done");
    PathBuf::from(name)
}

fn append(path: &Path, rows: &[Value]) -> anyhow::Result<()> {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    };
    write().map_err(|why: std::io::Error| {
        UserError::new(Exit::Error, format!("cannot write {}: {why}", path.display())).into()
    })
}

/// One hash of every prompt file.
fn hash_of(prompts: &Prompts) -> String {
    let mut hash = Sha256::new();
    for (name, of) in prompts.hashes() {
        hash.update(format!("{name} {of}\n"));
    }
    crate::hex::hex(&hash.finalize()[..8])
}

/// Rows of the user's own sessions: what the model was shown, and the reply whose check passed.
fn from_sessions(args: &Args, evaluation: &Evaluation) -> anyhow::Result<Exit> {
    let store = Sessions::new(&Dirs::find().state);
    let (mut rows, mut sessions, mut near) = (Vec::new(), 0, 0);
    for listed in store.list() {
        let Ok(session) = store.load(&listed.id) else { continue };
        sessions += 1;
        let verified: HashSet<u32> =
            (0..).zip(&session.turns).filter(|(_, turn)| turn.status == Status::Verified).map(|(n, _)| n).collect();
        for (name, talk) in [("project", &session.conversation), ("alone", &session.alone)] {
            for record in replies(talk, &verified, &format!("{}/{name}", session.id)) {
                if evaluation.found_in(&record).is_some() {
                    near += 1;
                    continue;
                }
                rows.push(record.to_sample());
            }
        }
    }
    if args.out.exists() {
        return Err(UserError::usage(format!("{} is there already", args.out.display()))
            .hint("give another --out")
            .into());
    }
    append(&args.out, &rows)?;
    eprintln!(
        "{} rows of {sessions} sessions ({near} too near to an evaluation set): {}",
        rows.len(),
        args.out.display()
    );
    Ok(if rows.is_empty() { Exit::Error } else { Exit::Success })
}

/// The last reply of every verified task, with all that stood before it; other replies are shown and not learnt.
fn replies(talk: &Conversation, verified: &HashSet<u32>, id: &str) -> Vec<Record> {
    let last_of = |task: u32| talk.entries.iter().rposition(|entry| entry.task == task && entry.kind == Kind::Reply);
    let mut tasks: Vec<u32> =
        talk.entries.iter().map(|entry| entry.task).filter(|task| verified.contains(task)).collect();
    tasks.dedup();
    let record = |task: u32| {
        let at = last_of(task)?;
        let before = &talk.entries[..at];
        let message = |entry: &crate::agent::conversation::Entry| {
            let role = match entry.kind {
                Kind::System => Role::System,
                Kind::Opening | Kind::Output => Role::User,
                Kind::Reply => Role::Assistant,
            };
            Message::new(role, entry.text.clone())
        };
        Some(Record {
            id: format!("{id}/{task}"),
            unlearnt: (0..at).filter(|&place| before[place].kind == Kind::Reply).collect(),
            messages: before.iter().map(message).collect(),
            response: talk.entries[at].text.clone(),
            tokens: None,
            tests: None,
        })
    };
    tasks.into_iter().filter_map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::conversation::Entry;

    #[test]
    fn an_mbpp_row_is_asked_in_the_agents_words_with_one_test() {
        let prompts = Prompts::load(crate::traits::PromptSet::Default, None).unwrap();
        let row = json!({"task_id": 7, "text": "Add two.", "test_setup_code": "import math", "test_list": ["assert f(1) == 3", "assert f(2) == 4"]});
        let problem = problem_of(&row, "mbpp.jsonl:1", &prompts).unwrap().unwrap();
        assert_eq!(problem.id, "mbpp.jsonl:7");
        let asked = &problem.messages.last().unwrap().content;
        assert!(asked.contains("assert f(1) == 3") && !asked.contains("f(2)"), "{asked}");
        assert_eq!(problem.tests, "import math\nassert f(1) == 3\nassert f(2) == 4");
        assert!(problem_of(&json!({"text": "no tests"}), "x:1", &prompts).unwrap().is_none());
    }

    #[test]
    fn only_the_reply_that_passed_is_learnt() {
        let entry = |kind, task, text: &str| Entry { kind, task, text: text.into(), short: String::new() };
        let talk = Conversation {
            entries: vec![
                entry(Kind::System, 0, "s"),
                entry(Kind::Opening, 0, "q0"),
                entry(Kind::Reply, 0, "wrong"),
                entry(Kind::Output, 0, "failed"),
                entry(Kind::Reply, 0, "right"),
                entry(Kind::Opening, 1, "q1"),
                entry(Kind::Reply, 1, "unverified"),
            ],
        };
        let found = replies(&talk, &HashSet::from([0]), "s1");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].response.as_str(), found[0].unlearnt.as_slice()), ("right", &[2][..]));
        assert_eq!(found[0].messages.len(), 4);
    }
}
