//! Reading and changing the user's project: files, AGENTS.md, the plan of a patch, writing it, undoing it.
//!
//! Not for: running anything, or deciding what to change.
