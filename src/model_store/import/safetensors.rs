//! Reads tensors out of safetensors files without holding a file in memory.
//!
//! Format: eight bytes little-endian header length, a JSON object `name → {dtype, shape, data_offsets}`, then the
//! data. Nothing of the header is believed before it is checked against the file's size.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::error::{Exit, UserError};
use crate::gguf::TensorType;

/// Ten thousand tensors have a header of two megabytes; the format's own limit is higher.
const HEADER_BYTES_MAX: u64 = 16 << 20;
const DIMENSIONS_MAX: usize = 4;

/// Element types that Qwen2 checkpoints come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    F32,
    F16,
    Bf16,
}

impl Dtype {
    pub const fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The same type in GGUF.
    pub const fn tensor_type(self) -> TensorType {
        match self {
            Self::F32 => TensorType::F32,
            Self::F16 => TensorType::F16,
            Self::Bf16 => TensorType::BF16,
        }
    }
}

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    pub dtype: Dtype,
    /// Outermost dimension first (rows, columns), as in the file.
    pub shape: Vec<u64>,
    /// Absolute position in the file.
    offset: u64,
    pub bytes: u64,
}

/// An open file and what it holds.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    file: File,
    pub tensors: Vec<Tensor>,
}

#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header's tensors. Read one by one, so that a hostile header costs no more memory than it has bytes, and a
/// name that is there twice is seen.
struct Entries(BTreeMap<String, RawTensor>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let tensor = map.next_value().map_err(|problem| A::Error::custom(format!("tensor {name:?}: {problem}")))?;
            if entries.contains_key(&name) {
                return Err(A::Error::custom(format!("tensor {name:?} is there twice")));
            }
            entries.insert(name, tensor);
        }
        Ok(Entries(entries))
    }
}

impl Shard {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    /// Not a safetensors file, truncated, or with tensors that overlap, leave the file or have a type that is
    /// not supported; each says which.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let broken = |why: String| {
            UserError::new(Exit::Error, format!("{}: {why}", path.display()))
                .hint("download the file again; a git-lfs pointer or a web page in its place is a common cause")
        };
        let mut file = File::open(path).map_err(|p| super::super::disk::disk_error(path, &p))?;
        let size = file.metadata()?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| broken(format!("too short for a safetensors file ({size} bytes)")))?;
        let length = u64::from_le_bytes(length);
        if length == 0 || length > HEADER_BYTES_MAX || length.checked_add(8).is_none_or(|end| end > size) {
            return Err(broken("not a safetensors file, or cut short: its header would not fit".to_owned()).into());
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|p| broken(p.to_string()))?;
        let Entries(entries) =
            serde_json::from_slice(&header).map_err(|p| broken(format!("its header does not parse: {p}")))?;
        let start = 8 + length;
        let mut tensors = Vec::with_capacity(entries.len());
        for (name, raw) in entries {
            tensors.push(check(name, &raw, start, size).map_err(broken)?);
        }
        tensors.sort_by_key(|tensor| tensor.offset);
        for pair in tensors.windows(2) {
            if pair[0].offset + pair[0].bytes > pair[1].offset {
                return Err(broken(format!("tensors {:?} and {:?} overlap", pair[0].name, pair[1].name)).into());
            }
        }
        Ok(Self { path: path.to_owned(), file, tensors })
    }

    /// Reads a tensor's values in file order, in pieces of at most `chunk_values` values, as 32-bit floats.
    ///
    /// # Errors
    /// The disk's, or `each`'s.
    pub fn for_each_chunk(
        &mut self,
        index: usize,
        chunk_values: usize,
        mut each: impl FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let dtype = self.tensors[index].dtype;
        let mut values = Vec::with_capacity(chunk_values);
        self.for_each_raw(index, chunk_values, |raw| {
            values.clear();
            decode(dtype, raw, &mut values);
            each(&values)
        })
    }

    /// Reads a tensor's bytes as they are in the file, in pieces of at most `chunk_values` values.
    ///
    /// # Errors
    /// The disk's, or `each`'s.
    pub fn for_each_raw(
        &mut self,
        index: usize,
        chunk_values: usize,
        mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let tensor = &self.tensors[index];
        self.file.seek(SeekFrom::Start(tensor.offset))?;
        let mut left = tensor.bytes as usize;
        let mut raw = vec![0; (chunk_values * tensor.dtype.bytes() as usize).min(left)];
        while left > 0 {
            let take = left.min(raw.len());
            self.file.read_exact(&mut raw[..take]).map_err(|p| super::super::disk::disk_error(&self.path, &p))?;
            each(&raw[..take])?;
            left -= take;
        }
        Ok(())
    }
}

fn check(name: String, raw: &RawTensor, start: u64, size: u64) -> Result<Tensor, String> {
    let dtype = match raw.dtype.as_str() {
        "F32" => Dtype::F32,
        "F16" => Dtype::F16,
        "BF16" => Dtype::Bf16,
        other => return Err(format!("tensor {name:?} has type {other}; F32, F16 and BF16 are supported")),
    };
    if raw.shape.is_empty() || raw.shape.len() > DIMENSIONS_MAX {
        return Err(format!("tensor {name:?} has {} dimensions", raw.shape.len()));
    }
    let values = raw.shape.iter().try_fold(1_u64, |product, &n| product.checked_mul(n));
    let bytes = values.and_then(|n| n.checked_mul(dtype.bytes()));
    let (from, to) = raw.data_offsets;
    if bytes.is_none() || to.checked_sub(from) != bytes {
        return Err(format!("tensor {name:?}: its offsets do not agree with its shape"));
    }
    let end = start.checked_add(to);
    if end.is_none_or(|end| end > size) {
        return Err(format!("cut short: tensor {name:?} ends behind the end of the file"));
    }
    Ok(Tensor { name, dtype, shape: raw.shape.clone(), offset: start + from, bytes: to - from })
}

fn decode(dtype: Dtype, raw: &[u8], values: &mut Vec<f32>) {
    match dtype {
        Dtype::F32 => values.extend(raw.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
        Dtype::F16 => values.extend(raw.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32())),
        Dtype::Bf16 => values.extend(raw.as_chunks::<2>().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn values_come_back_in_every_type() {
        let mut data = 1.5_f32.to_le_bytes().to_vec();
        data.extend_from_slice(&half::f16::from_f32(-2.0).to_le_bytes());
        data.extend_from_slice(&half::bf16::from_f32(3.0).to_le_bytes());
        let header = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
            "b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]},"c":{"dtype":"BF16","shape":[1],"data_offsets":[6,8]},
            "__metadata__":{"format":"pt"}}"#;
        let file = file(header, &data);
        let mut shard = Shard::open(file.path()).unwrap();
        let mut found = Vec::new();
        for index in 0..3 {
            shard
                .for_each_chunk(index, 16, |values| {
                    found.extend_from_slice(values);
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(found, [1.5, -2.0, 3.0]);
    }

    #[test]
    fn what_is_malformed_is_refused_and_says_why() {
        let cases: &[(&str, &[u8], &str)] = &[
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, &[0; 8], "agree"),
            (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, &[0; 4], "cut short"),
            (r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8], "I64"),
            (r#"{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#, &[0; 4], "dimensions"),
            (r#"{"a":{"dtype":"F32","shape":[4294967295,4294967295,4],"data_offsets":[0,4]}}"#, &[0; 4], "agree"),
            (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551615,3]}}"#, &[0; 4], "agree"),
            (
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
                &[0; 8],
                "overlap",
            ),
            (r#"{"a": 7}"#, &[], "tensor"),
            (
                r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                &[0; 4],
                "twice",
            ),
            ("[]", &[], "object of tensors"),
        ];
        for (header, data, word) in cases {
            let file = file(header, data);
            let problem = format!("{:#}", Shard::open(file.path()).unwrap_err());
            assert!(problem.contains(word), "{header}: {problem}");
        }
        let page = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(page.path(), "<!doctype html><html>not found</html>").unwrap();
        assert!(Shard::open(page.path()).is_err());
        std::fs::write(page.path(), "abc").unwrap();
        assert!(Shard::open(page.path()).is_err());
    }
}
