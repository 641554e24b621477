//! Reads a header with every number checked against the file's length, and tensors on demand.
//!
//! The header is read through a buffer rather than mapped: a mapped file that another program truncates
//! kills the process, and a header is a few megabytes.
//!
//! Not for: recognising what else the file may be (`error.rs`).

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::recognise;
use super::{ALIGNMENT_DEFAULT, GgufError, Metadata, TensorType, Value, split};

/// A header (metadata and tensor list) may have this many bytes. The largest known vocabularies need 15 MB.
const HEADER_BYTES_MAX: u64 = 32 << 20;
/// Texts in all metadata arrays together: each costs memory beyond its bytes.
const STRINGS_MAX: u64 = 1_000_000;
const TENSORS_MAX: u64 = 100_000;
const ENTRIES_MAX: u64 = 10_000;
const DIMENSIONS_MAX: u32 = 4;
/// llama.cpp refuses names of 64 bytes and more.
const TENSOR_NAME_BYTES_MAX: u64 = 63;

/// A tensor as the header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    pub name: String,
    pub kind: TensorType,
    /// Elements along each axis, the contiguous one first (ggml's order, the reverse of NumPy's).
    pub dimensions: Vec<u64>,
    /// Where its data begins in the file.
    pub offset: u64,
    pub bytes: u64,
}

impl TensorInfo {
    pub fn elements(&self) -> u64 {
        self.dimensions.iter().product()
    }
}

/// An open GGUF file: its header in memory, its tensors on disk.
#[derive(Debug)]
pub struct Gguf {
    pub path: PathBuf,
    pub version: u32,
    pub metadata: Metadata,
    pub tensors: Vec<TensorInfo>,
    /// Of all its parts, where it is in several files.
    pub file_bytes: u64,
    /// Its files, each with the number of tensors up to its end.
    files: Vec<(File, usize)>,
}

impl Gguf {
    /// Opens a file and reads its header; the first part of several with all of them.
    ///
    /// # Errors
    /// [`GgufError`] says what the file is instead, or what is wrong with it. Memory use is bounded
    /// whatever the header claims.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let mut whole = Self::open_one(path)?;
        for (number, part) in (1..).zip(split::siblings(&whole)?.iter().skip(1)) {
            let part = Self::open_one(part)?;
            split::fits(&whole, &part, number)?;
            whole.tensors.extend(part.tensors);
            whole.file_bytes += part.file_bytes;
            let end = whole.tensors.len();
            whole.files.extend(part.files.into_iter().map(|(file, _)| (file, end)));
        }
        split::complete(&whole)?;
        Ok(whole)
    }

    fn open_one(path: &Path) -> Result<Self, GgufError> {
        let io = |error: std::io::Error| GgufError::io(path, &error);
        let file = File::open(path).map_err(io)?;
        let about = file.metadata().map_err(io)?;
        if !about.is_file() {
            return Err(GgufError::NotGguf {
                path: path.to_owned(),
                what: if about.is_dir() { "a folder" } else { "a device or pipe" },
                hint: "give the path of a .gguf file",
            });
        }
        let file_bytes = about.len();
        let mut header =
            Header { path, input: BufReader::with_capacity(1 << 16, &file), at: 0, file_bytes, strings: 0 };
        let version = header.preamble()?;
        let (metadata, mut tensors) = header.body()?;
        let alignment = header.alignment(&metadata)?;
        header.check_places(&tensors, alignment)?;
        let data_at = header.data_start(alignment);
        let mut need_bytes = 0;
        for tensor in &mut tensors {
            tensor.offset = tensor.offset.saturating_add(data_at);
            need_bytes = need_bytes.max(tensor.offset.saturating_add(tensor.bytes));
        }
        if need_bytes > file_bytes {
            return Err(GgufError::Truncated { path: path.to_owned(), have_bytes: file_bytes, need_bytes });
        }
        let files = vec![(file, tensors.len())];
        Ok(Self { path: path.to_owned(), version, metadata, tensors, file_bytes, files })
    }

    /// `general.architecture`; empty where the file has none.
    pub fn architecture(&self) -> &str {
        self.metadata.string("general.architecture").unwrap_or("")
    }

    /// A whole number under the architecture's own prefix: `block_count`, `context_length`, …
    pub fn architecture_number(&self, key: &str) -> Option<u64> {
        self.metadata.unsigned(&format!("{}.{key}", self.architecture()))
    }

    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Number of weights.
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().map(TensorInfo::elements).sum()
    }

    /// The type that most of the bytes have: what people call the file's quantisation.
    pub fn main_type(&self) -> Option<TensorType> {
        let mut bytes = std::collections::BTreeMap::new();
        for tensor in &self.tensors {
            *bytes.entry(tensor.kind).or_insert(0u64) += tensor.bytes;
        }
        bytes.into_iter().max_by_key(|&(_, bytes)| bytes).map(|(kind, _)| kind)
    }

    fn file_of(&self, tensor: &TensorInfo) -> &File {
        let number = match self.files.len() {
            1 => 0,
            _ => self.tensors.iter().position(|known| known.name == tensor.name).unwrap_or(0),
        };
        let holder = self.files.iter().find(|(_, end)| number < *end).or(self.files.first());
        &holder.expect("invariant: an open model has a file").0
    }

    /// Reads a tensor's bytes as they are in the file.
    ///
    /// # Errors
    /// Where the file changed or cannot be read.
    pub fn read_tensor(&self, tensor: &TensorInfo) -> Result<Vec<u8>, GgufError> {
        let mut bytes = vec![0; tensor.bytes as usize];
        let mut file = self.file_of(tensor);
        file.seek(SeekFrom::Start(tensor.offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| GgufError::io(&self.path, &error))?;
        Ok(bytes)
    }

    /// Its file, where it is only one.
    pub(super) fn only_file(&self) -> Option<&File> {
        let [(file, _)] = self.files.as_slice() else { return None };
        Some(file)
    }

    /// Reads a tensor as numbers, quantised or not; `None` for types that are not known.
    ///
    /// # Errors
    /// Where the file changed or cannot be read.
    pub fn read_numbers(&self, tensor: &TensorInfo) -> Result<Option<Vec<f32>>, GgufError> {
        if !tensor.kind.is_readable() {
            return Ok(None);
        }
        let bytes = self.read_tensor(tensor)?;
        let mut numbers = vec![0.0; tensor.elements() as usize];
        tensor.kind.dequantise(&bytes, &mut numbers);
        Ok(Some(numbers))
    }

    /// Reads a tensor of F32, F16 or BF16 as numbers; `None` for other types.
    ///
    /// # Errors
    /// Where the file changed or cannot be read.
    pub fn read_floats(&self, tensor: &TensorInfo) -> Result<Option<Vec<f32>>, GgufError> {
        let decode: fn(&[u8]) -> f32 = match tensor.kind {
            TensorType::F32 => |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            TensorType::F16 => |b| half::f16::from_le_bytes([b[0], b[1]]).to_f32(),
            TensorType::BF16 => |b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32(),
            _ => return Ok(None),
        };
        let width = if tensor.kind == TensorType::F32 { 4 } else { 2 };
        Ok(Some(self.read_tensor(tensor)?.chunks_exact(width).map(decode).collect()))
    }
}

/// A bounded reader over the header.
struct Header<'a> {
    path: &'a Path,
    input: BufReader<&'a File>,
    at: u64,
    file_bytes: u64,
    strings: u64,
}

impl Header<'_> {
    fn damaged(&self, what: impl Into<String>) -> GgufError {
        GgufError::Damaged { path: self.path.to_owned(), at: self.at, what: what.into() }
    }

    /// Makes sure that so many bytes are in the file and in the header's allowance before any is read.
    fn expect(&self, bytes: u64) -> Result<(), GgufError> {
        let end = self.at.saturating_add(bytes);
        if end > self.file_bytes {
            return Err(GgufError::Truncated {
                path: self.path.to_owned(),
                have_bytes: self.file_bytes,
                need_bytes: end,
            });
        }
        if end > HEADER_BYTES_MAX {
            return Err(self.damaged(format!("a header of more than {} MiB", HEADER_BYTES_MAX >> 20)));
        }
        Ok(())
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, GgufError> {
        self.expect(count)?;
        let mut bytes = vec![0; count as usize];
        self.input.read_exact(&mut bytes).map_err(|error| GgufError::io(self.path, &error))?;
        self.at += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        self.expect(N as u64)?;
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|error| GgufError::io(self.path, &error))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    fn string(&mut self) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > HEADER_BYTES_MAX {
            return Err(self.damaged(format!("a text of {length} bytes")));
        }
        let bytes = self.bytes(length)?;
        // Some vocabularies hold pieces that are no UTF-8; they are shown, not refused.
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Magic and version.
    fn preamble(&mut self) -> Result<u32, GgufError> {
        let mut start = [0; 512];
        let length = self.file_bytes.min(512) as usize;
        let io = |error: std::io::Error| GgufError::io(self.path, &error);
        self.input.read_exact(&mut start[..length]).map_err(io)?;
        self.input.seek(SeekFrom::Start(0)).map_err(io)?;
        let start = &start[..length];
        if !start.starts_with(b"GGUF") {
            let (what, hint) = recognise(start);
            return Err(GgufError::NotGguf { path: self.path.to_owned(), what, hint });
        }
        self.bytes(4)?;
        let version = self.u32()?;
        if version > 0 && version.trailing_zeros() >= 16 {
            return Err(GgufError::NotGguf {
                path: self.path.to_owned(),
                what: "a big-endian GGUF",
                hint: "convert the model for little-endian machines",
            });
        }
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version { path: self.path.to_owned(), version });
        }
        Ok(version)
    }

    fn body(&mut self) -> Result<(Metadata, Vec<TensorInfo>), GgufError> {
        let (tensor_count, entry_count) = (self.u64()?, self.u64()?);
        if tensor_count > TENSORS_MAX || entry_count > ENTRIES_MAX {
            return Err(self.damaged(format!("it claims {tensor_count} tensors and {entry_count} metadata entries")));
        }
        let mut metadata = Metadata::default();
        for _ in 0..entry_count {
            let key = self.string()?;
            let kind = self.u32()?;
            let value = self.value(kind)?;
            metadata.push(key, value);
        }
        self.refuse_twice(metadata.iter().map(|(key, _)| key), "metadata key")?;
        let tensors = (0..tensor_count).map(|_| self.tensor()).collect::<Result<Vec<_>, _>>()?;
        self.refuse_twice(tensors.iter().map(|tensor| tensor.name.as_str()), "tensor")?;
        Ok((metadata, tensors))
    }

    fn refuse_twice<'n>(&self, names: impl Iterator<Item = &'n str>, what: &str) -> Result<(), GgufError> {
        let mut names: Vec<&str> = names.collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(self.damaged(format!("the {what} `{}` is there twice", pair[0]))),
            None => Ok(()),
        }
    }

    /// Tensors lie at aligned places and do not overlap.
    fn check_places(&self, tensors: &[TensorInfo], alignment: u64) -> Result<(), GgufError> {
        let mut places: Vec<&TensorInfo> = tensors.iter().collect();
        places.sort_by_key(|tensor| tensor.offset);
        if let Some(odd) = places.iter().find(|tensor| !tensor.offset.is_multiple_of(alignment)) {
            return Err(self.damaged(format!("the tensor `{}` is not aligned", odd.name)));
        }
        match places.windows(2).find(|pair| pair[0].offset.saturating_add(pair[0].bytes) > pair[1].offset) {
            Some(pair) => Err(self.damaged(format!("the tensors `{}` and `{}` overlap", pair[0].name, pair[1].name))),
            None => Ok(()),
        }
    }

    fn value(&mut self, kind: u32) -> Result<Value, GgufError> {
        Ok(match kind {
            0 => Value::U8(self.array::<1>()?[0]),
            1 => Value::I8(i8::from_le_bytes(self.array()?)),
            2 => Value::U16(u16::from_le_bytes(self.array()?)),
            3 => Value::I16(i16::from_le_bytes(self.array()?)),
            4 => Value::U32(self.u32()?),
            5 => Value::I32(i32::from_le_bytes(self.array()?)),
            6 => Value::F32(f32::from_le_bytes(self.array()?)),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::String(self.string()?),
            9 => self.list()?,
            10 => Value::U64(self.u64()?),
            11 => Value::I64(i64::from_le_bytes(self.array()?)),
            12 => Value::F64(f64::from_le_bytes(self.array()?)),
            _ => return Err(self.damaged(format!("a metadata value of unknown kind {kind}"))),
        })
    }

    fn list(&mut self) -> Result<Value, GgufError> {
        let (kind, count) = (self.u32()?, self.u64()?);
        Ok(match kind {
            0 => Value::U8s(self.numbers(count, u8::from_le_bytes)?),
            1 => Value::I8s(self.numbers(count, i8::from_le_bytes)?),
            2 => Value::U16s(self.numbers(count, u16::from_le_bytes)?),
            3 => Value::I16s(self.numbers(count, i16::from_le_bytes)?),
            4 => Value::U32s(self.numbers(count, u32::from_le_bytes)?),
            5 => Value::I32s(self.numbers(count, i32::from_le_bytes)?),
            6 => Value::F32s(self.numbers(count, f32::from_le_bytes)?),
            7 => Value::Bools(self.numbers(count, |byte: [u8; 1]| byte[0] != 0)?),
            8 => Value::Strings(self.string_list(count)?),
            10 => Value::U64s(self.numbers(count, u64::from_le_bytes)?),
            11 => Value::I64s(self.numbers(count, i64::from_le_bytes)?),
            12 => Value::F64s(self.numbers(count, f64::from_le_bytes)?),
            9 => return Err(self.damaged("a list of lists")),
            _ => return Err(self.damaged(format!("a list of unknown kind {kind}"))),
        })
    }

    fn numbers<const N: usize, T>(&mut self, count: u64, decode: fn([u8; N]) -> T) -> Result<Vec<T>, GgufError> {
        let bytes = self.bytes(count.saturating_mul(N as u64))?;
        Ok(bytes
            .chunks_exact(N)
            .map(|chunk| decode(chunk.try_into().expect("invariant: chunks have N bytes")))
            .collect())
    }

    fn string_list(&mut self, count: u64) -> Result<Vec<String>, GgufError> {
        self.strings = self.strings.saturating_add(count);
        if self.strings > STRINGS_MAX {
            return Err(self.damaged(format!("lists with {} texts", self.strings)));
        }
        // Each text has at least its length, so this bounds what is reserved below.
        self.expect(count * 8)?;
        (0..count).map(|_| self.string()).collect()
    }

    fn tensor(&mut self) -> Result<TensorInfo, GgufError> {
        let name = self.string()?;
        if name.len() as u64 > TENSOR_NAME_BYTES_MAX {
            return Err(self.damaged("a tensor name of more than 63 bytes"));
        }
        let axes = self.u32()?;
        if axes > DIMENSIONS_MAX {
            return Err(self.damaged(format!("the tensor `{name}` has {axes} dimensions")));
        }
        let dimensions = (0..axes).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
        if dimensions.contains(&0) {
            return Err(self.damaged(format!("the tensor `{name}` is empty")));
        }
        let kind = TensorType(self.u32()?);
        let offset = self.u64()?;
        if kind.block().is_none() {
            return Err(self.damaged(format!("the tensor `{name}` has the unknown element type {}", kind.0)));
        }
        let Some(bytes) = kind.bytes(&dimensions) else {
            return Err(self.damaged(format!("the tensor `{name}` has the impossible shape {dimensions:?}")));
        };
        Ok(TensorInfo { name, kind, dimensions, offset, bytes })
    }

    /// Where tensor data begins: the header's end, aligned.
    fn data_start(&self, alignment: u64) -> u64 {
        self.at.next_multiple_of(alignment)
    }

    fn alignment(&self, metadata: &Metadata) -> Result<u64, GgufError> {
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT_DEFAULT,
            Some(_) => metadata.unsigned("general.alignment").unwrap_or(0),
        };
        if !alignment.is_power_of_two() || alignment > 1 << 20 {
            return Err(self.damaged(format!("an alignment of {alignment}")));
        }
        Ok(alignment)
    }
}
