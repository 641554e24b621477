//! From untrusted text to styled rows: cleaning, measuring, wrapping, Markdown, highlighting.
//!
//! The invariant of this room inside the room: whatever a model or a program printed passes [`clean`]
//! before it becomes a [`Row`], and every [`Row`] fits the width it was made for.
//!
//! Not for: where on the screen a row goes.

pub mod clean;
pub mod highlight;
pub mod languages;
pub mod markdown;
pub mod stream;
pub mod table;
pub mod wrap;

pub use wrap::{Row, Wrap, wrap};
