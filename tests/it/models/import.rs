//! What is imported says in llama.cpp what the checkpoint says in the trainer.

use std::path::Path;

use safetensors::tensor::Dtype;
use z1::cancel::Cancel;
use z1::engine::{Engine, LoadOptions};
use z1::gguf::{Gguf, TensorType};
use z1::prompt::{Message, Rendered, Role, render_chatml};
use z1::sft::core::cpu::Plan;
use z1::sft::core::exec::Row;
use z1::sft::core::gemm::Precision;
use z1::sft::core::team::Team;
use z1::sft::export::load;
use z1::sft::tokenizer::Tokenizer;

use super::{Home, checkpoint, rewrite, split_tokenizer};

/// Log-probabilities may differ by this.
const TOLERANCE: f32 = 1e-3;
const CHOICES: [&str; 16] = ["a", "b", "c", "d", "e", "f", "x", "0", "1", "2", "(", ")", "=", "+", "\n", " "];

fn prompt() -> Rendered {
    render_chatml(&[Message::new(Role::User, "def add(a, b): é 42\n\tnaïve")], true)
}

fn engine(path: &Path) -> Engine {
    let options = LoadOptions { threads: Some(1), ..LoadOptions::from_path(path) };
    Engine::start_llama(options, |_| {}, &Cancel::new()).expect("what was imported loads")
}

/// The choices' log-probabilities by the trainer's own forward pass over the checkpoint.
fn reference(folder: &Path, tokenizer: &Tokenizer) -> Vec<f32> {
    let model = load::load(folder).unwrap();
    let ids: Vec<u32> = prompt().segments.iter().flat_map(|segment| tokenizer.encode_segment(segment)).collect();
    let row = Row { bounds: vec![0, ids.len()], ids, ..Row::default() };
    let logits = Team::new(&model, Plan::new(&model, Precision::F32), 1, 1).logits(&model, &row);
    let last = &logits[(row.len() - 1) * model.config.vocab_size..];
    let picked: Vec<f32> = CHOICES.iter().map(|choice| last[tokenizer.encode(choice)[0] as usize]).collect();
    let total = picked.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln() as f32;
    picked.iter().map(|logit| logit - total).collect()
}

async fn compare(gguf: &Path, folder: &Path, tokenizer: &Tokenizer, tolerance: f32) {
    let engine = engine(gguf);
    let ours: Vec<u32> = prompt().segments.iter().flat_map(|segment| tokenizer.encode_segment(segment)).collect();
    let theirs: Vec<u32> = engine.tokenize(&prompt()).into_iter().map(|id| id as u32).collect();
    assert_eq!(theirs, ours, "both cut the prompt alike");
    let theirs = engine.choose(&prompt(), &CHOICES).await.unwrap();
    let ours = reference(folder, tokenizer);
    let gap = ours.iter().zip(&theirs).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
    assert!(gap < tolerance, "log-probabilities differ by {gap}");
    let spread = ours.iter().fold(f32::MIN, |top, &x| top.max(x)) - ours.iter().fold(f32::MAX, |low, &x| low.min(x));
    assert!(spread > 20.0 * tolerance, "choices that are all alike would show nothing: {spread}");
}

#[tokio::test]
async fn every_form_of_a_checkpoint_says_the_same_as_in_the_trainer() {
    let forms = [
        (true, Dtype::F32, 1, false),
        (false, Dtype::F32, 3, true),
        (false, Dtype::BF16, 1, false),
        (true, Dtype::F16, 2, true),
    ];
    for (tied, dtype, shards, split) in forms {
        let home = Home::new();
        let folder = home.path().join("My-Model");
        let tokenizer = checkpoint(&folder, tied);
        rewrite(&folder, dtype, shards);
        if split {
            split_tokenizer(&folder);
        }
        let said = home.succeed(&["models", "import", folder.to_str().unwrap(), "--storage", "f32"]);
        assert!(said.stdout.contains("my-model is installed (F32"), "{}", said.stdout);
        let gguf = home.model("my-model");
        assert_eq!(Gguf::open(&gguf).unwrap().tensor("output.weight").is_some(), !tied);
        compare(&gguf, &folder, &tokenizer, TOLERANCE).await;
    }
}

#[tokio::test]
async fn the_checkpoints_own_type_is_kept_bit_by_bit() {
    for (dtype, kind) in [(Dtype::BF16, TensorType::BF16), (Dtype::F16, TensorType::F16)] {
        let home = Home::new();
        let folder = home.path().join("m");
        let tokenizer = checkpoint(&folder, false);
        rewrite(&folder, dtype, 1);
        home.succeed(&["models", "import", "m", "--out", "out.gguf"]);
        let gguf = Gguf::open(&home.path().join("out.gguf")).unwrap();
        let tensor = gguf.tensor("blk.1.ffn_down.weight").unwrap();
        assert_eq!(tensor.kind, kind);
        assert_eq!(gguf.tensor("blk.1.attn_k.bias").unwrap().kind, TensorType::F32, "vectors are always f32");
        let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
        let source = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(
            gguf.read_tensor(tensor).unwrap(),
            source.tensor("model.layers.1.mlp.down_proj.weight").unwrap().data()
        );
        // Products of half floats are rounded on the way.
        compare(&gguf.path, &folder, &tokenizer, 0.05).await;
        assert!(!home.path().join("data").exists(), "--out installs nothing");
    }
}

#[test]
fn metadata_is_what_llama_cpp_s_converter_writes() {
    let home = Home::new();
    checkpoint(&home.path().join("m"), false);
    home.succeed(&["models", "import", "m", "--out", "out.gguf"]);
    let gguf = Gguf::open(&home.path().join("out.gguf")).unwrap();
    let text = |key: &str| gguf.metadata.string(key).unwrap_or_default().to_owned();
    assert_eq!((text("general.architecture"), text("tokenizer.ggml.model")), ("qwen2".into(), "gpt2".into()));
    assert_eq!(text("tokenizer.ggml.pre"), "qwen2");
    assert!(text("tokenizer.chat_template").contains("<|im_start|>"));
    let number = |key: &str| gguf.metadata.unsigned(key);
    assert_eq!((number("qwen2.block_count"), number("qwen2.attention.head_count_kv")), (Some(2), Some(2)));
    let tokens = gguf.metadata.strings("tokenizer.ggml.tokens").unwrap();
    let eos = number("tokenizer.ggml.eos_token_id").unwrap() as usize;
    assert_eq!(tokens[eos], "<|im_end|>");
    assert_eq!(tokens.last().unwrap(), &format!("[PAD{}]", tokens.len() - 1), "the table is as long as the embedding");
}

/// Sets keys of a folder's JSON file.
fn patch(file: &Path, keys: &serde_json::Value) {
    let mut whole: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    whole.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    std::fs::write(file, whole.to_string()).unwrap();
}

#[test]
fn a_stretched_context_and_the_makers_draws_are_carried_or_the_folder_is_refused() {
    let home = Home::new();
    let folder = home.path().join("m");
    checkpoint(&folder, true);
    let yarn = serde_json::json!({ "rope_type": "yarn", "factor": 4.0, "rope_theta": 5e5,
        "original_max_position_embeddings": 128, "beta_fast": 24.0 });
    patch(&folder.join("config.json"), &serde_json::json!({ "rope_parameters": yarn }));
    let draws = serde_json::json!({ "temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05 });
    patch(&folder.join("generation_config.json"), &draws);
    home.succeed(&["models", "import", "m", "--out", "out.gguf"]);
    let metadata = Gguf::open(&home.path().join("out.gguf")).unwrap().metadata;
    let number = |key: &str| metadata.float(key).unwrap() as f32;
    assert_eq!(metadata.string("qwen2.rope.scaling.type"), Some("yarn"));
    assert_eq!(metadata.unsigned("qwen2.rope.scaling.original_context_length"), Some(128));
    let rope =
        ["freq_base", "scaling.factor", "scaling.yarn_beta_fast"].map(|key| number(&format!("qwen2.rope.{key}")));
    assert_eq!(rope.map(f32::to_bits), [5e5_f32, 4.0, 24.0].map(f32::to_bits));
    let drawn = ["temp", "top_p", "penalty_repeat"].map(|key| number(&format!("general.sampling.{key}")));
    assert_eq!(drawn.map(f32::to_bits), [0.7_f32, 0.8, 1.05].map(f32::to_bits));
    assert!(matches!(metadata.get("general.sampling.top_k"), Some(z1::gguf::Value::I32(20))));
    for (keys, word) in [
        (serde_json::json!({ "rope_parameters": { "rope_type": "dynamic", "factor": 2.0 } }), "dynamic"),
        (serde_json::json!({ "rope_parameters": null, "layer_types": ["sliding_attention"] }), "sliding"),
        (serde_json::json!({ "layer_types": null, "hidden_act": "gelu" }), "gelu"),
        (serde_json::json!({ "hidden_act": "silu", "head_dim": 32 }), "another width"),
        (serde_json::json!({ "head_dim": 64, "is_causal": false }), "looks ahead"),
    ] {
        patch(&folder.join("config.json"), &keys);
        let said = home.run(&["models", "import", "m", "--out", "other.gguf"]);
        assert!(said.code == 1 && said.stderr.contains(word), "{word}: {}", said.stderr);
    }
}

#[test]
fn other_architectures_and_broken_folders_are_refused_in_one_line_and_leave_nothing() {
    let home = Home::new();
    let folder = home.path().join("m");
    checkpoint(&folder, false);
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    let refused = |wanted: &str| {
        let said = home.run(&["models", "import", "m"]);
        assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{}", said.stderr);
        assert!(said.stderr.contains(wanted), "{wanted}: {}", said.stderr);
        assert!(!home.path().join("data/models/m").exists(), "{wanted}");
    };
    std::fs::write(folder.join("config.json"), config.replace("Qwen2ForCausalLM", "LlamaForCausalLM")).unwrap();
    refused("Qwen2ForCausalLM is supported");
    std::fs::write(folder.join("config.json"), "{\"architectures\": [\"MambaForCausalLM\"]}").unwrap();
    refused("MambaForCausalLM");
    std::fs::write(
        folder.join("config.json"),
        config.replace("\"use_sliding_window\": false", "\"use_sliding_window\": true"),
    )
    .unwrap();
    refused("sliding");
    std::fs::write(folder.join("config.json"), config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"))
        .unwrap();
    refused("blk.2.");
    std::fs::write(folder.join("config.json"), &config).unwrap();
    let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
    std::fs::write(folder.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    refused("cut short");
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    refused("no *.safetensors");
}
