//! `pull NAME --quant …`: from the hub to an installed, quantised model in one command.

use safetensors::tensor::Dtype;
use z1::gguf::{Gguf, TensorInfo, Value, Writer, split};
use z1::model_store::quantise::name_of;

use super::hub::{Hub, Trouble};
use super::{Home, checkpoint, rewrite};

fn repository(home: &Home) -> std::path::PathBuf {
    let folder = home.path().join("repository");
    checkpoint(&folder, false);
    rewrite(&folder, Dtype::BF16, 2);
    folder
}

fn pull<'a>(hub: &'a Hub, more: &[&'a str]) -> Vec<&'a str> {
    [&["models", "pull", "owner/name", "--mirror", &hub.base], more].concat()
}

#[test]
fn a_checkpoint_becomes_a_quantised_model_over_a_broken_line() {
    let home = Home::new();
    let hub = Hub::start(&repository(&home), &[Trouble::Cut(1000), Trouble::Status(503), Trouble::Cut(5000)], None);
    let said = home.succeed(&pull(&hub, &["--quant", "q5_k_m"]));
    assert!(said.stdout.contains("name is installed (Q5_K_M"), "{}", said.stdout);
    assert!(said.stdout.contains("it is used from now on"), "the first one: {}", said.stdout);
    assert_eq!(name_of(&Gguf::open(&home.model("name")).unwrap()), "Q5_K_M");
    assert!(
        hub.seen().iter().any(|request| request.ends_with(" 1000")),
        "it went on where it stopped: {:?}",
        hub.seen()
    );
    let left: Vec<_> = std::fs::read_dir(home.path().join("data/models/name")).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "the model and its manifest: {left:?}");
    let manifest = std::fs::read_to_string(home.path().join("data/models/name/manifest.json")).unwrap();
    assert!(manifest.contains("owner/name@abc123"), "{manifest}");
    // The same again asks the hub for its list and nothing more.
    let before = hub.seen().len();
    assert!(home.succeed(&pull(&hub, &["--quant", "q5_k_m"])).stdout.contains("installed already"));
    assert_eq!(hub.seen().len(), before + 1);
    let second = home.succeed(&pull(&hub, &["--quant", "none", "--name", "other"]));
    assert!(second.stdout.contains("z1 models use other"), "{}", second.stdout);
    let listed = home.succeed(&["models", "list"]).stdout;
    assert!(listed.contains("* name") && !listed.contains("* other"), "{listed}");
    home.succeed(&["models", "use", "other"]);
    assert!(home.succeed(&["models", "list"]).stdout.contains("* other"));
    home.succeed(&["models", "rm", "name"]);
    assert!(!home.path().join("data/models/name").exists());
}

#[test]
fn an_interrupted_pull_goes_on_at_the_step_it_had_reached() {
    let home = Home::new();
    let repository = repository(&home);
    let hub = Hub::start(&repository, &[], None);
    home.succeed(&pull(&hub, &["--quant", "none", "--keep"]));
    assert_eq!(name_of(&Gguf::open(&home.model("name")).unwrap()), "BF16");
    // As if it had been killed while quantising: everything before is there, the model is not.
    let folder = home.path().join("data/models/name");
    std::fs::rename(home.model("name"), folder.join("floats.gguf")).unwrap();
    std::fs::write(folder.join("floats.from"), "owner/name@abc123").unwrap();
    std::fs::remove_file(folder.join("manifest.json")).unwrap();
    std::fs::write(folder.join("model.gguf.part"), "half").unwrap();
    let before = hub.seen().len();
    home.succeed(&pull(&hub, &["--quant", "Q4_K_M"]));
    assert_eq!(hub.seen().len(), before + 1, "nothing was fetched again");
    assert_eq!(name_of(&Gguf::open(&home.model("name")).unwrap()), "Q4_K_M");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "what the steps needed is gone");
}

#[test]
fn a_wrong_checksum_a_missing_model_and_a_closed_door_are_told_apart() {
    let home = Home::new();
    let repository = repository(&home);
    let hub = Hub::start(&repository, &[Trouble::Flipped], None);
    let said = home.run(&pull(&hub, &[]));
    assert!(said.code == 1 && said.stderr.contains("checksum"), "{}", said.stderr);
    let said = home.run(&["models", "pull", "owner/other", "--mirror", &hub.base]);
    assert!(said.code == 4 && said.stderr.contains("404"), "{}", said.stderr);
    let gated = Hub::start(&repository, &[], Some("secret"));
    let said = home.run(&pull(&gated, &[]));
    assert!(said.code == 4 && said.stderr.contains("HF_TOKEN"), "{}", said.stderr);
    let with_token =
        |home: &Home| home.command().env("HF_TOKEN", "secret").args(pull(&gated, &["--name", "mine"])).assert();
    with_token(&home).success();
    assert!(home.model("mine").is_file());
    // The hub's own login file counts too.
    let other = Home::new();
    std::fs::create_dir_all(other.path().join(".cache/huggingface")).unwrap();
    std::fs::write(other.path().join(".cache/huggingface/token"), "secret\n").unwrap();
    other.succeed(&pull(&gated, &[]));
    let offline = home.command().env("HF_HUB_OFFLINE", "1").args(pull(&hub, &[])).output().unwrap();
    assert_eq!(offline.status.code(), Some(6));
}

#[test]
fn an_entry_of_ones_own_is_pulled_by_name_and_its_checksums_hold() {
    let home = Home::new();
    let repository = repository(&home);
    let hub = Hub::start(&repository, &[], None);
    let registry = home.path().join("data/models/models.toml");
    std::fs::create_dir_all(registry.parent().unwrap()).unwrap();
    let entry = |sum: &str| {
        format!(
            "[mine]\ntitle = 'Mine'\nrepo = 'owner/name'\nlicence = 'MIT'\ncontext_tokens_max = 512\nquant = 'Q8_0'\n\
             [mine.files.\"config.json\"]\nsha256 = '{sum}'\n"
        )
    };
    let good = super::hub::sum(&std::fs::read(repository.join("config.json")).unwrap());
    std::fs::write(&registry, entry(&"0".repeat(64))).unwrap();
    let said = home.run(&["models", "pull", "mine", "--mirror", &hub.base]);
    assert!(said.code == 1 && said.stderr.contains("checksum"), "{}", said.stderr);
    std::fs::write(&registry, entry(&good)).unwrap();
    home.succeed(&["models", "pull", "mine", "--mirror", &hub.base]);
    let said = home.succeed(&["models", "info", "mine"]);
    assert!(said.stdout.contains("Q8_0") && said.stdout.contains("together"), "{}", said.stdout);
    assert!(said.stdout.contains("licence        MIT"), "{}", said.stdout);
}

/// Writes the repository's model as a GGUF in two parts, as llama.cpp's own tool would.
fn in_parts(home: &Home) -> std::path::PathBuf {
    let (folder, source) = (home.path().join("parts"), home.path().join("whole.gguf"));
    std::fs::create_dir_all(&folder).unwrap();
    home.succeed(&["models", "import", repository(home).to_str().unwrap(), "--out", source.to_str().unwrap()]);
    let whole = Gguf::open(&source).unwrap();
    let middle = whole.tensors.len() / 2;
    for (number, tensors) in [&whole.tensors[..middle], &whole.tensors[middle..]].into_iter().enumerate() {
        let mut writer = Writer::new();
        if number == 0 {
            writer.metadata = whole.metadata.clone();
        }
        writer.set("split.no", Value::U16(number as u16));
        writer.set("split.count", Value::U16(2));
        writer.set("split.tensors.count", Value::I32(whole.tensors.len() as i32));
        for tensor in tensors {
            writer.tensor(&tensor.name, tensor.kind, &tensor.dimensions);
        }
        let read = |tensor: &TensorInfo| whole.read_tensor(whole.tensor(&tensor.name).unwrap()).unwrap();
        let path = folder.join(split::name_of("m-bf16", number as u32 + 1, 2));
        writer.write(&path, |tensor, out| out.write_all(&read(tensor))).unwrap();
    }
    folder
}

#[test]
fn a_model_in_parts_is_pulled_opened_and_told_where_a_part_is_missing() {
    let home = Home::new();
    let folder = in_parts(&home);
    let hub = Hub::start(&folder, &[Trouble::Cut(4000)], None);
    home.succeed(&pull(&hub, &["--quant", "bf16"]));
    let first = home.path().join("data/models/name").join(split::name_of("m-bf16", 1, 2));
    let whole = Gguf::open(&home.path().join("whole.gguf")).unwrap();
    assert_eq!(Gguf::open(&first).unwrap().tensors.len(), whole.tensors.len());
    assert!(home.succeed(&pull(&hub, &["--quant", "bf16"])).stdout.contains("installed already"));
    let said = home.succeed(&["models", "info", "name"]);
    assert!(said.stdout.contains("2 layers"), "{}", said.stdout);
    #[cfg(feature = "llama")]
    {
        let options = z1::engine::LoadOptions::from_path(&first);
        let engine = z1::engine::Engine::start_llama(options, |_| {}, &z1::cancel::Cancel::new()).unwrap();
        assert_eq!(engine.info().parameters, whole.parameters(), "llama.cpp loads the parts as one");
    }
    std::fs::remove_file(first.with_file_name(split::name_of("m-bf16", 2, 2))).unwrap();
    let said = home.run(&["models", "info", "name"]);
    assert!(said.code == 4 && said.stderr.contains("missing: m-bf16-00002-of-00002.gguf"), "{}", said.stderr);
    std::fs::remove_file(folder.join(split::name_of("m-bf16", 2, 2))).unwrap();
    let said = home.run(&pull(&hub, &["--quant", "bf16", "--name", "other"]));
    assert!(said.code == 4 && said.stderr.contains("lacks m-bf16-00002-of-00002.gguf"), "{}", said.stderr);
    assert!(!home.path().join("data/models/other").exists());
}

#[test]
fn a_real_model_is_recommended_without_a_network() {
    let home = Home::new();
    let said = home.run(&["models", "recommend", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(report["memory_bytes_per_second"].as_f64().unwrap() > 0.0);
    assert!(report["models"].as_array().unwrap().len() >= 4);
}
