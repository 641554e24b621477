//! `z1 sessions`: lists, shows, exports and removes sessions.

use std::io::Write as _;
use std::path::PathBuf;

use crate::agent::sessions::{Sessions, ago};
use crate::dirs::Dirs;
use crate::error::{Exit, UserError};
use crate::sandbox::text::clean;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  z1 sessions                      the sessions, the one used last first\n  z1 sessions last                 the newest one, as Markdown\n  z1 sessions ID --export FILE.md  to a file (.json: as it is stored)\n\nTo go on with one: z1 --continue, or z1 --resume ID."
)]
pub struct Args {
    /// A session's id (or its beginning), or `last`; without it, a list
    id: Option<String>,
    /// Write it to a file instead of stdout
    #[arg(long, value_name = "FILE", requires = "id")]
    export: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Delete the session
    #[arg(long, requires = "id", conflicts_with_all = ["export", "json"])]
    remove: bool,
    /// How many to list
    #[arg(long, short = 'n', default_value_t = 20)]
    count: usize,
}

/// Runs the subcommand.
///
/// # Errors
/// No such session, or a file that cannot be read or written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let sessions = Sessions::new(&Dirs::find().state);
    let mut out = std::io::stdout().lock();
    let Some(id) = &args.id else {
        let rows = sessions.list();
        for row in rows.iter().take(args.count) {
            if args.json {
                writeln!(out, "{}", serde_json::to_string(row)?)?;
                continue;
            }
            let root = row.root.as_ref().map_or_else(String::new, |root| format!("  [{}]", root.display()));
            let tasks = if row.tasks == 1 { "1 task".to_owned() } else { format!("{} tasks", row.tasks) };
            writeln!(out, "{}  {:<14} {tasks:<9} {}{root}", row.id, ago(row.used_unix_s), clean(&row.title))?;
        }
        return Ok(Exit::Success);
    };
    let session = sessions.load(id)?;
    if args.remove {
        std::fs::remove_file(sessions.path(&session.id))?;
        writeln!(out, "removed {}", session.id)?;
        return Ok(Exit::Success);
    }
    let as_json = args.json
        || args.export.as_ref().is_some_and(|path| path.extension().is_some_and(|extension| extension == "json"));
    let text = if as_json { serde_json::to_string_pretty(&session)? + "\n" } else { session.markdown() };
    match &args.export {
        Some(path) => std::fs::write(path, text)
            .map_err(|problem| UserError::new(Exit::Error, format!("cannot write {}: {problem}", path.display())))?,
        None => out.write_all(if as_json { text } else { clean(&text) }.as_bytes())?,
    }
    Ok(Exit::Success)
}
