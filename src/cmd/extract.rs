//! `z1 extract`: turns a reply into a candidate, or says what is wrong with it.

use std::io::Read;
use std::path::PathBuf;

use serde_json::json;

use crate::error::{Exit, UserError};
use crate::reply::paths::Known;
use crate::reply::program::{self, program};
use crate::reply::{FormatProblem, Wanted, edits};
use crate::repo_map::syntax;
use crate::task::{Candidate, Finish, Language, Trajectory};

/// A reply larger than this is not one.
const REPLY_BYTES_MAX: u64 = 16 << 20;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  z1 extract reply.md                      the stand-alone program in a reply, as JSON\n  \
    z1 extract --code --language python -    only the code\n  \
    z1 extract --code --language sql -       the last fence with that tag\n  \
    z1 extract --edits reply.md              changes to files, in every format that is read\n\n\
    Exit code 0: a candidate; 3: none, and `problem` says why."
)]
pub struct Args {
    /// The reply's text; standard input where it is left out or `-`
    reply: Option<PathBuf>,
    /// Read changes to a project's files instead of a program
    #[arg(long)]
    edits: bool,
    /// The language that is wanted: one that z1 runs, or any fence tag (html, sql, php, csharp, …)
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// A function or class that the program must define; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "edits")]
    name: Vec<String>,
    /// The reply was cut off by a limit
    #[arg(long, conflicts_with = "edits")]
    cut: bool,
    /// Print the program's code and nothing else
    #[arg(long, conflicts_with = "edits")]
    code: bool,
}

/// Runs the subcommand: one JSON object on stdout.
///
/// # Errors
/// An unreadable reply or an unknown language.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let text = reply(args)?;
    if args.edits {
        let reading = edits::read(&text, &Known::new(Vec::new()));
        let found = reading.plain();
        let refused: Vec<String> = reading.refused.iter().map(|refusal| refusal.message.clone()).collect();
        println!("{}", json!({ "edits": found, "refused": refused }));
        return Ok(if found.is_empty() || !refused.is_empty() { Exit::VerificationFailed } else { Exit::Success });
    }
    let known = args.language.as_deref().and_then(Language::from_fence_tag);
    let finish = if args.cut { Finish::AnswerLimit } else { Finish::EndOfTurn };
    let trajectory = Trajectory { finish, ..Trajectory::ended(text) };
    if let (Some(tag), None) = (&args.language, known) {
        return other(args, &trajectory, tag);
    }
    let wanted = Wanted { language: known, names: args.name.clone(), stdin: false };
    let found = program(&trajectory, &wanted).and_then(|candidate| whole(candidate, &trajectory));
    match found {
        Err(FormatProblem::NoCode | FormatProblem::SeveralLanguages { .. })
            if args.language.is_none() && args.name.is_empty() =>
        {
            any(args, &trajectory, &found)
        }
        found => said(args, &trajectory, found),
    }
}

/// A candidate from a reply that ends inside its fence is one only if it parses.
fn whole(candidate: Candidate, trajectory: &Trajectory) -> Result<Candidate, FormatProblem> {
    let open = program::ends_open(&trajectory.text);
    match &candidate {
        Candidate::Program { language, source } if open => {
            let path = format!("reply.{}", language.extension());
            let broken = syntax::check(&path, source).is_some_and(|report| report.errors > 0);
            if broken { Err(FormatProblem::Truncated) } else { Ok(candidate) }
        }
        _ => Ok(candidate),
    }
}

fn said(args: &Args, trajectory: &Trajectory, found: Result<Candidate, FormatProblem>) -> anyhow::Result<Exit> {
    let open = args.cut || program::ends_open(&trajectory.text);
    match found {
        Ok(Candidate::Program { source, .. }) if args.code => {
            warn_of_open(open);
            print!("{source}{}", if source.ends_with('\n') { "" } else { "\n" });
            Ok(Exit::Success)
        }
        Ok(candidate) => {
            let mut value = json!({ "candidate": candidate });
            mark_open(&mut value, open);
            println!("{value}");
            Ok(Exit::Success)
        }
        Err(problem) if args.code => {
            Err(UserError::new(Exit::VerificationFailed, format!("no program in the reply: {problem}")).into())
        }
        Err(problem) => {
            println!("{}", json!({ "problem": problem, "says": problem.to_string() }));
            Ok(Exit::VerificationFailed)
        }
    }
}

const OPEN: &str = "the reply ends inside its code; it may be a part only";

fn warn_of_open(open: bool) {
    if open {
        eprintln!("{OPEN}");
    }
}

fn mark_open(value: &mut serde_json::Value, open: bool) {
    if open && let Some(object) = value.as_object_mut() {
        object.insert("cut".to_owned(), true.into());
        object.insert("says".to_owned(), OPEN.into());
    }
}

/// The last fence of a language that z1 only extracts.
fn other(args: &Args, trajectory: &Trajectory, tag: &str) -> anyhow::Result<Exit> {
    let same = |found: &str| canonical(found) == canonical(tag);
    let found = program::tagged(trajectory).into_iter().rfind(|one| same(&one.tag));
    match found {
        Some(one) => Ok(shown(args, std::slice::from_ref(&one))),
        None => said(args, trajectory, Err(FormatProblem::NoCode)),
    }
}

/// Every fence of a reply in which no single program is the answer.
fn any(args: &Args, trajectory: &Trajectory, problem: &Result<Candidate, FormatProblem>) -> anyhow::Result<Exit> {
    let found = program::tagged(trajectory);
    let usable = found.len() == 1 || (found.len() > 1 && !args.code);
    if usable { Ok(shown(args, &found)) } else { said(args, trajectory, problem.clone()) }
}

fn shown(args: &Args, parts: &[program::Tagged]) -> Exit {
    let open = args.cut || parts.iter().any(|part| !part.closed);
    if args.code {
        warn_of_open(open);
        for part in parts {
            print!("{}", part.source);
        }
        return Exit::Success;
    }
    let texts: Vec<_> = parts.iter().map(|part| json!({ "tag": part.tag, "source": part.source })).collect();
    let mut value = json!({ "texts": texts });
    mark_open(&mut value, open);
    println!("{value}");
    Exit::Success
}

/// One name for each language that has several tags.
fn canonical(tag: &str) -> String {
    let tag = tag.to_lowercase();
    let name = match tag.as_str() {
        "c#" | "cs" => "csharp",
        "f#" | "fs" => "fsharp",
        "rb" => "ruby",
        "kt" | "kts" => "kotlin",
        "yml" => "yaml",
        "htm" => "html",
        "md" => "markdown",
        "pl" => "perl",
        "hs" => "haskell",
        "ex" | "exs" => "elixir",
        "docker" => "dockerfile",
        "make" | "mk" => "makefile",
        "postgresql" | "mysql" | "sqlite" | "psql" => "sql",
        other => other,
    };
    name.to_owned()
}

fn reply(args: &Args) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = match args.reply.as_deref().filter(|path| path.as_os_str() != "-") {
        None => std::io::stdin().lock().take(REPLY_BYTES_MAX + 1).read_to_end(&mut bytes),
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(REPLY_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    let named = args.reply.as_ref().map_or_else(|| "stdin".to_owned(), |path| path.display().to_string());
    read.map_err(|problem| UserError::new(Exit::Error, format!("cannot read {named}: {problem}")))?;
    if bytes.len() as u64 > REPLY_BYTES_MAX {
        return Err(
            UserError::usage(format!("{named} is larger than {} MiB: not a reply", REPLY_BYTES_MAX >> 20)).into()
        );
    }
    String::from_utf8(bytes).map_err(|problem| {
        UserError::usage(format!("{named} is not text: no UTF-8 at byte {}", problem.utf8_error().valid_up_to())).into()
    })
}
