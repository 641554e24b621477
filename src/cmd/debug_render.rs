//! `z1 debug-render`: draws every named state of the terminal interface, plays a script in it, measures it.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::error::{Exit, UserError};
use crate::tui::script::{Script, ScriptedBackend};
use crate::tui::states::{NamedState, STATES, named};
use crate::tui::{self, TuiOptions, bench, picture, view};

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Draw this state only
    pub state: Option<String>,
    /// List the states
    #[arg(long)]
    pub list: bool,
    /// Write SVG pictures into this folder instead
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
    /// Width of the drawing
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub columns: u16,
    /// Height of the drawing at most
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rows: u16,
    /// Run the interface on a script instead of a model (see src/tui/script.rs)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["state", "list", "svg"])]
    pub play: Option<PathBuf>,
    /// With --play: use the alternate screen
    #[arg(long)]
    pub fullscreen: bool,
    /// With --play: print append-only lines
    #[arg(long)]
    pub plain: bool,
    /// With --play: the project's folder
    #[arg(long, default_value = ".")]
    pub project: PathBuf,
    /// Measure frame times and bytes, print JSON lines
    #[arg(long)]
    pub bench: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Where the script or the state does not exist, or something cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(script) = &args.play {
        return play(args, script);
    }
    let mut out = std::io::stdout().lock();
    if args.bench {
        for (lines, full) in [(5_000, false), (5_000, true), (0, false)] {
            writeln!(out, "{}", serde_json::to_string(&bench::stream(lines, full))?)?;
        }
        return Ok(Exit::Success);
    }
    for state in chosen(args)? {
        match (&args.svg, args.list) {
            (_, true) => writeln!(out, "{:<16} {}", state.name, state.about)?,
            (Some(folder), _) => write_svg(args, state, folder)?,
            _ => draw(args, state, &mut out)?,
        }
    }
    Ok(Exit::Success)
}

fn play(args: &Args, script: &Path) -> anyhow::Result<Exit> {
    let script = Script::read(script)?;
    let options = TuiOptions {
        fullscreen: args.fullscreen,
        plain: args.plain,
        project: args.project.clone(),
        no_color: no_color(),
        ..TuiOptions::default()
    };
    tui::run(&options, Box::new(move || Ok(Box::new(ScriptedBackend::new(script)))))
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn chosen(args: &Args) -> anyhow::Result<Vec<&'static NamedState>> {
    let Some(name) = &args.state else { return Ok(STATES.iter().collect()) };
    let state = named(name).ok_or_else(|| {
        UserError::usage(format!("there is no state `{name}`")).hint("`z1 debug-render --list` lists them")
    })?;
    Ok(vec![state])
}

fn draw(args: &Args, state: &NamedState, out: &mut impl Write) -> anyhow::Result<()> {
    let no_color = no_color() || !std::io::stdout().is_terminal();
    let options = TuiOptions { no_color, ..TuiOptions::default() };
    let frame = view::page(&state.build(args.columns, args.rows, &options));
    let text = picture::ansi(&frame.buffer);
    writeln!(out, "=== {}: {}\n{text}", state.name, state.about)?;
    Ok(())
}

fn write_svg(args: &Args, state: &NamedState, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let options = TuiOptions { project: PathBuf::from("~/project"), ..TuiOptions::default() };
    let frame = view::page(&state.build(args.columns, args.rows, &options));
    let path = folder.join(format!("{}.svg", state.name));
    let title = format!("z1: {}", state.about);
    std::fs::write(&path, picture::svg(&frame.buffer, &title)).with_context(|| format!("writing {}", path.display()))
}
