//! `z1 sft export`: a trained model as GGUF, as a Hugging Face folder, or as an adapter.

use std::path::{Path, PathBuf};

use crate::error::{Exit, UserError};
use crate::sft::core::model::Model;
use crate::sft::export::gguf_file::{self, Storage};
use crate::sft::export::vocabulary::Vocabulary;
use crate::sft::export::{hf, load};
use crate::sft::tensor_file;
use crate::sft::train::checkpoint;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A model (final.safetensors, best.safetensors, a checkpoint) or the folder of a run
    model: PathBuf,
    /// A .gguf file, or a folder for Hugging Face's layout
    #[arg(long)]
    out: PathBuf,
    /// The tokenizer.json that the model was trained with, or its .gguf file; not needed for an adapter
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// How a GGUF file stores matrices
    #[arg(long = "type", value_enum, default_value_t = Type::F32)]
    kind: Type,
    /// Write the adapter alone, as a GGUF file for --lora
    #[arg(long)]
    adapter: bool,
    /// The name inside the file; the output's own where absent
    #[arg(long)]
    name: Option<String>,
}

/// Storage types of a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Type {
    F32,
    F16,
    #[value(name = "q8_0")]
    Q8,
}

/// Runs the subcommand.
///
/// # Errors
/// Where the model cannot be read, the tokenizer is not its own, or something cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let from = model_file(&args.model)?;
    let stem = args.out.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = args.name.clone().or(stem).unwrap_or_default();
    if args.adapter {
        let missing = || UserError::usage(format!("{} has no adapter", args.model.display()));
        let (lora, base) = checkpoint::load_adapter(tensor_file::read(&from)?)?.ok_or_else(missing)?;
        gguf_file::write_adapter(&args.out, &lora, &name, base.as_ref())?;
    } else {
        write_whole(args, &load::load(&from)?, &name)?;
    }
    eprintln!("wrote {}", args.out.display());
    Ok(Exit::Success)
}

fn write_whole(args: &Args, model: &Model, name: &str) -> anyhow::Result<()> {
    let Some(tokenizer) = &args.tokenizer else {
        return Err(UserError::usage("a model needs its tokenizer").hint("add --tokenizer tokenizer.json").into());
    };
    let vocabulary = Vocabulary::read(tokenizer, model.config.vocab_size)?;
    if crate::gguf::is_named(&args.out) {
        let storage = match args.kind {
            Type::F32 => Storage::F32,
            Type::F16 => Storage::F16,
            Type::Q8 => Storage::Q8_0,
        };
        return gguf_file::write_model(&args.out, model, (name, &vocabulary), storage);
    }
    if args.kind != Type::F32 {
        return Err(UserError::usage("--type is for .gguf files; a Hugging Face folder is written in f32").into());
    }
    hf::write_model(&args.out, model, &vocabulary, tokenizer)
}

/// A run's folder stands for its final model, or where it is not finished, its newest checkpoint.
fn model_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() || path.join("config.json").exists() {
        return Ok(path.to_owned());
    }
    let final_model = path.join("final.safetensors");
    if final_model.exists() {
        return Ok(final_model);
    }
    let newest = checkpoint::list(path).pop().map(|(_, path)| path);
    newest.ok_or_else(|| UserError::usage(format!("{} holds no model", path.display())).into())
}
