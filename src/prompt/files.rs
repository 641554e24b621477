//! The prompt files: embedded, overridable from a folder, rendered strictly, hashed for the transcript.
//!
//! Not for: the order of turns (that is [`super::conversation`]).

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::table;
use crate::hex::hex;
use crate::traits::PromptSet;

/// A prompt file that does not exist, does not parse, or names a variable that nobody gives it.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    #[error("no prompt is called `{name}`")]
    Unknown { name: String },
    #[error("prompt `{name}` ({origin}): {problem}")]
    Template { name: String, origin: String, problem: String },
    #[error("prompt file {path}: {source}")]
    Unreadable { path: String, source: std::io::Error },
}

/// One set of prompts, ready to render.
#[derive(Clone, Debug)]
pub struct Prompts {
    set: PromptSet,
    environment: Environment<'static>,
    /// Name to where the text came from and its SHA-256.
    origins: BTreeMap<String, Origin>,
}

#[derive(Clone, Debug)]
struct Origin {
    place: String,
    sha256: String,
}

impl Prompts {
    /// Loads a set. `overrides` is a folder whose `NAME.md` (and, for the nano set,
    /// `nano/NAME.md`) replaces the embedded file of that name; a folder that does not exist overrides
    /// nothing.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, or that replaces no known prompt.
    pub fn load(set: PromptSet, overrides: Option<&Path>) -> Result<Self, PromptError> {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut prompts = Self { set, environment, origins: BTreeMap::new() };
        for (name, text) in table::DEFAULT {
            prompts.add(name, (*text).to_owned(), "built in".to_owned())?;
        }
        if set == PromptSet::Nano {
            for (name, text) in table::NANO {
                prompts.add(name, (*text).to_owned(), "built in, nano".to_owned())?;
            }
        }
        let folder = overrides.map(|root| match set {
            PromptSet::Default => root.to_owned(),
            PromptSet::Nano => root.join("nano"),
        });
        if let Some(folder) = folder.filter(|folder| folder.is_dir()) {
            prompts.add_folder(&folder)?;
        }
        Ok(prompts)
    }

    /// Renders one prompt with everything it names.
    ///
    /// # Errors
    /// An unknown name, or a variable in the file that `context` lacks.
    pub fn render(&self, name: &str, context: impl Serialize) -> Result<String, PromptError> {
        let origin = self.origins.get(name).ok_or_else(|| PromptError::Unknown { name: name.to_owned() })?;
        let fail = |problem: minijinja::Error| PromptError::Template {
            name: name.to_owned(),
            origin: origin.place.clone(),
            problem: format!("{problem:#}"),
        };
        self.environment.get_template(name).map_err(fail)?.render(Serde(context)).map_err(fail)
    }

    /// The words forced where thinking ends: with `code` the fence of a program in that language is opened as well, and
    /// `close` closes the thinking of a model that marks it.
    ///
    /// # Errors
    /// As [`Prompts::render`].
    pub fn hint(&self, code: Option<&str>, close: &str) -> Result<String, PromptError> {
        #[derive(Serialize)]
        struct Context<'a> {
            language: &'a str,
            close: &'a str,
        }
        let name = if code.is_some() { "hint_code" } else { "hint" };
        self.render(name, Context { language: code.unwrap_or_default(), close })
    }

    /// Every prompt's name and the SHA-256 of its text, for the transcript.
    pub fn hashes(&self) -> BTreeMap<String, String> {
        self.origins.iter().map(|(name, origin)| (name.clone(), origin.sha256.clone())).collect()
    }

    pub const fn set(&self) -> PromptSet {
        self.set
    }

    fn add_folder(&mut self, folder: &Path) -> Result<(), PromptError> {
        let unreadable = |path: &Path, source| PromptError::Unreadable { path: path.display().to_string(), source };
        for entry in std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
            let path = entry.map_err(|error| unreadable(folder, error))?.path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            // A misspelt override would silently change nothing.
            if !self.origins.contains_key(&name) {
                return Err(PromptError::Unknown { name: format!("{name} (in {})", path.display()) });
            }
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            self.add(&name, text, path.display().to_string())?;
        }
        Ok(())
    }

    fn add(&mut self, name: &str, text: String, place: String) -> Result<(), PromptError> {
        let sha256 = hex(&Sha256::digest(text.as_bytes()));
        self.environment.add_template_owned(name.to_owned(), text).map_err(|problem| PromptError::Template {
            name: name.to_owned(),
            origin: place.clone(),
            problem: format!("{problem:#}"),
        })?;
        self.origins.insert(name.to_owned(), Origin { place, sha256 });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use minijinja::context;

    use super::*;

    fn names_in(folder: &str) -> BTreeSet<String> {
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn every_prompt_file_has_a_row_and_every_row_a_file() {
        let of = |rows: &[table::Row]| rows.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(of(table::DEFAULT), names_in("prompts"));
        assert_eq!(of(table::NANO), names_in("prompts/nano"));
    }

    #[test]
    fn the_hint_is_the_papers_own() {
        for set in [PromptSet::Default, PromptSet::Nano] {
            let prompts = Prompts::load(set, None).unwrap();
            let hint = prompts.hint(None, "").unwrap();
            assert_eq!(hint, "\n\nI overthought it, the final answer should be:\n\n");
            let code = prompts.hint(Some("python"), "").unwrap();
            assert!(code.ends_with("```python\n"), "{code:?}");
        }
    }

    #[test]
    fn an_unknown_variable_is_an_error_that_names_the_prompt() {
        let prompts = Prompts::load(PromptSet::Default, None).unwrap();
        let error = prompts.render("hint_code", context! {}).unwrap_err().to_string();
        assert!(error.contains("hint_code"), "{error}");
    }

    #[test]
    fn a_folder_overrides_by_name_and_refuses_a_misspelling() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("system.md"), "Be brief.\n").unwrap();
        let ours = Prompts::load(PromptSet::Default, None).unwrap();
        let theirs = Prompts::load(PromptSet::Default, Some(folder.path())).unwrap();
        assert_eq!(theirs.render("system", context! {}).unwrap(), "Be brief.");
        assert_ne!(ours.hashes()["system"], theirs.hashes()["system"]);
        assert_eq!(ours.hashes()["task"], theirs.hashes()["task"]);
        std::fs::write(folder.path().join("sistem.md"), "x").unwrap();
        assert!(matches!(Prompts::load(PromptSet::Default, Some(folder.path())), Err(PromptError::Unknown { .. })));
    }

    #[test]
    fn the_system_prompt_is_short() {
        let words = Prompts::load(PromptSet::Default, None).unwrap().render("system", context! {}).unwrap();
        // A token of English is rarely less than 3 characters; 500 tokens is the promise.
        assert!(words.len() <= 1500, "{} bytes", words.len());
    }
}
