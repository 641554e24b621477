//! Owns the terminal's modes and gives them back on every way out: return, error, panic, signal.
//!
//! One flag says whether the terminal is ours; whoever clears it restores. Not for: drawing.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// The terminal's modes are changed and must be put back.
static OURS: AtomicBool = AtomicBool::new(false);
static MOUSE: AtomicBool = AtomicBool::new(false);
static KITTY: AtomicBool = AtomicBool::new(false);
static FULL: AtomicBool = AtomicBool::new(false);
/// Where stderr really goes, while it is turned to the log; -1 where it is not.
static STDERR: AtomicI32 = AtomicI32::new(-1);

/// Holding it means that the terminal is in raw mode; dropping it restores everything.
#[derive(Debug)]
pub struct Guard {
    mouse: bool,
}

impl Guard {
    /// Takes the terminal. The panic hook of this process restores it from now on, for panics on this
    /// thread; a panic elsewhere is the backend's end, not the terminal's.
    pub fn take(mouse: bool) -> io::Result<Self> {
        install_panic_hook();
        let guard = Self { mouse };
        guard.enter()?;
        Ok(guard)
    }

    fn enter(&self) -> io::Result<()> {
        OURS.store(true, Ordering::SeqCst);
        crossterm::terminal::enable_raw_mode().inspect_err(|_| OURS.store(false, Ordering::SeqCst))?;
        MOUSE.store(self.mouse, Ordering::SeqCst);
        let mouse = if self.mouse { "\x1b[?1000h\x1b[?1006h" } else { "" };
        write_all(&format!("\x1b[?2004h{mouse}"))
    }

    /// Asks for unambiguous keys, on terminals that said they can.
    pub fn use_kitty_keys() -> io::Result<()> {
        if KITTY.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        write_all("\x1b[>1u")
    }

    /// Tells the guard that the alternate screen is or is not in use.
    pub fn note_full(full: bool) {
        FULL.store(full, Ordering::SeqCst);
    }

    /// Gives the terminal back for a while: an editor, a suspension. Returns what was in use.
    pub fn lend(&self) -> Lent {
        let lent = Lent { kitty: KITTY.load(Ordering::SeqCst), full: FULL.load(Ordering::SeqCst) };
        restore();
        lent
    }

    /// Takes the terminal again after [`Guard::lend`].
    pub fn retake(&self, lent: &Lent) -> io::Result<()> {
        self.enter()?;
        if lent.kitty {
            Self::use_kitty_keys()?;
        }
        if lent.full {
            FULL.store(true, Ordering::SeqCst);
            write_all("\x1b[?1049h")?;
        }
        Ok(())
    }
}

/// What was in use before [`Guard::lend`].
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    kitty: bool,
    full: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Puts everything back that is not as it was found. May be called from anywhere and twice.
pub fn restore() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    // End a frame that was cut off, drop a scroll region without moving the cursor, show the cursor.
    let mut bytes = String::from("\x1b[?2026l\x1b7\x1b[r\x1b8\x1b[0m\x1b[?2004l");
    if MOUSE.swap(false, Ordering::SeqCst) {
        bytes.push_str("\x1b[?1006l\x1b[?1000l");
    }
    if KITTY.swap(false, Ordering::SeqCst) {
        bytes.push_str("\x1b[<u");
    }
    if FULL.swap(false, Ordering::SeqCst) {
        bytes.push_str("\x1b[?1049l");
    }
    bytes.push_str("\x1b[?25h");
    // Where the terminal is gone there is nothing left to restore.
    let _ = write_all(&bytes);
    let _ = crossterm::terminal::disable_raw_mode();
}

fn write_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn install_panic_hook() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    if INSTALLED.swap(true, Ordering::SeqCst) {
        return;
    }
    let ui_thread = std::thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == ui_thread && OURS.load(Ordering::SeqCst) {
            let _ = write_all("\r\n");
            restore();
            give_stderr_back();
        }
        before(panic);
    }));
}

/// Turns the process's stderr to `log`, so that no library writes over the screen. Returns the guard that
/// turns it back; without a log it goes to the null device.
pub fn divert_stderr(log: Option<&Path>) -> io::Result<StderrDiverted> {
    let file = match log {
        Some(path) => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            OpenOptions::new().create(true).append(true).open(path)?
        }
        None => OpenOptions::new().write(true).open("/dev/null")?,
    };
    let saved = duplicate_stderr()?;
    STDERR.store(saved, Ordering::SeqCst);
    replace_stderr(file.as_raw_fd())?;
    Ok(StderrDiverted { _file: file })
}

/// While it lives, stderr goes to the log.
#[derive(Debug)]
pub struct StderrDiverted {
    _file: File,
}

impl Drop for StderrDiverted {
    fn drop(&mut self) {
        give_stderr_back();
    }
}

fn give_stderr_back() {
    let saved = STDERR.swap(-1, Ordering::SeqCst);
    if saved >= 0 {
        let _ = replace_stderr(saved);
    }
}

#[expect(unsafe_code, reason = "file descriptor 2 has no owner in the type system")]
fn duplicate_stderr() -> io::Result<i32> {
    // SAFETY: fcntl on a constant descriptor touches no memory of ours; a closed descriptor is an error.
    let fd = unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

#[expect(unsafe_code, reason = "file descriptor 2 has no owner in the type system")]
fn replace_stderr(with: i32) -> io::Result<()> {
    // SAFETY: dup2 touches no memory of ours; `with` is an open descriptor owned by the caller.
    let done = unsafe { libc::dup2(with, libc::STDERR_FILENO) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
