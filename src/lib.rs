//! z1: a coding agent that thinks within a budget and runs its code before it shows it.
//!
//! Read in this order: [`task`] (the vocabulary), [`thinking`] (the window), [`engine`] (the model),
//! [`sandbox`] and [`verify`] (does it hold), [`agent`] (the loop that joins them). `ARCHITECTURE.md` has
//! the map and the invariants; `tests/it/tidy.rs` holds them.

pub mod cancel;
pub mod dirs;
pub mod error;
pub mod event;
pub mod hex;
pub mod signals;
pub mod task;
pub mod traits;

pub mod gguf;
pub mod prompt;
pub mod scan;
pub mod thinking;

pub mod engine;
pub mod reply;
pub mod repo_map;
pub mod sandbox;
pub mod workspace;

pub mod complexity;
pub mod verify;

pub mod agent;
pub mod gym;
pub mod mcp;
pub mod model_store;

pub mod acp;
pub mod eval;
pub mod host;
pub mod serve;
pub mod sft;
pub mod tui;

pub mod cli;
pub mod cmd;
pub mod config;
