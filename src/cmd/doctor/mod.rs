//! `z1 doctor`: says what runs where, and why; what is broken, and how to mend it.
//!
//! Every check is a [`Finding`]: a place, a state, a sentence, and the mend where there is one. Nothing is
//! changed and no model is loaded.

use serde::Serialize;
use serde_json::json;

use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Exit;
use crate::model_store::fit::Fit;

pub(super) use machine::back_ends;

mod machine;
mod model;
mod project;
mod surroundings;
mod walls;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 nothing is broken; 1 something is. Warnings do not count.")]
pub struct Args {
    /// The model whose fit is shown; otherwise the one that would be used
    #[arg(long, value_name = "NAME|PATH")]
    model: Option<String>,
    /// Compute the fit for this context in tokens
    #[arg(long, visible_alias = "ctx", value_name = "N")]
    context: Option<String>,
    /// Run the current project's check once, unchanged, and say what of the walls is in its way
    #[arg(long)]
    project: bool,
    /// The command to look at with --project; otherwise what the project's files show
    #[arg(long, value_name = "COMMAND", requires = "project")]
    check: Option<String>,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Broken,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Broken => "broken",
        }
    }
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    text: String,
    /// The one thing that would mend it.
    mend: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, state: State::Ok, text: text.into(), mend: None }
    }

    fn warning(what: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what, state: State::Warning, text: text.into(), mend: Some(mend.into()) }
    }

    fn broken(what: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what, state: State::Broken, text: text.into(), mend: Some(mend.into()) }
    }
}

/// Runs the subcommand.
///
/// # Errors
/// Never for what it finds: that is told, and in the exit code.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let dirs = Dirs::find();
    let flags = [("model", &args.model), ("context", &args.context)];
    let flags = flags.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    let (config, mut findings) = look(&dirs, flags);
    let (fit, about) = model::chosen(&dirs, &config);
    findings.extend(about);
    if args.project {
        let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
        let here = std::env::current_dir().ok();
        match here.and_then(|here| crate::agent::project::root_of(&here, home.as_deref()).or(Some(here))) {
            Some(root) => findings.extend(project::look(&root, args.check.as_deref())),
            None => findings.push(Finding::warning("project", "there is no current folder", "start z1 in a project")),
        }
    }
    let broken = findings.iter().any(|finding| finding.state == State::Broken);
    if args.json {
        println!("{}", json!({ "healthy": !broken, "findings": findings, "fit": fit }));
    } else {
        print!("{}", lines(&findings, fit.as_ref()));
    }
    Ok(if broken { Exit::Error } else { Exit::Success })
}

/// The report as Markdown, for somebody in whose process a model is loaded already: how it fits is no question any more.
pub(super) fn beside_a_model(dirs: &Dirs) -> String {
    let line = |finding: &Finding| {
        let state = if finding.state == State::Ok { String::new() } else { format!("{}: ", finding.state.word()) };
        let mend = finding.mend.as_ref().map_or_else(String::new, |mend| format!(" — mend: {mend}"));
        format!("* **{}** {state}{}{mend}\n", finding.what, finding.text)
    };
    look(dirs, Vec::new()).1.iter().map(line).collect()
}

/// Everything but the model, and the settings in force.
fn look(dirs: &Dirs, flags: Vec<(&'static str, String)>) -> (Config, Vec<Finding>) {
    let (config, about) = surroundings::settings(dirs, flags);
    let mut findings = machine::look();
    findings.extend(about);
    findings.extend(walls::look());
    findings.extend(surroundings::terminal());
    findings.extend(surroundings::folders(dirs));
    findings.extend(model::store(dirs));
    findings.extend(model::demonstration(dirs, &config));
    (config, findings)
}

fn lines(findings: &[Finding], fit: Option<&Fit>) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(&format!("{:<8} {:<11} {}\n", finding.state.word(), finding.what, finding.text));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("{:<20} mend: {mend}\n", ""));
        }
    }
    for (index, line) in fit.iter().flat_map(|fit| fit.table()).enumerate() {
        let before = if index == 0 { "\n" } else { "" };
        text.push_str(&format!("{before}{:<20} {line}\n", ""));
    }
    text
}
