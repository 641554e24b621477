//! The one integration crate. Modules in reading order.
#![expect(clippy::unwrap_used, reason = "in a test an unwrap is an assertion")]

mod acp;
mod agent;
mod bad_input;
mod cli;
#[cfg(all(feature = "llama", feature = "pull"))]
mod doctor;
mod drafts;
mod edits;
mod engine;
mod gguf;
mod gym;
#[cfg(feature = "pull")]
mod hub;
mod in_project;
#[cfg(feature = "llama")]
mod llama;
#[cfg(all(feature = "llama", feature = "pull"))]
mod malformed;
#[cfg(all(feature = "llama", feature = "pull"))]
mod models;
#[cfg(all(unix, feature = "llama", feature = "pull"))]
mod mutation;
mod project;
mod project_file;
mod redteam;
mod replies;
mod reply_forms;
mod repo_map;
mod sandbox;
mod serve;
mod sft;
#[cfg(feature = "llama")]
mod sft_llama;
mod sft_own;
mod sft_quantised;
mod slots;
mod suite;
mod tidy;
mod tokenize;
mod tui;
mod twice;
mod verify;
mod workspace;
