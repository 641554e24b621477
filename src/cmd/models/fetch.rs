//! `z1 models pull`: from the hub to an installed model.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bring::{self, Origin};
use super::interrupt::on_interrupt;
use crate::cancel::Cancel;
use crate::dirs::Dirs;
use crate::error::{Exit, UserError};
use crate::gguf::split;
use crate::model_store::disk::check_space;
use crate::model_store::download::Progress;
use crate::model_store::hub::{DEFAULT_BASE, Hub};
use crate::model_store::import;
use crate::model_store::pull::{self, Selection};
use crate::model_store::quantise::{self, Job};
use crate::model_store::registry::{Entry, Registry, Source};
use crate::model_store::store::{Store, check_name, write_whole};

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
    /// The quantisation wanted: a ready GGUF of it is taken, else one is made; `none` keeps the checkpoint's floats
    #[arg(long, value_name = "QUANT")]
    quant: Option<String>,
    /// The name it is installed under
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Another hub that speaks the same interface
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = DEFAULT_BASE, hide_env_values = true)]
    mirror: String,
    /// Keep the checkpoint's files and the unquantised model
    #[arg(long)]
    keep: bool,
}

/// Runs the pull.
///
/// # Errors
/// Unknown names, the hub's refusals, a broken line that stays broken, a full disk, a model that cannot be converted.
pub(super) fn run(args: &Pull, store: &Store, registry: &Registry) -> anyhow::Result<()> {
    let first = is_first(store)?;
    let mut line = super::line::Line::new("pulling");
    let (name, said) = pulled(args, store, registry, &on_interrupt()?, &mut |going| match going {
        Some((file, progress)) => {
            line.rename(file);
            line.show(progress.done_bytes, progress.total_bytes);
        }
        None => line.end(),
    })?;
    if first {
        store.set_default(&name)?;
        println!("{said}; it is used from now on where no model is named");
    } else if store.default_name()?.as_deref() == Some(&name) {
        println!("{said}");
    } else {
        println!("{said}; z1 models use {name}");
    }
    Ok(())
}

/// Whether a model that comes now is the first real one: nobody has to be asked which is to be used then.
fn is_first(store: &Store) -> anyhow::Result<bool> {
    Ok(store.default_name()?.is_none() && store.list()?.0.is_empty())
}

/// Pulls a known model's ready file for somebody who looks on, and has it used where no model is named. `going` hears how
/// far it is.
///
/// # Errors
/// Unknown names, models without a ready file, and what [`run`] ends with.
pub(in crate::cmd) fn ready_file(
    name: &str,
    dirs: &Dirs,
    cancel: &Cancel,
    going: &mut dyn FnMut(Progress),
) -> anyhow::Result<()> {
    let store = Store::new(&dirs.data);
    let registry = Registry::load(&store.registry_file())?;
    if registry.get(name)?.gguf.is_none() {
        return Err(UserError::new(
            Exit::Refused,
            format!("{name} has no ready file: it is converted, which takes long"),
        )
        .hint(format!("in another terminal: z1 models pull {name}"))
        .into());
    }
    let mirror = std::env::var("HF_ENDPOINT").ok().filter(|url| !url.is_empty());
    let args = Pull {
        model: name.to_owned(),
        revision: None,
        quant: None,
        name: None,
        mirror: mirror.unwrap_or_else(|| DEFAULT_BASE.to_owned()),
        keep: false,
    };
    pulled(&args, &store, &registry, cancel, &mut |at| {
        if let Some((_, progress)) = at {
            going(progress);
        }
    })?;
    store.set_default(name)
}

/// How far a pull is: the file that is being fetched; nothing once all are there.
type Going<'a> = &'a mut dyn FnMut(Option<(&str, Progress)>);

/// Fetches, converts and installs. Returns the model's name and what came of it.
fn pulled(
    args: &Pull,
    store: &Store,
    registry: &Registry,
    cancel: &Cancel,
    going: Going<'_>,
) -> anyhow::Result<(String, String)> {
    if std::env::var_os("HF_HUB_OFFLINE").is_some_and(|value| value == "1") {
        return Err(UserError::new(Exit::Refused, "HF_HUB_OFFLINE is set: nothing is fetched").into());
    }
    let entry = registry.entries.get(&args.model);
    if entry.is_some_and(|entry| entry.embedded) {
        return Err(UserError::usage(format!("{} ships with z1", args.model))
            .hint("use it with --model z1-nano")
            .into());
    }
    let found = pull::source_of(&args.model, entry, args.revision.as_deref(), args.quant.as_deref());
    let Some(Source { repo, revision, quant: wanted, files: known }) = found else {
        registry.get(&args.model)?;
        return Err(UserError::usage(format!("{:?} has no source", args.model)).into());
    };
    let name = args.name.clone().unwrap_or_else(|| {
        if entry.is_some() { args.model.clone() } else { repo.rsplit('/').next().unwrap_or(repo).to_lowercase() }
    });
    check_name(&name)?;
    let quant = wanted.filter(|quant| !quant.eq_ignore_ascii_case("none"));
    if let Some(quant) = quant {
        quantise::file_type(quant)?;
    }
    let hub = Hub::new(&args.mirror, token());
    let (mut files, commit) = pull::list(&hub, repo, revision, PAUSE, cancel)?;
    pull::expect(repo, &mut files, known)?;
    let selection = pull::select(repo, &files, quant)?;
    let source = format!("{repo}@{}", commit.as_deref().unwrap_or(revision));
    let known_as = entry.map(|_| args.model.as_str());
    let work = Work { store, name: &name, entry, known_as, source: &source, quant, keep: args.keep, cancel };
    if work.is_installed() {
        let said = format!("{name} is installed already, from {source}");
        return Ok((name, said));
    }
    let staging = work.staging();
    if work.floats_are_there() {
        let said = work.finish(&selection, &[])?;
        return Ok((name, said));
    }
    // What converting and quantising will need comes on top of the download.
    check_space(
        &staging,
        pull::bytes_in_all(&selection, quant.is_some()).saturating_sub(pull::bytes_there(&selection, &staging)),
    )?;
    let paths = pull::fetch(&hub, (repo, revision), &selection, &staging, PAUSE, cancel, |file, progress| {
        going(Some((file, progress)));
    })?;
    going(None);
    let said = work.finish(&selection, &paths)?;
    Ok((name, said))
}

/// A pull whose files are known: what is left is converting, quantising and installing.
struct Work<'a> {
    store: &'a Store,
    name: &'a str,
    entry: Option<&'a Entry>,
    /// The entry's name.
    known_as: Option<&'a str>,
    /// `owner/name@commit`
    source: &'a str,
    quant: Option<&'a str>,
    keep: bool,
    cancel: &'a Cancel,
}

impl Work<'_> {
    fn staging(&self) -> PathBuf {
        self.store.folder(self.name).join("source")
    }

    /// The converted, unquantised model, and the file that says what it was made of.
    fn floats(&self) -> (PathBuf, PathBuf) {
        let file = self.store.folder(self.name).join("floats.gguf");
        (file.clone(), file.with_extension("from"))
    }

    fn is_installed(&self) -> bool {
        self.store.get(self.name).is_ok_and(|(manifest, path)| {
            let same_quant = self.quant.is_none_or(|quant| manifest.quant.eq_ignore_ascii_case(quant));
            let whole = bytes_of(&path) == manifest.bytes;
            manifest.source == self.source && same_quant && whole
        })
    }

    /// Whether an earlier run got as far as the conversion.
    fn floats_are_there(&self) -> bool {
        let (file, from) = self.floats();
        file.is_file() && std::fs::read_to_string(from).is_ok_and(|text| text == self.source)
    }

    /// Turns what was fetched into an installed model. Returns what is there now.
    fn finish(&self, selection: &Selection, paths: &[PathBuf]) -> anyhow::Result<String> {
        let folder = self.store.folder(self.name);
        let mut target = folder.join("model.gguf");
        let (floats, from) = self.floats();
        match (selection, self.quant) {
            (Selection::Gguf(files), _) if files.len() > 1 => target = move_parts(paths, &folder)?,
            (Selection::Gguf(_), _) => std::fs::rename(&paths[0], &target)?,
            (Selection::Checkpoint(_), None) => {
                bring::convert(import::Plan::read(&self.staging())?, &target, self.name, None, self.cancel)?;
            }
            (Selection::Checkpoint(_), Some(quant)) => {
                if !self.floats_are_there() {
                    bring::convert(import::Plan::read(&self.staging())?, &floats, self.name, None, self.cancel)?;
                    write_whole(&from, self.source.as_bytes())?;
                }
                let job = Job { input: floats.clone(), output: target.clone(), ..bring::job(quant, None, None)? };
                bring::run_job(&job, self.cancel)?;
            }
        }
        let gguf = super::open(&target)?;
        let file = target.strip_prefix(&folder).unwrap_or(&target).to_owned();
        // What was fetched has been checked against it.
        let sha256 = match selection {
            Selection::Gguf(files) => files[0].sha256.clone(),
            Selection::Checkpoint(_) => None,
        };
        let origin = Origin {
            sha256,
            licence: self.entry.map_or("unknown", |entry| &entry.licence),
            source: self.source,
            known_as: self.known_as,
        };
        let said = bring::install(self.store, self.name, &file, &gguf, &origin)?;
        remove_others(&folder, &file);
        if !self.keep {
            // What is installed no longer needs it; a leftover is only room on the disk.
            let _ = std::fs::remove_dir_all(self.staging());
            let _ = std::fs::remove_file(&floats);
            let _ = std::fs::remove_file(&from);
        }
        Ok(said)
    }
}

/// Parts keep their names: by them they find each other. The first is the model's file.
fn move_parts(paths: &[PathBuf], folder: &Path) -> anyhow::Result<PathBuf> {
    let mut moved = Vec::with_capacity(paths.len());
    for path in paths {
        let target = folder.join(path.file_name().unwrap_or_default());
        std::fs::rename(path, &target)?;
        moved.push(target);
    }
    Ok(moved.swap_remove(0))
}

/// The bytes of a model's file, or of all its parts; 0 where one is missing.
fn bytes_of(path: &Path) -> u64 {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let length = |path: &Path| std::fs::metadata(path).map(|about| about.len()).ok();
    match split::place_of(&name) {
        None => length(path).unwrap_or(0),
        Some((before, _, count)) => {
            let part = |number| length(&path.with_file_name(split::name_of(before, number, count)));
            (1..=count).map(part).sum::<Option<u64>>().unwrap_or(0)
        }
    }
}

/// Removes the model files of an earlier pull under the same name.
fn remove_others(folder: &Path, file: &Path) {
    let name = file.to_string_lossy();
    let mine = |other: &str| match (split::place_of(&name), split::place_of(other)) {
        (Some((before, _, count)), Some((other, _, of))) => (before, count) == (other, of),
        _ => name == other,
    };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        let is_model = other == "model.gguf" || split::place_of(&other).is_some();
        if is_model && !mine(&other) {
            // A leftover is only room on the disk.
            let _ = std::fs::remove_file(entry.path());
        }
    }
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
