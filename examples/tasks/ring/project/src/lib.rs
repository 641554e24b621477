//! Watches the load of a machine over the last few readings.

pub mod load;
pub mod ring;
