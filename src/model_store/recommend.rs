//! Which of the known models fits this machine, and how fast it would be at most.
//!
//! A token costs one reading of all weights, so a model decodes at most as often as memory can be read through it.
//! Memory is measured by copying it, with all cores, for a moment.
//!
//! Not for: the exact plan of a load (`fit`), which needs the file.

use std::time::{Duration, Instant};

use super::registry::{Entry, Registry};
use crate::engine::{HOST_MARGIN_BYTES, Machine};

/// Weights are not all that a model takes: cache and buffers come on top, as a share of them and at least so much.
const BESIDE_SHARE: f64 = 0.15;
const BESIDE_BYTES_MIN: u64 = 400 << 20;
/// Slower than this a task takes too long to wait for.
pub const TOKENS_PER_SECOND_WANTED: f64 = 5.0;
/// What each core copies at a time: larger than its share of any cache.
const BLOCK_BYTES: usize = 64 << 20;

/// A known model on this machine.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    pub name: String,
    pub quant: String,
    pub bytes: u64,
    pub licence: String,
    pub fits: bool,
    /// What memory allows; the true figure is lower. Absent where a GPU would hold it: that was not measured.
    pub tokens_per_second_max: Option<f64>,
}

/// Every known model with a ready file, the largest first.
pub fn rows(registry: &Registry, machine: &Machine, memory_bytes_per_second: f64) -> Vec<Row> {
    let row = |(name, entry): (&String, &Entry)| {
        let ready = entry.gguf.as_ref()?;
        let needed = ready.bytes + BESIDE_BYTES_MIN.max((ready.bytes as f64 * BESIDE_SHARE) as u64);
        let on_gpu = machine.gpus.iter().any(|gpu| gpu.free_bytes >= needed);
        let room = machine.memory_available_bytes.saturating_sub(HOST_MARGIN_BYTES);
        Some(Row {
            name: name.clone(),
            quant: ready.quant.clone(),
            bytes: ready.bytes,
            licence: entry.licence.clone(),
            fits: on_gpu || room >= needed,
            tokens_per_second_max: (!on_gpu).then(|| memory_bytes_per_second / ready.bytes as f64),
        })
    };
    let mut rows: Vec<Row> = registry.entries.iter().filter_map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.bytes));
    rows
}

/// The largest that fits and is fast enough; else the smallest that fits.
pub fn best(rows: &[Row]) -> Option<&Row> {
    let fitting = || rows.iter().filter(|row| row.fits);
    let fast = |row: &&Row| row.tokens_per_second_max.is_none_or(|speed| speed >= TOKENS_PER_SECOND_WANTED);
    fitting().find(fast).or_else(|| fitting().next_back())
}

/// Bytes that this many threads read from memory in a second, measured for about as long as said. Copying reads and
/// writes: what is read is what was copied.
pub fn memory_bytes_per_second(threads: u32, during: Duration) -> f64 {
    let copied: Vec<f64> = std::thread::scope(|scope| {
        let worker = || {
            scope.spawn(|| {
                let (from, mut to) = (vec![1_u8; BLOCK_BYTES], vec![0_u8; BLOCK_BYTES]);
                let started = Instant::now();
                let mut bytes = 0_u64;
                while started.elapsed() < during {
                    to.copy_from_slice(std::hint::black_box(&from));
                    std::hint::black_box(&to);
                    bytes += BLOCK_BYTES as u64;
                }
                bytes as f64 / started.elapsed().as_secs_f64()
            })
        };
        let workers: Vec<_> = (0..threads.max(1)).map(|_| worker()).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(0.0)).collect()
    });
    // Reading alone is about twice as fast as reading and writing.
    2.0 * copied.iter().sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with this much room beside what is kept free.
    fn machine(room_megabytes: u64) -> Machine {
        let memory_available_bytes = HOST_MARGIN_BYTES + room_megabytes * 1_000_000;
        Machine { gpus: Vec::new(), memory_available_bytes, threads: 4, prefers_plain_weights: false }
    }

    #[test]
    fn the_largest_that_fits_and_is_fast_enough_is_recommended() {
        let registry = Registry::built_in();
        let chosen =
            |room, speed| best(&rows(&registry, &machine(room), speed)).map(|row| row.name.clone()).unwrap_or_default();
        assert_eq!(chosen(32_000, 50e9), "qwen2.5-coder-7b");
        assert_eq!(chosen(32_000, 12e9), "qwen2.5-coder-3b", "a 7B would be slower than wanted");
        assert_eq!(chosen(2000, 50e9), "qwen2.5-coder-1.5b");
        assert_eq!(chosen(32_000, 1e9), "qwen2.5-coder-0.5b", "the fastest there is");
        assert_eq!(chosen(500, 50e9), "", "nothing fits");
    }

    #[test]
    fn memory_is_measured() {
        assert!(memory_bytes_per_second(2, Duration::from_millis(1)) > 0.0);
    }
}
