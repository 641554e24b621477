//! `z1 models`: lists, pulls, imports, quantises, adds and removes models.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::cmd::task;
use crate::dirs::Dirs;
use crate::engine;
use crate::error::{Exit, UserError};
use crate::gguf::Gguf;
use crate::model_store::disk::gigabytes;
use crate::model_store::registry::{Entry, Registry};
use crate::model_store::resolve;
use crate::model_store::store::Store;

mod bring;
#[cfg(feature = "pull")]
mod fetch;
mod info;
mod interrupt;
mod line;
mod recommend;

#[cfg(feature = "pull")]
pub(super) use fetch::ready_file;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What `z1 models` can do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show what is installed and what could be
    List {
        #[arg(long)]
        json: bool,
    },
    /// Say which known model fits this machine, and how fast it would be at most
    Recommend {
        #[arg(long)]
        json: bool,
    },
    /// Show what a model is and what it needs here, from its metadata alone
    Info(info::Info),
    /// Fetch a model from the hub; a checkpoint is converted (the only command that opens a connection)
    #[cfg(feature = "pull")]
    Pull(fetch::Pull),
    /// Convert a Hugging Face folder of a Qwen2 model to GGUF and install it
    Import(bring::Import),
    /// Make a smaller model of one that has floats
    Quantise(bring::Quantise),
    /// Install a GGUF that is somewhere else; it stays where it is
    Add {
        file: PathBuf,
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Use this model where none is named
    Use { name: String },
    /// Remove a model, its saved prompt states, and what an unfinished pull left
    Rm { name: String },
}

/// Runs the subcommand.
///
/// # Errors
/// Whatever the subcommand could not do.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let dirs = Dirs::find();
    let store = Store::new(&dirs.data);
    let registry = Registry::load(&store.registry_file())?;
    match &args.command {
        Command::List { json } => list(&store, &registry, *json)?,
        Command::Recommend { json } => recommend::run(&store, &registry, *json)?,
        Command::Info(args) => info::run(args, &dirs, &registry)?,
        #[cfg(feature = "pull")]
        Command::Pull(pull) => fetch::run(pull, &store, &registry)?,
        Command::Import(import) => bring::import_folder(import, &store)?,
        Command::Quantise(quantise) => bring::quantise(quantise, &dirs, &store)?,
        Command::Add { file, name } => bring::add(&store, file, name.as_deref())?,
        Command::Use { name } => {
            // The embedded model is there without being installed.
            if name == resolve::NANO && resolve::carries_nano() && !store.folder(name).is_dir() {
                store.clear_default()?;
            } else {
                store.set_default(name)?;
            }
            println!("{name} is used where no model is named");
        }
        Command::Rm { name } => remove(&dirs, &store, name)?,
    }
    Ok(Exit::Success)
}

fn remove(dirs: &Dirs, store: &Store, name: &str) -> anyhow::Result<()> {
    let fingerprint = store.get(name).ok().and_then(|(_, path)| engine::fingerprint(&path).ok());
    let mut freed = store.remove(name)?;
    if let Some(fingerprint) = fingerprint {
        freed += engine::remove_states(&task::prompt_states(dirs), &fingerprint);
    }
    println!("{name} is removed; {} freed", gigabytes(freed));
    Ok(())
}

fn list(store: &Store, registry: &Registry, as_json: bool) -> anyhow::Result<()> {
    let (installed, broken) = store.list()?;
    let default = store.default_name()?;
    let known: Vec<(&String, &Entry)> =
        registry.entries.iter().filter(|(name, _)| !installed.iter().any(|m| m.name == **name)).collect();
    if as_json {
        println!(
            "{}",
            json!({ "installed": installed, "default": default, "broken": broken,
                "known": known.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
                "embedded": resolve::carries_nano() })
        );
        return Ok(());
    }
    for model in &installed {
        let mark = if default.as_deref() == Some(&model.name) { '*' } else { ' ' };
        println!("{mark} {:<22} {:<8} {:>9}  {}", model.name, model.quant, gigabytes(model.bytes), model.licence);
    }
    for (name, entry) in known {
        let state = if entry.embedded && resolve::carries_nano() { "embedded" } else { "not installed" };
        let line = format!("  {name:<22} {state:<18}  {}  {}", entry.licence, entry.note.as_deref().unwrap_or(""));
        println!("{}", line.trim_end());
    }
    for problem in broken {
        eprintln!("broken: {problem}");
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Gguf> {
    Ok(Gguf::open(path).map_err(UserError::from)?)
}
