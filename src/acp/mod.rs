//! The Agent Client Protocol on two pipes: z1 inside an editor.
//!
//! A third host beside the plain one and the terminal interface: it hands tasks to the same worker, and turns the
//! worker's events into the protocol's updates and the protocol's answers into the worker's commands. One JSON
//! object a line; wire version 1. The shapes are those of the protocol's published schema.
//!
//! `wire.rs` is lines and JSON-RPC, `input.rs` a prompt's blocks, `options.rs` modes and settings, `telling.rs` events
//! as updates, `desk.rs` the one loop that answers.
//!
//! Not for: working on a task (the agent does), or writing to the project (only the agent does, after a yes).

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::agent::sessions::Sessions;
use crate::agent::worker::Setup;
use crate::cancel::Cancel;

mod commands;
mod desk;
mod input;
mod options;
mod sessions;
mod telling;
mod wire;

pub use wire::{Incoming, LINE_BYTES_MAX, parse, read_lines, write_lines};

/// Messages that wait to be read, and to be written.
pub const LINES_MAX: usize = 256;
/// Prompts of other sessions that wait while one is worked on.
pub const WAITING_MAX: usize = 16;
/// Sessions that are open at a time.
pub const SESSIONS_MAX: usize = 256;

/// What to start a worker with, for the model of this name or the default one.
pub type Launch = Arc<dyn Fn(Option<&str>) -> anyhow::Result<Setup> + Send + Sync>;

/// A model that could be chosen: its name and a line about it.
pub type Models = Arc<dyn Fn() -> Vec<(String, String)> + Send + Sync>;

/// What the host needs of its surroundings.
#[derive(Clone)]
pub struct Parts {
    pub launch: Launch,
    pub models: Models,
    /// Where sessions are kept; `None` keeps none.
    pub sessions: Option<Sessions>,
    /// Where undo journals and remembered test commands are.
    pub state: PathBuf,
    /// The user's home, which is no project.
    pub home: Option<PathBuf>,
}

/// Serves one client until its lines end or `stop` is set: what it says comes in by `lines`, what it is told goes out
/// by `out`.
pub async fn serve(parts: Parts, lines: mpsc::Receiver<Incoming>, out: mpsc::Sender<String>, stop: &Cancel) {
    desk::Desk::new(parts, out).run(lines, stop).await;
}
