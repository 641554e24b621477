//! Settings as a value: defaults < user file < trusted project file < environment < flags.
//!
//! Not for: global state. A `Config` is built once at the edge and passed down.
