//! `z1-sft`: the same as `z1 sft`, as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use z1::{cmd, error, sandbox, signals};

/// Build data, train and export models.
#[derive(Debug, Parser)]
#[command(name = "z1-sft", version)]
struct Cli {
    #[command(flatten)]
    args: cmd::sft::Args,
}

fn main() -> ExitCode {
    // The sandbox's helper is this binary under another word; it must not do anything else.
    if std::env::args_os().nth(1).is_some_and(|word| word == sandbox::HELPER_WORD) {
        sandbox::helper_main();
    }
    signals::survive_file_size_limit();
    signals::end_quietly_when_nobody_reads();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(problem) => {
            let _ = problem.print();
            return ExitCode::from(if problem.use_stderr() { error::Exit::Usage.code() } else { 0 });
        }
    };
    match cmd::sft::run(&cli.args) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(problem) => {
            eprintln!("{}", error::render(&problem));
            ExitCode::from(error::exit_of(&problem).code())
        }
    }
}
