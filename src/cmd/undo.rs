//! `z1 undo`: reverts the last accepted change.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::dirs::Dirs;
use crate::error::{Exit, UserError};
use crate::workspace::diff;
use crate::workspace::journal::{Journal, Step};
use crate::workspace::tree::Tree;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The project's folder [default: the current one, or the project around it]
    #[arg(short = 'C', long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// List the changes that can be undone, newest last, and change nothing
    #[arg(long)]
    pub list: bool,
    /// Show what would be undone, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Where there is nothing to undo, or a file was edited since in the same place.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let state = Dirs::find().state;
    let tree = tree(args.root.as_deref(), &state)?;
    let journal = Journal::new(&state, &tree);
    if let Some(told) = journal.recover()? {
        eprintln!("{told}");
    }
    let mut out = std::io::stdout().lock();
    if args.list {
        for step in journal.steps()? {
            let paths: Vec<&str> = step.files.iter().map(|file| file.path.as_str()).collect();
            writeln!(out, "{}\t{}\t{}", step.number, step.title, paths.join(" "))?;
        }
        return Ok(Exit::Success);
    }
    if args.dry_run {
        let step = journal.last()?;
        let step = step.ok_or_else(|| UserError::new(Exit::Error, "there is nothing to undo in this project"))?;
        out.write_all(reverse_diff(&step).as_bytes())?;
        return Ok(Exit::Success);
    }
    let step = journal.undo()?;
    for file in &step.files {
        let what = match (&file.before, &file.after) {
            (None, _) => "removed",
            (_, None) => "brought back",
            _ => "restored",
        };
        writeln!(out, "{what} {}", file.path)?;
    }
    Ok(Exit::Success)
}

/// The folder that was named; else the current one where changes were made in it, else the project around it:
/// `z1 apply` may have worked in a folder below, a task works from the root.
fn tree(root: Option<&Path>, state: &Path) -> anyhow::Result<Tree> {
    if let Some(root) = root {
        return Tree::open(root);
    }
    let here = Tree::open(Path::new("."))?;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match crate::agent::project::root_of(Path::new("."), home.as_deref()) {
        Some(root) if Journal::new(state, &here).steps()?.is_empty() => Tree::open(&root),
        _ => Ok(here),
    }
}

fn reverse_diff(step: &Step) -> String {
    step.files.iter().map(|f| diff::unified(&f.path, f.after.as_deref(), f.before.as_deref())).collect()
}
