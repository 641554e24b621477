//! A trained model for the outside, and models from the outside for training.
//!
//! GGUF for llama.cpp (and so for `z1`), safetensors in Hugging Face's layout for everybody else, an adapter
//! as merged weights or as an adapter file. Tensors carry GGUF names inside the house; `names.rs` translates.
//!
//! Not for: checkpoints of a run (`train`), K-quants (`model_store`, by llama.cpp's own quantiser).

pub mod gguf_file;
pub mod hf;
pub mod load;
pub mod names;
pub mod vocabulary;
