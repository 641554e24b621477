//! Qwen2's tensor names: GGUF's, which are used inside the house, and Hugging Face's.
//!
//! Not for: shapes and values.

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

/// GGUF's name of a tensor.
pub fn from_hf(hf: &str) -> Option<String> {
    if let Some((gguf, _)) = OUTER_PARTS.iter().find(|(_, name)| *name == hf) {
        return Some((*gguf).to_owned());
    }
    let (layer, part) = hf.strip_prefix("model.layers.")?.split_once('.')?;
    let layer: u32 = layer.parse().ok()?;
    let (gguf, _) = LAYER_PARTS.iter().find(|(_, name)| *name == part)?;
    Some(format!("blk.{layer}.{gguf}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (gguf, _) in OUTER_PARTS {
            assert_eq!(from_hf(&to_hf(gguf).unwrap()).as_deref(), Some(gguf));
        }
        for (part, _) in LAYER_PARTS {
            let gguf = format!("blk.17.{part}");
            assert_eq!(from_hf(&to_hf(&gguf).unwrap()), Some(gguf));
        }
        assert_eq!(to_hf("blk.1.attn_k.bias").as_deref(), Some("model.layers.1.self_attn.k_proj.bias"));
        for odd in ["", "blk.0.rope", "model.layers.x.mlp.up_proj.weight", "model.layers.1.mlp.experts.0.weight"] {
            assert_eq!((to_hf(odd), from_hf(odd)), (None, None), "{odd}");
        }
    }
}
