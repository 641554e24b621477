//! Quantising through llama.cpp's own quantiser in its own process.

use z1::cancel::Cancel;
use z1::engine::{Engine, LoadOptions};
use z1::gguf::{Gguf, TensorType, Value, Writer};
use z1::model_store::quantise::name_of;
use z1::prompt::{Message, Role, render_chatml};

use super::{Home, checkpoint};

fn imported(home: &Home) {
    checkpoint(&home.path().join("m"), false);
    home.succeed(&["models", "import", "m", "--storage", "f16"]);
}

#[tokio::test]
async fn every_quantisation_is_made_loads_and_is_smaller_the_fewer_bits_it_has() {
    let home = Home::new();
    imported(&home);
    let mut last = u64::MAX;
    for quant in ["Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K"] {
        let said = home.succeed(&["models", "quantise", "m", quant]);
        let name = format!("m-{}", quant.to_lowercase());
        assert!(said.stdout.contains(&format!("{name} is installed ({quant},")), "{}", said.stdout);
        let gguf = Gguf::open(&home.model(&name)).unwrap();
        assert_eq!(name_of(&gguf), quant);
        assert!(gguf.file_bytes < last, "{quant} has {} bytes, not less than {last}", gguf.file_bytes);
        last = gguf.file_bytes;
        let options = LoadOptions { threads: Some(1), ..LoadOptions::from_path(gguf.path) };
        let engine = Engine::start_llama(options, |_| {}, &Cancel::new()).expect("it loads");
        let prompt = render_chatml(&[Message::new(Role::User, "add")], true);
        assert!(engine.choose(&prompt, &["a", "b"]).await.unwrap().iter().all(|score| score.is_finite()));
    }
    home.succeed(&["models", "quantise", "m", "F32", "--out", "wide.gguf"]);
    assert_eq!(name_of(&Gguf::open(&home.path().join("wide.gguf")).unwrap()), "F32");
}

#[test]
fn an_importance_matrix_changes_the_result_and_a_wrong_one_is_refused() {
    let home = Home::new();
    imported(&home);
    let matrix = |name: &str, columns: usize| {
        let mut writer = Writer::new();
        writer.set("general.type", "imatrix");
        writer.set("imatrix.chunk_count", Value::U32(1));
        for layer in 0..2 {
            for part in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] {
                let width = if part == "ffn_down" { columns * 2 } else { columns };
                writer.tensor(format!("blk.{layer}.{part}.weight.in_sum2"), TensorType::F32, &[width as u64, 1]);
                writer.tensor(format!("blk.{layer}.{part}.weight.counts"), TensorType::F32, &[1, 1]);
            }
        }
        let values = |at: usize| if at.is_multiple_of(7) { 400.0_f32 } else { 0.5 };
        let written = writer.write(&home.path().join(name), |tensor, out| {
            (0..tensor.elements() as usize).try_for_each(|at| out.write_all(&values(at).to_le_bytes()))
        });
        written.unwrap();
    };
    matrix("good.gguf", 256);
    matrix("narrow.gguf", 128);
    home.succeed(&["models", "quantise", "m", "Q4_K_M", "--out", "plain.gguf"]);
    home.succeed(&["models", "quantise", "m", "Q4_K_M", "--out", "weighed.gguf", "--imatrix", "good.gguf"]);
    let tensor = |file: &str| {
        let gguf = Gguf::open(&home.path().join(file)).unwrap();
        gguf.read_tensor(gguf.tensor("blk.0.ffn_up.weight").unwrap()).unwrap()
    };
    assert_ne!(tensor("plain.gguf"), tensor("weighed.gguf"));
    for wrong in ["narrow.gguf", "m/config.json", "nowhere.gguf"] {
        let said = home.run(&["models", "quantise", "m", "Q4_K_M", "--out", "not.gguf", "--imatrix", wrong]);
        assert_eq!(said.code, 1, "{wrong}: {}{}", said.stdout, said.stderr);
        assert!(!home.path().join("not.gguf").exists() && !home.path().join("not.gguf.part").exists());
    }
}

#[test]
fn what_cannot_be_quantised_is_refused_and_leaves_nothing() {
    let home = Home::new();
    imported(&home);
    let refused = |arguments: &[&str], code: i32, word: &str| {
        let said = home.run(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.stderr);
        assert!(said.stderr.contains(word), "{}", said.stderr);
    };
    refused(&["models", "quantise", "m", "Q9_Z"], 2, "Q4_K_M");
    refused(&["models", "quantise", "nothing", "Q8_0"], 4, "not installed");
    refused(&["models", "quantise", "m", "F16", "--name", "m"], 2, "onto itself");
    home.succeed(&["models", "quantise", "m", "Q8_0"]);
    refused(&["models", "quantise", "m-q8_0", "Q4_K_M", "--name", "twice"], 1, "requantiz");
    assert!(!home.path().join("data/models/twice").exists());
}

/// Ctrl-C: the quantiser ends, and nothing of its output stays.
#[cfg(unix)]
#[test]
fn an_interrupt_leaves_no_half_file() {
    use z1::model_store::quantise::{Job, run};
    let home = Home::new();
    imported(&home);
    let cancel = Cancel::new();
    let job = Job {
        input: home.model("m"),
        output: home.path().join("out.gguf"),
        quant: "Q4_K_M".into(),
        threads: 1,
        imatrix: None,
        program: assert_cmd::cargo::cargo_bin("z1"),
    };
    cancel.cancel();
    let problem = run(&job, &cancel, |_, _| {}).unwrap_err();
    assert_eq!(z1::error::exit_of(&problem), z1::error::Exit::Interrupted);
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("out.gguf")), "{left:?}");
}
