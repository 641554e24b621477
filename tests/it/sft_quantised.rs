//! Training on quantised files: blocks, vocabulary and logits are llama.cpp's, gradients are those of the same weights
//! in f32, and an adapter goes back to the base that it was trained on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use z1::gguf::TensorType;
use z1::gguf::tiny::Tiny;
use z1::sft::core::cpu::Plan;
use z1::sft::core::exec::Row;
use z1::sft::core::gemm::Precision;
use z1::sft::core::model::Model;
use z1::sft::core::params::{LoraConfig, Target};
use z1::sft::core::team::Team;
use z1::sft::export::load;
use z1::sft::{PackedRow, Sequence};

/// Every quantised type that can be trained on, by ggml's number.
const KINDS: [TensorType; 10] = [
    TensorType(2),
    TensorType(3),
    TensorType(6),
    TensorType(7),
    TensorType(8),
    TensorType(10),
    TensorType(11),
    TensorType(12),
    TensorType(13),
    TensorType(14),
];

fn quantised(folder: &Path) -> PathBuf {
    let path = folder.join("base.gguf");
    let tiny = Tiny { width: 256, feed_forward: 512, context_tokens_max: 256, kinds: &KINDS, ..Tiny::default() };
    tiny.write(&path).unwrap();
    path
}

fn row() -> Row {
    let sequence = |from: u32, len: u32| Sequence {
        ids: (0..len).map(|i| (from + i * 7) % 250).collect(),
        learn: (0..len).map(|i| i % 3 != 0).collect(),
    };
    Row::from(&PackedRow { sequences: vec![sequence(3, 70), sequence(40, 25)] })
}

/// An adapter that does something.
fn lively(base: Model, lora: LoraConfig) -> Model {
    let mut model = base.with_lora(lora, 3);
    for (i, value) in model.trainable_mut().1.iter_mut().enumerate() {
        *value += 0.02 * (i as f32 * 0.7).cos();
    }
    model
}

fn gradients(model: &Model, recompute: bool) -> (f64, Vec<f32>) {
    let plan = Plan::new(model, Precision::F32).with_recompute(recompute);
    let mut team = Team::new(model, plan, 1, 1);
    let loss = team.step(model, &[row()], 0.01);
    (loss, team.gradients().to_vec())
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    length(&mut a.iter().zip(b).map(|(x, y)| x - y)) / length(&mut b.iter().copied()).max(1e-12)
}

#[test]
fn a_quantised_base_has_the_gradients_of_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = quantised(folder.path());
    let frozen = lively(load::load_frozen(&path).unwrap(), LoraConfig { rank: 4, ..LoraConfig::default() });
    let thawed = lively(load::load(&path).unwrap(), LoraConfig { rank: 4, ..LoraConfig::default() });
    assert!(frozen.params.is_empty() && thawed.params.len() == thawed.layout.len);
    let ((loss, got), (want_loss, want)) = (gradients(&frozen, false), gradients(&thawed, false));
    assert!((loss - want_loss).abs() < 1e-5 * want_loss, "{loss} {want_loss}");
    for tensor in &frozen.trainable().0.tensors {
        let apart = distance(tensor.of(&got), tensor.of(&want));
        assert!(apart < 1e-5, "{}: {apart:e}", tensor.name);
    }
    let again = gradients(&frozen, true);
    assert!(again.0.to_bits() == loss.to_bits() && again.1 == got, "recomputed layers are the same layers");
    assert_eq!(frozen.clone().thawed().params, thawed.params);
}

#[test]
fn an_adapter_on_the_last_layers_has_their_gradients_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = quantised(folder.path());
    let lora = LoraConfig { rank: 2, layers: Some(1), rank_stabilised: true, ..LoraConfig::default() };
    let last = load::load_frozen(&path).unwrap().with_lora(lora.clone(), 3);
    let all = load::load_frozen(&path).unwrap().with_lora(LoraConfig { layers: None, ..lora.clone() }, 3);
    assert!((lora.scale() - 32.0 / 2f32.sqrt()).abs() < 1e-6);
    assert_eq!(last.trainable().0.len * 2, all.trainable().0.len);
    assert!(last.trainable().0.tensors.iter().all(|tensor| tensor.name.starts_with("blk.1.")));
    // Fresh adapters do nothing yet, so both models are the same; the same A gives the same gradient of B.
    let mut all = all;
    let (layout, params) = all.trainable_mut();
    for tensor in &last.trainable().0.tensors {
        let place = layout.find(&tensor.name).unwrap().clone();
        place.of_mut(params).copy_from_slice(tensor.of(last.trainable().1));
    }
    let (some, every) = (gradients(&last, true).1, gradients(&all, true).1);
    for tensor in &last.trainable().0.tensors {
        let place = all.trainable().0.find(&tensor.name).unwrap();
        assert_eq!(tensor.of(&some), place.of(&every), "{}", tensor.name);
    }
}

fn sft(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_z1-sft"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn rows(folder: &Path) {
    let row = |i: u32| {
        let answer = format!("return the user as {i}");
        serde_json::json!({"question": format!("ask {i}"), "response": answer}).to_string() + "\n"
    };
    fs::write(folder.join("rows.jsonl"), (0..12).map(row).collect::<String>()).unwrap();
}

/// One line trains an adapter: the run is small, goes on after an interruption, and knows its base.
#[test]
fn one_line_trains_an_adapter_that_knows_its_base() {
    let folder = tempfile::tempdir().unwrap();
    let base = quantised(folder.path());
    rows(folder.path());
    let line = ["train", "--model", "base.gguf", "--data", "rows.jsonl", "--rank", "4", "--row-tokens", "128"];
    let with = |more: &[&str]| sft(folder.path(), &[&line[..], more].concat());
    let set = ["--set", "train.checkpoint_steps=2", "--set", "train.batch_rows=2"];
    let (code, said) = with(&[&["--steps", "6", "--out", "whole"], &set[..]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("weights in their file"), "{said}");
    let (code, said) = with(&[&["--steps", "6", "--out", "cut"], &set[..]].concat());
    assert_eq!(code, 0, "{said}");
    // As if it had been killed after step 4.
    for gone in ["step-00000006.safetensors", "final.safetensors"] {
        fs::remove_file(folder.path().join("cut").join(gone)).unwrap();
    }
    let (code, said) = with(&[&["--steps", "6", "--out", "cut", "--resume"], &set[..]].concat());
    assert!(code == 0 && said.contains("going on from step 4"), "{said}");
    let final_of = |run: &str| fs::read(folder.path().join(run).join("final.safetensors")).unwrap();
    assert!(final_of("cut") == final_of("whole"), "to the bit");
    assert!(final_of("whole").len() < fs::metadata(&base).unwrap().len() as usize, "no weights of the base");
    let (code, said) = with(&[&["--steps", "8", "--lr", "1e-3", "--out", "cut", "--resume"], &set[..]].concat());
    assert!(code == 0 && said.contains("train.lr: 0.0002 → 0.001") && said.contains("6 steps → 8 steps"), "{said}");
    let tuned = load::load(&folder.path().join("whole/final.safetensors")).unwrap();
    assert_eq!(tuned.lora.as_ref().unwrap().config.targets, Target::ALL);
    let (code, said) = sft(folder.path(), &["export", "whole", "--adapter", "--out", "a.gguf"]);
    assert_eq!(code, 0, "{said}");
    // Another base of the same shape is refused by name.
    Tiny { seed: 9, width: 256, feed_forward: 512, context_tokens_max: 256, kinds: &KINDS, ..Tiny::default() }
        .write(&base)
        .unwrap();
    let (code, said) = with(&[&["--steps", "8", "--out", "cut", "--resume"], &set[..]].concat());
    assert!(code == 2 && said.contains("base: "), "{code} {said}");
    let refused = load::load(&folder.path().join("whole/final.safetensors")).unwrap_err().to_string();
    assert!(refused.contains("not the base"), "{refused}");
}

#[test]
fn a_model_that_does_not_fit_is_refused_from_its_header() {
    let folder = tempfile::tempdir().unwrap();
    quantised(folder.path());
    rows(folder.path());
    let line = ["train", "--model", "base.gguf", "--data", "rows.jsonl", "--out", "x", "--set", "train.lanes=40000000"];
    let (code, said) = sft(folder.path(), &line);
    assert!(code == 1 && said.contains("this would fit") && said.contains("train.lanes=1"), "{code} {said}");
    assert!(!folder.path().join("x").exists(), "nothing was begun");
}

#[cfg(feature = "llama")]
mod beside_llama {
    use super::*;
    use z1::cancel::Cancel;
    use z1::engine::{Adapter, Engine, LoadOptions};
    use z1::gguf::tiny;
    use z1::prompt::{Message, Role, render_chatml};
    use z1::sft::export::gguf_file;
    use z1::sft::tokenizer::Tokenizer;

    const LOGIT_TOLERANCE: f32 = 2e-2;

    #[test]
    fn every_type_becomes_the_numbers_that_ggml_makes() {
        for kind in KINDS {
            let bytes = tiny::random_blocks(kind, 40, u64::from(kind.0));
            let (numbers, _) = kind.block().unwrap();
            let mut got = vec![0.0; 40 * numbers as usize];
            assert!(kind.dequantise(&bytes, &mut got));
            let mut want = vec![0.0f32; got.len()];
            #[expect(unsafe_code, reason = "ggml is C")]
            // SAFETY: the type is one of ggml's, `bytes` are whole blocks of it and `want` has room for their numbers.
            unsafe {
                let traits = llama_cpp_sys_2::ggml_get_type_traits(kind.0);
                let to_float = (*traits).to_float.expect("ggml reads the type");
                to_float(bytes.as_ptr().cast(), want.as_mut_ptr(), want.len() as i64);
            }
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert!(bits(&got) == bits(&want), "{}", kind.name());
            assert!(got.iter().any(|value| value.to_bits() != got[0].to_bits()), "{}", kind.name());
        }
    }

    fn unpacked(folder: &Path, name: &str) -> Vec<u8> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(fs::File::open(folder.join(name)).unwrap()).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Text of all kinds put together at random: words, code, marks, spaces, control tokens as people type them.
    fn random_text(seed: u64) -> String {
        const PIECES: [&str; 24] = [
            "def ",
            "return",
            "x",
            "12",
            "3.5e-7",
            " ",
            "  ",
            "\n",
            "\n\n",
            "\t",
            "é",
            "e\u{301}",
            "中文",
            "🙂",
            "'s",
            "'LL",
            "<|im_end|>",
            "<tool_call>",
            "</tool_call>",
            "<|fim_prefix|>",
            "[PAD151700]",
            "==",
            "\u{a0}",
            "\r\n",
        ];
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        (0..next() % 40).map(|_| PIECES[next() % PIECES.len()]).collect()
    }

    #[test]
    fn a_real_vocabulary_cuts_every_text_as_llama_cpp_does() {
        let root = std::env::var_os("Z1_SHARED")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
        let folder = root.join("data/tokenizer");
        if !folder.is_dir() {
            println!("skipped: no test data at {}", folder.display());
            return;
        }
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("vocabulary.gguf");
        fs::write(&path, unpacked(&folder, "qwen2-vocab.gguf.gz")).unwrap();
        let (ours, theirs) = (Tokenizer::load(&path).unwrap(), z1::engine::vocabulary_of_model(&path).unwrap());
        let vectors = fs::read_to_string(folder.join("qwen2.inp")).unwrap();
        let mut texts: Vec<String> = vectors.split("\n__ggml_vocab_test__\n").map(str::to_owned).collect();
        texts.extend((0..500).map(random_text));
        for text in &texts {
            let want: Vec<u32> = theirs.tokenize(text, false).into_iter().map(|id| id as u32).collect();
            assert_eq!(ours.encode(text), want, "{text:?}");
        }
        let rows = String::from_utf8(unpacked(&folder, "chat_parity.jsonl.gz")).unwrap();
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            let text = row["text"].as_str().unwrap().to_owned();
            let ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).unwrap();
            let frame = z1::prompt::Segment { text, special: true, learn: false };
            assert_eq!(ours.encode_segment(&frame), ids, "{:?}", frame.text);
        }
    }

    fn engine(path: &Path, adapter: Option<PathBuf>) -> Engine {
        let adapter = adapter.map(|path| Adapter { path, scale: 1.0 });
        let options = LoadOptions { threads: Some(1), adapter, ..LoadOptions::from_path(path) };
        Engine::start_llama(options, |_| {}, &Cancel::new()).expect("the model loads")
    }

    /// Log-probabilities of single tokens after a prompt, by the trainer and by llama.cpp with the same adapter beside
    /// the same file; the largest difference.
    async fn logit_gap(path: &Path, strength: f32) -> f32 {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = Tokenizer::load(path).unwrap();
        let lora = LoraConfig { rank: 4, rank_stabilised: true, ..LoraConfig::default() };
        let mut model = load::load_frozen(path).unwrap().with_lora(lora, 3);
        for (i, value) in model.trainable_mut().1.iter_mut().enumerate() {
            *value += strength * (i as f32 * 0.7).cos();
        }
        model.base = Some(load::base_file(path).unwrap());
        let adapter = folder.path().join("a.gguf");
        gguf_file::write_adapter(&adapter, model.lora.as_ref().unwrap(), "a", model.base.as_ref()).unwrap();
        let engine = engine(path, Some(adapter));
        let prompt = render_chatml(&[Message::new(Role::User, "def f(x): return the user of x")], true);
        let ids: Vec<u32> = prompt.segments.iter().flat_map(|segment| tokenizer.encode_segment(segment)).collect();
        let theirs: Vec<u32> = engine.tokenize(&prompt).into_iter().map(|id| id as u32).collect();
        assert_eq!(ids, theirs);
        let choices = ["a", "b", "c", "x", "0", "1", "(", "=", "\n", " "];
        let theirs = engine.choose(&prompt, &choices).await.unwrap();
        let row = Row { bounds: vec![0, ids.len()], ids, ..Row::default() };
        let logits = Team::new(&model, Plan::new(&model, Precision::F32), 1, 1).logits(&model, &row);
        let last = &logits[(row.len() - 1) * model.config.vocab_size..];
        let picked: Vec<f32> = choices.iter().map(|choice| last[tokenizer.encode(choice)[0] as usize]).collect();
        let top = picked.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total = picked.iter().map(|logit| (logit - top).exp()).sum::<f32>().ln() + top;
        picked.iter().zip(&theirs).map(|(ours, theirs)| (ours - total - theirs).abs()).fold(0.0, f32::max)
    }

    #[tokio::test]
    async fn logits_with_the_adapter_are_llama_cpps() {
        let folder = tempfile::tempdir().unwrap();
        let gap = logit_gap(&quantised(folder.path()), 0.02).await;
        // llama.cpp rounds activations to eight bits before it multiplies.
        assert!(gap < LOGIT_TOLERANCE, "log-probabilities differ by {gap}");
    }

    /// The same on a model of the user's: `Z1_REAL_MODEL=FILE.gguf`.
    #[tokio::test]
    async fn logits_of_a_real_model_with_an_adapter_are_llama_cpps() {
        let Some(path) = std::env::var_os("Z1_REAL_MODEL").map(PathBuf::from) else {
            println!("skipped: no $Z1_REAL_MODEL");
            return;
        };
        let gap = logit_gap(&path, 2e-4).await;
        println!("{}: log-probabilities differ by {gap}", path.display());
        assert!(gap < LOGIT_TOLERANCE, "log-probabilities differ by {gap}");
    }

    #[test]
    fn the_tiny_vocabulary_cuts_text_as_llama_cpp_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = quantised(folder.path());
        let tokenizer = Tokenizer::load(&path).unwrap();
        let engine = engine(&path, None);
        let texts = ["def f(x):\n    return 12 in the\n\n\n", "é ü 中文 <|im_end|> </s>\t\r\n", "  a  user's  'll 007"];
        for text in texts {
            let theirs: Vec<u32> = engine.tokenize_text(text, false).into_iter().map(|id| id as u32).collect();
            assert_eq!(tokenizer.encode(text), theirs, "{text:?}");
        }
    }
}
