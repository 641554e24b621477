//! `z1 map`: prints the map of a repository.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::dirs::Dirs;
use crate::error::{Exit, UserError};
use crate::repo_map::{Bounds, Focus, build, estimate};

/// Reading a repository takes no longer than this.
const TIME_MAX: Duration = Duration::from_secs(60);

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, identifiers and other words of the task, towards which the map is turned
    pub words: Vec<String>,
    /// The repository's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub root: PathBuf,
    /// The budget in tokens (estimated at 3.5 bytes each)
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub tokens: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Neither read nor write the cache
    #[arg(long)]
    pub no_cache: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Where the root is no folder that can be read.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let root = args.root.canonicalize().ok().filter(|root| root.is_dir()).ok_or_else(|| {
        UserError::usage(format!("{} is not a folder", args.root.display())).hint("name one with --root")
    })?;
    let mut focus = Focus::default();
    for word in args.words.iter().flat_map(|words| words.split_whitespace()) {
        let path = word.trim_start_matches('@');
        if root.join(path).is_file() {
            focus.files.insert(path.to_owned());
        } else {
            focus.words.insert(word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_').to_owned());
        }
    }
    let cache = (!args.no_cache).then(|| Dirs::find().cache.join("repo_map"));
    let map = build(&root, &focus, &Bounds::new(args.tokens, TIME_MAX, cache), &estimate);
    for note in &map.notes {
        eprintln!("z1 map: {note}");
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&map)?)?;
    } else {
        out.write_all(map.text.as_bytes())?;
    }
    Ok(Exit::Success)
}
