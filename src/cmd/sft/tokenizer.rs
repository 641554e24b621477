//! `z1 sft tokenizer`: trains a vocabulary on rows of data, or takes that of a GGUF file.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;

use anyhow::Context as _;

use crate::error::{Exit, UserError};
use crate::sft::sample::Sample;
use crate::sft::tokenizer::Tokenizer;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// JSONL rows with `messages` (and `reply`), or a .gguf file: its vocabulary is taken
    data: PathBuf,
    /// Tokens in the vocabulary, control tokens included
    #[arg(long, default_value_t = 1024)]
    vocab: usize,
    /// Rows to learn from, from the first on
    #[arg(long, default_value_t = 20_000)]
    rows: usize,
    /// Where to write
    #[arg(long, short, default_value = "tokenizer.json")]
    out: PathBuf,
}

/// Runs the subcommand.
///
/// # Errors
/// Unreadable data, rows that are no samples, or a corpus too small for the vocabulary.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let shown = args.data.display();
    if crate::gguf::is_named(&args.data) {
        return taken(args);
    }
    let file = File::open(&args.data).with_context(|| format!("cannot read {shown}"))?;
    let mut samples = Vec::new();
    for (index, line) in BufReader::new(file).lines().take(args.rows).enumerate() {
        let line = line.with_context(|| format!("cannot read {shown}"))?;
        let sample: Sample = serde_json::from_str(&line)
            .map_err(|problem| UserError::new(Exit::Error, format!("{shown}, line {}: {problem}", index + 1)))?;
        samples.push(sample);
    }
    let tokenizer = Tokenizer::train(samples.iter().flat_map(Sample::texts), args.vocab)?;
    tokenizer.save(&args.out)?;
    let (tokens, learnt) = samples.iter().fold((0, 0), |(tokens, learnt), sample| {
        let sequence = sample.sequence(&tokenizer);
        (tokens + sequence.len(), learnt + sequence.learnt_tokens())
    });
    let rows = samples.len().max(1);
    eprintln!(
        "{}: {} tokens; {rows} rows of {} tokens on average, {} of them learnt",
        args.out.display(),
        tokenizer.vocab_size(),
        tokens / rows,
        learnt / rows
    );
    Ok(Exit::Success)
}

/// The vocabulary of a GGUF file, so that its model can be trained further.
fn taken(args: &Args) -> anyhow::Result<Exit> {
    let tokenizer = Tokenizer::load(&args.data)?;
    tokenizer.save(&args.out)?;
    eprintln!("{}: {} tokens", args.out.display(), tokenizer.vocab_size());
    Ok(Exit::Success)
}
