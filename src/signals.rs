//! Signals that must not end the program before it could say what is wrong.
//!
//! And one that the standard library keeps back: writing to a pipe that nobody reads any more.
//!
//! Not for: interrupts and the terminal's signals (`host`, `tui`), or those of sandboxed programs.

/// Makes a file-size limit (`ulimit -f`) an error of the write that meets it, with its message and exit code, where the
/// kernel's default is to kill. To be called first in `main`; programs that are started get the default back.
pub fn survive_file_size_limit() {
    #[cfg(unix)]
    {
        // A handler, not `ignore`, which the programs that z1 starts would inherit.
        let met = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, met) {
            tracing::warn!(%error, "a file-size limit will end the program without a word");
        }
    }
}

/// Ends the program without a word where its output is no longer read (`z1 models list | head`), as others do by a
/// signal. The standard library ignores that signal and panics in `println!` instead; ignoring it is right for pipes to
/// programs that z1 starts. To be called first in `main`.
pub fn end_quietly_when_nobody_reads() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload().downcast_ref::<String>().map_or("", String::as_str);
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            std::process::exit(CLOSED_PIPE);
        }
        report(info);
    }));
}

/// What a shell reports of a program that a closed pipe ended: 128 and the signal's number.
const CLOSED_PIPE: i32 = 141;
