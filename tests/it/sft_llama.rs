//! What the trainer exports, read by llama.cpp: the same numbers, the same text, the same end.

use std::path::{Path, PathBuf};

use z1::cancel::Cancel;
use z1::engine::{Adapter, Engine, EngineEvent, GenerateRequest, LoadOptions, Sampling, SessionId, WindowSpec};
use z1::prompt::{Message, Rendered, Role, render_chatml};
use z1::sft::core::config::ModelConfig;
use z1::sft::core::cpu::Plan;
use z1::sft::core::exec::Row;
use z1::sft::core::gemm::Precision;
use z1::sft::core::model::Model;
use z1::sft::core::params::{LoraConfig, Target};
use z1::sft::core::team::Team;
use z1::sft::export::gguf_file::{self, Storage};
use z1::sft::export::vocabulary::Vocabulary;
use z1::sft::sample::Sample;
use z1::sft::tokenizer::Tokenizer;
use z1::sft::train::optimiser::{Kind, Optimiser, Rates, Settings};
use z1::sft::{PackedRow, Sequence};
use z1::task::{Finish, Trajectory};

const PAIRS: [(&str, &str); 3] = [
    ("add two numbers", "```python\ndef f(a, b):\n    return a + b\n```"),
    ("say é and 42", "It is é 42, the naïve end."),
    ("count", "1 2 3 4 5 6 7 8 9 10"),
];
/// Log-probabilities of the two may differ by this (they are logits up to a constant).
const LOGIT_TOLERANCE: f32 = 1e-3;

struct Place {
    folder: tempfile::TempDir,
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    config: ModelConfig,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let texts = PAIRS.iter().flat_map(|&(ask, answer)| [ask, answer]);
    let tokenizer = Tokenizer::train(texts.cycle().take(60), 280).unwrap();
    let json = folder.path().join("tokenizer.json");
    tokenizer.save(&json).unwrap();
    // More rows than tokens: the rest is filled up.
    let vocab_size = tokenizer.vocab_size().next_multiple_of(32);
    let vocabulary = Vocabulary::read(&json, vocab_size).unwrap();
    let config = ModelConfig {
        vocab_size,
        hidden: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        ffn: 128,
        context: 256,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
    };
    Place { folder, tokenizer, vocabulary, config }
}

fn sequences(tokenizer: &Tokenizer) -> Vec<Sequence> {
    let sample = |&(ask, answer): &(&str, &str)| Sample {
        messages: vec![Message::new(Role::User, ask), Message::new(Role::Assistant, answer)],
        ..Sample::default()
    };
    PAIRS.iter().map(|pair| sample(pair).sequence(tokenizer)).collect()
}

/// Trains on one packed row until the loss is gone; the last loss.
fn overfit(model: &mut Model, sequences: Vec<Sequence>, lr: f32) -> f64 {
    let row = Row::from(&PackedRow { sequences });
    let mut team = Team::new(model, Plan::new(model, Precision::F32), 1, 1);
    let settings = Settings {
        kind: Kind::Muon,
        weight_decay: 0.0,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        momentum: 0.9,
        clip: 1.0,
        precision: Precision::F32,
    };
    let layout = model.trainable().0.clone();
    let mut optimiser = Optimiser::new(settings, &layout);
    let count = row.targets.len();
    let mut loss = f64::INFINITY;
    for step in 0..400 {
        loss = team.step(model, std::slice::from_ref(&row), 1.0 / count as f32) / count as f64;
        if loss < 2e-3 {
            break;
        }
        let gradients = team.take_gradients();
        let norm = Optimiser::gradient_norm(&mut team, &gradients);
        let rates = Rates { step, lr, lr_matrices: lr };
        optimiser.update(&mut team, &layout, (model.trainable_mut().1, &gradients, norm), rates);
        team.return_gradients(gradients);
        team.weights_changed(model);
    }
    loss
}

fn engine(path: &Path, adapter: Option<PathBuf>) -> Engine {
    let adapter = adapter.map(|path| Adapter { path, scale: 1.0 });
    // One thread: tests run beside one another, and OpenMP's waiting threads would fight.
    let options = LoadOptions { threads: Some(1), adapter, ..LoadOptions::from_path(path) };
    Engine::start_llama(options, |_| {}, &Cancel::new()).expect("the exported model loads")
}

fn ask(text: &str) -> Rendered {
    render_chatml(&[Message::new(Role::User, text)], true)
}

async fn reply(engine: &Engine, text: &str) -> Trajectory {
    let request = GenerateRequest {
        session: SessionId(1),
        prompt: ask(text),
        window: WindowSpec {
            thinking_tokens_max: 100,
            answer_tokens_max: 8,
            hint: "\n\n".to_owned(),
            paper_exact: true,
            ..WindowSpec::default()
        },
        thinking_sampling: Sampling::GREEDY,
        answer_sampling: Sampling::GREEDY,
        candidates: 1,
        seed: 1,
        ..GenerateRequest::default()
    };
    let mut generation = engine.generate(request);
    while let Some(event) = generation.next().await {
        if let EngineEvent::Finished { trajectory, .. } = event.expect("no error") {
            return trajectory;
        }
    }
    panic!("the generation never finished");
}

/// Log-probabilities of single-token choices after a prompt, by the trainer.
fn trained_choices(model: &Model, tokenizer: &Tokenizer, prompt: &Rendered, choices: &[&str]) -> Vec<f32> {
    let ids: Vec<u32> = prompt.segments.iter().flat_map(|segment| tokenizer.encode_segment(segment)).collect();
    let row = Row { bounds: vec![0, ids.len()], ids, ..Row::default() };
    let logits = Team::new(model, Plan::new(model, Precision::F32), 1, 1).logits(model, &row);
    let last = &logits[(row.len() - 1) * model.config.vocab_size..];
    let picked: Vec<f32> = choices
        .iter()
        .map(|choice| {
            let ids = tokenizer.encode(choice);
            assert_eq!(ids.len(), 1, "{choice:?} is one token");
            last[ids[0] as usize]
        })
        .collect();
    let top = picked.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total = picked.iter().map(|logit| (logit - top).exp()).sum::<f32>().ln() + top;
    picked.iter().map(|logit| logit - total).collect()
}

const CHOICES: [&str; 20] =
    ["a", "b", "c", "d", "e", "f", "g", "h", "x", "y", "0", "1", "2", "3", "(", ")", "=", "+", "\n", " "];

fn largest_gap(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

#[tokio::test]
async fn what_was_learnt_by_heart_is_said_and_ended_in_llama_cpp() {
    let place = place();
    let mut model = Model::init(place.config.clone(), 5);
    let loss = overfit(&mut model, sequences(&place.tokenizer), 5e-3);
    assert!(loss < 0.01, "one batch is learnt by heart: {loss}");
    // The engine caches keys and values in F16, which shows in logits as sharp as these.
    for (storage, tolerance) in [(Storage::F32, 1e-2), (Storage::F16, 0.1), (Storage::Q8_0, 1.0)] {
        let path = place.folder.path().join(format!("{storage:?}.gguf"));
        gguf_file::write_model(&path, &model, ("heart", &place.vocabulary), storage).unwrap();
        let engine = engine(&path, None);
        for (asked, answer) in PAIRS {
            let prompt = ask(asked);
            let ids: Vec<u32> = prompt.segments.iter().flat_map(|s| place.tokenizer.encode_segment(s)).collect();
            let theirs: Vec<u32> = engine.tokenize(&prompt).into_iter().map(|id| id as u32).collect();
            assert_eq!(theirs, ids, "both cut the prompt alike");
            let said = reply(&engine, asked).await;
            assert_eq!((said.text.as_str(), said.finish), (answer, Finish::EndOfTurn), "{storage:?}");
            let ours = trained_choices(&model, &place.tokenizer, &prompt, &CHOICES);
            let theirs = engine.choose(&prompt, &CHOICES).await.unwrap();
            let gap = largest_gap(&ours, &theirs);
            assert!(gap < tolerance, "{storage:?}: log-probabilities differ by {gap}");
        }
    }
}

#[tokio::test]
async fn an_adapter_beside_its_base_is_the_merged_model() {
    let place = place();
    let base = Model::init(place.config.clone(), 6);
    let lora = LoraConfig { rank: 8, alpha: 16.0, targets: Target::ALL.to_vec(), ..LoraConfig::default() };
    let mut model = base.clone().with_lora(lora, 1);
    let before = overfit(&mut model.clone(), sequences(&place.tokenizer), 0.0);
    let after = overfit(&mut model, sequences(&place.tokenizer), 1e-2);
    assert!(after < before - 0.5, "the adapter learns: {before} → {after}");
    let file = |name: &str| place.folder.path().join(name);
    gguf_file::write_model(&file("base.gguf"), &base, ("base", &place.vocabulary), Storage::F32).unwrap();
    gguf_file::write_model(&file("merged.gguf"), &model, ("merged", &place.vocabulary), Storage::F32).unwrap();
    gguf_file::write_adapter(&file("adapter.gguf"), model.lora.as_ref().unwrap(), "adapter", None).unwrap();
    let prompt = ask(PAIRS[0].0);
    let ours = trained_choices(&model, &place.tokenizer, &prompt, &CHOICES);
    let merged = engine(&file("merged.gguf"), None).choose(&prompt, &CHOICES).await.unwrap();
    let beside = engine(&file("base.gguf"), Some(file("adapter.gguf"))).choose(&prompt, &CHOICES).await.unwrap();
    let alone = engine(&file("base.gguf"), None).choose(&prompt, &CHOICES).await.unwrap();
    let gaps = (largest_gap(&ours, &merged), largest_gap(&ours, &beside));
    assert!(gaps.0 < LOGIT_TOLERANCE && gaps.1 < LOGIT_TOLERANCE, "{gaps:?}");
    assert!(largest_gap(&ours, &alone) > 0.1, "the adapter matters");
}
