//! `z1 config`: shows the settings in force and where each came from.

use std::io::Write;

use anyhow::Context;

use super::task;
use crate::config::{Kind, variable};
use crate::dirs::Dirs;
use crate::error::Exit;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Settings come from, later over earlier: defaults, config.toml in the settings folder, \
                        .z1/config.toml of a trusted project, the environment, flags.")]
pub struct Args {
    /// Show every setting with its value, its origin and what it may be
    #[arg(long)]
    explain: bool,
    /// Trust this folder's .z1/config.toml from now on
    #[arg(long, conflicts_with = "explain")]
    trust: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// A settings file that cannot be used.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let dirs = Dirs::find();
    if args.trust {
        return trust(&dirs);
    }
    let config = task::config(&dirs, Vec::new())?;
    let mut out = std::io::stdout().lock();
    for warning in &config.warnings {
        eprintln!("z1: warning: {warning}");
    }
    for (key, value, origin) in config.explain() {
        let value = value.unwrap_or_else(|| "-".to_owned());
        let line = if args.explain {
            let origin = origin.map_or_else(|| "not set".to_owned(), ToString::to_string);
            let may_be = match key.kind {
                Kind::Choice(choices) => format!(" ({})", choices.join(", ")),
                _ => String::new(),
            };
            format!("{:16} {:10} {origin:20} {}{may_be} [{}]", key.name, value, key.help, variable(key))
        } else {
            format!("{} = {value}", key.name)
        };
        writeln!(out, "{line}").context("cannot write to stdout")?;
    }
    if args.explain {
        let row = |name: &str, path: &std::path::Path| format!("{name:16} {}", path.display());
        let folders =
            [("settings", &dirs.config), ("models", &dirs.data), ("transcripts", &dirs.state), ("cache", &dirs.cache)];
        for (name, path) in folders {
            writeln!(out, "{}", row(name, path)).context("cannot write to stdout")?;
        }
    }
    Ok(Exit::Success)
}

fn trust(dirs: &Dirs) -> anyhow::Result<Exit> {
    let folder = std::env::current_dir().and_then(|folder| folder.canonicalize()).context("this folder is gone")?;
    let file = task::trust_file(dirs);
    let mut list = std::fs::read_to_string(&file).unwrap_or_default();
    if !list.lines().any(|line| std::path::Path::new(line) == folder) {
        list.push_str(&format!("{}\n", folder.display()));
        crate::model_store::store::write_whole(&file, list.as_bytes())?;
    }
    eprintln!("z1: the settings of {} are trusted from now on (listed in {})", folder.display(), file.display());
    Ok(Exit::Success)
}
