//! A Hugging Face folder of a Qwen2 model in, a GGUF out, with bounded memory.
//!
//! `hf` reads what the folder says (`special` the tokens with a role), `safetensors` streams
//! the weights, `convert` writes.

pub mod convert;
pub mod hf;
pub mod safetensors;
pub mod special;

pub use convert::{Plan, Storage};
