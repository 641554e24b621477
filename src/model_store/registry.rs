//! What z1 knows about models before any file is there: `models/models.toml`, and the user's own entries
//! beside it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::traits::{Advised, Difference, of_label};
use crate::error::{Exit, UserError};
use crate::gguf::Label;
use crate::traits::Traits;

const BUILT_IN: &str = include_str!("../../models/models.toml");
const FAMILIES: &str = include_str!("../../models/families.toml");

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
    /// A file that its makers have quantised: fetched by `pull` where nothing else is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gguf: Option<Ready>,
    /// Quantisation made by `pull` of the checkpoint where none is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quant: Option<String>,
    /// The longest thinking that pays with it, in tokens: a ceiling where the task decides how much to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u32>,
    /// How its makers draw from it; a temperature in the settings goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Advised>,
    /// Everything else in which it differs from other models.
    #[serde(default, skip_serializing_if = "Difference::is_none")]
    pub traits: Difference,
    /// Checksums that are known beforehand, by file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileSpec>,
    #[serde(default)]
    pub embedded: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A ready GGUF on the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    pub repo: String,
    #[serde(default = "default_revision")]
    pub revision: String,
    pub quant: String,
    /// The size of the whole, for the question whether it fits before it is there.
    pub bytes: u64,
    /// Checksums that are known beforehand, by file name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileSpec>,
}

/// Where a pull goes, and what it expects there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source<'a> {
    pub repo: &'a str,
    pub revision: &'a str,
    pub quant: Option<&'a str>,
    pub files: &'a BTreeMap<String, FileSpec>,
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

const WINDOW_TOKENS_MAX: u32 = 1 << 20;

impl Entry {
    /// What a model of this entry is like, where `known` is what is known of it otherwise.
    pub fn traits(&self, known: Traits) -> Traits {
        let known = Traits {
            window_tokens: self.window_tokens.or(known.window_tokens),
            sampling: self.sampling.map(Into::into).or(known.sampling),
            ..known
        };
        self.traits.over(known)
    }

    /// Whether every value can be one.
    fn check(&self) -> Result<(), String> {
        if let Some(tokens) = self.window_tokens.filter(|tokens| *tokens > WINDOW_TOKENS_MAX) {
            return Err(format!("a window of {tokens} tokens is too long"));
        }
        self.sampling.map_or(Ok(()), Advised::check)?;
        self.traits.check()?;
        let hexadecimal = |sum: &str| sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        let ready = self.gguf.iter().flat_map(|ready| &ready.files);
        let odd = self
            .files
            .iter()
            .chain(ready)
            .find(|(_, spec)| spec.sha256.as_deref().is_some_and(|sum| !hexadecimal(sum)));
        odd.map_or(Ok(()), |(file, _)| Err(format!("the sha256 of {file} is not 64 hexadecimal digits")))
    }
}

fn default_revision() -> String {
    "main".to_owned()
}

fn default_arch() -> String {
    "qwen2".to_owned()
}

/// Every known model by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    pub entries: BTreeMap<String, Entry>,
    families: BTreeMap<String, Family>,
}

/// What models of one family have in common, whatever their size and whoever made the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    #[serde(default)]
    window_tokens: Option<u32>,
    #[serde(default)]
    sampling: Option<Advised>,
    #[serde(default)]
    traits: Difference,
}

impl Registry {
    /// The entries that z1 brings.
    pub fn built_in() -> Self {
        let entries = parse(toml_of(BUILT_IN)).expect("invariant: the built-in registry parses; a test holds it");
        let families = toml::from_str(FAMILIES).expect("invariant: the built-in families parse; a test holds it");
        Self { entries, families }
    }

    /// The built-in entries, overlaid by those of `user_file` where it exists: an entry of a known name says only what
    /// differs.
    ///
    /// # Errors
    /// A user file that cannot be read or does not parse.
    pub fn load(user_file: &Path) -> anyhow::Result<Self> {
        let mut registry = Self::built_in();
        match std::fs::read_to_string(user_file) {
            Ok(text) => {
                let broken = |why: String| UserError::new(Exit::Usage, format!("{} {why}", user_file.display()));
                let unparsed = |problem: toml::de::Error| {
                    broken(format!("does not parse: {problem}")).hint(
                        "each model is a [name] table; one that z1 does not know has at least title, licence and \
                         context_tokens_max",
                    )
                };
                let own: toml::Table = text.parse().map_err(unparsed)?;
                let names: Vec<String> = own.keys().cloned().collect();
                let own = overlaid(toml_of(BUILT_IN), own);
                for (name, entry) in parse(own).map_err(unparsed)? {
                    if names.contains(&name) {
                        entry.check().map_err(|why| broken(format!("is wrong about {name}: {why}")))?;
                        registry.entries.insert(name, entry);
                    }
                }
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

    /// The entry that a model file belongs to by what is written on it: the longest name that one of its own names
    /// contains as whole words.
    pub fn recognise(&self, label: &Label) -> Option<(&str, &Entry)> {
        let (name, entry) = longest(self.entries.iter(), label)?;
        Some((name, entry))
    }

    /// What a model is like of which only its file is known.
    pub fn traits(&self, label: &Label) -> Traits {
        self.traits_of(self.recognise(label), label)
    }

    /// What a model of this entry is like: the entry goes before what the file says, the file before its family.
    pub fn traits_of(&self, entry: Option<(&str, &Entry)>, label: &Label) -> Traits {
        let family = longest(self.families.iter(), label);
        let mut traits = Traits { known_as: family.map(|(name, _)| name.to_owned()), ..Traits::default() };
        if let Some((_, family)) = family {
            traits.window_tokens = family.window_tokens;
            traits.sampling = family.sampling.map(Into::into);
        }
        traits = of_label(label, traits);
        if let Some((_, family)) = family {
            traits = family.traits.over(traits);
        }
        match entry {
            Some((name, entry)) => Traits { known_as: Some(name.to_owned()), ..entry.traits(traits) },
            None => traits,
        }
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

/// Of these names the longest that the label has in one of its own, as whole words.
fn longest<'a, T>(rows: impl Iterator<Item = (&'a String, &'a T)>, label: &Label) -> Option<(&'a str, &'a T)> {
    let names: Vec<String> = label.names.iter().map(|name| plain(name)).collect();
    let is_in = |row: &str| names.iter().any(|name| has_words(name, &plain(row)));
    rows.filter(|(row, _)| is_in(row)).max_by_key(|(row, _)| row.len()).map(|(row, value)| (row.as_str(), value))
}

/// A name as it is compared: names of files, repositories and metadata differ in case and in what joins their words.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn has_words(name: &str, words: &str) -> bool {
    let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '.');
    name.match_indices(words).any(|(at, _)| {
        let before = name[..at].chars().next_back();
        let mut after = name[at + words.len()..].chars();
        // "model-7b.gguf" ends a word with its dot, "model-2.5" does not.
        let next = after.next();
        ends(before) && (ends(next) || (next == Some('.') && !after.next().is_some_and(|c| c.is_ascii_digit())))
    })
}

fn toml_of(text: &str) -> toml::Table {
    text.parse().expect("invariant: the built-in registry is TOML; a test holds it")
}

fn parse(table: toml::Table) -> Result<BTreeMap<String, Entry>, toml::de::Error> {
    table.try_into()
}

/// A table with another's values laid over it, table by table.
fn overlaid(mut base: toml::Table, over: toml::Table) -> toml::Table {
    for (key, value) in over {
        let value = match (base.remove(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => toml::Value::Table(overlaid(below, above)),
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traits::{PromptSet, Sampling};

    #[test]
    fn the_built_in_registry_parses_and_names_the_paper_s_model() {
        let registry = Registry::load(Path::new("/nowhere/models.toml")).unwrap();
        assert_eq!(registry.get("z1-7b").unwrap().repo.as_deref(), Some("efficientscaling/Z1-7B"));
        assert!(registry.get("z1-nano").unwrap().embedded);
        for (name, entry) in &registry.entries {
            assert!(entry.embedded || entry.repo.is_some(), "{name} has no source");
            let ready = entry.gguf.as_ref().map(|ready| ready.quant.as_str());
            assert!(
                entry
                    .quant
                    .as_deref()
                    .into_iter()
                    .chain(ready)
                    .all(|quant| crate::model_store::quantise::file_type(quant).is_ok())
            );
        }
    }

    #[test]
    fn a_user_entry_goes_over_a_built_in_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("models.toml");
        std::fs::write(&file, "[z1-7b]\ntitle='mine'\nlicence='MIT'\ncontext_tokens_max=4096\n").unwrap();
        let registry = Registry::load(&file).unwrap();
        let entry = registry.get("z1-7b").unwrap();
        assert_eq!((entry.title.as_str(), entry.context_tokens_max), ("mine", 4096));
        assert_eq!(entry.repo.as_deref(), Some("efficientscaling/Z1-7B"), "what it does not say stays");
        std::fs::write(&file, "[z1-nano.traits]\nremembers = true\n").unwrap();
        let traits = Registry::load(&file).unwrap().entries["z1-nano"].traits(Traits::default());
        assert!(traits.remembers && !traits.looks && traits.prompts == PromptSet::Nano);
    }

    #[test]
    fn a_file_is_recognised_by_its_own_names() {
        let registry = Registry::built_in();
        let label = |name: &str| Label { names: vec![name.to_owned()], ..Label::default() };
        let known = |name: &str| registry.traits(&label(name)).known_as;
        for (name, expected) in [
            ("Qwen2.5 Coder 1.5B Instruct GGUF", Some("qwen2.5-coder-1.5b")),
            ("qwen2.5-coder-1.5b-instruct-q4_k_m", Some("qwen2.5-coder-1.5b")),
            ("Qwen2.5-Coder-14B-Instruct", Some("qwen2.5-coder")),
            ("DeepSeek R1 Distill Qwen 7B", Some("r1-distill-qwen-7b")),
            ("DeepSeek-R1-Distill-Llama-8B", Some("r1-distill")),
            ("Z1 7B", Some("z1-7b")),
            ("z1-7b.q5_k_m", Some("z1-7b")),
            ("z1-nano-0123abc", Some("z1-nano")),
            ("xyz1-7b", None),
            ("z1-7bis", None),
            ("Qwen2.5-Coder-1.5", Some("qwen2.5-coder")),
            ("tiny random qwen2", None),
        ] {
            assert_eq!(known(name).as_deref(), expected, "{name}");
        }
        let nano = registry.traits(&label("z1-nano"));
        assert_eq!((nano.prompts, nano.files_max, nano.remembers), (PromptSet::Nano, 1, false));
        assert!((nano.sampling.unwrap().temperature - 0.0).abs() < f32::EPSILON);
        assert!(nano.shares.sum() <= 0.6);
    }

    #[test]
    fn the_entry_goes_before_the_file_and_the_file_before_its_family() {
        let registry = Registry::built_in();
        let own = Sampling { temperature: 0.25, ..Sampling::GREEDY };
        let drawn = |name: &str, sampling| {
            let label = Label { names: vec![name.to_owned()], sampling, ..Label::default() };
            registry.traits(&label).sampling.map(|sampling| sampling.temperature)
        };
        assert_eq!(drawn("Qwen2.5-Coder-14B", None), Some(0.7));
        assert_eq!(drawn("Qwen2.5-Coder-14B", Some(own)), Some(0.25));
        assert_eq!(drawn("Qwen2.5-Coder-7B", Some(own)), Some(0.7));
        assert_eq!(drawn("unheard of", Some(own)), Some(0.25));
        assert_eq!(drawn("unheard of", None), None);
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
