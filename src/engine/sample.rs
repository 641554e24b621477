//! Logits to a token: the sampler, in plain Rust, the same for every model behind the seam.
//!
//! Tokens whose probability is below e⁻²⁴ of the best one's are dropped before anything is sorted; that
//! changes no result that anybody could measure and makes a draw over 152 000 logits one linear pass.
//!
//! Not for: grammars (`model::Constraint`) and phases (`decode.rs` picks the [`Sampling`]).

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Sampling, TokenId};

/// Log-probability below the best at which a token is not considered at all.
const LOGIT_RANGE: f32 = 24.0;

/// Draws the tokens of one candidate.
#[derive(Debug)]
pub(super) struct Sampler {
    rng: StdRng,
    /// The last sampled tokens, for the repetition penalty.
    recent: Vec<TokenId>,
    scratch: Vec<f32>,
}

/// A drawn token and its log-probability under the model itself (before temperature and cuts).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Drawn {
    pub(super) token: TokenId,
    pub(super) logprob: f32,
}

impl Sampler {
    /// A sampler whose draws depend on nothing but the seed and the candidate's number.
    pub(super) fn new(seed: u64, candidate: u32) -> Self {
        let mixed = seed ^ u64::from(candidate).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { rng: StdRng::seed_from_u64(mixed), recent: Vec::new(), scratch: Vec::new() }
    }

    /// Draws one token. `mask` is called with the logits when the unconstrained draw is refused by `permits`.
    pub(super) fn draw(
        &mut self,
        logits: &[f32],
        sampling: &Sampling,
        constraint: Option<&mut (dyn super::model::Constraint + 'static)>,
    ) -> Drawn {
        let penalised = sampling.repeat_penalty > 1.0 && sampling.repeat_last_n > 0;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut token = if penalised {
            scratch.clear();
            scratch.extend_from_slice(logits);
            self.penalise(&mut scratch, sampling);
            self.pick(&scratch, sampling)
        } else {
            self.pick(logits, sampling)
        };
        if let Some(constraint) = constraint
            && !constraint.permits(token)
        {
            if !penalised {
                scratch.clear();
                scratch.extend_from_slice(logits);
            }
            constraint.mask(&mut scratch);
            token = self.pick(&scratch, sampling);
        }
        self.scratch = scratch;
        self.recent.push(token);
        Drawn { token, logprob: logits[token as usize] - log_sum_exp(logits) }
    }

    fn penalise(&self, logits: &mut [f32], sampling: &Sampling) {
        let from = self.recent.len().saturating_sub(sampling.repeat_last_n as usize);
        let mut seen: Vec<TokenId> = self.recent[from..].to_vec();
        seen.sort_unstable();
        seen.dedup();
        for token in seen {
            let logit = &mut logits[token as usize];
            *logit = if *logit > 0.0 { *logit / sampling.repeat_penalty } else { *logit * sampling.repeat_penalty };
        }
    }

    fn pick(&mut self, logits: &[f32], sampling: &Sampling) -> TokenId {
        let best = argmax(logits);
        if sampling.temperature <= 0.0 || sampling.top_k == 1 {
            return best;
        }
        let top = logits[best as usize];
        let floor = top - LOGIT_RANGE * sampling.temperature.max(1.0);
        let mut kept: Vec<(TokenId, f32)> =
            (0..).zip(logits).filter(|&(_, &logit)| logit > floor).map(|(token, &logit)| (token, logit)).collect();
        // Ties are broken by the token's number, so that a draw never depends on the order of a sort.
        let by_rank = |a: &(TokenId, f32), b: &(TokenId, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        let top_k = sampling.top_k as usize;
        if top_k > 0 && top_k < kept.len() {
            kept.select_nth_unstable_by(top_k - 1, by_rank);
            kept.truncate(top_k);
        }
        kept.sort_unstable_by(by_rank);
        cut_by_mass(&mut kept, sampling, top);
        let weights: Vec<f32> = kept.iter().map(|&(_, logit)| ((logit - top) / sampling.temperature).exp()).collect();
        let mut left = self.rng.random::<f32>() * weights.iter().sum::<f32>();
        for (&(token, _), weight) in kept.iter().zip(&weights) {
            left -= weight;
            if left <= 0.0 {
                return token;
            }
        }
        best
    }
}

/// Applies top-p and min-p, which look at the model's own probabilities (temperature comes after).
fn cut_by_mass(ranked: &mut Vec<(TokenId, f32)>, sampling: &Sampling, top: f32) {
    let total: f32 = ranked.iter().map(|&(_, logit)| (logit - top).exp()).sum();
    let mut mass = 0.0;
    let mut keep = 0;
    for &(_, logit) in ranked.iter() {
        let relative = (logit - top).exp();
        if keep > 0 && (mass >= sampling.top_p || relative < sampling.min_p) {
            break;
        }
        mass += relative / total;
        keep += 1;
    }
    ranked.truncate(keep);
}

/// The most probable token; the lowest number among equals.
pub(super) fn argmax(logits: &[f32]) -> TokenId {
    let mut best = 0;
    for (index, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = index;
        }
    }
    best as TokenId
}

/// log Σ exp(logit), over everything that matters in single precision.
pub(super) fn log_sum_exp(logits: &[f32]) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let floor = top - LOGIT_RANGE;
    let sum: f32 = logits.iter().filter(|&&logit| logit > floor).map(|&logit| (logit - top).exp()).sum();
    top + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(logits: &[f32], sampling: &Sampling) -> Vec<usize> {
        let mut sampler = Sampler::new(1, 0);
        let mut counts = vec![0; logits.len()];
        for _ in 0..20_000 {
            counts[sampler.draw(logits, sampling, None).token as usize] += 1;
        }
        counts
    }

    const PLAIN: Sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };

    #[test]
    fn greedy_takes_the_best_and_reports_its_log_probability() {
        let drawn = Sampler::new(0, 0).draw(&[0.0, 1.0, 0.0], &Sampling::GREEDY, None);
        assert_eq!(drawn.token, 1);
        let expected = (1.0f32.exp() / (2.0 + 1.0f32.exp())).ln();
        assert!((drawn.logprob - expected).abs() < 1e-6);
    }

    #[test]
    fn draws_follow_the_softmax() {
        let logits = [0.0, 1.0, 2.0, -40.0];
        let seen = counts(&logits, &PLAIN);
        let total: f32 = logits.iter().map(|logit: &f32| logit.exp()).sum();
        for (&count, logit) in seen.iter().zip(logits) {
            assert!((count as f32 / 20_000.0 - logit.exp() / total).abs() < 0.015, "{seen:?}");
        }
    }

    #[test]
    fn top_k_top_p_and_min_p_cut_the_tail() {
        let logits = [3.0, 2.0, 1.0, 0.0];
        assert_eq!(counts(&logits, &Sampling { top_k: 2, ..PLAIN })[2..], [0, 0]);
        // 0.64, 0.24, 0.09, 0.03: the first two reach 0.8.
        assert_eq!(counts(&logits, &Sampling { top_p: 0.8, ..PLAIN })[2..], [0, 0]);
        // The third has e⁻² = 0.135 of the best.
        assert_eq!(counts(&logits, &Sampling { min_p: 0.2, ..PLAIN })[2..], [0, 0]);
        assert!(counts(&logits, &Sampling { min_p: 0.1, ..PLAIN })[2] > 0);
    }

    #[test]
    fn the_penalty_moves_away_from_what_was_said() {
        let sampling = Sampling { repeat_penalty: 2.0, repeat_last_n: 4, ..Sampling::GREEDY };
        let mut sampler = Sampler::new(0, 0);
        assert_eq!(sampler.draw(&[1.0, 0.9], &sampling, None).token, 0);
        assert_eq!(sampler.draw(&[1.0, 0.9], &sampling, None).token, 1);
    }

    #[test]
    fn a_seed_decides_everything_and_candidates_differ() {
        let logits: Vec<f32> = (0..50).map(|n| (n as f32 * 0.7).sin()).collect();
        let draws = |seed, candidate| {
            let mut sampler = Sampler::new(seed, candidate);
            (0..20).map(|_| sampler.draw(&logits, &PLAIN, None).token).collect::<Vec<_>>()
        };
        assert_eq!(draws(7, 0), draws(7, 0));
        assert_ne!(draws(7, 0), draws(7, 1));
        assert_ne!(draws(7, 0), draws(8, 0));
    }
}
