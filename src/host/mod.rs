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

/// Ctrl-C, SIGTERM and a closed terminal.
struct Interrupts {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
    count: u32,
}

impl Interrupts {
    fn listen() -> io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self { terminate: signal(SignalKind::terminate())?, hang_up: signal(SignalKind::hangup())?, count: 0 })
        }
        #[cfg(not(unix))]
        Ok(Self { count: 0 })
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        self.count += 1;
    }
}
