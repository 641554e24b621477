//! `z1 apply`: turns a reply into a plan against a project, and with --write applies it.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use crate::cancel::Cancel;
use crate::dirs::Dirs;
use crate::error::{Exit, UserError};
use crate::reply::edits::{self, Reading, Refusal};
use crate::reply::paths::Known;
use crate::reply::tolerant::{self, Shown};
use crate::sandbox::{Sandbox, SandboxOptions};
use crate::verify::{self, Opinion, Suspect, VerifyOptions};
use crate::workspace::journal::Journal;
use crate::workspace::plan::{self, FileState, Plan, Rules};
use crate::workspace::tree::Tree;

/// A reply larger than this is not one.
const REPLY_BYTES_MAX: u64 = 16 << 20;
/// Files that a block without a path is compared with.
const COMPARED_MAX: usize = 200;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  z1 apply reply.md                     show the plan as JSON\n  z1 apply --diff reply.md              show it as a diff\n  z1 apply --write --root ~/proj < reply.md\n\nExit code 0: the plan holds; 3: something was refused (nothing is written)."
)]
pub struct Args {
    /// The reply's text; standard input where it is left out or `-`
    pub reply: Option<PathBuf>,
    /// The project's folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub root: PathBuf,
    /// Write the change, as one step that `z1 undo` takes back
    #[arg(long)]
    pub write: bool,
    /// Print the plan as JSON (the default)
    #[arg(long)]
    pub json: bool,
    /// Print a unified diff instead of JSON
    #[arg(long, conflicts_with = "json")]
    pub diff: bool,
    /// The reply is known to be whole: an open fence at its end was only forgotten
    #[arg(long)]
    pub complete: bool,
    /// Let a whole-file block drop most of a large file
    #[arg(long)]
    pub allow_shrink: bool,
    /// Take also what can only be inferred: a block whose file is mentioned in a sentence or not at all, and a part of a
    /// file, which is put into it
    #[arg(long)]
    pub weak: bool,
    /// Ask the language's own tool, behind walls, about files that may not parse, and refuse what it cannot read
    /// (otherwise, and where there is no such tool, they are listed under `warnings`)
    #[arg(long)]
    pub check_syntax: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Where the reply or the project cannot be read, or the change cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let reply = read_reply(args)?;
    let tree = Tree::open(&args.root)?;
    let listing = tree.listing();
    let journal = Journal::new(&Dirs::find().state, &tree);
    if let Some(told) = journal.recover()? {
        eprintln!("{told}");
    }
    let known = Known::new(listing.paths);
    let rules = Rules { reply_is_complete: args.complete, may_shrink: args.allow_shrink, each_file: false };
    let planned = |reading: &Reading| plan::plan(&tree.before(&plan::paths_needed(&reading.edits)), reading, rules);
    let mut plan = planned(&edits::read(&reply, &known));
    if args.weak && !(plan.holds() && plan.weak.is_empty()) {
        let weak = planned(&inferred(&reply, &tree, &known));
        if weak.holds() {
            plan = weak;
        }
    }
    plan.notes.extend(plan.files.iter().filter_map(|file| tree.remark(&file.path)).collect::<Vec<_>>());
    if args.check_syntax && !plan.warnings.is_empty() {
        ask_tools(&args.root, &mut plan);
    }
    let unsure = !plan.weak.is_empty() && !args.weak;
    if args.write && plan.holds() && unsure {
        let paths = plan.weak.join(", ");
        let message = format!("which file the reply means was inferred for {paths}; nothing was written");
        return Err(UserError::new(Exit::VerificationFailed, message)
            .hint("look at it with --diff, then add --weak")
            .into());
    }
    let step = if args.write && plan.holds() { Some(journal.apply(&plan, "z1 apply")?.number) } else { None };
    print(args, &plan, step)?;
    Ok(if plan.holds() { Exit::Success } else { Exit::VerificationFailed })
}

/// Asks the languages' own tools about files that the linked grammars do not know: what a tool reads is no warning, what it
/// cannot read is refused, and where there is none the warning stays.
fn ask_tools(root: &Path, plan: &mut Plan) {
    let answers = match opinions(root, plan) {
        Ok(answers) => answers,
        Err(problem) => {
            plan.notes.push(format!("no tool could be asked whether it parses: {problem:#}"));
            return;
        }
    };
    for (path, opinion) in answers {
        let is_of = |warning: &Refusal| warning.path.as_deref() == Some(path.as_str());
        match opinion {
            Opinion::Parses(tool) => {
                plan.warnings.retain(|warning| !is_of(warning));
                plan.notes.push(format!("{tool} reads {path} without an error; the linked grammar does not know it"));
            }
            Opinion::Broken { command, said } => {
                let found = plan.warnings.iter().position(is_of).map(|at| plan.warnings.remove(at));
                plan.refused.extend(found.map(|warning| Refusal {
                    message: format!("{path} would no longer parse (`{command}`): {}", said.replace('\n', " | ")),
                    ..warning
                }));
            }
            Opinion::None => plan.notes.push(format!("there is no tool here that can say whether {path} parses")),
        }
    }
}

fn opinions(root: &Path, plan: &Plan) -> anyhow::Result<Vec<(String, Opinion)>> {
    let suspects = plan.files.iter().filter_map(|file| {
        let before = file.before.as_deref();
        Suspect::of(&file.path, before, file.after.as_deref()?)
    });
    let suspects: Vec<Suspect> = suspects.collect();
    let helper_exe = std::env::current_exe().context("cannot find z1's own program")?;
    let sandbox =
        Sandbox::start(SandboxOptions { tier: None, allow_unsandboxed: false, helper_exe }).map_err(UserError::from)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the threads")?;
    let (options, cancel) = (VerifyOptions::default(), Cancel::new());
    Ok(runtime.block_on(async {
        let mut answers = Vec::new();
        for suspect in suspects {
            let opinion = verify::opinion(root, &suspect, &sandbox, &options, &cancel).await;
            answers.push((suspect.path, opinion));
        }
        answers
    }))
}

/// The reply as it may be meant, by the files of the project.
fn inferred(reply: &str, tree: &Tree, known: &Known) -> Reading {
    let paths: Vec<String> = known.iter().take(COMPARED_MAX).map(str::to_owned).collect();
    let text = |(path, state)| if let FileState::Text(text) = state { Some((path, text)) } else { None };
    let texts: Vec<(String, String)> = tree.before(&paths).into_iter().filter_map(text).collect();
    let shown: Vec<Shown<'_>> = texts.iter().map(|(path, text)| Shown { path, text }).collect();
    tolerant::read(reply, known, &shown, "")
}

fn read_reply(args: &Args) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    match args.reply.as_deref().filter(|path| path.as_os_str() != "-") {
        None => {
            std::io::stdin().lock().take(REPLY_BYTES_MAX + 1).read_to_end(&mut bytes).context("cannot read stdin")?
        }
        Some(path) => std::fs::File::open(path)
            .and_then(|file| file.take(REPLY_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|problem| UserError::usage(format!("cannot read {}: {problem}", path.display())))?,
    };
    if bytes.len() as u64 > REPLY_BYTES_MAX {
        return Err(UserError::usage(format!("the reply is larger than {} MiB", REPLY_BYTES_MAX >> 20)).into());
    }
    String::from_utf8(bytes).map_err(|_| UserError::usage("the reply is not UTF-8 text").into())
}

fn print(args: &Args, plan: &Plan, step: Option<u64>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if args.diff {
        out.write_all(plan.diff().as_bytes())?;
        for refusal in &plan.refused {
            eprintln!("refused (reply line {}): {}", refusal.reply_line, refusal.message);
        }
        for note in &plan.notes {
            eprintln!("note: {note}");
        }
        return Ok(());
    }
    let files: Vec<_> = plan
        .files
        .iter()
        .map(|file| {
            let kind = match (&file.before, &file.after) {
                _ if file.renamed_from.is_some() => "renamed",
                (None, _) => "added",
                (_, None) => "deleted",
                _ => "modified",
            };
            json!({"path": file.path, "kind": kind, "renamed_from": file.renamed_from, "before": file.before,
                   "after": file.after, "diff": plan.diff_of(file), "weak": plan.weak.contains(&file.path),
                   "executable": plan.modes.get(&file.path)})
        })
        .collect();
    let value = json!({"version": 1, "ok": plan.holds(), "written": step.is_some(), "step": step, "files": files,
                       "refused": plan.refused, "warnings": plan.warnings, "notes": plan.notes});
    writeln!(out, "{value}")?;
    Ok(())
}
