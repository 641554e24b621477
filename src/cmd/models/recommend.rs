//! `z1 models recommend`: which known model fits this machine, and how fast it would be at most.

use std::time::Duration;

use serde_json::json;

use crate::engine;
use crate::error::{Exit, UserError};
use crate::model_store::disk::gigabytes;
use crate::model_store::recommend::{self, Row};
use crate::model_store::registry::Registry;
use crate::model_store::store::Store;

/// How long memory is measured.
const MEASURED: Duration = Duration::from_secs(1);

/// Runs it.
///
/// # Errors
/// A machine on which none fits.
pub(super) fn run(store: &Store, registry: &Registry, as_json: bool) -> anyhow::Result<()> {
    let machine = engine::machine();
    let speed = recommend::memory_bytes_per_second(machine.threads, MEASURED);
    let rows = recommend::rows(registry, &machine, speed);
    let best = recommend::best(&rows);
    if as_json {
        println!("{}", json!({ "memory_bytes_per_second": speed, "models": rows, "best": best.map(|row| &row.name) }));
        return Ok(());
    }
    println!(
        "{} of memory are free, and {} are read a second:",
        gigabytes(machine.memory_available_bytes),
        gigabytes(speed as u64)
    );
    for row in &rows {
        let mark = if best.is_some_and(|best| best.name == row.name) { '*' } else { ' ' };
        println!(
            "{mark} {:<20} {:<7} {:>8}  {:<38} {}",
            row.name,
            row.quant,
            gigabytes(row.bytes),
            words(row),
            row.licence
        );
    }
    match best {
        // The first model that is pulled is used at once.
        Some(best) if store.default_name()?.is_none() && store.list()?.0.is_empty() => {
            println!("\nz1 models pull {}", best.name);
        }
        Some(best) => println!("\nz1 models pull {0} && z1 models use {0}", best.name),
        None => {
            let smallest = rows.last().map_or(0, |row| row.bytes);
            return Err(UserError::new(Exit::NoModel, "no known model fits into the free memory")
                .hint(format!("close other programs (the smallest needs about {})", gigabytes(smallest * 2)))
                .into());
        }
    }
    Ok(())
}

fn words(row: &Row) -> String {
    match (row.fits, row.tokens_per_second_max) {
        (false, _) => "does not fit".to_owned(),
        (true, None) => "fits on the GPU".to_owned(),
        (true, Some(speed)) => format!("fits; at most about {speed:.0} tokens a second"),
    }
}
