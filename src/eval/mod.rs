//! Measuring models: the gym's held-out problems, the curve of accuracy against thinking, reports and plots.
//!
//! Programs are judged by running them in the sandbox, never by comparing text. [`stats`] has the exact
//! tests and intervals, [`gym`] the record of one problem and the report over many, [`run`] asks a model and judges,
//! [`agent`] the whole loop; [`suite`] does all of it with public problems, and [`math`] compares final answers.
//!
//! Not for: deciding what a model should think or for how long (`complexity`, `thinking`).

pub mod agent;
pub mod curve;
pub mod gym;
pub mod math;
pub mod run;
pub mod stats;
pub mod suite;
