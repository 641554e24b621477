//! `z1 mcp`: what the tool servers of the settings offer, and a call by hand.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::agent::project;
use crate::cancel::Cancel;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::{Exit, UserError};
use crate::mcp::{self, Found, Place, Reach, Tool, Tools, Toolset, Word};
use crate::repo_map::estimate;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Servers stand in config.toml, and are started when a question in a project may look around:

  [mcp.time]
  command = \"mcp-server-time\"
  allow = [\"get_current_time\"]        called without asking; other tools that only read are asked for

Examples:
  z1 mcp                                                    every server, its tools and what may be done with them
  z1 mcp call time get_current_time timezone=Europe/Berlin")]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Start every server and show its tools
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Call one tool and print what it gives
    Call {
        /// SERVER TOOL name=value …
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORDS")]
        words: Vec<String>,
    },
}

/// Runs the subcommand.
///
/// # Errors
/// Settings that cannot be read, no such server or tool, or a call that failed.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let dirs = Dirs::find();
    let config = super::task::config(&dirs, Vec::new())?;
    for warning in &config.warnings {
        eprintln!("z1: warning: {warning}");
    }
    let mut specs = super::task::tools(&config)?;
    if let Some(What::Call { words }) = &args.what
        && specs.iter().any(|spec| spec.name == words[0])
    {
        specs.retain(|spec| spec.name == words[0]);
    }
    if specs.is_empty() {
        let place = dirs.config.join("config.toml");
        return Err(UserError::usage("there are no tool servers")
            .hint(format!("name one in {}: [mcp.NAME] with a command (`z1 mcp --help`)", place.display()))
            .into());
    }
    let toolset = Toolset::new(specs, super::task::walls().ok());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let work = work(args, &config, &toolset);
        tokio::select! {
            ended = work => ended,
            problem = crate::host::asked_to_end() => problem.map(|()| Exit::Interrupted).map_err(Into::into),
        }
    })
}

async fn work(args: &Args, config: &Config, toolset: &Toolset) -> anyhow::Result<Exit> {
    let folder = std::env::current_dir().context("there is no current folder")?;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    // Outside of a project a server is shown an empty folder, and not whatever the current one holds.
    let empty = tempfile::tempdir().context("a folder to start servers in")?;
    let root = project::root_of(&folder, home.as_deref()).unwrap_or_else(|| empty.path().to_owned());
    let cancel = Cancel::new();
    let place = Place { root: &root, min_tier: super::task::min_tier(config) };
    let (mut tools, warnings) = toolset.start(place, &cancel).await;
    for warning in &warnings {
        eprintln!("z1: warning: {warning}");
    }
    match &args.what {
        Some(What::Call { .. }) if tools.found().next().is_none() => {
            let why = warnings.first().map_or_else(|| "no server is configured".to_owned(), ToString::to_string);
            Err(UserError::new(Exit::Error, format!("no tool can be called: {why}")).into())
        }
        Some(What::Call { words }) => call(&mut tools, words, &cancel).await,
        Some(What::List { json: true }) => {
            let servers: Vec<_> = tools.found().map(|found| as_json(&found)).collect();
            writeln!(std::io::stdout(), "{}", json!({ "servers": servers, "warnings": warnings }))?;
            Ok(ended(&tools))
        }
        _ => {
            list(&tools, &root)?;
            Ok(ended(&tools))
        }
    }
}

/// Servers of which none can be used are an error.
fn ended(tools: &Tools) -> Exit {
    if tools.found().next().is_some() { Exit::Success } else { Exit::Error }
}

async fn call(tools: &mut Tools, words: &[String], cancel: &Cancel) -> anyhow::Result<Exit> {
    let found = tools.find(&mcp::line(words), Reach::All);
    let call = found.map_err(|why| UserError::usage(why).hint("`z1 mcp` lists every tool with its form"))?;
    let called = tools.call(&call, cancel).await;
    if called.failed {
        let text =
            if called.text.trim().is_empty() { "the tool failed without a word".to_owned() } else { called.text };
        return Err(UserError::new(Exit::Error, text).into());
    }
    writeln!(std::io::stdout(), "{}", called.text.trim_end())?;
    Ok(Exit::Success)
}

const fn words(word: Word) -> &'static str {
    match word {
        Word::Allowed => "allowed by your rule",
        Word::Asked => "asked for at each call",
        Word::Hidden => "not offered: it does not say that it only reads (`allow` or `ask` names it)",
    }
}

fn as_json(found: &Found<'_>) -> serde_json::Value {
    let tool = |tool: &Tool| {
        let word = match found.spec.word(&tool.name, tool.read_only) {
            Word::Allowed => "allowed",
            Word::Asked => "asked",
            Word::Hidden => "hidden",
        };
        json!({
            "name": tool.name, "form": tool.form(&found.about.name), "description": tool.description,
            "says_that_it_only_reads": tool.read_only, "rule": word,
        })
    };
    json!({
        "name": found.about.name, "server": found.about.title, "protocol": found.about.protocol,
        "walls": found.about.walls, "started_ms": found.about.started_ms,
        "tools": found.tools.iter().map(tool).collect::<Vec<_>>(),
    })
}

fn list(tools: &Tools, root: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for found in tools.found() {
        let about = found.about;
        let seconds = about.started_ms as f64 / 1000.0;
        writeln!(out, "{}: {}, protocol {}, {}", about.name, about.title, about.protocol, about.walls)?;
        writeln!(out, "  started in {seconds:.1} s, in {}", root.display())?;
        if found.tools.is_empty() {
            writeln!(out, "  it has no tools")?;
        }
        for tool in found.tools {
            let word = found.spec.word(&tool.name, tool.read_only);
            let says = if tool.read_only { ", says that it only reads" } else { "" };
            writeln!(out, "  {}\n      {}{says}", tool.form(&about.name), words(word))?;
            if !tool.description.is_empty() {
                writeln!(out, "      {}", tool.description)?;
            }
        }
    }
    let told = tools.told(Reach::Asked, usize::MAX, &estimate);
    if tools.found().next().is_some() {
        writeln!(out, "{}; about {} tokens of the window", told.report(), estimate(&told.text))?;
    }
    Ok(())
}
