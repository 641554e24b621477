//! `z1 models import`, `quantise` and `add`: models that are on this machine already.

use std::path::{Path, PathBuf};

use super::interrupt::on_interrupt;
use super::line::Line;
use super::open;
use crate::cancel::Cancel;
use crate::dirs::Dirs;
use crate::engine::{self, Shape};
use crate::error::UserError;
use crate::gguf::Gguf;
use crate::model_store::disk::{gigabytes, sha256_of};
use crate::model_store::import::{self, Storage};
use crate::model_store::quantise::{self, Job};
use crate::model_store::resolve::{self, Found};
use crate::model_store::store::{Manifest, Store, check_name};

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    folder: PathBuf,
    /// The name it is installed under (default: the folder's)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How matrices are stored; the checkpoint's own type where left out
    #[arg(long, value_enum)]
    storage: Option<StorageArg>,
    /// Quantise what was imported, and keep only that
    #[arg(long, value_name = "QUANT")]
    quant: Option<String>,
    /// Write the GGUF here and install nothing
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Arguments of `quantise`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Quantisations, from large to small: Q8_0 Q6_K Q5_K_M Q5_K_S Q4_K_M Q4_K_S IQ4_XS Q3_K_M Q2_K; \
                        and F32, F16, BF16."
)]
pub(super) struct Quantise {
    /// A name or a .gguf file with floats
    model: String,
    /// What to make of it: Q4_K_M, Q5_K_M, Q6_K, Q8_0, F16, …
    quant: String,
    /// The name it is installed under (default: the model's with the quantisation)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write the GGUF here and install nothing
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// An importance matrix made by llama.cpp's imatrix
    #[arg(long, value_name = "FILE")]
    imatrix: Option<PathBuf>,
    /// Threads; otherwise the physical cores
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
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

/// Where an installed model came from; goes into its manifest.
pub(super) struct Origin<'a> {
    pub(super) licence: &'a str,
    pub(super) source: &'a str,
    /// The file's checksum, where it was checked already.
    pub(super) sha256: Option<String>,
    /// The registry's name of it.
    pub(super) known_as: Option<&'a str>,
}

impl<'a> Origin<'a> {
    const fn local(source: &'a str) -> Self {
        Self { licence: "unknown", source, sha256: None, known_as: None }
    }
}

pub(super) fn add(store: &Store, file: &Path, name: Option<&str>) -> anyhow::Result<()> {
    let gguf = open(file)?;
    Shape::of(&gguf).map_err(UserError::from)?;
    let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let path = std::fs::canonicalize(file)?;
    let name = name.unwrap_or(&stem);
    let said = install(store, name, &path, &gguf, &Origin::local(&format!("file {}", path.display())))?;
    println!("{said}; z1 models use {name}");
    Ok(())
}

pub(super) fn import_folder(args: &Import, store: &Store) -> anyhow::Result<()> {
    let own = args.folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().to_lowercase()));
    let name = args.name.clone().or(own).unwrap_or_else(|| "model".to_owned());
    if let Some(quant) = &args.quant {
        quantise::file_type(quant)?;
    }
    let cancel = on_interrupt()?;
    let target = match &args.out {
        Some(out) => out.clone(),
        None => {
            check_name(&name)?;
            store.folder(&name).join("model.gguf")
        }
    };
    let made = make(&args.folder, &target, &name, args.storage.map(Storage::from), args.quant.as_deref(), &cancel);
    if made.is_err() && args.out.is_none() {
        // Of a first import that failed nothing is left; what was installed before stays.
        let _ = std::fs::remove_dir(store.folder(&name));
    }
    made?;
    if args.out.is_some() {
        println!("{}", target.display());
        return Ok(());
    }
    let source = format!("folder {}", args.folder.display());
    let said = install(store, &name, Path::new("model.gguf"), &open(&target)?, &Origin::local(&source))?;
    println!("{said}; z1 models use {name}");
    Ok(())
}

/// Converts a folder, and quantises the result where that is wanted; the intermediate file is deleted.
fn make(
    folder: &Path,
    target: &Path,
    name: &str,
    storage: Option<Storage>,
    quant: Option<&str>,
    cancel: &Cancel,
) -> anyhow::Result<()> {
    // Before anything is created: most folders that cannot be imported are refused here.
    let plan = import::Plan::read(folder)?;
    if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let Some(quant) = quant else { return convert(plan, target, name, storage, cancel) };
    let between = target.with_extension("floats.gguf");
    let made = convert(plan, &between, name, storage, cancel).and_then(|()| {
        let job = Job { input: between.clone(), output: target.to_owned(), ..job(quant, None, None)? };
        run_job(&job, cancel)
    });
    let _ = std::fs::remove_file(&between);
    made
}

pub(super) fn convert(
    plan: import::Plan,
    out: &Path,
    name: &str,
    storage: Option<Storage>,
    cancel: &Cancel,
) -> anyhow::Result<()> {
    let mut line = Line::new("converting");
    plan.write(out, name, storage, cancel, |done, total| line.show(done, Some(total)))?;
    line.end();
    Ok(())
}

/// A job without its files.
///
/// # Errors
/// An unknown quantisation.
pub(super) fn job(quant: &str, imatrix: Option<PathBuf>, threads: Option<u32>) -> anyhow::Result<Job> {
    quantise::file_type(quant)?;
    Ok(Job {
        input: PathBuf::new(),
        output: PathBuf::new(),
        quant: quant.to_ascii_uppercase(),
        threads: threads.unwrap_or_else(engine::physical_threads),
        imatrix,
        program: std::env::current_exe()?,
    })
}

pub(super) fn run_job(job: &Job, cancel: &Cancel) -> anyhow::Result<()> {
    let mut line = Line::new(&format!("quantising to {}", job.quant));
    quantise::run(job, cancel, |done, total| line.steps(done, total))?;
    line.end();
    Ok(())
}

pub(super) fn quantise(args: &Quantise, dirs: &Dirs, store: &Store) -> anyhow::Result<()> {
    let input = match resolve::resolve(Some(&args.model), dirs)? {
        Found::File(path) => path,
        Found::Script(_) => return Err(UserError::usage("a script cannot be quantised").into()),
    };
    Shape::of(&open(&input)?).map_err(UserError::from)?;
    let job = job(&args.quant, args.imatrix.clone(), args.threads)?;
    let installed = store.get(&args.model).ok().map(|(manifest, _)| manifest);
    let stem = || input.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let base = installed.as_ref().map_or_else(stem, |manifest| manifest.name.clone());
    let name = args.name.clone().unwrap_or_else(|| format!("{base}-{}", job.quant.to_ascii_lowercase()));
    let output = match &args.out {
        Some(out) => out.clone(),
        None => {
            check_name(&name)?;
            store.folder(&name).join("model.gguf")
        }
    };
    if output.exists() && std::fs::canonicalize(&output)? == std::fs::canonicalize(&input)? {
        return Err(UserError::usage("a model cannot be quantised onto itself").hint("give it another --name").into());
    }
    if args.out.is_none() {
        std::fs::create_dir_all(store.folder(&name))?;
    }
    let job = Job { input: input.clone(), output: output.clone(), ..job };
    let made = run_job(&job, &on_interrupt()?);
    if made.is_err() && args.out.is_none() {
        let _ = std::fs::remove_dir(store.folder(&name));
    }
    made?;
    if args.out.is_some() {
        println!("{}", output.display());
        return Ok(());
    }
    let source = format!("quantised from {}", input.display());
    let local = Origin::local(&source);
    let origin = match &installed {
        Some(parent) => Origin {
            licence: &parent.licence,
            known_as: Some(parent.known_as.as_ref().unwrap_or(&parent.name)),
            ..local
        },
        None => local,
    };
    let said = install(store, &name, Path::new("model.gguf"), &open(&output)?, &origin)?;
    println!("{said}; z1 models use {name}");
    Ok(())
}

/// Writes the manifest of a file that is in place. Returns what is there now, for the user.
///
/// # Errors
/// A name that cannot be one, or the disk's.
pub(super) fn install(
    store: &Store,
    name: &str,
    file: &Path,
    gguf: &Gguf,
    origin: &Origin<'_>,
) -> anyhow::Result<String> {
    let quant = quantise::name_of(gguf);
    store.install(&Manifest {
        version: 1,
        name: name.to_owned(),
        file: file.to_owned(),
        bytes: gguf.file_bytes,
        sha256: Some(match &origin.sha256 {
            Some(known) => known.clone(),
            None => sha256_of(&gguf.path)?,
        }),
        quant: quant.clone(),
        licence: origin.licence.to_owned(),
        source: origin.source.to_owned(),
        known_as: origin.known_as.map(str::to_owned),
    })?;
    Ok(format!("{name} is installed ({quant}, {})", gigabytes(gguf.file_bytes)))
}
