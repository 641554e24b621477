//! One task's connection to the outside: events up, commands down, the cancel flag, the transcript.
//!
//! Not for: deciding what to say.

use tokio::sync::mpsc;

use super::Transcript;
use crate::cancel::Cancel;
use crate::event::{Command, Decision, Event};

/// The agent's ends of a task's two channels.
#[derive(Debug)]
pub struct Line {
    events: mpsc::Sender<Event>,
    commands: mpsc::Receiver<Command>,
    pub cancel: Cancel,
    pub transcript: Transcript,
}

impl Line {
    pub const fn new(
        events: mpsc::Sender<Event>,
        commands: mpsc::Receiver<Command>,
        cancel: Cancel,
        transcript: Transcript,
    ) -> Self {
        Self { events, commands, cancel, transcript }
    }

    /// Tells the outside and the transcript. A full channel makes the agent wait: that is the
    /// backpressure. Nobody listening any more means cancel.
    pub async fn emit(&mut self, event: Event) {
        self.transcript.event(&event);
        if let Some(text) = self.transcript.take_warning() {
            self.send(Event::Warning { text }).await;
        }
        self.send(event).await;
    }

    async fn send(&self, event: Event) {
        // After a cancel nobody needs the text that was still under way, and a stuck listener must not
        // hold the task.
        if matches!(event, Event::Piece { .. }) && self.cancel.is_cancelled() {
            return;
        }
        if self.events.send(event).await.is_err() {
            self.cancel.cancel();
        }
    }

    /// The next word from the outside; waits for ever where nobody can speak any more. Cancel safe.
    pub async fn command(&mut self) -> Command {
        match self.commands.recv().await {
            Some(command) => command,
            None => std::future::pending().await,
        }
    }

    /// Forgets what was said to an earlier generation.
    pub fn drain(&mut self) {
        while self.commands.try_recv().is_ok() {}
    }

    /// The user's answer to a question; `None` where the task is cancelled before it comes.
    pub async fn answer(&mut self, wanted: u64) -> Option<String> {
        let cancel = self.cancel.clone();
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return None,
                command = self.command() => match command {
                    Command::Answer { id, text } if id == wanted => return Some(text),
                    Command::Cancel => cancel.cancel(),
                    _ => {}
                },
            }
        }
    }

    /// The user's word on a proposal; rejection where the task is cancelled before it comes.
    pub async fn decision(&mut self, wanted: u64) -> Decision {
        let cancel = self.cancel.clone();
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Decision::Reject,
                command = self.command() => match command {
                    Command::Decide { patch_id, decision } if patch_id == wanted => return decision,
                    Command::Cancel => cancel.cancel(),
                    _ => {}
                },
            }
        }
    }
}
