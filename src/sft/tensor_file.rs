//! Writing and reading safetensors files of f32 tensors, safely.
//!
//! A file appears under its name only when it is complete on the disk: written beside it, synced, renamed.
//! The format is documented at <https://huggingface.co/docs/safetensors>.
//!
//! Not for: what the tensors mean (`export`, `train::checkpoint`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Exit, UserError};

/// One tensor to write.
#[derive(Clone, Debug)]
pub struct Tensor<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub data: &'a [f32],
}

/// What a file held.
#[derive(Debug, Default)]
pub struct Loaded {
    pub metadata: BTreeMap<String, String>,
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

/// Writes the tensors in this order.
///
/// # Errors
/// Where the disk is full or the folder cannot be written; what stood at `path` before is then untouched.
pub fn write(path: &Path, tensors: &[Tensor<'_>], metadata: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), serde_json::to_value(metadata)?);
    }
    let mut at = 0;
    for tensor in tensors {
        let end = at + 4 * tensor.data.len();
        let entry = serde_json::json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, end]});
        header.insert(tensor.name.clone(), entry);
        at = end;
    }
    let mut header = serde_json::to_vec(&header)?;
    // Tensor data begins on a multiple of 8.
    header.resize(header.len().next_multiple_of(8), b' ');
    replace_file(path, (at + header.len()) as u64, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        tensors.iter().try_for_each(|tensor| write_values(file, tensor.data))
    })
}

/// Writes a file beside `path`, syncs it and renames it to `path`.
///
/// # Errors
/// As [`write`].
pub fn replace_file(
    path: &Path,
    bytes: u64,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = temporary_name(path);
    let attempt = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&beside)?);
        fill(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&beside, path)?;
        // The rename itself is only safe once the folder is on the disk.
        File::open(folder)?.sync_all()
    };
    attempt().map_err(|problem| {
        // Half a file helps nobody; that it cannot be removed changes nothing about the error.
        let _ = fs::remove_file(&beside);
        let error = UserError::new(Exit::Error, format!("could not write {}: {problem}", path.display()));
        let hint =
            format!("it needs {:.1} MB in a folder that can be written; nothing was overwritten", bytes as f64 / 1e6);
        error.hint(hint).into()
    })
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    path.with_file_name(name)
}

/// Writes values little-endian, a buffer at a time.
pub fn write_values(file: &mut impl Write, values: &[f32]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * 4096);
    for chunk in values.chunks(4096) {
        bytes.clear();
        bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
        file.write_all(&bytes)?;
    }
    Ok(())
}

/// The metadata of a file, without its tensors.
///
/// # Errors
/// As [`read`].
pub fn metadata(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    visit(path, |metadata| found.extend(metadata.clone()), |_, _| Ok(()))?;
    Ok(found)
}

/// Reads a whole file; F16 and BF16 tensors are widened to f32.
///
/// # Errors
/// Where the file is missing, cut off, or not safetensors.
pub fn read(path: &Path) -> anyhow::Result<Loaded> {
    let (mut metadata, mut tensors) = (BTreeMap::new(), BTreeMap::new());
    visit(
        path,
        |found| metadata.extend(found.clone()),
        |name, tensor| {
            let mut values = vec![0.0; tensor.len()];
            tensor.widen(&mut values)?;
            tensors.insert(name.to_owned(), (tensor.shape.to_vec(), values));
            Ok(())
        },
    )?;
    Ok(Loaded { metadata, tensors })
}

/// A tensor as it lies in a file.
#[derive(Debug)]
pub struct Stored<'a> {
    pub shape: &'a [usize],
    dtype: Dtype,
    data: &'a [u8],
}

impl Stored<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the values as f32.
    ///
    /// # Errors
    /// A type that is not a float of 16 or 32 bits, or another number of values.
    pub fn widen(&self, to: &mut [f32]) -> anyhow::Result<()> {
        anyhow::ensure!(self.len() == to.len(), "{} values, not {}", self.len(), to.len());
        let known = widen(self.dtype, self.data, to);
        anyhow::ensure!(known, "it is {:?}, not F32, F16 or BF16", self.dtype);
        Ok(())
    }
}

/// Goes through a file's tensors one by one. The file is mapped: no second copy of it is in memory.
///
/// # Errors
/// Where the file is missing, cut off, or not safetensors, and whatever `each` says of a tensor.
pub fn visit(
    path: &Path,
    about: impl FnOnce(&std::collections::HashMap<String, String>),
    mut each: impl FnMut(&str, &Stored<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    #[expect(unsafe_code, reason = "mapping a file is unsafe, since others could truncate it")]
    // SAFETY: the map is read-only and lives in this call; a program that truncates the file meanwhile ends this
    // process with SIGBUS and cannot make it read other memory.
    let bytes = unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("cannot read {}", path.display()))?;
    let broken = |why: String| {
        UserError::new(Exit::Error, format!("{} is not a complete safetensors file: {why}", path.display()))
            .hint("it was cut off or is of another format; take another copy")
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|why| broken(why.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|why| broken(why.to_string()))?;
    if let Some(metadata) = header.metadata() {
        about(metadata);
    }
    for (name, view) in file.iter() {
        let tensor = Stored { shape: view.shape(), dtype: view.dtype(), data: view.data() };
        each(name, &tensor).map_err(|why| broken(format!("tensor {name}: {why:#}")))?;
    }
    Ok(())
}

fn widen(dtype: Dtype, data: &[u8], to: &mut [f32]) -> bool {
    let halves = || data.as_chunks::<2>().0.iter().copied();
    match dtype {
        Dtype::F32 => to.iter_mut().zip(data.as_chunks::<4>().0).for_each(|(to, b)| *to = f32::from_le_bytes(*b)),
        Dtype::F16 => to.iter_mut().zip(halves()).for_each(|(to, b)| *to = half::f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => to.iter_mut().zip(halves()).for_each(|(to, b)| *to = half::bf16::from_le_bytes(b).to_f32()),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_cut_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let data = [1.0, -2.5, f32::MIN_POSITIVE, 3e8];
        let tensors = [Tensor { name: "w".into(), shape: vec![2, 2], data: &data }];
        let metadata = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
        write(&path, &tensors, &metadata).unwrap();
        let loaded = read(&path).unwrap();
        assert_eq!(loaded.metadata, metadata);
        assert_eq!(loaded.tensors["w"], (vec![2, 2], data.to_vec()));
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("not a complete safetensors file"));
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_rubbish() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, "old").unwrap();
        let full = |file: &mut BufWriter<File>| {
            file.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = replace_file(&path, 10, full).unwrap_err();
        assert!(error.to_string().contains("could not write"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
