//! Reading and writing GGUF files.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. [`Gguf::open`] reads a header and
//! checks it against the file's length, so that a hostile, truncated or mistaken file is one clear error;
//! it never allocates more than the header's own size allows. Tensors are read one at a time, or mapped; quantised
//! blocks become numbers by [`TensorType::dequantise`].
//! [`Writer`] streams tensors into a new file, which appears under its name only when it is whole.
//!
//! [`qwen2`], [`rope`] and [`vocabulary`] are what importing, exporting and training share: names of tensors, how
//! positions are turned, tables of tokens.
//!
//! [`Label`] is what a file says of its own model.
//!
//! Not for: computing with tensors.

mod dequantise;
mod error;
mod label;
mod mapped;
mod metadata;
pub mod qwen2;
mod reader;
pub mod rope;
pub mod split;
pub mod tiny;
mod types;
pub mod vocabulary;
mod writer;

pub use error::GgufError;
pub use label::Label;
pub use mapped::Mapped;
pub use metadata::{Metadata, Value};
pub use reader::{Gguf, TensorInfo};
pub use types::TensorType;
pub use writer::Writer;

/// Whether a path is named like a GGUF file, in letters of any case.
pub fn is_named(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// The version that is written; versions 2 and 3 are read.
pub const VERSION: u32 = 3;
/// Where `general.alignment` says nothing, tensor data starts at multiples of this.
pub const ALIGNMENT_DEFAULT: u64 = 32;
