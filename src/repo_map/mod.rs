//! What is in a repository: definitions and references by tree-sitter, ranked towards a task and fitted
//! into a token budget; and whether a file parses.
//!
//! The only room that knows tree-sitter. Not for: file contents as context (`agent::project`) and for
//! changing anything (`workspace`).

mod build;
pub mod comments;
pub mod grammar;
mod indentation;
pub mod inline_tests;
pub mod modules;
pub mod names;
pub mod outline;
mod rank;
mod read;
pub mod syntax;
mod tags;
mod walk;
mod words;

pub use build::{Bounds, Defined, RepoMap, build, estimate};
pub use rank::Focus;
pub use tags::{Definition, Tags, tags};
