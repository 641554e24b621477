//! Settings files, the terminal, and the folders that z1 writes to.

use std::io::IsTerminal;
use std::path::Path;

use super::Finding;
use crate::config::Config;
use crate::dirs::Dirs;

/// Loads the settings; where they are broken, says so and goes on with the defaults.
pub(super) fn settings(dirs: &Dirs, flags: Vec<(&'static str, String)>) -> (Config, Vec<Finding>) {
    let file = dirs.config.join("config.toml");
    match crate::cmd::task::config(dirs, flags) {
        Ok(config) => {
            let there = if file.exists() { "" } else { " (not there; the defaults hold)" };
            let mut found = vec![Finding::ok("settings", format!("{}{there}", file.display()))];
            found.extend(config.warnings.iter().map(|warning| {
                Finding::warning("settings", warning.clone(), "`z1 config --explain` shows what holds and why")
            }));
            (config, found)
        }
        Err(error) => {
            let mend = error.hint.unwrap_or_else(|| format!("mend or remove {}", file.display()));
            (Config::default(), vec![Finding::broken("settings", error.message, mend)])
        }
    }
}

pub(super) fn terminal() -> Vec<Finding> {
    if !std::io::stdout().is_terminal() {
        return vec![Finding::ok("terminal", "stdout is none: answers are written plainly")];
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let term = variable("TERM");
    if term.is_empty() || term == "dumb" {
        let text = format!("TERM is {term:?}: no drawn interface");
        return vec![Finding::warning(
            "terminal",
            text,
            "set TERM to what your terminal is, for example xterm-256color",
        )];
    }
    let colours = match (variable("NO_COLOR").is_empty(), variable("COLORTERM").as_str()) {
        (false, _) => "no colours (NO_COLOR)",
        (true, "truecolor" | "24bit") => "24-bit colours",
        _ if term.contains("256") => "256 colours",
        _ => "16 colours",
    };
    let size = size().map_or_else(String::new, |(columns, rows)| format!(", {columns} × {rows}"));
    let multiplexer = if variable("TMUX").is_empty() { "" } else { ", in tmux" };
    let mut found = vec![Finding::ok("terminal", format!("{term}, {colours}{size}{multiplexer}"))];
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(variable).into_iter().find(|value| !value.is_empty());
    let is_utf8 = locale.as_deref().is_some_and(|name| name.to_ascii_lowercase().replace('-', "").contains("utf8"));
    if !is_utf8 {
        let text = format!("the locale is {:?}, not UTF-8: signs may be drawn wrongly", locale.unwrap_or_default());
        found.push(Finding::warning("terminal", text, "export LANG=C.UTF-8"));
    }
    found
}

#[cfg(unix)]
fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

#[cfg(not(unix))]
fn size() -> Option<(u16, u16)> {
    None
}

/// What z1 wants to write: without it z1 works, but forgets.
pub(super) fn folders(dirs: &Dirs) -> Vec<Finding> {
    let wanted = [
        (&dirs.state, "transcripts, undo and the log"),
        (&dirs.cache, "maps, prompt states and the extracted z1-nano"),
        (&dirs.data, "models"),
    ];
    let broken: Vec<Finding> = wanted
        .iter()
        .filter_map(|(folder, what)| {
            let why = refuses(folder)?;
            let text = format!("{} cannot be written ({why}): {what} are not kept", folder.display());
            Some(Finding::warning("folders", text, "set Z1_HOME to a folder that can be written"))
        })
        .collect();
    if broken.is_empty() {
        vec![Finding::ok(
            "folders",
            format!("{} (transcripts and log), {} (cache)", dirs.state.display(), dirs.cache.display()),
        )]
    } else {
        broken
    }
}

/// Why nothing can be written below a folder, found out by writing to the nearest part of it that exists.
fn refuses(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|path| path.exists())?;
    if !there.is_dir() {
        return Some(format!("{} is no folder", there.display()));
    }
    tempfile::tempfile_in(there).err().map(|problem| problem.kind().to_string())
}
