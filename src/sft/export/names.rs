//! Tensor names: GGUF's (used inside the house) and Hugging Face's.

use crate::sft::core::config::ModelConfig;

/// Parts of a layer: GGUF's name and Hugging Face's.
const LAYER_PARTS: [(&str, &str); 12] = [
    ("attn_norm.weight", "input_layernorm.weight"),
    ("ffn_norm.weight", "post_attention_layernorm.weight"),
    ("attn_q.weight", "self_attn.q_proj.weight"),
    ("attn_k.weight", "self_attn.k_proj.weight"),
    ("attn_v.weight", "self_attn.v_proj.weight"),
    ("attn_q.bias", "self_attn.q_proj.bias"),
    ("attn_k.bias", "self_attn.k_proj.bias"),
    ("attn_v.bias", "self_attn.v_proj.bias"),
    ("attn_output.weight", "self_attn.o_proj.weight"),
    ("ffn_gate.weight", "mlp.gate_proj.weight"),
    ("ffn_up.weight", "mlp.up_proj.weight"),
    ("ffn_down.weight", "mlp.down_proj.weight"),
];
const OUTER_PARTS: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Hugging Face's name of a tensor.
pub fn to_hf(gguf: &str) -> Option<String> {
    if let Some((_, hf)) = OUTER_PARTS.iter().find(|(name, _)| *name == gguf) {
        return Some((*hf).to_owned());
    }
    let (layer, part) = gguf.strip_prefix("blk.")?.split_once('.')?;
    let (_, hf) = LAYER_PARTS.iter().find(|(name, _)| *name == part)?;
    Some(format!("model.layers.{layer}.{hf}"))
}

/// The `config.json` of a model, without token ids.
pub fn hf_config(config: &ModelConfig) -> serde_json::Value {
    serde_json::json!({
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "intermediate_size": config.ffn,
        "max_position_embeddings": config.context,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied,
        "hidden_act": "silu",
        "attention_dropout": 0.0,
        "use_sliding_window": false,
        "use_cache": true,
        "torch_dtype": "float32",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sft::core::params::Layout;

    #[test]
    fn every_tensor_of_a_model_has_a_name_outside() {
        let config = ModelConfig {
            vocab_size: 8,
            hidden: 8,
            layers: 2,
            heads: 2,
            kv_heads: 1,
            ffn: 8,
            context: 8,
            rope_theta: 1e4,
            norm_eps: 1e-6,
            tied: false,
        };
        let names: Vec<String> = Layout::full(&config).tensors.iter().filter_map(|t| to_hf(&t.name)).collect();
        assert_eq!(names.len(), Layout::full(&config).tensors.len());
        assert!(names.contains(&"model.layers.1.self_attn.k_proj.bias".to_owned()), "{names:?}");
        assert_eq!(to_hf("blk.0.rope"), None);
    }
}
