//! `z1 sft gym`: writes generated problems, with their trajectories and tests, as JSONL rows.

use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::Context as _;
use rayon::prelude::*;

use crate::error::{Exit, UserError};
use crate::gym::corpus::Corpus;
use crate::gym::row::Style;
use crate::gym::{Family, LEVEL_MAX, Split};
use crate::prompt::Prompts;
use crate::traits::PromptSet;

/// Rows made together; bounds memory.
const ROWS_AT_ONCE: u64 = 8192;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many rows to write
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// The same seed gives the same rows
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// train, valid or test: splits share neither composition nor wording
    #[arg(long, default_value = "train")]
    split: Split,
    /// short, long or mixed: how much the trajectories think
    #[arg(long, default_value = "mixed")]
    style: Style,
    /// Families with optional shares: write=3,plan=1 [default: z1-nano's mix for train, equal shares of the judged ones otherwise]
    #[arg(long, value_delimiter = ',', value_parser = share)]
    family: Vec<(Family, u32)>,
    /// Levels, 0 (answered at once) to 5
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u8).range(..=i64::from(LEVEL_MAX)))]
    level: Vec<u8>,
    /// Rows in a hundred that are cut anywhere and hinted [default: 10 for train, 0 otherwise]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=100))]
    hinted: Option<u64>,
    /// Rows in a hundred that revise a failed attempt [default: 5 for train, 0 otherwise]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=100))]
    revised: Option<u64>,
    /// Where to write; stdout without it
    #[arg(long, short)]
    out: Option<PathBuf>,
}

/// `family` or `family=share`.
fn share(text: &str) -> Result<(Family, u32), String> {
    let (name, share) = text.split_once('=').unwrap_or((text, "1"));
    let family = name.parse()?;
    let share = share.parse().ok().filter(|&share| share > 0);
    Ok((family, share.ok_or_else(|| format!("`{text}`: a share is a whole number above 0"))?))
}

impl Args {
    fn corpus(&self) -> Result<Corpus, UserError> {
        let mut corpus = match self.split {
            Split::Train => Corpus::training(self.seed),
            Split::Valid | Split::Test => Corpus::measuring(self.seed, self.split),
        };
        corpus.style = self.style;
        if !self.family.is_empty() {
            corpus.families.clone_from(&self.family);
        }
        if !self.level.is_empty() {
            corpus.levels.clone_from(&self.level);
        }
        corpus.hinted_percent = self.hinted.unwrap_or(corpus.hinted_percent);
        corpus.revised_percent = self.revised.unwrap_or(corpus.revised_percent);
        if corpus.hinted_percent + corpus.revised_percent > 100 {
            return Err(UserError::usage("--hinted and --revised together are more than 100"));
        }
        Ok(corpus)
    }
}

/// Runs the subcommand.
///
/// # Errors
/// A file that cannot be written, or arguments that do not fit together.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let corpus = args.corpus()?;
    let prompts = Prompts::load(PromptSet::Nano, None)?;
    match &args.out {
        None => write(&corpus, args.count, &prompts, BufWriter::new(std::io::stdout().lock()))?,
        Some(path) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| std::path::Path::new("."));
            // Beside the goal and renamed at the end: a reader never sees half a file.
            let mut file = tempfile::NamedTempFile::new_in(folder)
                .with_context(|| format!("cannot write into {}", folder.display()))?;
            write(&corpus, args.count, &prompts, BufWriter::new(&mut file))?;
            file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
            eprintln!("{} rows in {}", args.count, path.display());
        }
    }
    Ok(Exit::Success)
}

fn write(corpus: &Corpus, count: u64, prompts: &Prompts, mut out: impl std::io::Write) -> anyhow::Result<()> {
    for first in (0..count).step_by(ROWS_AT_ONCE as usize) {
        let lines: Vec<String> = (first..count.min(first + ROWS_AT_ONCE))
            .into_par_iter()
            .map(|index| {
                let row = corpus.row(index, prompts)?;
                Ok(serde_json::to_string(&row)? + "\n")
            })
            .collect::<anyhow::Result<_>>()?;
        for line in lines {
            out.write_all(line.as_bytes()).context("cannot write the rows")?;
        }
    }
    out.flush().context("cannot write the rows")
}
