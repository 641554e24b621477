//! Looks at a header for what would make llama.cpp give up without a word, or abort the process: it trusts lists
//! to have the kinds and lengths that converters give them.
//!
//! Not for: files that are no GGUF at all (`gguf` refuses them), or sizes (`plan.rs`).

use super::EngineError;
use crate::gguf::{Gguf, Value};

/// Checks the vocabulary's tables, and for a transformer its dimensions.
///
/// # Errors
/// What is wrong, by the key's name.
pub(super) fn check(gguf: &Gguf) -> Result<(), EngineError> {
    vocabulary(gguf)?;
    dimensions(gguf).map_err(|reason| refuse(gguf, &reason))
}

/// Checks the vocabulary's tables.
///
/// # Errors
/// What is wrong, by the key's name.
pub(super) fn vocabulary(gguf: &Gguf) -> Result<(), EngineError> {
    tables(gguf).map_err(|reason| refuse(gguf, &reason))
}

fn refuse(gguf: &Gguf, reason: &str) -> EngineError {
    EngineError::Load {
        path: gguf.path.clone(),
        reason: format!("its header makes no sense: {reason}"),
        hint: "download or convert the model again".to_owned(),
    }
}

fn tables(gguf: &Gguf) -> Result<(), String> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let get = |name: &str| gguf.metadata.get(&key(name));
    for name in ["model", "pre"] {
        if get(name).is_some_and(|value| !matches!(value, Value::String(_))) {
            return Err(format!("{} is no text", key(name)));
        }
    }
    let count = match get("tokens") {
        None => return Ok(()),
        Some(Value::Strings(tokens)) if !tokens.is_empty() => tokens.len(),
        Some(_) => return Err(format!("{} is no list of texts", key("tokens"))),
    };
    match get("token_type") {
        None => {}
        Some(Value::I32s(kinds)) if kinds.len() == count => {}
        Some(_) => return Err(format!("{} does not fit {count} tokens", key("token_type"))),
    }
    match get("scores") {
        None => {}
        Some(Value::F32s(scores)) if scores.len() == count => {}
        Some(_) => return Err(format!("{} does not fit {count} tokens", key("scores"))),
    }
    match get("merges") {
        None => {}
        Some(Value::Strings(merges)) => {
            let is_pair = |merge: &str| merge.chars().skip(1).any(|c| c == ' ');
            if let Some(odd) = merges.iter().find(|merge| !is_pair(merge)) {
                return Err(format!("{:?} in {} is no merge", odd.chars().take(40).collect::<String>(), key("merges")));
            }
        }
        Some(_) => return Err(format!("{} is no list of texts", key("merges"))),
    }
    let ids =
        gguf.metadata.iter().filter(|(name, _)| name.starts_with("tokenizer.ggml.") && name.ends_with("_token_id"));
    for (name, _) in ids {
        // llama.cpp uses the largest number for "none".
        let id = gguf.metadata.unsigned(name);
        if !id.is_some_and(|id| id < count as u64 || id == u64::from(u32::MAX)) {
            return Err(format!("{name} is not the id of one of {count} tokens"));
        }
    }
    Ok(())
}

fn dimensions(gguf: &Gguf) -> Result<(), String> {
    if gguf.architecture() != "qwen2" {
        return Ok(());
    }
    let number = |key: &str| {
        let found = gguf.architecture_number(key).filter(|number| (1..=1 << 31).contains(number));
        found.ok_or_else(|| format!("qwen2.{key} is not a number of a model"))
    };
    let (width, heads) = (number("embedding_length")?, number("attention.head_count")?);
    let kv_heads = if gguf.metadata.get("qwen2.attention.head_count_kv").is_some() {
        number("attention.head_count_kv")?
    } else {
        heads
    };
    let (layers, ff) = (number("block_count")?, number("feed_forward_length")?);
    number("context_length")?;
    if width % heads != 0 || heads % kv_heads != 0 || !(width / heads).is_multiple_of(2) {
        return Err(format!("{heads} heads ({kv_heads} for keys) do not divide a width of {width}"));
    }
    for key in ["rope.freq_base", "attention.layer_norm_rms_epsilon"] {
        let name = format!("qwen2.{key}");
        let sound = |value: f64| value.is_finite() && value > 0.0;
        if gguf.metadata.get(&name).is_some() && !gguf.metadata.float(&name).is_some_and(sound) {
            return Err(format!("{name} is not a number above zero"));
        }
    }
    if gguf.tensors.is_empty() {
        return Ok(());
    }
    let kv = width / heads * kv_heads;
    let fits = |name: String, shape: &[u64]| match gguf.tensor(&name) {
        None => Err(format!("the tensor {name} is missing")),
        Some(tensor) if tensor.dimensions != shape => {
            Err(format!("the tensor {name} has the shape {:?}, not {shape:?}", tensor.dimensions))
        }
        Some(_) => Ok(()),
    };
    // The first and the last layer stand for all: llama.cpp itself looks at the rest.
    if layers > gguf.tensors.len() as u64 {
        return Err(format!("{layers} layers cannot be in {} tensors", gguf.tensors.len()));
    }
    for layer in [0, layers - 1] {
        fits(format!("blk.{layer}.attn_q.weight"), &[width, width])?;
        fits(format!("blk.{layer}.attn_k.weight"), &[width, kv])?;
        fits(format!("blk.{layer}.attn_v.weight"), &[width, kv])?;
        fits(format!("blk.{layer}.ffn_up.weight"), &[width, ff])?;
        fits(format!("blk.{layer}.ffn_down.weight"), &[ff, width])?;
    }
    fits("output_norm.weight".to_owned(), &[width])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::tiny::Tiny;

    fn problem(change: impl FnOnce(&mut Gguf)) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        Tiny::default().write(&path).unwrap();
        let mut gguf = Gguf::open(&path).unwrap();
        change(&mut gguf);
        check(&gguf).err().map(|error| error.to_string())
    }

    #[test]
    fn a_sound_header_passes_and_an_odd_one_is_named() {
        assert_eq!(problem(|_| {}), None);
        let set = |key: &'static str, value: Value| problem(|gguf| gguf.metadata.set(key, value)).unwrap_or_default();
        assert!(set("tokenizer.ggml.tokens", Value::U32s(vec![1])).contains("tokens"));
        assert!(set("tokenizer.ggml.token_type", Value::I32s(vec![1])).contains("token_type"));
        assert!(set("tokenizer.ggml.merges", Value::Strings(vec!["ab".into()])).contains("no merge"));
        assert!(set("tokenizer.ggml.eos_token_id", Value::U32(1 << 20)).contains("eos_token_id"));
        assert!(set("qwen2.attention.head_count", Value::U32(0)).contains("head_count"));
        assert!(set("qwen2.attention.head_count_kv", Value::U32(3)).contains("heads"));
        assert!(set("qwen2.block_count", Value::U32(1 << 30)).contains("layers"));
        assert!(set("qwen2.rope.freq_base", Value::F32(f32::NAN)).contains("freq_base"));
        assert!(set("qwen2.feed_forward_length", Value::U32(64)).contains("shape"));
        assert!(problem(|gguf| gguf.tensors.retain(|t| t.name != "output_norm.weight")).unwrap().contains("missing"));
    }
}
