//! Importance matrices: how strongly each column of a weight matrix is used, measured by llama.cpp's `imatrix`.
//!
//! Two formats exist: GGUF (`NAME.in_sum2`, `NAME.counts`) and the older binary one. Both give sums of squared
//! activations and how many there were; the quantiser wants their means.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::error::{Exit, UserError};
use crate::gguf::{Gguf, TensorInfo};

/// An importance matrix larger than this is none: a 70B's has 30 MB.
const BYTES_MAX: u64 = 1 << 30;
const NAME_BYTES_MAX: u32 = 256;

/// Tensor names and the mean of each column, by name.
pub(super) type Means = BTreeMap<String, Vec<f32>>;

/// Reads a matrix of either format.
///
/// # Errors
/// A file that is neither, truncated, or with values that are no numbers.
pub(super) fn read(path: &Path) -> anyhow::Result<Means> {
    let wrong = |why: &str| UserError::new(Exit::Error, format!("the importance matrix {}: {why}", path.display()));
    let bytes = std::fs::metadata(path).map_err(|problem| wrong(&problem.to_string()))?.len();
    if bytes > BYTES_MAX {
        return Err(wrong("it is too large to be one").into());
    }
    let mut start = [0; 4];
    let mut file = std::fs::File::open(path).map_err(|problem| wrong(&problem.to_string()))?;
    let is_gguf = file.read_exact(&mut start).is_ok() && start == *b"GGUF";
    let means = if is_gguf { from_gguf(path)? } else { from_binary(path, bytes).map_err(|why| wrong(&why))? };
    if means.is_empty() {
        return Err(wrong("it holds no matrix").into());
    }
    if let Some((name, _)) = means.iter().find(|(_, values)| values.iter().any(|value| !value.is_finite())) {
        return Err(wrong(&format!("the values of {name} are no numbers")).into());
    }
    Ok(means)
}

fn from_gguf(path: &Path) -> anyhow::Result<Means> {
    let file = Gguf::open(path).map_err(UserError::from)?;
    let floats = |tensor: &TensorInfo| -> anyhow::Result<Vec<f32>> {
        let values = file.read_floats(tensor).map_err(UserError::from)?;
        values.ok_or_else(|| {
            UserError::new(Exit::Error, format!("{}: {} is not of floats", path.display(), tensor.name)).into()
        })
    };
    let mut means = Means::new();
    for sums in file.tensors.iter().filter(|tensor| tensor.name.ends_with(".in_sum2")) {
        let name = sums.name.trim_end_matches(".in_sum2");
        let Some(counts) = file.tensor(&format!("{name}.counts")) else { continue };
        let (sums, counts) = (floats(sums)?, floats(counts)?);
        let columns = sums.len() / counts.len().max(1);
        if columns == 0 {
            continue;
        }
        let mean = |(chunk, &count): (&[f32], &f32)| -> Vec<f32> {
            // What was never used is as important as anything else.
            chunk.iter().map(|sum| if count > 0.0 { sum / count } else { 1.0 }).collect()
        };
        means.insert(name.to_owned(), sums.chunks(columns).zip(&counts).flat_map(mean).collect());
    }
    Ok(means)
}

/// `count`, then for each matrix: name's length, name, calls, values, the values.
fn from_binary(path: &Path, bytes: u64) -> Result<Means, String> {
    let mut input = BufReader::new(std::fs::File::open(path).map_err(|problem| problem.to_string())?);
    let number = |input: &mut BufReader<std::fs::File>| -> Result<u32, String> {
        let mut four = [0; 4];
        input.read_exact(&mut four).map_err(|_| "it is cut short".to_owned())?;
        let number = i32::from_le_bytes(four);
        u32::try_from(number).map_err(|_| "it is not in a format that z1 knows".to_owned())
    };
    let mut means = Means::new();
    for _ in 0..number(&mut input)? {
        let length = number(&mut input)?;
        if length > NAME_BYTES_MAX {
            return Err("it is not in a format that z1 knows".to_owned());
        }
        let mut name = vec![0; length as usize];
        input.read_exact(&mut name).map_err(|_| "it is cut short".to_owned())?;
        let name = String::from_utf8(name).map_err(|_| "a name is no text".to_owned())?;
        let calls = number(&mut input)?;
        let count = number(&mut input)?;
        if u64::from(count) * 4 > bytes {
            return Err("it is cut short".to_owned());
        }
        let mut raw = vec![0; count as usize * 4];
        input.read_exact(&mut raw).map_err(|_| "it is cut short".to_owned())?;
        let mean = |four: &[u8; 4]| f32::from_le_bytes(*four) / calls.max(1) as f32;
        means.insert(name, raw.as_chunks::<4>().0.iter().map(mean).collect());
    }
    Ok(means)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(calls: i32, values: &[f32]) -> Vec<u8> {
        let mut bytes = 1_i32.to_le_bytes().to_vec();
        bytes.extend(3_i32.to_le_bytes());
        bytes.extend(b"a.b");
        bytes.extend(calls.to_le_bytes());
        bytes.extend((values.len() as i32).to_le_bytes());
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> anyhow::Result<Means> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path())
    }

    #[test]
    fn the_older_format_gives_means() {
        let means = read_bytes(&binary(2, &[2.0, 6.0])).unwrap();
        assert_eq!(means["a.b"], [1.0, 3.0]);
    }

    #[test]
    fn what_is_none_is_refused() {
        let whole = binary(1, &[1.0]);
        assert!(read_bytes(&whole[..whole.len() - 1]).unwrap_err().to_string().contains("cut short"));
        for bytes in [&b""[..], b"<html></html> not an importance matrix", &binary(1, &[f32::NAN]), &[255; 64], &[0; 4]]
        {
            assert!(read_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}
