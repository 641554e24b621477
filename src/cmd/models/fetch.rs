//! `z1 models pull`: from the hub to an installed model.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::model_store::hub::{DEFAULT_BASE, Hub};
use crate::model_store::pull::{self, Selection};
use crate::model_store::registry::{Entry, Registry};
use crate::model_store::store::{Store, check_name};

/// First pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `pull`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Interrupted? The same command goes on where it stopped.\nTokens for gated models: HF_TOKEN, or the hub's own login file."
)]
pub(super) struct Pull {
    /// A known name (`z1 models list`) or `owner/name` of the hub
    model: String,
    /// Branch, tag or commit
    #[arg(long)]
    revision: Option<String>,
    /// Take the ready GGUF of this quantisation, where the repository has several
    #[arg(long, value_name = "QUANT")]
    quant: Option<String>,
    /// The name it is installed under
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Another hub that speaks the same interface
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = DEFAULT_BASE)]
    mirror: String,
    /// Keep the checkpoint's files after the conversion
    #[arg(long)]
    keep: bool,
}

/// Runs the pull.
///
/// # Errors
/// Unknown names, the hub's refusals, a broken line that stays broken, a full disk, a model that cannot be converted.
pub(super) fn run(args: &Pull, store: &Store, registry: &Registry) -> anyhow::Result<()> {
    if std::env::var_os("HF_HUB_OFFLINE").is_some_and(|value| value == "1") {
        return Err(UserError::new(Exit::Refused, "HF_HUB_OFFLINE is set: nothing is fetched").into());
    }
    let entry = registry.entries.get(&args.model);
    if entry.is_some_and(|entry| entry.embedded) {
        return Err(UserError::usage(format!("{} ships with z1", args.model))
            .hint("use it with --model z1-nano")
            .into());
    }
    let Some((repo, revision)) = pull::source_of(&args.model, entry, args.revision.as_deref()) else {
        registry.get(&args.model)?;
        return Err(UserError::usage(format!("{:?} has no source", args.model)).into());
    };
    let name = args.name.clone().unwrap_or_else(|| {
        if entry.is_some() { args.model.clone() } else { repo.rsplit('/').next().unwrap_or(repo).to_lowercase() }
    });
    check_name(&name)?;
    let hub = Hub::new(&args.mirror, token());
    let cancel = on_interrupt()?;
    let (files, commit) = pull::list(&hub, repo, revision, PAUSE)?;
    let selection = pull::select(repo, &files, args.quant.as_deref())?;
    let staging = store.folder(&name).join("source");
    let mut line = super::line::Line::new("pulling");
    let paths = pull::fetch(&hub, (repo, revision), &selection, &staging, PAUSE, &cancel, |file, progress| {
        line.rename(file);
        line.show(progress.done_bytes, progress.total_bytes);
    })?;
    line.end();
    let source = format!("{repo}@{}", commit.as_deref().unwrap_or(revision));
    finish(args, store, (&name, entry, &source), &selection, (&staging, &paths))
}

/// Turns what was fetched into an installed model.
fn finish(
    args: &Pull,
    store: &Store,
    (name, entry, source): (&str, Option<&Entry>, &str),
    selection: &Selection,
    (staging, paths): (&Path, &[PathBuf]),
) -> anyhow::Result<()> {
    let target = store.folder(name).join("model.gguf");
    match selection {
        Selection::Gguf(_) => std::fs::rename(&paths[0], &target)?,
        Selection::Checkpoint(_) => super::convert(staging, &target, name, None)?,
    }
    let gguf = super::open(&target)?;
    let licence = entry.map_or("unknown", |entry| entry.licence.as_str());
    let profile = entry.map_or("default", |entry| entry.prompt_profile.as_str());
    super::install(store, name, Path::new("model.gguf"), &gguf, licence, source, profile, None)?;
    if !args.keep {
        // What is installed no longer needs it; a leftover is only room on the disk.
        let _ = std::fs::remove_dir_all(staging);
    }
    Ok(())
}

/// The hub's token from where its own tools keep it.
fn token() -> Option<String> {
    let from_env = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].iter().find_map(|name| std::env::var(name).ok());
    let from_file = || {
        let home = std::env::var_os("HF_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/huggingface")))?;
        std::fs::read_to_string(home.join("token")).ok()
    };
    from_env.or_else(from_file).map(|token| token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// A flag that Ctrl-C sets, so that a download ends between two chunks with its part kept.
fn on_interrupt() -> anyhow::Result<Cancel> {
    let cancel = Cancel::new();
    let seen = cancel.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                seen.cancel();
            }
        });
    });
    Ok(cancel)
}
