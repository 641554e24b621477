//! The edge: one file a subcommand, each turning arguments into calls of the rooms and results into
//! output and an exit code.
//!
//! Not for: logic. What can be decided without IO is decided in a room.

pub mod acp;
pub mod apply;
pub mod completions;
pub mod config;
pub mod debug_render;
pub mod doctor;
pub mod eval;
pub mod extract;
mod hosted;
pub mod log;
pub mod man;
pub mod map;
pub mod mcp;
pub mod models;
pub mod render;
pub mod run;
pub mod serve;
pub mod sessions;
pub mod sft;
pub mod task;
pub mod tokenize;
pub mod undo;
pub mod verify;
pub mod version;
pub mod window;
