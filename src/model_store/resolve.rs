//! From what the user calls a model to something the engine can open: a file, an installed name, the
//! embedded z1-nano, or a script.
//!
//! Not for: bringing models (see `pull`) or loading them (the engine does).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::registry::{Entry, Registry};
use super::store::{Store, write_whole};
use crate::cancel::Cancel;
use crate::dirs::Dirs;
use crate::engine::{Engine, LoadOptions, Reply, Script};
use crate::error::{Exit, UserError};
use crate::gguf::Label;
use crate::traits::Traits;

/// The model that the binary carries.
pub const NANO: &str = "z1-nano";

/// The prefix of `--model scripted:FILE`: a model that says what a file tells it, for tests of everything
/// around it.
const SCRIPTED: &str = "scripted:";

#[cfg(z1_nano)]
const NANO_BYTES: Option<(&[u8], &str)> =
    Some((include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/z1-nano.gguf")), env!("Z1_NANO_HASH")));
#[cfg(not(z1_nano))]
const NANO_BYTES: Option<(&[u8], &str)> = None;

/// A model that can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    File(PathBuf),
    Script(PathBuf),
}

/// Whether this binary carries z1-nano.
pub const fn carries_nano() -> bool {
    NANO_BYTES.is_some()
}

/// Finds a model by path or name; without a wish the store's default, else the embedded one.
///
/// # Errors
/// No such file or name, or no model at all; says what to do.
pub fn resolve(wish: Option<&str>, dirs: &Dirs) -> anyhow::Result<Found> {
    let store = Store::new(&dirs.data);
    let Some(wish) = wish.filter(|wish| !wish.is_empty()) else {
        return match store.default_name()? {
            Some(name) => Ok(Found::File(store.get(&name)?.1)),
            None => nano(dirs),
        };
    };
    if let Some(path) = wish.strip_prefix(SCRIPTED) {
        return Ok(Found::Script(path.into()));
    }
    let path = Path::new(wish);
    if path.is_file() {
        return Ok(Found::File(path.to_owned()));
    }
    let looks_like_path = wish.contains(std::path::MAIN_SEPARATOR) || crate::gguf::is_named(path);
    let is_installed = !looks_like_path && store.folder(wish).is_dir();
    if looks_like_path || (path.is_dir() && !is_installed) {
        let what = if path.is_dir() { "is a folder, not a GGUF file" } else { "does not exist" };
        return Err(UserError::new(Exit::NoModel, format!("the model {wish} {what}"))
            .hint("name a .gguf file, or an installed model (`z1 models list`)")
            .into());
    }
    if wish == NANO && !store.folder(NANO).is_dir() {
        return nano(dirs);
    }
    Ok(Found::File(store.get(wish)?.1))
}

/// What is known of models by name, and the name under which the chosen one is known.
#[derive(Clone, Debug, Default)]
pub struct Known {
    registry: Registry,
    name: Option<String>,
}

impl Known {
    /// The chosen model's entry.
    pub fn entry(&self) -> Option<&Entry> {
        self.registry.entries.get(self.name.as_ref()?)
    }

    /// What the chosen model is like, given what is written on its file.
    pub fn traits(&self, label: &Label) -> Traits {
        match self.name.as_deref().and_then(|name| Some((name, self.registry.entries.get(name)?))) {
            Some(entry) => self.registry.traits_of(Some(entry), label),
            None => self.registry.traits(label),
        }
    }
}

/// What the registry knows about the model that [`resolve`] finds for this wish: by its name, or by the name of what
/// it was made of. A bare file is known by what is written on it, once it is open.
///
/// # Errors
/// A registry or a manifest that is broken.
pub fn known(wish: Option<&str>, dirs: &Dirs) -> anyhow::Result<Known> {
    let store = Store::new(&dirs.data);
    let registry = Registry::load(&store.registry_file())?;
    let name = match wish.filter(|wish| !wish.is_empty()) {
        Some(wish) if wish.starts_with(SCRIPTED) || Path::new(wish).is_file() => {
            return Ok(Known { registry, name: None });
        }
        Some(wish) => wish.to_owned(),
        None => store.default_name()?.unwrap_or_else(|| NANO.to_owned()),
    };
    let made_of = store.get(&name).ok().and_then(|(manifest, _)| manifest.known_as);
    let name = Some(name).filter(|name| registry.entries.contains_key(name)).or(made_of);
    Ok(Known { registry, name })
}

/// The embedded model, extracted to the cache under its hash.
fn nano(dirs: &Dirs) -> anyhow::Result<Found> {
    let Some((bytes, hash)) = NANO_BYTES else {
        return Err(UserError::new(Exit::NoModel, "there is no model: this build carries none and none is installed")
            .hint("z1 models pull z1-7b, or name a GGUF file with --model or Z1_MODEL")
            .into());
    };
    let path = dirs.cache.join("models").join(format!("{NANO}-{hash}.gguf"));
    let whole = |path: &Path| std::fs::metadata(path).is_ok_and(|meta| meta.len() == bytes.len() as u64);
    if whole(&path) {
        return Ok(Found::File(path));
    }
    if write_whole(&path, bytes).is_ok() {
        return Ok(Found::File(path));
    }
    // A read-only home must not keep anyone from working: fall back to the temporary folder.
    let path = std::env::temp_dir().join(format!("{NANO}-{hash}.gguf"));
    if !whole(&path) {
        write_whole(&path, bytes)?;
    }
    Ok(Found::File(path))
}

/// Opens what was found; blocks until it is loaded. `options.path` is replaced.
///
/// # Errors
/// A file that is no usable model, a script that is none.
pub fn open(
    found: &Found,
    options: LoadOptions,
    progress: impl FnMut(f32) + Send + 'static,
    cancel: &Cancel,
) -> Result<Engine, UserError> {
    match found {
        Found::File(path) => Engine::start_llama(LoadOptions { path: path.clone(), ..options }, progress, cancel)
            .map_err(UserError::from),
        Found::Script(path) => {
            let mut script = script(path)?;
            if let Some(tokens) = options.context_tokens_max {
                script.context_tokens_max = tokens;
            }
            Ok(Engine::start_scripted(script))
        }
    }
}

/// One line of a script file: what the model says next.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    /// Said once the hint was forced, instead of going on with `text`.
    after_shift: Option<String>,
    /// Pause before each token.
    #[serde(default)]
    delay_ms: u64,
    /// Decoding fails after so many tokens.
    fail_after: Option<u32>,
    /// `text` starts again when it is said.
    #[serde(default)]
    endless: bool,
}

fn script(path: &Path) -> Result<Script, UserError> {
    let broken = |why: String| UserError::new(Exit::NoModel, format!("the script {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|problem| broken(problem.to_string()))?;
    let mut replies = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|problem| broken(format!("line {}: {problem}", at + 1)))?;
        replies.push(Reply {
            text: line.text,
            after_shift: line.after_shift,
            token_delay: Duration::from_millis(line.delay_ms),
            fail_after: line.fail_after,
            endless: line.endless,
        });
    }
    Ok(Script::new(replies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::exit_of;

    #[test]
    fn names_and_paths_that_lead_nowhere_say_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::of(Some(home.path().to_owned()));
        for wish in ["nowhere.gguf", "./x/y", "no-such-name"] {
            let error = resolve(Some(wish), &dirs).unwrap_err();
            assert_eq!(exit_of(&error), Exit::NoModel, "{wish}");
            assert!(crate::error::render(&error).contains("hint"), "{wish}");
        }
        assert!(resolve(Some(home.path().to_str().unwrap()), &dirs).is_err());
        assert_eq!(resolve(None, &dirs).is_ok(), carries_nano());
    }

    #[test]
    fn a_file_and_a_script_are_taken_as_they_are() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let dirs = Dirs::of(Some("/nonexistent".into()));
        assert_eq!(resolve(Some(path), &dirs).unwrap(), Found::File(file.path().to_owned()));
        assert_eq!(resolve(Some("scripted:a.jsonl"), &dirs).unwrap(), Found::Script("a.jsonl".into()));
    }

    #[test]
    fn a_model_is_known_by_its_name_or_by_what_it_was_made_of() {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::of(Some(home.path().to_owned()));
        let store = Store::new(&dirs.data);
        let install = |name: &str, known_as: Option<&str>| {
            std::fs::create_dir_all(store.folder(name)).unwrap();
            std::fs::write(store.folder(name).join("model.gguf"), "abc").unwrap();
            let manifest = serde_json::json!({ "version": 1, "name": name, "file": "model.gguf", "bytes": 3,
                "sha256": null, "quant": "Q8_0", "licence": "MIT", "source": "test",
                "known_as": known_as });
            std::fs::write(store.folder(name).join("manifest.json"), manifest.to_string()).unwrap();
        };
        install("small", Some("z1-7b"));
        install("own", None);
        let known = |wish: Option<&str>| known(wish, &dirs).unwrap().entry().map(|entry| entry.title.clone());
        assert_eq!(known(Some("z1-7b")).as_deref(), Some("Z1-7B"));
        assert_eq!(known(Some("small")).as_deref(), Some("Z1-7B"));
        assert_eq!(known(None).as_deref(), Some("z1-nano"));
        store.set_default("small").unwrap();
        assert_eq!(known(None).as_deref(), Some("Z1-7B"));
        let own = "[own]\ntitle='Mine'\nlicence='MIT'\ncontext_tokens_max=1\n";
        std::fs::write(store.registry_file(), own).unwrap();
        assert_eq!(known(Some("own")).as_deref(), Some("Mine"));
        assert_eq!((known(Some("scripted:a")), known(Some("unheard-of"))), (None, None));
    }

    #[test]
    fn a_broken_script_names_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"text\": \"a\"}\n{\"txt\": 1}\n").unwrap();
        assert!(script(file.path()).unwrap_err().to_string().contains("line 2"));
    }
}
