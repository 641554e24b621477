//! Reading and changing the user's project: which files there are, what an edit makes of them, writing it
//! as one step that can be undone.
//!
//! [`plan::plan`] is pure; [`tree::Tree`] reads and writes; [`journal`] remembers what was there before.
//! Nothing leaves the project's root, follows a link or touches `.git`.
//!
//! Not for: deciding what to change, asking the user, running anything.

mod change;
pub mod diff;
mod done;
pub mod guard;
mod indent;
pub mod journal;
pub mod lines;
pub mod matching;
mod merge;
mod parsing;
pub mod plan;
mod splice;
pub mod tree;
mod version;
