//! What z1 knows about models before any file is there: `models/models.toml`, and the user's own entries
//! beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Exit, UserError};

const BUILT_IN: &str = include_str!("../../models/models.toml");

/// One model that can be named on the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub title: String,
    /// `owner/name` on the hub. Absent for the embedded model and for files added by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// Branch, tag or commit.
    #[serde(default = "default_revision")]
    pub revision: String,
    pub licence: String,
    /// The architecture in GGUF's words.
    #[serde(default = "default_arch")]
    pub arch: String,
    pub context_tokens_max: u32,
    /// Which folder of prompts it is spoken to with.
    #[serde(default = "default_profile")]
    pub prompt_profile: String,
    /// Quantisation made by `pull` where none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quant: Option<String>,
    /// The longest thinking that pays with it, in tokens: a ceiling where the task decides how much to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u32>,
    /// How its makers draw from it; a temperature in the settings goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// Checksums that are known beforehand, by file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileSpec>,
    #[serde(default)]
    pub embedded: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How tokens are drawn, as the model's makers advise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    #[serde(default = "one")]
    pub top_p: f32,
    /// 0 keeps every token.
    #[serde(default)]
    pub top_k: u32,
}

const fn one() -> f32 {
    1.0
}

/// What a file of a model must be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// The settings' own range.
const TEMPERATURE_MAX: f32 = 2.0;
const WINDOW_TOKENS_MAX: u32 = 1 << 20;

impl Entry {
    /// Whether every value can be one.
    fn check(&self) -> Result<(), String> {
        if let Some(tokens) = self.window_tokens.filter(|tokens| *tokens > WINDOW_TOKENS_MAX) {
            return Err(format!("a window of {tokens} tokens is too long"));
        }
        if let Some(Sampling { temperature, top_p, .. }) = self.sampling {
            if !(0.0..=TEMPERATURE_MAX).contains(&temperature) {
                return Err(format!("temperature goes from 0 to {TEMPERATURE_MAX}, not {temperature}"));
            }
            if !(top_p > 0.0 && top_p <= 1.0) {
                return Err(format!("top_p is above 0 and at most 1, not {top_p}"));
            }
        }
        let hexadecimal = |sum: &str| sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        let odd = self.files.iter().find(|(_, spec)| spec.sha256.as_deref().is_some_and(|sum| !hexadecimal(sum)));
        odd.map_or(Ok(()), |(file, _)| Err(format!("the sha256 of {file} is not 64 hexadecimal digits")))
    }
}

fn default_revision() -> String {
    "main".to_owned()
}

fn default_arch() -> String {
    "qwen2".to_owned()
}

fn default_profile() -> String {
    "default".to_owned()
}

/// Every known model by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    pub entries: BTreeMap<String, Entry>,
}

impl Registry {
    /// The built-in entries, overlaid by those of `user_file` where it exists.
    ///
    /// # Errors
    /// A user file that cannot be read or does not parse.
    pub fn load(user_file: &Path) -> anyhow::Result<Self> {
        let mut registry =
            Self { entries: parse(BUILT_IN).expect("invariant: the built-in registry parses; a test holds it") };
        match std::fs::read_to_string(user_file) {
            Ok(text) => {
                let broken = |why: String| UserError::new(Exit::Usage, format!("{} {why}", user_file.display()));
                let own = parse(&text).map_err(|problem| {
                    broken(format!("does not parse: {problem}"))
                        .hint("each model is a [name] table with at least title, licence and context_tokens_max")
                })?;
                for (name, entry) in &own {
                    entry.check().map_err(|why| broken(format!("is wrong about {name}: {why}")))?;
                }
                registry.entries.extend(own);
            }
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => {}
            Err(problem) => {
                return Err(
                    UserError::new(Exit::Error, format!("cannot read {}: {problem}", user_file.display())).into()
                );
            }
        }
        Ok(registry)
    }

    /// The entry of this name.
    ///
    /// # Errors
    /// An unknown name, with the nearest known one.
    pub fn get(&self, name: &str) -> anyhow::Result<&Entry> {
        self.entries.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.entries.keys().map(String::as_str).collect();
            UserError::new(Exit::NoModel, format!("no model is called {name:?}"))
                .hint(format!("known names: {}; or give a path or an owner/name of the hub", known.join(", ")))
                .into()
        })
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, Entry>, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_registry_parses_and_names_the_paper_s_model() {
        let registry = Registry::load(Path::new("/nowhere/models.toml")).unwrap();
        assert_eq!(registry.get("z1-7b").unwrap().repo.as_deref(), Some("efficientscaling/Z1-7B"));
        assert!(registry.get("z1-nano").unwrap().embedded);
        for (name, entry) in &registry.entries {
            assert!(entry.embedded || entry.repo.is_some(), "{name} has no source");
            assert!(entry.quant.as_deref().is_none_or(|quant| crate::model_store::quantise::file_type(quant).is_ok()));
        }
    }

    #[test]
    fn a_user_entry_replaces_a_built_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("models.toml");
        std::fs::write(&file, "[z1-7b]\ntitle='mine'\nlicence='MIT'\ncontext_tokens_max=4096\n").unwrap();
        assert_eq!(Registry::load(&file).unwrap().get("z1-7b").unwrap().title, "mine");
    }

    #[test]
    fn an_unknown_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("models.toml");
        std::fs::write(&file, "[x]\ntitle='x'\nlicense='MIT'\ncontext_tokens_max=1\n").unwrap();
        let problem = format!("{:#}", Registry::load(&file).unwrap_err());
        assert!(problem.contains("license"), "{problem}");
    }

    #[test]
    fn values_that_cannot_be_are_refused_with_the_entry_s_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("models.toml");
        let load = |line: &str| {
            std::fs::write(&file, format!("[x]\ntitle='x'\nlicence='MIT'\ncontext_tokens_max=1\n{line}\n")).unwrap();
            Registry::load(&file).map_err(|error| format!("{error:#}"))
        };
        for (line, word) in [
            ("sampling = { temperature = -1.0 }", "temperature"),
            ("sampling = { temperature = nan }", "temperature"),
            ("sampling = { temperature = 1.0, top_p = 0.0 }", "top_p"),
            ("window_tokens = 99999999", "window"),
            ("files.\"a.gguf\".sha256 = 'abc'", "a.gguf"),
        ] {
            let refusal = load(line).unwrap_err();
            assert!(refusal.contains(word) && refusal.contains("wrong about x"), "{line}: {refusal}");
        }
        let sum = "Ab".repeat(32);
        assert!(load(&format!("files.\"a.gguf\".sha256 = '{sum}'\nsampling = {{ temperature = 2.0 }}")).is_ok());
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let registry = Registry::load(Path::new("/nowhere/models.toml")).unwrap();
        let error = registry.get("z2").unwrap_err();
        assert_eq!(crate::error::exit_of(&error), Exit::NoModel);
        assert!(crate::error::render(&error).contains("z1-7b"));
    }
}
