//! The terminal interface: events in, effects out; the only room that knows ratatui and crossterm.
//!
//! Not for: deciding anything about the task.

pub mod backend;
pub mod options;

pub use backend::{Backend, Gone, Incoming, ModelRow, PastTurn, Report, Request, SendFailed, SessionRow, Submit};
pub use options::{KeyBindings, Notify, ThemeChoice, TuiOptions};
