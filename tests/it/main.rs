//! The one integration crate. Modules in reading order.

mod engine;
#[cfg(feature = "pull")]
mod hub;
mod tidy;
