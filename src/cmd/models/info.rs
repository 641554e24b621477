//! `z1 models info`: what a model is, and what it needs on this machine.

use serde_json::json;

use super::open;
use crate::cmd::task;
use crate::dirs::Dirs;
use crate::engine;
use crate::error::UserError;
use crate::gguf::Gguf;
use crate::model_store::disk::gigabytes;
use crate::model_store::fit::Fit;
use crate::model_store::quantise;
use crate::model_store::registry::{Entry, Registry};
use crate::model_store::resolve;
use crate::model_store::store::Store;

/// Arguments of `info`.
#[derive(Debug, clap::Args)]
pub(super) struct Info {
    /// A name or a .gguf file
    model: String,
    /// Context in tokens to compute with
    #[arg(long, visible_alias = "context", value_name = "TOKENS", allow_negative_numbers = true)]
    ctx: Option<String>,
    /// Layers on the GPU; otherwise as many as fit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    gpu_layers: Option<String>,
    /// Element type of the KV cache: auto, f16, q8_0, q4_0
    #[arg(long, value_name = "TYPE")]
    kv: Option<String>,
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
/// No such model, or a file that is none.
pub(super) fn run(args: &Info, dirs: &Dirs, registry: &Registry) -> anyhow::Result<()> {
    let entry = registry.entries.get(&args.model);
    if let Some(entry) = entry
        && !entry.embedded
        && !Store::new(&dirs.data).folder(&args.model).join("manifest.json").is_file()
    {
        known_only(&args.model, entry, args.json);
        return Ok(());
    }
    let path = match resolve::resolve(Some(&args.model), dirs)? {
        resolve::Found::File(path) => path,
        resolve::Found::Script(_) => return Err(UserError::usage("a script has no metadata").into()),
    };
    let flags = [("context", &args.ctx), ("gpu_layers", &args.gpu_layers), ("kv", &args.kv)];
    let flags = flags.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let config = task::config(dirs, flags)?;
    let file = open(&path)?;
    let fit = Fit::of(&file, &task::load_options(&config), engine::machine()).map_err(UserError::from)?;
    if args.json {
        println!(
            "{}",
            json!({ "path": path, "name": file.metadata.string("general.name"), "architecture": file.architecture(),
                "parameters": file.parameters(), "bytes": file.file_bytes, "quant": quantise::name_of(&file),
                "kv_bytes_per_token": fit.kv_per_token().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
                "fit": fit, "entry": entry })
        );
        return Ok(());
    }
    show(&file, &fit, entry);
    Ok(())
}

fn show(file: &Gguf, fit: &Fit, entry: Option<&Entry>) {
    let shape = &fit.shape;
    println!("{}", file.path.display());
    println!(
        "  architecture   {}, {} layers of {}, {} heads",
        file.architecture(),
        shape.layers(),
        shape.embedding,
        shape.heads
    );
    println!(
        "  parameters     {:.2} M as {}, {}",
        file.parameters() as f64 / 1e6,
        quantise::name_of(file),
        gigabytes(file.file_bytes)
    );
    println!("  vocabulary     {} tokens; trained context {}", shape.vocabulary, shape.context_tokens_trained);
    let kv = fit.kv_per_token().map(|(name, bytes)| format!("{bytes} bytes as {name}"));
    println!("  KV per token   {}", kv.join(", "));
    if let Some(entry) = entry {
        println!("  licence        {}", entry.licence);
    }
    println!();
    for line in fit.table() {
        println!("  {line}");
    }
}

/// What the registry says of a model that is not there.
fn known_only(name: &str, entry: &Entry, as_json: bool) {
    if as_json {
        println!("{}", json!({ "name": name, "installed": false, "entry": entry }));
        return;
    }
    println!("{name}: {} (not installed)", entry.title);
    if let Some(repo) = &entry.repo {
        println!("  source         {repo} at {}", entry.revision);
    }
    println!("  licence        {}", entry.licence);
    println!("  context        {} tokens", entry.context_tokens_max);
    if let Some(quant) = &entry.quant {
        println!("  quantisation   {quant}, where `pull` is not told another");
    }
    if let Some(tokens) = entry.window_tokens {
        println!("  window         up to {tokens} tokens, where the task decides");
    }
    if let Some(sampling) = entry.sampling {
        let (top_p, top_k) = (sampling.top_p, sampling.top_k);
        println!(
            "  sampling       temperature {}, top-p {top_p}, top-k {top_k}, as its makers advise",
            sampling.temperature
        );
    }
    if let Some(note) = &entry.note {
        println!("  {note}");
    }
    println!("  to get it      z1 models pull {name}");
}
