//! A file's tensors mapped into memory, read-only: pages come from the disk when they are used and can be given back,
//! so that a model costs no copy.
//!
//! Not for: files that other programs write to while they are mapped.

use super::{Gguf, GgufError, TensorInfo};

/// The whole file, mapped.
#[derive(Debug)]
pub struct Mapped {
    bytes: memmap2::Mmap,
}

impl Gguf {
    /// Maps the file.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn map(&self) -> Result<Mapped, GgufError> {
        let file = self.only_file().ok_or_else(|| GgufError::Parts {
            path: self.path.clone(),
            what: "a model in several files cannot be mapped as one; join them first (llama.cpp's gguf-split --merge)"
                .to_owned(),
        })?;
        #[expect(unsafe_code, reason = "mapping a file is unsafe, since others could truncate it")]
        // SAFETY: the map is read-only and private to this value. A program that truncates the file while it is
        // mapped ends this process with SIGBUS, as it ends llama.cpp; it cannot make it read other memory.
        let bytes = unsafe { memmap2::Mmap::map(file) }.map_err(|error| GgufError::io(&self.path, &error))?;
        if bytes.len() as u64 != self.file_bytes {
            let (have_bytes, need_bytes) = (bytes.len() as u64, self.file_bytes);
            return Err(GgufError::Truncated { path: self.path.clone(), have_bytes, need_bytes });
        }
        Ok(Mapped { bytes })
    }
}

impl Mapped {
    /// Where a tensor of this file lies in [`Mapped::bytes`].
    pub fn place(tensor: &TensorInfo) -> std::ops::Range<usize> {
        // The header was checked against the file's length when it was opened.
        tensor.offset as usize..(tensor.offset + tensor.bytes) as usize
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
