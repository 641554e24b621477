//! What `z1 acp` and `z1 serve` begin with: a model and a context by flags, the settings, the walls.
//!
//! Not for: what either does then.

use std::sync::Arc;

use crate::agent::Judge;
use crate::agent::worker::Setup;
use crate::config::Config;
use crate::dirs::Dirs;

/// The arguments that both have.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ModelArgs {
    /// A .gguf file or an installed model's name [env: Z1_MODEL]
    #[arg(long, value_name = "NAME|PATH")]
    model: Option<String>,
    /// Context in tokens
    #[arg(long, visible_alias = "ctx", value_name = "N")]
    context: Option<String>,
}

/// The settings in force and the walls, which stand before a model is loaded.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) dirs: Dirs,
    pub(super) config: Config,
    judge: Arc<dyn Judge>,
}

impl Ground {
    /// Reads the settings, says their warnings on stderr, and builds the walls.
    ///
    /// # Errors
    /// Settings that cannot be read.
    pub(super) fn lay(args: &ModelArgs) -> anyhow::Result<Self> {
        let dirs = Dirs::find();
        let flags = [("model", &args.model), ("context", &args.context)];
        let flags = flags.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        let config = super::task::config(&dirs, flags)?;
        for warning in &config.warnings {
            eprintln!("z1: warning: {warning}");
        }
        let judge = super::task::judge(&super::task::walls());
        Ok(Self { dirs, config, judge })
    }

    /// What a worker is started with, for the model of this name or the default one; `slots` requests beside one another.
    ///
    /// # Errors
    /// No usable model.
    pub(super) fn setup(&self, model: Option<&str>, slots: Option<u32>) -> anyhow::Result<Setup> {
        super::task::hosted(&self.dirs, &self.config, Arc::clone(&self.judge), model, slots)
    }
}
