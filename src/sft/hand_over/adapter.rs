//! A fresh adapter in the layout of PEFT, so that the other trainer starts from the same values.

use std::collections::BTreeMap;
use std::path::Path;

use crate::gguf::qwen2;
use crate::sft::core::config::ModelConfig;
use crate::sft::core::model::Lora;
use crate::sft::core::params::Target;
use crate::sft::export::hf::write_json;
use crate::sft::tensor_file::{self, Tensor};

/// PEFT wraps the model twice.
const PREFIX: &str = "base_model.model.";

/// Writes `adapter_config.json` and `adapter_model.safetensors` into a folder.
///
/// # Errors
/// Where something cannot be written.
pub fn write(folder: &Path, lora: &Lora, config: &ModelConfig, base: &Path) -> anyhow::Result<()> {
    let tensors: Vec<Tensor<'_>> = lora
        .layout
        .tensors
        .iter()
        .map(|tensor| Tensor {
            name: name_of(&tensor.name).expect("invariant: an adapter's tensors are named for projections"),
            shape: vec![tensor.rows, tensor.cols],
            data: tensor.of(&lora.params),
        })
        .collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    tensor_file::write(&folder.join("adapter_model.safetensors"), &tensors, &metadata)?;
    let first = lora.config.first_layer(config.layers);
    let layers: Option<Vec<usize>> = (first > 0).then(|| (first..config.layers).collect());
    let about = serde_json::json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": lora.config.rank,
        "lora_alpha": lora.config.alpha,
        "use_rslora": lora.config.rank_stabilised,
        "lora_dropout": lora.config.dropout,
        "target_modules": lora.config.targets.iter().map(|target| module(*target)).collect::<Vec<_>>(),
        "layers_to_transform": layers,
        "layers_pattern": layers.is_some().then_some("layers"),
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": false,
    });
    write_json(&folder.join("adapter_config.json"), &about)
}

/// `blk.0.attn_q.weight.lora_a` → `….q_proj.lora_A.weight`.
fn name_of(name: &str) -> Option<String> {
    let (weight, side) = name.rsplit_once('.')?;
    let side = match side {
        "lora_a" => "lora_A",
        "lora_b" => "lora_B",
        _ => return None,
    };
    let outside = qwen2::to_hf(weight)?;
    Some(format!("{PREFIX}{}.{side}.weight", outside.strip_suffix(".weight")?))
}

/// The name of a projection's module.
const fn module(target: Target) -> &'static str {
    match target {
        Target::Q => "q_proj",
        Target::K => "k_proj",
        Target::V => "v_proj",
        Target::O => "o_proj",
        Target::Gate => "gate_proj",
        Target::Up => "up_proj",
        Target::Down => "down_proj",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_carry_the_names_of_their_modules() {
        for target in Target::ALL {
            let name = name_of(&format!("{}.lora_b", target.weight_name(3))).unwrap();
            assert!(name.starts_with("base_model.model.model.layers.3."), "{name}");
            assert!(name.ends_with(&format!(".{}.lora_B.weight", module(target))), "{name}");
        }
        assert_eq!(name_of("blk.0.attn_q.weight"), None);
    }
}
