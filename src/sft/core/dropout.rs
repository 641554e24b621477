//! Dropout on what goes into an adapter: which values are left out follows from a key alone.
//!
//! Nothing is drawn from a generator with a state: a layer that is computed again, the backward, and a run that is
//! resumed leave out the same values, whichever thread does the work.
//!
//! Not for: the rate's place in a recipe (`params.rs`).

/// The odd constant of SplitMix64 (Steele et al. 2014), whose output mixes key and place.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// Which values of an input are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    pub key: u64,
    /// Share of the values that is left out, below 1.
    pub rate: f32,
}

/// Two numbers as one key.
pub const fn mix(key: u64, with: u64) -> u64 {
    let mut z = key.wrapping_add(with.wrapping_add(1).wrapping_mul(STRIDE));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dropout {
    /// The factor of two neighbours: 0, or what makes up for those that are left out.
    fn factors(self, pair: usize) -> [f32; 2] {
        let bits = mix(self.key, pair as u64);
        let below = (f64::from(self.rate) * 4_294_967_296.0) as u64;
        let kept = 1.0 / (1.0 - self.rate);
        [bits & 0xffff_ffff, bits >> 32].map(|drawn| if drawn < below { 0.0 } else { kept })
    }

    /// Writes what is left of `x`.
    pub fn apply(self, x: &[f32], to: &mut [f32]) {
        for (pair, (x, to)) in x.chunks(2).zip(to.chunks_mut(2)).enumerate() {
            let factors = self.factors(pair);
            to.iter_mut().zip(x).zip(factors).for_each(|((to, x), factor)| *to = x * factor);
        }
    }

    /// Adds what is left of `x`: the way back.
    pub fn add(self, x: &[f32], to: &mut [f32]) {
        for (pair, (x, to)) in x.chunks(2).zip(to.chunks_mut(2)).enumerate() {
            let factors = self.factors(pair);
            to.iter_mut().zip(x).zip(factors).for_each(|((to, x), factor)| *to += x * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_left_out_is_the_rate_and_the_mean_stays() {
        let x = vec![1.0; 99_999];
        let mut left = vec![f32::NAN; x.len()];
        let dropout = Dropout { key: 5, rate: 0.2 };
        dropout.apply(&x, &mut left);
        let out = left.iter().filter(|&&value| value == 0.0).count() as f64 / x.len() as f64;
        let mean = left.iter().map(|&value| f64::from(value)).sum::<f64>() / x.len() as f64;
        assert!((out - 0.2).abs() < 0.005 && (mean - 1.0).abs() < 0.007, "{out} {mean}");
        let mut again = vec![0.0; x.len()];
        dropout.add(&x, &mut again);
        assert_eq!(left, again);
        Dropout { key: 6, ..dropout }.apply(&x, &mut again);
        assert_ne!(left, again);
    }
}
