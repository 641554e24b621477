//! Reading and writing GGUF files.
//!
//! Not for: knowing what a tensor means.
