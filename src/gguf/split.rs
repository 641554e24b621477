//! Models in several files: `NAME-00001-of-0000N.gguf` and its siblings, opened as one.
//!
//! Not for: writing them; whoever fetches or moves the parts keeps their names, by which they find each other.

use std::path::{Path, PathBuf};

use super::{Gguf, GgufError};

/// The most parts that a name can count.
const PARTS_MAX: u64 = 9999;

/// A part's place by its file's name: what stands before it, its number from 1, and how many there are.
pub fn place_of(name: &str) -> Option<(&str, u32, u32)> {
    let stem = name.strip_suffix(".gguf")?;
    let (rest, count) = stem.rsplit_once("-of-")?;
    let (before, number) = rest.rsplit_once('-')?;
    let digits = |text: &str| if text.len() == 5 { text.parse::<u32>().ok() } else { None };
    let (number, count) = (digits(number)?, digits(count)?);
    ((1..=count).contains(&number)).then_some((before, number, count))
}

/// The name of a part.
pub fn name_of(before: &str, number: u32, count: u32) -> String {
    format!("{before}-{number:05}-of-{count:05}.gguf")
}

/// The files of a model whose first part this is, in order; the file alone where it is whole.
///
/// # Errors
/// A file that is no first part, or parts that are missing, by name.
pub(super) fn siblings(first: &Gguf) -> Result<Vec<PathBuf>, GgufError> {
    let count = first.metadata.unsigned("split.count").unwrap_or(1);
    if count <= 1 {
        return Ok(vec![first.path.clone()]);
    }
    let refuse = |what: String| GgufError::Parts { path: first.path.clone(), what };
    if count > PARTS_MAX {
        return Err(refuse(format!("it claims to be one of {count} parts")));
    }
    let number = first.metadata.unsigned("split.no").unwrap_or(0) + 1;
    let name = first.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some((before, named, of)) = place_of(&name) else {
        return Err(refuse(format!(
            "it is part {number} of {count}, and its name does not say so; parts are named {}",
            name_of("NAME", number as u32, count as u32)
        )));
    };
    if u64::from(of) != count || u64::from(named) != number {
        return Err(refuse(format!("its name says part {named} of {of}, its header part {number} of {count}")));
    }
    if number != 1 {
        return Err(refuse(format!("it is part {number} of {count}; name the first: {}", name_of(before, 1, of))));
    }
    let folder = first.path.parent().unwrap_or(Path::new(""));
    let paths: Vec<PathBuf> = (1..=of).map(|number| folder.join(name_of(before, number, of))).collect();
    let missing: Vec<String> = paths
        .iter()
        .filter(|path| !path.is_file())
        .map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
        .collect();
    if !missing.is_empty() {
        let shown = missing.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
        let more = if missing.len() > 4 { format!(" and {} more", missing.len() - 4) } else { String::new() };
        return Err(refuse(format!("of its {count} parts {} are missing: {shown}{more}", missing.len())));
    }
    Ok(paths)
}

/// Whether a part is the one that its place wants.
///
/// # Errors
/// Parts that were mixed up, or belong to another model.
pub(super) fn fits(first: &Gguf, part: &Gguf, number: u64) -> Result<(), GgufError> {
    let refuse = |what: String| Err(GgufError::Parts { path: part.path.clone(), what });
    let number_of = |key: &str| part.metadata.unsigned(key);
    if number_of("split.no") != Some(number) {
        let holds = number_of("split.no").map_or("no part".to_owned(), |found| format!("part {}", found + 1));
        return refuse(format!("it is named part {} and holds {holds}", number + 1));
    }
    if number_of("split.count") != first.metadata.unsigned("split.count") {
        return refuse("it belongs to another model".to_owned());
    }
    if part.tensors.iter().any(|tensor| first.tensor(&tensor.name).is_some()) {
        return refuse("it holds tensors that another part holds as well".to_owned());
    }
    Ok(())
}

/// Whether all tensors of the model are there.
///
/// # Errors
/// Fewer or more than the first part says.
pub(super) fn complete(whole: &Gguf) -> Result<(), GgufError> {
    match whole.metadata.unsigned("split.tensors.count") {
        Some(count) if count != whole.tensors.len() as u64 => Err(GgufError::Parts {
            path: whole.path.clone(),
            what: format!("its parts hold {} tensors, and it speaks of {count}", whole.tensors.len()),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::{TensorType, Value, Writer};

    /// Writes part `number` (from 1) of `count` with one tensor, under a name that says `named`.
    fn part(folder: &Path, number: u32, count: u32, named: u32) -> PathBuf {
        let path = folder.join(name_of("m", named, count));
        let mut writer = Writer::new();
        writer.set("general.architecture", "qwen2");
        writer.set("split.no", Value::U16(number as u16 - 1));
        writer.set("split.count", Value::U16(count as u16));
        writer.set("split.tensors.count", Value::I32(count as i32));
        let name = format!("t{number}");
        writer.tensor(&name, TensorType::F32, &[2]);
        let bytes: Vec<u8> = [number as f32, 0.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        writer.write(&path, |_, out| out.write_all(&bytes)).unwrap();
        path
    }

    #[test]
    fn names_are_read_as_llama_cpp_writes_them() {
        assert_eq!(place_of("m-q4-00002-of-00003.gguf"), Some(("m-q4", 2, 3)));
        for odd in ["m.gguf", "m-2-of-3.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "m-00001-of-00002.bin"]
        {
            assert_eq!(place_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn parts_are_one_model_and_each_tensor_is_read_from_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let first = part(folder.path(), 1, 3, 1);
        part(folder.path(), 2, 3, 2);
        part(folder.path(), 3, 3, 3);
        let whole = Gguf::open(&first).unwrap();
        assert_eq!(whole.tensors.len(), 3);
        for (name, value) in [("t1", 1.0), ("t2", 2.0), ("t3", 3.0)] {
            let floats = whole.read_floats(whole.tensor(name).unwrap()).unwrap().unwrap();
            assert_eq!(floats, [value, 0.0]);
        }
        let bytes: u64 = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert_eq!(whole.file_bytes, bytes);
    }

    #[test]
    fn missing_mixed_up_and_later_parts_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let first = part(folder.path(), 1, 3, 1);
        let third = part(folder.path(), 3, 3, 3);
        let refusal = |path: &Path| Gguf::open(path).unwrap_err().to_string();
        assert!(refusal(&first).contains("missing: m-00002-of-00003.gguf"), "{}", refusal(&first));
        assert!(refusal(&third).contains("name the first: m-00001-of-00003.gguf"), "{}", refusal(&third));
        std::fs::copy(&third, folder.path().join(name_of("m", 2, 3))).unwrap();
        assert!(refusal(&first).contains("named part 2 and holds part 3"), "{}", refusal(&first));
        let renamed = folder.path().join("model.gguf");
        std::fs::rename(&first, &renamed).unwrap();
        assert!(refusal(&renamed).contains("its name does not say so"), "{}", refusal(&renamed));
    }
}
