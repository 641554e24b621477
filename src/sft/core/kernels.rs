//! Everything that is not a matrix product: norms, rotary positions, SwiGLU, softmax, sums.
//!
//! Shapes are `[rows, columns]`, row-major, rows without gaps unless a stride is named. The equations are in
//! `math.md`.

use super::simd::simd_kernels;

/// Lanes of every reduction: fixed, so that all instruction sets add in the same order.
const LANES: usize = 16;

/// `e^x` within 2 units in the last place for the finite results, 0 below −87; made of operations every
/// vector unit has.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// 1.5·2²³: adding it rounds to an integer that then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that the product with n is exact.
    let r = (clamped - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let series = p * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    let value = series * f32::from_bits(exponent);
    if x < -87.0 { 0.0 } else { value }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled into each clone of a kernel")]
fn sum_of(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f(value);
        }
    }
    fold(lanes) + rest.iter().map(|&value| f(value)).sum::<f32>()
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled into each clone of a kernel")]
fn dot_of(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    fold(lanes) + rest
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled into each clone of a kernel")]
fn fold(lanes: [f32; LANES]) -> f32 {
    let mut half = [0.0f32; LANES / 2];
    for i in 0..LANES / 2 {
        half[i] = lanes[i] + lanes[i + LANES / 2];
    }
    half.iter().sum()
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled into each clone of a kernel")]
fn max_of(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// One step of AdamW (Loshchilov and Hutter 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Gradients are multiplied by this first: it clips.
    pub g_scale: f32,
    pub lr: f32,
    pub decay: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    /// `1 − β^t` of either moment.
    pub correct1: f32,
    pub correct2: f32,
}

/// The gradients of gate and up.
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled into each clone of a kernel")]
fn swiglu_gradient(g: f32, u: f32, da: f32) -> (f32, f32) {
    let sigma = 1.0 / (1.0 + exp(-g));
    (da * u * (sigma * (1.0 + g * (1.0 - sigma))), da * (g * sigma))
}

simd_kernels! {
    /// `y = g ∘ x·i` row by row; stores `i`.
    pub fn rms_forward(x: &[f32], gain: &[f32], eps: f32, y: &mut [f32], inverse: &mut [f32]) {
        let d = gain.len();
        for ((x, y), inverse) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(inverse) {
            let i = 1.0 / (sum_of(x, |v| v * v) / d as f32 + eps).sqrt();
            *inverse = i;
            for ((y, &x), &g) in y.iter_mut().zip(x).zip(gain) {
                *y = g * (x * i);
            }
        }
    }

    /// `y = g ∘ x·i` with the `i` of the forward.
    pub fn rms_again(x: &[f32], gain: &[f32], inverse: &[f32], y: &mut [f32]) {
        let d = gain.len();
        for ((x, y), &i) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(inverse) {
            for ((y, &x), &g) in y.iter_mut().zip(x).zip(gain) {
                *y = g * (x * i);
            }
        }
    }

    /// Adds the norm's input gradient to `dx`, and its gain's gradient to `d_gain` where it is not empty.
    pub fn rms_backward(dy: &[f32], x: &[f32], gain: &[f32], inverse: &[f32], dx: &mut [f32], d_gain: &mut [f32]) {
        let d = gain.len();
        for (((dy, x), dx), &i) in dy.chunks_exact(d).zip(x.chunks_exact(d)).zip(dx.chunks_exact_mut(d)).zip(inverse) {
            let mut lanes = [0.0f32; LANES];
            let whole = d - d % LANES;
            for at in (0..whole).step_by(LANES) {
                let (dy, x, g) = (&dy[at..at + LANES], &x[at..at + LANES], &gain[at..at + LANES]);
                for lane in 0..LANES {
                    lanes[lane] += g[lane] * dy[lane] * x[lane];
                }
            }
            let mut inner = fold(lanes);
            for at in whole..d {
                inner += gain[at] * dy[at] * x[at];
            }
            let pull = i * i * i * inner / d as f32;
            for (((dx, &dy), &x), &g) in dx.iter_mut().zip(dy).zip(x).zip(gain) {
                *dx += i * (g * dy) - pull * x;
            }
            for ((dg, &dy), &x) in d_gain.iter_mut().zip(dy).zip(x) {
                *dg += dy * (x * i);
            }
        }
    }

    /// Rotates the heads of one token in place; `sin` negated rotates back. `cos` and `sin` have half a head.
    pub fn rotate(heads: &mut [f32], cos: &[f32], sin: &[f32], direction: f32) {
        let half = cos.len();
        for head in heads.chunks_exact_mut(2 * half) {
            let (low, high) = head.split_at_mut(half);
            for (((a, b), &c), &s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                let (x, y, s) = (*a, *b, s * direction);
                *a = x * c - y * s;
                *b = x * s + y * c;
            }
        }
    }

    /// `a = silu(g) ∘ u`; each row of `gate_up` is g then u.
    pub fn swiglu_forward(gate_up: &[f32], act: &mut [f32], ffn: usize) {
        for (gate_up, act) in gate_up.chunks_exact(2 * ffn).zip(act.chunks_exact_mut(ffn)) {
            let (gate, up) = gate_up.split_at(ffn);
            for ((a, &g), &u) in act.iter_mut().zip(gate).zip(up) {
                *a = g / (1.0 + exp(-g)) * u;
            }
        }
    }

    /// Turns `gate_up` into its gradient, given the activation's.
    pub fn swiglu_backward(d_act: &[f32], gate_up: &mut [f32], ffn: usize) {
        for (gate_up, d_act) in gate_up.chunks_exact_mut(2 * ffn).zip(d_act.chunks_exact(ffn)) {
            let (gate, up) = gate_up.split_at_mut(ffn);
            let (gates, gate_rest) = gate.as_chunks_mut::<LANES>();
            let (ups, up_rest) = up.as_chunks_mut::<LANES>();
            let (das, da_rest) = d_act.as_chunks::<LANES>();
            for ((gate, up), da) in gates.iter_mut().zip(ups).zip(das) {
                // Copies of their own let the compiler see that nothing overlaps.
                let (mut g, mut u) = (*gate, *up);
                for lane in 0..LANES {
                    (g[lane], u[lane]) = swiglu_gradient(g[lane], u[lane], da[lane]);
                }
                (*gate, *up) = (g, u);
            }
            for ((g, u), &da) in gate_rest.iter_mut().zip(up_rest).zip(da_rest) {
                (*g, *u) = swiglu_gradient(*g, *u, da);
            }
        }
    }

    /// Causal softmax of a block of scores in place: row r sees `first + r + 1` columns, the rest becomes 0.
    /// Scores are multiplied by `scale` first; `lse` takes the log of the sum of exponentials.
    pub fn causal_softmax(scores: &mut [f32], width: usize, first: usize, scale: f32, lse: &mut [f32]) {
        for (r, (row, lse)) in scores.chunks_exact_mut(width).zip(lse).enumerate() {
            let (seen, hidden) = row.split_at_mut((first + r + 1).min(width));
            let top = max_of(seen) * scale;
            for value in seen.iter_mut() {
                *value = exp(*value * scale - top);
            }
            let total = sum_of(seen, |v| v);
            let inverse = 1.0 / total;
            for value in seen.iter_mut() {
                *value *= inverse;
            }
            hidden.fill(0.0);
            *lse = top + total.ln();
        }
    }

    /// Causal probabilities again from scores and the stored `lse`.
    pub fn causal_again(scores: &mut [f32], width: usize, first: usize, scale: f32, lse: &[f32]) {
        for (r, (row, &lse)) in scores.chunks_exact_mut(width).zip(lse).enumerate() {
            let (seen, hidden) = row.split_at_mut((first + r + 1).min(width));
            for value in seen.iter_mut() {
                *value = exp(*value * scale - lse);
            }
            hidden.fill(0.0);
        }
    }

    /// `dP` becomes `dS = P ∘ (dP − D)·scale`.
    pub fn score_gradient(d_probs: &mut [f32], probs: &[f32], width: usize, delta: &[f32], scale: f32) {
        for ((dp, p), &delta) in d_probs.chunks_exact_mut(width).zip(probs.chunks_exact(width)).zip(delta) {
            for (dp, &p) in dp.iter_mut().zip(p) {
                *dp = p * (*dp - delta) * scale;
            }
        }
    }

    /// Cross entropy of a block of logits with their targets: turns logits into `(softmax − onehot)·scale`
    /// and returns the sum of the losses (not scaled).
    pub fn cross_entropy(logits: &mut [f32], targets: &[u32], scale: f32) -> f64 {
        let vocab = logits.len() / targets.len().max(1);
        let mut loss = 0.0f64;
        for (row, &target) in logits.chunks_exact_mut(vocab).zip(targets) {
            let top = max_of(row);
            let wanted = row[target as usize];
            for value in row.iter_mut() {
                *value = exp(*value - top);
            }
            let total = sum_of(row, |v| v);
            loss += f64::from(top - wanted) + f64::from(total).ln();
            let factor = scale / total;
            for value in row.iter_mut() {
                *value *= factor;
            }
            row[target as usize] -= scale;
        }
        loss
    }

    /// Inner product.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        dot_of(a, b)
    }

    /// Sum of squares, by blocks in double precision.
    pub fn sum_of_squares(values: &[f32]) -> f64 {
        values.chunks(1024).map(|block| f64::from(sum_of(block, |v| v * v))).sum()
    }

    /// `y += x`.
    pub fn add(y: &mut [f32], x: &[f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }

    /// Writes the bias into every row (products are then added onto it).
    pub fn spread_rows(y: &mut [f32], bias: &[f32]) {
        for row in y.chunks_exact_mut(bias.len()) {
            row.copy_from_slice(bias);
        }
    }

    /// `total += Σ rows`.
    pub fn add_rows(rows: &[f32], total: &mut [f32]) {
        for row in rows.chunks_exact(total.len()) {
            for (t, &r) in total.iter_mut().zip(row) {
                *t += r;
            }
        }
    }

    /// AdamW on one stretch of parameters.
    pub fn adamw(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], by: &AdamW) {
        let (rate, keep) = (by.lr / by.correct1, 1.0 - by.lr * by.decay);
        let root = 1.0 / by.correct2.sqrt();
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * by.g_scale;
            *m = by.beta1 * *m + (1.0 - by.beta1) * g;
            *v = by.beta2 * *v + (1.0 - by.beta2) * g * g;
            *p = keep * *p - rate * *m / (v.sqrt() * root + by.eps);
        }
    }

    /// `y = a·y + b·x`.
    pub fn blend(y: &mut [f32], a: f32, x: &[f32], b: f32) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = a * *y + b * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        let mut x = -86.9f32;
        while x < 87.9 {
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(((got - want) / want).abs() < 3e-7, "exp({x}) = {got}, not {want}");
            x += 0.013;
        }
        assert_eq!(exp(-200.0).to_bits(), 0);
        assert_eq!(exp(0.0).to_bits(), 1.0f32.to_bits());
    }

    #[test]
    fn cross_entropy_agrees_with_double_precision() {
        let mut logits = vec![1.0, -2.0, 0.5, 3.0, 0.0, 0.25];
        let exact: Vec<f64> = logits.iter().map(|&v| f64::from(v)).collect();
        let loss = cross_entropy(&mut logits, &[2, 0], 0.5);
        let want: f64 =
            exact.chunks(3).zip([2, 0]).map(|(row, t)| row.iter().map(|v| v.exp()).sum::<f64>().ln() - row[t]).sum();
        assert!((loss - want).abs() < 1e-6, "{loss} {want}");
        for row in logits.chunks(3) {
            assert!(row.iter().sum::<f32>().abs() < 1e-6, "the gradient of a row sums to nothing");
        }
    }

    #[test]
    fn causal_softmax_hides_the_future() {
        let mut scores = vec![0.3; 12];
        let mut lse = vec![0.0; 3];
        causal_softmax(&mut scores, 4, 1, 2.0, &mut lse);
        assert_eq!(&scores[2..4], &[0.0, 0.0]);
        assert!((scores[4] - 1.0 / 3.0).abs() < 1e-6);
        assert!((lse[1] - (0.6 + 3f32.ln())).abs() < 1e-5);
    }
}
