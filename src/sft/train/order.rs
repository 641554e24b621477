//! Which sequences stand in which row, epoch by epoch, from the seed alone.
//!
//! Nothing here has state: the same seed and epoch give the same rows, which is what makes a run resumable
//! at any row.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Rows that are open at the same time while packing; more fill better, fewer keep the shuffle's order.
const OPEN_ROWS_MAX: usize = 32;

/// The rows of one epoch: indices of sequences, in the order in which they are trained on.
pub fn epoch_rows(lengths: &[u32], row_tokens: u32, seed: u64, epoch: u64) -> Vec<Vec<u32>> {
    let mut order: Vec<u32> = (0..lengths.len() as u32).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch + 1);
    order.shuffle(&mut rng);
    let mut rows = pack(lengths, &order, row_tokens);
    rows.shuffle(&mut rng);
    rows
}

/// Best fit among a few open rows. Sequences longer than a row must have been left out before.
pub fn pack(lengths: &[u32], order: &[u32], row_tokens: u32) -> Vec<Vec<u32>> {
    let mut done = Vec::new();
    // Open rows with the room that is left in each.
    let mut open: Vec<(u32, Vec<u32>)> = Vec::new();
    for &index in order {
        let length = lengths[index as usize];
        let fitting = open.iter_mut().filter(|(room, _)| *room >= length).min_by_key(|(room, _)| *room);
        if let Some((room, row)) = fitting {
            *room -= length;
            row.push(index);
            continue;
        }
        if open.len() == OPEN_ROWS_MAX {
            let fullest = (0..open.len()).min_by_key(|&i| open[i].0).expect("invariant: rows are open");
            done.push(open.swap_remove(fullest).1);
        }
        open.push((row_tokens.saturating_sub(length), vec![index]));
    }
    done.extend(open.into_iter().map(|(_, row)| row));
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_once_and_no_row_too_long() {
        let lengths: Vec<u32> = (0..2000).map(|i| 1 + (i * 7919) % 300).collect();
        let rows = epoch_rows(&lengths, 512, 3, 0);
        let mut seen: Vec<u32> = rows.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..2000).collect::<Vec<u32>>());
        let total = |row: &Vec<u32>| row.iter().map(|&i| lengths[i as usize]).sum::<u32>();
        assert!(rows.iter().all(|row| total(row) <= 512));
        let used: u32 = rows.iter().map(total).sum();
        assert!(f64::from(used) > 0.97 * 512.0 * rows.len() as f64, "rows are full: {used} of {}", 512 * rows.len());
        assert_eq!(rows, epoch_rows(&lengths, 512, 3, 0));
        assert_ne!(rows, epoch_rows(&lengths, 512, 3, 1));
        assert_ne!(rows, epoch_rows(&lengths, 512, 4, 0));
    }
}
