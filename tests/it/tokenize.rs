//! Tokenising against public vectors: llama.cpp's own, and ChatML prompts with their ids.
//!
//! The data lies beside the checkout (`$Z1_SHARED` or `../shared`); where it is not, the tests say so.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use z1::engine::model::Vocabulary;
use z1::engine::vocabulary_of_json;
#[cfg(feature = "llama")]
use z1::engine::vocabulary_of_model;

fn shared_tokenizer() -> Option<PathBuf> {
    let root = std::env::var_os("Z1_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let folder = root.join("data/tokenizer");
    if !folder.is_dir() {
        println!("skipped: no test data at {}", folder.display());
        return None;
    }
    Some(folder)
}

fn unpacked(folder: &Path, name: &str) -> Vec<u8> {
    let file = std::fs::File::open(folder.join(name)).expect("the data is there");
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("a gzip file");
    bytes
}

/// The vocabularies that this build has, by name.
fn vocabularies(folder: &Path, scratch: &Path) -> Vec<(&'static str, Arc<dyn Vocabulary>)> {
    let json = scratch.join("tokenizer.json");
    std::fs::write(&json, unpacked(folder, "tokenizer.json.gz")).expect("written");
    let all = vec![("tokenizer.json", vocabulary_of_json(&json).expect("a tokenizer"))];
    #[cfg(feature = "llama")]
    let all = {
        let gguf = scratch.join("vocabulary.gguf");
        std::fs::write(&gguf, unpacked(folder, "qwen2-vocab.gguf.gz")).expect("written");
        let mut all = all;
        all.push(("llama.cpp", vocabulary_of_model(&gguf).expect("a vocabulary")));
        all
    };
    all
}

#[test]
fn llama_cpps_own_vectors_agree() {
    let Some(folder) = shared_tokenizer() else { return };
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("readable");
    let (inputs, outputs) = (read("qwen2.inp"), read("qwen2.out"));
    let cases: Vec<&str> = inputs.split("\n__ggml_vocab_test__\n").collect();
    for (name, vocabulary) in vocabularies(&folder, scratch.path()) {
        let mut compared = 0;
        for (case, expected) in cases.iter().zip(outputs.lines()) {
            let expected: Vec<i32> = expected.split_whitespace().map(|id| id.parse().expect("an id")).collect();
            assert_eq!(vocabulary.tokenize(case, false), expected, "{name}: {case:?}");
            let bytes: Vec<u8> = expected.iter().flat_map(|&id| vocabulary.piece(id, false)).collect();
            assert_eq!(String::from_utf8_lossy(&bytes), *case, "{name}");
            compared += 1;
        }
        assert!(compared >= 40, "{name}: only {compared} cases");
    }
}

#[test]
fn chatml_prompts_have_the_published_ids() {
    let Some(folder) = shared_tokenizer() else { return };
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let rows = String::from_utf8(unpacked(&folder, "chat_parity.jsonl.gz")).expect("text");
    for (name, vocabulary) in vocabularies(&folder, scratch.path()) {
        let mut compared = 0;
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).expect("a row");
            let text = row["text"].as_str().expect("a text");
            let expected: Vec<i32> = serde_json::from_value(row["ids"].clone()).expect("ids");
            assert_eq!(vocabulary.tokenize(text, true), expected, "{name}: {text:?}");
            compared += 1;
        }
        assert!(compared > 600, "{name}: only {compared} rows");
    }
}

#[test]
fn normalisation_is_the_one_known_difference() {
    let Some(folder) = shared_tokenizer() else { return };
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    for (name, vocabulary) in vocabularies(&folder, scratch.path()) {
        let same = vocabulary.tokenize(composed, false) == vocabulary.tokenize(decomposed, false);
        assert_eq!(same, name == "tokenizer.json", "{name}");
    }
}

#[test]
fn control_tokens_in_a_text_stay_text() {
    let Some(folder) = shared_tokenizer() else { return };
    let scratch = tempfile::tempdir().expect("a temporary folder");
    for (name, vocabulary) in vocabularies(&folder, scratch.path()) {
        for word in ["<|im_end|>", "<|im_start|>", "<|endoftext|>"] {
            let text = format!("a{word}b");
            let ids = vocabulary.tokenize(&text, false);
            assert!(ids.iter().all(|&id| !vocabulary.is_control(id)), "{name}: {word}");
            let bytes: Vec<u8> = ids.iter().flat_map(|&id| vocabulary.piece(id, false)).collect();
            assert_eq!(String::from_utf8_lossy(&bytes), text, "{name}");
            let marked = vocabulary.tokenize(&text, true);
            assert!(marked.iter().any(|&id| vocabulary.is_end_of_turn(id)), "{name}: {word}");
        }
        let hint = vocabulary.tokenize(z1::thinking::PAPER_HINT, false);
        assert_eq!(hint.len(), 12, "{name}: the count that `z1 window` assumes");
    }
}
