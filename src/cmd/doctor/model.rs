//! The model store, and whether the model that would be used fits.

use super::Finding;
use crate::cmd::task::{load_options, offer};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::engine;
use crate::error::{UserError, render};
use crate::gguf::Gguf;
use crate::model_store::disk::gigabytes;
use crate::model_store::fit::Fit;
use crate::model_store::registry::Registry;
use crate::model_store::resolve::{self, Found};
use crate::model_store::store::Store;

pub(super) fn store(dirs: &Dirs) -> Vec<Finding> {
    let store = Store::new(&dirs.data);
    let mut found = Vec::new();
    match store.list() {
        Ok((models, broken)) => {
            let bytes = models.iter().map(|model| model.bytes).sum();
            let text = format!("{}: {} installed, {}", store.root().display(), models.len(), gigabytes(bytes));
            found.push(Finding::ok("models", text));
            found.extend(broken.into_iter().map(|problem| {
                Finding::warning("models", problem, "`z1 models pull` goes on with it, `z1 models rm` removes it")
            }));
        }
        Err(problem) => found.push(Finding::broken("models", format!("{problem:#}"), "check the folder's permissions")),
    }
    if let Err(problem) = Registry::load(&store.registry_file()) {
        found.push(Finding::broken("models", format!("{problem:#}"), "mend or remove the file"));
    }
    found
}

/// What is to be said where only the model that z1 carries would answer.
pub(super) fn demonstration(dirs: &Dirs, config: &Config) -> Option<Finding> {
    let offer = offer::look(dirs, config)?;
    Some(Finding::warning("model", format!("{} {}", offer.about(), offer.advice()), offer.command()))
}

/// The fit of the model in force, and what is wrong with it.
pub(super) fn chosen(dirs: &Dirs, config: &Config) -> (Option<Fit>, Vec<Finding>) {
    match fit(dirs, config) {
        Ok(None) => (None, vec![Finding::ok("model", "a script: it needs no memory")]),
        Ok(Some((name, fit))) => {
            let finding = match (&fit.plan, &fit.refused) {
                (Some(plan), _) if plan.given_up.is_empty() => {
                    Finding::ok("model", format!("{name} fits: {}", plan.offload))
                }
                (Some(plan), _) => Finding::warning(
                    "model",
                    format!("{name} fits, with less: {}", plan.given_up.join("; ")),
                    "close other programs, or choose a smaller quantisation",
                ),
                (None, why) => Finding::broken(
                    "model",
                    why.clone().unwrap_or_default(),
                    "choose a smaller quantisation (`z1 models list`), a smaller --context, or close other programs",
                ),
            };
            (Some(fit), vec![finding])
        }
        Err(problem) => {
            let hint = problem.chain().find_map(|cause| cause.downcast_ref::<UserError>()?.hint.clone());
            let message = render(&problem).lines().next().unwrap_or_default().trim_start_matches("z1: ").to_owned();
            let mend = hint.unwrap_or_else(|| "`z1 models list` shows what is there".to_owned());
            (None, vec![Finding::broken("model", message, mend)])
        }
    }
}

fn fit(dirs: &Dirs, config: &Config) -> anyhow::Result<Option<(String, Fit)>> {
    let path = match resolve::resolve(config.text("model"), dirs)? {
        Found::File(path) => path,
        Found::Script(_) => return Ok(None),
    };
    let gguf = Gguf::open(&path).map_err(UserError::from)?;
    let fit = Fit::of(&gguf, &load_options(config), engine::machine()).map_err(UserError::from)?;
    let name = gguf.metadata.string("general.name").map_or_else(|| path.display().to_string(), str::to_owned);
    Ok(Some((name, fit)))
}
