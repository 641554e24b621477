//! What is said where only the model that z1 carries would answer: that it is a demonstration, which known model fits this
//! machine, and the one command that brings it. What the user answered is remembered.
//!
//! Not for: fetching anything. That is done at the user's word (`pull`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::disk::gigabytes;
use super::recommend::{self, Row};
use super::registry::Registry;
use super::resolve::{NANO, carries_nano};
use super::store::{Store, write_whole};
use crate::engine::Machine;

/// How long memory is measured here: nobody asked for it, so it must not be felt.
const MEASURED: Duration = Duration::from_millis(250);

/// Why there is something to say, and what could be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Real models that are installed already; none of them is in use.
    pub installed: Vec<String>,
    /// Of the known models the one that fits this machine best. Never beside an installed one.
    pub fits: Option<Row>,
}

impl Offer {
    /// What there is to say to a user who names this model, or none. `None` where a real one answers, or the user named one
    /// in so many words. Reads memory for a moment; opens no connection.
    pub fn look(
        wish: Option<&str>,
        store: &Store,
        registry: &Registry,
        machine: impl FnOnce() -> Machine,
    ) -> Option<Self> {
        let chosen = wish.is_some_and(|wish| !wish.is_empty()) || !matches!(store.default_name(), Ok(None));
        if chosen || !carries_nano() {
            return None;
        }
        let (found, _broken) = store.list().ok()?;
        let installed: Vec<String> = found.into_iter().map(|model| model.name).filter(|name| name != NANO).collect();
        if !installed.is_empty() {
            return Some(Self { installed, fits: None });
        }
        let machine = machine();
        let speed = recommend::memory_bytes_per_second(machine.threads, MEASURED);
        let rows = recommend::rows(registry, &machine, speed);
        Some(Self { installed, fits: recommend::best(&rows).cloned() })
    }

    /// What answers, and how far it can be trusted.
    pub fn about(&self) -> String {
        format!(
            "{NANO} answers here, the model that z1 carries. It is only a demonstration: it solves small made-up problems and \
             is of no use for real work."
        )
    }

    /// What could be done about it; [`Offer::command`] does it.
    pub fn advice(&self) -> String {
        match (self.installed.first(), &self.fits) {
            (Some(name), _) => format!("{name} is installed, but not in use."),
            (None, Some(row)) => {
                let speed = row.tokens_per_second_max.map_or_else(
                    || "on the GPU".to_owned(),
                    |speed| format!("at most about {speed:.0} tokens a second"),
                );
                format!(
                    "{} fits this machine: {} to fetch, {speed}, licence {}.",
                    row.name,
                    gigabytes(row.bytes),
                    row.licence
                )
            }
            (None, None) => "None of the known models fits into the memory that is free now.".to_owned(),
        }
    }

    /// The one command that mends it.
    pub fn command(&self) -> String {
        match (self.installed.first(), &self.fits) {
            (Some(name), _) => format!("z1 models use {name}"),
            (None, Some(row)) if cfg!(feature = "pull") => format!("z1 models pull {}", row.name),
            (None, Some(_)) => "z1 models add FILE.gguf (this build fetches nothing)".to_owned(),
            (None, None) => "z1 models recommend (close other programs first)".to_owned(),
        }
    }
}

/// What of it is remembered between runs: a word in a file.
#[derive(Clone, Debug)]
pub struct Remembered {
    file: PathBuf,
}

const SAID: &str = "said";
const DECLINED: &str = "declined";

impl Remembered {
    /// Nothing is created until something is to be remembered.
    pub fn new(state: &Path) -> Self {
        Self { file: state.join("model-offer") }
    }

    /// Whether it was said before; what was declined was said.
    pub fn was_said(&self) -> bool {
        self.word().is_some_and(|word| word == SAID || word == DECLINED)
    }

    /// Whether the user does not want to be asked again.
    pub fn was_declined(&self) -> bool {
        self.word().is_some_and(|word| word == DECLINED)
    }

    /// From now on it was said.
    ///
    /// # Errors
    /// The disk's.
    pub fn say(&self) -> anyhow::Result<()> {
        if self.was_said() { Ok(()) } else { write_whole(&self.file, SAID.as_bytes()) }
    }

    /// From now on nobody asks.
    ///
    /// # Errors
    /// The disk's.
    pub fn decline(&self) -> anyhow::Result<()> {
        write_whole(&self.file, DECLINED.as_bytes())
    }

    fn word(&self) -> Option<String> {
        Some(std::fs::read_to_string(&self.file).ok()?.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::HOST_MARGIN_BYTES;

    fn machine(room_bytes: u64) -> Machine {
        let memory_available_bytes = HOST_MARGIN_BYTES + room_bytes;
        Machine { gpus: Vec::new(), memory_available_bytes, threads: 1, prefers_plain_weights: false }
    }

    fn install(store: &Store, name: &str) {
        std::fs::create_dir_all(store.folder(name)).unwrap();
        std::fs::write(store.folder(name).join("model.gguf"), "abc").unwrap();
        let manifest = serde_json::json!({ "version": 1, "name": name, "file": "model.gguf", "bytes": 3, "sha256": null,
            "quant": "Q8_0", "licence": "MIT", "source": "test" });
        std::fs::write(store.folder(name).join("manifest.json"), manifest.to_string()).unwrap();
    }

    #[test]
    fn only_who_has_nothing_but_the_demonstration_is_told() {
        let home = tempfile::tempdir().unwrap();
        let (store, registry) = (Store::new(home.path()), Registry::built_in());
        let look = |wish, room| Offer::look(wish, &store, &registry, || machine(room));
        assert_eq!((look(Some("z1-nano"), 1 << 40), look(Some("a.gguf"), 1 << 40)), (None, None), "it was asked for");
        let Some(offer) = look(None, 700_000_000 + (400 << 20)) else {
            assert!(!carries_nano(), "there is something to say");
            return;
        };
        assert_eq!(offer.fits.as_ref().map(|row| row.name.as_str()), Some("qwen2.5-coder-0.5b"));
        assert!(offer.about().contains("only a demonstration"));
        assert!(
            offer.advice().contains("qwen2.5-coder-0.5b fits this machine: 4") && offer.advice().contains("Apache")
        );
        let none = look(Some(""), 1000).unwrap();
        assert!(none.fits.is_none() && none.advice().starts_with("None of the known"), "{none:?}");
        install(&store, "mine");
        let unused = look(None, 1 << 40).unwrap();
        assert_eq!((unused.command().as_str(), &unused.fits), ("z1 models use mine", &None));
        store.set_default("mine").unwrap();
        assert_eq!(look(None, 1 << 40), None, "a real model is in use");
    }

    #[test]
    fn an_answer_is_remembered() {
        let home = tempfile::tempdir().unwrap();
        let remembered = Remembered::new(&home.path().join("state"));
        assert!(!remembered.was_said() && !remembered.was_declined());
        remembered.say().unwrap();
        assert!(remembered.was_said() && !remembered.was_declined());
        remembered.decline().unwrap();
        remembered.say().unwrap();
        assert!(remembered.was_said() && remembered.was_declined(), "saying it again takes no answer back");
    }
}
