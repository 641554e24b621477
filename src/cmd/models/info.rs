//! `z1 models info`: what a model is, and what it needs on this machine.

use serde_json::json;

use super::open;
use crate::cmd::task;
use crate::dirs::Dirs;
use crate::engine;
use crate::error::UserError;
use crate::gguf::{Gguf, Label};
use crate::model_store::disk::gigabytes;
use crate::model_store::fit::Fit;
use crate::model_store::quantise;
use crate::model_store::registry::{Entry, Registry};
use crate::model_store::resolve;
use crate::model_store::store::Store;
use crate::traits::{Sampling, Traits};

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
    let traits = resolve::known(Some(&args.model), dirs)?.traits(&Label::of(&file));
    let fit = Fit::of(&file, &task::load_options(&config), engine::machine()).map_err(UserError::from)?;
    if args.json {
        println!(
            "{}",
            json!({ "path": path, "name": file.metadata.string("general.name"), "architecture": file.architecture(),
                "parameters": file.parameters(), "bytes": file.file_bytes, "quant": quantise::name_of(&file),
                "kv_bytes_per_token": fit.kv_per_token().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
                "fit": fit, "traits": traits, "entry": entry })
        );
        return Ok(());
    }
    show(&file, &fit, &traits, entry);
    Ok(())
}

fn show(file: &Gguf, fit: &Fit, traits: &Traits, entry: Option<&Entry>) {
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
    for (name, text) in ways(traits) {
        println!("  {name:<14} {text}");
    }
    println!();
    for line in fit.table() {
        println!("  {line}");
    }
}

/// How the model is used, line by line.
fn ways(traits: &Traits) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let known = traits.known_as.as_deref().unwrap_or("nothing; the defaults hold");
    lines.push(("known as", known.to_owned()));
    if let Some(sampling) = &traits.sampling {
        lines.push(("sampling", drawn(sampling)));
    }
    if let Some(tokens) = traits.window_tokens {
        lines.push(("window", format!("up to {tokens} tokens, where the task decides")));
    }
    if let Some(tags) = &traits.think {
        let opens = if tags.opened_by_template { ", opened by its chat template" } else { "" };
        let switch = traits.thinking_switch.as_ref().map_or_else(String::new, |name| format!(", switched by {name}"));
        lines.push(("thinking", format!("between {} and {}{opens}{switch}", tags.open, tags.close)));
    }
    if !traits.ends_by_itself {
        lines.push(("turns", "a base model: only limits end its replies".to_owned()));
    }
    lines
}

fn drawn(sampling: &Sampling) -> String {
    let Sampling { temperature, top_p, top_k, min_p, .. } = sampling;
    let min_p = if *min_p > 0.0 { format!(", min-p {min_p}") } else { String::new() };
    format!("temperature {temperature}, top-p {top_p}, top-k {top_k}{min_p}, as its makers advise")
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
        println!("  sampling       {}", drawn(&sampling.into()));
    }
    if let Some(note) = &entry.note {
        println!("  {note}");
    }
    println!("  to get it      z1 models pull {name}");
}
