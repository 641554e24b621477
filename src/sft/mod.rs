//! Data, training and export of models: the z1-sft side of the house.
//!
//! Not for: inference; the engine does that.
