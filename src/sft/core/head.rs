//! The last norm, the head and the loss, for the positions that are learnt and no others.
//!
//! Positions are taken in chunks: logits become their own gradient in place, and `[T, V]` never exists.

use super::gemm::{Mat, MatMut, Multiplier, Store, Take, Weight};
use super::kernels;
use super::layer::fit;
use super::linear::Gradients;

/// Positions of one chunk: as deep as one block of the bf16 product.
const CHUNK: usize = 256;
/// Of a vocabulary as large as this the logits of a chunk would be the largest buffer of all: half as many then.
const LARGE_VOCABULARY: usize = 1 << 16;

/// The head's parameters.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    pub norm: &'a [f32],
    /// `[V, d]`.
    pub weight: Weight<'a>,
    pub vocab: usize,
    pub eps: f32,
    /// Where the gradients of the norm and of the weight begin.
    pub norm_offset: usize,
    pub weight_offset: usize,
}

/// Buffers of one chunk.
#[derive(Debug, Default)]
pub struct Buffers {
    picked: Vec<f32>,
    normed: Vec<f32>,
    inverse: Vec<f32>,
    logits: Vec<f32>,
    d_normed: Vec<f32>,
    d_picked: Vec<f32>,
}

/// Positions whose logits exist at a time.
pub const fn chunk_positions(vocab: usize) -> usize {
    if vocab >= LARGE_VOCABULARY { CHUNK / 2 } else { CHUNK }
}

impl Head<'_> {
    /// Logits of the chunk's positions, left in `buffers.logits`.
    fn logits(&self, multiplier: &mut Multiplier, buffers: &mut Buffers, x: &[f32], positions: &[u32]) {
        let d = self.norm.len();
        let n = positions.len();
        let picked = fit(&mut buffers.picked, n * d);
        for (row, &position) in picked.chunks_exact_mut(d).zip(positions) {
            row.copy_from_slice(&x[position as usize * d..][..d]);
        }
        let normed = fit(&mut buffers.normed, n * d);
        kernels::rms_forward(picked, self.norm, self.eps, normed, fit(&mut buffers.inverse, n));
        let logits = MatMut::new(fit(&mut buffers.logits, n * self.vocab), n, self.vocab);
        multiplier.forward(logits, Store::Replace, Mat::new(normed, n, d), self.weight);
    }

    /// The summed loss of predicting `targets` at `positions`, without gradients.
    pub fn loss(
        &self,
        multiplier: &mut Multiplier,
        buffers: &mut Buffers,
        x: &[f32],
        (positions, targets): (&[u32], &[u32]),
    ) -> f64 {
        let mut loss = 0.0;
        let chunk = chunk_positions(self.vocab);
        for (positions, targets) in positions.chunks(chunk).zip(targets.chunks(chunk)) {
            self.logits(multiplier, buffers, x, positions);
            loss += kernels::cross_entropy(&mut buffers.logits[..positions.len() * self.vocab], targets, 1.0);
        }
        loss
    }

    /// The logits `[positions, V]`.
    pub fn logits_of(
        &self,
        multiplier: &mut Multiplier,
        buffers: &mut Buffers,
        x: &[f32],
        positions: &[u32],
    ) -> Vec<f32> {
        self.logits(multiplier, buffers, x, positions);
        buffers.logits[..positions.len() * self.vocab].to_vec()
    }

    /// The summed loss; writes the gradient of `x` to `dx` and adds the parameters' gradients, all multiplied
    /// by `scale` (1 / learnt tokens of the accumulation window).
    pub fn loss_and_gradient(
        &self,
        multiplier: &mut Multiplier,
        buffers: &mut Buffers,
        (x, dx): (&[f32], &mut [f32]),
        (positions, targets, scale): (&[u32], &[u32], f32),
        gradients: &mut Gradients<'_>,
    ) -> f64 {
        let d = self.norm.len();
        dx.fill(0.0);
        let mut loss = 0.0;
        let chunk = chunk_positions(self.vocab);
        for (positions, targets) in positions.chunks(chunk).zip(targets.chunks(chunk)) {
            let n = positions.len();
            self.logits(multiplier, buffers, x, positions);
            let logits = &mut buffers.logits[..n * self.vocab];
            loss += kernels::cross_entropy(logits, targets, scale);
            let (d_logits, normed) = (Mat::new(logits, n, self.vocab), Mat::new(&buffers.normed, n, d));
            let d_normed = fit(&mut buffers.d_normed, n * d);
            multiplier.backward(MatMut::new(d_normed, n, d), Store::Replace, d_logits, self.weight);
            let dw = gradients.base(self.weight_offset, self.vocab * d);
            if !dw.is_empty() {
                let dw = MatMut::new(dw, self.vocab, d);
                multiplier.product(dw, Store::Add, (d_logits, Take::Transposed), (normed, Take::AsIs));
            }
            let d_picked = fit(&mut buffers.d_picked, n * d);
            d_picked.fill(0.0);
            let d_gain = gradients.base(self.norm_offset, d);
            kernels::rms_backward(d_normed, &buffers.picked[..n * d], self.norm, &buffers.inverse, d_picked, d_gain);
            for (row, &position) in d_picked.chunks_exact(d).zip(positions) {
                dx[position as usize * d..][..d].copy_from_slice(row);
            }
        }
        loss
    }
}
