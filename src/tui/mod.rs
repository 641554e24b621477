//! The terminal interface: events in, effects out; the only room that knows ratatui and crossterm.
//!
//! Not for: deciding anything about the task.

pub mod app;
pub mod backend;
pub mod bench;
pub mod cell;
pub mod composer;
pub mod edge;
pub mod host;
pub mod options;
pub mod picture;
pub mod plain;
mod run;
pub mod script;
pub mod states;
pub mod term;
pub mod text;
pub mod theme;
pub mod transcript;
pub mod view;

pub use backend::{Backend, Gone, Incoming, ModelRow, PastTurn, Report, Request, SendFailed, SessionRow, Submit};
pub use options::{KeyBindings, Notify, ThemeChoice, TuiOptions};
pub use run::{Start, run};
