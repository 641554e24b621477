//! Hosts without a terminal interface: plain text, and JSON lines for programs.
//!
//! A [`Show`] is told every event; [`serve`] runs one task on a worker, listens to Ctrl-C, and turns the
//! end into an exit code. stdout is the answer and nothing else; progress goes to stderr.
//!
//! Not for: deciding anything about the task.

use std::io;

use crate::agent::worker::{Running, Worker};
use crate::cancel::Cancel;
use crate::error::{Exit, UserError};
use crate::event::{Command, Decision, Event};
use crate::task::{Outcome, Status, Task};

mod json;
mod plain;

pub use json::{Json, SCHEMA_VERSION, Stream};
pub use plain::{Plain, Verbosity};

/// What a host does with what happens.
pub trait Show {
    /// # Errors
    /// Where it cannot be written; a broken pipe ends the task quietly.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// The end, after the last event.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn end(&mut self, outcome: &Outcome, exit: Exit) -> io::Result<()>;

    /// Leaves the screen clean before an error is printed by somebody else.
    fn clear(&mut self) {}
}

/// What the caller wants of a run beyond the task.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    pub require_verified: bool,
}

/// What is said where nobody is there to be asked: what was not allowed beforehand is not done.
const fn nobodys_word(event: &Event) -> Option<Command> {
    match event {
        Event::Proposal { patch_id, .. } => Some(Command::Decide { patch_id: *patch_id, decision: Decision::Reject }),
        Event::Question { id, .. } | Event::Permission { id, .. } => {
            Some(Command::Answer { id: *id, text: String::new() })
        }
        _ => None,
    }
}

/// Runs one task to its end.
///
/// # Errors
/// No usable model, or an engine that broke.
pub async fn serve(mut worker: Worker, task: Task, show: &mut dyn Show, wishes: Wishes) -> anyhow::Result<Exit> {
    let mut running: Option<Running> = None;
    let mut task = Some(task);
    let mut outcome: Option<Outcome> = None;
    let mut interrupts = Interrupts::listen()?;
    loop {
        tokio::select! {
            biased;
            () = interrupts.next() => {
                if interrupts.count > 1 {
                    show.clear();
                    return Ok(Exit::Interrupted);
                }
                worker.cancel_load();
                if let Some(running) = &running {
                    running.cancel.cancel();
                }
            }
            event = worker.next() => {
                let Some(event) = event else { break };
                if matches!(event, Event::Ready { .. }) && running.is_none() {
                    running = task.take().and_then(|task| worker.submit(task));
                }
                if let (Some(command), Some(running)) = (nobodys_word(&event), &running) {
                    running.command(command);
                }
                if let Err(problem) = show.event(&event) {
                    give_up(&problem, running.as_ref())?;
                }
                match event {
                    Event::Ended { outcome: ended } => outcome = Some(*ended),
                    Event::Fatal { message, .. } => {
                        show.clear();
                        let cancelled = interrupts.count > 0;
                        let error = worker.failure().unwrap_or_else(|| UserError::new(Exit::Error, message));
                        return if cancelled { Ok(Exit::Interrupted) } else { Err(error.into()) };
                    }
                    _ => {}
                }
            }
            ended = async { (&mut running.as_mut().expect("invariant: guarded by the condition").done).await }, if running.is_some() => {
                match ended {
                    Ok(Ok(ended)) => outcome = Some(ended),
                    Ok(Err(error)) => {
                        show.clear();
                        worker.close(CLOSE_MAX);
                        return Err(error.into());
                    }
                    Err(_) => {}
                }
                break;
            }
        }
    }
    // What was said before the end is shown before the end.
    while let Ok(Some(event)) = worker.try_next() {
        if let Err(problem) = show.event(&event) {
            give_up(&problem, None)?;
        }
    }
    let Some(outcome) = outcome else {
        return Err(UserError::new(Exit::Error, "the worker ended without an answer").into());
    };
    let mut exit = exit_of(&outcome, wishes);
    if let Err(problem) = show.end(&outcome, exit) {
        give_up(&problem, None)?;
        exit = Exit::Interrupted;
    }
    worker.close(CLOSE_MAX);
    Ok(exit)
}

/// Waiting for the model to be freed at the end.
const CLOSE_MAX: std::time::Duration = std::time::Duration::from_secs(3);

/// The exit code of an outcome.
pub fn exit_of(outcome: &Outcome, wishes: Wishes) -> Exit {
    match outcome.status {
        Status::Unverified if wishes.require_verified => Exit::VerificationFailed,
        status => Exit::from_status(status),
    }
}

/// A closed pipe means that the reader has enough: the task is cancelled and nothing is said. A full disk or
/// anything else is an error.
fn give_up(problem: &io::Error, running: Option<&Running>) -> anyhow::Result<()> {
    if let Some(running) = running {
        running.cancel.cancel();
    }
    if problem.kind() == io::ErrorKind::BrokenPipe {
        return Ok(());
    }
    Err(UserError::new(Exit::Error, format!("the answer cannot be written: {problem}"))
        .hint("the transcript has it: `z1 log`")
        .into())
}

/// Waits for the first Ctrl-C, SIGTERM or hang-up.
///
/// # Errors
/// Where the system gives no signals.
pub async fn asked_to_end() -> io::Result<()> {
    Interrupts::listen()?.next().await;
    Ok(())
}

/// Cancels work when the user or the system asks the program to end. Within a runtime.
pub fn cancel_when_asked(cancel: &Cancel) {
    let cancel = cancel.clone();
    tokio::spawn(async move {
        if asked_to_end().await.is_ok() {
            cancel.cancel();
        }
    });
}

/// Ctrl-C, SIGTERM and a closed terminal. It listens for as long as it lives: a signal that comes while nobody waits is the next
/// one, where a wait that is begun anew each time (`tokio::signal::ctrl_c`) would never hear of it.
pub struct Interrupts {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    /// None where whoever started the program shut hang-ups out (`nohup`).
    #[cfg(unix)]
    hang_up: Option<tokio::signal::unix::Signal>,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
    count: u32,
}

impl Interrupts {
    /// Begins to listen. Within a runtime.
    ///
    /// # Errors
    /// Where the system gives no signals.
    pub fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let hang_up = if hang_up_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
            let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
            Ok(Self { interrupt, terminate, hang_up, count: 0 })
        }
        #[cfg(windows)]
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()?, count: 0 })
    }

    /// The next of them.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        {
            let hung_up = async {
                match &mut self.hang_up {
                    Some(hang_up) => hang_up.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
                _ = hung_up => {}
            }
        }
        #[cfg(windows)]
        let _ = self.interrupt.recv().await;
        self.count += 1;
    }
}

/// Whether the program was started with hang-ups shut out, as by `nohup`: a listener would undo that. Only Linux says it
/// without unsafe code.
#[cfg(unix)]
fn hang_up_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    shuts_out_hang_ups(&status)
}

/// The same from the words of `/proc/PID/status` (proc(5): a mask in hexadecimal, signal 1 in the lowest bit).
#[cfg(unix)]
fn shuts_out_hang_ups(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_that_is_shut_out_is_told_from_others() {
        assert!(shuts_out_hang_ups("Name:\tz1\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!shuts_out_hang_ups("Name:\tz1\nSigIgn:\t0000000000001000\nSigCgt:\t1\n"));
        assert!(!shuts_out_hang_ups(""));
    }

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_is_not_lost() {
        let mut interrupts = Interrupts::listen().unwrap();
        for round in 1..=3 {
            // A wait that is given up, as by every event of a task.
            tokio::select! {
                biased;
                () = interrupts.next() => panic!("nothing was sent yet"),
                () = std::future::ready(()) => {}
            }
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
            // The handler passes it on before anybody waits again.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            interrupts.next().await;
            assert_eq!(interrupts.count, round);
        }
    }
}
