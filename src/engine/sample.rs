//! Logits to a token: the sampler, in plain Rust, the same for every model behind the seam.
//!
//! Tokens whose probability is below e⁻²⁴ of the best one's are dropped before anything is sorted; that
//! changes no result that anybody could measure and makes a draw over 152 000 logits one linear pass.
//!
//! Not for: grammars (`model::Constraint`) and phases (`decode.rs` picks the [`Sampling`]).

use pulp::Arch;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

use super::{Sampling, TokenId};

/// Log-probability below the best at which a token is not considered at all.
const LOGIT_RANGE: f32 = 24.0;
/// Where the search for the probable tokens begins.
const LOGIT_RANGE_FIRST: f32 = 6.0;

/// Draws the tokens of one candidate.
#[derive(Debug)]
pub(super) struct Sampler {
    rng: StdRng,
    /// The last sampled tokens, for the repetition penalty.
    recent: Vec<TokenId>,
    scratch: Vec<f32>,
}

impl Sampler {
    /// A sampler whose draws depend on nothing but the seed and the candidate's number.
    pub(super) fn new(seed: u64, candidate: u32) -> Self {
        let mixed = seed ^ u64::from(candidate).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { rng: StdRng::seed_from_u64(mixed), recent: Vec::new(), scratch: Vec::new() }
    }

    /// Draws one token; `look` is what was seen of these logits. `mask` is called with the logits when the unconstrained
    /// draw is refused by `permits`.
    pub(super) fn draw(
        &mut self,
        logits: &[f32],
        look: &Look,
        sampling: &Sampling,
        constraint: Option<&mut (dyn super::model::Constraint + 'static)>,
    ) -> TokenId {
        let penalised = sampling.repeat_penalty > 1.0 && sampling.repeat_last_n > 0;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut token = if penalised {
            scratch.clear();
            scratch.extend_from_slice(logits);
            self.penalise(&mut scratch, sampling);
            self.pick(&scratch, sampling, &Look::at(&scratch))
        } else {
            self.pick(logits, sampling, look)
        };
        if let Some(constraint) = constraint
            && !constraint.permits(token)
        {
            if !penalised {
                scratch.clear();
                scratch.extend_from_slice(logits);
            }
            constraint.mask(&mut scratch);
            token = self.pick(&scratch, sampling, &Look::at(&scratch));
        }
        self.scratch = scratch;
        self.recent.push(token);
        token
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

    fn pick(&mut self, logits: &[f32], sampling: &Sampling, look: &Look) -> TokenId {
        if sampling.temperature <= 0.0 || sampling.top_k == 1 {
            return look.best;
        }
        let kept = ranked(logits, sampling, look);
        let weight = |logit: f32| ((logit - look.top) / sampling.temperature).exp();
        let weights: Vec<f32> = kept.iter().map(|&(_, logit)| weight(logit)).collect();
        let mut left = self.rng.random::<f32>() * weights.iter().sum::<f32>();
        for (&(token, _), weight) in kept.iter().zip(&weights) {
            left -= weight;
            if left <= 0.0 {
                return token;
            }
        }
        look.best
    }
}

/// What top-k, top-p and min-p leave of the tokens; most probable first where a cut needs that order.
///
/// The cuts look at the probabilities that are drawn from, after the temperature: so it is meant where makers advise
/// "temperature 0.7, top-p 0.8". Behind a top-k the masses are shares of what it leaves.
///
/// The probable tokens are few and the others are 150 000: so only those within a range of the best one are ranked, and
/// the range is widened until the cuts lie inside it.
fn ranked(logits: &[f32], sampling: &Sampling, look: &Look) -> Vec<(TokenId, f32)> {
    let top = look.top;
    let top_k = sampling.top_k as usize;
    let mass = |kept: &[(TokenId, f32)]| -> f32 {
        kept.iter().map(|&(_, logit)| ((logit - top) / sampling.temperature).exp()).sum()
    };
    let by_mass = sampling.top_p < 1.0;
    // Only a top-p of all tokens needs to know what all of them weigh.
    let total = if by_mass && top_k == 0 { total_at(logits, sampling.temperature, top) } else { f32::INFINITY };
    let cut = by_mass || sampling.min_p > 0.0 || top_k > 0;
    let mut range = if cut { LOGIT_RANGE_FIRST } else { LOGIT_RANGE };
    loop {
        let mut kept = look.above(logits, top - range * sampling.temperature);
        let holds_the_cuts = (top_k > 0 && kept.len() >= top_k)
            || (sampling.min_p > 0.0 && (-range).exp() <= sampling.min_p)
            // Rounding must not decide: what is asked for lies well inside.
            || (by_mass && mass(&kept) >= total * (1.0 + sampling.top_p) / 2.0);
        if !holds_the_cuts && range < LOGIT_RANGE {
            range = (2.0 * range).min(LOGIT_RANGE);
            continue;
        }
        // Ties are broken by the token's number, so that a draw never depends on the order of a sort.
        let by_rank = |a: &(TokenId, f32), b: &(TokenId, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if top_k > 0 && top_k < kept.len() {
            kept.select_nth_unstable_by(top_k - 1, by_rank);
            kept.truncate(top_k);
        }
        // Without a cut the order of the tokens is as good as any other, and 150 000 need not be sorted.
        if cut {
            let total = if top_k > 0 { mass(&kept) } else { total };
            kept.sort_unstable_by(by_rank);
            cut_by_mass(&mut kept, sampling, top, total);
        }
        return kept;
    }
}

/// So many (at least one) of the most probable tokens with their logits, the most probable first, of equals the lower number; and
/// the [`log_sum_exp`] of all logits.
pub(super) fn likeliest(logits: &[f32], count: usize) -> (Vec<(TokenId, f32)>, f32) {
    let look = Look::at(logits);
    let best = Sampling { top_k: count as u32, temperature: 1.0, top_p: 1.0, min_p: 0.0, ..Sampling::GREEDY };
    (ranked(logits, &best, &look), log_sum_exp_of(logits, &look))
}

/// Σ exp((logit − top) / temperature), where no logit is above `top`.
fn total_at(logits: &[f32], temperature: f32, top: f32) -> f32 {
    let scale = 1.0 / temperature;
    Arch::new().dispatch(|| {
        let mut lanes = [0.0; LANES];
        let (chunks, rest) = logits.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &logit) in lanes.iter_mut().zip(chunk) {
                *lane += exp_not_above_one((logit - top) * scale);
            }
        }
        let rest = rest.iter().map(|&logit| exp_not_above_one((logit - top) * scale));
        lanes.iter().sum::<f32>() + rest.sum::<f32>()
    })
}

/// Applies top-p and min-p.
fn cut_by_mass(ranked: &mut Vec<(TokenId, f32)>, sampling: &Sampling, top: f32, total: f32) {
    let mut mass = 0.0;
    let mut keep = 0;
    for &(_, logit) in ranked.iter() {
        let relative = ((logit - top) / sampling.temperature).exp();
        if keep > 0 && (mass >= sampling.top_p || relative < sampling.min_p) {
            break;
        }
        mass += relative / total;
        keep += 1;
    }
    ranked.truncate(keep);
}

/// What one pass over a row of logits tells.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// The most probable token; the lowest number among equals.
    best: TokenId,
    /// Its logit.
    top: f32,
    /// The largest logit of each block.
    tops: Vec<f32>,
}

/// Logits of which only the largest is kept: so that most need no second look.
const BLOCK: usize = 1024;
/// So many rows are worth more than one thread.
const ROWS_APART: usize = 4;

impl Look {
    /// Looks at rows of logits, side by side where they are many.
    pub(super) fn at_all(rows: &[&[f32]]) -> Vec<Self> {
        if rows.len() < ROWS_APART {
            return rows.iter().map(|row| Self::at(row)).collect();
        }
        rows.par_iter().map(|row| Self::at(row)).collect()
    }

    fn at(logits: &[f32]) -> Self {
        let tops: Vec<f32> = Arch::new().dispatch(|| logits.chunks(BLOCK).map(largest).collect());
        let top = largest(&tops);
        let from = tops.iter().position(|&block| block >= top).unwrap_or(0) * BLOCK;
        let within = logits.get(from..).unwrap_or_default().iter().position(|&logit| logit >= top).unwrap_or(0);
        Self { best: (from + within) as TokenId, top, tops }
    }

    /// The tokens whose logit is above `floor`, in their order.
    fn above(&self, logits: &[f32], floor: f32) -> Vec<(TokenId, f32)> {
        let blocks = (0..).zip(logits.chunks(BLOCK)).zip(&self.tops).filter(|&(_, &block)| block > floor);
        let tokens = blocks.flat_map(|((number, block), _)| (number * BLOCK as TokenId..).zip(block));
        tokens.filter(|&(_, &logit)| logit > floor).map(|(token, &logit)| (token, logit)).collect()
    }
}

/// log Σ exp(logit).
pub(super) fn log_sum_exp(logits: &[f32]) -> f32 {
    log_sum_exp_of(logits, &Look::at(logits))
}

fn log_sum_exp_of(logits: &[f32], look: &Look) -> f32 {
    look.top + total_at(logits, 1.0, look.top).ln()
}

/// Sums and maxima run side by side in so many lanes, which the compiler makes vectors of.
const LANES: usize = 16;

#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled for the processor that its caller dispatched to")]
fn largest(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            // Not `f32::max`: what it promises for numbers that are none costs the vectors.
            *lane = if logit > *lane { logit } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |top, &logit| if logit > top { logit } else { top })
}

/// Added to a number of small size it leaves the nearest whole one in the lowest bits of the sum: rounding that every
/// processor has vectors for (`floor` is a call where the build may not ask for SSE 4.1).
const ROUNDING: f32 = 12_582_912.0;

/// exp(x) for x ≤ 0 without a branch, to 2e-7 · (1 + |x|) of the value; 0 far below.
///
/// 2^n · 2^f with n the whole number nearest to x · log2 e, put into the exponent's bits, and the Taylor polynomial of
/// exp(f · ln 2) for f on \[−½, ½\].
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled for the processor that its caller dispatched to")]
fn exp_not_above_one(x: f32) -> f32 {
    let scaled = x * std::f32::consts::LOG2_E;
    let scaled = if scaled > -126.0 { scaled } else { -126.0 };
    let shifted = scaled + ROUNDING;
    let t = (scaled - (shifted - ROUNDING)) * std::f32::consts::LN_2;
    let tail = 1.0 + t * (1.0 / 5.0 + t * (1.0 / 30.0 + t * (1.0 / 210.0)));
    let polynomial = 1.0 + t * (1.0 + t * (0.5 + t * (1.0 / 6.0 + t * (1.0 / 24.0) * tail)));
    let whole = shifted.to_bits().wrapping_sub(ROUNDING.to_bits());
    let power = f32::from_bits(whole.wrapping_add(127) << 23);
    if scaled <= -126.0 { 0.0 } else { polynomial * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(sampler: &mut Sampler, logits: &[f32], sampling: &Sampling) -> TokenId {
        sampler.draw(logits, &Look::at(logits), sampling, None)
    }

    fn counts(logits: &[f32], sampling: &Sampling) -> Vec<usize> {
        let mut sampler = Sampler::new(1, 0);
        let mut counts = vec![0; logits.len()];
        for _ in 0..20_000 {
            counts[draw(&mut sampler, logits, sampling) as usize] += 1;
        }
        counts
    }

    const PLAIN: Sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };

    #[test]
    fn greedy_takes_the_best() {
        assert_eq!(draw(&mut Sampler::new(0, 0), &[0.0, 1.0, 0.0], &Sampling::GREEDY), 1);
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
    fn the_cuts_come_after_the_temperature() {
        // At 0.5: 0.86, 0.12, 0.02; at 1: 0.67, 0.24, 0.09.
        let logits = [2.0, 1.0, 0.0];
        let cold = Sampling { temperature: 0.5, top_p: 0.8, ..Sampling::GREEDY };
        assert_eq!(counts(&logits, &cold)[1..], [0, 0]);
        assert!(counts(&logits, &Sampling { top_p: 0.8, ..PLAIN })[1] > 0);
        let min = Sampling { temperature: 0.5, min_p: 0.2, ..Sampling::GREEDY };
        assert_eq!(counts(&logits, &min)[1..], [0, 0], "e⁻² of the best is below a fifth");
    }

    /// Logits as flat as a random model's, as many as a real vocabulary has.
    fn flat() -> Vec<f32> {
        (0..152_064_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0 * 3.0).collect()
    }

    #[test]
    fn sums_of_exponentials_are_those_of_double_precision() {
        for logits in [flat(), vec![0.0, -1.0, -3.5], vec![-7.0], vec![5.0, -120.0, f32::NEG_INFINITY]] {
            let exact = logits.iter().map(|&logit| f64::from(logit).exp()).sum::<f64>().ln();
            assert!((f64::from(log_sum_exp(&logits)) - exact).abs() < 2e-6, "{} {exact}", log_sum_exp(&logits));
        }
        for step in 0..2000 {
            let x = step as f32 * -0.04;
            let exact = f64::from(x).exp();
            // The argument itself is rounded: the further down, the more that is of the value.
            let bound = 2e-7 * (1.0 + f64::from(-x)) * exact;
            assert!((f64::from(exp_not_above_one(x)) - exact).abs() <= bound, "{x}");
        }
        assert!(exp_not_above_one(-200.0) <= 0.0);
    }

    #[test]
    fn a_narrow_search_ranks_what_a_wide_one_would() {
        let peaked: Vec<f32> = (0..5000).map(|n| -(n as f32) * 0.01).collect();
        for logits in [flat(), peaked, vec![1.0, 1.0, 1.0]] {
            let look = Look::at(&logits);
            let top = look.top;
            let mut whole: Vec<(TokenId, f32)> = (0..).zip(logits.iter().copied()).collect();
            whole.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            for (top_k, top_p, min_p) in [(0, 0.95, 0.0), (0, 1.0, 0.05), (20, 0.8, 0.0), (7, 1.0, 0.0), (3, 0.3, 0.2)]
            {
                let sampling = Sampling { top_k, top_p, min_p, ..PLAIN };
                let mut wanted = whole.clone();
                if top_k > 0 {
                    wanted.truncate(top_k as usize);
                }
                let total = wanted.iter().map(|&(_, logit)| (logit - top).exp()).sum();
                cut_by_mass(&mut wanted, &sampling, top, total);
                let found = ranked(&logits, &sampling, &look);
                // The last one may fall to either side by rounding where there are thousands.
                assert!(found.len().abs_diff(wanted.len()) <= wanted.len() / 1000, "{sampling:?}");
                assert!(found.iter().zip(&wanted).all(|(a, b)| a == b), "{sampling:?}");
            }
        }
    }

    #[test]
    fn one_pass_finds_the_best_wherever_it_stands() {
        let mut logits = flat();
        for best in [0, 1, 1023, 1024, 100_000, 152_063] {
            let before = std::mem::replace(&mut logits[best], 9.0);
            let found = Look::at(&logits);
            assert_eq!((found.best as usize, found.top.to_bits()), (best, 9.0_f32.to_bits()));
            assert_eq!(found.above(&logits, 8.0), [(best as TokenId, 9.0)]);
            logits[best] = before;
        }
        logits[5000] = 9.0;
        logits[70_000] = 9.0;
        assert_eq!(Look::at(&logits).best, 5000, "the first of equals");
        assert_eq!(Look::at(&[f32::NEG_INFINITY, 0.0]).best, 1);
        assert_eq!(Look::at(&[]).best, 0);
        let rows = vec![logits.as_slice(); 9];
        assert!(Look::at_all(&rows).iter().all(|look| look.best == 5000), "many are looked at side by side");
    }

    #[test]
    fn the_penalty_moves_away_from_what_was_said() {
        let sampling = Sampling { repeat_penalty: 2.0, repeat_last_n: 4, ..Sampling::GREEDY };
        let mut sampler = Sampler::new(0, 0);
        assert_eq!(draw(&mut sampler, &[1.0, 0.9], &sampling), 0);
        assert_eq!(draw(&mut sampler, &[1.0, 0.9], &sampling), 1);
    }

    #[test]
    fn a_seed_decides_everything_and_candidates_differ() {
        let logits: Vec<f32> = (0..50).map(|n| (n as f32 * 0.7).sin()).collect();
        let draws = |seed, candidate| {
            let mut sampler = Sampler::new(seed, candidate);
            (0..20).map(|_| draw(&mut sampler, &logits, &PLAIN)).collect::<Vec<_>>()
        };
        assert_eq!(draws(7, 0), draws(7, 0));
        assert_ne!(draws(7, 0), draws(7, 1));
        assert_ne!(draws(7, 0), draws(8, 0));
    }
}
