//! Saving and resuming a run.
//!
//! A checkpoint is one safetensors file with the parameters under their GGUF names, the optimiser's memory,
//! and in its metadata everything else that the next step depends on. Clocks are not in it: two runs that did
//! the same steps write the same bytes.
//!
//! Not for: exporting a model for others (`export`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::optimiser::Optimiser;
use crate::error::{Exit, UserError};
use crate::sft::core::config::ModelConfig;
use crate::sft::core::model::{BaseFile, Lora, Model};
use crate::sft::core::params::{Layout, LoraConfig};
use crate::sft::tensor_file::{self, Loaded, Tensor};

const PREFIX: &str = "step-";
const SUFFIX: &str = ".safetensors";
const MODEL_KEY: &str = "z1.model";
const LORA_KEY: &str = "z1.lora";
const BASE_KEY: &str = "z1.base";
const STATE_KEY: &str = "z1.state";
const IDENTITY_KEY: &str = "z1.identity";
const FIRST: &str = "optimiser.first";
const SECOND: &str = "optimiser.second";

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Optimiser steps done.
    pub step: u64,
    pub epoch: u64,
    /// Rows of this epoch that were used.
    pub row: u64,
    /// Tokens seen, and those the loss was taken on.
    pub tokens: u64,
    pub learnt_tokens: u64,
    pub best: Option<Best>,
    /// Evaluations since the best one.
    pub idle_evals: u32,
}

/// The best evaluation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: u64,
    pub loss: f64,
}

/// What must be the same for a resumed run to be the same run.
pub type Identity = BTreeMap<String, String>;

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Checkpoint {
    pub state: State,
    pub identity: Identity,
    loaded: Loaded,
}

/// The file of this step.
pub fn path_of(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{step:08}{SUFFIX}"))
}

/// All checkpoints of a folder, oldest first. A folder that does not exist has none.
pub fn list(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let step_of = |path: &Path| path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok();
    let mut found: Vec<(u64, PathBuf)> =
        entries.filter_map(|entry| Some((step_of(&entry.path())?, entry.path()))).collect();
    found.sort();
    found
}

/// Copies a model file, complete or not at all.
///
/// # Errors
/// Where it cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut file = fs::File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let bytes = file.metadata().map_or(0, |about| about.len());
    tensor_file::replace_file(to, bytes, |to| std::io::copy(&mut file, to).map(|_| ()))
}

/// Removes all but the newest `keep` checkpoints. Never fails: an old file too many does no harm.
pub fn prune(folder: &Path, keep: usize) {
    let found = list(folder);
    for (_, path) in found.iter().take(found.len().saturating_sub(keep)) {
        let _ = fs::remove_file(path);
    }
}

fn tensors_of<'a>(layout: &Layout, values: &'a [f32]) -> Vec<Tensor<'a>> {
    let shape = |rows: usize, cols: usize, vector: bool| if vector { vec![cols] } else { vec![rows, cols] };
    let each = layout.tensors.iter().map(|tensor| Tensor {
        name: tensor.name.clone(),
        shape: shape(tensor.rows, tensor.cols, tensor.is_vector()),
        data: tensor.of(values),
    });
    each.collect()
}

fn model_metadata(model: &Model) -> anyhow::Result<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::from([(MODEL_KEY.to_owned(), serde_json::to_string(&model.config)?)]);
    if let Some(lora) = &model.lora {
        metadata.insert(LORA_KEY.to_owned(), serde_json::to_string(&lora.config)?);
    }
    if let Some(base) = model.base.as_ref().filter(|_| model.lora.is_some()) {
        metadata.insert(BASE_KEY.to_owned(), serde_json::to_string(base)?);
    }
    Ok(metadata)
}

/// What is written of a model: of an adapter on a base that has a file of its own, the adapter.
fn parts_of(model: &Model) -> Vec<Tensor<'_>> {
    let Some(lora) = &model.lora else { return tensors_of(&model.layout, &model.params) };
    let mut tensors = if model.base.is_some() { Vec::new() } else { tensors_of(&model.layout, &model.params) };
    tensors.extend(tensors_of(&lora.layout, &lora.params));
    tensors
}

/// Writes parameters only: a model to export or to start from. An adapter whose base has a file of its own is
/// written alone, with the base's name and fingerprint.
///
/// # Errors
/// Where it cannot be written; an older file stays.
pub fn save_model(path: &Path, model: &Model) -> anyhow::Result<()> {
    tensor_file::write(path, &parts_of(model), &model_metadata(model)?)
}

/// Writes a checkpoint, complete or not at all.
///
/// # Errors
/// Where it cannot be written; older checkpoints stay.
pub fn save(
    folder: &Path,
    model: &Model,
    optimiser: &Optimiser,
    (state, identity): (&State, &Identity),
) -> anyhow::Result<PathBuf> {
    let mut tensors = parts_of(model);
    for (name, data) in [(FIRST, &optimiser.first), (SECOND, &optimiser.second)] {
        tensors.push(Tensor { name: name.to_owned(), shape: vec![data.len()], data });
    }
    let mut metadata = model_metadata(model)?;
    metadata.insert(STATE_KEY.to_owned(), serde_json::to_string(state)?);
    metadata.insert(IDENTITY_KEY.to_owned(), serde_json::to_string(identity)?);
    let path = path_of(folder, state.step);
    tensor_file::write(&path, &tensors, &metadata)?;
    Ok(path)
}

impl Checkpoint {
    /// Reads the newest checkpoint that is whole; names those that were not.
    ///
    /// # Errors
    /// Where there are checkpoints and none can be read.
    pub fn newest(folder: &Path) -> anyhow::Result<(Option<Self>, Vec<String>)> {
        let (found, mut notes) = (list(folder), Vec::new());
        for (_, path) in found.iter().rev() {
            match Self::read(path) {
                Ok(checkpoint) => return Ok((Some(checkpoint), notes)),
                Err(problem) => notes.push(format!("passed over a checkpoint: {problem:#}")),
            }
        }
        if found.is_empty() {
            return Ok((None, notes));
        }
        let what = format!("none of the {} checkpoints in {} can be read", found.len(), folder.display());
        Err(UserError::new(Exit::Error, what).hint(notes.join("; ")).into())
    }

    /// Reads one checkpoint.
    ///
    /// # Errors
    /// Where it is cut off or not a checkpoint.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let loaded = tensor_file::read(path)?;
        let part = |key: &str| {
            loaded.metadata.get(key).with_context(|| format!("{} has no {key}: not a checkpoint", path.display()))
        };
        let state = serde_json::from_str(part(STATE_KEY)?).with_context(|| path.display().to_string())?;
        let identity = serde_json::from_str(part(IDENTITY_KEY)?).with_context(|| path.display().to_string())?;
        Ok(Self { state, identity, loaded })
    }

    /// The keys in which this checkpoint's run differs from another identity: `key: here → there`.
    pub fn differences(&self, identity: &Identity) -> Vec<(String, String)> {
        let keys: std::collections::BTreeSet<&String> = self.identity.keys().chain(identity.keys()).collect();
        let value = |of: &Identity, key: &str| of.get(key).cloned().unwrap_or_else(|| "absent".to_owned());
        keys.into_iter()
            .filter(|key| self.identity.get(*key) != identity.get(*key))
            .map(|key| (key.clone(), format!("{key}: {} → {}", value(&self.identity, key), value(identity, key))))
            .collect()
    }

    /// Puts parameters and optimiser memory back.
    ///
    /// # Errors
    /// Where the file lacks a tensor or one has another size.
    pub fn restore(mut self, model: &mut Model, optimiser: &mut Optimiser) -> anyhow::Result<State> {
        if model.lora.is_none() || model.base.is_none() {
            fill(&mut self.loaded, &model.layout.clone(), &mut model.params)?;
        }
        if let Some(lora) = &mut model.lora {
            fill(&mut self.loaded, &lora.layout, &mut lora.params)?;
        }
        for (name, to) in [(FIRST, &mut optimiser.first), (SECOND, &mut optimiser.second)] {
            let (_, values) =
                self.loaded.tensors.remove(name).with_context(|| format!("the checkpoint lacks {name}"))?;
            anyhow::ensure!(values.len() == to.len(), "the checkpoint's {name} is of another optimiser");
            *to = values;
        }
        Ok(self.state)
    }
}

fn fill(loaded: &mut Loaded, layout: &Layout, to: &mut [f32]) -> anyhow::Result<()> {
    for tensor in &layout.tensors {
        let (_, values) = loaded
            .tensors
            .remove(&tensor.name)
            .with_context(|| format!("the file lacks the tensor {}", tensor.name))?;
        let to = tensor.of_mut(to);
        anyhow::ensure!(values.len() == to.len(), "the tensor {} has another size", tensor.name);
        to.copy_from_slice(&values);
    }
    Ok(())
}

/// The shape of the model in a file of ours, and of its adapter; `None` where it is another kind of file.
///
/// # Errors
/// A shape that makes no sense.
pub fn described(metadata: &BTreeMap<String, String>) -> anyhow::Result<Option<(ModelConfig, Option<LoraConfig>)>> {
    let Some(config) = metadata.get(MODEL_KEY) else { return Ok(None) };
    let config: ModelConfig = serde_json::from_str(config).context("the model's shape")?;
    config.check().map_err(anyhow::Error::msg)?;
    let lora =
        metadata.get(LORA_KEY).map(|lora| serde_json::from_str(lora)).transpose().context("the adapter's shape")?;
    Ok(Some((config, lora)))
}

/// The base of an adapter that was saved without it.
///
/// # Errors
/// Metadata that is damaged.
pub fn base_of(loaded: &Loaded) -> anyhow::Result<Option<BaseFile>> {
    loaded.metadata.get(BASE_KEY).map(|base| serde_json::from_str(base)).transpose().context("the adapter's base")
}

/// The adapter in a file of ours, without its base; `None` where there is none.
///
/// # Errors
/// Where the file says it has one but lacks something.
pub fn load_adapter(mut loaded: Loaded) -> anyhow::Result<Option<(Lora, Option<BaseFile>)>> {
    let Some((config, Some(lora))) = described(&loaded.metadata)? else { return Ok(None) };
    let base = base_of(&loaded)?;
    let layout = Layout::lora(&config, &lora);
    let mut params = vec![0.0; layout.len];
    fill(&mut loaded, &layout, &mut params)?;
    Ok(Some((Lora { config: lora, layout, params }, base)))
}

/// Puts a saved adapter on the base that it was trained on.
///
/// # Errors
/// Where the base has another shape, or the file lacks something.
pub fn with_adapter(mut model: Model, base: BaseFile, loaded: Loaded) -> anyhow::Result<Model> {
    let shape = described(&loaded.metadata)?.map(|(config, _)| config);
    anyhow::ensure!(shape.as_ref() == Some(&model.config), "the adapter's base has another shape");
    model.lora = load_adapter(loaded)?.map(|(lora, _)| lora);
    model.base = Some(base);
    Ok(model)
}

/// Takes a model out of a file that [`save_model`] or [`save`] wrote; `None` where it is another kind of file.
///
/// # Errors
/// Where the file says it is one but lacks something.
pub fn load_model(mut loaded: Loaded) -> anyhow::Result<Option<Model>> {
    let Some((config, _)) = described(&loaded.metadata)? else { return Ok(None) };
    let mut model = Model::from_params(config.clone(), vec![0.0; Layout::full(&config).len]);
    fill(&mut loaded, &model.layout.clone(), &mut model.params)?;
    if let Some(lora) = loaded.metadata.get(LORA_KEY) {
        let lora: LoraConfig = serde_json::from_str(lora).context("the adapter's shape")?;
        model = model.with_lora(lora, 0);
        let lora = model.lora.as_mut().expect("invariant: just put on");
        fill(&mut loaded, &lora.layout.clone(), &mut lora.params)?;
    }
    Ok(Some(model))
}
