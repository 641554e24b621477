//! `z1 acp`: z1 as an agent for editors that speak the Agent Client Protocol.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::hosted::{Ground, ModelArgs};
use crate::acp::{self, LINES_MAX, Parts};
use crate::agent::sessions::Sessions;
use crate::cancel::Cancel;
use crate::dirs::Dirs;
use crate::error::Exit;
use crate::model_store::resolve;
use crate::model_store::store::Store;

/// What was said last is written within this time, or not at all.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// The subcommand's arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "An editor starts this program; nothing is typed here. For Zed, in settings.json:

  \"agent_servers\": { \"z1\": { \"command\": \"z1\", \"args\": [\"acp\"] } }

Sessions are those of `z1 sessions`. Every change is shown as a diff and asked for; /undo takes the last one back.")]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
}

/// Runs the subcommand until the editor closes its end.
///
/// # Errors
/// Settings that cannot be read, or no threads.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let ground = Ground::lay(&args.model)?;
    let dirs = ground.dirs.clone();
    let parts = Parts {
        sessions: ground.config.switch("transcripts").then(|| Sessions::new(&dirs.state)),
        state: dirs.state.clone(),
        home: std::env::var_os("HOME").map(PathBuf::from),
        models: { Arc::new(move || models(&dirs)) },
        launch: Arc::new(move |model| ground.setup(model, None)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(serve(parts))
}

/// stdin and stdout have a thread each: a blocked read or write holds nothing else.
async fn serve(parts: Parts) -> anyhow::Result<Exit> {
    let (lines, incoming) = mpsc::channel(LINES_MAX);
    let (out, outgoing) = mpsc::channel(LINES_MAX);
    let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
    named("acp-in").spawn(move || acp::read_lines(std::io::stdin().lock(), &lines)).context("cannot start")?;
    let writer = named("acp-out")
        .spawn(move || acp::write_lines(std::io::BufWriter::new(std::io::stdout()), outgoing))
        .context("cannot start")?;
    let stop = Cancel::new();
    let (serving, asked) = (acp::serve(parts, incoming, out, &stop), crate::host::asked_to_end());
    tokio::pin!(serving, asked);
    let exit = tokio::select! {
        () = &mut serving => Exit::Success,
        problem = &mut asked => {
            problem?;
            stop.cancel();
            serving.await;
            Exit::Interrupted
        }
    };
    // After a signal nobody may be reading any more; at a normal end everything is written, unless nobody reads.
    if exit == Exit::Success {
        let written = async {
            while !writer.is_finished() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(WRITTEN_WITHIN, written).await;
    }
    Ok(exit)
}

/// The models that could be chosen.
fn models(dirs: &Dirs) -> Vec<(String, String)> {
    let found = Store::new(&dirs.data).list().map(|(found, _broken)| found).unwrap_or_default();
    let row = |manifest: crate::model_store::store::Manifest| {
        (manifest.name, format!("{}, {} MiB", manifest.quant, manifest.bytes >> 20))
    };
    let mut models: Vec<(String, String)> = found.into_iter().map(row).collect();
    if resolve::carries_nano() && models.iter().all(|(name, _)| name != resolve::NANO) {
        models.push((resolve::NANO.to_owned(), "comes with z1".to_owned()));
    }
    models
}
