//! Which models exist, where they are, whether they fit: pull, import, convert, quantise.
//!
//! `registry` knows names before anything is there, `traits` what follows from them and from a file's own words,
//! `store` knows what is on the disk, `hub` and `download`
//! bring files (the only code of z1 that opens a connection), `fit` decides what goes where in memory, `offer` says what to
//! do where only the model that z1 carries is there.
//!
//! Not for: running a model; that is the engine's work.

pub mod disk;
#[cfg(feature = "pull")]
pub mod download;
pub mod fit;
#[cfg(feature = "pull")]
pub mod hub;
pub mod import;
pub mod offer;
#[cfg(feature = "pull")]
pub mod pull;
pub mod quantise;
pub mod recommend;
pub mod registry;
pub mod resolve;
pub mod store;
mod traits;

pub use traits::{Advised, Difference};
