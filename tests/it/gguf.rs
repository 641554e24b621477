//! GGUF files: what is written is read back, and whatever else comes is one clear error.

use std::path::{Path, PathBuf};

use z1::gguf::tiny::{self, Tiny};
use z1::gguf::{Gguf, GgufError, TensorType, Value, Writer};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn tiny_file(folder: &Path) -> PathBuf {
    let path = folder.join("tiny.gguf");
    Tiny::default().write(&path).expect("written");
    path
}

#[test]
fn the_tiny_model_reads_back() {
    let folder = folder();
    let gguf = Gguf::open(&tiny_file(folder.path())).expect("a good file");
    assert_eq!((gguf.architecture(), gguf.version), ("qwen2", 3));
    assert_eq!(gguf.architecture_number("block_count"), Some(2));
    assert_eq!(gguf.metadata.strings("tokenizer.ggml.tokens").map(<[String]>::len), Some(tiny::vocabulary().len()));
    assert_eq!(gguf.main_type(), Some(TensorType::F32));
    let norm = gguf.tensor("output_norm.weight").expect("the tensor is there");
    assert_eq!(gguf.read_floats(norm).expect("readable"), Some(vec![1.0; 64]));
    let end = gguf.tensors.iter().map(|tensor| tensor.offset + tensor.bytes).max();
    assert!(end.is_some_and(|end| end <= gguf.file_bytes));
}

#[test]
fn every_kind_of_value_and_odd_sizes_survive() {
    let folder = folder();
    let path = folder.path().join("all.gguf");
    let values = [
        Value::U8(1),
        Value::I8(-1),
        Value::U16(2),
        Value::I16(-2),
        Value::U32(3),
        Value::I32(-3),
        Value::F32(0.5),
        Value::Bool(true),
        Value::String("ä\n".to_owned()),
        Value::U64(1 << 40),
        Value::I64(-(1 << 40)),
        Value::F64(0.1),
        Value::U8s(vec![1, 2, 3]),
        Value::I8s(vec![-1]),
        Value::U16s(vec![1]),
        Value::I16s(vec![-1]),
        Value::U32s(vec![]),
        Value::I32s(vec![-1, 1]),
        Value::F32s(vec![1.5]),
        Value::Bools(vec![true, false]),
        Value::Strings(vec![String::new(), "x".to_owned()]),
        Value::U64s(vec![9]),
        Value::I64s(vec![-9]),
        Value::F64s(vec![2.5]),
    ];
    let mut writer = Writer::new();
    for (number, value) in values.iter().enumerate() {
        writer.set(format!("key.{number}"), value.clone());
    }
    writer.tensor("odd", TensorType::F32, &[3]);
    writer.tensor("blocks", TensorType::Q8_0, &[64, 2]);
    writer.write(&path, |tensor, out| out.write_all(&vec![7; tensor.bytes as usize])).expect("written");
    let gguf = Gguf::open(&path).expect("a good file");
    for (number, value) in values.iter().enumerate() {
        assert_eq!(gguf.metadata.get(&format!("key.{number}")), Some(value));
    }
    let blocks = gguf.tensor("blocks").expect("there");
    assert_eq!((blocks.bytes, blocks.offset % 32), (136, 0));
    assert_eq!(gguf.read_tensor(blocks).expect("readable"), vec![7; 136]);
    assert_eq!(gguf.read_floats(blocks).expect("readable"), None);
}

#[test]
fn the_same_seed_gives_the_same_file() {
    let folder = folder();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    Tiny::default().write(&a).expect("written");
    Tiny::default().write(&b).expect("written");
    assert_eq!(std::fs::read(a).expect("readable"), std::fs::read(b).expect("readable"));
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let folder = folder();
    let path = folder.path().join("model.gguf");
    let mut writer = Writer::new();
    writer.tensor("x", TensorType::F32, &[8]);
    let failed = writer.write(&path, |_, _| Err(std::io::Error::other("disk full")));
    assert!(matches!(failed, Err(GgufError::Io { .. })));
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
}

/// The message for a file with this content.
fn complaint(content: &[u8]) -> String {
    let folder = folder();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, content).expect("written");
    let error = Gguf::open(&path).expect_err("this is no model");
    assert!(!error.hint().is_empty());
    error.to_string()
}

#[test]
fn what_is_no_gguf_is_called_by_its_name() {
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let safetensors = b"\x40\0\0\0\0\0\0\0{\"weight\":{}}";
    for (content, expected) in [
        (&lfs[..], "Git LFS pointer"),
        (b"<!DOCTYPE html><html>404", "web page"),
        (b"\n <HTML><head>", "web page"),
        (b"", "empty file"),
        (b"PK\x03\x04zip", "zip archive"),
        (safetensors, "safetensors"),
        (b"\x1f\x8b\x08gz", "compressed"),
        (b"tjgg\x03\0\0\0", "older than GGUF"),
        (b"{\"error\":\"not found\"}", "JSON"),
        (b"hello", "something unknown"),
        (b"GGUF\0\0\0\x03rest", "big-endian"),
    ] {
        let message = complaint(content);
        assert!(message.contains(expected), "{message}");
    }
    assert!(complaint(b"GGUF\x01\0\0\0........").contains("version 1"));
    let missing = Gguf::open(Path::new("/nowhere/model.gguf")).expect_err("missing");
    assert!(missing.to_string().contains("no such file"));
    assert!(Gguf::open(Path::new("/")).expect_err("a folder").to_string().contains("folder"));
}

#[test]
fn every_truncation_is_an_error_and_none_a_crash() {
    let folder = folder();
    let whole = std::fs::read(tiny_file(folder.path())).expect("readable");
    let mut lengths: Vec<usize> = (0..600).step_by(3).chain((600..whole.len()).step_by(50_021)).collect();
    lengths.push(whole.len() - 1);
    for length in lengths {
        let path = folder.path().join("cut");
        std::fs::write(&path, &whole[..length]).expect("written");
        let error = Gguf::open(&path).expect_err("truncated");
        if length > 8 {
            assert!(matches!(error, GgufError::Truncated { .. }), "{length}: {error}");
        }
    }
}

/// A header with counts and then whatever a test adds.
fn header(tensors: u64, entries: u64, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(tensors.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes.extend(rest);
    bytes
}

#[test]
fn hostile_headers_are_refused_before_memory_is_touched() {
    let entry = |kind: u32, rest: &[u8]| {
        let mut bytes = 1u64.to_le_bytes().to_vec();
        bytes.push(b'k');
        bytes.extend(kind.to_le_bytes());
        bytes.extend(rest);
        bytes.extend([0; 64]);
        bytes
    };
    let list = |kind: u32, count: u64| entry(9, &[&kind.to_le_bytes()[..], &count.to_le_bytes()].concat());
    let tensor = |axes: &[u64], kind: u32| {
        let mut bytes = 1u64.to_le_bytes().to_vec();
        bytes.push(b't');
        bytes.extend((axes.len() as u32).to_le_bytes());
        bytes.extend(axes.iter().flat_map(|axis| axis.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        bytes.extend([0; 64]);
        bytes
    };
    for (name, content, expected) in [
        ("tensor count", header(u64::MAX, 0, &[]), "claims"),
        ("entry count", header(0, 1 << 40, &[]), "claims"),
        ("text length", header(0, 1, &u64::MAX.to_le_bytes()), "text of"),
        ("text beyond the end", header(0, 1, &(1u64 << 20).to_le_bytes()), "truncated"),
        ("number list", header(0, 1, &list(6, 1 << 61)), "truncated"),
        ("text list", header(0, 1, &list(8, 1 << 50)), "texts"),
        ("text list within the limit", header(0, 1, &list(8, 1_000_000)), "truncated"),
        ("list of lists", header(0, 1, &list(9, 1)), "list of lists"),
        ("unknown kind", header(0, 1, &entry(77, &[])), "unknown kind 77"),
        ("shape that overflows", header(1, 0, &tensor(&[1 << 40, 1 << 40], 0)), "impossible shape"),
        ("half a block", header(1, 0, &tensor(&[33], 8)), "impossible shape"),
        ("five axes", header(1, 0, &tensor(&[1; 5], 0)), "5 dimensions"),
        ("unknown element type", header(1, 0, &tensor(&[32], 999)), "element type 999"),
        ("data beyond the end", header(1, 0, &tensor(&[1 << 40], 0)), "truncated"),
    ] {
        let message = complaint(&content);
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn flipped_bytes_never_crash_the_reader() {
    let folder = folder();
    let whole = std::fs::read(tiny_file(folder.path())).expect("readable");
    let path = folder.path().join("flipped");
    for at in (0..4000).step_by(23) {
        for value in [0x7F, 0xFF] {
            let mut bytes = whole[..whole.len().min(20_000)].to_vec();
            bytes[at] = value;
            std::fs::write(&path, &bytes).expect("written");
            // Any error will do; a panic or an abort fails this test.
            let _ = Gguf::open(&path);
        }
    }
}
