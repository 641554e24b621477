//! The connection to the helper process: starts it, sends it trials, starts it again when it has died.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The word that turns the binary into the helper.
pub const HELPER_WORD: &str = "__sbxd";

#[derive(Debug)]
pub(crate) struct Link {
    exe: PathBuf,
    helper: Mutex<Option<Helper>>,
}

#[derive(Debug)]
struct Helper {
    control: OwnedFd,
    child: Child,
}

impl Link {
    pub(crate) const fn new(exe: PathBuf) -> Self {
        Self { exe, helper: Mutex::new(None) }
    }

    pub(crate) fn exe(&self) -> &Path {
        &self.exe
    }

    /// Running without walls still needs the helper, for limits and capture; so only where it exists.
    #[expect(clippy::unused_self, reason = "the link without a helper on other systems answers the same question")]
    pub(crate) const fn supports_unsandboxed(&self) -> bool {
        cfg!(target_os = "linux")
    }

    /// Hands a trial's descriptors to the helper, starting it (again) where there is none.
    pub(crate) fn send(&self, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut helper = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(present) = helper.as_ref() {
            if hand_over(&present.control, fds).is_ok() {
                return Ok(());
            }
            tracing::warn!("the sandbox helper had died and is started again");
        }
        *helper = None;
        let fresh = spawn(&self.exe)?;
        hand_over(&fresh.control, fds)?;
        *helper = Some(fresh);
        Ok(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // A plain kill: trials are in processes of their own and end with their own sockets.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the helper with posix_spawn, whose price does not depend on this process's size (a `pre_exec`
/// would make it a fork). It inherits one socket, as its stdin, and no environment.
fn spawn(exe: &Path) -> io::Result<Helper> {
    let (control, theirs) = packet_pair()?;
    let child = Command::new(exe)
        .arg(HELPER_WORD)
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Helper { control, child })
}

#[cfg(target_os = "linux")]
fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    super::linux::packet_pair()
}

#[cfg(target_os = "linux")]
fn hand_over(control: &OwnedFd, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    super::linux::send_packet(control, b"trial", fds)
}

#[cfg(not(target_os = "linux"))]
fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn hand_over(_control: &OwnedFd, _fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
