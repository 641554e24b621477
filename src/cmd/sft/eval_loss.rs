//! `z1 sft eval-loss`: the mean loss of a model on data it was not trained on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::train::read_data;
use crate::error::Exit;
use crate::sft::core::cpu::Plan;
use crate::sft::core::exec::Row;
use crate::sft::core::gemm::Precision;
use crate::sft::core::team::Team;
use crate::sft::export::load;
use crate::sft::tensor_file::{self, Tensor};
use crate::sft::train::{order, run};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A checkpoint, a Hugging Face folder, or a GGUF file
    model: PathBuf,
    /// Samples or tokenised sequences
    data: Vec<PathBuf>,
    /// The model's tokenizer.json; not needed for tokenised data, nor for a GGUF file
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// Length of a row, in tokens; longer sequences are left out
    #[arg(long, default_value_t = 1024)]
    row_tokens: usize,
    /// Threads; 0 is one for each core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Write the logits of the first row, [tokens, vocabulary], as safetensors: to hold beside another program's
    #[arg(long, value_name = "FILE")]
    logits: Option<PathBuf>,
}

/// Runs the subcommand: one JSON line on stdout.
///
/// # Errors
/// Where the model or the data cannot be read, or do not belong together.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let model = load::load_frozen(&args.model)?;
    let cache = tempfile::tempdir()?;
    let own = crate::gguf::is_named(&args.model);
    let tokenizer = args.tokenizer.as_deref().or_else(|| own.then_some(args.model.as_path()));
    let data = read_data(&args.data, tokenizer, cache.path())?;
    let tokens_max = args.row_tokens.min(model.config.context);
    let (data, notes) = data.fit(tokens_max, model.config.vocab_size)?;
    for note in notes {
        eprintln!("note: {note}");
    }
    let rows = order::epoch_rows(&data.lengths(), args.row_tokens as u32, 0, 0);
    let rows: Vec<Row> = rows.iter().map(|indices| Row::from(&data.row(indices))).collect();
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    // In f32: a figure to compare models by should not depend on the CPU.
    let mut team = Team::new(&model, Plan::new(&model, Precision::F32).with_recompute(true), threads, 1);
    if let (Some(path), Some(row)) = (&args.logits, rows.first()) {
        write_logits(path, &team.logits(&model, row), model.config.vocab_size)?;
    }
    let loss = run::mean_loss(&mut team, &model, &rows);
    let report = serde_json::json!({
        "loss": loss,
        "perplexity": loss.exp(),
        "learnt_tokens": data.learnt_tokens(),
        "sequences": data.len(),
    });
    println!("{report}");
    Ok(Exit::Success)
}

fn write_logits(path: &Path, logits: &[f32], vocab_size: usize) -> anyhow::Result<()> {
    let shape = vec![logits.len() / vocab_size, vocab_size];
    tensor_file::write(path, &[Tensor { name: "logits".to_owned(), shape, data: logits }], &BTreeMap::new())
}
