//! Where only the model that z1 carries would answer: says so, offers a real one to the terminal, and fetches it there at
//! the user's word.
//!
//! Not for: what is said (`model_store::offer`), or how it looks (`tui`).

#[cfg(feature = "pull")]
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::config::Config;
use crate::dirs::Dirs;
use crate::engine;
use crate::model_store::offer::{Offer, Remembered};
use crate::model_store::registry::Registry;
use crate::model_store::store::Store;
use crate::tui::Report;

/// The terminal hears of a pull at most this often.
#[cfg(feature = "pull")]
const TOLD_EVERY: Duration = Duration::from_millis(100);

/// What there is to say for these settings, if anything.
pub(in crate::cmd) fn look(dirs: &Dirs, config: &Config) -> Option<Offer> {
    look_for(dirs, config.text("model"))
}

fn look_for(dirs: &Dirs, wish: Option<&str>) -> Option<Offer> {
    let store = Store::new(&dirs.data);
    let registry = Registry::load(&store.registry_file()).ok()?;
    Offer::look(wish, &store, &registry, engine::machine)
}

/// Says it on stderr, once in the life of an installation.
pub(super) fn say_once(dirs: &Dirs, config: &Config) {
    let remembered = Remembered::new(&dirs.state);
    if remembered.was_said() {
        return;
    }
    let Some(offer) = look(dirs, config) else { return };
    eprintln!("\nz1: {}\n    {}\n    {}", offer.about(), offer.advice(), offer.command());
    // Where it cannot be remembered it is said again.
    if let Err(problem) = remembered.say() {
        tracing::debug!("{problem:#}");
    }
}

/// What the terminal is told at its start, unless the user does not want to be asked.
pub(super) fn report(dirs: &Dirs) -> Option<Report> {
    let remembered = Remembered::new(&dirs.state);
    if remembered.was_declined() {
        return None;
    }
    let offer = look_for(dirs, None)?;
    if let Err(problem) = remembered.say() {
        tracing::debug!("{problem:#}");
    }
    Some(Report::Offer { offer })
}

/// Remembers that nobody is to be asked again. Says something only where that fails.
pub(super) fn decline(dirs: &Dirs) -> Option<Report> {
    let problem = Remembered::new(&dirs.state).decline().err()?;
    Some(super::errands::refused_by("remembering your answer", &problem))
}

/// Fetches a model; `tell` hears how far it is. Returns how it ended.
#[cfg(feature = "pull")]
pub(super) fn pull(dirs: &Dirs, name: &str, cancel: &Cancel, mut tell: impl FnMut(Report)) -> Report {
    let mut told: Option<Instant> = None;
    let ended = crate::cmd::models::ready_file(name, dirs, cancel, &mut |progress| {
        let last = progress.total_bytes == Some(progress.done_bytes);
        if last || told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            told = Some(Instant::now());
            let (done_bytes, total_bytes) = (progress.done_bytes, progress.total_bytes);
            tell(Report::Pulling { name: name.to_owned(), done_bytes, total_bytes });
        }
    });
    let name = name.to_owned();
    match ended {
        Ok(()) => Report::PullEnded { name, why: None, hint: None },
        Err(_) if cancel.is_cancelled() => {
            let hint = format!("what has arrived is kept: /pull {name} goes on where it stopped");
            Report::PullEnded { name, why: Some("stopped".to_owned()), hint: Some(hint) }
        }
        Err(problem) => {
            let hint = problem.chain().find_map(|cause| cause.downcast_ref::<crate::error::UserError>()?.hint.clone());
            Report::PullEnded { name, why: Some(format!("{problem:#}")), hint }
        }
    }
}

#[cfg(not(feature = "pull"))]
pub(super) fn pull(_dirs: &Dirs, name: &str, _cancel: &Cancel, _tell: impl FnMut(Report)) -> Report {
    let why = Some("this build of z1 fetches nothing".to_owned());
    Report::PullEnded { name: name.to_owned(), why, hint: Some("z1 models add FILE.gguf installs a file".to_owned()) }
}
