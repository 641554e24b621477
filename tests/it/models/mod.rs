//! `z1 models` as its user calls it: the real program, on checkpoints that the tests write, with a hub on loopback.

pub(crate) mod hub;
mod import;
#[cfg(target_os = "linux")]
mod limits;
mod pull;
mod quantise;
mod states;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use safetensors::tensor::{Dtype, TensorView};
use z1::sft::core::config::ModelConfig;
use z1::sft::core::model::Model;
use z1::sft::export::hf;
use z1::sft::export::vocabulary::Vocabulary;
use z1::sft::tokenizer::Tokenizer;

/// A home of z1's own, thrown away at the end.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
}

/// What a run said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn model(&self, name: &str) -> PathBuf {
        self.path().join("data/models").join(name).join("model.gguf")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::cargo_bin("z1").unwrap();
        command.env("Z1_HOME", self.path()).env("HOME", self.path()).current_dir(self.path());
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE", "Z1_MODEL"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let output = self.command().args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).expect("the program speaks UTF-8");
        Said { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> Said {
        let said = self.run(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.stdout, said.stderr);
        said
    }
}

/// Writes a registry below z1's home in which one model fits any machine, `tiny` of `owner/name`, and no other does.
#[cfg(all(feature = "llama", feature = "pull"))]
pub(crate) fn only_tiny_fits(home: &Path, bytes: u64) {
    let mut text = format!(
        "[tiny]\ntitle = 'Tiny'\nlicence = 'MIT'\ncontext_tokens_max = 512\n\
         [tiny.gguf]\nrepo = 'owner/name'\nquant = 'F32'\nbytes = {bytes}\n"
    );
    let known = z1::model_store::registry::Registry::built_in().entries;
    for (name, _) in known.iter().filter(|(_, entry)| entry.gguf.is_some()) {
        text.push_str(&format!("['{name}'.gguf]\nbytes = 9_000_000_000_000_000\n"));
    }
    std::fs::create_dir_all(home.join("data/models")).unwrap();
    std::fs::write(home.join("data/models/models.toml"), text).unwrap();
}

/// The shape of a small model whose rows divide into k-quants' blocks.
pub(crate) fn shape(tokenizer: &Tokenizer, tied: bool) -> ModelConfig {
    ModelConfig {
        vocab_size: tokenizer.vocab_size().next_multiple_of(32),
        hidden: 256,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        ffn: 512,
        context: 512,
        rope_theta: 10_000.0,
        norm_eps: 1e-6,
        tied,
    }
}

pub(crate) fn tokenizer() -> Tokenizer {
    let texts = ["def add(a, b):\n    return a + b\n", "It is é 42, the naïve end.", "1 2 3 4 5 6 7 8 9"];
    Tokenizer::train(texts.into_iter().cycle().take(60), 290).unwrap()
}

/// Writes a Hugging Face folder with random weights.
pub(crate) fn checkpoint(folder: &Path, tied: bool) -> Tokenizer {
    std::fs::create_dir_all(folder).unwrap();
    let tokenizer = tokenizer();
    let json = folder.join("../tokenizer.json");
    tokenizer.save(&json).unwrap();
    let config = shape(&tokenizer, tied);
    let vocabulary = Vocabulary::read(&json, config.vocab_size).unwrap();
    hf::write_model(folder, &Model::init(config, 3), &vocabulary, &json).unwrap();
    std::fs::remove_file(json).unwrap();
    tokenizer
}

/// Writes the weights anew in another type and in several files with an index.
pub(crate) fn rewrite(folder: &Path, dtype: Dtype, shards: usize) {
    type Tensor = (String, Vec<usize>, Vec<u8>);
    let whole = folder.join("model.safetensors");
    let bytes = std::fs::read(&whole).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut parts: Vec<Vec<Tensor>> = vec![Vec::new(); shards];
    for (at, (name, view)) in tensors.tensors().into_iter().enumerate() {
        let floats = view.data().as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four));
        let data = match dtype {
            Dtype::BF16 => floats.flat_map(|x| half::bf16::from_f32(x).to_le_bytes()).collect(),
            Dtype::F16 => floats.flat_map(|x| half::f16::from_f32(x).to_le_bytes()).collect(),
            _ => view.data().to_vec(),
        };
        parts[at % shards].push((name, view.shape().to_vec(), data));
    }
    std::fs::remove_file(whole).unwrap();
    let mut index = serde_json::Map::new();
    for (at, part) in parts.iter().enumerate() {
        let file = if shards == 1 {
            "model.safetensors".to_owned()
        } else {
            format!("model-{:05}-of-{shards:05}.safetensors", at + 1)
        };
        let views: Vec<(&str, TensorView<'_>)> = part
            .iter()
            .map(|(name, shape, data)| (name.as_str(), TensorView::new(dtype, shape.clone(), data).unwrap()))
            .collect();
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        safetensors::serialize_to_file(views, Some(metadata), &folder.join(&file)).unwrap();
        index.extend(part.iter().map(|(name, ..)| (name.clone(), file.clone().into())));
    }
    if shards > 1 {
        let json = serde_json::json!({ "metadata": {}, "weight_map": index });
        std::fs::write(folder.join("model.safetensors.index.json"), json.to_string()).unwrap();
    }
}

/// Replaces `tokenizer.json` by `vocab.json`, `merges.txt` and what `tokenizer_config.json` says of the rest.
pub(crate) fn split_tokenizer(folder: &Path) {
    let path = folder.join("tokenizer.json");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    let added = json["added_tokens"].as_array().unwrap();
    let is_added = |token: &str| added.iter().any(|one| one["content"] == token);
    let vocab = json["model"]["vocab"].as_object().unwrap();
    let plain: serde_json::Map<_, _> =
        vocab.iter().filter(|(token, _)| !is_added(token)).map(|(t, id)| (t.clone(), id.clone())).collect();
    std::fs::write(folder.join("vocab.json"), serde_json::Value::from(plain).to_string()).unwrap();
    let merges = json["model"]["merges"].as_array().unwrap().iter().map(|merge| match merge {
        serde_json::Value::String(text) => text.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    });
    let merges: Vec<String> = std::iter::once("#version: 0.2".to_owned()).chain(merges).collect();
    std::fs::write(folder.join("merges.txt"), merges.join("\n")).unwrap();
    let path = folder.join("tokenizer_config.json");
    let mut settings: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let decoder = added.iter().map(|token| (token["id"].to_string(), token.clone()));
    settings["added_tokens_decoder"] = decoder.collect::<serde_json::Map<_, _>>().into();
    std::fs::write(path, settings.to_string()).unwrap();
}
