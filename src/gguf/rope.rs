//! How `config.json` turns positions: the base, and what stretches it beyond the trained length.
//!
//! Two spellings are about: `rope_theta` with `rope_scaling`, and `rope_parameters` that holds both. What cannot be
//! carried into GGUF is refused: a model whose positions are turned otherwise than in training still talks, but worse.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Value as GgufValue, Writer};

/// Where `config.json` is silent.
const THETA_DEFAULT: f64 = 10_000.0;
/// Stretching further than this is a mistake of the file.
const FACTOR_MAX: f64 = 1e6;

/// What `config.json` says about it, as it stands there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct RopeSettings {
    #[serde(default)]
    rope_theta: Option<f64>,
    #[serde(default)]
    rope_scaling: Option<Value>,
    #[serde(default)]
    rope_parameters: Option<Value>,
    #[serde(default)]
    original_max_position_embeddings: Option<u32>,
    #[serde(default)]
    partial_rotary_factor: Option<f64>,
}

/// What goes into the GGUF.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    pub scaling: Option<Scaling>,
}

/// A stretch that llama.cpp knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Scaling {
    Linear {
        factor: f64,
    },
    Yarn {
        factor: f64,
        /// The context that the model was trained with before it was stretched, in tokens.
        original_context: u32,
        /// Further numbers, where the file sets them, by their GGUF names.
        tuned: Vec<(&'static str, f64)>,
    },
}

/// YaRN's further numbers: the names in `config.json`, the first that is there wins, and the one in GGUF.
const YARN_TUNED: [(&[&str], &str); 4] = [
    (&["extrapolation_factor"], "yarn_ext_factor"),
    (&["attention_factor", "attn_factor"], "yarn_attn_factor"),
    (&["beta_fast"], "yarn_beta_fast"),
    (&["beta_slow"], "yarn_beta_slow"),
];
/// Keys that every kind may have.
const COMMON: [&str; 4] = ["type", "rope_type", "rope_theta", "partial_rotary_factor"];

impl RopeSettings {
    /// Reads either spelling; `trained_context` is the model's context, which YaRN starts from where nothing else is
    /// said.
    ///
    /// # Errors
    /// In words: a kind of scaling or a key that cannot be carried, or numbers that make no sense.
    pub fn read(&self, trained_context: u32) -> Result<Rope, String> {
        let given = [("rope_parameters", &self.rope_parameters), ("rope_scaling", &self.rope_scaling)];
        let given = given.into_iter().find_map(|(name, value)| Some((name, value.as_ref().filter(|v| !v.is_null())?)));
        let empty = Map::new();
        let (name, table) = match given {
            None => ("rope_scaling", &empty),
            Some((name, value)) => (name, value.as_object().ok_or_else(|| format!("{name} is no table"))?),
        };
        // Newer files have a table for each kind of attention; Qwen2 has one kind.
        let table = match table.get("full_attention") {
            Some(Value::Object(inner)) if table.len() == 1 => inner,
            _ => table,
        };
        let keys = Keys { name, table };
        let theta = keys.number("rope_theta")?.or(self.rope_theta).unwrap_or(THETA_DEFAULT);
        if !(theta.is_finite() && theta > 0.0) {
            return Err(format!("rope_theta cannot be {theta}"));
        }
        let turned = keys.number("partial_rotary_factor")?.or(self.partial_rotary_factor);
        if turned.is_some_and(|part| part.to_bits() != 1.0_f64.to_bits()) {
            return Err(
                "only a part of each head is turned (partial_rotary_factor), which qwen2 does not know".to_owned()
            );
        }
        let original = keys.context("original_max_position_embeddings")?.or(self.original_max_position_embeddings);
        Ok(Rope { theta, scaling: keys.scaling(original.unwrap_or(trained_context))? })
    }
}

/// A table of settings with the name that a complaint calls it by.
struct Keys<'a> {
    name: &'a str,
    table: &'a Map<String, Value>,
}

impl Keys<'_> {
    fn scaling(&self, original_context: u32) -> Result<Option<Scaling>, String> {
        let kind = ["rope_type", "type"].into_iter().find_map(|key| self.table.get(key).filter(|v| !v.is_null()));
        let kind = match kind {
            None => "default",
            Some(kind) => kind.as_str().ok_or_else(|| format!("{}: its type is no word", self.name))?,
        };
        match kind {
            "default" => {
                self.only(&[])?;
                Ok(None)
            }
            "linear" => {
                self.only(&["factor", "original_max_position_embeddings"])?;
                Ok(Some(Scaling::Linear { factor: self.factor()? }))
            }
            "yarn" => {
                let mut known = vec!["factor", "original_max_position_embeddings"];
                known.extend(YARN_TUNED.iter().flat_map(|(names, _)| *names));
                // llama.cpp cuts the corrected dimensions to whole numbers, as everything does where it is not told.
                if self.table.get("truncate") == Some(&Value::Bool(true)) {
                    known.push("truncate");
                }
                self.only(&known)?;
                let mut tuned = Vec::new();
                for (names, gguf_name) in YARN_TUNED {
                    for name in names {
                        if let (Some(number), true) =
                            (self.number(name)?, tuned.last().is_none_or(|l: &(_, _)| l.0 != gguf_name))
                        {
                            tuned.push((gguf_name, number));
                        }
                    }
                }
                Ok(Some(Scaling::Yarn { factor: self.factor()?, original_context, tuned }))
            }
            other => Err(format!("{} of the type {other:?} cannot be carried into a GGUF of qwen2", self.name)),
        }
    }

    /// Refuses every key beyond the common ones and these, unless it is null.
    fn only(&self, known: &[&str]) -> Result<(), String> {
        let strange = self
            .table
            .iter()
            .find(|(key, value)| !value.is_null() && !COMMON.contains(&key.as_str()) && !known.contains(&key.as_str()));
        strange.map_or(Ok(()), |(key, _)| {
            let key: String = key.chars().take(60).collect();
            Err(format!("{}: {key:?} cannot be carried into a GGUF of qwen2", self.name))
        })
    }

    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        match self.table.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let number = value.as_f64().filter(|number| number.is_finite());
                number.map(Some).ok_or_else(|| format!("{}: {key} is no number", self.name))
            }
        }
    }

    fn context(&self, key: &str) -> Result<Option<u32>, String> {
        match self.table.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let tokens = value.as_u64().and_then(|tokens| u32::try_from(tokens).ok()).filter(|tokens| *tokens > 0);
                tokens.map(Some).ok_or_else(|| format!("{}: {key} is no number of tokens", self.name))
            }
        }
    }

    fn factor(&self) -> Result<f64, String> {
        let factor = self.number("factor")?.ok_or_else(|| format!("{} has no factor", self.name))?;
        let sane = (1.0..=FACTOR_MAX).contains(&factor);
        if sane { Ok(factor) } else { Err(format!("{}: a factor of {factor} makes no sense", self.name)) }
    }
}

impl Rope {
    /// Sets the keys that llama.cpp reads.
    pub fn describe(&self, writer: &mut Writer) {
        writer.set("qwen2.rope.freq_base", GgufValue::F32(self.theta as f32));
        let mut set = |key: &str, value: GgufValue| writer.set(format!("qwen2.rope.scaling.{key}"), value);
        match &self.scaling {
            None => {}
            Some(Scaling::Linear { factor }) => {
                set("type", "linear".into());
                set("factor", GgufValue::F32(*factor as f32));
            }
            Some(Scaling::Yarn { factor, original_context, tuned }) => {
                set("type", "yarn".into());
                set("factor", GgufValue::F32(*factor as f32));
                set("original_context_length", GgufValue::U32(*original_context));
                for (key, number) in tuned {
                    set(key, GgufValue::F32(*number as f32));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Rope, String> {
        serde_json::from_str::<RopeSettings>(json).unwrap().read(32_768)
    }

    #[test]
    fn both_spellings_say_the_same() {
        let plain = Rope { theta: 1e6, scaling: None };
        for json in [
            r#"{"rope_theta": 1000000.0}"#,
            r#"{"rope_theta": 1000000, "rope_scaling": null}"#,
            r#"{"rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}}"#,
            r#"{"rope_parameters": {"full_attention": {"rope_theta": 1000000.0, "rope_type": "default"}}}"#,
        ] {
            assert_eq!(read(json).unwrap(), plain, "{json}");
        }
        assert_eq!(read("{}").unwrap().theta.to_bits(), THETA_DEFAULT.to_bits());
    }

    #[test]
    fn yarn_and_linear_are_carried_with_all_their_numbers() {
        let yarn = Scaling::Yarn { factor: 4.0, original_context: 32_768, tuned: Vec::new() };
        for json in [
            r#"{"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}"#,
            r#"{"rope_scaling": {"rope_type": "yarn", "type": "yarn", "factor": 4}}"#,
            r#"{"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "truncate": true}}"#,
        ] {
            assert_eq!(read(json).unwrap().scaling.as_ref(), Some(&yarn), "{json}");
        }
        let tuned = read(
            r#"{"rope_scaling": {"type": "yarn", "factor": 2, "original_max_position_embeddings": 8192, "beta_fast": 16,
                "attention_factor": 1.5, "attn_factor": 9, "beta_slow": null}}"#,
        );
        let wanted = vec![("yarn_attn_factor", 1.5), ("yarn_beta_fast", 16.0)];
        let Some(Scaling::Yarn { original_context, tuned, .. }) = tuned.unwrap().scaling else { panic!() };
        assert_eq!((original_context, tuned), (8192, wanted));
        let linear = read(r#"{"rope_scaling": {"type": "linear", "factor": 2.0}}"#).unwrap();
        assert_eq!(linear.scaling, Some(Scaling::Linear { factor: 2.0 }));
    }

    #[test]
    fn what_cannot_be_carried_is_refused_by_name() {
        for (json, word) in [
            (r#"{"rope_scaling": {"type": "dynamic", "factor": 2.0}}"#, "dynamic"),
            (r#"{"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}"#, "llama3"),
            (r#"{"rope_scaling": {"type": "longrope", "long_factor": [1]}}"#, "longrope"),
            (r#"{"rope_scaling": {"type": "default", "mrope_section": [16, 24, 24]}}"#, "mrope_section"),
            (r#"{"rope_scaling": {"type": "yarn", "factor": 4, "mscale": 0.7}}"#, "mscale"),
            (r#"{"rope_scaling": {"type": "yarn", "factor": 4, "truncate": false}}"#, "truncate"),
            (r#"{"rope_scaling": {"type": "yarn"}}"#, "no factor"),
            (r#"{"rope_scaling": {"type": "linear", "factor": 0}}"#, "makes no sense"),
            (r#"{"rope_scaling": {"type": "linear", "factor": "2"}}"#, "no number"),
            (r#"{"rope_scaling": {"factor": 2.0}}"#, "factor"),
            (r#"{"rope_scaling": {"type": 3}}"#, "no word"),
            (r#"{"rope_scaling": [1]}"#, "no table"),
            (r#"{"rope_parameters": {"rope_theta": -1}}"#, "rope_theta"),
            (r#"{"rope_theta": 0}"#, "rope_theta"),
            (r#"{"partial_rotary_factor": 0.5}"#, "partial_rotary_factor"),
            (r#"{"rope_parameters": {"full_attention": {}, "sliding_attention": {}}}"#, "full_attention"),
            (r#"{"rope_scaling": {"type": "yarn", "factor": 2, "original_max_position_embeddings": 0}}"#, "tokens"),
        ] {
            let refusal = read(json).unwrap_err();
            assert!(refusal.contains(word), "{json}: {refusal}");
        }
    }
}
