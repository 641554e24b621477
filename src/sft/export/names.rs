//! What a model's shape is called outside. Tensor names are in `gguf::qwen2`.

use crate::sft::core::config::ModelConfig;

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
    use crate::gguf::qwen2::to_hf;
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
    }
}
