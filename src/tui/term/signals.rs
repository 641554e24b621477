//! Signals become flags that the loop polls; the handler does nothing else. A terminal that is gone counts as
//! SIGHUP, whether or not the signal came.
//!
//! Not for: the keys Ctrl-C and Ctrl-Z, which in raw mode are keys.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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

/// What stands at the terminal's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Nothing,
    Something,
    /// There is no terminal any more.
    HungUp,
}

/// Waits for input. The library that reads keys never returns from a read of a terminal that is gone, so it is
/// only called after this.
pub fn wait_for_input(patience: Duration) -> io::Result<Input> {
    let stdin = io::stdin();
    let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
    match poll(&mut waiting, Some(&timeout)) {
        Ok(0) => Ok(Input::Nothing),
        // A resize is told by a signal.
        Err(rustix::io::Errno::INTR) => Ok(Input::Something),
        Ok(_) if waiting[0].revents().intersects(GONE) => {
            SEEN.fetch_or(1 << libc::SIGHUP, Ordering::SeqCst);
            Ok(Input::HungUp)
        }
        Ok(_) => Ok(Input::Something),
        Err(problem) => Err(problem.into()),
    }
}

const GONE: PollFlags = PollFlags::HUP.union(PollFlags::ERR).union(PollFlags::NVAL);
/// A loop that has not ended so long after the terminal went away is caught in a read.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
const EXIT_HUNG_UP: i32 = 130;

/// Sleeps on a thread until the terminal is gone. The loop then leaves by itself; where the terminal vanished in
/// the very moment of a read, the process is ended here. Every line of the transcript is on the disk by then.
#[expect(unsafe_code, reason = "no destructor may run while another thread is caught in a read")]
pub fn end_with_terminal() {
    std::thread::spawn(|| {
        let stdin = io::stdin();
        loop {
            let mut waiting = [PollFd::new(&stdin, PollFlags::empty())];
            match poll(&mut waiting, None) {
                Ok(_) if waiting[0].revents().intersects(GONE) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
        SEEN.fetch_or(1 << libc::SIGHUP, Ordering::SeqCst);
        std::thread::sleep(ENDS_WITHIN);
        // SAFETY: ends the process at once and touches no memory.
        unsafe { libc::_exit(EXIT_HUNG_UP) }
    });
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
