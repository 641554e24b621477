//! One file from the hub to the disk: resumed where it broke off, verified, and only then given its name.
//!
//! The bytes go to `NAME.part`. A broken line costs a pause and continues where it stopped; a process that
//! is killed leaves the part file for the next attempt. What has arrived is hashed from the disk, so that a
//! resumed file is verified as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::disk::{check_space, disk_error, part_path, sha256_of, sync_parent};
use super::hub::{Hub, HubError, RemoteFile};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};

/// Attempts in a row that brought no byte.
const FRUITLESS_ATTEMPTS_MAX: u32 = 6;
const PAUSE_MAX: Duration = Duration::from_secs(30);
const CHUNK_BYTES: usize = 1 << 18;

/// What to fetch and where to put it.
#[derive(Clone, Debug)]
pub struct Download<'a> {
    pub hub: &'a Hub,
    pub repo: &'a str,
    pub revision: &'a str,
    pub file: RemoteFile,
    pub target: PathBuf,
    /// First pause after a failure; doubles up to half a minute.
    pub pause: Duration,
}

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub done_bytes: u64,
    pub total_bytes: Option<u64>,
    /// Found on the disk when the download began.
    pub resumed_bytes: u64,
}

impl Download<'_> {
    /// Fetches the file, unless it is there already with the right content.
    ///
    /// # Errors
    /// A refusal of the hub, a wrong checksum or size, a full disk, or a cancel. The part file stays, except
    /// where its content is proven wrong.
    pub fn fetch(&self, cancel: &Cancel, mut progress: impl FnMut(Progress)) -> anyhow::Result<()> {
        if self.is_complete(&self.target)? {
            return Ok(());
        }
        if let Some(parent) = self.target.parent() {
            fs::create_dir_all(parent).map_err(|problem| disk_error(parent, &problem))?;
        }
        let part = part_path(&self.target);
        let mut out = OpenOptions::new().create(true).append(true).open(&part).map_err(|p| disk_error(&part, &p))?;
        // Held until the file has its final name: two that append to one part spoil it.
        if out.try_lock().is_err() {
            return Err(UserError::new(Exit::Error, format!("another pull of {} is under way", self.file.name))
                .hint("wait for it, or end it; what it has fetched is kept")
                .into());
        }
        let resumed = out.metadata()?.len();
        let mut state = State { done: resumed, total: self.file.bytes, sha256: self.file.sha256.clone() };
        if let Some(total) = state.total {
            check_space(&part, total.saturating_sub(resumed))?;
        }
        let mut fruitless = 0;
        while state.total.is_none_or(|total| state.done < total) {
            check_cancel(cancel)?;
            let before = state.done;
            let ended = self.attempt(&mut out, &mut state, cancel, &mut |done, total| {
                progress(Progress { done_bytes: done, total_bytes: total, resumed_bytes: resumed });
            });
            match ended {
                Ok(()) if state.total.is_none() => state.total = Some(state.done),
                Ok(()) => {}
                Err(Broken::Final(problem)) => return Err(problem),
                Err(Broken::Pause { message, wait }) => {
                    fruitless = if state.done > before { 0 } else { fruitless + 1 };
                    if fruitless >= FRUITLESS_ATTEMPTS_MAX {
                        return Err(UserError::new(Exit::Error, format!("{}: {message}", self.file.name))
                            .hint("what has arrived is kept; run the same command again to continue")
                            .into());
                    }
                    let doubled = self.pause.saturating_mul(1 << fruitless.min(10));
                    rest(wait.unwrap_or(doubled).min(PAUSE_MAX), cancel)?;
                }
            }
        }
        out.sync_all().map_err(|p| disk_error(&part, &p))?;
        self.verify(&part, &state)?;
        fs::rename(&part, &self.target).map_err(|p| disk_error(&self.target, &p))?;
        drop(out);
        sync_parent(&self.target);
        Ok(())
    }

    fn attempt(
        &self,
        out: &mut File,
        state: &mut State,
        cancel: &Cancel,
        progress: &mut impl FnMut(u64, Option<u64>),
    ) -> Result<(), Broken> {
        let mut body = match self.hub.open(self.repo, self.revision, &self.file.name, state.done) {
            Ok(body) => body,
            Err(HubError::Transient { message, retry_after }) => {
                return Err(Broken::Pause { message, wait: retry_after });
            }
            Err(HubError::Final(problem)) => return Err(Broken::Final(problem.into())),
            Err(HubError::RangeBehindEnd { total_bytes }) => {
                // The part file is whole, or longer than the file: begin again in the second case.
                if total_bytes != Some(state.done) {
                    restart(out, state)?;
                }
                state.total = total_bytes.or(state.total);
                return Ok(());
            }
        };
        if body.offset != state.done {
            if body.offset != 0 {
                return Err(Broken::Pause {
                    message: "the server sent another range than asked for".into(),
                    wait: None,
                });
            }
            restart(out, state)?;
        }
        state.sha256 = state.sha256.take().or(body.sha256);
        if state.total.is_none() {
            state.total = body.total_bytes;
        }
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            check_cancel(cancel).map_err(Broken::Final)?;
            match body.reader.read(&mut buffer) {
                Ok(0) if state.total.is_some_and(|total| state.done < total) => {
                    return Err(Broken::Pause { message: "the connection ended early".into(), wait: None });
                }
                Ok(0) => return Ok(()),
                Ok(n) => {
                    out.write_all(&buffer[..n]).map_err(|p| Broken::Final(disk_error(&self.target, &p)))?;
                    state.done += n as u64;
                    progress(state.done, state.total);
                    if state.total.is_some_and(|total| state.done > total) {
                        restart(out, state)?;
                        return Err(Broken::Pause {
                            message: "the server sent more than the file has".into(),
                            wait: None,
                        });
                    }
                }
                Err(problem) => return Err(Broken::Pause { message: problem.to_string(), wait: None }),
            }
        }
    }

    fn is_complete(&self, path: &Path) -> anyhow::Result<bool> {
        let Ok(meta) = fs::metadata(path) else { return Ok(false) };
        if self.file.bytes.is_some_and(|bytes| bytes != meta.len()) {
            return Ok(false);
        }
        match &self.file.sha256 {
            Some(expected) => Ok(sha256_of(path)? == *expected),
            None => Ok(self.file.bytes.is_some()),
        }
    }

    fn verify(&self, part: &Path, state: &State) -> anyhow::Result<()> {
        let length = fs::metadata(part).map_err(|p| disk_error(part, &p))?.len();
        if length != state.done {
            let what = format!("{}: {length} bytes on the disk, {} were fetched", self.file.name, state.done);
            return Err(UserError::new(Exit::Error, what).hint("run the command again").into());
        }
        let Some(expected) = &state.sha256 else { return Ok(()) };
        let found = sha256_of(part)?;
        if found == expected.to_ascii_lowercase() {
            return Ok(());
        }
        // Its content is proven wrong: kept, it would spoil every later attempt.
        fs::remove_file(part).map_err(|p| disk_error(part, &p))?;
        Err(UserError::new(
            Exit::Error,
            format!("{}: checksum is {found}, should be {expected}; the file was thrown away", self.file.name),
        )
        .hint("run the command again; if it happens twice, the source or the mirror serves another file")
        .into())
    }
}

struct State {
    done: u64,
    total: Option<u64>,
    sha256: Option<String>,
}

enum Broken {
    Pause { message: String, wait: Option<Duration> },
    Final(anyhow::Error),
}

fn restart(out: &mut File, state: &mut State) -> Result<(), Broken> {
    let again = out.set_len(0).and_then(|()| out.seek(SeekFrom::Start(0)));
    again.map_err(|problem| Broken::Final(problem.into()))?;
    state.done = 0;
    Ok(())
}

/// Waits, in steps short enough for a cancel to be felt.
pub(super) fn rest(duration: Duration, cancel: &Cancel) -> anyhow::Result<()> {
    let until = Instant::now() + duration;
    while Instant::now() < until {
        check_cancel(cancel)?;
        std::thread::sleep(Duration::from_millis(20).min(duration));
    }
    Ok(())
}

pub(super) fn check_cancel(cancel: &Cancel) -> anyhow::Result<()> {
    if cancel.is_cancelled() {
        return Err(UserError::new(Exit::Interrupted, "interrupted")
            .hint("what has arrived is kept; run the same command again to continue")
            .into());
    }
    Ok(())
}
