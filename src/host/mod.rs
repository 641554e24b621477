//! Shows events and takes decisions without a terminal interface: plain text and JSON.
//!
//! Not for: deciding anything about the task.
