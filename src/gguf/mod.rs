//! Reading and writing GGUF files.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. [`Gguf::open`] reads a header and
//! checks it against the file's length, so that a hostile, truncated or mistaken file is one clear error;
//! it never allocates more than the header's own size allows. Tensors are read one at a time.
//! [`Writer`] streams tensors into a new file, which appears under its name only when it is whole.
//!
//! Not for: knowing what a tensor means, or computing with it.

mod error;
mod metadata;
mod reader;
pub mod tiny;
mod types;
mod writer;

pub use error::GgufError;
pub use metadata::{Metadata, Value};
pub use reader::{Gguf, TensorInfo};
pub use types::TensorType;
pub use writer::Writer;

/// The version that is written; versions 2 and 3 are read.
pub const VERSION: u32 = 3;
/// Where `general.alignment` says nothing, tensor data starts at multiples of this.
pub const ALIGNMENT_DEFAULT: u64 = 32;
