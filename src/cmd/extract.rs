//! `z1 extract`: turns a reply into a candidate, or says what is wrong with it.

use std::io::Read;
use std::path::PathBuf;

use serde_json::json;

use crate::error::{Exit, UserError};
use crate::reply::paths::Known;
use crate::reply::{Wanted, edits, program};
use crate::task::{Finish, Language, Trajectory, Usage};

/// A reply larger than this is not one.
const REPLY_BYTES_MAX: u64 = 16 << 20;

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  z1 extract reply.md                      the stand-alone program in a reply, as JSON\n  \
    z1 extract --code --language python -    only the code\n  \
    z1 extract --edits reply.md              changes to files, in every format that is read\n\n\
    Exit code 0: a candidate; 3: none, and `problem` says why."
)]
pub struct Args {
    /// The reply's text; standard input where it is left out or `-`
    reply: Option<PathBuf>,
    /// Read changes to a project's files instead of a program
    #[arg(long)]
    edits: bool,
    /// The language that is wanted
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
    let language = args
        .language
        .as_deref()
        .map(|name| {
            Language::from_fence_tag(name)
                .ok_or_else(|| UserError::usage(format!("{name:?} is not a language that z1 knows")))
        })
        .transpose()?;
    let finish = if args.cut { Finish::AnswerLimit } else { Finish::EndOfTurn };
    let trajectory = Trajectory {
        text,
        shift_at: None,
        answer_at: 0,
        shifted: None,
        finish,
        usage: Usage::default(),
        logprob_sum: None,
    };
    let wanted = Wanted { language, names: args.name.clone(), stdin: false };
    match program(&trajectory, &wanted) {
        Ok(crate::task::Candidate::Program { source, .. }) if args.code => {
            print!("{source}{}", if source.ends_with('\n') { "" } else { "\n" });
            Ok(Exit::Success)
        }
        Ok(candidate) => {
            println!("{}", json!({ "candidate": candidate }));
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
