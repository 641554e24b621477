//! `z1 models`: lists, pulls, imports, adds and removes models.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::dirs::Dirs;
use crate::error::{Exit, UserError};
use crate::gguf::Gguf;
use crate::model_store::disk::{gigabytes, sha256_of};
use crate::model_store::fit::{self, KvType, Shape, Wish};
use crate::model_store::import::{self, Storage};
use crate::model_store::registry::{Entry, Registry};
use crate::model_store::resolve;
use crate::model_store::store::{Manifest, Store, check_name};

#[cfg(feature = "pull")]
mod fetch;
mod line;

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
    /// Show what a model needs, from its metadata alone
    Info {
        /// A name or a .gguf file
        model: String,
        /// Context in tokens to compute with
        #[arg(long, value_name = "TOKENS")]
        ctx: Option<u32>,
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model from the hub; a checkpoint is converted (the only command that opens a connection)
    #[cfg(feature = "pull")]
    Pull(fetch::Pull),
    /// Convert a Hugging Face folder of a Qwen2 model to GGUF and install it
    Import {
        folder: PathBuf,
        /// The name it is installed under (default: the folder's)
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// How matrices are stored; the checkpoint's own type where left out
        #[arg(long, value_enum)]
        storage: Option<StorageArg>,
        /// Write the GGUF here and install nothing
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Install a GGUF that is somewhere else; it stays where it is
    Add {
        file: PathBuf,
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Use this model where none is named
    Use { name: String },
    /// Remove a model and what an unfinished pull left
    Rm { name: String },
}

/// The three types of a conversion.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum StorageArg {
    F32,
    F16,
    Bf16,
}

impl From<StorageArg> for Storage {
    fn from(arg: StorageArg) -> Self {
        match arg {
            StorageArg::F32 => Self::F32,
            StorageArg::F16 => Self::F16,
            StorageArg::Bf16 => Self::Bf16,
        }
    }
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
        Command::Info { model, ctx, json } => info(&dirs, model, *ctx, *json)?,
        #[cfg(feature = "pull")]
        Command::Pull(pull) => fetch::run(pull, &store, &registry)?,
        Command::Import { folder, name, storage, out } => {
            import_folder(&store, folder, name.as_deref(), storage.map(Storage::from), out.as_deref())?;
        }
        Command::Add { file, name } => add(&store, file, name.as_deref())?,
        Command::Use { name } => {
            store.set_default(name)?;
            println!("{name} is used where no model is named");
        }
        Command::Rm { name } => println!("{name} is removed; {} freed", gigabytes(store.remove(name)?)),
    }
    Ok(Exit::Success)
}

fn list(store: &Store, registry: &Registry, as_json: bool) -> anyhow::Result<()> {
    let (installed, broken) = store.list()?;
    let default = store.default_name()?;
    let known: Vec<(&String, &Entry)> =
        registry.entries.iter().filter(|(name, _)| !installed.iter().any(|m| m.name == **name)).collect();
    if as_json {
        println!(
            "{}",
            json!({ "installed": installed, "default": default, "broken": broken, "known": known,
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
        println!("  {name:<22} {state:<18}  {}  {}", entry.licence, entry.note.as_deref().unwrap_or(""));
    }
    for problem in broken {
        eprintln!("broken: {problem}");
    }
    Ok(())
}

fn info(dirs: &Dirs, model: &str, ctx: Option<u32>, as_json: bool) -> anyhow::Result<()> {
    let path = match resolve::resolve(Some(model), dirs)? {
        resolve::Found::File(path) => path,
        resolve::Found::Script(_) => return Err(UserError::usage("a script has no metadata").into()),
    };
    let file = open(&path)?;
    let shape = shape_of(&file)?;
    let kv_type = |kv: KvType| (kv.name(), u64::from(shape.layers) * shape.kv_bytes_of_token_and_layer(kv));
    let context = ctx.unwrap_or(fit::CONTEXT_TOKENS_WANTED).min(shape.context_tokens_max);
    let plan = fit::plan(&shape, &[], u64::MAX, Wish { context_tokens: Some(context), ..Wish::default() });
    let quant = file.main_type().map_or_else(|| "?".to_owned(), crate::gguf::TensorType::name);
    if as_json {
        println!(
            "{}",
            json!({ "path": path, "architecture": file.architecture(), "parameters": file.parameters(),
            "quant": quant, "shape": shape, "plan_on_the_cpu": plan })
        );
        return Ok(());
    }
    println!("{}", path.display());
    println!(
        "  architecture   {} ({} layers of {}, {} heads, {} for keys and values)",
        file.architecture(),
        shape.layers,
        shape.embedding,
        shape.heads,
        shape.heads_kv
    );
    println!(
        "  parameters     {:.2} M, mostly {quant}, {}",
        file.parameters() as f64 / 1e6,
        gigabytes(file.file_bytes)
    );
    println!("  vocabulary     {} tokens; trained context {}", shape.vocabulary, shape.context_tokens_max);
    for (name, bytes) in [kv_type(KvType::F16), kv_type(KvType::Q8_0)] {
        println!("  KV per token   {bytes} bytes as {name}");
    }
    println!(
        "  at {context} tokens: weights {}, KV {}, compute {}, together {}",
        gigabytes(plan.weights_bytes),
        gigabytes(plan.kv_bytes),
        gigabytes(plan.compute_bytes),
        gigabytes(plan.host_bytes)
    );
    Ok(())
}

/// The numbers that memory depends on, from a file's header.
fn shape_of(file: &Gguf) -> anyhow::Result<Shape> {
    let number = |key: &str| {
        file.architecture_number(key)
            .ok_or_else(|| UserError::new(Exit::NoModel, format!("{} does not say its {key}", file.path.display())))
    };
    let layers = number("block_count")? as u32;
    let heads = number("attention.head_count")? as u32;
    let mut layer_bytes = vec![0; layers as usize];
    let (mut embedding_bytes, mut output_bytes) = (0, 0);
    for tensor in &file.tensors {
        let layer = tensor.name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        match layer {
            Some(layer) if layer < layer_bytes.len() => layer_bytes[layer] += tensor.bytes,
            _ if tensor.name == "token_embd.weight" => embedding_bytes += tensor.bytes,
            _ => output_bytes += tensor.bytes,
        }
    }
    Ok(Shape {
        layers,
        embedding: number("embedding_length")?,
        feed_forward: number("feed_forward_length")?,
        heads,
        heads_kv: file.architecture_number("attention.head_count_kv").map_or(heads, |n| n as u32),
        vocabulary: file.metadata.strings("tokenizer.ggml.tokens").map_or(0, |tokens| tokens.len() as u64),
        context_tokens_max: number("context_length")? as u32,
        layer_bytes,
        embedding_bytes,
        output_bytes,
    })
}

fn open(path: &Path) -> anyhow::Result<Gguf> {
    Gguf::open(path).map_err(|problem| UserError::new(Exit::NoModel, problem.to_string()).hint(problem.hint()).into())
}

fn add(store: &Store, file: &Path, name: Option<&str>) -> anyhow::Result<()> {
    let gguf = open(file)?;
    let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let name = name.unwrap_or(&stem);
    let path = std::fs::canonicalize(file)?;
    install(store, name, &path, &gguf, "unknown", &format!("file {}", path.display()), "default", None)
}

fn import_folder(
    store: &Store,
    folder: &Path,
    name: Option<&str>,
    storage: Option<Storage>,
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let own = folder.file_name().map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or(&own);
    if let Some(out) = out {
        convert(folder, out, name, storage)?;
        println!("{}", out.display());
        return Ok(());
    }
    check_name(name)?;
    let target = store.folder(name).join("model.gguf");
    std::fs::create_dir_all(store.folder(name))?;
    convert(folder, &target, name, storage)?;
    install(
        store,
        name,
        Path::new("model.gguf"),
        &open(&target)?,
        "unknown",
        &format!("folder {}", folder.display()),
        "default",
        None,
    )
}

fn convert(folder: &Path, out: &Path, name: &str, storage: Option<Storage>) -> anyhow::Result<()> {
    let mut line = line::Line::new("converting");
    import::convert(folder, out, name, storage, |done, total| line.show(done, Some(total)))?;
    line.end();
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "a manifest has that many fields")]
fn install(
    store: &Store,
    name: &str,
    file: &Path,
    gguf: &Gguf,
    licence: &str,
    source: &str,
    profile: &str,
    sha256: Option<String>,
) -> anyhow::Result<()> {
    let quant = gguf.main_type().map_or_else(|| "?".to_owned(), crate::gguf::TensorType::name);
    let sha256 = match sha256 {
        Some(sum) => sum,
        None => sha256_of(&gguf.path)?,
    };
    store.install(&Manifest {
        version: 1,
        name: name.to_owned(),
        file: file.to_owned(),
        bytes: gguf.file_bytes,
        sha256: Some(sha256),
        quant: quant.clone(),
        licence: licence.to_owned(),
        source: source.to_owned(),
        prompt_profile: profile.to_owned(),
    })?;
    println!("{name} is installed ({quant}, {}); z1 models use {name}", gigabytes(gguf.file_bytes));
    Ok(())
}
