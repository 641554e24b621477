//! `z1 sft data`: published reasoning data in, samples to train on out, with what was left out and why.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use rayon::prelude::*;

use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::gguf::Gguf;
use crate::prompt::{Message, Prompts, Role};
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::sft::data::execute;
use crate::sft::data::filter::{Rules, Sieve};
use crate::sft::data::overlap::Evaluation;
use crate::sft::data::preview::{self, Paint};
use crate::sft::data::read::{self, Found};
use crate::sft::data::select::{self, Order};
use crate::sft::data::shape::Tags;
use crate::sft::data::{Record, stats};
use crate::sft::sample::Sample;
use crate::sft::tokenizer::{IM_END, Tokenizer};
use crate::traits::PromptSet;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// JSON lines, JSON arrays or CSV (plain or gzipped) or Parquet, in any of the published shapes
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The model's tokenizer.json or its .gguf file; without it tokens are estimated from bytes
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Where to write samples; without it nothing is written, only counted
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Longest response, in tokens
    #[arg(long, default_value_t = 8192)]
    tokens_max: u32,
    /// Shortest response, in tokens
    #[arg(long, default_value_t = 1)]
    tokens_min: u32,
    /// Keep responses that go round in circles
    #[arg(long)]
    keep_repetition: bool,
    /// Keep duplicates
    #[arg(long)]
    keep_duplicates: bool,
    /// Keep <think> and similar marks (Z1 trains on one undivided stream)
    #[arg(long)]
    keep_tags: bool,
    /// System text of rows that have none: none, or the words with which z1 will ask
    #[arg(long, value_enum, default_value = "none")]
    words: Words,
    /// Leave out records whose question, answer or tests say what these evaluation sets say
    #[arg(long, value_name = "FILE", num_args = 1..)]
    decontaminate: Vec<PathBuf>,
    /// How many words in a row count as shared; shorter questions are known as a whole
    #[arg(long, default_value_t = 13)]
    overlap_words: usize,
    /// Keep a record only if the code in its response passes the record's own tests, run in the sandbox
    #[arg(long)]
    execute: bool,
    /// With --execute: keep records that have no tests
    #[arg(long, requires = "execute")]
    keep_untested: bool,
    /// Spend this many response tokens
    #[arg(long, value_name = "TOKENS")]
    budget: Option<u64>,
    /// In which order the budget is spent
    #[arg(long, value_enum, default_value = "random")]
    select: Choice,
    /// Seed of a random choice
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Show this many records as the model will see them, the learnt part in colour (needs --tokenizer)
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    preview: Option<usize>,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
    /// Fail on the first bad row
    #[arg(long)]
    strict: bool,
}

/// Who speaks first in a row without a system's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Words {
    /// Nobody
    None,
    /// z1, as it asks a model for a program
    Z1,
    /// Qwen's chat template, as it asks where nobody says anything
    Qwen,
}

/// The paper's three ways to spend a budget.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Choice {
    Longest,
    Shortest,
    Random,
}

/// Runs the subcommand.
///
/// # Errors
/// Unreadable files, a tokenizer that does not load, a full disk, or with `--strict` a bad row.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let tokenizer = args.tokenizer.as_deref().map(Tokenizer::load).transpose()?;
    let rules = Rules {
        tokens_max: args.tokens_max,
        tokens_min: args.tokens_min,
        repetition: !args.keep_repetition,
        duplicates: !args.keep_duplicates,
    };
    let mut evaluation = Evaluation::new(args.overlap_words);
    for file in &args.decontaminate {
        forbid(file, &mut evaluation)?;
    }
    let mut sieve = Sieve::without(evaluation);
    let system = system_text(args.words, args.tokenizer.as_deref())?;
    let (mut records, bad) = sift(args, tokenizer.as_ref(), &rules, &mut sieve)?;
    for record in &mut records {
        with_system(record, system.as_deref());
    }
    let records = if args.execute { executed(args, records, &mut sieve)? } else { records };
    let records = spend(args, records);
    report(args, &records, &sieve, &bad, tokenizer.is_some());
    if let Some(count) = args.preview {
        let tokenizer = tokenizer
            .as_ref()
            .ok_or_else(|| UserError::usage("--preview needs --tokenizer").hint("give the model's tokenizer.json"))?;
        show(&records, count, tokenizer)?;
    }
    if let Some(out) = &args.out {
        write(out, &records)?;
    }
    Ok(if records.is_empty() { Exit::Error } else { Exit::Success })
}

/// What a row without a system's turn is asked with.
fn system_text(words: Words, tokenizer: Option<&Path>) -> anyhow::Result<Option<String>> {
    const QWEN: &str = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
    Ok(match words {
        Words::None => None,
        Words::Z1 => {
            let own = Prompts::load(PromptSet::Default, None)?.render("system", ())?;
            // Where the agent has no words of its own, the model's template has the first word.
            match tokenizer.filter(|path| crate::gguf::is_named(path)) {
                _ if !own.is_empty() => Some(own),
                Some(model) => super::sample::own_system(&Gguf::open(model)?),
                None => None,
            }
        }
        Words::Qwen => Some(QWEN.to_owned()),
    })
}

fn with_system(record: &mut Record, system: Option<&str>) {
    let Some(system) = system else { return };
    if !record.messages.iter().any(|message| message.role == Role::System) {
        record.messages.insert(0, Message::new(Role::System, system));
        record.unlearnt.iter_mut().for_each(|place| *place += 1);
    }
}

/// Everything that an evaluation set asks and tests, whatever its shape.
pub(super) fn forbid(path: &Path, evaluation: &mut Evaluation) -> anyhow::Result<()> {
    const QUESTION_KEYS: &[&str] = &[
        "prompt",
        "question",
        "problem",
        "text",
        "instruction",
        "instruct_prompt",
        "complete_prompt",
        "question_content",
        "code",
    ];
    const TEST_KEYS: &[&str] = &["test", "tests", "test_list", "challenge_test_list", "asserts"];
    let mut texts = 0;
    read::values(path, &mut |row| {
        let Ok((row, _)) = row else { return Ok(()) };
        for text in QUESTION_KEYS.iter().filter_map(|key| row.get(*key)?.as_str()) {
            evaluation.forbid(text);
            texts += 1;
        }
        let turns = row.get("messages").and_then(|turns| turns.as_array()).into_iter().flatten();
        let asked = turns.filter(|turn| turn.get("role").and_then(|role| role.as_str()) == Some("user"));
        for text in asked.filter_map(|turn| turn.get("content")?.as_str()) {
            evaluation.forbid(text);
            texts += 1;
        }
        let entry = row.get("entry_point").and_then(|entry| entry.as_str());
        for tests in TEST_KEYS.iter().filter_map(|key| row.get(*key)) {
            let lines = tests.as_array().into_iter().flatten().filter_map(|line| line.as_str());
            tests.as_str().into_iter().chain(lines).for_each(|text| evaluation.forbid_tests(text, entry));
        }
        Ok(())
    })?;
    if texts == 0 {
        return Err(UserError::usage(format!("{} has no questions to keep out", path.display()))
            .hint(format!("its rows need one of: {}", QUESTION_KEYS.join(", ")))
            .into());
    }
    Ok(())
}

type Sifted = (Vec<Record>, Vec<(PathBuf, Found)>);

fn sift(args: &Args, tokenizer: Option<&Tokenizer>, rules: &Rules, sieve: &mut Sieve) -> anyhow::Result<Sifted> {
    const RECORDS_AT_ONCE: usize = 2048;
    let tags = if args.keep_tags { Tags::Keep } else { Tags::Strip };
    let mut kept = Vec::new();
    let mut bad = Vec::new();
    let mut batch: Vec<Record> = Vec::with_capacity(RECORDS_AT_ONCE);
    let flush = |batch: &mut Vec<Record>, kept: &mut Vec<Record>, sieve: &mut Sieve| {
        batch.par_iter_mut().for_each(|record| record.tokens = Some(count(&record.response, tokenizer)));
        kept.extend(batch.drain(..).filter(|record| sieve.keeps(record, rules)));
    };
    for file in &args.files {
        let found = read::records(file, tags, |record| {
            batch.push(record);
            if batch.len() == RECORDS_AT_ONCE {
                flush(&mut batch, &mut kept, sieve);
            }
            Ok(())
        })?;
        if let (true, Some((row, why))) = (args.strict, found.named.first()) {
            return Err(UserError::new(Exit::Error, format!("{}, row {row}: {why}", file.display())).into());
        }
        bad.push((file.clone(), found));
    }
    flush(&mut batch, &mut kept, sieve);
    Ok((kept, bad))
}

/// Runs what the filters left; what does not pass is counted with the rest.
fn executed(args: &Args, records: Vec<Record>, sieve: &mut Sieve) -> anyhow::Result<Vec<Record>> {
    let sandbox = walls()?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
    let live = std::io::stderr().is_terminal();
    let found = runtime.block_on(execute::run(&records, &sandbox, &Cancel::new(), |done| {
        if live {
            eprint!("\r{done} of {} run ", records.len());
        }
    }))?;
    if live {
        eprintln!();
    }
    let stays = |reason: &&'static str| args.keep_untested && *reason == execute::NO_TESTS;
    let kept = records.into_iter().zip(found).filter(|(_, found)| match found.as_ref().filter(|r| !stays(r)) {
        None => true,
        Some(reason) => {
            sieve.drop_kept(reason);
            false
        }
    });
    Ok(kept.map(|(record, _)| record).collect())
}

/// The sandbox; refuses where there are no walls.
pub(super) fn walls() -> anyhow::Result<Sandbox> {
    let helper_exe = std::env::current_exe().context("cannot find this program's own file")?;
    let options = SandboxOptions { tier: None, allow_unsandboxed: false, helper_exe };
    Ok(Sandbox::start(options).map_err(UserError::from)?)
}

fn count(text: &str, tokenizer: Option<&Tokenizer>) -> u32 {
    // English and code come to about 3.5 bytes a token in Qwen's vocabulary.
    tokenizer.map_or_else(|| (text.len() as f32 / 3.5).ceil() as u32, |t| t.encode(text).len() as u32)
}

fn spend(args: &Args, records: Vec<Record>) -> Vec<Record> {
    let Some(budget) = args.budget else { return records };
    let order = match args.select {
        Choice::Longest => Order::Longest,
        Choice::Shortest => Order::Shortest,
        Choice::Random => Order::Random { seed: args.seed },
    };
    let tokens: Vec<u32> = records.iter().map(|record| record.tokens.unwrap_or(0)).collect();
    let mut taken = select::select(&tokens, order, budget).into_iter().peekable();
    records
        .into_iter()
        .enumerate()
        .filter(|(index, _)| taken.next_if_eq(index).is_some())
        .map(|(_, record)| record)
        .collect()
}

fn report(args: &Args, records: &[Record], sieve: &Sieve, found: &[(PathBuf, Found)], exact: bool) {
    let tokens: Vec<u32> = records.iter().map(|record| record.tokens.unwrap_or(0)).collect();
    let stats = stats::stats(&tokens);
    if args.json {
        let bad: BTreeMap<String, u64> =
            found.iter().map(|(file, found)| (file.display().to_string(), found.bad_rows)).collect();
        let mut unused: BTreeMap<&str, u64> = BTreeMap::new();
        for (column, rows) in found.iter().flat_map(|(_, found)| &found.unused) {
            *unused.entry(column).or_insert(0) += rows;
        }
        let value = serde_json::json!({
            "taken": stats, "passed_filters": sieve.kept, "dropped": sieve.dropped, "bad_rows": bad,
            "unused_columns": unused, "tokens_exact": exact,
        });
        println!("{value}");
    }
    for (file, found) in found {
        tell(file, found);
    }
    if args.json {
        return;
    }
    for (reason, count) in &sieve.dropped {
        println!("left out: {count:>8}  {reason}");
    }
    match stats {
        Some(stats) => print!("{}", stats.table()),
        None => println!("nothing is left"),
    }
    if !exact {
        println!("tokens are estimated from bytes; give --tokenizer to count them");
    }
}

/// What was wrong with a file's rows, and what in them is not used.
fn tell(file: &Path, found: &Found) {
    if found.bad_rows > 0 {
        eprintln!("{}: {} bad rows left out", file.display(), found.bad_rows);
        for (row, why) in &found.named {
            eprintln!("  row {row}: {why}");
        }
    }
    if found.no_numbers > 0 {
        eprintln!("{}: {} rows hold NaN or Infinity, read as nothing", file.display(), found.no_numbers);
    }
    if !found.unused.is_empty() {
        let columns: Vec<String> =
            found.unused.iter().map(|(column, rows)| format!("{column} ({rows} rows)")).collect();
        eprintln!("{}: not used: {}", file.display(), columns.join(", "));
    }
}

fn show(records: &[Record], count: usize, tokenizer: &Tokenizer) -> anyhow::Result<()> {
    let paint = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Paint::Colour
    } else {
        Paint::Plain
    };
    let end = tokenizer.id(IM_END).ok_or_else(|| {
        UserError::new(Exit::Error, format!("the tokenizer has no {IM_END}")).hint("it is not a ChatML model's")
    })?;
    for record in records.iter().take(count) {
        let sample: Sample = serde_json::from_value(record.to_sample())?;
        let sequence = sample.sequence(tokenizer);
        println!("── {} ({} tokens, {} learnt)", record.id, sequence.len(), sequence.learnt_tokens());
        println!("{}", preview::preview(&sequence, paint, |ids| tokenizer.decode(ids)));
        for problem in preview::problems(&sequence, end) {
            println!("!! {problem}");
        }
    }
    Ok(())
}

/// Written beside and renamed: a full disk or a kill leaves the old file.
fn write(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = || format!("cannot write {}", path.display());
    let file = tempfile::NamedTempFile::new_in(folder).with_context(shown)?;
    let mut out = BufWriter::new(file.as_file());
    for record in records {
        serde_json::to_writer(&mut out, &record.to_sample()).with_context(shown)?;
        out.write_all(b"\n").with_context(shown)?;
    }
    out.flush().with_context(shown)?;
    drop::<BufWriter<&File>>(out);
    file.as_file().sync_all().with_context(shown)?;
    file.persist(path).with_context(shown)?;
    Ok(())
}
