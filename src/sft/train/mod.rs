//! The training loop and everything around it: recipe, data order, schedule, optimiser, checkpoints, metrics.
//!
//! Not for: the model's mathematics (`core`), making data (`sample`, `tokenizer`), printing (`cmd`).

pub mod checkpoint;
pub mod dataset;
pub mod feed;
pub mod memory;
pub mod metrics;
pub mod optimiser;
pub mod order;
pub mod plot;
pub mod recipe;
pub mod run;
pub mod schedule;
