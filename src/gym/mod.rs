//! Generated coding problems with reference solutions and hidden tests, by difficulty.
//!
//! Not for: training or judging.
