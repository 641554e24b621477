//! Signals that must not end the program before it could say what is wrong.
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
