//! `z1`: parse, call, exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use z1::cli::Cli;
use z1::cmd::version;
use z1::model_store::quantise;
use z1::{engine, error, sandbox, signals};

fn main() -> ExitCode {
    // The sandbox's helper is this binary under another word; it must not do anything else.
    if std::env::args_os().nth(1).is_some_and(|word| word == sandbox::HELPER_WORD) {
        sandbox::helper_main();
    }
    signals::survive_file_size_limit();
    if std::env::args_os().nth(1).is_some_and(|word| word == quantise::CHILD_ARGUMENT) {
        quantise::child_main();
    }
    signals::end_quietly_when_nobody_reads();
    engine::prepare_process();
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(text) = version::at_length(words.iter().map(OsString::as_os_str)) {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(problem) => {
            // Nothing sensible can be done where even the usage text cannot be written.
            let _ = problem.print();
            return ExitCode::from(if problem.use_stderr() { error::Exit::Usage.code() } else { 0 });
        }
    };
    match cli.run() {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(problem) => {
            eprintln!("{}", error::render(&problem));
            ExitCode::from(error::exit_of(&problem).code())
        }
    }
}
