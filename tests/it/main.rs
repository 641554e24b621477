//! The one integration crate. Modules in reading order.

mod engine;
mod tidy;
