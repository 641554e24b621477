//! Signals become flags that the loop polls; the handler does nothing else.
//!
//! Not for: the keys Ctrl-C and Ctrl-Z, which in raw mode are keys.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

static SEEN: AtomicU32 = AtomicU32::new(0);

const WATCHED: [i32; 4] = [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGTSTP];

/// What arrived since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The process is to end; the signal's number.
    pub end: Option<i32>,
    /// The process is to stop until continued.
    pub stop: bool,
}

extern "C" fn note(signal: libc::c_int) {
    SEEN.fetch_or(1 << signal, Ordering::SeqCst);
}

/// Watches the signals that end or stop a process. Stays in force for the process's life.
#[expect(unsafe_code, reason = "there is no safe way to install a signal handler")]
pub fn watch() -> io::Result<()> {
    for signal in WATCHED {
        let handler: extern "C" fn(libc::c_int) = note;
        // SAFETY: `action` is fully initialised; the handler only does an atomic operation, which is
        // async-signal-safe.
        let done = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as libc::sighandler_t;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, std::ptr::null_mut())
        };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Takes the flags.
pub fn take() -> Seen {
    let seen = SEEN.swap(0, Ordering::SeqCst);
    let has = |signal: i32| seen & (1 << signal) != 0;
    let end = [libc::SIGTERM, libc::SIGHUP, libc::SIGINT].into_iter().find(|signal| has(*signal));
    Seen { end, stop: has(libc::SIGTSTP) }
}

/// Stops this process until it is continued (`fg`).
pub fn stop_self() {
    // The call returns after SIGCONT. Where it fails there is nothing to do but go on.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
}
