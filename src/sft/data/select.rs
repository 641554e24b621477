//! Spending a token budget on records: the longest, the shortest, or a random choice, greedily, as the paper's
//! ablation does (Table 2 of arXiv 2504.00810: 74 M tokens are the longest 33 K or the shortest 90 K records).

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Which records come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Longest,
    Shortest,
    Random { seed: u64 },
}

/// Indexes of the records that are taken, in their original order. Records are taken in `order` until the next
/// one would exceed the budget.
pub fn select(tokens: &[u32], order: Order, tokens_budget: u64) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..tokens.len()).collect();
    match order {
        Order::Longest => indexes.sort_by_key(|&i| (std::cmp::Reverse(tokens[i]), i)),
        Order::Shortest => indexes.sort_by_key(|&i| (tokens[i], i)),
        Order::Random { seed } => indexes.shuffle(&mut ChaCha8Rng::seed_from_u64(seed)),
    }
    let mut left = tokens_budget;
    let mut taken: Vec<usize> = indexes
        .into_iter()
        .map_while(|i| {
            left = left.checked_sub(u64::from(tokens[i]))?;
            Some(i)
        })
        .collect();
    taken.sort_unstable();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: &[u32] = &[5, 1, 9, 3, 7];

    #[test]
    fn the_budget_is_spent_in_order_and_never_exceeded() {
        assert_eq!(select(TOKENS, Order::Shortest, 9), [0, 1, 3]);
        assert_eq!(select(TOKENS, Order::Longest, 16), [2, 4]);
        assert_eq!(select(TOKENS, Order::Longest, 15), [2]);
        assert_eq!(select(TOKENS, Order::Shortest, 100).len(), 5);
        assert!(select(TOKENS, Order::Shortest, 0).is_empty());
    }

    #[test]
    fn a_random_choice_is_the_same_for_a_seed() {
        let many: Vec<u32> = (1..200).collect();
        let first = select(&many, Order::Random { seed: 1 }, 1000);
        assert_eq!(first, select(&many, Order::Random { seed: 1 }, 1000));
        assert_ne!(first, select(&many, Order::Random { seed: 2 }, 1000));
    }
}
