//! A small seeded source of chance, so that a seed names the same problem on every machine and in every
//! release. Not for secrets and not for statistics that need a long period.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// One stream of chance for every pair of seed and index.
    pub const fn new(seed: u64, index: u64) -> Self {
        let mut dice = Self { state: seed ^ 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(index.wrapping_add(1)) };
        dice.state = dice.next();
        dice
    }

    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; `n` must not be 0.
    pub const fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "invariant: there is something to choose from");
        (self.next() % n as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: i64, high: i64) -> i64 {
        assert!(low <= high, "invariant: the range is not empty");
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    /// True `percent` times out of a hundred.
    pub const fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// A fraction in 0..1.
    pub const fn fraction(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    pub const fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// FNV-1a: a hash that never changes between releases, for splits and ids.
pub fn stable_hash(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    // FNV's low bits mix badly on short keys; one finaliser round repairs that.
    Dice { state: hash }.next()
}
