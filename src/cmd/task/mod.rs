//! `z1`: one task, with or without the terminal interface.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;

use self::project::{Project, ProjectArgs};
use crate::agent::intent::Wish;
use crate::agent::project as in_project;
use crate::agent::sessions::Sessions;
use crate::agent::worker::{Setup, Worker};
use crate::agent::{Consent, Judge, NoJudge, ProjectSettings, Settings, Transcript, Walls, checks, transcript};
use crate::config::{Config, Sources};
use crate::dirs::Dirs;
use crate::engine::{Adapter, KvType, LoadOptions, Offload};
use crate::error::{Exit, UserError};
use crate::host::{self, Json, Plain, Show, Stream, Verbosity, Wishes};
use crate::mcp;
use crate::model_store::resolve;
use crate::sandbox::{Limits, Sandbox, SandboxOptions};
use crate::task::{Check, Effort, Task, Tier};
use crate::traits::Traits;
use crate::tui::{self, Notify, ThemeChoice, TuiOptions};

mod backend;
mod errands;
mod input;
pub(super) mod offer;
mod project;

/// As a check: what was remembered of how the project is tested is forgotten.
const FORGET: &str = "-";

/// The main job's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  z1 -p 'Write a Python function rev(s). assert rev(\"ab\") == \"ba\"'
  z1 -p --tests test_rev.py 'Write rev(s).' > rev.py
  cd my-repo && z1 -p 'the CSV parser drops the last row'      the change as a diff, nothing written
  cd my-repo && z1 -p --yes 'make the tests pass'              written where it holds; z1 undo takes it back
  cat problem.md | z1 --output-format json --deep

Exit codes: 0 verified, or unverified (which is said); 1 error; 2 usage; 3 verification failed; 4 no usable
model; 5 limit reached without a candidate; 6 refused; 130 interrupted.")]
pub struct Args {
    /// The task; `-` or nothing reads stdin where that is no terminal
    prompt: Option<String>,
    /// Work without the terminal interface: the answer to stdout
    #[arg(short, long)]
    print: bool,
    /// Think little
    #[arg(long, group = "depth")]
    fast: bool,
    /// Let the task decide how much to think (the default)
    #[arg(long, group = "depth")]
    auto: bool,
    /// Think long
    #[arg(long, group = "depth")]
    deep: bool,
    /// A thinking window of exactly N tokens; 0 answers at once
    #[arg(long, value_name = "N", group = "depth", allow_negative_numbers = true)]
    window: Option<String>,
    /// Candidates decoded together in the first round
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    samples: Option<String>,
    /// Revisions after the first attempt
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    rounds: Option<String>,
    /// A .gguf file or an installed model's name [env: Z1_MODEL]
    #[arg(long, value_name = "NAME|PATH")]
    model: Option<String>,
    /// A LoRA adapter laid over the model
    #[arg(long, value_name = "FILE")]
    lora: Option<PathBuf>,
    /// Context in tokens
    #[arg(long, visible_alias = "ctx", value_name = "N", allow_negative_numbers = true)]
    context: Option<String>,
    /// Layers on the GPU; otherwise as many as fit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    gpu_layers: Option<String>,
    /// Element type of the KV cache: auto, f16, q8_0, q4_0
    #[arg(long, value_name = "TYPE")]
    kv: Option<String>,
    /// Threads; otherwise the physical cores
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    threads: Option<String>,
    /// A command that must succeed in the sandbox; it is remembered for the project, `-` forgets it
    #[arg(long, value_name = "CMD", allow_hyphen_values = true)]
    check: Option<String>,
    /// Tests that the answer must pass (.py, .js, .rs …, or .json/.jsonl with `input` and `output`)
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
    /// Do not show the tests of --tests to the model
    #[arg(long, requires = "tests")]
    hidden: bool,
    /// Exactly the paper: one window, greedy, its hint, no early stop, no revision
    #[arg(long)]
    paper_exact: bool,
    /// Seed of every draw
    #[arg(long, value_name = "N")]
    seed: Option<String>,
    /// Temperature of the first round; 0 is greedy
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<String>,
    /// How the answer is written to stdout
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_format: Format,
    /// Say why the budget was chosen
    #[arg(long)]
    explain: bool,
    /// Unverified ends with exit code 3
    #[arg(long)]
    require_verified: bool,
    /// Never ask anything
    #[arg(long)]
    no_input: bool,
    /// Say nothing but errors on stderr
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Show every step and the thinking on stderr
    #[arg(short, long)]
    verbose: bool,
    /// What the task wants, where its words are taken wrongly: question, program or change
    #[arg(long, value_name = "WISH")]
    intent: Option<String>,
    #[command(flatten)]
    project: ProjectArgs,
    /// Append-only lines instead of a drawn interface
    #[arg(long)]
    plain: bool,
    /// Use the alternate screen
    #[arg(long)]
    fullscreen: bool,
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    StreamJson,
}

/// Runs the task, or opens the terminal interface.
///
/// # Errors
/// Bad input, no usable model, an engine that broke.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let dirs = Dirs::find();
    let config = load_config(args, &dirs)?;
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !args.no_input;
    let in_terminal = !args.print && interactive && args.output_format == Format::Text;
    if in_terminal {
        return terminal(args, &dirs, &config);
    }
    let prompt = input::prompt(args.prompt.as_deref())?;
    let root = args.project.root()?;
    if let (Some(FORGET), Some(root)) = (args.check.as_deref(), &root) {
        in_project::remember(&dirs.state, root, None)
            .map_err(|problem| UserError::new(Exit::Error, format!("the check cannot be forgotten: {problem}")))?;
    }
    let task = task(args, &config, prompt, root.as_deref())?;
    let mut show = show(args, &task.id);
    for warning in &config.warnings {
        show.event(&crate::event::Event::Warning { text: warning.clone() })?;
    }
    if args.output_format == Format::Text {
        // The walls take a moment to be tried; somebody who looks sees at once that something happens.
        show.event(&crate::event::Event::Loading { fraction: 0.0 })?;
    }
    let ended = serve(args, &dirs, &config, task.clone(), show.as_mut());
    if config.switch("transcripts") {
        let why = ended.as_ref().map_or_else(|problem| format!("{problem:#}"), |_| "interrupted".to_owned());
        Transcript::keep_unbegun(&transcripts(&dirs), &task, &why);
    }
    // Last, so that it stands where somebody who looks on sees it.
    let looks_on = args.output_format == Format::Text && !args.quiet && std::io::stderr().is_terminal();
    if looks_on && ended.as_ref().is_ok_and(|exit| *exit != Exit::Interrupted) {
        offer::say_once(&dirs, &config);
    }
    ended
}

fn serve(args: &Args, dirs: &Dirs, config: &Config, task: Task, show: &mut dyn Show) -> anyhow::Result<Exit> {
    let judge = judge(&walls());
    let project = Project { args: args.project.clone(), root: args.project.root()?, asks: false };
    let worker = Worker::start(setup(dirs, config, args.paper_exact, &project, judge, config.text("model"))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let wishes = Wishes { require_verified: args.require_verified || config.switch("require_verified") };
    runtime.block_on(host::serve(worker, task, show, wishes))
}

fn transcripts(dirs: &Dirs) -> PathBuf {
    dirs.state.join(super::log::FOLDER)
}

fn show(args: &Args, task_id: &str) -> Box<dyn Show> {
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    match args.output_format {
        Format::Text => Box::new(Plain::new(verbosity, args.explain)),
        Format::Json => Box::new(Json::new(task_id.to_owned())),
        Format::StreamJson => Box::new(Stream { task_id: task_id.to_owned() }),
    }
}

fn terminal(args: &Args, dirs: &Dirs, config: &Config) -> anyhow::Result<Exit> {
    let project = Project { args: args.project.clone(), root: args.project.root()?, asks: true };
    let folder = std::env::current_dir().context("there is no current folder")?;
    let theme = match config.text("tui.theme") {
        Some("light") => ThemeChoice::Light,
        Some("dark") => ThemeChoice::Dark,
        _ => ThemeChoice::Auto,
    };
    let notify = match config.text("tui.notify") {
        Some("off") => Notify::Off,
        Some("desktop") => Notify::Desktop,
        _ => Notify::Bell,
    };
    let options = TuiOptions {
        project: project.root.clone().unwrap_or_else(|| folder.clone()),
        first_task: args.prompt.clone(),
        effort: effort(config),
        fullscreen: args.fullscreen || config.switch("tui.fullscreen"),
        plain: args.plain,
        mouse: config.switch("tui.mouse"),
        theme,
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        keys: config.table("tui.keys"),
        notify,
        history_file: Some(dirs.state.join("history")),
        log_file: Some(dirs.state.join("z1.log")),
        warnings: config.warnings.clone(),
        pick_session: args.project.chooses_session(),
        ..TuiOptions::default()
    };
    let checks = extra_checks(args, config)?;
    let (dirs, config, exact) = (dirs.clone(), config.clone(), args.paper_exact);
    // After the first frame: the walls take a moment, and must stand before the model is loaded.
    tui::run(&options, Box::new(move || start_backend(dirs, config, exact, (project, folder), checks)))
}

fn start_backend(
    dirs: Dirs,
    config: Config,
    paper_exact: bool,
    (project, folder): (Project, PathBuf),
    checks: Vec<Check>,
) -> anyhow::Result<Box<dyn tui::Backend>> {
    let walls = walls();
    let (judge, wish) = (judge(&walls), wish(&config));
    let names_a_model = config.text("model").is_some_and(|name| !name.is_empty());
    let (of, within) = (dirs.clone(), project.clone());
    let launch = move |name: Option<&str>| {
        setup(&of, &config, paper_exact, &within, Arc::clone(&judge), name.or(config.text("model")))
    };
    let worker = Worker::start(launch(None)?);
    let launch = Box::new(move |name: &str| launch(Some(name)));
    let folder = project.root.clone().unwrap_or(folder);
    let parts = backend::Parts { dirs, project: folder, within: project, checks, wish, walls, launch };
    let backend = backend::WorkerBackend::new(worker, parts);
    if !names_a_model {
        backend.look_for_an_offer();
    }
    Ok(Box::new(backend))
}

/// The settings in force for this command line.
fn load_config(args: &Args, dirs: &Dirs) -> Result<Config, UserError> {
    if let Some(command) = args.check.as_deref().filter(|command| !in_project::is_command(command)) {
        return Err(UserError::usage(format!("--check {command:?} holds no command")).hint(
            "give the command that tests the project, or leave --check out; --check - forgets the remembered one",
        ));
    }
    let mut flags: Vec<(&'static str, String)> = Vec::new();
    let typed = [
        ("window", &args.window),
        ("samples", &args.samples),
        ("rounds", &args.rounds),
        ("model", &args.model),
        ("context", &args.context),
        ("gpu_layers", &args.gpu_layers),
        ("kv", &args.kv),
        ("threads", &args.threads),
        ("check", &args.check),
        ("seed", &args.seed),
        ("temperature", &args.temperature),
        ("intent", &args.intent),
    ];
    flags.extend(typed.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
    flags.extend(args.lora.as_ref().map(|path| ("lora", path.display().to_string())));
    let effort = [(args.fast, "fast"), (args.auto, "auto"), (args.deep, "deep")];
    flags.extend(effort.into_iter().filter(|(on, _)| *on).map(|(_, name)| ("effort", name.to_owned())));
    config(dirs, flags)
}

/// The settings in force with these flags.
pub(super) fn config(dirs: &Dirs, flags: Vec<(&'static str, String)>) -> Result<Config, UserError> {
    let project =
        std::env::current_dir().ok().map(|folder| (folder.join(".z1").join("config.toml"), trusted(dirs, &folder)));
    Config::load(Sources {
        user_file: Some(dirs.config.join("config.toml")),
        project_file: project,
        environment: environment()?,
        flags,
    })
}

/// The variables that are z1's; what others hold, and whether it is text, is nobody's business here.
fn environment() -> Result<Vec<(String, String)>, UserError> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok().filter(|name| name.starts_with("Z1_"))?, value)))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(UserError::usage(format!("the environment variable {name} is not UTF-8"))),
        })
        .collect()
}

/// Where the folders are listed whose settings the user trusts, one a line.
pub(super) fn trust_file(dirs: &Dirs) -> PathBuf {
    dirs.config.join("trusted")
}

fn trusted(dirs: &Dirs, folder: &Path) -> bool {
    let list = std::fs::read_to_string(trust_file(dirs)).unwrap_or_default();
    folder.canonicalize().is_ok_and(|folder| list.lines().any(|line| Path::new(line) == folder))
}

fn effort(config: &Config) -> Effort {
    // A window is the most exact word; where both are set, whichever the command line says wins.
    match (config.number("window"), config.text("effort")) {
        (Some(tokens), None | Some("auto")) => Effort::Window(tokens as u32),
        (_, Some("fast")) => Effort::Fast,
        (_, Some("deep")) => Effort::Deep,
        _ => Effort::Auto,
    }
}

fn task(args: &Args, config: &Config, prompt: String, root: Option<&Path>) -> anyhow::Result<Task> {
    let stated = checks::stated(&prompt);
    let mut checks = stated.checks;
    checks.extend(extra_checks(args, config)?);
    let language = stated.language.or_else(|| checks::wanted(&checks, None).language);
    let scope = args.project.scope(root, &prompt, &checks, wish(config));
    Ok(Task { id: transcript::new_id(), prompt, scope, checks, language, effort: effort(config) })
}

/// What the user says that tasks want; `auto` leaves it to their words.
fn wish(config: &Config) -> Option<Wish> {
    config.text("intent").and_then(Wish::from_name)
}

/// The checks that the command line adds to those of the task's words.
fn extra_checks(args: &Args, config: &Config) -> anyhow::Result<Vec<Check>> {
    let mut checks = Vec::new();
    if let Some(path) = &args.tests {
        checks.push(input::tests(path, args.hidden)?);
    }
    let command = config.text("check").filter(|command| in_project::is_command(command) && *command != FORGET);
    checks.extend(command.map(|command| Check::Command { command: command.to_owned() }));
    Ok(checks)
}

/// Everything a worker needs, for the model of this name or the default one.
fn setup(
    dirs: &Dirs,
    config: &Config,
    paper_exact: bool,
    project: &Project,
    judge: Arc<dyn Judge>,
    model: Option<&str>,
) -> anyhow::Result<Setup> {
    setup_beside(dirs, config, paper_exact, project, judge, model, None)
}

/// The same with so many requests decoded beside one another.
fn setup_beside(
    dirs: &Dirs,
    config: &Config,
    paper_exact: bool,
    project: &Project,
    judge: Arc<dyn Judge>,
    model: Option<&str>,
    slots: Option<u32>,
) -> anyhow::Result<Setup> {
    let found = resolve::resolve(model, dirs)?;
    let known = resolve::known(model, dirs)?;
    // Those who share an engine have little else in common.
    let apart = slots.is_some_and(|slots| slots > 1);
    let options = LoadOptions { prompt_states: Some(prompt_states(dirs)), slots, apart, ..load_options(config) };
    let prompts = Some(dirs.config.join("prompts"));
    let settings = Settings {
        samples: config.number("samples").map(|n| n as u32),
        rounds: config.number("rounds").map(|n| n as u32),
        task_tokens: config.number("task_tokens").map(|n| n as u32),
        task_seconds: config.number("task_seconds").map(|n| n as u32),
        seed: config.number("seed").unwrap_or(0),
        temperature: config.fraction("temperature").map(|t| t as f32),
        traits: Traits::default(),
        wish: wish(config),
        prefixes: config.switch("prefixes"),
        deviations: config.switch("deviations"),
        paper_exact,
        probe: config.switch("probe"),
        min_tier: min_tier(config),
        check_limits: check_limits(config),
        project: ProjectSettings {
            tools: tools(config)?,
            ..project.args.settings(dirs, project.asks, config.switch("require_verified"))
        },
    };
    let sessions = Sessions::new(&dirs.state);
    let session = project.args.session(&sessions, project.root.as_deref(), project.asks)?;
    Ok(Setup {
        judge,
        open: Box::new(move |progress, cancel| resolve::open(&found, options, progress, cancel)),
        traits: Box::new(move |info| known.traits(&info.label)),
        prompts,
        settings,
        transcripts: config.switch("transcripts").then(|| transcripts(dirs)),
        sessions: config.switch("transcripts").then_some(sessions),
        session,
    })
}

/// What a host without a terminal starts a worker with: every change asks, and nobody can be asked for words; `slots`
/// requests are decoded beside one another.
pub(super) fn hosted(
    dirs: &Dirs,
    config: &Config,
    judge: Arc<dyn Judge>,
    model: Option<&str>,
    slots: Option<u32>,
) -> anyhow::Result<Setup> {
    let project = Project { args: ProjectArgs::default(), root: None, asks: false };
    let mut setup = setup_beside(dirs, config, false, &project, judge, model.or(config.text("model")), slots)?;
    setup.settings.project.consent = Consent::Ask;
    Ok(setup)
}

/// The tool servers that the user named.
pub(super) fn tools(config: &Config) -> Result<Vec<mcp::Spec>, UserError> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    config.tables("mcp").map_or(Ok(Vec::new()), |table| mcp::read(table, home.as_deref()))
}

/// Starts the sandbox's helper; must come before any model is loaded. `Err` says why there are no walls.
pub(super) fn walls() -> Result<Sandbox, String> {
    std::env::current_exe().map_err(|problem| problem.to_string()).and_then(|helper_exe| {
        Sandbox::start(SandboxOptions { tier: None, allow_unsandboxed: false, helper_exe })
            .map_err(|unavailable| unavailable.to_string())
    })
}

pub(super) fn judge(walls: &Result<Sandbox, String>) -> Arc<dyn Judge> {
    match walls {
        Ok(sandbox) => Arc::new(Walls { sandbox: sandbox.clone() }),
        Err(why) => Arc::new(NoJudge { why: why.clone() }),
    }
}

/// Where the states of system prompts are kept between runs.
pub(super) fn prompt_states(dirs: &Dirs) -> PathBuf {
    dirs.cache.join("prompt-states")
}

pub(super) fn load_options(config: &Config) -> LoadOptions {
    LoadOptions {
        context_tokens_max: config.number("context").map(|n| n as u32),
        threads: config.number("threads").map(|n| n as u32),
        offload: config.number("gpu_layers").map_or(Offload::Auto, |n| Offload::Layers(n as u32)),
        kv: config.text("kv").and_then(KvType::from_name),
        adapter: config.text("lora").map(|path| Adapter { path: path.into(), scale: 1.0 }),
        ..LoadOptions::from_path("")
    }
}

/// The bounds of a project's check: what fits the machine, or what the settings say.
fn check_limits(config: &Config) -> Limits {
    let fits = Limits::project();
    let seconds = |name: &str| config.number(name).map(std::time::Duration::from_secs);
    let mebibytes = |name: &str| config.number(name).map(|number| number << 20);
    let wall = seconds("limits.seconds").unwrap_or(fits.wall);
    Limits {
        // A longer run may work as hard as a shorter one.
        cpu: seconds("limits.cpu_seconds")
            .unwrap_or_else(|| fits.cpu.mul_f64(wall.as_secs_f64() / fits.wall.as_secs_f64())),
        wall,
        memory_bytes_max: mebibytes("limits.memory").unwrap_or(fits.memory_bytes_max),
        disk_bytes_max: mebibytes("limits.disk").unwrap_or(fits.disk_bytes_max),
        processes_max: config.number("limits.processes").map_or(fits.processes_max, |number| number as u32),
        ..fits
    }
}

pub(super) fn min_tier(config: &Config) -> Tier {
    match config.text("min_tier") {
        Some("F") => Tier::F,
        Some("B") => Tier::B,
        Some("S") => Tier::S,
        _ => Tier::L,
    }
}
