//! A small text adventure in an old house.

pub mod parser;
pub mod world;
