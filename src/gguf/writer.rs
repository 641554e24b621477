//! Writes a GGUF file tensor by tensor, so that a model need not fit into memory twice.
//!
//! Not for: deciding names, shapes or types.

use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use super::{ALIGNMENT_DEFAULT, GgufError, Metadata, TensorInfo, TensorType, VERSION, Value};

/// A file to be: metadata, then tensors that are described first and delivered while writing.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    pub metadata: Metadata,
    tensors: Vec<TensorInfo>,
    end: u64,
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a metadata key.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.metadata.set(key, value);
    }

    /// Announces a tensor; `dimensions` with the contiguous one first.
    ///
    /// # Panics
    /// Where the shape is impossible for the type, or the name too long: the caller's mistake.
    pub fn tensor(&mut self, name: impl Into<String>, kind: TensorType, dimensions: &[u64]) {
        let name = name.into();
        assert!(name.len() < 64, "invariant: tensor names have less than 64 bytes, `{name}` has more");
        let bytes = kind.bytes(dimensions).expect("invariant: a tensor's first dimension is a whole number of blocks");
        self.tensors.push(TensorInfo { name, kind, dimensions: dimensions.to_vec(), offset: self.end, bytes });
        self.end += bytes.next_multiple_of(ALIGNMENT_DEFAULT);
    }

    /// Writes the file. `deliver` is called once for each tensor, in order, and writes exactly its bytes.
    /// The file appears under `path` only when it is whole and on disk; an older one is replaced then.
    ///
    /// # Errors
    /// Where the disk is full or the folder not writable; nothing is left behind then.
    ///
    /// # Panics
    /// Where `deliver` writes more or fewer bytes than the tensor has.
    pub fn write(
        &self,
        path: &Path,
        mut deliver: impl FnMut(&TensorInfo, &mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), GgufError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let io = |error: std::io::Error| GgufError::io(path, &error);
        let temporary = tempfile::Builder::new().prefix(".gguf-").tempfile_in(folder).map_err(io)?;
        self.write_body(temporary.as_file(), &mut deliver).map_err(io)?;
        temporary.as_file().sync_all().map_err(io)?;
        make_readable(temporary.as_file()).map_err(io)?;
        temporary.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }

    fn write_body(
        &self,
        file: &std::fs::File,
        deliver: &mut dyn FnMut(&TensorInfo, &mut dyn Write) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut output = BufWriter::with_capacity(1 << 20, file);
        output.write_all(&self.header())?;
        let data_at = pad(&mut output)?;
        for tensor in &self.tensors {
            let from = output.stream_position()?;
            assert_eq!(from, data_at + tensor.offset, "invariant: tensors are written where they were announced");
            deliver(tensor, &mut output)?;
            let written = output.stream_position()? - from;
            assert_eq!(written, tensor.bytes, "invariant: `{}` is delivered whole", tensor.name);
            pad(&mut output)?;
        }
        output.flush()
    }

    fn header(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in self.metadata.iter() {
            put_string(&mut out, key);
            put_value(&mut out, value);
        }
        for tensor in &self.tensors {
            put_string(&mut out, &tensor.name);
            out.extend((tensor.dimensions.len() as u32).to_le_bytes());
            for dimension in &tensor.dimensions {
                out.extend(dimension.to_le_bytes());
            }
            out.extend(tensor.kind.0.to_le_bytes());
            out.extend(tensor.offset.to_le_bytes());
        }
        out
    }
}

/// A temporary file is private; a model is as readable as any other new file that is not secret.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_file: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// Fills up with zeros to the next aligned position, and returns it.
fn pad(output: &mut BufWriter<&std::fs::File>) -> std::io::Result<u64> {
    let at = output.stream_position()?;
    let aligned = at.next_multiple_of(ALIGNMENT_DEFAULT);
    output.write_all(&vec![0; (aligned - at) as usize])?;
    Ok(aligned)
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_list<T: Copy, const N: usize>(out: &mut Vec<u8>, kind: u32, list: &[T], encode: fn(T) -> [u8; N]) {
    out.extend(9u32.to_le_bytes());
    out.extend(kind.to_le_bytes());
    out.extend((list.len() as u64).to_le_bytes());
    out.extend(list.iter().flat_map(|&item| encode(item)));
}

fn put_one(out: &mut Vec<u8>, kind: u32, bytes: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend(bytes);
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(n) => put_one(out, 0, &n.to_le_bytes()),
        Value::I8(n) => put_one(out, 1, &n.to_le_bytes()),
        Value::U16(n) => put_one(out, 2, &n.to_le_bytes()),
        Value::I16(n) => put_one(out, 3, &n.to_le_bytes()),
        Value::U32(n) => put_one(out, 4, &n.to_le_bytes()),
        Value::I32(n) => put_one(out, 5, &n.to_le_bytes()),
        Value::F32(x) => put_one(out, 6, &x.to_le_bytes()),
        Value::Bool(yes) => put_one(out, 7, &[u8::from(*yes)]),
        Value::String(text) => {
            out.extend(8u32.to_le_bytes());
            put_string(out, text);
        }
        Value::U64(n) => put_one(out, 10, &n.to_le_bytes()),
        Value::I64(n) => put_one(out, 11, &n.to_le_bytes()),
        Value::F64(x) => put_one(out, 12, &x.to_le_bytes()),
        Value::U8s(list) => put_list(out, 0, list, u8::to_le_bytes),
        Value::I8s(list) => put_list(out, 1, list, i8::to_le_bytes),
        Value::U16s(list) => put_list(out, 2, list, u16::to_le_bytes),
        Value::I16s(list) => put_list(out, 3, list, i16::to_le_bytes),
        Value::U32s(list) => put_list(out, 4, list, u32::to_le_bytes),
        Value::I32s(list) => put_list(out, 5, list, i32::to_le_bytes),
        Value::F32s(list) => put_list(out, 6, list, f32::to_le_bytes),
        Value::Bools(list) => put_list(out, 7, list, |yes| [u8::from(yes)]),
        Value::Strings(list) => {
            out.extend(9u32.to_le_bytes());
            out.extend(8u32.to_le_bytes());
            out.extend((list.len() as u64).to_le_bytes());
            for text in list {
                put_string(out, text);
            }
        }
        Value::U64s(list) => put_list(out, 10, list, u64::to_le_bytes),
        Value::I64s(list) => put_list(out, 11, list, i64::to_le_bytes),
        Value::F64s(list) => put_list(out, 12, list, f64::to_le_bytes),
    }
}
