//! Sequences that have a part of the cache each are decoded in one pass only where their numbers follow one another
//! (llama.cpp's `split_equal`): who is being answered is kept side by side.
//!
//! Not for: batches (`decode.rs`).

use super::model::{Sequence, TokenModel};
use super::worker::Worker;

impl<M: TokenModel> Worker<M> {
    /// Moves caches until those that are being decoded stand side by side. A move costs two copies of what is in use, a
    /// gap costs one more pass over the weights with every token.
    pub(super) fn close_gaps(&mut self) {
        if !self.model.keeps_apart() {
            return;
        }
        let live = self.jobs.iter().flat_map(|job| &job.candidates).filter(|candidate| candidate.is_live());
        let mut active: Vec<Sequence> = live.map(|candidate| candidate.branch.sequence).collect();
        active.sort_unstable();
        for (from, to) in moves(&active, self.model.sequences_max()) {
            if !self.exchange(from, to) {
                tracing::warn!(from, to, "a sequence could not be moved");
                return;
            }
        }
    }

    /// Exchanges what two sequences hold, in the cache and in the books. Returns whether that worked; where not, both are
    /// as before.
    fn exchange(&mut self, a: Sequence, b: Sequence) -> bool {
        let (Some((of_a, _)), Some((of_b, _))) = (self.model.park(a), self.model.park(b)) else { return false };
        for (sequence, state) in [(b, &of_a), (a, &of_b)] {
            self.model.truncate_sequence(sequence, 0);
            assert!(self.model.unpark(sequence, state), "invariant: parts are of one size");
        }
        let renamed = |sequence: &mut Sequence| {
            if *sequence == a {
                *sequence = b;
            } else if *sequence == b {
                *sequence = a;
            }
        };
        for candidate in self.jobs.iter_mut().flat_map(|job| &mut job.candidates) {
            renamed(&mut candidate.branch.sequence);
        }
        self.sessions.rename(renamed);
        true
    }
}

/// What is to be exchanged so that the `active` sequences (in order) follow one another: as few as possible.
fn moves(active: &[Sequence], sequences_max: u32) -> Vec<(Sequence, Sequence)> {
    let count = active.len() as u32;
    let within = |first: Sequence| active.iter().filter(|&&at| (first..first + count).contains(&at)).count();
    let firsts = 0..=sequences_max.saturating_sub(count);
    let Some(first) = firsts.max_by_key(|&first| within(first)) else { return Vec::new() };
    let place = first..first + count;
    let outside = active.iter().copied().filter(|at| !place.contains(at));
    let gaps = place.clone().filter(|at| !active.contains(at));
    outside.zip(gaps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_few_as_possible_move() {
        assert_eq!(moves(&[], 8), []);
        assert_eq!(moves(&[5], 8), []);
        assert_eq!(moves(&[2, 3, 4], 8), []);
        assert_eq!(moves(&[0, 2, 3, 4], 8), [(0, 5)]);
        assert_eq!(moves(&[0, 1, 2, 7], 8), [(7, 3)]);
        assert_eq!(moves(&[0, 3, 7], 8).len(), 2);
        assert_eq!(moves(&[0, 1, 2], 3), []);
        for bits in 0..1_u32 << 8 {
            let active: Vec<Sequence> = (0..8).filter(|at| bits >> at & 1 == 1).collect();
            let mut after = active.clone();
            for (from, to) in moves(&active, 8) {
                assert!(!after.contains(&to));
                after.retain(|&at| at != from);
                after.push(to);
            }
            after.sort_unstable();
            assert!(after.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{active:?} {after:?}");
        }
    }
}
