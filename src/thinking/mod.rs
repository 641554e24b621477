//! The shifted thinking window as a pure phase machine, with its budgets and its loop detector.
//!
//! Not for: doing IO, sampling, or knowing which model speaks.
