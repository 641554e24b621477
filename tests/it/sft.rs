//! The trainer as a whole: golden gradients, runs that are killed and resumed, bad recipes, round trips
//! through every file format.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use z1::sft::core::cpu::Plan;
use z1::sft::core::exec::Row;
use z1::sft::core::gemm::Precision;
use z1::sft::core::model::Model;
use z1::sft::core::params::{LoraConfig, Target};
use z1::sft::core::team::Team;
use z1::sft::export::gguf_file::{self, Storage};
use z1::sft::export::vocabulary::Vocabulary;
use z1::sft::export::{hf, load};
use z1::sft::tokenizer::Tokenizer;
use z1::sft::train::checkpoint;
use z1::sft::{PackedRow, Sequence, tensor_file};

/// Written by `scripts/golden.py`: an independent forward pass in double precision, gradients by central
/// differences.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sft/golden.safetensors")
}

fn relative_error(got: &[f32], want: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let gap = length(&mut got.iter().zip(want).map(|(g, w)| f64::from(g - w)));
    gap / length(&mut want.iter().map(|&w| f64::from(w))).max(1e-12)
}

#[test]
fn loss_logits_and_every_gradient_agree_with_the_reference() {
    let tolerance = 1e-5;
    let loaded = tensor_file::read(&golden()).unwrap();
    let want_loss: f64 = loaded.metadata["loss"].parse().unwrap();
    let sequences: Vec<Sequence> = serde_json::from_str(&loaded.metadata["sequences"]).unwrap();
    let expected = loaded.tensors.clone();
    let model = checkpoint::load_model(loaded).unwrap().unwrap();
    let row = Row::from(&PackedRow { sequences: sequences.clone() });
    let mut team = Team::new(&model, Plan::new(&model, Precision::F32), 1, 1);
    let count = row.targets.len();
    let loss = team.step(&model, std::slice::from_ref(&row), 1.0 / count as f32) / count as f64;
    assert!((loss - want_loss).abs() / want_loss < tolerance, "loss {loss}, not {want_loss}");
    for tensor in &model.layout.tensors {
        let want = &expected[&format!("grad.{}", tensor.name)].1;
        let error = relative_error(tensor.of(team.gradients()), want);
        assert!(error < tolerance, "{}: relative error {error:.2e}", tensor.name);
    }
    let together = team.logits(&model, &row);
    let want: Vec<f32> = (0..sequences.len()).flat_map(|i| expected[&format!("logits.{i}")].1.clone()).collect();
    let error = relative_error(&together, &want);
    assert!(error < tolerance, "logits: relative error {error:.2e}");
}

const RECIPE: &str = "
    [model]
    vocab_size = 300
    hidden = 32
    layers = 2
    heads = 2
    kv_heads = 1
    ffn = 64
    context = 64
    [data]
    train = ['train.jsonl']
    held_out = ['train.jsonl']
    row_tokens = 64
    [train]
    steps = 24
    batch_rows = 4
    lanes = 2
    threads = 2
    warmup_steps = 2
    checkpoint_steps = 4
    checkpoint_minutes = 0.0
    eval_steps = 8
";

fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("recipe.toml"), RECIPE).unwrap();
    let rows = (0..60u32).map(|i| {
        let ids: Vec<u32> = (0..10 + i % 30).map(|j| (i * 7 + j * (1 + i % 5)) % 300).collect();
        format!("{{\"ids\":{ids:?},\"learn\":{:?}}}\n", vec![true; ids.len()])
    });
    fs::write(folder.path().join("train.jsonl"), rows.collect::<String>()).unwrap();
    folder
}

fn sft(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_z1-sft"));
    command.current_dir(folder).args(arguments);
    command
}

/// Runs to the end; the exit code and what was said.
fn finish(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = sft(folder, arguments).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_killed_run_goes_on_and_ends_with_the_same_bytes() {
    let folder = workplace();
    let (code, said) = finish(folder.path(), &["train", "recipe.toml", "--out", "whole"]);
    assert_eq!(code, 0, "{said}");
    // Never ends by itself: killed without warning as soon as there is a checkpoint.
    let endless = ["train", "recipe.toml", "--out", "cut", "--set", "train.keep_checkpoints=1000"];
    let mut child = sft(folder.path(), &endless).stderr(Stdio::null()).spawn().unwrap();
    let cut = folder.path().join("cut");
    let begin = Instant::now();
    while checkpoint::list(&cut).is_empty() && begin.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!checkpoint::list(&cut).is_empty(), "the run saved something before it was killed");
    // Whatever came after the first checkpoint is thrown away, so that there is something left to do.
    checkpoint::list(&cut).iter().skip(1).for_each(|(_, path)| fs::remove_file(path).unwrap());
    let _ = fs::remove_file(cut.join("final.safetensors"));
    let again = ["train", "recipe.toml", "--out", "cut", "--resume", "--threads", "1"];
    let (code, said) = finish(folder.path(), &again);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("going on from step 4"), "{said}");
    for name in ["final.safetensors", "step-00000024.safetensors", "best.safetensors"] {
        let (a, b) = (fs::read(folder.path().join("whole").join(name)), fs::read(cut.join(name)));
        assert!(a.unwrap() == b.unwrap(), "{name} differs");
    }
    let records = z1::sft::train::metrics::read(&cut.join("metrics.jsonl")).unwrap();
    assert_eq!(records.len(), 24 + 3, "no step is missing or counted twice");
}

#[cfg(unix)]
#[test]
fn a_termination_saves_and_leaves() {
    let folder = workplace();
    let long = ["train", "recipe.toml", "--out", "run", "--steps", "100000000"];
    let mut child = sft(folder.path(), &long).stderr(Stdio::null()).spawn().unwrap();
    let run = folder.path().join("run");
    let begin = Instant::now();
    while checkpoint::list(&run).is_empty() && begin.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let (step, _) = checkpoint::list(&run).pop().unwrap();
    let (found, notes) = checkpoint::Checkpoint::newest(&run).unwrap();
    assert_eq!((found.unwrap().state.step, notes.len()), (step, 0));
}

#[test]
fn a_checkpoint_of_another_run_is_refused_and_nothing_is_touched() {
    let folder = workplace();
    let run = ["train", "recipe.toml", "--out", "run", "--steps", "4"];
    assert_eq!(finish(folder.path(), &run).0, 0);
    let before = fs::read(folder.path().join("run/step-00000004.safetensors")).unwrap();
    let (code, said) = finish(folder.path(), &run);
    assert!(code == 2 && said.contains("--resume"), "{code} {said}");
    for (change, word) in [("model.ffn=96", "model"), ("train.optimiser=adamw", "optimiser"), ("train.seed=9", "seed")]
    {
        let (code, said) = finish(folder.path(), &[&run[..], &["--resume", "--set", change]].concat());
        assert!(code == 2 && said.contains(word) && said.contains("hint"), "{change}: {code} {said}");
    }
    // A changed seed is fine where it is said to be meant; a changed model never.
    let more = ["train", "recipe.toml", "--out", "run", "--steps", "6", "--resume-changed"];
    assert_eq!(finish(folder.path(), &[&more[..], &["--set", "model.ffn=96"]].concat()).0, 2);
    assert_eq!(fs::read(folder.path().join("run/step-00000004.safetensors")).unwrap(), before);
    let (code, said) = finish(folder.path(), &[&more[..], &["--seed", "9"]].concat());
    assert!(code == 0 && said.contains("going on with a change"), "{code} {said}");
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_named() {
    let folder = workplace();
    assert_eq!(finish(folder.path(), &["train", "recipe.toml", "--out", "run", "--steps", "8"]).0, 0);
    let newest = folder.path().join("run/step-00000008.safetensors");
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..whole.len() / 2]).unwrap();
    let (code, said) = finish(folder.path(), &["train", "recipe.toml", "--out", "run", "--steps", "8", "--resume"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("passed over") && said.contains("going on from step 4"), "{said}");
    assert!(fs::read(&newest).unwrap() == whole, "the step is done again, to the same bytes");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint() {
    let folder = workplace();
    assert_eq!(finish(folder.path(), &["train", "recipe.toml", "--out", "run", "--steps", "4"]).0, 0);
    let wild = ["train", "recipe.toml", "--out", "run", "--steps", "40", "--resume", "--lr", "1e30"];
    let (code, said) = finish(folder.path(), &wild);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the loss is") && said.contains("step 4 is kept"), "{said}");
    assert_eq!(checkpoint::list(&folder.path().join("run")).len(), 1);
}

#[test]
fn bad_data_is_named() {
    let folder = workplace();
    let with = |change: &str| finish(folder.path(), &["train", "recipe.toml", "--out", "run", "--set", change]);
    let (code, said) = with("data.train=['nothing.jsonl']");
    assert!(code == 1 && said.contains("nothing.jsonl"), "{code} {said}");
    let (code, said) = with("model.vocab_size=100");
    assert!(code == 1 && said.contains("vocabulary of 100"), "{code} {said}");
    let (code, said) = with("data.row_tokens=4");
    assert!(code == 1 && said.contains("no sequence is left"), "{code} {said}");
    fs::write(folder.path().join("words.jsonl"), "{\"messages\":[]}\n").unwrap();
    let (code, said) = with("data.train=['words.jsonl']");
    assert!(code == 2 && said.contains("tokenizer"), "{code} {said}");
}

fn small_tokenizer(folder: &Path) -> (PathBuf, Tokenizer) {
    let text = ["def f(x):\n    return x + 1\n", "the answer is 42, the end\n"];
    let tokenizer = Tokenizer::train(text.into_iter().cycle().take(64), 272).unwrap();
    let path = folder.join("tokenizer.json");
    tokenizer.save(&path).unwrap();
    (path, tokenizer)
}

fn small_model(tokenizer: &Tokenizer) -> Model {
    let config = z1::sft::core::config::ModelConfig {
        vocab_size: tokenizer.vocab_size(),
        hidden: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        ffn: 96,
        context: 128,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied: true,
    };
    Model::init(config, 3)
}

#[test]
fn a_model_comes_back_from_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let (json, tokenizer) = small_tokenizer(folder.path());
    let model = small_model(&tokenizer);
    let vocabulary = Vocabulary::read(&json, model.config.vocab_size).unwrap();
    let gguf = folder.path().join("m.gguf");
    gguf_file::write_model(&gguf, &model, ("small", &vocabulary), Storage::F32).unwrap();
    hf::write_model(&folder.path().join("hf"), &model, &vocabulary, &json).unwrap();
    checkpoint::save_model(&folder.path().join("m.safetensors"), &model).unwrap();
    for name in ["m.gguf", "hf", "hf/model.safetensors", "m.safetensors"] {
        let back = load::load(&folder.path().join(name)).unwrap();
        assert!(back.config == model.config && back.params == model.params, "{name}");
    }
    gguf_file::write_model(&gguf, &model, ("small", &vocabulary), Storage::Q8_0).unwrap();
    let near = load::load(&gguf).unwrap();
    assert!(near.config == model.config && near.params != model.params, "Q8_0 is read, and is not exact");
    assert!(load::load(&golden()).is_ok(), "any file with the shape in it can be started from");
}

#[test]
fn an_adapter_trains_and_leaves_its_base_alone() {
    let folder = workplace();
    assert_eq!(finish(folder.path(), &["train", "recipe.toml", "--out", "base", "--steps", "4"]).0, 0);
    let recipe = RECIPE.split("[data]").nth(1).unwrap();
    let lora = "\n[lora]\nrank = 2\nalpha = 4.0\ntargets = ['q', 'v', 'down']\n";
    fs::write(folder.path().join("lora.toml"), format!("[data]{recipe}{lora}")).unwrap();
    let run = ["train", "lora.toml", "--out", "lora", "--init", "base/final.safetensors"];
    let (code, said) = finish(folder.path(), &run);
    assert_eq!(code, 0, "{said}");
    let base = load::load(&folder.path().join("base/final.safetensors")).unwrap();
    let tuned = load::load(&folder.path().join("lora/final.safetensors")).unwrap();
    assert!(base.params == tuned.params, "the base is frozen");
    let want =
        LoraConfig { rank: 2, alpha: 4.0, targets: vec![Target::Q, Target::V, Target::Down], ..LoraConfig::default() };
    let lora = tuned.lora.as_ref().unwrap();
    assert_eq!(lora.config, want);
    assert!(lora.layout.tensors.iter().all(|t| t.of(&lora.params).iter().any(|&v| v != 0.0)), "all parts learnt");
    let (code, said) = finish(folder.path(), &["export", "lora", "--out", "a.gguf", "--adapter"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        z1::gguf::Gguf::open(&folder.path().join("a.gguf")).unwrap().tensor("blk.0.attn_q.weight.lora_a").is_some()
    );
    let (code, said) = finish(folder.path(), &["export", "base", "--out", "a.gguf", "--adapter"]);
    assert!(code == 2 && said.contains("no adapter"), "{code} {said}");
}

#[test]
fn an_adapter_with_dropout_is_resumed_to_the_bit_and_another_rate_is_refused() {
    let folder = workplace();
    assert_eq!(finish(folder.path(), &["train", "recipe.toml", "--out", "base", "--steps", "4"]).0, 0);
    let recipe = RECIPE.split("[data]").nth(1).unwrap();
    fs::write(folder.path().join("lora.toml"), format!("[data]{recipe}\n[lora]\nrank = 2\ndropout = 0.25\n")).unwrap();
    let run = |out: &str, more: &[&str]| {
        let begin = ["train", "lora.toml", "--init", "base/final.safetensors", "--out", out];
        finish(folder.path(), &[&begin[..], more].concat())
    };
    let (code, said) = run("whole", &[]);
    assert_eq!(code, 0, "{said}");
    let (first, path) = checkpoint::list(&folder.path().join("whole")).remove(0);
    assert!(first < 24);
    fs::create_dir(folder.path().join("cut")).unwrap();
    fs::copy(&path, folder.path().join("cut").join(path.file_name().unwrap())).unwrap();
    let (code, said) = run("cut", &["--resume", "--threads", "1"]);
    assert!(code == 0 && said.contains(&format!("going on from step {first}")), "{said}");
    let bytes = |out: &str| fs::read(folder.path().join(out).join("final.safetensors")).unwrap();
    assert!(bytes("whole") == bytes("cut"), "the same values were left out");
    let (code, said) = run("plain", &["--set", "lora.dropout=0.0"]);
    assert_eq!(code, 0, "{said}");
    let values =
        |out: &str| load::load(&folder.path().join(out).join("final.safetensors")).unwrap().lora.unwrap().params;
    assert!(values("plain") != values("whole"), "dropout does something");
    let (code, said) = run("cut", &["--resume", "--set", "lora.dropout=0.5"]);
    assert!(code == 2 && said.contains("dropout"), "{code} {said}");
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let folder = workplace();
    let (path, tokenizer) = small_tokenizer(folder.path());
    let row = r#"{"messages":[{"role":"user","content":"abc"},{"role":"assistant","content":"the answer is 42"}]}"#;
    fs::write(folder.path().join("words.jsonl"), format!("{row}\n").repeat(8)).unwrap();
    let tokens = format!("data.tokenizer={}", path.display());
    let rows = format!("model.vocab_size={}", tokenizer.vocab_size() - 1);
    let set = ["--set", "data.train=['words.jsonl']", "--set", "data.held_out=[]", "--set", &tokens, "--set", &rows];
    let (code, said) = finish(folder.path(), &[&["train", "recipe.toml", "--out", "run"], &set[..]].concat());
    assert!(code == 2 && said.contains("the model only") && said.contains("hint"), "{code} {said}");
    assert!(checkpoint::list(&folder.path().join("run")).is_empty());
}

#[test]
fn the_execution_filter_keeps_what_passes_its_own_tests() {
    let folder = tempfile::tempdir().unwrap();
    let row = |id: &str, code: &str, tests: &str| {
        let response = format!("Think.\n\n```python\ndef f(x):\n    return {code}\n```");
        serde_json::json!({"id": id, "question": format!("Write {id}."), "response": response, "tests": tests})
            .to_string()
    };
    let rows = [
        row("right", "x + 1", "assert f(1) == 2"),
        row("wrong", "x - 1", "assert f(1) == 2"),
        row("endless", "[0 for _ in iter(int, 1)]", "assert f(1) == 2"),
        row("untested", "x", ""),
        r#"{"id":"prose","question":"Why?","response":"Because.","tests":"assert f(1) == 2"}"#.to_owned(),
    ];
    fs::write(folder.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    let run = |more: &[&str]| {
        let arguments = [&["data", "rows.jsonl", "--json", "--out", "kept.jsonl", "--execute"], more].concat();
        let output = sft(folder.path(), &arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let kept = fs::read_to_string(folder.path().join("kept.jsonl")).unwrap_or_default();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned(), said, kept)
    };
    let (done, report, said, kept) = run(&[]);
    if !done && said.contains("sandbox") {
        println!("skipped: {said}");
        return;
    }
    assert!(done && kept.lines().count() == 1 && kept.contains("\"right\""), "{said}\n{kept}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let dropped = &report["dropped"];
    assert_eq!(
        (&dropped["its code fails its tests"], &dropped["has no code to run"]),
        (&2.into(), &1.into()),
        "{report}"
    );
    assert_eq!((&dropped["has no tests to run"], &report["passed_filters"]), (&1.into(), &1.into()), "{report}");
    let (_, _, _, kept) = run(&["--keep-untested"]);
    assert_eq!(kept.lines().count(), 2, "{kept}");
}

/// The tokens and the learnt tokens of each row of a hand-over's shards, in their order.
fn handed_rows(folder: &Path) -> Vec<(u64, u64)> {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;
    let run: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
    let shards = run["data"]["train"].as_array().unwrap().iter().map(|shard| shard["file"].as_str().unwrap());
    let mut rows = Vec::new();
    for shard in shards {
        let reader = SerializedFileReader::new(fs::File::open(folder.join(shard)).unwrap()).unwrap();
        for row in reader.get_row_iter(None).unwrap() {
            let row = row.unwrap();
            let [ids, labels, positions] = [0, 1, 2].map(|column| row.get_list(column).unwrap().elements().to_vec());
            assert!(ids.len() == labels.len() && ids.len() == positions.len());
            assert!(
                ids.iter().zip(&labels).all(|(id, label)| id == label || *label == parquet::record::Field::Int(-100))
            );
            let learnt = labels.iter().filter(|label| **label != parquet::record::Field::Int(-100)).count();
            rows.push((ids.len() as u64, learnt as u64));
        }
    }
    rows
}

#[test]
fn a_run_that_is_handed_over_holds_the_rows_of_the_run_itself() {
    let folder = workplace();
    let (tokens, tokenizer) = small_tokenizer(folder.path());
    let more = [
        "--set".to_owned(),
        "train.optimiser=adamw".to_owned(),
        "--set".to_owned(),
        format!("data.tokenizer={}", tokens.display()),
    ];
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    assert!(tokenizer.vocab_size() <= 300);
    // Several epochs: the rows of each are others.
    let (code, said) = finish(folder.path(), &[&["train", "recipe.toml", "--out", "run"], &more[..]].concat());
    assert_eq!(code, 0, "{said}");
    let (code, said) = finish(folder.path(), &[&["hand-over", "recipe.toml", "--out", "given"], &more[..]].concat());
    assert_eq!(code, 0, "{said}");
    let given = folder.path().join("given");
    let run: serde_json::Value = serde_json::from_slice(&fs::read(given.join("run.json")).unwrap()).unwrap();
    assert_eq!((&run["steps"], &run["data"]["rows_per_step"]), (&24.into(), &4.into()), "{run}");
    assert_eq!((&run["schedule"]["warmup_steps"], &run["optimiser"]["clip"]), (&2.into(), &1.0.into()), "{run}");
    let records = z1::sft::train::metrics::read(&folder.path().join("run/metrics.jsonl")).unwrap();
    let steps: Vec<(u64, u64)> = records
        .iter()
        .filter_map(|record| match record {
            z1::sft::train::metrics::Record::Step(step) => Some((step.tokens, step.learnt_tokens)),
            z1::sft::train::metrics::Record::Eval(_) => None,
        })
        .collect();
    let rows = handed_rows(&given);
    let sum = |rows: &[(u64, u64)]| rows.iter().fold((0, 0), |all, row| (all.0 + row.0, all.1 + row.1));
    assert_eq!(rows.chunks(4).map(sum).collect::<Vec<_>>(), steps, "each step has the tokens of the trainer's own");
    let found = checkpoint::Checkpoint::newest(&folder.path().join("run")).unwrap().0.unwrap();
    assert_eq!(run["data"]["fingerprint"], found.identity["data"].as_str());
    // The weights that it begins with are those that a run of no steps would have.
    let begin = load::load(&given.join("model")).unwrap();
    assert!(begin.params == Model::init(begin.config.clone(), 1).params);
    for name in ["README.md", "train.py", "requirements.txt", "data/held-out-00000.parquet", "model/tokenizer.json"] {
        assert!(given.join(name).is_file(), "{name}");
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
    let script = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')";
    match Command::new("python3").args(["-c", script]).arg(given.join("train.py")).status() {
        Ok(status) => assert!(status.success()),
        Err(why) => println!("skipped: python3 is not there ({why})"),
    }
}

/// A folder as Hugging Face has it, of small random weights.
fn small_folder(folder: &Path) -> PathBuf {
    let (json, tokenizer) = small_tokenizer(folder);
    let model = small_model(&tokenizer);
    let vocabulary = Vocabulary::read(&json, model.config.vocab_size).unwrap();
    let base = folder.join("base");
    hf::write_model(&base, &model, &vocabulary, &json).unwrap();
    base
}

#[test]
fn an_adapter_is_handed_over_with_its_first_values() {
    let folder = workplace();
    small_folder(folder.path());
    fs::write(folder.path().join("few.jsonl"), "{\"ids\":[1,2,3,4],\"learn\":[false,true,true,true]}\n").unwrap();
    let run = ["hand-over", "--model", "base", "--data", "few.jsonl", "--rank", "3", "--layers", "1", "--seed", "7"];
    let (code, said) = finish(folder.path(), &run);
    assert_eq!(code, 0, "{said}");
    let given = folder.path().join("hand-over");
    assert!(!given.join("model").exists(), "the base stays where it is");
    let about: serde_json::Value =
        serde_json::from_slice(&fs::read(given.join("adapter/adapter_config.json")).unwrap()).unwrap();
    assert_eq!((&about["r"], &about["layers_to_transform"]), (&3.into(), &serde_json::json!([1])), "{about}");
    let base = load::load(&folder.path().join("base")).unwrap();
    let wanted = base.with_lora(LoraConfig { rank: 3, layers: Some(1), ..LoraConfig::default() }, 7).lora.unwrap();
    let written = tensor_file::read(&given.join("adapter/adapter_model.safetensors")).unwrap().tensors;
    assert_eq!(written.len(), wanted.layout.tensors.len());
    let down = wanted.layout.find("blk.1.ffn_down.weight.lora_a").unwrap();
    let name = "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight";
    assert!(written[name] == (vec![3, 96], down.of(&wanted.params).to_vec()));
    let readme = fs::read_to_string(given.join("README.md")).unwrap();
    assert!(readme.contains("an adapter of rank 3") && !readme.contains("{{"), "{readme}");
}

#[test]
fn the_papers_recipe_is_handed_over_by_one_command_and_reads_no_weight() {
    let folder = tempfile::tempdir().unwrap();
    small_tokenizer(folder.path());
    let base = folder.path().join("qwen2.5-7b-instruct");
    fs::create_dir(&base).unwrap();
    fs::rename(folder.path().join("tokenizer.json"), base.join("tokenizer.json")).unwrap();
    let shape = serde_json::json!({
        "model_type": "qwen2", "vocab_size": 152_064, "hidden_size": 3584, "num_hidden_layers": 28,
        "num_attention_heads": 28, "num_key_value_heads": 4, "intermediate_size": 18_944,
        "max_position_embeddings": 32_768, "rope_theta": 1e6, "rms_norm_eps": 1e-6, "tie_word_embeddings": false,
    });
    fs::write(base.join("config.json"), shape.to_string()).unwrap();
    let row = r#"{"messages":[{"role":"user","content":"abc"},{"role":"assistant","content":"the answer is 42"}]}"#;
    fs::write(folder.path().join("data.jsonl"), format!("{row}\n").repeat(200)).unwrap();
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("runs/z1-7b.toml");
    let (code, said) = finish(folder.path(), &["hand-over", recipe.to_str().unwrap(), "--out", "given"]);
    assert_eq!(code, 0, "{said}");
    let run: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("given/run.json")).unwrap()).unwrap();
    assert_eq!((&run["data"]["rows_per_step"], &run["optimiser"]["lr"]), (&36.into(), &1e-5.into()), "{run}");
    let readme = fs::read_to_string(folder.path().join("given/README.md")).unwrap();
    assert!(readme.contains("--nproc-per-node 8") && readme.contains("is 5 row(s) on each"), "{readme}");
}

#[test]
fn what_cannot_be_handed_over_is_said_and_nothing_is_left() {
    let folder = workplace();
    let base = small_folder(folder.path());
    let names = |folder: &Path| {
        let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        all.sort();
        all
    };
    let before = names(folder.path());
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        let (found, said) = finish(folder.path(), &[&["hand-over"], arguments].concat());
        assert!(found == code && words.iter().all(|word| said.contains(word)), "{arguments:?}: {found} {said}");
        assert!(names(folder.path()) == before, "{arguments:?}: {:?}", names(folder.path()));
    };
    refused(&["recipe.toml"], 2, &["muon", "hint", "adamw"]);
    let adamw = ["recipe.toml", "--set", "train.optimiser=adamw"];
    refused(&adamw, 2, &["no tokenizer", "hint"]);
    refused(&[&adamw[..], &["--set", "train.learning=1"]].concat(), 2, &["learning"]);
    refused(&["--model", "m.gguf", "--data", "train.jsonl"], 2, &["GGUF", "hint", "z1 sft export m.gguf"]);
    refused(&["--model", "base", "--data", "nothing.jsonl"], 1, &["nothing.jsonl"]);
    refused(&["--model", "nowhere", "--data", "train.jsonl"], 1, &["nowhere"]);
    refused(&["--model", "base", "--data", "train.jsonl", "--out", "recipe.toml"], 2, &["there already", "hint"]);
    refused(&["--model", "base", "--data", "train.jsonl", "--out", "recipe.toml/x"], 1, &["recipe.toml", "hint"]);
    // Ids beyond the model's vocabulary.
    refused(&["--model", "base", "--data", "train.jsonl"], 1, &["vocabulary", "hint"]);
    fs::rename(base.join("tokenizer.json"), base.join("other.json")).unwrap();
    refused(&["--model", "base", "--data", "train.jsonl"], 2, &["no tokenizer.json", "hint"]);
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_a_hand_over() {
    let folder = workplace();
    small_folder(folder.path());
    let row = format!("{{\"ids\":{:?},\"learn\":{:?}}}\n", (0..60).collect::<Vec<u32>>(), vec![true; 60]);
    fs::write(folder.path().join("many.jsonl"), row.repeat(4000)).unwrap();
    let before = fs::read_dir(folder.path()).unwrap().count();
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 4; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_z1-sft")])
        .args(["hand-over", "--model", "base", "--data", "many.jsonl", "--set", "lora.rank=1", "--out", "given"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&limited.stderr);
    assert_eq!(limited.status.code(), Some(1), "{said}");
    assert!(said.contains("could not write") && said.contains("hint"), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before, "{said}");
}
