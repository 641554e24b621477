//! Sequences → packed rows by best fit, in an order that a seed decides. Nothing is cut and nothing padded;
//! attention does not cross from one sequence of a row to another (see [`PackedRow`]).

use std::collections::BTreeMap;

use super::{PackedRow, Sequence};
use crate::gym::dice::Dice;

/// Packs every sequence into rows of at most `row_tokens` tokens, best fit first, and shuffles the rows.
/// The same input and seed give the same rows. Sequences longer than a row are left out and counted.
pub fn pack(sequences: Vec<Sequence>, row_tokens: usize, seed: u64) -> (Vec<PackedRow>, u64) {
    let mut dice = Dice::new(seed, 0);
    let mut order: Vec<Sequence> = Vec::with_capacity(sequences.len());
    let mut left_out = 0;
    for sequence in sequences {
        match sequence.len() {
            0 => {}
            length if length > row_tokens => left_out += 1,
            _ => order.push(sequence),
        }
    }
    // Shuffled before packing, so that neighbours in a row are strangers.
    dice.shuffle(&mut order);
    let mut rows: Vec<PackedRow> = Vec::new();
    // Open rows by the room they have left; a row leaves the map when it is too full to matter.
    let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for sequence in order {
        let length = sequence.len();
        let fit = open.range(length..).next().map(|(&room, _)| room);
        let (index, room) = match fit.and_then(|room| take(&mut open, room).map(|index| (index, room))) {
            Some((index, room)) => (index, room - length),
            None => {
                rows.push(PackedRow::default());
                (rows.len() - 1, row_tokens - length)
            }
        };
        rows[index].sequences.push(sequence);
        if room > 0 {
            open.entry(room).or_default().push(index);
        }
    }
    dice.shuffle(&mut rows);
    (rows, left_out)
}

fn take(open: &mut BTreeMap<usize, Vec<usize>>, room: usize) -> Option<usize> {
    let rows = open.get_mut(&room)?;
    let index = rows.pop();
    if rows.is_empty() {
        open.remove(&room);
    }
    index
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sequences(lengths: &[usize]) -> Vec<Sequence> {
        lengths.iter().enumerate().map(|(i, &n)| Sequence { ids: vec![i as u32; n], learn: vec![true; n] }).collect()
    }

    proptest! {
        #[test]
        fn every_sequence_lands_once_whole_and_in_a_row_with_room(
            lengths in proptest::collection::vec(0_usize..40, 0..200), seed in 0_u64..4,
        ) {
            let (rows, left_out) = pack(sequences(&lengths), 32, seed);
            prop_assert!(rows.iter().all(|row| row.len() <= 32 && !row.is_empty()));
            let mut found: Vec<(u32, usize)> =
                rows.iter().flat_map(|row| &row.sequences).map(|s| (s.ids[0], s.len())).collect();
            found.sort_unstable();
            let wanted: Vec<(u32, usize)> = lengths.iter().enumerate()
                .filter(|(_, n)| (1..=32).contains(*n)).map(|(i, n)| (i as u32, *n)).collect();
            prop_assert_eq!(found, wanted);
            prop_assert_eq!(left_out, lengths.iter().filter(|n| **n > 32).count() as u64);
            prop_assert_eq!(&pack(sequences(&lengths), 32, seed).0, &rows);
        }
    }

    #[test]
    fn rows_are_nearly_full_and_the_seed_decides_their_order() {
        let lengths: Vec<usize> = (0..2000).map(|i| 20 + i * 37 % 180).collect();
        let (rows, _) = pack(sequences(&lengths), 1024, 1);
        let total: usize = lengths.iter().sum();
        assert!(rows.len() <= total.div_ceil(1024) * 103 / 100 + 1, "{} rows for {total} tokens", rows.len());
        assert_ne!(pack(sequences(&lengths), 1024, 2).0, rows);
    }
}
