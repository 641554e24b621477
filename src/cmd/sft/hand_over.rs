//! `z1 sft hand-over`: writes a run down for another trainer.

use std::path::PathBuf;

use super::recipe::RunArgs;
use super::train::{base_model, cancel_on_signals, check_tokenizer, read_data};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::sft::core::config::ModelConfig;
use crate::sft::export::load;
use crate::sft::hand_over::{self, Base, Job};
use crate::sft::train::recipe::Recipe;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Folder to write; must not be there yet
    #[arg(long, default_value = "hand-over")]
    out: PathBuf,
    /// GPUs that the folder's README speaks of; it serves any number
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    gpus: u32,
}

/// Runs the subcommand.
///
/// # Errors
/// A recipe that the other trainer cannot follow, a base without a tokenizer, a folder that is there already, data
/// that cannot be read, a full disk. Nothing is left under the folder's name then.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut recipe = args.run.recipe(&[])?;
    hand_over::check(&recipe)?;
    hand_over::check_free(&args.out)?;
    let (folder, config) = base_of(&recipe)?;
    if recipe.data.tokenizer.is_none() {
        recipe.data.tokenizer = folder.as_ref().map(|folder| folder.join("tokenizer.json"));
    }
    let recipe = recipe;
    check_tokenizer(&recipe, config.vocab_size)?;
    let cancel = Cancel::new();
    cancel_on_signals(&cancel)?;
    let staged = hand_over::stage(&args.out)?;
    let cache = staged.path().join("cache");
    let read = |paths: &[PathBuf]| read_data(paths, recipe.data.tokenizer.as_deref(), &cache);
    let data = read(&recipe.data.train)?;
    let held_out = if recipe.data.held_out.is_empty() { None } else { Some(read(&recipe.data.held_out)?) };
    if cache.exists() {
        std::fs::remove_dir_all(&cache)?;
    }
    let base = match (folder, &recipe.data.tokenizer) {
        (Some(folder), _) => Base::Folder(folder),
        (None, Some(tokenizer)) => Base::Own(Box::new(base_model(&recipe)?), tokenizer.clone()),
        (None, None) => return Err(without_tokenizer("the recipe names none")),
    };
    let gpus = args.gpus as usize;
    let job = Job { recipe: &recipe, base, config, data, held_out, gpus, cancel: &cancel };
    let summary = hand_over::write(staged.path(), job)?;
    hand_over::publish(staged, &args.out)?;
    for note in &summary.notes {
        eprintln!("note: {note}");
    }
    eprintln!(
        "wrote {}: {} steps, {} rows, {:.2} M tokens ({:.2} M learnt); {} says how to run it",
        args.out.display(),
        summary.steps,
        summary.rows,
        summary.tokens as f64 / 1e6,
        summary.learnt_tokens as f64 / 1e6,
        args.out.join("README.md").display()
    );
    Ok(Exit::Success)
}

/// The base's shape, and its folder where it has one that other trainers read. No weight is read.
fn base_of(recipe: &Recipe) -> anyhow::Result<(Option<PathBuf>, ModelConfig)> {
    let init = match (&recipe.model, &recipe.train.init) {
        (Some(config), _) if recipe.data.tokenizer.is_some() => return Ok((None, config.clone())),
        (Some(_), _) => return Err(without_tokenizer("the recipe names none")),
        (None, Some(init)) => init,
        (None, None) => unreachable!("invariant: a checked recipe has a model or an init"),
    };
    if crate::gguf::is_named(init) {
        let what = format!("{} is a GGUF file, which other trainers do not train", init.display());
        let hint = format!(
            "give the Hugging Face folder that it was made from (--model FOLDER), or make one of it: z1 sft tokenizer {0}; \
             z1 sft export {0} --tokenizer tokenizer.json --out FOLDER",
            init.display()
        );
        return Err(UserError::usage(what).hint(hint).into());
    }
    let config = load::describe(init)?.config;
    if !init.is_dir() {
        if recipe.data.tokenizer.is_none() {
            return Err(without_tokenizer("the recipe names none"));
        }
        return Ok((None, config));
    }
    let folder = init.canonicalize().unwrap_or_else(|_| init.clone());
    if !folder.join("tokenizer.json").is_file() {
        return Err(without_tokenizer(&format!("{} has no tokenizer.json", init.display())));
    }
    Ok((Some(folder), config))
}

fn without_tokenizer(why: &str) -> anyhow::Error {
    UserError::usage(format!("the base has no tokenizer: {why}"))
        .hint("put the model's tokenizer.json into its folder, or --set data.tokenizer=tokenizer.json for a model of z1-sft")
        .into()
}
