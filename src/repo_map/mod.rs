//! What the repository looks like within a token budget: tree-sitter tags, ranking, fitting.
//!
//! Not for: changing files or knowing about models.
