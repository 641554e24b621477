//! The loop that joins the rooms: classify, think, extract, verify, revise. The only place that loops back.
//!
//! Not for: rendering to a terminal or knowing llama.cpp.

pub mod checks;
mod examples;
