//! The terminal interface: events in, effects out; the only room that knows ratatui and crossterm.
//!
//! Not for: deciding anything about the task.
