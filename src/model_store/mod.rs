//! Which models exist, where they are, whether they fit: pull, import, convert, quantise, doctor.
//!
//! Not for: running a model.
