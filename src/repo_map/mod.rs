//! What is in a repository: definitions and references by tree-sitter, ranked towards a task and fitted
//! into a token budget; and whether a file parses.
//!
//! The only room that knows tree-sitter. Not for: file contents as context (`agent::project`) and for
//! changing anything (`workspace`).

pub mod grammar;
pub mod syntax;
