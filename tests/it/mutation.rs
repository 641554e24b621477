//! Damage by dice: whole and sound files, struck at random, through every reader of models. Each must end in a value
//! or an error, in little memory; a seed that fails is in the message and fails again.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use z1::engine::{LoadOptions, Machine, Shape, plan};
use z1::gguf::Gguf;
use z1::gguf::tiny::Tiny;
use z1::model_store::import;
use z1::model_store::registry::Registry;
use z1::model_store::store::Store;

use crate::malformed::{RESIDENT_BYTES_MAX, inherited_bytes, waited};
use crate::models::{checkpoint, split_tokenizer};

/// Damaged files of each kind.
const ROUNDS: u64 = 400;
/// Set for the child that does the work, so that its memory can be told from other tests'.
const CHILD: &str = "Z1_TEST_MUTATION";
/// Pieces that such files are made of; spliced in, they reach further than noise.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551615",
    b"\\u0000",
    b"[[[[[[[[",
    b"\"weight_map\"",
    b"\"rope_scaling\":{\"type\":\"yarn\"}",
    b"\"vocab_size\":4000000",
    b"\"data_offsets\":[0,9]",
    b"\"added_tokens\"",
    b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\0\0\0\0\0\0\0\x80",
    b"GGUF",
    b"qwen2.block_count",
    b"\x09\0\0\0\x09\0\0\0",
    b"\xC3",
];

/// A few strokes at random places, half of them near the start, where files say what they are.
fn damaged(whole: &[u8], dice: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..dice.random_range(1..6) {
        let reach = if dice.random_bool(0.5) { bytes.len().min(2048) } else { bytes.len() };
        if reach == 0 {
            break;
        }
        let at = dice.random_range(0..reach);
        match dice.random_range(0..6) {
            0 => bytes[at] ^= 1 << dice.random_range(0..8),
            1 => bytes[at] = dice.random(),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + dice.random_range(1..64)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let end = (at + dice.random_range(1..256)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let word = WORDS[dice.random_range(0..WORDS.len())];
                let end = (at + word.len() * usize::from(dice.random_bool(0.5))).min(bytes.len());
                bytes.splice(at..end, word.iter().copied());
            }
        }
    }
    bytes
}

/// Strikes a file again and again, and reads it; the file is whole again at the end.
fn strike(path: &Path, rounds: u64, read: impl Fn()) {
    let whole = fs::read(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    for seed in 0..rounds {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        fs::write(path, damaged(&whole, &mut dice)).unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&read));
        assert!(outcome.is_ok(), "{name}, seed {seed}");
    }
    fs::write(path, whole).unwrap();
}

fn strike_a_gguf(folder: &Path) {
    let path = folder.join("m.gguf");
    Tiny { layers: 1, width: 32, heads: 2, kv_heads: 1, feed_forward: 32, ..Tiny::default() }.write(&path).unwrap();
    strike(&path, 4 * ROUNDS, || {
        let Ok(gguf) = Gguf::open(&path) else { return };
        for tensor in &gguf.tensors {
            let _ = gguf.read_floats(tensor);
        }
        let machine =
            Machine { gpus: Vec::new(), memory_available_bytes: 1 << 33, threads: 1, prefers_plain_weights: true };
        if let Ok(shape) = Shape::of(&gguf) {
            let _ = plan(&LoadOptions::from_path(&path), &shape, &machine);
        }
    });
}

fn strike_a_checkpoint(folder: &Path) {
    let source = folder.join("source");
    let out = folder.join("out.gguf");
    checkpoint(&source, true);
    fs::write(source.join("model.safetensors.index.json"), r#"{"weight_map":{"a":"model.safetensors"}}"#).unwrap();
    let import = || {
        let Ok(plan) = import::Plan::read(&source) else { return };
        // What is read as whole must also be written, or fail with a word.
        let _ = plan.write(&out, "m", None, &z1::cancel::Cancel::new(), |_, _| {});
    };
    let files = ["config.json", "tokenizer_config.json", "generation_config.json", "model.safetensors.index.json"];
    for file in files.into_iter().chain(["tokenizer.json", "model.safetensors"]) {
        strike(&source.join(file), ROUNDS / 4, import);
    }
    split_tokenizer(&source);
    for file in ["vocab.json", "merges.txt", "tokenizer_config.json"] {
        strike(&source.join(file), ROUNDS / 4, import);
    }
}

fn strike_the_store(folder: &Path) {
    let models = folder.join("models");
    fs::create_dir_all(models.join("m")).unwrap();
    let manifest = models.join("m/manifest.json");
    let whole = r#"{"version":1,"name":"m","file":"model.gguf","bytes":3,"sha256":null,"quant":"Q8_0","licence":"MIT",
        "source":"test","known_as":"z1-7b"}"#;
    fs::write(&manifest, whole).unwrap();
    strike(&manifest, ROUNDS, || {
        let store = Store::new(folder);
        let _ = (store.list(), store.get("m"));
    });
    let registry = models.join("models.toml");
    fs::write(&registry, include_str!("../../models/models.toml")).unwrap();
    strike(&registry, ROUNDS, || drop(Registry::load(&registry)));
}

#[test]
fn whatever_happens_to_a_file_its_reader_neither_panics_nor_takes_much_memory() {
    if std::env::var_os(CHILD).is_some() {
        let folder = tempfile::tempdir().unwrap();
        strike_a_gguf(folder.path());
        strike_a_checkpoint(folder.path());
        strike_the_store(folder.path());
        return;
    }
    let name = "mutation::whatever_happens_to_a_file_its_reader_neither_panics_nor_takes_much_memory";
    let mut command = Command::new(std::env::current_exe().unwrap());
    let end = waited(command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").stdout(Stdio::null()));
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert!(end.resident_bytes <= RESIDENT_BYTES_MAX.max(inherited_bytes()), "{} MiB", end.resident_bytes >> 20);
}
